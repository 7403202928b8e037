/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's side of the pauser. */
#include "fault/pauser.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"

/* A killed pauser is gone at once; the kernel detaches its tracees on the way out. */
#define KILL_WAIT_MS 500

struct dirent64 {
	uint64_t inode;
	int64_t offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

static int wait_ms(uint64_t until)
{
	uint64_t now = brunt_now();

	return until > now ? (int)((until - now + BRUNT_MS - 1) / BRUNT_MS) : 0;
}

int brunt_pauser_start(const struct brunt_process *victim, uint64_t deadline, struct brunt_pauser *ret,
		       struct brunt_error *err)
{
	struct brunt_pauser pauser = { .pidfd = -1, .socket = -1, .victim = *victim };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return brunt_fail(err, errno, "cannot make a socket for the pauser: %s", strerror(errno));
	pauser.pid = fork();
	if (!pauser.pid)
		brunt_pauser_main(victim, deadline, pair[1]);
	close(pair[1]);
	if (pauser.pid < 0) {
		close(pair[0]);
		return brunt_fail(err, errno, "cannot fork the pauser: %s", strerror(errno));
	}
	pauser.socket = pair[0];
	pauser.pidfd = (int)syscall(SYS_pidfd_open, pauser.pid, 0);
	if (pauser.pidfd < 0) {
		int code = errno;

		kill(pauser.pid, SIGKILL);
		waitpid(pauser.pid, NULL, 0);
		close(pauser.socket);
		return brunt_fail(err, code, "cannot open the pauser: %s", strerror(code));
	}
	*ret = pauser;
	return 0;
}

static int tell(struct brunt_pauser *pauser, enum brunt_pauser_kind kind, uint64_t expires)
{
	struct brunt_pauser_message message = { .kind = kind, .expires = expires };

	if (pauser->socket < 0)
		return -EPIPE;
	return send(pauser->socket, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int brunt_pauser_pause(struct brunt_pauser *pauser, uint64_t expires, struct brunt_error *err)
{
	int r = tell(pauser, BRUNT_PAUSER_PAUSE, expires);

	if (r)
		return brunt_fail(err, EPIPE, "the pauser of process %d (%s) is gone", (int)pauser->victim.pid,
				  pauser->victim.name);
	pauser->paused = true;
	return 0;
}

int brunt_pauser_await(struct brunt_pauser *pauser, uint64_t until, struct brunt_error *err)
{
	struct pollfd event = { .fd = pauser->socket, .events = POLLIN };
	struct brunt_pauser_message message;
	ssize_t size;

	if (poll(&event, 1, wait_ms(until)) <= 0)
		return brunt_fail(err, ETIMEDOUT, "the pauser of process %d (%s) does not answer",
				  (int)pauser->victim.pid, pauser->victim.name);
	size = recv(pauser->socket, &message, sizeof(message), MSG_DONTWAIT);
	if (size != (ssize_t)sizeof(message))
		return brunt_fail(err, EPIPE, "the pauser of process %d (%s) is gone", (int)pauser->victim.pid,
				  pauser->victim.name);
	return message.code ? brunt_fail(err, -message.code, "%.159s", message.text) : 0;
}

void brunt_pauser_renew(struct brunt_pauser *pauser, uint64_t expires)
{
	(void)tell(pauser, BRUNT_PAUSER_RENEW, expires);
}

bool brunt_pauser_is_lost(const struct brunt_pauser *pauser)
{
	struct pollfd event = { .fd = pauser->pidfd, .events = POLLIN };

	return pauser->pidfd >= 0 && poll(&event, 1, 0) == 1;
}

void brunt_pauser_release(struct brunt_pauser *pauser)
{
	(void)tell(pauser, BRUNT_PAUSER_RELEASE, 0);
}

void brunt_pauser_reap(struct brunt_pauser *pauser, uint64_t until)
{
	struct pollfd event = { .fd = pauser->pidfd, .events = POLLIN };

	if (pauser->pidfd < 0)
		return;
	/* The end of the socket means the same as being told, should the message not have got through. */
	if (pauser->socket >= 0)
		close(pauser->socket);
	pauser->socket = -1;
	if (poll(&event, 1, wait_ms(until)) <= 0) {
		(void)syscall(SYS_pidfd_send_signal, pauser->pidfd, SIGKILL, NULL, 0);
		(void)poll(&event, 1, KILL_WAIT_MS);
	}
	(void)waitpid(pauser->pid, NULL, WNOHANG);
	close(pauser->pidfd);
	pauser->pidfd = -1;
	pauser->paused = false;
}

int brunt_pauser_read_state(pid_t pid, pid_t thread, char *ret_state, pid_t *ret_tracer)
{
	char path[64], text[2048];
	const char *at;
	ssize_t size;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (size <= 0)
		return -ESRCH;
	text[size] = '\0';
	at = strstr(text, "\nState:\t");
	*ret_state = at ? at[8] : '?';
	at = strstr(text, "\nTracerPid:\t");
	*ret_tracer = at ? (pid_t)strtol(at + 12, NULL, 10) : 0;
	return 0;
}

/* getdents64() into the stack: opendir() allocates, and this runs on the way back. */
bool brunt_pauser_holds(const struct brunt_pauser *pauser)
{
	_Alignas(struct dirent64) char buffer[4096];
	char path[48];
	bool holds = false;
	long size;
	int fd;

	if (!pauser->pid || !brunt_process_alive(&pauser->victim))
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pauser->victim.pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	for (int round = 0; round < 256 && !holds; round++) {
		size = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
		if (size <= 0)
			break;
		for (long at = 0; at < size && !holds;) {
			const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);
			pid_t thread = (pid_t)strtol(entry->name, NULL, 10), tracer = 0;
			char state;

			if (thread > 0 && !brunt_pauser_read_state(pauser->victim.pid, thread, &state, &tracer))
				holds = tracer == pauser->pid;
			at += entry->size;
		}
	}
	close(fd);
	return holds;
}
