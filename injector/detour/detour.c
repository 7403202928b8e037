/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a detour. */
#include "detour/detour.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../../bpf/detour.h"
#include "bpf/detour.skel.h"
#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/units.h"
#include "detour/detour_parts.h"

/* include/uapi/linux/if.h, which does not go with net/if.h */
#define LOWER_UP (1u << 16)

/* include/uapi/linux/bpf.h: BPF_FUNC_check_mtu */
#define HELPER_CHECK_MTU ((enum bpf_func_id)163)

_Static_assert(sizeof(struct brunt_detour_undo) <= BRUNT_UNDO_SIZE, "the undo record is too small");
_Static_assert(BRUNT_DETOUR_LEGS == BRUNT_DETOUR_SETS * BRUNT_DETOUR_LEGS_MAX, "each set has its own legs");
_Static_assert(BRUNT_DETOUR_LEGS <= 256, "struct fragment_key has a byte for it");

int brunt_detour_probe(bool tap, struct brunt_error *err)
{
	int r = brunt_bpf_probe(BPF_PROG_TYPE_SCHED_CLS, 0, err);

	return r ?: brunt_detour_try_devices(tap, err);
}

static void cleanup_detour(struct brunt_detour **detour)
{
	brunt_detour_unload(*detour);
}

static int load_programs(struct brunt_detour *detour, const struct brunt_fault_context *context,
			 struct brunt_error *err)
{
	static const char *const steers[BRUNT_DETOUR_STEERS] = { "brunt_detour_steer_out", "brunt_detour_steer_in" };
	struct detour_bpf *skeleton = detour_bpf__open();
	const int direction = detour->match->direction;
	int r;

	detour->skeleton = skeleton;
	if (!skeleton)
		return brunt_fail(err, errno, "cannot open the BPF object of the detour: %s", strerror(errno));
	(void)bpf_program__set_autoload(skeleton->progs.brunt_detour_steer_out, direction & BRUNT_DETOUR_EGRESS);
	(void)bpf_program__set_autoload(skeleton->progs.brunt_detour_steer_in, direction & BRUNT_DETOUR_INGRESS);
	skeleton->rodata->has_check_mtu = libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, HELPER_CHECK_MTU, NULL) == 1;
	r = brunt_bpf_open(&detour->bpf, skeleton->obj, context, err);
	r = r ?: brunt_bpf_load(&detour->bpf, skeleton->skeleton, context->seed, detour->label, err);
	for (__u32 i = 0; !r && i < BRUNT_DETOUR_STEERS; i++) {
		int program = brunt_bpf_program(&detour->bpf, skeleton->obj, steers[i]);

		if (program >= 0 &&
		    bpf_map_update_elem(bpf_map__fd(skeleton->maps.brunt_steers), &i, &program, BPF_ANY))
			r = brunt_fail(err, errno, "cannot store a BPF program: %s", strerror(errno));
	}
	return r;
}

static int load_match(struct brunt_detour *detour, const struct brunt_fault_context *context, struct brunt_error *err)
{
	const struct brunt_detour_match *match = detour->match;
	struct brunt_detour_control *control = detour->control;
	struct brunt_random random;
	int r = brunt_bpf_rules(&detour->bpf, BRUNT_RULES_TO, match->to, err);

	r = r ?: brunt_bpf_rules(&detour->bpf, BRUNT_RULES_LOCAL, match->local, err);
	r = r ?: brunt_bpf_rules(&detour->bpf, BRUNT_RULES_EXCEPT, match->except, err);
	r = r ?: brunt_bpf_names(&detour->bpf, match->names, context, err);
	brunt_random_seed(&random, context->seed, detour->label);
	control->seed = brunt_random_next(&random);
	control->flows = brunt_bpf_chance(match->flows);
	if (match->flows < 1)
		control->base.ports = 1;
	return r;
}

int brunt_detour_load(const struct brunt_detour_match *match, const struct brunt_detour_backend *backend, void *opaque,
		      const struct brunt_fault_context *context, const char *label, uint64_t max_linger,
		      struct brunt_detour **ret, struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_detour) struct brunt_detour *detour = calloc(1, sizeof(*detour));
	int r;

	if (!detour)
		return brunt_fail(err, ENOMEM, "no memory for a detour");
	detour->match = match;
	detour->backend = backend;
	detour->opaque = opaque;
	detour->max_linger = max_linger;
	detour->lease = context->lease_ns;
	detour->hidden = detour->linger_pipe = detour->rtnl.fd = detour->spoken.fd = -1;
	(void)snprintf(detour->label, sizeof(detour->label), "%s", label);
	(void)snprintf(detour->run, sizeof(detour->run), "%.8s", context->run);
	if (context->cgroup_mount)
		(void)snprintf(detour->mount, sizeof(detour->mount), "%s", context->cgroup_mount);
	detour->home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (detour->home < 0)
		return brunt_fail(err, errno, "cannot open our own network namespace: %s", strerror(errno));
	r = load_programs(detour, context, err);
	if (r)
		return r;
	detour->control = &detour->skeleton->bss->control;
	detour->has_tcx =
		brunt_bpf_has_tcx(brunt_bpf_program(&detour->bpf, detour->skeleton->obj, "brunt_detour_bounce"));
	r = load_match(detour, context, err);
	if (r)
		return r;
	*ret = BRUNT_TAKE_PTR(detour);
	return 0;
}

