/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp filters, made with libseccomp. What a filter says is for ever: it can
 * never be taken off a process. So it says as little as can be: which calls
 * somebody is asked about (NOTIFY), or which fail always (ERRNO); all others
 * are allowed, and so is every call of another architecture.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/filter.h>

#include "syscall/calls.h"

struct brunt_error;

/* A condition on one integer argument: (argument & mask) OP value. */
enum brunt_compare { BRUNT_IS, BRUNT_IS_NOT, BRUNT_LESS, BRUNT_AT_MOST, BRUNT_MORE, BRUNT_AT_LEAST };
struct brunt_argument {
	uint8_t index;	 /* 0..5 */
	uint8_t compare; /* enum brunt_compare; unsigned */
	uint64_t mask;	 /* 0: all bits */
	uint64_t value;
};

#define BRUNT_ARGUMENTS_MAX 6

/* One reason to look at calls. Several make one filter: a call is looked at when any of them says so. */
struct brunt_filter_rule {
	struct brunt_call_set calls;
	struct brunt_argument arguments[BRUNT_ARGUMENTS_MAX]; /* all must hold; several may be about one argument */
	size_t argument_count;
	int code; /* 0: NOTIFY; else the errno that the calls always fail with. One code for one call. */
};

/*
 * Makes the program for this machine's architecture; changes nothing in the calling process. A rule without conditions
 * wins over those with conditions for the same call. Allocates; *ret is the caller's to free. -EINVAL when nothing is
 * to be looked at, or a call has two codes or must not fail (brunt_call_may_fail); -E2BIG when the program would be
 * longer than the kernel takes; -ENOTSUP on an architecture or a kernel that cannot do it; -ENOMEM.
 */
int brunt_filter_compile(const struct brunt_filter_rule *rules, size_t count, struct sock_filter **ret,
			 size_t *ret_count, struct brunt_error *err);

/* Pure; what the kernel would decide: do the arguments hold? For the keeper, which serves several rules by one filter. */
bool brunt_arguments_hold(const struct brunt_argument *arguments, size_t count, const uint64_t args[6]);

/*
 * In the process that is to be filtered, all its threads: installs it with a listener and returns that (close-on-exec),
 * or -errno. -EACCES: needs CAP_SYS_ADMIN or no_new_privs; -EBUSY: it has a listener already; -ESRCH: a thread has other
 * filters; -EINVAL: Linux before 5.7. No allocation.
 */
int brunt_filter_install(const struct sock_fprog *program);

/* The same without a listener, for filters whose every rule has a code. 0 or -errno. */
int brunt_filter_install_plain(const struct sock_fprog *program);

/*
 * Does a call that the keeper has taken wait in peace, whatever signals come (Linux 5.19)? Before, each signal makes it
 * begin anew, with its delay.
 */
bool brunt_filter_waits_in_peace(void);

/*
 * Can this kernel notify? 0, or -ENOTSUP with a sentence. Linux 5.5 has CONTINUE, 5.7 a listener for all threads of a
 * process; both are needed. err may be NULL.
 */
int brunt_filter_probe(struct brunt_error *err);
