/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking the cgroup v2 tree. Paths are below the mount and begin with a
 * slash; "/" is the root. Directories may vanish at any moment: they are then
 * as if they had never been there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct brunt_error;

#define BRUNT_CGROUP_PATH  512 /* bytes of a path with its terminator: struct brunt_item.cgroup */
#define BRUNT_CGROUP_DEPTH 32  /* levels that a walk goes down */

/* Reads mountinfo(5) text; the mount point of cgroup v2 into buf: that of the whole hierarchy if there is one. */
int brunt_cgroup_mount_parse(FILE *mountinfo, char *buf, size_t size);

/* A descriptor of the mount (to be closed), or -errno; -ENOTSUP when mount is NULL. */
int brunt_cgroup_open(const char *mount, struct brunt_error *err);

/* Is this text a pattern for fnmatch, or does it mean itself? */
bool brunt_cgroup_has_wildcard(const char *text);

/* fnmatch() for one name. A backslash means itself: systemd's names are full of them ("dev-disk\x2da.mount"). */
bool brunt_cgroup_name_matches(const char *pattern, const char *name);

enum brunt_cgroup_next { BRUNT_CGROUP_DESCEND, BRUNT_CGROUP_SKIP };

/* What a walk calls for each directory: name is the last part of path. Returns enum brunt_cgroup_next or -errno. */
typedef int brunt_cgroup_visit(void *user, const char *path, const char *name);

/* Visits every directory below path (which is not visited itself), parents first. 0, or what visit returned below 0. */
int brunt_cgroup_walk(int mount_fd, const char *path, brunt_cgroup_visit *visit, void *user);

/* Calls found for each directory that the pattern means, one fnmatch pattern per level. 0 or what found returned. */
int brunt_cgroup_glob(int mount_fd, const char *pattern, int (*found)(void *user, const char *path), void *user);

/* Is it a directory now? */
bool brunt_cgroup_exists(int mount_fd, const char *path);

/* Does any process live in it or below? True as well when it cannot be told (the root). */
bool brunt_cgroup_populated(int mount_fd, const char *path);

/* Inode of the directory, which is the cgroup's id; 0 when it is gone. */
uint64_t brunt_cgroup_id(int mount_fd, const char *path);

/* Calls visit for each process of the subtree; one of another PID namespace that has no pid in ours is left out. */
int brunt_cgroup_processes(int mount_fd, const char *path, int (*visit)(void *user, pid_t pid), void *user);

/* The v2 cgroup of a process from PID/cgroup; 0, -ESRCH, -ENOENT when it has none that we can see. */
int brunt_cgroup_of(int proc_dir, pid_t pid, char *buf, size_t size);

/* Is path the cgroup above, or below it? */
bool brunt_cgroup_within(const char *path, const char *above);
