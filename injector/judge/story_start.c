/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and freeing a story, and its first event.
 */
#include "judge/story_start.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "brunt/error.h"
#include "brunt/memory.h"

int brunt_story_new(struct brunt_story **ret)
{
	struct brunt_story *story = calloc(1, sizeof(*story));

	if (!story)
		return -ENOMEM;
	story->guardrail = -1;
	story->aborts = json_array();
	story->roles = json_array();
	story->notes = json_array();
	if (!story->aborts || !story->roles || !story->notes) {
		brunt_story_free(story);
		return -ENOMEM;
	}
	*ret = story;
	return 0;
}

static void step_done(struct story_step *step)
{
	free(step->outcome);
	free(step->why);
	free(step->mechanism);
	free(step->reason);
	free(step->revert_why);
	free(step->near_miss);
	free(step->breakdown);
	free(step->lost_why);
	json_decref(step->victims);
}

void brunt_story_free(struct brunt_story *story)
{
	if (!story)
		return;
	for (size_t i = 0; i < story->step_count; i++)
		step_done(&story->steps[i]);
	for (size_t i = 0; i < story->sli_count; i++) {
		brunt_series_free(story->slis[i].series);
		for (size_t j = 0; j < STORY_CAUSES_MAX; j++)
			free(story->slis[i].causes[j].why);
	}
	for (size_t i = 0; i < story->condition_count; i++)
		free(story->conditions[i].breach_why);
	for (size_t i = 0; i < story->target_count; i++)
		json_decref(story->targets[i].items);
	for (size_t i = 0; i < story->finally_count; i++) {
		free(story->finally[i].name);
		free(story->finally[i].why);
	}
	free(story->steps);
	free(story->slis);
	free(story->conditions);
	free(story->targets);
	for (size_t i = 0; i < story->service_count; i++)
		free(story->services[i].last_line);
	free(story->services);
	free(story->finally);
	json_decref(story->aborts);
	json_decref(story->roles);
	json_decref(story->notes);
	json_decref(story->verdict);
	json_decref(story->start);
	free(story);
}

/* ---- run.start ---- */

