/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/responder_jail.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "brunt/error.h"
#include "brunt/memory.h"

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

/* a socket for each client that waits, and for both ends of each connection; see responder_self.h */
#define FILES_MAX 1200

#ifdef OWN_ARCH
static const unsigned allowed[] = {
	SYS_recvfrom,	SYS_sendto,	   SYS_ppoll,	   SYS_connect,	      SYS_accept4,	SYS_close,
	SYS_getsockopt, SYS_clock_gettime, SYS_exit_group, SYS_timer_settime, SYS_rt_sigreturn, SYS_restart_syscall,
};

/* One comparison for each call, sockets of IPv4 and IPv6 alone; the last two statements are the two answers. */
static int filter_calls(void)
{
	enum { HEAD = 4, SOCKET = 4, SIZE = HEAD + BRUNT_COUNT(allowed) + SOCKET + 2 };
	struct sock_filter code[SIZE] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		/* no other architecture's numbers */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = { .len = SIZE, .filter = code };
	size_t at = HEAD;

	for (size_t i = 0; i < BRUNT_COUNT(allowed); i++, at++)
		code[at] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
							(unsigned char)(SIZE - 2 - at), 0);
	code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
	code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0);
	code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) ? -errno : 0;
}
#else
static int filter_calls(void)
{
	return 0;
}
#endif

int responder_jail(struct brunt_error *err)
{
	static const struct {
		int which;
		rlim_t most;
	} limits[] = { { RLIMIT_NPROC, 0 }, { RLIMIT_FSIZE, 0 }, { RLIMIT_CORE, 0 }, { RLIMIT_NOFILE, FILES_MAX } };
	int r;

	for (size_t i = 0; i < BRUNT_COUNT(limits); i++) {
		struct rlimit limit;

		if (getrlimit(limits[i].which, &limit))
			return brunt_fail(err, errno, "cannot read the responder's limits: %s", strerror(errno));
		if (limit.rlim_max > limits[i].most)
			limit.rlim_max = limits[i].most;
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(limits[i].which, &limit))
			return brunt_fail(err, errno, "cannot limit the responder: %s", strerror(errno));
	}
	r = filter_calls();
	/* EINVAL: a kernel without seccomp filters */
	if (r && r != -EINVAL)
		return brunt_fail(err, -r, "cannot limit the responder's system calls: %s", strerror(-r));
	return 0;
}
