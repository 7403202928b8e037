/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller: the phases of a run, one after the other.
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

#include "base/text.h"
#include "brunt/clock.h"
#include "brunt/memory.h"
#include "run/controller.h"
#include "run/steps.h"

#define PREPARE_WITHIN		 (30 * BRUNT_S)
#define UNDO_WITHIN		 (2 * BRUNT_S) /* then the lease has ended it */
#define LAUNCHER_WITHIN		 (1 * BRUNT_S) /* to die, after SIGKILL */
#define RECOVERER_WITHIN	 (5 * BRUNT_S)
#define FINALLY_ON_SIGNAL_WITHIN (2 * BRUNT_S)	  /* all of it: who sends a signal soon sends SIGKILL */
#define FINALLY_AT_LEAST	 (200 * BRUNT_MS) /* each, also then */

void controller_turn(struct controller *ctl, uint64_t until)
{
	uint64_t now = brunt_now();
	uint64_t wait = !until ? 100 * BRUNT_MS : until > now ? until - now : 0;

	(void)sd_event_run(ctl->loop, wait / 1000);
}

static const char *cause_name(enum stop_cause cause)
{
	switch (cause) {
	case STOP_SIGNAL:
		return "signal";
	case STOP_GUARDRAIL:
		return "guardrail";
	case STOP_LEASE:
		return "lease";
	case STOP_UNSTEADY:
		return "unsteady";
	case STOP_UNABLE:
		return "unable";
	case STOP_REFUSED:
		return "refused";
	case STOP_ERROR:
	case STOP_METHOD:
	case STOP_NONE:
		break;
	}
	return "error";
}

void controller_stop(struct controller *ctl, enum stop_cause cause, const char *format, ...)
{
	va_list args;

	if (cause > STOP_METHOD && ctl->phase)
		controller_revert_all(ctl);
	if (cause <= ctl->stop)
		return;
	va_start(args, format);
	(void)vsnprintf(ctl->why, sizeof(ctl->why), format, args);
	va_end(args);
	(void)brunt_text_mend(ctl->why); /* it may be cut inside a character, and JSON takes whole ones only */
	ctl->stop = cause;
	if (cause == STOP_METHOD)
		return;

	json_t *fields = json_pack("{s:s, s:s}", "cause", cause_name(cause), "why", ctl->why);

	if (fields && cause == STOP_SIGNAL)
		(void)json_object_set_new(fields, "signal", json_integer(ctl->signal));
	controller_emit_fields(ctl, "abort", 0, fields);
}

enum stop_cause controller_cause(const struct controller *ctl, int code)
{
	if (ctl->first_applied)
		return STOP_ERROR;
	switch (code) {
	case -EEXIST:
	case -EDQUOT:
		return STOP_REFUSED;
	case -ESRCH:
	case -ENOTSUP:
	case -EPERM:
	case -EACCES:
	case -E2BIG:
	case -ENODEV:
	case -ENOENT:
		return STOP_UNABLE;
	default:
		return STOP_ERROR;
	}
}

/* ---- what comes from outside ---- */

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
	struct controller *ctl = user;

	(void)source;
	ctl->signals++;
	/* A second signal changes nothing about the undo. */
	if (!ctl->signal)
		ctl->signal = info->ssi_signo == SIGTERM ? SIGTERM : SIGINT;
	controller_stop(ctl, STOP_SIGNAL, "SIG%s", sigabbrev_np((int)info->ssi_signo));
	return 0;
}

static int on_key(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct controller *ctl = user;
	char key;

	(void)revents;
	if (read(fd, &key, 1) != 1)
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	if (key == 'q') {
		ctl->signal = SIGINT;
		controller_stop(ctl, STOP_SIGNAL, "q");
	}
	ctl->answer = key;
	return 0;
}

static int on_recoverer(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct controller *ctl = user;

	(void)fd;
	(void)revents;
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	ctl->recoverer = -1;
	controller_emit(ctl, "role.end", 0, "{s:s, s:i, s:b}", "role", "recoverer", "pid",
			(int)ctl->shared->pid[BRUNT_ROLE_RECOVERER], "expected", ctl->holder < 0);
	if (ctl->holder >= 0)
		controller_stop(ctl, STOP_ERROR, "the recoverer died: nobody would finish if the holder died too");
	return 0;
}

