/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of grafting, private to this folder: what is read before, and the
 * grip, by which ptrace holds one thread.
 *
 * A grip makes calls by PTRACE_SYSCALL, not by single steps: their SIGTRAP is
 * forced on the thread, and one that blocks or ignores SIGTRAP would lose its
 * own disposition by that (force_sig_info_to_task()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "syscall/graft_machine.h"

struct brunt_error;
struct brunt_process;
struct brunt_graft_facts;

/* A thread of the process that has not exited, the first one if possible; 0, -ESRCH, -errno. */
int brunt_graft_thread(int proc_dir, pid_t pid, pid_t *ret);

/* Is what it lives in frozen, or about to be? cgroup v2 and the freezer of v1. */
bool brunt_graft_is_frozen(int proc_dir, pid_t tid);

/* The address of a BRUNT_MACHINE_INSTRUCTION that the process may execute; 0, -ENOENT, -ESRCH, -errno. */
int brunt_graft_instruction(int proc_dir, pid_t tid, uint64_t *ret);

/* Its memory, whatever it may do with it itself: PID/mem. 0, -EFAULT, -errno. */
int brunt_graft_memory(int proc_dir, pid_t tid, bool write, uint64_t address, void *data, size_t size);

struct brunt_grip {
	const struct brunt_process *process;
	int proc_dir;
	int pidfd;
	pid_t tid;
	bool gone;	 /* it died, and is not held any more */
	bool held;	 /* it stands still */
	bool opened;	 /* its signals are blocked, and its registers may not be its own */
	bool unfiltered; /* its filters are suspended */
	uint64_t instruction;
	uint64_t since;		      /* when it was asked to stop */
	uint64_t signals;	      /* those that it blocks itself */
	uint64_t rseq_at, rseq;	      /* where it says in which critical section it is, and what it said; 0: in none */
	struct brunt_machine machine; /* its own registers */
};

/*
 * Stops a thread. grip: process, proc_dir and pidfd are set. 0, or -ESRCH, -EBUSY (stopped or traced by others), -EPERM,
 * -ETIMEDOUT (until: CLOCK_BOOTTIME, ns).
 */
int brunt_grip_take(struct brunt_grip *grip, uint64_t until, struct brunt_error *err);

/*
 * Makes it ready for calls: from here on the only way out is brunt_grip_release(). 0, or -errno: then nothing was changed.
 * filtered: it has seccomp filters, so they must be suspended.
 */
int brunt_grip_open(struct brunt_grip *grip, bool filtered, struct brunt_error *err);

/*
 * Has it make a call; the result, as the kernel has it. -ESRCH and grip->gone when it died. 
 * listener: what is asked there meanwhile is answered with CONTINUE; -1: nobody need be answered for the call to end.
 */
long brunt_grip_call(struct brunt_grip *grip, const struct brunt_machine_call *call, int listener);

/* Its memory; 0 or -errno. */
int brunt_grip_write(const struct brunt_grip *grip, uint64_t address, const void *data, size_t size);
int brunt_grip_read(const struct brunt_grip *grip, uint64_t address, void *data, size_t size);

/* Gives it back what is its own, and lets go of it. Does nothing when it is not held. Returns how long it was, ns. */
uint64_t brunt_grip_release(struct brunt_grip *grip);
