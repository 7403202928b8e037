/* SPDX-License-Identifier: Apache-2.0 */
/* The tables are the documentation: nothing may be missing in them, and what is made from them must be right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan/plan.h"

#include "brunt/error.h"
#include "brunt/memory.h"

#define TABLES_MAX 128

static const struct brunt_table *tables[TABLES_MAX];
static size_t table_count;

static void collect(const struct brunt_table *table)
{
	for (size_t i = 0; i < table_count; i++)
		if (tables[i] == table)
			return;
	assert_true(table_count < TABLES_MAX);
	tables[table_count++] = table;
	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END; param++)
		if (param->table)
			collect(param->table);
}

static int collect_all(void **state)
{
	(void)state;
	collect(&brunt_experiment_table);
	collect(&brunt_include_table);
	collect(&brunt_step_table);
	for (const struct brunt_step_kind_row *kind = brunt_step_kinds; kind->key; kind++)
		collect(kind->table);
	for (const struct brunt_injector *const *at = brunt_injectors; *at; at++)
		collect((*at)->table);
	return 0;
}

static void every_key_has_a_help(void **state)
{
	(void)state;
	for (size_t i = 0; i < table_count; i++) {
		assert_non_null(tables[i]->help);
		for (const struct brunt_param *param = tables[i]->params; param->type != BRUNT_T_END; param++) {
			if (!param->key)
				continue;
			if (!param->help || !param->help[0])
				fail_msg("'%s' of '%s' has no help", param->key, tables[i]->name);
			if (param->help[strlen(param->help) - 1] == '.')
				fail_msg("the help of '%s' of '%s' ends in a full stop", param->key, tables[i]->name);
		}
	}
}

static void no_two_tables_have_one_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < table_count; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(tables[i]->name, tables[j]->name);
}

static void every_default_is_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < table_count; i++) {
		struct brunt_arena *arena = NULL;
		struct brunt_error err = { 0 };
		void *object;

		assert_int_equal(brunt_arena_new(&arena), 0);
		object = brunt_arena_get(arena, tables[i]->size);
		assert_non_null(object);
		if (brunt_param_defaults(tables[i], object, arena, &err) != 0)
			fail_msg("%s: %s", tables[i]->name, err.msg);
		brunt_arena_free(arena);
	}
}

static void every_example_is_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < table_count; i++)
		for (const struct brunt_param *param = tables[i]->params; param->type != BRUNT_T_END; param++) {
			json_t *example = param->example ? json_loads(param->example, JSON_DECODE_ANY, NULL) : NULL;

			if (param->example && !example)
				fail_msg("the example of '%s' of '%s' is no JSON", param->key, tables[i]->name);
			json_decref(example);
		}
}

/* A fault that is held is not repeated: these keys of a step are none of it. */
static bool is_of_instant_faults(const char *key)
{
	return !strcmp(key, "every") || !strcmp(key, "times");
}

/* They stand in one object: a key can have one meaning only. */
static void no_fault_has_a_parameter_that_is_a_key_of_steps(void **state)
{
	(void)state;
	for (const struct brunt_injector *const *at = brunt_injectors; *at; at++)
		for (const struct brunt_param *param = (*at)->table->params; param->type != BRUNT_T_END; param++) {
			if (!param->key)
				continue;
			assert_null(brunt_table_row(&brunt_step_table, param->key));
			for (const struct brunt_step_kind_row *kind = brunt_step_kinds; kind->key; kind++)
				if (brunt_table_row(kind->table, param->key) &&
				    ((*at)->instant || !is_of_instant_faults(param->key)))
					fail_msg("'%s' of %s is a key of '%s' steps", param->key, (*at)->name,
						 kind->key);
		}
}

static void every_kind_of_step_has_its_key_in_its_table(void **state)
{
	(void)state;
	for (int kind = 0; brunt_step_kinds[kind].key; kind++) {
		const struct brunt_param *row =
			brunt_table_row(brunt_step_kinds[kind].table, brunt_step_kinds[kind].key);

		assert_non_null(row);
		assert_true(row->required);
		assert_string_equal(brunt_step_kind_name((enum brunt_step_kind)kind), brunt_step_kinds[kind].key);
	}
}

/* Every "$ref" leads to a definition. */
static void check_references(json_t *value, json_t *defs)
{
	const char *key;
	json_t *child;
	size_t index;

	json_array_foreach (value, index, child)
		check_references(child, defs);
	json_object_foreach (value, key, child) {
		if (strcmp(key, "$ref") == 0) {
			assert_true(strncmp(json_string_value(child), "#/$defs/", 8) == 0);
			assert_non_null(json_object_get(defs, json_string_value(child) + 8));
		}
		check_references(child, defs);
	}
}

static void the_schema_is_whole(void **state)
{
	json_t *schema = brunt_plan_schema();
	json_t *defs = json_object_get(schema, "$defs");

	(void)state;
	assert_non_null(schema);
	assert_non_null(json_object_get(defs, "step"));
	check_references(schema, defs);
	for (const struct brunt_injector *const *at = brunt_injectors; *at; at++)
		assert_non_null(json_object_get(defs, (*at)->name));
	json_decref(schema);
}

static void the_reference_names_every_key(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	assert_int_equal(brunt_plan_reference(out), 0);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i < table_count; i++)
		for (const struct brunt_param *param = tables[i]->params; param->type != BRUNT_T_END; param++) {
			char row[128];

			(void)snprintf(row, sizeof(row), "\n| `%s` | ", param->key);
			if (param->key && !strstr(text, row))
				fail_msg("'%s' of '%s' is not in the reference", param->key, tables[i]->name);
		}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_has_a_help),
		cmocka_unit_test(no_two_tables_have_one_name),
		cmocka_unit_test(every_default_is_right),
		cmocka_unit_test(every_example_is_json),
		cmocka_unit_test(no_fault_has_a_parameter_that_is_a_key_of_steps),
		cmocka_unit_test(every_kind_of_step_has_its_key_in_its_table),
		cmocka_unit_test(the_schema_is_whole),
		cmocka_unit_test(the_reference_names_every_key),
	};

	return cmocka_run_group_tests(tests, collect_all, NULL);
}
