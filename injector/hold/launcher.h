/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the launcher. A job is a service, or a command that runs now. Its
 * processes are a cgroup of their own where brunt may make cgroups, else the
 * process group of its first process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "brunt/launch.h"

struct brunt_list;

#define LAUNCHER_COMMANDS_MAX 128 /* that run at once */
#define LAUNCHER_OUTBOX_MAX   128 /* reports that wait for a controller that does not read */
#define LAUNCHER_STOP_GRACE   (5 * 1000000000ull)
#define LAUNCHER_KILL_GRACE   (1 * 1000000000ull) /* a killed process that is still there after this is given up on */
#define LAUNCHER_TICK	      (10 * 1000000ull)	  /* how often the end of a cgroup is looked for */
#define LAUNCHER_RESTART_MIN  (10 * 1000000ull)

enum job_state {
	JOB_FREE,      /* nothing of it runs as far as we know (a service that became a daemon may) */
	JOB_PREPARING, /* a service's prepare line runs */
	JOB_RUNNING,   /* word >= 0: not yet executed */
	JOB_WAITING,   /* will be restarted when due */
	JOB_STOPPING,  /* SIGTERM was sent; SIGKILL when due */
	JOB_KILLED,    /* SIGKILL was sent; given up when due */
	JOB_LEAVING,   /* a command that has ended; its cgroup is being removed; given up when due */
};

struct job {
	enum job_state state;
	uint32_t verb; /* with index and sequence: what reports are about; a service's is always START */
	uint32_t index;
	uint64_t sequence;
	uint64_t order; /* of starting */
	uint64_t due;	/* CLOCK_BOOTTIME ns, see state; 0: never */
	pid_t pid;	/* main process in our namespace; 0: gone */
	pid_t outer;	/* the same, outside */
	uint64_t outer_start;
	pid_t group;	     /* its process group; may outlive it */
	int status;	     /* how the last main process ended */
	int word;	     /* what the child says before exec; EOF: it executed; -1: was heard */
	int output;	     /* read end, until it is handed over; during prepare it is read here */
	bool failed;	     /* FAILED was reported for this start */
	bool grouped;	     /* cgroup was made */
	bool prepared;	     /* all prepare lines have run, once and for all */
	size_t prepare;	     /* the prepare line that runs or comes next */
	char cgroup[384];    /* absolute directory; "" without cgroups */
	char last_line[160]; /* of a prepare line's output */
	size_t last_size;
	bool last_ended; /* last_line was ended by a newline: the next byte begins another */
};

struct outbox_entry {
	struct brunt_launch_report report;
	int fd; /* to send along, or -1 */
};

struct launcher {
	const struct brunt_run_setup *setup;
	int socket;
	int signals;
	struct job *services; /* one for each service of the plan */
	size_t service_count;
	struct job commands[LAUNCHER_COMMANDS_MAX];
	bool grouping;	 /* jobs have cgroups */
	uint64_t starts; /* jobs started so far: order, and names of commands' cgroups */
	bool ending;
	struct brunt_launch_verb end; /* the verb END */
	uint64_t end_due;
	struct outbox_entry outbox[LAUNCHER_OUTBOX_MAX]; /* a ring */
	size_t outbox_first, outbox_count;
};

/* ---- launcher_child.c: between fork and exec ---- */

/* What a child becomes. All borrowed. */
struct child_spec {
	const struct brunt_run_setup *setup;
	const char *const *run; /* run_count strings; one: a shell line */
	size_t run_count;
	const struct brunt_list *env; /* of struct brunt_pair, or NULL */
	const char *cwd;
	const char *user;   /* NULL: the run's identity */
	const char *cgroup; /* directory that exists, or "" */
	int output;	    /* becomes stdout and stderr */
	int word;	    /* close-on-exec: struct child_word goes here */
};

/* One or two of them: who it is, then perhaps why it could not execute. Smaller than PIPE_BUF, so never torn. */
struct child_word {
	int32_t code; /* 0: pid and start are set; else a positive errno, and text */
	pid_t pid;    /* outer */
	uint64_t start;
	char text[200];
};

/* Never returns. */
void launcher_child(const struct child_spec *spec) __attribute__((noreturn));

/* ---- launcher_cgroup.c: cgroups, or process groups without them ---- */

/* Makes the job's directory (job->cgroup is set). 0 or -errno. */
int launcher_cgroup_make(const struct job *job);

/* Sends a signal to all processes of the job; SIGKILL reaches those too that are being forked. */
void launcher_cgroup_signal(const struct job *job, int signal);

/* Is no process of the job left? */
bool launcher_cgroup_empty(const struct job *job);

/* Removes every cgroup below the run's and the run's own, as far as they are empty. */
void launcher_cgroup_remove_all(const struct brunt_run_setup *setup);

/* ---- launcher_job.c ---- */

/* Takes the verbs START, STEP, FINALLY and SLI. Answers by a report. */
void launcher_job_start(struct launcher *launcher, const struct brunt_launch_verb *verb);

/* Takes the verb STOP, and END for each service: SIGTERM to all of it. Answers by EXITED, now or later. */
void launcher_job_stop(struct launcher *launcher, struct job *job);

/* Takes the verb CANCEL. The command's EXITED follows. */
void launcher_job_cancel(struct launcher *launcher, uint64_t sequence);

/* The child spoke or executed. */
void launcher_job_word(struct launcher *launcher, struct job *job);

/* A prepare line wrote something. */
void launcher_job_output(struct job *job);

/* A child of ours ended. One that is no job's main process was an orphan. */
void launcher_job_exited(struct launcher *launcher, pid_t pid, int status);

/* What is due at that time. */
void launcher_job_tick(struct launcher *launcher, struct job *job, uint64_t now);

/* When this job wants its next tick; 0: never. */
uint64_t launcher_job_due(const struct job *job, uint64_t now);

/* ---- launcher.c ---- */

/* The launcher's life after its birth; returns the exit status. */
int launcher_serve(struct launcher *launcher);

/* Every job, services first: i below launcher_job_count. */
struct job *launcher_job_at(struct launcher *launcher, size_t i);
size_t launcher_job_count(const struct launcher *launcher);

/* Sends a report, or keeps it until the controller reads. Owns fd (-1: none) from now on. Fills at. Never blocks. */
void launcher_report(struct launcher *launcher, struct brunt_launch_report *report, int fd);

/* ---- launcher_fork.c ---- */

/* At the very end, when nothing of the run lives any more: the capability to remove the run's cgroup takes effect. */
void launcher_overrule_permissions(void);
