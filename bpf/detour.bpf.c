/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The detour: a classifier at the real device sends chosen packets to a device
 * of ours, and the programs here bring them back. See injector/detour/detour.h
 * for the whole, detour.h for the tag.
 *
 *   classifier (out, in, lo)  at the real device: small, one for each leg; most packets it lets pass at once
 *   steer (out, in)           what the classifier calls for the others: one for all legs
 *   bounce                    at d1, in the private namespace: to d0's receiving side at once
 *   back (out, in, lo)        at d0's receiving side: to where the packet was
 *   gate                      at d0's sending side, TAP only: nothing but chosen packets reaches the line
 *   tag                       where sockets are made
 */
#include <linux/pkt_cls.h>

#include "packet.h"

#include "detour.h"

#define NEXT	    TC_ACT_UNSPEC /* also TCX_NEXT: the next program decides */
#define PACKET_HOST 0		  /* include/uapi/linux/if_packet.h */
#define NO_DEVICE   (-19)	  /* ENODEV */
#define INET	    2		  /* AF_INET */
#define HEADER_SIZE 14

struct brunt_detour_control control;

/* bpf_check_mtu() came with 5.12; the branch that is not taken is never looked at by an older verifier. */
const volatile bool has_check_mtu = true;

struct fragment_key {
	__u32 source[4], destination[4];
	__u32 id;
	__u8 family, protocol, leg, egress;
};

/* First fragments that went round. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct fragment_key);
	__type(value, __u8);
} brunt_fragments SEC(".maps");

/* By enum brunt_detour_steer. When the holder dies the kernel empties it, and the calls fail: packets pass. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, BRUNT_DETOUR_STEERS);
	__type(key, __u32);
	__type(value, __u32);
} brunt_steers SEC(".maps");

enum fragment { FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER };

static __always_inline __u32 leg_number(void)
{
	__u32 number;

	asm volatile("%0 = %1" : "=r"(number) : "i"(BRUNT_DETOUR_LEG_MAGIC));
	return number & (BRUNT_DETOUR_LEGS - 1);
}

/* What the classifier left for steer. The mask is hidden from the compiler: see brunt_packet_read(). */
static __always_inline const struct brunt_detour_leg *called_leg(const struct __sk_buff *skb)
{
	__u64 number = skb->cb[4];

	asm volatile("" : "+r"(number));
	return &control.legs[number & (BRUNT_DETOUR_LEGS - 1)];
}

/* Is our device still there? Nobody is told of a redirect to one that is not: the packet would vanish. */
static __always_inline bool is_there(struct __sk_buff *skb, __u32 device)
{
	if (has_check_mtu) {
		__u32 mtu = 0;

		return bpf_check_mtu(skb, device, &mtu, 0, 0) != NO_DEVICE;
	}
	struct bpf_fib_lookup lookup = { .family = INET, .ifindex = device };

	return bpf_fib_lookup(skb, &lookup, sizeof(lookup), 0) != NO_DEVICE;
}

static __always_inline enum fragment read_fragment(struct __sk_buff *skb, const struct brunt_flow *flow, bool egress,
						   const struct brunt_detour_leg *leg, struct fragment_key *key)
{
	const struct brunt_end *source = egress ? &flow->local : &flow->remote;
	const struct brunt_end *destination = egress ? &flow->remote : &flow->local;
	__u32 network = leg->network;
	bool later;

	if (flow->family == 4) {
		struct {
			__be16 id, offset;
		} part;

		if (!brunt_packet_read(skb, network, 4, &part, sizeof(part)) || !(part.offset & bpf_htons(0x3fff)))
			return FRAGMENT_NONE;
		later = part.offset & bpf_htons(FRAGMENT_OFFSET);
		key->id = part.id;
	} else {
		struct {
			__u8 next, reserved;
			__be16 offset;
			__be32 id;
		} part;
		__u8 next;

		if (!brunt_packet_read(skb, network, 6, &next, sizeof(next)) || next != 44 ||
		    !brunt_packet_read(skb, network, sizeof(struct ipv6hdr), &part, sizeof(part)))
			return FRAGMENT_NONE;
		later = part.offset & bpf_htons(0xfff8);
		key->id = part.id;
	}
	__builtin_memcpy(key->source, source->address, sizeof(key->source));
	__builtin_memcpy(key->destination, destination->address, sizeof(key->destination));
	key->family = flow->family;
	/* of IPv6 only the first fragment says what the protocol is (RFC 8200, 4.5), and it numbers for all of them */
	key->protocol = flow->family == 4 ? flow->protocol : 0;
	key->leg = leg - control.legs;
	key->egress = egress;
	return later ? FRAGMENT_LATER : FRAGMENT_FIRST;
}

