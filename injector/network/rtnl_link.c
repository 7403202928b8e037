/* SPDX-License-Identifier: Apache-2.0 */
/* Devices, by rtnetlink. */
#include <net/if.h> /* before the kernel's, which then leaves out what it has */
#include <netinet/in.h>

#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "brunt/error.h"
#include "network/rtnl.h"

/* include/uapi/linux/if_link.h since 6.3: IFLA_GSO_IPV4_MAX_SIZE */
#define GSO_IPV4_MAX_SIZE 63

/* A list of devices that changed while it was told is asked for again. */
#define ATTEMPTS 10

/*
 * Where each kind of tunnel says that its packets carry their own destination: flags without a value, but for vxlan,
 * which always has the attribute and a byte in it.
 */
static bool has_metadata(const char *kind, const struct rtattr *data)
{
	static const struct {
		const char *kind;
		uint16_t attribute;
	} tunnels[] = {
		{ "geneve", IFLA_GENEVE_COLLECT_METADATA },
		{ "gre", IFLA_GRE_COLLECT_METADATA },
		{ "gretap", IFLA_GRE_COLLECT_METADATA },
		{ "erspan", IFLA_GRE_COLLECT_METADATA },
		{ "ip6gre", IFLA_GRE_COLLECT_METADATA },
		{ "ip6gretap", IFLA_GRE_COLLECT_METADATA },
		{ "ip6erspan", IFLA_GRE_COLLECT_METADATA },
		{ "ipip", IFLA_IPTUN_COLLECT_METADATA },
		{ "ip6tnl", IFLA_IPTUN_COLLECT_METADATA },
		{ "sit", IFLA_IPTUN_COLLECT_METADATA },
		{ "xfrm", 3 /* IFLA_XFRM_COLLECT_METADATA, 6.1 */ },
	};

	if (!strcmp(kind, "bareudp"))
		return true;
	if (!strcmp(kind, "vxlan")) {
		const struct rtattr *flag = brunt_rtnl_inside(data, IFLA_VXLAN_COLLECT_METADATA);

		return flag && RTA_PAYLOAD(flag) >= 1 && *(const uint8_t *)RTA_DATA(flag);
	}
	for (size_t i = 0; i < sizeof(tunnels) / sizeof(tunnels[0]); i++)
		if (!strcmp(kind, tunnels[i].kind))
			return brunt_rtnl_inside(data, tunnels[i].attribute);
	return false;
}

/*
 * A GRE device without a peer of its own, or with a multicast group for one, puts the outer header in front of a packet
 * before anybody sees it: ipgre_tunnel_init() in net/ipv4/ip_gre.c, ip6gre_tunnel_init() in net/ipv6/ip6_gre.c.
 */
static bool has_many_peers(const char *kind, const struct rtattr *data)
{
	const struct rtattr *remote = brunt_rtnl_inside(data, IFLA_GRE_REMOTE);
	struct in6_addr peer = { 0 };

	if (strcmp(kind, "gre") != 0 && strcmp(kind, "ip6gre") != 0)
		return false;
	if (remote && RTA_PAYLOAD(remote) <= sizeof(peer))
		memcpy(&peer, RTA_DATA(remote), RTA_PAYLOAD(remote));
	return IN6_IS_ADDR_UNSPECIFIED(&peer) || (!strcmp(kind, "gre") && IN_MULTICAST(ntohl(peer.s6_addr32[0])));
}

