/* SPDX-License-Identifier: Apache-2.0 */
/* The operations that syscall.fail and syscall.delay share. */
#include "fault/syscall.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/target.h"
#include "brunt/units.h"
#include "program/bpf.h"
#include "base/child.h"
#include "syscall/graft.h"
#include "syscall/keep.h"

#define ATTACH_WAIT (2 * BRUNT_S)
#define VERIFY_WAIT (1500 * BRUNT_MS) /* the guardian's patience with a keeper that stands still, and more */
#define REAP_WAIT   (1 * BRUNT_S)
#define END_WAIT    (100 * BRUNT_MS)
#define PARENTS_MAX 64

struct syscall_state {
	const struct brunt_syscall_params *params;
	unsigned rule;
	const struct brunt_victims *victims; /* from prepare to detach */
	const char *mount;
	uint64_t expires;
	bool cut;	  /* the keeper was lost while this was in force */
	size_t told_hurt; /* in news */
};

/* One for a run: all syscall faults of the plan. */
static struct {
	struct brunt_keep keep;
	unsigned users;
	struct sock_filter *filter;
	size_t filter_count;
	uint64_t lease;
} ground = { .keep = BRUNT_KEEP_NONE };

static const struct brunt_call_set *calls_of(const struct syscall_state *state)
{
	return &brunt_keep_rule(&ground.keep, state->rule)->calls;
}

int brunt_syscall_probe(struct brunt_error *err)
{
	return brunt_filter_probe(err);
}

/* ---- before ---- */

void brunt_syscall_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf,
			    size_t size)
{
	const struct brunt_syscall_params *params = fault->params;
	struct brunt_call_rule rule;
	char calls[64];

	if (brunt_syscall_rule(params, 0, &rule, NULL)) {
		(void)snprintf(buf, size, "seccomp notification");
		return;
	}
	(void)brunt_calls_print(&rule.calls, calls, sizeof(calls));
	if (victims)
		(void)snprintf(buf, size, "seccomp notification of %s in %zu process%s", calls, victims->process_count,
			       victims->process_count == 1 ? "" : "es");
	else
		(void)snprintf(buf, size, "seccomp notification of %s", calls);
}

static void __attribute__((format(printf, 3, 4))) note(char *notes, size_t size, const char *format, ...)
{
	size_t used = strlen(notes);
	va_list args;

	if (used + 2 >= size)
		return;
	if (used)
		used += (size_t)snprintf(notes + used, size - used, "\n");
	va_start(args, format);
	(void)vsnprintf(notes + used, size - used, format, args);
	va_end(args);
}

/* What can be known beforehand: the vDSO answers without the kernel, and io_uring asks it another way. */
static void note_blind_spots(const struct brunt_call_rule *rule, char *notes, size_t size)
{
	struct brunt_call_set blind = { 0 };
	bool any = false;
	char calls[64];

	for (unsigned i = 0; i < brunt_call_count; i++)
		if (brunt_call_set_has(&rule->calls, i) && brunt_calls[i].flags & BRUNT_CALL_VDSO) {
			brunt_call_set_add(&blind, i);
			any = true;
		}
	if (any)
		note(notes, size, "%s: mostly answered by the vDSO, without the kernel: not seen",
		     brunt_calls_print(&blind, calls, sizeof(calls)));
}

static int look_at(const struct brunt_syscall_params *params, const struct brunt_call_set *calls,
		   const struct brunt_process *process, char *notes, size_t size, struct brunt_error *err)
{
	struct brunt_graft_facts facts = { 0 };
	int number, r;

	number = ground.keep.shared ? brunt_keep_find(&ground.keep, process->pid, process->start) : -1;
	if (number >= 0) /* has it, by another fault of the plan */
		return brunt_keep_covers(&ground.keep, (unsigned)number, calls, err);
	r = brunt_keep_earlier(process->pid, calls, err);
	if (r > 0 && notes)
		note(notes, size, "process %d (%s) has a filter of an earlier run, which is used again",
		     (int)process->pid, process->name);
	if (r)
		return r > 0 ? 0 : r;
	r = brunt_graft_look("/proc", process, &facts, err);
	if (r)
		return r;
	if (facts.io_uring && notes)
		note(notes, size, "process %d (%s) uses io_uring: what goes through it is not seen", (int)process->pid,
		     process->name);
	if (facts.needs_no_new_privs && params->allow_no_new_privs && notes)
		note(notes, size, "process %d (%s) gets no_new_privs, and keeps it", (int)process->pid, process->name);
	return brunt_graft_allowed(process, &facts, params->allow_no_new_privs, err);
}

