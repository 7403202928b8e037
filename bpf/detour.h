/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What detour.bpf.c shares with injector/detour/detour*.c; and, for every
 * program at an interface, how to tell a packet that has been round.
 *
 * A packet that goes round carries a tag in skb->tc_index. That field survives
 * queues, netem's copies and the way through another network namespace, and no
 * frame from the wire can set it. The tag bears the instance of its detour:
 * those on one direction of one interface have rising numbers, in the order in
 * which their programs run. A classifier meets its own tag when the packet
 * comes back (it takes the tag off and lets the packet on to the programs after
 * it), a higher one when a packet comes back from a detour after it (it has
 * seen that packet already), and a lower one only from a detour that is gone.
 */
#ifndef BRUNT_BPF_DETOUR_H
#define BRUNT_BPF_DETOUR_H

#include "match.h"

/* Four times what one detour may have: those of earlier times may still have packets under way. A power of two. */
#define BRUNT_DETOUR_LEGS 128

/* tc_index: magic, instance, what is carried. */
#define BRUNT_TAG_MAGIC		 0xd800
#define BRUNT_TAG_MAGIC_MASK	 0xf800
#define BRUNT_TAG_INSTANCE	 0x07c0
#define BRUNT_TAG_INSTANCE_SHIFT 6
#define BRUNT_TAG_INSTANCES	 31	/* 1 to this */
#define BRUNT_TAG_MARK		 0x0020 /* skb->hash holds the mark */
#define BRUNT_TAG_CLASS		 0x0010 /* skb->hash holds the priority: a tc class */
#define BRUNT_TAG_PRIORITY	 0x000f /* a priority below 16 */
#define BRUNT_TAG_ID		 (BRUNT_TAG_MAGIC_MASK | BRUNT_TAG_INSTANCE)

/*
 * Which leg a program serves is an instruction: user space loads a program once more for each leg, with this constant
 * plus the leg's number in it. Its low bits are the first leg, so that it loads as it is.
 */
#define BRUNT_DETOUR_LEG_MAGIC 0x62720000

/* Index into brunt_steers. */
enum brunt_detour_steer { BRUNT_STEER_OUT, BRUNT_STEER_IN, BRUNT_DETOUR_STEERS };

enum brunt_detour_scope {
	BRUNT_DETOUR_ALL,	/* all packets: the interface is the target */
	BRUNT_DETOUR_PROCESSES, /* of sockets that carry this round's tag; new ones are tagged by process */
	BRUNT_DETOUR_CGROUPS,	/* the same; new ones are tagged by where the program is attached */
};

enum brunt_detour_leg_flags {
	BRUNT_DETOUR_HEADLESS = 1 << 0, /* the real device's packets have no link header */
	BRUNT_DETOUR_TAP = 1 << 1,	/* packets pass through a process, which sees frames and nothing else */
	BRUNT_DETOUR_SENT = 1 << 2,	/* loopback: packets are judged as sent */
	BRUNT_DETOUR_RECEIVED = 1 << 3, /* loopback: and as received */
	BRUNT_DETOUR_LEAVING = 1 << 4,	/* no classifier any more: packets come back without a tag */
};

struct brunt_detour_leg {
	__u32 interface; /* the real device */
	__u32 device;	 /* ours */
	__u32 network;	 /* enum brunt_network */
	__u32 flags;	 /* enum brunt_detour_leg_flags */
	__u32 tag;	 /* magic and instance */
	__u32 padding;
};

/* Seldom: hence for all CPUs, atomic. */
struct brunt_detour_stats {
	__u64 expired;	  /* let pass: the lease had run out */
	__u64 gone;	  /* let pass: our device was not there any more */
	__u64 foreign;	  /* frames on our device that are not of the detour, dropped */
	__u64 marks_lost; /* packets whose mark or priority could not be carried */
};

struct brunt_detour_control {
	struct brunt_control base;
	__u32 scope;	  /* enum brunt_detour_scope */
	__u32 round;	  /* tags of sockets of earlier rounds are void; never 0 */
	__u32 everything; /* no question but the protocol need be asked */
	__u32 fragments;  /* later fragments follow what was decided for the first */
	__u64 flows;	  /* share of flows * 2^32 */
	__u64 seed;	  /* of that share */
	struct brunt_detour_leg legs[BRUNT_DETOUR_LEGS];
	struct brunt_detour_stats stats;
};

#ifdef __bpf__

/* Is this packet on its second way through the programs of this interface, coming from a detour that runs later? */
static __always_inline bool brunt_is_from_detour(const struct __sk_buff *skb)
{
	return (skb->tc_index & BRUNT_TAG_MAGIC_MASK) == BRUNT_TAG_MAGIC;
}

#endif
#endif
