/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The screen: the process that writes to the user's terminal or pipe. It may
 * wait for them as long as it likes; that is what it is for.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <jansson.h>

#include "brunt/clock.h"
#include "brunt/memory.h"
#include "brunt/sink.h"
#include "brunt/story.h"
#include "brunt/units.h"

#define CHUNK	       (64 * 1024)
#define REFRESH	       (100 * BRUNT_MS) /* at most so often */
#define LINE_MAX_BYTES (4 * 1024 * 1024)

struct screen {
	struct brunt_story *story;
	FILE *out;
	int pipe, in, keys; /* -1: not there */
	enum brunt_output output;
	bool live, colour, terminal;
	bool told; /* at least one event came */
	bool raw;  /* the terminal's settings were changed */
	struct termios saved;
	char *buf;
	size_t size, used;
	uint64_t drawn;
};

static void size_of(const struct screen *screen, unsigned *rows, unsigned *columns)
{
	struct winsize size = { 0 };

	*rows = 24;
	*columns = 80;
	if (!screen->terminal || ioctl(fileno(screen->out), TIOCGWINSZ, &size))
		return;
	if (size.ws_row)
		*rows = size.ws_row;
	if (size.ws_col)
		*columns = size.ws_col;
}

/*
 * Signals of the terminal reach the whole foreground group: they are the controller's to answer. The screen ends with
 * its pipe. SIGTTOU must not stop it in the background, and a reader that left must not kill it before it put the
 * terminal in order.
 */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGTSTP, SIGTTOU, SIGTTIN, SIGPIPE };

	for (size_t i = 0; i < BRUNT_COUNT(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
}

/* Keys one by one and unseen; Ctrl-C stays a signal. Only of a terminal that is ours to read. */
static void take_keys(struct screen *screen)
{
	struct termios raw;

	if (screen->in < 0 || screen->keys < 0 || !screen->live || !isatty(screen->in) ||
	    tcgetpgrp(screen->in) != getpgrp() || tcgetattr(screen->in, &screen->saved)) {
		screen->in = -1;
		return;
	}
	raw = screen->saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	screen->raw = !tcsetattr(screen->in, TCSANOW, &raw);
}

static void give_back(struct screen *screen)
{
	if (screen->raw)
		(void)tcsetattr(screen->in, TCSANOW, &screen->saved);
	screen->raw = false;
	if (screen->live) {
		(void)fputs("\033[?25h\033[0m", screen->out);
		(void)fflush(screen->out);
	}
}

/* What is on the screen is pushed up into the scrollback, not painted over. */
static void clear_room(struct screen *screen)
{
	unsigned rows, columns;

	size_of(screen, &rows, &columns);
	for (unsigned i = 1; i < rows; i++)
		(void)fputc('\n', screen->out);
	(void)fputs("\033[H\033[J\033[?25l", screen->out);
}

static void draw(struct screen *screen)
{
	unsigned rows, columns;
	char *frame = NULL;
	size_t size;
	FILE *memory = open_memstream(&frame, &size);

	if (!memory)
		return;
	size_of(screen, &rows, &columns);
	screen->drawn = brunt_now();
	brunt_story_draw(screen->story, memory, rows, columns, screen->colour, screen->drawn);
	/* In one write, so that the terminal never shows half a frame. */
	if (!fclose(memory)) {
		(void)fwrite(frame, 1, size, screen->out);
		(void)fflush(screen->out);
	}
	free(frame);
}

/* ---- what comes in ---- */

static void take_line(struct screen *screen, const char *line, size_t size)
{
	json_t *event = json_loadb(line, size, 0, NULL);

	screen->told |= event != NULL;
	if (event && !brunt_story_feed(screen->story, event) && screen->output == BRUNT_OUTPUT_TEXT && !screen->live)
		brunt_story_line(screen->story, event, screen->out);
	json_decref(event);
}

/* Takes what the pipe has; false at its end. */
static bool take(struct screen *screen)
{
	char *line = screen->buf, *end;
	ssize_t n = read(screen->pipe, screen->buf + screen->used, screen->size - screen->used);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (!n)
		return false;
	screen->used += (size_t)n;
	while ((end = memchr(line, '\n', screen->used - (size_t)(line - screen->buf)))) {
		take_line(screen, line, (size_t)(end - line));
		line = end + 1;
	}
	screen->used -= (size_t)(line - screen->buf);
	memmove(screen->buf, line, screen->used);
	if (screen->used + CHUNK > screen->size) {
		char *bigger = screen->size < LINE_MAX_BYTES ? realloc(screen->buf, screen->size * 2) : NULL;

		if (bigger) {
			screen->buf = bigger;
			screen->size *= 2;
		} else if (screen->used == screen->size) {
			screen->used = 0; /* no event of ours is that long */
		}
	}
	if (!screen->live && screen->output == BRUNT_OUTPUT_TEXT)
		(void)fflush(screen->out);
	return true;
}

static void take_key(struct screen *screen)
{
	char key;

	if (read(screen->in, &key, 1) != 1) {
		/* The terminal is gone, or not ours any more. */
		give_back(screen);
		screen->in = -1;
		return;
	}
	if (key > ' ' && key < 0x7f)
		(void)!write(screen->keys, &key, 1);
}

static void follow(struct screen *screen)
{
	bool more = true;

	while (more) {
		struct pollfd pollers[2] = { { .fd = screen->pipe, .events = POLLIN },
					     { .fd = screen->in, .events = POLLIN } };
		uint64_t now = brunt_now(), due = screen->drawn + REFRESH;
		int wait = !screen->live ? -1 : due > now ? (int)((due - now) / BRUNT_MS) + 1 : 0;

		if (poll(pollers, 2, wait) < 0 && errno != EINTR)
			break;
		if (pollers[0].revents)
			more = take(screen);
		if (pollers[1].revents)
			take_key(screen);
		if (screen->live && brunt_now() >= screen->drawn + REFRESH)
			draw(screen);
	}
}

/* ---- the end ---- */

static void conclude(struct screen *screen)
{
	unsigned rows, columns;

	/* The run came to nothing before it began: who started it says why. */
	if (!screen->told)
		return;
	brunt_story_end(screen->story);
	size_of(screen, &rows, &columns);
	if (screen->output == BRUNT_OUTPUT_JSON) {
		json_t *document = brunt_story_document(screen->story);

		if (document && !json_dumpf(document, screen->out, JSON_INDENT(2)))
			(void)fputc('\n', screen->out);
		json_decref(document);
	} else if (screen->output == BRUNT_OUTPUT_TEXT) {
		/* The summary takes the place of the view: it says all that the view said. */
		(void)fputs(screen->live ? "\033[H\033[J" : "\n", screen->out);
		brunt_story_print(screen->story, screen->out, screen->colour, columns > 100 ? 100 : columns);
	}
}

int brunt_screen_main(int pipe, int out, int in, int keys, enum brunt_output output, bool live, bool colour)
{
	const char *term = getenv("TERM");
	struct screen screen = { .pipe = pipe, .in = in, .keys = keys, .output = output, .size = 2 * CHUNK };
	bool failed;

	(void)setlocale(LC_CTYPE, "");
	ignore_signals();
	screen.terminal = isatty(out);
	screen.live =
		live && output == BRUNT_OUTPUT_TEXT && screen.terminal && term && *term && strcmp(term, "dumb") != 0;
	/* In the background it would paint over what the user does meanwhile. */
	if (tcgetpgrp(out) >= 0 && tcgetpgrp(out) != getpgrp())
		screen.live = false;
	screen.colour = colour && screen.terminal;
	screen.out = fdopen(out, "w");
	screen.buf = malloc(screen.size);
	if (!screen.out || !screen.buf || brunt_story_new(&screen.story)) {
		free(screen.buf);
		return 1;
	}
	take_keys(&screen);
	if (screen.live)
		clear_room(&screen);
	follow(&screen);
	conclude(&screen);
	give_back(&screen);
	failed = ferror(screen.out) | fflush(screen.out);
	brunt_story_free(screen.story);
	free(screen.buf);
	(void)fclose(screen.out);
	return failed ? 1 : 0;
}
