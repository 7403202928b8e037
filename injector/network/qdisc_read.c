/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel's queues count, and whether it has netem at all. */
#include "network/qdisc.h"

#include <errno.h>
#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <math.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "network/impairment.h"
#include "network/qdisc_message.h"
#include "network/nlask.h"

#define MESSAGE_SIZE 256

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
	BRUNT_CLEANUP(brunt_cleanup_message)
	struct nl_msg *message = brunt_qdisc_message(RTM_GETQDISC, NLM_F_ECHO, device, NULL, MESSAGE_SIZE);
	struct brunt_qdisc_stats stats = { 0 };
	struct reading reading = { .kind = kind, .stats = &stats };
	struct brunt_nl_answer answer;
	struct brunt_error err;
	int r;

	if (!message)
		return -ENOMEM;
	r = brunt_nl_ask(message, take_qdisc, &reading, &answer, &err);
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
