/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <cmocka.h>

#include <linux/seccomp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "keep_lab.h"
#include "syscall/caller.h"

#define PAUSE_MAX (5 * BRUNT_S) /* what the death of a keeper may cost, on a machine with much else to do */
#define LONG	  (3600 * BRUNT_S)

static struct lab lab;

static int slow = 1; /* tests/run says how much, for a virtual machine */

static void begin(uint64_t delay)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		; /* those that were killed before */
	if (lab_open(&lab, delay))
		fail_msg("no keeper: %s", lab.err.msg);
}

static void run_target(enum lab_mode mode, unsigned threads)
{
	if (lab_run(&lab, mode, threads))
		fail_msg("no target: %s", lab.err.msg);
}

static bool is_hit(struct lab *of)
{
	return lab_sum(of).hits > 100;
}

static void begin_hurt(enum lab_mode mode, unsigned threads)
{
	begin(LONG);
	run_target(mode, threads);
	lab_arm(&lab, 0, LONG);
	assert_true(lab_within(5 * BRUNT_S, is_hit, &lab));
}

static void assert_resumes(void)
{
	uint64_t took = lab_resumes(&lab, 10 * BRUNT_S);

	if (took > PAUSE_MAX * (uint64_t)slow)
		fail_msg("the target stood still for %llu ms", (unsigned long long)(took / BRUNT_MS));
}

static void assert_ends_well(void)
{
	struct lab_sum sum = lab_end_target(&lab, 10 * BRUNT_S);

	assert_false(sum.dead);
	if (sum.wrong)
		fail_msg("%llu of %llu calls went wrong: %s", (unsigned long long)sum.wrong,
			 (unsigned long long)sum.calls, strerror(sum.code));
	assert_int_equal(sum.late, 0);
	if (sum.worst > PAUSE_MAX * (uint64_t)slow)
		fail_msg("one call took %llu ms", (unsigned long long)(sum.worst / BRUNT_MS));
}

/* Nothing of it is left a moment later. */
static void end(void)
{
	pid_t keeper = brunt_keep_pid(&lab.keep), guardian = brunt_keep_guardian(&lab.keep);

	lab_close(&lab);
	assert_true(lab_gone(keeper, 3 * BRUNT_S));
	assert_true(lab_gone(guardian, 3 * BRUNT_S));
}

/* Who they were. */
static pid_t last_keeper, last_guardian;

static void look(void)
{
	last_keeper = brunt_keep_pid(&lab.keep);
	last_guardian = brunt_keep_guardian(&lab.keep);
}

static bool has_another_keeper(struct lab *of)
{
	return brunt_keep_pid(&of->keep) != last_keeper;
}

static bool has_another_guardian(struct lab *of)
{
	return brunt_keep_guardian(&of->keep) != last_guardian;
}

static void send_keeper(int signal)
{
	look();
	assert_int_equal(kill(last_keeper, signal), 0);
	if (signal == SIGSTOP)
		assert_true(lab_stands(last_keeper, 3 * BRUNT_S));
}

static void send_guardian(int signal)
{
	look();
	assert_int_equal(kill(last_guardian, signal), 0);
}

static void await_takeover(void)
{
	assert_true(lab_within(5 * BRUNT_S, has_another_keeper, &lab));
	assert_true(lab_within(5 * BRUNT_S, has_another_guardian, &lab));
	assert_int_equal(brunt_keep_pid(&lab.keep), last_guardian);
}

/* ---- deaths ---- */

static void a_killed_keeper_costs_a_pause(void **state)
{
	uint64_t hits;

	(void)state;
	begin_hurt(LAB_BUSY, 4);
	send_keeper(SIGKILL);
	assert_resumes();
	await_takeover();
	assert_true(brunt_keep_is_lost(&lab.keep));
	assert_resumes();
	hits = lab_sum(&lab).hits;
	assert_resumes();
	assert_int_equal(lab_sum(&lab).hits, hits);
	assert_ends_well();
	end();
}

static void a_killed_guardian_is_replaced(void **state)
{
	(void)state;
	begin_hurt(LAB_BUSY, 4);
	send_guardian(SIGKILL);
	assert_true(lab_within(5 * BRUNT_S, has_another_guardian, &lab));
	assert_false(brunt_keep_is_lost(&lab.keep));
	send_keeper(SIGKILL);
	assert_resumes();
	assert_ends_well();
	end();
}

static void a_guardian_that_dies_again_and_again_is_replaced(void **state)
{
	int soon = 0;

	(void)state;
	begin_hurt(LAB_BUSY, 2);
	for (int i = 0; i < 5; i++) {
		uint64_t sent = brunt_now();

		send_guardian(SIGKILL);
		assert_true(lab_within(5 * BRUNT_S, has_another_guardian, &lab));
		soon += brunt_now() - sent < 400 * BRUNT_MS * (uint64_t)slow;
	}
	/* Not at once, so that one that cannot live costs little; but soon, unless the machine has much else to do. */
	assert_true(soon >= 3);
	send_keeper(SIGKILL);
	assert_resumes();
	assert_ends_well();
	end();
}

