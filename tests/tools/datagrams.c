/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagrams serve PORT ADDRESS...       answers every datagram with itself; the addresses need not be there yet
 * datagrams send HOST PORT COUNT INTERVAL_US SIZE [WAIT_MS [MARK [PRIORITY]]]
 *
 * Numbered datagrams, evenly spaced; tells what came back: how many were sent, lost, came twice, came later than one
 * that was sent after them, and round-trip times in milliseconds. Waits WAIT_MS (8000) for the last ones.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/units.h"

#define SIZE_MAX_HERE 65507
#define ADDRESSES_MAX 16

static unsigned char bytes[SIZE_MAX_HERE];

struct packet {
	uint64_t number, at;
};

static struct answers {
	size_t count, sent, got, twice, late;
	double *times; /* ms; -1: none */
	uint64_t newest;
} answers;

static int make_socket(int family)
{
	int size = 8 << 20, fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

/* false: not an address */
static bool read_address(const char *host, const char *port, struct sockaddr_storage *ret, socklen_t *ret_size)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)atoi(port));
		*ret_size = sizeof(*six);
		return true;
	}
	four->sin_family = AF_INET;
	four->sin_port = htons((uint16_t)atoi(port));
	*ret_size = sizeof(*four);
	return inet_pton(AF_INET, host, &four->sin_addr) == 1;
}

static int listen_at(const char *host, const char *port)
{
	struct sockaddr_storage self;
	socklen_t size = 0;
	int fd, on = 1;

	if (!read_address(host, port, &self, &size))
		return -1;
	fd = make_socket(self.ss_family);
	if (self.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	else
		(void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&self, size) ? -1 : fd;
}

static void answer(int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	ssize_t size = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&peer, &length);

	if (size > 0)
		(void)sendto(fd, bytes, (size_t)size, 0, (struct sockaddr *)&peer, length);
}

static int serve(int count, char **arguments)
{
	struct pollfd events[ADDRESSES_MAX];
	nfds_t used = 0;

	for (int i = 1; i < count && used < ADDRESSES_MAX; i++) {
		events[used] = (struct pollfd){ .fd = listen_at(arguments[i], arguments[0]), .events = POLLIN };
		if (events[used++].fd < 0) {
			perror(arguments[i]);
			return 1;
		}
	}
	while (poll(events, used, -1) > 0)
		for (nfds_t i = 0; i < used; i++)
			if (events[i].revents)
				answer(events[i].fd);
	return 1;
}

static void take(int fd)
{
	struct packet packet;

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) >= (ssize_t)sizeof(packet)) {
		memcpy(&packet, bytes, sizeof(packet));
		if (packet.number >= answers.count)
			continue;
		if (answers.times[packet.number] >= 0) {
			answers.twice++;
			continue;
		}
		answers.times[packet.number] = (double)(brunt_now() - packet.at) / BRUNT_MS;
		answers.got++;
		answers.late += packet.number < answers.newest;
		if (packet.number > answers.newest)
			answers.newest = packet.number;
	}
}

static void wait_until(int fd, uint64_t until)
{
	struct pollfd event = { .fd = fd, .events = POLLIN };

	for (uint64_t now = brunt_now(); now < until && answers.got < answers.count; now = brunt_now()) {
		struct timespec left = { .tv_sec = (time_t)((until - now) / BRUNT_S),
					 .tv_nsec = (long)((until - now) % BRUNT_S) };

		(void)ppoll(&event, 1, &left, NULL);
		take(fd);
	}
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void tell(void)
{
	size_t lost = answers.count - answers.got;
	const double *got = answers.times + lost;

	qsort(answers.times, answers.count, sizeof(*answers.times), compare);
	printf("sent %zu got %zu lost %zu twice %zu late %zu", answers.count, answers.got, lost, answers.twice,
	       answers.late);
	if (answers.got)
		printf(" min %.3f median %.3f max %.3f", got[0], got[answers.got / 2], got[answers.got - 1]);
	printf("\n");
}

static int connect_to(const char *host, const char *port)
{
	struct sockaddr_storage to;
	socklen_t length = 0;
	int fd;

	if (!read_address(host, port, &to, &length)) {
		fprintf(stderr, "'%s' is no address\n", host);
		exit(2);
	}
	fd = make_socket(to.ss_family);
	if (connect(fd, (struct sockaddr *)&to, length)) {
		perror("connect");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	uint64_t begin, interval;
	size_t size;
	int fd, value;

	if (argc > 3 && !strcmp(argv[1], "serve"))
		return serve(argc - 2, argv + 2);
	if (argc < 7 || strcmp(argv[1], "send")) {
		fprintf(stderr,
			"usage: datagrams serve PORT ADDRESS... | send HOST PORT COUNT INTERVAL_US SIZE [WAIT_MS ...]\n");
		return 2;
	}
	fd = connect_to(argv[2], argv[3]);
	answers.count = strtoul(argv[4], NULL, 10);
	interval = strtoull(argv[5], NULL, 10) * BRUNT_US;
	size = strtoul(argv[6], NULL, 10);
	if (size < sizeof(struct packet) || size > sizeof(bytes))
		return 2;
	value = argc > 8 ? (int)strtoul(argv[8], NULL, 0) : 0;
	if (value && setsockopt(fd, SOL_SOCKET, SO_MARK, &value, sizeof(value)))
		perror("SO_MARK");
	value = argc > 9 ? (int)strtoul(argv[9], NULL, 0) : 0;
	if (value && setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &value, sizeof(value)))
		perror("SO_PRIORITY");
	answers.times = calloc(answers.count + 1, sizeof(*answers.times));
	if (!answers.times)
		return 1;
	for (size_t i = 0; i < answers.count; i++)
		answers.times[i] = -1;
	begin = brunt_now();
	for (size_t i = 0; i < answers.count; i++) {
		struct packet packet = { .number = i, .at = brunt_now() };

		memcpy(bytes, &packet, sizeof(packet));
		(void)send(fd, bytes, size, 0);
		wait_until(fd, begin + (i + 1) * interval);
		take(fd);
	}
	wait_until(fd, brunt_now() + (argc > 7 ? strtoull(argv[7], NULL, 10) : 8000) * BRUNT_MS);
	tell();
	return 0;
}
