/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/* The decision of bpf/packet_drop.bpf.c, on crafted packets, by BPF_PROG_TEST_RUN. */
#include "bpf_lab.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <math.h>
#include <stddef.h>

#include "../../bpf/packet_drop.h"
#include "bpf/packet_drop.skel.h"
#include "program/bpf.h"

struct packet {
	unsigned char bytes[256];
	unsigned size;
};

static struct packet_drop_bpf *skel;
static struct brunt_bpf bpf;
static struct brunt_drop_control *control;
static int program_out, program_in, program_tc_out, program_tc_in;

static int setup(void **unused)
{
	struct brunt_error err = { 0 };

	if (lab_setup(unused) || lab.missing)
		return 0;
	skel = packet_drop_bpf__open();
	assert_non_null(skel);
	if (brunt_bpf_open(&bpf, skel->obj, &(struct brunt_fault_context){ .run = LAB_RUN }, &err) ||
	    brunt_bpf_load(&bpf, skel->skeleton, 42, "test", &err))
		fail_msg("%s", err.msg);
	control = &skel->bss->control;
	program_out = brunt_bpf_program(&bpf, skel->obj, "brunt_drop_out");
	program_in = brunt_bpf_program(&bpf, skel->obj, "brunt_drop_in");
	program_tc_out = brunt_bpf_program(&bpf, skel->obj, "brunt_drop_tc_out");
	program_tc_in = brunt_bpf_program(&bpf, skel->obj, "brunt_drop_tc_in");
	return 0;
}

static int teardown(void **unused)
{
	if (!lab.missing) {
		brunt_bpf_unload(&bpf);
		packet_drop_bpf__destroy(skel);
		lab_assert_nothing_left();
	}
	return lab_teardown(unused);
}

/*
 * Five sigma: with numbers that differ from run to run (each CPU draws its own, and which one does so is not said) that much
 * comes by chance once in two million times.
 */
static bool is_likely(double got, double p, unsigned n)
{
	return fabs(got - p * n) <= 5 * sqrt(n * p * (1 - p));
}

/* The run begins again, with other random numbers. */
static void restart(uint64_t seed)
{
	struct brunt_drop_order order = { .random = { seed * 2 + 1, seed * 4 + 1 } };
	__u32 zero = 0;

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(skel->maps.brunt_order), &zero, &order, BPF_ANY), 0);
}

/* Empty rules, all packets lost, silently. */
static int fresh(void **unused)
{
	struct brunt_rule_key key, next;

	(void)unused;
	if (lab.missing)
		return 0;
	while (!bpf_map_get_next_key(bpf.rules, NULL, &next)) {
		key = next;
		assert_int_equal(bpf_map_delete_elem(bpf.rules, &key), 0);
	}
	memset(control, 0, sizeof(*control));
	control->verdict = 2;
	control->selects = 1;
	restart(1);
	for (int i = 0; i < BRUNT_DROP_SEGMENTS; i++)
		control->chance[i] = UINT64_C(1) << 32;
	brunt_bpf_arm(&bpf, brunt_now() + 600 * BRUNT_S); /* an emulated machine takes a minute */
	return 0;
}

static void add(struct packet *packet, const void *bytes, unsigned size)
{
	memcpy(packet->bytes + packet->size, bytes, size);
	packet->size += size;
}

static void add_ports(struct packet *packet, uint16_t source, uint16_t destination)
{
	uint16_t ports[2] = { htons(source), htons(destination) };

	add(packet, ports, sizeof(ports));
	packet->size += 36; /* the rest of TCP's or UDP's header, and payload */
}

static struct packet ipv4(const char *source, const char *destination, uint8_t protocol, uint16_t fragment)
{
	unsigned char header[20] = { 0x45, [8] = 64, [9] = protocol };
	struct packet packet = { .size = 12 };

	header[3] = 60;
	header[6] = (unsigned char)(fragment >> 8);
	header[7] = (unsigned char)fragment;
	assert_int_equal(inet_pton(AF_INET, source, header + 12), 1);
	assert_int_equal(inet_pton(AF_INET, destination, header + 16), 1);
	add(&packet, "\x08\x00", 2);
	add(&packet, header, sizeof(header));
	return packet;
}

static struct packet ipv6(const char *source, const char *destination, uint8_t next)
{
	unsigned char header[40] = { 0x60, [5] = 80, [6] = next, [7] = 64 };
	struct packet packet = { .size = 12 };

	assert_int_equal(inet_pton(AF_INET6, source, header + 8), 1);
	assert_int_equal(inet_pton(AF_INET6, destination, header + 24), 1);
	add(&packet, "\x86\xdd", 2);
	add(&packet, header, sizeof(header));
	return packet;
}

static struct packet tcp4(const char *source, uint16_t sport, const char *destination, uint16_t dport)
{
	struct packet packet = ipv4(source, destination, IPPROTO_TCP, 0);

	add_ports(&packet, sport, dport);
	return packet;
}

static unsigned run(int program, const struct packet *packet, unsigned repeat, unsigned segments)
{
	struct __sk_buff context = { .gso_segs = segments };
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->bytes, .data_size_in = packet->size,
		    .repeat = (int)repeat, .ctx_in = &context, .ctx_size_in = sizeof(context));

	assert_int_equal(bpf_prog_test_run_opts(program, &options), 0);
	return options.retval;
}

