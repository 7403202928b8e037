/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who listens on a port: the kernel lists a network namespace's sockets by
 * inode number, and a process's descriptors name those numbers. One table is
 * read per namespace, not per process.
 */
#include "target/find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brunt/memory.h"

#define TCP_LISTEN_STATE 0x0a /* include/net/tcp_states.h */
#define UDP_BOUND_STATE	 0x07 /* an unconnected UDP socket shows TCP_CLOSE */
#define SOCKETS_MAX	 256  /* of one port in one namespace: SO_REUSEPORT gives one per worker */

struct network {
	uint64_t id; /* inode of the namespace */
	uint64_t sockets[SOCKETS_MAX];
	size_t count;
};

struct brunt_ports {
	uint64_t port;
	struct network *networks;
	size_t count, room;
};

int brunt_ports_new(uint64_t port, struct brunt_ports **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->port = port;
	return 0;
}

void brunt_ports_free(struct brunt_ports *ports)
{
	if (!ports)
		return;
	free(ports->networks);
	free(ports);
}

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static void read_table(int proc_dir, pid_t pid, const char *name, unsigned state, uint64_t port,
		       struct network *network)
{
	BRUNT_CLEANUP(close_file) FILE *file = NULL;
	char path[64], line[512];
	int fd;

	snprintf(path, sizeof(path), "%d/net/%s", (int)pid, name);
	fd = openat(proc_dir, path, O_RDONLY | O_CLOEXEC);
	file = fd < 0 ? NULL : fdopen(fd, "re");
	if (!file) {
		if (fd >= 0)
			(void)close(fd);
		return; /* no IPv6, or the process is gone */
	}
	while (network->count < SOCKETS_MAX && fgets(line, sizeof(line), file)) {
		unsigned long long inode;
		unsigned local, now;

		/* sl local:port remote:port st tx:rx tr:when retrnsmt uid timeout inode */
		if (sscanf(line, " %*[0-9]: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %llu", &local,
			   &now, &inode) != 3)
			continue;
		/* TCP lists all its listeners first (tcp_seq_start in net/ipv4/tcp_ipv4.c): spare us the rest. */
		if (state == TCP_LISTEN_STATE && now != TCP_LISTEN_STATE)
			break;
		if (local == port && now == state)
			network->sockets[network->count++] = inode;
	}
}

/* The sockets of the process's network namespace, read once; NULL with *rc -ENOMEM, -EACCES, or 0 when it is gone. */
static const struct network *network_of(struct brunt_ports *ports, int proc_dir, pid_t pid, int *rc)
{
	struct network *network;
	struct stat facts;
	char path[64];

	snprintf(path, sizeof(path), "%d/ns/net", (int)pid);
	*rc = 0;
	if (fstatat(proc_dir, path, &facts, 0)) {
		*rc = errno == EACCES || errno == EPERM ? -EACCES : 0;
		return NULL;
	}
	for (size_t i = 0; i < ports->count; i++)
		if (ports->networks[i].id == facts.st_ino)
			return &ports->networks[i];
	if (ports->count == ports->room) {
		size_t more = ports->room ? 2 * ports->room : 4;

		network = reallocarray(ports->networks, more, sizeof(*network));
		if (!network) {
			*rc = -ENOMEM;
			return NULL;
		}
		ports->networks = network;
		ports->room = more;
	}
	network = &ports->networks[ports->count++];
	*network = (struct network){ .id = facts.st_ino };
	read_table(proc_dir, pid, "tcp", TCP_LISTEN_STATE, ports->port, network);
	read_table(proc_dir, pid, "tcp6", TCP_LISTEN_STATE, ports->port, network);
	read_table(proc_dir, pid, "udp", UDP_BOUND_STATE, ports->port, network);
	read_table(proc_dir, pid, "udp6", UDP_BOUND_STATE, ports->port, network);
	return network;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

int brunt_ports_has(struct brunt_ports *ports, int proc_dir, pid_t pid)
{
	BRUNT_CLEANUP(close_dir) DIR *dir = NULL;
	const struct network *network;
	const struct dirent *entry;
	char path[64], link[64];
	int rc, fd;

	network = network_of(ports, proc_dir, pid, &rc);
	if (!network || !network->count)
		return rc;
	snprintf(path, sizeof(path), "%d/fd", (int)pid);
	fd = openat(proc_dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES || errno == EPERM ? -EACCES : 0;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(dir))) {
		ssize_t got = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);
		unsigned long long inode;

		if (got <= 0)
			continue;
		link[got] = '\0';
		if (sscanf(link, "socket:[%llu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < network->count; i++)
			if (network->sockets[i] == inode)
				return 1;
	}
	return 0;
}
