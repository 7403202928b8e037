/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/* packet.drop on real traffic: loopback of an own network namespace, sockets of an own cgroup. */
#include "bpf_lab.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <linux/if_tun.h>
#include <sys/prctl.h>
#include <time.h>

#include "program/bpf.h"
#include "fault/drop.h"

/* As in injector/fault/packet_drop.c. */
struct drop_params {
	struct brunt_ramp probability;
	struct brunt_gemodel *gemodel;
	uint64_t nth, first, budget;
	struct brunt_list to, local, except;
	struct brunt_names_params *names;
	int direction;
	struct brunt_list tcp_flags;
	int state;
	bool error;
};
enum { EGRESS = 1, INGRESS = 2, BOTH = 3 };
enum { ANY_CONNECTION, NEW, ESTABLISHED };

static struct drop_params defaults(void)
{
	struct drop_params params;
	struct brunt_error err;

	memset(&params, 0, sizeof(params));
	assert_int_equal(brunt_param_defaults(brunt_injector_find("packet.drop")->table, &params, lab.arena, &err), 0);
	return params;
}

/* tx belongs to the target's cgroup, rx to the other. */
static void open_pair(int family, int *ret_tx, int *ret_rx, struct sockaddr_storage *ret_to)
{
	struct sockaddr_storage own;

	lab_enter(lab.other);
	*ret_rx = lab_udp(family, ret_to);
	lab_enter(lab.cgroup);
	*ret_tx = lab_udp(family, &own);
	lab_enter("/");
}

static void close_pair(int tx, int rx)
{
	close(tx);
	close(rx);
}

static void the_defaults_are_all_packets_both_ways_silently(void **unused)
{
	struct drop_params params;

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	assert_true(params.probability.from == 1 && params.probability.to == 1);
	assert_int_equal(params.direction, BOTH);
	assert_false(params.error);
}

static void packets_of_a_cgroup_are_lost_while_held_and_only_then(void **unused)
{
	struct sockaddr_storage to;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	struct brunt_hits hits;
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	params.direction = EGRESS;
	open_pair(AF_INET, &tx, &rx, &to);
	lab_load(&f, "packet.drop");
	assert_int_equal(lab_send(tx, rx, &to, 50), 50);
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
	assert_int_equal(lab_send(tx, rx, &to, 50), 0);
	hits = lab_poll(&f);
	assert_int_equal(hits.seen, 50);
	assert_int_equal(hits.hit, 50);
	assert_string_equal(hits.near_miss, "");
	assert_false(hits.detached || hits.target_gone || hits.lapsed);
	/* other cgroups are not hit */
	assert_int_equal(lab_send(rx, rx, &to, 50), 50);
	f.injector->disarm(f.state);
	assert_int_equal(lab_send(tx, rx, &to, 50), 50);
	lab_release(&f);
	assert_int_equal(lab_send(tx, rx, &to, 50), 50);
	/* and again, from prepare */
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
	assert_int_equal(lab_send(tx, rx, &to, 50), 0);
	lab_release(&f);
	lab_unload(&f);
	close_pair(tx, rx);
	lab_assert_nothing_left();
}

static void ipv6_packets_are_lost_too(void **unused)
{
	struct sockaddr_storage to;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	struct brunt_endpoint endpoint;
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	open_pair(AF_INET6, &tx, &rx, &to);
	endpoint = lab_endpoint(6, &in6addr_loopback, 128, lab_port(&to));
	params = defaults();
	params.to = (struct brunt_list){ &endpoint, 1 };
	lab_load(&f, "packet.drop");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
	assert_int_equal(lab_send(tx, rx, &to, 50), 0);
	lab_release(&f);
	assert_int_equal(lab_send(tx, rx, &to, 50), 50);
	lab_unload(&f);
	close_pair(tx, rx);
}

static void what_the_target_receives_is_lost_on_ingress(void **unused)
{
	struct sockaddr_storage to;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	open_pair(AF_INET, &tx, &rx, &to);
	params = defaults();
	params.direction = INGRESS;
	lab_load(&f, "packet.drop");
	lab_hold(&f, lab_cgroup_item(lab.other), LAB_LEASE);
	assert_int_equal(lab_send(tx, rx, &to, 50), 0);
	lab_release(&f);
	lab_unload(&f);
	close_pair(tx, rx);
}

