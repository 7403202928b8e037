/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From events to a model of the run. Nothing here decides anything: it only
 * remembers what was said, by whom it was said of.
 *
 * Events come from a file that anybody may have written, so nothing is taken
 * for granted: not the order, not the types, not that a name is known.
 */
#include "judge/story.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/watch.h"
#include "judge/story_start.h"

static const char *const phase_names[] = {
	[STORY_NONE] = "none",	       [STORY_PREFLIGHT] = "preflight", [STORY_SERVICES] = "services",
	[STORY_START_IF] = "start_if", [STORY_BEFORE] = "before",	[STORY_METHOD] = "method",
	[STORY_REVERT] = "revert",     [STORY_FINALLY] = "finally",	[STORY_AFTER] = "after",
	[STORY_END] = "end",
};
_Static_assert(sizeof(phase_names) / sizeof(phase_names[0]) == _STORY_PHASE_MAX, "every phase has a name");

const char *story_phase_name(enum story_phase phase)
{
	return phase_names[phase];
}

const char *story_text(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? text : "";
}

static uint64_t number(const json_t *event, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(event, key));

	return value > 0 ? (uint64_t)value : 0;
}

/* Replaces a string of the story; keeps the old one when there is nothing to keep. */
static int keep(char **to, const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));
	char *copy;

	if (!text)
		return 0;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

/* null stands for infinity, which JSON cannot say. */
static double value_of(const json_t *event)
{
	const json_t *value = json_object_get(event, "value");

	if (json_is_null(value))
		return INFINITY;
	return json_is_number(value) ? json_number_value(value) : NAN;
}

struct story_step *story_step_find(const struct brunt_story *story, const char *name)
{
	for (size_t i = 0; i < story->step_count; i++)
		if (!strcmp(story->steps[i].name, name))
			return &story->steps[i];
	return NULL;
}

struct story_sli *story_sli_find(const struct brunt_story *story, const char *name)
{
	for (size_t i = 0; i < story->sli_count; i++)
		if (!strcmp(story->slis[i].name, name))
			return &story->slis[i];
	return NULL;
}

static struct story_condition *condition_of(const struct brunt_story *story, const json_t *event)
{
	const json_t *index = json_object_get(event, "condition");

	for (size_t i = 0; json_is_integer(index) && i < story->condition_count; i++)
		if (story->conditions[i].index == json_integer_value(index))
			return &story->conditions[i];
	return NULL;
}

static struct story_step *step_of(const struct brunt_story *story, const json_t *event)
{
	return story_step_find(story, story_text(event, "step"));
}

static struct story_service *service_of(const struct brunt_story *story, const json_t *event)
{
	for (size_t i = 0; i < story->service_count; i++)
		if (!strcmp(story->services[i].name, story_text(event, "service")))
			return &story->services[i];
	return NULL;
}

/* ---- one function per event ---- */

static int on_start(struct brunt_story *story, const json_t *event, uint64_t at)
{
	(void)at;
	return story->start ? 0 : story_start(story, event);
}

static int on_role_end(struct brunt_story *story, const json_t *event, uint64_t at)
{
	(void)at;
	if (json_is_false(json_object_get(event, "expected")))
		return json_array_append(story->roles, (json_t *)event) ? -ENOMEM : 0;
	return 0;
}

static int on_phase(struct brunt_story *story, const json_t *event, uint64_t at)
{
	for (enum story_phase phase = STORY_PREFLIGHT; phase < _STORY_PHASE_MAX; phase++) {
		if (strcmp(phase_names[phase], story_text(event, "phase")) != 0)
			continue;
		story->phase = phase;
		if (!story->entered[phase])
			story->entered_at[phase] = at;
		story->entered[phase] = true;
	}
	return 0;
}

static int on_service_start(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_service *service = service_of(story, event);

	(void)at;
	if (!service)
		return 0;
	service->pid = (int64_t)number(event, "pid");
	service->up = true;
	service->failed = false;
	service->starts++;
	return 0;
}

static int on_service_ready(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_service *service = service_of(story, event);

	(void)at;
	if (service)
		service->ready = true;
	return 0;
}

static int on_service_end(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_service *service = service_of(story, event);

	(void)at;
	if (!service)
		return 0;
	service->up = service->ready = false;
	service->status = json_integer_value(json_object_get(event, "status"));
	service->failed = json_is_false(json_object_get(event, "expected")) &&
			  !json_is_true(json_object_get(event, "restarting"));
	return 0;
}

