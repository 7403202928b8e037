/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose socket is it? Collected from /proc and from the cgroup tree, then
 * asked by what sock_diag tells of a socket: its inode and its cgroup.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct brunt_error;

struct brunt_ids {
	uint64_t *ids;
	size_t count, room;
};

struct brunt_owners {
	struct brunt_ids inodes;  /* of sockets that a process has open */
	struct brunt_ids cgroups; /* in which a socket may have been made */
	struct brunt_ids pids;	  /* already gone through */
};

/* Adds every socket of a process. One that has ended has none: 0. -EPERM (needs CAP_SYS_PTRACE), -ENOMEM, -errno. */
int brunt_owners_add_process(struct brunt_owners *owners, pid_t pid, struct brunt_error *err);

/* Adds a cgroup (path below mount), those below it, and the sockets of every process there. */
int brunt_owners_add_cgroup(struct brunt_owners *owners, const char *mount, const char *path, struct brunt_error *err);

/* Adds the sockets of a process, of its parent, and so on up to init: brunt itself, sudo, the shell, its sshd. */
int brunt_owners_add_ancestors(struct brunt_owners *owners, pid_t pid, struct brunt_error *err);

/* Adds the sockets of every process whose name begins so. */
int brunt_owners_add_named(struct brunt_owners *owners, const char *prefix, struct brunt_error *err);

/* Adds one socket by its inode. 0 or -ENOMEM. */
int brunt_owners_add_inode(struct brunt_owners *owners, uint64_t inode);

/* After the last was added, before the first is asked for. */
void brunt_owners_sort(struct brunt_owners *owners);

bool brunt_ids_have(const struct brunt_ids *ids, uint64_t id);

/* For the cleanup attribute, too. */
void brunt_owners_done(struct brunt_owners *owners);
