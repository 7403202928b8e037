/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The method. A step is a small state machine: begun once, looked at after
 * every turn of the loop, ended once. So steps of a `parallel`, background
 * faults and the foreground step go on side by side in one thread.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "brunt/clock.h"
#include "brunt/memory.h"
#include "run/controller.h"
#include "run/steps.h"

#define HOLDER_ANSWERS_WITHIN (10 * BRUNT_S)
#define HITS_KNOWN_WITHIN     (300 * BRUNT_MS)
#define KILLED_WITHIN	      (10 * BRUNT_S)

static struct step_run *run_of(struct controller *ctl, const struct brunt_step *step)
{
	return &ctl->steps[step->index];
}

static void end(struct controller *ctl, const struct brunt_step *step, const char *outcome, const char *why)
{
	struct step_run *run = run_of(ctl, step);
	uint64_t now = brunt_now();

	if (run->state == STEP_ENDED)
		return;
	run->state = STEP_ENDED;
	run->outcome = outcome;
	if (!run->cause)
		run->cause = now;

	json_t *fields = json_pack("{s:s, s:s, s:I}", "step", step->name, "outcome", outcome, "took_ns",
				   (json_int_t)(run->started ? now - run->started : 0));

	if (fields && why && why[0])
		(void)json_object_set_new(fields, "why", json_string(why));
	controller_emit_fields(ctl, "step.end", now, fields);
}

/* A judged step did not hold: a weakness. The rest of the method makes no sense unless the plan says so. */
static void miss(struct controller *ctl, const struct brunt_step *step, const char *outcome, const char *why)
{
	run_of(ctl, step)->failed = true;
	end(ctl, step, outcome, why);
	if (step->kind != BRUNT_STEP_EXPECT || step->on_miss == BRUNT_ON_MISS_STOP)
		controller_stop(ctl, STOP_METHOD, "step '%s': %s", step->name, why);
}

/* ---- faults ---- */

static void ask_apply(struct controller *ctl, const struct brunt_step *step)
{
	struct step_run *run = run_of(ctl, step);

	run->state = STEP_ASKED;
	run->deadline = brunt_now() + HOLDER_ANSWERS_WITHIN;
	run->sequence = controller_verb(ctl, BRUNT_VERB_APPLY, step->index);
	if (!run->sequence)
		controller_stop(ctl, STOP_ERROR, "the holder takes no verbs");
}

void controller_step_applied(struct controller *ctl, uint32_t index, const struct brunt_report *report)
{
	const struct brunt_step *step = ctl->plan->steps[index];
	struct step_run *run = &ctl->steps[index];
	char mechanism[128] = "";

	if (report->code) {
		enum stop_cause cause = controller_cause(ctl, report->code);
		bool stale = report->code == -ESRCH && ctl->first_applied && step->target &&
			     step->target->resolve == BRUNT_RESOLVE_START;
		char why[256];

		(void)snprintf(why, sizeof(why), "%.170s%s", report->text,
			       stale ? "; \"resolve\": \"each\" in the target finds it anew at every step" : "");
		end(ctl, step, cause == STOP_REFUSED ? "refused" : cause == STOP_UNABLE ? "skipped" : "error", why);
		controller_stop(ctl, cause, "%s: %s", step->name, why);
		return;
	}
	run->applied = true;
	run->times++;
	if (!ctl->first_applied)
		ctl->first_applied = report->at;
	if (!step->fault.injector->instant) {
		run->held = true;
		ctl->held++;
	}
	step->fault.injector->describe(&step->fault, NULL, mechanism, sizeof(mechanism));
	controller_emit(ctl, "fault.applied", report->at, "{s:s, s:s}", "step", step->name, "mechanism", mechanism);
	if (run->state != STEP_ASKED)
		return;
	run->cause = report->at;
	run->state = STEP_RUNNING;
	run->deadline = step->has_hold ? report->at + step->hold : 0;
	if (!step->fault.injector->instant)
		return;
	/* What it hit belongs to its end. */
	(void)controller_verb(ctl, BRUNT_VERB_POLL, 0);
	run->next = report->at + (run->times < step->times ? step->every : HITS_KNOWN_WITHIN);
}

