/* SPDX-License-Identifier: Apache-2.0 */
/* dns.fail in words: its parameters, what it would do, what it did, and why it did nothing. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/units.h"
#include "fault/dns_fail.h"
#include "target/cgroup.h"

#define NAME_MAX_LENGTH 255
#define TTL_MAX		"1h"
#define DELAY_MAX	"1m"

static const struct brunt_value answers[] = {
	{ "nxdomain", BRUNT_DNS_SAY_NXDOMAIN, "there is no such name" },
	{ "servfail", BRUNT_DNS_SAY_SERVFAIL, "the server failed" },
	{ "refused", BRUNT_DNS_SAY_REFUSED, "the server does not want to answer" },
	{ "nodata", BRUNT_DNS_SAY_NODATA, "there is such a name, but nothing of the type that was asked for" },
	{ "address", BRUNT_DNS_SAY_ADDRESS, "one of `addresses`; nodata for what is not asking for an address" },
	{ "timeout", BRUNT_DNS_SAY_NOTHING, "none: the client waits until it gives up" },
	{ "real", BRUNT_DNS_SAY_TRUTH, "the server's own, after `delay`" },
	{ 0 },
};

static const struct brunt_value types[] = {
	{ "A", BRUNT_DNS_A, "IPv4 addresses" },	 { "AAAA", BRUNT_DNS_AAAA, "IPv6 addresses" },
	{ "CNAME", BRUNT_DNS_CNAME, "aliases" }, { "MX", BRUNT_DNS_MX, "mail servers" },
	{ "NS", BRUNT_DNS_NS, "name servers" },	 { "PTR", BRUNT_DNS_PTR, "names of addresses" },
	{ "SOA", BRUNT_DNS_SOA, "zones" },	 { "SRV", BRUNT_DNS_SRV, "services" },
	{ "TXT", BRUNT_DNS_TXT, "text" },	 { "HTTPS", BRUNT_DNS_HTTPS, "what web browsers ask for, too" },
	{ "ANY", BRUNT_DNS_ANY, "everything" },	 { 0 },
};

static const struct brunt_param params[] = {
	BRUNT_LIST_OF(
		struct dns_params, names, BRUNT_T_STRING, .max = NAME_MAX_LENGTH, .example = "[\"*.db.internal\"]",
		.help = "only lookups of these names, as they are asked for: * is any text, ? any character, case "
			"does not count; all when left out"),
	BRUNT_LIST_OF(struct dns_params, except, BRUNT_T_STRING, .max = NAME_MAX_LENGTH,
		      .example = "[\"*.monitoring.internal\"]", .help = "never lookups of these names"),
	BRUNT_LIST_OF(struct dns_params, types, BRUNT_T_ENUM, .values = types, .count_max = BRUNT_COUNT(types) - 1,
		      .example = "[\"A\", \"AAAA\"]", .help = "only lookups of these record types; all when left out"),
	BRUNT_ENUM(struct dns_params, answer, .def = "nxdomain", .values = answers, .help = "what the target is told"),
	BRUNT_LIST_OF(struct dns_params, addresses, BRUNT_T_ENDPOINT, .count_max = BRUNT_DNS_ADDRESSES,
		      .example = "[\"192.0.2.1\", \"2001:db8::1\"]",
		      .help = "the wrong addresses of the answer `address`: IPv4 for A, IPv6 for AAAA"),
	BRUNT_DURATION(struct dns_params, ttl, .max = 3600e9, .def = "0s",
		       .help = "how long caches may keep a wrong address, also after the fault; whole seconds"),
	BRUNT_RAMP(struct dns_params, delay, BRUNT_T_DURATION, .max = 60e9, .example = "\"2s\"",
		   .help = "the answer comes so much later"),
	BRUNT_RAMP(struct dns_params, probability, BRUNT_T_RATIO, .def = "100%", .max = 1,
		   .help = "chance that a lookup is hurt, its questions for IPv4 and IPv6 together"),
	BRUNT_LIST_OF(
		struct dns_params, servers, BRUNT_T_ENDPOINT, .count_max = 5, .example = "[\"10.0.0.2:5353\"]",
		.help = "name servers that the target asks besides those of its /etc/resolv.conf; port 53 when left "
			"out"),
	BRUNT_BOOL(
		struct dns_params, reconnect,
		.help = "when it begins, sockets that the target has connected to a name server are ended, so that it makes "
			"new ones: lookups through the old are not hurt"),
	{ 0 },
};

const struct brunt_table dns_table = {
	.name = "dns.fail",
	.help = "lookups of names fail, are answered wrongly or late; nobody else's than the target's",
	.params = params,
	.size = sizeof(struct dns_params),
};

static int check_names(const struct brunt_list *names, const char *key, struct brunt_error *err)
{
	char quote[BRUNT_QUOTE_SIZE];

	BRUNT_FOREACH (const char *const, name, *names)
		if (!**name || strpbrk(*name, " \t\n/:@[]"))
			return brunt_fail(err, EINVAL,
					  "'%s' in '%s' is no name; write \"db.internal\" or \"*.internal\"",
					  brunt_text_quote(*name, quote), key);
	return 0;
}

static int check_addresses(const struct brunt_list *endpoints, const char *key, bool ports, struct brunt_error *err)
{
	char text[80];

	BRUNT_FOREACH (const struct brunt_endpoint, endpoint, *endpoints) {
		bool whole = endpoint->family && endpoint->prefix == (endpoint->family == 4 ? 32 : 128);

		if (!whole || endpoint->protocol || (endpoint->port_max && !ports) ||
		    endpoint->port_min != endpoint->port_max)
			return brunt_fail(err, EINVAL, "'%s' in '%s' is not one address%s",
					  brunt_endpoint_print(endpoint, text, sizeof(text)), key,
					  ports ? " with at most one port" : " without a port");
	}
	return 0;
}

int dns_validate(const void *object, int kind, struct brunt_error *err)
{
	const struct dns_params *p = object;
	bool late = p->delay.from > 0 || p->delay.to > 0;
	int r = check_names(&p->names, "names", err);

	(void)kind;
	r = r ?: check_names(&p->except, "except", err);
	r = r ?: check_addresses(&p->addresses, "addresses", false, err);
	r = r ?: check_addresses(&p->servers, "servers", true, err);
	if (r)
		return r;
	if (p->answer == BRUNT_DNS_SAY_ADDRESS && !p->addresses.count)
		return brunt_fail(err, EINVAL, "the answer 'address' needs 'addresses'");
	if (p->answer != BRUNT_DNS_SAY_ADDRESS && (p->addresses.count || p->ttl))
		return brunt_fail(err, EINVAL, "'%s' is for the answer 'address' alone",
				  p->addresses.count ? "addresses" : "ttl");
	if (p->ttl % BRUNT_S)
		return brunt_fail(err, EINVAL, "'ttl' has whole seconds");
	if (p->answer == BRUNT_DNS_SAY_TRUTH && !late)
		return brunt_fail(err, EINVAL, "the answer 'real' needs 'delay': else nothing would happen");
	if (p->answer == BRUNT_DNS_SAY_NOTHING && late)
		return brunt_fail(err, EINVAL, "the answer 'timeout' never comes, so 'delay' means nothing");
	return 0;
}

static void __attribute__((format(printf, 3, 4))) append(char *buf, size_t size, const char *format, ...)
{
	size_t used = strlen(buf);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(buf + used, size - used, format, arguments);
	va_end(arguments);
	/* cut in a character */
	if (strlen(buf) == size - 1)
		brunt_text_clean(buf);
}

