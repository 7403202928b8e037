/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces: whose is which, and sockets in those of others.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct brunt_error;
struct brunt_process;

/*
 * An interface's index is unique in its network namespace only.
 *
 * Before tcx, an interface is told by its index alone, at the root cgroup, where packets of every network namespace
 * come by. 0 when no process lives in another namespace that has an interface of that index (that is up and speaks
 * IPv4 or IPv6); -ENOTSUP with that process in err; -errno when /proc cannot be read. proc: "/proc".
 */
int brunt_interface_is_unique(const char *proc, unsigned index, const char *name, struct brunt_error *err);

/*
 * A descriptor of the network namespace that a process lives in (to be closed; it keeps the namespace alive), and in
 * *ret_id what tells it from others. -ESRCH when the process has ended, -EPERM without the right to look.
 */
int brunt_namespace_open(const struct brunt_process *process, uint64_t *ret_id, struct brunt_error *err);

/* The id of brunt's own; 0 when it cannot be told. */
uint64_t brunt_namespace_own(void);

/*
 * socket(2) in that network namespace; -1 is brunt's own. The caller is back in its own afterwards. A descriptor,
 * -EPERM (also when the way back would be closed), -errno.
 */
int brunt_namespace_socket(int namespace, int family, int type, int protocol, struct brunt_error *err);
