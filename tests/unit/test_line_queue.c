/* SPDX-License-Identifier: Apache-2.0 */
/* What waits in a line: its order, its bounds, and that frames come out as they went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/memory.h"
#include "brunt/units.h"
#include "network/impairment.h"
#include "line/line_frame.h"
#include "line/line_queue.h"

#define HEADER sizeof(struct virtio_net_hdr)
#define NOW    (1000 * BRUNT_S)
#define SMALL  100

static struct line_queue *new_queue(size_t memory, const struct brunt_impairment *what)
{
	struct brunt_impairment with_limit = *what;
	struct line_queue *queue = NULL;

	if (!with_limit.limit)
		with_limit.limit = 1000000;
	assert_int_equal(line_queue_new(memory, HEADER, &queue), 0);
	line_queue_set(queue, &with_limit);
	return queue;
}

static void arrive(struct line_queue *queue, const unsigned char *frame, size_t size, uint64_t now)
{
	const struct iovec *room = line_queue_room(queue);

	for (size_t at = 0, i = 0; at < size; at += room[i++].iov_len)
		memcpy(room[i].iov_base, frame + at, size - at < room[i].iov_len ? size - at : room[i].iov_len);
	line_queue_arrive(queue, size, now);
}

/* The first frame, as one piece; its size, 0: none waits. */
static size_t leave(struct line_queue *queue, unsigned char ret[LINE_FRAME_MAX])
{
	struct iovec pieces[LINE_FRAME_CHUNKS];
	int count = line_queue_first(queue, pieces);
	size_t size = 0;

	for (int i = 0; i < count; i++) {
		memcpy(ret + size, pieces[i].iov_base, pieces[i].iov_len);
		size += pieces[i].iov_len;
	}
	if (count)
		line_queue_sent(queue, line_queue_next(queue));
	return size;
}

/* A frame that says which one it is, and whose every byte depends on that. */
static void fill(unsigned char *frame, size_t size, uint32_t number)
{
	memset(frame, 0, HEADER);
	for (size_t i = HEADER; i < size; i++)
		frame[i] = (unsigned char)(number * 31 + i * 7);
	memcpy(frame + HEADER, &number, sizeof(number));
}

static uint32_t number_of(const unsigned char *frame)
{
	uint32_t number;

	memcpy(&number, frame + HEADER, sizeof(number));
	return number;
}

static void assert_frame(const unsigned char *frame, size_t size, uint32_t number)
{
	static unsigned char wanted[LINE_FRAME_MAX];

	fill(wanted, size, number);
	assert_memory_equal(frame, wanted, size);
}

static void arrive_small(struct line_queue *queue, uint32_t number, uint64_t now)
{
	unsigned char frame[SMALL];

	fill(frame, sizeof(frame), number);
	arrive(queue, frame, sizeof(frame), now);
}

/* ---- order ---- */

static void a_constant_delay_keeps_the_order(void **state)
{
	struct brunt_impairment what = { .delay = 10 * BRUNT_MS };
	struct line_queue *queue = new_queue(1 << 20, &what);
	static unsigned char frame[LINE_FRAME_MAX];

	(void)state;
	assert_true(line_queue_next(queue) == UINT64_MAX);
	for (uint32_t i = 0; i < 100; i++)
		arrive_small(queue, i, NOW + i / 2);
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(line_queue_next(queue) == NOW + i / 2 + 10 * BRUNT_MS);
		assert_int_equal(leave(queue, frame), SMALL);
		assert_frame(frame, SMALL, i);
	}
	assert_int_equal(leave(queue, frame), 0);
	line_queue_free(queue);
}

static void jitter_sends_what_is_due_first(void **state)
{
	struct brunt_impairment what = { .delay = 10 * BRUNT_MS, .jitter = 9 * BRUNT_MS, .seed = 11 };
	struct line_queue *queue = new_queue(4 << 20, &what);
	static unsigned char frame[LINE_FRAME_MAX];
	uint64_t before = 0;
	unsigned out_of_order = 0;
	uint32_t last = 0;
	bool seen[1000] = { false };

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		arrive_small(queue, i, NOW + i * BRUNT_US);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_true(line_queue_next(queue) >= before);
		before = line_queue_next(queue);
		assert_int_equal(leave(queue, frame), SMALL);
		assert_in_range(number_of(frame), 0, 999);
		assert_frame(frame, SMALL, number_of(frame));
		assert_false(seen[number_of(frame)]);
		seen[number_of(frame)] = true;
		out_of_order += number_of(frame) < last;
		last = number_of(frame);
	}
	assert_in_range(out_of_order, 400, 600);
	line_queue_free(queue);
}

