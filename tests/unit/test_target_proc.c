/* SPDX-License-Identifier: Apache-2.0 */
/* Targets in a /proc made up for the purpose: nasty names, vanished entries, reused pids, foreign namespaces. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "brunt/error.h"
#include "brunt/target.h"
#include "base/text.h"
#include "target/proc.h"

static char proc[] = "/tmp/brunt-proc-XXXXXX";

struct fake {
	int pid, ppid;
	const char *comm;
	const char *cmdline; /* words ended by '|' */
	const char *nspid;   /* NULL: the pid itself */
	const char *exe;
	unsigned flags;
	unsigned long start;
	char state; /* 0: 'S' */
};

static void put(int pid, const char *file, const char *text, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%d/%s", proc, pid, file);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	assert_int_equal(close(fd), 0);
}

static void make(struct fake fake)
{
	char path[128], text[512], comm[80], nspid[16];
	const char *cmdline = fake.cmdline ? fake.cmdline : "";

	snprintf(path, sizeof(path), "%s/%d", proc, fake.pid);
	(void)mkdir(path, 0755);
	snprintf(
		text, sizeof(text),
		"%d (%s) %c %d 1 1 0 -1 %u 10 0 0 0 5 5 0 0 20 -5 1 0 %lu 4096 100 18446744073709551615 1 1 0 0 0 0 0 0\n",
		fake.pid, fake.comm, fake.state ? fake.state : 'S', fake.ppid, fake.flags, fake.start);
	put(fake.pid, "stat", text, strlen(text));
	snprintf(comm, sizeof(comm), "%s\n", fake.comm);
	put(fake.pid, "comm", comm, strlen(comm));
	snprintf(text, sizeof(text), "%s", cmdline);
	for (char *at = text; *at; at++)
		*at = *at == '|' ? '\0' : *at;
	put(fake.pid, "cmdline", text, strlen(cmdline));
	snprintf(nspid, sizeof(nspid), "%d", fake.pid);
	snprintf(text, sizeof(text), "Name:\tx\nGroups:\t1 2 \nNStgid:\t7\nNSpid:\t%s\nNSpgid:\t7\n",
		 fake.nspid ? fake.nspid : nspid);
	put(fake.pid, "status", text, strlen(text));
	snprintf(path, sizeof(path), "%s/%d/exe", proc, fake.pid);
	(void)unlink(path);
	if (fake.exe)
		assert_int_equal(symlink(fake.exe, path), 0);
}

