/* SPDX-License-Identifier: Apache-2.0 */
#include "syscall/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "brunt/memory.h"

#define PAGE 4096

static bool refused; /* the keeper has one thread */

static bool is_refusal(int code)
{
	return code == EPERM || code == EACCES;
}

bool brunt_caller_was_refused(void)
{
	bool was = refused;

	refused = false;
	return was;
}

static ssize_t read_text(pid_t thread, const char *what, char *buf, size_t size)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	char path[64];
	ssize_t count;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)thread, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	count = read(fd, buf, size - 1);
	buf[count > 0 ? count : 0] = '\0';
	return count;
}

static uint64_t read_start(pid_t process)
{
	char text[1024];
	const char *at;

	if (read_text(process, "stat", text, sizeof(text)) <= 0)
		return 0;
	/* the name may hold anything, parentheses too */
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

pid_t brunt_caller_process(pid_t thread, uint64_t *ret_start)
{
	char text[256];
	const char *at;
	pid_t process;

	if (read_text(thread, "status", text, sizeof(text)) <= 0)
		return 0;
	at = strstr(text, "\nTgid:");
	process = at ? (pid_t)strtol(at + 6, NULL, 10) : 0;
	if (process && ret_start)
		*ret_start = read_start(process);
	return process;
}

bool brunt_caller_name(pid_t thread, char *buf, size_t size)
{
	ssize_t count = read_text(thread, "comm", buf, size);

	if (count <= 0)
		return false;
	if (buf[count - 1] == '\n')
		buf[count - 1] = '\0';
	return true;
}

static bool read_memory(pid_t thread, uint64_t address, void *buf, size_t size)
{
	struct iovec own = { buf, size };
	struct iovec its = { (void *)(uintptr_t)address, size };
	char path[48];
	int fd;
	bool got;
	ssize_t count = process_vm_readv(thread, &own, 1, &its, 1, 0);

	if (count >= 0 || (errno != EPERM && errno != ENOSYS))
		return count == (ssize_t)size;
	/* some containers refuse the call, but not the file */
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		refused |= is_refusal(errno);
		return false;
	}
	got = pread(fd, buf, size, (off_t)address) == (ssize_t)size;
	(void)close(fd);
	return got;
}

/* What lies on the next page need not be there: never more than to the end of one. */
static bool read_string(pid_t thread, uint64_t address, char *buf, size_t size)
{
	size_t used = 0;

	while (used < size) {
		size_t part = PAGE - (size_t)(address + used) % PAGE;

		if (part > size - used)
			part = size - used;
		if (!read_memory(thread, address + used, buf + used, part))
			return false;
		if (memchr(buf + used, '\0', part))
			return true;
		used += part;
	}
	return false;
}

static bool read_link(pid_t thread, const char *what, char *buf, size_t size)
{
	char path[64];
	ssize_t count;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)thread, what);
	count = readlink(path, buf, size - 1);
	if (count < 0)
		refused |= is_refusal(errno);
	buf[count > 0 ? count : 0] = '\0';
	return count > 0;
}

static bool read_descriptor(pid_t thread, int fd, char *buf, size_t size)
{
	char what[32];

	(void)snprintf(what, sizeof(what), "fd/%d", fd);
	return read_link(thread, what, buf, size);
}

