/* SPDX-License-Identifier: Apache-2.0 */
#include "judge/story.h"
#include "record/row.h"
#include "record/words.h"
#include "story_lab.h"

static char *print(const char *path, bool colour, unsigned width, size_t *ret_size)
{
	struct brunt_story *story;
	char *text = NULL;
	FILE *out;

	assert_int_equal(brunt_story_read(path, &story, NULL), 0);
	out = open_memstream(&text, ret_size);
	brunt_story_print(story, out, colour, width);
	fclose(out);
	brunt_story_free(story);
	return text;
}

static const char *const journals[] = { "passed",  "failed-during", "failed-after", "failed-late", "failed-expect",
					"aborted", "stopped",	    "refused",	    "unsteady",	   "unable",
					"error",   "residue",	    "inconclusive", "hostile" };

static void the_summaries_are_as_they_were_approved(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(journals) / sizeof(journals[0]); i++) {
		char path[128], name[128];
		size_t size;

		(void)snprintf(path, sizeof(path), "tests/journals/%s.jsonl", journals[i]);
		(void)snprintf(name, sizeof(name), "%s.summary", journals[i]);
		lab_locale(true);
		char *text = print(path, false, 80, &size);

		lab_golden(name, text, size);
		free(text);
	}
	lab_locale(false);
	for (unsigned width = 40; width <= 80; width += 40) {
		char name[64];
		size_t size;
		char *text = print(LAB_JOURNAL("passed"), false, width, &size);

		(void)snprintf(name, sizeof(name), "passed.%u.ascii.summary", width);
		lab_golden(name, text, size);
		free(text);
	}
}

static void no_line_is_wider_than_asked_and_none_has_a_control_character(void **state)
{
	(void)state;
	for (int utf8 = 0; utf8 <= 1; utf8++) {
		lab_locale(utf8);
		for (size_t i = 0; i < sizeof(journals) / sizeof(journals[0]); i++) {
			for (unsigned width = 40; width <= 120; width++) {
				char path[128];
				size_t size;

				(void)snprintf(path, sizeof(path), "tests/journals/%s.jsonl", journals[i]);
				char *text = print(path, false, width, &size);

				for (char *c = text; *c; c++)
					assert_true(((unsigned char)*c >= 0x20 && *c != 0x7f) || *c == '\n');
				for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
					assert_true(row_columns(line, utf8) <= width);
				free(text);
			}
		}
	}
}

static void without_utf8_every_byte_is_ascii(void **state)
{
	(void)state;
	size_t size;

	lab_locale(false);
	char *text = print(LAB_JOURNAL("hostile"), false, 80, &size);

	for (char *c = text; *c; c++)
		assert_true((unsigned char)*c < 0x80);
	free(text);
}

static void the_first_line_has_the_verdict_and_the_name_and_the_last_ones_the_reason(void **state)
{
	(void)state;
	size_t size;

	lab_locale(true);
	char *text = print(LAB_JOURNAL("residue"), false, 80, &size), *last = strstr(text, "\n  residue ");

	assert_int_equal(strncmp(text, "RESIDUE  checkout-survives", 26), 0);
	assert_non_null(last);
	assert_non_null(strstr(last, "brunt recover"));
	free(text);
}

static void colour_adds_nothing_but_colour(void **state)
{
	(void)state;
	size_t size, used = 0;

	lab_locale(true);
	char *plain = print(LAB_JOURNAL("aborted"), false, 80, &size),
	     *coloured = print(LAB_JOURNAL("aborted"), true, 80, &size);

	for (char *c = coloured; *c;) {
		if (*c == '\033') {
			c += strcspn(c, "m") + 1;
			continue;
		}
		coloured[used++] = *c++;
	}
	coloured[used] = '\0';
	assert_string_equal(coloured, plain);
	free(plain);
	free(coloured);
}

/* ---- the document ---- */

static void the_document_has_stable_keys_with_units(void **state)
{
	(void)state;
	struct brunt_story *story;

	assert_int_equal(brunt_story_read(LAB_JOURNAL("aborted"), &story, NULL), 0);
	json_t *document = brunt_story_document(story);
	char *text = json_dumps(document, JSON_INDENT(2));

	lab_golden("aborted.json", text, strlen(text));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(document, "revert"), "since_breach_ns")),
			 7 * BRUNT_MS);
	free(text);
	json_decref(document);
	brunt_story_free(story);
}

