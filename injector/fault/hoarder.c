/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One loop around epoll: opens at the rate that was asked for, reads and drops
 * what the server says (unread, it would turn the close into a reset), counts.
 */
#include "fault/hoarder.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "base/child.h"

#define EVENTS_AT_ONCE	 256
#define ATTEMPTS_AT_ONCE 256 /* then events are served: the lease is renewed through one */
#define READS_AT_ONCE	 16
#define CONTROL		 UINT32_MAX /* the socket to the holder, among the events */

/* from linux/in.h, which does not go with netinet/in.h */
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

struct slot {
	int fd; /* -1: free */
	bool open;
};

static struct {
	struct brunt_hoard what;
	struct slot *slots;
	uint32_t *free; /* a stack of the free ones */
	size_t free_count;
	uint64_t left; /* attempts that may still be made; without reopen each slot has one */
	int socket, epoll;
	bool armed;
	uint64_t expires;
	double budget; /* attempts that the rate allows now */
	uint64_t budget_at, trickle_at;
	struct brunt_deadman deadman;
	struct brunt_hoard_counters counters;
} self;

/* The holder reads while this is written: each number for itself is right. */
static void publish(void)
{
	const uint64_t *from = (const uint64_t *)&self.counters;
	uint64_t *to = (uint64_t *)self.what.counters;

	_Static_assert(sizeof(self.counters) % sizeof(*from) == 0, "counters are all of one type");
	for (size_t i = 0; i < sizeof(self.counters) / sizeof(*from); i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
}

static void drop(uint32_t index)
{
	struct slot *slot = &self.slots[index];

	(void)close(slot->fd); /* and so out of epoll */
	if (slot->open)
		self.counters.held--;
	else
		self.counters.pending--;
	*slot = (struct slot){ .fd = -1 };
	self.free[self.free_count++] = index;
}

static void count_failure(int code)
{
	if (code == ECONNREFUSED || code == ECONNRESET) {
		self.counters.refused++;
		return;
	}
	self.counters.failed++;
	self.counters.reason = (uint64_t)code;
}

/* ---- opening ---- */

static int make_socket(void)
{
	static const struct linger at_once = { .l_onoff = 1 };
	static const int on = 1;
	const struct brunt_hoard *what = &self.what;
	BRUNT_AUTO_CLOSE int fd = socket(what->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);

	if (fd < 0)
		return -errno;
	if (what->reset)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	/* by index: it may get another name. Linux 5.7 and newer ask for no right (c427bfec18f2) */
	if (what->interface && setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &what->interface, sizeof(what->interface)))
		return -errno;
	if (what->from_size) {
		/* the port is chosen by connect(), which knows the peer: then each peer has all of them (ip(7)) */
		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		if (bind(fd, (const struct sockaddr *)&what->from, what->from_size))
			return -errno;
	}
	return BRUNT_TAKE_FD(fd);
}

/* 0 when it is on its way or open, -errno when it failed at once. */
static int attempt(void)
{
	uint32_t index = self.free[self.free_count - 1];
	struct epoll_event event = { .events = EPOLLOUT | EPOLLIN | EPOLLRDHUP, .data.u32 = index };
	BRUNT_AUTO_CLOSE int fd = make_socket();

	self.counters.attempts++;
	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&self.what.to, self.what.to_size) && errno != EINPROGRESS)
		return -errno;
	if (epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	self.free_count--;
	self.slots[index] = (struct slot){ .fd = BRUNT_TAKE_FD(fd) };
	self.counters.pending++;
	return 0;
}

/* What the rate allows since the last time; what was not used is not saved up for longer than a tenth of a second. */
static void open_some(uint64_t now)
{
	double most = self.what.rate / 10 < 1 ? 1 : self.what.rate / 10;

	self.budget += self.what.rate * (double)(now - self.budget_at) / (double)BRUNT_S;
	self.budget_at = now;
	if (self.budget > most)
		self.budget = most;
	for (int i = 0; i < ATTEMPTS_AT_ONCE && self.budget >= 1 && self.free_count && self.left; i++) {
		int r = attempt();

		self.budget -= 1;
		if (!self.what.reopen)
			self.left--;
		if (r)
			count_failure(-r);
	}
}

/* ---- keeping ---- */

static void say(const struct slot *slot, const struct brunt_hoard_text *text)
{
	if (text->size)
		(void)send(slot->fd, text->bytes, text->size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void serve_opening(uint32_t index)
{
	struct slot *slot = &self.slots[index];
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.u32 = index };
	socklen_t size = sizeof(int);
	int code = 0;

	if (getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &code, &size) || code) {
		count_failure(code);
		drop(index);
		return;
	}
	slot->open = true;
	self.counters.pending--;
	self.counters.opened++;
	if (++self.counters.held > self.counters.peak)
		self.counters.peak = self.counters.held;
	(void)epoll_ctl(self.epoll, EPOLL_CTL_MOD, slot->fd, &event);
	say(slot, &self.what.send);
}

static void serve_open(uint32_t index)
{
	static char sink[65536];
	ssize_t got = 1;

	for (int i = 0; i < READS_AT_ONCE && got > 0; i++)
		got = recv(self.slots[index].fd, sink, sizeof(sink), MSG_DONTWAIT);
	if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	self.counters.closed++;
	drop(index);
}

