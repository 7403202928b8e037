/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recordings. The first asks about all calls and says which are made at all.
 * The others have one rule for each of those, so that each has a count of what
 * could fail: not what the dynamic loader does, nor what is written to
 * descriptor 2. Two of them run at once, to see whether the command bears that.
 */
#include "survey/record.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/units.h"

#define RECORD_TIMEOUT (120 * BRUNT_S)
#define LEAST_TIMEOUT  (5 * BRUNT_S)
#define TICK_MS	       250
#define TRIES	       3

struct recording {
	const struct brunt_call_rule *rules;
	size_t rule_count;
	unsigned calls[BRUNT_KEEP_RULES_MAX]; /* which call a rule is about; with per_call */
	bool per_call;
};

void survey_rule_begin(const struct brunt_survey_options *options, bool spares_stderr, struct brunt_call_rule *ret)
{
	*ret = (struct brunt_call_rule){ .spare_loader = !options->loader };
	if (spares_stderr) {
		ret->argument_count = 1;
		ret->arguments[0] = (struct brunt_argument){ .index = 0, .compare = BRUNT_IS_NOT, .value = 2 };
	}
}

int survey_work_wait(struct survey_work *work)
{
	int slot = survey_pool_wait(&work->pool, work->stop, TICK_MS);

	work->progress.elapsed = brunt_now() - work->began;
	if (work->tell)
		work->tell(work->user, &work->progress);
	work->progress.found = NULL;
	return slot;
}

/* ---- one recording ---- */

static uint64_t timeout_of(const struct brunt_survey_options *options)
{
	return options->timeout > RECORD_TIMEOUT ? options->timeout : RECORD_TIMEOUT;
}

static int begin(struct survey_work *work, const struct recording *recording, unsigned slot, struct brunt_error *err)
{
	struct survey_task task = {
		.options = work->options,
		.rules = recording->rules,
		.rule_count = recording->rule_count,
		.timeout = timeout_of(work->options),
		.base = work->base[0] ? work->base : NULL,
	};

	work->progress.round++;
	return survey_pool_start(&work->pool, slot, &task, slot, err);
}

static int look(const struct survey_work *work, const struct survey_board *board, struct brunt_error *err)
{
	char text[64];

	if (!board->finished)
		return board->why.msg[0] ? brunt_fail(err, board->why.code, "%s", board->why.msg)
					 : brunt_fail(err, EIO, "a run of the command was killed from outside");
	if (board->lost)
		return -EAGAIN;
	if (board->end.timed_out)
		return brunt_fail(err, EINVAL,
				  "the command does not end within %s: say how long it is to run, with --for",
				  brunt_duration_print(timeout_of(work->options), text, sizeof(text)));
	if (WIFSIGNALED(board->end.status) && !board->end.by_us)
		return brunt_fail(err, EINVAL, "the command is killed by %s without any failure of ours",
				  brunt_signal_name(WTERMSIG(board->end.status)) ?: "a signal");
	return 0;
}

/* Runs one alone, into slot 0. */
static int record_alone(struct survey_work *work, const struct recording *recording, struct brunt_error *err)
{
	int r = -EAGAIN;

	for (int try = 0; try < TRIES && r == -EAGAIN; try++) {
		int slot = -1;

		r = begin(work, recording, 0, err);
		while (!r && slot == -1)
			slot = survey_work_wait(work);
		if (!r)
			r = slot == -2 ? -ECANCELED : look(work, work->pool.slots[0].board, err);
	}
	return r == -EAGAIN
		       ? brunt_fail(err, EIO, "the keeper does not live through a run: is the machine out of memory?")
		       : r;
}

/* ---- what it says ---- */

static int keep_text(struct survey_work *work, unsigned which, struct brunt_survey_text *text)
{
	work->texts[which] = malloc(text->kept + 1);
	if (!work->texts[which])
		return -ENOMEM;
	memcpy(work->texts[which], text->text, text->kept);
	text->text = work->texts[which];
	return 0;
}

