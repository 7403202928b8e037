/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pauser itself: a tracer that never leaves waitpid() for long, so that a
 * victim which dies, gets signals or makes threads meanwhile is served.
 *
 * PTRACE_SEIZE stops nothing; PTRACE_INTERRUPT does. Threads that the victim
 * makes are seized with it (PTRACE_O_TRACECLONE), processes that it forks are
 * not and run on. A signal that arrives meanwhile stays with the stopped
 * thread and is delivered when it goes on (ptrace(2): signal-delivery-stop).
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/units.h"
#include "fault/pauser.h"

#define THREADS_MAX	 8192
#define SEIZE_ROUNDS_MAX 1000

/* A thread that sleeps uninterruptibly cannot be stopped, but does not run either: after this, that is said. */
#define STOP_WAIT_NS (100 * BRUNT_MS)

struct thread {
	pid_t tid;
	bool stopped;
	int signal; /* to be delivered when it goes on */
};

/* One process, one purpose: what it has lives in static memory, nothing is allocated while it holds. */
static struct {
	struct brunt_process victim;
	struct thread threads[THREADS_MAX];
	size_t count;
	int socket;
	bool paused;
	uint64_t answer_at; /* not 0: the answer to PAUSE is due */
	uint64_t expires;
	struct brunt_deadman deadman;
} self;

static void answer(enum brunt_pauser_kind kind, const struct brunt_error *err)
{
	struct brunt_pauser_message message = { .kind = kind, .code = -err->code };

	(void)snprintf(message.text, sizeof(message.text), "%.159s", err->msg);
	(void)send(self.socket, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static struct thread *find(pid_t tid)
{
	for (size_t i = 0; i < self.count; i++)
		if (self.threads[i].tid == tid)
			return &self.threads[i];
	return NULL;
}

static struct thread *add(pid_t tid)
{
	if (self.count == THREADS_MAX)
		return NULL;
	self.threads[self.count] = (struct thread){ .tid = tid };
	return &self.threads[self.count++];
}

static void forget(struct thread *thread)
{
	*thread = self.threads[--self.count];
}

static void go_on(struct thread *thread, int signal)
{
	thread->stopped = false;
	thread->signal = 0;
	(void)ptrace(PTRACE_CONT, thread->tid, NULL, (void *)(long)signal);
}

static bool is_victims_thread(pid_t tid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)self.victim.pid, (int)tid);
	return !access(path, F_OK);
}

static bool is_group_stop(int status)
{
	int signal = WSTOPSIG(status);

	return status >> 16 == PTRACE_EVENT_STOP &&
	       (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU);
}

/* A thread stands still: leave it so, or send it on as if nobody were here. */
static void serve_stop(struct thread *thread, int status)
{
	int event = status >> 16;

	thread->stopped = true;
	thread->signal = event ? 0 : WSTOPSIG(status);
	if (self.paused)
		return;
	if (is_group_stop(status)) {
		/* stays stopped for job control, and tells when SIGCONT comes */
		thread->stopped = false;
		(void)ptrace(PTRACE_LISTEN, thread->tid, NULL, NULL);
	} else {
		go_on(thread, thread->signal);
	}
}

static void serve_child(pid_t tid, int status)
{
	struct thread *thread = find(tid);

	if (!WIFSTOPPED(status)) {
		if (thread)
			forget(thread);
		return;
	}
	if (!thread) {
		/* made by the victim: a thread of it, or a process with unusual clone() flags, which we let go */
		if (!is_victims_thread(tid)) {
			(void)ptrace(PTRACE_DETACH, tid, NULL, NULL);
			return;
		}
		thread = add(tid);
		if (!thread) /* too many: they run on */
			(void)ptrace(PTRACE_DETACH, tid, NULL, NULL);
	}
	if (thread)
		serve_stop(thread, status);
}

static void serve_children(void)
{
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
		serve_child(tid, status);
}

static int seize(pid_t tid, struct brunt_error *err)
{
	if (find(tid))
		return 0;
	if (self.count == THREADS_MAX)
		return brunt_fail(err, E2BIG, "process %d (%s) has more than %d threads", (int)self.victim.pid,
				  self.victim.name, THREADS_MAX);
	if (!ptrace(PTRACE_SEIZE, tid, NULL, (void *)(long)PTRACE_O_TRACECLONE)) {
		add(tid);
		return 1;
	}
	if (errno == ESRCH)
		return 0;
	if (errno == EPERM) {
		pid_t tracer = 0;
		char state = '?';

		/* seized already, as a clone of one of ours whose stop has not been served yet; or ending */
		if (brunt_pauser_read_state(self.victim.pid, tid, &state, &tracer) || tracer == getpid() ||
		    state == 'Z' || state == 'X')
			return 0;
		if (tracer)
			return brunt_fail(err, EBUSY, "process %d (%s) is traced by process %d", (int)self.victim.pid,
					  self.victim.name, (int)tracer);
		return brunt_fail(err, EPERM, "may not trace process %d (%s): needs CAP_SYS_PTRACE",
				  (int)self.victim.pid, self.victim.name);
	}
	return brunt_fail(err, errno, "cannot trace process %d (%s): %s", (int)self.victim.pid, self.victim.name,
			  strerror(errno));
}

