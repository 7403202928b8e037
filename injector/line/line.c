/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's side of a line. */
#include "line/line.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "line/line_child.h"

/*
 * A line that was told to end and does not was stopped, or hangs. It looks every 20 ms at what it is told, when it gets
 * a CPU; what waits at the end of the linger it has to send first.
 */
#define DROP_MARGIN  (500 * BRUNT_MS)
#define DRAIN_MARGIN (3 * BRUNT_S)

struct brunt_line {
	struct line_control *control;
	pid_t pid; /* 0: none, or reaped */
	int socket;
	uint64_t max_linger;
	uint64_t until;	 /* when it has to have ended; 0: it was not told to */
	uint64_t killed; /* packets that waited in it when it was killed */
};

int brunt_line_supports(const struct brunt_impairment *impairment, struct brunt_error *err)
{
	const char *name = NULL;

	if (impairment->slot.set)
		name = "slot";
	else if (impairment->ecn)
		name = "ecn";
	if (name)
		return brunt_fail(err, ENOTSUP, "the user-space line cannot do '%s': it takes a kernel with sch_netem",
				  name);
	if (impairment->table_size > LINE_TABLE_MAX)
		return brunt_fail(err, E2BIG, "a distribution has at most %d values, not %zu", LINE_TABLE_MAX,
				  impairment->table_size);
	return 0;
}

const char *brunt_line_ceiling(void)
{
	/* Measured by `make bench`: 5.2 microseconds a packet, the receiver's part of the kernel's work included. */
	return "at most about 190,000 packets/s or 8 Gbit/s of TCP";
}

