/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's netem, by netlink alone, and its token bucket for kernels
 * without netem. All work in the calling thread's network namespace.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct brunt_error;
struct brunt_impairment;

/* What netem counts; RTM_GETQDISC. */
struct brunt_qdisc_stats {
	uint64_t packets, bytes; /* let through */
	uint64_t drops;		 /* loss that was asked for and its own, together, and before Linux 7.2 ECN marks */
	uint64_t overlimits;
	uint32_t backlog, backlog_bytes; /* waiting now */
	/* From Linux 7.2 on netem tells (struct tc_netem_xstats) what it did on purpose; else told is false. */
	bool told;
	uint64_t lost, marked, delayed, corrupted, duplicated, reordered;
};

/* Does this kernel have sch_netem? 0, -ENOTSUP with the kernel's words, -EPERM. Tries it in a namespace of its own. */
int brunt_netem_probe(struct brunt_error *err);

/*
 * The root qdisc of device becomes netem, or is changed in place. The kernel's own message lands in err.
 *
 * A change keeps what waits, and what was counted. It begins the loss model's states, the count of `gap`, and the
 * memory of correlations anew (sch_netem.c, netem_change()): ramps of loss with bursts longer than the time between
 * two changes come out shorter. The seed is set once, when netem begins: each change would begin its numbers anew. A
 * table of delays can be replaced by another one, but not by none.
 *
 * -ENOTSUP: no sch_netem. -EEXIST: device has another qdisc at its root, which is not ours to replace. -ENODEV. -EPERM.
 */
int brunt_netem_set(unsigned device, const struct brunt_impairment *impairment, struct brunt_error *err);

/* -ENOENT: no netem there. */
int brunt_netem_read(unsigned device, struct brunt_qdisc_stats *ret);

/*
 * How many of the drops were not asked for (a full line), at least: exact where no loss is asked for, and where the
 * kernel tells and nothing is duplicated (netem counts a lost copy as lost, the qdisc not as dropped); else what is
 * beyond five standard deviations of the loss asked for. Give the impairment only when its loss was the same all the
 * time.
 */
uint64_t brunt_netem_unwanted(const struct brunt_qdisc_stats *stats, const struct brunt_impairment *impairment);

/*
 * The root qdisc of device becomes a token bucket (tc-tbf(8)), or is changed in place. rate: bytes per second, at least
 * 1; burst: bytes that may pass at once, 0: 10 ms of rate, at least 16 KiB; queue: bytes that may wait, 0: what 50 ms at
 * rate are, but room for a hundred full packets. Errors as brunt_netem_set().
 */
int brunt_tbf_set(unsigned device, uint64_t rate, uint32_t burst, uint32_t queue, struct brunt_error *err);

/* -ENOENT: no token bucket there. drops are packets that found the queue full. */
int brunt_tbf_read(unsigned device, struct brunt_qdisc_stats *ret);
