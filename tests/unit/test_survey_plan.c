/* SPDX-License-Identifier: Apache-2.0 */
/* The pairs, the line that does one again, and what is printed. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "survey/survey.h"

static char *const cat[] = { (char *)"cat", (char *)"/etc/hosts", NULL };

static unsigned call(const char *name)
{
	const struct brunt_call *found = brunt_call_find(name);

	assert_non_null(found);
	return brunt_call_index(found);
}

static void count_one(void *user, int code)
{
	(void)code;
	(*(size_t *)user)++;
}

static size_t errnos_of(const char *name)
{
	size_t count = 0;

	brunt_call_each_errno(brunt_call_find(name), count_one, &count);
	return count;
}

static const struct brunt_survey_pair *find(const struct brunt_survey_pair *pairs, size_t count, const char *name,
					    int code)
{
	for (size_t i = 0; i < count; i++)
		if (pairs[i].call == call(name) && pairs[i].code == code)
			return &pairs[i];
	return NULL;
}

static void each_call_that_was_made_fails_with_each_errno_of_its_manual_page(void **state)
{
	const struct brunt_survey_options options = { .argv = cat };
	struct brunt_survey_record record = { 0 };
	struct brunt_survey_pair *pairs = NULL;
	size_t count;

	(void)state;
	record.counts[call("read")] = 3;
	record.counts[call("fsync")] = 1;
	record.others[call("mmap")] = 9; /* the loader's */
	assert_int_equal(brunt_survey_plan(&options, &record, &pairs, &count), 0);
	assert_int_equal(count, errnos_of("read") + errnos_of("fsync"));
	assert_non_null(find(pairs, count, "read", EIO));
	assert_non_null(find(pairs, count, "fsync", ENOSPC));
	assert_null(find(pairs, count, "mmap", ENOMEM));
	free(pairs);
}

static void what_is_tried_again_fails_once_and_everything_else_always(void **state)
{
	struct brunt_survey_options options = { .argv = cat };
	struct brunt_survey_record record = { 0 };
	struct brunt_survey_pair *pairs = NULL;
	size_t count;

	(void)state;
	record.counts[call("read")] = 3;
	assert_int_equal(brunt_survey_plan(&options, &record, &pairs, &count), 0);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(pairs[i].first, 1);
		assert_int_equal(pairs[i].last, pairs[i].code == EINTR || pairs[i].code == EAGAIN ? 1 : 0);
	}
	free(pairs);
	options.at = 2;
	assert_int_equal(brunt_survey_plan(&options, &record, &pairs, &count), 0);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(pairs[i].first, 2);
		assert_int_equal(pairs[i].last, 2);
	}
	free(pairs);
}

static void errnos_may_be_given(void **state)
{
	const int codes[] = { ENOSPC, EINTR };
	const struct brunt_survey_options options = { .argv = cat, .errnos = codes, .errno_count = 2 };
	struct brunt_survey_record record = { 0 };
	struct brunt_survey_pair *pairs = NULL;
	size_t count;

	(void)state;
	record.counts[call("read")] = record.counts[call("getpid")] = 1;
	assert_int_equal(brunt_survey_plan(&options, &record, &pairs, &count), 0);
	assert_int_equal(count, 4);
	assert_int_equal(find(pairs, count, "read", EINTR)->last, 1);
	assert_int_equal(find(pairs, count, "getpid", ENOSPC)->last, 0);
	free(pairs);
	record = (struct brunt_survey_record){ 0 };
	assert_int_equal(brunt_survey_plan(&options, &record, &pairs, &count), 0);
	assert_int_equal(count, 0);
	free(pairs);
}

static void all_that_is_left_out_is_a_call_and_has_a_reason(void **state)
{
	size_t count = 0;

	(void)state;
	for (unsigned i = 0; i < brunt_call_count; i++)
		count += brunt_survey_left_out(&brunt_calls[i]) != NULL;
	/* a name that is no call's would make it fewer */
	assert_int_equal(count, 12);
	assert_non_null(brunt_survey_left_out(brunt_call_find("close")));
	assert_null(brunt_survey_left_out(brunt_call_find("read")));
}

static void the_line_that_does_it_again_is_fit_for_a_shell(void **state)
{
	char *const argv[] = { (char *)"grep", (char *)"it's", (char *)"", (char *)"a b", (char *)"$HOME", NULL };
	struct brunt_survey_options options = { .argv = argv };
	struct brunt_survey_pair pair = { .call = call("read"), .code = EIO, .first = 1 };
	char buf[1024];

	(void)state;
	assert_string_equal(brunt_survey_repeat(&options, &pair, buf, sizeof(buf)),
			    "brunt inject syscall.fail calls=read errno=EIO loader=false -- grep 'it'\\''s' '' 'a b' "
			    "'$HOME'");
	options.argv = cat;
	options.loader = true;
	pair.call = call("write");
	pair.code = EINTR;
	pair.last = 1;
	assert_string_equal(brunt_survey_repeat(&options, &pair, buf, sizeof(buf)),
			    "brunt inject syscall.fail calls=write errno=EINTR last=1 "
			    "args='[{\"arg\": 0, \"is\": \"!=\", \"value\": 2}]' -- cat /etc/hosts");
	options.dir = "my files";
	pair.call = call("openat");
	pair.code = 4000; /* has no name */
	pair.first = pair.last = 3;
	assert_string_equal(brunt_survey_repeat(&options, &pair, buf, sizeof(buf)),
			    "cd 'my files' && brunt inject syscall.fail calls=openat errno=4000 first=3 last=3 -- cat "
			    "/etc/hosts");
}

