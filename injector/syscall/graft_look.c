/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of a process before it is touched, and what of that is in the way. */
#include "syscall/graft.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "syscall/graft_parts.h"
#include "target/proc.h"

#define KERNEL_THREAD 0x00200000 /* PF_KTHREAD, linux/sched.h of the kernel */

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static DIR *open_folder(int proc_dir, pid_t pid, const char *name)
{
	char path[64];
	DIR *dir;
	int fd;

	(void)snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	fd = openat(proc_dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	dir = fdopendir(fd);
	if (!dir)
		(void)close(fd);
	return dir;
}

static bool has_exited(const struct brunt_proc_stat *stat)
{
	return stat->state == 'Z' || stat->state == 'X';
}

int brunt_graft_thread(int proc_dir, pid_t pid, pid_t *ret)
{
	BRUNT_CLEANUP(close_dir) DIR *tasks = open_folder(proc_dir, pid, "task");
	const struct dirent *entry;

	if (!tasks)
		return errno == ENOENT ? -ESRCH : -errno;
	/* In the order in which they were made; PID/stat itself speaks of the whole process. */
	while ((entry = readdir(tasks))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		struct brunt_proc_stat stat;
		char path[64], text[1024];

		if (tid <= 0)
			continue;
		(void)snprintf(path, sizeof(path), "task/%d/stat", (int)tid);
		if (brunt_proc_read(proc_dir, pid, path, text, sizeof(text)) <= 0 || brunt_proc_stat_parse(text, &stat))
			continue;
		if (has_exited(&stat))
			continue;
		*ret = tid;
		return 0;
	}
	return -ESRCH;
}

/* The value of a line of PID/status. No name can forge one: the kernel escapes newlines in it. */
static const char *line_of(const char *status, const char *key)
{
	const char *line = strstr(status, key);

	return line ? line + strlen(key) : "";
}

static int look_at_status(int proc_dir, pid_t tid, struct brunt_graft_facts *facts)
{
	char text[8192];
	ssize_t got = brunt_proc_read(proc_dir, tid, "status", text, sizeof(text));
	unsigned long long capabilities;
	char state;
	long mode;

	if (got <= 0)
		return got ? (int)got : -ESRCH;
	state = *line_of(text, "\nState:\t");
	facts->tracer = (int)strtol(line_of(text, "\nTracerPid:\t"), NULL, 10);
	facts->traced = facts->tracer || state == 't';
	facts->stopped = state == 'T';
	/* As seccomp_prepare_filter() asks: CAP_SYS_ADMIN in its own user namespace, which is what this line is about. */
	capabilities = strtoull(line_of(text, "\nCapEff:\t"), NULL, 16);
	facts->needs_no_new_privs =
		!(capabilities >> CAP_SYS_ADMIN & 1) && strtol(line_of(text, "\nNoNewPrivs:\t"), NULL, 10) == 0;
	mode = strtol(line_of(text, "\nSeccomp:\t"), NULL, 10);
	facts->strict = mode == 1;
	facts->filtered = mode == 2;
	return 0;
}

/* Its own code, not what the kernel could run: a 32-bit program has other numbers for all calls, and other registers. */
static int look_at_program(int proc_dir, pid_t tid, struct brunt_graft_facts *facts)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	unsigned char head[20]; /* e_ident, e_type, e_machine */
	char path[64];

	(void)snprintf(path, sizeof(path), "%d/exe", (int)tid);
	fd = openat(proc_dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? -ESRCH : -errno;
	if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) || memcmp(head, ELFMAG, SELFMAG))
		return 0; /* the file was changed meanwhile; the registers tell, too */
	/* x32 has the machine of x86-64, but 32 bits. */
	facts->foreign = head[EI_CLASS] != ELFCLASS64 ||
			 (BRUNT_MACHINE_CAN_GRAFT && (head[18] | head[19] << 8) != BRUNT_MACHINE_ELF);
	return 0;
}

static int look_at_descriptors(int proc_dir, pid_t tid, struct brunt_graft_facts *facts)
{
	BRUNT_CLEANUP(close_dir) DIR *folder = open_folder(proc_dir, tid, "fd");
	const struct dirent *entry;

	if (!folder)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((entry = readdir(folder))) {
		char what[64];
		ssize_t size = readlinkat(dirfd(folder), entry->d_name, what, sizeof(what) - 1);

		if (size <= 0)
			continue;
		what[size] = '\0';
		if (!strcmp(what, "anon_inode:[io_uring]")) {
			facts->io_uring = true;
			break;
		}
	}
	return 0;
}

