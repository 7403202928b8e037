/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * file.fail: what processes of a cgroup do to files returns an error before the
 * kernel acts on it. One program for each hook of the kernel's security
 * modules; they are called for every process of the host, so the first question
 * is whose call it is.
 *
 * A path is told by the inodes of the folders above a file, as the target's
 * mounts have them, and not by text: bpf_d_path() is not to be had in these
 * hooks before Linux 5.11, and never in those that name a file that is not
 * there yet.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "file_fail.h"

/* ---- what is read of the kernel's structures; libbpf finds where the fields are in the kernel at hand ---- */

#define KERNEL __attribute__((preserve_access_index))

struct super_block;
struct qstr {
	const unsigned char *name;
} KERNEL;
struct inode {
	unsigned short i_mode;
} KERNEL;
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
} KERNEL;
struct vfsmount {
	struct dentry *mnt_root;
} KERNEL;
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
} KERNEL;
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} KERNEL;
struct file {
	unsigned int f_mode;
	unsigned int f_flags;
	struct inode *f_inode;
	struct path f_path;
} KERNEL;
struct linux_binprm {
	struct file *file;
} KERNEL;
struct task_struct {
	int tgid;
} KERNEL;
struct bpf_iter__task_file {
	void *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file __attribute__((aligned(8)));
} KERNEL;

/* include/linux/fs.h */
#define MAY_WRITE  2
#define MAY_READ   4
#define FMODE_EXEC 0x20 /* in f_flags: opened to be executed */
#define FMODE_NOACCOUNT                                                                                                \
	0x20000000 /* the file below a file of overlayfs or its like: the call was asked about already */

#define S_IFMT	0170000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define S_IFBLK 0060000

/* ---- what the holder knows ---- */

struct brunt_file_control control;

/* Set before loading: what is not asked for the verifier never sees. bpf_spin_lock() in these hooks is of Linux 5.11. */
const volatile bool may_order = true, may_ask_path = true;

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, BRUNT_FILE_CGROUPS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} brunt_cgroups SEC(".maps");

/* Processes to hit: tgid of the initial PID namespace. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} brunt_victims SEC(".maps");

/* Folders that are meant with all that is in them, by the address of their inode. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BRUNT_FILE_FOLDERS);
	__type(key, __u64);
	__type(value, __u32);
} brunt_folders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BRUNT_FILE_FOLDERS);
	__type(key, struct brunt_file_name);
	__type(value, __u32);
} brunt_names SEC(".maps");

/* By file descriptor of the holder: the address of the inode that is open there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BRUNT_FILE_FOLDERS);
	__type(key, __u32);
	__type(value, __u64);
} brunt_learned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct brunt_file_order);
} brunt_order SEC(".maps");

/* ---- who ---- */

static __always_inline bool is_victim(void)
{
	__u32 tgid;

	if (control.processes) {
		tgid = bpf_get_current_pid_tgid() >> 32;
		return bpf_map_lookup_elem(&brunt_victims, &tgid) != NULL;
	}
	for (__u32 i = 0; i < BRUNT_FILE_CGROUPS && i < control.cgroups; i++)
		if (bpf_current_task_under_cgroup(&brunt_cgroups, i) == 1)
			return true;
	return false;
}

/* ---- where ---- */

struct place {
	struct dentry *dentry;
	struct vfsmount *mount;
};

/* Everything is read by bpf_probe_read_kernel(), which survives any pointer, NULL too, and then gives zeros. */
static __always_inline struct place place_of_path(const struct path *path)
{
	struct place place = { .dentry = BPF_CORE_READ(path, dentry), .mount = BPF_CORE_READ(path, mnt) };

	return place;
}

static __always_inline struct place place_of_file(const struct file *file)
{
	struct place place = { .dentry = BPF_CORE_READ(file, f_path.dentry), .mount = BPF_CORE_READ(file, f_path.mnt) };

	return place;
}

/* A name in the folder of a path that is there or is about to be. */
static __always_inline struct place place_in(const struct path *folder, struct dentry *dentry)
{
	struct place place = { .dentry = dentry, .mount = BPF_CORE_READ(folder, mnt) };

	return place;
}

/*
 * BPF_CORE_READ() takes every structure on its way for one of the kernel's: here it is given bare pointers, never
 * place->dentry.
 *
 * From the root of a mount to what it is mounted on. false: it is no such root, or the root of all.
 */
static __always_inline bool leave_mount(struct place *place)
{
	struct vfsmount *inner = place->mount;
	struct mount *mount, *parent;

	if (place->dentry != BPF_CORE_READ(inner, mnt_root))
		return false;
	mount = (void *)inner - bpf_core_field_offset(struct mount, mnt);
	parent = BPF_CORE_READ(mount, mnt_parent);
	if (parent == mount)
		return false;
	place->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
	place->mount = (void *)parent + bpf_core_field_offset(struct mount, mnt);
	return true;
}

