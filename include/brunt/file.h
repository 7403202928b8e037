/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that others read while we write them, and folders that others may write to while we, as root, do.
 */
#pragma once

#include <stddef.h>

struct brunt_error;

/*
 * Opens folder name in dir (AT_FDCWD: the current one). A symbolic link that somebody else than root or we can have
 * put there is followed only to a folder of that somebody: never where only root may write. path is for the message.
 * The descriptor, which is O_PATH (open(2)); -ENOENT, -EPERM (such a link), -errno.
 */
int brunt_folder_enter(int dir, const char *name, const char *path, struct brunt_error *err);

/* The same for each part of path; "" is the current folder. The descriptor, or -errno. */
int brunt_folder_open(const char *path, struct brunt_error *err);

/*
 * Replaces a file's content by text, and a newline if it ends in none, in one step: a temporary file beside it,
 * synced, renamed over it. In a folder of a user the file that root makes is that user's. -EINVAL when what is there is no regular file; 0 or -errno; then the old
 * file, if any, is as it was.
 */
int brunt_file_replace(const char *path, const char *text, size_t size, struct brunt_error *err);
