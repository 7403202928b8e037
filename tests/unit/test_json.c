/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Allocations that still succeed before one fails; negative: all do. */
static int allocations_left = -1;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);

static bool may_allocate(void)
{
	if (allocations_left < 0)
		return true;
	if (allocations_left == 0)
		return false;
	allocations_left--;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return may_allocate() ? __real_reallocarray(old, count, size) : NULL;
}

char *__wrap_strdup(const char *text)
{
	return may_allocate() ? __real_strdup(text) : NULL;
}

/* What brunt_diags_print() writes, to be freed. */
static char *printed(const struct brunt_diags *diags)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	brunt_diags_print(diags, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static int parse(const char *text, size_t size, struct brunt_diags *diags, struct brunt_doc **ret)
{
	/* An exact copy on the heap: AddressSanitizer sees a byte read too many. */
	char *copy = malloc(size ? size : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, text, size);
	r = brunt_doc_parse(copy, size, "p.json", diags, ret);
	free(copy);
	return r;
}

/* Parses text, which must give these diagnostics and no tree. */
static void assert_refused(const char *text, size_t size, const char *expected)
{
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = NULL;
	BRUNT_AUTO_FREE char *got = NULL;
	char line[1024];

	assert_int_equal(parse(text, size, &diags, &doc), -EINVAL);
	assert_null(doc);
	got = printed(&diags);
	(void)snprintf(line, sizeof(line), "%s\np.json: 1 error\n", expected);
	assert_string_equal(got, line);
	brunt_diags_done(&diags);
}

static struct brunt_doc *parse_good(const char *text)
{
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = NULL;

	if (parse(text, strlen(text), &diags, &doc) != 0)
		fail_msg("%s", printed(&diags));
	assert_int_equal(diags.errors + diags.warnings, 0);
	brunt_diags_done(&diags);
	return doc;
}

static void wrong_syntax_is_told_once_with_its_place(void **state)
{
	static const struct {
		const char *text;
		const char *msg;
	} cases[] = {
		{ " \n ", "p.json:2:2  is empty" },
		{ "[]", "p.json:1:1  must be one object { ... }, not an array" },
		{ "\n \"x\"", "p.json:2:2  must be one object { ... }, not a string" },
		{ "true", "p.json:1:1  must be one object { ... }, not true or false" },
		{ "null", "p.json:1:1  must be one object { ... }, not null" },
		{ "7", "p.json:1:1  must be one object { ... }, not a number" },
		{ "{", "p.json:1:2  the text ends here, but the '{' of line 1 is not closed" },
		{ "{\n\"a\": [\n1", "p.json:3:2  the text ends here, but the '[' of line 2 is not closed" },
		{ "{\"a\"", "p.json:1:5  the text ends here, but ':' must follow" },
		{ "{\"a\":", "p.json:1:6  the text ends here, but a value must follow" },
		{ "{\"a\":1,", "p.json:1:8  the text ends here, but the '{' of line 1 is not closed" },
		{ "{\"a\":1,}", "p.json:1:8  one comma too many before '}'" },
		{ "{\"a\":[1,]}", "p.json:1:9  one comma too many before ']'" },
		{ "{,}", "p.json:1:2  ',' here, where a key in double quotes is expected" },
		{ "{\"a\":1 \"b\":2}", "p.json:1:8  '\"' here, where ',' or '}' is expected" },
		{ "{\"a\":[1 2]}", "p.json:1:9  '2' here, where ',' or ']' is expected" },
		{ "{\"a\":[1}", "p.json:1:8  '}' here, where ',' or ']' is expected" },
		{ "{\"a\" 1}", "p.json:1:6  '1' here, where ':' is expected" },
		{ "{\"a\":}", "p.json:1:6  '}' here, where a value is expected" },
		{ "{\"a\":\xc3\xa9}", "p.json:1:6  '\xc3\xa9' here, where a value is expected" },
		{ "{a: 1}", "p.json:1:2  a key stands in double quotes" },
		{ "{'a': 1}", "p.json:1:2  JSON has no single quotes; use \"" },
		{ "{\"a\": 1} x", "p.json:1:10  'x' here, where the end of the text is expected" },
		{ "{} {}", "p.json:1:4  '{' here, where the end of the text is expected" },
		{ "{ // hi\n}", "p.json:1:3  JSON has no comments; write a key that begins with \"//\"" },
		{ "{ # hi\n}", "p.json:1:3  JSON has no comments; write a key that begins with \"//\"" },
		{ "{\"a\": True}", "p.json:1:7  unknown word 'True'; did you mean true?" },
		{ "{\"a\": nul}", "p.json:1:7  unknown word 'nul'; did you mean null?" },
		{ "{\"a\": egress}", "p.json:1:7  unknown word 'egress'; a string stands in double quotes" },
		{ "{\"a\": NaN}", "p.json:1:7  unknown word 'NaN'; a string stands in double quotes" },
		{ "{\"a\": 200ms}", "p.json:1:10  a quantity with a unit stands in double quotes, such as \"200ms\"" },
		{ "{\"a\": 5%}", "p.json:1:8  '%' here, where ',' or '}' is expected" },
		{ "{\"a\": 01}", "p.json:1:7  not a number as JSON writes it" },
		{ "{\"a\": 1.}", "p.json:1:7  not a number as JSON writes it" },
		{ "{\"a\": 1e}", "p.json:1:7  not a number as JSON writes it" },
		{ "{\"a\": -}", "p.json:1:7  not a number as JSON writes it" },
		{ "{\"a\": -Infinity}", "p.json:1:7  not a number as JSON writes it" },
		{ "{\"a\": .5}", "p.json:1:7  a number begins with a digit" },
		{ "{\"a\": +5}", "p.json:1:7  a number begins with a digit" },
		{ "{\"a\": 9223372036854775808}", "p.json:1:7  the number is too big" },
		{ "{\"a\": 1e400}", "p.json:1:7  the number is too big" },
		{ "{\"a\": 1e99999999999999999999}", "p.json:1:7  the number is too big" },
		{ "{\"a\": \"x}\n", "p.json:1:10  a line ends inside a string; write \\n, or an array of lines" },
		{ "{\"a\": \"x}", "p.json:1:7  the string that begins here is never closed" },
		{ "{\"a\": \"x\\", "p.json:1:9  unknown escape in a string; write \"\\\\\" for a backslash" },
		{ "{\"a\": \"\tx\"}", "p.json:1:8  a tab inside a string; write \\t" },
		{ "{\"a\": \"\x01\"}", "p.json:1:8  control character 0x01 inside a string; write \\u0001" },
		{ "{\"a\": \"\\x\"}", "p.json:1:8  unknown escape in a string; write \"\\\\\" for a backslash" },
		{ "{\"a\": \"\\u12g4\"}", "p.json:1:8  \\u needs four hexadecimal digits" },
		{ "{\"a\": \"\\u0000\"}", "p.json:1:8  \\u0000 is not allowed in a string" },
		{ "{\"\\u0000\": 1}", "p.json:1:3  \\u0000 is not allowed in a string" },
		{ "{\"a\": \"\\ud800x\"}",
		  "p.json:1:8  \\ud800 is the first half of a surrogate pair without the second" },
		{ "{\"a\": \"\\ud800\\u0041\"}",
		  "p.json:1:8  \\ud800 is the first half of a surrogate pair without the second" },
		{ "{\"a\": \"\\ud800\\uzzzz\"}", "p.json:1:14  \\u needs four hexadecimal digits" },
		{ "{\"a\": \"\\udc00\"}",
		  "p.json:1:8  \\udc00 is the second half of a surrogate pair without the first" },
		{ "\xef\xbb\xbf{}", "p.json:1:1  begins with a byte order mark; save it as UTF-8 without one" },
		{ "\xff\xfe{}", "p.json:1:1  is UTF-16; save it as UTF-8" },
		{ "{\x02}", "p.json:1:2  control character 0x02, where a key in double quotes is expected" },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++)
		assert_refused(cases[i].text, strlen(cases[i].text), cases[i].msg);
	assert_refused("", 0, "p.json  is empty");
	assert_refused("{\0}", 3, "p.json:1:2  a NUL byte is not allowed");
	assert_refused("{}\0", 3, "p.json:1:3  a NUL byte is not allowed");
	assert_refused("{\"a\":\"\0\"}", 9, "p.json:1:7  control character 0x00 inside a string; write \\u0000");
}

static void invalid_utf8_is_told_with_its_byte_and_place(void **state)
{
	static const char *const sequences[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc3",
		"\xc3(",
		"\xe0\x80\x80",
		"\xe2\x82",
		"\xed\xa0\x80",
		"\xf0\x80\x80\x80",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xe2\x28\xa1",
		"\xf0\x9f\x98",
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(sequences); i++) {
		char text[64], expected[96];

		/* One character of two bytes before: columns are characters. */
		(void)snprintf(text, sizeof(text), "{\n\"a\": \"\xc3\xa9%s\"}", sequences[i]);
		(void)snprintf(expected, sizeof(expected), "p.json:2:8  invalid UTF-8: byte 0x%02x",
			       (unsigned char)sequences[i][0]);
		assert_refused(text, strlen(text), expected);
	}
	assert_refused("{\xff}", 3, "p.json:1:2  invalid UTF-8: byte 0xff");
}

static void what_jansson_takes_the_scanner_takes(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{ }\r\n",
		"{\"\": {\"\": [[], {}, \"\", 0, -0, 1.5e-300, 1E+2, true, false, null]}}",
		"{\"a\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00\"}",
		"{\"a\": 9223372036854775807, \"b\": -9223372036854775808, \"c\": 0.1}",
		"{\"\xf0\x9f\x98\x80\": \"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\x7f\"}",
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(texts); i++) {
		struct brunt_doc *doc = parse_good(texts[i]);
		json_t *tree = json_loads(texts[i], 0, NULL);

		assert_non_null(tree);
		assert_true(json_equal(tree, brunt_doc_root(doc)));
		json_decref(tree);
		brunt_doc_free(doc);
	}
}

