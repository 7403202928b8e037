/* SPDX-License-Identifier: Apache-2.0 */
#include "network/connections.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/param.h"

struct diag_request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

struct visiting {
	int (*visit)(void *user, const struct brunt_connection *connection);
	void *user;
	uint8_t protocol;
};

static struct diag_request diag_request(int type, uint8_t family, uint8_t protocol)
{
	return (struct diag_request){
		.header = { .nlmsg_len = sizeof(struct diag_request), .nlmsg_type = (__u16)type },
		.body = { .sdiag_family = family, .sdiag_protocol = protocol },
	};
}

static struct brunt_end end_of(uint8_t family, const __be32 *address, __be16 port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct brunt_end end = { .family = family == AF_INET ? 4 : 6, .port = ntohs(port) };

	memcpy(end.address, address, family == AF_INET ? 4 : 16);
	if (family == AF_INET6 && !memcmp(end.address, mapped, sizeof(mapped))) {
		memmove(end.address, end.address + 12, 4);
		memset(end.address + 4, 0, 12);
		end.family = 4;
	}
	return end;
}

static int take(void *user, const struct nlmsghdr *message)
{
	const struct inet_diag_msg *body = NLMSG_DATA(message);
	const struct visiting *visiting = user;
	struct brunt_connection connection;
	const void *found;
	int size;

	if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY || message->nlmsg_len < NLMSG_LENGTH(sizeof(*body)))
		return 0;
	connection = (struct brunt_connection){
		.id = body->id,
		.family = body->idiag_family,
		.protocol = visiting->protocol,
		.state = body->idiag_state,
		.local = end_of(body->idiag_family, body->id.idiag_src, body->id.idiag_sport),
		.remote = end_of(body->idiag_family, body->id.idiag_dst, body->id.idiag_dport),
		.inode = body->idiag_inode,
	};
	size = (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof(*body)));
	found = brunt_netlink_find(body + 1, size, INET_DIAG_CGROUP_ID, sizeof(connection.cgroup));
	if (found)
		memcpy(&connection.cgroup, found, sizeof(connection.cgroup));
	found = brunt_netlink_find(body + 1, size, INET_DIAG_MARK, sizeof(connection.mark));
	if (found)
		memcpy(&connection.mark, found, sizeof(connection.mark));
	return visiting->visit(visiting->user, &connection);
}

static int visit_all(struct brunt_netlink *netlink, uint32_t states, struct visiting *visiting)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < BRUNT_COUNT(families); i++) {
		struct diag_request request = diag_request(SOCK_DIAG_BY_FAMILY, families[i], visiting->protocol);
		int r;

		request.header.nlmsg_flags = NLM_F_DUMP;
		request.body.idiag_states = states;
		r = brunt_netlink_get(netlink, &request.header, take, visiting);
		/* a kernel without IPv6 has none of its sockets */
		if (r == -ENOENT && families[i] == AF_INET6)
			continue;
		if (r)
			return r;
	}
	return 0;
}

int brunt_connections_visit(struct brunt_netlink *netlink, uint32_t states,
			    int (*visit)(void *user, const struct brunt_connection *connection), void *user,
			    struct brunt_error *err)
{
	struct visiting visiting = { visit, user, IPPROTO_TCP };
	int r = visit_all(netlink, states, &visiting);

	return r ? brunt_fail(err, -r, "cannot list the TCP connections: %s", strerror(-r)) : 0;
}

int brunt_connections_visit_udp(struct brunt_netlink *netlink,
				int (*visit)(void *user, const struct brunt_connection *connection), void *user,
				struct brunt_error *err)
{
	struct visiting visiting = { visit, user, IPPROTO_UDP };
	int r = visit_all(netlink, 1u << TCP_ESTABLISHED, &visiting);

	if (r == -ENOENT)
		return brunt_fail(err, ENOENT,
				  "this kernel cannot list UDP sockets: it has no udp_diag (CONFIG_INET_UDP_DIAG), or "
				  "its module cannot be loaded");
	return r ? brunt_fail(err, -r, "cannot list the UDP sockets: %s", strerror(-r)) : 0;
}

int brunt_connection_destroy(struct brunt_netlink *netlink, const struct brunt_connection *connection)
{
	struct diag_request request = diag_request(SOCK_DESTROY, connection->family, connection->protocol);
	int r;

	request.body.id = connection->id;
	r = brunt_netlink_ask(netlink, &request.header);
	/* ESTALE: another socket has these addresses now (sock_diag_check_cookie()) */
	return r == -ESTALE ? -ENOENT : r;
}

