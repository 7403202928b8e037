/* SPDX-License-Identifier: Apache-2.0 */
/* What the holder and the process of a line have in common; for line.c and line_child.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "brunt/error.h"
#include "network/impairment.h"
#include "line/line.h"
#include "line/line_dice.h"

/* Bytes for packets that wait: 1 Gbit/s for a second. Only what is used is ever touched. */
#define LINE_MEMORY (128u << 20)

enum line_order { LINE_RUN, LINE_DRAIN, LINE_DROP };

/* Shared memory. Each field has one writer. */
struct line_control {
	/* the holder's */
	uint32_t version; /* of what follows; odd while it is being written */
	struct brunt_impairment what;
	int16_t table[LINE_TABLE_MAX]; /* what.table_size of them */
	uint32_t order;		       /* enum line_order */

	/* the line's */
	uint64_t beat; /* CLOCK_BOOTTIME ns, when it was last seen alive */
	struct brunt_line_stats stats;
};

/* The first and only message from the line: it works from here on, or why it does not. */
struct line_ready {
	int code; /* 0 or a positive errno */
	char text[160];
};

/* The life of the line, in the child; never returns. socket: its end means that the holder wants or is no more. */
void line_main(struct line_control *control, int tap, int socket, const int *keep, size_t count, uint64_t max_linger)
	__attribute__((noreturn));

/*
 * From here on, this process can call what its loop takes, and nothing else (seccomp; the rest returns EPERM). Takes
 * no_new_privs; nothing changes where the kernel or the architecture has no such filters.
 */
void line_jail(void);
