/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/*
 * The process of a line. Its device is one end of a socket pair that keeps
 * messages apart, as a TAP device keeps frames: it needs no rights, and the
 * other end is ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "network/impairment.h"
#include "line/line.h"

#define FRAME  (sizeof(struct virtio_net_hdr) + 60)
#define LINGER (10 * BRUNT_S)
#define BEGIN  (5 * BRUNT_S)

static struct {
	struct brunt_line *line;
	int device, ours;
} lab;

static int start_line(struct brunt_line *line, int tap, const int *keep, size_t count,
		      const struct brunt_impairment *what, uint64_t max_linger, uint64_t deadline,
		      struct brunt_error *err)
{
	int r = brunt_line_fork(line, tap, keep, count, what, max_linger, err);

	return r ? r : brunt_line_await(line, deadline, err);
}

static void start_with(const struct brunt_impairment *what, uint64_t max_linger)
{
	struct brunt_impairment with_limit = *what;
	struct brunt_error err = { 0 };
	int pair[2];

	with_limit.limit = 1000;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	lab.device = pair[0];
	lab.ours = pair[1];
	assert_int_equal(brunt_line_new(&lab.line, &err), 0);
	if (start_line(lab.line, lab.device, NULL, 0, &with_limit, max_linger, brunt_now() + BEGIN, &err))
		fail_msg("%s", err.msg);
	close(lab.device); /* the line alone has it, as it would when we are gone */
	lab.device = -1;
}

static void start(const struct brunt_impairment *what)
{
	start_with(what, LINGER);
}

static void end(void)
{
	brunt_line_free(lab.line);
	close(lab.ours);
}

static void send_frame(uint32_t number)
{
	unsigned char frame[FRAME] = { 0 };

	memset(frame + sizeof(struct virtio_net_hdr), 7, 60);
	memcpy(frame + FRAME - sizeof(number), &number, sizeof(number));
	assert_int_equal(send(lab.ours, frame, sizeof(frame), MSG_NOSIGNAL), sizeof(frame));
}

/* The number of the next frame that comes back, within ms; -1: none. */
static int receive_within(int ms)
{
	struct pollfd event = { .fd = lab.ours, .events = POLLIN };
	unsigned char frame[FRAME + 1];
	uint32_t number;
	ssize_t size;

	if (poll(&event, 1, ms) <= 0)
		return -1;
	size = recv(lab.ours, frame, sizeof(frame), MSG_DONTWAIT);
	if (size <= 0)
		return -1; /* the other end was closed */
	assert_int_equal(size, FRAME);
	memcpy(&number, frame + FRAME - sizeof(number), sizeof(number));
	return (int)number;
}

static void assert_received(int first, int count)
{
	for (int i = first; i < first + count; i++)
		assert_int_equal(receive_within(5000), i);
}

static bool ends_within(uint64_t ns)
{
	uint64_t until = brunt_now() + ns;

	while (brunt_line_ended(lab.line))
		if (brunt_now() > until)
			return false;
		else
			usleep(1000);
	return true;
}

/* What the line tells, as soon as it has told that so many were sent. */
static struct brunt_line_stats stats_after(uint64_t sent)
{
	struct brunt_line_stats seen;

	for (int i = 0; i < 10000; i++) {
		brunt_line_read(lab.line, &seen);
		if (seen.sent >= sent)
			break;
		usleep(1000);
	}
	return seen;
}

static struct brunt_line_stats stats(void)
{
	struct brunt_line_stats seen;

	usleep(5000); /* the line tells them once for each turn */
	brunt_line_read(lab.line, &seen);
	return seen;
}

/* ---- packets ---- */

static void a_frame_comes_back_when_it_is_due(void **state)
{
	struct brunt_impairment what = { .delay = 30 * BRUNT_MS };
	uint64_t sent, took, best = UINT64_MAX;

	(void)state;
	start(&what);
	for (int i = 0; i < 10; i++) {
		sent = brunt_now();
		send_frame((uint32_t)i);
		assert_int_equal(receive_within(5000), i);
		took = brunt_now() - sent;
		assert_true(took >= 30 * BRUNT_MS);
		best = took < best ? took : best;
	}
	assert_true(best < 60 * BRUNT_MS);
	end();
}

