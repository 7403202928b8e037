/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/file_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "target/cgroup.h"

#define LINKS_MAX 8
#define ROOTS_MAX 64 /* roots that were looked at already; beyond that some are looked at again */

struct root {
	dev_t device;
	ino_t inode;
	ino_t mounts; /* the mount namespace */
};

struct search {
	const struct brunt_list *paths;
	bool *found; /* by path */
	struct brunt_file_places *places;
	struct root roots[ROOTS_MAX];
	size_t root_count;
	struct brunt_error *err;
};

static bool is_folder(const char *path)
{
	const char *last = strrchr(path, '/');

	return !last[1] || !strcmp(last + 1, "**");
}

static int check_part(const char *part, size_t length, const char *text, struct brunt_error *err)
{
	if (!length)
		return brunt_fail(err, EINVAL, "'%.120s' has two slashes in a row", text);
	if (length > NAME_MAX)
		return brunt_fail(err, EINVAL, "'%.120s' has a name of more than %d bytes", text, NAME_MAX);
	if (part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.')))
		return brunt_fail(err, EINVAL, "'%.120s' has a '.' or '..'; write the path without", text);
	if (memchr(part, '*', length) || memchr(part, '?', length) || memchr(part, '[', length))
		return brunt_fail(err, EINVAL,
				  "'%.120s' has a wildcard, and only a final '/' or '/**' stands for all that is below",
				  text);
	return 0;
}

int brunt_file_path_check(const char *text, struct brunt_error *err)
{
	size_t end = strlen(text), length;

	if (text[0] != '/')
		return brunt_fail(err, EINVAL, "'%.120s' does not begin with '/'; write the whole path", text);
	if (end >= PATH_MAX)
		return brunt_fail(err, EINVAL, "'%.60s...' is longer than a path can be", text);
	if (is_folder(text))
		end = (size_t)(strrchr(text, '/') - text);
	for (size_t at = 1; at < end; at += length + 1) {
		int r;

		length = strcspn(text + at, "/");
		r = check_part(text + at, length, text, err);
		if (r)
			return r;
	}
	/* of a final "//" the loop saw one slash */
	return end && text[end - 1] == '/' ? check_part("", 0, text, err) : 0;
}

/* Takes fd over, also on failure. name may be NULL. */
static int keep(struct search *search, int fd, const char *name)
{
	struct brunt_file_places *places = search->places;
	char *copy = name ? strdup(name) : NULL;

	if (places->count < places->room && (!name || copy)) {
		places->items[places->count++] = (struct brunt_file_place){ .fd = fd, .name = copy };
		return 0;
	}
	close(fd);
	free(copy);
	if (places->count == places->room)
		return brunt_fail(search->err, E2BIG, "more than %d folders in one fault", BRUNT_FILE_PATHS_MAX);
	return brunt_fail(search->err, ENOMEM, "no memory for paths");
}

/* As a process with that root would open the folder. fd or -errno. */
static int open_folder(int root, const char *path)
{
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int fail_open(struct search *search, const char *path, int code)
{
	return brunt_fail(search->err, code, "cannot look at '%.160s': %s%s", path, strerror(code),
			  code == EACCES ? "; needs CAP_DAC_READ_SEARCH" : "");
}

static bool is_absent(int code)
{
	return code == -ENOENT || code == -ENOTDIR;
}

static int find_folder(struct search *search, int root, const char *path, bool *found)
{
	char folder[PATH_MAX];
	int fd;

	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path + 1), path);
	fd = open_folder(root, folder);
	if (fd < 0)
		return is_absent(fd) ? 0 : fail_open(search, folder, -fd);
	*found = true;
	return keep(search, fd, NULL);
}

/* What the link leads to, as a path of the same root, into path itself (PATH_MAX bytes). false: it is none. */
static bool follow(int folder, const char *name, char *path)
{
	char link[PATH_MAX], next[PATH_MAX];
	ssize_t size = readlinkat(folder, name, link, sizeof(link) - 1);
	int length;

	if (size <= 0)
		return false;
	link[size] = '\0';
	length = link[0] == '/'
			 ? snprintf(next, sizeof(next), "%s", link)
			 : snprintf(next, sizeof(next), "%.*s%s", (int)(strrchr(path, '/') - path + 1), path, link);
	if (length >= (int)sizeof(next))
		return false;
	memcpy(path, next, (size_t)length + 1);
	return true;
}

