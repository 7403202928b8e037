/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions. Two questions are kept apart: what the samples say now (the raw
 * truth), and what may be said of the condition, which also asks for a filled
 * window and for how long the raw truth has lasted.
 *
 * In doubt nothing good is said. HOLDS needs samples that complete; silence
 * makes it UNKNOWN, and after some more of it no_data decides.
 */
#include "judge/series.h"

#include <errno.h>
#include <math.h>

#define SILENT_PERIODS 3

/*
 * Values made by division or by a unit's factor carry rounding errors of about 1e-16 of themselves: 99 of 100 must
 * not miss "99%". No sample is that precise.
 */
#define SLACK 1e-12

struct bounds {
	bool has_min, has_max;
	double min, max;
};

static struct bounds bounds_of(const struct brunt_condition *condition, bool during)
{
	struct bounds bounds = {
		.has_min = condition->has_min,
		.has_max = condition->has_max,
		.min = condition->min.value,
		.max = condition->max.value,
	};

	if (condition->has_alive) {
		bounds.has_min = true;
		bounds.min = (double)condition->alive;
	}
	if (during && condition->has_during) {
		if (bounds.has_min)
			bounds.min = condition->during.value;
		else
			bounds.max = condition->during.value;
	}
	return bounds;
}

static bool within(const struct bounds *bounds, double value)
{
	if (bounds->has_min && value < bounds->min - fabs(bounds->min) * SLACK)
		return false;
	return !bounds->has_max || value <= bounds->max + fabs(bounds->max) * SLACK;
}

double brunt_condition_distance(const struct brunt_condition *condition, const struct brunt_reading *reading,
				bool during)
{
	struct bounds bounds = bounds_of(condition, during);
	double distance = INFINITY;

	if (!reading || !reading->count)
		return NAN;
	if (bounds.has_min)
		distance = reading->value - bounds.min;
	if (bounds.has_max && bounds.max - reading->value < distance)
		distance = bounds.max - reading->value;
	return distance;
}

static bool has_values(const struct brunt_sli *sli)
{
	if (sli->kind == BRUNT_SLI_COMMAND)
		return sli->command->number;
	return sli->kind != BRUNT_SLI_LINES || sli->lines->value;
}

static enum brunt_of statistic_of(const struct brunt_condition *condition)
{
	if (condition->has_of)
		return (enum brunt_of)condition->of;
	return has_values(condition->resolved_sli) ? BRUNT_OF_LAST : BRUNT_OF_SUCCESS;
}

/* A guardrail, or a steady state while faults are held: looks for the breach, not for the good. */
static bool guards(const struct brunt_condition *condition, bool during)
{
	return condition->kind == BRUNT_CONDITION_GUARDRAIL || (condition->kind == BRUNT_CONDITION_STEADY && during);
}

/* How long a scheduled sample may take; the lines of a service have no schedule. */
static uint64_t patience(const struct brunt_sli *sli)
{
	return sli->kind == BRUNT_SLI_LINES ? 0 : sli->timeout;
}

/*
 * Samples below which nothing is judged: what the statistic needs, but not more than a window can hold when as many
 * as the timeout allows are still pending.
 */
static size_t samples_needed(const struct brunt_condition *condition, const struct brunt_sli *sli)
{
	size_t needed = brunt_of_samples_needed(statistic_of(condition));
	uint64_t every = sli->every ? sli->every : 1;
	uint64_t fits = condition->over / every, pending = patience(sli) / every + 1;

	if (!condition->over)
		return 1;
	if (sli->kind == BRUNT_SLI_LINES)
		return needed;
	fits = fits > pending ? fits - pending : 1;
	return needed < fits ? needed : (size_t)fits;
}

/*
 * A window that is not longer than the timeout never sees what hangs: a sample that times out is completed when the
 * window has left it behind. Such a window is settled when it ends a timeout ago.
 */
static bool sees_what_hangs(const struct brunt_condition *condition)
{
	return !condition->over || condition->over > patience(condition->resolved_sli);
}

/* The reading that the condition is about: of the window that ends at to, or of the newest sample that counts. */
static int read_until(const struct brunt_condition *condition, const struct brunt_series *series, uint64_t not_before,
		      uint64_t to, struct brunt_reading *ret)
{
	enum brunt_of of = statistic_of(condition);
	size_t first, end;

	if (condition->over) {
		uint64_t from = to > condition->over ? to - condition->over : 0;

		return brunt_series_read(series, of, from > not_before ? from : not_before, to, ret);
	}
	first = brunt_series_find(series, not_before);
	end = to == UINT64_MAX ? series->count : brunt_series_find(series, to + 1);
	while (end > first && !brunt_of_counts(of, series->samples + end - 1))
		end--;
	return brunt_series_statistic(series, of, end > first ? end - 1 : end, end, ret);
}

/* How long no sample that counts has been completed. horizon: more than that need not be told apart. */
static uint64_t silence(const struct brunt_condition *condition, const struct brunt_series *series, uint64_t not_before,
			uint64_t now, uint64_t horizon)
{
	enum brunt_of of = statistic_of(condition);
	uint64_t newest = not_before;
	size_t i = now == UINT64_MAX ? series->count : brunt_series_find(series, now + 1);

	while (i-- > 0) {
		const struct brunt_sample *sample = series->samples + i;

		/* A sample is completed within its timeout: older ones cannot be the newest to complete. */
		if (sample->at < not_before || (now > horizon * 2 && sample->at < now - horizon * 2))
			break;
		if (brunt_of_counts(of, sample) && sample->done > newest)
			newest = sample->done;
	}
	return now > newest ? now - newest : 0;
}

struct evidence {
	enum brunt_truth truth;
	uint64_t at; /* the scheduled time of what made it */
};

