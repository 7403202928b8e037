/* SPDX-License-Identifier: Apache-2.0 */
/* clsact and BPF filters, by rtnetlink. */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "brunt/error.h"
#include "network/rtnl.h"

#define CLSACT_HANDLE  TC_H_MAKE(TC_H_CLSACT, 0)
#define CLSACT_INGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define CLSACT_EGRESS  TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)

static void begin_qdisc(struct brunt_rtnl *rtnl, uint16_t type, uint16_t flags, unsigned index)
{
	const struct tcmsg tc = { .tcm_ifindex = (int)index, .tcm_parent = TC_H_CLSACT, .tcm_handle = CLSACT_HANDLE };

	brunt_rtnl_begin(rtnl, type, flags, &tc, sizeof(tc));
}

struct search {
	int index;
	int found;
};

/* A dump of qdiscs is of all devices. An ingress qdisc stands at the same place as clsact. */
static int visit_qdisc(void *user, const struct nlmsghdr *message)
{
	const struct tcmsg *tc = NLMSG_DATA(message);
	struct search *search = user;

	if (message->nlmsg_type == RTM_NEWQDISC && message->nlmsg_len >= NLMSG_LENGTH(sizeof(*tc)) &&
	    tc->tcm_ifindex == search->index && tc->tcm_parent == TC_H_CLSACT)
		search->found = 1;
	return 0;
}

int brunt_clsact_is_there(struct brunt_rtnl *rtnl, unsigned index, struct brunt_error *err)
{
	const struct tcmsg all = { .tcm_ifindex = (int)index };
	struct search search = { .index = (int)index };
	int r;

	brunt_rtnl_begin(rtnl, RTM_GETQDISC, 0, &all, sizeof(all));
	r = brunt_rtnl_ask(rtnl, true, visit_qdisc, &search, "cannot list the queues", err);
	return r ?: search.found;
}

int brunt_clsact_add(struct brunt_rtnl *rtnl, unsigned index, struct brunt_error *err)
{
	begin_qdisc(rtnl, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, index);
	brunt_rtnl_put_text(rtnl, TCA_KIND, "clsact");
	return brunt_rtnl_talk(rtnl, "cannot add clsact", err);
}

int brunt_clsact_delete(struct brunt_rtnl *rtnl, unsigned index, struct brunt_error *err)
{
	int r;

	begin_qdisc(rtnl, RTM_DELQDISC, 0, index);
	r = brunt_rtnl_talk(rtnl, "cannot remove clsact", err);
	return r == -ENODEV || r == -ENOENT || r == -EINVAL ? 0 : r;
}

static void begin_filter(struct brunt_rtnl *rtnl, uint16_t type, uint16_t flags, unsigned index, bool ingress,
			 unsigned priority, uint32_t handle)
{
	const struct tcmsg tc = {
		.tcm_ifindex = (int)index,
		.tcm_parent = ingress ? CLSACT_INGRESS : CLSACT_EGRESS,
		.tcm_handle = handle,
		.tcm_info = priority ? TC_H_MAKE(priority << 16, htons(ETH_P_ALL)) : 0,
	};

	brunt_rtnl_begin(rtnl, type, flags, &tc, sizeof(tc));
}

struct visitor {
	int (*visit)(void *user, const struct brunt_filter *filter);
	void *user;
};

static int visit_filter(void *user, const struct nlmsghdr *message)
{
	const struct tcmsg *tc = NLMSG_DATA(message);
	const struct visitor *visitor = user;
	struct brunt_filter filter;

	if (message->nlmsg_type != RTM_NEWTFILTER || message->nlmsg_len < NLMSG_LENGTH(sizeof(*tc)))
		return 0;
	filter.priority = TC_H_MAJ(tc->tcm_info) >> 16;
	filter.handle = tc->tcm_handle;
	brunt_rtnl_text(brunt_rtnl_find(message, sizeof(*tc), TCA_KIND), filter.kind, sizeof(filter.kind));
	brunt_rtnl_text(brunt_rtnl_inside(brunt_rtnl_find(message, sizeof(*tc), TCA_OPTIONS), TCA_BPF_NAME),
			filter.name, sizeof(filter.name));
	return visitor->visit(visitor->user, &filter);
}

int brunt_filter_each(struct brunt_rtnl *rtnl, unsigned index, bool ingress,
		      int (*visit)(void *user, const struct brunt_filter *filter), void *user, struct brunt_error *err)
{
	struct visitor visitor = { visit, user };
	int r;

	begin_filter(rtnl, RTM_GETTFILTER, 0, index, ingress, 0, 0);
	r = brunt_rtnl_ask(rtnl, true, visit_filter, &visitor, "cannot list the filters", err);
	/* no clsact, no filters */
	return r == -EINVAL || r == -ENOENT ? 0 : r;
}

int brunt_filter_add(struct brunt_rtnl *rtnl, unsigned index, bool ingress, unsigned priority, uint32_t handle,
		     int program, const char *name, struct brunt_error *err)
{
	size_t options;

	begin_filter(rtnl, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, index, ingress, priority, handle);
	brunt_rtnl_put_text(rtnl, TCA_KIND, "bpf");
	options = brunt_rtnl_nest(rtnl, TCA_OPTIONS);
	brunt_rtnl_put_u32(rtnl, TCA_BPF_FD, (uint32_t)program);
	brunt_rtnl_put_text(rtnl, TCA_BPF_NAME, name);
	brunt_rtnl_put_u32(rtnl, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	brunt_rtnl_end(rtnl, options);
	return brunt_rtnl_talk(rtnl, "cannot add a filter", err);
}

int brunt_filter_delete(struct brunt_rtnl *rtnl, unsigned index, bool ingress, unsigned priority, uint32_t handle,
			struct brunt_error *err)
{
	int r;

	begin_filter(rtnl, RTM_DELTFILTER, 0, index, ingress, priority, handle);
	brunt_rtnl_put_text(rtnl, TCA_KIND, "bpf");
	r = brunt_rtnl_talk(rtnl, "cannot remove a filter", err);
	return r == -ENODEV || r == -ENOENT || r == -EINVAL ? 0 : r;
}
