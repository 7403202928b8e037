/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cap-ng.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/role.h"

#define CAP(name) (UINT64_C(1) << CAP_##name)
#define CAP_ALL	  ((UINT64_C(1) << (CAP_LAST_CAP + 1)) - 1)
/* What undoing any fault of any run may need, and taking down what another user owns. */
#define CAP_RECOVER                                                                                                    \
	(CAP(KILL) | CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(DAC_READ_SEARCH) | CAP(FOWNER) | CAP(NET_ADMIN) | CAP(BPF) | \
	 CAP(PERFMON) | CAP(SYS_PTRACE) | CAP(IPC_LOCK))
/* What faults may ask for; a holder keeps of these only what its plan needs. */
#define CAP_HOLD                                                                                                       \
	(CAP(KILL) | CAP(DAC_READ_SEARCH) | CAP(NET_ADMIN) | CAP(NET_RAW) | CAP(BPF) | CAP(PERFMON) |                  \
	 CAP(SYS_PTRACE) | CAP(SYS_ADMIN) | CAP(SYS_RESOURCE) | CAP(IPC_LOCK) | CAP(SETUID) | CAP(SETGID) |            \
	 CAP(SYS_CHROOT))

#define KEEP_MAX 32

const struct brunt_role_row brunt_roles[_BRUNT_ROLE_MAX] = {
	[BRUNT_ROLE_CONTROLLER] = {
		.name = "controller",
		.user = BRUNT_USER_CALLER,
		.descriptors = "sockets to the other roles, output of services, connections of SLIs, stderr",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_PIDFD | BRUNT_FD_EVENT | BRUNT_FD_PIPE |
				    BRUNT_FD_NETWORK | BRUNT_FD_STDIO,
		.death = "the holder reverts everything at EOF, the recoverer writes the result, the launcher ends",
	},
	[BRUNT_ROLE_HOLDER] = {
		.name = "holder",
		.user = BRUNT_USER_ROOT,
		.capabilities = CAP_HOLD,
		.descriptors = "socket to the controller, ledger, timer, BPF objects, pidfds of victims, cgroups, network namespaces",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_FILE | BRUNT_FD_BPF | BRUNT_FD_PIDFD |
				    BRUNT_FD_EVENT | BRUNT_FD_DIRECTORY | BRUNT_FD_DEVICE,
		.may_fork = true,
		.locks_memory = true,
		.death = "the kernel lets go of what it held, the recoverer finishes from the ledger, the run ends",
	},
	[BRUNT_ROLE_PAUSER] = {
		.name = "pauser",
		.user = BRUNT_USER_ROOT,
		.capabilities = CAP(SYS_PTRACE) | CAP(KILL) | CAP(IPC_LOCK),
		.descriptors = "socket to the holder",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_PIDFD | BRUNT_FD_EVENT,
		.locks_memory = true,
		.parent_death_kills = true,
		.of_fault = true,
		.death = "the process that it paused runs again; the holder reports the fault as lost",
	},
	[BRUNT_ROLE_RESOLVER] = {
		.name = "resolver",
		.user = BRUNT_USER_CALLER,
		.descriptors = "socket to the holder, connections to name servers",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_NETWORK,
		.parent_death_kills = true,
		.of_fault = true,
		.death = "names keep the addresses that they had",
	},
	[BRUNT_ROLE_LINE] = {
		.name = "line",
		.user = BRUNT_USER_ROOT,
		.capabilities = CAP(IPC_LOCK),
		.descriptors = "socket to the holder, its TAP device and what keeps that while packets wait",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_BPF | BRUNT_FD_DEVICE,
		.locks_memory = true,
		.of_fault = true,
		.death = "packets that waited in it are lost; the holder steers no more to it within the lease",
	},
	[BRUNT_ROLE_HOARDER] = {
		.name = "hoarder",
		.user = BRUNT_USER_CALLER,
		.descriptors = "socket to the holder, the connections that it keeps",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_EVENT | BRUNT_FD_NETWORK,
		.parent_death_kills = true,
		.of_fault = true,
		.death = "the kernel closes its connections; the holder reports the fault as lost",
	},
	[BRUNT_ROLE_RESPONDER] = {
		.name = "responder",
		.user = BRUNT_USER_OWN,
		.descriptors = "socket to the holder, sockets for lookups",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_NETWORK,
		.parent_death_kills = true,
		.of_fault = true,
		.death = "lookups go to the real servers again within the lease; the holder reports the fault as lost",
	},
	[BRUNT_ROLE_GRAFTER] = {
		.name = "grafter",
		.user = BRUNT_USER_ROOT,
		/* SYS_ADMIN suspends the filters that a victim has already, for the calls that it is made to do */
		.capabilities = CAP(SYS_PTRACE) | CAP(DAC_READ_SEARCH) | CAP(SYS_ADMIN) | CAP(IPC_LOCK),
		.descriptors = "sockets to holder and keeper, the listener that it hands over",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_PIDFD | BRUNT_FD_EVENT |
				    BRUNT_FD_SECCOMP | BRUNT_FD_FILE,
		.locks_memory = true,
		.of_fault = true,
		.death = "within the 200 us in which a process is not itself, that process dies with it; else nothing",
	},
	[BRUNT_ROLE_KEEPER] = {
		.name = "keeper",
		.user = BRUNT_USER_ROOT,
		.capabilities = CAP(SYS_PTRACE) | CAP(DAC_READ_SEARCH) | CAP(IPC_LOCK),
		.descriptors = "sockets to holder and guardian, listeners of the targets",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_PIDFD | BRUNT_FD_EVENT |
				    BRUNT_FD_SECCOMP | BRUNT_FD_FILE,
		.may_fork = true,
		.locks_memory = true,
		.of_fault = true,
		.death = "its guardian answers what it had taken and lets all else pass; the fault is reported as lost",
	},
	[BRUNT_ROLE_RECOVERER] = {
		.name = "recoverer",
		.user = BRUNT_USER_ROOT,
		.capabilities = CAP_RECOVER | CAP_HOLD,
		.descriptors = "socket to the controller, pidfds of the other roles",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_PIDFD,
		.may_fork = true,
		.locks_memory = true,
		.death = "the controller ends the run; what a dead holder leaves then waits for `brunt recover`",
	},
	[BRUNT_ROLE_LAUNCHER] = {
		.name = "launcher",
		.user = BRUNT_USER_ROOT,
		/* A service that the plan runs as root must be root: without new privileges it gets what its parent had. */
		.capabilities = CAP_ALL,
		.descriptors = "socket to the controller, pidfds and output of services, their cgroups",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_PIDFD | BRUNT_FD_EVENT | BRUNT_FD_PIPE |
				    BRUNT_FD_DIRECTORY,
		.may_fork = true,
		.parent_death_kills = true,
		.death = "the kernel kills every service and command of the run with it; the run aborts",
	},
	[BRUNT_ROLE_JOURNAL] = {
		.name = "journal",
		.user = BRUNT_USER_CALLER,
		.descriptors = "socket from the controller, the journal file",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_FILE,
		.death = "the journal ends early and the run with it",
	},
	[BRUNT_ROLE_SCREEN] = {
		.name = "screen",
		.user = BRUNT_USER_CALLER,
		.descriptors = "socket from the controller, the user's stdin, stdout and stderr",
		.descriptor_kinds = BRUNT_FD_NULL | BRUNT_FD_SOCKET | BRUNT_FD_STDIO | BRUNT_FD_EVENT,
		.death = "nothing is shown any more; the run goes on",
	},
};