static void read_link(const struct nlmsghdr *message, struct brunt_link *ret)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	const size_t size = sizeof(*info);
	const struct rtattr *kind;

	memset(ret, 0, sizeof(*ret));
	ret->index = (unsigned)info->ifi_index;
	ret->flags = info->ifi_flags;
	ret->type = info->ifi_type;
	brunt_rtnl_text(brunt_rtnl_find(message, size, IFLA_IFNAME), ret->name, sizeof(ret->name));
	brunt_rtnl_text(brunt_rtnl_find(message, size, IFLA_IFALIAS), ret->alias, sizeof(ret->alias));
	ret->mtu = brunt_rtnl_u32(brunt_rtnl_find(message, size, IFLA_MTU), 0);
	ret->master = brunt_rtnl_u32(brunt_rtnl_find(message, size, IFLA_MASTER), 0);
	ret->gso_max_size = brunt_rtnl_u32(brunt_rtnl_find(message, size, IFLA_GSO_MAX_SIZE), 0);
	ret->gso_max_segs = brunt_rtnl_u32(brunt_rtnl_find(message, size, IFLA_GSO_MAX_SEGS), 0);
	kind = brunt_rtnl_find(message, size, IFLA_LINKINFO);
	brunt_rtnl_text(brunt_rtnl_inside(kind, IFLA_INFO_KIND), ret->kind, sizeof(ret->kind));
	ret->metadata = has_metadata(ret->kind, brunt_rtnl_inside(kind, IFLA_INFO_DATA));
	ret->many_peers = has_many_peers(ret->kind, brunt_rtnl_inside(kind, IFLA_INFO_DATA));
}

struct visitor {
	int (*visit)(void *user, const struct brunt_link *link);
	void *user;
};

static int visit_link(void *user, const struct nlmsghdr *message)
{
	const struct visitor *visitor = user;
	struct brunt_link link;

	if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		return 0;
	read_link(message, &link);
	return visitor->visit(visitor->user, &link);
}

static int keep_link(void *user, const struct brunt_link *link)
{
	*(struct brunt_link *)user = *link;
	return 0;
}

static void begin(struct brunt_rtnl *rtnl, uint16_t type, uint16_t flags, unsigned index, unsigned change, unsigned to)
{
	const struct ifinfomsg info = { .ifi_index = (int)index, .ifi_change = change, .ifi_flags = to };

	brunt_rtnl_begin(rtnl, type, flags, &info, sizeof(info));
}

int brunt_link_get(struct brunt_rtnl *rtnl, unsigned index, const char *name, struct brunt_link *ret,
		   struct brunt_error *err)
{
	struct visitor visitor = { keep_link, ret };
	char what[80];

	memset(ret, 0, sizeof(*ret));
	(void)snprintf(what, sizeof(what), name ? "cannot read device '%s'" : "cannot read a device", name);
	begin(rtnl, RTM_GETLINK, 0, name ? 0 : index, 0, 0);
	if (name)
		brunt_rtnl_put_text(rtnl, IFLA_IFNAME, name);
	return brunt_rtnl_ask(rtnl, false, visit_link, &visitor, what, err);
}

int brunt_link_each(struct brunt_rtnl *rtnl, int (*visit)(void *user, const struct brunt_link *link), void *user,
		    struct brunt_error *err)
{
	struct visitor visitor = { visit, user };
	int r = 0;

	for (int i = 0; i < ATTEMPTS && !r; i++) {
		begin(rtnl, RTM_GETLINK, 0, 0, 0, 0);
		r = brunt_rtnl_ask(rtnl, true, visit_link, &visitor, "cannot list the devices", err);
		if (!rtnl->interrupted)
			break;
	}
	return r;
}

/* One queue: packets stay in order, whatever CPU they come from. */
static void put_wish(struct brunt_rtnl *rtnl, const struct brunt_link_wish *wish)
{
	brunt_rtnl_put_text(rtnl, IFLA_IFNAME, wish->name);
	brunt_rtnl_put_u32(rtnl, IFLA_MTU, wish->mtu);
	brunt_rtnl_put_u32(rtnl, IFLA_NUM_TX_QUEUES, 1);
	brunt_rtnl_put_u32(rtnl, IFLA_NUM_RX_QUEUES, 1);
	brunt_rtnl_put_u32(rtnl, IFLA_TXQLEN, wish->queue ? wish->queue : 1000);
}

