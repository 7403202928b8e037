/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/* Filters: read by a small machine of the test's own, and installed in children that say what became of their calls. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "syscall/filter.h"

#define TIMEOUT_MS 60000
#define HARMLESS   "nfsservctl" /* six arguments may be anything: ENOSYS on every kernel, before it looks at them */
#define CODE	   EXFULL	/* nothing here gives it otherwise */

static struct brunt_error err;

/* ---- making filters ---- */

static struct brunt_call_set calls_of(const char *first, const char *second)
{
	const char *words[] = { first, second };
	struct brunt_list list = { words, second ? 2 : 1 };
	struct brunt_call_set set;

	assert_int_equal(brunt_calls_select(&list, &set, &err), 0);
	return set;
}

static struct brunt_filter_rule rule_of(const char *word, int code)
{
	return (struct brunt_filter_rule){ .calls = calls_of(word, NULL), .code = code };
}

static void add_condition(struct brunt_filter_rule *rule, unsigned index, enum brunt_compare compare, uint64_t mask,
			  uint64_t value)
{
	rule->arguments[rule->argument_count++] = (struct brunt_argument){
		.index = (uint8_t)index, .compare = (uint8_t)compare, .mask = mask, .value = value
	};
}

static struct sock_fprog compile(const struct brunt_filter_rule *rules, size_t count)
{
	struct sock_filter *program = NULL;
	size_t length = 0;

	err = (struct brunt_error){ 0 };
	if (brunt_filter_compile(rules, count, &program, &length, &err) != 0)
		fail_msg("%s", err.msg);
	assert_in_range(length, 2, BPF_MAXINSNS);
	return (struct sock_fprog){ .len = (unsigned short)length, .filter = program };
}

static void refuses(const struct brunt_filter_rule *rules, size_t count, int code, const char *message)
{
	struct sock_filter *program = (void *)&err;
	size_t length = 42;

	err = (struct brunt_error){ 0 };
	assert_int_equal(brunt_filter_compile(rules, count, &program, &length, &err), -code);
	assert_string_equal(err.msg, message);
	assert_ptr_equal(program, &err);
	assert_int_equal(length, 42);
}

/* ---- the kernel's machine, as far as these programs go ---- */

static uint32_t alu(uint16_t code, uint32_t a, uint32_t k)
{
	if (BPF_OP(code) == BPF_AND)
		return a & k;
	fail_msg("an instruction 0x%x that this test does not know", code);
	return 0;
}

static bool jumps(uint16_t code, uint32_t a, uint32_t k)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == k;
	case BPF_JGT:
		return a > k;
	case BPF_JGE:
		return a >= k;
	case BPF_JSET:
		return a & k;
	default:
		fail_msg("a jump 0x%x that this test does not know", code);
		return false;
	}
}

static uint32_t simulate(const struct sock_fprog *program, const struct seccomp_data *data)
{
	uint32_t a = 0, scratch[BPF_MEMWORDS] = { 0 };

	for (unsigned pc = 0; pc < program->len; pc++) {
		const struct sock_filter *at = &program->filter[pc];

		switch (BPF_CLASS(at->code)) {
		case BPF_LD:
			if (BPF_MODE(at->code) == BPF_MEM) {
				a = scratch[at->k];
				break;
			}
			assert_int_equal(at->code, BPF_LD | BPF_W | BPF_ABS);
			assert_true(at->k <= sizeof(*data) - 4 && at->k % 4 == 0);
			memcpy(&a, (const char *)data + at->k, sizeof(a));
			break;
		case BPF_ST:
			scratch[at->k] = a;
			break;
		case BPF_ALU:
			a = alu(at->code, a, at->k);
			break;
		case BPF_JMP:
			if (BPF_OP(at->code) == BPF_JA)
				pc += at->k;
			else
				pc += jumps(at->code, a, at->k) ? at->jt : at->jf;
			break;
		case BPF_RET:
			return at->k;
		default:
			fail_msg("an instruction 0x%x that this test does not know", at->code);
		}
	}
	fail_msg("the program ran over its end");
	return 0;
}

