/* SPDX-License-Identifier: Apache-2.0 */
#include "network/reset_find.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "network/namespaces.h"
#include "network/owners.h"
#include "network/protect.h"

/* Ending one takes some 10 us, and the holder must not stand still longer than a part of its lease. */
#define SOCKETS_MAX 20000

#define BIT(state)  (1u << (state))

struct finding {
	const struct brunt_reset_params *params;
	const struct brunt_reset_scope *scope;
	const struct brunt_victims *victims;
	struct brunt_reset_list *list;
	struct brunt_owners owners;    /* whose connections are meant; nothing for an interface */
	struct brunt_owners protected; /* whose are not, whatever else holds */
	struct brunt_netlink route;    /* for interfaces */
	uint32_t states;
	size_t namespace; /* being listed */
	struct brunt_reset_item *listeners;
	size_t listener_count, listener_room;
};

static uint32_t states_of(const struct brunt_reset_params *params)
{
	static const uint32_t masks[] = {
		[BRUNT_RESET_CONNECTING] = BIT(TCP_SYN_SENT) | BIT(TCP_SYN_RECV),
		[BRUNT_RESET_ESTABLISHED] = BIT(TCP_ESTABLISHED),
		[BRUNT_RESET_CLOSING] = BIT(TCP_FIN_WAIT1) | BIT(TCP_FIN_WAIT2) | BIT(TCP_CLOSE_WAIT) |
					BIT(TCP_LAST_ACK) | BIT(TCP_CLOSING),
		[BRUNT_RESET_TIME_WAIT] = BIT(TCP_TIME_WAIT),
		[BRUNT_RESET_LISTENING] = BIT(TCP_LISTEN),
	};
	uint32_t mask = 0;

	BRUNT_FOREACH (const int, state, params->states)
		mask |= masks[*state];
	return mask ?: masks[BRUNT_RESET_CONNECTING] | masks[BRUNT_RESET_ESTABLISHED] | masks[BRUNT_RESET_CLOSING];
}

static int append(struct brunt_reset_item **items, size_t *count, size_t *room, const struct brunt_reset_item *item)
{
	if (*count == *room) {
		size_t more = *room ? 2 * *room : 64;
		struct brunt_reset_item *bigger = reallocarray(*items, more, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		*items = bigger;
		*room = more;
	}
	(*items)[(*count)++] = *item;
	return 0;
}

static int take(void *user, const struct brunt_connection *connection)
{
	struct finding *finding = user;
	struct brunt_reset_list *list = finding->list;
	const struct brunt_reset_item item = { .connection = *connection, .namespace = finding->namespace };
	int r = 0;

	if (connection->state == TCP_LISTEN)
		r = append(&finding->listeners, &finding->listener_count, &finding->listener_room, &item);
	if (!r && finding->states & BIT(connection->state))
		r = append(&list->items, &list->count, &list->room, &item);
	return r;
}

/* ---- the places to look at ---- */

static int list_namespace(struct finding *finding, int namespace, struct brunt_error *err)
{
	struct brunt_reset_list *list = finding->list;
	int r;

	if (list->namespaces == BRUNT_RESET_NAMESPACES)
		return brunt_fail(err, E2BIG, "the target lives in more than %d network namespaces; pick fewer",
				  BRUNT_RESET_NAMESPACES);
	finding->namespace = list->namespaces;
	r = brunt_netlink_open(NETLINK_SOCK_DIAG, namespace, &list->netlinks[list->namespaces], err);
	if (r)
		return r;
	list->namespaces++;
	return brunt_connections_visit(&list->netlinks[finding->namespace], finding->states | BIT(TCP_LISTEN), take,
				       finding, err);
}

/* Each namespace once. A process that ended meanwhile has no connections. */
static int list_namespaces(struct finding *finding, struct brunt_error *err)
{
	uint64_t ids[BRUNT_RESET_NAMESPACES + 1];
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; i < finding->owners.pids.count && !r; i++) {
		const pid_t pid = (pid_t)finding->owners.pids.ids[i];
		BRUNT_AUTO_CLOSE int fd = -1;
		struct brunt_error why = { 0 };
		struct brunt_process process;
		uint64_t id = 0;
		bool known = false;

		if (brunt_process_identify("/proc", pid, false, &process, NULL))
			continue;
		fd = brunt_namespace_open(&process, &id, &why);
		if (fd == -ESRCH)
			continue;
		if (fd < 0)
			return brunt_fail(err, -fd, "%s", why.msg);
		for (size_t k = 0; k < count && !known; k++)
			known = ids[k] == id;
		if (known)
			continue;
		ids[count++] = id;
		r = list_namespace(finding, id == brunt_namespace_own() ? -1 : fd, err);
	}
	return r;
}

