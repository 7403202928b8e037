/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back. Nothing here allocates, nothing parses what is not ours, and
 * an error never keeps the rest from being undone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/ledger.h"
#include "brunt/units.h"
#include "hold/held.h"

#define VERIFY_TRIES 5
#define VERIFY_PAUSE (2 * (long)BRUNT_MS)

void held_report(struct brunt_held *held, struct brunt_report *report)
{
	if (!report->at)
		report->at = brunt_now();
	report->sequence = held->sequence;
	report->victims = held->hurt_count;
	held->report(held->user, report);
}

static void take_hits(struct held_slot *slot)
{
	struct brunt_hits hits = { 0 };

	if (slot->injector->poll && !slot->injector->poll(slot->state, &hits))
		slot->hits = hits;
}

void held_report_hits(struct brunt_held *held, struct held_slot *slot)
{
	struct brunt_report report = { .kind = BRUNT_REPORT_HITS, .index = slot->step->index };

	if (slot->touched || slot->happened)
		take_hits(slot);
	report.hits = slot->hits;
	held_report(held, &report);
}

static void disarm(struct held_slot *slot)
{
	if (slot->injector->disarm)
		slot->injector->disarm(slot->state);
}

static int verify_once(struct held_slot *slot)
{
	slot->why = (struct brunt_error){ 0 };
	return slot->injector->verify ? slot->injector->verify(slot->state, &slot->why) : 0;
}

/* Read back that it is gone; told again to go a few times. */
static void verify(struct held_slot *slot)
{
	const struct timespec pause = { .tv_nsec = VERIFY_PAUSE };

	for (int i = 0; i < VERIFY_TRIES; i++) {
		slot->code = verify_once(slot);
		slot->at = brunt_now();
		if (!slot->code)
			return;
		disarm(slot);
		(void)nanosleep(&pause, NULL);
	}
}

int held_let_go(struct held_slot *slot)
{
	disarm(slot);
	verify(slot);
	return slot->code ? -EBUSY : 0;
}

static void hurry(const struct brunt_held *held, const struct held_slot *slot)
{
	if (held->hurried && slot->injector->hurry)
		slot->injector->hurry(slot->state);
}

void brunt_held_hurry(struct brunt_held *held)
{
	held->hurried = held->plan->on_abort == BRUNT_ON_ABORT_NOW;
	for (uint32_t i = 0; i < held->plan->step_count; i++)
		if (held->slots[i].leaving)
			hurry(held, &held->slots[i]);
}

/* Counters first: detach may take the object away that has them. */
static void detach(struct brunt_held *held, struct held_slot *slot)
{
	held_report_hits(held, slot);
	/* Lost since the last poll: it was not held to here. */
	if ((slot->armed || slot->off) && slot->hits.detached)
		held_tell_lost(held, slot, -ENOLINK, "what held it was gone before it was undone");
	(void)held_tell_lapsed(held, slot);
	if (slot->injector->detach)
		slot->injector->detach(slot->state);
	if (!slot->code)
		return;
	/* What could not be disarmed may have gone with its object. */
	slot->code = verify_once(slot);
	slot->at = brunt_now();
}

static void forget(struct brunt_held *held, uint32_t step)
{
	for (size_t i = 0; i < held->stack_count; i++) {
		if (held->stack[i] != step)
			continue;
		memmove(&held->stack[i], &held->stack[i + 1], (held->stack_count - i - 1) * sizeof(*held->stack));
		held->stack_count--;
		return;
	}
}

/* What stayed keeps its place, so that the next revert tries it again. */
static void settle(struct brunt_held *held, struct held_slot *slot)
{
	uint32_t step = slot->step->index;

	slot->armed = false;
	slot->off = false;
	slot->touched = slot->code != 0;
	slot->leaving = slot->injector->settled != NULL;
	if (held->ledger && (slot->code || !slot->leaving))
		(void)brunt_ledger_mark(held->ledger, slot->code ? BRUNT_LEDGER_RESIDUE : BRUNT_LEDGER_UNDONE, step);
	if (!slot->code)
		forget(held, step);
}

static void tell_reverted(struct brunt_held *held, const struct held_slot *slot)
{
	struct brunt_report report = {
		.kind = BRUNT_REPORT_REVERTED,
		.index = slot->step->index,
		.code = slot->code ? -EBUSY : 0,
		.at = slot->at,
		.hits = slot->hits,
	};

	if (slot->code)
		snprintf(report.text, sizeof(report.text), "%s",
			 slot->why.msg[0] ? slot->why.msg : "it is still in effect");
	held_report(held, &report);
}

