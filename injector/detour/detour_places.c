/* SPDX-License-Identifier: Apache-2.0 */
/* Where the victims' packets are: network namespaces, interfaces, directions; and what a detour would break there. */
#include <net/if.h> /* before the kernel's, which then leaves out what it has */

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "detour/detour_parts.h"

/* What is looked for in one namespace. */
struct look {
	struct brunt_detour *detour;
	unsigned place;
	unsigned wanted;  /* index; 0: by name or all that are up */
	const char *name; /* NULL: all that are up */
	size_t found;
	struct brunt_error *err;
};

uint32_t brunt_detour_hash(const char *name)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	while (*name)
		hash = (hash ^ (unsigned char)*name++) * 16777619U;
	return hash;
}

const char *brunt_detour_alias(const struct brunt_detour *detour, const struct brunt_detour_part *part, char *buf,
			       size_t size)
{
	(void)snprintf(buf, size, "brunt run %s: %s of %s (%u), %u, for %s", detour->run,
		       part->leg.ingress ? "ingress" : "egress", part->leg.name, part->leg.interface, part->instance,
		       detour->label);
	return buf;
}

/* What a device of brunt says of itself. */
static bool read_alias(const struct brunt_link *link, char run[9], bool *ret_ingress, unsigned *ret_interface,
		       unsigned *ret_instance)
{
	char way[8];

	if (sscanf(link->alias, "brunt run %8[0-9a-f]: %7[a-z] of %*s (%u), %u,", run, way, ret_interface,
		   ret_instance) != 4)
		return false;
	*ret_ingress = !strcmp(way, "ingress");
	return true;
}

/* ---- what is refused ---- */

/* Packets without a link header: dev_is_mac_header_xmit() in include/linux/if_arp.h. */
static bool is_headless(unsigned type)
{
	switch (type) {
	case ARPHRD_NONE:
	case ARPHRD_RAWIP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case ARPHRD_IP6GRE:
	case ARPHRD_PPP:
		return true;
	default:
		return false;
	}
}

static int check_link(const struct brunt_link *link, struct brunt_error *err)
{
	if (link->metadata)
		return brunt_fail(err, ENOTSUP,
				  "'%s' is a %s device whose packets carry where they go (collect_md), which does not "
				  "survive a detour; target the device below it",
				  link->name, link->kind);
	if (!strcmp(link->kind, "xfrm") || !strcmp(link->kind, "vti") || !strcmp(link->kind, "vti6"))
		return brunt_fail(err, ENOTSUP,
				  "'%s' is an IPsec device, whose packets carry their transformation, which does not "
				  "survive a detour; target the device below it",
				  link->name);
	if (link->many_peers)
		return brunt_fail(
			err, ENOTSUP,
			"'%s' is a GRE device without one remote, whose packets begin with their outer header: "
			"target the device below it",
			link->name);
	if (!strcmp(link->kind, "vrf") || !strcmp(link->kind, "netkit"))
		return brunt_fail(err, ENOTSUP, "'%s' is a %s device, where a detour is not proven; target another",
				  link->name, link->kind);
	if (link->type != ARPHRD_ETHER && link->type != ARPHRD_LOOPBACK && !is_headless(link->type))
		return brunt_fail(err, ENOTSUP, "'%s' is neither Ethernet nor IP (ARPHRD %u)", link->name, link->type);
	return 0;
}

/*
 * Until Linux 5.14 a packet that comes out of an IP tunnel still begins with its outer header where a program reads it
 * ("net: reset MAC header consistently across L3 virtual devices"); seen on 5.10: none matched.
 */
static int check_coming_out(const struct brunt_link *link, struct brunt_error *err)
{
	unsigned major = 0, minor = 0;
	struct utsname host;

	switch (link->type) {
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case ARPHRD_IP6GRE:
		break;
	default:
		return 0;
	}
	if (uname(&host) || sscanf(host.release, "%u.%u", &major, &minor) != 2 || major > 5 ||
	    (major == 5 && minor >= 14))
		return 0;
	return brunt_fail(err, ENOTSUP,
			  "before Linux 5.14 what comes out of a tunnel ('%s') cannot be told by its addresses: hit "
			  "its egress, or the device below it",
			  link->name);
}

