/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.hold: connections to one address are opened and kept, until a server or
 * a pool in front of it has none left for others. Held by one hoarder; see
 * hoarder.h.
 *
 * The target says from where: in the network namespace of its processes, or
 * bound to an interface of this host.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/role.h"
#include "brunt/target.h"
#include "brunt/units.h"
#include "program/bpf.h"
#include "base/child.h"
#include "fault/hoarder.h"
#include "network/namespaces.h"

/* Answers come within a few ms. A longer lease leaves more time: half of it. */
#define ANSWER_WAIT_NS	(250 * BRUNT_MS)
#define RELEASE_WAIT_NS (150 * BRUNT_MS)
/* From attach to arm, a hoarder that hears nothing gives up after this. */
#define ARM_WAIT_NS (5 * BRUNT_S)

/* One source address has no more ports for one peer. */
#define CONNECTIONS_MAX 60000

struct hold_params {
	struct brunt_endpoint to, source;
	bool has_source, has_every;
	uint64_t connections;
	double rate;
	const char *send, *send_hex, *trickle;
	uint64_t trickle_every;
	bool reopen;
	int close;
};

struct hold_state {
	const struct hold_params *params;
	const struct brunt_victims *victims; /* from prepare to detach */
	struct brunt_hoard what;
	struct brunt_child child;
	uint64_t expires; /* 0: not armed */
	uint64_t answer_wait;
	bool lapsed, cut;		  /* cut: it was gone before it was told to go */
	bool released;			  /* let go, and not detached: between two pulses */
	struct brunt_hoard_counters base; /* of earlier rounds */
	char bytes[BRUNT_HOARD_SEND_MAX]; /* of send_hex */
	char mount[PATH_MAX];
};

enum { IN_ORDER, BY_RESET };

static const struct brunt_value endings[] = {
	{ "fin", IN_ORDER, "in good order" },
	{ "reset", BY_RESET, "by a reset: the server has nothing left to wait for" },
	{ 0 },
};

static const struct brunt_param hold_params[] = {
	BRUNT_ENDPOINT(struct hold_params, to, .required = true, .example = "\"10.0.0.5:5432\"",
		       .help = "the server, as seen from the target: address:port or [v6]:port"),
	BRUNT_UINT(struct hold_params, connections, .required = true, .min = 1, .max = CONNECTIONS_MAX,
		   .example = "100", .help = "how many to keep at the same time"),
	BRUNT_NUMBER(struct hold_params, rate, .def = "1000", .min = 0.1, .max = 1e5,
		     .help = "connections that are tried per second, also in place of lost ones"),
	BRUNT_STRING(struct hold_params, send, .min = 1, .max = BRUNT_HOARD_SEND_MAX,
		     .example = "\"GET / HTTP/1.1\\r\\nHost: x\\r\\n\"",
		     .help = "text that each sends once when it is open, such as the beginning of a request"),
	BRUNT_STRING(struct hold_params, send_hex, .min = 2, .max = 2 * BRUNT_HOARD_SEND_MAX,
		     .example = "\"00 00 00 08 04 d2 16 2f\"",
		     .help = "the same as hexadecimal digits, for what is no text"),
	BRUNT_STRING(struct hold_params, trickle, .min = 1, .max = BRUNT_HOARD_SEND_MAX, .example = "\"X-A: b\\r\\n\"",
		     .help = "text that each sends again and again, so that a server waits on"),
	BRUNT_DURATION(struct hold_params, trickle_every, .set = offsetof(struct hold_params, has_every), .def = "5s",
		       .min = 1e6, .max = 86400e9, .help = "time between two of `trickle`"),
	BRUNT_BOOL(struct hold_params, reopen, .def = "true",
		   .help = "try again in place of connections that the server refuses or closes"),
	BRUNT_ENDPOINT(struct hold_params, source, .set = offsetof(struct hold_params, has_source),
		       .example = "\"10.0.0.7\"", .help = "the address that they come from"),
	BRUNT_ENUM(struct hold_params, close, .def = "fin", .values = endings, .help = "how they end"),
	{ 0 },
};

