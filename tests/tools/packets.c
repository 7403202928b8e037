/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packets --to ADDRESS:PORT [OPTION]...     what a path does to packets: UDP with sequence numbers, told as JSON
 *
 *   --from ADDRESS:PORT	the sender's end (default: chosen by the kernel)
 *   --from-ns NS, --to-ns NS	network namespace of either end: a path, a process id, or a name under /run/netns
 *   --count N			packets (1000)
 *   --rate PPS			packets per second (1000); 0: as fast as it goes
 *   --size BYTES		of payload (64); at least 48
 *   --flows N			that many source ports, in turn (1)
 *   --wait MS			the receiver ends after that long without a packet (1000)
 *   --ect			packets are ECN-capable; marks are counted
 *   --checksum			with UDP checksums: a corrupted packet then is lost, and not counted as corrupted
 *   --clock user|kernel	when a packet arrived: when it was read, or when the kernel received it (kernel)
 *   --samples FILE		one line per packet that arrived, in that order: SEQUENCE SENT_NS DELAY_NS FLAGS
 *				(d: seen before, c: corrupted, m: marked, -: none); times are of CLOCK_REALTIME
 *   --listen, --send		only that end; the receiver then takes --count for what was sent, if it is given
 *
 * lost: sequence numbers that never came. duplicated: arrivals beyond the first of a number. reordered: came after a
 * higher number (RFC 4737). overtaking: came before a lower number that also came. corrupted: the payload is not what
 * was sent. refused: the kernel did not take it from the sender (not in sent). overflow: lost in the receiver's own
 * socket: the figures then say nothing. wire_bit_s counts Ethernet's, IP's and UDP's headers, as netem's rate does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAGIC	  0x62726e74u
#define SIZE_MAX_ 65000
#define BATCH	  64
#define FLOWS_MAX 1024

struct header {
	uint32_t magic, run;
	uint64_t sequence[3]; /* of a corrupted packet the majority is believed */
	uint64_t sent;
	uint64_t sum; /* over the packet with this field zero */
};

enum { DUPLICATE = 1, CORRUPT = 2, MARKED = 4 };

struct arrival {
	uint64_t sequence, sent;
	int64_t delay;
	unsigned flags;
};

struct options {
	struct sockaddr_storage to, from;
	const char *from_ns, *to_ns, *samples;
	uint64_t count, rate;
	size_t size;
	unsigned flows, wait_ms;
	bool has_to, has_from, ect, checksum, user_clock, listen, send, has_count;
};

static struct options options = {
	.count = 1000, .rate = 1000, .size = sizeof(struct header), .flows = 1, .wait_ms = 1000
};
static int senders[FLOWS_MAX], receiver = -1;
static struct arrival *arrivals;
static size_t arrived, arrivals_max;
static uint64_t sent, refused, foreign, overflow, begun, ended;
static uint32_t run;
static atomic_bool sender_done;

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "packets: %s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((noreturn)) static void usage(const char *what)
{
	fprintf(stderr, "packets: %s; see the head of tests/tools/packets.c\n", what);
	exit(2);
}

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Every step is a bijection of the state: one flipped bit anywhere always gives another sum. */
static uint64_t sum_of(const unsigned char *data, size_t size)
{
	uint64_t state = 0xcbf29ce484222325u, word;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		size_t left = size - i < sizeof(word) ? size - i : sizeof(word);

		word = 0;
		memcpy(&word, data + i, left);
		state = (state ^ word) * 0x100000001b3u;
		state ^= state >> 32;
	}
	return state;
}

static void fill(unsigned char *data, uint64_t sequence)
{
	struct header header = { .magic = MAGIC, .run = run, .sequence = { sequence, sequence, sequence } };

	memset(data + sizeof(header), (int)(sequence * 31 + 7) & 0xff, options.size - sizeof(header));
	header.sent = now(CLOCK_REALTIME);
	memcpy(data, &header, sizeof(header));
	header.sum = sum_of(data, options.size);
	memcpy(data, &header, sizeof(header));
}

/* ---- sockets ---- */

