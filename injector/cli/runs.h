/* SPDX-License-Identifier: Apache-2.0 */
/* The runs on this host, as their ledgers tell: what status, stop and recover share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "brunt/ledger.h"
#include "brunt/role.h"

enum run_state {
	RUN_LIVE,   /* its holder is there */
	RUN_ENDING, /* its holder is gone, another of its roles still at work */
	RUN_DEAD,   /* nobody is left: what is in the ledger waits for `brunt recover` */
};
const char *run_state_name(enum run_state state);
enum run_state run_state_of(const struct brunt_ledger_view *view);

/* Faults that are in effect, or may be. */
size_t run_open_faults(const struct brunt_ledger_view *view);

/*
 * Calls fn for every run of this user and, as far as they can be read, of root. What fn returns other than 0 ends it
 * and is returned. -errno with err when the folder cannot be read.
 */
int runs_each(int (*fn)(const struct brunt_ledger_view *view, void *user), void *user, struct brunt_error *err);

/* The pids of its roles that live, 0 for the others: those its ledger names, and brunt's own among their children. */
void run_pids(const struct brunt_ledger_view *view, pid_t ret[_BRUNT_ROLE_MAX]);

/* "2026-03-02 10:00:01", local time; returns buf. */
const char *run_started(const struct brunt_ledger_view *view, char *buf, size_t size);
