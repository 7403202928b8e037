/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups (units, services, containers) get cgroup_skb links. Processes get
 * the same on their cgroup, narrowed to tagged sockets: those they have, those
 * that their listeners accept, those they make from now on; not the sockets of
 * processes they fork later. A socket sends through the cgroup it was made in,
 * so sockets made before a process was moved into its cgroup are not seen.
 * Interfaces get tcx links, and before Linux 6.6 a cgroup_skb link on the root
 * cgroup, which sees what this host sends and receives, not what it forwards,
 * and cannot tell equal interface numbers of two network namespaces apart.
 */
#include "fault/drop.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "bpf/packet_drop.skel.h"
#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "program/bpf.h"
#include "network/namespaces.h"
#include "network/sockets.h"

#define FEW 20 /* packets that a connection sends again without dying of it */

struct drop_state {
	struct brunt_bpf bpf; /* first: the shared operations take it for the state */
	struct brunt_drop drop;
	struct packet_drop_bpf *skel;
	struct brunt_drop_control *control;
	int program[BRUNT_BOTH_WAYS + 1]; /* by direction, for cgroups */
	int program_tc[BRUNT_BOTH_WAYS + 1];
	int program_tag;
	bool has_tcx;
	double probability; /* in force */
	uint64_t tagged;    /* sockets, in this round */
};
_Static_assert(!offsetof(struct drop_state, bpf), "brunt_bpf_op_arm() and its like take a struct brunt_bpf");

const struct brunt_value brunt_directions[] = {
	{ "both", BRUNT_BOTH_WAYS, "what the target sends and what it receives" },
	{ "egress", BRUNT_EGRESS, "what the target sends" },
	{ "ingress", BRUNT_INGRESS, "what the target receives" },
	{ 0 },
};

static double recovers(const struct brunt_gemodel *model)
{
	return model->has_r ? model->r : 1 - model->p;
}

/* The stationary distribution of the two states. */
static double model_share(const struct brunt_gemodel *model)
{
	double bad = model->p / (model->p + recovers(model));

	return bad * model->lose_bad + (1 - bad) * model->lose_good;
}

double brunt_drop_share(const struct brunt_drop *drop)
{
	const struct brunt_ramp *probability = drop->probability;

	if ((drop->first && drop->first <= FEW) || (drop->budget && drop->budget <= FEW))
		return 0;
	if (drop->model)
		return model_share(drop->model);
	if (drop->nth)
		return 1 / (double)drop->nth;
	return probability ? fmax(probability->from, probability->to) : 1;
}

int brunt_drop_probe(struct brunt_error *err)
{
	int r = brunt_bpf_probe(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, err);

	/* where unprivileged BPF is allowed, cgroup_skb alone proves nothing */
	return r ?: brunt_bpf_probe(BPF_PROG_TYPE_SCHED_CLS, 0, err);
}

void brunt_drop_describe(const struct brunt_victims *victims, char *buf, size_t size)
{
	size_t places = 0;

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

void brunt_drop_unload(void *opaque)
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
	brunt_drop_unload(*state);
}

/* Members into the trie, each with the number of its group. */
static int load_groups(struct drop_state *state, struct brunt_error *err)
{
	for (size_t i = 0; i < state->drop.member_count; i++) {
		int r = brunt_bpf_group(&state->bpf, &state->drop.members[i].endpoint, state->drop.members[i].group,
					err);

		if (r)
			return r;
	}
	return 0;
}

static const struct brunt_list none;

static int load_rules(struct drop_state *state, struct brunt_error *err)
{
	const struct brunt_drop *drop = &state->drop;
	int r = brunt_bpf_rules(&state->bpf, BRUNT_RULES_TO, drop->to ?: &none, err);

	r = r ?: brunt_bpf_rules(&state->bpf, BRUNT_RULES_LOCAL, drop->local ?: &none, err);
	r = r ?: brunt_bpf_rules(&state->bpf, BRUNT_RULES_EXCEPT, drop->except ?: &none, err);
	return r ?: load_groups(state, err);
}

