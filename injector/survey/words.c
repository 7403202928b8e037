/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a pair: names, ends, and the line that does it again. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "brunt/param.h"
#include "brunt/memory.h"
#include "survey/survey.h"

static const struct {
	const char *name, *word;
} outcomes[_BRUNT_SURVEY_OUTCOMES] = {
	[BRUNT_SURVEY_UNKNOWN] = { "not run", "not-run" },
	[BRUNT_SURVEY_NOT_REACHED] = { "not reached", "not-reached" },
	[BRUNT_SURVEY_SURVIVED] = { "survived", "survived" },
	[BRUNT_SURVEY_FAILED_CLEANLY] = { "failed cleanly", "failed-cleanly" },
	[BRUNT_SURVEY_FAILED_MUTELY] = { "failed mutely", "failed-mutely" },
	[BRUNT_SURVEY_HUNG] = { "hung", "hung" },
	[BRUNT_SURVEY_CRASHED] = { "crashed", "crashed" },
	[BRUNT_SURVEY_SILENTLY_WRONG] = { "silently wrong", "silently-wrong" },
};

const char *brunt_survey_outcome_name(enum brunt_survey_outcome outcome)
{
	return outcomes[outcome].name;
}

const char *brunt_survey_outcome_word(enum brunt_survey_outcome outcome)
{
	return outcomes[outcome].word;
}

size_t brunt_survey_count(const struct brunt_survey_result *result, enum brunt_survey_outcome outcome)
{
	size_t count = 0;

	for (size_t i = 0; i < result->count; i++)
		count += result->pairs[i].outcome == outcome;
	return count;
}

int brunt_survey_status(const struct brunt_survey_options *options, const struct brunt_survey_result *result)
{
	if (result->stopped)
		return 130;
	for (size_t i = 0; i < result->count; i++)
		if (options->fail_on >> result->pairs[i].outcome & 1)
			return 1;
	/* where no call that was to fail was made, nothing is known of the command */
	for (size_t i = 0; i < result->count; i++)
		if (result->pairs[i].outcome > BRUNT_SURVEY_NOT_REACHED)
			return 0;
	return BRUNT_SURVEY_INCONCLUSIVE;
}

const char *brunt_survey_end_text(const struct brunt_survey_pair *pair, char *buf, size_t size)
{
	const char *name = pair->signal ? brunt_signal_name(pair->signal) : NULL;
	const char *late = pair->by_us ? " after SIGTERM" : "";

	if (pair->outcome == BRUNT_SURVEY_HUNG)
		(void)snprintf(buf, size, "killed");
	else if (pair->signal && WIFEXITED(pair->status))
		(void)snprintf(buf, size, "%s in a child, exit %d%s", name ?: "a signal", WEXITSTATUS(pair->status),
			       late);
	else if (WIFSIGNALED(pair->status))
		(void)snprintf(buf, size, "%s%s", brunt_signal_name(WTERMSIG(pair->status)) ?: "a signal", late);
	else
		(void)snprintf(buf, size, "exit %d%s", WEXITSTATUS(pair->status), late);
	return buf;
}

/* ---- for a shell ---- */

struct writer {
	char *buf;
	size_t size, used;
};

static void put(struct writer *to, const char *text, size_t size)
{
	for (size_t i = 0; i < size && to->used + 1 < to->size; i++)
		to->buf[to->used++] = text[i];
	to->buf[to->used] = '\0';
}

static void __attribute__((format(printf, 2, 3))) putf(struct writer *to, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put(to, text, strlen(text));
}

static void put_word(struct writer *to, const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:=@%+,-";

	if (*word && strspn(word, plain) == strlen(word)) {
		put(to, word, strlen(word));
		return;
	}
	put(to, "'", 1);
	for (; *word; word++)
		*word == '\'' ? put(to, "'\\''", 4) : put(to, word, 1);
	put(to, "'", 1);
}

static void put_command(struct writer *to, char *const *argv)
{
	for (char *const *word = argv; *word; word++) {
		if (word != argv)
			put(to, " ", 1);
		put_word(to, *word);
	}
	if (to->used + 1 >= to->size && to->size > 4)
		memcpy(to->buf + to->size - 4, "...", 4);
}

const char *brunt_survey_command(char *const *argv, char *buf, size_t size)
{
	struct writer to = { buf, size, 0 };

	buf[0] = '\0';
	put_command(&to, argv);
	return buf;
}

static void put_errno(struct writer *to, int code)
{
	const char *name = brunt_errno_name(code);

	if (name)
		putf(to, "%s", name);
	else
		putf(to, "%d", code);
}

const char *brunt_survey_repeat(const struct brunt_survey_options *options, const struct brunt_survey_pair *pair,
				char *buf, size_t size)
{
	const struct brunt_call *call = &brunt_calls[pair->call];
	struct writer to = { buf, size, 0 };

	buf[0] = '\0';
	if (options->dir) {
		putf(&to, "cd ");
		put_word(&to, options->dir);
		putf(&to, " && ");
	}
	putf(&to, "brunt inject syscall.fail calls=%s errno=", call->name);
	put_errno(&to, pair->code);
	if (pair->first > 1)
		putf(&to, " first=%llu", (unsigned long long)pair->first);
	if (pair->last)
		putf(&to, " last=%llu", (unsigned long long)pair->last);
	if (brunt_survey_spares_stderr(call))
		putf(&to, " args='[{\"arg\": 0, \"is\": \"!=\", \"value\": 2}]'");
	if (!options->loader)
		putf(&to, " loader=false");
	putf(&to, " -- ");
	put_command(&to, options->argv);
	return buf;
}
