/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What speaks against a run: of its faults, its steps, its steady state; and
 * what a run must have told in order to pass.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "judge/verdict.h"

static bool has_outcome(const struct story_step *step, const char *outcome)
{
	return step->ended && step->outcome && !strcmp(step->outcome, outcome);
}

/* ---- faults ---- */

static void find_unclean(const struct brunt_story *story, const struct story_step *step, struct findings *findings)
{
	if (!step->applied || step->is_event)
		return;
	if (step->reverted && !step->clean)
		verdict_find(findings, BRUNT_RESIDUE, step->name,
			     "'%s' could not be undone%s%s; run `brunt recover`, and look at what it says", step->name,
			     step->revert_why ? ": " : "", step->revert_why ? step->revert_why : "");
	/* The holder reports every fault that it read back. Without that word, and with the run at its end, nobody
	 * knows. */
	else if (!step->reverted && story->entered[STORY_END])
		verdict_find(findings, BRUNT_RESIDUE, step->name,
			     "nobody read back that '%s' is gone; run `brunt recover`, and look at what it says",
			     step->name);
}

static void find_bite(const struct brunt_story *story, const struct story_step *step, struct findings *findings)
{
	bool finished = step->ended || step->reverted || story->entered[STORY_END];

	if (step->lost && !step->target_gone)
		verdict_find(findings, BRUNT_ERROR, step->lost_why ? step->lost_why : step->name,
			     "'%s' was lost while it should have been held: %s", step->name,
			     step->lost_why ? step->lost_why : "no reason given");
	if (!step->applied || !finished || step->hit >= step->hits_min)
		return;
	verdict_find(findings, BRUNT_INCONCLUSIVE, step->name, "'%s': %llu %s, asked at least %llu%s%s", step->name,
		     (unsigned long long)step->hit, step->noun ? step->noun : "hits",
		     (unsigned long long)step->hits_min, step->near_miss && *step->near_miss ? ": " : "",
		     step->near_miss ? step->near_miss : "");
}

void verdict_find_faults(const struct brunt_story *story, struct findings *findings)
{
	for (size_t i = 0; i < story->step_count; i++) {
		if (!story->steps[i].is_fault)
			continue;
		find_unclean(story, &story->steps[i], findings);
		find_bite(story, &story->steps[i], findings);
	}
	/* Found by the recoverer, say: no fault of the method by name. */
	if (story->reverted_told && !story->reverted_clean && !findings->found[0])
		verdict_find(findings, BRUNT_RESIDUE, "",
			     "the host is not clean: something that was injected is left; run `brunt recover`");
}

/* ---- steps ---- */

static void find_ends(const struct brunt_story *story, const struct story_step *step, struct findings *findings)
{
	const char *why = step->why ? step->why : "no reason given";

	if (has_outcome(step, "missed") && !strcmp(step->kind, "wait"))
		verdict_find(findings, BRUNT_INCONCLUSIVE, step->name, "'%s' waited in vain: %s", step->name, why);
	else if (has_outcome(step, "missed"))
		verdict_find(findings, BRUNT_FAILED, step->name, "'%s' was not met: %s", step->name, why);
	else if (has_outcome(step, "failed") && strcmp(step->kind, "parallel") != 0)
		verdict_find(findings, step->is_fault ? BRUNT_ERROR : BRUNT_FAILED, step->name, "'%s' failed: %s",
			     step->name, why);
	else if (has_outcome(step, "error"))
		verdict_find(findings, BRUNT_ERROR, why, "'%s': %s", step->name, why);
	else if (has_outcome(step, "refused"))
		verdict_find(findings, story->applied_at ? BRUNT_INCONCLUSIVE : BRUNT_REFUSED, step->name,
			     "'%s' was refused: %s", step->name, why);
}

void verdict_find_steps(const struct brunt_story *story, struct findings *findings)
{
	for (size_t i = 0; i < story->step_count; i++)
		find_ends(story, &story->steps[i], findings);
}

/* ---- the steady state ---- */

static void find_during(const struct story_condition *condition, struct findings *findings)
{
	char value[64], limit[64];
	double bound = condition->has_during ? condition->during : condition->has_min ? condition->min : condition->max;

	/* Without a bound of its own for that time, the hypothesis holds as it stands: or an outage would pass. */
	if (!condition->broke.told)
		return;
	(void)brunt_quantity_print(bound, condition->dimension, limit, sizeof(limit));
	if (isnan(condition->broke.value))
		verdict_find(findings, BRUNT_FAILED, "",
			     "steady state '%s' had no data while faults were held (bound %s)", condition->text, limit);
	else
		verdict_find(findings, BRUNT_FAILED, "", "steady state '%s' %s to %s while faults were held (bound %s)",
			     condition->text, condition->has_min ? "fell" : "rose",
			     story_value(condition->broke.value, condition->dimension, value, sizeof(value)), limit);
}

/* A judgement is made at samples and ticks: so much later than the moment itself is still in time. */
#define TICK (250 * BRUNT_MS)

static void find_after(const struct brunt_story *story, const struct story_condition *condition,
		       struct findings *findings)
{
	const struct story_judgement *after = &condition->in[STORY_AFTER];
	uint64_t from = story->entered_at[STORY_AFTER];
	char value[64], limit[64];

