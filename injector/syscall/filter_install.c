/* SPDX-License-Identifier: Apache-2.0 */
/* How a filter comes into a process: apart from how it is made, because this runs where little may be done. */
#include "syscall/filter.h"

#include "brunt/error.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/seccomp.h has them since 5.7 and 5.19. */
#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH (1UL << 4)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* All threads; without TSYNC_ESRCH a failure would be a thread's id, which looks like a descriptor (seccomp(2)). */
#define LISTEN (SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH)

static int set_filter(unsigned long flags, const struct sock_fprog *program)
{
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);

	return r < 0 ? -errno : (int)r;
}

int brunt_filter_install(const struct sock_fprog *program)
{
	/* With it a signal does not make a call start again that was read already (seccomp_unotify(2)). */
	int r = set_filter(LISTEN | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, program);

	return r == -EINVAL ? set_filter(LISTEN, program) : r;
}

int brunt_filter_install_plain(const struct sock_fprog *program)
{
	int r = set_filter(SECCOMP_FILTER_FLAG_TSYNC, program);

	return r > 0 ? -ESRCH : r;
}

bool brunt_filter_waits_in_peace(void)
{
	return set_filter(LISTEN | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, NULL) == -EFAULT;
}

int brunt_filter_probe(struct brunt_error *err)
{
	/* Flags are looked at before the program is: EFAULT says that they are known (kernel/seccomp.c). */
	switch (set_filter(LISTEN, NULL)) {
	case -EFAULT:
		return 0;
	case -ENOSYS:
		return brunt_fail(err, ENOTSUP, "this kernel has no seccomp (CONFIG_SECCOMP)");
	case -EINVAL:
		return brunt_fail(
			err, ENOTSUP,
			"this kernel cannot ask about system calls: Linux 5.7 with CONFIG_SECCOMP_FILTER is needed");
	default:
		return brunt_fail(err, ENOTSUP, "seccomp is not allowed here; a sandbox may forbid it");
	}
}
