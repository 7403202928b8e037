/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/param.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* The last part of an endpoint, and the words for it. */
static const struct {
	const char *name;
	uint8_t protocol;
} protocols[] = {
	{ "tcp", IPPROTO_TCP },
	{ "udp", IPPROTO_UDP },
	{ "icmp", IPPROTO_ICMP },
};

/* The number that is all of text, without sign or leading zero, or -1. */
static long read_number(const char *text, long max)
{
	long number = 0;

	if (!text[0] || (text[0] == '0' && text[1]))
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		number = number * 10 + (*text - '0');
		if (number > max)
			return -1;
	}
	return number;
}

static int read_port(const char *text, uint16_t *ret, const char *shown, struct brunt_error *err)
{
	long number = read_number(text, 65535);

	if (number < 1)
		return brunt_fail(err, EINVAL, "'%s' has no right port; ports go from 1 to 65535", shown);
	*ret = (uint16_t)number;
	return 0;
}

/* "80" or "8080-8090"; cuts text at the dash. */
static int read_ports(char *text, struct brunt_endpoint *to, const char *shown, struct brunt_error *err)
{
	char *dash = strchr(text, '-');
	int r;

	if (dash)
		*dash = '\0';
	r = read_port(text, &to->port_min, shown, err);
	if (r < 0)
		return r;
	to->port_max = to->port_min;
	if (dash) {
		r = read_port(dash + 1, &to->port_max, shown, err);
		if (r < 0)
			return r;
	}
	if (to->port_max < to->port_min)
		return brunt_fail(err, EINVAL, "'%s' has its ports the wrong way round", shown);
	return 0;
}

static void clear_host_bits(uint8_t address[16], unsigned prefix)
{
	for (unsigned bit = prefix; bit < 128; bit++)
		address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

/* Letters, digits, '-', '_' and dots; the last label begins with a letter, so that no mistyped address is one. */
static bool is_name(const char *text)
{
	size_t length = strlen(text);
	const char *last;

	if (!length || length >= BRUNT_HOST_SIZE || strchr(".-", text[0]) || strstr(text, ".."))
		return false;
	for (size_t i = 0; i < BRUNT_COUNT(protocols); i++)
		if (!strcmp(text, protocols[i].name))
			return false; /* "tcp" was meant to be "/tcp" */
	for (const char *at = text; *at; at++)
		if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
		      strchr("-_.", *at)))
			return false;
	last = strrchr(text, '.');
	last = last ? last + 1 : text;
	return (*last >= 'a' && *last <= 'z') || (*last >= 'A' && *last <= 'Z');
}

/* An address and its prefix (NULL: all bits), or a name. */
static int read_address(const char *address, const char *prefix, struct brunt_endpoint *to, const char *shown,
			struct brunt_error *err)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct brunt_endpoint network;
	unsigned bits;
	long given;

	if (inet_pton(AF_INET, address, to->address) == 1)
		to->family = 4;
	else if (inet_pton(AF_INET6, address, to->address) == 1)
		to->family = 6;
	else if (strchr(address, '%'))
		return brunt_fail(err, EINVAL, "'%s' has a zone; name the interface by the target instead", shown);
	else if (!is_name(address))
		return brunt_fail(err, EINVAL, "'%s' has no right address or name", shown);
	else if (prefix)
		return brunt_fail(err, EINVAL, "'%s': only an address has a prefix", shown);
	if (!to->family) {
		(void)snprintf(to->host, sizeof(to->host), "%s", address);
		return 0;
	}
	if (to->family == 6 && memcmp(to->address, mapped, sizeof(mapped)) == 0)
		return brunt_fail(err, EINVAL, "'%s' is an IPv4 address in IPv6 clothes; write the IPv4 address",
				  shown);
	bits = to->family == 4 ? 32 : 128;
	given = prefix ? read_number(prefix, bits) : (long)bits;
	if (given < 0)
		return brunt_fail(err, EINVAL, "'%s' has no right prefix; IPv%d has 0 to %u bits", shown, to->family,
				  bits);
	to->prefix = (uint8_t)given;
	network = *to;
	network.protocol = 0;
	network.port_min = network.port_max = 0;
	clear_host_bits(network.address, to->prefix);
	if (memcmp(network.address, to->address, sizeof(network.address)) != 0) {
		char buf[80];

		return brunt_fail(err, EINVAL, "'%s' has bits set beyond its prefix; the network is \"%s\"", shown,
				  brunt_endpoint_print(&network, buf, sizeof(buf)));
	}
	return 0;
}

static bool is_number(const char *text)
{
	return text[0] && strspn(text, "0123456789") == strlen(text);
}

/* Takes a protocol off the end of text. What follows the last slash and begins with a letter is meant as one. */
static int take_protocol(char *text, struct brunt_endpoint *to, const char *shown, struct brunt_error *err)
{
	char *slash = strrchr(text, '/');

	if (!slash || is_number(slash + 1))
		return 0;
	for (size_t i = 0; i < BRUNT_COUNT(protocols); i++) {
		if (strcmp(slash + 1, protocols[i].name) == 0) {
			to->protocol = protocols[i].protocol;
			*slash = '\0';
			return 0;
		}
	}
	/* "10.0.0.0/8:80": the slash belongs to the prefix. */
	if (slash[1] >= '0' && slash[1] <= '9')
		return 0;
	return brunt_fail(err, EINVAL, "'%s' has no right protocol; there are tcp, udp, icmp", shown);
}

