/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the responder's own files share. One process, one purpose: all it has
 * lies in one struct, of a fixed size; nothing is allocated after its start.
 */
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "brunt/clock.h"
#include "brunt/role.h"
#include "dns/responder.h"

#define FLIGHTS_MAX 1024 /* clients whose UDP questions were passed on */
#define STREAMS_MAX 32	 /* TCP connections */
#define HELD_MAX    256	 /* questions that are held back */
#define FATES_MAX   256
#define HELD_SIZE   4096 /* a larger question is never held */
#define UDP_SIZE    65535
#define TCP_SIZE    (2 + 65535)
/* the holder's socket, listeners, flights, both ends of each connection */
#define EVENTS_MAX (1 + 2 * BRUNT_DNS_SERVERS_MAX + FLIGHTS_MAX + 2 * STREAMS_MAX)

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* The socket through which one client's UDP questions to one server go on, as through a NAT. */
struct flight {
	int fd; /* -1: free */
	unsigned server;
	union address client;
	uint64_t used; /* ns */
	unsigned asked, answered;
	uint8_t last[12 + 255 + 4]; /* the last question without what follows it, to say that the server is gone */
	size_t last_size;
};

/* One message of a TCP connection: two bytes of length, then the message. */
struct parcel {
	size_t have, sent;
	uint8_t data[TCP_SIZE];
};

struct stream {
	int client, upstream; /* -1: none */
	unsigned server;
	uint32_t generation; /* counts the connections of this slot */
	bool is_connecting;
	bool is_asking;	      /* `ask` is complete and on its way to the server */
	bool is_half_closed;  /* the client will ask no more */
	struct parcel *reply; /* on its way to the client: truth or lie; NULL: none */
	uint64_t used;
	unsigned asked, answered, held;
	struct parcel ask, truth, lie;
};

struct held {
	bool is_used, is_tcp;
	unsigned server; /* UDP: listener; TCP: slot of the connection */
	uint32_t generation;
	union address client;
	uint64_t since, due; /* ns */
	size_t size;
	uint8_t data[HELD_SIZE];
};

/* Both questions of a lookup (A and AAAA), and what is asked again at once, share a fate. */
struct fate {
	uint64_t hash, until;
	bool hurts;
};

enum watch_kind { WATCH_HOLDER, WATCH_UDP, WATCH_TCP, WATCH_FLIGHT, WATCH_CLIENT, WATCH_UPSTREAM };

/* Whose socket it is that is polled. */
struct watch {
	enum watch_kind kind;
	unsigned index;
};

struct responder_self {
	struct brunt_responder_page *page;
	const struct brunt_dns_policy *policy;
	struct brunt_dns_server servers[BRUNT_DNS_SERVERS_MAX];
	size_t server_count;
	uint64_t beat, now, gives_up;
	int socket;
	bool is_active;
	uint64_t ends; /* not 0: the holder has told us to end, and this is when we do */
	struct brunt_deadman deadman;
	struct brunt_random random;
	int udp[BRUNT_DNS_SERVERS_MAX], tcp[BRUNT_DNS_SERVERS_MAX];
	struct brunt_dns_question question;
	struct flight flights[FLIGHTS_MAX];
	struct stream streams[STREAMS_MAX];
	struct held held[HELD_MAX];
	struct fate fates[FATES_MAX];
	struct pollfd events[EVENTS_MAX];
	struct watch watches[EVENTS_MAX];
	size_t event_count;
	uint8_t buffer[UDP_SIZE];
};

/* What is to be done with a question. */
enum ruling { RULING_PASS, RULING_ANSWER, RULING_HOLD };

/* Judges and counts one; client tells lookups apart. The question is in self->question unless it passes. */
enum ruling responder_judge(struct responder_self *self, const uint8_t *message, size_t size, uint64_t client);

/* The answer to a question that was judged, by the policy. Its size; 0: none can be given. */
size_t responder_lie(struct responder_self *self, const uint8_t *message, size_t size,
		     uint8_t ret[BRUNT_DNS_ANSWER_SIZE]);

/* Holds a question back until it is due, or until the fault ends. NULL: too large. */
struct held *responder_hold(struct responder_self *self, const uint8_t *message, size_t size);

uint64_t responder_hash(uint64_t hash, const void *data, size_t size);

/* A socket bound to loopback: its descriptor, or -1. *ret_port in host order. */
int responder_bind(int family, int type, uint16_t *ret_port);
socklen_t responder_address(const struct brunt_dns_server *server, union address *ret);

/* UDP. */
void responder_udp_serve(struct responder_self *self, unsigned server);
void responder_udp_pass(struct responder_self *self, unsigned server, const union address *client,
			const uint8_t *message, size_t size);
void responder_udp_return(struct responder_self *self, struct flight *flight);
void responder_udp_send(struct responder_self *self, unsigned server, const union address *client,
			const uint8_t *message, size_t size);

/* TCP. responder_tcp_release(): false: not now, the connection is busy. */
void responder_tcp_accept(struct responder_self *self, unsigned server);
short responder_tcp_wants(const struct stream *stream, bool client);
void responder_tcp_client(struct responder_self *self, struct stream *stream);
void responder_tcp_upstream(struct responder_self *self, struct stream *stream);
bool responder_tcp_release(struct responder_self *self, struct held *held, bool lie);