static int on_target(struct brunt_story *story, const json_t *event, uint64_t at)
{
	(void)at;
	for (size_t i = 0; i < story->target_count; i++) {
		struct story_target *target = &story->targets[i];

		if (strcmp(target->name, story_text(event, "target")) != 0)
			continue;
		target->resolved = true;
		target->matched = number(event, "matched");
		target->picked = number(event, "picked");
		target->victims = number(event, "victims");
		target->share = json_number_value(json_object_get(event, "share_ratio"));
		json_decref(target->items);
		target->items = json_incref(json_object_get(event, "items"));
	}
	return 0;
}

static int on_step_start(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_step *step = step_of(story, event);

	if (!step)
		return 0;
	step->started = true;
	step->started_at = at;
	return 0;
}

static int on_step_end(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_step *step = step_of(story, event);
	int r;

	if (!step || step->ended)
		return 0;
	step->ended = true;
	step->ended_at = at;
	r = keep(&step->outcome, event, "outcome");
	return r ? r : keep(&step->why, event, "why");
}

static int on_applied(struct brunt_story *story, const json_t *event, uint64_t at)
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
	if (json_is_array(json_object_get(event, "victims"))) {
		json_decref(step->victims);
		step->victims = json_incref(json_object_get(event, "victims"));
	}
	return keep(&step->mechanism, event, "mechanism");
}

static int on_hits(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_step *step = step_of(story, event);

	(void)at;
	if (!step)
		return 0;
	step->seen = number(event, "seen");
	step->matched = number(event, "matched");
	step->hit = number(event, "hit");
	return keep(&step->near_miss, event, "near_miss");
}

static int on_reverted(struct brunt_story *story, const json_t *event, uint64_t at)
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
	step->reverted = true;
	step->reverted_at = at;
	/* Taken as unclean unless it says otherwise; a later look may find it clean (recovery). */
	step->clean = json_is_true(json_object_get(event, "clean"));
	if (number(event, "hit") > step->hit)
		step->hit = number(event, "hit");
	if (at > story->reverted_at)
		story->reverted_at = at;
	r = keep(&step->reason, event, "reason");
	return r ? r : keep(&step->revert_why, event, "why");
}

static int on_lost(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_step *step = step_of(story, event);

	(void)at;
	if (!step)
		return 0;
	step->lost = true;
	step->target_gone = json_is_true(json_object_get(event, "target_gone"));
	return keep(&step->lost_why, event, "why");
}

/* At most STORY_CAUSES_MAX kinds are told apart; the last stands for the rest. */
static int count_cause(struct story_sli *sli, const char *why)
{
	for (size_t i = 0; i < STORY_CAUSES_MAX; i++) {
		if (!sli->causes[i].why) {
			sli->causes[i].why = strdup(i + 1 < STORY_CAUSES_MAX ? why : "other");
			if (!sli->causes[i].why)
				return -ENOMEM;
		} else if (strcmp(sli->causes[i].why, why) != 0 && i + 1 < STORY_CAUSES_MAX) {
			continue;
		}
		sli->causes[i].count++;
		return 0;
	}
	return 0;
}

static int on_sample(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_sli *sli = story_sli_find(story, story_text(event, "sli"));
	const json_t *good = json_object_get(event, "good");
	struct brunt_sample sample = { .at = number(event, "scheduled_ns") };

	if (!sli)
		return 0;
	if (!sample.at)
		sample.at = at;
	sample.done = sample.at + number(event, "took_ns");
	sample.judged = json_is_boolean(good);
	sample.good = json_is_true(good);
	sample.value = value_of(event);
	sample.has_value = !isnan(sample.value);
	if (!sample.has_value)
		sample.value = 0;
	sli->good += sample.judged && sample.good;
	sli->bad += sample.judged && !sample.good;
	if (sample.judged && !sample.good &&
	    count_cause(sli, *story_text(event, "why") ? story_text(event, "why") : "no reason given"))
		return -ENOMEM;
	return brunt_series_add(sli->series, &sample);
}

static enum brunt_truth truth_of(const json_t *event)
{
	const char *truth = story_text(event, "truth");

	if (!strcmp(truth, "holds"))
		return BRUNT_HOLDS;
	return strcmp(truth, "broken") != 0 ? BRUNT_UNKNOWN : BRUNT_BROKEN;
}

