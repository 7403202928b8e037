/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the loader share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "plan/tables.h"

#define BRUNT_PLAN_FILES_MAX 32
#define BRUNT_PLAN_DEPTH_MAX 8	  /* includes within each other, the plan itself counted */
#define BRUNT_PLAN_STEPS_MAX 1000 /* those under `parallel` counted */
#define BRUNT_PLACE_SIZE     1024 /* bytes of a JSON Pointer */

/* One file of the plan: itself, and what it includes. */
struct brunt_file {
	struct brunt_doc *doc; /* owned by the loader, then by the plan; NULL when it could not be read */
	const char *dir;       /* absolute */
	dev_t device;	       /* who it is, whatever it is called */
	ino_t inode;
	bool open; /* its includes are being read: to include it now is a cycle */
	struct brunt_experiment top;
};

/* A string that a secret was put into: no message may quote it. */
struct brunt_taint {
	struct brunt_taint *next;
	const char *file;
	const char *pointer;
};

/* A string whose variables were wrong: what else is wrong with it, nobody knows. */
struct brunt_blur {
	struct brunt_blur *next;
	const char *file;
	const char *pointer;
};

/* The names of one kind of thing, those whose definition is wrong included: a reference to them is no second error. */
struct brunt_names {
	const char **items; /* NULL-terminated */
	size_t count;
};

struct brunt_loader {
	struct brunt_plan *plan;
	struct brunt_arena *arena; /* the plan's */
	struct brunt_diags *diags;
	const struct brunt_plan_options *options;
	struct brunt_file files[BRUNT_PLAN_FILES_MAX];
	size_t file_count;
	struct brunt_variable **variables;
	size_t variable_count;
	size_t expanded; /* bytes that variables have brought in so far */
	struct brunt_taint *taints;
	struct brunt_blur *blurs;
	struct brunt_names service_names, target_names, sli_names;
	size_t condition_room;
	struct brunt_step **steps; /* grows; by index */
	size_t step_count;
	struct brunt_names bad_steps; /* names of steps that were left out because they are wrong */
	bool method_whole;	      /* every step could be decoded: what concerns the order of steps can be judged */
};

/*
 * All of these tell what is wrong in loader->diags and go on; they return 0, or -ENOMEM, which ends the load.
 */
int brunt_plan_read_files(struct brunt_loader *loader, const char *path);
int brunt_plan_read_includes(struct brunt_loader *loader, size_t index, const char *name, unsigned depth);
int brunt_plan_read_variables(struct brunt_loader *loader);
int brunt_plan_substitute(struct brunt_loader *loader);
int brunt_plan_decode(struct brunt_loader *loader);
int brunt_plan_decode_method(struct brunt_loader *loader, json_t *method);
int brunt_plan_link(struct brunt_loader *loader);	     /* services, targets, SLIs */
int brunt_plan_link_conditions(struct brunt_loader *loader); /* after brunt_plan_link */
int brunt_plan_link_steps(struct brunt_loader *loader);	     /* after brunt_plan_link_conditions */

/* Checks a condition of a step and gives it its index; the others are done by brunt_plan_link_conditions(). */
int brunt_plan_link_condition(struct brunt_loader *loader, struct brunt_condition *condition,
			      enum brunt_condition_kind kind);

/* Makes plan->secrets from the secret variables, longest first. 0 or -ENOMEM. */
int brunt_plan_collect_secrets(struct brunt_loader *loader);

/* Takes every secret out of the messages. Cannot fail. */
void brunt_plan_redact_diags(const struct brunt_loader *loader);

/* Takes back errors (from the index first on) about strings whose variables were wrong. */
void brunt_plan_drop_blurred(const struct brunt_loader *loader, size_t first);

/* The whole of loading, from text; dir: the absolute folder that relative paths are relative to. For tests and fuzzing.
 */
int brunt_plan_load_text(const char *text, size_t size, const char *name, const char *dir,
			 const struct brunt_plan_options *options, struct brunt_diags *diags, struct brunt_plan **ret);

/* Errors about something of the plan; key may be NULL: the thing itself. */
void brunt_plan_error(struct brunt_loader *loader, const struct brunt_place *place, const char *key, const char *format,
		      ...) __attribute__((format(printf, 4, 5)));
void brunt_plan_warn(struct brunt_loader *loader, const struct brunt_place *place, const char *key, const char *format,
		     ...) __attribute__((format(printf, 4, 5)));

/* Tells that there is no such name: "no SLI is called 'x'; there are 'a', 'b'". */
void brunt_plan_unknown(struct brunt_loader *loader, const struct brunt_place *place, const char *key, const char *noun,
			const char *word, const struct brunt_names *names);

/* The same phrase into buf; returns buf. */
const char *brunt_plan_unknown_text(const char *noun, const char *word, const char *const *names, char *buf,
				    size_t size);

/* "no fault is called 'packet.drp'; did you mean 'packet.drop'? ..." into buf; returns buf. */
const char *brunt_fault_unknown_text(const char *word, char *buf, size_t size);

/* Adds to names (its memory grows in the arena by doubling). 0 or -ENOMEM. */
int brunt_names_add(struct brunt_loader *loader, struct brunt_names *names, const char *name);
bool brunt_names_have(const struct brunt_names *names, const char *name);

/* One fault's part of the reference, in Markdown. */
void brunt_plan_reference_fault(const struct brunt_injector *injector, FILE *out);

/* How long the method takes: what is sure (holds, observes, repeats) and at most. From the first fault on, and whole.
 */
struct brunt_plan_times {
	uint64_t fixed_from_fault; /* ns from the first fault to the end of the method, at least */
	uint64_t most;		   /* ns of the method, at most; a person's approval not counted */
	bool approval;		   /* a person is asked */
};
void brunt_plan_times(const struct brunt_plan *plan, struct brunt_plan_times *ret);

/* How a bound behaves: samples in its window, how many of them may be bad, time until a failure is seen. */
struct brunt_bound {
	bool fixed;	  /* the number of samples is known (it is not for `lines`) */
	uint64_t samples; /* in the window */
	bool has_tolerates;
	uint64_t tolerates; /* bad (success), or beyond the bound (quantiles) */
	bool breaks;	    /* enough bad samples would break it; false: none can */
	uint64_t reacts;    /* ns */
};
/* bound: the condition's min or max, or its during. */
void brunt_plan_bound(const struct brunt_condition *condition, const struct brunt_quantity *quantity,
		      struct brunt_bound *ret);
