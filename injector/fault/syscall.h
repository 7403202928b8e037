/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What syscall.fail and syscall.delay share: the parameters that say which
 * calls and when, the run's one keeper, and the operations.
 *
 * The filter of a process is made once for all syscall faults of the plan, with
 * the first of them that hits it: it can have one listener and no second one
 * (seccomp(2): EBUSY). Which fault is about which process, and when, is known
 * to the keeper alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "brunt/fault.h"
#include "brunt/param.h"
#include "brunt/target.h"
#include "syscall/rule.h"

struct brunt_error;
struct brunt_keep;
struct brunt_victims;

/* The plan's way to say struct brunt_argument. */
struct brunt_syscall_argument {
	uint64_t arg;
	int is; /* enum brunt_compare */
	uint64_t value, mask;
};

struct brunt_syscall_params {
	struct brunt_list calls;      /* of const char * */
	struct brunt_list args;	      /* of struct brunt_syscall_argument */
	struct brunt_list path;	      /* of const char * */
	struct brunt_list to;	      /* of struct brunt_endpoint */
	const char *thread, *process; /* or NULL */
	struct brunt_ramp probability;
	uint64_t first, last, every, times;
	int count; /* enum: by process, or all together */
	bool follow, loader, attach, allow_no_new_privs, near_misses;
	/* fail */
	struct brunt_list codes; /* of int */
	double value;
	bool has_value;
	/* delay */
	struct brunt_ramp delay;
	uint64_t jitter;
	int distribution;
};

extern const struct brunt_table brunt_syscall_argument_table;
extern const struct brunt_value brunt_syscall_counts[];

/* Rows of both tables. */
#define BRUNT_SYSCALL_ROWS                                                                                                  \
	BRUNT_LIST_OF(struct brunt_syscall_params, calls, BRUNT_T_STRING, .required = true,                                 \
		      .example = "[\"fsync\", \"%sync\"]",                                                                  \
		      .help = "which system calls: names, or classes as strace has them (%file, %desc, %network, "          \
			      "%memory, %process, %signal, %ipc, %creds, %clock), and %sync"),                              \
		BRUNT_OBJECTS(struct brunt_syscall_params, args, &brunt_syscall_argument_table, .count_max = 6,             \
			      .help = "only calls whose integer arguments fit, all of them"),                               \
		BRUNT_LIST_OF(                                                                                              \
			struct brunt_syscall_params, path, BRUNT_T_STRING, .count_max = BRUNT_RULE_PATHS_MAX,               \
			.max = BRUNT_RULE_PATH_SIZE - 1, .example = "[\"/var/lib/redis/*.aof\"]",                           \
			.help = "only calls about one of these absolute paths, or about a descriptor that is open on "      \
				"one; * and ? stand for anything, / too"),                                                  \
		BRUNT_LIST_OF(                                                                                              \
			struct brunt_syscall_params, to, BRUNT_T_ENDPOINT, .count_max = BRUNT_RULE_ADDRESSES_MAX,           \
			.example = "[\"10.0.0.5:5432\"]",                                                                   \
			.help = "only calls about one of these addresses: in the arguments, or of the socket's peer"),      \
		BRUNT_STRING(struct brunt_syscall_params, thread, .max = BRUNT_RULE_NAME_SIZE - 1,                          \
			     .example = "\"bio_*\"",                                                                        \
			     .help = "only threads of this name (15 bytes are kept); * and ? stand for anything"),          \
		BRUNT_STRING(struct brunt_syscall_params, process, .max = BRUNT_RULE_NAME_SIZE - 1,                         \
			     .example = "\"postgres\"",                                                                     \
			     .help = "only processes of this name, among the target's and their children"),                 \
		BRUNT_RAMP(struct brunt_syscall_params, probability, BRUNT_T_RATIO, .def = "100%", .max = 1,                \
			   .help = "chance that a call which fits is hit"),                                                 \
		BRUNT_UINT(struct brunt_syscall_params, first, .def = "1", .min = 1,                                        \
			   .help = "the first call that fits and may be hit"),                                              \
		BRUNT_UINT(struct brunt_syscall_params, last, .help = "the last one; 0: no end"),                           \
		BRUNT_UINT(struct brunt_syscall_params, every, .def = "1", .min = 1,                                        \
			   .help = "from the first on, every so many"),                                                     \
		BRUNT_UINT(struct brunt_syscall_params, times, .help = "at most so many are hit; 0: no end"),               \
		BRUNT_ENUM(struct brunt_syscall_params, count, .def = "all", .values = brunt_syscall_counts,                \
			   .help = "what first, last, every and times count"),                                              \
		BRUNT_BOOL(struct brunt_syscall_params, follow, .def = "true",                                              \
			   .help = "also the processes that the target starts from now on"),                                \
		BRUNT_BOOL(                                                                                                 \
			struct brunt_syscall_params, loader, .def = "true",                                                 \
			.help = "also the calls that the dynamic loader makes, as it starts a program or loads a library"), \
		BRUNT_BOOL(                                                                                                 \
			struct brunt_syscall_params, near_misses, .def = "true",                                            \
			.help = "count calls that do the same, too (fdatasync beside fsync), to be able to say what the "   \
				"target calls instead"),                                                                    \
		BRUNT_BOOL(                                                                                                 \
			struct brunt_syscall_params, attach,                                                                \
			.help = "give a process that runs already the filter, which it keeps, neutral, until it exits; "    \
				"services of the plan get it without"),                                                     \
		BRUNT_BOOL(                                                                                                 \
			struct brunt_syscall_params, allow_no_new_privs,                                                    \
			.help = "where the target needs it, set no_new_privs: it keeps that, too, and its set-user-ID "     \
				"programs do not work any more")

