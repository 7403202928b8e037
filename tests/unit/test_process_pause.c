/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/* process.pause on a process with busy, sleeping and short-lived threads. */
#include "bpf_lab.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <time.h>

#include "fault/pauser.h"

enum { BUSY = 2, SPAWNED = BUSY, FORKED, SIGNALS, COUNTERS };

static volatile unsigned long *counters; /* shared with the victim */

#define ROOT_NEEDED()                                                                                                  \
	do {                                                                                                           \
		if (geteuid()) {                                                                                       \
			print_message("needs root: ptrace\n");                                                         \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

/* What a pulse cannot wait for, it lets be: then less was hit than is counted here. */
#define PROMPT_NEEDED()                                                                                                \
	do {                                                                                                           \
		if (getenv("BRUNT_TEST_SLOW")) {                                                                       \
			print_message("an emulated processor starts a pauser in more than the 120 ms of a pulse\n");   \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

/* Busy enough to be seen, but a short sleep in between: the machine is shared. */
static void *be_busy(void *argument)
{
	volatile unsigned long *counter = argument;

	for (;;) {
		struct timespec nap = { .tv_nsec = 200000 };

		for (int i = 0; i < 1000; i++)
			(*counter)++;
		nanosleep(&nap, NULL);
	}
	return NULL;
}

static void *end_at_once(void *argument)
{
	return argument;
}

static void *spawn(void *argument)
{
	for (;;) {
		pthread_t thread;

		if (!pthread_create(&thread, NULL, end_at_once, NULL))
			pthread_join(thread, NULL);
		(*(volatile unsigned long *)argument)++;
		usleep(200);
	}
	return NULL;
}

static void *fork_often(void *argument)
{
	for (;;) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		if (child > 0)
			waitpid(child, NULL, 0);
		(*(volatile unsigned long *)argument)++;
		usleep(2000);
	}
	return NULL;
}

static void count_signal(int signal)
{
	(void)signal;
	counters[SIGNALS]++;
}

static pid_t last; /* victim that was not ended yet */

static struct brunt_item start_victim(void)
{
	struct brunt_item item = { .kind = BRUNT_TARGET_PROCESS, .picked = true };
	pid_t child;

	if (last > 0 && !waitpid(last, NULL, WNOHANG)) { /* of a test that failed: it counts in the same memory */
		kill(last, SIGKILL);
		waitpid(last, NULL, 0);
	}
	if (!counters)
		counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < COUNTERS; i++)
		counters[i] = 0;
	child = fork();
	if (!child) {
		pthread_t thread;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGUSR1, count_signal);
		for (int i = 0; i < BUSY; i++)
			pthread_create(&thread, NULL, be_busy, (void *)&counters[i]);
		pthread_create(&thread, NULL, spawn, (void *)&counters[SPAWNED]);
		pthread_create(&thread, NULL, fork_often, (void *)&counters[FORKED]);
		for (;;)
			pause();
	}
	while (!counters[0] || !counters[1] || !counters[SPAWNED] || !counters[FORKED])
		usleep(1000);
	last = child;
	item.process =
		(struct brunt_process){ .pid = child, .start = lab_start_time(child), .pidfd = -1, .name = "victim" };
	return item;
}

static void end_victim(const struct brunt_item *item)
{
	kill(item->process.pid, SIGKILL);
	waitpid(item->process.pid, NULL, 0);
	last = 0;
}

static bool runs(void)
{
	unsigned long before[COUNTERS];

	for (int i = 0; i < SIGNALS; i++)
		before[i] = counters[i];
	usleep(30000);
	for (int i = 0; i < SIGNALS; i++)
		if (counters[i] != before[i])
			return true;
	return false;
}

/* As soon as anything of it runs again. */
static uint64_t wait_until_it_runs(void)
{
	uint64_t begin = brunt_now();
	unsigned long before[COUNTERS];

	for (int i = 0; i < SIGNALS; i++)
		before[i] = counters[i];
	while (brunt_now() - begin < 20 * BRUNT_S) {
		for (int i = 0; i < SIGNALS; i++)
			if (counters[i] != before[i])
				return brunt_now() - begin;
		usleep(20); /* there may be one CPU alone */
	}
	fail_msg("it never ran again");
	return 0;
}

/* At some time from now on, however busy the machine is. */
static void assert_runs(void)
{
	(void)wait_until_it_runs();
}

static char state_of(const struct brunt_item *item)
{
	pid_t tracer;
	char state = '?';

	(void)brunt_pauser_read_state(item->process.pid, item->process.pid, &state, &tracer);
	return state;
}

/* A pauser whose holder is gone lets the threads go one by one. */
static bool is_traced(const struct brunt_item *item)
{
	char path[48];
	struct dirent *entry;
	bool traced = false;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)item->process.pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10), tracer = 0;
		char state;

		if (thread > 0 && !brunt_pauser_read_state(item->process.pid, thread, &state, &tracer))
			traced |= tracer != 0;
	}
	closedir(dir);
	return traced;
}

