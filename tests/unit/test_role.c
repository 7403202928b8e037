/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "brunt/capability.h"
#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/units.h"

#define WANTED ((UINT64_C(1) << CAP_KILL) | (UINT64_C(1) << CAP_NET_ADMIN))

struct child {
	pid_t pid;
	int socket;
};

/* A child with descriptors that it must not keep, that becomes a role and then waits to be looked at. */
static struct child start(enum brunt_role role, const struct brunt_identity *identity)
{
	struct child child;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (!child.pid) {
		struct brunt_error err = { 0 };
		int r;

		(void)open("/etc/passwd", O_RDONLY);
		(void)dup2(pair[1], 200);
		(void)socket(AF_INET, SOCK_DGRAM, 0);
		(void)signal(SIGCHLD, SIG_IGN);
		r = brunt_role_enter(role, identity, WANTED, &pair[1], 1, &err);
		if (r < 0)
			(void)dprintf(pair[1], "%s", err.msg);
		else
			(void)send(pair[1], "ok", 2, 0);
		for (;;)
			pause();
	}
	(void)close(pair[1]);
	child.socket = pair[0];

	char answer[256] = "";

	assert_true(recv(child.socket, answer, sizeof(answer) - 1, 0) > 0);
	assert_string_equal(answer, "ok");
	return child;
}

static void end(struct child *child)
{
	(void)kill(child->pid, SIGKILL);
	assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
	(void)close(child->socket);
}

/* The value of a line of /proc/PID/status, in buf. */
static const char *status(pid_t pid, const char *key, char *buf, size_t size)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	buf[0] = '\0';
	while (fgets(line, sizeof(line), file)) {
		size_t length = strlen(key);

		if (strncmp(line, key, length) || line[length] != ':')
			continue;
		snprintf(buf, size, "%s", line + length + 1 + strspn(line + length + 1, " \t"));
		buf[strcspn(buf, "\n")] = '\0';
	}
	(void)fclose(file);
	return buf;
}

static uint64_t status_hex(pid_t pid, const char *key)
{
	char buf[256];

	return strtoull(status(pid, key, buf, sizeof(buf)), NULL, 16);
}

static unsigned kind_of(const char *target)
{
	if (!strcmp(target, "/dev/null"))
		return BRUNT_FD_NULL;
	return strncmp(target, "socket:", 7) ? 0 : BRUNT_FD_SOCKET;
}

/* Only /dev/null three times and the one socket, and of kinds that the row allows. */
static void check_descriptors(pid_t pid, const struct brunt_role_row *row)
{
	char path[64], target[256];
	unsigned seen[2] = { 0 };
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		ssize_t size;
		unsigned kind;

		if (entry->d_name[0] == '.')
			continue;
		size = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		assert_true(size > 0);
		target[size] = '\0';
		kind = kind_of(target);
		assert_true(kind & row->descriptor_kinds);
		seen[kind == BRUNT_FD_SOCKET]++;
	}
	(void)closedir(dir);
	assert_int_equal(seen[0], 3);
	assert_int_equal(seen[1], 1);
}

static void check_role(enum brunt_role role, const struct brunt_identity *identity)
{
	const struct brunt_role_row *row = &brunt_roles[role];
	uint64_t allowed = row->capabilities & status_hex(getpid(), "CapPrm");
	struct child child = start(role, identity);
	char buf[256], ids[64], comm[16];
	uid_t uid = row->user == BRUNT_USER_ROOT ? geteuid() : identity->uid;

	if (role == BRUNT_ROLE_HOLDER)
		allowed &= WANTED | UINT64_C(1) << CAP_IPC_LOCK;
	snprintf(comm, sizeof(comm), "brunt-%s", row->name);
	assert_string_equal(status(child.pid, "Name", buf, sizeof(buf)), comm);
	snprintf(ids, sizeof(ids), "%u\t%u\t%u\t%u", uid, uid, uid, uid);
	assert_string_equal(status(child.pid, "Uid", buf, sizeof(buf)), ids);
	assert_int_equal(status_hex(child.pid, "CapEff"), allowed);
	assert_int_equal(status_hex(child.pid, "CapPrm"), allowed);
	assert_int_equal(status_hex(child.pid, "CapBnd") & ~allowed, 0);
	assert_int_equal(status_hex(child.pid, "CapAmb"), 0);
	assert_int_equal(status_hex(child.pid, "CapInh"), 0);
	assert_string_equal(status(child.pid, "NoNewPrivs", buf, sizeof(buf)), "1");
	if (row->user != BRUNT_USER_ROOT)
		assert_string_equal(status(child.pid, "Groups", buf, sizeof(buf)), "");
	/* The controller acts on signals, the others on EOF. */
	assert_int_equal(!!(status_hex(child.pid, "SigBlk") & UINT64_C(1) << (SIGTERM - 1)),
			 role != BRUNT_ROLE_CONTROLLER);
	assert_int_equal(!!(status_hex(child.pid, "SigBlk") & UINT64_C(1) << (SIGTSTP - 1)),
			 role != BRUNT_ROLE_CONTROLLER);
	assert_int_equal(status_hex(child.pid, "SigIgn") & UINT64_C(1) << (SIGCHLD - 1), 0);
#ifndef __SANITIZE_ADDRESS__ /* whose mlockall() does nothing */
	assert_int_equal(strtoul(status(child.pid, "VmLck", buf, sizeof(buf)), NULL, 10) > 0, row->locks_memory);
#endif
	check_descriptors(child.pid, row);
	end(&child);
}