static int drop(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
	(void)facts;
	(void)type;
	(void)walk;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	memcpy(proc + strlen(proc) - 6, "XXXXXX", 6);
	return mkdtemp(proc) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(proc, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static struct brunt_resolve_context context(void)
{
	return (struct brunt_resolve_context){ .seed = 1, .proc = proc };
}

/* Resolves by this selector, everything that matches; the code. */
static int resolve(struct brunt_process_selector selector, const struct brunt_resolve_context *with,
		   struct brunt_victims **ret, struct brunt_error *err)
{
	struct brunt_target target = { .name = "t", .process = &selector, .pick = { .kind = BRUNT_PICK_ALL } };

	*ret = NULL;
	*err = (struct brunt_error){ 0 };
	return brunt_target_resolve(&target, 0, with, NULL, ret, err);
}

static void assert_finds(struct brunt_process_selector selector, const struct brunt_resolve_context *with,
			 const int *pids, size_t count)
{
	struct brunt_victims *victims;
	struct brunt_error err;
	int rc = resolve(selector, with, &victims, &err);

	if (rc)
		print_error("%s\n", err.msg);
	assert_int_equal(rc, 0);
	assert_int_equal(victims->matched, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(victims->items[i].process.pid, pids[i]);
	brunt_victims_free(victims);
}

static void assert_refuses(struct brunt_process_selector selector, const struct brunt_resolve_context *with, int code,
			   const char *message)
{
	struct brunt_victims *victims;
	struct brunt_error err;
	int rc = resolve(selector, with, &victims, &err);

	if (!strstr(err.msg, message))
		print_error("'%s' is not in: %s\n", message, err.msg);
	assert_int_equal(rc, -code);
	assert_null(victims);
	assert_non_null(strstr(err.msg, message));
}

#define FIND(with, selector, ...)                                                                                      \
	assert_finds((struct brunt_process_selector)selector, with, (const int[]){ __VA_ARGS__ },                      \
		     sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))
#define BY(...)                                                                                                        \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

static void a_name_with_spaces_parentheses_and_newlines_does_not_confuse(void **state)
{
	static const char *const names[] = { "a b", ") S 1 (", "x) R 1 2 3", "((", "))", "new\nline", ") Z 1 1 1 1" };
	struct brunt_resolve_context with = context();

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct brunt_process process;

		make((struct fake){ .pid = 500, .ppid = 42, .comm = names[i], .start = 900 });
		FIND(&with, BY(.name = names[i]), 500);
		assert_int_equal(brunt_process_identify(proc, 500, false, &process, NULL), 0);
		assert_int_equal(process.start, 900);
		assert_int_equal(process.pidfd, -1);
		assert_null(strchr(process.name, '\n'));
	}
}

static void what_is_printed_is_clean_text(void **state)
{
	struct brunt_process process;
	char text[] = "\x1b[31m\xff\xc3\xa9\xc2\x85\xed\xa0\x80";

	(void)state;
	make((struct fake){ .pid = 500, .comm = "\x1b[2J\xe2\x82" });
	assert_int_equal(brunt_process_identify(proc, 500, false, &process, NULL), 0);
	assert_string_equal(process.name, "?[2J??");
	assert_string_equal(brunt_text_clean(text), "?[31m?\xc3\xa9?"
						    "?"
						    "?"
						    "?"
						    "?");
}

static void a_stat_cut_short_is_refused(void **state)
{
	static const char whole[] = "500 (a) S 1 1 1 0 -1 64 10 0 0 0 5 5 0 0 20 -5 1 0 900 4096 100\n";
	struct brunt_proc_stat stat;

	(void)state;
	assert_int_equal(brunt_proc_stat_parse(whole, &stat), 0);
	assert_int_equal(stat.start, 900);
	assert_int_equal(stat.flags, 64);
	assert_int_equal(stat.ppid, 1);
	assert_int_equal(stat.threads, 1);
	for (size_t length = 0; length + 1 < sizeof(whole) - 1; length++) {
		char cut[sizeof(whole)];

		memcpy(cut, whole, length);
		cut[length] = '\0';
		assert_int_equal(brunt_proc_stat_parse(cut, &stat), -EINVAL);
	}
}

static void entries_that_vanish_are_passed_over(void **state)
{
	struct brunt_resolve_context with = context();
	char path[128];

	(void)state;
	make((struct fake){ .pid = 500, .comm = "worker" });
	make((struct fake){ .pid = 501, .comm = "worker" });
	/* 600 has nothing but its folder; 601 lost its stat after its comm; 602's files are there, and empty. */
	snprintf(path, sizeof(path), "%s/600", proc);
	assert_int_equal(mkdir(path, 0755), 0);
	make((struct fake){ .pid = 601, .comm = "worker" });
	snprintf(path, sizeof(path), "%s/601/stat", proc);
	assert_int_equal(unlink(path), 0);
	make((struct fake){ .pid = 602, .comm = "worker" });
	put(602, "stat", "", 0);
	FIND(&with, BY(.name = "worker"), 500, 501);
}

static void zombies_do_not_match(void **state)
{
	struct brunt_resolve_context with = context();

	(void)state;
	make((struct fake){ .pid = 500, .comm = "worker", .state = 'Z' });
	make((struct fake){ .pid = 501, .comm = "worker" });
	FIND(&with, BY(.name = "worker"), 501);
	make((struct fake){ .pid = 501, .comm = "worker", .state = 'Z' });
	assert_refuses((struct brunt_process_selector){ .name = "worker" }, &with, ESRCH, "just ended");
}

static void a_name_is_the_comm_or_the_first_argument(void **state)
{
	struct brunt_resolve_context with = context();

	(void)state;
	make((struct fake){ .pid = 500, .comm = "python3", .cmdline = "/opt/app/worker|--x|" });
	make((struct fake){ .pid = 501, .comm = "nginx", .cmdline = "nginx: worker process|" });
	make((struct fake){ .pid = 502, .comm = "workers" });
	make((struct fake){ .pid = 503, .comm = "postgres", .cmdline = "postgres: a b/worker|" });
	FIND(&with, BY(.name = "worker"), 500);
	FIND(&with, BY(.name = "nginx"), 501);
}

static void a_long_name_is_compared_as_the_kernel_cut_it(void **state)
{
	struct brunt_resolve_context with = context();

	(void)state;
	make((struct fake){ .pid = 500, .comm = "payments-worker", .cmdline = "/x/payments-worker-a|" });
	make((struct fake){ .pid = 501, .comm = "payments-worker", .cmdline = "/x/payments-worker-b|" });
	make((struct fake){ .pid = 502, .comm = "payments-worker", .cmdline = "java|" });
	FIND(&with, BY(.name = "payments-worker-a"), 500, 502);
}

static void all_conditions_must_hold_and_the_first_that_fails_is_named(void **state)
{
	struct brunt_resolve_context with = context();
	char me[16];

	(void)state;
	(void)snprintf(me, sizeof(me), "%u", geteuid()); /* /proc is made of files that are ours */
	make((struct fake){ .pid = 500, .comm = "worker", .cmdline = "worker|--queue=a|", .exe = "/x/worker" });
	make((struct fake){
		.pid = 501, .comm = "worker", .cmdline = "worker|--queue=b|", .exe = "/x/worker (deleted)" });
	FIND(&with, BY(.name = "worker", .cmdline = "queue=b$"), 501);
	FIND(&with, BY(.exe = "/x/worker"), 500, 501);
	FIND(&with, BY(.cmdline = "^worker --queue=[ab]$"), 500, 501);
	FIND(&with, BY(.user = me, .cmdline = "queue=a"), 500);
	assert_refuses((struct brunt_process_selector){ .name = "worker", .cmdline = "queue=c" }, &with, ESRCH,
		       "none of them has arguments like 'queue=c'");
	assert_refuses((struct brunt_process_selector){ .exe = "/x/other" }, &with, ESRCH, "there is no such file");
	assert_refuses((struct brunt_process_selector){ .user = "nobody-of-that-name" }, &with, ESRCH, "no user");
}

static void a_near_miss_is_named(void **state)
{
	struct brunt_resolve_context with = context();

	(void)state;
	make((struct fake){ .pid = 500, .comm = "nginx" });
	assert_refuses((struct brunt_process_selector){ .name = "ngnix" }, &with, ESRCH,
		       "no process is named 'ngnix'; 'nginx' runs");
	assert_refuses((struct brunt_process_selector){ .name = "zzz" }, &with, ESRCH, "no process is named 'zzz'");
}

static void several_without_a_pick_are_listed(void **state)
{
	struct brunt_process_selector selector = { .name = "w" };
	struct brunt_target target = { .name = "t", .process = &selector };
	struct brunt_resolve_context with = context();
	struct brunt_victims *victims = NULL;
	struct brunt_error err = { 0 };

	(void)state;
	for (int pid = 500; pid < 507; pid++)
		make((struct fake){ .pid = pid, .comm = "w", .start = (unsigned long)pid });
	assert_int_equal(brunt_target_resolve(&target, 0, &with, NULL, &victims, &err), -E2BIG);
	assert_null(victims);
	assert_non_null(strstr(err.msg, "7 match (w pid 500, w pid 501, w pid 502, w pid 503, w pid 504 and 2 more)"));
}

static void items_stand_by_age_not_by_pid(void **state)
{
	struct brunt_resolve_context with = context();

	(void)state;
	make((struct fake){ .pid = 500, .comm = "w", .start = 30 });
	make((struct fake){ .pid = 501, .comm = "w", .start = 10 });
	make((struct fake){ .pid = 502, .comm = "w", .start = 20 });
	FIND(&with, BY(.name = "w"), 501, 502, 500);
}

static void the_protected_are_not_matched_and_named_when_alone(void **state)
{
	static const struct fake cases[] = {
		{ .pid = 1, .comm = "w" },
		{ .pid = 500, .comm = "w", .flags = 0x00200040 },
		{ .pid = 501, .comm = "w", .exe = "/usr/lib/systemd/systemd-journald" },
		{ .pid = 502, .comm = "w", .exe = "/usr/bin/dbus-daemon (deleted)" },
		{ .pid = 503, .comm = "w", .exe = "/usr/lib/systemd/systemd-logind" },
		{ .pid = 700, .comm = "w" }, /* own */
		{ .pid = 699, .comm = "w" }, /* own's parent */
		{ .pid = 698, .comm = "w" }, /* and its parent */
	};
	pid_t own[] = { 700 };
	struct brunt_resolve_context with = context();

	(void)state;
	with.own = own;
	with.own_count = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake fake = cases[i];

		fake.ppid = fake.pid == 700 ? 699 : fake.pid == 699 ? 698 : 1;
		make(fake);
	}
	assert_refuses((struct brunt_process_selector){ .name = "w" }, &with, EPERM,
		       "only protected processes match: w pid");
	make((struct fake){ .pid = 800, .ppid = 700, .comm = "w" });
	FIND(&with, BY(.name = "w"), 800);
}

