/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brunt inject FAULT ... -- COMMAND: the command is a child of brunt, under a
 * filter from its first instruction on. brunt renews the lease while it waits;
 * without brunt the command goes on, unharmed.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brunt/capability.h"
#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/target.h"
#include "brunt/units.h"
#include "cli/inject.h"
#include "fault/syscall.h"
#include "syscall/keep.h"
#include "syscall/wrap.h"

/* Longer than in an experiment: who tries something by hand has no use for a fault that ends as the machine is busy. */
#define LEASE		  (3 * BRUNT_S)
#define RENEW_MS	  100
#define EXIT_INCONCLUSIVE 7
#define EXIT_UNABLE	  9

struct command {
	const struct brunt_inject *inject;
	struct brunt_syscall_params *params;
	struct brunt_call_rule rule;
	struct brunt_keep keep;
	struct sock_filter *filter;
	size_t filter_count;
	bool plain; /* the kernel does it alone */
	bool over;  /* the fault was taken back while the command runs */
};

static int decode(struct brunt_arena *arena, const struct brunt_inject *inject, void *params)
{
	struct brunt_diags diags = { 0 };
	const struct brunt_scope scope = { .arena = arena, .diags = &diags };
	const struct brunt_part part = { inject->injector->table, params };
	struct brunt_error err = { 0 };
	int r = brunt_param_decode(&scope, inject->params, "", &part, 1);

	for (size_t i = 0; i < diags.count; i++)
		fprintf(stderr, "brunt inject: %s%s%s\n", diags.items[i].pointer + (diags.items[i].pointer[0] == '/'),
			diags.items[i].pointer[0] ? ": " : "", diags.items[i].message);
	brunt_diags_done(&diags);
	if (!r && inject->injector->validate) {
		r = inject->injector->validate(params, BRUNT_TARGET_SERVICE, &err);
		if (r)
			fprintf(stderr, "brunt inject: %s\n", err.msg);
	}
	return r;
}

/* The call by which the command begins is brunt's own: it must not fail. */
static bool has_exec(const struct brunt_call_rule *rule)
{
	const struct brunt_call *execve = brunt_call_find("execve");

	return execve && brunt_call_set_has(&rule->calls, brunt_call_index(execve));
}

/* Always the same errno, whatever else: then nobody needs to be asked. */
static bool can_be_plain(const struct command *command)
{
	const struct brunt_call_rule *rule = &command->rule;

	return !command->inject->counted && !command->inject->hold && rule->errno_count == 1 &&
	       rule->probability >= 1 && !brunt_ramp_moves(&command->params->probability) && rule->first <= 1 &&
	       !rule->last && rule->every <= 1 && !rule->times && !rule->path_count && !rule->address_count &&
	       !rule->thread[0] && !rule->process[0] && !rule->leader_only && !rule->spare_loader && !rule->delay &&
	       !rule->spread && !has_exec(rule);
}

static int make_filter(struct command *command, struct brunt_error *err)
{
	struct brunt_filter_rule plain = { .calls = command->rule.calls, .code = command->rule.errnos[0] };
	struct brunt_identity identity;
	int r;

	if (command->plain) {
		plain.argument_count = command->rule.argument_count;
		memcpy(plain.arguments, command->rule.arguments, sizeof(plain.arguments));
		return brunt_filter_compile(&plain, 1, &command->filter, &command->filter_count, err);
	}
	r = brunt_filter_probe(err);
	r = r ?: brunt_identity_get(&identity, err);
	r = r ?: brunt_keep_start(&identity, LEASE, &command->keep, err);
	r = r ?: brunt_keep_add(&command->keep, &command->rule, err);
	return r ?: brunt_keep_filter(&command->keep, &command->filter, &command->filter_count, err);
}

static int start(struct command *command, pid_t *ret_pid, struct brunt_error *err)
{
	const struct sock_fprog program = { (unsigned short)command->filter_count, command->filter };
	const struct brunt_wrap wrap = {
		.argv = command->inject->command,
		.stdio = { -1, -1, -1 },
		.filter = &program,
		.keep = command->plain ? NULL : &command->keep,
		.rules = 1,
	};

	if (!command->plain)
		brunt_keep_arm(&command->keep, 0, brunt_now() + LEASE);
	return brunt_wrap_start(&wrap, ret_pid, err);
}

static void take_back(struct command *command)
{
	command->over = true;
	if (!command->plain)
		brunt_keep_disarm(&command->keep, 0);
}

static void put_ramps(const struct command *command, uint64_t elapsed)
{
	struct brunt_call_rule *rule = brunt_keep_rule(&command->keep, 0);
	double probability = brunt_ramp_at(&command->params->probability, elapsed);
	uint64_t delay = (uint64_t)brunt_ramp_at(&command->params->delay, elapsed);

	__atomic_store(&rule->probability, &probability, __ATOMIC_RELAXED);
	__atomic_store_n(&rule->delay, delay, __ATOMIC_RELAXED);
}

/*
 * Ctrl-C is the command's own affair, which has it from the terminal, too. SIGTERM and SIGHUP mean brunt: the fault goes,
 * and the command hears of it.
 */
static void hear(struct command *command, int signals, pid_t pid)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGTERM && info.ssi_signo != SIGHUP)
			continue;
		take_back(command);
		(void)kill(pid, (int)info.ssi_signo);
	}
}

