/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/* network.partition on real traffic: loopback of an own network namespace, sockets of an own cgroup. */
#include "bpf_lab.h"

#include <arpa/inet.h>
#include <poll.h>

#include "program/bpf.h"
#include "fault/drop.h"

/* As in injector/fault/network_partition.c. */
struct partition_params {
	struct brunt_list from, except;
	struct brunt_names_params *names;
	json_t *groups;
	int direction;
	bool one_way;
};

static const struct brunt_injector *partition(void)
{
	return brunt_injector_find("network.partition");
}

static struct brunt_endpoint end(const char *text)
{
	struct brunt_endpoint endpoint;
	struct brunt_error err = { 0 };

	if (brunt_endpoint_parse(text, &endpoint, &err))
		fail_msg("%s", err.msg);
	return endpoint;
}

static struct brunt_item loopback(void)
{
	struct brunt_item item = { .kind = BRUNT_TARGET_INTERFACE, .name = "lo", .picked = true };

	item.interface_index = if_nametoindex("lo");
	return item;
}

/* A UDP socket at an address of loopback, in the cgroup. */
static int udp_at(const char *address, const char *cgroup, struct sockaddr_storage *ret)
{
	struct sockaddr_in own = { .sin_family = AF_INET };
	socklen_t size = sizeof(*ret);
	int fd;

	lab_enter(cgroup);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	lab_enter("/");
	assert_int_equal(inet_pton(AF_INET, address, &own.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	memset(ret, 0, sizeof(*ret));
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &size), 0);
	return fd;
}

static void what_makes_no_sense_is_refused_with_a_reason(void **unused)
{
	static const struct {
		const char *groups;
		int code;
		const char *says;
	} bad[] = {
		{ "[]", -EINVAL, "at least two" },
		{ "[[\"10.0.0.1\"]]", -EINVAL, "at least two" },
		{ "{}", -EINVAL, "at least two" },
		{ "[[\"10.0.0.1\"], []]", -EINVAL, "group 2 of 'groups' is empty" },
		{ "[[\"10.0.0.1\"], \"10.0.0.2\"]", -EINVAL, "group 2 of 'groups' is not an array" },
		{ "[[\"10.0.0.1\"], [7]]", -EINVAL, "no address in quotes" },
		{ "[[\"10.0.0.1\"], [\"10.0.0.2:80\"]]", -EINVAL, "without port" },
		{ "[[\"10.0.0.1\"], [\"10.0.0.2/tcp\"]]", -EINVAL, "without port" },
		{ "[[\"10.0.0.1\"], [\":80\"]]", -EINVAL, "without port" },
		{ "[[\"10.0.0.1\"], [\"db.internal\"]]", -EINVAL, "without port" },
		{ "[[\"10.0.0.1\"], [\"10.0.0.300\"]]", -EINVAL, "10.0.0.300" },
		{ "[[\"10.0.0.0/8\"], [\"10.0.0.2\"]]", -EINVAL, "groups 1 and 2 overlap: 10.0.0.0/8 and 10.0.0.2" },
		{ "[[\"10.0.0.2\"], [\"10.0.0.0/8\"]]", -EINVAL, "groups 1 and 2 overlap" },
		{ "[[\"10.0.0.2\"], [\"::ffff:10.0.0.2\"]]", -EINVAL, "::ffff:10.0.0.2" },
		{ "[[\"10.0.0.1\"], [\"10.0.0.2\"], [\"fd00::/8\"], [\"fd00::1\"]]", -EINVAL, "groups 3 and 4" },
		{ "[[\"10.0.0.1\", \"10.0.0.0/30\"], [\"10.0.0.4\"]]", 0, "" },
		{ "[[\"10.0.0.1\"], [\"fd00::1\"]]", 0, "" },
	};
	struct partition_params params = { .direction = BRUNT_BOTH_WAYS };
	struct brunt_endpoint one = end("10.0.0.1"), wide = end("10.0.0.0/24"), port = end("10.0.0.1:80");
	struct brunt_error err = { 0 };

	(void)unused;
	for (size_t i = 0; i < BRUNT_COUNT(bad); i++) {
		params.groups = json_loads(bad[i].groups, 0, NULL);
		assert_non_null(params.groups);
		err.msg[0] = '\0';
		if (partition()->validate(&params, BRUNT_TARGET_INTERFACE, &err) != bad[i].code ||
		    !strstr(err.msg, bad[i].says))
			fail_msg("%s: %s", bad[i].groups, err.msg);
		json_decref(params.groups);
	}
	params = (struct partition_params){ .direction = BRUNT_BOTH_WAYS };
	assert_int_equal(partition()->validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "needs 'from'"));
	params.from = (struct brunt_list){ &one, 1 };
	assert_int_equal(partition()->validate(&params, BRUNT_TARGET_CGROUP, &err), 0);
	params.one_way = true;
	assert_int_equal(partition()->validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	params.one_way = false;
	params.except = (struct brunt_list){ &port, 1 };
	assert_int_equal(partition()->validate(&params, BRUNT_TARGET_CGROUP, &err), 0);
	params.except = (struct brunt_list){ &wide, 1 };
	assert_int_equal(partition()->validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "spares everything"));
	params.except.count = 0;
	params.groups = json_loads("[[\"10.0.0.1\"], [\"10.0.0.2\"]]", 0, NULL);
	assert_int_equal(partition()->validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "say one"));
	params.from.count = 0;
	params.direction = BRUNT_EGRESS;
	assert_int_equal(partition()->validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	json_decref(params.groups);
}

