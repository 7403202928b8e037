/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples, and what is judged of them.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/watch.h"
#include "judge/story_take.h"

/* null stands for infinity, which JSON cannot say. */
static double value_of(const json_t *event)
{
	const json_t *value = json_object_get(event, "value");

	if (json_is_null(value))
		return INFINITY;
	return json_is_number(value) ? json_number_value(value) : NAN;
}

static struct story_condition *condition_of(const struct brunt_story *story, const json_t *event)
{
	const json_t *index = json_object_get(event, "condition");

	for (size_t i = 0; json_is_integer(index) && i < story->condition_count; i++)
		if (story->conditions[i].index == json_integer_value(index))
			return &story->conditions[i];
	return NULL;
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

int take_sample(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_sli *sli = story_sli_find(story, story_text(event, "sli"));
	const json_t *good = json_object_get(event, "good");
	struct brunt_sample sample = { .at = take_number(event, "scheduled_ns") };

	if (!sli)
		return 0;
	if (!sample.at)
		sample.at = at;
	sample.done = sample.at + take_number(event, "took_ns");
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

int take_condition(struct brunt_story *story, const json_t *event, uint64_t at)
{
	struct story_condition *condition = condition_of(story, event);
	struct story_judgement judgement = {
		.told = true,
		.truth = truth_of(event),
		.at = at,
		.value = value_of(event),
		.count = take_number(event, "count"),
		.bad = take_number(event, "bad"),
	};

	if (!condition)
		return 0;
	condition->now = judgement;
	if (!json_is_true(json_object_get(event, "during"))) {
		for (enum story_phase phase = STORY_PREFLIGHT; phase < _STORY_PHASE_MAX; phase++)
			if (!strcmp(story_phase_name(phase), story_text(event, "phase")))
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

int take_guardrail(struct brunt_story *story, const json_t *event, uint64_t at)
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
		story->breach_at = take_number(event, "sample_ns");
	return take_text(&condition->breach_why, event, "why");
}