void brunt_caller_tidy(char *path)
{
	char *out = path;
	const char *in = path;

	while (*in) {
		const char *end;

		while (*in == '/')
			in++;
		end = in + strcspn(in, "/");
		if (end - in == 2 && in[0] == '.' && in[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (end > in && !(end - in == 1 && in[0] == '.')) {
			*out++ = '/';
			memmove(out, in, (size_t)(end - in));
			out += end - in;
		}
		in = end;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
}

static bool read_base(pid_t thread, const struct brunt_call *call, const uint64_t args[6], unsigned which, char *buf,
		      size_t size)
{
	int dirfd = call->dirfd[which] >= 0 ? (int)args[call->dirfd[which]] : AT_FDCWD;

	return dirfd == AT_FDCWD ? read_link(thread, "cwd", buf, size) : read_descriptor(thread, dirfd, buf, size);
}

bool brunt_caller_path(pid_t thread, const struct brunt_call *call, const uint64_t args[6], unsigned which, char *buf,
		       size_t size)
{
	static char text[BRUNT_CALLER_PATH]; /* the keeper has one thread */
	size_t base;

	if (call->path[which] < 0 || !args[call->path[which]]) {
		int8_t fd = which ? call->fd2 : call->fd;

		return fd >= 0 && read_descriptor(thread, (int)args[fd], buf, size);
	}
	if (!read_string(thread, args[call->path[which]], text, sizeof(text)))
		return false;
	if (text[0] == '/') {
		base = 0;
	} else {
		if (!read_base(thread, call, args, which, buf, size))
			return false;
		base = strlen(buf);
		if (!text[0]) /* AT_EMPTY_PATH: the descriptor itself */
			return true;
	}
	if (base + strlen(text) + 2 > size)
		return false;
	if (base)
		buf[base++] = '/';
	(void)strcpy(buf + base, text);
	brunt_caller_tidy(buf);
	return true;
}

static bool to_endpoint(const struct sockaddr_storage *from, struct brunt_endpoint *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)from;

		ret->family = 4;
		ret->prefix = 32;
		memcpy(ret->address, &in->sin_addr, 4);
		ret->port_min = ret->port_max = ntohs(in->sin_port);
		return true;
	}
	if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;

		ret->family = 6;
		ret->prefix = 128;
		memcpy(ret->address, &in6->sin6_addr, 16);
		ret->port_min = ret->port_max = ntohs(in6->sin6_port);
		return true;
	}
	return false;
}

static bool read_peer(pid_t thread, int number, struct sockaddr_storage *ret)
{
	pid_t process = brunt_caller_process(thread, NULL);
	BRUNT_AUTO_CLOSE int pidfd = process ? (int)syscall(SYS_pidfd_open, process, 0) : -1;
	BRUNT_AUTO_CLOSE int fd = pidfd >= 0 ? (int)syscall(SYS_pidfd_getfd, pidfd, number, 0) : -1;
	socklen_t size = sizeof(*ret);

	if (pidfd >= 0 && fd < 0)
		refused |= is_refusal(errno);
	return fd >= 0 && !getpeername(fd, (struct sockaddr *)ret, &size);
}

bool brunt_caller_address(pid_t thread, const struct brunt_call *call, const uint64_t args[6],
			  struct brunt_endpoint *ret)
{
	struct sockaddr_storage address = { 0 };

	if (call->address >= 0 && call->addrlen >= 0 && args[call->address]) {
		size_t size = (size_t)args[call->addrlen];

		if (size > sizeof(address))
			size = sizeof(address);
		return size >= sizeof(address.ss_family) && read_memory(thread, args[call->address], &address, size) &&
		       to_endpoint(&address, ret);
	}
	return call->fd >= 0 && read_peer(thread, (int)args[call->fd], &address) && to_endpoint(&address, ret);
}

/*
 * By the file's name. musl's loader and its C library are one file (its Makefile links LDSO_PATHNAME to libc.so; Alpine
 * keeps it as /lib/ld-musl-ARCH.so.1): calls from there are mostly the program's own, and the others cannot be told.
 */
static bool is_loader(const char *name)
{
	return (!strncmp(name, "ld-", 3) && strncmp(name, "ld-musl-", 8) != 0) || !strncmp(name, "ld.so", 5);
}

/* "7f01-7f02 r-xp 0 08:01 5 /lib64/ld-linux-x86-64.so.2": the line that address is in. */
static bool line_is_loader(const char *line, uint64_t address)
{
	const char *name = strrchr(line, '/');
	char *end;
	uint64_t from = strtoull(line, &end, 16), to = *end == '-' ? strtoull(end + 1, NULL, 16) : 0;

	return address >= from && address < to && name && is_loader(name + 1);
}

bool brunt_caller_is_loader(pid_t thread, uint64_t address)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	static char text[16384];
	size_t used = 0;
	char path[48];

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (int round = 0; fd >= 0 && round < 64; round++) {
		ssize_t count = read(fd, text + used, sizeof(text) - 1 - used);
		char *line = text, *end;

		if (count <= 0)
			break;
		used += (size_t)count;
		text[used] = '\0';
		for (; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			if (line_is_loader(line, address))
				return true;
		}
		used = strlen(line);
		if (used >= sizeof(text) - 1)
			used = 0; /* a line that long is none of ours */
		memmove(text, line, used);
	}
	return false;
}
