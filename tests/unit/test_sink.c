/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/file.h"
#include "brunt/sink.h"
#include "brunt/units.h"

/* ---- the queue ---- */

static struct brunt_sink *sink_on(int fds[2])
{
	struct brunt_sink *sink;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(brunt_sink_new(fds[1], &sink, NULL), 0);
	return sink;
}

/* Reads all that is there until the end of file, in a child of its own: its stdout is returned. */
static char *read_all(int fd, size_t *ret_size)
{
	size_t size = 0, room = 1 << 20;
	char *text = malloc(room);
	ssize_t n;

	while ((n = read(fd, text + size, room - size - 1)) > 0) {
		size += (size_t)n;
		if (room - size < 65536)
			/* cppcheck-suppress memleakOnRealloc; a test without memory has failed anyway */
			text = realloc(text, room *= 2);
	}
	text[size] = '\0';
	*ret_size = size;
	return text;
}

static void what_fits_the_pipe_is_there_at_once_and_in_order(void **state)
{
	(void)state;
	int fds[2];
	struct brunt_sink *sink = sink_on(fds);
	char buf[64] = "";

	brunt_sink_write(sink, "{\"a\":1}", 7, false);
	brunt_sink_write(sink, "{\"b\":2}", 7, true);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 16);
	assert_string_equal(buf, "{\"a\":1}\n{\"b\":2}\n");
	assert_int_equal(brunt_sink_dropped(sink), 0);
	brunt_sink_free(sink);
	close(fds[0]);
}

/* Fills far beyond the budget while nobody reads. */
static void fill(struct brunt_sink *sink, unsigned lines)
{
	char line[1024];

	for (unsigned i = 0; i < lines; i++) {
		int size = snprintf(line, sizeof(line), "{\"sample\":%u,\"x\":\"%0900d\"}", i, 0);

		brunt_sink_write(sink, line, (size_t)size, false);
	}
}

static void a_reader_that_stalls_costs_samples_but_neither_time_nor_important_lines(void **state)
{
	(void)state;
	int fds[2], sockets[2];
	struct brunt_sink *sink = sink_on(fds);
	uint64_t begin = brunt_now();

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	fill(sink, 15000);
	brunt_sink_write(sink, "{\"abort\":1}", 11, true);
	fill(sink, 15000);
	brunt_sink_write(sink, "{\"verdict\":1}", 13, true);
	assert_true(brunt_now() - begin < 20 * BRUNT_S);
	assert_true(brunt_sink_dropped(sink) > 15000);
	assert_false(brunt_sink_broken(sink));

	uint64_t dropped = brunt_sink_dropped(sink);
	pid_t child = fork();

	if (!child) {
		size_t size;

		close(sockets[0]);
		brunt_sink_free(sink); /* the child's copy: else end of file never comes */
		char *text = read_all(fds[0], &size);

		_exit(write(sockets[1], text, size) == (ssize_t)size ? 0 : 1);
	}
	close(sockets[1]);

	/* Read while the sink is flushed, or both wait for each other. */
	pid_t flusher = fork();

	if (!flusher)
		_exit(brunt_sink_flush(sink, 20 * BRUNT_S) ? 1 : 0);
	brunt_sink_free(sink);
	close(fds[0]);

	size_t size, lines = 0;
	char *text = read_all(sockets[0], &size);
	int status;
	const char *abort_line = strstr(text, "{\"abort\":1}\n"), *verdict = strstr(text, "{\"verdict\":1}\n");

	waitpid(flusher, &status, 0);
	assert_int_equal(status, 0);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_true(size < BRUNT_SINK_QUEUE_MAX + 128 * 1024);
	assert_non_null(abort_line);
	assert_non_null(verdict);
	assert_true(abort_line < verdict);
	assert_string_equal(verdict, "{\"verdict\":1}\n");
	/* Every line is whole: those read and those dropped make up all that were written. */
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++)
		assert_true(line[0] == '{' && line[strlen(line) - 1] == '}');
	assert_int_equal(lines + dropped, 30002);
	free(text);
	close(sockets[0]);
}

static void a_flood_of_important_lines_stays_within_the_budget_and_keeps_the_last(void **state)
{
	(void)state;
	int fds[2];
	struct brunt_sink *sink = sink_on(fds);
	char *big = malloc(100000);
	size_t size;

	memset(big, 'x', 100000);
	for (int i = 0; i < 200; i++)
		brunt_sink_write(sink, big, 100000, true);
	brunt_sink_write(sink, "verdict", 7, true);
	assert_true(brunt_sink_dropped(sink) >= 100);

	pid_t child = fork();

	if (!child)
		_exit(brunt_sink_flush(sink, 20 * BRUNT_S) ? 1 : 0);
	brunt_sink_free(sink);
	char *text = read_all(fds[0], &size);

	assert_true(size < BRUNT_SINK_QUEUE_MAX + 200000);
	assert_string_equal(text + size - 9, "\nverdict\n");
	assert_int_equal(waitpid(child, NULL, 0), child);
	free(text);
	free(big);
	close(fds[0]);
}

