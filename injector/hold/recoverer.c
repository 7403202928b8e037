/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recoverer: outlives holder and controller, and holds nothing itself. It
 * forks the holder before anything is opened: what a process inherits, it keeps
 * alive.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/hold.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "brunt/units.h"
#include "hold/ledger.h"
#include "hold/recover.h"
#include "hold/remove.h"
#include "hold/result.h"

#define LOOK_FOR_LAUNCHER 100		 /* ms */
#define HOLDER_GRACE	  (10 * BRUNT_S) /* for a holder whose controller is gone */
#define LAUNCHER_GRACE	  (1 * BRUNT_S)	 /* to end its services by itself */
#define WRITER_GRACE	  (3 * BRUNT_S)	 /* for journal and screen, when their controller died */
#define LOCK_WAIT	  (2 * BRUNT_S)	 /* for the lock of a dead holder */

struct recoverer {
	const struct brunt_run_setup *setup;
	int socket;
	pid_t holder;
	int holder_pidfd, launcher_pidfd;
	int writers[2]; /* pidfds of journal and screen */
	bool holder_gone, controller_gone, launcher_looked_for;
	uint64_t controller_went;
	char ledger[512];
};

static void nap(uint64_t ns)
{
	const struct timespec pause = { .tv_nsec = (long)ns };

	(void)nanosleep(&pause, NULL);
}

static int pidfd_open_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool is_over(int pidfd, int timeout_ms)
{
	struct pollfd wait = { .fd = pidfd, .events = POLLIN };

	return pidfd < 0 || poll(&wait, 1, timeout_ms) > 0;
}

static void hold(const struct brunt_run_setup *setup, int holder_socket)
{
	struct brunt_error err = { 0 };
	int r = brunt_role_enter(BRUNT_ROLE_HOLDER, &setup->identity, setup->capabilities, &holder_socket, 1, &err);

	_exit(r < 0 ? 5 : brunt_holder_main(setup, holder_socket));
}

