/* SPDX-License-Identifier: Apache-2.0 */
/* Is a process frozen? Such a one cannot be made to do anything, and says so nowhere else than in its cgroups. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/memory.h"
#include "brunt/target.h"
#include "syscall/graft_parts.h"
#include "target/cgroup.h"
#include "target/proc.h"

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* A small file of a cgroup; false when there is none. */
static bool read_file(int dir, const char *path, const char *name, char *buf, size_t size)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	char whole[BRUNT_CGROUP_PATH + 32];
	ssize_t got;

	while (*path == '/')
		path++;
	(void)snprintf(whole, sizeof(whole), "%s%s%s", path, *path ? "/" : "", name);
	fd = openat(dir, whole, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, buf, size - 1);
	buf[got > 0 ? got : 0] = '\0';
	return got > 0;
}

/*
 * "frozen 1" is said of a cgroup below a frozen one, too, once all in it stand still; "cgroup.freeze" before that, but
 * only of itself (cgroup_freeze() in kernel/cgroup/freezer.c): so all above are looked at.
 */
static bool is_frozen_v2(int proc_dir, pid_t tid)
{
	BRUNT_AUTO_CLOSE int dir = -1;
	char mount[512], path[BRUNT_CGROUP_PATH], text[256];

	if (brunt_cgroup_mount(mount, sizeof(mount)) || brunt_cgroup_of(proc_dir, tid, path, sizeof(path)))
		return false;
	dir = brunt_cgroup_open(mount, NULL);
	if (dir < 0)
		return false;
	while (path[0]) {
		if (read_file(dir, path, "cgroup.events", text, sizeof(text)) && strstr(text, "frozen 1"))
			return true;
		if (read_file(dir, path, "cgroup.freeze", text, sizeof(text)) && text[0] == '1')
			return true;
		*strrchr(path, '/') = '\0'; /* it begins with one */
	}
	return false;
}

/* Where the v1 freezer is mounted: "... POINT ... - cgroup cgroup rw,freezer", proc_pid_mountinfo(5). */
static bool find_v1(char *buf, size_t size)
{
	BRUNT_CLEANUP(close_file) FILE *file = fopen("/proc/self/mountinfo", "re");
	BRUNT_AUTO_FREE char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		char *kind = strstr(line, " - cgroup ");
		char *point, *end;

		if (!kind || !strstr(kind, "freezer"))
			continue;
		point = line;
		for (int field = 0; field < 4 && point; field++) {
			point = strchr(point, ' ');
			point = point ? point + 1 : NULL;
		}
		end = point ? strchr(point, ' ') : NULL;
		if (!end || (size_t)(end - point) >= size)
			continue;
		*end = '\0';
		memcpy(buf, point, strlen(point) + 1);
		return true;
	}
	return false;
}

/* freezer.state is what holds for the cgroup, whether by itself or by one above it: FREEZING, then FROZEN. */
static bool is_frozen_v1(int proc_dir, pid_t tid)
{
	BRUNT_AUTO_CLOSE int dir = -1;
	char mount[512], text[8192], state[32];
	char *path, *end;

	if (brunt_proc_read(proc_dir, tid, "cgroup", text, sizeof(text)) <= 0)
		return false;
	path = strstr(text, "freezer:/");
	if (!path || !find_v1(mount, sizeof(mount)))
		return false;
	path += strlen("freezer:");
	end = strchr(path, '\n');
	if (!end || end - path >= BRUNT_CGROUP_PATH)
		return false;
	*end = '\0';
	dir = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir >= 0 && read_file(dir, path, "freezer.state", state, sizeof(state)) && !strncmp(state, "FR", 2);
}

bool brunt_graft_is_frozen(int proc_dir, pid_t tid)
{
	return is_frozen_v2(proc_dir, tid) || is_frozen_v1(proc_dir, tid);
}