static void a_stopped_keeper_is_ended_by_the_guardian(void **state)
{
	(void)state;
	begin_hurt(LAB_BUSY, 4);
	send_keeper(SIGSTOP);
	assert_resumes();
	await_takeover(); /* it answers first, and then says who it is */
	assert_true(lab_gone(last_keeper, 0));
	assert_ends_well();
	end();
}

/* Its target makes no call that would have to wait for it. */
static void a_stopped_keeper_is_ended_when_the_holder_waits(void **state)
{
	char *argv[] = { "sleep", "1000", NULL };
	pid_t pid;

	(void)state;
	begin(LONG);
	assert_int_equal(lab_wrap(&lab, argv, NULL, &pid), 0);
	lab_arm(&lab, 0, LONG);
	send_keeper(SIGSTOP);
	brunt_keep_disarm(&lab.keep, 0);
	assert_int_equal(brunt_keep_verify(&lab.keep, 0, brunt_now() + 5 * BRUNT_S * (uint64_t)slow), 0);
	await_takeover();
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	end();
}

static void a_stopped_guardian_is_replaced(void **state)
{
	(void)state;
	begin_hurt(LAB_BUSY, 4);
	send_guardian(SIGSTOP);
	assert_resumes(); /* nobody notices */
	assert_true(lab_within(5 * BRUNT_S, has_another_guardian, &lab));
	assert_true(lab_gone(last_guardian, 3 * BRUNT_S));
	send_keeper(SIGKILL);
	assert_resumes();
	assert_ends_well();
	end();
}

static void who_took_over_may_die_too(void **state)
{
	(void)state;
	begin_hurt(LAB_BUSY, 4);
	for (int i = 0; i < 20; i++) {
		send_keeper(i % 4 == 3 ? SIGSTOP : SIGKILL);
		assert_resumes();
		await_takeover();
	}
	assert_ends_well();
	end();
}

/* Each would kill the other one as dead, were they not to look in the right order. */
static void both_stand_still_and_go_on(void **state)
{
	(void)state;
	begin_hurt(LAB_BUSY, 4);
	for (int i = 0; i < 6; i++) {
		pid_t keeper = brunt_keep_pid(&lab.keep), guardian = brunt_keep_guardian(&lab.keep);

		(void)kill(keeper, SIGSTOP);
		(void)kill(guardian, SIGSTOP);
		(void)usleep(1100000);
		(void)kill(i % 2 ? guardian : keeper, SIGCONT);
		(void)kill(i % 2 ? keeper : guardian, SIGCONT);
		assert_resumes();
	}
	lab_end_target(&lab, 5 * BRUNT_S);
	assert_int_equal(lab_sum(&lab).wrong, 0);
	end();
}

/* ---- delays ---- */

