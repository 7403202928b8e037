/* SPDX-License-Identifier: Apache-2.0 */
/* From text to a linked plan. What is refused, and how that is said, stands in tests/plans/bad. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan/plan.h"

#include "brunt/fault.h"
#include "brunt/json.h"
#include "brunt/units.h"

struct fixture {
	struct brunt_plan *plan;
	struct brunt_diags diags;
};

static int set_up(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	brunt_plan_free(fixture->plan);
	brunt_diags_done(&fixture->diags);
	free(fixture);
	return 0;
}

static int load(struct fixture *fixture, const char *text)
{
	return brunt_plan_load_text(text, strlen(text), "test.json", "/folder", NULL, &fixture->diags, &fixture->plan);
}

/* Loads what must be right; shows what is wrong when it is not. */
static struct brunt_plan *load_right(struct fixture *fixture, const char *text)
{
	int r = load(fixture, text);

	if (r != 0)
		brunt_diags_print(&fixture->diags, stderr);
	assert_int_equal(r, 0);
	assert_non_null(fixture->plan);
	return fixture->plan;
}

#define HEAD	"{ \"schema\": 1, \"name\": \"test\", "
#define TARGETS "\"targets\": { \"web\": { \"process\": { \"name\": \"web\" } } }, "
#define SLIS	"\"slis\": { \"site\": { \"tcp\": { \"connect\": \"[::1]:80\" }, \"every\": \"100ms\" } }, "
#define METHOD	"\"method\": [ { \"observe\": \"1s\" } ] }"
#define EXPECT	"{ \"expect\": { \"sli\": \"site\", \"max\": \"1s\" } }"
#define KILL(n) "{ \"name\": \"" n "\", \"fault\": \"process.kill\", \"on\": \"web\" }"
#define DROP(n) "{ \"name\": \"" n "\", \"fault\": \"packet.drop\", \"on\": \"web\", \"background\": true }"

static void what_is_left_out_has_its_default(void **state)
{
	struct brunt_plan *plan = load_right(*state, HEAD SLIS METHOD);
	const struct brunt_sli *sli = plan->slis.items;

	assert_int_equal(plan->lease, 500 * BRUNT_MS);
	assert_int_equal(plan->blast_radius.victims, 1);
	assert_true(plan->blast_radius.share == 1);
	assert_int_equal(plan->blast_radius.duration, 300 * BRUNT_S);
	assert_false(plan->has_seed);
	assert_int_equal(sli->timeout, BRUNT_S);
	assert_int_equal(sli->no_data, BRUNT_NO_DATA_BREACH);
	assert_int_equal(plan->services.count, 0);
	assert_null(plan->service_names[0]);
	assert_string_equal(plan->dir, "/folder");
}

static void a_run_without_a_judge_draws_a_warning(void **state)
{
	struct fixture *fixture = *state;

	load_right(fixture, HEAD SLIS METHOD);
	assert_int_equal(fixture->diags.warnings, 1);
	assert_string_equal(fixture->diags.items[0].pointer, "/method");
}

static void steps_are_numbered_with_those_under_parallel(void **state)
{
	struct brunt_plan *plan =
		load_right(*state, HEAD TARGETS SLIS "\"method\": [ { \"observe\": \"1s\" }, { \"parallel\": [ " KILL(
					   "a") ", { \"observe\": \"2s\" } ] }, " EXPECT " ] }");
	const struct brunt_step *top = plan->method.items;
	struct brunt_step *const *children = top[1].parallel.items;

	assert_int_equal(plan->method.count, 3);
	assert_int_equal(plan->step_count, 5);
	for (uint32_t i = 0; i < plan->step_count; i++)
		assert_int_equal(plan->steps[i]->index, i);
	assert_ptr_equal(plan->steps[0], &top[0]);
	assert_ptr_equal(plan->steps[1], &top[1]);
	assert_ptr_equal(plan->steps[4], &top[2]);
	assert_int_equal(top[1].parallel.count, 2);
	assert_ptr_equal(children[0], plan->steps[2]);
	assert_ptr_equal(children[0]->parent, &top[1]);
	assert_ptr_equal(children[1]->parent, &top[1]);
	assert_string_equal(plan->steps[0]->name, "step-1");
	assert_string_equal(plan->steps[3]->name, "step-4");
}

