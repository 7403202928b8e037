/* SPDX-License-Identifier: Apache-2.0 */
/* The whole: recordings, then a run for each pair, and a second one for what looks bad. */
#include "survey/survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "survey/record.h"
#include "syscall/filter.h"

#define TRIES 3

/* Pairs that wait: those to be run again first, then the others in order. */
struct queue {
	struct survey_work *work;
	size_t next;
	size_t *again;
	size_t again_count;
	unsigned char *tries;
};

static bool take_next(struct queue *queue, size_t *ret)
{
	if (queue->again_count) {
		*ret = queue->again[--queue->again_count];
		return true;
	}
	if (queue->next == queue->work->result->count)
		return false;
	*ret = queue->next++;
	return true;
}

static int start(struct queue *queue, unsigned slot, size_t number, struct brunt_error *err)
{
	struct survey_work *work = queue->work;
	const struct brunt_survey_pair *pair = &work->result->pairs[number];
	struct brunt_call_rule rule;
	struct survey_task task = {
		.options = work->options,
		.rules = &rule,
		.rule_count = 1,
		.timeout = work->result->timeout,
		.base = work->base[0] ? work->base : NULL,
	};

	survey_rule_begin(work->options, brunt_survey_spares_stderr(&brunt_calls[pair->call]), &rule);
	brunt_call_set_add(&rule.calls, pair->call);
	rule.errnos[rule.errno_count++] = pair->code;
	rule.first = pair->first;
	rule.last = pair->last;
	rule.probability = 1;
	return survey_pool_start(&work->pool, slot, &task, number, err);
}

/* Is it worth a second look? What hangs takes too long, and is not what chance does. */
static bool is_doubtful(const struct brunt_survey_pair *pair)
{
	return pair->outcome > BRUNT_SURVEY_FAILED_CLEANLY && pair->outcome != BRUNT_SURVEY_HUNG;
}

static void found(struct queue *queue, const struct brunt_survey_pair *pair)
{
	struct survey_work *work = queue->work;

	if (!(work->options->fail_on >> pair->outcome & 1))
		return;
	work->progress.bad++;
	work->progress.found = pair;
	if (work->tell)
		work->tell(work->user, &work->progress);
	work->progress.found = NULL;
}

static int finish(struct queue *queue, const struct survey_slot *slot, struct brunt_error *err)
{
	struct survey_work *work = queue->work;
	struct brunt_survey_pair *pair = &work->result->pairs[slot->work], second = *pair;
	struct brunt_survey_end end = survey_board_end(slot->board);

	if (!slot->board->finished || slot->board->lost) {
		if (++queue->tries[slot->work] < TRIES) {
			queue->again[queue->again_count++] = slot->work;
			return 0;
		}
		return slot->board->why.msg[0] ? brunt_fail(err, slot->board->why.code, "%s", slot->board->why.msg)
					       : brunt_fail(err, EIO, "a run was killed from outside, %d times", TRIES);
	}
	work->result->done++;
	work->progress.done++;
	brunt_survey_classify(&work->result->record, &end, &second);
	if (pair->again) {
		brunt_survey_confirm(pair, &second);
	} else {
		*pair = second;
		if (is_doubtful(pair)) {
			pair->again = true;
			queue->again[queue->again_count++] = slot->work;
			work->progress.total++;
			return 0;
		}
	}
	found(queue, pair);
	return 0;
}

static void reckon(struct queue *queue, uint64_t began)
{
	struct brunt_survey_progress *progress = &queue->work->progress;
	uint64_t took = brunt_now() - began;

	queue->work->result->pair_duration = took;
	if (progress->done)
		progress->left = took / progress->done * (progress->total - progress->done);
}

static int run_all(struct queue *queue, struct brunt_error *err)
{
	struct survey_work *work = queue->work;
	struct brunt_survey_result *result = work->result;
	uint64_t began = brunt_now();
	unsigned busy = 0;
	size_t number;
	int r = 0, slot;

	while (!r) {
		while (!r && (slot = survey_pool_idle(&work->pool, result->jobs)) >= 0 && take_next(queue, &number)) {
			r = start(queue, (unsigned)slot, number, err);
			busy++;
		}
		if (r || !busy)
			break;
		slot = survey_work_wait(work);
		if (slot == -2)
			return -ECANCELED;
		if (slot >= 0) {
			busy--;
			r = finish(queue, &work->pool.slots[slot], err);
		}
		reckon(queue, began);
	}
	return r;
}

static int run_pairs(struct survey_work *work, struct brunt_error *err)
{
	struct brunt_survey_result *result = work->result;
	struct queue queue = { .work = work };
	int r;

	queue.again = calloc(result->count + 1, sizeof(*queue.again));
	queue.tries = calloc(result->count + 1, 1);
	work->progress.recording = false;
	work->progress.total = result->count;
	r = queue.again && queue.tries ? survey_pool_grow(&work->pool, result->jobs, err)
				       : brunt_fail(err, ENOMEM, "not enough memory for %zu runs", result->count);
	r = r ?: run_all(&queue, err);
	free(queue.again);
	free(queue.tries);
	return r;
}

static int make_base(struct survey_work *work, struct brunt_error *err)
{
	const char *tmp = getenv("TMPDIR");
	struct stat st;

	if (!work->options->dir)
		return 0;
	if (stat(work->options->dir, &st) || !S_ISDIR(st.st_mode))
		return brunt_fail(err, ENOTDIR, "'%s' is not a folder", work->options->dir);
	if (snprintf(work->base, sizeof(work->base), "%s/brunt-survey.XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp") >=
		    (int)sizeof(work->base) ||
	    !mkdtemp(work->base)) {
		int code = errno;

		work->base[0] = '\0';
		return brunt_fail(err, code, "cannot make a folder for copies: %s", strerror(code));
	}
	return 0;
}

int brunt_survey(const struct brunt_survey_options *options, int stop,
		 void (*progress)(void *user, const struct brunt_survey_progress *progress), void *user,
		 struct brunt_survey_result *ret, struct brunt_error *err)
{
	struct survey_work work = { .options = options, .result = ret, .tell = progress, .user = user, .stop = stop };
	int r;

	memset(ret, 0, sizeof(*ret));
	work.began = brunt_now();
	work.progress.recording = true;
	r = brunt_filter_probe(err);
	r = r ?: make_base(&work, err);
	r = r ?: survey_record(&work, err);
	if (!r && brunt_survey_plan(options, &ret->record, &ret->pairs, &ret->count))
		r = brunt_fail(err, ENOMEM, "not enough memory for the plan");
	r = r ?: run_pairs(&work, err);
	survey_pool_done(&work.pool);
	if (work.base[0])
		survey_tree_remove(work.base);
	ret->duration = brunt_now() - work.began;
	ret->record.end.out.text = ret->record.end.err.text = ret->record.end.checked.text = NULL;
	for (size_t i = 0; i < BRUNT_COUNT(work.texts); i++)
		free(work.texts[i]);
	if (r == -ECANCELED) {
		ret->stopped = true;
		return 0;
	}
	return r;
}

void brunt_survey_done(struct brunt_survey_result *result)
{
	free(result->pairs);
	result->pairs = NULL;
	result->count = 0;
}
