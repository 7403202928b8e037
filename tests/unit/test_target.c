/* SPDX-License-Identifier: Apache-2.0 */
/* Targets among real processes: children, PID and network namespaces, cgroups below the v2 mount. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/target.h"

#define ID_A "aaaa000000000000000000000000000000000000000000000000000000000001"
#define ID_B "aaaa100000000000000000000000000000000000000000000000000000000002"

struct child {
	pid_t pid;
	int said; /* the read end of its pipe */
};

/* Forks a child that calls work, tells that it is ready (or what it failed with), and waits to be killed. */
static struct child start(const char *name, int unshared, int (*work)(const void *with), const void *with)
{
	struct child child;
	int ends[2], said = 0;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	if (unshared & CLONE_NEWPID)
		assert_int_equal(unshare(CLONE_NEWPID), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (!child.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
		close(ends[0]);
		if ((unshared & CLONE_NEWNET) && unshare(CLONE_NEWNET))
			said = errno;
		if (!said && work)
			said = work(with);
		if (write(ends[1], &said, sizeof(said)) == sizeof(said))
			for (;;)
				pause();
		_exit(1);
	}
	close(ends[1]);
	child.said = ends[0];
	assert_int_equal(read(child.said, &said, sizeof(said)), sizeof(said));
	if (said)
		fail_msg("child '%s': %s", name, strerror(said));
	return child;
}

static void stop(struct child *child)
{
	kill(child->pid, SIGKILL);
	assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
	close(child->said);
}

static bool as_root(void)
{
	if (geteuid() == 0)
		return true;
	print_message("needs root: namespaces and cgroups\n");
	return false;
}

static struct brunt_resolve_context context(void)
{
	return (struct brunt_resolve_context){ .seed = 1, .proc = "/proc" };
}

static int resolve(struct brunt_target target, unsigned wants, const struct brunt_resolve_context *with,
		   struct brunt_victims **ret, struct brunt_error *err)
{
	*ret = NULL;
	*err = (struct brunt_error){ 0 };
	target.name = "t";
	return brunt_target_resolve(&target, wants, with, NULL, ret, err);
}

/* The one process that the selector must find is pid. */
static void assert_is(struct brunt_process_selector selector, const struct brunt_resolve_context *with, pid_t pid)
{
	struct brunt_victims *victims;
	struct brunt_error err;
	int rc = resolve((struct brunt_target){ .process = &selector }, BRUNT_WANT_PROCESSES, with, &victims, &err);

	if (rc)
		fail_msg("%s", err.msg);
	assert_int_equal(victims->matched, 1);
	assert_int_equal(victims->process_count, 1);
	assert_int_equal(victims->processes[0].pid, pid);
	assert_true(victims->processes[0].pidfd >= 0);
	assert_true(brunt_process_alive(&victims->processes[0]));
	brunt_victims_free(victims);
}

static void assert_fails(struct brunt_target target, unsigned wants, const struct brunt_resolve_context *with, int code,
			 const char *message)
{
	struct brunt_victims *victims;
	struct brunt_error err;
	int rc = resolve(target, wants, with, &victims, &err);

	if (!strstr(err.msg, message))
		fail_msg("'%s' is not in: %s", message, err.msg);
	assert_int_equal(rc, -code);
	assert_null(victims);
}

static void a_child_is_found_by_each_of_its_traits(void **state)
{
	struct child child = start("brunt-t-one", 0, NULL, NULL);
	struct brunt_resolve_context with = context();
	char exe[512], uid[16];
	ssize_t got = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	(void)state;
	assert_true(got > 0);
	exe[got] = '\0';
	snprintf(uid, sizeof(uid), "%u", geteuid());
	assert_is((struct brunt_process_selector){ .name = "brunt-t-one" }, &with, child.pid);
	assert_is((struct brunt_process_selector){ .exe = exe }, &with, child.pid); /* not ourselves: protected */
	assert_is((struct brunt_process_selector){ .name = "brunt-t-one", .cmdline = "test_target", .user = uid },
		  &with, child.pid);
	stop(&child);
	assert_fails((struct brunt_target){ .process = &(struct brunt_process_selector){ .name = "brunt-t-one" } }, 0,
		     &with, ESRCH, "no process is named 'brunt-t-one'");
}

static void brunt_itself_is_protected(void **state)
{
	struct brunt_resolve_context with = context();
	char path[] = "/tmp/brunt-pid-XXXXXX";
	int fd = mkstemp(path);
	struct brunt_target target = { .process = &(struct brunt_process_selector){ .pid_file = path } };

	(void)state;
	assert_true(fd >= 0);
	assert_true(dprintf(fd, "%d\n", (int)getpid()) > 0);
	assert_fails(target, 0, &with, EPERM, "brunt itself");
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, "1\n", 2, 0), 2);
	assert_fails(target, 0, &with, EPERM, "pid 1 is init");
	close(fd);
	unlink(path);
}

