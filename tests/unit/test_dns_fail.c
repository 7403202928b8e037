/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/*
 * dns.fail through its life, against a name server of this test's own: who is
 * hit, what is passed on, and what becomes of a responder that dies, stands
 * still, or is asked by very many.
 */
#include "bpf_lab.h"

#include <arpa/inet.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "fault/dns_fail.h"

#define SERVER	"127.0.0.77"
#define LEASE	(2 * BRUNT_S) /* longer than what a machine with much else to do may stop for */
#define PATIENT 20000	      /* ms: an answer that comes, comes by then */

static const char *meant = "*.meant";

static pid_t server;

/* Answers every query with NOERROR and nothing else, by UDP and TCP; dies with the test. */
static void serve(int udp, int tcp)
{
	uint8_t message[4096];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct pollfd events[] = { { .fd = udp, .events = POLLIN }, { .fd = tcp, .events = POLLIN } };
		struct sockaddr_in client;
		socklen_t length = sizeof(client);
		ssize_t size;
		int fd;

		(void)poll(events, 2, -1);
		size = recvfrom(udp, message, sizeof(message), MSG_DONTWAIT, (struct sockaddr *)&client, &length);
		if (size > 3) {
			message[2] = 0x81;
			message[3] = 0x80;
			(void)sendto(udp, message, (size_t)size, 0, (struct sockaddr *)&client, length);
		}
		fd = events[1].revents ? accept(tcp, NULL, NULL) : -1;
		if (fd < 0 || fork())
			continue;
		while ((size = recv(fd, message, 2, MSG_WAITALL)) == 2) {
			size = message[0] << 8 | message[1];
			if (recv(fd, message + 2, (size_t)size, MSG_WAITALL) != size)
				break;
			message[4] = 0x81;
			message[5] = 0x80;
			(void)send(fd, message, 2 + (size_t)size, MSG_NOSIGNAL);
		}
		_exit(0);
	}
}

static struct sockaddr_in server_address(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(53) };

	assert_int_equal(inet_pton(AF_INET, SERVER, &address.sin_addr), 1);
	return address;
}

