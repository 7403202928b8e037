/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/namespaces.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "brunt/error.h"
#include "brunt/memory.h"

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
