/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ledger's file: torn, rotten or forged, reading it says so or gives what is
 * sound. Random bytes fail at the first checksum, so each input is read twice:
 * as it is, and as the payloads of sound frames behind a sound head.
 */
#include "brunt/error.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "hold/frame.h"
#include "hold/ledger.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read must hold together: texts end, counts are bounded by the file. */
static void check_view(const struct brunt_ledger_view *view, size_t size)
{
	if (view->used > size || view->used / frame_size(0) < view->next_sequence - 1)
		abort();
	if (view->fault_count + view->claim_count + view->path_count + 2 > view->next_sequence)
		abort();
	for (size_t i = 0; i < view->fault_count; i++)
		if (!memchr(view->faults[i].undo.fault, '\0', sizeof(view->faults[i].undo.fault)))
			abort();
	for (size_t i = 0; i < view->claim_count; i++)
		if (!memchr(view->claims[i], '\0', sizeof(view->claims[i])))
			abort();
	for (size_t i = 0; i < view->path_count; i++)
		if (!memchr(view->paths[i].path, '\0', sizeof(view->paths[i].path)))
			abort();
}

static int read_back(const void *data, size_t size)
{
	BRUNT_AUTO_CLOSE int fd = memfd_create("ledger", MFD_CLOEXEC);
	struct brunt_ledger_view view;
	struct brunt_error err = { 0 };
	int r;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	r = ledger_read_open(fd, "fuzz.ledger", &view, &err);
	if (r == 0) {
		check_view(&view, size);
		brunt_ledger_view_done(&view);
	} else if (!err.code || !err.msg[0]) {
		abort();
	}
	return r;
}

/* Each frame: a byte for its kind, two for its size, its payload. */
static void read_framed(const uint8_t *data, size_t size)
{
	struct brunt_ledger_head head = { .boot = "boot", .run = "r-1", .plan = "fuzz" };
	char file[16 * 1024];
	size_t used = frame_size(sizeof(head));
	uint64_t sequence = 1;

	frame_make(file, FRAME_HEAD, sequence, &head, sizeof(head));
	while (size >= 3) {
		size_t payload = (data[1] | (size_t)data[2] << 8) % (FRAME_PAYLOAD_MAX + 1);
		unsigned kind = data[0] % (_BRUNT_LEDGER_MAX + 1);

		data += 3;
		size -= 3;
		if (payload > size)
			payload = size;
		if (used + frame_size(payload) + sizeof(struct frame_header) > sizeof(file))
			break;
		frame_make(file + used, kind, ++sequence, data, payload);
		used += frame_size(payload);
		data += payload;
		size -= payload;
	}
	if (read_back(file, used) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)read_back(data, size);
	read_framed(data, size);
	return 0;
}
