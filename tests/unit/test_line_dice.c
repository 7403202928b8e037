/* SPDX-License-Identifier: Apache-2.0 */
/* The decisions of a line: shares, chains and distributions against what the models say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/memory.h"
#include "brunt/units.h"
#include "line/line_dice.h"

#define MANY 400000
#define NOW  (1000 * BRUNT_S)

static struct line_dice dice; /* 32 KiB: not for the stack */

static void throw_with(const struct brunt_impairment *what)
{
	memset(&dice, 0, sizeof(dice));
	line_dice_set(&dice, what);
}

static uint64_t due(uint32_t size, uint64_t now, uint64_t last)
{
	bool ahead;

	return line_dice_due(&dice, now, size, last, &ahead);
}

static double loss_share(void)
{
	unsigned lost = 0;

	for (int i = 0; i < MANY; i++)
		lost += line_dice_lose(&dice);
	return (double)lost / MANY;
}

/* Within so many times 1/1000: more than five standard deviations of what is asked here. */
static void assert_about(double seen, double wanted, double thousandths)
{
	if (fabs(seen - wanted) > thousandths / 1000) {
		print_error("seen %.5f, wanted %.5f\n", seen, wanted);
		fail();
	}
}

/* ---- seed ---- */

static uint64_t history(const struct brunt_impairment *what)
{
	uint64_t value = 0;

	throw_with(what);
	for (int i = 0; i < 1000; i++) {
		value = value * 31 + line_dice_lose(&dice);
		value = value * 31 + line_dice_duplicate(&dice);
		value = value * 31 + line_dice_corrupt(&dice);
		value = value * 31 + due(100, NOW, 0);
		value = value * 31 + line_dice_place(&dice, 1000);
	}
	return value;
}

static void the_same_seed_gives_the_same_decisions(void **state)
{
	struct brunt_impairment what = { .delay = 10 * BRUNT_MS,
					 .jitter = 5 * BRUNT_MS,
					 .loss = 0.1,
					 .duplicate = 0.1,
					 .corrupt = 0.1,
					 .reorder = 0.2,
					 .loss_correlation = 0.3,
					 .seed = 7 };
	uint64_t first = history(&what);

	(void)state;
	assert_true(history(&what) == first);
	what.seed = 8;
	assert_true(history(&what) != first);
}

/* Each kind of decision has a stream of its own: another delay loses the same packets. */
static void one_decision_does_not_shift_another(void **state)
{
	struct brunt_impairment what = { .loss = 0.3, .seed = 5 };
	bool lost[1000];

	(void)state;
	throw_with(&what);
	for (size_t i = 0; i < BRUNT_COUNT(lost); i++)
		lost[i] = line_dice_lose(&dice);
	what.jitter = BRUNT_MS;
	what.duplicate = what.corrupt = what.reorder = 0.5;
	throw_with(&what);
	for (size_t i = 0; i < BRUNT_COUNT(lost); i++) {
		(void)line_dice_duplicate(&dice);
		(void)line_dice_corrupt(&dice);
		(void)due(100, NOW, 0);
		assert_int_equal(line_dice_lose(&dice), lost[i]);
	}
}

static void a_change_goes_on_with_the_stream(void **state)
{
	struct brunt_impairment what = { .loss = 0.3, .seed = 5 };
	bool lost[1000];

	(void)state;
	throw_with(&what);
	for (size_t i = 0; i < BRUNT_COUNT(lost); i++)
		lost[i] = line_dice_lose(&dice);
	throw_with(&what);
	for (size_t i = 0; i < BRUNT_COUNT(lost); i++) {
		what.delay = i * BRUNT_MS;
		line_dice_set(&dice, &what);
		assert_int_equal(line_dice_lose(&dice), lost[i]);
	}
}

/* ---- loss ---- */

