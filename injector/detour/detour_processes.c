/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of the victims, and tags on their sockets. The hook that tags new
 * sockets is there first, so nothing is made between it and the walk.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../../bpf/detour.h"
#include "bpf/detour.skel.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "detour/detour_parts.h"
#include "network/sockets.h"

/* The kernel allows cgroups far deeper; nobody builds them. */
#define DEPTH_MAX 32

struct walk {
	int (*visit)(void *user, pid_t pid);
	void *user;
	struct brunt_error *err;
};

static void close_folder(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static int visit_processes(int directory, const struct walk *walk)
{
	BRUNT_CLEANUP(close_file) FILE *in = NULL;
	int fd = openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC), pid, r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : brunt_fail(walk->err, errno, "cannot list processes: %s", strerror(errno));
	in = fdopen(fd, "r");
	if (!in) {
		close(fd);
		return brunt_fail(walk->err, ENOMEM, "no memory to list processes");
	}
	/* 0: a process of a PID namespace that is not below ours; ENODEV: the cgroup was removed */
	while (!r && fscanf(in, "%d", &pid) == 1)
		r = pid > 0 ? walk->visit(walk->user, pid) : 0;
	return r;
}

static int descend(int parent, const char *name, unsigned depth, const struct walk *walk)
{
	BRUNT_CLEANUP(close_folder) DIR *folder = NULL;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r;
	struct dirent *entry;

	if (fd < 0)
		return errno == ENOENT && depth ? 0
						: brunt_fail(walk->err, errno == ENOENT ? ESRCH : errno,
							     "cannot open cgroup '%.120s': %s", name, strerror(errno));
	r = visit_processes(fd, walk);
	folder = fdopendir(fd);
	if (!folder) {
		close(fd);
		return brunt_fail(walk->err, ENOMEM, "no memory to list cgroups");
	}
	while (!r && depth < DEPTH_MAX && (entry = readdir(folder)))
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			r = descend(dirfd(folder), entry->d_name, depth + 1, walk);
	return r;
}

int brunt_cgroup_each(const char *mount, const char *path, int (*visit)(void *user, pid_t pid), void *user,
		      struct brunt_error *err)
{
	const struct walk walk = { visit, user, err };
	char whole[PATH_MAX];

	if (!mount[0] || !path[0])
		return brunt_fail(err, ENOTSUP, "the target's cgroup is not known: no cgroup v2 is mounted");
	if (snprintf(whole, sizeof(whole), "%s%s", mount, path) >= (int)sizeof(whole))
		return brunt_fail(err, ENAMETOOLONG, "the path of cgroup '%.80s' is too long", path);
	return descend(AT_FDCWD, whole, 0, &walk);
}

static int tag_process(void *user, pid_t pid)
{
	struct walk *walk = user;
	struct brunt_detour *detour = walk->user;
	struct brunt_process process;
	int r = brunt_process_identify("/proc", pid, false, &process, walk->err);

	r = r
		    ?: brunt_sockets_tag(&process, bpf_map__fd(detour->skeleton->maps.brunt_tags),
					 detour->control->round, &detour->tagged, walk->err);
	return r == -ESRCH ? 0 : r; /* it ended while we looked */
}

static int hook(struct brunt_detour *detour, const struct brunt_item *item, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int directory = brunt_bpf_open_cgroup(detour->mount, item, err);

	if (directory < 0)
		return directory;
	return brunt_bpf_attach_cgroup(&detour->bpf,
				       brunt_bpf_program(&detour->bpf, detour->skeleton->obj, "brunt_detour_tag"),
				       directory, BPF_CGROUP_INET_SOCK_CREATE, item->name, err);
}

int brunt_detour_tag(struct brunt_detour *detour, struct brunt_error *err)
{
	const struct brunt_victims *victims = detour->victims;
	const int tgids = bpf_map__fd(detour->skeleton->maps.brunt_tgids);
	struct walk walk = { .user = detour, .err = err };
	int r = 0;

	detour->tagged = 0;
	for (size_t i = 0; i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[i];
		__u32 tgid = (__u32)item->process.pid;

		if (!item->picked)
			continue;
		if (item->kind == BRUNT_TARGET_PROCESS &&
		    bpf_map_update_elem(tgids, &tgid, &detour->control->round, BPF_ANY))
			return brunt_fail(err, errno, "cannot mark process %u: %s", tgid, strerror(errno));
		r = brunt_bpf_is_covered(victims, i) ? 0 : hook(detour, item, err);
		if (r)
			return r;
	}
	for (size_t i = 0; !r && i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[i];

		if (!item->picked)
			continue;
		if (item->kind == BRUNT_TARGET_PROCESS)
			r = brunt_sockets_tag(&item->process, bpf_map__fd(detour->skeleton->maps.brunt_tags),
					      detour->control->round, &detour->tagged, err);
		else
			r = brunt_cgroup_each(detour->mount, item->cgroup, tag_process, &walk, err);
	}
	return r;
}

void brunt_detour_untag(struct brunt_detour *detour)
{
	const struct brunt_victims *victims = detour->victims;
	const int tgids = bpf_map__fd(detour->skeleton->maps.brunt_tgids);

	brunt_bpf_detach(&detour->bpf);
	for (size_t i = 0; victims && i < victims->matched; i++) {
		__u32 tgid = (__u32)victims->items[i].process.pid;

		if (victims->items[i].kind == BRUNT_TARGET_PROCESS)
			(void)bpf_map_delete_elem(tgids, &tgid);
	}
}
