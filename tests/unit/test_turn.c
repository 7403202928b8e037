/* SPDX-License-Identifier: Apache-2.0 */
/* Ramps and pulses of held faults, with a clock that the test moves. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "brunt/units.h"
#include "hold/held.h"

/* ---- a scripted injector ---- */

static struct {
	bool attached, in_effect, stubborn, detached;
	int arm_fails, change_fails;
	unsigned arms, disarms, renewals, changes, hurries;
	unsigned hurries_at_disarm; /* when it was disarmed first */
	uint64_t expires, elapsed;  /* newest */
	double value;
} script;

struct params {
	struct brunt_ramp share;
};

static int fake_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret,
		     struct brunt_error *err)
{
	(void)context;
	(void)err;
	*ret = fault->params;
	return 0;
}

static int fake_attach(void *state, struct brunt_error *err)
{
	(void)state;
	(void)err;
	assert_false(script.attached);
	script.attached = true;
	return 0;
}

static int fake_arm(void *state, uint64_t expires, struct brunt_error *err)
{
	(void)state;
	assert_true(script.attached && !script.in_effect);
	script.arms++;
	if (script.arm_fails)
		return brunt_fail(err, -script.arm_fails, "scripted arm");
	script.in_effect = true;
	script.expires = expires;
	return 0;
}

static void fake_renew(void *state, uint64_t expires)
{
	(void)state;
	assert_true(script.attached);
	script.renewals++;
	script.expires = expires;
}

static int fake_change(void *state, uint64_t elapsed_ns, struct brunt_error *err)
{
	const struct params *params = state;

	script.changes++;
	script.elapsed = elapsed_ns;
	if (script.change_fails)
		return brunt_fail(err, -script.change_fails, "scripted change");
	script.value = brunt_ramp_at(&params->share, elapsed_ns);
	return 0;
}

static void fake_hurry(void *state)
{
	(void)state;
	script.hurries++;
}

static int fake_poll(void *state, struct brunt_hits *ret)
{
	(void)state;
	ret->hit = script.arms;
	ret->detached = script.detached;
	return 0;
}

static void fake_disarm(void *state)
{
	(void)state;
	if (!script.disarms++)
		script.hurries_at_disarm = script.hurries;
	if (!script.stubborn)
		script.in_effect = false;
}

static int fake_verify(void *state, struct brunt_error *err)
{
	(void)state;
	return script.in_effect ? brunt_fail(err, EBUSY, "still in effect") : 0;
}

static void fake_detach(void *state)
{
	(void)state;
	script.attached = false;
}

/* What it carries is on its way until somebody is in a hurry. */
static int fake_settled(void *state, struct brunt_error *err)
{
	(void)state;
	(void)err;
	return script.hurries ? 0 : -EAGAIN;
}

static const struct brunt_param params_rows[] = { BRUNT_RAMP(struct params, share, BRUNT_T_RATIO), { 0 } };
static const struct brunt_table table = { .name = "fake", .params = params_rows, .size = sizeof(struct params) };

static const struct brunt_injector fake = {
	.name = "test.fake",
	.undo = BRUNT_UNDO_KERNEL,
	.table = &table,
	.load = fake_load,
	.attach = fake_attach,
	.arm = fake_arm,
	.renew = fake_renew,
	.change = fake_change,
	.poll = fake_poll,
	.hurry = fake_hurry,
	.disarm = fake_disarm,
	.verify = fake_verify,
	.detach = fake_detach,
};

/* ---- a target that may be another one the next time ---- */

static pid_t found_pid;

int __wrap_brunt_target_resolve(const struct brunt_target *target, unsigned wants,
				const struct brunt_resolve_context *context, const struct brunt_victims *previous,
				struct brunt_victims **ret, struct brunt_error *err);
int __wrap_brunt_target_resolve(const struct brunt_target *target, unsigned wants,
				const struct brunt_resolve_context *context, const struct brunt_victims *previous,
				struct brunt_victims **ret, struct brunt_error *err)
{
	struct brunt_victims *victims = calloc(1, sizeof(*victims));

	(void)wants;
	(void)context;
	(void)previous;
	(void)err;
	assert_non_null(victims);
	victims->matched = victims->picked = 1;
	victims->share = 1;
	victims->items = calloc(1, sizeof(*victims->items));
	assert_non_null(victims->items);
	victims->items[0] = (struct brunt_item){ .kind = target->kind, .picked = true };
	victims->items[0].process = (struct brunt_process){ .pid = found_pid, .start = 1, .pidfd = -1 };
	*ret = victims;
	return 0;
}

