/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/dns_message.h"

#include <errno.h>
#include <string.h>

#include "brunt/param.h"

#define HEADER_SIZE   12
#define WIRE_NAME_MAX 255
#define LABEL_MAX     63
#define CLASS_IN      1
#define TYPE_OPT      41
#define RECORDS_MAX   8 /* additional records to look through for OPT */
#define EDNS_SIZE     1232

/* Bits of the header's second word (RFC 1035, 4.1.1; RFC 4035, 3.2) */
#define FLAG_QR	     0x8000
#define FLAG_OPCODE  0x7800
#define FLAG_RD	     0x0100
#define FLAG_RA	     0x0080
#define FLAG_CD	     0x0010
#define EDNS_FLAG_DO 0x8000

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint8_t *put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	return put16(put16(at, value >> 16), value & 0xffff);
}

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static char *put_byte(char *to, uint8_t byte)
{
	if (byte > ' ' && byte < 0x7f && byte != '.' && byte != '\\') {
		*to++ = lower((char)byte);
		return to;
	}
	*to++ = '\\';
	*to++ = (char)('0' + byte / 100);
	*to++ = (char)('0' + byte / 10 % 10);
	*to++ = (char)('0' + byte % 10);
	return to;
}

/* A question's name is never compressed: there is nothing before it that it could point to. 0 or -EBADMSG. */
static int read_name(const uint8_t *message, size_t size, size_t *at, char text[BRUNT_DNS_NAME_SIZE])
{
	size_t begin = *at, next = begin;
	char *to = text;

	for (;;) {
		size_t label;

		if (next >= size)
			return -EBADMSG;
		label = message[next++];
		if (!label)
			break;
		if (label > LABEL_MAX || label > size - next || next + label - begin >= WIRE_NAME_MAX)
			return -EBADMSG;
		if (to != text)
			*to++ = '.';
		for (size_t i = 0; i < label; i++)
			to = put_byte(to, message[next + i]);
		next += label;
	}
	if (to == text)
		*to++ = '.';
	*to = '\0';
	*at = next;
	return 0;
}

/* Steps over a name of a later record, which may end in a pointer. 0 or -EBADMSG. */
static int skip_name(const uint8_t *message, size_t size, size_t *at)
{
	for (int labels = 0; labels < 128 && *at < size; labels++) {
		uint8_t label = message[*at];

		if (!label) {
			*at += 1;
			return 0;
		}
		if (label >= 0xc0) {
			*at += 2;
			return *at <= size ? 0 : -EBADMSG;
		}
		if (label > LABEL_MAX)
			return -EBADMSG;
		*at += 1 + (size_t)label;
	}
	return -EBADMSG;
}

/* A query has only additional records: OPT (RFC 6891, 6.1.2), or a signature. */
static int read_additional(const uint8_t *message, size_t size, struct brunt_dns_question *ret)
{
	unsigned count = get16(message + 10);
	size_t at = ret->end;

	for (unsigned i = 0; i < count && i < RECORDS_MAX; i++) {
		size_t data;

		if (skip_name(message, size, &at) || size - at < 10)
			return -EBADMSG;
		if (get16(message + at) == TYPE_OPT) {
			ret->has_edns = true;
			ret->wants_dnssec = get16(message + at + 6) & EDNS_FLAG_DO;
		}
		data = get16(message + at + 8);
		at += 10;
		if (data > size - at)
			return -EBADMSG;
		at += data;
	}
	return 0;
}

int brunt_dns_read(const uint8_t *message, size_t size, struct brunt_dns_question *ret)
{
	size_t at = HEADER_SIZE;
	int r;

	if (size < HEADER_SIZE)
		return -EBADMSG;
	/* one question, nothing in the sections of an answer */
	if (get16(message + 2) & (FLAG_QR | FLAG_OPCODE) || get16(message + 4) != 1 || get16(message + 6) ||
	    get16(message + 8))
		return -ENOTSUP;
	r = read_name(message, size, &at, ret->name);
	if (r || size - at < 4)
		return -EBADMSG;
	ret->type = get16(message + at);
	if (get16(message + at + 2) != CLASS_IN)
		return -ENOTSUP;
	ret->end = at + 4;
	ret->has_edns = ret->wants_dnssec = false;
	return read_additional(message, size, ret);
}

static bool is_asked(const struct brunt_dns_address *address, uint16_t type)
{
	return type == (address->family == 4 ? BRUNT_DNS_A : BRUNT_DNS_AAAA);
}

static uint8_t *put_address(uint8_t *to, const struct brunt_dns_address *address, uint32_t ttl)
{
	unsigned size = address->family == 4 ? 4 : 16;

	to = put16(to, 0xc000 | HEADER_SIZE); /* the name in the question */
	to = put16(to, address->family == 4 ? BRUNT_DNS_A : BRUNT_DNS_AAAA);
	to = put16(to, CLASS_IN);
	to = put32(to, ttl);
	to = put16(to, size);
	memcpy(to, address->address, size);
	return to + size;
}

size_t brunt_dns_answer(const uint8_t *query, const struct brunt_dns_question *question,
			const struct brunt_dns_reply *reply, uint8_t ret[BRUNT_DNS_ANSWER_SIZE])
{
	unsigned flags = FLAG_QR | FLAG_RA | (get16(query + 2) & (FLAG_RD | FLAG_CD)) | (unsigned)reply->code;
	unsigned count = 0;
	uint8_t *to = ret + question->end;

	/* 12 + 259 + 4 * 28 + 11 bytes at most */
	memcpy(ret, query, question->end);
	for (size_t i = 0; i < reply->address_count && i < BRUNT_DNS_ADDRESSES; i++) {
		if (!is_asked(&reply->addresses[i], question->type))
			continue;
		to = put_address(to, &reply->addresses[i], reply->ttl);
		count++;
	}
	if (question->has_edns) {
		*to++ = 0; /* the root's name */
		to = put16(to, TYPE_OPT);
		to = put16(to, EDNS_SIZE);
		to = put16(to, 0); /* no extended code, version 0 */
		to = put16(to, question->wants_dnssec ? EDNS_FLAG_DO : 0);
		to = put16(to, 0);
	}
	put16(ret + 2, flags);
	put16(ret + 4, 1);
	put16(ret + 6, count);
	put16(ret + 8, 0);
	put16(ret + 10, question->has_edns);
	return (size_t)(to - ret);
}

/* Goes back to the last '*' alone: no pattern takes more than its length times the name's. */
bool brunt_dns_glob(const char *pattern, const char *name)
{
	const char *star = NULL, *retry = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = name;
		} else if (*pattern && (*pattern == '?' || lower(*pattern) == lower(*name))) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	/* a name written with its final dot, which messages leave out */
	return !*pattern || !strcmp(pattern, ".");
}

bool brunt_dns_glob_any(const struct brunt_list *patterns, const char *name)
{
	BRUNT_FOREACH (const char *const, pattern, *patterns)
		if (brunt_dns_glob(*pattern, name))
			return true;
	return false;
}
