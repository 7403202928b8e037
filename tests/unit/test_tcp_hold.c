/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/* tcp.hold against a listener of the test's own, whose queue takes the connections. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "brunt/units.h"

#define COUNT 10
#define LEASE (10 * BRUNT_S)

/* As in tcp_hold.c; decoded from JSON, so that the table's own defaults count. */
static union {
	max_align_t align;
	char bytes[1024];
} params;

static struct brunt_arena *arena;
static const struct brunt_injector *injector;
static int listener, port;
static struct brunt_process self;
static struct brunt_item item;
static struct brunt_victims victims;

/* ---- calls that fail ---- */

static const char *failing; /* the call that fails next */

static bool fails(const char *call)
{
	bool now = failing && !strcmp(failing, call);

	if (now) {
		failing = NULL;
		errno = ENOMEM;
	}
	return now;
}

int __real_socketpair(int domain, int type, int protocol, int ends[2]);
int __wrap_socketpair(int domain, int type, int protocol, int ends[2]);
int __wrap_socketpair(int domain, int type, int protocol, int ends[2])
{
	return fails("socketpair") ? -1 : __real_socketpair(domain, type, protocol, ends);
}

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
	return fails("fork") ? -1 : __real_fork();
}

int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_create1(int flags)
{
	return fails("epoll_create1") ? -1 : __real_epoll_create1(flags);
}

/* ---- the lab ---- */

static int setup(void **unused)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(at);
	struct brunt_error err = { 0 };

	(void)unused;
	injector = brunt_injector_find("tcp.hold");
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)) | listen(listener, 128), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
	port = ntohs(at.sin_port);
	assert_int_equal(brunt_process_identify("/proc", getpid(), false, &self, &err), 0);
	item = (struct brunt_item){ .kind = BRUNT_TARGET_PROCESS, .picked = true, .process = self };
	victims = (struct brunt_victims){
		.items = &item, .matched = 1, .picked = 1, .processes = &self, .process_count = 1
	};
	return brunt_arena_new(&arena);
}

static int teardown(void **unused)
{
	(void)unused;
	brunt_arena_free(arena);
	return close(listener);
}

/* Decodes what a plan would say, beside `to`. */
static int decode(const char *more)
{
	struct brunt_scope scope = { .arena = arena };
	struct brunt_part part = { .table = injector->table, .object = &params };
	char text[512];
	json_t *json;
	int r;

	(void)snprintf(text, sizeof(text), "{\"to\": \"127.0.0.1:%d\"%s%s}", port, *more ? ", " : "", more);
	json = json_loads(text, 0, NULL);
	assert_non_null(json);
	assert_true(injector->table->size <= sizeof(params));
	memset(&params, 0, sizeof(params));
	r = brunt_param_decode(&scope, json, "", &part, 1);
	json_decref(json);
	return r;
}

static void *load(const char *more)
{
	struct brunt_fault fault = { .injector = injector, .params = &params, .step = 1, .name = "hold" };
	struct brunt_fault_context context = { .run = "5eed0004", .seed = 7, .lease_ns = LEASE };
	struct brunt_error err = { 0 };
	void *state;

	assert_int_equal(decode(more), 0);
	if (injector->load(&fault, &context, &state, &err))
		fail_msg("%s", err.msg);
	return state;
}

static int begin(void *state, uint64_t expires, struct brunt_error *err)
{
	struct brunt_undo_record undo = { .step = 1 };
	int r = injector->prepare(state, &victims, &undo, err);

	r = r ?: injector->attach(state, err);
	return r ?: injector->arm(state, expires, err);
}

static struct brunt_hits poll_until(void *state, uint64_t hits)
{
	uint64_t until = brunt_now() + 10 * BRUNT_S;
	struct brunt_hits ret;

	do {
		assert_int_equal(injector->poll(state, &ret), 0);
		usleep(2000);
	} while (ret.hit < hits && !ret.detached && brunt_now() < until);
	return ret;
}

static bool detached_within(void *state, uint64_t ns)
{
	uint64_t until = brunt_now() + ns;
	struct brunt_hits hits;

	do {
		assert_int_equal(injector->poll(state, &hits), 0);
		usleep(2000);
	} while (!hits.detached && brunt_now() < until);
	return hits.detached;
}

