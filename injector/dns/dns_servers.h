/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a target's lookups go: the network namespaces that its processes live
 * in, and for each the name servers that their own /etc/resolv.conf names.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct brunt_error;
struct brunt_list;
struct brunt_victims;

#define BRUNT_DNS_SERVERS_MAX 8
#define BRUNT_DNS_PLACES_MAX  8

struct brunt_dns_server {
	uint8_t family; /* 4 or 6 */
	uint8_t address[16];
	uint16_t port; /* host order */
};

struct brunt_dns_place {
	int netns; /* descriptor of the network namespace */
	dev_t device;
	ino_t inode; /* of it */
	struct brunt_dns_server servers[BRUNT_DNS_SERVERS_MAX];
	size_t server_count;
};

struct brunt_dns_places {
	struct brunt_dns_place items[BRUNT_DNS_PLACES_MAX];
	size_t count;
};

/*
 * Reads the name servers of a resolv.conf(5) into ret, behind the *count that it has, each once; what does not fit or
 * is no address (or one of a link, which means nothing without its interface) is left out. text need not end in 0.
 * Without any, resolvers ask 127.0.0.1, and so that is what is put.
 */
void brunt_dns_servers_parse(const char *text, size_t size, struct brunt_dns_server ret[BRUNT_DNS_SERVERS_MAX],
			     size_t *count);

/*
 * Of the processes of the picked items, as they are now. mount: of cgroup v2. extra: list of struct brunt_endpoint with addresses, asked as well in every place. 0; -ESRCH
 * when no process is left; -E2BIG for more places than fit; -EPERM; -errno. *ret is to be closed whatever comes back.
 */
int brunt_dns_places_find(const char *mount, const struct brunt_victims *victims, const struct brunt_list *extra,
			  struct brunt_dns_places *ret, struct brunt_error *err);

/* Is it the namespace of this process? Then entering it takes no right. */
bool brunt_dns_place_is_own(const struct brunt_dns_place *place);

/* Closes the descriptors. May be called twice. */
void brunt_dns_places_close(struct brunt_dns_places *places);
