/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule, deadlines, commands, lines, processes and readiness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/resource.h>

#include "watch_lab.h"
#include "brunt/judge.h"
#include "brunt/target.h"

static struct server four;
static char url[256];
static struct brunt_http_sli http;

/* ---- in place of /proc ---- */

static uint64_t alive_count;
static int alive_code;
static unsigned alive_asked;
static useconds_t alive_cost;
static uint64_t alive_spent; /* ns; more than asked for on a machine with much else to do */

int __wrap_brunt_target_count(const struct brunt_target *target, const struct brunt_resolve_context *context,
			      uint64_t *ret, struct brunt_error *err);
int __wrap_brunt_target_count(const struct brunt_target *target, const struct brunt_resolve_context *context,
			      uint64_t *ret, struct brunt_error *err)
{
	const uint64_t begun = brunt_now();

	(void)target;
	(void)context;
	alive_asked++;
	usleep(alive_cost);
	alive_spent += brunt_now() - begun;
	if (alive_code)
		return brunt_fail(err, -alive_code, "not allowed to look");
	*ret = alive_count;
	return 0;
}

static int start(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	return server_start(&four, AF_INET) ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	server_stop(&four);
	return 0;
}

static struct brunt_sli *probe(struct lab *lab, const char *path, uint64_t every, uint64_t timeout)
{
	struct brunt_sli *sli = lab_sli(lab, BRUNT_SLI_HTTP, every, timeout);

	snprintf(url, sizeof(url), "http://%s%s", four.where, path);
	http = (struct brunt_http_sli){ .url = url, .method = "GET" };
	sli->http = &http;
	return sli;
}

