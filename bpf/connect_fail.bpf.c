/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * connect.fail: connect(), sendto() without a connection, and bind() return an
 * error before the kernel acts on them. Runs in the caller's context.
 *
 * IPv4-mapped IPv6 addresses are matched as the IPv4 addresses that they mean.
 */
#include <linux/in6.h>
#include <bpf/bpf_endian.h>

#include "connect_fail.h"

struct brunt_fail_control control;

/*
 * bpf_set_retval() is of Linux 5.18; where it is missing, the verifier never sees the call and a failing call
 * returns EPERM. Set before loading.
 */
const volatile bool has_retval = true;

/* Processes to hit: tgid of the initial PID namespace. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} brunt_victims SEC(".maps");

static __always_inline bool is_victim(void)
{
	__u32 tgid;

	if (!control.processes)
		return true;
	tgid = bpf_get_current_pid_tgid() >> 32;
	return bpf_map_lookup_elem(&brunt_victims, &tgid) != NULL;
}

static __always_inline bool decide(struct bpf_sock_addr *call, struct brunt_flow *flow)
{
	struct brunt_counters *counters;

	if (!is_victim())
		return false;
	counters = brunt_counters_get();
	if (!counters)
		return false;
	flow->remote.port = bpf_ntohs((__u16)call->user_port);
	flow->local = flow->remote;
	flow->protocol = call->protocol == IPPROTO_ICMPV6 ? IPPROTO_ICMP : (__u8)call->protocol;
	flow->ports = BRUNT_PORTS_KNOWN;
	if (!brunt_flow_match(&control.base, flow) || !brunt_lease_alive(&control.base))
		return brunt_miss(counters, 1);
	brunt_count(&counters->matched, 1);
	if (brunt_random(&counters->random) >= control.base.threshold)
		return false;
	brunt_count(&counters->hit, 1);
	return true;
}

/*
 * The verifier of Linux 7.2 (not yet that of 6.18) wants to see that it is given -4095 to 0, in 64 bits ("At bpf_set_retval the
 * register R1 ... should have been in [-4095, 0]"). Declared with an int, clang negates in 32 and the sign is lost.
 */
#define ERRNO_MASK 4095
static long (*const set_retval)(__s64 retval) = (void *)BPF_FUNC_set_retval;

/* 0: the call fails with -retval, or EPERM when nobody set one (kernel/bpf/cgroup.c). */
static __always_inline int answer(bool fail)
{
	if (!fail)
		return 1;
	if (has_retval)
		set_retval(-(__s64)(control.code & ERRNO_MASK));
	return 0;
}

static __always_inline int judge4(struct bpf_sock_addr *call)
{
	struct brunt_flow flow = { .family = 4 };

	if (!control.base.armed)
		return 1;
	flow.remote.address[0] = call->user_ip4;
	return answer(decide(call, &flow));
}

static __always_inline int judge6(struct bpf_sock_addr *call)
{
	struct brunt_flow flow = { .family = 6 };
	__u32 a, b, c, d;

	if (!control.base.armed)
		return 1;
	a = call->user_ip6[0];
	b = call->user_ip6[1];
	c = call->user_ip6[2];
	d = call->user_ip6[3];
	if (!a && !b && c == bpf_htonl(0xffff)) {
		flow.family = 4;
		flow.remote.address[0] = d;
	} else {
		flow.remote.address[0] = a;
		flow.remote.address[1] = b;
		flow.remote.address[2] = c;
		flow.remote.address[3] = d;
	}
	return answer(decide(call, &flow));
}

SEC("cgroup/connect4")
int brunt_connect4(struct bpf_sock_addr *call)
{
	return judge4(call);
}

SEC("cgroup/connect6")
int brunt_connect6(struct bpf_sock_addr *call)
{
	return judge6(call);
}

SEC("cgroup/sendmsg4")
int brunt_sendmsg4(struct bpf_sock_addr *call)
{
	return judge4(call);
}

SEC("cgroup/sendmsg6")
int brunt_sendmsg6(struct bpf_sock_addr *call)
{
	return judge6(call);
}

SEC("cgroup/bind4")
int brunt_bind4(struct bpf_sock_addr *call)
{
	return judge4(call);
}

SEC("cgroup/bind6")
int brunt_bind6(struct bpf_sock_addr *call)
{
	return judge6(call);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
