/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/*
 * The detour's life in a network namespace of the test's own, with nothing in its legs: what it makes and takes away,
 * failures on the way, and the way without tcx, which is chosen here by saying that the kernel has none.
 */
#include "bpf_lab.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../../bpf/detour.h"
#include "bpf/detour.skel.h"
#include "program/bpf.h"
#include "detour/detour.h"
#include "detour/detour_parts.h"
#include "network/rtnl.h"

bool __real_brunt_bpf_has_tcx(int program);
bool __wrap_brunt_bpf_has_tcx(int program);

static bool without_tcx;

bool __wrap_brunt_bpf_has_tcx(int program)
{
	return !without_tcx && __real_brunt_bpf_has_tcx(program);
}

/* ---- a back end that does what it is told ---- */

static struct {
	int start; /* what it returns */
	unsigned started, stopped;
	uint64_t backlog;
	bool dead;
} end;

static int end_start(void *opaque, struct brunt_leg *leg, struct brunt_error *err)
{
	(void)opaque;
	assert_true(leg->device > 0);
	assert_int_equal(if_nametoindex(leg->device_name), leg->device);
	end.started++;
	return end.start ? brunt_fail(err, -end.start, "the back end does not want") : 0;
}

static int end_backlog(void *opaque, const struct brunt_leg *leg, uint64_t *ret_packets)
{
	(void)opaque;
	(void)leg;
	*ret_packets = end.backlog;
	return 0;
}

static bool end_alive(void *opaque, const struct brunt_leg *leg)
{
	(void)opaque;
	(void)leg;
	return !end.dead;
}

static void end_stop(void *opaque, struct brunt_leg *leg, bool drain)
{
	(void)opaque;
	(void)leg;
	(void)drain;
	end.stopped++;
}

static const struct brunt_detour_backend backend = {
	.name = "nothing", .start = end_start, .backlog = end_backlog, .alive = end_alive, .stop = end_stop
};

static const struct brunt_list nothing;
static struct brunt_detour_match match;
static struct brunt_item item;
static struct brunt_victims victims;
static struct brunt_undo_record undo;
static struct brunt_error err;

static int fresh(void **unused)
{
	(void)unused;
	memset(&end, 0, sizeof(end));
	memset(&undo, 0, sizeof(undo));
	memset(&item, 0, sizeof(item));
	without_tcx = false;
	match = (struct brunt_detour_match){ .direction = BRUNT_DETOUR_BOTH,
					     .to = &nothing,
					     .local = &nothing,
					     .except = &nothing,
					     .interfaces = &nothing,
					     .flows = 1 };
	item.kind = BRUNT_TARGET_INTERFACE;
	item.picked = true;
	item.interface_index = if_nametoindex("lo");
	(void)snprintf(item.name, sizeof(item.name), "lo");
	victims = (struct brunt_victims){ .items = &item, .matched = 1, .picked = 1, .share = 1 };
	return 0;
}

static struct brunt_detour *load(void)
{
	const struct brunt_fault_context context = {
		.run = LAB_RUN, .seed = 42, .cgroup_mount = lab.mount, .lease_ns = LAB_LEASE
	};
	struct brunt_detour *detour;

	if (brunt_detour_load(&match, &backend, NULL, &context, "test 1", BRUNT_S, &detour, &err))
		fail_msg("load: %s", err.msg);
	return detour;
}

static struct brunt_detour *hold(void)
{
	struct brunt_detour *detour = load();

	if (brunt_detour_prepare(detour, &victims, &undo, &err) || brunt_detour_attach(detour, &err))
		fail_msg("hold: %s", err.msg);
	brunt_detour_arm(detour, brunt_now() + LAB_LEASE);
	return detour;
}

static void release(struct brunt_detour *detour, bool drain)
{
	int r;

	brunt_detour_disarm(detour);
	assert_int_equal(brunt_detour_verify(detour, &err), 0);
	brunt_detour_detach(detour, drain);
	while ((r = brunt_detour_settled(detour, &err)) == -EAGAIN)
		usleep(2000);
	if (r)
		fail_msg("settled: %s", err.msg);
}

