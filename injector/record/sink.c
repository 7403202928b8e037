/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded queue in front of a pipe that may be full.
 *
 * The loop that renews the leases writes here, so nothing here ever waits
 * (but brunt_sink_flush, at the end). Two queues share one budget: important
 * lines, and the rest. Lines leave in the order they came; when room is short
 * the oldest of the rest go first, so that a stalled reader finds the newest
 * samples, and every verdict, when it wakes up.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/sink.h"
#include "brunt/units.h"

enum { REST, IMPORTANT };

struct line {
	struct line *next;
	uint64_t sequence;
	size_t size; /* newline included */
	char text[];
};

struct queue {
	struct line *first, *last;
};

struct brunt_sink {
	int fd; /* -1: closed */
	bool is_socket;
	bool broken; /* the reader is gone */
	struct queue queues[2];
	struct line *current; /* being written: never evicted, or the reader would see half a line */
	size_t offset;	      /* into current */
	size_t bytes;	      /* of all lines, their headers included */
	uint64_t sequence, dropped;
	sd_event_source *source;
};

static size_t cost(const struct line *line)
{
	return sizeof(*line) + line->size;
}

static struct line *pop(struct queue *queue)
{
	struct line *line = queue->first;

	if (line) {
		queue->first = line->next;
		if (!queue->first)
			queue->last = NULL;
	}
	return line;
}

static void forget(struct brunt_sink *sink, struct line *line)
{
	sink->bytes -= cost(line);
	free(line);
}

/* What is still queued has nowhere to go. */
static void shut(struct brunt_sink *sink)
{
	struct line *line;

	if (sink->fd < 0)
		return;
	for (int i = REST; i <= IMPORTANT; i++)
		while ((line = pop(&sink->queues[i]))) {
			forget(sink, line);
			sink->dropped++;
		}
	if (sink->current) {
		forget(sink, sink->current);
		sink->current = NULL;
		sink->dropped++;
	}
	sink->source = sd_event_source_disable_unref(sink->source);
	close(sink->fd);
	sink->fd = -1;
}

static struct line *next_line(struct brunt_sink *sink)
{
	const struct line *rest = sink->queues[REST].first, *important = sink->queues[IMPORTANT].first;

	if (rest && (!important || rest->sequence < important->sequence))
		return pop(&sink->queues[REST]);
	return pop(&sink->queues[IMPORTANT]);
}

/* Writes what the pipe takes now. */
static void push(struct brunt_sink *sink)
{
	while (sink->fd >= 0) {
		if (!sink->current) {
			sink->current = next_line(sink);
			sink->offset = 0;
		}
		if (!sink->current)
			break;
		const char *text = sink->current->text + sink->offset;
		size_t left = sink->current->size - sink->offset;
		ssize_t n = sink->is_socket ? send(sink->fd, text, left, MSG_NOSIGNAL | MSG_DONTWAIT)
					    : write(sink->fd, text, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			sink->broken = true;
			shut(sink);
			return;
		}
		sink->offset += (size_t)n;
		if (sink->offset == sink->current->size) {
			forget(sink, sink->current);
			sink->current = NULL;
		}
	}
	if (sink->source)
		(void)sd_event_source_set_enabled(sink->source, sink->current ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_writable(sd_event_source *source, int fd, uint32_t events, void *user)
{
	(void)source, (void)fd, (void)events;
	push(user);
	return 0;
}

int brunt_sink_new(int pipe, struct brunt_sink **ret, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int fd = pipe;
	struct brunt_sink *sink;
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return brunt_fail(err, errno, "cannot use a sink's pipe: %s", strerror(errno));
	sink = calloc(1, sizeof(*sink));
	if (!sink)
		return brunt_fail(err, ENOMEM, "out of memory");
	/* write(2) to a pipe has no MSG_NOSIGNAL. */
	if (!S_ISSOCK(st.st_mode))
		(void)signal(SIGPIPE, SIG_IGN);
	sink->is_socket = S_ISSOCK(st.st_mode);
	sink->fd = BRUNT_TAKE_FD(fd);
	*ret = sink;
	return 0;
}

int brunt_sink_attach(struct brunt_sink *sink, sd_event *loop)
{
	int r;

	if (sink->fd < 0)
		return 0;
	r = sd_event_add_io(loop, &sink->source, sink->fd, EPOLLOUT, on_writable, sink);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(sink->source, "sink");
	push(sink);
	return 0;
}

/* Makes room for size bytes; false when it cannot. */
static bool make_room(struct brunt_sink *sink, size_t size, bool important)
{
	for (int i = REST; i <= IMPORTANT; i++) {
		while (sink->bytes + size > BRUNT_SINK_QUEUE_MAX && sink->queues[i].first) {
			if (i == IMPORTANT && !important)
				return false;
			forget(sink, pop(&sink->queues[i]));
			sink->dropped++;
		}
	}
	return sink->bytes + size <= BRUNT_SINK_QUEUE_MAX;
}

void brunt_sink_write(struct brunt_sink *sink, const char *line, size_t size, bool important)
{
	struct queue *queue = &sink->queues[important ? IMPORTANT : REST];
	struct line *new = NULL;

	if (sink->fd >= 0 && size < BRUNT_SINK_QUEUE_MAX / 2 && make_room(sink, sizeof(*new) + size + 1, important))
		new = malloc(sizeof(*new) + size + 1);
	if (!new) {
		sink->dropped++;
		return;
	}
	new->next = NULL;
	new->sequence = sink->sequence++;
	new->size = size + 1;
	memcpy(new->text, line, size);
	new->text[size] = '\n';
	if (queue->last)
		queue->last->next = new;
	else
		queue->first = new;
	queue->last = new;
	sink->bytes += cost(new);
	push(sink);
}

uint64_t brunt_sink_dropped(const struct brunt_sink *sink)
{
	return sink->dropped;
}

bool brunt_sink_broken(const struct brunt_sink *sink)
{
	return sink->broken;
}

int brunt_sink_flush(struct brunt_sink *sink, uint64_t within)
{
	uint64_t end = brunt_now() + within;

	push(sink);
	while (sink->current) {
		struct pollfd poller = { .fd = sink->fd, .events = POLLOUT };
		uint64_t now = brunt_now();

		if (now >= end)
			return -ETIMEDOUT;
		(void)poll(&poller, 1, (int)((end - now) / BRUNT_MS) + 1);
		push(sink);
	}
	shut(sink);
	return sink->broken ? -EPIPE : 0;
}

void brunt_sink_free(struct brunt_sink *sink)
{
	if (!sink)
		return;
	shut(sink);
	free(sink);
}