static __always_inline bool is_in_folders(struct place place)
{
	for (int i = 0; i < BRUNT_FILE_DEPTH; i++) {
		struct dentry *dentry = place.dentry;
		__u64 inode = (__u64)BPF_CORE_READ(dentry, d_inode);

		if (inode && bpf_map_lookup_elem(&brunt_folders, &inode))
			return true;
		if (leave_mount(&place))
			continue;
		place.dentry = BPF_CORE_READ(dentry, d_parent);
		if (!place.dentry || place.dentry == dentry)
			return false;
	}
	return false;
}

static __always_inline bool is_in_names(struct place place)
{
	struct brunt_file_name key = {};
	struct dentry *dentry;

	for (int i = 0; i < 4; i++) /* one mounted over the other */
		if (!leave_mount(&place))
			break;
	dentry = place.dentry;
	key.folder = (__u64)BPF_CORE_READ(dentry, d_parent, d_inode);
	(void)bpf_probe_read_kernel_str(key.name, sizeof(key.name), BPF_CORE_READ(dentry, d_name.name));
	return bpf_map_lookup_elem(&brunt_names, &key) != NULL;
}

static __always_inline bool is_meant(struct place place)
{
	if (!may_ask_path)
		return true;
	return (control.folders && is_in_folders(place)) || (control.names && is_in_names(place));
}

/* ---- whether ---- */

/* Under the lock no helper may be called, nor any other map be read. */
static __always_inline bool fails_in_order(__u64 *draw)
{
	struct brunt_file_order *order;
	__u64 nth = control.nth, first = control.first, budget = control.budget, threshold = control.base.threshold,
	      seen;
	__u32 zero = 0;
	bool fails;

	order = bpf_map_lookup_elem(&brunt_order, &zero);
	if (!order)
		return false;
	bpf_spin_lock(&order->lock);
	seen = order->seen++;
	/* Both are drawn for each call: what one is given does not change what the next one is. */
	fails = brunt_random(&order->random) < threshold;
	*draw = brunt_random(&order->random);
	if (nth)
		fails = (seen + 1) % nth == 0;
	if (first && seen >= first)
		fails = false;
	if (budget && order->hit >= budget)
		fails = false;
	order->hit += fails;
	bpf_spin_unlock(&order->lock);
	return fails;
}

/* The kernel wants -4095 to 0 of these programs, and from 6.12 on its verifier wants to see it. */
static __always_inline long code_of(__u64 draw)
{
	__u64 index = draw % control.code_count;
	long code;

	asm volatile("" : "+r"(index)); /* see chance_index() of packet_drop.bpf.c */
	code = control.codes[index & (BRUNT_FILE_CODES - 1)];
	asm volatile("" : "+r"(code));
	return code < -4095 || code > 0 ? 0 : code;
}

static __always_inline long judge(bool meant)
{
	struct brunt_counters *counters = brunt_counters_get();
	__u64 draw = 0;
	bool fails;

	if (!counters)
		return 0;
	if (!meant || !brunt_lease_alive(&control.base)) {
		brunt_miss(counters, 1);
		return 0;
	}
	brunt_count(&counters->matched, 1);
	if (may_order) {
		fails = fails_in_order(&draw);
	} else {
		fails = brunt_random(&counters->random) < control.base.threshold;
		if (control.code_count > 1)
			draw = brunt_random(&counters->random);
	}
	if (!fails)
		return 0;
	brunt_count(&counters->hit, 1);
	return code_of(draw);
}

static __always_inline bool concerns(__u32 operations)
{
	return control.base.armed && control.operations & operations && is_victim();
}

/* Without a path, what a disk may hold: not pipes, sockets, terminals and other devices that happen to have a descriptor. */
static __always_inline bool is_file(const struct file *file)
{
	unsigned short type = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT;

	if (BPF_CORE_READ(file, f_mode) & FMODE_NOACCOUNT)
		return false;
	return (may_ask_path && type) || type == S_IFREG || type == S_IFDIR || type == S_IFBLK;
}

static __always_inline long judge_file(const struct file *file)
{
	return is_file(file) ? judge(is_meant(place_of_file(file))) : 0;
}

/* ---- the hooks: include/linux/lsm_hook_defs.h has their arguments; later kernels only append ---- */

SEC("lsm/file_open")
long brunt_open(__u64 *arguments)
{
	const struct file *file = (void *)arguments[0];

	/* what is opened to be executed is exec's */
	if (!concerns(BRUNT_FILE_OPEN) || BPF_CORE_READ(file, f_flags) & FMODE_EXEC)
		return 0;
	return judge_file(file);
}

/* Also of open() that would create. */
SEC("lsm/path_mknod")
long brunt_create(__u64 *arguments)
{
	if (!concerns(BRUNT_FILE_CREATE))
		return 0;
	return judge(is_meant(place_in((void *)arguments[0], (void *)arguments[1])));
}