static void daemons_are_known_by_name_when_the_executable_cannot_be_told(void **state)
{
	struct brunt_resolve_context with = context();

	(void)state;
	make((struct fake){ .pid = 500, .comm = "systemd-journal", .cmdline = "w|" });
	make((struct fake){ .pid = 501, .comm = "dbus-broker-lau", .cmdline = "w|" });
	assert_refuses((struct brunt_process_selector){ .cmdline = "w" }, &with, EPERM,
		       "a daemon that the host depends on");
}

static void sshd_is_hit_only_when_named(void **state)
{
	struct brunt_resolve_context with = context();

	(void)state;
	make((struct fake){
		.pid = 500, .comm = "sshd", .cmdline = "sshd: /usr/sbin/sshd -D|", .exe = "/usr/sbin/sshd" });
	assert_refuses((struct brunt_process_selector){ .cmdline = "sshd -D" }, &with, EPERM, "name it to hit it");
	FIND(&with, BY(.name = "sshd"), 500);
	FIND(&with, BY(.exe = "/usr/sbin/sshd"), 500);
}

static void other_pid_namespaces_take_a_word(void **state)
{
	struct brunt_resolve_context with = context();

	(void)state;
	make((struct fake){ .pid = 500, .comm = "w", .cmdline = "w|", .nspid = "500 1" });
	make((struct fake){ .pid = 501, .comm = "w", .cmdline = "w|", .nspid = "501 7" });
	assert_refuses((struct brunt_process_selector){ .cmdline = "w" }, &with, ESRCH, "any_pid_namespace");
	FIND(&with, BY(.cmdline = "w", .any_pid_namespace = true), 501);
	FIND(&with, BY(.name = "w", .any_pid_namespace = true), 500, 501);
}

