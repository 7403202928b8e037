/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/* Filters for processes that run: whatever they do at that moment, they go on as if nothing had happened. */
#include "graft_victims.h"

#include <linux/rseq.h>
#include <sys/ptrace.h>
#include <sys/utsname.h>

#include "target/proc.h"

/* How long victims stood still in all of this file's grafts. */
static uint64_t stops[2000];
static size_t stop_count;

static void note_stop(const struct outcome *outcome)
{
	if (outcome->stop_ns && stop_count < sizeof(stops) / sizeof(stops[0]))
		stops[stop_count++] = outcome->stop_ns;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_stops(const char *what, const uint64_t *times, size_t count)
{
	uint64_t sorted[sizeof(stops) / sizeof(stops[0])], middle, high;

	if (!count)
		return;
	memcpy(sorted, times, count * sizeof(*times));
	qsort(sorted, count, sizeof(*sorted), by_size);
	middle = sorted[count / 2];
	high = sorted[count * 95 / 100];
	print_message("%s: %zu grafts, stood still: median %.0f us, 95th percentile %.0f us, longest %.0f us\n", what,
		      count, (double)middle / 1e3, (double)high / 1e3, (double)sorted[count - 1] / 1e3);
}

/* Grafts; the listener. */
static int graft(const struct victim *victim, const struct lab_request *request)
{
	struct outcome outcome = lab_graft(victim, request);

	if (outcome.rc < 0)
		print_message("graft: %d: %s\n", outcome.rc, outcome.msg);
	assert_true(outcome.rc >= 0);
	assert_true(outcome.stop_ns > 0);
	if (outcome.stop_ns > 100 * BRUNT_MS)
		print_message("process %d stood still for %.0f ms\n", (int)victim->process.pid,
			      (double)outcome.stop_ns / 1e6);
	note_stop(&outcome);
	return outcome.rc;
}

/* Grafting must be refused with this code and these words; nothing is stopped for that. */
static void assert_refused(const struct victim *victim, const struct lab_request *request, int code, const char *words)
{
	struct outcome outcome = lab_graft(victim, request);
	char sentence[256];

	(void)snprintf(sentence, sizeof(sentence), "process %d (victim) %s", (int)victim->process.pid, words);
	assert_int_equal(outcome.rc, code);
	assert_string_equal(outcome.msg, sentence);
}

/* What it does goes on. */
static void assert_goes_on(const struct board *board)
{
	unsigned long from = board->rounds + board->made;
	uint64_t end = brunt_now() + LAB_WAIT;

	while (board->rounds + board->made < from + 3) {
		assert_true(brunt_now() < end);
		usleep(500);
	}
}

/*
 * Microseconds until the i-th of count victims is disturbed: spread over a little more than what a graft takes here, which
 * moment(0, 1) measures.
 */
static unsigned moment(int i, int count)
{
	static uint64_t pace;

	/* the best of some: what the machine does besides is not what it takes */
	for (int j = 0; j < 5 && i == 0 && count == 1; j++) {
		struct victim victim = lab_start(be_busy);
		uint64_t begin = brunt_now(), took;
		int listener = graft(&victim, NULL);

		took = (brunt_now() - begin) / 1000;
		pace = pace && pace < took ? pace : took;
		lab_finish(&victim, listener);
	}
	return (unsigned)(pace * 5 / 4 * (uint64_t)(i * 37 % count) / (uint64_t)count);
}

/* ---- victims that work ---- */

static void graft_on_busy(int (*body)(struct victim *), bool quiet)
{
	struct victim victim = lab_start(body);
	struct lab_traces before = lab_traces(victim.process.pid);
	int listener = graft(&victim, NULL);

	assert_goes_on(victim.board);
	if (quiet)
		lab_assert_same(&before, victim.process.pid);
	lab_finish(&victim, listener);
}

static void a_busy_process_keeps_its_registers_and_goes_on(void **state)
{
	(void)state;
	ROOT_NEEDED();
	for (int i = 0; i < 20; i++)
		graft_on_busy(be_busy, true);
}

/* How long the victim slept. */
static uint64_t graft_on_sleeping(void)
{
	struct victim victim = lab_start(sleep_beside_threads);
	pid_t pid = victim.process.pid;
	struct lab_traces before;
	uint64_t took;
	int listener;

	assert_true(lab_until(lab_sleeps, &pid));
	usleep(SLEEP_NS / 2 / 1000);
	before = lab_traces(pid);
	listener = graft(&victim, NULL);
	lab_assert_same(&before, pid);
	while (!victim.board->took)
		usleep(1000);
	took = victim.board->took;
	assert_int_equal(victim.board->result, 0);
	assert_true(took >= SLEEP_NS);
	lab_finish(&victim, listener);
	return took;
}

static void threads_work_on_and_a_sleep_keeps_its_length(void **state)
{
	uint64_t took = UINT64_MAX;

	(void)state;
	ROOT_NEEDED();
	/*
	 * From the beginning again it would be longer by what had passed, each time; on a machine with much else to do some
	 * are longer.
	 */
	for (int i = 0; i < 5 && took >= SLEEP_NS * 3 / 2; i++)
		took = graft_on_sleeping();
	assert_true(took < SLEEP_NS * 3 / 2);
}

static void calls_that_wait_go_on_waiting(void **state)
{
	(void)state;
	ROOT_NEEDED();
	for (size_t i = 0; i < sizeof(waitings) / sizeof(waitings[0]); i++) {
		struct victim victim;
		struct lab_traces before;
		pid_t pid;
		int listener;

		waiting = &waitings[i];
		victim = lab_start(wait_in_a_call);
		pid = victim.process.pid;
		usleep(20000);
		assert_true(lab_until(lab_sleeps, &pid));
		before = lab_traces(pid);
		listener = graft(&victim, NULL);
		usleep(5000);
		if (victim.board->result)
			print_message("%s: %s\n", waiting->name, strerror((int)-victim.board->result));
		assert_int_equal(victim.board->result, 0);
		assert_true(lab_until(lab_sleeps, &pid));
		lab_assert_same(&before, pid);
		wake(&victim, waiting->waking);
		lab_finish(&victim, listener);
	}
}

static void threads_that_come_and_go_are_no_hindrance(void **state)
{
	(void)state;
	ROOT_NEEDED();
	for (int i = 0; i < 10; i++) {
		graft_on_busy(make_threads, false);
		graft_on_busy(work_beside_new_threads, false);
	}
}

static void a_process_that_forks_all_the_time_goes_on_forking(void **state)
{
	(void)state;
	ROOT_NEEDED();
	for (int i = 0; i < 10; i++)
		graft_on_busy(make_processes, false);
}

/* ---- signals ---- */

#define SIGNALS 3000

static void no_signal_is_lost_or_out_of_order(void **state)
{
	struct victim victim;
	pid_t sender;
	int listener, status;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(take_signals);
	sender = fork();
	if (!sender) {
		for (int i = 0; i < SIGNALS; i++) {
			union sigval value = { .sival_int = i };

			while (sigqueue(victim.process.pid, SIGRTMIN, value))
				usleep(100); /* EAGAIN: the queue is full */
			if (i % 16 == 0)
				usleep(100);
		}
		_exit(0);
	}
	while (victim.board->signals < 100)
		usleep(100);
	listener = graft(&victim, NULL);
	assert_int_equal(waitpid(sender, &status, 0), sender);
	for (int i = 0; i < 20000 && victim.board->signals < SIGNALS; i++)
		usleep(1000);
	assert_int_equal(victim.board->signals, SIGNALS);
	assert_int_equal(victim.board->disordered, 0);
	lab_finish(&victim, listener);
}

static void stopping_and_continuing_meanwhile_takes_its_course(void **state)
{
	unsigned grafted = 0;

	(void)state;
	ROOT_NEEDED();
	(void)moment(0, 1);
	for (int i = 0; i < 40; i++) {
		struct victim victim = lab_start(be_busy);
		pid_t pid = victim.process.pid, injector;
		struct outcome outcome;
		struct lab_request usual = { 0 };
		int socket;

		injector = lab_begin(&victim, &usual, &socket);
		usleep(moment(i, 40));
		kill(pid, SIGSTOP);
		outcome = lab_end(injector, socket);
		if (outcome.rc < 0)
			assert_int_equal(outcome.rc, -EBUSY);
		assert_true(lab_until(lab_is_stopped, &pid));
		kill(pid, SIGCONT);
		assert_goes_on(victim.board);
		if (outcome.rc >= 0) {
			grafted++;
			lab_finish(&victim, outcome.rc);
		} else {
			lab_kill(&victim);
		}
	}
	print_message("%u of 40 grafts were done, the others refused\n", grafted);
}

static void a_victim_that_is_killed_meanwhile_keeps_nobody_waiting(void **state)
{
	unsigned grafted = 0;

	(void)state;
	ROOT_NEEDED();
	(void)moment(0, 1);
	for (int i = 0; i < 60; i++) {
		struct victim victim = lab_start(i % 2 ? sleep_beside_threads : be_busy);
		struct outcome outcome;
		struct lab_request usual = { 0 };
		int socket;
		pid_t injector = lab_begin(&victim, &usual, &socket);

		usleep(moment(i, 60));
		kill(victim.process.pid, SIGKILL);
		outcome = lab_end(injector, socket);
		if (outcome.rc >= 0) {
			grafted++;
			close(outcome.rc);
		} else {
			if (outcome.rc != -ESRCH)
				print_message("%d: %s\n", outcome.rc, outcome.msg);
			assert_int_equal(outcome.rc, -ESRCH);
		}
		lab_kill(&victim);
	}
	print_message("%u of 60 were quicker than the kill\n", grafted);
}

/* ---- privileges and filters ---- */

static void one_without_privileges_needs_no_new_privs(void **state)
{
	const struct lab_request allowed = { .allow_no_new_privs = true };
	struct victim victim;
	struct lab_traces before;
	int listener;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_nobody);
	before = lab_traces(victim.process.pid);
	assert_int_equal(before.no_new_privs, '0');
	assert_refused(&victim, NULL, -EPERM,
		       "would need no_new_privs, which it keeps until it exits: allow it with "
		       "\"allow_no_new_privs\": true");
	lab_assert_same(&before, victim.process.pid);
	listener = graft(&victim, &allowed);
	before.no_new_privs = '1';
	lab_assert_same(&before, victim.process.pid);
	lab_finish(&victim, listener);
}

