/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <unistd.h>

#include "brunt/event.h"
#include "brunt/memory.h"
#include "brunt/judge.h"
#include "judge/story.h"
#include "story_lab.h"

static struct brunt_story *passed(void)
{
	struct brunt_story *story;

	assert_int_equal(brunt_story_read(LAB_JOURNAL("passed"), &story, NULL), 0);
	return story;
}

static void a_step_remembers_what_was_asked_and_what_was_got(void **state)
{
	(void)state;
	struct brunt_story *story = passed();
	const struct story_step *drop = story_step_find(story, "lossy-a"), *kill = story_step_find(story, "kill-a");

	assert_int_equal(drop->hits_min, 10);
	assert_int_equal(drop->hit, 1204);
	assert_int_equal(drop->matched, 4012);
	assert_int_equal(drop->hold, 4 * BRUNT_S);
	assert_int_equal(drop->held_for, 4 * BRUNT_S + 2 * BRUNT_MS);
	assert_true(drop->reverted && drop->clean && !drop->is_event);
	assert_true(kill->applied && kill->is_event && !kill->reverted);
	assert_int_equal(kill->hit, 1);
	assert_null(story_step_find(story, "nobody"));
	assert_int_equal(story->held, 0);
	brunt_story_free(story);
}

static void the_windows_do_not_overlap_and_lie_around_the_faults(void **state)
{
	(void)state;
	struct brunt_story *story = passed();
	uint64_t from[3], to[3];

	for (int i = 0; i < 3; i++)
		assert_true(story_window(story, (enum story_window)i, &from[i], &to[i]));
	assert_true(to[0] < from[1] && to[1] < from[2]);
	assert_int_equal(from[1], story->applied_at);
	assert_int_equal(to[1], story->reverted_at);
	brunt_story_free(story);
}

static void before_the_first_fault_there_is_no_during_and_no_after(void **state)
{
	(void)state;
	struct brunt_story *story = lab_story_until(LAB_JOURNAL("passed"), 2 * BRUNT_S);
	uint64_t from, to;

	assert_true(story_window(story, STORY_WINDOW_BEFORE, &from, &to));
	assert_false(story_window(story, STORY_WINDOW_DURING, &from, &to));
	assert_false(story_window(story, STORY_WINDOW_AFTER, &from, &to));
	brunt_story_free(story);
}

static void samples_are_kept_with_their_reasons(void **state)
{
	(void)state;
	struct brunt_story *story;

	assert_int_equal(brunt_story_read(LAB_JOURNAL("failed-during"), &story, NULL), 0);
	const struct story_sli *site = story_sli_find(story, "site");

	assert_int_equal(brunt_series_count(site->series), site->good + site->bad);
	assert_true(site->bad > 0);
	assert_string_equal(site->causes[0].why, "status 503");
	assert_int_equal(site->causes[0].count, site->bad);
	brunt_story_free(story);
}

static void an_infinite_value_comes_back_from_null(void **state)
{
	(void)state;
	json_t *events = lab_events(LAB_JOURNAL("passed"));
	struct brunt_story *story = lab_story(events, 1, -1);
	json_t *sample = json_pack("{s:s, s:I, s:s, s:s, s:I, s:i, s:b, s:n}", "event", "sample", "at_ns",
				   (json_int_t)LAB_START, "wall", "", "sli", "site", "scheduled_ns",
				   (json_int_t)LAB_START, "took_ns", 5, "good", 0, "value");

	assert_int_equal(brunt_story_feed(story, sample), 0);
	assert_true(isinf(brunt_series_at(story_sli_find(story, "site")->series, 0)->value));
	json_decref(sample);
	json_decref(events);
	brunt_story_free(story);
}

static void times_are_told_by_the_clock_of_the_run_and_not_of_the_reader(void **state)
{
	(void)state;
	struct brunt_story *story = passed();
	char buf[32];

	setenv("TZ", "Pacific/Auckland", 1);
	assert_string_equal(story_clock(story, LAB_START, buf, sizeof(buf)), "10:00:00.000");
	assert_string_equal(story_clock(story, INT64_MAX, buf, sizeof(buf)), "--:--:--.---");
	assert_string_equal(story_clock(story, LAB_START + 61 * BRUNT_S + 5 * BRUNT_MS, buf, sizeof(buf)),
			    "10:01:01.005");
	unsetenv("TZ");
	brunt_story_free(story);
}