/* What arrives while others leave: the two orders together, against a plain list. */
static void the_earliest_of_all_is_always_first(void **state)
{
	struct brunt_impairment what = { .delay = 5 * BRUNT_MS, .seed = 4 };
	struct line_queue *queue = new_queue(4 << 20, &what);
	static unsigned char frame[LINE_FRAME_MAX];
	uint64_t due[2000];
	uint32_t next = 0;

	(void)state;
	what.limit = 1000000;
	for (uint32_t round = 0; next < BRUNT_COUNT(due) || line_queue_next(queue) != UINT64_MAX; round++) {
		for (int i = 0; i < 7 && next < BRUNT_COUNT(due); i++) {
			/* a delay that goes up and down: what comes later may be due sooner */
			what.delay = (next * 7919) % 50 * BRUNT_MS;
			line_queue_set(queue, &what);
			due[next] = NOW + round * BRUNT_MS + what.delay;
			arrive_small(queue, next++, NOW + round * BRUNT_MS);
		}
		for (int i = 0; i < 5 && line_queue_next(queue) != UINT64_MAX; i++) {
			uint64_t earliest = UINT64_MAX, when = line_queue_next(queue);
			uint32_t which = 0;

			for (uint32_t k = 0; k < next; k++) {
				if (due[k] < earliest)
					which = k; /* of several, the one that came first */
				earliest = due[k] < earliest ? due[k] : earliest;
			}
			assert_true(when == earliest);
			(void)leave(queue, frame);
			assert_int_equal(number_of(frame), which);
			due[which] = UINT64_MAX;
		}
	}
	assert_int_equal(line_queue_stats(queue)->sent, BRUNT_COUNT(due));
	line_queue_free(queue);
}

static void one_that_is_sent_ahead_overtakes(void **state)
{
	struct brunt_impairment what = { .delay = 10 * BRUNT_MS, .gap = 5 };
	struct line_queue *queue = new_queue(1 << 20, &what);
	static unsigned char frame[LINE_FRAME_MAX];
	static const uint32_t wanted[] = { 4, 9, 0, 1, 2, 3, 5, 6, 7, 8 };

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		arrive_small(queue, i, NOW + i * BRUNT_US);
	for (size_t i = 0; i < BRUNT_COUNT(wanted); i++) {
		(void)leave(queue, frame);
		assert_int_equal(number_of(frame), wanted[i]);
	}
	assert_int_equal(line_queue_stats(queue)->reordered, 2);
	line_queue_free(queue);
}

/* ---- bounds ---- */

static void no_more_than_the_limit_wait(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_S, .limit = 10 };
	struct line_queue *queue = new_queue(1 << 20, &what);
	static unsigned char frame[LINE_FRAME_MAX];

	(void)state;
	for (uint32_t i = 0; i < 15; i++)
		arrive_small(queue, i, NOW);
	assert_int_equal(line_queue_stats(queue)->waiting, 10);
	assert_int_equal(line_queue_stats(queue)->full, 5);
	(void)leave(queue, frame);
	arrive_small(queue, 15, NOW);
	assert_int_equal(line_queue_stats(queue)->full, 5);
	for (uint32_t i = 1; i < 10; i++) {
		(void)leave(queue, frame);
		assert_int_equal(number_of(frame), i);
	}
	(void)leave(queue, frame);
	assert_int_equal(number_of(frame), 15);
	line_queue_free(queue);
}

