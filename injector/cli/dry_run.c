/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brunt run --dry-run: what would be hit, now, exactly.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"
#include "brunt/error.h"
#include "brunt/hold.h"
#include "brunt/judge.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "cli/dry_run.h"

#define DETAIL_COLUMN 23

struct row {
	char target[256];
	char share[48];
	char mechanism[160];
	const char *undone;
};

/* What came from the plan or the host, as a terminal may see it: no secrets, nothing that it would obey. */
static char *make_fit(const struct brunt_plan *plan, char *text)
{
	brunt_plan_redact(plan, text);
	brunt_text_clean(text);
	return text;
}

/* Redacted as a whole, then cut: half a secret would not be known as one. */
static void copy_fit(const struct brunt_plan *plan, const char *text, char *buf, size_t size)
{
	BRUNT_AUTO_FREE char *whole = strdup(text);

	(void)snprintf(buf, size, "%s", whole ? make_fit(plan, whole) : "?");
}

static void list_victims(const struct brunt_victims *victims, char *buf, size_t size)
{
	size_t used = 0, told = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < victims->matched && used < size; i++) {
		if (!victims->items[i].picked)
			continue;
		if (told == 4) {
			(void)snprintf(buf + used, size - used, " and %zu more", victims->picked - told);
			return;
		}
		used += (size_t)snprintf(buf + used, size - used, "%s%s", told ? ", " : "", victims->items[i].name);
		told++;
	}
}

static void fault_row(const struct brunt_step *step, const struct brunt_preview *preview, struct row *row)
{
	row->undone = brunt_undo_text(step->fault.injector->undo);
	(void)snprintf(row->mechanism, sizeof(row->mechanism), "%s", preview->mechanism);
	if (preview->victims) {
		list_victims(preview->victims, row->target, sizeof(row->target));
		if (preview->victims->matched > preview->victims->picked)
			(void)snprintf(row->share, sizeof(row->share), "%zu of %zu", preview->victims->picked,
				       preview->victims->matched);
		else
			(void)snprintf(row->share, sizeof(row->share), "all %zu", preview->victims->matched);
	} else if (preview->code == -EAGAIN) {
		(void)snprintf(row->target, sizeof(row->target), "%s (not started yet)", step->on ? step->on : "-");
	} else {
		(void)snprintf(row->target, sizeof(row->target), "%s: not found", step->on ? step->on : "-");
	}
}

static void other_row(const struct brunt_plan *plan, const struct brunt_step *step, struct row *row)
{
	char time[32], program[128] = "";

	row->undone = "-";
	(void)snprintf(row->target, sizeof(row->target), "-");
	switch (step->kind) {
	case BRUNT_STEP_OBSERVE:
		(void)snprintf(row->mechanism, sizeof(row->mechanism), "observe %s",
			       brunt_duration_print(step->observe, time, sizeof(time)));
		break;
	case BRUNT_STEP_WAIT:
	case BRUNT_STEP_EXPECT:
		(void)snprintf(row->mechanism, sizeof(row->mechanism), "%s, within %s",
			       (step->kind == BRUNT_STEP_WAIT ? step->wait : step->expect)->text,
			       brunt_duration_print(step->within, time, sizeof(time)));
		break;
	case BRUNT_STEP_START:
	case BRUNT_STEP_STOP:
		(void)snprintf(row->target, sizeof(row->target), "service %s", step->start ? step->start : step->stop);
		(void)snprintf(row->mechanism, sizeof(row->mechanism), "%s", brunt_step_kind_name(step->kind));
		break;
	case BRUNT_STEP_RUN:
		if (step->run.count)
			copy_fit(plan, *(const char *const *)step->run.items, program, sizeof(program));
		(void)snprintf(row->mechanism, sizeof(row->mechanism), "run %s", program);
		break;
	default:
		(void)snprintf(row->mechanism, sizeof(row->mechanism), "%s", brunt_step_kind_name(step->kind));
		break;
	}
}

static void make_row(const struct brunt_plan *plan, const struct brunt_step *step, const struct brunt_preview *preview,
		     struct row *row)
{
	memset(row, 0, sizeof(*row));
	(void)snprintf(row->share, sizeof(row->share), "-");
	if (step->kind == BRUNT_STEP_FAULT)
		fault_row(step, preview, row);
	else
		other_row(plan, step, row);
	(void)make_fit(plan, row->target);
	(void)make_fit(plan, row->mechanism);
}

