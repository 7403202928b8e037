/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading /proc. Every file is opened relative to a descriptor of the folder,
 * read at once into a buffer of the caller's, and may be gone at any moment:
 * that is -ESRCH, never a surprise.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct brunt_error;

/* What /proc/PID/stat says, as far as we care. */
struct brunt_proc_stat {
	pid_t ppid;
	char state;	/* 'R', 'S', ... 'Z' */
	unsigned flags; /* PF_* of the kernel */
	unsigned threads;
	uint64_t start; /* clock ticks since boot */
	char comm[16];	/* as the kernel has it: any byte but NUL */
};

/* Where a process lives, as seen from the PID namespace that /proc was mounted in. */
struct brunt_proc_place {
	unsigned depth; /* 1: that very namespace; more: namespaces below it; 0: cannot be told */
	pid_t inner;	/* its pid in its own namespace */
};

/* A descriptor of the folder (to be closed), or -errno with a phrase. */
int brunt_proc_open(const char *proc, struct brunt_error *err);

/* Reads at most size - 1 bytes of PID/file, terminates them; how many, -ESRCH when it vanished, or -errno. */
ssize_t brunt_proc_read(int dir, pid_t pid, const char *file, char *buf, size_t size);

/* The same for a symbolic link ("exe", "fd/7"). */
ssize_t brunt_proc_readlink(int dir, pid_t pid, const char *file, char *buf, size_t size);

/* Takes PID/stat's text apart; 0 or -EINVAL when it is cut or not one. */
int brunt_proc_stat_parse(const char *text, struct brunt_proc_stat *ret);

/* 0, -ESRCH, -errno. */
int brunt_proc_stat(int dir, pid_t pid, struct brunt_proc_stat *ret);

/* Neither dead nor a zombie. A dead leader with living threads counts as alive: kill and pause still reach those. */
int brunt_proc_stat_alive(const struct brunt_proc_stat *stat);

/* Reads the NSpid line of PID/status; buf is scratch. 0, -ESRCH, -errno. */
int brunt_proc_place(int dir, pid_t pid, char *buf, size_t size, struct brunt_proc_place *ret);

/* Calls visit for each process, in the kernel's order (by pid); ends early when it returns non-zero, with that. */
int brunt_proc_scan(int dir, int (*visit)(void *user, pid_t pid), void *user);

/* The base name in argv[0], where text are PID/cmdline's bytes; a title ("nginx: worker process") stays whole. */
const char *brunt_proc_argv0(const char *text);
