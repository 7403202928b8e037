/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "hold/held.h"

static bool has_service(const struct brunt_target *target)
{
	return target->kind == BRUNT_TARGET_SERVICE || (target->process && target->process->service);
}

static void link_targets(struct brunt_held *held)
{
	const struct brunt_target *targets = held->plan->targets.items;

	for (size_t i = 0; i < held->plan->targets.count; i++) {
		held->targets[i].target = &targets[i];
		held->targets[i].of_service = has_service(&targets[i]);
	}
	for (uint32_t i = 0; i < held->plan->step_count; i++) {
		const struct brunt_step *step = held->plan->steps[i];
		struct held_slot *slot = &held->slots[i];

		if (step->kind != BRUNT_STEP_FAULT)
			continue;
		slot->step = step;
		slot->injector = step->fault.injector;
		if (!step->target)
			continue;
		slot->target = &held->targets[step->target - targets];
		slot->target->used = true;
		slot->target->wants |= slot->injector->wants;
	}
}

int brunt_held_new(const struct brunt_plan *plan, const struct brunt_fault_context *fault_context,
		   struct brunt_resolve_context *resolve_context, struct brunt_ledger *ledger, brunt_report_fn report,
		   void *user, struct brunt_held **ret, struct brunt_error *err)
{
	struct brunt_held *held = calloc(1, sizeof(*held));

	if (!held)
		return brunt_fail(err, ENOMEM, "out of memory");
	held->plan = plan;
	held->fault_context = fault_context;
	held->resolve_context = resolve_context;
	held->ledger = ledger;
	held->report = report;
	held->user = user;
	held->slots = calloc(plan->step_count + 1, sizeof(*held->slots));
	held->stack = calloc(plan->step_count + 1, sizeof(*held->stack));
	held->targets = calloc(plan->targets.count + 1, sizeof(*held->targets));
	if (!held->slots || !held->stack || !held->targets) {
		brunt_held_free(held);
		return brunt_fail(err, ENOMEM, "out of memory");
	}
	link_targets(held);
	*ret = held;
	return 0;
}

void brunt_held_free(struct brunt_held *held)
{
	if (!held)
		return;
	for (uint32_t i = 0; held->slots && i < held->plan->step_count; i++) {
		struct held_slot *slot = &held->slots[i];

		if (slot->loaded && slot->injector->unload)
			slot->injector->unload(slot->state);
		brunt_victims_free(slot->own_victims);
		brunt_victims_free(slot->next);
	}
	for (size_t i = 0; held->targets && i < held->plan->targets.count; i++)
		brunt_victims_free(held->targets[i].victims);
	free(held->slots);
	free(held->stack);
	free(held->targets);
	free(held->hurt);
	free(held);
}

static int load(struct brunt_held *held, struct held_slot *slot, struct brunt_error *err)
{
	int r = 0;

	if (slot->loaded)
		return 0;
	if (slot->injector->probe)
		r = slot->injector->probe(err);
	if (!r && slot->injector->load)
		r = slot->injector->load(&slot->step->fault, held->fault_context, &slot->state, err);
	if (r < 0) {
		(void)brunt_wrap(err, "step '%s'", slot->step->name);
		return r;
	}
	slot->loaded = true;
	return 0;
}

/*
 * What a service of the plan will start is not there yet; without services, nothing will come that is not there now.
 */
static int resolve_early(struct brunt_held *held, uint32_t index, struct brunt_error *err)
{
	const struct held_target *target = &held->targets[index];
	int r;

	if (!target->used || target->of_service)
		return 0;
	r = brunt_held_resolve(held, index, err);
	return r == -ESRCH && held->plan->services.count ? 0 : r;
}

/* All that is known now must fit the blast radius together, before anything is begun. */
static int check_all(struct brunt_held *held, struct brunt_error *err)
{
	size_t count = held->hurt_count;
	int r = 0;

	for (size_t i = 0; i < held->plan->targets.count && !r; i++) {
		const struct held_target *target = &held->targets[i];

		if (!target->victims || !target->used)
			continue;
		r = held_check_radius(held, target->victims, target->target->name, err);
		if (!r)
			held_count_victims(held, target->victims, false);
	}
	held->hurt_count = count;
	for (uint32_t i = 0; i < held->plan->step_count && !r; i++)
		if (held->slots[i].target)
			r = held_check_ways(held, &held->slots[i], held->slots[i].target->victims, NULL, err);
	return r;
}

