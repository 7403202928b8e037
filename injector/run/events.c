/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling: every event goes to the story, the journal and the screen, and
 * nowhere else.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/text.h"
#include "brunt/clock.h"
#include "brunt/event.h"
#include "brunt/memory.h"
#include "run/controller.h"
#include "run/steps.h"

/* Events that must not be the first to go when a reader is slow. */
static bool important(const char *name)
{
	return strcmp(name, "sample") && strcmp(name, "service.output") && strcmp(name, "fault.hits") &&
	       strcmp(name, "step.output");
}

/* Words of the catalogue, which no value of a variable comes into: readers of the journal depend on them. */
static bool is_word(const char *key)
{
	static const char *const keys[] = { "event",  "kind", "outcome",   "truth", "phase", "verdict", "cause",
					    "reason", "of",   "dimension", "role",  "undo",  "fault",	"noun" };

	for (size_t i = 0; i < BRUNT_COUNT(keys); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

static json_t *redacted(const struct controller *ctl, json_t *string)
{
	BRUNT_AUTO_FREE char *text = strdup(json_string_value(string));

	if (!text)
		return json_string("***");
	brunt_plan_redact(ctl->plan, text);
	return strcmp(text, json_string_value(string)) ? json_string(text) : json_incref(string);
}

/* In the strings, before they are written as JSON: there a quote or a backslash of a secret looks different. */
void controller_redact(const struct controller *ctl, json_t *value)
{
	const char *key;
	json_t *child;
	void *next;
	size_t index;

	if (!ctl->plan->secrets)
		return;
	json_array_foreach (value, index, child) {
		if (json_is_string(child))
			(void)json_array_set_new(value, index, redacted(ctl, child));
		else
			controller_redact(ctl, child);
	}
	json_object_foreach_safe (value, next, key, child) {
		if (!json_is_string(child))
			controller_redact(ctl, child);
		else if (!is_word(key))
			(void)json_object_set_new(value, key, redacted(ctl, child));
	}
}

void controller_emit_fields(struct controller *ctl, const char *name, uint64_t at, json_t *fields)
{
	json_t *event = brunt_event_new(name, at);

	if (!event || (fields && json_object_update(event, fields))) {
		json_decref(event);
		json_decref(fields);
		return;
	}
	json_decref(fields);
	controller_redact(ctl, event);

	struct brunt_error err = { 0 };

	/* The catalogue is a promise to whoever reads journals; a test looks for this note. */
	if (brunt_event_check(event, &err) && strcmp(name, "note") != 0)
		controller_note(ctl, "bug: %s", err.msg);
	(void)brunt_story_feed(ctl->story, event);

	BRUNT_AUTO_FREE char *line = json_dumps(event, JSON_COMPACT);

	json_decref(event);
	if (!line)
		return;
	if (ctl->journal)
		brunt_sink_write(ctl->journal, line, strlen(line), important(name));
	if (ctl->screen)
		brunt_sink_write(ctl->screen, line, strlen(line), important(name));
	/* A run that nobody can read about later is no experiment. Without a screen it goes on: a closed pipe. */
	if (ctl->journal && brunt_sink_broken(ctl->journal) && !ctl->journal_lost) {
		ctl->journal_lost = true;
		controller_stop(ctl, STOP_ERROR, "the journal's writer died");
	}
}

void controller_emit(struct controller *ctl, const char *name, uint64_t at, const char *format, ...)
{
	json_error_t error;
	va_list args;

	va_start(args, format);
	json_t *fields = json_vpack_ex(&error, 0, format, args);
	va_end(args);
	if (fields)
		controller_emit_fields(ctl, name, at, fields);
}

void controller_phase(struct controller *ctl, const char *phase)
{
	ctl->phase = phase;
	controller_emit(ctl, "phase", 0, "{s:s}", "phase", phase);
}

void controller_note(struct controller *ctl, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)brunt_text_mend(text);
	controller_emit(ctl, "note", 0, "{s:s}", "text", text);
}

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static json_t *tell_step(const struct brunt_step *step)
{
	json_t *told = json_pack("{s:i, s:s, s:s, s:b}", "index", (int)step->index, "name", step->name, "kind",
				 brunt_step_kind_name(step->kind), "background", step->background);

	if (!told)
		return NULL;
	if (step->kind == BRUNT_STEP_FAULT) {
		const struct brunt_injector *injector = step->fault.injector;

		set(told, "fault", json_string(injector->name));
		set(told, "undo", json_string(brunt_undo_text(injector->undo)));
		set(told, "noun", json_string(injector->hit_noun ? injector->hit_noun : "hits"));
		set(told, "hits_min", json_integer((json_int_t)step->hits_min));
		if (step->pulse)
			set(told, "pulse",
			    json_pack("{s:I, s:I}", "on_ns", (json_int_t)step->pulse->on, "off_ns",
				      (json_int_t)step->pulse->off));
		if (step->on)
			set(told, "on", json_string(step->on));
	}
	if (step->has_hold)
		set(told, "hold_ns", json_integer((json_int_t)step->hold));
	if (step->observe)
		set(told, "hold_ns", json_integer((json_int_t)step->observe));
	if (step->since_step)
		set(told, "since", json_string(step->since_step->name));
	if (step->parent)
		set(told, "parent", json_integer((json_int_t)step->parent->index));
	return told;
}

static bool has_value(const struct brunt_sli *sli)
{
	switch (sli->kind) {
	case BRUNT_SLI_LINES:
		return sli->lines->value;
	case BRUNT_SLI_HTTP:
	case BRUNT_SLI_TCP:
	case BRUNT_SLI_PROCESS:
	case BRUNT_SLI_COMMAND:
		return true;
	}
	return false;
}

static json_t *tell_sli(const struct brunt_sli *sli)
{
	static const char *const kinds[] = {
		[BRUNT_SLI_HTTP] = "http",   [BRUNT_SLI_TCP] = "tcp",	      [BRUNT_SLI_COMMAND] = "command",
		[BRUNT_SLI_LINES] = "lines", [BRUNT_SLI_PROCESS] = "process",
	};

	return json_pack("{s:i, s:s, s:s, s:s, s:b, s:I}", "index", (int)sli->index, "name", sli->name, "kind",
			 kinds[sli->kind], "dimension", brunt_dimension_name(sli->dimension), "has_value",
			 has_value(sli), "every_ns", (json_int_t)sli->every);
}

static json_t *tell_condition(const struct brunt_condition *condition)
{
	static const char *const kinds[] = {
		[BRUNT_CONDITION_START_IF] = "start_if",   [BRUNT_CONDITION_STEADY] = "steady",
		[BRUNT_CONDITION_GUARDRAIL] = "guardrail", [BRUNT_CONDITION_WAIT] = "wait",
		[BRUNT_CONDITION_EXPECT] = "expect",
	};
	enum brunt_dimension dimension = condition->has_min ? condition->min.dimension : condition->max.dimension;
	json_t *told = json_pack("{s:i, s:s, s:s, s:s, s:I, s:s}", "index", (int)condition->index, "kind",
				 kinds[condition->kind], "text", condition->text ? condition->text : "", "of",
				 condition->target ? "alive" : brunt_of_name((enum brunt_of)condition->of), "over_ns",
				 (json_int_t)condition->over, "dimension", brunt_dimension_name(dimension));

	if (!told)
		return NULL;
	if (condition->sli)
		set(told, "sli", json_string(condition->sli));
	if (condition->has_min)
		set(told, "min", json_real(condition->min.value));
	if (condition->has_max)
		set(told, "max", json_real(condition->max.value));
	if (condition->has_during)
		set(told, "during", json_real(condition->during.value));
	if (condition->kind == BRUNT_CONDITION_STEADY)
		set(told, "after_within_ns", json_integer((json_int_t)condition->after_within));
	return told;
}

void controller_emit_start(struct controller *ctl)
{
	const struct brunt_plan *plan = ctl->plan;
	struct utsname kernel = { 0 };
	json_t *steps = json_array(), *slis = json_array(), *conditions = json_array(), *services = json_array(),
	       *targets = json_array();
	int index = 0;

	(void)uname(&kernel);
	for (uint32_t i = 0; i < plan->step_count; i++)
		(void)json_array_append_new(steps, tell_step(plan->steps[i]));
	BRUNT_FOREACH (struct brunt_sli, sli, plan->slis)
		(void)json_array_append_new(slis, tell_sli(sli));
	for (uint32_t i = 0; i < plan->condition_count; i++)
		(void)json_array_append_new(conditions, tell_condition(plan->conditions[i]));
	BRUNT_FOREACH (struct brunt_service, service, plan->services)
		(void)json_array_append_new(services, json_pack("{s:i, s:s}", "index", index++, "name", service->name));
	index = 0;
	BRUNT_FOREACH (struct brunt_target, target, plan->targets)
		(void)json_array_append_new(targets, json_pack("{s:i, s:s}", "index", index++, "name", target->name));

	json_t *fields =
		json_pack("{s:i, s:s, s:s, s:s, s:I, s:i, s:s, s:s, s:s, s:I}", "schema", BRUNT_JOURNAL_SCHEMA, "run",
			  ctl->shared->run, "plan", plan->name, "plan_path", plan->path, "seed",
			  (json_int_t)ctl->setup->seed, "pid", (int)getpid(), "brunt", BRUNT_VERSION, "kernel",
			  kernel.release, "user", ctl->setup->identity.name, "lease_ns", (json_int_t)plan->lease);

	if (fields) {
		set(fields, "journal", json_string(ctl->journal_path));
		if (plan->description)
			set(fields, "description", json_string(plan->description));
		set(fields, "blast_radius",
		    json_pack("{s:I, s:f, s:I}", "victims", (json_int_t)plan->blast_radius.victims, "share_ratio",
			      plan->blast_radius.share, "duration_ns", (json_int_t)plan->blast_radius.duration));
		set(fields, "steps", steps);
		set(fields, "slis", slis);
		set(fields, "conditions", conditions);
		set(fields, "services", services);
		set(fields, "targets", targets);
	}
	controller_emit_fields(ctl, "run.start", 0, fields);
}

void controller_tell_output(struct controller *ctl, const char *name, const struct command_run *command)
{
	BRUNT_AUTO_FREE char *text = strdup(controller_command_output(command));
	char *save = NULL;
	int lines = 0;

	if (!text)
		return;
	if (controller_command_output_cut(command))
		brunt_plan_redact_cut(ctl->plan, text);
	else
		brunt_plan_redact(ctl->plan, text);
	for (char *line = strtok_r(text, "\n", &save); line && lines < 200;
	     line = strtok_r(NULL, "\n", &save), lines++) {
		controller_emit(ctl, "step.output", 0, "{s:s, s:s}", "step", name, "line", brunt_text_clean(line));
	}
}
