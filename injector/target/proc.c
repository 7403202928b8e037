/* SPDX-License-Identifier: Apache-2.0 */
#include "target/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"

int brunt_proc_open(const char *proc, struct brunt_error *err)
{
	int fd = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return brunt_fail(err, errno, "cannot open '%s': %s", proc, strerror(errno));
	return fd;
}

/* A process that ends while one looks is ENOENT at open (no folder) or ESRCH at read (folder, no process). */
static int vanished(int code)
{
	return code == ENOENT || code == ESRCH ? -ESRCH : -code;
}

ssize_t brunt_proc_read(int dir, pid_t pid, const char *file, char *buf, size_t size)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	char path[64];
	size_t used = 0;

	snprintf(path, sizeof(path), "%d/%s", (int)pid, file);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return vanished(errno);
	while (used < size - 1) {
		ssize_t got = read(fd, buf + used, size - 1 - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return vanished(errno);
		used += (size_t)got;
		/* These files come whole in one read when there is room: asking for the end would double the cost. */
		if ((size_t)got < size - 1 - (used - (size_t)got))
			break;
	}
	buf[used] = '\0';
	return (ssize_t)used;
}

ssize_t brunt_proc_readlink(int dir, pid_t pid, const char *file, char *buf, size_t size)
{
	char path[64];
	ssize_t got;

	snprintf(path, sizeof(path), "%d/%s", (int)pid, file);
	got = readlinkat(dir, path, buf, size - 1);
	if (got < 0)
		return vanished(errno);
	buf[got] = '\0';
	return got;
}

int brunt_proc_stat_parse(const char *text, struct brunt_proc_stat *ret)
{
	/* The name may hold anything, ") R 1 (" included: it ends at the last parenthesis, fields after have none. */
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	struct brunt_proc_stat stat = { 0 };
	unsigned long long start = 0;
	long threads = 0;
	size_t length;
	int ppid = 0;

	if (!open || !close || close < open)
		return -EINVAL;
	length = (size_t)(close - open - 1);
	if (length > sizeof(stat.comm) - 1)
		length = sizeof(stat.comm) - 1; /* kernel threads show up to 63 bytes here */
	memcpy(stat.comm, open + 1, length);
	/* state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority
	 * nice num_threads itrealvalue starttime: proc_pid_stat(5), fields 3 to 22 */
	if (sscanf(close + 1, " %c %d %*d %*d %*d %*d %u %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ld %*s %llu ",
		   &stat.state, &ppid, &stat.flags, &threads, &start) != 5)
		return -EINVAL;
	/* Cut in the middle of the number? The field is followed by more of them. */
	if (!strchr(close, '\n'))
		return -EINVAL;
	stat.ppid = ppid;
	stat.threads = threads > 0 ? (unsigned)threads : 0;
	stat.start = start;
	*ret = stat;
	return 0;
}

int brunt_proc_stat(int dir, pid_t pid, struct brunt_proc_stat *ret)
{
	char text[1024]; /* 52 fields of at most 20 digits */
	ssize_t got = brunt_proc_read(dir, pid, "stat", text, sizeof(text));

	if (got < 0)
		return (int)got;
	if (!got)
		return -ESRCH;
	return brunt_proc_stat_parse(text, ret);
}

int brunt_proc_stat_alive(const struct brunt_proc_stat *stat)
{
	return (stat->state != 'Z' && stat->state != 'X') || stat->threads > 1;
}

int brunt_proc_place(int dir, pid_t pid, char *buf, size_t size, struct brunt_proc_place *ret)
{
	ssize_t got = brunt_proc_read(dir, pid, "status", buf, size);
	struct brunt_proc_place place = { 0 };
	char *line;

	if (got < 0)
		return (int)got;
	/* The kernel escapes newlines in the name (first line), so no process can forge this one. */
	line = strstr(buf, "\nNSpid:");
	if (!line) {
		*ret = place;
		return 0;
	}
	line += strlen("\nNSpid:");
	while (*line == '\t' || *line == ' ') {
		char *end;
		long value = strtol(line, &end, 10);

		if (end == line || value <= 0)
			break;
		place.depth++;
		place.inner = (pid_t)value;
		line = end;
	}
	*ret = place;
	return 0;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

int brunt_proc_scan(int dir, int (*visit)(void *user, pid_t pid), void *user)
{
	BRUNT_CLEANUP(close_dir) DIR *folder = NULL;
	const struct dirent *entry;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* an offset of its own */

	if (fd < 0)
		return -errno;
	folder = fdopendir(fd);
	if (!folder) {
		int code = errno;

		(void)close(fd);
		return -code;
	}
	while ((entry = readdir(folder))) {
		char *end;
		long pid;
		int rc;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		pid = strtol(entry->d_name, &end, 10);
		if (*end || pid > INT32_MAX)
			continue;
		rc = visit(user, (pid_t)pid);
		if (rc)
			return rc;
	}
	return 0;
}

const char *brunt_proc_argv0(const char *text)
{
	const char *slash;

	/* A program that writes a title puts all of it, spaces and slashes included, into argv[0]. */
	if (text[0] != '/' && strchr(text, ' '))
		return text;
	slash = strrchr(text, '/');
	return slash ? slash + 1 : text;
}