/* ---- whose they are ---- */

static int find_owners(struct finding *finding, struct brunt_error *err)
{
	const struct brunt_victims *victims = finding->victims;
	int r = 0;

	for (size_t i = 0; i < victims->process_count && !r; i++)
		if (brunt_process_alive(&victims->processes[i]))
			r = brunt_owners_add_process(&finding->owners, victims->processes[i].pid, err);
	/* Processes that came since, and sockets that no process has any more. */
	for (size_t i = 0; i < victims->matched && !r; i++) {
		const struct brunt_item *item = &victims->items[i];

		if (item->picked && item->kind != BRUNT_TARGET_PROCESS && item->cgroup[0] && finding->scope->mount[0])
			r = brunt_owners_add_cgroup(&finding->owners, finding->scope->mount, item->cgroup, err);
	}
	brunt_owners_sort(&finding->owners);
	return r;
}

static int find_protected(struct finding *finding, bool interface, struct brunt_error *err)
{
	const struct brunt_ways *ways = finding->scope->ways;
	int r = brunt_owners_add_ancestors(&finding->protected, getpid(), err);

	for (size_t i = 0; !r && ways && i < ways->count; i++)
		if (ways->items[i].kind == BRUNT_WAY_SSH)
			r = brunt_owners_add_inode(&finding->protected, ways->items[i].inode);
	/* At an interface there are other people's logins, too. */
	if (!r && interface)
		r = brunt_owners_add_named(&finding->protected, "sshd", err);
	/* What the holder's other children have open. */
	if (!r && interface)
		r = brunt_owners_add_named(&finding->protected, "brunt-", err);
	brunt_owners_sort(&finding->protected);
	return r;
}

static bool is_any(const struct brunt_end *end)
{
	static const uint8_t any[16];

	return !memcmp(end->address, any, sizeof(any));
}

/* Not accepted yet, or given up by its process, it is its listener's: whose port it has. */
static bool is_of_listener(const struct finding *finding, const struct brunt_reset_item *item,
			   const struct brunt_owners *owners)
{
	for (size_t i = 0; i < finding->listener_count; i++) {
		const struct brunt_reset_item *listener = &finding->listeners[i];
		const struct brunt_end *at = &listener->connection.local, *local = &item->connection.local;

		if (listener->namespace == item->namespace && at->port == local->port &&
		    brunt_ids_have(&owners->inodes, listener->connection.inode) &&
		    (is_any(at) || (at->family == local->family && !memcmp(at->address, local->address, 16))))
			return true;
	}
	return false;
}

static bool is_owned(const struct finding *finding, const struct brunt_reset_item *item,
		     const struct brunt_owners *owners)
{
	const struct brunt_connection *connection = &item->connection;

	return brunt_ids_have(&owners->inodes, connection->inode) ||
	       brunt_ids_have(&owners->cgroups, connection->cgroup) ||
	       (!connection->inode && is_of_listener(finding, item, owners));
}

static bool is_on_interface(struct finding *finding, const struct brunt_connection *connection)
{
	unsigned index = brunt_connection_interface(&finding->route, connection);

	for (size_t i = 0; i < finding->victims->matched && index; i++)
		if (finding->victims->items[i].picked && finding->victims->items[i].interface_index == index)
			return true;
	return false;
}

/* ---- which of them ---- */

static bool is_meant(const struct brunt_reset_params *params, const struct brunt_connection *connection)
{
	if (params->to.count && !brunt_end_in(&connection->remote, &params->to))
		return false;
	if (params->local.count && !brunt_end_in(&connection->local, &params->local))
		return false;
	return !brunt_end_in(&connection->local, &params->except) &&
	       !brunt_end_in(&connection->remote, &params->except);
}

/* The same from both ends, and different in each round. */
static uint64_t key_of(const struct brunt_reset_scope *scope, const struct brunt_reset_item *item)
{
	const struct brunt_end *one = &item->connection.local, *other = &item->connection.remote, *swap = one;
	char a[INET6_ADDRSTRLEN] = "", b[INET6_ADDRSTRLEN] = "", label[192];
	struct brunt_random random;
	int order = memcmp(one->address, other->address, sizeof(one->address));

	if (order > 0 || (!order && one->port > other->port)) {
		one = other;
		other = swap;
	}
	(void)inet_ntop(one->family == 4 ? AF_INET : AF_INET6, one->address, a, sizeof(a));
	(void)inet_ntop(other->family == 4 ? AF_INET : AF_INET6, other->address, b, sizeof(b));
	(void)snprintf(label, sizeof(label), "network.reset %u %llu %zu %s %u %s %u", scope->step,
		       (unsigned long long)scope->round, item->namespace, a, one->port, b, other->port);
	brunt_random_seed(&random, scope->seed, label);
	return brunt_random_next(&random) | 1; /* never 0 */
}