static int on_condition(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_condition *condition = condition_of(story, event);
	struct story_judgement judgement = {
		.told = true,
		.truth = truth_of(event),
		.at = at,
		.value = value_of(event),
		.count = number(event, "count"),
		.bad = number(event, "bad"),
	};

	if (!condition)
		return 0;
	condition->now = judgement;
	if (!json_is_true(json_object_get(event, "during"))) {
		for (enum story_phase phase = STORY_PREFLIGHT; phase < _STORY_PHASE_MAX; phase++)
			if (!strcmp(phase_names[phase], story_text(event, "phase")))
				condition->in[phase] = judgement;
		if (strcmp(story_text(event, "phase"), "method") != 0)
			return 0;
	}
	if (judgement.truth != BRUNT_BROKEN)
		return 0;
	if (!condition->broke.told || isnan(condition->broke.value) ||
	    story_condition_distance(condition, judgement.value, true) <
		    story_condition_distance(condition, condition->broke.value, true))
		condition->broke = judgement;
	return 0;
}

static int on_guardrail(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_condition *condition = condition_of(story, event);

	if (!condition) {
		story->guardrail = -2; /* one that run.start did not tell of: a breach nevertheless */
		return 0;
	}
	if (condition->breached)
		return 0;
	condition->breached = true;
	condition->breach =
		(struct story_judgement){ .told = true, .truth = BRUNT_BROKEN, .at = at, .value = value_of(event) };
	if (story->guardrail < 0)
		story->guardrail = condition - story->conditions;
	if (!story->breach_at)
		story->breach_at = number(event, "sample_ns");
	return keep(&condition->breach_why, event, "why");
}

static int on_abort(struct brunt_story *story, const json_t *event, uint64_t at)
{
	(void)at;
	return json_array_append(story->aborts, (json_t *)event) ? -ENOMEM : 0;
}

static int on_reverted_all(struct brunt_story *story, const json_t *event, uint64_t at)
{
	story->reverted_told = true;
	story->reverted_clean = json_is_true(json_object_get(event, "clean"));
	story->revert_took = number(event, "took_ns");
	if (at > story->reverted_at)
		story->reverted_at = at;
	return 0;
}

static int on_finally(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_finally *all = reallocarray(story->finally, story->finally_count + 1, sizeof(*all));
	struct story_finally *one;
	int r;

	(void)at;
	if (!all)
		return -ENOMEM;
	story->finally = all;
	one = &all[story->finally_count];
	*one = (struct story_finally){ .status = json_integer_value(json_object_get(event, "status")) };
	story->finally_count++;
	r = keep(&one->name, event, "name");
	return r ? r : keep(&one->why, event, "why");
}

static int on_note(struct brunt_story *story, const json_t *event, uint64_t at)
{
	json_t *text = json_object_get(event, "text");

	(void)at;
	if (!json_is_string(text) || story->note_count++ >= STORY_NOTES_MAX)
		return 0;
	return json_array_append(story->notes, text) ? -ENOMEM : 0;
}

static int on_verdict(struct brunt_story *story, const json_t *event, uint64_t at)
{
	(void)at;
	json_decref(story->verdict);
	story->verdict = json_incref((json_t *)event);
	return 0;
}

static const struct {
	const char *name;
	int (*take)(struct brunt_story *story, const json_t *event, uint64_t at);
} takers[] = {
	{ "sample", on_sample },
	{ "fault.hits", on_hits },
	{ "condition", on_condition },
	{ "run.start", on_start },
	{ "role.end", on_role_end },
	{ "phase", on_phase },
	{ "service.start", on_service_start },
	{ "service.ready", on_service_ready },
	{ "service.end", on_service_end },
	{ "target", on_target },
	{ "step.start", on_step_start },
	{ "step.end", on_step_end },
	{ "fault.applied", on_applied },
	{ "fault.reverted", on_reverted },
	{ "fault.lost", on_lost },
	{ "guardrail", on_guardrail },
	{ "abort", on_abort },
	{ "reverted", on_reverted_all },
	{ "finally", on_finally },
	{ "note", on_note },
	{ "verdict", on_verdict },
};

int brunt_story_feed(struct brunt_story *story, const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	const json_t *at = json_object_get(event, "at_ns");

	if (!json_is_object(event) || !name || !json_is_integer(at) || json_integer_value(at) < 0)
		return -EINVAL;

	uint64_t when = (uint64_t)json_integer_value(at);

	if (when > story->newest)
		story->newest = when;
	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++)
		if (!strcmp(takers[i].name, name))
			return takers[i].take(story, event, when);
	return 0;
}
