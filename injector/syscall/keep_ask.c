/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a call: the rules that are about it, who made it, and how often. All in static memory. */
#include <string.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/units.h"
#include "syscall/caller.h"
#include "syscall/keep_parts.h"

#define PROCESSES_SETS 512
#define PROCESSES_WAYS 4
#define THREADS_MAX    1024
#define THREAD_FRESH   (1 * BRUNT_S) /* as long a thread is taken for the same one without a look */

/* What is counted for each process. A set is full only with more than four processes of one remainder: then the one that
 * was heard of longest ago is forgotten, and begins anew should it come back. */
struct process {
	pid_t pid;
	uint64_t start, ordinal, used;
	uint64_t counts[BRUNT_KEEP_RULES_MAX];
	uint64_t hits[BRUNT_KEEP_RULES_MAX];
};

static struct process processes[PROCESSES_SETS][PROCESSES_WAYS];
static uint64_t ordinals; /* given out */

static struct thread {
	pid_t tid;
	struct process *process;
	pid_t of; /* its pid, should the entry have been given to another */
	uint64_t until;
} threads[THREADS_MAX];

/* ---- who ---- */

static struct process *find_process(pid_t pid, uint64_t start, uint64_t now)
{
	struct process *set = processes[(unsigned)pid % PROCESSES_SETS], *oldest = set;

	for (size_t i = 0; i < PROCESSES_WAYS; i++) {
		if (set[i].pid == pid && set[i].start == start) {
			set[i].used = now;
			return &set[i];
		}
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	memset(oldest, 0, sizeof(*oldest));
	oldest->pid = pid;
	oldest->start = start;
	oldest->ordinal = ++ordinals;
	oldest->used = now;
	return oldest;
}

/* NULL: it is gone. */
static struct process *process_of(pid_t tid, uint64_t now)
{
	struct thread *thread = &threads[(unsigned)tid % THREADS_MAX];
	uint64_t start;
	pid_t pid;

