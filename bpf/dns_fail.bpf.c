/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * dns.fail: lookups go to a responder of brunt's instead of the name server.
 * connect() and sendto() are turned to the socket that stands in for the
 * server; recvfrom() and getpeername() still say the server's own address.
 * Runs in the caller's context.
 *
 * What is armed and leased is the turning alone. The way back is always on
 * while the programs are attached: a lookup that was turned before the fault
 * ended gets its answer from the address that it expects.
 */
#include <linux/in6.h>
#include <bpf/bpf_endian.h>

#include "dns_fail.h"

#define DNS_PORT 53

struct brunt_dns_control control;

/* SO_NETNS_COOKIE is of Linux 5.14; before it, user space cannot say which namespace it means. Set before loading. */
const volatile bool has_cookies = true;

/* Processes to hit: tgid of the initial PID namespace. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} brunt_victims SEC(".maps");

/* Name server to responder. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BRUNT_DNS_ENDS_MAX);
	__type(key, struct brunt_dns_end);
	__type(value, struct brunt_dns_end);
} brunt_turns SEC(".maps");

/* Responder to name server. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BRUNT_DNS_ENDS_MAX);
	__type(key, struct brunt_dns_end);
	__type(value, struct brunt_dns_end);
} brunt_origins SEC(".maps");

static __always_inline bool is_victim(void)
{
	__u32 tgid;

	if ((__u32)bpf_get_current_uid_gid() == control.exempt)
		return false;
	if (!control.processes)
		return true;
	tgid = bpf_get_current_pid_tgid() >> 32;
	return bpf_map_lookup_elem(&brunt_victims, &tgid) != NULL;
}

/* A socket that is bound to an interface cannot reach the loopback address of a responder. */
static __always_inline bool is_bound(struct bpf_sock_addr *call)
{
	struct bpf_sock *socket = call->sk;

	return socket && socket->bound_dev_if;
}

/* false: the call is neither UDP nor TCP. An IPv4-mapped IPv6 address is the IPv4 address that it means. */
static __always_inline bool read_end(struct bpf_sock_addr *call, bool six, struct brunt_dns_end *end, bool *mapped)
{
	__u32 a, b, c, d;

	*mapped = false;
	end->protocol = (__u8)call->protocol;
	if (call->protocol != IPPROTO_UDP && call->protocol != IPPROTO_TCP)
		return false;
	end->port = (__u16)call->user_port;
	if (has_cookies)
		end->netns = bpf_get_netns_cookie(call);
	end->family = 4;
	if (!six) {
		end->address[0] = call->user_ip4;
		return true;
	}
	a = call->user_ip6[0];
	b = call->user_ip6[1];
	c = call->user_ip6[2];
	d = call->user_ip6[3];
	if (!a && !b && c == bpf_htonl(0xffff)) {
		*mapped = true;
		end->address[0] = d;
		return true;
	}
	end->family = 6;
	end->address[0] = a;
	end->address[1] = b;
	end->address[2] = c;
	end->address[3] = d;
	return true;
}

static __always_inline void write_end(struct bpf_sock_addr *call, bool six, const struct brunt_dns_end *end,
				      bool mapped)
{
	call->user_port = end->port;
	if (!six) {
		call->user_ip4 = end->address[0];
	} else if (mapped) {
		call->user_ip6[3] = end->address[0];
	} else {
		call->user_ip6[0] = end->address[0];
		call->user_ip6[1] = end->address[1];
		call->user_ip6[2] = end->address[2];
		call->user_ip6[3] = end->address[3];
	}
}

static __always_inline void note_stranger(const struct brunt_dns_end *end)
{
	struct brunt_counters *counters = brunt_counters_get();

	if (!counters || end->port != bpf_htons(DNS_PORT))
		return;
	brunt_count(&counters->missed, 1);
	control.stranger.family = end->family;
	control.stranger.address[0] = end->address[0];
	control.stranger.address[1] = end->address[1];
	control.stranger.address[2] = end->address[2];
	control.stranger.address[3] = end->address[3];
}

/* Always lets the call through, turned or not. */
static __always_inline int turn(struct bpf_sock_addr *call, bool six)
{
	struct brunt_dns_end end = { 0 }, *responder;
	bool mapped;

	if (!control.base.armed || !read_end(call, six, &end, &mapped) || !is_victim())
		return 1;
	if (!brunt_lease_alive(&control.base))
		return 1;
	responder = bpf_map_lookup_elem(&brunt_turns, &end);
	if (!responder || is_bound(call)) {
		note_stranger(&end);
		return 1;
	}
	write_end(call, six, responder, mapped);
	return 1;
}

static __always_inline int tell(struct bpf_sock_addr *call, bool six)
{
	struct brunt_dns_end end = { 0 }, *origin;
	bool mapped;

	if (!read_end(call, six, &end, &mapped))
		return 1;
	origin = bpf_map_lookup_elem(&brunt_origins, &end);
	if (origin)
		write_end(call, six, origin, mapped);
	return 1;
}

SEC("cgroup/connect4")
int brunt_connect4(struct bpf_sock_addr *call)
{
	return turn(call, false);
}

SEC("cgroup/connect6")
int brunt_connect6(struct bpf_sock_addr *call)
{
	return turn(call, true);
}

SEC("cgroup/sendmsg4")
int brunt_sendmsg4(struct bpf_sock_addr *call)
{
	return turn(call, false);
}

SEC("cgroup/sendmsg6")
int brunt_sendmsg6(struct bpf_sock_addr *call)
{
	return turn(call, true);
}

SEC("cgroup/recvmsg4")
int brunt_recvmsg4(struct bpf_sock_addr *call)
{
	return tell(call, false);
}

SEC("cgroup/recvmsg6")
int brunt_recvmsg6(struct bpf_sock_addr *call)
{
	return tell(call, true);
}

SEC("cgroup/getpeername4")
int brunt_getpeer4(struct bpf_sock_addr *call)
{
	return tell(call, false);
}

SEC("cgroup/getpeername6")
int brunt_getpeer6(struct bpf_sock_addr *call)
{
	return tell(call, true);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
