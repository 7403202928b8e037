/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/dns_servers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "target/cgroup.h"

#define DNS_PORT  53
#define FILE_MAX  65536
#define SEEN_MAX  64 /* files read already; beyond that some are read again */
#define IP_LENGTH 64

/* The files that were read: processes mostly share one. */
struct seen {
	struct {
		dev_t device;
		ino_t inode;
		size_t place;
	} files[SEEN_MAX];
	size_t count;
};

static void add_server(const struct brunt_dns_server *server, struct brunt_dns_server *ret, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
		if (ret[i].family == server->family && ret[i].port == server->port &&
		    !memcmp(ret[i].address, server->address, sizeof(server->address)))
			return;
	if (*count < BRUNT_DNS_SERVERS_MAX)
		ret[(*count)++] = *server;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* One line: "nameserver", blanks, an address; what follows the address is ignored (resolv.conf(5), res_init.c). */
static bool parse_line(const char *line, size_t size, struct brunt_dns_server *ret)
{
	static const char keyword[] = "nameserver";
	const size_t length = sizeof(keyword) - 1;
	char text[IP_LENGTH];
	size_t begin = length, end;

	if (size <= length || memcmp(line, keyword, length) || !is_blank(line[length]))
		return false;
	while (begin < size && is_blank(line[begin]))
		begin++;
	for (end = begin; end < size && !is_blank(line[end]) && line[end] != '\r'; end++)
		;
	if (end == begin || end - begin >= sizeof(text))
		return false;
	memcpy(text, line + begin, end - begin);
	text[end - begin] = '\0';
	*ret = (struct brunt_dns_server){ .family = 4, .port = DNS_PORT };
	if (inet_pton(AF_INET, text, ret->address) == 1)
		return true;
	ret->family = 6;
	return inet_pton(AF_INET6, text, ret->address) == 1 &&
	       !(ret->address[0] == 0xfe && (ret->address[1] >> 6) == 2);
}

void brunt_dns_servers_parse(const char *text, size_t size, struct brunt_dns_server ret[BRUNT_DNS_SERVERS_MAX],
			     size_t *count)
{
	static const struct brunt_dns_server own = { .family = 4, .address = { 127, 0, 0, 1 }, .port = DNS_PORT };
	struct brunt_dns_server server;
	bool found = false;

	for (size_t at = 0; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end ? (size_t)(end - text) - at : size - at;

		if (parse_line(text + at, length, &server)) {
			add_server(&server, ret, count);
			found = true;
		}
		at += length + 1;
	}
	if (!found)
		add_server(&own, ret, count);
}

/* As the process sees it: an absolute link in its root leads to a file of its root. */
static int open_file(pid_t pid)
{
	struct open_how how = {
		.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	BRUNT_AUTO_CLOSE int root = -1;
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	fd = (int)syscall(SYS_openat2, root, "etc/resolv.conf", &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

static int read_file(pid_t pid, size_t index, struct brunt_dns_place *place, struct seen *seen)
{
	BRUNT_AUTO_CLOSE int fd = open_file(pid);
	BRUNT_AUTO_FREE char *text = NULL;
	struct stat status;
	ssize_t size;

	/* no such file: as with an empty one */
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP) {
		brunt_dns_servers_parse("", 0, place->servers, &place->server_count);
		return 0;
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &status))
		return -errno;
	for (size_t i = 0; i < seen->count; i++)
		if (seen->files[i].inode == status.st_ino && seen->files[i].device == status.st_dev &&
		    seen->files[i].place == index)
			return 0;
	if (seen->count < SEEN_MAX) {
		seen->files[seen->count].inode = status.st_ino;
		seen->files[seen->count].device = status.st_dev;
		seen->files[seen->count++].place = index;
	}
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	text = malloc(FILE_MAX);
	if (!text)
		return -ENOMEM;
	size = read(fd, text, FILE_MAX);
	if (size < 0)
		return -errno;
	brunt_dns_servers_parse(text, (size_t)size, place->servers, &place->server_count);
	return 0;
}

static void add_extra(struct brunt_dns_place *place, const struct brunt_list *extra)
{
	BRUNT_FOREACH (const struct brunt_endpoint, endpoint, *extra) {
		struct brunt_dns_server server = { .family = endpoint->family, .port = endpoint->port_min ?: DNS_PORT };

		memcpy(server.address, endpoint->address, endpoint->family == 4 ? 4 : 16);
		add_server(&server, place->servers, &place->server_count);
	}
}

/* The place that the process lives in, perhaps a new one. Its index, or -errno. */
static int find_place(pid_t pid, const struct brunt_list *extra, struct brunt_dns_places *places)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	struct stat status;
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status))
		return -errno;
	for (size_t i = 0; i < places->count; i++)
		if (places->items[i].inode == status.st_ino && places->items[i].device == status.st_dev)
			return (int)i;
	if (places->count == BRUNT_DNS_PLACES_MAX)
		return -E2BIG;
	places->items[places->count] =
		(struct brunt_dns_place){ .netns = BRUNT_TAKE_FD(fd), .device = status.st_dev, .inode = status.st_ino };
	/* Those that were asked for by name have room for certain. */
	add_extra(&places->items[places->count], extra);
	return (int)places->count++;
}

