/* SPDX-License-Identifier: Apache-2.0 */
/* Series and their statistics: figures worked out by hand, and a naive implementation as the judge of the real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/judge.h"
#include "brunt/memory.h"

#define assert_near(a, b, slack) assert_true(fabs((a) - (b)) <= (slack))

static int setup(void **state)
{
	return brunt_series_new((struct brunt_series **)state);
}

static int teardown(void **state)
{
	brunt_series_free(*state);
	return 0;
}

static void add_value(struct brunt_series *series, uint64_t at, double value)
{
	struct brunt_sample sample = { .at = at, .done = at, .has_value = true, .value = value };

	assert_int_equal(brunt_series_add(series, &sample), 0);
}

static void add_flag(struct brunt_series *series, uint64_t at, bool good)
{
	struct brunt_sample sample = { .at = at, .done = at, .judged = true, .good = good, .why = good ? NULL : "x" };

	assert_int_equal(brunt_series_add(series, &sample), 0);
}

static struct brunt_reading read_all(const struct brunt_series *series, enum brunt_of of)
{
	struct brunt_reading reading = { 0 };

	assert_int_equal(brunt_series_read(series, of, 0, UINT64_MAX, &reading), 0);
	return reading;
}

static void an_empty_series_has_no_statistic(void **state)
{
	struct brunt_reading reading = { .count = 77 };

	assert_int_equal(brunt_series_count(*state), 0);
	for (int of = 0; of < _BRUNT_OF_MAX; of++)
		assert_int_equal(brunt_series_read(*state, of, 0, UINT64_MAX, &reading), -ENODATA);
	assert_int_equal(reading.count, 77);
}

static void statistics_of_ten_values_are_as_worked_out_by_hand(void **state)
{
	const double values[] = { 5, 1, 9, 3, 7, 2, 8, 4, 10, 6 };
	static const struct {
		enum brunt_of of;
		double value;
	} expected[] = {
		{ BRUNT_OF_LAST, 6 },  { BRUNT_OF_MEAN, 5.5 }, { BRUNT_OF_MIN, 1 },  { BRUNT_OF_MAX, 10 },
		{ BRUNT_OF_P50, 5 },   { BRUNT_OF_P90, 9 },    { BRUNT_OF_P95, 10 }, { BRUNT_OF_P99, 10 },
		{ BRUNT_OF_P999, 10 }, { BRUNT_OF_COUNT, 10 },
	};
	struct brunt_reading reading;

	for (size_t i = 0; i < BRUNT_COUNT(values); i++)
		add_value(*state, 100 + i, values[i]);
	for (size_t i = 0; i < BRUNT_COUNT(expected); i++) {
		reading = read_all(*state, expected[i].of);
		assert_near(reading.value, expected[i].value, 0);
		assert_int_equal(reading.count, 10);
		assert_int_equal(reading.newest, 109);
	}
	assert_int_equal(brunt_series_read(*state, BRUNT_OF_SUCCESS, 0, UINT64_MAX, &reading), -ENODATA);
}

static void quantiles_take_the_nearest_rank_without_rounding_errors(void **state)
{
	/* 1..1000: the q-quantile by nearest rank is q * 1000 exactly. */
	for (uint64_t i = 1; i <= 1000; i++)
		add_value(*state, i, (double)(i * 7919 % 1000 + 1));
	assert_near(read_all(*state, BRUNT_OF_P50).value, 500, 0);
	assert_near(read_all(*state, BRUNT_OF_P90).value, 900, 0);
	assert_near(read_all(*state, BRUNT_OF_P95).value, 950, 0);
	assert_near(read_all(*state, BRUNT_OF_P99).value, 990, 0);
	assert_near(read_all(*state, BRUNT_OF_P999).value, 999, 0);
}

static void the_median_of_two_is_the_smaller(void **state)
{
	add_value(*state, 1, 8);
	add_value(*state, 2, 4);
	assert_near(read_all(*state, BRUNT_OF_P50).value, 4, 0);
}

static void one_failure_in_a_hundred_is_beyond_p99_and_two_are_not(void **state)
{
	for (uint64_t i = 0; i < 99; i++)
		add_value(*state, i, 1);
	add_value(*state, 99, INFINITY);
	assert_near(read_all(*state, BRUNT_OF_P99).value, 1, 0);
	add_value(*state, 100, INFINITY);
	assert_true(isinf(read_all(*state, BRUNT_OF_P99).value));
	assert_true(isinf(read_all(*state, BRUNT_OF_MEAN).value));
	assert_near(read_all(*state, BRUNT_OF_P50).value, 1, 0);
}

static void when_all_are_infinite_every_value_is(void **state)
{
	for (uint64_t i = 0; i < 1000; i++)
		add_value(*state, i, INFINITY);
	for (int of = BRUNT_OF_MEAN; of <= BRUNT_OF_P999; of++)
		assert_true(isinf(read_all(*state, of).value));
	assert_true(isinf(read_all(*state, BRUNT_OF_LAST).value));
	assert_near(read_all(*state, BRUNT_OF_COUNT).value, 1000, 0);
}

