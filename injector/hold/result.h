/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct brunt_error;
struct brunt_run_setup;

/*
 * Writes the document for --result: the controller's when it left one, else one that says that it did not. In one
 * step: the file has the old content or all of the new. 0, also when none was asked for; -errno.
 */
int result_write(const struct brunt_run_setup *setup, struct brunt_error *err);