static bool is_ordered(const struct brunt_drop *drop)
{
	return drop->model || drop->nth || drop->first || drop->budget;
}

/* What the programs look at, before any is attached. */
static void fill_control(struct drop_state *state)
{
	const struct brunt_drop *drop = &state->drop;
	struct brunt_drop_control *control = state->control;

	control->verdict = drop->error ? 0 : 2;
	control->flags = drop->flags;
	if (drop->flags.mask)
		control->base.ports = 1;
	if (drop->member_count)
		control->groups = drop->one_way ? BRUNT_GROUPS_ONE_WAY : BRUNT_GROUPS_BOTH;
	control->selects = control->base.lists || drop->flags.mask || drop->member_count;
	control->nth = drop->nth;
	control->first = drop->first;
	control->budget = drop->budget;
	control->mode = drop->model ? BRUNT_DROP_MODEL : drop->nth ? BRUNT_DROP_NTH : BRUNT_DROP_CHANCE;
	control->ordered = is_ordered(drop);
	if (drop->model) {
		control->model.worsen = brunt_bpf_chance(drop->model->p);
		control->model.recover = brunt_bpf_chance(recovers(drop->model));
		control->model.lose_bad = brunt_bpf_chance(drop->model->lose_bad);
		control->model.lose_good = brunt_bpf_chance(drop->model->lose_good);
	}
	fill_chances(state, drop->probability ? brunt_ramp_at(drop->probability, 0) : 1);
}

static int fill_order(struct drop_state *state, uint64_t seed, const char *label, struct brunt_error *err)
{
	struct brunt_drop_order order = { .seen = 0 };
	struct brunt_random random;
	char name[64];
	__u32 zero = 0;

	(void)snprintf(name, sizeof(name), "%s in order", label);
	brunt_random_seed(&random, seed, name);
	for (size_t i = 0; i < BRUNT_COUNT(order.random); i++)
		order.random[i] = brunt_random_next(&random) | 1;
	if (bpf_map_update_elem(bpf_map__fd(state->skel->maps.brunt_order), &zero, &order, BPF_ANY))
		return brunt_fail(err, errno, "cannot seed the order of packets: %s", strerror(errno));
	return 0;
}

static void find_programs(struct drop_state *state)
{
	const struct bpf_object *object = state->skel->obj;

	state->program[BRUNT_EGRESS] = brunt_bpf_program(&state->bpf, object, "brunt_drop_out");
	state->program[BRUNT_INGRESS] = brunt_bpf_program(&state->bpf, object, "brunt_drop_in");
	state->program_tc[BRUNT_EGRESS] = brunt_bpf_program(&state->bpf, object, "brunt_drop_tc_out");
	state->program_tc[BRUNT_INGRESS] = brunt_bpf_program(&state->bpf, object, "brunt_drop_tc_in");
	state->program_tag = brunt_bpf_program(&state->bpf, object, "brunt_drop_tag");
	state->has_tcx = brunt_bpf_has_tcx(
		state->program_tc[state->drop.direction & BRUNT_EGRESS ? BRUNT_EGRESS : BRUNT_INGRESS]);
}

