/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fault is made of: one const struct per kind, one file per kind, one
 * line in injector/fault/registry.c.
 *
 * The life of a held fault, all of it inside the holder:
 *
 *   load      once, before the method: BPF objects, memory; nothing is attached
 *   prepare   victims are known: check them, fill in the undo record (read-only)
 *             -> the holder writes the record to the ledger
 *   attach    touch the host, still without effect
 *   arm       the fault begins (a store where the mechanism allows it)
 *   renew     the lease is extended
 *   poll      counters; is it still attached, is the target still there
 *   disarm    the fault ends (a store)
 *   verify    read back that nothing of it is left in effect
 *             (a pulse goes from here back to arm, with everything still attached, any number of times)
 *   detach    take away what attach made
 *   unload    once, at the end
 *
 * disarm, verify and detach are the only way back: normal end, abort, Ctrl-C
 * and a dead controller all take it. They are idempotent, clean up after a
 * half-done attach or arm, allocate nothing and parse nothing foreign.
 * `recover` does the same from the undo record alone, in another process, after
 * the holder died.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "brunt/param.h"

struct brunt_error;
struct brunt_names;
struct brunt_victims;
struct brunt_ways;

/* Who ends the fault when everything of ours dies. Decides what may be promised. */
enum brunt_undo {
	BRUNT_UNDO_KERNEL,	/* the kernel: it hangs on an object of the holder */
	BRUNT_UNDO_LEDGER,	/* `brunt recover`, from the ledger; inert until then */
	BRUNT_UNDO_TARGET_EXIT, /* stays, neutral, until the target exits */
	BRUNT_UNDO_EVENT,	/* cannot be undone: it happened */
};
const char *brunt_undo_text(enum brunt_undo undo); /* "kernel, when brunt ends", ... */

#define BRUNT_UNDO_SIZE 512

/* All that is needed to undo a change from another process: plain data, no pointers. Written to the ledger. */
struct brunt_undo_record {
	char fault[32]; /* the injector's name */
	uint32_t step;
	uint32_t version; /* of data's layout, by injector */
	char run[16];
	unsigned char data[BRUNT_UNDO_SIZE]; /* the injector's own */
};

/* What the counters of one fault say so far. */
struct brunt_hits {
	uint64_t seen;	   /* events that came by (packets, calls) */
	uint64_t matched;  /* of those, the ones that the fault is about */
	uint64_t hit;	   /* of those, the ones that were hurt */
	uint64_t unwanted; /* hurt that nobody asked for: a full queue, an undo in a hurry */
	bool detached;	   /* something took our link away */
	int silent_role;   /* detached: enum brunt_role of ours that ended or stands still; 0: none */
	bool target_gone;  /* nothing is left to hit */
	bool lapsed;	   /* the lease ran out */
	char breakdown
		[160]; /* of hit, where it has parts: "fsync 3 of 9, in redis-server 812 (3)"; "": nothing to say */
	char near_miss[160]; /* why hit may be 0: "saw 214 packets, none to port 5432"; "": nothing to say */
};

/* One fault of the plan. */
struct brunt_fault {
	const struct brunt_injector *injector;
	void *params;	  /* injector->table->size bytes, decoded */
	uint32_t step;	  /* flat index of its step */
	const char *name; /* of its step */
};

/* What a network fault does to one flow of its target. */
enum brunt_harm {
	BRUNT_HARM_NONE,  /* it is not about that flow */
	BRUNT_HARM_HURTS, /* slower, or with some loss: it lives */
	BRUNT_HARM_CUTS,  /* as good as nothing arrives */
};

/* What load() may use of the run. */
struct brunt_fault_context {
	const char *run; /* run id: eight hex digits; part of every kernel object's name where names exist */
	uint64_t seed;
	const char *cgroup_mount; /* of cgroup v2, or NULL */
	uint64_t lease_ns;
	const struct brunt_ways *ways; /* what must not be cut by accident, or NULL; the holder asks, no fault need */
};

struct brunt_injector {
	const char *name;    /* "packet.drop" */
	const char *summary; /* one phrase */
	enum brunt_undo undo;
	const char *no_pulse; /* why it cannot be pulsed ("its ... is made at attach"); NULL: it can */
	bool outlives; /* load forks a process that outlives the run: it comes before whatever a fork would keep alive */
	bool instant;  /* happens once at arm and holds nothing: `hold` makes no sense */
	unsigned wants;	       /* enum brunt_want */
	unsigned targets;      /* 1 << enum brunt_target_kind: the kinds of target it can hurt */
	uint64_t capabilities; /* 1 << CAP_x that the holder needs for it */
	uint64_t useful;       /* further ones that it uses when they are there; without, prepare may refuse */
	const char *hit_noun;  /* "packets dropped", "processes killed" */
	const struct brunt_table *table; /* parameters */

