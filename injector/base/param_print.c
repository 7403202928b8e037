/* SPDX-License-Identifier: Apache-2.0 */
#include "base/param.h"

#include "brunt/memory.h"
#include "brunt/units.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Text that grows in a buffer of fixed size; what does not fit is lost. */
struct out {
	char *buf;
	size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *out, const char *format, ...)
{
	va_list args;
	int length;

	if (out->used + 1 >= out->size)
		return;
	va_start(args, format);
	length = vsnprintf(out->buf + out->used, out->size - out->used, format, args);
	va_end(args);
	if (length > 0)
		out->used += (size_t)length;
	if (out->used >= out->size)
		out->used = out->size - 1;
}

static void put_quantity(struct out *out, double value, enum brunt_dimension dimension)
{
	char buf[64];

	put(out, "%s", brunt_quantity_print(value, dimension, buf, sizeof(buf)));
}

static void put_name(struct out *out, const char *name, int value)
{
	if (name)
		put(out, "%s", name);
	else
		put(out, "%d", value);
}

static void put_word(struct out *out, const struct brunt_param *param, int value)
{
	const struct brunt_value *v = param->values;

	while (v && v->name && v->value != value)
		v++;
	put_name(out, v ? v->name : NULL, value);
}

static void put_pick(struct out *out, const struct brunt_pick *pick)
{
	switch (pick->kind) {
	case BRUNT_PICK_COUNT:
		put(out, "%" PRIu64, pick->count);
		break;
	case BRUNT_PICK_SHARE:
		put_quantity(out, pick->share, BRUNT_DIM_RATIO);
		break;
	case BRUNT_PICK_ALL:
		put(out, "all");
		break;
	case BRUNT_PICK_NONE:
		break;
	}
}

static void put_value(struct out *out, const struct brunt_param *param, const void *value)
{
	const struct brunt_quantity *quantity = value;
	const char *text;
	char buf[80];

	switch (param->type) {
	case BRUNT_T_BOOL:
		put(out, "%s", *(const bool *)value ? "true" : "false");
		break;
	case BRUNT_T_COUNT:
		put(out, "%" PRIu64, *(const uint64_t *)value);
		break;
	case BRUNT_T_NUMBER:
		put_quantity(out, *(const double *)value, BRUNT_DIM_NONE);
		break;
	case BRUNT_T_DURATION:
		put_quantity(out, (double)*(const uint64_t *)value, BRUNT_DIM_TIME);
		break;
	case BRUNT_T_SIZE:
		put_quantity(out, (double)*(const uint64_t *)value, BRUNT_DIM_SIZE);
		break;
	case BRUNT_T_RATE:
		put_quantity(out, (double)*(const uint64_t *)value * 8, BRUNT_DIM_RATE);
		break;
	case BRUNT_T_RATIO:
		put_quantity(out, *(const double *)value, BRUNT_DIM_RATIO);
		break;
	case BRUNT_T_QUANTITY:
		put_quantity(out, quantity->value, quantity->dimension);
		break;
	case BRUNT_T_STRING:
	case BRUNT_T_NAME:
	case BRUNT_T_PATH:
	case BRUNT_T_REGEX:
		text = *(const char *const *)value;
		put(out, "%s", text ? text : "");
		break;
	case BRUNT_T_ENUM:
		put_word(out, param, *(const int *)value);
		break;
	case BRUNT_T_ERRNO:
		put_name(out, brunt_errno_name(*(const int *)value), *(const int *)value);
		break;
	case BRUNT_T_SIGNAL:
		put_name(out, brunt_signal_name(*(const int *)value), *(const int *)value);
		break;
	case BRUNT_T_PICK:
		put_pick(out, value);
		break;
	case BRUNT_T_ENDPOINT:
		put(out, "%s", brunt_endpoint_print(value, buf, sizeof(buf)));
		break;
	case BRUNT_T_OBJECT:
	case BRUNT_T_ANY:
		put(out, "{...}");
		break;
	default:
		break;
	}
}

