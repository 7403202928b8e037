/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.fail: what a target does to files fails with an errno of choice, by BPF
 * programs on the hooks of the kernel's security modules (BPF LSM).
 *
 * The hooks are the host's, and the programs ask whose call it is. Only those
 * are attached whose operations the plan names.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "../../bpf/file_fail.h"
#include "bpf/file_fail.skel.h"
#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "program/bpf.h"
#include "fault/file_path.h"

struct fail_params {
	struct brunt_list operations; /* of int: enum brunt_file_operation */
	struct brunt_list code;	      /* of int */
	struct brunt_list path;	      /* of const char * */
	struct brunt_ramp probability;
	uint64_t nth, first, budget;
};

struct fail_state {
	struct brunt_bpf bpf; /* first: the shared operations take it for the state */
	const struct fail_params *params;
	struct file_fail_bpf *skel;
	struct brunt_file_control *control;
	struct brunt_file_places places; /* from prepare to detach */
	double probability;		 /* now */
};
_Static_assert(!offsetof(struct fail_state, bpf), "brunt_bpf_op_arm() and its like take a struct brunt_bpf");

/* In the order of the bits. */
static const struct brunt_value operations[] = {
	{ "open", BRUNT_FILE_OPEN, "open() and its like, of what is there; not to execute it" },
	{ "create", BRUNT_FILE_CREATE, "open() that would make a file, mknod(), bind() of a Unix socket" },
	{ "read", BRUNT_FILE_READ,
	  "read() and its like, io_uring too, reading a directory, and what exec reads of a program" },
	{ "write", BRUNT_FILE_WRITE, "write() and its like, io_uring too, fallocate(); not to mapped memory" },
	{ "truncate", BRUNT_FILE_TRUNCATE, "truncate(), ftruncate(), open() with O_TRUNC" },
	{ "mmap", BRUNT_FILE_MMAP, "mmap() of a file, also by exec and by the loader of libraries" },
	{ "lock", BRUNT_FILE_LOCK, "flock() and locks by fcntl()" },
	{ "exec", BRUNT_FILE_EXEC, "execve() and execveat()" },
	{ "unlink", BRUNT_FILE_UNLINK, "unlink()" },
	{ "rename", BRUNT_FILE_RENAME, "rename() from or to" },
	{ "link", BRUNT_FILE_LINK, "link(): the new name" },
	{ "symlink", BRUNT_FILE_SYMLINK, "symlink()" },
	{ "mkdir", BRUNT_FILE_MKDIR, "mkdir()" },
	{ "rmdir", BRUNT_FILE_RMDIR, "rmdir()" },
	{ "chmod", BRUNT_FILE_CHMOD, "chmod() and fchmod()" },
	{ "chown", BRUNT_FILE_CHOWN, "chown() and its like" },
	{ 0 },
};

static const struct {
	const char *program, *hook;
	__u32 operations;
	bool optional; /* newer than the oldest kernel; an older hook does its work there */
} hooks[] = {
	{ "brunt_open", "file_open", BRUNT_FILE_OPEN, false },
	{ "brunt_create", "path_mknod", BRUNT_FILE_CREATE, false },
	{ "brunt_access", "file_permission", BRUNT_FILE_READ | BRUNT_FILE_WRITE, false },
	{ "brunt_truncate", "path_truncate", BRUNT_FILE_TRUNCATE, false },
	{ "brunt_ftruncate", "file_truncate", BRUNT_FILE_TRUNCATE, true },
	{ "brunt_mmap", "mmap_file", BRUNT_FILE_MMAP, false },
	{ "brunt_lock", "file_lock", BRUNT_FILE_LOCK, false },
	{ "brunt_exec", "bprm_check_security", BRUNT_FILE_EXEC, false },
	{ "brunt_unlink", "path_unlink", BRUNT_FILE_UNLINK, false },
	{ "brunt_rename", "path_rename", BRUNT_FILE_RENAME, false },
	{ "brunt_link", "path_link", BRUNT_FILE_LINK, false },
	{ "brunt_symlink", "path_symlink", BRUNT_FILE_SYMLINK, false },
	{ "brunt_mkdir", "path_mkdir", BRUNT_FILE_MKDIR, false },
	{ "brunt_rmdir", "path_rmdir", BRUNT_FILE_RMDIR, false },
	{ "brunt_chmod", "path_chmod", BRUNT_FILE_CHMOD, false },
	{ "brunt_chown", "path_chown", BRUNT_FILE_CHOWN, false },
};