static int see_policy(void *user, const struct nlmsghdr *message)
{
	(void)message;
	*(bool *)user = true;
	return 0;
}

/*
 * A packet that was decrypted carries which transformation it came through, and is dropped without (xfrm_policy_check()
 * in net/xfrm/xfrm_policy.c): a detour loses that (skb_scrub_packet()).
 */
static int check_xfrm(struct brunt_detour *detour, struct brunt_error *err)
{
	struct brunt_rtnl *rtnl = &detour->spoken;
	const struct xfrm_userpolicy_id any = { 0 };
	bool found = false;
	int r;

	if (brunt_rtnl_open(rtnl, NETLINK_XFRM, NULL))
		return 0; /* a kernel without IPsec */
	brunt_rtnl_begin(rtnl, XFRM_MSG_GETPOLICY, 0, &any, sizeof(any));
	r = brunt_rtnl_ask(rtnl, true, see_policy, &found, "cannot list IPsec policies", err);
	brunt_rtnl_close(rtnl);
	if (r == -EPERM)
		return r;
	if (found)
		return brunt_fail(err, ENOTSUP,
				  "IPsec policies are set in the target's network namespace (ip xfrm policy): packets "
				  "that went round would fail them");
	return 0;
}

/* ---- which legs there are ---- */

static int add_part(struct look *look, const struct brunt_link *link, bool ingress)
{
	struct brunt_detour *detour = look->detour;
	struct brunt_detour_part *part;

	for (size_t i = 0; i < detour->part_count; i++)
		if (detour->parts[i].place == look->place && detour->parts[i].leg.interface == link->index &&
		    detour->parts[i].leg.ingress == ingress)
			return 0;
	if (detour->part_count == BRUNT_DETOUR_LEGS_MAX)
		return brunt_fail(look->err, E2BIG,
				  "more than %d directions of interfaces at once; name the interfaces that matter",
				  BRUNT_DETOUR_LEGS_MAX);
	part = &detour->parts[detour->part_count];
	*part = (struct brunt_detour_part){
		.leg = { .interface = link->index,
			 .ingress = ingress,
			 .loopback = link->type == ARPHRD_LOOPBACK,
			 .mtu = link->mtu,
			 .tap = -1 },
		.place = look->place,
		.type = link->type,
		.gso_max_size = link->gso_max_size,
		.gso_max_segs = link->gso_max_segs,
		.inner = { -1, -1, -1 },
		.classifier = -1,
	};
	memcpy(part->leg.name, link->name, sizeof(part->leg.name));
	detour->part_count++;
	return 0;
}

static bool is_ours(const struct brunt_link *link)
{
	return !strncmp(link->alias, "brunt run ", 10);
}

static bool is_wanted(const struct look *look, const struct brunt_link *link)
{
	if (is_ours(link))
		return false;
	if (look->wanted)
		return link->index == look->wanted;
	if (look->name)
		return !strcmp(link->name, look->name);
	/* what a bridge or bond sends goes through its ports, too: once is enough */
	return link->flags & IFF_UP && !link->master;
}

static int look_at(void *user, const struct brunt_link *link)
{
	struct look *look = user;
	const int direction = look->detour->match->direction;
	int r;

	if (!is_wanted(look, link))
		return 0;
	look->found++;
	r = check_link(link, look->err);
	/* loopback receives what it sends, and is seen when it sends */
	if (link->type == ARPHRD_LOOPBACK)
		return r ?: add_part(look, link, direction == BRUNT_DETOUR_INGRESS);
	if (!r && direction & BRUNT_DETOUR_EGRESS)
		r = add_part(look, link, false);
	if (!r && direction & BRUNT_DETOUR_INGRESS)
		r = check_coming_out(link, look->err) ?: add_part(look, link, true);
	return r;
}