static void enter(const char *name)
{
	char path[512];
	int fd;

	if (strchr(name, '/'))
		snprintf(path, sizeof(path), "%s", name);
	else if (name[strspn(name, "0123456789")] == '\0')
		snprintf(path, sizeof(path), "/proc/%s/ns/net", name);
	else
		snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(path);
	close(fd);
}

static socklen_t size_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void set(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static int open_socket(const struct sockaddr_storage *bound)
{
	bool v4 = options.to.ss_family == AF_INET;
	int fd = socket(options.to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	/* FORCE goes beyond the system's limit, and needs CAP_NET_ADMIN; the others are for who has it not. */
	set(fd, SOL_SOCKET, SO_SNDBUF, 1 << 26);
	set(fd, SOL_SOCKET, SO_RCVBUF, 1 << 26);
	set(fd, SOL_SOCKET, SO_SNDBUFFORCE, 1 << 26);
	set(fd, SOL_SOCKET, SO_RCVBUFFORCE, 1 << 27);
	set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	if (!options.user_clock)
		set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	set(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVTOS : IPV6_RECVTCLASS, 1);
	if (options.ect)
		set(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, IPTOS_ECN_ECT0);
	if (!options.checksum && v4)
		set(fd, SOL_SOCKET, SO_NO_CHECK, 1);
	if (!options.checksum && !v4) {
		set(fd, IPPROTO_UDP, UDP_NO_CHECK6_TX, 1);
		set(fd, IPPROTO_UDP, UDP_NO_CHECK6_RX, 1);
	}
	if (bound && bind(fd, (const struct sockaddr *)bound, size_of(bound)))
		die("bind");
	return fd;
}

static void open_sockets(void)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (!options.send) {
		if (options.to_ns)
			enter(options.to_ns);
		receiver = open_socket(&options.to);
	}
	if (!options.listen) {
		if (setns(home, CLONE_NEWNET) && options.from_ns)
			die("setns");
		if (options.from_ns)
			enter(options.from_ns);
		for (unsigned i = 0; i < options.flows; i++)
			senders[i] = open_socket(options.has_from ? &options.from : NULL);
	}
	close(home);
}

/* ---- both ends ---- */

static void *send_all(void *unused)
{
	static unsigned char packet[SIZE_MAX_];
	uint64_t start = now(CLOCK_MONOTONIC);

	prctl(PR_SET_TIMERSLACK, 1);
	begun = now(CLOCK_REALTIME);
	for (uint64_t i = 0; i < options.count; i++) {
		if (options.rate) {
			uint64_t due = start + (uint64_t)((double)i * 1e9 / (double)options.rate);
			struct timespec t = { (time_t)(due / 1000000000u), (long)(due % 1000000000u) };

			(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		}
		fill(packet, i);
		if (sendto(senders[i % options.flows], packet, options.size, 0, (struct sockaddr *)&options.to,
			   size_of(&options.to)) == (ssize_t)options.size)
			sent++;
		else if (errno == EPERM || errno == ENOBUFS || errno == EAGAIN || errno == ECONNREFUSED ||
			 errno == ENETUNREACH || errno == EHOSTUNREACH)
			refused++;
		else
			die("sendto");
	}
	ended = now(CLOCK_REALTIME);
	atomic_store(&sender_done, true);
	return unused;
}

static uint64_t majority(const uint64_t *values)
{
	return values[0] == values[1] || values[0] == values[2] ? values[0] : values[1];
}

static void take(unsigned char *data, size_t size, uint64_t when, bool marked)
{
	struct header header;
	struct arrival *arrival = &arrivals[arrived];
	uint64_t sum;

	if (size < sizeof(header) || arrived == arrivals_max) {
		foreign++;
		return;
	}
	memcpy(&header, data, sizeof(header));
	sum = header.sum;
	header.sum = 0;
	memcpy(data, &header, sizeof(header));
	arrival->sequence = majority(header.sequence);
	arrival->flags = (sum == sum_of(data, size) && header.magic == MAGIC ? 0 : CORRUPT) | (marked ? MARKED : 0);
	if ((arrival->sequence >= options.count && !options.listen) || (!arrival->flags && run && header.run != run)) {
		foreign++;
		return;
	}
	arrival->sent = header.sent;
	arrival->delay = (int64_t)(when - header.sent);
	arrived++;
}

static void take_message(struct msghdr *message, size_t size)
{
	uint64_t when = options.user_clock ? now(CLOCK_REALTIME) : 0;
	bool marked = false;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct timespec t;
		uint32_t dropped;
		int class;

		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS && !options.user_clock) {
			memcpy(&t, CMSG_DATA(c), sizeof(t));
			when = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&dropped, CMSG_DATA(c), sizeof(dropped));
			overflow = dropped;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			marked = (*CMSG_DATA(c) & IPTOS_ECN_MASK) == IPTOS_ECN_CE;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			memcpy(&class, CMSG_DATA(c), sizeof(class));
			marked = (class & IPTOS_ECN_MASK) == IPTOS_ECN_CE;
		}
	}
	take(message->msg_iov->iov_base, size, when ? when : now(CLOCK_REALTIME), marked);
}

