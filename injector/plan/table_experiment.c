/* SPDX-License-Identifier: Apache-2.0 */
/* The top level of an experiment, and of a file that it includes. */
#include "plan/tables.h"

#include "brunt/role.h"

#include <string.h>

#define TOP struct brunt_experiment

static const struct brunt_value on_abort_values[] = {
	{ "now", BRUNT_ON_ABORT_NOW, "faults end at once; packets that they still hold may be lost, and are counted" },
	{ "drain", BRUNT_ON_ABORT_DRAIN, "as at the normal end: what a fault still holds is let through first" },
	{ 0 },
};

/* What an included file may say, too. */
#define SHARED_ROWS                                                                                                    \
	BRUNT_LIST_OF(TOP, include, BRUNT_T_PATH, .count_max = 31, .example = "[\"common.json\"]",                     \
		      .help = "files that bring in services, targets, SLIs, guardrails and variables; they add, "      \
			      "they never override; relative to the file that names them"),                            \
		BRUNT_OBJECT_MAP(TOP, variables, &brunt_variable_table,                                                \
				 .example = "{ \"port\": { \"env\": \"PORT\", \"default\": \"8080\" } }",              \
				 .help = "values for `${name}`"),                                                      \
		BRUNT_OBJECT_MAP(TOP, services, &brunt_service_table, .count_max = BRUNT_SERVICES_MAX,                 \
				 .help = "processes that the experiment needs, by name"),                              \
		BRUNT_OBJECT_MAP(TOP, targets, &brunt_target_table, .help = "who may be hit, by name"),                \
		BRUNT_OBJECT_MAP(TOP, slis, &brunt_sli_table, .count_max = 64, .help = "what is measured, by name"),   \
		BRUNT_OBJECTS(TOP, guardrails, &brunt_guardrail_table, .count_max = 64,                                \
			      .help = "what aborts the run at once when it is broken")

static const struct brunt_param experiment_params[] = {
	BRUNT_UINT(TOP, schema, .required = true, .example = "1", .help = "version of this format: 1"),
	BRUNT_NAME(TOP, name, .required = true, .example = "\"site-survives-a-dead-worker\"",
		   .help = "what the experiment is called"),
	BRUNT_STRING(TOP, description, .max = 4096, .help = "what it is to show, in a sentence or two"),
	BRUNT_PAIR_LIST(TOP, labels, .count_max = 32, .example = "{ \"team\": \"payments\" }",
			.help = "free words that go into journal and reports"),
	BRUNT_UINT(TOP, seed, .set = offsetof(TOP, has_seed), .max = 9007199254740991.0, .example = "42",
		   .help = "decides everything random, so that a run can be repeated; drawn when left out"),
	BRUNT_DURATION(TOP, lease, .def = "500ms", .min = 100e6, .max = 10e9,
		       .help = "a fault that nobody renewed for this long ends by itself"),
	BRUNT_ENUM(TOP, on_abort, .values = on_abort_values, .def = "now",
		   .help = "how faults end when the run aborts: guardrail, signal, error, lease"),
	SHARED_ROWS,
	BRUNT_OBJECTS(TOP, start_if, &brunt_start_if_table, .count_max = 64,
		      .help = "what must hold for the run to start"),
	BRUNT_OBJECTS(TOP, steady_state, &brunt_steady_state_table, .count_max = 64,
		      .help = "the hypothesis: holds before, during and after"),
	BRUNT_OBJECT(TOP, blast_radius, struct brunt_blast_radius, &brunt_blast_radius_table,
		     .help = "the limits of the damage; one victim and five minutes when left out"),
	BRUNT_ANY(TOP, method, .required = true, .example = "[ { \"observe\": \"30s\" } ]",
		  .help = "the steps, in order"),
	BRUNT_OBJECTS(TOP, finally, &brunt_finally_table, .count_max = 64,
		      .help = "commands that always run after the undo, in order"),
	{ 0 },
};

const struct brunt_table brunt_experiment_table = {
	.name = "experiment",
	.help = "the whole file: one JSON object",
	.params = experiment_params,
	.size = sizeof(TOP),
};

static const struct brunt_param include_params[] = {
	BRUNT_UINT(TOP, schema, .example = "1", .help = "version of this format: 1"),
	BRUNT_STRING(TOP, description, .max = 4096, .help = "what it brings in"),
	SHARED_ROWS,
	{ 0 },
};

const struct brunt_table brunt_include_table = {
	.name = "included_file",
	.help = "what a file named by `include` may say",
	.params = include_params,
	.size = sizeof(TOP),
};

const struct brunt_param *brunt_table_row(const struct brunt_table *table, const char *key)
{
	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END; param++)
		if (param->key && strcmp(param->key, key) == 0)
			return param;
	return NULL;
}