/* Takes one from the queue; -1 when there is none for long. */
static int take(void)
{
	for (int i = 0; i < 5000; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			return fd;
		usleep(2000);
	}
	return -1;
}

/* Has the other end of each connection to the listener read all that it was sent? tcp(7), /proc/net/tcp. */
static bool is_all_read(void)
{
	FILE *file = fopen("/proc/net/tcp", "re");
	unsigned to, unread;
	bool all = true;
	char line[256];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " %*d: %*x:%*x %*x:%x %*x %*x:%x", &to, &unread) == 2 && to == (unsigned)port)
			all &= !unread;
	(void)fclose(file);
	return all;
}

static void undo(void *state)
{
	struct brunt_error err = { 0 };

	injector->disarm(state);
	if (injector->verify(state, &err))
		fail_msg("%s", err.msg);
	injector->detach(state);
}

/* Whatever is left in the queue is closed by now, and goes. */
static void finish(void *state)
{
	int fd;

	undo(state);
	undo(state); /* may be called twice */
	assert_int_equal(injector->child(state), 0);
	injector->unload(state);
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	assert_int_equal(errno, ECHILD);
}

/* ---- the life ---- */

static void so_many_are_held_and_all_are_gone_after(void **unused)
{
	void *state = load("\"connections\": 10, \"send\": \"hello\"");
	struct brunt_error err = { 0 };
	struct brunt_hits hits;
	int fds[COUNT];
	char text[16];

	(void)unused;
	if (begin(state, brunt_now() + LEASE, &err))
		fail_msg("%s", err.msg);
	assert_true(injector->child(state) > 0);
	hits = poll_until(state, COUNT);
	assert_int_equal(hits.hit, COUNT);
	assert_int_equal(hits.matched, COUNT);
	assert_string_equal(hits.near_miss, "");
	assert_false(hits.detached || hits.lapsed || hits.target_gone);
	for (int i = 0; i < COUNT; i++) {
		fds[i] = take();
		assert_true(fds[i] >= 0);
		assert_int_equal(recv(fds[i], text, sizeof(text), 0), 5);
		assert_memory_equal(text, "hello", 5);
		assert_int_equal(send(fds[i], "banner", 6, MSG_NOSIGNAL), 6); /* is read, or a reset would follow */
		assert_int_equal(recv(fds[i], text, sizeof(text), MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN); /* open */
	}
	for (int i = 0; i < 5000 && !is_all_read(); i++)
		usleep(2000);
	undo(state);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(recv(fds[i], text, sizeof(text), 0), 0); /* in good order */
		close(fds[i]);
	}
	finish(state);
}

static void asked_for_it_ends_by_a_reset(void **unused)
{
	void *state = load("\"connections\": 1, \"close\": \"reset\", \"send_hex\": \"00 fF\"");
	struct brunt_error err = { 0 };
	char text[16];
	int fd;

	(void)unused;
	assert_int_equal(begin(state, brunt_now() + LEASE, &err), 0);
	fd = take();
	assert_true(fd >= 0);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 2);
	assert_memory_equal(text, "\x00\xff", 2);
	undo(state);
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
	finish(state);
}

static void what_the_server_closes_is_opened_again_or_not(void **unused)
{
	static const struct {
		const char *more, *near;
		bool again;
	} cases[] = {
		{ "\"connections\": 2, \"rate\": 200", "", true },
		{ "\"connections\": 2, \"rate\": 200, \"reopen\": false", "", false },
	};

	(void)unused;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		void *state = load(cases[i].more);
		struct brunt_error err = { 0 };
		int fd;

		assert_int_equal(begin(state, brunt_now() + LEASE, &err), 0);
		assert_int_equal(poll_until(state, 2).hit, 2);
		for (int k = 0; k < 2; k++) {
			fd = take();
			assert_true(fd >= 0);
			close(fd);
		}
		if (cases[i].again) {
			fd = take();
			assert_true(fd >= 0);
			close(fd);
		} else {
			usleep(200000);
			assert_int_equal(accept4(listener, NULL, NULL, SOCK_CLOEXEC), -1);
		}
		finish(state);
	}
}

