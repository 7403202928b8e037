/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.pause: each process of the target stands still, as if its host had
 * stalled. Held by one pauser per process; see pauser.h.
 *
 * What the victim may notice afterwards: interrupted epoll_wait() and the like
 * return EINTR. Processes that it forks are not followed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/role.h"
#include "brunt/target.h"
#include "brunt/units.h"
#include "fault/pauser.h"

#define PAUSERS_MAX 256

/*
 * Answers come within a few ms on a machine that is not busy. How busy it may be the lease says: the holder stands
 * still for half of it at most, but for this long in any case.
 */
#define ANSWER_WAIT_NS	(250 * BRUNT_MS)
#define PULSE_WAIT_NS	(120 * BRUNT_MS) /* every pulse waits, twice */
#define RELEASE_WAIT_NS (100 * BRUNT_MS)
/* From attach to arm, a pauser that hears nothing gives up after this. */
#define ARM_WAIT_NS	(5 * BRUNT_S)
#define VERIFY_ROUNDS	50
#define VERIFY_ROUND_US 2000

struct pause_params {
	char none; /* it has no parameters of its own */
};

struct pause_state {
	struct brunt_pauser pausers[PAUSERS_MAX];
	size_t count;
	const struct brunt_victims *victims; /* from prepare to detach */
	uint64_t seen, hit;
	uint64_t expires, answer_wait;
	bool lapsed;
	bool pulsing; /* armed again since it was attached */
	bool cut;     /* a pauser was gone before it was told to go */
	char mount[PATH_MAX];
};

static const struct brunt_param pause_params[] = { { 0 } };

static const struct brunt_table pause_table = {
	.name = "process.pause",
	.help = "each process of the target stands still, with all its threads; processes that it forks do not",
	.params = pause_params,
	.size = sizeof(struct pause_params),
};

static void pause_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf, size_t size)
{
	(void)fault;
	if (victims && victims->process_count)
		(void)snprintf(buf, size, "ptrace stop of %zu process%s", victims->process_count,
			       victims->process_count == 1 ? "" : "es");
	else
		(void)snprintf(buf, size, "ptrace stop");
}

static int pause_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		      struct brunt_error *err)
{
	struct pause_state *state = calloc(1, sizeof(*state));

	(void)fault;
	if (!state)
		return brunt_fail(err, ENOMEM, "no memory for process.pause");
	if (context->cgroup_mount)
		(void)snprintf(state->mount, sizeof(state->mount), "%s", context->cgroup_mount);
	state->answer_wait = context->lease_ns / 2 > ANSWER_WAIT_NS ? context->lease_ns / 2 : ANSWER_WAIT_NS;
	*ret_state = state;
	return 0;
}

static ssize_t read_text(const char *path, char *buf, size_t size)
{
	BRUNT_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[got > 0 ? got : 0] = '\0';
	return got;
}

/* cgroup.events says "frozen 1" for a cgroup that is frozen itself or through one above it. */
static bool is_frozen(const struct pause_state *state, pid_t pid)
{
	char path[2 * PATH_MAX], text[PATH_MAX];
	char *line;

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	if (!state->mount[0] || read_text(path, text, sizeof(text)) <= 0)
		return false;
	line = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
	if (!line)
		return false;
	line = strchr(line, '/');
	if (!line)
		return false;
	line[strcspn(line, "\n")] = '\0';
	(void)snprintf(path, sizeof(path), "%s%s/cgroup.events", state->mount, line);
	return read_text(path, text, sizeof(text)) > 0 && strstr(text, "frozen 1");
}