static void the_name_of_a_document_is_kept(void **state)
{
	struct brunt_doc *doc = parse_good("{}");

	(void)state;
	assert_string_equal(brunt_doc_name(doc), "p.json");
	brunt_doc_free(doc);
	brunt_doc_free(NULL);
}

static void depth_is_limited_exactly(void **state)
{
	char text[200];
	struct brunt_doc *doc;

	(void)state;
	for (int depth = BRUNT_JSON_DEPTH_MAX; depth <= BRUNT_JSON_DEPTH_MAX + 1; depth++) {
		int at = 0;

		at += snprintf(text, sizeof(text), "{\"a\":");
		for (int i = 1; i < depth; i++)
			text[at++] = '[';
		for (int i = 1; i < depth; i++)
			text[at++] = ']';
		text[at++] = '}';
		text[at] = '\0';
		if (depth == BRUNT_JSON_DEPTH_MAX) {
			doc = parse_good(text);
			brunt_doc_free(doc);
		} else {
			assert_refused(text, strlen(text), "p.json:1:37  nested deeper than 32 levels");
		}
	}
}

static void every_duplicate_is_told_and_the_tree_is_still_there(void **state)
{
	static const char text[] = "{ \"a\": 1,\n"
				   "  \"b\": { \"x\": 1, \"\\u0078\": 2, \"x\": 3 },\n"
				   "  \"a\": [ { \"c~/\": 0, \"c~/\": 0 } ],\n"
				   "  \"//\": 1, \"//\": 2, \"//z\": { \"q\": 1, \"q\": 2 } }\n";
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = NULL;
	BRUNT_AUTO_FREE char *got = NULL;

	(void)state;
	assert_int_equal(parse(text, strlen(text), &diags, &doc), 0);
	brunt_diags_sort(&diags);
	got = printed(&diags);
	assert_string_equal(got, "p.json:2:18  /b/x  duplicate key; it stands at line 2 already\n"
				 "p.json:2:31  /b/x  duplicate key; it stands at line 2 already\n"
				 "p.json:3:3   /a  duplicate key; it stands at line 1 already\n"
				 "p.json:3:22  /a/0/c~0~1  duplicate key; it stands at line 3 already\n"
				 "p.json: 4 errors\n");
	assert_int_equal(json_object_size(brunt_doc_root(doc)), 2);
	brunt_diags_done(&diags);
	brunt_doc_free(doc);
}