void __wrap_brunt_victims_free(struct brunt_victims *victims);
void __wrap_brunt_victims_free(struct brunt_victims *victims)
{
	if (victims)
		free(victims->items);
	free(victims);
}

/* ---- one step, held ---- */

#define ON	(500 * BRUNT_MS)
#define OFF	(1500 * BRUNT_MS)
#define PERIOD	(ON + OFF)
#define EXPIRES 77 /* of the lease; any number does */

static const struct brunt_pulse pulse = { .on = ON, .off = OFF };
static struct brunt_target target;
static struct params params;
static struct brunt_step step;
static struct brunt_step *steps[] = { &step };
static struct brunt_plan plan;
static struct brunt_resolve_context resolve_context;
static const struct brunt_fault_context fault_context = { .run = "0000abcd" };
static struct brunt_held *held;
static struct brunt_report reports[256];
static size_t report_count;
static uint64_t began;

static void take_report(void *user, const struct brunt_report *report)
{
	(void)user;
	assert_true(report_count < BRUNT_COUNT(reports));
	reports[report_count++] = *report;
}

static const struct brunt_report *last_report(enum brunt_report_kind kind)
{
	for (size_t i = report_count; i-- > 0;)
		if (reports[i].kind == (uint32_t)kind)
			return &reports[i];
	return NULL;
}