static int check_victim(const struct pause_state *state, const struct brunt_process *process, struct brunt_error *err)
{
	pid_t tracer = 0;
	char letter = '?';

	if (!brunt_process_alive(process) || brunt_pauser_read_state(process->pid, process->pid, &letter, &tracer) ||
	    letter == 'Z' || letter == 'X')
		return brunt_fail(err, ESRCH, "process %d (%s) ended", (int)process->pid, process->name);
	if (tracer)
		return brunt_fail(err, EBUSY, "process %d (%s) is traced by process %d", (int)process->pid,
				  process->name, (int)tracer);
	if (letter == 'T')
		return brunt_fail(err, EBUSY, "process %d (%s) is stopped already; continue it first (SIGCONT)",
				  (int)process->pid, process->name);
	if (is_frozen(state, process->pid))
		return brunt_fail(err, EBUSY, "process %d (%s) is in a frozen cgroup; thaw it first", (int)process->pid,
				  process->name);
	return 0;
}

static int pause_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
			 struct brunt_error *err)
{
	struct pause_state *state = opaque;

	if (!victims->process_count)
		return brunt_fail(err, ESRCH, "the target has no processes to pause");
	if (victims->process_count > PAUSERS_MAX)
		return brunt_fail(err, E2BIG,
				  "%zu processes are more than the %d that can be paused at once; pick fewer",
				  victims->process_count, PAUSERS_MAX);
	for (size_t i = 0; i < victims->process_count; i++) {
		int r = check_victim(state, &victims->processes[i], err);

		if (r)
			return r;
	}
	state->victims = victims;
	state->seen += victims->process_count;
	ret_undo->version = 1;
	return 0;
}

static uint64_t answer_wait(const struct pause_state *state)
{
	return state->pulsing ? PULSE_WAIT_NS : state->answer_wait;
}

/*
 * Before a pulse, who is late is let be: a pauser that is not asked to run yet, or a process that sleeps uninterruptibly
 * (it does not run either), will stand still as soon as it can. At the beginning that is an error: nothing was hurt.
 */
static bool may_be_late(const struct pause_state *state, int failure)
{
	return state->pulsing && failure == -ETIMEDOUT;
}

/* All at once, then the answers are collected: the wait is shared. */
static int start_pausers(struct pause_state *state, struct brunt_error *err)
{
	uint64_t now = brunt_now();
	int r = 0;

	state->count = 0;
	for (size_t i = 0; !r && i < state->victims->process_count; i++) {
		const struct brunt_process *process = &state->victims->processes[i];

		if (state->pulsing && !brunt_process_alive(process))
			continue;
		r = brunt_pauser_start(process, now + ARM_WAIT_NS, &state->pausers[state->count], err);
		state->count += !r;
	}
	for (size_t i = 0; !r && i < state->count; i++) {
		r = brunt_pauser_await(&state->pausers[i], now + answer_wait(state), err);
		r = may_be_late(state, r) ? 0 : r;
	}
	if (!r && !state->count)
		r = brunt_fail(err, ESRCH, "every process of the target has ended");
	return r;
}

static int pause_attach(void *opaque, struct brunt_error *err)
{
	struct pause_state *state = opaque;

	state->lapsed = false;
	state->cut = false;
	state->pulsing = false;
	state->expires = 0;
	return start_pausers(state, err);
}

/* Letting go ends the pauser, whatever its threads were at: a pulse has new ones. */
static int start_anew(struct pause_state *state, struct brunt_error *err)
{
	int r;

	state->pulsing = true;
	r = start_pausers(state, err);
	if (!r)
		state->seen += state->count;
	return r;
}

static int pause_arm(void *opaque, uint64_t expires, struct brunt_error *err)
{
	struct pause_state *state = opaque;
	uint64_t now;
	int failure = 0;

	if (state->count && state->pausers[0].pidfd < 0)
		failure = start_anew(state, err);
	now = brunt_now();
	state->expires = expires;
	for (size_t i = 0; i < state->count && !failure; i++)
		failure = brunt_pauser_pause(&state->pausers[i], expires, err);
	for (size_t i = 0; i < state->count && !failure; i++) {
		failure = brunt_pauser_await(&state->pausers[i], now + answer_wait(state), err);
		state->hit += !failure;
		failure = may_be_late(state, failure) ? 0 : failure;
	}
	return failure;
}

