/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.reset: established TCP connections end at once, as when a load
 * balancer, a NAT or a firewall has lost its state.
 *
 * prepare looks for the sockets and chooses; arm ends exactly those: the
 * kernel tells each by a cookie that no later socket has again. The socket is
 * the kernel's to end (SOCK_DESTROY, sock_diag(7)), not the process's: the
 * descriptor stays open, the next call on it returns ECONNABORTED, and the
 * peer gets a reset.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "network/reset_find.h"

struct reset_state {
	const struct brunt_reset_params *params;
	struct brunt_reset_scope scope;
	struct brunt_reset_list list; /* from prepare to arm */
	uint64_t lease;
	uint64_t seen, matched, hit, gone, spared;
};

static const struct brunt_value states[] = {
	{ "connecting", BRUNT_RESET_CONNECTING, "not answered yet: SYN sent, or received" },
	{ "established", BRUNT_RESET_ESTABLISHED, "both ends may send" },
	{ "closing", BRUNT_RESET_CLOSING, "one end has closed: FIN-WAIT, CLOSE-WAIT, LAST-ACK, CLOSING" },
	{ "time-wait", BRUNT_RESET_TIME_WAIT, "over, and remembered for a minute; an interface's only" },
	{ "listening", BRUNT_RESET_LISTENING,
	  "servers' sockets: nobody can connect until the server is started again" },
	{ 0 },
};

#define ENDPOINT_HELP "address[/prefix][:port[-port]], [v6]:port, or :port"

static const struct brunt_param reset_params[] = {
	BRUNT_RATIO(struct brunt_reset_params, share, .def = "100%", .min = 1e-6, .max = 1,
		    .help = "share of the matching connections, at least one; which ones, the seed decides"),
	BRUNT_LIST_OF(struct brunt_reset_params, to, BRUNT_T_ENDPOINT, .example = "[\"10.0.0.5:5432\"]",
		      .help = "only connections to or from these remote ends: " ENDPOINT_HELP),
	BRUNT_LIST_OF(struct brunt_reset_params, local, BRUNT_T_ENDPOINT, .example = "[\":8080\"]",
		      .help = "only connections whose end at the target is one of these"),
	BRUNT_LIST_OF(struct brunt_reset_params, except, BRUNT_T_ENDPOINT, .example = "[\"10.0.0.2\"]",
		      .help = "never connections with one of these at either end"),
	BRUNT_LIST_OF(struct brunt_reset_params, states, BRUNT_T_ENUM, .values = states, .count_max = 5,
		      .example = "[\"established\"]",
		      .help = "only connections in these states; connecting, established and closing when left out"),
	{ 0 },
};

static const struct brunt_table reset_table = {
	.name = "network.reset",
	.help = "TCP connections end at once: a reset for the peer, ECONNABORTED here; those to come are left alone",
	.params = reset_params,
	.size = sizeof(struct brunt_reset_params),
};

static int check_protocols(const struct brunt_list *endpoints, const char *key, struct brunt_error *err)
{
	BRUNT_FOREACH (const struct brunt_endpoint, endpoint, *endpoints)
		if (endpoint->protocol && endpoint->protocol != IPPROTO_TCP)
			return brunt_fail(err, EINVAL, "'%s' names a protocol other than tcp; only TCP is reset", key);
	return 0;
}

static int reset_validate(const void *params, int kind, struct brunt_error *err)
{
	const struct brunt_reset_params *p = params;
	int r = check_protocols(&p->to, "to", err);

	r = r ?: check_protocols(&p->local, "local", err);
	r = r ?: check_protocols(&p->except, "except", err);
	if (r)
		return r;
	BRUNT_FOREACH (const int, state, p->states) {
		if (*state == BRUNT_RESET_LISTENING && kind == BRUNT_TARGET_INTERFACE)
			return brunt_fail(err, EINVAL,
					  "a listening socket belongs to no interface; target its process");
		if (*state == BRUNT_RESET_TIME_WAIT && kind != BRUNT_TARGET_INTERFACE)
			return brunt_fail(err, EINVAL,
					  "a connection in time-wait belongs to nobody any more; target the interface");
		if (*state == BRUNT_RESET_LISTENING && p->to.count)
			return brunt_fail(err, EINVAL, "a listening socket has no remote end: 'to' rules it out");
	}
	return 0;
}

