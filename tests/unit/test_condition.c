/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a condition: when it holds, when it is broken, and when nothing may be said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "brunt/judge.h"
#include "brunt/memory.h"

#define EVERY (100 * BRUNT_MS)
#define START (50 * BRUNT_S) /* when the SLI's sampling began: tick 0 */

static struct brunt_series *series;
static struct brunt_condition_state now_state;
static struct brunt_http_sli http;
static struct brunt_lines_sli lines;
static struct brunt_sli site;

static int setup(void **state)
{
	(void)state;
	memset(&now_state, 0, sizeof(now_state));
	memset(&lines, 0, sizeof(lines));
	site = (struct brunt_sli){ .kind = BRUNT_SLI_HTTP, .http = &http, .every = EVERY, .timeout = BRUNT_S };
	return brunt_series_new(&series);
}

static int teardown(void **state)
{
	(void)state;
	brunt_series_free(series);
	return 0;
}

static uint64_t tick(uint64_t k)
{
	return START + k * EVERY;
}

/* Sample k was good or bad and took latency; a bad one counts as infinite latency. */
static void sampled(uint64_t k, bool good, uint64_t latency)
{
	struct brunt_sample sample = { .at = tick(k), .done = tick(k) + latency, .judged = true, .good = good };

	sample.has_value = true;
	sample.value = good ? (double)latency : INFINITY;
	assert_int_equal(brunt_series_add(series, &sample), 0);
}

static void sampled_from_to(uint64_t from, uint64_t to, bool good)
{
	for (uint64_t k = from; k <= to; k++)
		sampled(k, good, BRUNT_MS);
}

static struct brunt_condition success(enum brunt_condition_kind kind, uint64_t over, double min)
{
	return (struct brunt_condition){
		.kind = kind,
		.resolved_sli = &site,
		.has_of = true,
		.of = BRUNT_OF_SUCCESS,
		.over = over,
		.has_min = true,
		.min = { min, BRUNT_DIM_RATIO },
	};
}

static struct brunt_condition latency(enum brunt_condition_kind kind, enum brunt_of of, uint64_t over, uint64_t max)
{
	return (struct brunt_condition){
		.kind = kind,
		.resolved_sli = &site,
		.has_of = true,
		.of = of,
		.over = over,
		.has_max = true,
		.max = { (double)max, BRUNT_DIM_TIME },
	};
}

/* Just after sample k was completed. */
static enum brunt_truth judge(const struct brunt_condition *condition, uint64_t not_before, uint64_t k)
{
	return brunt_condition_judge(condition, series, not_before, tick(k) + BRUNT_MS, false, &now_state);
}

static void nothing_is_said_before_the_first_sample(void **state)
{
	struct brunt_condition guard = success(BRUNT_CONDITION_GUARDRAIL, 2 * BRUNT_S, 0.8);

	(void)state;
	assert_int_equal(judge(&guard, START, 0), BRUNT_UNKNOWN);
	assert_true(isnan(brunt_condition_distance(&guard, &now_state.reading, false)));
}

static void a_guardrail_breaks_at_the_sample_that_takes_it_below(void **state)
{
	struct brunt_condition guard = success(BRUNT_CONDITION_GUARDRAIL, 2 * BRUNT_S, 0.8);

	(void)state;
	sampled_from_to(0, 30, true);
	assert_int_equal(judge(&guard, START, 30), BRUNT_HOLDS);
	/* The window holds 20 samples: ticks k - 19 to k. 4 bad of 20 are 80 %: still inside. */
	for (uint64_t k = 31; k <= 34; k++) {
		sampled(k, false, BRUNT_MS);
		assert_int_equal(judge(&guard, START, k), BRUNT_HOLDS);
	}
	assert_int_equal(now_state.reading.count, 20);
	assert_int_equal(now_state.reading.bad, 4);
	sampled(35, false, BRUNT_MS);
	assert_int_equal(judge(&guard, START, 35), BRUNT_BROKEN);
	assert_int_equal(now_state.since, tick(35));
	assert_int_equal(now_state.reading.newest, tick(35));
	assert_true(brunt_condition_distance(&guard, &now_state.reading, false) < 0);
}

