/* SPDX-License-Identifier: Apache-2.0 */
/* The responder itself: how it begins, its loop, and what it makes of a question. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "dns/responder_jail.h"
#include "dns/responder_self.h"

/* Questions within this time that have name and client in common are one lookup, tried again. */
#define FATE_LASTS (2 * BRUNT_S)
#define BUSY_WAIT  (2 * BRUNT_MS)
#define NEVER	   UINT64_MAX
#define BACKLOG	   64

/* include/uapi/asm-generic/socket.h since 5.14; Debian 12's headers have it, older ones do not */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

bool brunt_dns_is_meant(const struct brunt_dns_policy *policy, const struct brunt_dns_question *question)
{
	bool typed = !policy->types->count;

	BRUNT_FOREACH (const int, type, *policy->types)
		typed |= *type == question->type;
	return typed && (!policy->names->count || brunt_dns_glob_any(policy->names, question->name)) &&
	       !brunt_dns_glob_any(policy->except, question->name);
}

uint64_t responder_hash(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	/* FNV-1a, from a basis that is never 0 */
	hash ^= 0xcbf29ce484222325ULL;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return hash;
}

/* The chance is taken once for each lookup, not for each of its questions. */
static bool is_fated(struct responder_self *self, uint64_t client)
{
	uint64_t hash = responder_hash(client, self->question.name, strlen(self->question.name));
	struct fate *fate = &self->fates[hash % FATES_MAX];

	if (fate->hash != hash || self->now >= fate->until) {
		fate->hash = hash;
		fate->until = self->now + FATE_LASTS;
		fate->hurts = brunt_random_next(&self->random) >> 32 <
			      __atomic_load_n(&self->page->threshold, __ATOMIC_ACQUIRE);
	}
	return fate->hurts;
}

/* The rarest makes way for a new one, which inherits its count: an often asked name gets to the top and stays. */
static void note_name(struct responder_self *self)
{
	struct brunt_responder_page *page = self->page;
	size_t slot = 0;

	for (size_t i = 0; i < BRUNT_RESPONDER_NAMES; i++) {
		if (!strncmp(page->names[i].name, self->question.name, BRUNT_RESPONDER_NAME_SIZE - 1)) {
			page->names[i].count++;
			return;
		}
		if (page->names[i].count < page->names[slot].count)
			slot = i;
	}
	(void)snprintf(page->names[slot].name, BRUNT_RESPONDER_NAME_SIZE, "%.*s", BRUNT_RESPONDER_NAME_SIZE - 1,
		       self->question.name);
	page->names[slot].count++;
}

static uint64_t delay_of(const struct responder_self *self)
{
	return __atomic_load_n(&self->page->delay, __ATOMIC_ACQUIRE);
}

enum ruling responder_judge(struct responder_self *self, const uint8_t *message, size_t size, uint64_t client)
{
	if (!self->is_active)
		return RULING_PASS;
	self->page->seen++;
	if (size > HELD_SIZE || brunt_dns_read(message, size, &self->question))
		return RULING_PASS;
	if (!brunt_dns_is_meant(self->policy, &self->question)) {
		note_name(self);
		return RULING_PASS;
	}
	self->page->matched++;
	if (!is_fated(self, client))
		return RULING_PASS;
	self->page->hit++;
	return delay_of(self) || self->policy->action >= BRUNT_DNS_SAY_NOTHING ? RULING_HOLD : RULING_ANSWER;
}

