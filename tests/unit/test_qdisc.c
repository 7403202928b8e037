/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of the kernel: what is asked of it, bit by bit; and a token bucket in a network namespace of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/gen_stats.h>
#include <linux/if_tun.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cmocka.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "network/impairment.h"
#include "network/qdisc.h"
#include "network/nlask.h"

/* ---- a kernel that answers as it is told ---- */

#define ASKED_MAX 8

static struct {
	bool scripted;
	struct brunt_nl_answer answers[ASKED_MAX];
	unsigned char *messages[ASKED_MAX];
	int asked;
	const struct nlmsghdr *told; /* to visit */
} kernel;

int __real_brunt_nl_ask(struct nl_msg *message, void (*visit)(const struct nlmsghdr *, void *), void *user,
			struct brunt_nl_answer *ret, struct brunt_error *err);
int __wrap_brunt_nl_ask(struct nl_msg *message, void (*visit)(const struct nlmsghdr *, void *), void *user,
			struct brunt_nl_answer *ret, struct brunt_error *err);

int __wrap_brunt_nl_ask(struct nl_msg *message, void (*visit)(const struct nlmsghdr *, void *), void *user,
			struct brunt_nl_answer *ret, struct brunt_error *err)
{
	const struct nlmsghdr *header = nlmsg_hdr(message);

	if (!kernel.scripted)
		return __real_brunt_nl_ask(message, visit, user, ret, err);
	assert_true(kernel.asked < ASKED_MAX);
	kernel.messages[kernel.asked] = malloc(header->nlmsg_len);
	assert_non_null(kernel.messages[kernel.asked]);
	memcpy(kernel.messages[kernel.asked], header, header->nlmsg_len);
	if (visit && kernel.told)
		visit(kernel.told, user);
	*ret = kernel.answers[kernel.asked++];
	return 0;
}

static int script(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.scripted = true;
	return 0;
}

static int forget(void **state)
{
	(void)state;
	for (int i = 0; i < ASKED_MAX; i++)
		free(kernel.messages[i]);
	memset(&kernel, 0, sizeof(kernel));
	return 0;
}

struct asked {
	const struct nlmsghdr *header;
	const struct tcmsg *tc;
	struct nlattr *top[TCA_MAX + 1];
	const struct tc_netem_qopt *qopt;
	struct nlattr *netem[32]; /* by TCA_NETEM_* */
};

static struct asked decode(int index)
{
	struct asked a = { .header = (const struct nlmsghdr *)(const void *)kernel.messages[index] };

	assert_non_null(a.header);
	a.tc = nlmsg_data(a.header);
	assert_int_equal(nlmsg_parse((struct nlmsghdr *)a.header, sizeof(*a.tc), a.top, TCA_MAX, NULL), 0);
	assert_int_equal(a.header->nlmsg_type, RTM_NEWQDISC);
	assert_int_equal(a.tc->tcm_parent, TC_H_ROOT);
	assert_non_null(a.top[TCA_KIND]);
	assert_non_null(a.top[TCA_OPTIONS]);
	if (nla_strcmp(a.top[TCA_KIND], "netem"))
		return a;
	a.qopt = nla_data(a.top[TCA_OPTIONS]);
	assert_int_equal(nla_parse(a.netem, 31,
				   (struct nlattr *)(void *)((char *)nla_data(a.top[TCA_OPTIONS]) + sizeof(*a.qopt)),
				   nla_len(a.top[TCA_OPTIONS]) - (int)sizeof(*a.qopt), NULL),
			 0);
	return a;
}

/* Attributes are aligned to four bytes only. */
/* clang-format off */
#define VALUE(attribute, type)                                          \
	({                                                              \
		type _value;                                            \
		assert_non_null(attribute);                             \
		assert_int_equal(nla_len(attribute), sizeof(_value));   \
		memcpy(&_value, nla_data(attribute), sizeof(_value));   \
		_value;                                                 \
	})
/* clang-format on */

