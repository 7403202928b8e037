/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A survey: which single failure of a system call does a command not bear? The
 * command is recorded first (which calls it makes, how often, what it says and
 * how it ends), then run once for each pair of a call that it makes and an errno
 * that the call's manual page allows, with just that call failing. What became
 * of it is compared with the record.
 *
 *   brunt survey (event loop) --fork--> one process for each run: subreaper, kills all that the command leaves
 *                                         ├─ keeper, guardian     decide about the command's calls
 *                                         └─ the command          in a session of its own
 *
 * plan.c, classify.c, words.c, table.c and document.c are pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "syscall/calls.h"

struct brunt_error;

/* From the least to the worst. */
enum brunt_survey_outcome {
	BRUNT_SURVEY_UNKNOWN,	     /* not run: it was stopped */
	BRUNT_SURVEY_NOT_REACHED,    /* the call was not made this time */
	BRUNT_SURVEY_SURVIVED,	     /* as recorded */
	BRUNT_SURVEY_FAILED_CLEANLY, /* another exit status, and a message */
	BRUNT_SURVEY_FAILED_MUTELY,  /* another exit status, and nobody knows why */
	BRUNT_SURVEY_HUNG,
	BRUNT_SURVEY_CRASHED,
	BRUNT_SURVEY_SILENTLY_WRONG, /* the exit status says that all is well, and the result is another */
	_BRUNT_SURVEY_OUTCOMES
};

#define BRUNT_SURVEY_KEPT	  1048576 /* bytes of an output that are kept; beyond them it is only compared */
#define BRUNT_SURVEY_INCONCLUSIVE 7	  /* exit status, as of `brunt run` and `brunt inject` */

struct brunt_survey_options {
	char *const *argv;	     /* of the command; NULL-terminated */
	struct brunt_call_set calls; /* only these; with has_calls */
	bool has_calls;		     /* else: all but brunt_survey_left_out() */
	const int *errnos;	     /* instead of the manual pages' */
	size_t errno_count;	     /* 0: the manual pages' */
	uint64_t at;		     /* only the at-th call fails; 0: see brunt_survey_plan() */
	unsigned jobs;		     /* runs at once; 0: found out */
	uint64_t timeout;	     /* ns after which a run hangs; 0: 5 s or ten times what was recorded */
	uint64_t period;	     /* ns: the command is stopped after that long; 0: it ends by itself */
	const char *check;	     /* a shell line that is run after each run, or NULL */
	const char *dir;	     /* each run works in a copy of this folder; NULL: in the current one */
	bool loader;		     /* the dynamic loader's calls fail, too */
	unsigned fail_on;	     /* bits: 1 << outcome that make the survey fail */
};

/* One output of a run: all of it by size and hash, its beginning by text. */
struct brunt_survey_text {
	uint64_t size, hash;
	size_t kept;
	const char *text; /* kept bytes */
};

/* What became of one run. */
struct brunt_survey_end {
	bool by_us;	   /* it was still there when its time was over (options.period), and got SIGTERM */
	bool timed_out;	   /* killed */
	int status;	   /* as waitpid(2) has it */
	int check;	   /* the same of the check */
	uint64_t duration; /* ns */
	uint64_t matched, hit;
	struct brunt_survey_text out, err, checked;
};

struct brunt_survey_record {
	struct brunt_survey_end end;
	bool out_steady, err_steady, check_steady; /* the same both times: worth comparing */
	bool out_alike, err_alike;		   /* the same lines, but for numbers in them */
	bool tried_together, together;		   /* two at once behaved like one alone */
	uint64_t counts[BRUNT_CALLS_MAX]; /* calls that could fail: not the loader's, not those to descriptor 2 */
	uint64_t others[BRUNT_CALLS_MAX]; /* those that could not */
};

/* One call that fails in one way. */
struct brunt_survey_pair {
	unsigned call;
	int code;
	uint64_t first, last; /* last 0: no end */

	enum brunt_survey_outcome outcome;
	bool unsteady; /* a second run ended otherwise: the worse one is told */
	bool said;     /* there was a message all the same (of silently wrong) */
	bool again;    /* is to be run a second time */
	int status;    /* as waitpid(2) has it */
	int signal;    /* of a crash */
	bool by_us;
	uint64_t duration, hit;
	char message[160]; /* the first new line that it said, cleaned; "" for none */
};

struct brunt_survey_result {
	struct brunt_survey_record record;
	struct brunt_survey_pair *pairs; /* owned */
	size_t count;
	size_t done; /* runs of pairs */

