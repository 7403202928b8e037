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
#include <stdlib.h>
#include <string.h>

#include "judge/story_start.h"
#include "judge/story_take.h"

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

uint64_t take_number(const json_t *event, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(event, key));

	return value > 0 ? (uint64_t)value : 0;
}

int take_text(char **to, const json_t *event, const char *key)
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
		if (strcmp(story_phase_name(phase), story_text(event, "phase")) != 0)
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
	service->pid = (int64_t)take_number(event, "pid");
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
	return *story_text(event, "last_line") ? take_text(&service->last_line, event, "last_line") : 0;
}

static int on_target(struct brunt_story *story, const json_t *event, uint64_t at)
{
	(void)at;
	for (size_t i = 0; i < story->target_count; i++) {
		struct story_target *target = &story->targets[i];

		if (strcmp(target->name, story_text(event, "target")) != 0)
			continue;
		target->resolved = true;
		target->matched = take_number(event, "matched");
		target->picked = take_number(event, "picked");
		target->victims = take_number(event, "victims");
		target->share = json_number_value(json_object_get(event, "share_ratio"));
		json_decref(target->items);
		target->items = json_incref(json_object_get(event, "items"));
	}
	return 0;
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
	story->revert_took = take_number(event, "took_ns");
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
	r = take_text(&one->name, event, "name");
	return r ? r : take_text(&one->why, event, "why");
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
	{ "sample", take_sample },
	{ "fault.hits", take_hits },
	{ "condition", take_condition },
	{ "run.start", on_start },
	{ "role.end", on_role_end },
	{ "phase", on_phase },
	{ "service.start", on_service_start },
	{ "service.ready", on_service_ready },
	{ "service.end", on_service_end },
	{ "target", on_target },
	{ "step.start", take_step_start },
	{ "step.end", take_step_end },
	{ "fault.applied", take_applied },
	{ "fault.reverted", take_reverted },
	{ "fault.pulse", take_pulse },
	{ "fault.lost", take_lost },
	{ "guardrail", take_guardrail },
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