static void a_pulse_lets_go_and_takes_again(void **unused)
{
	void *state = load("\"connections\": 3");
	struct brunt_error err = { 0 };
	struct brunt_hits hits;
	pid_t first;

	(void)unused;
	assert_int_equal(begin(state, brunt_now() + LEASE, &err), 0);
	assert_int_equal(poll_until(state, 3).hit, 3);
	first = injector->child(state);
	injector->disarm(state);
	assert_int_equal(injector->verify(state, &err), 0);
	assert_int_equal(injector->poll(state, &hits), 0);
	assert_false(hits.detached);
	assert_int_equal(injector->arm(state, brunt_now() + LEASE, &err), 0);
	assert_true(injector->child(state) != first);
	for (int i = 0; i < 5000 && hits.seen < 6; i++) {
		assert_int_equal(injector->poll(state, &hits), 0);
		usleep(2000);
	}
	assert_int_equal(hits.seen, 6); /* attempts of both */
	assert_int_equal(hits.hit, 3);	/* at most at once */
	finish(state);
}

/* ---- however it ends ---- */

static void a_hoarder_that_is_killed_is_told_as_lost(void **unused)
{
	void *state = load("\"connections\": 3");
	struct brunt_error err = { 0 };
	struct brunt_hits hits;
	char text[16];
	int fd;

	(void)unused;
	assert_int_equal(begin(state, brunt_now() + LEASE, &err), 0);
	assert_int_equal(poll_until(state, 3).hit, 3);
	fd = take();
	kill(injector->child(state), SIGKILL);
	assert_true(detached_within(state, 20 * BRUNT_S));
	assert_int_equal(recv(fd, text, sizeof(text), 0), 0); /* the kernel has closed it */
	close(fd);
	undo(state);
	assert_int_equal(injector->poll(state, &hits), 0);
	assert_int_equal(hits.hit, 3); /* stays known */
	finish(state);
}

static void a_stopped_hoarder_dies_when_its_lease_is_over(void **unused)
{
	void *state = load("\"connections\": 3");
	struct brunt_error err = { 0 };
	uint64_t begun = brunt_now();

	(void)unused;
	assert_int_equal(begin(state, begun + 2 * BRUNT_S, &err), 0);
	kill(injector->child(state), SIGSTOP);
	assert_true(detached_within(state, 20 * BRUNT_S));
	assert_true(brunt_now() >= begun + 2 * BRUNT_S);
	finish(state);
}

static void a_stopped_hoarder_does_not_keep_the_undo_from_succeeding(void **unused)
{
	void *state = load("\"connections\": 3");
	struct brunt_error err = { 0 };

	(void)unused;
	assert_int_equal(begin(state, brunt_now() + LEASE, &err), 0);
	assert_int_equal(poll_until(state, 3).hit, 3);
	kill(injector->child(state), SIGSTOP);
	finish(state);
}

static void without_renewal_it_ends_and_a_late_one_does_not_bring_it_back(void **unused)
{
	void *state = load("\"connections\": 3");
	struct brunt_error err = { 0 };
	struct brunt_hits hits;
	uint64_t begun = brunt_now();

	(void)unused;
	assert_int_equal(begin(state, begun + 2 * BRUNT_S, &err), 0);
	injector->renew(state, begun + 3 * BRUNT_S);
	usleep(2300000);
	assert_int_equal(injector->poll(state, &hits), 0);
	if (brunt_now() < begun + 2800 * BRUNT_MS) /* else this machine was too busy to tell */
		assert_false(hits.lapsed || hits.detached);
	assert_true(detached_within(state, 20 * BRUNT_S));
	assert_true(brunt_now() >= begun + 3 * BRUNT_S);
	injector->renew(state, brunt_now() + LEASE);
	assert_int_equal(injector->poll(state, &hits), 0);
	assert_true(hits.lapsed && hits.detached);
	finish(state);
}

static void every_call_that_fails_is_told_and_leaves_nothing(void **unused)
{
	static const char *const calls[] = { "socketpair", "fork", "epoll_create1" };

	(void)unused;
	for (size_t i = 0; i < BRUNT_COUNT(calls); i++) {
		void *state = load("\"connections\": 3");
		struct brunt_undo_record undo = { .step = 1 };
		struct brunt_error err = { 0 };

		assert_int_equal(injector->prepare(state, &victims, &undo, &err), 0);
		failing = calls[i];
		assert_int_equal(injector->attach(state, &err), -ENOMEM);
		failing = NULL; /* it may have been the child's */
		assert_true(err.msg[0]);
		finish(state);
	}
}