static void a_reader_that_is_gone_breaks_the_sink_without_a_signal(void **state)
{
	(void)state;
	for (int is_socket = 0; is_socket <= 1; is_socket++) {
		int fds[2];
		struct brunt_sink *sink;

		assert_int_equal(is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds) : pipe(fds), 0);
		assert_int_equal(brunt_sink_new(fds[1], &sink, NULL), 0);
		close(fds[0]);
		brunt_sink_write(sink, "x", 1, true);
		assert_true(brunt_sink_broken(sink));
		assert_int_equal(brunt_sink_dropped(sink), 1);
		brunt_sink_write(sink, "x", 1, true);
		assert_int_equal(brunt_sink_dropped(sink), 2);
		assert_int_equal(brunt_sink_flush(sink, BRUNT_S), -EPIPE);
		brunt_sink_free(sink);
	}
}

static void flush_gives_up_in_time(void **state)
{
	(void)state;
	int fds[2];
	struct brunt_sink *sink = sink_on(fds);

	fill(sink, 500);
	uint64_t begin = brunt_now();

	assert_int_equal(brunt_sink_flush(sink, 50 * BRUNT_MS), -ETIMEDOUT);
	assert_true(brunt_now() - begin >= 50 * BRUNT_MS);
	assert_true(brunt_now() - begin < 20 * BRUNT_S);
	brunt_sink_free(sink);
	close(fds[0]);
}

static void an_attached_sink_writes_the_rest_when_the_reader_reads(void **state)
{
	(void)state;
	int fds[2];
	struct brunt_sink *sink = sink_on(fds);
	sd_event *loop;
	char buf[65536];
	size_t got = 0;
	ssize_t n;

	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(brunt_sink_attach(sink, loop), 0);
	fill(sink, 300);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 100; i++) {
		while ((n = read(fds[0], buf, sizeof(buf))) > 0)
			got += (size_t)n;
		assert_true(sd_event_run(loop, 10000) >= 0);
	}
	assert_true(got > 300 * 900);
	assert_int_equal(brunt_sink_dropped(sink), 0);
	brunt_sink_free(sink);
	sd_event_unref(loop);
	close(fds[0]);
}

/* ---- the writer ---- */

static void the_writer_keeps_whole_lines_and_leaves_out_a_torn_one(void **state)
{
	(void)state;
	int fds[2];
	char path[] = "/tmp/brunt-test-XXXXXX", buf[64] = "";
	int file = mkstemp(path);

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "{\"a\":1}\n{\"b\":2}\n{\"c\"", 20), 20);
	close(fds[1]);
	assert_int_equal(brunt_journal_main(fds[0], file), 0);
	assert_int_equal(pread(file, buf, sizeof(buf), 0), 16);
	assert_string_equal(buf, "{\"a\":1}\n{\"b\":2}\n");
	close(fds[0]);
	close(file);
	unlink(path);
}

static void lines_are_in_the_file_while_the_pipe_is_still_open(void **state)
{
	(void)state;
	int fds[2], status;
	char path[] = "/tmp/brunt-test-XXXXXX";
	int file = mkstemp(path);
	struct stat st = { 0 };

	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();

	if (!child) {
		close(fds[1]);
		_exit(brunt_journal_main(fds[0], file));
	}
	assert_int_equal(write(fds[1], "{\"a\":1}\n", 8), 8);
	for (int i = 0; i < 2000 && st.st_size != 8; i++, usleep(10000))
		assert_int_equal(fstat(file, &st), 0);
	assert_int_equal(st.st_size, 8);
	close(fds[1]);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	close(fds[0]);
	close(file);
	unlink(path);
}

static void a_line_without_end_is_lost_and_what_follows_is_kept(void **state)
{
	(void)state;
	int fds[2], status;
	char path[] = "/tmp/brunt-test-XXXXXX", buf[4096] = "", chunk[65536];
	int file = mkstemp(path);

	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();

	if (!child) {
		close(fds[1]);
		_exit(brunt_journal_main(fds[0], file));
	}
	memset(chunk, 'x', sizeof(chunk));
	for (int i = 0; i < 300; i++)
		assert_int_equal(write(fds[1], chunk, sizeof(chunk)), sizeof(chunk));
	assert_int_equal(write(fds[1], "\n{\"b\":2}\n", 9), 9);
	close(fds[1]);
	waitpid(child, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_true(pread(file, buf, sizeof(buf) - 1, 0) > 0);
	assert_non_null(strstr(buf, "1 lines of the journal are lost"));
	assert_non_null(strstr(buf, "{\"b\":2}\n"));
	assert_null(strstr(buf, "xx"));
	close(fds[0]);
	close(file);
	unlink(path);
}

/* Is nothing in the pipe, and who reads it waits for more? */
static bool is_drained(int fd, pid_t reader)
{
	char path[64], text[512] = "";
	const char *at;
	int left = -1, stat;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)reader);
	stat = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(stat >= 0 && read(stat, text, sizeof(text) - 1) > 0);
	close(stat);
	at = strrchr(text, ')');
	assert_int_equal(ioctl(fd, FIONREAD, &left), 0);
	return !left && at && at[2] == 'S';
}

