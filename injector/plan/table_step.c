/* SPDX-License-Identifier: Apache-2.0 */
/* What steps may say: the common keys, and those of each kind. A fault's own keys come from its injector. */
#include "plan/tables.h"

#include "brunt/memory.h"

#define DAY_NS 86400e9
#define STEP   struct brunt_raw_step

/* A row whose member lies in the step inside. */
#define ROW(k, m, T, t, ...)                                                                                           \
	{                                                                                                              \
		.key = (k), .type = (t), .offset = BRUNT_FIELD(STEP, step.m, T), __VA_ARGS__                           \
	}
#define SET(m) .set = offsetof(STEP, step.m)

static const struct brunt_param hits_params[] = {
	BRUNT_UINT(struct brunt_hits_bound, min, .def = "1", .max = 1e15,
		   .help = "a fault that hit less makes the run `inconclusive`"),
	{ 0 },
};

static const struct brunt_table hits_table = {
	.name = "hits",
	.help = "how often a fault must have bitten, at least, to prove anything",
	.params = hits_params,
	.size = sizeof(struct brunt_hits_bound),
};

/* A phase shorter than this says more about the machine's timers than about the fault. */
#define PULSE_MIN 10e6

static const struct brunt_param pulse_params[] = {
	BRUNT_DURATION(struct brunt_pulse, on, .required = true, .min = PULSE_MIN, .max = DAY_NS, .example = "\"5s\"",
		       .help = "so long it is in effect; a pulse begins with this"),
	BRUNT_DURATION(struct brunt_pulse, off, .required = true, .min = PULSE_MIN, .max = DAY_NS, .example = "\"10s\"",
		       .help = "so long it is not"),
	{ 0 },
};

static const struct brunt_table pulse_table = {
	.name = "pulse",
	.help = "a held fault comes and goes; it counts as held throughout",
	.params = pulse_params,
	.size = sizeof(struct brunt_pulse),
};

static const struct brunt_value on_miss_values[] = {
	{ "stop", BRUNT_ON_MISS_STOP, "the method ends there" },
	{ "continue", BRUNT_ON_MISS_CONTINUE, "the method goes on; the verdict is `failed` all the same" },
	{ 0 },
};

static const struct brunt_value unattended_values[] = {
	{ "refuse", BRUNT_UNATTENDED_REFUSE, "the run ends as not approved" },
	{ "skip", BRUNT_UNATTENDED_SKIP, "the step counts as done" },
	{ 0 },
};

static const struct brunt_param common_params[] = {
	{ .type = BRUNT_T_PLACE, .offset = BRUNT_FIELD(STEP, step.place, struct brunt_place) },
	ROW("name", name, const char *, BRUNT_T_NAME, .example = "\"lose-a-worker\"",
	    .help = "unique; `step-1` and so on when left out"),
	{ 0 },
};

const struct brunt_table brunt_step_table = {
	.name = "step",
	.help = "one step of the method; exactly one of its keys says what kind it is: `fault`, `observe`, `wait`, "
		"`expect`, `run`, `start`, `stop`, `approve`, `parallel`, `revert`",
	.params = common_params,
	.size = sizeof(STEP),
};

