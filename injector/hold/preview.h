/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct brunt_error;
struct brunt_plan;

/* Has this process what every fault step needs? -EPERM names the first step that goes without, and what is missing. */
int check_capabilities(const struct brunt_plan *plan, struct brunt_error *err);