static const struct brunt_table hold_table = {
	.name = "tcp.hold",
	.help = "opens TCP connections to one address and keeps them, so that there are fewer for others",
	.params = hold_params,
	.size = sizeof(struct hold_params),
};

static bool is_one_address(const struct brunt_endpoint *endpoint)
{
	static const uint8_t any[16];

	return endpoint->family && endpoint->prefix == (endpoint->family == 4 ? 32 : 128) &&
	       memcmp(endpoint->address, any, sizeof(any)) != 0;
}

/* Pairs of digits, between which there may be spaces; how many bytes, or -EINVAL. ret may be NULL. */
static ssize_t read_hex(const char *text, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	ssize_t count = 0;

	while (*text) {
		const char *high, *low;

		if (*text == ' ') {
			text++;
			continue;
		}
		high = strchr(digits, tolower((unsigned char)text[0]));
		low = text[1] ? strchr(digits, tolower((unsigned char)text[1])) : NULL;
		if (!high || !low || count == BRUNT_HOARD_SEND_MAX)
			return -EINVAL;
		if (ret)
			ret[count] = (char)((high - digits) << 4 | (low - digits));
		count++;
		text += 2;
	}
	return count ?: -EINVAL;
}

static int hold_validate(const void *params, int kind, struct brunt_error *err)
{
	const struct hold_params *p = params;

	(void)kind;
	if (!is_one_address(&p->to) || !p->to.port_max || p->to.port_min != p->to.port_max)
		return brunt_fail(err, EINVAL, "'to' must be one address and one port, such as \"10.0.0.5:5432\"");
	if (p->to.protocol && p->to.protocol != IPPROTO_TCP)
		return brunt_fail(err, EINVAL, "'to' must be TCP: only that has connections");
	if (p->send && p->send_hex)
		return brunt_fail(err, EINVAL, "'send' and 'send_hex' cannot both be sent");
	if (p->send_hex && read_hex(p->send_hex, NULL) < 0)
		return brunt_fail(err, EINVAL, "'send_hex' must be pairs of hexadecimal digits, such as \"0d 0a\"");
	if (p->has_every && !p->trickle)
		return brunt_fail(err, EINVAL, "'trickle_every' needs 'trickle': the text to send");
	if (!p->has_source)
		return 0;
	if (!is_one_address(&p->source) || p->source.port_max || p->source.protocol)
		return brunt_fail(err, EINVAL, "'source' must be one address, without a port");
	if (p->source.family != p->to.family)
		return brunt_fail(err, EINVAL, "'source' is IPv%u and 'to' is IPv%u", p->source.family, p->to.family);
	return 0;
}

static void hold_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf, size_t size)
{
	const struct hold_params *params = fault->params;
	char text[80];

	(void)snprintf(buf, size, "a process of its own keeps %" PRIu64 " connections to %s%s", params->connections,
		       brunt_endpoint_print(&params->to, text, sizeof(text)),
		       !victims || !victims->matched			  ? ""
		       : victims->items[0].kind == BRUNT_TARGET_INTERFACE ? ", bound to the interface"
									  : ", from the target's network namespace");
}

