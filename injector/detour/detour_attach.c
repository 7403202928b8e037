/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs: loaded once more for each leg, whose number is an instruction of
 * theirs. At the real device they hang on tcx links, or before Linux 6.6 on
 * filters in clsact; at ours, on filters, which go with the device.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../../bpf/detour.h"
#include "bpf/detour.skel.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "detour/detour_parts.h"

/*
 * Before whatever counts or polices with an automatic priority (49152 and below), so that it sees each packet once; not
 * 1 or 2, which people and Cilium use.
 */
#define PRIORITY_FIRST 3
#define PRIORITY_LAST  1000
#define HANDLE	       0xb707

/* At exit the highest descriptor is closed first: steering ends before what carries the packets on. */
#define DESCRIPTOR_MIN 512

/* clsacts that this process made and did not remove yet. */
static struct {
	uint64_t inode;
	unsigned interface;
} made[BRUNT_DETOUR_LEGS_MAX * 4];

static bool is_made(uint64_t inode, unsigned interface, bool forget)
{
	for (size_t i = 0; i < BRUNT_COUNT(made); i++)
		if (made[i].interface == interface && made[i].inode == inode) {
			if (forget)
				made[i].interface = 0;
			return true;
		}
	return false;
}

static void note_made(uint64_t inode, unsigned interface)
{
	for (size_t i = 0; i < BRUNT_COUNT(made); i++)
		if (!made[i].interface) {
			made[i].inode = inode;
			made[i].interface = interface;
			return;
		}
}

static const char *program_name(const struct brunt_detour_part *part, enum brunt_detour_program program)
{
	const struct brunt_leg *leg = &part->leg;

	switch (program) {
	case BRUNT_DETOUR_CLASSIFIER:
		return leg->loopback ? "brunt_detour_lo" : leg->ingress ? "brunt_detour_in" : "brunt_detour_out";
	case BRUNT_DETOUR_BACK:
		return leg->loopback  ? "brunt_detour_back_lo"
		       : leg->ingress ? "brunt_detour_back_in"
				      : "brunt_detour_back_out";
	case BRUNT_DETOUR_GATE:
		return "brunt_detour_gate";
	default:
		return "brunt_detour_bounce";
	}
}

static bool is_leg_magic(const struct bpf_insn *instruction)
{
	return instruction->code == (BPF_ALU64 | BPF_MOV | BPF_K) && instruction->imm == BRUNT_DETOUR_LEG_MAGIC;
}

/* The program with the leg's number in it; the caller closes it. */
static int load_instance(struct brunt_detour *detour, const struct brunt_detour_part *part, const char *name,
			 struct brunt_error *err)
{
	const struct brunt_bpf_code *code = brunt_bpf_code(&detour->bpf, detour->skeleton->obj, name);
	size_t count = code ? code->count : 0;
	BRUNT_AUTO_FREE struct bpf_insn *instructions = count ? malloc(count * sizeof(*instructions)) : NULL;
	int fd;

	if (!instructions)
		return brunt_fail(err, count ? ENOMEM : EINVAL, "cannot prepare the program %s", name);
	memcpy(instructions, code->instructions, count * sizeof(*instructions));
	for (size_t i = 0; i < count; i++)
		if (is_leg_magic(&instructions[i]))
			instructions[i].imm |= (int)part->number;
	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, detour->bpf.name, "Dual BSD/GPL", instructions, count, NULL);
	return fd < 0 ? brunt_fail(err, -fd, "cannot load the program %s: %s", name, strerror(-fd)) : fd;
}

static int attach_link(int program, unsigned index, bool ingress, const char *what, struct brunt_error *err)
{
	int fd = bpf_link_create(program, (int)index,
				 (enum bpf_attach_type)(ingress ? BRUNT_BPF_TCX_INGRESS : BRUNT_BPF_TCX_EGRESS), NULL);

	if (fd == -E2BIG || fd == -ERANGE)
		return brunt_fail(err, E2BIG, "too many BPF programs are attached to '%s' already", what);
	return fd < 0 ? brunt_fail(err, fd == -ENODEV ? ESRCH : -fd, "cannot attach to '%s': %s", what, strerror(-fd))
		      : fd;
}

/*
 * A filter of our own device, that goes with it. A link would do as well, but each waits for RCU twice, 8 to 16 ms, in
 * the loop that renews leases.
 */
static int attach_filter_inside(struct brunt_detour *detour, int program, unsigned index, bool ingress,
				struct brunt_rtnl *rtnl, struct brunt_error *err)
{
	int r = brunt_clsact_add(rtnl, index, err);

