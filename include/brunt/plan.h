/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The experiment, as structs. Made once by brunt_plan_load, never changed
 * after; every role inherits its copy by fork, so that the roles speak of
 * indexes and never hand each other data.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "brunt/fault.h"
#include "brunt/json.h"
#include "brunt/param.h"
#include "brunt/target.h"

#define BRUNT_PLAN_SCHEMA 1

struct brunt_arena;

/* A program and its arguments; a single string is run by /bin/sh -c. */
struct brunt_command {
	struct brunt_list run; /* of const char *; one element: a shell line */
};

struct brunt_ready {	  /* exactly one of the first four */
	const char *tcp;  /* "127.0.0.1:8080" */
	const char *http; /* URL, any 2xx or 3xx */
	const char *file; /* exists */
	const char *line; /* a regular expression over its output */
	uint64_t within;  /* ns; default 10 s */
};

struct brunt_service {
	const char *name;
	struct brunt_place place;
	struct brunt_list prepare; /* of const char *: shell lines run once, in order, before the first start */
	struct brunt_list run;	   /* of const char *: argv, or one shell line */
	struct brunt_list env;	   /* of struct brunt_pair */
	const char *cwd;	   /* NULL: the plan's folder */
	const char *user;	   /* NULL: who called sudo, else nobody when root, else oneself */
	struct brunt_ready *ready; /* NULL: ready when started */
	struct brunt_list after;   /* of const char *: names of services that must be ready before */
	uint64_t restart;	   /* ns to wait before starting it again; */
	bool has_restart;	   /* false: not restarted */
	bool may_exit;		   /* its end is no failure of the run */
	bool manual;		   /* not started before the method: only by a `start` step */
	/* linked after parsing */
	uint32_t index;
	uint32_t *after_index; /* after.count of them */
};

enum brunt_sli_kind { BRUNT_SLI_HTTP, BRUNT_SLI_TCP, BRUNT_SLI_COMMAND, BRUNT_SLI_LINES, BRUNT_SLI_PROCESS };
enum brunt_no_data { BRUNT_NO_DATA_BREACH, BRUNT_NO_DATA_HOLD, BRUNT_NO_DATA_OK, BRUNT_NO_DATA_ZERO };

struct brunt_http_sli {
	const char *url;
	const char *method;	   /* "GET" */
	struct brunt_list headers; /* of struct brunt_pair */
	const char *body;	   /* NULL: none */
	struct brunt_list status;  /* of const char *: "200", "2xx", "200-204"; empty: 2xx and 3xx */
	const char *match;	   /* regular expression that the body must match; NULL: any */
	const char *value;	   /* JSON Pointer to a number in the body; NULL: the value is the latency */
	bool keep_alive;	   /* reuse connections (hides a failover) */
	bool insecure;		   /* do not verify TLS */
	bool follow;		   /* follow redirects */
	const char *unix_socket;   /* NULL: TCP */
};

struct brunt_tcp_sli {
	const char *connect; /* "host:port", "[::1]:80" */
};

struct brunt_command_sli {
	struct brunt_list run; /* of const char * */
	const char *user;
	bool number; /* stdout is a number: the value; else exit status alone is judged */
};

struct brunt_lines_sli {
	const char *of;	  /* a service's name */
	const char *good; /* regular expressions; a line that matches neither is no sample */
	const char *bad;
	const char *value; /* with one group: the number */
	const char *unit;  /* the same as the SLI's; read brunt_sli.unit */
	uint32_t service;  /* linked */
};

struct brunt_process_sli {
	const char *target;		     /* name of a target; value: how many are alive; good: at least min */
	uint64_t min;			     /* default 1 */
	const struct brunt_target *resolved; /* linked */
};

struct brunt_sli {
	const char *name;
	struct brunt_place place;
	struct brunt_http_sli *http; /* exactly one of these five */
	struct brunt_tcp_sli *tcp;
	struct brunt_command_sli *command;
	struct brunt_lines_sli *lines;
	struct brunt_process_sli *process;
	uint64_t every;	  /* ns between samples; default 1 s; lines: the period for no_data */
	uint64_t timeout; /* ns; default 1 s: a sample still pending then is bad, at its scheduled time */
	const char *unit; /* of value: "ms", "%", "MiB"; NULL: none (or ns where value is the latency) */
	int no_data;	  /* enum brunt_no_data */
	/* linked */
	uint32_t index;
	enum brunt_sli_kind kind;
	enum brunt_dimension dimension; /* of its values */
	double factor;			/* value as read * factor = base unit */
};

