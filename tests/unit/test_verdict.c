/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "brunt/event.h"
#include "story_lab.h"

static const struct {
	const char *path;
	enum brunt_verdict verdict;
	int status;
	const char *reason; /* the first */
} runs[] = {
	{ LAB_JOURNAL("passed"), BRUNT_PASSED, 0,
	  "the steady state held before and during, and again 2.2 s after the undo (limit 10 s)" },
	{ LAB_JOURNAL("failed-during"), BRUNT_FAILED, 1,
	  "steady state 'site success over 2 s >= 99 %' fell to 62 % while faults were held (bound 90 %)" },
	{ LAB_JOURNAL("failed-after"), BRUNT_FAILED, 1,
	  "steady state 'site success over 2 s >= 99 %' did not come back within 10 s of the undo: 70 %" },
	{ LAB_JOURNAL("failed-late"), BRUNT_FAILED, 1,
	  "steady state 'site success over 2 s >= 99 %' came back only after 11 s (limit 10 s)" },
	{ LAB_JOURNAL("failed-expect"), BRUNT_FAILED, 1,
	  "'still-up' was not met: load success over 1 s >= 99 %: 40 %" },
	{ LAB_JOURNAL("aborted"), BRUNT_ABORTED, 3,
	  "guardrail 'site success over 1 s >= 50 %' was breached: 40 %; every fault was gone 7 ms after the breaching sample" },
	{ LAB_JOURNAL("stopped"), BRUNT_STOPPED, 143, "stopped by SIGTERM; everything was reverted first" },
	{ LAB_JOURNAL("refused"), BRUNT_REFUSED, 4, "another run (11112222) holds this host" },
	{ LAB_JOURNAL("unsteady"), BRUNT_UNSTEADY, 8,
	  "the steady state did not hold before the start, nothing was injected: site success over 2 s >= 99 %: 90 %" },
	{ LAB_JOURNAL("unable"), BRUNT_UNABLE, 9, "'lossy-a': packet.drop needs CAP_BPF; run as root" },
	{ LAB_JOURNAL("error"), BRUNT_ERROR, 5,
	  "'lossy-a' was lost while it should have been held: something detached the program" },
	{ LAB_JOURNAL("residue"), BRUNT_RESIDUE, 6,
	  "'lossy-a' could not be undone: the program is still attached; run `brunt recover`, and look at what it says" },
	{ LAB_JOURNAL("inconclusive"), BRUNT_INCONCLUSIVE, 7,
	  "'lossy-a': 0 packets dropped, asked at least 10: saw 214 packets, none to 10.0.0.5:5432" },
};
#define RUNS (sizeof(runs) / sizeof(runs[0]))

static enum brunt_verdict verdict_of(const json_t *events, size_t count, long skip, bool over)
{
	struct brunt_story *story = lab_story(events, count, skip);

	if (over)
		brunt_story_end(story);
	enum brunt_verdict verdict = brunt_story_verdict(story, NULL, NULL);

	brunt_story_free(story);
	return verdict;
}

static void every_recorded_run_has_its_verdict_its_exit_and_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < RUNS; i++) {
		struct brunt_story *story;
		json_t *reasons;
		int status;

		assert_int_equal(brunt_story_read(runs[i].path, &story, NULL), 0);
		assert_int_equal(brunt_story_verdict(story, &status, &reasons), runs[i].verdict);
		assert_int_equal(status, runs[i].status);
		assert_string_equal(json_string_value(json_array_get(reasons, 0)), runs[i].reason);
		json_decref(reasons);
		brunt_story_free(story);
	}
}

static void the_recorded_runs_use_the_catalogue(void **state)
{
	(void)state;
	for (size_t i = 0; i < RUNS; i++) {
		json_t *events = lab_events(runs[i].path), *event;
		struct brunt_error err = { 0 };
		size_t j;

		json_array_foreach (events, j, event) {
			if (brunt_event_check(event, &err))
				fail_msg("%s:%zu: %s", runs[i].path, j + 1, err.msg);
		}
		json_decref(events);
	}
}

