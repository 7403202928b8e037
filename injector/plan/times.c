/* SPDX-License-Identifier: Apache-2.0 */
/* How long a method takes, and how a bound behaves: for `brunt check`. */
#include "plan/plan.h"

#include <math.h>

/* Of one step alone: what is sure, and the most. */
static void step_times(const struct brunt_step *step, uint64_t *ret_fixed, uint64_t *ret_most)
{
	uint64_t fixed = 0, most = 0;

	switch (step->kind) {
	case BRUNT_STEP_FAULT:
		if (!step->background)
			fixed = step->hold + (step->times > 0 ? step->times - 1 : 0) * step->every;
		most = fixed;
		break;
	case BRUNT_STEP_OBSERVE:
		fixed = most = step->observe;
		break;
	case BRUNT_STEP_WAIT:
	case BRUNT_STEP_EXPECT:
		most = step->within;
		break;
	case BRUNT_STEP_RUN:
		most = step->timeout;
		break;
	case BRUNT_STEP_PARALLEL:
		BRUNT_FOREACH (struct brunt_step *, child, step->parallel) {
			uint64_t child_fixed, child_most;

			step_times(*child, &child_fixed, &child_most);
			fixed = child_fixed > fixed ? child_fixed : fixed;
			most = child_most > most ? child_most : most;
		}
		break;
	default:
		break;
	}
	*ret_fixed = fixed;
	*ret_most = most;
}

static bool has_fault(const struct brunt_step *step)
{
	if (step->kind == BRUNT_STEP_FAULT)
		return true;
	if (step->kind == BRUNT_STEP_PARALLEL)
		BRUNT_FOREACH (struct brunt_step *, child, step->parallel)
			if ((*child)->kind == BRUNT_STEP_FAULT)
				return true;
	return false;
}

static bool is_reverted(const struct brunt_plan *plan, const struct brunt_step *fault)
{
	for (uint32_t i = 0; i < plan->step_count; i++)
		if (plan->steps[i]->revert_step == fault)
			return true;
	return false;
}

void brunt_plan_times(const struct brunt_plan *plan, struct brunt_plan_times *ret)
{
	struct brunt_plan_times times = { 0 };
	uint64_t background_fixed = 0, background_most = 0; /* when the last background fault ends */
	bool faulted = false;

	BRUNT_FOREACH (const struct brunt_step, step, plan->method) {
		uint64_t fixed, most, repeats;

		faulted |= has_fault(step);
		step_times(step, &fixed, &most);
		/* The method waits for background faults that end by themselves. */
		if (step->kind == BRUNT_STEP_FAULT && step->background && !is_reverted(plan, step)) {
			repeats = (step->times > 0 ? step->times - 1 : 0) * step->every;
			if (times.fixed_from_fault + step->hold + repeats > background_fixed)
				background_fixed = times.fixed_from_fault + step->hold + repeats;
			if (times.most + step->hold + repeats > background_most)
				background_most = times.most + step->hold + repeats;
		}
		if (faulted)
			times.fixed_from_fault += fixed;
		times.most += most;
		times.approval |= step->kind == BRUNT_STEP_APPROVE;
	}
	if (background_fixed > times.fixed_from_fault)
		times.fixed_from_fault = background_fixed;
	if (background_most > times.most)
		times.most = background_most;
	*ret = times;
}

static double quantile_of(int of)
{
	switch (of) {
	case BRUNT_OF_P50:
		return 0.5;
	case BRUNT_OF_P90:
		return 0.9;
	case BRUNT_OF_P95:
		return 0.95;
	case BRUNT_OF_P99:
		return 0.99;
	case BRUNT_OF_P999:
		return 0.999;
	default:
		return NAN;
	}
}

/* The least number of samples beyond a maximum that brings the nearest-rank quantile beyond it, less one. */
static uint64_t beyond(double quantile, uint64_t samples, bool max)
{
	double rank = ceil(quantile * (double)samples - 1e-9);

	if (rank < 1)
		rank = 1;
	return max ? samples - (uint64_t)rank : (uint64_t)rank - 1;
}

void brunt_plan_bound(const struct brunt_condition *condition, const struct brunt_quantity *quantity,
		      struct brunt_bound *ret)
{
	const struct brunt_sli *sli = condition->resolved_sli;
	double quantile = quantile_of(condition->of);
	struct brunt_bound bound = { .samples = 1 };

	if (condition->over > 0)
		bound.samples = condition->over / sli->every;
	bound.fixed = sli->kind != BRUNT_SLI_LINES || condition->over == 0;
	if (condition->of == BRUNT_OF_SUCCESS && condition->has_min) {
		bound.has_tolerates = true;
		bound.tolerates = (uint64_t)floor((1 - quantity->value) * (double)bound.samples + 1e-9);
	} else if (!isnan(quantile)) {
		bound.has_tolerates = true;
		bound.tolerates = beyond(quantile, bound.samples, !condition->has_min);
	}
	/* Of a mean or a count, one bad sample says nothing. */
	if (bound.has_tolerates)
		bound.breaks = bound.tolerates < bound.samples;
	else
		bound.breaks = condition->of == BRUNT_OF_LAST ||
			       (condition->of == BRUNT_OF_MAX && condition->has_max) ||
			       (condition->of == BRUNT_OF_MIN && condition->has_min);
	bound.breaks &= bound.fixed;
	/* A sample that hangs is known to be bad at its timeout; that it breaks the bound takes all that are tolerated.
	 */
	bound.reacts = (bound.tolerates + 1) * sli->every + sli->timeout + condition->lasting;
	*ret = bound;
}
