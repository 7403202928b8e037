/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What packet_drop.bpf.c shares with injector/fault/packet_drop.c. */
#ifndef BRUNT_BPF_PACKET_DROP_H
#define BRUNT_BPF_PACKET_DROP_H

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

struct brunt_drop_control {
	struct brunt_control base;
	__u32 scope;				 /* enum brunt_drop_scope */
	__u32 verdict;				 /* of a hit on egress: 2 silent, 0 the sender sees EPERM */
	__u32 network;				 /* enum brunt_network, for the tc programs */
	__u32 round;				 /* tags of earlier rounds are void; never 0 */
	__u32 interfaces[BRUNT_DROP_INTERFACES]; /* 0: none */
	__u64 chance[BRUNT_DROP_SEGMENTS];	 /* by segments; [0] and [1] are base.threshold */
};

#endif
