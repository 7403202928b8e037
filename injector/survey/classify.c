/* SPDX-License-Identifier: Apache-2.0 */
/* From how a run ended, and how the record did, to an outcome. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/text.h"
#include "brunt/memory.h"
#include "survey/survey.h"

bool brunt_survey_same_text(const struct brunt_survey_text *a, const struct brunt_survey_text *b)
{
	return a->size == b->size && a->hash == b->hash;
}

bool brunt_survey_same_end(const struct brunt_survey_end *a, const struct brunt_survey_end *b)
{
	return a->status == b->status && a->by_us == b->by_us && a->timed_out == b->timed_out;
}

/* A text, line by line. */
struct lines {
	const char *at, *begin, *end;
};

static struct lines lines_of(const struct brunt_survey_text *text)
{
	return (struct lines){ text->text, text->text, text->text + text->kept };
}

/* The next line; *ret_cut: it has no end. false: there is none. */
static bool next_line(struct lines *lines, const char **ret, size_t *ret_size, bool *ret_cut)
{
	const char *stop;

	if (lines->at >= lines->end)
		return false;
	stop = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
	*ret = lines->at;
	*ret_cut = !stop;
	stop = stop ?: lines->end;
	*ret_size = (size_t)(stop - lines->at);
	lines->at = stop + 1;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* cut: line has no end, so it may be the beginning of the other. masked: numbers are all the same. */
static bool same_line(const char *line, size_t size, bool cut, const char *other, size_t length, bool masked)
{
	size_t i = 0, j = 0;

	while (i < size && j < length) {
		if (masked && is_digit(line[i]) && is_digit(other[j])) {
			while (i < size && is_digit(line[i]))
				i++;
			while (j < length && is_digit(other[j]))
				j++;
		} else if (line[i++] != other[j++]) {
			return false;
		}
	}
	return i == size && (j == length || cut);
}

/*
 * Do the known lines have this one? Looked for from behind the last that was found, then from the beginning: what is the
 * same goes by in one pass.
 */
static bool is_known(struct lines *known, const char *line, size_t size, bool cut, bool masked)
{
	struct lines at = *known;
	const char *other;
	size_t length;
	bool end;

	for (int round = 0; round < 2; round++) {
		while (next_line(&at, &other, &length, &end))
			if (same_line(line, size, cut, other, length, masked)) {
				*known = at;
				return true;
			}
		at.at = at.begin;
	}
	return false;
}

static bool is_blank(const char *line, size_t size)
{
	while (size && strchr(" \t\r", line[size - 1]) && line[size - 1])
		size--;
	return !size;
}

/* The first line with anything in it that known does not have. */
static bool new_line(const struct brunt_survey_text *text, const struct brunt_survey_text *known, bool masked,
		     char *buf, size_t room)
{
	struct lines lines = lines_of(text), known_lines = lines_of(known);
	const char *line;
	size_t size;
	bool cut;

	if (brunt_survey_same_text(text, known))
		return false;
	while (next_line(&lines, &line, &size, &cut)) {
		if (is_blank(line, size) || is_known(&known_lines, line, size, cut, masked))
			continue;
		size = brunt_text_cut(line, size < room - 1 ? size : room - 1);
		memcpy(buf, line, size);
		buf[size] = '\0';
		(void)brunt_text_clean(buf);
		return true;
	}
	return false;
}

/* A picture or an archive that is cut short has no lines. */
static bool is_text(const struct brunt_survey_text *text)
{
	return !text->kept || !memchr(text->text, '\0', text->kept);
}

bool brunt_survey_alike_text(const struct brunt_survey_text *a, const struct brunt_survey_text *b)
{
	char line[8];

	return is_text(a) && is_text(b) && !new_line(a, b, true, line, sizeof(line)) &&
	       !new_line(b, a, true, line, sizeof(line));
}

/*
 * A line that nobody knows. Where an output differs from run to run, its numbers are not looked at (times, pids); where it
 * differs even so, each line of stdout would be new, and none counts, but on stderr any does.
 */
static bool find_message(const struct brunt_survey_record *record, const struct brunt_survey_end *end, char *buf,
			 size_t size)
{
	static const struct brunt_survey_text nothing = { .text = "" };
	bool known = record->err_steady || record->err_alike;

	buf[0] = '\0';
	if (new_line(&end->err, known ? &record->end.err : &nothing, !record->err_steady, buf, size))
		return true;
	return (record->out_steady || record->out_alike) && is_text(&end->out) &&
	       new_line(&end->out, &record->end.out, !record->out_steady, buf, size);
}

/* A shell's way to say that a command of it was killed: 128 and the signal's number. */
static int crash_of_child(int status)
{
	static const int signals[] = { SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };

	for (size_t i = 0; WIFEXITED(status) && i < BRUNT_COUNT(signals); i++)
		if (WEXITSTATUS(status) == 128 + signals[i])
			return signals[i];
	return 0;
}

static bool same_result(const struct brunt_survey_record *record, const struct brunt_survey_end *end)
{
	if (record->out_steady && !brunt_survey_same_text(&record->end.out, &end->out))
		return false;
	return !record->check_steady ||
	       (record->end.check == end->check && brunt_survey_same_text(&record->end.checked, &end->checked));
}

static enum brunt_survey_outcome judge(const struct brunt_survey_record *record, const struct brunt_survey_end *end,
				       struct brunt_survey_pair *pair)
{
	const struct brunt_survey_end *known = &record->end;
	bool as_known = brunt_survey_same_end(known, end);

	if (!end->hit)
		return BRUNT_SURVEY_NOT_REACHED;
	if (end->timed_out)
		return BRUNT_SURVEY_HUNG;
	if (!as_known && WIFSIGNALED(end->status)) {
		pair->signal = WTERMSIG(end->status);
		return BRUNT_SURVEY_CRASHED;
	}
	if (!as_known && crash_of_child(end->status)) {
		pair->signal = crash_of_child(end->status);
		return BRUNT_SURVEY_CRASHED;
	}
	if (as_known)
		return same_result(record, end) ? BRUNT_SURVEY_SURVIVED : BRUNT_SURVEY_SILENTLY_WRONG;
	/* it ended early, or failed */
	if (end->by_us == known->by_us && WIFEXITED(end->status) && !WEXITSTATUS(end->status))
		return BRUNT_SURVEY_SILENTLY_WRONG;
	return pair->said ? BRUNT_SURVEY_FAILED_CLEANLY : BRUNT_SURVEY_FAILED_MUTELY;
}

void brunt_survey_classify(const struct brunt_survey_record *record, const struct brunt_survey_end *end,
			   struct brunt_survey_pair *pair)
{
	pair->status = end->status;
	pair->by_us = end->by_us;
	pair->duration = end->duration;
	pair->hit = end->hit;
	pair->signal = 0;
	pair->said = find_message(record, end, pair->message, sizeof(pair->message));
	pair->outcome = judge(record, end, pair);
}

void brunt_survey_confirm(struct brunt_survey_pair *pair, const struct brunt_survey_pair *second)
{
	pair->again = false;
	if (pair->outcome == second->outcome)
		return;
	if (second->outcome > pair->outcome)
		*pair = *second;
	pair->again = false;
	pair->unsteady = true;
}
