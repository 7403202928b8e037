/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diags.h"
#include "base/text.h"

#include "brunt/memory.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 512 /* bytes of one phrase */

static void diag_free(struct brunt_diag *diag)
{
	free(diag->file);
	free(diag->pointer);
	free(diag->message);
}

void brunt_diags_done(struct brunt_diags *diags)
{
	if (!diags)
		return;
	for (size_t i = 0; i < diags->count; i++)
		diag_free(&diags->items[i]);
	free(diags->items);
	*diags = (struct brunt_diags){ 0 };
}

/* A free entry for one more diagnostic, or NULL. */
static struct brunt_diag *make_room(struct brunt_diags *diags, bool warning)
{
	if (!diags->items) {
		diags->items = calloc(BRUNT_DIAGS_MAX, sizeof(*diags->items));
		if (!diags->items)
			return NULL;
	}
	if (diags->count < BRUNT_DIAGS_MAX)
		return &diags->items[diags->count++];
	if (warning || diags->warnings == 0)
		return NULL;
	for (size_t i = diags->count; i-- > 0;) {
		if (!diags->items[i].warning)
			continue;
		diag_free(&diags->items[i]);
		memmove(&diags->items[i], &diags->items[i + 1], (diags->count - i - 1) * sizeof(*diags->items));
		return &diags->items[diags->count - 1];
	}
	return NULL;
}

void brunt_diags_add(struct brunt_diags *diags, const char *file, const char *pointer, unsigned line, unsigned column,
		     bool warning, const char *format, va_list args)
{
	char message[MESSAGE_MAX];
	struct brunt_diag *diag;
	int length;

	if (!diags)
		return;
	diag = make_room(diags, warning);
	if (warning)
		diags->warnings++;
	else
		diags->errors++;
	if (!diag)
		return;
	length = vsnprintf(message, sizeof(message), format, args);
	if (length < 0)
		message[0] = '\0';
	else if ((size_t)length >= sizeof(message))
		memcpy(message + brunt_text_cut(message, sizeof(message) - 4), "...", 4);
	brunt_text_clean(message);
	/* Short memory leaves members NULL: the number of errors still is right. */
	*diag = (struct brunt_diag){
		.file = file ? strdup(file) : NULL,
		.pointer = strdup(pointer ? pointer : ""),
		.line = line,
		.column = column,
		.warning = warning,
		.message = strdup(message),
	};
}

static bool same_file(const struct brunt_diag *a, const struct brunt_diag *b)
{
	return strcmp(a->file ? a->file : "", b->file ? b->file : "") == 0;
}

static bool comes_before(const struct brunt_diag *a, size_t a_rank, const struct brunt_diag *b, size_t b_rank)
{
	if (a_rank != b_rank)
		return a_rank < b_rank;
	if (a->line != b->line)
		return a->line < b->line;
	return a->column < b->column;
}

void brunt_diags_sort(struct brunt_diags *diags)
{
	size_t ranks[BRUNT_DIAGS_MAX];

	for (size_t i = 0; i < diags->count; i++) {
		ranks[i] = i;
		for (size_t j = 0; j < i; j++) {
			if (same_file(&diags->items[i], &diags->items[j])) {
				ranks[i] = ranks[j];
				break;
			}
		}
	}
	/* At most BRUNT_DIAGS_MAX; insertion keeps the order of what stands at the same place. */
	for (size_t i = 1; i < diags->count; i++) {
		struct brunt_diag diag = diags->items[i];
		size_t rank = ranks[i];
		size_t j = i;

		for (; j > 0 && comes_before(&diag, rank, &diags->items[j - 1], ranks[j - 1]); j--) {
			diags->items[j] = diags->items[j - 1];
			ranks[j] = ranks[j - 1];
		}
		diags->items[j] = diag;
		ranks[j] = rank;
	}
}

static int print_place(const struct brunt_diag *diag, char *buf, size_t size)
{
	const char *file = diag->file ? diag->file : "";

	if (diag->line == 0)
		return snprintf(buf, size, "%s", file);
	return snprintf(buf, size, "%s:%u:%u", file, diag->line, diag->column);
}

static void print_diag(const struct brunt_diag *diag, int width, FILE *out)
{
	BRUNT_AUTO_FREE char *pointer = strdup(diag->pointer ? diag->pointer : "");
	char place[512];

	(void)print_place(diag, place, sizeof(place));
	brunt_text_clean(place);
	if (place[0])
		(void)fprintf(out, "%-*s  ", width, place);
	if (pointer && pointer[0]) {
		brunt_text_clean(pointer);
		(void)fprintf(out, "%s  ", pointer);
	}
	(void)fprintf(out, "%s%s\n", diag->warning ? "warning: " : "", diag->message ? diag->message : "?");
}

static void print_sum(const struct brunt_diags *diags, FILE *out)
{
	size_t files = 0;

	for (size_t i = 0; i < diags->count; i++) {
		bool fresh = true;

		for (size_t j = 0; j < i && fresh; j++)
			fresh = !same_file(&diags->items[i], &diags->items[j]);
		files += fresh;
	}
	if (diags->count > 0 && diags->items[0].file && diags->items[0].file[0]) {
		char place[512];

		(void)snprintf(place, sizeof(place), "%s", diags->items[0].file);
		brunt_text_clean(place);
		(void)fprintf(out, "%s", place);
		if (files > 1)
			(void)fprintf(out, " and %zu more file%s", files - 1, files == 2 ? "" : "s");
		(void)fprintf(out, ": ");
	}
	if (diags->errors > 0)
		(void)fprintf(out, "%zu error%s%s", diags->errors, diags->errors == 1 ? "" : "s",
			      diags->warnings > 0 ? ", " : "");
	if (diags->warnings > 0)
		(void)fprintf(out, "%zu warning%s", diags->warnings, diags->warnings == 1 ? "" : "s");
	if (diags->errors + diags->warnings > diags->count)
		(void)fprintf(out, " (%zu shown)", diags->count);
	(void)fprintf(out, "\n");
}

void brunt_diags_print(const struct brunt_diags *diags, FILE *out)
{
	int width = 0;

	if (diags->errors + diags->warnings == 0)
		return;
	for (size_t i = 0; i < diags->count; i++) {
		char place[512];
		int length = print_place(&diags->items[i], place, sizeof(place));

		if (length > width)
			width = length;
	}
	/* One long file name does not push the others to the right. */
	if (width > 60)
		width = 60;
	for (size_t i = 0; i < diags->count; i++)
		print_diag(&diags->items[i], width, out);
	print_sum(diags, out);
}
