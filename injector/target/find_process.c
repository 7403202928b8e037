/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes by what they are. One pass over /proc; for each process the
 * conditions are tried cheapest first, and a file is read only when all before
 * it held. How many passed each condition makes the explanation when nobody
 * passed them all.
 */
#include "target/find.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "brunt/capability.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "target/cgroup.h"

enum condition { BY_PID_FILE, BY_USER, BY_NAME, BY_CMDLINE, BY_EXE, BY_GROUP, BY_PORT, BY_NAMESPACE, CONDITIONS };

struct search {
	struct brunt_finder *finder;
	const struct brunt_process_selector *selector;
	pid_t pid; /* from the pid file */
	uid_t uid;
	regex_t regex;
	bool has_regex;
	char *exe;		   /* selector->exe without symbolic links, or NULL */
	struct brunt_paths groups; /* one of these, for each of cgroup, unit, service */
	size_t group_end[3];	   /* groups[0..end0) are of cgroup, [end0..end1) of unit, [end1..end2) of service */
	pid_t service_pid;	   /* the service has no cgroup: its main process */
	struct brunt_ports *ports;
	size_t passed[CONDITIONS];
	size_t denied; /* could not be told for want of a right */
	int error;
};

static void search_done(struct search *search)
{
	if (search->has_regex)
		regfree(&search->regex);
	free(search->exe);
	free(search->groups.paths);
	brunt_ports_free(search->ports);
}

static bool by_user(struct search *search, pid_t pid)
{
	struct stat facts;
	char path[16];

	snprintf(path, sizeof(path), "%d", (int)pid);
	/* The folder's owner is the effective uid, whether dumpable or not: task_dump_owner() in fs/proc/base.c. */
	return !fstatat(search->finder->proc_dir, path, &facts, 0) && facts.st_uid == search->uid;
}

static bool by_name(struct search *search, pid_t pid)
{
	struct brunt_finder *finder = search->finder;
	const char *name = search->selector->name, *argv0;
	size_t length = strlen(name);
	char comm[64];
	ssize_t got = brunt_proc_read(finder->proc_dir, pid, "comm", comm, sizeof(comm));

	if (got <= 0)
		return false;
	if (comm[got - 1] == '\n')
		comm[got - 1] = '\0';
	if (length <= 15 && !strcmp(comm, name))
		return true;
	if (brunt_proc_read(finder->proc_dir, pid, "cmdline", finder->buf, 4096) <= 0)
		return false;
	argv0 = brunt_proc_argv0(finder->buf);
	if (!strcmp(argv0, name))
		return true;
	/* A longer name was cut by the kernel; the argument must not tell of another with the same beginning. */
	return length > 15 && strlen(comm) == 15 && !strncmp(comm, name, 15) && strncmp(argv0, name, 15);
}

static bool by_cmdline(struct search *search, pid_t pid)
{
	char *text = search->finder->buf;
	ssize_t got = brunt_proc_read(search->finder->proc_dir, pid, "cmdline", text, BRUNT_FINDER_BUFFER);

	if (got <= 0)
		return false;
	while (got > 0 && !text[got - 1])
		got--;
	for (ssize_t i = 0; i < got; i++)
		if (!text[i])
			text[i] = ' ';
	return regexec(&search->regex, text, 0, NULL, 0) == 0;
}

static bool by_exe(struct search *search, pid_t pid)
{
	char path[4096];
	ssize_t got = brunt_proc_readlink(search->finder->proc_dir, pid, "exe", path, sizeof(path));

	if (got == -EACCES || got == -EPERM)
		search->denied++;
	if (got <= 0)
		return false;
	for (int cut = 0; cut < 2; cut++) {
		if (!strcmp(path, search->selector->exe) || (search->exe && !strcmp(path, search->exe)))
			return true;
		if (got <= 10 || strcmp(path + got - 10, " (deleted)"))
			return false;
		path[got - 10] = '\0';
	}
	return false;
}

static bool by_group(struct search *search, pid_t pid)
{
	const struct brunt_process_selector *selector = search->selector;
	const char *const given[3] = { selector->cgroup, selector->unit, selector->service };
	char path[BRUNT_CGROUP_PATH] = "";
	size_t begin = 0;

	if (search->groups.count && brunt_cgroup_of(search->finder->proc_dir, pid, path, sizeof(path)))
		return false;
	for (int i = 0; i < 3; begin = search->group_end[i++]) {
		bool within = false;

		for (size_t k = begin; k < search->group_end[i]; k++)
			within = within || brunt_cgroup_within(path, search->groups.paths[k]);
		if (i == 2 && search->service_pid)
			within = brunt_descends(search->finder, pid, search->service_pid);
		if (given[i] && !within)
			return false;
	}
	return true;
}