/* Detours on one direction of one interface have rising numbers, in the order in which they are attached. */
static int see_other(void *user, const struct brunt_link *link)
{
	struct look *look = user;
	unsigned interface, instance;
	char run[9];
	bool ingress;

	if (!read_alias(link, run, &ingress, &interface, &instance))
		return 0;
	for (size_t i = 0; i < look->detour->part_count; i++) {
		struct brunt_detour_part *part = &look->detour->parts[i];

		if (part->place != look->place || part->leg.interface != interface ||
		    (part->leg.ingress != ingress && !part->leg.loopback))
			continue;
		if (strcmp(run, look->detour->run))
			return brunt_fail(look->err, EEXIST,
					  "packets of '%s' (%s) go through a detour of run %s already", part->leg.name,
					  part->leg.ingress ? "ingress" : "egress", run);
		if (!part->made && part->instance <= instance)
			part->instance = instance + 1;
		if (part->instance > BRUNT_TAG_INSTANCES)
			return brunt_fail(look->err, E2BIG, "more than %d detours on '%s'", BRUNT_TAG_INSTANCES,
					  part->leg.name);
	}
	return 0;
}

static int list_links(struct look *look, int (*visit)(void *user, const struct brunt_link *link))
{
	struct brunt_rtnl *rtnl = &look->detour->spoken;
	int r = brunt_rtnl_open(rtnl, NETLINK_ROUTE, look->err);

	r = r ?: brunt_link_each(rtnl, visit, look, look->err);
	brunt_rtnl_close(rtnl);
	return r;
}

int brunt_detour_check_others(struct brunt_detour *detour, struct brunt_error *err)
{
	int r = 0;

	for (unsigned i = 0; !r && i < detour->place_count; i++) {
		struct look look = { .detour = detour, .place = i, .err = err };

		r = brunt_netns_enter(&detour->places[i], err);
		if (r)
			return r;
		r = list_links(&look, see_other);
		brunt_netns_leave(&detour->places[i], detour->home);
	}
	return r;
}

/* Inside the place. */
static int find_by_names(struct look *look)
{
	const struct brunt_list *names = look->detour->match->interfaces;
	int r = 0;

	if (!names || !names->count)
		return list_links(look, look_at);
	BRUNT_FOREACH (const char *const, name, *names) {
		look->name = *name;
		r = list_links(look, look_at);
		if (r)
			break;
	}
	return r;
}

/* Which clsacts will be ours. */
static int note_parts(struct brunt_detour *detour, unsigned place, struct brunt_detour_undo *undo,
		      struct brunt_error *err)
{
	int r = detour->has_tcx ? 0 : brunt_rtnl_open(&detour->spoken, NETLINK_ROUTE, err);

	for (size_t i = 0; !r && i < detour->part_count; i++) {
		const struct brunt_detour_part *part = &detour->parts[i];
		int there = detour->has_tcx || part->place != place
				    ? 1
				    : brunt_clsact_is_there(&detour->spoken, part->leg.interface, err);

		if (part->place != place)
			continue;
		undo->entries[i] = (struct brunt_detour_undo_entry){
			.interface = part->leg.interface,
			.name = brunt_detour_hash(part->leg.name),
			.place = (uint8_t)place,
			.flags = (uint8_t)((part->leg.ingress && !part->leg.loopback ? BRUNT_DETOUR_UNDO_INGRESS : 0) |
					   (there ? 0 : BRUNT_DETOUR_UNDO_CLSACT)),
		};
		r = there < 0 ? there : 0;
	}
	brunt_rtnl_close(&detour->spoken);
	return r;
}

static int look_into(struct brunt_detour *detour, unsigned place, struct brunt_detour_undo *undo,
		     struct brunt_error *err)
{
	struct look look = { .detour = detour, .place = place, .err = err };
	const struct brunt_victims *victims = detour->victims;
	int r = brunt_netns_enter(&detour->places[place], err);

