/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON Schema of the experiment file, from the tables that parse it. What
 * base makes of one table is put together here: a step's keys come from
 * several, chosen by which key says what kind of step it is.
 */
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

/* Puts the keys of one table's schema into that of another. Takes part; schema stays the caller's. */
static int merge(json_t *schema, json_t *part)
{
	json_t *required = json_object_get(schema, "required");
	json_t *properties = json_object_get(schema, "properties");
	json_t *name;
	size_t index;
	int r;

	if (!part)
		return -1;
	if (!required) {
		required = json_array();
		if (json_object_set_new(schema, "required", required) < 0) {
			json_decref(part);
			return -1;
		}
	}
	r = json_object_update(properties, json_object_get(part, "properties"));
	json_array_foreach (json_object_get(part, "required"), index, name)
		r |= json_array_append(required, name);
	json_decref(part);
	return r;
}

/* The schema of a step of one kind. New reference. */
static json_t *kind_schema(const struct brunt_step_kind_row *kind, json_t *defs)
{
	json_t *schema = brunt_param_schema(&brunt_step_table, defs);

	if (!schema || merge(schema, brunt_param_schema(kind->table, defs)) < 0 ||
	    json_object_set_new(schema, "description", json_string(kind->table->help)) < 0) {
		json_decref(schema);
		return NULL;
	}
	return schema;
}

/* The schema of a step with one kind of fault. New reference. */
static json_t *fault_schema(const struct brunt_injector *injector, json_t *defs)
{
	json_t *schema = kind_schema(&brunt_step_kinds[BRUNT_STEP_FAULT], defs);
	json_t *properties = json_object_get(schema, "properties");
	int r;

	if (!schema)
		return NULL;
	r = json_object_set_new(properties, "fault",
				json_pack("{s:s, s:s}", "const", injector->name, "description", injector->summary));
	r |= json_object_set_new(schema, "description", json_string(injector->table->help));
	if (injector->instant)
		r |= json_object_del(properties, "hold");
	else
		r |= json_object_del(properties, "every") | json_object_del(properties, "times") |
		     json_object_set_new(schema, "anyOf",
					 json_pack("[{s:[s]}, {s:[s]}]", "required", "hold", "required", "background"));
	/* after the step's own keys are gone: the fault may have some of the same name */
	r |= merge(schema, brunt_param_schema(injector->table, defs));
	if (r != 0) {
		json_decref(schema);
		return NULL;
	}
	return schema;
}

/* Adds "if this key (with this value), then that definition" to rules, and the definition itself to defs. */
static int add_rule(json_t *rules, json_t *defs, const char *key, const char *value, const char *name, json_t *schema)
{
	char path[128];
	json_t *condition;
	int r;

	r = json_object_set_new(defs, name, schema);
	(void)snprintf(path, sizeof(path), "#/$defs/%s", name);
	condition = value ? json_pack("{s:[s], s:{s:{s:s}}}", "required", key, "properties", key, "const", value)
			  : json_pack("{s:[s]}", "required", key);
	return r | json_array_append_new(rules, json_pack("{s:o, s:{s:s}}", "if", condition, "then", "$ref", path));
}

/* The steps under `parallel` are steps, but not parallel again. */
static int fix_parallel(json_t *schema)
{
	json_t *properties = json_object_get(schema, "properties");

	return json_object_set_new(properties, "parallel",
				   json_pack("{s:s, s:i, s:i, s:{s:s, s:{s:[s]}}, s:s}", "type", "array", "minItems", 1,
					     "maxItems", 64, "items", "$ref", "#/$defs/step", "not", "required",
					     "parallel", "description", "steps that begin together"));
}

/* Adds the definition of a step and of all its kinds to defs. */
static int add_step(json_t *defs)
{
	json_t *rules = json_array(), *kinds = json_array(), *faults = json_array();
	int r = 0;

	for (const struct brunt_step_kind_row *kind = brunt_step_kinds; kind->key; kind++) {
		json_t *schema;

		r |= json_array_append_new(kinds, json_pack("{s:[s]}", "required", kind->key));
		if (kind == &brunt_step_kinds[BRUNT_STEP_FAULT])
			continue;
		schema = kind_schema(kind, defs);
		if (schema && kind == &brunt_step_kinds[BRUNT_STEP_PARALLEL])
			r |= fix_parallel(schema);
		r |= add_rule(rules, defs, kind->key, NULL, kind->table->name, schema);
	}
	for (const struct brunt_injector *const *at = brunt_injectors; *at; at++) {
		r |= json_array_append_new(faults, json_string((*at)->name));
		r |= add_rule(rules, defs, "fault", (*at)->name, (*at)->name, fault_schema(*at, defs));
	}
	r |= json_object_set_new(defs, "step",
				 json_pack("{s:s, s:s, s:{s:{s:o}}, s:o, s:o}", "type", "object", "description",
					   brunt_step_table.help, "properties", "fault", "enum", faults, "oneOf", kinds,
					   "allOf", rules));
	return r;
}

json_t *brunt_plan_schema(void)
{
	json_t *defs = json_object();
	json_t *schema = brunt_param_schema(&brunt_experiment_table, defs);
	json_t *properties = json_object_get(schema, "properties");
	const struct brunt_param *method = brunt_table_row(&brunt_experiment_table, "method");
	json_t *result;
	int r;

	if (!schema) {
		json_decref(defs);
		return NULL;
	}
	r = add_step(defs);
	r |= json_object_set_new(
		properties, "schema",
		json_pack("{s:i, s:s}", "const", BRUNT_PLAN_SCHEMA, "description", "version of this format"));
	r |= json_object_set_new(properties, "method",
				 json_pack("{s:s, s:i, s:i, s:{s:s}, s:s}", "type", "array", "minItems", 1, "maxItems",
					   BRUNT_PLAN_STEPS_MAX, "items", "$ref", "#/$defs/step", "description",
					   method->help));
	result = json_pack("{s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema", "title",
			   "brunt experiment");
	r |= json_object_update(result, schema);
	r |= json_object_set(result, "$defs", defs);
	json_decref(schema);
	json_decref(defs);
	if (r != 0) {
		json_decref(result);
		return NULL;
	}
	return result;
}
