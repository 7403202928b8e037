/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of the method. A step's keys come from three tables: the common
 * one, that of its kind, and for a fault that of its injector.
 */
#include "plan/plan.h"

#include "base/text.h"

#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PARTS_MAX 3

static int decode_step(struct brunt_loader *loader, json_t *value, const char *pointer, struct brunt_step *parent,
		       struct brunt_step **ret);

static struct brunt_scope scope_of(struct brunt_loader *loader)
{
	return (struct brunt_scope){ loader->arena, loader->files[0].doc, loader->diags, loader->files[0].dir };
}

__attribute__((format(printf, 5, 6))) static void tell(struct brunt_loader *loader, const char *pointer,
						       const char *key, bool at_key, const char *format, ...)
{
	char place[BRUNT_PLACE_SIZE], text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (key)
		pointer = brunt_pointer_join(pointer, key, place, sizeof(place));
	brunt_doc_error(loader->files[0].doc, loader->diags, pointer, at_key, "%s", text);
}

/* Which kind of step has this key, other than common ones; NULL when none. */
static const struct brunt_step_kind_row *kind_with(const char *key)
{
	for (const struct brunt_step_kind_row *kind = brunt_step_kinds; kind->key; kind++)
		if (brunt_table_row(kind->table, key))
			return kind;
	return NULL;
}

/* All kind keys as prose. */
static const char *kind_keys(char *buf, size_t size)
{
	size_t length = 0;

	buf[0] = '\0';
	for (const struct brunt_step_kind_row *kind = brunt_step_kinds; kind->key && length < size; kind++)
		length += (size_t)snprintf(buf + length, size - length, "%s'%s'", length > 0 ? ", " : "", kind->key);
	return buf;
}

/* A step without a kind: perhaps its key is misspelt; then that is the error. */
static void tell_no_kind(struct brunt_loader *loader, json_t *value, const char *pointer)
{
	const char *names[BRUNT_STEP_REVERT + 2] = { 0 };
	bool misspelt = false;
	char keys[256];
	const char *key;
	json_t *child;

	for (size_t i = 0; brunt_step_kinds[i].key; i++)
		names[i] = brunt_step_kinds[i].key;
	json_object_foreach (value, key, child) {
		const char *meant = brunt_suggest(key, names);

		if (kind_with(key) || brunt_table_row(&brunt_step_table, key))
			continue;
		if (meant)
			tell(loader, pointer, key, true, "unknown key; did you mean '%s'?", meant);
		misspelt |= meant != NULL;
	}
	if (!misspelt)
		tell(loader, pointer, NULL, false, "says nothing to do; a step needs one of %s",
		     kind_keys(keys, sizeof(keys)));
}

/* Exactly one key says the kind. */
static const struct brunt_step_kind_row *find_kind(struct brunt_loader *loader, json_t *value, const char *pointer)
{
	const struct brunt_step_kind_row *found = NULL;

	for (const struct brunt_step_kind_row *kind = brunt_step_kinds; kind->key; kind++) {
		if (!json_object_get(value, kind->key))
			continue;
		if (found) {
			tell(loader, pointer, kind->key, true,
			     "a step does one thing, this one has '%s' and '%s'; make them two steps", found->key,
			     kind->key);
			return NULL;
		}
		found = kind;
	}
	if (!found)
		tell_no_kind(loader, value, pointer);
	return found;
}

/* Finds the injector by the value of "fault"; NULL after an error (or when the table will tell). */
static const struct brunt_injector *find_fault(struct brunt_loader *loader, json_t *value, const char *pointer)
{
	const char *name = json_string_value(json_object_get(value, "fault"));
	const struct brunt_injector *injector = name ? brunt_injector_find(name) : NULL;
	char text[256];

	if (!injector && name)
		tell(loader, pointer, "fault", false, "%s", brunt_fault_unknown_text(name, text, sizeof(text)));
	return injector;
}

/*
 * The step without keys that belong to steps of another kind (told here, more to the point than "unknown key") and,
 * when the fault is not known, without what may be its parameters. New reference, or NULL when memory is short.
 */