static void reset_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf, size_t size)
{
	const struct brunt_reset_params *params = fault->params;
	struct brunt_reset_scope scope = { .step = fault->step };
	struct brunt_reset_list list = { 0 };
	size_t used;

	(void)brunt_cgroup_mount(scope.mount, sizeof(scope.mount));
	if (victims && victims->picked && !brunt_reset_find(params, &scope, victims, &list, NULL))
		(void)snprintf(buf, size, "sock_diag ends %zu of %zu TCP connection%s (as of now)", list.chosen,
			       list.matched, list.matched == 1 ? "" : "s");
	else if (params->share < 1)
		(void)snprintf(buf, size, "sock_diag ends %g %% of the TCP connections", params->share * 100);
	else
		(void)snprintf(buf, size, "sock_diag ends the TCP connections");
	used = strlen(buf);
	if (list.spared)
		(void)snprintf(buf + used, size - used, ", spares %zu of brunt's or of ssh", list.spared);
	brunt_reset_list_done(&list);
}

static int reset_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		      struct brunt_error *err)
{
	struct reset_state *state = calloc(1, sizeof(*state));

	if (!state)
		return brunt_fail(err, ENOMEM, "no memory for network.reset");
	state->params = fault->params;
	state->lease = context->lease_ns;
	state->scope.seed = context->seed;
	state->scope.ways = context->ways;
	state->scope.step = fault->step;
	if (context->cgroup_mount)
		(void)snprintf(state->scope.mount, sizeof(state->scope.mount), "%s", context->cgroup_mount);
	*ret_state = state;
	return 0;
}

static int reset_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
			 struct brunt_error *err)
{
	struct reset_state *state = opaque;
	int r;

	if (!victims->matched || !victims->picked)
		return brunt_fail(err, ESRCH, "nothing is there to reset connections of");
	brunt_reset_list_done(&state->list);
	r = brunt_reset_find(state->params, &state->scope, victims, &state->list, err);
	if (r)
		return r;
	state->scope.round++;
	ret_undo->version = 1;
	return 0;
}

static int fail_destroy(const struct brunt_connection *connection, int code, struct brunt_error *err)
{
	const char *why = "";

	if (code == EPERM)
		why = "; needs CAP_NET_ADMIN over its network namespace";
	else if (code == EOPNOTSUPP && connection->state == TCP_TIME_WAIT)
		why = ": this kernel does not end those in time-wait";
	return brunt_fail(err, code, "cannot end a connection: %s%s", strerror(code), why);
}

/* The ends of one connection, side by side from first on: one hit, whichever end was there to be hit. Returns the next. */
static size_t reset_one(struct reset_state *state, size_t first, int *failure, struct brunt_error *err)
{
	struct brunt_reset_list *list = &state->list;
	bool hit = false, failed = false;
	size_t i = first;

	for (; i < list->count && list->items[i].key == list->items[first].key; i++) {
		const struct brunt_reset_item *item = &list->items[i];
		int r = brunt_connection_destroy(&list->netlinks[item->namespace], &item->connection);

		hit |= !r;
		failed |= r && r != -ENOENT;
		if (r && r != -ENOENT && !*failure)
			*failure = fail_destroy(&item->connection, -r, err);
	}
	state->hit += hit;
	state->gone += !hit && !failed;
	return i;
}

/*
 * All that were chosen, whatever happens to one of them; then it is told. Thousands take their time, in which nothing
 * else that is held is renewed: it stops before the lease is over.
 */