static socklen_t fill_address(const struct brunt_endpoint *from, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (from->family == 4) {
		four->sin_family = AF_INET;
		four->sin_port = htons(from->port_min);
		memcpy(&four->sin_addr, from->address, 4);
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(from->port_min);
	memcpy(&six->sin6_addr, from->address, 16);
	return sizeof(*six);
}

static int check_limit(uint64_t connections, struct brunt_error *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return brunt_fail(err, errno, "cannot read RLIMIT_NOFILE: %s", strerror(errno));
	if (connections + BRUNT_HOARD_DESCRIPTORS > limit.rlim_max)
		return brunt_fail(err, ENOTSUP,
				  "%" PRIu64 " connections are more than a process may have open here: the hard limit "
				  "of open files is %llu (ulimit -Hn)",
				  connections, (unsigned long long)limit.rlim_max);
	return 0;
}

static void hold_unload(void *opaque)
{
	struct hold_state *state = opaque;

	if (!state)
		return;
	brunt_child_reap(&state->child, 0);
	if (state->what.namespace >= 0)
		close(state->what.namespace);
	if (state->what.counters)
		(void)munmap(state->what.counters, sizeof(*state->what.counters));
	free(state);
}

static void cleanup_state(struct hold_state **state)
{
	hold_unload(*state);
}

static void fill_texts(struct hold_state *state)
{
	const struct hold_params *params = state->params;
	struct brunt_hoard *what = &state->what;

	if (params->send_hex) {
		what->send.bytes = state->bytes;
		what->send.size = (size_t)read_hex(params->send_hex, state->bytes);
	} else if (params->send) {
		what->send = (struct brunt_hoard_text){ params->send, strlen(params->send) };
	}
	if (params->trickle)
		what->trickle = (struct brunt_hoard_text){ params->trickle, strlen(params->trickle) };
}

static int hold_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		     struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_state) struct hold_state *state = calloc(1, sizeof(*state));
	const struct hold_params *params = fault->params;
	void *shared;
	int r;

	if (!state)
		return brunt_fail(err, ENOMEM, "no memory for tcp.hold");
	state->params = params;
	state->child = (struct brunt_child)BRUNT_CHILD_NONE;
	state->what = (struct brunt_hoard){
		.namespace = -1,
		.connections = params->connections,
		.rate = params->rate,
		.trickle_every = params->trickle_every,
		.reopen = params->reopen,
		.reset = params->close == BY_RESET,
	};
	state->answer_wait = context->lease_ns / 2 > ANSWER_WAIT_NS ? context->lease_ns / 2 : ANSWER_WAIT_NS;
	fill_texts(state);
	if (context->cgroup_mount)
		(void)snprintf(state->mount, sizeof(state->mount), "%s", context->cgroup_mount);
	state->what.to_size = fill_address(&params->to, &state->what.to);
	if (params->has_source)
		state->what.from_size = fill_address(&params->source, &state->what.from);
	r = check_limit(params->connections, err);
	r = r ?: brunt_identity_get(&state->what.identity, err);
	if (r)
		return r;
	shared = mmap(NULL, sizeof(*state->what.counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return brunt_fail(err, errno, "no shared memory for tcp.hold: %s", strerror(errno));
	state->what.counters = shared;
	*ret_state = BRUNT_TAKE_PTR(state);
	return 0;
}

static int use_interface(struct hold_state *state, const struct brunt_victims *victims, struct brunt_error *err)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&state->what.to;

	if (victims->picked != 1)
		return brunt_fail(err, EINVAL, "tcp.hold connects by one interface; pick one");
	for (size_t i = 0; i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[i];

		if (!item->picked)
			continue;
		state->what.interface = (int)item->interface_index;
		if (six->sin6_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr))
			six->sin6_scope_id = item->interface_index;
	}
	return 0;
}

/* All processes must see the same network: else `to` would be several servers. */
static int use_namespace(struct hold_state *state, const struct brunt_victims *victims, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int chosen = -1;
	uint64_t first = 0;

	for (size_t i = 0; i < victims->process_count; i++) {
		BRUNT_AUTO_CLOSE int fd = -1;
		struct brunt_error why = { 0 };
		uint64_t id = 0;

		fd = brunt_namespace_open(&victims->processes[i], &id, &why);
		if (fd == -ESRCH)
			continue;
		if (fd < 0)
			return brunt_fail(err, -fd, "%s", why.msg);
		if (first && id != first)
			return brunt_fail(
				err, EINVAL,
				"the target's processes live in several network namespaces; pick one of them");
		if (!first)
			chosen = BRUNT_TAKE_FD(fd);
		first = id;
	}
	if (!first)
		return brunt_fail(err, ESRCH, "the target has no process any more");
	if (state->what.namespace >= 0)
		close(state->what.namespace);
	state->what.namespace = -1;
	if (first != brunt_namespace_own())
		state->what.namespace = BRUNT_TAKE_FD(chosen);
	return 0;
}

static int hold_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
			struct brunt_error *err)
{
	struct hold_state *state = opaque;
	int r;