/* Checks what both have in common. As brunt_injector.validate. */
int brunt_syscall_validate(const struct brunt_syscall_params *params, int target_kind, struct brunt_error *err);

/* Of struct brunt_injector, for both; the state is made by brunt_syscall_load. */
int brunt_syscall_probe(struct brunt_error *err);
void brunt_syscall_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf,
			    size_t size);
int brunt_syscall_look(const struct brunt_fault *fault, const struct brunt_victims *victims, char *notes, size_t size,
		       struct brunt_error *err);
int brunt_syscall_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		       struct brunt_error *err);
int brunt_syscall_prepare(void *state, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
			  struct brunt_error *err);
int brunt_syscall_attach(void *state, struct brunt_error *err);
int brunt_syscall_arm(void *state, uint64_t expires, struct brunt_error *err);
void brunt_syscall_renew(void *state, uint64_t expires);
int brunt_syscall_change(void *state, uint64_t elapsed_ns, struct brunt_error *err);
int brunt_syscall_poll(void *state, struct brunt_hits *ret);
void brunt_syscall_disarm(void *state);
int brunt_syscall_verify(void *state, struct brunt_error *err);
void brunt_syscall_detach(void *state);
bool brunt_syscall_news(void *state, char *buf, size_t size);
void brunt_syscall_unload(void *state);

#define BRUNT_SYSCALL_OPERATIONS                                                                                                      \
	.undo = BRUNT_UNDO_TARGET_EXIT, .wants = BRUNT_WANT_PROCESSES, .outlives = true,                                              \
	.targets = 1 << BRUNT_TARGET_PROCESS | 1 << BRUNT_TARGET_CGROUP | 1 << BRUNT_TARGET_UNIT |                                    \
		   1 << BRUNT_TARGET_SERVICE | 1 << BRUNT_TARGET_CONTAINER,                                                           \
	.capabilities =                                                                                                               \
		UINT64_C(1)                                                                                                           \
		<< CAP_SYS_PTRACE, /* to read what other users' descriptors are open on, and to graft below filters that are there */ \
		.useful = UINT64_C(1) << CAP_DAC_READ_SEARCH | UINT64_C(1) << CAP_SYS_ADMIN,                                          \
	.probe = brunt_syscall_probe, .describe = brunt_syscall_describe, .look = brunt_syscall_look,                                 \
	.load = brunt_syscall_load, .prepare = brunt_syscall_prepare, .attach = brunt_syscall_attach,                                 \
	.arm = brunt_syscall_arm, .renew = brunt_syscall_renew, .change = brunt_syscall_change,                                       \
	.poll = brunt_syscall_poll, .disarm = brunt_syscall_disarm, .verify = brunt_syscall_verify,                                   \
	.detach = brunt_syscall_detach, .news = brunt_syscall_news, .unload = brunt_syscall_unload

/* The rule that the parameters say, for a seed. Pure, but for libseccomp. 0 or -EINVAL. */
int brunt_syscall_rule(const struct brunt_syscall_params *params, uint64_t seed, struct brunt_call_rule *ret,
		       struct brunt_error *err);

/* What was hit, by call and by process: "fsync 3 of 9, in redis-server 812 (3)"; "": nothing was. */
void brunt_syscall_breakdown(const struct brunt_keep *keep, unsigned number, char *buf, size_t size);

/* Why a rule of a keeper hit nothing so far: "never called fsync; called fdatasync 214 times"; "": it hit. */
void brunt_syscall_near_miss(const struct brunt_keep *keep, unsigned number, char *buf, size_t size);
