/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "brunt/memory.h"
#include "syscall/caller.h"

static char folder[] = "/tmp/brunt-caller-XXXXXX";

static uint64_t at(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

static const struct brunt_call *call(const char *name)
{
	const struct brunt_call *found = brunt_call_find(name);

	assert_non_null(found);
	return found;
}

static void paths_are_tidied_without_the_file_system(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{ "/a/b", "/a/b" },	{ "/a//b/", "/a/b" },	{ "/a/./b", "/a/b" }, { "/a/../b", "/b" },
		{ "/../..", "/" },	{ "/", "/" },		{ "//", "/" },	      { "/a/b/../../c", "/c" },
		{ "/a/...", "/a/..." }, { "/a/..b", "/a/..b" }, { "/a/b/..", "/a" },  { "/.a/.", "/.a" },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "%s", cases[i].from);
		brunt_caller_tidy(path);
		assert_string_equal(path, cases[i].to);
	}
}

static void an_absolute_path_is_read_from_the_caller(void **state)
{
	const uint64_t args[6] = { (uint64_t)AT_FDCWD, at("/etc/../etc//passwd") };
	char path[8192];

	(void)state;
	assert_true(brunt_caller_path(getpid(), call("openat"), args, 0, path, sizeof(path)));
	assert_string_equal(path, "/etc/passwd");
}

static void a_relative_path_begins_at_the_current_folder_or_at_the_descriptor(void **state)
{
	BRUNT_AUTO_CLOSE int dir = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t args[6] = { (uint64_t)AT_FDCWD, at("x/y") };
	char path[8192], expected[128];

	(void)state;
	(void)snprintf(expected, sizeof(expected), "%s/x/y", folder);
	assert_int_equal(chdir(folder), 0);
	assert_true(brunt_caller_path(getpid(), call("openat"), args, 0, path, sizeof(path)));
	assert_string_equal(path, expected);
	args[0] = (uint64_t)dir;
	assert_true(brunt_caller_path(getpid(), call("openat"), args, 0, path, sizeof(path)));
	assert_string_equal(path, "/etc/x/y");
}

static void both_paths_of_a_rename_are_seen(void **state)
{
	const uint64_t args[6] = { at("/a"), at("/b") };
	char path[8192];

	(void)state;
	assert_true(brunt_caller_path(getpid(), call("rename"), args, 0, path, sizeof(path)));
	assert_string_equal(path, "/a");
	assert_true(brunt_caller_path(getpid(), call("rename"), args, 1, path, sizeof(path)));
	assert_string_equal(path, "/b");
}

static void a_call_on_a_descriptor_is_about_what_it_is_open_on(void **state)
{
	BRUNT_AUTO_CLOSE int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	const uint64_t args[6] = { (uint64_t)fd };
	char path[8192];

	(void)state;
	assert_true(brunt_caller_path(getpid(), call("fsync"), args, 0, path, sizeof(path)));
	assert_string_equal(path, "/etc/passwd");
	assert_false(brunt_caller_path(getpid(), call("fsync"), args, 1, path, sizeof(path)));
}

static void a_path_at_the_end_of_mapped_memory_is_read(void **state)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t args[6] = { (uint64_t)AT_FDCWD };
	char path[8192];

	(void)state;
	assert_true(pages != MAP_FAILED);
	assert_int_equal(munmap(pages + 4096, 4096), 0);
	(void)strcpy(pages + 4096 - 6, "/etc/");
	args[1] = at(pages + 4096 - 6);
	assert_true(brunt_caller_path(getpid(), call("openat"), args, 0, path, sizeof(path)));
	assert_string_equal(path, "/etc");
	/* one that does not end there has no end that can be read */
	pages[4095] = 'x';
	assert_false(brunt_caller_path(getpid(), call("openat"), args, 0, path, sizeof(path)));
	assert_int_equal(munmap(pages, 4096), 0);
}

static void a_wild_pointer_is_no_path(void **state)
{
	const uint64_t args[6] = { (uint64_t)AT_FDCWD, 16 };
	char path[8192];

	(void)state;
	assert_false(brunt_caller_path(getpid(), call("openat"), args, 0, path, sizeof(path)));
}

/*
 * As with Yama's ptrace_scope: a process whose memory its own user may not read, for it is not dumpable
 * (ptrace(2), "Ptrace access mode checking").
 */
