/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child of the holder that holds a fault by living: what it has open goes
 * with it. The holder's side; the other side is a function that never returns,
 * which becomes a role (brunt_role_enter()), answers READY, and then serves
 * the socket: its end means RELEASE. It has a dead man's timer of its own for
 * the lease.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct brunt_error;

enum brunt_child_kind { BRUNT_CHILD_READY, BRUNT_CHILD_ARM, BRUNT_CHILD_RENEW, BRUNT_CHILD_RELEASE };

/* The wire, one message a packet. */
struct brunt_child_message {
	uint32_t kind; /* answers bear the kind that they answer; READY answers the start */
	int32_t code;  /* answers: 0 or -errno */
	uint64_t expires;
	char text[160]; /* answers: why */
};

struct brunt_child {
	const char *name;  /* "hoarder" */
	pid_t pid;	   /* 0: none */
	int pidfd, socket; /* -1: none */
};

#define BRUNT_CHILD_NONE                                                                                               \
	{                                                                                                              \
		.pidfd = -1, .socket = -1                                                                              \
	}

/*
 * Forks; the child calls life(what, deadline, socket), which gives up by itself at deadline (CLOCK_BOOTTIME ns) unless
 * it was told BRUNT_CHILD_ARM. Does not wait: see brunt_child_await(). 0 or -errno.
 */
int brunt_child_start(const char *name, void (*life)(const void *what, uint64_t deadline, int socket), const void *what,
		      uint64_t deadline, struct brunt_child *ret, struct brunt_error *err);

/* Never blocks, allocates nothing. 0, or -EPIPE when it has ended. */
int brunt_child_tell(const struct brunt_child *child, enum brunt_child_kind kind, uint64_t expires);

/* Waits for the answer to the start or to ARM, at most until CLOCK_BOOTTIME until. 0 or -errno with the reason. */
int brunt_child_await(const struct brunt_child *child, uint64_t until, struct brunt_error *err);

/* Is it there no more, although nobody reaped it? */
bool brunt_child_is_lost(const struct brunt_child *child);

/* Waits until it has ended, and with it all that it had open, or until CLOCK_BOOTTIME until. Allocates nothing. */
bool brunt_child_has_ended(const struct brunt_child *child, uint64_t until);

/* Sends it SIGKILL: also to one that is stopped. Does not wait, allocates nothing. */
void brunt_child_kill(const struct brunt_child *child);

/* Closes the socket, waits until CLOCK_BOOTTIME until, kills it, reaps it. Allocates nothing. May be called twice. */
void brunt_child_reap(struct brunt_child *child, uint64_t until);

/* The child's side: answers a message. */
void brunt_child_answer(int socket, enum brunt_child_kind kind, const struct brunt_error *err);
