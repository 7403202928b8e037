/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The holder's loop. It waits for the controller and for the end of the lease,
 * and for nothing else: what it sends may be lost, what it holds may not be
 * held too long.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "brunt/clock.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "hold/holder.h"

#define VERBS_AT_ONCE 64
#define SEND_TRIES    3
#define LAST_WORDS    (200 * BRUNT_MS)
#define DETACH_WITHIN (5 * BRUNT_S)  /* with nothing in effect any more */
#define SETTLE_WITHIN (60 * BRUNT_S) /* packets in a slow line; each fault gives up by itself before */

/* Not on the heap: reports and their queue are there whatever memory is left. */
static struct holder the_holder;

static void flush(struct holder *holder)
{
	int failures = 0;

	while (holder->queue_count) {
		const struct brunt_report *report = &holder->queue[holder->queue_first];
		ssize_t sent = send(holder->socket, report, sizeof(*report), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == EINTR))
			return;
		/* A report that is lost for a passing reason leaves the controller waiting for it. */
		if (sent < 0 && errno != EPIPE && errno != ECONNRESET && errno != ENOTCONN && ++failures < SEND_TRIES)
			continue;
		/* Sent, or there is nobody to send it to. */
		holder->queue_first = (holder->queue_first + 1) % HOLDER_QUEUE;
		holder->queue_count--;
	}
}

void holder_report(void *user, const struct brunt_report *report)
{
	struct holder *holder = user;

	if (holder->queue_count == HOLDER_QUEUE)
		flush(holder);
	if (holder->queue_count == HOLDER_QUEUE)
		return; /* a controller that does not read loses reports */
	holder->queue[(holder->queue_first + holder->queue_count++) % HOLDER_QUEUE] = *report;
	flush(holder);
}

static void set_timer(int timer, uint64_t at)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(at / BRUNT_S), .tv_nsec = (long)(at % BRUNT_S) },
	};

	(void)timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/*
 * The switch is half a lease later than the lease: a holder that lives reverts in good order first. Should it not get
 * that far, the kernel ends it, and with it what it holds.
 */
void holder_set_timers(struct holder *holder)
{
	bool held = brunt_held_count(holder->held) > 0;
	uint64_t expires = holder->lease.expires;

	__atomic_store_n(&holder->setup->shared->lease_expires, held ? expires : 0, __ATOMIC_RELEASE);
	set_timer(holder->timer, held && !holder->lease.lapsed ? expires : 0);
	(void)brunt_deadman_set(&holder->deadman, held ? expires + holder->lease.length / 2 : 0);
}

/* Nothing is in effect any more: taking down what is left may take longer than a lease. */
static void on_gone(void *user)
{
	struct holder *holder = user;

	(void)brunt_deadman_set(&holder->deadman, brunt_now() + DETACH_WITHIN);
}

static uint64_t start_of(pid_t pid)
{
	struct brunt_process process;

	return pid && !brunt_process_identify("/proc", pid, false, &process, NULL) ? process.start : 0;
}

static int open_ledger(struct holder *holder, struct brunt_error *err)
{
	const struct brunt_run_setup *setup = holder->setup;
	const struct brunt_shared *shared = setup->shared;
	struct brunt_ledger_head head = {
		.holder = getpid(),
		.controller = shared->pid[BRUNT_ROLE_CONTROLLER],
		.recoverer = shared->pid[BRUNT_ROLE_RECOVERER],
		.started_wall = (uint64_t)time(NULL),
		.step_count = setup->plan->step_count,
	};
	char folder[256], path[512];
	int r;

	head.holder_start = start_of(head.holder);
	head.controller_start = start_of(head.controller);
	head.recoverer_start = start_of(head.recoverer);
	snprintf(head.run, sizeof(head.run), "%s", shared->run);
	snprintf(head.plan, sizeof(head.plan), "%s", shared->plan);
	snprintf(head.plan_path, sizeof(head.plan_path), "%s", setup->plan->path ? setup->plan->path : "");
	brunt_text_clean(head.plan_path); /* it may have been cut in a character */
	r = ledger_boot_id(head.boot, sizeof(head.boot));
	if (r < 0)
		return brunt_fail(err, -r, "cannot read the boot id: %s", strerror(-r));
	r = brunt_ledger_folder(folder, sizeof(folder), true, err);
	if (!r)
		r = brunt_ledger_create(folder, &head, &holder->ledger, err);
	if (!r && setup->run_dir[0])
		r = brunt_ledger_path(holder->ledger, BRUNT_LEDGER_DIRECTORY, setup->run_dir, err);
	if (!r && setup->run_cgroup[0]) {
		snprintf(path, sizeof(path), "%s%s", setup->cgroup_mount, setup->run_cgroup);
		r = brunt_ledger_path(holder->ledger, BRUNT_LEDGER_CGROUP, path, err);
	}
	return r;
}

static void fill_contexts(struct holder *holder)
{
	const struct brunt_run_setup *setup = holder->setup;

	holder->fault_context = (struct brunt_fault_context){
		.run = setup->shared->run,
		.seed = setup->seed,
		.cgroup_mount = setup->cgroup_mount[0] ? setup->cgroup_mount : NULL,
		.lease_ns = setup->plan->lease,
		.ways = setup->ways,
	};
	holder->resolve_context = (struct brunt_resolve_context){
		.seed = setup->seed,
		.proc = "/proc",
		.cgroup_mount = setup->cgroup_mount[0] ? setup->cgroup_mount : NULL,
		.run_cgroup = setup->run_cgroup[0] ? setup->run_cgroup : NULL,
		.service_names = setup->plan->service_names,
		.services = setup->shared->services,
		.own = holder->own,
	};
}