static int compare_int(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Closes everything but keep, and sees to it that 0, 1 and 2 are something. */
static int keep_only(const int *keep, size_t keep_count, struct brunt_error *err)
{
	int sorted[KEEP_MAX] = { 0 };
	unsigned first = 0;

	if (keep_count > KEEP_MAX)
		return brunt_fail(err, E2BIG, "a role can keep %d descriptors, not %zu", KEEP_MAX, keep_count);
	if (keep_count)
		memcpy(sorted, keep, keep_count * sizeof(*keep));
	qsort(sorted, keep_count, sizeof(*sorted), compare_int);
	for (size_t i = 0; i <= keep_count; i++) {
		unsigned last = i < keep_count ? (unsigned)sorted[i] : ~0u;

		if (i < keep_count && sorted[i] < 0)
			continue;
		if (first < last && close_range(first, i < keep_count ? last - 1 : last, 0))
			return brunt_fail(err, errno, "cannot close inherited descriptors: %s", strerror(errno));
		if (last > 2 && i < keep_count)
			(void)fcntl((int)last, F_SETFD, FD_CLOEXEC);
		first = last + 1;
	}
	for (int fd = 0; fd <= 2; fd++) {
		int opened;

		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		opened = open("/dev/null", O_RDWR | O_NOCTTY); /* the lowest free one: fd */
		if (opened < 0)
			return brunt_fail(err, errno, "cannot open /dev/null: %s", strerror(errno));
		if (opened != fd) {
			(void)close(opened);
			return brunt_fail(err, EBADF, "descriptor %d is not where it should be", fd);
		}
	}
	return 0;
}

/*
 * A service manager signals the whole group, and so does Ctrl-C: only the controller acts on that, the others on its
 * EOF. Blocked, not ignored, so that what they fork starts with default actions.
 */
static void set_signals(enum brunt_role role)
{
	static const int blocked[] = { SIGTERM, SIGINT,	 SIGHUP,  SIGQUIT, SIGTSTP, SIGTTIN,
				       SIGTTOU, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM };
	sigset_t set;

	/* Ignored SIGCHLD is inherited and would make waitpid() fail with ECHILD. */
	(void)signal(SIGCHLD, SIG_DFL);
	if (role == BRUNT_ROLE_CONTROLLER)
		return;
	sigemptyset(&set);
	for (size_t i = 0; i < BRUNT_COUNT(blocked); i++)
		sigaddset(&set, blocked[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int capabilities_get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, data) ? -errno : 0;
}

static int capabilities_set(uint64_t wanted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)wanted, .permitted = (uint32_t)wanted },
		{ .effective = (uint32_t)(wanted >> 32), .permitted = (uint32_t)(wanted >> 32) },
	};

	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/*
 * Leaves the bounding set with keep alone: what a program could get that one of ours executes. Without CAP_SETPCAP that
 * is refused: an ordinary user has nothing to lose, and a role that was forked by another has inherited an empty one.
 */