/* The parameters that make this fault what it is: those that are not as by default. */
static void print_parameters(const struct brunt_plan *plan, const struct brunt_step *step)
{
	const struct brunt_table *table = step->fault.injector->table;
	BRUNT_AUTO_FREE void *defaults = calloc(1, table->size);
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;
	struct brunt_error err = { 0 };
	const char *label = "with";

	if (!defaults || brunt_arena_new(&arena) || brunt_param_defaults(table, defaults, arena, &err))
		return;
	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END; param++) {
		char value[256], usual[256];

		if (!param->key)
			continue;
		(void)brunt_param_print(param, step->fault.params, value, sizeof(value));
		if (!strcmp(value, brunt_param_print(param, defaults, usual, sizeof(usual))))
			continue;
		printf("%*s%-10s %s %s\n", DETAIL_COLUMN, "", label, param->key, make_fit(plan, value));
		label = "";
	}
}

static void print_when(const struct brunt_step *step)
{
	char time[32], off[32];

	if (step->has_hold)
		printf("%*s%-10s %s%s\n", DETAIL_COLUMN, "", "held",
		       brunt_duration_print(step->hold, time, sizeof(time)),
		       step->background ? ", in the background" : "");
	else if (step->background)
		printf("%*s%-10s to the end of the method, in the background\n", DETAIL_COLUMN, "", "held");
	if (step->pulse)
		printf("%*s%-10s %s in effect, %s not, in turns\n", DETAIL_COLUMN, "", "pulsed",
		       brunt_duration_print(step->pulse->on, time, sizeof(time)),
		       brunt_duration_print(step->pulse->off, off, sizeof(off)));
	if (step->times > 1)
		printf("%*s%-10s %llu times, every %s\n", DETAIL_COLUMN, "", "happens", (unsigned long long)step->times,
		       brunt_duration_print(step->every, time, sizeof(time)));
}

/* What else is hurt by it. */
static void print_notes(const struct brunt_plan *plan, const struct brunt_preview *preview)
{
	char notes[sizeof(preview->notes)], *rest = notes, *line;
	const char *label = "note";

	(void)snprintf(notes, sizeof(notes), "%s", preview->notes);
	while ((line = strsep(&rest, "\n")) && *line) {
		printf("%*s%-10s %s\n", DETAIL_COLUMN, "", label, make_fit(plan, line));
		label = "";
	}
}

static void print_fault(const struct brunt_plan *plan, const struct brunt_step *step,
			const struct brunt_preview *preview, const struct row *row)
{
	printf("%s\n", step->fault.injector->name);
	printf("%*s%-10s %s\n", DETAIL_COLUMN, "", "hits", row->target);
	if (row->share[0] != '-')
		printf("%*s%-10s %s\n", DETAIL_COLUMN, "", "share", row->share);
	print_parameters(plan, step);
	print_when(step);
	printf("%*s%-10s %s\n", DETAIL_COLUMN, "", "by", row->mechanism);
	printf("%*s%-10s %s\n", DETAIL_COLUMN, "", "undone by", row->undone);
	print_notes(plan, preview);
}

static void print_steps(const struct brunt_plan *plan, const struct brunt_preview *previews)
{
	for (uint32_t i = 0; i < plan->step_count; i++) {
		const struct brunt_step *step = plan->steps[i];
		struct row row;

		make_row(plan, step, &previews[i], &row);
		printf("  %3u %-*s ", i + 1, DETAIL_COLUMN - 7, step->name);
		if (step->kind == BRUNT_STEP_FAULT)
			print_fault(plan, step, &previews[i], &row);
		else
			printf("%s%s%s\n", row.mechanism, row.target[0] != '-' ? " " : "",
			       row.target[0] != '-' ? row.target : "");
	}
}

static void print_bounds(const struct brunt_plan *plan)
{
	const char *head = "guardrails";

	BRUNT_FOREACH (struct brunt_condition, condition, plan->guardrails) {
		uint64_t reacts = condition->lasting;
		char time[32];

		if (condition->resolved_sli)
			reacts += condition->resolved_sli->every + condition->resolved_sli->timeout;
		printf("  %-13s %s; reacts within %s once the window says so\n", head, condition->text,
		       brunt_duration_print(reacts, time, sizeof(time)));
		head = "";
	}
	head = "steady state";
	BRUNT_FOREACH (struct brunt_condition, condition, plan->steady_state) {
		printf("  %-13s %s\n", head, condition->text);
		head = "";
	}
}

