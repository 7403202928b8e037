/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target under a filter that makes calls all the time and looks at each
 * result, and a keeper for it: for tests that kill and stop keepers. The target
 * is this program again, with the word "--target"; it writes what it sees to
 * memory that it has as its descriptor 0.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "syscall/calls.h"
#include "syscall/filter.h"
#include "syscall/keep.h"
#include "syscall/wrap.h"

#define LAB_THREADS_MAX 1200
#define LAB_ERRNO	EDOM /* getppid never gives it */

struct lab_thread {
	uint64_t calls;
	uint64_t hits;	/* returned LAB_ERRNO */
	uint64_t wrong; /* returned anything that they may not */
	uint64_t late;	/* hits in calls that began after the fault had ended for sure */
	uint64_t worst; /* ns, the longest call */
	uint64_t begin; /* CLOCK_BOOTTIME of the call that is being made; 0: none */
	int code;	/* errno of the last wrong one */
	bool ready;
};

/* What lab and target share. */
struct lab_board {
	uint32_t stop;
	uint64_t quiet; /* CLOCK_BOOTTIME from when on no call is hit; 0: they may be */
	uint64_t forks; /* by a target that forks */
	struct lab_thread threads[LAB_THREADS_MAX];
};

enum lab_mode { LAB_BUSY, LAB_FORKS, LAB_DELAYED };

struct lab {
	struct brunt_keep keep;
	struct lab_board *board;
	int board_fd;
	struct sock_filter *filter;
	size_t filter_count;
	unsigned threads;
	pid_t target;
	struct brunt_error err;
};

/* ---- the target ---- */

static struct lab_board *lab_board;
static long lab_parent, lab_uid;
static enum lab_mode lab_mode;

static inline void lab_call(struct lab_thread *thread, long number, long right)
{
	uint64_t begin = brunt_now(), took, quiet;
	long result;

	__atomic_store_n(&thread->begin, begin, __ATOMIC_RELEASE);
	errno = 0;
	result = syscall(number);
	took = brunt_now() - begin;
	quiet = __atomic_load_n(&lab_board->quiet, __ATOMIC_ACQUIRE);
	__atomic_store_n(&thread->begin, 0, __ATOMIC_RELEASE);
	if (took > thread->worst)
		thread->worst = took;
	if (result == -1 && errno == LAB_ERRNO) {
		thread->hits++;
		if (quiet && begin > quiet)
			thread->late++;
	} else if (result != right) {
		thread->wrong++;
		thread->code = result == -1 ? errno : 0;
	}
	__atomic_store_n(&thread->calls, thread->calls + 1, __ATOMIC_RELEASE);
}

static inline bool lab_stops(void)
{
	return __atomic_load_n(&lab_board->stop, __ATOMIC_ACQUIRE);
}

static inline void lab_fork(struct lab_thread *thread)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		lab_parent = syscall(SYS_getppid);
		if (lab_parent == -1 && errno == LAB_ERRNO)
			_exit(0);
		_exit(lab_parent > 0 ? 0 : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		thread->wrong++;
	else
		(void)__atomic_add_fetch(&lab_board->forks, 1, __ATOMIC_RELEASE);
}

static inline void *lab_thread_life(void *opaque)
{
	struct lab_thread *thread = opaque;

	__atomic_store_n(&thread->ready, true, __ATOMIC_RELEASE);
	while (!lab_stops()) {
		if (lab_mode == LAB_DELAYED) {
			lab_call(thread, SYS_getuid, lab_uid);
			continue;
		}
		if (lab_mode == LAB_FORKS && thread == lab_board->threads)
			lab_fork(thread);
		lab_call(thread, SYS_getppid, lab_parent);
	}
	return NULL;
}

/* --target MODE THREADS PARENT */
static inline int lab_target(char **argv)
{
	static pthread_t threads[LAB_THREADS_MAX];
	pthread_attr_t attributes;
	unsigned count = (unsigned)atoi(argv[3]);

	lab_mode = (enum lab_mode)atoi(argv[2]);
	lab_parent = atol(argv[4]);
	lab_uid = (long)getuid();
	lab_board = mmap(NULL, sizeof(*lab_board), PROT_READ | PROT_WRITE, MAP_SHARED, 0, 0);
	if (lab_board == MAP_FAILED || pthread_attr_init(&attributes) ||
	    pthread_attr_setstacksize(&attributes, 64 * 1024))
		return 1;
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&threads[i], &attributes, lab_thread_life, &lab_board->threads[i]))
			return 2;
	for (unsigned i = 0; i < count; i++)
		(void)pthread_join(threads[i], NULL);
	return 0;
}

/* ---- the lab ---- */

