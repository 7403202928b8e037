/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The detour's inside, for detour*.c alone:
 *
 *   detour.c          the life of a detour, as detour.h has it
 *   detour_places.c   namespaces and interfaces of the victims, and what is refused
 *   detour_processes.c  processes of the victims, tags on their sockets
 *   detour_devices.c  our devices, and what stands in them
 *   detour_attach.c   programs, one for each leg; links, or filters before tcx
 *   detour_linger.c   the child that waits for what is queued
 *   detour_recover.c  what another process does after a crash
 */
#pragma once

#include "detour/detour.h"

#include "../../bpf/detour.h"
#include "program/bpf.h"
#include "network/netns.h"
#include "network/rtnl.h"

struct detour_bpf;

#define BRUNT_DETOUR_PLACES_MAX 8

/* Of legs: one for each time that the detour is held, as long as packets of it are under way. */
#define BRUNT_DETOUR_SETS 4

/* Every device of ours can take what any device sends: veth's largest (ETH_MAX_MTU). */
#define BRUNT_DETOUR_MTU 65535

struct brunt_detour_part {
	struct brunt_leg leg; /* what the back end sees */
	unsigned number;      /* in control->legs; from attach on */
	unsigned place;	      /* index */
	unsigned type;	      /* ARPHRD_x of the real device */
	unsigned gso_max_size, gso_max_segs;
	unsigned peer;	   /* d1's index in the private namespace; 0: none */
	unsigned instance; /* of the tag */
	bool made;	   /* our device is there */
	bool started;	   /* the back end is */
	int inner[3];	   /* links at our devices */
	size_t inner_count;
	int classifier;	   /* link; -1: none, or a filter */
	unsigned priority; /* of the filter; 0: none */
};

/* What is left after a detach, until it is gone by itself. */
struct brunt_detour_trail {
	pid_t linger;	/* 0: none, or reaped */
	uint64_t until; /* CLOCK_BOOTTIME; when it should be */
	unsigned set;	/* of its legs */
	bool given_up;	/* what waited is counted as lost, and the linger killed */
	struct brunt_netns places[BRUNT_DETOUR_PLACES_MAX];
	size_t count; /* of devices */
	struct {
		unsigned place, index;
		char name[IF_NAMESIZE];
	} devices[BRUNT_DETOUR_LEGS_MAX];
};

struct brunt_detour {
	const struct brunt_detour_match *match;
	const struct brunt_detour_backend *backend;
	void *opaque;
	char label[48], run[16], mount[4096];
	uint64_t max_linger;

	struct detour_bpf *skeleton;
	struct brunt_bpf bpf;
	struct brunt_detour_control *control;
	bool has_tcx;

	const struct brunt_victims *victims; /* from prepare to detach */
	int home;			     /* our own network namespace */
	int hidden;			     /* where d1 lives; -1: none */
	struct brunt_netns places[BRUNT_DETOUR_PLACES_MAX];
	size_t place_count;
	struct brunt_detour_part parts[BRUNT_DETOUR_LEGS_MAX];
	size_t part_count;

	struct brunt_rtnl rtnl;				     /* in the private namespace, for poll */
	struct brunt_rtnl spoken;			     /* for whatever else; closed between uses */
	pid_t linger;					     /* 0: none, or reaped */
	int linger_pipe;				     /* its end of file sets the linger to work */
	unsigned set;					     /* of legs, from attach on */
	struct brunt_detour_trail trails[BRUNT_DETOUR_SETS]; /* newest first; those without a device are over */
	uint64_t lease;					     /* ns */
	uint64_t lost;
	uint64_t tagged; /* sockets */
	uint64_t seen;	 /* at the last poll */
};

/* In the undo record. */
struct brunt_detour_undo {
	char run[9];
	uint8_t count, places, padding;
	uint64_t inodes[BRUNT_DETOUR_PLACES_MAX];
	struct brunt_detour_undo_entry {
		uint32_t interface;
		uint32_t name; /* hash: an index may be used again */
		uint8_t place, flags, padding[2];
	} entries[BRUNT_DETOUR_LEGS_MAX];
	/* since version 2 */
	uint32_t label; /* hash: whose devices are meant, of all that the run has */
	uint32_t linger_ms;
};
#define BRUNT_DETOUR_UNDO_VERSION 2
#define BRUNT_DETOUR_UNDO_INGRESS 1
#define BRUNT_DETOUR_UNDO_CLSACT  2 /* there was none: it is ours */

uint32_t brunt_detour_hash(const char *name);

/* detour_places.c */
int brunt_detour_find(struct brunt_detour *detour, struct brunt_detour_undo *ret_undo, struct brunt_error *err);
/* Is another run's detour on one of our legs? For a second look, when ours can be seen by others. */
int brunt_detour_check_others(struct brunt_detour *detour, struct brunt_error *err);
const char *brunt_detour_alias(const struct brunt_detour *detour, const struct brunt_detour_part *part, char *buf,
			       size_t size);

/* detour_processes.c: visit every process below a cgroup; ends at the first non-zero. */
int brunt_cgroup_each(const char *mount, const char *path, int (*visit)(void *user, pid_t pid), void *user,
		      struct brunt_error *err);
/* Tags all sockets of the victims, those that are made from now on, too. */
int brunt_detour_tag(struct brunt_detour *detour, struct brunt_error *err);
void brunt_detour_untag(struct brunt_detour *detour);

/* detour_devices.c */
int brunt_detour_make_devices(struct brunt_detour *detour, struct brunt_error *err);
/* Makes one in a namespace of its own, to know. */
int brunt_detour_try_devices(bool tap, struct brunt_error *err);

/* detour_attach.c */
enum brunt_detour_program { BRUNT_DETOUR_CLASSIFIER, BRUNT_DETOUR_BACK, BRUNT_DETOUR_GATE, BRUNT_DETOUR_BOUNCE };
/* At a device of ours, in the calling thread's namespace. */
int brunt_detour_attach_inner(struct brunt_detour *detour, struct brunt_detour_part *part,
			      enum brunt_detour_program program, unsigned index, bool ingress, struct brunt_error *err);
int brunt_detour_attach_classifiers(struct brunt_detour *detour, struct brunt_error *err);
void brunt_detour_detach_classifiers(struct brunt_detour *detour);
bool brunt_detour_is_attached(struct brunt_detour *detour);

/* detour_linger.c */
/* Legs that no packet under way needs; when there are none, the oldest trail is given up. TAP: -EBUSY then. */
int brunt_detour_choose_legs(struct brunt_detour *detour, struct brunt_error *err);
int brunt_detour_fork_linger(struct brunt_detour *detour, struct brunt_error *err);
/* Packets that wait in all legs now. ret_unknown: is there a leg that could not be asked? May be NULL. */
uint64_t brunt_detour_backlog(struct brunt_detour *detour, bool *ret_unknown);
/* Is this child still there? Reaps it when not. */
bool brunt_detour_linger_runs(pid_t *linger);
/* After detach: leaves a trail, and sets the linger to work or kills it. */
void brunt_detour_leave(struct brunt_detour *detour, bool drain);
