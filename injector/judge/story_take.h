/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking events into a story: one function per kind. Each returns 0 or
 * -ENOMEM, and leaves alone what it does not know.
 */
#pragma once

#include "judge/story.h"

/* A non-negative integer field; 0 when it is anything else. */
uint64_t take_number(const json_t *event, const char *key);

/* Replaces a string of the story by a field's; keeps the old one when there is no such field. */
int take_text(char **to, const json_t *event, const char *key);

/* at: the event's time. */
int take_step_start(struct brunt_story *story, const json_t *event, uint64_t at);
int take_step_end(struct brunt_story *story, const json_t *event, uint64_t at);
int take_applied(struct brunt_story *story, const json_t *event, uint64_t at);
int take_hits(struct brunt_story *story, const json_t *event, uint64_t at);
int take_reverted(struct brunt_story *story, const json_t *event, uint64_t at);
int take_pulse(struct brunt_story *story, const json_t *event, uint64_t at);
int take_lost(struct brunt_story *story, const json_t *event, uint64_t at);
int take_sample(struct brunt_story *story, const json_t *event, uint64_t at);
int take_condition(struct brunt_story *story, const json_t *event, uint64_t at);
int take_guardrail(struct brunt_story *story, const json_t *event, uint64_t at);
