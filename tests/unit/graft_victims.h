/* SPDX-License-Identifier: Apache-2.0 */
/* What victims do while they are grafted on. */
#pragma once

#include "graft_lab.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

/*
 * Holds patterns in the registers, in the red zone and in the vector registers, for a while, and then compares:
 * 0 when all of them are as they were. rdi: how long.
 */
__asm__(".text\n"
	".type hold_registers, @function\n"
	"hold_registers:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"sub $16, %rsp; stmxcsr (%rsp)\n"
	"mov $0x1111111122222222, %rax; mov %rax, %rbx; not %rbx\n"
	"lea 3(%rax), %rcx; lea 4(%rax), %rdx; lea 5(%rax), %rsi; lea 6(%rax), %rbp\n"
	"lea 8(%rax), %r8; lea 9(%rax), %r9; lea 10(%rax), %r10; lea 11(%rax), %r11\n"
	"lea 12(%rax), %r12; lea 13(%rax), %r13; lea 14(%rax), %r14; lea 15(%rax), %r15\n"
	"mov %rbx, -8(%rsp); mov %r8, -64(%rsp); mov %r15, -128(%rsp)\n"
	"movq %rax, %xmm0; movq %rbx, %xmm1; movq %rcx, %xmm7; movq %r15, %xmm15\n"
	"fld1; fldpi\n"
	"stc\n"
	"1: dec %rdi\n" /* leaves the carry flag alone */
	"jnz 1b\n"
	"jnc 9f\n"
	"mov $0x1111111122222222, %rdi; cmp %rdi, %rax; jne 9f\n"
	"not %rdi; cmp %rdi, %rbx; jne 9f; cmp %rdi, -8(%rsp); jne 9f; movq %xmm1, %rdi; cmp %rdi, %rbx; jne 9f\n"
	"movq %xmm0, %rdi; cmp %rdi, %rax; jne 9f; movq %xmm7, %rdi; cmp %rdi, %rcx; jne 9f\n"
	"movq %xmm15, %rdi; cmp %rdi, %r15; jne 9f\n"
	"lea 3(%rax), %rdi; cmp %rdi, %rcx; jne 9f; lea 4(%rax), %rdi; cmp %rdi, %rdx; jne 9f\n"
	"lea 5(%rax), %rdi; cmp %rdi, %rsi; jne 9f; lea 6(%rax), %rdi; cmp %rdi, %rbp; jne 9f\n"
	"lea 8(%rax), %rdi; cmp %rdi, %r8; jne 9f; cmp %rdi, -64(%rsp); jne 9f\n"
	"lea 9(%rax), %rdi; cmp %rdi, %r9; jne 9f; lea 10(%rax), %rdi; cmp %rdi, %r10; jne 9f\n"
	"lea 11(%rax), %rdi; cmp %rdi, %r11; jne 9f; lea 12(%rax), %rdi; cmp %rdi, %r12; jne 9f\n"
	"lea 13(%rax), %rdi; cmp %rdi, %r13; jne 9f; lea 14(%rax), %rdi; cmp %rdi, %r14; jne 9f\n"
	"lea 15(%rax), %rdi; cmp %rdi, %r15; jne 9f; cmp %rdi, -128(%rsp); jne 9f\n"
	"fldpi; fcomip %st(1), %st; jne 9f\n"
	"xor %eax, %eax; jmp 8f\n"
	"9: mov $1, %eax\n"
	"8: fninit; add $16, %rsp\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"ret\n"
	".size hold_registers, . - hold_registers\n");
int hold_registers(unsigned long rounds);

static void work(struct board *board)
{
	board->wrong += (unsigned long)hold_registers(200000);
	board->rounds++;
}

static int be_busy(struct victim *self)
{
	/* A thread that blocks or ignores SIGTRAP keeps that. */
	signal(SIGTRAP, SIG_IGN);
	while (!self->board->end) {
		work(self->board);
		self->board->ready = 1;
	}
	return self->board->wrong ? 1 : lab_probe();
}

