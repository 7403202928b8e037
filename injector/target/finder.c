/* SPDX-License-Identifier: Apache-2.0 */
/* Growing arrays of a finder, and what is common to all kinds. */
#include "target/find.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for one more of count elements of size bytes. */
static int grow(void **array, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 16;
	void *bigger;

	if (count < *room)
		return 0;
	bigger = reallocarray(*array, more, size);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	*room = more;
	return 0;
}

bool brunt_pids_has(const struct brunt_pids *pids, pid_t pid)
{
	for (size_t i = 0; i < pids->count; i++)
		if (pids->pids[i] == pid)
			return true;
	return false;
}

int brunt_pids_add(struct brunt_pids *pids, pid_t pid)
{
	if (brunt_pids_has(pids, pid))
		return 0;
	if (grow((void **)&pids->pids, pids->count, &pids->room, sizeof(*pids->pids)))
		return -ENOMEM;
	pids->pids[pids->count++] = pid;
	return 0;
}

int brunt_paths_add(struct brunt_paths *paths, const char *path)
{
	if (grow((void **)&paths->paths, paths->count, &paths->room, sizeof(*paths->paths)))
		return -ENOMEM;
	strncpy(paths->paths[paths->count], path, sizeof(*paths->paths) - 1);
	paths->paths[paths->count++][sizeof(*paths->paths) - 1] = '\0';
	return 0;
}

int brunt_finder_add(struct brunt_finder *finder, struct brunt_item **ret)
{
	if (finder->count >= BRUNT_FINDER_ITEMS_MAX ||
	    grow((void **)&finder->items, finder->count, &finder->room, sizeof(*finder->items)))
		return -ENOMEM;
	*ret = &finder->items[finder->count++];
	memset(*ret, 0, sizeof(**ret));
	(*ret)->kind = finder->kind;
	(*ret)->process.pidfd = -1;
	return 0;
}

bool brunt_descends(struct brunt_finder *finder, pid_t pid, pid_t ancestor)
{
	struct brunt_proc_stat stat;

	/* Bounded: parents may change while one looks, and a loop of pids must not hold us. */
	for (int i = 0; i < 64 && pid > 0; i++) {
		if (pid == ancestor)
			return true;
		if (brunt_proc_stat(finder->proc_dir, pid, &stat))
			return false;
		pid = stat.ppid;
	}
	return false;
}

bool brunt_is_served(struct brunt_finder *finder, pid_t pid)
{
	const struct brunt_resolve_context *context = finder->context;

	/* Orphans of the services are adopted by the launcher, their namespace's init: everything descends from it. */
	if (finder->launcher)
		return pid != finder->launcher && brunt_descends(finder, pid, finder->launcher);
	for (size_t i = 0; context->services && context->service_names && context->service_names[i]; i++)
		if (context->services[i].pid > 0 && brunt_descends(finder, pid, context->services[i].pid))
			return true;
	return false;
}
