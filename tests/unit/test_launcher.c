/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: on request */
/*
 * The launcher with real processes: each test forks one, speaks to it as the
 * controller does, and looks at what runs. As root it has cgroups and users;
 * one test becomes an ordinary user first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/launch.h"
#include "brunt/memory.h"
#include "brunt/plan.h"

#define MS 1000000ull
#define S  1000000000ull

/* One launcher and the plan that it knows. */
struct bench {
	struct brunt_plan plan;
	struct brunt_service services[4];
	struct brunt_step step_storage[2];
	struct brunt_step *steps[2];
	struct brunt_finally finally[1];
	struct brunt_run_setup setup;
	struct brunt_shared *shared;
	char dir[64];
	char mark[32]; /* in the command line of every process that must not survive */
	int socket;
	pid_t launcher;
};

/* ---- small helpers ---- */

static void list(struct brunt_list *ret, const char *const *items)
{
	ret->items = (void *)items;
	for (ret->count = 0; items[ret->count]; ret->count++)
		;
}
#define RUN(target, ...) list(&(target), (const char *const[]){ __VA_ARGS__, NULL })

static void moment(void)
{
	(void)usleep(5000);
}

/* Processes anywhere (outer view) whose command line contains text. */
static unsigned count_processes(const char *text)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	unsigned count = 0;

	assert_non_null(proc);
	while ((entry = readdir(proc))) {
		char path[300], line[4096];
		ssize_t size;
		int fd;

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		size = fd < 0 ? 0 : read(fd, line, sizeof(line));
		if (fd >= 0)
			(void)close(fd);
		if (size > 0 && memmem(line, (size_t)size, text, strlen(text)))
			count++;
	}
	(void)closedir(proc);
	return count;
}

static bool becomes(const char *text, unsigned wanted, uint64_t within)
{
	for (uint64_t until = brunt_now() + within; brunt_now() < until; moment()) {
		if (count_processes(text) == wanted)
			return true;
	}
	return count_processes(text) == wanted;
}

static void send_verb(const struct bench *bench, uint32_t kind, uint32_t index, uint64_t sequence)
{
	struct brunt_launch_verb verb = { .kind = kind, .index = index, .sequence = sequence };

	assert_int_equal(send(bench->socket, &verb, sizeof(verb), MSG_NOSIGNAL), sizeof(verb));
}

/* The next report, with its descriptor in *ret_fd (-1: none); fails the test after 30 s. False: end of file. */
static bool receive(const struct bench *bench, struct brunt_launch_report *ret, int *ret_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct pollfd polled = { .fd = bench->socket, .events = POLLIN };
	struct cmsghdr *header;
	ssize_t size;

	assert_int_equal(poll(&polled, 1, 30000), 1);
	size = recvmsg(bench->socket, &message, MSG_CMSG_CLOEXEC);
	*ret_fd = -1;
	if (size <= 0)
		return false;
	assert_int_equal(size, sizeof(*ret));
	header = CMSG_FIRSTHDR(&message);
	if (header)
		memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
	return true;
}

/* The next report is of that kind; closes its descriptor unless it is wanted. */
static struct brunt_launch_report expect(const struct bench *bench, uint32_t kind, int *ret_fd)
{
	struct brunt_launch_report report = { 0 };
	int fd = -1;

	assert_true(receive(bench, &report, &fd));
	if (report.kind != kind)
		print_message("# seen: kind %u code %d status %x '%s'\n", report.kind, report.code, report.status,
			      report.text);
	assert_int_equal(report.kind, kind);
	assert_true((fd >= 0) == (kind == BRUNT_LAUNCHED));
	if (ret_fd)
		*ret_fd = fd;
	else if (fd >= 0)
		(void)close(fd);
	return report;
}

/* All that comes until the end of file, or 30 s; closes fd. */
static const char *drain(int fd, char *buf, size_t size)
{
	size_t used = 0;

	for (uint64_t until = brunt_now() + 30 * S; brunt_now() < until && used + 1 < size;) {
		ssize_t got = read(fd, buf + used, size - 1 - used);

		if (got == 0)
			break;
		if (got < 0)
			moment();
		else
			used += (size_t)got;
	}
	buf[used] = '\0';
	(void)close(fd);
	return buf;
}

/* ---- bench ---- */

static void find_cgroups(struct bench *bench)
{
	char path[512];

	if (geteuid() != 0 || brunt_cgroup_mount(bench->setup.cgroup_mount, sizeof(bench->setup.cgroup_mount)))
		return;
	(void)snprintf(bench->setup.run_cgroup, sizeof(bench->setup.run_cgroup), "/brunt.%s", bench->shared->run);
	(void)snprintf(path, sizeof(path), "%s%s", bench->setup.cgroup_mount, bench->setup.run_cgroup);
	if (mkdir(path, 0755) < 0) {
		bench->setup.run_cgroup[0] = '\0';
		return;
	}
	(void)rmdir(path);
}

