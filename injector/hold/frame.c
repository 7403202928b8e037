/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "brunt/ledger.h"
#include "hold/frame.h"

uint32_t frame_crc(uint32_t crc, const void *data, size_t size)
{
	const unsigned char *at = data;

	crc = ~crc;
	for (size_t i = 0; i < size; i++) {
		crc ^= at[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
	}
	return ~crc;
}

/* frame: header, payload and the zeroes behind it. */
static uint32_t checksum(const void *frame, size_t payload)
{
	size_t skip = offsetof(struct frame_header, version);

	return frame_crc(0, (const char *)frame + skip, frame_size(payload) - skip);
}

void frame_make(void *buf, unsigned kind, uint64_t sequence, const void *payload, size_t size)
{
	struct frame_header header = {
		.magic = FRAME_MAGIC,
		.version = BRUNT_LEDGER_VERSION,
		.kind = (uint16_t)kind,
		.size = (uint32_t)size,
		.sequence = sequence,
	};

	memset(buf, 0, frame_size(size) + sizeof(header));
	memcpy(buf, &header, sizeof(header));
	memcpy((char *)buf + sizeof(header), payload, size);
	header.crc = checksum(buf, size);
	memcpy(buf, &header, sizeof(header));
}

int frame_read(const void *data, size_t size, uint64_t sequence, struct frame_header *ret, const void **ret_payload)
{
	static const struct frame_header none;
	struct frame_header header;

	if (size < sizeof(header)) {
		for (size_t i = 0; i < size; i++)
			if (((const char *)data)[i])
				return -EBADMSG;
		return 0;
	}
	memcpy(&header, data, sizeof(header));
	if (!memcmp(&header, &none, sizeof(none)))
		return 0;
	if (header.magic != FRAME_MAGIC || header.size > FRAME_PAYLOAD_MAX || frame_size(header.size) > size ||
	    header.crc != checksum(data, header.size))
		return -EBADMSG;
	if (header.version != BRUNT_LEDGER_VERSION)
		return -EPROTONOSUPPORT;
	if (header.sequence != sequence)
		return -EBADMSG;
	*ret = header;
	*ret_payload = (const char *)data + sizeof(header);
	return 1;
}
