/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"

#include "brunt/units.h"

#include <stdio.h>

static const char *const kind_words[] = {
	[BRUNT_CONDITION_START_IF] = "start if",   [BRUNT_CONDITION_STEADY] = "steady state",
	[BRUNT_CONDITION_GUARDRAIL] = "guardrail", [BRUNT_CONDITION_WAIT] = "wait",
	[BRUNT_CONDITION_EXPECT] = "expect",
};

/* "20 samples, 4 may be bad" */
static void print_tolerance(const struct brunt_condition *condition, const struct brunt_bound *bound, FILE *out)
{
	const char *what = condition->of == BRUNT_OF_SUCCESS ? "bad" : "beyond it";

	if (!bound->fixed) {
		(void)fprintf(out, "as many samples as lines come");
		return;
	}
	(void)fprintf(out, "%llu sample%s", (unsigned long long)bound->samples, bound->samples == 1 ? "" : "s");
	if (!bound->has_tolerates)
		return;
	if (bound->tolerates >= bound->samples)
		(void)fprintf(out, ", all may be %s: it cannot be broken", what);
	else if (bound->tolerates == 0)
		(void)fprintf(out, ", none may be %s", what);
	else
		(void)fprintf(out, ", %llu may be %s", (unsigned long long)bound->tolerates, what);
}

/* One bad sample breaks a bound that reads as if it allowed some. */
static bool is_brittle(const struct brunt_condition *condition, const struct brunt_quantity *quantity,
		       const struct brunt_bound *bound)
{
	return bound->fixed && bound->has_tolerates && bound->tolerates == 0 && condition->over > 0 &&
	       condition->of == BRUNT_OF_SUCCESS && quantity->value < 1;
}

static void explain_bound(const struct brunt_condition *condition, const struct brunt_quantity *quantity,
			  const char *prefix, FILE *out)
{
	struct brunt_bound bound;
	char text[32];

	brunt_plan_bound(condition, quantity, &bound);
	(void)fprintf(out, "      %s", prefix);
	print_tolerance(condition, &bound, out);
	if (bound.breaks && (condition->kind == BRUNT_CONDITION_GUARDRAIL || condition->kind == BRUNT_CONDITION_STEADY))
		(void)fprintf(out, "; reacts within %s", brunt_duration_print(bound.reacts, text, sizeof(text)));
	(void)fprintf(out, "\n");
	if (is_brittle(condition, quantity, &bound))
		(void)fprintf(out, "      warning: %s of %llu samples tolerates no bad one\n",
			      brunt_quantity_print(quantity->value, BRUNT_DIM_RATIO, text, sizeof(text)),
			      (unsigned long long)bound.samples);
}

void brunt_plan_explain(const struct brunt_plan *plan, FILE *out)
{
	for (uint32_t i = 0; i < plan->condition_count; i++) {
		const struct brunt_condition *condition = plan->conditions[i];

		(void)fprintf(out, "  %-12s  %s\n", kind_words[condition->kind], condition->text);
		if (!condition->resolved_sli)
			continue;
		explain_bound(condition, condition->has_min ? &condition->min : &condition->max, "", out);
		if (condition->has_during) {
			char value[32], prefix[64];

			(void)snprintf(prefix, sizeof(prefix),
				       "while faults are held, %s %s: ", condition->has_min ? "≥" : "≤",
				       brunt_quantity_print(condition->during.value, condition->during.dimension, value,
							    sizeof(value)));
			explain_bound(condition, &condition->during, prefix, out);
		}
	}
}