static void *receive_all(void *unused)
{
	static unsigned char data[BATCH][SIZE_MAX_], control[BATCH][256];
	static struct mmsghdr messages[BATCH];
	static struct iovec parts[BATCH];
	struct pollfd readable = { .fd = receiver, .events = POLLIN };
	uint64_t last = now(CLOCK_MONOTONIC);

	while (now(CLOCK_MONOTONIC) - last < (uint64_t)options.wait_ms * 1000000u) {
		int n;

		(void)poll(&readable, 1, 20);
		for (int i = 0; i < BATCH; i++) {
			parts[i] = (struct iovec){ data[i], sizeof(data[i]) };
			messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i],
							       .msg_iovlen = 1,
							       .msg_control = control[i],
							       .msg_controllen = sizeof(control[i]) };
		}
		n = recvmmsg(receiver, messages, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			take_message(&messages[i].msg_hdr, messages[i].msg_len);
		/* A listener waits for its first packet without end; a pair's receiver until its sender has ended. */
		if (n > 0 || !atomic_load(&sender_done) || (options.listen && !arrived))
			last = now(CLOCK_MONOTONIC);
	}
	return unused;
}

/* ---- what it was ---- */

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void tell_delays(void)
{
	static const struct {
		const char *name;
		double share;
	} quantiles[] = { { "min", 0 },	  { "p1", .01 },  { "p5", .05 },  { "p25", .25 },   { "p50", .5 },
			  { "p75", .75 }, { "p95", .95 }, { "p99", .99 }, { "p999", .999 }, { "max", 1 } };
	int64_t *delays = calloc(arrived + 1, sizeof(*delays));
	double sum = 0, squares = 0, mean;
	size_t count = 0;

	if (!delays)
		die("memory");
	for (size_t i = 0; i < arrived; i++)
		if (!(arrivals[i].flags & CORRUPT))
			delays[count++] = arrivals[i].delay;
	qsort(delays, count, sizeof(*delays), by_value);
	for (size_t i = 0; i < count; i++)
		sum += (double)delays[i];
	mean = count ? sum / (double)count : 0;
	for (size_t i = 0; i < count; i++)
		squares += ((double)delays[i] - mean) * ((double)delays[i] - mean);
	printf("  \"delay_ns\": {");
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		printf(" \"%s\": %" PRId64 ",", quantiles[i].name,
		       count ? delays[(size_t)(quantiles[i].share * (double)(count - 1) + .5)] : 0);
	printf(" \"mean\": %.0f, \"stddev\": %.0f },\n", mean, count > 1 ? sqrt(squares / (double)(count - 1)) : 0);
	free(delays);
}

