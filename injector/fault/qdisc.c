/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/qdisc.h"

#include <errno.h>
#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <math.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "fault/impairment.h"
#include "fault/rtnl.h"

/* Linux 6.6; older kernels ignore attributes that they do not know. */
#define NETEM_PRNG_SEED 14

/*
 * Our own at a device's root: by it a change is told from a beginning, and a foreign qdisc from ours. Minor numbers of
 * qdiscs are 0; majors from 8000 on are the kernel's to give (sch_api.c, qdisc_alloc_handle()).
 */
#define HANDLE	     0x6b720000u

#define MESSAGE_SIZE 4096 /* without tables */

static void free_message(struct nl_msg **message)
{
	nlmsg_free(*message);
}

/* A chance as netem has it: all of 32 bits are 100 %. */
static uint32_t chance(double ratio)
{
	return ratio >= 1 ? UINT32_MAX : ratio <= 0 ? 0 : (uint32_t)rint(ratio * UINT32_MAX);
}

static int put_loss(struct nl_msg *message, const struct brunt_impairment *i)
{
	const struct tc_netem_gimodel state = { chance(i->p13), chance(i->p31), chance(i->p32), chance(i->p14),
						chance(i->p23) };
	/* The kernel wants h itself. */
	const struct tc_netem_gemodel gemodel = { chance(i->p), chance(i->r), UINT32_MAX - chance(i->one_minus_h),
						  chance(i->one_minus_k) };
	struct nlattr *nest;
	int r;

	/* Without this attribute netem takes loss from tc_netem_qopt. */
	if (i->loss_model == BRUNT_LOSS_RANDOM)
		return 0;
	nest = nla_nest_start(message, TCA_NETEM_LOSS);
	if (!nest)
		return -1;
	r = i->loss_model == BRUNT_LOSS_STATE ? nla_put(message, NETEM_LOSS_GI, sizeof(state), &state)
					      : nla_put(message, NETEM_LOSS_GE, sizeof(gemodel), &gemodel);
	return r ?: nla_nest_end(message, nest);
}

static int put_rate(struct nl_msg *message, const struct brunt_impairment *i)
{
	struct tc_netem_rate rate = {
		.rate = i->rate > UINT32_MAX ? UINT32_MAX : (uint32_t)i->rate,
		.packet_overhead = i->packet_overhead,
		.cell_size = i->cell_size,
		.cell_overhead = i->cell_overhead,
	};
	int r = nla_put(message, TCA_NETEM_RATE, sizeof(rate), &rate);

	/* The kernel takes the larger of both. */
	return i->rate > UINT32_MAX ? r ?: nla_put_u64(message, TCA_NETEM_RATE64, i->rate) : r;
}

static int put_slot(struct nl_msg *message, const struct brunt_impairment *i)
{
	struct tc_netem_slot slot = {
		.min_delay = (int64_t)i->slot.min,
		.max_delay = (int64_t)i->slot.max,
		.max_packets = (int32_t)i->slot.packets,
		.max_bytes = (int32_t)i->slot.bytes,
		.dist_delay = (int64_t)i->slot.delay,
		.dist_jitter = (int64_t)i->slot.jitter,
	};

	return nla_put(message, TCA_NETEM_SLOT, sizeof(slot), &slot);
}

static int put_table(struct nl_msg *message, int type, const int16_t *table, size_t count)
{
	return table && count ? nla_put(message, type, (int)(count * sizeof(*table)), table) : 0;
}

/*
 * What netem is not told it keeps from before (sch_netem.c, netem_change()), so it is told all, zeros too. The one
 * thing that cannot be taken back is a table: without one given, the last stays.
 */
