/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from the model without judging it: windows, recovery times,
 * distances, and how times and values are written.
 */
#include "judge/story.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

bool story_window(const struct brunt_story *story, enum story_window window, uint64_t *ret_from, uint64_t *ret_to)
{
	uint64_t from = 0, to = 0;

	switch (window) {
	case STORY_WINDOW_BEFORE:
		from = story->entered_at[story->entered[STORY_BEFORE] ? STORY_BEFORE : STORY_METHOD];
		to = story->applied_at		 ? story->applied_at - 1
		     : story->entered[STORY_END] ? story->entered_at[STORY_END]
						 : story->newest;
		break;
	case STORY_WINDOW_DURING:
		from = story->applied_at;
		to = story->reverted_at && !story->held ? story->reverted_at : story->newest;
		break;
	case STORY_WINDOW_AFTER:
		if (!story->reverted_at || story->held)
			return false;
		from = story->entered[STORY_AFTER] ? story->entered_at[STORY_AFTER] : story->reverted_at + 1;
		to = story->entered[STORY_END] ? story->entered_at[STORY_END] : story->newest;
		break;
	case _STORY_WINDOW_MAX:
		return false;
	}
	*ret_from = from;
	*ret_to = to;
	return from && to > from;
}

bool story_recovery(const struct brunt_story *story, uint64_t *ret_took, uint64_t *ret_limit)
{
	uint64_t took = 0, limit = 0;
	bool any = false;

	for (size_t i = 0; i < story->condition_count; i++) {
		const struct story_condition *condition = &story->conditions[i];
		const struct story_judgement *after = &condition->in[STORY_AFTER];

		if (condition->kind != BRUNT_CONDITION_STEADY)
			continue;
		if (!story->reverted_at || after->truth != BRUNT_HOLDS || after->at < story->reverted_at)
			return false;
		if (after->at - story->reverted_at > took)
			took = after->at - story->reverted_at;
		if (condition->after_within > limit)
			limit = condition->after_within;
		any = true;
	}
	*ret_took = took;
	*ret_limit = limit;
	return any;
}

double story_condition_distance(const struct story_condition *condition, double value, bool during)
{
	bool replaced = during && condition->has_during;
	double distance = NAN;

	if (isnan(value))
		return NAN;
	if (condition->has_min)
		distance = value - (replaced ? condition->during : condition->min);
	if (condition->has_max) {
		double above = (replaced && !condition->has_min ? condition->during : condition->max) - value;

		if (isnan(distance) || above < distance)
			distance = above;
	}
	return distance;
}

const char *story_clock(const struct brunt_story *story, uint64_t at, char *buf, size_t size)
{
	int64_t ns;
	struct tm tm = { 0 };

	/* Times that no clock has shown: a journal may hold anything. */
	if (__builtin_add_overflow(story->wall, (int64_t)(at - story->started_at), &ns) || ns < 0) {
		(void)snprintf(buf, size, "--:--:--.---");
		return buf;
	}
	time_t seconds = (time_t)(ns / (int64_t)BRUNT_S) + story->zone;

	(void)gmtime_r(&seconds, &tm);
	(void)snprintf(buf, size, "%02d:%02d:%02d.%03d", tm.tm_hour, tm.tm_min, tm.tm_sec,
		       (int)(ns % (int64_t)BRUNT_S / (int64_t)BRUNT_MS));
	return buf;
}

const char *story_value(double value, enum brunt_dimension dimension, char *buf, size_t size)
{
	if (isnan(value))
		(void)snprintf(buf, size, "no data");
	else if (isinf(value))
		(void)snprintf(buf, size, "no answer");
	else
		return brunt_quantity_print(value, dimension, buf, size);
	return buf;
}
