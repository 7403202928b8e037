/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/* network.reset on a process that has both ends of its connections, in a network namespace of the test's own. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "network/connections.h"
#include "network/namespaces.h"
#include "network/owners.h"
#include "network/reset_find.h"

#define PAIRS 20
#define PORT  7001

struct victim {
	struct brunt_process process;
	struct brunt_item item;
	struct brunt_victims victims;
	int ask, answer;
};

/* What became of each end: 0, or its errno. */
struct report {
	int client[PAIRS], server[PAIRS], listener;
};

static const char *missing; /* why nothing can be tried here */

#define NEEDS_A_NETWORK()                                                                                              \
	do {                                                                                                           \
		if (missing) {                                                                                         \
			print_message("%s\n", missing);                                                                \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

static int setup(void **unused)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct brunt_error err = { 0 };
	static char why[300];
	int fd;

	(void)unused;
	if (geteuid() || unshare(CLONE_NEWNET)) {
		missing = "needs root: a network namespace of its own";
		return 0;
	}
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	close(fd);
	if (brunt_connections_probe(&err)) {
		(void)snprintf(why, sizeof(why), "%s", err.msg);
		missing = why;
	}
	return 0;
}

/* ---- the victim ---- */

static int state_of(int fd)
{
	socklen_t size = sizeof(int);
	struct tcp_info info = { 0 };
	socklen_t info_size = sizeof(info);
	int code = 0;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size), 0);
	if (code)
		return code;
	(void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_size);
	return info.tcpi_state == TCP_CLOSE ? EPIPE : 0;
}

static _Noreturn void live(int family, int ask, int answer)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_addr = in6addr_any };
	struct sockaddr_in four = { .sin_family = AF_INET,
				    .sin_port = htons(PORT),
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int listener = socket(AF_INET6, SOCK_STREAM, 0), client[PAIRS], server[PAIRS], on = 1;
	struct report report = { 0 };
	char word;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&six, sizeof(six)) || listen(listener, PAIRS))
		_exit(1);
	six.sin6_addr = in6addr_loopback;
	for (int i = 0; i < PAIRS; i++) {
		client[i] = socket(family, SOCK_STREAM, 0);
		if (connect(client[i], family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six,
			    family == AF_INET ? sizeof(four) : sizeof(six)))
			_exit(2);
		server[i] = accept(listener, NULL, NULL);
	}
	if (write(answer, "r", 1) != 1)
		_exit(3);
	while (read(ask, &word, 1) == 1) {
		for (int i = 0; i < PAIRS; i++) {
			report.client[i] = report.client[i] ?: state_of(client[i]);
			report.server[i] = report.server[i] ?: state_of(server[i]);
		}
		report.listener = state_of(listener);
		if (write(answer, &report, sizeof(report)) != (ssize_t)sizeof(report))
			break;
	}
	_exit(0);
}

static void start(struct victim *victim, int family)
{
	int ask[2], answer[2];
	struct brunt_error err = { 0 };
	pid_t pid;
	char word;

	assert_int_equal(pipe(ask) | pipe(answer), 0);
	pid = fork();
	if (!pid) {
		close(ask[1]);
		close(answer[0]);
		live(family, ask[0], answer[1]);
	}
	close(ask[0]);
	close(answer[1]);
	*victim = (struct victim){ .ask = ask[1], .answer = answer[0] };
	assert_int_equal(read(victim->answer, &word, 1), 1);
	assert_int_equal(brunt_process_identify("/proc", pid, true, &victim->process, &err), 0);
	victim->item = (struct brunt_item){ .kind = BRUNT_TARGET_PROCESS, .picked = true, .process = victim->process };
	victim->victims = (struct brunt_victims){
		.items = &victim->item, .matched = 1, .picked = 1, .processes = &victim->process, .process_count = 1
	};
}

static struct report look(const struct victim *victim)
{
	struct report report;

	assert_int_equal(write(victim->ask, "?", 1), 1);
	assert_int_equal(read(victim->answer, &report, sizeof(report)), sizeof(report));
	return report;
}

