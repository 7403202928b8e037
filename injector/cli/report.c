/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brunt report: says again what a run said, from its journal.
 */
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/sink.h"
#include "brunt/story.h"
#include "cli/cli.h"

static void usage(FILE *out)
{
	fputs("usage: brunt report [--output=text|json] [RUN|FILE|last]\n\n"
	      "Says again what a run said: from its journal, and from nothing else.\n"
	      "RUN is a run id or its beginning; without one, the last run's.\n"
	      "The exit status is 0 when the journal could be read, whatever its verdict.\n",
	      out);
}

static unsigned width_of(FILE *out)
{
	struct winsize size;
	unsigned width = !ioctl(fileno(out), TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;

	/* Lines longer than that are hard to read. */
	return width > 100 ? 100 : width;
}

static int show(const struct brunt_story *story, bool json)
{
	const char *no_colour = getenv("NO_COLOR");
	json_t *document;
	int r = 0;

	if (!json) {
		brunt_story_print(story, stdout, isatty(STDOUT_FILENO) && !(no_colour && *no_colour), width_of(stdout));
	} else {
		document = brunt_story_document(story);
		r = !document || json_dumpf(document, stdout, JSON_INDENT(2)) < 0;
		json_decref(document);
		putchar('\n');
	}
	if (fflush(stdout) || r) {
		fputs("brunt report: cannot write\n", stderr);
		return 5;
	}
	return 0;
}

int brunt_cmd_report(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct brunt_error err = { 0 };
	struct brunt_story *story;
	char path[PATH_MAX];
	bool json = false;
	int option, r;

	(void)setlocale(LC_CTYPE, "");
	while ((option = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (option == 'h') {
			usage(stdout);
			return 0;
		}
		if (option != 'o' || (strcmp(optarg, "text") != 0 && strcmp(optarg, "json") != 0)) {
			if (option == 'o')
				fprintf(stderr, "brunt report: --output is 'text' or 'json', not '%s'\n", optarg);
			return 2;
		}
		json = !strcmp(optarg, "json");
	}
	if (argc - optind > 1) {
		usage(stderr);
		return 2;
	}
	if (brunt_journal_find(optind < argc ? argv[optind] : "last", path, sizeof(path), &err) ||
	    brunt_story_read(path, &story, &err)) {
		fprintf(stderr, "brunt report: %s\n", err.msg);
		return 2;
	}
	r = show(story, json);
	brunt_story_free(story);
	return r;
}
