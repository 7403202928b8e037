/* SPDX-License-Identifier: Apache-2.0 */
/* A fresh copy of a folder for each run, and its removal. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brunt/memory.h"
#include "survey/run.h"

#define FOLDERS_OPEN 32
#define PART	     (1 << 30)

/* nftw(3) hands nothing through; a run has a process of its own. */
static const char *copy_to;
static size_t copy_from_size;
static struct stat copy_without;
static char copy_failed[PATH_MAX];

static int copy_file(const char *from, const char *to, const struct stat *st)
{
	BRUNT_AUTO_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC);
	BRUNT_AUTO_CLOSE int out = in >= 0 ? open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	ssize_t size;

	if (in < 0 || out < 0)
		return -1;
	/* by reflink where the file system can */
	while ((size = copy_file_range(in, NULL, out, NULL, PART, 0)) > 0)
		;
	if (size < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
		while ((size = sendfile(out, in, NULL, PART)) > 0)
			;
	return size < 0 || fchmod(out, st->st_mode & 07777) ? -1 : 0;
}

static int copy_link(const char *from, const char *to)
{
	char text[PATH_MAX];
	ssize_t size = readlink(from, text, sizeof(text) - 1);

	if (size < 0)
		return -1;
	text[size] = '\0';
	return symlink(text, to);
}

static int copy_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	char to[PATH_MAX];
	int r = 0;

	if (!where->level)
		return FTW_CONTINUE;
	if (kind == FTW_D && st->st_dev == copy_without.st_dev && st->st_ino == copy_without.st_ino)
		return FTW_SKIP_SUBTREE;
	if (snprintf(to, sizeof(to), "%s/%s", copy_to, path + copy_from_size) >= (int)sizeof(to)) {
		errno = ENAMETOOLONG;
		r = -1;
	} else if (kind == FTW_D) {
		/* one's own for now; what may not be written in is made so at the end by nobody: the copy is short-lived */
		r = mkdir(to, (st->st_mode & 07777) | 0700);
	} else if (kind == FTW_SL || kind == FTW_SLN) {
		r = copy_link(path, to);
	} else if (kind == FTW_F && S_ISREG(st->st_mode)) {
		r = copy_file(path, to, st);
	} else if (kind == FTW_DNR || kind == FTW_NS) {
		errno = EACCES;
		r = -1;
	} /* sockets, pipes, devices: left out */
	if (r)
		(void)snprintf(copy_failed, sizeof(copy_failed), "%s", path);
	return r ? FTW_STOP : FTW_CONTINUE;
}

int survey_tree_copy(const char *from, const char *to, const char *without, struct brunt_error *err)
{
	if (stat(without, &copy_without))
		return brunt_fail(err, errno, "cannot look at '%s': %s", without, strerror(errno));
	copy_to = to;
	copy_from_size = strlen(from);
	while (copy_from_size > 1 && from[copy_from_size - 1] == '/')
		copy_from_size--;
	copy_failed[0] = '\0';
	if (nftw(from, copy_one, FOLDERS_OPEN, FTW_PHYS | FTW_MOUNT | FTW_ACTIONRETVAL))
		return brunt_fail(err, errno, "cannot copy '%s': %s", copy_failed[0] ? copy_failed : from,
				  strerror(errno));
	return 0;
}

static int open_up(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)where;
	if (kind == FTW_D && (st->st_mode & 0700) != 0700)
		(void)chmod(path, 0700);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	(void)remove(path);
	return 0;
}

void survey_tree_remove(const char *path)
{
	(void)nftw(path, open_up, FOLDERS_OPEN, FTW_PHYS | FTW_MOUNT);
	(void)nftw(path, remove_one, FOLDERS_OPEN, FTW_PHYS | FTW_MOUNT | FTW_DEPTH);
}