static void a_full_disk_loses_lines_says_so_and_never_stalls_the_writer(void **state)
{
	(void)state;
	char folder[] = "/tmp/brunt-test-XXXXXX", path[64], line[1024];
	int fds[2], status;

	assert_non_null(mkdtemp(folder));
	if (mount("brunt-test", folder, "tmpfs", 0, "size=64k")) {
		rmdir(folder);
		print_message("needs root: mounts a small tmpfs\n");
		skip();
	}
	(void)snprintf(path, sizeof(path), "%s/j", folder);
	int file = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);

	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();

	if (!child) {
		close(fds[1]);
		_exit(brunt_journal_main(fds[0], file));
	}
	for (int i = 0; i < 500; i++) {
		int size = snprintf(line, sizeof(line), "{\"n\":%d,\"x\":\"%0900d\"}\n", i, 0);

		assert_int_equal(write(fds[1], line, (size_t)size), size);
	}
	/* The disk is full. Let it be drained, then make room: lines, and the note, go in again. */
	for (int i = 0; i < 1000 && !is_drained(fds[0], child); i++)
		usleep(10000);
	assert_int_equal(mount("brunt-test", folder, "tmpfs", MS_REMOUNT, "size=4m"), 0);
	assert_int_equal(write(fds[1], "{\"last\":1}\n", 11), 11);
	close(fds[1]);
	waitpid(child, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 1);

	FILE *in = fdopen(file, "r");
	int lines = 0, notes = 0, lasts = 0;

	rewind(in);
	while (fgets(line, sizeof(line), in)) {
		assert_true(line[0] == '{' && line[strlen(line) - 2] == '}');
		lines++;
		notes += !!strstr(line, "No space left on device");
		lasts += !strcmp(line, "{\"last\":1}\n");
	}
	assert_in_range(lines, 50, 80);
	assert_int_equal(notes, 1);
	assert_int_equal(lasts, 1);
	fclose(in);
	close(fds[0]);
	assert_int_equal(umount(folder), 0);
	rmdir(folder);
}

/* ---- places ---- */

static void journals_are_made_below_xdg_state_home_and_found_again(void **state)
{
	(void)state;
	char home[] = "/tmp/brunt-test-XXXXXX", path[256], found[256], command[64];
	struct brunt_error err = { 0 };
	struct stat st;
	int fd;

	assert_non_null(mkdtemp(home));
	setenv("XDG_STATE_HOME", home, 1);
	assert_int_equal(brunt_journal_find("last", found, sizeof(found), &err), -ENOENT);
	assert_int_equal(brunt_journal_open("7f3a0001", getuid(), getgid(), path, sizeof(path), &fd, &err), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_true(fcntl(fd, F_GETFL) & O_APPEND);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	usleep(20000);
	assert_int_equal(brunt_journal_open("7f3b0002", getuid(), getgid(), path, sizeof(path), &fd, &err), 0);
	close(fd);

	assert_int_equal(brunt_journal_find("last", found, sizeof(found), &err), 0);
	assert_string_equal(found, path);
	assert_int_equal(brunt_journal_find("7f3b", found, sizeof(found), &err), 0);
	assert_string_equal(found, path);
	assert_int_equal(brunt_journal_find("7f3a0001", found, sizeof(found), &err), 0);
	assert_non_null(strstr(found, "-7f3a0001.jsonl"));
	assert_int_equal(brunt_journal_find("7f3", found, sizeof(found), &err), -ENOTUNIQ);
	assert_string_equal(err.msg, "2 runs begin with '7f3': give more of the run id");
	assert_int_equal(brunt_journal_find("0000", found, sizeof(found), &err), -ENOENT);
	assert_int_equal(brunt_journal_find(path, found, sizeof(found), &err), 0);
	assert_string_equal(found, path);
	assert_int_equal(brunt_journal_find("nonsense", found, sizeof(found), &err), -ENOENT);
	assert_int_equal(brunt_journal_find(home, found, sizeof(found), &err), -EISDIR);
	(void)snprintf(command, sizeof(command), "rm -r %s", home);
	assert_int_equal(system(command), 0);
	unsetenv("XDG_STATE_HOME");
}

static void what_root_makes_for_a_user_belongs_to_the_user(void **state)
{
	(void)state;
	char home[] = "/tmp/brunt-test-XXXXXX", path[256], folder[256], command[64];
	struct stat st;
	int fd;

	if (geteuid()) {
		print_message("needs root: chown\n");
		skip();
	}
	assert_non_null(mkdtemp(home));
	setenv("XDG_STATE_HOME", home, 1);
	assert_int_equal(brunt_journal_open("7f3a0001", 65534, 65534, path, sizeof(path), &fd, NULL), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_gid, 65534);
	(void)snprintf(folder, sizeof(folder), "%s/brunt", home);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_uid, 65534);
	close(fd);
	(void)snprintf(command, sizeof(command), "rm -r %s", home);
	assert_int_equal(system(command), 0);
	unsetenv("XDG_STATE_HOME");
}