static void comment_keys_are_dropped_everywhere(void **state)
{
	struct brunt_doc *doc = parse_good("{\"//\":1,\"//x\":2,\"/y\":3,\"a\":[{\"//\":4,\"b\":{\"//\":[5]}}]}");
	json_t *expected = json_pack("{s:i,s:[{s:{}}]}", "/y", 3, "a", "b");

	(void)state;
	assert_true(json_equal(brunt_doc_root(doc), expected));
	json_decref(expected);
	brunt_doc_free(doc);
}

static void the_place_of_every_value_and_key_is_known(void **state)
{
	static const char text[] = "{\n"
				   "  \"\xc3\xa9\xc3\xa9\": 1, \"m~n\": { \"a/b\":\n"
				   "    [ 7, [ true ] ] },\n"
				   "  \"d\": 1, \"d\": { \"e\": 2 }, \"\": 5 }";
	static const struct {
		const char *pointer;
		bool at_key;
		unsigned line, column;
	} cases[] = {
		{ "", false, 1, 1 },
		{ "", true, 1, 1 },
		{ "/\xc3\xa9\xc3\xa9", false, 2, 9 },
		{ "/\xc3\xa9\xc3\xa9", true, 2, 3 },
		{ "/m~0n", true, 2, 12 },
		{ "/m~0n", false, 2, 19 },
		{ "/m~0n/a~1b", true, 2, 21 },
		{ "/m~0n/a~1b", false, 3, 5 },
		{ "/m~0n/a~1b/0", false, 3, 7 },
		{ "/m~0n/a~1b/0", true, 3, 7 },
		{ "/m~0n/a~1b/1/0", false, 3, 12 },
		/* Of duplicates the last, which the tree has. */
		{ "/d", true, 4, 11 },
		{ "/d/e", false, 4, 23 },
		{ "/", false, 4, 32 },
		/* What is not there: the nearest that is. */
		{ "/m~0n/a~1b/9", false, 3, 5 },
		{ "/m~0n/a~1b/00", false, 3, 5 },
		{ "/m~0n/a~1b/x", false, 3, 5 },
		{ "/m~0n/a~1b/99999999999999999999", false, 3, 5 },
		{ "/d/zz/y", false, 4, 16 },
		{ "/zz", true, 1, 1 },
		{ "no pointer", false, 1, 1 },
	};
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = NULL;

	(void)state;
	assert_int_equal(parse(text, strlen(text), &diags, &doc), 0);
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		brunt_diags_done(&diags);
		brunt_doc_error(doc, &diags, cases[i].pointer, cases[i].at_key, "x");
		assert_int_equal(diags.count, 1);
		if (diags.items[0].line != cases[i].line || diags.items[0].column != cases[i].column)
			fail_msg("'%s': %u:%u, not %u:%u", cases[i].pointer, diags.items[0].line, diags.items[0].column,
				 cases[i].line, cases[i].column);
		assert_string_equal(diags.items[0].pointer, cases[i].pointer);
	}
	brunt_diags_done(&diags);
	brunt_doc_free(doc);
}