static void a_guardrail_does_not_wait_for_a_filled_window(void **state)
{
	struct brunt_condition guard = success(BRUNT_CONDITION_GUARDRAIL, 60 * BRUNT_S, 0.8);

	(void)state;
	sampled(0, false, BRUNT_MS);
	assert_int_equal(judge(&guard, START, 0), BRUNT_BROKEN);
}

static void a_quantile_guardrail_waits_for_its_samples(void **state)
{
	struct brunt_condition guard = latency(BRUNT_CONDITION_GUARDRAIL, BRUNT_OF_P95, 10 * BRUNT_S, 500 * BRUNT_MS);

	(void)state;
	for (uint64_t k = 0; k < 19; k++) {
		sampled(k, false, BRUNT_MS);
		assert_int_equal(judge(&guard, START, k), BRUNT_UNKNOWN);
	}
	sampled(19, false, BRUNT_MS);
	assert_int_equal(judge(&guard, START, 19), BRUNT_BROKEN);
	assert_true(isinf(now_state.reading.value));
	assert_true(isinf(brunt_condition_distance(&guard, &now_state.reading, false)));
}

static void a_quantile_is_judged_when_its_window_just_fits_and_answers_are_slow(void **state)
{
	struct brunt_condition guard = latency(BRUNT_CONDITION_GUARDRAIL, BRUNT_OF_P99, 10 * BRUNT_S, 500 * BRUNT_MS);
	uint64_t k;

	(void)state;
	/* Every answer takes 300 ms: of the window's 100 samples three are always pending. */
	for (k = 0; k <= 200; k++)
		sampled(k, true, 300 * BRUNT_MS);
	assert_int_equal(brunt_condition_judge(&guard, series, START, tick(200) + 300 * BRUNT_MS, false, &now_state),
			 BRUNT_HOLDS);
	assert_true(now_state.reading.count < 100);
}

static void a_guardrail_with_for_breaks_only_when_broken_that_long(void **state)
{
	struct brunt_condition guard = latency(BRUNT_CONDITION_GUARDRAIL, BRUNT_OF_LAST, 0, 500 * BRUNT_MS);

	(void)state;
	guard.lasting = 300 * BRUNT_MS;
	sampled(0, true, BRUNT_MS);
	assert_int_equal(judge(&guard, START, 0), BRUNT_HOLDS);
	for (uint64_t k = 1; k <= 3; k++) {
		sampled(k, false, BRUNT_MS);
		assert_int_equal(judge(&guard, START, k), BRUNT_HOLDS);
	}
	/* One good sample starts it over. */
	sampled(4, true, BRUNT_MS);
	assert_int_equal(judge(&guard, START, 4), BRUNT_HOLDS);
	for (uint64_t k = 5; k <= 7; k++) {
		sampled(k, false, BRUNT_MS);
		assert_int_equal(judge(&guard, START, k), BRUNT_HOLDS);
	}
	sampled(8, false, BRUNT_MS);
	assert_int_equal(judge(&guard, START, 8), BRUNT_BROKEN);
	assert_int_equal(now_state.since, tick(8));
	assert_int_equal(now_state.raw_since, tick(5));
}

static void a_guardrail_broken_from_the_first_sample_never_holds_while_it_waits(void **state)
{
	struct brunt_condition guard = latency(BRUNT_CONDITION_GUARDRAIL, BRUNT_OF_LAST, 0, 500 * BRUNT_MS);

	(void)state;
	guard.lasting = BRUNT_S;
	for (uint64_t k = 0; k < 10; k++) {
		sampled(k, false, BRUNT_MS);
		assert_int_equal(judge(&guard, START, k), BRUNT_UNKNOWN);
	}
	sampled(10, false, BRUNT_MS);
	assert_int_equal(judge(&guard, START, 10), BRUNT_BROKEN);
}

