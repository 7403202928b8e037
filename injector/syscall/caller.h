/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who made a call that waits for an answer, and with what: read from /proc and
 * from the caller's memory while it waits. None of it allocates. What is read
 * is the caller's and may change under one's hands (seccomp_unotify(2)); it
 * decides whether a fault is about the call, never what is allowed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "brunt/param.h"
#include "syscall/calls.h"

#define BRUNT_CALLER_PATH 4096

/* The process of a thread and when it started (clock ticks since boot; may be NULL). 0 when it is gone. */
pid_t brunt_caller_process(pid_t thread, uint64_t *ret_start);

/* The name (comm) of a thread or process, at least 16 bytes; false when it is gone. */
bool brunt_caller_name(pid_t thread, char *buf, size_t size);

/*
 * The which-th path of a call (0, 1), absolute, without "." and ".." and "//", links as they are; for a call that has
 * none but descriptors, what those are open on. false: it has none, or it cannot be read.
 */
bool brunt_caller_path(pid_t thread, const struct brunt_call *call, const uint64_t args[6], unsigned which, char *buf,
		       size_t size);

/* The address that a call is about: in its arguments, or of the peer of its socket. false: none. */
bool brunt_caller_address(pid_t thread, const struct brunt_call *call, const uint64_t args[6],
			  struct brunt_endpoint *ret);

/* Was a caller's memory, or a descriptor of its, not to be had for want of permission? Says so once. */
bool brunt_caller_was_refused(void);

/* Does the instruction at address belong to the dynamic loader? Never with musl, whose loader is its C library, too. */
bool brunt_caller_is_loader(pid_t thread, uint64_t address);

/* Removes ".", ".." and doubled slashes of an absolute path, in place. */
void brunt_caller_tidy(char *path);
