/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What every BPF program of brunt shares with user space: the control block
 * with the lease, the counters, and the endpoint rules. The first half is
 * plain data for both sides, the second half is code for BPF alone.
 *
 * Rules live in one longest-prefix-match trie. A lookup finds only the longest
 * prefix, so user space gives each prefix the ports of all wider ones, too:
 * one lookup then answers for the whole list, however long it is.
 */
#ifndef BRUNT_BPF_MATCH_H
#define BRUNT_BPF_MATCH_H

#include <linux/types.h>

/* Which list of the fault's parameters a rule belongs to; also the bit in control.lists. */
enum brunt_rule_list {
	BRUNT_RULES_TO = 0,	/* the remote end must match */
	BRUNT_RULES_LOCAL = 1,	/* the target's own end must match */
	BRUNT_RULES_EXCEPT = 2, /* neither end may match */
	BRUNT_RULES_GROUP = 3,	/* the group that an address is in; not in control.lists */
};

/* Port ranges and protocols that one prefix can carry. */
#define BRUNT_RULE_SLOTS 16
#define BRUNT_RULES_MAX	 1024

struct brunt_rule_key {
	__u32 prefixlen; /* 32 + bits of address: list, family and padding always count */
	__u8 list;
	__u8 family; /* 4 or 6 */
	__u8 padding[2];
	__u8 address[16];
};

struct brunt_rule_slot {
	__u16 port_min, port_max; /* host order; 0,0 any */
	__u8 protocol;		  /* 0 any; ICMP stands for ICMPv6, too */
	__u8 padding[3];
};

struct brunt_rule {
	__u32 count; /* of slots; BRUNT_RULES_GROUP: the number of the group, from 1 */
	struct brunt_rule_slot slots[BRUNT_RULE_SLOTS];
};

/*
 * A prefix that all addresses of a list share. What lies outside is in none of its rules, which is most packets, and
 * the trie need not be asked. All zeros: everything lies inside.
 */
struct brunt_hull {
	__u32 mask[4], value[4]; /* network order; IPv4 in the first word */
};

#define BRUNT_RULE_LISTS 3

/* Mapped into the holder: arming is a store. */
struct brunt_control {
	__u32 armed;
	__u32 lapsed;				      /* the lease ran out: never again until armed anew */
	__u64 expires;				      /* CLOCK_BOOTTIME ns */
	__u64 threshold;			      /* probability * 2^32: 2^32 is always, 0 is never */
	__u32 lists;				      /* 1 << enum brunt_rule_list: those that hold rules */
	__u32 ports;				      /* some rule looks at ports or protocols */
	struct brunt_hull hulls[BRUNT_RULE_LISTS][2]; /* by enum brunt_rule_list; IPv4, IPv6 */
};

/* Bytes of a packet before its network header, where a tc program sees it; cgroup_skb programs see none. */
enum brunt_network {
	BRUNT_NETWORK_FIRST = 0,     /* a device without link headers: tun, wireguard */
	BRUNT_NETWORK_ETHERNET = 14, /* and loopback */
	BRUNT_NETWORK_UNKNOWN = 255, /* ask the kernel for each packet */
};

/* One per CPU. */
struct brunt_counters {
	__u64 missed; /* came by, but the fault is not about them */
	__u64 matched;
	__u64 hit;
	__u64 random; /* xorshift64* state, never 0 */
};

#ifdef __bpf__

#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BRUNT_RULES_MAX);
	__type(key, struct brunt_rule_key);
	__type(value, struct brunt_rule);
} brunt_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct brunt_counters);
} brunt_counters SEC(".maps");

/* What is known of a flow's transport. */
enum brunt_ports {
	BRUNT_PORTS_KNOWN,
	BRUNT_PORTS_NONE,    /* a protocol without ports: rules with ports don't match */
	BRUNT_PORTS_UNKNOWN, /* a later fragment: only address and protocol are judged */
};

#define BRUNT_PROTOCOL_UNKNOWN 255

struct brunt_end {
	__u32 address[4]; /* network order; IPv4 in the first word */
	__u16 port;	  /* host order */
};

struct brunt_flow {
	__u8 family;
	__u8 protocol;	 /* ICMPv6 is written as ICMP */
	__u8 ports;	 /* enum brunt_ports */
	__u32 transport; /* where its header begins, from the network header; while protocol is known */
	struct brunt_end local, remote;
};

static __always_inline struct brunt_counters *brunt_counters_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&brunt_counters, &zero);
}

/* An interrupt on this CPU may count in the middle of a count: hence atomic, although per CPU. */
static __always_inline void brunt_count(__u64 *counter, __u64 n)
{
	__sync_fetch_and_add(counter, n);
}

/*
 * What comes by pays for this, so it is not atomic: counts of an interrupt in the middle of a count can get lost. They
 * only tell a person what came by instead.
 */
static __always_inline bool brunt_miss(struct brunt_counters *counters, __u64 n)
{
	counters->missed += n;
	return false;
}

/* 0..2^32-1 from a state that is never 0 (xorshift64*); bpf_get_prandom_u32() cannot be seeded. */
static __always_inline __u64 brunt_random(__u64 *state)
{
	__u64 x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545F4914F6CDD1DULL >> 32;
}

