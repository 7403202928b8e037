/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/* connect.fail on real calls, in an own network namespace and cgroup. */
#include "bpf_lab.h"

#include <arpa/inet.h>
#include <math.h>
#include <signal.h>
#include <sys/syscall.h>

/* As in injector/fault/connect_fail.c. */
struct fail_params {
	int code;
	struct brunt_list calls;
	struct brunt_ramp probability;
	struct brunt_list to, except;
	struct brunt_names_params *names;
};
enum { CONNECT, SEND, BIND };

/* Where tests don't care for the errno. */
static int usual = ECONNREFUSED;

static struct fail_params defaults(void)
{
	struct fail_params params;
	struct brunt_error err;

	memset(&params, 0, sizeof(params));
	assert_int_equal(brunt_param_defaults(brunt_injector_find("connect.fail")->table, &params, lab.arena, &err), 0);
	assert_int_equal(params.code, ECONNREFUSED);
	params.code = usual;
	return params;
}

static int try_load(struct lab_fault *f)
{
	struct brunt_fault_context context = { .run = LAB_RUN, .seed = 1, .cgroup_mount = lab.mount };
	int r;

	f->injector = brunt_injector_find("connect.fail");
	f->fault = (struct brunt_fault){ .injector = f->injector, .params = f->params, .step = 1, .name = "test" };
	r = f->injector->load(&f->fault, &context, &f->state, &f->err);
	lab_unload(f);
	return r;
}

/* Before Linux 5.18 there is EPERM alone: every other errno is refused, and the rest is tested with that. */
static int setup(void **state)
{
	struct fail_params params;
	struct lab_fault f = { .params = &params };

	if (lab_setup(state) || lab.missing)
		return 0;
	params = defaults();
	if (try_load(&f) == -ENOTSUP)
		usual = EPERM;
	return 0;
}

static struct sockaddr_in6 address6(const char *text, uint16_t port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
	return address;
}

static struct sockaddr_in address4(const char *text, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, text, &address.sin_addr), 1);
	return address;
}

/* The errno of one call on a new socket, 0 when it succeeded. */
static int try_call(int call, int type, const void *address, socklen_t size)
{
	int fd = socket(((const struct sockaddr *)address)->sa_family, type | SOCK_CLOEXEC, 0);
	int r;

	assert_true(fd >= 0);
	if (call == CONNECT)
		r = connect(fd, address, size);
	else if (call == BIND)
		r = bind(fd, address, size);
	else
		r = sendto(fd, "x", 1, 0, address, size) < 0 ? -1 : 0;
	r = r ? errno : 0;
	close(fd);
	return r;
}

static int try4(int call, int type, const char *text, uint16_t port)
{
	struct sockaddr_in address = address4(text, port);

	return try_call(call, type, &address, sizeof(address));
}

static int try6(int call, int type, const char *text, uint16_t port)
{
	struct sockaddr_in6 address = address6(text, port);

	return try_call(call, type, &address, sizeof(address));
}

static void hold(struct lab_fault *f, const char *cgroup)
{
	lab_load(f, "connect.fail");
	lab_hold(f, lab_cgroup_item(cgroup), LAB_LEASE);
}

static void release(struct lab_fault *f)
{
	lab_release(f);
	lab_unload(f);
}

static void every_errno_reaches_the_caller(void **unused)
{
	static const int codes[] = { EPERM,	 ECONNREFUSED,	ETIMEDOUT, EHOSTUNREACH, ENETUNREACH,
				     ECONNRESET, EADDRNOTAVAIL, EAGAIN,	   EINTR,	 4095 };
	struct fail_params params;
	struct lab_fault f = { .params = &params };

	(void)unused;
	LAB_NEEDED();
	lab_enter(lab.cgroup);
	for (size_t i = 0; i < BRUNT_COUNT(codes); i++) {
		params = defaults();
		params.code = codes[i];
		if (usual == EPERM && codes[i] != EPERM) {
			assert_int_equal(try_load(&f), -ENOTSUP);
			assert_non_null(strstr(f.err.msg, "before Linux 5.18"));
			continue;
		}
		hold(&f, lab.cgroup);
		assert_int_equal(try4(CONNECT, SOCK_STREAM, "127.0.0.1", 9), codes[i]);
		assert_int_equal(try4(CONNECT, SOCK_DGRAM, "127.0.0.1", 9), codes[i]);
		assert_int_equal(try6(CONNECT, SOCK_STREAM, "::1", 9), codes[i]);
		assert_int_equal(lab_poll(&f).hit, 3);
		release(&f);
	}
	lab_enter("/");
	lab_assert_nothing_left();
}

