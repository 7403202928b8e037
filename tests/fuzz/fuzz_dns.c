/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client sends to a responder, and what a resolv.conf says. Whatever it
 * is: nothing is read or written beyond its end, a name is a name, and an
 * answer fits where it is put and begins with the question.
 */
#include "dns/dns_message.h"
#include "dns/dns_servers.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool truth)
{
	if (!truth)
		abort();
}

static void check_name(const char *name)
{
	size_t length = strnlen(name, BRUNT_DNS_NAME_SIZE);

	need(length && length < BRUNT_DNS_NAME_SIZE);
	for (size_t i = 0; i < length; i++)
		need(name[i] > ' ' && name[i] < 0x7f && !(name[i] >= 'A' && name[i] <= 'Z'));
	need(brunt_dns_glob("*", name) && brunt_dns_glob(name, name));
}

static void check_answer(const uint8_t *query, const struct brunt_dns_question *question, size_t addresses)
{
	static const struct brunt_dns_address some[6] = { { .family = 4 }, { .family = 6 }, { .family = 4 },
							  { .family = 6 }, { .family = 4 }, { .family = 6 } };
	const struct brunt_dns_reply reply = { .ttl = 7, .addresses = some, .address_count = addresses };
	uint8_t *answer = calloc(1, BRUNT_DNS_ANSWER_SIZE); /* on the heap: its end is watched */
	size_t size;

	need(answer);
	size = brunt_dns_answer(query, question, &reply, answer);
	need(size >= question->end && size <= BRUNT_DNS_ANSWER_SIZE);
	need(answer[2] & 0x80 && !memcmp(answer, query, 2) && !memcmp(answer + 12, query + 12, question->end - 12));
	free(answer);
}

static void check_servers(const uint8_t *data, size_t size)
{
	struct brunt_dns_server servers[BRUNT_DNS_SERVERS_MAX];
	size_t count = size ? data[0] % (BRUNT_DNS_SERVERS_MAX + 1) : 0;

	memset(servers, 0, sizeof(servers));
	brunt_dns_servers_parse((const char *)data, size, servers, &count);
	need(count && count <= BRUNT_DNS_SERVERS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct brunt_dns_question question;
	uint8_t *copy = calloc(1, size + !size);

	need(copy);
	if (size)
		memcpy(copy, data, size);
	if (!brunt_dns_read(copy, size, &question)) {
		need(question.end <= size && question.end >= 17);
		check_name(question.name);
		for (size_t addresses = 0; addresses <= 6; addresses += 3)
			check_answer(copy, &question, addresses);
	}
	check_servers(copy, size);
	free(copy);
	return 0;
}
