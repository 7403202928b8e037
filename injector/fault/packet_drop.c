/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.drop: packets are lost, as on a bad network.
 *
 * Cgroups (units, services, containers) get cgroup_skb links. Processes get
 * the same on their cgroup, narrowed to tagged sockets: those they have, those
 * that their listeners accept, those they make from now on; not the sockets of
 * processes they fork later. A socket sends through the cgroup it was made in,
 * so sockets made before a process was moved into its cgroup are not seen.
 * Interfaces get tcx links, and before Linux 6.6 a cgroup_skb link on the root
 * cgroup, which sees what this host sends and receives, not what it forwards,
 * and cannot tell equal interface numbers of two network namespaces apart.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "../../bpf/packet_drop.h"
#include "bpf/packet_drop.skel.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "fault/bpf.h"
#include "fault/namespaces.h"
#include "fault/sockets.h"

enum direction { EGRESS = 1, INGRESS = 2, BOTH = 3 };

struct drop_params {
	struct brunt_ramp probability;
	struct brunt_list to, local, except;
	int direction;
	bool error;
};

struct drop_state {
	const struct drop_params *params;
	struct packet_drop_bpf *skel;
	struct brunt_bpf bpf;
	struct brunt_drop_control *control;
	double probability;		     /* now */
	const struct brunt_victims *victims; /* from prepare to detach */
	enum brunt_target_kind kind;
	int program[BOTH + 1]; /* by direction, for cgroups */
	int program_tc[BOTH + 1];
	int program_tag;
	bool has_tcx;
	uint64_t tagged; /* sockets, in this round */
	char mount[PATH_MAX];
};

/* The ledger's record: what was attached, for a person; the kernel undoes it. */
struct drop_undo {
	uint32_t kind, items;
};

static const struct brunt_value directions[] = {
	{ "both", BOTH, "what the target sends and what it receives" },
	{ "egress", EGRESS, "what the target sends" },
	{ "ingress", INGRESS, "what the target receives" },
	{ 0 },
};

#define ENDPOINT_HELP "address[/prefix][:port[-port]][/protocol], [v6]:port, or :port"

static const struct brunt_param drop_params[] = {
	BRUNT_RAMP(struct drop_params, probability, BRUNT_T_RATIO, .def = "100%", .max = 1,
		   .help = "chance that a packet is lost, each network packet of a large send counted by itself"),
	BRUNT_LIST_OF(struct drop_params, to, BRUNT_T_ENDPOINT, .example = "[\"10.0.0.5:5432/tcp\"]",
		      .help = "only packets to or from these remote ends: " ENDPOINT_HELP "; later fragments of a "
			      "packet carry no ports and are judged by address"),
	BRUNT_LIST_OF(struct drop_params, local, BRUNT_T_ENDPOINT, .example = "[\":8080/tcp\"]",
		      .help = "only packets whose end at the target is one of these"),
	BRUNT_LIST_OF(struct drop_params, except, BRUNT_T_ENDPOINT, .example = "[\"10.0.0.2:53\"]",
		      .help = "never packets with one of these at either end"),
	BRUNT_ENUM(struct drop_params, direction, .def = "both", .values = directions,
		   .help = "which packets are lost"),
	BRUNT_BOOL(
		struct drop_params, error,
		.help = "the sender is told (EPERM) instead of losing silently; egress only, and not on an interface"),
	{ 0 },
};

static const struct brunt_table drop_table = {
	.name = "packet.drop",
	.help = "packets are lost, as on a bad network; IPv4 and IPv6, nothing else",
	.params = drop_params,
	.size = sizeof(struct drop_params),
};

static int drop_probe(struct brunt_error *err)
{
	int r = brunt_bpf_probe(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, err);

	/* where unprivileged BPF is allowed, cgroup_skb alone proves nothing */
	return r ?: brunt_bpf_probe(BPF_PROG_TYPE_SCHED_CLS, 0, err);
}

static int drop_validate(const void *params, int kind, struct brunt_error *err)
{
	const struct drop_params *p = params;

	if (p->error && kind == BRUNT_TARGET_INTERFACE)
		return brunt_fail(err, EINVAL,
				  "'error' needs a process or cgroup: at an interface nobody is there to tell");
	if (p->error && p->direction == INGRESS)
		return brunt_fail(err, EINVAL, "'error' tells the sender; on ingress there is none here");
	return 0;
}

