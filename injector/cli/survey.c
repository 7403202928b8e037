/* SPDX-License-Identifier: Apache-2.0 */
/* brunt survey: options to brunt_survey(), progress on stderr, the result on stdout. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/names.h"
#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/units.h"
#include "cli/cli.h"
#include "survey/survey.h"

#define WORDS_MAX   256
#define JOBS_MAX    64
#define EXIT_ERROR  5
#define EXIT_UNABLE 9

enum {
	OPTION_CALLS = 256,
	OPTION_ERRNO,
	OPTION_AT,
	OPTION_JOBS,
	OPTION_TIMEOUT,
	OPTION_FOR,
	OPTION_CHECK,
	OPTION_DIR,
	OPTION_LOADER,
	OPTION_FAIL_ON,
	OPTION_OUTPUT,
	OPTION_COLOR
};

static const struct option options[] = {
	{ "calls", required_argument, NULL, OPTION_CALLS },
	{ "errno", required_argument, NULL, OPTION_ERRNO },
	{ "at", required_argument, NULL, OPTION_AT },
	{ "jobs", required_argument, NULL, OPTION_JOBS },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "for", required_argument, NULL, OPTION_FOR },
	{ "check", required_argument, NULL, OPTION_CHECK },
	{ "dir", required_argument, NULL, OPTION_DIR },
	{ "loader", no_argument, NULL, OPTION_LOADER },
	{ "fail-on", required_argument, NULL, OPTION_FAIL_ON },
	{ "output", required_argument, NULL, OPTION_OUTPUT },
	{ "color", required_argument, NULL, OPTION_COLOR },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

struct arguments {
	struct brunt_survey_options survey;
	int errnos[WORDS_MAX];
	bool json, quiet, colour;
};

static void usage(FILE *out)
{
	fputs("usage: brunt survey [OPTIONS] -- COMMAND [ARGUMENT...]\n\n"
	      "Which single failures of system calls does a command not bear? Records which calls it makes, then\n"
	      "runs it once for each call and each errno that the call's manual page allows, with that call failing,\n"
	      "and compares: exit status, output, time. Needs no privilege.\n\n"
	      "      --calls LIST     only these: names, and classes as %file, %network, %desc, %memory, %sync; separated\n"
	      "                       by commas. Default: all that it makes, but for some whose failing tells nothing\n"
	      "      --errno LIST     these errnos instead of the manual pages'\n"
	      "      --at N           only the N-th call fails. Default: from the first on all; those that fail with\n"
	      "                       EINTR or EAGAIN, the first alone\n"
	      "      --loader         calls of the dynamic loader may fail, too\n"
	      "      --check LINE     a shell line that is run after each run, in the same folder: its output and exit\n"
	      "                       status are part of the result\n"
	      "      --dir DIR        each run works in a fresh copy of DIR. Default: all in the current folder\n"
	      "      --for DURATION   for a command that does not end: it is sent SIGTERM after that long\n"
	      "      --timeout DURATION  a run that takes longer hangs. Default: 5 s, or ten times what was recorded\n"
	      "      --jobs N         runs at once. Default: one for each processor if the command bears it\n"
	      "      --fail-on LIST   outcomes that make the exit status 1: crashed, hung, silently-wrong (these are\n"
	      "                       the default), failed-mutely, failed-cleanly, survived, not-reached, none\n"
	      "      --output text|json\n"
	      "      --color auto|always|never\n"
	      "  -q, --quiet          no progress on stderr\n"
	      "  -h, --help           this text\n\n"
	      "exit status: 0 none of --fail-on was found, 1 some was, 2 usage, 5 error (the command cannot be started,\n"
	      "or does not end twice in the same way), 7 inconclusive: no call that was to fail was made, 9 this host\n"
	      "can't, 130/143 stopped by a signal\n\n"
	      "  brunt survey -- ./run-tests.sh\n"
	      "  brunt survey --calls %file,write --dir fixtures --check 'cat out' -- ./convert in out\n"
	      "  brunt survey --calls %sync,write --for 3s -- ./server --port 0\n",
	      out);
}

static int bad(const char *option, const char *value, const char *why)
{
	fprintf(stderr, "brunt survey: --%s '%s': %s; see 'brunt survey --help'\n", option, value, why);
	return 2;
}

/* ---- options ---- */

/* Splits at commas; list's words point into *ret_text. The number of words, or 0: none, or too many. */
static size_t split(const char *text, char **ret_text, const char *words[WORDS_MAX])
{
	char *copy = strdup(text), *rest = copy, *word;
	size_t count = 0;

	while (copy && (word = strsep(&rest, ", "))) {
		if (!*word)
			continue;
		if (count == WORDS_MAX) {
			count = 0;
			break;
		}
		words[count++] = word;
	}
	*ret_text = copy;
	return count;
}

