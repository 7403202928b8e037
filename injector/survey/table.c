/* SPDX-License-Identifier: Apache-2.0 */
/* The result for a person. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "brunt/param.h"
#include "base/text.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "survey/survey.h"

#define WIDTH	   80
#define CALL_SIZE  17
#define COUNT_SIZE 7
#define NAME_SIZE  14
#define AT_ERRNOS  (2 + CALL_SIZE + 1 + COUNT_SIZE + 2 + NAME_SIZE + 2)

struct page {
	const struct brunt_survey_options *options;
	const struct brunt_survey_result *result;
	bool colour;
	FILE *out;
};

static bool is_bad(enum brunt_survey_outcome outcome)
{
	return outcome > BRUNT_SURVEY_FAILED_CLEANLY;
}

static const char *paint(const struct page *page, enum brunt_survey_outcome outcome)
{
	if (!page->colour)
		return "";
	return is_bad(outcome) ? "\033[31m" : outcome == BRUNT_SURVEY_SURVIVED ? "\033[32m" : "";
}

static const char *plain(const struct page *page)
{
	return page->colour ? "\033[0m" : "";
}

static const char *errno_text(int code, char *buf, size_t size)
{
	const char *name = brunt_errno_name(code);

	if (name)
		return name;
	(void)snprintf(buf, size, "%d", code);
	return buf;
}

/* Words in lines of WIDTH columns; those after the first begin at indent. */
struct flow {
	FILE *out;
	size_t at, indent;
	bool any;
};

static void flow(struct flow *flow, const char *word)
{
	size_t size = strlen(word);

	if (flow->any && flow->at + 1 + size > WIDTH) {
		fprintf(flow->out, "\n%*s", (int)flow->indent, "");
		flow->at = flow->indent;
	} else if (flow->any) {
		fputc(' ', flow->out);
		flow->at++;
	}
	fputs(word, flow->out);
	flow->at += size;
	flow->any = true;
}

static void flow_text(struct flow *to, const char *text)
{
	char word[256];

	while (*text) {
		size_t size = strcspn(text, " ");

		(void)snprintf(word, sizeof(word), "%.*s", (int)size, text);
		flow(to, word);
		text += size + (text[size] == ' ');
	}
}

/* ---- the head ---- */

static void print_head(const struct page *page)
{
	const struct brunt_survey_result *result = page->result;
	const int status = brunt_survey_status(page->options, result);
	const char *verdict = result->stopped			    ? "STOPPED"
			      : status == BRUNT_SURVEY_INCONCLUSIVE ? "INCONCLUSIVE"
			      : status				    ? "WEAK"
								    : "SOUND";
	char command[49], time[32], right[64];

	(void)brunt_survey_command(page->options->argv, command, sizeof(command));
	command[brunt_text_cut(command, strlen(command))] = '\0';
	(void)snprintf(right, sizeof(right), "%zu runs  %s", result->done,
		       brunt_duration_print(result->duration, time, sizeof(time)));
	fprintf(page->out, "%s%s%s  %-*s%*s\n\n",
		page->colour ? (verdict[0] == 'S' && verdict[1] == 'O' ? "\033[1;32m" : "\033[1;31m") : "", verdict,
		plain(page), (int)sizeof(command), brunt_text_clean(command),
		(int)(WIDTH - 2 - strlen(verdict) - sizeof(command)), right);
}

static void print_summary(const struct page *page)
{
	struct flow to = { .out = page->out, .at = 2, .indent = 2 };
	char text[64];

	fprintf(page->out, "  ");
	(void)snprintf(text, sizeof(text), "%zu failures tried:", page->result->count);
	flow_text(&to, text);
	for (int outcome = _BRUNT_SURVEY_OUTCOMES - 1; outcome >= 0; outcome--) {
		size_t count = brunt_survey_count(page->result, (enum brunt_survey_outcome)outcome);

		/* what was looked for and not found is news; that nothing is missing is not */
		if (!count && outcome <= BRUNT_SURVEY_NOT_REACHED)
			continue;
		(void)snprintf(text, sizeof(text), "%zu %s%s", count,
			       brunt_survey_outcome_name((enum brunt_survey_outcome)outcome),
			       outcome > BRUNT_SURVEY_SURVIVED ? "," : "");
		flow_text(&to, text);
	}
	fputs("\n\n", page->out);
}

/* ---- the table ---- */

static enum brunt_survey_outcome worst_of(const struct brunt_survey_result *result, unsigned call)
{
	enum brunt_survey_outcome worst = BRUNT_SURVEY_UNKNOWN;