static const struct brunt_param fail_params[] = {
	BRUNT_LIST_OF(struct fail_params, operations, BRUNT_T_ENUM, .values = operations, .required = true,
		      .count_max = 16, .example = "[\"write\", \"create\"]", .help = "what fails"),
	{ .key = "errno",
	  .type = BRUNT_T_ERRNO,
	  .shape = BRUNT_LIST,
	  .offset = BRUNT_FIELD(struct fail_params, code, struct brunt_list),
	  .count_max = BRUNT_FILE_CODES,
	  .example = "\"ENOSPC\"",
	  .help = "what the call returns, of several one at random each time; EIO when left out" },
	BRUNT_LIST_OF(
		struct fail_params, path, BRUNT_T_STRING, .count_max = 64,
		.example = "[\"/var/lib/app/\", \"/etc/app.conf\"]",
		.help = "only what lies here, as the target's processes see it: a name, or a directory with all "
			"that is below it when it ends in `/` or `/**`; without, every file, but no pipes, sockets "
			"and terminals"),
	BRUNT_RAMP(struct fail_params, probability, BRUNT_T_RATIO, .def = "100%", .max = 1,
		   .help = "chance that a call fails"),
	BRUNT_UINT(struct fail_params, nth, .min = 2, .max = 1e12, .example = "10",
		   .help = "instead of `probability`: every nth call that matches fails; needs Linux 5.11"),
	BRUNT_UINT(struct fail_params, first, .min = 1, .max = 1e12, .example = "3",
		   .help = "only of the first so many calls that match in the run; later ones pass; needs Linux 5.11"),
	BRUNT_UINT(struct fail_params, budget, .min = 1, .max = 1e12, .example = "1000",
		   .help = "at most so many calls fail in the run; what comes after passes; needs Linux 5.11"),
	{ 0 },
};

static const struct brunt_table fail_table = {
	.name = "file.fail",
	.help = "what the target does to files fails with an errno, as if the disk were full, broken or read-only",
	.params = fail_params,
	.size = sizeof(struct fail_params),
};

/* ---- what the plan says ---- */

static __u32 wanted_operations(const struct fail_params *params)
{
	__u32 bits = 0;

	BRUNT_FOREACH (const int, operation, params->operations)
		bits |= (__u32)*operation;
	return bits;
}

static bool needs_order(const struct fail_params *params)
{
	return params->nth || params->first || params->budget;
}

/* Is there anything to decide? Then one sequence for all CPUs makes the same seed decide the same. */
static bool decides(const struct fail_params *params)
{
	return needs_order(params) || params->code.count > 1 || params->probability.from < 1 ||
	       params->probability.to < 1;
}

static int fail_validate(const void *opaque, int kind, struct brunt_error *err)
{
	const struct fail_params *p = opaque;

	(void)kind;
	if (p->probability.set && p->nth)
		return brunt_fail(err, EINVAL, "'probability' and 'nth' both decide which calls fail: say one");
	if (p->first && p->nth)
		return brunt_fail(err, EINVAL,
				  "'first' takes calls from the beginning on, 'nth' picks among them all: say one");
	if (p->first && p->budget >= p->first)
		return brunt_fail(err, EINVAL, "'budget' is never used up: 'first' lets only %llu calls fail",
				  (unsigned long long)p->first);
	BRUNT_FOREACH (const char *const, path, p->path) {
		int r = brunt_file_path_check(*path, err);

		if (r)
			return r;
	}
	return 0;
}