/* splitmix64 */
static __always_inline __u64 mix(__u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static __always_inline __u64 hash_end(const struct brunt_end *end)
{
	__u64 high = (__u64)end->address[0] << 32 | end->address[1];
	__u64 low = (__u64)end->address[2] << 32 | end->address[3];

	return mix(mix(mix(control.seed + high) + low) + end->port);
}

/* Both directions of a flow give the same number. */
static __always_inline bool is_in_share(const struct brunt_flow *flow)
{
	return mix(hash_end(&flow->local) + hash_end(&flow->remote) + flow->protocol) >> 32 < control.flows;
}

static __always_inline bool is_socket_tagged(struct bpf_sock *sk)
{
	__u32 *tag = bpf_sk_storage_get(&brunt_tags, sk, 0, 0);

	return tag && *tag == control.round;
}

/* Is the socket that this packet is for, or a listener that it belongs to, the target's? */
static __always_inline bool is_local_tagged(struct __sk_buff *skb, const struct brunt_flow *flow)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	__u32 size;
	bool tagged;

	if (flow->ports != BRUNT_PORTS_KNOWN)
		return false;
	if (flow->family == 4) {
		tuple.ipv4.saddr = flow->remote.address[0];
		tuple.ipv4.daddr = flow->local.address[0];
		tuple.ipv4.sport = bpf_htons(flow->remote.port);
		tuple.ipv4.dport = bpf_htons(flow->local.port);
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, flow->remote.address, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, flow->local.address, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = bpf_htons(flow->remote.port);
		tuple.ipv6.dport = bpf_htons(flow->local.port);
		size = sizeof(tuple.ipv6);
	}
	if (flow->protocol == IPPROTO_TCP)
		sk = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else if (flow->protocol == IPPROTO_UDP)
		sk = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		return false;
	if (!sk)
		return false;
	tagged = is_socket_tagged(sk);
	bpf_sk_release(sk);
	return tagged;
}

/*
 * Did a socket of the target send this packet? Answers that the kernel gives while a connection is being made belong to
 * the listener; those for connections that are over (TIME_WAIT) belong to nobody. What a tunnel made of the socket's
 * packet has another protocol: it went round already, as what it was.
 */
static __always_inline bool is_sender_tagged(struct __sk_buff *skb, const struct brunt_flow *flow)
{
	struct bpf_sock *sk = skb->sk;
	__u32 protocol;

	if (!sk)
		return false;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return is_local_tagged(skb, flow);
	protocol = sk->protocol;
	if ((protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) && protocol != flow->protocol &&
	    flow->protocol != BRUNT_PROTOCOL_UNKNOWN)
		return false;
	return is_socket_tagged(sk);
}

/* A whole packet or a first fragment. */
static __always_inline bool is_chosen(struct __sk_buff *skb, const struct brunt_flow *flow, bool egress)
{
	if (control.scope != BRUNT_DETOUR_ALL) {
		/* the tag of a VLAN: the packet has been seen at the VLAN's own device */
		if (skb->vlan_present)
			return false;
		if (egress ? !is_sender_tagged(skb, flow) : !is_local_tagged(skb, flow))
			return false;
	}
	return brunt_flow_match(&control.base, flow) && is_in_share(flow);
}

/* Is the fault about this IP packet? */
static __always_inline bool match(struct __sk_buff *skb, const struct brunt_detour_leg *leg, bool egress)
{
	enum fragment fragment = FRAGMENT_NONE;
	struct fragment_key key = {};
	struct brunt_flow flow = {};
	bool chosen;

	if (!brunt_packet_parse(skb, &control.base, egress, leg->network, &flow))
		return false;
	if (control.fragments)
		fragment = read_fragment(skb, &flow, egress, leg, &key);
	if (fragment == FRAGMENT_LATER)
		return bpf_map_lookup_elem(&brunt_fragments, &key);
	chosen = is_chosen(skb, &flow, egress);
	if (fragment == FRAGMENT_FIRST && chosen) {
		__u8 one = 1;

		bpf_map_update_elem(&brunt_fragments, &key, &one, BPF_ANY);
	} else if (fragment == FRAGMENT_FIRST) {
		/* numbers come again (16 bits in IPv4): the later ones of this packet belong to no earlier one */
		bpf_map_delete_elem(&brunt_fragments, &key);
	}
	return chosen;
}

/*
 * Neither the mark nor the priority survives the way through another namespace (skb_scrub_packet(), and
 * ____dev_forward_skb() in include/linux/netdevice.h). The hash does, and is only a cache of what the packet says.
 */