static int broken(const int *ends)
{
	int count = 0;

	for (int i = 0; i < PAIRS; i++)
		count += ends[i] != 0;
	return count;
}

static void end(struct victim *victim)
{
	close(victim->ask);
	close(victim->answer);
	close(victim->process.pidfd);
	kill(victim->process.pid, SIGKILL);
	waitpid(victim->process.pid, NULL, 0);
}

/* ---- the fault ---- */

static struct brunt_endpoint endpoint(const char *text)
{
	struct brunt_endpoint ret;
	struct brunt_error err = { 0 };

	if (brunt_endpoint_parse(text, &ret, &err))
		fail_msg("%s: %s", text, err.msg);
	return ret;
}

static int reset(const struct brunt_reset_params *params, const struct brunt_victims *victims, int times,
		 struct brunt_hits *ret, struct brunt_error *err)
{
	const struct brunt_injector *injector = brunt_injector_find("network.reset");
	struct brunt_fault fault = { .injector = injector, .params = (void *)params, .step = 1, .name = "reset" };
	struct brunt_fault_context context = { .run = "5eed0003", .seed = 7 };
	struct brunt_undo_record undo = { .step = 1 };
	void *state;
	int r = 0;

	assert_int_equal(injector->load(&fault, &context, &state, err), 0);
	for (int i = 0; i < times && !r; i++) {
		r = injector->prepare(state, victims, &undo, err);
		r = r ?: injector->arm(state, 0, err);
	}
	assert_int_equal(injector->poll(state, ret), 0);
	injector->unload(state);
	return r;
}

static void every_connection_of_the_process_ends_and_is_one_hit(void **unused)
{
	static const int families[] = { AF_INET, AF_INET6 };

	(void)unused;
	NEEDS_A_NETWORK();
	for (size_t i = 0; i < BRUNT_COUNT(families); i++) {
		const struct brunt_reset_params params = { .share = 1 };
		struct brunt_error err = { 0 };
		struct brunt_hits hits;
		struct report report;
		struct victim victim;

		start(&victim, families[i]);
		assert_int_equal(reset(&params, &victim.victims, 1, &hits, &err), 0);
		assert_int_equal(hits.seen, 2 * PAIRS);
		assert_int_equal(hits.matched, PAIRS);
		assert_int_equal(hits.hit, PAIRS);
		assert_string_equal(hits.near_miss, "");
		report = look(&victim);
		assert_int_equal(broken(report.client), PAIRS);
		assert_int_equal(broken(report.server), PAIRS);
		assert_int_equal(report.listener, 0); /* it still listens */
		for (int k = 0; k < PAIRS; k++) {
			int abort = report.client[k] == ECONNABORTED ? report.client[k] : report.server[k];

			assert_int_equal(abort, ECONNABORTED);
			assert_int_equal(report.client[k] + report.server[k] - abort, ECONNRESET);
		}
		end(&victim);
	}
}

static void a_share_takes_so_many_and_the_seed_decides_which(void **unused)
{
	struct brunt_reset_params params = { .share = 0.3 };
	struct brunt_reset_scope scope = { .seed = 7, .step = 1 };
	struct brunt_reset_list first = { 0 }, again = { 0 }, later = { 0 }, other = { 0 };
	struct brunt_error err = { 0 };
	struct brunt_hits hits;
	struct victim victim;

	(void)unused;
	NEEDS_A_NETWORK();
	start(&victim, AF_INET);
	assert_int_equal(brunt_reset_find(&params, &scope, &victim.victims, &first, &err), 0);
	assert_int_equal(brunt_reset_find(&params, &scope, &victim.victims, &again, &err), 0);
	scope.round++;
	assert_int_equal(brunt_reset_find(&params, &scope, &victim.victims, &later, &err), 0);
	scope = (struct brunt_reset_scope){ .seed = 8, .step = 1 };
	assert_int_equal(brunt_reset_find(&params, &scope, &victim.victims, &other, &err), 0);
	assert_int_equal(first.matched, PAIRS);
	assert_int_equal(first.chosen, PAIRS * 3 / 10);
	assert_int_equal(first.count, 2 * first.chosen); /* both ends */
	for (size_t i = 0; i < first.count; i++)
		assert_int_equal(first.items[i].key, again.items[i].key);
	assert_true(first.items[0].key != later.items[0].key);
	assert_true(first.items[0].key != other.items[0].key);
	brunt_reset_list_done(&first);
	brunt_reset_list_done(&again);
	brunt_reset_list_done(&later);
	brunt_reset_list_done(&other);
	brunt_reset_list_done(&other);
	params.share = 0.001;
	assert_int_equal(reset(&params, &victim.victims, 3, &hits, &err), 0);
	assert_int_equal(hits.hit, 3); /* at least one each time */
	assert_int_equal(broken(look(&victim).client), 3);
	end(&victim);
}