static struct evidence without_data(const struct brunt_condition *condition, const struct bounds *bounds, uint64_t now,
				    struct brunt_condition_state *state)
{
	struct evidence evidence = { BRUNT_BROKEN, now };

	state->no_data = true;
	switch ((enum brunt_no_data)condition->resolved_sli->no_data) {
	case BRUNT_NO_DATA_BREACH:
		break;
	case BRUNT_NO_DATA_HOLD:
		evidence.truth = state->raw;
		break;
	case BRUNT_NO_DATA_OK:
		evidence.truth = BRUNT_HOLDS;
		break;
	case BRUNT_NO_DATA_ZERO:
		state->reading = (struct brunt_reading){ 0 };
		evidence.truth = within(bounds, 0) ? BRUNT_HOLDS : BRUNT_BROKEN;
		break;
	}
	return evidence;
}

/* What the samples until to say. The reading is kept unless there is none. */
static struct evidence look_at(const struct brunt_condition *condition, const struct brunt_series *series,
			       uint64_t not_before, uint64_t to, bool during, struct brunt_condition_state *state)
{
	struct bounds bounds = bounds_of(condition, during);
	struct evidence evidence = { BRUNT_UNKNOWN, to };
	struct brunt_reading reading;

	if (to < not_before || read_until(condition, series, not_before, to, &reading) < 0)
		return evidence;
	state->reading = reading;
	evidence.at = reading.newest;
	if (reading.count >= samples_needed(condition, condition->resolved_sli))
		evidence.truth = within(&bounds, reading.value) ? BRUNT_HOLDS : BRUNT_BROKEN;
	return evidence;
}

static struct evidence look(const struct brunt_condition *condition, const struct brunt_series *series,
			    uint64_t not_before, uint64_t now, bool during, struct brunt_condition_state *state)
{
	const struct brunt_sli *sli = condition->resolved_sli;
	uint64_t late = patience(sli), quiet = SILENT_PERIODS * sli->every, settled = now > late ? now - late : 0;
	uint64_t silent = silence(condition, series, not_before, now, quiet + late);
	struct evidence evidence;

	if (silent > quiet + late) {
		struct bounds bounds = bounds_of(condition, during);

		return without_data(condition, &bounds, now, state);
	}
	state->no_data = false;
	if (guards(condition, during)) {
		struct brunt_condition_state then = { 0 };

		evidence = look_at(condition, series, not_before, now, during, state);
		if (evidence.truth == BRUNT_BROKEN || !condition->over || !late)
			return evidence;
		/* What is pending could hide a breach: the newest window of which all is known decides too. */
		if (look_at(condition, series, not_before, settled, during, &then).truth != BRUNT_BROKEN)
			return evidence;
		state->reading = then.reading;
		return (struct evidence){ BRUNT_BROKEN, then.reading.newest };
	}
	evidence = look_at(condition, series, not_before, sees_what_hangs(condition) ? now : settled, during, state);
	if (evidence.truth == BRUNT_HOLDS && silent > quiet)
		evidence.truth = BRUNT_UNKNOWN;
	return evidence;
}

/* Takes in what the samples say. A gap does not interrupt what is broken, but it does interrupt what held. */
static void remember(struct brunt_condition_state *state, struct evidence evidence, bool guard)
{
	if (evidence.truth == state->raw || (guard && evidence.truth == BRUNT_UNKNOWN && state->raw == BRUNT_BROKEN))
		return;
	state->raw = evidence.truth;
	state->raw_since = evidence.at;
}

static enum brunt_truth settle(struct brunt_condition_state *state, enum brunt_truth truth, uint64_t at)
{
	if (truth != state->truth) {
		state->truth = truth;
		state->since = at;
	}
	return truth;
}

static bool lasted(const struct brunt_condition *condition, const struct brunt_condition_state *state, uint64_t at)
{
	return at >= state->raw_since && at - state->raw_since >= condition->lasting;
}

static enum brunt_truth conclude(const struct brunt_condition *condition, struct evidence evidence, bool guard,
				 bool filled, struct brunt_condition_state *state)
{
	enum brunt_truth truth = evidence.truth;

	remember(state, evidence, guard);
	/* Not broken for long enough: what was said before still stands. */
	if (guard && truth == BRUNT_BROKEN && !lasted(condition, state, evidence.at))
		truth = state->truth;
	if (!guard && truth == BRUNT_HOLDS && !(filled && lasted(condition, state, evidence.at)))
		truth = BRUNT_UNKNOWN;
	return settle(state, truth, evidence.at);
}

enum brunt_truth brunt_condition_judge(const struct brunt_condition *condition, const struct brunt_series *series,
				       uint64_t not_before, uint64_t now, bool during,
				       struct brunt_condition_state *state)
{
	struct evidence evidence;
	uint64_t fill = condition->over;

	if (!condition->resolved_sli || now < not_before)
		return settle(state, BRUNT_UNKNOWN, now);
	if (!sees_what_hangs(condition))
		fill += patience(condition->resolved_sli);
	evidence = look(condition, series, not_before, now, during, state);
	return conclude(condition, evidence, guards(condition, during), now - not_before >= fill, state);
}

enum brunt_truth brunt_condition_judge_alive(const struct brunt_condition *condition, uint64_t alive, uint64_t now,
					     struct brunt_condition_state *state)
{
	struct bounds bounds = bounds_of(condition, false);
	struct evidence evidence = { BRUNT_BROKEN, now };

	state->no_data = false;
	state->reading = (struct brunt_reading){ .value = (double)alive, .count = 1, .newest = now };
	if (within(&bounds, (double)alive))
		evidence.truth = BRUNT_HOLDS;
	return conclude(condition, evidence, condition->kind == BRUNT_CONDITION_GUARDRAIL, true, state);
}