static int reset_arm(void *opaque, uint64_t expires, struct brunt_error *err)
{
	struct reset_state *state = opaque;
	struct brunt_reset_list *list = &state->list;
	const uint64_t stop = expires ? expires - state->lease / 4 : UINT64_MAX, before = state->hit + state->gone;
	size_t chosen = list->chosen, i = 0;
	int failure = 0;

	state->seen += list->seen;
	state->matched += list->matched;
	state->spared += list->spared;
	while (i < list->count && brunt_now() < stop)
		i = reset_one(state, i, &failure, err);
	if (i < list->count && !failure)
		failure = brunt_fail(err, ETIME,
				     "only %" PRIu64
				     " of %zu connections could be reset within the lease; give the plan a "
				     "longer 'lease', or narrow them down by 'to', 'local' or 'share'",
				     state->hit + state->gone - before, chosen);
	brunt_reset_list_done(list);
	return failure;
}

static int reset_poll(void *opaque, struct brunt_hits *ret)
{
	struct reset_state *state = opaque;
	const struct brunt_list *to = &state->params->to;
	char *text = ret->near_miss, end[80];

	memset(ret, 0, sizeof(*ret));
	ret->seen = state->seen;
	ret->matched = state->matched;
	ret->hit = state->hit;
	if (state->gone)
		(void)snprintf(text, sizeof(ret->near_miss), "%" PRIu64 " had closed before they could be reset",
			       state->gone);
	else if (state->hit)
		text[0] = '\0';
	else if (state->spared)
		(void)snprintf(text, sizeof(ret->near_miss),
			       "%" PRIu64 " matched, but are brunt's own or of an ssh login: never reset",
			       state->spared);
	else if (!state->seen)
		(void)snprintf(text, sizeof(ret->near_miss), "the target had no TCP connections");
	else if (to->count)
		(void)snprintf(text, sizeof(ret->near_miss),
			       "the target had %" PRIu64 " TCP connection%s, none to %s%s", state->seen,
			       state->seen == 1 ? "" : "s", brunt_endpoint_print(to->items, end, sizeof(end)),
			       to->count > 1 ? " or the others" : "");
	else
		(void)snprintf(text, sizeof(ret->near_miss),
			       "the target had %" PRIu64 " TCP connection%s, none that the fault is about", state->seen,
			       state->seen == 1 ? "" : "s");
	return 0;
}

static void reset_unload(void *opaque)
{
	struct reset_state *state = opaque;

	if (state)
		brunt_reset_list_done(&state->list);
	free(state);
}

const struct brunt_injector brunt_fault_network_reset = {
	.name = "network.reset",
	.summary = "TCP connections end at once, with a reset; later ones are left alone",
	.undo = BRUNT_UNDO_EVENT,
	.instant = true,
	.wants = BRUNT_WANT_PROCESSES | BRUNT_WANT_INTERFACE,
	.targets = 1 << BRUNT_TARGET_PROCESS | 1 << BRUNT_TARGET_CGROUP | 1 << BRUNT_TARGET_UNIT |
		   1 << BRUNT_TARGET_SERVICE | 1 << BRUNT_TARGET_CONTAINER | 1 << BRUNT_TARGET_INTERFACE,
	.capabilities = UINT64_C(1) << CAP_NET_ADMIN,
	/* other network namespaces; /proc/PID/fd and /proc/PID/ns of other users' processes */
	.useful = UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SYS_PTRACE | UINT64_C(1) << CAP_DAC_READ_SEARCH,
	.hit_noun = "connections reset",
	.table = &reset_table,
	.probe = brunt_connections_probe,
	.validate = reset_validate,
	.describe = reset_describe,
	.load = reset_load,
	.prepare = reset_prepare,
	.arm = reset_arm,
	.poll = reset_poll,
	.unload = reset_unload,
};
