/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "hold/remove.h"

#define DEPTH_MAX   64
#define ENTRIES_MAX 1000000
#define CGROUP_WAIT (2 * BRUNT_S)

#define RUN_ID_SIZE 8 /* a shorter one would be found in anybody's path */

/* A ledger could be damaged in ways that still check out: only what carries the run's name is ours. */
static int check_path(const char *path, const char *run, struct brunt_error *err)
{
	const char *last = strrchr(path, '/');

	if (path[0] != '/' || strstr(path, "/../") || !last || strlen(run) < RUN_ID_SIZE || !strstr(last, run))
		return brunt_fail(err, EINVAL, "'%s' is not something that run %s made", path, run);
	return 0;
}

static int remove_below(int dir, dev_t device, unsigned depth, unsigned *budget);

/*
 * A folder, but not what is mounted there: that may be a part of the same filesystem, mounted once more, which no
 * device number tells (openat2(2): RESOLVE_NO_XDEV; from 5.6 on, and not in every container).
 */
static int open_folder(int dir, const char *name)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

static int remove_entry(int dir, const char *name, dev_t device, unsigned depth, unsigned *budget)
{
	BRUNT_AUTO_CLOSE int below = -1;
	struct stat st;
	int r;

	if (!unlinkat(dir, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	below = open_folder(dir, name);
	if (below < 0 || fstat(below, &st))
		return -errno;
	if (st.st_dev != device)
		return -EXDEV;
	r = remove_below(below, device, depth + 1, budget);
	if (r < 0)
		return r;
	return unlinkat(dir, name, AT_REMOVEDIR) && errno != ENOENT ? -errno : 0;
}

/* Goes on after an error, so that as little as possible stays; returns the first. */
static int remove_below(int dir, dev_t device, unsigned depth, unsigned *budget)
{
	BRUNT_AUTO_CLOSE int own = depth < DEPTH_MAX ? fcntl(dir, F_DUPFD_CLOEXEC, 3) : -1;
	const struct dirent *entry;
	int result = 0;
	DIR *stream;

	if (depth >= DEPTH_MAX)
		return -E2BIG;
	stream = own < 0 ? NULL : fdopendir(own);
	if (!stream)
		return -errno;
	(void)BRUNT_TAKE_FD(own);
	while ((entry = readdir(stream))) {
		int r;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (!*budget) {
			result = -E2BIG;
			break;
		}
		--*budget;
		r = remove_entry(dir, entry->d_name, device, depth, budget);
		if (r < 0 && !result)
			result = r;
	}
	(void)closedir(stream);
	return result;
}

int remove_folder(const char *path, const char *run, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int dir = -1;
	unsigned budget = ENTRIES_MAX;
	struct stat st;
	int r = check_path(path, run, err);

	if (r < 0)
		return r;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 && errno == ENOENT)
		return 0;
	if (dir < 0 || fstat(dir, &st))
		return brunt_fail(err, errno, "cannot open '%s': %s", path, strerror(errno));
	r = remove_below(dir, st.st_dev, 0, &budget);
	if (!r && rmdir(path) && errno != ENOENT)
		r = -errno;
	return r < 0 ? brunt_fail(err, -r, "cannot remove '%s': %s", path, strerror(-r)) : 0;
}

static bool is_populated(int dir)
{
	BRUNT_AUTO_CLOSE int fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	char text[256] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return false;
	return strstr(text, "populated 1");
}

/* cgroup.kill (Linux 5.14) reaches forks that happen meanwhile, too. */
static int kill_cgroup(int dir)
{
	BRUNT_AUTO_CLOSE int fd = openat(dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	uint64_t until = brunt_now() + CGROUP_WAIT;
	const struct timespec pause = { .tv_nsec = 2 * (long)BRUNT_MS };

	if (fd < 0 || write(fd, "1", 1) != 1)
		return -errno;
	while (is_populated(dir)) {
		if (brunt_now() >= until)
			return -EBUSY;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

/* The files of a cgroup go with it; only directories are removed, the deepest first. */
static int remove_cgroups_below(int dir, unsigned depth)
{
	const struct dirent *entry;
	int own = depth < DEPTH_MAX ? fcntl(dir, F_DUPFD_CLOEXEC, 3) : -1, result = 0;
	DIR *stream;

	if (own < 0)
		return -E2BIG;
	stream = fdopendir(own);
	if (!stream) {
		(void)close(own);
		return -ENOMEM;
	}
	while ((entry = readdir(stream))) {
		BRUNT_AUTO_CLOSE int below = -1;

		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		below = openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0 && remove_cgroups_below(below, depth + 1))
			result = -EBUSY;
		if (unlinkat(dir, entry->d_name, AT_REMOVEDIR) && errno != ENOENT)
			result = -errno;
	}
	(void)closedir(stream);
	return result;
}

int remove_cgroup(const char *path, const char *run, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int dir = -1;
	int r = check_path(path, run, err);

	if (r < 0)
		return r;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : brunt_fail(err, errno, "cannot open '%s': %s", path, strerror(errno));
	r = kill_cgroup(dir);
	if (!r)
		r = remove_cgroups_below(dir, 0);
	if (!r && rmdir(path) && errno != ENOENT)
		r = -errno;
	if (r == -EBUSY)
		return brunt_fail(err, EBUSY, "processes in the cgroup '%s' do not end", path);
	return r < 0 ? brunt_fail(err, -r, "cannot remove the cgroup '%s': %s", path, strerror(-r)) : 0;
}