size_t responder_lie(struct responder_self *self, const uint8_t *message, size_t size,
		     uint8_t ret[BRUNT_DNS_ANSWER_SIZE])
{
	static const enum brunt_dns_code codes[] = {
		[BRUNT_DNS_SAY_NXDOMAIN] = BRUNT_DNS_NXDOMAIN, [BRUNT_DNS_SAY_SERVFAIL] = BRUNT_DNS_SERVFAIL,
		[BRUNT_DNS_SAY_REFUSED] = BRUNT_DNS_REFUSED,   [BRUNT_DNS_SAY_NODATA] = BRUNT_DNS_OK,
		[BRUNT_DNS_SAY_ADDRESS] = BRUNT_DNS_OK,
	};
	const struct brunt_dns_policy *policy = self->policy;
	struct brunt_dns_reply reply = { .code = codes[policy->action], .ttl = policy->ttl };

	if (brunt_dns_read(message, size, &self->question))
		return 0;
	if (policy->action == BRUNT_DNS_SAY_ADDRESS) {
		reply.addresses = policy->addresses;
		reply.address_count = policy->address_count;
	}
	return brunt_dns_answer(message, &self->question, &reply, ret);
}

/* What was held back takes its way: a lie while the fault lasts and is one, else the truth. */
static void release(struct responder_self *self, struct held *held)
{
	uint8_t answer[BRUNT_DNS_ANSWER_SIZE];
	bool lie = self->is_active && self->policy->action < BRUNT_DNS_SAY_NOTHING;

	if (held->is_tcp) {
		if (!responder_tcp_release(self, held, lie))
			held->due = self->now + BUSY_WAIT;
		return;
	}
	held->is_used = false;
	if (!lie)
		responder_udp_pass(self, held->server, &held->client, held->data, held->size);
	else
		responder_udp_send(self, held->server, &held->client, answer,
				   responder_lie(self, held->data, held->size, answer));
}

static void make_room(struct responder_self *self, struct held *held)
{
	if (self->policy->action != BRUNT_DNS_SAY_NOTHING)
		release(self, held);
	if (held->is_used && held->is_tcp)
		self->streams[held->server].held--;
	held->is_used = false;
}

struct held *responder_hold(struct responder_self *self, const uint8_t *message, size_t size)
{
	struct held *held = &self->held[0];

	if (size > sizeof(held->data))
		return NULL;
	for (size_t i = 0; i < HELD_MAX && held->is_used; i++)
		if (!self->held[i].is_used || self->held[i].since < held->since)
			held = &self->held[i];
	if (held->is_used)
		make_room(self, held);
	held->is_used = true;
	held->since = self->now;
	held->due = self->policy->action == BRUNT_DNS_SAY_NOTHING ? NEVER : self->now + delay_of(self);
	held->size = size;
	memcpy(held->data, message, size);
	return held;
}

/* When the next one is due. */
static uint64_t release_due(struct responder_self *self)
{
	uint64_t next = NEVER;

	for (size_t i = 0; i < HELD_MAX; i++) {
		struct held *held = &self->held[i];

		if (held->is_used && (self->now >= held->due || !self->is_active))
			release(self, held);
		if (held->is_used && held->due < next)
			next = held->due;
	}
	return next;
}

socklen_t responder_address(const struct brunt_dns_server *server, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (server->family == 4) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(server->port);
		memcpy(&ret->v4.sin_addr, server->address, 4);
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(server->port);
	memcpy(&ret->v6.sin6_addr, server->address, 16);
	return sizeof(ret->v6);
}

int responder_bind(int family, int type, uint16_t *ret_port)
{
	struct brunt_dns_server own = { .family = (uint8_t)family };
	union address address;
	socklen_t size;
	int fd;

	if (family == 4)
		memcpy(own.address, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
	else
		own.address[15] = 1;
	size = responder_address(&own, &address);
	fd = socket(address.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (bind(fd, &address.any, size) || getsockname(fd, &address.any, &size) ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG))) {
		close(fd);
		return -1;
	}
	*ret_port = ntohs(address.v4.sin_port);
	return fd;
}