static void an_expectation_needs_a_filled_window(void **state)
{
	struct brunt_condition expect = success(BRUNT_CONDITION_EXPECT, 5 * BRUNT_S, 0.99);

	(void)state;
	for (uint64_t k = 0; k < 50; k++) {
		sampled(k, true, BRUNT_MS);
		assert_int_equal(judge(&expect, START, k), BRUNT_UNKNOWN);
	}
	sampled(50, true, BRUNT_MS);
	assert_int_equal(judge(&expect, START, 50), BRUNT_HOLDS);
}

static void a_window_does_not_reach_back_before_its_cause(void **state)
{
	struct brunt_condition expect = success(BRUNT_CONDITION_EXPECT, 5 * BRUNT_S, 0.99);

	(void)state;
	/* All was well until tick 99; the cause came just before tick 100 and broke everything. */
	sampled_from_to(0, 99, true);
	sampled(100, false, BRUNT_MS);
	assert_int_equal(judge(&expect, tick(100), 100), BRUNT_BROKEN);
	assert_int_equal(now_state.reading.count, 1);
}

static void the_sample_at_the_cause_itself_counts(void **state)
{
	struct brunt_condition expect = success(BRUNT_CONDITION_EXPECT, 0, 1);

	(void)state;
	sampled(7, true, 0);
	assert_int_equal(judge(&expect, tick(7) + 1, 7), BRUNT_UNKNOWN);
	assert_int_equal(judge(&expect, tick(7), 7), BRUNT_HOLDS);
}

static void without_a_window_the_newest_sample_is_judged(void **state)
{
	struct brunt_condition expect = success(BRUNT_CONDITION_EXPECT, 0, 1);

	(void)state;
	sampled(0, false, BRUNT_MS);
	assert_int_equal(judge(&expect, START, 0), BRUNT_BROKEN);
	sampled(1, true, BRUNT_MS);
	assert_int_equal(judge(&expect, START, 1), BRUNT_HOLDS);
	assert_int_equal(now_state.since, tick(1));
}

static void a_late_answer_does_not_hide_a_newer_one(void **state)
{
	struct brunt_condition expect = success(BRUNT_CONDITION_EXPECT, 0, 1);

	(void)state;
	sampled(2, true, BRUNT_MS);
	assert_int_equal(judge(&expect, START, 2), BRUNT_HOLDS);
	sampled(1, false, 150 * BRUNT_MS);
	assert_int_equal(brunt_condition_judge(&expect, series, START, tick(2) + 50 * BRUNT_MS, false, &now_state),
			 BRUNT_HOLDS);
}

static void a_wait_with_for_holds_only_when_held_that_long_without_a_break(void **state)
{
	struct brunt_condition wait = success(BRUNT_CONDITION_WAIT, 0, 1);

	(void)state;
	wait.lasting = 200 * BRUNT_MS;
	sampled(0, true, BRUNT_MS);
	assert_int_equal(judge(&wait, START, 0), BRUNT_UNKNOWN);
	sampled(1, false, BRUNT_MS);
	assert_int_equal(judge(&wait, START, 1), BRUNT_BROKEN);
	sampled(2, true, BRUNT_MS);
	assert_int_equal(judge(&wait, START, 2), BRUNT_UNKNOWN);
	sampled(3, true, BRUNT_MS);
	assert_int_equal(judge(&wait, START, 3), BRUNT_UNKNOWN);
	sampled(4, true, BRUNT_MS);
	assert_int_equal(judge(&wait, START, 4), BRUNT_HOLDS);
}

static void what_hangs_does_not_look_good(void **state)
{
	struct brunt_condition expect = success(BRUNT_CONDITION_EXPECT, 5 * BRUNT_S, 0.99);

	(void)state;
	site.timeout = 10 * BRUNT_S;
	/* Two good seconds, then nothing is answered: at five seconds 20 of 20 known samples are good. */
	sampled_from_to(0, 20, true);
	assert_int_equal(judge(&expect, START, 50), BRUNT_UNKNOWN);
	assert_int_equal(now_state.reading.bad, 0);
	assert_false(now_state.no_data);
}

