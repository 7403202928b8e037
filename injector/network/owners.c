/* SPDX-License-Identifier: Apache-2.0 */
#include "network/owners.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "target/cgroup.h"
#include "target/proc.h"

#define ANCESTORS_MAX 64

static int add(struct brunt_ids *ids, uint64_t id)
{
	if (ids->count == ids->room) {
		size_t room = ids->room ? 2 * ids->room : 64;
		uint64_t *bigger = reallocarray(ids->ids, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		ids->ids = bigger;
		ids->room = room;
	}
	ids->ids[ids->count++] = id;
	return 0;
}

static void close_folder(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

/* One descriptor: 0 also when it is no socket, or gone. */
static int add_link(struct brunt_owners *owners, int folder, const char *name)
{
	char link[64];
	ssize_t size = readlinkat(folder, name, link, sizeof(link) - 1);
	unsigned long inode;

	if (size < 0)
		return errno == EACCES || errno == EPERM ? -EPERM : 0;
	link[size] = '\0';
	return sscanf(link, "socket:[%lu]", &inode) == 1 ? add(&owners->inodes, inode) : 0;
}

int brunt_owners_add_process(struct brunt_owners *owners, pid_t pid, struct brunt_error *err)
{
	BRUNT_CLEANUP(close_folder) DIR *folder = NULL;
	const struct dirent *entry;
	char path[32];
	int r = 0;

	for (size_t i = 0; i < owners->pids.count; i++)
		if (owners->pids.ids[i] == (uint64_t)pid)
			return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	if (!folder)
		r = errno == EACCES || errno == EPERM ? -EPERM : errno == ENOENT || errno == ESRCH ? 0 : -errno;
	while (!r && folder && (entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			r = add_link(owners, dirfd(folder), entry->d_name);
	if (!r)
		r = add(&owners->pids, (uint64_t)pid);
	if (r == -EPERM)
		return brunt_fail(err, EPERM, "may not list the sockets of process %d: needs CAP_SYS_PTRACE", (int)pid);
	return r ? brunt_fail(err, -r, "cannot list the sockets of process %d: %s", (int)pid, strerror(-r)) : 0;
}

struct walk {
	struct brunt_owners *owners;
	int mount;
	struct brunt_error *err;
};

static int visit_process(void *user, pid_t pid)
{
	struct walk *walk = user;

	return brunt_owners_add_process(walk->owners, pid, walk->err);
}

static int visit_cgroup(void *user, const char *path, const char *name)
{
	struct walk *walk = user;

	(void)name;
	return add(&walk->owners->cgroups, brunt_cgroup_id(walk->mount, path)) ?: BRUNT_CGROUP_DESCEND;
}

int brunt_owners_add_cgroup(struct brunt_owners *owners, const char *mount, const char *path, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int fd = brunt_cgroup_open(mount, err);
	struct walk walk = { .owners = owners, .mount = fd, .err = err };
	int r;

	if (fd < 0)
		return fd;
	r = add(&owners->cgroups, brunt_cgroup_id(fd, path));
	r = r ?: brunt_cgroup_walk(fd, path, visit_cgroup, &walk);
	if (r)
		return brunt_fail(err, -r, "cannot go through cgroup '%s': %s", path, strerror(-r));
	r = brunt_cgroup_processes(fd, path, visit_process, &walk);
	if (r && err && !err->msg[0])
		return brunt_fail(err, -r, "cannot list the processes of cgroup '%s': %s", path, strerror(-r));
	return r;
}

int brunt_owners_add_ancestors(struct brunt_owners *owners, pid_t pid, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int proc = brunt_proc_open("/proc", err);
	int r = proc < 0 ? proc : 0;

	for (int i = 0; i < ANCESTORS_MAX && pid > 1 && !r; i++) {
		struct brunt_proc_stat stat;

		r = brunt_owners_add_process(owners, pid, err);
		if (brunt_proc_stat(proc, pid, &stat))
			break;
		pid = stat.ppid;
	}
	return r;
}

struct named {
	struct brunt_owners *owners;
	const char *prefix;
	int proc;
	struct brunt_error *err;
};

static int visit_named(void *user, pid_t pid)
{
	struct named *named = user;
	struct brunt_proc_stat stat;

	if (brunt_proc_stat(named->proc, pid, &stat) || strncmp(stat.comm, named->prefix, strlen(named->prefix)))
		return 0;
	return brunt_owners_add_process(named->owners, pid, named->err);
}

int brunt_owners_add_named(struct brunt_owners *owners, const char *prefix, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int proc = brunt_proc_open("/proc", err);
	struct named named = { .owners = owners, .prefix = prefix, .proc = proc, .err = err };

	return proc < 0 ? proc : brunt_proc_scan(proc, visit_named, &named);
}

int brunt_owners_add_inode(struct brunt_owners *owners, uint64_t inode)
{
	return add(&owners->inodes, inode);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

void brunt_owners_sort(struct brunt_owners *owners)
{
	if (owners->inodes.count)
		qsort(owners->inodes.ids, owners->inodes.count, sizeof(uint64_t), compare);
	if (owners->cgroups.count)
		qsort(owners->cgroups.ids, owners->cgroups.count, sizeof(uint64_t), compare);
}

bool brunt_ids_have(const struct brunt_ids *ids, uint64_t id)
{
	return id && ids->count && bsearch(&id, ids->ids, ids->count, sizeof(id), compare);
}

void brunt_owners_done(struct brunt_owners *owners)
{
	free(owners->inodes.ids);
	free(owners->cgroups.ids);
	free(owners->pids.ids);
	*owners = (struct brunt_owners){ 0 };
}
