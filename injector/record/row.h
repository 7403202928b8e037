/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of text of limited width. Everything that is shown passes through it:
 * what a terminal would obey becomes '?', what the locale cannot show becomes
 * ASCII, what does not fit is cut, by columns and not by bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum row_style {
	ROW_PLAIN,
	ROW_BOLD,
	ROW_DIM,
	ROW_GOOD,
	ROW_BAD,
	ROW_WARN,
};

struct row {
	bool utf8, colour;
	unsigned columns; /* most it may have; 0: no limit */
	unsigned used;	  /* columns */
	size_t size;	  /* bytes */
	bool cut;
	bool styled;
	char text[4096];
};

/* Whether the locale's characters are UTF-8. */
bool row_utf8(void);

void row_start(struct row *row, bool utf8, bool colour, unsigned columns);
/* Adds text, at most limit columns of it (0: as the row has room). */
void row_add(struct row *row, const char *text, unsigned limit);
void row_print(struct row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Spaces up to a column (from 0); at least one when the row is already there and not empty. */
void row_to(struct row *row, unsigned column);
/* From here on; nothing without colour. */
void row_style(struct row *row, enum row_style style);
/* Writes the row with its style ended; without newline. */
void row_write(struct row *row, FILE *out);

/* How many columns text takes. */
unsigned row_columns(const char *text, bool utf8);

/* "18,204". Returns buf. */
const char *row_count(uint64_t count, char *buf, size_t size);