static int take_calls(struct arguments *args, const char *text)
{
	BRUNT_AUTO_FREE char *copy = NULL;
	const char *words[WORDS_MAX];
	struct brunt_error err = { 0 };
	const struct brunt_list list = { .items = words, .count = split(text, &copy, words) };

	if (!list.count)
		return bad("calls", text, "names no system call");
	if (brunt_calls_select(&list, &args->survey.calls, &err)) {
		fprintf(stderr, "brunt survey: --calls: %s\n", err.msg);
		return 2;
	}
	args->survey.has_calls = true;
	return 0;
}

static int take_errnos(struct arguments *args, const char *text)
{
	BRUNT_AUTO_FREE char *copy = NULL;
	const char *words[WORDS_MAX];
	size_t count = split(text, &copy, words);
	struct brunt_error err = { 0 };

	if (!count)
		return bad("errno", text, "names no errno");
	for (size_t i = 0; i < count; i++)
		if (brunt_errno_parse(words[i], &args->errnos[i], &err)) {
			fprintf(stderr, "brunt survey: --errno: %s\n", err.msg);
			return 2;
		}
	args->survey.errnos = args->errnos;
	args->survey.errno_count = count;
	return 0;
}

static int take_fail_on(struct arguments *args, const char *text)
{
	BRUNT_AUTO_FREE char *copy = NULL;
	const char *words[WORDS_MAX], *names[_BRUNT_SURVEY_OUTCOMES + 1] = { NULL };
	size_t count = split(text, &copy, words);

	for (size_t i = 1; i < _BRUNT_SURVEY_OUTCOMES; i++)
		names[i - 1] = brunt_survey_outcome_word((enum brunt_survey_outcome)i);
	args->survey.fail_on = 0;
	if (count == 1 && !strcmp(words[0], "none"))
		return 0;
	for (size_t i = 0; i < count; i++) {
		size_t at = 0;

		while (names[at] && strcmp(names[at], words[i]) != 0)
			at++;
		if (!names[at]) {
			const char *meant = brunt_suggest(words[i], names);

			fprintf(stderr, "brunt survey: --fail-on: there is no outcome '%s'%s%s%s\n", words[i],
				meant ? "; did you mean '" : "; 'brunt survey --help' lists them", meant ?: "",
				meant ? "'?" : "");
			return 2;
		}
		args->survey.fail_on |= 1u << (at + 1);
	}
	return count ? 0 : bad("fail-on", text, "names no outcome; to fail on none, say none");
}

static int take_number(const char *option, const char *text, uint64_t max, uint64_t *ret)
{
	char *rest;

	errno = 0;
	*ret = strtoull(text, &rest, 10);
	if (errno || *rest || *text < '0' || *text > '9' || !*ret)
		return bad(option, text, "is not a whole number from 1 on");
	return *ret > max ? bad(option, text, "is too many") : 0;
}

static int take_duration(const char *option, const char *text, uint64_t *ret)
{
	struct brunt_quantity quantity;
	struct brunt_error err = { 0 };

	if (brunt_quantity_parse(text, BRUNT_DIM_TIME, &quantity, &err)) {
		fprintf(stderr, "brunt survey: --%s: %s\n", option, err.msg);
		return 2;
	}
	*ret = (uint64_t)quantity.value;
	if (*ret < BRUNT_MS || quantity.value > 86400e9)
		return bad(option, text, "is not between 1ms and 1d");
	return 0;
}

static int take_colour(struct arguments *args, const char *mode)
{
	const char *none = getenv("NO_COLOR");

	if (strcmp(mode, "auto") && strcmp(mode, "always") && strcmp(mode, "never"))
		return bad("color", mode, "is auto, always or never");
	args->colour = mode[1] == 'l' || (mode[1] == 'u' && isatty(STDOUT_FILENO) && !(none && none[0]));
	return 0;
}

/* 0, an exit status, or -1 for --help. */
static int take_option(struct arguments *args, int option)
{
	uint64_t jobs;
	int r;

	switch (option) {
	case OPTION_CALLS:
		return take_calls(args, optarg);
	case OPTION_ERRNO:
		return take_errnos(args, optarg);
	case OPTION_AT:
		return take_number("at", optarg, UINT64_MAX, &args->survey.at);
	case OPTION_JOBS:
		r = take_number("jobs", optarg, JOBS_MAX, &jobs);
		args->survey.jobs = (unsigned)jobs;
		return r;
	case OPTION_TIMEOUT:
		return take_duration("timeout", optarg, &args->survey.timeout);
	case OPTION_FOR:
		return take_duration("for", optarg, &args->survey.period);
	case OPTION_CHECK:
		args->survey.check = optarg;
		return 0;
	case OPTION_DIR:
		args->survey.dir = optarg;
		return 0;
	case OPTION_LOADER:
		args->survey.loader = true;
		return 0;
	case OPTION_FAIL_ON:
		return take_fail_on(args, optarg);
	case OPTION_OUTPUT:
		args->json = !strcmp(optarg, "json");
		return args->json || !strcmp(optarg, "text") ? 0 : bad("output", optarg, "is text or json");
	case OPTION_COLOR:
		return take_colour(args, optarg);
	case 'q':
		args->quiet = true;
		return 0;
	case 'h':
		usage(stdout);
		return -1;
	default:
		return 2; /* getopt has said why */
	}
}

