/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.drop: packets are lost, as on a bad network. Which ones, and how one
 * loss has to do with the next, is said here; injector/fault/drop.c does it.
 */
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <string.h>

#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "program/bpf.h"
#include "network/names.h"
#include "fault/drop.h"
#include "network/protect.h"

enum connection { ANY_CONNECTION, NEW, ESTABLISHED };

struct drop_params {
	struct brunt_ramp probability;
	struct brunt_gemodel *gemodel;
	uint64_t nth, first, budget;
	struct brunt_list to, local, except;
	struct brunt_names_params *names;
	int direction;
	struct brunt_list tcp_flags; /* of int: a bit of the header's flags, perhaps with NOT_SET */
	int state;		     /* enum connection */
	bool error;
};

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128, NOT_SET = 256 };

static const struct brunt_value flag_values[] = {
	{ "SYN", SYN, "is set" },
	{ "ACK", ACK, "is set" },
	{ "FIN", FIN, "is set" },
	{ "RST", RST, "is set" },
	{ "PSH", PSH, "is set" },
	{ "URG", URG, "is set" },
	{ "ECE", ECE, "is set" },
	{ "CWR", CWR, "is set" },
	{ "!SYN", SYN | NOT_SET, "is not set" },
	{ "!ACK", ACK | NOT_SET, "is not set" },
	{ "!FIN", FIN | NOT_SET, "is not set" },
	{ "!RST", RST | NOT_SET, "is not set" },
	{ "!PSH", PSH | NOT_SET, "is not set" },
	{ "!URG", URG | NOT_SET, "is not set" },
	{ "!ECE", ECE | NOT_SET, "is not set" },
	{ "!CWR", CWR | NOT_SET, "is not set" },
	{ 0 },
};

static const struct brunt_value states[] = {
	{ "any", ANY_CONNECTION, "whatever its state" },
	{ "new", NEW, "TCP packets that open a connection: SYN without ACK" },
	{ "established", ESTABLISHED, "all other TCP packets, the answer to the opening one included" },
	{ 0 },
};

/* Defaults as in tc-netem(8). The kernel's chain is left in the bad state for ever when r is 0. */
static int validate_gemodel(const void *object, struct brunt_error *err)
{
	const struct brunt_gemodel *model = object;

	if (!model->has_r && model->p >= 1)
		return brunt_fail(err, EINVAL, "with 'p' 100 %% say 'r', the chance that a burst ends");
	return 0;
}

static const struct brunt_param gemodel_params[] = {
	{ .key = "p",
	  .type = BRUNT_T_RATIO,
	  .offset = BRUNT_FIELD(struct brunt_gemodel, p, double),
	  .required = true,
	  .min = 1e-9,
	  .max = 1,
	  .example = "\"1%\"",
	  .help = "chance, at each packet, of going from the good state to the bad one" },
	{ .key = "r",
	  .type = BRUNT_T_RATIO,
	  .offset = BRUNT_FIELD(struct brunt_gemodel, r, double),
	  .set = offsetof(struct brunt_gemodel, has_r),
	  .min = 1e-9,
	  .max = 1,
	  .example = "\"10%\"",
	  .help = "chance, at each packet, of going back: 1/r is the mean length of the bad state in packets; 1 - p when "
		  "left out" },
	{ .key = "1-h",
	  .type = BRUNT_T_RATIO,
	  .offset = BRUNT_FIELD(struct brunt_gemodel, lose_bad, double),
	  .def = "100%",
	  .max = 1,
	  .help = "chance that a packet is lost in the bad state" },
	{ .key = "1-k",
	  .type = BRUNT_T_RATIO,
	  .offset = BRUNT_FIELD(struct brunt_gemodel, lose_good, double),
	  .def = "0%",
	  .max = 1,
	  .help = "chance that a packet is lost in the good state" },
	{ 0 },
};

static const struct brunt_table gemodel_table = {
	.name = "gemodel",
	.help = "loss in bursts by the Gilbert-Elliott model, as `loss gemodel p r 1-h 1-k` of tc-netem(8)",
	.params = gemodel_params,
	.size = sizeof(struct brunt_gemodel),
	.validate = validate_gemodel,
};

