/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.partition: addresses that cannot reach each other any more, as when
 * a switch or a link between two racks fails. Every packet between them is
 * lost, silently, of established connections, too.
 *
 * Two shapes: `from`, what the target is cut off from; and `groups`, which an
 * interface that forwards (of a router, or a port of a bridge) keeps apart.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "program/bpf.h"
#include "network/names.h"
#include "fault/drop.h"
#include "network/protect.h"

#define MEMBERS_MAX 512

struct partition_params {
	struct brunt_list from, except;
	struct brunt_names_params *names;
	json_t *groups; /* borrowed from the plan's document */
	int direction;
	bool one_way;
};

static const struct brunt_param partition_params[] = {
	BRUNT_LIST_OF(struct partition_params, from, BRUNT_T_ENDPOINT, .names = true,
		      .example = "[\"10.0.1.0/24\", \"10.0.2.7\"]",
		      .help = "what the target is cut off from: " BRUNT_ENDPOINT_HELP),
	{ .key = "groups",
	  .type = BRUNT_T_ANY,
	  .offset = BRUNT_FIELD(struct partition_params, groups, json_t *),
	  .example = "[[\"10.0.0.1\", \"10.0.0.2\"], [\"10.0.0.3\"]]",
	  .help = "instead of `from`: arrays of addresses or networks; what passes the target from one group to another "
		  "is lost, all else passes" },
	BRUNT_LIST_OF(struct partition_params, except, BRUNT_T_ENDPOINT, .names = true, .example = "[\":22/tcp\"]",
		      .help = "never packets with one of these at either end"),
	BRUNT_OBJECT(struct partition_params, names, struct brunt_names_params, &brunt_names_table,
		     .help = "how host names are looked up"),
	BRUNT_ENUM(struct partition_params, direction, .def = "both", .values = brunt_directions,
		   .help = "of `from`: a partition of one direction alone"),
	BRUNT_BOOL(struct partition_params, one_way,
		   .help = "of `groups`: only what goes from an earlier group to a later one is lost"),
	{ 0 },
};

static const struct brunt_table partition_table = {
	.name = "network.partition",
	.help = "addresses cannot reach each other any more; established connections included",
	.params = partition_params,
	.size = sizeof(struct partition_params),
};

static int read_member(const json_t *text, uint32_t group, struct brunt_drop_member *ret, struct brunt_error *err)
{
	struct brunt_endpoint *end = &ret->endpoint;
	int r;

	if (!json_is_string(text))
		return brunt_fail(err, EINVAL, "group %u of 'groups' holds something that is no address in quotes",
				  group);
	r = brunt_endpoint_parse(json_string_value(text), end, err);
	if (r)
		return r;
	if (!end->family || end->port_max || end->protocol)
		return brunt_fail(err, EINVAL,
				  "'%.80s' in 'groups': an address or a network, without port and protocol",
				  json_string_value(text));
	ret->group = group;
	return 0;
}

/* An address is on one side of a partition only. */
static int check_overlap(const struct brunt_drop_member *members, size_t count, struct brunt_error *err)
{
	const struct brunt_drop_member *last = &members[count - 1];

	for (size_t i = 0; i + 1 < count; i++) {
		char one[80], other[80];

		if (members[i].group == last->group || (!brunt_endpoint_covers(&members[i].endpoint, &last->endpoint) &&
							!brunt_endpoint_covers(&last->endpoint, &members[i].endpoint)))
			continue;
		return brunt_fail(
			err, EINVAL, "groups %u and %u overlap: %s and %s; an address can be on one side only",
			members[i].group, last->group, brunt_endpoint_print(&members[i].endpoint, one, sizeof(one)),
			brunt_endpoint_print(&last->endpoint, other, sizeof(other)));
	}
	return 0;
}

/* Into MEMBERS_MAX members. */
static int read_groups(const json_t *groups, struct brunt_drop_member *members, size_t *ret_count,
		       struct brunt_error *err)
{
	size_t count = 0;
	int r = 0;

	if (!json_is_array(groups) || json_array_size(groups) < 2)
		return brunt_fail(err, EINVAL, "'groups' is an array of at least two arrays of addresses");
	for (size_t i = 0; i < json_array_size(groups); i++) {
		const json_t *group = json_array_get(groups, i);
		const uint32_t number = (uint32_t)i + 1;

		if (!json_is_array(group))
			return brunt_fail(err, EINVAL, "group %u of 'groups' is not an array of addresses", number);
		if (!json_array_size(group))
			return brunt_fail(err, EINVAL, "group %u of 'groups' is empty", number);
		for (size_t k = 0; k < json_array_size(group) && !r; k++) {
			if (count == MEMBERS_MAX)
				return brunt_fail(err, E2BIG, "'groups' holds more than %d addresses", MEMBERS_MAX);
			r = read_member(json_array_get(group, k), number, &members[count++], err);
			r = r ?: check_overlap(members, count, err);
		}
		if (r)
			return r;
	}
	*ret_count = count;
	return 0;
}