static void recovery_is_measured_from_the_undo(void **state)
{
	(void)state;
	struct brunt_story *story = passed();
	uint64_t took, limit;

	assert_true(story_recovery(story, &took, &limit));
	assert_int_equal(took, 2196 * BRUNT_MS);
	assert_int_equal(limit, 10 * BRUNT_S);
	brunt_story_free(story);
	assert_int_equal(brunt_story_read(LAB_JOURNAL("failed-after"), &story, NULL), 0);
	assert_false(story_recovery(story, &took, &limit));
	brunt_story_free(story);
}

static void what_is_no_event_is_refused_and_what_is_unknown_is_ignored(void **state)
{
	(void)state;
	static const char *const none[] = {
		"[]", "{}", "{\"event\":1,\"at_ns\":1}", "{\"event\":\"phase\"}", "{\"event\":\"phase\",\"at_ns\":-1}",
		NULL
	};
	struct brunt_story *story;
	json_t *event;

	assert_int_equal(brunt_story_new(&story), 0);
	for (int i = 0; none[i]; i++) {
		event = json_loads(none[i], 0, NULL);
		assert_int_equal(brunt_story_feed(story, event), -EINVAL);
		json_decref(event);
	}
	event = json_loads("{\"event\":\"of.the.future\",\"at_ns\":1,\"x\":{}}", 0, NULL);
	assert_int_equal(brunt_story_feed(story, event), 0);
	json_decref(event);
	brunt_story_free(story);
	brunt_story_free(NULL);
}

/* Everything that can be said about a story, so that whatever a journal holds is walked over. */
static void tell_all(const struct brunt_story *story)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *reasons, *document = brunt_story_document(story);

	(void)brunt_story_verdict(story, NULL, &reasons);
	brunt_story_print(story, out, true, 80);
	brunt_story_draw(story, out, 24, 80, true, LAB_START + 5 * BRUNT_S);
	assert_non_null(document);
	json_decref(document);
	json_decref(reasons);
	fclose(out);
	free(text);
}

static void no_field_of_any_event_can_break_it_whatever_it_holds(void **state)
{
	(void)state;
	static const char *const values[] = { "null",
					      "[]",
					      "{}",
					      "\"x\"",
					      "-1",
					      "9223372036854775807",
					      "true",
					      "1e308",
					      "[1,null,{\"name\":null}]",
					      "\"9999-12-31T23:59:59.999999-99:99\"",
					      NULL };
	json_t *events = lab_events(LAB_JOURNAL("aborted"));
	size_t count = json_array_size(events);
	FILE *null = fopen("/dev/null", "w");

	for (size_t i = 0; i < count; i++) {
		json_t *event = json_array_get(events, i), *old;
		const char *key;
		void *next;

		/* Samples are all alike. */
		if (!strcmp(lab_text(event, "event"), "sample") && i > 30)
			continue;
		json_object_foreach_safe (event, next, key, old) {
			for (int j = 0; values[j]; j++) {
				json_t *changed = json_copy(event);
				struct brunt_story *story;

				json_object_set_new(changed, key, json_loads(values[j], JSON_DECODE_ANY, NULL));
				assert_int_equal(brunt_story_new(&story), 0);
				for (size_t k = 0; k < count; k++) {
					json_t *fed = k == i ? changed : json_array_get(events, k);

					(void)brunt_story_feed(story, fed);
					if (k == i)
						brunt_story_line(story, fed, null);
				}
				brunt_story_end(story);
				tell_all(story);
				brunt_story_free(story);
				json_decref(changed);
			}
		}
	}
	fclose(null);
	json_decref(events);
}