static const struct brunt_param drop_params[] = {
	BRUNT_RAMP(struct drop_params, probability, BRUNT_T_RATIO, .def = "100%", .max = 1,
		   .help = "chance that a packet is lost, each network packet of a large send counted by itself"),
	BRUNT_OBJECT(struct drop_params, gemodel, struct brunt_gemodel, &gemodel_table,
		     .example = "{ \"p\": \"1%\", \"r\": \"10%\" }",
		     .help = "instead of `probability`: packets are lost in bursts; each direction has its own"),
	BRUNT_UINT(struct drop_params, nth, .min = 2, .max = 1e12, .example = "10",
		   .help = "instead of `probability`: every nth packet that matches is lost"),
	BRUNT_UINT(struct drop_params, first, .min = 1, .max = 1e12, .example = "3",
		   .help = "only of the first so many packets that match in the run; later ones pass"),
	BRUNT_UINT(struct drop_params, budget, .min = 1, .max = 1e12, .example = "1000",
		   .help = "at most so many packets are lost in the run; what comes after passes"),
	BRUNT_LIST_OF(struct drop_params, to, BRUNT_T_ENDPOINT, .names = true, .count_max = 1000,
		      .example = "[\"10.0.0.5:5432/tcp\"]",
		      .help = "only packets to or from these remote ends: " BRUNT_ENDPOINT_HELP
			      "; later fragments of a "
			      "packet carry no ports and are judged by address"),
	BRUNT_LIST_OF(struct drop_params, local, BRUNT_T_ENDPOINT, .names = true, .example = "[\":8080/tcp\"]",
		      .help = "only packets whose end at the target is one of these"),
	BRUNT_LIST_OF(struct drop_params, except, BRUNT_T_ENDPOINT, .names = true, .example = "[\"10.0.0.2:53\"]",
		      .help = "never packets with one of these at either end"),
	BRUNT_OBJECT(struct drop_params, names, struct brunt_names_params, &brunt_names_table,
		     .help = "how host names are looked up"),
	BRUNT_ENUM(struct drop_params, direction, .def = "both", .values = brunt_directions,
		   .help = "which packets are lost"),
	BRUNT_LIST_OF(
		struct drop_params, tcp_flags, BRUNT_T_ENUM, .values = flag_values, .count_max = 8,
		.example = "[\"SYN\", \"!ACK\"]",
		.help = "only TCP packets with these flags set, and those with `!` not set; others are not looked at"),
	BRUNT_ENUM(struct drop_params, state, .def = "any", .values = states,
		   .help = "only packets of connections in this state; TCP alone has one"),
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

/* Of a list of flags: what is looked at, and what of that must be set. */
static struct brunt_drop_flags flags_of(const struct drop_params *p)
{
	struct brunt_drop_flags flags = { .mask = 0 };

	BRUNT_FOREACH (const int, flag, p->tcp_flags) {
		flags.mask |= (__u8)*flag;
		if (!(*flag & NOT_SET))
			flags.set |= (__u8)*flag;
	}
	if (p->state != ANY_CONNECTION)
		flags = (struct brunt_drop_flags){ .mask = SYN | ACK, .set = SYN, .inverted = p->state == ESTABLISHED };
	return flags;
}

static int check_flags(const struct drop_params *p, struct brunt_error *err)
{
	bool tcp = !p->to.count;

	BRUNT_FOREACH (const int, flag, p->tcp_flags)
		BRUNT_FOREACH (const int, other, p->tcp_flags)
			if (*other == (*flag | NOT_SET) && *flag != *other)
				return brunt_fail(err, EINVAL,
						  "'tcp_flags' wants a flag both set and not set: no packet has that");
	if (p->tcp_flags.count && p->state != ANY_CONNECTION)
		return brunt_fail(err, EINVAL, "'state' asks for TCP flags, too: say one of 'tcp_flags' and 'state'");
	if (!p->tcp_flags.count && p->state == ANY_CONNECTION)
		return 0;
	BRUNT_FOREACH (const struct brunt_endpoint, end, p->to)
		tcp |= !end->protocol || end->protocol == IPPROTO_TCP;
	if (!tcp)
		return brunt_fail(err, EINVAL, "'%s' needs TCP, and 'to' has none",
				  p->tcp_flags.count ? "tcp_flags" : "state");
	return 0;
}

/* One decides; first and budget bound it. */
static int check_order(const struct drop_params *p, struct brunt_error *err)
{
	if (p->gemodel && p->nth)
		return brunt_fail(err, EINVAL, "'gemodel' and 'nth' both decide which packets are lost: say one");
	if (p->probability.set && (p->gemodel || p->nth))
		return brunt_fail(err, EINVAL, "'probability' and '%s' both decide which packets are lost: say one",
				  p->gemodel ? "gemodel" : "nth");
	if (p->first && (p->gemodel || p->nth))
		return brunt_fail(err, EINVAL, "'first' takes packets from the beginning on, '%s' picks among them all",
				  p->gemodel ? "gemodel" : "nth");
	if (p->first && p->budget >= p->first)
		return brunt_fail(err, EINVAL, "'budget' is never used up: 'first' lets only %llu packets be lost",
				  (unsigned long long)p->first);
	return 0;
}

static int drop_validate(const void *params, int kind, struct brunt_error *err)
{
	const struct drop_params *p = params;
	int r = check_order(p, err);

	r = r ?: check_flags(p, err);
	if (r)
		return r;
	if (p->error && kind == BRUNT_TARGET_INTERFACE)
		return brunt_fail(err, EINVAL,
				  "'error' needs a process or cgroup: at an interface nobody is there to tell");
	if (p->error && p->direction == BRUNT_INGRESS)
		return brunt_fail(err, EINVAL, "'error' tells the sender; on ingress there is none here");
	return 0;
}

static void drop_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf, size_t size)
{
	(void)fault;
	brunt_drop_describe(victims, buf, size);
}

