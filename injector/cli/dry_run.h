/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct brunt_plan;

/* Prints what a run would hit, by which mechanism, with which undo; touches nothing. Returns the exit status: 0 or 9. */
int brunt_dry_run(const struct brunt_plan *plan, uint64_t seed, bool json);