static void the_sender_sees_eperm_when_asked_and_nothing_otherwise(void **unused)
{
	struct sockaddr_storage to;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	open_pair(AF_INET, &tx, &rx, &to);
	for (int error = 0; error < 2; error++) {
		params = defaults();
		params.direction = EGRESS;
		params.error = error;
		lab_load(&f, "packet.drop");
		lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
		errno = 0;
		assert_int_equal(sendto(tx, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), error ? -1 : 1);
		assert_int_equal(errno, error ? EPERM : 0);
		lab_release(&f);
		lab_unload(&f);
	}
	close_pair(tx, rx);
}

static void an_endpoint_that_nobody_talks_to_is_told_as_a_near_miss(void **unused)
{
	static const unsigned char nowhere[4] = { 10, 0, 0, 5 };
	struct brunt_endpoint endpoint = lab_endpoint(4, nowhere, 32, 5432);
	struct sockaddr_storage to;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	struct brunt_hits hits;
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	open_pair(AF_INET, &tx, &rx, &to);
	params = defaults();
	params.direction = EGRESS;
	params.to = (struct brunt_list){ &endpoint, 1 };
	lab_load(&f, "packet.drop");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
	assert_string_equal(lab_poll(&f).near_miss, "no packet came by");
	assert_int_equal(lab_send(tx, rx, &to, 14), 14);
	hits = lab_poll(&f);
	assert_int_equal(hits.seen, 14);
	assert_int_equal(hits.matched, 0);
	assert_non_null(strstr(hits.near_miss, "saw 14 packets, none to 10.0.0.5"));
	lab_release(&f);
	lab_unload(&f);
	close_pair(tx, rx);
}

static void the_counters_are_exactly_what_was_lost(void **unused)
{
	const unsigned n = 100000;
	struct sockaddr_storage to;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	struct brunt_hits hits;
	unsigned arrived;
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	open_pair(AF_INET, &tx, &rx, &to);
	params = defaults();
	params.direction = EGRESS;
	params.probability = (struct brunt_ramp){ .from = 0.3, .to = 0.3 };
	lab_load(&f, "packet.drop");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), 600 * BRUNT_S);
	arrived = lab_send(tx, rx, &to, n);
	hits = lab_poll(&f);
	assert_int_equal(hits.seen, n);
	assert_int_equal(hits.hit, n - arrived);
	assert_true(fabs((double)hits.hit - 0.3 * n) <= 5 * sqrt(n * 0.3 * 0.7)); /* by chance: one in two million */
	lab_release(&f);
	lab_unload(&f);
	close_pair(tx, rx);
}

static void the_loss_follows_the_ramp(void **unused)
{
	const unsigned n = 10000;
	struct sockaddr_storage to;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	open_pair(AF_INET, &tx, &rx, &to);
	params = defaults();
	params.direction = EGRESS;
	params.probability = (struct brunt_ramp){ .from = 0, .to = 1, .in_ns = 10 * BRUNT_S };
	lab_load(&f, "packet.drop");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), 600 * BRUNT_S);
	assert_int_equal(lab_send(tx, rx, &to, n), n);
	for (int percent = 20; percent < 100; percent += 30) {
		double p = percent / 100.0, lost;

		assert_int_equal(f.injector->change(f.state, (uint64_t)percent * BRUNT_S / 10, &f.err), 0);
		lost = n - lab_send(tx, rx, &to, n);
		assert_true(fabs(lost - p * n) <= 5 * sqrt(n * p * (1 - p)));
	}
	assert_int_equal(f.injector->change(f.state, 10 * BRUNT_S, &f.err), 0);
	assert_int_equal(lab_send(tx, rx, &to, n), 0);
	/* between two pulses, and again */
	f.injector->disarm(f.state);
	assert_int_equal(f.injector->verify(f.state, &f.err), 0);
	assert_int_equal(lab_send(tx, rx, &to, n), n);
	assert_int_equal(f.injector->arm(f.state, brunt_now() + 600 * BRUNT_S, &f.err), 0);
	assert_int_equal(lab_send(tx, rx, &to, n), 0);
	lab_release(&f);
	lab_unload(&f);
	close_pair(tx, rx);
}

