/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints into the trie of bpf/match.h, and back into words when nothing
 * matched.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>

#include "brunt/error.h"
#include "brunt/fault.h"
#include "program/bpf.h"

static int add_slot(struct brunt_rule *rule, const struct brunt_endpoint *endpoint, struct brunt_error *err)
{
	struct brunt_rule_slot slot = {
		.port_min = endpoint->port_min,
		.port_max = endpoint->port_max,
		.protocol = endpoint->protocol,
	};
	char text[80];

	for (uint32_t i = 0; i < rule->count; i++)
		if (!memcmp(&rule->slots[i], &slot, sizeof(slot)))
			return 0;
	if (rule->count == BRUNT_RULE_SLOTS)
		return brunt_fail(err, E2BIG, "more than %d port ranges for '%s'; split the fault", BRUNT_RULE_SLOTS,
				  brunt_endpoint_print(endpoint, text, sizeof(text)));
	rule->slots[rule->count++] = slot;
	return 0;
}

static int fail_store(struct brunt_error *err)
{
	if (errno == ENOSPC)
		return brunt_fail(err, ENOSPC, "more than %d addresses in one fault", BRUNT_RULES_MAX);
	return brunt_fail(err, errno, "cannot store the addresses: %s", strerror(errno));
}

/* One prefix with the ports of everything that covers it. */
static int put(struct brunt_bpf *bpf, enum brunt_rule_list list, const struct brunt_list *endpoints,
	       const struct brunt_endpoint *self, struct brunt_error *err)
{
	struct brunt_rule_key key = { .prefixlen = 32u + self->prefix, .list = (__u8)list, .family = self->family };
	struct brunt_rule rule;

	memset(&rule, 0, sizeof(rule));
	memcpy(key.address, self->address, sizeof(key.address));
	BRUNT_FOREACH (const struct brunt_endpoint, other, *endpoints) {
		struct brunt_endpoint wide;
		int r;

		/* Most are another host: told at once, a thousand of them a thousand times. */
		if (other->family == self->family && other->prefix >= self->prefix &&
		    memcmp(other->address, self->address, self->family == 4 ? 4 : 16))
			continue;
		if (!brunt_endpoint_of_family(other, self->family, &wide) || !brunt_endpoint_contains(&wide, self))
			continue;
		r = add_slot(&rule, &wide, err);
		if (r)
			return r;
		if (wide.protocol || wide.port_max)
			bpf->control->ports = 1;
	}
	return bpf_map_update_elem(bpf->rules, &key, &rule, BPF_ANY) ? fail_store(err) : 0;
}

/* Takes the prefix in: the hull keeps what both share. The first one is the hull. */
static void widen(struct brunt_hull *hull, const struct brunt_endpoint *self, bool first)
{
	const unsigned size = self->family == 4 ? 32 : 128;
	uint8_t *mask = (uint8_t *)hull->mask, *value = (uint8_t *)hull->value;
	bool same = true;

	for (unsigned bit = 0; bit < size; bit++) {
		const uint8_t place = (uint8_t)(0x80 >> bit % 8);
		const bool inside = first || mask[bit / 8] & place;

		same = same && bit < self->prefix && inside &&
		       (first || !((value[bit / 8] ^ self->address[bit / 8]) & place));
		mask[bit / 8] = same ? mask[bit / 8] | place : mask[bit / 8] & ~place;
		value[bit / 8] = (uint8_t)((value[bit / 8] & ~place) | (same ? self->address[bit / 8] & place : 0));
	}
}

/* Is that key of the trie one of the endpoints? */
static bool stands_for(const struct brunt_rule_key *key, const struct brunt_list *endpoints)
{
	BRUNT_FOREACH (const struct brunt_endpoint, endpoint, *endpoints) {
		struct brunt_endpoint self;

		if (brunt_endpoint_of_family(endpoint, key->family, &self) && 32u + self.prefix == key->prefixlen &&
		    !memcmp(self.address, key->address, sizeof(key->address)))
			return true;
	}
	return false;
}