static int watch(struct command *command, pid_t pid)
{
	BRUNT_AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), signals = -1;
	uint64_t began = brunt_now();
	int status = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	for (;;) {
		struct pollfd events[] = { { pidfd, POLLIN, 0 }, { signals, POLLIN, 0 } };
		uint64_t now;

		(void)poll(events, BRUNT_COUNT(events), RENEW_MS);
		now = brunt_now();
		if (events[1].revents)
			hear(command, signals, pid);
		if (command->inject->hold && !command->over && now >= began + command->inject->hold)
			take_back(command);
		if (!command->plain && !command->over) {
			put_ramps(command, now - began);
			brunt_keep_renew(&command->keep, 0, now + LEASE);
		}
		if (events[0].revents || pidfd < 0)
			break;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Did it bite? */
static bool tell(const struct command *command)
{
	const struct brunt_inject *inject = command->inject;
	struct brunt_keep_counts counts;
	char text[160];

	if (command->plain) {
		(void)brunt_calls_print(&command->rule.calls, text, sizeof(text));
		fprintf(stderr, "brunt: %s: %s always failed with %s, by the kernel alone: not counted (--counted)\n",
			inject->injector->name, text, brunt_errno_name(command->rule.errnos[0]));
		return true;
	}
	brunt_keep_read(&command->keep, 0, &counts);
	if (brunt_keep_is_lost(&command->keep))
		fprintf(stderr, "brunt: %s: the keeper died; from then on every call passed\n", inject->injector->name);
	else if (counts.lapsed)
		fprintf(stderr, "brunt: %s: brunt got no CPU for a whole lease; from then on every call passed\n",
			inject->injector->name);
	if (!counts.hit) {
		brunt_syscall_near_miss(&command->keep, 0, text, sizeof(text));
		fprintf(stderr, "brunt: inconclusive: %s hit nothing: %s\n", inject->injector->name, text);
		return false;
	}
	brunt_syscall_breakdown(&command->keep, 0, text, sizeof(text));
	fprintf(stderr, "brunt: %s: %" PRIu64 " call%s%s: %s · seed %" PRIu64 "\n", inject->injector->name, counts.hit,
		counts.hit == 1 ? "" : "s", strchr(inject->injector->hit_noun, ' '), text, inject->seed);
	return true;
}

static int dry_run(const struct command *command)
{
	char calls[128];

	(void)brunt_calls_print(&command->rule.calls, calls, sizeof(calls));
	printf("%s: %s\n\n", command->inject->injector->name, calls);
	printf("  command     %s\n  mechanism   %s\n", command->inject->command[0],
	       command->plain
		       ? "seccomp filter, answered by the kernel: 1.1 times the cost of a call; hits are not counted"
		       : "seccomp notification, answered by brunt's keeper: some 5 us more for each of these calls");
	printf("  undone by   %s\n\nNothing was touched.\n",
	       command->plain ? "the end of the command"
			      : "the keeper, when brunt ends; the filter stays, neutral, until the command ends");
	return 0;
}

/*
 * What a path or an address points to is read from the command's memory, and a connected socket is looked at through
 * pidfd_getfd(2). The keeper is no ancestor of the command: Yama refuses it that from scope 1 on without
 * CAP_SYS_PTRACE, and in scope 3 always (Documentation/admin-guide/LSM/Yama.rst).
 */
static void warn_of_yama(const struct command *command)
{
	const char *key = command->rule.address_count ? "to" : command->rule.path_count ? "path" : NULL;
	FILE *file = key ? fopen("/proc/sys/kernel/yama/ptrace_scope", "re") : NULL;
	int scope = file ? fgetc(file) - '0' : 0;
	char missing[64];

	if (file)
		(void)fclose(file);
	if (scope < 1 ||
	    (scope < 3 && !*brunt_capabilities_missing(UINT64_C(1) << CAP_SYS_PTRACE, missing, sizeof(missing))))
		return;
	fprintf(stderr,
		"brunt inject: kernel.yama.ptrace_scope is %d: the command's memory may not be read%s, \"%s\" fits %s\n",
		scope, scope < 3 ? " without CAP_SYS_PTRACE" : "", key,
		command->rule.address_count ? "nothing" : "only calls on descriptors");
}

static int run(struct command *command)
{
	struct brunt_error err = { 0 };
	pid_t pid;
	int status, r = make_filter(command, &err);

	r = r ?: start(command, &pid, &err);
	if (r) {
		fprintf(stderr, "brunt inject: %s\n", err.msg);
		return r == -ENOTSUP || r == -EPERM ? EXIT_UNABLE : r == -ENOENT ? 127 : r == -EACCES ? 126 : 5;
	}
	status = watch(command, pid);
	status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return tell(command) || status ? status : EXIT_INCONCLUSIVE;
}

int brunt_inject_command(const struct brunt_inject *given)
{
	struct brunt_inject inject = *given;
	struct command command = { .inject = &inject, .keep = BRUNT_KEEP_NONE };
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;
	struct brunt_error err = { 0 };
	int status;

	if (inject.injector->load != brunt_syscall_load) {
		fprintf(stderr, "brunt inject: %s is no fault of one command; say where with --on\n",
			inject.injector->name);
		return 2;
	}
	if (brunt_arena_new(&arena))
		return 5;
	command.params = brunt_arena_get(arena, inject.injector->table->size);
	if (!command.params || decode(arena, &inject, command.params))
		return 2;
	if (!inject.has_seed && getrandom(&inject.seed, sizeof(inject.seed), 0) == (ssize_t)sizeof(inject.seed))
		inject.seed %= 1000000000; /* one that can be typed */
	if (brunt_syscall_rule(command.params, inject.seed, &command.rule, &err)) {
		fprintf(stderr, "brunt inject: %s\n", err.msg);
		return 2;
	}
	command.plain = can_be_plain(&command);
	warn_of_yama(&command);
	status = inject.dry_run ? dry_run(&command) : run(&command);
	free(command.filter);
	brunt_keep_leave(&command.keep);
	return status;
}