/* Frames of all sizes, far more than there is room for, again and again: all that is kept is sound, all memory returns. */
static void memory_is_bounded_and_comes_back(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_S, .jitter = BRUNT_S / 2 };
	size_t memory = 2 << 20;
	struct line_queue *queue = new_queue(memory, &what);
	static unsigned char frame[LINE_FRAME_MAX];
	unsigned char sizes[4096] = { 0 };
	uint32_t number = 0;

	(void)state;
	for (int round = 0; round < 20; round++) {
		uint64_t full = line_queue_stats(queue)->full;
		size_t kept = 0, size;

		while (line_queue_stats(queue)->full == full) {
			sizes[number % sizeof(sizes)] = (unsigned char)(number * 37 % 251);
			size = 64 + (size_t)sizes[number % sizeof(sizes)] * 261;
			fill(frame, size, number++);
			arrive(queue, frame, size, NOW);
		}
		while ((size = leave(queue, frame))) {
			kept += size;
			assert_int_equal(size, 64 + (size_t)sizes[number_of(frame) % sizeof(sizes)] * 261);
			assert_frame(frame, size, number_of(frame));
		}
		assert_in_range(kept, memory / 2, memory);
		assert_int_equal(line_queue_stats(queue)->waiting, 0);
	}
	line_queue_free(queue);
}

static void small_packets_can_fill_all_of_it(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_S };
	struct line_queue *queue = new_queue(2 << 20, &what);

	(void)state;
	for (uint32_t i = 0; i < 2000; i++)
		arrive_small(queue, i, NOW);
	assert_int_equal(line_queue_stats(queue)->waiting, (2 << 20) / LINE_CHUNK - LINE_FRAME_CHUNKS);
	assert_int_equal(line_queue_stats(queue)->full + line_queue_stats(queue)->waiting, 2000);
	line_queue_free(queue);
}

static void what_is_no_frame_is_counted_and_dropped(void **state)
{
	static const size_t sizes[] = { 0, 1, HEADER, HEADER + 13, LINE_FRAME_MAX + 1, 200000 };
	struct brunt_impairment what = { .delay = BRUNT_S };
	struct line_queue *queue = new_queue(2 << 20, &what);

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(sizes); i++)
		line_queue_arrive(queue, sizes[i], NOW);
	assert_int_equal(line_queue_stats(queue)->failed, BRUNT_COUNT(sizes));
	assert_int_equal(line_queue_stats(queue)->waiting, 0);
	line_queue_arrive(queue, HEADER + 14, NOW);
	line_queue_arrive(queue, LINE_FRAME_MAX, NOW);
	assert_int_equal(line_queue_stats(queue)->waiting, 2);
	line_queue_free(queue);
}

/* ---- counters ---- */

static void lateness_is_measured(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_MS };
	struct line_queue *queue = new_queue(1 << 20, &what);

	(void)state;
	arrive_small(queue, 0, NOW);
	arrive_small(queue, 1, NOW);
	line_queue_sent(queue, NOW + 3 * BRUNT_MS);
	line_queue_sent(queue, NOW + BRUNT_MS + 500);
	assert_int_equal(line_queue_stats(queue)->late_max, 2 * BRUNT_MS);
	assert_int_equal(line_queue_stats(queue)->late_sum, 2 * BRUNT_MS + 500);
	line_queue_free(queue);
}

/* Every packet that came is accounted for, whatever is done to them. */
static void the_sums_agree(void **state)
{
	struct brunt_impairment what = { .delay = 10 * BRUNT_MS,
					 .jitter = 5 * BRUNT_MS,
					 .loss = 0.2,
					 .duplicate = 0.3,
					 .corrupt = 0.1,
					 .reorder = 0.1,
					 .limit = 1000,
					 .seed = 9 };
	struct line_queue *queue = new_queue(4 << 20, &what);
	const struct brunt_line_stats *stats = line_queue_stats(queue);
	static unsigned char frame[LINE_FRAME_MAX];
	size_t came_out = 0;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		arrive_small(queue, i, NOW + i * BRUNT_US);
		if (i % 4 == 0)
			came_out += leave(queue, frame) > 0;
	}
	while (leave(queue, frame))
		came_out++;
	assert_int_equal(stats->packets, 20000);
	assert_int_equal(stats->bytes, 20000 * (SMALL - HEADER));
	assert_int_equal(stats->sent, came_out);
	assert_true(stats->full > 0 && stats->lost > 0 && stats->duplicated > 0 && stats->corrupted > 0);
	assert_int_equal(stats->packets + stats->duplicated, stats->sent + stats->lost + stats->full);
	line_queue_free(queue);
}

/* ---- duplicates and damage ---- */