static void an_identity_ends_with_its_process(void **state)
{
	struct child child = start("brunt-t-two", 0, NULL, NULL);
	struct brunt_process held, loose, other;

	(void)state;
	assert_int_equal(brunt_process_identify("/proc", child.pid, true, &held, NULL), 0);
	assert_int_equal(brunt_process_identify("/proc", child.pid, false, &loose, NULL), 0);
	assert_string_equal(held.name, "brunt-t-two");
	assert_true(held.start > 0);
	assert_true(brunt_process_alive(&held));
	assert_true(brunt_process_alive(&loose));
	other = loose;
	other.start--;
	assert_false(brunt_process_alive(&other)); /* the same pid, another process */
	kill(child.pid, SIGKILL);
	{
		siginfo_t info;

		/* Dead, and not yet reaped. */
		assert_int_equal(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
	}
	assert_false(brunt_process_alive(&held));
	assert_false(brunt_process_alive(&loose));
	assert_int_equal(brunt_process_identify("/proc", child.pid, true, &other, NULL), -ESRCH);
	stop(&child);
	assert_false(brunt_process_alive(&held));
	assert_false(brunt_process_alive(&loose));
	assert_int_equal(brunt_process_identify("/proc", child.pid, true, &other, NULL), -ESRCH);
	close(held.pidfd);
}

struct port {
	int type;
	int family;
	uint16_t port;
};

/* Binds, and for TCP listens; leaves the socket open. */
static int bind_port(const void *with)
{
	const struct port *port = with;
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port->port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port->port) };
	int fd = socket(port->family, port->type, 0);
	int rc;

	if (fd < 0)
		return errno;
	rc = port->family == AF_INET6 ? bind(fd, (struct sockaddr *)&six, sizeof(six))
				      : bind(fd, (struct sockaddr *)&four, sizeof(four));
	if (rc || (port->type == SOCK_STREAM && listen(fd, 1)))
		return errno;
	return 0;
}

static void a_listener_is_found_in_its_own_network_namespace(void **state)
{
	static const struct port ports[] = { { SOCK_STREAM, AF_INET, 7001 },
					     { SOCK_STREAM, AF_INET6, 7002 },
					     { SOCK_DGRAM, AF_INET, 7003 },
					     { SOCK_DGRAM, AF_INET6, 7004 } };
	struct brunt_resolve_context with = context();
	struct child children[4];

	(void)state;
	if (!as_root())
		skip();
	for (int i = 0; i < 4; i++)
		children[i] = start("brunt-t-port", CLONE_NEWNET, bind_port, &ports[i]);
	for (int i = 0; i < 4; i++)
		assert_is((struct brunt_process_selector){ .name = "brunt-t-port", .port = ports[i].port }, &with,
			  children[i].pid);
	assert_fails((struct brunt_target){ .process = &(struct brunt_process_selector){ .name = "brunt-t-port",
											 .port = 7005 } },
		     0, &with, ESRCH, "none of them listens on port 7005");
	for (int i = 0; i < 4; i++)
		stop(&children[i]);
}

