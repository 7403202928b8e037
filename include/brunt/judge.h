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
/* Keeps a copy, without `why` (it is borrowed); a value that is NaN or -INFINITY is kept as none. 0 or -ENOMEM. */
int brunt_series_add(struct brunt_series *series, const struct brunt_sample *sample);
size_t brunt_series_count(const struct brunt_series *series);
/* i from 0 (oldest) to count - 1. */
const struct brunt_sample *brunt_series_at(const struct brunt_series *series, size_t i);

struct brunt_reading {
	double value;	 /* base unit; success: 0..1; INFINITY is possible for latencies */
	size_t count;	 /* samples that it rests on */
	size_t bad;	 /* of those with a flag */
	uint64_t newest; /* scheduled time of the newest of them; 0 when none */
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
	BRUNT_UNKNOWN, /* too little data yet: no judgement */
	BRUNT_HOLDS,
	BRUNT_BROKEN,
};

/* What a condition remembers between judgements. Start with { 0 }. */
struct brunt_condition_state {
	enum brunt_truth truth;
	uint64_t since;		      /* when it became so: the scheduled time of the sample that made it */
	struct brunt_reading reading; /* the newest */
	bool no_data;		      /* judged by no_data */
	enum brunt_truth raw;	      /* what the samples alone say; */
	uint64_t raw_since;	      /* for `lasting` */
};

/*
 * Judges an SLI condition at time now, which must not go backwards. Windows never reach back before not_before, and
 * hold the samples scheduled in [now - over, now]. during: the bound `during` replaces min (or max, without a min).
 *
 * Guardrails, and steady states while during: BROKEN as soon as the reading is out of bounds and rests on as many
 * samples as its statistic needs (brunt_of_samples_needed, at most what surely fits the window); a filled window is
 * not needed. `lasting`: BROKEN when the readings were broken for that long, from the scheduled time of the first to
 * that of the newest; until then the truth stays as it was. A reading with too few samples does not interrupt it.
 *
 * Steady, wait, expect: HOLDS needs a window filled (now - not_before >= over), readings that held for `lasting`
 * without a gap, and samples that complete: none for three periods makes it UNKNOWN (what hangs does not look good).
 * BROKEN needs enough samples alone.
 *
 * What is still pending cannot be seen. So guardrails (and during) judge, besides the window that ends now, the one
 * that ended a timeout ago, of which all is known; the others judge that one alone when `over` is not longer than the
 * timeout, and then need over + timeout to be filled.
 *
 * no_data decides when no sample that counts for the statistic was completed for three periods beyond the SLI's
 * timeout (lines have none): a slow answer alone is no silence. breach: broken; hold: the last raw truth; ok: holds;
 * 0: as if the value were 0. All of them are subject to `lasting` and the filled window as readings are.
 */
enum brunt_truth brunt_condition_judge(const struct brunt_condition *condition, const struct brunt_series *series,
				       uint64_t not_before, uint64_t now, bool during,
				       struct brunt_condition_state *state);

/*
 * The same for a condition on a target (`alive`): alive is how many are alive at time now. Only `lasting` is used of
 * what is said above.
 */
enum brunt_truth brunt_condition_judge_alive(const struct brunt_condition *condition, uint64_t alive, uint64_t now,
					     struct brunt_condition_state *state);

/* How far the reading is from breach, in the condition's base unit; negative: broken. NAN without a reading. */
double brunt_condition_distance(const struct brunt_condition *condition, const struct brunt_reading *reading,
				bool during);

/* The word of a statistic: "success", "p99". */
const char *brunt_of_name(enum brunt_of of);