int brunt_syscall_look(const struct brunt_fault *fault, const struct brunt_victims *victims, char *notes, size_t size,
		       struct brunt_error *err)
{
	const struct brunt_syscall_params *params = fault->params;
	struct brunt_call_rule rule;
	int r = brunt_syscall_rule(params, 0, &rule, err), failure = 0;

	if (r)
		return r;
	note_blind_spots(&rule, notes, size);
	if ((brunt_ramp_moves(&params->delay) || params->delay.to > 0) && !brunt_filter_waits_in_peace())
		note(notes, size, "before Linux 5.19 each signal that the target gets makes a delayed call begin anew");
	for (size_t i = 0; victims && i < victims->process_count; i++) {
		r = look_at(params, &rule.calls, &victims->processes[i], notes, size, failure ? NULL : err);
		failure = failure ?: r;
	}
	if (victims && !failure)
		note(notes, size, "%zu process%s a filter until exit: some 5 us more for each of these calls",
		     victims->process_count, victims->process_count == 1 ? " keeps" : "es keep");
	return failure;
}

int brunt_syscall_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		       struct brunt_error *err)
{
	struct syscall_state *state = calloc(1, sizeof(*state));
	struct brunt_identity identity;
	struct brunt_random random;
	struct brunt_call_rule rule;
	char label[96];
	int r;

	if (!state)
		return brunt_fail(err, ENOMEM, "out of memory");
	(void)snprintf(label, sizeof(label), "%s %u", fault->injector->name, fault->step);
	brunt_random_seed(&random, context->seed, label);
	r = brunt_syscall_rule(fault->params, brunt_random_next(&random), &rule, err);
	r = r ?: brunt_identity_get(&identity, err);
	if (!r && !ground.users) {
		r = brunt_keep_start(&identity, context->lease_ns, &ground.keep, err);
		ground.lease = context->lease_ns;
	}
	if (r) {
		free(state);
		return r;
	}
	ground.users++;
	state->params = fault->params;
	state->mount = context->cgroup_mount;
	r = brunt_keep_add(&ground.keep, &rule, err);
	if (r < 0) {
		brunt_syscall_unload(state);
		return r;
	}
	state->rule = (unsigned)r;
	*ret_state = state;
	return 0;
}

int brunt_syscall_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
			  struct brunt_error *err)
{
	struct syscall_state *state = opaque;

	if (!victims->process_count)
		return brunt_fail(err, ESRCH, "the target has no processes");
	if (victims->process_count > BRUNT_KEEP_LISTENERS_MAX)
		return brunt_fail(err, E2BIG, "%zu processes are more than the %d that one run can hold; pick fewer",
				  victims->process_count, BRUNT_KEEP_LISTENERS_MAX);
	if (brunt_keep_is_lost(&ground.keep))
		return brunt_fail(err, EPIPE, "the keeper is gone; what it was asked about passes");
	for (size_t i = 0; i < victims->process_count; i++) {
		int r = look_at(state->params, calls_of(state), &victims->processes[i], NULL, 0, err);

		/* one that has ended by itself is no reason, as long as another is there */
		if (r && (r != -ESRCH || victims->process_count == 1))
			return r;
	}
	state->victims = victims;
	ret_undo->version = 1;
	return 0;
}

/* ---- grafting ---- */

struct grafting {
	const struct syscall_state *state;
	struct sock_fprog program;
};

static int graft_one(const struct grafting *grafting, const struct brunt_process *process, uint64_t deadline,
		     struct brunt_error *err)
{
	const struct brunt_call_set *needed = calls_of(grafting->state);
	struct brunt_process own = *process;
	BRUNT_AUTO_CLOSE int listener = -1;
	int number = brunt_keep_find(&ground.keep, process->pid, process->start), r;

	if (number >= 0)
		return brunt_keep_covers(&ground.keep, (unsigned)number, needed, err);
	if (brunt_keep_earlier(process->pid, needed, NULL) > 0)
		return brunt_keep_adopt(&ground.keep, process->pid, needed, err);
	own.pidfd = -1; /* the holder's are closed here */
	listener = brunt_graft(&own, &grafting->program, grafting->state->params->allow_no_new_privs, deadline, err);
	if (listener == -EBUSY) /* whose it is */
		return brunt_keep_adopt(&ground.keep, process->pid, needed, err);
	if (listener < 0)
		return listener;
	r = brunt_keep_entrust(&ground.keep, listener, process->pid, brunt_now() + ATTACH_WAIT, err);
	return r < 0 ? r : 0;
}

static const struct brunt_process *victim_of(const struct syscall_state *state, pid_t process)
{
	for (size_t i = 0; i < state->victims->process_count; i++)
		if (state->victims->processes[i].pid == process)
			return &state->victims->processes[i];
	return NULL;
}

