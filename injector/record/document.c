/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The summary for machines: one document, stable keys, units in names. What is
 * not known is left out; what is infinite is null.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "brunt/memory.h"
#include "judge/story.h"

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static void set_text(json_t *object, const char *key, const char *text)
{
	if (text)
		set(object, key, json_string(text));
}

static void set_count(json_t *object, const char *key, uint64_t count)
{
	set(object, key, json_integer((json_int_t)count));
}

static json_t *real(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

/* "p99" and "_ns" */
static void set_value(json_t *object, const char *name, enum brunt_dimension dimension, double value)
{
	static const char *const units[_BRUNT_DIM_MAX] = {
		[BRUNT_DIM_NONE] = "",	     [BRUNT_DIM_TIME] = "_ns",	      [BRUNT_DIM_RATIO] = "_ratio",
		[BRUNT_DIM_SIZE] = "_bytes", [BRUNT_DIM_RATE] = "_bit_per_s",
	};
	char key[64];

	(void)snprintf(key, sizeof(key), "%s%s", name, units[dimension]);
	if (!isnan(value))
		set(object, key, real(value));
}

/* Moments are given from the run's start, which the document gives by the wall clock. */
static void set_moment(json_t *object, const char *key, const struct brunt_story *story, uint64_t at)
{
	if (at >= story->started_at)
		set_count(object, key, at - story->started_at);
}

static json_t *tell_fault(const struct brunt_story *story, const struct story_step *step)
{
	json_t *told = json_object();

	set_text(told, "kind", step->fault);
	set_text(told, "on", step->on);
	set_text(told, "undo", step->undo);
	set_text(told, "mechanism", step->mechanism);
	if (step->victims)
		set(told, "victims", json_incref(step->victims));
	set(told, "applied", json_boolean(step->applied));
	set_count(told, "applied_count", step->applies);
	set_count(told, "hits_min", step->hits_min);
	set_count(told, "seen", step->seen);
	set_count(told, "matched", step->matched);
	set_count(told, "hit", step->hit);
	if (step->unwanted)
		set_count(told, "unwanted", step->unwanted);
	set_text(told, "hit_noun", step->noun);
	set_text(told, "breakdown", step->breakdown);
	set_text(told, "near_miss", step->near_miss);
	if (step->matched)
		set(told, "hit_ratio", real((double)step->hit / (double)step->matched));
	if (step->applied)
		set_moment(told, "applied_after_ns", story, step->applied_at);
	if (step->hold)
		set_count(told, "hold_asked_ns", step->hold);
	if (step->reverted) {
		set_moment(told, "reverted_after_ns", story, step->reverted_at);
		set_count(told, "held_ns", step->held_for);
		if (step->pulse_on) {
			set_count(told, "pulses", step->pulses);
			set_count(told, "in_effect_ns", step->effect_for);
		}
		set(told, "clean", json_boolean(step->clean));
		set_text(told, "reverted_because", step->reason);
		set_text(told, "revert_why", step->revert_why);
	}
	if (step->lost)
		set_text(told, "lost_why", step->lost_why ? step->lost_why : "");
	return told;
}

static json_t *tell_steps(const struct brunt_story *story)
{
	json_t *all = json_array();

	for (size_t i = 0; i < story->step_count; i++) {
		const struct story_step *step = &story->steps[i];
		json_t *told = json_object();

		set_text(told, "name", step->name);
		set_text(told, "kind", step->kind);
		set_text(told, "outcome", step->outcome);
		set_text(told, "why", step->why);
		if (step->started)
			set_moment(told, "started_after_ns", story, step->started_at);
		if (step->started && step->ended && step->ended_at >= step->started_at)
			set_count(told, "took_ns", step->ended_at - step->started_at);
		if (step->is_fault)
			set(told, "fault", tell_fault(story, step));
		(void)json_array_append_new(all, told);
	}
	return all;
}

static json_t *tell_window(const struct brunt_story *story, const struct story_sli *sli, enum story_window window)
{
	static const enum brunt_of values[] = {
		BRUNT_OF_MEAN, BRUNT_OF_MIN, BRUNT_OF_MAX, BRUNT_OF_P50,
		BRUNT_OF_P90,  BRUNT_OF_P95, BRUNT_OF_P99, BRUNT_OF_P999,
	};
	struct brunt_reading reading;
	uint64_t from, to;
	json_t *told;

	if (!story_window(story, window, &from, &to))
		return NULL;
	told = json_object();
	set_moment(told, "from_after_ns", story, from);
	set_moment(told, "to_after_ns", story, to);
	if (!brunt_series_read(sli->series, BRUNT_OF_COUNT, from, to, &reading))
		set_count(told, "samples", (uint64_t)reading.value);
	if (!brunt_series_read(sli->series, BRUNT_OF_SUCCESS, from, to, &reading)) {
		set_count(told, "bad", reading.bad);
		set(told, "success_ratio", real(reading.value));
	}
	for (size_t i = 0; sli->has_value && i < BRUNT_COUNT(values); i++)
		if (!brunt_series_read(sli->series, values[i], from, to, &reading) &&
		    reading.count >= brunt_of_samples_needed(values[i]))
			set_value(told, brunt_of_name(values[i]), sli->dimension, reading.value);
	return told;
}

static json_t *tell_slis(const struct brunt_story *story)
{
	static const char *const windows[] = { "before", "during", "after" };
	json_t *all = json_array();

	for (size_t i = 0; i < story->sli_count; i++) {
		const struct story_sli *sli = &story->slis[i];
		json_t *told = json_object(), *causes = json_array();

		set_text(told, "name", sli->name);
		set_text(told, "kind", sli->kind);
		set_text(told, "dimension", brunt_dimension_name(sli->dimension));
		set_count(told, "every_ns", sli->every);
		set_count(told, "samples", brunt_series_count(sli->series));
		set_count(told, "good", sli->good);
		set_count(told, "bad", sli->bad);
		for (size_t j = 0; j < STORY_CAUSES_MAX && sli->causes[j].why; j++)
			(void)json_array_append_new(causes, json_pack("{s:s, s:I}", "why", sli->causes[j].why, "count",
								      (json_int_t)sli->causes[j].count));
		set(told, "bad_because", causes);
		for (enum story_window window = STORY_WINDOW_BEFORE; window < _STORY_WINDOW_MAX; window++) {
			json_t *in = tell_window(story, sli, window);

			if (in)
				set(told, windows[window], in);
		}
		(void)json_array_append_new(all, told);
	}
	return all;
}

static void set_judgement(json_t *object, const char *key, const struct brunt_story *story,
			  const struct story_condition *condition, const struct story_judgement *judgement)
{
	static const char *const truths[] = {
		[BRUNT_UNKNOWN] = "unknown", [BRUNT_HOLDS] = "holds", [BRUNT_BROKEN] = "broken"
	};
	json_t *told;

	if (!judgement->told)
		return;
	told = json_object();
	set_text(told, "truth", truths[judgement->truth]);
	set_moment(told, "since_after_ns", story, judgement->at);
	set_value(told, "value", condition->dimension, judgement->value);
	set_count(told, "samples", judgement->count);
	set_count(told, "bad", judgement->bad);
	set(object, key, told);
}

static json_t *tell_conditions(const struct brunt_story *story)
{
	static const char *const kinds[] = {
		[BRUNT_CONDITION_START_IF] = "start_if",   [BRUNT_CONDITION_STEADY] = "steady",
		[BRUNT_CONDITION_GUARDRAIL] = "guardrail", [BRUNT_CONDITION_WAIT] = "wait",
		[BRUNT_CONDITION_EXPECT] = "expect",
	};
	json_t *all = json_array();

	for (size_t i = 0; i < story->condition_count; i++) {
		const struct story_condition *condition = &story->conditions[i];
		json_t *told = json_object();

		set_text(told, "kind", kinds[condition->kind]);
		set_text(told, "text", condition->text);
		set_text(told, "sli", condition->sli);
		set_judgement(told, "now", story, condition, &condition->now);
		set_judgement(told, "before", story, condition, &condition->in[STORY_BEFORE]);
		set_judgement(told, "after", story, condition, &condition->in[STORY_AFTER]);
		set_judgement(told, "worst_during", story, condition, &condition->broke);
		set_judgement(told, "breach", story, condition, &condition->breach);
		(void)json_array_append_new(all, told);
	}
	return all;
}

static void tell_undo(json_t *document, const struct brunt_story *story)
{
	uint64_t took, limit;
	json_t *revert = json_object(), *recovery;

	if (story->reverted_told) {
		set(revert, "clean", json_boolean(story->reverted_clean));
		set_count(revert, "took_ns", story->revert_took);
		set_moment(revert, "after_ns", story, story->reverted_at);
		if (story->breach_at && story->reverted_at >= story->breach_at)
			set_count(revert, "since_breach_ns", story->reverted_at - story->breach_at);
		set(document, "revert", revert);
	} else {
		json_decref(revert);
	}
	if (!story_recovery(story, &took, &limit))
		return;
	recovery = json_object();
	set_count(recovery, "took_ns", took);
	set_count(recovery, "limit_ns", limit);
	set(document, "recovery", recovery);
}

static json_t *tell_targets(const struct brunt_story *story)
{
	json_t *all = json_array();

	for (size_t i = 0; i < story->target_count; i++) {
		const struct story_target *target = &story->targets[i];
		json_t *told = json_object();

		set_text(told, "name", target->name);
		if (target->resolved) {
			set_count(told, "matched", target->matched);
			set_count(told, "picked", target->picked);
			set(told, "share_ratio", real(target->share));
			if (target->items)
				set(told, "items", json_incref(target->items));
		}
		(void)json_array_append_new(all, told);
	}
	return all;
}

json_t *brunt_story_document(const struct brunt_story *story)
{
	json_t *reasons = NULL, *document = json_object();
	int status;
	enum brunt_verdict verdict = brunt_story_verdict(story, &status, &reasons);

	set_count(document, "schema", 1);
	set_text(document, "verdict", brunt_verdict_name(verdict));
	set(document, "exit", json_integer(status));
	set(document, "reasons", reasons ? reasons : json_array());
	set_text(document, "run", story->run);
	set_text(document, "plan", story->plan);
	if (story->start) {
		static const char *const copied[] = { "plan_path", "journal", "plan_sha256", "description",
						      "seed",	   "brunt",   "kernel",	     "user" };

		for (size_t i = 0; i < BRUNT_COUNT(copied); i++) {
			json_t *value = json_object_get(story->start, copied[i]);

			if (value)
				(void)json_object_set(document, copied[i], value);
		}
		set_text(document, "started", story_text(story->start, "wall"));
	}
	set_count(document, "took_ns", story->newest - story->started_at);
	set(document, "ended", json_boolean(story->entered[STORY_END]));
	set_text(document, "phase", story_phase_name(story->phase));
	tell_undo(document, story);
	set(document, "steps", tell_steps(story));
	set(document, "slis", tell_slis(story));
	set(document, "conditions", tell_conditions(story));
	set(document, "targets", tell_targets(story));
	(void)json_object_set(document, "notes", story->notes);
	return document;
}