static void the_runs_own_services_are_looked_into(void **state)
{
	pid_t own[] = { 600 };
	struct brunt_resolve_context with = context();

	(void)state;
	with.own = own;
	with.own_count = 1;
	/* 600 is the launcher, init of the namespace; 601 a service, 602 its child; 700 in somebody else's. */
	make((struct fake){ .pid = 600, .ppid = 1, .comm = "w", .nspid = "600 1" });
	make((struct fake){ .pid = 601, .ppid = 600, .comm = "w", .nspid = "601 2" });
	make((struct fake){ .pid = 602, .ppid = 601, .comm = "w", .nspid = "602 3" });
	make((struct fake){ .pid = 700, .ppid = 1, .comm = "w", .nspid = "700 4" });
	FIND(&with, BY(.name = "w"), 601, 602);
}

static void a_pid_file_from_inside_a_service_is_translated(void **state)
{
	pid_t own[] = { 600 };
	struct brunt_resolve_context with = context();
	char path[128];
	FILE *file;

	(void)state;
	with.own = own;
	with.own_count = 1;
	make((struct fake){ .pid = 1, .comm = "init" });
	make((struct fake){ .pid = 600, .ppid = 1, .comm = "brunt-launcher", .nspid = "600 1" });
	make((struct fake){ .pid = 601, .ppid = 600, .comm = "nginx", .nspid = "601 7" });
	make((struct fake){ .pid = 7, .comm = "kworker", .flags = 0x00200040 });
	snprintf(path, sizeof(path), "%s/pid", proc);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("7\n", file);
	fclose(file);
	FIND(&with, BY(.pid_file = path), 601);
	/* Somebody here has that pid, too: not for us to guess, unless another condition tells. */
	make((struct fake){ .pid = 7, .ppid = 1, .comm = "cron" });
	assert_refuses((struct brunt_process_selector){ .pid_file = path }, &with, E2BIG, "add name or exe");
	FIND(&with, BY(.pid_file = path, .name = "nginx"), 601);
	/* An outer pid of a process inside is not what its pid file says. */
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("601", file);
	fclose(file);
	assert_refuses((struct brunt_process_selector){ .pid_file = path }, &with, ESRCH, "pid file");
}

static void a_bad_pid_file_is_told(void **state)
{
	static const char *const texts[] = { "", "x", "-4", "0", "12x", "99999999999" };
	struct brunt_resolve_context with = context();
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/pid", proc);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(texts[i], file);
		fclose(file);
		assert_refuses((struct brunt_process_selector){ .pid_file = path }, &with, ESRCH, "holds no pid");
	}
	assert_refuses((struct brunt_process_selector){ .pid_file = "/nowhere/pid" }, &with, ESRCH,
		       "cannot open the pid file");
}

