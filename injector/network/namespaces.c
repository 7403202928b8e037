/* SPDX-License-Identifier: Apache-2.0 */
#include "network/namespaces.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/target.h"

static void close_folder(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

/* The inode of a process's network namespace; 0 when it cannot be told. */
static ino_t namespace_of(const char *proc, const char *pid)
{
	char path[PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s/ns/net", proc, pid);
	return stat(path, &st) ? 0 : st.st_ino;
}

/*
 * /proc/PID/net/igmp has a line "INDEX\tDEVICE : ..." for every interface that speaks IPv4 (net/ipv4/igmp.c),
 * /proc/PID/net/igmp6 "INDEX DEVICE ..." for IPv6; further lines of igmp begin with a tab.
 */
static bool has_index(const char *proc, const char *pid, const char *file, unsigned index)
{
	char path[PATH_MAX], line[256];
	bool found = false;
	FILE *in;

	(void)snprintf(path, sizeof(path), "%s/%s/net/%s", proc, pid, file);
	in = fopen(path, "re");
	while (in && !found && fgets(line, sizeof(line), in))
		found = line[0] >= '0' && line[0] <= '9' && strtoul(line, NULL, 10) == index;
	if (in)
		(void)fclose(in);
	return found;
}

int brunt_interface_is_unique(const char *proc, unsigned index, const char *name, struct brunt_error *err)
{
	BRUNT_CLEANUP(close_folder) DIR *folder = opendir(proc);
	ino_t own = namespace_of(proc, "self"), known = own;
	struct dirent *entry;

	if (!folder || !own)
		return brunt_fail(err, errno, "cannot look for other network namespaces: %s", strerror(errno));
	while ((entry = readdir(folder))) {
		ino_t theirs;

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		theirs = namespace_of(proc, entry->d_name);
		/* Neighbours in /proc often share one: `known` saves most of the reading. */
		if (!theirs || theirs == own || theirs == known)
			continue;
		known = theirs;
		if (has_index(proc, entry->d_name, "igmp", index) || has_index(proc, entry->d_name, "igmp6", index))
			return brunt_fail(err, ENOTSUP,
					  "this kernel (before 6.6) cannot tell '%s' from interface %u of the network "
					  "namespace of process %s; target a cgroup, unit or process instead",
					  name, index, entry->d_name);
	}
	return 0;
}

int brunt_namespace_open(const struct brunt_process *process, uint64_t *ret_id, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	char path[32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)process->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return brunt_fail(err, EPERM,
				  "may not look at the network namespace of process %d (%s): needs CAP_SYS_PTRACE",
				  (int)process->pid, process->name);
	/* Asked after it was opened: it was still that process then. */
	if (fd < 0 || fstat(fd, &st) || !brunt_process_alive(process))
		return brunt_fail(err, ESRCH, "process %d (%s) ended", (int)process->pid, process->name);
	*ret_id = st.st_ino;
	return BRUNT_TAKE_FD(fd);
}

uint64_t brunt_namespace_own(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : st.st_ino;
}

/*
 * Entering and leaving both take CAP_SYS_ADMIN over the user namespace that owns the network namespace (setns(2)), so
 * one can get in and not out again. Entering one's own, where one is, takes the same as coming back: tried first.
 */
int brunt_namespace_socket(int namespace, int family, int type, int protocol, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int own = -1;
	int fd, code;

	if (namespace >= 0) {
		own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (own < 0 || setns(own, CLONE_NEWNET) || setns(namespace, CLONE_NEWNET))
			return brunt_fail(err, errno, "cannot enter the target's network namespace: %s%s",
					  strerror(errno), errno == EPERM ? "; needs CAP_SYS_ADMIN" : "");
	}
	fd = socket(family, type, protocol);
	code = errno;
	/* Who cannot come back must not go on: all that it did next would be done to the wrong network. */
	if (own >= 0 && setns(own, CLONE_NEWNET))
		(void)raise(SIGKILL);
	return fd >= 0 ? fd : brunt_fail(err, code, "cannot make a socket: %s", strerror(code));
}
