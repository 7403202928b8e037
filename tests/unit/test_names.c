/* SPDX-License-Identifier: Apache-2.0 */
/* Host names of a fault: looked up by a child, in a mount namespace with hosts of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "network/names.h"
#include "network/names_jail.h"
#include "program/bpf.h"

static char hosts[] = "/tmp/brunt-hosts-XXXXXX";
static pid_t target; /* lives in namespaces where /etc/hosts is ours */

static void write_hosts(const char *text)
{
	int fd = open(hosts, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

/* Lives where /etc/hosts is ours, and /dev/null is that file (NULL: what it is here). 0: no namespaces here. */
static pid_t begin_target(const char *null)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNS | CLONE_NEWNET) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount(hosts, "/etc/hosts", NULL, MS_BIND, NULL) ||
		    (null && mount(null, "/dev/null", NULL, MS_BIND, NULL)))
			_exit(1);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = 0;
	}
	close(ready[0]);
	return pid;
}

static void end_target(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int set_up(void **state)
{
	int fd;

	(void)state;
	if (geteuid())
		return 0;
	fd = mkstemp(hosts);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
	write_hosts("10.1.1.1 db.brunt.test\n10.1.1.3 db.brunt.test\nfd00::5 six.brunt.test\n");
	target = begin_target(NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (target > 0)
		end_target(target);
	unlink(hosts);
	return 0;
}

static void need_namespaces(void)
{
	if (target <= 0) {
		print_message("no mount and network namespaces here\n");
		skip();
	}
}

static struct brunt_endpoint parse(const char *text)
{
	struct brunt_endpoint endpoint;

	assert_int_equal(brunt_endpoint_parse(text, &endpoint, NULL), 0);
	return endpoint;
}

/* The text of /proc/PID/FILE; empty when there is none. */
static const char *read_proc(int pid, const char *file)
{
	static char text[4096];
	char path[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	text[got > 0 ? got : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

/* Children of ours that look names up; none where the kernel does not tell of children. */
static size_t find_resolvers(int *ret_pids, size_t max)
{
	char children[4096], file[64], *rest = children;
	size_t count = 0;

	snprintf(file, sizeof(file), "task/%d/children", getpid());
	snprintf(children, sizeof(children), "%s", read_proc(getpid(), file));
	for (int pid; count < max && (pid = (int)strtol(rest, &rest, 10)) > 0;)
		if (!strcmp(read_proc(pid, "comm"), "brunt-resolver\n"))
			ret_pids[count++] = pid;
	return count;
}

static void need_children(void)
{
	char file[64];

	snprintf(file, sizeof(file), "/proc/%d/task/%d/children", getpid(), getpid());
	if (access(file, F_OK)) {
		print_message("this kernel does not tell of children\n");
		skip();
	}
}

/* The filters of its role and of its jail; nothing where the kernel does not tell of children or filters (5.9). */
static void expect_jailed_child(void)
{
	const char *filters;
	int pids[8];

	for (size_t i = find_resolvers(pids, BRUNT_COUNT(pids)); i-- > 0;) {
		filters = strstr(read_proc(pids[i], "status"), "Seccomp_filters:");
		if (filters)
			assert_true(strtol(filters + strlen("Seccomp_filters:"), NULL, 10) >= 2);
		assert_string_equal(read_proc(pids[i], "oom_score_adj"), "1000\n");
	}
}

static void names_are_what_the_target_sees(void **state)
{
	struct brunt_endpoint items[] = { parse("db.brunt.test:5432/tcp"), parse("10.9.0.0/16"),
					  parse("six.brunt.test") };
	const struct brunt_list list = { items, BRUNT_COUNT(items) }, *lists[] = { &list };
	const struct brunt_names_params params = { .via = BRUNT_NAMES_TARGET, .every = 100 * BRUNT_MS };
	const char *expected[] = { "10.1.1.1:5432/tcp", "10.1.1.3:5432/tcp", "10.9.0.0/16", "fd00::5" };
	struct brunt_names *names;
	struct brunt_error err = { 0 };
	struct brunt_list now;
	char text[128];

	(void)state;
	need_namespaces();
	assert_true(brunt_names_are_used(lists, 1));
	assert_int_equal(brunt_names_start(lists, 1, &params, target, &names, &err), 0);
	if (brunt_names_await(names, brunt_now() + 30 * BRUNT_S, &err))
		fail_msg("%s", err.msg);
	expect_jailed_child();
	assert_int_equal(brunt_names_expand(names, &list, &now, &err), 0);
	assert_int_equal(now.count, BRUNT_COUNT(expected));
	for (size_t i = 0; i < now.count; i++)
		assert_string_equal(brunt_endpoint_print((struct brunt_endpoint *)now.items + i, text, sizeof(text)),
				    expected[i]);
	brunt_names_print(names, text, sizeof(text));
	assert_string_equal(text, "db.brunt.test: 10.1.1.1, 10.1.1.3; six.brunt.test: fd00::5");
	/* later there is another one */
	write_hosts("10.1.1.7 db.brunt.test\nfd00::5 six.brunt.test\n");
	for (uint64_t until = brunt_now() + 30 * BRUNT_S; !brunt_names_take(names) && brunt_now() < until;)
		usleep(10000);
	brunt_names_print(names, text, sizeof(text));
	assert_string_equal(text, "db.brunt.test: 10.1.1.7; six.brunt.test: fd00::5");
	/* and a resolver that fails takes none away */
	write_hosts("fd00::6 six.brunt.test\n");
	for (uint64_t until = brunt_now() + 30 * BRUNT_S; !brunt_names_take(names) && brunt_now() < until;)
		usleep(10000);
	brunt_names_print(names, text, sizeof(text));
	assert_string_equal(text, "db.brunt.test: 10.1.1.7; six.brunt.test: fd00::6");
	brunt_names_stop(names);
}

static void a_name_without_an_address_is_an_error(void **state)
{
	struct brunt_endpoint items[] = { parse("none.brunt.test:80") };
	const struct brunt_list list = { items, 1 }, *lists[] = { &list };
	const struct brunt_names_params params = { .via = BRUNT_NAMES_TARGET, .every = BRUNT_S };
	struct brunt_names *names;
	struct brunt_error err = { 0 };

	(void)state;
	need_namespaces();
	assert_int_equal(brunt_names_start(lists, 1, &params, target, &names, &err), 0);
	assert_int_equal(brunt_names_await(names, brunt_now() + 30 * BRUNT_S, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "'none.brunt.test' has no address"));
	brunt_names_stop(names);
}

/* So many addresses of one name. */
static void write_many(int count)
{
	char text[4096] = "";
	size_t used = 0;

	for (int i = 1; i <= count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "10.2.0.%d many.brunt.test\n", i);
	write_hosts(text);
}

static void no_address_of_many_is_left_out_silently(void **state)
{
	struct brunt_endpoint items[] = { parse("many.brunt.test") };
	const struct brunt_list list = { items, 1 }, *lists[] = { &list };
	const struct brunt_names_params params = { .via = BRUNT_NAMES_TARGET, .every = 100 * BRUNT_MS };
	struct brunt_names *names;
	struct brunt_error err = { 0 };
	struct brunt_list now;
	char text[128];

	(void)state;
	need_namespaces();
	write_many(BRUNT_NAMES_ADDRESSES);
	assert_int_equal(brunt_names_start(lists, 1, &params, target, &names, &err), 0);
	assert_int_equal(brunt_names_await(names, brunt_now() + 30 * BRUNT_S, &err), 0);
	assert_int_equal(brunt_names_expand(names, &list, &now, &err), 0);
	assert_int_equal(now.count, BRUNT_NAMES_ADDRESSES);
	brunt_names_print(names, text, sizeof(text));
	assert_ptr_equal(strstr(text, "many.brunt.test: 10.2.0.1, 10.2.0.2, "), text);
	/* one more, while the fault is held: that is news */
	write_many(BRUNT_NAMES_ADDRESSES + 1);
	for (uint64_t until = brunt_now() + 30 * BRUNT_S; !brunt_names_take(names);) {
		assert_true(brunt_now() < until);
		usleep(10000);
	}
	brunt_names_print(names, text, sizeof(text));
	assert_ptr_equal(strstr(text, "'many.brunt.test' has more than 64 addresses: not all are met; "), text);
	brunt_names_stop(names);
	/* and before it begins that is an error */
	assert_int_equal(brunt_names_start(lists, 1, &params, target, &names, &err), 0);
	assert_int_equal(brunt_names_await(names, brunt_now() + 30 * BRUNT_S, &err), -E2BIG);
	assert_non_null(strstr(err.msg, "'many.brunt.test' stands for more than 64 addresses"));
	brunt_names_stop(names);
}

static int map_error;	/* what the kernel says of new rules */
static unsigned writes; /* how often it was asked */

int __wrap_brunt_bpf_write_rules(struct brunt_bpf *bpf, enum brunt_rule_list list, const struct brunt_list *endpoints,
				 struct brunt_error *err);
int __wrap_brunt_bpf_write_rules(struct brunt_bpf *bpf, enum brunt_rule_list list, const struct brunt_list *endpoints,
				 struct brunt_error *err)
{
	(void)bpf;
	(void)list;
	(void)endpoints;
	writes++;
	return map_error ? brunt_fail(err, map_error, "no room") : 0;
}

/* What is said next, within 30 s. */
static void await_news(struct brunt_bpf *bpf, char *text, size_t size)
{
	for (uint64_t until = brunt_now() + 30 * BRUNT_S; !brunt_bpf_op_news(bpf, text, size);) {
		assert_true(brunt_now() < until);
		brunt_bpf_names_poll(bpf);
		usleep(10000);
	}
}

static void addresses_that_cannot_be_followed_are_news(void **state)
{
	const struct brunt_names_params params = { .via = BRUNT_NAMES_TARGET, .every = 100 * BRUNT_MS };
	struct brunt_item item = { .kind = BRUNT_TARGET_PROCESS, .picked = true, .process = { .pid = target } };
	const struct brunt_victims victims = { .items = &item, .matched = 1 };
	const struct brunt_fault_context context = { .lease_ns = 20 * BRUNT_S };
	struct brunt_endpoint items[] = { parse("db.brunt.test") };
	const struct brunt_list list = { items, 1 };
	struct brunt_bpf bpf = { .ends = { &list }, .victims = &victims };
	struct brunt_error err = { 0 };
	char text[128];
	unsigned tries;

	(void)state;
	need_namespaces();
	write_hosts("10.1.1.1 db.brunt.test\n");
	assert_int_equal(brunt_bpf_names(&bpf, &params, &context, &err), 0);
	if (brunt_bpf_names_prepare(&bpf, &err))
		fail_msg("%s", err.msg);
	await_news(&bpf, text, sizeof(text));
	assert_string_equal(text, "db.brunt.test: 10.1.1.1");
	map_error = ENOSPC;
	write_hosts("10.1.1.2 db.brunt.test\n");
	/* heard of first: the holder may end the fault for it; then written */
	tries = writes;
	await_news(&bpf, text, sizeof(text));
	assert_string_equal(text, "db.brunt.test: 10.1.1.2");
	assert_int_equal(writes, tries);
	await_news(&bpf, text, sizeof(text));
	assert_string_equal(text, "not all of these addresses are met: no room; db.brunt.test: 10.1.1.2");
	/* it is told once, and tried until it works */
	brunt_bpf_names_poll(&bpf);
	assert_false(brunt_bpf_op_news(&bpf, text, sizeof(text)));
	map_error = 0;
	await_news(&bpf, text, sizeof(text));
	assert_string_equal(text, "db.brunt.test: 10.1.1.2");
	brunt_names_stop(bpf.names);
}

static void a_slice_has_its_processes_below(void **state)
{
	const struct brunt_names_params params = { .via = BRUNT_NAMES_TARGET, .every = 100 * BRUNT_MS };
	char mount[] = "/tmp/brunt-cgroups-XXXXXX", path[96], text[128];
	struct brunt_item item = {
		.kind = BRUNT_TARGET_CGROUP, .picked = true, .name = "the slice", .cgroup = "/a.slice"
	};
	const struct brunt_victims victims = { .items = &item, .matched = 1 };
	const struct brunt_fault_context context = { .lease_ns = 20 * BRUNT_S };
	struct brunt_endpoint items[] = { parse("db.brunt.test") };
	const struct brunt_list list = { items, 1 };
	struct brunt_bpf bpf = { .ends = { &list }, .victims = &victims, .mount = mount };
	struct brunt_error err = { 0 };
	FILE *procs;

	(void)state;
	need_namespaces();
	write_hosts("10.1.1.1 db.brunt.test\n");
	assert_non_null(mkdtemp(mount));
	snprintf(path, sizeof(path), "%s/a.slice", mount);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(brunt_bpf_names(&bpf, &params, &context, &err), 0);
	assert_int_equal(brunt_bpf_names_prepare(&bpf, &err), -ESRCH);
	assert_string_equal(err.msg, "no process is in 'the slice' that could look names up");
	snprintf(path, sizeof(path), "%s/a.slice/b.service", mount);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/a.slice/b.service/cgroup.procs", mount);
	procs = fopen(path, "we");
	assert_non_null(procs);
	assert_true(fprintf(procs, "%d\n", (int)target) > 0);
	assert_int_equal(fclose(procs), 0);
	if (brunt_bpf_names_prepare(&bpf, &err))
		fail_msg("%s", err.msg);
	assert_true(brunt_bpf_op_news(&bpf, text, sizeof(text)));
	assert_string_equal(text, "db.brunt.test: 10.1.1.1");
	brunt_names_stop(bpf.names);
	for (; strlen(path) >= strlen(mount); *strrchr(path, '/') = '\0')
		assert_int_equal(remove(path), 0);
}

/* What /proc says after "Uid:": real, effective, saved, of files. */
static void read_ids(int pid, const char *kind, unsigned ret[4])
{
	const char *line = strstr(read_proc(pid, "status"), kind);

	assert_non_null(line);
	assert_int_equal(sscanf(line + strlen(kind), "%u %u %u %u", &ret[0], &ret[1], &ret[2], &ret[3]), 4);
}

/* Which numbers there are here: a first one, and how many. */
static bool are_strangers_mapped(const char *map)
{
	unsigned first, outside, count;
	bool mapped = false;

	for (const char *line = read_proc(getpid(), map); !mapped && line && *line;) {
		if (sscanf(line, "%u %u %u", &first, &outside, &count) == 3)
			mapped = first <= 0x7ffd0000U && (uint64_t)first + count > 0x7ffdffffU;
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return mapped;
}

/* All four are the same one of those that nobody else has, or nobody's where there are none. */
static unsigned expect_stranger(int pid, const char *kind, const char *map)
{
	unsigned ids[4];

	read_ids(pid, kind, ids);
	for (int i = 1; i < 4; i++)
		assert_int_equal(ids[i], ids[0]);
	if (are_strangers_mapped(map))
		assert_in_range(ids[0], 0x7ffd0000U, 0x7ffdffffU);
	else
		assert_int_equal(ids[0], 65534);
	return ids[0];
}

static void expect_host_null(int pid)
{
	struct stat null, seen;
	char path[64];

	assert_int_equal(stat("/dev/null", &null), 0);
	for (int fd = 0; fd <= 2; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		assert_int_equal(stat(path, &seen), 0);
		assert_true(S_ISCHR(seen.st_mode));
		assert_int_equal(seen.st_rdev, makedev(1, 3));
		assert_int_equal(seen.st_dev, null.st_dev);
		assert_int_equal(seen.st_ino, null.st_ino);
	}
}

/* A file that root alone may write stands for /dev/null where the target lives. */
static void who_runs_a_target_s_code_has_nothing_of_it_open_and_a_uid_of_its_own(void **state)
{
	struct brunt_endpoint items[] = { parse("db.brunt.test") };
	const struct brunt_list list = { items, 1 }, *lists[] = { &list };
	const struct brunt_names_params params = { .via = BRUNT_NAMES_TARGET, .every = 10 * BRUNT_S };
	char secret[] = "/tmp/brunt-secret-XXXXXX";
	struct brunt_error err = { 0 };
	struct brunt_names *names[2];
	unsigned uids[2];
	int pids[3], fd;
	pid_t other;

	(void)state;
	need_namespaces();
	need_children();
	write_hosts("10.1.1.1 db.brunt.test\n");
	fd = mkstemp(secret);
	assert_true(fd >= 0);
	close(fd);
	other = begin_target(secret);
	unlink(secret);
	assert_true(other > 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(brunt_names_start(lists, 1, &params, other, &names[i], &err), 0);
		if (brunt_names_await(names[i], brunt_now() + 10 * BRUNT_S, &err))
			fail_msg("%s", err.msg);
	}
	assert_int_equal(find_resolvers(pids, BRUNT_COUNT(pids)), 2);
	for (int i = 0; i < 2; i++) {
		expect_host_null(pids[i]);
		uids[i] = expect_stranger(pids[i], "\nUid:", "uid_map");
		(void)expect_stranger(pids[i], "\nGid:", "gid_map");
	}
	if (uids[0] != 65534)
		assert_int_not_equal(uids[0], uids[1]);
	for (int i = 0; i < 2; i++)
		brunt_names_stop(names[i]);
	end_target(other);
}

#define TRACER_LIFE 15 /* s */

/* Traces it and does not care: as long as it lives, the parent sees no end of who it traces (ptrace(2)). */
static pid_t trace_and_sleep(int pid)
{
	int ready[2];
	char byte = '\0';
	pid_t tracer;

	assert_int_equal(pipe(ready), 0);
	tracer = fork();
	if (!tracer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		byte = ptrace(PTRACE_SEIZE, pid, NULL, NULL) ? 'n' : 'y';
		(void)!write(ready[1], &byte, 1);
		(void)sleep(TRACER_LIFE);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	if (byte == 'y')
		return tracer;
	end_target(tracer);
	return 0;
}

static void a_child_that_does_not_end_is_not_waited_for(void **state)
{
	struct brunt_endpoint items[] = { parse("db.brunt.test") };
	const struct brunt_list list = { items, 1 }, *lists[] = { &list };
	const struct brunt_names_params params = { .via = BRUNT_NAMES_TARGET, .every = 10 * BRUNT_S };
	struct brunt_error err = { 0 };
	struct brunt_names *names;
	uint64_t begin;
	int pids[8], pid;
	size_t count;
	pid_t tracer;

	(void)state;
	need_namespaces();
	need_children();
	write_hosts("10.1.1.1 db.brunt.test\n");
	assert_int_equal(brunt_names_start(lists, 1, &params, target, &names, &err), 0);
	if (brunt_names_await(names, brunt_now() + 10 * BRUNT_S, &err))
		fail_msg("%s", err.msg);
	count = find_resolvers(pids, BRUNT_COUNT(pids));
	assert_true(count > 0);
	pid = pids[count - 1]; /* the youngest */
	tracer = trace_and_sleep(pid);
	if (!tracer) {
		brunt_names_stop(names);
		print_message("nothing can be traced here\n");
		skip();
	}
	begin = brunt_now();
	brunt_names_stop(names);
	assert_true(brunt_now() - begin < TRACER_LIFE * BRUNT_S / 2);
	/* it was killed all the same, and is there until its tracer has gone */
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	end_target(tracer);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_target_that_is_gone_is_told(void **state)
{
	struct brunt_endpoint items[] = { parse("db.brunt.test") };
	const struct brunt_list list = { items, 1 }, *lists[] = { &list };
	const struct brunt_names_params params = { .via = BRUNT_NAMES_TARGET, .every = BRUNT_S };
	struct brunt_names *names;
	struct brunt_error err = { 0 };

	(void)state;
	assert_int_equal(brunt_names_start(lists, 1, &params, INT32_MAX, &names, &err), 0);
	assert_int_equal(brunt_names_await(names, brunt_now() + 30 * BRUNT_S, &err), -ESRCH);
	assert_non_null(strstr(err.msg, "namespaces could not be entered"));
	brunt_names_stop(names);
}

static void addresses_alone_need_nobody(void **state)
{
	struct brunt_endpoint items[] = { parse("10.0.0.1:80"), parse(":53") };
	const struct brunt_list list = { items, 2 }, none = { 0 }, *lists[] = { &none, &list };

	(void)state;
	assert_false(brunt_names_are_used(lists, 2));
}

#define REFUSED(error, call)                                                                                           \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		if ((call) >= 0 || errno != (error))                                                                   \
			return __LINE__;                                                                               \
	} while (0)

/* The line that was not as expected, or 0. In a process of its own, whose uid is as good as any other. */
static int live_in_jail(void)
{
	char *const nothing[] = { NULL };
	struct addrinfo *found;
	int fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || brunt_names_jail())
		return __LINE__;
	REFUSED(EPERM, kill(getppid(), 0));
	REFUSED(EPERM, syscall(SYS_tgkill, getppid(), getppid(), 0));
	REFUSED(EPERM, syscall(SYS_pidfd_open, getppid(), 0));
	REFUSED(EPERM, syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, getppid(), 0, 0));
	REFUSED(EPERM, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	REFUSED(ENOSYS, syscall(SYS_clone3, NULL, 0));
	REFUSED(EPERM, execve("/bin/true", nothing, nothing));
	REFUSED(EPERM, unshare(CLONE_NEWUSER));
	REFUSED(EPERM, mount("none", "/tmp", "tmpfs", 0, NULL));
	REFUSED(EPERM, shmget(IPC_PRIVATE, 1, 0600));
	REFUSED(EPERM, syscall(SYS_keyctl, 0, 0));
	REFUSED(EPERM, prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0));
	REFUSED(EPERM, syscall(SYS_prlimit64, getppid(), 0, NULL, NULL));
	REFUSED(EAFNOSUPPORT, socket(AF_VSOCK, SOCK_STREAM, 0));
	REFUSED(ENOSYS, syscall(0x40000000 | SYS_kill, getppid(), 0));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK))
		return __LINE__;
	REFUSED(EPERM, fcntl(fd, F_SETOWN, getppid()));
	if (syscall(SYS_prlimit64, 0, 0, NULL, NULL) || getaddrinfo("localhost", NULL, NULL, &found))
		return __LINE__;
	freeaddrinfo(found);
	return 0;
}

static void a_target_s_code_reaches_nobody_else(void **state)
{
	int pair[2], line = -1;
	pid_t child;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	child = fork();
	if (!child) {
		line = live_in_jail();
		(void)!write(pair[1], &line, sizeof(line));
		_exit(0);
	}
	close(pair[1]);
	assert_int_equal(read(pair[0], &line, sizeof(line)), sizeof(line));
	close(pair[0]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	if (line)
		fail_msg("line %d", line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_what_the_target_sees),
		cmocka_unit_test(a_name_without_an_address_is_an_error),
		cmocka_unit_test(no_address_of_many_is_left_out_silently),
		cmocka_unit_test(addresses_that_cannot_be_followed_are_news),
		cmocka_unit_test(a_slice_has_its_processes_below),
		cmocka_unit_test(who_runs_a_target_s_code_has_nothing_of_it_open_and_a_uid_of_its_own),
		cmocka_unit_test(a_child_that_does_not_end_is_not_waited_for),
		cmocka_unit_test(a_target_that_is_gone_is_told),
		cmocka_unit_test(addresses_alone_need_nobody),
		cmocka_unit_test(a_target_s_code_reaches_nobody_else),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
