/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the BPF faults share: a network namespace and a cgroup of
 * their own, victims made by hand, faults driven through their life.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "brunt/units.h"

#define LAB_RUN	  lab.run
#define LAB_LEASE (60 * BRUNT_S) /* a virtual machine may be slow */

static struct lab {
	const char *missing; /* why the tests cannot run here */
	char mount[256];
	char cgroup[64]; /* below mount: "/brunt-test-PID" */
	char other[64];
	char run[12]; /* of this process alone: another run of the tests may be under way on this host */
	struct brunt_arena *arena;
} lab;

#define LAB_NEEDED()                                                                                                   \
	do {                                                                                                           \
		if (lab.missing) {                                                                                     \
			print_message("%s\n", lab.missing);                                                            \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

static inline bool lab_find_mount(void)
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char type[64];
	bool found = false;

	while (mounts && !found && fscanf(mounts, "%*s %255s %63s %*[^\n]", lab.mount, type) == 2)
		found = !strcmp(type, "cgroup2");
	if (mounts)
		fclose(mounts);
	return found;
}

/* Moves this process: what sockets it makes from now on belong there. */
static inline void lab_enter(const char *cgroup)
{
	char path[400];
	int fd;

	(void)snprintf(path, sizeof(path), "%s%s/cgroup.procs", lab.mount, cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(dprintf(fd, "%d\n", (int)getpid()) > 0, 1);
	close(fd);
}

static inline void lab_raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

static inline int lab_setup(void **unused)
{
	char path[400];

	(void)unused;
	(void)snprintf(lab.run, sizeof(lab.run), "%08x", 0x5e000000u + (unsigned)getpid());
	if (geteuid()) {
		lab.missing = "needs root: loads BPF programs";
		return 0;
	}
	if (!lab_find_mount()) {
		lab.missing = "needs cgroup v2: none is mounted";
		return 0;
	}
	if (unshare(CLONE_NEWNET)) {
		lab.missing = "needs a network namespace of its own: unshare is refused";
		return 0;
	}
	lab_raise_loopback();
	(void)snprintf(lab.cgroup, sizeof(lab.cgroup), "/brunt-test-%d", (int)getpid());
	(void)snprintf(lab.other, sizeof(lab.other), "/brunt-test-%d-other", (int)getpid());
	(void)snprintf(path, sizeof(path), "%s%s", lab.mount, lab.cgroup);
	if (mkdir(path, 0755)) {
		lab.missing = "needs a cgroup of its own: mkdir is refused";
		return 0;
	}
	(void)snprintf(path, sizeof(path), "%s%s", lab.mount, lab.other);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(brunt_arena_new(&lab.arena), 0);
	return 0;
}

static inline int lab_teardown(void **unused)
{
	char path[400];

	(void)unused;
	if (lab.missing)
		return 0;
	lab_enter("/");
	(void)snprintf(path, sizeof(path), "%s%s", lab.mount, lab.cgroup);
	(void)rmdir(path);
	(void)snprintf(path, sizeof(path), "%s%s", lab.mount, lab.other);
	(void)rmdir(path);
	brunt_arena_free(lab.arena);
	return 0;
}

static inline uint64_t lab_inode(const char *cgroup)
{
	struct stat status;
	char path[400];

	(void)snprintf(path, sizeof(path), "%s%s", lab.mount, cgroup);
	return stat(path, &status) ? 0 : status.st_ino;
}

static inline struct brunt_item lab_cgroup_item(const char *cgroup)
{
	struct brunt_item item = { .kind = BRUNT_TARGET_CGROUP, .picked = true, .cgroup_id = lab_inode(cgroup) };

	(void)snprintf(item.name, sizeof(item.name), "%s", cgroup);
	(void)snprintf(item.cgroup, sizeof(item.cgroup), "%s", cgroup);
	item.process.pidfd = -1;
	return item;
}

static inline uint64_t lab_start_time(pid_t pid)
{
	unsigned long long start = 0;
	char path[64], text[1024] = "";
	char *at;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	at = strrchr(text, ')') + 2; /* field 3 */
	for (int field = 3; field < 22; field++)
		at = strchr(at, ' ') + 1;
	start = strtoull(at, NULL, 10);
	return start;
}

static inline struct brunt_item lab_process_item(pid_t pid, const char *cgroup)
{
	struct brunt_item item = lab_cgroup_item(cgroup);

	item.kind = BRUNT_TARGET_PROCESS;
	item.process = (struct brunt_process){ .pid = pid, .start = lab_start_time(pid), .pidfd = -1, .name = "test" };
	(void)snprintf(item.name, sizeof(item.name), "test pid %d", (int)pid);
	return item;
}

/* One fault on one item, through its whole life. */
struct lab_fault {
	const struct brunt_injector *injector;
	void *params;
	struct brunt_fault fault;
	struct brunt_victims victims;
	struct brunt_item item;
	void *state;
	struct brunt_error err;
};

static inline void lab_load(struct lab_fault *f, const char *name)
{
	struct brunt_fault_context context = {
		.run = LAB_RUN, .seed = 42, .cgroup_mount = lab.mount, .lease_ns = LAB_LEASE
	};

	f->injector = brunt_injector_find(name);
	assert_non_null(f->injector);
	f->fault = (struct brunt_fault){ .injector = f->injector, .params = f->params, .step = 1, .name = "test" };
	if (f->injector->load(&f->fault, &context, &f->state, &f->err))
		fail_msg("load: %s", f->err.msg);
}

static inline int lab_try_hold(struct lab_fault *f, struct brunt_item item, uint64_t lease)
{
	struct brunt_undo_record undo = { .step = 1 };
	int r;

	f->item = item;
	f->victims = (struct brunt_victims){ .items = &f->item, .matched = 1, .picked = 1, .share = 1 };
	if (item.kind == BRUNT_TARGET_PROCESS) {
		f->victims.processes = &f->item.process;
		f->victims.process_count = 1;
	}
	r = f->injector->prepare(f->state, &f->victims, &undo, &f->err);
	if (!r && f->injector->attach)
		r = f->injector->attach(f->state, &f->err);
	if (!r)
		r = f->injector->arm(f->state, brunt_now() + lease, &f->err);
	return r;
}

static inline void lab_hold(struct lab_fault *f, struct brunt_item item, uint64_t lease)
{
	if (lab_try_hold(f, item, lease))
		fail_msg("hold: %s", f->err.msg);
}

static inline struct brunt_hits lab_poll(struct lab_fault *f)
{
	struct brunt_hits hits;

	assert_int_equal(f->injector->poll(f->state, &hits), 0);
	return hits;
}

static inline void lab_release(struct lab_fault *f)
{
	f->injector->disarm(f->state);
	if (f->injector->verify(f->state, &f->err))
		fail_msg("verify: %s", f->err.msg);
	f->injector->detach(f->state);
}

static inline void lab_unload(struct lab_fault *f)
{
	f->injector->unload(f->state);
	f->state = NULL;
}

/* Programs of this run that the kernel still knows. */
static inline unsigned lab_programs_left(void)
{
	char name[BPF_OBJ_NAME_LEN];
	unsigned count = 0;
	__u32 id = 0;

	(void)snprintf(name, sizeof(name), "brunt_%.8s", LAB_RUN);

	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info;
		__u32 size = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		memset(&info, 0, sizeof(info));
		if (!bpf_obj_get_info_by_fd(fd, &info, &size))
			count += !strcmp(info.name, name);
		close(fd);
	}
	return count;
}

/* The kernel frees programs after a grace period. */
static inline void lab_assert_nothing_left(void)
{
	for (int i = 0; i < 2000 && lab_programs_left(); i++)
		usleep(10000);
	assert_int_equal(lab_programs_left(), 0);
}

/* A UDP socket bound to a loopback port of its own. */
static inline int lab_udp(int family, struct sockaddr_storage *ret)
{
	socklen_t size = sizeof(*ret);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = (sa_family_t)family;
	if (family == AF_INET)
		((struct sockaddr_in *)ret)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)ret)->sin6_addr = in6addr_loopback;
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)ret,
			      family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)),
			 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &size), 0);
	return fd;
}