int brunt_held_prepare(struct brunt_held *held, struct brunt_error *err)
{
	int r = 0;

	/* what outlives the run is forked before there is anything that it would keep alive */
	for (int early = 1; early >= 0; early--)
		for (uint32_t i = 0; i < held->plan->step_count && !r; i++)
			if (held->slots[i].step && held->slots[i].injector->outlives == early)
				r = load(held, &held->slots[i], err);
	for (uint32_t i = 0; i < held->plan->targets.count && !r; i++)
		r = resolve_early(held, i, err);
	return r ? r : check_all(held, err);
}

/* Who is to be hit, as far as the plan's limits and other runs allow; *ret is the target's own, or slot->next. */
static int choose(struct brunt_held *held, struct held_slot *slot, struct brunt_victims **ret, struct brunt_error *err)
{
	struct brunt_victims *victims = NULL;
	int r;

	*ret = NULL;
	if (!slot->target)
		return 0;
	r = held_find(held, slot, &victims, err);
	if (r < 0)
		return r;
	if (slot->target->victims != victims) {
		brunt_victims_free(slot->next);
		slot->next = victims;
	}
	r = held_check_radius(held, victims, slot->step->name, err);
	if (!r)
		r = held_check_ways(held, slot, victims, NULL, err);
	if (!r)
		r = held_claim(held, victims, err);
	if (!r)
		*ret = victims;
	return r;
}

/* Read-only for the host; slot->next becomes what the slot is about. */
static int ready(struct brunt_held *held, struct held_slot *slot, struct brunt_victims *victims,
		 struct brunt_error *err)
{
	int r = 0;

	memset(&slot->undo, 0, sizeof(slot->undo));
	if (slot->injector->prepare)
		r = slot->injector->prepare(slot->state, victims, &slot->undo, err);
	/* The state may point to them, even when it refused. */
	slot->victims = victims;
	if (slot->next) {
		brunt_victims_free(slot->own_victims);
		slot->own_victims = BRUNT_TAKE_PTR(slot->next);
	}
	if (!r)
		r = held_check_names(held, slot, err);
	if (r < 0)
		return r;
	snprintf(slot->undo.fault, sizeof(slot->undo.fault), "%s", slot->injector->name);
	snprintf(slot->undo.run, sizeof(slot->undo.run), "%s", held->fault_context->run);
	slot->undo.step = slot->step->index;
	slot->staged = true;
	return 0;
}

int held_stage(struct brunt_held *held, uint32_t step, struct brunt_error *err)
{
	struct brunt_victims *victims;
	struct held_slot *slot;
	int r;

	if (step >= held->plan->step_count || !held->slots[step].step)
		return brunt_fail(err, EINVAL, "the plan has no fault step %u", step);
	slot = &held->slots[step];
	if (held->closed)
		return brunt_fail(err, ECANCELED, "everything was reverted: nothing is applied any more");
	if (slot->touched)
		return brunt_fail(err, EALREADY, "step '%s' is held already", slot->step->name);
	held_reset_changes(slot);
	r = load(held, slot, err); /* done already, unless nobody prepared */
	if (!r)
		r = choose(held, slot, &victims, err);
	return r ? r : ready(held, slot, victims, err);
}

int held_move(struct brunt_held *held, struct held_slot *slot, struct brunt_error *err)
{
	struct brunt_victims *victims;
	bool off = slot->off;
	int r = choose(held, slot, &victims, err);

	if (r < 0)
		return r;
	if (held_same(slot->victims, victims))
		return 0;
	r = held_undo_quietly(held, slot);
	if (r < 0)
		return brunt_fail(err, EBUSY, "it could not be undone where it was: %s", slot->why.msg);
	r = ready(held, slot, victims, err);
	if (r < 0)
		return r;
	slot->off = off;
	return held_commit(held, slot->step->index, held->expires, err);
}

/* An event leaves nothing to undo: one record says that it was meant to happen, however often it did. */
static int record(struct brunt_held *held, struct held_slot *slot, struct brunt_error *err)
{
	int r;

	if (!held->ledger || slot->recorded)
		return 0;
	r = brunt_ledger_intent(held->ledger, &slot->undo, err);
	if (!r)
		slot->recorded = slot->injector->undo == BRUNT_UNDO_EVENT;
	return r;
}

