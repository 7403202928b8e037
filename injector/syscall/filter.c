/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libseccomp writes the tree of architectures and numbers. Calls that rules with conditions are about get a
 * placeholder there, one for all calls that the same rules are about; where it stands, the program then jumps behind
 * its end, to those rules' conditions.
 */
#include "syscall/filter.h"
#include "syscall/filter_conditions.h"

#include "brunt/error.h"
#include "brunt/memory.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARGUMENTS 6    /* of a system call */
#define ERRNO_MAX 4095 /* the kernel's MAX_ERRNO: beyond, a return value is no error */

/* Never in a program that leaves here. call: an index, the first of the calls that share it. */
#define PLACEHOLDER(call) (SECCOMP_RET_TRACE | (uint32_t)(call))

static void cleanup_filter(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}
#define AUTO_FILTER BRUNT_CLEANUP(cleanup_filter)

bool brunt_arguments_hold(const struct brunt_argument *arguments, size_t count, const uint64_t args[6])
{
	for (size_t i = 0; i < count; i++) {
		const struct brunt_argument *argument = &arguments[i];
		uint64_t seen = args[argument->index] & (argument->mask ? argument->mask : UINT64_MAX);
		bool holds = false;

		switch ((enum brunt_compare)argument->compare) {
		case BRUNT_IS:
			holds = seen == argument->value;
			break;
		case BRUNT_IS_NOT:
			holds = seen != argument->value;
			break;
		case BRUNT_LESS:
			holds = seen < argument->value;
			break;
		case BRUNT_AT_MOST:
			holds = seen <= argument->value;
			break;
		case BRUNT_MORE:
			holds = seen > argument->value;
			break;
		case BRUNT_AT_LEAST:
			holds = seen >= argument->value;
			break;
		}
		if (!holds)
			return false;
	}
	return true;
}

/* ---- rules ---- */

static bool about(const struct brunt_filter_rule *rule, size_t call)
{
	return brunt_call_set_has(&rule->calls, (unsigned)call);
}

static int check_rule(const struct brunt_filter_rule *rule, struct brunt_error *err)
{
	if (rule->code < 0 || rule->code > ERRNO_MAX)
		return brunt_fail(err, EINVAL, "no errno has the number '%d'", rule->code);
	if (rule->argument_count > BRUNT_ARGUMENTS_MAX)
		return brunt_fail(err, EINVAL, "a rule has at most %d conditions", BRUNT_ARGUMENTS_MAX);
	for (size_t i = 0; i < rule->argument_count; i++) {
		if (rule->arguments[i].index >= ARGUMENTS)
			return brunt_fail(err, EINVAL, "a system call has no argument %u; they go from 0 to %d",
					  rule->arguments[i].index, ARGUMENTS - 1);
		if (rule->arguments[i].compare > BRUNT_AT_LEAST)
			return brunt_fail(err, EINVAL, "no comparison has the number %u", rule->arguments[i].compare);
	}
	return 0;
}

static int check_call(const struct brunt_filter_rule *rules, size_t count, size_t call, struct brunt_error *err)
{
	const struct brunt_filter_rule *first = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!about(&rules[i], call))
			continue;
		if (!brunt_call_may_fail(&brunt_calls[call]))
			return brunt_fail(err, EINVAL, "'%s' must be in no filter", brunt_calls[call].name);
		if (first && first->code != rules[i].code)
			return brunt_fail(err, EINVAL, "a filter cannot say two things of '%s'",
					  brunt_calls[call].name);
		first = &rules[i];
	}
	return 0;
}

static int check(const struct brunt_filter_rule *rules, size_t count, struct brunt_error *err)
{
	int r = 0;

	if (!brunt_call_arch())
		return brunt_fail(err, ENOTSUP, "brunt knows the system calls of x86-64 and arm64 only");
	for (size_t i = 0; i < count && r == 0; i++)
		r = check_rule(&rules[i], err);
	for (size_t i = 0; i < brunt_call_count && r == 0; i++)
		r = check_call(rules, count, i, err);
	/* libseccomp refuses what this kernel cannot do, and does not say why. */
	for (size_t i = 0; i < count && r == 0; i++)
		if (rules[i].code == 0)
			return brunt_filter_probe(err);
	return r;
}

/* The first call that the same rules are about. */
static size_t first_alike(const struct brunt_filter_rule *rules, size_t count, size_t call)
{
	for (size_t first = 0; first < call; first++) {
		size_t i = 0;

		while (i < count && about(&rules[i], first) == about(&rules[i], call))
			i++;
		if (i == count && brunt_call_number(&brunt_calls[first], brunt_call_arch()) >= 0)
			return first;
	}
	return call;
}