static int set_up(void **state)
{
	static unsigned count;
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	bench->shared = mmap(NULL, sizeof(*bench->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(bench->shared != MAP_FAILED);
	(void)snprintf(bench->shared->run, sizeof(bench->shared->run), "%08x", (unsigned)getpid() * 100 + ++count);
	(void)snprintf(bench->mark, sizeof(bench->mark), "7%07u%02u", (unsigned)getpid(), count % 100);
	(void)snprintf(bench->dir, sizeof(bench->dir), "/tmp/test_launcher.XXXXXX");
	assert_non_null(mkdtemp(bench->dir));
	assert_int_equal(chmod(bench->dir, 0755), 0);

	for (size_t i = 0; i < BRUNT_COUNT(bench->services); i++)
		bench->services[i].index = (uint32_t)i;
	bench->services[0].name = "first";
	bench->services[1].name = "second";
	bench->services[2].name = "third";
	bench->services[3].name = "fourth";
	for (size_t i = 0; i < BRUNT_COUNT(bench->steps); i++) {
		bench->steps[i] = &bench->step_storage[i];
		bench->steps[i]->kind = BRUNT_STEP_RUN;
	}
	bench->plan.dir = bench->dir;
	bench->plan.services = (struct brunt_list){ bench->services, BRUNT_COUNT(bench->services) };
	bench->plan.finally = (struct brunt_list){ bench->finally, 1 };
	bench->plan.steps = bench->steps;
	bench->plan.step_count = BRUNT_COUNT(bench->steps);
	bench->setup.plan = &bench->plan;
	bench->setup.shared = bench->shared;
	bench->setup.controller_pidfd = -1;
	(void)snprintf(bench->setup.run_dir, sizeof(bench->setup.run_dir), "%s/scratch", bench->dir);
	bench->setup.identity.privileged = geteuid() == 0;
	if (bench->setup.identity.privileged) {
		bench->setup.identity.uid = bench->setup.identity.gid = 65534;
		(void)snprintf(bench->setup.identity.name, sizeof(bench->setup.identity.name), "nobody");
		(void)snprintf(bench->setup.identity.home, sizeof(bench->setup.identity.home), "/nonexistent");
	} else {
		bench->setup.identity.uid = geteuid();
		bench->setup.identity.gid = getegid();
		(void)snprintf(bench->setup.identity.name, sizeof(bench->setup.identity.name), "%u", geteuid());
		(void)snprintf(bench->setup.identity.home, sizeof(bench->setup.identity.home), "/");
	}
	find_cgroups(bench);
	bench->socket = -1;
	*state = bench;
	return 0;
}

static int begin(struct bench *bench, struct brunt_error *err)
{
	int ends[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	r = brunt_launcher_fork(&bench->setup, ends[1], &bench->launcher, err);
	(void)close(ends[1]);
	bench->socket = ends[0];
	return r;
}

static void start(struct bench *bench)
{
	struct brunt_error err = { 0 };

	if (begin(bench, &err))
		fail_msg("%s", err.msg);
}

static void cgroup_path(const struct bench *bench, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s%s", bench->setup.cgroup_mount, bench->setup.run_cgroup);
}

/* Whatever the test did: nothing of it is left. */
static int tear_down(void **state)
{
	struct bench *bench = *state;
	char path[512];

	if (bench->socket >= 0)
		(void)close(bench->socket);
	if (bench->launcher > 0) {
		(void)kill(bench->launcher, SIGKILL);
		(void)waitpid(bench->launcher, NULL, 0);
	}
	assert_true(becomes(bench->mark, 0, 20 * S));
	if (*bench->setup.run_cgroup) { /* of a launcher that was killed: the recoverer's task in a run */
		(void)snprintf(path, sizeof(path), "find '%s%s' -depth -type d -exec rmdir {} ';' 2>/dev/null || :",
			       bench->setup.cgroup_mount, bench->setup.run_cgroup);
		if (system(path) != 0) // NOLINT(cert-env33-c): a test, its own name
			print_message("# cannot clean up: %s\n", path);
		cgroup_path(bench, path, sizeof(path));
		assert_int_equal(access(path, F_OK), -1);
	}
	(void)snprintf(path, sizeof(path), "rm -rf '%s'", bench->dir);
	assert_int_equal(system(path), 0); // NOLINT(cert-env33-c): a test, its own name
	(void)munmap(bench->shared, sizeof(*bench->shared));
	free(bench);
	return 0;
}

static void needs_root(void)
{
	if (geteuid() != 0) {
		print_message("# needs root\n");
		skip();
	}
}

static void needs_cgroups(const struct bench *bench)
{
	if (!*bench->setup.run_cgroup) {
		print_message("# no cgroup v2 can be made here\n");
		skip();
	}
}

/* A shell line with the bench's mark for each @: a number of seconds by which its processes can be found. */
static const char *marked(const struct bench *bench, char *buf, size_t size, const char *line)
{
	size_t used = 0;

	for (; *line && used + sizeof(bench->mark) < size; line++) {
		if (*line == '@')
			used += (size_t)snprintf(buf + used, size - used, "%s", bench->mark);
		else
			buf[used++] = *line;
	}
	buf[used] = '\0';
	return buf;
}

/* ---- tests ---- */

static void a_service_starts_is_seen_from_outside_and_stops(void **state)
{
	struct bench *bench = *state;
	struct brunt_launch_report report;
	const struct brunt_service_slot *slot = &bench->shared->services[1];
	struct brunt_process process;

	RUN(bench->services[1].run, "sleep", bench->mark);
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_START, 1, 7);
	report = expect(bench, BRUNT_LAUNCHED, NULL);
	assert_int_equal(report.verb, BRUNT_LAUNCH_START);
	assert_int_equal(report.index, 1);
	assert_int_equal(report.sequence, 7);
	assert_true(report.at > brunt_now() - 60 * S && report.at <= brunt_now());

	assert_int_equal(slot->pid, report.pid);
	assert_int_equal(slot->generation, 1);
	assert_int_equal(brunt_process_identify("/proc", report.pid, false, &process, NULL), 0);
	assert_string_equal(process.name, "sleep");
	assert_int_equal(slot->start, process.start);

	send_verb(bench, BRUNT_LAUNCH_START, 1, 8);
	report = expect(bench, BRUNT_LAUNCH_FAILED, NULL);
	assert_int_equal(report.code, -EALREADY);

	send_verb(bench, BRUNT_LAUNCH_STOP, 1, 9);
	report = expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	assert_int_equal(report.verb, BRUNT_LAUNCH_START);
	assert_true(WIFSIGNALED(report.status) && WTERMSIG(report.status) == SIGTERM);
	assert_false(report.restarting);
	assert_int_equal(slot->pid, 0);
	assert_int_equal(count_processes(bench->mark), 0);

	send_verb(bench, BRUNT_LAUNCH_START, 1, 10);
	(void)expect(bench, BRUNT_LAUNCHED, NULL);
	assert_int_equal(slot->generation, 2);
}

static void a_service_that_ignores_sigterm_is_killed_after_five_seconds(void **state)
{
	struct bench *bench = *state;
	struct brunt_launch_report report;
	char line[256], buf[64];
	uint64_t asked;
	int output;

	RUN(bench->services[0].run, marked(bench, line, sizeof(line), "trap '' TERM; echo up; sleep @; sleep @"));
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_START, 0, 1);
	(void)expect(bench, BRUNT_LAUNCHED, &output);
	while (read(output, buf, sizeof(buf)) < 0)
		moment(); /* the trap is set */
	(void)close(output);
	asked = brunt_now();
	send_verb(bench, BRUNT_LAUNCH_STOP, 0, 2);
	report = expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	assert_int_equal(WTERMSIG(report.status), SIGKILL);
	assert_in_range(brunt_now() - asked, 4900 * MS, 15000 * MS);
	assert_int_equal(count_processes(bench->mark), 0);
}

static void prepare_lines_run_once_and_in_order_before_the_service(void **state)
{
	struct bench *bench = *state;
	struct brunt_launch_report report;
	char text[512], seen[256];
	int output;

	RUN(bench->services[0].prepare, "echo one > \"$OUT\"", "echo two >> \"$OUT\"");
	RUN(bench->services[0].run, "cat \"$OUT\"");
	bench->services[0].env = (struct brunt_list){ (struct brunt_pair[]){ { "OUT", "/dev/shm/test_launcher" } }, 1 };
	(void)snprintf(text, sizeof(text), "/dev/shm/test_launcher.%d", getpid());
	((struct brunt_pair *)bench->services[0].env.items)->value = text;
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_START, 0, 1);
	(void)expect(bench, BRUNT_LAUNCHED, &output);
	assert_string_equal(drain(output, seen, sizeof(seen)), "one\ntwo\n");
	report = expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	assert_int_equal(report.status, 0);

	(void)unlink(text);
	send_verb(bench, BRUNT_LAUNCH_START, 0, 2);
	(void)expect(bench, BRUNT_LAUNCHED, &output);
	assert_non_null(strstr(drain(output, seen, sizeof(seen)), "No such file")); /* nothing made it again */
	(void)expect(bench, BRUNT_LAUNCH_EXITED, NULL);
}

