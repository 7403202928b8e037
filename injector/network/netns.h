/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces of targets: told by inode, entered through /proc for a
 * moment, never held open. A namespace lives as long as a process is in it or
 * a descriptor of it is open: ours must not keep a dead container's.
 *
 * For a single-threaded process: setns() moves the calling thread alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct brunt_error;

struct brunt_netns {
	uint64_t device, inode; /* of nsfs */
	pid_t pid;		/* a process that was in it */
	bool own;		/* the one that brunt runs in */
};

/* The namespace of a process; pid 0: our own. 0, -ESRCH, -EPERM, -errno. */
int brunt_netns_of(pid_t pid, struct brunt_netns *ret, struct brunt_error *err);

bool brunt_netns_is_same(const struct brunt_netns *a, const struct brunt_netns *b);

/*
 * A descriptor of it: through its process, or through whichever process in /proc is in it. The caller closes it soon.
 * -ESRCH: no process is in it any more. No allocation.
 */
int brunt_netns_open(const struct brunt_netns *netns, struct brunt_error *err);

/* Moves this thread into it (nothing to do for our own). 0, -ESRCH, -errno; then the thread has not moved. */
int brunt_netns_enter(const struct brunt_netns *netns, struct brunt_error *err);

/* Back to home, a descriptor of our own. After an enter that succeeded. */
void brunt_netns_leave(const struct brunt_netns *netns, int home);

/* A new, empty namespace that lives by the descriptor returned; this thread is back at home. -errno. */
int brunt_netns_make(int home, struct brunt_error *err);
