/* SPDX-License-Identifier: Apache-2.0 */
/* The processes behind an item, whatever its kind. */
#include "target/find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "target/cgroup.h"

struct family {
	struct brunt_finder *finder;
	struct brunt_pids found;
	struct brunt_proc_stat stat;
	size_t added;
};

static void family_done(struct family *family)
{
	free(family->found.pids);
}

static int visit_child(void *user, pid_t pid)
{
	struct family *family = user;

	if (brunt_proc_stat(family->finder->proc_dir, pid, &family->stat) ||
	    !brunt_pids_has(&family->found, family->stat.ppid) || brunt_pids_has(&family->found, pid))
		return 0;
	family->added++;
	return brunt_pids_add(&family->found, pid);
}

/* A process and all below it. A child may have the smaller pid: again until nobody new turns up. */
static int visit_family(struct brunt_finder *finder, pid_t pid, int (*visit)(void *user, pid_t pid), void *user)
{
	BRUNT_CLEANUP(family_done) struct family family = { .finder = finder };
	int rc = brunt_pids_add(&family.found, pid);

	do {
		family.added = 0;
		if (!rc)
			rc = brunt_proc_scan(finder->proc_dir, visit_child, &family);
	} while (!rc && family.added);
	for (size_t i = 0; !rc && i < family.found.count; i++)
		rc = visit(user, family.found.pids[i]);
	return rc;
}

int brunt_item_processes(struct brunt_finder *finder, const struct brunt_item *item,
			 int (*visit)(void *user, pid_t pid), void *user)
{
	if (item->kind == BRUNT_TARGET_INTERFACE)
		return 0;
	if (item->kind == BRUNT_TARGET_PROCESS)
		return visit(user, item->process.pid);
	if (item->cgroup[0])
		return brunt_cgroup_processes(finder->cgroup_dir, item->cgroup, visit, user);
	return visit_family(finder, item->process.pid, visit, user);
}

struct suggestion {
	struct brunt_finder *finder;
	const char *name;
	char *buf;
	size_t size;
};

static int visit_name(void *user, pid_t pid)
{
	struct suggestion *suggestion = user;
	char comm[64];
	ssize_t got = brunt_proc_read(suggestion->finder->proc_dir, pid, "comm", comm, sizeof(comm));
	const char *const candidate[] = { comm, NULL };

	if (got <= 1)
		return 0;
	comm[got - 1] = '\0';
	if (!brunt_suggest(suggestion->name, candidate))
		return 0;
	snprintf(suggestion->buf, suggestion->size, "; '%s' runs", brunt_text_clean(comm));
	return 1;
}

const char *brunt_suggest_process(struct brunt_finder *finder, const char *name, char *buf, size_t size)
{
	struct suggestion suggestion = { .finder = finder, .name = name, .buf = buf, .size = size };

	buf[0] = '\0';
	(void)brunt_proc_scan(finder->proc_dir, visit_name, &suggestion);
	return buf;
}
