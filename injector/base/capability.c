/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/capability.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cap-ng.h>

const char *brunt_capabilities_missing(uint64_t wanted, char *buf, size_t size)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uint64_t effective;
	size_t used = 0;

	if (!size)
		return buf;
	buf[0] = '\0';
	/* Failing leaves none: all are missing. */
	(void)syscall(SYS_capget, &header, data);
	effective = data[0].effective | (uint64_t)data[1].effective << 32;
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		const char *name;

		if (!(wanted & ~effective & (UINT64_C(1) << cap)))
			continue;
		name = capng_capability_to_name((unsigned)cap);
		used += (size_t)snprintf(buf + used, size - used, "%sCAP_", used ? " " : "");
		for (; name && *name && used + 1 < size; name++)
			buf[used++] = (char)(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
		buf[used < size ? used : size - 1] = '\0';
		if (used + 1 >= size)
			break;
	}
	return buf;
}
