/* SPDX-License-Identifier: Apache-2.0 */
#include "record/row.h"

#include <langinfo.h>
#include <stdarg.h>
#include <string.h>
#include <wchar.h>

#include "base/text.h"
#include "brunt/memory.h"

/* What brunt itself writes beyond ASCII, and what stands for it where the locale has no UTF-8. */
static const struct {
	wchar_t character;
	const char *ascii;
} plain[] = {
	{ 0x2265, ">=" }, { 0x2264, "<=" }, { 0x00b7, "-" }, { 0x2026, "~" }, { 0x2713, "+" }, { 0x2717, "x" },
	{ 0x25b6, ">" },  { 0x00b5, "u" },  { 0x2588, "#" }, { 0x2591, "." }, { 0x2581, "_" }, { 0x2582, "." },
	{ 0x2583, "-" },  { 0x2584, "-" },  { 0x2585, "=" }, { 0x2586, "=" }, { 0x2587, "#" }, { 0x2013, "-" },
};

bool row_utf8(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static wchar_t decode(const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;

	switch (size) {
	case 2:
		return (wchar_t)((p[0] & 0x1f) << 6 | (p[1] & 0x3f));
	case 3:
		return (wchar_t)((p[0] & 0x0f) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f));
	case 4:
		return (wchar_t)((p[0] & 0x07) << 18 | (p[1] & 0x3f) << 12 | (p[2] & 0x3f) << 6 | (p[3] & 0x3f));
	default:
		return p[0];
	}
}

/* Controls, and what makes text read in another order than it is written (CVE-2021-42574). */
static bool is_hostile(wchar_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff || c == 0x00ad;
}

/* The next character of text as it is to be shown: bytes in *ret, how many columns; moves text on. */
static unsigned next(const char **text, bool utf8, const char **ret, size_t *ret_size)
{
	size_t size = brunt_utf8_size(*text, strnlen(*text, 4));
	wchar_t c = size ? decode(*text, size) : 0;
	int columns = 1;

	*ret = *text;
	*ret_size = size ? size : 1;
	*text += *ret_size;
	if (size && !is_hostile(c)) {
		if (c < 0x7f)
			return 1;
		for (size_t i = 0; !utf8 && i < BRUNT_COUNT(plain); i++)
			if (plain[i].character == c) {
				*ret = plain[i].ascii;
				*ret_size = strlen(*ret);
				return (unsigned)*ret_size;
			}
		columns = utf8 ? wcwidth(c) : -1;
		if (columns >= 0)
			return (unsigned)columns;
	}
	*ret = "?";
	*ret_size = 1;
	return 1;
}

void row_start(struct row *row, bool utf8, bool colour, unsigned columns)
{
	row->utf8 = utf8;
	row->colour = colour;
	row->columns = columns;
	row->used = 0;
	row->size = 0;
	row->cut = row->styled = false;
}

static void put(struct row *row, const char *bytes, size_t size)
{
	/* Some room is kept for the end of a style. */
	if (row->size + size > sizeof(row->text) - 16) {
		row->cut = true;
		return;
	}
	memcpy(row->text + row->size, bytes, size);
	row->size += size;
}

unsigned row_columns(const char *text, bool utf8)
{
	unsigned columns = 0;
	const char *bytes;
	size_t size;

	while (*text)
		columns += next(&text, utf8, &bytes, &size);
	return columns;
}

void row_add(struct row *row, const char *text, unsigned limit)
{
	unsigned end = limit ? row->used + limit : 0;
	unsigned room = row->columns && (!end || row->columns < end) ? row->columns : end;
	bool fits = !room || row->used + row_columns(text, row->utf8) <= room;

	while (*text && !row->cut) {
		const char *bytes;
		size_t size;
		unsigned columns = next(&text, row->utf8, &bytes, &size);

		/* The last column of what does not fit says so. */
		if (!fits && row->used + columns > room - 1) {
			if (row->used < room) {
				put(row, row->utf8 ? "\xe2\x80\xa6" : "~", row->utf8 ? 3 : 1);
				row->used++;
			}
			return;
		}
		put(row, bytes, size);
		row->used += columns;
	}
}

void row_print(struct row *row, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	row_add(row, text, 0);
}

void row_to(struct row *row, unsigned column)
{
	if (row->used && row->used >= column)
		column = row->used + 1;
	while (row->used < column && (!row->columns || row->used < row->columns)) {
		put(row, " ", 1);
		row->used++;
	}
}

void row_style(struct row *row, enum row_style style)
{
	static const char *const codes[] = {
		[ROW_PLAIN] = "\033[0m", [ROW_BOLD] = "\033[1m",   [ROW_DIM] = "\033[2m",
		[ROW_GOOD] = "\033[32m", [ROW_BAD] = "\033[1;31m", [ROW_WARN] = "\033[33m",
	};

	if (!row->colour || (style == ROW_PLAIN && !row->styled))
		return;
	put(row, codes[style], strlen(codes[style]));
	row->styled = style != ROW_PLAIN;
}

void row_write(struct row *row, FILE *out)
{
	if (row->styled) {
		memcpy(row->text + row->size, "\033[0m", 4);
		row->size += 4;
		row->styled = false;
	}
	(void)fwrite(row->text, 1, row->size, out);
}

const char *row_count(uint64_t count, char *buf, size_t size)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	size_t used = 0;

	for (int i = 0; i < length && used + 2 < size; i++) {
		if (i && (length - i) % 3 == 0)
			buf[used++] = ',';
		buf[used++] = digits[i];
	}
	buf[used] = '\0';
	return buf;
}
