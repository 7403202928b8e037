/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of events: making them, checking them, and its page in the
 * docs all come from this one table.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/event.h"
#include "brunt/units.h"

#define REAL "number or null" /* JSON has no infinity: null stands for it */

/* clang-format off */
const struct brunt_event_kind brunt_event_kinds[] = {
	{ "run.start", "the first line: everything that later events refer to by name", {
		{ "schema", "integer", false, "version of this catalogue" },
		{ "run", "string", false, "run id, eight hex digits" },
		{ "plan", "string", false, "name of the experiment" },
		{ "plan_path", "string", false, "the plan file, as given" },
		{ "journal", "string", true, "this file" },
		{ "plan_sha256", "string", true, "of the plan file's bytes" },
		{ "seed", "integer", false, "what chance was drawn from" },
		{ "pid", "integer", false, "of the controller" },
		{ "brunt", "string", false, "version of the program" },
		{ "kernel", "string", false, "release of the running kernel" },
		{ "user", "string", false, "who services and commands run as" },
		{ "description", "string", true, "the experiment's" },
		{ "lease_ns", "integer", true, "how long faults outlive a controller that hangs" },
		{ "steps", "array", false, "of objects: index, name, kind, [fault, on, hold_ns, background, hits_min, noun, parent, undo, since, pulse{on_ns, off_ns}]" },
		{ "slis", "array", false, "of objects: index, name, kind, dimension, has_value, every_ns" },
		{ "conditions", "array", false, "of objects: index, kind, text, [sli, of, over_ns, min, max, during, after_within_ns, step], dimension" },
		{ "services", "array", true, "of objects: index, name" },
		{ "targets", "array", true, "of objects: index, name" },
		{ "blast_radius", "object", true, "victims, share_ratio, duration_ns" } } },
	{ "role", "a process of the run started", {
		{ "role", "string", false, "holder, launcher, ..." },
		{ "pid", "integer", false, "" } } },
	{ "role.end", "a process of the run ended", {
		{ "role", "string", false, "" },
		{ "pid", "integer", false, "" },
		{ "status", "integer", true, "as of waitpid(2), where it is known" },
		{ "expected", "boolean", false, "false: it died" } } },
	{ "phase", "the run entered a phase", {
		{ "phase", "string", false, "preflight, services, start_if, before, method, revert, finally, after or end" } } },
	{ "service.start", "a service was started", {
		{ "service", "string", false, "" },
		{ "pid", "integer", false, "" } } },
	{ "service.ready", "a service answered", {
		{ "service", "string", false, "" },
		{ "took_ns", "integer", false, "since its start" } } },
	{ "service.end", "a service ended", {
		{ "service", "string", false, "" },
		{ "pid", "integer", false, "" },
		{ "status", "integer", false, "as of waitpid(2)" },
		{ "expected", "boolean", false, "brunt ended it, a fault of the run killed it, or it may exit" },
		{ "restarting", "boolean", false, "it will be started again" },
		{ "last_line", "string", true, "the last that it wrote: as a rule it says why" } } },
	{ "service.output", "a service wrote a line", {
		{ "service", "string", false, "" },
		{ "line", "string", false, "redacted, cut" },
		{ "dropped", "integer", true, "lines before this one that were not kept" } } },
	{ "target", "a target was resolved", {
		{ "target", "string", false, "" },
		{ "matched", "integer", false, "items that match" },
		{ "picked", "integer", false, "of those, the ones to be hit" },
		{ "share_ratio", "number", false, "picked of matched" },
		{ "victims", "integer", false, "hit so far in the run, for the blast radius" },
		{ "items", "array", false, "of objects: name, picked, [pid, start]" } } },
	{ "step.start", "a step of the method began", {
		{ "step", "string", false, "" } } },
	{ "step.end", "a step of the method ended", {
		{ "step", "string", false, "" },
		{ "outcome", "string", false, "done, held, failed, missed, skipped, aborted, refused or error" },
		{ "why", "string", true, "" },
		{ "took_ns", "integer", true, "" } } },
	{ "fault.applied", "a fault was armed (at_ns: when)", {
		{ "step", "string", false, "" },
		{ "mechanism", "string", false, "how the kernel was made to do it" },
		{ "victims", "array", true, "names" } } },
	{ "fault.hits", "what a fault's counters say so far", {
		{ "step", "string", false, "" },
		{ "seen", "integer", false, "packets or calls that came by" },
		{ "matched", "integer", false, "of those, the ones that the fault is about" },
		{ "hit", "integer", false, "of those, the ones that were hurt" },
		{ "unwanted", "integer", true, "hurt that nobody asked for: by a full queue, by an undo in a hurry" },
		{ "breakdown", "string", true, "of what hit is made" },
		{ "near_miss", "string", true, "why hit may be 0" } } },
	{ "fault.pulse", "a phase of a pulsed fault began (at_ns: armed again, or read back as not in effect)", {
		{ "step", "string", false, "" },
		{ "on", "boolean", false, "true: in effect again" } } },
	{ "fault.reverted", "a fault is gone (at_ns: when that was read back)", {
		{ "step", "string", false, "" },
		{ "reason", "string", false, "hold, step, abort, end, lapsed, signal or lost" },
		{ "clean", "boolean", false, "false: residue" },
		{ "hit", "integer", false, "in all" },
		{ "why", "string", true, "" } } },
	{ "fault.news", "what became known while a fault was held", {
		{ "step", "string", false, "" },
		{ "text", "string", false, "such as the addresses that its host names stand for" } } },
	{ "fault.lost", "a fault went away while it should have been held", {
		{ "step", "string", false, "" },
		{ "why", "string", false, "" },
		{ "target_gone", "boolean", true, "true: nothing was left to hit, which is no failure of the fault" } } },
	{ "sample", "an SLI was sampled", {
		{ "sli", "string", false, "" },
		{ "scheduled_ns", "integer", false, "when it was due: this is its time" },
		{ "took_ns", "integer", false, "from then to the answer, or to giving up" },
		{ "good", "boolean", true, "where it is judged" },
		{ "value", REAL, true, "in the base unit of the SLI's dimension; null: infinite (a failed one's latency)" },
		{ "why", "string", true, "it is bad" } } },
	{ "condition", "the judgement of a condition changed", {
		{ "condition", "integer", false, "its index" },
		{ "truth", "string", false, "holds, broken or unknown" },
		{ "value", REAL, true, "what was read, in base units; null: infinite" },
		{ "count", "integer", false, "samples that it rests on" },
		{ "bad", "integer", false, "of those" },
		{ "phase", "string", false, "of the run" },
		{ "during", "boolean", true, "true: a steady state's judged by the bound for held faults" } } },
	{ "guardrail", "a guardrail was breached: the run aborts", {
		{ "condition", "integer", false, "its index" },
		{ "value", REAL, true, "what was read, in base units; null: infinite" },
		{ "sample_ns", "integer", false, "scheduled time of the sample that made it" },
		{ "why", "string", false, "" } } },
	{ "abort", "the method ends before its time", {
		{ "cause", "string", false, "guardrail, signal, error, lease, controller, refused, unable or unsteady" },
		{ "why", "string", false, "" },
		{ "signal", "integer", true, "which one" } } },
	{ "reverted", "every fault is gone and read back", {
		{ "clean", "boolean", false, "false: residue" },
		{ "faults", "integer", true, "how many there were" },
		{ "took_ns", "integer", false, "from the order to the last one read back" },
		{ "since_ns", "integer", true, "scheduled time of the sample that breached the guardrail" } } },
	{ "step.output", "a judged command wrote a line", {
		{ "step", "string", false, "" },
		{ "line", "string", false, "redacted, cut" } } },
	{ "finally", "a command of `finally` ended", {
		{ "index", "integer", false, "from 0" },
		{ "name", "string", false, "" },
		{ "status", "integer", false, "as of waitpid(2)" },
		{ "why", "string", true, "" } } },
	{ "note", "worth knowing", {
		{ "text", "string", false, "" } } },
	{ "verdict", "the last line", {
		{ "verdict", "string", false, "passed, failed, aborted, ..." },
		{ "exit", "integer", false, "exit status" },
		{ "reasons", "array", false, "of strings, the weightiest first" } } },
	{ 0 }
};
/* clang-format on */