bool dns_is_ourselves(const struct brunt_victims *victims)
{
	char line[PATH_MAX], *own = NULL;
	FILE *in = fopen("/proc/self/cgroup", "re");
	bool found = false;

	while (in && !own && fgets(line, sizeof(line), in))
		own = strncmp(line, "0::", 3) ? NULL : line + 3;
	if (in)
		(void)fclose(in);
	if (own)
		own[strcspn(own, "\n")] = '\0';
	for (size_t i = 0; own && !found && i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[i];

		found = item->picked && item->cgroup[0] && item->kind != BRUNT_TARGET_PROCESS &&
			brunt_cgroup_within(own, item->cgroup);
	}
	return found;
}

void dns_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf, size_t size)
{
	const struct dns_params *p = fault->params;
	char delay[32];

	buf[0] = '\0';
	for (size_t i = 0; answers[i].name; i++)
		if (answers[i].value == p->answer)
			append(buf, size, "%s", answers[i].name);
	if (brunt_ramp_moves(&p->delay))
		append(buf, size, ", up to %s late",
		       brunt_duration_print((uint64_t)fmax(p->delay.from, p->delay.to), delay, sizeof(delay)));
	else if (p->delay.from > 0)
		append(buf, size, " after %s", brunt_duration_print((uint64_t)p->delay.from, delay, sizeof(delay)));
	append(buf, size, " from a responder, to which cgroup programs turn lookups");
	if (victims && victims->matched && victims->items[0].kind == BRUNT_TARGET_PROCESS)
		append(buf, size, " of %zu process%s", victims->picked, victims->picked == 1 ? "" : "es");
	if (victims && dns_is_ourselves(victims))
		append(buf, size, "; brunt is in that cgroup: lookups of its own SLIs are hurt, too");
}

