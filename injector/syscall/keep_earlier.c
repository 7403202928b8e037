/* SPDX-License-Identifier: Apache-2.0 */
/* What a later run finds of earlier ones, and takes over. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "syscall/caller.h"
#include "syscall/keep_adopt.h"

#define ANSWER_WAIT (1 * BRUNT_S)
#define PARENTS_MAX 64

/* A question is answered at once, or by a keeper that stands still, which is not asked again soon. */
#define ASK_WAIT    (100 * BRUNT_MS)
#define MUTE_TIME   (10 * BRUNT_S)
#define FRESH_TIME  (200 * BRUNT_MS)
#define KEEPERS_MAX 1024

/* Who was there at the last look: one hold asks them for each process of its target. */
static struct known {
	uint64_t fresh_until;
	size_t count;
	struct known_keeper {
		pid_t pid;
		uint64_t mute_until;
	} keepers[KEEPERS_MAX];
} known;

static int talk(int socket, struct adopt_message *message, uint64_t wait, int *ret_fd)
{
	struct pollfd event = { .fd = socket, .events = POLLIN };
	int r = keep_send(socket, message, sizeof(*message), -1);

	*ret_fd = -1;
	if (r)
		return r;
	if (poll(&event, 1, (int)(wait / BRUNT_MS)) != 1)
		return -ETIMEDOUT;
	return keep_receive(socket, message, sizeof(*message), ret_fd) ?: message->code;
}

static int connect_to(pid_t keeper)
{
	/* does not wait for one that stands still, with a full queue */
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	socklen_t size = keep_adopt_address(keeper, &address);
	struct ucred who;
	socklen_t who_size = sizeof(who);

	/* anybody can have such a name */
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, size) &&
	    !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_size) && who.uid == geteuid())
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static void look_around(void)
{
	static struct known before;
	FILE *file;
	char line[256];

	if (brunt_now() < known.fresh_until)
		return;
	before = known;
	known.count = 0;
	file = fopen("/proc/net/unix", "re");
	while (file && known.count < KEEPERS_MAX && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, "@" KEEP_ADOPT_NAME);
		struct known_keeper *keeper = &known.keepers[known.count];

		keeper->pid = at ? (pid_t)strtol(at + strlen("@" KEEP_ADOPT_NAME), NULL, 10) : 0;
		if (keeper->pid <= 0)
			continue;
		keeper->mute_until = 0;
		for (size_t i = 0; i < before.count; i++)
			if (before.keepers[i].pid == keeper->pid)
				keeper->mute_until = before.keepers[i].mute_until;
		known.count++;
	}
	if (file)
		(void)fclose(file);
	known.fresh_until = brunt_now() + FRESH_TIME;
}

/*
 * Connects to every keeper in turn, until visit says so; *ret_fd stays open to the one that it ended at. visit says
 * -ETIMEDOUT of one that does not answer, and then the others are visited.
 */
static int each_keeper(int (*visit)(void *user, pid_t keeper, int socket), void *user, int *ret_fd)
{
	*ret_fd = -1;
	look_around();
	for (size_t i = 0; i < known.count; i++) {
		struct known_keeper *keeper = &known.keepers[i];
		int fd = brunt_now() < keeper->mute_until ? -1 : connect_to(keeper->pid), r;

		if (fd < 0)
			continue;
		r = visit(user, keeper->pid, fd);
		if (r && r != -ETIMEDOUT) {
			*ret_fd = fd;
			return r;
		}
		(void)close(fd);
		if (r)
			keeper->mute_until = brunt_now() + MUTE_TIME;
	}
	return 0;
}

/* One that does not answer; 0: all did. */
static pid_t mute_keeper(void)
{
	for (size_t i = 0; i < known.count; i++)
		if (brunt_now() < known.keepers[i].mute_until)
			return known.keepers[i].pid;
	return 0;
}

static int ask(void *user, pid_t keeper, int socket)
{
	struct adopt_message *message = user, question = *message;
	int fd, r = talk(socket, &question, ASK_WAIT, &fd);

	(void)keeper;
	if (fd >= 0)
		(void)close(fd);
	if (r && r != -EBUSY)
		return r == -ETIMEDOUT ? r : 0;
	*message = question;
	message->code = r;
	return 1;
}

/* Asks every keeper for that process; *ret_fd stays open to the one that has it. -ESRCH: none has. */
static int find(pid_t process, uint64_t start, struct adopt_message *ret, int *ret_fd)
{
	*ret = (struct adopt_message){ .kind = ADOPT_ASK, .process = process, .start = start };
	return each_keeper(ask, ret, ret_fd) ? ret->code : -ESRCH;
}

struct listing {
	void (*visit)(void *user, pid_t keeper, pid_t process, const struct brunt_call_set *asks);
	void *user;
};

static int list(void *user, pid_t keeper, int socket)
{
	const struct listing *listing = user;

	for (uint32_t number = 0; number < BRUNT_KEEP_LISTENERS_MAX; number++) {
		struct adopt_message message = { .kind = ADOPT_LIST, .number = number };
		int fd, r = talk(socket, &message, ASK_WAIT, &fd);

		if (fd >= 0)
			(void)close(fd);
		if (r == -ESRCH)
			continue;
		if (r)
			return r == -ETIMEDOUT ? r : 0;
		listing->visit(listing->user, keeper, message.process, &message.asks);
	}
	return 0;
}

