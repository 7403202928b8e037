/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain lines, for pipes and logs: one for an event that is worth one.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "brunt/memory.h"
#include "judge/story.h"
#include "judge/verdict.h"
#include "record/row.h"
#include "record/words.h"

#define PULSES_SAID BRUNT_S /* on and off take at least this together */

static const char *named(const json_t *event, const char *key)
{
	return story_text(event, key);
}

static uint64_t number(const json_t *event, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(event, key));
}

static const char *because(const json_t *event, char *buf, size_t size)
{
	const char *why = named(event, "why");

	(void)snprintf(buf, size, "%s%s", *why ? ": " : "", why);
	return buf;
}

static void say_start(const struct brunt_story *story, const json_t *event, struct row *row)
{
	(void)story;
	row_print(row, "run %s of '%s', seed %lld", named(event, "run"), named(event, "plan"),
		  (long long)json_integer_value(json_object_get(event, "seed")));
}

static void say_phase(const struct brunt_story *story, const json_t *event, struct row *row)
{
	(void)story;
	row_print(row, "phase %s", named(event, "phase"));
}

static void say_role_end(const struct brunt_story *story, const json_t *event, struct row *row)
{
	(void)story;
	if (json_is_false(json_object_get(event, "expected")))
		row_print(row, "the %s died (pid %llu)", named(event, "role"),
			  (unsigned long long)number(event, "pid"));
}

static void say_ready(const struct brunt_story *story, const json_t *event, struct row *row)
{
	char took[64];

	(void)story;
	row_print(row, "service '%s' ready after %s", named(event, "service"),
		  brunt_duration_print(number(event, "took_ns"), took, sizeof(took)));
}

static void say_service_end(const struct brunt_story *story, const json_t *event, struct row *row)
{
	char status[64];

	/* At the end brunt takes them all down. */
	if (story->entered[STORY_END] ||
	    (story->entered[STORY_AFTER] && json_is_true(json_object_get(event, "expected"))))
		return;
	row_print(row, "service '%s' %s%s", named(event, "service"),
		  verdict_status(json_integer_value(json_object_get(event, "status")), status, sizeof(status)),
		  json_is_true(json_object_get(event, "restarting")) ? "; starting it again" : "");
}

/* What services write is in the journal: a load generator's lines would bury everything else. */
static void say_output(const struct brunt_story *story, const json_t *event, struct row *row)
{
	(void)story;
	row_print(row, "%s | %s", named(event, "step"), named(event, "line"));
}

static void say_target(const struct brunt_story *story, const json_t *event, struct row *row)
{
	unsigned shown = 0;
	size_t i;
	json_t *item;

	(void)story;
	row_print(row, "target '%s': %llu of %llu picked", named(event, "target"),
		  (unsigned long long)number(event, "picked"), (unsigned long long)number(event, "matched"));
	json_array_foreach (json_object_get(event, "items"), i, item) {
		if (!json_is_true(json_object_get(item, "picked")) || shown >= 5)
			continue;
		row_print(row, "%s%s", shown++ ? ", " : ": ", named(item, "name"));
	}
}

static void say_step_start(const struct brunt_story *story, const json_t *event, struct row *row)
{
	(void)story;
	row_print(row, "step '%s' begins", named(event, "step"));
}

static void say_step_end(const struct brunt_story *story, const json_t *event, struct row *row)
{
	const struct story_step *step = story_step_find(story, named(event, "step"));
	char text[1024] = "", why[512];

	if (step && *named(event, "why") == '\0')
		(void)words_step(story, step, false, text, sizeof(text));
	if (*text && strcmp(text, named(event, "outcome")) != 0)
		row_print(row, "step '%s' %s: %s", named(event, "step"), named(event, "outcome"), text);
	else
		row_print(row, "step '%s' %s%s", named(event, "step"), named(event, "outcome"),
			  because(event, why, sizeof(why)));
}

static void say_applied(const struct brunt_story *story, const json_t *event, struct row *row)
{
	(void)story;
	row_print(row, "fault '%s' applied: %s", named(event, "step"), named(event, "mechanism"));
}

static void say_reverted(const struct brunt_story *story, const json_t *event, struct row *row)
{
	char count[32], why[512];

	(void)story;
	if (json_is_true(json_object_get(event, "clean")))
		row_print(row, "fault '%s' removed and read back (%s), %s hit%s", named(event, "step"),
			  named(event, "reason"), row_count(number(event, "hit"), count, sizeof(count)),
			  number(event, "hit") == 1 ? "" : "s");
	else
		row_print(row, "fault '%s' IS NOT REMOVED%s", named(event, "step"), because(event, why, sizeof(why)));
}

/* Where they are quick, they would bury everything else; the journal has them all. */
static void say_pulse(const struct brunt_story *story, const json_t *event, struct row *row)
{
	const struct story_step *step = story_step_find(story, named(event, "step"));

	if (step && step->pulse_on + step->pulse_off >= PULSES_SAID)
		row_print(row, "fault '%s' is %s", named(event, "step"),
			  json_is_true(json_object_get(event, "on")) ? "on again" : "off");
}