/* Takes away what the list had and has no more. Each turn takes one or moves on, so it ends with the trie. */
static void forget_others(struct brunt_bpf *bpf, enum brunt_rule_list list, const struct brunt_list *endpoints)
{
	struct brunt_rule_key at, next;
	bool begun = false;

	for (size_t turn = 0; turn < 2 * BRUNT_RULES_MAX; turn++) {
		if (bpf_map_get_next_key(bpf->rules, begun ? &at : NULL, &next))
			return;
		if (next.list == list && !stands_for(&next, endpoints))
			(void)bpf_map_delete_elem(bpf->rules, &next);
		else
			at = next, begun = true;
	}
}

int brunt_bpf_write_rules(struct brunt_bpf *bpf, enum brunt_rule_list list, const struct brunt_list *endpoints,
			  struct brunt_error *err)
{
	struct brunt_hull narrow[2] = { 0 }, *hulls = narrow;
	bool first[2] = { true, true };

	/* While the rules change everything lies inside: the trie is asked. */
	memset(bpf->control->hulls[list], 0, sizeof(narrow));
	/* Without a rule of its family, no address is inside. */
	hulls[0].value[0] = hulls[1].value[0] = UINT32_MAX;
	BRUNT_FOREACH (const struct brunt_endpoint, endpoint, *endpoints) {
		for (uint8_t family = 4; family <= 6; family += 2) {
			struct brunt_endpoint self;
			int r;

			if (!brunt_endpoint_of_family(endpoint, family, &self))
				continue;
			r = put(bpf, list, endpoints, &self, err);
			if (r)
				return r;
			widen(&hulls[family == 6], &self, first[family == 6]);
			first[family == 6] = false;
		}
	}
	if (bpf->control->lists & 1u << list)
		forget_others(bpf, list, endpoints);
	memcpy(bpf->control->hulls[list], narrow, sizeof(narrow));
	if (endpoints->count)
		bpf->control->lists |= 1u << list;
	return 0;
}

int brunt_bpf_rules(struct brunt_bpf *bpf, enum brunt_rule_list list, const struct brunt_list *endpoints,
		    struct brunt_error *err)
{
	bpf->ends[list] = endpoints;
	return brunt_bpf_write_rules(bpf, list, endpoints, err);
}

int brunt_bpf_group(struct brunt_bpf *bpf, const struct brunt_endpoint *endpoint, uint32_t group,
		    struct brunt_error *err)
{
	struct brunt_rule_key key = { .list = BRUNT_RULES_GROUP };
	struct brunt_rule rule;
	struct brunt_endpoint self;

	memset(&rule, 0, sizeof(rule));
	rule.count = group;
	if (!brunt_endpoint_of_family(endpoint, 4, &self) && !brunt_endpoint_of_family(endpoint, 6, &self))
		return brunt_fail(err, EINVAL, "a group is made of addresses");
	key.prefixlen = 32u + self.prefix;
	key.family = self.family;
	memcpy(key.address, self.address, sizeof(key.address));
	return bpf_map_update_elem(bpf->rules, &key, &rule, BPF_ANY) ? fail_store(err) : 0;
}

void brunt_bpf_near_miss(struct brunt_hits *ret, const char *thing, const struct brunt_list *to, double probability)
{
	char text[80];
	size_t size = sizeof(ret->near_miss);

	ret->near_miss[0] = '\0';
	if (ret->hit)
		return;
	if (!ret->seen)
		(void)snprintf(ret->near_miss, size, "no %s came by", thing);
	else if (!ret->matched && to->count)
		(void)snprintf(ret->near_miss, size, "saw %" PRIu64 " %s%s, none to %s%s", ret->seen, thing,
			       ret->seen == 1 ? "" : "s", brunt_endpoint_print(to->items, text, sizeof(text)),
			       to->count > 1 ? " or the others" : "");
	else if (!ret->matched)
		(void)snprintf(ret->near_miss, size, "saw %" PRIu64 " %s%s, none that the fault is about", ret->seen,
			       thing, ret->seen == 1 ? "" : "s");
	else
		(void)snprintf(ret->near_miss, size, "%" PRIu64 " matched, but chance (%g %%) spared them all",
			       ret->matched, probability * 100);
}