static void a_guardrail_sees_hanging_requests_among_quick_ones_however_short_its_window(void **state)
{
	struct brunt_condition guard = success(BRUNT_CONDITION_GUARDRAIL, BRUNT_S, 0.8);
	uint64_t k;

	(void)state;
	/* Every second request hangs until its timeout of a second: when it is completed, the window has passed it. */
	for (k = 0; k <= 30; k++) {
		if (k % 2)
			sampled(k, true, BRUNT_MS);
		if (k >= 10 && k % 2 == 0)
			sampled(k - 10, false, BRUNT_S);
		if (judge(&guard, START, k) == BRUNT_BROKEN)
			break;
	}
	assert_true(k <= 12);
}

static void a_window_not_longer_than_the_timeout_is_judged_when_all_of_it_is_known(void **state)
{
	struct brunt_condition expect = success(BRUNT_CONDITION_EXPECT, BRUNT_S, 0.99);

	(void)state;
	for (uint64_t k = 0; k < 20; k++) {
		sampled(k, true, BRUNT_MS);
		assert_int_equal(judge(&expect, START, k), BRUNT_UNKNOWN);
	}
	sampled(20, true, BRUNT_MS);
	assert_int_equal(judge(&expect, START, 20), BRUNT_HOLDS);
}

static void slow_answers_alone_are_no_silence(void **state)
{
	struct brunt_condition guard = success(BRUNT_CONDITION_GUARDRAIL, 2 * BRUNT_S, 0.8);

	(void)state;
	sampled_from_to(0, 20, true);
	/* The timeout is one second: until 1.3 s after the last completion a pending sample may still be a good one. */
	assert_int_equal(judge(&guard, START, 33), BRUNT_HOLDS);
	assert_int_equal(judge(&guard, START, 34), BRUNT_BROKEN);
	assert_true(now_state.no_data);
	assert_int_equal(now_state.since, tick(34) + BRUNT_MS);
}

static void no_data_breach_breaks_a_guardrail_that_never_had_a_sample(void **state)
{
	struct brunt_condition guard = success(BRUNT_CONDITION_GUARDRAIL, 2 * BRUNT_S, 0.8);

	(void)state;
	assert_int_equal(judge(&guard, START, 12), BRUNT_UNKNOWN);
	assert_int_equal(judge(&guard, START, 13), BRUNT_BROKEN);
	assert_true(now_state.no_data);
}

static void no_data_hold_keeps_what_the_samples_said_last(void **state)
{
	struct brunt_condition guard = success(BRUNT_CONDITION_GUARDRAIL, 2 * BRUNT_S, 0.8);

	(void)state;
	site.no_data = BRUNT_NO_DATA_HOLD;
	assert_int_equal(judge(&guard, START, 20), BRUNT_UNKNOWN);
	sampled(21, true, BRUNT_MS);
	assert_int_equal(judge(&guard, START, 21), BRUNT_HOLDS);
	assert_int_equal(judge(&guard, START, 100), BRUNT_HOLDS);
	assert_true(now_state.no_data);
}

static void no_data_ok_lets_an_expectation_hold_but_not_before_its_window_is_filled(void **state)
{
	struct brunt_condition expect = success(BRUNT_CONDITION_EXPECT, 5 * BRUNT_S, 0.99);

	(void)state;
	site.no_data = BRUNT_NO_DATA_OK;
	assert_int_equal(judge(&expect, START, 20), BRUNT_UNKNOWN);
	assert_int_equal(judge(&expect, START, 50), BRUNT_HOLDS);
}

static void no_data_zero_is_judged_as_the_value_zero(void **state)
{
	struct brunt_condition low = latency(BRUNT_CONDITION_GUARDRAIL, BRUNT_OF_MAX, BRUNT_S, BRUNT_S);
	struct brunt_condition high = success(BRUNT_CONDITION_GUARDRAIL, BRUNT_S, 0.5);

	(void)state;
	site.no_data = BRUNT_NO_DATA_ZERO;
	assert_int_equal(judge(&low, START, 20), BRUNT_HOLDS);
	memset(&now_state, 0, sizeof(now_state));
	assert_int_equal(judge(&high, START, 20), BRUNT_BROKEN);
}