static void a_fault_finds_its_injector_its_parameters_and_its_target(void **state)
{
	struct brunt_plan *plan = load_right(*state, HEAD TARGETS "\"method\": [ " KILL("a") ", " DROP("b") " ] }");
	const struct brunt_step *kill = plan->steps[0];

	assert_ptr_equal(kill->fault.injector, brunt_injector_find("process.kill"));
	assert_non_null(kill->fault.params);
	assert_int_equal(kill->fault.step, 0);
	assert_string_equal(kill->fault.name, "a");
	assert_ptr_equal(kill->target, plan->targets.items);
	assert_int_equal(kill->hits_min, 1);
	assert_int_equal(kill->times, 1);
	assert_int_equal(plan->steps[1]->fault.step, 1);
	assert_true(plan->steps[1]->background);
	assert_false(plan->steps[1]->has_hold);
}

static void expect_judges_from_the_nearest_step_that_is_no_expect(void **state)
{
	struct brunt_plan *plan = load_right(*state, HEAD TARGETS SLIS "\"method\": [ " EXPECT
								       ", " KILL("a") ", " EXPECT ", " EXPECT " ] }");

	assert_null(plan->steps[0]->since_step);
	assert_ptr_equal(plan->steps[2]->since_step, plan->steps[1]);
	assert_ptr_equal(plan->steps[3]->since_step, plan->steps[1]);
}

static void expect_after_parallel_judges_from_its_end(void **state)
{
	struct brunt_plan *plan = load_right(*state, HEAD TARGETS SLIS
					     "\"method\": [ { \"parallel\": [ " KILL("a") " ] }, " EXPECT " ] }");

	assert_ptr_equal(plan->steps[2]->since_step, plan->steps[0]);
}

static void expect_under_parallel_judges_from_the_step_beside_it(void **state)
{
	struct brunt_plan *plan =
		load_right(*state, HEAD TARGETS SLIS "\"method\": [ { \"observe\": \"1s\" }, { \"parallel\": [ " EXPECT
						     ", " KILL("a") ", " EXPECT " ] } ] }");

	assert_ptr_equal(plan->steps[2]->since_step, plan->steps[0]);
	assert_ptr_equal(plan->steps[4]->since_step, plan->steps[3]);
}

static void revert_finds_the_background_fault(void **state)
{
	struct brunt_plan *plan =
		load_right(*state, HEAD TARGETS "\"method\": [ " DROP("a") ", { \"revert\": \"a\" } ] }");

	assert_ptr_equal(plan->steps[1]->revert_step, plan->steps[0]);
}

static void conditions_are_numbered_and_read_like_a_sentence(void **state)
{
	struct brunt_plan *plan = load_right(
		*state, HEAD TARGETS SLIS
		"\"start_if\": [ { \"target\": \"web\", \"alive\": 3 } ], "
		"\"steady_state\": [ { \"sli\": \"site\", \"of\": \"success\", \"over\": \"2s\", \"min\": \"80%\" } ], "
		"\"guardrails\": [ { \"sli\": \"site\", \"max\": \"500ms\", \"for\": \"3s\" } ], "
		"\"method\": [ " EXPECT " ] }");
	static const char *const texts[] = { "web alive ≥ 3", "site success over 2 s ≥ 80 %", "site ≤ 500 ms for 3 s",
					     "site ≤ 1 s" };
	static const enum brunt_condition_kind kinds[] = { BRUNT_CONDITION_START_IF, BRUNT_CONDITION_STEADY,
							   BRUNT_CONDITION_GUARDRAIL, BRUNT_CONDITION_EXPECT };

	assert_int_equal(plan->condition_count, 4);
	for (uint32_t i = 0; i < plan->condition_count; i++) {
		assert_int_equal(plan->conditions[i]->index, i);
		assert_int_equal(plan->conditions[i]->kind, kinds[i]);
		assert_string_equal(plan->conditions[i]->text, texts[i]);
	}
	assert_ptr_equal(plan->conditions[0]->resolved_target, plan->targets.items);
	assert_ptr_equal(plan->conditions[1]->resolved_sli, plan->slis.items);
	assert_int_equal(plan->conditions[1]->after_within, 30 * BRUNT_S);
	assert_int_equal(plan->conditions[2]->of, BRUNT_OF_LAST);
}

