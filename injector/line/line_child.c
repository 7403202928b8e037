/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line itself: reads frames from the TAP device, keeps them in its queue,
 * writes them back when they are due. One loop, no privileges, no files but
 * its device and what keeps that alive.
 *
 * When its holder is gone, packets still come: the kernel takes the classifier
 * off some time after the death, and until then it steers. So the line goes on
 * reading, until for a while nothing came and nothing waits any more.
 */
#include "line/line_child.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>

#include "brunt/clock.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/units.h"
#include "line/line_queue.h"

#define BATCH 32

/* After this long without a packet no more is expected: from a holder that said so, and from one that died. */
#define QUIET_TOLD (20 * BRUNT_MS)
#define QUIET_DIED (300 * BRUNT_MS)

/* A device that takes nothing now (no memory in the kernel) is tried again so often. */
#define RETRY_NS  (200 * BRUNT_US)
#define RETRY_MAX 500

static struct {
	struct line_control *control;
	struct line_queue *queue;
	int tap, socket;
	uint32_t version;
	struct brunt_impairment what;
	int16_t table[LINE_TABLE_MAX];

	uint64_t caught_up; /* when the device was last found empty */
	bool draining, gone;
	uint64_t quiet;	    /* how long nothing has to have come */
	uint64_t last_read; /* when something came */
	uint64_t until;	    /* of the draining */
	unsigned retries;
} self;

/* The holder may be stopped in the middle of writing: then what we have stays. */
static void take_parameters(void)
{
	uint32_t version = __atomic_load_n(&self.control->version, __ATOMIC_ACQUIRE);

	if (version == self.version || version & 1)
		return;
	self.what = self.control->what;
	if (self.what.table_size > LINE_TABLE_MAX)
		self.what.table_size = 0;
	memcpy(self.table, self.control->table, self.what.table_size * sizeof(*self.table));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&self.control->version, __ATOMIC_RELAXED) != version)
		return;
	self.version = version;
	self.what.table = self.what.table_size ? self.table : NULL;
	line_queue_set(self.queue, &self.what);
}

static void publish(uint64_t now)
{
	const uint64_t *from = (const uint64_t *)line_queue_stats(self.queue);
	uint64_t *to = (uint64_t *)&self.control->stats;

	_Static_assert(sizeof(struct brunt_line_stats) % sizeof(*to) == 0, "all of it are numbers");
	for (size_t i = 0; i < sizeof(struct brunt_line_stats) / sizeof(*to); i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
	__atomic_store_n(&self.control->beat, now, __ATOMIC_RELEASE);
}

/* Returns how many frames came. */
static int read_some(void)
{
	int count = 0;

	while (count < BATCH) {
		ssize_t size = readv(self.tap, line_queue_room(self.queue), LINE_FRAME_CHUNKS);

		if (size <= 0) {
			if (size < 0 && errno == EINTR)
				continue;
			/* The end of a file, EBADFD, EIO: no device any more. */
			self.gone |= size == 0 || errno != EAGAIN;
			break;
		}
		self.last_read = brunt_now();
		line_queue_arrive(self.queue, (size_t)size, self.last_read);
		count++;
	}
	return count;
}

/* What waits in the device has not been seen yet, and its delay has not begun. */
static void keep_pace(uint64_t now, bool more)
{
	struct brunt_line_stats *stats = line_queue_stats(self.queue);

	if (!more)
		self.caught_up = now;
	else if (now - self.caught_up > stats->behind_max)
		stats->behind_max = now - self.caught_up;
}

static bool is_passing(int code)
{
	return code == EAGAIN || code == ENOBUFS || code == ENOMEM || code == EINTR;
}

/* false: not now. Whoever has been tried in vain for long is given up, and those after it are tried once each. */
static bool send_first(void)
{
	struct iovec frame[LINE_FRAME_CHUNKS];
	int count = line_queue_first(self.queue, frame);

	if (writev(self.tap, frame, count) >= 0) {
		line_queue_sent(self.queue, brunt_now());
		self.retries = 0;
		return true;
	}
	if (is_passing(errno) && self.retries < RETRY_MAX) {
		self.retries++;
		return false;
	}
	self.gone |= errno == EBADFD || errno == EPIPE || errno == ENODEV;
	line_queue_failed(self.queue);
	return true;
}

static void send_due(uint64_t now)
{
	for (int i = 0; i < BATCH && line_queue_next(self.queue) <= now; i++)
		if (!send_first())
			return;
}

static void drain(uint64_t now, uint64_t quiet, uint64_t max_linger)
{
	self.draining = true;
	self.quiet = quiet;
	self.last_read = now;
	self.until = now + max_linger;
}

/* Whatever still waits goes out now: early is better than never. Ends, because send_first() gives up on each. */
static void flush(void)
{
	const struct timespec pause = { .tv_nsec = RETRY_NS };

	while (line_queue_next(self.queue) != UINT64_MAX && !self.gone)
		if (!send_first())
			(void)ppoll(NULL, 0, &pause, NULL);
}

static bool is_over(uint64_t now)
{
	uint32_t order = __atomic_load_n(&self.control->order, __ATOMIC_ACQUIRE);

	if (self.gone || order == LINE_DROP)
		return true;
	if (!self.draining)
		return false;
	if (now >= self.until) {
		flush();
		return true;
	}
	return line_queue_next(self.queue) == UINT64_MAX && now - self.last_read >= self.quiet;
}

static void wait_for_something(uint64_t now, uint64_t max_linger)
{
	/* Without its holder nothing comes from the socket but its end, again and again. */
	struct pollfd events[] = { { .fd = self.tap, .events = POLLIN },
				   { .fd = self.draining ? -1 : self.socket, .events = POLLIN } };
	uint64_t next = line_queue_next(self.queue), wait = BRUNT_LINE_BEAT;
	struct timespec timeout;

	if (self.retries && next <= now)
		wait = RETRY_NS;
	else if (next <= now)
		wait = 0;
	else if (next - now < wait)
		wait = next - now;
	timeout = (struct timespec){ .tv_nsec = (long)wait };
	if (ppoll(events, BRUNT_COUNT(events), &timeout, NULL) <= 0)
		return;
	if (events[0].revents & (POLLERR | POLLHUP | POLLNVAL) && !(events[0].revents & POLLIN))
		self.gone = true;
	if (events[1].revents)
		drain(brunt_now(),
		      __atomic_load_n(&self.control->order, __ATOMIC_ACQUIRE) == LINE_RUN ? QUIET_DIED : QUIET_TOLD,
		      max_linger);
}

/*
 * Large packets stay whole where the kernel can do that, and checksums are left for later; no right is needed for it,
 * only the device (drivers/net/tun.c). Sockets of a test know none of it.
 */
static size_t set_offloads(void)
{
	static const unsigned wanted[] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | 0x20 | 0x40, /* TUN_F_USO4, TUN_F_USO6: 6.2 */
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
	};
	int header = sizeof(struct virtio_net_hdr);

	for (size_t i = 0; i < BRUNT_COUNT(wanted); i++)
		if (!ioctl(self.tap, TUNSETOFFLOAD, wanted[i]))
			break;
	if (ioctl(self.tap, TUNGETVNETHDRSZ, &header) || header < 0 || header > 64)
		header = sizeof(struct virtio_net_hdr);
	return (size_t)header;
}

