/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples come in, conditions are judged at every one of them, and a broken
 * guardrail reverts before anything else is done.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "brunt/clock.h"
#include "run/controller.h"

#define LATE (250 * BRUNT_MS) /* so much later than its timeout may a sample be told */

static const char *truth_name(enum brunt_truth truth)
{
	switch (truth) {
	case BRUNT_HOLDS:
		return "holds";
	case BRUNT_BROKEN:
		return "broken";
	case BRUNT_UNKNOWN:
		break;
	}
	return "unknown";
}

/* Infinite values have no JSON number: null. */
static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static enum brunt_truth judge_at(struct controller *ctl, const struct brunt_condition *condition, uint64_t not_before,
				 uint64_t now, struct brunt_condition_state *state)
{
	enum brunt_truth before = state->truth, truth = BRUNT_UNKNOWN;
	bool during = state == &ctl->during[condition->index];

	if (condition->resolved_sli)
		truth = brunt_condition_judge(condition, ctl->series[condition->resolved_sli->index], not_before, now,
					      during, state);
	else if (ctl->alive_known[condition->index])
		truth = brunt_condition_judge_alive(condition, ctl->alive[condition->index], now, state);
	if (truth == before)
		return truth;

	json_t *fields = json_pack("{s:i, s:s, s:I, s:I, s:s, s:b}", "condition", (int)condition->index, "truth",
				   truth_name(truth), "count", (json_int_t)state->reading.count, "bad",
				   (json_int_t)state->reading.bad, "phase", ctl->phase, "during", during);

	if (fields && state->reading.count)
		(void)json_object_set_new(fields, "value", number(state->reading.value));
	controller_emit_fields(ctl, "condition", 0, fields);
	return truth;
}

enum brunt_truth controller_judge(struct controller *ctl, const struct brunt_condition *condition, uint64_t not_before,
				  struct brunt_condition_state *state)
{
	return judge_at(ctl, condition, not_before, brunt_now(), state);
}

/*
 * A request that was sent while faults were held is judged with them, also when it fails only after the undo: with a
 * timeout longer than the hold every one of them does. So the last window, which ends at the undo, stays open until
 * nothing in it can be pending any more.
 */
void controller_judge_during(struct controller *ctl, uint64_t now)
{
	if (!ctl->first_applied)
		return;
	BRUNT_FOREACH (struct brunt_condition, condition, ctl->plan->steady_state) {
		const struct brunt_sli *sli = condition->resolved_sli;
		uint64_t at = now;

		if (ctl->reverted && (!sli || now > ctl->reverted + sli->timeout + LATE))
			continue;
		if (ctl->reverted && at > ctl->reverted)
			at = ctl->reverted;
		(void)judge_at(ctl, condition, ctl->first_applied, at, &ctl->during[condition->index]);
	}
}

static void breach(struct controller *ctl, const struct brunt_condition *condition,
		   const struct brunt_condition_state *state)
{
	char value[64] = "no data";

	if (ctl->breach_sample)
		return;
	ctl->breach_sample = state->reading.newest ? state->reading.newest : brunt_now();
	/* First the revert, then the words. */
	controller_revert_all(ctl, true);
	if (condition->target) {
		(void)snprintf(value, sizeof(value), "%llu alive", (unsigned long long)ctl->alive[condition->index]);
	} else if (state->reading.count) {
		enum brunt_dimension dimension =
			condition->has_min ? condition->min.dimension : condition->max.dimension;

		(void)brunt_quantity_print(state->reading.value, dimension, value, sizeof(value));
	}

	json_t *fields = json_pack("{s:i, s:I, s:s}", "condition", (int)condition->index, "sample_ns",
				   (json_int_t)ctl->breach_sample, "why", state->no_data ? "no data" : value);

	if (fields && state->reading.count)
		(void)json_object_set_new(fields, "value", number(state->reading.value));
	controller_emit_fields(ctl, "guardrail", 0, fields);
	controller_stop(ctl, STOP_GUARDRAIL, "%s: %s", condition->text, value);
}

