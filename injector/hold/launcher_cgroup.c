/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a job as a whole. With cgroups nothing escapes (setsid,
 * double fork); without them (an ordinary user) it is the process group, and
 * what left it lives until the launcher ends.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brunt/memory.h"
#include "hold/launcher.h"

int launcher_cgroup_make(const struct job *job)
{
	return mkdir(job->cgroup, 0755) == 0 || errno == EEXIST ? 0 : -errno;
}

static FILE *open_file(const struct job *job, const char *name)
{
	char path[sizeof(job->cgroup) + 32];

	(void)snprintf(path, sizeof(path), "%s/%s", job->cgroup, name);
	return fopen(path, "re");
}

/* cgroup.kill (Linux 5.14) takes the whole tree at once, forks in flight included. */
static bool kill_at_once(const struct job *job)
{
	char path[sizeof(job->cgroup) + 32];
	BRUNT_AUTO_CLOSE int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/cgroup.kill", job->cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, "1", 1) == 1;
}

/* Pids in cgroup.procs are those of the reader's PID namespace; 0 stands for a process outside of it. */
static size_t signal_each(const struct job *job, int number)
{
	FILE *file = open_file(job, "cgroup.procs");
	size_t count = 0;
	int pid;

	if (!file)
		return 0;
	while (fscanf(file, "%d", &pid) == 1) {
		if (pid > 1 && kill(pid, number) == 0)
			count++;
	}
	(void)fclose(file);
	return count;
}

void launcher_cgroup_signal(const struct job *job, int number)
{
	if (!job->grouped) {
		if (job->group > 1)
			(void)kill(-job->group, number);
		/* Before its setsid the child is in no group of its own. */
		if (job->pid > 1)
			(void)kill(job->pid, number);
		return;
	}
	if (number != SIGKILL) {
		(void)signal_each(job, number);
	} else if (!kill_at_once(job)) {
		/* What was forked meanwhile is in the next round's list. */
		for (int round = 0; round < 16 && signal_each(job, SIGKILL) > 0; round++)
			;
	}
	/* Before it entered its cgroup the child is not in the list. */
	if (job->pid > 1 && job->word >= 0)
		(void)kill(job->pid, number);
}

bool launcher_cgroup_empty(const struct job *job)
{
	char key[32];
	int value, populated = 0;
	FILE *file;

	if (!job->grouped)
		return job->group <= 1 || (kill(-job->group, 0) < 0 && errno == ESRCH);
	file = open_file(job, "cgroup.events");
	if (!file)
		return true;
	while (fscanf(file, "%31s %d", key, &value) == 2) {
		if (strcmp(key, "populated") == 0)
			populated = value;
	}
	(void)fclose(file);
	return !populated;
}

/* A service may have made cgroups of its own below: a few levels, deepest first. */
static void remove_below(const char *path, int depth)
{
	DIR *dir = depth > 0 ? opendir(path) : NULL;
	const struct dirent *entry;
	char below[512];

	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if ((size_t)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) < sizeof(below))
			remove_below(below, depth - 1);
	}
	if (dir)
		(void)closedir(dir);
	(void)rmdir(path);
}

void launcher_cgroup_remove_all(const struct brunt_run_setup *setup)
{
	char path[sizeof(setup->cgroup_mount) + sizeof(setup->run_cgroup)];

	(void)snprintf(path, sizeof(path), "%s%s", setup->cgroup_mount, setup->run_cgroup);
	launcher_overrule_permissions();
	remove_below(path, 6);
}