static int take_first(struct survey_work *work, struct brunt_error *err)
{
	struct brunt_survey_record *record = &work->result->record;
	const struct survey_board *board = work->pool.slots[0].board;

	record->end = survey_board_end(board);
	record->out_steady = record->err_steady = record->check_steady = true;
	record->out_alike = record->err_alike = true;
	if (keep_text(work, 0, &record->end.out) || keep_text(work, 1, &record->end.err) ||
	    keep_text(work, 2, &record->end.checked))
		return brunt_fail(err, ENOMEM, "not enough memory for what the command says");
	memcpy(record->others, board->calls, sizeof(record->others));
	return 0;
}

static void take_counts(struct survey_work *work, const struct recording *recording, const struct survey_board *board)
{
	struct brunt_survey_record *record = &work->result->record;

	for (size_t i = 0; recording->per_call && i < recording->rule_count; i++) {
		unsigned call = recording->calls[i];
		uint64_t all = board->calls[call], could = board->matched[i];

		record->counts[call] = could;
		record->others[call] = all > could ? all - could : 0;
	}
}

static const char *end_text(const struct brunt_survey_end *end, char *buf, size_t size)
{
	const struct brunt_survey_pair pair = {
		.status = end->status,
		.by_us = end->by_us,
		.signal = WIFSIGNALED(end->status) ? WTERMSIG(end->status) : 0,
	};

	return brunt_survey_end_text(&pair, buf, size);
}

/* A second one: what differs is not compared; how it ends must not. */
static int compare(struct survey_work *work, const struct survey_board *board, struct brunt_error *err)
{
	struct brunt_survey_record *record = &work->result->record;
	struct brunt_survey_end end = survey_board_end(board);
	char first[64], second[64];

	if (!brunt_survey_same_end(&record->end, &end))
		return brunt_fail(err, EINVAL,
				  "the command does not end twice in the same way (%s, then %s): nothing could be "
				  "compared",
				  end_text(&record->end, first, sizeof(first)), end_text(&end, second, sizeof(second)));
	record->out_steady &= brunt_survey_same_text(&record->end.out, &end.out);
	record->err_steady &= brunt_survey_same_text(&record->end.err, &end.err);
	record->out_alike &= brunt_survey_alike_text(&record->end.out, &end.out);
	record->err_alike &= brunt_survey_alike_text(&record->end.err, &end.err);
	record->check_steady &=
		record->end.check == end.check && brunt_survey_same_text(&record->end.checked, &end.checked);
	if (end.duration > record->end.duration)
		record->end.duration = end.duration;
	return 0;
}

static bool is_alike(const struct brunt_survey_record *record, const struct survey_board *board)
{
	struct brunt_survey_end end = survey_board_end(board);

	return board->finished && !board->lost && brunt_survey_same_end(&record->end, &end) &&
	       (!record->out_steady || brunt_survey_same_text(&record->end.out, &end.out)) &&
	       (!record->err_steady || brunt_survey_same_text(&record->end.err, &end.err)) &&
	       (!record->check_steady ||
		(record->end.check == end.check && brunt_survey_same_text(&record->end.checked, &end.checked)));
}

/* Two at once, in slots 0 and 1. */
static int record_together(struct survey_work *work, const struct recording *a, const struct recording *b,
			   struct brunt_error *err)
{
	unsigned open = 2;
	int r = survey_pool_grow(&work->pool, 2, err);

	r = r ?: begin(work, a, 0, err);
	r = r ?: begin(work, b, 1, err);
	while (!r && open) {
		int slot = survey_work_wait(work);

		if (slot == -2)
			r = -ECANCELED;
		else if (slot >= 0)
			open--;
	}
	if (r)
		return r;
	work->result->record.together = is_alike(&work->result->record, work->pool.slots[0].board) &&
					is_alike(&work->result->record, work->pool.slots[1].board);
	return 0;
}

/* ---- all of them ---- */

static void ask_about_all(const struct brunt_survey_options *options, struct brunt_call_rule rules[2],
			  size_t *ret_count)
{
	survey_rule_begin(options, false, &rules[0]);
	survey_rule_begin(options, true, &rules[1]);
	/* nothing is decided in the first recording */
	rules[0].spare_loader = rules[1].spare_loader = false;
	for (unsigned i = 0; i < brunt_call_count; i++) {
		const struct brunt_call *call = &brunt_calls[i];

		if (options->has_calls ? !brunt_call_set_has(&options->calls, i) : brunt_survey_left_out(call) != NULL)
			continue;
		if (brunt_call_may_fail(call) && brunt_call_number(call, brunt_call_arch()) >= 0)
			brunt_call_set_add(&rules[brunt_survey_spares_stderr(call)].calls, i);
	}
	*ret_count = 2;
}