static const struct brunt_param fault_params[] = {
	ROW("fault", fault_name, const char *, BRUNT_T_STRING, .required = true, .example = "\"process.kill\"",
	    .help = "the kind of harm; `brunt faults` lists them; its parameters stand beside it, in the step"),
	ROW("on", on, const char *, BRUNT_T_NAME, .required = true, .example = "\"workers\"",
	    .help = "the target that is hit"),
	ROW("hold", hold, uint64_t, BRUNT_T_DURATION, SET(has_hold), .min = 1e6, .max = 7 * DAY_NS,
	    .example = "\"60s\"",
	    .help = "how long it is held; required unless it is in the background or happens at once"),
	ROW("background", background, bool, BRUNT_T_BOOL,
	    .help = "go on with the next step; held for its `hold`, else to the end of the method or until `revert`"),
	ROW("hits", hits, struct brunt_hits_bound *, BRUNT_T_OBJECT, .table = &hits_table,
	    .example = "{ \"min\": 100 }", .help = "how often it must have bitten"),
	ROW("pulse", pulse, struct brunt_pulse *, BRUNT_T_OBJECT, .table = &pulse_table,
	    .example = "{ \"on\": \"5s\", \"off\": \"10s\" }",
	    .help = "a held fault: in effect and not, in turns, for as long as it is held"),
	ROW("every", every, uint64_t, BRUNT_T_DURATION, .min = 1e6, .max = DAY_NS, .example = "\"5s\"",
	    .help = "a fault that happens at once: again after this time; goes with `times`"),
	ROW("times", times, uint64_t, BRUNT_T_COUNT, .def = "1", .min = 1, .max = 100000,
	    .help = "a fault that happens at once: so often in all"),
	{ 0 },
};

static const struct brunt_table fault_table = {
	.name = "fault_step",
	.help = "hurts a target",
	.params = fault_params,
	.size = sizeof(STEP),
};

static const struct brunt_param observe_params[] = {
	ROW("observe", observe, uint64_t, BRUNT_T_DURATION, .required = true, .min = 1e6, .max = 7 * DAY_NS,
	    .example = "\"30s\"", .help = "time passes; steady state and guardrails are judged"),
	{ 0 },
};

static const struct brunt_table observe_table = {
	.name = "observe_step",
	.help = "lets time pass, under judgement",
	.params = observe_params,
	.size = sizeof(STEP),
};

#define WITHIN_ROW(text)                                                                                               \
	ROW("within", within, uint64_t, BRUNT_T_DURATION, .def = "30s", .min = 1e6, .max = 7 * DAY_NS, .help = (text))

static const struct brunt_param wait_params[] = {
	ROW("wait", wait, struct brunt_condition *, BRUNT_T_OBJECT, .required = true, .table = &brunt_until_table,
	    .example = "{ \"target\": \"workers\", \"alive\": 3 }", .help = "wait until this holds; not judged"),
	WITHIN_ROW("go on after, whether it holds or not"),
	{ 0 },
};

static const struct brunt_table wait_table = {
	.name = "wait_step",
	.help = "waits for a condition, without judging it",
	.params = wait_params,
	.size = sizeof(STEP),
};

static const struct brunt_param expect_params[] = {
	ROW("expect", expect, struct brunt_condition *, BRUNT_T_OBJECT, .required = true, .table = &brunt_until_table,
	    .example = "{ \"sli\": \"site\", \"of\": \"success\", \"over\": \"5s\", \"min\": \"99%\" }",
	    .help = "this must come to hold"),
	WITHIN_ROW("it must hold before; later is a miss"),
	ROW("since", since, const char *, BRUNT_T_NAME, .example = "\"lose-a-worker\"",
	    .help = "judge only samples since this step ended (a fault: since it was applied); default: the step before"),
	ROW("on_miss", on_miss, int, BRUNT_T_ENUM, .values = on_miss_values, .def = "stop",
	    .help = "what follows when it did not hold in time"),
	{ 0 },
};

static const struct brunt_table expect_table = {
	.name = "expect_step",
	.help = "waits for a condition and judges it: in time, or the verdict is `failed`",
	.params = expect_params,
	.size = sizeof(STEP),
};

static const struct brunt_param run_params[] = {
	ROW("run", run, struct brunt_list, BRUNT_T_STRING, .shape = BRUNT_LIST, .required = true, .count_max = 1024,
	    .example = "[\"./check-orders.sh\"]",
	    .help = "program and arguments; a single string is run by /bin/sh -c"),
	ROW("timeout", timeout, uint64_t, BRUNT_T_DURATION, .def = "1m", .min = 1e6, .max = DAY_NS,
	    .help = "killed, and failed, when it takes longer"),
	ROW("user", user, const char *, BRUNT_T_STRING, .help = "runs as this user; default as for a service"),
	{ 0 },
};