static void the_target_does_not_reach_what_it_is_cut_off_from(void **unused)
{
	struct sockaddr_storage own, near, far;
	struct brunt_endpoint cut = end("127.0.7.0/24");
	struct partition_params params = { .from = { &cut, 1 }, .direction = BRUNT_BOTH_WAYS };
	struct lab_fault f = { .params = &params };
	int tx, rx_near, rx_far;

	(void)unused;
	LAB_NEEDED();
	tx = udp_at("127.0.0.1", lab.cgroup, &own);
	rx_near = udp_at("127.0.8.1", lab.other, &near);
	rx_far = udp_at("127.0.7.9", lab.other, &far);
	lab_load(&f, "network.partition");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
	assert_int_equal(lab_send(tx, rx_near, &near, 20), 20);
	assert_non_null(strstr(lab_poll(&f).near_miss, "saw 20 packets, none to 127.0.7.0/24"));
	assert_int_equal(lab_send(tx, rx_far, &far, 20), 0);
	assert_int_equal(lab_send(rx_far, tx, &own, 20), 0);
	assert_int_equal(lab_poll(&f).hit, 40);
	lab_release(&f);
	assert_int_equal(lab_send(tx, rx_far, &far, 20), 20);
	lab_unload(&f);
	/* one direction alone */
	params.direction = BRUNT_INGRESS;
	lab_load(&f, "network.partition");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
	assert_int_equal(lab_send(tx, rx_far, &far, 20), 20);
	assert_int_equal(lab_send(rx_far, tx, &own, 20), 0);
	lab_release(&f);
	lab_unload(&f);
	close(tx);
	close(rx_near);
	close(rx_far);
	lab_assert_nothing_left();
}

static bool talks(int from, int to, int timeout_ms)
{
	struct pollfd event = { .fd = to, .events = POLLIN };
	char byte;

	while (recv(to, &byte, 1, MSG_DONTWAIT) == 1)
		;
	return send(from, "x", 1, MSG_NOSIGNAL) == 1 && poll(&event, 1, timeout_ms) == 1;
}

static void an_established_connection_is_cut_and_lives_on_afterwards(void **unused)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(0x7f000709) } };
	struct brunt_endpoint cut = end("127.0.7.9");
	struct partition_params params = { .from = { &cut, 1 }, .direction = BRUNT_BOTH_WAYS };
	struct lab_fault f = { .params = &params };
	socklen_t size = sizeof(at);
	int listener, client, server;

	(void)unused;
	LAB_NEEDED();
	lab_enter(lab.other);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
	lab_enter(lab.cgroup);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&at, size), 0);
	lab_enter("/");
	server = accept(listener, NULL, NULL);
	assert_true(talks(client, server, 10000) && talks(server, client, 10000));
	lab_load(&f, "network.partition");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
	assert_false(talks(client, server, 150));
	assert_false(talks(server, client, 150));
	lab_release(&f);
	assert_true(talks(client, server, 20000)); /* what was lost is sent again first */
	assert_true(talks(server, client, 20000));
	lab_unload(&f);
	close(client);
	close(server);
	close(listener);
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

static void groups_are_kept_apart_at_an_interface(void **unused)
{
	struct partition_params params = { .direction = BRUNT_BOTH_WAYS };
	struct lab_fault f = { .params = &params };
	struct sockaddr_storage at[4];
	int fds[4];

	(void)unused;
	LAB_NEEDED();
	for (int i = 0; i < 4; i++) {
		char address[16];

		(void)snprintf(address, sizeof(address), "127.0.%d.1", i);
		fds[i] = udp_at(address, lab.cgroup, &at[i]);
	}
	/* 0 and 1 are together, 2 is apart, 3 is in no group */
	params.groups = json_loads("[[\"127.0.0.0/23\"], [\"127.0.2.1\"]]", 0, NULL);
	for (int one_way = 0; one_way < 2; one_way++) {
		params.one_way = one_way;
		lab_load(&f, "network.partition");
		if (!has_tcx()) {
			assert_int_equal(lab_try_hold(&f, loopback(), LAB_LEASE), -ENOTSUP);
			assert_non_null(strstr(f.err.msg, "Linux 6.6"));
			lab_release(&f);
			lab_unload(&f);
			continue;
		}
		lab_hold(&f, loopback(), LAB_LEASE);
		assert_int_equal(lab_send(fds[0], fds[3], &at[3], 5), 5);
		assert_non_null(strstr(lab_poll(&f).near_miss, "from one group to another"));
		for (int from = 0; from < 4; from++)
			for (int to = 0; to < 4; to++) {
				bool cut = (from < 2 && to == 2) || (!one_way && from == 2 && to < 2);

				assert_int_equal(lab_send(fds[from], fds[to], &at[to], 5), cut ? 0 : 5);
			}
		lab_release(&f);
		assert_int_equal(lab_send(fds[0], fds[2], &at[2], 5), 5);
		lab_unload(&f);
	}
	json_decref(params.groups);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	lab_assert_nothing_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_makes_no_sense_is_refused_with_a_reason),
		cmocka_unit_test(the_target_does_not_reach_what_it_is_cut_off_from),
		cmocka_unit_test(an_established_connection_is_cut_and_lives_on_afterwards),
		cmocka_unit_test(groups_are_kept_apart_at_an_interface),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
