/* SPDX-License-Identifier: Apache-2.0 */
/* Where the ways go: from the environment, the sockets of sshd, resolv.conf, the plan's URLs. */
#include "network/protect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/memory.h"
#include "network/connections.h"
#include "network/netlink.h"
#include "network/owners.h"
#include "target/proc.h"

#define ANCESTORS_MAX 64

/* ---- ends ---- */

static struct brunt_endpoint exactly(const struct brunt_end *end, uint8_t protocol)
{
	struct brunt_endpoint endpoint = {
		.family = end->family,
		.prefix = end->family == 4 ? 32 : 128,
		.protocol = protocol,
		.port_min = end->port,
		.port_max = end->port,
	};

	memcpy(endpoint.address, end->address, end->family == 4 ? 4 : 16);
	return endpoint;
}

/* "10.0.0.1" or "fe80::1%eth0"; the zone is left out. */
static bool read_address(const char *text, struct brunt_end *ret)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char address[INET6_ADDRSTRLEN];

	memset(ret, 0, sizeof(*ret));
	(void)snprintf(address, sizeof(address), "%.*s", (int)strcspn(text, "%"), text);
	if (inet_pton(AF_INET, address, ret->address) == 1) {
		ret->family = 4;
		return true;
	}
	if (inet_pton(AF_INET6, address, ret->address) != 1)
		return false;
	ret->family = 6;
	if (!memcmp(ret->address, mapped, sizeof(mapped))) {
		memmove(ret->address, ret->address + 12, 4);
		memset(ret->address + 4, 0, 12);
		ret->family = 4;
	}
	return true;
}

static bool same_end(const struct brunt_end *one, const struct brunt_end *other)
{
	return one->family == other->family && one->port == other->port &&
	       !memcmp(one->address, other->address, sizeof(one->address));
}

static unsigned way_out(const struct brunt_connection *connection)
{
	struct brunt_netlink route;
	unsigned index;

	if (brunt_netlink_open(NETLINK_ROUTE, -1, &route, NULL))
		return 0;
	index = brunt_connection_interface(&route, connection);
	brunt_netlink_close(&route);
	return index;
}

