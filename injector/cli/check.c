/* SPDX-License-Identifier: Apache-2.0 */
/* brunt check: is this plan right? Needs no privilege and touches nothing but the files it reads. */
#include "cli/cli.h"

#include "base/text.h"
#include "plan/plan.h"

#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] = "usage: brunt check [OPTIONS] PLAN...\n"
				 "\n"
				 "Says everything that is wrong with experiments, and how their bounds behave.\n"
				 "Needs no privilege and changes nothing.\n"
				 "\n"
				 "  --var NAME=VALUE       value of a variable\n"
				 "  --var-file NAME=PATH   value of a variable, from a file (for secrets)\n"
				 "  --output text|json     json: one document on stdout\n"
				 "  --help\n"
				 "\n"
				 "exit status: 0 valid, 2 not\n";

struct request {
	struct brunt_plan_options options;
	const char **vars, **var_files; /* as options; room for all arguments */
	bool json;
};

/* Room for count --var and as many --var-file, NULL-terminated. */
static int make_request(struct request *request, size_t count)
{
	request->vars = calloc(count + 1, sizeof(*request->vars));
	request->var_files = calloc(count + 1, sizeof(*request->var_files));
	request->options = (struct brunt_plan_options){ request->vars, request->var_files };
	return request->vars && request->var_files ? 0 : -ENOMEM;
}

static void free_request(struct request *request)
{
	free(request->vars);
	free(request->var_files);
}

static void free_plan(struct brunt_plan **plan)
{
	brunt_plan_free(*plan);
}

static size_t count_fault_kinds(const struct brunt_plan *plan)
{
	size_t count = 0;

	for (uint32_t i = 0; i < plan->step_count; i++) {
		bool first = plan->steps[i]->kind == BRUNT_STEP_FAULT;

		for (uint32_t j = 0; j < i && first; j++)
			first = plan->steps[j]->fault.injector != plan->steps[i]->fault.injector;
		count += first;
	}
	return count;
}

/* Prints what was written to text, without the plan's secrets. Takes text. */
static void print_redacted(const struct brunt_plan *plan, char *text)
{
	if (!text)
		return;
	brunt_plan_redact(plan, text);
	fputs(text, stdout);
	free(text);
}

static void print_valid(const char *path, const struct brunt_plan *plan)
{
	size_t kinds = count_fault_kinds(plan), size = 0;
	struct brunt_plan_times times;
	char *text = NULL, most[32];
	BRUNT_AUTO_FREE char *shown = strdup(path);
	FILE *out = shown ? open_memstream(&text, &size) : NULL;

	if (!out)
		return;
	brunt_plan_times(plan, &times);
	brunt_text_clean(shown);
	fprintf(out, "%s: valid; %u step%s, %zu fault kind%s, at most %s%s\n", shown, plan->step_count,
		plan->step_count == 1 ? "" : "s", kinds, kinds == 1 ? "" : "s",
		brunt_duration_print(times.most, most, sizeof(most)),
		times.approval ? " and the time that a person takes to approve" : "");
	brunt_plan_explain(plan, out);
	(void)fclose(out);
	print_redacted(plan, text);
}

static json_t *diag_document(const struct brunt_diag *diag)
{
	return json_pack("{s:s*, s:s*, s:i, s:i, s:b, s:s*}", "file", diag->file, "pointer", diag->pointer, "line",
			 (int)diag->line, "column", (int)diag->column, "warning", (int)diag->warning, "message",
			 diag->message);
}

static json_t *condition_document(const struct brunt_condition *condition)
{
	const struct brunt_quantity *quantity = condition->has_min ? &condition->min : &condition->max;
	json_t *document = json_pack("{s:s, s:s}", "pointer", condition->place.pointer, "text", condition->text);
	struct brunt_bound bound;

	if (!condition->resolved_sli || !document)
		return document;
	brunt_plan_bound(condition, quantity, &bound);
	if (!bound.fixed)
		return document;
	(void)json_object_set_new(document, "samples", json_integer((json_int_t)bound.samples));
	if (bound.has_tolerates)
		(void)json_object_set_new(document, "tolerates", json_integer((json_int_t)bound.tolerates));
	if (bound.breaks)
		(void)json_object_set_new(document, "reacts_ns", json_integer((json_int_t)bound.reacts));
	return document;
}

