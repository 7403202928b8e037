/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brunt inject: one fault by hand. On a command of its own (syscall faults), or
 * as an experiment of one step on what runs already.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/units.h"
#include "cli/cli.h"
#include "cli/inject.h"

#define HOLD_MAX (7 * 86400 * BRUNT_S) /* as of a plan's `hold` */

enum { OPTION_SEED = 256, OPTION_PICK, OPTION_VICTIMS, OPTION_RESULT, OPTION_OUTPUT, OPTION_PLAIN, OPTION_COUNTED };

static const struct option options[] = {
	{ "on", required_argument, NULL, 'o' },
	{ "hold", required_argument, NULL, 'H' },
	{ "pick", required_argument, NULL, OPTION_PICK },
	{ "victims", required_argument, NULL, OPTION_VICTIMS },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "result", required_argument, NULL, OPTION_RESULT },
	{ "output", required_argument, NULL, OPTION_OUTPUT },
	{ "plain", no_argument, NULL, OPTION_PLAIN },
	{ "counted", no_argument, NULL, OPTION_COUNTED },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void usage(FILE *out)
{
	fputs("usage: brunt inject [OPTIONS] FAULT KEY=VALUE... -- COMMAND [ARGUMENT...]\n"
	      "       brunt inject [OPTIONS] FAULT KEY=VALUE... --on KIND=WHAT\n\n"
	      "One fault by hand, with the same safety as in an experiment. `brunt faults FAULT` lists its keys.\n"
	      "The first form runs a command with a syscall fault; no privilege is needed. The second is an\n"
	      "experiment of one step on something that runs already.\n\n"
	      "  -o, --on KIND=WHAT        process=NAME, pid=N, exe=PATH, port=N, user=NAME, unit=NAME,\n"
	      "                            cgroup=PATH, container=NAME, interface=NAME; of the first five, several\n"
	      "  -H, --hold DURATION       how long, 1ms to 7d: --on 30 s unless said; a command: until it ends\n"
	      "      --pick N|SHARE|all    with --on: how many of what matches\n"
	      "      --victims N           with --on: at most so many are hit (1)\n"
	      "      --seed N              decide every chance by N\n"
	      "      --counted             of a command: count hits also where the kernel alone could do it\n"
	      "  -n, --dry-run             say what would be done, and how; touch nothing\n"
	      "      --result FILE, --output text|json, --plain   with --on: as `brunt run`\n"
	      "  -h, --help                this text\n\n"
	      "exit status: of the command (128 and the signal that ended it; 7 where it ended well and the fault hit\n"
	      "nothing), 2 usage, 9 this host can't; with --on: as `brunt run`\n\n"
	      "  brunt inject syscall.fail calls=%sync errno=EIO probability=1% -- ./server --port 1\n"
	      "  brunt inject syscall.delay calls=read delay=20ms path='/var/lib/db/*' attach=true --on pid=812\n"
	      "  brunt inject network.netem delay=200ms --on interface=eth0 --hold 1m\n",
	      out);
}

