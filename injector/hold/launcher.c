/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher's loop: what it hears, what it says, how it ends. When it ends,
 * whatever the way, the kernel kills all that it started (pid_namespaces(7)).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "hold/launcher.h"

#define END_GRACE (5 * 1000000000ull)

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

struct job *launcher_job_at(struct launcher *launcher, size_t i)
{
	return i < launcher->service_count ? &launcher->services[i] : &launcher->commands[i - launcher->service_count];
}

size_t launcher_job_count(const struct launcher *launcher)
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
	for (size_t i = 0; i < launcher_job_count(launcher); i++) {
		struct job *job = launcher_job_at(launcher, i);

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
	if (launcher->grouping)
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

	for (size_t i = 0; i < launcher_job_count(launcher); i++) {
		uint64_t wanted = launcher_job_due(launcher_job_at(launcher, i), now);

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
	for (size_t i = 0; i < launcher_job_count(launcher); i++) {
		const struct job *job = launcher_job_at(launcher, i);

		polled[count++] = (struct pollfd){ .fd = job->word, .events = POLLIN };
		/* The output of a service that is not ours to read waits in its pipe. */
		polled[count++] =
			(struct pollfd){ .fd = job->state == JOB_PREPARING ? job->output : -1, .events = POLLIN };
	}
	if (ppoll(polled, count, time_left(launcher, now, &left), NULL) < 0 && errno != EINTR)
		return false;
	if (launcher->outbox_count)
		flush(launcher);
	for (size_t i = 0; i < launcher_job_count(launcher); i++) {
		struct job *job = launcher_job_at(launcher, i);

		if (polled[2 + 2 * i].revents)
			launcher_job_word(launcher, job);
		if (polled[3 + 2 * i].revents)
			launcher_job_output(job);
	}
	reap(launcher);
	now = brunt_now();
	for (size_t i = 0; i < launcher_job_count(launcher); i++)
		launcher_job_tick(launcher, launcher_job_at(launcher, i), now);
	return !polled[0].revents || listen_to_controller(launcher);
}

int launcher_serve(struct launcher *launcher)
{
	struct pollfd *polled = calloc(2 + 2 * launcher_job_count(launcher), sizeof(*polled));
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