static void the_order_is_kept(void **state)
{
	struct brunt_impairment what = { .delay = 20 * BRUNT_MS };

	(void)state;
	start(&what);
	for (uint32_t i = 0; i < 100; i++)
		send_frame(i);
	assert_received(0, 100);
	assert_int_equal(stats_after(100).sent, 100);
	assert_int_equal(stats().packets, 100);
	assert_int_equal(stats().bytes, 6000);
	assert_int_equal(stats().waiting, 0);
	end();
}

static void what_is_lost_does_not_come_back(void **state)
{
	struct brunt_impairment what = { .loss = 0.5, .seed = 3 };
	int left, number, before = -1;

	(void)state;
	start(&what);
	for (uint32_t i = 0; i < 100; i++)
		send_frame(i);
	for (int i = 0; i < 2000 && stats().packets < 100; i++)
		;
	left = 100 - (int)stats().lost;
	assert_in_range(left, 20, 80);
	for (; left; left--) {
		number = receive_within(5000);
		assert_true(number > before);
		before = number;
	}
	assert_int_equal(receive_within(100), -1);
	end();
}

static void other_parameters_hold_for_the_next_packet(void **state)
{
	struct brunt_impairment what = { .delay = 3 * BRUNT_S, .limit = 1000 };
	int sent = 0, number;

	(void)state;
	start(&what);
	send_frame(0);
	while (stats().waiting < 1)
		;
	what.delay = 0;
	brunt_line_change(lab.line, &what);
	do { /* the first ones may be quicker than the line is to see it */
		send_frame((uint32_t)++sent);
		number = receive_within(100);
	} while (number < 0 && sent < 20);
	assert_true(number > 0);
	while ((number = receive_within(10000)) > 0)
		;
	assert_int_equal(number, 0);
	end();
}

/* ---- ends ---- */

static void stopping_sends_what_waits(void **state)
{
	struct brunt_impairment what = { .delay = 2 * BRUNT_S };

	(void)state;
	start(&what);
	for (uint32_t i = 0; i < 50; i++)
		send_frame(i);
	brunt_line_stop(lab.line, true);
	assert_int_equal(brunt_line_ended(lab.line), -EAGAIN);
	assert_received(0, 50);
	assert_true(ends_within(10 * BRUNT_S));
	assert_int_equal(brunt_line_pid(lab.line), 0);
	assert_int_equal(stats().waiting, 0);
	end();
}

static void stopping_at_once_drops_and_counts(void **state)
{
	struct brunt_impairment what = { .delay = 60 * BRUNT_S };

	(void)state;
	start(&what);
	for (uint32_t i = 0; i < 50; i++)
		send_frame(i);
	while (stats().waiting < 50)
		;
	brunt_line_stop(lab.line, false);
	assert_true(ends_within(10 * BRUNT_S));
	assert_int_equal(stats().waiting, 50);
	assert_int_equal(receive_within(0), -1);
	end();
}

static void at_the_end_of_the_linger_the_rest_goes_early(void **state)
{
	struct brunt_impairment what = { .delay = 60 * BRUNT_S };
	uint64_t began;

	(void)state;
	start_with(&what, 200 * BRUNT_MS);
	for (uint32_t i = 0; i < 50; i++)
		send_frame(i);
	while (stats().waiting < 50)
		;
	began = brunt_now();
	brunt_line_stop(lab.line, true);
	assert_received(0, 50);
	assert_true(brunt_now() - began >= 190 * BRUNT_MS);
	assert_true(ends_within(10 * BRUNT_S));
	end();
}

/* More than the other end takes at once: what does not get in is tried again. */
static void a_full_device_loses_nothing(void **state)
{
	struct brunt_impairment what = { .delay = 60 * BRUNT_S };

	(void)state;
	start_with(&what, 100 * BRUNT_MS);
	for (uint32_t i = 0; i < 600; i++)
		send_frame(i);
	while (stats().waiting < 600)
		;
	brunt_line_stop(lab.line, true);
	assert_received(0, 600);
	assert_int_equal(stats().failed, 0);
	assert_true(ends_within(10 * BRUNT_S));
	end();
}

static void one_that_takes_nothing_holds_nobody_up(void **state)
{
	struct brunt_impairment what = { .delay = 60 * BRUNT_S };

	(void)state;
	start_with(&what, 100 * BRUNT_MS);
	for (uint32_t i = 0; i < 600; i++)
		send_frame(i);
	while (stats().waiting < 600)
		;
	brunt_line_stop(lab.line, true);
	assert_true(ends_within(10 * BRUNT_S)); /* and nobody reads */
	assert_true(stats().failed > 0);
	assert_int_equal(stats().failed + stats().sent, 600);
	end();
}