	if (thread->tid == tid && thread->until > now && thread->process->pid == thread->of) {
		thread->process->used = now;
		return thread->process;
	}
	pid = brunt_caller_process(tid, &start);
	if (!pid)
		return NULL;
	*thread = (struct thread){ tid, find_process(pid, start, now), pid, now + THREAD_FRESH };
	return thread->process;
}

/* ---- whether ---- */

static bool matches_path(const struct brunt_call_rule *rule, const struct seccomp_notif *notif,
			 const struct brunt_call *call)
{
	static char path[2 * BRUNT_CALLER_PATH];

	for (unsigned which = 0; which < 2; which++) {
		if (!brunt_caller_path((pid_t)notif->pid, call, (const uint64_t *)notif->data.args, which, path,
				       sizeof(path)))
			continue;
		for (uint32_t i = 0; i < rule->path_count; i++)
			if (brunt_wildcard_match(rule->paths[i], path))
				return true;
	}
	return false;
}

static bool matches_address(const struct brunt_call_rule *rule, const struct seccomp_notif *notif,
			    const struct brunt_call *call)
{
	struct brunt_endpoint address;

	if (!brunt_caller_address((pid_t)notif->pid, call, (const uint64_t *)notif->data.args, &address))
		return false;
	for (uint32_t i = 0; i < rule->address_count; i++)
		if (brunt_endpoint_covers(&rule->addresses[i], &address))
			return true;
	return false;
}

static bool matches_name(const char *pattern, pid_t thread)
{
	char name[32];

	return !pattern[0] || (brunt_caller_name(thread, name, sizeof(name)) && brunt_wildcard_match(pattern, name));
}

/* The cheapest first. */
static bool matches(const struct keep_self *self, const struct brunt_call_rule *rule, const struct keep_slot *slot,
		    const struct brunt_call *call, uint64_t now)
{
	const struct seccomp_notif *notif = &slot->notif;
	const pid_t thread = (pid_t)notif->pid;

	if (!brunt_arguments_hold(rule->arguments, rule->argument_count, (const uint64_t *)notif->data.args))
		return false;
	if (rule->leader_only) {
		const struct process *process = process_of(thread, now);

		if (!process || process->pid != self->shared->listeners[slot->listener].process)
			return false;
	}
	if (rule->process[0]) {
		const struct process *process = process_of(thread, now);

		if (!process || !matches_name(rule->process, process->pid))
			return false;
	}
	if (!matches_name(rule->thread, thread))
		return false;
	if (rule->path_count && !matches_path(rule, notif, call))
		return false;
	if (rule->address_count && !matches_address(rule, notif, call))
		return false;
	return !rule->spare_loader || !brunt_caller_is_loader(thread, notif->data.instruction_pointer);
}

/* Latches a lease that ran out. */
bool keep_is_in_force(struct keep_rule *rule, uint64_t now)
{
	uint64_t expires = __atomic_load_n(&rule->expires, __ATOMIC_ACQUIRE);
	uint64_t generation = __atomic_load_n(&rule->generation, __ATOMIC_ACQUIRE);

	if (!expires || rule->lapsed == generation)
		return false;
	if (now < expires)
		return true;
	__atomic_store_n(&rule->lapsed, generation, __ATOMIC_RELEASE);
	return false;
}

bool keep_is_still_meant(struct keep_self *self, const struct keep_slot *slot, uint64_t now)
{
	uint64_t generations = 0;

	for (unsigned i = 0; i < BRUNT_KEEP_RULES_MAX; i++) {
		struct keep_rule *rule = &self->shared->rules[i];

		if (!(slot->rules >> i & 1))
			continue;
		if (!keep_is_in_force(rule, now))
			return false;
		generations += __atomic_load_n(&rule->generation, __ATOMIC_ACQUIRE);
	}
	return generations == slot->generations;
}

static void note_hurt(struct keep_rule *rule, pid_t pid)
{
	for (size_t i = 0; i < rule->hurt_count; i++)
		if (rule->hurt[i].process == pid) {
			keep_add(&rule->hurt[i].hit);
			return;
		}
	if (rule->hurt_count == BRUNT_KEEP_HURT_MAX) {
		keep_add(&rule->others);
		return;
	}
	rule->hurt[rule->hurt_count] = (struct brunt_keep_hurt){ .process = pid, .hit = 1 };
	(void)brunt_caller_name(pid, rule->hurt[rule->hurt_count].name, sizeof(rule->hurt[0].name));
	__atomic_store_n(&rule->hurt_count, rule->hurt_count + 1, __ATOMIC_RELEASE);
}

static void ask_rule(struct keep_self *self, unsigned number, struct keep_slot *slot, const struct brunt_call *call,
		     uint64_t now, struct brunt_outcome *total)
{
	struct keep_rule *rule = &self->shared->rules[number];
	struct brunt_outcome outcome;
	struct process *process;
	uint64_t ordinal = 0, *count = &rule->count, *hits = &rule->hit;
	bool fits;

	keep_add(&rule->seen);
	if (!keep_is_in_force(rule, now))
		return;
	fits = matches(self, &rule->rule, slot, call, now);
	if (brunt_caller_was_refused() && !fits)
		keep_add(&rule->refused);
	if (!fits)
		return;
	process = process_of((pid_t)slot->notif.pid, now);
	if (!process)
		return;
	keep_add(&rule->matched);
	keep_add(&rule->matched_of[brunt_call_index(call)]);
	if (rule->rule.by_process) {
		ordinal = process->ordinal;
		count = &process->counts[number];
		hits = &process->hits[number];
	}
	keep_add(count);
	brunt_call_rule_decide(&rule->rule, ordinal, *count, *hits, &outcome);
	/* a delay that there is no slot for is none: the call passes */
	if (!outcome.hit || (outcome.delay && !keep_has_spare_slot()))
		return;
	/* of two answers the caller gets the first: the other does not bite */
	if (outcome.answered && total->answered && !outcome.delay)
		return;
	keep_add(&rule->hit);
	keep_add(&rule->hit_of[brunt_call_index(call)]);
	if (hits != &rule->hit)
		keep_add(hits);
	note_hurt(rule, process->pid);
	/* of two answers the caller gets the first */
	if (outcome.delay || (outcome.answered && !total->answered)) {
		slot->rules |= UINT32_C(1) << number;
		slot->generations += __atomic_load_n(&rule->generation, __ATOMIC_ACQUIRE);
	}
	total->hit = true;
	total->delay += outcome.delay;
	if (outcome.answered && !total->answered) {
		total->answered = true;
		total->code = outcome.code;
		total->value = outcome.value;
	}
}

/* ---- calls ---- */

/* Before its program runs, what the process does is ours: its first execve ends that. */
static bool is_ours(struct keep_listener *listener, const struct brunt_call *call)
{
	if (!listener->starting)
		return false;
	if (!strcmp(call->name, "execve") || !strcmp(call->name, "execveat"))
		__atomic_store_n(&listener->starting, 0, __ATOMIC_RELEASE);
	return true;
}

void keep_decide(struct keep_self *self, struct keep_slot *slot, uint64_t now, struct brunt_outcome *ret)
{
	struct keep_listener *listener = &self->shared->listeners[slot->listener];
	uint32_t count = __atomic_load_n(&self->shared->rule_count, __ATOMIC_ACQUIRE);
	uint32_t rules = __atomic_load_n(&listener->rules, __ATOMIC_ACQUIRE);
	int index = slot->notif.data.arch == brunt_call_arch() ? brunt_call_index_of(slot->notif.data.nr) : -1;

	memset(ret, 0, sizeof(*ret));
	slot->rules = 0;
	slot->generations = 0;
	/* pid 0: a process that this one cannot see; nothing of it can be told */
	if (index < 0 || !slot->notif.pid || is_ours(listener, &brunt_calls[index]))
		return;
	keep_add(&self->shared->calls[index]);
	for (uint32_t i = 0; i < count; i++)
		if (rules >> i & 1 && brunt_call_set_has(&self->shared->rules[i].rule.calls, (unsigned)index))
			ask_rule(self, i, slot, &brunt_calls[index], now, ret);
}