static void guard(struct controller *ctl)
{
	if (!ctl->guarding || ctl->stop > STOP_METHOD)
		return;
	BRUNT_FOREACH (struct brunt_condition, condition, ctl->plan->guardrails) {
		struct brunt_condition_state *state = &ctl->conditions[condition->index];

		if (controller_judge(ctl, condition, ctl->watch_started, state) == BRUNT_BROKEN) {
			breach(ctl, condition, state);
			return;
		}
	}
}

static void emit_sample(struct controller *ctl, const struct brunt_sample *sample)
{
	const struct brunt_sli *sli = (const struct brunt_sli *)ctl->plan->slis.items + sample->sli;
	json_t *fields = json_pack("{s:s, s:I, s:I}", "sli", sli->name, "scheduled_ns", (json_int_t)sample->at,
				   "took_ns", (json_int_t)(sample->done > sample->at ? sample->done - sample->at : 0));

	if (!fields)
		return;
	if (sample->judged)
		(void)json_object_set_new(fields, "good", json_boolean(sample->good));
	if (sample->has_value)
		(void)json_object_set_new(fields, "value", number(sample->value));
	if (sample->why && !sample->good)
		(void)json_object_set_new(fields, "why", json_string(sample->why));
	controller_emit_fields(ctl, "sample", sample->done, fields);
}

static void on_sample(void *user, const struct brunt_sample *sample)
{
	struct controller *ctl = user;

	if (brunt_series_add(ctl->series[sample->sli], sample))
		controller_stop(ctl, STOP_ERROR, "out of memory for samples");
	guard(ctl);
	emit_sample(ctl, sample);
	controller_judge_during(ctl, brunt_now());
}

static int run_command(void *user, uint32_t sli, uint64_t *ret_sequence, struct brunt_error *err)
{
	struct controller *ctl = user;
	struct command_run *command;
	int r = controller_launch(ctl, BRUNT_LAUNCH_SLI, sli, &command);

	if (r)
		return brunt_fail(err, -r, "the launcher takes no command");
	*ret_sequence = command->sequence;
	return 0;
}

static void cancel_command(void *user, uint64_t sequence)
{
	struct controller *ctl = user;

	for (struct command_run *command = ctl->commands; command; command = command->next)
		if (command->sequence == sequence) {
			controller_launch_cancel(ctl, command);
			return;
		}
}

/* Bounds on a target ask the holder; `for` and no_data need a look when no sample comes. */
static int on_tick(sd_event_source *source, uint64_t usec, void *user)
{
	struct controller *ctl = user;
	const struct brunt_target *targets = ctl->plan->targets.items;

	(void)usec;
	for (uint32_t i = 0; i < ctl->plan->condition_count; i++) {
		const struct brunt_target *target = ctl->plan->conditions[i]->resolved_target;

		if (target)
			(void)controller_verb(ctl, BRUNT_VERB_ALIVE, (uint32_t)(target - targets));
	}
	guard(ctl);
	controller_judge_during(ctl, brunt_now());
	(void)sd_event_source_set_time(source, brunt_now() / 1000 + 100000);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int controller_watching_start(struct controller *ctl, struct brunt_error *err)
{
	static const struct brunt_watch_ops ops = {
		.sample = on_sample,
		.run_command = run_command,
		.cancel_command = cancel_command,
	};
	int r = brunt_watch_new(ctl->loop, ctl->plan, &ctl->resolve, &ops, ctl, &ctl->watch, err);

	if (r)
		return r;
	r = sd_event_add_time(ctl->loop, NULL, CLOCK_BOOTTIME, brunt_now() / 1000, 1000, on_tick, ctl);
	return r < 0 ? brunt_fail(err, -r, "cannot set a timer") : 0;
}
