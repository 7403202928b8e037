/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two orders, as in the kernel's netem: a ring for packets that are due no
 * earlier than the one before them (all of them, without jitter), and a heap
 * for the others. The first of both is the first.
 */
#include "line/line_queue.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "brunt/memory.h"
#include "line/line_dice.h"
#include "line/line_frame.h"

struct entry {
	uint64_t due;
	uint64_t order; /* of arrival: what is due at the same time leaves as it came */
	uint32_t chunk; /* the first of its chain */
	uint32_t size;	/* bytes, header included */
};

struct line_queue {
	struct line_dice dice;
	struct brunt_line_stats stats;
	size_t header, mapped;
	uint32_t count; /* of chunks, and so the most packets */

	unsigned char *memory; /* count chunks */
	uint32_t *next;	       /* by chunk: the one after it in its chain, or in the list of free ones */
	uint32_t free, free_count;
	struct iovec room[LINE_FRAME_CHUNKS];
	uint32_t room_chunk[LINE_FRAME_CHUNKS];

	struct entry *ring; /* count of them, as a circle */
	uint32_t head, length;
	struct entry *heap; /* the first in heap[0], those after heap[i] in heap[2i+1] and heap[2i+2] */
	uint32_t heap_length;
	uint64_t order, last; /* due time of the last that waits */

	unsigned char flat[2][LINE_FRAME_MAX]; /* where frames are damaged */
};

static uint32_t chunks_of(size_t size)
{
	return (uint32_t)((size + LINE_CHUNK - 1) / LINE_CHUNK);
}

static unsigned char *chunk_at(const struct line_queue *queue, uint32_t chunk)
{
	return queue->memory + (size_t)chunk * LINE_CHUNK;
}

/* ---- chunks ---- */

static uint32_t take_chunk(struct line_queue *queue)
{
	uint32_t chunk = queue->free;

	queue->free = queue->next[chunk];
	queue->free_count--;
	return chunk;
}

static void give_back(struct line_queue *queue, uint32_t chunk, size_t size)
{
	for (uint32_t left = chunks_of(size); left; left--) {
		uint32_t next = queue->next[chunk];

		/* The one that was used last is used next: what was never needed is never touched. */
		queue->next[chunk] = queue->free;
		queue->free = chunk;
		queue->free_count++;
		chunk = next;
	}
}

static void lay_out_room(struct line_queue *queue, uint32_t place)
{
	queue->room_chunk[place] = take_chunk(queue);
	queue->room[place] =
		(struct iovec){ .iov_base = chunk_at(queue, queue->room_chunk[place]), .iov_len = LINE_CHUNK };
}

/* The frame in the room keeps its chunks, the room gets others. */
static uint32_t keep_room(struct line_queue *queue, size_t size)
{
	uint32_t count = chunks_of(size), first = queue->room_chunk[0];

	for (uint32_t i = 0; i < count; i++) {
		if (i + 1 < count)
			queue->next[queue->room_chunk[i]] = queue->room_chunk[i + 1];
		lay_out_room(queue, i);
	}
	return first;
}

static uint32_t keep_copy(struct line_queue *queue, const unsigned char *frame, size_t size)
{
	uint32_t first = queue->free, chunk = 0;

	for (size_t at = 0; at < size; at += LINE_CHUNK) {
		chunk = take_chunk(queue); /* chained already, as free ones */
		memcpy(chunk_at(queue, chunk), frame + at, size - at < LINE_CHUNK ? size - at : LINE_CHUNK);
	}
	return first;
}

static void flatten_room(const struct line_queue *queue, size_t size, unsigned char *ret)
{
	for (size_t at = 0, i = 0; at < size; at += LINE_CHUNK, i++)
		memcpy(ret + at, queue->room[i].iov_base, size - at < LINE_CHUNK ? size - at : LINE_CHUNK);
}

/* ---- order ---- */