int held_undo_quietly(struct brunt_held *held, struct held_slot *slot)
{
	hurry(held, slot);
	disarm(slot);
	verify(slot);
	detach(held, slot);
	settle(held, slot);
	return slot->code ? -EBUSY : 0;
}

int held_undo(struct brunt_held *held, struct held_slot *slot, struct brunt_error *err)
{
	(void)held_undo_quietly(held, slot);
	tell_reverted(held, slot);
	if (!slot->code)
		return 0;
	return brunt_fail(err, EBUSY, "step '%s' could not be undone: %s", slot->step->name, slot->why.msg);
}

int brunt_held_revert(struct brunt_held *held, uint32_t step, struct brunt_error *err)
{
	struct held_slot *slot;

	if (step >= held->plan->step_count || !held->slots[step].step)
		return brunt_fail(err, EINVAL, "the plan has no fault step %u", step);
	slot = &held->slots[step];
	if (slot->touched)
		return held_undo(held, slot, err);
	slot->code = 0;
	slot->at = brunt_now();
	if (slot->happened)
		held_report_hits(held, slot);
	tell_reverted(held, slot);
	return 0;
}

int brunt_held_revert_all(struct brunt_held *held, struct brunt_error *err)
{
	size_t count = held->stack_count, stayed = 0;

	for (size_t i = count; i-- > 0;) {
		hurry(held, &held->slots[held->stack[i]]);
		disarm(&held->slots[held->stack[i]]);
	}
	for (size_t i = count; i-- > 0;) {
		verify(&held->slots[held->stack[i]]);
		stayed += held->slots[held->stack[i]].code != 0;
	}
	if (!stayed && held->on_gone)
		held->on_gone(held->user);
	stayed = 0;
	for (size_t i = count; i-- > 0;)
		detach(held, &held->slots[held->stack[i]]);
	/* Settling takes the slot off the stack; from its end that moves nothing that is still to come. */
	for (size_t i = count; i-- > 0;) {
		struct held_slot *slot = &held->slots[held->stack[i]];

		settle(held, slot);
		tell_reverted(held, slot);
		if (slot->code) {
			stayed++;
			(void)brunt_fail(err, EBUSY, "step '%s' could not be undone: %s", slot->step->name,
					 slot->why.msg);
		}
	}
	for (uint32_t i = 0; i < held->plan->step_count; i++)
		if (held->slots[i].happened)
			held_report_hits(held, &held->slots[i]);
	return stayed ? -EBUSY : 0;
}

/* -EAGAIN as long as it is worth waiting for. */
static int look_whether_gone(struct brunt_held *held, struct held_slot *slot)
{
	int r;

	if (!slot->leaving)
		return 0;
	slot->why = (struct brunt_error){ 0 };
	r = slot->injector->settled(slot->state, &slot->why);
	slot->leaving = r != 0;
	if (!r && held->ledger && !slot->touched)
		(void)brunt_ledger_mark(held->ledger, BRUNT_LEDGER_UNDONE, slot->step->index);
	return r;
}

int held_settle(struct brunt_held *held, uint64_t until)
{
	const struct timespec pause = { .tv_nsec = VERIFY_PAUSE };
	size_t waiting, left = 0;

	do {
		waiting = 0;
		for (uint32_t i = 0; i < held->plan->step_count; i++)
			waiting += held->slots[i].step && look_whether_gone(held, &held->slots[i]) == -EAGAIN;
		if (waiting)
			(void)nanosleep(&pause, NULL);
		if (waiting && held->on_wait)
			held->on_wait(held->user);
	} while (waiting && brunt_now() < until);
	for (uint32_t i = 0; i < held->plan->step_count; i++) {
		struct held_slot *slot = &held->slots[i];

		if (!slot->leaving)
			continue;
		left++;
		slot->code = -EBUSY;
		slot->at = brunt_now();
		if (held->ledger)
			(void)brunt_ledger_mark(held->ledger, BRUNT_LEDGER_RESIDUE, i);
		tell_reverted(held, slot);
	}
	/* What the last packets met, after the undo had counted. */
	for (uint32_t i = 0; i < held->plan->step_count; i++) {
		struct held_slot *slot = &held->slots[i];

		if (!slot->was_held || !slot->injector->settled)
			continue;
		take_hits(slot);
		held_report_hits(held, slot);
	}
	return left ? -EBUSY : 0;
}