/* The tc programs decide alike, whether they read in place or ask the kernel for every byte. */
static bool agreed(int program_tc, const struct packet *packet, bool lost)
{
	static const uint32_t networks[] = { BRUNT_NETWORK_ETHERNET, BRUNT_NETWORK_UNKNOWN };

	for (size_t i = 0; i < BRUNT_COUNT(networks); i++) {
		control->network = networks[i];
		assert_int_equal((int)run(program_tc, packet, 1, 0), lost ? TC_ACT_SHOT : -1);
	}
	return lost;
}

static bool is_lost(struct packet packet)
{
	return agreed(program_tc_out, &packet, run(program_out, &packet, 1, 0) == 2);
}

static bool is_lost_inbound(struct packet packet)
{
	return agreed(program_tc_in, &packet, run(program_in, &packet, 1, 0) == 0);
}

static struct brunt_endpoint endpoint(const char *address, uint8_t prefix, uint16_t port, uint8_t protocol)
{
	struct brunt_endpoint e = { .prefix = prefix, .port_min = port, .port_max = port, .protocol = protocol };

	if (address && strchr(address, ':')) {
		e.family = 6;
		assert_int_equal(inet_pton(AF_INET6, address, e.address), 1);
	} else if (address) {
		e.family = 4;
		assert_int_equal(inet_pton(AF_INET, address, e.address), 1);
	}
	return e;
}

static void rules(enum brunt_rule_list list, struct brunt_endpoint *endpoints, size_t count)
{
	struct brunt_list given = { .items = endpoints, .count = count };
	struct brunt_error err = { 0 };

	if (brunt_bpf_rules(&bpf, list, &given, &err))
		fail_msg("%s", err.msg);
}
#define RULES(list, ...)                                                                                               \
	rules(list, (struct brunt_endpoint[]){ __VA_ARGS__ },                                                          \
	      sizeof((struct brunt_endpoint[]){ __VA_ARGS__ }) / sizeof(struct brunt_endpoint))

static void a_disarmed_program_passes_everything(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	assert_true(is_lost(tcp4("10.0.0.1", 40000, "10.0.0.5", 5432)));
	brunt_bpf_disarm(&bpf);
	assert_false(is_lost(tcp4("10.0.0.1", 40000, "10.0.0.5", 5432)));
}

static void an_error_verdict_is_zero_on_egress(void **unused)
{
	struct packet packet;

	(void)unused;
	LAB_NEEDED();
	packet = tcp4("10.0.0.1", 40000, "10.0.0.5", 5432);
	control->verdict = 0;
	assert_int_equal(run(program_out, &packet, 1, 0), 0);
}

static void the_remote_end_decides_by_address_port_and_protocol(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	RULES(BRUNT_RULES_TO, endpoint("10.0.0.5", 32, 5432, IPPROTO_TCP));
	assert_true(is_lost(tcp4("10.0.0.1", 40000, "10.0.0.5", 5432)));
	assert_false(is_lost(tcp4("10.0.0.1", 40000, "10.0.0.5", 5433)));
	assert_false(is_lost(tcp4("10.0.0.1", 40000, "10.0.0.6", 5432)));
	assert_false(is_lost(tcp4("10.0.0.5", 5432, "10.0.0.1", 40000)));
	assert_true(is_lost_inbound(tcp4("10.0.0.5", 5432, "10.0.0.1", 40000)));
	assert_false(is_lost_inbound(tcp4("10.0.0.1", 40000, "10.0.0.5", 5432)));
	struct packet udp = ipv4("10.0.0.1", "10.0.0.5", IPPROTO_UDP, 0);
	add_ports(&udp, 40000, 5432);
	assert_false(is_lost(udp));
}

static void a_narrow_prefix_keeps_the_ports_of_the_wide_one(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	RULES(BRUNT_RULES_TO, endpoint("10.0.0.0", 8, 80, 0), endpoint("10.0.0.5", 32, 443, 0));
	assert_true(is_lost(tcp4("1.1.1.1", 1, "10.0.0.5", 443)));
	assert_true(is_lost(tcp4("1.1.1.1", 1, "10.0.0.5", 80)));
	assert_true(is_lost(tcp4("1.1.1.1", 1, "10.9.9.9", 80)));
	assert_false(is_lost(tcp4("1.1.1.1", 1, "10.9.9.9", 443)));
}

static void a_bare_port_means_both_families(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	RULES(BRUNT_RULES_TO, endpoint(NULL, 0, 80, 0));
	assert_true(is_lost(tcp4("1.1.1.1", 1, "10.0.0.5", 80)));
	struct packet six = ipv6("fd00::1", "fd00::2", IPPROTO_TCP);
	add_ports(&six, 1, 80);
	assert_true(is_lost(six));
}

static void a_mapped_address_is_an_ipv4_address(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	RULES(BRUNT_RULES_TO, endpoint("::ffff:10.0.0.5", 128, 80, 0));
	assert_true(is_lost(tcp4("1.1.1.1", 1, "10.0.0.5", 80)));
	assert_false(is_lost(tcp4("1.1.1.1", 1, "10.0.0.6", 80)));
}

