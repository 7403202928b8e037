/* SPDX-License-Identifier: Apache-2.0 */
/* Taking hold of a thread, until it stands still. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/target.h"
#include "brunt/units.h"
#include "syscall/graft_parts.h"
#include "target/proc.h"

/* The kernel tells of a stop by SIGCHLD, which ends a nap; it does not of a leader that exited (delay_group_leader()). */
#define NAP_NS (5 * BRUNT_MS)

static int gone(const struct brunt_grip *grip, struct brunt_error *err)
{
	return brunt_fail(err, ESRCH, "process %d (%s) is gone", (int)grip->process->pid, grip->process->name);
}

/* Waits for SIGCHLD, which is blocked, or until a nap is over. */
static void nap(void)
{
	struct timespec time = { .tv_nsec = NAP_NS };
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	(void)sigtimedwait(&signals, NULL, &time);
}

static bool has_exited(const struct brunt_grip *grip)
{
	struct brunt_proc_stat stat;
	char path[64], text[1024];

	(void)snprintf(path, sizeof(path), "task/%d/stat", (int)grip->tid);
	if (brunt_proc_read(grip->proc_dir, grip->process->pid, path, text, sizeof(text)) <= 0)
		return true;
	return !brunt_proc_stat_parse(text, &stat) && (stat.state == 'Z' || stat.state == 'X');
}

/* The next stop: 0, -ESRCH when the thread ended, -ETIMEDOUT. */
static int await(struct brunt_grip *grip, uint64_t until, int *ret_status)
{
	for (;;) {
		pid_t pid = waitpid(grip->tid, ret_status, __WALL | WNOHANG);

		if (pid == grip->tid)
			return WIFSTOPPED(*ret_status) ? 0 : -ESRCH;
		if (pid < 0 && errno != EINTR)
			return -ESRCH; /* ECHILD: an execve() of another thread made it vanish */
		if (has_exited(grip)) {
			/* since the look before this one; a thread that its tracer does not wait for keeps its process */
			(void)waitpid(grip->tid, ret_status, __WALL | WNOHANG);
			return -ESRCH;
		}
		if (brunt_now() >= until)
			return -ETIMEDOUT;
		nap();
	}
}

/* Is the thread just seized one of the process that is meant? Once seized, neither number can come to mean another. */
static bool is_meant(const struct brunt_grip *grip)
{
	struct pollfd ended = { .fd = grip->pidfd, .events = POLLIN };
	struct brunt_proc_stat stat;
	char path[64], text[1024];

	(void)snprintf(path, sizeof(path), "task/%d/stat", (int)grip->tid);
	return brunt_proc_read(grip->proc_dir, grip->process->pid, path, text, sizeof(text)) > 0 &&
	       !brunt_proc_stat(grip->proc_dir, grip->process->pid, &stat) && stat.start == grip->process->start &&
	       poll(&ended, 1, 0) == 0;
}

/* Seizes a thread that lives. 0, -EAGAIN when it died in that moment, -errno. */
static int seize(struct brunt_grip *grip, struct brunt_error *err)
{
	const struct brunt_process *process = grip->process;
	int rc = brunt_graft_thread(grip->proc_dir, process->pid, &grip->tid);

	if (rc == -ESRCH)
		return gone(grip, err);
	if (rc)
		return brunt_fail(err, -rc, "cannot read the threads of process %d (%s): %s", (int)process->pid,
				  process->name, strerror(-rc));
	if (ptrace(PTRACE_SEIZE, grip->tid, NULL, NULL)) {
		int code = errno;

		/* EPERM is said of one that exited, too: ptrace_attach(). */
		if (code == ESRCH || has_exited(grip))
			return -EAGAIN;
		return brunt_fail(
			err, code,
			"process %d (%s) may not be traced (%s): run brunt as root, and end a debugger's hold on it",
			(int)process->pid, process->name, strerror(code));
	}
	return is_meant(grip) ? 0 : gone(grip, err);
}

static bool is_group_stop(int status)
{
	return status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP;
}

