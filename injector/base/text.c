/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <string.h>

size_t brunt_text_cut(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	if (length < size || !text[size])
		return length;
	while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	return length;
}

/* How many bytes at p are one character; *ret_hostile: a control character, or no UTF-8 at all. */
static size_t next_size(const char *p, bool *ret_hostile)
{
	const unsigned char *byte = (const unsigned char *)p;
	size_t size = brunt_utf8_size(p, strnlen(p, 4));

	*ret_hostile = !size || *byte < 0x20 || *byte == 0x7f || (*byte == 0xc2 && byte[1] < 0xa0);
	return size ? size : 1;
}

char *brunt_text_clean(char *text)
{
	bool hostile;

	for (char *at = text; *at;) {
		size_t size = next_size(at, &hostile);

		if (hostile)
			memset(at, '?', size);
		at += size;
	}
	return text;
}

char *brunt_text_mend(char *text)
{
	for (char *at = text; *at;) {
		size_t size = brunt_utf8_size(at, strnlen(at, 4));

		if (!size)
			*at = '?';
		at += size ? size : 1;
	}
	return text;
}

bool brunt_text_is_clean(const char *text)
{
	bool hostile = false;

	while (*text && !hostile)
		text += next_size(text, &hostile);
	return !hostile;
}

const char *brunt_text_quote(const char *text, char buf[BRUNT_QUOTE_SIZE])
{
	size_t length = strnlen(text, BRUNT_QUOTE_SIZE);

	if (length < BRUNT_QUOTE_SIZE) {
		memcpy(buf, text, length + 1);
	} else {
		length = brunt_text_cut(text, BRUNT_QUOTE_SIZE - 4);
		memcpy(buf, text, length);
		memcpy(buf + length, "...", 4);
	}
	brunt_text_clean(buf);
	return buf;
}

size_t brunt_utf8_size(const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t length;

	if (size == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] < 0xe0)
		length = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		length = 3;
	else if (p[0] >= 0xf0 && p[0] < 0xf5)
		length = 4;
	else
		return 0;
	if (size < length)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and what lies beyond U+10FFFF (RFC 3629, section 4). */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] >= 0x90))
		return 0;
	return length;
}
