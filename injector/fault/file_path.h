/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paths of a file fault: read as the plan has them, and found as the
 * target's processes see them (their mounts, their root). What is found are
 * folders, held open: a program in the kernel tells them by their inode.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct brunt_error;
struct brunt_list;
struct brunt_victims;

#define BRUNT_FILE_PATHS_MAX 1024 /* folders that one fault holds open */

struct brunt_file_place {
	int fd;	    /* O_PATH, of a folder */
	char *name; /* in that folder; NULL: the folder itself and all that is in it */
};

struct brunt_file_places {
	struct brunt_file_place *items;
	size_t count, room;
};

/* Is this a path that can be matched? 0 or -EINVAL. Pure. */
int brunt_file_path_check(const char *text, struct brunt_error *err);

/*
 * Finds each of the paths (of const char *) for each of the picked victims, adds them to ret, which begins zeroed and is
 * to be closed also after a failure. mount: of cgroup v2. A name that is a symbolic link means the link and what it leads
 * to. 0; -ESRCH: a path's folder is there for none of the processes; -EACCES, -E2BIG, -ENOMEM, -errno.
 */
int brunt_file_places_find(const struct brunt_list *paths, const struct brunt_victims *victims, const char *mount,
			   struct brunt_file_places *ret, struct brunt_error *err);

/* Closes and forgets all of them. May be called again. */
void brunt_file_places_close(struct brunt_file_places *places);
