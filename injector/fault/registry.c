/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that names the kinds of fault. A new one is a line in each list. */
#include "brunt/fault.h"

#include <string.h>

extern const struct brunt_injector brunt_fault_packet_drop;
extern const struct brunt_injector brunt_fault_network_partition;
extern const struct brunt_injector brunt_fault_connect_fail;
extern const struct brunt_injector brunt_fault_network_netem;
extern const struct brunt_injector brunt_fault_network_rate;
extern const struct brunt_injector brunt_fault_network_reset;
extern const struct brunt_injector brunt_fault_tcp_hold;
extern const struct brunt_injector brunt_fault_dns_fail;
extern const struct brunt_injector brunt_fault_syscall_fail;
extern const struct brunt_injector brunt_fault_syscall_delay;
extern const struct brunt_injector brunt_fault_file_fail;
extern const struct brunt_injector brunt_fault_process_kill;
extern const struct brunt_injector brunt_fault_process_pause;

/* One line each, so that two new ones don't meet in one. */
/* clang-format off */
const struct brunt_injector *const brunt_injectors[] = {
	&brunt_fault_network_netem,
	&brunt_fault_network_rate,
	&brunt_fault_packet_drop,
	&brunt_fault_network_partition,
	&brunt_fault_connect_fail,
	&brunt_fault_network_reset,
	&brunt_fault_tcp_hold,
	&brunt_fault_dns_fail,
	&brunt_fault_syscall_fail,
	&brunt_fault_syscall_delay,
	&brunt_fault_file_fail,
	&brunt_fault_process_kill,
	&brunt_fault_process_pause,
	NULL,
};
/* clang-format on */

static const struct brunt_injector *const *overriding;

static const struct brunt_injector *find_in(const struct brunt_injector *const *list, const char *name)
{
	for (; list && *list; list++)
		if (!strcmp((*list)->name, name))
			return *list;
	return NULL;
}

const struct brunt_injector *brunt_injector_find(const char *name)
{
	return find_in(overriding, name) ?: find_in(brunt_injectors, name);
}

void brunt_injector_override(const struct brunt_injector *const *injectors)
{
	overriding = injectors;
}

const char *brunt_undo_text(enum brunt_undo undo)
{
	switch (undo) {
	case BRUNT_UNDO_KERNEL:
		return "kernel, when brunt ends";
	case BRUNT_UNDO_LEDGER:
		return "brunt recover, from the ledger; inert until then";
	case BRUNT_UNDO_TARGET_EXIT:
		return "stays, neutral, until the target exits";
	case BRUNT_UNDO_EVENT:
		return "cannot be undone";
	}
	return "unknown";
}
