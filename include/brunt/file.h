/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that others read while we write them.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct brunt_error;

/*
 * Replaces a file's content by text and a newline, if it ends in none, in one step: a temporary file beside it, synced,
 * renamed over it. In a folder of owner's the file is owner's and group's; (uid_t)-1: the caller's. 0 or -errno; then
 * the old file, if any, is as it was.
 */
int brunt_file_replace(const char *path, const char *text, size_t size, uid_t owner, gid_t group,
		       struct brunt_error *err);
