/* SPDX-License-Identifier: Apache-2.0 */
/* From the plan's words to a rule. */
#include <errno.h>
#include <string.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "fault/syscall.h"

const struct brunt_value brunt_syscall_counts[] = {
	{ "all", false, "the calls of all the target's processes together" },
	{ "process", true, "those of each process for itself" },
	{ 0 },
};

static const struct brunt_value comparisons[] = {
	{ "==", BRUNT_IS, "equal" },
	{ "!=", BRUNT_IS_NOT, "not equal" },
	{ "<", BRUNT_LESS, "less" },
	{ "<=", BRUNT_AT_MOST, "at most" },
	{ ">", BRUNT_MORE, "more" },
	{ ">=", BRUNT_AT_LEAST, "at least" },
	{ 0 },
};

static const struct brunt_param argument_params[] = {
	BRUNT_UINT(struct brunt_syscall_argument, arg, .required = true, .max = 5,
		   .help = "which argument, the first is 0"),
	BRUNT_ENUM(struct brunt_syscall_argument, is, .def = "==", .values = comparisons,
		   .help = "how it compares, as unsigned 64 bits"),
	BRUNT_UINT(struct brunt_syscall_argument, value, .required = true, .help = "with what"),
	BRUNT_UINT(struct brunt_syscall_argument, mask, .help = "only these bits of it; 0: all"),
	{ 0 },
};

static int argument_validate(const void *object, struct brunt_error *err)
{
	const struct brunt_syscall_argument *argument = object;

	if (argument->mask && argument->is == BRUNT_IS && argument->value & ~argument->mask)
		return brunt_fail(err, EINVAL, "\"value\" has bits that \"mask\" takes away: it never fits");
	return 0;
}

const struct brunt_table brunt_syscall_argument_table = {
	.name = "argument",
	.help = "a condition on one integer argument of a system call",
	.params = argument_params,
	.size = sizeof(struct brunt_syscall_argument),
	.validate = argument_validate,
};

static int add_arguments(const struct brunt_syscall_params *params, struct brunt_call_rule *ret,
			 struct brunt_error *err)
{
	unsigned used = 0;

	BRUNT_FOREACH (const struct brunt_syscall_argument, argument, params->args) {
		if (used >> argument->arg & 1)
			return brunt_fail(err, EINVAL, "argument %u has two conditions; one fault can have one of each",
					  (unsigned)argument->arg);
		used |= 1u << argument->arg;
		ret->arguments[ret->argument_count++] = (struct brunt_argument){
			.index = (uint8_t)argument->arg,
			.compare = (uint8_t)argument->is,
			.value = argument->value,
			.mask = argument->mask,
		};
	}
	return 0;
}

static int add_paths(const struct brunt_syscall_params *params, struct brunt_call_rule *ret, struct brunt_error *err)
{
	BRUNT_FOREACH (const char *const, path, params->path) {
		if ((*path)[0] != '/' && (*path)[0] != '*')
			return brunt_fail(err, EINVAL, "path '%s' is not absolute; begin it with / or *", *path);
		(void)strncpy(ret->paths[ret->path_count++], *path, BRUNT_RULE_PATH_SIZE - 1);
	}
	return 0;
}

static bool any_call(const struct brunt_call_set *set, bool (*can)(const struct brunt_call *call))
{
	for (unsigned i = 0; i < brunt_call_count; i++)
		if (brunt_call_set_has(set, i) && can(&brunt_calls[i]))
			return true;
	return false;
}

static bool has_path(const struct brunt_call *call)
{
	return call->path[0] >= 0 || call->fd >= 0;
}

static bool has_address(const struct brunt_call *call)
{
	return call->address >= 0 || (call->fd >= 0 && call->classes & (BRUNT_CALLS_NETWORK | BRUNT_CALLS_DESC));
}

int brunt_syscall_rule(const struct brunt_syscall_params *params, uint64_t seed, struct brunt_call_rule *ret,
		       struct brunt_error *err)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	r = brunt_calls_select(&params->calls, &ret->calls, err);
	r = r ?: add_arguments(params, ret, err);
	r = r ?: add_paths(params, ret, err);
	if (r)
		return r;
	if (params->near_misses) {
		ret->relatives = ret->calls;
		brunt_calls_add_families(&ret->relatives);
	}
	BRUNT_FOREACH (const struct brunt_endpoint, endpoint, params->to)
		ret->addresses[ret->address_count++] = *endpoint;
	if (params->thread)
		(void)strncpy(ret->thread, params->thread, sizeof(ret->thread) - 1);
	if (params->process)
		(void)strncpy(ret->process, params->process, sizeof(ret->process) - 1);
	ret->leader_only = !params->follow;
	ret->spare_loader = !params->loader;
	ret->first = params->first;
	ret->last = params->last;
	ret->every = params->every;
	ret->times = params->times;
	ret->by_process = params->count;
	ret->seed = seed;
	BRUNT_FOREACH (const int, code, params->codes)
		ret->errnos[ret->errno_count++] = *code;
	ret->gives_value = params->has_value;
	ret->value = (int64_t)params->value;
	ret->distribution = params->distribution;
	ret->spread = params->jitter;
	ret->probability = brunt_ramp_at(&params->probability, 0);
	ret->delay = (uint64_t)brunt_ramp_at(&params->delay, 0);
	return 0;
}

int brunt_syscall_validate(const struct brunt_syscall_params *params, int target_kind, struct brunt_error *err)
{
	struct brunt_call_rule rule;
	int r = brunt_syscall_rule(params, 0, &rule, err);

	if (r)
		return r;
	if (params->last && params->last < params->first)
		return brunt_fail(err, EINVAL, "\"last\" %llu comes before \"first\" %llu: no call would be hit",
				  (unsigned long long)params->last, (unsigned long long)params->first);
	if (rule.path_count && !any_call(&rule.calls, has_path))
		return brunt_fail(err, EINVAL,
				  "none of these calls is about a path or a descriptor: \"path\" never fits");
	if (rule.address_count && !any_call(&rule.calls, has_address))
		return brunt_fail(err, EINVAL,
				  "none of these calls is about an address or a socket: \"to\" never fits");
	if (target_kind != BRUNT_TARGET_SERVICE && !params->attach)
		return brunt_fail(err, EINVAL,
				  "a process that runs already keeps the filter, neutral, until it exits: allow it "
				  "with \"attach\": true");
	return 0;
}