static void every_attribute_is_as_the_kernel_wants_it(void **state)
{
	static const int16_t table[3] = { -8192, 0, 8192 }, slots[2] = { 1, 2 };
	const struct brunt_impairment i = {
		.delay = 200000001,
		.jitter = 20000002,
		.delay_correlation = .25,
		.table = table,
		.table_size = 3,
		.loss = .01,
		.loss_correlation = .5,
		.ecn = true,
		.duplicate = 1,
		.duplicate_correlation = .75,
		.corrupt = .02,
		.corrupt_correlation = .125,
		.reorder = .04,
		.reorder_correlation = .0625,
		.gap = 5,
		.rate = 12500000,
		.packet_overhead = -14,
		.cell_size = 48,
		.cell_overhead = 5,
		.slot = { .set = true,
			  .min = 1,
			  .max = 2,
			  .delay = 3,
			  .jitter = 4,
			  .table = slots,
			  .table_size = 2,
			  .packets = 6,
			  .bytes = 7 },
		.limit = 1234,
		.seed = UINT64_C(0x123456789abcdef0),
	};
	struct brunt_error err;
	struct asked a;

	(void)state;
	kernel.answers[0].code = -ENOENT;
	assert_int_equal(brunt_netem_set(17, &i, &err), 0);
	assert_int_equal(kernel.asked, 2);
	a = decode(1);
	assert_int_equal(a.tc->tcm_ifindex, 17);
	assert_int_equal(a.qopt->latency, 0);
	assert_int_equal(a.qopt->jitter, 0);
	assert_int_equal(a.qopt->limit, 1234);
	assert_int_equal(a.qopt->loss, 42949673); /* as tc: rint(.01 * UINT32_MAX) */
	assert_int_equal(a.qopt->gap, 5);
	assert_int_equal(a.qopt->duplicate, UINT32_MAX);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_LATENCY64], int64_t), 200000001);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_JITTER64], int64_t), 20000002);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_CORR], struct tc_netem_corr).delay_corr, 1073741824);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_CORR], struct tc_netem_corr).loss_corr, 2147483648u);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_CORR], struct tc_netem_corr).dup_corr, 3221225471u);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_REORDER], struct tc_netem_reorder).probability, 171798692);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_REORDER], struct tc_netem_reorder).correlation, 268435456);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_CORRUPT], struct tc_netem_corrupt).probability, 85899346);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_CORRUPT], struct tc_netem_corrupt).correlation, 536870912);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_RATE], struct tc_netem_rate).rate, 12500000);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_RATE], struct tc_netem_rate).packet_overhead, -14);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_RATE], struct tc_netem_rate).cell_size, 48);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_RATE], struct tc_netem_rate).cell_overhead, 5);
	assert_null(a.netem[TCA_NETEM_RATE64]);
	assert_null(a.netem[TCA_NETEM_LOSS]);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_ECN], uint32_t), 1);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_SLOT], struct tc_netem_slot).min_delay, 1);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_SLOT], struct tc_netem_slot).max_delay, 2);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_SLOT], struct tc_netem_slot).dist_delay, 3);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_SLOT], struct tc_netem_slot).dist_jitter, 4);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_SLOT], struct tc_netem_slot).max_packets, 6);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_SLOT], struct tc_netem_slot).max_bytes, 7);
	assert_int_equal(nla_len(a.netem[TCA_NETEM_DELAY_DIST]), sizeof(table));
	assert_memory_equal(nla_data(a.netem[TCA_NETEM_DELAY_DIST]), table, sizeof(table));
	assert_int_equal(nla_len(a.netem[TCA_NETEM_SLOT_DIST]), sizeof(slots));
	assert_memory_equal(nla_data(a.netem[TCA_NETEM_SLOT_DIST]), slots, sizeof(slots));
	assert_int_equal(VALUE(a.netem[14], uint64_t), UINT64_C(0x123456789abcdef0)); /* TCA_NETEM_PRNG_SEED */
}