static int by_schedule(const void *a, const void *b)
{
	const struct brunt_sample *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static bool is_gapless(struct lab *lab, uint64_t every, size_t count)
{
	qsort(lab->samples, lab->count, sizeof(lab->samples[0]), by_schedule);
	for (size_t i = 1; i < count && i < lab->count; i++)
		if (lab->samples[i].at != lab->samples[0].at + i * every)
			return false;
	return lab->count >= count;
}

/*
 * Runs until so many ticks, from the first on, have exactly one sample each, scheduled to the nanosecond. An answer may
 * overtake the one before; on a machine with much else to do it may be long in coming.
 */
static void run_gapless(struct lab *lab, uint64_t every, size_t count)
{
	uint64_t end = brunt_now() + 30 * BRUNT_S;

	while (!is_gapless(lab, every, count) && brunt_now() < end)
		assert_true(sd_event_run(lab->loop, 100000) >= 0);
	assert_true(is_gapless(lab, every, count));
}

static size_t count_samples(const struct lab *lab, bool (*is)(const struct brunt_sample *sample))
{
	size_t count = 0;

	for (size_t i = 0; i < lab->count; i++)
		count += is(lab->samples + i);
	return count;
}

/* Runs until there are so many. */
static void run_until(struct lab *lab, bool (*is)(const struct brunt_sample *sample), size_t count)
{
	uint64_t end = brunt_now() + 30 * BRUNT_S;

	while (count_samples(lab, is) < count && brunt_now() < end)
		assert_true(sd_event_run(lab->loop, 100000) >= 0);
	assert_true(count_samples(lab, is) >= count);
}

/* ---- schedule ---- */

static void samples_are_scheduled_at_exact_multiples_of_the_period(void **state)
{
	const uint64_t every = 12345678; /* no whole number of microseconds */
	struct lab *lab = *state;
	uint64_t before, after;

	probe(lab, "/ok", every, 20 * BRUNT_S);
	before = brunt_now();
	lab_start(lab);
	after = brunt_now();
	run_gapless(lab, every, 38);
	brunt_watch_stop(lab->watch);
	assert_in_range(lab->samples[0].at, before, after);
	assert_true(brunt_now() - before >= 37 * every);
}

static void two_slis_share_one_start(void **state)
{
	struct lab *lab = *state;
	struct brunt_sli *other;
	uint64_t after;

	probe(lab, "/ok", 30 * BRUNT_MS, 20 * BRUNT_S);
	other = lab_sli(lab, BRUNT_SLI_HTTP, 50 * BRUNT_MS, 20 * BRUNT_S);
	other->http = &http;
	lab_start(lab);
	after = brunt_now();
	do /* that of the start may be answered later than others */
		lab_run_until(lab, lab->count < 12 ? 12 : lab->count + 1);
	while (is_gapless(lab, 1, 1) && lab->samples[0].at > after);
	for (size_t i = 1; i < lab->count; i++) {
		uint64_t every = lab->slis[lab->samples[i].sli].every, first = lab->samples[0].at;

		assert_int_equal((lab->samples[i].at - first) % every, 0);
	}
}

/* Hanging answers delayed nothing: it was given up at its own deadline. */
static bool is_given_up_in_time(const struct brunt_sample *sample)
{
	return !lab_was_late(sample) && sample->done - sample->at < 400 * BRUNT_MS;
}

static void a_sample_that_is_pending_at_its_timeout_is_bad_at_its_scheduled_time(void **state)
{
	const uint64_t every = 20 * BRUNT_MS, timeout = 200 * BRUNT_MS;
	struct lab *lab = *state;
	uint64_t begin;

	probe(lab, "/hang", every, timeout);
	lab_start(lab);
	begin = brunt_now();
	run_until(lab, is_given_up_in_time, 26);
	run_gapless(lab, every, 26);
	brunt_watch_stop(lab->watch);
	for (size_t i = 0; i < lab->count; i++) {
		const struct brunt_sample *sample = lab->samples + i;

		if (lab_was_late(sample))
			continue;
		assert_true(sample->judged && !sample->good);
		assert_true(sample->has_value && isinf(sample->value));
		assert_true(sample->done - sample->at >= timeout);
		assert_string_equal(sample->why, "timed out after 200 ms");
	}
	assert_true(lab->samples[0].at <= begin);
}

/* One after the other, all but the first four would be later. */
static bool is_good_soon(const struct brunt_sample *sample)
{
	return sample->good && sample->done - sample->at < 600 * BRUNT_MS;
}

static void slow_answers_overlap_and_are_all_good(void **state)
{
	struct lab *lab = *state;

	/* Each answer takes 150 ms; one is asked every 20 ms. */
	probe(lab, "/slow", 20 * BRUNT_MS, 20 * BRUNT_S);
	lab_start(lab);
	run_until(lab, is_good_soon, 20);
	run_gapless(lab, 20 * BRUNT_MS, 20);
	brunt_watch_stop(lab->watch);
	for (size_t i = 0; i < lab->count; i++)
		assert_true(lab->samples[i].good || lab_was_late(lab->samples + i));
}

static void of_too_many_pending_requests_the_oldest_is_given_up(void **state)
{
	const uint64_t every = 5 * BRUNT_MS;
	struct lab *lab = *state;
	uint64_t oldest = 0;

	probe(lab, "/hang", every, 60 * BRUNT_S);
	lab_start(lab);
	(void)lab_next(lab);
	brunt_watch_stop(lab->watch);
	for (size_t i = 0; i < lab->count; i++) {
		const struct brunt_sample *sample = lab->samples + i;

		if (lab_was_late(sample))
			continue;
		assert_string_equal(sample->why, "given up: too many newer requests are pending");
		assert_false(sample->good);
		assert_true(sample->done - sample->at >= 64 * every);
		assert_true(sample->at > oldest);
		oldest = sample->at;
	}
}

static void ticks_missed_in_a_stall_are_told_but_neither_good_nor_bad_and_the_newest_is_sampled(void **state)
{
	const uint64_t every = 20 * BRUNT_MS;
	struct lab *lab = *state;
	size_t missed = 0, sampled = 0;
	uint64_t stalled, resumed;

	probe(lab, "/ok", every, 20 * BRUNT_S);
	lab_start(lab);
	lab_run_until(lab, 3);
	stalled = brunt_now();
	usleep(300000);
	resumed = brunt_now();
	run_gapless(lab, every, (resumed - lab->samples[0].at) / every + 5);
	brunt_watch_stop(lab->watch);
	for (size_t i = 0; i < lab->count; i++) {
		const struct brunt_sample *sample = lab->samples + i;

		if (!sample->good) {
			assert_true(lab_was_late(sample));
			assert_false(sample->judged);
			assert_false(sample->has_value);
			missed += sample->at > stalled && sample->at < resumed;
		} else if (sample->at > stalled && sample->at < resumed) {
			sampled++;
		}
	}
	/* all but the newest, of which there is one */
	assert_in_range(missed, 13, (resumed - stalled) / every + 1);
	assert_true(sampled <= 2);
}

static void stop_at_first(struct lab *lab, const struct brunt_sample *sample)
{
	(void)sample;
	brunt_watch_stop(lab->watch);
}

static void a_callback_may_stop_the_watch_in_the_middle_of_missed_ticks(void **state)
{
	struct lab *lab = *state;

	probe(lab, "/hang", 10 * BRUNT_MS, 50 * BRUNT_MS);
	probe(lab, "/ok", 10 * BRUNT_MS, 50 * BRUNT_MS);
	lab->on_sample = stop_at_first;
	lab_start(lab);
	usleep(200000);
	lab_run(lab, 100 * BRUNT_MS);
	assert_int_equal(lab->count, 1);
}

static void after_a_stop_nothing_comes_and_it_can_start_again(void **state)
{
	struct lab *lab = *state;
	uint64_t again;
	size_t count;

	probe(lab, "/slow", 20 * BRUNT_MS, BRUNT_S);
	lab_start(lab);
	lab_run(lab, 180 * BRUNT_MS);
	brunt_watch_stop(lab->watch);
	count = lab->count;
	lab_run(lab, 250 * BRUNT_MS);
	assert_int_equal(lab->count, count);
	again = brunt_now();
	lab_start(lab);
	lab_run_until(lab, count + 2);
	assert_true(lab->samples[count].at >= again);
}

static void a_watch_that_was_never_started_samples_nothing(void **state)
{
	struct lab *lab = *state;

	probe(lab, "/ok", 10 * BRUNT_MS, BRUNT_S);
	lab_new(lab);
	lab_run(lab, 60 * BRUNT_MS);
	assert_int_equal(lab->count, 0);
	brunt_watch_stop(lab->watch);
	brunt_watch_free(NULL);
}

static bool curl_is_mapped(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		found |= strstr(line, "libcurl") != NULL;
	fclose(maps);
	return found;
}

/* Must be the first test of this program: libcurl is never unloaded. */
static void libcurl_is_loaded_only_for_a_probe_that_needs_it(void **state)
{
	static struct brunt_process_sli process = { .min = 1 };
	struct lab *lab = *state;

	lab_sli(lab, BRUNT_SLI_PROCESS, BRUNT_S, BRUNT_S)->process = &process;
	lab_new(lab);
	assert_false(curl_is_mapped());
	brunt_watch_free(lab->watch);
	lab->watch = NULL;
	probe(lab, "/ok", BRUNT_S, BRUNT_S);
	lab_new(lab);
	assert_true(curl_is_mapped());
}

/* ---- command ---- */

static struct brunt_command_sli command;

static struct brunt_sli *command_sli(struct lab *lab, bool number)
{
	struct brunt_sli *sli = lab_sli(lab, BRUNT_SLI_COMMAND, 500 * BRUNT_MS, 300 * BRUNT_MS);

	command = (struct brunt_command_sli){ .number = number };
	sli->command = &command;
	return sli;
}

static const struct brunt_sample *command_result(struct lab *lab, bool number, int status, const char *output)
{
	if (!lab->plan.slis.count) {
		command_sli(lab, number)->factor = 1000;
		lab->slis[0].every = 600 * BRUNT_S; /* of the first tick alone */
		lab->slis[0].timeout = 60 * BRUNT_S;
	}
	command.number = number;
	brunt_watch_free(lab->watch);
	lab->watch = NULL;
	lab->count = 0;
	lab->begun_count = 0;
	lab_start(lab);
	while (!lab->begun_count)
		assert_true(sd_event_run(lab->loop, 100000) >= 0);
	brunt_watch_command(lab->watch, lab->begun[0], status, output);
	assert_int_equal(lab->count, 1);
	return lab->samples;
}

static void the_exit_status_of_a_command_is_good_or_bad(void **state)
{
	struct lab *lab = *state;
	const struct brunt_sample *sample = command_result(lab, false, 0, "whatever");

	assert_true(sample->judged && sample->good && !sample->has_value);
	sample = command_result(lab, false, 3 << 8, NULL);
	assert_true(sample->judged && !sample->good && !sample->has_value);
	assert_string_equal(sample->why, "exit status 3");
	sample = command_result(lab, false, SIGKILL, "");
	assert_string_equal(sample->why, "killed by SIGKILL");
}

static void a_command_may_print_a_number_and_nothing_else(void **state)
{
	static const struct {
		const char *output;
		double value; /* NAN: refused */
	} cases[] = {
		{ "42\n", 42 },	  { " 1.5 \n", 1.5 }, { "-3e2", -300 }, { "+7", 7 },	  { "0", 0 },
		{ "", NAN },	  { "\n", NAN },      { "1 2", NAN },	{ "12abc", NAN }, { "0x10", NAN },
		{ "inf", NAN },	  { "nan", NAN },     { "1e999", NAN }, { "--1", NAN },	  { "1,5", NAN },
		{ "1.2.3", NAN }, { "e", NAN },	      { NULL, NAN },
	};
	struct lab *lab = *state;

	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		const struct brunt_sample *sample = command_result(lab, true, 0, cases[i].output);

		assert_int_equal(sample->good, !isnan(cases[i].value));
		assert_int_equal(sample->has_value, sample->good);
		if (sample->good)
			assert_true(sample->value == cases[i].value * 1000);
		else
			assert_string_equal(sample->why, "output is not a number");
	}
	assert_false(command_result(lab, true, 1 << 8, "42")->good);
}

