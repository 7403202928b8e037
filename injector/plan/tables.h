/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of the experiment file. Everything that is known of a key stands
 * there: the loader, the schema and the reference read the same rows.
 */
#pragma once

#include <stdbool.h>

#include "brunt/param.h"
#include "brunt/plan.h"

struct brunt_variable {
	const char *name;
	struct brunt_place place;
	const char *env;
	const char *file;
	const char *fallback; /* key "default" */
	bool secret;
	/* found after parsing */
	const char *value; /* NULL: an error was told */
	bool used;
	bool broken;
};

/* The top level of a file: what belongs to the plan, and what the loader uses up. */
struct brunt_experiment {
	uint64_t schema;
	struct brunt_list include;   /* of const char * */
	struct brunt_list variables; /* of struct brunt_variable */
	const char *name, *description;
	struct brunt_list labels;
	uint64_t seed;
	bool has_seed;
	uint64_t lease;
	int on_abort;
	struct brunt_list services, targets, slis;
	struct brunt_list start_if, steady_state, guardrails;
	struct brunt_blast_radius *blast_radius;
	json_t *method; /* decoded step by step */
	struct brunt_list finally;
};

/* A step while it is read: `parallel` holds steps again, each with its own tables. */
struct brunt_raw_step {
	struct brunt_step step;
	json_t *parallel;
};

extern const struct brunt_table brunt_experiment_table; /* struct brunt_experiment */
extern const struct brunt_table brunt_include_table;	/* struct brunt_experiment: what an included file may say */
extern const struct brunt_table brunt_variable_table;
extern const struct brunt_table brunt_service_table;
extern const struct brunt_table brunt_sli_table;
extern const struct brunt_table brunt_start_if_table;
extern const struct brunt_table brunt_steady_state_table;
extern const struct brunt_table brunt_guardrail_table;
extern const struct brunt_table brunt_until_table;
extern const struct brunt_table brunt_blast_radius_table;
extern const struct brunt_table brunt_finally_table;

/* Keys that every step may have. struct brunt_raw_step. */
extern const struct brunt_table brunt_step_table;

/* One kind of step: the key that says so, and the table of the keys that go with it. struct brunt_raw_step. */
struct brunt_step_kind_row {
	const char *key;
	const struct brunt_table *table;
};
extern const struct brunt_step_kind_row brunt_step_kinds[]; /* by enum brunt_step_kind; ends with { 0 } */

/* The row of a key in a table, or NULL. */
const struct brunt_param *brunt_table_row(const struct brunt_table *table, const char *key);

/* Is text "host:port" or "[address]:port", with a port from 1 to 65535? */
bool brunt_address_is_right(const char *text);