static void traffic_is_back_when_nobody_renews_the_lease_and_stays_back(void **unused)
{
	const uint64_t lease = 2 * BRUNT_S; /* longer than what a machine with much else to do may stop for */
	struct sockaddr_storage to;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	uint64_t begin, expires = 0, sent;
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	open_pair(AF_INET, &tx, &rx, &to);
	params = defaults();
	params.direction = EGRESS;
	lab_load(&f, "packet.drop");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), lease);
	begin = brunt_now();
	for (int i = 0; i < 6; i++) {
		usleep(400000);
		expires = brunt_now() + lease;
		f.injector->renew(f.state, expires);
		assert_int_equal(lab_send(tx, rx, &to, 1), 0);
	}
	assert_true(brunt_now() - begin > lease);
	for (sent = brunt_now(); !lab_send(tx, rx, &to, 1); sent = brunt_now()) {
		assert_true(sent <= expires + 20 * BRUNT_MS);
		usleep(500);
	}
	print_message("back %.1f ms after the last renewal (lease 2 s)\n", (double)(sent - expires + lease) / 1e6);
	assert_true(lab_poll(&f).lapsed);
	f.injector->renew(f.state, brunt_now() + LAB_LEASE);
	assert_int_equal(lab_send(tx, rx, &to, 20), 20);
	lab_release(&f);
	lab_unload(&f);
	close_pair(tx, rx);
}

/* In a child: serves TCP echo. Reports the listener's port, then answers until killed. */
static pid_t start_server(uint16_t *ret_port)
{
	int ready[2];
	pid_t child;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
		socklen_t size = sizeof(own);
		struct pollfd fds[8] = { { .events = POLLIN } };
		int count = 1;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		lab_enter(lab.cgroup);
		fds[0].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(fds[0].fd, (struct sockaddr *)&own, size) || listen(fds[0].fd, 8) ||
		    getsockname(fds[0].fd, (struct sockaddr *)&own, &size) ||
		    write(ready[1], &own.sin_port, sizeof(own.sin_port)) != sizeof(own.sin_port))
			_exit(1);
		while (poll(fds, (nfds_t)count, -1) > 0) {
			char byte;

			if (fds[0].revents && count < 8)
				fds[count++] = (struct pollfd){ .fd = accept(fds[0].fd, NULL, NULL), .events = POLLIN };
			for (int i = 1; i < count; i++)
				if (fds[i].revents && read(fds[i].fd, &byte, 1) == 1)
					(void)!write(fds[i].fd, &byte, 1);
		}
		_exit(0);
	}
	assert_int_equal(read(ready[0], ret_port, sizeof(*ret_port)), sizeof(*ret_port));
	close(ready[0]);
	close(ready[1]);
	return child;
}

static int dial(uint16_t port, int timeout_ms)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = port, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct pollfd event = { .events = POLLOUT };
	socklen_t size = sizeof(int);
	int failure = 0;

	event.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)connect(event.fd, (struct sockaddr *)&to, sizeof(to));
	if (poll(&event, 1, timeout_ms) == 1 && !getsockopt(event.fd, SOL_SOCKET, SO_ERROR, &failure, &size) &&
	    !failure)
		return event.fd;
	close(event.fd);
	return -1;
}

static bool echoes(int fd, int timeout_ms)
{
	struct pollfd event = { .fd = fd, .events = POLLIN };
	char byte;

	while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
		;
	return write(fd, "x", 1) == 1 && poll(&event, 1, timeout_ms) == 1 && read(fd, &byte, 1) == 1;
}

