/* SPDX-License-Identifier: Apache-2.0 */
/* How many, and which: decided by the run's seed, so that a run can be repeated. */
#include "brunt/target.h"

#include <errno.h>

#include "brunt/clock.h"

void brunt_pick_choose(uint64_t seed, const char *label, uint64_t round, size_t matched, size_t picked, bool *chosen)
{
	struct brunt_random random;
	size_t needed = picked < matched ? picked : matched;

	brunt_random_seed(&random, seed, label);
	/* Rounds are streams of their own: the first draw of one stream starts the next. */
	random.state += brunt_random_next(&random) * (2 * round + 1);
	random.state ^= round;
	/* Selection sampling (Knuth, TAOCP 3.4.2, algorithm S): every subset is equally likely, in one pass. */
	for (size_t i = 0; i < matched; i++) {
		chosen[i] = brunt_random_below(&random, matched - i) < needed;
		needed -= chosen[i];
	}
}

int brunt_pick_count(const struct brunt_pick *pick, size_t matched, size_t *ret)
{
	size_t count = 0;

	switch (pick->kind) {
	case BRUNT_PICK_NONE:
		if (matched > 1)
			return -E2BIG;
		count = matched;
		break;
	case BRUNT_PICK_COUNT:
		count = pick->count < matched ? (size_t)pick->count : matched;
		break;
	case BRUNT_PICK_SHARE:
		/* 29 % of 100 are 28.999999999999996 in floating point: the slack undoes what no person meant. */
		count = (size_t)(pick->share * (double)matched + 1e-9);
		if (!count && matched)
			count = 1;
		if (count > matched)
			count = matched;
		break;
	case BRUNT_PICK_ALL:
		count = matched;
		break;
	}
	*ret = count;
	return 0;
}