static int find_name(struct search *search, int root, const char *text, bool *found)
{
	char path[PATH_MAX], folder[PATH_MAX], name[NAME_MAX + 1];

	(void)snprintf(path, sizeof(path), "%s", text);
	for (int links = 0; links < LINKS_MAX; links++) {
		const char *last = strrchr(path, '/') + 1;
		bool more;
		int fd, r;

		if (!last[0] || !strcmp(last, ".") || !strcmp(last, ".."))
			return brunt_fail(search->err, EINVAL,
					  "'%.100s' is a link to '%.100s'; name what it leads to instead", text, path);
		(void)snprintf(folder, sizeof(folder), "%.*s", (int)(last - path), path);
		(void)snprintf(name, sizeof(name), "%s", last);
		fd = open_folder(root, folder);
		if (fd < 0)
			return is_absent(fd) ? 0 : fail_open(search, folder, -fd);
		more = follow(fd, name, path);
		*found = true;
		r = keep(search, fd, name);
		if (r || !more)
			return r;
	}
	return brunt_fail(search->err, ELOOP, "'%.160s' leads through more than %d links", text, LINKS_MAX);
}

static int find_all(struct search *search, int root)
{
	size_t i = 0;

	BRUNT_FOREACH (const char *const, path, *search->paths) {
		int r = is_folder(*path) ? find_folder(search, root, *path, &search->found[i])
					 : find_name(search, root, *path, &search->found[i]);

		if (r)
			return r;
		i++;
	}
	return 0;
}

/* Most processes see the same files. */
static bool is_known(struct search *search, const struct root *root)
{
	for (size_t i = 0; i < search->root_count; i++)
		if (search->roots[i].device == root->device && search->roots[i].inode == root->inode &&
		    search->roots[i].mounts == root->mounts)
			return true;
	if (search->root_count < ROOTS_MAX)
		search->roots[search->root_count++] = *root;
	return false;
}

/* One that has ended meanwhile sees nothing. */
static int visit(void *user, pid_t pid)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	struct search *search = user;
	struct stat status, mounts;
	struct root root;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return brunt_fail(search->err, EACCES, "cannot see the files of process %d: needs CAP_SYS_PTRACE",
				  (int)pid);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	if (fd < 0 || fstat(fd, &status) || stat(path, &mounts))
		return 0;
	root = (struct root){ .device = status.st_dev, .inode = status.st_ino, .mounts = mounts.st_ino };
	return is_known(search, &root) ? 0 : find_all(search, fd);
}

static int visit_victims(struct search *search, const struct brunt_victims *victims, const char *mount)
{
	BRUNT_AUTO_CLOSE int cgroups = brunt_cgroup_open(mount, search->err);
	int r = cgroups < 0 ? cgroups : 0;

	for (size_t i = 0; !r && i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[i];

		if (!item->picked)
			continue;
		r = item->kind == BRUNT_TARGET_PROCESS ? visit(search, item->process.pid)
						       : brunt_cgroup_processes(cgroups, item->cgroup, visit, search);
	}
	/* Nobody is there yet: those who come will most likely see what we see. */
	return r ?: search->root_count ? r : visit(search, getpid());
}

int brunt_file_places_find(const struct brunt_list *paths, const struct brunt_victims *victims, const char *mount,
			   struct brunt_file_places *ret, struct brunt_error *err)
{
	BRUNT_AUTO_FREE bool *found = calloc(paths->count, sizeof(*found));
	struct search search = { .paths = paths, .found = found, .places = ret, .err = err };
	int r;

	if (!ret->items) {
		ret->items = calloc(BRUNT_FILE_PATHS_MAX, sizeof(*ret->items));
		ret->room = ret->items ? BRUNT_FILE_PATHS_MAX : 0;
	}
	if (!found || !ret->items)
		return brunt_fail(err, ENOMEM, "no memory for paths");
	r = visit_victims(&search, victims, mount);
	for (size_t i = 0; !r && i < paths->count; i++)
		if (!found[i])
			r = brunt_fail(err, ESRCH, "the folder of '%.160s' is not there for any process of the target",
				       ((const char *const *)paths->items)[i]);
	return r;
}

void brunt_file_places_close(struct brunt_file_places *places)
{
	while (places->count) {
		struct brunt_file_place *place = &places->items[--places->count];

		close(place->fd);
		free(place->name);
	}
	free(places->items);
	*places = (struct brunt_file_places){ 0 };
}
