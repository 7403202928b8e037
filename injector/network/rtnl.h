/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few netlink messages that the detour needs: devices, clsact, filters.
 *
 * By hand and not through libnl, because the same messages are sent on the
 * undo path, where nothing may be allocated: a conversation is one struct with
 * fixed buffers, a request is built in it, talked over, and forgotten. What
 * the kernel says about a refusal (extended ack) becomes the error's text.
 *
 * A conversation belongs to the network namespace in which it was opened, and
 * keeps that namespace alive until it is closed.
 */
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct brunt_error;

struct brunt_rtnl {
	int fd; /* -1: closed */
	uint32_t sequence;
	bool interrupted; /* the last dump: something changed meanwhile, and may not have been told */
	_Alignas(struct nlmsghdr) unsigned char request[2048];
	_Alignas(struct nlmsghdr) unsigned char reply[32768];
};

/* Opens it in the calling thread's namespace. protocol: NETLINK_ROUTE, NETLINK_XFRM. 0 or -errno. */
int brunt_rtnl_open(struct brunt_rtnl *rtnl, int protocol, struct brunt_error *err);

/* May be called twice; rtnl->fd must be -1 or open. */
void brunt_rtnl_close(struct brunt_rtnl *rtnl);

/* ---- building one request: never fails, and talk refuses what became too long ---- */

/* header: the fixed part (struct ifinfomsg, struct tcmsg, ...) of size bytes. */
void brunt_rtnl_begin(struct brunt_rtnl *rtnl, uint16_t type, uint16_t flags, const void *header, size_t size);
void brunt_rtnl_put(struct brunt_rtnl *rtnl, uint16_t type, const void *data, size_t size);
void brunt_rtnl_put_u8(struct brunt_rtnl *rtnl, uint16_t type, uint8_t value);
void brunt_rtnl_put_u32(struct brunt_rtnl *rtnl, uint16_t type, uint32_t value);
void brunt_rtnl_put_text(struct brunt_rtnl *rtnl, uint16_t type, const char *text);
/* Opens a nested attribute; what it returns goes to end. */
size_t brunt_rtnl_nest(struct brunt_rtnl *rtnl, uint16_t type);
/* Bytes without an attribute header, inside a nested one (the ifinfomsg of a veth's peer). */
void brunt_rtnl_raw(struct brunt_rtnl *rtnl, const void *data, size_t size);
void brunt_rtnl_end(struct brunt_rtnl *rtnl, size_t nest);

/* ---- sending it ---- */

/* Sends and waits for the ack. what: for the message, "cannot make device 'x'"; the kernel's words follow it. */
int brunt_rtnl_talk(struct brunt_rtnl *rtnl, const char *what, struct brunt_error *err);

/*
 * Sends and calls visit for each message of the answer; a non-zero return of it ends the visits, not the reading, and
 * is returned. dump: the request is a dump. 0, -errno.
 */
typedef int (*brunt_rtnl_fn)(void *user, const struct nlmsghdr *message);
int brunt_rtnl_ask(struct brunt_rtnl *rtnl, bool dump, brunt_rtnl_fn visit, void *user, const char *what,
		   struct brunt_error *err);

/* The attribute of that type in a message whose fixed part is size bytes, or in a nested attribute; NULL. */
const struct rtattr *brunt_rtnl_find(const struct nlmsghdr *message, size_t size, uint16_t type);
const struct rtattr *brunt_rtnl_inside(const struct rtattr *nest, uint16_t type);
uint32_t brunt_rtnl_u32(const struct rtattr *attribute, uint32_t fallback);
void brunt_rtnl_text(const struct rtattr *attribute, char *buf, size_t size);

/* ---- devices (rtnl_link.c) ---- */

struct brunt_link {
	unsigned index;
	char name[IF_NAMESIZE];
	unsigned flags;	     /* IFF_x */
	unsigned short type; /* ARPHRD_x */
	unsigned mtu;
	unsigned gso_max_size, gso_max_segs; /* 0: the kernel does not say */
	unsigned master;		     /* bridge, bond; 0: none */
	char kind[16];			     /* "veth"; "" for hardware */
	bool metadata;			     /* a tunnel that is told by each packet where it goes (collect_md) */
	bool many_peers;		     /* GRE whose packets have their outer header from the beginning */
	char alias[128];
};

/* By name, or by index when name is NULL. 0, -ENODEV, -errno. */
int brunt_link_get(struct brunt_rtnl *rtnl, unsigned index, const char *name, struct brunt_link *ret,
		   struct brunt_error *err);
/* May visit a device twice, when devices come and go meanwhile. */
int brunt_link_each(struct brunt_rtnl *rtnl, int (*visit)(void *user, const struct brunt_link *link), void *user,
		    struct brunt_error *err);

/* What a new device of ours is like. */
struct brunt_link_wish {
	const char *name;
	unsigned mtu;
	unsigned queue; /* packets; 0: 1000 */
};

/* A pair: one end here, its peer born in the namespace of the descriptor, so that it is never seen to move. */
int brunt_link_add_veth(struct brunt_rtnl *rtnl, const struct brunt_link_wish *here,
			const struct brunt_link_wish *there, int there_fd, struct brunt_error *err);

/* Moves the device to another namespace and gives it its properties there. */
int brunt_link_move(struct brunt_rtnl *rtnl, unsigned index, const struct brunt_link_wish *wish, int namespace_fd,
		    struct brunt_error *err);

/* As quiet as a device can be: no ARP, no IPv6 address of its own. The alias may be NULL. */
int brunt_link_hush(struct brunt_rtnl *rtnl, unsigned index, const char *alias, struct brunt_error *err);

/* Largest packets to be split later. Kernels refuse more than the device can: then it stays, and they are split here. */
int brunt_link_set_gso(struct brunt_rtnl *rtnl, unsigned index, unsigned size, unsigned segments);

int brunt_link_up(struct brunt_rtnl *rtnl, unsigned index, struct brunt_error *err);
/* -ENODEV is 0: it is gone. */
int brunt_link_delete(struct brunt_rtnl *rtnl, unsigned index, struct brunt_error *err);

/* ---- clsact and its filters, for kernels without tcx (rtnl_tc.c) ---- */

struct brunt_filter {
	unsigned priority;
	uint32_t handle;
	char kind[16];
	char name[64]; /* of a BPF filter */
};

/* Is there a clsact (or ingress) qdisc? 1, 0, -errno. */
int brunt_clsact_is_there(struct brunt_rtnl *rtnl, unsigned index, struct brunt_error *err);
/* 0, -EEXIST: there is one, or an ingress qdisc, which has no filters for what is sent. */
int brunt_clsact_add(struct brunt_rtnl *rtnl, unsigned index, struct brunt_error *err);
int brunt_clsact_delete(struct brunt_rtnl *rtnl, unsigned index, struct brunt_error *err);

int brunt_filter_each(struct brunt_rtnl *rtnl, unsigned index, bool ingress,
		      int (*visit)(void *user, const struct brunt_filter *filter), void *user, struct brunt_error *err);
/* A BPF program in direct-action mode, for all protocols. */
int brunt_filter_add(struct brunt_rtnl *rtnl, unsigned index, bool ingress, unsigned priority, uint32_t handle,
		     int program, const char *name, struct brunt_error *err);
int brunt_filter_delete(struct brunt_rtnl *rtnl, unsigned index, bool ingress, unsigned priority, uint32_t handle,
			struct brunt_error *err);