int brunt_link_add_veth(struct brunt_rtnl *rtnl, const struct brunt_link_wish *here,
			const struct brunt_link_wish *there, int there_fd, struct brunt_error *err)
{
	const struct ifinfomsg peer = { 0 };
	size_t info, data, end;
	char what[80];

	(void)snprintf(what, sizeof(what), "cannot make device '%s'", here->name);
	begin(rtnl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0, 0);
	put_wish(rtnl, here);
	info = brunt_rtnl_nest(rtnl, IFLA_LINKINFO);
	brunt_rtnl_put_text(rtnl, IFLA_INFO_KIND, "veth");
	data = brunt_rtnl_nest(rtnl, IFLA_INFO_DATA);
	end = brunt_rtnl_nest(rtnl, VETH_INFO_PEER);
	brunt_rtnl_raw(rtnl, &peer, sizeof(peer));
	put_wish(rtnl, there);
	brunt_rtnl_put_u32(rtnl, IFLA_NET_NS_FD, (uint32_t)there_fd);
	brunt_rtnl_end(rtnl, end);
	brunt_rtnl_end(rtnl, data);
	brunt_rtnl_end(rtnl, info);
	return brunt_rtnl_talk(rtnl, what, err);
}

int brunt_link_move(struct brunt_rtnl *rtnl, unsigned index, const struct brunt_link_wish *wish, int namespace_fd,
		    struct brunt_error *err)
{
	char what[80];

	(void)snprintf(what, sizeof(what), "cannot put device '%s' into its network namespace", wish->name);
	begin(rtnl, RTM_NEWLINK, 0, index, 0, 0);
	brunt_rtnl_put_text(rtnl, IFLA_IFNAME, wish->name);
	brunt_rtnl_put_u32(rtnl, IFLA_MTU, wish->mtu);
	brunt_rtnl_put_u32(rtnl, IFLA_TXQLEN, wish->queue ? wish->queue : 1000);
	brunt_rtnl_put_u32(rtnl, IFLA_NET_NS_FD, (uint32_t)namespace_fd);
	return brunt_rtnl_talk(rtnl, what, err);
}

int brunt_link_hush(struct brunt_rtnl *rtnl, unsigned index, const char *alias, struct brunt_error *err)
{
	size_t families, inet6;
	int r;

	begin(rtnl, RTM_NEWLINK, 0, index, IFF_NOARP, IFF_NOARP);
	if (alias)
		brunt_rtnl_put_text(rtnl, IFLA_IFALIAS, alias);
	r = brunt_rtnl_talk(rtnl, "cannot set up a device of the detour", err);
	if (r)
		return r;
	begin(rtnl, RTM_NEWLINK, 0, index, 0, 0);
	families = brunt_rtnl_nest(rtnl, IFLA_AF_SPEC);
	inet6 = brunt_rtnl_nest(rtnl, AF_INET6);
	brunt_rtnl_put_u8(rtnl, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	brunt_rtnl_end(rtnl, inet6);
	brunt_rtnl_end(rtnl, families);
	r = brunt_rtnl_talk(rtnl, "cannot keep IPv6 off a device of the detour", err);
	/* a kernel without IPv6, or with IPv6 off, gives the device no address anyway */
	return r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r;
}

int brunt_link_set_gso(struct brunt_rtnl *rtnl, unsigned index, unsigned size, unsigned segments)
{
	begin(rtnl, RTM_NEWLINK, 0, index, 0, 0);
	brunt_rtnl_put_u32(rtnl, IFLA_GSO_MAX_SIZE, size);
	brunt_rtnl_put_u32(rtnl, GSO_IPV4_MAX_SIZE, size);
	if (segments)
		brunt_rtnl_put_u32(rtnl, IFLA_GSO_MAX_SEGS, segments);
	return brunt_rtnl_talk(rtnl, "cannot set the segment size", NULL);
}

int brunt_link_up(struct brunt_rtnl *rtnl, unsigned index, struct brunt_error *err)
{
	begin(rtnl, RTM_NEWLINK, 0, index, IFF_UP, IFF_UP);
	return brunt_rtnl_talk(rtnl, "cannot bring a device of the detour up", err);
}

int brunt_link_delete(struct brunt_rtnl *rtnl, unsigned index, struct brunt_error *err)
{
	int r;

	begin(rtnl, RTM_DELLINK, 0, index, 0, 0);
	r = brunt_rtnl_talk(rtnl, "cannot remove a device of the detour", err);
	return r == -ENODEV ? 0 : r;
}