static bool all_wait(struct lab *of)
{
	for (unsigned i = 0; i < of->threads; i++)
		if (!__atomic_load_n(&of->board->threads[i].begin, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

/* All are in a call that the keeper has taken, and which does not come back by itself. */
static bool does_rule_1_hold_all(struct lab *of)
{
	struct brunt_keep_counts counts;

	brunt_keep_read(&of->keep, 1, &counts);
	return counts.hit >= of->threads;
}

static bool has_rule_2_hit_all(struct lab *of)
{
	struct brunt_keep_counts counts;

	brunt_keep_read(&of->keep, 2, &counts);
	return counts.hit >= of->threads;
}

static void begin_delayed(unsigned threads)
{
	begin(LONG);
	run_target(LAB_DELAYED, threads);
	lab_arm(&lab, 1, LONG);
	assert_true(lab_within(10 * BRUNT_S, does_rule_1_hold_all, &lab));
	(void)usleep(300000 * (useconds_t)slow);
	assert_true(all_wait(&lab));
}

static void delayed_calls_go_on_when_the_keeper_dies(void **state)
{
	(void)state;
	begin_delayed(8);
	send_keeper(SIGKILL);
	assert_resumes();
	assert_ends_well();
	end();
}

static void delayed_calls_go_on_when_the_keeper_stands_still(void **state)
{
	uint64_t took;

	(void)state;
	begin_delayed(8);
	assert_int_equal(kill(brunt_keep_pid(&lab.keep), SIGSTOP), 0);
	/* They are to wait, as far as the guardian can know; their rule's end tells otherwise, and must be heeded. */
	brunt_keep_disarm(&lab.keep, 1);
	took = lab_resumes(&lab, 10 * BRUNT_S);
	assert_true(took < PAUSE_MAX * (uint64_t)slow);
	lab_end_target(&lab, 5 * BRUNT_S);
	assert_int_equal(lab_sum(&lab).wrong, 0);
	end();
}

static void delayed_calls_go_on_at_the_end_of_the_fault(void **state)
{
	struct brunt_keep_counts counts;

	(void)state;
	begin_delayed(8);
	brunt_keep_disarm(&lab.keep, 1);
	assert_int_equal(brunt_keep_verify(&lab.keep, 1, brunt_now() + 5 * BRUNT_S * (uint64_t)slow), 0);
	assert_resumes();
	brunt_keep_read(&lab.keep, 1, &counts);
	assert_int_equal(counts.cut, 8);
	assert_ends_well();
	end();
}

/* Rule 2 is about the calls that rule 1 delays. */
static void begin_hit_twice(uint64_t delay, const struct brunt_call_rule *other, unsigned first, unsigned threads)
{
	struct brunt_call_rule rule = *other;

	begin(delay);
	memset(&rule.calls, 0, sizeof(rule.calls));
	lab_set(&rule.calls, "getuid");
	assert_int_equal(brunt_keep_add(&lab.keep, &rule, &lab.err), 2);
	run_target(LAB_DELAYED, threads);
	lab_arm(&lab, first, LONG);
	lab_arm(&lab, 3 - first, LONG);
	/* calls that only the first had hit have come back */
	(void)usleep(700000 * (useconds_t)slow);
	assert_true(lab_within(10 * BRUNT_S, has_rule_2_hit_all, &lab));
	assert_true(lab_within(10 * BRUNT_S, all_wait, &lab));
}

static void a_call_that_waits_to_fail_does_not_fail_after_the_end_was_verified(void **state)
{
	const struct brunt_call_rule failing = lab_failing();
	uint64_t hits;

	(void)state;
	begin_hit_twice(1200 * BRUNT_MS * (uint64_t)slow, &failing, 2, 4);
	brunt_keep_disarm(&lab.keep, 2);
	assert_int_equal(brunt_keep_verify(&lab.keep, 2, brunt_now() + 5 * BRUNT_S * (uint64_t)slow), 0);
	hits = lab_sum(&lab).hits;
	assert_resumes();
	assert_int_equal(lab_sum(&lab).hits, hits);
	assert_ends_well();
	end();
}

static void no_call_waits_for_the_second_of_two_delays_after_its_end(void **state)
{
	const struct brunt_call_rule delaying = lab_delaying(LONG);
	struct brunt_keep_counts counts;

	(void)state;
	begin_hit_twice(200 * BRUNT_MS * (uint64_t)slow, &delaying, 1, 4);
	brunt_keep_disarm(&lab.keep, 2);
	assert_int_equal(brunt_keep_verify(&lab.keep, 2, brunt_now() + 5 * BRUNT_S * (uint64_t)slow), 0);
	brunt_keep_read(&lab.keep, 2, &counts);
	assert_int_equal(counts.cut, 4);
	brunt_keep_disarm(&lab.keep, 1);
	assert_resumes();
	assert_ends_well();
	end();
}

static uint64_t hits_of(unsigned rule)
{
	struct brunt_keep_counts counts;

	brunt_keep_read(&lab.keep, rule, &counts);
	return counts.hit;
}

/* So many calls of its set fitted rule 2 while it was in force. */
static bool is_second_asked(struct lab *of)
{
	struct brunt_keep_counts counts;

	brunt_keep_read(&of->keep, 2, &counts);
	return counts.matched > 200;
}

static bool does_second_bite(struct lab *of)
{
	struct brunt_keep_counts counts;

	brunt_keep_read(&of->keep, 2, &counts);
	return counts.hit > 100;
}

static void of_two_answers_the_first_alone_is_given_and_counted(void **state)
{
	struct brunt_call_rule other = lab_failing();
	struct lab_sum sum;
	uint64_t hits;

	(void)state;
	begin(LONG);
	other.errnos[0] = ENOTUNIQ;
	assert_int_equal(brunt_keep_add(&lab.keep, &other, &lab.err), 2);
	run_target(LAB_BUSY, 2);
	lab_arm(&lab, 0, LONG);
	assert_true(lab_within(5 * BRUNT_S, is_hit, &lab));
	hits = hits_of(0);
	lab_arm(&lab, 2, LONG);
	assert_true(lab_within(5 * BRUNT_S, is_second_asked, &lab));
	assert_true(hits_of(0) > hits);
	assert_int_equal(hits_of(2), 0);
	assert_int_equal(lab_sum(&lab).wrong, 0); /* nobody got the other's errno */
	/* alone, it would have been given */
	brunt_keep_disarm(&lab.keep, 0);
	assert_int_equal(brunt_keep_verify(&lab.keep, 0, brunt_now() + 2 * BRUNT_S * (uint64_t)slow), 0);
	hits = hits_of(0);
	assert_true(lab_within(5 * BRUNT_S, does_second_bite, &lab));
	assert_int_equal(hits_of(0), hits);
	sum = lab_end_target(&lab, 10 * BRUNT_S);
	assert_false(sum.dead);
	assert_true(sum.wrong > 100);
	assert_int_equal(sum.code, ENOTUNIQ);
	end();
}

static void delayed_calls_go_on_when_the_lease_lapses(void **state)
{
	(void)state;
	begin(LONG);
	run_target(LAB_DELAYED, 8);
	lab_arm(&lab, 1, 300 * BRUNT_MS);
	assert_true(lab_within(5 * BRUNT_S, all_wait, &lab));
	assert_resumes();
	assert_ends_well();
	end();
}

/* Calls that are held, not just being answered. */
static unsigned count_held(const struct lab *of)
{
	uint64_t now = brunt_now();
	unsigned held = 0;

	for (unsigned i = 0; i < of->threads; i++) {
		uint64_t since = __atomic_load_n(&of->board->threads[i].begin, __ATOMIC_ACQUIRE);

		held += since && now > since + BRUNT_S / 2 * (uint64_t)slow;
	}
	return held;
}

static bool are_a_thousand_held(struct lab *of)
{
	return count_held(of) >= 1000;
}

/* While the keeper stands still all are, or seem to be. */
static bool are_some_not_held(struct lab *of)
{
	return count_held(of) < 1024;
}

/* Calls for which there was no slot. */
static bool do_some_pass(struct lab *of)
{
	struct brunt_keep_counts counts;

	brunt_keep_read(&of->keep, 1, &counts);
	return counts.matched > counts.hit;
}

static void more_delayed_calls_than_slots_pass(void **state)
{
	struct brunt_keep_counts counts;
	struct lab_sum sum;

	(void)state;
	if (!brunt_filter_waits_in_peace()) {
		print_message("# before Linux 5.19 those for whom there is no slot may wait\n");
		skip();
	}
	begin(LONG);
	run_target(LAB_DELAYED, 1100);
	lab_arm(&lab, 1, LONG);
	assert_true(lab_within(10 * BRUNT_S, are_a_thousand_held, &lab));
	assert_true(lab_within(10 * BRUNT_S, do_some_pass, &lab));
	assert_true(lab_within(10 * BRUNT_S, are_some_not_held, &lab));
	brunt_keep_read(&lab.keep, 1, &counts);
	assert_true(counts.hit < 1024);
	send_keeper(SIGKILL);
	assert_true(lab_resumes(&lab, 10 * BRUNT_S) < 2 * PAUSE_MAX * (uint64_t)slow);
	sum = lab_end_target(&lab, 10 * BRUNT_S);
	assert_false(sum.dead);
	assert_int_equal(sum.wrong, 0);
	end();
}

static void a_target_that_is_killed_leaves_nothing_that_waits(void **state)
{
	(void)state;
	begin_delayed(16);
	assert_int_equal(kill(lab.target, SIGKILL), 0);
	assert_int_equal(waitpid(lab.target, NULL, 0), lab.target);
	lab.target = 0;
	assert_true(lab_within(3 * BRUNT_S, lab_is_idle, &lab));
	/* The slots can be had again. */
	memset(lab.board, 0, sizeof(*lab.board));
	brunt_keep_disarm(&lab.keep, 1);
	run_target(LAB_DELAYED, 1000);
	lab_arm(&lab, 1, LONG);
	(void)usleep(500000 * (useconds_t)slow);
	brunt_keep_disarm(&lab.keep, 1);
	assert_int_equal(brunt_keep_verify(&lab.keep, 1, brunt_now() + 5 * BRUNT_S * (uint64_t)slow), 0);
	lab_end_target(&lab, 10 * BRUNT_S);
	assert_int_equal(lab_sum(&lab).wrong, 0);
	end();
}

/* ---- force ---- */

static void a_lease_that_lapsed_stays_lapsed(void **state)
{
	struct brunt_keep_counts counts;
	uint64_t hits;

	(void)state;
	begin(LONG);
	run_target(LAB_BUSY, 2);
	lab_arm(&lab, 0, LONG);
	assert_true(lab_within(5 * BRUNT_S, is_hit, &lab));
	brunt_keep_renew(&lab.keep, 0, brunt_now() + 200 * BRUNT_MS * (uint64_t)slow);
	(void)usleep(250000 * (useconds_t)slow);
	assert_resumes(); /* what was hit before has come back */
	hits = lab_sum(&lab).hits;
	brunt_keep_renew(&lab.keep, 0, brunt_now() + LONG);
	assert_resumes();
	assert_int_equal(lab_sum(&lab).hits, hits);
	brunt_keep_read(&lab.keep, 0, &counts);
	assert_true(counts.lapsed);
	lab_arm(&lab, 0, LONG); /* again */
	assert_resumes();
	assert_true(lab_sum(&lab).hits > hits);
	assert_ends_well();
	end();
}

static void no_call_is_hit_after_the_end_was_verified(void **state)
{
	const unsigned many = 2000;
	uint64_t hits;

	(void)state;
	begin(LONG);
	run_target(LAB_BUSY, 4);
	for (unsigned cycles = 0; cycles < many; cycles++) {
		lab_arm(&lab, 0, LONG);
		(void)usleep(cycles % 7 * 50);
		brunt_keep_disarm(&lab.keep, 0);
		assert_int_equal(brunt_keep_verify(&lab.keep, 0, brunt_now() + 2 * BRUNT_S * (uint64_t)slow), 0);
		__atomic_store_n(&lab.board->quiet, brunt_now(), __ATOMIC_RELEASE);
		(void)usleep(cycles % 5 * 30);
	}
	hits = lab_sum(&lab).hits;
	print_message("# %u cycles, %llu hits\n", many, (unsigned long long)hits);
	assert_true(hits > many / 4);
	assert_ends_well();
	end();
}

static void the_end_can_be_verified_when_the_keeper_dies(void **state)
{
	(void)state;
	begin_hurt(LAB_BUSY, 2);
	send_keeper(SIGSTOP);
	brunt_keep_disarm(&lab.keep, 0);
	assert_int_equal(brunt_keep_verify(&lab.keep, 0, brunt_now() + 5 * BRUNT_S * (uint64_t)slow), 0);
	__atomic_store_n(&lab.board->quiet, brunt_now(), __ATOMIC_RELEASE);
	assert_resumes();
	assert_ends_well();
	end();
}

static void the_end_is_known_when_the_keeper_dies_with_nobody_to_answer_for(void **state)
{
	pid_t keeper;

	(void)state;
	begin(LONG);
	keeper = brunt_keep_pid(&lab.keep);
	lab_arm(&lab, 0, LONG);
	send_keeper(SIGKILL);
	assert_true(lab_gone(keeper, 3 * BRUNT_S));
	brunt_keep_disarm(&lab.keep, 0);
	assert_int_equal(brunt_keep_verify(&lab.keep, 0, brunt_now() + BRUNT_S * (uint64_t)slow), 0);
	end();
}

static void it_is_told_when_nobody_is_left_to_answer(void **state)
{
	(void)state;
	begin_hurt(LAB_BUSY, 2);
	/* the one cannot replace the other */
	send_keeper(SIGSTOP);
	assert_int_equal(kill(last_guardian, SIGKILL), 0);
	assert_int_equal(kill(last_keeper, SIGKILL), 0);
	assert_true(lab_gone(last_keeper, 3 * BRUNT_S));
	assert_true(lab_gone(last_guardian, 3 * BRUNT_S));
	brunt_keep_disarm(&lab.keep, 0);
	assert_int_equal(brunt_keep_verify(&lab.keep, 0, brunt_now() + 200 * BRUNT_MS), -EOWNERDEAD);
	end();
}

/* ---- lives ---- */

static void who_is_left_alone_ends_with_the_target(void **state)
{
	pid_t keeper, guardian;

	(void)state;
	begin_hurt(LAB_BUSY, 4);
	keeper = brunt_keep_pid(&lab.keep);
	guardian = brunt_keep_guardian(&lab.keep);
	brunt_keep_leave(&lab.keep);
	assert_null(lab.keep.shared);
	assert_true(lab_lives(keeper));
	assert_true(lab_lives(guardian));
	__atomic_store_n(&lab.board->quiet, brunt_now() + 100 * BRUNT_MS, __ATOMIC_RELEASE);
	assert_resumes();
	assert_int_equal(kill(keeper, SIGKILL), 0);
	(void)waitpid(keeper, NULL, 0);
	assert_resumes();
	assert_true(lab_lives(guardian)); /* the keeper by now */
	assert_ends_well();
	assert_true(lab_gone(guardian, 3 * BRUNT_S));
	lab_close(&lab);
}

static void one_keeper_serves_many_targets(void **state)
{
	char *argv[] = { "sleep", "1000", NULL };
	pid_t pids[40], keeper;
	uint64_t start;

	(void)state;
	begin(LONG);
	for (size_t i = 0; i < BRUNT_COUNT(pids); i++)
		if (lab_wrap(&lab, argv, NULL, &pids[i]))
			fail_msg("%s", lab.err.msg);
	for (size_t i = 0; i < BRUNT_COUNT(pids); i++) {
		assert_true(brunt_caller_process(pids[i], &start));
		assert_int_equal(brunt_keep_find(&lab.keep, pids[i], start), i);
		/* another one, which has its number now */
		assert_int_equal(brunt_keep_find(&lab.keep, pids[i], start + 1), -1);
	}
	run_target(LAB_BUSY, 2);
	for (size_t i = 0; i < BRUNT_COUNT(pids) / 2; i++) {
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
	send_keeper(SIGKILL);
	assert_resumes();
	await_takeover();
	assert_resumes();
	for (size_t i = BRUNT_COUNT(pids) / 2; i < BRUNT_COUNT(pids); i++) {
		assert_int_equal(waitpid(pids[i], NULL, WNOHANG), 0);
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
	assert_ends_well();
	keeper = brunt_keep_pid(&lab.keep);
	assert_true(lab_within(3 * BRUNT_S, lab_is_idle, &lab));
	assert_true(lab_gone(keeper, 3 * BRUNT_S)); /* with nobody to arm anything, it does not wait for the holder */
	end();
}

static uint64_t forks_before;

static bool has_forked(struct lab *of)
{
	return __atomic_load_n(&of->board->forks, __ATOMIC_ACQUIRE) > forks_before + 1;
}

static void children_have_the_filter_and_the_keeper(void **state)
{
	(void)state;
	begin_hurt(LAB_FORKS, 3);
	(void)usleep(300000);
	send_keeper(SIGKILL);
	assert_resumes();
	await_takeover();
	forks_before = __atomic_load_n(&lab.board->forks, __ATOMIC_ACQUIRE);
	assert_true(lab_within(5 * BRUNT_S, has_forked, &lab));
	assert_ends_well();
	end();
}

static void thirty_two_threads(void **state)
{
	(void)state;
	begin_hurt(LAB_BUSY, 32);
	send_keeper(SIGKILL);
	assert_resumes();
	assert_ends_well();
	end();
}

/* ---- attaching ---- */

/* A process that gives itself the filter, as one that runs is given it. Returns its listener, and the pid. */
static int filter_a_child(bool busy, pid_t *ret_pid)
{
	const struct sock_fprog program = { .len = (unsigned short)lab.filter_count, .filter = lab.filter };
	int pidfd, listener, number = -1, way[2];

	assert_int_equal(pipe(way), 0);
	*ret_pid = fork();
	if (!*ret_pid) {
		number = brunt_filter_install(&program);
		(void)!write(way[1], &number, sizeof(number));
		while (fcntl(number, F_GETFD) >= 0 && !lab.board->stop)
			(void)usleep(1000);
		(void)close(number);
		if (!busy)
			(void)pause(); /* until it is killed */
		for (;;)
			lab_call(&lab_board->threads[0], SYS_getppid, lab_parent);
	}
	assert_int_equal(read(way[0], &number, sizeof(number)), sizeof(number));
	assert_true(number >= 0);
	pidfd = (int)syscall(SYS_pidfd_open, *ret_pid, 0);
	listener = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	assert_true(listener >= 0);
	__atomic_store_n(&lab.board->stop, 1, __ATOMIC_RELEASE); /* its own copy is to be closed */
	(void)close(pidfd);
	(void)close(way[0]);
	(void)close(way[1]);
	return listener;
}

static void a_running_process_outlives_a_keeper_that_takes_no_listener(void **state)
{
	pid_t pid, keeper;
	int listener;

	(void)state;
	begin(LONG);
	lab_board = lab.board;
	lab_parent = (long)getpid();
	lab.threads = 1;
	listener = filter_a_child(true, &pid);
	look();
	(void)kill(last_guardian, SIGKILL);
	(void)kill(last_keeper, SIGKILL);
	keeper = fork(); /* as the grafter is one of its own */
	if (!keeper)
		_exit(brunt_keep_entrust(&lab.keep, listener, pid, brunt_now() + BRUNT_S, NULL) < 0 ? 0 : 1);
	(void)close(listener);
	assert_int_equal(waitpid(keeper, &(int){ 0 }, 0), keeper);
	assert_resumes();
	assert_int_equal(lab_sum(&lab).wrong, 0);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	lab.threads = 0;
	lab_close(&lab);
}

/* For ever: nothing with a number that is not small can be added to an epoll, as on a machine with little memory. */
static int add_no_more_events(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_ctl, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, EPOLL_CTL_ADD, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 40, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSPC),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = BRUNT_COUNT(filter), .filter = filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ?: prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static void __attribute__((noreturn)) give_until_refused(void)
{
	int listener, r = 0;
	pid_t pid;

	if (add_no_more_events() || lab_open(&lab, LONG))
		_exit(1);
	listener = filter_a_child(false, &pid);
	for (int i = 0; i < 80 && r >= 0; i++)
		r = brunt_keep_give(&lab.keep, listener, pid, false, brunt_now() + 5 * BRUNT_S, NULL);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	if (!lab_within(5 * BRUNT_S, lab_is_idle, &lab))
		_exit(2);
	lab_close(&lab);
	_exit(r == -ENOSPC ? 0 : 3);
}

static void a_listener_that_cannot_be_served_is_not_taken(void **state)
{
	pid_t pid = fork();
	int status = -1;

	(void)state;
	if (!pid)
		give_until_refused();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- a later run ---- */

/* A second keeper takes the target over from the first one, whose holder is gone. */
static void adopt(struct brunt_keep *ret, unsigned rule)
{
	struct brunt_call_rule rules[] = { lab_failing(), lab_delaying(LONG) };
	struct brunt_identity identity;
	uint64_t start;

	assert_int_equal(brunt_identity_get(&identity, &lab.err), 0);
	assert_int_equal(brunt_keep_start(&identity, BRUNT_S, ret, &lab.err), 0);
	assert_int_equal(brunt_keep_add(ret, &rules[rule], &lab.err), 0);
	if (brunt_keep_adopt(ret, lab.target, &rules[rule].calls, &lab.err))
		fail_msg("%s", lab.err.msg);
	assert_true(brunt_caller_process(lab.target, &start));
	assert_int_equal(brunt_keep_find(ret, lab.target, start), 0);
	brunt_keep_assign(ret, 0, 1, true);
}

static void a_later_run_adopts_a_busy_target(void **state)
{
	struct brunt_keep later = BRUNT_KEEP_NONE;
	uint64_t hits;

	(void)state;
	begin_hurt(LAB_BUSY, 4);
	for (int i = 0; i < 10; i++) {
		brunt_keep_leave(i ? &later : &lab.keep);
		assert_resumes();
		adopt(&later, 0);
		hits = lab_sum(&lab).hits;
		assert_resumes();
		assert_int_equal(lab_sum(&lab).hits, hits);
		brunt_keep_arm(&later, 0, brunt_now() + LONG);
		assert_resumes();
		assert_true(lab_sum(&lab).hits > hits);
	}
	assert_int_equal(kill(brunt_keep_pid(&later), SIGKILL), 0);
	assert_resumes();
	assert_ends_well();
	brunt_keep_leave(&later);
}

static void after_an_adoption_that_failed_one_keeper_alone_answers(void **state)
{
	struct brunt_keep later = BRUNT_KEEP_NONE;
	struct brunt_call_rule rule = lab_failing();
	struct brunt_identity identity;
	pid_t earlier;
	uint64_t start, hits;
	int number;

	(void)state;
	begin_hurt(LAB_BUSY, 4);
	earlier = brunt_keep_pid(&lab.keep);
	brunt_keep_leave(&lab.keep);
	assert_int_equal(brunt_identity_get(&identity, &lab.err), 0);
	assert_int_equal(brunt_keep_start(&identity, BRUNT_S, &later, &lab.err), 0);
	assert_int_equal(brunt_keep_add(&later, &rule, &lab.err), 0);
	/* it takes the listener only when nobody waits for that any more */
	assert_int_equal(kill(brunt_keep_pid(&later), SIGSTOP), 0);
	assert_true(lab_stands(brunt_keep_pid(&later), 3 * BRUNT_S));
	assert_true(brunt_keep_adopt(&later, lab.target, &rule.calls, &lab.err) < 0);
	assert_int_equal(kill(brunt_keep_pid(&later), SIGCONT), 0);
	for (int i = 0; i < 20; i++) {
		assert_resumes();
		(void)usleep(100000);
	}
	assert_true(lab_lives(earlier));
	assert_false(brunt_keep_is_lost(&later));
	assert_int_equal(brunt_keep_calls(&later, brunt_call_index(brunt_call_find("getppid"))), 0);
	/* and it can be tried again */
	if (brunt_keep_adopt(&later, lab.target, &rule.calls, &lab.err))
		fail_msg("%s", lab.err.msg);
	assert_true(lab_gone(earlier, 3 * BRUNT_S));
	assert_true(brunt_caller_process(lab.target, &start));
	number = brunt_keep_find(&later, lab.target, start);
	assert_true(number >= 0);
	brunt_keep_assign(&later, (unsigned)number, 1, true);
	hits = lab_sum(&lab).hits;
	brunt_keep_arm(&later, 0, brunt_now() + LONG);
	assert_resumes();
	assert_true(lab_sum(&lab).hits > hits);
	assert_int_equal(kill(brunt_keep_pid(&later), SIGKILL), 0);
	assert_resumes();
	assert_ends_well();
	brunt_keep_leave(&later);
}

/* The holder was killed: nobody has disarmed but the keeper itself, and its calls are asked about as before. */
static void calls_that_were_delayed_go_on_when_they_are_adopted(void **state)
{
	struct brunt_keep later = BRUNT_KEEP_NONE;

	(void)state;
	begin_delayed(8);
	(void)close(lab.keep.control);
	lab.keep.control = -1;
	(void)usleep(100000 * (useconds_t)slow);
	assert_true(lab_within(5 * BRUNT_S, all_wait, &lab));
	adopt(&later, 1);
	assert_resumes();
	assert_ends_well();
	brunt_keep_leave(&later);
}

/* ---- starting ---- */

static int start_under(const char *call, char *const *argv, int *ret_status)
{
	struct brunt_call_rule rule = { .errnos = { EACCES }, .errno_count = 1, .probability = 1, .seed = 1 };
	pid_t pid;
	int r;

	begin(LONG);
	lab_set(&rule.calls, call);
	assert_int_equal(brunt_keep_add(&lab.keep, &rule, &lab.err), 2);
	free(lab.filter);
	assert_int_equal(brunt_keep_filter(&lab.keep, &lab.filter, &lab.filter_count, &lab.err), 0);
	brunt_keep_arm(&lab.keep, 2, brunt_now() + LONG);
	r = lab_wrap(&lab, argv, NULL, &pid);
	if (r)
		return r;
	assert_int_equal(waitpid(pid, ret_status, 0), pid);
	return 0;
}

static void a_program_starts_although_execve_fails(void **state)
{
	char *plain[] = { "true", NULL };
	char *other[] = { "sh", "-c", "/bin/true; exit $?", NULL };
	int status = -1;

	(void)state;
	assert_int_equal(start_under("execve", plain, &status), 0);
	assert_int_equal(status, 0);
	end();
	/* What it starts itself does not. */
	assert_int_equal(start_under("execve", other, &status), 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 126);
	end();
}

static void what_is_no_program_is_refused(void **state)
{
	char path[] = "/tmp/brunt-keep.XXXXXX";
	char *missing[] = { "/nonexistent/program", NULL };
	char *unknown[] = { "no-such-command-at-all", NULL };
	char *folder[] = { "/tmp", NULL };
	char *plain[] = { "true", NULL };
	char *broken[] = { path, NULL };
	int fd = mkstemp(path);
	pid_t pid = 0;

	(void)state;
	begin(LONG);
	assert_int_equal(lab_wrap(&lab, missing, NULL, &pid), -ENOENT);
	assert_int_equal(lab_wrap(&lab, unknown, NULL, &pid), -ENOENT);
	assert_int_equal(lab_wrap(&lab, folder, NULL, &pid), -EACCES);
	assert_int_equal(lab_wrap(&lab, broken, NULL, &pid), -EACCES); /* not executable */
	assert_int_equal(lab_wrap(&lab, plain, "/nonexistent", &pid), -ENOENT);
	assert_non_null(strstr(lab.err.msg, "/nonexistent"));
	/* Executable, and no program: only the kernel knows. */
	assert_int_equal(write(fd, "\1\2\3\4", 4), 4);
	assert_int_equal(fchmod(fd, 0755), 0);
	assert_int_equal(close(fd), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(lab_wrap(&lab, broken, NULL, &pid), -ENOEXEC);
	(void)unlink(path);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* the keeper alone is there still */
	assert_true(lab_within(2 * BRUNT_S, lab_is_idle, &lab));
	end();
}

/* After one that failed. */
static int clean_up(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_killed_keeper_costs_a_pause, clean_up),
		cmocka_unit_test_teardown(a_killed_guardian_is_replaced, clean_up),
		cmocka_unit_test_teardown(a_guardian_that_dies_again_and_again_is_replaced, clean_up),
		cmocka_unit_test_teardown(a_stopped_keeper_is_ended_by_the_guardian, clean_up),
		cmocka_unit_test_teardown(a_stopped_keeper_is_ended_when_the_holder_waits, clean_up),
		cmocka_unit_test_teardown(a_stopped_guardian_is_replaced, clean_up),
		cmocka_unit_test_teardown(who_took_over_may_die_too, clean_up),
		cmocka_unit_test_teardown(both_stand_still_and_go_on, clean_up),
		cmocka_unit_test_teardown(delayed_calls_go_on_when_the_keeper_dies, clean_up),
		cmocka_unit_test_teardown(delayed_calls_go_on_when_the_keeper_stands_still, clean_up),
		cmocka_unit_test_teardown(delayed_calls_go_on_at_the_end_of_the_fault, clean_up),
		cmocka_unit_test_teardown(a_call_that_waits_to_fail_does_not_fail_after_the_end_was_verified, clean_up),
		cmocka_unit_test_teardown(no_call_waits_for_the_second_of_two_delays_after_its_end, clean_up),
		cmocka_unit_test_teardown(of_two_answers_the_first_alone_is_given_and_counted, clean_up),
		cmocka_unit_test_teardown(delayed_calls_go_on_when_the_lease_lapses, clean_up),
		cmocka_unit_test_teardown(more_delayed_calls_than_slots_pass, clean_up),
		cmocka_unit_test_teardown(a_target_that_is_killed_leaves_nothing_that_waits, clean_up),
		cmocka_unit_test_teardown(a_lease_that_lapsed_stays_lapsed, clean_up),
		cmocka_unit_test_teardown(no_call_is_hit_after_the_end_was_verified, clean_up),
		cmocka_unit_test_teardown(the_end_can_be_verified_when_the_keeper_dies, clean_up),
		cmocka_unit_test_teardown(the_end_is_known_when_the_keeper_dies_with_nobody_to_answer_for, clean_up),
		cmocka_unit_test_teardown(it_is_told_when_nobody_is_left_to_answer, clean_up),
		cmocka_unit_test_teardown(who_is_left_alone_ends_with_the_target, clean_up),
		cmocka_unit_test_teardown(one_keeper_serves_many_targets, clean_up),
		cmocka_unit_test_teardown(children_have_the_filter_and_the_keeper, clean_up),
		cmocka_unit_test_teardown(thirty_two_threads, clean_up),
		cmocka_unit_test_teardown(a_running_process_outlives_a_keeper_that_takes_no_listener, clean_up),
		cmocka_unit_test_teardown(a_listener_that_cannot_be_served_is_not_taken, clean_up),
		cmocka_unit_test_teardown(a_later_run_adopts_a_busy_target, clean_up),
		cmocka_unit_test_teardown(after_an_adoption_that_failed_one_keeper_alone_answers, clean_up),
		cmocka_unit_test_teardown(calls_that_were_delayed_go_on_when_they_are_adopted, clean_up),
		cmocka_unit_test_teardown(a_program_starts_although_execve_fails, clean_up),
		cmocka_unit_test_teardown(what_is_no_program_is_refused, clean_up),
	};
	struct brunt_error err = { 0 };

	if (argc > 4 && !strcmp(argv[1], "--target"))
		_exit(lab_target(argv)); /* what a sanitizer does at the end makes calls, too */
	if (brunt_filter_probe(&err)) {
		print_message("# SKIP %s\n", err.msg);
		return 77;
	}
	slow = (int)lab_slow();
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
