/* SPDX-License-Identifier: Apache-2.0 */
#include "network/names_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "brunt/memory.h"

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef OWN_ARCH
/*
 * Calls of 6.2 and later, which this list does not know, and those of x32 (their numbers have bit 30 set, seccomp(2)):
 * a libc that knows them does without them.
 */
#define LAST_KNOWN 450 /* set_mempolicy_home_node(2) */

/* include/uapi/asm-generic/unistd.h: the same numbers on every machine */
#define NR_PROCESS_MADVISE    440
#define NR_MOUNT_SETATTR      442
#define NR_PROCESS_MRELEASE   448

#define LOAD(field)	      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what)	      BPF_STMT(BPF_RET | BPF_K, what)
#define EQUAL(k, yes, no)     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, yes, no)
#define REFUSE_AS(call, code) EQUAL(call, 0, 1), RETURN(SECCOMP_RET_ERRNO | (code))
#define REFUSE(call)	      REFUSE_AS(call, EPERM)
/* An argument's lower half: on both machines that comes first. */
#define REFUSE_WITH(call, argument, value)                                                                             \
	EQUAL(call, 0, 4), LOAD(args[argument]), EQUAL(value, 0, 1), RETURN(SECCOMP_RET_ERRNO | EPERM), LOAD(nr)

static struct sock_filter code[] = {
	LOAD(arch),
	EQUAL(OWN_ARCH, 1, 0),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),
	BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST_KNOWN, 0, 1),
	RETURN(SECCOMP_RET_ERRNO | ENOSYS),

	/* signals, also by way of the owner of a descriptor (fcntl(2)) */
	REFUSE(SYS_kill),
	REFUSE(SYS_tkill),
	REFUSE(SYS_tgkill),
	REFUSE(SYS_rt_sigqueueinfo),
	REFUSE(SYS_rt_tgsigqueueinfo),
	REFUSE(SYS_pidfd_send_signal),
	REFUSE_WITH(SYS_fcntl, 1, F_SETOWN),
	REFUSE_WITH(SYS_fcntl, 1, F_SETOWN_EX),
	REFUSE_WITH(SYS_fcntl, 1, F_SETSIG),
	REFUSE_WITH(SYS_ioctl, 1, FIOSETOWN),
	REFUSE_WITH(SYS_ioctl, 1, SIOCSPGRP),

	/* other processes */
	REFUSE(SYS_ptrace),
	REFUSE(SYS_process_vm_readv),
	REFUSE(SYS_process_vm_writev),
	REFUSE(SYS_pidfd_open),
	REFUSE(SYS_pidfd_getfd),
	REFUSE(NR_PROCESS_MADVISE),
	REFUSE(NR_PROCESS_MRELEASE),
	REFUSE(SYS_kcmp),
	REFUSE(SYS_get_robust_list),
	REFUSE(SYS_move_pages),
	REFUSE(SYS_migrate_pages),
	REFUSE(SYS_setpriority),
	REFUSE(SYS_ioprio_set),
	REFUSE(SYS_sched_setaffinity),
	REFUSE(SYS_sched_setattr),
	REFUSE(SYS_sched_setparam),
	REFUSE(SYS_sched_setscheduler),

	/* new ones; libc falls back to clone() when there is no clone3(), whose flags no filter sees */
	REFUSE_AS(SYS_clone3, ENOSYS),
	REFUSE(SYS_clone),
	REFUSE(SYS_execve),
	REFUSE(SYS_execveat),
#ifdef SYS_fork
	REFUSE(SYS_fork),
	REFUSE(SYS_vfork),
#endif

	/* namespaces and mounts */
	REFUSE(SYS_setns),
	REFUSE(SYS_unshare),
	REFUSE(SYS_chroot),
	REFUSE(SYS_pivot_root),
	REFUSE(SYS_mount),
	REFUSE(SYS_umount2),
	REFUSE(SYS_move_mount),
	REFUSE(SYS_open_tree),
	REFUSE(NR_MOUNT_SETATTR),
	REFUSE(SYS_fsopen),
	REFUSE(SYS_fsconfig),
	REFUSE(SYS_fsmount),
	REFUSE(SYS_fspick),

	/* IPC, whose namespace is this host's */
	REFUSE(SYS_shmget),
	REFUSE(SYS_shmat),
	REFUSE(SYS_shmctl),
	REFUSE(SYS_semget),
	REFUSE(SYS_semop),
	REFUSE(SYS_semtimedop),
	REFUSE(SYS_semctl),
	REFUSE(SYS_msgget),
	REFUSE(SYS_msgsnd),
	REFUSE(SYS_msgrcv),
	REFUSE(SYS_msgctl),
	REFUSE(SYS_mq_open),
	REFUSE(SYS_mq_unlink),

	/* parts of the kernel that no lookup needs */
	REFUSE(SYS_bpf),
	REFUSE(SYS_perf_event_open),
	REFUSE(SYS_userfaultfd),
	REFUSE(SYS_io_uring_setup),
	REFUSE(SYS_io_uring_enter),
	REFUSE(SYS_io_uring_register),
	REFUSE(SYS_add_key),
	REFUSE(SYS_request_key),
	REFUSE(SYS_keyctl),

	/* it ends with the holder, and stays unseen */
	REFUSE_WITH(SYS_prctl, 0, PR_SET_PDEATHSIG),
	REFUSE_WITH(SYS_prctl, 0, PR_SET_DUMPABLE),
	REFUSE_WITH(SYS_prctl, 0, PR_SET_PTRACER),

	/* limits of its own alone: libc asks for them so, too */
	EQUAL(SYS_prlimit64, 0, 4),
	LOAD(args[0]),
	EQUAL(0, 1, 0),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
	RETURN(SECCOMP_RET_ALLOW),

	/* vsock(7), for one, is in no namespace */
	EQUAL(SYS_socket, 0, 6),
	LOAD(args[0]),
	EQUAL(AF_UNIX, 4, 0),
	EQUAL(AF_INET, 3, 0),
	EQUAL(AF_INET6, 2, 0),
	EQUAL(AF_NETLINK, 1, 0),
	RETURN(SECCOMP_RET_ERRNO | EAFNOSUPPORT),
	RETURN(SECCOMP_RET_ALLOW),
};

int brunt_names_jail(void)
{
	struct sock_fprog program = { .len = BRUNT_COUNT(code), .filter = code };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0))
		return errno == EINVAL ? 0 : -errno;
	return 0;
}
#else
int brunt_names_jail(void)
{
	return 0;
}
#endif
