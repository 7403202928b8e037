/* SPDX-License-Identifier: Apache-2.0 */
/* Several runs at once: who runs where, who has finished, and that nobody stays. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "survey/run.h"

#define BEYOND	 (60 * BRUNT_S) /* what a run may take besides its command: copying, killing */
#define STOPPING 10000		/* ms to end by SIGTERM */

int survey_pool_grow(struct survey_pool *pool, unsigned count, struct brunt_error *err)
{
	for (; pool->count < count && pool->count < SURVEY_JOBS_MAX; pool->count++) {
		struct survey_slot *slot = &pool->slots[pool->count];

		*slot = (struct survey_slot){ .pidfd = -1 };
		slot->board =
			mmap(NULL, sizeof(*slot->board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (slot->board == MAP_FAILED)
			return brunt_fail(err, ENOMEM, "not enough memory for %u runs at once; try --jobs", count);
	}
	return 0;
}

static void forget(struct survey_slot *slot)
{
	(void)waitpid(slot->pid, NULL, 0);
	(void)close(slot->pidfd);
	slot->pidfd = -1;
}

/* It kills what it started by itself. */
static void stop(struct survey_slot *slot)
{
	struct pollfd event = { .fd = slot->pidfd, .events = POLLIN };

	if (poll(&event, 1, STOPPING) != 1)
		(void)syscall(SYS_pidfd_send_signal, slot->pidfd, SIGKILL, NULL, 0);
	forget(slot);
}

void survey_pool_done(struct survey_pool *pool)
{
	for (unsigned i = 0; i < pool->count; i++)
		if (pool->slots[i].pidfd >= 0)
			(void)syscall(SYS_pidfd_send_signal, pool->slots[i].pidfd, SIGTERM, NULL, 0);
	for (unsigned i = 0; i < pool->count; i++) {
		if (pool->slots[i].pidfd >= 0)
			stop(&pool->slots[i]);
		(void)munmap(pool->slots[i].board, sizeof(*pool->slots[i].board));
	}
	pool->count = 0;
}

int survey_pool_idle(const struct survey_pool *pool, unsigned limit)
{
	for (unsigned i = 0; i < pool->count && i < limit; i++)
		if (pool->slots[i].pidfd < 0)
			return (int)i;
	return -1;
}

int survey_pool_start(struct survey_pool *pool, unsigned slot, struct survey_task *task, size_t work,
		      struct brunt_error *err)
{
	struct survey_slot *at = &pool->slots[slot];
	int r;

	task->slot = slot;
	at->work = work;
	at->started = brunt_now();
	/* the check has as much time again */
	at->until = at->started + 2 * task->timeout + task->options->period + BEYOND;
	r = survey_run_start(task, at->board, &at->pid, err);
	if (r < 0)
		return r;
	at->pidfd = r;
	return 0;
}

static bool has_ended(const struct survey_slot *slot)
{
	struct pollfd event = { .fd = slot->pidfd, .events = POLLIN };

	return poll(&event, 1, 0) == 1;
}

int survey_pool_wait(struct survey_pool *pool, int stop_fd, int ms)
{
	struct pollfd events[SURVEY_JOBS_MAX + 1] = { { .fd = stop_fd, .events = POLLIN } };

	for (unsigned i = 0; i < pool->count; i++)
		events[i + 1] = (struct pollfd){ .fd = pool->slots[i].pidfd, .events = POLLIN };
	if (poll(events, pool->count + 1, ms) < 0)
		return errno == EINTR ? -1 : -2;
	if (events[0].revents)
		return -2;
	for (unsigned i = 0; i < pool->count; i++) {
		struct survey_slot *slot = &pool->slots[i];

		if (slot->pidfd < 0)
			continue;
		if (brunt_now() > slot->until)
			(void)syscall(SYS_pidfd_send_signal, slot->pidfd, SIGKILL, NULL, 0);
		if (has_ended(slot)) {
			forget(slot);
			return (int)i;
		}
	}
	return -1;
}
