/* SPDX-License-Identifier: Apache-2.0 */
#include "base/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/units.h"

/* A killed child is gone as soon as the kernel has closed what it had open. */
#define KILL_WAIT_MS 500

static int wait_ms(uint64_t until)
{
	uint64_t now = brunt_now();

	return until > now ? (int)((until - now + BRUNT_MS - 1) / BRUNT_MS) : 0;
}

int brunt_child_start(const char *name, void (*life)(const void *what, uint64_t deadline, int socket), const void *what,
		      uint64_t deadline, struct brunt_child *ret, struct brunt_error *err)
{
	struct brunt_child child = { .name = name, .pidfd = -1, .socket = -1 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return brunt_fail(err, errno, "cannot make a socket for the %s: %s", name, strerror(errno));
	child.pid = fork();
	if (!child.pid) {
		life(what, deadline, pair[1]);
		_exit(1);
	}
	close(pair[1]);
	if (child.pid < 0) {
		close(pair[0]);
		return brunt_fail(err, errno, "cannot fork the %s: %s", name, strerror(errno));
	}
	child.socket = pair[0];
	child.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
	if (child.pidfd < 0) {
		int code = errno;

		kill(child.pid, SIGKILL);
		waitpid(child.pid, NULL, 0);
		close(child.socket);
		return brunt_fail(err, code, "cannot open the %s: %s", name, strerror(code));
	}
	*ret = child;
	return 0;
}

int brunt_child_tell(const struct brunt_child *child, enum brunt_child_kind kind, uint64_t expires)
{
	const struct brunt_child_message message = { .kind = kind, .expires = expires };

	if (child->socket < 0)
		return -EPIPE;
	return send(child->socket, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int brunt_child_await(const struct brunt_child *child, uint64_t until, struct brunt_error *err)
{
	struct pollfd event = { .fd = child->socket, .events = POLLIN };
	struct brunt_child_message message;

	if (poll(&event, 1, wait_ms(until)) <= 0)
		return brunt_fail(err, ETIMEDOUT, "the %s does not answer", child->name);
	if (recv(child->socket, &message, sizeof(message), MSG_DONTWAIT) != (ssize_t)sizeof(message))
		return brunt_fail(err, EPIPE, "the %s is gone", child->name);
	return message.code ? brunt_fail(err, -message.code, "%.159s", message.text) : 0;
}

bool brunt_child_has_ended(const struct brunt_child *child, uint64_t until)
{
	struct pollfd event = { .fd = child->pidfd, .events = POLLIN };

	/* A pidfd is readable from the moment that its process is a zombie: its descriptors are closed by then. */
	return child->pidfd < 0 || poll(&event, 1, wait_ms(until)) == 1;
}

bool brunt_child_is_lost(const struct brunt_child *child)
{
	return child->pidfd >= 0 && brunt_child_has_ended(child, 0);
}

void brunt_child_kill(const struct brunt_child *child)
{
	if (child->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
}

void brunt_child_reap(struct brunt_child *child, uint64_t until)
{
	if (child->socket >= 0)
		close(child->socket);
	child->socket = -1;
	if (child->pidfd < 0)
		return;
	if (!brunt_child_has_ended(child, until)) {
		brunt_child_kill(child);
		(void)brunt_child_has_ended(child, brunt_now() + KILL_WAIT_MS * BRUNT_MS);
	}
	(void)waitpid(child->pid, NULL, WNOHANG);
	close(child->pidfd);
	child->pidfd = -1;
	child->pid = 0;
}

void brunt_child_answer(int socket, enum brunt_child_kind kind, const struct brunt_error *err)
{
	struct brunt_child_message message = { .kind = kind, .code = -err->code };

	(void)snprintf(message.text, sizeof(message.text), "%.159s", err->msg);
	(void)send(socket, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
}