/* In no state there is no socket: an empty list, which takes no right. */
static int list_nothing(struct brunt_netlink *netlink)
{
	struct diag_request request = diag_request(SOCK_DIAG_BY_FAMILY, AF_INET, IPPROTO_TCP);

	request.header.nlmsg_flags = NLM_F_DUMP;
	return brunt_netlink_get(netlink, &request.header, NULL, NULL);
}

/* Asks to end a socket that cannot exist, from port 0 to port 0: ENOENT, where the kernel knows the request. */
int brunt_connections_probe(struct brunt_error *err)
{
	static const struct brunt_connection nobody = { .family = AF_INET, .protocol = IPPROTO_TCP };
	struct brunt_netlink netlink;
	int r = brunt_netlink_open(NETLINK_SOCK_DIAG, -1, &netlink, err);

	if (r)
		return brunt_fail(err, ENOTSUP, "this kernel cannot list sockets: it has no sock_diag");
	r = list_nothing(&netlink);
	if (r) {
		brunt_netlink_close(&netlink);
		return brunt_fail(err, ENOTSUP,
				  "this kernel cannot list TCP connections: it has no tcp_diag (CONFIG_INET_DIAG), or "
				  "its module cannot be loaded (%s)",
				  strerror(-r));
	}
	r = brunt_connection_destroy(&netlink, &nobody);
	brunt_netlink_close(&netlink);
	if (r == -EOPNOTSUPP)
		return brunt_fail(err, ENOTSUP,
				  "this kernel was built without CONFIG_INET_DIAG_DESTROY, which ending connections "
				  "takes");
	if (r == -EPERM || r == -EACCES)
		return brunt_fail(err, EPERM, "may not end connections: needs CAP_NET_ADMIN");
	return r && r != -ENOENT ? brunt_fail(err, -r, "cannot end connections: %s", strerror(-r)) : 0;
}

/* ---- which way it goes ---- */

struct route_request {
	struct nlmsghdr header;
	struct rtmsg body;
	char attributes[4 * RTA_SPACE(16)];
};

static int take_route(void *user, const struct nlmsghdr *message)
{
	const struct rtmsg *body = NLMSG_DATA(message);
	const void *found;

	if (message->nlmsg_type != RTM_NEWROUTE || message->nlmsg_len < NLMSG_LENGTH(sizeof(*body)))
		return 0;
	found = brunt_netlink_find(RTM_RTA(body), (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof(*body))), RTA_OIF,
				   sizeof(uint32_t));
	if (found)
		memcpy(user, found, sizeof(uint32_t));
	return 0;
}

/* The kernel's own answer, with all its rules: `ip route get REMOTE from LOCAL mark MARK oif BOUND`. */
unsigned brunt_connection_interface(struct brunt_netlink *route, const struct brunt_connection *connection)
{
	const struct brunt_end *local = &connection->local, *remote = &connection->remote;
	const unsigned size = local->family == 4 ? 4 : 16;
	struct route_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)), .nlmsg_type = RTM_GETROUTE },
		.body = { .rtm_family = local->family == 4 ? AF_INET : AF_INET6,
			  .rtm_src_len = (unsigned char)(8 * size),
			  .rtm_dst_len = (unsigned char)(8 * size) },
	};
	const uint32_t bound = connection->id.idiag_if;
	uint32_t index = 0;

	brunt_netlink_put(&request.header, RTA_DST, remote->address, size);
	brunt_netlink_put(&request.header, RTA_SRC, local->address, size);
	if (connection->mark)
		brunt_netlink_put(&request.header, RTA_MARK, &connection->mark, sizeof(connection->mark));
	if (bound)
		brunt_netlink_put(&request.header, RTA_OIF, &bound, sizeof(bound));
	if (brunt_netlink_get(route, &request.header, take_route, &index))
		return 0;
	return index;
}

/* ---- which one is meant ---- */

bool brunt_end_matches(const struct brunt_end *end, const struct brunt_endpoint *endpoint)
{
	const unsigned bytes = endpoint->prefix / 8, bits = endpoint->prefix % 8;

	if (endpoint->protocol && endpoint->protocol != IPPROTO_TCP)
		return false;
	if (endpoint->port_max && (end->port < endpoint->port_min || end->port > endpoint->port_max))
		return false;
	if (!endpoint->family)
		return true;
	if (endpoint->family != end->family || memcmp(endpoint->address, end->address, bytes))
		return false;
	return !bits || !((endpoint->address[bytes] ^ end->address[bytes]) >> (8 - bits));
}

bool brunt_end_in(const struct brunt_end *end, const struct brunt_list *endpoints)
{
	BRUNT_FOREACH (const struct brunt_endpoint, endpoint, *endpoints)
		if (brunt_end_matches(end, endpoint))
			return true;
	return false;
}