static void a_running_process_loses_old_connections_and_new_ones(void **unused)
{
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	uint16_t port;
	pid_t server;
	int old, fresh;

	(void)unused;
	LAB_NEEDED();
	server = start_server(&port);
	lab_enter(lab.other);
	old = dial(port, 10000);
	assert_true(old >= 0 && echoes(old, 10000));
	params = defaults();
	params.direction = EGRESS;
	lab_load(&f, "packet.drop");
	lab_hold(&f, lab_process_item(server, lab.cgroup), LAB_LEASE);
	assert_false(echoes(old, 100));
	assert_int_equal(dial(port, 100), -1); /* the listener's SYN-ACK is lost */
	assert_true(lab_poll(&f).hit > 0);
	f.injector->disarm(f.state);
	fresh = dial(port, 10000); /* accepted from a tagged listener */
	assert_true(fresh >= 0 && echoes(fresh, 10000));
	assert_int_equal(f.injector->arm(f.state, brunt_now() + LAB_LEASE, &f.err), 0);
	assert_false(echoes(fresh, 100));
	lab_release(&f);
	assert_true(echoes(fresh, 10000));
	/* a second round: the old tags are void, the victim is another */
	lab_hold(&f, lab_process_item(getpid(), lab.other), LAB_LEASE);
	f.injector->disarm(f.state);
	lab_release(&f);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	lab_unload(&f);
	close_pair(old, fresh);
	lab_enter("/");
	lab_assert_nothing_left();
}

static void a_neighbour_in_the_same_cgroup_is_not_hit(void **unused)
{
	struct sockaddr_storage to;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	uint16_t port;
	pid_t server;
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	server = start_server(&port);
	open_pair(AF_INET, &tx, &rx, &to);
	params = defaults();
	lab_load(&f, "packet.drop");
	lab_hold(&f, lab_process_item(server, lab.cgroup), LAB_LEASE);
	assert_int_equal(lab_send(tx, rx, &to, 50), 50);
	assert_int_equal(lab_poll(&f).seen, 0);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	assert_true(lab_poll(&f).target_gone);
	lab_release(&f);
	lab_unload(&f);
	close_pair(tx, rx);
}

static void a_new_socket_of_the_process_is_hit(void **unused)
{
	struct sockaddr_storage to, own;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	open_pair(AF_INET, &tx, &rx, &to);
	close(tx);
	params = defaults();
	params.direction = EGRESS;
	lab_enter(lab.cgroup);
	lab_load(&f, "packet.drop");
	lab_hold(&f, lab_process_item(getpid(), lab.cgroup), LAB_LEASE);
	tx = lab_udp(AF_INET, &own);
	assert_int_equal(lab_send(tx, rx, &to, 50), 0);
	lab_release(&f);
	assert_int_equal(lab_send(tx, rx, &to, 50), 50);
	lab_unload(&f);
	lab_enter("/");
	close_pair(tx, rx);
}

static bool has_tcx(void)
{
	static const struct bpf_insn next[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = -1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int program = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "test", "GPL", next, 2, NULL);
	bool has = brunt_bpf_has_tcx(program);

	close(program);
	return has;
}

static void packets_at_an_interface_are_lost(void **unused)
{
	struct brunt_item item = { .kind = BRUNT_TARGET_INTERFACE, .name = "lo", .picked = true };
	struct sockaddr_storage to;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	item.interface_index = if_nametoindex("lo");
	if (!has_tcx()) {
		print_message("needs tcx links, of Linux 6.6\n");
		skip();
	}
	open_pair(AF_INET, &tx, &rx, &to);
	for (int direction = EGRESS; direction <= BOTH; direction++) {
		params = defaults();
		params.direction = direction;
		lab_load(&f, "packet.drop");
		if (lab_try_hold(&f, item, LAB_LEASE) == -ENOTSUP) { /* before Linux 6.6; what it does then is below */
			lab_unload(&f);
			close_pair(tx, rx);
			print_message("needs tcx: %s\n", f.err.msg);
			skip();
		}
		assert_int_equal(lab_send(tx, rx, &to, 50), 0);
		assert_int_equal(lab_poll(&f).hit, 50);
		assert_false(lab_poll(&f).target_gone || lab_poll(&f).detached);
		lab_release(&f);
		assert_int_equal(lab_send(tx, rx, &to, 50), 50);
		lab_unload(&f);
	}
	close_pair(tx, rx);
	lab_assert_nothing_left();
}

