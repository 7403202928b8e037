/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/error.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Cuts a phrase that vsnprintf() found too long, so that one sees that it goes on. */
static void mark_cut(char *msg, size_t size, int length)
{
	if (length < 0)
		msg[0] = '\0';
	else if ((size_t)length >= size)
		memcpy(msg + brunt_text_cut(msg, size - 4), "...", 4);
}

int brunt_fail(struct brunt_error *err, int code, const char *format, ...)
{
	/* Formatted aside: an argument may be the old phrase itself. */
	char msg[sizeof(err->msg)];
	int saved = errno;
	va_list args;
	int length;

	if (!err)
		return -code;
	va_start(args, format);
	length = vsnprintf(msg, sizeof(msg), format, args);
	va_end(args);
	mark_cut(msg, sizeof(msg), length);
	/* Names and paths come from outside, and a message goes to a terminal. */
	brunt_text_clean(msg);
	memcpy(err->msg, msg, sizeof(msg));
	err->code = code;
	errno = saved;
	return -code;
}

int brunt_wrap(struct brunt_error *err, const char *format, ...)
{
	char msg[sizeof(err->msg)];
	int saved = errno;
	va_list args;
	size_t length;
	int printed;

	if (!err)
		return -EIO;
	va_start(args, format);
	printed = vsnprintf(msg, sizeof(msg), format, args);
	va_end(args);
	mark_cut(msg, sizeof(msg), printed);
	length = strlen(msg);
	printed = snprintf(msg + length, sizeof(msg) - length, ": %s", err->msg);
	if (printed >= 0)
		mark_cut(msg, sizeof(msg), (int)length + printed);
	brunt_text_clean(msg);
	memcpy(err->msg, msg, sizeof(msg));
	errno = saved;
	return err->code > 0 ? -err->code : -EIO;
}