static void set_scope(struct brunt_detour *detour)
{
	struct brunt_detour_control *control = detour->control;
	const enum brunt_target_kind kind = detour->victims->items[0].kind;
	bool shared;

	control->scope = kind == BRUNT_TARGET_INTERFACE ? BRUNT_DETOUR_ALL
			 : kind == BRUNT_TARGET_PROCESS ? BRUNT_DETOUR_PROCESSES
							: BRUNT_DETOUR_CGROUPS;
	/* sockets are looked up by ports */
	if (control->scope != BRUNT_DETOUR_ALL)
		control->base.ports = 1;
	shared = detour->match->flows < 1;
	control->fragments = control->base.ports || shared;
	control->everything = control->scope == BRUNT_DETOUR_ALL && !control->base.lists && !shared;
}

int brunt_detour_prepare(struct brunt_detour *detour, const struct brunt_victims *victims,
			 struct brunt_undo_record *ret_undo, struct brunt_error *err)
{
	struct brunt_detour_undo undo;
	int r;

	if (!victims->matched || !victims->picked)
		return brunt_fail(err, ESRCH, "nothing is there whose packets could go round");
	if (victims->items[0].kind == BRUNT_TARGET_PROCESS) {
		r = brunt_bpf_check_pids(err);
		if (r)
			return r;
	}
	if (victims->items[0].kind != BRUNT_TARGET_INTERFACE && !detour->mount[0])
		return brunt_fail(err, ENOTSUP, "no cgroup v2 is mounted, and the target's new sockets are told by it");
	detour->victims = victims;
	detour->part_count = detour->place_count = 0;
	if (!++detour->control->round)
		detour->control->round++;
	detour->bpf.victims = victims;
	r = brunt_detour_find(detour, &undo, err);
	r = r ?: brunt_bpf_names_prepare(&detour->bpf, err);
	if (r) {
		detour->part_count = detour->place_count = 0;
		detour->victims = detour->bpf.victims = NULL;
		return r;
	}
	set_scope(detour);
	undo.label = brunt_detour_hash(detour->label);
	undo.linger_ms = (uint32_t)(detour->max_linger / BRUNT_MS);
	ret_undo->version = BRUNT_DETOUR_UNDO_VERSION;
	memcpy(ret_undo->data, &undo, sizeof(undo));
	return 0;
}

int brunt_detour_attach(struct brunt_detour *detour, struct brunt_error *err)
{
	int r = brunt_detour_choose_legs(detour, err);

	r = r ?: brunt_detour_make_devices(detour, err);
	r = r ?: brunt_detour_check_others(detour, err);
	/* a TAP line outlives us itself */
	if (!r && !detour->backend->tap)
		r = brunt_detour_fork_linger(detour, err);
	if (!r && detour->control->scope != BRUNT_DETOUR_ALL)
		r = brunt_detour_tag(detour, err);
	r = r ?: brunt_detour_attach_classifiers(detour, err);
	if (r)
		brunt_detour_detach(detour, false);
	return r;
}

void brunt_detour_arm(struct brunt_detour *detour, uint64_t expires)
{
	brunt_bpf_arm(&detour->bpf, expires);
}

static bool are_lines_alive(const struct brunt_detour *detour)
{
	for (size_t i = 0; detour->backend->alive && i < detour->part_count; i++)
		if (!detour->backend->alive(detour->opaque, &detour->parts[i].leg))
			return false;
	return true;
}

void brunt_detour_renew(struct brunt_detour *detour, uint64_t expires)
{
	if (are_lines_alive(detour))
		brunt_bpf_renew(&detour->bpf, expires);
}

void brunt_detour_disarm(struct brunt_detour *detour)
{
	brunt_bpf_disarm(&detour->bpf);
}

int brunt_detour_verify(struct brunt_detour *detour, struct brunt_error *err)
{
	return brunt_bpf_verify(&detour->bpf, err);
}

/* d1 has a carrier as long as d0 is there and up; it can be asked without going to the target's namespace. */
static bool are_devices_up(struct brunt_detour *detour)
{
	struct brunt_link link = { 0 };

	for (size_t i = 0; i < detour->part_count; i++) {
		const struct brunt_detour_part *part = &detour->parts[i];

		if (part->peer &&
		    (brunt_link_get(&detour->rtnl, part->peer, NULL, &link, NULL) || !(link.flags & LOWER_UP)))
			return false;
	}
	return true;
}

