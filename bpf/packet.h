/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * From a packet to the rules: what the programs that see packets (cgroup_skb,
 * tc) share. Reads IPv4 and IPv6, nothing else. BPF code alone.
 *
 * Later fragments carry no ports: they are judged by address and protocol.
 */
#ifndef BRUNT_BPF_PACKET_H
#define BRUNT_BPF_PACKET_H

#include "match.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>

#define IPV6_HEADERS_MAX 8
#define FRAGMENT_OFFSET	 0x1fff

/* What is read in place lies this near to the beginning of the packet; a power of two. */
#define BRUNT_DIRECT_MAX 128

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

static __always_inline bool brunt_packet_is_ip(const struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP) || skb->protocol == bpf_htons(ETH_P_IPV6);
}

/* Network packets that this one stands for: a GSO packet is split later. */
static __always_inline __u32 brunt_packet_segments(const struct __sk_buff *skb)
{
	__u32 segments = skb->gso_segs;

	return segments ? segments : 1;
}

/*
 * size bytes, offset bytes after the beginning of the network header, which begins `network` bytes into the packet
 * (enum brunt_network). What lies in the packet's linear part, as headers do, is read in place; the rest by a helper.
 *
 * Kernels before 6.3 lose the bound of a register that was spilled to the stack, and the compiler drops a mask that
 * seems to do nothing: hidden from it, the mask stays and they see it.
 */
static __always_inline bool brunt_packet_read(struct __sk_buff *skb, __u32 network, __u32 offset, void *to, __u32 size)
{
	if (network != BRUNT_NETWORK_UNKNOWN && network + offset < BRUNT_DIRECT_MAX) {
		void *end = (void *)(long)skb->data_end;
		__u64 at = network + offset;
		void *from;

		asm volatile("" : "+r"(at));
		from = (void *)(long)skb->data + (at & (BRUNT_DIRECT_MAX - 1));
		if (from + size <= end) {
			__builtin_memcpy(to, from, size);
			return true;
		}
	}
	return !bpf_skb_load_bytes_relative(skb, offset, to, size, BPF_HDR_START_NET);
}

static __always_inline bool brunt_has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
	       protocol == IPPROTO_DCCP || protocol == IPPROTO_UDPLITE;
}

static __always_inline void brunt_packet_ports(struct __sk_buff *skb, __u32 network, struct brunt_flow *flow,
					       struct brunt_end *source, struct brunt_end *destination)
{
	struct {
		__be16 source, destination;
	} ports;

	if (flow->ports == BRUNT_PORTS_UNKNOWN)
		return;
	flow->ports = BRUNT_PORTS_NONE;
	if (!brunt_has_ports(flow->protocol))
		return;
	flow->ports = BRUNT_PORTS_UNKNOWN;
	if (!brunt_packet_read(skb, network, flow->transport, &ports, sizeof(ports)))
		return;
	source->port = bpf_ntohs(ports.source);
	destination->port = bpf_ntohs(ports.destination);
	flow->ports = BRUNT_PORTS_KNOWN;
}

/* Both parsers: false when the fault cannot be about this packet. */
static __always_inline bool brunt_packet_ipv4(struct __sk_buff *skb, const struct brunt_control *control, __u32 network,
					      struct brunt_flow *flow, struct brunt_end *source,
					      struct brunt_end *destination)
{
	struct iphdr ip;

	if (!brunt_packet_read(skb, network, 0, &ip, sizeof(ip)))
		return false;
	flow->family = 4;
	flow->protocol = ip.protocol;
	flow->transport = ip.ihl * 4;
	source->address[0] = ip.saddr;
	destination->address[0] = ip.daddr;
	if (brunt_flow_outside(control, flow))
		return false;
	if (ip.frag_off & bpf_htons(FRAGMENT_OFFSET))
		flow->ports = BRUNT_PORTS_UNKNOWN;
	if (control->ports)
		brunt_packet_ports(skb, network, flow, source, destination);
	return true;
}

