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

#include "network/distributions.h"

struct brunt_error;

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

/* ---- what a plan says of it ---- */

/* Loss by a Markov chain of four states: 1 good, 3 lost in a burst, 2 good within a burst, 4 lost alone. */
struct brunt_loss_state {
	double p13, p31, p32, p23, p14;
	bool has_p31, has_p23;
};

/* Loss by Gilbert and Elliott: p from good to bad, r back; 1-h lost while bad, 1-k lost while good. */
struct brunt_loss_gemodel {
	double p, r, one_minus_h, one_minus_k;
	bool has_r, has_h;
};

struct brunt_slot {
	uint64_t min, max; /* ns */
	bool has_min, has_max;
	uint64_t delay, jitter; /* ns */
	int distribution;	/* enum brunt_distribution */
	bool has_distribution;
	const char *distribution_file;
	uint64_t packets, bytes; /* 0: any number */
};

struct brunt_netem_params {
	struct brunt_ramp delay, jitter; /* ns */
	double delay_correlation;
	int distribution; /* enum brunt_distribution */
	bool has_distribution;
	const char *distribution_file;
	struct brunt_ramp loss;
	double loss_correlation;
	struct brunt_loss_state *loss_state;
	struct brunt_loss_gemodel *loss_gemodel;
	bool ecn;
	struct brunt_ramp duplicate;
	double duplicate_correlation;
	struct brunt_ramp corrupt;
	double corrupt_correlation;
	struct brunt_ramp reorder;
	double reorder_correlation;
	uint64_t gap;
	struct brunt_ramp rate; /* bytes per second */
	double packet_overhead; /* whole bytes, may be negative */
	uint64_t cell_size;
	double cell_overhead;
	struct brunt_slot *slot;
	uint64_t limit; /* 0: computed */
};

extern const struct brunt_table brunt_loss_state_table, brunt_loss_gemodel_table, brunt_slot_table;

/* Longer delays are not delays but losses; netem itself caps jitter at 2^31 ns. */
#define BRUNT_DELAY_MAX_NS  (10. * 60 * 1e9)
#define BRUNT_JITTER_MAX_NS 2147483647.

/*
 * The rows of a fault's table for a struct S that has a struct brunt_netem_params as its member part:
 *	BRUNT_NETEM_ROWS(struct netem_fault, netem)
 */
