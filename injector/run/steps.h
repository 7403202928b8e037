/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What steps share with the phases around the method.
 */
#pragma once

#include <stdint.h>

struct controller;
struct command_run;

/* Looks at every step that goes on; returns when one of them wants to be looked at next (CLOCK_BOOTTIME ns). */
uint64_t controller_steps_tick(struct controller *ctl);

/* Emits what a command wrote, a line each, for the step (or finally) of that name. */
void controller_tell_output(struct controller *ctl, const char *name, const struct command_run *command);
