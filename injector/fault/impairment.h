/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to the packets of a line, at one moment: names and meaning as
 * in tc-netem(8). Two back ends make it true: the kernel's netem (qdisc.h),
 * and a process of ours at a TAP device (line.h) where there is no netem.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brunt/param.h"

struct brunt_error;
struct brunt_netem_params;

enum brunt_loss_model { BRUNT_LOSS_RANDOM, BRUNT_LOSS_STATE, BRUNT_LOSS_GEMODEL };

struct brunt_impairment {
	uint64_t delay, jitter; /* ns */
	double delay_correlation;
	const int16_t *table; /* of the delay's distribution, as in NETEM_DIST_SCALE units; NULL: uniform */
	size_t table_size;

	enum brunt_loss_model loss_model;
	double loss, loss_correlation;	       /* RANDOM */
	double p13, p31, p32, p23, p14;	       /* STATE */
	double p, r, one_minus_h, one_minus_k; /* GEMODEL */
	bool ecn;			       /* mark instead of drop, where the packet allows it */
	double duplicate, duplicate_correlation;
	double corrupt, corrupt_correlation;
	double reorder, reorder_correlation;
	uint32_t gap;

	uint64_t rate; /* bytes per second; 0: none */
	int32_t packet_overhead;
	uint32_t cell_size;
	int32_t cell_overhead;

	struct {
		bool set;
		uint64_t min, max;	/* ns */
		uint64_t delay, jitter; /* ns, with a distribution */
		const int16_t *table;
		size_t table_size;
		uint32_t packets, bytes;
	} slot;

	uint32_t limit; /* packets; never 0 */
	uint64_t seed;
};
