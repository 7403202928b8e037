/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/sink.h"
#include "record/row.h"
#include "story_lab.h"

static char *draw(const struct brunt_story *story, unsigned rows, unsigned columns, bool colour, uint64_t after)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	brunt_story_draw(story, out, rows, columns, colour, LAB_START + after);
	fclose(out);
	return text;
}

/* What a terminal would show of a frame: without control sequences, a line a row. In place. */
static void strip(char *frame)
{
	size_t used = 0;

	for (char *c = frame; *c;) {
		if (*c == '\033') {
			assert_int_equal(c[1], '[');
			c += 2 + strspn(c + 2, "0123456789;?");
			assert_non_null(strchr("HJKmhl", *c));
			c++;
		} else if (*c == '\r') {
			c++;
		} else {
			frame[used++] = *c++;
		}
	}
	frame[used] = '\0';
}

static void the_live_view_is_as_it_was_approved(void **state)
{
	(void)state;
	static const struct {
		const char *name, *path;
		unsigned rows, columns;
		bool utf8;
		uint64_t after; /* ms */
	} views[] = {
		{ "start.80x24", LAB_JOURNAL("passed"), 24, 80, true, 50 },
		{ "method.80x24", LAB_JOURNAL("passed"), 24, 80, true, 6500 },
		{ "method.40x10", LAB_JOURNAL("passed"), 10, 40, true, 6500 },
		{ "method.80x24.ascii", LAB_JOURNAL("passed"), 24, 80, false, 6500 },
		{ "method.40x10.ascii", LAB_JOURNAL("passed"), 10, 40, false, 6500 },
		{ "aborted.80x24", LAB_JOURNAL("aborted"), 24, 80, true, 5400 },
		{ "aborted.40x10", LAB_JOURNAL("aborted"), 10, 40, true, 5400 },
		{ "residue.80x24", LAB_JOURNAL("residue"), 24, 80, true, 8200 },
		{ "hostile.80x24", LAB_JOURNAL("hostile"), 24, 80, true, 6500 },
		{ "hostile.40x10", LAB_JOURNAL("hostile"), 10, 40, false, 6500 },
	};

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		struct brunt_story *story = lab_story_until(views[i].path, views[i].after * BRUNT_MS);
		char name[64];

		lab_locale(views[i].utf8);
		char *frame = draw(story, views[i].rows, views[i].columns, false, views[i].after * BRUNT_MS);

		strip(frame);
		(void)snprintf(name, sizeof(name), "%s.live", views[i].name);
		lab_golden(name, frame, strlen(frame));
		free(frame);
		brunt_story_free(story);
	}
}

static void a_frame_never_leaves_its_screen_whatever_its_size(void **state)
{
	(void)state;
	for (int utf8 = 0; utf8 <= 1; utf8++) {
		lab_locale(utf8);
		struct brunt_story *story = lab_story_until(LAB_JOURNAL("hostile"), 7 * BRUNT_S);

		for (unsigned rows = 1; rows <= 30; rows++) {
			for (unsigned columns = 2; columns <= 130; columns += 3) {
				char *frame = draw(story, rows, columns, true, 7 * BRUNT_S), *line = frame, *end;
				unsigned lines = 0;

				strip(frame);
				for (bool more = true; more; line = end + 1, lines++) {
					end = strchr(line, '\n');
					more = end;
					if (end)
						*end = '\0';
					assert_true(row_columns(line, utf8) <= columns);
					if (!more)
						break;
				}
				assert_true(lines + 1 <= rows);
				free(frame);
			}
		}
		brunt_story_free(story);
	}
}

static void an_empty_story_can_be_drawn(void **state)
{
	(void)state;
	struct brunt_story *story;

	assert_int_equal(brunt_story_new(&story), 0);
	char *frame = draw(story, 24, 80, false, 0);

	assert_non_null(strstr(frame, "starting"));
	free(frame);
	brunt_story_free(story);
}

static void a_question_that_waits_for_an_answer_is_what_the_banner_shows(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"{\"event\":\"run.start\",\"at_ns\":1,\"wall\":\"\",\"steps\":[{\"index\":0,\"name\":\"ask\",\"kind\":\"approve\"}]}",
		"{\"event\":\"phase\",\"at_ns\":2,\"wall\":\"\",\"phase\":\"method\"}",
		"{\"event\":\"step.start\",\"at_ns\":3,\"wall\":\"\",\"step\":\"ask\"}",
		"{\"event\":\"note\",\"at_ns\":4,\"wall\":\"\",\"text\":\"kill the primary?  (y: go on, n: stop)\"}",
	};
	struct brunt_story *story;

	lab_locale(true);
	assert_int_equal(brunt_story_new(&story), 0);
	for (int i = 0; i < 4; i++) {
		json_t *event = json_loads(lines[i], 0, NULL);

		assert_int_equal(brunt_story_feed(story, event), 0);
		json_decref(event);
	}
	char *frame = draw(story, 10, 60, false, 0);

	assert_non_null(strstr(frame, "APPROVE? kill the primary?  (y: go on, n: stop)"));
	free(frame);
	brunt_story_free(story);
}

