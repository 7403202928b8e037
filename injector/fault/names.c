/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/units.h"

#define EVERY_DEFAULT (10 * BRUNT_S)
#define EXPANDED_MAX  1024

struct address {
	uint8_t family; /* 4 or 6 */
	uint8_t bytes[16];
};

/* What the child says of one name: fixed size, so that there is nothing to parse. */
struct answer {
	uint32_t name; /* index */
	int32_t code;  /* of getaddrinfo() */
	uint32_t count;
	struct address addresses[BRUNT_NAMES_ADDRESSES];
};

struct brunt_names {
	const char *name[BRUNT_NAMES_MAX]; /* in the endpoints */
	size_t count;
	struct answer answer[BRUNT_NAMES_MAX];
	bool known[BRUNT_NAMES_MAX];
	struct brunt_names_params params;
	pid_t target, child;
	int socket;
	struct brunt_endpoint expanded[EXPANDED_MAX];
};

static const struct brunt_value vias[] = {
	{ "host", BRUNT_NAMES_HOST, "as brunt itself does" },
	{ "target", BRUNT_NAMES_TARGET, "as the target does: its hosts file, its resolver, its network" },
	{ 0 },
};

static const struct brunt_param names_params[] = {
	BRUNT_ENUM(struct brunt_names_params, via, .def = "host", .values = vias, .help = "whose view of names counts"),
	BRUNT_DURATION(struct brunt_names_params, every, .def = "10s", .min = 0.1 * BRUNT_S, .max = 3600.0 * BRUNT_S,
		       .help = "how often they are looked up again"),
	{ 0 },
};

const struct brunt_table brunt_names_table = {
	.name = "names",
	.help = "how the host names among the endpoints are looked up",
	.params = names_params,
	.size = sizeof(struct brunt_names_params),
};

/* ---- the child ---- */

static void add_address(struct answer *answer, const struct sockaddr *from)
{
	struct address address = { 0 };

	if (from->sa_family == AF_INET) {
		address.family = 4;
		memcpy(address.bytes, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	} else if (from->sa_family == AF_INET6) {
		address.family = 6;
		memcpy(address.bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
	} else {
		return;
	}
	for (uint32_t i = 0; i < answer->count; i++)
		if (!memcmp(&answer->addresses[i], &address, sizeof(address)))
			return;
	if (answer->count < BRUNT_NAMES_ADDRESSES)
		answer->addresses[answer->count++] = address;
}

static int compare(const void *one, const void *other)
{
	return memcmp(one, other, sizeof(struct address));
}

/* Resolvers shuffle their answers: sorted, the same addresses look the same. */
static void look_up(const char *name, uint32_t index, struct answer *ret)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;

	memset(ret, 0, sizeof(*ret));
	ret->name = index;
	ret->code = getaddrinfo(name, NULL, &hints, &found);
	for (const struct addrinfo *at = found; at; at = at->ai_next)
		add_address(ret, at->ai_addr);
	if (found)
		freeaddrinfo(found);
	qsort(ret->addresses, ret->count, sizeof(ret->addresses[0]), compare);
}

/* The target's network, mounts and root: all opened before the first is entered. */
static int enter_target(pid_t target)
{
	BRUNT_AUTO_CLOSE int net = -1, mounts = -1, root = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)target);
	net = open(path, O_RDONLY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)target);
	mounts = open(path, O_RDONLY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)target);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (net < 0 || mounts < 0 || root < 0)
		return -errno;
	if (setns(net, CLONE_NEWNET) || setns(mounts, CLONE_NEWNS) || fchdir(root) || chroot("."))
		return -errno;
	return 0;
}