static void random_loss_is_the_share_asked_for(void **state)
{
	static const double shares[] = { 0.001, 0.01, 0.1, 0.5, 0.99 };

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(shares); i++) {
		struct brunt_impairment what = { .loss = shares[i], .seed = i };

		throw_with(&what);
		assert_about(loss_share(), shares[i], 5000 * sqrt(shares[i] * (1 - shares[i]) / MANY));
	}
}

static void all_and_nothing_are_exact(void **state)
{
	struct brunt_impairment none = { .seed = 1 }, all = { .loss = 1, .duplicate = 1, .corrupt = 1, .seed = 1 };

	(void)state;
	throw_with(&none);
	for (int i = 0; i < 10000; i++)
		assert_false(line_dice_lose(&dice) || line_dice_duplicate(&dice) || line_dice_corrupt(&dice));
	throw_with(&all);
	for (int i = 0; i < 10000; i++)
		assert_true(line_dice_lose(&dice) && line_dice_duplicate(&dice) && line_dice_corrupt(&dice));
}

/* Of the chain that the four states make, by stepping it until it stands still. */
static double stationary_loss(const struct brunt_impairment *what)
{
	double gap = 1, burst = 0, lost_gap = 0, lost_burst = 0;

	for (int i = 0; i < 100000; i++) {
		double to_lost_gap = gap * what->p14;
		double to_lost_burst = gap * what->p13 + burst * what->p23 + lost_burst * (1 - what->p31 - what->p32);
		double to_burst = burst * (1 - what->p23) + lost_burst * what->p32;
		double to_gap = gap * (1 - what->p13 - what->p14) + lost_burst * what->p31 + lost_gap;

		gap = to_gap, burst = to_burst, lost_gap = to_lost_gap, lost_burst = to_lost_burst;
	}
	return lost_gap + lost_burst;
}

static void four_states_lose_what_their_chain_says(void **state)
{
	struct brunt_impairment chains[] = {
		{ .p13 = 0.05, .p31 = 0.4, .p32 = 0.3, .p23 = 0.2, .p14 = 0.01 },
		{ .p13 = 0.01, .p31 = 0.99 },
		{ .p13 = 0.2, .p31 = 0.2, .p32 = 0.6, .p23 = 0.7, .p14 = 0.2 },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(chains); i++) {
		chains[i].loss_model = BRUNT_LOSS_STATE;
		chains[i].seed = i;
		throw_with(&chains[i]);
		assert_about(loss_share(), stationary_loss(&chains[i]), 8);
	}
}

static double mean_burst(void)
{
	unsigned lost = 0, bursts = 0;
	bool before = false;

	for (int i = 0; i < MANY; i++) {
		bool now = line_dice_lose(&dice);

		lost += now;
		bursts += now && !before;
		before = now;
	}
	return (double)lost / bursts;
}

static void gilbert_elliott_loses_in_bursts(void **state)
{
	struct brunt_impairment what = { .loss_model = BRUNT_LOSS_GEMODEL, .p = 0.01, .r = 0.1, .one_minus_h = 1 };
	double bad = what.p / (what.p + what.r);

	(void)state;
	throw_with(&what);
	assert_about(loss_share(), bad, 8);
	throw_with(&what);
	assert_about(mean_burst(), 1 / what.r, 800);
	what.one_minus_h = 0.7;
	what.one_minus_k = 0.02;
	throw_with(&what);
	assert_about(loss_share(), bad * 0.7 + (1 - bad) * 0.02, 8);
}

/* ---- delay ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void jitter_is_uniform(void **state)
{
	static double delays[MANY];
	struct brunt_impairment what = { .delay = 100 * BRUNT_MS, .jitter = 20 * BRUNT_MS, .seed = 3 };
	double worst = 0;

	(void)state;
	throw_with(&what);
	for (int i = 0; i < MANY; i++) {
		uint64_t delay = due(100, NOW, 0) - NOW;

		assert_true(delay >= 80 * BRUNT_MS && delay <= 120 * BRUNT_MS);
		delays[i] = ((double)delay - 80e6) / 40e6;
	}
	qsort(delays, MANY, sizeof(*delays), compare);
	for (int i = 0; i < MANY; i++)
		worst = fmax(worst, fabs(delays[i] - (i + 0.5) / MANY));
	assert_true(worst < 2.0 / sqrt(MANY)); /* Kolmogorov-Smirnov: 1 in 1500 would be more */
}