/* What is judged of an SLI's samples in a window. */
enum brunt_of {
	BRUNT_OF_LAST,	  /* the newest value (default when the SLI has values) */
	BRUNT_OF_SUCCESS, /* good / (good + bad) (default when it has none) */
	BRUNT_OF_MEAN,
	BRUNT_OF_MIN,
	BRUNT_OF_MAX,
	BRUNT_OF_P50,
	BRUNT_OF_P90,
	BRUNT_OF_P95,
	BRUNT_OF_P99,
	BRUNT_OF_P999,
	BRUNT_OF_COUNT, /* samples in the window */
	_BRUNT_OF_MAX
};
extern const struct brunt_value brunt_of_values[]; /* the words, for tables */

enum brunt_condition_kind {
	BRUNT_CONDITION_START_IF,
	BRUNT_CONDITION_STEADY,
	BRUNT_CONDITION_GUARDRAIL,
	BRUNT_CONDITION_WAIT,
	BRUNT_CONDITION_EXPECT,
};

/* A bound on an SLI (or on how many of a target are alive). */
struct brunt_condition {
	struct brunt_place place;
	const char *sli; /* one of sli, target */
	const char *target;
	bool has_of;
	int of;	       /* enum brunt_of */
	uint64_t over; /* ns of the window; 0: the newest sample alone */
	bool has_min, has_max;
	struct brunt_quantity min, max;
	bool has_alive;
	uint64_t alive;	  /* target: at least that many */
	uint64_t lasting; /* ns that the bound must be broken (guardrail) or hold (wait, expect); key "for" */
	/* steady state only */
	bool has_during;
	struct brunt_quantity during; /* replaces min (or max) while faults are held */
	uint64_t after_within;	      /* ns: the recovery time objective; default 30 s */
	/* linked */
	uint32_t index; /* among all conditions of the plan: plan->conditions */
	enum brunt_condition_kind kind;
	const struct brunt_sli *resolved_sli;	    /* or NULL */
	const struct brunt_target *resolved_target; /* or NULL */
	const char *text;			    /* for a person: "site success over 2 s >= 80 %" */
};

enum brunt_step_kind {
	BRUNT_STEP_FAULT,
	BRUNT_STEP_OBSERVE,
	BRUNT_STEP_WAIT,
	BRUNT_STEP_EXPECT,
	BRUNT_STEP_RUN,
	BRUNT_STEP_START,
	BRUNT_STEP_STOP,
	BRUNT_STEP_APPROVE,
	BRUNT_STEP_PARALLEL,
	BRUNT_STEP_REVERT,
};
const char *brunt_step_kind_name(enum brunt_step_kind kind);

enum brunt_on_miss { BRUNT_ON_MISS_STOP, BRUNT_ON_MISS_CONTINUE };
enum brunt_unattended { BRUNT_UNATTENDED_REFUSE, BRUNT_UNATTENDED_SKIP };

/* Held faults: in effect for on, then not for off, and so on; first on. */
struct brunt_pulse {
	uint64_t on, off; /* ns */
};

/* Whether a fault with this pulse (NULL: always) is to be in effect elapsed_ns after it was first armed. */
bool brunt_pulse_is_on(const struct brunt_pulse *pulse, uint64_t elapsed_ns);
/* When that changes next: more than elapsed_ns; UINT64_MAX: never. */
uint64_t brunt_pulse_next(const struct brunt_pulse *pulse, uint64_t elapsed_ns);

enum brunt_on_abort { BRUNT_ON_ABORT_NOW, BRUNT_ON_ABORT_DRAIN };

struct brunt_hits_bound {
	uint64_t min; /* default 1 */
};

