/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/target.h"

struct kill_params {
	int signal;
};

static struct brunt_process start(bool with_pidfd)
{
	struct brunt_process process = { .pidfd = -1, .name = "victim" };
	char path[64], text[1024] = "", *at;
	int ready[2];
	FILE *stat;

	assert_int_equal(pipe(ready), 0);
	process.pid = fork();
	if (!process.pid) {
		signal(SIGUSR1, SIG_IGN);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], text, 1), 1);
	close(ready[0]);
	close(ready[1]);
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)process.pid);
	stat = fopen(path, "re");
	assert_non_null(stat);
	assert_non_null(fgets(text, sizeof(text), stat));
	fclose(stat);
	at = strrchr(text, ')') + 2;
	for (int field = 3; field < 22; field++)
		at = strchr(at, ' ') + 1;
	process.start = strtoull(at, NULL, 10);
	if (with_pidfd)
		process.pidfd = (int)syscall(SYS_pidfd_open, process.pid, 0);
	return process;
}

static int deed(int signal, struct brunt_process *processes, size_t count, struct brunt_hits *ret,
		struct brunt_error *err)
{
	const struct brunt_injector *injector = brunt_injector_find("process.kill");
	struct brunt_victims victims = {
		.matched = count, .picked = count, .processes = processes, .process_count = count
	};
	struct kill_params params = { .signal = signal };
	struct brunt_fault fault = { .injector = injector, .params = &params, .step = 1, .name = "kill" };
	struct brunt_fault_context context = { .run = "5eed0002" };
	struct brunt_undo_record undo = { .step = 1 };
	void *state;
	int r;

	assert_int_equal(injector->load(&fault, &context, &state, err), 0);
	r = injector->prepare(state, &victims, &undo, err);
	if (!r)
		r = injector->arm(state, 0, err);
	assert_int_equal(injector->poll(state, ret), 0);
	injector->unload(state);
	return r;
}

static int reap(struct brunt_process *process)
{
	int status;

	assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
	if (process->pidfd >= 0)
		close(process->pidfd);
	return status;
}

static void every_process_of_the_target_dies_by_the_signal(void **unused)
{
	struct brunt_process victims[] = { start(true), start(true), start(false) };
	struct brunt_error err = { 0 };
	struct brunt_hits hits;

	(void)unused;
	assert_int_equal(deed(SIGKILL, victims, 3, &hits, &err), 0);
	assert_int_equal(hits.hit, 3);
	if (*hits.near_miss) /* on a busy host the dead leave late */
		assert_non_null(strstr(hits.near_miss, "were not gone after"));
	for (int i = 0; i < 3; i++) {
		int status = reap(&victims[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
	}
}

static void an_ignored_signal_counts_as_sent_and_harms_nobody(void **unused)
{
	struct brunt_process victim = start(true);
	struct brunt_error err = { 0 };
	struct brunt_hits hits;

	(void)unused;
	assert_int_equal(deed(SIGUSR1, &victim, 1, &hits, &err), 0);
	assert_int_equal(hits.hit, 1);
	assert_int_equal(kill(victim.pid, 0), 0);
	kill(victim.pid, SIGKILL);
	reap(&victim);
}

static void a_later_process_of_the_same_pid_is_spared(void **unused)
{
	struct brunt_process victim = start(false);
	struct brunt_process other = victim;
	struct brunt_error err = { 0 };
	struct brunt_hits hits;

	(void)unused;
	other.start--; /* as if this pid had belonged to an earlier process */
	assert_int_equal(deed(SIGKILL, &other, 1, &hits, &err), -ESRCH);
	assert_int_equal(hits.hit, 0);
	assert_int_equal(waitpid(victim.pid, NULL, WNOHANG), 0);
	kill(victim.pid, SIGKILL);
	reap(&victim);
}

static void a_victim_that_ended_before_is_told_and_the_others_are_hit(void **unused)
{
	struct brunt_process victims[] = { start(true), start(true) };
	struct brunt_error err = { 0 };
	struct brunt_hits hits;
	siginfo_t info;

	(void)unused;
	kill(victims[0].pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)victims[0].pid, &info, WEXITED | WNOWAIT), 0); /* a zombie is dead */
	assert_int_equal(deed(SIGTERM, victims, 2, &hits, &err), 0);
	assert_int_equal(hits.seen, 2);
	assert_int_equal(hits.hit, 1);
	assert_string_equal(hits.near_miss, "1 had ended before the signal");
	reap(&victims[0]);
	assert_int_equal(WTERMSIG(reap(&victims[1])), SIGTERM);
}

static void stopping_signals_are_refused_in_favour_of_process_pause(void **unused)
{
	const struct brunt_injector *injector = brunt_injector_find("process.kill");
	struct kill_params params = { .signal = SIGSTOP };
	struct brunt_error err = { 0 };

	(void)unused;
	assert_int_equal(injector->validate(&params, BRUNT_TARGET_PROCESS, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "use process.pause"));
	params.signal = SIGKILL;
	assert_int_equal(injector->validate(&params, BRUNT_TARGET_PROCESS, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_process_of_the_target_dies_by_the_signal),
		cmocka_unit_test(an_ignored_signal_counts_as_sent_and_harms_nobody),
		cmocka_unit_test(a_later_process_of_the_same_pid_is_spared),
		cmocka_unit_test(a_victim_that_ended_before_is_told_and_the_others_are_hit),
		cmocka_unit_test(stopping_signals_are_refused_in_favour_of_process_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
