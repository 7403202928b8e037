/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schedule. Tick k of every SLI is at start + k * every, whatever became
 * of the ticks before. One timer per SLI serves its next tick and the deadline
 * of its oldest request; requests of one SLI have one timeout, so they expire
 * in the order in which they began.
 *
 * When this process itself was stalled, the newest tick that is due is sampled
 * and those before it are told as samples that are neither good nor bad ("not
 * sampled"): nobody looked, so they say nothing about the system. Too many of
 * them in a row are no data, which is what a bound's `no_data` decides.
 */
#include "watch/watch.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#define ACCURACY_US 1000
#define MISSED_MAX  1000 /* gaps told after one stall; a night in suspend is not told tick by tick */

static const struct brunt_source_kind *const kinds[] = {
	[BRUNT_SLI_HTTP] = &brunt_source_http,	     [BRUNT_SLI_TCP] = &brunt_source_tcp,
	[BRUNT_SLI_COMMAND] = &brunt_source_command, [BRUNT_SLI_LINES] = &brunt_source_lines,
	[BRUNT_SLI_PROCESS] = &brunt_source_process,
};

void brunt_source_emit(struct brunt_source *source, uint64_t at, const struct brunt_outcome *outcome)
{
	struct brunt_watch *watch = source->watch;
	struct brunt_sample sample = {
		.sli = source->sli->index,
		.at = at,
		.done = brunt_now(),
		.judged = outcome->judged,
		.good = outcome->good,
		.has_value = outcome->has_value,
		.value = outcome->value,
		.why = outcome->good ? NULL : outcome->why,
	};

	/* Lines carry the time of their own. */
	if (sample.done < at || source->sli->kind == BRUNT_SLI_LINES)
		sample.done = at;
	watch->ops.sample(watch->user, &sample);
}

void brunt_source_fail(struct brunt_source *source, uint64_t at, const char *why)
{
	struct brunt_outcome outcome = { .judged = true, .why = why };

	if (source->latency) {
		outcome.has_value = true;
		outcome.value = INFINITY;
	}
	brunt_source_emit(source, at, &outcome);
}

static void append(struct brunt_source *source, struct brunt_request *request)
{
	request->previous = source->newest;
	if (source->newest)
		source->newest->next = request;
	else
		source->oldest = request;
	source->newest = request;
	source->pending++;
}

static void unlink_request(struct brunt_request *request)
{
	struct brunt_source *source = request->source;

	if (request->previous)
		request->previous->next = request->next;
	else
		source->oldest = request->next;
	if (request->next)
		request->next->previous = request->previous;
	else
		source->newest = request->previous;
	source->pending--;
}

void brunt_request_finish(struct brunt_request *request, const struct brunt_outcome *outcome)
{
	struct brunt_source *source = request->source;
	uint64_t at = request->at;

	unlink_request(request);
	brunt_transfer_done(&request->transfer);
	free(request);
	brunt_source_emit(source, at, outcome);
}

void brunt_request_fail(struct brunt_request *request, const char *why)
{
	struct brunt_source *source = request->source;
	uint64_t at = request->at;

	unlink_request(request);
	brunt_transfer_done(&request->transfer);
	free(request);
	brunt_source_fail(source, at, why);
}

static void give_up(struct brunt_request *request, const char *why)
{
	request->source->kind->cancel(request);
	brunt_request_fail(request, why);
}

static void expire(struct brunt_source *source, uint64_t now)
{
	char why[BRUNT_WHY_SIZE], duration[32];

	(void)brunt_duration_print(source->sli->timeout, duration, sizeof(duration));
	snprintf(why, sizeof(why), "timed out after %s", duration);
	while (source->oldest && source->oldest->at + source->sli->timeout <= now)
		give_up(source->oldest, why);
}

static void begin(struct brunt_source *source, uint64_t at)
{
	struct brunt_error err = { 0 };
	struct brunt_request *request;
	int r;

	if (source->kind->sample) {
		source->kind->sample(source, at);
		return;
	}
	if (source->pending >= source->kind->pending_max) {
		give_up(source->oldest, "given up: too many newer requests are pending");
		if (!source->watch->running)
			return;
	}
	request = calloc(1, sizeof(*request));
	if (!request) {
		brunt_source_fail(source, at, "not sampled: out of memory");
		return;
	}
	request->source = source;
	request->at = at;
	request->started = brunt_now();
	append(source, request);
	r = source->kind->begin(request, &err);
	if (r < 0)
		brunt_request_fail(request, err.msg[0] ? err.msg : "not sampled");
}

static void miss(struct brunt_source *source, uint64_t now, uint64_t missed)
{
	uint64_t every = source->sli->every;
	char why[BRUNT_WHY_SIZE], duration[32];
	const struct brunt_outcome gap = { .why = why };

	(void)brunt_duration_print(now - source->next, duration, sizeof(duration));
	snprintf(why, sizeof(why), "not sampled: brunt was %s late", duration);
	if (missed > MISSED_MAX) {
		source->next += (missed - MISSED_MAX) * every;
		missed = MISSED_MAX;
	}
	while (missed-- && source->watch->running) {
		uint64_t at = source->next;

		source->next += every;
		/* What was left out on purpose was not missed. */
		if (at >= source->rest_until)
			brunt_source_emit(source, at, &gap);
	}
}

static void tick(struct brunt_source *source, uint64_t now)
{
	uint64_t every = source->sli->every, at;

	if (now < source->next)
		return;
	if (now - source->next >= every)
		miss(source, now, (now - source->next) / every);
	if (!source->watch->running)
		return;
	at = source->next;
	source->next += every;
	begin(source, at);
}

static int rearm(struct brunt_source *source)
{
	uint64_t when = source->next;
	int r;

	if (source->oldest && source->oldest->at + source->sli->timeout < when)
		when = source->oldest->at + source->sli->timeout;
	r = sd_event_source_set_time(source->timer, (when + BRUNT_US - 1) / BRUNT_US);
	return r < 0 ? r : sd_event_source_set_enabled(source->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *user)
{
	struct brunt_source *source = user;
	uint64_t now = brunt_now();

	(void)timer;
	(void)usec;
	expire(source, now);
	if (source->watch->running)
		tick(source, now);
	return source->watch->running ? rearm(source) : 0;
}

static bool needs_curl(const struct brunt_plan *plan)
{
	BRUNT_FOREACH (const struct brunt_sli, sli, plan->slis) {
		if (sli->kind == BRUNT_SLI_HTTP || sli->kind == BRUNT_SLI_TCP)
			return true;
	}
	BRUNT_FOREACH (const struct brunt_service, service, plan->services) {
		if (service->ready && (service->ready->tcp || service->ready->http))
			return true;
	}
	return false;
}

static int setup_transfers(struct brunt_watch *watch, struct brunt_error *err)
{
	int r;

	if (!needs_curl(watch->plan))
		return 0;
	r = brunt_curl_load(&watch->curl, err);
	if (r < 0)
		return r;
	r = brunt_transfers_new(watch->loop, watch->curl, &watch->transfers);
	return r < 0 ? brunt_fail(err, -r, "cannot prepare HTTP probes") : 0;
}

static int setup_source(struct brunt_watch *watch, struct brunt_source *source, const struct brunt_sli *sli,
			struct brunt_error *err)
{
	int r;

	source->watch = watch;
	source->sli = sli;
	source->kind = kinds[sli->kind];
	if (source->kind->setup) {
		r = source->kind->setup(source, err);
		if (r < 0)
			return brunt_wrap(err, "SLI '%s'", sli->name);
	}
	if (sli->kind == BRUNT_SLI_LINES)
		return 0;
	if (!sli->every || !sli->timeout)
		return brunt_fail(err, EINVAL, "SLI '%s' has no period or no timeout", sli->name);
	r = sd_event_add_time(watch->loop, &source->timer, CLOCK_BOOTTIME, 0, ACCURACY_US, on_timer, source);
	if (r >= 0)
		r = sd_event_source_set_enabled(source->timer, SD_EVENT_OFF);
	return r < 0 ? brunt_fail(err, -r, "SLI '%s' gets no timer", sli->name) : 0;
}

static void cleanup_watch(struct brunt_watch **watch)
{
	brunt_watch_free(*watch);
}

int brunt_watch_new(sd_event *loop, const struct brunt_plan *plan, const struct brunt_resolve_context *context,
		    const struct brunt_watch_ops *ops, void *user, struct brunt_watch **ret, struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_watch) struct brunt_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return brunt_fail(err, ENOMEM, "out of memory");
	watch->loop = sd_event_ref(loop);
	watch->plan = plan;
	watch->context = context;
	watch->ops = *ops;
	watch->user = user;
	r = setup_transfers(watch, err);
	if (r < 0)
		return r;
	if (plan->slis.count) {
		watch->sources = calloc(plan->slis.count, sizeof(*watch->sources));
		if (!watch->sources)
			return brunt_fail(err, ENOMEM, "out of memory");
	}
	BRUNT_FOREACH (const struct brunt_sli, sli, plan->slis) {
		r = setup_source(watch, watch->sources + watch->source_count++, sli, err);
		if (r < 0)
			return r;
	}
	*ret = BRUNT_TAKE_PTR(watch);
	return 0;
}

int brunt_watch_start(struct brunt_watch *watch, struct brunt_error *err)
{
	uint64_t start = brunt_now();

	watch->running = true;
	for (size_t i = 0; i < watch->source_count; i++) {
		struct brunt_source *source = watch->sources + i;
		int r;

		if (!source->timer)
			continue;
		source->next = start;
		source->rest_until = 0;
		r = rearm(source);
		if (r < 0) {
			brunt_watch_stop(watch);
			return brunt_fail(err, -r, "SLI '%s' gets no timer", source->sli->name);
		}
	}
	return 0;
}

void brunt_watch_stop(struct brunt_watch *watch)
{
	watch->running = false;
	for (size_t i = 0; i < watch->source_count; i++) {
		struct brunt_source *source = watch->sources + i;

		if (source->timer)
			(void)sd_event_source_set_enabled(source->timer, SD_EVENT_OFF);
		while (source->oldest) {
			struct brunt_request *request = source->oldest;

			source->kind->cancel(request);
			unlink_request(request);
			brunt_transfer_done(&request->transfer);
			free(request);
		}
	}
}

void brunt_watch_free(struct brunt_watch *watch)
{
	if (!watch)
		return;
	brunt_watch_stop(watch);
	brunt_ready_drop_all(watch);
	for (size_t i = 0; i < watch->source_count; i++) {
		struct brunt_source *source = watch->sources + i;

		sd_event_source_disable_unref(source->timer);
		if (source->kind->clean)
			source->kind->clean(source);
	}
	brunt_transfers_free(watch->transfers);
	free(watch->sources);
	sd_event_unref(watch->loop);
	free(watch);
}

void brunt_watch_line(struct brunt_watch *watch, uint32_t service, const char *line, uint64_t at)
{
	brunt_ready_line(watch, service, line);
	for (size_t i = 0; i < watch->source_count && watch->running; i++) {
		struct brunt_source *source = watch->sources + i;

		if (source->sli->kind == BRUNT_SLI_LINES && source->sli->lines->service == service)
			brunt_lines_take(source, line, at);
	}
}

void brunt_watch_command(struct brunt_watch *watch, uint64_t sequence, int status, const char *output)
{
	for (size_t i = 0; i < watch->source_count; i++) {
		struct brunt_source *source = watch->sources + i;

		if (source->sli->kind == BRUNT_SLI_COMMAND && brunt_command_take(source, sequence, status, output))
			return;
	}
}
