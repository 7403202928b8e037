/* SPDX-License-Identifier: Apache-2.0 */
/* How a target stands in a plan. */
#include "brunt/target.h"

#include <errno.h>
#include <string.h>

#include "brunt/error.h"
#include "target/find.h"

#define S struct brunt_process_selector
static const struct brunt_param process_params[] = {
	BRUNT_STRING(S, name, .example = "\"nginx\"",
		     .help = "name of the process: its comm, or the base name of its first argument"),
	BRUNT_PATH(S, exe, .example = "\"/usr/sbin/nginx\"", .help = "path of its executable"),
	BRUNT_REGEX(S, cmdline, .example = "\"worker --queue=[a-z]+\"",
		    .help = "regular expression over its arguments, joined by spaces"),
	BRUNT_UINT(S, pid, .min = 1, .max = 4194304, .example = "812", .help = "its pid, for a fault by hand"),
	BRUNT_PATH(S, pid_file, .example = "\"/run/nginx.pid\"", .help = "file that holds its pid"),
	BRUNT_STRING(S, user, .example = "\"www-data\"", .help = "user that it runs as, name or number"),
	BRUNT_UINT(S, port, .min = 1, .max = 65535, .example = "8080",
		   .help = "TCP port that it listens on, or UDP port that it has bound"),
	BRUNT_STRING(S, cgroup, .example = "\"/system.slice/nginx.service\"",
		     .help = "cgroup that it lives in or below; wildcards allowed"),
	BRUNT_STRING(S, unit, .example = "\"nginx.service\"",
		     .help = "systemd unit that it lives in; wildcards allowed"),
	BRUNT_NAME(S, service, .help = "service of the plan that it belongs to"),
	BRUNT_BOOL(S, any_pid_namespace, .help = "look into other PID namespaces (containers) as well"),
	{ 0 },
};
#undef S

static int check_process(const void *object, struct brunt_error *err)
{
	const struct brunt_process_selector *selector = object;

	if (!selector->name && !selector->exe && !selector->cmdline && !selector->pid_file && !selector->user &&
	    !selector->port && !selector->cgroup && !selector->unit && !selector->service && !selector->pid)
		return brunt_fail(err, EINVAL,
				  "says nothing about the process; give name, exe, cmdline, pid, pid_file, user, port, "
				  "cgroup, unit or service");
	if (selector->name && (!*selector->name || strchr(selector->name, '/')))
		return brunt_fail(err, EINVAL, "name is '%s', which no process can have; a path goes into exe",
				  selector->name);
	return 0;
}

static const struct brunt_table process_table = {
	.name = "process",
	.help = "processes for which all of the given conditions hold",
	.params = process_params,
	.size = sizeof(struct brunt_process_selector),
	.validate = check_process,
};

static const struct brunt_value resolve_values[] = {
	{ "start", BRUNT_RESOLVE_START, "once, before the method" },
	{ "each", BRUNT_RESOLVE_EACH, "again before every step that uses it" },
	{ "follow", BRUNT_RESOLVE_FOLLOW, "again and again while the fault is held: restarted victims are hit again" },
	{ 0 },
};

#define S struct brunt_target
static const struct brunt_param target_params[] = {
	BRUNT_KEY(S, name),
	BRUNT_PLACE(S, place),
	BRUNT_OBJECT(S, process, struct brunt_process_selector, &process_table, .help = "processes, by what they are"),
	BRUNT_STRING(S, cgroup, .example = "\"/system.slice/nginx.service\"",
		     .help = "cgroups, by their path below the cgroup v2 mount; wildcards for one level each"),
	BRUNT_STRING(S, unit, .example = "\"worker@*.service\"",
		     .help = "systemd units; wildcards allowed; without a suffix, .service is meant"),
	BRUNT_NAME(S, service, .help = "a service of this plan"),
	BRUNT_STRING(
		S, container, .example = "\"redis\"",
		.help = "a container of docker, podman, containerd or CRI-O: its id, a unique beginning of it, or its name"),
	BRUNT_STRING(S, interface, .example = "\"eth0\"", .help = "a network interface"),
	BRUNT_PICK(S, pick, .help = "how many of what matches are hit, chosen by the run's seed"),
	BRUNT_ENUM(S, resolve, .values = resolve_values, .def = "start", .help = "when it is looked up"),
	{ 0 },
};
#undef S

int brunt_target_kind_of(const struct brunt_target *target)
{
	const void *const given[_BRUNT_TARGET_MAX] = {
		[BRUNT_TARGET_PROCESS] = target->process,     [BRUNT_TARGET_CGROUP] = target->cgroup,
		[BRUNT_TARGET_UNIT] = target->unit,	      [BRUNT_TARGET_SERVICE] = target->service,
		[BRUNT_TARGET_CONTAINER] = target->container, [BRUNT_TARGET_INTERFACE] = target->interface,
	};
	int kind = -EINVAL;

	for (int i = 0; i < _BRUNT_TARGET_MAX; i++) {
		if (!given[i])
			continue;
		if (kind >= 0)
			return -E2BIG;
		kind = i;
	}
	return kind;
}

static int check_target(const void *object, struct brunt_error *err)
{
	/* The engine hands out what it just decoded: ours to finish. The kind follows from which key was given. */
	struct brunt_target *target = (struct brunt_target *)(uintptr_t)object;
	int kind = brunt_target_kind_of(target);

	if (kind == -E2BIG)
		return brunt_fail(err, EINVAL,
				  "has several of process, cgroup, unit, service, container, interface; one target is "
				  "of one kind");
	if (kind < 0)
		return brunt_fail(err, EINVAL,
				  "says nobody; give one of process, cgroup, unit, service, container, interface");
	target->kind = (enum brunt_target_kind)kind;
	return 0;
}

const struct brunt_table brunt_target_table = {
	.name = "target",
	.help = "who is hit: exactly one of the kinds, and how many of them",
	.params = target_params,
	.size = sizeof(struct brunt_target),
	.validate = check_target,
};

const char *brunt_target_kind_name(enum brunt_target_kind kind)
{
	static const char *const names[_BRUNT_TARGET_MAX] = {
		[BRUNT_TARGET_PROCESS] = "process",	[BRUNT_TARGET_CGROUP] = "cgroup",
		[BRUNT_TARGET_UNIT] = "unit",		[BRUNT_TARGET_SERVICE] = "service",
		[BRUNT_TARGET_CONTAINER] = "container", [BRUNT_TARGET_INTERFACE] = "interface",
	};

	return kind >= 0 && kind < _BRUNT_TARGET_MAX ? names[kind] : "unknown";
}