/* A device without link headers; what is written to the descriptor comes in there. -1: none can be made here. */
static int open_tun(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr = { htonl(0x0a090901) } };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), control;

	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request)) {
		close(fd);
		return -1;
	}
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(&request.ifr_addr, &own, sizeof(own));
	assert_int_equal(ioctl(control, SIOCSIFADDR, &request), 0);
	own.sin_addr.s_addr = htonl(0xffffff00);
	memcpy(&request.ifr_netmask, &own, sizeof(own));
	assert_int_equal(ioctl(control, SIOCSIFNETMASK, &request), 0);
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	assert_int_equal(ioctl(control, SIOCSIFFLAGS, &request), 0);
	close(control);
	return fd;
}

/* How many of n datagrams from 10.9.9.host, port 7, come in. */
static unsigned comes_in(int tun, int rx, uint16_t port, unsigned char host, unsigned n)
{
	unsigned char packet[32] = { 0x45, 0, 0, 32, [8] = 64, 17, [12] = 10, 9, 9, host, 10, 9, 9, 1, 0, 7 };
	unsigned arrived = 0, sum = 0;
	char byte[8];

	packet[22] = (unsigned char)(port >> 8);
	packet[23] = (unsigned char)port;
	packet[25] = 12; /* UDP's length; its checksum is left out */
	for (int i = 0; i < 20; i += 2)
		sum += (unsigned)packet[i] << 8 | packet[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	packet[10] = (unsigned char)(~sum >> 8);
	packet[11] = (unsigned char)~sum;
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(write(tun, packet, sizeof(packet)), sizeof(packet));
		arrived +=
			recv(rx, byte, sizeof(byte), 0) > 0; /* with a timeout: what comes in does so a little later */
	}
	return arrived;
}

static void packets_of_a_device_without_link_headers_are_read_right(void **unused)
{
	struct brunt_item item = { .kind = BRUNT_TARGET_INTERFACE, .name = "brunt-tun", .picked = true };
	const struct brunt_victims victims = { .items = &item, .matched = 1, .picked = 1 };
	struct sockaddr_in own = { .sin_family = AF_INET };
	struct timeval patience = { .tv_usec = 500000 };
	struct brunt_endpoint endpoint;
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	socklen_t size = sizeof(own);
	uint16_t port;
	int tun, rx;

	(void)unused;
	LAB_NEEDED();
	tun = has_tcx() ? open_tun(item.name) : -1;
	if (tun < 0) {
		print_message("needs tcx links, of Linux 6.6, and /dev/net/tun\n");
		skip();
	}
	item.interface_index = if_nametoindex(item.name);
	assert_int_equal(brunt_bpf_network(&victims), BRUNT_NETWORK_FIRST);
	rx = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rx, (struct sockaddr *)&own, size), 0);
	assert_int_equal(getsockname(rx, (struct sockaddr *)&own, &size), 0);
	assert_int_equal(setsockopt(rx, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	port = ntohs(own.sin_port);
	assert_int_equal(comes_in(tun, rx, port, 2, 5), 5);
	endpoint = lab_endpoint(4, "\x0a\x09\x09\x02", 32, 7);
	params = defaults();
	params.to = (struct brunt_list){ &endpoint, 1 };
	lab_load(&f, "packet.drop");
	lab_hold(&f, item, LAB_LEASE);
	assert_int_equal(comes_in(tun, rx, port, 2, 5), 0);
	assert_int_equal(comes_in(tun, rx, port, 3, 5), 5);
	assert_int_equal(lab_poll(&f).hit, 5);
	/* and on the way out */
	own.sin_addr.s_addr = htonl(0x0a090902);
	own.sin_port = htons(7);
	assert_int_equal(sendto(rx, "x", 1, 0, (struct sockaddr *)&own, size), 1);
	assert_int_equal(lab_poll(&f).hit, 6);
	lab_release(&f);
	assert_int_equal(comes_in(tun, rx, port, 2, 5), 5);
	lab_unload(&f);
	close(rx);
	close(tun);
}

static void only_what_as_good_as_cuts_is_told_to_cut(void **unused)
{
	const struct brunt_injector *injector = brunt_injector_find("packet.drop");
	struct brunt_endpoint own = lab_endpoint(4, "\x0a\0\0\x01", 32, 22);
	struct brunt_endpoint remote = lab_endpoint(4, "\x0a\0\0\x09", 32, 5000);
	struct brunt_gemodel model = { .p = 0.1, .r = 0.1, .has_r = true, .lose_bad = 1 };
	struct drop_params params = { .probability = { 1, 1, 0, false }, .direction = BOTH };

	(void)unused;
	own.protocol = remote.protocol = IPPROTO_TCP;
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_CUTS);
	params.probability = (struct brunt_ramp){ 0, 0.6, BRUNT_S, true };
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_CUTS);
	params.probability = (struct brunt_ramp){ 0.1, 0.1, 0, true };
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_HURTS);
	params.probability = (struct brunt_ramp){ 1, 1, 0, false };
	params.gemodel = &model;
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_CUTS);
	model.p = 0.01;
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_HURTS);
	params.gemodel = NULL;
	params.nth = 2;
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_CUTS);
	params.nth = 3;
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_HURTS);
	params.nth = 0;
	params.first = 3;
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_HURTS);
	params.first = 100000;
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_CUTS);
	params.first = 0;
	params.state = NEW; /* that one is open already */
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_NONE);
	params.state = ESTABLISHED;
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_CUTS);
	own.protocol = remote.protocol = IPPROTO_UDP;
	assert_int_equal(injector->harm(&params, &own, &remote), BRUNT_HARM_NONE);
}

