/* SPDX-License-Identifier: Apache-2.0 */
/* JSON objects into structs, by table. */
#include "base/param.h"
#include "base/text.h"

#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEYS_MAX  256 /* keys that a suggestion chooses from */
#define KEYS_TOLD 12  /* more than that nobody wants to read in a message */

static int decode_object(const struct brunt_scope *scope, const struct brunt_table *table, json_t *value,
			 const char *pointer, void *object);

/* The member of a row in its struct. */
static void *member(const struct brunt_param *param, void *object)
{
	return (char *)object + param->offset;
}

int brunt_param_tell(const struct brunt_scope *scope, const char *pointer, int r, const struct brunt_error *err)
{
	if (r == -ENOMEM)
		return r;
	brunt_doc_error(scope->doc, scope->diags, pointer, false, "%s", err->msg);
	return -EINVAL;
}

/* One value (not a list): a scalar into to, an object into new memory with its address in to. */
static int decode_one(const struct brunt_scope *scope, const struct brunt_param *param, json_t *value,
		      const char *pointer, void *to)
{
	struct brunt_error err = { 0 };
	void *object;
	int r;

	if (param->type != BRUNT_T_OBJECT) {
		r = brunt_param_read(param, scope, value, to, &err);
		return r < 0 ? brunt_param_tell(scope, pointer, r, &err) : 0;
	}
	object = brunt_arena_get(scope->arena, param->table->size);
	if (!object)
		return -ENOMEM;
	r = decode_object(scope, param->table, value, pointer, object);
	if (r < 0)
		return r;
	*(void **)to = object;
	return 0;
}

/* Room for count elements; says so when they are too many. */
static int make_list(const struct brunt_scope *scope, const struct brunt_param *param, size_t count, size_t size,
		     const char *pointer, struct brunt_list *list)
{
	size_t max = param->count_max ? param->count_max : BRUNT_LIST_MAX;

	if (count > max) {
		brunt_doc_error(scope->doc, scope->diags, pointer, false, "has %zu elements; at most %zu are allowed",
				count, max);
		return -EINVAL;
	}
	list->count = count;
	list->items = NULL;
	if (count == 0)
		return 0;
	list->items = brunt_arena_get(scope->arena, count * size);
	return list->items ? 0 : -ENOMEM;
}

/* The elements of a list are the structs themselves, not pointers to them. */
static int decode_element(const struct brunt_scope *scope, const struct brunt_param *param, json_t *value,
			  const char *pointer, void *to)
{
	if (param->type == BRUNT_T_OBJECT)
		return decode_object(scope, param->table, value, pointer, to);
	return decode_one(scope, param, value, pointer, to);
}

static int decode_list(const struct brunt_scope *scope, const struct brunt_param *param, json_t *value,
		       const char *pointer, struct brunt_list *to)
{
	size_t size = brunt_param_value_size(param);
	struct brunt_list list = { 0 };
	json_t *element;
	size_t index;
	bool bad = false;
	int r;

	if (!json_is_array(value)) {
		r = make_list(scope, param, 1, size, pointer, &list);
		if (r == 0)
			r = decode_element(scope, param, value, pointer, list.items);
		if (r < 0)
			return r;
		*to = list;
		return 0;
	}
	r = make_list(scope, param, json_array_size(value), size, pointer, &list);
	if (r < 0)
		return r;
	json_array_foreach (value, index, element) {
		char place[BRUNT_POINTER_SIZE], number[24];

		(void)snprintf(number, sizeof(number), "%zu", index);
		brunt_pointer_join(pointer, number, place, sizeof(place));
		r = decode_element(scope, param, element, place, (char *)list.items + index * size);
		if (r == -ENOMEM)
			return r;
		bad |= r < 0;
	}
	if (bad)
		return -EINVAL;
	*to = list;
	return 0;
}

static const struct brunt_param *key_row(const struct brunt_table *table)
{
	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END; param++)
		if (!param->key && param->type == BRUNT_T_NAME)
			return param;
	return NULL;
}

/* One entry of a map: its key goes to the row without one. */
static int decode_entry(const struct brunt_scope *scope, const struct brunt_param *param, const char *key,
			json_t *value, const char *pointer, void *to)
{
	const struct brunt_param *row = key_row(param->table);
	struct brunt_error err = { 0 };
	int r;

	if (brunt_name_check(key, &err) < 0) {
		brunt_doc_error(scope->doc, scope->diags, pointer, true, "%s", err.msg);
		return -EINVAL;
	}
	r = decode_object(scope, param->table, value, pointer, to);
	if (r < 0 || !row)
		return r;
	*(const char **)member(row, to) = brunt_arena_copy(scope->arena, key, strlen(key));
	return *(const char **)member(row, to) ? 0 : -ENOMEM;
}