static const char *revert_reason(const struct controller *ctl, const struct step_run *run)
{
	/* The holder says LAPSED after it has reverted; the shared page says it before. */
	if (__atomic_load_n(&ctl->shared->lapsed, __ATOMIC_ACQUIRE))
		return "lapsed";
	switch (ctl->stop) {
	case STOP_SIGNAL:
		return "signal";
	case STOP_LEASE:
		return "lapsed";
	case STOP_GUARDRAIL:
	case STOP_ERROR:
		return "abort";
	default:
		break;
	}
	if (run->state == STEP_ENDING)
		return "hold";
	return "end";
}

void controller_step_reverted(struct controller *ctl, uint32_t index, const struct brunt_report *report)
{
	const struct brunt_step *step = ctl->plan->steps[index];
	struct step_run *run = &ctl->steps[index];
	bool clean = report->code == 0;

	if (!run->applied || (!run->held && !step->fault.injector->instant))
		return;
	if (run->held && ctl->held)
		ctl->held--;
	run->held = false;
	ctl->residue |= !clean;

	json_t *fields = json_pack("{s:s, s:s, s:b, s:I}", "step", step->name, "reason", revert_reason(ctl, run),
				   "clean", clean, "hit", (json_int_t)report->hits.hit);

	if (fields && !clean)
		(void)json_object_set_new(fields, "why", json_string(report->text));
	controller_emit_fields(ctl, "fault.reverted", report->at, fields);
	if (ctl->stop <= STOP_METHOD && run->state == STEP_ENDING)
		end(ctl, step, "held", NULL);
	if (!clean)
		controller_stop(ctl, STOP_ERROR, "step '%s' could not be undone: %s", step->name, report->text);
}

void controller_steps_lost(struct controller *ctl, bool clean)
{
	for (uint32_t i = 0; i < ctl->plan->step_count; i++) {
		struct step_run *run = &ctl->steps[i];

		if (!run->held)
			continue;
		run->held = false;
		controller_emit(ctl, "fault.reverted", 0, "{s:s, s:s, s:b, s:I}", "step", ctl->plan->steps[i]->name,
				"reason", "lost", "clean", clean, "hit", (json_int_t)run->hit);
	}
	ctl->held = 0;
}

static void tick_fault(struct controller *ctl, const struct brunt_step *step, uint64_t now)
{
	struct step_run *run = run_of(ctl, step);

	if (run->state == STEP_ASKED || run->state == STEP_ENDING) {
		if (now >= run->deadline)
			controller_stop(ctl, STOP_ERROR, "the holder did not answer for step '%s'", step->name);
		return;
	}
	if (step->fault.injector->instant) {
		if (run->times >= step->times && (run->hit >= run->times || now >= run->next))
			end(ctl, step, "done", NULL);
		else if (run->times < step->times && now >= run->next && !ctl->stop)
			ask_apply(ctl, step);
		return;
	}
	if (!run->deadline || now < run->deadline)
		return;
	run->state = STEP_ENDING;
	run->deadline = now + HOLDER_ANSWERS_WITHIN;
	(void)controller_verb(ctl, BRUNT_VERB_REVERT, step->index);
}

/* ---- conditions ---- */

static uint64_t cause_of(struct controller *ctl, const struct brunt_step *step)
{
	const struct step_run *cause = step->since_step ? run_of(ctl, step->since_step) : NULL;

	return cause && cause->cause ? cause->cause : run_of(ctl, step)->started;
}