/*
 * We were forked in the target's network namespace and would keep it alive. The one in which the device's descriptor was
 * opened it keeps alive anyway (tun_chr_open() in drivers/net/tun.c): there we go. Takes CAP_NET_ADMIN and CAP_SYS_ADMIN.
 */
static void leave_network(void)
{
	BRUNT_AUTO_CLOSE int home = ioctl(self.tap, SIOCGSKNS);

	if (home >= 0)
		(void)setns(home, CLONE_NEWNET);
}

/*
 * A short time slice: since Linux 6.12 who asks for less at a time gets it sooner (sched_setattr(2), sched_runtime of
 * SCHED_OTHER), and needs no right for that. With four busy processes on two CPUs lateness was half of what it was.
 */
static void be_prompt(void)
{
	const struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} wish = { .size = sizeof(wish), .policy = SCHED_OTHER, .runtime = 100 * BRUNT_US };

	(void)syscall(SYS_sched_setattr, 0, &wish, 0);
	/* Timers of ordinary processes may be 50 microseconds late (prctl(2)). */
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

static int begin(const int *keep, size_t count, struct brunt_error *err)
{
	int kept[2 + BRUNT_LINE_KEEP_MAX] = { self.tap, self.socket };
	size_t header;
	int r;

	for (size_t i = 0; i < count; i++)
		kept[2 + i] = keep[i];
	leave_network();
	r = brunt_role_enter(BRUNT_ROLE_LINE, NULL, 0, kept, 2 + count, err);
	if (r)
		return r;
	be_prompt();
	header = set_offloads();
	/* What the queue reserves is locked as it is touched, not before. Without the right to it: not at all. */
	(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	r = line_queue_new(LINE_MEMORY, header, &self.queue);
	if (r && !munlockall())
		r = line_queue_new(LINE_MEMORY, header, &self.queue);
	if (r)
		return brunt_fail(err, -r, "no memory for a line of %u MiB", LINE_MEMORY >> 20);
	*line_queue_stats(self.queue) = self.control->stats;
	line_queue_stats(self.queue)->waiting = 0;
	take_parameters();
	line_jail();
	return 0;
}

void line_main(struct line_control *control, int tap, int socket, const int *keep, size_t count, uint64_t max_linger)
{
	struct brunt_error err = { 0 };
	struct line_ready ready = { 0 };
	int r;

	self.control = control;
	self.tap = tap;
	self.socket = socket;
	r = begin(keep, count, &err);
	if (!r)
		publish(self.caught_up = brunt_now());
	ready.code = -r;
	(void)snprintf(ready.text, sizeof(ready.text), "%.159s", err.msg);
	if (send(socket, &ready, sizeof(ready), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 || r)
		_exit(1);
	for (;;) {
		uint64_t now = brunt_now();
		bool more;

		take_parameters();
		send_due(now);
		more = read_some() == BATCH;
		now = brunt_now();
		keep_pace(now, more);
		if (is_over(now))
			break;
		publish(now);
		if (more)
			continue;
		wait_for_something(now, max_linger);
		self.caught_up = brunt_now();
	}
	publish(brunt_now());
	_exit(0);
}
