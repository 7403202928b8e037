/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How jitter is spread around the delay: tables of a distribution's quantiles,
 * as netem draws from them. Entry i of n stands for the share i/n of packets;
 * it is in units of jitter / 8192 (NETEM_DIST_SCALE), so 8192 is one jitter.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "brunt/param.h"

struct brunt_error;

enum brunt_distribution {
	BRUNT_DISTRIBUTION_UNIFORM,	 /* within one jitter to either side */
	BRUNT_DISTRIBUTION_NORMAL,	 /* jitter is the standard deviation */
	BRUNT_DISTRIBUTION_PARETO,	 /* exponent 3: most are early, few are very late */
	BRUNT_DISTRIBUTION_PARETONORMAL, /* a quarter normal, three quarters pareto */
	_BRUNT_DISTRIBUTION_MAX
};

#define BRUNT_DISTRIBUTION_SCALE    8192  /* NETEM_DIST_SCALE */
#define BRUNT_DISTRIBUTION_SIZE	    4096  /* entries of the tables made here */
#define BRUNT_DISTRIBUTION_SIZE_MAX 16384 /* NETEM_DIST_MAX */

/* The names, for parameter rows. */
extern const struct brunt_value brunt_distributions[];

/* The word for one of them; "uniform", ... */
const char *brunt_distribution_name(int distribution);

/* Its table, BRUNT_DISTRIBUTION_SIZE entries, made at the first call; lives for ever. Not for several threads. */
const int16_t *brunt_distribution_table(int distribution);

/*
 * Reads a table file as tc(8) has them in its .dist files: whole numbers from -32768 to 32767 between blanks, as many
 * as there are (1 to 16384); lines that begin with '#' are comments. ret has room for BRUNT_DISTRIBUTION_SIZE_MAX.
 * -EINVAL with the line, never with the file's content: it may be somebody's secret. -errno when it cannot be read.
 */
int brunt_distribution_read(const char *path, int16_t *ret, size_t *ret_count, struct brunt_error *err);
