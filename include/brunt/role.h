/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a run. `brunt run` reads the plan, makes the shared memory
 * and the socketpairs, forks every role, then becomes the controller. Each
 * role is a row of one table; docs/architecture.md and a test against /proc
 * are made from it.
 *
 *   brunt run
 *     ├─ journal     writes the journal file           (own process: a stalled disk must not cost the lease)
 *     ├─ screen      draws the live view or plain lines, prints the summary (a full pipe must not cost the lease)
 *     ├─ recoverer   waits for the holder's end; finishes from the ledger when it died; writes --result
 *     │    └─ holder      owns lock, ledger, leases, every held object
 *     │         ├─ pauser     one per paused process: its tracer
 *     │         ├─ resolver   one per fault with host names: looks them up
 *     │         ├─ line       one per direction of an interface: delays packets where the kernel cannot
 *     │         ├─ hoarder    one per tcp.hold: has the connections
 *     │         ├─ grafter    gives running processes a seccomp filter; ends at once
 *     │         ├─ keeper     one per run with syscall faults: answers for their targets, and outlives the run
 *     │         └─ responder  one per network namespace whose lookups are hurt: answers them
 *     ├─ launcher    init of the run's PID namespace: services and commands, as their users
 *     └─ (itself)    controller: plan, clock, SLIs, guardrails, verdict
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "brunt/target.h"

struct brunt_error;
struct brunt_plan;

enum brunt_role {
	BRUNT_ROLE_CONTROLLER,
	BRUNT_ROLE_HOLDER,
	BRUNT_ROLE_PAUSER,
	BRUNT_ROLE_RESOLVER,
	BRUNT_ROLE_LINE,
	BRUNT_ROLE_HOARDER,
	BRUNT_ROLE_RESPONDER,
	BRUNT_ROLE_GRAFTER,
	BRUNT_ROLE_KEEPER,
	BRUNT_ROLE_RECOVERER,
	BRUNT_ROLE_LAUNCHER,
	BRUNT_ROLE_JOURNAL,
	BRUNT_ROLE_SCREEN,
	_BRUNT_ROLE_MAX
};

enum brunt_role_user {
	BRUNT_USER_ROOT,   /* keeps the uid that brunt was started with */
	BRUNT_USER_CALLER, /* SUDO_UID, or nobody when started as root without sudo, or oneself */
	BRUNT_USER_OWN,	   /* a uid that nobody else has; oneself when brunt is not root */
};

/*
 * The uid and gid of every responder: nobody else's. systemd's table of uids leaves 1879048192 to 2147483647 unused
 * (https://systemd.io/UIDS-GIDS/).
 */
#define BRUNT_RESPONDER_UID 1918004852
/* Of a resolver that runs a target's code: the low 16 bits are its pid's. */
#define BRUNT_RESOLVER_UIDS 0x7ffd0000U

/* What a role may be and have. A test compares this with /proc/PID/{status,fd}. */
struct brunt_role_row {
	const char *name; /* also its comm: "brunt-holder" is cut to 15 bytes by the kernel */
	enum brunt_role_user user;
	uint64_t capabilities;	   /* 1 << CAP_x: most it may keep; the holder keeps only what its plan needs */
	const char *descriptors;   /* what may be open, for a person: "controller socket, ledger, BPF" */
	unsigned descriptor_kinds; /* enum brunt_descriptor_kind bits, for the test */
	bool may_fork;
	bool locks_memory;
	bool parent_death_kills; /* PR_SET_PDEATHSIG SIGKILL */
	bool of_fault;		 /* a child of the holder: comes and goes with what it holds */
	const char *death;	 /* what its death means */
};
enum brunt_descriptor_kind {
	BRUNT_FD_NULL = 1 << 0,	  /* /dev/null as 0, 1, 2 */
	BRUNT_FD_SOCKET = 1 << 1, /* socketpairs made by brunt */
	BRUNT_FD_FILE = 1 << 2,	  /* regular files: journal, ledger */
	BRUNT_FD_BPF = 1 << 3,
	BRUNT_FD_PIDFD = 1 << 4,
	BRUNT_FD_EVENT = 1 << 5,     /* epoll, timerfd, signalfd, eventfd */
	BRUNT_FD_DIRECTORY = 1 << 6, /* cgroup directories, the run directory */
	BRUNT_FD_STDIO = 1 << 7,     /* the user's stdin, stdout, stderr */
	BRUNT_FD_PIPE = 1 << 8,	     /* output of services */
	BRUNT_FD_NETWORK = 1 << 9,   /* INET sockets of SLIs */
	BRUNT_FD_DEVICE = 1 << 10,   /* /dev/net/tun, network namespaces */
	BRUNT_FD_SECCOMP = 1 << 11,  /* listeners */
};
extern const struct brunt_role_row brunt_roles[_BRUNT_ROLE_MAX];

