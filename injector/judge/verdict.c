/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict: a pure function of what was told.
 *
 * First what went wrong is collected, each finding under the verdict that it
 * makes; the weightiest that has any wins. Only when there is none does the
 * run have to prove that it went right: whatever should have been said and was
 * not keeps it from passing. So an event that got lost can make a verdict
 * worse, never better.
 */
#include "judge/verdict.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "brunt/memory.h"

/* Weightiest first. */
static const struct {
	enum brunt_verdict verdict;
	const char *name;
} verdicts[] = {
	{ BRUNT_RESIDUE, "residue" },	{ BRUNT_ERROR, "error" },     { BRUNT_ABORTED, "aborted" },
	{ BRUNT_STOPPED, "stopped" },	{ BRUNT_REFUSED, "refused" }, { BRUNT_UNABLE, "unable" },
	{ BRUNT_UNSTEADY, "unsteady" }, { BRUNT_FAILED, "failed" },   { BRUNT_INCONCLUSIVE, "inconclusive" },
	{ BRUNT_PASSED, "passed" },
};
_Static_assert(BRUNT_COUNT(verdicts) == VERDICT_COUNT, "as many findings as verdicts");

static unsigned weight_of(enum brunt_verdict verdict)
{
	unsigned i = 0;

	while (i < VERDICT_COUNT - 1 && verdicts[i].verdict != verdict)
		i++;
	return i;
}

const char *brunt_verdict_name(enum brunt_verdict verdict)
{
	return verdicts[weight_of(verdict)].name;
}

int brunt_verdict_find(const char *name, enum brunt_verdict *ret)
{
	for (size_t i = 0; i < VERDICT_COUNT; i++) {
		if (strcmp(verdicts[i].name, name) != 0)
			continue;
		*ret = verdicts[i].verdict;
		return 0;
	}
	return -EINVAL;
}

void verdict_find(struct findings *findings, enum brunt_verdict verdict, const char *key, const char *format, ...)
{
	unsigned weight = weight_of(verdict);
	char text[768];
	va_list args;
	size_t i;
	json_t *known;

	findings->found[weight] = true;
	/* The same thing is often told twice: by whom it befell, and by the abort that it made. */
	json_array_foreach (findings->keys[weight], i, known) {
		const char *other = json_string_value(known);

		if (*key && *other && (strstr(other, key) || strstr(key, other)))
			return;
	}
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!findings->keys[weight])
		findings->keys[weight] = json_array();
	if (!findings->texts[weight])
		findings->texts[weight] = json_array();
	(void)json_array_append_new(findings->keys[weight], json_string(key));
	/* A text that was cut in the middle of a character is no JSON string: then its bytes are shown. */
	json_t *string = json_string(text);

	for (char *p = text; !string && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	(void)json_array_append_new(findings->texts[weight], string ? string : json_string(text));
}

static bool any_above(const struct findings *findings, enum brunt_verdict verdict)
{
	for (unsigned i = 0; i < weight_of(verdict); i++)
		if (findings->found[i])
			return true;
	return false;
}

const char *verdict_status(int64_t status, char *buf, size_t size)
{
	int wait_status = (int)status;

	if (status < 0)
		(void)snprintf(buf, size, "could not be run");
	else if (WIFSIGNALED(wait_status))
		(void)snprintf(buf, size, "was killed by SIG%s",
			       sigabbrev_np(WTERMSIG(wait_status)) ? sigabbrev_np(WTERMSIG(wait_status)) : "?");
	else
		(void)snprintf(buf, size, "exited with status %d", WEXITSTATUS(wait_status));
	return buf;
}

/* ---- the run as a whole ---- */

static void find_end(const struct brunt_story *story, struct findings *findings)
{
	if (!story->start)
		verdict_find(findings, BRUNT_ERROR, "run.start",
			     "the journal does not say what was run: it has no 'run.start'");
	if (story->over && !story->verdict) {
		verdict_find(
			findings, BRUNT_ERROR, "no verdict",
			"the journal ends in phase '%s' without a verdict: brunt was killed, or the journal was cut%s",
			story_phase_name(story->phase),
			story->held
				? "; what was held ended with its lease, and `brunt recover` says whether anything is left"
				: "");
	} else if (!story->entered[STORY_END]) {
		verdict_find(findings, BRUNT_INCONCLUSIVE, "going on", "the run has not ended yet");
	}
}

static void find_aborts(const struct brunt_story *story, struct findings *findings)
{
	static const struct {
		const char *cause;
		enum brunt_verdict verdict;
	} causes[] = {
		{ "guardrail", BRUNT_ABORTED }, { "signal", BRUNT_STOPPED },	{ "refused", BRUNT_REFUSED },
		{ "unable", BRUNT_UNABLE },	{ "unsteady", BRUNT_UNSTEADY },
	};
	size_t i;
	json_t *event;

	json_array_foreach (story->aborts, i, event) {
		const char *why = story_text(event, "why");
		enum brunt_verdict verdict = BRUNT_ERROR;

		for (size_t j = 0; j < BRUNT_COUNT(causes); j++)
			if (!strcmp(causes[j].cause, story_text(event, "cause")))
				verdict = causes[j].verdict;
		/* What exists only before the first apply is an error after it. */
		if (story->applied_at &&
		    (verdict == BRUNT_REFUSED || verdict == BRUNT_UNABLE || verdict == BRUNT_UNSTEADY))
			verdict = BRUNT_ERROR;
		if (verdict == BRUNT_STOPPED)
			verdict_find(findings, verdict, why, "stopped by %s; everything was reverted first",
				     strcmp(why, "q") != 0 ? why : "key q");
		else if (verdict == BRUNT_UNSTEADY)
			verdict_find(findings, verdict, why,
				     "the steady state did not hold before the start, nothing was injected: %s", why);
		else
			verdict_find(findings, verdict, why, "%s", *why ? why : "the run was aborted without a reason");
	}
}