/* What libseccomp is told of a call: an action, or a placeholder; SCMP_ACT_ALLOW: nothing. */
static uint32_t action_of(const struct brunt_filter_rule *rules, size_t count, size_t call)
{
	bool conditions = false;

	for (size_t i = 0; i < count; i++) {
		if (!about(&rules[i], call))
			continue;
		if (rules[i].argument_count == 0)
			return rules[i].code ? SCMP_ACT_ERRNO((uint32_t)rules[i].code) : SCMP_ACT_NOTIFY;
		conditions = true;
	}
	return conditions ? SCMP_ACT_TRACE(first_alike(rules, count, call)) : SCMP_ACT_ALLOW;
}

static int add_calls(scmp_filter_ctx filter, const struct brunt_filter_rule *rules, size_t count,
		     struct brunt_error *err)
{
	unsigned added = 0;

	for (size_t i = 0; i < brunt_call_count; i++) {
		int number = brunt_call_number(&brunt_calls[i], brunt_call_arch()), r;
		uint32_t action = number < 0 ? SCMP_ACT_ALLOW : action_of(rules, count, i);

		if (action == SCMP_ACT_ALLOW)
			continue;
		r = seccomp_rule_add_exact(filter, action, number, 0);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			return brunt_fail(err, -r, "libseccomp takes no rule for '%s' (%s)", brunt_calls[i].name,
					  strerror(-r));
		added++;
	}
	return added ? 0 : brunt_fail(err, EINVAL, "a filter without any call to look at");
}

/* ---- program ---- */

/* libseccomp writes it to a descriptor only (2.6 can do without, which is newer than most have). */
static int export(scmp_filter_ctx filter, struct brunt_program *ret, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int fd = memfd_create("brunt-filter", MFD_CLOEXEC);
	off_t size;
	int r;

	if (fd < 0)
		return brunt_fail(err, errno, "cannot make a file in memory (%s)", strerror(errno));
	r = seccomp_export_bpf(filter, fd);
	if (r < 0)
		return r == -ENOMEM ? r : brunt_fail(err, -r, "libseccomp makes no program (%s)", strerror(-r));
	size = lseek(fd, 0, SEEK_END);
	if (size <= 0 || (size_t)size > sizeof(ret->at) || (size_t)size % sizeof(ret->at[0]) ||
	    pread(fd, ret->at, (size_t)size, 0) != size)
		return brunt_fail(err, EIO, "cannot read what libseccomp wrote: %lld bytes", (long long)size);
	ret->count = (size_t)size / sizeof(ret->at[0]);
	return 0;
}

/* Adds the conditions of what is about a call. */
static void add_conditions(struct brunt_program *program, const struct brunt_filter_rule *rules, size_t count,
			   size_t call)
{
	for (size_t i = 0; i < count; i++)
		if (about(&rules[i], call))
			brunt_program_add_rule(program, &rules[i],
					       rules[i].code ? SECCOMP_RET_ERRNO | (uint32_t)rules[i].code
							     : SECCOMP_RET_USER_NOTIF);
	brunt_program_add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

/* Replaces placeholders by jumps to the conditions. */
static void link_conditions(struct brunt_program *program, const struct brunt_filter_rule *rules, size_t count)
{
	size_t tree = program->count;

	for (size_t call = 0; call < brunt_call_count; call++) {
		size_t begin = program->count;

		for (size_t i = 0; i < tree; i++) {
			if (program->at[i].code != (BPF_RET | BPF_K) || program->at[i].k != PLACEHOLDER(call))
				continue;
			if (program->count == begin)
				add_conditions(program, rules, count, call);
			program->at[i] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(begin - i - 1));
		}
	}
}

static int copy(const struct brunt_program *program, struct sock_filter **ret, size_t *ret_count,
		struct brunt_error *err)
{
	struct sock_filter *filter;

	if (program->count > BPF_MAXINSNS)
		return brunt_fail(err, E2BIG,
				  "the filter would have %zu instructions, and %d is the most; name fewer conditions",
				  program->count, BPF_MAXINSNS);
	filter = malloc(program->count * sizeof(*filter));
	if (!filter)
		return -ENOMEM;
	memcpy(filter, program->at, program->count * sizeof(*filter));
	*ret = filter;
	*ret_count = program->count;
	return 0;
}

int brunt_filter_compile(const struct brunt_filter_rule *rules, size_t count, struct sock_filter **ret,
			 size_t *ret_count, struct brunt_error *err)
{
	BRUNT_AUTO_FREE struct brunt_program *program = NULL;
	AUTO_FILTER scmp_filter_ctx filter = NULL;
	int r = check(rules, count, err);

	if (r < 0)
		return r;
	program = malloc(sizeof(*program));
	filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!program || !filter)
		return -ENOMEM;
	/* What another architecture calls is not what the rules mean; level 2: a tree of numbers, not a row. */
	r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r < 0)
		return brunt_fail(err, -r, "libseccomp refuses a setting (%s); 2.5 or newer is needed", strerror(-r));
	r = add_calls(filter, rules, count, err);
	if (r == 0)
		r = export(filter, program, err);
	if (r < 0)
		return r;
	link_conditions(program, rules, count);
	return copy(program, ret, ret_count, err);
}
