/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a line has to know of the frames it damages or times: an Ethernet frame
 * behind a struct virtio_net_hdr, in which the kernel says which checksum it
 * left for later and of which segments a large packet is made. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LINE_FRAME_ETHERNET 14

/*
 * Bytes of Ethernet frames on a wire, as the kernel counts them for queues (qdisc_pkt_len_init()): a large packet has
 * its headers once for each segment. head: at least the first 2 KiB of a frame of size bytes, or all of it.
 */
uint32_t line_frame_wire_size(const unsigned char *head, size_t size, size_t header);

/* Writes the checksum that the kernel left for later: what is damaged then would get a sound one. */
void line_frame_finish(unsigned char *frame, size_t size, size_t header);

/*
 * A large packet becomes two: frame keeps its first segment, ret_rest (as large as frame) gets the others. Returns the
 * size of the rest, and the new one in *size; 0 and nothing changed when it is not large, or not understood.
 */
size_t line_frame_split(unsigned char *frame, size_t *size, size_t header, unsigned char *ret_rest);
