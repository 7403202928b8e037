/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/names.h"
#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/param.h"
#include "brunt/units.h"
#include "syscall/calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* Newer than libseccomp 2.5.4 as it was released. */
static const char *const newer[] = { "cachestat",  "fchmodat2",	 "map_shadow_stack",
				     "futex_wake", "futex_wait", "futex_requeue" };

static struct brunt_error err;

static int select_words(struct brunt_call_set *set, const char *const *words, size_t count)
{
	struct brunt_list list = { .items = (void *)words, .count = count };

	err = (struct brunt_error){ 0 };
	return brunt_calls_select(&list, set, &err);
}
#define SELECT(set, ...)                                                                                               \
	select_words(set, (const char *const[]){ __VA_ARGS__ }, BRUNT_COUNT(((const char *const[]){ __VA_ARGS__ })))

static bool has(const struct brunt_call_set *set, const char *name)
{
	const struct brunt_call *call = brunt_call_find(name);

	assert_non_null(call);
	return brunt_call_set_has(set, brunt_call_index(call));
}

static unsigned size_of(const struct brunt_call_set *set)
{
	unsigned count = 0;

	for (unsigned i = 0; i < BRUNT_CALLS_MAX; i++)
		count += brunt_call_set_has(set, i);
	return count;
}

static bool is_newer(const char *name)
{
	for (size_t i = 0; i < BRUNT_COUNT(newer); i++)
		if (strcmp(newer[i], name) == 0)
			return true;
	return false;
}

static void every_call_has_a_name_of_its_own_and_a_number(void **state)
{
	(void)state;
	assert_in_range(brunt_call_count, 360, BRUNT_CALLS_MAX);
	for (size_t i = 0; i < brunt_call_count; i++) {
		const struct brunt_call *call = &brunt_calls[i];
		int number = brunt_call_number(call, AUDIT_ARCH_X86_64);

		assert_ptr_equal(brunt_call_find(call->name), call); /* so no earlier one has the name */
		assert_int_equal(brunt_call_index(call), i);
		if (number < 0 && !is_newer(call->name))
			fail_msg("libseccomp does not know '%s'", call->name);
		if (number >= 0 && brunt_call_arch() == AUDIT_ARCH_X86_64)
			assert_int_equal(brunt_call_index_of(number), i);
		for (size_t j = 0; j < i && number >= 0; j++)
			if (brunt_call_number(&brunt_calls[j], AUDIT_ARCH_X86_64) == number)
				fail_msg("'%s' and '%s' have one number", call->name, brunt_calls[j].name);
	}
	assert_null(brunt_call_find("fsnyc"));
	assert_null(brunt_call_find(""));
}

static void numbers_are_those_of_the_kernels_header(void **state)
{
	static const struct {
		const char *name;
		int number;
	} cases[] = { { "read", SYS_read },	{ "openat", SYS_openat }, { "fsync", SYS_fsync },
		      { "clone3", SYS_clone3 }, { "statx", SYS_statx },	  { "exit_group", SYS_exit_group } };

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		const struct brunt_call *call = brunt_call_find(cases[i].name);

		assert_int_equal(brunt_call_number(call, brunt_call_arch()), cases[i].number);
		assert_int_equal(brunt_call_index_of(cases[i].number), brunt_call_index(call));
	}
	assert_int_equal(brunt_call_index_of(-1), -1);
	assert_int_equal(brunt_call_index_of(511), -1);
	assert_int_equal(brunt_call_index_of(1 << 30), -1); /* x32 */
	assert_int_equal(brunt_call_index_of(INT32_MIN), -1);
}

static void another_architecture_has_its_own_numbers_and_gaps(void **state)
{
	(void)state;
	assert_int_equal(brunt_call_number(brunt_call_find("read"), AUDIT_ARCH_AARCH64), 63);
	assert_int_equal(brunt_call_number(brunt_call_find("read"), AUDIT_ARCH_X86_64), 0);
	assert_int_equal(brunt_call_number(brunt_call_find("open"), AUDIT_ARCH_AARCH64), -1);
	assert_int_equal(brunt_call_number(brunt_call_find("creat"), AUDIT_ARCH_AARCH64), -1);
	assert_int_equal(brunt_call_number(brunt_call_find("read"), 0), -1);
}

static void check_index(const struct brunt_call *call, int index)
{
	if (index < -1 || index > 5)
		fail_msg("'%s' has no argument %d", call->name, index);
}

