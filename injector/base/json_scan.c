/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_scan.h"
#include "base/json_reader.h"
#include "base/text.h"

#include "brunt/error.h"
#include "brunt/json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_SIZE_MAX 300 /* characters of a number; more digits than any double can use */

static int scan_value(struct brunt_json_reader *s, const struct brunt_json_node *where);

static char peek(const struct brunt_json_reader *s)
{
	return s->at < s->end ? *s->at : '\0';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip_space(struct brunt_json_reader *s)
{
	for (; s->at < s->end; s->at++) {
		if (*s->at == '\n') {
			s->line++;
			s->column = 1;
		} else if (*s->at == ' ' || *s->at == '\t' || *s->at == '\r') {
			s->column++;
		} else {
			return;
		}
	}
}

/* Why what stands here is neither what is wanted nor anything else in JSON. */
static int fail_unexpected(struct brunt_json_reader *s, const char *wanted)
{
	size_t size = (size_t)(s->end - s->at);
	size_t length;

	if (size == 0)
		return BRUNT_JSON_FAIL(s, "the text ends here, but %s must follow", wanted);
	length = brunt_utf8_size(s->at, size);
	if (length == 0)
		return BRUNT_JSON_FAIL(s, "invalid UTF-8: byte 0x%02x", (unsigned char)*s->at);
	switch (*s->at) {
	case '/':
	case '#':
		return BRUNT_JSON_FAIL(s, "JSON has no comments; write a key that begins with \"//\"");
	case '\'':
		return BRUNT_JSON_FAIL(s, "JSON has no single quotes; use \"");
	case '\0':
		return BRUNT_JSON_FAIL(s, "a NUL byte is not allowed");
	}
	if ((unsigned char)*s->at < 0x20 || *s->at == 0x7f)
		return BRUNT_JSON_FAIL(s, "control character 0x%02x, where %s is expected", (unsigned char)*s->at,
				       wanted);
	return BRUNT_JSON_FAIL(s, "'%.*s' here, where %s is expected", (int)length, s->at, wanted);
}

static size_t count_digits(const char *at, const char *end)
{
	size_t count = 0;

	while (at + count < end && brunt_json_is_digit(at[count]))
		count++;
	return count;
}

/* The number's size in characters, or 0 when it is not written as JSON wants it. */
static size_t measure_number(const struct brunt_json_reader *s, size_t *ret_digits, bool *ret_whole, bool *ret_exponent)
{
	const char *at = s->at;
	size_t count;

	if (*at == '-')
		at++;
	count = count_digits(at, s->end);
	if (count == 0 || (count > 1 && *at == '0'))
		return 0;
	*ret_digits = count;
	*ret_whole = true;
	*ret_exponent = false;
	at += count;
	if (at < s->end && *at == '.') {
		count = count_digits(++at, s->end);
		if (count == 0)
			return 0;
		*ret_whole = false;
		at += count;
	}
	if (at < s->end && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < s->end && (*at == '+' || *at == '-'))
			at++;
		count = count_digits(at, s->end);
		if (count == 0)
			return 0;
		*ret_whole = false;
		*ret_exponent = true;
		at += count;
	}
	return (size_t)(at - s->at);
}

/* jansson refuses integers beyond 64 bits and reals beyond a double; said here, with the place of the number. */
static int scan_number(struct brunt_json_reader *s)
{
	bool whole, exponent;
	size_t digits;
	size_t size = measure_number(s, &digits, &whole, &exponent);
	char text[NUMBER_SIZE_MAX + 1];

	if (size == 0)
		return BRUNT_JSON_FAIL(s, "not a number as JSON writes it");
	if (size > NUMBER_SIZE_MAX)
		return BRUNT_JSON_FAIL(s, "the number is too long");
	memcpy(text, s->at, size);
	text[size] = '\0';
	if (whole && digits > 18) {
		errno = 0;
		(void)strtoll(text, NULL, 10);
		if (errno == ERANGE)
			return BRUNT_JSON_FAIL(s, "the number is too big");
	}
	if (exponent) {
		long power;

		errno = 0;
		power = strtol(strpbrk(text, "eE") + 1, NULL, 10);
		if (errno == ERANGE || power > 308 - (long)digits)
			return BRUNT_JSON_FAIL(s, "the number is too big");
	}
	brunt_json_skip(s, size);
	if (is_letter(peek(s)))
		return BRUNT_JSON_FAIL(s, "a quantity with a unit stands in double quotes, such as \"200ms\"");
	return 0;
}