static void fail_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf, size_t size)
{
	const struct fail_params *p = fault->params;
	const __u32 wanted = wanted_operations(p);
	char codes[64] = "", names[96] = "", whom[48] = "";
	size_t places = 0;

	BRUNT_FOREACH (const int, code, p->code)
		(void)snprintf(codes + strlen(codes), sizeof(codes) - strlen(codes), "%s%s", codes[0] ? " or " : "",
			       brunt_errno_name(*code) ?: "an error");
	for (size_t i = 0; i < BRUNT_COUNT(operations) - 1; i++)
		if (wanted & (__u32)operations[i].value)
			(void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
				       names[0] ? ", " : "", operations[i].name);
	for (size_t i = 0; victims && i < victims->matched; i++)
		places += victims->items[i].picked &&
			  (victims->items[i].kind == BRUNT_TARGET_PROCESS || !brunt_bpf_is_covered(victims, i));
	if (places)
		(void)snprintf(whom, sizeof(whom), ", for %zu %s%s", places,
			       victims->items[0].kind == BRUNT_TARGET_PROCESS ? "process" : "cgroup",
			       places == 1					? ""
			       : victims->items[0].kind == BRUNT_TARGET_PROCESS ? "es"
										: "s");
	(void)snprintf(buf, size, "%s from %s, by BPF LSM programs%s", codes[0] ? codes : "EIO", names, whom);
}

/* ---- load ---- */

static int fail_probe(struct brunt_error *err)
{
	return brunt_bpf_probe_hooks(err);
}

static void close_places(struct fail_state *state)
{
	const int learned = bpf_map__fd(state->skel->maps.brunt_learned);

	state->control->folders = state->control->names = 0;
	for (size_t i = 0; i < state->places.count; i++) {
		const struct brunt_file_place *place = &state->places.items[i];
		struct brunt_file_name key = { 0 };
		__u32 fd = (__u32)place->fd;

		if (bpf_map_lookup_elem(learned, &fd, &key.folder))
			continue;
		if (place->name)
			(void)snprintf(key.name, sizeof(key.name), "%s", place->name);
		(void)bpf_map_delete_elem(
			bpf_map__fd(place->name ? state->skel->maps.brunt_names : state->skel->maps.brunt_folders),
			&key);
		(void)bpf_map_delete_elem(learned, &fd);
	}
	brunt_file_places_close(&state->places);
}

static void fail_unload(void *opaque)
{
	struct fail_state *state = opaque;

	if (!state)
		return;
	brunt_bpf_unload(&state->bpf);
	brunt_file_places_close(&state->places);
	file_fail_bpf__destroy(state->skel);
	free(state);
}

static void cleanup_state(struct fail_state **state)
{
	fail_unload(*state);
}

static void cleanup_btf(struct btf **btf)
{
	btf__free(*btf);
}

/* Tries a program that calls it with nothing: Linux 5.11 says that this is wrong (EACCES), an older one that it knows no such function (EINVAL). */
static bool has_lock(const struct btf *kernel)
{
	static const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_spin_lock },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_LSM_MAC);
	int fd;

	options.attach_btf_id = (__u32)btf__find_by_name_kind(kernel, "bpf_lsm_file_open", BTF_KIND_FUNC);
	fd = bpf_prog_load(BPF_PROG_TYPE_LSM, "brunt_probe", "Dual BSD/GPL", program, BRUNT_COUNT(program), &options);
	if (fd >= 0)
		close(fd);
	return fd != -EINVAL;
}

