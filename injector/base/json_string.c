/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_reader.h"
#include "base/text.h"

#include <string.h>

static int read_hex(struct brunt_json_reader *s, unsigned *ret)
{
	unsigned value = 0;

	/* at stands on the backslash */
	for (int i = 2; i < 6; i++) {
		char c = s->end - s->at > i ? s->at[i] : '\0';

		if (brunt_json_is_digit(c))
			value = value * 16 + (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value * 16 + (unsigned)((c | 0x20) - 'a') + 10;
		else
			return BRUNT_JSON_FAIL(s, "\\u needs four hexadecimal digits");
	}
	*ret = value;
	return 0;
}

static size_t put_utf8(char *to, unsigned c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Reads \uXXXX, or two of them that make one character. Writes at most 4 bytes to to. */
static int scan_unicode(struct brunt_json_reader *s, char *to, size_t *ret_size)
{
	unsigned high, low;

	if (read_hex(s, &high) < 0)
		return -EINVAL;
	if (high == 0)
		return BRUNT_JSON_FAIL(s, "\\u0000 is not allowed in a string");
	if (high >= 0xdc00 && high < 0xe000)
		return BRUNT_JSON_FAIL(s, "\\u%04x is the second half of a surrogate pair without the first", high);
	if (high >= 0xd800 && high < 0xdc00) {
		struct brunt_json_reader second = *s;

		brunt_json_skip(&second, 6);
		if (s->end - second.at < 6 || second.at[0] != '\\' || second.at[1] != 'u')
			return BRUNT_JSON_FAIL(s, "\\u%04x is the first half of a surrogate pair without the second",
					       high);
		if (read_hex(&second, &low) < 0) {
			s->bad_line = second.bad_line;
			s->bad_column = second.bad_column;
			return -EINVAL;
		}
		if (low < 0xdc00 || low >= 0xe000)
			return BRUNT_JSON_FAIL(s, "\\u%04x is the first half of a surrogate pair without the second",
					       high);
		high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
		brunt_json_skip(s, 6);
	}
	brunt_json_skip(s, 6);
	*ret_size = put_utf8(to, high);
	return 0;
}

static int scan_escape(struct brunt_json_reader *s, char *to, size_t *ret_size)
{
	static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	char c = s->end - s->at > 1 ? s->at[1] : '\0';
	const char *found;

	if (c == 'u')
		return scan_unicode(s, to, ret_size);
	found = c ? strchr(plain, c) : NULL;
	if (!found)
		return BRUNT_JSON_FAIL(s, "unknown escape in a string; write \"\\\\\" for a backslash");
	to[0] = meant[found - plain];
	*ret_size = 1;
	brunt_json_skip(s, 2);
	return 0;
}

int brunt_json_string(struct brunt_json_reader *s, char *to, size_t *ret_size)
{
	struct brunt_json_reader start = *s;
	size_t size = 0;

	brunt_json_skip(s, 1);
	for (;;) {
		char piece[4];
		size_t length = 0;

		if (s->at == s->end) {
			s->line = start.line;
			s->column = start.column;
			return BRUNT_JSON_FAIL(s, "the string that begins here is never closed");
		}
		if (*s->at == '"')
			break;
		if (*s->at == '\\') {
			if (scan_escape(s, piece, &length) < 0)
				return -EINVAL;
			if (to)
				memcpy(to + size, piece, length);
			size += length;
			continue;
		}
		if (*s->at == '\n' || *s->at == '\r')
			return BRUNT_JSON_FAIL(s, "a line ends inside a string; write \\n, or an array of lines");
		if (*s->at == '\t')
			return BRUNT_JSON_FAIL(s, "a tab inside a string; write \\t");
		length = brunt_utf8_size(s->at, (size_t)(s->end - s->at));
		if (length == 0)
			return BRUNT_JSON_FAIL(s, "invalid UTF-8: byte 0x%02x", (unsigned char)*s->at);
		if ((unsigned char)*s->at < 0x20)
			return BRUNT_JSON_FAIL(s, "control character 0x%02x inside a string; write \\u%04x",
					       (unsigned char)*s->at, (unsigned char)*s->at);
		if (to)
			memcpy(to + size, s->at, length);
		size += length;
		s->at += length;
		s->column++;
	}
	brunt_json_skip(s, 1);
	*ret_size = size;
	return 0;
}
