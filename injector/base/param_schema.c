/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Schema (draft 2020-12) from parameter tables: for editors. It is as
 * strict as a schema can be; the limits of quantities and what concerns several
 * keys only `brunt check` knows.
 *
 * A variable, "${name}", may stand in every string; so every pattern lets it pass.
 */
#include "base/names.h"
#include "base/param.h"

#include "brunt/memory.h"

#include <stdio.h>
#include <string.h>

#define VARIABLE     "\\$\\{[^}]+\\}"
#define NUMBER	     "[0-9]+(\\.[0-9]+)?"
#define NAME	     "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

#define TIME_UNIT    "(ns|us|ms|s|m|h|d)"
#define SIZE_UNIT    "(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)"
#define RATE_UNIT    "[kmgt]?i?(bit|bps)"
#define TIME_PATTERN "(" NUMBER TIME_UNIT ")+|P[0-9.WDTHMS]+"

static json_t *pattern(const char *text)
{
	return json_pack("{s:s, s:s+}", "type", "string", "pattern", text, "");
}

/* A string that is wholly as pattern says, or has a variable in it. */
#define STRING_LIKE(text) pattern("^(" text ")$|" VARIABLE)

static json_t *or_variable(json_t *schema)
{
	return json_pack("{s:[o, o]}", "anyOf", schema, pattern("^" VARIABLE "$"));
}