int brunt_drop_load(const struct brunt_fault *fault, const struct brunt_fault_context *context,
		    const struct brunt_drop *drop, void **ret_state, struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_state) struct drop_state *state = calloc(1, sizeof(*state));
	const char *name = fault->injector->name;
	char label[48];
	int r;

	if (!state)
		return brunt_fail(err, ENOMEM, "no memory for %s", name);
	state->drop = *drop;
	state->skel = packet_drop_bpf__open();
	if (!state->skel)
		return brunt_fail(err, errno, "cannot open the BPF object of %s: %s", name, strerror(errno));
	(void)bpf_program__set_autoload(state->skel->progs.brunt_drop_out, drop->direction & BRUNT_EGRESS);
	(void)bpf_program__set_autoload(state->skel->progs.brunt_drop_tc_out, drop->direction & BRUNT_EGRESS);
	(void)bpf_program__set_autoload(state->skel->progs.brunt_drop_in, drop->direction & BRUNT_INGRESS);
	(void)bpf_program__set_autoload(state->skel->progs.brunt_drop_tc_in, drop->direction & BRUNT_INGRESS);
	state->skel->rodata->may_order = is_ordered(drop);
	state->skel->rodata->may_ask_flags = drop->flags.mask;
	state->skel->rodata->may_ask_groups = drop->member_count;
	(void)snprintf(label, sizeof(label), "%s %u", name, fault->step);
	r = brunt_bpf_open(&state->bpf, state->skel->obj, context, err);
	r = r ?: brunt_bpf_load(&state->bpf, state->skel->skeleton, context->seed, label, err);
	if (r)
		return r;
	state->bpf.processes = bpf_map__fd(state->skel->maps.brunt_tgids);
	state->control = &state->skel->bss->control;
	find_programs(state);
	r = load_rules(state, err);
	r = r ?: brunt_bpf_names(&state->bpf, drop->names, context, err);
	r = r ?: fill_order(state, context->seed, label, err);
	if (r)
		return r;
	fill_control(state);
	*ret_state = BRUNT_TAKE_PTR(state);
	return 0;
}

static int check_interfaces(const struct drop_state *state, struct brunt_error *err)
{
	const struct brunt_victims *victims = state->bpf.victims;

	if (state->drop.member_count)
		return brunt_fail(err, ENOTSUP, "to cut what an interface forwards needs Linux 6.6 (tcx)");
	if (victims->picked > BRUNT_DROP_INTERFACES)
		return brunt_fail(err, E2BIG, "more than %d interfaces at once need Linux 6.6", BRUNT_DROP_INTERFACES);
	for (size_t i = 0; i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[i];
		int r = item->picked ? brunt_interface_is_unique("/proc", item->interface_index, item->name, err) : 0;

		if (r)
			return r;
	}
	return 0;
}

/* Only one round at a time is in force, so tags that earlier victims still carry mean nothing. */
int brunt_drop_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
		       struct brunt_error *err)
{
	struct drop_state *state = opaque;
	int r = brunt_bpf_prepare(&state->bpf, victims, state->drop.deed, ret_undo, err);

	if (r)
		return r;
	if (state->bpf.kind != BRUNT_TARGET_INTERFACE || !state->has_tcx)
		if (!state->bpf.mount)
			return brunt_fail(err, ENOTSUP, "no cgroup v2 is mounted, and this fault needs it here");
	if (state->bpf.kind == BRUNT_TARGET_INTERFACE && !state->has_tcx)
		r = check_interfaces(state, err);
	if (!r)
		state->control->round++;
	return r;
}

static int attach_directory(struct drop_state *state, int directory, const char *what, struct brunt_error *err)
{
	int r = 0;

	if (state->drop.direction & BRUNT_EGRESS)
		r = brunt_bpf_attach_cgroup(&state->bpf, state->program[BRUNT_EGRESS], directory,
					    BPF_CGROUP_INET_EGRESS, what, err);
	if (!r && state->drop.direction & BRUNT_INGRESS)
		r = brunt_bpf_attach_cgroup(&state->bpf, state->program[BRUNT_INGRESS], directory,
					    BPF_CGROUP_INET_INGRESS, what, err);
	if (!r && state->control->scope == BRUNT_DROP_TAGGED)
		r = brunt_bpf_attach_cgroup(&state->bpf, state->program_tag, directory, BPF_CGROUP_INET_SOCK_CREATE,
					    what, err);
	return r;
}

