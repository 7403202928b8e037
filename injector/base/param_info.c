/* SPDX-License-Identifier: Apache-2.0 */
/* What the types of parameter tables are, in memory, in JSON and in words: one row each. */
#include "base/param.h"

#include "brunt/memory.h"
#include "brunt/units.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
	size_t size;
	const char *noun;
	const char *example; /* JSON */
	bool bare;	     /* a default is JSON as it stands, not a string */
} types[] = {
	[BRUNT_T_PLACE] = { sizeof(struct brunt_place), "nothing", NULL, false },
	[BRUNT_T_BOOL] = { sizeof(bool), "true or false", NULL, true },
	[BRUNT_T_COUNT] = { sizeof(uint64_t), "a whole number", "3", true },
	[BRUNT_T_NUMBER] = { sizeof(double), "a number", "1.5", true },
	[BRUNT_T_DURATION] = { sizeof(uint64_t), "a time", "\"200ms\"", false },
	[BRUNT_T_RATIO] = { sizeof(double), "a ratio", "\"5%\"", false },
	[BRUNT_T_SIZE] = { sizeof(uint64_t), "a size", "\"64MiB\"", false },
	[BRUNT_T_RATE] = { sizeof(uint64_t), "a rate", "\"10mbit\"", false },
	[BRUNT_T_QUANTITY] = { sizeof(struct brunt_quantity), "a quantity", "\"200ms\"", false },
	[BRUNT_T_STRING] = { sizeof(const char *), "a string", NULL, false },
	[BRUNT_T_NAME] = { sizeof(const char *), "a name", NULL, false },
	[BRUNT_T_PATH] = { sizeof(const char *), "a path", NULL, false },
	[BRUNT_T_REGEX] = { sizeof(const char *), "a regular expression", NULL, false },
	[BRUNT_T_ENUM] = { sizeof(int), "a word", NULL, false },
	[BRUNT_T_ERRNO] = { sizeof(int), "an errno", "\"ECONNREFUSED\"", false },
	[BRUNT_T_SIGNAL] = { sizeof(int), "a signal", "\"SIGTERM\"", false },
	[BRUNT_T_PICK] = { sizeof(struct brunt_pick), "a count, a share or \"all\"", "\"50%\"", false },
	[BRUNT_T_ENDPOINT] = { sizeof(struct brunt_endpoint), "an endpoint", "\"10.0.0.5:5432/tcp\"", false },
	[BRUNT_T_OBJECT] = { sizeof(void *), "an object", NULL, true },
	[BRUNT_T_ANY] = { sizeof(json_t *), "a value", NULL, true },
};
_Static_assert(BRUNT_COUNT(types) == _BRUNT_T_MAX, "every type has a row");

size_t brunt_param_value_size(const struct brunt_param *param)
{
	if (param->shape == BRUNT_RAMPED)
		return sizeof(struct brunt_ramp);
	if (param->type == BRUNT_T_OBJECT && param->shape != BRUNT_ONE)
		return param->table->size;
	return types[param->type].size;
}

const char *brunt_param_noun(const struct brunt_param *param)
{
	return types[param->type].noun;
}

const char *brunt_param_example(const struct brunt_param *param)
{
	return param->example ? param->example : types[param->type].example;
}

double brunt_param_max(const struct brunt_param *param)
{
	/* max 0 is no limit: nothing can only be zero. */
	return param->max == 0 ? INFINITY : param->max;
}

json_t *brunt_param_default_json(const struct brunt_param *param)
{
	/* A list's default may be an array, an object's is "{}". */
	if (types[param->type].bare || (param->shape == BRUNT_LIST && param->def[0] == '[') ||
	    param->shape == BRUNT_MAP || param->shape == BRUNT_PAIRS)
		return json_loads(param->def, JSON_DECODE_ANY, NULL);
	return json_string(param->def);
}

const char *brunt_param_limit_print(const struct brunt_param *param, double limit, char *buf, size_t size)
{
	enum brunt_dimension dimension = BRUNT_DIM_NONE;

	if (param->type == BRUNT_T_DURATION)
		dimension = BRUNT_DIM_TIME;
	else if (param->type == BRUNT_T_RATIO)
		dimension = BRUNT_DIM_RATIO;
	else if (param->type == BRUNT_T_SIZE)
		dimension = BRUNT_DIM_SIZE;
	else if (param->type == BRUNT_T_RATE)
		return brunt_quantity_print(limit * 8, BRUNT_DIM_RATE, buf, size);
	return brunt_quantity_print(limit, dimension, buf, size);
}
