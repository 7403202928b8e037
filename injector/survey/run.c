/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of the command, in a process of its own: it starts the keeper and the
 * command under its filter, collects what that says, ends it when its time is
 * over, kills all that it leaves, and lets the check have its say. SIGTERM, which
 * also comes when the survey dies, ends everything at once.
 */
#include "survey/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/units.h"
#include "syscall/wrap.h"

/* Nothing depends on the keeper's quick recovery here: a run whose keeper dies is made again. */
#define KEEPER_LEASE (20 * BRUNT_S)
#define TERM_GRACE   (5 * BRUNT_S)
#define DRAIN	     (1 * BRUNT_S)
#define ARMED_BEYOND (60 * BRUNT_S)

struct run {
	const struct survey_task *task;
	struct survey_board *board;
	struct brunt_keep keep;
	int signals;
	char folder[4096]; /* a copy; "" for none */
	pid_t leader;
	int pidfd;
	int out, err; /* the pipes' ends */
};

void survey_text_begin(struct brunt_survey_text *text)
{
	*text = (struct brunt_survey_text){ .hash = UINT64_C(0xcbf29ce484222325) };
}

/* FNV-1a, 64 bits. */
void survey_text_add(struct brunt_survey_text *text, char *kept, const char *bytes, size_t size)
{
	size_t room = BRUNT_SURVEY_KEPT - text->kept;

	for (size_t i = 0; i < size; i++)
		text->hash = (text->hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
	text->size += size;
	if (room > size)
		room = size;
	memcpy(kept + text->kept, bytes, room);
	text->kept += room;
}

struct brunt_survey_end survey_board_end(const struct survey_board *board)
{
	struct brunt_survey_end end = board->end;

	end.out.text = board->out;
	end.err.text = board->err;
	end.checked.text = board->checked;
	return end;
}

/* ---- the end ---- */

/* Keeper and guardian end by themselves with the last process that has the filter. */
static void leave(struct run *run)
{
	const struct timespec nap = { .tv_nsec = 200000 };
	uint64_t until = brunt_now() + DRAIN;

	brunt_keep_leave(&run->keep);
	while (waitpid(-1, NULL, WNOHANG) >= 0 && brunt_now() < until)
		(void)nanosleep(&nap, NULL);
	survey_kill_children(0);
	if (run->folder[0]) {
		(void)!chdir("/");
		survey_tree_remove(run->folder);
	}
}

static pid_t keeper_of(const struct run *run)
{
	return run->keep.shared ? brunt_keep_pid(&run->keep) : 0;
}

static void __attribute__((noreturn)) stop_here(struct run *run)
{
	survey_kill_children(keeper_of(run));
	leave(run);
	_exit(1);
}

/* ---- beginning ---- */

static int enter(struct run *run, pid_t parent, struct brunt_error *err)
{
	sigset_t set;

	/* not in the terminal's process group: Ctrl-C is for the survey, which tells this one */
	(void)setsid();
	/* who is asked to ignore it has no children to wait for */
	(void)signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signals < 0)
		return brunt_fail(err, errno, "cannot hear of signals: %s", strerror(errno));
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0))
		return brunt_fail(err, errno, "cannot become the one who cleans up: %s", strerror(errno));
	if (getppid() != parent)
		_exit(1);
	/* what the keeper and the command do not need, and the keeper would lock into memory */
	(void)madvise(run->board, sizeof(*run->board), MADV_DONTFORK);
	return 0;
}

static int make_folder(struct run *run, struct brunt_error *err)
{
	const struct survey_task *task = run->task;
	int r;

	if (!task->base)
		return 0;
	(void)snprintf(run->folder, sizeof(run->folder), "%s/%u", task->base, task->slot);
	if (mkdir(run->folder, 0700))
		return brunt_fail(err, errno, "cannot make '%s': %s", run->folder, strerror(errno));
	r = survey_tree_copy(task->options->dir, run->folder, task->base, err);
	if (!r && chdir(run->folder))
		r = brunt_fail(err, errno, "cannot change to '%s': %s", run->folder, strerror(errno));
	return r;
}

static int add_rules(struct run *run, struct brunt_error *err)
{
	uint64_t expires = brunt_now() + run->task->timeout + run->task->options->period + ARMED_BEYOND;
	int r = 0;

	for (size_t i = 0; !r && i < run->task->rule_count; i++) {
		r = brunt_keep_add(&run->keep, &run->task->rules[i], err);
		r = r > 0 ? 0 : r;
		if (!r)
			brunt_keep_arm(&run->keep, (unsigned)i, expires);
	}
	return r;
}