static void a_prepare_line_that_fails_is_told_with_its_last_words(void **state)
{
	struct bench *bench = *state;
	struct brunt_launch_report report;

	RUN(bench->services[0].prepare, "true", "echo first; echo 'no space here' >&2; exit 3", "touch never");
	RUN(bench->services[0].run, "sleep", bench->mark);
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_START, 0, 1);
	report = expect(bench, BRUNT_LAUNCH_FAILED, NULL);
	assert_int_equal(report.code, -EIO);
	assert_non_null(strstr(report.text, "failed with exit status 3: no space here"));
	assert_int_equal(bench->shared->services[0].pid, 0);
	assert_int_equal(count_processes(bench->mark), 0);
}

static void a_program_that_is_not_there_is_told_by_name(void **state)
{
	struct bench *bench = *state;
	struct brunt_launch_report report;

	RUN(bench->services[0].run, "./load.sh", "fast");
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_START, 0, 1);
	report = expect(bench, BRUNT_LAUNCH_FAILED, NULL);
	assert_int_equal(report.code, -ENOENT);
	assert_string_equal(report.text, "cannot run './load.sh': no such file");
	assert_int_equal(bench->shared->services[0].pid, 0);

	send_verb(bench, BRUNT_LAUNCH_START, 3, 2); /* its run is empty */
	report = expect(bench, BRUNT_LAUNCH_FAILED, NULL);
	assert_int_equal(report.code, -EINVAL);
	send_verb(bench, BRUNT_LAUNCH_START, 4, 2);
	report = expect(bench, BRUNT_LAUNCH_FAILED, NULL);
	assert_int_equal(report.code, -EINVAL);
	send_verb(bench, 99, 0, 2);
	report = expect(bench, BRUNT_LAUNCH_FAILED, NULL);
	assert_int_equal(report.code, -EINVAL);
}

