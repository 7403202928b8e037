/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of the live view, for the one who lays them out.
 */
#pragma once

#include "judge/story.h"
#include "record/row.h"

struct view {
	const struct brunt_story *story;
	FILE *out;
	unsigned rows, columns;
	unsigned drawn;
	uint64_t now;
	unsigned name; /* width of the first column */
	struct row row;
};

/* A new row, below those drawn so far; and its end. */
void draw_begin(struct view *view);
void draw_end(struct view *view);
void draw_blank(struct view *view);

/* One row each. */
void draw_title(struct view *view);
void draw_banner(struct view *view);
void draw_step(struct view *view, size_t i);
void draw_sli(struct view *view, size_t i);
void draw_guardrail(struct view *view, size_t n); /* the nth of the guardrails */

size_t draw_guardrail_count(const struct brunt_story *story);

/* The newest note, or NULL. */
const char *draw_note(const struct brunt_story *story);
