/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns.fail: lookups of the target get a false answer, none, or a late one.
 *
 * BPF turns what the target sends to its name servers to a responder of
 * brunt's in the target's network namespace; see bpf/dns_fail.bpf.c and
 * responder.h. Nothing of the target's is touched, and processes that run
 * already are hit with their next lookup.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/units.h"
#include "fault/dns_fail.h"
#include "target/cgroup.h"

/* The responder answers within a few ms; the holder must not stand still longer than a part of its lease. */
#define ANSWER_WAIT_NS (250 * BRUNT_MS)
/* Beyond its patience, for the responder to end. */
#define RELEASE_WAIT_NS (20 * BRUNT_MS)
#define ARM_WAIT_NS	(5 * BRUNT_S)
/* Eight heartbeats in each lease. */
#define BEATS 8

static const struct {
	const char *program;
	enum bpf_attach_type attach;
} hooks[] = {
	/* the way back first: what is turned must be able to return */
	{ "brunt_recvmsg4", BPF_CGROUP_UDP4_RECVMSG },	    { "brunt_recvmsg6", BPF_CGROUP_UDP6_RECVMSG },
	{ "brunt_getpeer4", BPF_CGROUP_INET4_GETPEERNAME }, { "brunt_getpeer6", BPF_CGROUP_INET6_GETPEERNAME },
	{ "brunt_connect4", BPF_CGROUP_INET4_CONNECT },	    { "brunt_connect6", BPF_CGROUP_INET6_CONNECT },
	{ "brunt_sendmsg4", BPF_CGROUP_UDP4_SENDMSG },	    { "brunt_sendmsg6", BPF_CGROUP_UDP6_SENDMSG },
};

/* Of this process. */
static struct dns_state *attached;

static int dns_probe(struct brunt_error *err)
{
	int r = brunt_bpf_probe(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, err);

	return r ?: brunt_bpf_probe(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME, err);
}

static void unload(void *opaque)
{
	struct dns_state *state = opaque;

	if (!state)
		return;
	for (size_t i = 0; i < BRUNT_COUNT(state->responders); i++)
		brunt_responder_free(&state->responders[i]);
	brunt_bpf_unload(&state->bpf);
	dns_fail_bpf__destroy(state->skel);
	free(state);
}

static void cleanup_state(struct dns_state **state)
{
	unload(*state);
}

static void make_policy(struct dns_state *state, uint64_t seed)
{
	const struct dns_params *params = state->params;
	struct brunt_dns_policy *policy = &state->policy;

	*policy = (struct brunt_dns_policy){
		.names = &params->names,
		.except = &params->except,
		.types = &params->types,
		.action = (enum brunt_dns_action)params->answer,
		.ttl = (uint32_t)(params->ttl / BRUNT_S),
		.seed = seed,
	};
	BRUNT_FOREACH (const struct brunt_endpoint, endpoint, params->addresses) {
		struct brunt_dns_address *address = &policy->addresses[policy->address_count++];

		address->family = endpoint->family;
		memcpy(address->address, endpoint->address, sizeof(address->address));
	}
}

static bool has_netns_cookies(void)
{
	BRUNT_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(uint64_t);
	uint64_t cookie;

	return fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size);
}

static int load_programs(struct dns_state *state, const struct brunt_fault *fault,
			 const struct brunt_fault_context *context, struct brunt_error *err)
{
	char label[48];
	int r;

	state->skel = dns_fail_bpf__open();
	if (!state->skel)
		return brunt_fail(err, errno, "cannot open the BPF object of dns.fail: %s", strerror(errno));
	state->has_cookies = has_netns_cookies();
	state->skel->rodata->has_cookies = state->has_cookies;
	r = brunt_bpf_open(&state->bpf, state->skel->obj, context, err);
	if (r)
		return r;
	(void)snprintf(label, sizeof(label), "dns.fail %u", fault->step);
	r = brunt_bpf_load(&state->bpf, state->skel->skeleton, context->seed, label, err);
	if (r)
		return r;
	state->control = &state->skel->bss->control;
	state->control->exempt = geteuid() ? UINT32_MAX : BRUNT_RESPONDER_UID;
	return 0;
}

static int dns_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		    struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_state) struct dns_state *state = calloc(1, sizeof(*state));
	int r;

	if (!state)
		return brunt_fail(err, ENOMEM, "no memory for dns.fail");
	state->params = fault->params;
	state->lease = context->lease_ns;
	if (context->cgroup_mount)
		(void)snprintf(state->mount, sizeof(state->mount), "%s", context->cgroup_mount);
	make_policy(state, context->seed);
	for (size_t i = 0; i < BRUNT_COUNT(state->responders); i++) {
		r = brunt_responder_new(&state->responders[i], err);
		if (r)
			return r;
	}
	r = load_programs(state, fault, context, err);
	if (r)
		return r;
	*ret_state = BRUNT_TAKE_PTR(state);
	return 0;
}