static void a_drain_can_become_a_drop(void **state)
{
	struct brunt_impairment what = { .delay = 60 * BRUNT_S };

	(void)state;
	start_with(&what, 60 * BRUNT_S);
	send_frame(0);
	while (stats().waiting < 1)
		;
	brunt_line_stop(lab.line, true);
	assert_false(ends_within(100 * BRUNT_MS));
	brunt_line_stop(lab.line, false);
	assert_true(ends_within(10 * BRUNT_S));
	end();
}

/* A holder of its own, so that it can die; the frames come back to us. */
static pid_t fork_holder(const struct brunt_impairment *what, pid_t *ret_line)
{
	pid_t *line = mmap(NULL, sizeof(*line), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pair[2];
	pid_t holder;

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* its orphan becomes our child, as the recoverer's */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	lab.ours = pair[1];
	holder = fork();
	if (!holder) {
		struct brunt_impairment with_limit = *what;
		struct brunt_line *made = NULL;

		with_limit.limit = 1000;
		if (brunt_line_new(&made, NULL) ||
		    start_line(made, pair[0], NULL, 0, &with_limit, LINGER, brunt_now() + BEGIN, NULL))
			_exit(1);
		*line = brunt_line_pid(made);
		for (;;)
			pause();
	}
	close(pair[0]);
	for (int i = 0; i < 20000 && !*(volatile pid_t *)line; i++)
		usleep(1000);
	*ret_line = *line;
	assert_true(*line > 0);
	munmap(line, sizeof(*line));
	return holder;
}

static void nothing_is_lost_when_the_holder_is_killed(void **state)
{
	struct brunt_impairment what = { .delay = 2 * BRUNT_S };
	pid_t line, holder = fork_holder(&what, &line);

	(void)state;
	for (uint32_t i = 0; i < 50; i++)
		send_frame(i);
	usleep(20000);
	kill(holder, SIGKILL);
	assert_int_equal(waitpid(holder, NULL, 0), holder);
	/* the kernel steers on for a while */
	for (uint32_t i = 50; i < 100; i++)
		send_frame(i);
	assert_received(0, 100);
	assert_int_equal(waitpid(line, NULL, 0), line);
	close(lab.ours);
}

static void it_ends_when_its_device_is_gone(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_S };

	(void)state;
	start(&what);
	close(lab.ours);
	assert_true(ends_within(10 * BRUNT_S));
	lab.ours = -1;
	end();
}

static void one_that_hangs_is_killed_with_free(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_S };
	pid_t pid;

	(void)state;
	start(&what);
	pid = brunt_line_pid(lab.line);
	kill(pid, SIGSTOP);
	brunt_line_stop(lab.line, true);
	end();
	assert_true(kill(pid, 0) && errno == ESRCH);
}

static void one_that_is_stopped_is_killed_soon_when_it_is_to_drop(void **state)
{
	struct brunt_impairment what = { .delay = 60 * BRUNT_S };

	(void)state;
	start_with(&what, 60 * BRUNT_S);
	send_frame(0);
	while (stats().waiting < 1)
		;
	kill(brunt_line_pid(lab.line), SIGSTOP);
	brunt_line_stop(lab.line, true);
	assert_false(ends_within(200 * BRUNT_MS));
	assert_int_equal(brunt_line_hurry(lab.line), 1);
	assert_true(ends_within(10 * BRUNT_S));
	assert_int_equal(stats().failed, 0); /* the one who was in a hurry has counted it */
	end();
}

static void one_that_is_stopped_is_killed_when_it_is_late(void **state)
{
	struct brunt_impairment what = { .delay = 60 * BRUNT_S };

	(void)state;
	start_with(&what, 100 * BRUNT_MS);
	send_frame(0);
	while (stats().waiting < 1)
		;
	kill(brunt_line_pid(lab.line), SIGSTOP);
	brunt_line_stop(lab.line, true);
	assert_false(ends_within(200 * BRUNT_MS));
	assert_true(ends_within(10 * BRUNT_S));
	assert_int_equal(stats().failed, 1); /* and what waited in it is counted, once */
	end();
}

