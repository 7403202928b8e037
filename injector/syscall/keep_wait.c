/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for their time: a heap of slots, the next one due first. */
#include <string.h>
#include <sys/timerfd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/units.h"
#include "syscall/keep_parts.h"

static uint32_t heap[KEEP_SLOTS_MAX];
static size_t heap_count;
static uint32_t free_slots[KEEP_SLOTS_MAX];
static size_t free_count;
static uint64_t timer_at; /* what the timer is set to */

void keep_wait_begin(void)
{
	free_count = heap_count = 0; /* after a takeover they are the dead one's */
	timer_at = 0;
	for (uint32_t i = KEEP_SLOTS_MAX; i--;)
		free_slots[free_count++] = i;
}

uint32_t keep_take_slot(void)
{
	return free_slots[--free_count];
}

void keep_free_slot(uint32_t number)
{
	free_slots[free_count++] = number;
}

bool keep_has_spare_slot(void)
{
	return free_count;
}

static uint64_t due_of(const struct keep_self *self, size_t at)
{
	return self->shared->slots[heap[at]].due;
}

static void swap(size_t a, size_t b)
{
	uint32_t kept = heap[a];

	heap[a] = heap[b];
	heap[b] = kept;
}

static void sink(const struct keep_self *self, size_t at)
{
	for (;;) {
		size_t least = at;

		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < heap_count; child++)
			if (due_of(self, child) < due_of(self, least))
				least = child;
		if (least == at)
			return;
		swap(at, least);
		at = least;
	}
}

static void rise(const struct keep_self *self, size_t at)
{
	for (; at && due_of(self, at) < due_of(self, (at - 1) / 2); at = (at - 1) / 2)
		swap(at, (at - 1) / 2);
}

bool keep_let_wait(struct keep_self *self, uint32_t number)
{
	/* the last slot is for calls that do not wait */
	if (!free_count)
		return false;
	heap[heap_count] = number;
	rise(self, heap_count++);
	return true;
}

static void release(struct keep_self *self, uint32_t number, const struct brunt_outcome *outcome)
{
	keep_answer(self, &self->shared->slots[number], outcome);
	keep_free_slot(number);
}

void keep_set_timer(struct keep_self *self)
{
	uint64_t at = heap_count ? due_of(self, 0) : 0;
	const struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(at / BRUNT_S), .tv_nsec = (long)(at % BRUNT_S) },
	};

	if (at == timer_at)
		return;
	timer_at = at;
	(void)timerfd_settime(self->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* It goes on before its time, unharmed. */
static void cut(struct keep_self *self, uint32_t number)
{
	for (unsigned i = 0; i < BRUNT_KEEP_RULES_MAX; i++)
		if (self->shared->slots[number].rules >> i & 1)
			keep_add(&self->shared->rules[i].cut);
	release(self, number, NULL);
}

void keep_serve_due(struct keep_self *self, uint64_t now)
{
	while (heap_count && due_of(self, 0) <= now) {
		uint32_t number = heap[0];
		struct keep_slot *slot = &self->shared->slots[number];

		heap[0] = heap[--heap_count];
		sink(self, 0);
		/* since keep_cut_short() one may have ended, or lapsed */
		if (keep_is_still_meant(self, slot, now))
			release(self, number, &slot->outcome);
		else
			cut(self, number);
	}
}

void keep_cut_short(struct keep_self *self, uint64_t now)
{
	size_t kept = 0;

	for (size_t i = 0; i < heap_count; i++) {
		if (keep_is_still_meant(self, &self->shared->slots[heap[i]], now))
			heap[kept++] = heap[i];
		else
			cut(self, heap[i]);
	}
	heap_count = kept;
	for (size_t i = heap_count / 2; i--;)
		sink(self, i);
}

/* Nobody waits for an answer any more, and numbers of calls are of no use to another listener. */
void keep_drop_listener(struct keep_self *self, unsigned listener)
{
	size_t kept = 0;

	for (size_t i = 0; i < heap_count; i++) {
		if (self->shared->slots[heap[i]].listener != listener)
			heap[kept++] = heap[i];
		else
			release(self, heap[i], NULL);
	}
	heap_count = kept;
	for (size_t i = heap_count / 2; i--;)
		sink(self, i);
}

void keep_timer_fired(void)
{
	timer_at = 0;
}
