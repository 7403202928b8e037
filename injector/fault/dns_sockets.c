/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that keep a socket connected to their name server (nginx, HAProxy)
 * ask the kernel nothing when they send: such a socket goes on to the server
 * that it was connected to. It can only be ended, which its program hears as
 * any error of the network, and makes a new one.
 */
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "fault/connections.h"
#include "fault/dns_fail.h"

#define FOUND_MAX 256

/* Sockets that are connected to a name server, whoever's they are. */
struct found {
	const struct brunt_dns_place *place;
	struct brunt_connection items[FOUND_MAX];
	size_t count;
};

static int take(void *user, const struct brunt_connection *connection)
{
	struct found *found = user;
	const struct brunt_end *end = &connection->remote;

	for (size_t i = 0; i < found->place->server_count && found->count < FOUND_MAX; i++) {
		const struct brunt_dns_server *server = &found->place->servers[i];

		if (server->family != end->family || server->port != end->port ||
		    memcmp(server->address, end->address, server->family == 4 ? 4 : 16))
			continue;
		found->items[found->count++] = *connection;
		break;
	}
	return 0;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/* Is it one of that process's descriptors? */
static bool has_socket(pid_t pid, uint32_t inode)
{
	BRUNT_CLEANUP(close_dir) DIR *dir = NULL;
	struct dirent *entry;
	char path[32], link[64], wanted[32];
	bool has = false;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	(void)snprintf(wanted, sizeof(wanted), "socket:[%u]", (unsigned)inode);
	dir = opendir(path);
	while (dir && !has && (entry = readdir(dir))) {
		ssize_t size = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		link[size < 0 ? 0 : size] = '\0';
		has = !strcmp(link, wanted);
	}
	return has;
}

static bool is_of_target(const struct brunt_victims *victims, uint32_t inode)
{
	for (size_t i = 0; inode && i < victims->process_count; i++)
		if (has_socket(victims->processes[i].pid, inode))
			return true;
	return false;
}

static int end(struct brunt_netlink *netlink, const struct brunt_connection *connection, struct brunt_error *err)
{
	int r = brunt_connection_destroy(netlink, connection);

	if (r == -EOPNOTSUPP)
		return brunt_fail(err, ENOTSUP,
				  "'reconnect' needs a kernel that can end sockets (CONFIG_INET_DIAG_DESTROY)");
	return r && r != -ENOENT ? brunt_fail(err, -r, "cannot end a socket of the target: %s", strerror(-r)) : 0;
}

static int look_in(const struct dns_state *state, struct found *found, bool ends, size_t *count,
		   struct brunt_error *err)
{
	struct brunt_netlink netlink;
	int r = brunt_netlink_open(NETLINK_SOCK_DIAG, found->place->netns, &netlink, err);

	if (r)
		return r;
	r = brunt_connections_visit_udp(&netlink, take, found, err);
	r = r ?: brunt_connections_visit(&netlink, 1u << TCP_ESTABLISHED, take, found, err);
	for (size_t i = 0; !r && i < found->count; i++) {
		if (!is_of_target(state->victims, found->items[i].inode))
			continue;
		(*count)++;
		if (ends)
			r = end(&netlink, &found->items[i], err);
	}
	brunt_netlink_close(&netlink);
	return r;
}

int dns_old_sockets(struct dns_state *state, bool ends, size_t *ret_count, struct brunt_error *err)
{
	BRUNT_AUTO_FREE struct found *found = malloc(sizeof(*found));
	int r = 0;

	*ret_count = 0;
	if (!found)
		return brunt_fail(err, ENOMEM, "no memory for the sockets of the target");
	for (size_t i = 0; !r && i < state->places.count; i++) {
		found->place = &state->places.items[i];
		found->count = 0;
		r = look_in(state, found, ends, ret_count, err);
	}
	return r;
}