static void long_jitter_is_not_cut(void **state)
{
	struct brunt_impairment what = { .delay = 100 * BRUNT_S, .jitter = 60 * BRUNT_S, .seed = 3 };
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	throw_with(&what);
	for (int i = 0; i < 10000; i++) {
		uint64_t delay = due(100, NOW, 0) - NOW;

		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
	}
	assert_true(least >= 40 * BRUNT_S && least < 41 * BRUNT_S);
	assert_true(most <= 160 * BRUNT_S && most > 159 * BRUNT_S);
}

static void a_table_is_in_units_of_the_deviation(void **state)
{
	static const struct {
		int16_t value;
		int64_t jitters; /* in halves */
	} cases[] = { { 8192, 2 }, { -8192, -2 }, { 4096, 1 }, { 0, 0 }, { -24576, -6 } };

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct brunt_impairment what = { .delay = 100 * BRUNT_MS, .jitter = 10000002 };

		what.table = &cases[i].value;
		what.table_size = 1;
		throw_with(&what);
		assert_int_equal((int64_t)(due(100, NOW, 0) - NOW), 100000000 + cases[i].jitters * 5000001);
	}
}

static void every_value_of_a_table_is_drawn(void **state)
{
	int16_t table[4] = { -8192, 0, 8192, 16384 };
	struct brunt_impairment what = {
		.delay = 10 * BRUNT_MS, .jitter = BRUNT_MS, .table = table, .table_size = BRUNT_COUNT(table)
	};
	int seen[4] = { 0 };

	(void)state;
	throw_with(&what);
	table[0] = table[1] = table[2] = table[3] = 0; /* it has a copy */
	for (int i = 0; i < MANY; i++) {
		uint64_t delay = due(100, NOW, 0) - NOW;

		assert_true(delay >= 9 * BRUNT_MS && delay <= 12 * BRUNT_MS && delay % BRUNT_MS == 0);
		seen[delay / BRUNT_MS - 9]++;
	}
	for (size_t i = 0; i < BRUNT_COUNT(seen); i++)
		assert_about(seen[i] / (double)MANY, 0.25, 5);
}

static void correlation_makes_neighbours_alike(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_S, .jitter = BRUNT_S / 2, .delay_correlation = 0.6 };
	double sum = 0, squares = 0, products = 0, before = 0;

	(void)state;
	throw_with(&what);
	for (int i = 0; i < MANY; i++) {
		double delay = (double)(due(100, NOW, 0) - NOW) / 1e9 - 1;

		sum += delay;
		squares += delay * delay;
		products += delay * before;
		before = delay;
	}
	assert_about(sum / MANY, 0, 8);
	assert_about(products / squares, 0.6, 15);
}

/* Earlier than now is now; never before the beginning of time. */
static void more_jitter_than_delay_is_sent_at_once(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_MS, .jitter = BRUNT_S };
	int early = 0;

	(void)state;
	throw_with(&what);
	for (int i = 0; i < 1000; i++) {
		uint64_t when = due(100, BRUNT_MS, 0);

		assert_true(when < 2 * BRUNT_S);
		early += when <= BRUNT_MS;
	}
	assert_in_range(early, 400, 600);
}

/* ---- reordering ---- */

static void a_gap_sends_every_nth_ahead(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_MS, .gap = 5 };

	(void)state;
	throw_with(&what);
	for (int i = 1; i < 1000; i++) {
		bool ahead;
		uint64_t when = line_dice_due(&dice, NOW, 100, 0, &ahead);

		assert_int_equal(ahead, i % 5 == 0);
		assert_true(when == (ahead ? NOW : NOW + BRUNT_MS));
	}
}

