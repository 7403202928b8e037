/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the watch share: a small misbehaving HTTP server in a child
 * process, and a watch whose samples are written down. Include after cmocka.h.
 */
#pragma once

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "brunt/units.h"
#include "brunt/watch.h"

/* ---- the server ---- */

struct counters { /* shared with the child */
	atomic_int connections;
	atomic_int requests;
};

struct server {
	pid_t pid;
	int family;
	char where[100]; /* "127.0.0.1:41234", "[::1]:41234", or a path */
	struct counters *counters;
};

static struct counters *server_counters; /* in the child */

static bool server_send(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

static bool server_answer(int fd, const char *status, const char *headers, const char *body, size_t size)
{
	char head[512];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, size, headers);

	return server_send(fd, head, (size_t)n) && server_send(fd, body, size);
}

static void server_huge(int fd)
{
	static const char block[65536] = { 'x' };

	if (!server_send(fd, "HTTP/1.1 200 OK\r\n\r\n", 19))
		return;
	while (server_send(fd, block, sizeof(block)))
		;
}

/* False: the connection is over. */
static bool server_serve(int fd, const char *request)
{
	static const char json[] = "{\"a\": {\"b\": [1, 2.5, {\"c~/d\": 7}]}, \"text\": \"x\", \"\": 3}";
	static const struct linger at_once = { .l_onoff = 1 };
	char path[64] = "";

	atomic_fetch_add(&server_counters->requests, 1);
	(void)sscanf(request, "%*s %63s", path);
	if (!strcmp(path, "/ok"))
		return server_answer(fd, "200 OK", "", "hello world\n", 12);
	if (!strcmp(path, "/503"))
		return server_answer(fd, "503 Service Unavailable", "", "sorry", 5);
	if (!strcmp(path, "/204"))
		return server_send(fd, "HTTP/1.1 204 No Content\r\n\r\n", 27);
	if (!strcmp(path, "/slow"))
		return usleep(150000), server_answer(fd, "200 OK", "", "late", 4);
	if (!strcmp(path, "/json"))
		return server_answer(fd, "200 OK", "", json, sizeof(json) - 1);
	if (!strcmp(path, "/redirect"))
		return server_answer(fd, "302 Found", "Location: /ok\r\n", "", 0);
	if (!strcmp(path, "/loop"))
		return server_answer(fd, "302 Found", "Location: /loop\r\n", "", 0);
	if (!strcmp(path, "/away"))
		return server_answer(fd, "302 Found", "Location: file:///etc/passwd\r\n", "", 0);
	if (!strcmp(path, "/echo"))
		return server_answer(fd, "200 OK", "", request, strlen(request));
	if (!strcmp(path, "/zero"))
		return server_answer(fd, "200 OK", "", "a\0needle", 8);
	if (!strcmp(path, "/hang"))
		return sleep(60), false;
	if (!strcmp(path, "/huge"))
		return server_huge(fd), false;
	if (!strcmp(path, "/garbage"))
		return server_send(fd, "SSH-2.0-OpenSSH\r\n", 17), false;
	if (!strcmp(path, "/partial"))
		return server_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 44), false;
	if (!strcmp(path, "/reset")) {
		(void)server_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 44);
		usleep(20000);
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		return false;
	}
	return false;
}

/* Requests with a body come in one piece in these tests, or head first: waits for Content-Length bytes. */
static void *server_connection(void *argument)
{
	int fd = (int)(intptr_t)argument;
	char buf[8192];
	size_t size = 0;

	for (;;) {
		ssize_t n = recv(fd, buf + size, sizeof(buf) - 1 - size, 0);
		const char *end, *length;
		size_t want;

		if (n <= 0)
			break;
		size += (size_t)n;
		buf[size] = '\0';
		end = strstr(buf, "\r\n\r\n");
		if (!end)
			continue;
		length = strcasestr(buf, "content-length:");
		want = (size_t)(end + 4 - buf) + (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
		if (size < want)
			continue;
		if (!server_serve(fd, buf))
			break;
		size = 0;
	}
	close(fd);
	return NULL;
}

static void server_loop(int listener)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			_exit(1);
		atomic_fetch_add(&server_counters->connections, 1);
		if (pthread_create(&thread, NULL, server_connection, (void *)(intptr_t)fd))
			_exit(1);
		pthread_detach(thread);
	}
}

static int server_listen(struct server *server)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *address = (struct sockaddr *)&four;
	socklen_t size = sizeof(four);
	int fd = socket(server->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (server->family == AF_INET6) {
		address = (struct sockaddr *)&six;
		size = sizeof(six);
	} else if (server->family == AF_UNIX) {
		snprintf(server->where, sizeof(server->where), "/tmp/brunt-watch-test.%d.sock", (int)getpid());
		snprintf(local.sun_path, sizeof(local.sun_path), "%s", server->where);
		(void)unlink(local.sun_path);
		address = (struct sockaddr *)&local;
		size = sizeof(local);
	}
	if (fd < 0 || bind(fd, address, size) || listen(fd, 512) || getsockname(fd, address, &size)) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (server->family == AF_INET)
		snprintf(server->where, sizeof(server->where), "127.0.0.1:%d", ntohs(four.sin_port));
	if (server->family == AF_INET6)
		snprintf(server->where, sizeof(server->where), "[::1]:%d", ntohs(six.sin6_port));
	return fd;
}