static uint64_t hits_of(struct brunt_detour *detour)
{
	struct brunt_hits hits;

	assert_int_equal(brunt_detour_poll(detour, &hits), 0);
	return hits.hit;
}

static bool is_detached(struct brunt_detour *detour)
{
	struct brunt_hits hits;

	assert_int_equal(brunt_detour_poll(detour, &hits), 0);
	return hits.detached;
}

/* Datagrams over loopback; how many arrived. */
static unsigned traffic(int family, unsigned count)
{
	struct sockaddr_storage to;
	int rx = lab_udp(family, &to), tx = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned arrived = 0;
	char byte;

	for (unsigned i = 0; i < count; i++) {
		struct pollfd event = { .fd = rx, .events = POLLIN };

		(void)sendto(tx, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
		if (poll(&event, 1, 10000) == 1)
			arrived += recv(rx, &byte, 1, MSG_DONTWAIT) == 1;
	}
	close(rx);
	close(tx);
	return arrived;
}

/* ---- what is on lo ---- */

static struct brunt_rtnl rtnl = { .fd = -1 };

static int count_link(void *user, const struct brunt_link *link)
{
	*(unsigned *)user += !strncmp(link->alias, "brunt run ", 10) || link->name[0] == 'b';
	return 0;
}

static unsigned devices(void)
{
	unsigned count = 0;

	assert_int_equal(brunt_rtnl_open(&rtnl, NETLINK_ROUTE, &err), 0);
	assert_int_equal(brunt_link_each(&rtnl, count_link, &count, &err), 0);
	brunt_rtnl_close(&rtnl);
	return count;
}

static int count_filter(void *user, const struct brunt_filter *filter)
{
	*(unsigned *)user += filter->handle != 0;
	return 0;
}

static unsigned filters(bool ingress)
{
	unsigned count = 0;

	assert_int_equal(brunt_rtnl_open(&rtnl, NETLINK_ROUTE, &err), 0);
	assert_int_equal(brunt_filter_each(&rtnl, item.interface_index, ingress, count_filter, &count, &err), 0);
	brunt_rtnl_close(&rtnl);
	return count;
}

static int clsact(int (*what)(struct brunt_rtnl *, unsigned, struct brunt_error *))
{
	int r;

	assert_int_equal(brunt_rtnl_open(&rtnl, NETLINK_ROUTE, &err), 0);
	r = what(&rtnl, item.interface_index, &err);
	brunt_rtnl_close(&rtnl);
	return r;
}

static void assert_clean(void)
{
	assert_int_equal(devices(), 0);
	assert_int_equal(filters(true) + filters(false), 0);
	assert_int_equal(clsact(brunt_clsact_is_there), 0);
	lab_assert_nothing_left();
}

/* ---- tests ---- */

static void this_host_can(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	if (brunt_detour_probe(false, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(devices(), 0);
}

static void packets_go_round_and_nothing_is_left(void **unused)
{
	struct brunt_detour *detour;

	(void)unused;
	LAB_NEEDED();
	detour = hold();
	assert_int_equal(devices(), 1);
	assert_int_equal(end.started, 1);
	assert_int_equal(traffic(AF_INET, 10), 10);
	assert_int_equal(traffic(AF_INET6, 10), 10);
	assert_int_equal(hits_of(detour), 20);
	assert_false(is_detached(detour));
	release(detour, true);
	assert_int_equal(end.stopped, 1);
	assert_int_equal(traffic(AF_INET, 10), 10);
	assert_int_equal(hits_of(detour), 20);
	brunt_detour_unload(detour);
	assert_clean();
}

static void it_goes_through_its_life_again_and_again(void **unused)
{
	struct brunt_detour *detour;

	(void)unused;
	LAB_NEEDED();
	detour = load();
	for (unsigned i = 1; i <= 5; i++) {
		assert_int_equal(brunt_detour_prepare(detour, &victims, &undo, &err), 0);
		assert_int_equal(brunt_detour_attach(detour, &err), 0);
		brunt_detour_arm(detour, brunt_now() + LAB_LEASE);
		assert_int_equal(traffic(AF_INET, 5), 5);
		assert_int_equal(hits_of(detour), 5 * i);
		brunt_detour_disarm(detour);
		/* every second time it is prepared again before the last one is gone */
		brunt_detour_detach(detour, true);
		brunt_detour_detach(detour, true);
		while (i % 2 && brunt_detour_settled(detour, &err) == -EAGAIN)
			usleep(2000);
	}
	while (brunt_detour_settled(detour, &err) == -EAGAIN)
		usleep(2000);
	assert_int_equal(brunt_detour_settled(detour, &err), 0);
	brunt_detour_unload(detour);
	assert_clean();
}

static void disarmed_it_changes_nothing(void **unused)
{
	struct brunt_detour *detour;

	(void)unused;
	LAB_NEEDED();
	detour = hold();
	brunt_detour_disarm(detour);
	assert_int_equal(traffic(AF_INET, 10), 10);
	assert_int_equal(hits_of(detour), 0);
	release(detour, true);
	brunt_detour_unload(detour);
	assert_clean();
}

static void a_lease_that_ran_out_ends_it(void **unused)
{
	struct brunt_detour_extra extra;
	struct brunt_detour *detour;
	struct brunt_hits hits;

	(void)unused;
	LAB_NEEDED();
	detour = hold();
	brunt_detour_arm(detour, brunt_now() - 1);
	assert_int_equal(traffic(AF_INET, 10), 10);
	brunt_detour_renew(detour, brunt_now() + LAB_LEASE);
	assert_int_equal(traffic(AF_INET, 10), 10);
	assert_int_equal(brunt_detour_poll(detour, &hits), 0);
	assert_int_equal(hits.hit, 0);
	assert_true(hits.lapsed);
	brunt_detour_read(detour, &extra);
	assert_int_equal(extra.expired, 20);
	release(detour, true);
	brunt_detour_unload(detour);
	assert_clean();
}

static void a_dead_line_is_not_renewed(void **unused)
{
	struct brunt_detour *detour;
	struct brunt_hits hits;

	(void)unused;
	LAB_NEEDED();
	detour = hold();
	brunt_detour_arm(detour, brunt_now() + 50 * BRUNT_MS);
	end.dead = true;
	brunt_detour_renew(detour, brunt_now() + LAB_LEASE);
	usleep(60000);
	assert_int_equal(brunt_detour_poll(detour, &hits), 0);
	assert_true(hits.lapsed);
	assert_true(hits.detached);
	release(detour, false);
	brunt_detour_unload(detour);
	assert_clean();
}

static void a_back_end_that_fails_leaves_nothing(void **unused)
{
	struct brunt_detour *detour;

	(void)unused;
	LAB_NEEDED();
	detour = load();
	end.start = -EINVAL;
	assert_int_equal(brunt_detour_prepare(detour, &victims, &undo, &err), 0);
	assert_int_equal(brunt_detour_attach(detour, &err), -EINVAL);
	assert_string_equal(err.msg, "the back end does not want");
	assert_int_equal(end.stopped, 1);
	brunt_detour_detach(detour, false);
	while (brunt_detour_settled(detour, &err) == -EAGAIN)
		usleep(2000);
	assert_int_equal(traffic(AF_INET, 10), 10);
	brunt_detour_unload(detour);
	assert_clean();
}

static void what_waits_is_counted_when_it_is_let_go(void **unused)
{
	struct brunt_detour *detour;

	(void)unused;
	LAB_NEEDED();
	detour = hold();
	end.backlog = 7;
	release(detour, false);
	assert_int_equal(brunt_detour_lost(detour), 7);
	brunt_detour_unload(detour);
	assert_clean();
}

static void a_queue_that_never_empties_is_waited_for_no_longer_than_said(void **unused)
{
	struct brunt_detour *detour;
	uint64_t begin;

	(void)unused;
	LAB_NEEDED();
	end.backlog = 1;
	detour = hold();
	begin = brunt_now();
	release(detour, true);
	assert_true(brunt_now() - begin >= BRUNT_S);
	assert_true(brunt_now() - begin < 30 * BRUNT_S);
	brunt_detour_unload(detour);
	assert_clean();
}

static void another_run_on_the_same_direction_is_refused(void **unused)
{
	static const struct brunt_fault_context context = { .run = "0badc0de", .seed = 42, .lease_ns = LAB_LEASE };
	struct brunt_detour *detour, *other;

	(void)unused;
	LAB_NEEDED();
	detour = hold();
	assert_int_equal(brunt_detour_load(&match, &backend, NULL, &context, "test 1", BRUNT_S, &other, &err), 0);
	assert_int_equal(brunt_detour_prepare(other, &victims, &undo, &err), -EEXIST);
	assert_non_null(strstr(err.msg, LAB_RUN));
	brunt_detour_unload(other);
	release(detour, true);
	brunt_detour_unload(detour);
	assert_clean();
}

static void a_foreign_frame_on_our_device_goes_nowhere(void **unused)
{
	struct brunt_detour_extra extra;
	struct brunt_detour *detour;

	(void)unused;
	LAB_NEEDED();
	detour = hold();
	{
		/* any packet that the stack sends there */
		struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		struct ifreq request = { .ifr_flags = 0 };
		char name[IF_NAMESIZE];

		for (unsigned i = 1; i < 1000; i++)
			if (if_indextoname(i, name) && name[0] == 'b')
				memcpy(request.ifr_name, name, sizeof(name));
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, request.ifr_name, IF_NAMESIZE), 0);
		to.sin_addr.s_addr = htonl(0x0a090909);
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
		close(fd);
	}
	brunt_detour_read(detour, &extra);
	assert_int_equal(extra.foreign, 1);
	release(detour, true);
	brunt_detour_unload(detour);
	assert_clean();
}

static void without_tcx_filters_do_the_same(void **unused)
{
	struct brunt_detour *detour;

	(void)unused;
	LAB_NEEDED();
	without_tcx = true;
	detour = hold();
	assert_int_equal(filters(false), 1);
	assert_int_equal(traffic(AF_INET, 10), 10);
	assert_int_equal(traffic(AF_INET6, 10), 10);
	assert_int_equal(hits_of(detour), 20);
	assert_false(is_detached(detour));
	release(detour, true);
	brunt_detour_unload(detour);
	assert_clean();
}

static void without_tcx_a_filter_that_was_removed_is_noticed(void **unused)
{
	struct brunt_detour *detour;

	(void)unused;
	LAB_NEEDED();
	without_tcx = true;
	detour = hold();
	assert_int_equal(clsact(brunt_clsact_delete), 0);
	assert_true(is_detached(detour));
	release(detour, true);
	brunt_detour_unload(detour);
	assert_clean();
}

/* A filter of somebody else: any BPF program will do. */
static void add_foreign_filter(unsigned priority)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = -1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign", "GPL", pass, BRUNT_COUNT(pass), NULL);

	assert_true(fd >= 0);
	assert_int_equal(brunt_rtnl_open(&rtnl, NETLINK_ROUTE, &err), 0);
	if (brunt_filter_add(&rtnl, item.interface_index, false, priority, 1, fd, "foreign", &err))
		fail_msg("%s", err.msg);
	brunt_rtnl_close(&rtnl);
	close(fd);
}

