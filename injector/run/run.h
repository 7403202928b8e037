/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run, from a loaded plan to a verdict: `brunt run` calls this.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "brunt/plan.h"
#include "brunt/sink.h"

struct brunt_error;

struct brunt_run_options {
	enum brunt_output output;
	bool live; /* draw on the terminal, when there is one */
	bool colour;
	bool attended; /* somebody is there to answer `approve` */
	bool has_seed;
	uint64_t seed;	    /* overrides the plan's */
	const char *result; /* --result FILE, or NULL */
};

/*
 * Runs a plan to its end: forks the roles, becomes the controller. Returns the exit status of the verdict; -errno
 * only when nothing was started (err says why). Afterwards the calling process has no privilege left.
 */
int brunt_run(const struct brunt_plan *plan, const struct brunt_run_options *options, struct brunt_error *err);
