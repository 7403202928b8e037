/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "brunt/json.h"

#include <stdarg.h>

/*
 * Adds one diagnostic; counts it even when there is no room or no memory to keep it. An error that finds the list
 * full takes the place of a warning. file may be NULL.
 */
void brunt_diags_add(struct brunt_diags *diags, const char *file, const char *pointer, unsigned line, unsigned column,
		     bool warning, const char *format, va_list args) __attribute__((format(printf, 7, 0)));
