/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the listener gets out of a process that must not make a system call once
 * the filter is there (each could be one that it asks about, and nobody would
 * answer yet): a helper shares its table of descriptors with the child. The
 * child installs the filter, and the listener is in the helper's table, too;
 * its number goes through shared memory. The helper hands it to the keeper, and
 * lets the child go, by shared memory again; execve() gives the child a table of
 * its own (execve(2)), and the listener is close-on-exec.
 *
 *   caller --fork--> helper --clone(CLONE_FILES | CLONE_PARENT)--> child --execve--> program
 *
 * Whether the program was executed is known when a pipe that only the child has
 * open still, close-on-exec, is at its end.
 */
#include "syscall/wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#define START_WAIT (20 * BRUNT_S)

enum stage { STAGE_BEGUN, STAGE_FILTERED, STAGE_GO, STAGE_FAILED };

/* What caller, helper and child share. */
struct board {
	uint32_t stage;
	int32_t listener;
	int32_t code; /* errno of what failed */
	pid_t child;
	struct brunt_error why;
};

static enum stage stage_of(const struct board *board)
{
	return (enum stage)__atomic_load_n(&board->stage, __ATOMIC_ACQUIRE);
}

static void set_stage(struct board *board, enum stage stage)
{
	__atomic_store_n(&board->stage, stage, __ATOMIC_RELEASE);
}

static void nap(void)
{
	const struct timespec pause = { .tv_nsec = 50 * (long)BRUNT_US };

	(void)nanosleep(&pause, NULL);
}

/* As execvp(3) would, but beforehand, so that what is wrong can be said. */
static int find_program(const char *name, char *buf, size_t size, struct brunt_error *err)
{
	const char *path = getenv("PATH");
	bool denied = false;
	struct stat st;

	if (strchr(name, '/')) {
		(void)snprintf(buf, size, "%s", name);
		if (stat(buf, &st))
			return brunt_fail(err, errno, "cannot run '%s': %s", name, strerror(errno));
		if (S_ISDIR(st.st_mode) || access(buf, X_OK))
			return brunt_fail(err, EACCES, "cannot run '%s': it is not a program", name);
		return 0;
	}
	for (const char *at = path && *path ? path : "/usr/bin:/bin"; at;) {
		size_t length = strcspn(at, ":");

		(void)snprintf(buf, size, "%.*s%s%s", (int)length, at, length ? "/" : "", name);
		if (!stat(buf, &st) && S_ISREG(st.st_mode)) {
			if (!access(buf, X_OK))
				return 0;
			denied = true;
		}
		at = at[length] ? at + length + 1 : NULL;
	}
	return brunt_fail(err, denied ? EACCES : ENOENT, denied ? "may not run '%s'" : "there is no command '%s'",
			  name);
}

/* ---- the child ---- */

static void __attribute__((noreturn)) give_up(struct board *board, int code)
{
	board->code = code;
	set_stage(board, STAGE_FAILED);
	_exit(127);
}

/* By one system call at most. Where processors are few, who only spins keeps the keeper from its work. */
static void wait_a_little(bool may_yield)
{
	if (may_yield)
		(void)syscall(SYS_sched_yield);
	else
		__asm__ volatile("" ::: "memory");
}