static const struct brunt_event_kind *find_kind(const char *name)
{
	for (const struct brunt_event_kind *kind = brunt_event_kinds; kind->name; kind++)
		if (!strcmp(kind->name, name))
			return kind;
	return NULL;
}

/* The wall clock as it stood at a CLOCK_BOOTTIME time. */
static void print_wall(uint64_t at, char *buf, size_t size)
{
	struct timespec real;
	struct tm tm;
	char zone[8], date[32];

	(void)clock_gettime(CLOCK_REALTIME, &real);
	int64_t ns = (int64_t)real.tv_sec * (int64_t)BRUNT_S + real.tv_nsec - (int64_t)(brunt_now() - at);
	time_t seconds = (time_t)(ns / (int64_t)BRUNT_S);

	localtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(buf, size, "%s.%06d%.3s:%.2s", date, (int)(ns % (int64_t)BRUNT_S / 1000), zone, zone + 3);
}

json_t *brunt_event_new(const char *name, uint64_t at)
{
	char wall[48];

	if (!find_kind(name))
		return NULL;
	if (!at)
		at = brunt_now();
	print_wall(at, wall, sizeof(wall));
	return json_pack("{s:s, s:I, s:s}", "event", name, "at_ns", (json_int_t)at, "wall", wall);
}

