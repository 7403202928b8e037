/* SPDX-License-Identifier: Apache-2.0 */
/* What became of a fault that is held: its counters, its link, its victims. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/role.h"
#include "hold/held.h"

void held_tell_lost(struct brunt_held *held, struct held_slot *slot, int code, const char *why)
{
	struct brunt_report report = { .kind = BRUNT_REPORT_LOST, .index = slot->step->index, .code = code };

	if (slot->lost)
		return;
	slot->lost = true;
	snprintf(report.text, sizeof(report.text), "%s", why);
	held_report(held, &report);
}

void held_lose(struct brunt_held *held, struct held_slot *slot, int code, const struct brunt_error *err)
{
	held_tell_lost(held, slot, code, err->msg[0] ? err->msg : strerror(-code));
	brunt_held_hurry(held);
	(void)held_undo(held, slot, NULL);
}

/* A unit that was restarted has another directory under the same name. */
static bool cgroup_changed(const struct brunt_held *held, const struct brunt_item *item)
{
	const char *mount = held->resolve_context->cgroup_mount;
	char path[1024];
	struct stat st;

	if (!mount || !item->cgroup_id || item->kind == BRUNT_TARGET_PROCESS)
		return false;
	if (snprintf(path, sizeof(path), "%s%s", mount, item->cgroup) >= (int)sizeof(path))
		return false;
	return stat(path, &st) || st.st_ino != item->cgroup_id;
}

static bool victims_changed(const struct brunt_held *held, const struct brunt_victims *victims)
{
	for (size_t i = 0; i < victims->process_count; i++)
		if (!brunt_process_alive(&victims->processes[i]))
			return true;
	for (size_t i = 0; i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[i];

		if (!item->picked)
			continue;
		if (item->kind == BRUNT_TARGET_PROCESS && !brunt_process_alive(&item->process))
			return true;
		if (cgroup_changed(held, item))
			return true;
	}
	return false;
}

/* Nobody there (yet): the next poll looks again. */
static void follow(struct brunt_held *held, struct held_slot *slot)
{
	struct brunt_error err = { 0 };
	int r;

	if (!slot->hits.target_gone && !victims_changed(held, slot->victims))
		return;
	r = held_move(held, slot, &err);
	/* undone where it was, and not held where it was to go: nobody looks after it any more */
	if (r < 0 && (r != -ESRCH || !(slot->armed || slot->off)))
		held_tell_lost(held, slot, r, err.msg);
}

/*
 * A fault can lapse alone: what carries its packets was not seen alive for too long and the fault was not renewed, or
 * it was renewed a moment too late. It is latched then and nothing of it shows: the link is there, nothing is hit.
 */
bool held_tell_lapsed(struct brunt_held *held, struct held_slot *slot)
{
	/* With the holder's own, all of them lapse, and that is told. */
	if (!slot->armed || !slot->hits.lapsed || brunt_now() >= held->expires)
		return false;
	held_tell_lost(
		held, slot, -ETIME,
		"its own lease ran out and it ended by itself: the machine is too busy for the plan's \"lease\"");
	return true;
}

static void tell_detached(struct brunt_held *held, struct held_slot *slot)
{
	const int role = slot->hits.silent_role;
	char why[64] = "somebody else detached it";

	if (role > 0 && role < _BRUNT_ROLE_MAX)
		(void)snprintf(why, sizeof(why), "its %s was killed or stands still", brunt_roles[role].name);
	held_tell_lost(held, slot, -ENOLINK, why);
}

static void look_after(struct brunt_held *held, struct held_slot *slot)
{
	if (slot->hits.detached) {
		tell_detached(held, slot);
		return;
	}
	if (held_tell_lapsed(held, slot))
		return;
	if (!slot->victims)
		return;
	if (slot->target->target->resolve == BRUNT_RESOLVE_FOLLOW)
		follow(held, slot);
	else if (slot->hits.target_gone && !held_hit_by_event(held, slot->victims))
		held_tell_lost(held, slot, -ESRCH, "its target is gone");
}

static void tell_news(struct brunt_held *held, struct held_slot *slot)
{
	struct brunt_report report = { .kind = BRUNT_REPORT_NEWS, .index = slot->step->index };

	struct brunt_error err = { 0 };
	int r;

	if (!slot->injector->news || !slot->injector->news(slot->state, report.text, sizeof(report.text)))
		return;
	held_report(held, &report);
	r = slot->armed || slot->off ? held_check_names(held, slot, &err) : 0;
	if (r < 0)
		held_lose(held, slot, r, &err);
}

void brunt_held_poll(struct brunt_held *held)
{
	for (uint32_t i = 0; i < held->plan->step_count; i++) {
		struct held_slot *slot = &held->slots[i];

		if (!slot->step || !slot->loaded || !(slot->armed || slot->off || slot->happened || slot->was_held))
			continue;
		held_report_hits(held, slot);
		tell_news(held, slot);
		if (slot->armed || slot->off)
			look_after(held, slot);
	}
}