static void run_step(struct bench *bench, const char *user, const char *line, char *ret, size_t size, int *ret_status)
{
	struct brunt_launch_report report;
	int output;

	RUN(bench->steps[0]->run, line);
	bench->steps[0]->user = user;
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_STEP, 0, 1);
	(void)expect(bench, BRUNT_LAUNCHED, &output);
	(void)drain(output, ret, size);
	report = expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	assert_int_equal(report.verb, BRUNT_LAUNCH_STEP);
	*ret_status = report.status;
}

static void a_command_runs_as_the_callers_user_without_privileges(void **state)
{
	struct bench *bench = *state;
	char seen[2048], wanted[64];
	const char *ignored;
	int status;

	run_step(bench, NULL,
		 "echo id $(id -u) $(id -g) $(id -G); grep -E '^(NoNewPrivs|CapPrm|SigBlk|SigIgn)' /proc/self/status",
		 seen, sizeof(seen), &status);
	assert_int_equal(status, 0);
	if (geteuid() == 0)
		(void)snprintf(wanted, sizeof(wanted), "id 65534 65534 65534\n");
	else
		(void)snprintf(wanted, sizeof(wanted), "id %u %u", geteuid(), getegid());
	assert_non_null(strstr(seen, wanted));
	assert_non_null(strstr(seen, "NoNewPrivs:\t1"));
	assert_non_null(strstr(seen, "CapPrm:\t0000000000000000"));
	assert_non_null(strstr(seen, "SigBlk:\t0000000000000000"));
	/* The C library's own (32, 33) are out of reach: a parent that used posix_spawn (make) leaves them ignored. */
	ignored = strstr(seen, "SigIgn:\t");
	assert_non_null(ignored);
	assert_int_equal(strtoull(ignored + strlen("SigIgn:\t"), NULL, 16) & ~0x180000000ULL, 0);
}

static void a_command_runs_as_root_only_when_the_plan_says_so(void **state)
{
	struct bench *bench = *state;
	char seen[256];
	int status;

	needs_root();
	run_step(bench, "root", "id -u; grep CapEff /proc/self/status | grep -vc 0000000000000000", seen, sizeof(seen),
		 &status);
	assert_string_equal(seen, "0\n1\n");
}

static void a_user_may_be_a_number_and_an_unknown_one_is_told(void **state)
{
	struct bench *bench = *state;
	struct brunt_launch_report report;
	char seen[256];
	int status;

	needs_root();
	run_step(bench, "4242", "id -u; id -G", seen, sizeof(seen), &status);
	assert_string_equal(seen, "4242\n4242\n");

	RUN(bench->finally[0].run, "true");
	bench->finally[0].user = "nosuchuser";
	(void)close(bench->socket);
	(void)waitpid(bench->launcher, NULL, 0);
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_FINALLY, 0, 1);
	report = expect(bench, BRUNT_LAUNCH_FAILED, NULL);
	assert_string_equal(report.text, "there is no user 'nosuchuser'");
}