static void a_silent_service_is_noticed_after_three_periods(void **state)
{
	struct brunt_condition guard = success(BRUNT_CONDITION_GUARDRAIL, 2 * BRUNT_S, 0.8);

	(void)state;
	site.kind = BRUNT_SLI_LINES;
	site.lines = &lines;
	sampled(0, true, 0);
	assert_int_equal(brunt_condition_judge(&guard, series, START, tick(3), false, &now_state), BRUNT_HOLDS);
	assert_int_equal(brunt_condition_judge(&guard, series, START, tick(3) + 1, false, &now_state), BRUNT_BROKEN);
}

static void bad_samples_without_a_value_are_no_data_for_a_value(void **state)
{
	struct brunt_condition guard = latency(BRUNT_CONDITION_GUARDRAIL, BRUNT_OF_LAST, 0, 500 * BRUNT_MS);

	(void)state;
	sampled(0, true, BRUNT_MS);
	for (uint64_t k = 1; k <= 14; k++) {
		struct brunt_sample sample = { .at = tick(k), .done = tick(k), .judged = true };

		assert_int_equal(brunt_series_add(series, &sample), 0);
	}
	/* The last value is fine, but 1.4 s old. */
	assert_int_equal(judge(&guard, START, 14), BRUNT_BROKEN);
	assert_true(now_state.no_data);
}

static void while_faults_are_held_the_bound_during_replaces_min(void **state)
{
	struct brunt_condition steady = success(BRUNT_CONDITION_STEADY, BRUNT_S, 0.99);

	(void)state;
	site.timeout = EVERY;
	steady.has_during = true;
	steady.during.value = 0.9;
	sampled_from_to(0, 20, true);
	sampled(21, false, BRUNT_MS);
	assert_int_equal(judge(&steady, START, 21), BRUNT_BROKEN);
	assert_int_equal(brunt_condition_judge(&steady, series, START, tick(21) + BRUNT_MS, true, &now_state),
			 BRUNT_HOLDS);
	assert_true(brunt_condition_distance(&steady, &now_state.reading, false) < 0);
	assert_true(fabs(brunt_condition_distance(&steady, &now_state.reading, true)) < 1e-9);
	sampled(22, false, BRUNT_MS);
	assert_int_equal(brunt_condition_judge(&steady, series, START, tick(22) + BRUNT_MS, true, &now_state),
			 BRUNT_BROKEN);
}

static void during_replaces_max_where_there_is_no_min(void **state)
{
	struct brunt_condition steady = latency(BRUNT_CONDITION_STEADY, BRUNT_OF_LAST, 0, 100 * BRUNT_MS);

	(void)state;
	steady.has_during = true;
	steady.during.value = 300 * BRUNT_MS;
	sampled(0, true, 200 * BRUNT_MS);
	assert_int_equal(brunt_condition_judge(&steady, series, START, tick(2), true, &now_state), BRUNT_HOLDS);
	assert_int_equal(brunt_condition_judge(&steady, series, START, tick(2), false, &now_state), BRUNT_BROKEN);
}

static void while_faults_are_held_no_filled_window_is_needed(void **state)
{
	struct brunt_condition steady = success(BRUNT_CONDITION_STEADY, 10 * BRUNT_S, 0.99);

	(void)state;
	sampled(0, true, BRUNT_MS);
	assert_int_equal(judge(&steady, START, 0), BRUNT_UNKNOWN);
	assert_int_equal(brunt_condition_judge(&steady, series, START, tick(0) + BRUNT_MS, true, &now_state),
			 BRUNT_HOLDS);
}