static void only_what_the_lists_mean_is_reset(void **unused)
{
	struct brunt_endpoint server = endpoint(":7001"), loopback = endpoint("127.0.0.0/8"),
			      nobody = endpoint("10.0.0.1");
	struct brunt_reset_params params = { .share = 1 };
	struct brunt_error err = { 0 };
	struct brunt_hits hits;
	struct report report;
	struct victim victim;

	(void)unused;
	NEEDS_A_NETWORK();
	start(&victim, AF_INET);
	params.to = (struct brunt_list){ &nobody, 1 };
	assert_int_equal(reset(&params, &victim.victims, 1, &hits, &err), 0);
	assert_int_equal(hits.hit, 0);
	assert_string_equal(hits.near_miss, "the target had 40 TCP connections, none to 10.0.0.1");
	params.to = (struct brunt_list){ &loopback, 1 };
	params.except = (struct brunt_list){ &server, 1 };
	assert_int_equal(reset(&params, &victim.victims, 1, &hits, &err), 0);
	assert_int_equal(hits.hit, 0);
	assert_int_equal(broken(look(&victim).client), 0);
	params.except = (struct brunt_list){ 0 };
	params.local = (struct brunt_list){ &server, 1 };
	assert_int_equal(reset(&params, &victim.victims, 1, &hits, &err), 0);
	assert_int_equal(hits.hit, PAIRS);
	report = look(&victim);
	for (int i = 0; i < PAIRS; i++) { /* the server's end was the one that was ended */
		assert_int_equal(report.server[i], ECONNABORTED);
		assert_int_equal(report.client[i], ECONNRESET);
	}
	assert_int_equal(reset(&params, &victim.victims, 1, &hits, &err), 0);
	assert_string_equal(hits.near_miss, "the target had no TCP connections");
	end(&victim);
}

static void a_listening_socket_only_when_asked_for(void **unused)
{
	int listening = BRUNT_RESET_LISTENING;
	struct brunt_reset_params params = { .share = 1, .states = { &listening, 1 } };
	struct brunt_error err = { 0 };
	struct brunt_hits hits;
	struct report report;
	struct victim victim;

	(void)unused;
	NEEDS_A_NETWORK();
	start(&victim, AF_INET);
	assert_int_equal(reset(&params, &victim.victims, 1, &hits, &err), 0);
	assert_int_equal(hits.hit, 1);
	report = look(&victim);
	assert_true(report.listener != 0);
	assert_int_equal(broken(report.client), 0);
	end(&victim);
}

static void at_an_interface_what_leaves_by_it_but_nothing_of_brunt(void **unused)
{
	const struct brunt_reset_params params = { .share = 1 };
	struct sockaddr_in server = { .sin_family = AF_INET,
				      .sin_port = htons(PORT),
				      .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct brunt_item lo = { .kind = BRUNT_TARGET_INTERFACE, .name = "lo", .picked = true };
	struct brunt_victims victims = { .items = &lo, .matched = 1, .picked = 1 };
	struct brunt_error err = { 0 };
	struct brunt_hits hits;
	struct victim victim;
	int own;

	(void)unused;
	NEEDS_A_NETWORK();
	start(&victim, AF_INET);
	own = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(own, (struct sockaddr *)&server, sizeof(server)), 0);
	lo.interface_index = 4711;
	assert_int_equal(reset(&params, &victims, 1, &hits, &err), 0);
	assert_int_equal(hits.hit, 0);
	lo.interface_index = if_nametoindex("lo");
	assert_int_equal(reset(&params, &victims, 1, &hits, &err), 0);
	assert_int_equal(hits.hit, PAIRS);
	assert_int_equal(broken(look(&victim).server), PAIRS);
	assert_int_equal(state_of(own), 0); /* its other end, in the victim's queue, was spared as well */
	assert_int_equal(reset(&params, &victims, 1, &hits, &err), 0);
	assert_int_equal(hits.hit, 0);
	assert_string_equal(hits.near_miss, "1 matched, but are brunt's own or of an ssh login: never reset");
	close(own);
	end(&victim);
}

