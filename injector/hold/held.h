/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the set of held faults, shared by the held*.c files and by the
 * holder. A slot is a fault step of the plan. Whatever undoing needs is there
 * before the host is touched: the way back allocates nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brunt/hold.h"
#include "brunt/plan.h"

/* What makes an item the same one again: a process by pid and start, the rest by kind and name. */
struct held_identity {
	enum brunt_target_kind kind;
	pid_t pid;
	uint64_t start;
	char name[128];
	bool by_event; /* by a fault that cannot be undone: that it is gone afterwards is no loss */
};

struct held_target {
	const struct brunt_target *target;
	struct brunt_victims *victims; /* `start`: resolved once, shared by all its steps */
	uint64_t round;
	unsigned wants; /* of all faults on it */
	bool used;	/* by a fault */
	bool of_service;
};

struct held_slot {
	const struct brunt_step *step; /* NULL: not a fault */
	const struct brunt_injector *injector;
	struct held_target *target; /* or NULL */
	void *state;
	bool loaded;
	struct brunt_victims *victims;	   /* what prepare was given; valid until after detach */
	struct brunt_victims *own_victims; /* of `each` and `follow`: freed by this slot */
	struct brunt_victims *next;	   /* staged, not yet in effect */
	bool staged;
	bool leaving;	    /* detached, not settled yet */
	bool touched;	    /* attach was begun: something may have to be undone */
	bool armed;	    /* in effect */
	bool off;	    /* between two pulses: attached, not in effect */
	bool happened;	    /* an instant one: at least once */
	bool recorded;	    /* an instant one: its intent is in the ledger already */
	bool was_held;	    /* at least once: its last counters stay known */
	bool lost;	    /* told */
	uint64_t began;	    /* first armed since it was staged; 0: not yet */
	uint64_t ramps_end; /* ns after began, when its ramps stand still; 0: none moves */
	uint64_t changed;   /* when its ramps were put in force last */
	bool still;	    /* they have arrived */
	uint64_t at;	    /* armed, or read back as gone */
	int code;	    /* of the undo going on */
	pid_t child;	    /* recorded in the ledger, or 0 */
	struct brunt_error why;
	struct brunt_undo_record undo;
	struct brunt_hits hits;
};

struct brunt_held {
	const struct brunt_plan *plan;
	const struct brunt_fault_context *fault_context;
	struct brunt_resolve_context *resolve_context;
	struct brunt_ledger *ledger;
	brunt_report_fn report;
	void *user;
	uint64_t sequence; /* of the verb that is being answered; 0: none */
	uint64_t expires;
	bool closed;  /* no apply any more */
	bool hurried; /* the run aborts, and is not to wait for anything */
	void (*on_gone)(
		void *user); /* or NULL: revert_all has read back that nothing is in effect; detaching is next */
	void (*on_wait)(void *user); /* or NULL: between two looks of held_settle(); may call brunt_held_hurry() */
	struct held_slot *slots;     /* by step */
	struct held_target *targets; /* by target */
	uint32_t *stack;	     /* steps that were touched, in order of apply */
	size_t stack_count;
	struct held_identity *hurt;
	size_t hurt_count, hurt_room;
};

/* The two halves of brunt_held_apply(): the first may take its time, with nothing touched; the second begins the fault.
 */
int held_stage(struct brunt_held *held, uint32_t step, struct brunt_error *err);
int held_commit(struct brunt_held *held, uint32_t step, uint64_t expires, struct brunt_error *err);
/* The answer to an apply. */
void held_report_applied(struct brunt_held *held, uint32_t step, int code, const struct brunt_error *err);

/*
 * Moves a fault that is held to who is its target now; nothing happens when that is who it was. -ESRCH when there is
 * nobody (yet); after other errors it may be in effect nowhere.
 */
int held_move(struct brunt_held *held, struct held_slot *slot, struct brunt_error *err);

/* Who recovers must know the child, wherever it was made: in attach or in arm. 0, or -errno of the ledger. */
int held_record_child(struct brunt_held *held, struct held_slot *slot);

/* ---- held_turn.c ---- */

/* A slot that is staged begins anew. */
void held_reset_changes(struct held_slot *slot);
/* Puts ramps in force as they are at this moment; before every arm. */
int held_put_ramps(struct held_slot *slot, uint64_t now, struct brunt_error *err);

/* ---- held_target.c ---- */

/* Finds the victims of a slot: *ret is the target's own for `start`, else new and the caller's. Reports them. */
int held_find(struct brunt_held *held, struct held_slot *slot, struct brunt_victims **ret, struct brunt_error *err);
/* Would hitting these stay in the blast radius? -EDQUOT. Makes room for held_count_victims. */
int held_check_radius(struct brunt_held *held, const struct brunt_victims *victims, const char *name,
		      struct brunt_error *err);
/* Would that step cut a way that must not be cut? -EDQUOT. victims and names (nothing is known of names) may be NULL. */
int held_check_ways(struct brunt_held *held, const struct held_slot *slot, const struct brunt_victims *victims,
		    const struct brunt_names *names, struct brunt_error *err);
/* And with what its host names stand for now, on its victims of now? 0 where it has no names. */
int held_check_names(struct brunt_held *held, const struct held_slot *slot, struct brunt_error *err);
/* Counts them as hit. Room was made by held_check_radius. */
void held_count_victims(struct brunt_held *held, const struct brunt_victims *victims, bool by_event);
/* Was one of them hit by a fault that cannot be undone? */
bool held_hit_by_event(const struct brunt_held *held, const struct brunt_victims *victims);
/* Takes the claims of the picked. -EEXIST. */
int held_claim(struct brunt_held *held, const struct brunt_victims *victims, struct brunt_error *err);
/* Are those the same picked items, and those of one all still alive? */
bool held_same(const struct brunt_victims *one, const struct brunt_victims *other);
/* For the cleanup attribute. */
void held_free_victims(struct brunt_victims **victims);

/* ---- held_revert.c ---- */

/* Undoes one slot that was touched: disarm, verify, detach, read back. 0 or -EBUSY. */
int held_undo(struct brunt_held *held, struct held_slot *slot, struct brunt_error *err);
/* The same without a report that it is over: it goes on elsewhere. */
int held_undo_quietly(struct brunt_held *held, struct held_slot *slot);
/* Disarms and reads back, and leaves it attached. 0 or -EBUSY; slot->at, slot->why. */
int held_let_go(struct held_slot *slot);
void held_report_hits(struct brunt_held *held, struct held_slot *slot);
/* Waits until what was detached is gone, at most until CLOCK_BOOTTIME until. 0 or -EBUSY; told as residue. */
int held_settle(struct brunt_held *held, uint64_t until);
/* Says, once, that it is not held any more although nobody undid it. */
void held_tell_lost(struct brunt_held *held, struct held_slot *slot, int code, const char *why);
/* The same, of one whose link is still there: the run aborts, and what is in effect of it, if anything, ends here. */
void held_lose(struct brunt_held *held, struct held_slot *slot, int code, const struct brunt_error *err);
/* As of the last poll: did it lapse while the holder's lease runs? Then that was told. */
bool held_tell_lapsed(struct brunt_held *held, struct held_slot *slot);
/* Sends a report with the sequence of the verb that is being answered. */
void held_report(struct brunt_held *held, struct brunt_report *report);
