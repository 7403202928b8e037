/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the launcher comes to be: init of a new PID namespace, with the three
 * capabilities that starting things as their users takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "hold/launcher.h"

#define CAPABILITY(name) (UINT64_C(1) << CAP_##name)

static bool is_root(const char *user)
{
	return user && (strcmp(user, "root") == 0 || strcmp(user, "0") == 0);
}

/* Does the plan say of anything that it runs as root? Only then are root's capabilities kept, for that alone. */
static bool wants_root(const struct brunt_plan *plan)
{
	BRUNT_FOREACH (const struct brunt_service, service, plan->services) {
		if (is_root(service->user))
			return true;
	}
	BRUNT_FOREACH (const struct brunt_finally, finally, plan->finally) {
		if (is_root(finally->user))
			return true;
	}
	BRUNT_FOREACH (const struct brunt_sli, sli, plan->slis) {
		if (sli->command && is_root(sli->command->user))
			return true;
	}
	for (uint32_t i = 0; i < plan->step_count; i++) {
		if (is_root(plan->steps[i]->user))
			return true;
	}
	return false;
}

static int capabilities_set(uint64_t effective, uint64_t permitted, struct brunt_error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return brunt_fail(err, errno, "cannot read capabilities: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(permitted >> (32 * i));
		data[i].effective = data[i].permitted & (uint32_t)(effective >> (32 * i));
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return brunt_fail(err, errno, "cannot drop capabilities: %s", strerror(errno));
	return 0;
}

/*
 * To start things as their users takes three capabilities. What the plan runs as root gets the permitted set at its
 * exec (no_new_privs allows no more than that): so this stays whole for such a plan, and out of effect.
 * CAP_DAC_OVERRIDE, out of effect too, is for removing the run's cgroup: the root of cgroup v2 is writable by nobody.
 */
static int drop_capabilities(const struct brunt_run_setup *setup, struct brunt_error *err)
{
	const uint64_t three = CAPABILITY(SETUID) | CAPABILITY(SETGID) | CAPABILITY(KILL);
	uint64_t permitted = three | CAPABILITY(DAC_OVERRIDE);

	if (!setup->identity.privileged)
		return capabilities_set(0, 0, err);
	return capabilities_set(three, wants_root(setup->plan) ? UINT64_MAX : permitted, err);
}

void launcher_overrule_permissions(void)
{
	const uint64_t four = CAPABILITY(SETUID) | CAPABILITY(SETGID) | CAPABILITY(KILL) | CAPABILITY(DAC_OVERRIDE);

	(void)capabilities_set(four, four, NULL);
}

/*
 * The caller still may: later nobody of the run can make a directory there. False: this host lets us make none (a
 * container with a read-only /sys); then process groups must do.
 */
static bool make_run_cgroup(const struct brunt_run_setup *setup)
{
	char path[sizeof(setup->cgroup_mount) + sizeof(setup->run_cgroup)];

	if (!*setup->cgroup_mount || !*setup->run_cgroup)
		return false;
	(void)snprintf(path, sizeof(path), "%s%s", setup->cgroup_mount, setup->run_cgroup);
	return mkdir(path, 0755) == 0 || errno == EEXIST;
}

static int write_file(const char *path, const char *text)
{
	BRUNT_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* One is oneself, and nobody else. gid_map is refused until setgroups is denied (user_namespaces(7)). */
static int map_identity(uid_t uid, gid_t gid)
{
	char users[32], groups[32];
	int r;

	(void)snprintf(users, sizeof(users), "%u %u 1", uid, uid);
	(void)snprintf(groups, sizeof(groups), "%u %u 1", gid, gid);
	/* Who changed its user before is not dumpable: then /proc/self belongs to root. */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	r = write_file("/proc/self/setgroups", "deny");
	if (!r)
		r = write_file("/proc/self/uid_map", users);
	return r ? r : write_file("/proc/self/gid_map", groups);
}

static int refuse(struct brunt_error *err, int code)
{
	if (geteuid() == 0)
		return brunt_fail(
			err, EPERM,
			"this host gives root no PID namespace (%s); services and commands need one: run brunt "
			"with CAP_SYS_ADMIN",
			strerror(code));
	return brunt_fail(err, EPERM,
			  "this host gives an ordinary user no namespaces (%s); services and commands need them: run "
			  "brunt as root, or see user.max_user_namespaces and your distribution's restrictions",
			  strerror(code));
}

static int become(const struct brunt_run_setup *setup, struct launcher *launcher, const int *keep, size_t keep_count,
		  struct brunt_error *err)
{
	sigset_t set;
	int r = brunt_role_enter(BRUNT_ROLE_LAUNCHER, &setup->identity, 0, keep, keep_count, err);

	if (r)
		return r;
	r = drop_capabilities(setup, err);
	if (r)
		return r;
	launcher->services = calloc(setup->plan->services.count + 1, sizeof(*launcher->services));
	if (!launcher->services)
		return brunt_fail(err, ENOMEM, "out of memory");
	launcher->service_count = setup->plan->services.count;
	for (size_t i = 0; i < launcher_job_count(launcher); i++) {
		launcher_job_at(launcher, i)->word = launcher_job_at(launcher, i)->output = -1;
		launcher_job_at(launcher, i)->index = (uint32_t)i;
	}
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	launcher->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (launcher->signals < 0)
		return brunt_fail(err, errno, "cannot make a signalfd: %s", strerror(errno));
	return 0;
}

/* The child's whole life. ready: closed when all is well, else struct brunt_error goes there. */
static void live(const struct brunt_run_setup *setup, int socket, int ready, uid_t uid, gid_t gid, bool grouping)
{
	static struct launcher launcher; /* one a process, and too large for a stack */
	const int keep[] = { socket, ready };
	struct brunt_error err = { 0 };
	int r = setup->identity.privileged ? 0 : map_identity(uid, gid);

	if (r)
		r = refuse(&err, -r);
	else
		r = become(setup, &launcher, keep, BRUNT_COUNT(keep), &err);
	if (r) {
		/* When this fails, too, the parent sees the end of the pipe and our end. */
		if (write(ready, &err, sizeof(err)) < 0)
			_exit(2);
		_exit(1);
	}
	(void)close(ready);
	launcher.setup = setup;
	launcher.socket = socket;
	launcher.grouping = grouping;
	_exit(launcher_serve(&launcher));
}

int brunt_launcher_fork(const struct brunt_run_setup *setup, int socket, pid_t *ret_pid, struct brunt_error *err)
{
	unsigned long flags = CLONE_NEWPID | SIGCHLD | (setup->identity.privileged ? 0 : CLONE_NEWUSER);
	BRUNT_AUTO_CLOSE int ready = -1;
	struct brunt_error failure;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	bool grouping = make_run_cgroup(setup);
	int ends[2], status;
	ssize_t size;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return brunt_fail(err, errno, "cannot make a pipe: %s", strerror(errno));
	ready = ends[0];
	/*
	 * clone without a stack is a fork into new namespaces: unshare would move the caller into the user namespace,
	 * too, and every later child of its into the PID namespace. Same order of arguments on all that matters, s390
	 * excepted.
	 */
	pid = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
	if (pid == 0)
		live(setup, socket, ends[1], uid, gid, grouping);
	if (pid < 0) {
		int code = errno;

		(void)close(ends[1]);
		return refuse(err, code);
	}
	(void)close(ends[1]);
	do
		size = read(ready, &failure, sizeof(failure));
	while (size < 0 && errno == EINTR);
	if (size == 0 && waitpid(pid, &status, WNOHANG) == 0) {
		*ret_pid = pid;
		return 0;
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	if (size != (ssize_t)sizeof(failure))
		return brunt_fail(err, EIO, "the launcher died at its start");
	failure.msg[sizeof(failure.msg) - 1] = '\0';
	return brunt_fail(err, failure.code, "%s", failure.msg);
}
