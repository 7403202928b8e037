/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "survey/run.h"
#include "survey/survey.h"

#define EXIT(n) ((n) << 8) /* as waitpid(2) has it */

static char room[3][BRUNT_SURVEY_KEPT];

static struct brunt_survey_text text(unsigned which, const char *bytes)
{
	struct brunt_survey_text ret;

	survey_text_begin(&ret);
	survey_text_add(&ret, room[which], bytes, strlen(bytes));
	ret.text = room[which];
	return ret;
}

static struct brunt_survey_text constant(const char *bytes)
{
	struct brunt_survey_text ret;

	survey_text_begin(&ret);
	survey_text_add(&ret, room[2], bytes, strlen(bytes));
	ret.text = bytes;
	return ret;
}

static struct brunt_survey_record record(const char *out, const char *err)
{
	return (struct brunt_survey_record){
		.end = { .status = EXIT(0),
			 .hit = 1,
			 .out = constant(out),
			 .err = constant(err),
			 .checked = constant("") },
		.out_steady = true,
		.err_steady = true,
		.check_steady = true,
	};
}

static struct brunt_survey_pair judge(const struct brunt_survey_record *known, int status, const char *out,
				      const char *err)
{
	const struct brunt_survey_end end = {
		.status = status,
		.hit = 1,
		.out = text(0, out),
		.err = text(1, err),
		.checked = constant(""),
	};
	struct brunt_survey_pair pair = { 0 };

	brunt_survey_classify(known, &end, &pair);
	return pair;
}

static void the_same_end_and_output_is_survived(void **state)
{
	const struct brunt_survey_record known = record("sum 42\n", "");

	(void)state;
	assert_int_equal(judge(&known, EXIT(0), "sum 42\n", "").outcome, BRUNT_SURVEY_SURVIVED);
	/* a warning does not make it worse */
	assert_int_equal(judge(&known, EXIT(0), "sum 42\n", "no cache today\n").outcome, BRUNT_SURVEY_SURVIVED);
}

static void another_output_with_the_same_end_is_silently_wrong(void **state)
{
	const struct brunt_survey_record known = record("sum 42\n", "");

	(void)state;
	assert_int_equal(judge(&known, EXIT(0), "sum 0\n", "").outcome, BRUNT_SURVEY_SILENTLY_WRONG);
	assert_int_equal(judge(&known, EXIT(0), "", "").outcome, BRUNT_SURVEY_SILENTLY_WRONG);
}

static void an_output_that_is_not_steady_is_not_compared(void **state)
{
	struct brunt_survey_record known = record("at 1\n", "");

	(void)state;
	known.out_steady = false;
	assert_int_equal(judge(&known, EXIT(0), "at 2\n", "").outcome, BRUNT_SURVEY_SURVIVED);
	/* nor is a line of it a message */
	assert_int_equal(judge(&known, EXIT(1), "at 3\n", "").outcome, BRUNT_SURVEY_FAILED_MUTELY);
}

static void in_an_output_that_differs_by_its_numbers_a_new_line_is_a_message(void **state)
{
	struct brunt_survey_record known = record("17:M 12:00:01 ready\n17:M 12:00:02 bye\n", "");
	struct brunt_survey_text other = constant("8:M 9:13:22 ready\n8:M 9:13:59 bye\n");

	(void)state;
	assert_true(brunt_survey_alike_text(&known.end.out, &other));
	other = constant("8:M 9:13:22 ready\n8:M 9:13:59 bye\nmore\n");
	assert_false(brunt_survey_alike_text(&known.end.out, &other));
	assert_false(brunt_survey_alike_text(&other, &known.end.out));
	known.out_steady = false;
	known.out_alike = true;
	assert_int_equal(judge(&known, EXIT(0), "9:M 10:00:00 ready\n", "").outcome, BRUNT_SURVEY_SURVIVED);
	assert_int_equal(judge(&known, EXIT(1), "9:M 10:00:00 ready\n", "").outcome, BRUNT_SURVEY_FAILED_MUTELY);
	assert_int_equal(judge(&known, EXIT(1), "9:M 10:00:00 cannot bind\n", "").outcome, BRUNT_SURVEY_FAILED_CLEANLY);
}

static void of_a_result_that_is_no_text_nothing_is_a_message(void **state)
{
	static const char archive[] = "d/\0\0\0rest\n";
	const struct brunt_survey_record known = record("a\n", "");
	struct brunt_survey_end end = { .status = EXIT(1), .hit = 1, .err = constant(""), .checked = constant("") };
	struct brunt_survey_pair pair = { 0 };

	(void)state;
	survey_text_begin(&end.out);
	survey_text_add(&end.out, room[0], archive, sizeof(archive) - 1);
	end.out.text = room[0];
	brunt_survey_classify(&known, &end, &pair);
	assert_int_equal(pair.outcome, BRUNT_SURVEY_FAILED_MUTELY);
	assert_string_equal(pair.message, "");
}

