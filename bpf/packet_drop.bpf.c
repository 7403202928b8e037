/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * packet.drop: decides for each packet of a cgroup, of tagged sockets or of an
 * interface whether it is lost. Only IPv4 and IPv6 are touched.
 *
 * Later fragments carry no ports: they are judged by address and protocol.
 */
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>

#include "packet_drop.h"

#define TCX_NEXT	 (-1) /* include/uapi/linux/bpf.h since 6.6 */
#define IPV6_HEADERS_MAX 8
#define FRAGMENT_OFFSET	 0x1fff

struct brunt_drop_control control;

/* Sockets of processes: the round in which they were tagged. An accepted socket inherits its listener's tag. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, __u32);
} brunt_tags SEC(".maps");

/* Processes (tgid of the initial PID namespace) whose new sockets are tagged, by round. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} brunt_tgids SEC(".maps");

struct ports {
	__be16 source, destination;
};

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
	       protocol == IPPROTO_DCCP || protocol == IPPROTO_UDPLITE;
}

static __always_inline void read_ports(struct __sk_buff *skb, __u32 offset, struct brunt_flow *flow,
				       struct brunt_end *source, struct brunt_end *destination)
{
	struct ports ports;

	if (flow->ports == BRUNT_PORTS_UNKNOWN)
		return;
	flow->ports = BRUNT_PORTS_NONE;
	if (!has_ports(flow->protocol))
		return;
	flow->ports = BRUNT_PORTS_UNKNOWN;
	if (bpf_skb_load_bytes_relative(skb, offset, &ports, sizeof(ports), BPF_HDR_START_NET))
		return;
	source->port = bpf_ntohs(ports.source);
	destination->port = bpf_ntohs(ports.destination);
	flow->ports = BRUNT_PORTS_KNOWN;
}

/*
 * The network header. Cgroup programs see packets from there on: what lies in the packet's linear part, as headers do,
 * is read in place.
 */
static __always_inline bool read_header(struct __sk_buff *skb, void *header, __u32 size, bool in_cgroup)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (in_cgroup && data + size <= end) {
		__builtin_memcpy(header, data, size);
		return true;
	}
	return !bpf_skb_load_bytes_relative(skb, 0, header, size, BPF_HDR_START_NET);
}

/* Both parsers: false when the fault cannot be about this packet. */
static __always_inline bool parse_ipv4(struct __sk_buff *skb, struct brunt_flow *flow, struct brunt_end *source,
				       struct brunt_end *destination, bool in_cgroup)
{
	struct iphdr ip;

	if (!read_header(skb, &ip, sizeof(ip), in_cgroup))
		return false;
	flow->family = 4;
	flow->protocol = ip.protocol;
	source->address[0] = ip.saddr;
	destination->address[0] = ip.daddr;
	if (brunt_flow_outside(&control.base, flow))
		return false;
	if (ip.frag_off & bpf_htons(FRAGMENT_OFFSET))
		flow->ports = BRUNT_PORTS_UNKNOWN;
	if (control.base.ports)
		read_ports(skb, ip.ihl * 4, flow, source, destination);
	return true;
}

/* Walks the extension headers, eight at most; then the protocol counts as unknown and the address decides. */
static __always_inline __u32 walk_ipv6(struct __sk_buff *skb, struct brunt_flow *flow)
{
	__u32 offset = sizeof(struct ipv6hdr);

#pragma unroll
	for (int i = 0; i < IPV6_HEADERS_MAX; i++) {
		struct {
			__u8 next, length;
			__be16 fragment;
		} header;

		switch (flow->protocol) {
		case 0:	  /* hop by hop */
		case 43:  /* routing */
		case 44:  /* fragment */
		case 51:  /* authentication */
		case 60:  /* destination options */
		case 135: /* mobility */
			break;
		default:
			return offset;
		}
		if (bpf_skb_load_bytes_relative(skb, offset, &header, sizeof(header), BPF_HDR_START_NET))
			break;
		if (flow->protocol == 44) {
			if (header.fragment & bpf_htons(0xfff8))
				flow->ports = BRUNT_PORTS_UNKNOWN;
			offset += 8;
		} else {
			offset += flow->protocol == 51 ? (header.length + 2) * 4 : (header.length + 1) * 8;
		}
		flow->protocol = header.next;
		if (flow->ports == BRUNT_PORTS_UNKNOWN) {
			/* what follows in a later fragment is payload, not a header */
			if (header.next == 60)
				break;
			return offset;
		}
	}
	flow->protocol = BRUNT_PROTOCOL_UNKNOWN;
	flow->ports = BRUNT_PORTS_UNKNOWN;
	return offset;
}