static int bound(uint64_t keep, uint64_t permitted)
{
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (keep & (UINT64_C(1) << cap) || prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && (errno != EPERM || permitted & CAP(SETPCAP)))
			return -errno;
	}
	return 0;
}

/*
 * Bounding set first (it takes CAP_SETPCAP), then groups and user (CAP_SETGID, CAP_SETUID), then the rest goes. Only the
 * launcher's children execute programs.
 */
static int drop_privileges(const struct brunt_role_row *row, const struct brunt_identity *identity, uint64_t keep,
			   struct brunt_error *err)
{
	bool executes = row == &brunt_roles[BRUNT_ROLE_LAUNCHER];
	struct __user_cap_data_struct data[2];
	uint64_t permitted;
	int r = capabilities_get(data);

	if (r < 0)
		return brunt_fail(err, -r, "cannot read capabilities: %s", strerror(-r));
	permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	keep &= permitted;
	r = bound(executes ? keep : 0, permitted);
	if (r < 0)
		return brunt_fail(err, -r, "cannot empty the bounding set: %s", strerror(-r));
	if (row->user != BRUNT_USER_ROOT && identity->privileged) {
		if (setgroups(0, NULL) || setresgid(identity->gid, identity->gid, identity->gid) ||
		    setresuid(identity->uid, identity->uid, identity->uid))
			return brunt_fail(err, errno, "cannot become user '%s': %s", identity->name, strerror(errno));
		keep = 0; /* permitted went with uid 0 */
	}
	r = capabilities_set(keep);
	if (r < 0)
		return brunt_fail(err, -r, "cannot drop capabilities: %s", strerror(-r));
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return brunt_fail(err, errno, "cannot set no_new_privs: %s", strerror(errno));
	return 0;
}

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