static void the_environment_is_the_users_the_runs_and_the_plans(void **state)
{
	struct bench *bench = *state;
	struct brunt_pair pairs[] = { { "PGPASSWORD", "s3cret" }, { "HOME", "/elsewhere" } };
	char seen[8192], wanted[128];
	int output;

	assert_int_equal(setenv("BRUNT_TEST_LEAK", "1", 1), 0);
	RUN(bench->services[0].run, "env");
	bench->services[0].env = (struct brunt_list){ pairs, 2 };
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_START, 0, 1);
	(void)expect(bench, BRUNT_LAUNCHED, &output);
	(void)drain(output, seen, sizeof(seen));
	assert_non_null(strstr(seen, "PGPASSWORD=s3cret\n"));
	assert_non_null(strstr(seen, "HOME=/elsewhere\n"));
	assert_non_null(strstr(seen, "/usr/sbin"));
	assert_null(strstr(seen, "BRUNT_TEST_LEAK"));
	assert_null(strstr(seen, "SUDO_"));
	(void)snprintf(wanted, sizeof(wanted), "BRUNT_RUN=%s\n", bench->shared->run);
	assert_non_null(strstr(seen, wanted));
	(void)snprintf(wanted, sizeof(wanted), "BRUNT_DIR=%s/scratch\n", bench->dir);
	assert_non_null(strstr(seen, wanted));
	(void)snprintf(wanted, sizeof(wanted), "BRUNT_PLAN_DIR=%s\n", bench->dir);
	assert_non_null(strstr(seen, wanted));
}

static void a_folder_that_only_root_may_enter_can_be_the_working_directory(void **state)
{
	struct bench *bench = *state;
	char inner[128], seen[256];
	int status;

	needs_root();
	(void)snprintf(inner, sizeof(inner), "%s/inner", bench->dir);
	assert_int_equal(mkdir(inner, 0755), 0);
	assert_int_equal(chmod(bench->dir, 0700), 0);
	bench->plan.dir = inner;
	run_step(bench, NULL, "id -u; /bin/pwd", seen, sizeof(seen), &status);
	assert_int_equal(strncmp(seen, "65534\n", 6), 0);
	assert_non_null(strstr(seen, "/inner"));
}

static void a_folder_that_only_its_user_may_enter_can_be_the_working_directory(void **state)
{
	struct bench *bench = *state;
	char inner[128], seen[256];
	int status;

	needs_root();
	/* The launcher is root, but without the capability to overrule permissions. */
	(void)snprintf(inner, sizeof(inner), "%s/inner", bench->dir);
	assert_int_equal(mkdir(inner, 0755), 0);
	assert_int_equal(chown(bench->dir, 65534, 65534), 0);
	assert_int_equal(chmod(bench->dir, 0700), 0);
	bench->plan.dir = inner;
	run_step(bench, NULL, "pwd", seen, sizeof(seen), &status);
	assert_non_null(strstr(seen, "/inner\n"));
}

static void output_of_both_streams_comes_through_one_pipe_and_may_be_reopened(void **state)
{
	struct bench *bench = *state;
	char seen[256];
	int status;

	run_step(bench, NULL,
		 "echo out; echo err >&2; echo again > /dev/stdout; read x || echo no input; ls /proc/self/fd | wc -l",
		 seen, sizeof(seen), &status);
	/* Three streams, and the folder that ls reads. */
	assert_string_equal(seen, "out\nerr\nagain\nno input\n4\n");
	assert_int_equal(status, 0);
}

static void a_service_that_dies_comes_up_again_after_its_delay(void **state)
{
	struct bench *bench = *state;
	struct brunt_launch_report report;
	uint64_t died;
	pid_t first;

	needs_root(); /* to kill another user's process */
	RUN(bench->services[0].run, "sleep", bench->mark);
	bench->services[0].has_restart = true;
	bench->services[0].restart = 2 * S; /* longer than what a machine with much else to do may stop for */
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_START, 0, 5);
	report = expect(bench, BRUNT_LAUNCHED, NULL);
	first = report.pid;
	assert_int_equal(kill(first, SIGKILL), 0);
	report = expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	died = report.at;
	assert_true(report.restarting);
	assert_int_equal(report.pid, first);
	assert_int_equal(WTERMSIG(report.status), SIGKILL);
	report = expect(bench, BRUNT_LAUNCHED, NULL);
	assert_int_equal(report.sequence, 5);
	assert_in_range(report.at - died, 1995 * MS, 15000 * MS);
	assert_int_not_equal(report.pid, first);
	assert_int_equal(bench->shared->services[0].generation, 2);
	assert_int_equal(bench->shared->services[0].pid, report.pid);

	assert_int_equal(kill(report.pid, SIGKILL), 0);
	(void)expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	send_verb(bench, BRUNT_LAUNCH_STOP, 0, 6); /* while it waits for its restart */
	report = expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	assert_false(report.restarting);
	(void)usleep(2300000);
	assert_int_equal(count_processes(bench->mark), 0);
}

