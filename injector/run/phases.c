/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phases of a run, one after the other: plain sequential code that turns the
 * loop until something is true.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "brunt/clock.h"
#include "brunt/memory.h"
#include "run/controller.h"
#include "run/steps.h"

#define PREPARE_WITHIN		 (30 * BRUNT_S)
#define SETTLE_WITHIN		 (62 * BRUNT_S)
#define UNDO_WITHIN		 (2 * BRUNT_S) /* then the lease has ended it */
#define LAUNCHER_WITHIN		 (1 * BRUNT_S) /* to die, after SIGKILL */
#define RECOVERER_WITHIN	 (5 * BRUNT_S)
#define FINALLY_ON_SIGNAL_WITHIN (2 * BRUNT_S)	  /* all of it: who sends a signal soon sends SIGKILL */
#define FINALLY_AT_LEAST	 (200 * BRUNT_MS) /* each, also then */

static void preflight(struct controller *ctl)
{
	uint64_t until = brunt_now() + PREPARE_WITHIN;

	controller_phase(ctl, "preflight");
	/* It was asked before the roles were complete (run.c). */
	while (!ctl->prepared && !ctl->stop && brunt_now() < until)
		controller_turn(ctl, until);
	if (ctl->stop)
		return;
	if (!ctl->prepared)
		controller_stop(ctl, STOP_ERROR, "the holder did not get ready");
	else if (ctl->prepared_code)
		controller_stop(ctl, controller_cause(ctl, ctl->prepared_code), "%s", ctl->prepared_text);
}

static bool can_start(const struct controller *ctl, const struct brunt_service *service)
{
	for (size_t i = 0; i < service->after.count; i++)
		if (!ctl->services[service->after_index[i]].ready)
			return false;
	return !ctl->services[service->index].ready && !service->manual;
}

/* In the order that `after` asks for; the loader has refused cycles. */
static void services_up(struct controller *ctl)
{
	bool again = true;

	controller_phase(ctl, "services");
	while (again && !ctl->stop) {
		again = false;
		BRUNT_FOREACH (struct brunt_service, service, ctl->plan->services) {
			struct brunt_error err = { 0 };
			int r;

			if (ctl->stop || !can_start(ctl, service))
				continue;
			again = true;
			r = controller_service_start(ctl, service->index, &err);
			if (r && r != -EAGAIN)
				controller_stop(ctl, STOP_ERROR, "%s", err.msg);
		}
	}
}

/* Targets of services can be told only now. */
static void resolve_services(struct controller *ctl)
{
	uint32_t index = 0;

	BRUNT_FOREACH (struct brunt_target, target, ctl->plan->targets) {
		bool of_service = target->kind == BRUNT_TARGET_SERVICE ||
				  (target->kind == BRUNT_TARGET_PROCESS && target->process->service);

		if (of_service && target->resolve == BRUNT_RESOLVE_START)
			(void)controller_verb(ctl, BRUNT_VERB_RESOLVE, index);
		index++;
	}
}

static uint64_t longest_window(const struct brunt_list *conditions)
{
	uint64_t longest = 0;

	BRUNT_FOREACH (struct brunt_condition, condition, *conditions) {
		uint64_t needs = condition->over + condition->lasting;

		if (condition->resolved_sli)
			needs += 3 * condition->resolved_sli->every + condition->resolved_sli->timeout;
		if (needs > longest)
			longest = needs;
	}
	return longest;
}

/* All of conditions hold at one time, before `until`; the first that does not, else NULL. */
static const struct brunt_condition *await(struct controller *ctl, const struct brunt_list *conditions,
					   uint64_t not_before, uint64_t until, enum stop_cause heed)
{
	const struct brunt_condition *missing = NULL;

	do {
		missing = NULL;
		BRUNT_FOREACH (struct brunt_condition, condition, *conditions)
			if (controller_judge(ctl, condition, not_before, &ctl->conditions[condition->index]) !=
				    BRUNT_HOLDS &&
			    !missing)
				missing = condition;
		if (!missing)
			return NULL;
		controller_turn(ctl, until);
	} while (brunt_now() < until && !ctl->signals && (ctl->stop <= STOP_METHOD || ctl->stop == heed));
	return missing;
}