static void a_users_link_does_not_lead_root_to_roots_folders(void **state)
{
	(void)state;
	char home[] = "/tmp/brunt-test-XXXXXX", user[64], path[256], link[128], command[128];
	struct brunt_error err = { 0 };
	struct stat st;
	int fd;

	if (geteuid())
		skip(); /* chown needs root */
	assert_non_null(mkdtemp(home));
	(void)snprintf(user, sizeof(user), "%s/user", home);
	assert_int_equal(mkdir(user, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/etc", home);
	assert_int_equal(mkdir(path, 0755), 0);
	(void)snprintf(link, sizeof(link), "%s/state", user);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(lchown(link, 65534, 65534), 0);
	assert_int_equal(chown(user, 65534, 65534), 0);

	/* the journal */
	setenv("XDG_STATE_HOME", link, 1);
	assert_int_equal(brunt_journal_open("7f3a0001", 65534, 65534, path, sizeof(path), &fd, &err), -EPERM);
	(void)snprintf(path, sizeof(path), "%s/etc/brunt", home);
	assert_int_equal(access(path, F_OK), -1);
	/* the result */
	(void)snprintf(path, sizeof(path), "%s/passwd", link);
	assert_int_equal(brunt_file_replace(path, "x", 1, &err), -EPERM);
	assert_int_equal(access(path, F_OK), -1);
	/* what is the user's own is reached, through a link of the user, too, and stays the user's */
	(void)snprintf(path, sizeof(path), "%s/etc", home);
	assert_int_equal(chown(path, 65534, 65534), 0);
	(void)snprintf(path, sizeof(path), "%s/result", link);
	assert_int_equal(brunt_file_replace(path, "x", 1, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(brunt_journal_open("7f3a0001", 65534, 65534, path, sizeof(path), &fd, &err), 0);
	close(fd);
	(void)snprintf(path, sizeof(path), "%s/brunt", link);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_mode & 0777, 0700);
	/* what is no file stays what it is */
	(void)snprintf(path, sizeof(path), "%s/null", home);
	assert_int_equal(mkfifo(path, 0666), 0);
	assert_int_equal(brunt_file_replace(path, "x", 1, &err), -EINVAL);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	/* and root is root again */
	assert_int_equal(brunt_file_replace("/tmp/brunt-test-own", "x", 1, &err), 0);
	assert_int_equal(stat("/tmp/brunt-test-own", &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(unlink("/tmp/brunt-test-own"), 0);
	(void)snprintf(command, sizeof(command), "rm -r %s", home);
	assert_int_equal(system(command), 0);
	unsetenv("XDG_STATE_HOME");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_the_pipe_is_there_at_once_and_in_order),
		cmocka_unit_test(a_reader_that_stalls_costs_samples_but_neither_time_nor_important_lines),
		cmocka_unit_test(a_flood_of_important_lines_stays_within_the_budget_and_keeps_the_last),
		cmocka_unit_test(a_reader_that_is_gone_breaks_the_sink_without_a_signal),
		cmocka_unit_test(flush_gives_up_in_time),
		cmocka_unit_test(an_attached_sink_writes_the_rest_when_the_reader_reads),
		cmocka_unit_test(the_writer_keeps_whole_lines_and_leaves_out_a_torn_one),
		cmocka_unit_test(lines_are_in_the_file_while_the_pipe_is_still_open),
		cmocka_unit_test(a_line_without_end_is_lost_and_what_follows_is_kept),
		cmocka_unit_test(a_full_disk_loses_lines_says_so_and_never_stalls_the_writer),
		cmocka_unit_test(journals_are_made_below_xdg_state_home_and_found_again),
		cmocka_unit_test(what_root_makes_for_a_user_belongs_to_the_user),
		cmocka_unit_test(a_users_link_does_not_lead_root_to_roots_folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