static int put_netem(struct nl_msg *message, const struct brunt_impairment *i, bool begin)
{
	/* latency and jitter are in ticks of 64 ns here; the 64-bit attributes (Linux 4.15) override them. */
	const struct tc_netem_qopt qopt = {
		.limit = i->limit,
		.loss = i->loss_model == BRUNT_LOSS_RANDOM ? chance(i->loss) : 0,
		.gap = i->gap,
		.duplicate = chance(i->duplicate),
	};
	const struct tc_netem_corr correlations = { chance(i->delay_correlation), chance(i->loss_correlation),
						    chance(i->duplicate_correlation) };
	const struct tc_netem_reorder reorder = { chance(i->reorder), chance(i->reorder_correlation) };
	const struct tc_netem_corrupt corrupt = { chance(i->corrupt), chance(i->corrupt_correlation) };
	struct nlattr *options = nla_nest_start(message, TCA_OPTIONS);
	int r;

	if (!options)
		return -1;
	r = nlmsg_append(message, (void *)&qopt, sizeof(qopt), NLMSG_ALIGNTO);
	r = r ?: nla_put_u64(message, TCA_NETEM_LATENCY64, i->delay);
	r = r ?: nla_put_u64(message, TCA_NETEM_JITTER64, i->jitter);
	r = r ?: nla_put(message, TCA_NETEM_CORR, sizeof(correlations), &correlations);
	r = r ?: nla_put(message, TCA_NETEM_REORDER, sizeof(reorder), &reorder);
	r = r ?: nla_put(message, TCA_NETEM_CORRUPT, sizeof(corrupt), &corrupt);
	r = r ?: put_loss(message, i);
	r = r ?: put_rate(message, i);
	r = r ?: nla_put_u32(message, TCA_NETEM_ECN, i->ecn);
	r = r ?: put_slot(message, i);
	r = r ?: put_table(message, TCA_NETEM_DELAY_DIST, i->table, i->table_size);
	r = r ?: put_table(message, TCA_NETEM_SLOT_DIST, i->slot.table, i->slot.table_size);
	if (begin)
		r = r ?: nla_put_u64(message, NETEM_PRNG_SEED, i->seed);
	return r ?: nla_nest_end(message, options);
}

static int put_tbf(struct nl_msg *message, uint64_t rate, uint32_t burst, uint32_t queue)
{
	/* With a link layer said, the kernel computes times itself and wants no table of them (sch_api.c). */
	const struct tc_tbf_qopt qopt = {
		.rate = { .linklayer = TC_LINKLAYER_ETHERNET, .rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate },
		.limit = queue,
	};
	struct nlattr *options = nla_nest_start(message, TCA_OPTIONS);
	int r;

	if (!options)
		return -1;
	r = nla_put(message, TCA_TBF_PARMS, sizeof(qopt), &qopt);
	r = r ?: nla_put_u32(message, TCA_TBF_BURST, burst);
	if (rate > UINT32_MAX)
		r = r ?: nla_put_u64(message, TCA_TBF_RATE64, rate);
	return r ?: nla_nest_end(message, options);
}

/* ---- asking ---- */

static struct nl_msg *new_message(int type, int flags, unsigned device, const char *kind, size_t size)
{
	const struct tcmsg header = { .tcm_family = AF_UNSPEC,
				      .tcm_ifindex = (int)device,
				      .tcm_parent = TC_H_ROOT,
				      .tcm_handle = kind ? HANDLE : 0 };
	BRUNT_CLEANUP(free_message) struct nl_msg *message = nlmsg_alloc_size(size);
	struct nlmsghdr *begin = message ? nlmsg_put(message, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, flags) : NULL;

	if (!begin || nlmsg_append(message, (void *)&header, sizeof(header), NLMSG_ALIGNTO) < 0 ||
	    (kind && nla_put_string(message, TCA_KIND, kind) < 0))
		return NULL;
	return BRUNT_TAKE_PTR(message);
}

/* What to do about it, from the kernel's words. */
static int explain(const char *kind, unsigned device, const struct brunt_rtnl_answer *answer, struct brunt_error *err)
{
	const char *words = answer->words[0] ? answer->words : strerror(-answer->code);
	char name[IF_NAMESIZE] = "?";
	struct utsname host;

	(void)if_indextoname(device, name);
	switch (-answer->code) {
	case ENOENT:
		(void)uname(&host);
		return brunt_fail(err, ENOTSUP,
				  "this kernel has no sch_%s ('%s'): install its extra modules "
				  "(linux-modules-extra-%.40s, on Fedora kernel-modules-extra)",
				  kind, words, host.release);
	case EPERM:
		return brunt_fail(err, EPERM, "%s needs CAP_NET_ADMIN in the interface's network namespace", kind);
	case ENODEV:
		return brunt_fail(err, ENODEV, "interface %u is gone", device);
	case EEXIST:
		return brunt_fail(err, EEXIST,
				  "interface '%s' has a queueing discipline at its root that is not brunt's ('%s')",
				  name, words);
	default:
		return brunt_fail(err, -answer->code, "the kernel refuses %s on interface '%s': %s", kind, name, words);
	}
}

struct setting {
	const char *kind;
	size_t size;
	int (*put)(struct nl_msg *message, const struct setting *setting, bool begin);
	const struct brunt_impairment *impairment;
	uint64_t rate;
	uint32_t burst, queue;
};

