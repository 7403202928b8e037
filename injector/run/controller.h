/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's state. Only this folder sees it.
 *
 * Everything happens in one sd-event loop. What comes in (samples, reports of
 * the holder and the launcher, signals) updates this state and, on a breach,
 * reverts at once. What must happen in order (phases, steps) is plain
 * sequential code that runs the loop until something is true.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "brunt/error.h"
#include "brunt/hold.h"
#include "brunt/judge.h"
#include "brunt/launch.h"
#include "brunt/plan.h"
#include "brunt/sink.h"
#include "brunt/story.h"
#include "brunt/watch.h"
#include "run/run.h"

/* Why the run does not go its normal way. The weightier of two wins; what was first is kept among equals. */
enum stop_cause {
	STOP_NONE,
	STOP_METHOD, /* an expectation, a judged command failed: the rest of the method is left out */
	STOP_SIGNAL,
	STOP_GUARDRAIL,
	STOP_LEASE,
	STOP_ERROR,
	STOP_UNSTEADY, /* before the first apply only */
	STOP_UNABLE,
	STOP_REFUSED,
};

enum step_state { STEP_IDLE, STEP_ASKED, STEP_RUNNING, STEP_ENDING, STEP_ENDED };

struct step_run {
	enum step_state state;
	uint64_t started;
	uint64_t cause;	   /* when it took effect: applied, or ended */
	uint64_t deadline; /* of its present state; 0: none */
	uint64_t sequence; /* of the verb that it waits for */
	uint64_t next;	   /* next repetition of an instant fault, next poll of a target */
	uint64_t times;	   /* applied so often */
	uint64_t hit;	   /* what its counters said last */
	bool applied;	   /* the holder armed it at least once */
	bool held;	   /* in effect now */
	bool failed;	   /* its end stops the method */
	const char *outcome;
	struct brunt_condition_state condition;
};

struct service_run {
	bool up; /* started and not ended */
	bool ready;
	bool failed;
	bool asked;    /* for readiness, since its start */
	bool stopping; /* its end is expected */
	uint64_t started;
	uint64_t line_bytes; /* of output kept so far */
	uint64_t lines_dropped;
	char last_line[160];
	struct output *output;
};

struct command_run { /* a command that the launcher runs for us: step, finally, SLI */
	uint64_t sequence;
	uint32_t verb;
	uint32_t index;
	bool ended;
	int status;
	char text[256]; /* FAILED: why */
	int code;
	struct output *output;
	struct command_run *next;
};

struct controller {
	const struct brunt_plan *plan;
	const struct brunt_run_options *options;
	const struct brunt_run_setup *setup;
	struct brunt_shared *shared;
	sd_event *loop;
	int holder, launcher, recoverer, keys; /* sockets and pipe; -1 when not there (any more) */
	pid_t launcher_pid;
	const char *journal_path;
	struct brunt_sink *journal, *screen;
	struct brunt_story *story;
	struct brunt_watch *watch;
	struct brunt_resolve_context resolve;

	struct brunt_series **series;		  /* by SLI */
	struct brunt_condition_state *conditions; /* by condition */
	struct brunt_condition_state *during;	  /* by condition: steady state while faults are held */
	uint64_t *alive;			  /* by condition: newest count of its target */
	bool *alive_known;
	struct step_run *steps;	      /* by step */
	struct service_run *services; /* by service */
	struct command_run *commands;
	json_t **items; /* by target: items told, until RESOLVED */

	uint64_t sequence;
	const char *phase;
	uint64_t watch_started;
	uint64_t first_applied; /* 0: nothing was injected */
	uint64_t reverted;	/* when the last fault was read back as gone; 0: not yet */
	uint64_t revert_asked;
	uint64_t breach_sample; /* scheduled time of the sample that broke a guardrail */
	unsigned held;		/* faults in effect */
	uint64_t renewed;

	bool revert_aborts; /* what was asked for is an abort */
	bool prepared, revert_sent, reverted_all, holder_ended, launcher_ended;
	bool guarding; /* guardrails are watched */
	bool method_begun;
	bool residue;
	bool journal_lost;
	int prepared_code;
	char prepared_text[256];