static int setup(void **unused)
{
	struct sockaddr_in address = server_address();
	int udp, tcp, r = lab_setup(unused);

	if (r || lab.missing)
		return r;
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(udp, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(bind(tcp, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(tcp, 64), 0);
	server = fork();
	if (!server)
		serve(udp, tcp);
	close(udp);
	close(tcp);
	return 0;
}

static int teardown(void **unused)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	return lab_teardown(unused);
}

static struct brunt_endpoint endpoint;

/* Names that end in ".meant" do not exist, at the server of this test. */
static struct dns_params defaults(void)
{
	struct dns_params params;
	struct brunt_error err = { 0 };

	memset(&params, 0, sizeof(params));
	assert_int_equal(brunt_param_defaults(&dns_table, &params, lab.arena, &err), 0);
	assert_int_equal(params.answer, BRUNT_DNS_SAY_NXDOMAIN);
	assert_int_equal(brunt_endpoint_parse(SERVER, &endpoint, &err), 0);
	params.servers = (struct brunt_list){ &endpoint, 1 };
	params.names = (struct brunt_list){ &meant, 1 };
	return params;
}

static size_t query(const char *label, const char *zone, uint16_t id, uint8_t *to)
{
	static const uint8_t header[10] = { 1, 0, 0, 1 };
	static const uint8_t tail[5] = { 0, 0, 1, 0, 1 };
	uint8_t *begin = to;

	*to++ = (uint8_t)(id >> 8);
	*to++ = (uint8_t)id;
	memcpy(to, header, sizeof(header));
	to += sizeof(header);
	for (int i = 0; i < 2; i++) {
		const char *part = i ? zone : label;

		*to++ = (uint8_t)strlen(part);
		memcpy(to, part, strlen(part));
		to += strlen(part);
	}
	memcpy(to, tail, sizeof(tail));
	return (size_t)(to + sizeof(tail) - begin);
}

static int client(int type)
{
	struct sockaddr_in address = server_address();
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		fail_msg("connect: %s", strerror(errno));
	return fd;
}

/* The code of the answer by UDP; -1: none within ms; -errno. */
static int look_up(const char *zone, int ms)
{
	uint8_t message[512];
	size_t size = query("name", zone, 7, message);
	int fd = client(SOCK_DGRAM), code = -1;
	struct pollfd event = { .fd = fd, .events = POLLIN };

	if (send(fd, message, size, MSG_NOSIGNAL) == (ssize_t)size && poll(&event, 1, ms) == 1)
		code = recv(fd, message, sizeof(message), 0) >= 12 ? message[3] & 15 : -errno;
	close(fd);
	return code;
}

static void begin(struct lab_fault *f)
{
	lab_enter(lab.cgroup);
	lab_load(f, "dns.fail");
	lab_hold(f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
}

static void finish(struct lab_fault *f)
{
	lab_release(f);
	lab_unload(f);
	lab_enter("/");
	lab_assert_nothing_left();
}

static void what_is_meant_is_hurt_while_it_is_held_and_no_longer(void **unused)
{
	struct dns_params params;
	struct lab_fault f = { .params = &params };
	struct brunt_hits hits;

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	begin(&f);
	assert_true(f.injector->child(f.state) > 0);
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_NXDOMAIN);
	assert_int_equal(look_up("other", PATIENT), BRUNT_DNS_OK);
	hits = lab_poll(&f);
	assert_int_equal(hits.seen, 2);
	assert_int_equal(hits.matched, 1);
	assert_int_equal(hits.hit, 1);
	assert_string_equal(hits.near_miss, "");
	lab_release(&f);
	assert_int_equal(f.injector->child(f.state), 0);
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_OK);
	/* again, and the counts go on */
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_NXDOMAIN);
	assert_int_equal(lab_poll(&f).hit, 2);
	finish(&f);
}

static void attached_but_not_armed_it_does_nothing(void **unused)
{
	struct dns_params params;
	struct lab_fault f = { .params = &params };

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	begin(&f);
	f.injector->disarm(f.state);
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_OK);
	assert_int_equal(f.injector->verify(f.state, &f.err), 0);
	assert_int_equal(lab_poll(&f).seen, 0);
	finish(&f);
}

/* The same fault off for longer than anything of it lasts, then on again. */
static void a_pulse_may_be_off_for_as_long_as_it_likes(void **unused)
{
	struct dns_params params;
	struct lab_fault f = { .params = &params };

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	lab_enter(lab.cgroup);
	lab_load(&f, "dns.fail");
	((struct dns_state *)f.state)->lease = LEASE;
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LEASE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_NXDOMAIN);
		f.injector->disarm(f.state);
		assert_int_equal(f.injector->verify(f.state, &f.err), 0);
		assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_OK);
		usleep((useconds_t)(LEASE * 8 / 5 / 1000)); /* the responder has half a lease more */
		assert_false(lab_poll(&f).detached);
		assert_int_equal(f.injector->arm(f.state, brunt_now() + LEASE, &f.err), 0);
	}
	finish(&f);
}

static void a_ramp_moves_the_chance_and_the_delay(void **unused)
{
	struct dns_params params;
	struct lab_fault f = { .params = &params };
	uint64_t from;

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	params.probability = (struct brunt_ramp){ .from = 0, .to = 1, .in_ns = BRUNT_S };
	params.delay = (struct brunt_ramp){ .from = 0, .to = 100e6, .in_ns = BRUNT_S };
	begin(&f);
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_OK);
	assert_int_equal(f.injector->change(f.state, BRUNT_S, &f.err), 0);
	from = brunt_now();
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_NXDOMAIN);
	assert_true(brunt_now() - from >= 100 * BRUNT_MS);
	finish(&f);
}