static void tick_condition(struct controller *ctl, const struct brunt_step *step, uint64_t now)
{
	struct step_run *run = run_of(ctl, step);
	const struct brunt_condition *condition = step->kind == BRUNT_STEP_WAIT ? step->wait : step->expect;
	uint64_t from = step->kind == BRUNT_STEP_WAIT ? ctl->watch_started : cause_of(ctl, step);
	enum brunt_truth truth = controller_judge(ctl, condition, from, &run->condition);
	char value[64] = "no data", why[200];

	if (truth == BRUNT_HOLDS) {
		end(ctl, step, "done", NULL);
		return;
	}
	if (now < run->deadline)
		return;
	if (run->condition.reading.count)
		(void)brunt_quantity_print(run->condition.reading.value,
					   condition->has_min ? condition->min.dimension : condition->max.dimension,
					   value, sizeof(value));
	(void)snprintf(why, sizeof(why), "%.120s: %s", condition->text, value);
	/* A `wait` judges nothing: the method goes on. That it was in vain is told, and counts in the verdict. */
	if (step->kind == BRUNT_STEP_WAIT)
		end(ctl, step, "missed", why);
	else
		miss(ctl, step, "missed", why);
}

/* ---- commands, services, people ---- */

static struct command_run *command_of(struct controller *ctl, const struct step_run *run)
{
	for (struct command_run *command = ctl->commands; command; command = command->next)
		if (command->sequence == run->sequence)
			return command;
	return NULL;
}

static void tick_run(struct controller *ctl, const struct brunt_step *step, uint64_t now)
{
	struct step_run *run = run_of(ctl, step);
	struct command_run *command = command_of(ctl, run);
	char why[256];

	if (!command) {
		end(ctl, step, "error", "the command is lost");
		return;
	}
	if (!command->ended) {
		if (now < run->deadline)
			return;
		if (run->state == STEP_ENDING)
			controller_stop(ctl, STOP_ERROR, "the command of step '%s' cannot be killed", step->name);
		run->state = STEP_ENDING;
		run->deadline = now + KILLED_WITHIN;
		controller_launch_cancel(ctl, command);
		return;
	}
	controller_tell_output(ctl, step->name, command);
	if (run->state == STEP_ENDING) {
		miss(ctl, step, "failed", "it did not end within its timeout");
	} else if (command->code) {
		miss(ctl, step, "failed", command->text);
	} else if (command->status) {
		(void)snprintf(why, sizeof(why), "%s %d",
			       WIFSIGNALED(command->status) ? "killed by signal" : "exit status",
			       WIFSIGNALED(command->status) ? WTERMSIG(command->status) : WEXITSTATUS(command->status));
		miss(ctl, step, "failed", why);
	} else {
		end(ctl, step, "done", NULL);
	}
	controller_command_free(ctl, command);
}

static void begin_run(struct controller *ctl, const struct brunt_step *step)
{
	struct step_run *run = run_of(ctl, step);
	struct command_run *command;

	if (controller_launch(ctl, BRUNT_LAUNCH_STEP, step->index, &command)) {
		end(ctl, step, "error", "the launcher takes no command");
		controller_stop(ctl, STOP_ERROR, "step '%s': the launcher takes no command", step->name);
		return;
	}
	run->sequence = command->sequence;
	run->deadline = run->started + step->timeout;
}

static void begin_service(struct controller *ctl, const struct brunt_step *step)
{
	struct service_run *service = &ctl->services[step->service];
	struct brunt_error err = { 0 };

	if (step->kind == BRUNT_STEP_STOP) {
		service->stopping = true;
		(void)controller_launch(ctl, BRUNT_LAUNCH_STOP, step->service, NULL);
		run_of(ctl, step)->deadline = brunt_now() + 10 * BRUNT_S;
		return;
	}
	if (controller_service_begin(ctl, step->service, &err)) {
		end(ctl, step, "error", err.msg);
		controller_stop(ctl, STOP_ERROR, "%s", err.msg);
	}
}

static void tick_start(struct controller *ctl, const struct brunt_step *step)
{
	struct brunt_error err = { 0 };
	int r = controller_service_look(ctl, step->service, &err);

	if (r == -EAGAIN)
		return;
	end(ctl, step, r ? "error" : "done", err.msg);
	if (r)
		controller_stop(ctl, STOP_ERROR, "%s", err.msg);
}