static inline uint16_t lab_port(const struct sockaddr_storage *address)
{
	return ntohs(address->ss_family == AF_INET ? ((const struct sockaddr_in *)address)->sin_port
						   : ((const struct sockaddr_in6 *)address)->sin6_port);
}

/*
 * Sends count datagrams, one by one; how many arrived. Loopback delivers before sendto() returns, unless the CPU has much
 * to do with packets already (ksoftirqd): of many the last are waited for.
 */
static inline unsigned lab_send(int tx, int rx, const struct sockaddr_storage *to, unsigned count)
{
	struct pollfd event = { .fd = rx, .events = POLLIN };
	unsigned arrived = 0;
	char byte;

	while (recv(rx, &byte, 1, MSG_DONTWAIT) >= 0)
		;
	for (unsigned i = 0; i < count; i++) {
		(void)sendto(tx, "x", 1, 0, (const struct sockaddr *)to, sizeof(*to));
		arrived += recv(rx, &byte, 1, MSG_DONTWAIT) == 1;
	}
	while (count > 1 && arrived < count && poll(&event, 1, 30) == 1)
		arrived += recv(rx, &byte, 1, MSG_DONTWAIT) == 1;
	return arrived;
}

static inline struct brunt_endpoint lab_endpoint(uint8_t family, const void *address, uint8_t prefix, uint16_t port)
{
	struct brunt_endpoint endpoint = { .family = family, .prefix = prefix, .port_min = port, .port_max = port };

	if (address)
		memcpy(endpoint.address, address, family == 4 ? 4 : 16);
	return endpoint;
}
