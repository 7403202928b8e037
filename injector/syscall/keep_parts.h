/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's inside, for these files alone:
 *
 *   keep.c        the holder's side
 *   keeper.c      the loop
 *   keep_ask.c    what becomes of a call
 *   keep_wait.c   calls that wait
 *   keep_adopt.c  what the keeper hands over to a later run
 *   keep_earlier.c  what a later run takes over
 *   guardian.c    the other one
 */
#pragma once

#include <linux/seccomp.h>

#include "syscall/keep.h"

/* From newer linux/seccomp.h than Debian 12's: commit 48a1084a8b74 ("seccomp: add the synchronous mode ..."), v6.6. */
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS	   SECCOMP_IOW(4, __u64)
#endif

#define KEEP_SLOTS_MAX 1024 /* calls that wait at once; more pass */

/* A call that was taken from the kernel. The kernel writes its number into notif while it gives it away. */
struct keep_slot {
	union {
		struct seccomp_notif notif;
		unsigned char room[128]; /* later kernels may tell more */
	};
	uint32_t listener;
	uint32_t rules;	      /* bits: whose delays it waits for, and whose answer it gets */
	uint64_t due;	      /* CLOCK_BOOTTIME; 0: not waiting */
	uint64_t generations; /* of these rules, added up: each only grows */
	struct brunt_outcome outcome;
};

struct keep_rule {
	struct brunt_call_rule rule;
	/* the holder's */
	uint64_t expires;    /* CLOCK_BOOTTIME; 0: not in force */
	uint64_t generation; /* counts arms */
	/* the keeper's */
	uint64_t lapsed; /* the generation whose lease ran out */
	uint64_t count;	 /* of calls that fit, all processes together */
	uint64_t seen, refused, matched, hit, cut;
	uint64_t matched_of[BRUNT_CALLS_MAX], hit_of[BRUNT_CALLS_MAX];
	uint64_t others;
	struct brunt_keep_hurt hurt[BRUNT_KEEP_HURT_MAX];
	uint64_t hurt_count;
};

struct keep_listener {
	pid_t process;		    /* that was given it; 0: unused */
	uint32_t rules;		    /* bits: about its processes; the holder's */
	uint32_t starting;	    /* until it has executed its program */
	uint32_t over;		    /* all its processes have exited */
	uint32_t adopted;	    /* its filter is an earlier run's */
	uint32_t pending;	    /* another keeper answers until it is all handed over */
	uint64_t start;		    /* of process, clock ticks since boot */
	struct brunt_call_set asks; /* what its filter asks about, whatever the arguments */
};

struct brunt_keep_shared {
	uint64_t lease;
	struct brunt_identity identity;
	uint32_t rule_count;	 /* the holder's */
	uint32_t listener_count; /* the keeper's */
	uint64_t disarms;	 /* counted by the holder */
	uint64_t disarms_seen;	 /* by the keeper: of these none is in force in any call any more */
	pid_t keeper, guardian;
	uint64_t keeper_beat, guardian_beat; /* CLOCK_BOOTTIME of the last sign of life */
	uint32_t passing;  /* latched: the first keeper is dead, and all that it had taken is answered */
	uint32_t ended;	   /* the keeper ends in good order */
	uint32_t adopting; /* who is pending is another keeper's */
	uint64_t calls[BRUNT_CALLS_MAX];
	struct keep_listener listeners[BRUNT_KEEP_LISTENERS_MAX];
	struct keep_rule rules[BRUNT_KEEP_RULES_MAX];
	struct keep_slot slots[KEEP_SLOTS_MAX];
};

/* What the keeper of an earlier run knows of a listener. */
struct keep_adopted {
	uint64_t start;		    /* of its process */
	struct brunt_call_set asks; /* its filter, whatever the arguments */
};

/* One message on the control socket, with the listener as SCM_RIGHTS; the answer has none. */
enum keep_kind {
	KEEP_GIVE,
	KEEP_ADOPT_FIRST, /* what was adopted before, and not served yet, is of nobody's use any more */
	KEEP_ADOPT,
	KEEP_ADOPTED, /* the descriptor is the connection to the earlier keeper: now it is this one that answers */
};
struct keep_message {
	pid_t process;
	uint32_t starting;
	uint32_t kind;
	struct keep_adopted from;
	int32_t number; /* the answer: of the listener, or -errno; from keeper to guardian: of the listener */
};