static int ask(const struct setting *setting, unsigned device, bool begin, struct brunt_rtnl_answer *ret,
	       struct brunt_error *err)
{
	BRUNT_CLEANUP(free_message)
	struct nl_msg *message =
		new_message(RTM_NEWQDISC, begin ? NLM_F_CREATE | NLM_F_EXCL : 0, device, setting->kind, setting->size);

	if (!message)
		return brunt_fail(err, ENOMEM, "no memory for a netlink message");
	if (setting->put(message, setting, begin) < 0)
		return brunt_fail(err, E2BIG, "the settings of %s do not fit into one netlink message", setting->kind);
	return brunt_rtnl_ask(message, NULL, NULL, ret, err);
}

/*
 * First as a change, by our handle: without NLM_F_CREATE the kernel says ENOENT when nobody set a qdisc here, and
 * EEXIST when somebody else did (sch_api.c, tc_modify_qdisc()).
 */
static int set(const struct setting *setting, unsigned device, struct brunt_error *err)
{
	struct brunt_rtnl_answer answer;
	int r = ask(setting, device, false, &answer, err);

	if (!r && answer.code == -ENOENT)
		r = ask(setting, device, true, &answer, err);
	if (r)
		return r;
	return answer.code ? explain(setting->kind, device, &answer, err) : 0;
}

static int setting_netem(struct nl_msg *message, const struct setting *setting, bool begin)
{
	return put_netem(message, setting->impairment, begin);
}

int brunt_netem_set(unsigned device, const struct brunt_impairment *impairment, struct brunt_error *err)
{
	const struct setting setting = {
		.kind = "netem",
		.put = setting_netem,
		.impairment = impairment,
		.size = MESSAGE_SIZE + 2 * (impairment->table_size + impairment->slot.table_size),
	};

	return set(&setting, device, err);
}

static int setting_tbf(struct nl_msg *message, const struct setting *setting, bool begin)
{
	(void)begin;
	return put_tbf(message, setting->rate, setting->burst, setting->queue);
}

int brunt_tbf_set(unsigned device, uint64_t rate, uint32_t burst, uint32_t queue, struct brunt_error *err)
{
	struct setting setting = { .kind = "tbf", .put = setting_tbf, .size = MESSAGE_SIZE, .rate = rate };
	double usual_burst = fmin(fmax((double)rate / 100, 16 << 10), 64 << 20);
	double usual_queue = fmin(fmax((double)rate / 20, 100 * 1514), 1 << 30);

	if (!rate)
		return brunt_fail(err, EINVAL, "a rate of 0 lets nothing through for ever");
	setting.burst = burst ?: (uint32_t)usual_burst;
	setting.queue = queue ?: (uint32_t)usual_queue;
	return set(&setting, device, err);
}

/* ---- reading ---- */

/* linux/pkt_sched.h, Linux 7.2 */
struct netem_xstats {
	uint64_t delayed, dropped, corrupted, duplicated, reordered, ecn_marked;
};

struct reading {
	const char *kind;
	struct brunt_qdisc_stats *stats;
	bool found;
};

static void copy(void *to, size_t size, const struct nlattr *from)
{
	if (from && (size_t)nla_len(from) >= size)
		memcpy(to, nla_data(from), size);
}

static void take_stats(struct nlattr *nest, struct brunt_qdisc_stats *ret)
{
	struct nlattr *attributes[TCA_STATS_MAX + 1] = { 0 };
	struct gnet_stats_basic basic = { 0 };
	struct gnet_stats_queue queue = { 0 };
	struct netem_xstats own = { 0 };

	if (nla_parse(attributes, TCA_STATS_MAX, nla_data(nest), nla_len(nest), NULL) < 0)
		return;
	/* sizeof has padding at its end, which the kernel may not send */
	copy(&basic, offsetof(struct gnet_stats_basic, packets) + sizeof(basic.packets), attributes[TCA_STATS_BASIC]);
	copy(&queue, sizeof(queue), attributes[TCA_STATS_QUEUE]);
	ret->bytes = basic.bytes;
	ret->packets = basic.packets;
	copy(&ret->packets, sizeof(ret->packets), attributes[TCA_STATS_PKT64]);
	ret->drops = queue.drops;
	ret->overlimits = queue.overlimits;
	ret->backlog = queue.qlen;
	ret->backlog_bytes = queue.backlog;
	if (!attributes[TCA_STATS_APP] || (size_t)nla_len(attributes[TCA_STATS_APP]) < sizeof(own))
		return;
	copy(&own, sizeof(own), attributes[TCA_STATS_APP]);
	ret->told = true;
	ret->lost = own.dropped;
	ret->marked = own.ecn_marked;
	ret->delayed = own.delayed;
	ret->corrupted = own.corrupted;
	ret->duplicated = own.duplicated;
	ret->reordered = own.reordered;
}