/* The address that we would have on the way to remote, with port 0; that of no family when there is no way. */
static struct brunt_end own_end(const struct brunt_end *remote)
{
	BRUNT_AUTO_CLOSE int fd = socket(remote->family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(remote->port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(remote->port) };
	struct brunt_end end = { .family = remote->family };
	socklen_t size = remote->family == 6 ? sizeof(six) : sizeof(four);
	void *at = remote->family == 6 ? (void *)&six : (void *)&four;
	void *address = remote->family == 6 ? (void *)&six.sin6_addr : (void *)&four.sin_addr;

	memcpy(address, remote->address, remote->family == 6 ? 16 : 4);
	/* sends nothing */
	if (fd < 0 || connect(fd, at, size) || getsockname(fd, at, &size))
		return (struct brunt_end){ 0 };
	memcpy(end.address, address, remote->family == 6 ? 16 : 4);
	return end;
}

/* A way to remote, from our address there and whatever port. */
static void add_remote(struct brunt_ways *ways, enum brunt_way_kind kind, const char *name, const struct brunt_end *end,
		       uint8_t protocol)
{
	struct brunt_connection connection = { .remote = *end, .local = { .family = end->family } };
	struct brunt_way *way = &ways->items[ways->count];
	const struct brunt_end own = own_end(end);

	if (ways->count == BRUNT_WAYS_MAX)
		return;
	*way = (struct brunt_way){ .kind = kind, .remote = exactly(end, protocol), .interface = way_out(&connection) };
	way->local = own.family ? exactly(&own, protocol)
				: (struct brunt_endpoint){ .family = end->family, .protocol = protocol };
	(void)snprintf(way->name, sizeof(way->name), "%s", name);
	ways->count++;
}

/* ---- the SSH session ---- */

struct session {
	struct brunt_ways *ways;
	bool has_named; /* by SSH_CONNECTION */
	struct brunt_end client, server;
	struct brunt_owners owners; /* of sshd */
};

/* sshd(8): "client address, client port, server address, server port". */
static bool read_connection(const char *text, struct session *session)
{
	char client[64], server[64];
	unsigned client_port, server_port;

	if (sscanf(text, "%63s %u %63s %u", client, &client_port, server, &server_port) != 4 || client_port > 65535 ||
	    server_port > 65535 || !read_address(client, &session->client) || !read_address(server, &session->server))
		return false;
	session->client.port = (uint16_t)client_port;
	session->server.port = (uint16_t)server_port;
	return true;
}

/* sudo takes the variable out of our environment, but not out of its own. */
static bool read_environment(int proc, pid_t pid, struct session *session)
{
	static const char key[] = "SSH_CONNECTION=";
	const size_t size = 128 * 1024;
	BRUNT_AUTO_FREE char *text = malloc(size);
	ssize_t got = text ? brunt_proc_read(proc, pid, "environ", text, size) : -1;

	for (ssize_t at = 0; at < got; at += (ssize_t)strlen(text + at) + 1)
		if (!strncmp(text + at, key, sizeof(key) - 1))
			return read_connection(text + at + sizeof(key) - 1, session);
	return false;
}

static void walk_ancestors(struct session *session)
{
	BRUNT_AUTO_CLOSE int proc = brunt_proc_open("/proc", NULL);
	pid_t pid = getpid();

	for (int i = 0; proc >= 0 && i < ANCESTORS_MAX && pid > 1; i++) {
		struct brunt_proc_stat stat;

		if (!session->has_named)
			session->has_named = read_environment(proc, pid, session);
		if (brunt_proc_stat(proc, pid, &stat))
			return;
		if (!strncmp(stat.comm, "sshd", 4))
			(void)brunt_owners_add_process(&session->owners, pid, NULL);
		/* Who looks at them came by an sshd that is no ancestor of ours. */
		if (!strncmp(stat.comm, "tmux", 4) || !strcasecmp(stat.comm, "screen"))
			(void)brunt_owners_add_named(&session->owners, "sshd", NULL);
		pid = stat.ppid;
	}
}

static int take(void *user, const struct brunt_connection *connection)
{
	struct session *session = user;
	struct brunt_ways *ways = session->ways;
	bool named = session->has_named && same_end(&connection->local, &session->server) &&
		     same_end(&connection->remote, &session->client);

	if ((!named && !brunt_ids_have(&session->owners.inodes, connection->inode)) || ways->count == BRUNT_WAYS_MAX)
		return 0;
	ways->items[ways->count] = (struct brunt_way){
		.kind = BRUNT_WAY_SSH,
		.name = "your SSH session",
		.local = exactly(&connection->local, IPPROTO_TCP),
		.remote = exactly(&connection->remote, IPPROTO_TCP),
		.interface = way_out(connection),
		.cgroup = connection->cgroup,
		.inode = connection->inode,
	};
	ways->count++;
	return 0;
}

void brunt_ways_find_ssh(struct brunt_ways *ways)
{
	struct session session = { .ways = ways };
	struct brunt_netlink netlink;

	walk_ancestors(&session);
	brunt_owners_sort(&session.owners);
	/* A session that is not among the connections of this namespace is over, or is none that we could cut. */
	if (!brunt_netlink_open(NETLINK_SOCK_DIAG, -1, &netlink, NULL)) {
		(void)brunt_connections_visit(&netlink, 1u << TCP_ESTABLISHED, take, &session, NULL);
		brunt_netlink_close(&netlink);
	}
	brunt_owners_done(&session.owners);
}

/* ---- name servers ---- */

void brunt_ways_find_resolvers(struct brunt_ways *ways, const char *path)
{
	FILE *in = fopen(path, "re");
	char line[512], address[64];

	while (in && fgets(line, sizeof(line), in)) {
		struct brunt_end end;

		if (sscanf(line, " nameserver %63s", address) != 1 || !read_address(address, &end))
			continue;
		end.port = 53;
		add_remote(ways, BRUNT_WAY_RESOLVER, "this host's way to its name server", &end, IPPROTO_UDP);
		add_remote(ways, BRUNT_WAY_RESOLVER, "this host's way to its name server", &end, IPPROTO_TCP);
	}
	if (in)
		(void)fclose(in);
}

/* ---- SLIs ---- */

/* "host", "host:port", "[v6]:port" out of a URL. */
static bool split(const char *url, char *host, size_t size, uint16_t *ret_port)
{
	const char *from = strstr(url, "://"), *end, *colon;
	unsigned port = from && !strncmp(url, "https", 5) ? 443 : 80;
	size_t length;

	from = from ? from + 3 : url;
	length = strcspn(from, "/?#");
	for (const char *at = from; at < from + length; at++)
		if (*at == '@') {
			length -= (size_t)(at + 1 - from);
			from = at + 1;
		}
	if (*from == '[') {
		end = memchr(from, ']', length);
		if (!end)
			return false;
		(void)snprintf(host, size, "%.*s", (int)(end - from - 1), from + 1);
		colon = end + 1 < from + length && end[1] == ':' ? end + 1 : NULL;
	} else {
		colon = memchr(from, ':', length);
		(void)snprintf(host, size, "%.*s", (int)(colon ? (size_t)(colon - from) : length), from);
	}
	if (colon)
		port = (unsigned)strtoul(colon + 1, NULL, 10);
	*ret_port = (uint16_t)port;
	return host[0] && port && port < 65536;
}

void brunt_ways_add_url(struct brunt_ways *ways, const char *name, const char *url, bool look_up)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = look_up ? 0 : AI_NUMERICHOST }, *found = NULL;
	char host[256], text[INET6_ADDRSTRLEN];
	uint16_t port;

	if (!split(url, host, sizeof(host), &port) || getaddrinfo(host, NULL, &hints, &found))
		return;
	for (struct addrinfo *one = found; one; one = one->ai_next) {
		struct brunt_end end;

		if (!getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) &&
		    read_address(text, &end)) {
			end.port = port;
			add_remote(ways, BRUNT_WAY_SLI, name, &end, IPPROTO_TCP);
		}
	}
	freeaddrinfo(found);
}
