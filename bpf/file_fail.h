/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What file_fail.bpf.c shares with injector/fault/file_fail.c. */
#ifndef BRUNT_BPF_FILE_FAIL_H
#define BRUNT_BPF_FILE_FAIL_H

#include <linux/bpf.h>

#include "match.h"

/* Bits: what a process does to files. */
enum brunt_file_operation {
	BRUNT_FILE_OPEN = 1 << 0,
	BRUNT_FILE_CREATE = 1 << 1,
	BRUNT_FILE_READ = 1 << 2,
	BRUNT_FILE_WRITE = 1 << 3,
	BRUNT_FILE_TRUNCATE = 1 << 4,
	BRUNT_FILE_MMAP = 1 << 5,
	BRUNT_FILE_LOCK = 1 << 6,
	BRUNT_FILE_EXEC = 1 << 7,
	BRUNT_FILE_UNLINK = 1 << 8,
	BRUNT_FILE_RENAME = 1 << 9,
	BRUNT_FILE_LINK = 1 << 10,
	BRUNT_FILE_SYMLINK = 1 << 11,
	BRUNT_FILE_MKDIR = 1 << 12,
	BRUNT_FILE_RMDIR = 1 << 13,
	BRUNT_FILE_CHMOD = 1 << 14,
	BRUNT_FILE_CHOWN = 1 << 15,
};

/* Each program asks for each of the target's cgroups whether it runs in it. */
#define BRUNT_FILE_CGROUPS 64
#define BRUNT_FILE_CODES   16
#define BRUNT_FILE_FOLDERS 1024
/* Folders and mounts between a file and the root that are looked at; what lies deeper is not found. */
#define BRUNT_FILE_DEPTH 64
#define BRUNT_FILE_NAME	 256 /* NAME_MAX and a NUL */

struct brunt_file_control {
	struct brunt_control base;
	__u32 operations;	       /* enum brunt_file_operation */
	__u32 cgroups;		       /* that many of brunt_cgroups are filled */
	__u32 processes;	       /* those in brunt_victims instead */
	__u32 folders;		       /* brunt_folders has some */
	__u32 names;		       /* brunt_names has some */
	__u32 code_count;	       /* of codes; at least 1 */
	__s64 codes[BRUNT_FILE_CODES]; /* negative, as the hook returns them */
	__u64 nth, first, budget;      /* 0: not asked for */
};

/* A name in a folder, which is told by the address of its inode: brunt has it open, so nothing else comes to lie there. */
struct brunt_file_name {
	__u64 folder;
	char name[BRUNT_FILE_NAME]; /* zeros to its end */
};

/* What one decision has to do with the next: one for all CPUs. It outlives disarming: counts are of the run. */
struct brunt_file_order {
	struct bpf_spin_lock lock;
	__u32 padding;
	__u64 random; /* xorshift64* state, never 0 */
	__u64 seen, hit;
};

#endif
