/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn ROUNDS COMMAND... [:: COMMAND...]: runs the commands in turn, ROUNDS times each. Prints a line per round: for
 * each command its wall time in microseconds, from before vfork() until it was waited for, and its peak resident memory
 * in kB. One small process, because the memory of a child (ru_maxrss) is never told as less than what its parent had.
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

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void once(char **argv, double *time, double *memory, double *cpu)
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
	*cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
	char **commands[COMMANDS_MAX];
	int count = 0, rounds = argc > 2 ? atoi(argv[1]) : 0;

	if (rounds < 1)
		return 2;
	commands[count++] = argv + 2;
	for (int i = 2; i < argc && count < COMMANDS_MAX; i++)
		if (!strcmp(argv[i], "::")) {
			argv[i] = NULL;
			commands[count++] = argv + i + 1;
		}
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < count; i++) {
			double time, memory, cpu;

			once(commands[i], &time, &memory, &cpu);
			printf("%.0f %.0f %.0f ", time, memory, cpu);
		}
		putchar('\n');
	}
	return 0;
}
