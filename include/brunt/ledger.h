/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: the write-ahead record of what must be undone, one file a run in
 * /run/brunt (an ordinary user: $XDG_RUNTIME_DIR/brunt, else /tmp/brunt-UID).
 * tmpfs: no disk to wait for, and a reboot clears the kernel's state with it.
 *
 * Preallocated, so that a full filesystem cannot stop an undo record. Frames:
 * magic, length, CRC, sequence, kind. A torn last frame is no frame. The
 * holder keeps an open-file-description lock for as long as it lives: who has
 * the lock is alive. `brunt status`, `recover` and other runs only read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "brunt/fault.h"

struct brunt_error;

#define BRUNT_LEDGER_VERSION 1
#define BRUNT_LEDGER_SIZE    (256 * 1024)

enum brunt_ledger_kind {
	BRUNT_LEDGER_CLAIM,	/* this run wants that thing: text */
	BRUNT_LEDGER_INTENT,	/* before attach: undo record */
	BRUNT_LEDGER_HELD,	/* armed: step */
	BRUNT_LEDGER_UNDONE,	/* read back as gone: step */
	BRUNT_LEDGER_RESIDUE,	/* could not be undone: step */
	BRUNT_LEDGER_CGROUP,	/* a cgroup directory of the run: path; undo: kill and remove */
	BRUNT_LEDGER_DIRECTORY, /* a scratch directory of the run: path; undo: remove */
	BRUNT_LEDGER_CLOSED,	/* everything is undone */
	BRUNT_LEDGER_CHILD,	/* a process of brunt that holds step: pid, start */
	_BRUNT_LEDGER_MAX
};

struct brunt_ledger_head { /* first frame */
	char boot[40];	   /* /proc/sys/kernel/random/boot_id */
	char run[16];
	char plan[80];
	char plan_path[256];
	pid_t holder, controller, recoverer;
	uint64_t holder_start, controller_start, recoverer_start;
	uint64_t started_wall; /* seconds since the epoch */
	uint32_t step_count;
};

/* The folder in buf, or BRUNT_LEDGER_DIR of the environment; made (0755) when make is true. 0 or -errno. */
int brunt_ledger_folder(char *buf, size_t size, bool make, struct brunt_error *err);

struct brunt_ledger;

/* Creates, preallocates, locks. head is copied. 0, -errno. */
int brunt_ledger_create(const char *folder, const struct brunt_ledger_head *head, struct brunt_ledger **ret,
			struct brunt_error *err);

/*
 * Claims a thing ("cgroup 4711 packets", "process 812:99132"). -EEXIST when a live run has it already; err names that
 * run, its plan and its pid. Short global lock inside.
 */
int brunt_ledger_claim(struct brunt_ledger *ledger, const char *thing, struct brunt_error *err);

/* Appends; no allocation. -ENOSPC when the preallocated room is used up. */
int brunt_ledger_intent(struct brunt_ledger *ledger, const struct brunt_undo_record *undo, struct brunt_error *err);
int brunt_ledger_mark(struct brunt_ledger *ledger, enum brunt_ledger_kind kind, uint32_t step);
int brunt_ledger_child(struct brunt_ledger *ledger, uint32_t step, pid_t pid, uint64_t start);
/* Is there room for a child without what is kept for marks? */
bool brunt_ledger_has_room(const struct brunt_ledger *ledger);
int brunt_ledger_path(struct brunt_ledger *ledger, enum brunt_ledger_kind kind, const char *path,
		      struct brunt_error *err);

/*
 * Marks it closed and unlinks the file. Kept are a ledger with residue, and one with paths: who removes those (the
 * recoverer, at the very end of the run) unlinks it then. NULL is allowed.
 */
void brunt_ledger_close(struct brunt_ledger *ledger, bool residue);

/* ---- reading, from anywhere ---- */

struct brunt_ledger_fault {
	struct brunt_undo_record undo;
	bool held, undone, residue;
	pid_t child; /* its pauser, or 0 */
	uint64_t child_start;
};
struct brunt_ledger_path_entry {
	enum brunt_ledger_kind kind;
	char path[256];
};
struct brunt_ledger_view {
	char path[256];
	struct brunt_ledger_head head;
	bool live; /* its holder has the lock */
	bool same_boot;
	bool closed;
	bool damaged;		/* a frame did not check out: what follows it was ignored */
	size_t used;		/* bytes of sound frames */
	uint64_t next_sequence; /* of the frame that would come next */
	struct brunt_ledger_fault *faults;
	size_t fault_count;
	char (*claims)[160];
	size_t claim_count;
	struct brunt_ledger_path_entry *paths;
	size_t path_count;
};
int brunt_ledger_read(const char *path, struct brunt_ledger_view *ret, struct brunt_error *err);
void brunt_ledger_view_done(struct brunt_ledger_view *view);

/* Calls fn for every ledger in the folder, oldest first; stops when fn returns non-zero and returns that. */
int brunt_ledger_each(const char *folder, int (*fn)(const struct brunt_ledger_view *view, void *user), void *user,
		      struct brunt_error *err);

/*
 * Finishes a dead run: makes sure that every role of it is gone, takes its lock, undoes what is not undone, reads
 * back, removes cgroups and scratch folders, unlinks the ledger. *ret_undone: how many. 0; -EBUSY residue; -EAGAIN
 * it is alive (err names it).
 */
int brunt_ledger_recover(const char *path, size_t *ret_undone, struct brunt_error *err);