static void a_connection_that_closed_in_between_is_no_error(void **unused)
{
	const struct brunt_injector *injector = brunt_injector_find("network.reset");
	const struct brunt_reset_params params = { .share = 1 };
	struct brunt_fault fault = { .injector = injector, .params = (void *)&params, .step = 1, .name = "reset" };
	struct brunt_fault_context context = { .run = "5eed0003", .seed = 7 };
	struct brunt_undo_record undo = { .step = 1 };
	struct brunt_error err = { 0 };
	struct brunt_hits hits;
	struct victim victim;
	void *state;

	(void)unused;
	NEEDS_A_NETWORK();
	start(&victim, AF_INET);
	assert_int_equal(injector->load(&fault, &context, &state, &err), 0);
	assert_int_equal(injector->prepare(state, &victim.victims, &undo, &err), 0);
	assert_int_equal(reset(&params, &victim.victims, 1, &hits, &err), 0);
	assert_int_equal(injector->arm(state, 0, &err), 0);
	assert_int_equal(injector->poll(state, &hits), 0);
	assert_int_equal(hits.hit, 0);
	assert_string_equal(hits.near_miss, "20 had closed before they could be reset");
	injector->unload(state);
	end(&victim);
	/* and a process that has ended has none */
	assert_int_equal(reset(&params, &victim.victims, 1, &hits, &err), 0);
	assert_int_equal(hits.seen, 0);
}

static void a_socket_in_another_namespace_leaves_us_where_we_were(void **unused)
{
	const uint64_t here = brunt_namespace_own();
	struct brunt_error err = { 0 };
	struct brunt_process process;
	uint64_t there = 0;
	char word;
	int ready[2], namespace, fd;
	pid_t pid;

	(void)unused;
	NEEDS_A_NETWORK();
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWNET) || write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &word, 1), 1);
	assert_int_equal(brunt_process_identify("/proc", pid, false, &process, &err), 0);
	namespace = brunt_namespace_open(&process, &there, &err);
	assert_true(namespace >= 0 && there && there != here);
	fd = brunt_namespace_socket(namespace, AF_INET, SOCK_STREAM, 0, &err);
	assert_true(fd >= 0);
	assert_int_equal(brunt_namespace_own(), here);
	close(fd);
	assert_int_equal(brunt_namespace_socket(namespace, 4711, SOCK_STREAM, 0, &err), -EAFNOSUPPORT);
	assert_int_equal(brunt_namespace_own(), here);
	close(namespace);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(brunt_namespace_open(&process, &there, &err), -ESRCH);
	close(ready[0]);
	close(ready[1]);
}

/* ---- pure ---- */

