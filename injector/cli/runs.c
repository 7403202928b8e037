/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/runs.h"

#include "brunt/target.h"

#include <stdint.h>
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

const char *run_started(const struct brunt_ledger_view *view, char *buf, size_t size)
{
	time_t when = (time_t)view->head.started_wall;
	struct tm parts;

	if (!localtime_r(&when, &parts) || !strftime(buf, size, "%Y-%m-%d %H:%M:%S", &parts))
		buf[0] = '\0';
	return buf;
}
