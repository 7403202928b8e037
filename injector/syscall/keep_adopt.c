/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that was given its filter by an earlier run cannot be given another
 * with a listener. So a later run takes over that run's keeper's listeners, once
 * nobody arms anything there any more: the old keeper hands out all that it has,
 * and ends when the new one has them. It takes no call of one that it has handed
 * out, unless the later run gives up.
 *
 * Keepers are found by the names of their sockets, which end with them:
 * "brunt-keeper/PID", in the abstract namespace (unix(7)), of the same user.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "syscall/keep_adopt.h"

socklen_t keep_adopt_address(pid_t keeper, struct sockaddr_un *ret)
{
	int size;

	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	size = snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1, KEEP_ADOPT_NAME "%d", (int)keeper);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);
}

int keep_adopt_listen(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	socklen_t size = keep_adopt_address(getpid(), &address);

	if (fd >= 0 && (bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4))) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

int keep_adopt_accept(int listening)
{
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who;
	socklen_t size = sizeof(who);

	if (fd >= 0 && (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) || who.uid != geteuid())) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* One listener, as far as it is known; its descriptor goes only to who takes it over. */
static int answer_number(const struct keep_self *self, struct adopt_message *message, int *ret_listener)
{
	const struct keep_listener *listener;

	if (message->number >= self->shared->listener_count)
		return -ENOENT;
	listener = &self->shared->listeners[message->number];
	message->process = listener->process;
	message->start = listener->start;
	message->asks = listener->asks;
	if (message->kind == ADOPT_LIST)
		return listener->over || listener->pending ? -ESRCH : 0;
	if (self->control >= 0)
		return -EBUSY;
	*ret_listener = self->listeners[message->number];
	/* from here on it is the other one that takes its calls: of two that wait for one, the other would be stuck */
	if (*ret_listener >= 0)
		(void)epoll_ctl(self->epoll, EPOLL_CTL_MOD, *ret_listener,
				&(struct epoll_event){ .data.u32 = message->number });
	return 0;
}

static int answer_ask(const struct keep_self *self, struct adopt_message *message)
{
	const struct brunt_keep_shared *shared = self->shared;

	message->number = shared->listener_count;
	for (uint32_t i = 0; i < shared->listener_count; i++) {
		const struct keep_listener *listener = &shared->listeners[i];

		if (listener->over || listener->pending || listener->process != message->process ||
		    listener->start != message->start)
			continue;
		message->asks = listener->asks;
		return self->control >= 0 ? -EBUSY : 0;
	}
	return -ESRCH;
}

bool keep_adopt_serve(struct keep_self *self, int peer, bool *ret_done)
{
	struct adopt_message message = { 0 };
	int fd, r = keep_receive(peer, &message, sizeof(message), &fd), listener = -1;

	*ret_done = false;
	if (fd >= 0)
		(void)close(fd);
	if (r)
		return r == -EAGAIN;
	switch (message.kind) {
	case ADOPT_ASK:
		message.code = answer_ask(self, &message);
		break;
	case ADOPT_LIST:
	case ADOPT_GET:
		message.code = answer_number(self, &message, &listener);
		break;
	default:
		*ret_done = message.kind == ADOPT_DONE && self->control < 0;
		return !*ret_done;
	}
	return !keep_send(peer, &message, sizeof(message), listener);
}
