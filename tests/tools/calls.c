/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one system call again and again, and says how long each took.
 *
 *   calls NAME COUNT [ROUNDS]
 *
 * NAME: getppid, getuid, read (of one byte of /dev/null, by the C library's function). One line:
 * "NAME median_ns min_ns failed", the median of ROUNDS (5) rounds of COUNT calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	long number = -1, count = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	int fd = -1;
	int rounds = argc > 3 ? atoi(argv[3]) : 5;
	double each[100];
	long failed = 0;
	char byte;

	if (argc > 1 && !strcmp(argv[1], "getppid"))
		number = SYS_getppid;
	if (argc > 1 && !strcmp(argv[1], "getuid"))
		number = SYS_getuid;
	if (argc > 1 && !strcmp(argv[1], "read")) {
		number = SYS_read;
		fd = open("/dev/null", O_RDONLY);
	}
	if (number < 0 || count < 1 || rounds < 1 || rounds > 100) {
		(void)fprintf(stderr, "usage: calls getppid|getuid|read COUNT [ROUNDS]\n");
		return 2;
	}
	for (int round = 0; round < rounds; round++) {
		uint64_t begin = now();

		for (long i = 0; i < count; i++)
			failed += (fd >= 0 ? read(fd, &byte, 1) : syscall(number)) < 0;
		each[round] = (double)(now() - begin) / (double)count;
	}
	qsort(each, (size_t)rounds, sizeof(*each), compare);
	printf("%s %.1f %.1f %ld\n", argv[1], each[rounds / 2], each[0], failed);
	return 0;
}
