/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The summary: what a person reads after a run. The first line says whether
 * to ship, the last ones why.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "brunt/memory.h"
#include "judge/story.h"
#include "judge/verdict.h"
#include "record/row.h"
#include "record/words.h"

#define LABEL 19 /* columns: mark and name of a step, name of an SLI and its statistic */

struct page {
	FILE *out;
	bool utf8, colour;
	unsigned width;
	struct row row;
};

static void begin(struct page *page)
{
	row_start(&page->row, page->utf8, page->colour, page->width);
}

static void end(struct page *page)
{
	row_write(&page->row, page->out);
	(void)fputc('\n', page->out);
}

static void blank(struct page *page)
{
	(void)fputc('\n', page->out);
}

/* How long the next word is; a number and its unit are one. */
static size_t word_length(const char *text)
{
	size_t length = strcspn(text, " "), unit;

	if (!length || !text[length] || text[length - 1] < '0' || text[length - 1] > '9')
		return length;
	unit = strcspn(text + length + 1, " ,;)");
	return unit && unit <= 3 ? length + 1 + strcspn(text + length + 1, " ") : length;
}

/* Text in words, broken to the page's width, from a column on; the row has been begun. */
static void wrap(struct page *page, unsigned from, const char *text)
{
	bool fresh = true;

	row_to(&page->row, from);
	while (*text) {
		char word[512];
		size_t length = word_length(text);

		(void)snprintf(word, sizeof(word), "%.*s", (int)(length < sizeof(word) ? length : sizeof(word) - 1),
			       text);
		text += length;
		text += strspn(text, " ");
		if (!fresh && page->row.used + 1 + row_columns(word, page->utf8) > page->width) {
			end(page);
			begin(page);
			row_to(&page->row, from);
			fresh = true;
		}
		if (!fresh)
			row_add(&page->row, " ", 0);
		row_add(&page->row, word, 0);
		fresh = false;
	}
	end(page);
}

static unsigned label_width(const struct page *page)
{
	return page->width < 60 ? 13 : LABEL;
}

static void labelled(struct page *page, const char *label, enum row_style style, const char *text)
{
	begin(page);
	row_add(&page->row, "  ", 0);
	row_style(&page->row, style);
	row_add(&page->row, label, label_width(page) - 3);
	row_style(&page->row, ROW_PLAIN);
	wrap(page, label_width(page), text);
}

static enum row_style verdict_style(enum brunt_verdict verdict)
{
	switch (verdict) {
	case BRUNT_PASSED:
		return ROW_GOOD;
	case BRUNT_INCONCLUSIVE:
	case BRUNT_STOPPED:
	case BRUNT_REFUSED:
	case BRUNT_UNABLE:
	case BRUNT_UNSTEADY:
		return ROW_WARN;
	case BRUNT_FAILED:
	case BRUNT_ABORTED:
	case BRUNT_ERROR:
	case BRUNT_RESIDUE:
		break;
	}
	return ROW_BAD;
}

static void print_title(struct page *page, const struct brunt_story *story, enum brunt_verdict verdict)
{
	char word[24], took[64];
	unsigned columns;

	(void)brunt_duration_print(story->newest - story->started_at, took, sizeof(took));
	columns = row_columns(took, page->utf8);
	begin(page);
	row_style(&page->row, verdict_style(verdict));
	row_add(&page->row, words_verdict(verdict, word, sizeof(word)), 0);
	row_style(&page->row, ROW_PLAIN);
	row_add(&page->row, "  ", 0);
	row_style(&page->row, ROW_BOLD);
	row_add(&page->row, story->plan ? story->plan : "?",
		page->width > page->row.used + columns + 3 ? page->width - page->row.used - columns - 2 : 0);
	row_style(&page->row, ROW_PLAIN);
	if (page->width > columns)
		row_to(&page->row, page->width - columns);
	row_add(&page->row, took, 0);
	end(page);
}