static void endpoints_match_as_they_are_written(void **unused)
{
	static const struct {
		const char *endpoint, *address;
		uint16_t port;
		bool matches;
	} cases[] = {
		{ "10.0.0.5", "10.0.0.5", 80, true },
		{ "10.0.0.5", "10.0.0.4", 80, false },
		{ "10.0.0.0/9", "10.127.0.1", 80, true },
		{ "10.0.0.0/9", "10.128.0.1", 80, false },
		{ "0.0.0.0/0", "1.2.3.4", 80, true },
		{ "0.0.0.0/0", "::1", 80, false },
		{ ":80-90", "::1", 90, true },
		{ ":80-90", "::1", 91, false },
		{ ":80/udp", "10.0.0.5", 80, false },
		{ ":80/tcp", "10.0.0.5", 80, true },
		{ "[fd00::/8]:443", "fdff::1", 443, true },
		{ "[fd00::/8]:443", "fdff::1", 80, false },
		{ "fd00::/8", "fe00::1", 80, false },
		{ "10.0.0.5:80", "10.0.0.5", 81, false },
	};

	(void)unused;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		const bool six = strchr(cases[i].address, ':') != NULL;
		struct brunt_end one = { .family = six ? 6 : 4, .port = cases[i].port };
		struct brunt_endpoint wanted = endpoint(cases[i].endpoint);

		assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, cases[i].address, one.address), 1);
		if (brunt_end_matches(&one, &wanted) != cases[i].matches)
			fail_msg("%s and %s port %u", cases[i].endpoint, cases[i].address, cases[i].port);
	}
}

static void attributes_that_are_cut_or_too_short_are_not_found(void **unused)
{
	_Alignas(
		4) unsigned char bytes[] = { 8, 0, 1, 0, 1, 2, 3, 4, 6, 0, 2, 0, 5, 6, 0, 0, 12, 0, 3, 0, 7, 8, 9, 10 };

	(void)unused;
	assert_ptr_equal(brunt_netlink_find(bytes, sizeof(bytes), 1, 4), bytes + 4);
	assert_null(brunt_netlink_find(bytes, sizeof(bytes), 1, 5));
	assert_ptr_equal(brunt_netlink_find(bytes, sizeof(bytes), 2, 2), bytes + 12);
	assert_null(brunt_netlink_find(bytes, sizeof(bytes), 3, 4)); /* says 12 bytes, has 8 */
	assert_null(brunt_netlink_find(bytes, sizeof(bytes), 4, 0));
	assert_null(brunt_netlink_find(bytes, 3, 1, 0));
	assert_null(brunt_netlink_find(bytes, 0, 1, 0));
}

static void parameters_that_make_no_sense_are_refused(void **unused)
{
	const struct brunt_injector *injector = brunt_injector_find("network.reset");
	struct brunt_endpoint udp = endpoint(":53/udp");
	int listening = BRUNT_RESET_LISTENING, waiting = BRUNT_RESET_TIME_WAIT;
	const struct brunt_reset_params good = { .share = 1 };
	struct brunt_reset_params bad = good;

	(void)unused;
	assert_int_equal(injector->validate(&good, BRUNT_TARGET_PROCESS, NULL), 0);
	bad.except = (struct brunt_list){ &udp, 1 };
	assert_int_equal(injector->validate(&bad, BRUNT_TARGET_PROCESS, NULL), -EINVAL);
	bad = good;
	bad.states = (struct brunt_list){ &listening, 1 };
	assert_int_equal(injector->validate(&bad, BRUNT_TARGET_PROCESS, NULL), 0);
	assert_int_equal(injector->validate(&bad, BRUNT_TARGET_INTERFACE, NULL), -EINVAL);
	bad.states = (struct brunt_list){ &waiting, 1 };
	assert_int_equal(injector->validate(&bad, BRUNT_TARGET_PROCESS, NULL), -EINVAL);
	assert_int_equal(injector->validate(&bad, BRUNT_TARGET_INTERFACE, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_connection_of_the_process_ends_and_is_one_hit),
		cmocka_unit_test(a_share_takes_so_many_and_the_seed_decides_which),
		cmocka_unit_test(only_what_the_lists_mean_is_reset),
		cmocka_unit_test(a_listening_socket_only_when_asked_for),
		cmocka_unit_test(at_an_interface_what_leaves_by_it_but_nothing_of_brunt),
		cmocka_unit_test(a_connection_that_closed_in_between_is_no_error),
		cmocka_unit_test(a_socket_in_another_namespace_leaves_us_where_we_were),
		cmocka_unit_test(endpoints_match_as_they_are_written),
		cmocka_unit_test(attributes_that_are_cut_or_too_short_are_not_found),
		cmocka_unit_test(parameters_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
