/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages (RFC 1035), as far as dns.fail needs them: what a query asks
 * for, and a short answer to it. Pure, without allocation, bounded; what it
 * reads is foreign.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct brunt_list;

enum brunt_dns_type {
	BRUNT_DNS_A = 1,
	BRUNT_DNS_NS = 2,
	BRUNT_DNS_CNAME = 5,
	BRUNT_DNS_SOA = 6,
	BRUNT_DNS_PTR = 12,
	BRUNT_DNS_MX = 15,
	BRUNT_DNS_TXT = 16,
	BRUNT_DNS_AAAA = 28,
	BRUNT_DNS_SRV = 33,
	BRUNT_DNS_HTTPS = 65,
	BRUNT_DNS_ANY = 255,
};

enum brunt_dns_code { BRUNT_DNS_OK = 0, BRUNT_DNS_SERVFAIL = 2, BRUNT_DNS_NXDOMAIN = 3, BRUNT_DNS_REFUSED = 5 };

/* 255 bytes on the wire, each of which may become four characters. */
#define BRUNT_DNS_NAME_SIZE 1024

/* The most that brunt_dns_answer() writes: what any client takes by UDP. */
#define BRUNT_DNS_ANSWER_SIZE 512
#define BRUNT_DNS_ADDRESSES   4

struct brunt_dns_question {
	char name[BRUNT_DNS_NAME_SIZE]; /* lower case, dots between labels, none at the end, odd bytes as \DDD; "." */
	uint16_t type;
	size_t end;    /* where the question ends in the message */
	bool has_edns; /* asked with an OPT record: the answer must bear one, or the client may learn to do without */
	bool wants_dnssec; /* the DO bit of that record */
};

struct brunt_dns_address {
	uint8_t family; /* 4 or 6 */
	uint8_t address[16];
};

struct brunt_dns_reply {
	enum brunt_dns_code code;
	uint32_t ttl; /* seconds */
	const struct brunt_dns_address *addresses;
	size_t address_count; /* the first BRUNT_DNS_ADDRESSES count; only those of the asked type are given */
};

/*
 * Reads a query for one name of the Internet class. 0; -EBADMSG when it is malformed; -ENOTSUP when it is something
 * else (an answer, an update, several questions). *ret is then undefined.
 */
int brunt_dns_read(const uint8_t *message, size_t size, struct brunt_dns_question *ret);

/*
 * Writes the answer to a query that brunt_dns_read() accepted; returns its size, at most BRUNT_DNS_ANSWER_SIZE. It has
 * no SOA record, so that nobody may cache that there is no such name (RFC 2308, 5).
 */
size_t brunt_dns_answer(const uint8_t *query, const struct brunt_dns_question *question,
			const struct brunt_dns_reply *reply, uint8_t ret[BRUNT_DNS_ANSWER_SIZE]);

/* Does the pattern match the whole name? '*' is any text, also with dots, '?' any character; case does not count. */
bool brunt_dns_glob(const char *pattern, const char *name);

/* The same for a list of const char *. false when it is empty. */
bool brunt_dns_glob_any(const struct brunt_list *patterns, const char *name);