static void a_command_that_outlives_its_timeout_is_cancelled_and_its_late_end_ignored(void **state)
{
	struct lab *lab = *state;

	command_sli(lab, false)->every = 600 * BRUNT_S; /* of the first tick alone */
	lab_start(lab);
	assert_string_equal(lab_next(lab)->why, "timed out after 300 ms");
	assert_false(lab->samples[0].has_value);
	assert_int_equal(lab->cancelled_count, 1);
	assert_int_equal(lab->cancelled[0], lab->begun[0]);
	brunt_watch_command(lab->watch, lab->begun[0], 0, "");
	brunt_watch_command(lab->watch, 4711, 0, "");
	assert_int_equal(lab->count, 1);
}

static void a_command_that_cannot_be_started_is_bad_with_the_reason(void **state)
{
	struct lab *lab = *state;

	command_sli(lab, false);
	lab->refuse = EAGAIN;
	lab_start(lab);
	assert_string_equal(lab_next(lab)->why, "no launcher");
	assert_int_equal(lab->cancelled_count, 0);
}

static void a_stop_cancels_commands_under_way(void **state)
{
	struct lab *lab = *state;

	command_sli(lab, false)->every = 20 * BRUNT_MS;
	lab->slis[0].timeout = 60 * BRUNT_S;
	lab_start(lab);
	while (!lab->begun_count)
		assert_true(sd_event_run(lab->loop, 100000) >= 0);
	lab_run(lab, 90 * BRUNT_MS);
	brunt_watch_stop(lab->watch);
	assert_true(lab->begun_count >= 1);
	assert_int_equal(lab->cancelled_count, lab->begun_count);
	for (size_t i = 0; i < lab->count; i++)
		assert_true(lab_was_late(lab->samples + i));
}

