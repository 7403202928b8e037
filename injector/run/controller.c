/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller: its loop, what it hears from outside, and how it stops.
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
		controller_revert_all(ctl, true);
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
		ctl->signals++;
		ctl->signal = ctl->signal ? ctl->signal : SIGINT;
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

void controller_release(struct controller *ctl)
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

int controller_set_up(struct controller *ctl, struct brunt_error *err)
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