static bool by_port(struct search *search, pid_t pid)
{
	int rc = brunt_ports_has(search->ports, search->finder->proc_dir, pid);

	if (rc == -EACCES)
		search->denied++;
	else if (rc < 0)
		search->error = rc;
	return rc == 1;
}

/* Of our own namespace, of the run's services, or of any when the plan says so; the pid file's number fits, too. */
static bool by_namespace(struct search *search, pid_t pid, const struct brunt_proc_place *place)
{
	const struct brunt_process_selector *selector = search->selector;

	if (selector->pid_file && (place->depth > 1 ? place->inner : pid) != search->pid)
		return false;
	if (place->depth == 1 || selector->any_pid_namespace || brunt_is_served(search->finder, pid))
		return true;
	/* The launcher lives in the services' namespace: let protection say why it is left out. */
	return !search->finder->unprotected && brunt_pids_has(&search->finder->guarded, pid);
}

static int accept(struct search *search, pid_t pid, const struct brunt_proc_place *place)
{
	struct brunt_finder *finder = search->finder;
	struct brunt_proc_stat stat;
	struct brunt_item *item;
	const char *reason;

	if (brunt_proc_stat(finder->proc_dir, pid, &stat) || !brunt_proc_stat_alive(&stat))
		return 0;
	brunt_text_clean(stat.comm);
	reason = finder->unprotected ? NULL : brunt_protect_reason(finder, pid, &stat, place);
	if (reason) {
		if (!finder->protected ++)
			snprintf(finder->protected_name, sizeof(finder->protected_name), "%s pid %d is %s", stat.comm,
				 (int)pid, reason);
		return 0;
	}
	if (brunt_finder_add(finder, &item))
		return -ENOMEM;
	item->process.pid = pid;
	item->process.start = stat.start;
	memcpy(item->process.name, stat.comm, sizeof(item->process.name));
	snprintf(item->name, sizeof(item->name), "%s pid %d", stat.comm, (int)pid);
	return 0;
}

static int consider(void *user, pid_t pid)
{
	struct search *search = user;
	const struct brunt_process_selector *selector = search->selector;
	struct brunt_proc_place place;

	if (selector->pid && (uint64_t)pid != selector->pid)
		return 0;
	search->passed[BY_PID_FILE]++;
	if (selector->user && !by_user(search, pid))
		return 0;
	search->passed[BY_USER]++;
	if (selector->name && !by_name(search, pid))
		return 0;
	search->passed[BY_NAME]++;
	if (selector->cmdline && !by_cmdline(search, pid))
		return 0;
	search->passed[BY_CMDLINE]++;
	if (selector->exe && !by_exe(search, pid))
		return 0;
	search->passed[BY_EXE]++;
	if ((selector->cgroup || selector->unit || selector->service) && !by_group(search, pid))
		return 0;
	search->passed[BY_GROUP]++;
	if (selector->port && !by_port(search, pid))
		return search->error;
	search->passed[BY_PORT]++;
	if (brunt_proc_place(search->finder->proc_dir, pid, search->finder->buf, BRUNT_FINDER_BUFFER, &place) ||
	    !by_namespace(search, pid, &place))
		return 0;
	search->passed[BY_NAMESPACE]++;
	return accept(search, pid, &place);
}

