/* SPDX-License-Identifier: Apache-2.0 */
/* Who is hit: resolving for a step, the blast radius, the claims. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "network/protect.h"
#include "hold/held.h"
#include "hold/ledger.h"

#define PASSED_OVER_TOLD 20
#define PICKED_TOLD	 256

static void identify(const struct brunt_item *item, struct held_identity *ret)
{
	*ret = (struct held_identity){ .kind = item->kind };
	if (item->kind == BRUNT_TARGET_PROCESS) {
		ret->pid = item->process.pid;
		ret->start = item->process.start;
	} else {
		snprintf(ret->name, sizeof(ret->name), "%s", item->name);
	}
}

static bool same_identity(const struct held_identity *one, const struct held_identity *other)
{
	return one->kind == other->kind && one->pid == other->pid && one->start == other->start &&
	       !strcmp(one->name, other->name);
}

static struct held_identity *find_hurt(const struct brunt_held *held, const struct brunt_item *item)
{
	struct held_identity identity;

	identify(item, &identity);
	for (size_t i = 0; i < held->hurt_count; i++)
		if (same_identity(&held->hurt[i], &identity))
			return &held->hurt[i];
	return NULL;
}

static void tell_items(struct brunt_held *held, uint32_t target, const struct brunt_victims *victims)
{
	size_t picked = 0, passed = 0;

	for (size_t i = 0; i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[i];
		struct brunt_report report = { .kind = BRUNT_REPORT_ITEM, .index = target, .matched = 1 };

		if (item->picked ? picked++ >= PICKED_TOLD : passed++ >= PASSED_OVER_TOLD)
			continue;
		report.picked = item->picked;
		report.flags = item->picked ? BRUNT_REPORT_PICKED : 0;
		report.pid = item->process.pid;
		report.start = item->process.start;
		snprintf(report.text, sizeof(report.text), "%s", item->name);
		held_report(held, &report);
	}
}

static void tell_resolved(struct brunt_held *held, uint32_t target, const struct brunt_victims *victims)
{
	struct brunt_report report = {
		.kind = BRUNT_REPORT_RESOLVED,
		.index = target,
		.matched = victims->matched,
		.picked = victims->picked,
		.share = victims->share,
	};

	tell_items(held, target, victims);
	held_report(held, &report);
}

/* Resolves a target afresh. */
static int resolve(struct brunt_held *held, struct held_target *target, const struct brunt_victims *previous,
		   struct brunt_victims **ret, struct brunt_error *err)
{
	const struct brunt_target *first = held->plan->targets.items;
	int r;

	held->resolve_context->round = target->round;
	r = brunt_target_resolve(target->target, target->wants, held->resolve_context, previous, ret, err);
	if (!r)
		tell_resolved(held, (uint32_t)(target->target - first), *ret);
	return r;
}

int held_find(struct brunt_held *held, struct held_slot *slot, struct brunt_victims **ret, struct brunt_error *err)
{
	struct held_target *target = slot->target;
	bool follow = target->target->resolve == BRUNT_RESOLVE_FOLLOW;
	int r;

	if (target->target->resolve == BRUNT_RESOLVE_START) {
		r = target->victims ? 0 : resolve(held, target, NULL, &target->victims, err);
		if (!r)
			*ret = target->victims;
		return r;
	}
	r = resolve(held, target, follow ? slot->own_victims : NULL, ret, err);
	if (!r)
		target->round++;
	return r;
}

int brunt_held_resolve(struct brunt_held *held, uint32_t index, struct brunt_error *err)
{
	BRUNT_CLEANUP(held_free_victims) struct brunt_victims *victims = NULL;
	struct held_target *target;
	int r;

	if (index >= held->plan->targets.count)
		return brunt_fail(err, EINVAL, "the plan has no target %u", index);
	target = &held->targets[index];
	if (target->victims) {
		tell_resolved(held, index, target->victims);
		return 0;
	}
	r = resolve(held, target, NULL, &victims, err);
	if (!r && target->used)
		r = held_check_radius(held, victims, target->target->name, err);
	if (r || target->target->resolve != BRUNT_RESOLVE_START)
		return r; /* who will be hit is known at apply */
	if (target->used)
		r = held_claim(held, victims, err);
	if (!r)
		target->victims = BRUNT_TAKE_PTR(victims);
	return r;
}

int held_check_radius(struct brunt_held *held, const struct brunt_victims *victims, const char *name,
		      struct brunt_error *err)
{
	const struct brunt_blast_radius *radius = &held->plan->blast_radius;
	size_t fresh = 0;