static bool asks_about_yield(const struct survey_task *task)
{
	const struct brunt_call *yield = brunt_call_find("sched_yield");

	for (size_t i = 0; yield && i < task->rule_count; i++)
		if (brunt_call_set_has(&task->rules[i].calls, brunt_call_index(yield)))
			return true;
	return !yield;
}

static int start(struct run *run, struct brunt_error *err)
{
	BRUNT_AUTO_FREE struct sock_filter *filter = NULL;
	BRUNT_AUTO_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct sock_fprog program = { 0 };
	struct brunt_identity identity;
	int out[2], errors[2], r;
	size_t count;

	if (null < 0 || pipe2(out, O_CLOEXEC))
		return brunt_fail(err, errno, "cannot make a pipe: %s", strerror(errno));
	run->out = out[0];
	if (pipe2(errors, O_CLOEXEC)) {
		(void)close(out[1]);
		return brunt_fail(err, errno, "cannot make a pipe: %s", strerror(errno));
	}
	run->err = errors[0];
	r = brunt_identity_get(&identity, err);
	r = r ?: brunt_keep_start(&identity, KEEPER_LEASE, &run->keep, err);
	r = r ?: add_rules(run, err);
	r = r ?: brunt_keep_filter(&run->keep, &filter, &count, err);
	if (!r) {
		const struct brunt_wrap wrap = {
			.argv = run->task->options->argv,
			.stdio = { null, out[1], errors[1] },
			.own_session = true,
			.dies_with_caller = true,
			.filter = &program,
			.keep = &run->keep,
			.may_yield = !asks_about_yield(run->task),
			.rules = (uint32_t)((UINT64_C(1) << run->task->rule_count) - 1),
		};

		program = (struct sock_fprog){ (unsigned short)count, filter };
		r = brunt_wrap_start(&wrap, &run->leader, err);
	}
	(void)close(out[1]);
	(void)close(errors[1]);
	if (!r) {
		run->pidfd = (int)syscall(SYS_pidfd_open, run->leader, 0);
		if (run->pidfd < 0)
			r = brunt_fail(err, errno, "cannot watch the command: %s", strerror(errno));
	}
	return r;
}

/* ---- collecting ---- */

/* false: nothing will come any more. */
static bool take(int *fd, struct brunt_survey_text *text, char *kept)
{
	char part[65536];
	ssize_t size = read(*fd, part, sizeof(part));

	if (size > 0) {
		survey_text_add(text, kept, part, (size_t)size);
		return true;
	}
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	(void)close(*fd);
	*fd = -1;
	return false;
}

static int left_ms(uint64_t until)
{
	uint64_t now = brunt_now();
	uint64_t left = until > now ? (until - now + BRUNT_MS - 1) / BRUNT_MS : 0;

	return left > 60000 ? 60000 : (int)left;
}

/* Waits for an event until then; true: the leader's end, or time is over. */
static bool collect(struct run *run, uint64_t until, bool leader)
{
	struct brunt_survey_end *end = &run->board->end;
	struct pollfd events[] = {
		{ .fd = run->out, .events = POLLIN },
		{ .fd = run->err, .events = POLLIN },
		{ .fd = run->signals, .events = POLLIN },
		{ .fd = leader ? run->pidfd : -1, .events = POLLIN },
	};

	if (poll(events, BRUNT_COUNT(events), left_ms(until)) < 0)
		return false;
	if (events[2].revents)
		stop_here(run);
	if (events[0].revents)
		(void)take(&run->out, &end->out, run->board->out);
	if (events[1].revents)
		(void)take(&run->err, &end->err, run->board->err);
	return events[3].revents || brunt_now() >= until || (!leader && run->out < 0 && run->err < 0);
}

