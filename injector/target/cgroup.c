/* SPDX-License-Identifier: Apache-2.0 */
#include "target/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "target/proc.h"

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

int brunt_cgroup_open(const char *mount, struct brunt_error *err)
{
	int fd;

	if (!mount)
		return brunt_fail(err, ENOTSUP, "cgroup v2 is not mounted; mount it with 'mount -t cgroup2 none DIR'");
	fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return brunt_fail(err, errno, "cannot open the cgroup mount '%s': %s", mount, strerror(errno));
	return fd;
}

/* path below the mount as openat() wants it. */
static const char *relative(const char *path)
{
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

bool brunt_cgroup_has_wildcard(const char *text)
{
	return strpbrk(text, "*?[") != NULL;
}

bool brunt_cgroup_name_matches(const char *pattern, const char *name)
{
	return !strcmp(pattern, name) || fnmatch(pattern, name, FNM_NOESCAPE) == 0;
}

/* path + "/" + name; false when it does not fit. */
static bool join(char *buf, const char *path, const char *name)
{
	int length = snprintf(buf, BRUNT_CGROUP_PATH, "%s/%s", strcmp(path, "/") ? path : "", name);

	return length > 0 && length < BRUNT_CGROUP_PATH;
}

/* The next directory in dir; its name, or NULL at the end. */
static const char *next_folder(DIR *dir)
{
	const struct dirent *entry;

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' && (!entry->d_name[1] || (entry->d_name[1] == '.' && !entry->d_name[2])))
			continue;
		if (entry->d_type == DT_DIR)
			return entry->d_name;
		if (entry->d_type == DT_UNKNOWN) {
			struct stat facts;

			if (!fstatat(dirfd(dir), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) && S_ISDIR(facts.st_mode))
				return entry->d_name;
		}
	}
	return NULL;
}

