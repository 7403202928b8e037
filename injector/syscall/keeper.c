/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's life: one loop around epoll, in static memory. It takes a call,
 * asks the rules, answers; a call that is delayed waits in its slot. Nothing
 * here allocates, and nothing waits for anybody but the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "syscall/caller.h"
#include "syscall/filter.h"
#include "syscall/keep_adopt.h"
#include "syscall/keep_parts.h"

#define EVENTS_AT_ONCE 64
#define ADOPTER_WAIT   (1500 * BRUNT_MS) /* for what it says next; meanwhile nobody may answer */
#define PENDING_WAIT   (3 * BRUNT_S)	 /* for whoever adopts: longer than the earlier keeper waits for it */
#define GUARDIAN_WAIT  250		 /* ms for it to confirm a listener; meanwhile nobody is answered */

enum { OF_CONTROL = BRUNT_KEEP_LISTENERS_MAX, OF_WAKE, OF_TIMER, OF_GUARDIAN, OF_ADOPTERS, OF_ADOPTER };

static uint64_t next_guardian;
static bool adopted; /* a later run has everything */
static uint64_t adopter_until;
static uint64_t pending_until; /* for who adopts; meanwhile the earlier keeper waits, too */

void keep_title(const char *comm, const char *title)
{
	char text[1024];
	unsigned long from = 0, to = 0;
	const char *at;
	ssize_t size;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	(void)prctl(PR_SET_NAME, comm, 0, 0, 0);
	size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		(void)close(fd);
	if (size <= 0)
		return;
	text[size] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at && field < 48; field++)
		at = strchr(at + 1, ' ');
	/* fields 48 and 49 of /proc/PID/stat: where the arguments begin and end (proc(5)) */
	if (at)
		(void)sscanf(at, " %lu %lu", &from, &to);
	if (!from || to <= from)
		return;
	memset((char *)from, 0, to - from);
	(void)snprintf((char *)from, to - from, "%s", title);
}

/* ---- calls ---- */

/* The next call into that slot; false: there is none. */
static bool take_call(struct keep_self *self, unsigned listener, uint32_t number)
{
	struct keep_slot *slot = &self->shared->slots[number];

	/* the kernel wants zeroes there */
	memset(slot->room, 0, sizeof(slot->room));
	slot->listener = listener;
	if (!ioctl(self->listeners[listener], SECCOMP_IOCTL_NOTIF_RECV, &slot->notif))
		return true;
	/* it was interrupted meanwhile, or killed */
	__atomic_store_n(&slot->notif.id, 0, __ATOMIC_RELEASE);
	return false;
}

static void beat(const struct keep_self *self)
{
	__atomic_store_n(&self->shared->keeper_beat, brunt_now(), __ATOMIC_SEQ_CST);
}

static void serve_call(struct keep_self *self, uint32_t number)
{
	struct keep_slot *slot = &self->shared->slots[number];
	uint64_t now = brunt_now();
	bool passes = __atomic_load_n(&self->shared->passing, __ATOMIC_RELAXED);

	slot->due = 0;
	if (!passes) {
		keep_decide(self, slot, now, &slot->outcome);
		slot->due = slot->outcome.delay ? now + slot->outcome.delay : 0;
	}
	if (slot->due && keep_let_wait(self, number))
		return;
	keep_answer(self, slot, passes ? NULL : &slot->outcome);
	keep_free_slot(number);
}

static bool has_call(const struct keep_self *self, unsigned listener)
{
	struct pollfd event = { .fd = self->listeners[listener], .events = POLLIN };

	return poll(&event, 1, 0) == 1 && event.revents & POLLIN;
}

/*
 * Before Linux 5.19 the kernel gives the last call that came first (commit 4cbf6f621150, "seccomp: Use FIFO semantics to
 * order notifications"): a thread whose calls are answered one by one, and that makes the next one at once, would keep all
 * others waiting for ever. There all calls that wait are taken before the first is answered; of more than there are slots
 * the last may still wait.
 */
