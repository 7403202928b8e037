/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "brunt/memory.h"
#include "brunt/units.h"
#include "syscall/rule.h"

static struct brunt_call_rule make_rule(void)
{
	return (struct brunt_call_rule){ .probability = 1, .seed = 42, .errnos = { EIO }, .errno_count = 1 };
}

/* Which of the first count calls are hit, as a string of x and dots. */
static const char *pattern(const struct brunt_call_rule *rule, uint64_t process, unsigned count, char *buf)
{
	uint64_t hits = 0;

	for (unsigned n = 1; n <= count; n++) {
		struct brunt_outcome outcome;

		brunt_call_rule_decide(rule, process, n, hits, &outcome);
		hits += outcome.hit;
		buf[n - 1] = outcome.hit ? 'x' : '.';
	}
	buf[count] = '\0';
	return buf;
}

static void a_rule_without_conditions_hits_every_call(void **state)
{
	struct brunt_call_rule rule = make_rule();
	struct brunt_outcome outcome;
	char buf[32];

	(void)state;
	assert_string_equal(pattern(&rule, 0, 5, buf), "xxxxx");
	brunt_call_rule_decide(&rule, 0, 1, 0, &outcome);
	assert_true(outcome.answered);
	assert_int_equal(outcome.code, EIO);
	assert_int_equal(outcome.delay, 0);
}

static void first_last_and_every_say_which_calls(void **state)
{
	struct brunt_call_rule rule = make_rule();
	char buf[32];

	(void)state;
	rule.first = 3;
	assert_string_equal(pattern(&rule, 0, 8, buf), "..xxxxxx");
	rule.last = 5;
	assert_string_equal(pattern(&rule, 0, 8, buf), "..xxx...");
	rule.last = 0;
	rule.every = 2;
	assert_string_equal(pattern(&rule, 0, 8, buf), "..x.x.x.");
	rule.first = rule.every = rule.last = 1;
	assert_string_equal(pattern(&rule, 0, 8, buf), "x.......");
	rule.first = rule.last = UINT64_MAX;
	assert_string_equal(pattern(&rule, 0, 8, buf), "........");
}

static void times_is_a_budget_of_hits(void **state)
{
	struct brunt_call_rule rule = make_rule();
	char buf[32];

	(void)state;
	rule.times = 2;
	rule.every = 3;
	assert_string_equal(pattern(&rule, 0, 12, buf), "x..x........");
}

static void a_value_is_given_instead_of_an_error(void **state)
{
	struct brunt_call_rule rule = make_rule();
	struct brunt_outcome outcome;

	(void)state;
	rule.errno_count = 0;
	rule.gives_value = true;
	rule.value = 7;
	brunt_call_rule_decide(&rule, 0, 1, 0, &outcome);
	assert_true(outcome.answered);
	assert_int_equal(outcome.code, 0);
	assert_int_equal(outcome.value, 7);
}

static void a_delay_alone_answers_nothing(void **state)
{
	struct brunt_call_rule rule = make_rule();
	struct brunt_outcome outcome;

	(void)state;
	rule.errno_count = 0;
	rule.delay = 20 * BRUNT_MS;
	brunt_call_rule_decide(&rule, 0, 1, 0, &outcome);
	assert_true(outcome.hit);
	assert_false(outcome.answered);
	assert_int_equal(outcome.delay, 20 * BRUNT_MS);
}

static void the_same_seed_makes_the_same_decisions_in_any_order(void **state)
{
	struct brunt_call_rule rule = make_rule();
	char one[201], other[201];

	(void)state;
	rule.probability = 0.5;
	assert_string_equal(pattern(&rule, 3, 200, one), pattern(&rule, 3, 200, other));
	for (unsigned n = 200; n; n--) {
		struct brunt_outcome outcome;

		brunt_call_rule_decide(&rule, 3, n, 0, &outcome);
		assert_int_equal(outcome.hit, one[n - 1] == 'x');
	}
}

static void other_seeds_and_other_processes_decide_otherwise(void **state)
{
	struct brunt_call_rule rule = make_rule();
	char one[201], other[201];

	(void)state;
	rule.probability = 0.5;
	(void)pattern(&rule, 1, 200, one);
	assert_string_not_equal(one, pattern(&rule, 2, 200, other));
	rule.seed++;
	assert_string_not_equal(one, pattern(&rule, 1, 200, other));
}

static void hits_lie_within_four_sigma_of_the_probability(void **state)
{
	static const double probabilities[] = { 0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.999 };
	const unsigned count = 200000;

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(probabilities); i++) {
		struct brunt_call_rule rule = make_rule();
		double p = probabilities[i], sigma = sqrt(count * p * (1 - p)), hits = 0;

		rule.probability = p;
		for (unsigned n = 1; n <= count; n++) {
			struct brunt_outcome outcome;

			brunt_call_rule_decide(&rule, 0, n, 0, &outcome);
			hits += outcome.hit;
		}
		assert_true(fabs(hits - count * p) < 4 * sigma);
	}
}

static void no_chance_is_never_and_certainty_always(void **state)
{
	struct brunt_call_rule rule = make_rule();
	char buf[64];

	(void)state;
	rule.probability = 0;
	assert_null(strchr(pattern(&rule, 0, 50, buf), 'x'));
	rule.probability = 1;
	assert_null(strchr(pattern(&rule, 0, 50, buf), '.'));
}