	for (size_t i = 0; i < result->count; i++)
		if (result->pairs[i].call == call && result->pairs[i].outcome > worst)
			worst = result->pairs[i].outcome;
	return worst;
}

static void print_errnos(const struct page *page, unsigned call, enum brunt_survey_outcome outcome)
{
	struct flow to = { .out = page->out, .at = AT_ERRNOS, .indent = AT_ERRNOS };
	char buf[16], word[64];

	for (size_t i = 0; i < page->result->count; i++) {
		const struct brunt_survey_pair *pair = &page->result->pairs[i];
		const char *name;

		if (pair->call != call || pair->outcome != outcome)
			continue;
		name = errno_text(pair->code, buf, sizeof(buf));
		if (pair->outcome == BRUNT_SURVEY_CRASHED)
			(void)snprintf(word, sizeof(word), "%s%s(%s)", name, pair->unsteady ? "?" : "",
				       brunt_signal_name(pair->signal) ?: "a signal");
		else
			(void)snprintf(word, sizeof(word), "%s%s", name, pair->unsteady ? "?" : "");
		flow(&to, word);
	}
	fputc('\n', page->out);
}

static bool has(const struct brunt_survey_result *result, unsigned call, enum brunt_survey_outcome outcome)
{
	for (size_t i = 0; i < result->count; i++)
		if (result->pairs[i].call == call && result->pairs[i].outcome == outcome)
			return true;
	return false;
}

static void print_call(const struct page *page, unsigned call)
{
	char left[80];

	(void)snprintf(left, sizeof(left), "  %-*s %*llu", CALL_SIZE, brunt_calls[call].name, COUNT_SIZE,
		       (unsigned long long)page->result->record.counts[call]);
	for (int i = _BRUNT_SURVEY_OUTCOMES - 1; i >= 0; i--) {
		enum brunt_survey_outcome outcome = (enum brunt_survey_outcome)i;

		if (!has(page->result, call, outcome))
			continue;
		fprintf(page->out, "%-*s  %s%-*s%s  ", 2 + CALL_SIZE + 1 + COUNT_SIZE, left, paint(page, outcome),
			NAME_SIZE, brunt_survey_outcome_name(outcome), plain(page));
		print_errnos(page, call, outcome);
		left[0] = '\0';
	}
}

static void print_table(const struct page *page)
{
	fprintf(page->out, "  %-*s %*s  %-*s  %s\n", CALL_SIZE, "call", COUNT_SIZE, "made", NAME_SIZE, "outcome",
		"when it fails with");
	for (int outcome = _BRUNT_SURVEY_OUTCOMES - 1; outcome >= 0; outcome--)
		for (unsigned call = 0; call < brunt_call_count; call++)
			if (page->result->record.counts[call] && worst_of(page->result, call) == (unsigned)outcome &&
			    has(page->result, call, (enum brunt_survey_outcome)outcome))
				print_call(page, call);
	fputc('\n', page->out);
}

/* ---- what is to be looked at ---- */

/* One of the pairs of a call with one outcome, and which errnos do the same. */
static void print_finding(const struct page *page, const struct brunt_survey_pair *pair)
{
	struct flow to = { .out = page->out, .at = 4, .indent = 6 };
	BRUNT_AUTO_FREE char *line = malloc(65536);
	char text[512], name[16], other[32], end[80];
	size_t more = 0;

	for (size_t i = 0; i < page->result->count; i++) {
		const struct brunt_survey_pair *at = &page->result->pairs[i];

		more += at != pair && at->call == pair->call && at->outcome == pair->outcome;
	}
	(void)snprintf(text, sizeof(text), "%s %s:", brunt_calls[pair->call].name,
		       errno_text(pair->code, name, sizeof(name)));
	fprintf(page->out, "    ");
	flow_text(&to, text);
	(void)snprintf(text, sizeof(text), "%s%s%s%s%s", brunt_survey_end_text(pair, end, sizeof(end)),
		       pair->message[0] ? ", said '" : "", pair->message, pair->message[0] ? "'" : "",
		       pair->unsteady ? ", not every time" : "");
	flow_text(&to, text);
	if (more) {
		(void)snprintf(other, sizeof(other), "%zu", more);
		(void)snprintf(text, sizeof(text), "(and %s other errno%s)", other, more == 1 ? "" : "s");
		flow_text(&to, text);
	}
	fputc('\n', page->out);
	if (line)
		fprintf(page->out, "      %s\n", brunt_survey_repeat(page->options, pair, line, 65536));
}