static void an_sli_without_values_is_judged_by_success(void **state)
{
	struct brunt_plan *plan =
		load_right(*state, HEAD "\"slis\": { \"c\": { \"command\": { \"run\": \"true\" } } }, "
					"\"steady_state\": [ { \"sli\": \"c\", \"min\": \"90%\" } ], " METHOD);

	assert_int_equal(plan->conditions[0]->of, BRUNT_OF_SUCCESS);
}

static void the_unit_of_an_sli_gives_dimension_and_factor(void **state)
{
	struct brunt_plan *plan = load_right(
		*state, HEAD "\"services\": { \"load\": { \"run\": \"x\" } }, \"slis\": { "
			     "\"a\": { \"lines\": { \"of\": \"load\", \"value\": \"([0-9]+)\", \"unit\": \"ms\" } }, "
			     "\"b\": { \"command\": { \"run\": \"x\", \"number\": true }, \"unit\": \"%\" }, "
			     "\"c\": { \"tcp\": { \"connect\": \"a:1\" } } }, " METHOD);
	const struct brunt_sli *slis = plan->slis.items;

	assert_int_equal(slis[0].dimension, BRUNT_DIM_TIME);
	assert_true(slis[0].factor == 1e6);
	assert_int_equal(slis[1].dimension, BRUNT_DIM_RATIO);
	assert_true(slis[1].factor == 0.01);
	assert_int_equal(slis[2].dimension, BRUNT_DIM_TIME);
	assert_true(slis[2].factor == 1);
}

static void services_find_those_before_them(void **state)
{
	struct brunt_plan *plan = load_right(
		*state,
		HEAD "\"services\": { \"app\": { \"run\": \"x\", \"after\": [\"db\", \"mq\"] }, "
		     "\"db\": { \"run\": [\"y\", \"z\"] }, \"mq\": { \"run\": \"x\", \"restart\": \"0s\" } }, " METHOD);
	const struct brunt_service *services = plan->services.items;

	assert_int_equal(services[0].after_index[0], 1);
	assert_int_equal(services[0].after_index[1], 2);
	assert_string_equal(plan->service_names[2], "mq");
	assert_null(plan->service_names[3]);
	assert_false(services[0].has_restart);
	assert_true(services[2].has_restart);
	assert_int_equal(services[1].run.count, 2);
}

static void the_longest_and_the_surest_time_are_told_apart(void **state)
{
	struct brunt_plan *plan = load_right(
		*state, HEAD TARGETS SLIS
		"\"method\": [ { \"observe\": \"10s\" }, "
		"{ \"fault\": \"process.kill\", \"on\": \"web\", \"every\": \"2s\", \"times\": 4 }, " EXPECT ", "
		"{ \"parallel\": [ { \"observe\": \"3s\" }, { \"observe\": \"5s\" } ] } ] }");
	struct brunt_plan_times times;

	brunt_plan_times(plan, &times);
	assert_int_equal(times.fixed_from_fault, 11 * BRUNT_S);
	assert_int_equal(times.most, 51 * BRUNT_S);
	assert_false(times.approval);
}

static void a_background_fault_is_waited_for_unless_reverted(void **state)
{
	struct brunt_plan *plan = load_right(
		*state, HEAD TARGETS
		"\"method\": [ { \"fault\": \"packet.drop\", \"on\": \"web\", \"background\": true, \"hold\": \"20s\" }, "
		"{ \"observe\": \"5s\" } ] }");
	struct brunt_plan_times times;

	brunt_plan_times(plan, &times);
	assert_int_equal(times.most, 20 * BRUNT_S);
}

