/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood WAY [:: WAY]...     a WAY is: CGROUP HOOKS SETUP COUNT
 *
 * What a packet costs, several ways side by side. Each way is a process of its own in CGROUP ("-": where flood is), in
 * a fresh network namespace with loopback up, in which the shell command SETUP was run; with HOOKS "empty" a BPF
 * program that only says "pass" hangs on both directions of the cgroup. Nothing is switched on or off between
 * measurements, so that they can alternate within milliseconds and what else runs on the machine hits all alike.
 *
 * For each line "KIND COUNT" on stdin all ways do one slice, in another order each time, and one line tells
 * "NS SENT ARRIVED" for each way, in the order of the arguments: nanoseconds for one of
 *   udp    a packet with 18 bytes of payload, sent and received by one process in batches of 64: nothing is lost for
 * want of room, so what did not arrive was dropped on purpose tcp    a MiB of one TCP stream, written and read by one
 * process rr     a request and its answer, one byte each, over TCP At the end of stdin each way's COUNT command (of its
 * firewall's counters) is run, and its output printed.
 *
 * The ways run on one CPU, under SCHED_FIFO where that is allowed: other load then is seen as noise in memory and
 * caches, not as waiting for the CPU.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH	 64
#define WARM_UP	 (4 * BATCH)
#define WAYS_MAX 32
#define PORT	 18472

struct order {
	char kind[8];
	unsigned long count;
};

struct result {
	double ns;
	unsigned long sent, arrived;
};

struct way {
	const char *cgroup, *hooks, *setup, *count;
	int orders, results; /* pipes */
	struct result result;
	pid_t pid;
};

struct sockets {
	int udp_out, udp_in, tcp_out, tcp_in;
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

__attribute__((noreturn)) static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- a way's surroundings ---- */

/* A socket belongs to the cgroup in which it was made. The list names one cgroup for both ends, or one for each. */
static void join(const char *list, bool receiver)
{
	const char *comma = strchr(list, ',');
	const char *name = comma && receiver ? comma + 1 : list;
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%.*s/cgroup.procs", (int)strcspn(name, ","), name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(path);
	close(fd);
}

static void hang_empty(const char *list, enum bpf_attach_type type)
{
	char cgroup[512];

	/* r0 = 1; exit */
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;
	int program;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_SKB;
	attr.expected_attach_type = type;
	attr.insns = (unsigned long)pass;
	attr.insn_cnt = 2;
	attr.license = (unsigned long)"GPL";
	program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (program < 0)
		die("BPF_PROG_LOAD");
	snprintf(cgroup, sizeof(cgroup), "%.*s", (int)strcspn(list, ","), list);
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (unsigned)program;
	attr.link_create.target_fd = (unsigned)open(cgroup, O_RDONLY | O_DIRECTORY);
	attr.link_create.attach_type = type;
	/* The link lives as long as this process. */
	if (syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)) < 0)
		die("BPF_LINK_CREATE");
}

static void own_network(const char *setup)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (ioctl(fd, SIOCSIFFLAGS, &lo))
		die("lo");
	close(fd);
	if (setup[0] && system(setup)) {
		fprintf(stderr, "flood: '%s' failed\n", setup);
		exit(1);
	}
}

static void take_cpu(void)
{
	struct sched_param low = { .sched_priority = 1 };
	cpu_set_t allowed, last;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	CPU_ZERO(&last);
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && !CPU_COUNT(&last); cpu--)
		if (CPU_ISSET(cpu, &allowed))
			CPU_SET(cpu, &last);
	sched_setaffinity(0, sizeof(last), &last);
	if (sched_setscheduler(0, SCHED_FIFO, &low))
		fputs("flood: SCHED_FIFO is not allowed here: the figures are noisier\n", stderr);
}

