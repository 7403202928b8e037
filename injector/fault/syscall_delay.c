/* SPDX-License-Identifier: Apache-2.0 */
/* syscall.delay: system calls of a target happen later. */
#include <errno.h>
#include <linux/capability.h>

#include "brunt/error.h"
#include "fault/syscall.h"

static const struct brunt_value distributions[] = {
	{ "uniform", BRUNT_DELAY_UNIFORM, "delay +- jitter, each value as likely" },
	{ "normal", BRUNT_DELAY_NORMAL, "delay is the mean, jitter the standard deviation; never below 0" },
	{ "exponential", BRUNT_DELAY_EXPONENTIAL, "delay is the mean; without jitter" },
	{ 0 },
};

static const struct brunt_param delay_params[] = {
	BRUNT_RAMP(struct brunt_syscall_params, delay, BRUNT_T_DURATION, .required = true, .max = 60e9,
		   .example = "\"20ms\"", .help = "how long a call that is hit waits before it happens"),
	BRUNT_DURATION(struct brunt_syscall_params, jitter, .max = 60e9, .example = "\"5ms\"",
		       .help = "by how much delays differ"),
	BRUNT_ENUM(struct brunt_syscall_params, distribution, .def = "uniform", .values = distributions,
		   .help = "how they differ"),
	BRUNT_SYSCALL_ROWS,
	{ 0 },
};

static int delay_validate(const void *opaque, int target_kind, struct brunt_error *err)
{
	const struct brunt_syscall_params *params = opaque;

	if (params->distribution == BRUNT_DELAY_NORMAL && !params->jitter)
		return brunt_fail(err, EINVAL, "a normal distribution needs \"jitter\", its standard deviation");
	if (params->distribution == BRUNT_DELAY_EXPONENTIAL && params->jitter)
		return brunt_fail(err, EINVAL, "an exponential distribution has no \"jitter\": its delay says all");
	return brunt_syscall_validate(params, target_kind, err);
}

static const struct brunt_table delay_table = {
	.name = "syscall.delay",
	.help = "system calls of the target's processes happen later",
	.params = delay_params,
	.size = sizeof(struct brunt_syscall_params),
};

const struct brunt_injector brunt_fault_syscall_delay = {
	.name = "syscall.delay",
	.summary = "system calls take longer",
	.hit_noun = "calls delayed",
	.table = &delay_table,
	.validate = delay_validate,
	BRUNT_SYSCALL_OPERATIONS,
};