/* False: this host has no such family. */
static bool server_start(struct server *server, int family)
{
	int listener;

	*server = (struct server){ .family = family };
	listener = server_listen(server);
	if (listener < 0)
		return false;
	server->counters =
		mmap(NULL, sizeof(*server->counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(server->counters, MAP_FAILED);
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid == 0) {
		server_counters = server->counters;
		server_loop(listener);
	}
	close(listener);
	return true;
}

static void server_stop(struct server *server)
{
	if (server->pid > 0) {
		kill(server->pid, SIGKILL);
		(void)waitpid(server->pid, NULL, 0);
		munmap(server->counters, sizeof(*server->counters));
		if (server->family == AF_UNIX)
			(void)unlink(server->where);
	}
	server->pid = 0;
}

/* ---- a watch that is written down ---- */

#define SAMPLES_MAX 20000
#define SLIS_MAX    128

struct lab {
	sd_event *loop;
	struct brunt_plan plan;
	struct brunt_sli slis[SLIS_MAX];
	struct brunt_service services[4];
	struct brunt_watch *watch;
	struct brunt_watch_ops ops;
	struct brunt_sample samples[SAMPLES_MAX];
	char why[SAMPLES_MAX][48];
	size_t count;
	void (*on_sample)(struct lab *lab, const struct brunt_sample *sample);
	/* commands */
	uint64_t begun[64], cancelled[64];
	size_t begun_count, cancelled_count;
	int refuse; /* errno that run_command answers */
	/* readiness */
	int ready_calls, ready_code;
	uint64_t ready_at;
	char ready_why[256];
};

static void lab_sample(void *user, const struct brunt_sample *sample)
{
	struct lab *lab = user;

	assert_true(lab->count < SAMPLES_MAX);
	lab->samples[lab->count] = *sample;
	snprintf(lab->why[lab->count], sizeof(lab->why[0]), "%s", sample->why ? sample->why : "");
	lab->samples[lab->count].why = lab->why[lab->count];
	lab->count++;
	if (lab->on_sample)
		lab->on_sample(lab, sample);
}

static int lab_run_command(void *user, uint32_t sli, uint64_t *ret_sequence, struct brunt_error *err)
{
	struct lab *lab = user;

	(void)sli;
	if (lab->refuse)
		return brunt_fail(err, lab->refuse, "no launcher");
	assert_true(lab->begun_count < BRUNT_COUNT(lab->begun));
	*ret_sequence = 1000 + lab->begun_count;
	lab->begun[lab->begun_count++] = *ret_sequence;
	return 0;
}

static void lab_cancel_command(void *user, uint64_t sequence)
{
	struct lab *lab = user;

	lab->cancelled[lab->cancelled_count++] = sequence;
}

__attribute__((unused)) static void lab_ready(void *user, uint32_t service, int code, const char *why)
{
	struct lab *lab = user;

	(void)service;
	lab->ready_calls++;
	lab->ready_code = code;
	lab->ready_at = brunt_now();
	snprintf(lab->ready_why, sizeof(lab->ready_why), "%s", why ? why : "");
}

static struct lab *lab_make(void)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	assert_true(sd_event_new(&lab->loop) >= 0);
	lab->plan.slis.items = lab->slis;
	lab->plan.services.items = lab->services;
	lab->ops = (struct brunt_watch_ops){ lab_sample, lab_run_command, lab_cancel_command };
	return lab;
}

static void lab_end(struct lab *lab)
{
	brunt_watch_free(lab->watch);
	sd_event_unref(lab->loop);
	free(lab);
}

static int lab_setup(void **state)
{
	*state = lab_make();
	return 0;
}

static int lab_teardown(void **state)
{
	lab_end(*state);
	return 0;
}

static struct brunt_sli *lab_sli(struct lab *lab, enum brunt_sli_kind kind, uint64_t every, uint64_t timeout)
{
	struct brunt_sli *sli = lab->slis + lab->plan.slis.count;

	assert_true(lab->plan.slis.count < SLIS_MAX);
	*sli = (struct brunt_sli){ .name = "site", .kind = kind, .every = every, .timeout = timeout, .factor = 1 };
	sli->index = (uint32_t)lab->plan.slis.count++;
	return sli;
}

static void lab_new(struct lab *lab)
{
	struct brunt_error err = { 0 };

	if (brunt_watch_new(lab->loop, &lab->plan, NULL, &lab->ops, lab, &lab->watch, &err))
		fail_msg("%s", err.msg);
}

static void lab_start(struct lab *lab)
{
	struct brunt_error err = { 0 };

	if (!lab->watch)
		lab_new(lab);
	if (brunt_watch_start(lab->watch, &err))
		fail_msg("%s", err.msg);
}

__attribute__((unused)) static void lab_run(struct lab *lab, uint64_t duration)
{
	uint64_t end = brunt_now() + duration, now;

	while ((now = brunt_now()) < end)
		assert_true(sd_event_run(lab->loop, (end - now) / BRUNT_US + 1) >= 0);
}

/* Runs until so many samples came; a machine with much else to do may take a while. */
static void lab_run_until(struct lab *lab, size_t count)
{
	uint64_t end = brunt_now() + 30 * BRUNT_S;

	while (lab->count < count && brunt_now() < end)
		assert_true(sd_event_run(lab->loop, 100000) >= 0);
	assert_true(lab->count >= count);
}

/* On a busy host the test itself may be late for a tick. */
__attribute__((unused)) static bool lab_was_late(const struct brunt_sample *sample)
{
	return !strncmp(sample->why, "not sampled: brunt was ", 23);
}

/* The next sample that is really taken. */
__attribute__((unused)) static const struct brunt_sample *lab_next(struct lab *lab)
{
	do {
		lab_run_until(lab, lab->count + 1);
	} while (lab_was_late(lab->samples + lab->count - 1));
	return lab->samples + lab->count - 1;
}

/* The first sample of the only SLI. */
__attribute__((unused)) static const struct brunt_sample *lab_first(struct lab *lab)
{
	const struct brunt_sample *sample;

	lab_start(lab);
	sample = lab_next(lab);
	brunt_watch_stop(lab->watch);
	return sample;
}