	if (!victims->matched || !victims->picked)
		return brunt_fail(err, ESRCH, "nothing is there to connect from");
	r = victims->items[0].kind == BRUNT_TARGET_INTERFACE ? use_interface(state, victims, err)
							     : use_namespace(state, victims, err);
	if (r)
		return r;
	state->victims = victims;
	ret_undo->version = 1;
	return 0;
}

/* Of this round, and of those before. */
static struct brunt_hoard_counters total(const struct hold_state *state)
{
	const struct brunt_hoard_counters *now = state->what.counters, *base = &state->base;
	struct brunt_hoard_counters sum = {
		.attempts = base->attempts + __atomic_load_n(&now->attempts, __ATOMIC_RELAXED),
		.opened = base->opened + __atomic_load_n(&now->opened, __ATOMIC_RELAXED),
		.refused = base->refused + __atomic_load_n(&now->refused, __ATOMIC_RELAXED),
		.failed = base->failed + __atomic_load_n(&now->failed, __ATOMIC_RELAXED),
		.closed = base->closed + __atomic_load_n(&now->closed, __ATOMIC_RELAXED),
		.held = __atomic_load_n(&now->held, __ATOMIC_RELAXED),
		.peak = __atomic_load_n(&now->peak, __ATOMIC_RELAXED),
		.pending = __atomic_load_n(&now->pending, __ATOMIC_RELAXED),
		.reason = __atomic_load_n(&now->reason, __ATOMIC_RELAXED),
	};

	if (sum.peak < base->peak)
		sum.peak = base->peak;
	if (!sum.reason)
		sum.reason = base->reason;
	return sum;
}

/* Its hoarder ends; what it counted stays. */
static void close_round(struct hold_state *state)
{
	brunt_child_reap(&state->child, brunt_now() + RELEASE_WAIT_NS);
	state->base = total(state);
	state->base.held = state->base.pending = 0;
	memset(state->what.counters, 0, sizeof(*state->what.counters));
}

static int start_hoarder(struct hold_state *state, struct brunt_error *err)
{
	uint64_t now = brunt_now();
	int r;

	state->released = false;
	memset(state->what.counters, 0, sizeof(*state->what.counters));
	r = brunt_child_start("hoarder", brunt_hoarder_life, &state->what, now + ARM_WAIT_NS, &state->child, err);
	return r ?: brunt_child_await(&state->child, now + state->answer_wait, err);
}

static int hold_attach(void *opaque, struct brunt_error *err)
{
	struct hold_state *state = opaque;

	state->lapsed = state->cut = false;
	state->expires = 0;
	return start_hoarder(state, err);
}

static int hold_arm(void *opaque, uint64_t expires, struct brunt_error *err)
{
	struct hold_state *state = opaque;

	/* Between two pulses: the one that let go has ended. */
	if (state->released) {
		int r;

		close_round(state);
		r = start_hoarder(state, err);
		if (r)
			return r;
	}
	if (brunt_child_tell(&state->child, BRUNT_CHILD_ARM, expires))
		return brunt_fail(err, EPIPE, "the hoarder is gone");
	state->expires = expires;
	return brunt_child_await(&state->child, brunt_now() + state->answer_wait, err);
}

static void hold_renew(void *opaque, uint64_t expires)
{
	struct hold_state *state = opaque;

	if (!state->expires)
		return; /* between two pulses */
	if (state->lapsed || brunt_now() >= state->expires) {
		state->lapsed = true; /* the hoarder's timer has fired */
		return;
	}
	state->expires = expires;
	(void)brunt_child_tell(&state->child, BRUNT_CHILD_RENEW, expires);
}

static void __attribute__((format(printf, 3, 4))) add(char *text, size_t size, const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	if (used + 3 >= size)
		return;
	if (used)
		used += (size_t)snprintf(text + used, size - used, ", ");
	va_start(args, format);
	(void)vsnprintf(text + used, size - used, format, args);
	va_end(args);
}