static bool pretend_no_tcx;
bool __real_brunt_bpf_has_tcx(int program);
bool __wrap_brunt_bpf_has_tcx(int program);
bool __wrap_brunt_bpf_has_tcx(int program)
{
	return !pretend_no_tcx && __real_brunt_bpf_has_tcx(program);
}

/* lo has index 1 in every namespace: told apart it cannot be, hit it can, in this test alone. */
static bool pretend_unique;
int __real_brunt_interface_is_unique(const char *proc, unsigned index, const char *name, struct brunt_error *err);
int __wrap_brunt_interface_is_unique(const char *proc, unsigned index, const char *name, struct brunt_error *err);
int __wrap_brunt_interface_is_unique(const char *proc, unsigned index, const char *name, struct brunt_error *err)
{
	return pretend_unique ? 0 : __real_brunt_interface_is_unique(proc, index, name, err);
}

static void before_linux_6_6_an_interface_that_cannot_be_told_apart_is_refused(void **unused)
{
	struct brunt_item item = {
		.kind = BRUNT_TARGET_INTERFACE,
		.name = "lo",
		.picked = true,
		.interface_index = if_nametoindex("lo"),
	};
	struct brunt_victims victims = { .items = &item, .matched = 1, .picked = 1, .share = 1 };
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	struct brunt_undo_record undo;
	struct brunt_error err = { 0 };

	(void)unused;
	LAB_NEEDED();
	params = defaults();
	pretend_no_tcx = true;
	lab_load(&f, "packet.drop");
	pretend_no_tcx = false;
	assert_int_equal(f.injector->prepare(f.state, &victims, &undo, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "cannot tell 'lo' from interface 1"));
	item.interface_index = 123456789;
	assert_int_equal(f.injector->prepare(f.state, &victims, &undo, &err), 0);
	lab_unload(&f);
}