static void check_before(struct controller *ctl, const char *phase, const struct brunt_list *conditions,
			 enum stop_cause cause)
{
	const struct brunt_condition *missing;
	char value[64] = "no data";

	if (ctl->stop || !conditions->count)
		return;
	controller_phase(ctl, phase);
	missing = await(ctl, conditions, ctl->watch_started, brunt_now() + 2 * longest_window(conditions) + 5 * BRUNT_S,
			STOP_NONE);
	if (!missing || ctl->stop)
		return;

	const struct brunt_reading *reading = &ctl->conditions[missing->index].reading;

	if (missing->target)
		(void)snprintf(value, sizeof(value), "%llu alive", (unsigned long long)ctl->alive[missing->index]);
	else if (reading->count)
		(void)brunt_quantity_print(reading->value,
					   missing->has_min ? missing->min.dimension : missing->max.dimension, value,
					   sizeof(value));
	controller_stop(ctl, cause, "%s: %s", missing->text, value);
}

static void method(struct controller *ctl)
{
	if (ctl->stop)
		return;
	controller_phase(ctl, "method");
	ctl->method_begun = true;
	ctl->guarding = true;
	controller_method(ctl);
}

static void revert(struct controller *ctl)
{
	uint64_t until;

	if (ctl->stop <= STOP_METHOD && ctl->first_applied)
		controller_phase(ctl, "revert");
	controller_revert_all(ctl, false);
	until = brunt_now() + UNDO_WITHIN + ctl->plan->lease;
	while (!ctl->reverted_all && brunt_now() < until)
		controller_turn(ctl, until);
	if (!ctl->reverted_all)
		controller_stop(ctl, STOP_ERROR, "the holder did not answer; its lease has ended what it held");
	ctl->guarding = false;
	controller_steps_close(ctl);
}

/* The holder died: the recoverer finishes from the ledger, and says in shared memory what it could not. */
static void await_recovery(struct controller *ctl)
{
	uint64_t until = brunt_now() + 5 * BRUNT_S;

	if (ctl->holder >= 0 || ctl->holder_ended)
		return;
	while (ctl->recoverer >= 0 && ctl->shared->pid[BRUNT_ROLE_HOLDER] && brunt_now() < until)
		controller_turn(ctl, brunt_now() + 20 * BRUNT_MS);
	ctl->residue |= ctl->shared->residue != 0 || (ctl->shared->pid[BRUNT_ROLE_HOLDER] && ctl->recoverer >= 0);
	if (!ctl->first_applied || ctl->reverted)
		return;
	ctl->reverted = brunt_now();
	controller_steps_lost(ctl, !ctl->residue);
	controller_emit(ctl, "reverted", ctl->reverted, "{s:b, s:I}", "clean", !ctl->residue, "took_ns",
			(json_int_t)(ctl->reverted - ctl->revert_asked));
}

static void finally(struct controller *ctl)
{
	uint64_t hurry = 0;
	int index = 0;

	/* Whatever the method did, also without a fault: from its first step on. */
	if (!ctl->plan->finally.count || !ctl->method_begun)
		return;
	controller_phase(ctl, "finally");
	BRUNT_FOREACH (struct brunt_finally, step, ctl->plan->finally) {
		struct command_run *command;
		char name[64];
		uint64_t begun = brunt_now();
		bool cancelled = false;

		(void)snprintf(name, sizeof(name), "%s", step->name ? step->name : "finally");
		if (controller_launch(ctl, BRUNT_LAUNCH_FINALLY, (uint32_t)index, &command)) {
			controller_emit(ctl, "finally", 0, "{s:i, s:s, s:i, s:s}", "index", index++, "name", name,
					"status", -1, "why", "the launcher is gone");
			continue;
		}
		for (uint64_t until = begun + step->timeout; !command->ended && ctl->launcher >= 0;) {
			/* Also for a signal that comes only now. */
			if (ctl->signals && !hurry)
				hurry = brunt_now() + FINALLY_ON_SIGNAL_WITHIN;
			if (hurry && !cancelled && until > hurry)
				until = hurry > begun + FINALLY_AT_LEAST ? hurry : begun + FINALLY_AT_LEAST;
			controller_turn(ctl, until);
			if (command->ended || brunt_now() < until)
				continue;
			if (cancelled)
				break;
			cancelled = true;
			controller_launch_cancel(ctl, command);
			until = brunt_now() + BRUNT_S;
		}
		controller_tell_output(ctl, name, command);

		json_t *fields = json_pack("{s:i, s:s, s:i}", "index", index++, "name", name, "status",
					   command->ended && !command->code ? command->status : -1);

		if (fields && (cancelled || command->code))
			(void)json_object_set_new(
				fields, "why",
				json_string(cancelled ? "it did not end within its timeout" : command->text));
		controller_emit_fields(ctl, "finally", 0, fields);
		controller_command_free(ctl, command);
	}
}

