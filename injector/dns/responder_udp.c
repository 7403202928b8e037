/* SPDX-License-Identifier: Apache-2.0 */
/* The responder's UDP side: one connected socket per client, as a NAT has it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "brunt/memory.h"
#include "brunt/units.h"
#include "dns/responder_self.h"

#define AT_ONCE	     32
#define FLIGHT_IDLE  (15 * BRUNT_S)
#define HEADER_SIZE  12
#define HEADER_COUNT 10 /* of additional records */

static socklen_t size_of(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

static bool is_same(const union address *a, const union address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return a->v6.sin6_port == b->v6.sin6_port && IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

static uint64_t hash_of(const union address *client, unsigned server)
{
	uint64_t hash = responder_hash(server + 1, &client->v4.sin_port, sizeof(client->v4.sin_port));

	if (client->any.sa_family == AF_INET)
		return responder_hash(hash, &client->v4.sin_addr, sizeof(client->v4.sin_addr));
	return responder_hash(hash, &client->v6.sin6_addr, sizeof(client->v6.sin6_addr));
}

void responder_udp_send(struct responder_self *self, unsigned server, const union address *client,
			const uint8_t *message, size_t size)
{
	(void)sendto(self->udp[server], message, size, MSG_DONTWAIT | MSG_NOSIGNAL, &client->any, size_of(client));
}

static void land(struct flight *flight)
{
	close(flight->fd);
	flight->fd = -1;
}

/* Does a rather than b make way? Those that wait for an answer come last, the longest idle first. */
static bool is_freer(const struct flight *a, const struct flight *b)
{
	bool waits_a = a->answered < a->asked, waits_b = b->answered < b->asked;

	if (a->fd < 0 || b->fd < 0)
		return a->fd < 0;
	return waits_a == waits_b ? a->used < b->used : waits_b;
}

static void open_flight(struct flight *flight, const union address *to, socklen_t size)
{
	if (flight->fd >= 0)
		land(flight);
	flight->fd = socket(to->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (flight->fd >= 0 && connect(flight->fd, &to->any, size))
		land(flight);
}

/* The client's own, or a new one. NULL: no socket can be had. */
static struct flight *find(struct responder_self *self, unsigned server, const union address *client)
{
	struct flight *slot = &self->flights[0];
	union address to;
	socklen_t size = responder_address(&self->servers[server], &to);

	for (size_t i = 0; i < FLIGHTS_MAX; i++) {
		struct flight *flight = &self->flights[i];

		if (flight->fd >= 0 && self->now - flight->used > FLIGHT_IDLE)
			land(flight);
		if (flight->fd >= 0 && flight->server == server && is_same(&flight->client, client))
			return flight;
		if (slot->fd >= 0 && is_freer(flight, slot))
			slot = flight;
	}
	open_flight(slot, &to, size);
	if (slot->fd < 0)
		return NULL;
	slot->server = server;
	slot->client = *client;
	slot->asked = slot->answered = 0;
	slot->last_size = 0;
	return slot;
}

static void remember(struct responder_self *self, struct flight *flight, const uint8_t *message, size_t size)
{
	flight->last_size = 0;
	if (brunt_dns_read(message, size, &self->question) || self->question.end > sizeof(flight->last))
		return;
	memcpy(flight->last, message, self->question.end);
	memset(flight->last + HEADER_COUNT, 0, HEADER_SIZE - HEADER_COUNT);
	flight->last_size = self->question.end;
}

/* The server is not there: the client would have heard so at once (ECONNREFUSED), this is the nearest to it. */
static void tell_failure(struct responder_self *self, struct flight *flight)
{
	static const struct brunt_dns_reply failure = { .code = BRUNT_DNS_SERVFAIL };
	uint8_t answer[BRUNT_DNS_ANSWER_SIZE];

	if (!flight->last_size || brunt_dns_read(flight->last, flight->last_size, &self->question))
		return;
	responder_udp_send(self, flight->server, &flight->client, answer,
			   brunt_dns_answer(flight->last, &self->question, &failure, answer));
	flight->last_size = 0;
}

void responder_udp_pass(struct responder_self *self, unsigned server, const union address *client,
			const uint8_t *message, size_t size)
{
	struct flight *flight = find(self, server, client);

	if (!flight)
		return;
	flight->used = self->now;
	flight->asked++;
	remember(self, flight, message, size);
	/* An error of an earlier datagram is told by the next call (udp(7)): it has been read, so try again. */
	for (int i = 0; i < 2 && send(flight->fd, message, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0; i++)
		if (errno != ECONNREFUSED)
			break;
}

void responder_udp_return(struct responder_self *self, struct flight *flight)
{
	for (int i = 0; i < AT_ONCE; i++) {
		ssize_t size = recv(flight->fd, self->buffer, sizeof(self->buffer), MSG_DONTWAIT);

		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (size < 0) {
			tell_failure(self, flight);
			flight->answered = flight->asked;
			return;
		}
		flight->answered++;
		flight->used = self->now;
		responder_udp_send(self, flight->server, &flight->client, self->buffer, (size_t)size);
	}
}

static void serve_one(struct responder_self *self, unsigned server, const union address *client, size_t size)
{
	uint8_t answer[BRUNT_DNS_ANSWER_SIZE];
	struct held *held;

	switch (responder_judge(self, self->buffer, size, hash_of(client, server))) {
	case RULING_PASS:
		responder_udp_pass(self, server, client, self->buffer, size);
		break;
	case RULING_ANSWER:
		size = responder_lie(self, self->buffer, size, answer);
		if (size)
			responder_udp_send(self, server, client, answer, size);
		break;
	case RULING_HOLD:
		held = responder_hold(self, self->buffer, size);
		if (held) {
			held->is_tcp = false;
			held->server = server;
			held->client = *client;
		}
		break;
	}
}

void responder_udp_serve(struct responder_self *self, unsigned server)
{
	for (int i = 0; i < AT_ONCE; i++) {
		union address client;
		socklen_t length = sizeof(client);
		ssize_t size;

		memset(&client, 0, sizeof(client));
		size = recvfrom(self->udp[server], self->buffer, sizeof(self->buffer), MSG_DONTWAIT, &client.any,
				&length);
		if (size < 0)
			return;
		serve_one(self, server, &client, (size_t)size);
	}
}