static bool is_before(const struct entry *a, const struct entry *b)
{
	return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void heap_add(struct line_queue *queue, struct entry entry)
{
	uint32_t at = queue->heap_length++;

	while (at && is_before(&entry, &queue->heap[(at - 1) / 2])) {
		queue->heap[at] = queue->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	queue->heap[at] = entry;
}

static void heap_remove_first(struct line_queue *queue)
{
	struct entry last = queue->heap[--queue->heap_length];
	uint32_t at = 0, child;

	while ((child = 2 * at + 1) < queue->heap_length) {
		if (child + 1 < queue->heap_length && is_before(&queue->heap[child + 1], &queue->heap[child]))
			child++;
		if (!is_before(&queue->heap[child], &last))
			break;
		queue->heap[at] = queue->heap[child];
		at = child;
	}
	queue->heap[at] = last;
}

static struct entry *ring_at(const struct line_queue *queue, uint32_t place)
{
	return &queue->ring[(queue->head + place) % queue->count];
}

static void add(struct line_queue *queue, uint64_t due, uint32_t chunk, size_t size)
{
	struct entry entry = { .due = due, .order = queue->order++, .chunk = chunk, .size = (uint32_t)size };

	if (!queue->stats.waiting++ || due > queue->last)
		queue->last = due;
	if (queue->length && due < ring_at(queue, queue->length - 1)->due)
		heap_add(queue, entry);
	else
		*ring_at(queue, queue->length++) = entry;
}

static const struct entry *first(const struct line_queue *queue)
{
	if (queue->heap_length && (!queue->length || is_before(&queue->heap[0], ring_at(queue, 0))))
		return &queue->heap[0];
	return queue->length ? ring_at(queue, 0) : NULL;
}

static void remove_first(struct line_queue *queue)
{
	const struct entry *entry = first(queue);

	give_back(queue, entry->chunk, entry->size);
	if (entry == queue->heap) {
		heap_remove_first(queue);
	} else {
		queue->head = (queue->head + 1) % queue->count;
		queue->length--;
	}
	queue->stats.waiting--;
}

/* ---- arrival ---- */

static bool has_place(struct line_queue *queue, size_t size)
{
	if (queue->stats.waiting < queue->dice.what.limit && queue->free_count >= chunks_of(size))
		return true;
	queue->stats.full++;
	return false;
}

static uint64_t due_time(struct line_queue *queue, uint32_t wire_size, uint64_t now)
{
	bool ahead;
	uint64_t due = line_dice_due(&queue->dice, now, wire_size, queue->stats.waiting ? queue->last : 0, &ahead);

	queue->stats.reordered += ahead;
	return due;
}

static void keep_damaged(struct line_queue *queue, size_t size, uint32_t wire_size, uint64_t now)
{
	unsigned char *frame = queue->flat[0], *rest = queue->flat[1];
	size_t rest_size, spot;
	uint64_t due;

	flatten_room(queue, size, frame);
	/* Of a large packet one segment is damaged, the first, as in netem; the others follow it at once. */
	rest_size = line_frame_split(frame, &size, queue->header, rest);
	line_frame_finish(frame, size, queue->header);
	spot = queue->header + LINE_FRAME_ETHERNET;
	if (size > spot) {
		spot += line_dice_place(&queue->dice, (uint32_t)(size - spot));
		frame[spot] ^= (unsigned char)(1u << line_dice_place(&queue->dice, 8));
		queue->stats.corrupted++;
	}
	if (!has_place(queue, size))
		return;
	due = due_time(queue, wire_size, now);
	add(queue, due, keep_copy(queue, frame, size), size);
	if (rest_size && has_place(queue, rest_size))
		add(queue, due, keep_copy(queue, rest, rest_size), rest_size);
}

static void keep_whole(struct line_queue *queue, size_t size, uint32_t wire_size, uint64_t now, bool copy)
{
	uint32_t chunk;

	if (!has_place(queue, size))
		return;
	if (copy) {
		flatten_room(queue, size, queue->flat[0]);
		chunk = keep_copy(queue, queue->flat[0], size);
	} else {
		chunk = keep_room(queue, size);
	}
	add(queue, due_time(queue, wire_size, now), chunk, size);
}

void line_queue_arrive(struct line_queue *queue, size_t size, uint64_t now)
{
	uint32_t wire_size;
	bool twice, lost;

	queue->stats.packets++;
	if (size > LINE_FRAME_MAX || size < queue->header + LINE_FRAME_ETHERNET) {
		queue->stats.failed++;
		return;
	}
	queue->stats.bytes += size - queue->header;
	wire_size = line_frame_wire_size(queue->room[0].iov_base, size, queue->header);
	twice = line_dice_duplicate(&queue->dice);
	lost = line_dice_lose(&queue->dice);
	if (lost && !twice) {
		queue->stats.lost++;
		return;
	}
	if (twice && !lost) {
		/* The other one has a fate of its own, but is not doubled again. */
		queue->stats.duplicated++;
		if (line_dice_lose(&queue->dice))
			queue->stats.lost++;
		else if (line_dice_corrupt(&queue->dice))
			keep_damaged(queue, size, wire_size, now);
		else
			keep_whole(queue, size, wire_size, now, true);
	}
	if (line_dice_corrupt(&queue->dice))
		keep_damaged(queue, size, wire_size, now);
	else
		keep_whole(queue, size, wire_size, now, false);
}

/* ---- departure ---- */

uint64_t line_queue_next(const struct line_queue *queue)
{
	const struct entry *entry = first(queue);

	return entry ? entry->due : UINT64_MAX;
}

int line_queue_first(const struct line_queue *queue, struct iovec ret[LINE_FRAME_CHUNKS])
{
	const struct entry *entry = first(queue);
	size_t left = entry ? entry->size : 0;
	uint32_t chunk = entry ? entry->chunk : 0;
	int count = 0;

	while (left) {
		size_t size = left < LINE_CHUNK ? left : LINE_CHUNK;

		ret[count++] = (struct iovec){ .iov_base = chunk_at(queue, chunk), .iov_len = size };
		chunk = queue->next[chunk];
		left -= size;
	}
	return count;
}

void line_queue_sent(struct line_queue *queue, uint64_t now)
{
	uint64_t due = line_queue_next(queue), late = now > due ? now - due : 0;

	queue->stats.sent++;
	queue->stats.late_sum += late;
	if (late > queue->stats.late_max)
		queue->stats.late_max = late;
	remove_first(queue);
}

void line_queue_failed(struct line_queue *queue)
{
	queue->stats.failed++;
	remove_first(queue);
}

/* ---- the whole ---- */

const struct iovec *line_queue_room(const struct line_queue *queue)
{
	return queue->room;
}

struct brunt_line_stats *line_queue_stats(struct line_queue *queue)
{
	return &queue->stats;
}

void line_queue_set(struct line_queue *queue, const struct brunt_impairment *what)
{
	line_dice_set(&queue->dice, what);
}

/* One mapping, of which only what is used is ever touched; never less than one frame and the room need. */
int line_queue_new(size_t memory, size_t header, struct line_queue **ret)
{
	uint32_t count = chunks_of(memory < 2 * LINE_FRAME_MAX ? 2 * LINE_FRAME_MAX : memory);
	size_t entries = count * sizeof(struct entry), links = (count * sizeof(uint32_t) + 63) / 64 * 64;
	size_t own = (sizeof(struct line_queue) + 4095) / 4096 * 4096;
	size_t size = own + (size_t)count * LINE_CHUNK + 2 * entries + links;
	struct line_queue *queue;
	unsigned char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return -ENOMEM;
	queue = (struct line_queue *)at;
	queue->header = header;
	queue->mapped = size;
	queue->count = count;
	queue->memory = at + own;
	queue->next = (uint32_t *)(queue->memory + (size_t)count * LINE_CHUNK);
	queue->ring = (struct entry *)((unsigned char *)queue->next + links);
	queue->heap = (struct entry *)((unsigned char *)queue->ring + entries);
	for (uint32_t i = 0; i < count; i++)
		queue->next[i] = i + 1;
	queue->free_count = count;
	for (uint32_t i = 0; i < LINE_FRAME_CHUNKS; i++)
		lay_out_room(queue, i);
	*ret = queue;
	return 0;
}

void line_queue_free(struct line_queue *queue)
{
	if (queue)
		(void)munmap(queue, queue->mapped);
}
