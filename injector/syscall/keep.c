/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's side of the keeper. */
#include "syscall/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "brunt/units.h"
#include "syscall/keep_parts.h"

#define START_WAIT  (5 * BRUNT_S)
#define NAP	    (BRUNT_MS / 5)
#define END_WAIT_MS 500

static int wait_ms(uint64_t until)
{
	uint64_t now = brunt_now();

	return until > now ? (int)((until - now + BRUNT_MS - 1) / BRUNT_MS) : 0;
}

int keep_send(int socket, const void *message, size_t size, int fd)
{
	struct iovec data = { (void *)(uintptr_t)message, size };
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *rights;

		header.msg_control = room;
		header.msg_controllen = sizeof(room);
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	}
	return sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int keep_receive(int socket, void *ret, size_t size, int *ret_fd)
{
	struct iovec data = { ret, size };
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
	struct msghdr header = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)
	};
	ssize_t got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*ret_fd = -1;
	if (got < 0)
		return -errno;
	for (struct cmsghdr *rights = CMSG_FIRSTHDR(&header); rights; rights = CMSG_NXTHDR(&header, rights))
		if (rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS)
			memcpy(ret_fd, CMSG_DATA(rights), sizeof(*ret_fd));
	return got == (ssize_t)size ? 0 : -EPIPE;
}

void keep_answer(const struct keep_self *self, struct keep_slot *slot, const struct brunt_outcome *outcome)
{
	struct seccomp_notif_resp answer = { .id = slot->notif.id };

	if (!outcome || !outcome->answered)
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (outcome->code)
		answer.error = -outcome->code;
	else
		answer.val = outcome->value;
	if (slot->notif.id && self->listeners[slot->listener] >= 0)
		(void)ioctl(self->listeners[slot->listener], SECCOMP_IOCTL_NOTIF_SEND, &answer);
	slot->due = 0;
	/* last: who takes over answers whatever has a number */
	__atomic_store_n(&slot->notif.id, 0, __ATOMIC_RELEASE);
}

/* ---- start ---- */

/*
 * To the top of cgroup v2, where nobody ends a cgroup as a whole: the end of what brunt runs in, or of a target's unit, must
 * not be the end of keeper and guardian at once, nor wait for them. Whoever may not stays; its guardian with it.
 */
static void leave_cgroup(void)
{
	char mount[256], path[300];
	BRUNT_AUTO_CLOSE int fd = -1;

	if (brunt_cgroup_mount(mount, sizeof(mount)))
		return;
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", mount);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "0", 1); /* who writes */
}

static void become_keeper(struct brunt_keep_shared *shared, int control, int wake)
{
	static struct keep_self self; /* the guardian's copy is made from it */
	const int keep[] = { control, wake };
	struct brunt_error err = { 0 };

	self = (struct keep_self){ .shared = shared,
				   .control = control,
				   .wake = wake,
				   .other = -1,
				   .pidfd = -1,
				   .epoll = -1,
				   .timer = -1,
				   .adopters = -1,
				   .adopter = -1 };
	for (size_t i = 0; i < BRUNT_COUNT(self.listeners); i++)
		self.listeners[i] = -1;
	leave_cgroup();
	if (brunt_role_enter(BRUNT_ROLE_KEEPER, &shared->identity, 0, keep, BRUNT_COUNT(keep), &err))
		_exit(1);
	keep_keeper_life(&self);
}

static int await_start(const struct brunt_keep *keep, struct brunt_error *err)
{
	struct pollfd event = { .fd = keep->control, .events = POLLIN };
	struct keep_message message = { 0 };
	int fd;

	if (poll(&event, 1, wait_ms(brunt_now() + START_WAIT)) != 1 ||
	    keep_receive(keep->control, &message, sizeof(message), &fd))
		return brunt_fail(err, EPIPE, "the keeper does not start");
	return message.number < 0
		       ? brunt_fail(err, -message.number, "the keeper cannot start: %s", strerror(-message.number))
		       : 0;
}

int brunt_keep_start(const struct brunt_identity *identity, uint64_t lease, struct brunt_keep *ret,
		     struct brunt_error *err)
{
	struct brunt_keep keep = BRUNT_KEEP_NONE;
	int pair[2] = { -1, -1 }, r = 0;
	pid_t pid;