/* clang-format off */
#define BRUNT_NETEM_ROW(S, part, m, T, t, ...) \
	{ .key = #m, .type = (t), .offset = BRUNT_FIELD(S, part.m, T), __VA_ARGS__ }
#define BRUNT_NETEM_RAMP(S, part, m, t, ...) \
	BRUNT_NETEM_ROW(S, part, m, struct brunt_ramp, t, .shape = BRUNT_RAMPED, __VA_ARGS__)
#define BRUNT_NETEM_RATIO(S, part, m, ...) BRUNT_NETEM_ROW(S, part, m, double, BRUNT_T_RATIO, __VA_ARGS__)
#define BRUNT_NETEM_ROWS(S, part) \
	BRUNT_NETEM_RAMP(S, part, delay, BRUNT_T_DURATION, .max = BRUNT_DELAY_MAX_NS, \
		.help = "added to the way of each packet, one way"), \
	BRUNT_NETEM_RAMP(S, part, jitter, BRUNT_T_DURATION, .max = BRUNT_JITTER_MAX_NS, \
		.help = "how far delays spread around 'delay'; packets overtake one another unless there is a 'rate'"), \
	BRUNT_NETEM_RATIO(S, part, delay_correlation, .example = "\"25%\"", \
		.help = "how much a packet's delay is like the one before"), \
	BRUNT_NETEM_ROW(S, part, distribution, int, BRUNT_T_ENUM, .def = "uniform", .values = brunt_distributions, \
		.set = BRUNT_FIELD(S, part.has_distribution, bool), .help = "how delays are spread"), \
	BRUNT_NETEM_ROW(S, part, distribution_file, const char *, BRUNT_T_PATH, \
		.example = "\"experimental.dist\"", \
		.help = "a table of delays instead, as tc(8) has them in /usr/lib/tc/*.dist"), \
	BRUNT_NETEM_RAMP(S, part, loss, BRUNT_T_RATIO, .example = "\"1%\"", .help = "chance that a packet is lost"), \
	BRUNT_NETEM_RATIO(S, part, loss_correlation, .example = "\"25%\"", \
		.help = "how much a packet's chance is like that of the one before; it distorts 'loss': better use " \
			"'loss_gemodel'"), \
	BRUNT_NETEM_ROW(S, part, loss_state, struct brunt_loss_state *, BRUNT_T_OBJECT, \
		.table = &brunt_loss_state_table, .help = "bursts of loss by a Markov chain of four states"), \
	BRUNT_NETEM_ROW(S, part, loss_gemodel, struct brunt_loss_gemodel *, BRUNT_T_OBJECT, \
		.table = &brunt_loss_gemodel_table, .help = "bursts of loss by the model of Gilbert and Elliott"), \
	BRUNT_NETEM_ROW(S, part, ecn, bool, BRUNT_T_BOOL, \
		.help = "packets that would be lost are marked instead (Explicit Congestion Notification), where they " \
			"allow it"), \
	BRUNT_NETEM_RAMP(S, part, duplicate, BRUNT_T_RATIO, .example = "\"1%\"", \
		.help = "chance that a packet comes twice"), \
	BRUNT_NETEM_RATIO(S, part, duplicate_correlation, .example = "\"25%\"", \
		.help = "how much a packet's chance is like that of the one before"), \
	BRUNT_NETEM_RAMP(S, part, corrupt, BRUNT_T_RATIO, .example = "\"1%\"", \
		.help = "chance that one bit of a packet is flipped, anywhere in it"), \
	BRUNT_NETEM_RATIO(S, part, corrupt_correlation, .example = "\"25%\"", \
		.help = "how much a packet's chance is like that of the one before"), \
	BRUNT_NETEM_RAMP(S, part, reorder, BRUNT_T_RATIO, .example = "\"25%\"", \
		.help = "chance that a packet is sent at once, before those that are being delayed"), \
	BRUNT_NETEM_RATIO(S, part, reorder_correlation, .example = "\"25%\"", \
		.help = "how much a packet's chance is like that of the one before"), \
	BRUNT_NETEM_ROW(S, part, gap, uint64_t, BRUNT_T_COUNT, .max = UINT32_MAX, .example = "5", \
		.help = "of every so many packets the last alone may be sent at once; default: any"), \
	BRUNT_NETEM_RAMP(S, part, rate, BRUNT_T_RATE, .example = "\"10mbit\"", \
		.help = "packets come one after another, no faster than this"), \
	BRUNT_NETEM_ROW(S, part, packet_overhead, double, BRUNT_T_NUMBER, .min = -34, .max = 65535, .example = "20", \
		.help = "bytes that 'rate' counts with each packet, or fewer"), \
	BRUNT_NETEM_ROW(S, part, cell_size, uint64_t, BRUNT_T_SIZE, .max = 65535, .example = "\"48B\"", \
		.help = "'rate' counts packets in whole cells of this size (ATM: 48 bytes)"), \
	BRUNT_NETEM_ROW(S, part, cell_overhead, double, BRUNT_T_NUMBER, .min = -65535, .max = 65535, .example = "5", \
		.help = "bytes that 'rate' counts with each cell (ATM: 5), or fewer"), \
	BRUNT_NETEM_ROW(S, part, slot, struct brunt_slot *, BRUNT_T_OBJECT, .table = &brunt_slot_table, \
		.help = "packets come in bursts: all that wait are let through at once, then none for a while"), \
	BRUNT_NETEM_ROW(S, part, limit, uint64_t, BRUNT_T_COUNT, .max = INT32_MAX, .example = "10000", \
		.help = "packets that may wait in the line, more are lost; default: computed from delay and rate so " \
			"that none is")
/* clang-format on */

/*
 * Do the parameters make sense together? 0, -EINVAL. Also tells when nothing is asked for. Pure; does not read
 * distribution_file.
 */
int brunt_netem_validate(const struct brunt_netem_params *params, struct brunt_error *err);

/* Tables that are read from files; NULL where there is none. */
struct brunt_netem_tables {
	size_t delay_count, slot_count;
	int16_t delay[BRUNT_DISTRIBUTION_SIZE_MAX], slot[BRUNT_DISTRIBUTION_SIZE_MAX];
};

/* Reads the files that params name, if any: *ret, to be freed with free(), is NULL when there is none. 0 or -errno. */
int brunt_netem_tables_read(const struct brunt_netem_params *params, struct brunt_netem_tables **ret,
			    struct brunt_error *err);

/*
 * What the parameters say elapsed_ns after the fault was armed. tables may be NULL when params name no file; *ret
 * points into them. link_rate: bytes per second of the interface, for the limit; 0: not known, 10 Gbit/s. Allocates
 * nothing, cannot fail; cheap enough for ten times a second.
 */
void brunt_impairment_at(const struct brunt_netem_params *params, const struct brunt_netem_tables *tables,
			 uint64_t elapsed_ns, uint64_t seed, uint64_t link_rate, struct brunt_impairment *ret);

/* The share of packets that the loss model takes, in the long run: 0..1. */
double brunt_impairment_loss(const struct brunt_impairment *impairment);