static int look_at(const struct brunt_process *process, const struct brunt_list *extra, struct brunt_dns_places *places,
		   struct seen *seen, struct brunt_error *err)
{
	int index = find_place(process->pid, extra, places), r;

	if (index == -E2BIG)
		return brunt_fail(err, E2BIG, "the target's processes live in more than %d network namespaces",
				  BRUNT_DNS_PLACES_MAX);
	r = index < 0 ? index : read_file(process->pid, (size_t)index, &places->items[index], seen);
	/* what was opened is the right process's when it still lives */
	if (r == -ENOENT || r == -ESRCH || (r && !brunt_process_alive(process)))
		return -ESRCH;
	if (r == -EACCES || r == -EPERM)
		return brunt_fail(err, EPERM,
				  "may not read the /etc/resolv.conf of process %d (%s): needs CAP_SYS_PTRACE and "
				  "CAP_DAC_READ_SEARCH",
				  (int)process->pid, process->name);
	if (r == -EINVAL)
		return brunt_fail(err, EINVAL, "the /etc/resolv.conf of process %d (%s) is not a file",
				  (int)process->pid, process->name);
	if (r)
		return brunt_fail(err, -r, "cannot read the /etc/resolv.conf of process %d (%s): %s", (int)process->pid,
				  process->name, strerror(-r));
	return brunt_process_alive(process) ? 0 : -ESRCH;
}

struct search {
	const struct brunt_list *extra;
	struct brunt_dns_places *places;
	struct seen seen;
	size_t alive;
	struct brunt_error *err;
};

static int take(struct search *search, const struct brunt_process *process)
{
	int r = look_at(process, search->extra, search->places, &search->seen, search->err);

	if (r == -ESRCH)
		return 0;
	search->alive += !r;
	return r;
}

static int visit(void *user, pid_t pid)
{
	struct brunt_process process;

	/* ended meanwhile */
	if (brunt_process_identify("/proc", pid, false, &process, NULL))
		return 0;
	return take(user, &process);
}

static int take_item(struct search *search, const char *mount, const struct brunt_item *item)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	int r;

	if (item->kind == BRUNT_TARGET_PROCESS)
		return take(search, &item->process);
	fd = brunt_cgroup_open(mount, search->err);
	if (fd < 0)
		return fd;
	r = brunt_cgroup_processes(fd, item->cgroup, visit, search);
	if (r && search->err && !search->err->msg[0])
		return brunt_fail(search->err, -r, "cannot list the processes of '%s': %s", item->name, strerror(-r));
	return r;
}

int brunt_dns_places_find(const char *mount, const struct brunt_victims *victims, const struct brunt_list *extra,
			  struct brunt_dns_places *ret, struct brunt_error *err)
{
	struct search search = { .extra = extra, .places = ret, .err = err };

	ret->count = 0;
	for (size_t i = 0; i < victims->matched; i++) {
		int r = victims->items[i].picked ? take_item(&search, mount, &victims->items[i]) : 0;

		if (r)
			return r;
	}
	if (!search.alive)
		return brunt_fail(err, ESRCH, "the target has no process whose name servers could be found");
	return 0;
}

bool brunt_dns_place_is_own(const struct brunt_dns_place *place)
{
	struct stat own;

	return !stat("/proc/self/ns/net", &own) && own.st_ino == place->inode && own.st_dev == place->device;
}

void brunt_dns_places_close(struct brunt_dns_places *places)
{
	while (places->count)
		close(places->items[--places->count].netns);
}