static int fork_holder(struct recoverer *recoverer, int holder_socket)
{
	/* Orphans of the holder become our children: that is how we know when its pausers are gone. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	recoverer->holder = fork();
	if (!recoverer->holder)
		hold(recoverer->setup, holder_socket);
	(void)close(holder_socket);
	if (recoverer->holder < 0)
		return -errno;
	recoverer->setup->shared->pid[BRUNT_ROLE_HOLDER] = recoverer->holder;
	recoverer->holder_pidfd = pidfd_open_of(recoverer->holder);
	return recoverer->holder_pidfd < 0 ? -errno : 0;
}

/*
 * Every child of ours was the holder's: pausers, which die with it, or by their own timer at the end of the lease. Not
 * in our process group: keepers, which outlive us.
 */
static void await_children(const struct recoverer *recoverer)
{
	uint64_t until = brunt_now() + 2 * recoverer->setup->plan->lease + BRUNT_S;

	while (brunt_now() < until) {
		pid_t pid = waitpid(0, NULL, WNOHANG | __WALL);

		if (pid < 0 && errno == ECHILD)
			return;
		if (!pid)
			nap(BRUNT_MS);
	}
}

static int recover(struct recoverer *recoverer, unsigned what)
{
	uint64_t until = brunt_now() + LOCK_WAIT;
	int r;

	for (;;) {
		r = recover_ledger(recoverer->ledger, what | RECOVER_OWN, NULL, NULL);
		if (r != -EAGAIN || brunt_now() >= until)
			return r;
		nap(5 * BRUNT_MS);
	}
}

/* The controller waits for pid to become 0, and then believes what residue says. */
static void holder_ended(struct recoverer *recoverer)
{
	struct brunt_shared *shared = recoverer->setup->shared;
	int status = 0;

	recoverer->holder_gone = true;
	if (waitpid(recoverer->holder, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) {
		await_children(recoverer);
		__atomic_store_n(&shared->residue, recover(recoverer, RECOVER_FAULTS) ? 1 : 0, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&shared->pid[BRUNT_ROLE_HOLDER], 0, __ATOMIC_RELEASE);
}

/* EOF on the socket: the controller is dead, or has said all it has to say. */
static bool is_eof(int socket)
{
	char byte;
	ssize_t size = recv(socket, &byte, 1, MSG_DONTWAIT);

	return !size || (size < 0 && errno != EAGAIN && errno != EINTR);
}

static void look_for_launcher(struct recoverer *recoverer)
{
	pid_t pid = __atomic_load_n(&recoverer->setup->shared->pid[BRUNT_ROLE_LAUNCHER], __ATOMIC_ACQUIRE);

	/* Once: one that died meanwhile and was reaped has left its pid to somebody else, whom we would kill. */
	if (recoverer->launcher_looked_for || pid <= 0)
		return;
	recoverer->launcher_looked_for = true;
	recoverer->launcher_pidfd = pidfd_open_of(pid);
}

static void watch(struct recoverer *recoverer)
{
	while (!recoverer->holder_gone || !recoverer->controller_gone) {
		struct pollfd wait[] = {
			{ .fd = recoverer->holder_gone ? -1 : recoverer->holder_pidfd, .events = POLLIN },
			{ .fd = recoverer->controller_gone ? -1 : recoverer->setup->controller_pidfd,
			  .events = POLLIN },
			{ .fd = recoverer->controller_gone ? -1 : recoverer->socket, .events = POLLIN },
		};
		bool hurry = !recoverer->launcher_looked_for || recoverer->controller_gone;

		if (poll(wait, BRUNT_COUNT(wait), hurry ? LOOK_FOR_LAUNCHER : -1) < 0 && errno != EINTR)
			nap(10 * BRUNT_MS);
		look_for_launcher(recoverer);
		if (!recoverer->controller_gone &&
		    (wait[1].revents || (wait[2].revents && is_eof(recoverer->socket)))) {
			recoverer->controller_gone = true;
			recoverer->controller_went = brunt_now();
		}
		if (wait[0].revents)
			holder_ended(recoverer);
		/* It had EOF, too; whatever keeps it is not worth keeping it. */
		if (!recoverer->holder_gone && recoverer->controller_gone &&
		    brunt_now() > recoverer->controller_went + HOLDER_GRACE)
			(void)kill(recoverer->holder, SIGKILL);
	}
}

static void end_launcher(struct recoverer *recoverer)
{
	look_for_launcher(recoverer);
	if (is_over(recoverer->launcher_pidfd, (int)(LAUNCHER_GRACE / BRUNT_MS)))
		return;
	(void)syscall(SYS_pidfd_send_signal, recoverer->launcher_pidfd, SIGKILL, NULL, 0);
	(void)is_over(recoverer->launcher_pidfd, 2000);
}

/*
 * The controller waits for them, and is not there any more: those that have not ended with their pipe (stopped, or
 * before a full pipe) are not worth keeping.
 */
static void end_writers(const struct recoverer *recoverer)
{
	uint64_t until = brunt_now() + WRITER_GRACE;

	if (!is_over(recoverer->setup->controller_pidfd, 0))
		return;
	for (size_t i = 0; i < BRUNT_COUNT(recoverer->writers); i++)
		if (recoverer->writers[i] >= 0)
			(void)syscall(SYS_pidfd_send_signal, recoverer->writers[i], SIGCONT, NULL, 0);
	for (size_t i = 0; i < BRUNT_COUNT(recoverer->writers); i++) {
		uint64_t now = brunt_now();

		if (!is_over(recoverer->writers[i], now < until ? (int)((until - now) / BRUNT_MS) : 0))
			(void)syscall(SYS_pidfd_send_signal, recoverer->writers[i], SIGKILL, NULL, 0);
	}
}

static void look_for_writers(struct recoverer *recoverer)
{
	static const enum brunt_role roles[] = { BRUNT_ROLE_JOURNAL, BRUNT_ROLE_SCREEN };

	for (size_t i = 0; i < BRUNT_COUNT(recoverer->writers); i++) {
		pid_t pid = recoverer->setup->shared->pid[roles[i]];

		recoverer->writers[i] = pid > 0 ? pidfd_open_of(pid) : -1;
	}
}

static int clear_away(struct recoverer *recoverer)
{
	const struct brunt_run_setup *setup = recoverer->setup;
	char cgroup[512];
	int r = 0;

	end_launcher(recoverer);
	if (setup->run_cgroup[0]) {
		snprintf(cgroup, sizeof(cgroup), "%s%s", setup->cgroup_mount, setup->run_cgroup);
		r = remove_cgroup(cgroup, setup->shared->run, NULL);
	}
	if (setup->run_dir[0] && remove_folder(setup->run_dir, setup->shared->run, NULL))
		r = -EBUSY;
	if (recover(recoverer, RECOVER_FAULTS | RECOVER_PATHS))
		r = -EBUSY;
	return r;
}

int brunt_recoverer_main(const struct brunt_run_setup *setup, int socket, int holder_socket)
{
	static struct recoverer recoverer;
	char folder[256];
	int r, unwritten;

	recoverer = (struct recoverer){
		.setup = setup,
		.socket = socket,
		.holder_pidfd = -1,
		.launcher_pidfd = -1,
	};
	setup->shared->pid[BRUNT_ROLE_RECOVERER] = getpid();
	r = brunt_ledger_folder(folder, sizeof(folder), true, NULL);
	if (!r)
		r = ledger_path(recoverer.ledger, sizeof(recoverer.ledger), folder, setup->shared->run);
	/* With more rights than the holder will have; what cannot be finished here the holder tells at PREPARE. */
	if (!r)
		(void)recover_folder(folder, NULL);
	r = fork_holder(&recoverer, holder_socket);
	look_for_writers(&recoverer); /* after the fork: the holder is not to have them */
	if (r < 0 && recoverer.holder > 0) {
		(void)kill(recoverer.holder, SIGKILL);
		holder_ended(&recoverer);
	}
	recoverer.holder_gone |= r < 0;
	watch(&recoverer);
	if (setup->shared->residue)
		__atomic_store_n(&setup->shared->residue, recover(&recoverer, RECOVER_FAULTS) ? 1 : 0,
				 __ATOMIC_RELEASE);
	unwritten = result_write(setup, NULL);
	r = clear_away(&recoverer);
	end_writers(&recoverer);
	return r || setup->shared->residue ? 6 : unwritten ? 5 : 0;
}
