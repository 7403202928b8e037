/* SPDX-License-Identifier: Apache-2.0 */
/* Variables, and what keeps secrets out of what is written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "plan/plan.h"

#include "brunt/json.h"
#include "brunt/memory.h"

#define PLAN(variables, description)                                                                                   \
	"{ \"schema\": 1, \"name\": \"x\", \"variables\": { " variables " }, \"description\": \"" description          \
	"\", \"method\": [ { \"run\": \"true\" } ] }"

/* The description of a plan that must be right, in buf. */
static const char *describe(const char *text, const struct brunt_plan_options *options, char *buf, size_t size)
{
	struct brunt_diags diags = { 0 };
	struct brunt_plan *plan = NULL;
	int r = brunt_plan_load_text(text, strlen(text), "x.json", "/tmp", options, &diags, &plan);

	if (r != 0)
		brunt_diags_print(&diags, stderr);
	assert_int_equal(r, 0);
	(void)snprintf(buf, size, "%s", plan->description);
	brunt_plan_free(plan);
	brunt_diags_done(&diags);
	return buf;
}

static void a_dollar_stands_for_itself_unless_a_name_follows(void **state)
{
	char buf[256];

	(void)state;
	assert_string_equal(describe(PLAN("\"a\": { \"default\": \"1\" }", "$5 ${a} $$ $${a} $$${a} x$ ${a}${a}"), NULL,
				     buf, sizeof(buf)),
			    "$5 1 $ ${a} $1 x$ 11");
}

static void what_a_variable_holds_is_not_expanded_again(void **state)
{
	char buf[256];

	(void)state;
	assert_string_equal(
		describe(PLAN("\"a\": { \"default\": \"${b}$$\" }, \"b\": { \"default\": \"no\" }", "${a}${b}"), NULL,
			 buf, sizeof(buf)),
		"${b}$$no");
}

static void the_command_line_comes_before_environment_file_and_default(void **state)
{
	char path[] = "/tmp/brunt-test-variable.XXXXXX", plan[512], file_option[128], buf[256];
	const char *vars[] = { "a=from-line", NULL };
	const char *var_files[] = { file_option, NULL };
	const struct brunt_plan_options line = { .vars = vars }, file = { .var_files = var_files };
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "from-file\n", 10), 10);
	assert_int_equal(close(fd), 0);
	(void)snprintf(
		plan, sizeof(plan),
		PLAN("\"a\": { \"env\": \"BRUNT_TEST_VARIABLE\", \"file\": \"%s\", \"default\": \"from-default\" }",
		     "${a}"),
		path);
	(void)snprintf(file_option, sizeof(file_option), "a=%s", path);
	assert_int_equal(setenv("BRUNT_TEST_VARIABLE", "from-environment", 1), 0);

	assert_string_equal(describe(plan, &line, buf, sizeof(buf)), "from-line");
	assert_string_equal(describe(plan, &file, buf, sizeof(buf)), "from-file");
	assert_string_equal(describe(plan, NULL, buf, sizeof(buf)), "from-environment");
	assert_int_equal(unsetenv("BRUNT_TEST_VARIABLE"), 0);
	assert_string_equal(describe(plan, NULL, buf, sizeof(buf)), "from-file");
	assert_int_equal(unlink(path), 0);
	assert_string_equal(describe(plan, NULL, buf, sizeof(buf)), "from-default");
}

static void a_value_of_invalid_utf8_is_an_error(void **state)
{
	static const char text[] = PLAN("\"a\": { \"env\": \"BRUNT_TEST_VARIABLE\" }", "${a}");
	struct brunt_diags diags = { 0 };
	struct brunt_plan *plan = NULL;

	(void)state;
	assert_int_equal(setenv("BRUNT_TEST_VARIABLE", "caf\xe9", 1), 0);
	assert_int_equal(brunt_plan_load_text(text, strlen(text), "x.json", "/tmp", NULL, &diags, &plan), -EINVAL);
	assert_int_equal(diags.errors, 1);
	assert_string_equal(diags.items[0].pointer, "/variables/a");
	brunt_diags_done(&diags);
	assert_int_equal(unsetenv("BRUNT_TEST_VARIABLE"), 0);
}

static void redacted(const char *const *secrets, const char *text, const char *wanted)
{
	struct brunt_plan plan = { .secrets = (const char **)(uintptr_t)secrets };
	char buf[256];

	(void)snprintf(buf, sizeof(buf), "%s", text);
	brunt_plan_redact(&plan, buf);
	assert_string_equal(buf, wanted);
}