static void near_miss(const struct hold_params *params, const struct brunt_hoard_counters *sum, char *text, size_t size)
{
	text[0] = '\0';
	if (sum->peak >= params->connections)
		return;
	if (!sum->attempts) {
		add(text, size, "there was no time to connect");
		return;
	}
	if (sum->refused)
		add(text, size, "refused %" PRIu64 " of %" PRIu64, sum->refused, sum->attempts);
	if (sum->failed)
		add(text, size, "%" PRIu64 " failed (%s)", sum->failed,
		    sum->reason == EADDRNOTAVAIL ? "no source port or address left" : strerror((int)sum->reason));
	if (sum->closed)
		add(text, size, "the server closed %" PRIu64 " of %" PRIu64 " that it had accepted", sum->closed,
		    sum->opened);
	if (sum->pending)
		add(text, size, "%" PRIu64 " have no answer", sum->pending);
	if (!text[0])
		add(text, size, "opened %" PRIu64 " so far, at %g per second", sum->opened, params->rate);
}

static int hold_poll(void *opaque, struct brunt_hits *ret)
{
	struct hold_state *state = opaque;
	struct brunt_hoard_counters sum = total(state);

	memset(ret, 0, sizeof(*ret));
	ret->seen = sum.attempts;
	ret->matched = state->params->connections;
	ret->hit = sum.peak;
	near_miss(state->params, &sum, ret->near_miss, sizeof(ret->near_miss));
	ret->detached = state->cut || (state->expires && brunt_child_is_lost(&state->child));
	ret->silent_role = ret->detached ? BRUNT_ROLE_HOARDER : 0;
	ret->lapsed = state->lapsed || (state->expires && brunt_now() >= state->expires);
	ret->target_gone = brunt_bpf_all_gone(state->mount, state->victims);
	return 0;
}

static void hold_disarm(void *opaque)
{
	struct hold_state *state = opaque;

	state->cut |= state->expires && brunt_child_is_lost(&state->child);
	state->expires = 0;
	state->released = true;
	(void)brunt_child_tell(&state->child, BRUNT_CHILD_RELEASE, 0);
}

/* Read back: a process that has ended has no connections. */
static int hold_verify(void *opaque, struct brunt_error *err)
{
	struct hold_state *state = opaque;

	if (brunt_child_has_ended(&state->child, brunt_now() + RELEASE_WAIT_NS))
		return 0;
	brunt_child_kill(&state->child);
	if (brunt_child_has_ended(&state->child, brunt_now() + RELEASE_WAIT_NS))
		return 0;
	return brunt_fail(err, EBUSY, "hoarder %d still has its connections", (int)state->child.pid);
}

static void hold_detach(void *opaque)
{
	struct hold_state *state = opaque;

	hold_disarm(state);
	close_round(state);
	if (state->what.namespace >= 0)
		close(state->what.namespace);
	state->what.namespace = -1;
	state->victims = NULL;
}

static pid_t hold_child(void *opaque)
{
	struct hold_state *state = opaque;

	return state->child.pidfd >= 0 ? state->child.pid : 0;
}

const struct brunt_injector brunt_fault_tcp_hold = {
	.name = "tcp.hold",
	.summary = "connections to a server are taken and kept, until none are left for others",
	.undo = BRUNT_UNDO_KERNEL,
	.wants = BRUNT_WANT_PROCESSES | BRUNT_WANT_INTERFACE,
	.targets = 1 << BRUNT_TARGET_PROCESS | 1 << BRUNT_TARGET_CGROUP | 1 << BRUNT_TARGET_UNIT |
		   1 << BRUNT_TARGET_SERVICE | 1 << BRUNT_TARGET_CONTAINER | 1 << BRUNT_TARGET_INTERFACE,
	/* to become the caller, and to end a child that is his; other network namespaces */
	.useful = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_KILL |
		  UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SYS_PTRACE,
	.hit_noun = "connections held",
	.table = &hold_table,
	.validate = hold_validate,
	.describe = hold_describe,
	.load = hold_load,
	.prepare = hold_prepare,
	.attach = hold_attach,
	.arm = hold_arm,
	.renew = hold_renew,
	.poll = hold_poll,
	.disarm = hold_disarm,
	.verify = hold_verify,
	.detach = hold_detach,
	.unload = hold_unload,
	.child = hold_child,
	.child_role = BRUNT_ROLE_HOARDER,
};