static void pointers_are_joined_and_escaped(void **state)
{
	char buf[16];

	(void)state;
	assert_string_equal(brunt_pointer_join("", "a", buf, sizeof(buf)), "/a");
	assert_string_equal(brunt_pointer_join("/a", "", buf, sizeof(buf)), "/a/");
	assert_string_equal(brunt_pointer_join("/a", "m~n/o", buf, sizeof(buf)), "/a/m~0n~1o");
	assert_string_equal(brunt_pointer_join(buf, "x", buf, sizeof(buf)), "/a/m~0n~1o/x");
	/* A key that does not fit is left out whole. */
	assert_string_equal(brunt_pointer_join("/abcdef", "01234567", buf, sizeof(buf)), "/abcdef");
	assert_string_equal(brunt_pointer_join("/abcdef", "012345~", buf, sizeof(buf)), "/abcdef");
	assert_string_equal(brunt_pointer_join("/abcdef", "0123456", buf, sizeof(buf)), "/abcdef/0123456");
	assert_string_equal(brunt_pointer_join("/abcdef", "0123456", buf, 4), "");
}

static void diagnostics_are_sorted_by_file_and_place(void **state)
{
	struct brunt_diags diags = { 0 };
	struct brunt_doc *one = NULL, *two = NULL;
	BRUNT_AUTO_FREE char *got = NULL;

	(void)state;
	assert_int_equal(brunt_doc_parse("{\"a\":1,\n\"b\":2}", 14, "one.json", &diags, &one), 0);
	assert_int_equal(brunt_doc_parse("{\"a\":1}", 7, "two.json", &diags, &two), 0);
	brunt_doc_error(two, &diags, "/a", false, "first");
	brunt_doc_error(one, &diags, "/b", false, "fourth");
	brunt_doc_warn(one, &diags, "/a", false, "second");
	brunt_doc_error(one, &diags, "/a", false, "third");
	brunt_doc_error(NULL, &diags, "/x", false, "placeless");
	brunt_diags_sort(&diags);
	got = printed(&diags);
	assert_string_equal(got, "two.json:1:6  /a  first\n"
				 "one.json:1:6  /a  warning: second\n"
				 "one.json:1:6  /a  third\n"
				 "one.json:2:5  /b  fourth\n"
				 "/x  placeless\n"
				 "two.json and 2 more files: 4 errors, 1 warning\n");
	brunt_diags_done(&diags);
	brunt_doc_free(one);
	brunt_doc_free(two);
}