static void secrets_become_stars(void **state)
{
	static const char *const secrets[] = { "swordfish", "sword", "x", NULL };

	(void)state;
	redacted(secrets, "", "");
	redacted(secrets, "nothing", "nothing");
	redacted(secrets, "a swordfish, a sword", "a ***, a ***");
	redacted(secrets, "swordfish", "***");
	redacted(secrets, "swordfis", "***fis");
	redacted(secrets, "swor", "swor");
	redacted(secrets, "ax", "a*");
}

static void a_cut_text_shows_no_beginning_of_a_secret(void **state)
{
	static const char *const secrets[] = { "swordfish", "tuna", NULL };
	static const struct {
		const char *text, *wanted;
	} rows[] = {
		{ "", "" },
		{ "nothing", "nothing" },
		{ "a swordfis", "a " },
		{ "a swor", "a " },
		{ "sw", "" },
		{ "swordfish sw", "*** " },
		{ "swordfish", "***" },
		{ "sw and more", "sw and more" },
		{ "swo and tun", "swo and " },
	};
	struct brunt_plan plan = { .secrets = (const char **)(uintptr_t)secrets };

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(rows); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "%s", rows[i].text);
		brunt_plan_redact_cut(&plan, text);
		assert_string_equal(text, rows[i].wanted);
	}
}

static void overlapping_secrets_leave_nothing_of_each_other(void **state)
{
	static const char *const secrets[] = { "defghi", "abcdef", "aXa", NULL };

	(void)state;
	redacted(secrets, "<abcdefghi>", "<***>");
	redacted(secrets, "<aXaXa>", "<***>");
	redacted(secrets, "<abcdefabcdef>", "<***>");
}

static void each_line_of_a_secret_is_one(void **state)
{
	static const char text[] =
		PLAN("\"key\": { \"default\": \"-----BEGIN KEY-----\\nMIIEvgIBADANBg\\n}\\n\", \"secret\": true }",
		     "${key}");
	struct brunt_diags diags = { 0 };
	struct brunt_plan *plan = NULL;
	char line[64] = "stderr: MIIEvgIBADANBg }";

	(void)state;
	assert_int_equal(brunt_plan_load_text(text, strlen(text), "x.json", "/tmp", NULL, &diags, &plan), 0);
	brunt_plan_redact(plan, line);
	assert_string_equal(line, "stderr: *** }");
	brunt_plan_free(plan);
	brunt_diags_done(&diags);
}

static void a_secret_is_one_in_json_too(void **state)
{
	static const char text[] = PLAN("\"key\": { \"default\": \"hunter\\\"2\\\\x\", \"secret\": true }", "${key}");
	struct brunt_diags diags = { 0 };
	struct brunt_plan *plan = NULL;
	char plain[] = "pw hunter\"2\\x!", json[] = "{\"line\":\"pw hunter\\\"2\\\\x!\"}";

	(void)state;
	assert_int_equal(brunt_plan_load_text(text, strlen(text), "x.json", "/tmp", NULL, &diags, &plan), 0);
	brunt_plan_redact(plan, plain);
	assert_string_equal(plain, "pw ***!");
	brunt_plan_redact(plan, json);
	assert_string_equal(json, "{\"line\":\"pw ***!\"}");
	brunt_plan_free(plan);
	brunt_diags_done(&diags);
}

static void a_plan_without_secrets_changes_no_text(void **state)
{
	struct brunt_plan plan = { 0 };
	char text[] = "unchanged";

	(void)state;
	brunt_plan_redact(&plan, text);
	brunt_plan_redact(NULL, text);
	assert_string_equal(text, "unchanged");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dollar_stands_for_itself_unless_a_name_follows),
		cmocka_unit_test(what_a_variable_holds_is_not_expanded_again),
		cmocka_unit_test(the_command_line_comes_before_environment_file_and_default),
		cmocka_unit_test(a_value_of_invalid_utf8_is_an_error),
		cmocka_unit_test(secrets_become_stars),
		cmocka_unit_test(a_cut_text_shows_no_beginning_of_a_secret),
		cmocka_unit_test(overlapping_secrets_leave_nothing_of_each_other),
		cmocka_unit_test(each_line_of_a_secret_is_one),
		cmocka_unit_test(a_secret_is_one_in_json_too),
		cmocka_unit_test(a_plan_without_secrets_changes_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