static int read_pid_file(struct search *search, struct brunt_error *err)
{
	const char *path = search->selector->pid_file;
	BRUNT_AUTO_CLOSE int fd = -1;
	char text[64], *end;
	ssize_t got;
	long pid;

	/* O_NONBLOCK: opening a fifo must not hang the holder. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return brunt_fail(err, errno == EACCES ? EACCES : ESRCH, "cannot open the pid file '%s': %s", path,
				  strerror(errno));
	got = read(fd, text, sizeof(text) - 1);
	text[got > 0 ? got : 0] = '\0';
	pid = strtol(text, &end, 10);
	if (end == text || pid <= 0 || pid > INT32_MAX || (*end && !strchr(" \t\r\n", *end)))
		return brunt_fail(err, ESRCH, "the pid file '%s' holds no pid", path);
	search->pid = (pid_t)pid;
	return 0;
}

static int look_up_user(struct search *search, struct brunt_error *err)
{
	const char *user = search->selector->user;
	struct passwd entry, *found = NULL;
	char buf[4096], *end;
	unsigned long uid = strtoul(user, &end, 10);

	if (*user >= '0' && *user <= '9' && !*end && uid < UINT32_MAX) {
		search->uid = (uid_t)uid;
		return 0;
	}
	(void)getpwnam_r(user, &entry, buf, sizeof(buf), &found);
	if (!found)
		return brunt_fail(err, ESRCH, "there is no user '%s'", user);
	search->uid = found->pw_uid;
	return 0;
}

static int look_up_service(struct search *search, struct brunt_error *err)
{
	const char *name = search->selector->service;
	struct brunt_finder *finder = search->finder;
	char path[BRUNT_CGROUP_PATH];
	int index = brunt_service_index(finder, name, err);

	if (index < 0)
		return index;
	if (brunt_service_cgroup(finder, name, path, sizeof(path)))
		return brunt_paths_add(&search->groups, path);
	search->service_pid = brunt_service_pid(finder, index);
	if (!search->service_pid)
		return brunt_fail(err, ESRCH, "service '%s' is not running", name);
	return 0;
}

/* Everything that is looked up once and not for each process. */
static int prepare(struct search *search, struct brunt_error *err)
{
	const struct brunt_process_selector *selector = search->selector;
	struct brunt_finder *finder = search->finder;
	int rc = 0;

	if (selector->pid && kill((pid_t)selector->pid, 0) && errno == ESRCH)
		return brunt_fail(err, ESRCH, "there is no process %d", (int)selector->pid);
	if (selector->pid_file)
		rc = read_pid_file(search, err);
	if (!rc && selector->user)
		rc = look_up_user(search, err);
	if (!rc && selector->cmdline) {
		if (regcomp(&search->regex, selector->cmdline, REG_EXTENDED | REG_NOSUB))
			return brunt_fail(err, EINVAL, "'%s' is not a regular expression", selector->cmdline);
		search->has_regex = true;
	}
	if (!rc && selector->exe)
		search->exe = realpath(selector->exe, NULL);
	if (!rc && selector->cgroup)
		rc = brunt_cgroup_paths(finder, selector->cgroup, &search->groups, err);
	search->group_end[0] = search->groups.count;
	if (!rc && selector->unit)
		rc = brunt_unit_paths(finder, selector->unit, &search->groups, err);
	search->group_end[1] = search->groups.count;
	if (!rc && selector->service)
		rc = look_up_service(search, err);
	search->group_end[2] = search->groups.count;
	if (!rc && selector->port)
		rc = brunt_ports_new(selector->port, &search->ports);
	return rc;
}

/* What a condition asks, as the end of "no process ...". */
static const char *phrase(const struct search *search, enum condition condition, char *buf, size_t size)
{
	const struct brunt_process_selector *selector = search->selector;

	switch (condition) {
	case BY_PID_FILE:
		snprintf(buf, size, "has pid %d", (int)search->pid);
		break;
	case BY_USER:
		snprintf(buf, size, "runs as user '%s'", selector->user);
		break;
	case BY_NAME:
		snprintf(buf, size, "is named '%s'", selector->name);
		break;
	case BY_CMDLINE:
		snprintf(buf, size, "has arguments like '%s'", selector->cmdline);
		break;
	case BY_EXE:
		snprintf(buf, size, "runs '%s'", selector->exe);
		break;
	case BY_GROUP:
		snprintf(buf, size, "lives in %s '%s'",
			 selector->cgroup ? "cgroup"
			 : selector->unit ? "unit"
					  : "service",
			 selector->cgroup ? selector->cgroup
			 : selector->unit ? selector->unit
					  : selector->service);
		break;
	case BY_PORT:
		snprintf(buf, size, "listens on port %llu", (unsigned long long)selector->port);
		break;
	case BY_NAMESPACE:
	case CONDITIONS:
		snprintf(buf, size, "%s",
			 selector->pid_file ? "is the one that the pid file means"
					    : "runs in this PID namespace; set any_pid_namespace to look into others");
		break;
	}
	return buf;
}

/* Nobody passed: says at which condition, and what comes near. */
static int explain(struct search *search, struct brunt_error *err)
{
	const struct brunt_process_selector *selector = search->selector;
	const char *const given[CONDITIONS] = {
		[BY_USER] = selector->user,
		[BY_NAME] = selector->name,
		[BY_CMDLINE] = selector->cmdline,
		[BY_EXE] = selector->exe,
		[BY_GROUP] = selector->cgroup ? selector->cgroup
			     : selector->unit ? selector->unit
					      : selector->service,
		[BY_PORT] = selector->port ? "" : NULL,
	};
	char what[160], before[160], near[96], missing[64];
	int condition = 0, last = -1;

	if (search->finder->protected)
		return brunt_fail(err, EPERM, "only protected processes match: %s", search->finder->protected_name);
	/* Some hide even from a root that has it (another user namespace, a sandbox): those are then just no match. */
	if (search->denied && *brunt_capabilities_missing(UINT64_C(1) << CAP_SYS_PTRACE, missing, sizeof(missing)))
		return brunt_fail(err, EACCES,
				  "%zu processes of other users hide what they are; that takes root or CAP_SYS_PTRACE",
				  search->denied);
	while (condition < BY_NAMESPACE && search->passed[condition]) {
		if (given[condition])
			last = condition;
		condition++;
	}
	if (search->passed[BY_NAMESPACE])
		return brunt_fail(err, ESRCH, "what matches has just ended");
	phrase(search, (enum condition)condition, what, sizeof(what));
	if (condition == BY_PID_FILE)
		return brunt_fail(err, ESRCH, "process %d of the pid file '%s' is gone", (int)search->pid,
				  selector->pid_file);
	if (last >= 0)
		return brunt_fail(
			err, ESRCH, "%zu processes match, the last condition being that one %s, but none of them %s",
			search->passed[last], phrase(search, (enum condition)last, before, sizeof(before)), what);
	near[0] = '\0';
	if (condition == BY_NAME)
		brunt_suggest_process(search->finder, selector->name, near, sizeof(near));
	else if (condition == BY_EXE && access(selector->exe, F_OK))
		snprintf(near, sizeof(near), "; there is no such file");
	return brunt_fail(err, ESRCH, "no process %s%s", what, near);
}

/* By age: the same place in the list for the same seed, however pids wrapped. */
static int by_age(const void *left, const void *right)
{
	const struct brunt_process *a = &((const struct brunt_item *)left)->process;
	const struct brunt_process *b = &((const struct brunt_item *)right)->process;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return (a->pid > b->pid) - (a->pid < b->pid);
}

static int consider_one(struct search *search)
{
	struct brunt_proc_stat stat;

	return brunt_proc_stat(search->finder->proc_dir, search->pid, &stat) ? 0 : consider(search, search->pid);
}

static int search_run(struct search *search, struct brunt_error *err)
{
	struct brunt_finder *finder = search->finder;
	const struct brunt_process_selector *selector = search->selector;
	int rc = prepare(search, err);

	if (rc)
		return rc == -ENOMEM ? brunt_fail(err, ENOMEM, "out of memory") : rc;
	/* An inner pid can only be found by looking at everybody; without other namespaces one look is enough. */
	if (selector->pid_file && !selector->any_pid_namespace && !finder->launcher)
		rc = consider_one(search);
	else
		rc = brunt_proc_scan(finder->proc_dir, consider, search);
	if (rc)
		return brunt_fail(err, -rc, "cannot look through the processes: %s", strerror(-rc));
	if (!finder->count)
		return explain(search, err);
	qsort(finder->items, finder->count, sizeof(*finder->items), by_age);
	if (selector->pid_file && finder->count > 1)
		return brunt_fail(err, E2BIG,
				  "pid %d of '%s' is %s here but %s in another PID namespace; add name or exe",
				  (int)search->pid, selector->pid_file, finder->items[0].name, finder->items[1].name);
	return 0;
}

int brunt_find_process(struct brunt_finder *finder, struct brunt_error *err)
{
	const struct brunt_process_selector *selector = finder->target->process;
	BRUNT_CLEANUP(search_done) struct search search = { .finder = finder, .selector = selector };

	finder->explicit = selector->pid || selector->name || selector->exe || selector->pid_file ||
			   selector->service || (selector->unit && !brunt_cgroup_has_wildcard(selector->unit));
	return search_run(&search, err);
}
