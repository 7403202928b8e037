/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about the models are from net/sched/sch_netem.c, as of Linux 6.12, and tc-netem(8). */
#include "line/line_dice.h"

#include <math.h>
#include <string.h>

#include "brunt/units.h"

#define DISTRIBUTION_SCALE 8192 /* NETEM_DIST_SCALE: a table's value for one standard deviation */

/* As tc does it: 1 is UINT32_MAX. */
static uint32_t to_u32(double share)
{
	if (!(share > 0))
		return 0;
	return share >= 1 ? UINT32_MAX : (uint32_t)llrint(share * UINT32_MAX);
}

static uint32_t draw(struct line_stream *stream)
{
	return (uint32_t)(brunt_random_next(&stream->random) >> 32);
}

/* netem's get_crandom(): a weighted mean of a new number and the answer before. */
static uint32_t draw_correlated(struct line_stream *stream)
{
	uint64_t rho = (uint64_t)stream->rho + 1;
	uint64_t value = draw(stream);

	if (stream->rho) {
		value = (value * ((UINT64_C(1) << 32) - rho) + stream->last * rho) >> 32;
		stream->last = (uint32_t)value;
	}
	return (uint32_t)value;
}

static void seed(struct line_stream *stream, uint64_t value, const char *label)
{
	brunt_random_seed(&stream->random, value, label);
	stream->last = draw(stream);
}

void line_dice_set(struct line_dice *dice, const struct brunt_impairment *what)
{
	if (!dice->seeded || dice->what.seed != what->seed) {
		seed(&dice->delay, what->seed, "line delay");
		seed(&dice->loss, what->seed, "line loss");
		seed(&dice->duplicate, what->seed, "line duplicate");
		seed(&dice->corrupt, what->seed, "line corrupt");
		seed(&dice->reorder, what->seed, "line reorder");
		seed(&dice->damage, what->seed, "line damage");
	}
	if (!dice->seeded || dice->what.seed != what->seed || dice->what.loss_model != what->loss_model)
		dice->markov = LINE_GAP;
	dice->seeded = true;
	dice->what = *what;
	if (what->table && what->table_size > 0 && what->table_size <= LINE_TABLE_MAX) {
		memmove(dice->table, what->table, what->table_size * sizeof(*dice->table));
		dice->what.table = dice->table;
	} else {
		dice->what.table = NULL;
		dice->what.table_size = 0;
	}
	dice->delay.rho = to_u32(what->delay_correlation);
	dice->loss.rho = to_u32(what->loss_correlation);
	dice->duplicate.rho = to_u32(what->duplicate_correlation);
	dice->corrupt.rho = to_u32(what->corrupt_correlation);
	dice->reorder.rho = to_u32(what->reorder_correlation);
	dice->probability_loss = to_u32(what->loss);
	dice->probability_duplicate = to_u32(what->duplicate);
	dice->probability_corrupt = to_u32(what->corrupt);
	/* A gap alone means every gap-th packet; a share alone, any packet. */
	dice->probability_reorder = what->gap && !(what->reorder > 0) ? UINT32_MAX : to_u32(what->reorder);
	dice->gap = what->gap || !(what->reorder > 0) ? what->gap : 1;
	dice->counter = 0;
}

/* Four states: packets arrive or are lost one by one in a gap, or mostly lost in a burst; p13 is from state 1 to 3. */
static bool lose_by_states(struct line_dice *dice)
{
	const struct brunt_impairment *what = &dice->what;
	double random = draw(&dice->loss) / 4294967296.0;

	switch (dice->markov) {
	case LINE_GAP:
		if (random < what->p14)
			dice->markov = LINE_LOST_IN_GAP;
		else if (random < what->p14 + what->p13)
			dice->markov = LINE_LOST_IN_BURST;
		break;
	case LINE_BURST:
		if (random < what->p23)
			dice->markov = LINE_LOST_IN_BURST;
		break;
	case LINE_LOST_IN_BURST:
		if (random < what->p32)
			dice->markov = LINE_BURST;
		else if (random < what->p32 + what->p31)
			dice->markov = LINE_GAP;
		break;
	case LINE_LOST_IN_GAP:
		dice->markov = LINE_GAP;
		break;
	}
	return dice->markov == LINE_LOST_IN_GAP || dice->markov == LINE_LOST_IN_BURST;
}

