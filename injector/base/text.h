/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that came from outside, made fit for a message: short, and without
 * anything that a terminal would obey.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define BRUNT_QUOTE_SIZE 64

/* How many of text's first size bytes can be kept without cutting a UTF-8 sequence; never more than size. */
size_t brunt_text_cut(const char *text, size_t size);

/* Replaces control characters (C0, DEL, and C1 in UTF-8), and bytes that are no UTF-8, by '?', in place. Returns text. */
char *brunt_text_clean(char *text);

/* The same for what is no UTF-8 alone, which JSON refuses: no secret is changed, so redaction may come later. */
char *brunt_text_mend(char *text);

/* Whether brunt_text_clean() would leave text as it is. */
bool brunt_text_is_clean(const char *text);

/* text for quotation in a message: cleaned, and cut with "..." when long. Returns buf (BRUNT_QUOTE_SIZE bytes). */
const char *brunt_text_quote(const char *text, char buf[BRUNT_QUOTE_SIZE]);

/* The bytes (1..4) of the valid UTF-8 sequence at text, of which size bytes can be read; 0 when it is not valid. */
size_t brunt_utf8_size(const char *text, size_t size);
