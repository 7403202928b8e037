/* SPDX-License-Identifier: Apache-2.0 */
/* When a pulsed fault is in effect: counted from its beginning, so that a late phase never shifts the next. */
#include "brunt/plan.h"

bool brunt_pulse_is_on(const struct brunt_pulse *pulse, uint64_t elapsed_ns)
{
	return !pulse || elapsed_ns % (pulse->on + pulse->off) < pulse->on;
}

uint64_t brunt_pulse_next(const struct brunt_pulse *pulse, uint64_t elapsed_ns)
{
	uint64_t into;

	if (!pulse)
		return UINT64_MAX;
	into = elapsed_ns % (pulse->on + pulse->off);
	return elapsed_ns - into + (into < pulse->on ? pulse->on : pulse->on + pulse->off);
}