static void drop_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf, size_t size)
{
	size_t places = 0;

	(void)fault;
	if (!victims || !victims->matched) {
		(void)snprintf(buf, size, "cgroup_skb programs");
		return;
	}
	if (victims->items[0].kind == BRUNT_TARGET_INTERFACE) {
		(void)snprintf(buf, size, "tcx programs on %zu interface%s (before Linux 6.6: on the root cgroup)",
			       victims->picked, victims->picked == 1 ? "" : "s");
		return;
	}
	for (size_t i = 0; i < victims->matched; i++)
		places += victims->items[i].picked && !brunt_bpf_is_covered(victims, i);
	(void)snprintf(buf, size, "cgroup_skb programs on %zu cgroup%s%s", places, places == 1 ? "" : "s",
		       victims->items[0].kind == BRUNT_TARGET_PROCESS ? ", for tagged sockets" : "");
}

/* The chance that a packet of n segments loses one, each lost with probability p: then it is lost whole. */
static void fill_chances(struct drop_state *state, double p)
{
	state->probability = p;
	brunt_bpf_set_chance(&state->bpf, p);
	for (int n = 0; n < BRUNT_DROP_SEGMENTS; n++)
		state->control->chance[n] = brunt_bpf_chance(p >= 1 ? 1 : -expm1((n ? n : 1) * log1p(-p)));
}

static void drop_unload(void *opaque)
{
	struct drop_state *state = opaque;

	if (!state)
		return;
	brunt_bpf_unload(&state->bpf);
	packet_drop_bpf__destroy(state->skel);
	free(state);
}

static void cleanup_state(struct drop_state **state)
{
	drop_unload(*state);
}

static int load_rules(struct drop_state *state, struct brunt_error *err)
{
	int r = brunt_bpf_rules(&state->bpf, BRUNT_RULES_TO, &state->params->to, err);

	r = r ?: brunt_bpf_rules(&state->bpf, BRUNT_RULES_LOCAL, &state->params->local, err);
	return r ?: brunt_bpf_rules(&state->bpf, BRUNT_RULES_EXCEPT, &state->params->except, err);
}

static int drop_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		     struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_state) struct drop_state *state = calloc(1, sizeof(*state));
	const struct drop_params *params = fault->params;
	char label[48];
	int r;

	if (!state)
		return brunt_fail(err, ENOMEM, "no memory for packet.drop");
	state->params = params;
	if (context->cgroup_mount)
		(void)snprintf(state->mount, sizeof(state->mount), "%s", context->cgroup_mount);
	state->skel = packet_drop_bpf__open();
	if (!state->skel)
		return brunt_fail(err, errno, "cannot open the BPF object of packet.drop: %s", strerror(errno));
	(void)bpf_program__set_autoload(state->skel->progs.brunt_drop_out, params->direction & EGRESS);
	(void)bpf_program__set_autoload(state->skel->progs.brunt_drop_tc_out, params->direction & EGRESS);
	(void)bpf_program__set_autoload(state->skel->progs.brunt_drop_in, params->direction & INGRESS);
	(void)bpf_program__set_autoload(state->skel->progs.brunt_drop_tc_in, params->direction & INGRESS);
	(void)snprintf(label, sizeof(label), "packet.drop %u", fault->step);
	r = brunt_bpf_open(&state->bpf, state->skel->obj, context->run, err);
	r = r ?: brunt_bpf_load(&state->bpf, state->skel->skeleton, context->seed, label, err);
	if (r)
		return r;
	state->control = &state->skel->bss->control;
	state->control->verdict = params->error ? 0 : 2;
	fill_chances(state, brunt_ramp_at(&params->probability, 0));
	state->program[EGRESS] = brunt_bpf_program(&state->bpf, state->skel->obj, "brunt_drop_out");
	state->program[INGRESS] = brunt_bpf_program(&state->bpf, state->skel->obj, "brunt_drop_in");
	state->program_tc[EGRESS] = brunt_bpf_program(&state->bpf, state->skel->obj, "brunt_drop_tc_out");
	state->program_tc[INGRESS] = brunt_bpf_program(&state->bpf, state->skel->obj, "brunt_drop_tc_in");
	state->program_tag = brunt_bpf_program(&state->bpf, state->skel->obj, "brunt_drop_tag");
	state->has_tcx = brunt_bpf_has_tcx(state->program_tc[params->direction & EGRESS ? EGRESS : INGRESS]);
	r = load_rules(state, err);
	if (r)
		return r;
	*ret_state = BRUNT_TAKE_PTR(state);
	return 0;
}

/* Only one round at a time is in force, so tags that earlier victims still carry mean nothing. */
static int drop_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
			struct brunt_error *err)
{
	struct drop_state *state = opaque;
	struct drop_undo undo = { .items = (uint32_t)victims->picked };
	size_t interfaces = 0;