static void two_of_them_do_not_share_a_target(void **unused)
{
	struct dns_params params;
	struct lab_fault f = { .params = &params }, other = { .params = &params };

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	begin(&f);
	lab_load(&other, "dns.fail");
	assert_int_equal(lab_try_hold(&other, lab_process_item(getpid(), lab.cgroup), LAB_LEASE), -EBUSY);
	assert_non_null(strstr(other.err.msg, "another dns.fail"));
	other.injector->detach(other.state);
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_NXDOMAIN);
	lab_release(&f);
	lab_hold(&other, lab_process_item(getpid(), lab.cgroup), LAB_LEASE);
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_NXDOMAIN);
	lab_release(&other);
	lab_unload(&other);
	lab_unload(&f);
	lab_enter("/");
	lab_assert_nothing_left();
}

static void another_process_of_the_cgroup_is_spared(void **unused)
{
	struct dns_params params;
	struct lab_fault f = { .params = &params };
	int status;
	pid_t child;

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	lab_enter(lab.cgroup);
	lab_load(&f, "dns.fail");
	lab_hold(&f, lab_process_item(getpid(), lab.cgroup), LAB_LEASE);
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_NXDOMAIN);
	child = fork();
	if (!child)
		_exit(look_up("meant", PATIENT));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), BRUNT_DNS_OK);
	finish(&f);
}

static void when_the_lease_runs_out_lookups_are_well_and_stay_so(void **unused)
{
	struct dns_params params;
	struct lab_fault f = { .params = &params };

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	lab_enter(lab.cgroup);
	lab_load(&f, "dns.fail");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LEASE);
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_NXDOMAIN);
	usleep((useconds_t)(LEASE / 1000 + 20000));
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_OK);
	f.injector->renew(f.state, brunt_now() + LAB_LEASE);
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_OK);
	assert_true(lab_poll(&f).lapsed);
	finish(&f);
}

static void a_dead_responder_is_told_and_lookups_are_well_with_the_next_renewal(void **unused)
{
	struct dns_params params;
	struct lab_fault f = { .params = &params };

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	begin(&f);
	kill(f.injector->child(f.state), SIGKILL);
	for (int i = 0; i < 5000 && !lab_poll(&f).detached; i++)
		usleep(2000);
	assert_true(lab_poll(&f).detached);
	assert_int_equal(look_up("other", PATIENT), -ECONNREFUSED);
	f.injector->renew(f.state, brunt_now() + LAB_LEASE);
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_OK);
	f.injector->disarm(f.state);
	assert_true(lab_poll(&f).detached);
	finish(&f);
}

/* What is renewed must not reach beyond the last heartbeat and that. */
static void a_stopped_responder_does_not_extend_the_lease(void **unused)
{
	struct dns_params params;
	struct lab_fault f = { .params = &params };
	const struct dns_state *state;
	uint64_t stopped, expires;
	int status;

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	begin(&f);
	state = f.state;
	kill(f.injector->child(f.state), SIGSTOP);
	assert_true(waitpid(f.injector->child(f.state), &status, WUNTRACED) > 0);
	stopped = brunt_now();
	f.injector->renew(f.state, brunt_now() + 100 * BRUNT_S);
	expires = state->bpf.control->expires;
	assert_true(expires <= stopped + LAB_LEASE);
	usleep(50000);
	f.injector->renew(f.state, brunt_now() + 100 * BRUNT_S);
	assert_int_equal(state->bpf.control->expires, expires);
	finish(&f); /* it is killed, although it stands still */
}

