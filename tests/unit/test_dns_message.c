/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "brunt/memory.h"
#include "brunt/param.h"
#include "dns/dns_message.h"
#include "dns/dns_servers.h"

static uint8_t message[1024];

/* A query for one name in dotted form; labels as they are. Returns its size. */
static size_t ask(const char *name, unsigned type, bool edns)
{
	static const uint8_t header[12] = { 0xab, 0xcd, 0x01, 0x10, 0, 1 }; /* RD, CD */
	static const uint8_t opt[11] = { 0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0 };
	uint8_t *to = message + sizeof(header);

	memcpy(message, header, sizeof(header));
	while (*name) {
		size_t length = strcspn(name, ".");

		*to++ = (uint8_t)length;
		memcpy(to, name, length);
		to += length;
		name += length + (name[length] == '.');
	}
	*to++ = 0;
	*to++ = (uint8_t)(type >> 8);
	*to++ = (uint8_t)type;
	*to++ = 0;
	*to++ = 1;
	if (edns) {
		message[11] = 1;
		memcpy(to, opt, sizeof(opt));
		to += sizeof(opt);
	}
	return (size_t)(to - message);
}

static void a_name_is_read_in_lower_case_without_its_last_dot(void **unused)
{
	struct brunt_dns_question question;
	size_t size = ask("WwW.Example.COM", BRUNT_DNS_AAAA, false);

	(void)unused;
	assert_int_equal(brunt_dns_read(message, size, &question), 0);
	assert_string_equal(question.name, "www.example.com");
	assert_int_equal(question.type, BRUNT_DNS_AAAA);
	assert_int_equal(question.end, size);
	assert_false(question.has_edns);
	size = ask("", BRUNT_DNS_NS, true);
	assert_int_equal(brunt_dns_read(message, size, &question), 0);
	assert_string_equal(question.name, ".");
	assert_true(question.has_edns);
	assert_true(question.wants_dnssec);
}

static void odd_bytes_in_a_name_are_escaped(void **unused)
{
	static const char odd[] = "a b\\\x01\xff";
	struct brunt_dns_question question;
	size_t size = ask(odd, BRUNT_DNS_A, false);

	(void)unused;
	assert_int_equal(brunt_dns_read(message, size, &question), 0);
	assert_string_equal(question.name, "a\\032b\\092\\001\\255");
	size = ask("a/b", BRUNT_DNS_A, false);
	message[14] = '.'; /* a dot in a label is no end of it */
	assert_int_equal(brunt_dns_read(message, size, &question), 0);
	assert_string_equal(question.name, "a\\046b");
}

static void the_longest_name_fits_and_a_longer_one_is_refused(void **unused)
{
	struct brunt_dns_question question;
	uint8_t answer[BRUNT_DNS_ANSWER_SIZE];
	const struct brunt_dns_address four[BRUNT_DNS_ADDRESSES] = { { 6, "" }, { 6, "" }, { 6, "" }, { 6, "" } };
	const struct brunt_dns_reply reply = { .addresses = four, .address_count = BRUNT_DNS_ADDRESSES };
	char name[400];
	size_t size;

	(void)unused;
	memset(name, '\x01', sizeof(name));
	for (size_t at = 63; at < 253; at += 64)
		name[at] = '.';
	name[253] = '\0'; /* 3 * 64 + 62 + 1 = 255 on the wire */
	size = ask(name, BRUNT_DNS_AAAA, true);
	assert_int_equal(brunt_dns_read(message, size, &question), 0);
	assert_int_equal(strlen(question.name), 250 * 4 + 3);
	assert_int_equal(brunt_dns_answer(message, &question, &reply, answer), 12 + 259 + 4 * 28 + 11);
	name[253] = '\x01';
	name[254] = '\0';
	size = ask(name, BRUNT_DNS_A, false);
	assert_int_equal(brunt_dns_read(message, size, &question), -EBADMSG);
}

static void what_is_cut_or_malformed_is_refused(void **unused)
{
	struct brunt_dns_question question;
	size_t size = ask("a.example", BRUNT_DNS_A, true);

	(void)unused;
	for (size_t cut = 0; cut < size; cut++) {
		/* at its exact size: what is read beyond is seen by the sanitizer */
		uint8_t *copy = malloc(cut + !cut);

		assert_non_null(copy);
		memcpy(copy, message, cut);
		assert_int_equal(brunt_dns_read(copy, cut, &question), -EBADMSG);
		free(copy);
	}
	message[12] = 0xc0; /* a pointer where nothing can be pointed to */
	assert_int_equal(brunt_dns_read(message, size, &question), -EBADMSG);
	message[12] = 64; /* a label too long */
	assert_int_equal(brunt_dns_read(message, size, &question), -EBADMSG);
	size = ask("a.example", BRUNT_DNS_A, true);
	message[size - 1] = 1; /* data of the OPT record that is not there */
	assert_int_equal(brunt_dns_read(message, size, &question), -EBADMSG);
}

