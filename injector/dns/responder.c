/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's side of the responder. */
#include "dns/responder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#define KILL_WAIT_MS 500
#define PATIENCE_MAX (150 * BRUNT_MS)

static int wait_ms(uint64_t until)
{
	uint64_t now = brunt_now();

	return until > now ? (int)((until - now + BRUNT_MS - 1) / BRUNT_MS) : 0;
}

int brunt_responder_new(struct brunt_responder *responder, struct brunt_error *err)
{
	void *page = mmap(NULL, sizeof(*responder->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return brunt_fail(err, ENOMEM, "no memory to share with a responder");
	*responder = (struct brunt_responder){ .pidfd = -1, .socket = -1, .page = page };
	return 0;
}

void brunt_responder_free(struct brunt_responder *responder)
{
	if (responder->page)
		(void)munmap(responder->page, sizeof(*responder->page));
	responder->page = NULL;
}

int brunt_responder_start(struct brunt_responder *responder, const struct brunt_dns_policy *policy,
			  const struct brunt_dns_place *place, uint64_t beat, uint64_t gives_up,
			  struct brunt_error *err)
{
	pid_t pid;
	int pair[2];

	memset(responder->page, 0, sizeof(*responder->page));
	responder->page->gives_up = gives_up;
	responder->page->beat = brunt_now();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return brunt_fail(err, errno, "cannot make a socket for the responder: %s", strerror(errno));
	pid = fork();
	if (!pid)
		brunt_responder_main(responder->page, policy, place, beat, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return brunt_fail(err, errno, "cannot fork the responder: %s", strerror(errno));
	}
	responder->socket = pair[0];
	responder->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (responder->pidfd < 0) {
		int code = errno;

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(responder->socket);
		responder->socket = -1;
		return brunt_fail(err, code, "cannot open the responder: %s", strerror(code));
	}
	responder->pid = pid;
	return 0;
}

int brunt_responder_await(struct brunt_responder *responder, uint64_t until, struct brunt_error *err)
{
	struct pollfd event = { .fd = responder->socket, .events = POLLIN };
	struct brunt_responder_ready ready;

	if (poll(&event, 1, wait_ms(until)) <= 0)
		return brunt_fail(err, ETIMEDOUT, "the responder does not answer");
	if (recv(responder->socket, &ready, sizeof(ready), MSG_DONTWAIT) != (ssize_t)sizeof(ready))
		return brunt_fail(err, EPIPE, "the responder is gone");
	if (ready.code)
		return brunt_fail(err, -ready.code, "%.159s", ready.text);
	responder->netns = ready.netns;
	for (size_t i = 0; i < BRUNT_DNS_SERVERS_MAX; i++) {
		responder->ports[i].udp = ready.udp[i];
		responder->ports[i].tcp = ready.tcp[i];
	}
	return 0;
}

bool brunt_responder_is_lost(const struct brunt_responder *responder)
{
	struct pollfd event = { .fd = responder->pidfd, .events = POLLIN };

	return responder->pidfd >= 0 && poll(&event, 1, 0) == 1;
}

void brunt_responder_tune(struct brunt_responder *responder, uint64_t threshold, uint64_t delay)
{
	__atomic_store_n(&responder->page->threshold, threshold, __ATOMIC_RELEASE);
	__atomic_store_n(&responder->page->delay, delay, __ATOMIC_RELEASE);
}

void brunt_responder_begin(struct brunt_responder *responder, uint64_t gives_up)
{
	brunt_responder_renew(responder, gives_up);
	__atomic_store_n(&responder->page->active, 1, __ATOMIC_RELEASE);
}

void brunt_responder_pause(struct brunt_responder *responder)
{
	__atomic_store_n(&responder->page->active, 0, __ATOMIC_RELEASE);
	brunt_responder_renew(responder, 0);
}

void brunt_responder_renew(struct brunt_responder *responder, uint64_t gives_up)
{
	__atomic_store_n(&responder->page->gives_up, gives_up, __ATOMIC_RELEASE);
}

uint64_t brunt_responder_patience(uint64_t beat)
{
	return 3 * beat < PATIENCE_MAX ? 3 * beat : PATIENCE_MAX;
}

void brunt_responder_release(struct brunt_responder *responder)
{
	if (responder->socket >= 0)
		close(responder->socket);
	responder->socket = -1;
}

void brunt_responder_reap(struct brunt_responder *responder, uint64_t until)
{
	struct pollfd event = { .fd = responder->pidfd, .events = POLLIN };

	if (responder->pidfd < 0)
		return;
	if (poll(&event, 1, wait_ms(until)) <= 0) {
		(void)syscall(SYS_pidfd_send_signal, responder->pidfd, SIGKILL, NULL, 0);
		(void)poll(&event, 1, KILL_WAIT_MS);
	}
	(void)waitpid(responder->pid, NULL, WNOHANG);
	close(responder->pidfd);
	responder->pidfd = -1;
	responder->pid = 0;
}
