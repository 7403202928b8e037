/* SPDX-License-Identifier: Apache-2.0 */
#include "network/rtnl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "brunt/error.h"

/* A request is answered while it is sent (netlink_rcv_skb()); this is for a kernel that waits for its own locks. */
#define ANSWER_SECONDS 5

int brunt_rtnl_open(struct brunt_rtnl *rtnl, int protocol, struct brunt_error *err)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	const struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	const int on = 1;
	int r;

	rtnl->sequence = 0;
	rtnl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (rtnl->fd < 0)
		return brunt_fail(err, errno, "cannot open a netlink socket: %s", strerror(errno));
	/*
	 * Root of the namespace, which may be a container's, could answer in the kernel's place: to a connected socket
	 * nobody else can send (netlink_getsockbyportid() in net/netlink/af_netlink.c).
	 */
	if (connect(rtnl->fd, (const struct sockaddr *)&kernel, sizeof(kernel))) {
		r = brunt_fail(err, errno, "cannot connect a netlink socket: %s", strerror(errno));
		brunt_rtnl_close(rtnl);
		return r;
	}
	/* what an older kernel does not know of these only makes messages poorer */
	(void)setsockopt(rtnl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(rtnl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)setsockopt(rtnl->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return 0;
}

void brunt_rtnl_close(struct brunt_rtnl *rtnl)
{
	if (rtnl->fd >= 0)
		close(rtnl->fd);
	rtnl->fd = -1;
}

static struct nlmsghdr *head(struct brunt_rtnl *rtnl)
{
	return (struct nlmsghdr *)rtnl->request;
}

/* Room for size bytes at the end of the request; a request that is too long keeps an impossible length. */
static void *grow(struct brunt_rtnl *rtnl, size_t size)
{
	struct nlmsghdr *message = head(rtnl);
	size_t at = NLMSG_ALIGN(message->nlmsg_len);

	if (at + NLMSG_ALIGN(size) > sizeof(rtnl->request)) {
		message->nlmsg_len = UINT32_MAX - 64;
		return NULL;
	}
	memset(rtnl->request + at, 0, NLMSG_ALIGN(size));
	message->nlmsg_len = (uint32_t)(at + size);
	return rtnl->request + at;
}

void brunt_rtnl_begin(struct brunt_rtnl *rtnl, uint16_t type, uint16_t flags, const void *header, size_t size)
{
	*head(rtnl) = (struct nlmsghdr){
		.nlmsg_len = NLMSG_HDRLEN,
		.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | flags,
		.nlmsg_seq = ++rtnl->sequence,
	};
	brunt_rtnl_raw(rtnl, header, size);
}

void brunt_rtnl_raw(struct brunt_rtnl *rtnl, const void *data, size_t size)
{
	void *at = grow(rtnl, size);

	if (at)
		memcpy(at, data, size);
}

void brunt_rtnl_put(struct brunt_rtnl *rtnl, uint16_t type, const void *data, size_t size)
{
	struct rtattr *attribute = grow(rtnl, RTA_LENGTH(size));

	if (!attribute)
		return;
	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(attribute), data, size);
}

void brunt_rtnl_put_u8(struct brunt_rtnl *rtnl, uint16_t type, uint8_t value)
{
	brunt_rtnl_put(rtnl, type, &value, sizeof(value));
}

void brunt_rtnl_put_u32(struct brunt_rtnl *rtnl, uint16_t type, uint32_t value)
{
	brunt_rtnl_put(rtnl, type, &value, sizeof(value));
}

void brunt_rtnl_put_text(struct brunt_rtnl *rtnl, uint16_t type, const char *text)
{
	brunt_rtnl_put(rtnl, type, text, strlen(text) + 1);
}

size_t brunt_rtnl_nest(struct brunt_rtnl *rtnl, uint16_t type)
{
	size_t at = NLMSG_ALIGN(head(rtnl)->nlmsg_len);

	brunt_rtnl_put(rtnl, type, NULL, 0);
	return at;
}

void brunt_rtnl_end(struct brunt_rtnl *rtnl, size_t nest)
{
	uint32_t length = head(rtnl)->nlmsg_len;

	if (length <= sizeof(rtnl->request) && nest < length)
		((struct rtattr *)(rtnl->request + nest))->rta_len = (unsigned short)(length - nest);
}