static void it_can_be_started_again_and_counts_on(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_MS, .limit = 10 };
	int pair[2];

	(void)state;
	start(&what);
	send_frame(0);
	assert_received(0, 1);
	brunt_line_stop(lab.line, true);
	assert_true(ends_within(10 * BRUNT_S));
	close(lab.ours);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(start_line(lab.line, pair[0], NULL, 0, &what, LINGER, brunt_now() + BEGIN, NULL), 0);
	close(pair[0]);
	lab.ours = pair[1];
	send_frame(1);
	assert_received(1, 1);
	assert_int_equal(stats_after(2).packets, 2);
	end();
}

/* ---- heart ---- */

static bool becomes(bool alive, uint64_t max_silence)
{
	for (int i = 0; i < 5000; i++) {
		if (brunt_line_alive(lab.line, max_silence) == alive)
			return true;
		usleep(1000);
	}
	return false;
}

static void a_stopped_line_is_not_alive_and_later_sends_what_waited(void **state)
{
	struct brunt_impairment what = { .delay = 10 * BRUNT_MS };
	uint64_t began;

	(void)state;
	start(&what);
	assert_true(becomes(true, 200 * BRUNT_MS));
	kill(brunt_line_pid(lab.line), SIGSTOP);
	began = brunt_now();
	for (uint32_t i = 0; i < 20; i++)
		send_frame(i);
	assert_true(becomes(false, 200 * BRUNT_MS));
	assert_true(brunt_now() - began < 4 * BRUNT_S);
	assert_int_equal(receive_within(0), -1);
	kill(brunt_line_pid(lab.line), SIGCONT);
	assert_received(0, 20);
	assert_true(becomes(true, 200 * BRUNT_MS));
	end();
}

static void an_idle_line_beats(void **state)
{
	struct brunt_impairment what = { .delay = 10 * BRUNT_MS };
	int alive = 0;

	(void)state;
	start(&what);
	/* from one beat alone it would be so for twenty looks */
	for (int i = 0; i < 2000 && alive < 100; i++) {
		usleep(5000);
		alive += brunt_line_alive(lab.line, 5 * BRUNT_LINE_BEAT);
	}
	assert_int_equal(alive, 100);
	end();
}

static void a_dead_line_is_not_alive(void **state)
{
	struct brunt_impairment what = { .delay = 10 * BRUNT_MS };

	(void)state;
	start(&what);
	kill(brunt_line_pid(lab.line), SIGKILL);
	assert_true(becomes(false, 1000 * BRUNT_S)); /* not by its silence */
	assert_true(ends_within(10 * BRUNT_S));
	assert_false(brunt_line_alive(lab.line, 1000 * BRUNT_S));
	end();
}

/* ---- rights ---- */

static uint64_t status_number(pid_t pid, const char *key, int base)
{
	char path[64], line[256];
	uint64_t value = UINT64_MAX;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			value = strtoull(line + strlen(key), NULL, base);
	(void)fclose(file);
	return value;
}

static void it_has_no_rights_and_nothing_open(void **state)
{
	struct brunt_impairment what = { .delay = 10 * BRUNT_MS };
	const struct dirent *entry;
	char path[64];
	int count = 0;
	DIR *dir;

	(void)state;
	start(&what);
	assert_int_equal(status_number(brunt_line_pid(lab.line), "CapEff:", 16) & ~(UINT64_C(1) << 14), 0);
	assert_int_equal(status_number(brunt_line_pid(lab.line), "CapPrm:", 16) & ~(UINT64_C(1) << 14), 0);
	assert_int_equal(status_number(brunt_line_pid(lab.line), "NoNewPrivs:", 10), 1);
	assert_int_equal(status_number(brunt_line_pid(lab.line), "Seccomp:", 10), 2); /* a filter */
	assert_int_equal(status_number(brunt_line_pid(lab.line), "Threads:", 10), 1);
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)brunt_line_pid(lab.line));
	dir = opendir(path);
	if (dir) { /* root's alone: the process is not dumpable */
		while ((entry = readdir(dir)))
			count += entry->d_name[0] != '.';
		(void)closedir(dir);
		assert_int_equal(count, 5); /* /dev/null three times, the device, the socket */
	}
	end();
}

static void what_has_to_stay_open_does(void **state)
{
	struct brunt_impairment what = { .delay = 10 * BRUNT_MS, .limit = 10 };
	struct brunt_line *line = NULL;
	int pair[2], ends[2];
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(brunt_line_new(&line, NULL), 0);
	assert_int_equal(start_line(line, pair[0], &ends[1], 1, &what, LINGER, brunt_now() + BEGIN, NULL), 0);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), -1); /* somebody has the other end */
	assert_int_equal(errno, EAGAIN);
	brunt_line_stop(line, true);
	for (int i = 0; i < 5000 && brunt_line_ended(line); i++)
		usleep(1000);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	brunt_line_free(line);
	close(ends[0]);
	close(pair[0]);
	close(pair[1]);
}

