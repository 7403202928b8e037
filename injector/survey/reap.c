/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a run leaves: what it forked becomes a child of its subreaper as soon
 * as its own parent is gone (prctl(2), PR_SET_CHILD_SUBREAPER), so killing the
 * children again and again reaches all of them, and no pid among them can have
 * been given to another.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "survey/run.h"

#define LONG_ENOUGH (5 * BRUNT_S)

static unsigned kill_one(pid_t pid, pid_t spare)
{
	siginfo_t info;

	/* /proc may be another PID namespace's and its numbers strangers'; and a number that can be waited for stays whose it is */
	if (pid <= 0 || pid == spare || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL))
		return 0;
	(void)kill(pid, SIGKILL);
	return 1;
}

/* Kernels without CONFIG_PROC_CHILDREN: who has this process for a parent? */
static unsigned kill_by_search(pid_t spare)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	unsigned count = 0;

	while (proc && (entry = readdir(proc))) {
		char path[300], text[512];
		const char *at;
		FILE *file;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		file = fopen(path, "re");
		at = file && fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
		/* ") S PPID" */
		if (at && strlen(at) > 4 && (pid_t)strtol(at + 4, NULL, 10) == getpid())
			count += kill_one((pid_t)strtol(entry->d_name, NULL, 10), spare);
		if (file)
			(void)fclose(file);
	}
	if (proc)
		(void)closedir(proc);
	return count;
}

static unsigned kill_round(pid_t spare)
{
	char path[64], text[4096];
	BRUNT_AUTO_CLOSE int fd = -1;
	unsigned count = 0;
	ssize_t size;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kill_by_search(spare);
	/* a pid that the end of the buffer cuts in two is met in the next round */
	size = read(fd, text, sizeof(text) - 1);
	text[size > 0 ? size : 0] = '\0';
	for (char *at = text, *end; *at; at = end) {
		long pid = strtol(at, &end, 10);

		if (end == at || *end != ' ')
			break;
		end++;
		count += kill_one((pid_t)pid, spare);
	}
	return count;
}

void survey_kill_children(pid_t spare)
{
	uint64_t until = brunt_now() + LONG_ENOUGH;
	struct timespec nap = { .tv_nsec = 100000 };

	while (kill_round(spare) && brunt_now() < until) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		(void)nanosleep(&nap, NULL);
		if (nap.tv_nsec < 5000000)
			nap.tv_nsec *= 2;
	}
}