static _Noreturn void child_main(const struct brunt_names *names, int socket)
{
	/* Whoever asks for names needs no rights at all: nobody, whoever started brunt. */
	const struct brunt_identity nobody = { .uid = 65534, .gid = 65534, .name = "nobody", .privileged = !geteuid() };
	struct pollfd wait = { .fd = socket, .events = POLLIN };

	if (names->target && enter_target(names->target))
		_exit(1);
	if (brunt_role_enter(BRUNT_ROLE_RESOLVER, &nobody, 0, &socket, 1, NULL))
		_exit(1);
	for (;;) {
		for (uint32_t i = 0; i < names->count; i++) {
			struct answer answer;

			look_up(names->name[i], i, &answer);
			if (send(socket, &answer, sizeof(answer), MSG_NOSIGNAL) != (ssize_t)sizeof(answer))
				_exit(0);
		}
		/* Nobody writes: what comes is the end. */
		if (poll(&wait, 1, (int)(names->params.every / BRUNT_MS)) > 0)
			_exit(0);
	}
}

/* ---- the holder's side ---- */

bool brunt_names_are_used(const struct brunt_list *const *lists, size_t count)
{
	for (size_t i = 0; i < count; i++)
		BRUNT_FOREACH (const struct brunt_endpoint, endpoint, *lists[i])
			if (endpoint->host[0])
				return true;
	return false;
}

static size_t index_of(const struct brunt_names *names, const char *name)
{
	size_t i;

	for (i = 0; i < names->count && strcasecmp(names->name[i], name); i++)
		;
	return i;
}

static int collect(struct brunt_names *names, const struct brunt_list *list, struct brunt_error *err)
{
	BRUNT_FOREACH (const struct brunt_endpoint, endpoint, *list) {
		size_t i;

		if (!endpoint->host[0])
			continue;
		i = index_of(names, endpoint->host);
		if (i == BRUNT_NAMES_MAX)
			return brunt_fail(err, E2BIG, "more than %d host names in one fault", BRUNT_NAMES_MAX);
		if (i == names->count)
			names->name[names->count++] = endpoint->host;
	}
	return 0;
}

static int fork_child(struct brunt_names *names, struct brunt_error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return brunt_fail(err, errno, "cannot make a socket for the resolver: %s", strerror(errno));
	names->child = fork();
	if (!names->child)
		child_main(names, pair[1]);
	close(pair[1]);
	names->socket = pair[0];
	if (names->child < 0)
		return brunt_fail(err, errno, "cannot fork the resolver: %s", strerror(errno));
	return 0;
}

static void cleanup_names(struct brunt_names **names)
{
	brunt_names_stop(*names);
}

int brunt_names_start(const struct brunt_list *const *lists, size_t count, const struct brunt_names_params *params,
		      pid_t target, struct brunt_names **ret, struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_names) struct brunt_names *names = calloc(1, sizeof(*names));
	int r = 0;

	if (!names)
		return brunt_fail(err, ENOMEM, "no memory for host names");
	names->socket = -1;
	names->params = params ? *params : (struct brunt_names_params){ .every = EVERY_DEFAULT };
	names->target = names->params.via == BRUNT_NAMES_TARGET ? target : 0;
	for (size_t i = 0; i < count && !r; i++)
		r = collect(names, lists[i], err);
	r = r ?: fork_child(names, err);
	if (r)
		return r;
	*ret = BRUNT_TAKE_PTR(names);
	return 0;
}

/* A name that is not found (for now) keeps the addresses that it had: a fault must not end because a resolver is ill. */
static bool take_answer(struct brunt_names *names, const struct answer *answer)
{
	struct answer *known;
	bool changed;

	if (answer->name >= names->count || answer->count > BRUNT_NAMES_ADDRESSES)
		return false;
	known = &names->answer[answer->name];
	names->known[answer->name] = true;
	if (!answer->count) {
		known->code = answer->code;
		return false;
	}
	changed = memcmp(known->addresses, answer->addresses, sizeof(known->addresses)) != 0;
	*known = *answer;
	return changed;
}

bool brunt_names_take(struct brunt_names *names)
{
	bool changed = false;

	for (size_t i = 0; i < BRUNT_NAMES_MAX; i++) {
		struct answer answer;

		if (recv(names->socket, &answer, sizeof(answer), MSG_DONTWAIT) != (ssize_t)sizeof(answer))
			break;
		changed |= take_answer(names, &answer);
	}
	return changed;
}