static void arguments_make_sense(void **state)
{
	(void)state;
	for (size_t i = 0; i < brunt_call_count; i++) {
		const struct brunt_call *call = &brunt_calls[i];
		const int8_t all[] = { call->fd,       call->fd2,     call->path[0], call->path[1], call->dirfd[0],
				       call->dirfd[1], call->address, call->addrlen, call->count };
		unsigned seen = 0;

		for (size_t j = 0; j < BRUNT_COUNT(all); j++) {
			check_index(call, all[j]);
			if (all[j] >= 0 && seen & 1u << all[j])
				fail_msg("'%s' has two things in argument %d", call->name, all[j]);
			if (all[j] >= 0)
				seen |= 1u << all[j];
		}
		if (call->fd < 0 && call->fd2 >= 0)
			fail_msg("'%s' has a second descriptor and no first", call->name);
		for (int j = 0; j < 2; j++)
			if (call->dirfd[j] >= 0 && call->path[j] != call->dirfd[j] + 1)
				fail_msg("'%s': a path does not follow its directory", call->name);
		if (call->path[0] < 0 && call->path[1] >= 0)
			fail_msg("'%s' has a second path and no first", call->name);
		if ((call->address < 0) != (call->addrlen < 0))
			fail_msg("'%s' has half an address", call->name);
		if (call->path[0] >= 0 && !(call->classes & BRUNT_CALLS_FILE))
			fail_msg("'%s' takes a path and is not in %%file", call->name);
		if (call->fd >= 0 && !(call->classes & (BRUNT_CALLS_DESC | BRUNT_CALLS_NETWORK)))
			fail_msg("'%s' takes a descriptor and is in neither %%desc nor %%network", call->name);
		if (call->address >= 0 && !(call->classes & BRUNT_CALLS_NETWORK))
			fail_msg("'%s' takes an address and is not in %%network", call->name);
	}
}

static void what_is_known_of_some_calls_is_right(void **state)
{
	const struct brunt_call *call = brunt_call_find("openat");

	(void)state;
	assert_int_equal(call->dirfd[0], 0);
	assert_int_equal(call->path[0], 1);
	assert_int_equal(call->fd, -1);
	call = brunt_call_find("renameat2");
	assert_int_equal(call->dirfd[1], 2);
	assert_int_equal(call->path[1], 3);
	call = brunt_call_find("symlinkat");
	assert_int_equal(call->dirfd[0], 1);
	assert_int_equal(call->path[0], 2);
	assert_int_equal(call->path[1], -1);
	call = brunt_call_find("sendto");
	assert_int_equal(call->fd, 0);
	assert_int_equal(call->count, 2);
	assert_int_equal(call->address, 4);
	assert_int_equal(call->addrlen, 5);
	assert_true(call->flags & BRUNT_CALL_SHORT);
	call = brunt_call_find("sendfile");
	assert_int_equal(call->fd, 0);
	assert_int_equal(call->fd2, 1);
	assert_int_equal(call->count, 3);
	call = brunt_call_find("mmap");
	assert_int_equal(call->fd, 4);
	assert_true(brunt_call_find("clock_gettime")->flags & BRUNT_CALL_VDSO);
	assert_false(brunt_call_may_fail(brunt_call_find("exit")));
	assert_true(brunt_call_may_fail(brunt_call_find("execve")));
}

static unsigned seen_errnos;
static int last_errno;

static void see_errno(void *user, int code)
{
	const char *name = brunt_errno_name(code);

	if (!name)
		fail_msg("'%s' has errno %d, which has no name", (const char *)user, code);
	if (code == EFAULT || code == ENOSYS)
		fail_msg("'%s' has %s, which no sound program meets", (const char *)user, name);
	seen_errnos++;
	last_errno = code;
}

static void every_errno_has_a_name_and_stands_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < brunt_call_count; i++) {
		const struct brunt_call *call = &brunt_calls[i];
		char text[512], *rest = text, *word;
		unsigned count = 0;
		int codes[64];

		assert_true(strlen(call->errnos) < sizeof(text));
		strcpy(text, call->errnos);
		while ((word = strsep(&rest, " ")) && *call->errnos) {
			int code;

			if (brunt_errno_parse(word, &code, NULL) < 0)
				fail_msg("'%s' has '%s', which is no errno", call->name, word);
			if (strcmp(brunt_errno_name(code), word) != 0)
				fail_msg("'%s' has %s by its second name %s", call->name, brunt_errno_name(code), word);
			for (size_t j = 0; j < count; j++)
				if (codes[j] == code)
					fail_msg("'%s' has %s twice", call->name, word);
			assert_true(count < BRUNT_COUNT(codes));
			codes[count] = code;
			count++;
		}
		seen_errnos = 0;
		brunt_call_each_errno(call, see_errno, (void *)call->name);
		assert_int_equal(seen_errnos, count);
		if (call->flags & BRUNT_CALL_NORETURN)
			assert_int_equal(count, 0);
	}
	seen_errnos = 0;
	brunt_call_each_errno(brunt_call_find("syncfs"), see_errno, "syncfs");
	assert_int_equal(seen_errnos, 4);
	assert_int_equal(last_errno, ENOSPC);
}

