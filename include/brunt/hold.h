/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The holder: the one process that resolves, applies, renews and reverts.
 *
 * From the controller come verbs and indexes, never data. Back go reports of
 * one fixed size. The socketpair is SOCK_SEQPACKET and non-blocking on the
 * holder's side: a controller that does not read loses reports, not its lease.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "brunt/fault.h"
#include "brunt/role.h"

struct brunt_error;
struct brunt_plan;
struct brunt_ways;

enum brunt_verb_kind {
	BRUNT_VERB_PREPARE, /* take claims, probe, load every fault, resolve `start` targets that exist already */
	BRUNT_VERB_RESOLVE, /* index: a target, now (those of services, after the services are up) */
	BRUNT_VERB_APPLY,   /* index: a fault step; an instant one may be applied again */
	BRUNT_VERB_REVERT,  /* index: a fault step */
	/* index: BRUNT_REVERT_ABORT or 0 */
	BRUNT_VERB_REVERT_ALL, /* everything, in reverse order: all disarmed first; no apply is taken after it */
	BRUNT_VERB_RENEW,
	BRUNT_VERB_POLL,  /* report the hits of every fault that is or was held */
	BRUNT_VERB_ALIVE, /* index: a target; report how many are alive now */
	BRUNT_VERB_END,	  /* revert what is left, close the ledger, exit */
};

#define BRUNT_REVERT_ABORT 1u /* the run aborts: the plan's on_abort says how faults end */

struct brunt_verb {
	uint32_t kind;
	uint32_t index;
	uint64_t sequence; /* comes back in the report that answers it */
};

enum brunt_report_kind {
	BRUNT_REPORT_PREPARED, /* answer; code 0 or -errno, text says why */
	BRUNT_REPORT_ITEM,     /* one picked (or at most 20 passed-over) item of a target: text is its name */
	BRUNT_REPORT_RESOLVED, /* answer to RESOLVE, and part of PREPARE and APPLY; index is the target */
	BRUNT_REPORT_APPLIED,  /* answer; at: when armed */
	BRUNT_REPORT_REVERTED, /* one per fault, also unasked (lease, EOF); at: read back as gone; -EBUSY: residue */
	BRUNT_REPORT_REVERTED_ALL, /* answer; at: the last one was read back */
	BRUNT_REPORT_HITS,	   /* one per fault, after POLL and at each revert */
	BRUNT_REPORT_NEWS,	   /* one per fault that has something to tell, after its HITS; text */
	BRUNT_REPORT_POLLED,	   /* answer to POLL, after the HITS */
	BRUNT_REPORT_ALIVE,	   /* answer; matched */
	BRUNT_REPORT_LOST,	   /* a link detached or a target went away while held */
	BRUNT_REPORT_PULSE,	   /* a phase of a pulse began; flags, at: armed, or read back as gone */
	BRUNT_REPORT_LAPSED,	   /* the lease ran out; everything was reverted */
	BRUNT_REPORT_ENDED,	   /* last words; code 0 or -EBUSY for residue */
};

struct brunt_report {
	uint32_t kind;
	uint32_t index; /* step or target */
	/* 0 or -errno; verdicts: -EEXIST another run holds it, -ENOTSUP / -EPERM / -ESRCH unable, -EDQUOT blast
	 * radius, -EBUSY residue, others error */
	int32_t code;
	uint32_t flags; /* BRUNT_REPORT_PICKED for an ITEM, BRUNT_REPORT_ON for a PULSE */
	uint64_t sequence;
	uint64_t at;		  /* CLOCK_BOOTTIME ns */
	uint64_t matched, picked; /* RESOLVED, ITEM: 1 */
	double share;
	uint64_t victims;	/* items hit so far in the run, against the blast radius */
	struct brunt_hits hits; /* HITS, REVERTED */
	pid_t pid;		/* ITEM */
	uint64_t start;		/* ITEM */
	char text[256];
};
#define BRUNT_REPORT_PICKED 1u
#define BRUNT_REPORT_ON	    1u

/* What every privileged role is given at its start. */
struct brunt_run_setup {
	const struct brunt_plan *plan;
	struct brunt_shared *shared;
	struct brunt_result_box *result; /* recoverer */
	const char *result_path;	 /* recoverer; NULL: none */
	struct brunt_identity identity;
	uint64_t seed;
	uint64_t capabilities;	 /* what the plan's faults need */
	char run_dir[128];	 /* scratch folder of the run, owned by identity: BRUNT_DIR of services */
	char cgroup_mount[256];	 /* "" without cgroup v2 */
	char run_cgroup[64];	 /* "/brunt.RUN"; "" when none can be made */
	struct brunt_ways *ways; /* what must not be cut by accident; or NULL */
	int controller_pidfd;	 /* recoverer: knows when the controller ended */
};

