/* SPDX-License-Identifier: Apache-2.0 */
/*
 * killtime PORT PIDFILE: a victim with a UDP socket (its pid goes to PIDFILE) and a prober that sends it a packet every
 * 50 microseconds. For each line "PID..." on stdin: waits until no packet arrives, kills those processes with SIGKILL
 * and prints how many microseconds it took until a packet arrived again, and how many a plain sleeping process takes to
 * die. Prober and victim run under SCHED_FIFO where that is allowed: how long they themselves wait for a CPU is no part
 * of the figure.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long *arrived;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void pause_us(long us)
{
	struct timespec t = { .tv_nsec = us * 1000 };

	nanosleep(&t, NULL);
}

static void victim(const struct sockaddr_in *at)
{
	int rx = socket(AF_INET, SOCK_DGRAM, 0);
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (bind(rx, (const struct sockaddr *)at, sizeof(*at)))
		_exit(1);
	for (;;)
		if (recv(rx, &byte, 1, 0) == 1)
			(*arrived)++;
}

static int probe(int tx, long us)
{
	unsigned long before = *arrived;

	(void)!send(tx, "x", 1, 0);
	pause_us(us);
	return *arrived != before;
}

/* The floor: a process that holds nothing, killed and waited for. */
static double plain_death(void)
{
	struct sched_param none = { 0 };
	double begin;
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		(void)sched_setscheduler(0, SCHED_OTHER, &none);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	(void)!read(ready[0], &byte, 1);
	pause_us(20000);
	begin = now_us();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	begin = now_us() - begin;
	close(ready[0]);
	close(ready[1]);
	return begin;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char line[256];
	pid_t pid;
	FILE *file;
	int tx;

	if (argc < 3)
		return 2;
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	(void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	arrived = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = fork();
	if (!pid)
		victim(&at);
	file = fopen(argv[2], "w");
	if (!file)
		return 1;
	fprintf(file, "%d\n", pid);
	fclose(file);
	prctl(PR_SET_TIMERSLACK, 1UL);
	tx = socket(AF_INET, SOCK_DGRAM, 0);
	if (connect(tx, (struct sockaddr *)&at, sizeof(at)))
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		double begin;
		int quiet = 0;

		for (int i = 0; i < 40000 && quiet < 20; i++)
			quiet = probe(tx, 500) ? 0 : quiet + 1;
		if (quiet < 20) {
			puts("-1 -1");
			fflush(stdout);
			continue;
		}
		begin = now_us();
		for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n"))
			kill(atoi(word), SIGKILL);
		while (!probe(tx, 50) && now_us() - begin < 5e6)
			;
		begin = now_us() - begin;
		printf("%.0f %.0f\n", begin, plain_death());
		fflush(stdout);
	}
	kill(pid, SIGKILL);
	return 0;
}
