/* SPDX-License-Identifier: Apache-2.0 */
/* A container engine made up for the purpose: a thread that answers on a unix socket. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/units.h"
#include "target/engine.h"

#define ID_A "aaaa000000000000000000000000000000000000000000000000000000000001"
#define ID_B "bbbb000000000000000000000000000000000000000000000000000000000002"
#define LIST "[{\"Id\":\"" ID_A "\",\"Names\":[\"/web/db\",\"/redis\"]},{\"Id\":\"" ID_B "\",\"Names\":[\"/cache\"]}]"

static char path[] = "/tmp/brunt-engine-XXXXXX";

struct engine {
	pthread_t thread;
	int fd;
	char file[64];
	const char *answer;
	size_t pace; /* bytes sent at a time */
	bool silent; /* never answers, keeps the connection until the other end goes */
};

static void *serve(void *with)
{
	struct engine *engine = with;
	int fd = accept(engine->fd, NULL, NULL);
	size_t size = strlen(engine->answer);
	char request[1024];
	ssize_t got;

	if (fd < 0)
		return NULL;
	got = recv(fd, request, sizeof(request) - 1, 0);
	request[got > 0 ? got : 0] = '\0';
	if (engine->silent)
		(void)recv(fd, request, sizeof(request), 0);
	else if (!strncmp(request, "GET /containers/json HTTP/1.1\r\n", 31) && strstr(request, "\r\nHost: "))
		for (size_t at = 0; at < size; at += engine->pace) {
			size_t more = size - at < engine->pace ? size - at : engine->pace;

			if (send(fd, engine->answer + at, more, MSG_NOSIGNAL) < 0)
				break;
			if (engine->pace < 100)
				usleep(200);
		}
	close(fd);
	return NULL;
}

static void open_engine(struct engine *engine, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(engine->file, sizeof(engine->file), "%s/%s", path, name);
	memcpy(address.sun_path, engine->file, strlen(engine->file) + 1);
	engine->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(engine->fd >= 0);
	assert_int_equal(bind(engine->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(engine->fd, 4), 0);
	assert_int_equal(pthread_create(&engine->thread, NULL, serve, engine), 0);
}

static void close_engine(struct engine *engine)
{
	assert_int_equal(pthread_join(engine->thread, NULL), 0);
	close(engine->fd);
	unlink(engine->file);
}

static int ask(struct engine engine, const char *name, char *id, struct brunt_error *err)
{
	const char *const sockets[] = { engine.file, NULL };
	int rc;

	engine.pace = engine.pace ? engine.pace : 65536;
	open_engine(&engine, "a");
	rc = brunt_engine_find(sockets, name, id, err);
	close_engine(&engine);
	return rc;
}

#define OK "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static void a_name_is_found_in_every_way_to_frame_an_answer(void **state)
{
	char length[1024], chunked[1024], id[65];
	const char *const answers[] = { length, chunked, OK "\r\n" LIST };
	struct brunt_error err = { 0 };
	size_t half = strlen(LIST) / 2;

	(void)state;
	snprintf(length, sizeof(length), OK "content-length: %zu\r\n\r\n%s", strlen(LIST), LIST);
	snprintf(chunked, sizeof(chunked),
		 OK "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%.*s\r\n%zX;x=y\r\n%s\r\n0\r\n\r\n", half, (int)half,
		 LIST, strlen(LIST) - half, &LIST[half]);
	for (size_t i = 0; i < 3; i++) {
		for (size_t pace = 7; pace < 100000; pace *= 100) {
			memset(id, 0, sizeof(id));
			assert_int_equal(ask((struct engine){ .answer = answers[i], .pace = pace }, "redis", id, &err),
					 0);
			assert_string_equal(id, ID_A);
		}
	}
}

static void an_unknown_name_is_told_with_its_neighbour(void **state)
{
	struct brunt_error err = { 0 };
	char id[65];

	(void)state;
	assert_int_equal(ask((struct engine){ .answer = OK "\r\n" LIST }, "rediss", id, &err), -ESRCH);
	assert_string_equal(err.msg, "no container 'rediss' is running; 'redis' is");
	/* A link's name is not the container's. */
	assert_int_equal(ask((struct engine){ .answer = OK "\r\n" LIST }, "web/db", id, &err), -ESRCH);
}

static void nonsense_is_no_engine(void **state)
{
	static const char *const answers[] = {
		"",
		"x",
		"HTTP/1.1 500 no\r\n\r\n" LIST,
		OK "Content-Length: 5000\r\n\r\n" LIST,
		OK "Content-Length: -1\r\n\r\n" LIST,
		OK "Content-Length: 99999999999999999999\r\n\r\n" LIST,
		OK "Transfer-Encoding: chunked\r\n\r\nzz\r\n" LIST,
		OK "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" LIST,
		OK "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n",
		OK "\r\n{}",
		OK "\r\n[",
		OK "\r\n",
	};
	struct brunt_error err = { 0 };
	char id[65];

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		int rc = ask((struct engine){ .answer = answers[i] }, "redis", id, &err);

		if (rc != -ENOTSUP)
			fail_msg("%d for: %s", rc, answers[i]);
		assert_non_null(strstr(err.msg, "no docker or podman answers"));
	}
	assert_int_equal(ask((struct engine){ .answer = OK "\r\n[1,null,{},{\"Id\":5,\"Names\":[7]},{\"Id\":\"ab\"}]" },
			     "redis", id, &err),
			 -ESRCH);
}

static void a_silent_engine_is_left_after_two_seconds(void **state)
{
	uint64_t before = brunt_now();
	struct brunt_error err = { 0 };
	char id[65];

	(void)state;
	assert_int_equal(ask((struct engine){ .answer = "", .silent = true }, "redis", id, &err), -ENOTSUP);
	assert_true(brunt_now() - before >= 1900 * BRUNT_MS);
	assert_true(brunt_now() - before < 20 * BRUNT_S);
}

static void the_same_name_in_two_engines_is_ambiguous(void **state)
{
	struct engine one = { .answer = OK "\r\n" LIST, .pace = 65536 };
	struct engine two = { .answer = OK "\r\n[{\"Id\":\"" ID_B "\",\"Names\":[\"/redis\"]}]", .pace = 65536 };
	const char *const sockets[] = { one.file, "/nowhere/socket", two.file, NULL };
	struct brunt_error err = { 0 };
	char id[65];

	(void)state;
	open_engine(&one, "one");
	open_engine(&two, "two");
	assert_int_equal(brunt_engine_find(sockets, "redis", id, &err), -E2BIG);
	assert_non_null(strstr(err.msg, "give the id"));
	close_engine(&one);
	close_engine(&two);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(path) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_found_in_every_way_to_frame_an_answer),
		cmocka_unit_test(an_unknown_name_is_told_with_its_neighbour),
		cmocka_unit_test(nonsense_is_no_engine),
		cmocka_unit_test(a_silent_engine_is_left_after_two_seconds),
		cmocka_unit_test(the_same_name_in_two_engines_is_ambiguous),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