/* first[i]: the place in the order of arrival of number i, plus one; 0: never came. */
static void tell_bursts(const size_t *first, uint64_t count)
{
	uint64_t bursts = 0, longest = 0, lost = 0, length = 0;
	uint64_t *lengths = calloc(count + 2, sizeof(*lengths));
	bool comma = false;

	if (!lengths)
		die("memory");
	for (uint64_t i = 0; i <= count; i++) {
		if (i < count && !first[i]) {
			length++;
			continue;
		}
		bursts += length != 0;
		lost += length;
		longest = length > longest ? length : longest;
		lengths[length]++;
		length = 0;
	}
	printf("  \"loss_bursts\": { \"count\": %" PRIu64 ", \"mean\": %.3f, \"max\": %" PRIu64 ", \"lengths\": {",
	       bursts, bursts ? (double)lost / (double)bursts : 0, longest);
	for (uint64_t i = 1; i <= longest; i++) {
		if (lengths[i])
			printf("%s \"%" PRIu64 "\": %" PRIu64, comma ? "," : "", i, lengths[i]);
		comma |= lengths[i] != 0;
	}
	printf(" } },\n");
	free(lengths);
}

static void tell_order(const size_t *first, uint64_t count)
{
	uint64_t overtaking = 0, reordered = 0, highest = 0;
	size_t latest = 0;

	for (uint64_t i = 0; i < count; i++) {
		if (first[i] && first[i] < latest)
			overtaking++;
		latest = first[i] > latest ? first[i] : latest;
	}
	for (size_t i = 0; i < arrived; i++) {
		if (arrivals[i].flags & DUPLICATE)
			continue;
		if (arrivals[i].sequence < highest)
			reordered++;
		else
			highest = arrivals[i].sequence;
	}
	printf("  \"reordered\": %" PRIu64 ", \"overtaking\": %" PRIu64 ",\n", reordered, overtaking);
}

static void write_samples(void)
{
	FILE *out = fopen(options.samples, "we");

	if (!out)
		die(options.samples);
	for (size_t i = 0; i < arrived; i++) {
		unsigned flags = arrivals[i].flags;

		fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRId64 " %s%s%s%s\n", arrivals[i].sequence, arrivals[i].sent,
			arrivals[i].delay, flags & DUPLICATE ? "d" : "", flags & CORRUPT ? "c" : "",
			flags & MARKED ? "m" : "", flags ? "" : "-");
	}
	if (fclose(out))
		die(options.samples);
}

static void tell_received(uint64_t count)
{
	uint64_t unique = 0, corrupted = 0, marked = 0, from = 0, until = 0;
	size_t *first = calloc(count + 1, sizeof(*first));
	size_t header = options.to.ss_family == AF_INET ? 14 + 20 + 8 : 14 + 40 + 8;

	if (!first)
		die("memory");
	for (size_t i = 0; i < arrived; i++) {
		struct arrival *a = &arrivals[i];

		corrupted += (a->flags & CORRUPT) != 0;
		marked += (a->flags & MARKED) != 0;
		if (!(a->flags & CORRUPT)) {
			until = a->sent + (uint64_t)a->delay;
			from = from ? from : until;
		}
		if (a->sequence >= count)
			continue;
		if (first[a->sequence]) {
			a->flags |= DUPLICATE;
			continue;
		}
		first[a->sequence] = i + 1;
		unique++;
	}
	printf("  \"received\": %zu, \"unique\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"loss\": %.6f,\n", arrived,
	       unique, sent > unique ? sent - unique : 0, sent > unique ? (double)(sent - unique) / (double)sent : 0);
	printf("  \"duplicated\": %" PRIu64 ", \"corrupted\": %" PRIu64 ", \"marked\": %" PRIu64
	       ", \"foreign\": %" PRIu64 ", \"overflow\": %" PRIu64 ",\n",
	       arrived - unique, corrupted, marked, foreign, overflow);
	tell_order(first, count);
	tell_bursts(first, count);
	tell_delays();
	printf("  \"wire_bit_s\": %.0f,\n",
	       until > from ? (double)((arrived - 1) * (options.size + header) * 8) / ((double)(until - from) / 1e9)
			    : 0);
	free(first);
}

static void tell(void)
{
	uint64_t count = options.count;

	printf("{\n");
	if (options.listen) {
		if (!options.has_count)
			count = 0;
		for (size_t i = 0; i < arrived && !options.has_count; i++)
			if (!(arrivals[i].flags & CORRUPT) && arrivals[i].sequence >= count)
				count = arrivals[i].sequence + 1;
		sent = count;
	}
	if (!options.send)
		tell_received(count);
	printf("  \"sent\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"send_seconds\": %.6f\n}\n", sent, refused,
	       (double)(ended - begun) / 1e9);
}

