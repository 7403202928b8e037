/* SPDX-License-Identifier: Apache-2.0 */
/* A seccomp filter for a process that runs: the calls that it is made to do, and what their failure means. */
#include "syscall/graft.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "syscall/graft_parts.h"
#include "target/proc.h"

/* The C library's headers may be older than the kernel. */
#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH (1UL << 4) /* Linux 5.7 */
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* Linux 5.19 */
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438 /* Linux 5.6 */
#endif
#define PIDFD_OF_THREAD O_EXCL /* PIDFD_THREAD of linux/pidfd.h, Linux 6.9 */

static uint64_t stop_ns;

uint64_t brunt_graft_stop_ns(void)
{
	return stop_ns;
}

/* What a graft is made with. */
struct graft {
	struct brunt_grip grip;
	const struct sock_fprog *program;
	bool allow_no_new_privs;
	uint64_t memory; /* in the victim; 0: none yet */
	size_t memory_size;
	int taker;	    /* pidfd of the thread, by which the listener is taken */
	int listener;	    /* ours */
	int result;	    /* 0, or what stopped it */
	const char *failed; /* which call */
};

/*
 * In memory of the victim's own that is made for it. Below its stack pointer would be quicker, but that is not always
 * free: a stack of Go's, or of coroutines, may be smaller than the program, and what lies below is in use.
 */
static int put_program(struct graft *graft)
{
	const struct sock_fprog *program = graft->program;
	size_t size = program->len * sizeof(program->filter[0]);
	struct brunt_machine_call call = { .number = SYS_mmap };
	struct sock_fprog there = { .len = program->len };
	long address;
	int rc;

	graft->memory_size = sizeof(there) + size;
	call.args[1] = graft->memory_size;
	call.args[2] = PROT_READ | PROT_WRITE;
	call.args[3] = MAP_PRIVATE | MAP_ANONYMOUS;
	call.args[4] = UINT64_MAX;
	address = brunt_grip_call(&graft->grip, &call, -1);
	if (address < 0 && address > -4096)
		return (int)address;
	graft->memory = (uint64_t)address;
	there.filter = (struct sock_filter *)(uintptr_t)(graft->memory + sizeof(there));
	rc = brunt_grip_write(&graft->grip, graft->memory, &there, sizeof(there));
	return rc ? rc : brunt_grip_write(&graft->grip, graft->memory + sizeof(there), program->filter, size);
}

static long set_filter(struct graft *graft, unsigned long flags)
{
	const struct brunt_machine_call call = {
		.number = SYS_seccomp,
		.args = { SECCOMP_SET_MODE_FILTER, flags, graft->memory },
	};

	return brunt_grip_call(&graft->grip, &call, -1);
}

/*
 * The victim's descriptor of the listener, or -errno. TSYNC gives the filter to all threads at once, and no_new_privs
 * with it (seccomp_sync_threads()). WAIT_KILLABLE_RECV: once a call was taken notice of, only a fatal signal ends it.
 */
static long install(struct graft *graft)
{
	const struct brunt_machine_call no_new_privs = { .number = SYS_prctl, .args = { PR_SET_NO_NEW_PRIVS, 1 } };
	unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC |
			      SECCOMP_FILTER_FLAG_TSYNC_ESRCH | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	long rc = set_filter(graft, flags);

	if (rc == -EINVAL) {
		flags &= ~SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
		rc = set_filter(graft, flags);
	}
	/* EACCES: seccomp_prepare_filter() wants CAP_SYS_ADMIN or no_new_privs. */
	if (rc != -EACCES || !graft->allow_no_new_privs)
		return rc;
	rc = brunt_grip_call(&graft->grip, &no_new_privs, -1);
	return rc ? rc : set_filter(graft, flags);
}

/* While the filter is there and the listener is in the victim only, nobody answers: so this is done at once. */
static int take_listener(struct graft *graft, int there)
{
	struct brunt_machine_call call = { .number = SYS_close, .args = { (uint64_t)there } };

	graft->listener = (int)syscall(SYS_pidfd_getfd, graft->taker, there, 0);
	if (graft->listener < 0)
		return -errno;
	(void)brunt_grip_call(&graft->grip, &call, graft->grip.unfiltered ? -1 : graft->listener);
	return 0;
}

/* All that the victim does for us. */
static void perform(struct graft *graft)
{
	struct brunt_machine_call unmap = { .number = SYS_munmap };
	long there;

	graft->failed = "mmap";
	graft->result = put_program(graft);
	if (!graft->result) {
		graft->failed = "seccomp";
		there = install(graft);
		graft->result = there < 0 ? (int)there : 0;
	}
	if (!graft->result) {
		graft->failed = "pidfd_getfd";
		graft->result = take_listener(graft, (int)there);
	}
	if (!graft->memory)
		return;
	unmap.args[0] = graft->memory;
	unmap.args[1] = graft->memory_size;
	(void)brunt_grip_call(&graft->grip, &unmap, graft->grip.unfiltered ? -1 : graft->listener);
}

static int explain(const struct graft *graft, struct brunt_error *err)
{
	const struct brunt_process *process = graft->grip.process;
	int pid = (int)process->pid, code = -graft->result;
	const char *name = process->name;

	if (graft->grip.gone)
		return brunt_fail(err, ESRCH, "process %d (%s) is gone", pid, name);
	if (strcmp(graft->failed, "seccomp") != 0)
		return brunt_fail(err, code, "process %d (%s) could not be given a seccomp filter: %s: %s", pid, name,
				  graft->failed, strerror(code));
	switch (code) {
	case EBUSY:
		return brunt_fail(err, EBUSY, "process %d (%s) has a seccomp listener already: restart it", pid, name);
	case ESRCH:
		return brunt_fail(err, ESRCH, "threads of process %d (%s) have seccomp filters that differ", pid, name);
	case EACCES:
		return brunt_fail(err, EPERM,
				  "process %d (%s) would need no_new_privs, which it keeps until it exits: "
				  "allow it with \"allow_no_new_privs\": true",
				  pid, name);
	case EMFILE:
		return brunt_fail(err, EMFILE, "process %d (%s) has no descriptor left for a listener", pid, name);
	case ENOSYS:
		return brunt_fail(err, ENOTSUP, "this kernel has no seccomp filters");
	default:
		return brunt_fail(err, code, "process %d (%s) could not be given a seccomp filter: %s", pid, name,
				  strerror(code));
	}
}