static void trickle(uint64_t now)
{
	if (!self.what.trickle.size || now < self.trickle_at)
		return;
	self.trickle_at = now + self.what.trickle_every;
	for (uint64_t i = 0; i < self.what.connections; i++)
		if (self.slots[i].open)
			say(&self.slots[i], &self.what.trickle);
}

/* ---- the holder ---- */

static void serve_holder(void)
{
	const struct brunt_error none = { 0 };
	struct brunt_child_message message;
	ssize_t size = recv(self.socket, &message, sizeof(message), MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* The kernel closes what is open, in good order or, with SO_LINGER, by a reset. */
	if (size != (ssize_t)sizeof(message) || message.kind == BRUNT_CHILD_RELEASE)
		_exit(0);
	if (message.kind == BRUNT_CHILD_ARM && !self.armed) {
		self.armed = true;
		self.budget_at = brunt_now();
		self.trickle_at = self.budget_at + self.what.trickle_every;
		self.budget = 1;
		self.expires = message.expires;
		(void)brunt_deadman_set(&self.deadman, message.expires);
		brunt_child_answer(self.socket, BRUNT_CHILD_ARM, &none);
	} else if (message.kind == BRUNT_CHILD_RENEW && self.armed && brunt_now() < self.expires) {
		self.expires = message.expires;
		(void)brunt_deadman_set(&self.deadman, message.expires);
	}
}

/* Milliseconds until there is something to do without being asked; -1: never. */
static int idle_ms(uint64_t now)
{
	uint64_t wait = UINT64_MAX;
	double missing = (1 - self.budget) / self.what.rate * (double)BRUNT_S;

	if (!self.armed)
		return -1;
	if (self.free_count && self.left)
		wait = missing > 0 ? (uint64_t)missing : 0;
	if (self.what.trickle.size && (self.trickle_at <= now || self.trickle_at - now < wait))
		wait = self.trickle_at > now ? self.trickle_at - now : 0;
	return wait == UINT64_MAX ? -1 : (int)((wait + BRUNT_MS - 1) / BRUNT_MS);
}

static void turn(void)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int count = epoll_wait(self.epoll, events, EVENTS_AT_ONCE, idle_ms(brunt_now()));
	uint64_t now;

	for (int i = 0; i < count; i++) {
		uint32_t index = events[i].data.u32;

		if (index == CONTROL)
			serve_holder();
		else if (self.slots[index].fd >= 0 && !self.slots[index].open)
			serve_opening(index);
		else if (self.slots[index].fd >= 0)
			serve_open(index);
	}
	now = brunt_now();
	if (self.armed) {
		open_some(now);
		trickle(now);
	}
	publish();
}

/* ---- the beginning ---- */

static int make_room(struct brunt_error *err)
{
	uint64_t count = self.what.connections;

	self.slots = calloc(count, sizeof(*self.slots));
	self.free = calloc(count, sizeof(*self.free));
	if (!self.slots || !self.free)
		return brunt_fail(err, ENOMEM, "no memory for %llu connections", (unsigned long long)count);
	for (uint64_t i = 0; i < count; i++) {
		self.slots[i].fd = -1;
		self.free[i] = (uint32_t)(count - 1 - i);
	}
	self.free_count = count;
	self.left = count;
	return 0;
}

static int raise_limit(struct brunt_error *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return brunt_fail(err, errno, "cannot read RLIMIT_NOFILE: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return brunt_fail(err, errno, "cannot raise RLIMIT_NOFILE: %s", strerror(errno));
	return 0;
}

/* Into the namespace while that is allowed; then everything is given up. */
static int begin(uint64_t deadline, struct brunt_error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = CONTROL };
	int r;

	if (self.what.namespace >= 0 && setns(self.what.namespace, CLONE_NEWNET))
		return brunt_fail(err, errno, "cannot enter the target's network namespace: %s%s", strerror(errno),
				  errno == EPERM ? "; needs CAP_SYS_ADMIN" : "");
	r = raise_limit(err);
	r = r ?: brunt_role_enter(BRUNT_ROLE_HOARDER, &self.what.identity, 0, &self.socket, 1, err);
	r = r ?: brunt_deadman_make(&self.deadman, err);
	if (r)
		return r;
	r = brunt_deadman_set(&self.deadman, deadline);
	if (r)
		return brunt_fail(err, -r, "cannot set the dead man's timer: %s", strerror(-r));
	self.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (self.epoll < 0 || epoll_ctl(self.epoll, EPOLL_CTL_ADD, self.socket, &event))
		return brunt_fail(err, errno, "cannot set up epoll: %s", strerror(errno));
	return make_room(err);
}

void brunt_hoarder_life(const void *what, uint64_t deadline, int socket)
{
	struct brunt_error err = { 0 };
	int r;

	self.what = *(const struct brunt_hoard *)what;
	self.socket = socket;
	r = begin(deadline, &err);
	brunt_child_answer(self.socket, BRUNT_CHILD_READY, &err);
	if (r)
		_exit(1);
	for (;;)
		turn();
}