static void print_steps(struct page *page, const struct brunt_story *story)
{
	static const enum row_style styles[] = {
		[WORDS_PENDING] = ROW_DIM, [WORDS_RUNNING] = ROW_WARN,	   [WORDS_GOOD] = ROW_GOOD,
		[WORDS_BAD] = ROW_BAD,	   [WORDS_PASSED_OVER] = ROW_WARN,
	};

	if (story->step_count)
		blank(page);
	for (size_t i = 0; i < story->step_count; i++) {
		const struct story_step *step = &story->steps[i];
		enum words_mark mark = words_mark(step);
		char text[1024];

		if (!strcmp(step->kind, "parallel") && step->ended && mark == WORDS_GOOD)
			continue;
		begin(page);
		row_add(&page->row, "  ", 0);
		row_style(&page->row, styles[mark]);
		row_add(&page->row, words_marks[mark], 0);
		row_style(&page->row, ROW_PLAIN);
		row_add(&page->row, step->parent >= 0 ? "   " : " ", 0);
		row_add(&page->row, step->name, label_width(page) - page->row.used - 1);
		wrap(page, label_width(page), words_step(story, step, false, text, sizeof(text)));
	}
}

/* ---- SLIs: before, during, after ---- */

static unsigned sli_width(const struct page *page)
{
	return page->width < 60 ? 8 : label_width(page) - 2;
}

/* "1.33 ms" as "1.33ms", where every column counts. */
static void squeeze(char *text)
{
	char *to = text;

	for (; *text; text++)
		if (*text != ' ')
			*to++ = *text;
	*to = '\0';
}

static void print_statistic(struct page *page, const struct brunt_story *story, const struct story_sli *sli,
			    const char *label, enum brunt_of of, enum brunt_dimension dimension)
{
	unsigned name = sli_width(page), column = (page->width - name - 11) / 3;
	unsigned from = name + 11;
	bool any = false;

	begin(page);
	row_add(&page->row, "  ", 0);
	row_add(&page->row, label, name - 1);
	row_to(&page->row, name + 2);
	row_add(&page->row, brunt_of_name(of), 8);
	for (enum story_window window = STORY_WINDOW_BEFORE; window < _STORY_WINDOW_MAX; window++, from += column) {
		struct brunt_reading reading;
		uint64_t begins, ends;
		char text[64] = "-";

		row_to(&page->row, from);
		if (story_window(story, window, &begins, &ends) &&
		    !brunt_series_read(sli->series, of, begins, ends, &reading) &&
		    reading.count >= brunt_of_samples_needed(of)) {
			(void)story_value(reading.value, dimension, text, sizeof(text));
			any = true;
			if (column < 10)
				squeeze(text);
		}
		row_add(&page->row, text, column - 1);
	}
	/* A quantile that no window has the samples for says nothing. */
	if (any || *label)
		end(page);
}

static void print_causes(struct page *page, const struct story_sli *sli)
{
	char text[512], count[32];
	size_t used = 0;

	if (!sli->bad)
		return;
	for (size_t i = 0; i < STORY_CAUSES_MAX && sli->causes[i].why && used < sizeof(text) - 1; i++) {
		int n = snprintf(text + used, sizeof(text) - used, "%s%s %s", i ? ", " : "",
				 row_count(sli->causes[i].count, count, sizeof(count)), sli->causes[i].why);

		used += n > 0 ? (size_t)n : 0;
	}
	begin(page);
	row_to(&page->row, sli_width(page) + 2);
	row_print(&page->row, "bad");
	wrap(page, sli_width(page) + 11, text);
}

static void print_slis(struct page *page, const struct brunt_story *story)
{
	static const char *const titles[] = { "before", "during", "after" };
	unsigned name = sli_width(page), column = (page->width - name - 11) / 3;
	bool any = false;

	for (size_t i = 0; i < story->sli_count; i++)
		any |= brunt_series_count(story->slis[i].series) > 0;
	if (!any)
		return;
	blank(page);
	begin(page);
	row_style(&page->row, ROW_DIM);
	for (unsigned i = 0; i < BRUNT_COUNT(titles); i++) {
		row_to(&page->row, name + 11 + i * column);
		row_add(&page->row, titles[i], column - 1);
	}
	end(page);
	for (size_t i = 0; i < story->sli_count; i++) {
		const struct story_sli *sli = &story->slis[i];
		const char *label = sli->name;

		if (!brunt_series_count(sli->series))
			continue;
		if (sli->good + sli->bad) {
			print_statistic(page, story, sli, label, BRUNT_OF_SUCCESS, BRUNT_DIM_RATIO);
			label = "";
		}
		if (sli->has_value && sli->dimension == BRUNT_DIM_TIME) {
			print_statistic(page, story, sli, label, BRUNT_OF_P50, sli->dimension);
			print_statistic(page, story, sli, "", BRUNT_OF_P99, sli->dimension);
		} else if (sli->has_value) {
			print_statistic(page, story, sli, label, BRUNT_OF_MEAN, sli->dimension);
		}
		print_causes(page, sli);
	}
}