/* How much longer things take here: an emulated machine says so (tests/run). */
static inline unsigned lab_slow(void)
{
	const char *factor = getenv("BRUNT_TEST_SLOW");

	return factor && atoi(factor) > 1 ? (unsigned)atoi(factor) : 1;
}

static inline bool lab_within(uint64_t ns, bool (*is)(struct lab *lab), struct lab *lab)
{
	uint64_t until = brunt_now() + ns * lab_slow();

	while (!is(lab)) {
		if (brunt_now() > until)
			return false;
		(void)usleep(500);
	}
	return true;
}

static inline void lab_set(struct brunt_call_set *set, const char *name)
{
	const struct brunt_call *call = brunt_call_find(name);

	if (call)
		brunt_call_set_add(set, brunt_call_index(call));
}

/* getppid fails with LAB_ERRNO. */
static inline struct brunt_call_rule lab_failing(void)
{
	struct brunt_call_rule rule = { .errnos = { LAB_ERRNO }, .errno_count = 1, .probability = 1, .seed = 1 };

	lab_set(&rule.calls, "getppid");
	return rule;
}

/* getuid takes that long. */
static inline struct brunt_call_rule lab_delaying(uint64_t delay)
{
	struct brunt_call_rule rule = { .delay = delay, .probability = 1, .seed = 1 };

	lab_set(&rule.calls, "getuid");
	return rule;
}

