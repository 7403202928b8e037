/* SPDX-License-Identifier: Apache-2.0 */
/* Host names of a fault: looked up by a child, in a mount namespace with hosts of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "fault/names.h"

static char hosts[] = "/tmp/brunt-hosts-XXXXXX";
static pid_t target; /* lives in namespaces where /etc/hosts is ours */

static void write_hosts(const char *text)
{
	int fd = open(hosts, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

static int set_up(void **state)
{
	int ready[2], fd;
	char byte;

	(void)state;
	if (geteuid())
		return 0;
	fd = mkstemp(hosts);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
	write_hosts("10.1.1.1 db.brunt.test\n10.1.1.3 db.brunt.test\nfd00::5 six.brunt.test\n");
	assert_int_equal(pipe(ready), 0);
	target = fork();
	if (!target) {
		if (unshare(CLONE_NEWNS | CLONE_NEWNET) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount(hosts, "/etc/hosts", NULL, MS_BIND, NULL))
			_exit(1);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		target = 0; /* no namespaces here */
	close(ready[0]);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (target > 0) {
		kill(target, SIGKILL);
		waitpid(target, NULL, 0);
	}
	unlink(hosts);
	return 0;
}

static void need_namespaces(void)
{
	if (target <= 0) {
		print_message("no mount and network namespaces here\n");
		skip();
	}
}

static struct brunt_endpoint parse(const char *text)
{
	struct brunt_endpoint endpoint;

	assert_int_equal(brunt_endpoint_parse(text, &endpoint, NULL), 0);
	return endpoint;
}

static void names_are_what_the_target_sees(void **state)
{
	struct brunt_endpoint items[] = { parse("db.brunt.test:5432/tcp"), parse("10.9.0.0/16"),
					  parse("six.brunt.test") };
	const struct brunt_list list = { items, BRUNT_COUNT(items) }, *lists[] = { &list };
	const struct brunt_names_params params = { .via = BRUNT_NAMES_TARGET, .every = 100 * BRUNT_MS };
	const char *expected[] = { "10.1.1.1:5432/tcp", "10.1.1.3:5432/tcp", "10.9.0.0/16", "fd00::5" };
	struct brunt_names *names;
	struct brunt_error err = { 0 };
	struct brunt_list now;
	char text[128];

	(void)state;
	need_namespaces();
	assert_true(brunt_names_are_used(lists, 1));
	assert_int_equal(brunt_names_start(lists, 1, &params, target, &names, &err), 0);
	if (brunt_names_await(names, brunt_now() + 10 * BRUNT_S, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(brunt_names_expand(names, &list, &now, &err), 0);
	assert_int_equal(now.count, BRUNT_COUNT(expected));
	for (size_t i = 0; i < now.count; i++)
		assert_string_equal(brunt_endpoint_print((struct brunt_endpoint *)now.items + i, text, sizeof(text)),
				    expected[i]);
	brunt_names_print(names, text, sizeof(text));
	assert_string_equal(text, "db.brunt.test: 10.1.1.1, 10.1.1.3; six.brunt.test: fd00::5");
	/* later there is another one */
	write_hosts("10.1.1.7 db.brunt.test\nfd00::5 six.brunt.test\n");
	for (uint64_t until = brunt_now() + 10 * BRUNT_S; !brunt_names_take(names) && brunt_now() < until;)
		usleep(10000);
	brunt_names_print(names, text, sizeof(text));
	assert_string_equal(text, "db.brunt.test: 10.1.1.7; six.brunt.test: fd00::5");
	/* and a resolver that fails takes none away */
	write_hosts("fd00::6 six.brunt.test\n");
	for (uint64_t until = brunt_now() + 10 * BRUNT_S; !brunt_names_take(names) && brunt_now() < until;)
		usleep(10000);
	brunt_names_print(names, text, sizeof(text));
	assert_string_equal(text, "db.brunt.test: 10.1.1.7; six.brunt.test: fd00::6");
	brunt_names_stop(names);
}

static void a_name_without_an_address_is_an_error(void **state)
{
	struct brunt_endpoint items[] = { parse("none.brunt.test:80") };
	const struct brunt_list list = { items, 1 }, *lists[] = { &list };
	const struct brunt_names_params params = { .via = BRUNT_NAMES_TARGET, .every = BRUNT_S };
	struct brunt_names *names;
	struct brunt_error err = { 0 };

	(void)state;
	need_namespaces();
	assert_int_equal(brunt_names_start(lists, 1, &params, target, &names, &err), 0);
	assert_int_equal(brunt_names_await(names, brunt_now() + 30 * BRUNT_S, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "'none.brunt.test' has no address"));
	brunt_names_stop(names);
}

static void a_target_that_is_gone_is_told(void **state)
{
	struct brunt_endpoint items[] = { parse("db.brunt.test") };
	const struct brunt_list list = { items, 1 }, *lists[] = { &list };
	const struct brunt_names_params params = { .via = BRUNT_NAMES_TARGET, .every = BRUNT_S };
	struct brunt_names *names;
	struct brunt_error err = { 0 };

	(void)state;
	assert_int_equal(brunt_names_start(lists, 1, &params, INT32_MAX, &names, &err), 0);
	assert_int_equal(brunt_names_await(names, brunt_now() + 10 * BRUNT_S, &err), -ESRCH);
	assert_non_null(strstr(err.msg, "namespaces could not be entered"));
	brunt_names_stop(names);
}

static void addresses_alone_need_nobody(void **state)
{
	struct brunt_endpoint items[] = { parse("10.0.0.1:80"), parse(":53") };
	const struct brunt_list list = { items, 2 }, none = { 0 }, *lists[] = { &none, &list };

	(void)state;
	assert_false(brunt_names_are_used(lists, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_what_the_target_sees),
		cmocka_unit_test(a_name_without_an_address_is_an_error),
		cmocka_unit_test(a_target_that_is_gone_is_told),
		cmocka_unit_test(addresses_alone_need_nobody),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