/* One plan's part of the document; NULL when memory is short. */
static json_t *plan_document(const char *path, const struct brunt_plan *plan, const struct brunt_diags *diags)
{
	json_t *list = json_array();
	json_t *document =
		json_pack("{s:s, s:b, s:I, s:I, s:o}", "path", path, "valid", plan != NULL, "errors",
			  (json_int_t)diags->errors, "warnings", (json_int_t)diags->warnings, "diagnostics", list);
	struct brunt_plan_times times;

	for (size_t i = 0; i < diags->count; i++)
		(void)json_array_append_new(list, diag_document(&diags->items[i]));
	if (!plan || !document)
		return document;
	brunt_plan_times(plan, &times);
	(void)json_object_set_new(document, "name", json_string(plan->name));
	(void)json_object_set_new(document, "steps", json_integer(plan->step_count));
	(void)json_object_set_new(document, "fault_kinds", json_integer((json_int_t)count_fault_kinds(plan)));
	(void)json_object_set_new(document, "most_ns", json_integer((json_int_t)times.most));
	list = json_array();
	(void)json_object_set_new(document, "conditions", list);
	for (uint32_t i = 0; i < plan->condition_count; i++)
		(void)json_array_append_new(list, condition_document(plan->conditions[i]));
	return document;
}

/* Adds it, with the plan's secrets taken out of every string. */
static void add_document(json_t *plans, const char *path, const struct brunt_plan *plan,
			 const struct brunt_diags *diags)
{
	json_t *document = plan_document(path, plan, diags);
	char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;

	json_decref(document);
	if (!text)
		return;
	if (plan)
		brunt_plan_redact(plan, text);
	(void)json_array_append_new(plans, json_loads(text, 0, NULL));
	free(text);
}

/* Checks one plan; 0, 2 when it is not valid, or 5 when memory is short. */
static int check_plan(const struct request *request, const char *path, json_t *plans)
{
	BRUNT_CLEANUP(brunt_diags_done) struct brunt_diags diags = { 0 };
	BRUNT_CLEANUP(free_plan) struct brunt_plan *plan = NULL;
	int r;

	r = brunt_plan_load(path, &request->options, &diags, &plan);
	if (r < 0 && r != -EINVAL) {
		fprintf(stderr, "brunt check: %s: %s\n", path, strerror(-r));
		return 5;
	}
	if (request->json) {
		add_document(plans, path, plan, &diags);
	} else {
		brunt_diags_print(&diags, stderr);
		if (plan)
			print_valid(path, plan);
	}
	return r < 0 ? 2 : 0;
}

/* 0, 1 when there is nothing more to do, or -EINVAL. */
static int parse_options(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{ "var", required_argument, NULL, 'v' },
		{ "var-file", required_argument, NULL, 'f' },
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	size_t vars = 0, var_files = 0;
	int option;

	optind = 0; /* the program's own arguments may have been read before */
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'v':
			request->vars[vars++] = optarg;
			break;
		case 'f':
			request->var_files[var_files++] = optarg;
			break;
		case 'o':
			request->json = strcmp(optarg, "json") == 0;
			if (!request->json && strcmp(optarg, "text") != 0) {
				fprintf(stderr, "brunt check: --output is 'text' or 'json', not '%s'\n", optarg);
				return -EINVAL;
			}
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 1;
		default:
			return -EINVAL;
		}
	}
	if (optind < argc)
		return 0;
	fputs("brunt check: which PLAN? 'brunt check --help' says more\n", stderr);
	return -EINVAL;
}

int brunt_cmd_check(int argc, char **argv)
{
	BRUNT_CLEANUP(free_request) struct request request = { 0 };
	json_t *plans = NULL;
	int status = 0, r;

	if (make_request(&request, (size_t)argc) < 0)
		return 5;
	r = parse_options(argc, argv, &request);
	if (r != 0)
		return r < 0 ? 2 : 0;
	if (request.json)
		plans = json_array();
	for (int i = optind; i < argc; i++) {
		r = check_plan(&request, argv[i], plans);
		status = r > status ? r : status;
	}
	if (request.json) {
		json_t *document = json_pack("{s:o}", "plans", plans);

		(void)json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(document);
	}
	return fflush(stdout) == 0 ? status : 5;
}