	unsigned jobs;
	uint64_t timeout;		  /* that was in force, ns */
	uint64_t duration, pair_duration; /* ns: of all, of the runs of pairs */
	bool stopped;
};

struct brunt_survey_progress {
	bool recording;
	unsigned round; /* of recording */
	size_t done, total;
	size_t bad;			       /* so far, of options.fail_on */
	uint64_t elapsed;		       /* ns */
	uint64_t left;			       /* ns; 0: not known yet */
	const struct brunt_survey_pair *found; /* one that is bad and was just found, or NULL */
};

/*
 * Runs the whole. stop: a descriptor that becomes readable when it is to end early, or -1. progress is called at least
 * every half second. *ret is the caller's for brunt_survey_done(), also when this fails. 0; -ENOTSUP when this host
 * can't, -ENOENT or -EACCES: no such command, -EINVAL: the command does not end, or not twice in the same way, -errno.
 */
int brunt_survey(const struct brunt_survey_options *options, int stop,
		 void (*progress)(void *user, const struct brunt_survey_progress *progress), void *user,
		 struct brunt_survey_result *ret, struct brunt_error *err);

void brunt_survey_done(struct brunt_survey_result *result);

/* ---- pure ---- */

/* Why a call is left out unless it is asked for by name, or NULL. */
const char *brunt_survey_left_out(const struct brunt_call *call);

/* Is what fails once and is tried again no failure? (EINTR, EAGAIN) */
bool brunt_survey_is_once(int code);

/* May only calls fail whose first argument, a descriptor, is not 2? Else a program could not say what is wrong. */
bool brunt_survey_spares_stderr(const struct brunt_call *call);

/*
 * The pairs for what was recorded, in the table's order. errnos that are to be tried again fail the first call alone,
 * others all of them; with options.at that one alone. *ret is the caller's to free. 0 or -ENOMEM.
 */
int brunt_survey_plan(const struct brunt_survey_options *options, const struct brunt_survey_record *record,
		      struct brunt_survey_pair **ret, size_t *ret_count);

/* What became of pair in a run that ended so: fills outcome and what stands below it. */
void brunt_survey_classify(const struct brunt_survey_record *record, const struct brunt_survey_end *end,
			   struct brunt_survey_pair *pair);

/* Takes a second run of the same pair into account. */
void brunt_survey_confirm(struct brunt_survey_pair *pair, const struct brunt_survey_pair *second);

/* Do two runs end in the same way, all outputs apart? */
bool brunt_survey_same_end(const struct brunt_survey_end *a, const struct brunt_survey_end *b);
bool brunt_survey_same_text(const struct brunt_survey_text *a, const struct brunt_survey_text *b);

/* Have both the same lines, in any order and number, when numbers in them are not looked at? */
bool brunt_survey_alike_text(const struct brunt_survey_text *a, const struct brunt_survey_text *b);

size_t brunt_survey_count(const struct brunt_survey_result *result, enum brunt_survey_outcome outcome);

/* "survived", "silently wrong", ... and as a word for options and JSON: "silently-wrong". */
const char *brunt_survey_outcome_name(enum brunt_survey_outcome outcome);
const char *brunt_survey_outcome_word(enum brunt_survey_outcome outcome);

/* The exit status that it deserves: 0, 1, BRUNT_SURVEY_INCONCLUSIVE (no call failed), 130. */
int brunt_survey_status(const struct brunt_survey_options *options, const struct brunt_survey_result *result);

/* How a run ended, for a person: "exit 1", "SIGSEGV", "SIGSEGV in a child (exit 139)". Returns buf. */
const char *brunt_survey_end_text(const struct brunt_survey_pair *pair, char *buf, size_t size);

/* The command, quoted for a shell. Returns buf, cut with "..." when it is too small. */
const char *brunt_survey_command(char *const *argv, char *buf, size_t size);

/* The line that does it again: "brunt inject syscall.fail calls=read errno=EIO -- cat x". Returns buf. */
const char *brunt_survey_repeat(const struct brunt_survey_options *options, const struct brunt_survey_pair *pair,
				char *buf, size_t size);

/* The result for a person, in 80 columns. */
void brunt_survey_print(const struct brunt_survey_options *options, const struct brunt_survey_result *result,
			bool colour, FILE *out);

/* The result for a program; NULL when memory is short. */
json_t *brunt_survey_document(const struct brunt_survey_options *options, const struct brunt_survey_result *result);