struct brunt_step {
	const char *name; /* given, or "step-3"; unique */
	struct brunt_place place;
	bool background;
	/* exactly one of these keys says what kind it is */
	const char *fault_name; /* key "fault" */
	uint64_t observe;
	struct brunt_condition *wait;
	struct brunt_condition *expect;
	struct brunt_list run; /* argv, or one shell line */
	const char *start, *stop;
	const char *approve;	    /* the question */
	struct brunt_list parallel; /* of struct brunt_step * after linking */
	const char *revert;	    /* name of a background fault step */
	/* keys that go with some kinds */
	const char *on; /* target of a fault */
	bool has_hold;
	uint64_t hold;
	struct brunt_hits_bound *hits;
	struct brunt_pulse *pulse; /* held faults; NULL: none */
	uint64_t every, times;	   /* instant faults: again every so often, so many times in all (default 1) */
	uint64_t within;	   /* wait, expect: give up after; default 30 s */
	const char *since; /* expect: the step whose end (faults: whose apply) is the cause; default: the step before */
	int on_miss;
	uint64_t timeout; /* run; default 1 min */
	const char *user; /* run */
	int unattended;	  /* approve */
	/* linked */
	uint32_t index; /* in plan->steps */
	enum brunt_step_kind kind;
	struct brunt_step *parent;			   /* the parallel that holds it, or NULL */
	struct brunt_fault fault;			   /* BRUNT_STEP_FAULT */
	const struct brunt_target *target;		   /* or NULL */
	uint64_t hits_min;				   /* 1 unless given */
	uint32_t service;				   /* start, stop */
	const struct brunt_step *since_step, *revert_step; /* or NULL */
};

struct brunt_blast_radius {
	uint64_t victims;	   /* items, cumulative over the run; default 1 */
	double share;		   /* of the items that matched, per step; default 1 (no limit) */
	uint64_t duration;	   /* ns from the first fault to the end of the method; default 5 min */
	struct brunt_list may_cut; /* of int: enum brunt_way_kind that a fault may cut off */
};

struct brunt_finally {
	struct brunt_place place;
	const char *name;
	struct brunt_list run;
	uint64_t timeout; /* default 1 min */
	const char *user;
};

struct brunt_plan {
	struct brunt_arena *arena;
	const char *path; /* as given, cleaned: to be shown, not to be opened */
	const char *dir;  /* absolute folder of the plan */
	uint64_t schema;
	const char *name, *description;
	struct brunt_list labels; /* of struct brunt_pair */
	uint64_t seed;
	bool has_seed;					      /* false: drawn at load */
	uint64_t lease;					      /* ns; default 500 ms */
	int on_abort;					      /* enum brunt_on_abort */
	struct brunt_list services;			      /* of struct brunt_service */
	struct brunt_list targets;			      /* of struct brunt_target */
	struct brunt_list slis;				      /* of struct brunt_sli */
	struct brunt_list start_if, steady_state, guardrails; /* of struct brunt_condition */
	struct brunt_blast_radius blast_radius;
	struct brunt_list method;  /* of struct brunt_step: the top level, in order */
	struct brunt_list finally; /* of struct brunt_finally */
	/* linked */
	struct brunt_step **steps; /* every step, parallel's children included, by index */
	uint32_t step_count;
	struct brunt_condition **conditions; /* every condition, by index */
	uint32_t condition_count;
	const char *const *service_names; /* NULL-terminated, by index */
	const char **secrets;		  /* values that must never be seen, NULL-terminated */
	/* documents stay alive for places */
	struct brunt_doc **docs;
	size_t doc_count;
};

/* --var name=value and --var-file name=path, in order. */
struct brunt_plan_options {
	const char *const *vars;      /* "name=value", NULL-terminated; or NULL */
	const char *const *var_files; /* "name=path" */
};

/*
 * Reads, checks and links a plan with its includes and variables: pure but for reading files; nothing stays open.
 * Everything wrong is in diags (errors and warnings). 0; -EINVAL when there is any error; -ENOMEM.
 * options may be NULL.
 */
int brunt_plan_load(const char *path, const struct brunt_plan_options *options, struct brunt_diags *diags,
		    struct brunt_plan **ret);

/* NULL is allowed. */
void brunt_plan_free(struct brunt_plan *plan);

/* Replaces every secret in text by "***", in place (text never grows). */
void brunt_plan_redact(const struct brunt_plan *plan, char *text);
/* The same for a text whose rest was cut off: the beginning of a secret at its end goes, too. */
void brunt_plan_redact_cut(const struct brunt_plan *plan, char *text);

/* The JSON Schema of an experiment file; new reference. */
json_t *brunt_plan_schema(void);

/* Writes docs/reference.md: every key of the experiment file and of every fault, from the tables. */
int brunt_plan_reference(FILE *out);

/* What `brunt check` says of each bound: how many bad samples it tolerates, how long it takes to react. */
void brunt_plan_explain(const struct brunt_plan *plan, FILE *out);