static int scan_word(struct brunt_json_reader *s)
{
	static const char *const words[] = { "true", "false", "null", NULL };
	const char *meant;
	char word[32];
	size_t size = 0;

	while (size < sizeof(word) - 1 && s->at + size < s->end && is_letter(s->at[size])) {
		word[size] = s->at[size];
		size++;
	}
	word[size] = '\0';
	for (size_t i = 0; words[i]; i++) {
		if (strcmp(word, words[i]) == 0) {
			brunt_json_skip(s, size);
			return 0;
		}
	}
	if (size == 0)
		return fail_unexpected(s, "a value");
	meant = brunt_suggest(word, words);
	if (meant)
		return BRUNT_JSON_FAIL(s, "unknown word '%s'; did you mean %s?", word, meant);
	return BRUNT_JSON_FAIL(s, "unknown word '%s'; a string stands in double quotes", word);
}

/* Stores a node; *ret is its index. */
static int add_node(struct brunt_json_map *map, const struct brunt_json_node *node, uint32_t *ret)
{
	if (map->count == map->capacity) {
		size_t capacity = map->capacity ? map->capacity * 2 : 256;
		struct brunt_json_node *nodes = reallocarray(map->nodes, capacity, sizeof(*nodes));

		if (!nodes)
			return -ENOMEM;
		map->nodes = nodes;
		map->capacity = capacity;
	}
	*ret = (uint32_t)map->count;
	map->nodes[map->count++] = *node;
	return 0;
}

/* A key and its colon: fills the key's part of child. */
static int scan_key(struct brunt_json_reader *s, struct brunt_json_node *child, bool comment)
{
	char *key = s->map->keys + s->map->keys_size;
	size_t key_size;

	if (peek(s) != '"') {
		if (is_letter(peek(s)))
			return BRUNT_JSON_FAIL(s, "a key stands in double quotes");
		return fail_unexpected(s, "a key in double quotes");
	}
	child->key_line = s->line;
	child->key_column = s->column;
	if (brunt_json_string(s, key, &key_size) < 0)
		return -EINVAL;
	/* Both quotes are in the text and not in here, so there is room for the end. */
	key[key_size] = '\0';
	child->key = (uint32_t)s->map->keys_size;
	child->key_size = (uint32_t)key_size;
	child->comment = comment || strncmp(key, "//", 2) == 0;
	s->map->keys_size += key_size + 1;
	skip_space(s);
	if (peek(s) != ':')
		return fail_unexpected(s, "':'");
	brunt_json_skip(s, 1);
	return 0;
}

/* An object or an array, with its opening bracket at s. */
static int scan_inside(struct brunt_json_reader *s, uint32_t self, bool object, bool comment)
{
	const char close = object ? '}' : ']';
	const char *wanted = object ? "',' or '}'" : "',' or ']'";
	unsigned line = s->line;
	uint32_t index = 0;
	int r;

	if (++s->depth > BRUNT_JSON_DEPTH_MAX)
		return BRUNT_JSON_FAIL(s, "nested deeper than %d levels", BRUNT_JSON_DEPTH_MAX);
	brunt_json_skip(s, 1);
	skip_space(s);
	while (peek(s) != close || index > 0) {
		struct brunt_json_node child = { .parent = self, .key = index, .comment = comment };

		if (s->at == s->end)
			return BRUNT_JSON_FAIL(s, "the text ends here, but the '%c' of line %u is not closed",
					       object ? '{' : '[', line);
		if (index > 0 && peek(s) == close)
			return BRUNT_JSON_FAIL(s, "one comma too many before '%c'", close);
		if (object) {
			r = scan_key(s, &child, comment);
			if (r < 0)
				return r;
		}
		r = scan_value(s, &child);
		if (r < 0)
			return r;
		index++;
		skip_space(s);
		if (peek(s) == close && s->at < s->end)
			break;
		if (s->at == s->end)
			return BRUNT_JSON_FAIL(s, "the text ends here, but the '%c' of line %u is not closed",
					       object ? '{' : '[', line);
		if (peek(s) != ',')
			return fail_unexpected(s, wanted);
		brunt_json_skip(s, 1);
		skip_space(s);
	}
	brunt_json_skip(s, 1);
	s->depth--;
	return 0;
}