/* Is the lease alive? Latches when it is not: a late renewal must not bring the fault back. */
static __always_inline bool brunt_lease_alive(struct brunt_control *control)
{
	if (control->lapsed)
		return false;
	if (bpf_ktime_get_boot_ns() < control->expires)
		return true;
	control->lapsed = 1;
	return false;
}

/* Is this end in none of the list's rules, as can be told without asking the trie? */
static __always_inline bool brunt_outside(const struct brunt_control *control, enum brunt_rule_list list,
					  const struct brunt_flow *flow, const struct brunt_end *end)
{
	const struct brunt_hull *hull = &control->hulls[list][0];

	if (flow->family == 4)
		return (end->address[0] & hull->mask[0]) != hull->value[0];
	hull = &control->hulls[list][1];
	return (end->address[0] & hull->mask[0]) != hull->value[0] ||
	       (end->address[1] & hull->mask[1]) != hull->value[1] ||
	       (end->address[2] & hull->mask[2]) != hull->value[2] ||
	       (end->address[3] & hull->mask[3]) != hull->value[3];
}

/* Can the addresses alone tell that the fault is not about this flow? */
static __always_inline bool brunt_flow_outside(const struct brunt_control *control, const struct brunt_flow *flow)
{
	if (control->lists & 1 << BRUNT_RULES_TO && brunt_outside(control, BRUNT_RULES_TO, flow, &flow->remote))
		return true;
	return control->lists & 1 << BRUNT_RULES_LOCAL && brunt_outside(control, BRUNT_RULES_LOCAL, flow, &flow->local);
}

/* 1 when x is 0, else 0; x is small. */
static __always_inline __u64 brunt_is_zero(__u64 x)
{
	return (x - 1) >> 63;
}

/*
 * 1 when the slot is about this end, else 0. Without branches: the verifier walks every path, sixteen slots in four
 * places make many of them, and a run would wait a second for its programs.
 */
static __always_inline __u64 brunt_slot_match(const struct brunt_rule_slot *slot, const struct brunt_flow *flow,
					      const struct brunt_end *end)
{
	__u64 port = end->port, known = flow->ports;
	__u64 protocol = brunt_is_zero(slot->protocol) | brunt_is_zero(slot->protocol ^ flow->protocol) |
			 brunt_is_zero(flow->protocol ^ BRUNT_PROTOCOL_UNKNOWN);
	__u64 outside = ((port - slot->port_min) | (slot->port_max - port)) >> 63;
	__u64 ports = brunt_is_zero(slot->port_max) | brunt_is_zero(known ^ BRUNT_PORTS_UNKNOWN) |
		      (brunt_is_zero(known ^ BRUNT_PORTS_KNOWN) & ~outside);

	return protocol & ports & 1;
}

static __always_inline bool brunt_rules_match(const struct brunt_control *control, enum brunt_rule_list list,
					      const struct brunt_flow *flow, const struct brunt_end *end)
{
	struct brunt_rule_key key = {
		.prefixlen = 32 + (flow->family == 4 ? 32 : 128),
		.list = (__u8)list,
		.family = flow->family,
	};
	struct brunt_rule *rule;
	__u64 hits = 0;

	if (brunt_outside(control, list, flow, end))
		return false;
	__builtin_memcpy(key.address, end->address, sizeof(key.address));
	rule = bpf_map_lookup_elem(&brunt_rules, &key);
	if (!rule)
		return false;
	for (__u32 i = 0; i < BRUNT_RULE_SLOTS && i < rule->count; i++)
		hits |= brunt_slot_match(&rule->slots[i], flow, end);
	return hits;
}

/* The number of the group that an address is in, from 1; 0: none. Groups don't overlap. */
static __always_inline __u32 brunt_group(const struct brunt_flow *flow, const struct brunt_end *end)
{
	struct brunt_rule_key key = {
		.prefixlen = 32 + (flow->family == 4 ? 32 : 128),
		.list = BRUNT_RULES_GROUP,
		.family = flow->family,
	};
	struct brunt_rule *rule;

	__builtin_memcpy(key.address, end->address, sizeof(key.address));
	rule = bpf_map_lookup_elem(&brunt_rules, &key);
	return rule ? rule->count : 0;
}

/* All lists together. */
static __always_inline bool brunt_flow_match(const struct brunt_control *control, const struct brunt_flow *flow)
{
	__u32 lists = control->lists;

	if (lists & 1 << BRUNT_RULES_TO && !brunt_rules_match(control, BRUNT_RULES_TO, flow, &flow->remote))
		return false;
	if (lists & 1 << BRUNT_RULES_LOCAL && !brunt_rules_match(control, BRUNT_RULES_LOCAL, flow, &flow->local))
		return false;
	if (lists & 1 << BRUNT_RULES_EXCEPT && (brunt_rules_match(control, BRUNT_RULES_EXCEPT, flow, &flow->remote) ||
						brunt_rules_match(control, BRUNT_RULES_EXCEPT, flow, &flow->local)))
		return false;
	return true;
}

#endif /* __bpf__ */
#endif
