/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is hit. A target is a selector; resolving it finds items: processes,
 * units, services, containers, cgroups or interfaces. `pick`, the share and
 * the blast radius count items. What a fault needs of an item (its processes,
 * its cgroup, its index) is found in the same step, so that what was shown,
 * judged and hit are one thing.
 *
 * Resolving is read-only and needs no privilege but the right to read /proc.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "brunt/param.h"

enum brunt_target_kind {
	BRUNT_TARGET_PROCESS,
	BRUNT_TARGET_CGROUP,
	BRUNT_TARGET_UNIT,
	BRUNT_TARGET_SERVICE,
	BRUNT_TARGET_CONTAINER,
	BRUNT_TARGET_INTERFACE,
	_BRUNT_TARGET_MAX
};
const char *brunt_target_kind_name(enum brunt_target_kind kind);

enum brunt_resolve { BRUNT_RESOLVE_START, BRUNT_RESOLVE_EACH, BRUNT_RESOLVE_FOLLOW };

/* All given conditions must hold. Strings are in the plan's arena. */
struct brunt_process_selector {
	const char *name;	/* exact comm (15 bytes kept by the kernel) or base name of argv[0] */
	const char *exe;	/* path of the executable */
	const char *cmdline;	/* regular expression over the arguments joined by spaces */
	uint64_t pid;		/* of brunt's own PID namespace; 0: any */
	const char *pid_file;	/* holds the pid; an inner pid of another PID namespace is translated */
	const char *user;	/* name or number */
	uint64_t port;		/* listens on this TCP port, or has this UDP port bound */
	const char *cgroup;	/* lives in or below this cgroup */
	const char *unit;	/* lives in this systemd unit */
	const char *service;	/* lives in this service of the plan */
	bool any_pid_namespace; /* also processes of other PID namespaces (containers) */
};

struct brunt_target {
	const char *name;
	struct brunt_place place;
	enum brunt_target_kind kind; /* which one of the following is set */
	struct brunt_process_selector *process;
	const char *cgroup; /* path below the cgroup v2 mount ("/system.slice/x.service"), wildcards by fnmatch */
	const char *unit;   /* "nginx.service", "worker@*.service"; no suffix means .service */
	const char *service;
	const char *container; /* id, unique id prefix, or name */
	const char *interface; /* exact name */
	struct brunt_pick pick;
	int resolve; /* enum brunt_resolve */
};

/* The table that reads a target; it is an element of the plan's "targets" map. */
extern const struct brunt_table brunt_target_table;

/* A process that cannot be confused with a later one of the same pid. */
struct brunt_process {
	pid_t pid;	/* in brunt's own PID namespace */
	uint64_t start; /* field 22 of /proc/PID/stat, clock ticks since boot */
	int pidfd;	/* -1 when not opened */
	char name[16];	/* comm */
};

/* One thing selected. */
struct brunt_item {
	enum brunt_target_kind kind;
	char name[128];		      /* for a person: "worker pid 812", "nginx.service", "eth0" */
	bool picked;		      /* chosen by pick: only these are hit */
	struct brunt_process process; /* BRUNT_TARGET_PROCESS */
	char cgroup[512];   /* path below the cgroup v2 mount, of the cgroup (or of the process); "" when unknown */
	uint64_t cgroup_id; /* inode of that directory; 0 when unknown */
	unsigned interface_index; /* BRUNT_TARGET_INTERFACE */
};

/* The outcome of resolving; freed by brunt_victims_free. */
struct brunt_victims {
	struct brunt_item *items; /* everything that matched; picked ones are flagged */
	size_t matched;
	size_t picked;
	double share;			 /* picked / matched */
	struct brunt_process *processes; /* of the picked items, when asked for; pidfds open */
	size_t process_count;
};

/* What a fault needs of its target: bits, in struct brunt_injector.wants. */
enum brunt_want {
	BRUNT_WANT_PROCESSES = 1 << 0, /* fill victims.processes */
	BRUNT_WANT_CGROUP = 1 << 1,    /* every item must have a cgroup */
	BRUNT_WANT_INTERFACE = 1 << 2, /* interfaces are accepted */
};

/* A process of a service, as the launcher last told (shared memory; see role.h). */
struct brunt_service_slot {
	pid_t pid; /* outer pid of the main process; 0 when not running */
	uint64_t start;
	uint64_t generation; /* counts starts */
};

/* What resolving may consult. All pointers are borrowed; services may be NULL (nothing runs yet). */
struct brunt_resolve_context {
	uint64_t seed;				   /* of the run: decides pick */
	uint64_t round;				   /* of this target: 0 at start, +1 each time it is resolved again */
	const char *proc;			   /* "/proc"; another folder in tests */
	const char *cgroup_mount;		   /* of cgroup v2; NULL when there is none */
	const char *run_cgroup;			   /* "/brunt.RUN": the services' cgroups are below it; NULL without */
	const char *const *service_names;	   /* by index; NULL-terminated; NULL without services */
	const struct brunt_service_slot *services; /* same order */
	const pid_t *own;			   /* brunt's own processes (all roles) */
	size_t own_count;
	const char *const *engine_sockets; /* of container engines; NULL-terminated; NULL: docker's and podman's own */
};

/*
 * Finds, picks and checks. wants: bits of enum brunt_want; follow_previous: victims of an earlier round that are
 * to be kept when they are still alive, or NULL.
 *
 * 0; -ESRCH nothing matches (the message names near misses: "no process is named 'ngnix'; 'nginx' runs");
 * -E2BIG several match and there is no pick (the message lists them, five at most); -EPERM a protected process is
 * among the picked; -ENOTSUP a kind of target that this host cannot tell (no systemd, no cgroup v2, no engine
 * socket); -EACCES when telling needs a right that is missing; -ENOMEM. ret untouched on failure.
 *
 * Never picked: pid 1, brunt's own processes and all their ancestors, kernel threads, journald, dbus, logind;
 * inits of other PID namespaces and sshd only when named explicitly (exe, name, unit or pid_file says so); only
 * processes of brunt's own PID namespace (and the run's own services) unless any_pid_namespace.
 */
int brunt_target_resolve(const struct brunt_target *target, unsigned wants, const struct brunt_resolve_context *context,
			 const struct brunt_victims *follow_previous, struct brunt_victims **ret,
			 struct brunt_error *err);

/* How many items match now, without picking or checking protection; for the `process` SLI and `alive`. -errno too. */
int brunt_target_count(const struct brunt_target *target, const struct brunt_resolve_context *context, uint64_t *ret,
		       struct brunt_error *err);

/* Closes every pidfd. NULL is allowed. */
void brunt_victims_free(struct brunt_victims *victims);

/* Is it still that process, and alive (a zombie is not)? By pidfd when there is one, else by start time. */
bool brunt_process_alive(const struct brunt_process *process);

/* Reads identity: start time, comm; opens a pidfd when open is true. 0, -ESRCH, -errno. */
int brunt_process_identify(const char *proc, pid_t pid, bool open, struct brunt_process *ret, struct brunt_error *err);

/* The path where cgroup v2 is mounted (pure or hybrid), in buf; 0 or -ENOENT. */
int brunt_cgroup_mount(char *buf, size_t size);

/* Picks picked of matched, decided by seed, label (target name) and round: writes true into chosen[i]. Pure. */
void brunt_pick_choose(uint64_t seed, const char *label, uint64_t round, size_t matched, size_t picked, bool *chosen);

/* How many of matched a pick takes: a percentage rounds down, but never to zero. -E2BIG: several and no pick. */
int brunt_pick_count(const struct brunt_pick *pick, size_t matched, size_t *ret);