/* What netem is not told it keeps: a change has to take back all that was there. */
static void nothing_asked_is_said_too(void **state)
{
	const struct brunt_impairment nothing = { .limit = 1000 };
	struct brunt_error err;
	struct asked a;

	(void)state;
	assert_int_equal(brunt_netem_set(17, &nothing, &err), 0);
	assert_int_equal(kernel.asked, 1);
	a = decode(0);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_LATENCY64], int64_t), 0);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_JITTER64], int64_t), 0);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_REORDER], struct tc_netem_reorder).probability, 0);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_CORRUPT], struct tc_netem_corrupt).probability, 0);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_RATE], struct tc_netem_rate).rate, 0);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_ECN], uint32_t), 0);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_SLOT], struct tc_netem_slot).max_delay, 0);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_CORR], struct tc_netem_corr).delay_corr, 0);
	assert_null(a.netem[TCA_NETEM_DELAY_DIST]); /* of no values is an error */
	assert_null(a.netem[TCA_NETEM_SLOT_DIST]);
}

static void loss_models_go_as_the_kernel_counts_them(void **state)
{
	struct brunt_impairment i = { .limit = 1000,
				      .loss_model = BRUNT_LOSS_STATE,
				      .loss = .5,
				      .p13 = .1,
				      .p31 = .2,
				      .p32 = .3,
				      .p23 = .4,
				      .p14 = .5 };
	struct nlattr *models[NETEM_LOSS_MAX + 1] = { 0 };
	struct brunt_error err;
	struct asked a;

	(void)state;
	assert_int_equal(brunt_netem_set(17, &i, &err), 0);
	a = decode(0);
	assert_int_equal(a.qopt->loss, 0);
	assert_non_null(a.netem[TCA_NETEM_LOSS]);
	assert_int_equal(nla_parse_nested(models, NETEM_LOSS_MAX, a.netem[TCA_NETEM_LOSS], NULL), 0);
	assert_null(models[NETEM_LOSS_GE]);
	assert_int_equal(VALUE(models[NETEM_LOSS_GI], struct tc_netem_gimodel).p13, 429496730);
	assert_int_equal(VALUE(models[NETEM_LOSS_GI], struct tc_netem_gimodel).p31, 858993459);
	assert_int_equal(VALUE(models[NETEM_LOSS_GI], struct tc_netem_gimodel).p32, 1288490188);
	assert_int_equal(VALUE(models[NETEM_LOSS_GI], struct tc_netem_gimodel).p23, 1717986918);
	assert_int_equal(VALUE(models[NETEM_LOSS_GI], struct tc_netem_gimodel).p14, 2147483648u);

	i = (struct brunt_impairment){
		.limit = 1000, .loss_model = BRUNT_LOSS_GEMODEL, .p = .1, .r = .2, .one_minus_h = 1, .one_minus_k = .4
	};
	assert_int_equal(brunt_netem_set(17, &i, &err), 0);
	a = decode(1);
	assert_int_equal(nla_parse_nested(models, NETEM_LOSS_MAX, a.netem[TCA_NETEM_LOSS], NULL), 0);
	assert_null(models[NETEM_LOSS_GI]);
	assert_int_equal(VALUE(models[NETEM_LOSS_GE], struct tc_netem_gemodel).p, 429496730);
	assert_int_equal(VALUE(models[NETEM_LOSS_GE], struct tc_netem_gemodel).r, 858993459);
	assert_int_equal(VALUE(models[NETEM_LOSS_GE], struct tc_netem_gemodel).h, 0); /* h itself, not 1-h */
	assert_int_equal(VALUE(models[NETEM_LOSS_GE], struct tc_netem_gemodel).k1, 1717986918);
}

static void the_smallest_chance_is_not_none(void **state)
{
	const struct brunt_impairment i = { .limit = 1000, .loss = 1e-12, .corrupt = 1e-300, .duplicate = 1.5 };
	struct brunt_error err;
	struct asked a;

	(void)state;
	assert_int_equal(brunt_netem_set(17, &i, &err), 0);
	a = decode(0);
	assert_int_equal(a.qopt->loss, 1);
	assert_int_equal(a.qopt->duplicate, UINT32_MAX);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_CORRUPT], struct tc_netem_corrupt).probability, 1);
}

