/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares living roles of a run with their rows in brunt_roles.
 *
 *   checkroles CALLER-UID ROLE=PID...
 *
 * One line for each, as TAP without numbers: "ok - holder: ..." or "not ok - holder: ...", then what is wrong.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "brunt/role.h"

static char wrong[8192];
static size_t used;

static void __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	used += (size_t)vsnprintf(wrong + used, sizeof(wrong) - used, format, args);
	va_end(args);
	if (used >= sizeof(wrong))
		used = sizeof(wrong) - 1;
}

static bool read_status(pid_t pid, const char *key, int base, unsigned long long *ret)
{
	char path[64], line[512];
	size_t length = strlen(key);
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		found = !strncmp(line, key, length) && line[length] == ':';
		if (found)
			*ret = strtoull(line + length + 1, NULL, base);
	}
	if (file)
		fclose(file);
	if (!found)
		complain("  /proc has no %s\n", key);
	return found;
}

/* Of a copy of it: /proc/PID/net shows the sockets of the network namespace that the process is in now. */
static bool is_unix(pid_t pid, int fd)
{
	int process = (int)syscall(SYS_pidfd_open, pid, 0);
	int copy = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, fd, 0);
	socklen_t size = sizeof(int);
	int domain = -1;
	bool known = copy >= 0 && !getsockopt(copy, SOL_SOCKET, SO_DOMAIN, &domain, &size);

	if (copy >= 0)
		(void)close(copy);
	if (process >= 0)
		(void)close(process);
	return known && domain == AF_UNIX;
}

static unsigned kind_of(pid_t pid, int fd, const char *link, const struct stat *st)
{
	if (!strcmp(link, "/dev/null"))
		return BRUNT_FD_NULL;
	if (fd <= 2)
		return BRUNT_FD_STDIO;
	if (!strncmp(link, "socket:", 7))
		return is_unix(pid, fd) ? BRUNT_FD_SOCKET : BRUNT_FD_NETWORK;
	if (strstr(link, "bpf") || strstr(link, "btf"))
		return BRUNT_FD_BPF;
	if (strstr(link, "pidfd"))
		return BRUNT_FD_PIDFD;
	if (strstr(link, "[eventpoll]") || strstr(link, "[timerfd]") || strstr(link, "[signalfd]") ||
	    strstr(link, "[eventfd]"))
		return BRUNT_FD_EVENT;
	if (strstr(link, "seccomp notify"))
		return BRUNT_FD_SECCOMP;
	if (!strcmp(link, "/dev/net/tun") || !strncmp(link, "net:[", 5))
		return BRUNT_FD_DEVICE;
	if (S_ISFIFO(st->st_mode))
		return BRUNT_FD_PIPE;
	if (S_ISDIR(st->st_mode))
		return BRUNT_FD_DIRECTORY;
	return S_ISREG(st->st_mode) ? BRUNT_FD_FILE : 0;
}

static unsigned check_descriptors(pid_t pid, const struct brunt_role_row *row)
{
	char path[PATH_MAX], link[PATH_MAX];
	const struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		complain("  its descriptors cannot be read\n");
	while (dir && (entry = readdir(dir))) {
		struct stat st = { 0 };
		unsigned kind;
		ssize_t size;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, entry->d_name);
		size = readlink(path, link, sizeof(link) - 1);
		if (size < 0 || stat(path, &st))
			continue; /* closed meanwhile */
		link[size] = '\0';
		kind = kind_of(pid, atoi(entry->d_name), link, &st);
		count++;
		if (!(kind & row->descriptor_kinds))
			complain("  descriptor %s (%.200s) is none of: %s\n", entry->d_name, link, row->descriptors);
	}
	if (dir)
		closedir(dir);
	return count;
}

/* The bounding set is empty where nothing is ever executed. */
static void check_capabilities(pid_t pid, const struct brunt_role_row *row)
{
	static const char *const sets[] = { "CapEff", "CapPrm", "CapInh", "CapAmb" };
	unsigned long long bound = 0;

	if (read_status(pid, "CapBnd", 16, &bound) && bound && row != &brunt_roles[BRUNT_ROLE_LAUNCHER])
		complain("  CapBnd %016llx is not empty\n", bound);

	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		unsigned long long set = 0;

		if (read_status(pid, sets[i], 16, &set) && set & ~row->capabilities)
			complain("  %s %016llx has more than its row: %016llx\n", sets[i], set,
				 (unsigned long long)(set & ~row->capabilities));
	}
}

static bool has_children(pid_t pid)
{
	char path[64], text[16] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	file = fopen(path, "re");
	if (file) {
		(void)!fgets(text, sizeof(text), file);
		fclose(file);
	}
	return text[0];
}

static void check(const struct brunt_role_row *row, enum brunt_role role, uid_t caller, pid_t pid)
{
	unsigned long long value = 0;
	uid_t uid = row->user == BRUNT_USER_CALLER ? caller : row->user == BRUNT_USER_OWN ? BRUNT_RESPONDER_UID : 0;
	unsigned descriptors;
	char path[32];
	struct stat st;

	used = 0;
	wrong[0] = '\0';
	for (int i = 0; i < 2; i++) {
		const char *key = i ? "Gid" : "Uid";

		if (read_status(pid, key, 10, &value) && row->user != BRUNT_USER_ROOT && value == 0)
			complain("  its %s is root's\n", key);
		if (!i && value != uid)
			complain("  its uid is %llu, not %u\n", value, (unsigned)uid);
	}
	check_capabilities(pid, row);
	if (read_status(pid, "NoNewPrivs", 10, &value) && value != 1)
		complain("  it may get new privileges\n");
	descriptors = check_descriptors(pid, row);
	if (!descriptors)
		complain("  it has no descriptor at all\n");
	if (read_status(pid, "VmLck", 10, &value) && row->locks_memory && !value)
		complain("  its memory is not locked\n");
	/* The controller is who forked them all; from then on it does not. */
	if (!row->may_fork && role != BRUNT_ROLE_CONTROLLER && has_children(pid))
		complain("  it has children\n");
	/* The files in /proc/PID of a process that is not dumpable are root's (proc(5)). */
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	if (uid && !stat(path, &st) && st.st_uid == uid)
		complain("  it is dumpable\n");
	printf("%s - %s: as its row in the table (%u descriptors)\n%s", wrong[0] ? "not ok" : "ok", row->name,
	       descriptors, wrong);
}

int main(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');

		for (int role = 0; equals && role < _BRUNT_ROLE_MAX; role++)
			if (!strncmp(argv[i], brunt_roles[role].name, (size_t)(equals - argv[i])) &&
			    !brunt_roles[role].name[equals - argv[i]])
				check(&brunt_roles[role], (enum brunt_role)role, (uid_t)atoi(argv[1]),
				      (pid_t)atoi(equals + 1));
	}
	return argc < 3;
}
