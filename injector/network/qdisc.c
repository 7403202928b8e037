/* SPDX-License-Identifier: Apache-2.0 */
#include "network/qdisc.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <math.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "network/impairment.h"
#include "network/qdisc_message.h"
#include "network/nlask.h"

/* Linux 6.6; older kernels ignore attributes that they do not know. */
#define NETEM_PRNG_SEED 14

#define MESSAGE_SIZE	4096 /* without tables */

/* A chance as netem has it: all of 32 bits are 100 %. One that was asked for never becomes none. */
static uint32_t chance(double ratio)
{
	if (ratio <= 0 || ratio >= 1)
		return ratio >= 1 ? UINT32_MAX : 0;
	return (uint32_t)fmax(1, rint(ratio * UINT32_MAX));
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

struct nl_msg *brunt_qdisc_message(int type, int flags, unsigned device, const char *kind, size_t size)
{
	const struct tcmsg header = { .tcm_family = AF_UNSPEC,
				      .tcm_ifindex = (int)device,
				      .tcm_parent = TC_H_ROOT,
				      .tcm_handle = kind ? BRUNT_QDISC_HANDLE : 0 };
	BRUNT_CLEANUP(brunt_cleanup_message) struct nl_msg *message = nlmsg_alloc_size(size);
	struct nlmsghdr *begin = message ? nlmsg_put(message, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, flags) : NULL;

	if (!begin || nlmsg_append(message, (void *)&header, sizeof(header), NLMSG_ALIGNTO) < 0 ||
	    (kind && nla_put_string(message, TCA_KIND, kind) < 0))
		return NULL;
	return BRUNT_TAKE_PTR(message);
}

/* What to do about it, from the kernel's words. */
static int explain(const char *kind, unsigned device, const struct brunt_nl_answer *answer, struct brunt_error *err)
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

static int ask(const struct setting *setting, unsigned device, bool begin, struct brunt_nl_answer *ret,
	       struct brunt_error *err)
{
	BRUNT_CLEANUP(brunt_cleanup_message)
	struct nl_msg *message = brunt_qdisc_message(RTM_NEWQDISC, begin ? NLM_F_CREATE | NLM_F_EXCL : 0, device,
						     setting->kind, setting->size);

	if (!message)
		return brunt_fail(err, ENOMEM, "no memory for a netlink message");
	if (setting->put(message, setting, begin) < 0)
		return brunt_fail(err, E2BIG, "the settings of %s do not fit into one netlink message", setting->kind);
	return brunt_nl_ask(message, NULL, NULL, ret, err);
}

/*
 * First as a change, by our handle: without NLM_F_CREATE the kernel says ENOENT when nobody set a qdisc here, and
 * EEXIST when somebody else did (sch_api.c, tc_modify_qdisc()).
 */
static int set(const struct setting *setting, unsigned device, struct brunt_error *err)
{
	struct brunt_nl_answer answer;
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