static void *be_busy_thread(void *argument)
{
	struct board *board = argument;

	__atomic_fetch_add(&board->made, 1, __ATOMIC_SEQ_CST);
	while (!board->end)
		if (hold_registers(100000))
			board->wrong++;
	return NULL;
}

#define SLEEP_NS (800 * BRUNT_MS)

static int sleep_beside_threads(struct victim *self)
{
	struct timespec time = { .tv_nsec = SLEEP_NS }, left;
	pthread_t threads[3];
	uint64_t begin;

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, be_busy_thread, self->board);
	/* A sanitizer maps more as a thread begins. */
	while (self->board->made < 3)
		sched_yield();
	begin = brunt_now();
	self->board->ready = 1;
	self->board->result = nanosleep(&time, &left);
	self->board->error = errno;
	self->board->took = brunt_now() - begin;
	while (!self->board->end)
		usleep(1000);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	if (self->board->result || self->board->wrong)
		return 1;
	return lab_probe();
}

static void *end_at_once(void *argument)
{
	return argument;
}

static int make_threads(struct victim *self)
{
	while (!self->board->end) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, end_at_once, NULL))
			return 1;
		pthread_join(thread, NULL);
		self->board->made++;
		self->board->ready = 1;
	}
	return lab_probe();
}

static void *make_threads_thread(void *argument)
{
	struct board *board = argument;

	while (!board->end) {
		pthread_t thread;

		if (!pthread_create(&thread, NULL, end_at_once, NULL))
			pthread_join(thread, NULL);
		board->made++;
	}
	return NULL;
}

/* The thread that is grafted on works, others come and go. */
static int work_beside_new_threads(struct victim *self)
{
	pthread_t maker;

	pthread_create(&maker, NULL, make_threads_thread, self->board);
	while (!self->board->end) {
		work(self->board);
		self->board->ready = 1;
	}
	pthread_join(maker, NULL);
	return self->board->wrong ? 1 : lab_probe();
}

static int make_processes(struct victim *self)
{
	while (!self->board->end) {
		int status = -1;
		pid_t child = fork();

		if (!child)
			_exit(7);
		if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
			return 1;
		self->board->made++;
		self->board->ready = 1;
	}
	return lab_probe();
}

static struct board *signalled;

static void take_signal(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	if ((unsigned long)info->si_value.sival_int != signalled->signals)
		signalled->disordered++;
	signalled->signals++;
}

static int take_signals(struct victim *self)
{
	struct sigaction action = { .sa_sigaction = take_signal, .sa_flags = SA_SIGINFO };

	signalled = self->board;
	sigaction(SIGRTMIN, &action, NULL);
	while (!self->board->end) {
		work(self->board);
		self->board->ready = 1;
	}
	return self->board->wrong || self->board->disordered ? 1 : lab_probe();
}

static void *outlive(void *argument)
{
	struct victim *self = argument;

	/* The first thread is gone for the kernel, too. */
	while (lab_state(getpid()) != 'Z')
		usleep(500);
	while (!self->board->end) {
		work(self->board);
		self->board->ready = 1;
	}
	_exit(self->board->wrong ? 1 : lab_probe());
}

static int leave_first(struct victim *self)
{
	pthread_t thread;

	pthread_create(&thread, NULL, outlive, self);
	syscall(SYS_exit, 0);
	return 1;
}

static int be_nobody(struct victim *self)
{
	if (setgid(65534) || setuid(65534))
		return 1;
	prctl(PR_SET_DUMPABLE, 1); /* so that its own user may trace it */
	return be_busy(self);
}

static int be_filtered(struct victim *self)
{
	static const int deadly[] = { SYS_mmap, SYS_munmap, SYS_prctl, SYS_seccomp, SYS_close, -1 };
	struct sock_filter room[40];
	struct sock_fprog program = lab_filter(room, SECCOMP_RET_KILL_PROCESS, deadly);

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		return 1;
	return be_busy(self);
}

