/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions: the same bound stands at five places, each with keys of its own,
 * so that `during` in a guardrail is an unknown key and no silent nothing.
 */
#include "plan/tables.h"

#include "brunt/error.h"
#include "brunt/plan.h"

#include <errno.h>

#define DAY_NS 86400e9

/* The rows of a bound on an SLI. */
#define SLI_ROWS(needed)                                                                                               \
	BRUNT_PLACE(struct brunt_condition, place),                                                                    \
		BRUNT_NAME(struct brunt_condition, sli, .required = (needed), .example = "\"site\"",                   \
			   .help = "the SLI that is judged"),                                                          \
		BRUNT_ENUM(struct brunt_condition, of, .set = offsetof(struct brunt_condition, has_of),                \
			   .values = brunt_of_values, .example = "\"success\"",                                        \
			   .help = "what is judged of its samples; `last`, or `success` when it has no values"),       \
		BRUNT_DURATION(struct brunt_condition, over, .max = DAY_NS, .example = "\"10s\"",                      \
			       .help = "window of time that is judged; the newest sample alone when left out"),        \
		BRUNT_QUANTITY(struct brunt_condition, min, .set = offsetof(struct brunt_condition, has_min),          \
			       .example = "\"99%\"", .help = "holds when at least this"),                              \
		BRUNT_QUANTITY(struct brunt_condition, max, .set = offsetof(struct brunt_condition, has_max),          \
			       .example = "\"500ms\"", .help = "holds when at most this")

/* The rows of a bound on how many of a target are alive. */
#define TARGET_ROWS                                                                                                    \
	BRUNT_NAME(struct brunt_condition, target, .example = "\"workers\"",                                           \
		   .help = "instead of an SLI: the target that is counted"),                                           \
		BRUNT_UINT(struct brunt_condition, alive, .set = offsetof(struct brunt_condition, has_alive),          \
			   .example = "3", .help = "holds when at least so many of the target are alive")

#define FOR_ROW(text)                                                                                                  \
	{                                                                                                              \
		.key = "for", .type = BRUNT_T_DURATION,                                                                \
		.offset = BRUNT_FIELD(struct brunt_condition, lasting, uint64_t), .max = DAY_NS, .example = "\"3s\"",  \
		.help = (text)                                                                                         \
	}

static int validate_sli_bound(const struct brunt_condition *condition, struct brunt_error *err)
{
	if (!condition->has_min && !condition->has_max)
		return brunt_fail(err, EINVAL, "needs a bound: 'min' or 'max'");
	return 0;
}

static int validate_sli_only(const void *object, struct brunt_error *err)
{
	return validate_sli_bound(object, err);
}

static int validate_either(const void *object, struct brunt_error *err)
{
	const struct brunt_condition *condition = object;

	if (!condition->sli == !condition->target)
		return brunt_fail(err, EINVAL, "needs exactly one of 'sli', 'target'");
	if (condition->sli && condition->has_alive)
		return brunt_fail(err, EINVAL, "'alive' goes with 'target', not with 'sli'");
	if (condition->sli)
		return validate_sli_bound(condition, err);
	if (condition->has_of || condition->over > 0 || condition->has_min || condition->has_max)
		return brunt_fail(err, EINVAL,
				  "'of', 'over', 'min' and 'max' go with 'sli'; with 'target' write 'alive'");
	if (!condition->has_alive)
		return brunt_fail(err, EINVAL, "needs 'alive': how many of the target, at least");
	return 0;
}

static int validate_steady(const void *object, struct brunt_error *err)
{
	const struct brunt_condition *condition = object;

	if (condition->has_during && condition->has_min && condition->has_max)
		return brunt_fail(err, EINVAL,
				  "'during' replaces one bound: write two conditions, one with 'min', one with 'max'");
	return validate_sli_only(object, err);
}

static const struct brunt_param start_if_params[] = { SLI_ROWS(false), TARGET_ROWS, { 0 } };

const struct brunt_table brunt_start_if_table = {
	.name = "start_if",
	.help = "a condition without which the run does not start (verdict `refused`)",
	.params = start_if_params,
	.size = sizeof(struct brunt_condition),
	.validate = validate_either,
};

static const struct brunt_param steady_params[] = {
	SLI_ROWS(true),
	BRUNT_QUANTITY(
		struct brunt_condition, during, .set = offsetof(struct brunt_condition, has_during),
		.example = "\"95%\"",
		.help = "replaces the bound while faults are held; without it, the bound itself must hold then, too"),
	BRUNT_DURATION(struct brunt_condition, after_within, .def = "30s", .max = DAY_NS,
		       .help = "recovery time objective: holds again that long after the undo"),
	{ 0 },
};

const struct brunt_table brunt_steady_state_table = {
	.name = "steady_state",
	.help = "the hypothesis: it holds before (else the verdict is `unsteady`), while faults are held, and again "
		"after the undo",
	.params = steady_params,
	.size = sizeof(struct brunt_condition),
	.validate = validate_steady,
};

static const struct brunt_param guardrail_params[] = {
	SLI_ROWS(true),
	FOR_ROW("aborts only when broken this long"),
	{ 0 },
};

const struct brunt_table brunt_guardrail_table = {
	.name = "guardrail",
	.help = "a condition that, once broken, aborts the run: everything is reverted at once (verdict `aborted`)",
	.params = guardrail_params,
	.size = sizeof(struct brunt_condition),
	.validate = validate_sli_only,
};

static const struct brunt_param until_params[] = {
	SLI_ROWS(false),
	TARGET_ROWS,
	FOR_ROW("only when it held this long"),
	{ 0 },
};

const struct brunt_table brunt_until_table = {
	.name = "until",
	.help = "what a `wait` or `expect` step waits for",
	.params = until_params,
	.size = sizeof(struct brunt_condition),
	.validate = validate_either,
};
