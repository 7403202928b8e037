/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters as they are typed on a command line. */
#include "base/param.h"
#include "base/text.h"

#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <string.h>

#define KEYS_MAX 64

static const struct brunt_param *find(const struct brunt_table *table, const char *key, size_t size)
{
	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END; param++)
		if (param->key && strlen(param->key) == size && !strncmp(param->key, key, size))
			return param;
	return NULL;
}

static int fail_unknown(const struct brunt_table *table, const char *key, struct brunt_error *err)
{
	const char *names[KEYS_MAX + 1] = { NULL }, *meant;
	size_t count = 0;

	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END && count < KEYS_MAX; param++)
		if (param->key)
			names[count++] = param->key;
	meant = brunt_suggest(key, names);
	if (meant)
		return brunt_fail(err, EINVAL, "%s has no '%s'; did you mean '%s'?", table->name, key, meant);
	return brunt_fail(err, EINVAL, "%s has no '%s'; 'brunt faults %s' lists what it has", table->name, key,
			  table->name);
}

static bool is_number(const char *text)
{
	return text[0] && strspn(text, "0123456789.-+eE") == strlen(text) && strpbrk(text, "0123456789");
}

/* One value; what is wrong with it decoding says, with the row's own words. */
static json_t *scalar(const struct brunt_param *param, const char *text)
{
	switch (param->type) {
	case BRUNT_T_BOOL:
		if (!strcmp(text, "true") || !strcmp(text, "false"))
			return json_boolean(text[0] == 't');
		return json_string(text);
	case BRUNT_T_COUNT:
	case BRUNT_T_NUMBER:
	case BRUNT_T_QUANTITY:
	case BRUNT_T_ERRNO:
	case BRUNT_T_SIGNAL:
	case BRUNT_T_PICK: {
		json_t *number = is_number(text) ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

		return number ?: json_string(text);
	}
	default:
		return json_string(text);
	}
}

static json_t *list(const struct brunt_param *param, const char *text)
{
	json_t *array = json_array();

	while (array && *text) {
		size_t size = strcspn(text, ",");
		BRUNT_AUTO_FREE char *one = strndup(text, size);

		if (!one || json_array_append_new(array, scalar(param, one))) {
			json_decref(array);
			return NULL;
		}
		text += size + (text[size] == ',');
	}
	return array;
}

int brunt_param_given(const struct brunt_table *table, const char *text, json_t *object, struct brunt_error *err)
{
	const char *value = strchr(text, '=');
	size_t size = value ? (size_t)(value - text) : strlen(text);
	BRUNT_AUTO_FREE char *key = strndup(text, size);
	const struct brunt_param *param = find(table, text, size);
	json_error_t where;
	json_t *json;

	if (!key)
		return brunt_fail(err, ENOMEM, "out of memory");
	if (!param)
		return fail_unknown(table, key, err);
	if (!value || !value[1])
		return brunt_fail(err, EINVAL, "'%s' has no value; write %s=VALUE", key, key);
	if (json_object_get(object, key))
		return brunt_fail(err, EINVAL, "'%s' is given twice", key);
	value++;
	if (value[0] == '{' || value[0] == '[') {
		json = json_loads(value, JSON_REJECT_DUPLICATES, &where);
		if (!json)
			return brunt_fail(err, EINVAL, "'%s' is not valid JSON: %s", key, where.text);
	} else if (param->type == BRUNT_T_OBJECT || param->shape == BRUNT_MAP || param->shape == BRUNT_PAIRS) {
		return brunt_fail(err, EINVAL, "'%s' is an object; write it as JSON: %s='{ ... }'", key, key);
	} else {
		json = param->shape == BRUNT_LIST ? list(param, value) : scalar(param, value);
	}
	return json_object_set_new(object, key, json) ? brunt_fail(err, ENOMEM, "out of memory") : 0;
}
