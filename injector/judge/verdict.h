/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings: what speaks against a run, each under the verdict that it makes.
 */
#pragma once

#include "judge/story.h"

#define VERDICT_COUNT 10

struct findings { /* by weight, the weightiest first */
	bool found[VERDICT_COUNT];
	json_t *texts[VERDICT_COUNT]; /* sentences, or NULL */
	json_t *keys[VERDICT_COUNT];  /* what each is about, so that it is told once; "" is about nothing else */
};

/* Adds a finding, unless one of that verdict is about the same. */
void verdict_find(struct findings *findings, enum brunt_verdict verdict, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A wait status as the end of a sentence: "exited with status 3". Returns buf. */
const char *verdict_status(int64_t status, char *buf, size_t size);

/* Residue, lost faults, faults that bit too little. */
void verdict_find_faults(const struct brunt_story *story, struct findings *findings);
/* Expectations that were missed, judged commands that failed. */
void verdict_find_steps(const struct brunt_story *story, struct findings *findings);
/* The steady state: before, during, after; start_if. */
void verdict_find_steady(const struct brunt_story *story, struct findings *findings);
/* For a run that nothing speaks against: what should have been told, and was not. */
void verdict_find_missing(const struct brunt_story *story, struct findings *findings);
/* What a passed run has shown. */
void verdict_find_praise(const struct brunt_story *story, struct findings *findings);
