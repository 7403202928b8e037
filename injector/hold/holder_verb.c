/* SPDX-License-Identifier: Apache-2.0 */
/* What the holder does when it is told to. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/ledger.h"
#include "hold/holder.h"
#include "hold/preview.h"
#include "hold/recover.h"

static void answer(struct holder *holder, enum brunt_report_kind kind, uint32_t index, int code,
		   const struct brunt_error *err)
{
	struct brunt_report report = { .kind = kind, .index = index, .code = code };

	if (code)
		snprintf(report.text, sizeof(report.text), "%s", err && err->msg[0] ? err->msg : strerror(-code));
	held_report(holder->held, &report);
}

/* brunt's own processes are never victims; which there are is known better with time. */
static void refresh_own(struct holder *holder)
{
	size_t count = 0;

	holder->own[count++] = getpid();
	holder->own[count++] = getppid();
	for (int role = 0; role < _BRUNT_ROLE_MAX; role++)
		if (holder->setup->shared->pid[role])
			holder->own[count++] = holder->setup->shared->pid[role];
	holder->resolve_context.own_count = count;
}

static int do_prepare(struct holder *holder, struct brunt_error *err)
{
	char folder[256];
	int r = check_capabilities(holder->setup->plan, err);

	if (!r)
		r = brunt_ledger_folder(folder, sizeof(folder), false, err);
	/* What an earlier run left is finished before this one adds to it. */
	if (!r)
		r = recover_folder(folder, err);
	return r ? r : brunt_held_prepare(holder->held, err);
}

/*
 * With nothing held, the lease begins now: the controller has just spoken. With something held it must still run:
 * finding the victims may have taken longer than it lasts.
 */
static int do_apply(struct holder *holder, uint32_t step, struct brunt_error *err)
{
	uint64_t now;
	int r;

	if (holder->lease.lapsed)
		return brunt_fail(err, ETIME, "the lease ran out: nothing is applied any more");
	r = held_stage(holder->held, step, err);
	if (r < 0)
		return r;
	now = brunt_now();
	if (!brunt_held_count(holder->held)) {
		holder->lease.expires = now + holder->lease.length;
	} else if (now >= holder->lease.expires) {
		holder_lapse(holder);
		return brunt_fail(err, ETIME, "the lease ran out before step %u could be applied", step);
	}
	/* Before the host is touched: who hangs in it is killed. */
	(void)brunt_deadman_set(&holder->deadman, holder->lease.expires + holder->lease.length / 2);
	r = held_commit(holder->held, step, holder->lease.expires, err);
	if (holder->held->slots[step].child)
		holder->setup->shared->pid[holder->held->slots[step].injector->child_role] =
			holder->held->slots[step].child;
	holder_set_timers(holder);
	return r;
}

static void do_renew(struct holder *holder)
{
	uint64_t now = brunt_now();

	if (holder->lease.lapsed || !brunt_held_count(holder->held))
		return;
	if (brunt_lease_renew(&holder->lease, now) < 0) {
		holder_lapse(holder);
		return;
	}
	brunt_held_renew(holder->held, holder->lease.expires);
	holder_set_timers(holder);
}

static void do_alive(struct holder *holder, uint32_t index)
{
	const struct brunt_target *targets = holder->setup->plan->targets.items;
	struct brunt_report report = { .kind = BRUNT_REPORT_ALIVE, .index = index };
	struct brunt_error err = { 0 };

	if (index >= holder->setup->plan->targets.count)
		report.code = -EINVAL;
	else
		report.code = brunt_target_count(&targets[index], &holder->resolve_context, &report.matched, &err);
	snprintf(report.text, sizeof(report.text), "%s", err.msg);
	held_report(holder->held, &report);
}

int holder_revert_all(struct holder *holder, bool abort)
{
	struct brunt_shared *shared = holder->setup->shared;
	int r;

	holder->held->closed = true;
	if (abort)
		brunt_held_hurry(holder->held);
	r = brunt_held_revert_all(holder->held, NULL);
	__atomic_store_n(&shared->residue, (uint32_t)brunt_held_count(holder->held), __ATOMIC_RELEASE);
	/* With residue the switch stays set: should the controller not end this soon, the kernel may still undo it. */
	holder_set_timers(holder);
	return r;
}

void holder_lapse(struct holder *holder)
{
	struct brunt_report report = { .kind = BRUNT_REPORT_LAPSED };

	holder->lease.lapsed = true;
	__atomic_store_n(&holder->setup->shared->lapsed, 1, __ATOMIC_RELEASE);
	report.code = holder_revert_all(holder, true);
	held_report(holder->held, &report);
}

static void take_broken(struct holder *holder, const struct brunt_verb *verb)
{
	struct brunt_report report = { .index = verb->index, .sequence = verb->sequence, .at = brunt_now() };

	holder->ended = verb->kind == BRUNT_VERB_END;
	if (verb->kind == BRUNT_VERB_PREPARE)
		report.kind = BRUNT_REPORT_PREPARED;
	else if (verb->kind == BRUNT_VERB_APPLY)
		report.kind = BRUNT_REPORT_APPLIED;
	else if (verb->kind == BRUNT_VERB_REVERT_ALL)
		report.kind = BRUNT_REPORT_REVERTED_ALL;
	else
		return;
	report.code = verb->kind == BRUNT_VERB_REVERT_ALL ? 0 : -holder->broken.code;
	snprintf(report.text, sizeof(report.text), "%s", holder->broken.msg);
	holder_report(holder, &report);
}

void holder_take(struct holder *holder, const struct brunt_verb *verb)
{
	struct brunt_error err = { 0 };
	int r;

	if (holder->broken.code) {
		take_broken(holder, verb);
		return;
	}
	holder->held->sequence = verb->sequence;
	refresh_own(holder);
	switch ((enum brunt_verb_kind)verb->kind) {
	case BRUNT_VERB_PREPARE:
		r = do_prepare(holder, &err);
		answer(holder, BRUNT_REPORT_PREPARED, 0, r, &err);
		break;
	case BRUNT_VERB_RESOLVE:
		r = brunt_held_resolve(holder->held, verb->index, &err);
		if (r < 0)
			answer(holder, BRUNT_REPORT_RESOLVED, verb->index, r, &err);
		break;
	case BRUNT_VERB_APPLY:
		r = do_apply(holder, verb->index, &err);
		held_report_applied(holder->held, verb->index, r, &err);
		break;
	case BRUNT_VERB_REVERT:
		r = brunt_held_revert(holder->held, verb->index, &err);
		if (r == -EINVAL)
			answer(holder, BRUNT_REPORT_REVERTED, verb->index, r, &err);
		holder_set_timers(holder);
		break;
	case BRUNT_VERB_REVERT_ALL:
		r = holder_revert_all(holder, verb->index == BRUNT_REVERT_ABORT);
		answer(holder, BRUNT_REPORT_REVERTED_ALL, 0, r, &err);
		break;
	case BRUNT_VERB_RENEW:
		do_renew(holder);
		break;
	case BRUNT_VERB_POLL:
		brunt_held_poll(holder->held);
		answer(holder, BRUNT_REPORT_POLLED, 0, 0, NULL);
		holder_set_timers(holder);
		break;
	case BRUNT_VERB_ALIVE:
		do_alive(holder, verb->index);
		break;
	case BRUNT_VERB_END:
		holder->ended = true;
		break;
	}
	holder->held->sequence = 0;
}
