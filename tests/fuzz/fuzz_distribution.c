/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of delays: what is read has a bounded number of values, and what is refused is told without the file's content. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "brunt/error.h"
#include "network/distributions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int16_t table[BRUNT_DISTRIBUTION_SIZE_MAX];
	static int file = -1;
	struct brunt_error err = { 0 };
	size_t count = 0;
	int r;

	if (file < 0)
		file = memfd_create("distribution", 0);
	if (file < 0 || ftruncate(file, 0) || pwrite(file, data, size, 0) != (ssize_t)size)
		abort();
	if (file != 99 && dup2(file, 99) != 99)
		abort();
	r = brunt_distribution_read("/proc/self/fd/99", table, &count, &err);
	if (r == 0 && (count < 1 || count > BRUNT_DISTRIBUTION_SIZE_MAX))
		abort();
	if (r != 0 && (!err.msg[0] || !strstr(err.msg, "/proc/self/fd/99")))
		abort();
	return 0;
}