static void load(struct lab_fault *f)
{
	static char params[16];

	memset(f, 0, sizeof(*f));
	f->params = params;
	if (!lab.mount[0])
		(void)lab_find_mount();
	lab_load(f, "process.pause");
}

static void all_threads_stand_still_while_held_and_run_on_afterwards(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;
	uint64_t best = UINT64_MAX;

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	load(&f);
	for (int round = 0; round < 5; round++) {
		uint64_t begin, took;

		lab_hold(&f, victim, LAB_LEASE);
		assert_false(runs());
		assert_int_equal(state_of(&victim), 't');
		assert_int_equal(lab_poll(&f).hit, round + 1);
		assert_true(f.injector->child(f.state) > 0);
		begin = brunt_now();
		lab_release(&f);
		took = brunt_now() - begin;
		best = took < best ? took : best;
		assert_int_equal(f.injector->child(f.state), 0);
		assert_runs();
		assert_int_not_equal(state_of(&victim), 't');
	}
	assert_true(best < 250 * BRUNT_MS);
	lab_unload(&f);
	end_victim(&victim);
}

/* A pulse does not wait for threads that cannot stop at once: on a slow machine some run on for a moment. */
static bool stands_still_soon(const struct lab_fault *f)
{
	for (int i = 0; i < 100; i++) {
		f->injector->renew(f->state, brunt_now() + LAB_LEASE);
		if (!runs())
			return true;
	}
	return false;
}

static void a_pulse_lets_it_run_and_pauses_it_again_without_a_detach(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;
	uint64_t hit;

	(void)unused;
	ROOT_NEEDED();
	PROMPT_NEEDED();
	victim = start_victim();
	load(&f);
	lab_hold(&f, victim, LAB_LEASE);
	for (unsigned round = 1; round <= 5; round++) {
		assert_true(stands_still_soon(&f));
		f.injector->disarm(f.state);
		assert_int_equal(f.injector->verify(f.state, &f.err), 0);
		f.injector->renew(f.state, brunt_now() + LAB_LEASE);
		assert_runs();
		assert_int_not_equal(state_of(&victim), 't');
		assert_false(lab_poll(&f).detached || lab_poll(&f).target_gone || lab_poll(&f).lapsed);
		hit = lab_poll(&f).hit;
		if (f.injector->arm(f.state, brunt_now() + LAB_LEASE, &f.err))
			fail_msg("%s", f.err.msg);
		assert_in_range(lab_poll(&f).hit - hit, 0, 1);
		assert_int_equal(lab_poll(&f).seen, round + 1);
		assert_true(f.injector->child(f.state) > 0);
	}
	assert_true(lab_poll(&f).hit >= 1 + 3); /* who is late is not counted, on a machine with much else to do */
	lab_release(&f);
	assert_runs();
	lab_unload(&f);
	end_victim(&victim);
}

/* A parent sleeps uninterruptibly until the child of its vfork() has ended (vfork(2)). */
static struct brunt_item start_vforker(void)
{
	struct brunt_item item = { .kind = BRUNT_TARGET_PROCESS, .picked = true };
	pid_t child;