static __always_inline bool parse_ipv6(struct __sk_buff *skb, struct brunt_flow *flow, struct brunt_end *source,
				       struct brunt_end *destination, bool in_cgroup)
{
	struct ipv6hdr ip;
	__u32 offset;

	if (!read_header(skb, &ip, sizeof(ip), in_cgroup))
		return false;
	flow->family = 6;
	flow->protocol = ip.nexthdr;
	__builtin_memcpy(source->address, &ip.saddr, sizeof(source->address));
	__builtin_memcpy(destination->address, &ip.daddr, sizeof(destination->address));
	if (brunt_flow_outside(&control.base, flow))
		return false;
	if (!control.base.ports)
		return true;
	offset = walk_ipv6(skb, flow);
	if (flow->protocol == IPPROTO_ICMPV6)
		flow->protocol = IPPROTO_ICMP;
	read_ports(skb, offset, flow, source, destination);
	return true;
}

/* Does this packet belong to the fault, judged by its addresses? */
static __always_inline bool match(struct __sk_buff *skb, bool egress, bool in_cgroup)
{
	struct brunt_flow flow = {};
	struct brunt_end *source = egress ? &flow.local : &flow.remote;
	struct brunt_end *destination = egress ? &flow.remote : &flow.local;

	if (skb->protocol == bpf_htons(ETH_P_IP) ? !parse_ipv4(skb, &flow, source, destination, in_cgroup)
						 : !parse_ipv6(skb, &flow, source, destination, in_cgroup))
		return false;
	return brunt_flow_match(&control.base, &flow);
}

static __always_inline bool is_tagged(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	__u32 *tag;

	if (!sk)
		return false;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return false;
	tag = bpf_sk_storage_get(&brunt_tags, sk, 0, 0);
	return tag && *tag == control.round;
}

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
static __always_inline bool decide(struct __sk_buff *skb, bool egress, bool in_cgroup)
{
	struct brunt_counters *counters;
	__u32 segments;

	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return false;
	counters = brunt_counters_get();
	if (!counters)
		return false;
	segments = skb->gso_segs;
	if (!segments)
		segments = 1;
	if (control.base.lists && !match(skb, egress, in_cgroup))
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
	if (control.scope == BRUNT_DROP_TAGGED && !is_tagged(skb))
		return false;
	if (control.scope == BRUNT_DROP_INTERFACE && !is_our_interface(skb->ifindex))
		return false;
	return decide(skb, egress, true);
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
	return control.base.armed && decide(skb, true, false) ? TC_ACT_SHOT : TCX_NEXT;
}

SEC("tc")
int brunt_drop_tc_in(struct __sk_buff *skb)
{
	return control.base.armed && decide(skb, false, false) ? TC_ACT_SHOT : TCX_NEXT;
}

/* New sockets of the target's processes: tagged whether armed or not, so that arming stays a store. */
SEC("cgroup/sock_create")
int brunt_drop_tag(struct bpf_sock *sk)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u32 *round = bpf_map_lookup_elem(&brunt_tgids, &tgid);
	__u32 *tag;

	if (!round)
		return 1;
	tag = bpf_sk_storage_get(&brunt_tags, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (tag)
		*tag = *round;
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
