/* SPDX-License-Identifier: Apache-2.0 */
/* The sources that need no network: commands, lines of a service, processes. */
#include "watch/watch.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"

#define COMMANDS_MAX 16
#define BLANKS	     " \t\r\n"
#define NUMBER_MAX   63

int brunt_number_parse(const char *text, double *ret)
{
	static locale_t plain;
	char number[NUMBER_MAX + 1], *end;
	size_t size;
	double value;

	text += strspn(text, BLANKS);
	size = strcspn(text, BLANKS);
	/* strtod alone would take "inf", "nan" and hexadecimal too. */
	if (!size || size > NUMBER_MAX || strspn(text, "0123456789.eE+-") < size ||
	    text[size + strspn(text + size, BLANKS)])
		return -EINVAL;
	memcpy(number, text, size);
	number[size] = '\0';
	if (!plain)
		plain = newlocale(LC_ALL_MASK, "C", NULL);
	value = plain ? strtod_l(number, &end, plain) : strtod(number, &end);
	if (*end || !isfinite(value))
		return -EINVAL;
	*ret = value;
	return 0;
}

int brunt_regex_compile(regex_t *regex, const char *pattern, struct brunt_error *err)
{
	char why[128];
	int r = regcomp(regex, pattern, REG_EXTENDED);

	if (!r)
		return 0;
	(void)regerror(r, regex, why, sizeof(why));
	return brunt_fail(err, r == REG_ESPACE ? ENOMEM : EINVAL, "'%s' is no regular expression: %s", pattern, why);
}

/* ---- command ---- */

static int command_begin(struct brunt_request *request, struct brunt_error *err)
{
	struct brunt_watch *watch = request->source->watch;

	return watch->ops.run_command(watch->user, request->source->sli->index, &request->sequence, err);
}

static void command_cancel(struct brunt_request *request)
{
	struct brunt_watch *watch = request->source->watch;

	watch->ops.cancel_command(watch->user, request->sequence);
}

bool brunt_command_take(struct brunt_source *source, uint64_t sequence, int status, const char *output)
{
	struct brunt_outcome outcome = { .judged = true };
	struct brunt_request *request = source->oldest;
	char why[BRUNT_WHY_SIZE] = "";

	while (request && request->sequence != sequence)
		request = request->next;
	if (!request)
		return false;
	if (WIFSIGNALED(status)) {
		const char *name = brunt_signal_name(WTERMSIG(status));

		snprintf(why, sizeof(why), "killed by %s", name ? name : "a signal");
	} else if (WEXITSTATUS(status)) {
		snprintf(why, sizeof(why), "exit status %d", WEXITSTATUS(status));
	} else if (source->sli->command->number && brunt_number_parse(output ? output : "", &outcome.value) < 0) {
		/* The output itself may hold a secret. */
		snprintf(why, sizeof(why), "output is not a number");
	}
	outcome.good = !*why;
	outcome.has_value = outcome.good && source->sli->command->number;
	outcome.value *= source->sli->factor;
	outcome.why = why;
	brunt_request_finish(request, &outcome);
	return true;
}

const struct brunt_source_kind brunt_source_command = {
	.pending_max = COMMANDS_MAX,
	.begin = command_begin,
	.cancel = command_cancel,
};

/* ---- lines ---- */

static int lines_compile(regex_t *regex, bool *has, const char *pattern, struct brunt_error *err)
{
	int r;

	if (!pattern)
		return 0;
	r = brunt_regex_compile(regex, pattern, err);
	*has = r == 0;
	return r;
}

static int lines_setup(struct brunt_source *source, struct brunt_error *err)
{
	const struct brunt_lines_sli *lines = source->sli->lines;
	int r;

	r = lines_compile(&source->good, &source->has_good, lines->good, err);
	if (r == 0)
		r = lines_compile(&source->bad, &source->has_bad, lines->bad, err);
	if (r == 0)
		r = lines_compile(&source->value, &source->has_value, lines->value, err);
	if (r == 0 && source->has_value && source->value.re_nsub < 1)
		r = brunt_fail(err, EINVAL, "'%s' needs a group (...) around the number", lines->value);
	/* A failed transaction counts as infinitely slow. */
	source->latency = source->has_value && source->sli->dimension == BRUNT_DIM_TIME;
	return r;
}

static void lines_clean(struct brunt_source *source)
{
	if (source->has_good)
		regfree(&source->good);
	if (source->has_bad)
		regfree(&source->bad);
	if (source->has_value)
		regfree(&source->value);
}

static bool line_value(const struct brunt_source *source, const char *line, double *ret)
{
	char number[NUMBER_MAX + 1];
	regmatch_t match[2];
	size_t size;

	if (!source->has_value || regexec(&source->value, line, 2, match, 0) || match[1].rm_so < 0)
		return false;
	size = (size_t)(match[1].rm_eo - match[1].rm_so);
	if (size > NUMBER_MAX)
		return false;
	memcpy(number, line + match[1].rm_so, size);
	number[size] = '\0';
	if (brunt_number_parse(number, ret) < 0)
		return false;
	*ret *= source->sli->factor;
	return true;
}

/*
 * bad is asked first. A line that is neither is no sample; with no `good`, a line that has a value and is not bad is
 * good, and with neither pattern the value is all there is.
 */
void brunt_lines_take(struct brunt_source *source, const char *line, uint64_t at)
{
	struct brunt_outcome outcome = { .judged = source->has_good || source->has_bad };

	if (source->has_bad && !regexec(&source->bad, line, 0, NULL, 0)) {
		outcome.has_value = line_value(source, line, &outcome.value);
		outcome.why = "bad line";
		if (source->latency)
			brunt_source_fail(source, at, outcome.why);
		else
			brunt_source_emit(source, at, &outcome);
		return;
	}
	outcome.has_value = line_value(source, line, &outcome.value);
	outcome.good = source->has_good ? !regexec(&source->good, line, 0, NULL, 0) : outcome.has_value;
	if (outcome.good)
		brunt_source_emit(source, at, &outcome);
}

const struct brunt_source_kind brunt_source_lines = {
	.setup = lines_setup,
	.clean = lines_clean,
};

/* ---- process ---- */

/*
 * Counting reads /proc on the spot: some milliseconds on a host with hundreds of processes, and the loop waits for it.
 * So it rests for three times as long as it took: it never has more than a quarter of the loop, and ticks that fall
 * into the rest are left out.
 */
static void process_sample(struct brunt_source *source, uint64_t at)
{
	const struct brunt_process_sli *process = source->sli->process;
	struct brunt_outcome outcome = { .judged = true, .has_value = true };
	struct brunt_error err = { 0 };
	uint64_t count = 0, before = brunt_now(), after;
	char why[BRUNT_WHY_SIZE];
	int r;

	if (before < source->rest_until)
		return;
	r = brunt_target_count(process->resolved, source->watch->context, &count, &err);
	after = brunt_now();
	source->rest_until = after + 3 * (after - before);
	if (r < 0 && r != -ESRCH) {
		brunt_source_fail(source, at, err.msg[0] ? err.msg : "cannot be counted");
		return;
	}
	snprintf(why, sizeof(why), "%llu alive", (unsigned long long)count);
	outcome.good = count >= process->min;
	outcome.value = (double)count;
	outcome.why = why;
	brunt_source_emit(source, at, &outcome);
}

const struct brunt_source_kind brunt_source_process = {
	.sample = process_sample,
};