static void tick_approve(struct controller *ctl, const struct brunt_step *step)
{
	char answer = ctl->answer;

	ctl->answer = 0;
	if (answer == 'y')
		end(ctl, step, "done", NULL);
	if (answer == 'n') {
		end(ctl, step, "refused", "not approved");
		controller_stop(ctl, ctl->first_applied ? STOP_METHOD : STOP_REFUSED, "step '%s' was not approved",
				step->name);
	}
}

static void begin_approve(struct controller *ctl, const struct brunt_step *step)
{
	if (ctl->options->attended) {
		ctl->answer = 0; /* a key that was pressed before answers another question */
		controller_note(ctl, "%s  (y: go on, n: stop)", step->approve);
		return;
	}
	if (step->unattended == BRUNT_UNATTENDED_SKIP) {
		end(ctl, step, "skipped", "nobody is there to approve");
		return;
	}
	end(ctl, step, "refused", "nobody is there to approve");
	controller_stop(ctl, ctl->first_applied ? STOP_METHOD : STOP_REFUSED,
			"step '%s' needs approval and nobody is there", step->name);
}

/* ---- all kinds ---- */

static void begin(struct controller *ctl, const struct brunt_step *step)
{
	struct step_run *run = run_of(ctl, step);

	run->started = brunt_now();
	run->state = STEP_RUNNING;
	controller_emit(ctl, "step.start", run->started, "{s:s}", "step", step->name);
	switch (step->kind) {
	case BRUNT_STEP_FAULT:
		ask_apply(ctl, step);
		break;
	case BRUNT_STEP_OBSERVE:
		run->deadline = run->started + step->observe;
		break;
	case BRUNT_STEP_WAIT:
		run->deadline = run->started + step->within;
		break;
	case BRUNT_STEP_EXPECT:
		run->deadline = cause_of(ctl, step) + step->within;
		break;
	case BRUNT_STEP_RUN:
		begin_run(ctl, step);
		break;
	case BRUNT_STEP_START:
	case BRUNT_STEP_STOP:
		begin_service(ctl, step);
		break;
	case BRUNT_STEP_APPROVE:
		begin_approve(ctl, step);
		break;
	case BRUNT_STEP_PARALLEL:
		BRUNT_FOREACH (struct brunt_step *, child, step->parallel)
			if (!ctl->stop)
				begin(ctl, *child);
		break;
	case BRUNT_STEP_REVERT:
		break; /* tick_revert */
	}
}

/* Its hold ends now; unless it is ending already, when its deadline is the holder's. */
static void tick_revert(struct controller *ctl, const struct brunt_step *step)
{
	struct step_run *fault = run_of(ctl, step->revert_step);

	if (fault->state == STEP_ENDED)
		end(ctl, step, "done", NULL);
	else if (fault->state == STEP_RUNNING)
		fault->deadline = run_of(ctl, step)->started;
}

static void tick_parallel(struct controller *ctl, const struct brunt_step *step)
{
	bool all = true, failed = false;

	BRUNT_FOREACH (struct brunt_step *, child, step->parallel) {
		all &= run_of(ctl, *child)->state == STEP_ENDED;
		failed |= run_of(ctl, *child)->failed;
	}
	if (all)
		end(ctl, step, failed ? "failed" : "done", NULL);
}

static void tick(struct controller *ctl, const struct brunt_step *step, uint64_t now)
{
	const struct step_run *run = run_of(ctl, step);

	if (run->state == STEP_IDLE || run->state == STEP_ENDED)
		return;
	switch (step->kind) {
	case BRUNT_STEP_FAULT:
		tick_fault(ctl, step, now);
		break;
	case BRUNT_STEP_OBSERVE:
		if (now >= run->deadline)
			end(ctl, step, "done", NULL);
		break;
	case BRUNT_STEP_WAIT:
	case BRUNT_STEP_EXPECT:
		tick_condition(ctl, step, now);
		break;
	case BRUNT_STEP_RUN:
		tick_run(ctl, step, now);
		break;
	case BRUNT_STEP_START:
		tick_start(ctl, step);
		break;
	case BRUNT_STEP_STOP:
		if (!ctl->services[step->service].up)
			end(ctl, step, "done", NULL);
		else if (now >= run->deadline)
			controller_stop(ctl, STOP_ERROR, "service of step '%s' did not stop", step->name);
		break;
	case BRUNT_STEP_APPROVE:
		tick_approve(ctl, step);
		break;
	case BRUNT_STEP_PARALLEL:
		tick_parallel(ctl, step);
		break;
	case BRUNT_STEP_REVERT:
		tick_revert(ctl, step);
		break;
	}
}

