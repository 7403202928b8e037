/* SPDX-License-Identifier: Apache-2.0 */
/* Tagging the sockets of running processes, for faults that hit processes rather than cgroups. */
#pragma once

#include <stdint.h>

struct brunt_error;
struct brunt_process;

/*
 * Puts round into the socket storage map tags for every IPv4 and IPv6 socket that process has open now, and counts
 * them into *ret_count. A socket that is shared with another process (a listener inherited by workers) is tagged for
 * both. 0, -ESRCH (the process ended), -EPERM (needs CAP_SYS_PTRACE), -errno.
 */
int brunt_sockets_tag(const struct brunt_process *process, int tags, uint32_t round, uint64_t *ret_count,
		      struct brunt_error *err);
