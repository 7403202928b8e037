/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * packet.drop, network.partition: decides for each packet of a cgroup, of
 * tagged sockets or of an interface whether it is lost. Only IPv4 and IPv6 are
 * touched.
 */
#include <linux/pkt_cls.h>

#include "packet.h"
#include "detour.h"
#include "packet_drop.h"

#define TCX_NEXT (-1) /* include/uapi/linux/bpf.h since 6.6 */

struct brunt_drop_control control;

/*
 * What a fault does not ask for is not there for the verifier, which would follow every way through it: most faults load
 * four times as fast. Set before loading.
 */
const volatile bool may_order = true, may_ask_flags = true, may_ask_groups = true;

/* One for all CPUs: see struct brunt_drop_order. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct brunt_drop_order);
} brunt_order SEC(".maps");

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

static __always_inline bool has_flags(struct __sk_buff *skb, const struct brunt_flow *flow)
{
	int flags = brunt_packet_tcp_flags(skb, flow);

	if (flags < 0)
		return false;
	return ((flags & control.flags.mask) == control.flags.set) != control.flags.inverted;
}

/* Does it go from one group to another? */
static __always_inline bool is_between(const struct brunt_flow *flow, bool egress)
{
	__u32 from = brunt_group(flow, egress ? &flow->local : &flow->remote);
	__u32 to = from ? brunt_group(flow, egress ? &flow->remote : &flow->local) : 0;

	if (!to || from == to)
		return false;
	return control.groups == BRUNT_GROUPS_BOTH || from < to;
}

/* Is the fault about this packet? */
static __always_inline bool is_ours(struct __sk_buff *skb, bool egress, __u32 network)
{
	struct brunt_flow flow = {};

	if (!brunt_packet_parse(skb, &control.base, egress, network, &flow) || !brunt_flow_match(&control.base, &flow))
		return false;
	if (may_ask_flags && control.flags.mask && !has_flags(skb, &flow))
		return false;
	return !may_ask_groups || !control.groups || is_between(&flow, egress);
}

/*
 * The Gilbert-Elliott model as netem has it (net/sched/sch_netem.c, loss_gilb_ell()): the state that a packet meets
 * decides of it, then the state may change.
 */
static __always_inline bool model_loses(struct brunt_drop_order *order, bool egress)
{
	__u64 move = brunt_random(&order->random[egress]), lose = brunt_random(&order->random[egress]);

	if (order->bad[egress]) {
		if (move < control.model.recover)
			order->bad[egress] = 0;
		return lose < control.model.lose_bad;
	}
	if (move < control.model.worsen)
		order->bad[egress] = 1;
	return lose < control.model.lose_good;
}

/* Under the lock no helper may be called, nor any other map be read. */
static __always_inline bool loses_in_order(bool egress, __u64 chance, __u32 segments)
{
	struct brunt_drop_order *order;
	__u32 zero = 0;
	__u64 seen;
	bool lost;

	order = bpf_map_lookup_elem(&brunt_order, &zero);
	if (!order)
		return false;
	bpf_spin_lock(&order->lock);
	seen = order->seen++;
	if (control.mode == BRUNT_DROP_MODEL)
		lost = model_loses(order, egress);
	else if (control.mode == BRUNT_DROP_NTH)
		lost = control.nth && (seen + 1) % control.nth == 0;
	else
		lost = brunt_random(&order->random[egress]) < chance;
	if (control.first && seen >= control.first)
		lost = false;
	if (control.budget && order->lost + segments > control.budget)
		lost = false;
	if (lost)
		order->lost += segments;
	bpf_spin_unlock(&order->lock);
	return lost;
}

/* Armed already. The cheap questions first. */
static __always_inline bool decide(struct __sk_buff *skb, bool egress, __u32 network)
{
	struct brunt_counters *counters;
	__u32 segments;
	__u64 chance;
	bool lost;

	if (!brunt_packet_is_ip(skb))
		return false;
	counters = brunt_counters_get();
	if (!counters)
		return false;
	segments = brunt_packet_segments(skb);
	if (control.selects && !is_ours(skb, egress, network))
		return brunt_miss(counters, segments);
	if (control.base.lapsed)
		return brunt_miss(counters, segments);
	chance = control.chance[chance_index(segments)];
	lost = may_order && control.ordered ? loses_in_order(egress, chance, segments)
					    : brunt_random(&counters->random) < chance;
	if (!lost) {
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

/* A packet that comes back from a detour that runs after us has been here before: once is enough. */
SEC("tc")
int brunt_drop_tc_out(struct __sk_buff *skb)
{
	return control.base.armed && !brunt_is_from_detour(skb) && decide(skb, true, control.network) ? TC_ACT_SHOT
												      : TCX_NEXT;
}

SEC("tc")
int brunt_drop_tc_in(struct __sk_buff *skb)
{
	return control.base.armed && !brunt_is_from_detour(skb) && decide(skb, false, control.network) ? TC_ACT_SHOT
												       : TCX_NEXT;
}

SEC("cgroup/sock_create")
int brunt_drop_tag(struct bpf_sock *sk)
{
	brunt_tag_socket(sk);
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