static size_t first_unknown(const struct brunt_names *names)
{
	size_t i;

	for (i = 0; i < names->count && names->known[i]; i++)
		;
	return i;
}

int brunt_names_await(struct brunt_names *names, uint64_t until, struct brunt_error *err)
{
	while (first_unknown(names) < names->count) {
		struct pollfd wait = { .fd = names->socket, .events = POLLIN };
		uint64_t now = brunt_now();

		if (now >= until)
			return brunt_fail(err, ETIMEDOUT, "looking up '%s' takes too long",
					  names->name[first_unknown(names)]);
		if (poll(&wait, 1, (int)((until - now) / BRUNT_MS) + 1) < 0 && errno != EINTR)
			return brunt_fail(err, errno, "cannot wait for the resolver: %s", strerror(errno));
		(void)brunt_names_take(names);
		if (wait.revents & POLLHUP && first_unknown(names) < names->count)
			return brunt_fail(err, ESRCH, "the resolver is gone%s",
					  names->target ? ": the target's namespaces could not be entered" : "");
	}
	for (size_t i = 0; i < names->count; i++)
		if (!names->answer[i].count)
			return brunt_fail(err, ENOENT, "'%s' has no address: %s", names->name[i],
					  gai_strerror(names->answer[i].code));
	return 0;
}

static int add(struct brunt_names *names, size_t *count, const struct brunt_endpoint *endpoint, struct brunt_error *err)
{
	if (*count == EXPANDED_MAX)
		return brunt_fail(err, E2BIG, "the names stand for more than %d addresses", EXPANDED_MAX);
	names->expanded[(*count)++] = *endpoint;
	return 0;
}

int brunt_names_expand(struct brunt_names *names, const struct brunt_list *list, struct brunt_list *ret,
		       struct brunt_error *err)
{
	size_t count = 0;

	BRUNT_FOREACH (const struct brunt_endpoint, from, *list) {
		struct brunt_endpoint endpoint = *from;
		const struct answer *answer;
		int r = 0;

		if (!from->host[0])
			r = add(names, &count, from, err);
		answer = from->host[0] ? &names->answer[index_of(names, from->host)] : NULL;
		memset(endpoint.host, 0, sizeof(endpoint.host));
		for (uint32_t i = 0; answer && i < answer->count && !r; i++) {
			endpoint.family = answer->addresses[i].family;
			endpoint.prefix = endpoint.family == 4 ? 32 : 128;
			memcpy(endpoint.address, answer->addresses[i].bytes, sizeof(endpoint.address));
			r = add(names, &count, &endpoint, err);
		}
		if (r)
			return r;
	}
	*ret = (struct brunt_list){ .items = names->expanded, .count = count };
	return 0;
}

void brunt_names_print(const struct brunt_names *names, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < names->count; i++) {
		const struct answer *answer = &names->answer[i];

		used += (size_t)snprintf(buf + used, size - used, "%s%s:", i ? "; " : "", names->name[i]);
		for (uint32_t a = 0; a < answer->count && used < size; a++) {
			char text[INET6_ADDRSTRLEN];

			(void)inet_ntop(answer->addresses[a].family == 4 ? AF_INET : AF_INET6,
					answer->addresses[a].bytes, text, sizeof(text));
			used += (size_t)snprintf(buf + used, size - used, "%s %s", a ? "," : "", text);
		}
		if (used >= size)
			return;
	}
}

void brunt_names_stop(struct brunt_names *names)
{
	if (!names)
		return;
	if (names->socket >= 0)
		close(names->socket);
	if (names->child > 0) {
		/* It may be in the middle of a lookup that takes its time. */
		(void)kill(names->child, SIGKILL);
		(void)waitpid(names->child, NULL, 0);
	}
	free(names);
}