/*
 * A process that was forked after its parent was given a filter has that one, and can have no other: it is hit with its
 * parent, if that is a victim, too, and children follow. has: and if its parent has a listener here by now.
 */
static bool is_heir(const struct syscall_state *state, pid_t process, bool has)
{
	pid_t parent = brunt_keep_parent(process);

	if (!state->params->follow)
		return false;
	for (int i = 0; i < PARENTS_MAX && parent > 1; i++, parent = brunt_keep_parent(parent)) {
		const struct brunt_process *victim = victim_of(state, parent);

		if (victim && (!has || brunt_keep_find(&ground.keep, victim->pid, victim->start) >= 0))
			return true;
	}
	return false;
}

/* Tries every process once; what it cannot have of its own it must have from its parent in the end. */
static int graft_each(const struct grafting *grafting, uint64_t deadline, struct brunt_error *err)
{
	const struct syscall_state *state = grafting->state;
	const struct brunt_victims *victims = state->victims;
	struct brunt_error refusal = { 0 };
	size_t given = 0;

	for (size_t i = 0; i < victims->process_count; i++) {
		const struct brunt_process *process = &victims->processes[i];
		struct brunt_error why = { 0 };
		int r;

		if (brunt_now() >= deadline)
			return brunt_fail(
				err, ETIMEDOUT,
				"%zu of %zu processes were given their filter in half of the plan's \"lease\": give it a "
				"longer one, or pick fewer",
				given, victims->process_count);
		r = graft_one(grafting, process, deadline, &why);
		given += !r;
		if (r == -ESRCH && !brunt_process_alive(process))
			continue;
		if (r == -EBUSY && is_heir(state, process->pid, false)) {
			refusal = why;
			continue;
		}
		if (r) {
			*err = why;
			return r;
		}
	}
	if (!given)
		return brunt_fail(err, ESRCH, "every process of the target has ended");
	for (size_t i = 0; refusal.msg[0] && i < victims->process_count; i++) {
		const struct brunt_process *process = &victims->processes[i];

		if (brunt_keep_find(&ground.keep, process->pid, process->start) < 0 && brunt_process_alive(process) &&
		    !is_heir(state, process->pid, true)) {
			*err = refusal;
			return -EBUSY;
		}
	}
	return 0;
}

/* The life of the grafter (child.h): it ends when it has done what it is for. */
static void graft_all(const void *what, uint64_t deadline, int socket)
{
	const int keep[] = { socket, ground.keep.control };
	struct brunt_identity identity = { 0 };
	struct brunt_error err = { 0 };

	if (!brunt_role_enter(BRUNT_ROLE_GRAFTER, &identity, 0, keep, BRUNT_COUNT(keep), &err))
		(void)graft_each(what, deadline, &err);
	brunt_child_answer(socket, BRUNT_CHILD_READY, &err);
	_exit(0);
}

static int make_filter(struct brunt_error *err)
{
	return ground.filter ? 0 : brunt_keep_filter(&ground.keep, &ground.filter, &ground.filter_count, err);
}

int brunt_syscall_attach(void *opaque, struct brunt_error *err)
{
	struct syscall_state *state = opaque;
	struct grafting grafting = { .state = state };
	struct brunt_child child = BRUNT_CHILD_NONE;
	uint64_t until = brunt_now() + (ground.lease / 2 > ATTACH_WAIT ? ATTACH_WAIT : ground.lease / 2);
	size_t found = 0;
	int r = make_filter(err);

	if (r)
		return r;
	grafting.program = (struct sock_fprog){ .len = (unsigned short)ground.filter_count, .filter = ground.filter };
	r = brunt_child_start("grafter", graft_all, &grafting, until, &child, err);
	r = r ?: brunt_child_await(&child, until + BRUNT_S, err);
	/*
	 * One that has not answered may be in the middle of it, and must not be killed then: it waits until the victim
	 * goes on, restores it, and ends by itself. One that answers, be it that, ends at once.
	 */
	if (r == -ETIMEDOUT && !brunt_child_has_ended(&child, brunt_now() + END_WAIT)) {
		(void)close(child.socket);
		(void)close(child.pidfd);
		return r;
	}
	brunt_child_reap(&child, brunt_now() + REAP_WAIT);
	if (r)
		return r;
	for (size_t i = 0; i < state->victims->process_count; i++) {
		const struct brunt_process *process = &state->victims->processes[i];
		int number = brunt_keep_find(&ground.keep, process->pid, process->start);

		if (number >= 0)
			brunt_keep_assign(&ground.keep, (unsigned)number, UINT32_C(1) << state->rule, true);
		found += number >= 0;
	}
	return found ? 0 : brunt_fail(err, ESRCH, "every process of the target has ended");
}