static int set_up(void **state)
{
	(void)state;
	memset(&script, 0, sizeof(script));
	memset(&plan, 0, sizeof(plan));
	memset(&resolve_context, 0, sizeof(resolve_context));
	report_count = 0;
	found_pid = 1000;
	target = (struct brunt_target){ .name = "it", .kind = BRUNT_TARGET_PROCESS };
	params.share = (struct brunt_ramp){ .from = 1, .to = 1 };
	step = (struct brunt_step){ .name = "it", .kind = BRUNT_STEP_FAULT };
	step.fault = (struct brunt_fault){ .injector = &fake, .params = &params, .name = "it" };
	plan.steps = steps;
	plan.step_count = 1;
	plan.targets = (struct brunt_list){ &target, 1 };
	plan.blast_radius = (struct brunt_blast_radius){ .victims = 100, .share = 1 };
	return brunt_held_new(&plan, &fault_context, &resolve_context, NULL, take_report, NULL, &held, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	(void)brunt_held_revert_all(held, NULL);
	brunt_held_free(held);
	return script.attached || (script.in_effect && !script.stubborn);
}

static void apply(void)
{
	struct brunt_error err = { 0 };

	if (brunt_held_apply(held, 0, EXPIRES, &err))
		fail_msg("%s", err.msg);
	began = last_report(BRUNT_REPORT_APPLIED)->at;
}

/* So long after the beginning; when it wants to be called next, after the beginning, too. */
static uint64_t turn(uint64_t after)
{
	uint64_t next = brunt_held_turn(held, began + after);

	return next ? next - began : 0;
}

static void pulse_it(void)
{
	step.pulse = (struct brunt_pulse *)&pulse;
}

/* ---- pulses ---- */

static void a_pulse_is_on_first_and_then_in_turns(void **state)
{
	(void)state;
	assert_true(brunt_pulse_is_on(&pulse, 0) && brunt_pulse_is_on(&pulse, ON - 1));
	assert_false(brunt_pulse_is_on(&pulse, ON) || brunt_pulse_is_on(&pulse, PERIOD - 1));
	assert_true(brunt_pulse_is_on(&pulse, PERIOD) && brunt_pulse_is_on(NULL, 12345));
	assert_int_equal(brunt_pulse_next(&pulse, 0), ON);
	assert_int_equal(brunt_pulse_next(&pulse, ON), PERIOD);
	assert_int_equal(brunt_pulse_next(&pulse, PERIOD - 1), PERIOD);
	assert_int_equal(brunt_pulse_next(&pulse, PERIOD), PERIOD + ON);
	assert_true(brunt_pulse_next(NULL, 0) == UINT64_MAX);
}

static void what_does_not_move_wants_no_turn(void **state)
{
	(void)state;
	apply();
	assert_int_equal(turn(0), 0);
	assert_int_equal(turn(3600 * BRUNT_S), 0);
	assert_int_equal(script.changes, 0);
	assert_int_equal(script.arms, 1);
}

static void a_pulse_disarms_and_arms_and_stays_attached(void **state)
{
	(void)state;
	pulse_it();
	apply();
	for (uint64_t round = 0; round < 5; round++) {
		assert_int_equal(turn(round * PERIOD), round * PERIOD + ON);
		assert_true(script.in_effect);
		assert_int_equal(turn(round * PERIOD + ON), (round + 1) * PERIOD);
		assert_false(script.in_effect);
		assert_true(script.attached);
		assert_int_equal(brunt_held_count(held), 1);
		assert_int_equal(last_report(BRUNT_REPORT_PULSE)->flags, 0);
		/* the lease goes on, for what it made at attach, and brings nothing into effect */
		brunt_held_renew(held, EXPIRES + round + 1);
		assert_int_equal(script.renewals, round + 1);
		assert_int_equal(script.arms, round + 1);
		script.expires = 0;
		assert_int_equal(turn((round + 1) * PERIOD), (round + 1) * PERIOD + ON);
		assert_int_equal(last_report(BRUNT_REPORT_PULSE)->flags, BRUNT_REPORT_ON);
		assert_int_equal(script.expires, EXPIRES + round + 1);
	}
	assert_int_equal(script.arms, 6);
	assert_null(last_report(BRUNT_REPORT_LOST));
	assert_null(last_report(BRUNT_REPORT_REVERTED));
	assert_int_equal(brunt_held_revert(held, 0, NULL), 0);
	assert_int_equal(last_report(BRUNT_REPORT_REVERTED)->hits.hit, 6);
}

static void a_late_turn_catches_up_and_shifts_nothing(void **state)
{
	(void)state;
	pulse_it();
	apply();
	/* two whole periods and an off phase were missed: it is on, all the same */
	assert_int_equal(turn(2 * PERIOD + 1), 2 * PERIOD + ON);
	assert_int_equal(script.disarms, 0);
	assert_int_equal(turn(3 * PERIOD - 1), 3 * PERIOD);
	assert_false(script.in_effect);
	assert_int_equal(turn(4 * PERIOD + ON - 1), 4 * PERIOD + ON);
	assert_true(script.in_effect);
}

static void no_pulse_begins_when_the_hold_is_over(void **state)
{
	(void)state;
	pulse_it();
	step.has_hold = true;
	step.hold = 2 * PERIOD;
	apply();
	(void)turn(ON);
	(void)turn(PERIOD);
	(void)turn(PERIOD + ON);
	(void)turn(2 * PERIOD);
	(void)turn(2 * PERIOD + 1);
	assert_int_equal(script.arms, 2);
	assert_false(script.in_effect);
}

static void a_revert_between_two_pulses_is_clean(void **state)
{
	(void)state;
	pulse_it();
	apply();
	(void)turn(ON);
	assert_int_equal(brunt_held_revert(held, 0, NULL), 0);
	assert_false(script.attached);
	assert_int_equal(last_report(BRUNT_REPORT_REVERTED)->code, 0);
	assert_int_equal(brunt_held_count(held), 0);
	/* and does not come back */
	assert_int_equal(turn(PERIOD), 0);
	assert_int_equal(script.arms, 1);
	/* a new apply has its own time */
	apply();
	assert_int_equal(turn(0), ON);
	assert_true(script.in_effect);
}

static void a_pulse_that_cannot_begin_is_lost_and_undone(void **state)
{
	(void)state;
	pulse_it();
	apply();
	(void)turn(ON);
	script.arm_fails = -EIO;
	assert_int_equal(turn(PERIOD), 0);
	assert_string_equal(last_report(BRUNT_REPORT_LOST)->text, "scripted arm");
	assert_int_equal(last_report(BRUNT_REPORT_REVERTED)->code, 0);
	assert_false(script.attached);
	assert_int_equal(brunt_held_count(held), 0);
}

static void a_pulse_that_cannot_end_is_lost_and_residue(void **state)
{
	(void)state;
	pulse_it();
	apply();
	script.stubborn = true;
	assert_int_equal(turn(ON), 0);
	assert_non_null(strstr(last_report(BRUNT_REPORT_LOST)->text, "still in effect"));
	assert_int_equal(last_report(BRUNT_REPORT_REVERTED)->code, -EBUSY);
	assert_null(last_report(BRUNT_REPORT_PULSE));
	assert_int_equal(brunt_held_count(held), 1);
	script.stubborn = false;
	assert_int_equal(brunt_held_revert_all(held, NULL), 0);
}

static void a_link_that_is_lost_between_two_pulses_is_told(void **state)
{
	(void)state;
	pulse_it();
	apply();
	(void)turn(ON);
	script.detached = true;
	brunt_held_poll(held);
	assert_non_null(last_report(BRUNT_REPORT_LOST));
}

static void a_target_followed_between_two_pulses_is_hit_with_the_next(void **state)
{
	(void)state;
	step.target = &target;
	target.resolve = BRUNT_RESOLVE_FOLLOW;
	brunt_held_free(held);
	assert_int_equal(brunt_held_new(&plan, &fault_context, &resolve_context, NULL, take_report, NULL, &held, NULL),
			 0);
	pulse_it();
	apply();
	(void)turn(ON);
	found_pid = 2000; /* none of them is a real process: they look as if they had ended */
	brunt_held_poll(held);
	assert_int_equal(script.arms, 1);
	assert_true(script.attached);
	/* after the pulse, for the move, and after it: children that wait for an arm must not wait for long */
	assert_int_equal(script.disarms, 3);
	assert_int_equal(brunt_held_count(held), 1);
	assert_int_equal(turn(PERIOD), PERIOD + ON);
	assert_int_equal(script.arms, 2);
	assert_null(last_report(BRUNT_REPORT_LOST));
}

/* ---- ramps ---- */

static void a_ramp_moves_until_it_has_arrived(void **state)
{
	uint64_t at = 0, next;
	unsigned changes;

	(void)state;
	params.share = (struct brunt_ramp){ .from = 0, .to = 1, .in_ns = 1050 * BRUNT_MS };
	apply();
	/* put in force before the first arm */
	assert_int_equal(script.changes, 1);
	assert_int_equal(script.elapsed, 0);
	assert_true(script.value == 0);
	while ((next = turn(at))) {
		assert_true(next > at && next <= at + 110 * BRUNT_MS);
		at = next;
	}
	assert_true(at == 1050 * BRUNT_MS);
	assert_true(script.value == 1);
	changes = script.changes;
	assert_in_range(changes, 11, 12);
	(void)turn(5 * BRUNT_S);
	assert_int_equal(script.changes, changes);
	assert_true(script.in_effect);
	assert_int_equal(script.arms, 1);
}

static void a_ramp_is_not_put_in_force_more_often_than_it_need_be(void **state)
{
	(void)state;
	params.share = (struct brunt_ramp){ .from = 0, .to = 1, .in_ns = 10 * BRUNT_S };
	apply();
	(void)turn(BRUNT_S);
	assert_int_equal(script.changes, 2);
	assert_true(script.value > 0.0999 && script.value < 0.1001);
	/* a verb came, and another one */
	assert_int_equal(turn(BRUNT_S + 10 * BRUNT_MS), BRUNT_S + 100 * BRUNT_MS);
	assert_int_equal(turn(BRUNT_S + 99 * BRUNT_MS), BRUNT_S + 100 * BRUNT_MS);
	assert_int_equal(script.changes, 2);
}

static void a_ramp_that_cannot_move_is_lost_and_undone(void **state)
{
	(void)state;
	params.share = (struct brunt_ramp){ .from = 0, .to = 1, .in_ns = 10 * BRUNT_S };
	apply();
	script.change_fails = -EIO;
	assert_int_equal(turn(BRUNT_S), 0);
	assert_string_equal(last_report(BRUNT_REPORT_LOST)->text, "scripted change");
	assert_int_equal(last_report(BRUNT_REPORT_REVERTED)->code, 0);
	assert_false(script.attached || script.in_effect);
	/* an apply whose ramp cannot begin is undone, too */
	assert_int_equal(brunt_held_apply(held, 0, EXPIRES, NULL), -EIO);
	assert_false(script.attached || script.in_effect);
}

static void a_ramp_goes_on_in_time_while_a_pulse_is_off(void **state)
{
	(void)state;
	params.share = (struct brunt_ramp){ .from = 0, .to = 1, .in_ns = 3 * BRUNT_S };
	pulse_it();
	apply();
	assert_in_range(turn(0), 99 * BRUNT_MS, 100 * BRUNT_MS);
	/* nothing to change while it is off: only the next pulse is waited for */
	assert_int_equal(turn(ON), PERIOD);
	assert_int_equal(script.changes, 1);
	(void)turn(PERIOD);
	assert_int_equal(script.changes, 2);
	assert_true(script.elapsed == PERIOD);
	assert_true(script.value > 0.66 && script.value < 0.67);
	(void)turn(2 * PERIOD - 1);
	assert_int_equal(turn(2 * PERIOD), 2 * PERIOD + ON);
	assert_true(script.value == 1);
}

/* ---- on_abort ---- */

static void an_abort_hurries_before_it_disarms(void **state)
{
	(void)state;
	apply();
	brunt_held_hurry(held);
	assert_int_equal(brunt_held_revert_all(held, NULL), 0);
	assert_int_equal(script.hurries, 1);
	assert_int_equal(script.hurries_at_disarm, 1);
}

static void get_impatient(void *user)
{
	(void)user;
	brunt_held_hurry(held);
}

static void an_abort_hurries_what_has_not_settled_yet(void **state)
{
	struct brunt_injector slow = fake;

	(void)state;
	slow.settled = fake_settled;
	step.fault.injector = &slow;
	brunt_held_free(held);
	assert_int_equal(brunt_held_new(&plan, &fault_context, &resolve_context, NULL, take_report, NULL, &held, NULL),
			 0);
	apply();
	assert_int_equal(brunt_held_revert(held, 0, NULL), 0);
	assert_int_equal(script.hurries, 0);
	brunt_held_hurry(held);
	assert_int_equal(script.hurries, 1);
	assert_int_equal(held_settle(held, 0), 0);

	/* while it is waited for */
	script.hurries = 0;
	held->hurried = false;
	apply();
	assert_int_equal(brunt_held_revert(held, 0, NULL), 0);
	assert_int_equal(held_settle(held, 0), -EBUSY);
	apply();
	assert_int_equal(brunt_held_revert(held, 0, NULL), 0);
	held->on_wait = get_impatient;
	assert_int_equal(held_settle(held, brunt_now() + 60 * BRUNT_S), 0);
	assert_int_equal(script.hurries, 1);
	/* the injector goes with this function */
	brunt_held_free(held);
	step.fault.injector = &fake;
	assert_int_equal(brunt_held_new(&plan, &fault_context, &resolve_context, NULL, take_report, NULL, &held, NULL),
			 0);
}

static void the_normal_end_and_a_plan_that_drains_do_not_hurry(void **state)
{
	(void)state;
	apply();
	assert_int_equal(brunt_held_revert_all(held, NULL), 0);
	apply();
	assert_int_equal(brunt_held_revert(held, 0, NULL), 0);
	apply();
	plan.on_abort = BRUNT_ON_ABORT_DRAIN;
	brunt_held_hurry(held);
	assert_int_equal(brunt_held_revert_all(held, NULL), 0);
	assert_int_equal(script.hurries, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_pulse_is_on_first_and_then_in_turns),
		TEST(what_does_not_move_wants_no_turn),
		TEST(a_pulse_disarms_and_arms_and_stays_attached),
		TEST(a_late_turn_catches_up_and_shifts_nothing),
		TEST(no_pulse_begins_when_the_hold_is_over),
		TEST(a_revert_between_two_pulses_is_clean),
		TEST(a_pulse_that_cannot_begin_is_lost_and_undone),
		TEST(a_pulse_that_cannot_end_is_lost_and_residue),
		TEST(a_link_that_is_lost_between_two_pulses_is_told),
		TEST(a_target_followed_between_two_pulses_is_hit_with_the_next),
		TEST(a_ramp_moves_until_it_has_arrived),
		TEST(a_ramp_is_not_put_in_force_more_often_than_it_need_be),
		TEST(a_ramp_that_cannot_move_is_lost_and_undone),
		TEST(a_ramp_goes_on_in_time_while_a_pulse_is_off),
		TEST(an_abort_hurries_before_it_disarms),
		TEST(an_abort_hurries_what_has_not_settled_yet),
		TEST(the_normal_end_and_a_plan_that_drains_do_not_hurry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