static void an_exception_spares_either_end(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	RULES(BRUNT_RULES_EXCEPT, endpoint(NULL, 0, 22, IPPROTO_TCP));
	assert_false(is_lost(tcp4("10.0.0.1", 40000, "10.0.0.5", 22)));
	assert_false(is_lost(tcp4("10.0.0.1", 22, "10.0.0.5", 40000)));
	assert_true(is_lost(tcp4("10.0.0.1", 23, "10.0.0.5", 40000)));
}

static void the_local_end_is_the_source_on_egress(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	RULES(BRUNT_RULES_LOCAL, endpoint(NULL, 0, 8080, 0));
	assert_true(is_lost(tcp4("10.0.0.1", 8080, "10.0.0.5", 40000)));
	assert_false(is_lost(tcp4("10.0.0.1", 40000, "10.0.0.5", 8080)));
	assert_true(is_lost_inbound(tcp4("10.0.0.5", 40000, "10.0.0.1", 8080)));
}

static void a_later_fragment_is_judged_by_address_and_protocol(void **unused)
{
	struct packet fragment;

	(void)unused;
	LAB_NEEDED();
	RULES(BRUNT_RULES_TO, endpoint("10.0.0.5", 32, 5432, IPPROTO_UDP));
	fragment = ipv4("10.0.0.1", "10.0.0.5", IPPROTO_UDP, 185);
	add_ports(&fragment, 1, 1);
	assert_true(is_lost(fragment));
	fragment = ipv4("10.0.0.1", "10.0.0.5", IPPROTO_TCP, 185);
	add_ports(&fragment, 1, 1);
	assert_false(is_lost(fragment));
	fragment = ipv4("10.0.0.1", "10.0.0.6", IPPROTO_UDP, 185);
	add_ports(&fragment, 1, 1);
	assert_false(is_lost(fragment));
	/* the first fragment (more fragments, offset 0) does carry ports */
	fragment = ipv4("10.0.0.1", "10.0.0.5", IPPROTO_UDP, 0x2000);
	add_ports(&fragment, 1, 1);
	assert_false(is_lost(fragment));
}

static void icmp_has_no_ports_and_one_name_for_both_families(void **unused)
{
	struct packet echo;

	(void)unused;
	LAB_NEEDED();
	RULES(BRUNT_RULES_TO, endpoint(NULL, 0, 0, IPPROTO_ICMP), endpoint("10.0.0.7", 32, 80, 0));
	echo = ipv4("10.0.0.1", "10.0.0.5", IPPROTO_ICMP, 0);
	add_ports(&echo, 0x0800, 80);
	assert_true(is_lost(echo));
	echo = ipv6("fd00::1", "fd00::2", IPPROTO_ICMPV6);
	add_ports(&echo, 0x8000, 80);
	assert_true(is_lost(echo));
	assert_false(is_lost(tcp4("10.0.0.1", 1, "10.0.0.5", 80)));
	/* port 80 does not match what merely has the same bytes there */
	assert_int_equal(fresh(NULL), 0);
	RULES(BRUNT_RULES_TO, endpoint("10.0.0.7", 32, 80, 0));
	echo = ipv4("10.0.0.1", "10.0.0.7", IPPROTO_ICMP, 0);
	add_ports(&echo, 0x0800, 80);
	assert_false(is_lost(echo));
}