static void a_user_can_graft_on_a_process_of_their_own(void **state)
{
	static const int numbers[] = { SYS_getppid, SYS_close, SYS_munmap, -1 };
	const struct lab_request request = { .numbers = numbers, .allow_no_new_privs = true, .uid = 65534 };
	struct victim victim;
	struct lab_traces before;
	int listener;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_nobody);
	before = lab_traces(victim.process.pid);
	listener = graft(&victim, &request);
	before.no_new_privs = '1';
	lab_assert_same(&before, victim.process.pid);
	lab_finish(&victim, listener);
}

static void a_user_cannot_graft_on_others(void **state)
{
	const struct lab_request request = { .uid = 65534 };
	struct victim victim;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_busy);
	assert_refused(&victim, &request, -EPERM, "may not be traced: run brunt as root");
	lab_kill(&victim);
}

static void a_filter_of_its_own_that_kills_does_not(void **state)
{
	(void)state;
	ROOT_NEEDED();
	graft_on_busy(be_filtered, true);
}

static void a_filter_for_the_very_calls_of_a_graft_does_not_hold_it_up(void **state)
{
	static const int numbers[] = { SYS_getppid, SYS_mmap, SYS_munmap, SYS_prctl, SYS_seccomp, SYS_close, -1 };
	const struct lab_request request = { .numbers = numbers };
	struct victim victim;
	struct lab_traces before;
	int listener;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_busy);
	before = lab_traces(victim.process.pid);
	listener = graft(&victim, &request);
	lab_assert_same(&before, victim.process.pid);
	lab_finish(&victim, listener);
}