	if (r)
		return r;
	r = check_xfrm(detour, err);
	if (!r && victims->items[0].kind != BRUNT_TARGET_INTERFACE)
		r = find_by_names(&look);
	for (size_t i = 0; !r && i < victims->matched && victims->items[0].kind == BRUNT_TARGET_INTERFACE; i++) {
		if (!victims->items[i].picked)
			continue;
		look.wanted = victims->items[i].interface_index;
		look.found = 0;
		r = list_links(&look, look_at);
		if (!r && !look.found)
			r = brunt_fail(err, ESRCH, "'%s' is gone", victims->items[i].name);
	}
	r = r ?: list_links(&look, see_other);
	r = r ?: note_parts(detour, place, undo, err);
	brunt_netns_leave(&detour->places[place], detour->home);
	return r;
}

/* ---- which namespaces there are ---- */

struct places {
	struct brunt_detour *detour;
	struct brunt_error *err;
};

static int add_place(void *user, pid_t pid)
{
	struct places *places = user;
	struct brunt_detour *detour = places->detour;
	struct brunt_netns netns;
	int r = brunt_netns_of(pid, &netns, places->err);

	if (r == -ESRCH && pid)
		return 0; /* it ended while we looked */
	if (r)
		return r;
	for (size_t i = 0; i < detour->place_count; i++)
		if (brunt_netns_is_same(&detour->places[i], &netns))
			return 0;
	if (detour->place_count == BRUNT_DETOUR_PLACES_MAX)
		return brunt_fail(places->err, E2BIG, "the target lives in more than %d network namespaces",
				  BRUNT_DETOUR_PLACES_MAX);
	detour->places[detour->place_count++] = netns;
	return 0;
}

static int find_places(struct brunt_detour *detour, struct brunt_error *err)
{
	struct places places = { detour, err };

	if (detour->victims->items[0].kind == BRUNT_TARGET_INTERFACE)
		return add_place(&places, 0);
	for (size_t i = 0; i < detour->victims->matched; i++) {
		const struct brunt_item *item = &detour->victims->items[i];
		int r;

		if (!item->picked)
			continue;
		if (item->kind == BRUNT_TARGET_PROCESS) {
			r = add_place(&places, item->process.pid);
			/* then what was read was of the right process */
			if (!r && !brunt_process_alive(&item->process))
				r = brunt_fail(err, ESRCH, "process %d (%s) ended", (int)item->process.pid,
					       item->process.name);
		} else
			r = brunt_cgroup_each(detour->mount, item->cgroup, add_place, &places, err);
		if (r)
			return r;
	}
	if (!detour->place_count)
		return brunt_fail(err, ESRCH, "no process of the target is there, so its network is not known");
	return 0;
}

/* Not every place need have an interface of that name, but one. */
static int check_names(const struct brunt_detour *detour, struct brunt_error *err)
{
	const struct brunt_list *names = detour->match->interfaces;

	if (!names || detour->victims->items[0].kind == BRUNT_TARGET_INTERFACE)
		return 0;
	BRUNT_FOREACH (const char *const, name, *names) {
		size_t i = 0;

		while (i < detour->part_count && strcmp(detour->parts[i].leg.name, *name))
			i++;
		if (i == detour->part_count)
			return brunt_fail(err, ENODEV, "no interface '%s' in the target's network namespace%s", *name,
					  detour->place_count == 1 ? "" : "s");
	}
	return 0;
}

int brunt_detour_find(struct brunt_detour *detour, struct brunt_detour_undo *ret_undo, struct brunt_error *err)
{
	int r = find_places(detour, err);

	memset(ret_undo, 0, sizeof(*ret_undo));
	for (unsigned i = 0; !r && i < detour->place_count; i++)
		r = look_into(detour, i, ret_undo, err);
	r = r ?: check_names(detour, err);
	if (!r && !detour->part_count)
		r = brunt_fail(err, ENODEV, "no interface of the target is up");
	if (r)
		return r;
	memcpy(ret_undo->run, detour->run, sizeof(ret_undo->run));
	ret_undo->count = (uint8_t)detour->part_count;
	ret_undo->places = (uint8_t)detour->place_count;
	for (size_t i = 0; i < detour->place_count; i++)
		ret_undo->inodes[i] = detour->places[i].inode;
	for (size_t i = 0; i < detour->part_count; i++)
		if (!detour->parts[i].instance)
			detour->parts[i].instance = 1;
	return 0;
}
