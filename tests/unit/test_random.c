/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "brunt/clock.h"

#define DRAWS 60000

static void the_generator_is_splitmix64(void **state)
{
	/* The published sequence for state 1234567 (Rosetta Code, "Pseudo-random numbers/Splitmix64"). */
	static const uint64_t expected[] = { UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
					     UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
					     UINT64_C(16408922859458223821) };
	struct brunt_random random = { .state = 1234567 };

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_true(brunt_random_next(&random) == expected[i]);
}

static void a_seed_and_a_label_decide_the_stream(void **state)
{
	struct brunt_random one, same, label, seed;
	unsigned equal_label = 0, equal_seed = 0;

	(void)state;
	brunt_random_seed(&one, 42, "workers");
	brunt_random_seed(&same, 42, "workers");
	brunt_random_seed(&label, 42, "workerz");
	brunt_random_seed(&seed, 43, "workers");
	for (int i = 0; i < 1000; i++) {
		uint64_t value = brunt_random_next(&one);

		assert_true(value == brunt_random_next(&same));
		equal_label += value == brunt_random_next(&label);
		equal_seed += value == brunt_random_next(&seed);
	}
	assert_int_equal(equal_label, 0);
	assert_int_equal(equal_seed, 0);
}

static void a_missing_label_is_the_empty_one(void **state)
{
	struct brunt_random none, empty;

	(void)state;
	brunt_random_seed(&none, 7, NULL);
	brunt_random_seed(&empty, 7, "");
	assert_true(brunt_random_next(&none) == brunt_random_next(&empty));
}

static void below_stays_below_and_is_even(void **state)
{
	static const uint64_t bounds[] = { 1, 2, 3, 6, 7, 10 };
	struct brunt_random random;

	(void)state;
	brunt_random_seed(&random, 1, "even");
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		uint64_t bound = bounds[i];
		unsigned seen[10] = { 0 };

		for (int n = 0; n < DRAWS; n++) {
			uint64_t value = brunt_random_below(&random, bound);

			assert_true(value < bound);
			seen[value]++;
		}
		/* Five standard deviations are at most 5 * sqrt(60000 / 4) = 612. */
		for (uint64_t value = 0; value < bound; value++)
			assert_true(labs((long)seen[value] - (long)(DRAWS / bound)) < 700);
	}
}

static void below_has_no_modulo_bias(void **state)
{
	/* A draw taken modulo 3 * 2^62 by plain division falls into the first third half of the time. */
	uint64_t bound = UINT64_C(3) << 62;
	struct brunt_random random;
	unsigned first = 0;

	(void)state;
	brunt_random_seed(&random, 1, "bias");
	for (int n = 0; n < DRAWS; n++)
		first += brunt_random_below(&random, bound) < bound / 3;
	assert_true(first > DRAWS / 3 - 700 && first < DRAWS / 3 + 700);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_generator_is_splitmix64),
		cmocka_unit_test(a_seed_and_a_label_decide_the_stream),
		cmocka_unit_test(a_missing_label_is_the_empty_one),
		cmocka_unit_test(below_stays_below_and_is_even),
		cmocka_unit_test(below_has_no_modulo_bias),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