/*
 * Root's terminal may be among the descriptors of a role without privileges, and is its controlling terminal: what it
 * typed there (TIOCSTI, TIOCLINUX; ioctl_tty(2)) root's shell would run. Later kernels can refuse that themselves, and
 * not all do. Without seccomp, or on another machine, it is as it is. Takes no_new_privs.
 */
static void type_nothing(void)
{
#ifdef OWN_ARCH
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 0, 6), /* none of our programs has another */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog program = { .len = BRUNT_COUNT(code), .filter = code };

	(void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
#endif
}

/* The out-of-memory killer should look elsewhere first. Takes CAP_SYS_RESOURCE; without it, as it is. */
static void spare_from_oom(void)
{
	BRUNT_AUTO_CLOSE int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "-1000", 5) < 0)
		return;
}

/*
 * Before Linux 5.11 BPF objects count as locked memory, and no capability exempts them (commit d5299b67dd59, "bpf:
 * Memcg-based memory accounting for bpf maps"). Takes CAP_SYS_RESOURCE; without it, as it is.
 */
static void unlimit_locked_memory(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

/*
 * A page fault that waits for a disk must not cost the lease. An ordinary user's limit is small, and with MCL_FUTURE
 * later allocations beyond it would fail: then only what is there now is locked, if that.
 */
static void lock_memory(void)
{
	struct __user_cap_data_struct data[2] = { 0 };
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || capabilities_get(data))
		return;
	if (data[0].effective & CAP(IPC_LOCK) || limit.rlim_cur == RLIM_INFINITY)
		(void)mlockall(MCL_CURRENT | MCL_FUTURE);
	else
		(void)mlockall(MCL_CURRENT);
}

int brunt_role_enter(enum brunt_role role, const struct brunt_identity *identity, uint64_t capabilities,
		     const int *keep, size_t keep_count, struct brunt_error *err)
{
	const struct brunt_role_row *row = &brunt_roles[role];
	uint64_t kept = row->capabilities;
	pid_t parent = getppid();
	char comm[16];
	int r;

	if (role == BRUNT_ROLE_HOLDER)
		kept &= capabilities | CAP(IPC_LOCK);
	r = keep_only(keep, keep_count, err);
	if (r < 0)
		return r;
	snprintf(comm, sizeof(comm), "brunt-%s", row->name);
	(void)prctl(PR_SET_NAME, comm, 0, 0, 0);
	set_signals(role);
	if (row->locks_memory) {
		spare_from_oom();
		unlimit_locked_memory();
	}
	r = drop_privileges(row, identity, kept, err);
	if (r < 0)
		return r;
	if (row->user == BRUNT_USER_CALLER)
		type_nothing();
	/* After the user has changed: that clears the death signal and sets dumpable (prctl(2)). */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return brunt_fail(err, errno, "cannot become undumpable: %s", strerror(errno));
	if (prctl(PR_SET_PDEATHSIG, row->parent_death_kills ? SIGKILL : 0, 0, 0, 0))
		return brunt_fail(err, errno, "cannot set the death signal: %s", strerror(errno));
	if (row->parent_death_kills && getppid() != parent)
		return brunt_fail(err, ESRCH, "the parent of the %s is gone", row->name);
	if (row->locks_memory)
		lock_memory();
	return 0;
}
