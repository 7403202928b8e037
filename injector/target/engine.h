/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a container engine for an id, over its unix socket: the one request
 * that docker and podman answer alike.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct brunt_error;

#define BRUNT_ENGINE_ANSWER_MAX (8 * 1024 * 1024) /* bytes, head included */
#define BRUNT_ENGINE_TIMEOUT_MS 2000		  /* for one engine */

/*
 * Finds the running container of that name; its 64 digits and a terminator into id. sockets: NULL-terminated, or
 * NULL for the usual ones. -ESRCH no such name (with a near miss); -E2BIG two engines have one; -ENOTSUP no engine
 * answers; -EACCES one is there but may not be asked.
 */
int brunt_engine_find(const char *const *sockets, const char *name, char *id, struct brunt_error *err);

/*
 * Takes an HTTP/1.1 answer of size bytes apart, in place: its body (chunks joined) is *ret_body, terminated, of
 * *ret_size bytes; text has room for one byte more. 0, -EAGAIN when it is not whole, -EPROTO when it is no answer
 * with status 200.
 */
int brunt_engine_body(char *text, size_t size, int at_end, char **ret_body, size_t *ret_size);