static void names_classes_and_all_are_selected(void **state)
{
	struct brunt_call_set set;

	(void)state;
	assert_int_equal(SELECT(&set, "fsync", "read", "fsync"), 0);
	assert_int_equal(size_of(&set), 2);
	assert_true(has(&set, "fsync") && has(&set, "read"));
	assert_int_equal(SELECT(&set, "%sync"), 0);
	assert_int_equal(size_of(&set), 6);
	assert_true(has(&set, "fsync") && has(&set, "fdatasync") && has(&set, "msync") &&
		    has(&set, "sync_file_range") && has(&set, "syncfs") && has(&set, "sync"));
	assert_int_equal(SELECT(&set, "%file", "close"), 0);
	assert_true(has(&set, "openat") && has(&set, "unlink") && has(&set, "close") && !has(&set, "write"));
	assert_int_equal(SELECT(&set, "%network"), 0);
	assert_true(has(&set, "connect") && has(&set, "accept4") && !has(&set, "openat"));
}

static void what_must_not_fail_is_in_no_class(void **state)
{
	static const char *const never[] = { "exit", "exit_group", "rt_sigreturn", "restart_syscall", "seccomp" };
	struct brunt_call_set set;

	(void)state;
	assert_int_equal(SELECT(&set, "all", "%process", "%signal"), 0);
	for (size_t i = 0; i < BRUNT_COUNT(never); i++) {
		assert_false(brunt_call_may_fail(brunt_call_find(never[i])));
		assert_false(has(&set, never[i]));
	}
	for (size_t i = 0; i < brunt_call_count; i++)
		if (brunt_call_number(&brunt_calls[i], brunt_call_arch()) >= 0 && brunt_call_may_fail(&brunt_calls[i]))
			assert_true(brunt_call_set_has(&set, (unsigned)i));
	assert_true(size_of(&set) > 350 || brunt_call_arch() != AUDIT_ARCH_X86_64);
}

static void wrong_words_are_told_with_a_way_out(void **state)
{
	static const struct {
		const char *word, *message;
	} cases[] = {
		{ "fsnyc", "no system call is called 'fsnyc'; did you mean 'fsync'?" },
		{ "FSYNC", "no system call is called 'FSYNC'; did you mean 'fsync'?" },
		{ "recv", "no system call is called 'recv'; did you mean 'recvfrom'?" },
		{ "pread", "no system call is called 'pread'; did you mean 'pread64'?" },
		{ "file", "no system call is called 'file'; did you mean '%file'?" },
		{ "al", "no system call is called 'al'; did you mean 'all'?" },
		{ "", "no system call is called ''; syscalls(2) lists them" },
		{ "frobnicate", "no system call is called 'frobnicate'; syscalls(2) lists them" },
		{ "bad\x1b[31m", "no system call is called 'bad?[31m'; syscalls(2) lists them" },
		{ "%files",
		  "no class of calls is called '%files'; there are %file, %desc, %network, %memory, %process, "
		  "%signal, %ipc, %sync, %creds, %clock" },
		{ "%", "no class of calls is called '%'; there are %file, %desc, %network, %memory, %process, "
		       "%signal, %ipc, %sync, %creds, %clock" },
		{ "exit_group", "'exit_group' never returns, so nothing would be told of its failure" },
		{ "rt_sigreturn", "'rt_sigreturn' never returns, so nothing would be told of its failure" },
		{ "restart_syscall", "'restart_syscall' is left alone: the kernel calls it, not the program" },
		{ "seccomp", "'seccomp' is left alone: a program whose sandbox fails may go on without one" },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct brunt_call_set set = { { 42 } };

		assert_int_equal(SELECT(&set, "fsync", cases[i].word, "read"), -EINVAL);
		assert_string_equal(err.msg, cases[i].message);
		assert_int_equal(err.code, EINVAL);
		assert_int_equal(set.bits[0], 42);
	}
}

static void no_word_at_all_is_an_error(void **state)
{
	struct brunt_call_set set = { { 42 } };

	(void)state;
	assert_int_equal(select_words(&set, NULL, 0), -EINVAL);
	assert_string_equal(err.msg, "no system call is named; write for example \"%sync\"");
	assert_int_equal(set.bits[0], 42);
}