static uint32_t decide(const struct sock_fprog *program, uint32_t arch, int number, const uint64_t args[6])
{
	struct seccomp_data data = { .nr = number, .arch = arch };

	memcpy(data.args, args, sizeof(data.args));
	return simulate(program, &data);
}

static int number_of(const char *name)
{
	return brunt_call_number(brunt_call_find(name), brunt_call_arch());
}

/* ---- installing them ---- */

static bool can_install(void)
{
	static int known = -1;

	if (known < 0) {
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(brunt_filter_probe(NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : 1);
		assert_int_equal(waitpid(child, &status, 0), child);
		known = WIFEXITED(status) && WEXITSTATUS(status) == 0;
		if (!known)
			print_message("seccomp does not notify here: filters are not installed\n");
	}
	return known;
}

/* What child and parent share. */
struct shared {
	int listener; /* its number in the child; -1: not yet; below: -errno */
	uint32_t answers;
	int result[64];
};
static struct shared *shared;

static int set_up(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

static int errno_of(long r)
{
	return r < 0 ? errno : 0;
}

/* In a child: with the filter, does what check does. Its exit says how that went. */
static void with_plain(const struct sock_fprog *program, void (*check)(void *user), void *user)
{
	int status;
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		alarm(TIMEOUT_MS / 1000);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || brunt_filter_install_plain(program) < 0)
			_exit(99);
		check(user);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0)
		fail_msg("the child ended with 0x%x", status);
}

static int wait_for_listener(int pidfd)
{
	for (int i = 0; i < TIMEOUT_MS && __atomic_load_n(&shared->listener, __ATOMIC_ACQUIRE) == -1; i++)
		usleep(1000);
	return shared->listener < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, shared->listener, 0);
}

/*
 * Answers until the child has ended; what answer gives is the errno, 0: the call goes on (CONTINUE). Before Linux 6.11
 * (bfafe5efa975) a listener hangs up only when the last process is reaped, so its pidfd is waited for as well.
 */
static void supervise(int listener, int pidfd, int (*answer)(const struct seccomp_data *data))
{
	for (;;) {
		struct pollfd wait[] = { { .fd = listener, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
		struct seccomp_notif notice = { 0 };
		struct seccomp_notif_resp response = { 0 };

		assert_in_range(poll(wait, 2, TIMEOUT_MS), 1, 2);
		if (!(wait[0].revents & POLLIN))
			return;
		assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice), 0);
		response.id = notice.id;
		response.error = -answer(&notice.data);
		response.flags = response.error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response), 0);
		shared->answers++;
	}
}

static void with_listener(const struct sock_fprog *program, int (*answer)(const struct seccomp_data *data),
			  void (*check)(void *user), void *user)
{
	int status, listener, pidfd;
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	shared->listener = -1;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		alarm(TIMEOUT_MS / 1000);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			_exit(98);
		__atomic_store_n(&shared->listener, brunt_filter_install(program), __ATOMIC_RELEASE);
		if (shared->listener < 0)
			_exit(99);
		check(user);
		_exit(0);
	}
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	assert_true(pidfd >= 0);
	listener = wait_for_listener(pidfd);
	if (listener >= 0)
		supervise(listener, pidfd, answer);
	else if (shared->listener >= 0) /* it cannot be had: nobody would answer */
		kill(child, SIGKILL);
	close(listener);
	close(pidfd);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0)
		fail_msg("the child ended with 0x%x; its listener was %d", status, shared->listener);
}

/* ---- what is refused ---- */