/* ---- lines ---- */

static struct brunt_lines_sli lines;

static struct brunt_sli *lines_sli(struct lab *lab, const char *good, const char *bad, const char *value)
{
	struct brunt_sli *sli = lab_sli(lab, BRUNT_SLI_LINES, BRUNT_S, BRUNT_S);

	lines = (struct brunt_lines_sli){ .of = "load", .good = good, .bad = bad, .value = value, .service = 2 };
	sli->lines = &lines;
	sli->dimension = BRUNT_DIM_TIME;
	sli->factor = 1e6;
	lab_start(lab);
	return sli;
}

/* 'g' good, 'b' bad, 'v' without a flag, '-' no sample; the value of the sample goes to *ret_value, NAN when absent. */
static char line(struct lab *lab, const char *text, double *ret_value)
{
	static uint64_t at = 1000;
	const struct brunt_sample *sample = lab->samples;

	lab->count = 0;
	brunt_watch_line(lab->watch, 2, text, ++at);
	*ret_value = NAN;
	if (!lab->count)
		return '-';
	assert_int_equal(sample->at, at);
	assert_int_equal(sample->done, at);
	if (sample->has_value)
		*ret_value = sample->value;
	return !sample->judged ? 'v' : sample->good ? 'g' : 'b';
}

static void lines_are_good_bad_or_no_sample(void **state)
{
	struct lab *lab = *state;
	double value;

	lines_sli(lab, "^ok", "^err", "lat ([0-9.]+)");
	assert_int_equal(line(lab, "ok lat 2.5 ms", &value), 'g');
	assert_true(value == 2.5e6);
	assert_int_equal(line(lab, "ok without", &value), 'g');
	assert_true(isnan(value));
	assert_int_equal(line(lab, "err lat 7", &value), 'b');
	assert_true(isinf(value));
	assert_string_equal(lab->why[0], "bad line");
	assert_int_equal(line(lab, "starting, lat 7", &value), '-');
	assert_int_equal(line(lab, "", &value), '-');
	assert_int_equal(line(lab, "ok lat 1.2.3", &value), 'g');
	assert_true(isnan(value));
}