/* Walks the extension headers, eight at most; then the protocol counts as unknown and the address decides. */
static __always_inline void brunt_packet_walk(struct __sk_buff *skb, struct brunt_flow *flow)
{
	flow->transport = sizeof(struct ipv6hdr);
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
			return;
		}
		if (bpf_skb_load_bytes_relative(skb, flow->transport, &header, sizeof(header), BPF_HDR_START_NET))
			break;
		if (flow->protocol == 44) {
			if (header.fragment & bpf_htons(0xfff8))
				flow->ports = BRUNT_PORTS_UNKNOWN;
			flow->transport += 8;
		} else {
			flow->transport += flow->protocol == 51 ? (header.length + 2) * 4 : (header.length + 1) * 8;
		}
		flow->protocol = header.next;
		if (flow->ports == BRUNT_PORTS_UNKNOWN) {
			/* what follows in a later fragment is payload, not a header */
			if (header.next == 60)
				break;
			return;
		}
	}
	flow->protocol = BRUNT_PROTOCOL_UNKNOWN;
	flow->ports = BRUNT_PORTS_UNKNOWN;
}

static __always_inline bool brunt_packet_ipv6(struct __sk_buff *skb, const struct brunt_control *control, __u32 network,
					      struct brunt_flow *flow, struct brunt_end *source,
					      struct brunt_end *destination)
{
	struct ipv6hdr ip;

	if (!brunt_packet_read(skb, network, 0, &ip, sizeof(ip)))
		return false;
	flow->family = 6;
	flow->protocol = ip.nexthdr;
	__builtin_memcpy(source->address, &ip.saddr, sizeof(source->address));
	__builtin_memcpy(destination->address, &ip.daddr, sizeof(destination->address));
	if (brunt_flow_outside(control, flow))
		return false;
	if (!control->ports)
		return true;
	brunt_packet_walk(skb, flow);
	if (flow->protocol == IPPROTO_ICMPV6)
		flow->protocol = IPPROTO_ICMP;
	/* The verifier would follow every way through the walk into the reading in place: a tenth of a second. */
	brunt_packet_ports(skb, BRUNT_NETWORK_UNKNOWN, flow, source, destination);
	return true;
}

/*
 * Fills in the flow (all zeros before) of an IP packet, seen from the target: what it sends has its own end as the
 * source. Ports, protocol and transport are valid when control->ports asks for them. false: the fault cannot be about
 * this packet.
 */
static __always_inline bool brunt_packet_parse(struct __sk_buff *skb, const struct brunt_control *control, bool egress,
					       __u32 network, struct brunt_flow *flow)
{
	struct brunt_end *source = egress ? &flow->local : &flow->remote;
	struct brunt_end *destination = egress ? &flow->remote : &flow->local;

	return skb->protocol == bpf_htons(ETH_P_IP)
		       ? brunt_packet_ipv4(skb, control, network, flow, source, destination)
		       : brunt_packet_ipv6(skb, control, network, flow, source, destination);
}

/* Does this IP packet belong to the fault, judged by its addresses? */
static __always_inline bool brunt_packet_match(struct __sk_buff *skb, const struct brunt_control *control, bool egress,
					       __u32 network)
{
	struct brunt_flow flow = {};

	return brunt_packet_parse(skb, control, egress, network, &flow) && brunt_flow_match(control, &flow);
}

/* The flags of a parsed packet (control->ports was set), as in the 14th byte of TCP's header; -1: it has none. */
static __always_inline int brunt_packet_tcp_flags(struct __sk_buff *skb, const struct brunt_flow *flow)
{
	__u8 flags;

	if (flow->protocol != IPPROTO_TCP || flow->ports != BRUNT_PORTS_KNOWN)
		return -1;
	if (bpf_skb_load_bytes_relative(skb, flow->transport + 13, &flags, sizeof(flags), BPF_HDR_START_NET))
		return -1;
	return flags;
}

/* Is it of a socket that carries the tag of this round? */
static __always_inline bool brunt_packet_is_tagged(struct __sk_buff *skb, __u32 round)
{
	struct bpf_sock *sk = skb->sk;
	__u32 *tag;

	if (!sk)
		return false;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return false;
	tag = bpf_sk_storage_get(&brunt_tags, sk, 0, 0);
	return tag && *tag == round;
}

/* For cgroup/sock_create: tags a new socket of one of brunt_tgids. Whether armed or not: arming stays a store. */
static __always_inline void brunt_tag_socket(struct bpf_sock *sk)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u32 *round = bpf_map_lookup_elem(&brunt_tgids, &tgid);
	__u32 *tag;

	if (!round)
		return;
	tag = bpf_sk_storage_get(&brunt_tags, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (tag)
		*tag = *round;
}

#endif