static void __attribute__((noreturn))
child(const struct brunt_wrap *wrap, const char *program, char *const *envp, struct board *board)
{
	sigset_t none;
	int r;

	if (wrap->own_session)
		(void)setsid();
	if (wrap->dies_with_caller)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	r = wrap->keep ? brunt_filter_install(wrap->filter) : brunt_filter_install_plain(wrap->filter);
	if (r == -EACCES && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		r = wrap->keep ? brunt_filter_install(wrap->filter) : brunt_filter_install_plain(wrap->filter);
	if (r < 0)
		give_up(board, -r);
	/* From here on no system call but the one. */
	if (wrap->keep) {
		board->listener = r;
		set_stage(board, STAGE_FILTERED);
		while (stage_of(board) == STAGE_FILTERED)
			wait_a_little(wrap->may_yield);
		if (stage_of(board) == STAGE_FAILED)
			_exit(127);
	}
	(void)execve(program, wrap->argv, envp);
	give_up(board, errno);
}

/* ---- the helper ---- */

static void set_up(const struct brunt_wrap *wrap, struct board *board)
{
	int kept[3];

	if (wrap->cwd && chdir(wrap->cwd)) {
		(void)brunt_fail(&board->why, errno, "cannot change to '%s': %s", wrap->cwd, strerror(errno));
		give_up(board, errno);
	}
	/* above 2 first: one may be the number that another is to become */
	for (int i = 0; i < 3; i++) {
		kept[i] = wrap->stdio[i] >= 0 ? fcntl(wrap->stdio[i], F_DUPFD_CLOEXEC, 3) : -1;
		if (wrap->stdio[i] >= 0 && kept[i] < 0)
			give_up(board, errno);
	}
	for (int i = 0; i < 3; i++)
		if (kept[i] >= 0)
			(void)dup2(kept[i], i);
}

static void hand_over(const struct brunt_wrap *wrap, struct board *board, pid_t pid)
{
	uint64_t until = brunt_now() + START_WAIT;
	int listener, number;

	while (stage_of(board) == STAGE_BEGUN) {
		if (brunt_now() > until || kill(pid, 0))
			give_up(board, ESRCH);
		nap();
	}
	if (stage_of(board) == STAGE_FAILED)
		_exit(0);
	listener = board->listener;
	number = brunt_keep_give(wrap->keep, listener, pid, true, until, &board->why);
	if (number < 0)
		give_up(board, -number);
	brunt_keep_assign(wrap->keep, (unsigned)number, wrap->rules, true);
	set_stage(board, STAGE_GO);
}

static void __attribute__((noreturn))
helper(const struct brunt_wrap *wrap, const char *program, char *const *envp, struct board *board)
{
	long pid;

	set_up(wrap, board);
	/* CLONE_PARENT: the caller waits for it; without a stack of its own it goes on in a copy of this one, as by fork */
	pid = syscall(SYS_clone, CLONE_FILES | CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD, NULL, &board->child, NULL,
		      NULL);
	if (!pid)
		child(wrap, program, envp, board);
	if (pid < 0)
		give_up(board, errno);
	if (wrap->keep)
		hand_over(wrap, board, (pid_t)pid);
	_exit(0);
}

/* Reaps the helper, and waits until the child has executed its program or failed. 0 or -errno. */
static int await(const struct brunt_wrap *wrap, struct board *board, pid_t pid, int executed, struct brunt_error *err)
{
	struct pollfd event = { .fd = executed, .events = POLLIN };
	int r;

	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (stage_of(board) == STAGE_GO || (!wrap->keep && stage_of(board) == STAGE_BEGUN && board->child))
		while (poll(&event, 1, START_WAIT / BRUNT_MS) < 0 && errno == EINTR)
			;
	if (stage_of(board) != STAGE_FAILED && board->child && (!wrap->keep || stage_of(board) == STAGE_GO))
		return 0;
	r = board->code ? -board->code : -EIO;
	if (board->child) {
		(void)kill(board->child, SIGKILL);
		(void)waitpid(board->child, NULL, 0);
	}
	if (board->why.msg[0])
		return brunt_fail(err, -r, "%s", board->why.msg);
	return brunt_fail(err, -r, "cannot start '%s' with a seccomp filter: %s", wrap->argv[0], strerror(-r));
}

int brunt_wrap_start(const struct brunt_wrap *wrap, pid_t *ret_pid, struct brunt_error *err)
{
	char program[PATH_MAX];
	struct board *board;
	int executed[2], r = find_program(wrap->argv[0], program, sizeof(program), err);
	pid_t pid;

	if (r)
		return r;
	if (pipe2(executed, O_CLOEXEC))
		return brunt_fail(err, errno, "cannot make a pipe to start '%s': %s", wrap->argv[0], strerror(errno));
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED) {
		(void)close(executed[0]);
		(void)close(executed[1]);
		return brunt_fail(err, ENOMEM, "not enough memory to start '%s'", wrap->argv[0]);
	}
	pid = fork();
	if (!pid)
		helper(wrap, program, wrap->envp ? wrap->envp : environ, board);
	(void)close(executed[1]);
	r = pid < 0 ? brunt_fail(err, errno, "cannot fork: %s", strerror(errno))
		    : await(wrap, board, pid, executed[0], err);
	(void)close(executed[0]);
	if (!r)
		*ret_pid = board->child;
	(void)munmap(board, sizeof(*board));
	return r;
}