static void min_and_max_hold_both_and_are_inclusive(void **state)
{
	struct brunt_condition expect = latency(BRUNT_CONDITION_EXPECT, BRUNT_OF_LAST, 0, 20 * BRUNT_MS);

	(void)state;
	expect.has_min = true;
	expect.min.value = 10 * BRUNT_MS;
	sampled(0, true, 10 * BRUNT_MS);
	assert_int_equal(judge(&expect, START, 0), BRUNT_HOLDS);
	assert_true(brunt_condition_distance(&expect, &now_state.reading, false) == 0);
	sampled(1, true, 20 * BRUNT_MS);
	assert_int_equal(judge(&expect, START, 1), BRUNT_HOLDS);
	sampled(2, true, 20 * BRUNT_MS + 1);
	assert_int_equal(judge(&expect, START, 2), BRUNT_BROKEN);
	sampled(3, true, 10 * BRUNT_MS - 1);
	assert_int_equal(judge(&expect, START, 3), BRUNT_BROKEN);
	assert_true(brunt_condition_distance(&expect, &now_state.reading, false) == -1);
}

static void rounding_does_not_break_a_bound_that_is_just_met(void **state)
{
	(void)state;
	for (int percent = 1; percent <= 100; percent++) {
		struct brunt_condition expect = success(BRUNT_CONDITION_EXPECT, 0, percent * 0.01);
		struct brunt_reading reading;

		expect.over = 99 * EVERY;
		brunt_series_free(series);
		assert_int_equal(brunt_series_new(&series), 0);
		for (int k = 0; k < 100; k++)
			sampled(k, k >= 100 - percent, 0);
		memset(&now_state, 0, sizeof(now_state));
		assert_int_equal(brunt_series_read(series, BRUNT_OF_SUCCESS, START, tick(99), &reading), 0);
		assert_int_equal(reading.bad, 100 - percent);
		assert_int_equal(brunt_condition_judge(&expect, series, START, tick(99), false, &now_state),
				 BRUNT_HOLDS);
	}
}

static void the_default_statistic_is_last_with_values_and_success_without(void **state)
{
	struct brunt_condition expect = success(BRUNT_CONDITION_EXPECT, 0, 1);
	struct brunt_sample sample = { .at = START, .done = START, .judged = true, .good = true };

	(void)state;
	expect.has_of = false;
	site.kind = BRUNT_SLI_LINES;
	site.lines = &lines;
	assert_int_equal(brunt_series_add(series, &sample), 0);
	assert_int_equal(judge(&expect, START, 0), BRUNT_HOLDS);
	lines.value = "([0-9]+)";
	assert_int_equal(judge(&expect, START, 0), BRUNT_UNKNOWN);
}

static void a_system_that_is_broken_throughout_never_holds(void **state)
{
	static const enum brunt_condition_kind kinds[] = { BRUNT_CONDITION_START_IF, BRUNT_CONDITION_STEADY,
							   BRUNT_CONDITION_GUARDRAIL, BRUNT_CONDITION_WAIT,
							   BRUNT_CONDITION_EXPECT };
	static const uint64_t overs[] = { 0, BRUNT_S, 10 * BRUNT_S };

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(kinds) * BRUNT_COUNT(overs) * 8; i++) {
		struct brunt_condition condition = success(kinds[i % 5], overs[i / 5 % 3], 0.5);
		bool during = i / 15 % 2, timeouts = i / 30 % 2;

		condition.lasting = i / 60 % 2 ? 500 * BRUNT_MS : 0;
		site.no_data = i % 2 ? BRUNT_NO_DATA_BREACH : BRUNT_NO_DATA_HOLD;
		brunt_series_free(series);
		assert_int_equal(brunt_series_new(&series), 0);
		memset(&now_state, 0, sizeof(now_state));
		for (uint64_t k = 0; k < 300; k++) {
			if (!timeouts)
				sampled(k, false, BRUNT_MS);
			else if (k >= 10)
				sampled(k - 10, false, BRUNT_S);
			assert_int_not_equal(brunt_condition_judge(&condition, series, START, tick(k) + BRUNT_MS,
								   during, &now_state),
					     BRUNT_HOLDS);
		}
		assert_int_equal(now_state.truth, BRUNT_BROKEN);
	}
}