static __always_inline void carry(struct __sk_buff *skb, const struct brunt_detour_leg *leg)
{
	__u32 tag = leg->tag, mark = skb->mark, priority = skb->priority;

	if (leg->flags & BRUNT_DETOUR_TAP) {
		if (mark || priority)
			brunt_count(&control.stats.marks_lost, 1);
	} else if (mark) {
		bpf_set_hash(skb, mark);
		tag |= BRUNT_TAG_MARK;
		if (priority <= BRUNT_TAG_PRIORITY)
			tag |= priority;
		else
			brunt_count(&control.stats.marks_lost, 1);
	} else if (priority <= BRUNT_TAG_PRIORITY) {
		tag |= priority;
	} else {
		bpf_set_hash(skb, priority);
		tag |= BRUNT_TAG_CLASS;
	}
	skb->tc_index = tag;
}

/* Our device wants frames. What is put in front here is taken off by the redirect back (__bpf_redirect_no_mac()). */
static __always_inline bool add_header(struct __sk_buff *skb)
{
	struct ethhdr header = { .h_proto = skb->protocol };

	return !bpf_skb_change_head(skb, HEADER_SIZE, 0) && !bpf_skb_store_bytes(skb, 0, &header, sizeof(header), 0);
}

static __always_inline int send_round(struct __sk_buff *skb, const struct brunt_detour_leg *leg,
				      struct brunt_counters *counters)
{
	__u32 segments = brunt_packet_segments(skb);

	if (!brunt_lease_alive(&control.base)) {
		brunt_count(&control.stats.expired, 1);
		return NEXT;
	}
	brunt_count(&counters->matched, segments);
	if (!is_there(skb, leg->device) || (leg->flags & BRUNT_DETOUR_HEADLESS && !add_header(skb))) {
		brunt_count(&control.stats.gone, 1);
		return NEXT;
	}
	carry(skb, leg);
	brunt_count(&counters->hit, segments);
	return bpf_redirect(leg->device, 0);
}

/* true: let the packet pass, whatever it is. */
static __always_inline bool is_settled(struct __sk_buff *skb, const struct brunt_detour_leg *leg)
{
	__u32 tag = skb->tc_index;

	if ((tag & BRUNT_TAG_MAGIC_MASK) == BRUNT_TAG_MAGIC) {
		if ((tag & BRUNT_TAG_ID) > leg->tag)
			return true;
		skb->tc_index = 0;
		if ((tag & BRUNT_TAG_ID) == leg->tag)
			return true;
	}
	return !control.base.armed || !brunt_packet_is_ip(skb);
}

/* Can the addresses alone tell that the fault is not about this packet? */
static __always_inline bool is_outside(struct __sk_buff *skb, const struct brunt_detour_leg *leg, bool out, bool in)
{
	struct {
		__u32 source[4], destination[4];
	} ends;
	struct brunt_flow flow = {};
	bool outside = true;

	if (!(control.base.lists & (1 << BRUNT_RULES_TO | 1 << BRUNT_RULES_LOCAL)))
		return false;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		__u32 pair[2];

		if (!brunt_packet_read(skb, leg->network, 12, pair, sizeof(pair)))
			return true;
		flow.family = 4;
		ends.source[0] = pair[0];
		ends.destination[0] = pair[1];
	} else {
		if (!brunt_packet_read(skb, leg->network, 8, &ends, sizeof(ends)))
			return true;
		flow.family = 6;
	}
	if (out) {
		__builtin_memcpy(flow.local.address, ends.source, sizeof(ends.source));
		__builtin_memcpy(flow.remote.address, ends.destination, sizeof(ends.destination));
		outside = brunt_flow_outside(&control.base, &flow);
	}
	if (in && outside) {
		__builtin_memcpy(flow.remote.address, ends.source, sizeof(ends.source));
		__builtin_memcpy(flow.local.address, ends.destination, sizeof(ends.destination));
		outside = brunt_flow_outside(&control.base, &flow);
	}
	return outside;
}

static __always_inline int pass(struct __sk_buff *skb)
{
	struct brunt_counters *counters = brunt_counters_get();

	if (counters)
		brunt_miss(counters, brunt_packet_segments(skb));
	return NEXT;
}

/*
 * What the way back over loopback cannot deliver: multicast and broadcast, and IPv6 link-local, whose route is bound to
 * another device than lo.
 */
static __always_inline bool is_deliverable(struct __sk_buff *skb)
{
	__u8 first[2];

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (!brunt_packet_read(skb, BRUNT_NETWORK_ETHERNET, 16, first, sizeof(first)))
			return false;
		return first[0] < 224;
	}
	if (!brunt_packet_read(skb, BRUNT_NETWORK_ETHERNET, 24, first, sizeof(first)))
		return false;
	return first[0] != 0xff && !(first[0] == 0xfe && (first[1] & 0xc0) == 0x80);
}