static void what_is_no_query_for_one_name_is_left_alone(void **unused)
{
	static const struct {
		size_t at;
		uint8_t byte;
	} changes[] = { { 2, 0x81 }, { 2, 0x29 }, { 5, 0 }, { 5, 2 }, { 7, 1 }, { 9, 1 } };
	struct brunt_dns_question question;
	size_t size;

	(void)unused;
	for (size_t i = 0; i < BRUNT_COUNT(changes); i++) {
		size = ask("a.example", BRUNT_DNS_A, false);
		message[changes[i].at] = changes[i].byte;
		assert_int_equal(brunt_dns_read(message, size, &question), -ENOTSUP);
	}
	size = ask("a.example", BRUNT_DNS_A, false);
	message[size - 1] = 3; /* class CHAOS */
	assert_int_equal(brunt_dns_read(message, size, &question), -ENOTSUP);
}

static void an_answer_repeats_the_question_and_bears_edns_only_when_asked_with_it(void **unused)
{
	static const struct brunt_dns_reply nxdomain = { .code = BRUNT_DNS_NXDOMAIN };
	static const uint8_t plain[12] = { 0xab, 0xcd, 0x81, 0x93, 0, 1 }; /* QR RD RA CD */
	uint8_t answer[BRUNT_DNS_ANSWER_SIZE];
	struct brunt_dns_question question;
	size_t size = ask("a.example", BRUNT_DNS_A, false);

	(void)unused;
	assert_int_equal(brunt_dns_read(message, size, &question), 0);
	assert_int_equal(brunt_dns_answer(message, &question, &nxdomain, answer), size);
	assert_memory_equal(answer, plain, sizeof(plain));
	assert_memory_equal(answer + 12, message + 12, size - 12);
	size = ask("a.example", BRUNT_DNS_A, true);
	assert_int_equal(brunt_dns_read(message, size, &question), 0);
	assert_int_equal(brunt_dns_answer(message, &question, &nxdomain, answer), size);
	assert_int_equal(answer[11], 1);
	assert_int_equal(answer[question.end + 2], 41);
	assert_int_equal(answer[question.end + 7], 0x80); /* DO comes back */
}

static void a_wrong_address_is_of_the_type_that_was_asked_for(void **unused)
{
	static const struct brunt_dns_address addresses[] = { { 4, { 192, 0, 2, 1 } }, { 6, { 0x20, 1 } } };
	const struct brunt_dns_reply reply = { .ttl = 258, .addresses = addresses, .address_count = 2 };
	static const uint8_t four[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 2, 0, 4, 192, 0, 2, 1 };
	uint8_t answer[BRUNT_DNS_ANSWER_SIZE];
	struct brunt_dns_question question;
	size_t size = ask("a.example", BRUNT_DNS_A, false);

	(void)unused;
	assert_int_equal(brunt_dns_read(message, size, &question), 0);
	assert_int_equal(brunt_dns_answer(message, &question, &reply, answer), size + sizeof(four));
	assert_int_equal(answer[7], 1);
	assert_memory_equal(answer + size, four, sizeof(four));
	size = ask("a.example", BRUNT_DNS_AAAA, false);
	assert_int_equal(brunt_dns_read(message, size, &question), 0);
	assert_int_equal(brunt_dns_answer(message, &question, &reply, answer), size + 28);
	size = ask("a.example", BRUNT_DNS_MX, false);
	assert_int_equal(brunt_dns_read(message, size, &question), 0);
	assert_int_equal(brunt_dns_answer(message, &question, &reply, answer), size);
	assert_int_equal(answer[7], 0);
}