	keep.shared = mmap(NULL, sizeof(*keep.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (keep.shared == MAP_FAILED)
		return brunt_fail(err, ENOMEM, "not enough memory for the keeper");
	keep.shared->lease = lease < KEEP_STALE ? KEEP_STALE : lease > KEEP_MOST ? KEEP_MOST : lease;
	keep.shared->identity = *identity;
	keep.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (keep.wake < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		r = brunt_fail(err, errno, "cannot make a socket for the keeper: %s", strerror(errno));
	keep.control = pair[0];
	pid = r ? -1 : fork();
	if (!pid)
		become_keeper(keep.shared, pair[1], keep.wake);
	if (!r && pid < 0)
		r = brunt_fail(err, errno, "cannot fork the keeper: %s", strerror(errno));
	if (pair[1] >= 0)
		(void)close(pair[1]);
	if (!r) {
		keep.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		r = keep.pidfd < 0 ? brunt_fail(err, errno, "cannot open the keeper: %s", strerror(errno))
				   : await_start(&keep, err);
	}
	if (r)
		brunt_keep_leave(&keep);
	else
		*ret = keep;
	return r;
}

void brunt_keep_leave(struct brunt_keep *keep)
{
	bool idle = !keep->shared || brunt_keep_is_idle(keep);

	if (keep->shared) {
		for (unsigned i = 0; i < keep->shared->rule_count; i++)
			brunt_keep_disarm(keep, i);
		(void)munmap(keep->shared, sizeof(*keep->shared));
	}
	if (keep->control >= 0)
		(void)close(keep->control);
	if (keep->wake >= 0)
		(void)close(keep->wake);
	if (keep->pidfd >= 0) {
		struct pollfd event = { .fd = keep->pidfd, .events = POLLIN };

		/* one that nobody needs is about to end */
		(void)poll(&event, 1, idle ? END_WAIT_MS : 0);
		(void)waitid(P_PIDFD, (id_t)keep->pidfd, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
		(void)close(keep->pidfd);
	}
	*keep = (struct brunt_keep)BRUNT_KEEP_NONE;
}

/* ---- rules and listeners ---- */

int brunt_keep_add(struct brunt_keep *keep, const struct brunt_call_rule *rule, struct brunt_error *err)
{
	unsigned number = keep->shared->rule_count;

	if (number == BRUNT_KEEP_RULES_MAX)
		return brunt_fail(err, E2BIG, "one run can have %d syscall faults", BRUNT_KEEP_RULES_MAX);
	keep->shared->rules[number].rule = *rule;
	__atomic_store_n(&keep->shared->rule_count, number + 1, __ATOMIC_RELEASE);
	return (int)number;
}

struct brunt_call_rule *brunt_keep_rule(const struct brunt_keep *keep, unsigned number)
{
	return &keep->shared->rules[number].rule;
}

int brunt_keep_filter(const struct brunt_keep *keep, struct sock_filter **ret, size_t *ret_count,
		      struct brunt_error *err)
{
	struct brunt_filter_rule wanted[2 * BRUNT_KEEP_RULES_MAX] = { 0 };
	size_t count = 0;

	for (unsigned i = 0; i < keep->shared->rule_count; i++) {
		const struct brunt_call_rule *rule = &keep->shared->rules[i].rule;

		wanted[count].calls = rule->calls;
		wanted[count].argument_count = rule->argument_count;
		memcpy(wanted[count++].arguments, rule->arguments, sizeof(rule->arguments));
		wanted[count++].calls = rule->relatives;
	}
	return brunt_filter_compile(wanted, count, ret, ret_count, err);
}

int keep_give(const struct brunt_keep *keep, enum keep_kind kind, int given, pid_t process, bool starting,
	      const struct keep_adopted *adopted, uint64_t until, struct brunt_error *err)
{
	struct keep_message message = { .process = process, .starting = starting, .kind = kind };
	struct pollfd event = { .fd = keep->control, .events = POLLIN };
	struct keep_message answer = { 0 };
	int fd, r;

	if (adopted)
		message.from = *adopted;
	r = keep_send(keep->control, &message, sizeof(message), given);
	if (r)
		return brunt_fail(err, -r, "the keeper takes no listener: %s", strerror(-r));
	do {
		if (poll(&event, 1, wait_ms(until)) != 1)
			return brunt_fail(err, ETIMEDOUT, "the keeper does not answer");
		r = keep_receive(keep->control, &answer, sizeof(answer), &fd);
		if (r)
			return brunt_fail(err, EPIPE, "the keeper is gone");
	} while (answer.process != process); /* to somebody who did not wait for it */
	if (answer.number < 0)
		return brunt_fail(err, -answer.number, "the keeper cannot take a listener: %s",
				  strerror(-answer.number));
	return answer.number;
}

int brunt_keep_give(const struct brunt_keep *keep, int listener, pid_t process, bool starting, uint64_t until,
		    struct brunt_error *err)
{
	return keep_give(keep, KEEP_GIVE, listener, process, starting, NULL, until, err);
}

/* Answers alone, until the last process with the filter has exited. */
static void pass(int listener)
{
	struct pollfd event = { .fd = listener, .events = POLLIN };
	union {
		struct seccomp_notif notif;
		unsigned char room[128];
	} call;

	while (!(event.revents & (POLLHUP | POLLERR))) {
		struct seccomp_notif_resp answer = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

		if (poll(&event, 1, -1) < 1 || !(event.revents & POLLIN))
			continue;
		memset(&call, 0, sizeof(call));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call.notif))
			continue;
		answer.id = call.notif.id;
		(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

int brunt_keep_entrust(const struct brunt_keep *keep, int listener, pid_t process, uint64_t until,
		       struct brunt_error *err)
{
	const struct brunt_identity identity = keep->shared->identity;
	struct brunt_keep other;
	int r = brunt_keep_give(keep, listener, process, false, until, err);

	if (r >= 0)
		return r;
	if (brunt_keep_start(&identity, KEEP_STALE, &other, NULL)) {
		pass(listener);
		return r;
	}
	if (brunt_keep_give(&other, listener, process, false, brunt_now() + START_WAIT, NULL) < 0)
		pass(listener);
	brunt_keep_leave(&other);
	return r;
}

void brunt_keep_assign(const struct brunt_keep *keep, unsigned listener, uint32_t rules, bool add)
{
	if (add)
		(void)__atomic_fetch_or(&keep->shared->listeners[listener].rules, rules, __ATOMIC_RELEASE);
	else
		(void)__atomic_fetch_and(&keep->shared->listeners[listener].rules, ~rules, __ATOMIC_RELEASE);
}

int brunt_keep_find(const struct brunt_keep *keep, pid_t process, uint64_t start)
{
	uint32_t count = __atomic_load_n(&keep->shared->listener_count, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < count; i++) {
		const struct keep_listener *listener = &keep->shared->listeners[i];

		if (listener->process == process && listener->start == start &&
		    !__atomic_load_n(&listener->pending, __ATOMIC_ACQUIRE) &&
		    !__atomic_load_n(&listener->over, __ATOMIC_ACQUIRE))
			return (int)i;
	}
	return -1;
}

/* ---- force ---- */

void brunt_keep_arm(const struct brunt_keep *keep, unsigned rule, uint64_t expires)
{
	struct keep_rule *of = &keep->shared->rules[rule];

	(void)__atomic_add_fetch(&of->generation, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&of->expires, expires, __ATOMIC_RELEASE);
}

void brunt_keep_renew(const struct brunt_keep *keep, unsigned rule, uint64_t expires)
{
	struct keep_rule *of = &keep->shared->rules[rule];
	uint64_t now = __atomic_load_n(&of->expires, __ATOMIC_ACQUIRE);

	if (now && brunt_now() < now)
		__atomic_store_n(&of->expires, expires, __ATOMIC_RELEASE);
}

void brunt_keep_disarm(const struct brunt_keep *keep, unsigned rule)
{
	const uint64_t one = 1;

	__atomic_store_n(&keep->shared->rules[rule].expires, 0, __ATOMIC_RELEASE);
	(void)__atomic_add_fetch(&keep->shared->disarms, 1, __ATOMIC_RELEASE);
	(void)!write(keep->wake, &one, sizeof(one));
}

/* Also a zombie is. A number that is another's by now says that it is not: whoever asks is none the worse for it. */
static bool is_dead(pid_t process)
{
	BRUNT_AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, process, 0);
	struct pollfd event = { .fd = pidfd, .events = POLLIN };

	return pidfd < 0 ? errno == ESRCH : poll(&event, 1, 0) == 1;
}

int brunt_keep_verify(const struct brunt_keep *keep, unsigned rule, uint64_t until)
{
	const struct timespec nap = { .tv_nsec = NAP };
	const struct brunt_keep_shared *shared = keep->shared;
	uint64_t wanted = __atomic_load_n(&shared->disarms, __ATOMIC_ACQUIRE);

	if (__atomic_load_n(&shared->rules[rule].expires, __ATOMIC_ACQUIRE))
		return -EBUSY;
	while (__atomic_load_n(&shared->disarms_seen, __ATOMIC_ACQUIRE) < wanted) {
		if (__atomic_load_n(&shared->passing, __ATOMIC_ACQUIRE) ||
		    __atomic_load_n(&shared->ended, __ATOMIC_ACQUIRE))
			return 0;
		/* a guardian with nobody to answer for does not take over */
		if (brunt_keep_is_lost(keep) && brunt_keep_is_idle(keep))
			return 0;
		if (brunt_now() >= until)
			return brunt_keep_is_lost(keep) && is_dead(brunt_keep_guardian(keep)) ? -EOWNERDEAD : -EBUSY;
		(void)nanosleep(&nap, NULL);
	}
	return 0;
}

/* ---- what is known ---- */

static uint64_t get(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

void brunt_keep_read(const struct brunt_keep *keep, unsigned rule, struct brunt_keep_counts *ret)
{
	const struct keep_rule *of = &keep->shared->rules[rule];

	*ret = (struct brunt_keep_counts){
		.seen = get(&of->seen),
		.refused = get(&of->refused),
		.matched = get(&of->matched),
		.hit = get(&of->hit),
		.cut = get(&of->cut),
		.others = get(&of->others),
		.lapsed = get(&of->generation) && get(&of->lapsed) == get(&of->generation),
		.hurt_count = __atomic_load_n(&of->hurt_count, __ATOMIC_ACQUIRE),
	};
	for (size_t i = 0; i < ret->hurt_count; i++) {
		ret->hurt[i] = of->hurt[i];
		ret->hurt[i].hit = get(&of->hurt[i].hit);
	}
	if (get(&of->expires) && brunt_now() >= get(&of->expires))
		ret->lapsed = true;
}

void brunt_keep_read_call(const struct brunt_keep *keep, unsigned rule, unsigned call, uint64_t *ret_matched,
			  uint64_t *ret_hit)
{
	const struct keep_rule *of = &keep->shared->rules[rule];

	*ret_matched = call < BRUNT_CALLS_MAX ? get(&of->matched_of[call]) : 0;
	*ret_hit = call < BRUNT_CALLS_MAX ? get(&of->hit_of[call]) : 0;
}

uint64_t brunt_keep_calls(const struct brunt_keep *keep, unsigned call)
{
	return call < BRUNT_CALLS_MAX ? get(&keep->shared->calls[call]) : 0;
}

bool brunt_keep_is_lost(const struct brunt_keep *keep)
{
	struct pollfd event = { .fd = keep->pidfd, .events = POLLIN };

	return __atomic_load_n(&keep->shared->passing, __ATOMIC_ACQUIRE) ||
	       (keep->pidfd >= 0 && poll(&event, 1, 0) == 1);
}

bool brunt_keep_is_idle(const struct brunt_keep *keep)
{
	uint32_t count = __atomic_load_n(&keep->shared->listener_count, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < count; i++)
		if (!__atomic_load_n(&keep->shared->listeners[i].over, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

pid_t brunt_keep_pid(const struct brunt_keep *keep)
{
	return __atomic_load_n(&keep->shared->keeper, __ATOMIC_ACQUIRE);
}

pid_t brunt_keep_guardian(const struct brunt_keep *keep)
{
	return __atomic_load_n(&keep->shared->guardian, __ATOMIC_ACQUIRE);
}
