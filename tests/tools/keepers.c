/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kills and stops keepers and guardians (injector/syscall/keep.h) while a target makes calls all the time and looks at
 * each result.
 *
 *   keepers keeper kill|stop FROM TO      at the nth stop at a system call of a keeper that serves (each call has two)
 *   keepers giving kill|stop FROM TO      of one that is given another listener
 *   keepers guardian kill|stop FROM TO    of the guardian, from when the keeper was killed
 *   keepers random ROUNDS SEED            at random moments
 *
 * A line for each try that went wrong, with what the target saw; and one for all: how many there were, the median and
 * the longest pause in ms. "unguarded": in how many of them a guardian was killed that had no other one yet. "starved":
 * in how many the keeper was taken for dead before, because it got no processor for half a second. Exits with
 * 1 when one went wrong, 77 when it cannot be done here.
 */
#include <sys/ptrace.h>

#include "../unit/keep_lab.h"

#define TRIES_MAX 4096
#define LIMIT	  (2 * BRUNT_S) /* what a target may stand still, on a machine with much else to do */
#define GIVE_UP	  (8 * BRUNT_S)
#define LONG	  (3600 * BRUNT_S)

static struct lab lab;
static uint64_t pauses[TRIES_MAX];
static unsigned tried, bad, unguarded, not_met, starved;
static uint64_t limit = LIMIT;

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool is_hit(struct lab *of)
{
	return lab_sum(of).hits > 20;
}

static bool begin(enum lab_mode mode, unsigned threads)
{
	if (lab_open(&lab, 2 * BRUNT_MS) || lab_run(&lab, mode, threads)) {
		printf("cannot begin: %s\n", lab.err.msg);
		bad++;
		lab_close(&lab);
		return false;
	}
	lab_arm(&lab, 0, LONG);
	lab_arm(&lab, 1, LONG);
	if (mode == LAB_DELAYED || lab_within(GIVE_UP, is_hit, &lab))
		return true;
	/* on a machine with so much to do that the keeper did not move for half a second */
	starved += brunt_keep_is_lost(&lab.keep);
	if (!brunt_keep_is_lost(&lab.keep)) {
		printf("the target is not hit\n");
		bad++;
	}
	return false;
}

/* How the target is after what was done to it. */
static void judge(const char *what)
{
	uint64_t took = lab_resumes(&lab, GIVE_UP);
	struct lab_sum sum;

	(void)usleep(2000);
	sum = lab_end_target(&lab, GIVE_UP);
	if (sum.worst > took)
		took = sum.worst;
	if (tried < TRIES_MAX)
		pauses[tried] = took;
	tried++;
	if (sum.dead || sum.wrong || took > limit) {
		printf("%s: %s, %llu of %llu calls wrong (%s), longest pause %llu ms\n", what,
		       sum.dead ? "dead or hung" : "alive", (unsigned long long)sum.wrong,
		       (unsigned long long)sum.calls, sum.wrong ? strerror(sum.code) : "none",
		       (unsigned long long)(took / BRUNT_MS));
		bad++;
	}
}

static void end(void)
{
	pid_t keeper = brunt_keep_pid(&lab.keep), guardian = brunt_keep_guardian(&lab.keep);

	lab_close(&lab);
	if (!lab_gone(keeper, 3 * BRUNT_S) || !lab_gone(guardian, 3 * BRUNT_S)) {
		printf("keeper %d or guardian %d is left\n", (int)keeper, (int)guardian);
		(void)kill(keeper, SIGKILL);
		(void)kill(guardian, SIGKILL);
		bad++;
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* ---- at the nth stop ---- */

static long call_at(pid_t pid, bool *ret_entry)
{
	struct __ptrace_syscall_info info = { 0 };
	static long last;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
		return -1;
	*ret_entry = info.op == PTRACE_SYSCALL_INFO_ENTRY;
	if (*ret_entry)
		last = (long)info.entry.nr;
	return last;
}

static bool is_fork(long number)
{
#ifdef SYS_fork
	if (number == SYS_fork || number == SYS_vfork)
		return true;
#endif
	return number == SYS_clone || number == SYS_clone3;
}

/* From the first of that call on (-1: at once) to the nth stop. The number of the call; -1: it was not met. */
static long go_to(pid_t pid, long from, unsigned nth, bool *ret_forked)
{
	uint64_t until = brunt_now() + GIVE_UP;
	unsigned stops = 0;

	while (brunt_now() < until) {
		int status, signal = 0;
		bool entry = false;

		if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
			return -1;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			long number = call_at(pid, &entry);

			*ret_forked |= is_fork(number) && !entry;
			stops += from < 0 || stops || (number == from && entry);
			if (stops >= nth)
				return number;
		} else if (!(status >> 16)) {
			signal = WSTOPSIG(status);
		}
		(void)ptrace(PTRACE_SYSCALL, pid, NULL, (long)signal);
	}
	return -1;
}

static void give_another(void)
{
	char *argv[] = { "true", NULL };
	pid_t pid = fork();

	if (pid)
		return;
	if (!lab_wrap(&lab, argv, NULL, &pid))
		(void)waitpid(pid, NULL, 0);
	_exit(0);
}

static void step(const char *who, bool stops, unsigned nth)
{
	bool is_guardian = !strcmp(who, "guardian"), is_giving = !strcmp(who, "giving"), forked = false;
	char what[128];
	long number;
	pid_t pid;

	if (!begin(LAB_BUSY, 3)) {
		end();
		return;
	}
	pid = is_guardian ? brunt_keep_guardian(&lab.keep) : brunt_keep_pid(&lab.keep);
	if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD) || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL)) {
		printf("cannot trace: %s\n", strerror(errno));
		exit(77);
	}
	if (is_guardian)
		(void)kill(brunt_keep_pid(&lab.keep), SIGKILL);
	if (is_giving)
		give_another();
	number = go_to(pid, is_giving ? SYS_recvmsg : -1, nth, &forked);
	if (number < 0)
		not_met++;
	/* what is stopped is left as it is: nothing but SIGKILL has it go on */
	if (number < 0 || !stops)
		(void)kill(pid, SIGKILL);
	if (is_guardian && !forked) {
		unguarded++;
		(void)kill(lab.target, SIGKILL);
		(void)kill(pid, SIGKILL);
	} else {
		(void)snprintf(what, sizeof(what), "%s %s at stop %u (system call %ld)", who,
			       stops ? "stopped" : "killed", nth, number);
		judge(what);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, __WALL);
	end();
}

