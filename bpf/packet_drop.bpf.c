/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * packet.drop: decides for each packet of a cgroup, of tagged sockets or of an
 * interface whether it is lost. Only IPv4 and IPv6 are touched.
 */
#include <linux/pkt_cls.h>

#include "packet.h"
#include "packet_drop.h"

#define TCX_NEXT (-1) /* include/uapi/linux/bpf.h since 6.6 */

struct brunt_drop_control control;

static __always_inline bool is_our_interface(__u32 index)
{
#pragma unroll
	for (int i = 0; i < BRUNT_DROP_INTERFACES; i++)
		if (control.interfaces[i] == index)
			return true;
	return false;
}

/*
 * Kernels before 6.3 lose the bound of a register that was spilled to the stack, and the compiler drops a mask that
 * seems to do nothing: hidden from it, the mask stays and they see it.
 */
static __always_inline __u64 chance_index(__u32 segments)
{
	__u64 index = segments < BRUNT_DROP_SEGMENTS ? segments : BRUNT_DROP_SEGMENTS - 1;

	asm volatile("" : "+r"(index));
	return index & (BRUNT_DROP_SEGMENTS - 1);
}

/* Armed already. The cheap questions first. */
static __always_inline bool decide(struct __sk_buff *skb, bool egress, __u32 network)
{
	struct brunt_counters *counters;
	__u32 segments;

	if (!brunt_packet_is_ip(skb))
		return false;
	counters = brunt_counters_get();
	if (!counters)
		return false;
	segments = brunt_packet_segments(skb);
	if (control.base.lists && !brunt_packet_match(skb, &control.base, egress, network))
		return brunt_miss(counters, segments);
	if (control.base.lapsed)
		return brunt_miss(counters, segments);
	if (brunt_random(counters) >= control.chance[chance_index(segments)]) {
		brunt_count(&counters->matched, segments);
		return false;
	}
	/* Reading the clock is dear, and only what would be lost needs it. */
	if (!brunt_lease_alive(&control.base))
		return brunt_miss(counters, segments);
	brunt_count(&counters->matched, segments);
	brunt_count(&counters->hit, segments);
	return true;
}

static __always_inline bool decide_in_cgroup(struct __sk_buff *skb, bool egress)
{
	if (control.scope == BRUNT_DROP_TAGGED && !brunt_packet_is_tagged(skb, control.round))
		return false;
	if (control.scope == BRUNT_DROP_INTERFACE && !is_our_interface(skb->ifindex))
		return false;
	return decide(skb, egress, BRUNT_NETWORK_FIRST);
}

/* On egress 2 drops silently (kernel/bpf/cgroup.c: NET_XMIT_DROP without an error), 0 gives the sender EPERM. */
SEC("cgroup_skb/egress")
int brunt_drop_out(struct __sk_buff *skb)
{
	if (!control.base.armed || !decide_in_cgroup(skb, true))
		return 1;
	return control.verdict ? 2 : 0;
}

SEC("cgroup_skb/ingress")
int brunt_drop_in(struct __sk_buff *skb)
{
	return !control.base.armed || !decide_in_cgroup(skb, false);
}

SEC("tc")
int brunt_drop_tc_out(struct __sk_buff *skb)
{
	return control.base.armed && decide(skb, true, control.network) ? TC_ACT_SHOT : TCX_NEXT;
}

SEC("tc")
int brunt_drop_tc_in(struct __sk_buff *skb)
{
	return control.base.armed && decide(skb, false, control.network) ? TC_ACT_SHOT : TCX_NEXT;
}

SEC("cgroup/sock_create")
int brunt_drop_tag(struct bpf_sock *sk)
{
	brunt_tag_socket(sk);
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