static void patterns_match_whole_names(void **unused)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} cases[] = {
		{ "*", ".", true },
		{ "*", "a.b", true },
		{ "a.b", "a.b", true },
		{ "A.b", "a.B", true },
		{ "a.b.", "a.b", true },
		{ "*.b.", "x.a.b", true },
		{ ".", ".", true },
		{ "a.b", "a.bc", false },
		{ "a.b", "xa.b", false },
		{ "a.b", "a", false },
		{ "a.b.", "a.b.c", false },
		{ "*.b", "b", false },
		{ "*.b", "a.b", true },
		{ "*.b", "c.a.b", true },
		{ "a*c", "abc.abc", true },
		{ "a*c", "abc.abd", false },
		{ "a?c", "abc", true },
		{ "a?c", "ac", false },
		{ "a??", "abc", true },
		{ "*a*b*c*", "xxaxxbxxcxx", true },
		{ "*a*b*c*", "xxaxxcxxbxx", false },
		{ "", "a", false },
		{ "**", "a", true },
	};

	(void)unused;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++)
		if (brunt_dns_glob(cases[i].pattern, cases[i].name) != cases[i].match)
			fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].name);
}

static void a_hostile_pattern_costs_its_length_times_the_names(void **unused)
{
	char pattern[256], name[BRUNT_DNS_NAME_SIZE];

	(void)unused;
	for (size_t i = 0; i < 250; i += 2) {
		pattern[i] = '*';
		pattern[i + 1] = 'a';
	}
	memcpy(pattern + 250, "b", 2);
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < 1000; i++) /* with backtracking to every star this would never end */
		assert_false(brunt_dns_glob(pattern, name));
}

static size_t parse(const char *text, struct brunt_dns_server servers[BRUNT_DNS_SERVERS_MAX])
{
	size_t count = 0;

	memset(servers, 0, BRUNT_DNS_SERVERS_MAX * sizeof(*servers));
	brunt_dns_servers_parse(text, strlen(text), servers, &count);
	return count;
}

static void name_servers_are_read_as_resolvers_do(void **unused)
{
	struct brunt_dns_server servers[BRUNT_DNS_SERVERS_MAX];

	(void)unused;
	assert_int_equal(
		parse("# x\nsearch a\nnameserver 10.0.0.2 # why\n;nameserver 1.1.1.1\nnameserver\t 2001:db8::1\r\n"
		      " nameserver 3.3.3.3\nnameservers 4.4.4.4\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\n"
		      "nameserver fe80::1\nnameserver host\nnameserver 5.5.5.5",
		      servers),
		3);
	assert_int_equal(servers[0].family, 4);
	assert_int_equal(servers[0].address[3], 2);
	assert_int_equal(servers[0].port, 53);
	assert_int_equal(servers[1].family, 6);
	assert_int_equal(servers[2].address[0], 5);
}

static void without_a_name_server_it_is_this_host(void **unused)
{
	static const char *const texts[] = { "", "\n\n", "nameserver", "nameserver ", "search x\noptions use-vc\n" };
	struct brunt_dns_server servers[BRUNT_DNS_SERVERS_MAX];

	(void)unused;
	for (size_t i = 0; i < BRUNT_COUNT(texts); i++) {
		assert_int_equal(parse(texts[i], servers), 1);
		assert_int_equal(servers[0].address[0], 127);
		assert_int_equal(servers[0].address[3], 1);
	}
}

static void more_name_servers_than_fit_are_left_out(void **unused)
{
	struct brunt_dns_server servers[BRUNT_DNS_SERVERS_MAX];
	char text[1024] = "";

	(void)unused;
	for (int i = 1; i < 20; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "nameserver 10.0.0.%d\n", i);
	assert_int_equal(parse(text, servers), BRUNT_DNS_SERVERS_MAX);
	assert_int_equal(servers[0].address[3], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_read_in_lower_case_without_its_last_dot),
		cmocka_unit_test(odd_bytes_in_a_name_are_escaped),
		cmocka_unit_test(the_longest_name_fits_and_a_longer_one_is_refused),
		cmocka_unit_test(what_is_cut_or_malformed_is_refused),
		cmocka_unit_test(what_is_no_query_for_one_name_is_left_alone),
		cmocka_unit_test(an_answer_repeats_the_question_and_bears_edns_only_when_asked_with_it),
		cmocka_unit_test(a_wrong_address_is_of_the_type_that_was_asked_for),
		cmocka_unit_test(patterns_match_whole_names),
		cmocka_unit_test(a_hostile_pattern_costs_its_length_times_the_names),
		cmocka_unit_test(name_servers_are_read_as_resolvers_do),
		cmocka_unit_test(without_a_name_server_it_is_this_host),
		cmocka_unit_test(more_name_servers_than_fit_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