/* The kernel's words: struct nlmsgerr, the request's header (NETLINK_CAP_ACK), then attributes. */
static int fail_answer(const struct nlmsghdr *message, const char *what, struct brunt_error *err)
{
	const struct nlmsgerr *answer = NLMSG_DATA(message);
	size_t skip = sizeof(*answer);
	char words[128] = "";

	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*answer)))
		return brunt_fail(err, EBADMSG, "%s: the kernel's answer is cut", what);
	if (!answer->error)
		return 0;
	if (!(message->nlmsg_flags & NLM_F_CAPPED) && answer->msg.nlmsg_len > sizeof(answer->msg))
		skip += answer->msg.nlmsg_len - sizeof(answer->msg);
	if (message->nlmsg_flags & NLM_F_ACK_TLVS)
		brunt_rtnl_text(brunt_rtnl_find(message, skip, NLMSGERR_ATTR_MSG), words, sizeof(words));
	return brunt_fail(err, -answer->error, "%s: %s", what, words[0] ? words : strerror(-answer->error));
}

static int send_request(struct brunt_rtnl *rtnl, const char *what, struct brunt_error *err)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	const struct nlmsghdr *message = head(rtnl);

	if (message->nlmsg_len > sizeof(rtnl->request))
		return brunt_fail(err, EMSGSIZE, "%s: the request is too long", what);
	if (sendto(rtnl->fd, message, message->nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return brunt_fail(err, errno, "%s: %s", what, strerror(errno));
	return 0;
}

static ssize_t receive(struct brunt_rtnl *rtnl, const char *what, struct brunt_error *err)
{
	ssize_t size;

	do
		size = recv(rtnl->fd, rtnl->reply, sizeof(rtnl->reply), MSG_TRUNC);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		return brunt_fail(err, errno == EAGAIN ? ETIMEDOUT : errno, "%s: %s", what,
				  errno == EAGAIN ? "the kernel does not answer" : strerror(errno));
	if ((size_t)size > sizeof(rtnl->reply))
		return brunt_fail(err, EMSGSIZE, "%s: the kernel's answer is too long", what);
	return size;
}

int brunt_rtnl_ask(struct brunt_rtnl *rtnl, bool dump, brunt_rtnl_fn visit, void *user, const char *what,
		   struct brunt_error *err)
{
	int r, visited = 0;

	rtnl->interrupted = false;
	head(rtnl)->nlmsg_flags |= dump ? NLM_F_DUMP : NLM_F_ACK;
	r = send_request(rtnl, what, err);
	if (r)
		return r;
	for (;;) {
		ssize_t size = receive(rtnl, what, err);
		const struct nlmsghdr *message = (const struct nlmsghdr *)rtnl->reply;

		if (size < 0)
			return (int)size;
		for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
			if (message->nlmsg_seq != rtnl->sequence)
				continue; /* the late answer to a request that was given up */
			rtnl->interrupted |= message->nlmsg_flags & NLM_F_DUMP_INTR;
			if (message->nlmsg_type == NLMSG_ERROR)
				return fail_answer(message, what, err) ?: visited;
			if (message->nlmsg_type == NLMSG_DONE)
				return visited;
			if (!visited && visit)
				visited = visit(user, message);
		}
	}
}

int brunt_rtnl_talk(struct brunt_rtnl *rtnl, const char *what, struct brunt_error *err)
{
	return brunt_rtnl_ask(rtnl, false, NULL, NULL, what, err);
}

/* Signed, for RTA_NEXT() takes the padding off, too, which the last attribute need not have. */
static const struct rtattr *find(const struct rtattr *attribute, int left, uint16_t type)
{
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if ((attribute->rta_type & NLA_TYPE_MASK) == type)
			return attribute;
	return NULL;
}

const struct rtattr *brunt_rtnl_find(const struct nlmsghdr *message, size_t size, uint16_t type)
{
	size_t skip = NLMSG_SPACE(size);

	if (message->nlmsg_len <= skip)
		return NULL;
	return find((const struct rtattr *)((const unsigned char *)message + skip), (int)(message->nlmsg_len - skip),
		    type);
}

const struct rtattr *brunt_rtnl_inside(const struct rtattr *nest, uint16_t type)
{
	return nest ? find(RTA_DATA(nest), (int)RTA_PAYLOAD(nest), type) : NULL;
}

uint32_t brunt_rtnl_u32(const struct rtattr *attribute, uint32_t fallback)
{
	uint32_t value = fallback;

	if (attribute && RTA_PAYLOAD(attribute) >= sizeof(value))
		memcpy(&value, RTA_DATA(attribute), sizeof(value));
	return value;
}

void brunt_rtnl_text(const struct rtattr *attribute, char *buf, size_t size)
{
	size_t length = attribute ? RTA_PAYLOAD(attribute) : 0;

	if (length >= size)
		length = size - 1;
	if (length)
		memcpy(buf, RTA_DATA(attribute), length);
	buf[length] = '\0';
}
