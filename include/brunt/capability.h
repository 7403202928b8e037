/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process may do, for those who explain why something cannot be done.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Which of the wanted capabilities (1 << CAP_x) are not in effect for this process, as "CAP_BPF CAP_NET_ADMIN"; "" when
 * none. Returns buf.
 */
const char *brunt_capabilities_missing(uint64_t wanted, char *buf, size_t size);
