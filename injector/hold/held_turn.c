/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes by itself while a fault is held: ramps move, pulses come and
 * go. Both are functions of the time since the fault was first armed, so what
 * comes late catches up and shifts nothing that comes after it.
 *
 * Between two pulses a fault is disarmed and read back as gone, and stays
 * attached; its ramps go on in time, and are put in force before the next.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/ledger.h"
#include "brunt/units.h"
#include "hold/held.h"

/* After so much work the loop goes round: the lease is renewed there. Letting go and arming may take a while. */
#define TURN_TAKES (50 * BRUNT_MS)

/* A person cannot tell finer steps, and no counter that is judged over seconds either. */
#define RAMP_EVERY (100 * BRUNT_MS)

void held_reset_changes(struct held_slot *slot)
{
	const struct brunt_injector *injector = slot->injector;

	slot->off = false;
	slot->began = 0;
	slot->changed = 0;
	slot->still = false;
	slot->ramps_end = 0;
	if (injector->change && injector->table && slot->step->fault.params)
		(void)brunt_param_moves(injector->table, slot->step->fault.params, &slot->ramps_end);
}

static uint64_t elapsed(const struct held_slot *slot, uint64_t now)
{
	return slot->began && now > slot->began ? now - slot->began : 0;
}

int held_put_ramps(struct held_slot *slot, uint64_t now, struct brunt_error *err)
{
	if (!slot->ramps_end)
		return 0;
	slot->changed = now;
	slot->still = elapsed(slot, now) >= slot->ramps_end;
	return slot->injector->change(slot->state, elapsed(slot, now), err);
}

static void tell_pulse(struct brunt_held *held, const struct held_slot *slot, bool on)
{
	struct brunt_report report = {
		.kind = BRUNT_REPORT_PULSE,
		.index = slot->step->index,
		.flags = on ? BRUNT_REPORT_ON : 0,
		.at = slot->at,
	};

	held_report(held, &report);
}

static int pulse_off(struct brunt_held *held, struct held_slot *slot, struct brunt_error *err)
{
	slot->armed = false;
	slot->off = true;
	if (held_let_go(slot) < 0)
		return brunt_fail(err, EBUSY, "it could not be disarmed between two pulses: %.180s", slot->why.msg);
	tell_pulse(held, slot, false);
	return 0;
}

static int pulse_on(struct brunt_held *held, struct held_slot *slot, uint64_t now, struct brunt_error *err)
{
	int r = held_put_ramps(slot, now, err);

	if (!r)
		r = slot->injector->arm(slot->state, held->expires, err);
	slot->at = brunt_now();
	/* The ledger's last room is for marks; a child that is not in it is still the recoverer's to wait for. */
	if (!r && (!held->ledger || brunt_ledger_has_room(held->ledger)))
		r = held_record_child(held, slot);
	if (r < 0)
		return r;
	slot->armed = true;
	slot->off = false;
	tell_pulse(held, slot, true);
	return 0;
}

/* A pulse that is due when the hold ends would be nothing but a blip. */
static bool wants_on(const struct held_slot *slot, uint64_t now)
{
	if (slot->off && slot->step->has_hold && elapsed(slot, now) >= slot->step->hold)
		return false;
	return brunt_pulse_is_on(slot->step->pulse, elapsed(slot, now));
}

static int turn(struct brunt_held *held, struct held_slot *slot, uint64_t now, struct brunt_error *err)
{
	bool on = wants_on(slot, now);

	if (slot->armed && !on)
		return pulse_off(held, slot, err);
	if (slot->off && on)
		return pulse_on(held, slot, now, err);
	if (slot->armed && slot->ramps_end && !slot->still &&
	    (now >= slot->changed + RAMP_EVERY || elapsed(slot, now) >= slot->ramps_end))
		return held_put_ramps(slot, now, err);
	return 0;
}

static uint64_t due(const struct held_slot *slot, uint64_t now)
{
	uint64_t next = brunt_pulse_next(slot->step->pulse, elapsed(slot, now));
	uint64_t at = next == UINT64_MAX ? UINT64_MAX : slot->began + next;
	uint64_t change = slot->changed + RAMP_EVERY, end = slot->began + slot->ramps_end;

	if (!slot->armed || !slot->ramps_end || slot->still)
		return at;
	change = change < end ? change : end;
	return change < at ? change : at;
}

uint64_t brunt_held_turn(struct brunt_held *held, uint64_t now)
{
	uint64_t next = UINT64_MAX, until = brunt_now() + TURN_TAKES;
	size_t turned = 0;

	for (uint32_t i = 0; i < held->plan->step_count; i++) {
		struct held_slot *slot = &held->slots[i];
		struct brunt_error err = { 0 };
		int r;

		if (!slot->step || !(slot->armed || slot->off) || !(slot->step->pulse || slot->ramps_end))
			continue;
		if (turned++ && brunt_now() >= until)
			return now + 1;
		r = turn(held, slot, now, &err);
		if (r < 0)
			held_lose(held, slot, r, &err);
		else if (due(slot, now) < next)
			next = due(slot, now);
	}
	return next == UINT64_MAX ? 0 : next;
}
