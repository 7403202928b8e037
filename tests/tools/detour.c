/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detour OPTION...      drives injector/detour/detour.h directly, in the caller's network namespace
 *
 *   -i INTERFACE, -p PID, -c CGROUP   the target
 *   -I NAME             of a target that is not an interface: only there (may be repeated)
 *   -d DIRECTION        egress, ingress, both (both)
 *   -t, -l, -x ENDPOINT the lists to, local, except (may be repeated)
 *   -f SHARE            of flows
 *   -q QDISC            what stands in each leg, as after "tc qdisc replace dev X root"; "" for nothing
 *   -T MS               instead: a TAP device and a process that gives each frame back after so long
 *   -r RUN              eight hex digits (5eed0001)
 *   -L MS               longest linger (10000)
 *   -g MS               lease (5000); renewed every quarter
 *   -n                  not armed
 *   -u FILE             the undo record goes there, and
 *   -R FILE             recovers from it, nothing else
 *
 * Prints "held" when it is, then one line for each word on stdin:
 *   poll, extra, arm, disarm, detach (drains), drop, settled (waits), hurry (settles, and does not wait),
 *   again (after detach), end
 * At the end of stdin it detaches and waits until all is gone. With a prefix of "2" a second detour (-2 and options
 * after it) is meant.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "brunt/units.h"
#include "detour/detour.h"
#include "network/rtnl.h"

#define LIST_MAX 16

struct lab {
	const char *qdisc;
	long tap_ms; /* -1: no TAP */
	const char *run, *undo_file;
	uint64_t linger, lease;
	bool armed;
	struct brunt_endpoint ends[3][LIST_MAX];
	struct brunt_list lists[3];
	const char *names[LIST_MAX];
	struct brunt_list interfaces;
	struct brunt_detour_match match;
	struct brunt_item item;
	struct brunt_victims victims;
	struct brunt_undo_record undo;
	struct brunt_detour_backend backend;
	struct brunt_detour *detour;
	pid_t echoes[BRUNT_DETOUR_LEGS_MAX];
	char mount[256];
};

static struct lab runs[2];
static struct brunt_error err;

static void die(const char *what)
{
	printf("failed %s: %s\n", what, err.msg);
	exit(1);
}

/* ---- a qdisc in each leg ---- */

static int start_qdisc(void *opaque, struct brunt_leg *leg, struct brunt_error *error)
{
	const struct lab *lab = opaque;
	char command[256];

	if (!lab->qdisc || !lab->qdisc[0])
		return 0;
	(void)snprintf(command, sizeof(command), "tc qdisc replace dev %s root %s", leg->device_name, lab->qdisc);
	return system(command) ? brunt_fail(error, EINVAL, "%s", command) : 0; /* NOLINT(cert-env33-c): a test */
}

struct queue {
	int index;
	uint64_t packets;
};

static int see_qdisc(void *user, const struct nlmsghdr *message)
{
	const struct tcmsg *tc = NLMSG_DATA(message);
	const struct rtattr *stats =
		brunt_rtnl_inside(brunt_rtnl_find(message, sizeof(*tc), TCA_STATS2), TCA_STATS_QUEUE);
	struct queue *queue = user;
	struct gnet_stats_queue seen;

	if (tc->tcm_ifindex == queue->index && tc->tcm_parent == TC_H_ROOT && stats) {
		memcpy(&seen, RTA_DATA(stats), sizeof(seen));
		queue->packets = seen.qlen;
	}
	return 0;
}

static int qdisc_backlog(void *opaque, const struct brunt_leg *leg, uint64_t *ret_packets)
{
	static struct brunt_rtnl rtnl;
	const struct tcmsg tc = { .tcm_ifindex = (int)leg->device };
	struct queue queue = { .index = (int)leg->device };
	int r;

	(void)opaque;
	r = brunt_rtnl_open(&rtnl, NETLINK_ROUTE, NULL);
	if (r)
		return r;
	brunt_rtnl_begin(&rtnl, RTM_GETQDISC, 0, &tc, sizeof(tc));
	r = brunt_rtnl_ask(&rtnl, true, see_qdisc, &queue, "cannot read", NULL);
	brunt_rtnl_close(&rtnl);
	*ret_packets = queue.packets;
	return r;
}

/* ---- a process that gives frames back ---- */

#define FRAMES 4096

static struct frame {
	uint64_t due;
	ssize_t size;
	unsigned char bytes[70000];
} * frames;

