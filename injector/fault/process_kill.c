/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.kill: a signal to each victim, through its pidfd, so that a later
 * process of the same pid is never hit.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "brunt/units.h"

/* A killed process is gone within microseconds; what takes longer is cleaning up after itself. */
#define WAIT_FOR_DEATH_MS 20

struct kill_params {
	int signal;
};

struct kill_state {
	const struct kill_params *params;
	const struct brunt_victims *victims;
	uint64_t seen; /* victims so far */
	uint64_t sent; /* signals that arrived */
	uint64_t died; /* within WAIT_FOR_DEATH_MS */
	uint64_t gone; /* were dead before */
};

static const struct brunt_param kill_params[] = {
	BRUNT_SIGNAL(struct kill_params, signal, .def = "SIGKILL", .help = "the signal to send"),
	{ 0 },
};

static const struct brunt_table kill_table = {
	.name = "process.kill",
	.help = "a signal to each process of the target",
	.params = kill_params,
	.size = sizeof(struct kill_params),
};

static int kill_probe(struct brunt_error *err)
{
	/* pidfd_send_signal() is of Linux 5.1; with a bad descriptor it only says whether it is there */
	if (syscall(SYS_pidfd_send_signal, -1, 0, NULL, 0) && errno == ENOSYS)
		return brunt_fail(err, ENOTSUP, "this kernel has no pidfd_send_signal (needs Linux 5.1)");
	return 0;
}

static int kill_validate(const void *params, int kind, struct brunt_error *err)
{
	const struct kill_params *p = params;

	(void)kind;
	if (p->signal == SIGSTOP || p->signal == SIGTSTP || p->signal == SIGTTIN || p->signal == SIGTTOU)
		return brunt_fail(err, EINVAL, "nothing would ever continue a process stopped by %s; use process.pause",
				  brunt_signal_name(p->signal));
	return 0;
}

static void kill_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf, size_t size)
{
	const struct kill_params *params = fault->params;
	const char *name = brunt_signal_name(params->signal);
	char number[16];

	(void)snprintf(number, sizeof(number), "signal %d", params->signal);
	if (victims && victims->process_count)
		(void)snprintf(buf, size, "%s to %zu process%s", name ?: number, victims->process_count,
			       victims->process_count == 1 ? "" : "es");
	else
		(void)snprintf(buf, size, "%s", name ?: number);
}

static int kill_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		     struct brunt_error *err)
{
	struct kill_state *state = calloc(1, sizeof(*state));

	(void)context;
	if (!state)
		return brunt_fail(err, ENOMEM, "no memory for process.kill");
	state->params = fault->params;
	*ret_state = state;
	return 0;
}

static int kill_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
			struct brunt_error *err)
{
	struct kill_state *state = opaque;

	if (!victims->process_count)
		return brunt_fail(err, ESRCH, "the target has no processes to signal");
	state->victims = victims;
	ret_undo->version = 1;
	return 0;
}

/* 0, -ESRCH when it had ended, -EPERM, -errno. */
static int signal_one(const struct brunt_process *process, int signal, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int own = -1;
	int fd = process->pidfd;

	if (fd < 0) {
		/* Opened first, then compared: what the descriptor names cannot change any more. */
		own = fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
		if (fd < 0 && errno != ESRCH)
			return brunt_fail(err, errno, "cannot open process %d (%s): %s", (int)process->pid,
					  process->name, strerror(errno));
	}
	if (fd < 0 || !brunt_process_alive(process))
		return -ESRCH;
	if (!syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0))
		return 0;
	if (errno == ESRCH)
		return -ESRCH;
	return brunt_fail(err, errno, "cannot signal process %d (%s): %s%s", (int)process->pid, process->name,
			  strerror(errno), errno == EPERM ? "; needs CAP_KILL" : "");
}

static void count_deaths(struct kill_state *state)
{
	uint64_t deadline = brunt_now() + WAIT_FOR_DEATH_MS * BRUNT_MS;

	for (size_t i = 0; i < state->victims->process_count; i++) {
		const struct brunt_process *process = &state->victims->processes[i];
		struct pollfd event = { .fd = process->pidfd, .events = POLLIN };
		uint64_t now = brunt_now();

		if (process->pidfd >= 0)
			(void)poll(&event, 1, now < deadline ? (int)((deadline - now) / BRUNT_MS) : 0);
		state->died += !brunt_process_alive(process);
	}
}

/* All are signalled, whatever happens to one of them; then it is told. */
static int kill_arm(void *opaque, uint64_t expires, struct brunt_error *err)
{
	struct kill_state *state = opaque;
	uint64_t sent = 0;
	int failure = 0;

	(void)expires;
	for (size_t i = 0; i < state->victims->process_count; i++) {
		int r = signal_one(&state->victims->processes[i], state->params->signal, failure ? NULL : err);

		state->seen++;
		sent += !r;
		state->gone += r == -ESRCH;
		if (r && r != -ESRCH && !failure)
			failure = r;
	}
	state->sent += sent;
	if (sent && state->params->signal == SIGKILL)
		count_deaths(state);
	if (!failure && !sent)
		return brunt_fail(err, ESRCH, "every process of the target had ended before it was signalled");
	return failure;
}

static int kill_poll(void *opaque, struct brunt_hits *ret)
{
	struct kill_state *state = opaque;

	memset(ret, 0, sizeof(*ret));
	ret->seen = state->seen;
	ret->matched = state->seen - state->gone;
	ret->hit = state->sent;
	if (state->gone)
		(void)snprintf(ret->near_miss, sizeof(ret->near_miss), "%" PRIu64 " had ended before the signal",
			       state->gone);
	else if (state->params->signal == SIGKILL && state->died < state->sent)
		(void)snprintf(ret->near_miss, sizeof(ret->near_miss),
			       "%" PRIu64 " of %" PRIu64 " were not gone after %d ms", state->sent - state->died,
			       state->sent, WAIT_FOR_DEATH_MS);
	return 0;
}

static void kill_unload(void *opaque)
{
	free(opaque);
}

const struct brunt_injector brunt_fault_process_kill = {
	.name = "process.kill",
	.summary = "a signal, SIGKILL unless told otherwise, to each process of the target",
	.undo = BRUNT_UNDO_EVENT,
	.instant = true,
	.wants = BRUNT_WANT_PROCESSES,
	.targets = 1 << BRUNT_TARGET_PROCESS | 1 << BRUNT_TARGET_CGROUP | 1 << BRUNT_TARGET_UNIT |
		   1 << BRUNT_TARGET_SERVICE | 1 << BRUNT_TARGET_CONTAINER,
	.capabilities = UINT64_C(1) << CAP_KILL,
	.hit_noun = "processes signalled",
	.table = &kill_table,
	.probe = kill_probe,
	.validate = kill_validate,
	.describe = kill_describe,
	.load = kill_load,
	.prepare = kill_prepare,
	.arm = kill_arm,
	.poll = kill_poll,
	.unload = kill_unload,
};
