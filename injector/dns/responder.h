/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The responder: a child of the holder that stands in for the name servers of
 * one network namespace. It answers what the fault is about, and passes on the
 * rest, by UDP and TCP, byte for byte.
 *
 * It parses what others send, so it may do nothing else: a uid of its own, no
 * capabilities, no files, no children, a short list of system calls. What it
 * has from the holder is an end of a socket that says nothing but its own end,
 * and a page of memory: the holder gives orders in it, the responder reports.
 *
 * Its death ends nothing by itself, so it ends as little as it can: the lease
 * in BPF reaches no farther than its last heartbeat, after which lookups go to
 * the real servers again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "brunt/param.h"
#include "dns/dns_message.h"
#include "dns/dns_servers.h"

struct brunt_error;

enum brunt_dns_action {
	BRUNT_DNS_SAY_NXDOMAIN,
	BRUNT_DNS_SAY_SERVFAIL,
	BRUNT_DNS_SAY_REFUSED,
	BRUNT_DNS_SAY_NODATA,
	BRUNT_DNS_SAY_ADDRESS,
	BRUNT_DNS_SAY_NOTHING, /* the client waits until it gives up */
	BRUNT_DNS_SAY_TRUTH,   /* what the server says, after the delay */
};

/* Which lookups, and what becomes of them. Borrowed from the plan. */
struct brunt_dns_policy {
	const struct brunt_list *names;	 /* const char *; empty: all */
	const struct brunt_list *except; /* const char * */
	const struct brunt_list *types;	 /* int, enum brunt_dns_type; empty: all */
	enum brunt_dns_action action;
	struct brunt_dns_address addresses[BRUNT_DNS_ADDRESSES];
	size_t address_count;
	uint32_t ttl; /* seconds */
	uint64_t seed;
};

/* Is the fault about this question? Pure. */
bool brunt_dns_is_meant(const struct brunt_dns_policy *policy, const struct brunt_dns_question *question);

/* Names that were asked for and that the fault is not about, the most frequent ones. */
#define BRUNT_RESPONDER_NAMES	  8
#define BRUNT_RESPONDER_NAME_SIZE 64

struct brunt_responder_page {
	/* orders */
	uint64_t gives_up;  /* CLOCK_BOOTTIME ns: the responder kills itself then; 0: only when the holder ends */
	uint32_t active;    /* 0: pass on everything, also what is held back */
	uint64_t threshold; /* chance that a lookup is hurt, of 2^32, see brunt_bpf_chance() */
	uint64_t delay;	    /* of the answer, ns */
	/* reports; whoever reads them believes nothing of it */
	uint64_t beat; /* CLOCK_BOOTTIME ns of the last round of its loop */
	uint64_t seen, matched, hit;
	struct {
		uint64_t count;
		char name[BRUNT_RESPONDER_NAME_SIZE];
	} names[BRUNT_RESPONDER_NAMES];
};

struct brunt_responder {
	pid_t pid; /* 0: none */
	int pidfd; /* -1 when it was reaped */
	int socket;
	struct brunt_responder_page *page; /* kept until brunt_responder_free() */
	uint64_t netns;			   /* cookie of its network namespace; 0 before Linux 5.14 */
	struct {
		uint16_t udp, tcp; /* host order; 0: none, this namespace has no loopback of that family */
	} ports[BRUNT_DNS_SERVERS_MAX];
};

/* Makes the page. 0 or -ENOMEM. */
int brunt_responder_new(struct brunt_responder *responder, struct brunt_error *err);

/*
 * Forks it into the place's namespace. beat: ns between two heartbeats; gives_up: see the page. Does not wait: see
 * brunt_responder_await(). 0 or -errno.
 */
int brunt_responder_start(struct brunt_responder *responder, const struct brunt_dns_policy *policy,
			  const struct brunt_dns_place *place, uint64_t beat, uint64_t gives_up,
			  struct brunt_error *err);

/* Waits until its sockets are there, at most until CLOCK_BOOTTIME until, and fills in netns and ports. 0 or -errno. */
int brunt_responder_await(struct brunt_responder *responder, uint64_t until, struct brunt_error *err);

/* Has it ended without being told to? */
bool brunt_responder_is_lost(const struct brunt_responder *responder);

/* How likely, and how late. Stores. */
void brunt_responder_tune(struct brunt_responder *responder, uint64_t threshold, uint64_t delay);

/* It begins, and kills itself at gives_up unless that is renewed. Stores. */
void brunt_responder_begin(struct brunt_responder *responder, uint64_t gives_up);
void brunt_responder_renew(struct brunt_responder *responder, uint64_t gives_up);

/* It passes on everything, which harms nobody, and may wait for another beginning for as long as it takes. Stores. */
void brunt_responder_pause(struct brunt_responder *responder);

/* How long it waits at its end for the answers to what it passed on: ns. A part of the lease, for the holder waits, too. */
uint64_t brunt_responder_patience(uint64_t beat);

/*
 * Tells it to end: it passes on what it holds back, waits a moment for the answers, and ends. Does not wait; then
 * brunt_responder_reap() waits, kills it at CLOCK_BOOTTIME until, and reaps it. No allocation.
 */
void brunt_responder_release(struct brunt_responder *responder);
void brunt_responder_reap(struct brunt_responder *responder, uint64_t until);

/* Gives the page back. May be called twice. */
void brunt_responder_free(struct brunt_responder *responder);

/* ---- for responder_*.c ---- */

struct brunt_responder_ready {
	int32_t code; /* 0 or -errno */
	uint64_t netns;
	uint16_t udp[BRUNT_DNS_SERVERS_MAX], tcp[BRUNT_DNS_SERVERS_MAX];
	char text[160];
};

/* The life of the responder, in the child; never returns. */
void brunt_responder_main(struct brunt_responder_page *page, const struct brunt_dns_policy *policy,
			  const struct brunt_dns_place *place, uint64_t beat, int socket) __attribute__((noreturn));