/* Looks at every step that goes on; returns when the next of them wants to be looked at. */
uint64_t controller_steps_tick(struct controller *ctl)
{
	uint64_t now = brunt_now(), wake = now + 100 * BRUNT_MS;

	for (uint32_t i = 0; i < ctl->plan->step_count && ctl->stop <= STOP_METHOD; i++)
		tick(ctl, ctl->plan->steps[i], now);
	for (uint32_t i = 0; i < ctl->plan->step_count; i++) {
		const struct step_run *run = &ctl->steps[i];

		if (run->state == STEP_IDLE || run->state == STEP_ENDED)
			continue;
		if (run->deadline && run->deadline < wake)
			wake = run->deadline;
		if (run->next > now && run->next < wake)
			wake = run->next;
	}
	return wake;
}

static bool goes_on_behind(const struct controller *ctl, const struct brunt_step *step)
{
	const struct step_run *run = &ctl->steps[step->index];

	return step->background && run->applied && run->state == STEP_RUNNING;
}

static void check_duration(struct controller *ctl)
{
	if (!ctl->first_applied || brunt_now() < ctl->first_applied + ctl->plan->blast_radius.duration)
		return;

	char limit[32];

	controller_stop(ctl, STOP_GUARDRAIL, "blast radius: the method took longer than %s after the first fault",
			brunt_duration_print(ctl->plan->blast_radius.duration, limit, sizeof(limit)));
}

static void wait_for(struct controller *ctl, const struct brunt_step *step)
{
	while (!ctl->stop && ctl->steps[step->index].state != STEP_ENDED && !goes_on_behind(ctl, step)) {
		uint64_t wake = controller_steps_tick(ctl);

		if (ctl->stop || ctl->steps[step->index].state == STEP_ENDED)
			break;
		controller_turn(ctl, wake);
		check_duration(ctl);
	}
}

void controller_method(struct controller *ctl)
{
	const struct brunt_plan *plan = ctl->plan;

	BRUNT_FOREACH (struct brunt_step, step, plan->method) {
		if (ctl->stop)
			return;
		begin(ctl, step);
		wait_for(ctl, step);
	}
	/* The run waits for the hold (or the last of the `times`) of background faults; one without is held to here. */
	for (uint32_t i = 0; i < plan->step_count; i++) {
		const struct brunt_step *step = plan->steps[i];
		bool ends = step->background && (step->has_hold || step->fault.injector->instant);

		while (!ctl->stop && ends && ctl->steps[i].state != STEP_ENDED && ctl->steps[i].state != STEP_IDLE) {
			controller_turn(ctl, controller_steps_tick(ctl));
			check_duration(ctl);
		}
	}
}

/* A command whose step is over must not go on beside `finally`. */
static void cancel_commands(struct controller *ctl)
{
	for (struct command_run *command = ctl->commands; command; command = command->next)
		if (command->verb == BRUNT_LAUNCH_STEP && !command->ended)
			controller_launch_cancel(ctl, command);
}

void controller_steps_close(struct controller *ctl)
{
	cancel_commands(ctl);
	for (uint32_t i = 0; i < ctl->plan->step_count; i++) {
		const struct brunt_step *step = ctl->plan->steps[i];
		struct step_run *run = &ctl->steps[i];

		if (run->state == STEP_ENDED)
			continue;
		if (run->state == STEP_IDLE)
			end(ctl, step, "skipped", NULL);
		else if (ctl->stop > STOP_METHOD)
			end(ctl, step, "aborted", NULL);
		else
			end(ctl, step, step->kind == BRUNT_STEP_FAULT ? "held" : "aborted", NULL);
	}
}