static void a_failure_with_a_message_is_clean_and_without_one_is_mute(void **state)
{
	const struct brunt_survey_record known = record("one\ntwo\n", "hello\n");
	struct brunt_survey_pair pair = judge(&known, EXIT(1), "one\n", "hello\ncannot read: I/O error\n");

	(void)state;
	assert_int_equal(pair.outcome, BRUNT_SURVEY_FAILED_CLEANLY);
	assert_string_equal(pair.message, "cannot read: I/O error");
	assert_int_equal(judge(&known, EXIT(1), "one\n", "hello\n").outcome, BRUNT_SURVEY_FAILED_MUTELY);
	assert_int_equal(judge(&known, EXIT(1), "", "").outcome, BRUNT_SURVEY_FAILED_MUTELY);
	/* some say it on stdout */
	assert_int_equal(judge(&known, EXIT(2), "one\nerror!\n", "hello\n").outcome, BRUNT_SURVEY_FAILED_CLEANLY);
}

static void what_is_cut_in_the_middle_of_a_line_is_no_message(void **state)
{
	const struct brunt_survey_record known = record("first line\nsecond line\n", "");

	(void)state;
	assert_int_equal(judge(&known, EXIT(1), "first line\nsecond", "").outcome, BRUNT_SURVEY_FAILED_MUTELY);
	assert_int_equal(judge(&known, EXIT(1), "first line\nseconds", "").outcome, BRUNT_SURVEY_FAILED_CLEANLY);
	assert_int_equal(judge(&known, EXIT(1), "second line\nfirst line\n", " \t\n\n").outcome,
			 BRUNT_SURVEY_FAILED_MUTELY);
}

static void a_signal_is_a_crash_and_is_named(void **state)
{
	const struct brunt_survey_record known = record("", "");
	struct brunt_survey_pair pair = judge(&known, SIGSEGV, "", "");
	char buf[80];

	(void)state;
	assert_int_equal(pair.outcome, BRUNT_SURVEY_CRASHED);
	assert_string_equal(brunt_survey_end_text(&pair, buf, sizeof(buf)), "SIGSEGV");
	/* what a shell says of its child */
	pair = judge(&known, EXIT(128 + SIGABRT), "", "Aborted\n");
	assert_int_equal(pair.outcome, BRUNT_SURVEY_CRASHED);
	assert_string_equal(brunt_survey_end_text(&pair, buf, sizeof(buf)), "SIGABRT in a child, exit 134");
	/* 128 + SIGTERM and the like are anybody's exit status */
	assert_int_equal(judge(&known, EXIT(128 + SIGTERM), "", "").outcome, BRUNT_SURVEY_FAILED_MUTELY);
}

static void success_where_a_failure_was_recorded_is_silently_wrong(void **state)
{
	struct brunt_survey_record known = record("", "3 tests fail\n");

	(void)state;
	known.end.status = EXIT(3);
	assert_int_equal(judge(&known, EXIT(3), "", "3 tests fail\n").outcome, BRUNT_SURVEY_SURVIVED);
	assert_int_equal(judge(&known, EXIT(0), "", "").outcome, BRUNT_SURVEY_SILENTLY_WRONG);
	assert_int_equal(judge(&known, EXIT(4), "", "3 tests fail\nI/O error\n").outcome, BRUNT_SURVEY_FAILED_CLEANLY);
}

static void a_call_that_was_not_hit_says_nothing(void **state)
{
	const struct brunt_survey_record known = record("a\n", "");
	const struct brunt_survey_end end = {
		.status = SIGSEGV, .out = constant(""), .err = constant(""), .checked = constant("")
	};
	struct brunt_survey_pair pair = { 0 };

	(void)state;
	brunt_survey_classify(&known, &end, &pair);
	assert_int_equal(pair.outcome, BRUNT_SURVEY_NOT_REACHED);
}

static void what_was_killed_for_its_time_hung(void **state)
{
	const struct brunt_survey_record known = record("a\n", "");
	const struct brunt_survey_end end = { .status = SIGKILL,
					      .hit = 7,
					      .timed_out = true,
					      .out = constant("a\n"),
					      .err = constant(""),
					      .checked = constant("") };
	struct brunt_survey_pair pair = { 0 };

	(void)state;
	brunt_survey_classify(&known, &end, &pair);
	assert_int_equal(pair.outcome, BRUNT_SURVEY_HUNG);
}

static void the_check_is_part_of_the_result(void **state)
{
	struct brunt_survey_record known = record("done\n", "");
	struct brunt_survey_end end = { .status = EXIT(0), .hit = 1, .out = constant("done\n"), .err = constant("") };
	struct brunt_survey_pair pair = { 0 };

	(void)state;
	known.end.checked = constant("42\n");
	end.checked = constant("");
	brunt_survey_classify(&known, &end, &pair);
	assert_int_equal(pair.outcome, BRUNT_SURVEY_SILENTLY_WRONG);
	end.checked = constant("42\n");
	end.check = EXIT(1);
	brunt_survey_classify(&known, &end, &pair);
	assert_int_equal(pair.outcome, BRUNT_SURVEY_SILENTLY_WRONG);
	end.check = 0;
	brunt_survey_classify(&known, &end, &pair);
	assert_int_equal(pair.outcome, BRUNT_SURVEY_SURVIVED);
}