static void echo(int tap, const int *keep, size_t count, uint64_t delay) __attribute__((noreturn));
static void echo(int tap, const int *keep, size_t count, uint64_t delay)
{
	size_t first = 0, used = 0;
	pid_t parent = getppid();

	for (int fd = 3; fd < 1024; fd++) {
		bool kept = fd == tap;

		for (size_t i = 0; i < count; i++)
			kept |= keep[i] == fd;
		if (!kept)
			close(fd);
	}
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	frames = calloc(FRAMES, sizeof(*frames));
	while (frames && (used || getppid() == parent)) {
		struct pollfd event = { .fd = tap, .events = used < FRAMES ? POLLIN : 0 };
		uint64_t now = brunt_now();
		struct timespec wait = { .tv_nsec = 20 * BRUNT_MS };

		if (used)
			wait.tv_nsec = frames[first].due > now ? (long)(frames[first].due - now) : 0;
		(void)ppoll(&event, 1, &wait, NULL);
		if (event.revents & POLLIN) {
			struct frame *frame = &frames[(first + used) % FRAMES];

			frame->size = read(tap, frame->bytes, sizeof(frame->bytes));
			frame->due = brunt_now() + delay;
			used += frame->size > 0;
		}
		while (used && frames[first].due <= brunt_now()) {
			(void)!write(tap, frames[first].bytes, (size_t)frames[first].size);
			first = (first + 1) % FRAMES;
			used--;
		}
	}
	_exit(0);
}

static int start_echo(void *opaque, struct brunt_leg *leg, struct brunt_error *error)
{
	struct lab *lab = opaque;
	pid_t pid = fork();

	if (pid < 0)
		return brunt_fail(error, errno, "cannot fork: %s", strerror(errno));
	if (!pid)
		echo(leg->tap, leg->keep, leg->keep_count, (uint64_t)lab->tap_ms * BRUNT_MS);
	for (size_t i = 0; i < BRUNT_DETOUR_LEGS_MAX; i++)
		if (!lab->echoes[i]) {
			lab->echoes[i] = pid;
			leg->opaque = &lab->echoes[i];
			break;
		}
	return 0;
}

static bool echo_alive(void *opaque, const struct brunt_leg *leg)
{
	const pid_t *pid = leg->opaque;

	(void)opaque;
	return pid && waitpid(*pid, NULL, WNOHANG) == 0;
}

static int echo_backlog(void *opaque, const struct brunt_leg *leg, uint64_t *ret_packets)
{
	(void)opaque;
	(void)leg;
	*ret_packets = 0;
	return 0;
}

static void stop_echo(void *opaque, struct brunt_leg *leg, bool drain)
{
	const pid_t *pid = leg->opaque;

	(void)opaque;
	if (!pid)
		return;
	if (drain) /* a toy: what waits is known to be through by then */
		(void)poll(NULL, 0, (int)((struct lab *)opaque)->tap_ms + 20);
	(void)kill(*pid, SIGKILL);
	(void)waitpid(*pid, NULL, 0);
}

/* ---- options ---- */

static void add_end(struct lab *lab, int list, const char *text)
{
	struct brunt_list *to = &lab->lists[list];

	if (to->count == LIST_MAX || brunt_endpoint_parse(text, &lab->ends[list][to->count++], &err))
		die("endpoint");
	to->items = lab->ends[list];
}

static void set_target(struct lab *lab, int kind, const char *text)
{
	struct brunt_item *item = &lab->item;
	struct stat status;
	char path[1024];

	item->kind = (enum brunt_target_kind)kind;
	item->picked = true;
	item->process.pidfd = -1;
	(void)snprintf(item->name, sizeof(item->name), "%s", text);
	(void)brunt_cgroup_mount(lab->mount, sizeof(lab->mount));
	if (kind == BRUNT_TARGET_INTERFACE) {
		item->interface_index = if_nametoindex(text);
		if (!item->interface_index)
			item->interface_index = (unsigned)atoi(text);
	} else if (kind == BRUNT_TARGET_PROCESS) {
		FILE *in;

		if (brunt_process_identify("/proc", atoi(text), false, &item->process, &err))
			die("process");
		(void)snprintf(path, sizeof(path), "/proc/%s/cgroup", text);
		in = fopen(path, "re");
		while (in && fgets(path, sizeof(path), in))
			if (!strncmp(path, "0::", 3))
				(void)snprintf(item->cgroup, sizeof(item->cgroup), "%.*s", (int)strcspn(path + 3, "\n"),
					       path + 3);
		if (in)
			(void)fclose(in);
	} else {
		(void)snprintf(item->cgroup, sizeof(item->cgroup), "%s", text);
	}
	(void)snprintf(path, sizeof(path), "%s%s", lab->mount, item->cgroup);
	if (item->cgroup[0] && !stat(path, &status))
		item->cgroup_id = status.st_ino;
	lab->victims = (struct brunt_victims){ .items = item, .matched = 1, .picked = 1, .share = 1 };
}

