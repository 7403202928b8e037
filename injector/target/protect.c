/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is never hit: what the host, or brunt itself, needs to come out of a run
 * alive. In doubt a process is protected.
 */
#include "target/find.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brunt/memory.h"

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h; the same since 2.6.27 */

struct guarded_program {
	const char *name;  /* base name of the executable */
	bool unless_named; /* may be hit when the target names it */
};

static const struct guarded_program programs[] = {
	{ "systemd-journald", false }, { "systemd-logind", false },	{ "elogind", false }, { "dbus-daemon", false },
	{ "dbus-broker", false },      { "dbus-broker-launch", false }, { "sshd", true },     { "sshd-session", true },
	{ "sshd-auth", true },
};

static int add_with_ancestors(struct brunt_finder *finder, pid_t pid)
{
	struct brunt_proc_stat stat;

	while (pid > 0 && !brunt_pids_has(&finder->guarded, pid)) {
		if (brunt_pids_add(&finder->guarded, pid))
			return -ENOMEM;
		if (brunt_proc_stat(finder->proc_dir, pid, &stat))
			return 0;
		pid = stat.ppid;
	}
	return 0;
}

int brunt_protect_prepare(struct brunt_finder *finder)
{
	const struct brunt_resolve_context *context = finder->context;

	for (size_t i = 0; i < context->own_count; i++) {
		struct brunt_proc_place place;
		pid_t pid = context->own[i];

		if (pid <= 0)
			continue;
		if (add_with_ancestors(finder, pid))
			return -ENOMEM;
		/* The launcher is the one of ours that is init of a namespace below. */
		if (!brunt_proc_place(finder->proc_dir, pid, finder->buf, BRUNT_FINDER_BUFFER, &place) &&
		    place.depth > 1 && place.inner == 1)
			finder->launcher = pid;
	}
	return add_with_ancestors(finder, getpid());
}

/* The base name of the executable into buf; false when it cannot be told. */
static bool executable(struct brunt_finder *finder, pid_t pid, char *buf, size_t size)
{
	char path[4096], *base;
	ssize_t got = brunt_proc_readlink(finder->proc_dir, pid, "exe", path, sizeof(path));

	if (got <= 0)
		return false;
	if (got > 10 && !strcmp(path + got - 10, " (deleted)"))
		path[got - 10] = '\0'; /* a package was upgraded under it */
	base = strrchr(path, '/');
	base = base ? base + 1 : path;
	if (strlen(base) >= size)
		return false;
	memcpy(buf, base, strlen(base) + 1);
	return true;
}

/* Runs it as uid 0? The folder's owner is the effective uid: task_dump_owner() in fs/proc/base.c. */
static bool is_root(struct brunt_finder *finder, pid_t pid)
{
	struct stat facts;
	char path[16];

	snprintf(path, sizeof(path), "%d", (int)pid);
	return fstatat(finder->proc_dir, path, &facts, 0) || facts.st_uid == 0;
}

static const struct guarded_program *guarded_program(struct brunt_finder *finder, pid_t pid, const char *comm)
{
	char exe[256];
	int known = -1; /* not asked yet */

	for (size_t i = 0; i < BRUNT_COUNT(programs); i++) {
		bool same_comm = !strncmp(programs[i].name, comm, 15);

		if (known < 0)
			known = executable(finder, pid, exe, sizeof(exe));
		if (known && !strcmp(exe, programs[i].name))
			return &programs[i];
		/* Another executable of that name, as root: run through a wrapper, or by the loader. */
		if (same_comm && (!known || is_root(finder, pid)))
			return &programs[i];
	}
	return NULL;
}

const char *brunt_protect_reason(struct brunt_finder *finder, pid_t pid, const struct brunt_proc_stat *stat,
				 const struct brunt_proc_place *place)
{
	const struct guarded_program *program;

	if (pid == 1)
		return "init";
	if (stat->flags & PF_KTHREAD)
		return "a kernel thread";
	if (brunt_pids_has(&finder->guarded, pid))
		return pid == getpid() ? "brunt itself" : "one of brunt's own processes or their ancestors";
	if (brunt_is_served(finder, pid))
		return NULL;
	if (!finder->explicit && place->depth > 1 && place->inner == 1)
		return "init of another PID namespace; name it to hit it";
	program = guarded_program(finder, pid, stat->comm);
	if (program && program->unless_named && !finder->explicit)
		return "the way into this host; name it to hit it";
	if (program && !program->unless_named)
		return "a daemon that the host depends on";
	return NULL;
}