static void a_share_alone_reorders_any_packet(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_MS, .reorder = 0.25 };
	int count = 0;

	(void)state;
	throw_with(&what);
	for (int i = 0; i < MANY; i++) {
		bool ahead;

		(void)line_dice_due(&dice, NOW, 100, 0, &ahead);
		count += ahead;
	}
	assert_about(count / (double)MANY, 0.25, 5);
}

/* ---- rate ---- */

static void rate_sends_one_after_another(void **state)
{
	struct brunt_impairment what = { .rate = 1000000 };
	uint64_t last = 0;

	(void)state;
	throw_with(&what);
	for (uint64_t i = 1; i <= 100; i++) {
		last = due(1000, NOW, last);
		assert_true(last == NOW + i * BRUNT_MS);
	}
}

static void delay_comes_before_the_rate_when_the_line_was_idle(void **state)
{
	struct brunt_impairment what = { .delay = 10 * BRUNT_MS, .rate = 1000000 };
	uint64_t first;

	(void)state;
	throw_with(&what);
	first = due(1000, NOW, 0);
	assert_true(first == NOW + 11 * BRUNT_MS);
	/* what it waits for the one before is part of its delay */
	assert_true(due(1000, NOW, first) == NOW + 12 * BRUNT_MS);
	assert_true(due(1000, NOW + 5 * BRUNT_MS, NOW + 12 * BRUNT_MS) == NOW + 16 * BRUNT_MS);
}

static void overhead_and_cells_count(void **state)
{
	static const struct {
		int32_t overhead;
		uint32_t cell;
		int32_t cell_overhead;
		uint32_t size;
		uint64_t bytes;
	} cases[] = {
		{ 20, 0, 0, 1000, 1020 },     { -14, 0, 0, 1000, 986 }, { -14, 0, 0, 10, 0 },
		{ 0, 48, 5, 96, 2 * 53 },     { 0, 48, 5, 97, 3 * 53 }, { 2, 48, 5, 95, 3 * 53 },
		{ 0, 100, -20, 250, 3 * 80 }, { 0, 48, 5, 1, 53 },	{ 0, 1, 0, 777, 777 },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct brunt_impairment what = { .rate = 1000000,
						 .packet_overhead = cases[i].overhead,
						 .cell_size = cases[i].cell,
						 .cell_overhead = cases[i].cell_overhead };

		throw_with(&what);
		assert_true(due(cases[i].size, NOW, 0) == NOW + cases[i].bytes * BRUNT_US);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_gives_the_same_decisions),
		cmocka_unit_test(one_decision_does_not_shift_another),
		cmocka_unit_test(a_change_goes_on_with_the_stream),
		cmocka_unit_test(random_loss_is_the_share_asked_for),
		cmocka_unit_test(all_and_nothing_are_exact),
		cmocka_unit_test(four_states_lose_what_their_chain_says),
		cmocka_unit_test(gilbert_elliott_loses_in_bursts),
		cmocka_unit_test(jitter_is_uniform),
		cmocka_unit_test(long_jitter_is_not_cut),
		cmocka_unit_test(a_table_is_in_units_of_the_deviation),
		cmocka_unit_test(every_value_of_a_table_is_drawn),
		cmocka_unit_test(correlation_makes_neighbours_alike),
		cmocka_unit_test(more_jitter_than_delay_is_sent_at_once),
		cmocka_unit_test(a_gap_sends_every_nth_ahead),
		cmocka_unit_test(a_share_alone_reorders_any_packet),
		cmocka_unit_test(rate_sends_one_after_another),
		cmocka_unit_test(delay_comes_before_the_rate_when_the_line_was_idle),
		cmocka_unit_test(overhead_and_cells_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