/* ---- lines ---- */

static void the_plain_lines_are_as_they_were_approved(void **state)
{
	(void)state;
	static const char *const names[] = { "passed", "aborted", "hostile" };

	lab_locale(true);
	for (size_t i = 0; i < 3; i++) {
		char path[128], name[64], *text = NULL;
		size_t size, j;
		struct brunt_story *story;
		json_t *events, *event;

		(void)snprintf(path, sizeof(path), "tests/journals/%s.jsonl", names[i]);
		(void)snprintf(name, sizeof(name), "%s.lines", names[i]);
		events = lab_events(path);
		FILE *out = open_memstream(&text, &size);

		assert_int_equal(brunt_story_new(&story), 0);
		json_array_foreach (events, j, event) {
			assert_int_equal(brunt_story_feed(story, event), 0);
			brunt_story_line(story, event, out);
		}
		fclose(out);
		for (char *c = text; *c; c++)
			assert_true(((unsigned char)*c >= 0x20 && *c != 0x7f) || *c == '\n');
		lab_golden(name, text, size);
		free(text);
		json_decref(events);
		brunt_story_free(story);
	}
}

/* ---- rows ---- */

static void check_row(bool utf8, unsigned columns, const char *text, const char *shown)
{
	struct row row;
	char *out = NULL;
	size_t size;
	FILE *file = open_memstream(&out, &size);

	lab_locale(utf8);
	row_start(&row, utf8, false, columns);
	row_add(&row, text, 0);
	row_write(&row, file);
	fclose(file);
	assert_string_equal(out, shown);
	assert_true(!columns || row.used <= columns);
	free(out);
}

static void a_row_is_cut_by_columns_and_shows_nothing_that_a_terminal_obeys(void **state)
{
	(void)state;
	check_row(true, 5, "hello", "hello");
	check_row(true, 5, "hello!", "hell…");
	check_row(false, 5, "hello!", "hell~");
	check_row(true, 0, "a\033[2Jb\r\nc\x7f", "a?[2Jb??c?");
	check_row(true, 0,
		  "a\xc2\x9b"
		  "2Jb",
		  "a?2Jb"); /* C1's CSI */
	check_row(true, 0,
		  "a\xe2\x80\xae"
		  "b",
		  "a?b"); /* right-to-left override */
	check_row(true, 0, "a\xff\xc3", "a??");
	check_row(true, 5, "名前名前", "名前…"); /* two columns each */
	check_row(true, 4, "名前", "名前");
	check_row(false, 0, "p99 ≤ 5 ms · é", "p99 <= 5 ms - ?");
}

static void counts_are_readable(void **state)
{
	(void)state;
	char buf[32];
	struct story_step step = { .hit = 1, .noun = "processes killed" };

	assert_string_equal(row_count(0, buf, sizeof(buf)), "0");
	assert_string_equal(row_count(999, buf, sizeof(buf)), "999");
	assert_string_equal(row_count(1234567, buf, sizeof(buf)), "1,234,567");
	assert_string_equal(row_count(UINT64_MAX, buf, sizeof(buf)), "18,446,744,073,709,551,615");
	assert_string_equal(words_hits(&step, buf, sizeof(buf)), "1 process killed");
	step.noun = "packets dropped";
	assert_string_equal(words_hits(&step, buf, sizeof(buf)), "1 packet dropped");
	step.hit = 18204;
	assert_string_equal(words_hits(&step, buf, sizeof(buf)), "18,204 packets dropped");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_summaries_are_as_they_were_approved),
		cmocka_unit_test(no_line_is_wider_than_asked_and_none_has_a_control_character),
		cmocka_unit_test(without_utf8_every_byte_is_ascii),
		cmocka_unit_test(the_first_line_has_the_verdict_and_the_name_and_the_last_ones_the_reason),
		cmocka_unit_test(colour_adds_nothing_but_colour),
		cmocka_unit_test(the_document_has_stable_keys_with_units),
		cmocka_unit_test(the_plain_lines_are_as_they_were_approved),
		cmocka_unit_test(a_row_is_cut_by_columns_and_shows_nothing_that_a_terminal_obeys),
		cmocka_unit_test(counts_are_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