static void serve_calls(struct keep_self *self, unsigned listener)
{
	static uint32_t taken[KEEP_SLOTS_MAX];
	size_t count = 0;

	do {
		uint32_t number = keep_take_slot();

		beat(self);
		if (!take_call(self, listener, number)) {
			keep_free_slot(number);
			break;
		}
		taken[count++] = number;
	} while (self->last_first && keep_has_spare_slot() && has_call(self, listener));
	/* and answered in the order in which they came; a thousand may take a while */
	for (; count; beat(self))
		serve_call(self, taken[--count]);
}

static void close_listener(struct keep_self *self, unsigned listener)
{
	keep_drop_listener(self, listener);
	/* the guardian has it open, too: it would stay in the epoll (epoll(7)) */
	(void)epoll_ctl(self->epoll, EPOLL_CTL_DEL, self->listeners[listener], NULL);
	(void)close(self->listeners[listener]);
	self->listeners[listener] = -1;
	__atomic_store_n(&self->shared->listeners[listener].over, 1, __ATOMIC_RELEASE);
}

/* ---- the guardian, and listeners for both ---- */

/* 0, also for -1, or -errno. */
static int add_event(const struct keep_self *self, int fd, uint32_t events, uint32_t of)
{
	struct epoll_event event = { .events = events, .data.u32 = of };

	/* after a takeover it is there, and to be changed takes no memory */
	if (fd < 0 || !epoll_ctl(self->epoll, EPOLL_CTL_MOD, fd, &event) ||
	    !epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event))
		return 0;
	return -errno;
}