static void rates_beyond_32_bits_have_an_attribute_of_their_own(void **state)
{
	const struct brunt_impairment i = { .limit = 1000, .rate = UINT64_C(12500000000) };
	struct brunt_error err;
	struct asked a;

	(void)state;
	assert_int_equal(brunt_netem_set(17, &i, &err), 0);
	a = decode(0);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_RATE], struct tc_netem_rate).rate, UINT32_MAX);
	assert_int_equal(VALUE(a.netem[TCA_NETEM_RATE64], uint64_t), UINT64_C(12500000000));
}

static void the_largest_tables_fit_and_larger_ones_are_told(void **state)
{
	static int16_t table[BRUNT_DISTRIBUTION_SIZE_MAX * 2];
	struct brunt_impairment i = { .limit = 1000, .table = table, .table_size = BRUNT_DISTRIBUTION_SIZE_MAX };
	struct brunt_error err;
	struct asked a;

	(void)state;
	assert_int_equal(brunt_netem_set(17, &i, &err), 0);
	a = decode(0);
	assert_int_equal(nla_len(a.netem[TCA_NETEM_DELAY_DIST]), 2 * BRUNT_DISTRIBUTION_SIZE_MAX);
	i.slot.table = table;
	i.slot.table_size = BRUNT_DISTRIBUTION_SIZE_MAX;
	/* together they are longer than an attribute can say */
	assert_int_equal(brunt_netem_set(17, &i, &err), -E2BIG);
	assert_int_equal(kernel.asked, 1);
}

static void a_change_is_tried_first_and_seeds_only_a_beginning(void **state)
{
	const struct brunt_impairment i = { .limit = 1000, .seed = 5 };
	struct brunt_error err;
	struct asked a;

	(void)state;
	kernel.answers[0].code = -ENOENT;
	assert_int_equal(brunt_netem_set(17, &i, &err), 0);
	assert_int_equal(kernel.asked, 2);
	a = decode(0);
	assert_int_equal(a.header->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL | NLM_F_REPLACE), 0);
	assert_null(a.netem[14]);
	assert_true(a.tc->tcm_handle && TC_H_MIN(a.tc->tcm_handle) == 0 && a.tc->tcm_handle < 0x80000000);
	a = decode(1);
	assert_int_equal(a.header->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL | NLM_F_REPLACE),
			 NLM_F_CREATE | NLM_F_EXCL);
	assert_non_null(a.netem[14]);
	assert_int_equal(brunt_netem_set(17, &i, &err), 0);
	assert_int_equal(kernel.asked, 3);
}

static void what_the_kernel_says_is_explained(void **state)
{
	static const struct {
		struct brunt_nl_answer first, second;
		int result;
		const char *message;
	} cases[] = {
		{ { -ENOENT, "" },
		  { -ENOENT, "Specified qdisc kind is unknown" },
		  -ENOTSUP,
		  "this kernel has no sch_netem ('Specified qdisc kind is unknown'): install" },
		{ { -EEXIST, "NLM_F_REPLACE needed to override" }, { 0, "" }, -EEXIST, "not brunt's" },
		{ { -ENOENT, "" }, { -EEXIST, "" }, -EEXIST, "not brunt's" },
		{ { -EPERM, "" }, { 0, "" }, -EPERM, "CAP_NET_ADMIN" },
		{ { -ENODEV, "" }, { 0, "" }, -ENODEV, "interface 17 is gone" },
		{ { -EINVAL, "slot min delay greater than max delay" },
		  { 0, "" },
		  -EINVAL,
		  "slot min delay greater than max delay" },
		{ { -ENOMEM, "" }, { 0, "" }, -ENOMEM, "Cannot allocate memory" },
	};
	const struct brunt_impairment i = { .limit = 1000 };

	for (size_t c = 0; c < BRUNT_COUNT(cases); c++) {
		struct brunt_error err = { 0 };

		(void)forget(state);
		(void)script(state);
		kernel.answers[0] = cases[c].first;
		kernel.answers[1] = cases[c].second;
		assert_int_equal(brunt_netem_set(17, &i, &err), cases[c].result);
		if (!strstr(err.msg, cases[c].message))
			fail_msg("'%s', not: %s", err.msg, cases[c].message);
	}
}