static void before_linux_6_6_an_interface_is_hit_through_the_root_cgroup(void **unused)
{
	struct brunt_item item = { .kind = BRUNT_TARGET_INTERFACE, .name = "lo", .picked = true };
	struct sockaddr_storage to;
	struct drop_params params;
	struct brunt_endpoint endpoint;
	struct lab_fault f = { .params = &params };
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	item.interface_index = if_nametoindex("lo");
	open_pair(AF_INET, &tx, &rx, &to);
	/* the root cgroup is everybody's: only this test's own port is hit */
	endpoint = lab_endpoint(4, &((struct sockaddr_in *)&to)->sin_addr, 32, lab_port(&to));
	params = defaults();
	params.direction = EGRESS;
	params.to = (struct brunt_list){ &endpoint, 1 };
	pretend_no_tcx = true;
	lab_load(&f, "packet.drop");
	pretend_no_tcx = false;
	pretend_unique = true;
	lab_hold(&f, item, LAB_LEASE);
	assert_int_equal(lab_send(tx, rx, &to, 50), 0);
	assert_int_equal(lab_poll(&f).hit, 50);
	lab_release(&f);
	item.interface_index += 1000;
	lab_hold(&f, item, LAB_LEASE);
	assert_int_equal(lab_send(tx, rx, &to, 50), 50);
	lab_release(&f);
	lab_unload(&f);
	pretend_unique = false;
	close_pair(tx, rx);
	lab_assert_nothing_left();
}

