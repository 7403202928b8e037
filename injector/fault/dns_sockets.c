/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that keep a socket connected to their name server (nginx, HAProxy)
 * ask the kernel nothing when they send: such a socket goes on to the server
 * that it was connected to. It can only be ended, which its program hears as
 * any error of the network, and makes a new one.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "network/connections.h"
#include "fault/dns_fail.h"
#include "network/owners.h"

#define FOUND_MAX 1024 /* in one network namespace */

/* Sockets of the target that are connected to a name server. */
struct found {
	const struct brunt_dns_place *place;
	const struct brunt_owners *owners;
	struct brunt_connection items[FOUND_MAX];
	size_t count; /* with those that items have no place for */
};

static bool is_server(const struct brunt_dns_place *place, const struct brunt_end *end)
{
	for (size_t i = 0; i < place->server_count; i++) {
		const struct brunt_dns_server *server = &place->servers[i];

		if (server->family == end->family && server->port == end->port &&
		    !memcmp(server->address, end->address, server->family == 4 ? 4 : 16))
			return true;
	}
	return false;
}

static int take(void *user, const struct brunt_connection *connection)
{
	struct found *found = user;

	if (!is_server(found->place, &connection->remote) || !brunt_ids_have(&found->owners->inodes, connection->inode))
		return 0;
	if (found->count < FOUND_MAX)
		found->items[found->count] = *connection;
	found->count++;
	return 0;
}

static int end(struct brunt_netlink *netlink, const struct brunt_connection *connection, struct brunt_error *err)
{
	int r = brunt_connection_destroy(netlink, connection);

	if (r == -EOPNOTSUPP)
		return brunt_fail(err, ENOTSUP,
				  "'reconnect' needs a kernel that can end sockets (CONFIG_INET_DIAG_DESTROY)");
	return r && r != -ENOENT ? brunt_fail(err, -r, "cannot end a socket of the target: %s", strerror(-r)) : 0;
}

static int look_in(struct found *found, bool reconnects, bool ends, size_t *count, struct brunt_error *err)
{
	struct brunt_netlink netlink;
	int namespace = brunt_dns_place_is_own(found->place) ? -1 : found->place->netns;
	int r = brunt_netlink_open(NETLINK_SOCK_DIAG, namespace, &netlink, err);

	if (r)
		return r;
	r = brunt_connections_visit_udp(&netlink, take, found, err);
	r = r ?: brunt_connections_visit(&netlink, 1u << TCP_ESTABLISHED, take, found, err);
	if (!r && reconnects && found->count > FOUND_MAX)
		r = brunt_fail(
			err, E2BIG,
			"%zu sockets of the target are connected to a name server, and 'reconnect' ends %d at most",
			found->count, FOUND_MAX);
	*count += found->count;
	for (size_t i = 0; !r && ends && i < found->count; i++)
		r = end(&netlink, &found->items[i], err);
	brunt_netlink_close(&netlink);
	return r;
}

static int find_owners(const struct dns_state *state, struct brunt_owners *owners, struct brunt_error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < state->victims->matched; i++) {
		const struct brunt_item *item = &state->victims->items[i];

		if (!item->picked)
			continue;
		r = item->kind == BRUNT_TARGET_PROCESS
			    ? brunt_owners_add_process(owners, item->process.pid, err)
			    : brunt_owners_add_cgroup(owners, state->mount, item->cgroup, err);
	}
	brunt_owners_sort(owners);
	return r;
}

int dns_old_sockets(struct dns_state *state, bool ends, size_t *ret_count, struct brunt_error *err)
{
	BRUNT_CLEANUP(brunt_owners_done) struct brunt_owners owners = { 0 };
	BRUNT_AUTO_FREE struct found *found = malloc(sizeof(*found));
	int r;

	*ret_count = 0;
	if (!found)
		return brunt_fail(err, ENOMEM, "no memory for the sockets of the target");
	r = find_owners(state, &owners, err);
	for (size_t i = 0; !r && i < state->places.count; i++) {
		found->place = &state->places.items[i];
		found->owners = &owners;
		found->count = 0;
		r = look_in(found, ends || state->params->reconnect, ends, ret_count, err);
	}
	return r;
}
