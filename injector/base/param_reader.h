/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read one value share. */
#pragma once

#include "base/param.h"

#include <stdbool.h>

struct brunt_param_reader {
	const struct brunt_param *param;
	const struct brunt_scope *scope;
	struct brunt_error *err;
};

/* "an array": for messages. */
const char *brunt_json_kind(const json_t *value);

/* "must be a time, such as ...; not an array"; -EINVAL. */
int brunt_param_fail_kind(const struct brunt_param_reader *in, const json_t *value);

/* Whether a JSON string holds a NUL character, which no C string can. */
bool brunt_json_has_nul(const json_t *value);

/* BRUNT_T_STRING, _NAME, _PATH, _REGEX; *to lies in the arena. 0, -EINVAL, -ERANGE, -ENAMETOOLONG or -ENOMEM. */
int brunt_param_read_text(const struct brunt_param_reader *in, json_t *value, const char **to);