static struct brunt_drop drop_of(const struct drop_params *p)
{
	struct brunt_drop drop = {
		.deed = "drop packets of",
		.direction = p->direction,
		.to = &p->to,
		.local = &p->local,
		.except = &p->except,
		.names = p->names,
		.flags = flags_of(p),
		.probability = &p->probability,
		.model = p->gemodel,
		.nth = p->nth,
		.first = p->first,
		.budget = p->budget,
		.error = p->error,
	};

	if (p->tcp_flags.count)
		drop.group = "with these flags";
	else if (p->state != ANY_CONNECTION)
		drop.group = p->state == NEW ? "that opens a TCP connection" : "of a TCP connection that is open";
	return drop;
}

static int drop_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		     struct brunt_error *err)
{
	const struct brunt_drop drop = drop_of(fault->params);

	return brunt_drop_load(fault, context, &drop, ret_state, err);
}

/* Half of the packets of a connection, and it is as good as cut. */
#define CUT_FROM 0.5

static enum brunt_harm drop_harm(const void *params, const struct brunt_endpoint *own,
				 const struct brunt_endpoint *remote)
{
	const struct drop_params *p = params;
	const struct brunt_drop drop = drop_of(p);

	if (!brunt_way_is_meant(&p->to, &p->local, &p->except, own, remote))
		return BRUNT_HARM_NONE;
	if (drop.flags.mask && (remote->protocol == IPPROTO_UDP || (p->state == NEW && own->port_max)))
		return BRUNT_HARM_NONE;
	return brunt_drop_share(&drop) >= CUT_FROM ? BRUNT_HARM_CUTS : BRUNT_HARM_HURTS;
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
	.useful = BRUNT_NAMES_USEFUL,
	.hit_noun = "packets dropped",
	.table = &drop_table,
	.probe = brunt_drop_probe,
	.validate = drop_validate,
	.describe = drop_describe,
	.harm = drop_harm,
	.load = drop_load,
	.prepare = brunt_drop_prepare,
	.attach = brunt_drop_attach,
	.change = brunt_drop_change,
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