/* ---- refusals ---- */

static void a_second_listener_is_refused(void **state)
{
	struct victim victim;
	struct lab_traces before;
	int listener;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_listened_to);
	before = lab_traces(victim.process.pid);
	assert_refused(&victim, NULL, -EBUSY, "has a seccomp listener already: restart it");
	lab_assert_same(&before, victim.process.pid);
	lab_kill(&victim);

	victim = lab_start(be_busy);
	listener = graft(&victim, NULL);
	assert_refused(&victim, NULL, -EBUSY, "has a seccomp listener already: restart it");
	lab_finish(&victim, listener);
}

static void threads_whose_filters_differ_are_refused(void **state)
{
	struct victim victim;
	struct outcome outcome;
	char sentence[128];

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_filtered_in_part);
	outcome = lab_graft(&victim, NULL);
	(void)snprintf(sentence, sizeof(sentence), "threads of process %d (victim) have seccomp filters that differ",
		       (int)victim.process.pid);
	assert_int_equal(outcome.rc, -ESRCH);
	assert_string_equal(outcome.msg, sentence);
	victim.board->end = 1;
	assert_int_equal(waitpid(victim.process.pid, NULL, 0), victim.process.pid);
	lab_free(&victim);
}

static void strict_mode_is_refused(void **state)
{
	struct victim victim;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_strict);
	assert_goes_on(victim.board);
	assert_refused(&victim, NULL, -ENOTSUP, "is in seccomp's strict mode, which takes no filters");
	lab_kill(&victim);
}

static void a_stopped_process_is_refused_until_it_continues(void **state)
{
	struct victim victim;
	pid_t pid;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_busy);
	pid = victim.process.pid;
	kill(pid, SIGSTOP);
	assert_true(lab_until(lab_is_stopped, &pid));
	assert_refused(&victim, NULL, -EBUSY, "is stopped: continue it first");
	kill(pid, SIGCONT);
	lab_finish(&victim, graft(&victim, NULL));
}

