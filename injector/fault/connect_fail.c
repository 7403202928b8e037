/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.fail: calls that name an address fail with an errno of choice.
 *
 * The programs run in the caller's context, so running processes are hit with
 * whatever sockets they have, and a process target means exactly the processes
 * that were shown: not those that they fork later.
 */
#include <errno.h>
#include <linux/capability.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "../../bpf/connect_fail.h"
#include "bpf/connect_fail.skel.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "program/bpf.h"
#include "network/names.h"

enum call { CONNECT, SEND, BIND };

struct fail_params {
	int code;
	struct brunt_list calls; /* of int: enum call */
	struct brunt_ramp probability;
	struct brunt_list to, except;
	struct brunt_names_params *names;
};

struct fail_state {
	struct brunt_bpf bpf; /* first: the shared operations take it for the state */
	const struct fail_params *params;
	struct connect_fail_bpf *skel;
	struct brunt_fail_control *control;
	double probability; /* now */
};
_Static_assert(!offsetof(struct fail_state, bpf), "brunt_bpf_op_arm() and its like take a struct brunt_bpf");

static const struct {
	const char *program;
	enum call call;
	enum bpf_attach_type attach;
} hooks[] = {
	{ "brunt_connect4", CONNECT, BPF_CGROUP_INET4_CONNECT },
	{ "brunt_connect6", CONNECT, BPF_CGROUP_INET6_CONNECT },
	{ "brunt_sendmsg4", SEND, BPF_CGROUP_UDP4_SENDMSG },
	{ "brunt_sendmsg6", SEND, BPF_CGROUP_UDP6_SENDMSG },
	{ "brunt_bind4", BIND, BPF_CGROUP_INET4_BIND },
	{ "brunt_bind6", BIND, BPF_CGROUP_INET6_BIND },
};

static const struct brunt_value calls[] = {
	{ "connect", CONNECT, "connect(), TCP and UDP" },
	{ "send", SEND, "sendto() and sendmsg() of UDP that name an address; connected sockets are not asked" },
	{ "bind", BIND, "bind()" },
	{ 0 },
};

static const struct brunt_param fail_params[] = {
	{ .key = "errno",
	  .type = BRUNT_T_ERRNO,
	  .offset = BRUNT_FIELD(struct fail_params, code, int),
	  .def = "ECONNREFUSED",
	  .help = "what the call returns; before Linux 5.18 only EPERM can be had" },
	BRUNT_LIST_OF(struct fail_params, calls, BRUNT_T_ENUM, .values = calls, .count_max = 3,
		      .example = "[\"connect\", \"send\"]", .help = "which calls fail; connect alone when left out"),
	BRUNT_RAMP(struct fail_params, probability, BRUNT_T_RATIO, .def = "100%", .max = 1,
		   .help = "chance that a call fails"),
	BRUNT_LIST_OF(
		struct fail_params, to, BRUNT_T_ENDPOINT, .names = true, .example = "[\"10.0.0.5:5432/tcp\"]",
		.help = "only calls that name one of these: the peer of connect and send, the own address of bind"),
	BRUNT_LIST_OF(struct fail_params, except, BRUNT_T_ENDPOINT, .names = true, .example = "[\":53\"]",
		      .help = "never calls that name one of these"),
	BRUNT_OBJECT(struct fail_params, names, struct brunt_names_params, &brunt_names_table,
		     .help = "how host names are looked up"),
	{ 0 },
};

static const struct brunt_table fail_table = {
	.name = "connect.fail",
	.help = "calls that name an address fail with an errno, as if the network or the peer had refused",
	.params = fail_params,
	.size = sizeof(struct fail_params),
};

static int fail_probe(struct brunt_error *err)
{
	return brunt_bpf_probe(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, err);
}

/* Tries to load a program that calls it: 5.18 and newer, whatever a distribution has carried back. */
static bool has_set_retval(void)
{
	static const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = -EPERM },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_set_retval },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
	int fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "brunt_probe", "Dual BSD/GPL", program,
			       BRUNT_COUNT(program), &options);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool wants_call(const struct fail_params *params, enum call call)
{
	if (!params->calls.count)
		return call == CONNECT;
	BRUNT_FOREACH (const int, wanted, params->calls)
		if (*wanted == (int)call)
			return true;
	return false;
}

static void fail_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf, size_t size)
{
	const struct fail_params *params = fault->params;
	const char *name = brunt_errno_name(params->code) ?: "an error";
	char names[32] = "";

	for (size_t i = 0; i < BRUNT_COUNT(calls) - 1; i++)
		if (wants_call(params, calls[i].value))
			(void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
				       names[0] ? ", " : "", calls[i].name);
	if (victims && victims->matched && victims->items[0].kind == BRUNT_TARGET_PROCESS)
		(void)snprintf(buf, size, "%s from %s, by cgroup programs for %zu process%s", name, names,
			       victims->picked, victims->picked == 1 ? "" : "es");
	else
		(void)snprintf(buf, size, "%s from %s, by cgroup programs", name, names);
}

static void fail_unload(void *opaque)
{
	struct fail_state *state = opaque;

	if (!state)
		return;
	brunt_bpf_unload(&state->bpf);
	connect_fail_bpf__destroy(state->skel);
	free(state);
}

static void cleanup_state(struct fail_state **state)
{
	fail_unload(*state);
}

