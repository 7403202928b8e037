/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls: one table says what brunt knows of each, and libseccomp its
 * number. An entry's index in the table is its identity everywhere else, so
 * that sets of calls are small bitmaps and no number of one architecture is
 * taken for that of another.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct brunt_error;
struct brunt_list;

/* As strace groups them (%file, ...), and %sync, because what people call fsync is often fdatasync. */
enum brunt_call_class {
	BRUNT_CALLS_FILE = 1 << 0,    /* takes a path */
	BRUNT_CALLS_DESC = 1 << 1,    /* takes or gives a descriptor; most of those of sockets are in NETWORK only */
	BRUNT_CALLS_NETWORK = 1 << 2, /* sockets */
	BRUNT_CALLS_MEMORY = 1 << 3,
	BRUNT_CALLS_PROCESS = 1 << 4,
	BRUNT_CALLS_SIGNAL = 1 << 5,
	BRUNT_CALLS_IPC = 1 << 6,  /* System V */
	BRUNT_CALLS_SYNC = 1 << 7, /* fsync, fdatasync, msync, sync_file_range, syncfs, sync */
	BRUNT_CALLS_CREDS = 1 << 8,
	BRUNT_CALLS_CLOCK = 1 << 9,
};

/* What one entry may say besides. */
enum brunt_call_flag {
	BRUNT_CALL_VDSO = 1 << 0, /* answered without the kernel as a rule: seccomp does not see those */
	/* Gives a number of bytes, and fewer than asked for is legal (read, write, send); with vectors count is -1. */
	BRUNT_CALL_SHORT = 1 << 1,
	BRUNT_CALL_NOTIFY = 1 << 2,   /* never to be sent to a supervisor, nor to fail (see brunt_call_may_fail) */
	BRUNT_CALL_NORETURN = 1 << 3, /* exit, exit_group, rt_sigreturn: has no error that anybody could see */
};

struct brunt_call {
	const char *name; /* as libseccomp and strace have it */
	uint32_t classes;
	uint32_t flags;
	/* Indexes of arguments; -1: none. */
	int8_t fd, fd2;		  /* open descriptors (fd2: the other one of sendfile, splice, copy_file_range, ...) */
	int8_t path[2], dirfd[2]; /* a path, and the directory that it is relative to (-1 there: the current one) */
	int8_t address, addrlen;  /* a socket address and its size (an int by value) */
	int8_t count;		  /* how many bytes */
	/* Calls that do the same for a program that uses the other one; 0: none. fsync, fdatasync, ... have one number. */
	uint8_t family;
	const char *errnos; /* those that its manual page allows: "EBADF EIO ENOSPC"; "" when it has none */
};

extern const struct brunt_call brunt_calls[];
extern const size_t brunt_call_count; /* at most BRUNT_CALLS_MAX */

#define BRUNT_CALLS_MAX 512

struct brunt_call_set {
	uint64_t bits[BRUNT_CALLS_MAX / 64];
};

static inline bool brunt_call_set_has(const struct brunt_call_set *set, unsigned index)
{
	return index < BRUNT_CALLS_MAX && set->bits[index / 64] >> index % 64 & 1;
}

static inline void brunt_call_set_add(struct brunt_call_set *set, unsigned index)
{
	set->bits[index / 64] |= UINT64_C(1) << index % 64;
}

/* By name, or NULL. */
const struct brunt_call *brunt_call_find(const char *name);

/* May it be notified of, or fail? False for what a process cannot do without: exit, seccomp, ... */
static inline bool brunt_call_may_fail(const struct brunt_call *call)
{
	return !(call->flags & BRUNT_CALL_NOTIFY);
}

/* Index in the table. */
unsigned brunt_call_index(const struct brunt_call *call);

/*
 * Its number on an architecture (AUDIT_ARCH_x of linux/audit.h; x86-64, arm64); -1: it has none there, or libseccomp is
 * older than the call. No allocation.
 */
int brunt_call_number(const struct brunt_call *call, uint32_t arch);

/*
 * Index of a number on this machine's own architecture; -1: not in the table. Constant time, no allocation, but for the
 * first call of any of these functions in a process: that one fills tables, so no two threads may make it at once.
 */
int brunt_call_index_of(int number);

/* AUDIT_ARCH_x of this machine, 0 when brunt does not know it. */
uint32_t brunt_call_arch(void);

/*
 * The calls that words name: names, classes ("%file") and "all". words: of const char *. What must not fail (see
 * brunt_call_may_fail) is refused by name and left out of classes and "all"; so is what this architecture does not have
 * (creat on arm64). -EINVAL with the reason or a suggestion, and *ret as it was: "no system call is called 'fsnyc'; did
 * you mean 'fsync'?", "no class of calls is called '%files'; there are %file, ...".
 */
int brunt_calls_select(const struct brunt_list *words, struct brunt_call_set *ret, struct brunt_error *err);

/* The same for another architecture (AUDIT_ARCH_x); 0: -ENOTSUP. */
int brunt_calls_select_on(uint32_t arch, const struct brunt_list *words, struct brunt_call_set *ret,
			  struct brunt_error *err);

/* Adds what has the same family as a call in the set, and may fail. */
void brunt_calls_add_families(struct brunt_call_set *set);

/* Writes the names for a person, in the table's order: "fsync, fdatasync and 3 more", "none"; returns buf. */
const char *brunt_calls_print(const struct brunt_call_set *set, char *buf, size_t size);

/* Calls cb for each errno that the manual page of call allows, in the table's order. user may be NULL. */
void brunt_call_each_errno(const struct brunt_call *call, void (*cb)(void *user, int code), void *user);