static void say_news(const struct brunt_story *story, const json_t *event, struct row *row)
{
	(void)story;
	row_print(row, "fault '%s': %s", named(event, "step"), named(event, "text"));
}

static void say_lost(const struct brunt_story *story, const json_t *event, struct row *row)
{
	char why[512];

	(void)story;
	row_print(row, "fault '%s' lost%s", named(event, "step"), because(event, why, sizeof(why)));
}

static void say_condition(const struct brunt_story *story, const json_t *event, struct row *row)
{
	const json_t *value = json_object_get(event, "value");
	char text[64];

	for (size_t i = 0; i < story->condition_count; i++) {
		const struct story_condition *condition = &story->conditions[i];

		if (condition->index != json_integer_value(json_object_get(event, "condition")))
			continue;
		row_print(row, "%s%s: %s%s%s", condition->text,
			  json_is_true(json_object_get(event, "during")) && condition->has_during
				  ? " (while faults are held)"
				  : "",
			  named(event, "truth"), value ? ", " : "",
			  value ? story_value(json_is_number(value) ? json_number_value(value) : INFINITY,
					      condition->dimension, text, sizeof(text))
				: "");
		return;
	}
}

static void say_guardrail(const struct brunt_story *story, const json_t *event, struct row *row)
{
	const json_t *index = json_object_get(event, "condition");

	for (size_t i = 0; i < story->condition_count; i++)
		if (story->conditions[i].index == json_integer_value(index))
			row_print(row, "GUARDRAIL '%s' breached: %s", story->conditions[i].text, named(event, "why"));
}

static void say_abort(const struct brunt_story *story, const json_t *event, struct row *row)
{
	char why[512];

	(void)story;
	row_print(row, "abort (%s)%s", named(event, "cause"), because(event, why, sizeof(why)));
}

static void say_all_reverted(const struct brunt_story *story, const json_t *event, struct row *row)
{
	char took[64], since[64];

	if (!json_is_true(json_object_get(event, "clean"))) {
		row_print(row, "THE HOST IS NOT CLEAN: run `brunt recover`");
		return;
	}
	row_print(row, "everything removed and read back in %s",
		  brunt_duration_print(number(event, "took_ns"), took, sizeof(took)));
	if (story->breach_at && story->reverted_at > story->breach_at)
		row_print(row, ", %s after the breaching sample",
			  brunt_duration_print(story->reverted_at - story->breach_at, since, sizeof(since)));
}

static void say_finally(const struct brunt_story *story, const json_t *event, struct row *row)
{
	char status[64], why[512];

	(void)story;
	row_print(row, "finally '%s' %s%s", named(event, "name"),
		  verdict_status(json_integer_value(json_object_get(event, "status")), status, sizeof(status)),
		  because(event, why, sizeof(why)));
}

static void say_note(const struct brunt_story *story, const json_t *event, struct row *row)
{
	(void)story;
	row_print(row, "note: %s", named(event, "text"));
}

static void say_verdict(const struct brunt_story *story, const json_t *event, struct row *row)
{
	(void)story;
	row_print(row, "verdict %s, exit %lld", named(event, "verdict"),
		  (long long)json_integer_value(json_object_get(event, "exit")));
}

static const struct {
	const char *name;
	void (*say)(const struct brunt_story *story, const json_t *event, struct row *row);
} sayers[] = {
	{ "run.start", say_start },
	{ "phase", say_phase },
	{ "role.end", say_role_end },
	{ "service.ready", say_ready },
	{ "service.end", say_service_end },
	{ "step.output", say_output },
	{ "target", say_target },
	{ "step.start", say_step_start },
	{ "step.end", say_step_end },
	{ "fault.applied", say_applied },
	{ "fault.reverted", say_reverted },
	{ "fault.pulse", say_pulse },
	{ "fault.news", say_news },
	{ "fault.lost", say_lost },
	{ "condition", say_condition },
	{ "guardrail", say_guardrail },
	{ "abort", say_abort },
	{ "reverted", say_all_reverted },
	{ "finally", say_finally },
	{ "note", say_note },
	{ "verdict", say_verdict },
};

void brunt_story_line(const struct brunt_story *story, const json_t *event, FILE *out)
{
	char clock[32];
	struct row row;
	unsigned stamp;

	for (size_t i = 0; i < BRUNT_COUNT(sayers); i++) {
		if (strcmp(sayers[i].name, named(event, "event")) != 0)
			continue;
		row_start(&row, row_utf8(), false, 0);
		row_print(&row, "%s  ", story_clock(story, number(event, "at_ns"), clock, sizeof(clock)));
		stamp = row.used;
		sayers[i].say(story, event, &row);
		if (row.used == stamp)
			return;
		row_write(&row, out);
		(void)fputc('\n', out);
		return;
	}
}