/*
 * After this, taking the listener cannot fail by what can be known before. A descriptor that no process has is EBADF,
 * but only for those who may take one (__pidfd_fget()).
 */
static int prepare_taking(struct graft *graft, struct brunt_error *err)
{
	const struct brunt_process *process = graft->grip.process;

	graft->taker = (int)syscall(SYS_pidfd_open, graft->grip.tid, PIDFD_OF_THREAD);
	if (graft->taker < 0 && graft->grip.tid == process->pid)
		graft->taker = (int)syscall(SYS_pidfd_open, graft->grip.tid, 0);
	/* That of a first thread which exited has no descriptors. */
	if (graft->taker < 0 && graft->grip.tid != process->pid && errno == EINVAL)
		return brunt_fail(err, ENOTSUP,
				  "the first thread of process %d (%s) has exited: that needs Linux 6.9 or newer",
				  (int)process->pid, process->name);
	if (graft->taker < 0)
		return brunt_fail(err, errno, "cannot open a pidfd of process %d (%s): %s", (int)process->pid,
				  process->name, strerror(errno));
	if (syscall(SYS_pidfd_getfd, graft->taker, INT32_MAX, 0) < 0 && errno != EBADF)
		return brunt_fail(err, errno, "cannot take descriptors of process %d (%s): %s", (int)process->pid,
				  process->name, strerror(errno));
	/* Room for one more. */
	graft->listener = fcntl(graft->taker, F_DUPFD_CLOEXEC, 0);
	if (graft->listener < 0)
		return brunt_fail(err, errno, "no descriptor left for a listener: %s", strerror(errno));
	(void)close(graft->listener);
	graft->listener = -1;
	return 0;
}

static int run(struct graft *graft, bool filtered, uint64_t until, struct brunt_error *err)
{
	struct brunt_grip *grip = &graft->grip;
	int rc = brunt_grip_take(grip, until, err);

	if (rc) {
		stop_ns = 0;
		return rc;
	}
	rc = prepare_taking(graft, err);
	if (!rc)
		rc = brunt_grip_open(grip, filtered, err);
	if (!rc)
		perform(graft);
	stop_ns = brunt_grip_release(grip);
	if (graft->taker >= 0)
		(void)close(graft->taker);
	if (rc && grip->gone)
		return brunt_fail(err, ESRCH, "process %d (%s) is gone", (int)grip->process->pid, grip->process->name);
	if (rc)
		return rc;
	if (!graft->result && !grip->gone)
		return graft->listener;
	if (graft->listener >= 0)
		(void)close(graft->listener);
	return explain(graft, err);
}

/* A pidfd of the very process; 0 or -ESRCH, -errno. */
static int open_process(const struct brunt_process *process, int proc_dir, int *ret, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	struct brunt_proc_stat stat;

	if (process->pidfd >= 0)
		fd = fcntl(process->pidfd, F_DUPFD_CLOEXEC, 0);
	else
		fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	if (fd < 0 && errno != ESRCH)
		return brunt_fail(err, errno, "cannot open a pidfd of process %d (%s): %s", (int)process->pid,
				  process->name, strerror(errno));
	if (fd < 0 || brunt_proc_stat(proc_dir, process->pid, &stat) || stat.start != process->start)
		return brunt_fail(err, ESRCH, "process %d (%s) is gone", (int)process->pid, process->name);
	*ret = BRUNT_TAKE_FD(fd);
	return 0;
}

/* SIGCHLD tells of stops and must not be ignored for that: blocked, it is kept even so (sig_ignored()). */
static void block_signals(sigset_t *ret_before)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, ret_before);
}

int brunt_graft(const struct brunt_process *process, const struct sock_fprog *program, bool allow_no_new_privs,
		uint64_t until, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int proc_dir = -1;
	BRUNT_AUTO_CLOSE int pidfd = -1;
	struct brunt_graft_facts facts;
	struct graft graft = {
		.program = program, .allow_no_new_privs = allow_no_new_privs, .taker = -1, .listener = -1
	};
	sigset_t before;
	int rc;

	stop_ns = 0;
	if (!BRUNT_MACHINE_CAN_GRAFT)
		return brunt_fail(err, ENOTSUP, "running processes can be given a seccomp filter on x86-64 only");
	if (!program->len || program->len > BPF_MAXINSNS)
		return brunt_fail(err, EINVAL, "a seccomp filter has 1 to %d instructions, not %u", BPF_MAXINSNS,
				  (unsigned)program->len);
	rc = brunt_graft_look("/proc", process, &facts, err);
	if (!rc)
		rc = brunt_graft_allowed(process, &facts, allow_no_new_privs, err);
	if (rc)
		return rc;
	proc_dir = brunt_proc_open("/proc", err);
	if (proc_dir < 0)
		return proc_dir;
	rc = open_process(process, proc_dir, &pidfd, err);
	if (rc)
		return rc;
	graft.grip = (struct brunt_grip){ .process = process, .proc_dir = proc_dir, .pidfd = pidfd };
	block_signals(&before);
	rc = run(&graft, facts.filtered, until, err);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return rc;
}
