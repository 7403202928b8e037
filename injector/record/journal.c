/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: the file, and the process that writes it.
 *
 * The writer has a process of its own, because a full or stalled disk must
 * cost the run neither its lease nor its verdict.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "brunt/event.h"
#include "brunt/memory.h"
#include "brunt/sink.h"

#define CHUNK	       (64 * 1024)
#define LINE_MAX_BYTES (4 * 1024 * 1024) /* longer ones are no events of ours: lost, and counted */

struct writer {
	int file;
	off_t whole;   /* the file's size up to its last whole line */
	uint64_t lost; /* lines, since the last note */
	uint64_t lost_ever;
	int cause; /* errno of the newest loss */
};

static uint64_t count_lines(const char *text, size_t size)
{
	uint64_t lines = 0;

	for (const char *p = text; (p = memchr(p, '\n', size - (size_t)(p - text))); p++)
		lines++;
	return lines;
}

/* Writes whole lines, or leaves the file as it was: 0 or -errno. */
static int put(struct writer *writer, const char *text, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(writer->file, text + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int cause = errno;

			/* Half a line in the middle would spoil the next one, too. */
			if (done && ftruncate(writer->file, writer->whole) < 0)
				cause = errno;
			return -cause;
		}
		done += (size_t)n;
	}
	writer->whole += (off_t)size;
	return 0;
}

/*
 * Says in the journal itself that lines are missing, right before the line that comes next: together or not at all,
 * or notes would eat what room is left. line may be empty (at the end).
 */
static int put_after_loss(struct writer *writer, const char *line, size_t size)
{
	char text[128];

	if (!writer->lost)
		return put(writer, line, size);
	(void)snprintf(text, sizeof(text), "%llu lines of the journal are lost: %s", (unsigned long long)writer->lost,
		       strerror(writer->cause));
	json_t *note = brunt_event_new("note", 0);
	json_t *words = json_string(text);
	BRUNT_AUTO_FREE char *told = NULL;

	if (note && words && !json_object_set(note, "text", words))
		told = json_dumps(note, JSON_COMPACT);
	json_decref(words);
	json_decref(note);

	BRUNT_AUTO_FREE char *both = NULL;
	int length = told ? asprintf(&both, "%s\n%.*s", told, (int)size, line) : -1;
	int r = length > 0 ? put(writer, both, (size_t)length) : -ENOMEM;

	if (!r)
		writer->lost = 0;
	return r;
}

static void put_lines(struct writer *writer, const char *text, size_t size)
{
	const char *end;

	if (!writer->lost && !put(writer, text, size))
		return;
	/* Too much for what is left of the disk: as many lines of it as fit. */
	for (; size; text = end) {
		end = (const char *)memchr(text, '\n', size) + 1;
		size -= (size_t)(end - text);

		int r = put_after_loss(writer, text, (size_t)(end - text));

		if (r) {
			uint64_t lines = 1 + count_lines(end, size);

			writer->cause = -r;
			writer->lost += lines;
			writer->lost_ever += lines;
			return;
		}
	}
}

/* Drops the rest of a line that is too long to be kept. */
static size_t skip_line(struct writer *writer, char *buf, size_t used, bool *skipping)
{
	char *end = memchr(buf, '\n', used);

	if (!end)
		return 0;
	*skipping = false;
	writer->cause = EMSGSIZE;
	writer->lost++;
	writer->lost_ever++;
	used -= (size_t)(end + 1 - buf);
	memmove(buf, end + 1, used);
	return used;
}

int brunt_journal_main(int pipe, int file)
{
	struct writer writer = { .file = file, .whole = lseek(file, 0, SEEK_END) };
	size_t size = 2 * CHUNK, used = 0;
	BRUNT_AUTO_FREE char *buf = malloc(size);
	bool skipping = false;

	if (!buf)
		return 1;
	if (writer.whole < 0)
		writer.whole = 0;
	for (;;) {
		if (size - used < CHUNK) {
			char *bigger = size < LINE_MAX_BYTES ? realloc(buf, size * 2) : NULL;

			if (bigger) {
				buf = bigger;
				size *= 2;
			} else {
				skipping = true;
				used = 0;
			}
		}
		ssize_t n = read(pipe, buf + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			struct pollfd poller = { .fd = pipe, .events = POLLIN };

			(void)poll(&poller, 1, -1);
			continue;
		}
		if (n <= 0)
			break;
		used += (size_t)n;
		if (skipping)
			used = skip_line(&writer, buf, used, &skipping);
		const char *last = memrchr(buf, '\n', used);

		if (!last)
			continue;
		size_t lines = (size_t)(last + 1 - buf);

		put_lines(&writer, buf, lines);
		used -= lines;
		memmove(buf, buf + lines, used);
	}
	/* What is left in buf is a torn line: its writer died over it. */
	if (writer.lost)
		(void)put_after_loss(&writer, "", 0);
	if (fsync(file) < 0 && errno != EINVAL && errno != EROFS)
		return 1;
	return writer.lost_ever ? 1 : 0;
}