static bool is_first(const struct brunt_survey_result *result, const struct brunt_survey_pair *pair)
{
	for (const struct brunt_survey_pair *at = result->pairs; at < pair; at++)
		if (at->call == pair->call && at->outcome == pair->outcome)
			return false;
	return true;
}

static void print_findings(const struct page *page)
{
	for (int i = _BRUNT_SURVEY_OUTCOMES - 1; is_bad((enum brunt_survey_outcome)i); i--) {
		enum brunt_survey_outcome outcome = (enum brunt_survey_outcome)i;

		if (!brunt_survey_count(page->result, outcome))
			continue;
		fprintf(page->out, "  %s%s%s\n", paint(page, outcome), brunt_survey_outcome_name(outcome), plain(page));
		for (size_t at = 0; at < page->result->count; at++)
			if (page->result->pairs[at].outcome == outcome &&
			    is_first(page->result, &page->result->pairs[at]))
				print_finding(page, &page->result->pairs[at]);
		fputc('\n', page->out);
	}
}

/* ---- what one should know ---- */

static void __attribute__((format(printf, 3, 4)))
note(const struct page *page, const char *label, const char *format, ...)
{
	struct flow to = { .out = page->out, .at = 15, .indent = 15 };
	char text[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(page->out, "  %-12s ", label);
	flow_text(&to, text);
	fputc('\n', page->out);
}

static void note_loader(const struct page *page)
{
	const struct brunt_survey_record *record = &page->result->record;
	struct brunt_call_set set = { 0 };
	char names[256];
	bool any = false;

	for (unsigned i = 0; i < brunt_call_count; i++)
		if (record->others[i] && !record->counts[i]) {
			brunt_call_set_add(&set, i);
			any = true;
		}
	if (any)
		note(page, "left alone", "%s: made by the dynamic loader only, or about descriptor 2 (--loader)",
		     brunt_calls_print(&set, names, sizeof(names)));
}

static void print_notes(const struct page *page)
{
	const struct brunt_survey_result *result = page->result;
	const struct brunt_survey_record *record = &result->record;
	const struct brunt_survey_pair recorded = { .status = record->end.status, .by_us = record->end.by_us };
	char end[80], time[32], limit[32], rate[32] = "";

	(void)brunt_survey_end_text(&recorded, end, sizeof(end));
	note(page, "recorded", "%s in %s, %llu bytes on stdout, %llu on stderr", end,
	     brunt_duration_print(record->end.duration, time, sizeof(time)), (unsigned long long)record->end.out.size,
	     (unsigned long long)record->end.err.size);
	if (result->pair_duration && result->done)
		(void)snprintf(rate, sizeof(rate), ", %.0f runs/s",
			       (double)result->done * 1e9 / (double)result->pair_duration);
	note(page, "ran", "%u at once%s%s; what did not end within %s hung", result->jobs,
	     !record->tried_together || record->together ? "" : ", for two at once did not do as one alone", rate,
	     brunt_duration_print(result->timeout, limit, sizeof(limit)));
	if (!record->out_steady)
		note(page, "not compared", "stdout: it differs from run to run without any failure");
	if (page->options->check && !record->check_steady)
		note(page, "not compared", "the check: it differs from run to run without any failure");
	if (WIFEXITED(record->end.status) && WEXITSTATUS(record->end.status) && !record->end.by_us)
		note(page, "mind", "the command fails without any failure of ours; that is what 'survived' means here");
	note_loader(page);
	for (size_t i = 0; i < result->count; i++)
		if (result->pairs[i].unsteady) {
			note(page, "?", "ended otherwise in a second run; the worse of the two is shown");
			break;
		}
}

/* Nothing that was found is not nothing that there is. */
static void print_inconclusive(const struct page *page)
{
	struct flow to = { .out = page->out, .at = 2, .indent = 2 };
	const char *text = "It makes no call that was to fail: nothing was tried, so nothing is known of it.";

	if (brunt_survey_status(page->options, page->result) != BRUNT_SURVEY_INCONCLUSIVE)
		return;
	if (page->result->count)
		text = "None of the calls that were to fail was reached: nothing failed, so nothing is known of it.";
	fputs("  ", page->out);
	flow_text(&to, text);
	fputs("\n\n", page->out);
}

void brunt_survey_print(const struct brunt_survey_options *options, const struct brunt_survey_result *result,
			bool colour, FILE *out)
{
	const struct page page = { options, result, colour, out };

	print_head(&page);
	if (result->count) {
		print_table(&page);
		print_findings(&page);
		print_summary(&page);
	}
	print_inconclusive(&page);
	if (result->timeout)
		print_notes(&page);
}