static void counters_are_read_whatever_the_kernel_leaves_out(void **state)
{
	const struct gnet_stats_basic basic = { .bytes = 1000, .packets = 7 };
	const struct gnet_stats_queue queue = { .qlen = 3, .backlog = 300, .drops = 5, .overlimits = 4 };
	const uint64_t packets = UINT64_C(5000000000), own[7] = { 1, 2, 3, 4, 5, 6, 7 };
	const struct tcmsg tc = { 0 };
	struct brunt_qdisc_stats stats;

	(void)state;
	for (int with = 0; with < 3; with++) {
		struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWQDISC, 0);
		struct nlattr *nest;

		assert_int_equal(nlmsg_append(message, (void *)&tc, sizeof(tc), NLMSG_ALIGNTO), 0);
		assert_int_equal(nla_put_string(message, TCA_KIND, "netem"), 0);
		nest = nla_nest_start(message, TCA_STATS2);
		/* 12 bytes: the kernel leaves the padding out */
		assert_int_equal(nla_put(message, TCA_STATS_BASIC, 12, &basic), 0);
		assert_int_equal(nla_put(message, TCA_STATS_QUEUE, sizeof(queue), &queue), 0);
		if (with)
			assert_int_equal(nla_put(message, TCA_STATS_PKT64, sizeof(packets), &packets), 0);
		if (with == 2)
			assert_int_equal(nla_put(message, TCA_STATS_APP, sizeof(own), own), 0);
		nla_nest_end(message, nest);
		kernel.told = nlmsg_hdr(message);
		assert_int_equal(brunt_netem_read(17, &stats), 0);
		assert_int_equal(stats.bytes, 1000);
		assert_int_equal(stats.packets, with ? packets : 7);
		assert_int_equal(stats.drops, 5);
		assert_int_equal(stats.overlimits, 4);
		assert_int_equal(stats.backlog, 3);
		assert_int_equal(stats.backlog_bytes, 300);
		assert_int_equal(stats.told, with == 2);
		if (stats.told) {
			assert_true(stats.delayed == 1 && stats.lost == 2 && stats.corrupted == 3);
			assert_true(stats.duplicated == 4 && stats.reordered == 5 && stats.marked == 6);
		}
		assert_int_equal(brunt_tbf_read(17, &stats), -ENOENT);
		nlmsg_free(message);
	}
	kernel.told = NULL;
	(void)forget(state);
	(void)script(state);
	assert_int_equal(brunt_netem_read(17, &stats), -ENOENT);
	kernel.answers[1].code = -ENODEV;
	assert_int_equal(brunt_netem_read(17, &stats), -ENODEV);
}

static void drops_that_nobody_asked_for_are_told_apart(void **state)
{
	struct brunt_impairment i = { .limit = 1000 };
	struct brunt_qdisc_stats stats = { .packets = 99000, .drops = 1000 };

	(void)state;
	assert_int_equal(brunt_netem_unwanted(&stats, &i), 1000);
	i.loss = .01;
	assert_int_equal(brunt_netem_unwanted(&stats, &i), 0);
	stats.drops = 1150; /* not beyond chance */
	assert_int_equal(brunt_netem_unwanted(&stats, &i), 0);
	stats.drops = 3000;
	assert_in_range(brunt_netem_unwanted(&stats, &i), 1900, 2000);
	/* bursts vary more */
	i = (struct brunt_impairment){ .loss_model = BRUNT_LOSS_GEMODEL, .p = .0001, .r = .01, .one_minus_h = 1 };
	stats = (struct brunt_qdisc_stats){ .packets = 98000, .drops = 2000 };
	assert_int_equal(brunt_netem_unwanted(&stats, &i), 0);
	stats.drops = 20000;
	assert_in_range(brunt_netem_unwanted(&stats, &i), 18000, 20000);
	/* the kernel knows */
	stats.told = true;
	stats.lost = 19999;
	assert_int_equal(brunt_netem_unwanted(&stats, &i), 1);
	stats.lost = 20001;
	assert_int_equal(brunt_netem_unwanted(&stats, &i), 0);
}