static void put_ramp(struct out *out, const struct brunt_param *param, const struct brunt_ramp *ramp)
{
	char buf[64];

	put(out, "%s", brunt_param_limit_print(param, ramp->from, buf, sizeof(buf)));
	if (!brunt_ramp_moves(ramp))
		return;
	put(out, " -> %s", brunt_param_limit_print(param, ramp->to, buf, sizeof(buf)));
	put(out, " in %s", brunt_duration_print(ramp->in_ns, buf, sizeof(buf)));
}

const char *brunt_param_print(const struct brunt_param *param, const void *object, char *buf, size_t size)
{
	const void *value = (const char *)object + param->offset;
	const struct brunt_list *list = value;
	struct out out = { buf, size, 0 };

	if (size > 0)
		buf[0] = '\0';
	if (param->shape == BRUNT_ONE) {
		put_value(&out, param, value);
		return buf;
	}
	if (param->shape == BRUNT_RAMPED) {
		put_ramp(&out, param, value);
		return buf;
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct brunt_pair *pairs = list->items;

		put(&out, "%s", i ? ", " : "");
		if (param->shape == BRUNT_PAIRS)
			put(&out, "%s=%s", pairs[i].key, pairs[i].value);
		else
			put_value(&out, param, (const char *)list->items + i * brunt_param_value_size(param));
	}
	return buf;
}

static void put_limits(struct out *out, const struct brunt_param *param)
{
	double max = brunt_param_max(param);
	char low[64], high[64];

	if (param->type == BRUNT_T_STRING || param->type == BRUNT_T_PATH || param->type == BRUNT_T_NAME)
		return;
	brunt_param_limit_print(param, param->min, low, sizeof(low));
	brunt_param_limit_print(param, max, high, sizeof(high));
	if (param->min != 0 && !isinf(max))
		put(out, "; from %s to %s", low, high);
	else if (param->min != 0)
		put(out, "; at least %s", low);
	else if (!isinf(max))
		put(out, "; at most %s", high);
}

const char *brunt_param_accepts(const struct brunt_param *param, char *buf, size_t size)
{
	static const char *const nouns[] = {
		[BRUNT_T_BOOL] = "true or false", [BRUNT_T_COUNT] = "whole number",
		[BRUNT_T_NUMBER] = "number",	  [BRUNT_T_DURATION] = "duration",
		[BRUNT_T_RATIO] = "ratio",	  [BRUNT_T_SIZE] = "size",
		[BRUNT_T_RATE] = "rate",	  [BRUNT_T_QUANTITY] = "quantity or number",
		[BRUNT_T_STRING] = "string",	  [BRUNT_T_NAME] = "name",
		[BRUNT_T_PATH] = "path",	  [BRUNT_T_REGEX] = "regular expression",
		[BRUNT_T_ENUM] = "one of ",	  [BRUNT_T_ERRNO] = "errno",
		[BRUNT_T_SIGNAL] = "signal",	  [BRUNT_T_PICK] = "count, share or \"all\"",
		[BRUNT_T_ENDPOINT] = "endpoint",  [BRUNT_T_OBJECT] = "object",
		[BRUNT_T_ANY] = "value",
	};
	struct out out = { buf, size, 0 };
	const char *example = brunt_param_example(param);

	_Static_assert(BRUNT_COUNT(nouns) == _BRUNT_T_MAX, "every type has a noun");
	if (size > 0)
		buf[0] = '\0';
	if (param->shape == BRUNT_LIST)
		put(&out, "list of: ");
	else if (param->shape == BRUNT_MAP)
		put(&out, "object of: ");
	else if (param->shape == BRUNT_PAIRS)
		put(&out, "object of strings");
	if (param->shape != BRUNT_PAIRS)
		put(&out, "%s", nouns[param->type] ? nouns[param->type] : "");
	if (param->type == BRUNT_T_ENUM)
		for (const struct brunt_value *v = param->values; v && v->name; v++)
			put(&out, "%s\"%s\"", v == param->values ? "" : ", ", v->name);
	else if (example)
		put(&out, ", such as %s", example);
	put_limits(&out, param);
	if (param->shape == BRUNT_RAMPED)
		put(&out, "; or a ramp { \"from\", \"to\", \"in\" }");
	return buf;
}
