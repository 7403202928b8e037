/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where events go: a writer process each for the journal and the screen. The
 * controller never waits for them: each has a bounded queue in memory, the
 * pipe is non-blocking, and what does not fit is dropped and counted
 * (samples first; never a verdict).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

struct brunt_error;

#define BRUNT_SINK_QUEUE_MAX (8 * 1024 * 1024)

struct brunt_sink;

/*
 * pipe: the write end (of a pipe or a socket), made non-blocking, taken. Lines wait in memory until
 * brunt_sink_attach or brunt_sink_flush when the pipe is full. For a pipe, SIGPIPE is ignored from here on.
 */
int brunt_sink_new(int pipe, struct brunt_sink **ret, struct brunt_error *err);
int brunt_sink_attach(struct brunt_sink *sink, sd_event *loop);
/*
 * line: one JSON object without newline. important: not dropped for want of room before all others are; when there are
 * only important ones, the oldest go first, so that the verdict, the last, is never lost to a full pipe.
 */
void brunt_sink_write(struct brunt_sink *sink, const char *line, size_t size, bool important);
uint64_t brunt_sink_dropped(const struct brunt_sink *sink);
bool brunt_sink_broken(const struct brunt_sink *sink); /* the reader is gone */
/*
 * Waits until the queue is written, at most that many ns; then closes the pipe: 0 or -EPIPE. -ETIMEDOUT: not all is
 * written and the pipe stays open; to be called again, or brunt_sink_free drops the rest.
 */
int brunt_sink_flush(struct brunt_sink *sink, uint64_t within);
void brunt_sink_free(struct brunt_sink *sink);

/* The journal writer's whole life: copies lines from pipe to file, flushed as they come. Returns the exit status. */
int brunt_journal_main(int pipe, int file);

enum brunt_output { BRUNT_OUTPUT_TEXT, BRUNT_OUTPUT_JSON, BRUNT_OUTPUT_QUIET };

/*
 * The screen's whole life: reads events, draws the live view when out is a terminal (and live is true), writes plain lines
 * else, then the summary (or the JSON document). Keys are read from in when it is a terminal (q: abort): they are
 * sent as one byte each to keys. in, keys: -1 without.
 */
int brunt_screen_main(int pipe, int out, int in, int keys, enum brunt_output output, bool live, bool colour);

/*
 * Opens the journal of a new run: $XDG_STATE_HOME/brunt or ~/.local/state/brunt for an ordinary user, /var/lib/brunt
 * for root (XDG_STATE_HOME wins), file DATE-RUN.jsonl, mode 0640, owned by uid:gid. Path in buf.
 */
int brunt_journal_open(const char *run, unsigned uid, unsigned gid, char *buf, size_t size, int *ret_fd,
		       struct brunt_error *err);
/* The folder where journals are, in buf. */
int brunt_journal_folder(char *buf, size_t size, struct brunt_error *err);
/* Finds a journal by path, run id or "last". */
int brunt_journal_find(const char *what, char *buf, size_t size, struct brunt_error *err);
