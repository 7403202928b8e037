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
#include "detour/detour_parts.h"

/*
 * How often the queues are looked at, and how often they have to be empty: two looks in a row, because a packet may have
 * been taken out of one and be nowhere yet, when CPUs have none in theirs either; on a host where those are never all
 * empty, so many looks that a CPU has come to it.
 */
#define LOOK_MS	      5
#define LOOKS_IDLE    2
#define LOOKS_CROWDED 20
#define LAST_NS	      (2 * LOOKS_CROWDED * LOOK_MS * BRUNT_MS)

/* The kernel takes a namespace with its devices down in the background (cleanup_net()). */
#define CLEANUP_NS (5 * BRUNT_S)

uint64_t brunt_detour_backlog(struct brunt_detour *detour, bool *ret_unknown)
{
	bool unknown = false;
	uint64_t sum = 0;

	for (unsigned place = 0; place < detour->place_count; place++) {
		int r = brunt_netns_enter(&detour->places[place], NULL);

		if (r) {
			unknown |= r != -ESRCH; /* gone, and what waited with it */
			continue;
		}
		for (size_t i = 0; i < detour->part_count; i++) {
			struct brunt_detour_part *part = &detour->parts[i];
			uint64_t packets = 0;

			if (part->place != place || !part->started)
				continue;
			r = detour->backend->backlog(detour->opaque, &part->leg, &packets);
			sum += r ? 0 : packets;
			unknown |= r && r != -ENODEV && r != -ENOENT;
		}
		brunt_netns_leave(&detour->places[place], detour->home);
	}
	if (ret_unknown)
		*ret_unknown = unknown;
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

/*
 * A packet that left our queue waits once more, in its CPU's list of received ones, until the softirq or, on a busy CPU,
 * ksoftirqd comes to it; those of a device that goes are dropped there (flush_backlog() in net/core/dev.c). The twelfth
 * number of a CPU's line tells how many, of all devices (softnet_seq_show() in net/core/net-procfs.c, since 5.7).
 */
static bool are_cpus_idle(void)
{
	FILE *file = fopen("/proc/net/softnet_stat", "re");
	char line[256];
	bool idle = true;

	while (file && idle && fgets(line, sizeof(line), file)) {
		unsigned waiting = 0;

		if (sscanf(line, "%*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %x", &waiting) == 1)
			idle = !waiting;
	}
	if (file)
		(void)fclose(file);
	return idle;
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
	for (int empty = 0, idle = 0; empty < LOOKS_CROWDED && idle < LOOKS_IDLE && brunt_now() < until;) {
		bool unknown;

		empty = brunt_detour_backlog(detour, &unknown) || unknown ? 0 : empty + 1;
		idle = empty && are_cpus_idle() ? idle + 1 : 0;
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

void brunt_detour_leave(struct brunt_detour *detour, bool drain)
{
	struct brunt_detour_trail *trail = &detour->trails[0];
	size_t room = 0;
	bool made = false;

	for (size_t i = 0; i < detour->part_count; i++)
		made |= detour->parts[i].made;
	if (!made)
		return;
	/* our legs were no trail's, so one is free */
	while (room < BRUNT_DETOUR_SETS - 1 && detour->trails[room].count)
		room++;
	memmove(&detour->trails[1], trail, room * sizeof(*trail));
	*trail = (struct brunt_detour_trail){ .linger = detour->linger, .set = detour->set, .given_up = !drain };
	trail->until = brunt_now() + (drain ? detour->max_linger : 0) + CLEANUP_NS;
	memcpy(trail->places, detour->places, sizeof(trail->places));
	for (size_t i = 0; i < detour->part_count; i++) {
		if (!detour->parts[i].made)
			continue;
		trail->devices[trail->count].place = detour->parts[i].place;
		trail->devices[trail->count].index = detour->parts[i].leg.device;
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

static uint64_t count_waiting(struct brunt_detour *detour, const struct brunt_detour_trail *trail)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < trail->count; i++) {
		const struct brunt_netns *place = &trail->places[trail->devices[i].place];
		const struct brunt_leg leg = { .device = trail->devices[i].index };
		uint64_t packets = 0;

		if (brunt_netns_enter(place, NULL))
			continue;
		if (!detour->backend->backlog(detour->opaque, &leg, &packets))
			sum += packets;
		brunt_netns_leave(place, detour->home);
	}
	return sum;
}

/* Once: the linger may take a moment to die, and what waits until then has been counted. */
static void give_up(struct brunt_detour *detour, struct brunt_detour_trail *trail)
{
	if (trail->given_up || !brunt_detour_linger_runs(&trail->linger))
		return;
	trail->given_up = true;
	detour->lost += count_waiting(detour, trail);
	(void)kill(trail->linger, SIGKILL);
	trail->until = brunt_now() + CLEANUP_NS;
}

/* With nothing queued it is about to end by itself: what left the queue last is on its way still, and would be lost. */
static void await_last(struct brunt_detour *detour, struct brunt_detour_trail *trail)
{
	const uint64_t until = brunt_now() + (detour->lease / 4 < LAST_NS ? detour->lease / 4 : LAST_NS);

	while (brunt_detour_linger_runs(&trail->linger) && !count_waiting(detour, trail) && brunt_now() < until)
		(void)poll(NULL, 0, LOOK_MS);
}

void brunt_detour_hurry(struct brunt_detour *detour)
{
	for (size_t i = 0; i < BRUNT_COUNT(detour->trails); i++)
		give_up(detour, &detour->trails[i]);
}

/* Is a device of it still there? Allocates nothing. */
static bool is_device_left(struct brunt_detour *detour, struct brunt_detour_trail *trail, size_t index)
{
	const struct brunt_netns *place = &trail->places[trail->devices[index].place];
	struct brunt_link link = { 0 };
	bool left = true;
	int r = brunt_netns_enter(place, NULL);

	if (r)
		return r != -ESRCH;
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
		/* stopped, or hanging */
		if (late && !trail->given_up) {
			give_up(detour, trail);
			return -EAGAIN;
		}
		if (!late)
			return -EAGAIN;
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
	int worst = 0;

	for (size_t i = BRUNT_COUNT(detour->trails); i--;) {
		int r = settle(detour, &detour->trails[i], err);

		if (r && worst != -EBUSY)
			worst = r;
	}
	return worst;
}

static bool is_set_free(const struct brunt_detour *detour, unsigned set)
{
	for (size_t i = 0; i < BRUNT_COUNT(detour->trails); i++)
		if (detour->trails[i].count && detour->trails[i].set == set)
			return false;
	return true;
}

int brunt_detour_choose_legs(struct brunt_detour *detour, struct brunt_error *err)
{
	struct brunt_detour_trail *oldest = &detour->trails[BRUNT_DETOUR_SETS - 1];

	/* those that are gone meanwhile, and then those behind them */
	for (size_t i = BRUNT_DETOUR_SETS; i--;) {
		struct brunt_detour_trail *trail = &detour->trails[i];

		if (settle(detour, trail, NULL) || trail->linger)
			continue;
		memmove(trail, trail + 1, (BRUNT_DETOUR_SETS - 1 - i) * sizeof(*trail));
		oldest->count = 0;
		oldest->linger = 0;
	}
	if (oldest->count) {
		if (detour->backend->tap)
			return brunt_fail(err, EBUSY, "packets of the last %d times still wait in their lines",
					  BRUNT_DETOUR_SETS);
		await_last(detour, oldest);
		give_up(detour, oldest);
		/* its devices go a moment later; what is in them is counted */
		if (oldest->linger)
			(void)waitpid(oldest->linger, NULL, 0);
		*oldest = (struct brunt_detour_trail){ .linger = 0 };
	}
	detour->set = 0;
	while (!is_set_free(detour, detour->set))
		detour->set++;
	for (size_t i = 0; i < detour->part_count; i++)
		detour->parts[i].number = (unsigned)i + detour->set * BRUNT_DETOUR_LEGS_MAX;
	return 0;
}