static void without_tcx_what_others_have_there_stays(void **unused)
{
	struct brunt_detour *detour;

	(void)unused;
	LAB_NEEDED();
	without_tcx = true;
	assert_int_equal(clsact(brunt_clsact_add), 0);
	add_foreign_filter(3);
	add_foreign_filter(4);
	detour = hold();
	assert_int_equal(filters(false), 3);
	assert_int_equal(traffic(AF_INET, 10), 10);
	assert_int_equal(hits_of(detour), 10);
	release(detour, true);
	assert_int_equal(filters(false), 2);
	assert_int_equal(brunt_detour_recover(&undo, &err), 0);
	assert_int_equal(filters(false), 2);
	assert_int_equal(clsact(brunt_clsact_is_there), 1);
	assert_int_equal(clsact(brunt_clsact_delete), 0);
	brunt_detour_unload(detour);
	assert_clean();
}

static void without_tcx_a_clsact_of_ours_stays_for_others_who_use_it(void **unused)
{
	struct brunt_detour *detour;

	(void)unused;
	LAB_NEEDED();
	without_tcx = true;
	detour = hold();
	add_foreign_filter(1);
	release(detour, true);
	assert_int_equal(filters(false), 1);
	assert_int_equal(brunt_detour_recover(&undo, &err), 0);
	assert_int_equal(filters(false), 1);
	assert_int_equal(clsact(brunt_clsact_delete), 0);
	brunt_detour_unload(detour);
	assert_clean();
}