/* ---- the screen, in a process of its own ---- */

struct screen {
	pid_t pid;
	int events;   /* write end */
	int out;      /* what it writes: a pipe's read end, or the terminal's master */
	int keys;     /* read end */
	int terminal; /* slave, or -1 */
};

static void start(struct screen *screen, bool terminal, enum brunt_output output, const char *term)
{
	int events[2], keys[2], out[2];

	assert_int_equal(pipe(events), 0);
	assert_int_equal(pipe(keys), 0);
	screen->terminal = -1;
	if (terminal) {
		struct winsize size = { .ws_row = 24, .ws_col = 80 };

		assert_int_equal(openpty(&out[0], &out[1], NULL, NULL, &size), 0);
		screen->terminal = out[1];
	} else {
		assert_int_equal(pipe(out), 0);
	}
	screen->pid = fork();
	if (!screen->pid) {
		close(events[1]);
		close(keys[0]);
		if (terminal) {
			/* The terminal of a session of its own, with this process in its foreground. */
			setsid();
			ioctl(out[1], TIOCSCTTY, 0);
		}
		close(out[0]);
		setenv("TERM", term, 1);
		setenv("LC_ALL", "C.UTF-8", 1);
		_exit(brunt_screen_main(events[0], dup(out[1]), terminal ? out[1] : -1, keys[1], output, true, false));
	}
	close(events[0]);
	close(keys[1]);
	if (!terminal)
		close(out[1]);
	screen->events = events[1];
	screen->out = out[0];
	screen->keys = keys[0];
}

static void feed_file(const struct screen *screen, const char *path)
{
	FILE *file = fopen(path, "re");
	char buf[65536];
	size_t n;

	while ((n = fread(buf, 1, sizeof(buf), file)) > 0)
		assert_int_equal(write(screen->events, buf, n), n);
	fclose(file);
}