	if (!counters)
		counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	counters[0] = counters[FORKED] = counters[SIGNALS] = 0;
	child = fork();
	if (!child) {
		while (!counters[SIGNALS])
			usleep(1000);
		if (!vfork()) {
			while (!counters[FORKED])
				usleep(1000);
			_exit(0);
		}
		for (;;)
			be_busy((void *)&counters[0]);
	}
	item.process =
		(struct brunt_process){ .pid = child, .start = lab_start_time(child), .pidfd = -1, .name = "victim" };
	return item;
}

static void a_pulse_need_not_wait_for_a_process_that_cannot_stop_now(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;
	bool stopped = false;

	(void)unused;
	ROOT_NEEDED();
	PROMPT_NEEDED();
	victim = start_vforker();
	load(&f);
	lab_hold(&f, victim, LAB_LEASE);
	f.injector->disarm(f.state);
	counters[SIGNALS] = 1;
	for (int i = 0; i < 20000 && state_of(&victim) != 'D'; i++)
		usleep(1000);
	assert_int_equal(state_of(&victim), 'D');
	if (f.injector->arm(f.state, brunt_now() + LAB_LEASE, &f.err))
		fail_msg("%s", f.err.msg);
	assert_int_equal(lab_poll(&f).hit, 1);
	counters[FORKED] = 1; /* its child ends */
	for (int i = 0; i < 2000 && !stopped; i++) {
		usleep(10000);
		f.injector->renew(f.state, brunt_now() + LAB_LEASE);
		stopped = state_of(&victim) == 't';
	}
	assert_true(stopped);
	assert_int_equal(counters[0], 0);
	lab_release(&f);
	for (int i = 0; i < 20000 && !counters[0]; i++)
		usleep(1000);
	assert_true(counters[0] > 0);
	lab_unload(&f);
	end_victim(&victim);
}

static void a_pulse_finds_out_that_everybody_has_ended(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	load(&f);
	lab_hold(&f, victim, LAB_LEASE);
	f.injector->disarm(f.state);
	end_victim(&victim);
	assert_int_equal(f.injector->arm(f.state, brunt_now() + LAB_LEASE, &f.err), -ESRCH);
	assert_non_null(strstr(f.err.msg, "has ended"));
	lab_release(&f);
	lab_unload(&f);
}

static void attached_but_not_armed_it_runs(void **unused)
{
	struct brunt_undo_record undo = { 0 };
	struct brunt_item victim;
	struct lab_fault f;

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	load(&f);
	f.victims = (struct brunt_victims){
		.items = &victim, .matched = 1, .picked = 1, .processes = &victim.process, .process_count = 1
	};
	assert_int_equal(f.injector->prepare(f.state, &f.victims, &undo, &f.err), 0);
	assert_int_equal(f.injector->attach(f.state, &f.err), 0);
	for (int i = 0; i < 5; i++)
		assert_runs();
	assert_int_equal(kill(victim.process.pid, SIGUSR1), 0);
	for (int i = 0; i < 20000 && !counters[SIGNALS]; i++)
		usleep(1000);
	assert_int_equal(counters[SIGNALS], 1);
	lab_release(&f);
	assert_runs();
	lab_unload(&f);
	end_victim(&victim);
}

static void a_signal_waits_until_it_goes_on_and_is_then_delivered(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	load(&f);
	lab_hold(&f, victim, LAB_LEASE);
	assert_int_equal(kill(victim.process.pid, SIGUSR1), 0);
	usleep(50000);
	assert_int_equal(counters[SIGNALS], 0);
	lab_release(&f);
	for (int i = 0; i < 20000 && !counters[SIGNALS]; i++)
		usleep(1000);
	assert_int_equal(counters[SIGNALS], 1);
	lab_unload(&f);
	end_victim(&victim);
}

static void a_stop_that_arrives_meanwhile_is_kept_until_sigcont(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	load(&f);
	lab_hold(&f, victim, LAB_LEASE);
	assert_int_equal(kill(victim.process.pid, SIGSTOP), 0);
	usleep(20000);
	lab_release(&f);
	for (int i = 0; i < 20000 && state_of(&victim) != 'T'; i++)
		usleep(1000);
	assert_int_equal(state_of(&victim), 'T');
	assert_false(runs());
	assert_int_equal(kill(victim.process.pid, SIGCONT), 0);
	assert_runs();
	lab_unload(&f);
	end_victim(&victim);
}

