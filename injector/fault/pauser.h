/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pauser: a child of the holder that traces one process and so can stop
 * it in a way that ends by itself. When the pauser dies, however it dies, the
 * kernel lets the process run on.
 *
 * It dies with the holder (death signal, end of the socket) and, should the
 * holder merely stand still, by its own dead man's timer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "brunt/target.h"

struct brunt_error;

struct brunt_pauser {
	pid_t pid; /* 0: none; kept after the end, for brunt_pauser_holds() */
	int pidfd; /* of the pauser, -1 when it has ended */
	int socket;
	bool paused;
	struct brunt_process victim;
};

/*
 * Forks it; it begins to seize every thread of the victim, which runs on. deadline: CLOCK_BOOTTIME ns, when it gives
 * up by itself unless brunt_pauser_pause() was called. Does not wait: see brunt_pauser_await(). 0 or -errno.
 */
int brunt_pauser_start(const struct brunt_process *victim, uint64_t deadline, struct brunt_pauser *ret,
		       struct brunt_error *err);

/* Tells it to stop the victim and to let go at expires. Does not wait. 0, or -EPIPE when it has ended. */
int brunt_pauser_pause(struct brunt_pauser *pauser, uint64_t expires, struct brunt_error *err);

/* Waits for the answer to the last of the two, at most until CLOCK_BOOTTIME until. 0 or -errno with the reason. */
int brunt_pauser_await(struct brunt_pauser *pauser, uint64_t until, struct brunt_error *err);

/* A later end of the lease. Never blocks. */
void brunt_pauser_renew(struct brunt_pauser *pauser, uint64_t expires);

/* Has it ended without being told to? */
bool brunt_pauser_is_lost(const struct brunt_pauser *pauser);

/* Tells it to let go and end. Never blocks, allocates nothing. */
void brunt_pauser_release(struct brunt_pauser *pauser);

/* Waits until it has ended, kills it at CLOCK_BOOTTIME until, reaps it. Allocates nothing. */
void brunt_pauser_reap(struct brunt_pauser *pauser, uint64_t until);

/* Does it, read from /proc, still trace any thread of the victim? Allocates nothing. */
bool brunt_pauser_holds(const struct brunt_pauser *pauser);

/* What /proc/PID/status says: the letter of State, and TracerPid. 0 or -ESRCH. Allocates nothing. */
int brunt_pauser_read_state(pid_t pid, pid_t thread, char *ret_state, pid_t *ret_tracer);

/* The wire between holder and pauser; for pauser_child.c. */
enum brunt_pauser_kind { BRUNT_PAUSER_READY, BRUNT_PAUSER_PAUSE, BRUNT_PAUSER_RENEW, BRUNT_PAUSER_RELEASE };

struct brunt_pauser_message {
	uint32_t kind; /* answers bear the kind that they answer; READY answers the start */
	int32_t code;  /* answers: 0 or -errno */
	uint64_t expires;
	char text[160]; /* answers: why */
};

/* The life of the pauser, in the child; never returns. */
void brunt_pauser_main(const struct brunt_process *victim, uint64_t deadline, int socket) __attribute__((noreturn));
