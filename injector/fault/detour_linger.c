/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linger: a child that holds what carries packets on (the hidden namespace
 * and the links inside), never what steers them. When the holder lets go, or
 * dies, it waits until nothing is queued any more and ends; the devices go with
 * it. It asks from inside the target's namespace, which it enters only then.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "fault/detour_parts.h"

/* How often the queues are looked at. A packet that left one is delivered by the same CPU within this time. */
#define LOOK_MS 5

/* The kernel takes a namespace with its devices down in the background (cleanup_net()). */
#define CLEANUP_NS (5 * BRUNT_S)

uint64_t brunt_detour_backlog(struct brunt_detour *detour)
{
	uint64_t sum = 0;

	for (unsigned place = 0; place < detour->place_count; place++) {
		if (brunt_netns_enter(&detour->places[place], NULL))
			continue; /* gone, and what waited with it */
		for (size_t i = 0; i < detour->part_count; i++) {
			struct brunt_detour_part *part = &detour->parts[i];
			uint64_t packets = 0;

			if (part->place == place && part->started &&
			    !detour->backend->backlog(detour->opaque, &part->leg, &packets))
				sum += packets;
		}
		brunt_netns_leave(&detour->places[place], detour->home);
	}
	return sum;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void close_others(int *keep, size_t count)
{
	unsigned from = 0;

	qsort(keep, count, sizeof(*keep), compare);
	for (size_t i = 0; i < count; i++) {
		if ((unsigned)keep[i] > from)
			(void)syscall(SYS_close_range, from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	(void)syscall(SYS_close_range, from, ~0U, 0);
	for (int fd = open("/dev/null", O_RDWR); fd >= 0 && fd < 2; fd = dup(fd))
		;
}

/* Nothing may take it away from its packets but SIGKILL, which costs them. */
static void become_linger(struct brunt_detour *detour, int pipe)
{
	int keep[3 + 3 * BRUNT_DETOUR_LEGS_MAX];
	size_t count = 0;
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)prctl(PR_SET_NAME, "brunt-linger");
	keep[count++] = pipe;
	keep[count++] = detour->home;
	keep[count++] = detour->hidden;
	for (size_t i = 0; i < detour->part_count; i++)
		for (size_t j = 0; j < detour->parts[i].inner_count; j++)
			keep[count++] = detour->parts[i].inner[j];
	close_others(keep, count);
}

static void linger(struct brunt_detour *detour, int pipe) __attribute__((noreturn));
static void linger(struct brunt_detour *detour, int pipe)
{
	uint64_t until;
	ssize_t size;
	char byte;

	become_linger(detour, pipe);
	do
		size = read(pipe, &byte, 1);
	while (size > 0 || (size < 0 && errno == EINTR));
	until = brunt_now() + detour->max_linger;
	/* twice empty: between two looks a packet may have been taken out of a queue and not be delivered yet */
	for (int empty = 0; empty < 2 && brunt_now() < until;) {
		empty = brunt_detour_backlog(detour) ? 0 : empty + 1;
		(void)poll(NULL, 0, LOOK_MS);
	}
	_exit(0);
}

int brunt_detour_fork_linger(struct brunt_detour *detour, struct brunt_error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return brunt_fail(err, errno, "cannot make a pipe for the linger: %s", strerror(errno));
	detour->linger = fork();
	if (!detour->linger)
		linger(detour, ends[0]);
	close(ends[0]);
	if (detour->linger < 0) {
		close(ends[1]);
		detour->linger = 0;
		return brunt_fail(err, errno, "cannot fork the linger: %s", strerror(errno));
	}
	detour->linger_pipe = ends[1];
	return 0;
}

bool brunt_detour_linger_runs(pid_t *linger)
{
	if (!*linger)
		return false;
	if (!waitpid(*linger, NULL, WNOHANG))
		return true;
	*linger = 0;
	return false;
}

static void end_trail(struct brunt_detour_trail *trail)
{
	if (brunt_detour_linger_runs(&trail->linger)) {
		(void)kill(trail->linger, SIGKILL);
		(void)waitpid(trail->linger, NULL, 0);
		trail->linger = 0;
	}
}

void brunt_detour_leave(struct brunt_detour *detour, bool drain)
{
	struct brunt_detour_trail *trail = &detour->trails[0];
	bool made = false;

	for (size_t i = 0; i < detour->part_count; i++)
		made |= detour->parts[i].made;
	if (!made)
		return;
	if (trail->count) {
		end_trail(&detour->trails[1]);
		detour->trails[1] = *trail;
	}
	*trail = (struct brunt_detour_trail){ .linger = detour->linger };
	trail->until = brunt_now() + (drain ? detour->max_linger : 0) + CLEANUP_NS;
	memcpy(trail->places, detour->places, sizeof(trail->places));
	for (size_t i = 0; i < detour->part_count; i++) {
		if (!detour->parts[i].made)
			continue;
		trail->devices[trail->count].place = detour->parts[i].place;
		memcpy(trail->devices[trail->count].name, detour->parts[i].leg.device_name, IF_NAMESIZE);
		trail->count++;
	}
	if (detour->linger && !drain)
		(void)kill(detour->linger, SIGKILL);
	if (detour->linger_pipe >= 0)
		close(detour->linger_pipe);
	detour->linger_pipe = -1;
	detour->linger = 0;
}

/* Is a device of it still there? Allocates nothing. */
static bool is_device_left(struct brunt_detour *detour, struct brunt_detour_trail *trail, size_t index)
{
	const struct brunt_netns *place = &trail->places[trail->devices[index].place];
	struct brunt_link link = { 0 };
	bool left = true;

	if (brunt_netns_enter(place, NULL))
		return false;
	if (!brunt_rtnl_open(&detour->spoken, NETLINK_ROUTE, NULL))
		left = brunt_link_get(&detour->spoken, 0, trail->devices[index].name, &link, NULL) != -ENODEV;
	brunt_rtnl_close(&detour->spoken);
	brunt_netns_leave(place, detour->home);
	return left;
}

static int settle(struct brunt_detour *detour, struct brunt_detour_trail *trail, struct brunt_error *err)
{
	const bool late = brunt_now() > trail->until;

	if (brunt_detour_linger_runs(&trail->linger)) {
		if (!late)
			return -EAGAIN;
		(void)kill(trail->linger, SIGKILL);
		return brunt_fail(err, EBUSY, "process %d still holds the detour's queue", (int)trail->linger);
	}
	while (trail->count && !is_device_left(detour, trail, trail->count - 1))
		trail->count--;
	if (!trail->count)
		return 0;
	return late ? brunt_fail(err, EBUSY, "device '%s' is still there", trail->devices[trail->count - 1].name)
		    : -EAGAIN;
}

int brunt_detour_settled(struct brunt_detour *detour, struct brunt_error *err)
{
	int older = settle(detour, &detour->trails[1], err);
	int newer = settle(detour, &detour->trails[0], err);

	return older == -EBUSY ? older : newer ?: older;
}