/* A family that has no loopback address here is left out: nobody can ask such a server either. */
static int open_sockets(struct responder_self *self, struct brunt_responder_ready *ready, struct brunt_error *err)
{
	socklen_t size = sizeof(ready->netns);
	size_t found = 0;

	for (size_t i = 0; i < self->server_count; i++) {
		self->udp[i] = responder_bind(self->servers[i].family, SOCK_DGRAM, &ready->udp[i]);
		self->tcp[i] = responder_bind(self->servers[i].family, SOCK_STREAM, &ready->tcp[i]);
		if (self->udp[i] < 0 || self->tcp[i] < 0) {
			ready->udp[i] = ready->tcp[i] = 0;
			continue;
		}
		found++;
		/* -ENOPROTOOPT before 5.14: 0 stays */
		(void)getsockopt(self->udp[i], SOL_SOCKET, SO_NETNS_COOKIE, &ready->netns, &size);
	}
	if (!found && self->server_count)
		return brunt_fail(
			err, ENETDOWN,
			"the target's network namespace has no loopback address to answer from; set its 'lo' up");
	return 0;
}

static int enter_namespace(const struct brunt_dns_place *place, struct brunt_error *err)
{
	if (brunt_dns_place_is_own(place))
		return 0;
	if (setns(place->netns, CLONE_NEWNET))
		return brunt_fail(err, errno, "cannot enter the target's network namespace: %s", strerror(errno));
	return 0;
}

static int begin(struct responder_self *self, const struct brunt_dns_place *place, struct brunt_responder_ready *ready,
		 struct brunt_error *err)
{
	const struct brunt_identity identity = {
		.uid = BRUNT_RESPONDER_UID,
		.gid = BRUNT_RESPONDER_UID,
		.name = "of the responder",
		.privileged = !geteuid(),
	};
	int r = enter_namespace(place, err);

	r = r ?: brunt_role_enter(BRUNT_ROLE_RESPONDER, &identity, 0, &self->socket, 1, err);
	r = r ?: brunt_deadman_make(&self->deadman, err);
	if (r)
		return r;
	self->gives_up = __atomic_load_n(&self->page->gives_up, __ATOMIC_ACQUIRE);
	r = brunt_deadman_set(&self->deadman, self->gives_up);
	if (r)
		return brunt_fail(err, -r, "cannot set the dead man's timer: %s", strerror(-r));
	r = open_sockets(self, ready, err);
	return r ?: responder_jail(err);
}

static bool is_nothing_pending(const struct responder_self *self)
{
	bool pending = false;

	for (size_t i = 0; i < HELD_MAX; i++)
		pending |= self->held[i].is_used;
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		pending |= self->flights[i].fd >= 0 && self->flights[i].answered < self->flights[i].asked;
	for (size_t i = 0; i < STREAMS_MAX; i++) {
		const struct stream *stream = &self->streams[i];

		pending |= stream->client >= 0 &&
			   (stream->is_asking || stream->reply || stream->lie.have || stream->answered < stream->asked);
	}
	return !pending;
}

static void follow_orders(struct responder_self *self)
{
	uint64_t gives_up = __atomic_load_n(&self->page->gives_up, __ATOMIC_ACQUIRE);

	self->now = brunt_now();
	__atomic_store_n(&self->page->beat, self->now, __ATOMIC_RELEASE);
	self->is_active = !self->ends && __atomic_load_n(&self->page->active, __ATOMIC_ACQUIRE);
	if (gives_up != self->gives_up)
		(void)brunt_deadman_set(&self->deadman, gives_up);
	self->gives_up = gives_up;
}

static void watch(struct responder_self *self, int fd, short events, enum watch_kind kind, unsigned index)
{
	/* What has nothing to say for now is left out, so that an error there is not told on and on. */
	if (fd < 0 || !events)
		return;
	self->events[self->event_count] = (struct pollfd){ .fd = fd, .events = events };
	self->watches[self->event_count++] = (struct watch){ .kind = kind, .index = index };
}