static void forget_guardian(struct keep_self *self)
{
	if (self->pidfd >= 0) {
		(void)syscall(SYS_pidfd_send_signal, self->pidfd, SIGKILL, NULL, 0);
		(void)waitid(P_PIDFD, (id_t)self->pidfd, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
		(void)close(self->pidfd);
	}
	if (self->other >= 0)
		(void)close(self->other);
	self->pidfd = self->other = -1;
}

static bool has_listeners(const struct keep_self *self)
{
	for (uint32_t i = 0; i < self->shared->listener_count; i++)
		if (self->listeners[i] >= 0)
			return true;
	return false;
}

/* A new one has all listeners by the fork. */
static void renew_guardian(struct keep_self *self, uint64_t now)
{
	forget_guardian(self);
	if (now < next_guardian || !has_listeners(self))
		return;
	next_guardian = now + KEEP_AGAIN;
	if (keep_fork_guardian(self))
		return;
	/* else its beat tells */
	(void)add_event(self, self->pidfd, EPOLLIN, OF_GUARDIAN);
}

static int give_guardian(struct keep_self *self, const struct keep_message *message, int listener)
{
	struct pollfd event = { .fd = self->other, .events = POLLIN };
	struct keep_message answer = { 0 };
	int fd, r;

	if (self->other < 0)
		return -EPIPE;
	r = keep_send(self->other, message, sizeof(*message), listener);
	if (r)
		return r;
	/* it does nothing else; should it be stopped, this is what tells */
	if (poll(&event, 1, GUARDIAN_WAIT) != 1 || keep_receive(self->other, &answer, sizeof(answer), &fd))
		return -ETIMEDOUT;
	return answer.number;
}

/* What the filter of this run asks about for whatever arguments. */
static void add_asks(const struct keep_self *self, struct brunt_call_set *asks)
{
	for (uint32_t i = 0; i < self->shared->rule_count; i++) {
		const struct brunt_call_rule *rule = &self->shared->rules[i].rule;

		for (size_t j = 0; j < BRUNT_COUNT(asks->bits); j++) {
			asks->bits[j] |= rule->relatives.bits[j];
			asks->bits[j] |= rule->argument_count ? 0 : rule->calls.bits[j];
		}
	}
}

/* Does the filter always ask about the call by which a process that brunt starts becomes its program (wrap.c)? */
static bool asks_about_start(const struct brunt_call_set *asks)
{
	const struct brunt_call *call = brunt_call_find("execve");

	return call && brunt_call_set_has(asks, brunt_call_index(call));
}

/* The earlier keeper has them still, and answers. */
static void drop_pending(struct keep_self *self)
{
	bool dropped = false;

	for (uint32_t i = 0; i < self->shared->listener_count; i++)
		if (self->listeners[i] >= 0 && self->shared->listeners[i].pending) {
			close_listener(self, i);
			dropped = true;
		}
	if (dropped) /* the guardian has them, too */
		renew_guardian(self, next_guardian);
}

/* All is handed over: says so to the earlier keeper itself, so that the death of who adopts cannot come between. */
static int serve_pending(struct keep_self *self, int earlier)
{
	const struct adopt_message done = { .kind = ADOPT_DONE };
	bool has_pending = false;
	int r;

	for (uint32_t i = 0; i < self->shared->listener_count; i++)
		has_pending |= self->listeners[i] >= 0 && self->shared->listeners[i].pending;
	/* first: should this one die here, two keepers may answer for a while, but never none */
	__atomic_store_n(&self->shared->adopting, 0, __ATOMIC_SEQ_CST);
	r = !has_pending ? -ETIMEDOUT : self->shared->passing ? -EPIPE : keep_send(earlier, &done, sizeof(done), -1);
	if (earlier >= 0)
		(void)close(earlier);
	if (r) {
		drop_pending(self);
		return r;
	}
	for (uint32_t i = 0; i < self->shared->listener_count; i++) {
		__atomic_store_n(&self->shared->listeners[i].pending, 0, __ATOMIC_RELEASE);
		/* it is there: to be changed takes no memory */
		(void)add_event(self, self->listeners[i], EPOLLIN, i);
	}
	return 0;
}

static int take_listener(struct keep_self *self, const struct keep_message *message, int fd)
{
	uint32_t number = self->shared->listener_count;
	const bool is_adopted = message->kind != KEEP_GIVE;
	const struct keep_message to_guardian = { .process = message->process, .number = (int32_t)number };
	struct keep_listener *listener = &self->shared->listeners[number];
	__u64 flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
	int r;

	if (fd < 0)
		return -EBADF;
	r = self->shared->passing		 ? -EPIPE
	    : number == BRUNT_KEEP_LISTENERS_MAX ? -E2BIG
						 : add_event(self, fd, is_adopted ? 0 : EPOLLIN, number);
	if (r) {
		(void)close(fd);
		return r;
	}
	/* A hint; older kernels do not know it. The argument is the value itself. */
	(void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags);
	listener->process = message->process;
	listener->start = message->from.start;
	listener->asks = message->from.asks;
	listener->adopted = is_adopted;
	if (!is_adopted) {
		(void)brunt_caller_process(message->process, &listener->start);
		add_asks(self, &listener->asks);
	}
	listener->starting = message->starting && asks_about_start(&listener->asks);
	if (is_adopted) {
		__atomic_store_n(&self->shared->adopting, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&listener->pending, 1, __ATOMIC_RELEASE);
		pending_until = brunt_now() + PENDING_WAIT;
	}
	self->listeners[number] = fd;
	__atomic_store_n(&self->shared->listener_count, number + 1, __ATOMIC_RELEASE);
	r = give_guardian(self, &to_guardian, fd);
	if (r < 0) /* a new guardian has it by the fork */
		renew_guardian(self, next_guardian);
	if (self->pidfd >= 0)
		return (int)number;
	/* nobody would answer should this one die, and nobody else has it; who gave it looks for another keeper */
	close_listener(self, number);
	return -EPIPE;
}

/* Who could renew is gone: nothing waits for a lease to run out. What is held goes on in the next round. */
static void disarm_all(struct keep_self *self)
{
	for (uint32_t i = 0; i < __atomic_load_n(&self->shared->rule_count, __ATOMIC_ACQUIRE); i++)
		__atomic_store_n(&self->shared->rules[i].expires, 0, __ATOMIC_RELEASE);
	(void)__atomic_add_fetch(&self->shared->disarms, 1, __ATOMIC_RELEASE);
}

static void serve_control(struct keep_self *self)
{
	struct keep_message message = { 0 };
	int fd, r = keep_receive(self->control, &message, sizeof(message), &fd);

	if (r == -EAGAIN)
		return;
	if (r) {
		(void)close(self->control);
		self->control = -1;
		disarm_all(self);
		drop_pending(self);
		return;
	}
	if (message.kind == KEEP_ADOPT_FIRST)
		drop_pending(self);
	message.number = message.kind == KEEP_ADOPTED ? serve_pending(self, fd) : take_listener(self, &message, fd);
	(void)keep_send(self->control, &message, sizeof(message), -1);
}

/* One at a time: who comes while another is served waits in the queue, and does not interrupt a handing over. */
static void hear_adopters(const struct keep_self *self, bool hear)
{
	struct epoll_event event = { .events = hear ? EPOLLIN : 0, .data.u32 = OF_ADOPTERS };

	(void)epoll_ctl(self->epoll, EPOLL_CTL_MOD, self->adopters, &event);
}

/* It did not take everything: what it was given is served here again. */
static void forget_adopter(struct keep_self *self)
{
	if (self->adopter < 0)
		return;
	/* nothing more comes; what came already may be that it has everything */
	(void)shutdown(self->adopter, SHUT_RD);
	(void)keep_adopt_serve(self, self->adopter, &adopted);
	if (adopted)
		return;
	(void)close(self->adopter);
	self->adopter = -1;
	hear_adopters(self, true);
	for (uint32_t i = 0; i < self->shared->listener_count; i++)
		if (!self->shared->listeners[i].pending)
			(void)add_event(self, self->listeners[i], EPOLLIN, i);
}

static void serve_adopters(struct keep_self *self)
{
	int fd = self->adopter < 0 ? keep_adopt_accept(self->adopters) : -1;

	if (fd < 0)
		return;
	self->adopter = fd;
	hear_adopters(self, false);
	adopter_until = brunt_now() + ADOPTER_WAIT;
	(void)add_event(self, fd, EPOLLIN, OF_ADOPTER);
}

static void serve_adopter(struct keep_self *self)
{
	adopter_until = brunt_now() + ADOPTER_WAIT;
	if (self->adopter >= 0 && !keep_adopt_serve(self, self->adopter, &adopted) && !adopted)
		forget_adopter(self);
}

/* ---- the loop ---- */

static bool is_over(const struct keep_self *self)
{
	return self->control < 0 && (adopted || !has_listeners(self));
}

static void serve(struct keep_self *self, const struct epoll_event *event)
{
	uint64_t value;

	switch (event->data.u32) {
	case OF_CONTROL:
		serve_control(self);
		return;
	case OF_WAKE:
		(void)!read(self->wake, &value, sizeof(value));
		return;
	case OF_TIMER:
		(void)!read(self->timer, &value, sizeof(value));
		keep_timer_fired();
		return;
	case OF_ADOPTERS:
		serve_adopters(self);
		return;
	case OF_ADOPTER:
		serve_adopter(self);
		return;
	case OF_GUARDIAN:
		renew_guardian(self, brunt_now());
		return;
	default:
		if (event->events & EPOLLIN)
			serve_calls(self, event->data.u32);
		else if (event->events & (EPOLLHUP | EPOLLERR))
			close_listener(self, event->data.u32);
	}
}

/* What stands still is as bad as what is dead: then nobody would help when we are. */
static void look_at_guardian(struct keep_self *self, uint64_t now)
{
	uint64_t beat = __atomic_load_n(&self->shared->guardian_beat, __ATOMIC_SEQ_CST);

	while (waitpid(-1, NULL, WNOHANG) > 0)
		; /* those that were killed */
	if ((self->pidfd < 0 && has_listeners(self)) || (self->pidfd >= 0 && now > beat + 2 * self->shared->lease))
		renew_guardian(self, now);
}

static void run(struct keep_self *self)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	uint64_t looked = 0;

	while (!is_over(self)) {
		uint64_t disarms = __atomic_load_n(&self->shared->disarms, __ATOMIC_ACQUIRE), now = brunt_now();
		int count;

		/* before the guardian's is looked at (see there) */
		__atomic_store_n(&self->shared->keeper_beat, now, __ATOMIC_SEQ_CST);
		if (disarms != self->shared->disarms_seen || now > looked + KEEP_BEAT / 2) {
			looked = now;
			keep_cut_short(self, now);
			look_at_guardian(self, now);
			if (now > adopter_until)
				forget_adopter(self);
			if (now > pending_until)
				drop_pending(self);
			/* calls are answered one by one: whatever comes next sees what the holder stored */
			__atomic_store_n(&self->shared->disarms_seen, disarms, __ATOMIC_RELEASE);
		}
		keep_serve_due(self, now);
		keep_set_timer(self);
		count = epoll_wait(self->epoll, events, EVENTS_AT_ONCE, (int)(KEEP_BEAT / BRUNT_MS));
		for (int i = 0; i < count; i++)
			serve(self, &events[i]);
	}
}

