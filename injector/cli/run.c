/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brunt run: options to brunt_run(), and the dry run.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/file.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "brunt/story.h"
#include "cli/cli.h"
#include "cli/dry_run.h"
#include "run/run.h"

#define VARS_MAX 64

struct arguments {
	struct brunt_run_options run;
	struct brunt_plan_options plan;
	const char *vars[VARS_MAX + 1];
	const char *var_files[VARS_MAX + 1];
	size_t var_count, var_file_count;
	const char *path;
	const char *expect;
	bool dry_run;
};

enum {
	OPTION_RESULT = 256,
	OPTION_EXPECT,
	OPTION_VAR,
	OPTION_VAR_FILE,
	OPTION_OUTPUT,
	OPTION_COLOR,
	OPTION_PLAIN,
	OPTION_SEED
};

static const struct option options[] = {
	{ "dry-run", no_argument, NULL, 'n' },
	{ "result", required_argument, NULL, OPTION_RESULT },
	{ "expect-verdict", required_argument, NULL, OPTION_EXPECT },
	{ "var", required_argument, NULL, OPTION_VAR },
	{ "var-file", required_argument, NULL, OPTION_VAR_FILE },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "output", required_argument, NULL, OPTION_OUTPUT },
	{ "color", required_argument, NULL, OPTION_COLOR },
	{ "plain", no_argument, NULL, OPTION_PLAIN },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void usage(FILE *out)
{
	fputs("usage: brunt run [OPTIONS] PLAN\n\n"
	      "Runs one experiment: checks the steady state, injects, watches, reverts, judges.\n\n"
	      "  -n, --dry-run             show exactly what would be hit, and how; touch nothing\n"
	      "      --var NAME=VALUE      set a variable of the plan\n"
	      "      --var-file NAME=PATH  set a variable to a file's content\n"
	      "      --seed N              decide every pick and every chance by N\n"
	      "      --result FILE         write the outcome as JSON, whatever happens\n"
	      "      --expect-verdict V    exit 0 when the verdict is V; else its own status, or 1\n"
	      "      --output text|json    a summary for people, or one JSON document\n"
	      "      --plain               lines instead of the live view\n"
	      "      --color auto|always|never\n"
	      "  -q, --quiet               only the exit status (and errors on stderr)\n"
	      "  -h, --help                this text\n\n"
	      "exit status: 0 passed, 1 failed, 2 invalid plan, 3 aborted, 4 refused, 5 error, 6 residue,\n"
	      "7 inconclusive, 8 unsteady, 9 unable, 130/143 stopped by a signal\n",
	      out);
}

static int bad(const char *what, const char *why)
{
	fprintf(stderr, "brunt run: '%s': %s; see 'brunt run --help'\n", what, why);
	return 2;
}

static bool want_colour(const char *mode)
{
	const char *none = getenv("NO_COLOR");

	if (!strcmp(mode, "always"))
		return true;
	return !strcmp(mode, "auto") && isatty(STDOUT_FILENO) && !(none && none[0]);
}

static int take_seed(struct arguments *args, const char *text)
{
	char *rest;

	errno = 0;
	args->run.seed = strtoull(text, &rest, 10);
	args->run.has_seed = true;
	return errno || *rest || text[0] < '0' || text[0] > '9' ? bad(text, "a seed is a whole number") : 0;
}

/* 0, an exit status, or -1 for --help. */
static int take_option(struct arguments *args, int option, const char **colour)
{
	enum brunt_verdict verdict;

	switch (option) {
	case 'n':
		args->dry_run = true;
		return 0;
	case 'q':
		args->run.output = BRUNT_OUTPUT_QUIET;
		return 0;
	case 'h':
		usage(stdout);
		return -1;
	case OPTION_RESULT:
		args->run.result = optarg;
		return 0;
	case OPTION_EXPECT:
		args->expect = optarg;
		return brunt_verdict_find(optarg, &verdict) ? bad(optarg, "there is no such verdict") : 0;
	case OPTION_VAR:
	case OPTION_VAR_FILE:
		if (!strchr(optarg, '=') || args->var_count == VARS_MAX || args->var_file_count == VARS_MAX)
			return bad(optarg, "is not NAME=VALUE, or there are too many");
		if (option == OPTION_VAR)
			args->vars[args->var_count++] = optarg;
		else
			args->var_files[args->var_file_count++] = optarg;
		return 0;
	case OPTION_SEED:
		return take_seed(args, optarg);
	case OPTION_OUTPUT:
		if (strcmp(optarg, "text") && strcmp(optarg, "json"))
			return bad(optarg, "--output is text or json");
		args->run.output = optarg[0] == 'j' ? BRUNT_OUTPUT_JSON : BRUNT_OUTPUT_TEXT;
		return 0;
	case OPTION_COLOR:
		*colour = optarg;
		if (strcmp(optarg, "auto") && strcmp(optarg, "always") && strcmp(optarg, "never"))
			return bad(optarg, "--color is auto, always or never");
		return 0;
	case OPTION_PLAIN:
		args->run.live = false;
		return 0;
	default:
		return 2; /* getopt has said why */
	}
}