static void what_no_filter_can_say_is_refused(void **state)
{
	struct brunt_filter_rule rules[2] = { { .code = EIO } };

	(void)state;
	refuses(rules, 1, EINVAL, "a filter without any call to look at");
	refuses(rules, 0, EINVAL, "a filter without any call to look at");
	rules[0] = rule_of("fsync", 4096);
	refuses(rules, 1, EINVAL, "no errno has the number '4096'");
	rules[0] = rule_of("fsync", -5);
	refuses(rules, 1, EINVAL, "no errno has the number '-5'");
	rules[0] = rule_of("fsync", EIO);
	rules[1] = rule_of("%sync", ENOSPC);
	refuses(rules, 2, EINVAL, "a filter cannot say two things of 'fsync'");
	rules[1] = rule_of("%sync", 0);
	refuses(rules, 2, EINVAL, "a filter cannot say two things of 'fsync'");
	brunt_call_set_add(&rules[0].calls, brunt_call_index(brunt_call_find("exit_group")));
	refuses(rules, 1, EINVAL, "'exit_group' must be in no filter");
	rules[0] = rule_of("fsync", EIO);
	add_condition(&rules[0], 6, BRUNT_IS, 0, 1);
	refuses(rules, 1, EINVAL, "a system call has no argument 6; they go from 0 to 5");
	rules[0] = rule_of("fsync", EIO);
	add_condition(&rules[0], 0, (enum brunt_compare)6, 0, 1);
	refuses(rules, 1, EINVAL, "no comparison has the number 6");
	rules[0].argument_count = BRUNT_ARGUMENTS_MAX + 1;
	refuses(rules, 1, EINVAL, "a rule has at most 6 conditions");
}

static void more_conditions_than_the_kernel_takes_are_refused(void **state)
{
	static struct brunt_filter_rule rules[BPF_MAXINSNS / 30];

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(rules); i++) {
		rules[i] = rule_of("all", EIO);
		for (unsigned j = 0; j < 6; j++)
			add_condition(&rules[i], j, BRUNT_MORE, UINT64_MAX << 20, i);
	}
	assert_int_equal(
		brunt_filter_compile(rules, BRUNT_COUNT(rules), &(struct sock_filter *){ NULL }, &(size_t){ 0 }, &err),
		-E2BIG);
	assert_non_null(strstr(err.msg, "and 4096 is the most; name fewer conditions"));
	assert_int_equal(err.code, E2BIG);
}

static void calls_that_the_same_rules_are_about_share_their_conditions(void **state)
{
	struct brunt_filter_rule rule = rule_of("all", EIO);
	struct sock_fprog program;
	unsigned plain;

	(void)state;
	program = compile(&rule, 1);
	plain = program.len;
	free(program.filter);
	for (unsigned i = 0; i < 6; i++)
		add_condition(&rule, i, BRUNT_MORE, 0, 7);
	program = compile(&rule, 1);
	assert_in_range(program.len, plain + 30, plain + 40);
	free(program.filter);
}

/* ---- what filters decide, by the simulated machine ---- */

static void only_what_is_named_is_looked_at(void **state)
{
	struct brunt_filter_rule rules[] = { rule_of("%sync", EIO), rule_of("%network", ENETDOWN) };
	struct sock_fprog program = compile(rules, 2);
	const uint64_t args[6] = { 3, 1, 2, 3, 4, 5 };

	(void)state;
	for (size_t i = 0; i < brunt_call_count; i++) {
		int number = brunt_call_number(&brunt_calls[i], brunt_call_arch());
		uint32_t wanted = SECCOMP_RET_ALLOW;

		if (number < 0)
			continue;
		if (brunt_call_set_has(&rules[0].calls, (unsigned)i))
			wanted = SECCOMP_RET_ERRNO | EIO;
		else if (brunt_call_set_has(&rules[1].calls, (unsigned)i))
			wanted = SECCOMP_RET_ERRNO | ENETDOWN;
		assert_int_equal(decide(&program, brunt_call_arch(), number, args), wanted);
	}
	for (int number = 500; number < 1500; number++)
		assert_int_equal(decide(&program, brunt_call_arch(), number, args), SECCOMP_RET_ALLOW);
	free(program.filter);
}