static void a_responder_that_hears_nothing_ends_itself(void **unused)
{
	struct dns_params params;
	struct lab_fault f = { .params = &params };
	uint64_t begun;

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	lab_enter(lab.cgroup);
	lab_load(&f, "dns.fail");
	((struct dns_state *)f.state)->lease = LEASE;
	begun = brunt_now();
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LEASE);
	usleep((useconds_t)(LEASE / 2000));	   /* it has set its timer */
	kill(f.injector->child(f.state), SIGSTOP); /* which does not stop with it */
	while (!lab_poll(&f).detached && brunt_now() - begun < 20 * BRUNT_S)
		usleep(2000);
	assert_true(brunt_now() - begun >= LEASE);
	for (int i = 0; i < 5000 && !brunt_responder_is_lost(&((struct dns_state *)f.state)->responders[0]); i++)
		usleep(2000);
	assert_true(brunt_responder_is_lost(&((struct dns_state *)f.state)->responders[0]));
	finish(&f);
}

/* A hundred at once, which a receive queue takes, and more in a row than the responder has room for. */
static void many_clients_are_served(void **unused)
{
	enum { ROUNDS = 15, CLIENTS = 100 };
	struct dns_params params;
	struct lab_fault f = { .params = &params };
	int fds[CLIENTS];

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	begin(&f);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < CLIENTS; i++) {
			uint8_t message[512];
			size_t size = query("name", i % 4 ? "other" : "meant", (uint16_t)i, message);

			fds[i] = client(SOCK_DGRAM);
			assert_int_equal(send(fds[i], message, size, 0), size);
		}
		for (unsigned i = 0; i < CLIENTS; i++) {
			struct pollfd event = { .fd = fds[i], .events = POLLIN };
			uint8_t message[512];

			assert_int_equal(poll(&event, 1, PATIENT), 1);
			assert_true(recv(fds[i], message, sizeof(message), 0) >= 12);
			assert_int_equal(message[0] << 8 | message[1], i);
			assert_int_equal(message[3] & 15, i % 4 ? BRUNT_DNS_OK : BRUNT_DNS_NXDOMAIN);
			close(fds[i]);
		}
		f.injector->renew(f.state, brunt_now() + LAB_LEASE);
	}
	assert_false(lab_poll(&f).detached);
	assert_int_equal(lab_poll(&f).seen, ROUNDS * CLIENTS);
	finish(&f);
}

static void read_whole(int fd, uint8_t *to, size_t size)
{
	while (size) {
		struct pollfd event = { .fd = fd, .events = POLLIN };
		ssize_t got;

		assert_int_equal(poll(&event, 1, PATIENT), 1);
		got = recv(fd, to, size, 0);
		assert_true(got > 0);
		to += got;
		size -= (size_t)got;
	}
}

/* Messages in pieces and several in one piece; lies and truths on one connection, each whole. */
static void a_tcp_connection_carries_many_questions_in_any_pieces(void **unused)
{
	enum { QUESTIONS = 200 };
	static uint8_t stream[QUESTIONS * 64];
	struct dns_params params;
	struct lab_fault f = { .params = &params };
	struct brunt_random random;
	bool seen[QUESTIONS] = { false };
	size_t size = 0, sent = 0;
	int fd;

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	begin(&f);
	for (unsigned i = 0; i < QUESTIONS; i++) {
		size_t one = query("name", i % 3 ? "meant" : "other", (uint16_t)i, stream + size + 2);

		stream[size] = 0;
		stream[size + 1] = (uint8_t)one;
		size += 2 + one;
	}
	fd = client(SOCK_STREAM);
	brunt_random_seed(&random, 1, "pieces");
	while (sent < size) {
		size_t piece = 1 + brunt_random_below(&random, 90);

		piece = piece < size - sent ? piece : size - sent;
		assert_int_equal(send(fd, stream + sent, piece, MSG_NOSIGNAL), piece);
		sent += piece;
		usleep(50);
	}
	for (unsigned i = 0; i < QUESTIONS; i++) {
		uint8_t message[512];
		unsigned id;

		read_whole(fd, message, 2);
		assert_int_equal(message[0], 0);
		read_whole(fd, message + 2, message[1]);
		id = (unsigned)(message[2] << 8 | message[3]);
		assert_true(id < QUESTIONS && !seen[id]);
		seen[id] = true;
		assert_int_equal(message[5] & 15, id % 3 ? BRUNT_DNS_NXDOMAIN : BRUNT_DNS_OK);
	}
	close(fd);
	/* connections that come and go, more than there is room for, and one that says nothing */
	fd = client(SOCK_STREAM);
	for (int i = 0; i < 100; i++) {
		int other = client(SOCK_STREAM);

		assert_true(send(other, stream, (size_t)(i % 30) + 1, MSG_NOSIGNAL) > 0);
		close(other);
	}
	assert_int_equal(look_up("meant", PATIENT), BRUNT_DNS_NXDOMAIN);
	close(fd);
	finish(&f);
}

