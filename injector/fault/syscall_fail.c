/* SPDX-License-Identifier: Apache-2.0 */
/* syscall.fail: system calls of a target do not happen, and return an error or a value of choice. */
#include <errno.h>
#include <linux/capability.h>

#include "brunt/error.h"
#include "fault/syscall.h"

static const struct brunt_param fail_params[] = {
	{ .key = "errno",
	  .type = BRUNT_T_ERRNO,
	  .shape = BRUNT_LIST,
	  .offset = BRUNT_FIELD(struct brunt_syscall_params, codes, struct brunt_list),
	  .count_max = BRUNT_RULE_ERRNOS_MAX,
	  .example = "\"EIO\"",
	  .help = "what a call that is hit fails with; of several, one is drawn" },
	{ .key = "value",
	  .type = BRUNT_T_NUMBER,
	  .offset = BRUNT_FIELD(struct brunt_syscall_params, value, double),
	  .set = BRUNT_FIELD(struct brunt_syscall_params, has_value, bool),
	  .min = 0,
	  .max = 9007199254740991,
	  .example = "0",
	  .help = "what it returns instead of failing; it does not happen all the same" },
	BRUNT_SYSCALL_ROWS,
	{ 0 },
};

static int fail_validate(const void *opaque, int target_kind, struct brunt_error *err)
{
	const struct brunt_syscall_params *params = opaque;

	if (!params->codes.count && !params->has_value)
		return brunt_fail(err, EINVAL, "says nothing of what happens: \"errno\": \"EIO\", or a \"value\"");
	if (params->codes.count && params->has_value)
		return brunt_fail(err, EINVAL, "a call cannot both fail with an errno and return a value");
	return brunt_syscall_validate(params, target_kind, err);
}

static const struct brunt_table fail_table = {
	.name = "syscall.fail",
	.help = "system calls of the target's processes do not happen, and fail with an errno or return a value",
	.params = fail_params,
	.size = sizeof(struct brunt_syscall_params),
};

const struct brunt_injector brunt_fault_syscall_fail = {
	.name = "syscall.fail",
	.summary = "system calls fail with an errno of choice",
	.hit_noun = "calls failed",
	.table = &fail_table,
	.validate = fail_validate,
	BRUNT_SYSCALL_OPERATIONS,
};
