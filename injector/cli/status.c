/* SPDX-License-Identifier: Apache-2.0 */
/* brunt status: which runs there are on this host, and what dead ones left. */
#include "cli/cli.h"

#include "cli/runs.h"
#include "syscall/caller.h"
#include "syscall/keep.h"

#include "brunt/error.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define EXIT_USAGE   2
#define EXIT_ERROR   5
#define EXIT_RESIDUE 6

static const char usage_text[] =
	"usage: brunt status [OPTIONS]\n"
	"\n"
	"Lists the runs on this host. Exit status 6: a dead run left something, see `brunt recover`.\n"
	"\n"
	"  --output text|json   json: one document on stdout\n"
	"  --help\n";

static const char *fault_state(const struct brunt_ledger_fault *fault)
{
	if (fault->undone)
		return "undone";
	return fault->residue ? "residue" : fault->held ? "held" : "begun";
}

static json_t *pids_of(const struct brunt_ledger_view *view)
{
	pid_t pids[_BRUNT_ROLE_MAX];
	json_t *object = json_object();

	run_pids(view, pids);
	for (int role = 0; role < _BRUNT_ROLE_MAX; role++)
		if (pids[role])
			(void)json_object_set_new(object, brunt_roles[role].name, json_integer(pids[role]));
	return object;
}

static void print_pids(const struct brunt_ledger_view *view)
{
	const char *comma = "";
	pid_t pids[_BRUNT_ROLE_MAX];

	run_pids(view, pids);
	printf("  %-9s ", "pids");
	for (int role = 0; role < _BRUNT_ROLE_MAX; role++) {
		if (!pids[role])
			continue;
		printf("%s%s %d", comma, brunt_roles[role].name, (int)pids[role]);
		comma = ", ";
	}
	putchar('\n');
}

static json_t *describe(const struct brunt_ledger_view *view)
{
	json_t *faults = json_array(), *claims = json_array(), *paths = json_array();

	for (size_t i = 0; i < view->fault_count; i++)
		(void)json_array_append_new(faults, json_pack("{s:i, s:s, s:s}", "step", (int)view->faults[i].undo.step,
							      "fault", view->faults[i].undo.fault, "state",
							      fault_state(&view->faults[i])));
	for (size_t i = 0; i < view->claim_count; i++)
		(void)json_array_append_new(claims, json_string(view->claims[i]));
	for (size_t i = 0; i < view->path_count; i++)
		(void)json_array_append_new(paths, json_string(view->paths[i].path));
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:b, s:b}", "run", view->head.run, "plan",
			 view->head.plan, "plan_path", view->head.plan_path, "state",
			 run_state_name(run_state_of(view)), "started_unix_s", (json_int_t)view->head.started_wall,
			 "pids", pids_of(view), "faults", faults, "claims", claims, "paths", paths, "damaged",
			 view->damaged, "same_boot", view->same_boot);
}

static void print_faults(const struct brunt_ledger_view *view)
{
	for (size_t i = 0; i < view->fault_count; i++)
		if (!view->faults[i].undone)
			printf("  %-9s %s (step %u of the plan)\n", fault_state(&view->faults[i]),
			       view->faults[i].undo.fault, view->faults[i].undo.step + 1);
	for (size_t i = 0; i < view->claim_count; i++)
		printf("  %-9s %s\n", "claims", view->claims[i]);
}

static void print_run(const struct brunt_ledger_view *view)
{
	const struct brunt_ledger_head *head = &view->head;
	enum run_state state = run_state_of(view);
	char started[32];

	printf("%s %s  %s\n", head->run, run_state_name(state), head->plan);
	printf("  %-9s %s\n", "since", run_started(view, started, sizeof(started)));
	if (head->plan_path[0])
		printf("  %-9s %s\n", "plan", head->plan_path);
	if (state != RUN_DEAD)
		print_pids(view);
	print_faults(view);
	if (view->damaged)
		printf("  %-9s a part of its ledger cannot be read\n", "damaged");
	if (state == RUN_DEAD)
		printf("  %-9s run `brunt recover`: %zu fault%s and %zu path%s are not put away\n", "needs",
		       run_open_faults(view), run_open_faults(view) == 1 ? "" : "s", view->path_count,
		       view->path_count == 1 ? "" : "s");
}

struct listing {
	json_t *runs; /* NULL: as text */
	json_t *filters;
	size_t count, dead, filter_count;
};

static int list_one(const struct brunt_ledger_view *view, void *user)
{
	struct listing *listing = user;

	if (listing->runs)
		(void)json_array_append_new(listing->runs, describe(view));
	else
		print_run(view);
	listing->count++;
	listing->dead += run_state_of(view) == RUN_DEAD;
	return 0;
}

/* What runs leave by design: processes that were given a filter keep it, neutral, until they exit. */
static void list_filter(void *user, pid_t keeper, pid_t process, const struct brunt_call_set *asks)
{
	struct listing *listing = user;
	char name[32] = "?", calls[96];

	(void)brunt_caller_name(process, name, sizeof(name));
	(void)brunt_calls_print(asks, calls, sizeof(calls));
	if (listing->filters)
		(void)json_array_append_new(listing->filters,
					    json_pack("{s:i, s:s, s:i, s:s}", "pid", (int)process, "name", name,
						      "keeper", (int)keeper, "calls", calls));
	else
		printf("%sprocess %d (%s) has a filter for %s: neutral unless a run above uses it, until it exits; keeper %d\n",
		       listing->filter_count++ ? "" : "\n", (int)process, name, calls, (int)keeper);
}

static int list(bool json)
{
	struct listing listing = {
		.runs = json ? json_array() : NULL,
		.filters = json ? json_array() : NULL,
	};
	struct brunt_error err = { 0 };
	int r = runs_each(list_one, &listing, &err);

	if (r < 0) {
		json_decref(listing.runs);
		json_decref(listing.filters);
		fprintf(stderr, "brunt: %s\n", err.msg);
		return EXIT_ERROR;
	}
	if (!json && !listing.count)
		puts("no run on this host");
	brunt_keep_each(list_filter, &listing);
	if (json) {
		json_t *document =
			json_pack("{s:i, s:o, s:o}", "schema", 1, "runs", listing.runs, "filters", listing.filters);

		(void)json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(document);
	}
	return listing.dead ? EXIT_RESIDUE : 0;
}

int brunt_cmd_status(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool json = false;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage_text, stdout);
			return 0;
		}
		if (option != 'o' || (strcmp(optarg, "json") && strcmp(optarg, "text"))) {
			if (option == 'o')
				fprintf(stderr, "brunt: --output is text or json, not '%s'\n", optarg);
			return EXIT_USAGE;
		}
		json = !strcmp(optarg, "json");
	}
	if (optind < argc) {
		fprintf(stderr, "brunt: status takes no '%s'\n", argv[optind]);
		return EXIT_USAGE;
	}
	return list(json);
}
