/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which connections network.reset is about: those of the target, in all its
 * network namespaces, that the parameters mean, and of these its share.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brunt/param.h"
#include "network/connections.h"
#include "network/netlink.h"

struct brunt_error;
struct brunt_victims;
struct brunt_ways;

enum brunt_reset_states {
	BRUNT_RESET_CONNECTING,
	BRUNT_RESET_ESTABLISHED,
	BRUNT_RESET_CLOSING,
	BRUNT_RESET_TIME_WAIT,
	BRUNT_RESET_LISTENING,
};

struct brunt_reset_params {
	double share;
	struct brunt_list to, local, except, states;
};

/* What decides beside parameters and victims. */
struct brunt_reset_scope {
	uint64_t seed;
	uint32_t step;
	uint64_t round;		       /* counts the resets of this step: each chooses anew */
	const struct brunt_ways *ways; /* or NULL */
	char mount[PATH_MAX];	       /* of cgroup v2, or "" */
};

struct brunt_reset_item {
	struct brunt_connection connection;
	size_t namespace; /* index into netlinks */
	uint64_t key;	  /* the same for both ends of a connection; in an order that the seed decides */
	bool is_meant, is_protected;
};

#define BRUNT_RESET_NAMESPACES 64

struct brunt_reset_list {
	struct brunt_reset_item *items; /* the chosen ones; both ends of a connection, if both match, side by side */
	size_t count, room;
	struct brunt_netlink netlinks[BRUNT_RESET_NAMESPACES]; /* open */
	size_t namespaces;
	size_t seen;	/* the target's sockets */
	size_t matched; /* connections that the parameters mean */
	size_t chosen;	/* connections, of these */
	size_t spared;	/* connections that would have matched, but are brunt's own or a way into this host */
};

/*
 * Looks, and touches nothing. list is zeroed by the caller. 0, -E2BIG (more than can be reset within a lease, or too
 * many namespaces), -EPERM, -ENOMEM, -errno.
 */
int brunt_reset_find(const struct brunt_reset_params *params, const struct brunt_reset_scope *scope,
		     const struct brunt_victims *victims, struct brunt_reset_list *list, struct brunt_error *err);

/* Closes and frees; list is as at first. May be called twice. */
void brunt_reset_list_done(struct brunt_reset_list *list);
