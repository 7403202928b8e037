/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to structs. Services, targets, SLIs and conditions are decoded one by
 * one, so that one that is wrong hides nothing about the others; those of all
 * files are put together.
 */
#include "plan/plan.h"

#include "base/param.h"

#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <string.h>

/* One list of the plan while it grows: elements of all files. */
struct gather {
	const char *key;	   /* of the top level */
	struct brunt_list *list;   /* where it goes */
	struct brunt_names *names; /* of a map */
	const char *noun;
	size_t room;
};

static size_t count_max(const struct brunt_param *row)
{
	return row->count_max ? row->count_max : BRUNT_LIST_MAX;
}

static int grow(struct brunt_loader *loader, struct gather *gather, size_t size)
{
	size_t room = gather->room ? gather->room * 2 : 8;
	void *items;

	if (gather->list->count < gather->room)
		return 0;
	items = brunt_arena_get(loader->arena, room * size);
	if (!items)
		return -ENOMEM;
	if (gather->list->count > 0)
		memcpy(items, gather->list->items, gather->list->count * size);
	gather->list->items = items;
	gather->room = room;
	return 0;
}

/* Decodes one element at the end of the list; leaves it out when it is wrong. name: of a map's element, or NULL. */
static int add_element(struct brunt_loader *loader, const struct brunt_scope *scope, struct gather *gather,
		       const struct brunt_param *row, json_t *value, const char *pointer, const char *name)
{
	const struct brunt_table *table = row->table;
	struct brunt_part part = { table, NULL };
	int r;

	r = grow(loader, gather, table->size);
	if (r < 0)
		return r;
	part.object = (char *)gather->list->items + gather->list->count * table->size;
	memset(part.object, 0, table->size);
	r = brunt_param_decode(scope, value, pointer, &part, 1);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (const struct brunt_param *param = table->params; name && param->type != BRUNT_T_END; param++)
		if (!param->key && param->type == BRUNT_T_NAME)
			*(const char **)((char *)part.object + param->offset) = name;
	gather->list->count++;
	return 0;
}

static const struct brunt_doc *defined_in(const struct brunt_loader *loader, const struct brunt_file *file,
					  const char *key, const char *name)
{
	for (const struct brunt_file *other = loader->files; other < file; other++)
		if (other->doc && json_object_get(json_object_get(brunt_doc_root(other->doc), key), name))
			return other->doc;
	return NULL;
}

static int add_named(struct brunt_loader *loader, const struct brunt_scope *scope, const struct brunt_file *file,
		     struct gather *gather, const struct brunt_param *row, const char *name, json_t *value)
{
	char pointer[BRUNT_PLACE_SIZE], top[64];
	struct brunt_error err = { 0 };
	const char *copy;
	int r;

	(void)snprintf(top, sizeof(top), "/%s", gather->key);
	brunt_pointer_join(top, name, pointer, sizeof(pointer));
	if (brunt_name_check(name, &err) < 0) {
		brunt_doc_error(file->doc, loader->diags, pointer, true, "%s", err.msg);
		return 0;
	}
	if (brunt_names_have(gather->names, name)) {
		brunt_doc_error(file->doc, loader->diags, pointer, true,
				"%s '%s' is defined in '%s' too; files add, they never override", gather->noun, name,
				brunt_doc_name(defined_in(loader, file, gather->key, name)));
		return 0;
	}
	copy = brunt_arena_copy(loader->arena, name, strlen(name));
	if (!copy)
		return -ENOMEM;
	r = brunt_names_add(loader, gather->names, copy);
	if (r < 0)
		return r;
	return add_element(loader, scope, gather, row, value, pointer, copy);
}

/* What one file says under one key. */
static int gather_from(struct brunt_loader *loader, const struct brunt_file *file, struct gather *gather)
{
	const struct brunt_param *row = brunt_table_row(&brunt_experiment_table, gather->key);
	const struct brunt_scope scope = { loader->arena, file->doc, loader->diags, file->dir };
	json_t *section = json_object_get(brunt_doc_root(file->doc), gather->key);
	char pointer[64];
	const char *name;
	json_t *value;
	size_t index;
	int r = 0;

	/* Told already, see emptied(). */
	if (json_object_size(section) > count_max(row) || json_array_size(section) > count_max(row))
		return 0;
	if (row->shape == BRUNT_MAP) {
		json_object_foreach (section, name, value) {
			r = add_named(loader, &scope, file, gather, row, name, value);
			if (r < 0)
				return r;
		}
		return 0;
	}
	(void)snprintf(pointer, sizeof(pointer), "/%s", gather->key);
	if (section && !json_is_array(section))
		return add_element(loader, &scope, gather, row, section, pointer, NULL);
	json_array_foreach (section, index, value) {
		(void)snprintf(pointer, sizeof(pointer), "/%s/%zu", gather->key, index);
		r = add_element(loader, &scope, gather, row, value, pointer, NULL);
		if (r < 0)
			return r;
	}
	return r;
}