static void the_controller_gets_the_same_verdict_before_it_is_written_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < RUNS; i++) {
		json_t *events = lab_events(runs[i].path);
		size_t count = json_array_size(events);

		assert_string_equal(lab_text(json_array_get(events, count - 1), "event"), "verdict");
		assert_int_equal(verdict_of(events, count - 1, -1, false), runs[i].verdict);
		json_decref(events);
	}
}

static void a_journal_cut_after_any_line_never_passes(void **state)
{
	(void)state;
	json_t *events = lab_events(LAB_JOURNAL("passed"));
	size_t count = json_array_size(events);

	for (size_t i = 0; i < count; i++) {
		enum brunt_verdict verdict = verdict_of(events, i, -1, true);

		assert_true(verdict == BRUNT_ERROR || verdict == BRUNT_RESIDUE);
	}
	assert_int_equal(verdict_of(events, count, -1, true), BRUNT_PASSED);
	json_decref(events);
}

static void a_run_that_goes_on_has_not_passed_yet(void **state)
{
	(void)state;
	json_t *events = lab_events(LAB_JOURNAL("passed"));

	for (size_t i = 0; i + 2 < json_array_size(events); i++)
		assert_int_not_equal(verdict_of(events, i, -1, false), BRUNT_PASSED);
	json_decref(events);
}

/* Whether a passing run could have passed without having told this. */
static bool matters(const json_t *event)
{
	const char *name = lab_text(event, "event"), *phase = lab_text(event, "phase");

	if (!strcmp(name, "phase"))
		return !strcmp(phase, "method") || !strcmp(phase, "end");
	if (!strcmp(name, "condition"))
		return !json_integer_value(json_object_get(event, "condition")) &&
		       !json_is_true(json_object_get(event, "during"));
	/* What a held fault hit is said again when it is reverted. */
	if (!strcmp(name, "fault.hits"))
		return !strcmp(lab_text(event, "step"), "kill-a");
	return !strcmp(name, "run.start") || !strcmp(name, "step.start") || !strcmp(name, "step.end") ||
	       !strcmp(name, "fault.applied") || !strcmp(name, "fault.reverted") || !strcmp(name, "reverted") ||
	       !strcmp(name, "verdict");
}

static void a_passing_run_that_lost_any_event_that_matters_does_not_pass(void **state)
{
	(void)state;
	json_t *events = lab_events(LAB_JOURNAL("passed"));
	size_t count = json_array_size(events), mattered = 0;

	for (size_t i = 0; i < count; i++) {
		const json_t *event = json_array_get(events, i);
		enum brunt_verdict verdict = verdict_of(events, count, (long)i, true);

		if (matters(event) == (verdict == BRUNT_PASSED))
			fail_msg("without line %zu (%s) the run is '%s'", i + 1, lab_text(event, "event"),
				 brunt_verdict_name(verdict));
		mattered += matters(event);
	}
	assert_true(mattered >= 19);
	json_decref(events);
}

static void no_lost_event_makes_a_run_pass_that_did_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < RUNS; i++) {
		json_t *events = lab_events(runs[i].path);
		size_t count = json_array_size(events);

		for (size_t j = 0; runs[i].verdict != BRUNT_PASSED && j < count; j++)
			assert_int_not_equal(verdict_of(events, count, (long)j, true), BRUNT_PASSED);
		json_decref(events);
	}
}

/* A journal with one field of its nth event of that name changed, without the verdict event. */
static enum brunt_verdict changed(const char *path, const char *name, const char *key, json_t *value)
{
	json_t *events = lab_events(path), *event;
	bool found = false;
	size_t i;

	json_array_foreach (events, i, event) {
		if (found || strcmp(lab_text(event, "event"), name) != 0)
			continue;
		json_object_set_new(event, key, value);
		found = true;
	}
	assert_true(found);
	enum brunt_verdict verdict = verdict_of(events, json_array_size(events) - 1, -1, false);