static DIR *open_folder(int mount_fd, const char *path)
{
	int fd = openat(mount_fd, relative(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir;

	if (fd < 0)
		return NULL;
	dir = fdopendir(fd);
	if (!dir)
		(void)close(fd);
	return dir;
}

static int walk(int mount_fd, const char *path, unsigned depth, brunt_cgroup_visit *visit, void *user)
{
	BRUNT_CLEANUP(close_dir) DIR *dir = depth ? open_folder(mount_fd, path) : NULL;
	const char *name;

	if (!dir)
		return 0; /* gone, or deeper than we go */
	while ((name = next_folder(dir))) {
		char below[BRUNT_CGROUP_PATH];
		int rc;

		if (!join(below, path, name))
			continue;
		rc = visit(user, below, name);
		if (rc == BRUNT_CGROUP_DESCEND)
			rc = walk(mount_fd, below, depth - 1, visit, user);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int brunt_cgroup_walk(int mount_fd, const char *path, brunt_cgroup_visit *visit, void *user)
{
	return walk(mount_fd, path, BRUNT_CGROUP_DEPTH, visit, user);
}

/* path is matched so far, pattern is what remains. */
static int glob(int mount_fd, const char *path, const char *pattern, unsigned depth,
		int (*found)(void *user, const char *path), void *user)
{
	BRUNT_CLEANUP(close_dir) DIR *dir = NULL;
	char part[256], below[BRUNT_CGROUP_PATH];
	const char *name;
	size_t length;

	while (*pattern == '/')
		pattern++;
	if (!*pattern)
		return brunt_cgroup_exists(mount_fd, path) ? found(user, path) : 0;
	length = strcspn(pattern, "/");
	if (!depth || length >= sizeof(part))
		return 0;
	memcpy(part, pattern, length);
	part[length] = '\0';
	if (!brunt_cgroup_has_wildcard(part))
		return join(below, path, part) ? glob(mount_fd, below, pattern + length, depth - 1, found, user) : 0;
	dir = open_folder(mount_fd, path);
	while (dir && (name = next_folder(dir))) {
		int rc;

		if (!brunt_cgroup_name_matches(part, name) || !join(below, path, name))
			continue;
		rc = glob(mount_fd, below, pattern + length, depth - 1, found, user);
		if (rc)
			return rc;
	}
	return 0;
}

int brunt_cgroup_glob(int mount_fd, const char *pattern, int (*found)(void *user, const char *path), void *user)
{
	return glob(mount_fd, "/", pattern, BRUNT_CGROUP_DEPTH, found, user);
}

bool brunt_cgroup_exists(int mount_fd, const char *path)
{
	struct stat facts;

	return !fstatat(mount_fd, relative(path), &facts, AT_SYMLINK_NOFOLLOW) && S_ISDIR(facts.st_mode);
}

uint64_t brunt_cgroup_id(int mount_fd, const char *path)
{
	struct stat facts;

	/* The inode number of a kernfs directory is the cgroup's id on 64-bit kernels since 5.5 (kernfs_ino). */
	return fstatat(mount_fd, relative(path), &facts, AT_SYMLINK_NOFOLLOW) ? 0 : facts.st_ino;
}

/* Opens a file of the cgroup; -errno. */
static int open_file(int mount_fd, const char *path, const char *file)
{
	char full[BRUNT_CGROUP_PATH];
	int fd;

	if (!join(full, path, file))
		return -ENAMETOOLONG;
	fd = openat(mount_fd, relative(full), O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool brunt_cgroup_populated(int mount_fd, const char *path)
{
	BRUNT_AUTO_CLOSE int fd = open_file(mount_fd, path, "cgroup.events");
	char text[256];
	ssize_t got;

	if (fd < 0)
		return brunt_cgroup_exists(mount_fd, path); /* the root has no such file */
	got = read(fd, text, sizeof(text) - 1);
	if (got <= 0)
		return got == 0;
	text[got] = '\0';
	return strstr(text, "populated 0") == NULL;
}

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* The processes of this one cgroup. */
static int processes_here(int mount_fd, const char *path, int (*visit)(void *user, pid_t pid), void *user)
{
	BRUNT_CLEANUP(close_file) FILE *file = NULL;
	int fd = open_file(mount_fd, path, "cgroup.procs");
	char line[32];

	if (fd < 0)
		return 0;
	file = fdopen(fd, "re");
	if (!file) {
		(void)close(fd);
		return -ENOMEM;
	}
	/* Reading fails with EOPNOTSUPP in a threaded cgroup: its processes are listed by the domain above. */
	while (fgets(line, sizeof(line), file)) {
		long pid = strtol(line, NULL, 10);
		int rc;

		if (pid <= 0)
			continue; /* 0: has no pid in our namespace, cgroups(7) */
		rc = visit(user, (pid_t)pid);
		if (rc)
			return rc;
	}
	return 0;
}

struct processes {
	int mount_fd;
	int (*visit)(void *user, pid_t pid);
	void *user;
};

static int visit_processes(void *user, const char *path, const char *name)
{
	const struct processes *processes = user;
	int rc = processes_here(processes->mount_fd, path, processes->visit, processes->user);

	(void)name;
	return rc < 0 ? rc : BRUNT_CGROUP_DESCEND;
}

int brunt_cgroup_processes(int mount_fd, const char *path, int (*visit)(void *user, pid_t pid), void *user)
{
	struct processes processes = { .mount_fd = mount_fd, .visit = visit, .user = user };
	int rc = processes_here(mount_fd, path, visit, user);

	return rc ? rc : brunt_cgroup_walk(mount_fd, path, visit_processes, &processes);
}

int brunt_cgroup_of(int proc_dir, pid_t pid, char *buf, size_t size)
{
	char text[8192], *line = text, *end;
	ssize_t got = brunt_proc_read(proc_dir, pid, "cgroup", text, sizeof(text));

	if (got < 0)
		return (int)got;
	/* Lines of v1 hierarchies may come first; v2's is "0::/path" and may not be cut. */
	while (strncmp(line, "0::/", 4)) {
		line = strchr(line, '\n');
		if (!line)
			return -ENOENT;
		line++;
	}
	line += 3;
	end = strchr(line, '\n');
	if (!end || (size_t)(end - line) >= size)
		return -ENOENT;
	*end = '\0';
	/* "/../x" is outside of our cgroup namespace; a removed cgroup (with zombies in it) is marked. */
	if (!strncmp(line, "/..", 3) || (end - line > 10 && !strcmp(end - 10, " (deleted)")))
		return -ENOENT;
	memcpy(buf, line, (size_t)(end - line) + 1);
	return 0;
}

bool brunt_cgroup_within(const char *path, const char *above)
{
	size_t length = strlen(above);

	if (!strcmp(above, "/"))
		return true;
	return !strncmp(path, above, length) && (path[length] == '/' || !path[length]);
}