static json_t *own_keys(struct brunt_loader *loader, const struct brunt_step_kind_row *kind,
			const struct brunt_injector *injector, json_t *value, const char *pointer)
{
	json_t *copy = json_object();
	const char *key;
	json_t *child;

	json_object_foreach (value, key, child) {
		bool own = brunt_table_row(&brunt_step_table, key) || brunt_table_row(kind->table, key) ||
			   (injector && brunt_table_row(injector->table, key));
		const struct brunt_step_kind_row *other = kind_with(key);

		if (!own && other) {
			tell(loader, pointer, key, true, "'%s' goes with '%s', not with '%s'", key, other->key,
			     kind->key);
			continue;
		}
		if (!own && kind == &brunt_step_kinds[BRUNT_STEP_FAULT] && !injector)
			continue;
		if (json_object_set(copy, key, child) < 0) {
			json_decref(copy);
			return NULL;
		}
	}
	return copy;
}

/* The children of a parallel step. */
static int decode_parallel(struct brunt_loader *loader, struct brunt_raw_step *raw, const char *pointer)
{
	char place[BRUNT_PLACE_SIZE], list[BRUNT_PLACE_SIZE], number[24];
	struct brunt_step **children;
	size_t count = 0, index;
	json_t *child;
	int r;

	brunt_pointer_join(pointer, "parallel", list, sizeof(list));
	if (!json_is_array(raw->parallel) || json_array_size(raw->parallel) == 0) {
		tell(loader, list, NULL, false, "must be an array of steps, with at least one");
		return -EINVAL;
	}
	if (json_array_size(raw->parallel) > 64) {
		tell(loader, list, NULL, false, "has %zu steps; at most 64 are allowed",
		     json_array_size(raw->parallel));
		return -EINVAL;
	}
	children = brunt_arena_get(loader->arena, json_array_size(raw->parallel) * sizeof(struct brunt_step *));
	if (!children)
		return -ENOMEM;
	json_array_foreach (raw->parallel, index, child) {
		(void)snprintf(number, sizeof(number), "%zu", index);
		r = decode_step(loader, child, brunt_pointer_join(list, number, place, sizeof(place)), &raw->step,
				&children[count]);
		if (r == -ENOMEM)
			return r;
		if (r == 0)
			count++;
	}
	raw->step.parallel = (struct brunt_list){ children, count };
	return 0;
}

/* Gives the step its index, and what follows from its kind. */
static int add_step(struct brunt_loader *loader, struct brunt_step *step)
{
	if (loader->step_count == BRUNT_PLAN_STEPS_MAX) {
		brunt_plan_error(loader, &step->place, NULL, "a method has at most %d steps", BRUNT_PLAN_STEPS_MAX);
		loader->method_whole = false;
		return -EINVAL;
	}
	step->index = (uint32_t)loader->step_count;
	loader->steps[loader->step_count++] = step;
	return 0;
}

static int decode_known(struct brunt_loader *loader, const struct brunt_step_kind_row *kind, json_t *value,
			const char *pointer, struct brunt_raw_step *raw)
{
	const struct brunt_injector *injector = NULL;
	struct brunt_part parts[PARTS_MAX] = { { &brunt_step_table, raw }, { kind->table, raw } };
	struct brunt_scope scope = scope_of(loader);
	size_t count = 2;
	json_t *own;
	int r;

	raw->step.kind = (enum brunt_step_kind)(kind - brunt_step_kinds);
	if (raw->step.kind == BRUNT_STEP_FAULT) {
		injector = find_fault(loader, value, pointer);
		raw->step.fault.injector = injector;
	}
	if (injector) {
		raw->step.fault.params = brunt_arena_get(loader->arena, injector->table->size);
		if (!raw->step.fault.params)
			return -ENOMEM;
		parts[count++] = (struct brunt_part){ injector->table, raw->step.fault.params };
	}
	own = own_keys(loader, kind, injector, value, pointer);
	if (!own)
		return -ENOMEM;
	r = brunt_param_decode(&scope, own, pointer, parts, count);
	json_decref(own);
	if (r < 0)
		return r;
	return raw->step.kind == BRUNT_STEP_FAULT && !injector ? -EINVAL : 0;
}

