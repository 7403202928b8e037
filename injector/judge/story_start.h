/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first event of a run: what there is, before anything happens to it.
 */
#pragma once

#include "judge/story.h"

/* Takes a run.start event in; 0, -ENOMEM, or -EINVAL when it names no run. */
int story_start(struct brunt_story *story, const json_t *event);
