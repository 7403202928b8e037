/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judgement on samples: series, windows, statistics, conditions. Pure: no
 * clock, no I/O; the same functions serve the run, the reports and the tests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brunt/plan.h"
#include "brunt/watch.h"

/* All samples of one SLI, ordered by scheduled time (late answers are put in their place). */
struct brunt_series;
int brunt_series_new(struct brunt_series **ret);
void brunt_series_free(struct brunt_series *series);
int brunt_series_add(struct brunt_series *series, const struct brunt_sample *sample);	/* 0 or -ENOMEM */
size_t brunt_series_count(const struct brunt_series *series);
/* i from 0 (oldest) to count - 1. */
const struct brunt_sample *brunt_series_at(const struct brunt_series *series, size_t i);

struct brunt_reading {
	double value;		/* base unit; success: 0..1; INFINITY is possible for latencies */
	size_t count;		/* samples that it rests on */
	size_t bad;		/* of those with a flag */
	uint64_t newest;	/* scheduled time of the newest of them; 0 when none */
};

/*
 * A statistic over samples scheduled in [from, to]. 0; -ENODATA when there is none that counts. Quantiles are exact:
 * the smallest sample with at least q * n at or below it (nearest rank).
 */
int brunt_series_read(const struct brunt_series *series, enum brunt_of of, uint64_t from, uint64_t to,
		      struct brunt_reading *ret);

/* How few samples make a quantile meaningless: p99 needs 100, p99.9 1000, p50 2; 1 for the others. */
size_t brunt_of_samples_needed(enum brunt_of of);

enum brunt_truth {
	BRUNT_UNKNOWN,	/* too little data yet: no judgement */
	BRUNT_HOLDS,
	BRUNT_BROKEN,
};

/* What a condition remembers between judgements. Start with { 0 }. */
struct brunt_condition_state {
	enum brunt_truth truth;
	uint64_t since;		/* when it became so: the scheduled time of the sample that made it */
	struct brunt_reading reading;	/* the newest */
	bool no_data;		/* judged by no_data */
};

/*
 * Judges an SLI condition at time now. Windows never reach back before not_before. during: the bound `during` replaces
 * min (or max). `lasting` is honoured: a guardrail is BROKEN only when broken that long; wait and expect HOLD only
 * when held that long. no_data: no sample completed for three periods.
 * Steady, wait, expect: a window `over` must be filled (now - not_before >= over) before HOLDS is said; BROKEN of a
 * guardrail or of `during` needs as many samples as its statistic (brunt_of_samples_needed, at most what fits the
 * window), not a filled window.
 */
enum brunt_truth brunt_condition_judge(const struct brunt_condition *condition, const struct brunt_series *series,
				       uint64_t not_before, uint64_t now, bool during,
				       struct brunt_condition_state *state);

/* How far the reading is from breach, in the condition's base unit; negative: broken. NAN without a reading. */
double brunt_condition_distance(const struct brunt_condition *condition, const struct brunt_reading *reading, bool during);

/* The word of a statistic: "success", "p99". */
const char *brunt_of_name(enum brunt_of of);