/* In the new namespace's init: forks a grandchild with an inner pid of 2. */
static int fork_inner(const void *with)
{
	pid_t pid = fork();

	(void)with;
	if (pid < 0)
		return errno;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "brunt-t-in");
		for (;;)
			pause();
	}
	return 0;
}

static void a_pid_namespace_is_looked_into_when_it_is_ours(void **state)
{
	struct brunt_process_selector inside = { .name = "brunt-t-in" };
	struct brunt_resolve_context with = context();
	struct brunt_target target = { .name = "t", .process = &inside };
	char path[] = "/tmp/brunt-pid-XXXXXX";
	struct brunt_victims *victims = NULL;
	struct brunt_error err;
	pid_t launcher, reaper;
	struct child init;
	int fd, status, tell[2];

	(void)state;
	if (!as_root())
		skip();
	/* unshare(CLONE_NEWPID) stays with the process that called it: let that be a child of its own. */
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	reaper = fork();
	assert_true(reaper >= 0);
	if (!reaper) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		init = start("brunt-t-init", CLONE_NEWPID, fork_inner, NULL);
		_exit(write(tell[1], &init.pid, sizeof(init.pid)) == sizeof(init.pid) ? pause() : 1);
	}
	assert_int_equal(read(tell[0], &launcher, sizeof(launcher)), sizeof(launcher));
	/* The grandchild sets its name after its parent has spoken. */
	for (int i = 0; i < 4000; i++) {
		inside.any_pid_namespace = true;
		if (!resolve(target, 0, &with, &victims, &err))
			break;
		usleep(5000);
	}
	assert_non_null(victims);
	brunt_victims_free(victims);
	inside.any_pid_namespace = false;
	assert_fails(target, 0, &with, ESRCH, "any_pid_namespace");
	with.own = &launcher;
	with.own_count = 1;
	assert_int_equal(resolve(target, BRUNT_WANT_PROCESSES, &with, &victims, &err), 0);
	/* Its pid file says 2, as it sees itself. */
	fd = mkstemp(path);
	assert_true(fd >= 0 && dprintf(fd, "2\n") == 2);
	assert_is((struct brunt_process_selector){ .pid_file = path }, &with, victims->processes[0].pid);
	assert_true(victims->processes[0].pid != 2);
	brunt_victims_free(victims);
	inside.name = "brunt-t-init";
	assert_fails(target, 0, &with, EPERM, "brunt's own");
	close(fd);
	unlink(path);
	kill(reaper, SIGKILL);
	assert_int_equal(waitpid(reaper, &status, 0), reaper);
	close(tell[0]);
	close(tell[1]);
}

/* A cgroup of the test's own, which stands for the mount: everything is below it. */
static char root[400];

static void folder(const char *path)
{
	char full[700];

	snprintf(full, sizeof(full), "%s%s", root, path);
	assert_int_equal(mkdir(full, 0755), 0);
}

static void remove_folder(const char *path)
{
	char full[700];

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (int i = 0; i < 4000 && rmdir(full) && errno == EBUSY; i++)
		usleep(5000);
	assert_int_not_equal(access(full, F_OK), 0);
}

static bool have_cgroups(void)
{
	char mount[300];

	if (!as_root())
		return false;
	if (brunt_cgroup_mount(mount, sizeof(mount))) {
		print_message("no cgroup v2 is mounted\n");
		return false;
	}
	snprintf(root, sizeof(root), "%s/brunt-test-%d", mount, (int)getpid());
	if (!mkdir(root, 0755))
		return true;
	print_message("no cgroup can be made in %s: %s\n", mount, strerror(errno));
	return false;
}

static void move(pid_t pid, const char *path)
{
	char full[700];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s/cgroup.procs", root, path);
	file = fopen(full, "w");
	assert_non_null(file);
	assert_true(fprintf(file, "%d\n", (int)pid) > 0);
	assert_int_equal(fclose(file), 0);
}

