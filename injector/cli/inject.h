/* SPDX-License-Identifier: Apache-2.0 */
/* What the two forms of `brunt inject` share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct brunt_injector;

struct brunt_inject {
	const struct brunt_injector *injector;
	json_t *params; /* as the plan would have them */
	bool has_seed, dry_run, counted;
	uint64_t seed, hold; /* ns; 0: not said */
	/* of a fault on something that runs */
	const char *on[16]; /* "process=redis-server" */
	size_t on_count;
	const char *pick, *victims, *result, *output;
	bool plain;
	char **command; /* what follows "--", or NULL */
};

/* A command under a syscall fault; its exit status, or brunt's own. */
int brunt_inject_command(const struct brunt_inject *inject);

/* An experiment of one step, run as `brunt run` would. */
int brunt_inject_plan(const struct brunt_inject *inject);