static void calls_of_other_architectures_are_let_through(void **state)
{
	struct brunt_filter_rule rule = rule_of("all", EIO);
	struct sock_fprog program = compile(&rule, 1);
	const uint64_t args[6] = { 0 };

	(void)state;
	for (int number = 0; number < 500; number++) {
		assert_int_equal(decide(&program, AUDIT_ARCH_I386, number, args), SECCOMP_RET_ALLOW);
		assert_int_equal(decide(&program, AUDIT_ARCH_RISCV64, number, args), SECCOMP_RET_ALLOW);
		/* x32 has x86-64's architecture and a bit in the number */
		assert_int_equal(decide(&program, brunt_call_arch(), 0x40000000 | number, args), SECCOMP_RET_ALLOW);
	}
	assert_int_equal(decide(&program, brunt_call_arch(), -1, args), SECCOMP_RET_ALLOW);
	assert_int_equal(decide(&program, brunt_call_arch(), number_of("read"), args), SECCOMP_RET_ERRNO | EIO);
	free(program.filter);
}

static void a_rule_without_conditions_wins(void **state)
{
	struct brunt_filter_rule rules[] = { rule_of("read", EIO), rule_of("read", EIO), rule_of("write", EIO) };
	const uint64_t args[6] = { 7 };

	(void)state;
	add_condition(&rules[0], 0, BRUNT_IS, 0, 3);
	add_condition(&rules[2], 0, BRUNT_IS, 0, 3);
	for (int swap = 0; swap < 2; swap++) {
		struct sock_fprog program = compile(rules, 3);
		struct brunt_filter_rule first = rules[0];

		assert_int_equal(decide(&program, brunt_call_arch(), number_of("read"), args), SECCOMP_RET_ERRNO | EIO);
		assert_int_equal(decide(&program, brunt_call_arch(), number_of("write"), args), SECCOMP_RET_ALLOW);
		free(program.filter);
		rules[0] = rules[1];
		rules[1] = first;
	}
}

static uint64_t random_of(uint64_t below)
{
	return ((uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random()) % below;
}

/* Values that hurt: few bits, words of 32, ends. */
static uint64_t random_value(void)
{
	static const uint64_t nasty[] = { 0,	      1,
					  2,	      3,
					  4095,	      4096,
					  INT32_MAX,  UINT32_MAX,
					  1ULL << 32, (1ULL << 32) + 1,
					  3ULL << 32, INT64_MAX,
					  1ULL << 63, UINT64_MAX - 1,
					  UINT64_MAX };
	uint64_t high = (uint64_t)random();

	switch (random() % 4) {
	case 0:
		return nasty[random_of(BRUNT_COUNT(nasty))];
	case 1:
		return random_of(16);
	case 2:
		return random_of(4) << 32 | random_of(4);
	default:
		return high << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();
	}
}

static void random_rule(struct brunt_filter_rule *rule)
{
	uint64_t among = random() % 2 ? 6 : 2, count = random_of(4);

	rule->argument_count = 0;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t mask = random() % 4 ? 0 : random() % 2 ? random_value() : 0xffULL << random_of(57);
		uint64_t value = random_value();

		if (mask && random() % 4) /* else it mostly never holds */
			value &= mask;
		add_condition(rule, (unsigned)random_of(among), (enum brunt_compare)random_of(6), mask, value);
	}
}

/* Mostly at, or beside, what some condition is about. */
static void random_args(const struct brunt_filter_rule *rules, size_t count, uint64_t args[6])
{
	const struct brunt_filter_rule *rule = &rules[random_of(count)];

	for (int i = 0; i < 6; i++)
		args[i] = random_value();
	for (size_t i = 0; i < rule->argument_count; i++) {
		uint64_t *arg = &args[rule->arguments[i].index];

		if (random() % 8 == 0)
			continue;
		*arg = rule->arguments[i].value;
		if (rule->arguments[i].mask)
			*arg |= random_value() & ~rule->arguments[i].mask;
		else if (random() % 2)
			*arg += random_of(3) - 1;
		if (random() % 8 == 0)
			*arg ^= 1ULL << random_of(64);
	}
}

static bool any_holds(const char *call, const struct brunt_filter_rule *rules, size_t count, const uint64_t args[6])
{
	for (size_t i = 0; i < count; i++)
		if (brunt_call_set_has(&rules[i].calls, brunt_call_index(brunt_call_find(call))) &&
		    brunt_arguments_hold(rules[i].arguments, rules[i].argument_count, args))
			return true;
	return false;
}

