/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What connect_fail.bpf.c shares with injector/fault/connect_fail.c. */
#ifndef BRUNT_BPF_CONNECT_FAIL_H
#define BRUNT_BPF_CONNECT_FAIL_H

#include "match.h"

struct brunt_fail_control {
	struct brunt_control base;
	__s32 code;	 /* positive errno */
	__u32 processes; /* only those in brunt_victims; else everybody in the cgroup */
};

#endif