static int fail_change(void *opaque, uint64_t elapsed_ns, struct brunt_error *err)
{
	struct fail_state *state = opaque;

	(void)err;
	state->probability = brunt_ramp_at(&state->params->probability, elapsed_ns);
	brunt_bpf_set_chance(&state->bpf, state->probability);
	return 0;
}

static int fail_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		     struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_state) struct fail_state *state = calloc(1, sizeof(*state));
	const struct fail_params *params = fault->params;
	char label[48];
	int r;

	if (!state)
		return brunt_fail(err, ENOMEM, "no memory for connect.fail");
	state->params = params;
	state->skel = connect_fail_bpf__open();
	if (!state->skel)
		return brunt_fail(err, errno, "cannot open the BPF object of connect.fail: %s", strerror(errno));
	r = brunt_bpf_open(&state->bpf, state->skel->obj, context, err);
	if (r)
		return r;
	state->skel->rodata->has_retval = params->code != EPERM;
	if (params->code != EPERM && !has_set_retval() && !fail_probe(err))
		return brunt_fail(err, ENOTSUP, "before Linux 5.18 a call can only be made to fail with EPERM");
	for (size_t i = 0; i < BRUNT_COUNT(hooks); i++)
		(void)bpf_program__set_autoload(bpf_object__find_program_by_name(state->skel->obj, hooks[i].program),
						wants_call(params, hooks[i].call));
	(void)snprintf(label, sizeof(label), "connect.fail %u", fault->step);
	r = brunt_bpf_load(&state->bpf, state->skel->skeleton, context->seed, label, err);
	if (r)
		return r;
	state->control = &state->skel->bss->control;
	state->control->code = params->code;
	state->bpf.processes = bpf_map__fd(state->skel->maps.brunt_victims);
	(void)fail_change(state, 0, NULL);
	r = brunt_bpf_rules(&state->bpf, BRUNT_RULES_TO, &params->to, err);
	r = r ?: brunt_bpf_rules(&state->bpf, BRUNT_RULES_EXCEPT, &params->except, err);
	r = r ?: brunt_bpf_names(&state->bpf, params->names, context, err);
	if (r)
		return r;
	*ret_state = BRUNT_TAKE_PTR(state);
	return 0;
}

static int fail_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
			struct brunt_error *err)
{
	struct fail_state *state = opaque;

	if (!state->bpf.mount)
		return brunt_fail(err, ENOTSUP, "no cgroup v2 is mounted, and connect.fail needs it");
	return brunt_bpf_prepare(&state->bpf, victims, "make calls of fail", ret_undo, err);
}

static int attach_hooks(struct fail_state *state, const struct brunt_item *item, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int directory = brunt_bpf_open_cgroup(state->bpf.mount, item, err);

	if (directory < 0)
		return directory;
	for (size_t i = 0; i < BRUNT_COUNT(hooks); i++) {
		int program = brunt_bpf_program(&state->bpf, state->skel->obj, hooks[i].program);
		int r;

		if (program < 0)
			continue;
		r = brunt_bpf_attach_cgroup(&state->bpf, program, directory, hooks[i].attach, item->name, err);
		if (r)
			return r;
	}
	return 0;
}

static int fail_attach(void *opaque, struct brunt_error *err)
{
	struct fail_state *state = opaque;
	const struct brunt_victims *victims = state->bpf.victims;
	int r = 0;

	state->control->processes = state->bpf.kind == BRUNT_TARGET_PROCESS;
	if (state->control->processes)
		r = brunt_bpf_mark_processes(&state->bpf, 1, err);
	for (size_t i = 0; !r && i < victims->matched; i++)
		if (victims->items[i].picked && !brunt_bpf_is_covered(victims, i))
			r = attach_hooks(state, &victims->items[i], err);
	return r;
}

static int fail_poll(void *opaque, struct brunt_hits *ret)
{
	struct fail_state *state = opaque;
	int r = brunt_bpf_poll(&state->bpf, ret);

	if (r)
		return r;
	brunt_bpf_near_miss(ret, "call", &state->params->to, state->probability);
	return 0;
}

const struct brunt_injector brunt_fault_connect_fail = {
	.name = "connect.fail",
	.summary = "connect, send or bind fails with an errno of choice",
	.undo = BRUNT_UNDO_KERNEL,
	.wants = BRUNT_WANT_CGROUP,
	.targets = 1 << BRUNT_TARGET_PROCESS | 1 << BRUNT_TARGET_CGROUP | 1 << BRUNT_TARGET_UNIT |
		   1 << BRUNT_TARGET_SERVICE | 1 << BRUNT_TARGET_CONTAINER,
	.capabilities = UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON | UINT64_C(1) << CAP_NET_ADMIN,
	.useful = BRUNT_NAMES_USEFUL,
	.hit_noun = "calls failed",
	.table = &fail_table,
	.probe = fail_probe,
	.describe = fail_describe,
	.load = fail_load,
	.prepare = fail_prepare,
	.attach = fail_attach,
	.arm = brunt_bpf_op_arm,
	.renew = brunt_bpf_op_renew,
	.change = fail_change,
	.poll = fail_poll,
	.news = brunt_bpf_op_news,
	.disarm = brunt_bpf_op_disarm,
	.verify = brunt_bpf_op_verify,
	.detach = brunt_bpf_op_detach,
	.unload = fail_unload,
	.recover = brunt_bpf_op_recover,
};