/* Gilbert-Elliott: the state changes first, but the loss is that of the state before. */
static bool lose_by_gilbert(struct line_dice *dice)
{
	const struct brunt_impairment *what = &dice->what;
	double change = draw(&dice->loss) / 4294967296.0, loss = draw(&dice->loss) / 4294967296.0;

	if (dice->markov == LINE_BURST) {
		if (change < what->r)
			dice->markov = LINE_GAP;
		return loss < what->one_minus_h;
	}
	if (change < what->p)
		dice->markov = LINE_BURST;
	return loss < what->one_minus_k;
}

bool line_dice_lose(struct line_dice *dice)
{
	switch (dice->what.loss_model) {
	case BRUNT_LOSS_STATE:
		return lose_by_states(dice);
	case BRUNT_LOSS_GEMODEL:
		return lose_by_gilbert(dice);
	case BRUNT_LOSS_RANDOM:
		break;
	}
	return dice->probability_loss && dice->probability_loss >= draw_correlated(&dice->loss);
}

bool line_dice_duplicate(struct line_dice *dice)
{
	return dice->probability_duplicate && dice->probability_duplicate >= draw_correlated(&dice->duplicate);
}

bool line_dice_corrupt(struct line_dice *dice)
{
	return dice->probability_corrupt && dice->probability_corrupt >= draw_correlated(&dice->corrupt);
}

uint32_t line_dice_place(struct line_dice *dice, uint32_t count)
{
	return (uint32_t)((uint64_t)draw(&dice->damage) * count >> 32);
}

/* netem's tabledist(); may be negative. Even: between delay - jitter and delay + jitter. */
static int64_t draw_delay(struct line_dice *dice)
{
	const struct brunt_impairment *what = &dice->what;
	int64_t jitter = (int64_t)what->jitter, deviation, value;
	uint64_t random, width = 2 * what->jitter;

	if (!jitter)
		return (int64_t)what->delay;
	random = draw_correlated(&dice->delay);
	if (!what->table) {
		uint64_t offset = random * (width >> 32) + (random * (width & UINT32_MAX) >> 32);

		return (int64_t)what->delay - jitter + (int64_t)offset;
	}
	value = what->table[random % what->table_size];
	deviation = jitter % DISTRIBUTION_SCALE * value;
	deviation += deviation >= 0 ? DISTRIBUTION_SCALE / 2 : -DISTRIBUTION_SCALE / 2;
	return deviation / DISTRIBUTION_SCALE + jitter / DISTRIBUTION_SCALE * value + (int64_t)what->delay;
}

/* How long the wire is busy with a packet: overhead first, then whole cells. */
static int64_t transmission_time(const struct brunt_impairment *what, uint32_t size)
{
	int64_t length = (int64_t)size + what->packet_overhead;

	if (length < 0)
		length = 0;
	if (what->cell_size)
		length = (length + what->cell_size - 1) / what->cell_size *
			 ((int64_t)what->cell_size + what->cell_overhead);
	return length > 0 ? (int64_t)((uint64_t)length * BRUNT_S / what->rate) : 0;
}

uint64_t line_dice_due(struct line_dice *dice, uint64_t now, uint32_t size, uint64_t last, bool *ret_ahead)
{
	int64_t delay;

	*ret_ahead = dice->gap && dice->counter >= dice->gap - 1 &&
		     dice->probability_reorder >= draw_correlated(&dice->reorder);
	if (*ret_ahead) {
		dice->counter = 0;
		return now;
	}
	dice->counter++;
	delay = draw_delay(dice);
	if (dice->what.rate) {
		/* It begins to be sent when the last one has been; what it waits for that counts as delay. */
		if (last) {
			delay -= (int64_t)(last - now);
			if (delay < 0)
				delay = 0;
			now = last;
		}
		delay += transmission_time(&dice->what, size);
	}
	return delay < 0 && (uint64_t)-delay > now ? 0 : now + (uint64_t)delay;
}
