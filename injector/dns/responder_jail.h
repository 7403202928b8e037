/* SPDX-License-Identifier: Apache-2.0 */
/* What a process that reads foreign data does without. */
#pragma once

struct brunt_error;

/*
 * From here on, this process makes no process, writes no file, opens none, and may call little more than what sockets
 * take (seccomp; other calls return EPERM). Needs no_new_privs. 0 or -errno; the list of calls is left out where the
 * kernel or the architecture has none.
 */
int responder_jail(struct brunt_error *err);