static int decode_pair(const struct brunt_scope *scope, const struct brunt_param *param, const char *key, json_t *value,
		       const char *pointer, struct brunt_pair *to)
{
	if (!key[0] || !brunt_text_is_clean(key)) {
		brunt_doc_error(scope->doc, scope->diags, pointer, true, "%s",
				key[0] ? "a key must not have a control character" : "a key must not be empty");
		return -EINVAL;
	}
	to->key = brunt_arena_copy(scope->arena, key, strlen(key));
	if (!to->key)
		return -ENOMEM;
	return decode_one(scope, param, value, pointer, &to->value);
}

/* A JSON object whose keys are the user's own. */
static int decode_entries(const struct brunt_scope *scope, const struct brunt_param *param, json_t *value,
			  const char *pointer, struct brunt_list *to)
{
	bool pairs = param->shape == BRUNT_PAIRS;
	size_t size = pairs ? sizeof(struct brunt_pair) : param->table->size;
	struct brunt_list list = { 0 };
	const char *key;
	json_t *entry;
	size_t index = 0;
	bool bad = false;
	int r;

	if (!json_is_object(value)) {
		brunt_doc_error(scope->doc, scope->diags, pointer, false, "must be an object { ... }%s",
				pairs ? " of strings" : "");
		return -EINVAL;
	}
	r = make_list(scope, param, json_object_size(value), size, pointer, &list);
	if (r < 0)
		return r;
	json_object_foreach (value, key, entry) {
		char place[BRUNT_POINTER_SIZE];
		void *item = (char *)list.items + index++ * size;

		brunt_pointer_join(pointer, key, place, sizeof(place));
		r = pairs ? decode_pair(scope, param, key, entry, place, item)
			  : decode_entry(scope, param, key, entry, place, item);
		if (r == -ENOMEM)
			return r;
		bad |= r < 0;
	}
	if (bad)
		return -EINVAL;
	*to = list;
	return 0;
}

static int decode_value(const struct brunt_scope *scope, const struct brunt_param *param, json_t *value,
			const char *pointer, void *to)
{
	switch (param->shape) {
	case BRUNT_RAMPED:
		return brunt_param_read_ramp(param, scope, value, pointer, to);
	case BRUNT_LIST:
		return decode_list(scope, param, value, pointer, to);
	case BRUNT_MAP:
	case BRUNT_PAIRS:
		return decode_entries(scope, param, value, pointer, to);
	default:
		return decode_one(scope, param, value, pointer, to);
	}
}

static void tell_missing(const struct brunt_scope *scope, const struct brunt_param *param, const char *pointer)
{
	const char *example = brunt_param_example(param);

	if (example)
		brunt_doc_error(scope->doc, scope->diags, pointer, false, "'%s' is missing; write \"%s\": %s",
				param->key, param->key, example);
	else
		brunt_doc_error(scope->doc, scope->diags, pointer, false, "'%s' is missing", param->key);
}

static int set_default(const struct brunt_scope *scope, const struct brunt_param *param, const char *pointer, void *to)
{
	json_t *value;
	int r;

	if (!param->def)
		return 0;
	value = brunt_param_default_json(param);
	if (!value)
		return -ENOMEM;
	r = decode_value(scope, param, value, pointer, to);
	json_decref(value);
	return r;
}

/* One row against the object: given, required, or by default. */
static int decode_row(const struct brunt_scope *scope, const struct brunt_param *param, json_t *object,
		      const char *pointer, void *to)
{
	char place[BRUNT_POINTER_SIZE];
	json_t *value;
	int r;

	if (param->type == BRUNT_T_PLACE) {
		char *copy = brunt_arena_copy(scope->arena, pointer, strlen(pointer));

		if (!copy)
			return -ENOMEM;
		*(struct brunt_place *)member(param, to) = (struct brunt_place){ scope->doc, copy };
		return 0;
	}
	if (!param->key)
		return 0;
	value = json_object_get(object, param->key);
	if (!value) {
		if (!param->required)
			return set_default(scope, param, pointer, member(param, to));
		tell_missing(scope, param, pointer);
		return -EINVAL;
	}
	if (param->set)
		*(bool *)((char *)to + param->set) = true;
	r = decode_value(scope, param, value, brunt_pointer_join(pointer, param->key, place, sizeof(place)),
			 member(param, to));
	if (r == 0 && param->shape == BRUNT_RAMPED)
		((struct brunt_ramp *)member(param, to))->set = true;
	return r;
}