static void what_may_not_be_read_is_told_from_what_is_not_there(void **state)
{
	const uint64_t args[6] = { (uint64_t)AT_FDCWD, at("/etc/passwd") }, wild[6] = { (uint64_t)AT_FDCWD, 16 };
	pid_t closed, reader;
	int ends[2], status;
	char path[8192];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	closed = fork();
	assert_true(closed >= 0);
	if (!closed) {
		if (!geteuid() && setresuid(65534, 65534, 65534))
			_exit(1);
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		(void)!write(ends[1], "x", 1);
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(ends[0], path, 1), 1);
	reader = fork();
	assert_true(reader >= 0);
	if (!reader) {
		if (!geteuid() && setresuid(65534, 65534, 65534))
			_exit(1);
		_exit(brunt_caller_was_refused()						 ? 2
		      : brunt_caller_path(closed, call("openat"), args, 0, path, sizeof(path))	 ? 3
		      : !brunt_caller_was_refused()						 ? 4
		      : brunt_caller_was_refused()						 ? 5
		      : brunt_caller_path(getpid(), call("openat"), wild, 0, path, sizeof(path)) ? 6
		      : brunt_caller_was_refused()						 ? 7
												 : 0);
	}
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(kill(closed, SIGKILL), 0);
	assert_int_equal(waitpid(closed, NULL, 0), closed);
	assert_int_equal(close(ends[0]) | close(ends[1]), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void an_address_is_read_from_the_arguments(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(5432),
				  .sin_addr.s_addr = htonl(0x0a000005) };
	const uint64_t args[6] = { 3, at(&in), sizeof(in) };
	struct brunt_endpoint endpoint;
	char buf[128];

	(void)state;
	assert_true(brunt_caller_address(getpid(), call("connect"), args, &endpoint));
	assert_string_equal(brunt_endpoint_print(&endpoint, buf, sizeof(buf)), "10.0.0.5:5432");
}

static void an_address_of_another_family_or_too_short_is_none(void **state)
{
	struct sockaddr local = { .sa_family = AF_UNIX };
	uint64_t args[6] = { 3, at(&local), sizeof(local) };
	struct brunt_endpoint endpoint;

	(void)state;
	assert_false(brunt_caller_address(getpid(), call("connect"), args, &endpoint));
	args[2] = 1;
	assert_false(brunt_caller_address(getpid(), call("connect"), args, &endpoint));
	args[1] = 8;
	args[2] = 16;
	assert_false(brunt_caller_address(getpid(), call("connect"), args, &endpoint));
}

static void a_connected_socket_is_about_its_peer(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	BRUNT_AUTO_CLOSE int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	BRUNT_AUTO_CLOSE int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const uint64_t args[6] = { (uint64_t)client };
	struct brunt_endpoint endpoint;
	socklen_t size = sizeof(in);

	(void)state;
	assert_int_equal(bind(server, (struct sockaddr *)&in, size), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&in, &size), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&in, size), 0);
	assert_true(brunt_caller_address(getpid(), call("write"), args, &endpoint));
	assert_int_equal(endpoint.port_min, ntohs(in.sin_port));
	assert_int_equal(endpoint.family, 4);
}

static void a_thread_says_its_process_and_names(void **state)
{
	char name[32];
	uint64_t start = 0;

	(void)state;
	(void)prctl(PR_SET_NAME, "a (name) b", 0, 0, 0);
	assert_int_equal(brunt_caller_process((pid_t)syscall(SYS_gettid), &start), getpid());
	assert_true(start > 0);
	assert_true(brunt_caller_name(getpid(), name, sizeof(name)));
	assert_string_equal(name, "a (name) b");
	assert_int_equal(brunt_caller_process(4194304, NULL), 0);
	assert_false(brunt_caller_name(4194304, name, sizeof(name)));
}

/* Where the loader of this process is mapped, from the same file that the code reads, but by another way. */
static void the_loader_is_known_by_its_name(void **state)
{
	FILE *file = fopen("/proc/self/maps", "re");
	uint64_t loader = 0;
	char line[512];

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (strstr(line, "/ld-linux") && !loader)
			loader = strtoull(line, NULL, 16);
	(void)fclose(file);
	assert_true(loader != 0);
	assert_true(brunt_caller_is_loader(getpid(), loader));
	assert_false(brunt_caller_is_loader(getpid(), at((void *)(uintptr_t)&the_loader_is_known_by_its_name)));
}

/* Is an instruction in a file of that name one of the loader? */
static bool is_loader(const char *name)
{
	char path[128];
	bool answer;
	void *page;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(page != MAP_FAILED);
	answer = brunt_caller_is_loader(getpid(), at(page) + 8);
	assert_int_equal(munmap(page, 4096), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(path), 0);
	return answer;
}

static void musl_has_no_loader_apart_from_its_c_library(void **state)
{
	(void)state;
	assert_true(is_loader("ld-linux-x86-64.so.2"));
	assert_true(is_loader("ld-2.31.so"));
	assert_true(is_loader("ld.so.1"));
	assert_false(is_loader("ld-musl-x86_64.so.1"));
	assert_false(is_loader("ld-musl-aarch64.so.1"));
	assert_false(is_loader("libc.so.6"));
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return chdir("/") || rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_tidied_without_the_file_system),
		cmocka_unit_test(an_absolute_path_is_read_from_the_caller),
		cmocka_unit_test(a_relative_path_begins_at_the_current_folder_or_at_the_descriptor),
		cmocka_unit_test(both_paths_of_a_rename_are_seen),
		cmocka_unit_test(a_call_on_a_descriptor_is_about_what_it_is_open_on),
		cmocka_unit_test(a_path_at_the_end_of_mapped_memory_is_read),
		cmocka_unit_test(a_wild_pointer_is_no_path),
		cmocka_unit_test(what_may_not_be_read_is_told_from_what_is_not_there),
		cmocka_unit_test(an_address_is_read_from_the_arguments),
		cmocka_unit_test(an_address_of_another_family_or_too_short_is_none),
		cmocka_unit_test(a_connected_socket_is_about_its_peer),
		cmocka_unit_test(a_thread_says_its_process_and_names),
		cmocka_unit_test(the_loader_is_known_by_its_name),
		cmocka_unit_test(musl_has_no_loader_apart_from_its_c_library),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