	json_decref(events);
	return verdict;
}

static void a_journal_that_says_passed_over_failing_events_does_not_pass(void **state)
{
	(void)state;
	json_t *events = lab_events(LAB_JOURNAL("failed-during"));
	json_t *verdict = json_array_get(events, json_array_size(events) - 1);

	json_object_set_new(verdict, "verdict", json_string("passed"));
	assert_int_equal(verdict_of(events, json_array_size(events), -1, true), BRUNT_FAILED);
	json_object_set_new(verdict, "verdict", json_string("splendid"));
	assert_int_equal(verdict_of(events, json_array_size(events), -1, true), BRUNT_ERROR);
	json_decref(events);
}

static void a_recorded_verdict_that_weighs_more_counts(void **state)
{
	(void)state;
	json_t *events = lab_events(LAB_JOURNAL("passed"));

	json_object_set_new(json_array_get(events, json_array_size(events) - 1), "verdict", json_string("residue"));
	assert_int_equal(verdict_of(events, json_array_size(events), -1, true), BRUNT_RESIDUE);
	json_decref(events);
}

static void what_exists_only_before_the_first_apply_is_an_error_after_it(void **state)
{
	(void)state;
	assert_int_equal(changed(LAB_JOURNAL("aborted"), "abort", "cause", json_string("refused")), BRUNT_ERROR);
	assert_int_equal(changed(LAB_JOURNAL("stopped"), "abort", "cause", json_string("unable")), BRUNT_ERROR);
	assert_int_equal(changed(LAB_JOURNAL("stopped"), "abort", "cause", json_string("of the future")), BRUNT_ERROR);
}

static void a_role_that_died_is_an_error_unless_it_only_wrote_things_down(void **state)
{
	(void)state;
	json_t *events = lab_events(LAB_JOURNAL("passed")), *event = NULL;
	size_t i;

	json_array_foreach (events, i, event)
		if (!strcmp(lab_text(event, "event"), "role.end"))
			break;
	json_object_set_new(event, "expected", json_false());
	assert_int_equal(verdict_of(events, json_array_size(events), -1, true), BRUNT_ERROR);
	json_object_set_new(event, "role", json_string("journal"));
	assert_int_equal(verdict_of(events, json_array_size(events), -1, true), BRUNT_PASSED);
	json_decref(events);
}

static void a_service_that_ended_by_itself_is_an_error_and_one_that_is_restarted_is_not(void **state)
{
	(void)state;
	/* The first service.end of this run is restarted. */
	assert_int_equal(changed(LAB_JOURNAL("passed"), "service.end", "expected", json_false()), BRUNT_PASSED);
	assert_int_equal(changed(LAB_JOURNAL("passed"), "service.end", "restarting", json_false()), BRUNT_PASSED);
	json_t *events = lab_events(LAB_JOURNAL("passed")), *event = NULL;
	size_t i;

	json_array_foreach (events, i, event)
		if (!strcmp(lab_text(event, "event"), "service.end")) {
			json_object_set_new(event, "expected", json_false());
			json_object_set_new(event, "restarting", json_false());
		}
	assert_int_equal(verdict_of(events, json_array_size(events), -1, true), BRUNT_ERROR);
	json_decref(events);
}

static void a_fault_that_ran_out_of_victims_was_not_lost(void **state)
{
	(void)state;
	json_t *events = lab_events(LAB_JOURNAL("passed"));
	json_t *lost = json_pack("{s:s, s:I, s:s, s:s, s:s}", "event", "fault.lost", "at_ns",
				 (json_int_t)(LAB_START + 6 * BRUNT_S), "wall", "", "step", "lossy-a", "why",
				 "its cgroup is empty");

	json_array_insert(events, json_array_size(events) - 6, lost);
	assert_int_equal(verdict_of(events, json_array_size(events), -1, true), BRUNT_ERROR);
	json_object_set_new(lost, "target_gone", json_true());
	assert_int_equal(verdict_of(events, json_array_size(events), -1, true), BRUNT_PASSED);
	json_decref(lost);
	json_decref(events);
}