static void a_line_that_is_both_good_and_bad_is_bad(void **state)
{
	struct lab *lab = *state;
	double value;

	lines_sli(lab, "ok", "err", NULL);
	assert_int_equal(line(lab, "err: not ok", &value), 'b');
	assert_true(isnan(value));
}

static void a_value_alone_gives_samples_without_a_flag(void **state)
{
	struct lab *lab = *state;
	double value;

	lines_sli(lab, NULL, NULL, "([0-9]+) rps");
	assert_int_equal(line(lab, "now 120 rps", &value), 'v');
	assert_true(value == 120e6);
	assert_int_equal(line(lab, "warming up", &value), '-');
}

static void with_bad_and_value_a_line_with_a_value_is_good(void **state)
{
	struct lab *lab = *state;
	double value;

	lines_sli(lab, NULL, "^err", "([0-9]+) rps");
	lab->slis[0].dimension = BRUNT_DIM_NONE;
	assert_int_equal(line(lab, "now 120 rps", &value), 'g');
	assert_int_equal(line(lab, "hello", &value), '-');
	assert_int_equal(line(lab, "err", &value), 'b');
}

static void lines_of_another_service_and_lines_before_the_start_are_not_heard(void **state)
{
	struct lab *lab = *state;
	double value;

	lines_sli(lab, "ok", NULL, NULL);
	brunt_watch_line(lab->watch, 1, "ok", 5);
	assert_int_equal(lab->count, 0);
	assert_int_equal(line(lab, "ok", &value), 'g');
	brunt_watch_stop(lab->watch);
	assert_int_equal(line(lab, "ok", &value), '-');
}

static void a_value_pattern_without_a_group_is_refused(void **state)
{
	struct brunt_error err = { 0 };
	struct lab *lab = *state;

	lab_sli(lab, BRUNT_SLI_LINES, BRUNT_S, BRUNT_S)->lines = &lines;
	lines = (struct brunt_lines_sli){ .value = "[0-9]+" };
	assert_int_equal(brunt_watch_new(lab->loop, &lab->plan, NULL, &lab->ops, lab, &lab->watch, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "group"));
	lines.value = "([0-9]+";
	assert_int_equal(brunt_watch_new(lab->loop, &lab->plan, NULL, &lab->ops, lab, &lab->watch, &err), -EINVAL);
	assert_null(lab->watch);
}

/* ---- process ---- */

static struct brunt_process_sli process;

static void process_sli(struct lab *lab, uint64_t every, uint64_t min)
{
	process = (struct brunt_process_sli){ .min = min };
	lab_sli(lab, BRUNT_SLI_PROCESS, every, BRUNT_S)->process = &process;
	alive_code = 0;
	alive_cost = 0;
	alive_asked = 0;
}