	if (victims->share > radius->share + 1e-9)
		return brunt_fail(err, EDQUOT, "'%s' would hit %zu of %zu, %.3g %%; blast_radius.share allows %.3g %%",
				  name, victims->picked, victims->matched, victims->share * 100, radius->share * 100);
	for (size_t i = 0; i < victims->matched; i++)
		fresh += victims->items[i].picked && !find_hurt(held, &victims->items[i]);
	if (held->hurt_count + fresh > radius->victims)
		return brunt_fail(err, EDQUOT, "'%s' would make it %zu victims; blast_radius.victims allows %llu", name,
				  held->hurt_count + fresh, (unsigned long long)radius->victims);
	if (held->hurt_count + fresh > held->hurt_room) {
		struct held_identity *bigger = reallocarray(held->hurt, held->hurt_count + fresh, sizeof(*held->hurt));

		if (!bigger)
			return brunt_fail(err, ENOMEM, "out of memory");
		held->hurt = bigger;
		held->hurt_room = held->hurt_count + fresh;
	}
	return 0;
}

int held_check_ways(struct brunt_held *held, const struct held_slot *slot, const struct brunt_victims *victims,
		    const struct brunt_names *names, struct brunt_error *err)
{
	const struct brunt_fault_context *context = held->fault_context;
	int r;

	if (!context->ways || !victims)
		return 0;
	r = brunt_ways_check(context->ways, &slot->step->fault, victims, names, context->cgroup_mount,
			     brunt_plan_may_cut(held->plan), NULL, 0, err);
	if (r < 0)
		(void)brunt_wrap(err, "step '%s'", slot->step->name);
	return r;
}

int held_check_names(struct brunt_held *held, const struct held_slot *slot, struct brunt_error *err)
{
	const struct brunt_names *names = slot->injector->names ? slot->injector->names(slot->state) : NULL;

	return names ? held_check_ways(held, slot, slot->victims, names, err) : 0;
}

void held_count_victims(struct brunt_held *held, const struct brunt_victims *victims, bool by_event)
{
	for (size_t i = 0; i < victims->matched; i++) {
		struct held_identity *known;

		if (!victims->items[i].picked)
			continue;
		known = find_hurt(held, &victims->items[i]);
		if (!known) {
			if (held->hurt_count == held->hurt_room)
				return;
			known = &held->hurt[held->hurt_count++];
			identify(&victims->items[i], known);
		}
		known->by_event |= by_event;
	}
}

bool held_hit_by_event(const struct brunt_held *held, const struct brunt_victims *victims)
{
	for (size_t i = 0; victims && i < victims->matched; i++) {
		const struct held_identity *known = find_hurt(held, &victims->items[i]);

		if (victims->items[i].picked && known && known->by_event)
			return true;
	}
	return false;
}

bool held_same(const struct brunt_victims *one, const struct brunt_victims *other)
{
	if (one->picked != other->picked)
		return false;
	for (size_t i = 0; i < one->matched; i++) {
		struct held_identity identity, against;
		bool found = false;

		if (!one->items[i].picked)
			continue;
		identify(&one->items[i], &identity);
		for (size_t j = 0; j < other->matched && !found; j++) {
			identify(&other->items[j], &against);
			found = other->items[j].picked && same_identity(&identity, &against) &&
				one->items[i].cgroup_id == other->items[j].cgroup_id;
		}
		if (!found)
			return false;
	}
	/* A unit or a service is the same one after a restart, but not its processes. */
	for (size_t i = 0; i < one->process_count; i++)
		if (!brunt_process_alive(&one->processes[i]))
			return false;
	return true;
}

/*
 * Two runs that hurt the same thing at the same time would judge each other's damage, whatever the faults: a thing is
 * a process, a cgroup or an interface. A process is claimed by itself and through its unit, container or service.
 */
int held_claim(struct brunt_held *held, const struct brunt_victims *victims, struct brunt_error *err)
{
	char thing[BRUNT_CLAIM_SIZE];
	struct stat st;
	int r = 0;

	if (!held->ledger)
		return 0;
	for (size_t i = 0; i < victims->matched && !r; i++) {
		const struct brunt_item *item = &victims->items[i];

		if (!item->picked)
			continue;
		if (item->kind == BRUNT_TARGET_PROCESS)
			snprintf(thing, sizeof(thing), "process %d:%llu", (int)item->process.pid,
				 (unsigned long long)item->process.start);
		else if (item->kind == BRUNT_TARGET_INTERFACE)
			snprintf(thing, sizeof(thing), "interface %.64s (%u in network namespace %lu)", item->name,
				 item->interface_index, stat("/proc/self/ns/net", &st) ? 0 : (unsigned long)st.st_ino);
		else if (item->cgroup_id)
			snprintf(thing, sizeof(thing), "cgroup %llu (%.100s)", (unsigned long long)item->cgroup_id,
				 item->name);
		else
			continue;
		r = brunt_ledger_claim(held->ledger, thing, err);
	}
	for (size_t i = 0; i < victims->process_count && !r; i++) {
		snprintf(thing, sizeof(thing), "process %d:%llu", (int)victims->processes[i].pid,
			 (unsigned long long)victims->processes[i].start);
		r = brunt_ledger_claim(held->ledger, thing, err);
	}
	return r;
}

void held_free_victims(struct brunt_victims **victims)
{
	brunt_victims_free(*victims);
}