static void watch_all(struct responder_self *self)
{
	self->event_count = 0;
	watch(self, self->ends ? -1 : self->socket, POLLIN, WATCH_HOLDER, 0);
	for (unsigned i = 0; i < self->server_count; i++) {
		watch(self, self->udp[i], POLLIN, WATCH_UDP, i);
		watch(self, self->tcp[i], POLLIN, WATCH_TCP, i);
	}
	for (unsigned i = 0; i < FLIGHTS_MAX; i++)
		watch(self, self->flights[i].fd, POLLIN, WATCH_FLIGHT, i);
	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		const struct stream *stream = &self->streams[i];

		if (stream->client < 0)
			continue;
		watch(self, stream->client, responder_tcp_wants(stream, true), WATCH_CLIENT, i);
		watch(self, stream->upstream, responder_tcp_wants(stream, false), WATCH_UPSTREAM, i);
	}
}

/* Its socket may have been closed, and another made, meanwhile: none ever blocks, so an event for the former is harmless. */
static void serve(struct responder_self *self, int fd, const struct watch *watch)
{
	struct stream *stream = &self->streams[watch->index % STREAMS_MAX];

	switch (watch->kind) {
	case WATCH_HOLDER:
		self->ends = self->now + brunt_responder_patience(self->beat);
		break;
	case WATCH_UDP:
		responder_udp_serve(self, watch->index);
		break;
	case WATCH_TCP:
		responder_tcp_accept(self, watch->index);
		break;
	case WATCH_FLIGHT:
		if (self->flights[watch->index].fd == fd)
			responder_udp_return(self, &self->flights[watch->index]);
		break;
	case WATCH_CLIENT:
		if (stream->client == fd)
			responder_tcp_client(self, stream);
		break;
	case WATCH_UPSTREAM:
		if (stream->client >= 0 && stream->upstream == fd)
			responder_tcp_upstream(self, stream);
		break;
	}
}

static _Noreturn void loop(struct responder_self *self)
{
	for (;;) {
		uint64_t next, wait = self->beat;
		struct timespec timeout;

		follow_orders(self);
		next = release_due(self);
		if (self->ends && (self->now >= self->ends || is_nothing_pending(self)))
			_exit(0);
		if (self->ends && self->ends - self->now < wait)
			wait = self->ends - self->now;
		if (next <= self->now)
			wait = 0;
		else if (next - self->now < wait)
			wait = next - self->now;
		watch_all(self);
		timeout = (struct timespec){ .tv_sec = (time_t)(wait / BRUNT_S), .tv_nsec = (long)(wait % BRUNT_S) };
		if (ppoll(self->events, self->event_count, &timeout, NULL) <= 0)
			continue;
		follow_orders(self); /* they may have come while it waited */
		for (size_t i = 0; i < self->event_count; i++)
			if (self->events[i].revents)
				serve(self, self->events[i].fd, &self->watches[i]);
	}
}

void brunt_responder_main(struct brunt_responder_page *page, const struct brunt_dns_policy *policy,
			  const struct brunt_dns_place *place, uint64_t beat, int socket)
{
	/* Not static: the holder has its memory locked, and would have this, too. */
	struct responder_self *self =
		mmap(NULL, sizeof(*self), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct brunt_responder_ready ready = { .code = 0 };
	struct brunt_error err = { 0 };

	if (self == MAP_FAILED)
		_exit(1);
	self->page = page;
	self->policy = policy;
	memcpy(self->servers, place->servers, sizeof(self->servers));
	self->server_count = place->server_count;
	self->beat = beat;
	self->socket = socket;
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		self->flights[i].fd = -1;
	for (size_t i = 0; i < STREAMS_MAX; i++)
		self->streams[i].client = self->streams[i].upstream = -1;
	brunt_random_seed(&self->random, policy->seed, "responder");
	if (begin(self, place, &ready, &err)) {
		ready.code = -(err.code ?: EIO);
		(void)snprintf(ready.text, sizeof(ready.text), "%.159s", err.msg);
	}
	(void)send(socket, &ready, sizeof(ready), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (ready.code)
		_exit(1);
	loop(self);
}
