/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls by a thread that is held. Between open and release nothing gives up:
 * a thread that is let go of with foreign registers runs into its death. What
 * fails by itself is only a thread that was killed.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/target.h"
#include "syscall/graft_parts.h"

#define SIGNALS_SIZE 8 /* of the kernel's sigset_t: PTRACE_GETSIGMASK wants just that */
#define SERVE_MS     1 /* between two looks whether a call ended that may have to be answered */

/* linux/ptrace.h of Linux 5.13 and 6.4. */
struct rseq_configuration {
	uint64_t area;
	uint32_t size, signature, flags, pad;
};
#define GET_RSEQ 0x420f
struct dispatch_configuration {
	uint64_t mode, selector, offset, size;
};
#define GET_DISPATCH 0x4211
#define RSEQ_CS_AT   8 /* struct rseq of linux/rseq.h: rseq_cs */

/* ptrace says ESRCH of a thread that does not stand still any more: only SIGKILL, or an execve() elsewhere, does that. */
static long lost(struct brunt_grip *grip)
{
	int status;

	while (!grip->gone && waitpid(grip->tid, &status, __WALL) == grip->tid && WIFSTOPPED(status))
		(void)ptrace(PTRACE_CONT, grip->tid, NULL, NULL);
	grip->gone = true;
	grip->held = grip->opened = false;
	return -ESRCH;
}

int brunt_grip_read(const struct brunt_grip *grip, uint64_t address, void *data, size_t size)
{
	struct iovec here = { .iov_base = data, .iov_len = size };
	struct iovec there = { .iov_base = (void *)(uintptr_t)address, .iov_len = size };

	if (process_vm_readv(grip->tid, &here, 1, &there, 1, 0) == (ssize_t)size)
		return 0;
	return brunt_graft_memory(grip->proc_dir, grip->tid, false, address, data, size);
}

int brunt_grip_write(const struct brunt_grip *grip, uint64_t address, const void *data, size_t size)
{
	struct iovec here = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	struct iovec there = { .iov_base = (void *)(uintptr_t)address, .iov_len = size };

	if (process_vm_writev(grip->tid, &here, 1, &there, 1, 0) == (ssize_t)size)
		return 0;
	return brunt_graft_memory(grip->proc_dir, grip->tid, true, address, here.iov_base, size);
}

/*
 * rseq(2): a thread that was preempted in a critical section is sent to its abort handler, on its way back to user
 * space. On the way to a call of ours the kernel finds it outside, and forgets the section (rseq_ip_fixup()); it would
 * then go on in the middle of it as if nothing had happened. So what it said is put back in the end. Before Linux 5.13
 * nobody can ask where that is.
 */
static void save_rseq(struct brunt_grip *grip)
{
	struct rseq_configuration rseq = { 0 };

	grip->rseq = 0;
	if (ptrace(GET_RSEQ, grip->tid, (void *)sizeof(rseq), &rseq) < 0 || !rseq.area)
		return;
	grip->rseq_at = rseq.area + RSEQ_CS_AT;
	if (brunt_grip_read(grip, grip->rseq_at, &grip->rseq, sizeof(grip->rseq)))
		grip->rseq = 0;
}

/* A program that handles calls of its own in user space (Wine) would be sent SIGSYS for ours. */
static bool dispatches(const struct brunt_grip *grip)
{
	struct dispatch_configuration dispatch = { 0 };

	return !ptrace(GET_DISPATCH, grip->tid, (void *)sizeof(dispatch), &dispatch) && dispatch.mode;
}

int brunt_grip_open(struct brunt_grip *grip, bool filtered, struct brunt_error *err)
{
	const struct brunt_process *process = grip->process;
	uint64_t all = UINT64_MAX;

	if (dispatches(grip))
		return brunt_fail(err, ENOTSUP, "process %d (%s) dispatches system calls in user space, as Wine does",
				  (int)process->pid, process->name);
	/* Its own filters, and the new one, would see our calls. Needs CAP_SYS_ADMIN, and a caller without filters. */
	grip->unfiltered = !ptrace(PTRACE_SETOPTIONS, grip->tid, NULL,
				   (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP));
	if (!grip->unfiltered && filtered)
		return brunt_fail(
			err, ENOTSUP,
			"process %d (%s) has seccomp filters, which might kill it, and they cannot be suspended: "
			"run brunt as root, without a seccomp filter on itself",
			(int)process->pid, process->name);
	if (!grip->unfiltered && ptrace(PTRACE_SETOPTIONS, grip->tid, NULL, (void *)(long)PTRACE_O_TRACESYSGOOD))
		return (int)lost(grip);
	save_rseq(grip);
	/* Of one in sigsuspend(2) or ppoll(2) the mask it had before; that is what is put back, and its call begins anew. */
	if (ptrace(PTRACE_GETSIGMASK, grip->tid, (void *)SIGNALS_SIZE, &grip->signals) ||
	    ptrace(PTRACE_SETSIGMASK, grip->tid, (void *)SIGNALS_SIZE, &all))
		return (int)lost(grip);
	grip->opened = true;
	return 0;
}

