/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to rtnetlink and its answer, by libnl.
 *
 * Each exchange has a socket of its own, in the calling thread's network
 * namespace: a socket that was kept would keep that namespace alive, and what
 * we leave in it, after everybody else has gone. It costs 5 microseconds.
 */
#pragma once

#include <stddef.h>

struct brunt_error;
struct nl_msg;
struct nlmsghdr;

struct brunt_nl_answer {
	int code;	 /* 0 or -errno, of the kernel */
	char words[128]; /* what the kernel says to it (NLMSGERR_ATTR_MSG); cleaned; "" when it says nothing */
};

/*
 * Sends message and waits for its acknowledgement; message stays the caller's. visit, if not NULL, is called with each
 * message that comes before it, valid only during the call. 0 when there was an answer (which may be a failure), else
 * -errno with err set: it could not be asked at all.
 */
int brunt_nl_ask(struct nl_msg *message, void (*visit)(const struct nlmsghdr *header, void *user), void *user,
		 struct brunt_nl_answer *ret, struct brunt_error *err);