static void a_command_that_is_too_long_is_cut(void **state)
{
	char buf[16];

	(void)state;
	assert_string_equal(brunt_survey_command(cat, buf, sizeof(buf)), "cat /etc/hosts");
	assert_string_equal(brunt_survey_command(cat, buf, 12), "cat /etc...");
}

static struct brunt_survey_pair pairs_shown[] = {
	{ .outcome = BRUNT_SURVEY_SURVIVED, .code = EINTR, .first = 1, .last = 1, .hit = 1 },
	{ .outcome = BRUNT_SURVEY_CRASHED, .code = EIO, .first = 1, .status = SIGSEGV, .signal = SIGSEGV, .hit = 1 },
	{ .outcome = BRUNT_SURVEY_CRASHED, .code = EISDIR, .first = 1, .status = SIGSEGV, .signal = SIGSEGV, .hit = 1 },
	{ .outcome = BRUNT_SURVEY_SILENTLY_WRONG, .code = ENOSPC, .first = 1, .hit = 2, .message = "oh dear" },
};

static struct brunt_survey_result shown(void)
{
	struct brunt_survey_result result = { .pairs = pairs_shown, .count = 4, .done = 7, .jobs = 2 };

	for (size_t i = 0; i < 3; i++)
		pairs_shown[i].call = call("read");
	pairs_shown[3].call = call("write");
	result.record.counts[call("read")] = 4;
	result.record.counts[call("write")] = 1;
	result.record.out_steady = result.record.err_steady = result.record.check_steady = true;
	result.record.tried_together = result.record.together = true;
	result.timeout = UINT64_C(5000000000);
	result.duration = result.pair_duration = UINT64_C(2000000000);
	result.record.end.duration = UINT64_C(3000000);
	return result;
}

static const struct brunt_survey_options shown_options = {
	.argv = cat, .fail_on = 1u << BRUNT_SURVEY_CRASHED | 1u << BRUNT_SURVEY_SILENTLY_WRONG
};

static void the_table_has_the_worst_first(void **state)
{
	const struct brunt_survey_result result = shown();
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	brunt_survey_print(&shown_options, &result, false, out);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(text, "WEAK  cat /etc/hosts"));
	assert_non_null(strstr(
		text, "  call                 made  outcome         when it fails with\n"
		      "  write                   1  silently wrong  ENOSPC\n"
		      "  read                    4  crashed         EIO(SIGSEGV) EISDIR(SIGSEGV)\n"
		      "                             survived        EINTR\n"
		      "\n"
		      "  silently wrong\n"
		      "    write ENOSPC: exit 0, said 'oh dear'\n"
		      "      brunt inject syscall.fail calls=write errno=ENOSPC args='[{\"arg\": 0, \"is\": \"!=\", "
		      "\"value\": 2}]' loader=false -- cat /etc/hosts\n"
		      "\n"
		      "  crashed\n"
		      "    read EIO: SIGSEGV (and 1 other errno)\n"
		      "      brunt inject syscall.fail calls=read errno=EIO loader=false -- cat /etc/hosts\n"
		      "\n"
		      "  4 failures tried: 1 silently wrong, 2 crashed, 0 hung, 0 failed mutely, 0\n"
		      "  failed cleanly, 1 survived\n"));
	free(text);
}

static void the_document_says_the_same(void **state)
{
	const struct brunt_survey_result result = shown();
	json_t *document = brunt_survey_document(&shown_options, &result);
	const json_t *failure;

	(void)state;
	assert_non_null(document);
	assert_string_equal(json_string_value(json_object_get(document, "verdict")), "weak");
	assert_int_equal(json_integer_value(json_object_get(document, "exit")), 1);
	assert_int_equal(json_array_size(json_object_get(document, "failures")), 4);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(document, "summary"), "crashed")), 2);
	failure = json_array_get(json_object_get(document, "failures"), 1);
	assert_string_equal(json_string_value(json_object_get(failure, "outcome")), "crashed");
	assert_string_equal(json_string_value(json_object_get(failure, "signal")), "SIGSEGV");
	assert_true(json_is_null(json_object_get(failure, "exit_status")));
	json_decref(document);
}

static void the_exit_status_is_what_was_asked_for(void **state)
{
	struct brunt_survey_options options = shown_options;
	struct brunt_survey_result result = shown();

	(void)state;
	assert_int_equal(brunt_survey_status(&options, &result), 1);
	options.fail_on = 1u << BRUNT_SURVEY_HUNG;
	assert_int_equal(brunt_survey_status(&options, &result), 0);
	options.fail_on = 0;
	assert_int_equal(brunt_survey_status(&options, &result), 0);
	result.stopped = true;
	assert_int_equal(brunt_survey_status(&options, &result), 130);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_that_was_made_fails_with_each_errno_of_its_manual_page),
		cmocka_unit_test(what_is_tried_again_fails_once_and_everything_else_always),
		cmocka_unit_test(errnos_may_be_given),
		cmocka_unit_test(all_that_is_left_out_is_a_call_and_has_a_reason),
		cmocka_unit_test(the_line_that_does_it_again_is_fit_for_a_shell),
		cmocka_unit_test(a_command_that_is_too_long_is_cut),
		cmocka_unit_test(the_table_has_the_worst_first),
		cmocka_unit_test(the_document_says_the_same),
		cmocka_unit_test(the_exit_status_is_what_was_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
