/* SPDX-License-Identifier: Apache-2.0 */
/* Finishing a run whose holder is dead, from its ledger alone. */
#pragma once

#include <stddef.h>

struct brunt_error;

enum recover_what {
	RECOVER_FAULTS = 1 << 0, /* undo what is not undone */
	RECOVER_PATHS = 1 << 1,	 /* cgroups and folders, then the ledger itself when nothing stays */
	RECOVER_OWN = 1 << 2,	 /* by the run's own recoverer: its controller may still live */
};

/* brunt_ledger_recover() in parts. what: bits of enum recover_what. 0, -EBUSY, -EAGAIN, -errno. */
int recover_ledger(const char *path, unsigned what, size_t *ret_undone, struct brunt_error *err);

/*
 * Finishes every dead run in the folder; those whose roles still live are left to them. 0; -EBUSY when something of
 * one of them stayed (err names it).
 */
int recover_folder(const char *folder, struct brunt_error *err);