static bool leader_is_over(struct run *run)
{
	siginfo_t info = { 0 };
	int status;

	if (waitid(P_PIDFD, (id_t)run->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
		return false;
	(void)waitpid(run->leader, &status, 0);
	run->board->end.status = status;
	return true;
}

static void await(struct run *run)
{
	struct brunt_survey_end *end = &run->board->end;
	uint64_t period = run->task->options->period, began = brunt_now();
	uint64_t until = began + (period ? period : run->task->timeout);

	while (!leader_is_over(run)) {
		if (!collect(run, until, true) || brunt_now() < until)
			continue;
		if (period && !end->by_us) {
			end->by_us = true;
			(void)kill(run->leader, SIGTERM);
			until = brunt_now() + TERM_GRACE;
		} else {
			end->timed_out = true;
			(void)kill(-run->leader, SIGKILL);
			(void)kill(run->leader, SIGKILL);
			(void)waitpid(run->leader, &end->status, 0);
			break;
		}
	}
	end->duration = brunt_now() - began;
	survey_kill_children(keeper_of(run));
	until = brunt_now() + DRAIN;
	while ((run->out >= 0 || run->err >= 0) && !collect(run, until, false))
		;
}

static void count(struct run *run)
{
	struct brunt_keep_counts counts;

	for (size_t i = 0; i < run->task->rule_count; i++) {
		brunt_keep_read(&run->keep, (unsigned)i, &counts);
		run->board->matched[i] = counts.matched;
		run->board->hit[i] = counts.hit;
		run->board->lost |= counts.lapsed;
	}
	for (unsigned i = 0; i < BRUNT_CALLS_MAX; i++)
		run->board->calls[i] = brunt_keep_calls(&run->keep, i);
	run->board->end.matched = run->board->matched[0];
	run->board->end.hit = run->board->hit[0];
	run->board->lost |= brunt_keep_is_lost(&run->keep);
}

/* ---- the check ---- */

static void __attribute__((noreturn)) become_check(const char *line, int out)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)dup2(null, 0);
	(void)dup2(out, 1);
	(void)dup2(out, 2);
	(void)execl("/bin/sh", "sh", "-c", line, (char *)NULL);
	_exit(127);
}

static int check(struct run *run, struct brunt_error *err)
{
	struct survey_board *board = run->board;
	const struct timespec nap = { .tv_nsec = 200000 };
	uint64_t until = brunt_now() + run->task->timeout;
	bool over = false;
	int ends[2];
	pid_t pid;

	if (!run->task->options->check)
		return 0;
	if (pipe2(ends, O_CLOEXEC))
		return brunt_fail(err, errno, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (!pid)
		become_check(run->task->options->check, ends[1]);
	(void)close(ends[1]);
	if (pid < 0) {
		(void)close(ends[0]);
		return brunt_fail(err, errno, "cannot fork: %s", strerror(errno));
	}
	while (!over && ends[0] >= 0) {
		struct pollfd events[] = { { ends[0], POLLIN, 0 }, { run->signals, POLLIN, 0 } };

		(void)poll(events, BRUNT_COUNT(events), left_ms(until));
		over = brunt_now() >= until; /* however much it writes */
		if (events[1].revents)
			stop_here(run);
		if (events[0].revents)
			(void)take(&ends[0], &board->end.checked, board->checked);
	}
	/* it may have closed its output and go on */
	while (!waitpid(pid, &board->end.check, WNOHANG)) {
		struct pollfd told = { run->signals, POLLIN, 0 };

		if (brunt_now() >= until)
			(void)kill(pid, SIGKILL);
		if (ppoll(&told, 1, &nap, NULL) > 0)
			stop_here(run);
	}
	if (ends[0] >= 0)
		(void)close(ends[0]);
	survey_kill_children(keeper_of(run));
	return 0;
}

/* ---- the whole ---- */

static void __attribute__((noreturn)) life(const struct survey_task *task, struct survey_board *board, pid_t parent)
{
	struct run run = {
		.task = task, .board = board, .keep = BRUNT_KEEP_NONE, .signals = -1, .pidfd = -1, .out = -1, .err = -1
	};

	if (enter(&run, parent, &board->why) || make_folder(&run, &board->why) || start(&run, &board->why))
		stop_here(&run);
	await(&run);
	count(&run);
	if (check(&run, &board->why))
		stop_here(&run);
	leave(&run);
	board->finished = true;
	_exit(0);
}

int survey_run_start(const struct survey_task *task, struct survey_board *board, pid_t *ret_pid,
		     struct brunt_error *err)
{
	pid_t parent = getpid(), pid;
	int pidfd;

	memset(board, 0, offsetof(struct survey_board, out));
	survey_text_begin(&board->end.out);
	survey_text_begin(&board->end.err);
	survey_text_begin(&board->end.checked);
	pid = fork();
	if (!pid)
		life(task, board, parent);
	if (pid < 0)
		return brunt_fail(err, errno, "cannot fork: %s", strerror(errno));
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		int code = errno;

		(void)kill(pid, SIGTERM);
		(void)waitpid(pid, NULL, 0);
		return brunt_fail(err, code, "cannot watch a run: %s", strerror(code));
	}
	*ret_pid = pid;
	return pidfd;
}