static struct brunt_victims *follow(const struct brunt_resolve_context *with, const struct brunt_victims *previous,
				    uint64_t count)
{
	struct brunt_process_selector selector = { .name = "w" };
	struct brunt_target target = { .name = "t",
				       .process = &selector,
				       .pick = { .kind = BRUNT_PICK_COUNT, .count = count } };
	struct brunt_victims *victims = NULL;

	assert_int_equal(brunt_target_resolve(&target, 0, with, previous, &victims, NULL), 0);
	return victims;
}

static int picked_pid(const struct brunt_victims *victims)
{
	for (size_t i = 0; i < victims->matched; i++)
		if (victims->items[i].picked)
			return victims->items[i].process.pid;
	return 0;
}

static void following_keeps_old_victims_and_fills_up(void **state)
{
	struct brunt_resolve_context with = context();
	struct brunt_victims *first, *next;
	int old;

	(void)state;
	for (int pid = 500; pid < 508; pid++)
		make((struct fake){ .pid = pid, .comm = "w", .start = (unsigned long)pid });
	first = follow(&with, NULL, 1);
	old = picked_pid(first);
	for (with.round = 1; with.round < 20; with.round++) {
		next = follow(&with, first, 1);
		assert_int_equal(picked_pid(next), old);
		assert_int_equal(next->picked, 1);
		brunt_victims_free(next);
		/* More are wanted: the old one is among them. */
		next = follow(&with, first, 3);
		assert_int_equal(next->picked, 3);
		for (size_t i = 0; i < next->matched; i++)
			assert_true(next->items[i].process.pid != old || next->items[i].picked);
		brunt_victims_free(next);
	}
	/* Its pid now belongs to another process: that one is not an old victim. */
	make((struct fake){ .pid = old, .comm = "w", .start = 9000 });
	{
		bool other = false;

		for (with.round = 20; with.round < 60; with.round++) {
			next = follow(&with, first, 1);
			other = other || picked_pid(next) != old;
			brunt_victims_free(next);
		}
		assert_true(other);
	}
	brunt_victims_free(first);
}

static void the_share_is_the_real_one(void **state)
{
	struct brunt_process_selector selector = { .name = "w" };
	struct brunt_target target = { .name = "t",
				       .process = &selector,
				       .pick = { .kind = BRUNT_PICK_SHARE, .share = 0.2 } };
	struct brunt_resolve_context with = context();
	struct brunt_victims *victims = NULL;
	uint64_t count = 0;

	(void)state;
	make((struct fake){ .pid = 500, .comm = "w" });
	make((struct fake){ .pid = 501, .comm = "w" });
	assert_int_equal(brunt_target_resolve(&target, 0, &with, NULL, &victims, NULL), 0);
	assert_int_equal(victims->picked, 1);
	assert_true(victims->share == 0.5);
	brunt_victims_free(victims);
	assert_int_equal(brunt_target_count(&target, &with, &count, NULL), 0);
	assert_int_equal(count, 2);
	selector.name = "nobody";
	assert_int_equal(brunt_target_count(&target, &with, &count, NULL), 0);
	assert_int_equal(count, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_with_spaces_parentheses_and_newlines_does_not_confuse),
		TEST(what_is_printed_is_clean_text),
		TEST(a_stat_cut_short_is_refused),
		TEST(entries_that_vanish_are_passed_over),
		TEST(zombies_do_not_match),
		TEST(a_name_is_the_comm_or_the_first_argument),
		TEST(a_long_name_is_compared_as_the_kernel_cut_it),
		TEST(all_conditions_must_hold_and_the_first_that_fails_is_named),
		TEST(a_near_miss_is_named),
		TEST(several_without_a_pick_are_listed),
		TEST(items_stand_by_age_not_by_pid),
		TEST(the_protected_are_not_matched_and_named_when_alone),
		TEST(daemons_are_known_by_name_when_the_executable_cannot_be_told),
		TEST(sshd_is_hit_only_when_named),
		TEST(other_pid_namespaces_take_a_word),
		TEST(the_runs_own_services_are_looked_into),
		TEST(a_pid_file_from_inside_a_service_is_translated),
		TEST(a_bad_pid_file_is_told),
		TEST(following_keeps_old_victims_and_fills_up),
		TEST(the_share_is_the_real_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