/* One rule for each call that is made, in as many recordings as it takes. */
static struct recording *split(const struct survey_work *work, struct brunt_call_rule **ret_rules, size_t *ret_count)
{
	const struct brunt_survey_record *record = &work->result->record;
	struct recording *recordings;
	struct brunt_call_rule *rules;
	size_t made = 0, count;

	for (unsigned i = 0; i < brunt_call_count; i++)
		made += record->others[i] > 0;
	count = (made + BRUNT_KEEP_RULES_MAX - 1) / BRUNT_KEEP_RULES_MAX;
	recordings = calloc(count ? count : 1, sizeof(*recordings));
	rules = calloc(made ? made : 1, sizeof(*rules));
	*ret_rules = rules;
	*ret_count = count;
	if (!recordings || !rules) {
		free(recordings);
		return NULL;
	}
	made = 0;
	for (unsigned i = 0; i < brunt_call_count; i++) {
		struct recording *into = &recordings[made / BRUNT_KEEP_RULES_MAX];

		if (!record->others[i])
			continue;
		survey_rule_begin(work->options, brunt_survey_spares_stderr(&brunt_calls[i]), &rules[made]);
		brunt_call_set_add(&rules[made].calls, i);
		into->per_call = true;
		if (!into->rule_count)
			into->rules = &rules[made];
		into->calls[into->rule_count++] = i;
		made++;
	}
	return recordings;
}

static unsigned processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned)CPU_COUNT(&set) < SURVEY_JOBS_MAX ? (unsigned)CPU_COUNT(&set) : SURVEY_JOBS_MAX;
}

static int record_split(struct survey_work *work, const struct recording *recordings, size_t count,
			struct brunt_error *err)
{
	size_t known = 1;
	int r = record_alone(work, &recordings[0], err);

	r = r ?: compare(work, work->pool.slots[0].board, err);
	if (r)
		return r;
	take_counts(work, &recordings[0], work->pool.slots[0].board);
	if (!work->options->jobs && processors() > 1) {
		const struct recording *a = &recordings[1 % count], *b = &recordings[2 % count];

		work->result->record.tried_together = true;
		r = record_together(work, a, b, err);
		if (!r && work->result->record.together) {
			take_counts(work, a, work->pool.slots[0].board);
			take_counts(work, b, work->pool.slots[1].board);
			known = 3;
		}
	}
	for (; !r && known < count; known++) {
		r = record_alone(work, &recordings[known], err);
		r = r ?: compare(work, work->pool.slots[0].board, err);
		if (!r)
			take_counts(work, &recordings[known], work->pool.slots[0].board);
	}
	return r;
}

int survey_record(struct survey_work *work, struct brunt_error *err)
{
	const struct brunt_survey_options *options = work->options;
	struct brunt_survey_result *result = work->result;
	BRUNT_AUTO_FREE struct recording *recordings = NULL;
	BRUNT_AUTO_FREE struct brunt_call_rule *rules = NULL;
	struct brunt_call_rule all[2];
	struct recording first = { .rules = all };
	size_t count;
	int r;

	ask_about_all(options, all, &first.rule_count);
	r = survey_pool_grow(&work->pool, 1, err);
	r = r ?: record_alone(work, &first, err);
	r = r ?: take_first(work, err);
	if (r)
		return r;
	recordings = split(work, &rules, &count);
	if (!recordings)
		return brunt_fail(err, ENOMEM, "not enough memory to record the command");
	if (count)
		r = record_split(work, recordings, count, err);
	result->jobs = options->jobs ? options->jobs : result->record.together ? processors() : 1;
	result->timeout = options->timeout				     ? options->timeout
			  : 10 * result->record.end.duration > LEAST_TIMEOUT ? 10 * result->record.end.duration
									     : LEAST_TIMEOUT;
	return r;
}
