/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command under a filter from its first instruction on: the filter is
 * installed before the program is executed, so nothing has to be traced, and
 * no privilege is needed that the caller does not have.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/filter.h>

#include "syscall/keep.h"

struct brunt_error;

struct brunt_wrap {
	char *const *argv; /* argv[0] is looked for in PATH */
	char *const *envp; /* NULL: the caller's own */
	const char *cwd;   /* NULL: the caller's own */
	int stdio[3];	   /* descriptors that become 0, 1, 2; -1: as the caller's */
	bool own_session;  /* a session and process group of its own */
	bool dies_with_caller;
	const struct sock_fprog *filter;
	const struct brunt_keep *keep; /* NULL: the filter asks nobody, all its calls fail by themselves */
	uint32_t rules;		       /* of keep, that are about it */
	/* The filter does not ask about sched_yield: who waits for the keeper may let it have the processor. */
	bool may_yield;
};

/*
 * Starts it as a child of the caller. Without CAP_SYS_ADMIN it gets no_new_privs (and so cannot gain privileges by
 * set-user-ID programs; said in the documentation). The rules may be armed before. 0 and the pid; -ENOENT when there is
 * no such program, -EACCES, -ENOEXEC, -ENOTSUP (no filters here), -errno. When it returns, the program has been executed.
 */
int brunt_wrap_start(const struct brunt_wrap *wrap, pid_t *ret_pid, struct brunt_error *err);