static int dns_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
		       struct brunt_error *err)
{
	struct dns_state *state = opaque;
	int r = 0;

	if (!victims->matched || !victims->picked)
		return brunt_fail(err, ESRCH, "nobody is there whose lookups could fail");
	if (!state->mount[0])
		return brunt_fail(err, ENOTSUP, "no cgroup v2 is mounted, and dns.fail needs it");
	state->kind = victims->items[0].kind;
	if (state->kind == BRUNT_TARGET_PROCESS)
		r = brunt_bpf_check_pids(err);
	/* Only root can give the responder a uid of its own, by which the programs know what it passes on. */
	else if (geteuid() && dns_is_ourselves(victims))
		r = brunt_fail(err, ENOTSUP, "dns.fail on a cgroup that brunt runs in takes root");
	brunt_dns_places_close(&state->places);
	r = r ?: brunt_dns_places_find(state->mount, victims, &state->params->servers, &state->places, err);
	if (!r && !state->has_cookies && state->places.count > 1)
		r = brunt_fail(err, ENOTSUP,
			       "before Linux 5.14 dns.fail cannot tell network namespaces apart, and the target lives "
			       "in %zu; pick one",
			       state->places.count);
	if (r) {
		brunt_dns_places_close(&state->places);
		return r;
	}
	state->victims = victims;
	/* Only told, unless they are to be ended. */
	r = dns_old_sockets(state, false, &state->deaf, state->params->reconnect ? err : NULL);
	if (r && state->params->reconnect) {
		state->victims = NULL;
		brunt_dns_places_close(&state->places);
		return r;
	}
	ret_undo->version = 1;
	return 0;
}

static bool is_overlap(const struct brunt_item *one, const struct brunt_item *other)
{
	if (one->kind == BRUNT_TARGET_PROCESS && other->kind == BRUNT_TARGET_PROCESS)
		return one->process.pid == other->process.pid;
	return brunt_cgroup_within(one->cgroup, other->cgroup) || brunt_cgroup_within(other->cgroup, one->cgroup);
}

/* A lookup goes to one responder: the programs of another fault would see it as one to some address of no meaning. */
static int check_alone(const struct dns_state *state, struct brunt_error *err)
{
	for (const struct dns_state *other = attached; other; other = other->next) {
		for (size_t i = 0; i < state->victims->matched; i++) {
			const struct brunt_item *item = &state->victims->items[i];

			for (size_t j = 0; item->picked && j < other->victims->matched; j++)
				if (other->victims->items[j].picked && is_overlap(item, &other->victims->items[j]))
					return brunt_fail(
						err, EBUSY,
						"another dns.fail is held on '%s': lookups can be turned only once; "
						"put the names in one step, or one step after the other",
						item->name);
		}
	}
	return 0;
}

static void leave(struct dns_state *state)
{
	struct dns_state **at = &attached;

	while (*at && *at != state)
		at = &(*at)->next;
	if (*at)
		*at = state->next;
}

static int mark_victims(struct dns_state *state, struct brunt_error *err)
{
	int map = bpf_map__fd(state->skel->maps.brunt_victims);

	for (size_t i = 0; i < state->victims->matched; i++) {
		const struct brunt_item *item = &state->victims->items[i];
		__u32 tgid = (__u32)item->process.pid, one = 1;

		if (!item->picked)
			continue;
		if (!brunt_process_alive(&item->process))
			return brunt_fail(err, ESRCH, "process %u (%s) ended", tgid, item->process.name);
		if (bpf_map_update_elem(map, &tgid, &one, BPF_ANY))
			return brunt_fail(err, errno, "cannot mark process %u: %s", tgid, strerror(errno));
	}
	return 0;
}

static void fill_ends(const struct dns_state *state, size_t place, size_t server, bool tcp, struct brunt_dns_end *name,
		      struct brunt_dns_end *responder)
{
	const struct brunt_dns_server *from = &state->places.items[place].servers[server];
	const struct brunt_responder *to = &state->responders[place];

	memset(name, 0, sizeof(*name));
	name->netns = state->has_cookies ? to->netns : 0;
	name->family = from->family;
	name->protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	*responder = *name;
	name->port = htons(from->port);
	memcpy(name->address, from->address, from->family == 4 ? 4 : 16);
	responder->port = htons(tcp ? to->ports[server].tcp : to->ports[server].udp);
	responder->address[from->family == 4 ? 0 : 3] = from->family == 4 ? htonl(INADDR_LOOPBACK) : htonl(1);
}

