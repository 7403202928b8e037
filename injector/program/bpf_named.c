/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpf names a program after its function, and offers no other name. But it asks who registered a program's section
 * just before it loads the program, relocated by then, and lets him put other instructions in its place: there the
 * program is loaded under the run's name, and libbpf gets one that does nothing. So the verifier, which takes most of
 * the time of a start, sees each program once. What we don't get hold of that way is loaded once more by name.
 */
#include "program/bpf_named.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "program/bpf.h"

#define LICENSE "Dual BSD/GPL"

/* Those of bpf/. Types and attach types as libbpf itself has them (section_defs in libbpf.c). */
static const struct {
	const char *name;
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
} sections[] = {
	{ "tc", BPF_PROG_TYPE_SCHED_CLS, 0 },
	{ "cgroup_skb/egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS },
	{ "cgroup_skb/ingress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS },
	{ "cgroup/sock_create", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE },
	{ "cgroup/bind4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND },
	{ "cgroup/bind6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND },
	{ "cgroup/connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT },
	{ "cgroup/connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT },
	{ "cgroup/sendmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG },
	{ "cgroup/sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG },
	{ "cgroup/recvmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_RECVMSG },
	{ "cgroup/recvmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_RECVMSG },
	{ "cgroup/getpeername4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME },
	{ "cgroup/getpeername6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETPEERNAME },
};

/* What this thread is loading; without bpf: nothing of ours. */
static _Thread_local struct {
	struct brunt_bpf *bpf;
	struct bpf_object *object;
} loading;

/* The place of a program in its object, or -1. */
static int place_of(const struct bpf_object *object, const struct bpf_program *wanted)
{
	struct bpf_program *program;
	int i = 0;

	bpf_object__for_each_program(program, object)
	{
		if (program == wanted)
			return i;
		i++;
	}
	return -1;
}

static int keep_code(struct brunt_bpf_code *code, const struct bpf_program *program)
{
	size_t count = bpf_program__insn_cnt(program);

	code->instructions = malloc(count * sizeof(*code->instructions));
	if (!code->instructions)
		return -ENOMEM;
	memcpy(code->instructions, bpf_program__insns(program), count * sizeof(*code->instructions));
	code->count = count;
	return 0;
}

static void cleanup_btf(struct btf **btf)
{
	btf__free(*btf);
}

/* hook: what a program of a hook in the kernel's own code hangs on; 0 for others */
static int load_named(struct brunt_bpf *bpf, size_t place, enum bpf_prog_type type, enum bpf_attach_type attach,
		      __u32 hook)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach, .attach_btf_id = hook);
	int fd = bpf_prog_load(type, bpf->name, LICENSE, bpf->codes[place].instructions, bpf->codes[place].count,
			       &options);

	if (fd >= 0)
		bpf->programs[place] = fd;
	return fd < 0 ? fd : 0;
}

/* Called by libbpf; what fails here libbpf does itself, and has words for the reason. */
static int on_load(struct bpf_program *program, struct bpf_prog_load_opts *options, long cookie)
{
	/* r0 = 1; exit */
	static struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int place = loading.bpf ? place_of(loading.object, program) : -1;

	(void)cookie;
	if (place < 0 || keep_code(&loading.bpf->codes[place], program) ||
	    load_named(loading.bpf, (size_t)place, bpf_program__type(program), options->expected_attach_type, 0) ||
	    bpf_program__set_insns(program, nothing, BRUNT_COUNT(nothing)))
		return 0;
	/* They tell of instructions that are not there any more. */
	options->func_info_cnt = options->line_info_cnt = 0;
	options->func_info = options->line_info = NULL;
	options->prog_btf_fd = 0;
	return 0;
}

/* Once, before the first object is opened. */
__attribute__((constructor)) static void register_sections(void)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, options, .prog_prepare_load_fn = on_load);

	for (size_t i = 0; i < BRUNT_COUNT(sections); i++)
		(void)libbpf_register_prog_handler(sections[i].name, sections[i].type, sections[i].attach, &options);
}

/* *kernel is loaded when it is needed, and the caller's. 0: no such hook. */
static __u32 hook_of(const struct bpf_program *program, struct btf **kernel)
{
	enum bpf_prog_type type = bpf_program__type(program);

	if (type != BPF_PROG_TYPE_LSM && type != BPF_PROG_TYPE_TRACING)
		return 0;
	*kernel = *kernel ?: btf__load_vmlinux_btf();
	return *kernel ? brunt_bpf_hook_id(*kernel, program) : 0;
}

/* What libbpf has loaded for good has its own name; and what does nothing is needed no more. */
static int name_the_rest(struct brunt_bpf *bpf, struct bpf_object *object, struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_btf) struct btf *kernel = NULL;
	struct bpf_program *program;
	size_t i = 0;

	bpf_object__for_each_program(program, object)
	{
		if (bpf_program__fd(program) >= 0 && bpf->programs[i] < 0) {
			int r = bpf->codes[i].instructions ? 0 : keep_code(&bpf->codes[i], program);

			if (!r)
				r = load_named(bpf, i, bpf_program__type(program),
					       bpf_program__expected_attach_type(program), hook_of(program, &kernel));
			if (r)
				return bpf_fail_load(-r, bpf_program__name(program), err);
		}
		if (bpf_program__fd(program) >= 0)
			bpf_program__unload(program);
		i++;
	}
	return 0;
}

int bpf_named_load(struct brunt_bpf *bpf, struct bpf_object_skeleton *skeleton, struct brunt_error *err)
{
	struct bpf_object *object = *skeleton->obj;
	struct bpf_program *program;
	int r;

	bpf_object__for_each_program(program, object) bpf->program_count++;
	bpf->programs = calloc(bpf->program_count, sizeof(*bpf->programs));
	bpf->codes = calloc(bpf->program_count, sizeof(*bpf->codes));
	if (!bpf->programs || !bpf->codes) {
		bpf->program_count = 0;
		return brunt_fail(err, ENOMEM, "no memory for BPF programs");
	}
	for (size_t i = 0; i < bpf->program_count; i++)
		bpf->programs[i] = -1;
	loading.bpf = bpf;
	loading.object = object;
	r = bpf_object__load_skeleton(skeleton);
	loading.bpf = NULL;
	if (r)
		return bpf_fail_load(-r, "a BPF object", err);
	return name_the_rest(bpf, object, err);
}

static int find(const struct brunt_bpf *bpf, const struct bpf_object *object, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);
	int place = program ? place_of(object, program) : -1;

	return place >= 0 && (size_t)place < bpf->program_count ? place : -1;
}

int brunt_bpf_program(const struct brunt_bpf *bpf, const struct bpf_object *object, const char *name)
{
	int place = find(bpf, object, name);

	return place < 0 ? -1 : bpf->programs[place];
}

int brunt_bpf_reload(struct brunt_bpf *bpf, const struct bpf_object *object, const char *name, struct brunt_error *err)
{
	const struct bpf_program *program = bpf_object__find_program_by_name(object, name);
	BRUNT_CLEANUP(cleanup_btf) struct btf *kernel = NULL;
	int place = find(bpf, object, name), old, r;

	if (place < 0 || !bpf->codes[place].count)
		return brunt_fail(err, ENOENT, "there is no BPF program '%s'", name);
	old = bpf->programs[place];
	r = load_named(bpf, (size_t)place, bpf_program__type(program), bpf_program__expected_attach_type(program),
		       hook_of(program, &kernel));
	if (r)
		return bpf_fail_load(-r, name, err);
	if (old >= 0)
		close(old);
	return bpf->programs[place];
}

const struct brunt_bpf_code *brunt_bpf_code(const struct brunt_bpf *bpf, const struct bpf_object *object,
					    const char *name)
{
	int place = find(bpf, object, name);

	return place < 0 || !bpf->codes[place].count ? NULL : &bpf->codes[place];
}

void bpf_named_close(struct brunt_bpf *bpf)
{
	for (size_t i = 0; i < bpf->program_count; i++) {
		if (bpf->programs[i] >= 0)
			close(bpf->programs[i]);
		free(bpf->codes[i].instructions);
	}
	free(bpf->programs);
	free(bpf->codes);
}
