/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/runs.h"

#include "brunt/target.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROOT_FOLDER "/run/brunt"

static bool lives(const struct brunt_ledger_view *view, pid_t pid, uint64_t start)
{
	struct brunt_process process = { .pid = pid, .start = start, .pidfd = -1 };

	return view->same_boot && pid > 0 && brunt_process_alive(&process);
}

const char *run_state_name(enum run_state state)
{
	static const char *const names[] = { "live", "ending", "dead" };

	return names[state];
}

enum run_state run_state_of(const struct brunt_ledger_view *view)
{
	const struct brunt_ledger_head *head = &view->head;

	if (view->live)
		return RUN_LIVE;
	if (lives(view, head->recoverer, head->recoverer_start) ||
	    lives(view, head->controller, head->controller_start))
		return RUN_ENDING;
	return RUN_DEAD;
}

size_t run_open_faults(const struct brunt_ledger_view *view)
{
	size_t count = 0;

	for (size_t i = 0; i < view->fault_count; i++)
		count += !view->faults[i].undone;
	return count;
}

int runs_each(int (*fn)(const struct brunt_ledger_view *view, void *user), void *user, struct brunt_error *err)
{
	char folder[256];
	int r = brunt_ledger_folder(folder, sizeof(folder), false, err);

	if (!r)
		r = brunt_ledger_each(folder, fn, user, err);
	/* A folder that was given is the only one meant. */
	if (!r && strcmp(folder, ROOT_FOLDER) && !getenv("BRUNT_LEDGER_DIR"))
		r = brunt_ledger_each(ROOT_FOLDER, fn, user, NULL);
	return r;
}

/* Reads comm and parent of a process (proc(5): stat). */
static bool read_stat(const char *pid, char comm[16], pid_t *ret_parent)
{
	char path[300], line[256] = "";
	const char *open, *close;
	int parent;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	(void)fclose(file);
	open = strchr(line, '(');
	close = strrchr(line, ')');
	if (!open || !close || close - open > 16 || sscanf(close + 1, " %*c %d", &parent) != 1)
		return false;
	snprintf(comm, 16, "%.*s", (int)(close - open - 1), open + 1);
	*ret_parent = parent;
	return true;
}

static void take_role(const char *comm, pid_t pid, pid_t ret[_BRUNT_ROLE_MAX])
{
	for (int role = 0; role < _BRUNT_ROLE_MAX; role++) {
		char name[16];

		snprintf(name, sizeof(name), "brunt-%s", brunt_roles[role].name);
		if (!ret[role] && !strcmp(name, comm))
			ret[role] = pid;
	}
}

void run_pids(const struct brunt_ledger_view *view, pid_t ret[_BRUNT_ROLE_MAX])
{
	const struct brunt_ledger_head *head = &view->head;
	const struct dirent *entry;
	DIR *dir;

	memset(ret, 0, _BRUNT_ROLE_MAX * sizeof(*ret));
	if (lives(view, head->controller, head->controller_start))
		ret[BRUNT_ROLE_CONTROLLER] = head->controller;
	if (lives(view, head->holder, head->holder_start))
		ret[BRUNT_ROLE_HOLDER] = head->holder;
	if (lives(view, head->recoverer, head->recoverer_start))
		ret[BRUNT_ROLE_RECOVERER] = head->recoverer;
	dir = opendir("/proc");
	while (dir && (entry = readdir(dir))) {
		char comm[16];
		pid_t parent;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !read_stat(entry->d_name, comm, &parent))
			continue;
		if (parent > 1 && (parent == ret[BRUNT_ROLE_CONTROLLER] || parent == ret[BRUNT_ROLE_HOLDER]))
			take_role(comm, (pid_t)atoi(entry->d_name), ret);
	}
	if (dir)
		(void)closedir(dir);
}

const char *run_started(const struct brunt_ledger_view *view, char *buf, size_t size)
{
	time_t when = (time_t)view->head.started_wall;
	struct tm parts;

	if (!localtime_r(&when, &parts) || !strftime(buf, size, "%Y-%m-%d %H:%M:%S", &parts))
		buf[0] = '\0';
	return buf;
}