int brunt_line_new(struct brunt_line **ret, struct brunt_error *err)
{
	BRUNT_AUTO_FREE struct brunt_line *line = calloc(1, sizeof(*line));

	if (!line)
		return brunt_fail(err, ENOMEM, "no memory for a line");
	line->socket = -1;
	line->control = mmap(NULL, sizeof(*line->control), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (line->control == MAP_FAILED)
		return brunt_fail(err, ENOMEM, "no shared memory for a line");
	*ret = BRUNT_TAKE_PTR(line);
	return 0;
}

/* The line reads this while it runs: what it copies while the version is odd or changes, it does not use. */
void brunt_line_change(struct brunt_line *line, const struct brunt_impairment *impairment)
{
	struct line_control *control = line->control;
	uint32_t version = control->version;

	__atomic_store_n(&control->version, version + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	control->what = *impairment;
	control->what.table = NULL;
	control->what.slot.table = NULL;
	if (!impairment->table || impairment->table_size > LINE_TABLE_MAX)
		control->what.table_size = 0;
	if (control->what.table_size)
		memcpy(control->table, impairment->table, impairment->table_size * sizeof(*control->table));
	__atomic_store_n(&control->version, version + 2, __ATOMIC_RELEASE);
}

static int await_ready(struct brunt_line *line, uint64_t deadline, struct brunt_error *err)
{
	struct pollfd event = { .fd = line->socket, .events = POLLIN };
	const uint64_t now = brunt_now();
	struct line_ready ready;

	if (poll(&event, 1, deadline > now ? (int)((deadline - now + BRUNT_MS - 1) / BRUNT_MS) : 0) <= 0)
		return brunt_fail(err, ETIMEDOUT, "the line does not begin to work");
	if (recv(line->socket, &ready, sizeof(ready), MSG_DONTWAIT) != (ssize_t)sizeof(ready))
		return brunt_fail(err, EPIPE, "the line ended as it began");
	return ready.code ? brunt_fail(err, ready.code, "%.159s", ready.text) : 0;
}

static void end_now(struct brunt_line *line)
{
	if (line->socket >= 0)
		close(line->socket);
	line->socket = -1;
	if (line->pid <= 0)
		return;
	/* Not reaped yet: the pid is still its own. */
	(void)kill(line->pid, SIGKILL);
	(void)waitpid(line->pid, NULL, 0);
	line->pid = 0;
}

int brunt_line_fork(struct brunt_line *line, int tap, const int *keep, size_t count,
		    const struct brunt_impairment *impairment, uint64_t max_linger, struct brunt_error *err)
{
	int pair[2], r = brunt_line_supports(impairment, err);

	if (r)
		return r;
	if (count > BRUNT_LINE_KEEP_MAX)
		return brunt_fail(err, E2BIG, "a line can keep %d descriptors, not %zu", BRUNT_LINE_KEEP_MAX, count);
	if (line->pid)
		return brunt_fail(err, EBUSY, "the line runs already");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return brunt_fail(err, errno, "cannot make a socket for the line: %s", strerror(errno));
	line->control->order = LINE_RUN;
	line->max_linger = max_linger;
	line->until = 0;
	brunt_line_change(line, impairment);
	line->pid = fork();
	if (!line->pid)
		line_main(line->control, tap, pair[1], keep, count, max_linger);
	close(pair[1]);
	line->socket = pair[0];
	if (line->pid < 0) {
		r = brunt_fail(err, errno, "cannot fork the line: %s", strerror(errno));
		line->pid = 0;
		end_now(line);
	}
	return r;
}

int brunt_line_await(struct brunt_line *line, uint64_t deadline, struct brunt_error *err)
{
	int r = await_ready(line, deadline, err);

	if (r)
		end_now(line);
	return r;
}

bool brunt_line_alive(const struct brunt_line *line, uint64_t max_silence)
{
	uint64_t beat = __atomic_load_n(&line->control->beat, __ATOMIC_ACQUIRE), now = brunt_now();

	siginfo_t ended = { 0 };

	if (!line->pid || (beat < now && now - beat > max_silence))
		return false;
	/* One that was killed is known at once; it is reaped elsewhere. */
	return waitid(P_PID, (id_t)line->pid, &ended, WEXITED | WNOHANG | WNOWAIT) || !ended.si_pid;
}

void brunt_line_read(const struct brunt_line *line, struct brunt_line_stats *ret)
{
	const uint64_t *from = (const uint64_t *)&line->control->stats;
	uint64_t *to = (uint64_t *)ret;

	for (size_t i = 0; i < sizeof(*ret) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	ret->failed += line->killed;
}

void brunt_line_stop(struct brunt_line *line, bool drain)
{
	__atomic_store_n(&line->control->order, drain ? LINE_DRAIN : LINE_DROP, __ATOMIC_RELEASE);
	line->until = brunt_now() + (drain ? line->max_linger + DRAIN_MARGIN : DROP_MARGIN);
	if (line->socket >= 0)
		close(line->socket);
	line->socket = -1;
}

uint64_t brunt_line_hurry(struct brunt_line *line)
{
	struct brunt_line_stats stats;

	if (!line->pid || __atomic_load_n(&line->control->order, __ATOMIC_ACQUIRE) != LINE_DRAIN)
		return 0;
	brunt_line_read(line, &stats);
	__atomic_store_n(&line->control->order, LINE_DROP, __ATOMIC_RELEASE);
	line->until = brunt_now() + DROP_MARGIN;
	return stats.waiting;
}

pid_t brunt_line_pid(const struct brunt_line *line)
{
	return line->pid;
}

/* It is reaped at a later look. */
static void kill_late(struct brunt_line *line)
{
	line->killed += brunt_line_hurry(line);
	/* Not reaped yet: the pid is still its own. */
	(void)kill(line->pid, SIGKILL);
}

int brunt_line_ended(struct brunt_line *line)
{
	pid_t ended = line->pid ? waitpid(line->pid, NULL, WNOHANG) : 0;

	if (ended == line->pid || (ended < 0 && errno == ECHILD))
		line->pid = 0;
	if (line->pid && line->until && brunt_now() > line->until)
		kill_late(line);
	return line->pid ? -EAGAIN : 0;
}

void brunt_line_free(struct brunt_line *line)
{
	if (!line)
		return;
	end_now(line);
	(void)munmap(line->control, sizeof(*line->control));
	free(line);
}