static int set_up(struct holder *holder, struct brunt_error *err)
{
	int r;

	fill_contexts(holder);
	holder->lease.length = holder->setup->plan->lease;
	holder->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (holder->timer < 0)
		return brunt_fail(err, errno, "cannot make a timer: %s", strerror(errno));
	holder->turner = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (holder->turner < 0)
		return brunt_fail(err, errno, "cannot make a timer: %s", strerror(errno));
	r = brunt_deadman_make(&holder->deadman, err);
	if (!r)
		r = open_ledger(holder, err);
	if (!r)
		r = brunt_held_new(holder->setup->plan, &holder->fault_context, &holder->resolve_context,
				   holder->ledger, holder_report, holder, &holder->held, err);
	if (!r)
		holder->held->on_gone = on_gone;
	return r;
}

/* Takes what the controller said; false at its end. */
static bool listen_to(struct holder *holder)
{
	for (int i = 0; i < VERBS_AT_ONCE && !holder->ended; i++) {
		struct brunt_verb verb;
		ssize_t size = recv(holder->socket, &verb, sizeof(verb), MSG_DONTWAIT | MSG_TRUNC);

		if (size < 0)
			return errno == EAGAIN || errno == EINTR;
		if (!size)
			return false;
		if (size == sizeof(verb))
			holder_take(holder, &verb);
	}
	return true;
}

/* Somebody may get impatient while the last packets are waited for. */
static void heed_hurry(void *user)
{
	struct holder *holder = user;
	struct brunt_verb verb;

	while (recv(holder->socket, &verb, sizeof(verb), MSG_DONTWAIT | MSG_TRUNC) == (ssize_t)sizeof(verb))
		if (verb.kind == BRUNT_VERB_REVERT_ALL && verb.index == BRUNT_REVERT_ABORT)
			brunt_held_hurry(holder->held);
}

static void check_lease(struct holder *holder)
{
	if (!holder->lease.lapsed && holder->held && brunt_held_count(holder->held) &&
	    brunt_now() >= holder->lease.expires)
		holder_lapse(holder);
}

/* Ramps and pulses. Never after the lease: what lapsed stays so, whatever a pulse would have next. */
static void turn(struct holder *holder)
{
	uint64_t now = brunt_now(), at = 0;
	size_t count;

	if (!holder->held || holder->lease.lapsed)
		return;
	count = brunt_held_count(holder->held);
	if (count && now < holder->lease.expires)
		at = brunt_held_turn(holder->held, now);
	if (brunt_held_count(holder->held) != count)
		holder_set_timers(holder);
	/* A pulse may have a new one. */
	for (uint32_t i = 0; at && i < holder->setup->plan->step_count; i++) {
		const struct held_slot *slot = &holder->held->slots[i];

		if (slot->child && slot->armed)
			holder->setup->shared->pid[slot->injector->child_role] = slot->child;
	}
	if (at != holder->turn_at)
		set_timer(holder->turner, at);
	holder->turn_at = at;
}

static void loop(struct holder *holder)
{
	while (!holder->ended) {
		struct pollfd wait[] = {
			{ .fd = holder->socket, .events = (short)(POLLIN | (holder->queue_count ? POLLOUT : 0)) },
			{ .fd = holder->timer, .events = POLLIN },
			{ .fd = holder->turner, .events = POLLIN },
		};
		uint64_t ticks;

		if (poll(wait, BRUNT_COUNT(wait), -1) < 0 && errno != EINTR)
			break;
		if (wait[1].revents)
			(void)!read(holder->timer, &ticks, sizeof(ticks));
		if (wait[2].revents)
			(void)!read(holder->turner, &ticks, sizeof(ticks));
		check_lease(holder);
		if (wait[0].revents & (POLLIN | POLLHUP | POLLERR) && !listen_to(holder))
			break;
		turn(holder);
		flush(holder);
	}
}

static void say_last_words(struct holder *holder)
{
	uint64_t until = brunt_now() + LAST_WORDS;

	flush(holder);
	while (holder->queue_count && brunt_now() < until) {
		struct pollfd wait = { .fd = holder->socket, .events = POLLOUT };

		(void)poll(&wait, 1, 10);
		flush(holder);
	}
}

int brunt_holder_main(const struct brunt_run_setup *setup, int socket)
{
	struct holder *holder = &the_holder;
	int residue = 0;

	memset(holder, 0, sizeof(*holder));
	holder->setup = setup;
	holder->socket = socket;
	holder->timer = -1;
	holder->turner = -1;
	setup->shared->pid[BRUNT_ROLE_HOLDER] = getpid();
	/* A holder that cannot hold answers, so that the controller has the reason. */
	if (set_up(holder, &holder->broken) < 0)
		holder->broken.code = holder->broken.code ? holder->broken.code : EIO;
	loop(holder);
	/* Without an END the controller is gone. */
	if (holder->held) {
		residue = holder_revert_all(holder, !holder->ended);
		holder->held->on_wait = heed_hurry;
		if (held_settle(holder->held, brunt_now() + SETTLE_WITHIN) < 0) {
			residue = -EBUSY;
			__atomic_store_n(&setup->shared->residue, 1, __ATOMIC_RELEASE);
		}
	}
	if (holder->ended) {
		struct brunt_report report = { .kind = BRUNT_REPORT_ENDED, .code = residue, .at = brunt_now() };

		holder_report(holder, &report);
	}
	brunt_ledger_close(holder->ledger, residue < 0);
	if (holder->ended)
		say_last_words(holder);
	brunt_held_free(holder->held);
	if (holder->timer >= 0)
		(void)close(holder->timer);
	if (holder->turner >= 0)
		(void)close(holder->turner);
	return residue < 0 ? 6 : 0;
}
