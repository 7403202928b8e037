/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of grafting share: victims that tell on a board how they
 * fare, a process that grafts, and the one that answers the listener.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/target.h"
#include "brunt/units.h"
#include "syscall/graft.h"

/* A machine that is emulated is slow; what takes longer than this does not come. */
#define LAB_WAIT (20 * BRUNT_S)

#define ROOT_NEEDED()                                                                                                  \
	do {                                                                                                           \
		if (geteuid()) {                                                                                       \
			print_message("needs root: ptrace, other users, cgroups\n");                                   \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

/* Shared by a victim and its test. */
struct board {
	volatile int ready, end, futex;
	volatile unsigned long rounds, wrong, signals, disordered, made;
	volatile long result, error;
	volatile uint64_t took;
};

struct victim {
	struct brunt_process process;
	struct board *board;
	int pipe[2]; /* it reads 0 */
	int input;   /* write end of the standard input of a program */
};

struct outcome {
	int rc; /* listener, or -errno */
	uint64_t stop_ns;
	char msg[256];
};

/* ---- waiting ---- */

static bool lab_until(bool (*is_so)(void *), void *user)
{
	uint64_t end = brunt_now() + LAB_WAIT;

	while (!is_so(user)) {
		if (brunt_now() > end)
			return false;
		usleep(500);
	}
	return true;
}

static char lab_state(pid_t pid)
{
	char path[64], text[512] = "", *at;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	at = strrchr(text, ')');
	return at ? at[2] : 0;
}

static bool lab_is_ready(void *user)
{
	return ((struct board *)user)->ready;
}

static bool lab_sleeps(void *user)
{
	return lab_state(*(pid_t *)user) == 'S';
}

static bool lab_is_stopped(void *user)
{
	return lab_state(*(pid_t *)user) == 'T';
}

static bool lab_is_zombie(void *user)
{
	return lab_state(*(pid_t *)user) == 'Z';
}

/* ---- victims ---- */

/* What every victim does in the end: the first getppid() is answered with EIO, the second goes on. */
static int lab_probe(void)
{
	errno = 0;
	if (syscall(SYS_getppid) != -1 || errno != EIO)
		return 101;
	return syscall(SYS_getppid) > 0 ? 0 : 102;
}

static void lab_identify(struct victim *victim, pid_t pid)
{
	struct brunt_error err = { 0 };

	assert_int_equal(brunt_process_identify("/proc", pid, false, &victim->process, &err), 0);
	(void)snprintf(victim->process.name, sizeof(victim->process.name), "victim");
}

/* body's value is the victim's exit status, which it gets to after the probe. */
static struct victim lab_start(int (*body)(struct victim *self))
{
	struct victim victim = { .input = -1 };
	pid_t pid;

	victim.board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(victim.board, MAP_FAILED);
	assert_int_equal(pipe2(victim.pipe, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(body(&victim));
	}
	assert_true(lab_until(lab_is_ready, victim.board));
	lab_identify(&victim, pid);
	return victim;
}

static void lab_free(struct victim *victim)
{
	close(victim->pipe[0]);
	close(victim->pipe[1]);
	if (victim->input >= 0)
		close(victim->input);
	if (victim->board)
		munmap(victim->board, 4096);
}

static void lab_kill(struct victim *victim)
{
	kill(victim->process.pid, SIGKILL);
	waitpid(victim->process.pid, NULL, 0);
	lab_free(victim);
}

/* ---- filters ---- */

/* Asks about the given calls (-1 ends them); action for those. At most 30. */
static struct sock_fprog lab_filter(struct sock_filter *room, uint32_t action, const int *numbers)
{
	unsigned short n = 0, count = 0;

	while (numbers[count] >= 0)
		count++;
	room[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	room[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	room[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	room[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned short i = 0; i < count; i++)
		room[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)numbers[i],
							 (unsigned char)(count - i), 0);
	room[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	room[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
	return (struct sock_fprog){ .len = n, .filter = room };
}

static const int lab_getppid[] = { SYS_getppid, -1 };

/* ---- grafting ---- */

struct lab_request {
	const int *numbers; /* NULL: getppid */
	bool allow_no_new_privs;
	uint64_t wait_ns; /* 0: LAB_WAIT */
	uid_t uid;	  /* who grafts */
};

static void lab_send(int socket, const struct outcome *outcome)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)outcome, .iov_len = sizeof(*outcome) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (outcome->rc >= 0) {
		struct cmsghdr *head;

		message.msg_control = control.room;
		message.msg_controllen = sizeof(control.room);
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &outcome->rc, sizeof(int));
	}
	(void)sendmsg(socket, &message, 0);
}

static pid_t lab_begin(const struct victim *victim, const struct lab_request *request, int *ret_socket)
{
	struct sock_filter room[40];
	struct sock_fprog program =
		lab_filter(room, SECCOMP_RET_USER_NOTIF, request->numbers ? request->numbers : lab_getppid);
	int pair[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct brunt_error err = { 0 };
		struct outcome outcome = { 0 };

		if (request->uid && (setgid(request->uid) || setuid(request->uid)))
			_exit(1);
		outcome.rc = brunt_graft(&victim->process, &program, request->allow_no_new_privs,
					 brunt_now() + (request->wait_ns ? request->wait_ns : LAB_WAIT), &err);
		outcome.stop_ns = brunt_graft_stop_ns();
		memcpy(outcome.msg, err.msg, sizeof(outcome.msg));
		lab_send(pair[1], &outcome);
		_exit(0);
	}
	close(pair[1]);
	*ret_socket = pair[0];
	return pid;
}

static struct outcome lab_end(pid_t pid, int socket)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct outcome outcome = { .rc = -EPIPE };
	struct iovec part = { .iov_base = &outcome, .iov_len = sizeof(outcome) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)
	};
	struct pollfd event = { .fd = socket, .events = POLLIN };

	if (poll(&event, 1, (int)(2 * LAB_WAIT / BRUNT_MS)) == 1 &&
	    recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == (ssize_t)sizeof(outcome) && CMSG_FIRSTHDR(&message))
		memcpy(&outcome.rc, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	if (!event.revents)
		kill(pid, SIGKILL); /* it hangs: the test fails, but ends */
	waitpid(pid, NULL, 0);
	close(socket);
	return outcome;
}

static struct outcome lab_graft(const struct victim *victim, const struct lab_request *request)
{
	const struct lab_request usual = { 0 };
	int socket;
	pid_t pid = lab_begin(victim, request ? request : &usual, &socket);

	return lab_end(pid, socket);
}

/* ---- the listener ---- */

/* Takes one question; false when none came in time. */
static bool lab_receive(int listener, struct seccomp_notif *ret)
{
	struct pollfd event = { .fd = listener, .events = POLLIN };

	memset(ret, 0, sizeof(*ret));
	return poll(&event, 1, (int)(LAB_WAIT / BRUNT_MS)) == 1 && event.revents & POLLIN &&
	       !ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, ret);
}

/* code 0: go on. */
static bool lab_answer(int listener, const struct seccomp_notif *request, int code)
{
	struct seccomp_notif_resp answer = { .id = request->id,
					     .error = -code,
					     .flags = code ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	return !ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

/* For whoever reads why a test failed. */
static void lab_tell(const struct victim *victim)
{
	const struct board *board = victim->board;
	int status = 0;
	pid_t pid = waitpid(victim->process.pid, &status, WNOHANG);

	print_message("victim %d: %s, status %#x, state %c, result %ld, error %ld, wrong %lu, disordered %lu\n",
		      (int)victim->process.pid, pid ? "ended" : "lives", (unsigned)status,
		      pid ? '-' : lab_state(victim->process.pid), board->result, board->error, board->wrong,
		      board->disordered);
}

/* The victim ends its work and probes: it must see what it is told, and exit with 0. */
static void lab_finish(struct victim *victim, int listener)
{
	struct seccomp_notif request;
	int status;

	victim->board->end = 1;
	if (!lab_receive(listener, &request)) {
		lab_tell(victim);
		fail();
	}
	assert_int_equal(request.data.nr, SYS_getppid);
	assert_true(lab_answer(listener, &request, EIO));
	assert_true(lab_receive(listener, &request));
	assert_true(lab_answer(listener, &request, 0));
	assert_int_equal(waitpid(victim->process.pid, &status, 0), victim->process.pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		print_message("victim: status %#x, result %ld, error %ld\n", (unsigned)status, victim->board->result,
			      victim->board->error);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(listener);
	lab_free(victim);
}

/* ---- what must not change ---- */

struct lab_traces {
	unsigned fds, maps;
	char signals[3][40]; /* lines of PID/status: blocked, ignored, caught */
	char no_new_privs;
};

static unsigned lab_count_fds(pid_t pid)
{
	char path[64];
	unsigned count = 0;
	DIR *folder;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	while (folder && readdir(folder))
		count++;
	if (folder)
		closedir(folder);
	return count;
}

static struct lab_traces lab_traces(pid_t pid)
{
	static const char *const keys[] = { "SigBlk:", "SigIgn:", "SigCgt:" };
	struct lab_traces traces = { .fds = lab_count_fds(pid) };
	char path[64], line[512];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		traces.maps++;
	if (file)
		fclose(file);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		for (int i = 0; i < 3; i++)
			if (!strncmp(line, keys[i], strlen(keys[i])))
				(void)snprintf(traces.signals[i], sizeof(traces.signals[i]), "%.39s", line);
		if (!strncmp(line, "NoNewPrivs:\t", 12))
			traces.no_new_privs = line[12];
	}
	if (file)
		fclose(file);
	return traces;
}

static void lab_assert_same(const struct lab_traces *before, pid_t pid)
{
	struct lab_traces now = lab_traces(pid);

	assert_int_equal(now.fds, before->fds);
	assert_int_equal(now.maps, before->maps);
	for (int i = 0; i < 3; i++)
		assert_string_equal(now.signals[i], before->signals[i]);
	assert_int_equal(now.no_new_privs, before->no_new_privs);
}