static int new_members(const json_t *groups, struct brunt_drop_member **ret, size_t *ret_count, struct brunt_error *err)
{
	BRUNT_AUTO_FREE struct brunt_drop_member *members = calloc(MEMBERS_MAX, sizeof(*members));
	int r;

	if (!members)
		return brunt_fail(err, ENOMEM, "no memory for groups");
	r = read_groups(groups, members, ret_count, err);
	if (!r)
		*ret = BRUNT_TAKE_PTR(members);
	return r;
}

static int check_from(const struct partition_params *p, struct brunt_error *err)
{
	if (p->one_way)
		return brunt_fail(err, EINVAL, "'one_way' goes with 'groups'; with 'from' say 'direction'");
	BRUNT_FOREACH (const struct brunt_endpoint, end, p->from) {
		bool spared = false;

		BRUNT_FOREACH (const struct brunt_endpoint, except, p->except)
			spared |= brunt_endpoint_covers(except, end);
		if (!spared)
			return 0;
	}
	return brunt_fail(err, EINVAL, "'except' spares everything that 'from' names");
}

static int partition_validate(const void *params, int kind, struct brunt_error *err)
{
	const struct partition_params *p = params;
	BRUNT_AUTO_FREE struct brunt_drop_member *members = NULL;
	size_t count;

	(void)kind;
	if (!p->from.count && !p->groups)
		return brunt_fail(err, EINVAL,
				  "a partition needs 'from', what the target is cut off from, or 'groups'");
	if (p->from.count && p->groups)
		return brunt_fail(err, EINVAL, "'from' and 'groups' are two kinds of partition: say one");
	if (p->from.count)
		return check_from(p, err);
	if (p->direction != BRUNT_BOTH_WAYS)
		return brunt_fail(err, EINVAL, "'direction' goes with 'from'; with 'groups' say 'one_way'");
	return new_members(p->groups, &members, &count, err);
}

static void partition_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf,
			       size_t size)
{
	(void)fault;
	brunt_drop_describe(victims, buf, size);
}

static int partition_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
			  struct brunt_error *err)
{
	const struct partition_params *p = fault->params;
	BRUNT_AUTO_FREE struct brunt_drop_member *members = NULL;
	struct brunt_drop drop = {
		.deed = "cut off",
		.direction = p->direction,
		.to = &p->from,
		.except = &p->except,
		.names = p->names,
		.one_way = p->one_way,
	};
	int r = p->groups ? new_members(p->groups, &members, &drop.member_count, err) : 0;

	if (r)
		return r;
	drop.members = members;
	if (p->groups)
		drop.group = "(from one group to another)";
	return brunt_drop_load(fault, context, &drop, ret_state, err);
}

/* The number of the group that an end is in; 0: none. */
static uint32_t group_of(const struct brunt_drop_member *members, size_t count, const struct brunt_endpoint *end)
{
	for (size_t i = 0; i < count; i++)
		if (brunt_endpoint_covers(&members[i].endpoint, end))
			return members[i].group;
	return 0;
}

static enum brunt_harm partition_harm(const void *params, const struct brunt_endpoint *own,
				      const struct brunt_endpoint *remote)
{
	const struct partition_params *p = params;
	BRUNT_AUTO_FREE struct brunt_drop_member *members = NULL;
	uint32_t one, other;
	size_t count = 0;

	if (!brunt_way_is_meant(&p->from, NULL, &p->except, own, remote))
		return BRUNT_HARM_NONE;
	if (!p->groups)
		return BRUNT_HARM_CUTS;
	if (new_members(p->groups, &members, &count, NULL))
		return BRUNT_HARM_NONE;
	one = group_of(members, count, own);
	other = group_of(members, count, remote);
	return one && other && one != other ? BRUNT_HARM_CUTS : BRUNT_HARM_NONE;
}

const struct brunt_injector brunt_fault_network_partition = {
	.name = "network.partition",
	.summary = "addresses cannot reach each other any more",
	.undo = BRUNT_UNDO_KERNEL,
	.wants = BRUNT_WANT_CGROUP | BRUNT_WANT_INTERFACE,
	.targets = 1 << BRUNT_TARGET_PROCESS | 1 << BRUNT_TARGET_CGROUP | 1 << BRUNT_TARGET_UNIT |
		   1 << BRUNT_TARGET_SERVICE | 1 << BRUNT_TARGET_CONTAINER | 1 << BRUNT_TARGET_INTERFACE,
	.capabilities = UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON | UINT64_C(1) << CAP_NET_ADMIN |
			UINT64_C(1) << CAP_SYS_PTRACE | UINT64_C(1) << CAP_DAC_READ_SEARCH,
	.useful = BRUNT_NAMES_USEFUL,
	.hit_noun = "packets dropped",
	.table = &partition_table,
	.probe = brunt_drop_probe,
	.validate = partition_validate,
	.describe = partition_describe,
	.harm = partition_harm,
	.load = partition_load,
	.prepare = brunt_drop_prepare,
	.attach = brunt_drop_attach,
	.arm = brunt_bpf_op_arm,
	.renew = brunt_bpf_op_renew,
	.poll = brunt_drop_poll,
	.news = brunt_bpf_op_news,
	.names = brunt_bpf_op_names,
	.disarm = brunt_bpf_op_disarm,
	.verify = brunt_bpf_op_verify,
	.detach = brunt_bpf_op_detach,
	.unload = brunt_drop_unload,
	.recover = brunt_bpf_op_recover,
};