static void how_many_are_alive_is_the_value_and_too_few_are_bad(void **state)
{
	const struct brunt_sample *sample;
	struct lab *lab = *state;

	process_sli(lab, 20 * BRUNT_MS, 3);
	alive_count = 3;
	lab_start(lab);
	sample = lab_next(lab);
	assert_true(sample->good && sample->has_value && sample->value == 3);
	alive_count = 2;
	sample = lab_next(lab);
	assert_true(!sample->good && sample->value == 2);
	assert_string_equal(sample->why, "2 alive");
	alive_code = -ESRCH;
	assert_string_equal(lab_next(lab)->why, "0 alive");
}

static void what_may_not_be_looked_at_is_bad_and_has_no_value(void **state)
{
	const struct brunt_sample *sample;
	struct lab *lab = *state;

	process_sli(lab, 20 * BRUNT_MS, 1);
	alive_code = -EACCES;
	lab_start(lab);
	sample = lab_next(lab);
	assert_true(sample->judged && !sample->good && !sample->has_value);
	assert_string_equal(sample->why, "not allowed to look");
}

static void counting_takes_at_most_a_quarter_of_the_time(void **state)
{
	struct lab *lab = *state;
	size_t counted = 0;

	process_sli(lab, 5 * BRUNT_MS, 1);
	alive_count = 1;
	alive_cost = 10000;
	/* until the machine has had nothing else to do meanwhile */
	for (int i = 0; i < 10; i++) {
		lab->count = alive_asked = 0;
		alive_spent = 0;
		lab_start(lab);
		lab_run(lab, 400 * BRUNT_MS);
		brunt_watch_stop(lab->watch);
		if (alive_asked >= 5 && alive_spent < alive_asked * 15 * BRUNT_MS &&
		    count_samples(lab, lab_was_late) < 20)
			break;
	}
	assert_in_range(alive_asked, 5, 11);
	for (size_t i = 0; i < lab->count; i++) {
		assert_int_equal((lab->samples[i].at - lab->samples[0].at) % (5 * BRUNT_MS), 0);
		counted += lab->samples[i].good;
	}
	/* A busy host may have made us late once or twice; of the 80 ticks, those left out on purpose are not bad. */
	assert_int_equal(counted, alive_asked);
	assert_true(lab->count - counted < 20);
}

/* ---- readiness ---- */

static struct brunt_ready ready;