static int be_listened_to(struct victim *self)
{
	static const int other[] = { SYS_getpgid, -1 };
	struct sock_filter room[40];
	struct sock_fprog program = lab_filter(room, SECCOMP_RET_USER_NOTIF, other);

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) < 0)
		return 1;
	return be_busy(self);
}

static void *be_filtered_alone(void *argument)
{
	static const int other[] = { SYS_getpgid, -1 };
	struct sock_filter room[40];
	struct sock_fprog program = lab_filter(room, SECCOMP_RET_ALLOW, other);
	struct board *board = argument;

	if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		board->ready = 1;
	return be_busy_thread(argument);
}

static int be_filtered_in_part(struct victim *self)
{
	pthread_t thread;

	pthread_create(&thread, NULL, be_filtered_alone, self->board);
	pthread_join(thread, NULL);
	return 0;
}

static int be_strict(struct victim *self)
{
	/* The signal frame of nothing: only read, write, exit and sigreturn are left. */
	self->board->ready = 1;
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	while (!self->board->end)
		self->board->rounds++;
	return 0;
}

static int wait_for_vfork(struct victim *self)
{
	struct board *board = self->board;
	pid_t child;

	child = vfork();
	if (!child) {
		board->ready = 1; /* the parent does not come back before this ends */
		while (!board->futex)
			;
		_exit(0);
	}
	waitpid(child, NULL, 0);
	while (!board->end)
		work(board);
	return lab_probe();
}

/* ---- calls that wait ---- */

static volatile sig_atomic_t handled;

static void handle(int number)
{
	(void)number;
	handled = 1;
}

/* Each waits until a byte comes, or SIGUSR1 (blocked before the call where that matters). 0 when that is what happened. */
static long wait_read(struct victim *self)
{
	char byte;

	return read(self->pipe[0], &byte, 1) == 1 ? 0 : -errno;
}

static long wait_poll(struct victim *self)
{
	struct pollfd event = { .fd = self->pipe[0], .events = POLLIN };

	return poll(&event, 1, -1) == 1 ? 0 : -errno;
}

static long wait_poll_timeout(struct victim *self)
{
	struct pollfd event = { .fd = self->pipe[0], .events = POLLIN };

	return poll(&event, 1, 60000) == 1 ? 0 : -errno;
}

static long wait_ppoll(struct victim *self)
{
	struct pollfd event = { .fd = self->pipe[0], .events = POLLIN };
	struct timespec time = { .tv_sec = 60 };
	sigset_t none;

	sigemptyset(&none);
	return ppoll(&event, 1, &time, &none) == 1 ? 0 : -errno;
}

static long wait_select(struct victim *self)
{
	struct timeval time = { .tv_sec = 60 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(self->pipe[0], &set);
	return select(self->pipe[0] + 1, &set, NULL, NULL, &time) == 1 ? 0 : -errno;
}

static int make_epoll(const struct victim *self)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(fd, EPOLL_CTL_ADD, self->pipe[0], &event);
	return fd;
}

static long wait_epoll(struct victim *self)
{
	struct epoll_event event;

	return epoll_wait(make_epoll(self), &event, 1, -1) == 1 ? 0 : -errno;
}

static long wait_epoll_pwait(struct victim *self)
{
	struct epoll_event event;
	sigset_t none;

	sigemptyset(&none);
	return epoll_pwait(make_epoll(self), &event, 1, 60000, &none) == 1 ? 0 : -errno;
}

/* A signal that only the mask of the call lets through must end it with EINTR, as ever. */
static long wait_epoll_signal(struct victim *self)
{
	struct epoll_event event;
	sigset_t none;
	int rc;

	sigemptyset(&none);
	rc = epoll_pwait(make_epoll(self), &event, 1, -1, &none);
	return rc == -1 && errno == EINTR && handled ? 0 : -1000;
}