/* Goes through the threads until a whole round finds no new one. */
static int seize_all(struct brunt_error *err)
{
	char path[48];

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)self.victim.pid);
	for (int round = 0; round < SEIZE_ROUNDS_MAX; round++) {
		DIR *dir = opendir(path);
		struct dirent *entry;
		int found = 0, r = 0;

		if (!dir)
			return brunt_fail(err, ESRCH, "process %d (%s) ended", (int)self.victim.pid, self.victim.name);
		while (r >= 0 && (entry = readdir(dir))) {
			if (entry->d_name[0] == '.')
				continue;
			r = seize((pid_t)strtol(entry->d_name, NULL, 10), err);
			found += r > 0;
		}
		closedir(dir);
		if (r < 0)
			return r;
		serve_children();
		if (!found)
			break;
	}
	/* Identity last: what has been seized cannot be replaced by another process. */
	if (!self.count || !brunt_process_alive(&self.victim))
		return brunt_fail(err, ESRCH, "process %d (%s) ended", (int)self.victim.pid, self.victim.name);
	return 0;
}

static void pause_all(uint64_t expires)
{
	self.paused = true;
	self.expires = expires;
	(void)brunt_deadman_set(&self.deadman, expires);
	for (size_t i = 0; i < self.count; i++)
		if (!self.threads[i].stopped)
			(void)ptrace(PTRACE_INTERRUPT, self.threads[i].tid, NULL, NULL);
	self.answer_at = brunt_now() + STOP_WAIT_NS;
}

/* Answers PAUSE as soon as all stand still, or when it has taken long enough. */
static void answer_when_stopped(void)
{
	struct brunt_error err = { 0 };
	size_t running = 0;

	if (!self.answer_at)
		return;
	for (size_t i = 0; i < self.count; i++)
		running += !self.threads[i].stopped;
	if (running && brunt_now() < self.answer_at)
		return;
	if (!self.count)
		(void)brunt_fail(&err, ESRCH, "process %d (%s) ended", (int)self.victim.pid, self.victim.name);
	else if (running == self.count)
		(void)brunt_fail(&err, ETIMEDOUT, "process %d (%s) sleeps uninterruptibly and cannot be paused now",
				 (int)self.victim.pid, self.victim.name);
	answer(BRUNT_PAUSER_PAUSE, &err);
	self.answer_at = 0;
}

/* Threads that run, or whose stop was not served yet, are let go by the kernel as we exit. */
static _Noreturn void release_all(void)
{
	serve_children();
	for (size_t i = 0; i < self.count; i++)
		if (self.threads[i].stopped)
			(void)ptrace(PTRACE_DETACH, self.threads[i].tid, NULL, (void *)(long)self.threads[i].signal);
	_exit(0);
}

static void serve_holder(void)
{
	struct brunt_pauser_message message;
	ssize_t size = recv(self.socket, &message, sizeof(message), MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size != (ssize_t)sizeof(message) || message.kind == BRUNT_PAUSER_RELEASE)
		release_all();
	if (message.kind == BRUNT_PAUSER_PAUSE) {
		pause_all(message.expires);
	} else if (message.kind == BRUNT_PAUSER_RENEW && self.paused && brunt_now() < self.expires) {
		self.expires = message.expires;
		(void)brunt_deadman_set(&self.deadman, message.expires);
	}
}

static int begin(uint64_t deadline, int *ret_signals, struct brunt_error *err)
{
	sigset_t children;
	int r = brunt_role_enter(BRUNT_ROLE_PAUSER, NULL, 0, &self.socket, 1, err);

	if (r)
		return r;
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &children, NULL))
		return brunt_fail(err, errno, "cannot block SIGCHLD: %s", strerror(errno));
	*ret_signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	if (*ret_signals < 0)
		return brunt_fail(err, errno, "cannot make a signalfd: %s", strerror(errno));
	r = brunt_deadman_make(&self.deadman, err);
	if (r)
		return r;
	r = brunt_deadman_set(&self.deadman, deadline);
	if (r)
		return brunt_fail(err, -r, "cannot set the dead man's timer: %s", strerror(-r));
	return seize_all(err);
}

void brunt_pauser_main(const struct brunt_process *victim, uint64_t deadline, int socket)
{
	struct brunt_error err = { 0 };
	struct signalfd_siginfo drop;
	int signals = -1, r;

	self.victim = *victim;
	self.victim.pidfd = -1; /* closed with everything else; the start time identifies it */
	self.socket = socket;
	r = begin(deadline, &signals, &err);
	answer(BRUNT_PAUSER_READY, &err);
	if (r)
		_exit(1);
	for (;;) {
		struct pollfd events[] = { { .fd = signals, .events = POLLIN }, { .fd = socket, .events = POLLIN } };

		(void)poll(events, BRUNT_COUNT(events), self.answer_at ? 5 : -1);
		while (read(signals, &drop, sizeof(drop)) == sizeof(drop))
			;
		serve_children();
		if (events[1].revents)
			serve_holder();
		answer_when_stopped();
	}
}
