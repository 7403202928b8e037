/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How failure is told.
 *
 * A function that can fail returns 0 or a negative errno and, through a
 * caller-owned struct, one phrase for a human: no full stop, the subject in
 * single quotes, what to do about it where that is known. Nothing here
 * allocates, so explaining a failure cannot fail.
 */
#pragma once

struct brunt_error {
	int code;      /* positive errno of the failure; 0 while there was none */
	char msg[256]; /* one phrase, always terminated, valid UTF-8, cut when too long */
};

/*
 * Sets err to code and the formatted phrase; returns -code, so that a function
 * can end in `return brunt_fail(err, ENODEV, "no network device '%s'", name);`.
 * code is positive. err may be NULL: then only the code is returned.
 */
int brunt_fail(struct brunt_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Puts a phrase and ": " before what err says already; returns -err->code.
 * err may be NULL: then -EIO is returned.
 */
int brunt_wrap(struct brunt_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