	/* Can this host do it at all? Read-only. 0, -ENOTSUP or -EPERM with a sentence to act on. NULL: always. */
	int (*probe)(struct brunt_error *err);

	/* Do the parameters make sense together, and with this kind of target? Pure. NULL: always. */
	int (*validate)(const void *params, int target_kind, struct brunt_error *err);

	/* Writes mechanism for dry-run: "cgroup_skb programs on 1 cgroup". victims may be NULL (not resolved yet). */
	void (*describe)(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf, size_t size);

	/*
	 * What a person should know before it is done to these victims (NULL: not resolved yet), one phrase a line, added
	 * to notes, and whether prepare would refuse them: 0 or -errno with the reason. Reads only. NULL: nothing to say.
	 */
	int (*look)(const struct brunt_fault *fault, const struct brunt_victims *victims, char *notes, size_t size,
		    struct brunt_error *err);

	/*
	 * What would it do to a flow of its target between these ends (one address each, or family alone when it is not
	 * known; port 0 likewise)? Pure; for what must not be cut by accident (injector/network/protect.h, which helps).
	 * NULL: it is no network fault.
	 */
	enum brunt_harm (*harm)(const void *params, const struct brunt_endpoint *own,
				const struct brunt_endpoint *remote);

	/* Everything that can be done before the method. *ret_state is the injector's own. */
	int (*load)(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		    struct brunt_error *err);

	/* victims stay valid until detach. Read-only for the host. */
	int (*prepare)(void *state, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
		       struct brunt_error *err);
	int (*attach)(void *state, struct brunt_error *err); /* NULL: nothing to attach */

	/* May follow a disarm without a detach between them: a pulse. expires: CLOCK_BOOTTIME ns. For an instant fault this is the deed. Non-zero: it did not (fully) begin. */
	int (*arm)(void *state, uint64_t expires, struct brunt_error *err);
	/* Also while a pulse has it off, when it must bring nothing into effect. NULL: has no lease of its own. */
	void (*renew)(void *state, uint64_t expires);

	/*
	 * The parameters that are ramps (BRUNT_RAMP) have moved: puts in force what brunt_ramp_at(ramp, elapsed_ns) says.
	 * elapsed_ns is CLOCK_BOOTTIME since the step was first armed, whether a pulse has the fault on or off. Called
	 * only when a ramp of the plan moves: with 0 before the first arm, with the time so far before every further one,
	 * and about every 100 ms while armed until all ramps stand still. Must not block, as renew. Non-zero: the fault is
	 * reverted and reported as lost. NULL: its table has no ramps.
	 */
	int (*change)(void *state, uint64_t elapsed_ns, struct brunt_error *err);
	int (*poll)(void *state, struct brunt_hits *ret); /* non-blocking; counts go on from load, over every prepare */
	/*
	 * What is undone next is undone because the run aborts, and the plan's on_abort is "now": nothing is waited for,
	 * loss is allowed and counted. A store; called before disarm, and while it settles. NULL: its undo never waits.
	 */
	void (*hurry)(void *state);
	void (*disarm)(void *state);			     /* NULL for events */
	int (*verify)(void *state, struct brunt_error *err); /* NULL for events; -EBUSY: still in effect */
	void (*detach)(void *state);			     /* NULL for events */
	/* What the journal should know, told once: "db.internal: 10.0.0.5". false: nothing new. NULL: never anything. */
	bool (*news)(void *state, char *buf, size_t size);
	/* What its host names stand for since prepare; NULL: it has none. Asked after prepare, and when there is news.
	 * With harm only: an address that a name stands for may be one that must not be cut. NULL: it never has any. */
	const struct brunt_names *(*names)(const void *state);
	/* After detach: 0: nothing of it is left; -EAGAIN: packets that waited are on their way and what carries them
	 * goes by itself soon; -EBUSY: it stays. Never blocks, allocates nothing. prepare may come before it is 0.
	 * NULL: detach leaves nothing. */
	int (*settled)(void *state, struct brunt_error *err);
	/* After detach the state may go through prepare again (resolve each, follow, a second apply). */
	void (*unload)(void *state); /* NULL is allowed as state */

	/* In another process, from the record alone, after the holder died. Idempotent. -EAGAIN: not at once, asked again
	 * later. NULL for events and where the kernel has done it; then recovery only reports it. */
	int (*recover)(const struct brunt_undo_record *undo, struct brunt_error *err);

	/* The child process that holds this fault (a pauser), or 0: it is one of brunt's own. NULL: never has one. */
	pid_t (*child)(void *state);
	int child_role; /* enum brunt_role of such a child */
};

/* All injectors, NULL-terminated, in the order in which people should read of them. */
extern const struct brunt_injector *const brunt_injectors[];

/* By name, or NULL. */
const struct brunt_injector *brunt_injector_find(const char *name);

/* Tests put a scripted injector in front of the registry; NULL takes it away. */
void brunt_injector_override(const struct brunt_injector *const *injectors);
