/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain netlink: requests with an answer, and dumps. A socket belongs to the
 * network namespace that it was made in, for as long as it is open
 * (network_namespaces(7)), so one per namespace is all that is needed.
 */
#pragma once

#include <stdint.h>

#include <linux/netlink.h>

struct brunt_error;

struct brunt_netlink {
	int fd; /* -1: closed */
	uint32_t sequence;
};

/*
 * Opens it in a network namespace (a descriptor as of brunt_namespace_open(), or -1 for brunt's own). 0 or -errno; ret
 * is closed then.
 */
int brunt_netlink_open(int protocol, int namespace, struct brunt_netlink *ret, struct brunt_error *err);

/* May be called twice. Allocates nothing. */
void brunt_netlink_close(struct brunt_netlink *netlink);

/* Sends a request that asks for no answer but the acknowledgement, and waits for that. 0, or what the kernel said. */
int brunt_netlink_ask(struct brunt_netlink *netlink, struct nlmsghdr *request);

/*
 * Sends a request and gives every message of the answer to visit, until the end of the dump (or, without NLM_F_DUMP in
 * its flags, of the one message). A negative value of visit ends it. 0, what visit returned, or -errno of the kernel.
 */
int brunt_netlink_get(struct brunt_netlink *netlink, struct nlmsghdr *request,
		      int (*visit)(void *user, const struct nlmsghdr *message), void *user);

/* The payload of an attribute of that type among size bytes of attributes; NULL when missing or shorter than least. */
const void *brunt_netlink_find(const void *attributes, int size, int type, int least);

/* Appends an attribute. The caller's buffer has room for it. */
void brunt_netlink_put(struct nlmsghdr *request, int type, const void *data, unsigned size);