static void without_tcx_two_detours_share_a_clsact(void **unused)
{
	struct brunt_detour *first, *second;

	(void)unused;
	LAB_NEEDED();
	without_tcx = true;
	first = hold();
	second = hold();
	assert_int_equal(filters(false), 2);
	assert_int_equal(traffic(AF_INET, 10), 10);
	assert_int_equal(hits_of(first), 10);
	assert_int_equal(hits_of(second), 10);
	release(first, true);
	assert_int_equal(traffic(AF_INET, 10), 10);
	assert_int_equal(hits_of(first), 10);
	assert_int_equal(hits_of(second), 20);
	release(second, true);
	brunt_detour_unload(second);
	brunt_detour_unload(first);
	assert_clean();
}

static void without_tcx_what_a_dead_holder_leaves_is_inert_and_recovered(void **unused)
{
	struct brunt_undo_record *shared =
		mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pipes[2];
	pid_t pid;
	char byte;

	(void)unused;
	LAB_NEEDED();
	without_tcx = true;
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		(void)hold();
		*shared = undo;
		(void)!write(pipes[1], "x", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(traffic(AF_INET, 20), 20);
	for (int i = 0; i < 3000 && devices(); i++)
		usleep(10000);
	assert_int_equal(devices(), 0);
	assert_int_equal(filters(false), 1);
	assert_int_equal(traffic(AF_INET, 20), 20);
	if (brunt_detour_recover(shared, &err))
		fail_msg("recover: %s", err.msg);
	assert_clean();
	assert_int_equal(brunt_detour_recover(shared, &err), 0);
	assert_clean();
	close(pipes[0]);
	close(pipes[1]);
	(void)munmap(shared, sizeof(*shared));
}

/* Does this piece of a datagram from 10.0.0.1 to 10.0.0.5 go round, judged as sent? offset is in units of 8 bytes. */
static bool goes_round(struct brunt_detour *detour, uint8_t protocol, uint16_t port, uint16_t id, uint16_t offset)
{
	struct __attribute__((packed)) {
		struct ethhdr ethernet;
		struct iphdr ip;
		uint16_t ports[2]; /* in a later fragment the same bytes are payload */
		char rest[36];
	} packet = {
		.ethernet.h_proto = htons(ETH_P_IP),
		.ip = { .version = 4,
			.ihl = 5,
			.tot_len = htons(60),
			.id = htons(id),
			.frag_off = htons(offset ? offset : 0x2000 /* more fragments */),
			.ttl = 64,
			.protocol = protocol,
			.saddr = htonl(0x0a000001),
			.daddr = htonl(0x0a000005) },
		.ports = { htons(4000), htons(port) },
	};
	struct __sk_buff context = { .cb = { [4] = detour->parts[0].number } };
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = &packet, .data_size_in = sizeof(packet), .repeat = 1,
		    .ctx_in = &context, .ctx_size_in = sizeof(context));
	int program = brunt_bpf_program(&detour->bpf, detour->skeleton->obj, "brunt_detour_steer_out");

	assert_int_equal(bpf_prog_test_run_opts(program, &options), 0);
	return options.retval == TC_ACT_REDIRECT;
}