static int look(int proc_dir, const struct brunt_process *process, struct brunt_graft_facts *facts)
{
	struct brunt_proc_stat stat;
	pid_t tid;
	int rc = brunt_proc_stat(proc_dir, process->pid, &stat);

	if (rc)
		return rc;
	if (stat.start != process->start)
		return -ESRCH; /* another one by now */
	facts->threads = stat.threads;
	facts->kernel_thread = stat.flags & KERNEL_THREAD;
	if (facts->kernel_thread)
		return 0;
	rc = brunt_graft_thread(proc_dir, process->pid, &tid);
	if (rc == -ESRCH && has_exited(&stat)) {
		facts->zombie = true;
		return 0;
	}
	if (!rc)
		rc = look_at_status(proc_dir, tid, facts);
	if (rc)
		return rc;
	facts->frozen = brunt_graft_is_frozen(proc_dir, tid);
	rc = look_at_program(proc_dir, tid, facts);
	return rc ? rc : look_at_descriptors(proc_dir, tid, facts);
}

int brunt_graft_look(const char *proc, const struct brunt_process *process, struct brunt_graft_facts *ret,
		     struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int proc_dir = brunt_proc_open(proc, err);
	struct brunt_graft_facts facts = { 0 };
	int rc;

	if (proc_dir < 0)
		return proc_dir;
	/* One that exits while it is looked at may be a zombie at the second look. */
	rc = look(proc_dir, process, &facts);
	if (rc == -ESRCH) {
		facts = (struct brunt_graft_facts){ 0 };
		rc = look(proc_dir, process, &facts);
	}
	if (rc == -ESRCH)
		return brunt_fail(err, ESRCH, "process %d (%s) is gone", (int)process->pid, process->name);
	if (rc == -EACCES || rc == -EPERM)
		return brunt_fail(err, EPERM, "process %d (%s) may not be traced: run brunt as root", (int)process->pid,
				  process->name);
	if (rc)
		return brunt_fail(err, -rc, "cannot look at process %d (%s): %s", (int)process->pid, process->name,
				  strerror(-rc));
	*ret = facts;
	return 0;
}

int brunt_graft_allowed(const struct brunt_process *process, const struct brunt_graft_facts *facts,
			bool allow_no_new_privs, struct brunt_error *err)
{
	int pid = (int)process->pid;
	const char *name = process->name;

	if (facts->kernel_thread)
		return brunt_fail(err, ENOTSUP, "process %d (%s) is a thread of the kernel: it makes no system calls",
				  pid, name);
	if (pid == 1)
		return brunt_fail(err, EPERM,
				  "process 1 (%s) is init: a filter on it would be one on all that it starts", name);
	if (facts->zombie)
		return brunt_fail(err, ESRCH, "process %d (%s) has exited", pid, name);
	if (facts->foreign)
		return brunt_fail(err, ENOTSUP,
				  "process %d (%s) is a program of another architecture: only 64-bit ones can be hit",
				  pid, name);
	if (facts->traced && facts->tracer)
		return brunt_fail(err, EBUSY, "process %d (%s) is traced by process %d: end that first", pid, name,
				  facts->tracer);
	if (facts->traced)
		return brunt_fail(err, EBUSY, "process %d (%s) is traced: end that first", pid, name);
	if (facts->stopped)
		return brunt_fail(err, EBUSY, "process %d (%s) is stopped: continue it first", pid, name);
	if (facts->frozen)
		return brunt_fail(err, EBUSY, "process %d (%s) is frozen by its cgroup: thaw that first", pid, name);
	if (facts->strict)
		return brunt_fail(err, ENOTSUP, "process %d (%s) is in seccomp's strict mode, which takes no filters",
				  pid, name);
	if (facts->listener)
		return brunt_fail(err, EBUSY, "process %d (%s) has a seccomp listener already: restart it", pid, name);
	if (facts->needs_no_new_privs && !allow_no_new_privs)
		return brunt_fail(err, EPERM,
				  "process %d (%s) would need no_new_privs, which it keeps until it exits: "
				  "allow it with \"allow_no_new_privs\": true",
				  pid, name);
	return 0;
}