static void a_cgroup_that_is_removed_is_reported(void **unused)
{
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	struct brunt_hits hits;
	char name[80], path[400];

	(void)unused;
	LAB_NEEDED();
	(void)snprintf(name, sizeof(name), "%s/sub", lab.cgroup);
	(void)snprintf(path, sizeof(path), "%s%s", lab.mount, name);
	assert_int_equal(mkdir(path, 0755), 0);
	params = defaults();
	lab_load(&f, "packet.drop");
	lab_hold(&f, lab_cgroup_item(name), LAB_LEASE);
	assert_int_equal(rmdir(path), 0);
	for (int i = 0; i < 2000 && !lab_poll(&f).detached; i++)
		usleep(10000);
	hits = lab_poll(&f);
	assert_true(hits.target_gone);
	assert_true(hits.detached);
	lab_release(&f);
	/* nor can it be attached to again */
	assert_int_equal(lab_try_hold(&f, lab_cgroup_item(name), LAB_LEASE), -ESRCH);
	lab_release(&f);
	lab_unload(&f);
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void killing_the_holder_brings_traffic_back(void **unused)
{
	struct sockaddr_storage to;
	struct drop_params params;
	double took[30];
	int tx, rx;

	(void)unused;
	LAB_NEEDED();
	open_pair(AF_INET, &tx, &rx, &to);
	params = defaults();
	params.direction = EGRESS;
	for (size_t i = 0; i < BRUNT_COUNT(took); i++) {
		int ready[2];
		uint64_t begin;
		pid_t holder;
		char byte;

		assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
		holder = fork();
		if (!holder) {
			struct lab_fault f = { .params = &params };

			prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is stopped leaves no fault behind */
			lab_load(&f, "packet.drop");
			if (lab_try_hold(&f, lab_cgroup_item(lab.cgroup), 600 * BRUNT_S)) {
				print_message("hold: %s\n", f.err.msg);
				_exit(1); /* a failure here would go on with the tests in this process, too */
			}
			(void)!write(ready[1], "x", 1);
			for (;;)
				pause();
		}
		close(ready[1]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		close(ready[0]);
		assert_int_equal(lab_send(tx, rx, &to, 3), 0);
		begin = brunt_now();
		kill(holder, SIGKILL);
		while (!lab_send(tx, rx, &to, 1))
			assert_true(brunt_now() - begin < 10 * BRUNT_S);
		took[i] = (double)(brunt_now() - begin) / 1e6;
		waitpid(holder, NULL, 0);
	}
	qsort(took, BRUNT_COUNT(took), sizeof(took[0]), compare);
	print_message("kill -9 to normal: median %.2f ms, worst of %zu %.2f ms\n", took[BRUNT_COUNT(took) / 2],
		      BRUNT_COUNT(took), took[BRUNT_COUNT(took) - 1]);
	assert_true(took[BRUNT_COUNT(took) / 2] < 1000);
	close_pair(tx, rx);
	lab_assert_nothing_left();
}

static void somebody_elses_program_on_the_same_cgroup_stays(void **unused)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_CGROUP_INET_EGRESS);
	struct drop_params params;
	struct lab_fault f = { .params = &params };
	__u32 ids[8], count;
	int foreign, directory;
	char path[400];

	(void)unused;
	LAB_NEEDED();
	(void)snprintf(path, sizeof(path), "%s%s", lab.mount, lab.cgroup);
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	foreign = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "foreign", "GPL", pass, 2, &options);
	assert_true(foreign >= 0);
	params = defaults();
	lab_load(&f, "packet.drop");
	/* the friendly kind: several may attach */
	assert_int_equal(bpf_prog_attach(foreign, directory, BPF_CGROUP_INET_EGRESS, BPF_F_ALLOW_MULTI), 0);
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
	count = 8;
	assert_int_equal(bpf_prog_query(directory, BPF_CGROUP_INET_EGRESS, 0, NULL, ids, &count), 0);
	assert_int_equal(count, 2);
	lab_release(&f);
	count = 8;
	assert_int_equal(bpf_prog_query(directory, BPF_CGROUP_INET_EGRESS, 0, NULL, ids, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(bpf_prog_detach2(foreign, directory, BPF_CGROUP_INET_EGRESS), 0);
	/* the exclusive kind: refused, and it stays */
	assert_int_equal(bpf_prog_attach(foreign, directory, BPF_CGROUP_INET_EGRESS, 0), 0);
	assert_int_equal(lab_try_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE), -EPERM);
	assert_non_null(strstr(f.err.msg, "allows no other"));
	lab_release(&f);
	count = 8;
	assert_int_equal(bpf_prog_query(directory, BPF_CGROUP_INET_EGRESS, 0, NULL, ids, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(bpf_prog_detach2(foreign, directory, BPF_CGROUP_INET_EGRESS), 0);
	lab_unload(&f);
	close(foreign);
	close(directory);
}

static void nonsense_is_refused_before_anything_is_touched(void **unused)
{
	const struct brunt_injector *injector = brunt_injector_find("packet.drop");
	struct drop_params params = { .probability = { .from = 1, .to = 1 }, .direction = BOTH, .error = true };
	struct brunt_error err = { 0 };

	(void)unused;
	assert_int_equal(injector->validate(&params, BRUNT_TARGET_CGROUP, &err), 0);
	assert_int_equal(injector->validate(&params, BRUNT_TARGET_INTERFACE, &err), -EINVAL);
	params.direction = INGRESS;
	assert_int_equal(injector->validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_are_all_packets_both_ways_silently),
		cmocka_unit_test(packets_of_a_cgroup_are_lost_while_held_and_only_then),
		cmocka_unit_test(ipv6_packets_are_lost_too),
		cmocka_unit_test(what_the_target_receives_is_lost_on_ingress),
		cmocka_unit_test(the_sender_sees_eperm_when_asked_and_nothing_otherwise),
		cmocka_unit_test(an_endpoint_that_nobody_talks_to_is_told_as_a_near_miss),
		cmocka_unit_test(the_counters_are_exactly_what_was_lost),
		cmocka_unit_test(the_loss_follows_the_ramp),
		cmocka_unit_test(traffic_is_back_when_nobody_renews_the_lease_and_stays_back),
		cmocka_unit_test(a_running_process_loses_old_connections_and_new_ones),
		cmocka_unit_test(a_neighbour_in_the_same_cgroup_is_not_hit),
		cmocka_unit_test(a_new_socket_of_the_process_is_hit),
		cmocka_unit_test(packets_at_an_interface_are_lost),
		cmocka_unit_test(packets_of_a_device_without_link_headers_are_read_right),
		cmocka_unit_test(only_what_as_good_as_cuts_is_told_to_cut),
		cmocka_unit_test(before_linux_6_6_an_interface_that_cannot_be_told_apart_is_refused),
		cmocka_unit_test(before_linux_6_6_an_interface_is_hit_through_the_root_cgroup),
		cmocka_unit_test(a_cgroup_that_is_removed_is_reported),
		cmocka_unit_test(killing_the_holder_brings_traffic_back),
		cmocka_unit_test(somebody_elses_program_on_the_same_cgroup_stays),
		cmocka_unit_test(nonsense_is_refused_before_anything_is_touched),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