/* ---- in force ---- */

int brunt_syscall_arm(void *opaque, uint64_t expires, struct brunt_error *err)
{
	struct syscall_state *state = opaque;

	if (brunt_keep_is_lost(&ground.keep))
		return brunt_fail(err, EPIPE, "the keeper is gone; what it was asked about passes");
	state->cut = false;
	state->expires = expires;
	brunt_keep_arm(&ground.keep, state->rule, expires);
	return 0;
}

void brunt_syscall_renew(void *opaque, uint64_t expires)
{
	struct syscall_state *state = opaque;

	if (!state->expires)
		return; /* between two pulses */
	state->expires = expires;
	brunt_keep_renew(&ground.keep, state->rule, expires);
}

int brunt_syscall_change(void *opaque, uint64_t elapsed_ns, struct brunt_error *err)
{
	struct syscall_state *state = opaque;
	struct brunt_call_rule *rule = brunt_keep_rule(&ground.keep, state->rule);
	double probability = brunt_ramp_at(&state->params->probability, elapsed_ns);
	uint64_t delay = (uint64_t)brunt_ramp_at(&state->params->delay, elapsed_ns);

	(void)err;
	__atomic_store(&rule->probability, &probability, __ATOMIC_RELAXED);
	__atomic_store_n(&rule->delay, delay, __ATOMIC_RELAXED);
	return 0;
}

int brunt_syscall_poll(void *opaque, struct brunt_hits *ret)
{
	struct syscall_state *state = opaque;
	struct brunt_keep_counts counts;

	memset(ret, 0, sizeof(*ret));
	brunt_keep_read(&ground.keep, state->rule, &counts);
	ret->seen = counts.seen;
	ret->matched = counts.matched;
	ret->hit = counts.hit;
	ret->lapsed = counts.lapsed;
	ret->detached = state->cut || (state->expires && brunt_keep_is_lost(&ground.keep));
	ret->silent_role = ret->detached ? BRUNT_ROLE_KEEPER : 0;
	ret->target_gone = brunt_bpf_all_gone(state->mount, state->victims);
	brunt_syscall_breakdown(&ground.keep, state->rule, ret->breakdown, sizeof(ret->breakdown));
	brunt_syscall_near_miss(&ground.keep, state->rule, ret->near_miss, sizeof(ret->near_miss));
	return 0;
}

bool brunt_syscall_news(void *opaque, char *buf, size_t size)
{
	struct syscall_state *state = opaque;
	struct brunt_keep_counts counts;
	size_t used;

	brunt_keep_read(&ground.keep, state->rule, &counts);
	if (counts.hurt_count == state->told_hurt)
		return false;
	used = (size_t)snprintf(buf, size, "hit");
	for (size_t i = state->told_hurt; i < counts.hurt_count && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s process %d (%s)", i > state->told_hurt ? "," : "",
					 (int)counts.hurt[i].process, counts.hurt[i].name);
	state->told_hurt = counts.hurt_count;
	return true;
}

void brunt_syscall_disarm(void *opaque)
{
	struct syscall_state *state = opaque;

	if (!ground.keep.shared)
		return;
	state->cut |= state->expires && brunt_keep_is_lost(&ground.keep);
	state->expires = 0;
	brunt_keep_disarm(&ground.keep, state->rule);
}

int brunt_syscall_verify(void *opaque, struct brunt_error *err)
{
	struct syscall_state *state = opaque;
	int r = ground.keep.shared ? brunt_keep_verify(&ground.keep, state->rule, brunt_now() + VERIFY_WAIT) : 0;

	if (!r)
		return 0;
	if (r == -EOWNERDEAD)
		return brunt_fail(err, EBUSY,
				  "keeper %d and its guardian are dead: the calls that were asked about fail with "
				  "ENOSYS for ever, restart the target",
				  (int)brunt_keep_pid(&ground.keep));
	return brunt_fail(err, EBUSY, "keeper %d does not answer: calls may still be held",
			  (int)brunt_keep_pid(&ground.keep));
}

void brunt_syscall_detach(void *opaque)
{
	struct syscall_state *state = opaque;

	brunt_syscall_disarm(state);
	for (unsigned i = 0; ground.keep.shared && i < BRUNT_KEEP_LISTENERS_MAX; i++)
		brunt_keep_assign(&ground.keep, i, UINT32_C(1) << state->rule, false);
	state->victims = NULL;
}

void brunt_syscall_unload(void *opaque)
{
	if (!opaque)
		return;
	brunt_syscall_detach(opaque);
	free(opaque);
	if (--ground.users)
		return;
	free(ground.filter);
	ground.filter = NULL;
	brunt_keep_leave(&ground.keep);
}
