/* SPDX-License-Identifier: Apache-2.0 */
/* A whole life of the holder, killed at its first system call, its second, and so on to its last. */
#include "holder_lab.h"

#include <sys/ptrace.h>

#define CALLS_MAX 4000

/* Waits until the recoverer has forked the holder, and lets the recoverer go. */
static pid_t trace_holder(void)
{
	unsigned long child = 0;
	int status;

	if (ptrace(PTRACE_SEIZE, recoverer, NULL, PTRACE_O_TRACEFORK | PTRACE_O_TRACESYSGOOD))
		return -1;
	__atomic_store_n(&control->wait, false, __ATOMIC_RELEASE);
	while (waitpid(recoverer, &status, __WALL) == recoverer && WIFSTOPPED(status)) {
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_FORK << 8)) {
			assert_int_equal(ptrace(PTRACE_GETEVENTMSG, recoverer, NULL, &child), 0);
			break;
		}
		(void)ptrace(PTRACE_CONT, recoverer, NULL, NULL);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid((pid_t)child, &status, __WALL), child);
	assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, recoverer, NULL, NULL), 0);
	return (pid_t)child;
}

/* Kills it at its nth stop (each call has two: before and after); false when it ended before. */
static bool kill_at(pid_t holder, unsigned nth)
{
	unsigned stops = 0;
	int status;

	while (waitpid(holder, &status, __WALL) == holder && WIFSTOPPED(status)) {
		int signal = WSTOPSIG(status);

		if (signal == (SIGTRAP | 0x80) && ++stops == nth) {
			(void)kill(holder, SIGKILL);
			assert_int_equal(waitpid(holder, &status, __WALL), holder);
			return true;
		}
		(void)ptrace(PTRACE_SYSCALL, holder, NULL,
			     signal == (SIGTRAP | 0x80) || status >> 16 ? 0 : (long)signal);
	}
	return false;
}

static bool can_trace(void)
{
	pid_t pid = fork();
	bool can;

	if (!pid)
		for (;;)
			pause();
	can = !ptrace(PTRACE_SEIZE, pid, NULL, NULL);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, __WALL);
	return can;
}

static void killed_at_any_system_call_the_holder_leaves_nothing(void **state)
{
	bool killed = true;
	unsigned nth;

	if (!can_trace()) {
		print_message("ptrace is not allowed here\n");
		skip();
	}
	for (nth = 1; killed && nth < CALLS_MAX; nth++) {
		assert_int_equal(set_up(state), 0);
		control->wait = true;
		control->end = true; /* apply both, then end: the whole life */
		start();

		pid_t holder = trace_holder();

		assert_true(holder > 0);
		killed = kill_at(holder, nth);
		reap_all();
		if (!unlocked() || !file_gone() || !scratch_gone() || !ledger_gone() || setup.shared->residue)
			fail_msg("killed at stop %u: lock %d, file %d, folder %d, ledger %d, residue %u", nth,
				 !unlocked(), !file_gone(), !scratch_gone(), !ledger_gone(), setup.shared->residue);
		assert_int_equal(tear_down(state), 0);
	}
	assert_true(nth > 100); /* it was a life */
	print_message("killed at each of %u stops\n", nth - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_any_system_call_the_holder_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
