/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names among a fault's endpoints. A child without privileges looks them
 * up, again and again, as brunt or as the target would (its hosts file, its
 * resolver, its network); the holder never waits for a resolver and never
 * parses an answer.
 */
#pragma once

#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "brunt/param.h"

struct brunt_error;

enum brunt_names_via { BRUNT_NAMES_HOST, BRUNT_NAMES_TARGET };

/* "names": how host names are looked up. */
struct brunt_names_params {
	int via; /* enum brunt_names_via */
	uint64_t every;
};
extern const struct brunt_table brunt_names_table;

#define BRUNT_NAMES_MAX	      32 /* different names in one fault */
#define BRUNT_NAMES_ADDRESSES 64 /* of one name */

/* What looking names up is done with: to become nobody, and to see with a target's eyes. For .useful of an injector. */
#define BRUNT_NAMES_USEFUL                                                                                             \
	(UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_SYS_CHROOT |                       \
	 UINT64_C(1) << CAP_SYS_ADMIN)

struct brunt_names; /* opaque */

/* Does any endpoint of the lists bear a name? */
bool brunt_names_are_used(const struct brunt_list *const *lists, size_t count);

/*
 * Forks the child. params may be NULL (by the host, every 10 s); target: whose namespaces and root are used with
 * BRUNT_NAMES_TARGET, 0 otherwise. The lists stay valid until stop. 0 or -errno.
 */
int brunt_names_start(const struct brunt_list *const *lists, size_t count, const struct brunt_names_params *params,
		      pid_t target, struct brunt_names **ret, struct brunt_error *err);

/*
 * Waits, at most until CLOCK_BOOTTIME until, for a first answer of every name. -ETIMEDOUT, -ENOENT or (it stands for more
 * than BRUNT_NAMES_ADDRESSES) -E2BIG, with the name.
 */
int brunt_names_await(struct brunt_names *names, uint64_t until, struct brunt_error *err);

/* Takes what the child has said since. true: the addresses of some name are others now. Never blocks. */
bool brunt_names_take(struct brunt_names *names);

/*
 * The endpoints of a list, each name replaced by its addresses, as endpoints of *ret->items (memory of names, until
 * the next call). 0 or -E2BIG.
 */
int brunt_names_expand(struct brunt_names *names, const struct brunt_list *list, struct brunt_list *ret,
		       struct brunt_error *err);

/* The name with that index, or NULL: there are no more. */
const char *brunt_names_name(const struct brunt_names *names, size_t index);

/* Does that name stand for this (one address) now? */
bool brunt_names_stand_for(const struct brunt_names *names, size_t index, const struct brunt_endpoint *address);

/*
 * "db.internal: 10.0.0.5, 10.0.0.6; cache: 10.0.0.9", for the journal. A name that has come to stand for more than
 * BRUNT_NAMES_ADDRESSES is told first, so that it is told however small buf is.
 */
void brunt_names_print(const struct brunt_names *names, char *buf, size_t size);

/* Ends the child. NULL is allowed. */
void brunt_names_stop(struct brunt_names *names);
