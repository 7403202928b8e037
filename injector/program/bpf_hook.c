/* SPDX-License-Identifier: Apache-2.0 */
/* BPF programs on the hooks of the kernel's security modules (BPF LSM), and iterators. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "brunt/capability.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "program/bpf.h"

#define LIST_FOLDER "/sys/kernel/security"
#define LIST_FILE   "lsm"
#define LIST_SIZE   512

/* include/uapi/linux/lsm.h, since 6.8 */
#define LSM_LIST_MODULES 461
#define LSM_ID_BPF	 110
#define LSM_COUNT	 64

enum active { UNKNOWN, INACTIVE, ACTIVE };

int brunt_bpf_try_hook(const struct btf *kernel, const char *hook)
{
	/* r0 = 0; exit */
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_LSM_MAC);
	char name[64];
	int fd, id;

	(void)snprintf(name, sizeof(name), "bpf_lsm_%s", hook);
	id = btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC);
	if (id <= 0)
		return -ENOENT;
	options.attach_btf_id = (__u32)id;
	fd = bpf_prog_load(BPF_PROG_TYPE_LSM, "brunt_probe", "Dual BSD/GPL", pass, BRUNT_COUNT(pass), &options);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

__u32 brunt_bpf_hook_id(const struct btf *kernel, const struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);
	const char *last = strrchr(section, '/');
	char name[80];
	int id;

	(void)snprintf(name, sizeof(name), "%s%s", strncmp(section, "iter/", 5) ? "bpf_lsm_" : "bpf_iter_",
		       last ? last + 1 : section);
	id = btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC);
	return id > 0 ? (__u32)id : 0;
}

int brunt_bpf_attach_hook(struct brunt_bpf *bpf, int program, const char *what, struct brunt_error *err)
{
	int fd;

	if (bpf->link_count == BRUNT_BPF_LINKS_MAX)
		return brunt_fail(err, E2BIG, "more than %d attachments", BRUNT_BPF_LINKS_MAX);
	fd = bpf_link_create(program, 0, BPF_LSM_MAC, NULL);
	if (fd == -E2BIG)
		return brunt_fail(err, E2BIG, "too many BPF programs are attached to the hook '%s' already", what);
	if (fd < 0)
		return brunt_fail(err, -fd, "cannot attach to the hook '%s': %s", what, strerror(-fd));
	bpf->links[bpf->link_count++] = (struct brunt_bpf_link){ .fd = fd, .place = BRUNT_BPF_HOOK };
	return 0;
}

int brunt_bpf_iterate(int program, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int link = -1, in = -1;
	union bpf_iter_link_info info = { .task.pid = (__u32)getpid() };
	LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info, .iter_info_len = sizeof(info));
	char buffer[256];
	ssize_t size;

	/* our own process alone: since Linux 6.1, before which all are walked, and the program knows its own */
	link = bpf_link_create(program, 0, BPF_TRACE_ITER, &options);
	if (link == -EINVAL || link == -E2BIG)
		link = bpf_link_create(program, 0, BPF_TRACE_ITER, NULL);
	if (link < 0)
		return brunt_fail(err, -link, "cannot make a BPF iterator: %s", strerror(-link));
	in = bpf_iter_create(link);
	if (in < 0)
		return brunt_fail(err, -in, "cannot begin a BPF iterator: %s", strerror(-in));
	do
		size = read(in, buffer, sizeof(buffer));
	while (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR)));
	return size ? brunt_fail(err, errno, "cannot read a BPF iterator: %s", strerror(errno)) : 0;
}

/* The file of securityfs, also where nobody has mounted that: on a mount that is attached nowhere. "" when not. */
static void read_list(char *ret, size_t size)
{
	BRUNT_AUTO_CLOSE int fd = open(LIST_FOLDER "/" LIST_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t count;

	ret[0] = '\0';
	if (fd < 0) {
		BRUNT_AUTO_CLOSE int context = fsopen("securityfs", FSOPEN_CLOEXEC);
		BRUNT_AUTO_CLOSE int mount = -1;

		if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
			return;
		mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
		if (mount < 0)
			return;
		fd = openat(mount, LIST_FILE, O_RDONLY | O_CLOEXEC);
	}
	count = fd < 0 ? -1 : read(fd, ret, size - 1);
	ret[count > 0 ? count : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

static enum active ask_kernel(void)
{
	__u64 ids[LSM_COUNT];
	__u32 size = sizeof(ids);
	long count = syscall(LSM_LIST_MODULES, ids, &size, 0);

	for (long i = 0; i < count; i++)
		if (ids[i] == LSM_ID_BPF)
			return ACTIVE;
	return count < 0 ? UNKNOWN : INACTIVE;
}

static enum active is_active(char *list, size_t size)
{
	char copy[LIST_SIZE], *rest = copy;

	read_list(list, size);
	if (!list[0])
		return ask_kernel();
	(void)snprintf(copy, sizeof(copy), "%s", list);
	for (const char *word; (word = strsep(&rest, ",")) != NULL;)
		if (!strcmp(word, "bpf"))
			return ACTIVE;
	return INACTIVE;
}

static int fail_probe(int code, struct brunt_error *err)
{
	const uint64_t wanted = UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON;
	char missing[64];

	if (code == EPERM || code == EACCES) {
		if (brunt_capabilities_missing(wanted, missing, sizeof(missing))[0])
			return brunt_fail(err, EPERM, "BPF is not permitted here: needs %s, run as root", missing);
		return brunt_fail(
			err, ENOTSUP,
			"this kernel refuses BPF LSM programs, even root's; a distribution's own kernel allows "
			"them, also in a virtual machine");
	}
	return brunt_fail(err, code, "cannot load a BPF LSM program: %s", strerror(code));
}

int brunt_bpf_probe_hooks(struct brunt_error *err)
{
	struct btf *kernel;
	char list[LIST_SIZE];
	int r;

	brunt_bpf_silence();
	kernel = btf__load_vmlinux_btf();
	if (!kernel)
		return brunt_fail(
			err, ENOTSUP,
			"this kernel does not describe its types (CONFIG_DEBUG_INFO_BTF), which BPF LSM needs");
	r = brunt_bpf_try_hook(kernel, "file_open");
	btf__free(kernel);
	if (r == -ENOENT || r == -EINVAL || r == -ENOSYS)
		return brunt_fail(err, ENOTSUP, "this kernel is built without BPF LSM (CONFIG_BPF_LSM)");
	/* Programs load, and attach, whether or not anybody will ever call them. */
	if (is_active(list, sizeof(list)) == INACTIVE)
		return brunt_fail(err, ENOTSUP, "BPF LSM is not active; boot with lsm=%s%sbpf", list,
				  list[0] ? "," : "...,");
	return r ? fail_probe(-r, err) : 0;
}