	if (!victims->matched || !victims->picked)
		return brunt_fail(err, ESRCH, "nothing is there to drop packets of");
	state->kind = victims->items[0].kind;
	undo.kind = state->kind;
	if (state->kind == BRUNT_TARGET_PROCESS) {
		int r = brunt_bpf_check_pids(err);

		if (r)
			return r;
	}
	for (size_t i = 0; i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[i];
		int r = 0;

		if (!item->picked || state->kind != BRUNT_TARGET_INTERFACE)
			continue;
		interfaces++;
		if (!state->has_tcx)
			r = brunt_interface_is_unique("/proc", item->interface_index, item->name, err);
		if (r)
			return r;
	}
	if (!state->has_tcx && interfaces > BRUNT_DROP_INTERFACES)
		return brunt_fail(err, E2BIG, "more than %d interfaces at once need Linux 6.6", BRUNT_DROP_INTERFACES);
	if (state->kind != BRUNT_TARGET_INTERFACE || !state->has_tcx)
		if (!state->mount[0])
			return brunt_fail(err, ENOTSUP, "no cgroup v2 is mounted, and packet.drop needs it here");
	state->victims = victims;
	state->control->round++;
	ret_undo->version = 1;
	memcpy(ret_undo->data, &undo, sizeof(undo));
	return 0;
}

static int attach_directory(struct drop_state *state, int directory, const char *what, struct brunt_error *err)
{
	int r = 0;

	if (state->params->direction & EGRESS)
		r = brunt_bpf_attach_cgroup(&state->bpf, state->program[EGRESS], directory, BPF_CGROUP_INET_EGRESS,
					    what, err);
	if (!r && state->params->direction & INGRESS)
		r = brunt_bpf_attach_cgroup(&state->bpf, state->program[INGRESS], directory, BPF_CGROUP_INET_INGRESS,
					    what, err);
	if (!r && state->control->scope == BRUNT_DROP_TAGGED)
		r = brunt_bpf_attach_cgroup(&state->bpf, state->program_tag, directory, BPF_CGROUP_INET_SOCK_CREATE,
					    what, err);
	return r;
}

static int attach_cgroups(struct drop_state *state, struct brunt_error *err)
{
	for (size_t i = 0; i < state->victims->matched; i++) {
		const struct brunt_item *item = &state->victims->items[i];
		BRUNT_AUTO_CLOSE int directory = -1;
		int r;

		if (!item->picked || brunt_bpf_is_covered(state->victims, i))
			continue;
		directory = brunt_bpf_open_cgroup(state->mount, item, err);
		if (directory < 0)
			return directory;
		r = attach_directory(state, directory, item->name, err);
		if (r)
			return r;
	}
	return 0;
}

/* New sockets are tagged from the moment the links are there; only then are the existing ones gone through. */
static int attach_processes(struct drop_state *state, struct brunt_error *err)
{
	int tgids = bpf_map__fd(state->skel->maps.brunt_tgids), tags = bpf_map__fd(state->skel->maps.brunt_tags);
	int r;

	for (size_t i = 0; i < state->victims->matched; i++) {
		__u32 tgid = (__u32)state->victims->items[i].process.pid;

		if (state->victims->items[i].picked &&
		    bpf_map_update_elem(tgids, &tgid, &state->control->round, BPF_ANY))
			return brunt_fail(err, errno, "cannot mark process %u: %s", tgid, strerror(errno));
	}
	r = attach_cgroups(state, err);
	state->tagged = 0;
	for (size_t i = 0; !r && i < state->victims->matched; i++)
		if (state->victims->items[i].picked)
			r = brunt_sockets_tag(&state->victims->items[i].process, tags, state->control->round,
					      &state->tagged, err);
	return r;
}

static int attach_tcx(struct drop_state *state, const struct brunt_item *item, struct brunt_error *err)
{
	int r = 0;

	if (state->params->direction & EGRESS)
		r = brunt_bpf_attach_interface(&state->bpf, state->program_tc[EGRESS], item->interface_index,
					       BRUNT_BPF_TCX_EGRESS, item->name, err);
	if (!r && state->params->direction & INGRESS)
		r = brunt_bpf_attach_interface(&state->bpf, state->program_tc[INGRESS], item->interface_index,
					       BRUNT_BPF_TCX_INGRESS, item->name, err);
	return r;
}

static int attach_interfaces(struct drop_state *state, struct brunt_error *err)
{
	struct brunt_item root = { .name = "the root cgroup", .cgroup = "/" };
	BRUNT_AUTO_CLOSE int directory = -1;
	size_t count = 0;

	memset(state->control->interfaces, 0, sizeof(state->control->interfaces));
	for (size_t i = 0; i < state->victims->matched; i++) {
		const struct brunt_item *item = &state->victims->items[i];
		int r = 0;

		if (!item->picked)
			continue;
		if (state->has_tcx)
			r = attach_tcx(state, item, err);
		else
			state->control->interfaces[count++] = item->interface_index;
		if (r)
			return r;
	}
	if (state->has_tcx)
		return 0;
	directory = brunt_bpf_open_cgroup(state->mount, &root, err);
	return directory < 0 ? directory : attach_directory(state, directory, root.name, err);
}

