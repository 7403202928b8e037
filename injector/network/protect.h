/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways that must not be cut by accident: the SSH session that brunt was
 * started from, the host's way to its name servers, and the SLIs' own paths.
 * Each is a flow, and each network fault can be asked what it would do to a
 * flow (brunt_injector.harm); whether the target is on its way is found here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brunt/fault.h"
#include "brunt/param.h"

struct brunt_error;
struct brunt_names;
struct brunt_victims;

enum brunt_way_kind { BRUNT_WAY_SSH, BRUNT_WAY_RESOLVER, BRUNT_WAY_SLI };

#define BRUNT_WAYS_MAX 48

struct brunt_way {
	enum brunt_way_kind kind;
	char name[64];			     /* for a person: "SLI 'site'" */
	struct brunt_endpoint local, remote; /* of this host; port or address 0: any */
	unsigned interface;		     /* index of the one that its packets leave by; 0: unknown */
	uint64_t cgroup;		     /* that its socket was made in; 0: unknown */
	uint32_t inode;			     /* of its socket; 0: unknown */
};

/* Plain data: found before privileges are given up, and inherited by fork. */
struct brunt_ways {
	struct brunt_way items[BRUNT_WAYS_MAX];
	size_t count;
};

/*
 * Adds the established TCP connection of the SSH session that this process descends from (SSH_CONNECTION of it or of an
 * ancestor, the sockets of sshd among its ancestors; under tmux or screen, every sshd's). Nothing when there is none.
 * What may not be read is left out. May be called by anybody; root finds more.
 */
void brunt_ways_find_ssh(struct brunt_ways *ways);

/* Adds a way to every name server of such a file; a file that cannot be read has none. "/etc/resolv.conf". */
void brunt_ways_find_resolvers(struct brunt_ways *ways, const char *path);

/*
 * Adds the way to the host of a URL ("http://127.0.0.1:8080/health") or of "host:port"; a host name is added only if it
 * is in the hosts file or is looked up, which may take seconds, when look_up says so.
 */
void brunt_ways_add_url(struct brunt_ways *ways, const char *name, const char *url, bool look_up);

/*
 * Does a fault on these victims hurt one of the ways? Notes for a person go to notes, one phrase each, separated by
 * newlines (may be NULL). allowed: 1 << enum brunt_way_kind that may be cut; an SLI's may always. 0, or -EDQUOT with the
 * first that would be cut and what to do about it. names: what the fault's host names stand for, or NULL: they stand for
 * nothing yet. mount: of cgroup v2, or NULL. Reads only.
 */
int brunt_ways_check(const struct brunt_ways *ways, const struct brunt_fault *fault,
		     const struct brunt_victims *victims, const struct brunt_names *names, const char *mount,
		     unsigned allowed, char *notes, size_t size, struct brunt_error *err);

/* For brunt_injector.harm: would these rules (NULL or empty: any) match a flow with these ends? */
bool brunt_way_is_meant(const struct brunt_list *to, const struct brunt_list *local, const struct brunt_list *except,
			const struct brunt_endpoint *own, const struct brunt_endpoint *remote);
