/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher: init of a PID namespace of the run's own. It starts services
 * and commands as their users, each service in a cgroup of its own; when the
 * launcher dies, the kernel kills them all. It knows the plan: the controller
 * sends verbs and indexes. Descriptors of output travel back by SCM_RIGHTS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "brunt/hold.h"

enum brunt_launch_verb_kind {
	BRUNT_LAUNCH_START,   /* index: a service; its `prepare` lines run first, once */
	BRUNT_LAUNCH_STOP,    /* index: a service: SIGTERM to all of it, SIGKILL after 5 s; not restarted */
	BRUNT_LAUNCH_STEP,    /* index: a `run` step */
	BRUNT_LAUNCH_FINALLY, /* index: in plan->finally */
	BRUNT_LAUNCH_SLI,     /* index: a `command` SLI */
	BRUNT_LAUNCH_CANCEL,  /* sequence: kill that step, finally or SLI command and all its children */
	BRUNT_LAUNCH_END, /* stop every service in reverse order, at most 5 s (then SIGKILL), remove cgroups, exit */
};
struct brunt_launch_verb {
	uint32_t kind;
	uint32_t index;
	uint64_t sequence;
};

enum brunt_launch_report_kind {
	BRUNT_LAUNCHED,	     /* started; carries one descriptor: the read end of stdout and stderr together */
	BRUNT_LAUNCH_EXITED, /* status as of waitpid; restarting: it comes up again by itself; answers STOP, too */
	BRUNT_LAUNCH_FAILED, /* could not be started: code, text; or a `prepare` line failed */
	BRUNT_LAUNCH_ENDED,  /* last words */
};
struct brunt_launch_report {
	uint32_t kind;
	uint32_t verb; /* the verb that it is about: of a service always START, with that START's sequence */
	uint32_t index;
	int32_t code; /* FAILED: -errno */
	uint64_t sequence;
	uint64_t at;
	pid_t pid;	/* outer */
	int32_t status; /* EXITED */
	bool restarting;
	char text[256];
};

/*
 * Forks the launcher into a new PID namespace (and, when brunt is not privileged, a user namespace of the caller's)
 * and returns its pid, once it is ready. The caller itself stays in its namespaces. socket: the launcher's SEQPACKET
 * end; the caller closes its copy. 0 or -errno (-EPERM: namespaces are not allowed here; err says what to do).
 */
int brunt_launcher_fork(const struct brunt_run_setup *setup, int socket, pid_t *ret_pid, struct brunt_error *err);