static int scan_value(struct brunt_json_reader *s, const struct brunt_json_node *where)
{
	struct brunt_json_node node = *where;
	uint32_t self;
	size_t size;
	int r;

	skip_space(s);
	node.line = s->line;
	node.column = s->column;
	node.kind = peek(s);
	r = add_node(s->map, &node, &self);
	if (r < 0)
		return r;
	switch (node.kind) {
	case '{':
	case '[':
		return scan_inside(s, self, node.kind == '{', node.comment);
	case '"':
		return brunt_json_string(s, NULL, &size);
	case '-':
	case '0' ... '9':
		return scan_number(s);
	case '+':
	case '.':
		return BRUNT_JSON_FAIL(s, "a number begins with a digit");
	default:
		return scan_word(s);
	}
}

static int scan_text(struct brunt_json_reader *s)
{
	static const struct brunt_json_node root = { .parent = BRUNT_JSON_NO_NODE };
	int r;

	if (s->end - s->at >= 3 && memcmp(s->at, "\xef\xbb\xbf", 3) == 0)
		return BRUNT_JSON_FAIL(s, "begins with a byte order mark; save it as UTF-8 without one");
	if (s->end - s->at >= 2 && (memcmp(s->at, "\xff\xfe", 2) == 0 || memcmp(s->at, "\xfe\xff", 2) == 0))
		return BRUNT_JSON_FAIL(s, "is UTF-16; save it as UTF-8");
	skip_space(s);
	if (s->at == s->end)
		return BRUNT_JSON_FAIL(s, "is empty");
	r = scan_value(s, &root);
	if (r < 0)
		return r;
	skip_space(s);
	if (s->at < s->end)
		return fail_unexpected(s, "the end of the text");
	return 0;
}

static int compare_nodes(const void *a, const void *b, void *arg)
{
	const struct brunt_json_map *map = arg;
	uint32_t ia = *(const uint32_t *)a, ib = *(const uint32_t *)b;
	const struct brunt_json_node *na = &map->nodes[ia], *nb = &map->nodes[ib];

	if (na->parent != nb->parent)
		return na->parent < nb->parent ? -1 : 1;
	if (na->parent != BRUNT_JSON_NO_NODE && map->nodes[na->parent].kind == '{') {
		int r;

		if (na->key_size != nb->key_size)
			return na->key_size < nb->key_size ? -1 : 1;
		r = memcmp(map->keys + na->key, map->keys + nb->key, na->key_size);
		if (r != 0)
			return r;
	}
	return ia < ib ? -1 : ia > ib;
}

int brunt_json_scan(const char *text, size_t size, struct brunt_json_map *map, unsigned *ret_line, unsigned *ret_column,
		    struct brunt_error *err)
{
	struct brunt_json_reader s = { .at = text, .end = text + size, .line = 1, .column = 1, .map = map, .err = err };
	int r;

	if (size >= UINT32_MAX)
		return brunt_fail(err, EINVAL, "is too large");
	map->keys = malloc(size + 1);
	if (!map->keys)
		return -ENOMEM;
	r = scan_text(&s);
	if (r < 0) {
		*ret_line = s.bad_line;
		*ret_column = s.bad_column;
		return r;
	}
	map->order = malloc(map->count * sizeof(*map->order));
	if (!map->order)
		return -ENOMEM;
	for (size_t i = 0; i < map->count; i++)
		map->order[i] = (uint32_t)i;
	qsort_r(map->order, map->count, sizeof(*map->order), compare_nodes, map);
	return 0;
}