/* Also after an abort: how fast the system recovers is worth knowing then above all. */
static void after(struct controller *ctl)
{
	uint64_t limit = 0;

	if (!ctl->plan->steady_state.count || !ctl->first_applied ||
	    (ctl->stop > STOP_METHOD && ctl->stop != STOP_GUARDRAIL))
		return;
	controller_phase(ctl, "after");
	BRUNT_FOREACH (struct brunt_condition, condition, ctl->plan->steady_state) {
		ctl->conditions[condition->index] = (struct brunt_condition_state){ 0 };
		if (condition->after_within > limit)
			limit = condition->after_within;
	}
	(void)await(ctl, &ctl->plan->steady_state, ctl->reverted ? ctl->reverted : brunt_now(), brunt_now() + limit,
		    STOP_GUARDRAIL);
}

/*
 * Who was stopped by a signal goes on, to end in good order. SIGCONT needs no right over a process of the same
 * session (kill(2)); one that is gone is zero, or a zombie of ours or of the recoverer.
 */
static void continue_roles(const struct controller *ctl)
{
	for (int role = 0; role < _BRUNT_ROLE_MAX; role++)
		if (ctl->shared->pid[role] > 0 && !brunt_roles[role].of_fault)
			(void)kill(ctl->shared->pid[role], SIGCONT);
}

/* The launcher may be root's, and then not ours to kill: the recoverer does that, when it still lives at the end. */
static void end_launcher(struct controller *ctl)
{
	uint64_t until = brunt_now() + (ctl->signals ? 2 : 7) * BRUNT_S;

	if (ctl->launcher >= 0) {
		(void)controller_launch(ctl, BRUNT_LAUNCH_END, 0, NULL);
		while (ctl->launcher >= 0 && brunt_now() < until)
			controller_turn(ctl, until);
	}
	if (ctl->launcher_pid <= 0)
		return;
	/* The init of the services' PID namespace: with it goes whatever would not end. */
	until = brunt_now() + LAUNCHER_WITHIN;
	(void)kill(ctl->launcher_pid, SIGKILL);
	while (!waitpid(ctl->launcher_pid, NULL, WNOHANG) && brunt_now() < until)
		controller_turn(ctl, brunt_now() + 2 * BRUNT_MS);
}

/* Nothing is in effect any more: what waits in a line still arrives, unless the user is in a hurry, or gets into one. */
static void await_holder(struct controller *ctl)
{
	uint64_t until = brunt_now() + (ctl->signals ? UNDO_WITHIN : SETTLE_WITHIN);
	const unsigned signals = ctl->signals;
	bool asked = false;

	while (ctl->holder >= 0 && brunt_now() < until) {
		controller_turn(ctl, until);
		if (ctl->signals == signals || asked)
			continue;
		asked = true;
		(void)controller_verb(ctl, BRUNT_VERB_REVERT_ALL, BRUNT_REVERT_ABORT);
		until = brunt_now() + UNDO_WITHIN;
	}
}

static void put_away(struct controller *ctl)
{

	if (ctl->watch)
		brunt_watch_stop(ctl->watch);
	for (size_t i = 0; i < ctl->plan->services.count; i++)
		ctl->services[i].stopping = true;
	continue_roles(ctl);
	end_launcher(ctl);
	if (ctl->holder >= 0) {
		(void)controller_verb(ctl, BRUNT_VERB_END, 0);
		await_holder(ctl);
	}
	ctl->residue |= ctl->shared->residue != 0;
}

