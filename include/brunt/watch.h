/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling. Every SLI is sampled on a steady schedule (k * every from the
 * start) that a slow answer cannot delay; a sample that is still pending at
 * its timeout is bad, at its scheduled time. Every sample is kept by whoever
 * receives it: this module only takes them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

struct brunt_error;
struct brunt_plan;
struct brunt_resolve_context;

struct brunt_sample {
	uint32_t sli;  /* index in the plan */
	uint64_t at;   /* scheduled; lines: when the line came; CLOCK_BOOTTIME ns */
	uint64_t done; /* completed, or given up */
	bool judged;   /* has a good/bad flag */
	bool good;
	bool has_value;
	double value;	 /* base unit of the SLI's dimension; INFINITY: failed, where the value is a latency */
	const char *why; /* of a bad one, for the journal: "connection refused", "status 503"; may be NULL; borrowed */
};

struct brunt_watch_ops {
	void (*sample)(void *user, const struct brunt_sample *sample);
	/* Start the command of an SLI; the watch is told by brunt_watch_command. sequence is the caller's to choose. */
	int (*run_command)(void *user, uint32_t sli, uint64_t *ret_sequence, struct brunt_error *err);
	void (*cancel_command)(void *user, uint64_t sequence);
};

struct brunt_watch;

/*
 * Callbacks may call everything here but brunt_watch_free. No thread of our own (libcurl may make one to resolve a host
 * name); nothing blocks, but for `process` SLIs, which read /proc on the spot and rest for three times as long as that
 * took (ticks in between are left out).
 *
 * Of ticks that were missed because the caller's loop stood still, the newest is sampled and the others are bad samples
 * ("not sampled: brunt was 400 ms late"), at most 1000 of them: what nobody looked at must not look good. At most 64
 * requests of an SLI are under way (16 commands); when one more is due, the oldest is given up, bad.
 *
 * HTTP: proxies from the environment are ignored; an answer is read up to 1 MiB; without keep_alive connections, TLS
 * sessions and addresses of names are all made anew each time. The value, unless given by a pointer, is the latency
 * from sending the request to the last byte, in ns, and INFINITY when the sample is bad. A pointer's value is absent
 * when bad. Lines: `bad` wins over `good`; a bad line of an SLI whose value is a time is infinite.
 *
 * The caller ignores SIGPIPE.
 */
/* context is borrowed, for process SLIs. Nothing is sampled before brunt_watch_start. Loads libcurl if needed. */
int brunt_watch_new(sd_event *loop, const struct brunt_plan *plan, const struct brunt_resolve_context *context,
		    const struct brunt_watch_ops *ops, void *user, struct brunt_watch **ret, struct brunt_error *err);
/* Tick 0 of every SLI is now. May be called again after a stop. */
int brunt_watch_start(struct brunt_watch *watch, struct brunt_error *err);
/* What is under way is dropped without a sample. Readiness goes on. */
void brunt_watch_stop(struct brunt_watch *watch);
/* NULL is allowed. */
void brunt_watch_free(struct brunt_watch *watch);

/* A line of a service's output (without newline), for `lines` SLIs (while started) and for readiness. */
void brunt_watch_line(struct brunt_watch *watch, uint32_t service, const char *line, uint64_t at);

/*
 * A command that run_command started has ended: wait status, and what it wrote (cut, terminated; may be NULL). An unknown
 * sequence (it was cancelled meanwhile) is ignored. Not to be called from within run_command.
 */
void brunt_watch_command(struct brunt_watch *watch, uint64_t sequence, int status, const char *output);

/*
 * Readiness of services, with the same machinery: calls done(user, 0 or -errno, why) once, from the loop or from
 * brunt_watch_line, when `tcp` connects, `http` answers 2xx or 3xx, `file` exists (tried every 20 ms), or
 * brunt_watch_line sees `line`; -ETIMEDOUT after `within`, why then says what was missing. A service without `ready` is
 * ready at once. Does not need brunt_watch_start. Asking again for a service replaces what was asked before.
 */
int brunt_watch_ready(struct brunt_watch *watch, uint32_t service,
		      void (*done)(void *user, uint32_t service, int code, const char *why), void *user,
		      struct brunt_error *err);
/* Forgets what was asked, done is not called: the service has ended. Nothing happens when nothing was. */
void brunt_watch_ready_cancel(struct brunt_watch *watch, uint32_t service);