/* ---- the real kernel ---- */

static int own_namespace(void **state)
{
	struct ifreq request = { .ifr_name = "q0", .ifr_flags = IFF_TAP | IFF_NO_PI };
	int tun;

	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	if (geteuid() || unshare(CLONE_NEWNET))
		return 0;
	/* A device that stays until the namespace goes. */
	tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (tun >= 0 && !ioctl(tun, TUNSETIFF, &request))
		(void)ioctl(tun, TUNSETPERSIST, 1);
	if (tun >= 0)
		close(tun);
	return 0;
}

static unsigned device(void)
{
	unsigned index = if_nametoindex("q0");

	if (!index || geteuid()) {
		print_message("no root, or no /dev/net/tun: skipped\n");
		skip();
	}
	return index;
}

/* What tc says of the root of q0. */
static const char *tc_says(void)
{
	static char text[512];
	FILE *in = popen("tc -s qdisc show dev q0 2>/dev/null", "re");
	size_t n;

	assert_non_null(in);
	n = fread(text, 1, sizeof(text) - 1, in);
	text[n] = '\0';
	pclose(in);
	return text;
}

static void a_token_bucket_is_set_changed_and_read(void **state)
{
	struct brunt_qdisc_stats stats;
	struct brunt_error err = { 0 };

	(void)state;
	assert_int_equal(brunt_tbf_read(device(), &stats), -ENOENT);
	if (brunt_tbf_set(device(), 1250000, 20000, 50000, &err))
		fail_msg("%s", err.msg);
	assert_non_null(strstr(tc_says(), "qdisc tbf 6b72: root"));
	assert_non_null(strstr(tc_says(), "rate 10Mbit burst 20000b"));
	assert_int_equal(brunt_tbf_set(device(), 2500000, 20000, 50000, &err), 0);
	assert_non_null(strstr(tc_says(), "rate 20Mbit"));
	assert_int_equal(brunt_tbf_set(device(), UINT64_C(12500000000), 0, 0, &err), 0);
	assert_non_null(strstr(tc_says(), "rate 100Gbit"));
	assert_int_equal(brunt_tbf_set(device(), 1, 0, 0, &err), 0);
	assert_int_equal(brunt_tbf_set(device(), 0, 0, 0, &err), -EINVAL);
	assert_int_equal(brunt_tbf_read(device(), &stats), 0);
	assert_int_equal(stats.drops, 0);
	assert_int_equal(brunt_netem_read(device(), &stats), -ENOENT);
	assert_int_equal(system("tc qdisc del dev q0 root"), 0);
}

static void a_foreign_qdisc_is_never_replaced(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	(void)device();
	assert_int_equal(system("tc qdisc add dev q0 root handle 1: bfifo limit 10000"), 0);
	assert_int_equal(brunt_tbf_set(device(), 1250000, 0, 0, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "'q0'"));
	assert_non_null(strstr(tc_says(), "qdisc bfifo 1: root"));
	/* not even one of its kind */
	assert_int_equal(system("tc qdisc replace dev q0 root handle 2: tbf rate 1mbit burst 10k limit 10k"), 0);
	assert_int_equal(brunt_tbf_set(device(), 1250000, 0, 0, &err), -EEXIST);
	assert_non_null(strstr(tc_says(), "qdisc tbf 2: root"));
	assert_int_equal(system("tc qdisc del dev q0 root"), 0);
}

