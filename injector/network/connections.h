/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCP and UDP sockets of a network namespace, as sock_diag(7) tells them, and how
 * to end one. A connection on loopback is two sockets, one for each end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/inet_diag.h>

#include "network/netlink.h"

struct brunt_endpoint;
struct brunt_error;
struct brunt_list;

/* One end of a connection. IPv4-mapped IPv6 is IPv4. */
struct brunt_end {
	uint8_t family;	     /* 4 or 6 */
	uint8_t address[16]; /* network order */
	uint16_t port;	     /* host order */
};

struct brunt_connection {
	struct inet_diag_sockid id; /* with the cookie, which no later socket has again */
	uint8_t family;		    /* of the socket: AF_INET, AF_INET6 */
	uint8_t protocol;	    /* IPPROTO_TCP; IPPROTO_UDP */
	uint8_t state;		    /* TCP_ESTABLISHED, ... of netinet/tcp.h; of UDP that alone: it is connected */
	struct brunt_end local, remote;
	uint32_t inode; /* 0: no process has it (yet, or any more) */
	uint32_t mark;
	uint64_t cgroup; /* that it was made in; 0: unknown (before Linux 5.8, or without a full socket) */
};

/* Can this kernel end a connection? 0, -ENOTSUP or -EPERM with a sentence. Read-only. */
int brunt_connections_probe(struct brunt_error *err);

/*
 * Visits every TCP socket, IPv4 and IPv6, in one of these states (1 << TCP_x). A negative value of visit ends it.
 * netlink: of NETLINK_SOCK_DIAG. 0, what visit returned, -errno.
 */
int brunt_connections_visit(struct brunt_netlink *netlink, uint32_t states,
			    int (*visit)(void *user, const struct brunt_connection *connection), void *user,
			    struct brunt_error *err);

/* The same of UDP: every connected socket. -ENOENT: this kernel cannot list them (CONFIG_INET_UDP_DIAG). */
int brunt_connections_visit_udp(struct brunt_netlink *netlink,
				int (*visit)(void *user, const struct brunt_connection *connection), void *user,
				struct brunt_error *err);

/*
 * Ends it: who waits for it in a call gets ECONNABORTED, the peer of TCP a reset. A UDP socket is
 * not connected any more, and its next call fails with ECONNABORTED. 0; -ENOENT when it is gone already; -EPERM,
 * -ENOTSUP, -errno.
 */
int brunt_connection_destroy(struct brunt_netlink *netlink, const struct brunt_connection *connection);

/*
 * The index of the interface that its packets leave by. route: of NETLINK_ROUTE, in the same namespace. 0: there is no
 * way.
 */
unsigned brunt_connection_interface(struct brunt_netlink *route, const struct brunt_connection *connection);

/* Is that end meant by an endpoint, by any of a list? TCP is the protocol. */
bool brunt_end_matches(const struct brunt_end *end, const struct brunt_endpoint *endpoint);
bool brunt_end_in(const struct brunt_end *end, const struct brunt_list *endpoints);
