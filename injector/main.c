/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argv to subcommand.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "brunt/json.h"
#include "brunt/memory.h"
#include "cli/cli.h"

static const struct command {
	const char *name;
	const char *synopsis;
	const char *help;
	int (*main)(int argc, char **argv);
} commands[] = {
	{ "run", "run [--dry-run] PLAN", "run one experiment", brunt_cmd_run },
	{ "check", "check PLAN...", "validate; no privilege, no side effect", brunt_cmd_check },
	{ "inject", "inject FAULT KEY=VALUE...", "one fault by hand, on a command or on what runs", brunt_cmd_inject },
	{ "survey", "survey [OPTIONS] -- COMMAND", "which single failures of system calls a command does not bear",
	  brunt_cmd_survey },
	{ "faults", "faults [NAME]", "the catalogue of faults and their parameters", brunt_cmd_faults },
	{ "doctor", "doctor", "what this host can do, and the remedy for each \"no\"", brunt_cmd_doctor },
	{ "status", "status", "runs on this host, live and dead", brunt_cmd_status },
	{ "stop", "stop [RUN]", "stop a run: everything is reverted", brunt_cmd_stop },
	{ "recover", "recover", "finish what dead runs left behind", brunt_cmd_recover },
	{ "report", "report [RUN|FILE]", "say again what a run said", brunt_cmd_report },
	{ "schema", "schema", "the JSON Schema of the experiment file", brunt_cmd_schema },
};

#define EXIT_UNABLE 9

static void usage(FILE *out)
{
	fputs("usage: brunt COMMAND [OPTIONS]\n\n", out);
	for (size_t i = 0; i < BRUNT_COUNT(commands); i++)
		fprintf(out, "  brunt %-26s %s\n", commands[i].synopsis, commands[i].help);
	fputs("\n'brunt COMMAND --help' says more.\n", out);
}

static int unknown(const char *word)
{
	const char *names[BRUNT_COUNT(commands) + 1] = { NULL };

	for (size_t i = 0; i < BRUNT_COUNT(commands); i++)
		names[i] = commands[i].name;
	const char *meant = brunt_suggest(word, names);

	fprintf(stderr, "brunt: unknown command '%s'", word);
	if (meant)
		fprintf(stderr, "; did you mean '%s'?\n", meant);
	else
		fputs("; 'brunt --help' lists them\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	/* A plan may ask for root, and the environment says who called: for that one has to be root already. */
	if (getuid() != geteuid() || getgid() != getegid()) {
		fputs("brunt: must not be installed set-user-ID or set-group-ID; use sudo\n", stderr);
		return EXIT_UNABLE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
		puts("brunt " BRUNT_VERSION);
		return 0;
	}
	for (size_t i = 0; i < BRUNT_COUNT(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].main(argc - 1, argv + 1);
	return unknown(argv[1]);
}