static void add_counts(struct brunt_hits *sum, const struct brunt_responder *responder)
{
	const struct brunt_responder_page *page = responder->page;

	sum->seen += page->seen;
	sum->matched += page->matched;
	sum->hit += page->hit;
}

void dns_keep_counts(struct dns_state *state, struct brunt_responder *responder)
{
	add_counts(&state->ended, responder);
	responder->page->seen = responder->page->matched = responder->page->hit = 0;
}

/* What was asked for instead; the responder wrote it, who may have been made to write anything. */
static void tell_names(const struct dns_state *state, char *buf, size_t size)
{
	size_t told = 0;

	for (size_t i = 0; i < state->places.count; i++) {
		for (size_t j = 0; j < BRUNT_RESPONDER_NAMES; j++) {
			uint64_t count = state->responders[i].page->names[j].count;
			char name[BRUNT_RESPONDER_NAME_SIZE];

			memcpy(name, state->responders[i].page->names[j].name, sizeof(name));
			name[sizeof(name) - 1] = '\0';
			if (!count || !name[0])
				continue;
			append(buf, size, "%s%s (%" PRIu64 ")", told++ ? ", " : "; asked for: ", brunt_text_clean(name),
			       count);
		}
	}
}

static void tell_near_miss(const struct dns_state *state, uint64_t strangers, struct brunt_hits *ret)
{
	const struct brunt_dns_stranger *stranger = &state->control->stranger;
	const struct dns_params *p = state->params;
	size_t size = sizeof(ret->near_miss);
	char *text = ret->near_miss, address[INET6_ADDRSTRLEN] = "?", quote[BRUNT_QUOTE_SIZE];

	text[0] = '\0';
	if (ret->hit)
		return;
	if (stranger->family)
		(void)inet_ntop(stranger->family == 4 ? AF_INET : AF_INET6, stranger->address, address,
				sizeof(address));
	if (!ret->seen && strangers)
		append(text, size,
		       "%" PRIu64 " lookup%s went to %s, which its resolv.conf does not name; say it in "
		       "'servers'",
		       strangers, strangers == 1 ? "" : "s", address);
	else if (!ret->seen && state->deaf && !p->reconnect)
		append(text, size,
		       "no lookup came by; %zu socket%s that the target had connected to a name server before %s not seen: "
		       "say 'reconnect'",
		       state->deaf, state->deaf == 1 ? "" : "s", state->deaf == 1 ? "is" : "are");
	else if (!ret->seen)
		append(text, size,
		       "no lookup came by; those through nscd, systemd-resolved's own socket, or encrypted "
		       "are not seen");
	else if (!ret->matched) {
		append(text, size, "saw %" PRIu64 " lookup%s, none ", ret->seen, ret->seen == 1 ? "" : "s");
		if (p->names.count)
			append(text, size, "matching %s%s",
			       brunt_text_quote(*(const char *const *)p->names.items, quote),
			       p->names.count > 1 ? " or the others" : "");
		else
			append(text, size, "that the fault is about");
		tell_names(state, text, size);
	} else {
		append(text, size, "%" PRIu64 " matched, but chance spared them all", ret->matched);
	}
}

int dns_poll(void *opaque, struct brunt_hits *ret)
{
	struct dns_state *state = opaque;
	int r = brunt_bpf_poll(&state->bpf, ret);
	bool lost;
	uint64_t strangers = ret->seen;

	brunt_bpf_forget_dead(bpf_map__fd(state->skel->maps.brunt_victims), state->victims, &state->bpf.looked);
	if (r)
		return r;
	ret->seen = state->ended.seen;
	ret->matched = state->ended.matched;
	ret->hit = state->ended.hit;
	lost = state->cut;
	for (size_t i = 0; i < state->started; i++) {
		add_counts(ret, &state->responders[i]);
		lost |= brunt_responder_is_lost(&state->responders[i]);
	}
	/* A responder that hung is lost as surely as one that ended: the fault does not come back by itself. */
	lost |= state->bpf.control->armed && ret->lapsed;
	ret->silent_role = lost && !ret->detached ? BRUNT_ROLE_RESPONDER : 0;
	ret->detached |= lost;
	tell_near_miss(state, strangers, ret);
	ret->target_gone = brunt_bpf_all_gone(state->mount, state->victims);
	return 0;
}
