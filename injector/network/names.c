/* SPDX-License-Identifier: Apache-2.0 */
#include "network/names.h"

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
#include "network/names_jail.h"

#define EVERY_DEFAULT (10 * BRUNT_S)
#define EXPANDED_MAX  1024
#define REAP_TRIES    50 /* ms */

struct address {
	uint8_t family; /* 4 or 6 */
	uint8_t bytes[16];
};

/* What the child says of one name: fixed size, so that there is nothing to parse. */
struct answer {
	uint32_t name; /* index */
	int32_t code;  /* of getaddrinfo() */
	uint32_t count;
	uint32_t has_more; /* it stands for others, too, that found no place */
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
	else
		answer->has_more = true;
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

/* The holder is the last that the out-of-memory killer takes; who runs a target's code shall be the first. */
static void expose_to_oom(void)
{
	BRUNT_AUTO_CLOSE int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1000", 4) < 0)
		return;
}

/* Before the target's root is ours: what is called /dev/null there may be anything, and would be opened as root. */
static int hold_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int to = 0; fd >= 0 && to <= 2; to++)
		if (dup2(fd, to) != to)
			return -errno;
	return fd < 0 ? -errno : 0;
}

/* Is that number one of this user namespace's? */
static bool is_mapped(const char *map, unsigned id)
{
	FILE *file = fopen(map, "re");
	unsigned first, outside, count;
	bool mapped = false;

	while (file && !mapped && fscanf(file, "%u %u %u", &first, &outside, &count) == 3)
		mapped = id >= first && id - first < count;
	if (file)
		(void)fclose(file);
	return mapped;
}

/* Who runs a target's code is nobody that others are, too: /proc/PID/mem asks for no more than the same number. */
static void become_stranger(struct brunt_identity *identity)
{
	const unsigned id = BRUNT_RESOLVER_UIDS | ((unsigned)getpid() & 0xffffU);

	if (is_mapped("/proc/self/uid_map", id))
		identity->uid = id;
	if (is_mapped("/proc/self/gid_map", id))
		identity->gid = id;
}

static _Noreturn void child_main(const struct brunt_names *names, int socket)
{
	const int keep[] = { 0, 1, 2, socket };
	/* Whoever asks for names needs no rights at all: nobody, whoever started brunt. */
	struct brunt_identity nobody = { .uid = 65534, .gid = 65534, .name = "nobody", .privileged = !geteuid() };
	struct pollfd wait = { .fd = socket, .events = POLLIN };

	expose_to_oom();
	if (socket <= 2 || hold_null())
		_exit(1);
	if (names->target)
		become_stranger(&nobody);
	if (names->target && enter_target(names->target))
		_exit(1);
	if (brunt_role_enter(BRUNT_ROLE_RESOLVER, &nobody, 0, keep, BRUNT_COUNT(keep), NULL))
		_exit(1);
	if (names->target && brunt_names_jail())
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

/* The target's code may have written it. */
static bool is_sound(const struct brunt_names *names, const struct answer *answer)
{
	if (answer->name >= names->count || answer->count > BRUNT_NAMES_ADDRESSES)
		return false;
	for (uint32_t i = 0; i < answer->count; i++)
		if (answer->addresses[i].family != 4 && answer->addresses[i].family != 6)
			return false;
	return true;
}

/* A name that is not found (for now) keeps the addresses that it had: a fault must not end because a resolver is ill. */
static bool take_answer(struct brunt_names *names, const struct answer *answer)
{
	struct answer *known;
	bool changed;

	if (!is_sound(names, answer))
		return false;
	known = &names->answer[answer->name];
	names->known[answer->name] = true;
	if (!answer->count) {
		known->code = answer->code;
		return false;
	}
	changed = !known->has_more != !answer->has_more ||
		  memcmp(known->addresses, answer->addresses, sizeof(known->addresses)) != 0;
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
	for (size_t i = 0; i < names->count; i++) {
		if (!names->answer[i].count)
			return brunt_fail(err, ENOENT, "'%s' has no address: %s", names->name[i],
					  gai_strerror(names->answer[i].code));
		if (names->answer[i].has_more)
			return brunt_fail(err, E2BIG,
					  "'%s' stands for more than %d addresses; give the network instead",
					  names->name[i], BRUNT_NAMES_ADDRESSES);
	}
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

const char *brunt_names_name(const struct brunt_names *names, size_t index)
{
	return index < names->count ? names->name[index] : NULL;
}

bool brunt_names_stand_for(const struct brunt_names *names, size_t index, const struct brunt_endpoint *address)
{
	const struct answer *answer = &names->answer[index];
	struct brunt_endpoint one;

	for (uint32_t i = 0; i < answer->count; i++) {
		uint8_t family = answer->addresses[i].family;

		if (brunt_endpoint_of_family(address, family, &one) &&
		    !memcmp(one.address, answer->addresses[i].bytes, family == 4 ? 4 : 16) && one.prefix)
			return true;
	}
	return false;
}

void brunt_names_print(const struct brunt_names *names, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < names->count; i++)
		if (names->answer[i].has_more && used < size)
			used += (size_t)snprintf(buf + used, size - used,
						 "'%s' has more than %d addresses: not all are met; ", names->name[i],
						 BRUNT_NAMES_ADDRESSES);
	for (size_t i = 0; i < names->count && used < size; i++) {
		const struct answer *answer = &names->answer[i];

		used += (size_t)snprintf(buf + used, size - used, "%s%s:", i ? "; " : "", names->name[i]);
		for (uint32_t a = 0; a < answer->count && used < size; a++) {
			char text[INET6_ADDRSTRLEN];

			(void)inet_ntop(answer->addresses[a].family == 4 ? AF_INET : AF_INET6,
					answer->addresses[a].bytes, text, sizeof(text));
			used += (size_t)snprintf(buf + used, size - used, "%s %s", a ? "," : "", text);
		}
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
		/* one in a call that even SIGKILL does not end (FUSE) is left to init; it dies with that call */
		for (int i = 0; i < REAP_TRIES && !waitpid(names->child, NULL, WNOHANG); i++)
			(void)poll(NULL, 0, 1);
	}
	free(names);
}
