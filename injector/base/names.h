/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct brunt_error;

/* Reads "SIGKILL", "KILL", "SIGRTMIN+1" or "9" (1..64); 0 or -EINVAL with a phrase. */
int brunt_signal_parse(const char *text, int *ret, struct brunt_error *err);

/* Reads "ECONNREFUSED" or "111" (1..4095); 0 or -EINVAL with a phrase. */
int brunt_errno_parse(const char *text, int *ret, struct brunt_error *err);

/* All names, NULL-terminated: for the schema. */
const char *const *brunt_signal_names(void);
const char *const *brunt_errno_names(void);
