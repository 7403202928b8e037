/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_failure_returns_the_negative_code_and_keeps_the_phrase(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	assert_int_equal(brunt_fail(&err, ENODEV, "no network device '%s'", "eth7"), -ENODEV);
	assert_int_equal(err.code, ENODEV);
	assert_string_equal(err.msg, "no network device 'eth7'");
}

static void a_failure_without_a_place_for_the_phrase_returns_the_code(void **state)
{
	(void)state;
	assert_int_equal(brunt_fail(NULL, EPERM, "not allowed"), -EPERM);
	assert_int_equal(brunt_wrap(NULL, "it"), -EIO);
}

static void a_long_phrase_is_cut_visibly_and_never_inside_a_character(void **state)
{
	struct brunt_error err = { 0 };
	char text[400];

	(void)state;
	/* Two-byte characters, so that a careless cut would leave half of one. */
	for (size_t i = 0; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	text[sizeof(text) - 2] = '\0';
	for (int shift = 0; shift < 2; shift++) {
		size_t length;

		assert_int_equal(brunt_fail(&err, EINVAL, "%s%s", shift ? "x" : "", text), -EINVAL);
		length = strlen(err.msg);
		assert_true(length < sizeof(err.msg));
		assert_true(length >= sizeof(err.msg) - 6);
		assert_string_equal(err.msg + length - 3, "...");
		assert_int_equal((length - 3 - (size_t)shift) % 2, 0);
	}
}

static void a_phrase_with_bytes_that_are_no_utf8_still_fits_into_json(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	(void)brunt_fail(&err, ENOENT, "no file '%s'", "a\xff\xc3\xa9\xed\xa0\x80");
	assert_string_equal(err.msg, "no file 'a?\xc3\xa9?"
				     "?"
				     "?'");
	(void)brunt_fail(&err, ENOENT, "it");
	(void)brunt_wrap(&err, "step '%.2s'", "x\xc3\xa9");
	assert_string_equal(err.msg, "step 'x?': it");
}

static void wrapping_puts_its_words_before_the_phrase(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	(void)brunt_fail(&err, ENOENT, "no such file");
	assert_int_equal(brunt_wrap(&err, "step '%s'", "slow-db"), -ENOENT);
	assert_string_equal(err.msg, "step 'slow-db': no such file");
	assert_int_equal(err.code, ENOENT);
}

static void wrapping_what_never_failed_is_an_input_output_error(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	assert_int_equal(brunt_wrap(&err, "x"), -EIO);
}

static void the_old_phrase_may_be_an_argument_of_the_new_one(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	(void)brunt_fail(&err, ENOENT, "inner");
	(void)brunt_fail(&err, EINVAL, "outer (%s)", err.msg);
	assert_string_equal(err.msg, "outer (inner)");
	(void)brunt_wrap(&err, "%s", err.msg);
	assert_string_equal(err.msg, "outer (inner): outer (inner)");
}

static void telling_a_failure_leaves_errno_alone(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	errno = ECHILD;
	(void)brunt_fail(&err, EINVAL, "%s", "x");
	(void)brunt_wrap(&err, "y");
	assert_int_equal(errno, ECHILD);
}

static void a_message_holds_nothing_that_a_terminal_obeys(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	(void)brunt_fail(&err, ENOENT, "no '%s'", "a\033[2J\nb\302\233m\303\244\377\233\303");
	assert_string_equal(err.msg, "no 'a?[2J?b??m\303\244??\?'");
	(void)brunt_wrap(&err, "in '%s'", "\a");
	assert_string_equal(err.msg, "in '?': no 'a?[2J?b??m\303\244??\?'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_holds_nothing_that_a_terminal_obeys),
		cmocka_unit_test(a_failure_returns_the_negative_code_and_keeps_the_phrase),
		cmocka_unit_test(a_failure_without_a_place_for_the_phrase_returns_the_code),
		cmocka_unit_test(a_long_phrase_is_cut_visibly_and_never_inside_a_character),
		cmocka_unit_test(a_phrase_with_bytes_that_are_no_utf8_still_fits_into_json),
		cmocka_unit_test(wrapping_puts_its_words_before_the_phrase),
		cmocka_unit_test(wrapping_what_never_failed_is_an_input_output_error),
		cmocka_unit_test(the_old_phrase_may_be_an_argument_of_the_new_one),
		cmocka_unit_test(telling_a_failure_leaves_errno_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