SEC("lsm/file_permission")
long brunt_access(__u64 *arguments)
{
	int mask = (int)arguments[1];
	__u32 wanted = (mask & MAY_READ ? BRUNT_FILE_READ : 0) | (mask & MAY_WRITE ? BRUNT_FILE_WRITE : 0);

	return wanted && concerns(wanted) ? judge_file((void *)arguments[0]) : 0;
}

SEC("lsm/path_truncate")
long brunt_truncate(__u64 *arguments)
{
	return concerns(BRUNT_FILE_TRUNCATE) ? judge(is_meant(place_of_path((void *)arguments[0]))) : 0;
}

/* Linux 6.2 has it for files that are open: ftruncate(), O_TRUNC. */
SEC("lsm/file_truncate")
long brunt_ftruncate(__u64 *arguments)
{
	return concerns(BRUNT_FILE_TRUNCATE) ? judge_file((void *)arguments[0]) : 0;
}

/* Without a file for anonymous memory. A verifier that does not know that drops the question; see place_of_path(). */
SEC("lsm/mmap_file")
long brunt_mmap(__u64 *arguments)
{
	const struct file *file = (void *)arguments[0];

	return concerns(BRUNT_FILE_MMAP) && file ? judge_file(file) : 0;
}

SEC("lsm/file_lock")
long brunt_lock(__u64 *arguments)
{
	return concerns(BRUNT_FILE_LOCK) ? judge_file((void *)arguments[0]) : 0;
}

SEC("lsm/bprm_check_security")
long brunt_exec(__u64 *arguments)
{
	const struct linux_binprm *program = (void *)arguments[0];

	return concerns(BRUNT_FILE_EXEC) ? judge(is_meant(place_of_file(BPF_CORE_READ(program, file)))) : 0;
}

SEC("lsm/path_unlink")
long brunt_unlink(__u64 *arguments)
{
	if (!concerns(BRUNT_FILE_UNLINK))
		return 0;
	return judge(is_meant(place_in((void *)arguments[0], (void *)arguments[1])));
}

/* Either end. An exchange is asked about twice, once from each end: two calls to us. */
SEC("lsm/path_rename")
long brunt_rename(__u64 *arguments)
{
	if (!concerns(BRUNT_FILE_RENAME))
		return 0;
	return judge(is_meant(place_in((void *)arguments[0], (void *)arguments[1])) ||
		     is_meant(place_in((void *)arguments[2], (void *)arguments[3])));
}

/* The new name; the old one comes without its mount. */
SEC("lsm/path_link")
long brunt_link(__u64 *arguments)
{
	if (!concerns(BRUNT_FILE_LINK))
		return 0;
	return judge(is_meant(place_in((void *)arguments[1], (void *)arguments[2])));
}

SEC("lsm/path_symlink")
long brunt_symlink(__u64 *arguments)
{
	if (!concerns(BRUNT_FILE_SYMLINK))
		return 0;
	return judge(is_meant(place_in((void *)arguments[0], (void *)arguments[1])));
}

SEC("lsm/path_mkdir")
long brunt_mkdir(__u64 *arguments)
{
	if (!concerns(BRUNT_FILE_MKDIR))
		return 0;
	return judge(is_meant(place_in((void *)arguments[0], (void *)arguments[1])));
}

SEC("lsm/path_rmdir")
long brunt_rmdir(__u64 *arguments)
{
	if (!concerns(BRUNT_FILE_RMDIR))
		return 0;
	return judge(is_meant(place_in((void *)arguments[0], (void *)arguments[1])));
}

SEC("lsm/path_chmod")
long brunt_chmod(__u64 *arguments)
{
	return concerns(BRUNT_FILE_CHMOD) ? judge(is_meant(place_of_path((void *)arguments[0]))) : 0;
}

SEC("lsm/path_chown")
long brunt_chown(__u64 *arguments)
{
	return concerns(BRUNT_FILE_CHOWN) ? judge(is_meant(place_of_path((void *)arguments[0]))) : 0;
}

/* ---- learning what an open folder is called inside the kernel ---- */

/* Read once by the holder: runs for each descriptor of each process, in the context of who reads. */
SEC("iter/task_file")
int brunt_learn(struct bpf_iter__task_file *at)
{
	struct task_struct *task = at->task;
	struct file *file = at->file;
	__u64 *inode;
	__u32 fd;

	if (!task || !file || (__u32)BPF_CORE_READ(task, tgid) != bpf_get_current_pid_tgid() >> 32)
		return 0;
	fd = at->fd;
	inode = bpf_map_lookup_elem(&brunt_learned, &fd);
	if (inode)
		*inode = (__u64)BPF_CORE_READ(file, f_inode);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