/* ---- the end ---- */

static void print_recovery(struct page *page, const struct brunt_story *story)
{
	char took_text[64], limit_text[64], text[160];
	uint64_t took, limit;

	if (!story_recovery(story, &took, &limit))
		return;
	(void)snprintf(text, sizeof(text), "steady again %s after the undo (limit %s)",
		       brunt_duration_print(took, took_text, sizeof(took_text)),
		       brunt_duration_print(limit, limit_text, sizeof(limit_text)));
	labelled(page, "recovered", ROW_PLAIN, text);
}

static void print_breach(struct page *page, const struct brunt_story *story)
{
	char seen[32], gone[32], took[64], text[160];

	if (!story->breach_at || !story->reverted_told || story->reverted_at < story->breach_at)
		return;
	(void)snprintf(text, sizeof(text), "sample of %s · faults gone %s · %s",
		       story_clock(story, story->breach_at, seen, sizeof(seen)),
		       story_clock(story, story->reverted_at, gone, sizeof(gone)),
		       brunt_duration_print(story->reverted_at - story->breach_at, took, sizeof(took)));
	labelled(page, "breach", ROW_BAD, text);
}

static void print_clean(struct page *page, const struct brunt_story *story, enum brunt_verdict verdict)
{
	char took[64], text[160];
	unsigned held = 0;
	bool events = false;

	for (size_t i = 0; i < story->step_count; i++) {
		held += story->steps[i].applied && !story->steps[i].is_event;
		events |= story->steps[i].applied && story->steps[i].is_event;
	}
	if (verdict == BRUNT_RESIDUE) {
		labelled(page, "NOT CLEAN", ROW_BAD, "something is left on this host; run `brunt recover`");
	} else if (held && story->reverted_told) {
		(void)snprintf(text, sizeof(text), "everything removed and read back in %s",
			       brunt_duration_print(story->revert_took, took, sizeof(took)));
		labelled(page, "clean", ROW_GOOD, text);
	} else if (!story->applied_at && story->entered[STORY_END]) {
		labelled(page, "clean", ROW_GOOD, "nothing was injected");
	} else if (events && story->entered[STORY_END]) {
		labelled(page, "clean", ROW_GOOD, "nothing was held, so there was nothing to remove");
	}
}

static void print_finally(struct page *page, const struct brunt_story *story)
{
	char status[64], text[320];

	for (size_t i = 0; i < story->finally_count; i++) {
		const struct story_finally *finally = &story->finally[i];

		(void)snprintf(text, sizeof(text), "%s %s%s%s", finally->name ? finally->name : "?",
			       verdict_status(finally->status, status, sizeof(status)), finally->why ? ": " : "",
			       finally->why ? finally->why : "");
		labelled(page, i ? "" : "finally", finally->status ? ROW_BAD : ROW_PLAIN, text);
	}
}

void brunt_story_print(const struct brunt_story *story, FILE *out, bool colour, unsigned width)
{
	struct page page = { .out = out, .utf8 = row_utf8(), .colour = colour, .width = width < 40 ? 40 : width };
	json_t *reasons = NULL, *reason;
	enum brunt_verdict verdict = brunt_story_verdict(story, NULL, &reasons);
	char text[160];
	size_t i;

	print_title(&page, story, verdict);
	print_steps(&page, story);
	print_slis(&page, story);
	blank(&page);
	print_breach(&page, story);
	print_recovery(&page, story);
	print_clean(&page, story, verdict);
	print_finally(&page, story);
	json_array_foreach (story->notes, i, reason)
		labelled(&page, i ? "" : "note", ROW_WARN, json_string_value(reason));
	if (story->run) {
		(void)snprintf(text, sizeof(text), "%s · seed %lld · brunt report %s", story->run,
			       (long long)json_integer_value(json_object_get(story->start, "seed")), story->run);
		labelled(&page, "run", ROW_PLAIN, text);
	}
	if (story->start && *story_text(story->start, "journal"))
		labelled(&page, "journal", ROW_PLAIN, story_text(story->start, "journal"));
	/* Last, so that it stands right above the prompt. */
	json_array_foreach (reasons, i, reason)
		labelled(&page, i ? "" : brunt_verdict_name(verdict), i ? ROW_PLAIN : verdict_style(verdict),
			 json_string_value(reason));
	json_decref(reasons);
}