static __always_inline int classify(struct __sk_buff *skb, bool out, bool in)
{
	const __u32 number = leg_number();
	const struct brunt_detour_leg *leg = &control.legs[number];

	if (is_settled(skb, leg))
		return NEXT;
	if (is_outside(skb, leg, out, in) || (out && in && !is_deliverable(skb)))
		return pass(skb);
	skb->cb[4] = number;
	if (out && !(in && !(leg->flags & BRUNT_DETOUR_SENT)))
		bpf_tail_call(skb, &brunt_steers, BRUNT_STEER_OUT);
	if (in)
		bpf_tail_call(skb, &brunt_steers, BRUNT_STEER_IN);
	return NEXT;
}

SEC("tc")
int brunt_detour_out(struct __sk_buff *skb)
{
	return classify(skb, true, false);
}

SEC("tc")
int brunt_detour_in(struct __sk_buff *skb)
{
	return classify(skb, false, true);
}

/* At loopback a packet is seen once as sent, and that is also how it is received. It goes round once at most. */
SEC("tc")
int brunt_detour_lo(struct __sk_buff *skb)
{
	return classify(skb, true, true);
}

static __always_inline int steer(struct __sk_buff *skb, bool egress)
{
	const struct brunt_detour_leg *leg = called_leg(skb);
	struct brunt_counters *counters;

	if (!control.everything && !match(skb, leg, egress)) {
		if (egress && leg->flags & BRUNT_DETOUR_RECEIVED)
			bpf_tail_call(skb, &brunt_steers, BRUNT_STEER_IN);
		return pass(skb);
	}
	counters = brunt_counters_get();
	return counters ? send_round(skb, leg, counters) : NEXT;
}

SEC("tc")
int brunt_detour_steer_out(struct __sk_buff *skb)
{
	return steer(skb, true);
}

SEC("tc")
int brunt_detour_steer_in(struct __sk_buff *skb)
{
	return steer(skb, false);
}

/* To the peer's receiving side in the same softirq: bpf_redirect() would queue once more. */
SEC("tc")
int brunt_detour_bounce(struct __sk_buff *skb)
{
	return bpf_redirect_peer(skb->ifindex, 0);
}

/* Is it a packet of ours? Gives it back what it carried. */
static __always_inline bool restore(struct __sk_buff *skb, const struct brunt_detour_leg *leg)
{
	__u32 tag = skb->tc_index;

	/* the gate has let nothing else to the line */
	if (!(leg->flags & BRUNT_DETOUR_TAP)) {
		if ((tag & BRUNT_TAG_ID) != leg->tag) {
			brunt_count(&control.stats.foreign, 1);
			return false;
		}
		if (tag & BRUNT_TAG_CLASS) {
			skb->priority = skb->hash;
			bpf_set_hash_invalid(skb);
		} else {
			skb->priority = tag & BRUNT_TAG_PRIORITY;
		}
		if (tag & BRUNT_TAG_MARK) {
			skb->mark = skb->hash;
			bpf_set_hash_invalid(skb);
		}
	}
	skb->tc_index = leg->flags & BRUNT_DETOUR_LEAVING ? 0 : leg->tag;
	return true;
}

SEC("tc")
int brunt_detour_back_out(struct __sk_buff *skb)
{
	const struct brunt_detour_leg *leg = &control.legs[leg_number()];

	return restore(skb, leg) ? bpf_redirect(leg->interface, 0) : TC_ACT_SHOT;
}

SEC("tc")
int brunt_detour_back_in(struct __sk_buff *skb)
{
	const struct brunt_detour_leg *leg = &control.legs[leg_number()];

	return restore(skb, leg) ? bpf_redirect(leg->interface, BPF_F_INGRESS) : TC_ACT_SHOT;
}

/*
 * The packet has lost its route, and loopback delivers by it: IPv4 from 127.0.0.1 without one is a martian. So it is
 * routed anew. The frame's address is not lo's, which made the packet somebody else's (eth_type_trans()).
 */
SEC("tc")
int brunt_detour_back_lo(struct __sk_buff *skb)
{
	const struct brunt_detour_leg *leg = &control.legs[leg_number()];

	if (!restore(skb, leg))
		return TC_ACT_SHOT;
	bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_neigh(leg->interface, NULL, 0, 0);
}

SEC("tc")
int brunt_detour_gate(struct __sk_buff *skb)
{
	const struct brunt_detour_leg *leg = &control.legs[leg_number()];

	if ((skb->tc_index & BRUNT_TAG_ID) == leg->tag)
		return NEXT;
	brunt_count(&control.stats.foreign, 1);
	return TC_ACT_SHOT;
}

/* New sockets of the target: tagged whether armed or not, so that arming stays a store. */
SEC("cgroup/sock_create")
int brunt_detour_tag(struct bpf_sock *sk)
{
	__u32 *tag;

	if (control.scope == BRUNT_DETOUR_PROCESSES) {
		brunt_tag_socket(sk);
		return 1;
	}
	tag = bpf_sk_storage_get(&brunt_tags, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (tag)
		*tag = control.round;
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