static void no_diagnostics_print_nothing(void **state)
{
	struct brunt_diags diags = { 0 };
	BRUNT_AUTO_FREE char *got = printed(&diags);

	(void)state;
	assert_string_equal(got, "");
	brunt_diags_sort(&diags);
	brunt_diags_done(&diags);
	brunt_diags_done(NULL);
}

static void beyond_the_limit_diagnostics_are_counted_and_errors_displace_warnings(void **state)
{
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = parse_good("{\"a\":1}");
	BRUNT_AUTO_FREE char *got = NULL;
	size_t size;

	(void)state;
	brunt_doc_warn(doc, &diags, "/a", false, "doubtful");
	for (int i = 0; i < BRUNT_DIAGS_MAX + 20; i++)
		brunt_doc_error(doc, &diags, "/a", false, "wrong %d", i);
	brunt_doc_warn(doc, &diags, "/a", false, "doubtful");
	assert_int_equal(diags.count, BRUNT_DIAGS_MAX);
	assert_int_equal(diags.errors, BRUNT_DIAGS_MAX + 20);
	assert_int_equal(diags.warnings, 2);
	for (size_t i = 0; i < diags.count; i++) {
		assert_false(diags.items[i].warning);
		assert_int_equal(diags.items[i].line, 1);
	}
	got = printed(&diags);
	size = strlen(got);
	assert_string_equal(got + size - strlen("p.json: 120 errors, 2 warnings (100 shown)\n"),
			    "p.json: 120 errors, 2 warnings (100 shown)\n");
	brunt_diags_done(&diags);
	brunt_doc_free(doc);
}

static void nothing_a_terminal_obeys_is_printed(void **state)
{
	static const char text[] = "{\"\\u001b[31m\\u009b\\n\": 1}";
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = parse_good(text);
	BRUNT_AUTO_FREE char *got = NULL;

	(void)state;
	brunt_doc_error(doc, &diags, "/\x1b[31m\xc2\x9b\n", true, "'%s'", "\x1b]0;x\x07\r\n");
	/* The pointer itself stays exact, for programs. */
	assert_string_equal(diags.items[0].pointer, "/\x1b[31m\xc2\x9b\n");
	got = printed(&diags);
	assert_string_equal(got, "p.json:1:2  /?[31m???  '?]0;x??\?'\np.json: 1 error\n");
	brunt_diags_done(&diags);
	brunt_doc_free(doc);
}

static void a_long_message_is_cut(void **state)
{
	struct brunt_diags diags = { 0 };
	char text[3000];

	(void)state;
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	brunt_doc_error(NULL, &diags, "", false, "%s", text);
	assert_true(strlen(diags.items[0].message) < 520);
	assert_string_equal(diags.items[0].message + strlen(diags.items[0].message) - 4, "y...");
	brunt_diags_done(&diags);
}

struct folder {
	char path[64];
};

static int make_folder(void **state)
{
	static struct folder folder;

	(void)snprintf(folder.path, sizeof(folder.path), "/tmp/brunt-test-json.XXXXXX");
	*state = &folder;
	return mkdtemp(folder.path) ? 0 : -1;
}

static int remove_folder(void **state)
{
	struct folder *folder = *state;

	return rmdir(folder->path);
}