static void success_is_good_over_good_and_bad_and_ignores_what_has_no_flag(void **state)
{
	struct brunt_reading reading;

	for (uint64_t i = 0; i < 8; i++)
		add_flag(*state, i, i != 3 && i != 5);
	add_value(*state, 20, 4);
	reading = read_all(*state, BRUNT_OF_SUCCESS);
	assert_near(reading.value, 0.75, 0);
	assert_int_equal(reading.count, 8);
	assert_int_equal(reading.bad, 2);
	assert_int_equal(reading.newest, 7);
	assert_near(read_all(*state, BRUNT_OF_COUNT).value, 9, 0);
}

static void window_borders_are_inclusive(void **state)
{
	struct brunt_reading reading;

	for (uint64_t at = 10; at <= 50; at += 10)
		add_value(*state, at, (double)at);
	assert_int_equal(brunt_series_read(*state, BRUNT_OF_MIN, 20, 40, &reading), 0);
	assert_near(reading.value, 20, 0);
	assert_int_equal(reading.count, 3);
	assert_int_equal(brunt_series_read(*state, BRUNT_OF_MAX, 20, 40, &reading), 0);
	assert_near(reading.value, 40, 0);
	assert_int_equal(brunt_series_read(*state, BRUNT_OF_MAX, 20, 20, &reading), 0);
	assert_int_equal(reading.count, 1);
	assert_int_equal(brunt_series_read(*state, BRUNT_OF_MAX, 21, 29, &reading), -ENODATA);
	assert_int_equal(brunt_series_read(*state, BRUNT_OF_MAX, 51, UINT64_MAX, &reading), -ENODATA);
	assert_int_equal(brunt_series_read(*state, BRUNT_OF_MAX, 40, 20, &reading), -ENODATA);
}

static void a_late_answer_is_put_in_its_place(void **state)
{
	static const uint64_t order[] = { 10, 40, 20, 50, 30, 0 };

	for (size_t i = 0; i < BRUNT_COUNT(order); i++)
		add_value(*state, order[i], (double)order[i]);
	for (size_t i = 0; i < BRUNT_COUNT(order); i++)
		assert_int_equal(brunt_series_at(*state, i)->at, i * 10);
	assert_near(read_all(*state, BRUNT_OF_LAST).value, 50, 0);
}

static void of_samples_of_one_time_the_one_added_last_is_the_newest(void **state)
{
	add_value(*state, 7, 1);
	add_value(*state, 9, 5);
	add_value(*state, 7, 2);
	add_value(*state, 7, 3);
	assert_near(brunt_series_at(*state, 0)->value, 1, 0);
	assert_near(brunt_series_at(*state, 2)->value, 3, 0);
	assert_near(brunt_series_at(*state, 3)->value, 5, 0);
}

static void a_value_that_cannot_be_ordered_is_none(void **state)
{
	struct brunt_reading reading;

	add_value(*state, 1, NAN);
	add_value(*state, 2, -INFINITY);
	assert_int_equal(brunt_series_read(*state, BRUNT_OF_MAX, 0, 9, &reading), -ENODATA);
	assert_int_equal(brunt_series_count(*state), 2);
}

static void the_reason_is_not_kept_because_it_is_borrowed(void **state)
{
	add_flag(*state, 1, false);
	assert_null(brunt_series_at(*state, 0)->why);
}

static void quantiles_need_as_many_samples_as_their_name_says(void **state)
{
	(void)state;
	assert_int_equal(brunt_of_samples_needed(BRUNT_OF_P50), 2);
	assert_int_equal(brunt_of_samples_needed(BRUNT_OF_P90), 10);
	assert_int_equal(brunt_of_samples_needed(BRUNT_OF_P95), 20);
	assert_int_equal(brunt_of_samples_needed(BRUNT_OF_P99), 100);
	assert_int_equal(brunt_of_samples_needed(BRUNT_OF_P999), 1000);
	assert_int_equal(brunt_of_samples_needed(BRUNT_OF_MEAN), 1);
	assert_int_equal(brunt_of_samples_needed(BRUNT_OF_SUCCESS), 1);
}

static void every_statistic_has_a_word_with_help(void **state)
{
	size_t count = 0;

	(void)state;
	for (const struct brunt_value *word = brunt_of_values; word->name; word++, count++) {
		assert_string_equal(brunt_of_name(word->value), word->name);
		assert_int_equal(word->value, count);
		assert_non_null(word->help);
	}
	assert_int_equal(count, _BRUNT_OF_MAX);
	assert_string_equal(brunt_of_name(BRUNT_OF_P999), "p99.9");
}

/* ---- against a naive implementation ---- */

static uint64_t random_state = 42;

