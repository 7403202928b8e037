/* SPDX-License-Identifier: Apache-2.0 */
#include "target/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#define ID_SIZE 64

struct question {
	const char *name;
	char id[ID_SIZE + 1]; /* "" until found */
	char near[80];	      /* a container of a similar name */
	unsigned answered;    /* engines that did */
	unsigned refused;     /* engines that we may not ask */
	bool ambiguous;
};

static const char request[] = "GET /containers/json HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
			      "Connection: close\r\n\r\n";

/* Waits for events until the deadline; 0, -ETIMEDOUT, -errno. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = events };
		uint64_t now = brunt_now();
		int rc = now < deadline ? poll(&poll_fd, 1, (int)((deadline - now) / BRUNT_MS) + 1) : 0;

		if (rc > 0)
			return 0;
		if (!rc)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* A connection to the socket; -errno. */
static int reach(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	BRUNT_AUTO_CLOSE int fd = -1;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* A unix socket connects at once or not at all: EAGAIN when the engine accepts nobody. */
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return BRUNT_TAKE_FD(fd);
}

/* Sends the request and reads until the answer is whole. *ret_text owns it, *ret_body points into it. */
static int ask(const char *path, char **ret_text, char **ret_body, size_t *ret_size)
{
	uint64_t deadline = brunt_now() + BRUNT_ENGINE_TIMEOUT_MS * BRUNT_MS;
	BRUNT_AUTO_CLOSE int fd = reach(path);
	BRUNT_AUTO_FREE char *text = NULL;
	size_t used = 0, room = 0;
	int rc = -EAGAIN;

	if (fd < 0)
		return fd;
	/* Fits the buffer of a fresh socket as a whole. */
	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
		return -EIO;
	while (rc == -EAGAIN) {
		ssize_t got;

		if (room - used < 2) {
			size_t more = room ? 2 * room : 65536;
			char *bigger = more <= 2 * BRUNT_ENGINE_ANSWER_MAX ? realloc(text, more) : NULL;

			if (!bigger)
				return more > BRUNT_ENGINE_ANSWER_MAX ? -EMSGSIZE : -ENOMEM;
			text = bigger;
			room = more;
		}
		rc = wait_for(fd, POLLIN, deadline);
		if (rc)
			return rc;
		got = recv(fd, text + used, room - used - 1, 0);
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		used += got > 0 ? (size_t)got : 0;
		if (used > BRUNT_ENGINE_ANSWER_MAX)
			return -EMSGSIZE;
		rc = got < 0 ? -EAGAIN : brunt_engine_body(text, used, got == 0, ret_body, ret_size);
	}
	if (rc)
		return rc;
	*ret_text = BRUNT_TAKE_PTR(text);
	return 0;
}

/* The bare name of one entry: engines write "/name"; links between containers ("/a/b") are not its own. */
static const char *own_name(const json_t *value)
{
	const char *name = json_string_value(value);

	if (name && *name == '/')
		name++;
	return name && *name && !strchr(name, '/') ? name : NULL;
}

static void look_at(struct question *question, const json_t *container)
{
	const char *id = json_string_value(json_object_get(container, "Id"));
	const json_t *names = json_object_get(container, "Names");

	if (!id || strlen(id) != ID_SIZE || id[strspn(id, "0123456789abcdef")])
		return;
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = own_name(json_array_get(names, i));
		const char *const candidate[] = { name, NULL };

		if (name && !strcmp(name, question->name)) {
			if (question->id[0] && strcmp(question->id, id))
				question->ambiguous = true;
			memcpy(question->id, id, ID_SIZE + 1);
		} else if (name && !question->near[0] && brunt_suggest(question->name, candidate)) {
			snprintf(question->near, sizeof(question->near), "%.79s", name);
		}
	}
}

static void drop_json(json_t **value)
{
	json_decref(*value);
}

static void put_to(struct question *question, const char *path)
{
	BRUNT_AUTO_FREE char *text = NULL;
	BRUNT_CLEANUP(drop_json) json_t *root = NULL;
	char *body = NULL;
	size_t size = 0;
	int rc = ask(path, &text, &body, &size);

	if (rc == -EACCES || rc == -EPERM)
		question->refused++;
	if (rc)
		return; /* no engine, or one that does not answer in time */
	root = json_loadb(body, size, 0, NULL);
	if (!json_is_array(root))
		return;
	question->answered++;
	for (size_t i = 0; i < json_array_size(root); i++)
		look_at(question, json_array_get(root, i));
}

/* The sockets where engines listen by default: of the host, of the user, of who called sudo. */
static void put_to_all(struct question *question)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *sudo = getenv("SUDO_UID");
	char user[108] = "", caller[108] = "";
	bool same;

	put_to(question, "/run/docker.sock");
	put_to(question, "/run/podman/podman.sock");
	if (runtime && *runtime == '/')
		snprintf(user, sizeof(user), "%.80s/podman/podman.sock", runtime);
	if (sudo && *sudo && !sudo[strspn(sudo, "0123456789")])
		snprintf(caller, sizeof(caller), "/run/user/%.20s/podman/podman.sock", sudo);
	same = !strcmp(user, caller);
	if (*user)
		put_to(question, user);
	if (*caller && !same)
		put_to(question, caller);
}

int brunt_engine_find(const char *const *sockets, const char *name, char *id, struct brunt_error *err)
{
	struct question question = { .name = name };

	if (!sockets)
		put_to_all(&question);
	for (; sockets && *sockets; sockets++)
		put_to(&question, *sockets);
	if (question.ambiguous)
		return brunt_fail(err, E2BIG, "several engines have a container '%s'; give the id", name);
	if (question.id[0]) {
		memcpy(id, question.id, ID_SIZE + 1);
		return 0;
	}
	if (question.answered && question.near[0])
		return brunt_fail(err, ESRCH, "no container '%s' is running; '%s' is", name, question.near);
	if (question.answered)
		return brunt_fail(err, ESRCH, "no container '%s' is running", name);
	if (question.refused)
		return brunt_fail(err, EACCES, "container '%s': the engine's socket may not be opened; that takes root",
				  name);
	return brunt_fail(err, ENOTSUP, "container '%s' cannot be told: no docker or podman answers; give its id",
			  name);
}