	if (r && r != -EEXIST)
		return r;
	return brunt_filter_add(rtnl, index, ingress, PRIORITY_FIRST, HANDLE, program, detour->bpf.name, err);
}

int brunt_detour_attach_inner(struct brunt_detour *detour, struct brunt_detour_part *part,
			      enum brunt_detour_program program, unsigned index, bool ingress, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int loaded = load_instance(detour, part, program_name(part, program), err);
	int link;

	if (loaded < 0)
		return loaded;
	link = attach_filter_inside(detour, loaded, index, ingress,
				    program == BRUNT_DETOUR_BOUNCE ? &detour->rtnl : &detour->spoken, err);
	/* a kernel without clsact or BPF filters */
	if (!link || !detour->has_tcx)
		return link;
	link = attach_link(loaded, index, ingress, part->leg.device_name, err);
	if (link < 0)
		return link;
	part->inner[part->inner_count++] = link;
	return 0;
}

static int raise_descriptor(int fd)
{
	struct rlimit limit;
	int least = DESCRIPTOR_MIN, high;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur <= DESCRIPTOR_MIN + BRUNT_DETOUR_LEGS_MAX)
		least = (int)limit.rlim_cur / 2;
	high = fcntl(fd, F_DUPFD_CLOEXEC, least);
	if (high < 0)
		return fd;
	close(fd);
	return high;
}

/* ---- filters at the real device ---- */

struct priorities {
	unsigned first; /* after every detour that is there */
	unsigned candidate;
	bool taken;
};

static int see_filter(void *user, const struct brunt_filter *filter)
{
	struct priorities *priorities = user;

	if (!strncmp(filter->name, "brunt_", 6) && filter->priority >= priorities->first &&
	    filter->priority < PRIORITY_LAST)
		priorities->first = filter->priority + 1;
	priorities->taken |= filter->priority == priorities->candidate;
	return 0;
}

static int choose_priority(struct brunt_detour *detour, const struct brunt_detour_part *part, bool ingress,
			   struct brunt_error *err)
{
	struct priorities priorities = { .first = PRIORITY_FIRST };
	int r = brunt_filter_each(&detour->spoken, part->leg.interface, ingress, see_filter, &priorities, err);

	priorities.candidate = priorities.first;
	for (; !r && priorities.candidate < PRIORITY_LAST; priorities.candidate++) {
		priorities.taken = false;
		r = brunt_filter_each(&detour->spoken, part->leg.interface, ingress, see_filter, &priorities, err);
		if (!r && !priorities.taken)
			return (int)priorities.candidate;
	}
	return r ?: brunt_fail(err, E2BIG, "no priority is free among the filters of '%s'", part->leg.name);
}

static int attach_filter(struct brunt_detour *detour, struct brunt_detour_part *part, int program,
			 struct brunt_error *err)
{
	const bool ingress = part->leg.ingress && !part->leg.loopback;
	int r = brunt_clsact_add(&detour->spoken, part->leg.interface, err), priority;

	if (!r)
		note_made(detour->places[part->place].inode, part->leg.interface);
	else if (r != -EEXIST)
		return r;
	priority = choose_priority(detour, part, ingress, err);
	if (priority < 0)
		return priority;
	r = brunt_filter_add(&detour->spoken, part->leg.interface, ingress, (unsigned)priority, HANDLE, program,
			     detour->bpf.name, err);
	if (!r)
		part->priority = (unsigned)priority;
	return r;
}

/* A link is known by its descriptor, a filter by what it says of itself. */
struct seeking {
	const char *name;
	unsigned priority;
	bool found;
	unsigned others;
};

static int seek_filter(void *user, const struct brunt_filter *filter)
{
	struct seeking *seeking = user;

	if (filter->priority == seeking->priority && !strcmp(filter->name, seeking->name))
		seeking->found = true;
	else
		seeking->others++;
	return 0;
}

static bool is_filter_there(struct brunt_detour *detour, const struct brunt_detour_part *part)
{
	struct seeking seeking = { .name = detour->bpf.name, .priority = part->priority };

	return !brunt_filter_each(&detour->spoken, part->leg.interface, part->leg.ingress && !part->leg.loopback,
				  seek_filter, &seeking, NULL) &&
	       seeking.found;
}

static void remove_clsact(struct brunt_detour *detour, const struct brunt_detour_part *part)
{
	const uint64_t inode = detour->places[part->place].inode;
	struct seeking seeking = { .name = "" };

	if (!is_made(inode, part->leg.interface, false))
		return;
	if (brunt_filter_each(&detour->spoken, part->leg.interface, true, seek_filter, &seeking, NULL) ||
	    brunt_filter_each(&detour->spoken, part->leg.interface, false, seek_filter, &seeking, NULL) ||
	    seeking.others)
		return;
	if (!brunt_clsact_delete(&detour->spoken, part->leg.interface, NULL))
		(void)is_made(inode, part->leg.interface, true);
}

