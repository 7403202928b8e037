/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user-space line: a child of the holder that reads packets from a TAP
 * device, keeps each for as long as the impairment says, and writes it back.
 * It outlives the holder only for what is waiting in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct brunt_error;
struct brunt_impairment;

/* ns: its heart beats at least so often, when it gets a CPU. */
#define BRUNT_LINE_BEAT	    UINT64_C(20000000)

#define BRUNT_LINE_KEEP_MAX 8

struct brunt_line; /* the holder's side; lies in memory shared with the child, made before the method */

struct brunt_line_stats {
	uint64_t packets, bytes; /* read */
	uint64_t sent;		 /* written back, duplicates included */
	uint64_t lost;		 /* by the loss asked for */
	uint64_t full;		 /* by a full line: unwanted */
	uint64_t failed; /* not taken back by the device (down, gone), killed with it, or not a frame: unwanted */
	uint64_t duplicated, reordered, corrupted;
	uint64_t waiting;	     /* now */
	uint64_t late_max, late_sum; /* ns past their due time */
	uint64_t
		behind_max; /* ns that it never found its device empty: more came than it can carry, and waited unseen */
};

/* Can the line do it (delay, jitter, loss, duplicate, reorder, corrupt, rate)? -ENOTSUP names what it cannot. Pure. */
int brunt_line_supports(const struct brunt_impairment *impairment, struct brunt_error *err);

/*
 * What a line cannot exceed, for dry-run: packets by the CPU time that one was measured to take (5.2 us; about 100,000 a
 * second were seen to pass), bits by a TCP stream.
 */
const char *brunt_line_ceiling(void);

int brunt_line_new(struct brunt_line **ret, struct brunt_error *err);

/*
 * Forks the child, which begins meanwhile: see await. tap: queue of the TAP device with IFF_VNET_HDR, non-blocking, a queue of at
 * least 10,000 packets (what comes while the line has no CPU waits there); keep: descriptors that must stay open in it
 * as long as packets are waiting (count of them, at most BRUNT_LINE_KEEP_MAX); every other inherited one is closed at
 * once. Has no privileges.
 *
 * When it is stopped, or the holder is gone (end of a socket), the line goes on with what waits and what is still
 * steered to it, until both are no more: 20 ms without a packet when it was stopped, 300 ms when the holder died, for
 * the kernel takes that long to take off a classifier. At most max_linger ns: what waits then is sent early. It exits
 * at once when its device is gone. 0 or -errno.
 */
int brunt_line_fork(struct brunt_line *line, int tap, const int *keep, size_t count,
		    const struct brunt_impairment *impairment, uint64_t max_linger, struct brunt_error *err);

/*
 * Waits until it works, at most until CLOCK_BOOTTIME deadline: whoever waits renews the leases of others. 0, -ETIMEDOUT,
 * or why it does not, -errno; then it is killed.
 */
int brunt_line_await(struct brunt_line *line, uint64_t deadline, struct brunt_error *err);

/* Other parameters, from the next packet on. A store. */
void brunt_line_change(struct brunt_line *line, const struct brunt_impairment *impairment);

/* Did its heart beat within the last max_silence ns? Several times BRUNT_LINE_BEAT. */
bool brunt_line_alive(const struct brunt_line *line, uint64_t max_silence);

void brunt_line_read(const struct brunt_line *line, struct brunt_line_stats *ret);

/* What waits is still sent (drain) or dropped; steer no more packets to it first. Never blocks. */
void brunt_line_stop(struct brunt_line *line, bool drain);

/* One that drains drops what still waits in it: so many packets. */
uint64_t brunt_line_hurry(struct brunt_line *line);

/* The child, for the ledger and for those who must not hit it; 0: none. */
pid_t brunt_line_pid(const struct brunt_line *line);

/*
 * 0: has ended and was reaped; -EAGAIN. Never blocks. One that was told to end and is late (stopped, hanging) gets
 * SIGKILL here; what waited in it counts as failed.
 */
int brunt_line_ended(struct brunt_line *line);

/* Kills what still runs. */
void brunt_line_free(struct brunt_line *line);