static void find_guardrail(const struct brunt_story *story, struct findings *findings)
{
	char value[64], gone[64], after[128] = "";

	if (story->guardrail == -1)
		return;
	if (story->guardrail < 0) {
		verdict_find(findings, BRUNT_ABORTED, "",
			     "a guardrail was breached that the journal does not describe");
		return;
	}
	const struct story_condition *condition = &story->conditions[story->guardrail];

	if (story->breach_at && story->reverted_told && story->reverted_at > story->breach_at)
		(void)snprintf(after, sizeof(after), "; every fault was gone %s after the breaching sample",
			       brunt_duration_print(story->reverted_at - story->breach_at, gone, sizeof(gone)));
	verdict_find(findings, BRUNT_ABORTED, condition->text, "guardrail '%s' was breached: %s%s", condition->text,
		     isnan(condition->breach.value) && condition->breach_why
			     ? condition->breach_why
			     : story_value(condition->breach.value, condition->dimension, value, sizeof(value)),
		     after);
}

static void find_people(const struct brunt_story *story, struct findings *findings)
{
	char status[64];
	size_t i;
	json_t *event;

	json_array_foreach (story->roles, i, event) {
		const char *role = story_text(event, "role");

		/* Whoever only writes things down is missed, but proves nothing wrong. */
		if (strcmp(role, "journal") != 0 && strcmp(role, "screen") != 0)
			verdict_find(findings, BRUNT_ERROR, role, "the %s of this run died", role);
	}
	for (size_t j = 0; j < story->service_count; j++) {
		const struct story_service *service = &story->services[j];

		if (service->failed)
			verdict_find(findings, BRUNT_ERROR, service->name, "service '%s' ended by itself: it %s%s%s",
				     service->name, verdict_status(service->status, status, sizeof(status)),
				     service->last_line ? ": " : "", service->last_line ? service->last_line : "");
	}
	for (size_t j = 0; j < story->finally_count; j++) {
		const struct story_finally *finally = &story->finally[j];

		if (finally->status)
			verdict_find(
				findings, BRUNT_ERROR, "", "'%s' of finally %s", finally->name ? finally->name : "?",
				finally->why ? finally->why : verdict_status(finally->status, status, sizeof(status)));
	}
}

/* ---- all together ---- */

/* What the run itself said, where that weighs more than what can be seen here (samples may have been dropped). */
static void find_recorded(const struct brunt_story *story, struct findings *findings)
{
	enum brunt_verdict recorded;
	size_t i;
	json_t *reason;

	if (!story->verdict || any_above(findings, BRUNT_ERROR))
		return;
	if (brunt_verdict_find(story_text(story->verdict, "verdict"), &recorded)) {
		verdict_find(findings, BRUNT_ERROR, "", "the journal's verdict '%.40s' is none",
			     story_text(story->verdict, "verdict"));
		return;
	}
	if (recorded == BRUNT_PASSED)
		return;
	for (unsigned j = 0; j <= weight_of(recorded); j++)
		if (findings->found[j])
			return;
	json_array_foreach (json_object_get(story->verdict, "reasons"), i, reason)
		if (json_is_string(reason))
			verdict_find(findings, recorded, json_string_value(reason), "%s", json_string_value(reason));
	if (!findings->found[weight_of(recorded)])
		verdict_find(findings, recorded, "", "the run ended so, without a reason");
}

static int exit_of(const struct brunt_story *story, enum brunt_verdict verdict)
{
	size_t i;
	json_t *event;

	if (verdict != BRUNT_STOPPED)
		return (int)verdict;
	json_array_foreach (story->aborts, i, event)
		if (!strcmp(story_text(event, "cause"), "signal"))
			return json_integer_value(json_object_get(event, "signal")) == SIGTERM ||
					       !strcmp(story_text(event, "why"), "SIGTERM")
				       ? 128 + SIGTERM
				       : 128 + SIGINT;
	return json_integer_value(json_object_get(story->verdict, "exit")) == 128 + SIGTERM ? 128 + SIGTERM
											    : 128 + SIGINT;
}

enum brunt_verdict brunt_story_verdict(const struct brunt_story *story, int *ret_exit, json_t **ret_reasons)
{
	struct findings findings = { 0 };
	json_t *reasons = json_array();
	unsigned worst = VERDICT_COUNT - 1;

	find_end(story, &findings);
	verdict_find_faults(story, &findings);
	find_guardrail(story, &findings);
	verdict_find_steps(story, &findings);
	find_people(story, &findings);
	verdict_find_steady(story, &findings);
	find_aborts(story, &findings);
	if (!any_above(&findings, BRUNT_PASSED))
		verdict_find_missing(story, &findings);
	find_recorded(story, &findings);
	if (!any_above(&findings, BRUNT_PASSED))
		verdict_find_praise(story, &findings);
	for (unsigned i = 0; i < VERDICT_COUNT; i++) {
		if (i < worst && findings.found[i])
			worst = i;
		if (findings.texts[i])
			(void)json_array_extend(reasons, findings.texts[i]);
		json_decref(findings.texts[i]);
		json_decref(findings.keys[i]);
	}
	if (ret_exit)
		*ret_exit = exit_of(story, verdicts[worst].verdict);
	if (ret_reasons)
		*ret_reasons = reasons;
	else
		json_decref(reasons);
	return verdicts[worst].verdict;
}