static inline bool lab_all_ready(struct lab *lab)
{
	for (unsigned i = 0; i < lab->threads; i++)
		if (!__atomic_load_n(&lab->board->threads[i].ready, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

/*
 * A keeper with two rules: 0 fails getppid, 1 delays getuid. With the longest lease that there is: a machine with much
 * else to do lets it stand still for a while, and it is not to be taken for dead.
 */
static inline int lab_open(struct lab *lab, uint64_t delay)
{
	struct brunt_call_rule failing = lab_failing(), delaying = lab_delaying(delay);
	struct brunt_identity identity;
	int r;

	memset(lab, 0, sizeof(*lab));
	lab->keep = (struct brunt_keep)BRUNT_KEEP_NONE;
	lab->board_fd = (int)syscall(SYS_memfd_create, "board", 1 /* MFD_CLOEXEC */);
	if (lab->board_fd < 0 || ftruncate(lab->board_fd, sizeof(*lab->board)))
		return -errno;
	lab->board = mmap(NULL, sizeof(*lab->board), PROT_READ | PROT_WRITE, MAP_SHARED, lab->board_fd, 0);
	if (lab->board == MAP_FAILED)
		return -errno;
	r = brunt_identity_get(&identity, &lab->err);
	r = r ?: brunt_keep_start(&identity, BRUNT_S, &lab->keep, &lab->err);
	if (r)
		return r;
	r = brunt_keep_add(&lab->keep, &failing, &lab->err);
	r = r < 0 ? r : brunt_keep_add(&lab->keep, &delaying, &lab->err);
	return r < 0 ? r : brunt_keep_filter(&lab->keep, &lab->filter, &lab->filter_count, &lab->err);
}

static inline int lab_wrap(struct lab *lab, char *const *argv, const char *cwd, pid_t *ret_pid)
{
	const struct sock_fprog program = { .len = (unsigned short)lab->filter_count, .filter = lab->filter };
	const struct brunt_wrap wrap = {
		.argv = argv,
		.cwd = cwd,
		.stdio = { lab->board_fd, -1, -1 },
		.dies_with_caller = true,
		.filter = &program,
		.keep = &lab->keep,
		.rules = 7, /* a third one may be added */
	};

	lab->err = (struct brunt_error){ 0 };
	return brunt_wrap_start(&wrap, ret_pid, &lab->err);
}

static inline int lab_run(struct lab *lab, enum lab_mode mode, unsigned threads)
{
	char how[8], count[8], parent[16];
	char *argv[] = { "/proc/self/exe", "--target", how, count, parent, NULL };
	int r;

	(void)snprintf(how, sizeof(how), "%d", (int)mode);
	(void)snprintf(count, sizeof(count), "%u", threads);
	(void)snprintf(parent, sizeof(parent), "%d", (int)getpid());
	lab->threads = threads;
	r = lab_wrap(lab, argv, NULL, &lab->target);
	if (r)
		return r;
	return lab_within(20 * BRUNT_S, lab_all_ready, lab) ? 0 : -ETIMEDOUT;
}

/* ---- what the target says ---- */

struct lab_sum {
	uint64_t calls, hits, wrong, late, worst;
	int code;
	bool dead; /* it did not live, or did not end when it was told to */
};

/* The longest call, also of those that are being made. */
static inline struct lab_sum lab_sum(struct lab *lab)
{
	struct lab_sum sum = { 0 };
	uint64_t now = brunt_now();

	for (unsigned i = 0; i < lab->threads; i++) {
		const struct lab_thread *thread = &lab->board->threads[i];
		uint64_t begin = __atomic_load_n(&thread->begin, __ATOMIC_ACQUIRE), worst = thread->worst;

		if (begin && now > begin && now - begin > worst)
			worst = now - begin;
		sum.calls += __atomic_load_n(&thread->calls, __ATOMIC_ACQUIRE);
		sum.hits += thread->hits;
		sum.wrong += thread->wrong;
		sum.late += thread->late;
		sum.worst = worst > sum.worst ? worst : sum.worst;
		sum.code = thread->wrong ? thread->code : sum.code;
	}
	return sum;
}

static uint64_t lab_marks[LAB_THREADS_MAX];

static inline void lab_mark(struct lab *lab)
{
	for (unsigned i = 0; i < lab->threads; i++)
		lab_marks[i] = __atomic_load_n(&lab->board->threads[i].calls, __ATOMIC_ACQUIRE);
}

/* Since lab_mark() each thread has made two calls from begin to end, at least. */
static inline bool lab_has_moved(struct lab *lab)
{
	for (unsigned i = 0; i < lab->threads; i++)
		if (__atomic_load_n(&lab->board->threads[i].calls, __ATOMIC_ACQUIRE) < lab_marks[i] + 2)
			return false;
	return true;
}

/* From now on calls come back; how long that took, in ns, at most limit. */
static inline uint64_t lab_resumes(struct lab *lab, uint64_t limit)
{
	uint64_t begin = brunt_now();

	lab_mark(lab);
	(void)lab_within(limit, lab_has_moved, lab);
	return brunt_now() - begin;
}

static inline bool lab_is_idle(struct lab *lab)
{
	return brunt_keep_is_idle(&lab->keep);
}

/* The letter for its state (proc(5)); 'X' when there is no such process. */
static inline char lab_state(pid_t pid)
{
	char path[32], text[256], state = 'X';
	const char *at;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file && fgets(text, sizeof(text), file)) {
		at = strrchr(text, ')');
		state = at && at[1] ? at[2] : 'X';
	}
	if (file)
		(void)fclose(file);
	return state;
}

/* Is there such a process, and not as a zombie? */
static inline bool lab_lives(pid_t pid)
{
	return lab_state(pid) != 'Z' && lab_state(pid) != 'X';
}

/* After SIGSTOP: a process does not stop at once. Who saw that may have killed it by now. */
static inline bool lab_stands(pid_t pid, uint64_t within)
{
	uint64_t until = brunt_now() + within * lab_slow();

	while (lab_state(pid) != 'T' && lab_lives(pid)) {
		if (brunt_now() > until)
			return false;
		(void)usleep(200);
	}
	return true;
}

static inline bool lab_gone(pid_t pid, uint64_t within)
{
	uint64_t until = brunt_now() + within * lab_slow();

	while (lab_lives(pid)) {
		if (brunt_now() > until)
			return false;
		(void)usleep(1000);
	}
	return true;
}

static inline void lab_arm(struct lab *lab, unsigned rule, uint64_t ns)
{
	__atomic_store_n(&lab->board->quiet, 0, __ATOMIC_RELEASE);
	brunt_keep_arm(&lab->keep, rule, brunt_now() + ns);
}

/* What the target has seen; it has ended then. */
static inline struct lab_sum lab_end_target(struct lab *lab, uint64_t limit)
{
	uint64_t until = brunt_now() + limit * lab_slow();
	struct lab_sum sum;
	int status = 0;
	pid_t r;

	__atomic_store_n(&lab->board->stop, 1, __ATOMIC_RELEASE);
	while ((r = waitpid(lab->target, &status, WNOHANG)) == 0 && brunt_now() < until)
		(void)usleep(500);
	sum = lab_sum(lab);
	sum.dead = r != lab->target || status;
	if (!r) {
		(void)kill(lab->target, SIGKILL);
		(void)waitpid(lab->target, NULL, 0);
	}
	lab->target = 0;
	return sum;
}

/* Keeper and guardian end when they have nobody any more. */
static inline void lab_close(struct lab *lab)
{
	if (lab->target) {
		(void)kill(lab->target, SIGKILL);
		(void)waitpid(lab->target, NULL, 0);
	}
	if (lab->keep.shared)
		brunt_keep_leave(&lab->keep);
	free(lab->filter);
	if (lab->board && lab->board != MAP_FAILED)
		(void)munmap(lab->board, sizeof(*lab->board));
	if (lab->board_fd > 0)
		(void)close(lab->board_fd);
	*lab = (struct lab){ .keep = BRUNT_KEEP_NONE };
}