static int attach_cgroups(struct drop_state *state, struct brunt_error *err)
{
	for (size_t i = 0; i < state->bpf.victims->matched; i++) {
		const struct brunt_item *item = &state->bpf.victims->items[i];
		BRUNT_AUTO_CLOSE int directory = -1;
		int r;

		if (!item->picked || brunt_bpf_is_covered(state->bpf.victims, i))
			continue;
		directory = brunt_bpf_open_cgroup(state->bpf.mount, item, err);
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
	int tags = bpf_map__fd(state->skel->maps.brunt_tags);
	int r = brunt_bpf_mark_processes(&state->bpf, state->control->round, err);

	r = r ?: attach_cgroups(state, err);
	state->tagged = 0;
	for (size_t i = 0; !r && i < state->bpf.victims->matched; i++)
		if (state->bpf.victims->items[i].picked)
			r = brunt_sockets_tag(&state->bpf.victims->items[i].process, tags, state->control->round,
					      &state->tagged, err);
	return r;
}

static int attach_tcx(struct drop_state *state, const struct brunt_item *item, struct brunt_error *err)
{
	int r = 0;

	if (state->drop.direction & BRUNT_EGRESS)
		r = brunt_bpf_attach_interface(&state->bpf, state->program_tc[BRUNT_EGRESS], item->interface_index,
					       BRUNT_BPF_TCX_EGRESS, item->name, err);
	if (!r && state->drop.direction & BRUNT_INGRESS)
		r = brunt_bpf_attach_interface(&state->bpf, state->program_tc[BRUNT_INGRESS], item->interface_index,
					       BRUNT_BPF_TCX_INGRESS, item->name, err);
	return r;
}

static int attach_interfaces(struct drop_state *state, struct brunt_error *err)
{
	struct brunt_item root = { .name = "the root cgroup", .cgroup = "/" };
	BRUNT_AUTO_CLOSE int directory = -1;
	size_t count = 0;

	memset(state->control->interfaces, 0, sizeof(state->control->interfaces));
	for (size_t i = 0; i < state->bpf.victims->matched; i++) {
		const struct brunt_item *item = &state->bpf.victims->items[i];
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
	directory = brunt_bpf_open_cgroup(state->bpf.mount, &root, err);
	return directory < 0 ? directory : attach_directory(state, directory, root.name, err);
}

int brunt_drop_attach(void *opaque, struct brunt_error *err)
{
	struct drop_state *state = opaque;

	switch (state->bpf.kind) {
	case BRUNT_TARGET_INTERFACE:
		state->control->scope = BRUNT_DROP_INTERFACE;
		state->control->network = brunt_bpf_network(state->bpf.victims);
		return attach_interfaces(state, err);
	case BRUNT_TARGET_PROCESS:
		state->control->scope = BRUNT_DROP_TAGGED;
		return attach_processes(state, err);
	default:
		state->control->scope = BRUNT_DROP_ALL;
		return attach_cgroups(state, err);
	}
}

int brunt_drop_change(void *opaque, uint64_t elapsed_ns, struct brunt_error *err)
{
	struct drop_state *state = opaque;

	(void)err;
	fill_chances(state, brunt_ramp_at(state->drop.probability, elapsed_ns));
	return 0;
}

/* Why nothing was hit although packets came by. */
static void near_miss(const struct drop_state *state, struct brunt_hits *ret)
{
	const struct brunt_drop *drop = &state->drop;
	const size_t size = sizeof(ret->near_miss);
	size_t used;

	brunt_bpf_near_miss(ret, "packet", drop->to ?: &none, state->probability);
	if (ret->hit)
		return;
	if (!ret->seen && state->bpf.kind == BRUNT_TARGET_PROCESS && state->bpf.victims && !state->tagged)
		(void)snprintf(ret->near_miss, size,
			       "no packet came by; the target had no sockets when the fault began");
	if (ret->seen && !ret->matched && drop->group) {
		used = strlen(ret->near_miss);
		(void)snprintf(ret->near_miss + used, size - used, " %s", drop->group);
	}
	if (ret->matched && drop->nth)
		(void)snprintf(ret->near_miss, size, "%" PRIu64 " matched, and every %" PRIu64 "th is lost",
			       ret->matched, drop->nth);
	if (ret->matched && drop->model)
		(void)snprintf(ret->near_miss, size,
			       "%" PRIu64 " matched, and no burst of loss came (in the long run %.3g %% are lost)",
			       ret->matched, model_share(drop->model) * 100);
}

int brunt_drop_poll(void *opaque, struct brunt_hits *ret)
{
	struct drop_state *state = opaque;
	int r = brunt_bpf_poll(&state->bpf, ret);

	if (!r)
		near_miss(state, ret);
	return r;
}
