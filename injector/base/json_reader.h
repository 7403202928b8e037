/* SPDX-License-Identifier: Apache-2.0 */
/* A place in a JSON text that moves on: what the scanner's two files share. */
#pragma once

#include "brunt/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

struct brunt_json_map;

struct brunt_json_reader {
	const char *at, *end;
	unsigned line, column; /* of at */
	unsigned depth;
	struct brunt_json_map *map;
	unsigned bad_line, bad_column;
	struct brunt_error *err;
};

/* Something is wrong here. */
#define BRUNT_JSON_FAIL(s, ...)                                                                                        \
	({                                                                                                             \
		struct brunt_json_reader *_scan = (s);                                                                 \
		_scan->bad_line = _scan->line;                                                                         \
		_scan->bad_column = _scan->column;                                                                     \
		brunt_fail(_scan->err, EINVAL, __VA_ARGS__);                                                           \
	})

static inline bool brunt_json_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Goes on by size bytes that are ASCII and no line end. */
static inline void brunt_json_skip(struct brunt_json_reader *s, size_t size)
{
	s->at += size;
	s->column += (unsigned)size;
}

/*
 * Passes a string, whose opening quote is at s; when to is not NULL the unescaped bytes are written there: never more
 * than it has in the text. 0 or -EINVAL, told.
 */
int brunt_json_string(struct brunt_json_reader *s, char *to, size_t *ret_size);
