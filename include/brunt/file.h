/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that others read while we write them.
 */
#pragma once

#include <stddef.h>

struct brunt_error;

/*
 * Replaces a file's content in one step: a temporary file beside it, synced, renamed over it. 0 or -errno; then the
 * old file, if any, is as it was.
 */
int brunt_file_replace(const char *path, const char *text, size_t size, struct brunt_error *err);