void brunt_keep_each(void (*visit)(void *user, pid_t keeper, pid_t process, const struct brunt_call_set *asks),
		     void *user)
{
	struct listing listing = { visit, user };
	int fd;

	(void)each_keeper(list, &listing, &fd);
}

/* The first that is needed and not asked about. */
static const struct brunt_call *first_missing(const struct brunt_call_set *needed, const struct brunt_call_set *asks)
{
	for (unsigned i = 0; i < brunt_call_count; i++)
		if (brunt_call_set_has(needed, i) && !brunt_call_set_has(asks, i))
			return &brunt_calls[i];
	return NULL;
}

static int check_asks(pid_t process, const struct brunt_call_set *needed, const struct brunt_call_set *asked,
		      struct brunt_error *err)
{
	const struct brunt_call *missing = first_missing(needed, asked);
	char asks[96];

	if (!missing)
		return 0;
	return brunt_fail(err, EBUSY, "process %d has a filter of an earlier run, for %s alone: restart it to hit %s",
			  (int)process, brunt_calls_print(asked, asks, sizeof(asks)), missing->name);
}

int brunt_keep_covers(const struct brunt_keep *keep, unsigned listener, const struct brunt_call_set *needed,
		      struct brunt_error *err)
{
	const struct keep_listener *of = &keep->shared->listeners[listener];

	return of->adopted ? check_asks(of->process, needed, &of->asks, err) : 0;
}

static int look(pid_t process, const struct brunt_call_set *needed, int *ret_fd, struct brunt_error *err)
{
	struct adopt_message found;
	uint64_t start = 0;
	int r;

	*ret_fd = -1;
	if (!brunt_caller_process(process, &start))
		return -ESRCH;
	r = find(process, start, &found, ret_fd);
	if (r == -EBUSY)
		return brunt_fail(err, EBUSY, "process %d has a filter of another run that is still going on",
				  (int)process);
	if (r)
		return r;
	return check_asks(process, needed, &found.asks, err);
}

int brunt_keep_earlier(pid_t process, const struct brunt_call_set *needed, struct brunt_error *err)
{
	int fd, r = look(process, needed, &fd, err);

	if (fd >= 0)
		(void)close(fd);
	return r == -ESRCH ? 0 : r ? r : 1;
}

pid_t brunt_keep_parent(pid_t process)
{
	char path[48], text[1024];
	const char *at;
	ssize_t size = -1;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)process);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		size = read(fd, text, sizeof(text) - 1);
		(void)close(fd);
	}
	text[size > 0 ? size : 0] = '\0';
	at = strrchr(text, ')');
	return at && strlen(at) > 4 ? (pid_t)strtol(at + 4, NULL, 10) : 0;
}

/* One that was forked under a filter has its parent's, and nobody's own. */
static int fail_inherited(pid_t process, struct brunt_error *err)
{
	pid_t parent = brunt_keep_parent(process);

	for (int i = 0; i < PARENTS_MAX && parent > 1; i++, parent = brunt_keep_parent(parent)) {
		struct adopt_message found;
		uint64_t start = 0;
		int fd;

		if (!brunt_caller_process(parent, &start))
			break;
		if (find(parent, start, &found, &fd) == -ESRCH)
			continue;
		if (fd >= 0)
			(void)close(fd);
		return brunt_fail(
			err, EBUSY,
			"process %d has the filter of process %d, which started it: hit that one, or restart it",
			(int)process, (int)parent);
	}
	if (mute_keeper())
		return brunt_fail(err, EBUSY,
				  "process %d has a seccomp listener already, and process %d, the keeper of an earlier "
				  "run, does not answer whether it is its own",
				  (int)process, (int)mute_keeper());
	return brunt_fail(err, EBUSY,
			  "process %d has a seccomp listener already (a container engine's, or another tool's); it can "
			  "have only one",
			  (int)process);
}

int brunt_keep_adopt(const struct brunt_keep *keep, pid_t process, const struct brunt_call_set *needed,
		     struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int socket = -1;
	enum keep_kind kind = KEEP_ADOPT_FIRST;
	struct adopt_message message;
	int r = look(process, needed, &socket, err);

	if (r == -ESRCH) { /* somebody has it, who may have come since the last look */
		known.fresh_until = 0;
		r = look(process, needed, &socket, err);
	}
	if (r == -ESRCH)
		return fail_inherited(process, err);
	for (uint32_t number = 0; !r; number++) {
		BRUNT_AUTO_CLOSE int listener = -1;
		struct keep_adopted adopted;

		message = (struct adopt_message){ .kind = ADOPT_GET, .number = number };
		r = talk(socket, &message, ANSWER_WAIT, &listener);
		if (r == -ENOENT) {
			r = 0;
			break;
		}
		if (r)
			return brunt_fail(err, -r, "the keeper of an earlier run does not hand over: %s", strerror(-r));
		if (listener < 0)
			continue; /* its processes have exited */
		adopted = (struct keep_adopted){ message.start, message.asks };
		r = keep_give(keep, kind, listener, message.process, false, &adopted, brunt_now() + ANSWER_WAIT, err);
		r = r < 0 ? r : 0;
		kind = KEEP_ADOPT;
	}
	/* before that the later keeper takes no call, and when this ends here, the earlier one takes them again */
	if (!r)
		r = keep_give(keep, KEEP_ADOPTED, socket, process, false, NULL, brunt_now() + ANSWER_WAIT, err);
	return r < 0 ? r : 0;
}
