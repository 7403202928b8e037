/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/role.h"
#include "brunt/units.h"

static void a_lease_is_renewed_while_it_runs(void **state)
{
	struct brunt_lease lease = { .length = 500, .expires = 1000 };

	(void)state;
	assert_int_equal(brunt_lease_renew(&lease, 999), 0);
	assert_int_equal(lease.expires, 1499);
}

static void a_lapsed_lease_stays_lapsed(void **state)
{
	struct brunt_lease lease = { .length = 500, .expires = 1000 };

	(void)state;
	assert_int_equal(brunt_lease_renew(&lease, 1000), -ETIME);
	assert_int_equal(lease.expires, 1000);
	assert_true(lease.lapsed);
	/* not even by a clock that says it is earlier */
	assert_int_equal(brunt_lease_renew(&lease, 1), -ETIME);
	assert_int_equal(lease.expires, 1000);
}

/* Runs act in a child with a timer that is set to so long from now; returns its wait status. */
static int with_deadman(void (*act)(struct brunt_deadman *deadman), uint64_t ns)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct brunt_deadman deadman = { 0 };

		if (brunt_deadman_make(&deadman, NULL) || brunt_deadman_set(&deadman, brunt_now() + ns))
			_exit(9);
		act(&deadman);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void sleep_on(struct brunt_deadman *deadman)
{
	(void)deadman;
	(void)usleep(500000);
}

static void stop_oneself(struct brunt_deadman *deadman)
{
	(void)deadman;
	(void)raise(SIGSTOP);
}

static void renew(struct brunt_deadman *deadman)
{
	for (int i = 0; i < 5; i++) {
		(void)usleep(500000);
		if (brunt_deadman_set(deadman, brunt_now() + 20 * BRUNT_S))
			_exit(8);
	}
}

static void disarm(struct brunt_deadman *deadman)
{
	if (brunt_deadman_set(deadman, 0))
		_exit(8);
	(void)usleep(2200000);
}

static void the_dead_mans_timer_kills_who_does_not_renew(void **state)
{
	(void)state;
	assert_true(WIFSIGNALED(with_deadman(sleep_on, 60 * BRUNT_MS)));
}

static void the_dead_mans_timer_kills_who_is_stopped(void **state)
{
	int status = with_deadman(stop_oneself, 60 * BRUNT_MS);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void the_dead_mans_timer_spares_who_renews(void **state)
{
	(void)state;
	assert_int_equal(with_deadman(renew, 2 * BRUNT_S), 0);
}

static void the_dead_mans_timer_can_be_disarmed(void **state)
{
	(void)state;
	assert_int_equal(with_deadman(disarm, 2 * BRUNT_S), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lease_is_renewed_while_it_runs),
		cmocka_unit_test(a_lapsed_lease_stays_lapsed),
		cmocka_unit_test(the_dead_mans_timer_kills_who_does_not_renew),
		cmocka_unit_test(the_dead_mans_timer_kills_who_is_stopped),
		cmocka_unit_test(the_dead_mans_timer_spares_who_renews),
		cmocka_unit_test(the_dead_mans_timer_can_be_disarmed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