static void a_method_longer_than_the_blast_radius_draws_a_warning(void **state)
{
	struct fixture *fixture = *state;

	load_right(fixture, HEAD TARGETS "\"blast_radius\": { \"duration\": \"5s\" }, \"method\": [ " KILL(
				    "a") ", { \"observe\": \"6s\" }, { \"run\": \"true\" } ] }");
	assert_int_equal(fixture->diags.warnings, 1);
	assert_string_equal(fixture->diags.items[0].pointer, "/blast_radius");
}

/* n of 100 ms samples: how many may be bad. */
static void a_bound_tolerates_what_it_says(void **state)
{
	struct brunt_plan *plan = load_right(
		*state, HEAD SLIS "\"steady_state\": [ "
				  "{ \"sli\": \"site\", \"of\": \"success\", \"over\": \"5s\", \"min\": \"99%\" }, "
				  "{ \"sli\": \"site\", \"of\": \"success\", \"over\": \"10s\", \"min\": \"99%\" }, "
				  "{ \"sli\": \"site\", \"of\": \"p90\", \"over\": \"10s\", \"max\": \"1s\" }, "
				  "{ \"sli\": \"site\", \"max\": \"1s\" } ], " METHOD);
	static const uint64_t samples[] = { 50, 100, 100, 1 };
	static const uint64_t tolerates[] = { 0, 1, 10, 0 };

	for (uint32_t i = 0; i < plan->condition_count; i++) {
		const struct brunt_condition *condition = plan->conditions[i];
		struct brunt_bound bound;

		brunt_plan_bound(condition, condition->has_min ? &condition->min : &condition->max, &bound);
		assert_int_equal(bound.samples, samples[i]);
		assert_int_equal(bound.tolerates, tolerates[i]);
		assert_true(bound.breaks);
		assert_int_equal(bound.reacts, (tolerates[i] + 1) * 100 * BRUNT_MS + BRUNT_S);
	}
}

static void nothing_is_returned_for_a_plan_that_is_wrong(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(load(fixture, HEAD "\"method\": [ { \"observe\": \"1\" } ] }"), -EINVAL);
	assert_null(fixture->plan);
	assert_int_equal(fixture->diags.errors, 1);
	assert_string_equal(fixture->diags.items[0].pointer, "/method/0/observe");
}

static void one_wrong_service_hides_no_other_error(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(
		load(fixture, HEAD
		     "\"services\": { \"a\": { \"rum\": \"x\" }, \"b\": { \"run\": \"x\", \"after\": [\"a\", \"c\"] } }, " METHOD),
		-EINVAL);
	/* a: 'run' is missing, 'rum' unknown; b: no 'c'. That b names the broken a is right. */
	assert_int_equal(fixture->diags.errors, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_left_out_has_its_default, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_run_without_a_judge_draws_a_warning, set_up, tear_down),
		cmocka_unit_test_setup_teardown(steps_are_numbered_with_those_under_parallel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_fault_finds_its_injector_its_parameters_and_its_target, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(expect_judges_from_the_nearest_step_that_is_no_expect, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(expect_after_parallel_judges_from_its_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(expect_under_parallel_judges_from_the_step_beside_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(revert_finds_the_background_fault, set_up, tear_down),
		cmocka_unit_test_setup_teardown(conditions_are_numbered_and_read_like_a_sentence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_sli_without_values_is_judged_by_success, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_unit_of_an_sli_gives_dimension_and_factor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(services_find_those_before_them, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_longest_and_the_surest_time_are_told_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_background_fault_is_waited_for_unless_reverted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_method_longer_than_the_blast_radius_draws_a_warning, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_bound_tolerates_what_it_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_returned_for_a_plan_that_is_wrong, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_wrong_service_hides_no_other_error, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
