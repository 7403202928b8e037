/* SPDX-License-Identifier: Apache-2.0 */
/* brunt recover: finishes what dead runs left. Once more is no harm. */
#include "cli/cli.h"

#include "cli/runs.h"

#include "brunt/error.h"
#include "brunt/fault.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define EXIT_USAGE   2
#define EXIT_ERROR   5
#define EXIT_RESIDUE 6

static const char usage_text[] = "usage: brunt recover [--dry-run]\n"
				 "\n"
				 "Undoes what runs left whose processes are all dead. Live runs are left alone.\n"
				 "Exit status 0: nothing is left; 6: something could not be undone.\n"
				 "\n"
				 "  --dry-run            say what would be done, touch nothing\n"
				 "  --help\n";

struct recovery {
	bool dry;
	size_t seen, left;
};

static const char *what_happens(const struct brunt_undo_record *undo)
{
	const struct brunt_injector *injector = brunt_injector_find(undo->fault);

	if (!injector)
		return "this brunt does not know it: cannot be undone";
	if (injector->undo == BRUNT_UNDO_EVENT)
		return "it happened: nothing to undo";
	return injector->recover ? "is undone" : "the kernel has undone it";
}

static void print_plan(const struct brunt_ledger_view *view, bool dry)
{
	for (size_t i = view->fault_count; i-- > 0;)
		if (!view->faults[i].undone)
			printf("  %s (step %u): %s\n", view->faults[i].undo.fault, view->faults[i].undo.step + 1,
			       view->same_boot ? what_happens(&view->faults[i].undo) : "gone with the reboot");
	for (size_t i = view->path_count; dry && i-- > 0;)
		printf("  %s is removed\n", view->paths[i].path);
}

static int recover_one(const struct brunt_ledger_view *view, void *user)
{
	struct recovery *recovery = user;
	enum run_state state = run_state_of(view);
	struct brunt_error err = { 0 };
	size_t undone = 0;
	int r;

	if (state != RUN_DEAD) {
		printf("run %s ('%s') is %s: left alone\n", view->head.run, view->head.plan,
		       state == RUN_LIVE ? "alive" : "ending");
		return 0;
	}
	recovery->seen++;
	printf("run %s ('%s') is dead%s\n", view->head.run, view->head.plan,
	       recovery->dry ? "; recover would do this:" : "");
	print_plan(view, recovery->dry);
	if (recovery->dry)
		return 0;
	r = brunt_ledger_recover(view->path, &undone, &err);
	if (r == -EAGAIN)
		printf("  %s\n", err.msg);
	else if (r < 0) {
		recovery->left++;
		fprintf(stderr, "brunt: %s\n", err.msg);
	} else
		printf("  finished: %zu fault%s settled, nothing of it is left\n", undone, undone == 1 ? "" : "s");
	return 0;
}

int brunt_cmd_recover(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dry-run", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct recovery recovery = { 0 };
	struct brunt_error err = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "hn", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage_text, stdout);
			return 0;
		}
		if (option != 'n')
			return EXIT_USAGE;
		recovery.dry = true;
	}
	if (optind < argc) {
		fprintf(stderr, "brunt: recover takes no '%s'\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (runs_each(recover_one, &recovery, &err) < 0) {
		fprintf(stderr, "brunt: %s\n", err.msg);
		return EXIT_ERROR;
	}
	if (!recovery.seen)
		puts("nothing to recover");
	if (recovery.left)
		fputs("brunt: something is left; a human must act\n", stderr);
	return recovery.left ? EXIT_RESIDUE : 0;
}