static const char *text_or_null(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static uint64_t number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

static int64_t index_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

static bool bound(const json_t *object, const char *key, double *ret)
{
	const json_t *value = json_object_get(object, key);

	*ret = json_number_value(value);
	return json_is_number(value);
}

static enum brunt_dimension dimension_of(const json_t *object)
{
	for (enum brunt_dimension i = BRUNT_DIM_NONE; i < _BRUNT_DIM_MAX; i++)
		if (!strcmp(story_text(object, "dimension"), brunt_dimension_name(i)))
			return i;
	return BRUNT_DIM_NONE;
}

static void start_step(const json_t *told, struct story_step *step)
{
	const json_t *hits_min = json_object_get(told, "hits_min");

	step->name = story_text(told, "name");
	step->kind = story_text(told, "kind");
	step->fault = text_or_null(told, "fault");
	step->on = text_or_null(told, "on");
	step->noun = text_or_null(told, "noun");
	step->undo = text_or_null(told, "undo");
	step->since = text_or_null(told, "since");
	step->index = index_of(told, "index");
	step->parent = index_of(told, "parent");
	step->hold = number(told, "hold_ns");
	step->hits_min = json_is_integer(hits_min) ? number(told, "hits_min") : 1;
	step->pulse_on = number(json_object_get(told, "pulse"), "on_ns");
	step->pulse_off = number(json_object_get(told, "pulse"), "off_ns");
	step->background = json_is_true(json_object_get(told, "background"));
	step->is_fault = !strcmp(step->kind, "fault");
	/* brunt_undo_text(BRUNT_UNDO_EVENT) */
	step->is_event = step->is_fault && step->undo && !strncmp(step->undo, "cannot", 6);
}

static int start_sli(const json_t *told, struct story_sli *sli)
{
	sli->name = story_text(told, "name");
	sli->kind = story_text(told, "kind");
	sli->dimension = dimension_of(told);
	sli->has_value = json_is_true(json_object_get(told, "has_value"));
	sli->every = number(told, "every_ns");
	return brunt_series_new(&sli->series);
}

static void start_condition(const json_t *told, struct story_condition *condition)
{
	static const char *const kinds[] = {
		[BRUNT_CONDITION_START_IF] = "start_if",   [BRUNT_CONDITION_STEADY] = "steady",
		[BRUNT_CONDITION_GUARDRAIL] = "guardrail", [BRUNT_CONDITION_WAIT] = "wait",
		[BRUNT_CONDITION_EXPECT] = "expect",
	};

	condition->text = story_text(told, "text");
	condition->index = index_of(told, "index");
	/* A kind that is not known is nothing that could pass or fail. */
	condition->kind = BRUNT_CONDITION_WAIT;
	for (size_t i = 0; i < BRUNT_COUNT(kinds); i++)
		if (!strcmp(story_text(told, "kind"), kinds[i]))
			condition->kind = (enum brunt_condition_kind)i;
	condition->sli = text_or_null(told, "sli");
	for (enum brunt_of of = BRUNT_OF_LAST; of < _BRUNT_OF_MAX; of++) {
		if (strcmp(story_text(told, "of"), brunt_of_name(of)) != 0)
			continue;
		condition->of = of;
		condition->has_of = true;
	}
	condition->dimension = dimension_of(told);
	condition->has_min = bound(told, "min", &condition->min);
	condition->has_max = bound(told, "max", &condition->max);
	condition->has_during = bound(told, "during", &condition->during);
	condition->over = number(told, "over_ns");
	condition->after_within = number(told, "after_within_ns");
	condition->now.value = condition->breach.value = NAN;
}

/* "2026-03-02T10:00:47.312345+01:00" to nanoseconds and zone; leaves both at 0 when it is none. */
static void read_wall(const char *text, int64_t *ret_ns, int *ret_zone)
{
	struct tm tm = { 0 };
	long micros = 0;
	int hours = 0, minutes = 0, used = 0;
	char sign = '+';
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!rest || sscanf(rest, ".%6ld%n", &micros, &used) != 1)
		return;
	if (sscanf(rest + used, "%c%2d:%2d", &sign, &hours, &minutes) == 3 && (sign == '+' || sign == '-'))
		*ret_zone = (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
	/* Within what 64 bits of nanoseconds can hold. */
	if (tm.tm_year >= 0 && tm.tm_year < 300)
		*ret_ns = ((int64_t)timegm(&tm) - *ret_zone) * (int64_t)BRUNT_S + micros * 1000;
}

/* Room for all members of an array of the event; *ret_count is only set with it. */
static int room(const json_t *event, const char *key, size_t size, void *ret_items, size_t *ret_count)
{
	size_t count = json_array_size(json_object_get(event, key));
	void *items = calloc(count + 1, size);

	if (!items)
		return -ENOMEM;
	memcpy(ret_items, &items, sizeof(items));
	*ret_count = count;
	return 0;
}

int story_start(struct brunt_story *story, const json_t *event)
{
	size_t i;
	json_t *told;

	if (room(event, "steps", sizeof(*story->steps), &story->steps, &story->step_count) ||
	    room(event, "slis", sizeof(*story->slis), &story->slis, &story->sli_count) ||
	    room(event, "conditions", sizeof(*story->conditions), &story->conditions, &story->condition_count) ||
	    room(event, "targets", sizeof(*story->targets), &story->targets, &story->target_count) ||
	    room(event, "services", sizeof(*story->services), &story->services, &story->service_count))
		return -ENOMEM;
	story->start = json_incref((json_t *)event);
	story->run = story_text(event, "run");
	story->plan = story_text(event, "plan");
	story->started_at = number(event, "at_ns");
	read_wall(story_text(event, "wall"), &story->wall, &story->zone);
	json_array_foreach (json_object_get(event, "steps"), i, told)
		start_step(told, &story->steps[i]);
	json_array_foreach (json_object_get(event, "conditions"), i, told)
		start_condition(told, &story->conditions[i]);
	json_array_foreach (json_object_get(event, "targets"), i, told)
		story->targets[i].name = story_text(told, "name");
	json_array_foreach (json_object_get(event, "services"), i, told)
		story->services[i].name = story_text(told, "name");
	json_array_foreach (json_object_get(event, "slis"), i, told)
		if (start_sli(told, &story->slis[i])) {
			story->sli_count = i;
			return -ENOMEM;
		}
	return 0;
}

/* ---- files ---- */

void brunt_story_end(struct brunt_story *story)
{
	story->over = true;
}

int brunt_story_read(const char *path, struct brunt_story **ret, struct brunt_error *err)
{
	FILE *file = fopen(path, "re");
	struct brunt_story *story = NULL;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	int r = 0;

	if (!file)
		return brunt_fail(err, errno, "cannot read journal '%s': %s", path, strerror(errno));
	if (brunt_story_new(&story))
		r = -ENOMEM;
	/* A line without newline is torn: its writer died over it. */
	while (!r && (length = getline(&line, &size, file)) > 0 && line[length - 1] == '\n') {
		json_t *event = json_loadb(line, (size_t)length, JSON_REJECT_DUPLICATES, NULL);

		if (event && brunt_story_feed(story, event) == -ENOMEM)
			r = -ENOMEM;
		json_decref(event);
	}
	if (!r && ferror(file))
		r = brunt_fail(err, EIO, "cannot read journal '%s': %s", path, strerror(errno));
	else if (r)
		(void)brunt_fail(err, ENOMEM, "out of memory for journal '%s'", path);
	else if (!story->start)
		r = brunt_fail(err, EINVAL, "'%s' is no journal of brunt: it has no 'run.start'", path);
	else if (number(story->start, "schema") > 1)
		r = brunt_fail(err, EINVAL, "'%s' was written by a newer brunt: its schema is %llu, this one reads 1",
			       path, (unsigned long long)number(story->start, "schema"));
	free(line);
	(void)fclose(file);
	if (r) {
		brunt_story_free(story);
		return r;
	}
	brunt_story_end(story);
	*ret = story;
	return 0;
}
