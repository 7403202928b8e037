/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's netem, by netlink alone. All work in the calling thread's network namespace. */
#pragma once

#include <stdint.h>

struct brunt_error;
struct brunt_impairment;

/* What netem counts; RTM_GETQDISC. */
struct brunt_qdisc_stats {
	uint64_t packets, bytes;
	uint64_t drops; /* loss that was asked for and its own, together: netem does not tell them apart */
	uint64_t overlimits;
	uint32_t backlog, backlog_bytes; /* waiting now */
};

/* Does this kernel have sch_netem? 0, -ENOTSUP with the kernel's words, -EPERM. Tries it in a namespace of its own. */
int brunt_netem_probe(struct brunt_error *err);

/* The root qdisc of device becomes netem, or is changed in place. The kernel's own message lands in err. */
int brunt_netem_set(unsigned device, const struct brunt_impairment *impairment, struct brunt_error *err);

/* -ENOENT: no netem there. */
int brunt_netem_read(unsigned device, struct brunt_qdisc_stats *ret);
