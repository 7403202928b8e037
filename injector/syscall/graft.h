/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter with a listener for a process that already runs: ptrace has one of
 * its threads make the seccomp call itself, for all of them, and that thread
 * goes on where it was, after some hundreds of microseconds; longer where the
 * two have to wait for a processor, some ten times. The filter stays until the
 * process and what it forked from then on have exited; nothing else of this
 * does (no_new_privs apart, where that was allowed).
 *
 * The caller is a short-lived process of its own, so that a victim that never
 * answers costs nobody a lease. While the victim's registers are not its own,
 * there is no way out of here but to wait: who died then would take the victim
 * along. So nothing kills this process but SIGKILL from outside, for that long;
 * a victim that is frozen right then is waited for until it thaws.
 *
 * One gap is known: before Linux 5.13, a thread that is in a restartable sequence
 * (rseq(2)) at that moment is not sent to its abort handler; few programs have any.
 *
 * x86-64 only: elsewhere brunt_graft() says -ENOTSUP.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/filter.h>

struct brunt_error;
struct brunt_process;

/* What a look at a process says, without touching it. */
struct brunt_graft_facts {
	bool traced; /* by tracer */
	int tracer;
	bool stopped;  /* by a signal */
	bool frozen;   /* its cgroup is */
	bool listener; /* it, or one that holds its listener, is known to have one */
	bool foreign;  /* runs another architecture (32 bits, x32) */
	bool kernel_thread;
	bool strict;		 /* in seccomp's strict mode, which allows no filters */
	bool filtered;		 /* has filters of its own, which might kill it for the calls that a graft makes */
	bool needs_no_new_privs; /* has neither CAP_SYS_ADMIN in its user namespace nor no_new_privs: it would have to be set */
	bool io_uring;		 /* has a ring open: what goes through it is not seen by seccomp */
	bool zombie;		 /* all of its threads have exited */
	unsigned threads;
};

/*
 * Reads /proc and the cgroups; proc: "/proc". 0, -ESRCH, -EPERM (not ours to trace), -errno. What belongs to a thread is
 * that of the first one, or of another when that has exited. listener stays false: nothing in /proc says so, the kernel
 * does when it comes to it.
 */
int brunt_graft_look(const char *proc, const struct brunt_process *process, struct brunt_graft_facts *ret,
		     struct brunt_error *err);

/*
 * May it be done at all? 0, or -ENOTSUP / -EPERM / -EBUSY / -ESRCH with a sentence that says what is in the way and the
 * way out ("process 812 (redis-server) is stopped: continue it first", "... has a seccomp listener already: restart it",
 * "... would need no_new_privs, which it keeps until it exits: allow it with \"allow_no_new_privs\": true"). io_uring and filtered are
 * no reasons. Pure.
 */
int brunt_graft_allowed(const struct brunt_process *process, const struct brunt_graft_facts *facts,
			bool allow_no_new_privs, struct brunt_error *err);

/*
 * Does it, in the calling process, which must be single-threaded and not be waiting for other children; looks first
 * whether it is allowed. All signals of the caller are blocked meanwhile. Those that the victim gets are delivered to it
 * afterwards; its call that was interrupted goes on. until: CLOCK_BOOTTIME ns; -ETIMEDOUT when the victim cannot be
 * stopped by then: nothing of it was changed, but it is let go of only when the caller exits, as an interrupted thread
 * that does not stop cannot be detached from.
 *
 * program: at most BPF_MAXINSNS. What it says holds for all threads at once, before anybody can answer: serve the
 * listener soon. Without CAP_SYS_ADMIN, or under a seccomp filter itself, the caller answers what comes by then with
 * CONTINUE, and a program that denies close(2) leaves a copy of the listener in the victim.
 *
 * Returns the listener (close-on-exec), its only copy, or -errno: -EBUSY it has one already, or is stopped, traced or
 * frozen; -ESRCH gone, or its threads have filters that differ; -EPERM; -ENOTSUP; -ETIMEDOUT; -EINVAL no program;
 * -EMFILE, -ENOMEM it or we have no descriptor or memory left.
 */
int brunt_graft(const struct brunt_process *process, const struct sock_fprog *program, bool allow_no_new_privs,
		uint64_t until, struct brunt_error *err);

/*
 * How long the victim's thread stood still in the last brunt_graft of this process, ns; 0: it was not stopped. From before
 * it was asked to stop until after it was let go of, so never too little. Its other threads ran on.
 */
uint64_t brunt_graft_stop_ns(void);