static void later_fragments_follow_their_own_first(void **unused)
{
	struct brunt_endpoint meant;
	const struct brunt_list to = { &meant, 1 };
	struct brunt_detour *detour;

	(void)unused;
	LAB_NEEDED();
	assert_int_equal(brunt_endpoint_parse("10.0.0.5:7000/udp", &meant, NULL), 0);
	match.direction = BRUNT_DETOUR_EGRESS;
	match.to = &to;
	detour = hold();
	assert_false(goes_round(detour, IPPROTO_UDP, 7000, 1, 185));
	assert_true(goes_round(detour, IPPROTO_UDP, 7000, 1, 0));
	assert_true(goes_round(detour, IPPROTO_UDP, 0, 1, 185));
	/* another protocol counts for itself (RFC 791, 3.2) */
	assert_false(goes_round(detour, IPPROTO_TCP, 0, 1, 185));
	assert_false(goes_round(detour, IPPROTO_TCP, 7000, 1, 0));
	assert_true(goes_round(detour, IPPROTO_UDP, 0, 1, 185));
	/* the number comes again, for a datagram that is not meant */
	assert_false(goes_round(detour, IPPROTO_UDP, 7001, 1, 0));
	assert_false(goes_round(detour, IPPROTO_UDP, 0, 1, 185));
	assert_true(goes_round(detour, IPPROTO_UDP, 7000, 2, 0));
	assert_true(goes_round(detour, IPPROTO_UDP, 0, 2, 185));
	release(detour, true);
	brunt_detour_unload(detour);
	assert_clean();
}