/*
 * Sends one message with a descriptor (-1: none); 0 or -errno. Receives one of exactly that size; *ret_fd is -1 when it
 * has none. Neither blocks.
 */
int keep_send(int socket, const void *message, size_t size, int fd);
int keep_receive(int socket, void *ret, size_t size, int *ret_fd);

#define KEEP_BEAT  (100 * 1000000ULL)  /* ns between signs of life */
#define KEEP_STALE (500 * 1000000ULL)  /* the least that is too long */
#define KEEP_MOST  (1000 * 1000000ULL) /* and the most: for as long a target stands still */
#define KEEP_AGAIN (100 * 1000000ULL)  /* between two guardians, should they die at once */

/* What keeper and guardian have in common. */
struct keep_self {
	struct brunt_keep_shared *shared;
	int control; /* from the holder; -1: nobody is there any more */
	int wake;
	int other; /* socket to the other one; -1: none */
	int pidfd; /* of the other one; -1: none */
	int epoll;
	int timer;
	int adopters;				 /* listens for later runs; -1: none */
	int adopter;				 /* one that is being served; -1: none */
	bool last_first;			 /* the kernel gives the last call that came first */
	int listeners[BRUNT_KEEP_LISTENERS_MAX]; /* -1: none */
};

/* The answer to one call. Errors mean that nobody waits for it any more. The slot is free then. */
void keep_answer(const struct keep_self *self, struct keep_slot *slot, const struct brunt_outcome *outcome);

/* Counts one; others may read meanwhile. */
/* clang-tidy knows no atomic stores. NOLINTNEXTLINE(readability-non-const-parameter) */
static inline void keep_add(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* ---- keep_ask.c ---- */

/* Is it? Latches a lease that ran out. */
bool keep_is_in_force(struct keep_rule *rule, uint64_t now);
/* Are all rules that the slot's call waits for, as they were when they were asked? */
bool keep_is_still_meant(struct keep_self *self, const struct keep_slot *slot, uint64_t now);
/* Asks the rules about a call that was taken. */
void keep_decide(struct keep_self *self, struct keep_slot *slot, uint64_t now, struct brunt_outcome *ret);

/* ---- keep_adopt.c ---- */

/* A socket for later runs, or -1. */
int keep_adopt_listen(void);
/* One of them, or -1. */
int keep_adopt_accept(int listening);
/* Serves a message; false: it is over with that one. *ret_done: it has everything, and this keeper is of no use any more. */
bool keep_adopt_serve(struct keep_self *self, int peer, bool *ret_done);
/* brunt_keep_give(), and what adopting needs; adopted: of KEEP_ADOPT_FIRST and KEEP_ADOPT, else NULL. */
int keep_give(const struct brunt_keep *keep, enum keep_kind kind, int fd, pid_t process, bool starting,
	      const struct keep_adopted *adopted, uint64_t until, struct brunt_error *err);

/* ---- keep_wait.c ---- */

void keep_wait_begin(void);
/* A slot for a call: there is always one, unless the spare one was taken, too. Given back once the call is answered. */
uint32_t keep_take_slot(void);
void keep_free_slot(uint32_t number);
bool keep_has_spare_slot(void);
/* The slot that was taken waits until its due time, and is free then; false: there would be no spare one left. */
bool keep_let_wait(struct keep_self *self, uint32_t number);
void keep_serve_due(struct keep_self *self, uint64_t now);
/* What waits with a part of a rule that is not in force any more goes on at once, unharmed. */
void keep_cut_short(struct keep_self *self, uint64_t now);
void keep_drop_listener(struct keep_self *self, unsigned listener);
void keep_set_timer(struct keep_self *self);
void keep_timer_fired(void);

/* How the processes appear in ps: what they are for. */
void keep_title(const char *comm, const char *title);

/* Become the keeper's and the guardian's life, after brunt_role_enter; never return. */
void keep_keeper_life(struct keep_self *self) __attribute__((noreturn));
void keep_guardian_life(struct keep_self *self) __attribute__((noreturn));

/* Forks a guardian for the calling keeper; sets self->other, self->pidfd. 0 or -errno. No allocation. */
int keep_fork_guardian(struct keep_self *self);
