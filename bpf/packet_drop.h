/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What packet_drop.bpf.c shares with injector/fault/drop.c. */
#ifndef BRUNT_BPF_PACKET_DROP_H
#define BRUNT_BPF_PACKET_DROP_H

#include <linux/bpf.h>

#include "match.h"

/* A GSO packet stands for many: the chance that at least one of n segments is lost, for n below this. */
#define BRUNT_DROP_SEGMENTS   512
#define BRUNT_DROP_INTERFACES 8

/* Which packets of the hook are the target's. */
enum brunt_drop_scope {
	BRUNT_DROP_ALL,	      /* all: the hook is the target */
	BRUNT_DROP_TAGGED,    /* those of sockets that carry this round's tag */
	BRUNT_DROP_INTERFACE, /* those that pass one of the interfaces */
};

/* What decides of a packet that matches. */
enum brunt_drop_mode {
	BRUNT_DROP_CHANCE, /* each by itself */
	BRUNT_DROP_MODEL,  /* Gilbert-Elliott: two states, each with its own chance */
	BRUNT_DROP_NTH,	   /* every nth is lost */
};

/* Which packets between groups are cut. */
enum brunt_drop_groups {
	BRUNT_GROUPS_NONE, /* there are no groups */
	BRUNT_GROUPS_BOTH,
	BRUNT_GROUPS_ONE_WAY, /* those from an earlier group to a later one */
};

/* What the TCP flags of a packet must be: those of the mask as in set; or, when inverted, anything else than that. */
struct brunt_drop_flags {
	__u8 mask, set; /* as in the header's 14th byte; mask 0: flags are not asked */
	__u8 inverted;
	__u8 padding;
};

/* Chances are of 2^32. */
struct brunt_drop_model {
	__u64 worsen, recover;	   /* of going from good to bad, and back */
	__u64 lose_bad, lose_good; /* of losing a packet in that state */
};

struct brunt_drop_control {
	struct brunt_control base;
	__u32 scope;				 /* enum brunt_drop_scope */
	__u32 verdict;				 /* of a hit on egress: 2 silent, 0 the sender sees EPERM */
	__u32 network;				 /* enum brunt_network, for the tc programs */
	__u32 round;				 /* tags of earlier rounds are void; never 0 */
	__u32 interfaces[BRUNT_DROP_INTERFACES]; /* 0: none */
	__u32 selects;				 /* lists, flags or groups: headers must be read */
	__u32 groups;				 /* enum brunt_drop_groups */
	struct brunt_drop_flags flags;
	__u32 mode;    /* enum brunt_drop_mode */
	__u32 ordered; /* the decision depends on packets before: struct brunt_drop_order is asked */
	__u64 nth;
	__u64 first;  /* only that many packets are candidates; 0: all */
	__u64 budget; /* at most that many network packets are lost; 0: any number */
	struct brunt_drop_model model;
	__u64 chance[BRUNT_DROP_SEGMENTS]; /* by segments; [0] and [1] are base.threshold */
};

/*
 * What one packet's fate has to do with the next one's: one for all CPUs, and a lock, for a burst is lost whichever CPU
 * its packets come by on. It outlives disarming: counts are of the run.
 */
struct brunt_drop_order {
	struct bpf_spin_lock lock;
	__u32 bad[2]; /* state of the model by direction: egress is 1 */
	__u32 padding;
	__u64 random[2]; /* xorshift64* state by direction, never 0 */
	__u64 seen;	 /* packets that matched */
	__u64 lost;	 /* network packets */
};

#endif
