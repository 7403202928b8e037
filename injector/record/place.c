/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where journals are: making one, finding one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/file.h"
#include "brunt/memory.h"
#include "brunt/sink.h"

#define SYSTEM_FOLDER "/var/lib/brunt"

static const char *state_home(void)
{
	const char *home = getenv("XDG_STATE_HOME");

	/* The specification has relative ones ignored. */
	return home && home[0] == '/' ? home : NULL;
}

static int fits(int length, size_t size, struct brunt_error *err)
{
	return length < 0 || (size_t)length >= size ? brunt_fail(err, ENAMETOOLONG, "the journal's path is too long")
						    : 0;
}

int brunt_journal_folder(char *buf, size_t size, struct brunt_error *err)
{
	const char *home = getenv("HOME");

	if (state_home())
		return fits(snprintf(buf, size, "%s/brunt", state_home()), size, err);
	if (!geteuid())
		return fits(snprintf(buf, size, SYSTEM_FOLDER), size, err);
	if (!home || home[0] != '/') {
		const struct passwd *user = getpwuid(geteuid());

		home = user ? user->pw_dir : NULL;
	}
	if (!home)
		return brunt_fail(err, ENOENT, "no place for the journal: set XDG_STATE_HOME or HOME");
	return fits(snprintf(buf, size, "%s/.local/state/brunt", home), size, err);
}

/* As the user where the user could: what root makes in a user's folder, that user may swap before root is done. */
static int make_folder(int dir, const char *name, bool give, unsigned uid, unsigned gid)
{
	struct stat st;
	bool theirs;
	int r;

	if (fstat(dir, &st))
		return -errno;
	theirs = give && st.st_uid == uid;
	if (theirs) {
		(void)setfsgid(gid);
		(void)setfsuid(uid);
	}
	r = mkdirat(dir, name, give ? 0700 : 0755) ? -errno : 0;
	if (theirs) {
		(void)setfsuid(geteuid());
		(void)setfsgid(getegid());
	} else if (!r && give && fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW)) {
		r = -errno;
	}
	return r;
}

/*
 * Opens a folder, made with its parents where it is not there. What is made below XDG_STATE_HOME belongs to the user
 * the run is for, even when root makes it; the system's folder stays root's. The descriptor, or -errno.
 */
static int make_folders(const char *path, unsigned uid, unsigned gid, bool give, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char part[NAME_MAX + 1];

	if (dir < 0)
		return brunt_fail(err, errno, "cannot open '/': %s", strerror(errno));
	for (const char *at = path + strspn(path, "/"); *at; at += strspn(at, "/")) {
		size_t size = strcspn(at, "/");
		int below, r = 0;

		if (size > NAME_MAX)
			return brunt_fail(err, ENAMETOOLONG, "the journal's path is too long");
		(void)snprintf(part, sizeof(part), "%.*s", (int)size, at);
		at += size;
		below = brunt_folder_enter(dir, part, path, err);
		if (below == -ENOENT) {
			r = make_folder(dir, part, give, uid, gid);
			r = r == -EEXIST ? 0 : r; /* another run was first */
			below = r < 0 ? r : brunt_folder_enter(dir, part, path, err);
		}
		if (below < 0 && r < 0)
			return brunt_fail(err, -r,
					  "cannot make folder '%.*s': %s; set XDG_STATE_HOME to a place that can be "
					  "written",
					  (int)(at - path), path, strerror(-r));
		if (below < 0)
			return below;
		(void)close(dir);
		dir = below;
	}
	return BRUNT_TAKE_FD(dir);
}

int brunt_journal_open(const char *run, unsigned uid, unsigned gid, char *buf, size_t size, int *ret_fd,
		       struct brunt_error *err)
{
	char folder[PATH_MAX], date[32];
	time_t now = time(NULL);
	bool foreign = geteuid() != uid;
	struct tm tm;
	BRUNT_AUTO_CLOSE int dir = -1;
	const char *name;
	int r = brunt_journal_folder(folder, sizeof(folder), err);

	if (r)
		return r;
	dir = make_folders(folder, uid, gid, foreign && state_home(), err);
	if (dir < 0)
		return dir;
	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H-%M-%S", &tm);
	r = fits(snprintf(buf, size, "%s/%s-%s.jsonl", folder, date, run), size, err);
	if (r)
		return r;

	name = strrchr(buf, '/') + 1;

	BRUNT_AUTO_CLOSE int fd =
		openat(dir, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd < 0 || fchmod(fd, 0640) < 0 || (foreign && fchown(fd, uid, gid) < 0))
		return brunt_fail(err, errno, "cannot make journal '%s': %s", buf, strerror(errno));
	*ret_fd = BRUNT_TAKE_FD(fd);
	return 0;
}

/* ---- finding ---- */

struct found {
	char path[PATH_MAX];
	struct timespec changed;
	unsigned count;
};

static bool is_newer(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* Journals in folder whose run id begins with id (NULL: all); the newest is kept. */
static void scan(const char *folder, const char *id, struct found *found)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);
		const char *dash = strrchr(entry->d_name, '-');
		struct stat st;

		if (length < 7 || strcmp(entry->d_name + length - 6, ".jsonl") || !dash)
			continue;
		if (id && strncmp(dash + 1, id, strlen(id)))
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode))
			continue;
		found->count++;
		if (found->count > 1 && !is_newer(&st.st_mtim, &found->changed))
			continue;
		found->changed = st.st_mtim;
		if (snprintf(found->path, sizeof(found->path), "%s/%s", folder, entry->d_name) >=
		    (int)sizeof(found->path))
			found->count--;
	}
	if (dir)
		closedir(dir);
}

int brunt_journal_find(const char *what, char *buf, size_t size, struct brunt_error *err)
{
	char folder[PATH_MAX];
	struct found found = { .count = 0 };
	bool last = !strcmp(what, "last"), is_id = *what && strspn(what, "0123456789abcdef") == strlen(what);
	struct stat st;
	int r;

	if (!last && !stat(what, &st)) {
		if (S_ISDIR(st.st_mode))
			return brunt_fail(err, EISDIR, "'%s' is a folder, not a journal", what);
		return fits(snprintf(buf, size, "%s", what), size, err);
	}
	if (!last && !is_id)
		return brunt_fail(err, ENOENT, "no journal '%s': give a path, a run id, or 'last'", what);
	r = brunt_journal_folder(folder, sizeof(folder), err);
	if (r)
		return r;
	scan(folder, last ? NULL : what, &found);
	/* Runs under sudo have theirs in the system's folder; whoever called sudo looks for them, too. */
	if (!state_home() && strcmp(folder, SYSTEM_FOLDER))
		scan(SYSTEM_FOLDER, last ? NULL : what, &found);
	if (!found.count)
		return last ? brunt_fail(err, ENOENT, "no journal in '%s' yet", folder)
			    : brunt_fail(err, ENOENT, "no run '%s' in '%s'", what, folder);
	if (!last && found.count > 1)
		return brunt_fail(err, ENOTUNIQ, "%u runs begin with '%s': give more of the run id", found.count, what);
	return fits(snprintf(buf, size, "%s", found.path), size, err);
}