/* ---- refusals ---- */

static void what_it_cannot_do_is_named(void **state)
{
	struct brunt_impairment slot = { .slot.set = true }, ecn = { .ecn = true, .loss = 0.1 };
	struct brunt_impairment all = { .delay = 1,
					.jitter = 1,
					.loss_model = BRUNT_LOSS_GEMODEL,
					.duplicate = 1,
					.corrupt = 1,
					.reorder = 1,
					.gap = 3,
					.rate = 1 };
	struct brunt_error err = { 0 };

	(void)state;
	assert_int_equal(brunt_line_supports(&slot, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "'slot'"));
	assert_int_equal(brunt_line_supports(&ecn, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "'ecn'"));
	assert_int_equal(brunt_line_supports(&all, &err), 0);
}

static void a_line_that_cannot_begin_says_so(void **state)
{
	struct brunt_impairment what = { .delay = 1, .limit = 10, .slot.set = true };
	struct brunt_error err = { 0 };
	struct brunt_line *line = NULL;
	int many[BRUNT_LINE_KEEP_MAX + 1] = { 0 };

	(void)state;
	assert_int_equal(brunt_line_new(&line, NULL), 0);
	assert_int_equal(start_line(line, 0, NULL, 0, &what, LINGER, brunt_now() + BEGIN, &err), -ENOTSUP);
	what.slot.set = false;
	assert_int_equal(start_line(line, 0, many, BRUNT_COUNT(many), &what, LINGER, brunt_now() + BEGIN, &err),
			 -E2BIG);
	assert_int_equal(brunt_line_pid(line), 0);
	assert_int_equal(brunt_line_ended(line), 0);
	assert_false(brunt_line_alive(line, UINT64_MAX));
	brunt_line_stop(line, true);
	brunt_line_free(line);
	brunt_line_free(NULL);
}

static void nobody_waits_for_one_that_does_not_begin(void **state)
{
	const struct brunt_impairment what = { .limit = 10 };
	struct brunt_line *line = NULL;
	struct brunt_error err = { 0 };
	int pair[2], r = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < 20 && !r; i++) { /* it may have begun before anybody looks */
		brunt_line_free(line);
		assert_int_equal(brunt_line_new(&line, &err), 0);
		r = start_line(line, pair[0], NULL, 0, &what, LINGER, brunt_now(), &err);
	}
	assert_int_equal(r, -ETIMEDOUT);
	assert_int_equal(brunt_line_pid(line), 0);
	brunt_line_free(line);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_comes_back_when_it_is_due),
		cmocka_unit_test(the_order_is_kept),
		cmocka_unit_test(what_is_lost_does_not_come_back),
		cmocka_unit_test(other_parameters_hold_for_the_next_packet),
		cmocka_unit_test(stopping_sends_what_waits),
		cmocka_unit_test(stopping_at_once_drops_and_counts),
		cmocka_unit_test(at_the_end_of_the_linger_the_rest_goes_early),
		cmocka_unit_test(a_full_device_loses_nothing),
		cmocka_unit_test(one_that_takes_nothing_holds_nobody_up),
		cmocka_unit_test(a_drain_can_become_a_drop),
		cmocka_unit_test(nothing_is_lost_when_the_holder_is_killed),
		cmocka_unit_test(it_ends_when_its_device_is_gone),
		cmocka_unit_test(one_that_hangs_is_killed_with_free),
		cmocka_unit_test(one_that_is_stopped_is_killed_soon_when_it_is_to_drop),
		cmocka_unit_test(one_that_is_stopped_is_killed_when_it_is_late),
		cmocka_unit_test(it_can_be_started_again_and_counts_on),
		cmocka_unit_test(a_stopped_line_is_not_alive_and_later_sends_what_waited),
		cmocka_unit_test(an_idle_line_beats),
		cmocka_unit_test(a_dead_line_is_not_alive),
		cmocka_unit_test(it_has_no_rights_and_nothing_open),
		cmocka_unit_test(what_has_to_stay_open_does),
		cmocka_unit_test(what_it_cannot_do_is_named),
		cmocka_unit_test(a_line_that_cannot_begin_says_so),
		cmocka_unit_test(nobody_waits_for_one_that_does_not_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