static void dump(const struct brunt_filter_rule *rules, size_t count, const uint64_t args[6])
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < rules[i].argument_count; j++)
			print_message("rule %zu: arg %u op %u mask %#llx value %#llx\n", i, rules[i].arguments[j].index,
				      rules[i].arguments[j].compare, (unsigned long long)rules[i].arguments[j].mask,
				      (unsigned long long)rules[i].arguments[j].value);
	for (int i = 0; i < 6; i++)
		print_message("args[%d] = %#llx\n", i, (unsigned long long)args[i]);
}

static const char *const some_calls[] = { HARMLESS, "fsync", "statx" };

/* One to three random rules for one call, and each for some of two others. */
static size_t random_rules(struct brunt_filter_rule rules[3], struct sock_fprog *program)
{
	size_t count = 1 + random_of(3);

	for (size_t i = 0; i < count; i++) {
		rules[i] = rule_of(HARMLESS, CODE);
		for (size_t j = 1; j < BRUNT_COUNT(some_calls); j++)
			if (random() % 2)
				brunt_call_set_add(&rules[i].calls, brunt_call_index(brunt_call_find(some_calls[j])));
		random_rule(&rules[i]);
	}
	*program = compile(rules, count);
	return count;
}

static void filters_decide_as_brunt_does(void **state)
{
	unsigned held = 0, tried = 0;

	(void)state;
	srandom(812);
	for (int i = 0; i < 3000; i++) {
		struct brunt_filter_rule rules[3];
		struct sock_fprog program;
		size_t count = random_rules(rules, &program);

		for (int j = 0; j < 60; j++) {
			const char *call = some_calls[random_of(BRUNT_COUNT(some_calls))];
			uint64_t args[6];
			bool holds, fails;

			random_args(rules, count, args);
			holds = any_holds(call, rules, count, args);
			fails = decide(&program, brunt_call_arch(), number_of(call), args) ==
				(SECCOMP_RET_ERRNO | CODE);
			if (holds != fails) {
				dump(rules, count, args);
				fail_msg("brunt says %d of %s, the filter %d", holds, call, fails);
			}
			assert_int_equal(decide(&program, brunt_call_arch(), number_of("read"), args),
					 SECCOMP_RET_ALLOW);
			held += holds;
			tried++;
		}
		free(program.filter);
	}
	print_message("%u calls, %u of them hit\n", tried, held);
	assert_in_range(held, tried / 10, tried * 9 / 10);
}

/* ---- what they do in a kernel ---- */

struct real {
	const struct brunt_filter_rule *rules;
	size_t count;
	uint64_t (*args)[6];
};
#define REAL_CALLS 64

static void call_with_all(void *user)
{
	const struct real *real = user;

	for (int i = 0; i < REAL_CALLS; i++) {
		const uint64_t *a = real->args[i];

		shared->result[i] = errno_of(syscall(number_of(HARMLESS), a[0], a[1], a[2], a[3], a[4], a[5]));
	}
}

static void the_kernel_decides_as_brunt_does(void **state)
{
	(void)state;
	if (!can_install())
		skip();
	srandom(813);
	for (int i = 0; i < 150; i++) {
		struct brunt_filter_rule rules[3];
		struct sock_fprog program;
		uint64_t args[REAL_CALLS][6];
		size_t count = random_rules(rules, &program);
		struct real real = { rules, count, args };

		for (int j = 0; j < REAL_CALLS; j++)
			random_args(rules, count, args[j]);
		with_plain(&program, call_with_all, &real);
		for (int j = 0; j < REAL_CALLS; j++) {
			int wanted = any_holds(HARMLESS, rules, count, args[j]) ? CODE : ENOSYS;

			if (shared->result[j] != wanted) {
				dump(rules, count, args[j]);
				fail_msg("brunt says %d, the kernel %d", wanted, shared->result[j]);
			}
		}
		free(program.filter);
	}
}

static void call_some(void *user)
{
	(void)user;
	shared->result[0] = errno_of(syscall(SYS_fsync, -1));
	shared->result[1] = errno_of(syscall(SYS_fdatasync, -1));
	shared->result[2] = errno_of(syscall(SYS_close, -1));
	shared->result[3] = errno_of(syscall(SYS_getpid));
}