static int gather_all(struct brunt_loader *loader, struct gather *gather)
{
	const struct brunt_param *row = brunt_table_row(&brunt_experiment_table, gather->key);
	size_t max = count_max(row);
	int r;

	for (size_t i = 0; i < loader->file_count; i++) {
		const struct brunt_file *file = &loader->files[i];

		/* Other keys of an included file are unknown there, and told so. */
		if (!file->doc || (i > 0 && !brunt_table_row(&brunt_include_table, gather->key)))
			continue;
		r = gather_from(loader, file, gather);
		if (r < 0)
			return r;
		if (gather->list->count > max) {
			char pointer[64];

			(void)snprintf(pointer, sizeof(pointer), "/%s", gather->key);
			brunt_doc_error(file->doc, loader->diags, pointer, true,
					"the plan has %zu of these with its includes; at most %zu are allowed",
					gather->list->count, max);
			return 0;
		}
	}
	return 0;
}

/* An empty value of the same kind: what is decoded one by one has its keys checked here, but not its elements. */
static json_t *emptied(const struct brunt_param *row, json_t *value)
{
	size_t max = count_max(row);

	if (row->type != BRUNT_T_OBJECT || row->shape == BRUNT_ONE)
		return json_incref(value);
	/* The table says what is wrong with too many. */
	if (row->shape == BRUNT_MAP)
		return json_is_object(value) && json_object_size(value) <= max ? json_object() : json_incref(value);
	return json_array_size(value) <= max ? json_array() : json_incref(value);
}

/* The top level of one file, without the elements of its sections. */
static int decode_top(struct brunt_loader *loader, struct brunt_file *file, const struct brunt_table *table)
{
	const struct brunt_scope scope = { loader->arena, file->doc, loader->diags, file->dir };
	const struct brunt_part part = { table, &file->top };
	json_t *copy = json_object();
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach (brunt_doc_root(file->doc), key, value) {
		const struct brunt_param *row = brunt_table_row(table, key);
		char pointer[BRUNT_PLACE_SIZE];

		if (!row && brunt_table_row(&brunt_experiment_table, key)) {
			brunt_doc_error(file->doc, loader->diags, brunt_pointer_join("", key, pointer, sizeof(pointer)),
					true,
					"does not belong in an included file; that brings in services, targets, "
					"slis, guardrails and variables");
			continue;
		}
		if (json_object_set_new(copy, key, row ? emptied(row, value) : json_incref(value)) < 0)
			r = -ENOMEM;
	}
	if (r == 0)
		r = brunt_param_decode(&scope, copy, "", &part, 1);
	json_decref(copy);
	return r == -ENOMEM ? r : 0;
}

/* What stands at the top level and needs no further reading. */
static int take_top(struct brunt_loader *loader)
{
	struct brunt_experiment *top = &loader->files[0].top;
	struct brunt_plan *plan = loader->plan;
	struct brunt_error err = { 0 };

	plan->schema = top->schema;
	plan->name = top->name;
	plan->description = top->description;
	plan->labels = top->labels;
	plan->seed = top->seed;
	plan->has_seed = top->has_seed;
	plan->lease = top->lease;
	plan->on_abort = top->on_abort;
	if (top->blast_radius) {
		plan->blast_radius = *top->blast_radius;
		return 0;
	}
	/* The defaults are right, by test: only memory can be missing. */
	if (brunt_param_defaults(&brunt_blast_radius_table, &plan->blast_radius, loader->arena, &err) < 0)
		return -ENOMEM;
	return 0;
}

int brunt_plan_decode(struct brunt_loader *loader)
{
	struct brunt_plan *plan = loader->plan;
	struct gather sections[] = {
		{ "services", &plan->services, &loader->service_names, "service", 0 },
		{ "targets", &plan->targets, &loader->target_names, "target", 0 },
		{ "slis", &plan->slis, &loader->sli_names, "SLI", 0 },
		{ "start_if", &plan->start_if, NULL, NULL, 0 },
		{ "steady_state", &plan->steady_state, NULL, NULL, 0 },
		{ "guardrails", &plan->guardrails, NULL, NULL, 0 },
		{ "finally", &plan->finally, NULL, NULL, 0 },
	};
	json_t *method;
	int r;

	for (size_t i = 0; i < loader->file_count; i++) {
		if (!loader->files[i].doc)
			continue;
		r = decode_top(loader, &loader->files[i], i == 0 ? &brunt_experiment_table : &brunt_include_table);
		if (r < 0)
			return r;
	}
	r = take_top(loader);
	for (size_t i = 0; i < BRUNT_COUNT(sections) && r == 0; i++)
		r = gather_all(loader, &sections[i]);
	method = json_object_get(brunt_doc_root(loader->files[0].doc), "method");
	if (r == 0 && method)
		r = brunt_plan_decode_method(loader, method);
	return r;
}