/* ---- command line ---- */

static void parse_address(const char *text, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	const char *colon = strrchr(text, ':');
	char host[64], *end;
	unsigned long port;
	size_t length;

	if (!colon)
		usage("an address is ADDRESS:PORT or [ADDRESS]:PORT");
	port = strtoul(colon + 1, &end, 10);
	length = (size_t)(colon - text);
	if (text[0] == '[' && length > 2 && colon[-1] == ']') {
		text++;
		length -= 2;
	}
	if (*end || port > 65535 || length >= sizeof(host))
		usage("an address is ADDRESS:PORT or [ADDRESS]:PORT");
	memcpy(host, text, length);
	host[length] = '\0';
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
	} else {
		usage("not an IPv4 or IPv6 address");
	}
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (!*text || *end || value < min || value > max)
		usage("a number is not one, or out of range");
	return value;
}

static void parse(int argc, char **argv)
{
	static const struct option names[] = {
		{ "to", 1, NULL, 't' },	      { "from", 1, NULL, 'f' },
		{ "from-ns", 1, NULL, 'F' },  { "to-ns", 1, NULL, 'T' },
		{ "count", 1, NULL, 'c' },    { "rate", 1, NULL, 'r' },
		{ "size", 1, NULL, 's' },     { "flows", 1, NULL, 'n' },
		{ "wait", 1, NULL, 'w' },     { "ect", 0, NULL, 'e' },
		{ "checksum", 0, NULL, 'k' }, { "clock", 1, NULL, 'C' },
		{ "samples", 1, NULL, 'o' },  { "listen", 0, NULL, 'l' },
		{ "send", 0, NULL, 'S' },     { 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (option) {
		case 't':
			parse_address(optarg, &options.to);
			options.has_to = true;
			break;
		case 'f':
			parse_address(optarg, &options.from);
			options.has_from = true;
			break;
		case 'F':
			options.from_ns = optarg;
			break;
		case 'T':
			options.to_ns = optarg;
			break;
		case 'c':
			options.count = number(optarg, 1, 100000000);
			options.has_count = true;
			break;
		case 'r':
			options.rate = number(optarg, 0, 10000000);
			break;
		case 's':
			options.size = number(optarg, sizeof(struct header), SIZE_MAX_);
			break;
		case 'n':
			options.flows = (unsigned)number(optarg, 1, FLOWS_MAX);
			break;
		case 'w':
			options.wait_ms = (unsigned)number(optarg, 1, 600000);
			break;
		case 'e':
			options.ect = true;
			break;
		case 'k':
			options.checksum = true;
			break;
		case 'C':
			options.user_clock = !strcmp(optarg, "user");
			break;
		case 'o':
			options.samples = optarg;
			break;
		case 'l':
			options.listen = true;
			break;
		case 'S':
			options.send = true;
			break;
		default:
			exit(2);
		}
	}
	if (optind != argc || !options.has_to || (options.listen && options.send))
		usage("--to is needed, and not both of --listen and --send");
	if (options.has_from && options.from.ss_family != options.to.ss_family)
		usage("--from and --to must be of one family");
}

int main(int argc, char **argv)
{
	pthread_t sending, receiving;

	parse(argc, argv);
	/* A listener does not know its sender's; 0 is nobody's. */
	run = options.listen ? 0 : (uint32_t)(now(CLOCK_REALTIME) / 1000) | 1;
	arrivals_max = options.listen && !options.has_count ? 4000000 : 4 * options.count + 1000;
	arrivals = calloc(arrivals_max + 1, sizeof(*arrivals));
	if (!arrivals)
		die("memory");
	open_sockets();
	atomic_store(&sender_done, options.listen);
	if (!options.send && (errno = pthread_create(&receiving, NULL, receive_all, NULL)))
		die("thread");
	if (!options.listen && (errno = pthread_create(&sending, NULL, send_all, NULL)))
		die("thread");
	if (!options.listen)
		pthread_join(sending, NULL);
	if (!options.send)
		pthread_join(receiving, NULL);
	tell();
	if (options.samples && !options.send)
		write_samples();
	return 0;
}
