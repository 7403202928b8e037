/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guardian: has the keeper's listeners, and looks whether it lives. It does
 * nothing for as long as it does.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "syscall/keep_parts.h"

#define DEATH_WAIT 5000 /* ms; a process that was killed is gone as soon as the kernel has closed what it had open */

enum { OF_KEEPER = BRUNT_KEEP_LISTENERS_MAX, OF_SOCKET };

static pid_t keeper; /* whom this one guards: its parent */

static void watch(const struct keep_self *self, int fd, uint32_t events, uint32_t of)
{
	struct epoll_event event = { .events = events, .data.u32 = of };

	if (fd >= 0)
		(void)epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* false: the keeper's end is closed. */
static bool take_listener(struct keep_self *self)
{
	struct keep_message message = { 0 };
	int fd, r = keep_receive(self->other, &message, sizeof(message), &fd);

	if (r)
		return r == -EAGAIN;
	if (fd < 0 || message.number < 0 || message.number >= BRUNT_KEEP_LISTENERS_MAX)
		return true;
	self->listeners[message.number] = fd;
	watch(self, fd, 0, (uint32_t)message.number); /* no call, but the end */
	(void)keep_send(self->other, &message, sizeof(message), -1);
	return true;
}

/* Calls that nobody has taken, or taken and not answered; delayed ones too: who stands still does not see their fault end. */
static bool somebody_waits(const struct keep_self *self)
{
	for (uint32_t i = 0; i < KEEP_SLOTS_MAX; i++)
		if (self->shared->slots[i].notif.id)
			return true;
	for (uint32_t i = 0; i < self->shared->listener_count; i++) {
		struct pollfd event = { .fd = self->listeners[i], .events = POLLIN };

		if (self->listeners[i] >= 0 && poll(&event, 1, 0) == 1 && event.revents & POLLIN)
			return true;
	}
	return false;
}

static bool has_listeners(const struct keep_self *self)
{
	for (uint32_t i = 0; i < self->shared->listener_count; i++)
		if (self->listeners[i] >= 0)
			return true;
	return false;
}

static void drop(const struct keep_self *self, int *fd)
{
	if (*fd < 0)
		return;
	/* what others have open, too, would stay in the epoll (epoll(7)) */
	(void)epoll_ctl(self->epoll, EPOLL_CTL_DEL, *fd, NULL);
	(void)close(*fd);
	*fd = -1;
}

/* The keeper is dead. What it had taken is in the slots. */
static void take_over(struct keep_self *self)
{
	drop(self, &self->pidfd);
	drop(self, &self->other);
	/* before all is handed over the earlier keeper has them still */
	for (uint32_t i = 0; i < self->shared->listener_count; i++) {
		struct keep_listener *listener = &self->shared->listeners[i];

		if (listener->pending && __atomic_load_n(&self->shared->adopting, __ATOMIC_ACQUIRE)) {
			drop(self, &self->listeners[i]);
			__atomic_store_n(&listener->over, 1, __ATOMIC_RELEASE);
		}
		__atomic_store_n(&listener->pending, 0, __ATOMIC_RELEASE);
	}
	/* until then this one is the last that has the listeners */
	(void)keep_fork_guardian(self);
	for (uint32_t i = 0; i < KEEP_SLOTS_MAX; i++)
		if (self->shared->slots[i].notif.id)
			keep_answer(self, &self->shared->slots[i], NULL);
	__atomic_store_n(&self->shared->passing, 1, __ATOMIC_RELEASE);
	keep_keeper_life(self);
}

/* The kernel gives the children of who died another parent, when all that it had open is closed (do_exit()). */
static bool is_dead(const struct keep_self *self, int timeout_ms)
{
	struct pollfd event = { .fd = self->pidfd, .events = POLLIN };

	return getppid() != keeper || poll(&event, 1, timeout_ms) == 1;
}

static void serve(struct keep_self *self, const struct epoll_event *event)
{
	uint32_t of = event->data.u32;

	if (of == OF_SOCKET) {
		if (!take_listener(self))
			drop(self, &self->other);
	} else if (of < BRUNT_KEEP_LISTENERS_MAX) {
		drop(self, &self->listeners[of]);
		/* the keeper says so, too, unless it just died */
		__atomic_store_n(&self->shared->listeners[of].over, 1, __ATOMIC_RELEASE);
		if (!has_listeners(self))
			_exit(0);
	}
}

/* The holder took something out of force and waits for the keeper to have seen it. */
static bool holder_waits(const struct keep_self *self)
{
	return __atomic_load_n(&self->shared->disarms, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(&self->shared->disarms_seen, __ATOMIC_ACQUIRE);
}

static bool stands_still(const struct keep_self *self)
{
	return brunt_now() > __atomic_load_n(&self->shared->keeper_beat, __ATOMIC_SEQ_CST) + self->shared->lease;
}

void keep_guardian_life(struct keep_self *self)
{
	struct epoll_event events[16];

	for (;;) {
		int count;

		/*
		 * Before looking whether the other one lives; the keeper does the same. In another order both, after both
		 * stood still (a suspended machine, a frozen cgroup), could kill each other.
		 */
		__atomic_store_n(&self->shared->guardian_beat, brunt_now(), __ATOMIC_SEQ_CST);
		if (is_dead(self, 0)) {
			/* with nobody to answer for there is nothing to take over */
			if (__atomic_load_n(&self->shared->ended, __ATOMIC_ACQUIRE) || !has_listeners(self))
				_exit(0);
			take_over(self);
		}
		if (stands_still(self) && (somebody_waits(self) || holder_waits(self)) && stands_still(self)) {
			(void)syscall(SYS_pidfd_send_signal, self->pidfd, SIGKILL, NULL, 0);
			if (is_dead(self, DEATH_WAIT))
				take_over(self);
		}
		count = epoll_wait(self->epoll, events, (int)BRUNT_COUNT(events), (int)(KEEP_BEAT / BRUNT_MS));
		for (int i = 0; i < count; i++)
			serve(self, &events[i]);
	}
}

static void become_guardian(struct keep_self *self, int socket)
{
	(void)close(self->epoll);
	(void)close(self->timer);
	if (self->control >= 0)
		(void)close(self->control);
	if (self->adopters >= 0)
		(void)close(self->adopters);
	if (self->adopter >= 0)
		(void)close(self->adopter);
	self->control = self->timer = self->adopters = self->adopter = -1;
	self->other = socket;
	self->pidfd = (int)syscall(SYS_pidfd_open, keeper, 0);
	self->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (self->epoll < 0)
		_exit(1);
	/* a keeper that died already is taken over from: nobody else can; its number may be another's by now */
	if (self->pidfd >= 0 && getppid() != keeper) {
		(void)close(self->pidfd);
		self->pidfd = -1;
	}
	(void)setsid();
	(void)mlockall(MCL_CURRENT); /* is not inherited */
	keep_title("seccomp-guard", "seccomp-guard: answers for a process with a seccomp filter; ends with it");
	watch(self, self->pidfd, EPOLLIN, OF_KEEPER);
	watch(self, self->other, EPOLLIN, OF_SOCKET);
	for (uint32_t i = 0; i < self->shared->listener_count; i++)
		watch(self, self->listeners[i], 0, i);
	keep_guardian_life(self);
}

int keep_fork_guardian(struct keep_self *self)
{
	uint64_t now = brunt_now();
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	/* whoever forks lives: not that the beat of one that was taken over from counts */
	__atomic_store_n(&self->shared->keeper_beat, now, __ATOMIC_RELEASE);
	__atomic_store_n(&self->shared->guardian_beat, now, __ATOMIC_RELEASE);
	keeper = getpid();
	pid = fork();
	if (!pid) {
		(void)close(pair[0]);
		become_guardian(self, pair[1]);
	}
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return -EAGAIN;
	}
	self->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (self->pidfd < 0) {
		/* one that cannot be looked after, nor ended later; nobody has waited for it: the number is its own */
		(void)kill(pid, SIGKILL);
		(void)close(pair[0]);
		return -EMFILE;
	}
	self->other = pair[0];
	__atomic_store_n(&self->shared->guardian, pid, __ATOMIC_RELEASE);
	return 0;
}