static void ask_ready(struct lab *lab)
{
	struct brunt_error err = { 0 };

	ready.within = ready.within ? ready.within : 20 * BRUNT_S;
	lab->services[1].ready = &ready;
	lab->plan.services.count = 4;
	if (!lab->watch)
		lab_new(lab);
	lab->ready_calls = 0;
	if (brunt_watch_ready(lab->watch, 1, lab_ready, lab, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(lab->ready_calls, 0);
}

static void run_until_ready(struct lab *lab)
{
	uint64_t end = brunt_now() + 30 * BRUNT_S;

	while (!lab->ready_calls && brunt_now() < end)
		assert_true(sd_event_run(lab->loop, 100000) >= 0);
	lab_run(lab, 60 * BRUNT_MS);
	assert_int_equal(lab->ready_calls, 1);
}

static void a_service_is_ready_when_its_port_answers(void **state)
{
	struct server late;

	ready = (struct brunt_ready){ 0 };
	assert_true(server_start(&late, AF_INET));
	ready.tcp = late.where;
	ask_ready(*state);
	run_until_ready(*state);
	server_stop(&late);
	assert_int_equal(((struct lab *)*state)->ready_code, 0);
}

static void a_port_that_opens_later_is_found_within_some_tries(void **state)
{
	struct lab *lab = *state;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char where[32];
	uint64_t opened;

	/* Bound but not listening: refused. */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	snprintf(where, sizeof(where), "127.0.0.1:%d", ntohs(address.sin_port));
	ready = (struct brunt_ready){ .tcp = where };
	ask_ready(lab);
	lab_run(lab, 150 * BRUNT_MS);
	assert_int_equal(lab->ready_calls, 0);
	assert_int_equal(listen(fd, 8), 0);
	opened = brunt_now();
	run_until_ready(lab);
	close(fd);
	assert_int_equal(lab->ready_code, 0);
	assert_true(lab->ready_at - opened < 5 * BRUNT_S);
}

static void a_service_is_ready_when_it_answers_2xx_or_3xx(void **state)
{
	struct lab *lab = *state;

	ready = (struct brunt_ready){ .http = url };
	snprintf(url, sizeof(url), "http://%s/redirect", four.where);
	ask_ready(lab);
	run_until_ready(lab);
	assert_int_equal(lab->ready_code, 0);
}

static void a_service_that_answers_errors_is_not_ready_and_the_reason_is_told(void **state)
{
	struct lab *lab = *state;

	ready = (struct brunt_ready){ .http = url, .within = 2 * BRUNT_S };
	snprintf(url, sizeof(url), "http://%s/503", four.where);
	ask_ready(lab);
	run_until_ready(lab);
	assert_int_equal(lab->ready_code, -ETIMEDOUT);
	assert_string_equal(lab->ready_why, "not ready within 2 s: status 503");
}

static void a_file_makes_a_service_ready(void **state)
{
	struct lab *lab = *state;
	char path[] = "/tmp/brunt-ready-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	ready = (struct brunt_ready){ .file = path };
	ask_ready(lab);
	lab_run(lab, 80 * BRUNT_MS);
	assert_int_equal(lab->ready_calls, 0);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	run_until_ready(lab);
	unlink(path);
	close(fd);
	assert_int_equal(lab->ready_code, 0);
}

static void a_line_makes_a_service_ready_at_once(void **state)
{
	struct lab *lab = *state;

	ready = (struct brunt_ready){ .line = "^listening on [0-9]+$" };
	ask_ready(lab);
	brunt_watch_line(lab->watch, 1, "starting", 1);
	brunt_watch_line(lab->watch, 0, "listening on 80", 2);
	assert_int_equal(lab->ready_calls, 0);
	brunt_watch_line(lab->watch, 1, "listening on 80", 3);
	assert_int_equal(lab->ready_calls, 1);
	brunt_watch_line(lab->watch, 1, "listening on 80", 4);
	assert_int_equal(lab->ready_calls, 1);
	assert_int_equal(lab->ready_code, 0);
}

static void a_line_that_never_comes_is_told(void **state)
{
	struct lab *lab = *state;

	ready = (struct brunt_ready){ .line = "listening", .within = 100 * BRUNT_MS };
	ask_ready(lab);
	run_until_ready(lab);
	assert_int_equal(lab->ready_code, -ETIMEDOUT);
	assert_string_equal(lab->ready_why, "not ready within 100 ms: no line matched");
}

static void a_service_without_a_probe_is_ready_from_the_loop(void **state)
{
	struct brunt_error err = { 0 };
	struct lab *lab = *state;

	lab->plan.services.count = 4;
	lab_new(lab);
	assert_int_equal(brunt_watch_ready(lab->watch, 0, lab_ready, lab, &err), 0);
	assert_int_equal(lab->ready_calls, 0);
	run_until_ready(lab);
	assert_int_equal(lab->ready_code, 0);
}

static void asking_again_replaces_and_cancelling_forgets(void **state)
{
	struct lab *lab = *state;

	ready = (struct brunt_ready){ .line = "listening", .within = 100 * BRUNT_MS };
	ask_ready(lab);
	ask_ready(lab);
	brunt_watch_line(lab->watch, 1, "listening", 1);
	assert_int_equal(lab->ready_calls, 1);
	ask_ready(lab);
	brunt_watch_ready_cancel(lab->watch, 1);
	lab_run(lab, 200 * BRUNT_MS);
	assert_int_equal(lab->ready_calls, 0);
}

static void a_watch_is_freed_with_everything_under_way(void **state)
{
	struct lab *lab = *state;

	probe(lab, "/hang", 5 * BRUNT_MS, BRUNT_S);
	command_sli(lab, false)->every = 5 * BRUNT_MS;
	ready = (struct brunt_ready){ .http = url };
	ask_ready(lab);
	lab_start(lab);
	while (!lab->begun_count)
		assert_true(sd_event_run(lab->loop, 100000) >= 0);
	lab_run(lab, 60 * BRUNT_MS);
	/* The teardown frees it; the sanitizer counts what is left. */
}

/* ---- cost ---- */

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void a_hundred_slis_every_100_ms_are_sampled_without_a_gap(void **state)
{
	struct lab *lab = *state;
	double before, share, late = 0;
	size_t good = 0;
	uint64_t begun, took;

	probe(lab, "/ok", 100 * BRUNT_MS, 20 * BRUNT_S);
	for (int i = 1; i < 100; i++)
		lab_sli(lab, BRUNT_SLI_HTTP, 100 * BRUNT_MS, 20 * BRUNT_S)->http = &http;
	begun = brunt_now();
	lab_start(lab);
	before = cpu_seconds();
	lab_run_until(lab, 2000);
	took = brunt_now() - begun;
	share = (cpu_seconds() - before) * 1e9 / (double)took;
	brunt_watch_stop(lab->watch);
	for (size_t i = 0; i < lab->count; i++) {
		good += lab->samples[i].good;
		if (lab->samples[i].value > late && lab->samples[i].good)
			late = lab->samples[i].value;
	}
	print_message("100 SLIs every 100 ms: %zu samples, %zu good, %.1f %% of one CPU, slowest %.1f ms\n", lab->count,
		      good, share * 100, late / 1e6);
	assert_in_range(lab->count, 2000, 100 * (took / (100 * BRUNT_MS) + 1));
	/* the rest may have been late, on a machine with much else to do */
	assert_true(good > lab->count / 10);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)
	const struct CMUnitTest tests[] = {
		TEST(libcurl_is_loaded_only_for_a_probe_that_needs_it),
		TEST(samples_are_scheduled_at_exact_multiples_of_the_period),
		TEST(two_slis_share_one_start),
		TEST(a_sample_that_is_pending_at_its_timeout_is_bad_at_its_scheduled_time),
		TEST(slow_answers_overlap_and_are_all_good),
		TEST(of_too_many_pending_requests_the_oldest_is_given_up),
		TEST(ticks_missed_in_a_stall_are_told_but_neither_good_nor_bad_and_the_newest_is_sampled),
		TEST(a_callback_may_stop_the_watch_in_the_middle_of_missed_ticks),
		TEST(after_a_stop_nothing_comes_and_it_can_start_again),
		TEST(a_watch_that_was_never_started_samples_nothing),
		TEST(the_exit_status_of_a_command_is_good_or_bad),
		TEST(a_command_may_print_a_number_and_nothing_else),
		TEST(a_command_that_outlives_its_timeout_is_cancelled_and_its_late_end_ignored),
		TEST(a_command_that_cannot_be_started_is_bad_with_the_reason),
		TEST(a_stop_cancels_commands_under_way),
		TEST(lines_are_good_bad_or_no_sample),
		TEST(a_line_that_is_both_good_and_bad_is_bad),
		TEST(a_value_alone_gives_samples_without_a_flag),
		TEST(with_bad_and_value_a_line_with_a_value_is_good),
		TEST(lines_of_another_service_and_lines_before_the_start_are_not_heard),
		TEST(a_value_pattern_without_a_group_is_refused),
		TEST(how_many_are_alive_is_the_value_and_too_few_are_bad),
		TEST(what_may_not_be_looked_at_is_bad_and_has_no_value),
		TEST(counting_takes_at_most_a_quarter_of_the_time),
		TEST(a_service_is_ready_when_its_port_answers),
		TEST(a_port_that_opens_later_is_found_within_some_tries),
		TEST(a_service_is_ready_when_it_answers_2xx_or_3xx),
		TEST(a_service_that_answers_errors_is_not_ready_and_the_reason_is_told),
		TEST(a_file_makes_a_service_ready),
		TEST(a_line_makes_a_service_ready_at_once),
		TEST(a_line_that_never_comes_is_told),
		TEST(a_service_without_a_probe_is_ready_from_the_loop),
		TEST(asking_again_replaces_and_cancelling_forgets),
		TEST(a_watch_is_freed_with_everything_under_way),
		TEST(a_hundred_slis_every_100_ms_are_sampled_without_a_gap),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