static void set_defaults(struct lab *lab)
{
	lab->qdisc = "pfifo limit 1000";
	lab->tap_ms = -1;
	lab->run = "5eed0001";
	lab->linger = 10 * BRUNT_S;
	lab->lease = 5 * BRUNT_S; /* a machine may pause for a second or two */
	lab->armed = true;
	lab->match = (struct brunt_detour_match){ .direction = BRUNT_DETOUR_BOTH, .flows = 1 };
}

static int direction_of(const char *text)
{
	return text[0] == 'e' ? BRUNT_DETOUR_EGRESS : text[0] == 'i' ? BRUNT_DETOUR_INGRESS : BRUNT_DETOUR_BOTH;
}

/* The record outlives the holder in a file here, in the ledger there. */
static void save(const struct lab *lab)
{
	FILE *out = lab->undo_file ? fopen(lab->undo_file, "we") : NULL;

	if (!out)
		return;
	(void)fwrite(&lab->undo, sizeof(lab->undo), 1, out);
	(void)fclose(out);
}

static void recover(const char *file) __attribute__((noreturn));
static void recover(const char *file)
{
	struct brunt_undo_record undo;
	FILE *in = fopen(file, "re");

	if (!in || fread(&undo, sizeof(undo), 1, in) != 1)
		exit(2);
	printf("recovered %d\n", brunt_detour_recover(&undo, &err));
	exit(0);
}

static size_t read_options(int count, char **arguments)
{
	struct lab *lab = runs;
	int option;

	set_defaults(&runs[0]);
	set_defaults(&runs[1]);
	while ((option = getopt(count, arguments, "2i:p:c:I:d:t:l:x:f:q:T:r:L:g:nu:R:")) != -1) {
		switch (option) {
		case '2':
			lab = &runs[1];
			break;
		case 'i':
			set_target(lab, BRUNT_TARGET_INTERFACE, optarg);
			break;
		case 'p':
			set_target(lab, BRUNT_TARGET_PROCESS, optarg);
			break;
		case 'c':
			set_target(lab, BRUNT_TARGET_CGROUP, optarg);
			break;
		case 'I':
			lab->names[lab->interfaces.count++] = optarg;
			lab->interfaces.items = lab->names;
			break;
		case 'd':
			lab->match.direction = direction_of(optarg);
			break;
		case 't':
			add_end(lab, 0, optarg);
			break;
		case 'l':
			add_end(lab, 1, optarg);
			break;
		case 'x':
			add_end(lab, 2, optarg);
			break;
		case 'f':
			lab->match.flows = strtod(optarg, NULL);
			break;
		case 'q':
			lab->qdisc = optarg;
			break;
		case 'T':
			lab->tap_ms = atol(optarg);
			break;
		case 'r':
			lab->run = optarg;
			break;
		case 'L':
			lab->linger = (uint64_t)atol(optarg) * BRUNT_MS;
			break;
		case 'g':
			lab->lease = (uint64_t)atol(optarg) * BRUNT_MS;
			break;
		case 'n':
			lab->armed = false;
			break;
		case 'u':
			lab->undo_file = optarg;
			break;
		case 'R':
			recover(optarg);
		default:
			exit(2);
		}
	}
	return lab == runs ? 1 : 2;
}

/* ---- what is done ---- */

static void load(struct lab *lab)
{
	const struct brunt_fault_context context = {
		.run = lab->run, .seed = 42, .cgroup_mount = lab->mount, .lease_ns = lab->lease
	};
	char label[32];

	lab->match.to = &lab->lists[0];
	lab->match.local = &lab->lists[1];
	lab->match.except = &lab->lists[2];
	lab->match.interfaces = &lab->interfaces;
	if (lab->tap_ms >= 0)
		lab->backend = (struct brunt_detour_backend){ .name = "echo",
							      .tap = true,
							      .start = start_echo,
							      .backlog = echo_backlog,
							      .alive = echo_alive,
							      .stop = stop_echo };
	else
		lab->backend = (struct brunt_detour_backend){ .name = "qdisc",
							      .start = start_qdisc,
							      .backlog = qdisc_backlog };
	(void)snprintf(label, sizeof(label), "lab %d", (int)(lab - runs));
	if (brunt_detour_probe(lab->tap_ms >= 0, &err))
		die("probe");
	if (brunt_detour_load(&lab->match, &lab->backend, lab, &context, label, lab->linger, &lab->detour, &err))
		die("load");
}

