/* SPDX-License-Identifier: Apache-2.0 */
#include "network/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"

struct dirent64 {
	uint64_t inode;
	int64_t offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

int brunt_netns_of(pid_t pid, struct brunt_netns *ret, struct brunt_error *err)
{
	char path[48] = "/proc/thread-self/ns/net";
	struct stat theirs, ours;

	if (stat(path, &ours))
		return brunt_fail(err, errno, "cannot read our own network namespace: %s", strerror(errno));
	if (pid)
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (stat(path, &theirs)) {
		if (errno == ENOENT || errno == ESRCH)
			return brunt_fail(err, ESRCH, "process %d ended", (int)pid);
		return brunt_fail(err, errno == EACCES ? EPERM : errno,
				  "cannot tell the network namespace of process %d: %s", (int)pid,
				  errno == EACCES ? "needs CAP_SYS_PTRACE" : strerror(errno));
	}
	*ret = (struct brunt_netns){
		.device = theirs.st_dev,
		.inode = theirs.st_ino,
		.pid = pid,
		.own = theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev,
	};
	return 0;
}

bool brunt_netns_is_same(const struct brunt_netns *a, const struct brunt_netns *b)
{
	return a->inode == b->inode && a->device == b->device;
}

/* A descriptor when process name is in the namespace; -ESRCH when not, -errno. */
static int open_if_same(const char *name, const struct brunt_netns *netns)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	struct stat status;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%.20s/ns/net", name);
	/* stat first: opening would keep every namespace of the host alive for a moment */
	if (stat(path, &status) || status.st_ino != netns->inode || status.st_dev != netns->device)
		return -ESRCH;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno; /* without a descriptor left nothing is known to be gone */
	if (fstat(fd, &status) || status.st_ino != netns->inode || status.st_dev != netns->device)
		return -ESRCH;
	return BRUNT_TAKE_FD(fd);
}

static int search(const struct brunt_netns *netns)
{
	BRUNT_AUTO_CLOSE int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(struct dirent64) char buffer[8192];
	long size;

	if (proc < 0)
		return -errno;
	while ((size = syscall(SYS_getdents64, proc, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < size;) {
			const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);
			int fd = -ESRCH;

			if (entry->name[0] >= '1' && entry->name[0] <= '9')
				fd = open_if_same(entry->name, netns);
			if (fd != -ESRCH)
				return fd;
			at += entry->size;
		}
	}
	return -ESRCH;
}

int brunt_netns_open(const struct brunt_netns *netns, struct brunt_error *err)
{
	char name[16];
	int fd = -ESRCH;

	if (netns->own)
		fd = open_if_same("thread-self", netns);
	if (fd == -ESRCH && netns->pid) {
		(void)snprintf(name, sizeof(name), "%d", (int)netns->pid);
		fd = open_if_same(name, netns);
	}
	if (fd == -ESRCH)
		fd = search(netns);
	if (fd == -ESRCH)
		return brunt_fail(err, ESRCH, "the target's network namespace is gone");
	return fd < 0 ? brunt_fail(err, -fd, "cannot look for the target's network namespace: %s", strerror(-fd)) : fd;
}

int brunt_netns_enter(const struct brunt_netns *netns, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int fd = -1;

	if (netns->own)
		return 0;
	fd = brunt_netns_open(netns, err);
	if (fd < 0)
		return fd;
	if (setns(fd, CLONE_NEWNET))
		return brunt_fail(err, errno, "cannot enter the target's network namespace: %s%s", strerror(errno),
				  errno == EPERM ? " (needs CAP_SYS_ADMIN)" : "");
	return 0;
}

/* It cannot fail: the descriptor is a namespace, and whoever moved away may move back. */
void brunt_netns_leave(const struct brunt_netns *netns, int home)
{
	if (!netns->own && setns(home, CLONE_NEWNET))
		abort();
}

int brunt_netns_make(int home, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	int code = 0;

	if (unshare(CLONE_NEWNET))
		return brunt_fail(err, errno, "cannot make a network namespace: %s%s", strerror(errno),
				  errno == EPERM ? " (needs CAP_SYS_ADMIN)" : "");
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		code = errno;
	if (setns(home, CLONE_NEWNET))
		abort();
	if (fd < 0)
		return brunt_fail(err, code, "cannot open a network namespace: %s", strerror(code));
	return BRUNT_TAKE_FD(fd);
}