static int stream(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1, size = 512 * 1024;

	/* Sizes that the kernel does not tune: what it makes of a connection's past would differ from way to way. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static struct sockets open_sockets(const char *cgroup)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons(PORT) };
	struct sockets s;
	int listener;

	join(cgroup, true);
	s.udp_in = socket(AF_INET, SOCK_DGRAM, 0);
	listener = stream();
	if (bind(s.udp_in, (struct sockaddr *)&at, sizeof(at)) || bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(listener, 1))
		die("receiver");
	join(cgroup, false);
	s.udp_out = socket(AF_INET, SOCK_DGRAM, 0);
	s.tcp_out = stream();
	if (connect(s.udp_out, (struct sockaddr *)&at, sizeof(at)) ||
	    connect(s.tcp_out, (struct sockaddr *)&at, sizeof(at)))
		die("sender");
	s.tcp_in = accept(listener, NULL, NULL);
	return s;
}

/* ---- slices ---- */

static void udp_batches(const struct sockets *s, unsigned long count, struct result *result)
{
	static char payload[18], buffer[BATCH][64];
	static struct mmsghdr out[BATCH], in[BATCH];
	static struct iovec out_part = { payload, sizeof(payload) }, in_part[BATCH];

	for (int i = 0; i < BATCH; i++) {
		in_part[i] = (struct iovec){ buffer[i], sizeof(buffer[i]) };
		out[i].msg_hdr = (struct msghdr){ .msg_iov = &out_part, .msg_iovlen = 1 };
		in[i].msg_hdr = (struct msghdr){ .msg_iov = &in_part[i], .msg_iovlen = 1 };
	}
	for (unsigned long done = 0; done < count; done += BATCH) {
		int n;

		/* iptables' DROP on the way out is told to the sender: the call ends there, with EPERM if at its begin.
		 */
		for (int sent = 0; sent < BATCH; sent += n + 1) {
			n = sendmmsg(s->udp_out, out, (unsigned)(BATCH - sent), 0);
			if (n < 0 && errno != EPERM)
				die("sendmmsg");
			if (n < 0)
				n = 0;
		}
		result->sent += BATCH;
		n = recvmmsg(s->udp_in, in, BATCH, MSG_DONTWAIT, NULL);
		result->arrived += n > 0 ? (unsigned long)n : 0;
	}
}

static void tcp_stream(const struct sockets *s, unsigned long bytes, struct result *result)
{
	static char buffer[128 * 1024];
	unsigned long sent = 0, arrived = 0;

	while (arrived < bytes) {
		size_t most = bytes - sent < sizeof(buffer) ? bytes - sent : sizeof(buffer);
		ssize_t n = most ? send(s->tcp_out, buffer, most, MSG_DONTWAIT) : 0;

		if (n < 0 && errno != EAGAIN)
			die("send");
		sent += n > 0 ? (unsigned long)n : 0;
		n = recv(s->tcp_in, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			die("recv");
		arrived += n > 0 ? (unsigned long)n : 0;
	}
	result->sent += sent;
	result->arrived += arrived;
}

static void tcp_answers(const struct sockets *s, unsigned long count, struct result *result)
{
	char byte = 0;

	for (unsigned long i = 0; i < count; i++) {
		if (send(s->tcp_out, &byte, 1, 0) != 1 || recv(s->tcp_in, &byte, 1, 0) != 1 ||
		    send(s->tcp_in, &byte, 1, 0) != 1 || recv(s->tcp_out, &byte, 1, 0) != 1)
			die("request and answer");
	}
	result->sent += count;
	result->arrived += count;
}

static struct result slice(const struct sockets *s, const struct order *order)
{
	struct result result = { 0 }, warm_up = { 0 };
	double begin;

	switch (order->kind[0]) {
	case 'u':
		udp_batches(s, WARM_UP, &warm_up);
		begin = now_ns();
		udp_batches(s, order->count, &result);
		result.ns = (now_ns() - begin) / (double)result.sent;
		/* Every packet that was sent is told, and every one that arrived. */
		result.sent += warm_up.sent;
		result.arrived += warm_up.arrived;
		break;
	case 't':
		tcp_stream(s, 1 << 20, &warm_up);
		begin = now_ns();
		tcp_stream(s, order->count << 20, &result);
		result.ns = (now_ns() - begin) / (double)order->count;
		break;
	default:
		tcp_answers(s, BATCH, &warm_up);
		begin = now_ns();
		tcp_answers(s, order->count, &result);
		result.ns = (now_ns() - begin) / (double)order->count;
	}
	return result;
}

static void work(const struct way *way, int orders, int results)
{
	struct sockets sockets;
	struct order order;
	char ready = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	own_network(way->setup);
	if (!strcmp(way->hooks, "empty")) {
		hang_empty(way->cgroup, BPF_CGROUP_INET_EGRESS);
		hang_empty(way->cgroup, BPF_CGROUP_INET_INGRESS);
	}
	sockets = open_sockets(way->cgroup);
	take_cpu();
	(void)!write(results, &ready, 1);
	while (read(orders, &order, sizeof(order)) == sizeof(order)) {
		struct result result = slice(&sockets, &order);

		if (write(results, &result, sizeof(result)) != sizeof(result))
			_exit(1);
	}
	if (way->count[0] && system(way->count))
		_exit(1);
	_exit(0);
}

/* ---- all ways ---- */

static void start(struct way *ways, int count, int index)
{
	int orders[2], results[2];
	char ready;

	if (pipe(orders) || pipe(results))
		die("pipe");
	ways[index].pid = fork();
	if (!ways[index].pid) {
		/* The orders of its elders end when the parent says so, and not only when this one ends, too. */
		for (int i = 0; i < index; i++)
			close(ways[i].orders);
		close(orders[1]);
		work(&ways[index], orders[0], results[1]);
	}
	close(orders[0]);
	close(results[1]);
	ways[index].orders = orders[1];
	ways[index].results = results[0];
	if (read(results[0], &ready, 1) != 1) {
		fprintf(stderr, "flood: way %d of %d does not start\n", index + 1, count);
		exit(1);
	}
}

static void round_of(struct way *ways, int count, const struct order *order)
{
	int turn[WAYS_MAX];

	for (int i = 0; i < count; i++)
		turn[i] = i;
	for (int i = count - 1; i > 0; i--) {
		int j = (int)(random() % (i + 1)), swap = turn[i];

		turn[i] = turn[j];
		turn[j] = swap;
	}
	for (int i = 0; i < count; i++) {
		struct way *way = &ways[turn[i]];

		if (write(way->orders, order, sizeof(*order)) != sizeof(*order) ||
		    read(way->results, &way->result, sizeof(way->result)) != sizeof(way->result)) {
			fprintf(stderr, "flood: way %d died\n", turn[i] + 1);
			exit(1);
		}
		/* Others want this CPU, too; and the kernel takes it from SCHED_FIFO when it never pauses. */
		usleep(1000);
	}
	for (int i = 0; i < count; i++)
		printf("%.2f %lu %lu ", ways[i].result.ns, ways[i].result.sent, ways[i].result.arrived);
	putchar('\n');
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct way ways[WAYS_MAX];
	struct order order;
	int count = 0, failed = 0;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i + 4 <= argc && count < WAYS_MAX; i += 5) {
		ways[count] = (struct way){
			.cgroup = argv[i], .hooks = argv[i + 1], .setup = argv[i + 2], .count = argv[i + 3]
		};
		count++; /* within the index cppcheck takes it for .count */
		if (i + 4 < argc && strcmp(argv[i + 4], "::"))
			return 2;
	}
	if (!count)
		return 2;
	for (int i = 0; i < count; i++)
		start(ways, count, i);
	memset(&order, 0, sizeof(order));
	while (scanf("%7s %lu", order.kind, &order.count) == 2)
		round_of(ways, count, &order);
	for (int i = 0; i < count; i++) {
		int status;

		close(ways[i].orders);
		if (waitpid(ways[i].pid, &status, 0) != ways[i].pid || status)
			failed = 1;
	}
	return failed;
}