static void what_an_architecture_does_not_have_is_told(void **state)
{
	const char *creat[] = { "creat" }, *tux[] = { "tuxcall" }, *all[] = { "all", "%file" };
	struct brunt_call_set set = { { 42 } };

	(void)state;
	assert_int_equal(brunt_calls_select_on(AUDIT_ARCH_AARCH64, &(struct brunt_list){ creat, 1 }, &set, &err),
			 -EINVAL);
	assert_string_equal(err.msg, "there is no 'creat' on arm64; 'openat' is what programs call there");
	assert_int_equal(brunt_calls_select_on(AUDIT_ARCH_AARCH64, &(struct brunt_list){ tux, 1 }, &set, &err),
			 -EINVAL);
	assert_string_equal(err.msg, "there is no 'tuxcall' on arm64");
	assert_int_equal(brunt_calls_select_on(0, &(struct brunt_list){ creat, 1 }, &set, &err), -ENOTSUP);
	assert_int_equal(set.bits[0], 42);
	assert_int_equal(brunt_calls_select_on(AUDIT_ARCH_AARCH64, &(struct brunt_list){ all, 2 }, &set, &err), 0);
	assert_true(has(&set, "openat") && !has(&set, "open") && !has(&set, "creat"));
}

static void families_add_what_stands_in(void **state)
{
	struct brunt_call_set set;

	(void)state;
	assert_int_equal(SELECT(&set, "fsync"), 0);
	brunt_calls_add_families(&set);
	assert_int_equal(size_of(&set), 6);
	assert_true(has(&set, "fdatasync"));
	assert_int_equal(SELECT(&set, "openat", "accept4"), 0);
	brunt_calls_add_families(&set);
	assert_true(has(&set, "openat2") && !has(&set, "read"));
	assert_true(has(&set, "accept"));
	assert_int_equal(SELECT(&set, "lseek"), 0); /* stands alone, as many others do */
	brunt_calls_add_families(&set);
	assert_int_equal(size_of(&set), 1);
	set = (struct brunt_call_set){ 0 };
	brunt_calls_add_families(&set);
	assert_int_equal(size_of(&set), 0);
}

static void every_family_has_at_least_two_members(void **state)
{
	unsigned members[256] = { 0 }, families = 0;

	(void)state;
	for (size_t i = 0; i < brunt_call_count; i++)
		members[brunt_calls[i].family]++;
	for (unsigned family = 1; family < 256; family++) {
		if (members[family] == 1)
			fail_msg("family %u has one member", family);
		families += members[family] > 0;
	}
	assert_in_range(families, 30, 100);
}

static void sets_are_printed_for_a_person(void **state)
{
	struct brunt_call_set set = { 0 };
	char buf[64], small[12];

	(void)state;
	assert_string_equal(brunt_calls_print(&set, buf, sizeof(buf)), "none");
	assert_int_equal(SELECT(&set, "fsync"), 0);
	assert_string_equal(brunt_calls_print(&set, buf, sizeof(buf)), "fsync");
	assert_int_equal(SELECT(&set, "fdatasync", "fsync"), 0);
	assert_string_equal(brunt_calls_print(&set, buf, sizeof(buf)), "fsync and fdatasync");
	assert_int_equal(SELECT(&set, "read", "write", "fsync", "statx"), 0);
	assert_string_equal(brunt_calls_print(&set, buf, sizeof(buf)), "read, write, fsync and statx");
	assert_int_equal(SELECT(&set, "read", "write", "fsync", "statx", "close"), 0);
	assert_string_equal(brunt_calls_print(&set, buf, sizeof(buf)), "read, write and 3 more");
	assert_string_equal(brunt_calls_print(&set, small, sizeof(small)), "read, write");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_has_a_name_of_its_own_and_a_number),
		cmocka_unit_test(numbers_are_those_of_the_kernels_header),
		cmocka_unit_test(another_architecture_has_its_own_numbers_and_gaps),
		cmocka_unit_test(arguments_make_sense),
		cmocka_unit_test(what_is_known_of_some_calls_is_right),
		cmocka_unit_test(every_errno_has_a_name_and_stands_once),
		cmocka_unit_test(names_classes_and_all_are_selected),
		cmocka_unit_test(what_must_not_fail_is_in_no_class),
		cmocka_unit_test(wrong_words_are_told_with_a_way_out),
		cmocka_unit_test(no_word_at_all_is_an_error),
		cmocka_unit_test(what_an_architecture_does_not_have_is_told),
		cmocka_unit_test(families_add_what_stands_in),
		cmocka_unit_test(every_family_has_at_least_two_members),
		cmocka_unit_test(sets_are_printed_for_a_person),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