static void pause_renew(void *opaque, uint64_t expires)
{
	struct pause_state *state = opaque;

	if (!state->expires)
		return; /* between two pulses there are none */
	if (state->lapsed || brunt_now() >= state->expires) {
		state->lapsed = true; /* the pausers' timers have fired */
		return;
	}
	state->expires = expires;
	for (size_t i = 0; i < state->count; i++)
		brunt_pauser_renew(&state->pausers[i], expires);
}

static int pause_poll(void *opaque, struct brunt_hits *ret)
{
	struct pause_state *state = opaque;
	size_t alive = 0;

	memset(ret, 0, sizeof(*ret));
	ret->seen = ret->matched = state->seen;
	ret->hit = state->hit;
	for (size_t i = 0; i < state->count; i++) {
		alive += brunt_process_alive(&state->pausers[i].victim);
		ret->detached |= brunt_pauser_is_lost(&state->pausers[i]);
	}
	ret->detached |= state->cut;
	ret->silent_role = ret->detached ? BRUNT_ROLE_PAUSER : 0;
	ret->lapsed = state->lapsed || (state->expires && state->pausers[0].paused && brunt_now() >= state->expires);
	ret->target_gone = state->count && !alive;
	return 0;
}

static void pause_disarm(void *opaque)
{
	struct pause_state *state = opaque;
	uint64_t until = brunt_now() + RELEASE_WAIT_NS;

	for (size_t i = 0; i < state->count; i++) {
		const struct brunt_pauser *pauser = &state->pausers[i];

		state->cut |= pauser->paused && brunt_pauser_is_lost(pauser) && brunt_process_alive(&pauser->victim);
	}
	for (size_t i = 0; i < state->count; i++)
		brunt_pauser_release(&state->pausers[i]);
	for (size_t i = 0; i < state->count; i++)
		brunt_pauser_reap(&state->pausers[i], until);
	state->expires = 0;
}

static int pause_verify(void *opaque, struct brunt_error *err)
{
	struct pause_state *state = opaque;

	for (size_t i = 0; i < state->count; i++) {
		int rounds = 0;

		while (brunt_pauser_holds(&state->pausers[i])) {
			if (++rounds == VERIFY_ROUNDS)
				return brunt_fail(err, EBUSY, "process %d (%s) is still traced by pauser %d",
						  (int)state->pausers[i].victim.pid, state->pausers[i].victim.name,
						  (int)state->pausers[i].pid);
			usleep(VERIFY_ROUND_US);
		}
	}
	return 0;
}

static void pause_detach(void *opaque)
{
	struct pause_state *state = opaque;

	pause_disarm(state);
	state->count = 0;
	state->victims = NULL;
}

static void pause_unload(void *opaque)
{
	if (opaque)
		pause_detach(opaque);
	free(opaque);
}

static pid_t pause_child(void *opaque)
{
	struct pause_state *state = opaque;

	return state->count && state->pausers[state->count - 1].pidfd >= 0 ? state->pausers[state->count - 1].pid : 0;
}

const struct brunt_injector brunt_fault_process_pause = {
	.name = "process.pause",
	.summary = "each process of the target stands still for a while",
	.undo = BRUNT_UNDO_KERNEL,
	.wants = BRUNT_WANT_PROCESSES,
	.targets = 1 << BRUNT_TARGET_PROCESS | 1 << BRUNT_TARGET_CGROUP | 1 << BRUNT_TARGET_UNIT |
		   1 << BRUNT_TARGET_SERVICE | 1 << BRUNT_TARGET_CONTAINER,
	.capabilities = UINT64_C(1) << CAP_SYS_PTRACE,
	.hit_noun = "processes paused",
	.table = &pause_table,
	.describe = pause_describe,
	.load = pause_load,
	.prepare = pause_prepare,
	.attach = pause_attach,
	.arm = pause_arm,
	.renew = pause_renew,
	.poll = pause_poll,
	.disarm = pause_disarm,
	.verify = pause_verify,
	.detach = pause_detach,
	.unload = pause_unload,
	.child = pause_child,
	.child_role = BRUNT_ROLE_PAUSER,
};