/* Loads the path, which must be refused with msg, within a moment. */
static void assert_load_refused(const char *path, const char *msg)
{
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = NULL;
	struct timespec before, after;
	BRUNT_AUTO_FREE char *got = NULL;
	char expected[256];

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &before), 0);
	assert_int_equal(brunt_doc_load(path, "p.json", &diags, &doc), -EINVAL);
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &after), 0);
	assert_true((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 < 500);
	assert_null(doc);
	got = printed(&diags);
	(void)snprintf(expected, sizeof(expected), "p.json  %s\np.json: 1 error\n", msg);
	assert_string_equal(got, expected);
	brunt_diags_done(&diags);
}

static void write_file(const char *path, const char *text, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	assert_int_equal(close(fd), 0);
}

static void what_is_no_regular_file_is_refused_at_once(void **state)
{
	const struct folder *folder = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[96];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/x", folder->path);
	assert_load_refused(path, "no such file");
	assert_load_refused(folder->path, "is a directory, not a regular file");
	assert_load_refused("/dev/zero", "is a device, not a regular file");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_load_refused(path, "is a pipe, not a regular file");
	assert_int_equal(unlink(path), 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_load_refused(path, "is a socket, not a regular file");
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("x", path), 0);
	assert_load_refused(path, "cannot be read: Too many levels of symbolic links");
	assert_int_equal(unlink(path), 0);
	assert_load_refused("/etc/passwd/x", "cannot be read: Not a directory");
}

static void an_empty_or_huge_file_is_refused_at_once(void **state)
{
	const struct folder *folder = *state;
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/x", folder->path);
	write_file(path, "", 0);
	assert_load_refused(path, "is empty");
	assert_int_equal(truncate(path, 1000000000), 0);
	assert_load_refused(path, "is 954 MiB; at most 1 MiB are read");
	assert_int_equal(truncate(path, BRUNT_JSON_SIZE_MAX + 1), 0);
	assert_load_refused(path, "is 1 MiB; at most 1 MiB are read");
	assert_int_equal(unlink(path), 0);
}

static void a_file_of_the_largest_size_is_read(void **state)
{
	const struct folder *folder = *state;
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = NULL;
	char path[96];
	char *text = malloc(BRUNT_JSON_SIZE_MAX);

	assert_non_null(text);
	(void)snprintf(path, sizeof(path), "%s/x", folder->path);
	memset(text, ' ', BRUNT_JSON_SIZE_MAX);
	memcpy(text, "{\"a\":1", 6);
	text[BRUNT_JSON_SIZE_MAX - 1] = '}';
	write_file(path, text, BRUNT_JSON_SIZE_MAX);
	free(text);
	assert_int_equal(brunt_doc_load(path, "p.json", &diags, &doc), 0);
	assert_int_equal(diags.errors, 0);
	assert_int_equal(json_object_size(brunt_doc_root(doc)), 1);
	brunt_doc_free(doc);
	assert_int_equal(unlink(path), 0);
}