	if (!story->entered[STORY_AFTER] || !story->entered[STORY_END])
		return;
	(void)brunt_duration_print(condition->after_within, limit, sizeof(limit));
	if (after->truth == BRUNT_HOLDS && after->at > from + condition->after_within + TICK)
		verdict_find(findings, BRUNT_FAILED, "", "steady state '%s' came back only after %s (limit %s)",
			     condition->text, brunt_duration_print(after->at - from, value, sizeof(value)), limit);
	else if (after->told && after->truth == BRUNT_BROKEN)
		verdict_find(findings, BRUNT_FAILED, "",
			     "steady state '%s' did not come back within %s of the undo: %s", condition->text, limit,
			     story_value(after->value, condition->dimension, value, sizeof(value)));
	else if (after->truth != BRUNT_HOLDS)
		verdict_find(findings, BRUNT_INCONCLUSIVE, "",
			     "steady state '%s' could not be judged within %s of the undo: too few samples",
			     condition->text, limit);
}

/* What kept the method from starting, where no abort says it. */
static void find_before(const struct brunt_story *story, const struct story_condition *condition,
			enum story_phase phase, struct findings *findings)
{
	const struct story_judgement *before = &condition->in[phase];
	char value[64];

	if (!story->entered[phase] || !story->entered[STORY_END] || story->entered[STORY_METHOD] ||
	    json_array_size(story->aborts) || before->truth == BRUNT_HOLDS)
		return;
	(void)story_value(before->told ? before->value : NAN, condition->dimension, value, sizeof(value));
	if (phase == STORY_BEFORE)
		verdict_find(findings, BRUNT_UNSTEADY, condition->text,
			     "steady state '%s' did not hold before the start, nothing was injected: %s",
			     condition->text, value);
	else
		verdict_find(findings, BRUNT_REFUSED, condition->text, "'%s' of start_if was not met: %s",
			     condition->text, value);
}

void verdict_find_steady(const struct brunt_story *story, struct findings *findings)
{
	for (size_t i = 0; i < story->condition_count; i++) {
		const struct story_condition *condition = &story->conditions[i];

		if (condition->kind == BRUNT_CONDITION_START_IF)
			find_before(story, condition, STORY_START_IF, findings);
		if (condition->kind != BRUNT_CONDITION_STEADY)
			continue;
		find_before(story, condition, STORY_BEFORE, findings);
		find_during(condition, findings);
		find_after(story, condition, findings);
	}
}

/* ---- what must have been told ---- */

static void need_step(const struct story_step *step, struct findings *findings)
{
	bool passed_over = has_outcome(step, "skipped") || has_outcome(step, "aborted");

	if (!step->ended)
		verdict_find(findings, BRUNT_INCONCLUSIVE, "", "step '%s' %s", step->name,
			     step->started ? "never ended" : "was never reached");
	else if (!step->started && !passed_over)
		verdict_find(findings, BRUNT_INCONCLUSIVE, "", "the journal does not say when step '%s' began",
			     step->name);
	else if (step->is_fault && passed_over)
		verdict_find(findings, BRUNT_INCONCLUSIVE, "", "fault '%s' was skipped%s%s", step->name,
			     step->why ? ": " : "", step->why ? step->why : "");
	else if (step->is_fault && !step->applied)
		verdict_find(findings, BRUNT_INCONCLUSIVE, "", "fault '%s' was never applied", step->name);
	else if (has_outcome(step, "aborted"))
		verdict_find(findings, BRUNT_INCONCLUSIVE, "", "step '%s' was aborted", step->name);
}

static bool need_steady(const struct brunt_story *story, struct findings *findings)
{
	bool any = false;

	for (size_t i = 0; i < story->condition_count; i++) {
		const struct story_condition *condition = &story->conditions[i];

		if (condition->kind != BRUNT_CONDITION_STEADY)
			continue;
		any = true;
		if (condition->in[STORY_BEFORE].truth != BRUNT_HOLDS)
			verdict_find(findings, BRUNT_INCONCLUSIVE, "",
				     "steady state '%s' was not seen to hold before the faults", condition->text);
		if (condition->in[STORY_AFTER].truth != BRUNT_HOLDS)
			verdict_find(findings, BRUNT_INCONCLUSIVE, "",
				     "steady state '%s' was not seen to hold after the faults", condition->text);
	}
	return any;
}

void verdict_find_missing(const struct brunt_story *story, struct findings *findings)
{
	bool judged = need_steady(story, findings), injected = false, holds = false;

	for (size_t i = 0; i < story->step_count; i++) {
		const struct story_step *step = &story->steps[i];

		need_step(step, findings);
		judged |= !strcmp(step->kind, "expect") || !strcmp(step->kind, "run");
		injected |= step->applied;
		holds |= step->applied && !step->is_event;
	}
	if (!judged)
		verdict_find(findings, BRUNT_INCONCLUSIVE, "",
			     "nothing was judged: the experiment has no steady_state, no expect and no run");
	if (!injected)
		verdict_find(findings, BRUNT_INCONCLUSIVE, "", "nothing was injected");
	if (!story->entered[STORY_METHOD])
		verdict_find(findings, BRUNT_INCONCLUSIVE, "", "the method never began");
	if (holds && !story->reverted_told)
		verdict_find(findings, BRUNT_ERROR, "",
			     "nobody read back that everything is gone; run `brunt recover`");
}

void verdict_find_praise(const struct brunt_story *story, struct findings *findings)
{
	uint64_t took, limit, faults = 0;
	char how_long[64], how_long_limit[64];

	for (size_t i = 0; i < story->step_count; i++)
		faults += story->steps[i].applied;
	if (story_recovery(story, &took, &limit))
		verdict_find(findings, BRUNT_PASSED, "",
			     "the steady state held before and during, and again %s after the undo (limit %s)",
			     brunt_duration_print(took, how_long, sizeof(how_long)),
			     brunt_duration_print(limit, how_long_limit, sizeof(how_long_limit)));
	verdict_find(findings, BRUNT_PASSED, "", "%llu fault%s bit, and everything was removed and read back",
		     (unsigned long long)faults, faults == 1 ? "" : "s");
}