/* All that comes out within that time, or until nothing more can; 0 bytes long when nothing did. */
static char *read_out(const struct screen *screen, int ms, const char *until)
{
	size_t used = 0, size = 1 << 20;
	char *text = calloc(1, size);
	uint64_t end = brunt_now() + (uint64_t)ms * BRUNT_MS;

	while (brunt_now() < end && (!until || !strstr(text, until))) {
		struct pollfd poller = { .fd = screen->out, .events = POLLIN };
		ssize_t n;

		if (poll(&poller, 1, 20) <= 0)
			continue;
		n = read(screen->out, text + used, size - used - 1);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	return text;
}

static int finish(struct screen *screen)
{
	int status;

	assert_int_equal(waitpid(screen->pid, &status, 0), screen->pid);
	close(screen->out);
	close(screen->keys);
	if (screen->terminal >= 0)
		close(screen->terminal);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_pipe_gets_plain_lines_as_they_happen_then_the_summary(void **state)
{
	(void)state;
	struct screen screen;

	start(&screen, false, BRUNT_OUTPUT_TEXT, "xterm");
	feed_file(&screen, LAB_JOURNAL("passed"));
	char *text = read_out(&screen, 20000, "verdict passed, exit 0\n");

	assert_non_null(strstr(text, "10:00:00.000  run 7f3a0001 of 'checkout-survives-a-lossy-backend', seed 42\n"));
	assert_null(strchr(text, '\033'));
	free(text);
	close(screen.events);
	text = read_out(&screen, 20000, NULL);
	assert_int_equal(strncmp(text, "\nPASSED  checkout", 17), 0);
	free(text);
	assert_int_equal(finish(&screen), 0);
}

static void json_is_one_document_at_the_end_and_quiet_is_nothing(void **state)
{
	(void)state;
	struct screen screen;

	start(&screen, false, BRUNT_OUTPUT_JSON, "xterm");
	feed_file(&screen, LAB_JOURNAL("aborted"));
	close(screen.events);
	char *text = read_out(&screen, 20000, NULL);
	json_t *document = json_loads(text, 0, NULL);

	assert_string_equal(lab_text(document, "verdict"), "aborted");
	json_decref(document);
	free(text);
	assert_int_equal(finish(&screen), 0);

	start(&screen, false, BRUNT_OUTPUT_QUIET, "xterm");
	feed_file(&screen, LAB_JOURNAL("aborted"));
	close(screen.events);
	text = read_out(&screen, 20000, NULL);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(finish(&screen), 0);
}

static void a_pipe_that_ends_without_a_verdict_ends_in_an_error(void **state)
{
	(void)state;
	struct screen screen;
	static const char line[] =
		"{\"event\":\"run.start\",\"at_ns\":1,\"wall\":\"\",\"run\":\"x\",\"plan\":\"p\"}\n{\"ev";

	start(&screen, false, BRUNT_OUTPUT_JSON, "xterm");
	assert_int_equal(write(screen.events, line, sizeof(line) - 1), sizeof(line) - 1);
	close(screen.events);
	char *text = read_out(&screen, 20000, NULL);
	json_t *document = json_loads(text, 0, NULL);

	assert_string_equal(lab_text(document, "verdict"), "error");
	json_decref(document);
	free(text);
	assert_int_equal(finish(&screen), 0);
}

static void a_terminal_gets_the_view_and_its_settings_and_cursor_back(void **state)
{
	(void)state;
	struct screen screen;
	struct termios before, during, after;
	char key;

	start(&screen, true, BRUNT_OUTPUT_TEXT, "xterm");
	assert_int_equal(tcgetattr(screen.terminal, &before), 0);
	feed_file(&screen, LAB_JOURNAL("passed"));
	char *text = read_out(&screen, 20000, "lossy-a"); /* not before it has read so far */

	assert_non_null(strstr(text, "\033[?25l"));
	assert_non_null(strstr(text, "lossy-a"));
	if (!strstr(text, "q abort")) { /* at the end of a frame, which may come in pieces */
		free(text);
		text = read_out(&screen, 20000, "q abort");
		assert_non_null(strstr(text, "q abort"));
	}
	free(text);
	assert_int_equal(tcgetattr(screen.terminal, &during), 0);
	assert_false(during.c_lflag & (ICANON | ECHO));
	assert_true(during.c_lflag & ISIG);
	assert_int_equal(write(screen.out, "q", 1), 1);
	assert_int_equal(read(screen.keys, &key, 1), 1);
	assert_int_equal(key, 'q');

	/* Signals of the terminal are the controller's to answer. */
	kill(screen.pid, SIGINT);
	kill(screen.pid, SIGTERM);
	kill(screen.pid, SIGTSTP);
	close(screen.events);
	text = read_out(&screen, 20000, "\033[?25h");
	assert_non_null(strstr(text, "PASSED"));
	assert_non_null(strstr(text, "\033[?25h"));
	free(text);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(tcgetattr(screen.terminal, &after), 0);
		if (after.c_lflag == before.c_lflag)
			break;
		usleep(10000);
	}
	assert_int_equal(after.c_lflag, before.c_lflag);
	assert_int_equal(finish(&screen), 0);
}

static void the_view_is_drawn_at_most_ten_times_a_second(void **state)
{
	(void)state;
	struct screen screen;
	static const char line[] = "{\"event\":\"note\",\"at_ns\":1,\"wall\":\"\",\"text\":\"x\"}\n";
	unsigned frames = 0;
	uint64_t begun, took;

	start(&screen, true, BRUNT_OUTPUT_TEXT, "xterm");
	begun = brunt_now();
	/* A flood for a second, while the frames are read. */
	for (int i = 0; i < 100; i++) {
		for (int j = 0; j < 20; j++)
			assert_int_equal(write(screen.events, line, sizeof(line) - 1), sizeof(line) - 1);
		char *text = read_out(&screen, 10, NULL);

		for (const char *c = text; (c = strstr(c, "\033[H")); c++)
			frames++;
		free(text);
	}
	took = brunt_now() - begun;
	close(screen.events);
	free(read_out(&screen, 20000, "\033[?25h"));
	assert_int_equal(finish(&screen), 0);
	/* 100 x 10..30 ms: two seconds or so, hence some twenty frames; never one for each of the 2000 lines. */
	assert_in_range(frames, 3, took / (100 * BRUNT_MS) + 25);
}

static void a_dumb_terminal_gets_plain_lines(void **state)
{
	(void)state;
	struct screen screen;

	start(&screen, true, BRUNT_OUTPUT_TEXT, "dumb");
	feed_file(&screen, LAB_JOURNAL("passed"));
	char *text = read_out(&screen, 20000, "verdict passed");

	assert_null(strchr(text, '\033'));
	free(text);
	close(screen.events);
	free(read_out(&screen, 300, "back"));
	assert_int_equal(finish(&screen), 0);
}

static void a_reader_that_leaves_does_not_kill_the_screen(void **state)
{
	(void)state;
	struct screen screen;

	start(&screen, false, BRUNT_OUTPUT_TEXT, "xterm");
	close(screen.out);
	screen.out = open("/dev/null", O_RDONLY);
	feed_file(&screen, LAB_JOURNAL("passed"));
	close(screen.events);
	assert_int_equal(finish(&screen), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_live_view_is_as_it_was_approved),
		cmocka_unit_test(a_frame_never_leaves_its_screen_whatever_its_size),
		cmocka_unit_test(an_empty_story_can_be_drawn),
		cmocka_unit_test(a_question_that_waits_for_an_answer_is_what_the_banner_shows),
		cmocka_unit_test(a_pipe_gets_plain_lines_as_they_happen_then_the_summary),
		cmocka_unit_test(json_is_one_document_at_the_end_and_quiet_is_nothing),
		cmocka_unit_test(a_pipe_that_ends_without_a_verdict_ends_in_an_error),
		cmocka_unit_test(a_terminal_gets_the_view_and_its_settings_and_cursor_back),
		cmocka_unit_test(the_view_is_drawn_at_most_ten_times_a_second),
		cmocka_unit_test(a_dumb_terminal_gets_plain_lines),
		cmocka_unit_test(a_reader_that_leaves_does_not_kill_the_screen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
