/* SPDX-License-Identifier: Apache-2.0 */
/* Taking away what a run made for itself: folders and cgroups. */
#pragma once

struct brunt_error;

/*
 * Removes the folder path (absolute, its last component holds the text run) and all below it, never following a
 * symbolic link, never entering another filesystem. 0, also when it is not there; -EINVAL, -E2BIG, -errno.
 */
int remove_folder(const char *path, const char *run, struct brunt_error *err);

/*
 * Kills every process in the cgroup (a directory: absolute, its last component holds the text run) and below, waits
 * until they are gone (2 s at most), removes it with those below it. 0, also when it is not there; -EBUSY, -errno.
 */
int remove_cgroup(const char *path, const char *run, struct brunt_error *err);