/*
 * The holder's whole life; called in the fresh child, after brunt_role_enter. socket: the SEQPACKET end to the
 * controller. Returns the exit status (0 clean, 6 residue); never while a fault is held.
 */
int brunt_holder_main(const struct brunt_run_setup *setup, int socket);

/*
 * The recoverer's whole life: forks the holder (holder_socket is the holder's, closed here after the fork), waits for
 * its end and for the controller's, recovers from the ledger when the holder died, writes the result file
 * atomically when it was asked for. socket: to the controller (EOF tells it that this role is gone).
 */
int brunt_recoverer_main(const struct brunt_run_setup *setup, int socket, int holder_socket);

/* ---- the set of held faults: the holder's core, without sockets, for tests too ---- */

struct brunt_held;
struct brunt_ledger;

typedef void (*brunt_report_fn)(void *user, const struct brunt_report *report);

/* context is borrowed and may be updated (services come up); ledger may be NULL in tests. */
int brunt_held_new(const struct brunt_plan *plan, const struct brunt_fault_context *fault_context,
		   struct brunt_resolve_context *resolve_context, struct brunt_ledger *ledger, brunt_report_fn report,
		   void *user, struct brunt_held **ret, struct brunt_error *err);
int brunt_held_prepare(struct brunt_held *held, struct brunt_error *err);
int brunt_held_resolve(struct brunt_held *held, uint32_t target, struct brunt_error *err);
/* expires: of the lease. Order: resolve, blast radius, prepare, ledger, attach, arm. Half-done is undone. */
int brunt_held_apply(struct brunt_held *held, uint32_t step, uint64_t expires, struct brunt_error *err);
int brunt_held_revert(struct brunt_held *held, uint32_t step, struct brunt_error *err);
/* Reverse order of apply: disarm all, verify all, detach all. Goes on after errors; -EBUSY when any stayed. */
int brunt_held_revert_all(struct brunt_held *held, struct brunt_error *err);
void brunt_held_renew(struct brunt_held *held, uint64_t expires);
void brunt_held_poll(struct brunt_held *held);
/*
 * Moves what moves by itself while it is held, as far as it is due: ramps and pulses. Returns when it wants to be called
 * next (CLOCK_BOOTTIME ns), 0: nothing moves. What goes wrong is told as lost and undone. Never after the lease.
 */
uint64_t brunt_held_turn(struct brunt_held *held, uint64_t now);
/* What is reverted from now on is reverted because the run aborts. */
void brunt_held_hurry(struct brunt_held *held);
size_t brunt_held_count(const struct brunt_held *held); /* faults in effect now */
void brunt_held_free(struct brunt_held *held);

/* ---- dry run: resolve now, touch nothing ---- */

struct brunt_preview { /* of one fault step */
	int code;      /* 0; -errno of probe or resolve; -EAGAIN: its target is a service, not running yet */
	char why[256]; /* when code is not 0 */
	struct brunt_victims *victims; /* or NULL */
	char mechanism[128];
	char notes[512];   /* one phrase a line: what else is hurt by it, such as an SLI's own path */
	char missing[128]; /* capabilities that are missing, "" when none */
};
/* Fills previews[i] for every step of kind FAULT (others zeroed); plan->step_count elements. */
int brunt_preview(const struct brunt_plan *plan, uint64_t seed, struct brunt_preview *ret_previews,
		  struct brunt_error *err);
/* 1 << enum brunt_way_kind that the plan allows to be cut. */
unsigned brunt_plan_may_cut(const struct brunt_plan *plan);

/* Finds what the plan's network faults must not cut by accident, before privileges are given up. 0 or -ENOMEM. */
int brunt_plan_ways(const struct brunt_plan *plan, struct brunt_ways **ret, struct brunt_error *err);

void brunt_preview_done(struct brunt_preview *previews, size_t count);

/* Verdict-worthy check before anything is started: capabilities and probes of every fault. -EPERM, -ENOTSUP. */
int brunt_preflight(const struct brunt_plan *plan, struct brunt_error *err);

/* Capabilities (1 << CAP_x) that the plan's faults and services need of the holder. */
uint64_t brunt_plan_capabilities(const struct brunt_plan *plan);