static int __attribute__((format(printf, 1, 2))) bad(const char *format, ...)
{
	va_list args;

	fputs("brunt inject: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	fputs("; see 'brunt inject --help'\n", stderr);
	return 2;
}

static int take_duration(const char *text, uint64_t *ret)
{
	struct brunt_quantity quantity;
	struct brunt_error err = { 0 };

	if (brunt_quantity_parse(text, BRUNT_DIM_TIME, &quantity, &err)) {
		fprintf(stderr, "brunt inject: --hold: %s\n", err.msg);
		return 2;
	}
	/* 0 stands for what was not said */
	if (quantity.value < (double)BRUNT_MS || quantity.value > (double)HOLD_MAX)
		return bad("--hold '%s' is not between 1ms and 7d", text);
	*ret = (uint64_t)quantity.value;
	return 0;
}

static int take_seed(struct brunt_inject *inject, const char *text)
{
	char *rest;

	errno = 0;
	inject->seed = strtoull(text, &rest, 10);
	inject->has_seed = true;
	return errno || *rest || *text < '0' || *text > '9' ? bad("'%s': a seed is a whole number", text) : 0;
}

/* 0, an exit status, or -1 for --help. */
static int take_option(struct brunt_inject *inject, int option)
{
	switch (option) {
	case 'o':
		if (inject->on_count == BRUNT_COUNT(inject->on) || !strchr(optarg, '='))
			return bad("'%s' is not KIND=WHAT, or there are too many", optarg);
		inject->on[inject->on_count++] = optarg;
		return 0;
	case 'H':
		return take_duration(optarg, &inject->hold);
	case OPTION_PICK:
		inject->pick = optarg;
		return 0;
	case OPTION_VICTIMS:
		inject->victims = optarg;
		return strspn(optarg, "0123456789") == strlen(optarg) && *optarg ? 0
										 : bad("'%s' is not a number", optarg);
	case OPTION_SEED:
		return take_seed(inject, optarg);
	case OPTION_RESULT:
		inject->result = optarg;
		return 0;
	case OPTION_OUTPUT:
		inject->output = optarg;
		return strcmp(optarg, "text") && strcmp(optarg, "json") ? bad("'%s': --output is text or json", optarg)
									: 0;
	case OPTION_PLAIN:
		inject->plain = true;
		return 0;
	case OPTION_COUNTED:
		inject->counted = true;
		return 0;
	case 'n':
		inject->dry_run = true;
		return 0;
	case 'h':
		usage(stdout);
		return -1;
	default:
		return 2; /* getopt has said why */
	}
}

static int find_fault(struct brunt_inject *inject, const char *name)
{
	const char *names[64] = { NULL }, *meant;

	inject->injector = brunt_injector_find(name);
	if (inject->injector)
		return 0;
	for (size_t i = 0; brunt_injectors[i] && i + 1 < BRUNT_COUNT(names); i++)
		names[i] = brunt_injectors[i]->name;
	meant = brunt_suggest(name, names);
	fprintf(stderr, "brunt inject: there is no fault '%s'", name);
	if (meant)
		fprintf(stderr, "; did you mean '%s'?\n", meant);
	else
		fputs("; 'brunt faults' lists them\n", stderr);
	return 2;
}

/* What would have no effect was meant to have one. */
static int check_options(const struct brunt_inject *inject)
{
	const struct {
		const char *name;
		bool given;
	} of_targets[] = {
		{ "pick", inject->pick },     { "victims", inject->victims }, { "result", inject->result },
		{ "output", inject->output }, { "plain", inject->plain },
	};

	for (size_t i = 0; inject->command && i < BRUNT_COUNT(of_targets); i++)
		if (of_targets[i].given)
			return bad("--%s has no effect on a command: it goes with --on", of_targets[i].name);
	if (inject->on_count && inject->counted)
		return bad("--counted has no effect with --on, where hits are always counted");
	if (inject->on_count && inject->hold && inject->injector->instant)
		return bad("--hold has no effect on %s, which happens once", inject->injector->name);
	return 0;
}

static int parse(int argc, char **argv, struct brunt_inject *inject)
{
	int own = argc, option, r;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--")) {
			own = i;
			inject->command = argv + i + 1;
			break;
		}
	optind = 1;
	while ((option = getopt_long(own, argv, "o:H:nh", options, NULL)) != -1) {
		r = take_option(inject, option);
		if (r)
			return r;
	}
	if (optind >= own)
		return bad("needs a fault");
	if (inject->command && !inject->command[0])
		return bad("needs a command after --");
	if (!inject->command == !inject->on_count)
		return bad("needs either a command after -- or --on");
	r = find_fault(inject, argv[optind++]);
	for (; !r && optind < own; optind++) {
		struct brunt_error err = { 0 };

		if (brunt_param_given(inject->injector->table, argv[optind], inject->params, &err)) {
			fprintf(stderr, "brunt inject: %s\n", err.msg);
			r = 2;
		}
	}
	return r ?: check_options(inject);
}

int brunt_cmd_inject(int argc, char **argv)
{
	struct brunt_inject inject = { .params = json_object() };
	int status = inject.params ? parse(argc, argv, &inject) : 5;

	if (!status)
		status = inject.command ? brunt_inject_command(&inject) : brunt_inject_plan(&inject);
	json_decref(inject.params);
	return status < 0 ? 0 : status;
}