static int drop_attach(void *opaque, struct brunt_error *err)
{
	struct drop_state *state = opaque;

	switch (state->kind) {
	case BRUNT_TARGET_INTERFACE:
		state->control->scope = BRUNT_DROP_INTERFACE;
		state->control->network = brunt_bpf_network(state->victims);
		return attach_interfaces(state, err);
	case BRUNT_TARGET_PROCESS:
		state->control->scope = BRUNT_DROP_TAGGED;
		return attach_processes(state, err);
	default:
		state->control->scope = BRUNT_DROP_ALL;
		return attach_cgroups(state, err);
	}
}

static int drop_arm(void *opaque, uint64_t expires, struct brunt_error *err)
{
	(void)err;
	brunt_bpf_arm(&((struct drop_state *)opaque)->bpf, expires);
	return 0;
}

static void drop_renew(void *opaque, uint64_t expires)
{
	brunt_bpf_renew(&((struct drop_state *)opaque)->bpf, expires);
}

static int drop_change(void *opaque, uint64_t elapsed_ns, struct brunt_error *err)
{
	struct drop_state *state = opaque;

	(void)err;
	fill_chances(state, brunt_ramp_at(&state->params->probability, elapsed_ns));
	return 0;
}

static void drop_disarm(void *opaque)
{
	brunt_bpf_disarm(&((struct drop_state *)opaque)->bpf);
}

static int drop_verify(void *opaque, struct brunt_error *err)
{
	return brunt_bpf_verify(&((struct drop_state *)opaque)->bpf, err);
}

static int drop_poll(void *opaque, struct brunt_hits *ret)
{
	struct drop_state *state = opaque;
	int r = brunt_bpf_poll(&state->bpf, ret);

	if (r)
		return r;
	brunt_bpf_near_miss(ret, "packet", &state->params->to, state->probability);
	if (!ret->hit && !ret->seen && state->kind == BRUNT_TARGET_PROCESS && state->victims && !state->tagged)
		(void)snprintf(ret->near_miss, sizeof(ret->near_miss),
			       "no packet came by; the target had no sockets when the fault began");
	ret->target_gone = brunt_bpf_all_gone(state->mount, state->victims);
	return 0;
}

static void drop_detach(void *opaque)
{
	struct drop_state *state = opaque;
	int tgids = bpf_map__fd(state->skel->maps.brunt_tgids);

	brunt_bpf_detach(&state->bpf);
	for (size_t i = 0; state->victims && state->kind == BRUNT_TARGET_PROCESS && i < state->victims->matched; i++) {
		__u32 tgid = (__u32)state->victims->items[i].process.pid;

		(void)bpf_map_delete_elem(tgids, &tgid);
	}
	state->victims = NULL;
}

static int drop_recover(const struct brunt_undo_record *undo, struct brunt_error *err)
{
	return brunt_bpf_recover(undo->run, err);
}

const struct brunt_injector brunt_fault_packet_drop = {
	.name = "packet.drop",
	.summary = "packets are lost, as on a bad network",
	.undo = BRUNT_UNDO_KERNEL,
	.wants = BRUNT_WANT_CGROUP | BRUNT_WANT_INTERFACE,
	.targets = 1 << BRUNT_TARGET_PROCESS | 1 << BRUNT_TARGET_CGROUP | 1 << BRUNT_TARGET_UNIT |
		   1 << BRUNT_TARGET_SERVICE | 1 << BRUNT_TARGET_CONTAINER | 1 << BRUNT_TARGET_INTERFACE,
	/* the last two for the sockets of processes of other users: pidfd_getfd(), and to list /proc/PID/fd */
	.capabilities = UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON | UINT64_C(1) << CAP_NET_ADMIN |
			UINT64_C(1) << CAP_SYS_PTRACE | UINT64_C(1) << CAP_DAC_READ_SEARCH,
	.hit_noun = "packets dropped",
	.table = &drop_table,
	.probe = drop_probe,
	.validate = drop_validate,
	.describe = drop_describe,
	.load = drop_load,
	.prepare = drop_prepare,
	.attach = drop_attach,
	.arm = drop_arm,
	.renew = drop_renew,
	.change = drop_change,
	.poll = drop_poll,
	.disarm = drop_disarm,
	.verify = drop_verify,
	.detach = drop_detach,
	.unload = drop_unload,
	.recover = drop_recover,
};
