/* SPDX-License-Identifier: Apache-2.0 */
#include "network/nlask.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/text.h"
#include "brunt/error.h"
#include "brunt/memory.h"

struct exchange {
	struct brunt_nl_answer *answer;
	void (*visit)(const struct nlmsghdr *header, void *user);
	void *user;
	bool done;
};

static void free_socket(struct nl_sock **sock)
{
	nl_socket_free(*sock); /* NULL is fine; closes */
}

static void put_cb(struct nl_cb **cb)
{
	if (*cb)
		nl_cb_put(*cb);
}

static int on_ack(struct nl_msg *message, void *user)
{
	struct exchange *exchange = user;

	(void)message;
	exchange->done = true;
	return NL_STOP;
}

static int on_valid(struct nl_msg *message, void *user)
{
	struct exchange *exchange = user;

	if (exchange->visit)
		exchange->visit(nlmsg_hdr(message), exchange->user);
	return NL_OK;
}

/* Behind the error come attributes (netlink(7), NETLINK_EXT_ACK); the request itself is left out (NETLINK_CAP_ACK). */
static void take_words(const struct nlmsgerr *error, struct brunt_nl_answer *answer)
{
	const char *begin = (const char *)error - NLMSG_HDRLEN;
	const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)begin;
	size_t skip = NLMSG_HDRLEN + sizeof(*error);
	struct nlattr *words;

	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(header->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(error->msg.nlmsg_len) - NLMSG_HDRLEN;
	if (skip >= header->nlmsg_len)
		return;
	words = nla_find((const struct nlattr *)(const void *)(begin + skip), (int)(header->nlmsg_len - skip),
			 NLMSGERR_ATTR_MSG);
	if (!words)
		return;
	(void)snprintf(answer->words, sizeof(answer->words), "%.*s", nla_len(words), (const char *)nla_data(words));
	brunt_text_clean(answer->words);
}

static int on_error(struct sockaddr_nl *address, struct nlmsgerr *error, void *user)
{
	struct exchange *exchange = user;

	(void)address;
	exchange->answer->code = error->error;
	take_words(error, exchange->answer);
	exchange->done = true;
	return NL_STOP;
}

static int open_socket(struct nl_cb *cb, struct nl_sock **ret, struct brunt_error *err)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	/* The kernel answers within the call; this is for the day when it does not. */
	struct timeval patience = { .tv_sec = 5 };
	int one = 1, fd, r;

	*ret = nl_socket_alloc_cb(cb);
	if (!*ret)
		return brunt_fail(err, ENOMEM, "no memory for a netlink socket");
	r = nl_connect(*ret, NETLINK_ROUTE);
	if (r < 0)
		return brunt_fail(err, errno ?: EIO, "cannot open a netlink socket: %s", nl_geterror(r));
	fd = nl_socket_get_fd(*ret);
	/* libnl takes answers from anyone (nl_recv()): see rtnl.c */
	if (connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)))
		return brunt_fail(err, errno, "cannot connect a netlink socket: %s", strerror(errno));
	/* Older kernels than these options have no words for us; the answer itself comes all the same. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return 0;
}

int brunt_nl_ask(struct nl_msg *message, void (*visit)(const struct nlmsghdr *header, void *user), void *user,
		 struct brunt_nl_answer *ret, struct brunt_error *err)
{
	BRUNT_CLEANUP(put_cb) struct nl_cb *cb = nl_cb_alloc(NL_CB_CUSTOM);
	BRUNT_CLEANUP(free_socket) struct nl_sock *sock = NULL;
	struct exchange exchange = { .answer = ret, .visit = visit, .user = user };
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!cb)
		return brunt_fail(err, ENOMEM, "no memory for a netlink socket");
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, &exchange);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, &exchange);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, &exchange);
	r = open_socket(cb, &sock, err);
	if (r)
		return r;
	r = nl_send_auto(sock, message); /* adds NLM_F_REQUEST and NLM_F_ACK */
	if (r < 0)
		return brunt_fail(err, EIO, "cannot ask rtnetlink: %s", nl_geterror(r));
	while (!exchange.done) {
		r = nl_recvmsgs(sock, cb);
		if (r < 0 && !exchange.done)
			return brunt_fail(err, EIO, "no answer from rtnetlink: %s", nl_geterror(r));
	}
	return 0;
}
