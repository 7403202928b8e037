/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's own state; see brunt_holder_main(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brunt/error.h"
#include "brunt/hold.h"
#include "brunt/role.h"
#include "hold/held.h"
#include "hold/ledger.h"

#define HOLDER_QUEUE 256 /* reports that wait for a slow controller */

struct holder {
	const struct brunt_run_setup *setup;
	int socket;
	int timer;	  /* CLOCK_BOOTTIME, at the end of the lease */
	int turner;	  /* CLOCK_BOOTTIME, when a ramp or a pulse moves next */
	uint64_t turn_at; /* what it is set to; 0: nothing moves */
	struct brunt_lease lease;
	struct brunt_deadman deadman;
	struct brunt_held *held;
	struct brunt_ledger *ledger;
	struct brunt_error broken; /* why nothing can be prepared; code 0: nothing is wrong */
	struct brunt_fault_context fault_context;
	struct brunt_resolve_context resolve_context;
	pid_t own[_BRUNT_ROLE_MAX + 2];
	bool ended;
	struct brunt_report queue[HOLDER_QUEUE];
	size_t queue_first, queue_count;
};

/* ---- holder_verb.c ---- */

/* Acts on one verb of the controller. */
void holder_take(struct holder *holder, const struct brunt_verb *verb);
/* The lease ran out: latches, reverts everything, says so. */
void holder_lapse(struct holder *holder);
/* Reverts everything; no apply is taken afterwards. abort: as the plan's on_abort says. 0 or -EBUSY. */
int holder_revert_all(struct holder *holder, bool abort);

/* ---- holder.c ---- */

/* Queues a report and sends what can be sent now; never waits. */
void holder_report(void *user, const struct brunt_report *report);
/* Sets timer and dead man's switch to what is held and to the lease. */
void holder_set_timers(struct holder *holder);