/* Adds one word to a list that may be NULL already, when memory was short before; NULL when it is now. */
static json_t *add_word(json_t *list, const char *word)
{
	if (list && json_array_append_new(list, json_string(word)) < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *word_schema(const struct brunt_param *param)
{
	json_t *list = json_array();

	for (const struct brunt_value *v = param->values; v && v->name; v++)
		list = add_word(list, v->name);
	return or_variable(json_pack("{s:o}", "enum", list));
}

/* A signal or an errno: by name, by short name, by number. */
static json_t *code_schema(const struct brunt_param *param)
{
	bool signal = param->type == BRUNT_T_SIGNAL;
	const char *const *names = signal ? brunt_signal_names() : brunt_errno_names();
	json_t *list = json_array();

	for (; *names; names++) {
		list = add_word(list, *names);
		if (signal)
			list = add_word(list, *names + strlen("SIG"));
	}
	return json_pack("{s:[{s:s, s:i, s:i}, {s:o}, o]}", "anyOf", "type", "integer", "minimum", 1, "maximum",
			 signal ? 64 : 4095, "enum", list, pattern("^" VARIABLE "$"));
}

static json_t *limit_json(const char *type, double limit)
{
	return strcmp(type, "integer") == 0 ? json_integer((json_int_t)limit) : json_real(limit);
}

/* A bare number with its limits. */
static json_t *number_schema(const struct brunt_param *param, const char *type)
{
	json_t *schema = json_pack("{s:s, s:o}", "type", type, "minimum", limit_json(type, param->min));

	if (schema && param->max != 0 && json_object_set_new(schema, "maximum", limit_json(type, param->max)) < 0) {
		json_decref(schema);
		return NULL;
	}
	return schema;
}

/* Into $defs, once; the place is taken first, because tables may hold themselves. */
static json_t *object_schema(const struct brunt_param *param, json_t *defs)
{
	const struct brunt_table *table = param->table;
	char path[128];

	if (!json_object_get(defs, table->name)) {
		json_t *schema;

		if (json_object_set_new(defs, table->name, json_object()) < 0)
			return NULL;
		schema = brunt_param_schema(table, defs);
		if (!schema || json_object_set_new(defs, table->name, schema) < 0)
			return NULL;
	}
	(void)snprintf(path, sizeof(path), "#/$defs/%s", table->name);
	return json_pack("{s:s}", "$ref", path);
}

static json_t *one_schema(const struct brunt_param *param, json_t *defs)
{
	switch (param->type) {
	case BRUNT_T_BOOL:
		return or_variable(json_pack("{s:s}", "type", "boolean"));
	case BRUNT_T_COUNT:
		return or_variable(number_schema(param, "integer"));
	case BRUNT_T_NUMBER:
		return or_variable(number_schema(param, "number"));
	case BRUNT_T_DURATION:
		return STRING_LIKE(TIME_PATTERN);
	case BRUNT_T_RATIO:
		return STRING_LIKE(NUMBER "%");
	case BRUNT_T_SIZE:
		return STRING_LIKE(NUMBER SIZE_UNIT);
	case BRUNT_T_RATE:
		return STRING_LIKE(NUMBER "(" RATE_UNIT ")");
	case BRUNT_T_QUANTITY:
		return json_pack("{s:[{s:s, s:i}, o]}", "anyOf", "type", "number", "minimum", 0,
				 STRING_LIKE(TIME_PATTERN "|" NUMBER "(%|" SIZE_UNIT "|" RATE_UNIT ")?"));
	case BRUNT_T_STRING:
		return json_pack("{s:[{s:s}, {s:s, s:{s:s}}]}", "anyOf", "type", "string", "type", "array", "items",
				 "type", "string");
	case BRUNT_T_NAME:
		return STRING_LIKE(NAME);
	case BRUNT_T_PATH:
		return json_pack("{s:s, s:i}", "type", "string", "minLength", 1);
	case BRUNT_T_REGEX:
		return json_pack("{s:s, s:i}", "type", "string", "minLength", 1);
	case BRUNT_T_ENUM:
		return word_schema(param);
	case BRUNT_T_ERRNO:
	case BRUNT_T_SIGNAL:
		return code_schema(param);
	case BRUNT_T_PICK:
		return json_pack("{s:[{s:s, s:i}, o]}", "anyOf", "type", "integer", "minimum", 1,
				 STRING_LIKE("all|[1-9][0-9]*|" NUMBER "%"));
	case BRUNT_T_ENDPOINT:
		return STRING_LIKE("[0-9a-fA-F.:\\[\\]/-]*(/(tcp|udp|icmp))?");
	case BRUNT_T_OBJECT:
		return object_schema(param, defs);
	default:
		return json_object();
	}
}

static json_t *shape_schema(const struct brunt_param *param, json_t *defs)
{
	json_t *one = one_schema(param, defs);
	int max = (int)(param->count_max ? param->count_max : BRUNT_LIST_MAX);

	if (!one)
		return NULL;
	switch (param->shape) {
	case BRUNT_RAMPED:
		return json_pack("{s:[o, o]}", "anyOf", one, brunt_param_ramp_schema(one));
	case BRUNT_LIST:
		return json_pack("{s:[O, {s:s, s:o, s:i}]}", "anyOf", one, "type", "array", "items", one, "maxItems",
				 max);
	case BRUNT_MAP:
		return json_pack("{s:s, s:{s:b, s:o}, s:b}", "type", "object", "patternProperties", "^//", 1,
				 "^" NAME "$", one, "additionalProperties", 0);
	case BRUNT_PAIRS:
		return json_pack("{s:s, s:{s:b}, s:o}", "type", "object", "patternProperties", "^//", 1,
				 "additionalProperties", one);
	default:
		return one;
	}
}

json_t *brunt_param_schema_value(const struct brunt_param *param, json_t *defs)
{
	json_t *schema = shape_schema(param, defs);
	char accepts[512], text[1024];
	bool bad = false;

	if (!schema)
		return NULL;
	brunt_param_accepts(param, accepts, sizeof(accepts));
	if (param->type == BRUNT_T_OBJECT || param->type == BRUNT_T_ANY)
		(void)snprintf(text, sizeof(text), "%s", param->help ? param->help : "");
	else
		(void)snprintf(text, sizeof(text), "%s%s%s", param->help ? param->help : "", param->help ? ": " : "",
			       accepts);
	if (text[0])
		bad |= json_object_set_new(schema, "description", json_string(text)) < 0;
	if (param->def)
		bad |= json_object_set_new(schema, "default", brunt_param_default_json(param)) < 0;
	if (param->example)
		bad |= json_object_set_new(schema, "examples",
					   json_pack("[o]", json_loads(param->example, JSON_DECODE_ANY, NULL))) < 0;
	if (bad) {
		json_decref(schema);
		return NULL;
	}
	return schema;
}

json_t *brunt_param_schema(const struct brunt_table *table, json_t *defs)
{
	json_t *properties = json_object(), *required = json_array();
	json_t *schema;
	bool bad = !properties || !required;

	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END && !bad; param++) {
		if (!param->key)
			continue;
		bad |= json_object_set_new(properties, param->key, brunt_param_schema_value(param, defs)) < 0;
		if (param->required)
			bad |= json_array_append_new(required, json_string(param->key)) < 0;
	}
	if (bad) {
		json_decref(properties);
		json_decref(required);
		return NULL;
	}
	if (json_array_size(required) == 0) {
		json_decref(required);
		required = NULL;
	}
	schema = json_pack("{s:s, s:s*, s:o, s:o*, s:{s:b}, s:b}", "type", "object", "description", table->help,
			   "properties", properties, "required", required, "patternProperties", "^//", 1,
			   "additionalProperties", 0);
	return schema;
}