static void hold(struct lab *lab)
{
	if (brunt_detour_prepare(lab->detour, &lab->victims, &lab->undo, &err))
		die("prepare");
	save(lab);
	if (brunt_detour_attach(lab->detour, &err))
		die("attach");
	if (lab->armed)
		brunt_detour_arm(lab->detour, brunt_now() + lab->lease);
}

static void settle(struct lab *lab, bool hurry)
{
	int r;

	do {
		if (hurry)
			brunt_detour_hurry(lab->detour);
		else
			usleep(2000);
		r = brunt_detour_settled(lab->detour, &err);
	} while (r == -EAGAIN);
	printf("settled %d %s\n", r, r ? err.msg : "");
}

static int show(void *opaque, struct brunt_leg *leg, void *user)
{
	(void)opaque;
	(void)user;
	printf(" %s(%u)%s->%s(%u)", leg->name, leg->interface, leg->ingress ? "i" : "e", leg->device_name, leg->device);
	return 0;
}

static void obey(struct lab *lab, const char *word)
{
	struct brunt_detour_extra extra;
	struct brunt_hits hits;

	if (!strcmp(word, "poll")) {
		int r = brunt_detour_poll(lab->detour, &hits);

		printf("poll %d seen %" PRIu64 " matched %" PRIu64 " hit %" PRIu64
		       " detached %d gone %d lapsed %d %s\n",
		       r, hits.seen, hits.matched, hits.hit, hits.detached, hits.target_gone, hits.lapsed,
		       hits.near_miss);
	} else if (!strcmp(word, "extra")) {
		brunt_detour_read(lab->detour, &extra);
		printf("expired %" PRIu64 " gone %" PRIu64 " foreign %" PRIu64 " marks %" PRIu64 " lost %" PRIu64 "\n",
		       extra.expired, extra.gone, extra.foreign, extra.marks_lost, brunt_detour_lost(lab->detour));
	} else if (!strcmp(word, "legs")) {
		printf("legs");
		(void)brunt_detour_visit(lab->detour, show, NULL, &err);
		printf("\n");
	} else if (!strcmp(word, "arm")) {
		brunt_detour_arm(lab->detour, brunt_now() + lab->lease);
		printf("armed\n");
	} else if (!strcmp(word, "disarm")) {
		brunt_detour_disarm(lab->detour);
		printf("verify %d\n", brunt_detour_verify(lab->detour, &err));
	} else if (!strcmp(word, "detach") || !strcmp(word, "drop")) {
		uint64_t begin = brunt_now();

		brunt_detour_disarm(lab->detour);
		brunt_detour_detach(lab->detour, word[1] == 'e');
		printf("detached in %.1f ms\n", (double)(brunt_now() - begin) / BRUNT_MS);
	} else if (!strcmp(word, "settled")) {
		settle(lab, false);
	} else if (!strcmp(word, "hurry")) {
		settle(lab, true);
	} else if (!strcmp(word, "again")) {
		hold(lab);
		printf("held\n");
	} else {
		printf("what is '%s'\n", word);
	}
}

static void serve(size_t count)
{
	struct pollfd event = { .fd = 0, .events = POLLIN };
	char word[32];

	for (;;) {
		uint64_t quarter = runs[0].lease / 4 / BRUNT_MS;

		if (poll(&event, 1, (int)quarter) > 0) {
			/* unbuffered: what is read is what poll() saw */
			if (!fgets(word, sizeof(word), stdin) || !strcmp(word, "end\n"))
				return;
			word[strcspn(word, "\n")] = '\0';
			if (word[0] == '2')
				obey(&runs[1], word + 1);
			else
				obey(&runs[0], word);
		}
		for (size_t i = 0; i < count; i++)
			brunt_detour_renew(runs[i].detour, brunt_now() + runs[i].lease);
	}
}

int main(int argc, char **argv)
{
	size_t count = read_options(argc, argv);

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)setvbuf(stdin, NULL, _IONBF, 0);
	for (size_t i = 0; i < count; i++)
		load(&runs[i]);
	for (size_t i = 0; i < count; i++)
		hold(&runs[i]);
	printf("held\n");
	serve(count);
	for (size_t i = count; i--;) {
		brunt_detour_disarm(runs[i].detour);
		brunt_detour_detach(runs[i].detour, true);
		settle(&runs[i], false);
		brunt_detour_unload(runs[i].detour);
	}
	return 0;
}