void keep_keeper_life(struct keep_self *self)
{
	struct keep_message ready = { 0 };

	(void)setsid();
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	__atomic_store_n(&self->shared->keeper, getpid(), __ATOMIC_RELEASE);
	if (self->epoll < 0) /* one that takes over has one, and a guardian */
		self->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (self->epoll < 0)
		ready.number = -errno;
	self->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (self->timer < 0)
		ready.number = -errno;
	self->adopters = keep_adopt_listen();
	keep_wait_begin();
	/* Linux 5.19 brought both */
	self->last_first = !brunt_filter_waits_in_peace();
	next_guardian = 0;
	if (!ready.number && self->pidfd < 0)
		ready.number = keep_fork_guardian(self);
	keep_title("brunt-keeper", "brunt-keeper: answers for processes with a seccomp filter; ends with them");
	/* what comes by these alone; the others are a matter of time */
	if (!ready.number)
		ready.number = add_event(self, self->control, EPOLLIN, OF_CONTROL)
			       ?: add_event(self, self->wake, EPOLLIN, OF_WAKE)
			       ?: add_event(self, self->timer, EPOLLIN, OF_TIMER);
	(void)add_event(self, self->adopters, EPOLLIN, OF_ADOPTERS);
	(void)add_event(self, self->pidfd, EPOLLIN, OF_GUARDIAN);
	/* after a takeover: what was there already */
	for (uint32_t i = 0; i < self->shared->listener_count; i++)
		(void)add_event(self, self->listeners[i], EPOLLIN, i);
	if (self->control >= 0)
		(void)keep_send(self->control, &ready, sizeof(ready), -1);
	if (!ready.number || self->control < 0)
		run(self);
	/* who adopts the listeners knows nothing of what was taken from them before */
	for (uint32_t i = 0; i < KEEP_SLOTS_MAX; i++)
		if (self->shared->slots[i].notif.id)
			keep_answer(self, &self->shared->slots[i], NULL);
	__atomic_store_n(&self->shared->ended, 1, __ATOMIC_RELEASE);
	/* not to be left to an init that does not reap */
	if (self->pidfd >= 0) {
		(void)syscall(SYS_pidfd_send_signal, self->pidfd, SIGKILL, NULL, 0);
		(void)waitid(P_PIDFD, (id_t)self->pidfd, &(siginfo_t){ 0 }, WEXITED);
	}
	_exit(0);
}
