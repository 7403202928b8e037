/* SPDX-License-Identifier: Apache-2.0 */
/* brunt schema: what is made from the tables: JSON Schema, reference, catalogue of journal events. */
#include "cli/cli.h"

#include "brunt/event.h"
#include "brunt/plan.h"

#include <getopt.h>
#include <stdio.h>

static const char usage_text[] = "usage: brunt schema [--reference | --journal]\n"
				 "\n"
				 "Prints the JSON Schema (draft 2020-12) of the experiment file.\n"
				 "\n"
				 "  --reference   instead: every key of the file and of every fault, in Markdown\n"
				 "  --journal     instead: every event of the journal, in Markdown\n"
				 "  --help\n";

static int print_schema(void)
{
	json_t *schema = brunt_plan_schema();
	int r;

	if (!schema)
		return -1;
	r = json_dumpf(schema, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(schema);
	return r;
}

int brunt_cmd_schema(int argc, char **argv)
{
	static const struct option options[] = {
		{ "reference", no_argument, NULL, 'r' },
		{ "journal", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, what = 's';

	optind = 0;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage_text, stdout);
			return 0;
		}
		if (option == '?')
			return 2;
		if (what != 's' && what != option) {
			fputs("brunt schema: --reference or --journal, not both\n", stderr);
			return 2;
		}
		what = option;
	}
	if (optind < argc) {
		fprintf(stderr, "brunt schema: takes no '%s'; 'brunt schema --help' says more\n", argv[optind]);
		return 2;
	}
	if (what == 'j')
		brunt_event_reference(stdout);
	else if ((what == 'r' ? brunt_plan_reference(stdout) : print_schema()) < 0)
		return 5;
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 5;
}
