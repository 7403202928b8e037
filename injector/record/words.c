/* SPDX-License-Identifier: Apache-2.0 */
#include "record/words.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "record/row.h"

const char *const words_marks[_WORDS_MARK_MAX] = {
	[WORDS_PENDING] = " ", [WORDS_RUNNING] = "▶", [WORDS_GOOD] = "✓", [WORDS_BAD] = "✗", [WORDS_PASSED_OVER] = "-",
};

enum words_mark words_mark(const struct story_step *step)
{
	const char *outcome = step->outcome ? step->outcome : "";

	if (!step->ended)
		return step->started ? WORDS_RUNNING : WORDS_PENDING;
	if (!strcmp(outcome, "skipped") || !strcmp(outcome, "aborted"))
		return WORDS_PASSED_OVER;
	if (step->reverted && !step->clean)
		return WORDS_BAD;
	if (step->is_fault && step->hit < step->hits_min)
		return WORDS_BAD;
	return !strcmp(outcome, "done") || !strcmp(outcome, "held") ? WORDS_GOOD : WORDS_BAD;
}

const char *words_verdict(enum brunt_verdict verdict, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s", brunt_verdict_name(verdict));
	for (char *p = buf; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return buf;
}

const char *words_hits(const struct story_step *step, char *buf, size_t size)
{
	static const char es[] = "processes ";
	const char *noun = step->noun ? step->noun : "hits";
	size_t first = strcspn(noun, " ");
	char count[32];

	(void)row_count(step->hit, count, sizeof(count));
	if (step->hit != 1 || !first || noun[first - 1] != 's')
		(void)snprintf(buf, size, "%s %s", count, noun);
	else
		(void)snprintf(buf, size, "%s %.*s%s", count,
			       (int)(strncmp(noun, es, sizeof(es) - 1) ? first - 1 : first - 2), noun, noun + first);
	return buf;
}

/* A sentence of parts. */
struct sentence {
	char *buf;
	size_t size, used;
};

static void say(struct sentence *sentence, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct sentence *sentence, const char *format, ...)
{
	va_list args;
	int n;

	if (sentence->used + 1 >= sentence->size)
		return;
	va_start(args, format);
	n = vsnprintf(sentence->buf + sentence->used, sentence->size - sentence->used, format, args);
	va_end(args);
	if (n > 0)
		sentence->used += (size_t)n;
	if (sentence->used >= sentence->size)
		sentence->used = sentence->size - 1;
}

static void separate(struct sentence *sentence)
{
	if (sentence->used)
		say(sentence, " · ");
}

/* Who was hit: the victims of the newest apply, else the target's picked items. */
static void say_victims(const struct brunt_story *story, const struct story_step *step, struct sentence *sentence)
{
	const json_t *items = step->victims;
	unsigned shown = 0, left = 0;
	size_t i;
	json_t *item;

	if (step->on)
		say(sentence, " on %s", step->on);
	if (!step->applied)
		return;
	for (size_t j = 0; !items && step->on && j < story->target_count; j++)
		if (!strcmp(story->targets[j].name, step->on))
			items = story->targets[j].items;
	json_array_foreach (items, i, item) {
		const char *name = json_is_string(item) ? json_string_value(item) : story_text(item, "name");

		if (json_is_object(item) && !json_is_true(json_object_get(item, "picked")))
			continue;
		if (shown < 3)
			say(sentence, "%s%s", shown++ ? ", " : " (", name);
		else
			left++;
	}
	if (left)
		say(sentence, " and %u more", left);
	if (shown)
		say(sentence, ")");
}

static void say_fault(const struct brunt_story *story, const struct story_step *step, bool brief,
		      struct sentence *sentence)
{
	char text[96], asked[64];

	if (!brief) {
		say(sentence, "%s", step->fault ? step->fault : "fault");
		say_victims(story, step, sentence);
	}
	if (!step->applied)
		return;
	if (!step->is_event && step->reverted) {
		separate(sentence);
		say(sentence, "held %s", brunt_duration_print(step->held_for, text, sizeof(text)));
		/* A millisecond is the undo's own time. */
		if (step->hold && (step->held_for + step->hold / 100 < step->hold ||
				   step->held_for > step->hold + step->hold / 100 + 5 * BRUNT_MS))
			say(sentence, " of %s", brunt_duration_print(step->hold, asked, sizeof(asked)));
	}
	if (step->pulse_on && step->reverted) {
		separate(sentence);
		say(sentence, "%s pulse%s, %s in effect", row_count(step->pulses, asked, sizeof(asked)),
		    step->pulses == 1 ? "" : "s", brunt_duration_print(step->effect_for, text, sizeof(text)));
	}
	separate(sentence);
	say(sentence, "%s", words_hits(step, text, sizeof(text)));
	if (step->matched > step->hit)
		say(sentence, " of %s (%.3g %%)", row_count(step->matched, asked, sizeof(asked)),
		    100.0 * (double)step->hit / (double)step->matched);
	if (step->breakdown && !brief)
		say(sentence, ": %s", step->breakdown);
	if (step->unwanted)
		say(sentence, ", and %s lost that nobody asked for", row_count(step->unwanted, asked, sizeof(asked)));
	if (step->hit < step->hits_min)
		say(sentence, ", asked at least %s%s%s", row_count(step->hits_min, asked, sizeof(asked)),
		    step->near_miss && *step->near_miss ? ": " : "", step->near_miss ? step->near_miss : "");
	if (step->reverted && !step->clean)
		say(sentence, " · NOT UNDONE%s%s", step->revert_why ? ": " : "",
		    step->revert_why ? step->revert_why : "");
	else if (step->lost)
		say(sentence, " · lost: %s", step->lost_why ? step->lost_why : "no reason given");
}

static uint64_t since(const struct brunt_story *story, const struct story_step *step)
{
	const struct story_step *cause = step->since ? story_step_find(story, step->since) : NULL;

	if (cause && cause->is_fault && cause->applied)
		return cause->applied_at;
	return cause && cause->ended ? cause->ended_at : step->started_at;
}

const char *words_step(const struct brunt_story *story, const struct story_step *step, bool brief, char *buf,
		       size_t size)
{
	struct sentence sentence = { .buf = buf, .size = size };
	const char *outcome = step->outcome ? step->outcome : "";
	bool done = !strcmp(outcome, "done") || !strcmp(outcome, "held");
	uint64_t from = since(story, step);
	char text[64];

	buf[0] = '\0';
	if (!step->started && (!step->ended || !strcmp(outcome, "aborted"))) {
		say(&sentence, "not reached");
		return buf;
	}
	if (step->is_fault)
		say_fault(story, step, brief, &sentence);
	if (step->ended && !step->is_fault && done) {
		(void)brunt_duration_print(step->ended_at > from ? step->ended_at - from : 0, text, sizeof(text));
		if (!strcmp(step->kind, "expect"))
			say(&sentence, "met after %s%s%s", text, step->since ? " since " : "",
			    step->since ? step->since : "");
		else if (!strcmp(step->kind, "observe"))
			say(&sentence, "observed %s", text);
		else
			say(&sentence, "%s, took %s", *step->kind ? step->kind : "done", text);
	} else if (step->ended && !done) {
		separate(&sentence);
		say(&sentence, "%s%s%s", outcome, step->why ? ": " : "", step->why ? step->why : "");
	} else if (!step->ended && !step->is_fault) {
		say(&sentence, "%s", step->kind);
	}
	return buf;
}
