/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one system call again and again, as the kernel's own interface has it (no C library between), and says what came of it.
 *
 *   asker [-t THREADS] [-f FORKS] [-e] [-p] [-d] COUNT
 *
 * The call is fsync(-1), which by itself fails with EBADF: everything else is somebody's doing. One line for each result and
 * how often it was seen, most numbers first: "EIO 103". -p prints one letter for each call instead: "." for EBADF, or the
 * first letter after the E. -d: the microseconds that calls took: "min M p10 p25 median p75 p90 max". -t: as many threads,
 * each COUNT calls; -f: as many processes, one after the other, each COUNT calls; -e: each call by fdatasync.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long count;
static long number = SYS_fsync;
static int *results; /* shared: one for each call */
static uint64_t *took;

static uint64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void *ask(void *from)
{
	long base = (long)(intptr_t)from;

	for (long i = base; i < base + count; i++) {
		uint64_t begin = now();
		long rc = syscall(number, -1);

		took[i] = now() - begin;
		results[i] = rc ? errno : 0;
	}
	return NULL;
}

static void *shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("asker: mmap");
		exit(2);
	}
	return memory;
}

static void print_counts(long total)
{
	static long seen[4096];

	for (long i = 0; i < total; i++)
		seen[results[i]]++;
	for (int code = 0; code < 4096; code++)
		if (seen[code])
			(void)printf("%s %ld\n", code ? strerrorname_np(code) : "0", seen[code]);
}

static void print_pattern(long total)
{
	for (long i = 0; i < total; i++)
		(void)putchar(results[i] == EBADF ? '.' : results[i] ? strerrorname_np(results[i])[1] : '0');
	(void)putchar('\n');
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_times(long total)
{
	const int parts[] = { 0, 10, 25, 50, 75, 90, 100 };

	qsort(took, (size_t)total, sizeof(*took), compare);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		(void)printf("%llu%s", (unsigned long long)took[(total - 1) * parts[i] / 100] / 1000,
			     parts[i] == 100 ? "\n" : " ");
}

static void fork_each(int forks)
{
	for (int i = 0; i < forks; i++) {
		pid_t pid = fork();

		if (pid < 0)
			exit(2);
		if (!pid) {
			(void)ask((void *)(intptr_t)(i * count));
			_exit(0);
		}
		(void)waitpid(pid, NULL, 0);
	}
}

static void thread_each(int threads)
{
	pthread_t each[256];

	for (int i = 0; i < threads; i++)
		if (pthread_create(&each[i], NULL, ask, (void *)(intptr_t)(i * count)))
			exit(2);
	for (int i = 0; i < threads; i++)
		(void)pthread_join(each[i], NULL);
}

int main(int argc, char **argv)
{
	int threads = 0, forks = 0, option;
	char as = 'c';
	long total;

	while ((option = getopt(argc, argv, "t:f:epd")) != -1) {
		switch (option) {
		case 't':
			threads = atoi(optarg);
			break;
		case 'f':
			forks = atoi(optarg);
			break;
		case 'e':
			number = SYS_fdatasync;
			break;
		case 'p':
		case 'd':
			as = (char)option;
			break;
		default:
			return 2;
		}
	}
	count = optind < argc ? strtol(argv[optind], NULL, 10) : 0;
	if (count < 1 || threads > 256) {
		(void)fprintf(stderr, "usage: asker [-t THREADS] [-f FORKS] [-e] [-p] [-d] COUNT\n");
		return 2;
	}
	total = count * (threads ? threads : forks ? forks : 1);
	results = shared((size_t)total * sizeof(*results));
	took = shared((size_t)total * sizeof(*took));
	if (threads)
		thread_each(threads);
	else if (forks)
		fork_each(forks);
	else
		(void)ask(NULL);
	if (as == 'p')
		print_pattern(total);
	else if (as == 'd')
		print_times(total);
	else
		print_counts(total);
	return 0;
}