static void an_experiment_that_judges_nothing_or_injects_nothing_proves_nothing(void **state)
{
	(void)state;
	json_t *events = lab_events(LAB_JOURNAL("passed"));
	json_t *start = json_array_get(events, 0), *steps = json_object_get(start, "steps");

	json_object_set_new(start, "conditions", json_array());
	assert_int_equal(verdict_of(events, json_array_size(events), -1, true), BRUNT_PASSED); /* it has an expect */
	json_array_remove(steps, 3);
	assert_int_equal(verdict_of(events, json_array_size(events), -1, true), BRUNT_INCONCLUSIVE);
	json_decref(events);
	events = lab_events(LAB_JOURNAL("passed"));
	steps = json_object_get(json_array_get(events, 0), "steps");
	json_array_remove(steps, 2);
	json_array_remove(steps, 1);
	assert_int_equal(verdict_of(events, json_array_size(events), -1, true), BRUNT_INCONCLUSIVE);
	json_decref(events);
}

static void a_failing_command_of_finally_is_an_error(void **state)
{
	(void)state;
	json_t *events = lab_events(LAB_JOURNAL("passed"));

	json_array_insert_new(events, json_array_size(events) - 2,
			      json_pack("{s:s, s:I, s:s, s:i, s:s, s:i}", "event", "finally", "at_ns",
					(json_int_t)(LAB_START + 11 * BRUNT_S), "wall", "", "index", 0, "name",
					"rejoin", "status", 3 << 8));
	struct brunt_story *story = lab_story(events, json_array_size(events), -1);
	json_t *reasons;

	assert_int_equal(brunt_story_verdict(story, NULL, &reasons), BRUNT_ERROR);
	assert_string_equal(json_string_value(json_array_get(reasons, 0)), "'rejoin' of finally exited with status 3");
	json_decref(reasons);
	brunt_story_free(story);
	json_decref(events);
}

static void names_and_verdicts_are_found_both_ways(void **state)
{
	(void)state;
	enum brunt_verdict verdict;

	for (size_t i = 0; i < RUNS; i++) {
		assert_int_equal(brunt_verdict_find(brunt_verdict_name(runs[i].verdict), &verdict), 0);
		assert_int_equal(verdict, runs[i].verdict);
	}
	assert_int_equal(brunt_verdict_find("Passed", &verdict), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_recorded_run_has_its_verdict_its_exit_and_its_reason),
		cmocka_unit_test(the_recorded_runs_use_the_catalogue),
		cmocka_unit_test(the_controller_gets_the_same_verdict_before_it_is_written_down),
		cmocka_unit_test(a_journal_cut_after_any_line_never_passes),
		cmocka_unit_test(a_run_that_goes_on_has_not_passed_yet),
		cmocka_unit_test(a_passing_run_that_lost_any_event_that_matters_does_not_pass),
		cmocka_unit_test(no_lost_event_makes_a_run_pass_that_did_not),
		cmocka_unit_test(a_journal_that_says_passed_over_failing_events_does_not_pass),
		cmocka_unit_test(a_recorded_verdict_that_weighs_more_counts),
		cmocka_unit_test(what_exists_only_before_the_first_apply_is_an_error_after_it),
		cmocka_unit_test(a_role_that_died_is_an_error_unless_it_only_wrote_things_down),
		cmocka_unit_test(a_service_that_ended_by_itself_is_an_error_and_one_that_is_restarted_is_not),
		cmocka_unit_test(a_fault_that_ran_out_of_victims_was_not_lost),
		cmocka_unit_test(an_experiment_that_judges_nothing_or_injects_nothing_proves_nothing),
		cmocka_unit_test(a_failing_command_of_finally_is_an_error),
		cmocka_unit_test(names_and_verdicts_are_found_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