static void a_cgroup_gives_all_processes_below_it(void **state)
{
	struct brunt_resolve_context with = context();
	struct child one, two;
	struct brunt_victims *victims;
	struct brunt_error err;
	char mount[300], path[400];

	(void)state;
	if (!have_cgroups())
		skip();
	folder("/a.x");
	folder("/a.x/below");
	folder("/b.x");
	one = start("brunt-t-cg1", 0, NULL, NULL);
	two = start("brunt-t-cg2", 0, NULL, NULL);
	move(one.pid, "/a.x");
	move(two.pid, "/a.x/below");
	with.cgroup_mount = root;
	assert_int_equal(resolve((struct brunt_target){ .cgroup = "/a.x" }, BRUNT_WANT_PROCESSES | BRUNT_WANT_CGROUP,
				 &with, &victims, &err),
			 0);
	assert_int_equal(victims->matched, 1);
	assert_int_equal(victims->process_count, 2);
	assert_string_equal(victims->items[0].cgroup, "/a.x");
	assert_true(victims->items[0].cgroup_id > 0);
	brunt_victims_free(victims);
	/* Wildcards stay on their level. */
	assert_int_equal(resolve((struct brunt_target){ .cgroup = "/*", .pick = { .kind = BRUNT_PICK_ALL } }, 0, &with,
				 &victims, &err),
			 0);
	assert_int_equal(victims->matched, 2);
	brunt_victims_free(victims);
	assert_fails((struct brunt_target){ .cgroup = "/[ab].x" }, 0, &with, E2BIG, "/a.x, /b.x");
	assert_fails((struct brunt_target){ .cgroup = "/c.x" }, 0, &with, ESRCH, "no cgroup '/c.x'");
	assert_fails((struct brunt_target){ .cgroup = "/../x" }, 0, &with, EINVAL, "..");
	assert_fails((struct brunt_target){ .cgroup = "/b.x" }, BRUNT_WANT_PROCESSES, &with, ESRCH, "no process lives");
	/* One of brunt's own in it: refused, by name. */
	with.own = &two.pid;
	with.own_count = 1;
	assert_fails((struct brunt_target){ .cgroup = "/a.x" }, 0, &with, EPERM,
		     "cgroup '/a.x' holds a protected process");
	with.own_count = 0;
	/* A process is told with its cgroup, and found by it, below the real mount. */
	assert_int_equal(brunt_cgroup_mount(mount, sizeof(mount)), 0);
	with.cgroup_mount = mount;
	snprintf(path, sizeof(path), "%s/a.x", root + strlen(mount));
	assert_is((struct brunt_process_selector){ .cgroup = path, .name = "brunt-t-cg2" }, &with, two.pid);
	assert_int_equal(
		resolve((struct brunt_target){ .process = &(struct brunt_process_selector){ .name = "brunt-t-cg1" } },
			BRUNT_WANT_CGROUP, &with, &victims, &err),
		0);
	assert_string_equal(victims->items[0].cgroup, path);
	assert_true(victims->items[0].cgroup_id > 0);
	brunt_victims_free(victims);
	stop(&one);
	stop(&two);
	remove_folder("/a.x/below");
	remove_folder("/a.x");
	remove_folder("/b.x");
	remove_folder("");
}

