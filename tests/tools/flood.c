/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood udp|tcp PORT SECONDS [CGROUP]: sends as fast as one core can to 127.0.0.1:PORT, and prints what arrived: UDP
 * packets a second that were sent (small, 18 bytes), TCP bytes a second that were received. With CGROUP both ends live in
 * that cgroup (a directory), so that programs attached to it see every packet.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void join(const char *cgroup)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(path);
	close(fd);
}

static double udp(const struct sockaddr_in *to, double seconds)
{
	int rx = socket(AF_INET, SOCK_DGRAM, 0), tx = socket(AF_INET, SOCK_DGRAM, 0), small = 4096;
	char payload[18] = { 0 };
	struct iovec iov = { payload, sizeof(payload) };
	struct mmsghdr messages[BATCH];
	unsigned long sent = 0;
	double begin, took;

	/* A full, small receive buffer: the receiver's own cost stays out of the figure. */
	setsockopt(rx, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(rx, (const struct sockaddr *)to, sizeof(*to)) || connect(tx, (const struct sockaddr *)to, sizeof(*to)))
		die("udp");
	memset(messages, 0, sizeof(messages));
	for (int i = 0; i < BATCH; i++) {
		messages[i].msg_hdr.msg_iov = &iov;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	begin = now();
	do {
		for (int i = 0; i < 16; i++) {
			int n = sendmmsg(tx, messages, BATCH, 0);

			if (n < 0)
				die("sendmmsg");
			sent += (unsigned long)n;
		}
		took = now() - begin;
	} while (took < seconds);
	return (double)sent / took;
}

static double tcp(const struct sockaddr_in *to, double seconds)
{
	static char buffer[256 * 1024];
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	unsigned long received = 0;
	double begin, took;
	pid_t sender;
	int in;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (const struct sockaddr *)to, sizeof(*to)) || listen(listener, 1))
		die("listen");
	sender = fork();
	if (!sender) {
		int out = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(out, (const struct sockaddr *)to, sizeof(*to)))
			die("connect");
		while (write(out, buffer, sizeof(buffer)) > 0)
			;
		_exit(0);
	}
	in = accept(listener, NULL, NULL);
	begin = now();
	do {
		ssize_t n = read(in, buffer, sizeof(buffer));

		if (n <= 0)
			break;
		received += (unsigned long)n;
		took = now() - begin;
	} while (took < seconds);
	took = now() - begin;
	kill(sender, SIGKILL);
	waitpid(sender, NULL, 0);
	return (double)received / took;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (argc < 4)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	if (argc > 4)
		join(argv[4]);
	printf("%.0f\n", strcmp(argv[1], "tcp") ? udp(&to, atof(argv[3])) : tcp(&to, atof(argv[3])));
	return 0;
}