static bool has_type(const json_t *value, const char *type)
{
	if (!strcmp(type, "string"))
		return json_is_string(value);
	if (!strcmp(type, "integer"))
		return json_is_integer(value);
	if (!strcmp(type, "number"))
		return json_is_number(value);
	if (!strcmp(type, REAL))
		return json_is_number(value) || json_is_null(value);
	if (!strcmp(type, "boolean"))
		return json_is_boolean(value);
	if (!strcmp(type, "array"))
		return json_is_array(value);
	return json_is_object(value);
}

static const struct brunt_event_field *find_field(const struct brunt_event_kind *kind, const char *name)
{
	static const struct brunt_event_field common[] = {
		{ "event", "string", false, "its kind" },
		{ "at_ns", "integer", false, "CLOCK_BOOTTIME" },
		{ "wall", "string", false, "RFC 3339" },
		{ 0 },
	};

	for (const struct brunt_event_field *field = common; field->name; field++)
		if (!strcmp(field->name, name))
			return field;
	for (const struct brunt_event_field *field = kind->fields; field->name; field++)
		if (!strcmp(field->name, name))
			return field;
	return NULL;
}

int brunt_event_check(const json_t *event, struct brunt_error *err)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	const struct brunt_event_kind *kind = name ? find_kind(name) : NULL;
	const char *key;
	json_t *value;

	if (!json_is_object(event) || !name)
		return brunt_fail(err, EINVAL, "not an event: it has no 'event'");
	if (!kind)
		return brunt_fail(err, EINVAL, "no event is called '%s'", name);
	if (!json_is_integer(json_object_get(event, "at_ns")) || !json_is_string(json_object_get(event, "wall")))
		return brunt_fail(err, EINVAL, "event '%s' has no time: 'at_ns' and 'wall' are needed", name);
	for (const struct brunt_event_field *field = kind->fields; field->name; field++)
		if (!field->optional && !json_object_get(event, field->name))
			return brunt_fail(err, EINVAL, "event '%s' lacks '%s'", name, field->name);
	json_object_foreach ((json_t *)event, key, value) {
		const struct brunt_event_field *field = find_field(kind, key);

		if (!field)
			return brunt_fail(err, EINVAL, "event '%s' has no field '%s'", name, key);
		if (!has_type(value, field->type))
			return brunt_fail(err, EINVAL, "field '%s' of event '%s' is not of type %s", key, name,
					  field->type);
	}
	return 0;
}

void brunt_event_reference(FILE *out)
{
	fprintf(out,
		"# The journal\n\n"
		"<!-- Generated by `make docs` from injector/record/event.c. -->\n\n"
		"One JSON object a line, flushed as it happens; the schema is version %d. Every event has:\n\n"
		"| field | type | meaning |\n|---|---|---|\n"
		"| `event` | string | its kind |\n"
		"| `at_ns` | integer | when, CLOCK_BOOTTIME nanoseconds |\n"
		"| `wall` | string | the same by the wall clock, RFC 3339 |\n\n"
		"Readers ignore events and fields that they do not know. A torn last line is no event.\n",
		BRUNT_JOURNAL_SCHEMA);
	for (const struct brunt_event_kind *kind = brunt_event_kinds; kind->name; kind++) {
		fprintf(out, "\n## `%s`\n\n%c%s.\n\n| field | type | meaning |\n|---|---|---|\n", kind->name,
			kind->help[0] - 'a' + 'A', kind->help + 1);
		for (const struct brunt_event_field *field = kind->fields; field->name; field++)
			fprintf(out, "| `%s` | %s%s | %s |\n", field->name, field->type,
				field->optional ? ", optional" : "", field->help);
	}
}