static int parse(int argc, char **argv, struct arguments *args)
{
	const char *colour = "auto";
	int option, r;

	args->run.live = true;
	args->run.attended = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	optind = 1;
	while ((option = getopt_long(argc, argv, "nqh", options, NULL)) != -1) {
		r = take_option(args, option, &colour);
		if (r)
			return r;
	}
	if (optind != argc - 1)
		return bad(optind < argc ? argv[optind + 1] : "run",
			   optind < argc ? "one plan at a time" : "needs a plan");
	args->path = argv[optind];
	args->run.colour = want_colour(colour);
	args->run.live &= isatty(STDOUT_FILENO) != 0;
	args->plan.vars = args->vars;
	args->plan.var_files = args->var_files;
	return 0;
}

/* Ends before there was a run: the same verdicts, and the same promise about --result. */
static int give_up(const struct arguments *args, int status, const char *verdict, const char *why)
{
	json_t *document = json_pack("{s:s, s:i, s:[s]}", "verdict", verdict, "exit", status, "reasons", why);
	BRUNT_AUTO_FREE char *text = document ? json_dumps(document, JSON_INDENT(2)) : NULL;
	struct brunt_error err = { 0 };

	json_decref(document);
	if (text && args->run.output == BRUNT_OUTPUT_JSON)
		puts(text);
	if (text && args->run.result && brunt_file_replace(args->run.result, text, strlen(text), &err))
		fprintf(stderr, "brunt: %s\n", err.msg);
	return status;
}

static int status_of_failure(int code, const char **ret_verdict)
{
	switch (code) {
	case -EPERM:
	case -EACCES:
	case -ENOTSUP:
	case -ESRCH:
		*ret_verdict = "unable";
		return BRUNT_UNABLE;
	case -EEXIST:
		*ret_verdict = "refused";
		return BRUNT_REFUSED;
	default:
		*ret_verdict = "error";
		return BRUNT_ERROR;
	}
}

static int expected(const struct arguments *args, int status)
{
	enum brunt_verdict wanted;

	if (!args->expect || status == 2 || brunt_verdict_find(args->expect, &wanted))
		return status;
	if (status == (int)wanted || (wanted == BRUNT_STOPPED && status == 143))
		return 0;
	fprintf(stderr, "brunt: the verdict is not '%s'\n", args->expect);
	return status ? status : 1;
}

static int run_plan(const struct arguments *args, const struct brunt_plan *plan)
{
	struct brunt_error err = { 0 };
	const char *verdict;
	int status;

	if (args->dry_run)
		return brunt_dry_run(plan, args->run.has_seed ? args->run.seed : plan->seed,
				     args->run.output == BRUNT_OUTPUT_JSON);
	status = brunt_run(plan, &args->run, &err);
	if (status < 0) {
		status = status_of_failure(status, &verdict);
		brunt_plan_redact(plan, err.msg);
		fprintf(stderr, "brunt: %s: %s\n", verdict, err.msg);
		return give_up(args, status, verdict, err.msg);
	}
	return status;
}

int brunt_cmd_run(int argc, char **argv)
{
	struct arguments args = { 0 };
	struct brunt_diags diags = { 0 };
	struct brunt_plan *plan = NULL;
	int status = parse(argc, argv, &args);

	if (status)
		return status < 0 ? 0 : status;
	if (brunt_plan_load(args.path, &args.plan, &diags, &plan)) {
		brunt_diags_sort(&diags);
		brunt_diags_print(&diags, stderr);
		status = give_up(&args, 2, "invalid", diags.count ? diags.items[0].message : "out of memory");
	} else {
		status = run_plan(&args, plan);
	}
	brunt_diags_done(&diags);
	brunt_plan_free(plan);
	return expected(&args, status);
}