static void more_than_may_be_open_is_refused_at_once(void **unused)
{
	struct brunt_fault fault = { .injector = injector, .params = &params, .step = 1, .name = "hold" };
	struct brunt_fault_context context = { .run = "5eed0004" };
	struct brunt_error err = { 0 };
	struct rlimit limit;
	void *state = NULL;
	char more[64];

	(void)unused;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max > 59000) {
		/* lowered for good, but only in a child */
		pid_t pid = fork();
		int status;

		if (!pid) {
			limit.rlim_cur = limit.rlim_max = 1000;
			(void)setrlimit(RLIMIT_NOFILE, &limit);
			_exit(decode("\"connections\": 1000") ||
			      injector->load(&fault, &context, &state, &err) != -ENOTSUP);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		return;
	}
	(void)snprintf(more, sizeof(more), "\"connections\": %llu", (unsigned long long)limit.rlim_max);
	assert_int_equal(decode(more), 0);
	assert_int_equal(injector->load(&fault, &context, &state, &err), -ENOTSUP);
	assert_null(state);
}

static void nobody_at_home_is_a_near_miss(void **unused)
{
	void *state;
	struct brunt_error err = { 0 };
	struct brunt_hits hits = { 0 };
	const int open = port;
	int probe = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(at);

	(void)unused;
	assert_int_equal(bind(probe, (struct sockaddr *)&at, sizeof(at)), 0); /* bound, and nobody listens */
	assert_int_equal(getsockname(probe, (struct sockaddr *)&at, &size), 0);
	port = ntohs(at.sin_port);
	state = load("\"connections\": 3, \"reopen\": false");
	port = open;
	assert_int_equal(begin(state, brunt_now() + LEASE, &err), 0);
	for (int i = 0; i < 5000 && strcmp(hits.near_miss, "refused 3 of 3"); i++) {
		assert_int_equal(injector->poll(state, &hits), 0);
		usleep(2000);
	}
	assert_int_equal(hits.hit, 0);
	assert_string_equal(hits.near_miss, "refused 3 of 3");
	finish(state);
	close(probe);
}

/* ---- parameters ---- */

static void parameters_that_make_no_sense_are_refused(void **unused)
{
	static const char *const bad[] = {
		"\"connections\": 3, \"send\": \"a\", \"send_hex\": \"61\"",
		"\"connections\": 3, \"send_hex\": \"6\"",
		"\"connections\": 3, \"send_hex\": \"6g\"",
		"\"connections\": 3, \"send_hex\": \"  \"",
		"\"connections\": 3, \"send_hex\": \"6 1\"",
		"\"connections\": 3, \"source\": \"::1\"",
		"\"connections\": 3, \"source\": \"127.0.0.0/8\"",
		"\"connections\": 3, \"source\": \"127.0.0.1:80\"",
		"\"connections\": 3, \"source\": \"0.0.0.0\"",
		"\"connections\": 3, \"trickle_every\": \"1s\"",
	};

	(void)unused;
	for (size_t i = 0; i < BRUNT_COUNT(bad); i++) {
		if (!decode(bad[i]) && injector->validate(&params, BRUNT_TARGET_PROCESS, NULL) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
	}
	assert_int_equal(decode("\"connections\": 3, \"source\": \"127.0.0.2\", \"send_hex\": \" 0a0B 0c \""), 0);
	assert_int_equal(injector->validate(&params, BRUNT_TARGET_PROCESS, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_are_held_and_all_are_gone_after),
		cmocka_unit_test(asked_for_it_ends_by_a_reset),
		cmocka_unit_test(what_the_server_closes_is_opened_again_or_not),
		cmocka_unit_test(a_pulse_lets_go_and_takes_again),
		cmocka_unit_test(a_hoarder_that_is_killed_is_told_as_lost),
		cmocka_unit_test(a_stopped_hoarder_dies_when_its_lease_is_over),
		cmocka_unit_test(a_stopped_hoarder_does_not_keep_the_undo_from_succeeding),
		cmocka_unit_test(without_renewal_it_ends_and_a_late_one_does_not_bring_it_back),
		cmocka_unit_test(every_call_that_fails_is_told_and_leaves_nothing),
		cmocka_unit_test(more_than_may_be_open_is_refused_at_once),
		cmocka_unit_test(nobody_at_home_is_a_near_miss),
		cmocka_unit_test(parameters_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