static struct brunt_identity somebody(void)
{
	struct brunt_identity identity = { 0 };
	struct brunt_error err = { 0 };

	if (geteuid()) {
		print_message("only root can become somebody else\n");
		skip();
	}
	assert_int_equal(brunt_identity_get(&identity, &err), 0);
	return identity;
}

static void every_role_is_what_its_row_says(void **state)
{
	struct brunt_identity identity = somebody();

	(void)state;
	for (int role = 0; role < _BRUNT_ROLE_MAX; role++)
		check_role((enum brunt_role)role, &identity);
}

static void every_row_is_complete(void **state)
{
	(void)state;
	for (int role = 0; role < _BRUNT_ROLE_MAX; role++) {
		assert_non_null(brunt_roles[role].name);
		assert_non_null(brunt_roles[role].descriptors);
		assert_non_null(brunt_roles[role].death);
		assert_true(brunt_roles[role].descriptor_kinds & BRUNT_FD_SOCKET);
		/* A user without privileges has no capabilities to keep. */
		if (brunt_roles[role].user != BRUNT_USER_ROOT)
			assert_int_equal(brunt_roles[role].capabilities, 0);
	}
}

static void a_role_cannot_be_dumped_or_read_by_its_own_user(void **state)
{
	struct brunt_identity identity = somebody();
	struct child child = start(BRUNT_ROLE_CONTROLLER, &identity);
	char path[64];
	pid_t pid;
	int result;

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)child.pid);
	pid = fork();
	if (!pid) {
		if (setresgid(identity.gid, identity.gid, identity.gid) ||
		    setresuid(identity.uid, identity.uid, identity.uid))
			_exit(2);
		_exit(open(path, O_RDONLY) < 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &result, 0), pid);
	assert_int_equal(result, 0);
	end(&child);
}

static void a_pauser_dies_with_its_parent(void **state)
{
	struct brunt_identity identity = somebody();
	struct pollfd poller = { .events = POLLIN };
	pid_t parent;
	int pair[2], answer;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	parent = fork();
	if (!parent) {
		if (!fork()) {
			struct brunt_error err = { 0 };

			answer = brunt_role_enter(BRUNT_ROLE_PAUSER, &identity, 0, &pair[1], 1, &err);
			(void)send(pair[1], &answer, sizeof(answer), 0);
			for (;;)
				pause();
		}
		(void)close(pair[1]);
		for (;;)
			pause();
	}
	(void)close(pair[1]);
	assert_int_equal(recv(pair[0], &answer, sizeof(answer), 0), sizeof(answer));
	assert_int_equal(answer, 0);
	(void)kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	poller.fd = pair[0];
	assert_int_equal(poll(&poller, 1, 20000), 1); /* its end of the pair closed: it is gone */
	assert_int_equal(recv(pair[0], &answer, sizeof(answer), 0), 0);
	(void)close(pair[0]);
}