static void take_qdisc(const struct nlmsghdr *header, void *user)
{
	struct nlattr *attributes[TCA_MAX + 1] = { 0 };
	struct reading *reading = user;

	if (header->nlmsg_type != RTM_NEWQDISC ||
	    nlmsg_parse((struct nlmsghdr *)header, sizeof(struct tcmsg), attributes, TCA_MAX, NULL) < 0 ||
	    !attributes[TCA_KIND] || nla_strcmp(attributes[TCA_KIND], reading->kind))
		return;
	reading->found = true;
	if (attributes[TCA_STATS2])
		take_stats(attributes[TCA_STATS2], reading->stats);
}

static int read_stats(unsigned device, const char *kind, struct brunt_qdisc_stats *ret)
{
	/* Before Linux 6.18 the answer is a notification, which comes to us only with ECHO (rtnetlink(7), netlink(7)). */
	BRUNT_CLEANUP(free_message)
	struct nl_msg *message = new_message(RTM_GETQDISC, NLM_F_ECHO, device, NULL, MESSAGE_SIZE);
	struct brunt_qdisc_stats stats = { 0 };
	struct reading reading = { .kind = kind, .stats = &stats };
	struct brunt_rtnl_answer answer;
	struct brunt_error err;
	int r;

	if (!message)
		return -ENOMEM;
	r = brunt_rtnl_ask(message, take_qdisc, &reading, &answer, &err);
	r = r ?: answer.code;
	if (r)
		return r;
	if (!reading.found)
		return -ENOENT;
	*ret = stats;
	return 0;
}

int brunt_netem_read(unsigned device, struct brunt_qdisc_stats *ret)
{
	return read_stats(device, "netem", ret);
}

int brunt_tbf_read(unsigned device, struct brunt_qdisc_stats *ret)
{
	return read_stats(device, "tbf", ret);
}

uint64_t brunt_netem_unwanted(const struct brunt_qdisc_stats *stats, const struct brunt_impairment *impairment)
{
	double loss = brunt_impairment_loss(impairment), seen, expected, burst = 1, most;

	if (stats->told)
		return stats->drops > stats->lost ? stats->drops - stats->lost : 0;
	if (loss <= 0)
		return stats->drops;
	/* Losses in bursts of a mean length vary as if there were fewer of them, each as large. */
	if (impairment->loss_model == BRUNT_LOSS_GEMODEL)
		burst = impairment->r > 0 ? 2 / impairment->r : INFINITY;
	else if (impairment->loss_model == BRUNT_LOSS_STATE)
		burst = impairment->p31 > 0 ? 2 / impairment->p31 : INFINITY;
	else if (impairment->loss_correlation > 0)
		return 0; /* netem's correlation changes the share itself */
	seen = (double)(stats->packets + stats->drops + stats->backlog);
	expected = seen * loss;
	most = expected + 5 * sqrt(expected * (1 - loss) * burst + 1);
	return isfinite(most) && (double)stats->drops > most ? stats->drops - (uint64_t)expected : 0;
}

/* ---- probe ---- */

struct probe {
	struct brunt_error *err;
	int result;
};

/* In a thread of its own, which alone leaves the network namespace: no other has to come back. */
static void *try_netem(void *opaque)
{
	const struct brunt_impairment nothing = { .limit = 1000 };
	struct probe *probe = opaque;

	if (unshare(CLONE_NEWNET) < 0)
		probe->result = brunt_fail(probe->err, errno, "cannot make a network namespace to try netem in: %s",
					   errno == EPERM ? "that needs CAP_SYS_ADMIN" : strerror(errno));
	else
		probe->result = brunt_netem_set(1, &nothing, probe->err); /* lo, which every namespace has */
	return NULL;
}

int brunt_netem_probe(struct brunt_error *err)
{
	struct probe probe = { .err = err };
	pthread_t thread;
	int r = pthread_create(&thread, NULL, try_netem, &probe);

	if (r)
		return brunt_fail(err, r, "cannot start a thread to try netem in: %s", strerror(r));
	(void)pthread_join(thread, NULL);
	return probe.result;
}