/* Whoever asks is told to go on: nobody else holds the listener yet. */
static void serve(int listener)
{
	/* The kernel's structs may be larger than those we were compiled with. */
	union {
		struct seccomp_notif request;
		unsigned char room[512];
	} in;
	union {
		struct seccomp_notif_resp answer;
		unsigned char room[512];
	} out;
	struct pollfd event = { .fd = listener, .events = POLLIN };

	while (poll(&event, 1, 0) == 1 && event.revents & POLLIN) {
		memset(&in, 0, sizeof(in));
		memset(&out, 0, sizeof(out));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &in))
			return;
		out.answer.id = in.request.id;
		out.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &out);
	}
}

/* The next stop, however long that takes: 0, or -ESRCH when the thread died. */
static int await(struct brunt_grip *grip, int listener, int *ret_status)
{
	for (;;) {
		pid_t pid = waitpid(grip->tid, ret_status, __WALL | (listener >= 0 ? WNOHANG : 0));

		if (pid == grip->tid && WIFSTOPPED(*ret_status))
			return 0;
		if (pid == grip->tid || (pid < 0 && errno != EINTR)) {
			grip->gone = true;
			grip->held = grip->opened = false;
			return -ESRCH;
		}
		if (!pid) {
			struct pollfd event = { .fd = listener, .events = POLLIN };

			(void)poll(&event, 1, SERVE_MS);
			serve(listener);
		}
	}
}

/*
 * Lets it run to the next entry or exit of a call; 0, -ESRCH, or -EFAULT when it got a signal instead, which its
 * blocking does not hold back: then it executed something else.
 */
static int step(struct brunt_grip *grip, int listener)
{
	long signal = 0;
	int status;

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, grip->tid, NULL, (void *)signal))
			return (int)lost(grip);
		if (await(grip, listener, &status))
			return -ESRCH;
		signal = 0;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return 0;
		if (status >> 16)
			continue; /* a group stop began or ended, which a held thread need not care for */
		/* SIGSTOP cannot be blocked: it takes its course, and this thread has part in the stop once let go of. */
		if (WSTOPSIG(status) != SIGSTOP)
			return -EFAULT;
		signal = SIGSTOP;
	}
}

long brunt_grip_call(struct brunt_grip *grip, const struct brunt_machine_call *call, int listener)
{
	struct brunt_machine machine = grip->machine;
	int rc;

	if (grip->gone)
		return -ESRCH;
	brunt_machine_prepare(&machine, grip->instruction, call);
	if (brunt_machine_set(grip->tid, &machine))
		return lost(grip);
	rc = step(grip, -1);
	if (rc)
		return rc;
	if (brunt_machine_get(grip->tid, &machine))
		return lost(grip);
	if (!brunt_machine_is_entering(&machine, grip->instruction, call->number)) {
		/* Its code was changed under it. No call has the number -1: nothing happens. */
		const struct brunt_machine_call none = { .number = -1 };

		brunt_machine_prepare(&machine, grip->instruction, &none);
		return brunt_machine_set(grip->tid, &machine) || step(grip, -1) == -ESRCH ? lost(grip) : -EFAULT;
	}
	rc = step(grip, listener);
	if (rc)
		return rc;
	if (brunt_machine_get(grip->tid, &machine))
		return lost(grip);
	return brunt_machine_result(&machine);
}

/*
 * Its registers, its critical section and its signals. Let go of at the exit of our last call, it looks for signals before
 * it returns to user space, and with that whether the call that is its own is to be restarted: detaching wakes it as a
 * signal does (__ptrace_unlink(), ptrace_signal_wake_up()).
 */
static void give_back(struct brunt_grip *grip)
{
	if (brunt_machine_set(grip->tid, &grip->machine)) {
		(void)lost(grip);
		return;
	}
	if (grip->rseq)
		(void)brunt_grip_write(grip, grip->rseq_at, &grip->rseq, sizeof(grip->rseq));
	if (ptrace(PTRACE_SETSIGMASK, grip->tid, (void *)SIGNALS_SIZE, &grip->signals))
		(void)lost(grip);
}

uint64_t brunt_grip_release(struct brunt_grip *grip)
{
	if (grip->opened)
		give_back(grip);
	if (grip->held && ptrace(PTRACE_DETACH, grip->tid, NULL, NULL))
		(void)lost(grip);
	grip->held = grip->opened = false;
	return brunt_now() - grip->since;
}