/* A process in a network namespace of its own, where the loopback device has another name. */
static pid_t live_elsewhere(const char *name)
{
	struct ifreq rename = { .ifr_name = "lo" };
	char byte;
	int ready[2];
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	snprintf(rename.ifr_newname, sizeof(rename.ifr_newname), "%s", name);
	pid = fork();
	if (!pid) {
		int fd;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || (fd = socket(AF_INET, SOCK_DGRAM, 0)) < 0 ||
		    ioctl(fd, SIOCSIFNAME, &rename))
			_exit(1);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void a_name_that_no_namespace_has_is_refused(void **unused)
{
	const char *found[] = { "lo", "elsewhere" }, *misspelt[] = { "lo", "elsewhere", "elswhere" };
	const struct brunt_list good = { found, 2 }, bad = { misspelt, 3 };
	struct brunt_item items[2] = { 0 };
	struct brunt_detour *detour;
	pid_t pid;

	(void)unused;
	LAB_NEEDED();
	pid = live_elsewhere("elsewhere");
	for (int i = 0; i < 2; i++) {
		items[i].kind = BRUNT_TARGET_PROCESS;
		items[i].picked = true;
		assert_int_equal(brunt_process_identify("/proc", i ? pid : getpid(), true, &items[i].process, &err), 0);
	}
	victims = (struct brunt_victims){ .items = items, .matched = 2, .picked = 2, .share = 1 };
	match.interfaces = &good;
	detour = load();
	if (brunt_detour_prepare(detour, &victims, &undo, &err))
		fail_msg("%s", err.msg);
	brunt_detour_unload(detour);
	match.interfaces = &bad;
	detour = load();
	assert_int_equal(brunt_detour_prepare(detour, &victims, &undo, &err), -ENODEV);
	assert_string_equal(err.msg, "no interface 'elswhere' in the target's network namespaces");
	brunt_detour_unload(detour);
	for (int i = 0; i < 2; i++)
		close(items[i].process.pidfd);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_clean();
}

static void a_damaged_record_is_refused(void **unused)
{
	struct brunt_detour_undo damaged = { .count = 200, .places = 1 };

	(void)unused;
	LAB_NEEDED();
	memcpy(undo.data, &damaged, sizeof(damaged));
	assert_int_equal(brunt_detour_recover(&undo, &err), -EBADMSG);
}

/* ---- devices that a dead holder's linger did not take away ---- */

#define MANY (2 * BRUNT_DETOUR_LEGS_MAX) /* recovery has room for so many */

/* A namespace of its own with loopback alone; it goes with all that is in it. Returns the way home. */
static int leave_home(void)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(home >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(brunt_rtnl_open(&rtnl, NETLINK_ROUTE, &err), 0);
	return home;
}

static void go_home(int home)
{
	brunt_rtnl_close(&rtnl);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
}

/* A pair, each end of it a device of that fault, which should have gone long ago. */
static void leave_pair(unsigned number, const char *label)
{
	int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	char names[2][IF_NAMESIZE], alias[128];
	struct brunt_link_wish ends[2];

	for (unsigned i = 0; i < 2; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%s%u", i ? "peer" : "left", number);
		ends[i] = (struct brunt_link_wish){ .name = names[i], .mtu = 1500 };
	}
	if (brunt_link_add_veth(&rtnl, &ends[0], &ends[1], here, &err))
		fail_msg("%s", err.msg);
	close(here);
	(void)snprintf(alias, sizeof(alias), "brunt run %.8s: egress of eth0 (2), 1, for %s, left since 1", LAB_RUN,
		       label);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(brunt_link_hush(&rtnl, if_nametoindex(names[i]), alias, &err), 0);
}

struct labelled {
	const char *label;
	unsigned count;
};

static int count_labelled(void *user, const struct brunt_link *link)
{
	struct labelled *labelled = user;

	labelled->count += strstr(link->alias, labelled->label) != NULL;
	return 0;
}

static unsigned devices_of(const char *label)
{
	struct labelled labelled = { .label = label };

	assert_int_equal(brunt_link_each(&rtnl, count_labelled, &labelled, &err), 0);
	return labelled.count;
}

/* What the holder of fault "test 1" wrote down before it died. */
static struct brunt_undo_record record_here(void)
{
	struct brunt_detour_undo left = { .places = 1, .label = brunt_detour_hash("test 1"), .linger_ms = 1 };
	struct brunt_undo_record record = { .version = BRUNT_DETOUR_UNDO_VERSION };
	struct brunt_netns own;

	assert_int_equal(brunt_netns_of(0, &own, &err), 0);
	(void)snprintf(left.run, sizeof(left.run), "%.8s", LAB_RUN);
	left.inodes[0] = own.inode;
	memcpy(record.data, &left, sizeof(left));
	return record;
}

static void devices_are_found_behind_many_of_other_faults(void **unused)
{
	struct brunt_undo_record record;
	unsigned own, others;
	int home, r;

	(void)unused;
	LAB_NEEDED();
	home = leave_home();
	for (unsigned i = 0; i < MANY / 2; i++)
		leave_pair(i, "other 1");
	leave_pair(MANY, "test 1"); /* the kernel tells of them in the order in which they were made */
	record = record_here();
	r = brunt_detour_recover(&record, &err);
	own = devices_of("for test 1");
	others = devices_of("for other 1");
	go_home(home);
	if (r)
		fail_msg("recover: %s", err.msg);
	assert_int_equal(own, 0);
	assert_int_equal(others, MANY);
	assert_clean();
}

static void more_devices_than_recovery_has_room_for_go_all_the_same(void **unused)
{
	struct brunt_undo_record record;
	int home, r = -EAGAIN;
	unsigned own;

	(void)unused;
	LAB_NEEDED();
	home = leave_home();
	for (unsigned i = 0; i < MANY / 2 + 1; i++)
		leave_pair(i, "test 1");
	record = record_here();
	/* whoever has no time for all of them says so */
	for (int i = 0; i < 10 && (r = brunt_detour_recover(&record, &err)) == -EAGAIN; i++)
		;
	own = devices_of("for test 1");
	go_home(home);
	if (r)
		fail_msg("recover: %s", err.msg);
	assert_int_equal(own, 0);
	assert_clean();
}

static void the_kernel_says_why(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	assert_int_equal(brunt_rtnl_open(&rtnl, NETLINK_ROUTE, &err), 0);
	assert_true(brunt_filter_add(&rtnl, item.interface_index, false, 1, 1, -1, "x", &err) < 0);
	assert_true(strlen(err.msg) > strlen("cannot add a filter: "));
	assert_int_equal(strncmp(err.msg, "cannot add a filter: ", 21), 0);
	brunt_rtnl_close(&rtnl);
}

static void a_request_that_is_too_long_is_refused(void **unused)
{
	static const char long_text[1500];
	const struct ifinfomsg info = { 0 };

	(void)unused;
	LAB_NEEDED();
	assert_int_equal(brunt_rtnl_open(&rtnl, NETLINK_ROUTE, &err), 0);
	brunt_rtnl_begin(&rtnl, RTM_GETLINK, 0, &info, sizeof(info));
	for (int i = 0; i < 3; i++) {
		size_t nest = brunt_rtnl_nest(&rtnl, 1);

		brunt_rtnl_put(&rtnl, 2, long_text, sizeof(long_text));
		brunt_rtnl_end(&rtnl, nest);
	}
	assert_int_equal(brunt_rtnl_talk(&rtnl, "too long", &err), -EMSGSIZE);
	brunt_rtnl_close(&rtnl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(this_host_can, fresh),
		cmocka_unit_test_setup(packets_go_round_and_nothing_is_left, fresh),
		cmocka_unit_test_setup(it_goes_through_its_life_again_and_again, fresh),
		cmocka_unit_test_setup(disarmed_it_changes_nothing, fresh),
		cmocka_unit_test_setup(a_lease_that_ran_out_ends_it, fresh),
		cmocka_unit_test_setup(a_dead_line_is_not_renewed, fresh),
		cmocka_unit_test_setup(a_back_end_that_fails_leaves_nothing, fresh),
		cmocka_unit_test_setup(what_waits_is_counted_when_it_is_let_go, fresh),
		cmocka_unit_test_setup(a_queue_that_never_empties_is_waited_for_no_longer_than_said, fresh),
		cmocka_unit_test_setup(another_run_on_the_same_direction_is_refused, fresh),
		cmocka_unit_test_setup(a_foreign_frame_on_our_device_goes_nowhere, fresh),
		cmocka_unit_test_setup(without_tcx_filters_do_the_same, fresh),
		cmocka_unit_test_setup(without_tcx_a_filter_that_was_removed_is_noticed, fresh),
		cmocka_unit_test_setup(without_tcx_what_others_have_there_stays, fresh),
		cmocka_unit_test_setup(without_tcx_a_clsact_of_ours_stays_for_others_who_use_it, fresh),
		cmocka_unit_test_setup(without_tcx_two_detours_share_a_clsact, fresh),
		cmocka_unit_test_setup(without_tcx_what_a_dead_holder_leaves_is_inert_and_recovered, fresh),
		cmocka_unit_test_setup(later_fragments_follow_their_own_first, fresh),
		cmocka_unit_test_setup(a_name_that_no_namespace_has_is_refused, fresh),
		cmocka_unit_test_setup(a_damaged_record_is_refused, fresh),
		cmocka_unit_test_setup(devices_are_found_behind_many_of_other_faults, fresh),
		cmocka_unit_test_setup(more_devices_than_recovery_has_room_for_go_all_the_same, fresh),
		cmocka_unit_test_setup(the_kernel_says_why, fresh),
		cmocka_unit_test_setup(a_request_that_is_too_long_is_refused, fresh),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
