/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The detour: chosen packets of an interface pass through a device of ours,
 * and come back to where they were. The interface's own queues, filters and
 * the packets that were not chosen stay as they are.
 *
 *   real device --classifier--> d0 [qdisc] --> d1 --bounce--> d0 --back--> real device
 *
 * d0 lies in the target's network namespace, d1 in a namespace that lives only
 * by descriptors of ours: when they are closed, by whatever death, both devices
 * go. With a TAP line, d0 is a TAP device and the line is a process. One leg is
 * one direction of one interface; each has its own device and so its own queue.
 *
 * Steering is armed and leased like every BPF fault of brunt (bpf.h). A child,
 * the linger, holds d1's namespace, never the classifier: when the holder
 * dies or the fault ends, what is queued still arrives, then it ends and the
 * devices are gone. With tcx the kernel takes the classifier off; with clsact
 * (before Linux 6.6) it stays, inert, until recovery sweeps it.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brunt/fault.h"
#include "brunt/param.h"
#include "brunt/target.h"

struct brunt_error;
struct brunt_names_params;

enum brunt_detour_direction { BRUNT_DETOUR_EGRESS = 1, BRUNT_DETOUR_INGRESS = 2, BRUNT_DETOUR_BOTH = 3 };

#define BRUNT_DETOUR_LEGS_MAX 32

/* Which packets go round. All borrowed, valid as long as the detour. */
struct brunt_detour_match {
	int direction;				      /* enum brunt_detour_direction */
	const struct brunt_list *to, *local, *except; /* of struct brunt_endpoint; may be empty */
	const struct brunt_list
		*interfaces; /* of const char *: of a target that is not an interface; empty: all that are up */
	const struct brunt_names_params *names; /* how host names among them are looked up; may be NULL */
	double flows;				/* share of flows, 0..1, by a hash of both ends and the seed; 1: all */
};

struct brunt_leg {
	unsigned interface; /* index of the real device in the target's namespace */
	char name[IF_NAMESIZE];
	bool ingress;
	bool loopback;
	unsigned device; /* index of d0, same namespace */
	char device_name[IF_NAMESIZE];
	unsigned mtu; /* of the real device */
	int tap;      /* TAP line: its queue, the detour's; else -1 */
	int keep[4];  /* descriptors that the process at the other end of tap has to hold as long as packets wait */
	size_t keep_count;
	void *opaque; /* the back end's own */
};

/* What stands in a leg. All but stop are called inside the target's network namespace. */
struct brunt_detour_backend {
	const char *name; /* "netem", "line" */
	bool tap;
	/* Before packets are steered. */
	int (*start)(void *opaque, struct brunt_leg *leg, struct brunt_error *err);
	/* Packets that are waiting in the leg now. -errno. */
	int (*backlog)(void *opaque, const struct brunt_leg *leg, uint64_t *ret_packets);
	/* TAP only: is the process at the other end working? Called at each renewal, allocates nothing, never blocks. */
	bool (*alive)(void *opaque, const struct brunt_leg *leg);
	/* Lets go of the leg: drain: what waits may still arrive. Allocates nothing, never blocks. May be NULL. */
	void (*stop)(void *opaque, struct brunt_leg *leg, bool drain);
};

struct brunt_detour; /* opaque */

/* Can this host do it at all (BPF, veth or tun)? 0, -ENOTSUP or -EPERM with a sentence to act on. */
int brunt_detour_probe(bool tap, struct brunt_error *err);

/*
 * Loads the programs. label: "network.netem 3", for seeds and names. max_linger: ns that packets may at most still
 * wait after the end. backend, opaque and match are borrowed until unload. 0 or -errno.
 */
int brunt_detour_load(const struct brunt_detour_match *match, const struct brunt_detour_backend *backend, void *opaque,
		      const struct brunt_fault_context *context, const char *label, uint64_t max_linger,
		      struct brunt_detour **ret, struct brunt_error *err);

/*
 * Victims are known: finds namespaces and interfaces, refuses what a detour would break (collect_md tunnels, xfrm,
 * devices without a way, too many), fills the undo record. Reads only.
 */
int brunt_detour_prepare(struct brunt_detour *detour, const struct brunt_victims *victims,
			 struct brunt_undo_record *ret_undo, struct brunt_error *err);

/* Makes devices, starts the back end, forks the linger, attaches the classifiers, disarmed. */
int brunt_detour_attach(struct brunt_detour *detour, struct brunt_error *err);

void brunt_detour_arm(struct brunt_detour *detour, uint64_t expires);
/* Renews only while every leg is alive. */
void brunt_detour_renew(struct brunt_detour *detour, uint64_t expires);
void brunt_detour_disarm(struct brunt_detour *detour);
int brunt_detour_verify(struct brunt_detour *detour, struct brunt_error *err);

/* seen, matched, hit (sent round); detached when a classifier, a device or the linger is gone. */
int brunt_detour_poll(struct brunt_detour *detour, struct brunt_hits *ret);

/* As brunt_injector.news and .names. */
bool brunt_detour_news(struct brunt_detour *detour, char *buf, size_t size);
const struct brunt_names *brunt_detour_names(const struct brunt_detour *detour);

/* Calls visit for every leg, inside its network namespace; ends at the first non-zero, which it returns. */
int brunt_detour_visit(struct brunt_detour *detour, int (*visit)(void *opaque, struct brunt_leg *leg, void *user),
		       void *user, struct brunt_error *err);

/* The classifiers go; what waits still arrives (drain), or is lost at once and counted. Never blocks for it. */
void brunt_detour_detach(struct brunt_detour *detour, bool drain);

/* After detach: 0 when every device of ours is gone and the linger has ended; -EAGAIN; -EBUSY when it never will. */
int brunt_detour_settled(struct brunt_detour *detour, struct brunt_error *err);

/* What still waits after a detach that drains is lost at once, and counted. */
void brunt_detour_hurry(struct brunt_detour *detour);

/* Packets that waited in the legs when detach, or a hurry after it, let them be lost. */
uint64_t brunt_detour_lost(const struct brunt_detour *detour);

/* What seldom happens, counted from load on. Only marks_lost changes a packet. */
struct brunt_detour_extra {
	uint64_t expired; /* packets let pass because the lease had run out */
	uint64_t gone;	  /* packets let pass because our device was not there any more */
	uint64_t foreign; /* frames that others sent on our device, dropped */
	uint64_t
		marks_lost; /* packets that lost skb->mark or priority: all that had one through TAP; through veth, those
			      * with a mark and a priority above 15, which keep the mark */
};
void brunt_detour_read(const struct brunt_detour *detour, struct brunt_detour_extra *ret);

void brunt_detour_unload(struct brunt_detour *detour);

/*
 * In another process, after the holder died: sweeps clsact filters of that run and a clsact that it made, and deletes
 * devices that should be gone. Idempotent. -EAGAIN: packets may still wait in a device; it waited 2.5 s for it.
 */
int brunt_detour_recover(const struct brunt_undo_record *undo, struct brunt_error *err);
