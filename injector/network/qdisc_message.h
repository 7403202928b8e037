/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning that all requests about a root qdisc have. */
#pragma once

#include <stddef.h>

#include <netlink/msg.h>

/*
 * Our own at a device's root: by it a change is told from a beginning, and a foreign qdisc from ours. Minor numbers of
 * qdiscs are 0; majors from 8000 on are the kernel's to give (sch_api.c, qdisc_alloc_handle()).
 */
#define BRUNT_QDISC_HANDLE 0x6b720000u

static inline void brunt_cleanup_message(struct nl_msg **message)
{
	nlmsg_free(*message); /* NULL is fine */
}

/*
 * A request of type RTM_x about the root qdisc of device; kind: of ours, or NULL for whatever is there; size: room for
 * all of it. To be freed; NULL: no memory.
 */
struct nl_msg *brunt_qdisc_message(int type, int flags, unsigned device, const char *kind, size_t size);
