/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn ROUNDS COMMAND... [:: COMMAND...]: runs the commands in turn, ROUNDS times each, and prints for each the median
 * of its wall time in microseconds and of its peak resident memory in kB. One process of a few hundred kB, so that
 * ru_maxrss, which a fork inherits from its parent, is the command's own.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 8
#define ROUNDS_MAX 1000


static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	return values[count / 2];
}

static void once(char **argv, double *time, double *memory)
{
	struct rusage usage;
	int status;
	double begin = now_us();
	pid_t pid = vfork();

	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || !WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "spawn: '%s' failed\n", argv[0]);
		exit(1);
	}
	*time = now_us() - begin;
	*memory = (double)usage.ru_maxrss;
}

int main(int argc, char **argv)
{
	static double times[COMMANDS_MAX][ROUNDS_MAX], memories[COMMANDS_MAX][ROUNDS_MAX];
	char **commands[COMMANDS_MAX];
	int count = 0, rounds = argc > 2 ? atoi(argv[1]) : 0;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	commands[count++] = argv + 2;
	for (int i = 2; i < argc && count < COMMANDS_MAX; i++)
		if (!strcmp(argv[i], "::")) {
			argv[i] = NULL;
			commands[count++] = argv + i + 1;
		}
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < count; i++)
			once(commands[i], &times[i][round], &memories[i][round]);
	for (int i = 0; i < count; i++)
		printf("%.0f %.0f\n", median(times[i], rounds), median(memories[i], rounds));
	return 0;
}
