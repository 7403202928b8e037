/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of the live view.
 */
#include "record/draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "record/words.h"

#define SPARK_MAX 20
#define SPARK_BIN BRUNT_S

void draw_begin(struct view *view)
{
	if (view->drawn)
		(void)fputs("\r\n", view->out);
	row_start(&view->row, view->row.utf8, view->row.colour, view->columns);
}

/* Ends a row. Erasing after the last column was written would erase that column: then there is nothing to erase. */
void draw_end(struct view *view)
{
	row_write(&view->row, view->out);
	if (view->row.used < view->columns)
		(void)fputs("\033[K", view->out);
	view->drawn++;
}

void draw_blank(struct view *view)
{
	draw_begin(view);
	draw_end(view);
}

static uint64_t elapsed(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

const char *draw_note(const struct brunt_story *story)
{
	return json_string_value(json_array_get(story->notes, json_array_size(story->notes) - 1));
}

/* ---- top ---- */

/* What is still to come of the steps that say how long they take. */
static uint64_t time_left(const struct view *view)
{
	const struct brunt_story *story = view->story;
	uint64_t left = 0, background = 0;

	for (size_t i = 0; i < story->step_count; i++) {
		const struct story_step *step = &story->steps[i];
		uint64_t done = step->started ? elapsed(step->started_at, view->now) : 0;
		uint64_t rest = step->ended || !step->hold ? 0 : elapsed(done, step->hold);

		if (step->parent >= 0 || step->background)
			background = rest > background ? rest : background;
		else
			left += rest;
	}
	return left > background ? left : background;
}

void draw_title(struct view *view)
{
	const struct brunt_story *story = view->story;
	uint64_t seconds = elapsed(story->started_at, view->now) / BRUNT_S;
	char right[96];
	unsigned width;

	if (view->columns >= 60)
		(void)snprintf(right, sizeof(right), "run %.16s · seed %lld · %02llu:%02llu",
			       story->run ? story->run : "",
			       (long long)json_integer_value(json_object_get(story->start, "seed")),
			       (unsigned long long)(seconds / 60), (unsigned long long)(seconds % 60));
	else
		(void)snprintf(right, sizeof(right), "%02llu:%02llu", (unsigned long long)(seconds / 60),
			       (unsigned long long)(seconds % 60));
	width = row_columns(right, view->row.utf8);
	draw_begin(view);
	row_style(&view->row, ROW_BOLD);
	row_add(&view->row, story->plan ? story->plan : "brunt",
		view->columns > width + 2 ? view->columns - width - 2 : 1);
	row_style(&view->row, ROW_PLAIN);
	if (view->columns > width)
		row_to(&view->row, view->columns - width);
	row_add(&view->row, right, 0);
	draw_end(view);
}

/* How many of the steady state's conditions hold, in the phases that wait for them; and how long they still may. */
static void add_steady(struct view *view)
{
	const struct brunt_story *story = view->story;
	uint64_t limit = 0, waited = elapsed(story->entered_at[story->phase], view->now);
	unsigned count = 0, hold = 0;
	char left[64];

	for (size_t i = 0; i < story->condition_count; i++) {
		const struct story_condition *condition = &story->conditions[i];

		if (condition->kind != BRUNT_CONDITION_STEADY)
			continue;
		count++;
		hold += condition->in[story->phase].truth == BRUNT_HOLDS;
		limit = condition->after_within > limit ? condition->after_within : limit;
	}
	row_print(&view->row, " · %u of %u hold", hold, count);
	if (story->phase == STORY_AFTER && limit > waited + BRUNT_S)
		row_print(&view->row, " · %s left",
			  brunt_duration_print((limit - waited) / BRUNT_S * BRUNT_S, left, sizeof(left)));
}

/* A question that waits for an answer, or NULL. */
static const char *question(const struct brunt_story *story)
{
	for (size_t i = 0; i < story->step_count; i++)
		if (!strcmp(story->steps[i].kind, "approve") && words_mark(&story->steps[i]) == WORDS_RUNNING)
			return draw_note(story);
	return NULL;
}

/* The one row that says how the run stands: what must not be missed comes before what is merely going on. */
void draw_banner(struct view *view)
{
	static const char *const doing[] = {
		[STORY_NONE] = "starting",
		[STORY_PREFLIGHT] = "checking this host",
		[STORY_SERVICES] = "starting services",
		[STORY_START_IF] = "checking start_if",
		[STORY_BEFORE] = "steady state before",
		[STORY_METHOD] = "method",
		[STORY_REVERT] = "removing faults",
		[STORY_FINALLY] = "finally",
		[STORY_AFTER] = "steady state after",
		[STORY_END] = "ending",
	};
	const struct brunt_story *story = view->story;
	const json_t *aborted = json_array_get(story->aborts, 0);
	bool residue = story->reverted_told && !story->reverted_clean;
	char left[64];

	for (size_t i = 0; i < story->step_count; i++)
		residue |= story->steps[i].reverted && !story->steps[i].clean;
	draw_begin(view);
	row_add(&view->row, "  ", 0);
	if (residue) {
		row_style(&view->row, ROW_BAD);
		row_add(&view->row, "NOT CLEAN: a fault could not be undone; run `brunt recover`", 0);
	} else if (aborted) {
		row_style(&view->row, ROW_BAD);
		row_print(&view->row, "ABORTED by %s%s: %s", story_text(aborted, "cause"),
			  story->held ? ", removing faults" : ", every fault is gone", story_text(aborted, "why"));
	} else if (question(story)) {
		row_style(&view->row, ROW_WARN);
		row_print(&view->row, "APPROVE? %s", question(story));
	} else {
		row_add(&view->row, doing[story->phase], 0);
		if (story->held)
			row_print(&view->row, " · %u fault%s held", story->held, story->held == 1 ? "" : "s");
		if (story->phase == STORY_BEFORE || story->phase == STORY_AFTER)
			add_steady(view);
		if (story->phase == STORY_METHOD && time_left(view) >= BRUNT_S)
			row_print(&view->row, " · %s left",
				  brunt_duration_print(time_left(view) / BRUNT_S * BRUNT_S, left, sizeof(left)));
	}
	draw_end(view);
}

/* ---- steps ---- */

/* Between two pulses it is held, and does nothing. */
static const char *phase_of(const struct story_step *step)
{
	return !step->pulse_on || !step->applied || step->reverted ? "" : step->on_at ? "  on" : "  off";
}

static void add_bar(struct view *view, uint64_t done, uint64_t whole, unsigned width)
{
	unsigned full = whole ? (unsigned)((double)(done < whole ? done : whole) / (double)whole * width) : 0;

	for (unsigned i = 0; i < width; i++)
		row_add(&view->row, i < full ? "█" : "░", 0);
}

void draw_step(struct view *view, size_t i)
{
	const struct story_step *step = &view->story->steps[i];
	enum words_mark mark = words_mark(step);
	static const enum row_style styles[] = {
		[WORDS_PENDING] = ROW_DIM, [WORDS_RUNNING] = ROW_WARN,	   [WORDS_GOOD] = ROW_GOOD,
		[WORDS_BAD] = ROW_BAD,	   [WORDS_PASSED_OVER] = ROW_WARN,
	};
	uint64_t from = step->applied && !step->is_event ? step->applied_at : step->started_at;
	uint64_t done = elapsed(from, view->now);
	char text[1024];

	draw_begin(view);
	row_add(&view->row, "  ", 0);
	row_style(&view->row, styles[mark]);
	row_add(&view->row, words_marks[mark], 0);
	row_add(&view->row, step->parent >= 0 ? "   " : " ", 0);
	if (mark != WORDS_PENDING)
		row_style(&view->row, ROW_PLAIN);
	row_add(&view->row, step->name, view->name - view->row.used);
	row_to(&view->row, view->name + 1);
	if (mark == WORDS_RUNNING && step->hold) {
		if (view->columns >= 60) {
			add_bar(view, done, step->hold, SPARK_MAX);
			row_add(&view->row, "  ", 0);
		}
		row_print(&view->row, "%.0f/%.0f s", (double)(done < step->hold ? done : step->hold) / (double)BRUNT_S,
			  (double)step->hold / (double)BRUNT_S);
		row_add(&view->row, phase_of(step), 0);
		if (step->applied)
			row_print(&view->row, "  %s", words_hits(step, text, sizeof(text)));
	} else if (mark == WORDS_RUNNING) {
		row_print(&view->row, "%.0f s%s  ", (double)done / (double)BRUNT_S, phase_of(step));
		row_add(&view->row, step->applied ? words_hits(step, text, sizeof(text)) : step->kind, 0);
	} else if (mark != WORDS_PENDING) {
		row_add(&view->row, words_step(view->story, step, true, text, sizeof(text)), 0);
	}
	draw_end(view);
}

/* ---- SLIs ---- */

/* The mean of a bin: of success where samples are judged, else of values. */
static bool read_bin(const struct story_sli *sli, uint64_t from, uint64_t to, double *ret)
{
	struct brunt_reading reading;
	enum brunt_of of = sli->has_value ? BRUNT_OF_P50 : BRUNT_OF_SUCCESS;

	if (brunt_series_read(sli->series, of, from, to, &reading))
		return false;
	*ret = reading.value;
	return true;
}

static void add_spark(struct view *view, const struct story_sli *sli, unsigned width)
{
	static const char *const blocks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	uint64_t bin = sli->every > SPARK_BIN ? sli->every : SPARK_BIN, last = view->now / bin;
	double values[SPARK_MAX], low = sli->has_value ? INFINITY : 0, high = sli->has_value ? -INFINITY : 1;
	bool known[SPARK_MAX];

	for (unsigned i = 0; i < width; i++) {
		uint64_t n = last - (width - 1 - i);

		known[i] = last >= width - 1 - i && read_bin(sli, n * bin, n * bin + bin - 1, &values[i]);
		if (!known[i] || !isfinite(values[i]) || !sli->has_value)
			continue;
		low = fmin(low, values[i]);
		high = fmax(high, values[i]);
	}
	/* Values rise from zero, so that noise on a calm line does not look like a storm. */
	low = fmin(low, 0);
	for (unsigned i = 0; i < width; i++) {
		double share = !known[i] ? 0 : isinf(values[i]) ? 1 : high > low ? (values[i] - low) / (high - low) : 0;
		int level = (int)(share * 7 + 0.5);

		row_add(&view->row, known[i] ? blocks[level < 0 ? 0 : level > 7 ? 7 : level] : " ", 0);
	}
}

void draw_sli(struct view *view, size_t i)
{
	const struct story_sli *sli = &view->story->slis[i];
	size_t count = brunt_series_count(sli->series);
	const struct brunt_sample *last = count ? brunt_series_at(sli->series, count - 1) : NULL;
	unsigned width = view->columns >= 60 ? SPARK_MAX : 8;
	uint64_t span = width * (sli->every > SPARK_BIN ? sli->every : SPARK_BIN);
	struct brunt_reading reading;
	char text[64];

	draw_begin(view);
	row_add(&view->row, "    ", 0);
	row_add(&view->row, sli->name, view->name - view->row.used);
	row_to(&view->row, view->name + 1);
	add_spark(view, sli, width);
	row_add(&view->row, "  ", 0);
	if (!last)
		row_add(&view->row, "no sample yet", 0);
	if (last && last->has_value)
		row_print(&view->row, "%s  ", story_value(last->value, sli->dimension, text, sizeof(text)));
	if (!brunt_series_read(sli->series, BRUNT_OF_SUCCESS, view->now > span ? view->now - span : 0, view->now,
			       &reading)) {
		row_style(&view->row, reading.bad ? ROW_WARN : ROW_PLAIN);
		row_print(&view->row, "%s good",
			  brunt_quantity_print(reading.value, BRUNT_DIM_RATIO, text, sizeof(text)));
	}
	draw_end(view);
}

/* ---- guardrails ---- */

static size_t guardrail_at(const struct brunt_story *story, size_t n)
{
	for (size_t i = 0; i < story->condition_count; i++)
		if (story->conditions[i].kind == BRUNT_CONDITION_GUARDRAIL && !n--)
			return i;
	return 0;
}

size_t draw_guardrail_count(const struct brunt_story *story)
{
	size_t count = 0;

	for (size_t i = 0; i < story->condition_count; i++)
		count += story->conditions[i].kind == BRUNT_CONDITION_GUARDRAIL;
	return count;
}

/* As it is now, not as it was when it last changed. */
static double read_now(const struct view *view, const struct story_condition *condition)
{
	const struct story_sli *sli = condition->sli ? story_sli_find(view->story, condition->sli) : NULL;
	size_t count = sli ? brunt_series_count(sli->series) : 0;
	struct brunt_reading reading;
	uint64_t from;

	if (!count || !condition->has_of)
		return condition->now.told ? condition->now.value : NAN;
	from = condition->over ? elapsed(condition->over, view->now) : brunt_series_at(sli->series, count - 1)->at;
	if (brunt_series_read(sli->series, condition->of, from, view->now, &reading))
		return NAN;
	return reading.value;
}

void draw_guardrail(struct view *view, size_t n)
{
	const struct story_condition *condition = &view->story->conditions[guardrail_at(view->story, n)];
	double value = read_now(view, condition), distance = story_condition_distance(condition, value, false);
	char right[160], margin[64], text[64];
	unsigned width;

	if (condition->breached)
		(void)snprintf(right, sizeof(right), "BREACHED at %s",
			       story_value(condition->breach.value, condition->dimension, text, sizeof(text)));
	else if (isnan(distance))
		(void)snprintf(right, sizeof(right), "no data");
	else if (isinf(distance))
		(void)snprintf(right, sizeof(right), "%s",
			       story_value(value, condition->dimension, text, sizeof(text)));
	else
		(void)snprintf(right, sizeof(right), "%s · %s %s",
			       story_value(value, condition->dimension, text, sizeof(text)),
			       brunt_quantity_print(fabs(distance), condition->dimension, margin, sizeof(margin)),
			       distance < 0 ? "over" : "left");
	width = row_columns(right, view->row.utf8);
	draw_begin(view);
	row_add(&view->row, "    ", 0);
	row_add(&view->row, condition->text, view->columns > width + 7 ? view->columns - width - 7 : 1);
	row_to(&view->row, view->columns > width + 1 ? view->columns - width - 1 : 0);
	row_style(&view->row, condition->breached || distance < 0 ? ROW_BAD : ROW_PLAIN);
	row_add(&view->row, right, 0);
	draw_end(view);
}
