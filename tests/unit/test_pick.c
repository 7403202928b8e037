/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "brunt/target.h"

static size_t count_of(struct brunt_pick pick, size_t matched)
{
	size_t count = SIZE_MAX;

	assert_int_equal(brunt_pick_count(&pick, matched, &count), 0);
	return count;
}

static void without_a_pick_one_is_taken_and_several_are_refused(void **state)
{
	struct brunt_pick none = { .kind = BRUNT_PICK_NONE };
	size_t count = 77;

	(void)state;
	assert_int_equal(count_of(none, 0), 0);
	assert_int_equal(count_of(none, 1), 1);
	assert_int_equal(brunt_pick_count(&none, 2, &count), -E2BIG);
	assert_int_equal(count, 77);
}

static void a_count_takes_at_most_what_is_there(void **state)
{
	struct brunt_pick two = { .kind = BRUNT_PICK_COUNT, .count = 2 };

	(void)state;
	assert_int_equal(count_of(two, 0), 0);
	assert_int_equal(count_of(two, 1), 1);
	assert_int_equal(count_of(two, 2), 2);
	assert_int_equal(count_of(two, 9), 2);
}

static void a_share_rounds_down_but_never_to_zero(void **state)
{
	static const struct {
		double share;
		size_t matched, count;
	} cases[] = {
		{ 0.5, 3, 1 },	   { 0.5, 4, 2 },  { 0.2, 2, 1 },    { 0.01, 1, 1 }, { 0.999, 10, 9 },
		{ 0.29, 100, 29 }, { 0.1, 30, 3 }, { 0.07, 100, 7 }, { 1, 7, 7 },    { 0.3, 10, 3 },
		{ 0.33, 3, 1 },	   { 0.34, 3, 1 }, { 0.67, 3, 2 },   { 0, 5, 1 },    { 0.5, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct brunt_pick pick = { .kind = BRUNT_PICK_SHARE, .share = cases[i].share };

		assert_int_equal(count_of(pick, cases[i].matched), cases[i].count);
	}
}

static void all_takes_all(void **state)
{
	struct brunt_pick all = { .kind = BRUNT_PICK_ALL };

	(void)state;
	assert_int_equal(count_of(all, 0), 0);
	assert_int_equal(count_of(all, 12), 12);
}

static void exactly_as_many_are_chosen_as_asked(void **state)
{
	bool chosen[20];

	(void)state;
	for (size_t matched = 0; matched <= 20; matched++) {
		for (size_t picked = 0; picked <= matched + 2; picked++) {
			size_t sum = 0;

			memset(chosen, 0, sizeof(chosen));
			brunt_pick_choose(9, "t", 0, matched, picked, chosen);
			for (size_t i = 0; i < matched; i++)
				sum += chosen[i];
			assert_int_equal(sum, picked < matched ? picked : matched);
		}
	}
}

static void the_same_seed_label_and_round_choose_the_same(void **state)
{
	bool first[50], again[50];

	(void)state;
	for (uint64_t round = 0; round < 10; round++) {
		brunt_pick_choose(42, "workers", round, 50, 20, first);
		brunt_pick_choose(42, "workers", round, 50, 20, again);
		assert_memory_equal(first, again, sizeof(first));
	}
}

static void another_seed_label_or_round_chooses_others(void **state)
{
	bool base[50], other[50];

	(void)state;
	brunt_pick_choose(42, "workers", 0, 50, 20, base);
	brunt_pick_choose(43, "workers", 0, 50, 20, other);
	assert_memory_not_equal(base, other, sizeof(base));
	brunt_pick_choose(42, "servers", 0, 50, 20, other);
	assert_memory_not_equal(base, other, sizeof(base));
	brunt_pick_choose(42, "workers", 1, 50, 20, other);
	assert_memory_not_equal(base, other, sizeof(base));
}

/* Every one is hit equally often over many rounds, or over many seeds: no favourite, and none that is spared. */
static void check_even(bool over_rounds)
{
	unsigned hits[6] = { 0 };
	bool chosen[6];

	for (uint64_t n = 0; n < 6000; n++) {
		brunt_pick_choose(over_rounds ? 7 : n, "even", over_rounds ? n : 0, 6, 2, chosen);
		for (size_t i = 0; i < 6; i++)
			hits[i] += chosen[i];
	}
	/* 2000 expected each; five standard deviations are 5 * sqrt(6000 * 1/3 * 2/3) = 183. */
	for (size_t i = 0; i < 6; i++)
		assert_true(hits[i] > 1817 && hits[i] < 2183);
}

static void rounds_spread_evenly(void **state)
{
	(void)state;
	check_even(true);
}

static void seeds_spread_evenly(void **state)
{
	(void)state;
	check_even(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_pick_one_is_taken_and_several_are_refused),
		cmocka_unit_test(a_count_takes_at_most_what_is_there),
		cmocka_unit_test(a_share_rounds_down_but_never_to_zero),
		cmocka_unit_test(all_takes_all),
		cmocka_unit_test(exactly_as_many_are_chosen_as_asked),
		cmocka_unit_test(the_same_seed_label_and_round_choose_the_same),
		cmocka_unit_test(another_seed_label_or_round_chooses_others),
		cmocka_unit_test(rounds_spread_evenly),
		cmocka_unit_test(seeds_spread_evenly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