static void stdio_can_be_kept(void **state)
{
	struct brunt_identity identity = somebody();
	pid_t pid = fork();
	int result;

	(void)state;
	if (!pid) {
		const int keep[] = { 2, -1, 1, 0, 1 };
		char target[64] = "";
		int file = open("/etc/passwd", O_RDONLY);

		(void)dup2(file, 1);
		if (brunt_role_enter(BRUNT_ROLE_SCREEN, &identity, 0, keep, BRUNT_COUNT(keep), NULL))
			_exit(1);
		if (fcntl(file, F_GETFD) >= 0)
			_exit(2);
		if (readlink("/proc/self/fd/1", target, sizeof(target) - 1) < 0)
			_exit(4);
		_exit(strcmp(target, "/etc/passwd") ? 3 : 0);
	}
	assert_int_equal(waitpid(pid, &result, 0), pid);
	assert_int_equal(result, 0);
}

static void sudo_says_who_the_caller_is(void **state)
{
	struct brunt_identity identity;

	(void)state;
	if (geteuid()) {
		print_message("only root has been called by sudo\n");
		skip();
	}
	assert_int_equal(setenv("SUDO_UID", "1", 1), 0);
	assert_int_equal(setenv("SUDO_GID", "7", 1), 0);
	assert_int_equal(brunt_identity_get(&identity, NULL), 0);
	assert_int_equal(identity.uid, 1);
	assert_int_equal(identity.gid, 7);
	assert_true(identity.privileged);
	/* root through sudo, and things that are no number: nobody */
	static const char *const bad[] = { "0", "-1", "4294967295", "1x", "", " 1", "99999999999999999999" };

	for (size_t i = 0; i < BRUNT_COUNT(bad); i++) {
		assert_int_equal(setenv("SUDO_UID", bad[i], 1), 0);
		assert_int_equal(brunt_identity_get(&identity, NULL), 0);
		assert_int_equal(identity.uid, 65534);
	}
	(void)unsetenv("SUDO_UID");
	(void)unsetenv("SUDO_GID");
}

static void missing_capabilities_are_named(void **state)
{
	struct brunt_identity identity = somebody();
	pid_t pid;
	int result;

	(void)state;
	pid = fork();
	if (!pid) {
		uint64_t wanted = UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_NET_ADMIN;
		char buf[64], tiny[6];

		if (brunt_role_enter(BRUNT_ROLE_CONTROLLER, &identity, 0, NULL, 0, NULL))
			_exit(1);
		if (strcmp(brunt_capabilities_missing(wanted, buf, sizeof(buf)), "CAP_NET_ADMIN CAP_BPF"))
			_exit(2);
		if (strlen(brunt_capabilities_missing(wanted, tiny, sizeof(tiny))) != 5)
			_exit(3);
		_exit(*brunt_capabilities_missing(0, buf, sizeof(buf)) ? 4 : 0);
	}
	assert_int_equal(waitpid(pid, &result, 0), pid);
	assert_int_equal(result, 0);
}

/* In a session of its own, whose terminal is a new one: the answer of the kernel, before and after. */
static int type_as(enum brunt_role role, int *ret_before)
{
	struct brunt_identity identity = somebody();
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;

	if (master < 0 || grantpt(master) || unlockpt(master) || setsid() < 0)
		return -1;
	slave = open(ptsname(master), O_RDWR);
	if (slave < 0)
		return -1;
	const int keep[] = { master, slave }; /* without its master it hangs up */

	*ret_before = ioctl(slave, TIOCSTI, "x") ? errno : 0;
	if (brunt_role_enter(role, &identity, 0, keep, BRUNT_COUNT(keep), NULL))
		return -1;
	return ioctl(slave, TIOCSTI, "x") ? errno : 0;
}

static void roles_without_privileges_type_nothing_into_the_callers_terminal(void **state)
{
	static const enum brunt_role roles[] = { BRUNT_ROLE_CONTROLLER, BRUNT_ROLE_SCREEN, BRUNT_ROLE_JOURNAL };

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(roles); i++) {
		int status, before = 0;
		pid_t pid = fork();

		if (!pid) {
			int after = type_as(roles[i], &before);

			_exit(after == EPERM && !before ? 0 : before ? 77 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			skip(); /* this kernel lets nobody: dev.tty.legacy_tiocsti */
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_without_privileges_type_nothing_into_the_callers_terminal),
		cmocka_unit_test(every_row_is_complete),
		cmocka_unit_test(every_role_is_what_its_row_says),
		cmocka_unit_test(a_role_cannot_be_dumped_or_read_by_its_own_user),
		cmocka_unit_test(a_pauser_dies_with_its_parent),
		cmocka_unit_test(stdio_can_be_kept),
		cmocka_unit_test(sudo_says_who_the_caller_is),
		cmocka_unit_test(missing_capabilities_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