/* Enters every name server into the maps, or takes it out: of both, whatever is there. */
static int map_servers(struct dns_state *state, bool enter, struct brunt_error *err)
{
	int turns = bpf_map__fd(state->skel->maps.brunt_turns), origins = bpf_map__fd(state->skel->maps.brunt_origins);

	for (size_t i = 0; i < state->started; i++) {
		for (size_t j = 0; j < 2 * state->places.items[i].server_count; j++) {
			struct brunt_dns_end name, responder;

			fill_ends(state, i, j / 2, j % 2, &name, &responder);
			if (!responder.port)
				continue;
			if (!enter) {
				(void)bpf_map_delete_elem(turns, &name);
				(void)bpf_map_delete_elem(origins, &responder);
			} else if (bpf_map_update_elem(origins, &responder, &name, BPF_ANY) ||
				   bpf_map_update_elem(turns, &name, &responder, BPF_ANY)) {
				return brunt_fail(err, errno, "cannot store the name servers: %s", strerror(errno));
			}
		}
	}
	return 0;
}

static int attach_hooks(struct dns_state *state, const struct brunt_item *item, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int directory = brunt_bpf_open_cgroup(state->mount, item, err);

	if (directory < 0)
		return directory;
	for (size_t i = 0; i < BRUNT_COUNT(hooks); i++) {
		int program = brunt_bpf_program(&state->bpf, state->skel->obj, hooks[i].program);
		int r = brunt_bpf_attach_cgroup(&state->bpf, program, directory, hooks[i].attach, item->name, err);

		if (r)
			return r;
	}
	return 0;
}

/* All are forked, then the answers are collected: the wait is shared. */
static int start_responders(struct dns_state *state, struct brunt_error *err)
{
	uint64_t now = brunt_now(), wait = state->lease / 2 > ANSWER_WAIT_NS ? state->lease / 2 : ANSWER_WAIT_NS;
	int r = 0;

	state->started = 0;
	for (size_t i = 0; !r && i < state->places.count; i++) {
		state->policy.seed++;
		r = brunt_responder_start(&state->responders[i], &state->policy, &state->places.items[i],
					  state->lease / BEATS, now + ARM_WAIT_NS, err);
		state->started += !r;
	}
	for (size_t i = 0; !r && i < state->started; i++)
		r = brunt_responder_await(&state->responders[i], now + wait, err);
	return r;
}

static int dns_change(void *opaque, uint64_t elapsed_ns, struct brunt_error *err)
{
	struct dns_state *state = opaque;
	uint64_t chance = brunt_bpf_chance(brunt_ramp_at(&state->params->probability, elapsed_ns));
	uint64_t delay = (uint64_t)brunt_ramp_at(&state->params->delay, elapsed_ns);

	(void)err;
	for (size_t i = 0; i < state->started; i++)
		brunt_responder_tune(&state->responders[i], chance, delay);
	return 0;
}

static int dns_attach(void *opaque, struct brunt_error *err)
{
	struct dns_state *state = opaque;
	int r = check_alone(state, err);

	if (r)
		return r;
	state->next = attached;
	attached = state;
	r = start_responders(state, err);
	(void)dns_change(state, 0, NULL);
	state->cut = state->hurries = false;
	state->control->processes = state->kind == BRUNT_TARGET_PROCESS;
	if (!r && state->control->processes)
		r = mark_victims(state, err);
	r = r ?: map_servers(state, true, err);
	for (size_t i = 0; !r && i < state->victims->matched; i++)
		if (state->victims->items[i].picked && !brunt_bpf_is_covered(state->victims, i))
			r = attach_hooks(state, &state->victims->items[i], err);
	return r;
}

/* BPF's lease reaches no farther than a lease from the last heartbeat of each responder. */
static uint64_t reach(const struct dns_state *state, uint64_t expires)
{
	for (size_t i = 0; i < state->started; i++) {
		uint64_t beat = __atomic_load_n(&state->responders[i].page->beat, __ATOMIC_ACQUIRE);
		uint64_t most = beat + state->lease;

		if (most < beat || brunt_responder_is_lost(&state->responders[i]))
			return 0;
		if (most < expires)
			expires = most;
	}
	return expires;
}