static void units_are_found_wherever_systemd_puts_them(void **state)
{
	static const char *const folders[] = { "/system.slice",
					       "/system.slice/nginx.service",
					       "/system.slice/system-worker.slice",
					       "/system.slice/system-worker.slice/worker@1.service",
					       "/system.slice/system-worker.slice/worker@2.service",
					       "/system.slice/dev-disk\\x2da.mount",
					       "/system.slice/_cpu.service",
					       "/system.slice/idle.service" };
	struct brunt_resolve_context with = context();
	struct brunt_victims *victims;
	struct brunt_error err;
	struct child child[5];

	(void)state;
	if (!have_cgroups())
		skip();
	with.cgroup_mount = root;
	assert_fails((struct brunt_target){ .unit = "nginx" }, 0, &with, ENOTSUP, "systemd does not run here");
	for (size_t i = 0; i < BRUNT_COUNT(folders); i++)
		folder(folders[i]);
	for (int i = 0; i < 5; i++) {
		static const int lives[] = { 1, 3, 4, 5, 6 };

		child[i] = start("brunt-t-unit", 0, NULL, NULL);
		move(child[i].pid, folders[lives[i]]);
	}
	static const struct {
		const char *unit, *name;
		size_t matched;
	} cases[] = {
		{ "nginx", "nginx.service", 1 },
		{ "nginx.service", "nginx.service", 1 },
		{ "worker@2", "worker@2.service", 1 },
		{ "worker@*", "worker@1.service", 2 },
		{ "dev-disk\\x2da.mount", "dev-disk\\x2da.mount", 1 },
		{ "cpu", "cpu.service", 1 },
	};
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct brunt_target target = { .unit = cases[i].unit, .pick = { .kind = BRUNT_PICK_ALL } };
		int rc = resolve(target, BRUNT_WANT_PROCESSES, &with, &victims, &err);

		if (rc)
			fail_msg("%s", err.msg);
		assert_int_equal(victims->matched, cases[i].matched);
		assert_int_equal(victims->process_count, cases[i].matched);
		assert_string_equal(victims->items[0].name, cases[i].name);
		brunt_victims_free(victims);
	}
	assert_fails((struct brunt_target){ .unit = "ngnix" }, 0, &with, ESRCH, "'nginx.service' is");
	assert_fails((struct brunt_target){ .unit = "idle" }, 0, &with, ESRCH, "no unit 'idle' is running");
	for (int i = 0; i < 5; i++)
		stop(&child[i]);
	for (size_t i = BRUNT_COUNT(folders); i-- > 0;)
		remove_folder(folders[i]);
	remove_folder("");
}

static void containers_are_found_by_id_in_every_engines_layout(void **state)
{
	static const char *const layouts[][2] = {
		{ NULL, "/docker-" ID_A ".scope" },
		{ "/docker", "/docker/" ID_A },
		{ NULL, "/libpod-" ID_A ".scope" },
		{ "/kubepods.slice", "/kubepods.slice/cri-containerd-" ID_A ".scope" },
		{ "/kube", "/kube/crio-" ID_A ".scope" },
	};
	const char *const none[] = { NULL };
	struct brunt_resolve_context with = context();
	struct brunt_victims *victims;
	struct brunt_error err;
	struct child one, two;

	(void)state;
	if (!have_cgroups())
		skip();
	with.cgroup_mount = root;
	with.engine_sockets = none;
	folder("/docker-" ID_B ".scope");
	folder("/libpod-conmon-" ID_A ".scope"); /* the monitor, not the container */
	one = start("brunt-t-c1", 0, NULL, NULL);
	two = start("brunt-t-c2", 0, NULL, NULL);
	move(two.pid, "/docker-" ID_B ".scope");
	for (size_t i = 0; i < BRUNT_COUNT(layouts); i++) {
		if (layouts[i][0])
			folder(layouts[i][0]);
		folder(layouts[i][1]);
		move(one.pid, layouts[i][1]);
		static const char *const words[] = { ID_A, "aaaa0" };
		for (size_t k = 0; k < 2; k++) {
			if (resolve((struct brunt_target){ .container = words[k] }, BRUNT_WANT_PROCESSES, &with,
				    &victims, &err))
				fail_msg("%s: %s", layouts[i][1], err.msg);
			assert_string_equal(victims->items[0].cgroup, layouts[i][1]);
			assert_string_equal(victims->items[0].name, "aaaa00000000");
			assert_int_equal(victims->process_count, 1);
			assert_int_equal(victims->processes[0].pid, one.pid);
			brunt_victims_free(victims);
		}
		assert_fails((struct brunt_target){ .container = "aaaa" }, 0, &with, E2BIG, "several containers' ids");
		move(one.pid, "");
		remove_folder(layouts[i][1]);
		if (layouts[i][0])
			remove_folder(layouts[i][0]);
	}
	assert_fails((struct brunt_target){ .container = "bbb" }, 0, &with, ENOTSUP, "give its id");
	assert_fails((struct brunt_target){ .container = "redis" }, 0, &with, ENOTSUP, "give its id");
	stop(&one);
	stop(&two);
	remove_folder("/docker-" ID_B ".scope");
	remove_folder("/libpod-conmon-" ID_A ".scope");
	remove_folder("");
}