/* Capabilities that any step lacks, each once. */
static bool print_needs(const struct brunt_plan *plan, const struct brunt_preview *previews)
{
	bool able = true;

	for (uint32_t i = 0; i < plan->step_count; i++) {
		if (previews[i].missing[0]) {
			printf("  %-13s step '%s' needs %s: missing; run brunt as root\n", "needs",
			       plan->steps[i]->name, previews[i].missing);
			able = false;
		}
		if (previews[i].code && previews[i].code != -EAGAIN) {
			printf("  %-13s step '%s': %s\n", "unable", plan->steps[i]->name, previews[i].why);
			able = false;
		}
	}
	if (able)
		printf("  %-13s every capability and kernel feature is there\n", "needs");
	return able;
}

static void print_radius(const struct brunt_plan *plan, const struct brunt_preview *previews)
{
	size_t victims = 0;
	char time[32];

	for (uint32_t i = 0; i < plan->step_count; i++)
		victims += previews[i].victims ? previews[i].victims->picked : 0;
	printf("  %-13s %zu resolved now, at most %llu; share at most %.0f %%; at most %s\n", "blast radius", victims,
	       (unsigned long long)plan->blast_radius.victims, plan->blast_radius.share * 100,
	       brunt_duration_print(plan->blast_radius.duration, time, sizeof(time)));
}

static json_t *document(const struct brunt_plan *plan, const struct brunt_preview *previews, uint64_t seed)
{
	json_t *steps = json_array();

	for (uint32_t i = 0; i < plan->step_count; i++) {
		json_t *victims = json_array();
		struct row row;

		make_row(plan, plan->steps[i], &previews[i], &row);
		for (size_t k = 0; previews[i].victims && k < previews[i].victims->matched; k++)
			(void)json_array_append_new(victims,
						    json_pack("{s:s, s:b}", "name", previews[i].victims->items[k].name,
							      "picked", previews[i].victims->items[k].picked));
		(void)json_array_append_new(
			steps, json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:s}", "name", plan->steps[i]->name,
					 "kind", brunt_step_kind_name(plan->steps[i]->kind), "mechanism", row.mechanism,
					 "undone_by", row.undone, "items", victims, "missing", previews[i].missing,
					 "why", previews[i].why, "notes", previews[i].notes));
	}
	return json_pack("{s:s, s:I, s:o}", "plan", plan->name, "seed", (json_int_t)seed, "steps", steps);
}

static int print_json(const struct brunt_plan *plan, const struct brunt_preview *previews, uint64_t seed)
{
	json_t *told = document(plan, previews, seed);
	BRUNT_AUTO_FREE char *text = told ? json_dumps(told, JSON_INDENT(2)) : NULL;
	int status = 0;

	json_decref(told);
	puts(text ? text : "{}");
	for (uint32_t i = 0; i < plan->step_count; i++)
		if (previews[i].missing[0] || (previews[i].code && previews[i].code != -EAGAIN))
			status = 9;
	return status;
}

int brunt_dry_run(const struct brunt_plan *plan, uint64_t seed, bool json)
{
	struct brunt_preview *previews = calloc(plan->step_count + 1, sizeof(*previews));
	struct brunt_error err = { 0 };
	int status;

	if (!previews || brunt_preview(plan, seed, previews, &err)) {
		fprintf(stderr, "brunt: %s\n", previews ? make_fit(plan, err.msg) : "out of memory");
		free(previews);
		return 5;
	}
	for (uint32_t i = 0; i < plan->step_count; i++)
		(void)make_fit(plan, previews[i].why);
	if (json) {
		status = print_json(plan, previews, seed);
	} else {
		printf("%s\n\n", plan->name);
		print_steps(plan, previews);
		printf("\n");
		print_bounds(plan);
		status = print_needs(plan, previews) ? 0 : 9;
		print_radius(plan, previews);
		printf("  %-13s %llu%s\n\nNothing was touched.\n", "seed", (unsigned long long)seed,
		       plan->has_seed || seed != plan->seed ? "" : ", drawn now: run with --seed to pick the same");
	}
	brunt_preview_done(previews, plan->step_count);
	free(previews);
	return status;
}