static const struct brunt_table run_table = {
	.name = "run_step",
	.help = "runs a command; an exit status other than 0 fails the run",
	.params = run_params,
	.size = sizeof(STEP),
};

static const struct brunt_param start_params[] = {
	ROW("start", start, const char *, BRUNT_T_NAME, .required = true, .example = "\"standby\"",
	    .help = "the service that is started, until it is ready"),
	{ 0 },
};

static const struct brunt_table start_table = {
	.name = "start_step",
	.help = "starts a service",
	.params = start_params,
	.size = sizeof(STEP),
};

static const struct brunt_param stop_params[] = {
	ROW("stop", stop, const char *, BRUNT_T_NAME, .required = true, .example = "\"primary\"",
	    .help = "the service that is ended, and stays so"),
	{ 0 },
};

static const struct brunt_table stop_table = {
	.name = "stop_step",
	.help = "ends a service in good order",
	.params = stop_params,
	.size = sizeof(STEP),
};

static const struct brunt_param approve_params[] = {
	ROW("approve", approve, const char *, BRUNT_T_STRING, .required = true, .min = 1, .max = 500,
	    .example = "\"Is the standby in sync?\"", .help = "the question; a person at the terminal says yes or no"),
	ROW("unattended", unattended, int, BRUNT_T_ENUM, .values = unattended_values, .def = "refuse",
	    .help = "what follows when there is no terminal"),
	{ 0 },
};

static const struct brunt_table approve_table = {
	.name = "approve_step",
	.help = "asks a person",
	.params = approve_params,
	.size = sizeof(STEP),
};

static const struct brunt_param parallel_params[] = {
	{ .key = "parallel",
	  .type = BRUNT_T_ANY,
	  .required = true,
	  .offset = BRUNT_FIELD(STEP, parallel, json_t *),
	  .example = "[ { \"observe\": \"10s\" } ]",
	  .help = "an array of steps that begin together; ends when all have ended, fails at the first failure" },
	{ 0 },
};

static const struct brunt_table parallel_table = {
	.name = "parallel_step",
	.help = "does several steps at once; they may not be parallel again",
	.params = parallel_params,
	.size = sizeof(STEP),
};

static const struct brunt_param revert_params[] = {
	ROW("revert", revert, const char *, BRUNT_T_NAME, .required = true, .example = "\"slow-network\"",
	    .help = "the background fault, by the name of its step, that is ended"),
	{ 0 },
};

static const struct brunt_table revert_table = {
	.name = "revert_step",
	.help = "ends a background fault",
	.params = revert_params,
	.size = sizeof(STEP),
};

const struct brunt_step_kind_row brunt_step_kinds[] = {
	[BRUNT_STEP_FAULT] = { "fault", &fault_table },
	[BRUNT_STEP_OBSERVE] = { "observe", &observe_table },
	[BRUNT_STEP_WAIT] = { "wait", &wait_table },
	[BRUNT_STEP_EXPECT] = { "expect", &expect_table },
	[BRUNT_STEP_RUN] = { "run", &run_table },
	[BRUNT_STEP_START] = { "start", &start_table },
	[BRUNT_STEP_STOP] = { "stop", &stop_table },
	[BRUNT_STEP_APPROVE] = { "approve", &approve_table },
	[BRUNT_STEP_PARALLEL] = { "parallel", &parallel_table },
	[BRUNT_STEP_REVERT] = { "revert", &revert_table },
	{ 0 },
};
_Static_assert(BRUNT_COUNT(brunt_step_kinds) == BRUNT_STEP_REVERT + 2, "every kind of step has a row");

const char *brunt_step_kind_name(enum brunt_step_kind kind)
{
	return (unsigned)kind <= BRUNT_STEP_REVERT ? brunt_step_kinds[kind].key : "?";
}