/* Only what the plan asks for is loaded. */
static int choose_programs(struct fail_state *state, struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_btf) struct btf *kernel = btf__load_vmlinux_btf();
	const struct fail_params *params = state->params;
	const __u32 wanted = wanted_operations(params);
	bool lock;

	if (!kernel)
		return brunt_fail(err, ENOTSUP, "this kernel does not describe its types (CONFIG_DEBUG_INFO_BTF)");
	lock = decides(params) && has_lock(kernel);
	if (needs_order(params) && !lock)
		return brunt_fail(err, ENOTSUP, "'%s' needs Linux 5.11: before, these programs cannot count together",
				  params->nth	  ? "nth"
				  : params->first ? "first"
						  : "budget");
	state->skel->rodata->may_order = lock;
	state->skel->rodata->may_ask_path = params->path.count;
	(void)bpf_program__set_autoload(state->skel->progs.brunt_learn, params->path.count);
	for (size_t i = 0; i < BRUNT_COUNT(hooks); i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(state->skel->obj, hooks[i].program);
		int r = wanted & hooks[i].operations ? brunt_bpf_try_hook(kernel, hooks[i].hook) : -ENOENT;

		(void)bpf_program__set_autoload(program, !r);
		if (!r || !(wanted & hooks[i].operations) || (r == -ENOENT && hooks[i].optional))
			continue;
		if (r == -EINVAL && hooks[i].operations == BRUNT_FILE_CHOWN)
			return brunt_fail(err, ENOTSUP, "'chown' needs Linux 6.1, whose BPF knows its arguments");
		if (r == -ENOENT)
			return brunt_fail(err, ENOTSUP, "this kernel has no hook '%s' (CONFIG_SECURITY_PATH)",
					  hooks[i].hook);
		return brunt_fail(err, -r, "cannot load a program for the hook '%s': %s", hooks[i].hook, strerror(-r));
	}
	return 0;
}

static int fill_order(struct fail_state *state, uint64_t seed, const char *label, struct brunt_error *err)
{
	struct brunt_file_order order = { .seen = 0 };
	struct brunt_random random;
	char name[64];
	__u32 zero = 0;

	(void)snprintf(name, sizeof(name), "%s in order", label);
	brunt_random_seed(&random, seed, name);
	order.random = brunt_random_next(&random) | 1;
	if (bpf_map_update_elem(bpf_map__fd(state->skel->maps.brunt_order), &zero, &order, BPF_ANY))
		return brunt_fail(err, errno, "cannot seed the order of calls: %s", strerror(errno));
	return 0;
}

static int fail_change(void *opaque, uint64_t elapsed_ns, struct brunt_error *err)
{
	struct fail_state *state = opaque;

	(void)err;
	state->probability = brunt_ramp_at(&state->params->probability, elapsed_ns);
	brunt_bpf_set_chance(&state->bpf, state->probability);
	return 0;
}

/* What the programs look at, before any is attached. */
static void fill_control(struct fail_state *state)
{
	const struct fail_params *params = state->params;
	struct brunt_file_control *control = state->control;

	control->operations = wanted_operations(params);
	control->code_count = 1;
	control->codes[0] = -EIO;
	BRUNT_FOREACH (const int, code, params->code)
		control->codes[code - (const int *)params->code.items] = -*code;
	if (params->code.count)
		control->code_count = (__u32)params->code.count;
	control->nth = params->nth;
	control->first = params->first;
	control->budget = params->budget;
	(void)fail_change(state, 0, NULL);
}

static int fail_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		     struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_state) struct fail_state *state = calloc(1, sizeof(*state));
	char label[48];
	int r;

	if (!state)
		return brunt_fail(err, ENOMEM, "no memory for file.fail");
	state->params = fault->params;
	state->skel = file_fail_bpf__open();
	if (!state->skel)
		return brunt_fail(err, errno, "cannot open the BPF object of file.fail: %s", strerror(errno));
	r = brunt_bpf_open(&state->bpf, state->skel->obj, context, err);
	r = r ?: choose_programs(state, err);
	if (r)
		return r;
	(void)snprintf(label, sizeof(label), "file.fail %u", fault->step);
	r = brunt_bpf_load(&state->bpf, state->skel->skeleton, context->seed, label, err);
	r = r ?: fill_order(state, context->seed, label, err);
	if (r)
		return r;
	state->control = &state->skel->bss->control;
	state->bpf.processes = bpf_map__fd(state->skel->maps.brunt_victims);
	fill_control(state);
	*ret_state = BRUNT_TAKE_PTR(state);
	return 0;
}