static void a_device_that_is_gone_is_told(void **state)
{
	struct brunt_qdisc_stats stats;
	struct brunt_error err = { 0 };

	(void)state;
	(void)device();
	assert_int_equal(brunt_tbf_set(99999, 1250000, 0, 0, &err), -ENODEV);
	assert_int_equal(brunt_tbf_read(99999, &stats), -ENODEV);
}

static void no_descriptor_is_left_behind(void **state)
{
	struct brunt_qdisc_stats stats;
	struct brunt_error err = { 0 };
	int before = dup(0), after;

	(void)state;
	(void)device();
	close(before);
	for (int i = 0; i < 10; i++) {
		(void)brunt_tbf_set(device(), 1250000, 0, 0, &err);
		(void)brunt_tbf_read(device(), &stats);
		(void)brunt_tbf_set(99999, 1250000, 0, 0, &err);
	}
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
	assert_int_equal(system("tc qdisc del dev q0 root"), 0);
}

static void the_probe_leaves_this_namespace_alone(void **state)
{
	struct brunt_error err = { 0 };
	struct stat before, after;
	int r;

	(void)state;
	(void)device();
	assert_int_equal(stat("/proc/thread-self/ns/net", &before), 0);
	r = brunt_netem_probe(&err);
	assert_int_equal(stat("/proc/thread-self/ns/net", &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	if (r == -ENOTSUP)
		assert_non_null(strstr(err.msg, "no sch_netem ('"));
	else
		assert_int_equal(r, 0);
	assert_null(strstr(tc_says(), "netem"));
}

static void without_privileges_the_reason_is_told(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	(void)device();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct brunt_error err = { 0 };
		int r;

		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(9);
		r = brunt_tbf_set(if_nametoindex("q0"), 1250000, 0, 0, &err);
		if (r != -EPERM || !strstr(err.msg, "CAP_NET_ADMIN"))
			_exit(1);
		r = brunt_netem_probe(&err);
		_exit(r == -EPERM && strstr(err.msg, "CAP_SYS_ADMIN") ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest scripted[] = {
		cmocka_unit_test_setup_teardown(every_attribute_is_as_the_kernel_wants_it, script, forget),
		cmocka_unit_test_setup_teardown(nothing_asked_is_said_too, script, forget),
		cmocka_unit_test_setup_teardown(loss_models_go_as_the_kernel_counts_them, script, forget),
		cmocka_unit_test_setup_teardown(the_smallest_chance_is_not_none, script, forget),
		cmocka_unit_test_setup_teardown(rates_beyond_32_bits_have_an_attribute_of_their_own, script, forget),
		cmocka_unit_test_setup_teardown(the_largest_tables_fit_and_larger_ones_are_told, script, forget),
		cmocka_unit_test_setup_teardown(a_change_is_tried_first_and_seeds_only_a_beginning, script, forget),
		cmocka_unit_test_setup_teardown(what_the_kernel_says_is_explained, script, forget),
		cmocka_unit_test_setup_teardown(counters_are_read_whatever_the_kernel_leaves_out, script, forget),
		cmocka_unit_test(drops_that_nobody_asked_for_are_told_apart),
	};
	const struct CMUnitTest real[] = {
		cmocka_unit_test(a_token_bucket_is_set_changed_and_read),
		cmocka_unit_test(a_foreign_qdisc_is_never_replaced),
		cmocka_unit_test(a_device_that_is_gone_is_told),
		cmocka_unit_test(no_descriptor_is_left_behind),
		cmocka_unit_test(the_probe_leaves_this_namespace_alone),
		cmocka_unit_test(without_privileges_the_reason_is_told),
	};
	int failed = cmocka_run_group_tests_name("qdisc", scripted, NULL, NULL);

	return failed + cmocka_run_group_tests_name("qdisc, real", real, own_namespace, NULL);
}
