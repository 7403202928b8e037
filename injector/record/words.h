/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of a step, for summary, live view and lines alike.
 */
#pragma once

#include "judge/story.h"

/* "20,310 packets dropped", "1 process killed". Returns buf. */
const char *words_hits(const struct story_step *step, char *buf, size_t size);

/*
 * What a step did, asked against got, in one sentence without its name; brief: without the fault's kind and whom it
 * hit. Returns buf.
 */
const char *words_step(const struct brunt_story *story, const struct story_step *step, bool brief, char *buf,
		       size_t size);

enum words_mark { WORDS_PENDING, WORDS_RUNNING, WORDS_GOOD, WORDS_BAD, WORDS_PASSED_OVER, _WORDS_MARK_MAX };
enum words_mark words_mark(const struct story_step *step);
extern const char *const words_marks[_WORDS_MARK_MAX]; /* one column each, UTF-8 */

/* "PASSED": a verdict's name in capitals. Returns buf. */
const char *words_verdict(enum brunt_verdict verdict, char *buf, size_t size);
