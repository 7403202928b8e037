/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the parameter tables share. */
#pragma once

#include "brunt/error.h"
#include "brunt/param.h"

#define BRUNT_POINTER_SIZE 1024
#define BRUNT_LIST_MAX	   256 /* elements of a list whose row sets no count_max */

/* Bytes of one value of the row in memory, shape aside. */
size_t brunt_param_value_size(const struct brunt_param *param);

/* Reads one scalar (everything but an object) from JSON into to. 0, -EINVAL or -ERANGE with a phrase, -ENOMEM. */
int brunt_param_read(const struct brunt_param *param, const struct brunt_scope *scope, json_t *value, void *to,
		     struct brunt_error *err);

/* Reads a ramp, or the bare value that stands still; what is wrong lands in scope->diags. 0, -EINVAL, -ENOMEM. */
int brunt_param_read_ramp(const struct brunt_param *param, const struct brunt_scope *scope, json_t *value,
			  const char *pointer, struct brunt_ramp *to);

/* JSON Schema of a ramp; value: the schema of from and to, borrowed. New reference. */
json_t *brunt_param_ramp_schema(json_t *value);

/* Puts what err says about the value at pointer into scope->diags; -EINVAL, or -ENOMEM as it came. */
int brunt_param_tell(const struct brunt_scope *scope, const char *pointer, int r, const struct brunt_error *err);

/* The JSON that a row's .def stands for. New reference; NULL when memory is short or .def is not right. */
json_t *brunt_param_default_json(const struct brunt_param *param);

/* 0 when text is a name (BRUNT_T_NAME), else -EINVAL with a phrase. */
int brunt_name_check(const char *text, struct brunt_error *err);

/* "a time", "a string": what a row wants. */
const char *brunt_param_noun(const struct brunt_param *param);

/* A right value as JSON text, or NULL. */
const char *brunt_param_example(const struct brunt_param *param);

/* The upper limit of a row, or INFINITY. */
double brunt_param_max(const struct brunt_param *param);

/* One limit in the row's units: "60 s", "5 %", "12"; returns buf. */
const char *brunt_param_limit_print(const struct brunt_param *param, double limit, char *buf, size_t size);