static void a_traced_process_is_refused(void **state)
{
	struct victim victim;
	char words[64];

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_busy);
	assert_int_equal(ptrace(PTRACE_SEIZE, victim.process.pid, NULL, NULL), 0);
	(void)snprintf(words, sizeof(words), "is traced by process %d: end that first", (int)getpid());
	assert_refused(&victim, NULL, -EBUSY, words);
	lab_kill(&victim);
}

static void a_zombie_is_refused(void **state)
{
	struct victim victim;
	pid_t pid;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_busy);
	pid = victim.process.pid;
	kill(pid, SIGKILL);
	assert_true(lab_until(lab_is_zombie, &pid));
	assert_refused(&victim, NULL, -ESRCH, "has exited");
	waitpid(pid, NULL, 0);
	assert_refused(&victim, NULL, -ESRCH, "is gone");
	lab_free(&victim);
}

static void another_process_of_that_pid_is_not_meant(void **state)
{
	struct victim victim;
	uint64_t start;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_busy);
	start = victim.process.start;
	victim.process.start--;
	assert_refused(&victim, NULL, -ESRCH, "is gone");
	victim.process.start = start;
	lab_finish(&victim, graft(&victim, NULL));
}

static bool can_open_threads(void)
{
	int fd = (int)syscall(434 /* pidfd_open */, getpid(), O_EXCL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void threads_that_outlive_the_first_one_are_grafted_on(void **state)
{
	struct victim victim;
	struct outcome outcome;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(leave_first);
	if (can_open_threads()) {
		lab_finish(&victim, graft(&victim, NULL));
		return;
	}
	outcome = lab_graft(&victim, NULL);
	assert_int_equal(outcome.rc, -ENOTSUP);
	assert_non_null(strstr(outcome.msg, "needs Linux 6.9 or newer"));
	assert_goes_on(victim.board);
	lab_kill(&victim);
}

static void a_call_that_does_not_end_is_not_waited_for_beyond_the_deadline(void **state)
{
	const struct lab_request request = { .wait_ns = BRUNT_S };
	struct victim victim;
	struct outcome outcome;
	uint64_t begin;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(wait_for_vfork);
	begin = brunt_now();
	outcome = lab_graft(&victim, &request);
	assert_int_equal(outcome.rc, -ETIMEDOUT);
	assert_non_null(strstr(outcome.msg, "does not stop: a call of it does not end"));
	assert_true(brunt_now() - begin < LAB_WAIT);
	assert_int_equal(outcome.stop_ns, 0);
	victim.board->futex = 1;
	assert_goes_on(victim.board);
	lab_finish(&victim, graft(&victim, NULL));
}

/* ---- frozen ---- */

static char freezer[320];

static bool write_to(const char *name, const char *text)
{
	char path[400];
	int fd;
	bool done;

	(void)snprintf(path, sizeof(path), "%s/%s", freezer, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return done;
}

/* A cgroup of v2 with one below it, and the victim in that. */
static bool make_cgroup(const struct victim *victim)
{
	char mount[256], pid[16], below[400];

	if (brunt_cgroup_mount(mount, sizeof(mount)))
		return false;
	(void)snprintf(freezer, sizeof(freezer), "%s/brunt-graft-%d", mount, (int)getpid());
	(void)snprintf(below, sizeof(below), "%s/below", freezer);
	(void)snprintf(pid, sizeof(pid), "%d", (int)victim->process.pid);
	if (mkdir(freezer, 0755) || mkdir(below, 0755) || !write_to("cgroup.freeze", "0")) {
		rmdir(below);
		rmdir(freezer);
		return false;
	}
	return write_to("below/cgroup.procs", pid);
}

static void remove_cgroup(void)
{
	char below[400];

	(void)snprintf(below, sizeof(below), "%s/below", freezer);
	for (int i = 0; i < 20000 && rmdir(below) && errno == EBUSY; i++)
		usleep(1000);
	rmdir(freezer);
}

static void a_frozen_process_is_refused_until_it_thaws(void **state)
{
	struct victim victim;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(be_busy);
	if (!make_cgroup(&victim)) {
		lab_kill(&victim);
		print_message("there is no cgroup v2 that can freeze\n");
		skip();
	}
	assert_true(write_to("cgroup.freeze", "1"));
	assert_refused(&victim, NULL, -EBUSY, "is frozen by its cgroup: thaw that first");
	assert_true(write_to("cgroup.freeze", "0"));
	lab_finish(&victim, graft(&victim, NULL));
	remove_cgroup();
}

static void one_that_is_frozen_meanwhile_is_waited_for(void **state)
{
	unsigned refused = 0;

	(void)state;
	ROOT_NEEDED();
	(void)moment(0, 1);
	for (int i = 0; i < 40; i++) {
		struct victim victim = lab_start(be_busy);
		struct lab_request usual = { 0 };
		struct outcome outcome;
		pid_t injector;
		int socket;

		if (!make_cgroup(&victim)) {
			lab_kill(&victim);
			print_message("there is no cgroup v2 that can freeze\n");
			skip();
		}
		injector = lab_begin(&victim, &usual, &socket);
		usleep(moment(i, 40));
		assert_true(write_to("cgroup.freeze", "1"));
		usleep(20000);
		assert_true(write_to("cgroup.freeze", "0"));
		outcome = lab_end(injector, socket);
		if (outcome.rc == -EBUSY) {
			refused++;
			outcome.rc = graft(&victim, NULL);
		}
		assert_true(outcome.rc >= 0);
		assert_goes_on(victim.board);
		lab_finish(&victim, outcome.rc);
		remove_cgroup();
	}
	print_message("%u of 40 were refused as frozen\n", refused);
}

/* ---- other programs ---- */

/* Starts a program whose standard input is a pipe; it says a line when it is ready. */
static bool run_program(char *const argv[], struct victim *ret)
{
	struct victim victim = { .input = -1 };
	int in[2], out[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(victim.pipe, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	victim.input = in[1];
	if (read(out[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		close(out[0]);
		lab_free(&victim);
		return false;
	}
	lab_identify(&victim, pid);
	close(victim.pipe[0]);
	victim.pipe[0] = out[0]; /* open for as long as it may write */
	*ret = victim;
	return true;
}

/* It calls getppid() again and again; it exits with 0 once its input has ended. */
static void graft_on_program(struct victim *victim)
{
	unsigned fds = lab_count_fds(victim->process.pid);
	struct seccomp_notif request;
	int listener = graft(victim, NULL), status;
	uint64_t end;

	for (int i = 0; i < 20; i++) {
		assert_true(lab_receive(listener, &request));
		assert_int_equal(request.data.nr, SYS_getppid);
		assert_true(lab_answer(listener, &request, 0));
	}
	assert_int_equal(lab_count_fds(victim->process.pid), fds);
	close(victim->input);
	victim->input = -1;
	end = brunt_now() + LAB_WAIT;
	for (;;) {
		struct pollfd event = { .fd = listener, .events = POLLIN };

		if (waitpid(victim->process.pid, &status, WNOHANG))
			break;
		assert_true(brunt_now() < end);
		if (poll(&event, 1, 5) == 1 && event.revents & POLLIN && lab_receive(listener, &request))
			(void)lab_answer(listener, &request, 0);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(listener);
	lab_free(victim);
}

static void python_with_threads_goes_on(void **state)
{
	static char *const argv[] = { "python3", "-c",
				      "import os, sys, threading, time\n"
				      "end = False\n"
				      "def ask():\n"
				      "    while not end:\n"
				      "        os.getppid(); time.sleep(0.001)\n"
				      "threads = [threading.Thread(target=ask) for _ in range(3)]\n"
				      "for t in threads: t.start()\n"
				      "print('ready', flush=True)\n"
				      "sys.stdin.read()\n"
				      "end = True\n"
				      "for t in threads: t.join()\n",
				      NULL };
	struct victim victim;

	(void)state;
	ROOT_NEEDED();
	if (!run_program(argv, &victim)) {
		print_message("there is no python3\n");
		skip();
	}
	graft_on_program(&victim);
}

static void a_static_program_goes_on(void **state)
{
	static const char source[] = "#include <poll.h>\n"
				     "#include <unistd.h>\n"
				     "int main(void) { struct pollfd p = { 0, POLLIN, 0 }; write(1, \"r\", 1);\n"
				     "while (poll(&p, 1, 1) == 0) getppid(); return 0; }\n";
	char folder[] = "/tmp/brunt-graft.XXXXXX", path[64], command[256];
	char *argv[] = { path, NULL };
	struct victim victim;
	FILE *compiler;
	bool made;

	(void)state;
	ROOT_NEEDED();
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/program", folder);
	(void)snprintf(command, sizeof(command), "${CC:-gcc} -w -static -x c -o %s - 2>/dev/null", path);
	compiler = popen(command, "we"); /* NOLINT(cert-env33-c) */
	assert_non_null(compiler);
	fputs(source, compiler);
	made = !pclose(compiler) && run_program(argv, &victim);
	unlink(path);
	rmdir(folder);
	if (!made) {
		print_message("no static program can be made here\n");
		skip();
	}
	graft_on_program(&victim);
}

/* ELF header, one program header, and: mov $29 (pause), %eax; int $0x80; jmp -9. */
static const unsigned char elf32[] = {
	0x7f, 'E',  'L',  'F',	1,    1, 1, 0, 0,    0,	   0,	 0, 0,	  0,	0, 0, /* 32 bits */
	2,    0,    3,	  0,	1,    0, 0, 0, 0x54, 0x80, 4,	 8, 0x34, 0,	0, 0, /* executable, i386; entry */
	0,    0,    0,	  0,	0,    0, 0, 0, 0x34, 0,	   0x20, 0, 1,	  0,	0, 0, /* sizes */
	0,    0,    0,	  0,	1,    0, 0, 0, 0,    0,	   0,	 0, 0,	  0x80, 4, 8, 0,    0x80, 4, 8, /* load at 0x8048000 */
	0x5d, 0,    0,	  0,	0x5d, 0, 0, 0, 5,    0,	   0,	 0, 0,	  0x10, 0, 0, 0xb8, 29,	  0, 0, 0,
	0xcd, 0x80, 0xeb, 0xf7,
};

static void a_32_bit_program_is_refused(void **state)
{
	char path[] = "/tmp/brunt-graft.XXXXXX", exe[64], target[256] = "";
	uint64_t end = brunt_now() + LAB_WAIT;
	struct victim victim = { .input = -1, .pipe = { -1, -1 } };
	pid_t pid;
	int fd, status;

	(void)state;
	ROOT_NEEDED();
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, elf32, sizeof(elf32)), sizeof(elf32));
	fchmod(fd, 0755);
	close(fd);
	pid = fork();
	if (!pid) {
		execl(path, path, NULL);
		_exit(127);
	}
	(void)snprintf(exe, sizeof(exe), "/proc/%d/exe", (int)pid);
	do {
		usleep(1000);
		if (readlink(exe, target, sizeof(target) - 1) < 0)
			target[0] = '\0';
		if (waitpid(pid, &status, WNOHANG) == pid) {
			unlink(path);
			print_message("this kernel runs no 32-bit programs\n");
			skip();
		}
		assert_true(brunt_now() < end);
		/* Whatever the path is called in a machine whose root is a layer. */
	} while (!strstr(target, strrchr(path, '.')));
	lab_identify(&victim, pid);
	assert_refused(&victim, NULL, -ENOTSUP, "is a program of another architecture: only 64-bit ones can be hit");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(path);
}

/* ---- restartable sequences ---- */

static __thread struct rseq own_area __attribute__((aligned(32)));

#define RSEQ_SIGNATURE 0x53053053

/*
 * In a critical section that only its abort handler leaves, since "board" says so: a signal must lead there. Forgotten by
 * the kernel, the section would go on for ever.
 */
static int stay_in_critical_section(struct victim *self)
{
	struct sigaction action = { .sa_handler = handle };

	/* The C library's own registration is in the way; GLIBC_TUNABLES of the test's own start leaves that out. */
	if (syscall(SYS_rseq, &own_area, sizeof(own_area), 0, RSEQ_SIGNATURE)) {
		self->board->error = errno;
		self->board->ready = 1;
		return 77;
	}
	sigaction(SIGUSR1, &action, NULL);
	while (!self->board->end) {
		__asm__ volatile goto(".pushsection __rseq_cs, \"aw\"\n"
				      ".balign 32\n"
				      "3: .long 0, 0; .quad 1f, 2f - 1f, 4f\n"
				      ".popsection\n"
				      "lea 3b(%%rip), %%rax\n"
				      "mov %%rax, %0\n"
				      "1: movl $1, %1\n"
				      "5: pause; jmp 5b\n"
				      "2: ud2\n"
				      ".byte 0x0f, 0xb9, 0x3d; .long 0x53053053\n"
				      "4: jmp %l[aborted]\n"
				      :
				      : "m"(own_area.rseq_cs), "m"(self->board->ready)
				      : "rax", "memory"
				      : aborted);
	aborted:
		self->board->made++;
	}
	return lab_probe();
}

static bool was_aborted(void *user)
{
	struct victim *victim = user;

	return victim->board->made > victim->board->rounds;
}

static void a_critical_section_is_aborted_as_ever(void **state)
{
	struct victim victim;
	struct brunt_process process;
	struct utsname kernel;
	int listener, major = 0, minor = 0;

	(void)state;
	ROOT_NEEDED();
	uname(&kernel);
	sscanf(kernel.release, "%d.%d", &major, &minor);
	if (major < 5 || (major == 5 && minor < 13)) {
		print_message("Linux %s cannot say where a thread's rseq area is: there, the section is not aborted\n",
			      kernel.release);
		skip();
	}
	victim = lab_start(stay_in_critical_section);
	process = victim.process;
	if (victim.board->error) {
		print_message("rseq: %s (the C library has it)\n", strerror((int)victim.board->error));
		lab_kill(&victim);
		skip();
	}
	listener = graft(&victim, NULL);
	for (int i = 0; i < 10; i++) {
		victim.board->rounds = victim.board->made;
		kill(process.pid, SIGUSR1);
		assert_true(lab_until(was_aborted, &victim));
	}
	victim.board->end = 1;
	kill(process.pid, SIGUSR1);
	lab_finish(&victim, listener);
}

/* ---- what is allowed ---- */

static void what_is_in_the_way_is_said(void **state)
{
	const struct brunt_process redis = { .pid = 812, .name = "redis-server", .pidfd = -1 };
	const struct brunt_process init = { .pid = 1, .name = "systemd", .pidfd = -1 };
	static const struct {
		struct brunt_graft_facts facts;
		int rc;
		const char *msg;
	} cases[] = {
		{ { .threads = 1 }, 0, "" },
		{ { .io_uring = true, .filtered = true }, 0, "" },
		{ { .stopped = true }, -EBUSY, "process 812 (redis-server) is stopped: continue it first" },
		{ { .traced = true, .tracer = 4 },
		  -EBUSY,
		  "process 812 (redis-server) is traced by process 4: end that first" },
		{ { .frozen = true }, -EBUSY, "process 812 (redis-server) is frozen by its cgroup: thaw that first" },
		{ { .listener = true },
		  -EBUSY,
		  "process 812 (redis-server) has a seccomp listener already: restart it" },
		{ { .foreign = true },
		  -ENOTSUP,
		  "process 812 (redis-server) is a program of another architecture: only 64-bit ones can be hit" },
		{ { .zombie = true }, -ESRCH, "process 812 (redis-server) has exited" },
		{ { .kernel_thread = true },
		  -ENOTSUP,
		  "process 812 (redis-server) is a thread of the kernel: it makes no system calls" },
		{ { .needs_no_new_privs = true },
		  -EPERM,
		  "process 812 (redis-server) would need no_new_privs, which it keeps until it exits: allow it with "
		  "\"allow_no_new_privs\": true" },
	};
	const struct brunt_graft_facts needs = { .needs_no_new_privs = true }, none = { 0 };
	struct brunt_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		err = (struct brunt_error){ 0 };
		assert_int_equal(brunt_graft_allowed(&redis, &cases[i].facts, false, &err), cases[i].rc);
		assert_string_equal(err.msg, cases[i].msg);
	}
	assert_int_equal(brunt_graft_allowed(&redis, &needs, true, NULL), 0);
	assert_int_equal(brunt_graft_allowed(&init, &none, true, NULL), -EPERM);
}

static void a_look_sees_what_there_is(void **state)
{
	struct brunt_graft_facts facts;
	struct victim victim;
	struct brunt_process thread = { .pid = 2, .name = "kthreadd", .pidfd = -1 };
	struct brunt_proc_stat stat;
	unsigned char params[120] = { 0 };
	int proc, ring;

	(void)state;
	ROOT_NEEDED();
	victim = lab_start(sleep_beside_threads);
	usleep(10000);
	assert_int_equal(brunt_graft_look("/proc", &victim.process, &facts, NULL), 0);
	assert_int_equal(facts.threads, 4);
	assert_false(facts.needs_no_new_privs || facts.foreign || facts.zombie || facts.kernel_thread);
	assert_false(facts.io_uring || facts.filtered || facts.strict || facts.traced || facts.stopped || facts.frozen);
	lab_kill(&victim);

	ring = (int)syscall(425 /* io_uring_setup */, 4, params);
	if (ring >= 0) { /* a victim inherits it */
		victim = lab_start(be_busy);
		assert_int_equal(brunt_graft_look("/proc", &victim.process, &facts, NULL), 0);
		assert_int_equal(facts.io_uring, fcntl(ring, F_GETFD) >= 0);
		lab_kill(&victim);
		close(ring);
	}
	proc = brunt_proc_open("/proc", NULL);
	if (!brunt_proc_stat(proc, 2, &stat) && !strcmp(stat.comm, "kthreadd")) {
		thread.start = stat.start;
		assert_int_equal(brunt_graft_look("/proc", &thread, &facts, NULL), 0);
		assert_true(facts.kernel_thread);
	}
	close(proc);
}

static void programs_of_no_length_are_refused(void **state)
{
	const struct sock_fprog empty = { 0 };
	struct brunt_process self = { .pid = getpid(), .name = "self", .pidfd = -1 };
	struct brunt_error err = { 0 };

	(void)state;
	assert_int_equal(brunt_graft(&self, &empty, false, brunt_now(), &err), -EINVAL);
	assert_string_equal(err.msg, "a seccomp filter has 1 to 4096 instructions, not 0");
}

/* ---- many ---- */

static void two_hundred_victims_all_survive(void **state)
{
	static int (*const bodies[])(struct victim *) = { be_busy,	  sleep_beside_threads, make_threads,
							  make_processes, wait_in_a_call,	work_beside_new_threads,
							  be_filtered,	  take_signals };
	size_t first = stop_count;

	(void)state;
	ROOT_NEEDED();
	for (int i = 0; i < 200; i++) {
		int (*body)(struct victim *) = bodies[i % 8];
		struct victim victim;
		int listener;

		waiting = &waitings[i / 8 % (int)(sizeof(waitings) / sizeof(waitings[0]))];
		victim = lab_start(body);
		usleep((unsigned)(i * 37 % 5000));
		if (body == wait_in_a_call && waiting->waking != BY_BYTE) {
			pid_t pid = victim.process.pid;

			usleep(5000); /* what wakes it must not come before it waits */
			assert_true(lab_until(lab_sleeps, &pid));
		}
		listener = graft(&victim, NULL);
		if (body == wait_in_a_call && waiting->waking != BY_BYTE) {
			pid_t pid = victim.process.pid;

			/* A futex whose value changes before the call was restarted says EAGAIN, rightly. */
			assert_true(lab_until(lab_sleeps, &pid));
		}
		if (body == wait_in_a_call)
			wake(&victim, waiting->waking);
		lab_finish(&victim, listener);
	}
	print_stops("stress", stops + first, stop_count - first);
}

static int print_all(void **state)
{
	(void)state;
	print_stops("all", stops, stop_count);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_the_way_is_said),
		cmocka_unit_test(a_look_sees_what_there_is),
		cmocka_unit_test(programs_of_no_length_are_refused),
		cmocka_unit_test(a_busy_process_keeps_its_registers_and_goes_on),
		cmocka_unit_test(threads_work_on_and_a_sleep_keeps_its_length),
		cmocka_unit_test(calls_that_wait_go_on_waiting),
		cmocka_unit_test(threads_that_come_and_go_are_no_hindrance),
		cmocka_unit_test(a_process_that_forks_all_the_time_goes_on_forking),
		cmocka_unit_test(no_signal_is_lost_or_out_of_order),
		cmocka_unit_test(stopping_and_continuing_meanwhile_takes_its_course),
		cmocka_unit_test(a_victim_that_is_killed_meanwhile_keeps_nobody_waiting),
		cmocka_unit_test(one_without_privileges_needs_no_new_privs),
		cmocka_unit_test(a_user_can_graft_on_a_process_of_their_own),
		cmocka_unit_test(a_user_cannot_graft_on_others),
		cmocka_unit_test(a_filter_of_its_own_that_kills_does_not),
		cmocka_unit_test(a_filter_for_the_very_calls_of_a_graft_does_not_hold_it_up),
		cmocka_unit_test(a_second_listener_is_refused),
		cmocka_unit_test(threads_whose_filters_differ_are_refused),
		cmocka_unit_test(strict_mode_is_refused),
		cmocka_unit_test(a_stopped_process_is_refused_until_it_continues),
		cmocka_unit_test(a_traced_process_is_refused),
		cmocka_unit_test(a_zombie_is_refused),
		cmocka_unit_test(another_process_of_that_pid_is_not_meant),
		cmocka_unit_test(threads_that_outlive_the_first_one_are_grafted_on),
		cmocka_unit_test(a_call_that_does_not_end_is_not_waited_for_beyond_the_deadline),
		cmocka_unit_test(a_frozen_process_is_refused_until_it_thaws),
		cmocka_unit_test(one_that_is_frozen_meanwhile_is_waited_for),
		cmocka_unit_test(python_with_threads_goes_on),
		cmocka_unit_test(a_static_program_goes_on),
		cmocka_unit_test(a_32_bit_program_is_refused),
		cmocka_unit_test(a_critical_section_is_aborted_as_ever),
		cmocka_unit_test(two_hundred_victims_all_survive),
	};

	/* One of the tests wants to register its own: the C library (2.35) is told not to, which it reads at its start. */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (!getenv("GLIBC_TUNABLES")) {
		setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
		execv("/proc/self/exe", argv);
	}
	return cmocka_run_group_tests(tests, NULL, print_all);
}
