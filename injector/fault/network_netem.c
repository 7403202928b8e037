/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.netem: all that the kernel's netem does, to chosen packets, beside
 * the interface's own queues. network.rate: the one part of it that most
 * people want alone.
 */
#include <linux/capability.h>

#include "brunt/clock.h"
#include "brunt/memory.h"
#include "detour/detour.h"
#include "fault/network.h"
#include "network/protect.h"

#define END_HELP "address or host name[:port[-port]][/protocol], [v6]:port, or :port"

/* Which packets, for both faults. */
/* clang-format off */
#define MATCH_ROWS(S) \
	BRUNT_LIST_OF(S, to, BRUNT_T_ENDPOINT, .names = true, .count_max = 1000, .example = "[\"10.0.0.5:5432/tcp\"]", \
		      .help = "only packets to or from these remote ends: " END_HELP), \
	BRUNT_LIST_OF(S, local, BRUNT_T_ENDPOINT, .names = true, .example = "[\":8080/tcp\"]", \
		      .help = "only packets whose end at the target is one of these"), \
	BRUNT_LIST_OF(S, except, BRUNT_T_ENDPOINT, .names = true, .example = "[\"10.0.0.2:53\"]", \
		      .help = "never packets with one of these at either end"), \
	BRUNT_OBJECT(S, names, struct brunt_names_params, &brunt_names_table, \
		     .help = "how host names are looked up"), \
	BRUNT_RATIO(S, flows, .def = "100%", .max = 1, \
		    .help = "share of flows (both ends and the protocol) that are hit, chosen by the seed"), \
	BRUNT_LIST_OF(S, interfaces, BRUNT_T_STRING, .example = "[\"eth0\"]", \
		      .help = "of a process or cgroup: only packets that pass these; default: all that are up"), \
	BRUNT_ENUM(S, direction, .def = "egress", .values = brunt_network_directions, .help = "which way"), \
	BRUNT_ENUM(S, line, .def = "auto", .values = brunt_network_lines, .help = "what does it")
/* clang-format on */

static const struct brunt_param netem_rows[] = {
	BRUNT_NETEM_ROWS(struct brunt_network_params, netem),
	MATCH_ROWS(struct brunt_network_params),
	{ 0 },
};

static const struct brunt_table netem_table = {
	.name = "network.netem",
	.help = "packets are delayed, lost, doubled, damaged, reordered or held to a rate, as tc-netem(8) does",
	.params = netem_rows,
	.size = sizeof(struct brunt_network_params),
};

static const struct brunt_param rate_rows[] = {
	BRUNT_NETEM_RAMP(struct brunt_network_params, netem, rate, BRUNT_T_RATE, .required = true,
			 .example = "\"10mbit\"", .help = "packets come one after another, no faster than this"),
	MATCH_ROWS(struct brunt_network_params),
	{ 0 },
};

static const struct brunt_table rate_table = {
	.name = "network.rate",
	.help = "packets come no faster than a rate, as over a slow line",
	.params = rate_rows,
	.size = sizeof(struct brunt_network_params),
};

#define TARGETS                                                                                                        \
	(1u << BRUNT_TARGET_INTERFACE | 1u << BRUNT_TARGET_PROCESS | 1u << BRUNT_TARGET_CGROUP |                       \
	 1u << BRUNT_TARGET_UNIT | 1u << BRUNT_TARGET_SERVICE | 1u << BRUNT_TARGET_CONTAINER)

#define CAPABILITIES                                                                                                   \
	(UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON | UINT64_C(1) << CAP_NET_ADMIN |                          \
	 UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SYS_PTRACE | UINT64_C(1) << CAP_DAC_READ_SEARCH)

#define CUT_LOSS  0.5
#define CUT_DELAY (10 * BRUNT_S)

/* For what must not be cut by accident: at the beginning and at the end of its ramps. */
static enum brunt_harm network_harm(const void *opaque, const struct brunt_endpoint *own,
				    const struct brunt_endpoint *remote)
{
	static const uint64_t moments[] = { 0, UINT64_MAX / 2 };
	const struct brunt_network_params *params = opaque;

	if (!brunt_way_is_meant(&params->to, &params->local, &params->except, own, remote))
		return BRUNT_HARM_NONE;
	if (params->flows < 1)
		return BRUNT_HARM_HURTS; /* or not, as the seed has it */
	for (size_t i = 0; i < BRUNT_COUNT(moments); i++) {
		struct brunt_impairment at;

		brunt_impairment_at(&params->netem, NULL, moments[i], 0, 0, &at);
		if (brunt_impairment_loss(&at) >= CUT_LOSS || at.corrupt >= CUT_LOSS || at.delay >= CUT_DELAY)
			return BRUNT_HARM_CUTS;
	}
	return BRUNT_HARM_HURTS;
}

/* clang-format off */
#define NETWORK_OPS \
	.undo = BRUNT_UNDO_KERNEL, \
	.wants = BRUNT_WANT_CGROUP | BRUNT_WANT_INTERFACE, \
	.targets = TARGETS, \
	.capabilities = CAPABILITIES, \
	.useful = BRUNT_NAMES_USEFUL, \
	.probe = brunt_network_probe, \
	.validate = brunt_network_validate, \
	.describe = brunt_network_describe, \
	.harm = network_harm, \
	.load = brunt_network_load, \
	.prepare = brunt_network_prepare, \
	.attach = brunt_network_attach, \
	.arm = brunt_network_arm, \
	.renew = brunt_network_renew, \
	.change = brunt_network_change, \
	.poll = brunt_network_poll, \
	.news = brunt_network_news, \
	.names = brunt_network_names, \
	.hurry = brunt_network_hurry, \
	.disarm = brunt_network_disarm, \
	.verify = brunt_network_verify, \
	.detach = brunt_network_detach, \
	.settled = brunt_network_settled, \
	.unload = brunt_network_unload, \
	.recover = brunt_detour_recover
/* clang-format on */

const struct brunt_injector brunt_fault_network_netem = {
	.name = "network.netem",
	.summary = "packets are delayed, lost, doubled, damaged or reordered",
	.hit_noun = "packets impaired",
	.table = &netem_table,
	NETWORK_OPS,
};

const struct brunt_injector brunt_fault_network_rate = {
	.name = "network.rate",
	.summary = "packets come no faster than a rate",
	.hit_noun = "packets held to the rate",
	.table = &rate_table,
	NETWORK_OPS,
};
