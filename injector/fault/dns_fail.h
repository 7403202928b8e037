/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of dns.fail share: its parameters, its state, and what it has to say. */
#pragma once

#include <arpa/inet.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "../../bpf/dns_fail.h"
#include "bpf/dns_fail.skel.h"
#include "brunt/fault.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "program/bpf.h"
#include "dns/dns_servers.h"
#include "dns/responder.h"

/* include/uapi/asm-generic/socket.h since 5.14 */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

struct dns_params {
	struct brunt_list names, except; /* of const char * */
	struct brunt_list types;	 /* of int: enum brunt_dns_type */
	int answer;			 /* enum brunt_dns_action */
	struct brunt_list addresses;	 /* of struct brunt_endpoint */
	uint64_t ttl;			 /* ns */
	struct brunt_ramp delay;	 /* ns */
	struct brunt_ramp probability;
	struct brunt_list servers; /* of struct brunt_endpoint */
	bool reconnect;
};

struct dns_state {
	const struct dns_params *params;
	struct brunt_dns_policy policy;
	struct dns_fail_bpf *skel;
	struct brunt_bpf bpf;
	struct brunt_dns_control *control;
	const struct brunt_victims *victims; /* from prepare to detach */
	enum brunt_target_kind kind;
	struct brunt_dns_places places;				 /* from prepare to detach */
	struct brunt_responder responders[BRUNT_DNS_PLACES_MAX]; /* one for each place */
	size_t started;						 /* of them */
	struct brunt_hits ended;				 /* what responders counted that have ended */
	size_t deaf;		/* sockets of the target that were connected to a name server when it was prepared */
	bool has_cookies;	/* the kernel tells network namespaces apart */
	struct dns_state *next; /* of those that are attached */
	bool hurries;		/* its undo waits for nothing */
	bool cut;		/* a responder was gone before it was told to go */
	uint64_t lease;
	char mount[PATH_MAX];
};

/*
 * Counts the target's sockets, UDP and TCP, that are connected to one of its name servers: what goes through them is not
 * turned. ends: ends them, so that the target makes new ones. 0; -E2BIG: more than can be ended; -errno.
 */
int dns_old_sockets(struct dns_state *state, bool ends, size_t *ret_count, struct brunt_error *err);

extern const struct brunt_table dns_table;
int dns_validate(const void *params, int kind, struct brunt_error *err);
void dns_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf, size_t size);
/* Is brunt itself, and so the probes of the run, in the cgroup of a picked item that is a whole cgroup? */
bool dns_is_ourselves(const struct brunt_victims *victims);

int dns_poll(void *opaque, struct brunt_hits *ret);

/* A responder has ended, and its page is about to be used by another. */
void dns_keep_counts(struct dns_state *state, struct brunt_responder *responder);
