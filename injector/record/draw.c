/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live view: what is going on, how the system bears it, how far from an
 * abort, how long still. One screen, drawn over itself: each row ends with an
 * erase to its end, so that nothing flickers.
 */
#include <stdio.h>

#include "record/draw.h"
#include "record/words.h"

struct section {
	size_t count; /* rows it would like */
	size_t rows;  /* rows it gets */
	void (*draw)(struct view *view, size_t i);
};

/* The step that most deserves to be seen: the first that runs, else the last that ended. */
static size_t focus(const struct brunt_story *story)
{
	size_t last = 0;

	for (size_t i = 0; i < story->step_count; i++) {
		if (words_mark(&story->steps[i]) == WORDS_RUNNING)
			return i;
		if (story->steps[i].ended)
			last = i;
	}
	return last;
}

static void draw_section(struct view *view, const struct section *section, size_t about)
{
	size_t shown = section->rows, first = 0;

	if (!shown)
		return;
	if (shown < section->count) {
		/* One row says what is left out. */
		shown--;
		first = about > shown / 2 ? about - shown / 2 : 0;
		if (first + shown > section->count)
			first = section->count - shown;
	}
	for (size_t i = 0; i < shown; i++)
		section->draw(view, first + i);
	if (shown == section->count)
		return;
	draw_begin(view);
	row_add(&view->row, "    ", 0);
	row_style(&view->row, ROW_DIM);
	row_print(&view->row, "… and %zu more", section->count - shown);
	draw_end(view);
}

/* Gives the rows that there are to three sections; what a short one leaves goes to the others. */
static void share_rows(struct section sections[3], size_t rows)
{
	static const size_t parts[3] = { 4, 3, 3 }; /* tenths */
	size_t given = 0;

	for (int i = 0; i < 3; i++) {
		size_t part = rows * parts[i] / 10;

		sections[i].rows = sections[i].count < part ? sections[i].count : part;
		given += sections[i].rows;
	}
	for (bool again = true; again && given < rows;) {
		again = false;
		for (int i = 0; i < 3 && given < rows; i++) {
			if (sections[i].rows >= sections[i].count)
				continue;
			sections[i].rows++;
			given++;
			again = true;
		}
	}
}

void brunt_story_draw(const struct brunt_story *story, FILE *out, unsigned rows, unsigned columns, bool colour,
		      uint64_t now)
{
	struct view view = { .story = story, .out = out, .rows = rows, .columns = columns, .now = now };
	struct section sections[3] = {
		{ .count = story->step_count, .draw = draw_step },
		{ .count = story->sli_count, .draw = draw_sli },
		{ .count = draw_guardrail_count(story), .draw = draw_guardrail },
	};
	size_t wanted = sections[0].count + sections[1].count + sections[2].count, fixed;

	if (rows < 1 || columns < 2)
		return;
	view.name = columns >= 60 ? 20 : columns >= 24 ? 14 : 6;
	row_start(&view.row, row_utf8(), colour, columns);
	(void)fputs("\033[H", out);
	draw_title(&view);
	if (rows > 1)
		draw_banner(&view);
	/* Banner, keys, and a blank row around each section, as far as there is room. */
	fixed = rows > 3 ? 3 : rows;
	share_rows(sections, rows - fixed);
	bool airy = fixed + wanted + 4 <= rows;

	for (int i = 0; i < 3; i++) {
		if (airy && sections[i].rows)
			draw_blank(&view);
		draw_section(&view, &sections[i], i ? 0 : focus(story));
	}
	if (rows > 3) {
		if (airy)
			draw_blank(&view);
		draw_begin(&view);
		row_style(&view.row, ROW_DIM);
		row_add(&view.row, "  q abort: everything is removed first", 0);
		if (draw_note(story))
			row_print(&view.row, "  ·  note: %s", draw_note(story));
		draw_end(&view);
	}
	(void)fputs("\033[J", out);
}
