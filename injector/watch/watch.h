/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of watch/ share.
 *
 * A source samples one SLI. watch.c keeps the schedule and the deadlines and
 * knows nothing of HTTP; a kind of source begins a request, and says when it
 * is over. A kind never emits after it was told to cancel.
 */
#pragma once

#include <regex.h>
#include <stdbool.h>
#include <stdint.h>

#include "brunt/plan.h"
#include "brunt/watch.h"
#include "watch/transfer.h"

#define BRUNT_WHY_SIZE 160

struct brunt_source;

/* A sample that is under way. */
struct brunt_request {
	struct brunt_request *next, *previous; /* in its source, oldest first */
	struct brunt_source *source;
	uint64_t at; /* scheduled */
	uint64_t started;
	struct brunt_transfer transfer; /* http, tcp */
	uint64_t sequence;		/* command */
};

/* How one SLI kind is sampled. Each function may be NULL. */
struct brunt_source_kind {
	unsigned pending_max; /* requests under way; when one more is due, the oldest is given up */
	/* 0 or negative errno; clean is called after a failure too */
	int (*setup)(struct brunt_source *source, struct brunt_error *err);
	void (*clean)(struct brunt_source *source);
	/* Begins a request. 0, or negative errno with a reason: the sample is bad at once. */
	int (*begin)(struct brunt_request *request, struct brunt_error *err);
	void (*cancel)(struct brunt_request *request);
	/* Samples on the spot; instead of begin and cancel. */
	void (*sample)(struct brunt_source *source, uint64_t at);
};

struct brunt_source {
	struct brunt_watch *watch;
	const struct brunt_sli *sli;
	const struct brunt_source_kind *kind;
	sd_event_source *timer;
	uint64_t next; /* the next tick, ns */
	struct brunt_request *oldest, *newest;
	unsigned pending;
	bool latency; /* its value is how long the answer took: a failure counts as infinite */
	/* http, tcp: ready-made handles that are not in use */
	CURL *idle[8];
	unsigned idle_count;
	struct curl_slist *headers;
	char *url;
	struct brunt_range *status;
	/* compiled patterns: of a body, or of lines */
	regex_t good, bad, value;
	bool has_good, has_bad, has_value;
	/* process: not looked again before */
	uint64_t rest_until;
};

struct brunt_readiness;

struct brunt_watch {
	sd_event *loop;
	const struct brunt_plan *plan;
	const struct brunt_resolve_context *context;
	struct brunt_watch_ops ops;
	void *user;
	bool running;
	const struct brunt_curl *curl; /* NULL: nothing needs it */
	struct brunt_transfers *transfers;
	struct brunt_source *sources;
	size_t source_count;
	struct brunt_readiness *readiness; /* list of those that are awaited */
};

/* What became of a sample. */
struct brunt_outcome {
	bool judged, good, has_value;
	double value; /* base unit */
	const char *why;
};

/* Tells the owner of the watch; the watch may be stopped (not freed) afterwards. */
void brunt_source_emit(struct brunt_source *source, uint64_t at, const struct brunt_outcome *outcome);
/* A bad sample; of infinite latency where the value is one. */
void brunt_source_fail(struct brunt_source *source, uint64_t at, const char *why);
/* The request is over: frees it, then emits. */
void brunt_request_finish(struct brunt_request *request, const struct brunt_outcome *outcome);
void brunt_request_fail(struct brunt_request *request, const char *why);

extern const struct brunt_source_kind brunt_source_http, brunt_source_tcp, brunt_source_command, brunt_source_lines,
	brunt_source_process;

/* A line of a service, for a `lines` source of that service. */
void brunt_lines_take(struct brunt_source *source, const char *line, uint64_t at);
/* A command of the source has ended; false when it is not one of its. */
bool brunt_command_take(struct brunt_source *source, uint64_t sequence, int status, const char *output);

/* A handle with what every probe of ours has in common: no signals, no proxy, http only. NULL: out of memory. */
CURL *brunt_http_handle(const struct brunt_curl *curl, const char *url, bool keep_alive);

/* Readiness: a line of a service; giving up on all of them without a word. */
void brunt_ready_line(struct brunt_watch *watch, uint32_t service, const char *line);
void brunt_ready_drop_all(struct brunt_watch *watch);

/* Exactly one decimal number ("-1.5e3"), blanks around it allowed; the locale does not matter. 0 or -EINVAL. */
int brunt_number_parse(const char *text, double *ret);
/* Compiles an extended regular expression that the plan has checked; -EINVAL, -ENOMEM. */
int brunt_regex_compile(regex_t *regex, const char *pattern, struct brunt_error *err);