static int dns_arm(void *opaque, uint64_t expires, struct brunt_error *err)
{
	struct dns_state *state = opaque;
	size_t deaf;

	for (size_t i = 0; i < state->started; i++) {
		if (brunt_responder_is_lost(&state->responders[i]))
			return brunt_fail(err, EPIPE, "the responder is gone");
		brunt_responder_begin(&state->responders[i], expires + state->lease / 2);
	}
	brunt_bpf_arm(&state->bpf, reach(state, expires));
	/* Now, so that the new ones are turned. */
	return state->params->reconnect ? dns_old_sockets(state, true, &deaf, err) : 0;
}

static void dns_renew(void *opaque, uint64_t expires)
{
	struct dns_state *state = opaque;
	uint64_t most = reach(state, expires);

	/* A responder that is gone refuses lookups: they go to the real servers from now on. */
	if (!most)
		__atomic_store_n(&state->bpf.control->lapsed, 1, __ATOMIC_SEQ_CST);
	else
		brunt_bpf_renew(&state->bpf, most);
	for (size_t i = 0; i < state->started; i++)
		brunt_responder_renew(&state->responders[i], expires + state->lease / 2);
}

static void dns_hurry(void *opaque)
{
	((struct dns_state *)opaque)->hurries = true;
}

static void dns_disarm(void *opaque)
{
	struct dns_state *state = opaque;

	brunt_bpf_disarm(&state->bpf);
	for (size_t i = 0; i < state->started; i++) {
		state->cut |= brunt_responder_is_lost(&state->responders[i]);
		brunt_responder_pause(&state->responders[i]);
	}
}

static int dns_verify(void *opaque, struct brunt_error *err)
{
	return brunt_bpf_verify(&((struct dns_state *)opaque)->bpf, err);
}

static void dns_detach(void *opaque)
{
	struct dns_state *state = opaque;
	uint64_t patience = brunt_responder_patience(state->lease / BEATS) + RELEASE_WAIT_NS;
	uint64_t until = brunt_now() + (state->hurries ? 0 : patience);
	int map = bpf_map__fd(state->skel->maps.brunt_victims);

	leave(state);
	dns_disarm(state);
	/* The way back stays until the responders have passed on what they held. */
	for (size_t i = 0; i < state->started; i++)
		brunt_responder_release(&state->responders[i]);
	for (size_t i = 0; i < state->started; i++) {
		brunt_responder_reap(&state->responders[i], until);
		dns_keep_counts(state, &state->responders[i]);
	}
	brunt_bpf_detach(&state->bpf);
	(void)map_servers(state, false, NULL);
	for (size_t i = 0; state->victims && state->kind == BRUNT_TARGET_PROCESS && i < state->victims->matched; i++) {
		__u32 tgid = (__u32)state->victims->items[i].process.pid;

		(void)bpf_map_delete_elem(map, &tgid);
	}
	state->started = 0;
	state->victims = NULL;
	brunt_dns_places_close(&state->places);
}

static void dns_unload(void *opaque)
{
	if (opaque)
		dns_detach(opaque);
	unload(opaque);
}

static pid_t dns_child(void *opaque)
{
	struct dns_state *state = opaque;

	return state->started ? state->responders[state->started - 1].pid : 0;
}

static int dns_recover(const struct brunt_undo_record *undo, struct brunt_error *err)
{
	return brunt_bpf_recover(undo->run, err);
}

const struct brunt_injector brunt_fault_dns_fail = {
	.name = "dns.fail",
	.summary = "lookups of names fail, are answered wrongly or late",
	.undo = BRUNT_UNDO_KERNEL,
	.wants = BRUNT_WANT_CGROUP,
	.targets = 1 << BRUNT_TARGET_PROCESS | 1 << BRUNT_TARGET_CGROUP | 1 << BRUNT_TARGET_UNIT |
		   1 << BRUNT_TARGET_SERVICE | 1 << BRUNT_TARGET_CONTAINER,
	.capabilities = UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON | UINT64_C(1) << CAP_NET_ADMIN |
			UINT64_C(1) << CAP_SYS_PTRACE | UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID,
	/* other network namespaces; a resolv.conf, or a way to it, that is closed to others */
	.useful = UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_DAC_READ_SEARCH,
	.hit_noun = "lookups hurt",
	.table = &dns_table,
	.probe = dns_probe,
	.validate = dns_validate,
	.describe = dns_describe,
	.load = dns_load,
	.prepare = dns_prepare,
	.attach = dns_attach,
	.arm = dns_arm,
	.renew = dns_renew,
	.change = dns_change,
	.poll = dns_poll,
	.hurry = dns_hurry,
	.disarm = dns_disarm,
	.verify = dns_verify,
	.detach = dns_detach,
	.unload = dns_unload,
	.recover = dns_recover,
	.child = dns_child,
	.child_role = BRUNT_ROLE_RESPONDER,
};