int held_record_child(struct brunt_held *held, struct held_slot *slot)
{
	struct brunt_process process;
	pid_t child = slot->injector->child ? slot->injector->child(slot->state) : 0;
	int r;

	if (!held->ledger || !child || child == slot->child)
		return 0;
	r = brunt_process_identify("/proc", child, false, &process, NULL);
	if (!r)
		r = brunt_ledger_child(held->ledger, slot->step->index, child, process.start);
	slot->child = child;
	return r;
}

static int begin(struct brunt_held *held, struct held_slot *slot, uint64_t expires, struct brunt_error *err)
{
	int r = 0;

	slot->child = 0;
	if (slot->injector->attach)
		r = slot->injector->attach(slot->state, err);
	if (!r)
		r = held_record_child(held, slot);
	if (!r)
		r = held_put_ramps(slot, brunt_now(), err);
	if (!r && !slot->off)
		r = slot->injector->arm(slot->state, expires, err);
	/* Moved between two pulses: off until the next, and as an off phase leaves it, not as attach does. */
	if (slot->off && slot->injector->disarm)
		slot->injector->disarm(slot->state);
	slot->at = brunt_now();
	if (!r)
		r = held_record_child(held, slot);
	if (!r && held->ledger && slot->injector->undo != BRUNT_UNDO_EVENT)
		r = brunt_ledger_mark(held->ledger, BRUNT_LEDGER_HELD, slot->step->index);
	return r;
}

/* Nothing to undo; what it did before it failed counts. */
static int commit_event(struct brunt_held *held, struct held_slot *slot, uint64_t expires, struct brunt_error *err)
{
	int r = begin(held, slot, expires, err);

	if (!slot->happened && held->ledger)
		(void)brunt_ledger_mark(held->ledger, BRUNT_LEDGER_UNDONE, slot->step->index);
	slot->happened = true;
	return r;
}

static int commit_held(struct brunt_held *held, struct held_slot *slot, uint64_t expires, struct brunt_error *err)
{
	int r;

	/* On the stack before the host is touched: whatever happens next is undone. */
	slot->touched = true;
	held->stack[held->stack_count++] = slot->step->index;
	r = begin(held, slot, expires, err);
	slot->armed = !r && !slot->off;
	slot->was_held |= !r;
	if (!slot->began)
		slot->began = slot->at;
	if (r < 0)
		(void)held_undo(held, slot, NULL);
	return r;
}

int held_commit(struct brunt_held *held, uint32_t step, uint64_t expires, struct brunt_error *err)
{
	struct held_slot *slot = &held->slots[step];
	bool event = slot->injector->undo == BRUNT_UNDO_EVENT;
	int r;

	if (!slot->staged)
		return brunt_fail(err, EINVAL, "step '%s' is not staged", slot->step->name);
	slot->staged = false;
	slot->lost = false;
	held->expires = expires;
	r = record(held, slot, err);
	if (r < 0)
		return r;
	if (slot->victims)
		held_count_victims(held, slot->victims, event);
	r = event ? commit_event(held, slot, expires, err) : commit_held(held, slot, expires, err);
	if (r < 0 && err && !err->msg[0])
		return brunt_fail(err, -r, "%s", strerror(-r));
	return r;
}

int brunt_held_apply(struct brunt_held *held, uint32_t step, uint64_t expires, struct brunt_error *err)
{
	int r = held_stage(held, step, err);

	if (!r)
		r = held_commit(held, step, expires, err);
	held_report_applied(held, step, r, err);
	return r;
}

void held_report_applied(struct brunt_held *held, uint32_t step, int code, const struct brunt_error *err)
{
	struct brunt_report report = { .kind = BRUNT_REPORT_APPLIED, .index = step, .code = code };

	if (code)
		snprintf(report.text, sizeof(report.text), "%s", err && err->msg[0] ? err->msg : strerror(-code));
	else
		report.at = held->slots[step].at;
	held_report(held, &report);
}

void brunt_held_renew(struct brunt_held *held, uint64_t expires)
{
	held->expires = expires;
	for (size_t i = 0; i < held->stack_count; i++) {
		struct held_slot *slot = &held->slots[held->stack[i]];

		if ((slot->armed || slot->off) && slot->injector->renew)
			slot->injector->renew(slot->state, expires);
	}
}

size_t brunt_held_count(const struct brunt_held *held)
{
	size_t count = 0;

	for (size_t i = 0; i < held->stack_count; i++)
		count += held->slots[held->stack[i]].touched;
	return count;
}