static int fork_two(const void *with)
{
	(void)with;
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return errno;
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	}
	return 0;
}

static void a_service_is_its_process_and_all_below(void **state)
{
	const char *const names[] = { "web", "load", NULL };
	struct brunt_service_slot slots[2] = { { 0 } };
	struct brunt_resolve_context with = context();
	struct brunt_target target = { .service = "load", .name = "t" };
	struct child child = start("brunt-t-svc", 0, fork_two, NULL);
	struct brunt_process process;
	struct brunt_victims *victims;
	struct brunt_error err;
	uint64_t count = 9;

	(void)state;
	with.service_names = names;
	assert_fails(target, 0, &with, ESRCH, "service 'load' is not running");
	with.services = slots;
	assert_fails(target, 0, &with, ESRCH, "service 'load' is not running");
	assert_int_equal(brunt_target_count(&target, &with, &count, NULL), 0);
	assert_int_equal(count, 0);
	assert_int_equal(brunt_process_identify("/proc", child.pid, false, &process, NULL), 0);
	slots[1] = (struct brunt_service_slot){ .pid = child.pid, .start = process.start, .generation = 1 };
	assert_int_equal(resolve(target, BRUNT_WANT_PROCESSES, &with, &victims, &err), 0);
	assert_int_equal(victims->process_count, 3);
	assert_int_equal(victims->processes[0].pid, child.pid);
	brunt_victims_free(victims);
	assert_int_equal(brunt_target_count(&target, &with, &count, NULL), 0);
	assert_int_equal(count, 1);
	slots[1].start--; /* the pid was given away */
	assert_fails(target, 0, &with, ESRCH, "service 'load' is not running");
	target.service = "laod";
	assert_fails(target, 0, &with, ESRCH, "the plan has no service 'laod'");
	stop(&child);
}

static void interfaces_are_found_by_their_exact_name(void **state)
{
	struct brunt_resolve_context with = context();
	struct brunt_target target = { .interface = "lo" };
	struct brunt_victims *victims;
	struct brunt_error err;

	(void)state;
	assert_int_equal(resolve(target, BRUNT_WANT_INTERFACE, &with, &victims, &err), 0);
	assert_int_equal(victims->items[0].interface_index, if_nametoindex("lo"));
	brunt_victims_free(victims);
	assert_fails(target, BRUNT_WANT_PROCESSES, &with, ENOTSUP, "has no processes");
	target.interface = "nosuch0";
	assert_fails(target, BRUNT_WANT_INTERFACE, &with, ESRCH, "no network interface 'nosuch0'");
}

static void without_cgroups_what_needs_them_is_unable(void **state)
{
	struct brunt_resolve_context with = context();

	(void)state;
	assert_fails((struct brunt_target){ .cgroup = "/x" }, 0, &with, ENOTSUP, "cgroup v2 is not mounted");
	assert_fails((struct brunt_target){ .unit = "x" }, 0, &with, ENOTSUP, "cgroup v2 is not mounted");
	assert_fails((struct brunt_target){ .container = "x" }, 0, &with, ENOTSUP, "cgroup v2 is not mounted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_is_found_by_each_of_its_traits),
		cmocka_unit_test(brunt_itself_is_protected),
		cmocka_unit_test(an_identity_ends_with_its_process),
		cmocka_unit_test(a_listener_is_found_in_its_own_network_namespace),
		cmocka_unit_test(a_pid_namespace_is_looked_into_when_it_is_ours),
		cmocka_unit_test(a_cgroup_gives_all_processes_below_it),
		cmocka_unit_test(units_are_found_wherever_systemd_puts_them),
		cmocka_unit_test(containers_are_found_by_id_in_every_engines_layout),
		cmocka_unit_test(a_service_is_its_process_and_all_below),
		cmocka_unit_test(interfaces_are_found_by_their_exact_name),
		cmocka_unit_test(without_cgroups_what_needs_them_is_unable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