/* Who the unprivileged roles and, by default, services are. */
struct brunt_identity {
	uid_t uid;
	gid_t gid;
	char name[64]; /* user name, or the number */
	char home[256];
	bool privileged; /* brunt itself runs with uid 0 */
};
/* SUDO_UID / SUDO_GID when root, else nobody when root, else oneself. Fills *ret; 0 or -errno. */
int brunt_identity_get(struct brunt_identity *ret, struct brunt_error *err);

#define BRUNT_SERVICES_MAX 64

/* Shared by holder, recoverer, launcher (writers of their own parts) and, read-only, the rest. */
struct brunt_shared {
	char run[16];		    /* run id: eight hex digits */
	char plan[80];		    /* its name, cut */
	uint64_t started;	    /* CLOCK_BOOTTIME ns */
	uint64_t lease_expires;	    /* written by the holder */
	uint32_t lapsed;	    /* latched: 1 once the lease ran out */
	uint32_t residue;	    /* written by holder or recoverer: faults that could not be removed */
	pid_t pid[_BRUNT_ROLE_MAX]; /* outer pids, 0 when not running; of_fault: the newest */
	struct brunt_service_slot services[BRUNT_SERVICES_MAX]; /* written by the launcher */
};

/* Written by the controller alone: the document for --result. Read by the recoverer. */
#define BRUNT_RESULT_MAX (512 * 1024)
struct brunt_result_box {
	uint32_t ready; /* 1: text is complete */
	uint32_t size;
	char text[BRUNT_RESULT_MAX];
};

/*
 * In a fresh child: becomes that role. Closes every descriptor but keep (keep_count of them), puts /dev/null where
 * 0, 1, 2 are not kept, sets comm, signal mask, capabilities (role's row, and for the holder only those in
 * capabilities), uid, no_new_privs, dumpable, death signal (a change of uid clears it), locked memory; in that order.
 * Kept descriptors above 2 become close-on-exec. 0 or -errno.
 *
 * The death signal is sent with the rights of the dying parent: when that is the controller, a user without
 * privileges, the kernel does not let it kill a launcher that is root. The launcher acts on EOF, and the recoverer
 * kills what is left of it.
 */
int brunt_role_enter(enum brunt_role role, const struct brunt_identity *identity, uint64_t capabilities,
		     const int *keep, size_t keep_count, struct brunt_error *err);

/* The dead man's switch: a CLOCK_BOOTTIME timer that sends SIGKILL to this process. -1 fields until made. */
struct brunt_deadman {
	void *timer;
	bool made;
};
int brunt_deadman_make(struct brunt_deadman *deadman, struct brunt_error *err);
/* Fires at that CLOCK_BOOTTIME time unless set again; 0 disarms. 0 or -errno. No allocation. */
int brunt_deadman_set(struct brunt_deadman *deadman, uint64_t at);

/* A latched lease: renewed only while it has not run out. */
struct brunt_lease {
	uint64_t length;  /* ns */
	uint64_t expires; /* CLOCK_BOOTTIME ns */
	bool lapsed;
};
/* Pure. Renews at time now: 0, or -ETIME when it had lapsed (and stays so). */
int brunt_lease_renew(struct brunt_lease *lease, uint64_t now);