static int compare(const void *a, const void *b)
{
	const struct brunt_reset_item *one = a, *other = b;

	return (one->key > other->key) - (one->key < other->key);
}

/* Leaves in the list what is the target's and meant, and what is protected: its other end may be meant. */
static void filter(struct finding *finding, bool interface)
{
	struct brunt_reset_list *list = finding->list;
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct brunt_reset_item item = list->items[i];

		if (!interface && !is_owned(finding, &item, &finding->owners))
			continue;
		list->seen++;
		item.is_protected = is_owned(finding, &item, &finding->protected);
		item.is_meant = is_meant(finding->params, &item.connection) &&
				(!interface || is_on_interface(finding, &item.connection));
		if (!item.is_meant && !item.is_protected)
			continue;
		item.key = key_of(finding->scope, &item);
		list->items[kept++] = item;
	}
	list->count = kept;
	if (kept)
		qsort(list->items, kept, sizeof(*list->items), compare);
}

/* Of connections with a protected end, neither end is touched. */
static void spare(struct brunt_reset_list *list)
{
	size_t kept = 0, next;

	for (size_t i = 0; i < list->count; i = next) {
		bool meant = false, protected = false;

		for (next = i; next < list->count && list->items[next].key == list->items[i].key; next++) {
			meant |= list->items[next].is_meant;
			protected |= list->items[next].is_protected;
		}
		list->spared += meant && protected;
		for (size_t k = i; k < next && !protected; k++)
			list->items[kept++] = list->items[k];
	}
	list->count = kept;
}

/* In the order of their keys, which is as good as any: the first ones are the share. */
static void choose(struct brunt_reset_list *list, double share)
{
	size_t kept = 0, rank = 0;

	for (size_t i = 0; i < list->count; i++)
		list->matched += !i || list->items[i].key != list->items[i - 1].key;
	list->chosen = (size_t)((double)list->matched * share + 1e-9);
	if (!list->chosen && list->matched)
		list->chosen = 1;
	for (; kept < list->count; kept++) {
		rank += !kept || list->items[kept].key != list->items[kept - 1].key;
		if (rank > list->chosen)
			break;
	}
	list->count = kept;
}

static void cleanup(struct finding *finding)
{
	brunt_owners_done(&finding->owners);
	brunt_owners_done(&finding->protected);
	brunt_netlink_close(&finding->route);
	free(finding->listeners);
}

int brunt_reset_find(const struct brunt_reset_params *params, const struct brunt_reset_scope *scope,
		     const struct brunt_victims *victims, struct brunt_reset_list *list, struct brunt_error *err)
{
	const bool interface = victims->items[0].kind == BRUNT_TARGET_INTERFACE;
	BRUNT_CLEANUP(cleanup)
	struct finding finding = {
		.params = params,
		.scope = scope,
		.victims = victims,
		.list = list,
		.route = { .fd = -1 },
		.states = states_of(params),
	};
	int r;

	/* Owners first: they say in which namespaces to look. A connection made in between may be missed, none confused. */
	if (interface)
		r = brunt_netlink_open(NETLINK_ROUTE, -1, &finding.route, err) ?: list_namespace(&finding, -1, err);
	else
		r = find_owners(&finding, err) ?: list_namespaces(&finding, err);
	if (!r)
		r = find_protected(&finding, interface, err);
	if (r)
		return r;
	filter(&finding, interface);
	spare(list);
	choose(list, params->share);
	if (list->count > SOCKETS_MAX)
		return brunt_fail(
			err, E2BIG,
			"%zu connections match, and %d can be reset at once; narrow them down by 'to', 'local' "
			"or 'share'",
			list->matched, SOCKETS_MAX);
	return 0;
}

void brunt_reset_list_done(struct brunt_reset_list *list)
{
	for (size_t i = 0; i < list->namespaces; i++)
		brunt_netlink_close(&list->netlinks[i]);
	free(list->items);
	memset(list, 0, sizeof(*list));
}
