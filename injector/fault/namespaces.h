/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interface's index is unique in its network namespace only.
 */
#pragma once

struct brunt_error;

/*
 * Before tcx, an interface is told by its index alone, at the root cgroup, where packets of every network namespace
 * come by. 0 when no process lives in another namespace that has an interface of that index (that is up and speaks
 * IPv4 or IPv6); -ENOTSUP with that process in err; -errno when /proc cannot be read. proc: "/proc".
 */
int brunt_interface_is_unique(const char *proc, unsigned index, const char *name, struct brunt_error *err);
