/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher itself: how it comes to be init of a PID namespace, what it
 * hears, how it ends. When it ends, whatever the way, the kernel kills all that
 * it started (pid_namespaces(7)).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "hold/launcher.h"

#define CAPABILITY(name) (UINT64_C(1) << CAP_##name)
#define END_GRACE	 (5 * 1000000000ull)

/* ---- reports ---- */

/* 0, or -EAGAIN when the controller does not read; other failures: it is gone, which the poll notices. */
static int send_report(int socket, const struct brunt_launch_report *report, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)report, .iov_len = sizeof(*report) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *header;

		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	if (sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	/* ETOOMANYREFS: too many descriptors are in flight; they fall when the controller reads. */
	return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS || errno == EINTR ? -EAGAIN : -errno;
}

static void flush(struct launcher *launcher)
{
	while (launcher->outbox_count > 0) {
		struct outbox_entry *entry = &launcher->outbox[launcher->outbox_first];

		if (send_report(launcher->socket, &entry->report, entry->fd) == -EAGAIN)
			return;
		if (entry->fd >= 0)
			(void)close(entry->fd);
		launcher->outbox_first = (launcher->outbox_first + 1) % LAUNCHER_OUTBOX_MAX;
		launcher->outbox_count--;
	}
}

void launcher_report(struct launcher *launcher, struct brunt_launch_report *report, int fd)
{
	struct outbox_entry *entry;

	report->at = brunt_now();
	flush(launcher);
	if (launcher->outbox_count == LAUNCHER_OUTBOX_MAX) {
		/* So far behind, the controller has lost its lease long ago. */
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	entry = &launcher->outbox[(launcher->outbox_first + launcher->outbox_count) % LAUNCHER_OUTBOX_MAX];
	entry->report = *report;
	entry->fd = fd;
	launcher->outbox_count++;
	flush(launcher);
}

/* ---- what comes in ---- */

static void obey(struct launcher *launcher, const struct brunt_launch_verb *verb)
{
	struct brunt_launch_report report = { .kind = BRUNT_LAUNCH_FAILED,
					      .verb = verb->kind,
					      .index = verb->index,
					      .sequence = verb->sequence,
					      .code = -EINVAL };

	switch (verb->kind) {
	case BRUNT_LAUNCH_START:
	case BRUNT_LAUNCH_STEP:
	case BRUNT_LAUNCH_FINALLY:
	case BRUNT_LAUNCH_SLI:
		launcher_job_start(launcher, verb);
		return;
	case BRUNT_LAUNCH_STOP:
		if (verb->index < launcher->service_count) {
			launcher_job_stop(launcher, &launcher->services[verb->index]);
			return;
		}
		break;
	case BRUNT_LAUNCH_CANCEL:
		launcher_job_cancel(launcher, verb->sequence);
		return;
	case BRUNT_LAUNCH_END:
		if (!launcher->ending)
			launcher->end_due = brunt_now() + END_GRACE;
		launcher->ending = true;
		launcher->end = *verb;
		return;
	default:
		break;
	}
	(void)snprintf(report.text, sizeof(report.text), "the launcher knows no verb %u for index %u", verb->kind,
		       verb->index);
	launcher_report(launcher, &report, -1);
}

/* false: the controller is gone. */
static bool listen_to_controller(struct launcher *launcher)
{
	struct brunt_launch_verb verb;
	ssize_t size;

	for (int i = 0; i < 64; i++) {
		size = recv(launcher->socket, &verb, sizeof(verb), MSG_DONTWAIT);
		if (size == (ssize_t)sizeof(verb))
			obey(launcher, &verb);
		else if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		else if (size < 0)
			return true;
	}
	return true;
}

/* Children, and orphans that the kernel gave to us as init. */
static void reap(struct launcher *launcher)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(launcher->signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		launcher_job_exited(launcher, pid, status);
}

static struct job *job_at(struct launcher *launcher, size_t i)
{
	return i < launcher->service_count ? &launcher->services[i] : &launcher->commands[i - launcher->service_count];
}

static size_t job_count(const struct launcher *launcher)
{
	return launcher->service_count + LAUNCHER_COMMANDS_MAX;
}

/* ---- the end ---- */

/* Stops services one by one, last started first; commands at once. True: there is nothing left to wait for. */
static bool wind_up(struct launcher *launcher, uint64_t now)
{
	struct job *last = NULL;

	if (now >= launcher->end_due)
		return true;
	for (size_t i = 0; i < job_count(launcher); i++) {
		struct job *job = job_at(launcher, i);

		if (job->state == JOB_FREE || job->state == JOB_LEAVING)
			continue;
		if (i >= launcher->service_count)
			launcher_cgroup_signal(job, SIGKILL);
		if (!last || job->order > last->order)
			last = job;
	}
	if (!last)
		return true;
	if (last >= launcher->services && last < launcher->services + launcher->service_count)
		launcher_job_stop(launcher, last);
	return false;
}

/* Nothing survives this: we are init, so -1 is everything in the namespace but us. */
static void kill_everything(struct launcher *launcher)
{
	const struct timespec moment = { .tv_nsec = 2000000 };
	uint64_t until = brunt_now() + LAUNCHER_KILL_GRACE;
	pid_t pid;
	int status;

	launcher->ending = true; /* nothing is started any more */
	for (;;) {
		(void)kill(-1, SIGKILL);
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			launcher_job_exited(launcher, pid, status);
		if (pid < 0 || brunt_now() >= until)
			break;
		(void)nanosleep(&moment, NULL);
	}
	for (size_t i = 0; i < launcher->service_count; i++)
		launcher_job_tick(launcher, &launcher->services[i], brunt_now());
	launcher_cgroup_remove_all(launcher->setup);
}

static void say_goodbye(struct launcher *launcher)
{
	struct brunt_launch_report report = { .kind = BRUNT_LAUNCH_ENDED,
					      .verb = launcher->end.kind,
					      .sequence = launcher->end.sequence };
	struct pollfd writable = { .fd = launcher->socket, .events = POLLOUT };
	uint64_t until = brunt_now() + LAUNCHER_KILL_GRACE;

	launcher_report(launcher, &report, -1);
	while (launcher->outbox_count > 0 && brunt_now() < until) {
		(void)poll(&writable, 1, 20);
		if (writable.revents & (POLLHUP | POLLERR))
			return;
		flush(launcher);
	}
}

/* ---- the loop ---- */

static struct timespec *time_left(struct launcher *launcher, uint64_t now, struct timespec *ret)
{
	uint64_t due = launcher->ending ? now + LAUNCHER_TICK : UINT64_MAX;

	for (size_t i = 0; i < job_count(launcher); i++) {
		uint64_t wanted = launcher_job_due(job_at(launcher, i), now);

		if (wanted && wanted < due)
			due = wanted;
	}
	if (due == UINT64_MAX)
		return NULL;
	due = due > now ? due - now : 0;
	ret->tv_sec = (time_t)(due / 1000000000u);
	ret->tv_nsec = (long)(due % 1000000000u);
	return ret;
}

/* polled has room for two descriptors of each job and two more. False: the controller is gone. */
static bool turn(struct launcher *launcher, struct pollfd *polled)
{
	uint64_t now = brunt_now();
	struct timespec left;
	nfds_t count = 0;

	polled[count++] = (struct pollfd){ .fd = launcher->socket,
					   .events = (short)(POLLIN | (launcher->outbox_count ? POLLOUT : 0)) };
	polled[count++] = (struct pollfd){ .fd = launcher->signals, .events = POLLIN };
	for (size_t i = 0; i < job_count(launcher); i++) {
		const struct job *job = job_at(launcher, i);

		polled[count++] = (struct pollfd){ .fd = job->word, .events = POLLIN };
		/* The output of a service that is not ours to read waits in its pipe. */
		polled[count++] =
			(struct pollfd){ .fd = job->state == JOB_PREPARING ? job->output : -1, .events = POLLIN };
	}
	if (ppoll(polled, count, time_left(launcher, now, &left), NULL) < 0 && errno != EINTR)
		return false;
	if (launcher->outbox_count)
		flush(launcher);
	for (size_t i = 0; i < job_count(launcher); i++) {
		struct job *job = job_at(launcher, i);

		if (polled[2 + 2 * i].revents)
			launcher_job_word(launcher, job);
		if (polled[3 + 2 * i].revents)
			launcher_job_output(job);
	}
	reap(launcher);
	now = brunt_now();
	for (size_t i = 0; i < job_count(launcher); i++)
		launcher_job_tick(launcher, job_at(launcher, i), now);
	return !polled[0].revents || listen_to_controller(launcher);
}

static int serve(struct launcher *launcher)
{
	struct pollfd *polled = calloc(2 + 2 * job_count(launcher), sizeof(*polled));
	bool told = false; /* to end, and did: else the controller is gone */

	if (!polled)
		return 1;
	while (!told && turn(launcher, polled))
		told = launcher->ending && wind_up(launcher, brunt_now());
	kill_everything(launcher);
	if (told)
		say_goodbye(launcher);
	free(polled);
	return 0;
}

/* ---- birth ---- */

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

/*
 * To start things as their users takes three capabilities. What the plan runs as root gets the permitted set at its
 * exec (no_new_privs allows no more than that): so this stays whole for such a plan, and out of effect.
 */
static int keep_three_capabilities(bool whole, struct brunt_error *err)
{
	const uint64_t three = CAPABILITY(SETUID) | CAPABILITY(SETGID) | CAPABILITY(KILL);
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return brunt_fail(err, errno, "cannot read capabilities: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		uint32_t wanted = (uint32_t)(three >> (32 * i));

		data[i].effective &= wanted;
		data[i].inheritable = 0;
		if (!whole)
			data[i].permitted &= wanted;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return brunt_fail(err, errno, "cannot drop capabilities: %s", strerror(errno));
	return 0;
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
	r = keep_three_capabilities(setup->identity.privileged && wants_root(setup->plan), err);
	if (r)
		return r;
	launcher->services = calloc(setup->plan->services.count + 1, sizeof(*launcher->services));
	if (!launcher->services)
		return brunt_fail(err, ENOMEM, "out of memory");
	launcher->service_count = setup->plan->services.count;
	for (size_t i = 0; i < job_count(launcher); i++) {
		job_at(launcher, i)->word = job_at(launcher, i)->output = -1;
		job_at(launcher, i)->index = (uint32_t)i;
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
static void live(const struct brunt_run_setup *setup, int socket, int ready, uid_t uid, gid_t gid)
{
	const int keep[] = { socket, ready };
	struct brunt_error err = { 0 };
	struct launcher *launcher = calloc(1, sizeof(*launcher));
	int r;

	if (!launcher)
		r = brunt_fail(&err, ENOMEM, "out of memory");
	else if (!setup->identity.privileged && (r = map_identity(uid, gid)) < 0)
		r = refuse(&err, -r);
	else
		r = become(setup, launcher, keep, BRUNT_COUNT(keep), &err);
	if (r) {
		/* Nobody is left to tell when this fails: then the parent sees the end of the pipe and our exit status.
		 */
		if (write(ready, &err, sizeof(err)) < 0)
			_exit(2);
		_exit(1);
	}
	(void)close(ready);
	launcher->setup = setup;
	launcher->socket = socket;
	_exit(serve(launcher));
}

int brunt_launcher_fork(const struct brunt_run_setup *setup, int socket, pid_t *ret_pid, struct brunt_error *err)
{
	unsigned long flags = CLONE_NEWPID | SIGCHLD | (setup->identity.privileged ? 0 : CLONE_NEWUSER);
	BRUNT_AUTO_CLOSE int ready = -1;
	struct brunt_error failure;
	uid_t uid = geteuid();
	gid_t gid = getegid();
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
		live(setup, socket, ends[1], uid, gid);
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