/* "[" v6 [ "/" bits ] "]" [ "/" bits ] [ ":" ports ] */
static int parse_brackets(char *text, struct brunt_endpoint *to, const char *shown, struct brunt_error *err)
{
	char *close = strchr(text, ']');
	char *inside, *after, *prefix;
	int r;

	if (!close)
		return brunt_fail(err, EINVAL, "'%s' has no ']'", shown);
	*close = '\0';
	inside = text + 1;
	after = close + 1;
	prefix = strchr(inside, '/');
	if (prefix)
		*prefix++ = '\0';
	if (*after == '/') {
		if (prefix)
			return brunt_fail(err, EINVAL, "'%s' has two prefixes", shown);
		prefix = ++after;
		after += strcspn(after, ":");
	}
	if (*after == ':') {
		*after++ = '\0';
		r = read_ports(after, to, shown, err);
		if (r < 0)
			return r;
	} else if (*after) {
		return brunt_fail(err, EINVAL, "'%s' has text after ']' that is no port", shown);
	}
	if (!strchr(inside, ':'))
		return brunt_fail(err, EINVAL, "'%s': only an IPv6 address stands in brackets", shown);
	return read_address(inside, prefix, to, shown, err);
}

/* Everything but the protocol; text is cut up. */
static int parse_rest(char *text, struct brunt_endpoint *to, const char *shown, struct brunt_error *err)
{
	char *colon = strchr(text, ':');
	char *slash;
	int r;

	if (text[0] == '[')
		return parse_brackets(text, to, shown, err);
	if (text[0] == ':' && text[1] != ':')
		return read_ports(text + 1, to, shown, err);
	/* One colon introduces ports; more make an IPv6 address, which has ports only in brackets. */
	if (colon && !strchr(colon + 1, ':')) {
		*colon = '\0';
		r = read_ports(colon + 1, to, shown, err);
		if (r < 0)
			return r;
	}
	slash = strchr(text, '/');
	if (slash)
		*slash++ = '\0';
	if (slash && strchr(slash, ':'))
		return brunt_fail(err, EINVAL, "'%s': an IPv6 address with a port stands in brackets, as \"[::1]:80\"",
				  shown);
	return read_address(text, slash, to, shown, err);
}

int brunt_endpoint_parse(const char *text, struct brunt_endpoint *ret, struct brunt_error *err)
{
	struct brunt_endpoint endpoint = { 0 };
	char shown[BRUNT_QUOTE_SIZE];
	char copy[BRUNT_HOST_SIZE + 20];
	int r;

	brunt_text_quote(text, shown);
	if (!text[0])
		return brunt_fail(err, EINVAL, "'' is no endpoint; write for example \"10.0.0.5:5432/tcp\"");
	if (strlen(text) >= sizeof(copy))
		return brunt_fail(err, EINVAL, "'%s' is too long for an endpoint", shown);
	strcpy(copy, text);
	r = take_protocol(copy, &endpoint, shown, err);
	if (r < 0)
		return r;
	if (copy[0]) {
		r = parse_rest(copy, &endpoint, shown, err);
		if (r < 0)
			return r;
	}
	if (endpoint.protocol == IPPROTO_ICMP && endpoint.port_min)
		return brunt_fail(err, EINVAL, "'%s': icmp has no ports", shown);
	*ret = endpoint;
	return 0;
}

const char *brunt_endpoint_print(const struct brunt_endpoint *endpoint, char *buf, size_t size)
{
	const bool ports = endpoint->port_min || endpoint->port_max;
	const bool brackets = endpoint->family == 6 && ports;
	char address[BRUNT_HOST_SIZE] = "", prefix[8] = "", range[16] = "";
	const char *protocol = "";

	if (endpoint->family != 0) {
		(void)inet_ntop(endpoint->family == 4 ? AF_INET : AF_INET6, endpoint->address, address,
				sizeof(address));
		if (endpoint->prefix != (endpoint->family == 4 ? 32 : 128))
			(void)snprintf(prefix, sizeof(prefix), "/%u", endpoint->prefix);
	} else {
		(void)snprintf(address, sizeof(address), "%s", endpoint->host);
	}
	if (ports && endpoint->port_min == endpoint->port_max)
		(void)snprintf(range, sizeof(range), ":%u", endpoint->port_min);
	else if (ports)
		(void)snprintf(range, sizeof(range), ":%u-%u", endpoint->port_min, endpoint->port_max);
	for (size_t i = 0; i < BRUNT_COUNT(protocols); i++)
		if (protocols[i].protocol == endpoint->protocol)
			protocol = protocols[i].name;
	(void)snprintf(buf, size, "%s%s%s%s%s%s%s", brackets ? "[" : "", address, prefix, brackets ? "]" : "", range,
		       protocol[0] ? "/" : "", protocol);
	if (size > 0 && !buf[0])
		(void)snprintf(buf, size, "any");
	return buf;
}