static int add_sources(struct controller *ctl, struct brunt_error *err)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	sigset_t blocked;
	int r = 0;

	/* sd_event_add_signal(3) wants them blocked. */
	(void)sigemptyset(&blocked);
	for (size_t i = 0; i < BRUNT_COUNT(signals); i++)
		(void)sigaddset(&blocked, signals[i]);
	(void)sigaddset(&blocked, SIGPIPE);
	(void)sigprocmask(SIG_BLOCK, &blocked, NULL);
	for (size_t i = 0; i < BRUNT_COUNT(signals) && r >= 0; i++)
		r = sd_event_add_signal(ctl->loop, NULL, signals[i], on_signal, ctl);
	if (r >= 0)
		r = sd_event_add_io(ctl->loop, NULL, ctl->recoverer, EPOLLIN, on_recoverer, ctl);
	if (r >= 0 && ctl->keys >= 0)
		r = sd_event_add_io(ctl->loop, NULL, ctl->keys, EPOLLIN, on_key, ctl);
	return r < 0 ? brunt_fail(err, -r, "cannot set up the event loop") : 0;
}

/* ---- phases ---- */

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
	controller_revert_all(ctl);
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
		if (ctl->shared->pid[role] > 0 && role != BRUNT_ROLE_PAUSER)
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

static void put_away(struct controller *ctl)
{
	uint64_t until;

	if (ctl->watch)
		brunt_watch_stop(ctl->watch);
	for (size_t i = 0; i < ctl->plan->services.count; i++)
		ctl->services[i].stopping = true;
	continue_roles(ctl);
	end_launcher(ctl);
	if (ctl->holder >= 0) {
		(void)controller_verb(ctl, BRUNT_VERB_END, 0);
		until = brunt_now() + UNDO_WITHIN;
		while (ctl->holder >= 0 && brunt_now() < until)
			controller_turn(ctl, until);
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

static int allocate(struct controller *ctl, struct brunt_error *err)
{
	const struct brunt_plan *plan = ctl->plan;

	ctl->series = calloc(plan->slis.count + 1, sizeof(*ctl->series));
	ctl->conditions = calloc(plan->condition_count + 1, sizeof(*ctl->conditions));
	ctl->during = calloc(plan->condition_count + 1, sizeof(*ctl->during));
	ctl->alive = calloc(plan->condition_count + 1, sizeof(*ctl->alive));
	ctl->alive_known = calloc(plan->condition_count + 1, sizeof(*ctl->alive_known));
	ctl->steps = calloc(plan->step_count + 1, sizeof(*ctl->steps));
	ctl->services = calloc(plan->services.count + 1, sizeof(*ctl->services));
	ctl->items = calloc(plan->targets.count + 1, sizeof(json_t *));
	if (!ctl->series || !ctl->conditions || !ctl->during || !ctl->alive || !ctl->alive_known || !ctl->steps ||
	    !ctl->services || !ctl->items)
		return brunt_fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < plan->slis.count; i++)
		if (brunt_series_new(&ctl->series[i]))
			return brunt_fail(err, ENOMEM, "out of memory");
	return brunt_story_new(&ctl->story) ? brunt_fail(err, ENOMEM, "out of memory") : 0;
}

static void release(struct controller *ctl)
{
	brunt_watch_free(ctl->watch);
	controller_services_free(ctl);
	for (size_t i = 0; ctl->series && i < ctl->plan->slis.count; i++)
		brunt_series_free(ctl->series[i]);
	for (size_t i = 0; ctl->items && i < ctl->plan->targets.count; i++)
		json_decref(ctl->items[i]);
	free(ctl->series);
	free(ctl->conditions);
	free(ctl->during);
	free(ctl->alive);
	free(ctl->alive_known);
	free(ctl->steps);
	free(ctl->services);
	free(ctl->items);
	brunt_story_free(ctl->story);
	sd_event_unref(ctl->loop);
}

static int set_up(struct controller *ctl, struct brunt_error *err)
{
	int r = allocate(ctl, err);

	if (!r && sd_event_new(&ctl->loop) < 0)
		r = brunt_fail(err, ENOMEM, "cannot make an event loop");
	if (!r)
		r = add_sources(ctl, err);
	if (!r)
		r = controller_holding_start(ctl, err);
	if (!r)
		r = controller_launching_start(ctl, err);
	if (!r)
		r = controller_watching_start(ctl, err);
	if (!r && ctl->journal)
		(void)brunt_sink_attach(ctl->journal, ctl->loop);
	if (!r && ctl->screen)
		(void)brunt_sink_attach(ctl->screen, ctl->loop);
	return r;
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

	if (set_up(ctl, &err)) {
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
	release(ctl);
	return status;
}
