/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole plan loader from text: includes, variables, tables, links. What
 * loads is explained and timed, too. Files named by the text are looked for in a
 * folder that does not exist.
 */
#include "plan/plan.h"

#include "brunt/json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The parser's result must hold together. */
static void check_plan(struct brunt_plan *plan)
{
	struct brunt_plan_times times;
	char *text = NULL;
	size_t size = 0;
	FILE *out;

	for (uint32_t i = 0; i < plan->step_count; i++)
		if (plan->steps[i]->index != i || !plan->steps[i]->name)
			abort();
	for (uint32_t i = 0; i < plan->condition_count; i++)
		if (plan->conditions[i]->index != i || !plan->conditions[i]->text)
			abort();
	brunt_plan_times(plan, &times);
	out = open_memstream(&text, &size);
	if (out) {
		brunt_plan_explain(plan, out);
		(void)fclose(out);
		brunt_plan_redact(plan, text);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const vars[] = { "a=1", "b=200ms", NULL };
	const struct brunt_plan_options options = { .vars = size % 2 ? vars : NULL };
	struct brunt_diags diags = { 0 };
	struct brunt_plan *plan = NULL;
	int r = brunt_plan_load_text((const char *)data, size, "/nonexistent/fuzz.json", "/nonexistent", &options,
				     &diags, &plan);

	/* Either there is a plan, or it was said what is wrong. */
	if ((r == 0) != (plan != NULL) || (r != 0 && diags.errors == 0) || (r == 0 && diags.errors > 0))
		abort();
	if (plan)
		check_plan(plan);
	brunt_plan_free(plan);
	brunt_diags_done(&diags);
	return 0;
}
