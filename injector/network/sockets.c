/* SPDX-License-Identifier: Apache-2.0 */
#include "network/sockets.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/target.h"

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* glibc has pidfd_open() since 2.36, pidfd_getfd() too; the system calls are of Linux 5.3 and 5.6 */
static int get_pidfd(const struct brunt_process *process)
{
	int fd = process->pidfd >= 0 ? dup(process->pidfd) : (int)syscall(SYS_pidfd_open, process->pid, 0);

	return fd < 0 ? -errno : fd;
}

static int tag_one(int pidfd, int number, int tags, uint32_t round, uint64_t *ret_count)
{
	BRUNT_AUTO_CLOSE int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	socklen_t size = sizeof(int);
	int family = 0;

	if (fd < 0)
		return errno == EBADF ? 0 : -errno; /* closed meanwhile */
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) || (family != AF_INET && family != AF_INET6))
		return 0;
	if (bpf_map_update_elem(tags, &fd, &round, BPF_ANY))
		return -errno;
	(*ret_count)++;
	return 0;
}

int brunt_sockets_tag(const struct brunt_process *process, int tags, uint32_t round, uint64_t *ret_count,
		      struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int pidfd = get_pidfd(process);
	BRUNT_CLEANUP(close_dir) DIR *dir = NULL;
	struct dirent *entry;
	char path[32];

	/* The pidfd is of the right process when it is still the one that was identified. */
	if (pidfd < 0 || !brunt_process_alive(process))
		return brunt_fail(err, ESRCH, "process %d (%s) ended", (int)process->pid, process->name);
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)process->pid);
	dir = opendir(path);
	if (!dir && errno == EACCES)
		return brunt_fail(err, EPERM, "may not list the sockets of process %d (%s): needs CAP_DAC_READ_SEARCH",
				  (int)process->pid, process->name);
	if (!dir)
		return brunt_fail(err, errno == ENOENT ? ESRCH : errno,
				  "cannot list the sockets of process %d (%s): %s", (int)process->pid, process->name,
				  strerror(errno));
	while ((entry = readdir(dir))) {
		char link[64];
		ssize_t size = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		int r = 0;

		/* unreadable links must not pass for no sockets; "." and ".." are no links (EINVAL) */
		if (size < 0 && errno == EACCES)
			r = -EACCES;
		else if (size < 8 || strncmp(link, "socket:", 7))
			continue;
		r = r ?: tag_one(pidfd, atoi(entry->d_name), tags, round, ret_count);
		if (r == -EPERM || r == -EACCES)
			return brunt_fail(err, EPERM,
					  "may not reach the sockets of process %d (%s): needs CAP_SYS_PTRACE",
					  (int)process->pid, process->name);
		if (r == -ESRCH)
			return brunt_fail(err, ESRCH, "process %d (%s) ended", (int)process->pid, process->name);
		if (r)
			return brunt_fail(err, -r, "cannot tag a socket of process %d (%s): %s", (int)process->pid,
					  process->name, strerror(-r));
	}
	return 0;
}
