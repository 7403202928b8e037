/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
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
		if (written < 0)
			return -errno;
		text += written;
		size -= (size_t)written;
	}
	return 0;
}

/* Opens path's folder and puts its last component into name (NAME_MAX + 1 bytes). */
static int open_folder(const char *path, char *name)
{
	char folder[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;
	size_t length = slash ? (size_t)(slash - path) + 1 : 0; /* with the slash: "/" is a folder, too */
	int fd;

	if (strlen(last) > NAME_MAX || length >= sizeof(folder))
		return -ENAMETOOLONG;
	memcpy(name, last, strlen(last) + 1);
	if (length) {
		memcpy(folder, path, length);
		folder[length] = '\0';
	}
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void give_away(int fd, int dir, uid_t owner, gid_t group)
{
	struct stat st;

	if (owner != (uid_t)-1 && !fstat(dir, &st) && st.st_uid == owner)
		(void)!fchown(fd, owner, group);
}

static int replace(int dir, const char *name, const char *text, size_t size, uid_t owner, gid_t group)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	char temporary[NAME_MAX + 1];
	int r;

	if (snprintf(temporary, sizeof(temporary), ".%s.%d", name, (int)getpid()) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	/* The folder may be another user's, and we root: what lies there under this name is never followed. */
	(void)unlinkat(dir, temporary, 0);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	give_away(fd, dir, owner, group);
	r = write_all(fd, text, size);
	if (!r && (!size || text[size - 1] != '\n'))
		r = write_all(fd, "\n", 1);
	if (!r && (fsync(fd) || renameat(dir, temporary, dir, name)))
		r = -errno;
	if (r)
		(void)unlinkat(dir, temporary, 0);
	else
		(void)fsync(dir);
	return r;
}

int brunt_file_replace(const char *path, const char *text, size_t size, uid_t owner, gid_t group,
		       struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int dir = -1;
	char name[NAME_MAX + 1];
	int r;

	dir = open_folder(path, name);
	if (dir < 0)
		return brunt_fail(err, -dir, "cannot open the folder of '%.150s': %s", path, strerror(-dir));
	r = replace(dir, name, text, size, owner, group);
	return r ? brunt_fail(err, -r, "cannot write '%.150s': %s", path, strerror(-r)) : 0;
}
