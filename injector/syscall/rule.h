/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule: which calls, when, and what becomes of them. Plain data without
 * pointers, so that it lies in the memory that holder and keeper share. What
 * it decides is a function of the rule, its seed and a count, and of nothing
 * else: the same seed makes the same decisions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "brunt/param.h"
#include "syscall/calls.h"
#include "syscall/filter.h"

#define BRUNT_RULE_PATHS_MAX	 8
#define BRUNT_RULE_PATH_SIZE	 256
#define BRUNT_RULE_ADDRESSES_MAX 8
#define BRUNT_RULE_ERRNOS_MAX	 16
#define BRUNT_RULE_NAME_SIZE	 64

enum brunt_delay_distribution { BRUNT_DELAY_UNIFORM, BRUNT_DELAY_NORMAL, BRUNT_DELAY_EXPONENTIAL };

struct brunt_call_rule {
	/* which */
	struct brunt_call_set calls;
	struct brunt_call_set relatives; /* not hurt, but counted: what the program calls instead */
	struct brunt_argument arguments[BRUNT_ARGUMENTS_MAX];
	uint32_t argument_count;
	uint32_t path_count, address_count;
	char paths[BRUNT_RULE_PATHS_MAX][BRUNT_RULE_PATH_SIZE]; /* exact, or with * ? [] (* takes / too) */
	struct brunt_endpoint addresses[BRUNT_RULE_ADDRESSES_MAX];
	char thread[BRUNT_RULE_NAME_SIZE], process[BRUNT_RULE_NAME_SIZE]; /* of comm; wildcards; "": any */
	bool leader_only;  /* children of the process that was given the filter are left alone */
	bool spare_loader; /* calls that the dynamic loader makes are left alone */

	/* when: the n-th call that fits, counted from 1 */
	uint64_t first, every; /* first 0 is 1, every 0 is 1 */
	uint64_t last;	       /* 0: no end */
	uint64_t times;	       /* at most that many hits; 0: no end */
	bool by_process;       /* counted in each process for itself */
	uint64_t seed;

	/* what */
	int32_t errnos[BRUNT_RULE_ERRNOS_MAX]; /* positive; one is drawn */
	uint32_t errno_count;
	bool gives_value; /* it returns value, without having been made */
	int64_t value;
	int32_t distribution;
	uint64_t spread; /* ns: half the width of uniform, sigma of normal */

	/* These two may move while the rule is in force: read and written as a whole. */
	double probability;
	uint64_t delay; /* ns; mean of an exponential one; 0: none */
};

struct brunt_outcome {
	bool hit;
	bool answered; /* it does not happen: code or value is what the caller gets */
	int code;      /* positive errno; 0: value */
	int64_t value;
	uint64_t delay; /* ns, before it happens or is answered */
};

/*
 * What becomes of the n-th call (from 1) that fits, of process (its ordinal among those seen; 0 when all are counted
 * together), when hits of them were hit before. Pure.
 */
void brunt_call_rule_decide(const struct brunt_call_rule *rule, uint64_t process, uint64_t n, uint64_t hits,
			    struct brunt_outcome *ret);

/* Shell wildcards without allocation and in bounded time: * (also across /), ?, [a-z], [!a-z], \x. Pure. */
bool brunt_wildcard_match(const char *pattern, const char *text);