static void a_target_killed_meanwhile_is_no_zombie_of_ours(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;
	int status = 0;
	pid_t r = 0;

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	load(&f);
	lab_hold(&f, victim, LAB_LEASE);
	assert_int_equal(kill(victim.process.pid, SIGKILL), 0);
	for (int i = 0; i < 20000 && !r; i++) {
		r = waitpid(victim.process.pid, &status, WNOHANG);
		usleep(1000);
	}
	assert_int_equal(r, victim.process.pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_true(lab_poll(&f).target_gone);
	lab_release(&f);
	lab_unload(&f);
}

/* The holder in a process of its own; it writes a byte when the victim stands still. */
static pid_t start_holder(struct brunt_item victim, uint64_t lease)
{
	int ready[2];
	pid_t holder;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	holder = fork();
	if (!holder) {
		struct lab_fault f;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		load(&f);
		if (lab_try_hold(&f, victim, lease)) {
			print_message("hold: %s\n", f.err.msg);
			_exit(1); /* a failure here would go on with the tests in this process, too */
		}
		(void)!write(ready[1], "x", 1);
		for (;;) {
			usleep(10000);
			f.injector->renew(f.state, brunt_now() + lease);
		}
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return holder;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void killing_the_holder_lets_it_run(void **unused)
{
	struct brunt_item victim;
	double took[20];

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	for (size_t i = 0; i < BRUNT_COUNT(took); i++) {
		pid_t holder = start_holder(victim, 10 * BRUNT_S);

		assert_false(runs());
		kill(holder, SIGKILL);
		took[i] = (double)wait_until_it_runs() / 1e6;
		waitpid(holder, NULL, 0);
		for (int k = 0; k < 20000 && is_traced(&victim); k++)
			usleep(1000);
	}
	qsort(took, BRUNT_COUNT(took), sizeof(took[0]), compare);
	print_message("kill -9 of the holder to running: median %.2f ms, worst of %zu %.2f ms\n",
		      took[BRUNT_COUNT(took) / 2], BRUNT_COUNT(took), took[BRUNT_COUNT(took) - 1]);
	assert_true(took[BRUNT_COUNT(took) / 2] < 200);
	end_victim(&victim);
}

static void a_holder_that_stands_still_lets_it_run_within_the_lease(void **unused)
{
	const uint64_t lease = 2 * BRUNT_S; /* longer than what a machine with much else to do may stop for */
	struct brunt_item victim;
	uint64_t took;
	pid_t holder;

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	holder = start_holder(victim, lease);
	usleep(2500000); /* renewed all the while */
	assert_false(runs());
	kill(holder, SIGSTOP);
	took = wait_until_it_runs();
	print_message("SIGSTOP of the holder to running: %.1f ms (lease 2 s)\n", (double)took / 1e6);
	assert_true(took <= lease + 3 * BRUNT_S);
	kill(holder, SIGCONT);
	usleep(50000);
	assert_runs();
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	end_victim(&victim);
}

static void killing_the_pauser_lets_it_run_and_is_reported(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	load(&f);
	lab_hold(&f, victim, LAB_LEASE);
	assert_false(lab_poll(&f).detached);
	kill(f.injector->child(f.state), SIGKILL);
	(void)wait_until_it_runs();
	for (int i = 0; i < 20000 && !lab_poll(&f).detached; i++)
		usleep(1000);
	assert_true(lab_poll(&f).detached);
	lab_release(&f);
	lab_unload(&f);
	end_victim(&victim);
}

static void the_stop_of_a_pauser_does_not_stop_the_undo(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	load(&f);
	lab_hold(&f, victim, LAB_LEASE);
	kill(f.injector->child(f.state), SIGSTOP);
	lab_release(&f);
	assert_runs();
	lab_unload(&f);
	end_victim(&victim);
}

static int try_prepare(struct lab_fault *f, struct brunt_item *item)
{
	struct brunt_undo_record undo = { 0 };

	f->victims = (struct brunt_victims){
		.items = item, .matched = 1, .picked = 1, .processes = &item->process, .process_count = 1
	};
	return f->injector->prepare(f->state, &f->victims, &undo, &f->err);
}

static void what_cannot_be_paused_is_refused_with_the_reason(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;
	siginfo_t info;

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	load(&f);
	assert_int_equal(try_prepare(&f, &victim), 0);

	kill(victim.process.pid, SIGSTOP);
	for (int i = 0; i < 20000 && state_of(&victim) != 'T'; i++)
		usleep(1000);
	assert_int_equal(try_prepare(&f, &victim), -EBUSY);
	assert_non_null(strstr(f.err.msg, "stopped already"));
	kill(victim.process.pid, SIGCONT);

	assert_int_equal(ptrace(PTRACE_SEIZE, victim.process.pid, NULL, NULL), 0);
	assert_int_equal(try_prepare(&f, &victim), -EBUSY);
	assert_non_null(strstr(f.err.msg, "is traced by process"));
	assert_int_equal(ptrace(PTRACE_INTERRUPT, victim.process.pid, NULL, NULL), 0);
	assert_int_equal(waitpid(victim.process.pid, NULL, __WALL), victim.process.pid);
	assert_int_equal(ptrace(PTRACE_DETACH, victim.process.pid, NULL, NULL), 0);

	kill(victim.process.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)victim.process.pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(try_prepare(&f, &victim), -ESRCH);
	waitpid(victim.process.pid, NULL, 0);
	lab_unload(&f);
}

static void write_file(const char *directory, const char *name, const char *text)
{
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void a_frozen_target_is_refused(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;
	char path[400], pid[16];
	int r = 0;

	(void)unused;
	ROOT_NEEDED();
	load(&f);
	(void)snprintf(path, sizeof(path), "%s/brunt-test-%d-frozen", lab.mount, (int)getpid());
	if (!lab.mount[0] || mkdir(path, 0755)) {
		lab_unload(&f);
		print_message("needs cgroup v2\n");
		skip();
	}
	victim = start_victim();
	(void)snprintf(pid, sizeof(pid), "%d", (int)victim.process.pid);
	write_file(path, "cgroup.procs", pid);
	write_file(path, "cgroup.freeze", "1");
	for (int i = 0; i < 20000 && !r; i++) {
		usleep(1000);
		r = try_prepare(&f, &victim);
	}
	write_file(path, "cgroup.freeze", "0");
	end_victim(&victim);
	for (int i = 0; i < 200 && rmdir(path); i++)
		usleep(5000);
	assert_int_equal(r, -EBUSY);
	assert_non_null(strstr(f.err.msg, "frozen"));
	lab_unload(&f);
}

static void a_later_process_of_the_same_pid_is_not_paused(void **unused)
{
	struct brunt_item victim;
	struct lab_fault f;

	(void)unused;
	ROOT_NEEDED();
	victim = start_victim();
	victim.process.start--;
	load(&f);
	assert_int_equal(try_prepare(&f, &victim), -ESRCH);
	assert_runs();
	lab_unload(&f);
	end_victim(&victim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_threads_stand_still_while_held_and_run_on_afterwards),
		cmocka_unit_test(a_pulse_lets_it_run_and_pauses_it_again_without_a_detach),
		cmocka_unit_test(a_pulse_need_not_wait_for_a_process_that_cannot_stop_now),
		cmocka_unit_test(a_pulse_finds_out_that_everybody_has_ended),
		cmocka_unit_test(attached_but_not_armed_it_runs),
		cmocka_unit_test(a_signal_waits_until_it_goes_on_and_is_then_delivered),
		cmocka_unit_test(a_stop_that_arrives_meanwhile_is_kept_until_sigcont),
		cmocka_unit_test(a_target_killed_meanwhile_is_no_zombie_of_ours),
		cmocka_unit_test(killing_the_holder_lets_it_run),
		cmocka_unit_test(a_holder_that_stands_still_lets_it_run_within_the_lease),
		cmocka_unit_test(killing_the_pauser_lets_it_run_and_is_reported),
		cmocka_unit_test(the_stop_of_a_pauser_does_not_stop_the_undo),
		cmocka_unit_test(what_cannot_be_paused_is_refused_with_the_reason),
		cmocka_unit_test(a_frozen_target_is_refused),
		cmocka_unit_test(a_later_process_of_the_same_pid_is_not_paused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