static void what_is_no_dns_is_passed_on(void **unused)
{
	static const uint8_t junk[] = { 0xff, 0xff, 0xff, 0xff, 0xc0, 0xc0 };
	struct dns_params params;
	struct lab_fault f = { .params = &params };
	uint8_t message[64];
	struct pollfd event = { .events = POLLIN };

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	params.names = (struct brunt_list){ 0 };
	begin(&f);
	event.fd = client(SOCK_DGRAM);
	assert_int_equal(send(event.fd, junk, sizeof(junk), 0), sizeof(junk));
	assert_int_equal(poll(&event, 1, PATIENT), 1);
	assert_int_equal(recv(event.fd, message, sizeof(message), 0), sizeof(junk));
	assert_int_equal(message[2], 0x81); /* as the server does with everything */
	assert_int_equal(lab_poll(&f).matched, 0);
	close(event.fd);
	finish(&f);
}

/* Only the parameters; the rest of the life needs root. */
static void parameters_that_make_no_sense_together_are_refused(void **unused)
{
	struct brunt_endpoint network = { .family = 4, .prefix = 24 };
	struct dns_params params = { .answer = BRUNT_DNS_SAY_ADDRESS };
	struct brunt_error err = { 0 };

	(void)unused;
	assert_int_equal(dns_validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "needs 'addresses'"));
	params.addresses = (struct brunt_list){ &network, 1 };
	assert_int_equal(dns_validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "is not one address"));
	network.prefix = 32;
	assert_int_equal(dns_validate(&params, BRUNT_TARGET_CGROUP, &err), 0);
	params.ttl = BRUNT_S + 1;
	assert_int_equal(dns_validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	params = (struct dns_params){ .answer = BRUNT_DNS_SAY_TRUTH };
	assert_int_equal(dns_validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	params.delay.to = BRUNT_S;
	assert_int_equal(dns_validate(&params, BRUNT_TARGET_CGROUP, &err), 0);
	params.answer = BRUNT_DNS_SAY_NOTHING;
	assert_int_equal(dns_validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_that_make_no_sense_together_are_refused),
		cmocka_unit_test(what_is_meant_is_hurt_while_it_is_held_and_no_longer),
		cmocka_unit_test(attached_but_not_armed_it_does_nothing),
		cmocka_unit_test(a_pulse_may_be_off_for_as_long_as_it_likes),
		cmocka_unit_test(a_ramp_moves_the_chance_and_the_delay),
		cmocka_unit_test(two_of_them_do_not_share_a_target),
		cmocka_unit_test(another_process_of_the_cgroup_is_spared),
		cmocka_unit_test(when_the_lease_runs_out_lookups_are_well_and_stay_so),
		cmocka_unit_test(a_dead_responder_is_told_and_lookups_are_well_with_the_next_renewal),
		cmocka_unit_test(a_stopped_responder_does_not_extend_the_lease),
		cmocka_unit_test(a_responder_that_hears_nothing_ends_itself),
		cmocka_unit_test(many_clients_are_served),
		cmocka_unit_test(a_tcp_connection_carries_many_questions_in_any_pieces),
		cmocka_unit_test(what_is_no_dns_is_passed_on),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
