/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: the process that answers for every system call that a filter
 * asks about, until the last process with that filter has exited.
 *
 * A filter cannot be taken off, and when the last copy of its listener closes,
 * every call that it asks about returns ENOSYS for ever after
 * (seccomp_unotify(2)). So the keeper outlives the run, and has a guardian: a
 * second process with the same listeners that does nothing but look whether the
 * keeper lives and moves. When it does not, the guardian kills what is left of
 * it, answers the calls that it had taken, and goes on letting all calls pass,
 * with a new guardian of its own. What the keeper has taken stands in shared
 * memory from the moment that the kernel gives it away: the kernel writes there.
 *
 * Whether a rule is in force is decided here and leased: a time in shared
 * memory that somebody alive has to move on. After it, and in every doubt, the
 * call happens as if nobody had asked.
 *
 * One keeper serves all rules and all targets of a run. The guardian lives in
 * the cgroup of the target, where what ends brunt does not reach it, and is not
 * called brunt.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "brunt/role.h"
#include "syscall/rule.h"

struct brunt_error;
struct brunt_keep_shared;

#define BRUNT_KEEP_RULES_MAX	 32
#define BRUNT_KEEP_LISTENERS_MAX 512
#define BRUNT_KEEP_HURT_MAX	 16

struct brunt_keep {
	struct brunt_keep_shared *shared; /* NULL: none */
	int control;			  /* to the keeper; its end means that nobody will arm anything again */
	int wake;			  /* eventfd */
	int pidfd;			  /* of the keeper */
};
#define BRUNT_KEEP_NONE                                                                                                \
	{                                                                                                              \
		.control = -1, .wake = -1, .pidfd = -1                                                                 \
	}

struct brunt_keep_counts {
	uint64_t seen;	  /* calls of the rule's set, by the processes that it is about */
	uint64_t refused; /* of those, the ones of which the keeper may not read what they are about */
	uint64_t matched; /* of those, while it was in force, the ones whose conditions held */
	uint64_t hit;
	uint64_t
		cut; /* hits in calls that waited and were let go, by the end of this fault or of another that hit them */
	bool lapsed;
	struct brunt_keep_hurt {
		pid_t process;
		char name[16];
		uint64_t hit;
	} hurt[BRUNT_KEEP_HURT_MAX]; /* most recent newcomers are left out when there are more */
	size_t hurt_count;
	uint64_t others; /* hits in processes beyond those */
};

/*
 * Forks keeper and guardian. lease: after how long without a sign of life the guardian steps in, at least half a
 * second and at most one. The caller must hold nothing that a fork would keep alive. 0 or -errno.
 */
int brunt_keep_start(const struct brunt_identity *identity, uint64_t lease, struct brunt_keep *ret,
		     struct brunt_error *err);

/* Adds a rule, not in force; only before brunt_keep_filter(). -E2BIG. Returns its number. */
int brunt_keep_add(struct brunt_keep *keep, const struct brunt_call_rule *rule, struct brunt_error *err);

/* The rule as the keeper reads it, for probability and delay, which may be stored at any time. */
struct brunt_call_rule *brunt_keep_rule(const struct brunt_keep *keep, unsigned number);

/* The filter that asks about what all rules are about. *ret is the caller's to free. 0 or -errno. */
int brunt_keep_filter(const struct brunt_keep *keep, struct sock_filter **ret, size_t *ret_count,
		      struct brunt_error *err);

/*
 * Hands over a listener, and waits until keeper and guardian have it, at most until CLOCK_BOOTTIME until; the caller
 * keeps its copy and closes it then. Also from a child of who started it, by keep->control. starting: what comes before
 * the process has executed its program is nobody's business. Returns the listener's number or -errno.
 */
int brunt_keep_give(const struct brunt_keep *keep, int listener, pid_t process, bool starting, uint64_t until,
		    struct brunt_error *err);

/*
 * The same for a process that runs already, and must live on whatever happens: without a listener its calls would fail
 * for ever after. When the keeper does not take it, another one is started that lets everything pass; and when that
 * cannot be, the caller does so itself, and this returns only when the process, and what it forked, have exited.
 */
int brunt_keep_entrust(const struct brunt_keep *keep, int listener, pid_t process, uint64_t until,
		       struct brunt_error *err);

/*
 * Has an earlier run given the process its filter? 0: no; 1: yes, and it asks about all that is needed; -EBUSY: it does
 * not, or that run still goes on, with the reason. Reads only.
 */
int brunt_keep_earlier(pid_t process, const struct brunt_call_set *needed, struct brunt_error *err);

/*
 * Takes over what the keeper of that earlier run has, and ends it. 0; -EBUSY with the reason (also when its listener is
 * not of ours), -errno. Also from a child of who started keep.
 */
int brunt_keep_adopt(const struct brunt_keep *keep, pid_t process, const struct brunt_call_set *needed,
		     struct brunt_error *err);

/* Calls visit for every process that has a filter of ours, of whatever run: who answers for it, and which calls. */
void brunt_keep_each(void (*visit)(void *user, pid_t keeper, pid_t process, const struct brunt_call_set *asks),
		     void *user);

/* Does the filter of that listener ask about all that is needed? One of this run does. 0; -EBUSY with what is missing. */
int brunt_keep_covers(const struct brunt_keep *keep, unsigned listener, const struct brunt_call_set *needed,
		      struct brunt_error *err);

/* The parent of a process; 0: none, or it is gone. */
pid_t brunt_keep_parent(pid_t process);

/* Which rules (bits) are about the processes of a listener. A store. */
void brunt_keep_assign(const struct brunt_keep *keep, unsigned listener, uint32_t rules, bool add);

/* The number of the listener of a process that was given, by pid and start (field 22 of /proc/PID/stat); -1. */
int brunt_keep_find(const struct brunt_keep *keep, pid_t process, uint64_t start);

/* Stores. A lapsed rule stays lapsed until it is armed again. */
void brunt_keep_arm(const struct brunt_keep *keep, unsigned rule, uint64_t expires);
void brunt_keep_renew(const struct brunt_keep *keep, unsigned rule, uint64_t expires);
void brunt_keep_disarm(const struct brunt_keep *keep, unsigned rule);

/*
 * After disarm: is no call being held or answered by it any more? Waits until CLOCK_BOOTTIME until. 0; -EBUSY;
 * -EOWNERDEAD: keeper and guardian are dead, and somebody has a filter that nobody answers for. Allocates nothing.
 */
int brunt_keep_verify(const struct brunt_keep *keep, unsigned rule, uint64_t until);

void brunt_keep_read(const struct brunt_keep *keep, unsigned rule, struct brunt_keep_counts *ret);

/* Of what brunt_keep_read() says, the part that is one call of the table. */
void brunt_keep_read_call(const struct brunt_keep *keep, unsigned rule, unsigned call, uint64_t *ret_matched,
			  uint64_t *ret_hit);

/* How often a call was made that the filter asks about, by all processes together, in force or not. */
uint64_t brunt_keep_calls(const struct brunt_keep *keep, unsigned call);

/* The keeper did not live: nothing is hurt any more, and nothing can be. */
bool brunt_keep_is_lost(const struct brunt_keep *keep);

/* Has every process with a filter of ours exited? */
bool brunt_keep_is_idle(const struct brunt_keep *keep);

pid_t brunt_keep_pid(const struct brunt_keep *keep);
pid_t brunt_keep_guardian(const struct brunt_keep *keep);

/* Lets go: keeper and guardian go on alone, letting everything pass, and end with the last target. Idempotent. */
void brunt_keep_leave(struct brunt_keep *keep);
