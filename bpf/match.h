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
	__u32 count;
	struct brunt_rule_slot slots[BRUNT_RULE_SLOTS];
};

/* Mapped into the holder: arming is a store. */
struct brunt_control {
	__u32 armed;
	__u32 lapsed;	 /* the lease ran out: never again until armed anew */
	__u64 expires;	 /* CLOCK_BOOTTIME ns */
	__u64 threshold; /* probability * 2^32: 2^32 is always, 0 is never */
	__u32 lists;	 /* 1 << enum brunt_rule_list: those that hold rules */
	__u32 ports;	 /* some rule looks at ports or protocols */
};

/* One per CPU. */
struct brunt_counters {
	__u64 seen;
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
	__u8 protocol; /* ICMPv6 is written as ICMP */
	__u8 ports;    /* enum brunt_ports */
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

/* 0..2^32-1; bpf_get_prandom_u32() cannot be seeded. */
static __always_inline __u64 brunt_random(struct brunt_counters *counters)
{
	__u64 x = counters->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	counters->random = x;
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

static __always_inline bool brunt_rules_match(__u8 list, const struct brunt_flow *flow, const struct brunt_end *end)
{
	struct brunt_rule_key key = {
		.prefixlen = 32 + (flow->family == 4 ? 32 : 128),
		.list = list,
		.family = flow->family,
	};
	struct brunt_rule *rule;

	__builtin_memcpy(key.address, end->address, sizeof(key.address));
	rule = bpf_map_lookup_elem(&brunt_rules, &key);
	if (!rule)
		return false;
	for (int i = 0; i < BRUNT_RULE_SLOTS; i++) {
		const struct brunt_rule_slot *slot = &rule->slots[i];

		if (i >= rule->count)
			break;
		if (slot->protocol && slot->protocol != flow->protocol && flow->protocol != BRUNT_PROTOCOL_UNKNOWN)
			continue;
		if (!slot->port_max || flow->ports == BRUNT_PORTS_UNKNOWN)
			return true;
		if (flow->ports == BRUNT_PORTS_KNOWN && end->port >= slot->port_min && end->port <= slot->port_max)
			return true;
	}
	return false;
}

/* All lists together. */
static __always_inline bool brunt_flow_match(__u32 lists, const struct brunt_flow *flow)
{
	if (lists & 1 << BRUNT_RULES_TO && !brunt_rules_match(BRUNT_RULES_TO, flow, &flow->remote))
		return false;
	if (lists & 1 << BRUNT_RULES_LOCAL && !brunt_rules_match(BRUNT_RULES_LOCAL, flow, &flow->local))
		return false;
	if (lists & 1 << BRUNT_RULES_EXCEPT && (brunt_rules_match(BRUNT_RULES_EXCEPT, flow, &flow->remote) ||
						brunt_rules_match(BRUNT_RULES_EXCEPT, flow, &flow->local)))
		return false;
	return true;
}

#endif /* __bpf__ */
#endif
