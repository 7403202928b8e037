/* SPDX-License-Identifier: Apache-2.0 */
/* Identity of one process: a pid alone may mean another process by the time it is used. */
#include "brunt/target.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "target/proc.h"

bool brunt_process_alive(const struct brunt_process *process)
{
	BRUNT_AUTO_CLOSE int dir = -1;
	struct brunt_proc_stat stat;

	if (process->pidfd >= 0) {
		struct pollfd poll_fd = { .fd = process->pidfd, .events = POLLIN };

		/* Readable once the last thread has ended, reaped or not: pidfd_open(2). */
		return poll(&poll_fd, 1, 0) == 0;
	}
	if (process->pid <= 0)
		return false;
	dir = brunt_proc_open("/proc", NULL);
	if (dir < 0 || brunt_proc_stat(dir, process->pid, &stat))
		return false;
	return stat.start == process->start && brunt_proc_stat_alive(&stat);
}

static int gone(pid_t pid, struct brunt_error *err)
{
	return brunt_fail(err, ESRCH, "process %d is gone", (int)pid);
}

int brunt_process_identify(const char *proc, pid_t pid, bool open, struct brunt_process *ret, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int dir = -1;
	BRUNT_AUTO_CLOSE int pidfd = -1;
	struct brunt_proc_stat stat;
	int rc;

	if (pid <= 0)
		return gone(pid, err);
	dir = brunt_proc_open(proc, err);
	if (dir < 0)
		return dir;
	/*
	 * First the pidfd, then the start time: if the process was still there for the second, both are of one and
	 * the same, since its pid cannot be given away before it is gone.
	 */
	if (open) {
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (pidfd < 0 && (errno == ESRCH || errno == EINVAL))
			return gone(pid, err); /* EINVAL: a thread, not a process */
		if (pidfd < 0)
			return brunt_fail(err, errno, "cannot open a pidfd of process %d: %s", (int)pid,
					  strerror(errno));
	}
	rc = brunt_proc_stat(dir, pid, &stat);
	if (rc == -ESRCH || (!rc && !brunt_proc_stat_alive(&stat)))
		return gone(pid, err);
	if (rc)
		return brunt_fail(err, -rc, "cannot read '%s/%d/stat': %s", proc, (int)pid, strerror(-rc));
	if (open) {
		struct brunt_process held = { .pid = pid, .pidfd = pidfd };

		/* The stat may be of a successor if ours died in between: then the pidfd says so now. */
		if (!brunt_process_alive(&held))
			return gone(pid, err);
	}
	*ret = (struct brunt_process){ .pid = pid, .start = stat.start, .pidfd = BRUNT_TAKE_FD(pidfd) };
	memcpy(ret->name, stat.comm, sizeof(ret->name));
	brunt_text_clean(ret->name);
	return 0;
}
