/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/* Recoverer, holder and controller killed and stopped in every way while faults are held. */
#include "holder_lab.h"

/* ---- the tests ---- */

static void a_run_that_ends_in_good_order_is_clean(void **state)
{
	(void)state;
	plan.lease = 2 * LEASE; /* a machine with much else to do must not let it lapse */
	start_held();
	(void)usleep(2 * (useconds_t)(plan.lease / 1000)); /* renewed, it outlives its lease */
	assert_true(is_locked());
	control->end = true;
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	assert_verdict("passed");
	assert_clean();
}

static void a_killed_controller_has_everything_reverted(void **state)
{
	(void)state;
	start_held();
	(void)kill(controller, SIGKILL);
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	assert_verdict("error");
	assert_clean();
}

static void a_stopped_controller_loses_its_faults_within_the_lease(void **state)
{
	(void)state;
	plan.lease = LEASE;
	start_held();
	(void)kill(controller, SIGSTOP);
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	assert_int_equal(setup.shared->lapsed, 1);
	/* and does not get them back when it goes on */
	(void)kill(controller, SIGCONT);
	assert_true(eventually(lapse_told, WITHIN));
	(void)usleep(100000);
	assert_true(unlocked());
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

static void a_controller_that_does_not_renew_loses_its_faults(void **state)
{
	(void)state;
	plan.lease = LEASE;
	start_held();
	control->silent = true;
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	assert_true(eventually(lapse_told, WITHIN));
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

static void a_killed_holder_is_finished_from_the_ledger(void **state)
{
	pid_t holder;

	(void)state;
	start_held();
	holder = pid_of(BRUNT_ROLE_HOLDER);
	(void)kill(holder, SIGKILL);
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	assert_int_equal(setup.shared->residue, 0);
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

static void a_stopped_holder_is_ended_by_its_own_timer(void **state)
{
	(void)state;
	plan.lease = LEASE;
	start_held();
	(void)kill(pid_of(BRUNT_ROLE_HOLDER), SIGSTOP);
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

static void a_holder_that_hangs_in_attach_is_ended_and_finished(void **state)
{
	(void)state;
	plan.lease = LEASE;
	control->hang_in_attach = true;
	start();
	assert_true(eventually(hanging, WITHIN));
	assert_true(eventually(holder_gone, WITHIN));
	assert_int_equal(setup.shared->residue, 0);
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

static void a_holder_that_hangs_in_disarm_is_ended_and_finished(void **state)
{
	(void)state;
	plan.lease = LEASE;
	start_held();
	control->hang_in_disarm = true;
	control->end = true;
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	assert_verdict("passed");
	assert_clean();
}

static void killed_holder_and_controller_are_finished_by_the_recoverer(void **state)
{
	(void)state;
	start_held();
	(void)kill(controller, SIGKILL);
	(void)kill(pid_of(BRUNT_ROLE_HOLDER), SIGKILL);
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	assert_verdict("error");
	assert_clean();
}

static void without_a_recoverer_the_holder_still_obeys(void **state)
{
	(void)state;
	start_held();
	(void)kill(recoverer, SIGKILL);
	(void)usleep(50000);
	assert_true(is_locked());
	(void)kill(controller, SIGKILL);
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	reap_all();
	/* its ledger names the folder that nobody removed */
	assert_false(ledger_gone());
	assert_int_equal(recover_folder(folder, NULL), 0);
	assert_clean();
}

static void with_all_three_killed_a_later_recovery_finishes(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	start_held();
	(void)kill(recoverer, SIGKILL);
	(void)kill(pid_of(BRUNT_ROLE_HOLDER), SIGKILL);
	(void)kill(controller, SIGKILL);
	assert_true(eventually(unlocked, WITHIN));
	reap_all();
	assert_false(file_gone());
	assert_int_equal(recover_folder(folder, &err), 0);
	assert_clean();
	assert_int_equal(recover_folder(folder, &err), 0);
}

static void the_next_run_recovers_before_it_injects(void **state)
{
	(void)state;
	start_held();
	(void)kill(recoverer, SIGKILL);
	(void)kill(pid_of(BRUNT_ROLE_HOLDER), SIGKILL);
	(void)kill(controller, SIGKILL);
	reap_all();
	assert_false(file_gone());
	control->held = false;
	memset(setup.shared->pid, 0, sizeof(setup.shared->pid));
	strcpy(setup.shared->run, "0000cafe");
	setup.run_dir[0] = '\0';
	start_held();
	assert_true(ledger_gone()); /* that of the first run */
	control->end = true;
	assert_verdict("passed");
	reap_all();
	assert_true(unlocked());
	assert_true(file_gone());
}

static void residue_is_tried_again_by_the_recoverer_and_told(void **state)
{
	int status;

	(void)state;
	start_held();
	control->stubborn = true;
	/* the recovery of the file refuses, too */
	(void)kill(pid_of(BRUNT_ROLE_HOLDER), SIGKILL);
	(void)kill(controller, SIGKILL);
	assert_int_equal(waitpid(recoverer, &status, 0), recoverer);
	assert_int_equal(WEXITSTATUS(status), 6);
	assert_int_equal(setup.shared->residue, 1);
	assert_verdict("residue");
	assert_false(ledger_gone());
	control->stubborn = false;
	assert_int_equal(recover_folder(folder, NULL), 0);
	assert_true(file_gone());
}

static void what_a_live_holder_cannot_undo_goes_with_it(void **state)
{
	(void)state;
	start_held();
	control->stubborn = true; /* the lock is not let go by disarm and detach */
	(void)kill(controller, SIGKILL);
	/* the holder ends with residue, and the kernel takes the lock from it */
	assert_true(eventually(unlocked, WITHIN));
	control->stubborn = false;
	assert_true(eventually(file_gone, WITHIN));
}

static void signals_of_a_service_manager_change_nothing(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP };

	(void)state;
	start_held();
	for (size_t i = 0; i < BRUNT_COUNT(signals); i++) {
		(void)kill(pid_of(BRUNT_ROLE_HOLDER), signals[i]);
		(void)kill(recoverer, signals[i]);
	}
	(void)usleep(100000);
	assert_true(is_locked());
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- pulses ---- */

static const struct brunt_pulse short_on = { .on = 100 * BRUNT_MS, .off = 60 * BRUNT_S };
static const struct brunt_pulse quick = { .on = 50 * BRUNT_MS, .off = 50 * BRUNT_MS };

static void start_pulsed(const struct brunt_pulse *pulse)
{
	steps[0].pulse = (struct brunt_pulse *)pulse;
	start();
	if (!eventually(both_held, 5 * BRUNT_S))
		fail_msg("not held: %s", control->text);
}

static void a_pulsed_fault_comes_and_goes_by_itself(void **state)
{
	(void)state;
	start_pulsed(&quick);
	for (int i = 0; i < 5; i++) {
		assert_true(eventually(is_locked, WITHIN));
		assert_true(eventually(unlocked, WITHIN));
		assert_false(file_gone());
	}
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

static void a_killed_holder_between_two_pulses_leaves_nothing(void **state)
{
	(void)state;
	start_pulsed(&short_on);
	assert_true(eventually(unlocked, WITHIN));
	(void)kill(pid_of(BRUNT_ROLE_HOLDER), SIGKILL);
	assert_true(eventually(file_gone, WITHIN));
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

static void a_holder_killed_while_it_pulses_leaves_nothing(void **state)
{
	(void)state;
	start_pulsed(&quick);
	(void)kill(pid_of(BRUNT_ROLE_HOLDER), SIGKILL);
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	for (int i = 0; i < 100; i++) {
		assert_true(unlocked());
		(void)usleep(2000);
	}
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

static void a_stopped_holder_pulses_no_more(void **state)
{
	(void)state;
	plan.lease = LEASE;
	start_pulsed(&quick);
	(void)kill(pid_of(BRUNT_ROLE_HOLDER), SIGSTOP);
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	for (int i = 0; i < 100; i++) {
		assert_true(unlocked());
		(void)usleep(2000);
	}
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

/* Before its own timer ends it, and after its lease: what lapsed stays so, also when a pulse is due. */
static void a_holder_that_goes_on_after_its_lease_pulses_no_more(void **state)
{
	pid_t holder;

	(void)state;
	plan.lease = LEASE;
	start_pulsed(&quick);
	holder = pid_of(BRUNT_ROLE_HOLDER);
	(void)kill(holder, SIGSTOP);
	(void)usleep((useconds_t)(LEASE / 1000) + 30000);
	(void)kill(holder, SIGCONT);
	assert_true(eventually(unlocked, WITHIN));
	assert_true(eventually(file_gone, WITHIN));
	for (int i = 0; i < 100; i++) {
		assert_true(unlocked());
		(void)usleep(2000);
	}
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

static void a_lapsed_lease_ends_the_pulses(void **state)
{
	(void)state;
	plan.lease = LEASE;
	start_pulsed(&quick);
	(void)kill(controller, SIGSTOP);
	assert_true(eventually(file_gone, WITHIN));
	(void)usleep((useconds_t)(LEASE / 1000)); /* until it would have been ended by its own timer */
	for (int i = 0; i < 100; i++) {
		assert_true(unlocked());
		(void)usleep(2000);
	}
	assert_true(file_gone());
	assert_int_equal(setup.shared->lapsed, 1);
	(void)kill(controller, SIGCONT);
	assert_true(eventually(lapse_told, WITHIN));
	(void)usleep(200000);
	assert_true(unlocked());
	control->end = true;
	assert_verdict("passed");
	assert_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_TEST(a_run_that_ends_in_good_order_is_clean),
		RUN_TEST(a_killed_controller_has_everything_reverted),
		RUN_TEST(a_stopped_controller_loses_its_faults_within_the_lease),
		RUN_TEST(a_controller_that_does_not_renew_loses_its_faults),
		RUN_TEST(a_killed_holder_is_finished_from_the_ledger),
		RUN_TEST(a_stopped_holder_is_ended_by_its_own_timer),
		RUN_TEST(a_holder_that_hangs_in_attach_is_ended_and_finished),
		RUN_TEST(a_holder_that_hangs_in_disarm_is_ended_and_finished),
		RUN_TEST(killed_holder_and_controller_are_finished_by_the_recoverer),
		RUN_TEST(without_a_recoverer_the_holder_still_obeys),
		RUN_TEST(with_all_three_killed_a_later_recovery_finishes),
		RUN_TEST(the_next_run_recovers_before_it_injects),
		RUN_TEST(residue_is_tried_again_by_the_recoverer_and_told),
		RUN_TEST(what_a_live_holder_cannot_undo_goes_with_it),
		RUN_TEST(signals_of_a_service_manager_change_nothing),
		RUN_TEST(a_pulsed_fault_comes_and_goes_by_itself),
		RUN_TEST(a_killed_holder_between_two_pulses_leaves_nothing),
		RUN_TEST(a_holder_killed_while_it_pulses_leaves_nothing),
		RUN_TEST(a_stopped_holder_pulses_no_more),
		RUN_TEST(a_holder_that_goes_on_after_its_lease_pulses_no_more),
		RUN_TEST(a_lapsed_lease_ends_the_pulses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
