/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/file.h"
#include "brunt/memory.h"

static int write_all(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t written = write(fd, text, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return -errno;
		text += written;
		size -= (size_t)written;
	}
	return 0;
}

static bool is_trusted(uid_t owner)
{
	return !owner || owner == geteuid();
}

/* Who may have put a link here? Root and we ourselves are trusted; in a folder that others write to it is the link's.
 */
static int check_link(int dir, const char *name, int target)
{
	struct stat here, link, there;
	uid_t owner;

	if (fstat(dir, &here) || fstatat(dir, name, &link, AT_SYMLINK_NOFOLLOW) || fstat(target, &there))
		return -errno;
	owner = here.st_uid;
	if (is_trusted(owner) && here.st_mode & (S_IWGRP | S_IWOTH))
		owner = link.st_uid;
	return is_trusted(owner) || owner == there.st_uid ? 0 : -EPERM;
}

int brunt_folder_enter(int dir, const char *name, const char *path, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int above = dir == AT_FDCWD ? open(".", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	BRUNT_AUTO_CLOSE int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = 0;

	if (fd >= 0)
		return BRUNT_TAKE_FD(fd);
	if (errno == ELOOP || errno == ENOTDIR) {
		fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = fd < 0 ? -errno : check_link(above < 0 ? dir : above, name, fd);
	} else {
		r = -errno;
	}
	if (r == -EPERM)
		return brunt_fail(err, EPERM, "'%s' goes through a link of another user to a folder that is not theirs",
				  path);
	if (r < 0)
		return brunt_fail(err, -r, "cannot open the folder '%s': %s", path, strerror(-r));
	return BRUNT_TAKE_FD(fd);
}

int brunt_folder_open(const char *path, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int dir = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char part[NAME_MAX + 1];

	if (dir < 0)
		return brunt_fail(err, errno, "cannot open the folder of '%s': %s", path, strerror(errno));
	for (const char *at = path + strspn(path, "/"); *at; at += strspn(at, "/")) {
		size_t size = strcspn(at, "/");
		int below;

		if (size > NAME_MAX)
			return brunt_fail(err, ENAMETOOLONG, "the path '%.100s...' is too long", path);
		(void)snprintf(part, sizeof(part), "%.*s", (int)size, at);
		below = brunt_folder_enter(dir, part, path, err);
		if (below < 0)
			return below;
		(void)close(dir);
		dir = below;
		at += size;
	}
	return BRUNT_TAKE_FD(dir);
}

/* A file in a user's folder should be that user's. */
static void give_away(int fd, int dir)
{
	struct stat st;

	if (!geteuid() && !fstat(dir, &st) && st.st_uid)
		(void)!fchown(fd, st.st_uid, st.st_gid);
}

static int write_beside(int dir, const char *name, const char *text, size_t size)
{
	char temporary[NAME_MAX + 1];
	BRUNT_AUTO_CLOSE int fd = -1;
	BRUNT_AUTO_CLOSE int folder = -1;
	uint32_t random = 0;
	int r;

	(void)!getrandom(&random, sizeof(random), 0);
	if (snprintf(temporary, sizeof(temporary), "%s.%08x", name, random) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	give_away(fd, dir);
	r = write_all(fd, text, size);
	if (!r && (!size || text[size - 1] != '\n'))
		r = write_all(fd, "\n", 1);
	if (!r && (fchmod(fd, 0644) || fsync(fd) || renameat(dir, temporary, dir, name)))
		r = -errno;
	if (r)
		(void)unlinkat(dir, temporary, 0);
	else
		folder = openat(dir, ".",
				O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* dir is O_PATH, which cannot be synced */
	if (folder >= 0)
		(void)fsync(folder);
	return r;
}

int brunt_file_replace(const char *path, const char *text, size_t size, struct brunt_error *err)
{
	const char *slash = strrchr(path, '/');
	BRUNT_AUTO_FREE char *folder = strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
	BRUNT_AUTO_CLOSE int dir = -1;
	struct stat st;
	int r;

	if (!folder)
		return brunt_fail(err, ENOMEM, "out of memory");
	dir = brunt_folder_open(folder, err);
	if (dir < 0)
		return brunt_wrap(err, "cannot write '%s'", path);
	/* /dev/null would be a file from now on, for the whole host. */
	if (!fstatat(dir, slash ? slash + 1 : path, &st, AT_SYMLINK_NOFOLLOW) && !S_ISREG(st.st_mode))
		return brunt_fail(err, EINVAL, "cannot write '%s': it is there, and is no regular file", path);
	r = write_beside(dir, slash ? slash + 1 : path, text, size);
	return r ? brunt_fail(err, -r, "cannot write '%s': %s", path, strerror(-r)) : 0;
}
