/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a resolver may do that looks names up as a target does. Its lookups run
 * the target's own code (nsswitch.conf(5): modules of its root's libc), as
 * nobody, but among all processes of this host.
 */
#pragma once

/*
 * Takes from this process, for ever, what reaches beyond itself: signals and whatever else goes by process, other
 * programs, new processes and threads, namespaces, mounts, System V and POSIX IPC (all of this host), bpf, io_uring,
 * keys, sockets that are neither UNIX, IP nor netlink, and outliving its parent. Takes no_new_privs. 0 (also on kernels
 * and machines without such filters) or -errno.
 */
int brunt_names_jail(void);