static bool is_known(const char *key, const struct brunt_part *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (const struct brunt_param *param = parts[i].table->params; param->type != BRUNT_T_END; param++)
			if (param->key && strcmp(param->key, key) == 0)
				return true;
	return false;
}

static void tell_unknown(const struct brunt_scope *scope, const char *key, const char *pointer,
			 const struct brunt_part *parts, size_t count)
{
	const char *keys[KEYS_MAX + 1];
	char place[BRUNT_POINTER_SIZE], list[200];
	size_t key_count = 0, length = 0;
	const char *meant;

	for (size_t i = 0; i < count; i++)
		for (const struct brunt_param *param = parts[i].table->params; param->type != BRUNT_T_END; param++)
			if (param->key && key_count < KEYS_MAX)
				keys[key_count++] = param->key;
	keys[key_count] = NULL;
	brunt_pointer_join(pointer, key, place, sizeof(place));
	meant = brunt_suggest(key, keys);
	if (meant) {
		brunt_doc_error(scope->doc, scope->diags, place, true, "unknown key; did you mean '%s'?", meant);
		return;
	}
	list[0] = '\0';
	for (size_t i = 0; i < key_count && length < sizeof(list); i++)
		length += (size_t)snprintf(list + length, sizeof(list) - length, "%s'%s'", i ? ", " : "", keys[i]);
	if (key_count > 0 && key_count <= KEYS_TOLD && length < sizeof(list))
		brunt_doc_error(scope->doc, scope->diags, place, true, "unknown key; there are %s", list);
	else
		brunt_doc_error(scope->doc, scope->diags, place, true, "unknown key");
}

static int check_keys(const struct brunt_scope *scope, json_t *object, const char *pointer,
		      const struct brunt_part *parts, size_t count)
{
	const char *key;
	json_t *value;
	int result = 0;

	json_object_foreach (object, key, value) {
		if (strncmp(key, "//", 2) == 0 || is_known(key, parts, count))
			continue;
		tell_unknown(scope, key, pointer, parts, count);
		result = -EINVAL;
	}
	return result;
}

int brunt_param_decode(const struct brunt_scope *scope, json_t *object, const char *pointer,
		       const struct brunt_part *parts, size_t count)
{
	bool bad = false;
	int r;

	if (!json_is_object(object)) {
		brunt_doc_error(scope->doc, scope->diags, pointer, false, "must be an object { ... }");
		return -EINVAL;
	}
	for (size_t i = 0; i < count; i++) {
		for (const struct brunt_param *param = parts[i].table->params; param->type != BRUNT_T_END; param++) {
			/* what a later table has too is its own; here it is as if it were not given */
			bool hidden = param->key && is_known(param->key, parts + i + 1, count - i - 1);

			r = hidden ? set_default(scope, param, pointer, member(param, parts[i].object))
				   : decode_row(scope, param, object, pointer, parts[i].object);
			if (r == -ENOMEM)
				return r;
			bad |= r < 0;
		}
	}
	bad |= check_keys(scope, object, pointer, parts, count) < 0;
	/* An object that is only half there would draw complaints that are not meant. */
	if (bad)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		struct brunt_error err = { 0 };

		if (!parts[i].table->validate)
			continue;
		r = parts[i].table->validate(parts[i].object, &err);
		if (r < 0) {
			r = brunt_param_tell(scope, pointer, r, &err);
			if (r == -ENOMEM)
				return r;
			bad = true;
		}
	}
	return bad ? -EINVAL : 0;
}

static int decode_object(const struct brunt_scope *scope, const struct brunt_table *table, json_t *value,
			 const char *pointer, void *object)
{
	const struct brunt_part part = { table, object };

	return brunt_param_decode(scope, value, pointer, &part, 1);
}

int brunt_param_defaults(const struct brunt_table *table, void *object, struct brunt_arena *arena,
			 struct brunt_error *err)
{
	BRUNT_CLEANUP(brunt_diags_done) struct brunt_diags diags = { 0 };
	const struct brunt_scope scope = { .arena = arena, .diags = &diags };
	int r;

	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END; param++) {
		if (!param->key)
			continue;
		r = set_default(&scope, param, "", member(param, object));
		if (r == -ENOMEM)
			return brunt_fail(err, ENOMEM, "memory is short");
		if (r < 0)
			return brunt_fail(err, EINVAL, "the default '%s' of '%s': %s", param->def, param->key,
					  diags.count > 0 && diags.items[0].message ? diags.items[0].message : "wrong");
	}
	return 0;
}
