/* SPDX-License-Identifier: Apache-2.0 */
/* The result for a program. Keys are stable: what is new comes beside them. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "brunt/param.h"
#include "base/text.h"
#include "brunt/memory.h"
#include "survey/survey.h"

#define LINE_SIZE 65536

static json_t *text_of(const char *text)
{
	BRUNT_AUTO_FREE char *copy = strdup(text);

	return copy ? json_string(brunt_text_mend(copy)) : NULL;
}

static json_t *command_of(char *const *argv)
{
	json_t *list = json_array();

	for (; list && *argv; argv++)
		(void)json_array_append_new(list, text_of(*argv));
	return list;
}

/* {"exit": 1} or {"signal": "SIGSEGV"} */
static void add_end(json_t *to, int status)
{
	const char *name = WIFSIGNALED(status) ? brunt_signal_name(WTERMSIG(status)) : NULL;

	(void)json_object_set_new(to, "exit_status",
				  WIFEXITED(status) ? json_integer(WEXITSTATUS(status)) : json_null());
	(void)json_object_set_new(to, "signal", name ? json_string(name) : json_null());
}

static json_t *recorded(const struct brunt_survey_record *record)
{
	json_t *to = json_pack("{s:b, s:I, s:I, s:I, s:b, s:b, s:b, s:o}", "stopped_by_survey", (int)record->end.by_us,
			       "duration_ns", (json_int_t)record->end.duration, "stdout_bytes",
			       (json_int_t)record->end.out.size, "stderr_bytes", (json_int_t)record->end.err.size,
			       "stdout_steady", (int)record->out_steady, "stderr_steady", (int)record->err_steady,
			       "check_steady", (int)record->check_steady, "bears_parallel",
			       record->tried_together ? json_boolean(record->together) : json_null());

	if (to)
		add_end(to, record->end.status);
	return to;
}

static json_t *failure(const struct brunt_survey_options *options, const struct brunt_survey_pair *pair, char *line)
{
	const char *name = brunt_errno_name(pair->code);
	json_t *to = json_pack("{s:s, s:o, s:i, s:s, s:b, s:I, s:I, s:o, s:s}", "call", brunt_calls[pair->call].name,
			       "errno", name ? json_string(name) : json_integer(pair->code), "errno_number", pair->code,
			       "outcome", brunt_survey_outcome_word(pair->outcome), "steady", (int)!pair->unsteady,
			       "hits", (json_int_t)pair->hit, "duration_ns", (json_int_t)pair->duration, "message",
			       pair->message[0] ? text_of(pair->message) : json_null(), "reproduce",
			       brunt_text_mend((char *)brunt_survey_repeat(options, pair, line, LINE_SIZE)));

	if (to)
		add_end(to, pair->status);
	return to;
}

static json_t *calls_of(const struct brunt_survey_record *record)
{
	json_t *list = json_array();

	for (unsigned i = 0; list && i < brunt_call_count; i++)
		if (record->counts[i] || record->others[i])
			(void)json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "call", brunt_calls[i].name,
								    "count", (json_int_t)record->counts[i],
								    "count_left_alone", (json_int_t)record->others[i]));
	return list;
}

static json_t *summary_of(const struct brunt_survey_result *result)
{
	json_t *to = json_object();

	for (int i = _BRUNT_SURVEY_OUTCOMES - 1; to && i >= 0; i--) {
		enum brunt_survey_outcome outcome = (enum brunt_survey_outcome)i;

		(void)json_object_set_new(to, brunt_survey_outcome_word(outcome),
					  json_integer((json_int_t)brunt_survey_count(result, outcome)));
	}
	return to;
}

json_t *brunt_survey_document(const struct brunt_survey_options *options, const struct brunt_survey_result *result)
{
	BRUNT_AUTO_FREE char *line = malloc(LINE_SIZE);
	json_t *failures = json_array();
	int status = brunt_survey_status(options, result);

	if (!line || !failures) {
		json_decref(failures);
		return NULL;
	}
	for (size_t i = 0; i < result->count; i++)
		(void)json_array_append_new(failures, failure(options, &result->pairs[i], line));
	return json_pack("{s:s, s:i, s:o, s:I, s:I, s:i, s:I, s:o, s:o, s:o, s:o}", "verdict",
			 status == 130			       ? "stopped"
			 : status == BRUNT_SURVEY_INCONCLUSIVE ? "inconclusive"
			 : status			       ? "weak"
							       : "sound",
			 "exit", status, "command", command_of(options->argv), "duration_ns",
			 (json_int_t)result->duration, "runs", (json_int_t)result->done, "jobs", (int)result->jobs,
			 "timeout_ns", (json_int_t)result->timeout, "recorded", recorded(&result->record), "calls",
			 calls_of(&result->record), "summary", summary_of(result), "failures", failures);
}