static uint64_t random_below(uint64_t bound)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % bound;
}

static int by_at(const void *a, const void *b)
{
	const struct brunt_sample *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->done < y->done ? -1 : x->done > y->done; /* done: the order of adding */
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Sorts everything, and searches the smallest value with at least q * n at or below it by counting. */
static bool naive(const struct brunt_sample *samples, size_t count, enum brunt_of of, uint64_t from, uint64_t to,
		  double *ret)
{
	static const unsigned q[] = { [BRUNT_OF_P50] = 500, [BRUNT_OF_P90] = 900,  [BRUNT_OF_P95] = 950,
				      [BRUNT_OF_P99] = 990, [BRUNT_OF_P999] = 999, [BRUNT_OF_COUNT] = 0 };
	double values[400] = { 0 }, sum = 0, last = 0;
	size_t n = 0, good = 0, judged = 0, all = 0;

	for (size_t i = 0; i < count; i++) {
		if (samples[i].at < from || samples[i].at > to)
			continue;
		all++;
		judged += samples[i].judged;
		good += samples[i].judged && samples[i].good;
		if (!samples[i].has_value)
			continue;
		last = samples[i].value;
		sum += last;
		values[n++] = last;
	}
	qsort(values, n, sizeof(*values), by_value);
	if (of == BRUNT_OF_COUNT || of == BRUNT_OF_SUCCESS) {
		*ret = of == BRUNT_OF_COUNT ? (double)all : judged ? (double)good / (double)judged : 0;
		return of == BRUNT_OF_COUNT ? all > 0 : judged > 0;
	}
	if (!n)
		return false;
	switch (of) {
	case BRUNT_OF_LAST:
		*ret = last;
		return true;
	case BRUNT_OF_MEAN:
		*ret = sum / (double)n;
		return true;
	case BRUNT_OF_MIN:
		*ret = values[0];
		return true;
	case BRUNT_OF_MAX:
		*ret = values[n - 1];
		return true;
	default:
		break;
	}
	for (size_t i = 0; i < n; i++) {
		size_t below = 0;

		for (size_t k = 0; k < n; k++)
			below += values[k] <= values[i];
		if (below * 1000 >= q[of] * n) {
			*ret = values[i];
			return true;
		}
	}
	return false;
}

static void random_series_read_the_same_as_by_a_naive_implementation(void **state)
{
	(void)state;
	for (int round = 0; round < 300; round++) {
		struct brunt_sample samples[400];
		struct brunt_series *series;
		size_t count = 1 + random_below(BRUNT_COUNT(samples));

		assert_int_equal(brunt_series_new(&series), 0);
		for (size_t i = 0; i < count; i++) {
			struct brunt_sample *sample = samples + i;

			/* Mostly in order, some late, many of equal time or value, some infinite. */
			*sample = (struct brunt_sample){ .at = 1000 + i * 3 - random_below(60), .done = i };
			sample->judged = random_below(10) > 0;
			sample->good = random_below(5) > 0;
			sample->has_value = random_below(8) > 0;
			sample->value = random_below(30) ? (double)random_below(50) : INFINITY;
			assert_int_equal(brunt_series_add(series, sample), 0);
		}
		qsort(samples, count, sizeof(*samples), by_at);
		for (int of = 0; of < _BRUNT_OF_MAX; of++) {
			uint64_t from = 940 + random_below(count * 3 + 60), to = from + random_below(900);
			struct brunt_reading reading;
			double value;
			int r = brunt_series_read(series, of, from, to, &reading);

			if (!naive(samples, count, of, from, to, &value)) {
				assert_int_equal(r, -ENODATA);
				continue;
			}
			assert_int_equal(r, 0);
			if (isinf(value))
				assert_true(isinf(reading.value));
			else
				assert_near(reading.value, value, of == BRUNT_OF_MEAN ? 1e-9 : 0);
		}
		brunt_series_free(series);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_empty_series_has_no_statistic),
		TEST(statistics_of_ten_values_are_as_worked_out_by_hand),
		TEST(quantiles_take_the_nearest_rank_without_rounding_errors),
		TEST(the_median_of_two_is_the_smaller),
		TEST(one_failure_in_a_hundred_is_beyond_p99_and_two_are_not),
		TEST(when_all_are_infinite_every_value_is),
		TEST(success_is_good_over_good_and_bad_and_ignores_what_has_no_flag),
		TEST(window_borders_are_inclusive),
		TEST(a_late_answer_is_put_in_its_place),
		TEST(of_samples_of_one_time_the_one_added_last_is_the_newest),
		TEST(a_value_that_cannot_be_ordered_is_none),
		TEST(the_reason_is_not_kept_because_it_is_borrowed),
		TEST(quantiles_need_as_many_samples_as_their_name_says),
		TEST(every_statistic_has_a_word_with_help),
		TEST(random_series_read_the_same_as_by_a_naive_implementation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