/* 'lossy-a', held from 4.1 to 8.102 s, as a pulse: on till 5, off till 7, on till its end. */
static json_t *pulsed_events(void)
{
	static const struct {
		uint64_t at;
		bool on;
	} phases[] = { { 5 * BRUNT_S, false }, { 7 * BRUNT_S, true } };
	json_t *events = lab_events(LAB_JOURNAL("passed")), *event;
	size_t next = 0, i;

	json_object_set_new(
		json_array_get(json_object_get(json_array_get(events, 0), "steps"), 1), "pulse",
		json_pack("{s:I, s:I}", "on_ns", (json_int_t)(900 * BRUNT_MS), "off_ns", (json_int_t)(2 * BRUNT_S)));
	json_array_foreach (events, i, event) {
		uint64_t at = LAB_START + (next < BRUNT_COUNT(phases) ? phases[next].at : 0);

		if (next == BRUNT_COUNT(phases) || (uint64_t)json_integer_value(json_object_get(event, "at_ns")) < at)
			continue;
		json_array_insert_new(events, i,
				      json_pack("{s:s, s:I, s:s, s:s, s:b}", "event", "fault.pulse", "at_ns",
						(json_int_t)at, "wall", "", "step", "lossy-a", "on",
						phases[next++].on));
	}
	assert_int_equal(next, BRUNT_COUNT(phases));
	return events;
}

static void a_pulsed_fault_counts_as_held_throughout_and_tells_its_pulses(void **state)
{
	(void)state;
	json_t *events = pulsed_events(), *event;
	struct brunt_story *story;
	const struct story_step *step;
	char *text = NULL;
	size_t size, i;
	FILE *out;

	assert_int_equal(brunt_story_new(&story), 0);
	json_array_foreach (events, i, event) {
		struct brunt_error err = { 0 };

		if (brunt_event_check(event, &err))
			fail_msg("%s", err.msg);
		assert_int_equal(brunt_story_feed(story, event), 0);
		step = story_step_find(story, "lossy-a");
		if (!strcmp(lab_text(event, "event"), "fault.pulse")) {
			assert_int_equal(story->held, 1);
			assert_int_equal(step->on_at != 0, json_is_true(json_object_get(event, "on")));
		}
	}
	step = story_step_find(story, "lossy-a");
	assert_int_equal(step->pulses, 2);
	assert_int_equal(step->effect_for, 900 * BRUNT_MS + 1102 * BRUNT_MS);
	assert_int_equal(step->held_for, 4 * BRUNT_S + 2 * BRUNT_MS);
	brunt_story_end(story);
	assert_int_equal(brunt_story_verdict(story, NULL, NULL), BRUNT_PASSED);
	out = open_memstream(&text, &size);
	brunt_story_print(story, out, false, 200);
	(void)fclose(out);
	assert_non_null(strstr(text, "2 pulses, 2 s in effect"));
	free(text);
	brunt_story_free(story);
	json_decref(events);
}

static void a_file_that_is_no_journal_is_told_of(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} files[] = {
		{ "", "is no journal of brunt: it has no 'run.start'" },
		{ "hello\n", "is no journal of brunt: it has no 'run.start'" },
		{ "{\"event\":\"run.start\",\"at_ns\":1,\"schema\":1}",
		  "is no journal of brunt: it has no 'run.start'" },
		{ "{\"event\":\"run.start\",\"at_ns\":1,\"schema\":2}\n", "was written by a newer brunt" },
	};
	struct brunt_error err = { 0 };
	struct brunt_story *story;

	assert_int_equal(brunt_story_read("/nowhere/at/all", &story, &err), -ENOENT);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[] = "/tmp/brunt-test-XXXXXX";
		int fd = mkstemp(path);

		assert_int_equal(write(fd, files[i].text, strlen(files[i].text)), strlen(files[i].text));
		close(fd);
		assert_int_equal(brunt_story_read(path, &story, &err), -EINVAL);
		assert_non_null(strstr(err.msg, files[i].message));
		unlink(path);
	}
	assert_true(brunt_story_read("/tmp", &story, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_remembers_what_was_asked_and_what_was_got),
		cmocka_unit_test(the_windows_do_not_overlap_and_lie_around_the_faults),
		cmocka_unit_test(before_the_first_fault_there_is_no_during_and_no_after),
		cmocka_unit_test(samples_are_kept_with_their_reasons),
		cmocka_unit_test(an_infinite_value_comes_back_from_null),
		cmocka_unit_test(times_are_told_by_the_clock_of_the_run_and_not_of_the_reader),
		cmocka_unit_test(recovery_is_measured_from_the_undo),
		cmocka_unit_test(what_is_no_event_is_refused_and_what_is_unknown_is_ignored),
		cmocka_unit_test(no_field_of_any_event_can_break_it_whatever_it_holds),
		cmocka_unit_test(a_pulsed_fault_counts_as_held_throughout_and_tells_its_pulses),
		cmocka_unit_test(a_file_that_is_no_journal_is_told_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
