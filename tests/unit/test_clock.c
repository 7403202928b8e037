/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/units.h"

static void now_is_boot_time_and_moves_on(void **state)
{
	struct timespec pause = { .tv_nsec = 2000000 }, boot;
	uint64_t before = brunt_now(), after;

	(void)state;
	assert_int_equal(nanosleep(&pause, NULL), 0);
	after = brunt_now();
	assert_true(after - before >= 2 * BRUNT_MS);
	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &boot), 0);
	assert_true((uint64_t)boot.tv_sec * BRUNT_S + (uint64_t)boot.tv_nsec - after < 60 * BRUNT_S);
}

/* Prints in a zone and reads the text back with strptime; returns the offset part. */
static const char *print_in(const char *zone, char *buf, size_t size)
{
	struct tm parts = { 0 };
	long micro = -1;
	int used = 0;
	char *rest;
	time_t now;

	assert_int_equal(setenv("TZ", zone, 1), 0);
	assert_ptr_equal(brunt_wall_print(buf, size), buf);
	now = time(NULL);
	assert_int_equal(strlen(buf), strlen("2026-03-02T10:00:47.312345+01:00"));
	rest = strptime(buf, "%Y-%m-%dT%H:%M:%S", &parts);
	assert_non_null(rest);
	assert_int_equal(sscanf(rest, ".%6ld%n", &micro, &used), 1);
	assert_int_equal(used, 7);
	parts.tm_isdst = -1;
	assert_true(labs((long)(mktime(&parts) - now)) <= 60);
	return rest + used;
}

static void the_wall_clock_is_rfc_3339_with_microseconds_and_zone(void **state)
{
	char buf[64];

	(void)state;
	assert_string_equal(print_in("UTC0", buf, sizeof(buf)), "+00:00");
	assert_string_equal(print_in("XXX-5:30", buf, sizeof(buf)), "+05:30");
	assert_string_equal(print_in("YYY+3:45", buf, sizeof(buf)), "-03:45");
	assert_int_equal(unsetenv("TZ"), 0);
}

static void a_short_buffer_is_filled_no_further_than_its_end(void **state)
{
	char buf[12];

	(void)state;
	memset(buf, 'x', sizeof(buf));
	assert_ptr_equal(brunt_wall_print(buf, 11), buf);
	assert_int_equal(strlen(buf), 10);
	assert_int_equal(buf[11], 'x');
	assert_ptr_equal(brunt_wall_print(buf, 0), buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(now_is_boot_time_and_moves_on),
		cmocka_unit_test(the_wall_clock_is_rfc_3339_with_microseconds_and_zone),
		cmocka_unit_test(a_short_buffer_is_filled_no_further_than_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
