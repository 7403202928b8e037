/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What dns_fail.bpf.c shares with injector/fault/dns_fail.c. */
#ifndef BRUNT_BPF_DNS_FAIL_H
#define BRUNT_BPF_DNS_FAIL_H

#include "match.h"

/* One end of a lookup: a name server as the target knows it, or the responder's socket that stands in for it. */
struct brunt_dns_end {
	__u64 netns;	  /* cookie of the network namespace; 0 where the kernel tells none to user space */
	__u32 address[4]; /* network order; IPv4 in the first word */
	__u16 port;	  /* network order */
	__u8 family;	  /* 4 or 6 */
	__u8 protocol;
	__u32 padding;
};

#define BRUNT_DNS_ENDS_MAX 512

/* A lookup that went to a server that nobody stands in for. */
struct brunt_dns_stranger {
	__u32 address[4];
	__u32 family; /* 0: there was none */
};

struct brunt_dns_control {
	struct brunt_control base;
	__u32 processes; /* only those in brunt_victims; else everybody in the cgroup */
	__u32 exempt;	 /* uid of the responders: what they ask goes through; all ones: none */
	struct brunt_dns_stranger stranger;
};

#endif