/* ---- prepare and attach ---- */

/* Puts what was found where the programs look, once the iterator has told what each folder is in the kernel. */
static int store_place(struct fail_state *state, const struct brunt_file_place *place, struct brunt_error *err)
{
	struct brunt_file_name key = { 0 };
	__u32 fd = (__u32)place->fd, one = 1;
	int map = bpf_map__fd(place->name ? state->skel->maps.brunt_names : state->skel->maps.brunt_folders);

	if (bpf_map_lookup_elem(bpf_map__fd(state->skel->maps.brunt_learned), &fd, &key.folder) || !key.folder)
		return brunt_fail(err, EIO, "the kernel did not tell what folder is open");
	if (place->name)
		(void)snprintf(key.name, sizeof(key.name), "%s", place->name);
	if (bpf_map_update_elem(map, &key, &one, BPF_ANY))
		return brunt_fail(err, errno, "cannot store a path: %s", strerror(errno));
	if (place->name)
		state->control->names++;
	else
		state->control->folders++;
	return 0;
}

static int learn_places(struct fail_state *state, struct brunt_error *err)
{
	int learned = bpf_map__fd(state->skel->maps.brunt_learned);
	int program = brunt_bpf_program(&state->bpf, state->skel->obj, "brunt_learn");
	int r;

	for (size_t i = 0; i < state->places.count; i++) {
		__u32 fd = (__u32)state->places.items[i].fd;
		__u64 unknown = 0;

		if (bpf_map_update_elem(learned, &fd, &unknown, BPF_ANY))
			return brunt_fail(err, errno, "cannot ask for a path: %s", strerror(errno));
	}
	r = brunt_bpf_iterate(program, err);
	for (size_t i = 0; !r && i < state->places.count; i++)
		r = store_place(state, &state->places.items[i], err);
	return r;
}

static int fail_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
			struct brunt_error *err)
{
	struct fail_state *state = opaque;
	int r;

	if (!state->bpf.mount)
		return brunt_fail(err, ENOTSUP, "no cgroup v2 is mounted, and file.fail needs it");
	r = brunt_bpf_prepare(&state->bpf, victims, "make file operations of fail", ret_undo, err);
	if (r || !state->params->path.count)
		return r;
	close_places(state);
	r = brunt_file_places_find(&state->params->path, victims, state->bpf.mount, &state->places, err);
	r = r ?: learn_places(state, err);
	if (r)
		close_places(state);
	return r;
}

static int add_cgroup(struct fail_state *state, const struct brunt_item *item, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int directory = brunt_bpf_open_cgroup(state->bpf.mount, item, err);
	__u32 index = state->control->cgroups;

	if (directory < 0)
		return directory;
	if (index == BRUNT_FILE_CGROUPS)
		return brunt_fail(err, E2BIG, "more than %d cgroups in one fault; target one above them, or fewer",
				  BRUNT_FILE_CGROUPS);
	if (bpf_map_update_elem(bpf_map__fd(state->skel->maps.brunt_cgroups), &index, &directory, BPF_ANY))
		return brunt_fail(err, errno, "cannot keep cgroup '%.120s': %s", item->cgroup, strerror(errno));
	state->control->cgroups++;
	return 0;
}

static int attach_hook(struct fail_state *state, size_t index, struct brunt_error *err)
{
	int program = brunt_bpf_program(&state->bpf, state->skel->obj, hooks[index].program);
	int r;

	if (program < 0)
		return 0;
	r = brunt_bpf_attach_hook(&state->bpf, program, hooks[index].hook, err);
	if (r != -ENOENT)
		return r;
	program = brunt_bpf_reload(&state->bpf, state->skel->obj, hooks[index].program, err);
	return program < 0 ? program : brunt_bpf_attach_hook(&state->bpf, program, hooks[index].hook, err);
}