static void extension_headers_are_walked(void **unused)
{
	struct packet packet;

	(void)unused;
	LAB_NEEDED();
	RULES(BRUNT_RULES_TO, endpoint("fd00::", 16, 80, IPPROTO_TCP));
	packet = ipv6("fd00::1", "fd00::2", 0);
	add(&packet, "\x3c\x00\x01\x04\x00\x00\x00\x00", 8); /* hop by hop, then options */
	add(&packet, "\x2b\x01\x01\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	    16); /* 16 bytes, then routing */
	add(&packet, "\x06\x00\x00\x00\x00\x00\x00\x00", 8);
	add_ports(&packet, 1, 80);
	assert_true(is_lost(packet));
	packet = ipv6("fd00::1", "fd00::2", 0);
	add(&packet, "\x06\x00\x01\x04\x00\x00\x00\x00", 8);
	add_ports(&packet, 1, 81);
	assert_false(is_lost(packet));
	/* a first fragment has its ports, a later one has none */
	packet = ipv6("fd00::1", "fd00::2", 44);
	add(&packet, "\x06\x00\x00\x01\x00\x00\x00\x07", 8);
	add_ports(&packet, 1, 81);
	assert_false(is_lost(packet));
	packet = ipv6("fd00::1", "fd00::2", 44);
	add(&packet, "\x06\x00\x00\x08\x00\x00\x00\x07", 8);
	add_ports(&packet, 1, 81);
	assert_true(is_lost(packet));
	packet = ipv6("fd00::1", "fd00::2", 44);
	add(&packet, "\x11\x00\x00\x08\x00\x00\x00\x07", 8);
	add_ports(&packet, 1, 80);
	assert_false(is_lost(packet));
}

static void an_endless_chain_of_headers_is_judged_by_address(void **unused)
{
	struct packet packet;

	(void)unused;
	LAB_NEEDED();
	RULES(BRUNT_RULES_TO, endpoint("fd00::2", 128, 80, IPPROTO_TCP));
	packet = ipv6("fd00::1", "fd00::2", 60);
	for (int i = 0; i < 12; i++)
		add(&packet, "\x3c\x00\x01\x04\x00\x00\x00\x00", 8);
	assert_true(is_lost(packet));
}

static void a_truncated_header_never_reads_past_the_packet(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	RULES(BRUNT_RULES_TO, endpoint("10.0.0.5", 32, 80, 0));
	for (unsigned size = 14 + 20; size < 14 + 24; size++) {
		struct packet packet = tcp4("10.0.0.1", 1, "10.0.0.5", 80);

		packet.size = size;
		(void)is_lost(packet);
	}
}

static void other_protocols_than_ip_are_left_alone(void **unused)
{
	struct packet arp = { .size = 60 };

	(void)unused;
	LAB_NEEDED();
	memcpy(arp.bytes + 12, "\x08\x06", 2);
	assert_false(is_lost(arp));
}

static struct brunt_counters sum(void)
{
	struct brunt_counters all = { 0 };
	__u32 zero = 0;

	assert_int_equal(bpf_map_lookup_elem(bpf.counters, &zero, bpf.percpu), 0);
	for (int i = 0; i < bpf.cpus; i++) {
		all.missed += bpf.percpu[i].missed;
		all.matched += bpf.percpu[i].matched;
		all.hit += bpf.percpu[i].hit;
	}
	return all;
}

static void chance_is_exact_at_its_ends_and_likely_between(void **unused)
{
	static const double chances[] = { 0, 0.001, 0.01, 0.3, 0.5, 0.99, 1 };
	struct packet packet;

	(void)unused;
	LAB_NEEDED();
	packet = tcp4("10.0.0.1", 1, "10.0.0.5", 80);
	for (size_t i = 0; i < BRUNT_COUNT(chances); i++) {
		const unsigned n = 200000;
		struct brunt_counters before = sum(), after;
		double p = chances[i], got;

		control->chance[1] = (uint64_t)(p * 4294967296.0);
		run(program_out, &packet, n, 0);
		after = sum();
		assert_int_equal(after.missed + after.matched - before.missed - before.matched, n);
		assert_int_equal(after.matched - before.matched, n);
		got = (double)(after.hit - before.hit);
		assert_true(is_likely(got, p, n)); /* none of 0 and 1 */
	}
}

static void a_super_packet_counts_its_segments_and_has_their_joint_chance(void **unused)
{
	const unsigned n = 100000, segments = 37;
	const double p = 1 - pow(1 - 0.01, segments);
	struct brunt_counters before, after;
	struct packet packet;
	double got;

	(void)unused;
	LAB_NEEDED();
	packet = tcp4("10.0.0.1", 1, "10.0.0.5", 80);
	control->chance[1] = (uint64_t)(0.01 * 4294967296.0);
	control->chance[segments] = (uint64_t)(p * 4294967296.0);
	before = sum();
	run(program_out, &packet, n, segments);
	after = sum();
	assert_int_equal(after.missed + after.matched - before.missed - before.matched, (uint64_t)n * segments);
	assert_int_equal((after.hit - before.hit) % segments, 0);
	got = (double)(after.hit - before.hit) / segments;
	assert_true(is_likely(got, p, n));
}

/* ---- what one packet's fate has to do with the next one's ---- */

static uint64_t chance_of(double p)
{
	return (uint64_t)(p * 4294967296.0);
}

static void set_model(double p, double r, double lose_bad, double lose_good)
{
	control->ordered = 1;
	control->mode = BRUNT_DROP_MODEL;
	control->model = (struct brunt_drop_model){
		.worsen = chance_of(p),
		.recover = chance_of(r),
		.lose_bad = chance_of(lose_bad),
		.lose_good = chance_of(lose_good),
	};
}

/* The fate of n packets, one by one; on this CPU and another in turn when told so. */
static void fates(bool *lost, unsigned n, bool wander)
{
	struct packet packet = tcp4("10.0.0.1", 1, "10.0.0.5", 80);
	cpu_set_t all, one;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	brunt_bpf_arm(&bpf, brunt_now() + 600 * BRUNT_S); /* an emulated machine takes a minute */
	for (unsigned i = 0, cpu = 0; i < n; i++) {
		if (wander && !(i % 8)) { /* moving a task is dear */
			do
				cpu = (cpu + 1) % CPU_SETSIZE;
			while (!CPU_ISSET(cpu, &all));
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
		}
		lost[i] = run(program_out, &packet, 1, 0) == 2;
	}
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

struct bursts {
	unsigned lost, count;
	unsigned of_length[8]; /* [0] unused; the last: that long or longer */
};

static struct bursts count_bursts(const bool *lost, unsigned n)
{
	struct bursts bursts = { 0 };

	for (unsigned i = 0, length = 0; i < n; i++) {
		bursts.lost += lost[i];
		length = lost[i] ? length + 1 : 0;
		if (!length || (i + 1 < n && lost[i + 1]))
			continue;
		bursts.count++;
		bursts.of_length[length < 7 ? length : 7]++;
	}
	return bursts;
}

/* In the bad state all is lost, so a burst's length is geometric: mean 1/r, variance (1 - r) / r^2. */
static void check_bursts(const struct bursts *bursts, unsigned n, double p, double r)
{
	const double share = p / (p + r), pace = 1 - p - r;
	const double sigma_share = sqrt(share * (1 - share) / n * (1 + pace) / (1 - pace));
	const double mean = (double)bursts->lost / bursts->count;
	double chi_square = 0, left = 1;

	print_message("p %g r %g: lost %.3f %% (%.3f), bursts of %.3f packets (%.3f)\n", p, r, 100.0 * bursts->lost / n,
		      100 * share, mean, 1 / r);
	assert_true(fabs((double)bursts->lost / n - share) <= 3 * sigma_share);
	assert_true(fabs(mean - 1 / r) <= 3 * sqrt((1 - r) / (r * r) / bursts->count));
	for (int length = 1; length <= 7; length++) {
		const double wanted = bursts->count * (length < 7 ? left * r : left);

		chi_square += pow(bursts->of_length[length] - wanted, 2) / wanted;
		left *= 1 - r;
	}
	assert_true(chi_square < 22.5); /* six degrees of freedom: one run in a thousand is above, by another seed */
}

#define MANY 200000

static void bursts_are_as_long_and_as_frequent_as_the_model_says(void **unused)
{
	static const struct {
		double p, r;
	} models[] = { { 0.01, 0.1 }, { 0.05, 0.5 }, { 0.3, 0.3 } };
	bool *lost = test_malloc(MANY);

	(void)unused;
	if (lab.missing)
		test_free(lost);
	LAB_NEEDED();
	for (size_t i = 0; i < BRUNT_COUNT(models); i++) {
		struct bursts bursts;

		set_model(models[i].p, models[i].r, 1, 0);
		restart(7 + i);
		fates(lost, MANY, false);
		bursts = count_bursts(lost, MANY);
		check_bursts(&bursts, MANY, models[i].p, models[i].r);
	}
	test_free(lost);
}

static void a_burst_goes_on_whichever_cpu_its_packets_come_by_on(void **unused)
{
	bool *lost = test_malloc(MANY);
	struct bursts bursts;

	(void)unused;
	if (lab.missing)
		test_free(lost);
	LAB_NEEDED();
	set_model(0.02, 0.05, 1, 0);
	restart(3);
	fates(lost, MANY, true);
	bursts = count_bursts(lost, MANY);
	check_bursts(&bursts, MANY, 0.02, 0.05);
	test_free(lost);
}

static void each_state_of_the_model_loses_its_own_share(void **unused)
{
	const double p = 0.05, r = 0.2, bad = 0.7, good = 0.01, of_bad = p / (p + r);
	const double share = of_bad * bad + (1 - of_bad) * good;
	/* of the sum: independent draws, and the states' own correlation */
	const double sigma = sqrt(
		(share * (1 - share) + 2 * of_bad * (1 - of_bad) * pow(bad - good, 2) * (1 - p - r) / (p + r)) / MANY);
	struct packet packet;
	struct brunt_counters before, after;

	(void)unused;
	LAB_NEEDED();
	packet = tcp4("10.0.0.1", 1, "10.0.0.5", 80);
	set_model(p, r, bad, good);
	before = sum();
	run(program_out, &packet, MANY, 0);
	after = sum();
	assert_int_equal(after.matched - before.matched, MANY);
	print_message("lost %.3f %% (%.3f)\n", 100.0 * (double)(after.hit - before.hit) / MANY, 100 * share);
	assert_true(fabs((double)(after.hit - before.hit) / MANY - share) <= 3 * sigma);
}

static void each_direction_has_its_own_bursts(void **unused)
{
	struct packet packet;
	bool out = false, in;

	(void)unused;
	LAB_NEEDED();
	packet = tcp4("10.0.0.1", 1, "10.0.0.5", 80);
	/* it turns bad with the first packet and stays so: what comes in is not touched by that */
	set_model(1, 0, 1, 0);
	out |= run(program_out, &packet, 1, 0) == 2;
	assert_false(out);
	assert_int_equal(run(program_out, &packet, 1, 0), 2);
	in = run(program_in, &packet, 1, 0) == 0;
	assert_false(in);
	assert_int_equal(run(program_in, &packet, 1, 0), 0);
}

static void the_same_seed_loses_the_same_packets(void **unused)
{
	bool lost[3][2000];

	(void)unused;
	LAB_NEEDED();
	set_model(0.1, 0.3, 0.9, 0.05);
	for (unsigned i = 0; i < 3; i++) {
		restart(i / 2 + 5);
		fates(lost[i], 2000, false);
	}
	assert_memory_equal(lost[0], lost[1], sizeof(lost[0]));
	assert_memory_not_equal(lost[0], lost[2], sizeof(lost[0]));
}

static void every_nth_packet_is_lost_and_no_other(void **unused)
{
	bool lost[1000];

	(void)unused;
	LAB_NEEDED();
	control->ordered = 1;
	control->mode = BRUNT_DROP_NTH;
	control->nth = 7;
	fates(lost, BRUNT_COUNT(lost), false);
	for (unsigned i = 0; i < BRUNT_COUNT(lost); i++)
		assert_int_equal(lost[i], (i + 1) % 7 == 0);
	/* what is not the fault's is not counted */
	RULES(BRUNT_RULES_TO, endpoint("10.0.0.5", 32, 81, 0));
	restart(1);
	for (unsigned i = 0; i < 70; i++) {
		struct packet other = tcp4("10.0.0.1", 1, "10.0.0.5", 80), ours = tcp4("10.0.0.1", 1, "10.0.0.5", 81);

		assert_int_equal(run(program_out, &other, 1, 0), 1);
		assert_int_equal(run(program_out, &ours, 1, 0), (i + 1) % 7 ? 1 : 2);
	}
}

static void the_first_packets_are_lost_and_then_no_more(void **unused)
{
	bool lost[50];

	(void)unused;
	LAB_NEEDED();
	control->ordered = 1;
	control->first = 3;
	fates(lost, BRUNT_COUNT(lost), false);
	for (unsigned i = 0; i < BRUNT_COUNT(lost); i++)
		assert_int_equal(lost[i], i < 3);
	/* disarming and arming is no new run */
	brunt_bpf_disarm(&bpf);
	brunt_bpf_arm(&bpf, brunt_now() + LAB_LEASE);
	fates(lost, BRUNT_COUNT(lost), false);
	for (unsigned i = 0; i < BRUNT_COUNT(lost); i++)
		assert_false(lost[i]);
}

static void a_budget_is_never_exceeded(void **unused)
{
	struct brunt_counters before, after;
	struct packet packet;

	(void)unused;
	LAB_NEEDED();
	packet = tcp4("10.0.0.1", 1, "10.0.0.5", 80);
	control->ordered = 1;
	control->budget = 100;
	control->chance[1] = chance_of(0.5);
	before = sum();
	run(program_out, &packet, 10000, 0);
	after = sum();
	assert_int_equal(after.hit - before.hit, 100);
	assert_int_equal(after.matched - before.matched, 10000);
	/* a large send that does not fit in passes, what fits is lost */
	restart(1);
	control->chance[1] = control->chance[60];
	assert_int_equal(run(program_out, &packet, 1, 60), 2);
	assert_int_equal(run(program_out, &packet, 1, 60), 1);
	assert_int_equal(run(program_out, &packet, 1, 40), 2);
	assert_int_equal(run(program_out, &packet, 1, 0), 1);
}

/* ---- TCP flags ---- */

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, CWR = 128 };

static struct packet tcp_with(uint8_t flags)
{
	struct packet packet = tcp4("10.0.0.1", 1, "10.0.0.5", 80);

	packet.bytes[14 + 20 + 13] = flags;
	return packet;
}

static void set_flags(uint8_t mask, uint8_t set, bool inverted)
{
	control->base.ports = 1;
	control->flags = (struct brunt_drop_flags){ .mask = mask, .set = set, .inverted = inverted };
}

static void tcp_flags_are_compared_under_a_mask(void **unused)
{
	struct packet packet;

	(void)unused;
	LAB_NEEDED();
	set_flags(SYN | ACK, SYN, false);
	for (unsigned flags = 0; flags < 256; flags++)
		assert_int_equal(is_lost(tcp_with((uint8_t)flags)), (flags & (SYN | ACK)) == SYN);
	set_flags(CWR, CWR, false);
	for (unsigned flags = 0; flags < 256; flags++)
		assert_int_equal(is_lost(tcp_with((uint8_t)flags)), !!(flags & CWR));
	set_flags(SYN | ACK, SYN, true);
	for (unsigned flags = 0; flags < 256; flags++)
		assert_int_equal(is_lost(tcp_with((uint8_t)flags)), (flags & (SYN | ACK)) != SYN);
	/* what has no flags is in no state, asked for either way */
	packet = ipv4("10.0.0.1", "10.0.0.5", IPPROTO_UDP, 0);
	add_ports(&packet, 1, 80);
	packet.bytes[14 + 20 + 13] = ACK;
	assert_false(is_lost(packet));
	packet = ipv4("10.0.0.1", "10.0.0.5", IPPROTO_TCP, 185); /* a later fragment */
	add_ports(&packet, 1, 80);
	packet.bytes[14 + 20 + 13] = ACK;
	assert_false(is_lost(packet));
	packet = tcp_with(ACK);
	packet.size = 14 + 20 + 13; /* cut before them */
	assert_false(is_lost(packet));
}

static void tcp_flags_are_found_behind_extension_headers_and_options(void **unused)
{
	struct packet packet;

	(void)unused;
	LAB_NEEDED();
	set_flags(SYN, SYN, false);
	for (int set = 0; set < 2; set++) {
		unsigned at;

		packet = ipv6("fd00::1", "fd00::2", 0);
		add(&packet, "\x06\x00\x01\x04\x00\x00\x00\x00", 8);
		at = packet.size;
		add_ports(&packet, 1, 80);
		packet.bytes[at + 13] = set ? SYN : ACK;
		assert_int_equal(is_lost(packet), set);
		packet = ipv4("10.0.0.1", "10.0.0.5", IPPROTO_TCP, 0);
		packet.bytes[14] = 0x46;
		add(&packet, "\x01\x01\x01\x00", 4);
		at = packet.size;
		add_ports(&packet, 1, 80);
		packet.bytes[at + 13] = set ? SYN : ACK;
		assert_int_equal(is_lost(packet), set);
	}
}

/* ---- groups ---- */

static void put_group(const char *address, uint8_t prefix, uint32_t group)
{
	struct brunt_endpoint member = endpoint(address, prefix, 0, 0);
	struct brunt_error err = { 0 };

	if (brunt_bpf_group(&bpf, &member, group, &err))
		fail_msg("%s", err.msg);
}

static bool passes(const char *from, const char *to)
{
	return !is_lost(tcp4(from, 1, to, 2)) && !is_lost_inbound(tcp4(from, 1, to, 2));
}

static void what_goes_from_one_group_to_another_is_cut(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	put_group("10.0.0.1", 32, 1);
	put_group("10.0.0.2", 32, 1);
	put_group("10.1.0.0", 16, 2);
	put_group("10.2.0.9", 32, 3);
	put_group("fd00::1", 128, 1);
	put_group("fd01::", 16, 2);
	for (control->groups = BRUNT_GROUPS_BOTH; control->groups <= BRUNT_GROUPS_ONE_WAY; control->groups++) {
		bool one_way = control->groups == BRUNT_GROUPS_ONE_WAY;
		struct packet six = ipv6("fd00::1", "fd01::5", IPPROTO_UDP), back = ipv6("fd01::5", "fd00::1", 17);

		assert_false(passes("10.0.0.1", "10.1.2.3"));
		assert_false(passes("10.0.0.2", "10.2.0.9"));
		assert_false(passes("10.1.2.3", "10.2.0.9"));
		assert_int_equal(passes("10.1.2.3", "10.0.0.1"), one_way);
		assert_int_equal(passes("10.2.0.9", "10.1.0.1"), one_way);
		/* within a group, and with the rest of the world, all is well */
		assert_true(passes("10.0.0.1", "10.0.0.2"));
		assert_true(passes("10.1.0.1", "10.1.0.2"));
		assert_true(passes("10.0.0.1", "10.0.0.3"));
		assert_true(passes("10.9.0.1", "10.1.0.2"));
		assert_true(is_lost(six));
		assert_int_equal(is_lost(back), !one_way);
	}
}

static void a_lapsed_lease_stays_lapsed(void **unused)
{
	struct packet packet;

	(void)unused;
	LAB_NEEDED();
	packet = tcp4("10.0.0.1", 1, "10.0.0.5", 80);
	assert_true(is_lost(packet));
	brunt_bpf_renew(&bpf, brunt_now() + 30 * BRUNT_MS);
	usleep(40000);
	assert_false(is_lost(packet));
	assert_int_equal(control->base.lapsed, 1);
	/* a renewal that comes too late, by whatever road */
	brunt_bpf_renew(&bpf, brunt_now() + LAB_LEASE);
	control->base.expires = brunt_now() + LAB_LEASE;
	assert_false(is_lost(packet));
	brunt_bpf_arm(&bpf, brunt_now() + LAB_LEASE);
	assert_true(is_lost(packet));
}

static void a_renewal_after_the_end_latches_even_without_traffic(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	brunt_bpf_arm(&bpf, brunt_now() + 5 * BRUNT_MS);
	usleep(10000);
	brunt_bpf_renew(&bpf, brunt_now() + LAB_LEASE);
	assert_false(is_lost(tcp4("10.0.0.1", 1, "10.0.0.5", 80)));
}

static void too_many_port_ranges_for_one_address_are_refused(void **unused)
{
	struct brunt_endpoint many[BRUNT_RULE_SLOTS + 1];
	struct brunt_list list = { .items = many, .count = BRUNT_COUNT(many) };
	struct brunt_error err = { 0 };

	(void)unused;
	LAB_NEEDED();
	for (size_t i = 0; i < BRUNT_COUNT(many); i++)
		many[i] = endpoint("10.0.0.5", 32, (uint16_t)(80 + i), 0);
	assert_int_equal(brunt_bpf_rules(&bpf, BRUNT_RULES_TO, &list, &err), -E2BIG);
	assert_non_null(strstr(err.msg, "split the fault"));
}

static void verify_reads_the_control_block_back_from_the_kernel(void **unused)
{
	struct brunt_error err = { 0 };

	(void)unused;
	LAB_NEEDED();
	assert_int_equal(brunt_bpf_verify(&bpf, &err), -EBUSY);
	brunt_bpf_disarm(&bpf);
	assert_int_equal(brunt_bpf_verify(&bpf, &err), 0);
}

/* What the rules mean, without tries, hulls and slots. */
static bool holds(const struct brunt_endpoint *e, uint8_t family, const unsigned char *address, uint16_t port,
		  uint8_t protocol)
{
	if (e->family && e->family != family)
		return false;
	for (unsigned bit = 0; e->family && bit < e->prefix; bit++)
		if ((e->address[bit / 8] ^ address[bit / 8]) & 0x80 >> bit % 8)
			return false;
	if (e->protocol && e->protocol != protocol)
		return false;
	return !e->port_max || (port >= e->port_min && port <= e->port_max);
}

static bool any_holds(const struct brunt_endpoint *list, size_t count, uint8_t family, const unsigned char *address,
		      uint16_t port, uint8_t protocol)
{
	for (size_t i = 0; i < count; i++)
		if (holds(&list[i], family, address, port, protocol))
			return true;
	return false;
}

/* Few addresses and ports, so that rules and packets meet often. */
static void draw_address(struct brunt_random *random, uint8_t family, unsigned char *address)
{
	const unsigned size = family == 4 ? 4 : 16;

	memset(address, 0, 16);
	address[0] = family == 4 ? 10 : 0xfd;
	for (unsigned i = 1; i < size; i++)
		if (!(brunt_random_next(random) % 4))
			address[i] = (unsigned char)(1u << brunt_random_next(random) % 8);
}

static size_t draw_rules(struct brunt_random *random, struct brunt_endpoint *list)
{
	static const uint8_t protocols[] = { 0, IPPROTO_TCP, IPPROTO_UDP };
	const size_t count = brunt_random_next(random) % 5;

	for (size_t i = 0; i < count; i++) {
		struct brunt_endpoint *e = &list[i];

		*e = (struct brunt_endpoint){ .family = (uint8_t[]){ 0, 4, 4, 6, 6 }[brunt_random_next(random) % 5] };
		if (e->family) {
			draw_address(random, e->family, e->address);
			e->prefix = (uint8_t)(brunt_random_next(random) % (e->family == 4 ? 33 : 129));
			for (unsigned bit = e->prefix; bit < 128; bit++)
				e->address[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		}
		e->protocol = protocols[brunt_random_next(random) % 3];
		if (!e->family || brunt_random_next(random) % 2) {
			e->port_min = (uint16_t)(1 + brunt_random_next(random) % 4);
			e->port_max = (uint16_t)(e->port_min + brunt_random_next(random) % 2);
		}
	}
	return count;
}

static void random_rules_decide_as_they_are_meant(void **unused)
{
	struct brunt_endpoint list[3][5];
	struct brunt_random random;
	unsigned lost = 0, kept = 0;
	size_t count[3];

	LAB_NEEDED();
	brunt_random_seed(&random, 1, "rules");
	for (int round = 0; round < 300; round++) {
		assert_int_equal(fresh(unused), 0);
		for (int i = 0; i < 3; i++) {
			count[i] = draw_rules(&random, list[i]);
			rules((enum brunt_rule_list)i, list[i], count[i]);
		}
		for (int n = 0; n < 20; n++) {
			const uint8_t family = brunt_random_next(&random) % 2 ? 4 : 6;
			const uint8_t protocol = brunt_random_next(&random) % 2 ? IPPROTO_TCP : IPPROTO_UDP;
			const uint16_t near = (uint16_t)(1 + brunt_random_next(&random) % 5);
			const uint16_t far = (uint16_t)(1 + brunt_random_next(&random) % 5);
			unsigned char local[16], remote[16];
			struct packet packet;
			bool wanted;

			draw_address(&random, family, local);
			draw_address(&random, family, remote);
			packet = family == 4 ? ipv4("0.0.0.0", "0.0.0.0", protocol, 0) : ipv6("::", "::", protocol);
			memcpy(packet.bytes + (family == 4 ? 26 : 22), local, family == 4 ? 4 : 16);
			memcpy(packet.bytes + (family == 4 ? 30 : 38), remote, family == 4 ? 4 : 16);
			add_ports(&packet, near, far);
			wanted = (!count[0] || any_holds(list[0], count[0], family, remote, far, protocol)) &&
				 (!count[1] || any_holds(list[1], count[1], family, local, near, protocol)) &&
				 !any_holds(list[2], count[2], family, remote, far, protocol) &&
				 !any_holds(list[2], count[2], family, local, near, protocol);
			if (is_lost(packet) != wanted)
				fail_msg("round %d, packet %d: %s", round, n, wanted ? "kept" : "lost");
			*(wanted ? &lost : &kept) += 1;
		}
	}
	/* Both happen, or nothing was tried. */
	assert_true(lost > 500);
	assert_true(kept > 500);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fresh)
	const struct CMUnitTest tests[] = {
		TEST(random_rules_decide_as_they_are_meant),
		TEST(a_disarmed_program_passes_everything),
		TEST(an_error_verdict_is_zero_on_egress),
		TEST(the_remote_end_decides_by_address_port_and_protocol),
		TEST(a_narrow_prefix_keeps_the_ports_of_the_wide_one),
		TEST(a_bare_port_means_both_families),
		TEST(a_mapped_address_is_an_ipv4_address),
		TEST(an_exception_spares_either_end),
		TEST(the_local_end_is_the_source_on_egress),
		TEST(a_later_fragment_is_judged_by_address_and_protocol),
		TEST(icmp_has_no_ports_and_one_name_for_both_families),
		TEST(extension_headers_are_walked),
		TEST(an_endless_chain_of_headers_is_judged_by_address),
		TEST(a_truncated_header_never_reads_past_the_packet),
		TEST(other_protocols_than_ip_are_left_alone),
		TEST(chance_is_exact_at_its_ends_and_likely_between),
		TEST(a_super_packet_counts_its_segments_and_has_their_joint_chance),
		TEST(bursts_are_as_long_and_as_frequent_as_the_model_says),
		TEST(a_burst_goes_on_whichever_cpu_its_packets_come_by_on),
		TEST(each_state_of_the_model_loses_its_own_share),
		TEST(each_direction_has_its_own_bursts),
		TEST(the_same_seed_loses_the_same_packets),
		TEST(every_nth_packet_is_lost_and_no_other),
		TEST(the_first_packets_are_lost_and_then_no_more),
		TEST(a_budget_is_never_exceeded),
		TEST(tcp_flags_are_compared_under_a_mask),
		TEST(tcp_flags_are_found_behind_extension_headers_and_options),
		TEST(what_goes_from_one_group_to_another_is_cut),
		TEST(a_lapsed_lease_stays_lapsed),
		TEST(a_renewal_after_the_end_latches_even_without_traffic),
		TEST(too_many_port_ranges_for_one_address_are_refused),
		TEST(verify_reads_the_control_block_back_from_the_kernel),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
