/* SPDX-License-Identifier: Apache-2.0 */
/* Learning what the command does when nothing fails. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "survey/run.h"

struct brunt_error;

/* What recording and running have in common. */
struct survey_work {
	const struct brunt_survey_options *options;
	struct brunt_survey_result *result;
	struct survey_pool pool;
	struct brunt_survey_progress progress;
	void (*tell)(void *user, const struct brunt_survey_progress *progress);
	void *user;
	int stop;
	uint64_t began;	 /* CLOCK_BOOTTIME */
	char *texts[3];	 /* the record's own copies of what was said */
	char base[4096]; /* folder for copies, "" for none */
};

/* Fills result->record, decides result->jobs and result->timeout. 0, -ECANCELED when it was stopped, -errno. */
int survey_record(struct survey_work *work, struct brunt_error *err);

/* The rule that lets calls of one kind fail; for those of a set that spare descriptor 2, or for the others. */
void survey_rule_begin(const struct brunt_survey_options *options, bool spares_stderr, struct brunt_call_rule *ret);

/* Waits for a run, telling how far it is. As survey_pool_wait(). */
int survey_work_wait(struct survey_work *work);
