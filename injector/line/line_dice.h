/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chance of a line: for each packet, whether it is lost, doubled or
 * damaged, and when it is due. The same models as in the kernel's sch_netem,
 * so that a plan means the same on both; each kind of decision has a stream of
 * random numbers of its own, so that one that is switched on later does not
 * shift the others. Same seed, same decisions. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "brunt/clock.h"
#include "network/impairment.h"

#define LINE_TABLE_MAX 16384 /* NETEM_DIST_MAX of linux/pkt_sched.h */

/* Random numbers of which each depends on the one before, as much as rho says: 0 not at all, UINT32_MAX wholly. */
struct line_stream {
	struct brunt_random random;
	uint32_t last, rho;
};

enum line_markov { LINE_GAP, LINE_BURST, LINE_LOST_IN_GAP, LINE_LOST_IN_BURST };

struct line_dice {
	struct brunt_impairment what; /* table points to the copy below */
	bool seeded;
	struct line_stream delay, loss, duplicate, corrupt, reorder, damage;
	enum line_markov markov;
	uint32_t gap, counter; /* of packets since the last that was sent ahead */
	uint32_t probability_loss, probability_duplicate, probability_corrupt, probability_reorder;
	int16_t table[LINE_TABLE_MAX];
};

/* Other parameters; the chains and streams go on where they are unless the seed or the model is another. */
void line_dice_set(struct line_dice *dice, const struct brunt_impairment *what);

bool line_dice_lose(struct line_dice *dice);
bool line_dice_duplicate(struct line_dice *dice);
bool line_dice_corrupt(struct line_dice *dice);

/* Which of count things is damaged; count > 0. */
uint32_t line_dice_place(struct line_dice *dice, uint32_t count);

/*
 * When a packet of size bytes that came at now (ns) is due. last: when the last of those that wait is due, 0 when none
 * waits. *ret_ahead: it was chosen to be sent before those that wait.
 */
uint64_t line_dice_due(struct line_dice *dice, uint64_t now, uint32_t size, uint64_t last, bool *ret_ahead);