static void cancelling_a_command_kills_its_whole_tree(void **state)
{
	struct bench *bench = *state;
	struct brunt_launch_report report;
	char line[256];

	RUN(bench->steps[1]->run, marked(bench, line, sizeof(line), "sleep @ & setsid sleep @ & wait"));
	needs_cgroups(bench); /* only they reach what has a session of its own */
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_STEP, 1, 3);
	(void)expect(bench, BRUNT_LAUNCHED, NULL);
	assert_true(becomes(bench->mark, 3, 20 * S));
	send_verb(bench, BRUNT_LAUNCH_CANCEL, 0, 2); /* no such command */
	send_verb(bench, BRUNT_LAUNCH_CANCEL, 0, 3);
	report = expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	assert_int_equal(report.sequence, 3);
	assert_int_equal(WTERMSIG(report.status), SIGKILL);
	assert_true(becomes(bench->mark, 0, 20 * S));
}

static void cancelling_without_cgroups_kills_the_process_group(void **state)
{
	struct bench *bench = *state;
	struct brunt_launch_report report;
	char line[256];

	*bench->setup.run_cgroup = '\0';
	RUN(bench->steps[1]->run, marked(bench, line, sizeof(line), "sleep @ & sleep @ & wait"));
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_STEP, 1, 3);
	(void)expect(bench, BRUNT_LAUNCHED, NULL);
	assert_true(becomes(bench->mark, 3, 20 * S));
	send_verb(bench, BRUNT_LAUNCH_CANCEL, 0, 3);
	report = expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	assert_int_equal(WTERMSIG(report.status), SIGKILL);
	assert_true(becomes(bench->mark, 0, 20 * S));
}

static void a_prepare_line_that_hangs_can_be_stopped(void **state)
{
	struct bench *bench = *state;
	char line[256];

	RUN(bench->services[0].prepare, marked(bench, line, sizeof(line), "exec sleep @"));
	RUN(bench->services[0].run, "true");
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_START, 0, 1);
	assert_true(becomes(bench->mark, 1, 20 * S));
	send_verb(bench, BRUNT_LAUNCH_STOP, 0, 2);
	(void)expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	assert_int_equal(count_processes(bench->mark), 0);
}

static void a_service_lives_in_its_cgroup_with_all_its_children(void **state)
{
	struct bench *bench = *state;
	char line[256], path[600], wanted[128], seen[512];
	FILE *file;
	int pid, count = 0;

	needs_cgroups(bench);
	RUN(bench->services[0].run, marked(bench, line, sizeof(line), "setsid sleep @ & exec sleep @"));
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_START, 0, 1);
	(void)expect(bench, BRUNT_LAUNCHED, NULL);
	assert_true(becomes(bench->mark, 2, 20 * S));
	(void)snprintf(path, sizeof(path), "%s%s/first/cgroup.procs", bench->setup.cgroup_mount,
		       bench->setup.run_cgroup);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fscanf(file, "%d", &pid) == 1)
		count++;
	(void)fclose(file);
	assert_int_equal(count, 2);
	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", bench->shared->services[0].pid);
	(void)snprintf(wanted, sizeof(wanted), "0::%s/first\n", bench->setup.run_cgroup);
	file = fopen(path, "r");
	assert_non_null(file);
	seen[fread(seen, 1, sizeof(seen) - 1, file)] = '\0';
	(void)fclose(file);
	assert_non_null(strstr(seen, wanted));

	send_verb(bench, BRUNT_LAUNCH_STOP, 0, 2);
	(void)expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	assert_int_equal(count_processes(bench->mark), 0);
}

static void start_a_family(struct bench *bench)
{
	static char line[256];

	/* A grandchild with a session of its own, whose parent is gone. */
	RUN(bench->services[0].run, marked(bench, line, sizeof(line), "(setsid sleep @ &); exec sleep @"));
	start(bench);
	send_verb(bench, BRUNT_LAUNCH_START, 0, 1);
	(void)expect(bench, BRUNT_LAUNCHED, NULL);
	assert_true(becomes(bench->mark, 2, 20 * S));
}