static int parse(int argc, char **argv, struct arguments *args)
{
	int option, r;

	args->survey.fail_on = 1u << BRUNT_SURVEY_CRASHED | 1u << BRUNT_SURVEY_HUNG | 1u << BRUNT_SURVEY_SILENTLY_WRONG;
	(void)take_colour(args, "auto");
	optind = 1;
	/* +: what follows the command's name is the command's */
	while ((option = getopt_long(argc, argv, "+qh", options, NULL)) != -1) {
		r = take_option(args, option);
		if (r)
			return r;
	}
	if (optind == argc) {
		fputs("brunt survey: needs a command; see 'brunt survey --help'\n", stderr);
		return 2;
	}
	args->survey.argv = argv + optind;
	return 0;
}

/* ---- progress ---- */

struct show {
	const struct arguments *args;
	bool terminal;
	bool drawn;    /* there is a line to be wiped */
	uint64_t last; /* elapsed at the last line */
	size_t done;
};

static void wipe(struct show *show)
{
	if (show->drawn)
		fputs("\r\033[K", stderr);
	show->drawn = false;
}

static void show_found(struct show *show, const struct brunt_survey_pair *pair)
{
	const char *name = brunt_errno_name(pair->code);
	char end[80];

	wipe(show);
	fprintf(stderr, "brunt survey: %s: %s %s (%s)\n", brunt_survey_outcome_name(pair->outcome),
		brunt_calls[pair->call].name, name ?: "an errno", brunt_survey_end_text(pair, end, sizeof(end)));
}

static void show_line(const struct brunt_survey_progress *progress)
{
	char elapsed[32], left[32];

	(void)brunt_duration_print(progress->elapsed / BRUNT_S * BRUNT_S, elapsed, sizeof(elapsed));
	if (progress->recording)
		fprintf(stderr, "brunt survey: recording, run %u, %s", progress->round, elapsed);
	else if (progress->left)
		fprintf(stderr, "brunt survey: %zu of %zu runs, %zu bad, %s left", progress->done, progress->total,
			progress->bad,
			brunt_duration_print((progress->left + BRUNT_S - 1) / BRUNT_S * BRUNT_S, left, sizeof(left)));
	else
		fprintf(stderr, "brunt survey: %zu of %zu runs, %zu bad", progress->done, progress->total,
			progress->bad);
}

/* On a terminal one line that is written anew; else a line each second. */
static void on_progress(void *user, const struct brunt_survey_progress *progress)
{
	struct show *show = user;

	if (show->args->quiet)
		return;
	if (progress->found)
		show_found(show, progress->found);
	if (show->terminal) {
		if (progress->elapsed < show->last + BRUNT_S / 10 && !progress->found)
			return;
		wipe(show);
		show_line(progress);
		(void)fflush(stderr);
		show->drawn = true;
	} else {
		if (progress->elapsed < show->last + BRUNT_S * 9 / 10)
			return;
		show_line(progress);
		fputc('\n', stderr);
	}
	show->last = progress->elapsed;
}

/* ---- the whole ---- */

/* Standard descriptors that are closed would be given to pipes, and mixed up with them. */
static void fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

static int print(const struct arguments *args, const struct brunt_survey_result *result)
{
	json_t *document;
	int r = 0;

	if (args->json) {
		document = brunt_survey_document(&args->survey, result);
		r = document ? json_dumpf(document, stdout, JSON_INDENT(2)) : -1;
		putchar('\n');
		json_decref(document);
	} else {
		brunt_survey_print(&args->survey, result, args->colour, stdout);
	}
	return r || fflush(stdout) || ferror(stdout) ? EXIT_ERROR : brunt_survey_status(&args->survey, result);
}

static int survey(const struct arguments *args, int stop)
{
	struct show show = { .args = args, .terminal = isatty(STDERR_FILENO) };
	struct brunt_survey_result result;
	struct brunt_error err = { 0 };
	struct signalfd_siginfo info;
	int status, r = brunt_survey(&args->survey, stop, on_progress, &show, &result, &err);

	wipe(&show);
	if (r) {
		fprintf(stderr, "brunt survey: %s\n", err.msg);
		status = r == -ENOTSUP ? EXIT_UNABLE : EXIT_ERROR;
	} else {
		status = print(args, &result);
		if (status == 130 && read(stop, &info, sizeof(info)) == (ssize_t)sizeof(info))
			status = 128 + (int)info.ssi_signo;
	}
	brunt_survey_done(&result);
	return status;
}

int brunt_cmd_survey(int argc, char **argv)
{
	struct arguments args = { 0 };
	int status = parse(argc, argv, &args);
	sigset_t set;
	int stop;

	if (status)
		return status < 0 ? 0 : status;
	fill_standard();
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	stop = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (stop < 0) {
		fprintf(stderr, "brunt survey: cannot hear of signals: %s\n", strerror(errno));
		return EXIT_ERROR;
	}
	status = survey(&args, stop);
	(void)close(stop);
	return status;
}
