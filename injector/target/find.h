/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of resolving, private to this folder. A finder is one look at the
 * host: it collects the items that match, then the processes of those picked.
 */
#pragma once

#include <regex.h>

#include "brunt/target.h"
#include "target/proc.h"

struct brunt_error;

#define BRUNT_FINDER_BUFFER    (64 * 1024) /* one file of /proc; what is longer is cut */
#define BRUNT_FINDER_ITEMS_MAX 100000

struct brunt_pids {
	pid_t *pids;
	size_t count, room;
};

struct brunt_paths { /* of cgroups */
	char (*paths)[512];
	size_t count, room;
};

struct brunt_finder {
	const struct brunt_target *target;
	enum brunt_target_kind kind;
	const struct brunt_resolve_context *context;
	bool unprotected; /* only count: leave out what protection costs */
	int proc_dir;
	int cgroup_dir; /* -1 when there is no cgroup v2 */
	char *buf;	/* BRUNT_FINDER_BUFFER bytes of scratch */

	struct brunt_item *items;
	size_t count, room;

	struct brunt_pids guarded; /* brunt's own processes and all their ancestors */
	pid_t launcher;		   /* init of the services' PID namespace, 0 when there is none */
	bool explicit;		   /* the target names its victims: sshd and inits of other namespaces are meant */
	size_t protected;	   /* processes that match but are left out */
	char protected_name[96];   /* the first of them, and why */
};

/* Which kind a target is, from which member is set; -EINVAL none, -E2BIG several. */
int brunt_target_kind_of(const struct brunt_target *target);

/* Adds pid unless it is there; 0 or -ENOMEM. */
int brunt_pids_add(struct brunt_pids *pids, pid_t pid);
bool brunt_pids_has(const struct brunt_pids *pids, pid_t pid);
int brunt_paths_add(struct brunt_paths *paths, const char *path);

/* A zeroed item more at the end, in *ret; 0 or -ENOMEM. */
int brunt_finder_add(struct brunt_finder *finder, struct brunt_item **ret);

/*
 * One per kind: adds the items that match. 0 with at least one item, -ESRCH with the near misses when there is
 * none, or what brunt_target_resolve() says.
 */
int brunt_find_process(struct brunt_finder *finder, struct brunt_error *err);
int brunt_find_cgroup(struct brunt_finder *finder, struct brunt_error *err);
int brunt_find_unit(struct brunt_finder *finder, struct brunt_error *err);
int brunt_find_service(struct brunt_finder *finder, struct brunt_error *err);
int brunt_find_container(struct brunt_finder *finder, struct brunt_error *err);
int brunt_find_interface(struct brunt_finder *finder, struct brunt_error *err);

/* The cgroups of a unit or of a cgroup pattern, for the process selector too. 0 (also when none), or -errno. */
int brunt_unit_paths(struct brunt_finder *finder, const char *unit, struct brunt_paths *ret, struct brunt_error *err);
int brunt_cgroup_paths(struct brunt_finder *finder, const char *pattern, struct brunt_paths *ret,
		       struct brunt_error *err);

/* The index of a service of the plan; -ESRCH. */
int brunt_service_index(struct brunt_finder *finder, const char *name, struct brunt_error *err);
/* Its cgroup below the mount, when it has one; false otherwise. */
bool brunt_service_cgroup(struct brunt_finder *finder, const char *name, char *buf, size_t size);
/* Its main process now, 0 when it does not run. */
pid_t brunt_service_pid(struct brunt_finder *finder, int index);

/* The processes of any item: visit is called for each. */
int brunt_item_processes(struct brunt_finder *finder, const struct brunt_item *item,
			 int (*visit)(void *user, pid_t pid), void *user);

/* Is pid a descendant of ancestor (or that itself), by parents as they are now? */
bool brunt_descends(struct brunt_finder *finder, pid_t pid, pid_t ancestor);

/* Does a process of the run's own services run as pid? */
bool brunt_is_served(struct brunt_finder *finder, pid_t pid);

/* Looks up brunt's own processes, ancestors and launcher. 0 or -ENOMEM. */
int brunt_protect_prepare(struct brunt_finder *finder);

/*
 * May this process be hit? NULL when it may, else why not ("a kernel thread"). place: where it lives. A process of
 * the run's own services may always be hit, brunt's own roles apart.
 */
const char *brunt_protect_reason(struct brunt_finder *finder, pid_t pid, const struct brunt_proc_stat *stat,
				 const struct brunt_proc_place *place);

/* Does the process listen on (TCP) or have bound (UDP) the port, in its own network namespace? */
struct brunt_ports;
int brunt_ports_new(uint64_t port, struct brunt_ports **ret);
void brunt_ports_free(struct brunt_ports *ports);
/* 1 yes, 0 no, -EACCES cannot be told, -ENOMEM. */
int brunt_ports_has(struct brunt_ports *ports, int proc_dir, pid_t pid);

/* A process that runs (or, with text "no", none) whose name is like this one: ", 'nginx' runs" into buf. Returns buf.
 */
const char *brunt_suggest_process(struct brunt_finder *finder, const char *name, char *buf, size_t size);