static void each_errno_of_a_list_comes_as_often(void **state)
{
	struct brunt_call_rule rule = make_rule();
	unsigned counts[3] = { 0 };

	(void)state;
	rule.errnos[0] = EIO;
	rule.errnos[1] = ENOSPC;
	rule.errnos[2] = EDQUOT;
	rule.errno_count = 3;
	rule.probability = 0.5;
	for (unsigned n = 1; n <= 60000; n++) {
		struct brunt_outcome outcome;

		brunt_call_rule_decide(&rule, 0, n, 0, &outcome);
		for (unsigned i = 0; outcome.hit && i < 3; i++)
			counts[i] += outcome.code == rule.errnos[i];
	}
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(counts[i], 10000 - 400, 10000 + 400);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The share-th quantile of delays, in milliseconds. */
static double delays(const struct brunt_call_rule *rule, double share)
{
	static uint64_t all[20001];
	const double last = 20000;

	for (unsigned n = 1; n <= BRUNT_COUNT(all); n++) {
		struct brunt_outcome outcome;

		brunt_call_rule_decide(rule, 0, n, 0, &outcome);
		all[n - 1] = outcome.delay;
	}
	qsort(all, BRUNT_COUNT(all), sizeof(*all), compare);
	return (double)all[(size_t)(share * last)] / 1e6;
}

static void delays_are_distributed_as_asked(void **state)
{
	struct brunt_call_rule rule = make_rule();

	(void)state;
	rule.delay = 100 * BRUNT_MS;
	rule.spread = 20 * BRUNT_MS;
	assert_true(delays(&rule, 0) >= 80 && delays(&rule, 1) <= 120);
	assert_true(fabs(delays(&rule, 0.25) - 90) < 1 && fabs(delays(&rule, 0.5) - 100) < 1);
	rule.distribution = BRUNT_DELAY_NORMAL;
	assert_true(fabs(delays(&rule, 0.5) - 100) < 1 && fabs(delays(&rule, 0.8413) - 120) < 1);
	rule.spread = 0;
	rule.distribution = BRUNT_DELAY_EXPONENTIAL;
	assert_true(fabs(delays(&rule, 0.5) - 69.3) < 2 && fabs(delays(&rule, 0.6321) - 100) < 2.5);
}

static void a_delay_is_never_negative(void **state)
{
	struct brunt_call_rule rule = make_rule();

	(void)state;
	rule.delay = 1 * BRUNT_MS;
	rule.spread = 50 * BRUNT_MS;
	rule.distribution = BRUNT_DELAY_NORMAL;
	assert_true(delays(&rule, 0) >= 0 && delays(&rule, 1) < 1000);
}

static void wildcards_match_as_in_a_shell_but_for_slashes(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{ "/a/b", "/a/b", true },
		{ "/a/b", "/a/bc", false },
		{ "/a/*", "/a/b", true },
		{ "/a/*", "/a/b/c", true },
		{ "*.aof", "/x/y.aof", true },
		{ "*.aof", "/x/y.aof2", false },
		{ "/a?c", "/abc", true },
		{ "/a?c", "/ac", false },
		{ "", "", true },
		{ "", "x", false },
		{ "*", "", true },
		{ "*", "anything", true },
		{ "**", "x", true },
		{ "a*b*c", "axxbyyc", true },
		{ "a*b*c", "axxbyy", false },
		{ "a*a*a*b", "aaaaaaaa", false },
		{ "[ab]x", "bx", true },
		{ "[ab]x", "cx", false },
		{ "[a-c]x", "bx", true },
		{ "[!a-c]x", "bx", false },
		{ "[!a-c]x", "dx", true },
		{ "[x", "[x", true },
		{ "[]]", "]", true },
		{ "a\\*b", "a*b", true },
		{ "a\\*b", "axb", false },
		{ "\\", "\\", true },
		{ "x\\", "x\\", true },
		{ "[a-]", "-", true },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++)
		if (brunt_wildcard_match(cases[i].pattern, cases[i].text) != cases[i].matches)
			fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].text);
}

static void a_hostile_pattern_ends_in_time(void **state)
{
	char pattern[256], text[4096];

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(pattern); i++)
		pattern[i] = i % 2 ? 'a' : '*';
	pattern[sizeof(pattern) - 2] = 'c';
	pattern[sizeof(pattern) - 1] = '\0';
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	text[sizeof(text) - 2] = 'b';
	for (int i = 0; i < 1000; i++)
		assert_false(brunt_wildcard_match(pattern, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_without_conditions_hits_every_call),
		cmocka_unit_test(first_last_and_every_say_which_calls),
		cmocka_unit_test(times_is_a_budget_of_hits),
		cmocka_unit_test(a_value_is_given_instead_of_an_error),
		cmocka_unit_test(a_delay_alone_answers_nothing),
		cmocka_unit_test(the_same_seed_makes_the_same_decisions_in_any_order),
		cmocka_unit_test(other_seeds_and_other_processes_decide_otherwise),
		cmocka_unit_test(hits_lie_within_four_sigma_of_the_probability),
		cmocka_unit_test(no_chance_is_never_and_certainty_always),
		cmocka_unit_test(each_errno_of_a_list_comes_as_often),
		cmocka_unit_test(delays_are_distributed_as_asked),
		cmocka_unit_test(a_delay_is_never_negative),
		cmocka_unit_test(wildcards_match_as_in_a_shell_but_for_slashes),
		cmocka_unit_test(a_hostile_pattern_ends_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