static int tell_verdict(struct controller *ctl)
{
	json_t *reasons = NULL;
	int status;

	if (brunt_sink_dropped(ctl->journal))
		controller_note(ctl, "the journal lacks %llu lines: its writer was too slow",
				(unsigned long long)brunt_sink_dropped(ctl->journal));
	controller_phase(ctl, "end");

	enum brunt_verdict verdict = brunt_story_verdict(ctl->story, &status, &reasons);

	controller_emit(ctl, "verdict", 0, "{s:s, s:i, s:o}", "verdict", brunt_verdict_name(verdict), "exit", status,
			"reasons", reasons ? reasons : json_array());
	return status;
}

/* To the user's stderr, if that takes it now: nobody waits for a full pipe here. */
static void complain(const char *text)
{
	struct pollfd wait = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&wait, 1, 0) == 1 && wait.revents == POLLOUT)
		(void)!write(STDERR_FILENO, text, strlen(text));
}

/* How the recoverer ended: it has the last word about what is left on the host. */
static int await_recoverer(struct controller *ctl)
{
	uint64_t until = brunt_now() + RECOVERER_WITHIN;
	int status = 0;
	pid_t pid;

	if (ctl->recoverer >= 0)
		(void)shutdown(ctl->recoverer, SHUT_WR);
	while (!(pid = waitpid(ctl->shared->pid[BRUNT_ROLE_RECOVERER], &status, WNOHANG)) && brunt_now() < until)
		controller_turn(ctl, brunt_now() + 2 * BRUNT_MS);
	if (pid > 0 && WIFEXITED(status))
		return WEXITSTATUS(status);
	return BRUNT_ERROR;
}

/*
 * The document goes to the recoverer, which writes the file and removes the last traces; then this run has nothing
 * more to say. Returns the exit status: the verdict's, unless that is too good for how it ended.
 */
static int leave_result(struct controller *ctl, int status)
{
	struct brunt_result_box *box = ctl->setup->result;
	json_t *document = brunt_story_document(ctl->story);

	controller_redact(ctl, document);

	BRUNT_AUTO_FREE char *text = document ? json_dumps(document, JSON_INDENT(2)) : NULL;
	int end;

	json_decref(document);
	if (text) {
		box->size = (uint32_t)strnlen(text, BRUNT_RESULT_MAX - 1);
		memcpy(box->text, text, box->size);
		__atomic_store_n(&box->ready, 1, __ATOMIC_RELEASE);
	}
	end = await_recoverer(ctl);
	if (end == BRUNT_RESIDUE)
		complain("brunt: something that this run made could not be removed: see `brunt recover`\n");
	else if (end)
		complain("brunt: the recoverer did not get to its end: give `brunt recover`\n");
	if (!end || status == BRUNT_RESIDUE)
		return status;
	return end == BRUNT_RESIDUE ? BRUNT_RESIDUE : BRUNT_ERROR;
}

static void watch(struct controller *ctl)
{
	struct brunt_error err = { 0 };

	if (ctl->stop)
		return;
	resolve_services(ctl);
	ctl->watch_started = brunt_now();
	if (brunt_watch_start(ctl->watch, &err))
		controller_stop(ctl, STOP_ERROR, "%s", err.msg);
}

int controller_main(struct controller *ctl)
{
	struct brunt_error err = { 0 };
	int status;

	if (controller_set_up(ctl, &err)) {
		if (!ctl->story) {
			fprintf(stderr, "brunt: %s\n", err.msg);
			return BRUNT_ERROR;
		}
		controller_stop(ctl, STOP_ERROR, "%s", err.msg);
	}
	controller_emit_start(ctl);
	preflight(ctl);
	if (!ctl->stop)
		services_up(ctl);
	watch(ctl);
	check_before(ctl, "start_if", &ctl->plan->start_if, STOP_REFUSED);
	check_before(ctl, "before", &ctl->plan->steady_state, STOP_UNSTEADY);
	method(ctl);
	revert(ctl);
	await_recovery(ctl);
	finally(ctl);
	after(ctl);
	put_away(ctl);
	await_recovery(ctl);
	status = tell_verdict(ctl);
	status = leave_result(ctl, status);
	/* The loop takes signals as they come and heeds them one by one: one that was taken must still be counted. */
	for (int i = 0; i < 64 && sd_event_run(ctl->loop, 0) > 0; i++)
		;
	controller_release(ctl);
	return status;
}