static void failing_calls_fail_and_others_do_not(void **state)
{
	struct brunt_filter_rule rule = rule_of("%sync", EIO);
	struct sock_fprog program = compile(&rule, 1);

	(void)state;
	if (!can_install())
		skip();
	with_plain(&program, call_some, NULL);
	assert_int_equal(shared->result[0], EIO);
	assert_int_equal(shared->result[1], EIO);
	assert_int_equal(shared->result[2], EBADF);
	assert_int_equal(shared->result[3], 0);
	free(program.filter);
}

static int answer_fsync(const struct seccomp_data *data)
{
	return data->nr == SYS_fsync ? ENOSPC : 0;
}

static void the_listener_is_asked_and_answers(void **state)
{
	struct brunt_filter_rule rule = rule_of("%sync", 0);
	struct sock_fprog program = compile(&rule, 1);

	(void)state;
	if (!can_install())
		skip();
	with_listener(&program, answer_fsync, call_some, NULL);
	assert_int_equal(shared->result[0], ENOSPC);
	assert_int_equal(shared->result[1], EBADF); /* CONTINUE: the kernel's own answer */
	assert_int_equal(shared->result[2], EBADF);
	assert_int_equal(shared->result[3], 0);
	assert_int_equal(shared->answers, 2);
	free(program.filter);
}

static int answer_any(const struct seccomp_data *data)
{
	(void)data;
	return EDQUOT;
}

static void call_with_conditions(void *user)
{
	(void)user;
	for (int i = 0; i < 8; i++) /* 1..2 and 6 are looked at */
		shared->result[i] = errno_of(syscall(number_of(HARMLESS), i, 0, 0, 0, 0, 0));
	shared->result[8] = errno_of(syscall(number_of(HARMLESS), 1ULL << 32 | 1, 0, 0, 0, 0, 0));
}

static void only_calls_that_meet_a_condition_are_asked_about(void **state)
{
	struct brunt_filter_rule rules[] = { rule_of(HARMLESS, 0), rule_of(HARMLESS, 0), rule_of("fsync", EIO) };
	struct sock_fprog program;

	(void)state;
	if (!can_install())
		skip();
	add_condition(&rules[0], 0, BRUNT_MORE, 0, 0);
	add_condition(&rules[0], 0, BRUNT_LESS, 0, 3);
	add_condition(&rules[1], 0, BRUNT_IS, 0, 6);
	program = compile(rules, 3);
	with_listener(&program, answer_any, call_with_conditions, NULL);
	for (int i = 0; i < 8; i++)
		assert_int_equal(shared->result[i], i == 1 || i == 2 || i == 6 ? EDQUOT : ENOSYS);
	assert_int_equal(shared->result[8], ENOSYS);
	assert_int_equal(shared->answers, 3);
	free(program.filter);
}

static int answer_nothing(const struct seccomp_data *data)
{
	(void)data;
	return 0;
}

static void do_much(void *user)
{
	char path[] = "/tmp/brunt-filter-XXXXXX";
	int fd = mkstemp(path);

	(void)user;
	if (fd < 0 || write(fd, "x", 1) != 1 || lseek(fd, 0, SEEK_SET) != 0 || unlink(path) < 0 || close(fd) < 0)
		_exit(1);
	fd = (int)syscall(SYS_dup, 1);
	if (fd < 0 || close(fd) < 0 || getppid() <= 0)
		_exit(2);
}

static void a_filter_over_everything_that_lets_all_go_on_changes_nothing(void **state)
{
	struct brunt_filter_rule rule = { .calls = calls_of("%file", "%desc") };
	struct sock_fprog program = compile(&rule, 1);
	unsigned calls = 0;

	(void)state;
	for (unsigned i = 0; i < BRUNT_CALLS_MAX; i++)
		calls += brunt_call_set_has(&rule.calls, i);
	assert_true(calls > 100);
	if (!can_install())
		skip();
	with_listener(&program, answer_nothing, do_much, NULL);
	assert_true(shared->answers >= 6);
	free(program.filter);
}