static void killing_the_launcher_leaves_none_of_its_processes(void **state)
{
	struct bench *bench = *state;

	start_a_family(bench);
	assert_int_equal(kill(bench->launcher, SIGKILL), 0);
	assert_true(becomes(bench->mark, 0, 20 * S));
}

static void when_the_controllers_end_closes_everything_ends(void **state)
{
	struct bench *bench = *state;
	char path[512];
	int status;

	start_a_family(bench);
	(void)close(bench->socket);
	bench->socket = -1;
	assert_true(becomes(bench->mark, 0, 20 * S));
	assert_int_equal(waitpid(bench->launcher, &status, 0), bench->launcher);
	bench->launcher = 0;
	assert_int_equal(status, 0);
	if (*bench->setup.run_cgroup) {
		cgroup_path(bench, path, sizeof(path));
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void the_end_stops_services_in_reverse_order_and_removes_their_cgroups(void **state)
{
	struct bench *bench = *state;
	struct brunt_launch_report report;
	char lines[2][256], path[512], log[128], seen[64];
	int output[2], status, fd;

	(void)snprintf(log, sizeof(log), "%s/log", bench->dir);
	fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	assert_true(fd >= 0 && fchmod(fd, 0666) == 0);
	(void)close(fd);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(lines[i], sizeof(lines[i]),
			       "trap 'echo %d >> log; exit 0' TERM; echo up; while :; do sleep 0.0%s; done", i,
			       bench->mark);
	}
	RUN(bench->services[0].run, lines[0]);
	RUN(bench->services[1].run, lines[1]);
	start(bench);
	for (int i = 0; i < 2; i++) {
		send_verb(bench, BRUNT_LAUNCH_START, (uint32_t)i, 1);
		(void)expect(bench, BRUNT_LAUNCHED, &output[i]);
		while (read(output[i], seen, sizeof(seen)) < 0)
			moment();
	}
	send_verb(bench, BRUNT_LAUNCH_END, 0, 77);
	report = expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	assert_int_equal(report.index, 1);
	report = expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	assert_int_equal(report.index, 0);
	report = expect(bench, BRUNT_LAUNCH_ENDED, NULL);
	assert_int_equal(report.sequence, 77);
	assert_false(receive(bench, &report, &fd));
	(void)close(output[0]); /* not before: a shell that writes to nobody dies of that */
	(void)close(output[1]);
	assert_int_equal(waitpid(bench->launcher, &status, 0), bench->launcher);
	bench->launcher = 0;
	assert_int_equal(status, 0);
	fd = open(log, O_RDONLY | O_CLOEXEC);
	assert_string_equal(drain(fd, seen, sizeof(seen)), "1\n0\n");
	if (*bench->setup.run_cgroup) {
		cgroup_path(bench, path, sizeof(path));
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void orphans_are_reaped(void **state)
{
	struct bench *bench = *state;
	char seen[64], path[64];
	FILE *file;
	char line[256];
	int status;
	bool left = true;

	run_step(bench, NULL, "for i in 1 2 3 4 5 6 7 8; do (sh -c 'sleep 0.1' &) ; done; echo done", seen,
		 sizeof(seen), &status);
	/* Children of the launcher that are zombies would be in its list of children. */
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", bench->launcher, bench->launcher);
	for (uint64_t until = brunt_now() + 20 * S; left && brunt_now() < until; moment()) {
		file = fopen(path, "r");
		if (!file) {
			print_message("# this kernel does not list children\n");
			skip();
		}
		left = fgets(line, sizeof(line), file);
		(void)fclose(file);
	}
	assert_false(left);
}

static void a_controller_that_does_not_read_does_not_block_the_launcher(void **state)
{
	struct bench *bench = *state;
	struct brunt_launch_report report;
	unsigned exited = 0, failed = 0;
	int fd;

	RUN(bench->steps[0]->run, "true", "");
	start(bench);
	for (uint64_t i = 0; i < 600; i++) { /* each answers with one or two reports */
		struct brunt_launch_verb verb = { .kind = BRUNT_LAUNCH_STEP, .sequence = i };

		if (send(bench->socket, &verb, sizeof(verb), MSG_DONTWAIT) < 0)
			(void)usleep(20000);
	}
	(void)usleep(500000);
	send_verb(bench, BRUNT_LAUNCH_END, 0, 1);
	while (receive(bench, &report, &fd)) {
		if (fd >= 0)
			(void)close(fd);
		exited += report.kind == BRUNT_LAUNCH_EXITED;
		failed += report.kind == BRUNT_LAUNCH_FAILED;
	}
	assert_true(exited > 20);
	assert_int_equal(waitpid(bench->launcher, NULL, 0), bench->launcher);
	bench->launcher = 0;
	(void)failed;
}

/* In a child that gives up root: exit status 0 fine, 1 wrong, 77 refused with a sentence. */
static int as_ordinary_user(struct bench *bench)
{
	struct brunt_launch_report report;
	struct brunt_error err = { 0 };
	char seen[256];
	int output, r;

	*bench->setup.run_cgroup = *bench->setup.cgroup_mount = '\0';
	bench->setup.identity.privileged = false;
	bench->setup.identity.uid = bench->setup.identity.gid = 65534;
	RUN(bench->steps[0]->run, "id -u; id -g");
	RUN(bench->steps[1]->run, "true");
	bench->steps[1]->user = "root";
	r = begin(bench, &err);
	if (r == -EPERM && strstr(err.msg, "run brunt as root"))
		return 77;
	if (r) {
		print_message("# %s\n", err.msg);
		return 1;
	}
	send_verb(bench, BRUNT_LAUNCH_STEP, 0, 1);
	(void)expect(bench, BRUNT_LAUNCHED, &output);
	(void)drain(output, seen, sizeof(seen));
	if (strcmp(seen, "65534\n65534\n") != 0) {
		print_message("# seen: %s\n", seen);
		return 1;
	}
	(void)expect(bench, BRUNT_LAUNCH_EXITED, NULL);
	send_verb(bench, BRUNT_LAUNCH_STEP, 1, 2);
	report = expect(bench, BRUNT_LAUNCH_FAILED, NULL);
	if (report.code != -EPERM) {
		print_message("# root: %s\n", report.text);
		return 1;
	}
	start_a_family(bench);
	(void)kill(bench->launcher, SIGKILL);
	return becomes(bench->mark, 0, 20 * S) ? 0 : 1;
}

static void an_ordinary_user_has_a_launcher_or_is_told_why_not(void **state)
{
	struct bench *bench = *state;
	int status;
	pid_t pid;

	needs_root();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(2);
		_exit(as_ordinary_user(bench));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("# this host gives ordinary users no namespaces; the refusal says so\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void the_launcher_has_no_more_than_it_needs(void **state)
{
	struct bench *bench = *state;
	char path[64], line[256];
	unsigned long long effective = ~0ull, permitted = ~0ull;
	FILE *file;

	RUN(bench->services[0].run, "true");
	start(bench);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", bench->launcher);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		(void)sscanf(line, "CapEff: %llx", &effective);
		(void)sscanf(line, "CapPrm: %llx", &permitted);
	}
	(void)fclose(file);
	/* CAP_KILL 5, CAP_SETGID 6, CAP_SETUID 7; in reserve CAP_DAC_OVERRIDE 1, to remove the run's cgroup. */
	assert_int_equal(effective & ~0xe0ull, 0);
	assert_int_equal(permitted & ~0xe2ull, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_service_starts_is_seen_from_outside_and_stops),
		TEST(a_service_that_ignores_sigterm_is_killed_after_five_seconds),
		TEST(prepare_lines_run_once_and_in_order_before_the_service),
		TEST(a_prepare_line_that_fails_is_told_with_its_last_words),
		TEST(a_program_that_is_not_there_is_told_by_name),
		TEST(a_command_runs_as_the_callers_user_without_privileges),
		TEST(a_command_runs_as_root_only_when_the_plan_says_so),
		TEST(a_user_may_be_a_number_and_an_unknown_one_is_told),
		TEST(the_environment_is_the_users_the_runs_and_the_plans),
		TEST(a_folder_that_only_root_may_enter_can_be_the_working_directory),
		TEST(a_folder_that_only_its_user_may_enter_can_be_the_working_directory),
		TEST(output_of_both_streams_comes_through_one_pipe_and_may_be_reopened),
		TEST(a_service_that_dies_comes_up_again_after_its_delay),
		TEST(cancelling_a_command_kills_its_whole_tree),
		TEST(cancelling_without_cgroups_kills_the_process_group),
		TEST(a_prepare_line_that_hangs_can_be_stopped),
		TEST(a_service_lives_in_its_cgroup_with_all_its_children),
		TEST(killing_the_launcher_leaves_none_of_its_processes),
		TEST(when_the_controllers_end_closes_everything_ends),
		TEST(the_end_stops_services_in_reverse_order_and_removes_their_cgroups),
		TEST(orphans_are_reaped),
		TEST(a_controller_that_does_not_read_does_not_block_the_launcher),
		TEST(an_ordinary_user_has_a_launcher_or_is_told_why_not),
		TEST(the_launcher_has_no_more_than_it_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