static void a_duplicate_is_the_same_frame(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_MS, .duplicate = 1 };
	static const size_t sizes[] = { SMALL, 1526, 2048, 2049, 65000 };
	struct line_queue *queue = new_queue(1 << 20, &what);
	static unsigned char frame[LINE_FRAME_MAX];

	(void)state;
	for (uint32_t i = 0; i < BRUNT_COUNT(sizes); i++) {
		fill(frame, sizes[i], i);
		arrive(queue, frame, sizes[i], NOW);
		for (int k = 0; k < 2; k++) {
			assert_int_equal(leave(queue, frame), sizes[i]);
			assert_frame(frame, sizes[i], i);
		}
		assert_int_equal(leave(queue, frame), 0);
	}
	line_queue_free(queue);
}

static unsigned bits_between(const unsigned char *a, const unsigned char *b, size_t size)
{
	unsigned bits = 0;

	for (size_t i = 0; i < size; i++)
		bits += (unsigned)__builtin_popcount(a[i] ^ b[i]);
	return bits;
}

static void damage_is_one_bit_behind_the_ethernet_header(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_MS, .corrupt = 1, .seed = 2 };
	struct line_queue *queue = new_queue(1 << 20, &what);
	static unsigned char frame[LINE_FRAME_MAX], wanted[LINE_FRAME_MAX];
	bool place[SMALL] = { false };
	unsigned places = 0;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		fill(wanted, SMALL, 1);
		wanted[0] = VIRTIO_NET_HDR_F_DATA_VALID; /* the kernel would not look at the checksum */
		arrive(queue, wanted, SMALL, NOW);
		assert_int_equal(leave(queue, frame), SMALL);
		assert_int_equal(frame[0], 0);
		assert_memory_equal(frame + 1, wanted + 1, HEADER + LINE_FRAME_ETHERNET - 1);
		assert_int_equal(bits_between(frame + 1, wanted + 1, SMALL - 1), 1);
		for (size_t k = 0; k < SMALL; k++)
			place[k] |= k && frame[k] != wanted[k];
	}
	for (size_t k = 0; k < SMALL; k++)
		places += place[k];
	assert_int_equal(places, SMALL - HEADER - LINE_FRAME_ETHERNET); /* each byte was hit once */
	assert_int_equal(line_queue_stats(queue)->corrupted, 5000);
	line_queue_free(queue);
}

/* A duplicate of a damaged packet has its own luck; neither changes the other. */
static void damage_does_not_reach_the_duplicate(void **state)
{
	struct brunt_impairment what = { .delay = BRUNT_MS, .corrupt = 0.5, .duplicate = 1, .seed = 2 };
	struct line_queue *queue = new_queue(1 << 20, &what);
	static unsigned char frame[LINE_FRAME_MAX], wanted[LINE_FRAME_MAX];
	unsigned sound = 0, damaged = 0;

	(void)state;
	fill(wanted, 3000, 1);
	for (uint32_t i = 0; i < 1000; i++) {
		arrive(queue, wanted, 3000, NOW);
		for (int k = 0; k < 2; k++) {
			unsigned bits;

			assert_int_equal(leave(queue, frame), 3000);
			bits = bits_between(frame, wanted, 3000);
			assert_in_range(bits, 0, 1);
			sound += !bits;
			damaged += bits;
		}
	}
	assert_in_range(damaged, 880, 1120);
	assert_int_equal(sound + damaged, 2000);
	line_queue_free(queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_constant_delay_keeps_the_order),
		cmocka_unit_test(jitter_sends_what_is_due_first),
		cmocka_unit_test(the_earliest_of_all_is_always_first),
		cmocka_unit_test(one_that_is_sent_ahead_overtakes),
		cmocka_unit_test(no_more_than_the_limit_wait),
		cmocka_unit_test(memory_is_bounded_and_comes_back),
		cmocka_unit_test(small_packets_can_fill_all_of_it),
		cmocka_unit_test(what_is_no_frame_is_counted_and_dropped),
		cmocka_unit_test(lateness_is_measured),
		cmocka_unit_test(the_sums_agree),
		cmocka_unit_test(a_duplicate_is_the_same_frame),
		cmocka_unit_test(damage_is_one_bit_behind_the_ethernet_header),
		cmocka_unit_test(damage_does_not_reach_the_duplicate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
