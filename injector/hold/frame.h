/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of a ledger file: header, payload, zeroes to a multiple of eight.
 * After the last frame stands a header of zeroes. The checksum covers header
 * and payload, the sequence counts from 1 without a gap: what was half written
 * or belongs to something else is no frame.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FRAME_MAGIC	  UINT32_C(0x4c6e7242) /* "BrnL" */
#define FRAME_HEAD	  255		       /* kind of the first frame; others are enum brunt_ledger_kind */
#define FRAME_PAYLOAD_MAX 1024

struct frame_header {
	uint32_t magic;
	uint32_t crc; /* of all that follows and the payload */
	uint16_t version;
	uint16_t kind;
	uint32_t size; /* of the payload */
	uint64_t sequence;
};

/* Payload of the frames that are about a step. */
struct frame_mark {
	uint32_t step;
	int32_t pid;
	uint64_t start;
};

/* Bytes that a frame of that payload takes in the file. */
static inline size_t frame_size(size_t payload)
{
	return sizeof(struct frame_header) + ((payload + 7) & ~(size_t)7);
}

/* CRC-32 (IEEE 802.3) of size bytes, going on from crc (0 at first). */
uint32_t frame_crc(uint32_t crc, const void *data, size_t size);

/* Writes a frame and a header of zeroes after it to buf (frame_size(size) + sizeof(struct frame_header) bytes). */
void frame_make(void *buf, unsigned kind, uint64_t sequence, const void *payload, size_t size);

/*
 * Looks for the frame at the start of data. 1: there is one, *ret and *ret_payload (in data) are set; 0: the end;
 * -EBADMSG: neither; -EPROTONOSUPPORT: a sound frame of another version.
 */
int frame_read(const void *data, size_t size, uint64_t sequence, struct frame_header *ret, const void **ret_payload);