/* ---- at random ---- */

static uint64_t random_state;

static unsigned any(unsigned below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(random_state >> 33) % below;
}

/* The death of the only one that is left is nobody's to bear: waits until there are two. */
static pid_t keeper_that_is_guarded(pid_t before)
{
	uint64_t until = brunt_now() + GIVE_UP;
	pid_t keeper, guardian;

	do {
		guardian = brunt_keep_guardian(&lab.keep);
		keeper = brunt_keep_pid(&lab.keep);
	} while ((keeper == before || guardian == keeper || !lab_lives(guardian)) && brunt_now() < until);
	return keeper;
}

static void at_random(unsigned round)
{
	static const char *const names[] = { "keeper killed", "keeper stopped", "guardian killed", "guardian stopped",
					     "keeper killed, and who took over" };
	unsigned what = any(BRUNT_COUNT(names)), when = any(20000), later = any(3000);
	enum lab_mode mode = (enum lab_mode)any(3);
	char name[128];
	pid_t keeper;

	if (!begin(mode, 1 + any(8))) {
		end();
		return;
	}
	(void)usleep(when);
	keeper = brunt_keep_pid(&lab.keep);
	(void)kill(what == 2 || what == 3 ? brunt_keep_guardian(&lab.keep) : keeper, what % 2 ? SIGSTOP : SIGKILL);
	if (what == 4) {
		keeper = keeper_that_is_guarded(keeper);
		(void)usleep(later);
		(void)kill(keeper, SIGKILL);
	}
	(void)snprintf(name, sizeof(name), "round %u: %s after %u us, target %d", round, names[what], when, (int)mode);
	judge(name);
	end();
}

int main(int argc, char **argv)
{
	unsigned from, to, known, middle;

	if (argc > 4 && !strcmp(argv[1], "--target"))
		_exit(lab_target(argv)); /* what a sanitizer does at the end makes calls, too */
	if (argc < 4) {
		fputs("usage: keepers keeper|giving|guardian kill|stop FROM TO | random ROUNDS SEED\n", stderr);
		return 2;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (brunt_filter_probe(&lab.err)) {
		puts(lab.err.msg);
		return 77;
	}
	limit = LIMIT * lab_slow();
	if (!strcmp(argv[1], "random")) {
		from = (unsigned)atoi(argv[3]);
		for (unsigned round = from; round < from + (unsigned)atoi(argv[2]); round++) {
			random_state = round;
			(void)any(2);
			at_random(round);
		}
	} else {
		from = (unsigned)atoi(argv[3]);
		to = argc > 4 ? (unsigned)atoi(argv[4]) : from;
		for (unsigned nth = from; nth <= to; nth++)
			step(argv[1], !strcmp(argv[2], "stop"), nth);
	}
	known = tried < TRIES_MAX ? tried : TRIES_MAX;
	middle = known / 2;
	qsort(pauses, known, sizeof(*pauses), compare);
	printf("%u tried, %u wrong, %u unguarded, %u starved, %u not met; pause median %.1f ms, most %.1f ms\n", tried,
	       bad, unguarded, starved, not_met, known ? (double)pauses[middle] / 1e6 : 0,
	       known ? (double)pauses[known - 1] / 1e6 : 0);
	return bad ? 1 : 0;
}
