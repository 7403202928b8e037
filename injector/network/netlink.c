/* SPDX-License-Identifier: Apache-2.0 */
#include "network/netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "network/namespaces.h"

/* The kernel fills at most 32 KiB of a dump at once (netlink_dump() in net/netlink/af_netlink.c). */
#define BUFFER_SIZE 32768

/* It answers from within send(), so this is for a kernel that hangs. */
#define ANSWER_WITHIN_S 2

int brunt_netlink_open(int protocol, int namespace, struct brunt_netlink *ret, struct brunt_error *err)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	const struct timeval wait = { .tv_sec = ANSWER_WITHIN_S };
	BRUNT_AUTO_CLOSE int fd = -1;

	ret->fd = -1;
	fd = brunt_namespace_socket(namespace, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol, err);
	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)))
		return brunt_fail(err, errno, "cannot set up a netlink socket: %s", strerror(errno));
	/* root of a container's namespace could fill it up and so keep the kernel's answers out: see rtnl.c */
	if (connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)))
		return brunt_fail(err, errno, "cannot connect a netlink socket: %s", strerror(errno));
	*ret = (struct brunt_netlink){ .fd = BRUNT_TAKE_FD(fd) };
	return 0;
}

void brunt_netlink_close(struct brunt_netlink *netlink)
{
	if (netlink->fd >= 0)
		(void)close(netlink->fd);
	netlink->fd = -1;
}

static int ask(struct brunt_netlink *netlink, struct nlmsghdr *request, unsigned flags)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	request->nlmsg_seq = ++netlink->sequence;
	request->nlmsg_flags |= (__u16)(NLM_F_REQUEST | flags);
	return sendto(netlink->fd, request, request->nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0
		       ? -errno
		       : 0;
}

/* One read; size, or -errno. What does not come from the kernel is not there. */
static ssize_t hear(struct brunt_netlink *netlink, void *buffer, size_t size)
{
	struct sockaddr_nl from = { 0 };
	struct iovec part = { .iov_base = buffer, .iov_len = size };
	struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t got;

	do
		got = recvmsg(netlink->fd, &message, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (message.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return from.nl_pid ? 0 : got;
}

/* The code of NLMSG_ERROR and of NLMSG_DONE, which both begin with one. */
static int code_of(const struct nlmsghdr *message)
{
	int code = -EBADMSG;

	if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(code)))
		memcpy(&code, NLMSG_DATA(message), sizeof(code));
	return code;
}

/* The message at that offset of size bytes; NULL at the end, or when what is there is none. */
static const struct nlmsghdr *message_at(const char *buffer, size_t size, size_t offset)
{
	const struct nlmsghdr *message = (const void *)(buffer + offset);

	if (offset >= size || size - offset < sizeof(*message))
		return NULL;
	return message->nlmsg_len >= sizeof(*message) && message->nlmsg_len <= size - offset ? message : NULL;
}

int brunt_netlink_get(struct brunt_netlink *netlink, struct nlmsghdr *request,
		      int (*visit)(void *user, const struct nlmsghdr *message), void *user)
{
	const bool is_dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	_Alignas(struct nlmsghdr) char buffer[BUFFER_SIZE];
	int r = ask(netlink, request, 0);

	while (!r) {
		ssize_t got = hear(netlink, buffer, sizeof(buffer));
		const struct nlmsghdr *at;

		if (got < 0)
			return (int)got;
		for (size_t offset = 0; (at = message_at(buffer, (size_t)got, offset));
		     offset += NLMSG_ALIGN(at->nlmsg_len)) {
			if (at->nlmsg_seq != netlink->sequence)
				continue; /* of a request that was given up */
			if (at->nlmsg_type == NLMSG_ERROR || at->nlmsg_type == NLMSG_DONE)
				return code_of(at);
			r = visit ? visit(user, at) : 0;
			if (r < 0 || !is_dump)
				return r;
		}
	}
	return r;
}

int brunt_netlink_ask(struct brunt_netlink *netlink, struct nlmsghdr *request)
{
	request->nlmsg_flags |= NLM_F_ACK;
	return brunt_netlink_get(netlink, request, NULL, NULL);
}

const void *brunt_netlink_find(const void *attributes, int size, int type, int least)
{
	for (const struct rtattr *at = attributes; RTA_OK(at, size); at = RTA_NEXT(at, size))
		if ((at->rta_type & NLA_TYPE_MASK) == type)
			return (int)RTA_PAYLOAD(at) >= least ? RTA_DATA(at) : NULL;
	return NULL;
}

void brunt_netlink_put(struct nlmsghdr *request, int type, const void *data, unsigned size)
{
	struct rtattr *at = (void *)((char *)request + NLMSG_ALIGN(request->nlmsg_len));

	at->rta_type = (unsigned short)type;
	at->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(RTA_DATA(at), data, size);
	request->nlmsg_len = NLMSG_ALIGN(request->nlmsg_len) + RTA_ALIGN(at->rta_len);
}
