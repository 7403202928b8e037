/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of steps and their faults.
 */
#include <errno.h>

#include "judge/story_take.h"

static struct story_step *step_of(const struct brunt_story *story, const json_t *event)
{
	return story_step_find(story, story_text(event, "step"));
}

int take_step_start(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_step *step = step_of(story, event);

	if (!step)
		return 0;
	step->started = true;
	step->started_at = at;
	return 0;
}

int take_step_end(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_step *step = step_of(story, event);
	int r;

	if (!step || step->ended)
		return 0;
	step->ended = true;
	step->ended_at = at;
	r = take_text(&step->outcome, event, "outcome");
	return r ? r : take_text(&step->why, event, "why");
}

static void begin_pulse(struct story_step *step, uint64_t at)
{
	if (step->on_at)
		return;
	step->on_at = at;
	step->pulses++;
}

static void end_pulse(struct story_step *step, uint64_t at)
{
	if (step->on_at && at > step->on_at)
		step->effect_for += at - step->on_at;
	step->on_at = 0;
}

int take_pulse(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_step *step = step_of(story, event);

	if (!step || !step->applied || step->reverted)
		return 0;
	if (json_is_true(json_object_get(event, "on")))
		begin_pulse(step, at);
	else
		end_pulse(step, at);
	return 0;
}

int take_applied(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_step *step = step_of(story, event);

	if (!step)
		return 0;
	if (!story->applied_at)
		story->applied_at = at;
	if (!step->is_event && (!step->applied || step->reverted))
		story->held++;
	step->applied = true;
	step->reverted = false;
	step->applied_at = at;
	step->applies++;
	if (step->pulse_on)
		begin_pulse(step, at);
	if (json_is_array(json_object_get(event, "victims"))) {
		json_decref(step->victims);
		step->victims = json_incref(json_object_get(event, "victims"));
	}
	return take_text(&step->mechanism, event, "mechanism");
}

int take_hits(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_step *step = step_of(story, event);

	(void)at;
	if (!step)
		return 0;
	step->seen = take_number(event, "seen");
	step->matched = take_number(event, "matched");
	step->hit = take_number(event, "hit");
	step->unwanted = take_number(event, "unwanted");
	/* What came near before it was hit is no explanation any more. */
	free(step->near_miss);
	step->near_miss = NULL;
	free(step->breakdown);
	step->breakdown = NULL;
	return take_text(&step->near_miss, event, "near_miss") ?: take_text(&step->breakdown, event, "breakdown");
}

int take_reverted(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_step *step = step_of(story, event);
	int r;

	if (!step)
		return 0;
	if (step->applied && !step->reverted && !step->is_event) {
		if (story->held)
			story->held--;
		if (at > step->applied_at)
			step->held_for += at - step->applied_at;
	}
	end_pulse(step, at);
	step->reverted = true;
	step->reverted_at = at;
	/* Taken as unclean unless it says otherwise; a later look may find it clean (recovery). */
	step->clean = json_is_true(json_object_get(event, "clean"));
	if (take_number(event, "hit") > step->hit)
		step->hit = take_number(event, "hit");
	if (at > story->reverted_at)
		story->reverted_at = at;
	r = take_text(&step->reason, event, "reason");
	return r ? r : take_text(&step->revert_why, event, "why");
}

int take_lost(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_step *step = step_of(story, event);

	(void)at;
	if (!step)
		return 0;
	step->lost = true;
	step->target_gone = json_is_true(json_object_get(event, "target_gone"));
	return take_text(&step->lost_why, event, "why");
}