static void alive_is_judged_against_its_number(void **state)
{
	struct brunt_condition start_if = {
		.kind = BRUNT_CONDITION_START_IF, .target = "w", .has_alive = true, .alive = 3
	};

	(void)state;
	assert_int_equal(brunt_condition_judge_alive(&start_if, 2, 10, &now_state), BRUNT_BROKEN);
	assert_true(brunt_condition_distance(&start_if, &now_state.reading, false) == -1);
	assert_int_equal(brunt_condition_judge_alive(&start_if, 3, 20, &now_state), BRUNT_HOLDS);
	assert_int_equal(now_state.since, 20);
}

static void alive_of_a_guardrail_may_be_broken_for_a_while(void **state)
{
	struct brunt_condition guard = {
		.kind = BRUNT_CONDITION_GUARDRAIL, .has_alive = true, .alive = 1, .lasting = 2 * BRUNT_S
	};

	(void)state;
	assert_int_equal(brunt_condition_judge_alive(&guard, 1, 1 * BRUNT_S, &now_state), BRUNT_HOLDS);
	assert_int_equal(brunt_condition_judge_alive(&guard, 0, 2 * BRUNT_S, &now_state), BRUNT_HOLDS);
	assert_int_equal(brunt_condition_judge_alive(&guard, 0, 3 * BRUNT_S, &now_state), BRUNT_HOLDS);
	assert_int_equal(brunt_condition_judge_alive(&guard, 0, 4 * BRUNT_S, &now_state), BRUNT_BROKEN);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_said_before_the_first_sample),
		TEST(a_guardrail_breaks_at_the_sample_that_takes_it_below),
		TEST(a_guardrail_does_not_wait_for_a_filled_window),
		TEST(a_quantile_guardrail_waits_for_its_samples),
		TEST(a_quantile_is_judged_when_its_window_just_fits_and_answers_are_slow),
		TEST(a_guardrail_with_for_breaks_only_when_broken_that_long),
		TEST(a_guardrail_broken_from_the_first_sample_never_holds_while_it_waits),
		TEST(an_expectation_needs_a_filled_window),
		TEST(a_window_does_not_reach_back_before_its_cause),
		TEST(the_sample_at_the_cause_itself_counts),
		TEST(without_a_window_the_newest_sample_is_judged),
		TEST(a_late_answer_does_not_hide_a_newer_one),
		TEST(a_wait_with_for_holds_only_when_held_that_long_without_a_break),
		TEST(what_hangs_does_not_look_good),
		TEST(a_guardrail_sees_hanging_requests_among_quick_ones_however_short_its_window),
		TEST(a_window_not_longer_than_the_timeout_is_judged_when_all_of_it_is_known),
		TEST(slow_answers_alone_are_no_silence),
		TEST(no_data_breach_breaks_a_guardrail_that_never_had_a_sample),
		TEST(no_data_hold_keeps_what_the_samples_said_last),
		TEST(no_data_ok_lets_an_expectation_hold_but_not_before_its_window_is_filled),
		TEST(no_data_zero_is_judged_as_the_value_zero),
		TEST(a_silent_service_is_noticed_after_three_periods),
		TEST(bad_samples_without_a_value_are_no_data_for_a_value),
		TEST(while_faults_are_held_the_bound_during_replaces_min),
		TEST(during_replaces_max_where_there_is_no_min),
		TEST(while_faults_are_held_no_filled_window_is_needed),
		TEST(min_and_max_hold_both_and_are_inclusive),
		TEST(rounding_does_not_break_a_bound_that_is_just_met),
		TEST(the_default_statistic_is_last_with_values_and_success_without),
		TEST(a_system_that_is_broken_throughout_never_holds),
		TEST(alive_is_judged_against_its_number),
		TEST(alive_of_a_guardrail_may_be_broken_for_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
