/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The responder's TCP side (RFC 1035, 4.2.2; RFC 7766): each connection of a
 * client has one of ours to its server, made with the first question that is
 * passed on. Messages go whole, so that an answer of ours never falls into the
 * middle of one of the server's.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "dns/responder_self.h"

#define AT_ONCE 8

static bool is_complete(const struct parcel *parcel)
{
	return parcel->have >= 2 && parcel->have == 2 + (size_t)(parcel->data[0] << 8 | parcel->data[1]);
}

/* Never more than one message. 1: complete; 0: not yet; -1: the connection is over. */
static int fill(int fd, struct parcel *parcel)
{
	for (;;) {
		size_t whole = parcel->have < 2 ? 2 : 2 + (size_t)(parcel->data[0] << 8 | parcel->data[1]);
		ssize_t got;

		if (is_complete(parcel))
			return 1;
		got = recv(fd, parcel->data + parcel->have, whole - parcel->have, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (got <= 0)
			return -1;
		parcel->have += (size_t)got;
	}
}

/* 1: all of it is gone; 0: not yet; -1: the connection is over. */
static int drain(int fd, struct parcel *parcel)
{
	while (parcel->sent < parcel->have) {
		ssize_t sent =
			send(fd, parcel->data + parcel->sent, parcel->have - parcel->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (sent < 0)
			return -1;
		parcel->sent += (size_t)sent;
	}
	parcel->have = parcel->sent = 0;
	return 1;
}

static void load(struct parcel *parcel, const uint8_t *message, size_t size)
{
	parcel->data[0] = (uint8_t)(size >> 8);
	parcel->data[1] = (uint8_t)size;
	memcpy(parcel->data + 2, message, size);
	parcel->have = 2 + size;
	parcel->sent = 0;
}

static void end(struct responder_self *self, struct stream *stream)
{
	unsigned index = (unsigned)(stream - self->streams);

	for (size_t i = 0; stream->held && i < HELD_MAX; i++) {
		struct held *held = &self->held[i];

		if (held->is_used && held->is_tcp && held->server == index && held->generation == stream->generation)
			held->is_used = false;
	}
	if (stream->client >= 0)
		close(stream->client);
	if (stream->upstream >= 0)
		close(stream->upstream);
	stream->client = stream->upstream = -1;
	stream->generation++;
}

static struct stream *find_slot(struct responder_self *self)
{
	struct stream *slot = &self->streams[0];

	for (size_t i = 0; i < STREAMS_MAX && slot->client >= 0; i++)
		if (self->streams[i].client < 0 || self->streams[i].used < slot->used)
			slot = &self->streams[i];
	if (slot->client >= 0)
		end(self, slot);
	return slot;
}

void responder_tcp_accept(struct responder_self *self, unsigned server)
{
	for (int i = 0; i < AT_ONCE; i++) {
		int fd = accept4(self->tcp[server], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct stream *stream;

		if (fd < 0)
			return;
		stream = find_slot(self);
		stream->client = fd;
		stream->upstream = -1;
		stream->server = server;
		stream->is_connecting = stream->is_asking = stream->is_half_closed = false;
		stream->reply = NULL;
		stream->used = self->now;
		stream->asked = stream->answered = stream->held = 0;
		stream->ask.have = stream->ask.sent = stream->truth.have = stream->truth.sent = 0;
		stream->lie.have = stream->lie.sent = 0;
	}
}

static bool is_idle(const struct stream *stream)
{
	return !stream->is_asking && !stream->reply && !stream->lie.have && !stream->held &&
	       stream->answered >= stream->asked;
}

/* Sends on what is complete, the lies first; false: the connection is over. */
static bool reply(struct responder_self *self, struct stream *stream)
{
	for (;;) {
		int r;

		if (!stream->reply && stream->lie.have)
			stream->reply = &stream->lie;
		else if (!stream->reply && is_complete(&stream->truth))
			stream->reply = &stream->truth;
		if (!stream->reply)
			break;
		r = drain(stream->client, stream->reply);
		if (r < 0)
			return false;
		if (!r)
			return true;
		stream->reply = NULL;
		stream->used = self->now;
	}
	return !stream->is_half_closed || !is_idle(stream);
}

static bool open_upstream(struct responder_self *self, struct stream *stream)
{
	union address to;
	socklen_t size = responder_address(&self->servers[stream->server], &to);

	if (stream->upstream >= 0)
		return true;
	stream->upstream = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (stream->upstream < 0)
		return false;
	stream->is_connecting = true;
	return !connect(stream->upstream, &to.any, size) || errno == EINPROGRESS;
}

/* The message in `ask` goes on to the server; false: the connection is over. */
static bool pass(struct responder_self *self, struct stream *stream)
{
	int r;

	stream->is_asking = true;
	if (!open_upstream(self, stream))
		return false;
	if (stream->is_connecting)
		return true;
	r = drain(stream->upstream, &stream->ask);
	if (r < 0)
		return false;
	if (r) {
		stream->is_asking = false;
		stream->asked++;
	}
	return true;
}

static bool serve_one(struct responder_self *self, struct stream *stream)
{
	const uint8_t *message = stream->ask.data + 2;
	size_t size = stream->ask.have - 2;
	uint8_t answer[BRUNT_DNS_ANSWER_SIZE];
	uint32_t index = (uint32_t)(stream - self->streams);
	uint64_t client = responder_hash(responder_hash(STREAMS_MAX, &index, sizeof(index)), &stream->generation,
					 sizeof(stream->generation));
	struct held *held;

	switch (responder_judge(self, message, size, client)) {
	case RULING_PASS:
		return pass(self, stream);
	case RULING_ANSWER:
		size = responder_lie(self, message, size, answer);
		if (size)
			load(&stream->lie, answer, size);
		break;
	case RULING_HOLD:
		held = responder_hold(self, message, size);
		if (held) {
			held->is_tcp = true;
			held->server = index;
			held->generation = stream->generation;
			stream->held++;
		}
		break;
	}
	stream->ask.have = 0;
	return reply(self, stream);
}

short responder_tcp_wants(const struct stream *stream, bool client)
{
	short events = 0;

	if (client) {
		if (!stream->is_asking && !stream->lie.have && !stream->is_half_closed)
			events |= POLLIN;
		if (stream->reply)
			events |= POLLOUT;
		return events;
	}
	if (stream->is_connecting || stream->is_asking)
		events |= POLLOUT;
	if (!is_complete(&stream->truth))
		events |= POLLIN;
	return events;
}

void responder_tcp_client(struct responder_self *self, struct stream *stream)
{
	bool lives = reply(self, stream);

	stream->used = self->now;
	for (int i = 0; lives && i < AT_ONCE; i++) {
		int r;

		if (stream->is_asking || stream->lie.have || stream->is_half_closed)
			return;
		r = fill(stream->client, &stream->ask);
		if (!r)
			return;
		if (r < 0) {
			stream->is_half_closed = true;
			lives = !is_idle(stream);
		} else {
			lives = serve_one(self, stream);
		}
	}
	if (!lives)
		end(self, stream);
}

static bool is_connected(struct stream *stream)
{
	socklen_t size = sizeof(int);
	int code = 0;

	if (getsockopt(stream->upstream, SOL_SOCKET, SO_ERROR, &code, &size) || code)
		return false;
	stream->is_connecting = false;
	return true;
}

void responder_tcp_upstream(struct responder_self *self, struct stream *stream)
{
	bool lives = !stream->is_connecting || is_connected(stream);

	if (lives && stream->is_asking)
		lives = pass(self, stream);
	for (int i = 0; lives && i < AT_ONCE && !is_complete(&stream->truth); i++) {
		int r = fill(stream->upstream, &stream->truth);

		if (r < 0 && is_idle(stream) && !stream->truth.have) {
			/* A server may end a connection that is idle; the client's next question makes another. */
			close(stream->upstream);
			stream->upstream = -1;
			return;
		}
		lives = r >= 0;
		if (!r)
			return;
		stream->answered += r > 0;
		lives = lives && reply(self, stream);
	}
	if (!lives)
		end(self, stream);
}

bool responder_tcp_release(struct responder_self *self, struct held *held, bool lie)
{
	struct stream *stream = &self->streams[held->server];
	uint8_t answer[BRUNT_DNS_ANSWER_SIZE];
	size_t size;
	bool lives;

	if (stream->client < 0 || stream->generation != held->generation)
		return true;
	if (lie ? stream->lie.have : stream->is_asking || stream->ask.have)
		return false;
	stream->held--;
	held->is_used = false;
	if (lie) {
		size = responder_lie(self, held->data, held->size, answer);
		if (size)
			load(&stream->lie, answer, size);
		lives = reply(self, stream);
	} else {
		load(&stream->ask, held->data, held->size);
		lives = pass(self, stream);
	}
	if (!lives)
		end(self, stream);
	return true;
}