static int fail_attach(void *opaque, struct brunt_error *err)
{
	struct fail_state *state = opaque;
	const struct brunt_victims *victims = state->bpf.victims;
	int r = 0;

	state->control->processes = state->bpf.kind == BRUNT_TARGET_PROCESS;
	if (state->control->processes)
		r = brunt_bpf_mark_processes(&state->bpf, 1, err);
	else
		for (size_t i = 0; !r && i < victims->matched; i++)
			if (victims->items[i].picked && !brunt_bpf_is_covered(victims, i))
				r = add_cgroup(state, &victims->items[i], err);
	for (size_t i = 0; !r && i < BRUNT_COUNT(hooks); i++)
		r = attach_hook(state, i, err);
	return r;
}

static void fail_detach(void *opaque)
{
	struct fail_state *state = opaque;
	int cgroups = bpf_map__fd(state->skel->maps.brunt_cgroups);

	brunt_bpf_detach(&state->bpf);
	for (; state->control->cgroups; state->control->cgroups--) {
		__u32 index = state->control->cgroups - 1;

		(void)bpf_map_delete_elem(cgroups, &index);
	}
	close_places(state);
}

/* ---- poll ---- */

static void tell_near_miss(const struct fail_state *state, struct brunt_hits *ret)
{
	static const struct brunt_list anything;
	const struct fail_params *p = state->params;

	if (!ret->hit && !ret->matched && ret->seen && p->path.count)
		(void)snprintf(ret->near_miss, sizeof(ret->near_miss), "saw %" PRIu64 " call%s, none on '%.100s'%s",
			       ret->seen, ret->seen == 1 ? "" : "s", *(const char *const *)p->path.items,
			       p->path.count > 1 ? " or the others" : "");
	else if (!ret->hit && ret->matched && p->nth)
		(void)snprintf(ret->near_miss, sizeof(ret->near_miss),
			       "%" PRIu64 " matched, and only every %" PRIu64 "th was to fail", ret->matched, p->nth);
	else
		brunt_bpf_near_miss(ret, "call", &anything, state->probability);
}

static int fail_poll(void *opaque, struct brunt_hits *ret)
{
	struct fail_state *state = opaque;
	int r = brunt_bpf_poll(&state->bpf, ret);

	if (!r)
		tell_near_miss(state, ret);
	return r;
}

const struct brunt_injector brunt_fault_file_fail = {
	.name = "file.fail",
	.summary = "open, read, write, rename, exec and the like fail with an errno of choice",
	.undo = BRUNT_UNDO_KERNEL,
	.wants = BRUNT_WANT_CGROUP,
	.targets = 1 << BRUNT_TARGET_PROCESS | 1 << BRUNT_TARGET_CGROUP | 1 << BRUNT_TARGET_UNIT |
		   1 << BRUNT_TARGET_SERVICE | 1 << BRUNT_TARGET_CONTAINER,
	.capabilities = UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON,
	/* to find paths as others see them: /proc/PID/root, folders that are closed to us; to learn whether BPF LSM is on
	 * where securityfs is not mounted */
	.useful = UINT64_C(1) << CAP_SYS_PTRACE | UINT64_C(1) << CAP_DAC_READ_SEARCH | UINT64_C(1) << CAP_SYS_ADMIN,
	.hit_noun = "file operations failed",
	.table = &fail_table,
	.probe = fail_probe,
	.validate = fail_validate,
	.describe = fail_describe,
	.load = fail_load,
	.prepare = fail_prepare,
	.attach = fail_attach,
	.arm = brunt_bpf_op_arm,
	.renew = brunt_bpf_op_renew,
	.change = fail_change,
	.poll = fail_poll,
	.disarm = brunt_bpf_op_disarm,
	.verify = brunt_bpf_op_verify,
	.detach = fail_detach,
	.unload = fail_unload,
	.recover = brunt_bpf_op_recover,
};