static void only_the_listed_calls_fail(void **unused)
{
	struct fail_params params;
	struct lab_fault f = { .params = &params };

	(void)unused;
	LAB_NEEDED();
	lab_enter(lab.cgroup);
	for (int call = CONNECT; call <= BIND; call++) {
		params = defaults();
		params.calls = (struct brunt_list){ &call, 1 };
		hold(&f, lab.cgroup);
		for (int other = CONNECT; other <= BIND; other++) {
			int expected = other == call ? usual : 0;

			assert_int_equal(try4(other, SOCK_DGRAM, "127.0.0.1", 7777), expected);
			assert_int_equal(try6(other, SOCK_DGRAM, "::1", 7777), expected);
		}
		release(&f);
	}
	lab_enter("/");
}

static void connect_alone_fails_when_nothing_is_said(void **unused)
{
	struct fail_params params;
	struct lab_fault f = { .params = &params };

	(void)unused;
	LAB_NEEDED();
	lab_enter(lab.cgroup);
	params = defaults();
	hold(&f, lab.cgroup);
	assert_int_equal(try4(CONNECT, SOCK_DGRAM, "127.0.0.1", 9), usual);
	assert_int_equal(try4(SEND, SOCK_DGRAM, "127.0.0.1", 9), 0);
	release(&f);
	lab_enter("/");
}

static void the_address_decides_and_a_mapped_one_is_ipv4(void **unused)
{
	static const unsigned char ours[4] = { 127, 0, 0, 2 };
	struct brunt_endpoint to = lab_endpoint(4, ours, 32, 80), except = lab_endpoint(0, NULL, 0, 81);
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	struct brunt_hits hits;

	(void)unused;
	LAB_NEEDED();
	lab_enter(lab.cgroup);
	params = defaults();
	params.to = (struct brunt_list){ &to, 1 };
	hold(&f, lab.cgroup);
	assert_int_equal(try4(CONNECT, SOCK_DGRAM, "127.0.0.3", 80), 0);
	assert_int_equal(try4(CONNECT, SOCK_DGRAM, "127.0.0.2", 81), 0);
	assert_int_equal(try6(CONNECT, SOCK_DGRAM, "::1", 80), 0);
	hits = lab_poll(&f);
	assert_int_equal(hits.seen, 3);
	assert_int_equal(hits.matched, 0);
	assert_non_null(strstr(hits.near_miss, "saw 3 calls, none to 127.0.0.2"));
	assert_int_equal(try4(CONNECT, SOCK_DGRAM, "127.0.0.2", 80), usual);
	assert_int_equal(try6(CONNECT, SOCK_DGRAM, "::ffff:127.0.0.2", 80), usual);
	release(&f);
	params.to = (struct brunt_list){ 0 };
	params.except = (struct brunt_list){ &except, 1 };
	hold(&f, lab.cgroup);
	assert_int_equal(try4(CONNECT, SOCK_DGRAM, "127.0.0.2", 81), 0);
	assert_int_equal(try4(CONNECT, SOCK_DGRAM, "127.0.0.2", 80), usual);
	release(&f);
	lab_enter("/");
}

static void chance_is_kept(void **unused)
{
	const unsigned n = 100000;
	struct sockaddr_in to = address4("127.0.0.1", 9);
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	unsigned failed = 0;
	int fd;

	(void)unused;
	LAB_NEEDED();
	lab_enter(lab.cgroup);
	params = defaults();
	params.probability = (struct brunt_ramp){ .from = 0.25, .to = 0.25 };
	lab_load(&f, "connect.fail");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), 600 * BRUNT_S);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (unsigned i = 0; i < n; i++)
		failed += connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0;
	close(fd);
	assert_int_equal(lab_poll(&f).hit, failed);
	assert_int_equal(lab_poll(&f).matched, n);
	assert_true(fabs(failed - 0.25 * n) <= 5 * sqrt(n * 0.25 * 0.75)); /* by chance: one in two million */
	release(&f);
	lab_enter("/");
}

/* fork() with a pid of one's choice (0: the kernel's): clone3(2), Linux 5.5. */
static pid_t fork_as(pid_t pid)
{
	const struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
			set_tid_size;
	} arguments = { .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&pid, .set_tid_size = 1 };

	return pid ? (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments)) : fork();
}