/*
 * Has it stop. A signal that it was about to take goes on its way: the stop then comes at the handler's first
 * instruction. 0, -EAGAIN when it died, -errno.
 */
static int stop(struct brunt_grip *grip, uint64_t until, struct brunt_error *err)
{
	const struct brunt_process *process = grip->process;
	int status, rc;

	grip->since = brunt_now();
	if (ptrace(PTRACE_INTERRUPT, grip->tid, NULL, NULL))
		return -EAGAIN;
	for (;;) {
		rc = await(grip, until, &status);
		if (rc == -ETIMEDOUT)
			return brunt_fail(err, ETIMEDOUT, "process %d (%s) does not stop: a call of it does not end",
					  (int)process->pid, process->name);
		if (rc)
			return -EAGAIN;
		if (status >> 16 == PTRACE_EVENT_STOP)
			break;
		(void)ptrace(PTRACE_CONT, grip->tid, NULL, (void *)(long)(status >> 16 ? 0 : WSTOPSIG(status)));
	}
	if (is_group_stop(status)) {
		/* Detached from in a group stop, it stays stopped: __ptrace_unlink(). */
		(void)ptrace(PTRACE_DETACH, grip->tid, NULL, NULL);
		return brunt_fail(err, EBUSY, "process %d (%s) is stopped: continue it first", (int)process->pid,
				  process->name);
	}
	grip->held = true;
	return 0;
}

/* What was found in the meantime may be of the program before an execve(). */
static int check(struct brunt_grip *grip, struct brunt_error *err)
{
	const struct brunt_process *process = grip->process;
	unsigned char bytes[BRUNT_MACHINE_INSTRUCTION_SIZE];
	int rc = brunt_machine_get(grip->tid, &grip->machine);

	if (rc)
		return -EAGAIN;
	if (brunt_machine_heal(&grip->machine) && brunt_machine_set(grip->tid, &grip->machine))
		return -EAGAIN;
	if (!brunt_machine_is_native(&grip->machine))
		return brunt_fail(err, ENOTSUP, "process %d (%s) runs 32-bit code: only 64-bit programs can be hit",
				  (int)process->pid, process->name);
	if (brunt_graft_memory(grip->proc_dir, grip->tid, false, grip->instruction, bytes, sizeof(bytes)) ||
	    memcmp(bytes, BRUNT_MACHINE_INSTRUCTION, sizeof(bytes)) != 0)
		return -EAGAIN;
	return 0;
}

static int take(struct brunt_grip *grip, uint64_t until, struct brunt_error *err)
{
	const struct brunt_process *process = grip->process;
	pid_t tid;
	int rc = brunt_graft_thread(grip->proc_dir, process->pid, &tid);

	if (!rc)
		rc = brunt_graft_instruction(grip->proc_dir, tid, &grip->instruction);
	if (rc == -ESRCH)
		return -EAGAIN; /* a thread that ended just now has no memory */
	if (rc == -ENOENT)
		return brunt_fail(err, ENOTSUP, "process %d (%s) has no code that could call the kernel",
				  (int)process->pid, process->name);
	if (rc)
		return brunt_fail(err, -rc, "cannot read the memory of process %d (%s): %s", (int)process->pid,
				  process->name, strerror(-rc));
	rc = seize(grip, err);
	if (!rc)
		rc = stop(grip, until, err);
	if (!rc)
		rc = check(grip, err);
	if (rc && grip->held)
		(void)brunt_grip_release(grip);
	return rc;
}

int brunt_grip_take(struct brunt_grip *grip, uint64_t until, struct brunt_error *err)
{
	for (;;) {
		int rc = take(grip, until, err);
		struct pollfd ended = { .fd = grip->pidfd, .events = POLLIN };

		if (rc != -EAGAIN)
			return rc;
		if (poll(&ended, 1, 0) != 0)
			return gone(grip, err);
		if (brunt_now() >= until)
			return brunt_fail(err, ETIMEDOUT, "process %d (%s) has no thread that lives long enough",
					  (int)grip->process->pid, grip->process->name);
		nap();
	}
}
