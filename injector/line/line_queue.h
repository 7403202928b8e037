/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packets that wait in a line, in the order in which they are due. Knows
 * no device and no clock: a frame is read into its room, arrives at a time
 * that the caller says, and is handed out when it is first.
 *
 * All memory is reserved at the beginning and used as it is needed: frames lie
 * in chains of chunks of one size, so that small packets and large (up to 64
 * KiB with GSO) share it and none is copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "line/line.h"

#define LINE_CHUNK	  2048
#define LINE_FRAME_CHUNKS 33 /* 64 KiB, and headers: Ethernet, tags, struct virtio_net_hdr */
#define LINE_FRAME_MAX	  (LINE_CHUNK * LINE_FRAME_CHUNKS)

struct line_queue;

/* memory: bytes for frames; header: bytes of struct virtio_net_hdr in front of each. 0 or -ENOMEM. */
int line_queue_new(size_t memory, size_t header, struct line_queue **ret);
void line_queue_free(struct line_queue *queue); /* NULL is allowed */

/* Other parameters from the next packet on. Before the first packet it has to be called. */
void line_queue_set(struct line_queue *queue, const struct brunt_impairment *what);

/* LINE_FRAME_CHUNKS pieces of memory for the next frame; the same until it arrives. */
const struct iovec *line_queue_room(const struct line_queue *queue);

/* A frame of size bytes, its header included, lies in the room. now: ns. */
void line_queue_arrive(struct line_queue *queue, size_t size, uint64_t now);

/* When the first is due; UINT64_MAX: none waits. */
uint64_t line_queue_next(const struct line_queue *queue);

/* The first as it is to be written: how many of the pieces it takes; 0: none waits. */
int line_queue_first(const struct line_queue *queue, struct iovec ret[LINE_FRAME_CHUNKS]);

/* The first was written at now, or could not be. It waits no longer. */
void line_queue_sent(struct line_queue *queue, uint64_t now);
void line_queue_failed(struct line_queue *queue);

/* The counters; the caller may set them, but for waiting. */
struct brunt_line_stats *line_queue_stats(struct line_queue *queue);