	enum stop_cause stop;
	int signal;
	unsigned signals;
	char why[256];
	char answer; /* key pressed: y, n, q */
};

/* ---- events.c: telling ---- */

/* Emits an event; format and the rest as json_pack for an object of its fields ("{s:s}"). at 0: now. */
void controller_emit(struct controller *ctl, const char *name, uint64_t at, const char *format, ...);
/* Takes fields (a new object, or NULL). */
void controller_emit_fields(struct controller *ctl, const char *name, uint64_t at, json_t *fields);
/* Covers every secret in the strings of a document. */
void controller_redact(const struct controller *ctl, json_t *value);
void controller_emit_start(struct controller *ctl);
void controller_phase(struct controller *ctl, const char *phase);
void controller_note(struct controller *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- holding.c: the holder ---- */

int controller_holding_start(struct controller *ctl, struct brunt_error *err);
/* Sends a verb; returns its sequence, 0 when the holder is gone. */
uint64_t controller_verb(struct controller *ctl, enum brunt_verb_kind kind, uint32_t index);
/* Asks once for everything to be reverted, and once more when that becomes an abort. */
void controller_revert_all(struct controller *ctl, bool abort);

/* ---- services.c: the launcher ---- */

int controller_launching_start(struct controller *ctl, struct brunt_error *err);
int controller_launch(struct controller *ctl, enum brunt_launch_verb_kind kind, uint32_t index,
		      struct command_run **ret);
void controller_launch_cancel(struct controller *ctl, struct command_run *command);
void controller_command_free(struct controller *ctl, struct command_run *command);
/* Begins to start a service; whether it is ready says controller_service_look. */
int controller_service_begin(struct controller *ctl, uint32_t index, struct brunt_error *err);
/* 0: it is ready (which is told: ask no more); -EAGAIN: not yet; else it will not be, and err says why. */
int controller_service_look(struct controller *ctl, uint32_t index, struct brunt_error *err);
/* Both, and waits in between; -EAGAIN: the run was stopped meanwhile, for a reason of its own. */
int controller_service_start(struct controller *ctl, uint32_t index, struct brunt_error *err);
/* What a command wrote so far (cut), terminated; never NULL. */
const char *controller_command_output(const struct command_run *command);
bool controller_command_output_cut(const struct command_run *command);
void controller_services_free(struct controller *ctl);

/* ---- watching.c: samples, conditions, guardrails ---- */

int controller_watching_start(struct controller *ctl, struct brunt_error *err);
/* Judges a condition now and tells when its truth changed. */
enum brunt_truth controller_judge(struct controller *ctl, const struct brunt_condition *condition, uint64_t not_before,
				  struct brunt_condition_state *state);
/* Judges the steady state while faults are held. */
void controller_judge_during(struct controller *ctl, uint64_t now);

/* ---- steps.c ---- */

/* Runs the method to its end or until ctl->stop. */
void controller_method(struct controller *ctl);
/* Every step that has not ended gets an end: after the revert. */
void controller_steps_close(struct controller *ctl);
void controller_step_applied(struct controller *ctl, uint32_t step, const struct brunt_report *report);
/* The holder died: the kernel has taken back what it held; the recoverer has looked. */
void controller_steps_lost(struct controller *ctl, bool clean);
void controller_step_reverted(struct controller *ctl, uint32_t step, const struct brunt_report *report);

/* ---- controller.c ---- */

/* Stops the run for a reason, unless a weightier one is known; reverts at once. */
void controller_stop(struct controller *ctl, enum stop_cause cause, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What a failure of prepare or apply means, by its errno: refused, unable or error; after the first apply, error. */
enum stop_cause controller_cause(const struct controller *ctl, int code);
/* One turn of the loop: until something happens, or CLOCK_BOOTTIME reaches until (0: any event). */
void controller_turn(struct controller *ctl, uint64_t until);
/* Makes all that the phases need: memory, loop, sources. */
int controller_set_up(struct controller *ctl, struct brunt_error *err);
void controller_release(struct controller *ctl);

/* ---- phases.c ---- */

/* The whole life after the fork; returns the exit status. */
int controller_main(struct controller *ctl);