/*
 * A classifier that has seen packets since the last poll is where it was. Where there is but one, this saves asking the
 * kernel, which takes the lock of all network configuration (tcx_link_fill_info() in kernel/bpf/tcx.c): while others
 * make and remove interfaces that waits for hundreds of milliseconds, and leases are renewed by who waits.
 */
static bool has_run(struct brunt_detour *detour, uint64_t seen)
{
	const bool more = seen != detour->seen;

	detour->seen = seen;
	return more && detour->part_count == 1;
}

int brunt_detour_poll(struct brunt_detour *detour, struct brunt_hits *ret)
{
	int r = brunt_bpf_poll(&detour->bpf, ret);

	brunt_bpf_forget_dead(bpf_map__fd(detour->skeleton->maps.brunt_tgids), detour->victims, &detour->bpf.looked);
	if (r)
		return r;
	brunt_bpf_near_miss(ret, "packet", detour->match->to, 1);
	if (!detour->part_count)
		return 0;
	ret->detached |= (!has_run(detour, ret->seen) && !brunt_detour_is_attached(detour)) ||
			 !are_devices_up(detour) ||
			 (!detour->backend->tap && !brunt_detour_linger_runs(&detour->linger));
	if (!ret->detached && !are_lines_alive(detour)) {
		ret->detached = true;
		ret->silent_role = BRUNT_ROLE_LINE;
	}
	ret->target_gone = brunt_bpf_all_gone(detour->mount, detour->victims);
	if (!ret->hit && !ret->seen && detour->control->scope != BRUNT_DETOUR_ALL && !detour->tagged)
		(void)snprintf(ret->near_miss, sizeof(ret->near_miss),
			       "no packet came by; the target had no sockets when the fault began");
	return 0;
}

void brunt_detour_read(const struct brunt_detour *detour, struct brunt_detour_extra *ret)
{
	const struct brunt_detour_stats *stats = &detour->control->stats;

	*ret = (struct brunt_detour_extra){ stats->expired, stats->gone, stats->foreign, stats->marks_lost };
}

int brunt_detour_visit(struct brunt_detour *detour, int (*visit)(void *opaque, struct brunt_leg *leg, void *user),
		       void *user, struct brunt_error *err)
{
	int r = 0;

	for (unsigned place = 0; !r && place < detour->place_count; place++) {
		r = brunt_netns_enter(&detour->places[place], err);
		if (r)
			return r;
		for (size_t i = 0; !r && i < detour->part_count; i++)
			if (detour->parts[i].place == place)
				r = visit(detour->opaque, &detour->parts[i].leg, user);
		brunt_netns_leave(&detour->places[place], detour->home);
	}
	return r;
}

static void close_part(struct brunt_detour_part *part)
{
	/* the bounce first: nothing shall reach a device of ours whose way back is gone */
	for (size_t i = 0; i < part->inner_count; i++)
		close(part->inner[i]);
	part->inner_count = 0;
	if (part->leg.tap >= 0)
		close(part->leg.tap);
	part->leg.tap = -1;
}

void brunt_detour_detach(struct brunt_detour *detour, bool drain)
{
	if (!detour->part_count)
		return;
	brunt_detour_detach_classifiers(detour);
	if (detour->victims)
		brunt_detour_untag(detour);
	if (!drain)
		detour->lost += brunt_detour_backlog(detour, NULL);
	for (size_t i = 0; i < detour->part_count; i++)
		if (detour->parts[i].started && detour->backend->stop)
			detour->backend->stop(detour->opaque, &detour->parts[i].leg, drain);
	brunt_detour_leave(detour, drain);
	for (size_t i = detour->part_count; i--;)
		close_part(&detour->parts[i]);
	brunt_rtnl_close(&detour->rtnl);
	if (detour->hidden >= 0)
		close(detour->hidden);
	detour->hidden = -1;
	detour->part_count = detour->place_count = 0;
	detour->victims = detour->bpf.victims = NULL;
}

bool brunt_detour_news(struct brunt_detour *detour, char *buf, size_t size)
{
	return brunt_bpf_op_news(&detour->bpf, buf, size);
}

const struct brunt_names *brunt_detour_names(const struct brunt_detour *detour)
{
	return detour->bpf.names;
}

uint64_t brunt_detour_lost(const struct brunt_detour *detour)
{
	return detour->lost;
}

void brunt_detour_unload(struct brunt_detour *detour)
{
	if (!detour)
		return;
	if (detour->part_count)
		brunt_detour_detach(detour, false);
	brunt_bpf_unload(&detour->bpf);
	detour_bpf__destroy(detour->skeleton);
	if (detour->home >= 0)
		close(detour->home);
	free(detour);
}