static void *idle(void *user)
{
	(void)user;
	for (int i = 0; i < TIMEOUT_MS && !__atomic_load_n(&shared->result[8], __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	shared->result[1] = errno_of(syscall(SYS_fsync, -1));
	return NULL;
}

static void a_filter_is_for_all_threads_that_are_there(void **state)
{
	struct brunt_filter_rule rule = rule_of("fsync", EIO);
	struct sock_fprog program = compile(&rule, 1);
	int status;
	pid_t child;

	(void)state;
	if (!can_install())
		skip();
	memset(shared, 0, sizeof(*shared));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		pthread_t thread;

		alarm(TIMEOUT_MS / 1000);
		if (pthread_create(&thread, NULL, idle, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    brunt_filter_install_plain(&program) < 0)
			_exit(99);
		__atomic_store_n(&shared->result[8], 1, __ATOMIC_RELEASE);
		pthread_join(thread, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(shared->result[1], EIO);
	free(program.filter);
}

static void install_again(void *user)
{
	syscall(SYS_fsync, -1); /* answered, so the parent has the listener */
	shared->result[0] = brunt_filter_install(user);
	shared->result[1] = fcntl(shared->listener, F_GETFD);
}

static void a_second_listener_is_refused(void **state)
{
	struct brunt_filter_rule rule = rule_of("fsync", 0);
	struct sock_fprog program = compile(&rule, 1);

	(void)state;
	if (!can_install())
		skip();
	with_listener(&program, answer_nothing, install_again, &program);
	assert_int_equal(shared->result[0], -EBUSY);
	assert_int_equal(shared->result[1], FD_CLOEXEC);
	free(program.filter);
}

static void without_a_privilege_no_new_privs_is_needed(void **state)
{
	struct brunt_filter_rule rule = rule_of("fsync", EIO);
	struct sock_fprog program = compile(&rule, 1);
	int status;
	pid_t child;

	(void)state;
	if (!can_install())
		skip();
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		if (brunt_filter_install(&program) != -EACCES || brunt_filter_install_plain(&program) != -EACCES)
			_exit(2);
		_exit(fsync(-1) == -1 && errno == EBADF ? 0 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	free(program.filter);
}

static void making_a_filter_changes_nothing_here(void **state)
{
	struct brunt_filter_rule rule = rule_of("all", 0);
	struct sock_fprog program = compile(&rule, 1);
	char line[128];
	FILE *file = fopen("/proc/self/status", "re");
	bool seen = false;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		int mode;

		if (sscanf(line, "Seccomp: %d", &mode) == 1) {
			assert_int_equal(mode, prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
			seen = true;
		}
	}
	fclose(file);
	assert_true(seen);
	assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	assert_int_equal(fsync(-1), -1);
	assert_int_equal(errno, EBADF);
	free(program.filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_no_filter_can_say_is_refused),
		cmocka_unit_test(calls_that_the_same_rules_are_about_share_their_conditions),
		cmocka_unit_test(more_conditions_than_the_kernel_takes_are_refused),
		cmocka_unit_test(only_what_is_named_is_looked_at),
		cmocka_unit_test(calls_of_other_architectures_are_let_through),
		cmocka_unit_test(a_rule_without_conditions_wins),
		cmocka_unit_test(filters_decide_as_brunt_does),
		cmocka_unit_test(the_kernel_decides_as_brunt_does),
		cmocka_unit_test(failing_calls_fail_and_others_do_not),
		cmocka_unit_test(the_listener_is_asked_and_answers),
		cmocka_unit_test(only_calls_that_meet_a_condition_are_asked_about),
		cmocka_unit_test(a_filter_over_everything_that_lets_all_go_on_changes_nothing),
		cmocka_unit_test(a_filter_is_for_all_threads_that_are_there),
		cmocka_unit_test(a_second_listener_is_refused),
		cmocka_unit_test(without_a_privilege_no_new_privs_is_needed),
		cmocka_unit_test(making_a_filter_changes_nothing_here),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
