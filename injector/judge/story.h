/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The story's inside, for those who tell it: verdict, summary, document,
 * lines, live view. Only judge/story.c changes it.
 */
#pragma once

#include "brunt/story.h"
#include "brunt/units.h"

enum story_phase {
	STORY_NONE,
	STORY_PREFLIGHT,
	STORY_SERVICES,
	STORY_START_IF,
	STORY_BEFORE,
	STORY_METHOD,
	STORY_REVERT,
	STORY_FINALLY,
	STORY_AFTER,
	STORY_END,
	_STORY_PHASE_MAX
};
const char *story_phase_name(enum story_phase phase);

/* Strings that are const are borrowed from the run.start event, which the story keeps; NULL: not said. */
struct story_step {
	const char *name, *kind, *fault, *on, *noun, *undo, *since;
	int64_t index, parent; /* parent: index of the parallel that holds it, or -1 */
	uint64_t hold;	       /* ns; 0: none */
	uint64_t hits_min;
	uint64_t pulse_on, pulse_off; /* ns; 0: it is not pulsed */
	bool background;
	bool is_fault, is_event; /* is_event: nothing is held, nothing can be undone */
	/* what happened */
	bool started, ended, applied, reverted, clean, lost, target_gone;
	uint64_t started_at, ended_at, applied_at, reverted_at; /* applied_at: of the newest */
	uint64_t held_for;					/* ns, over all applies */
	uint64_t effect_for;					/* of those, in effect: pulses */
	uint64_t on_at;						/* when the present pulse began; 0: none */
	uint64_t pulses;
	unsigned applies;
	char *outcome, *why; /* of step.end */
	char *mechanism, *reason, *revert_why, *near_miss, *breakdown, *lost_why;
	json_t *victims; /* of fault.applied, or NULL */
	uint64_t seen, matched, hit, unwanted;
};

#define STORY_CAUSES_MAX 6

struct story_sli {
	const char *name, *kind;
	enum brunt_dimension dimension;
	bool has_value;
	uint64_t every;
	struct brunt_series *series;
	uint64_t good, bad;
	struct { /* why samples were bad, most of them */
		char *why;
		uint64_t count;
	} causes[STORY_CAUSES_MAX];
};

struct story_judgement {
	bool told;
	enum brunt_truth truth;
	uint64_t at;  /* when it became so */
	double value; /* NAN: none; INFINITY is possible */
	uint64_t count, bad;
};

struct story_condition {
	const char *text;
	int64_t index;
	enum brunt_condition_kind kind;
	const char *sli; /* NULL: about a target */
	enum brunt_of of;
	bool has_of;
	enum brunt_dimension dimension;
	bool has_min, has_max, has_during;
	double min, max, during;
	uint64_t over, after_within;
	/* what happened */
	struct story_judgement now;		     /* the newest */
	struct story_judgement in[_STORY_PHASE_MAX]; /* the newest of a phase, `during` excepted */
	struct story_judgement broke;		     /* the worst while faults were held, by the bound `during` */
	bool breached;				     /* a guardrail */
	struct story_judgement breach;
	char *breach_why;
};

struct story_target {
	const char *name;
	bool resolved;
	uint64_t matched, picked, victims;
	double share;
	json_t *items;
};

struct story_service {
	const char *name;
	int64_t pid;
	bool up, ready, failed; /* failed: ended unexpectedly, and not started again */
	unsigned starts;
	int64_t status;
	char *last_line; /* what it wrote last before it ended, or NULL */
};

struct story_finally {
	char *name, *why;
	int64_t status;
};

struct brunt_story {
	json_t *start; /* the run.start event */
	const char *run, *plan;
	uint64_t started_at, newest; /* CLOCK_BOOTTIME ns */
	int64_t wall;		     /* CLOCK_REALTIME ns at started_at */
	int zone;		     /* seconds east of UTC, as written */
	struct story_step *steps;
	struct story_sli *slis;
	struct story_condition *conditions;
	struct story_target *targets;
	struct story_service *services;
	size_t step_count, sli_count, condition_count, target_count, service_count;

	enum story_phase phase;
	bool entered[_STORY_PHASE_MAX];
	uint64_t entered_at[_STORY_PHASE_MAX];
	uint64_t applied_at, reverted_at; /* first apply; last fault read back as gone. 0: not (yet) */
	unsigned held;			  /* faults in effect now */
	bool reverted_told, reverted_clean;
	uint64_t revert_took, breach_at; /* breach_at: scheduled time of the breaching sample; 0: none */
	json_t *aborts;			 /* events, in order */
	json_t *roles;			 /* unexpected role.end events */
	json_t *notes;			 /* strings, at most STORY_NOTES_MAX */
	uint64_t note_count;
	struct story_finally *finally;
	size_t finally_count;
	int64_t guardrail; /* index into conditions of the first that was breached, or -1 */
	json_t *verdict;   /* the verdict event */
	bool over;	   /* no more events will come */
};

#define STORY_NOTES_MAX 50

/* By name; NULL when there is none. */
struct story_step *story_step_find(const struct brunt_story *story, const char *name);
struct story_sli *story_sli_find(const struct brunt_story *story, const char *name);

enum story_window { STORY_WINDOW_BEFORE, STORY_WINDOW_DURING, STORY_WINDOW_AFTER, _STORY_WINDOW_MAX };
/* From when to when: before the first fault, while faults were held, after the undo. false: it did not come to it. */
bool story_window(const struct brunt_story *story, enum story_window window, uint64_t *ret_from, uint64_t *ret_to);

/* How long until the steady state held again after the last fault was gone; false: it did not, or has none. */
bool story_recovery(const struct brunt_story *story, uint64_t *ret_took, uint64_t *ret_limit);

/* The bound that a condition is judged by, and how far value is inside it (negative: outside; NAN without a value). */
double story_condition_distance(const struct story_condition *condition, double value, bool during);

/* A CLOCK_BOOTTIME time by the run's own wall clock, "10:00:47.312". Returns buf. */
const char *story_clock(const struct brunt_story *story, uint64_t at, char *buf, size_t size);

/* A value for a person; INFINITY: "no answer", NAN: "no data". Returns buf. */
const char *story_value(double value, enum brunt_dimension dimension, char *buf, size_t size);

/* The text of an event's field, or "". Never NULL. */
const char *story_text(const json_t *event, const char *key);