static long wait_sigsuspend(struct victim *self)
{
	sigset_t none;

	(void)self;
	sigemptyset(&none);
	return sigsuspend(&none) == -1 && errno == EINTR && handled ? 0 : -1000;
}

static long wait_sigtimedwait(struct victim *self)
{
	struct timespec time = { .tv_sec = 60 };
	sigset_t set;

	(void)self;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return sigtimedwait(&set, NULL, &time) == SIGUSR1 ? 0 : -errno;
}

static long wait_recv_timeout(struct victim *self)
{
	struct timeval time = { .tv_sec = 60 };
	int pair[2];
	char byte;
	pid_t child;
	long rc;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -errno;
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	child = fork(); /* passes the byte on */
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(self->pipe[0], &byte, 1) != 1 || write(pair[1], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	rc = recv(pair[0], &byte, 1, 0) == 1 ? 0 : -errno;
	waitpid(child, NULL, 0);
	close(pair[0]);
	close(pair[1]);
	return rc;
}

static long wait_child(struct victim *self)
{
	pid_t child = fork();
	char byte;
	int status;

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(read(self->pipe[0], &byte, 1) == 1 ? 0 : 1);
	}
	return waitpid(child, &status, 0) == child && !status ? 0 : -errno;
}

static long wait_futex(struct victim *self)
{
	return syscall(SYS_futex, &self->board->futex, FUTEX_WAIT, 0, NULL, NULL, 0) ? -errno : 0;
}

static long wait_futex_timeout(struct victim *self)
{
	struct timespec time = { .tv_sec = 60 };

	return syscall(SYS_futex, &self->board->futex, FUTEX_WAIT, 0, &time, NULL, 0) ? -errno : 0;
}

enum waking { BY_BYTE, BY_SIGNAL, BY_FUTEX };

static const struct waiting {
	const char *name;
	long (*wait)(struct victim *self);
	enum waking waking;
} waitings[] = {
	{ "read", wait_read, BY_BYTE },
	{ "poll", wait_poll, BY_BYTE },
	{ "poll with a timeout", wait_poll_timeout, BY_BYTE },
	{ "ppoll with a mask", wait_ppoll, BY_BYTE },
	{ "select", wait_select, BY_BYTE },
	{ "epoll_wait", wait_epoll, BY_BYTE },
	{ "epoll_pwait with a mask", wait_epoll_pwait, BY_BYTE },
	{ "epoll_pwait, ended by a signal", wait_epoll_signal, BY_SIGNAL },
	{ "sigsuspend", wait_sigsuspend, BY_SIGNAL },
	{ "sigtimedwait", wait_sigtimedwait, BY_SIGNAL },
	{ "recv with SO_RCVTIMEO", wait_recv_timeout, BY_BYTE },
	{ "waitpid", wait_child, BY_BYTE },
	{ "futex", wait_futex, BY_FUTEX },
	{ "futex with a timeout", wait_futex_timeout, BY_FUTEX },
};

static const struct waiting *waiting; /* what the next victim waits in */

static int wait_in_a_call(struct victim *self)
{
	struct sigaction action = { .sa_handler = handle };
	sigset_t set;

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	self->board->ready = 1;
	self->board->result = waiting->wait(self);
	return self->board->result ? 2 : lab_probe();
}

static void wake(struct victim *victim, enum waking waking)
{
	switch (waking) {
	case BY_BYTE:
		assert_int_equal(write(victim->pipe[1], "x", 1), 1);
		break;
	case BY_SIGNAL:
		kill(victim->process.pid, SIGUSR1);
		break;
	case BY_FUTEX:
		victim->board->futex = 1;
		syscall(SYS_futex, &victim->board->futex, FUTEX_WAKE, 1, NULL, NULL, 0);
		break;
	}
}
