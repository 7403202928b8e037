/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that move while their fault is held: reading them, and what they are at a moment. */
#include "base/param.h"

#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#include <errno.h>

/* A change is put in force about every 100 ms; a shorter ramp would be a jump. */
#define RAMP_MIN_NS ((double)(100 * BRUNT_MS))

/* One end of a ramp as brunt_param_read() leaves it. */
union end {
	uint64_t whole;
	double real;
};

struct ends {
	union end from, to;
	uint64_t in;
};

static double end_value(const struct brunt_param *param, const union end *end)
{
	return param->type == BRUNT_T_RATIO || param->type == BRUNT_T_NUMBER ? end->real : (double)end->whole;
}

static int read_object(const struct brunt_param *param, const struct brunt_scope *scope, json_t *value,
		       const char *pointer, struct brunt_ramp *to)
{
	const struct brunt_param rows[] = {
		{ .key = "from",
		  .type = param->type,
		  .offset = offsetof(struct ends, from),
		  .required = true,
		  .min = param->min,
		  .max = param->max,
		  .example = param->example },
		{ .key = "to",
		  .type = param->type,
		  .offset = offsetof(struct ends, to),
		  .required = true,
		  .min = param->min,
		  .max = param->max,
		  .example = param->example },
		{ .key = "in",
		  .type = BRUNT_T_DURATION,
		  .offset = offsetof(struct ends, in),
		  .required = true,
		  .min = RAMP_MIN_NS,
		  .example = "\"60s\"" },
		{ 0 },
	};
	const struct brunt_table table = { .name = "ramp", .params = rows, .size = sizeof(struct ends) };
	struct ends ends = { 0 };
	const struct brunt_part part = { &table, &ends };
	int r;

	r = brunt_param_decode(scope, value, pointer, &part, 1);
	if (r < 0)
		return r;
	*to = (struct brunt_ramp){ .from = end_value(param, &ends.from),
				   .to = end_value(param, &ends.to),
				   .in_ns = ends.in };
	return 0;
}

int brunt_param_read_ramp(const struct brunt_param *param, const struct brunt_scope *scope, json_t *value,
			  const char *pointer, struct brunt_ramp *to)
{
	struct brunt_error err = { 0 };
	union end end = { 0 };
	int r;

	if (json_is_object(value))
		return read_object(param, scope, value, pointer, to);
	r = brunt_param_read(param, scope, value, &end, &err);
	if (r < 0)
		return brunt_param_tell(scope, pointer, r, &err);
	*to = (struct brunt_ramp){ .from = end_value(param, &end), .to = end_value(param, &end) };
	return 0;
}

json_t *brunt_param_ramp_schema(json_t *value)
{
	static const struct brunt_param in = {
		.key = "in", .type = BRUNT_T_DURATION, .min = RAMP_MIN_NS, .help = "how long it takes"
	};

	return json_pack("{s:s, s:s, s:{s:O, s:O, s:o}, s:[s, s, s], s:{s:b}, s:b}", "type", "object", "description",
			 "a ramp: moves in a straight line while the fault is held", "properties", "from", value, "to",
			 value, "in", brunt_param_schema_value(&in, NULL), "required", "from", "to", "in",
			 "patternProperties", "^//", 1, "additionalProperties", 0);
}

double brunt_ramp_at(const struct brunt_ramp *ramp, uint64_t elapsed_ns)
{
	if (elapsed_ns >= ramp->in_ns)
		return ramp->to;
	return ramp->from + (ramp->to - ramp->from) * ((double)elapsed_ns / (double)ramp->in_ns);
}

bool brunt_ramp_moves(const struct brunt_ramp *ramp)
{
	return ramp->in_ns > 0 && ramp->from != ramp->to;
}

bool brunt_param_moves(const struct brunt_table *table, const void *object, uint64_t *ret_in_ns)
{
	uint64_t last = 0;

	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END; param++) {
		const void *value = (const char *)object + param->offset;
		const struct brunt_ramp *ramp = value;
		uint64_t in_ns = 0;

		if (param->shape == BRUNT_RAMPED && brunt_ramp_moves(ramp))
			in_ns = ramp->in_ns;
		else if (param->type == BRUNT_T_OBJECT && param->shape == BRUNT_ONE && *(void *const *)value)
			(void)brunt_param_moves(param->table, *(void *const *)value, &in_ns);
		last = in_ns > last ? in_ns : last;
	}
	if (ret_in_ns)
		*ret_in_ns = last;
	return last > 0;
}