static double seconds_to_parse(const char *text, size_t size, int expected)
{
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = NULL;
	struct timespec before, after;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
	assert_int_equal(brunt_doc_parse(text, size, "p.json", &diags, &doc), expected);
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
	brunt_doc_free(doc);
	brunt_diags_done(&diags);
	return (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
}

/* The worst shapes of a full-size text; anything quadratic would take minutes. */
static void the_largest_texts_take_no_long_time(void **state)
{
	char *text = malloc(BRUNT_JSON_SIZE_MAX);
	size_t size;

	(void)state;
	assert_non_null(text);
	/* Many elements. */
	size = (size_t)sprintf(text, "{\"a\":[0");
	while (size < BRUNT_JSON_SIZE_MAX - 10)
		size += (size_t)sprintf(text + size, ",0");
	size += (size_t)sprintf(text + size, "]}");
	assert_true(seconds_to_parse(text, size, 0) < 5);
	/* Many duplicates. */
	size = (size_t)sprintf(text, "{\"a\":0");
	while (size < BRUNT_JSON_SIZE_MAX - 20)
		size += (size_t)sprintf(text + size, ",\"a\":0");
	size += (size_t)sprintf(text + size, "}");
	assert_true(seconds_to_parse(text, size, 0) < 5);
	/* A long key, with many children: whole pointers would fill the memory. */
	size = (size_t)sprintf(text, "{\"");
	memset(text + size, 'k', BRUNT_JSON_SIZE_MAX / 2);
	size += BRUNT_JSON_SIZE_MAX / 2;
	size += (size_t)sprintf(text + size, "\":[0");
	while (size < BRUNT_JSON_SIZE_MAX - 10)
		size += (size_t)sprintf(text + size, ",0");
	size += (size_t)sprintf(text + size, "]}");
	assert_true(seconds_to_parse(text, size, 0) < 5);
	free(text);
}

static void short_memory_at_any_allocation_is_told(void **state)
{
	static const char text[] = "{\"a\":[1,2,{\"b\":true}],\"a\":0,\"//\":1}";
	int n;

	(void)state;
	json_set_alloc_funcs(__wrap_malloc, free);
	for (n = 0; n < 1000; n++) {
		struct brunt_diags diags = { 0 };
		struct brunt_doc *doc = NULL;
		bool failed;
		int r;

		allocations_left = n;
		r = brunt_doc_parse(text, strlen(text), "p.json", &diags, &doc);
		failed = allocations_left == 0;
		allocations_left = -1;
		if (r == 0) {
			/* Only the text of a diagnostic may be lost, never that there was one. */
			assert_int_equal(diags.errors, 1);
		} else {
			/* When jansson runs short inside a key it blames the text: told wrongly, but told. */
			assert_true(r == -ENOMEM || (r == -EINVAL && diags.errors > 0));
			assert_null(doc);
		}
		free(printed(&diags));
		brunt_diags_done(&diags);
		brunt_doc_free(doc);
		if (r == 0 && !failed)
			break;
	}
	assert_in_range(n, 10, 999);
	json_set_alloc_funcs(malloc, free);
}

static void a_near_word_is_suggested_and_a_far_one_is_not(void **state)
{
	static const char *const names[] = { "loss", "delay", "jitter", "to", "interface", NULL };
	static const struct {
		const char *word, *meant;
	} cases[] = {
		{ "los", "loss" },
		{ "lossy", "loss" },
		{ "LOSS", "loss" },
		{ "dealy", "delay" },
		{ "delays", "delay" },
		{ "jiter", "jitter" },
		{ "interfaces", "interface" },
		{ "intreface", "interface" },
		{ "xyz", NULL },
		{ "l", NULL },
		{ "", NULL },
		{ "t", NULL },
		{ "ot", NULL },
	};
	char word[5000];

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		const char *meant = brunt_suggest(cases[i].word, names);

		if (!cases[i].meant)
			assert_null(meant);
		else
			assert_string_equal(meant, cases[i].meant);
	}
	memset(word, 'l', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_null(brunt_suggest(word, names));
	word[64] = '\0';
	assert_null(brunt_suggest(word, names));
	assert_null(brunt_suggest("x", (const char *const[]){ NULL }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_syntax_is_told_once_with_its_place),
		cmocka_unit_test(invalid_utf8_is_told_with_its_byte_and_place),
		cmocka_unit_test(what_jansson_takes_the_scanner_takes),
		cmocka_unit_test(the_name_of_a_document_is_kept),
		cmocka_unit_test(depth_is_limited_exactly),
		cmocka_unit_test(every_duplicate_is_told_and_the_tree_is_still_there),
		cmocka_unit_test(comment_keys_are_dropped_everywhere),
		cmocka_unit_test(the_place_of_every_value_and_key_is_known),
		cmocka_unit_test(pointers_are_joined_and_escaped),
		cmocka_unit_test(diagnostics_are_sorted_by_file_and_place),
		cmocka_unit_test(no_diagnostics_print_nothing),
		cmocka_unit_test(beyond_the_limit_diagnostics_are_counted_and_errors_displace_warnings),
		cmocka_unit_test(nothing_a_terminal_obeys_is_printed),
		cmocka_unit_test(a_long_message_is_cut),
		cmocka_unit_test_setup_teardown(what_is_no_regular_file_is_refused_at_once, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(an_empty_or_huge_file_is_refused_at_once, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_file_of_the_largest_size_is_read, make_folder, remove_folder),
		cmocka_unit_test(the_largest_texts_take_no_long_time),
		cmocka_unit_test(short_memory_at_any_allocation_is_told),
		cmocka_unit_test(a_near_word_is_suggested_and_a_far_one_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