static void a_server_that_ends_before_its_time_has_failed(void **state)
{
	struct brunt_survey_record known = record("", "");
	struct brunt_survey_pair pair;

	(void)state;
	known.end.by_us = true;
	known.end.status = EXIT(0);
	pair = judge(&known, EXIT(0), "", ""); /* not by us */
	assert_int_equal(pair.outcome, BRUNT_SURVEY_FAILED_MUTELY);
	pair = judge(&known, EXIT(1), "", "cannot accept\n");
	assert_int_equal(pair.outcome, BRUNT_SURVEY_FAILED_CLEANLY);
	assert_int_equal(judge(&known, SIGBUS, "", "").outcome, BRUNT_SURVEY_CRASHED);
}

static void of_two_runs_that_differ_the_worse_is_told(void **state)
{
	struct brunt_survey_pair first = { .outcome = BRUNT_SURVEY_FAILED_MUTELY, .again = true };
	struct brunt_survey_pair second = { .outcome = BRUNT_SURVEY_CRASHED, .signal = SIGSEGV, .again = true };
	struct brunt_survey_pair kept = first;

	(void)state;
	brunt_survey_confirm(&kept, &second);
	assert_int_equal(kept.outcome, BRUNT_SURVEY_CRASHED);
	assert_true(kept.unsteady);
	assert_false(kept.again);
	kept = second;
	brunt_survey_confirm(&kept, &first);
	assert_int_equal(kept.outcome, BRUNT_SURVEY_CRASHED);
	assert_true(kept.unsteady);
	kept = second;
	brunt_survey_confirm(&kept, &second);
	assert_false(kept.unsteady);
}

static void a_message_has_nothing_that_a_terminal_obeys_and_is_cut_at_a_character(void **state)
{
	const struct brunt_survey_record known = record("", "");
	struct brunt_survey_pair pair = judge(&known, EXIT(1), "", "\033[2Jbad\n");
	char line[400];

	(void)state;
	assert_null(strchr(pair.message, '\033'));
	memset(line, 0, sizeof(line));
	for (size_t i = 0; i + 2 < sizeof(line); i += 2)
		memcpy(line + i, "\xc3\xa4", 2); /* two bytes each; the room is even */
	pair = judge(&known, EXIT(1), "", line);
	assert_int_equal(strlen(pair.message), sizeof(pair.message) - 2);
}

static void outputs_beyond_what_is_kept_are_compared_by_their_hash(void **state)
{
	static char much[BRUNT_SURVEY_KEPT + 10], kept[BRUNT_SURVEY_KEPT];
	struct brunt_survey_text a, b;

	(void)state;
	memset(much, 'x', sizeof(much));
	survey_text_begin(&a);
	survey_text_add(&a, kept, much, sizeof(much));
	assert_int_equal(a.size, sizeof(much));
	assert_int_equal(a.kept, BRUNT_SURVEY_KEPT);
	survey_text_begin(&b);
	survey_text_add(&b, kept, much, 7);
	survey_text_add(&b, kept, much + 7, sizeof(much) - 7);
	assert_true(brunt_survey_same_text(&a, &b));
	much[sizeof(much) - 1] = 'y';
	survey_text_begin(&b);
	survey_text_add(&b, kept, much, sizeof(much));
	assert_false(brunt_survey_same_text(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_end_and_output_is_survived),
		cmocka_unit_test(another_output_with_the_same_end_is_silently_wrong),
		cmocka_unit_test(an_output_that_is_not_steady_is_not_compared),
		cmocka_unit_test(in_an_output_that_differs_by_its_numbers_a_new_line_is_a_message),
		cmocka_unit_test(of_a_result_that_is_no_text_nothing_is_a_message),
		cmocka_unit_test(a_failure_with_a_message_is_clean_and_without_one_is_mute),
		cmocka_unit_test(what_is_cut_in_the_middle_of_a_line_is_no_message),
		cmocka_unit_test(a_signal_is_a_crash_and_is_named),
		cmocka_unit_test(success_where_a_failure_was_recorded_is_silently_wrong),
		cmocka_unit_test(a_call_that_was_not_hit_says_nothing),
		cmocka_unit_test(what_was_killed_for_its_time_hung),
		cmocka_unit_test(the_check_is_part_of_the_result),
		cmocka_unit_test(a_server_that_ends_before_its_time_has_failed),
		cmocka_unit_test(of_two_runs_that_differ_the_worse_is_told),
		cmocka_unit_test(a_message_has_nothing_that_a_terminal_obeys_and_is_cut_at_a_character),
		cmocka_unit_test(outputs_beyond_what_is_kept_are_compared_by_their_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