/* A child that answers each byte with the errno of a connect() on a socket it has had from the start. */
static pid_t start_caller_as(pid_t pid, int *ret_channel)
{
	int pair[2];
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	child = fork_as(pid);
	if (!child) {
		struct sockaddr_in to = address4("127.0.0.1", 9);
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		unsigned char byte;

		close(pair[0]);
		while (read(pair[1], &byte, 1) == 1) {
			byte = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? (unsigned char)errno : 0;
			(void)!write(pair[1], &byte, 1);
		}
		_exit(0);
	}
	close(pair[1]);
	*ret_channel = pair[0];
	return child;
}

static pid_t start_caller(int *ret_channel)
{
	return start_caller_as(0, ret_channel);
}

static int ask(int channel)
{
	unsigned char byte = 0;

	assert_int_equal(write(channel, &byte, 1), 1);
	assert_int_equal(read(channel, &byte, 1), 1);
	return byte;
}

static void a_running_process_is_hit_and_its_neighbour_is_not(void **unused)
{
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	int victim, neighbour;
	pid_t pids[2];

	(void)unused;
	LAB_NEEDED();
	lab_enter(lab.cgroup);
	pids[0] = start_caller(&victim);
	pids[1] = start_caller(&neighbour);
	params = defaults();
	lab_load(&f, "connect.fail");
	lab_hold(&f, lab_process_item(pids[0], lab.cgroup), LAB_LEASE);
	assert_int_equal(ask(victim), usual);
	assert_int_equal(ask(neighbour), 0);
	assert_int_equal(lab_poll(&f).seen, 1);
	lab_release(&f);
	assert_int_equal(ask(victim), 0);
	/* the next round has another victim, and the first is free */
	lab_hold(&f, lab_process_item(pids[1], lab.cgroup), LAB_LEASE);
	assert_int_equal(ask(victim), 0);
	assert_int_equal(ask(neighbour), usual);
	close(victim);
	close(neighbour);
	for (int i = 0; i < 2; i++)
		waitpid(pids[i], NULL, 0);
	assert_true(lab_poll(&f).target_gone);
	release(&f);
	lab_enter("/");
}

static void who_gets_the_pid_of_a_victim_that_ended_is_not_hit(void **unused)
{
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	int victim, heir;
	pid_t pid;

	(void)unused;
	LAB_NEEDED();
	lab_enter(lab.cgroup);
	pid = start_caller(&victim);
	params = defaults();
	lab_load(&f, "connect.fail");
	lab_hold(&f, lab_process_item(pid, lab.cgroup), LAB_LEASE);
	(void)lab_poll(&f);
	assert_int_equal(ask(victim), usual);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(lab_poll(&f).target_gone);
	close(victim);
	/* pids of processes that start in the same clock tick could not be told apart (brunt_process.start) */
	usleep(20000);
	if (start_caller_as(pid, &heir) == pid) {
		assert_int_equal(ask(heir), 0);
		assert_int_equal(lab_poll(&f).hit, 1);
		close(heir);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	} else {
		print_message("no process can be given that pid here\n");
	}
	release(&f);
	lab_enter("/");
}

static void calls_succeed_again_when_the_lease_runs_out(void **unused)
{
	struct fail_params params;
	struct lab_fault f = { .params = &params };

	(void)unused;
	LAB_NEEDED();
	lab_enter(lab.cgroup);
	params = defaults();
	lab_load(&f, "connect.fail");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
	assert_int_equal(try4(CONNECT, SOCK_DGRAM, "127.0.0.1", 9), usual);
	f.injector->renew(f.state, brunt_now() + 60 * BRUNT_MS);
	usleep(70000);
	assert_int_equal(try4(CONNECT, SOCK_DGRAM, "127.0.0.1", 9), 0);
	f.injector->renew(f.state, brunt_now() + LAB_LEASE);
	assert_int_equal(try4(CONNECT, SOCK_DGRAM, "127.0.0.1", 9), 0);
	assert_true(lab_poll(&f).lapsed);
	release(&f);
	lab_enter("/");
	lab_assert_nothing_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_errno_reaches_the_caller),
		cmocka_unit_test(only_the_listed_calls_fail),
		cmocka_unit_test(connect_alone_fails_when_nothing_is_said),
		cmocka_unit_test(the_address_decides_and_a_mapped_one_is_ipv4),
		cmocka_unit_test(chance_is_kept),
		cmocka_unit_test(a_running_process_is_hit_and_its_neighbour_is_not),
		cmocka_unit_test(who_gets_the_pid_of_a_victim_that_ended_is_not_hit),
		cmocka_unit_test(calls_succeed_again_when_the_lease_runs_out),
	};

	return cmocka_run_group_tests(tests, setup, lab_teardown);
}
