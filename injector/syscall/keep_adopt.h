/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an old keeper and a later run say to each other, for keep_adopt.c and
 * keep_earlier.c alone: one question, one answer.
 */
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "syscall/keep_parts.h"

#define KEEP_ADOPT_NAME "brunt-keeper/"

enum adopt_kind { ADOPT_ASK, ADOPT_LIST, ADOPT_GET, ADOPT_DONE };

/* One message of either side. */
struct adopt_message {
	uint32_t kind;
	uint32_t number; /* GET, LIST: of the listener, from 0; the answer to ASK: how many there are */
	int32_t code; /* answers: 0; -ESRCH: not one of its (LIST: not any more); -EBUSY: a run still uses it; -ENOENT: no such number */
	pid_t process;
	uint64_t start;
	struct brunt_call_set asks;
};

socklen_t keep_adopt_address(pid_t keeper, struct sockaddr_un *ret);
