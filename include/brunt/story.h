/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The story of a run, built from its events and nothing else: the live view,
 * the summary, the verdict and `brunt report` read it. Feeding the same events
 * gives the same story, during the run and years later.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "brunt/judge.h"

struct brunt_error;

enum brunt_verdict {
	BRUNT_PASSED = 0,
	BRUNT_FAILED = 1,
	BRUNT_ABORTED = 3,
	BRUNT_REFUSED = 4,
	BRUNT_ERROR = 5,
	BRUNT_RESIDUE = 6,
	BRUNT_INCONCLUSIVE = 7,
	BRUNT_UNSTEADY = 8,
	BRUNT_UNABLE = 9,
	BRUNT_STOPPED = 130, /* exit is 130 or 143 */
};
const char *brunt_verdict_name(enum brunt_verdict verdict); /* "passed" */
/* By name; -EINVAL. */
int brunt_verdict_find(const char *name, enum brunt_verdict *ret);

struct brunt_story;

int brunt_story_new(struct brunt_story **ret);
void brunt_story_free(struct brunt_story *story);

/* Takes one event in. event is borrowed. Unknown events and fields are ignored (a newer journal). -EINVAL: no event. */
int brunt_story_feed(struct brunt_story *story, const json_t *event);

/*
 * No more events will come: the pipe or the file has ended. Without a verdict event the run was then cut off, and is
 * never passed. The controller, which asks for the verdict in order to emit it, does not call this.
 */
void brunt_story_end(struct brunt_story *story);

/* Reads a journal file to its end (brunt_story_end); a torn last line is ignored. */
int brunt_story_read(const char *path, struct brunt_story **ret, struct brunt_error *err);

/*
 * The verdict so far, and why: reasons is an array of strings, the weightiest first (new reference). Pure function of
 * the events, by the rules of docs: residue > error > aborted > stopped > failed > inconclusive > passed; refused,
 * unsteady and unable only before the first apply. A run without steady state after, or whose events just end
 * (the controller was killed), is never passed. Ask after the event `phase: end`: until then nothing is passed.
 * Where a verdict event was fed that is weightier than what the other events say, it counts.
 */
enum brunt_verdict brunt_story_verdict(const struct brunt_story *story, int *ret_exit, json_t **ret_reasons);

/* The summary for a person (docs: ux). colour: ANSI. width: columns. */
void brunt_story_print(const struct brunt_story *story, FILE *out, bool colour, unsigned width);

/* The same as one document with stable keys (`--output=json`, --result); new reference. */
json_t *brunt_story_document(const struct brunt_story *story);

/*
 * The live view: one screen of at most rows x columns, drawn with ANSI at the cursor's home. now: CLOCK_BOOTTIME ns.
 * Here and in the summary: UTF-8 when the locale (LC_CTYPE, as set by setlocale) is, else ASCII.
 */
void brunt_story_draw(const struct brunt_story *story, FILE *out, unsigned rows, unsigned columns, bool colour,
		      uint64_t now);

/* One plain line for an event, with a time stamp, or nothing when it is not worth one. */
void brunt_story_line(const struct brunt_story *story, const json_t *event, FILE *out);