/* A step that is wrong is left out: what refers to it by name is still right. */
static int leave_out(struct brunt_loader *loader, json_t *value)
{
	const char *name = json_string_value(json_object_get(value, "name"));
	const char *copy;

	loader->method_whole = false;
	if (!name)
		return -EINVAL;
	copy = brunt_arena_copy(loader->arena, name, strlen(name));
	if (!copy || brunt_names_add(loader, &loader->bad_steps, copy) < 0)
		return -ENOMEM;
	return -EINVAL;
}

/* 0; -EINVAL when it was left out; -ENOMEM. */
static int decode_step(struct brunt_loader *loader, json_t *value, const char *pointer, struct brunt_step *parent,
		       struct brunt_step **ret)
{
	const struct brunt_step_kind_row *kind;
	struct brunt_raw_step *raw;
	int r;

	if (!json_is_object(value)) {
		tell(loader, pointer, NULL, false, "must be an object { ... }: one step");
		return leave_out(loader, value);
	}
	kind = find_kind(loader, value, pointer);
	if (!kind)
		return leave_out(loader, value);
	if (parent && kind == &brunt_step_kinds[BRUNT_STEP_PARALLEL]) {
		tell(loader, pointer, "parallel", true,
		     "stands under 'parallel' already; put its steps beside the others");
		return leave_out(loader, value);
	}
	raw = brunt_arena_get(loader->arena, sizeof(*raw));
	if (!raw)
		return -ENOMEM;
	r = decode_known(loader, kind, value, pointer, raw);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return leave_out(loader, value);
	raw->step.parent = parent;
	r = add_step(loader, &raw->step);
	if (r == 0 && raw->step.kind == BRUNT_STEP_PARALLEL)
		r = decode_parallel(loader, raw, pointer);
	if (r == -EINVAL)
		return leave_out(loader, value);
	*ret = &raw->step;
	return r;
}

/* The plan wants its top level as one array, where the steps then are. */
static int lay_out(struct brunt_loader *loader, struct brunt_step **top, size_t count)
{
	struct brunt_step *steps = brunt_arena_get(loader->arena, (count + 1) * sizeof(*steps));

	if (!steps)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		steps[i] = *top[i];
		loader->steps[steps[i].index] = &steps[i];
		if (steps[i].kind == BRUNT_STEP_PARALLEL)
			BRUNT_FOREACH (struct brunt_step *, child, steps[i].parallel)
				(*child)->parent = &steps[i];
	}
	loader->plan->method = (struct brunt_list){ steps, count };
	loader->plan->steps = loader->steps;
	loader->plan->step_count = (uint32_t)loader->step_count;
	return 0;
}

int brunt_plan_decode_method(struct brunt_loader *loader, json_t *method)
{
	char pointer[64];
	struct brunt_step **top;
	size_t top_count = 0, index;
	json_t *value;
	int r;

	loader->method_whole = true;
	loader->steps = brunt_arena_get(loader->arena, BRUNT_PLAN_STEPS_MAX * sizeof(struct brunt_step *));
	if (!loader->steps)
		return -ENOMEM;
	if (!json_is_array(method) || json_array_size(method) == 0) {
		tell(loader, "/method", NULL, false, "must be an array of steps, with at least one");
		loader->method_whole = false;
		return 0;
	}
	if (json_array_size(method) > BRUNT_PLAN_STEPS_MAX) {
		tell(loader, "/method", NULL, false, "has %zu steps; at most %d are allowed", json_array_size(method),
		     BRUNT_PLAN_STEPS_MAX);
		loader->method_whole = false;
		return 0;
	}
	top = brunt_arena_get(loader->arena, json_array_size(method) * sizeof(*top));
	if (!top)
		return -ENOMEM;
	json_array_foreach (method, index, value) {
		(void)snprintf(pointer, sizeof(pointer), "/method/%zu", index);
		r = decode_step(loader, value, pointer, NULL, &top[top_count]);
		if (r == -ENOMEM)
			return r;
		if (r == 0)
			top_count++;
	}
	return lay_out(loader, top, top_count);
}