static void detach_filter(struct brunt_detour *detour, struct brunt_detour_part *part)
{
	if (part->priority && is_filter_there(detour, part))
		(void)brunt_filter_delete(&detour->spoken, part->leg.interface,
					  part->leg.ingress && !part->leg.loopback, part->priority, HANDLE, NULL);
	part->priority = 0;
	remove_clsact(detour, part);
}

/* ---- the classifiers ---- */

static int attach_classifier(struct brunt_detour *detour, struct brunt_detour_part *part, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int program = load_instance(detour, part, program_name(part, BRUNT_DETOUR_CLASSIFIER), err);
	int link;

	if (program < 0)
		return program;
	if (!detour->has_tcx)
		return attach_filter(detour, part, program, err);
	link = attach_link(program, part->leg.interface, part->leg.ingress && !part->leg.loopback, part->leg.name, err);
	if (link < 0)
		return link;
	part->classifier = raise_descriptor(link);
	return 0;
}

int brunt_detour_attach_classifiers(struct brunt_detour *detour, struct brunt_error *err)
{
	int r = 0;

	for (unsigned place = 0; !r && place < detour->place_count; place++) {
		r = brunt_netns_enter(&detour->places[place], err);
		if (r)
			return r;
		r = brunt_rtnl_open(&detour->spoken, NETLINK_ROUTE, err);
		for (size_t i = 0; !r && i < detour->part_count; i++)
			if (detour->parts[i].place == place)
				r = attach_classifier(detour, &detour->parts[i], err);
		brunt_rtnl_close(&detour->spoken);
		brunt_netns_leave(&detour->places[place], detour->home);
	}
	return r;
}

static void detach_filters(struct brunt_detour *detour, unsigned place)
{
	if (brunt_netns_enter(&detour->places[place], NULL))
		return; /* gone, and the filters with it */
	if (!brunt_rtnl_open(&detour->spoken, NETLINK_ROUTE, NULL))
		for (size_t i = detour->part_count; i--;)
			if (detour->parts[i].place == place)
				detach_filter(detour, &detour->parts[i]);
	brunt_rtnl_close(&detour->spoken);
	brunt_netns_leave(&detour->places[place], detour->home);
}

void brunt_detour_detach_classifiers(struct brunt_detour *detour)
{
	/*
	 * Nobody takes the tag off any more. For a detour before us it still says that the packet has been there, so it
	 * stays then.
	 */
	for (size_t i = 0; i < detour->part_count; i++)
		if (detour->parts[i].instance == 1)
			detour->control->legs[detour->parts[i].number].flags |= BRUNT_DETOUR_LEAVING;
	for (size_t i = detour->part_count; i--;) {
		struct brunt_detour_part *part = &detour->parts[i];

		if (part->classifier >= 0)
			close(part->classifier);
		part->classifier = -1;
	}
	for (unsigned place = 0; !detour->has_tcx && place < detour->place_count; place++)
		detach_filters(detour, place);
}

/* A link outlives what it was attached to, but then names no device. */
static bool is_link_there(int fd)
{
	struct bpf_link_info info;
	__u32 size = sizeof(info);

	memset(&info, 0, sizeof(info));
	/* struct tcx begins like struct xdp: with the interface's index */
	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) && info.xdp.ifindex;
}

static bool are_filters_there(struct brunt_detour *detour, unsigned place)
{
	bool there = true;

	if (brunt_netns_enter(&detour->places[place], NULL))
		return false;
	if (brunt_rtnl_open(&detour->spoken, NETLINK_ROUTE, NULL))
		there = false;
	for (size_t i = 0; there && i < detour->part_count; i++)
		if (detour->parts[i].place == place)
			there = is_filter_there(detour, &detour->parts[i]);
	brunt_rtnl_close(&detour->spoken);
	brunt_netns_leave(&detour->places[place], detour->home);
	return there;
}

bool brunt_detour_is_attached(struct brunt_detour *detour)
{
	bool there = true;

	for (unsigned place = 0; there && !detour->has_tcx && place < detour->place_count; place++)
		there = are_filters_there(detour, place);
	for (size_t i = 0; there && detour->has_tcx && i < detour->part_count; i++) {
		const struct brunt_detour_part *part = &detour->parts[i];

		there = is_link_there(part->classifier);
		for (size_t j = 0; there && j < part->inner_count; j++)
			there = is_link_there(part->inner[j]);
	}
	return there;
}
