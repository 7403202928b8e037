/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ANY   _BRUNT_DIM_MAX
#define TIME  BRUNT_DIM_TIME
#define RATIO BRUNT_DIM_RATIO
#define SIZE  BRUNT_DIM_SIZE
#define RATE  BRUNT_DIM_RATE
#define NONE  BRUNT_DIM_NONE

/* double equality is meant: a decimal fraction becomes the nearest double, as the compiler reads it. */
static void quantities_are_read_exactly(void **state)
{
	static const struct {
		const char *text;
		enum brunt_dimension want;
		double value;
		enum brunt_dimension dimension;
	} cases[] = {
		{ "200ms", TIME, 200e6, TIME },
		{ "0ns", TIME, 0, TIME },
		{ "1.5s", TIME, 1.5e9, TIME },
		{ "0.3s", TIME, 3e8, TIME },
		{ "250us", TIME, 250e3, TIME },
		{ "2m", TIME, 120e9, TIME },
		{ "1h", TIME, 3600e9, TIME },
		{ "2d", TIME, 172800e9, TIME },
		{ "1m30s", TIME, 90e9, TIME },
		{ "1h0.5s", TIME, 3600.5e9, TIME },
		{ "1d2h3m4s5ms6us7ns", TIME, 93784005006007.0, TIME },
		{ "PT5M", TIME, 300e9, TIME },
		{ "PT1H30M", TIME, 5400e9, TIME },
		{ "P1DT0.5S", TIME, 86400.5e9, TIME },
		{ "P2W", TIME, 1209600e9, TIME },
		{ "PT5M", ANY, 300e9, TIME },
		{ "30%", RATIO, 0.3, RATIO },
		{ "0.1%", RATIO, 0.001, RATIO },
		{ "99.99%", RATIO, 0.9999, RATIO },
		{ "100%", RATIO, 1, RATIO },
		{ "64MiB", SIZE, 67108864, SIZE },
		{ "1kB", SIZE, 1000, SIZE },
		{ "1.5GB", SIZE, 1.5e9, SIZE },
		{ "2TiB", SIZE, 2199023255552.0, SIZE },
		{ "7B", SIZE, 7, SIZE },
		{ "10mbit", RATE, 10e6, RATE },
		{ "1gbit", ANY, 1e9, RATE },
		{ "1bit", ANY, 1, RATE },
		{ "2tbit", RATE, 2e12, RATE },
		{ "1kibit", RATE, 1024, RATE },
		{ "1tibit", RATE, 0x1p40, RATE },
		{ "100kbps", RATE, 800e3, RATE },
		{ "3bps", RATE, 24, RATE },
		{ "1tbps", ANY, 8e12, RATE },
		{ "1mibps", RATE, 8 * 0x1p20, RATE },
		{ "7", NONE, 7, NONE },
		{ "0.25", ANY, 0.25, NONE },
		{ "007", ANY, 7, NONE },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct brunt_quantity quantity = { -1, ANY };
		struct brunt_error err = { 0 };

		if (brunt_quantity_parse(cases[i].text, cases[i].want, &quantity, &err) != 0)
			fail_msg("%s: %s", cases[i].text, err.msg);
		if (quantity.value != cases[i].value || quantity.dimension != cases[i].dimension)
			fail_msg("%s: %.17g", cases[i].text, quantity.value);
	}
}

static void a_wrong_quantity_is_refused_with_a_right_spelling(void **state)
{
	static const struct {
		const char *text;
		enum brunt_dimension want;
		int code;
		const char *msg;
	} cases[] = {
		{ "200", TIME, EINVAL, "'200' has no unit; write \"200ms\" or \"200s\"" },
		{ "5", RATIO, EINVAL, "'5' has no unit; write \"5%\"" },
		{ "0.3", RATIO, EINVAL, "'0.3' has no unit; write \"30%\" or \"0.3%\"" },
		{ "64", SIZE, EINVAL, "'64' has no unit; write \"64MiB\" or \"64MB\"" },
		{ "10", RATE, EINVAL, "'10' has no unit; write \"10kbit\" or \"10mbit\"" },
		{ "", TIME, EINVAL, "'' is not a time; write for example \"200ms\" or \"2s\"" },
		{ "ms", TIME, EINVAL, "'ms' is not a time; write for example \"200ms\" or \"2s\"" },
		{ "fast", ANY, EINVAL,
		  "'fast' is not a quantity; write for example \"200ms\", \"5%\", \"64MiB\" or \"10mbit\"" },
		{ "-5ms", TIME, EINVAL, "'-5ms' is negative" },
		{ "+5ms", TIME, EINVAL, "'+5ms' is not a time; write for example \"200ms\" or \"2s\"" },
		{ "nan", RATIO, EINVAL, "'nan' is not a ratio; write for example \"5%\"" },
		{ "infs", TIME, EINVAL, "'infs' is not a time; write for example \"200ms\" or \"2s\"" },
		{ "0x10s", TIME, EINVAL,
		  "'0x10s' has an unknown unit 'x10s'; a time is given in ns, us, ms, s, m, h, d" },
		{ "1e3ms", TIME, EINVAL,
		  "'1e3ms' has an unknown unit 'e3ms'; a time is given in ns, us, ms, s, m, h, d" },
		{ "5.s", TIME, EINVAL, "'5.s' is not a time; write for example \"200ms\" or \"2s\"" },
		{ ".5s", TIME, EINVAL, "'.5s' is not a time; write for example \"200ms\" or \"2s\"" },
		{ "1,5s", TIME, EINVAL, "'1,5s' has a comma; write the decimal point as \".\"" },
		{ "200 ms", TIME, EINVAL, "'200 ms' has a space before its unit; write \"200ms\"" },
		{ " 200ms", TIME, EINVAL, "' 200ms' is not a time; write for example \"200ms\" or \"2s\"" },
		{ "200ms ", TIME, EINVAL,
		  "'200ms ' has an unknown unit 'ms '; a time is given in ns, us, ms, s, m, h, d" },
		{ "200MS", TIME, EINVAL, "'200MS' has an unknown unit; did you mean 'ms'?" },
		{ "5min", TIME, EINVAL, "'5min' has an unknown unit 'min'; a time is given in ns, us, ms, s, m, h, d" },
		{ "10Mbit", RATE, EINVAL, "'10Mbit' has an unknown unit; did you mean 'mbit'?" },
		{ "10Mbps", RATE, EINVAL,
		  "'10Mbps' has an unknown unit; write 'mbit' for bits or, as tc does, 'mbps' for bytes a second" },
		{ "10Kbps", ANY, EINVAL,
		  "'10Kbps' has an unknown unit; write 'mbit' for bits or, as tc does, 'mbps' for bytes a second" },
		{ "10MB", RATE, EINVAL, "'10MB' is a size, where a rate is needed; write for example \"10mbit\"" },
		{ "10mbit", SIZE, EINVAL, "'10mbit' is a rate, where a size is needed; write for example \"64MiB\"" },
		{ "5%", TIME, EINVAL,
		  "'5%' is a ratio, where a time is needed; write for example \"200ms\" or \"2s\"" },
		{ "5ms", NONE, EINVAL, "'5ms' is a time, where a plain number is needed; write for example \"7\"" },
		{ "5x", NONE, EINVAL, "'5x' is not a plain number" },
		{ "5parsec", ANY, EINVAL,
		  "'5parsec' has an unknown unit 'parsec'; write for example \"200ms\", \"5%\", \"64MiB\" or "
		  "\"10mbit\"" },
		{ "30s1m", TIME, EINVAL, "'30s1m' must go from larger to smaller units, such as \"1m30s\"" },
		{ "1m1m", TIME, EINVAL, "'1m1m' must go from larger to smaller units, such as \"1m30s\"" },
		{ "1m30", TIME, EINVAL, "'1m30' ends in a number without a unit" },
		{ "1m-30s", TIME, EINVAL,
		  "'1m-30s' has an unknown unit 'm-30s'; a time is given in ns, us, ms, s, m, h, d" },
		{ "1m5%", TIME, EINVAL, "'1m5%' has an unknown unit '%'; a time is given in ns, us, ms, s, m, h, d" },
		{ "5%5", RATIO, EINVAL, "'5%5' has an unknown unit '%5'; a ratio is given in %" },
		{ "P", TIME, EINVAL, "'P' is not a time; write for example \"5m\" or \"PT5M\"" },
		{ "PT", TIME, EINVAL, "'PT' is not a time; write for example \"5m\" or \"PT5M\"" },
		{ "P1Y", TIME, EINVAL, "'P1Y' is not a time; write for example \"5m\" or \"PT5M\"" },
		{ "P1M", TIME, EINVAL, "'P1M' is not a time; write for example \"5m\" or \"PT5M\"" },
		{ "P1DT", TIME, EINVAL, "'P1DT' is not a time; write for example \"5m\" or \"PT5M\"" },
		{ "PT5M1H", TIME, EINVAL, "'PT5M1H' is not a time; write for example \"5m\" or \"PT5M\"" },
		{ "PTT5M", TIME, EINVAL, "'PTT5M' is not a time; write for example \"5m\" or \"PT5M\"" },
		{ "150%", RATIO, ERANGE, "'150%' is too much; at most 100%" },
		{ "100.1%", ANY, ERANGE, "'100.1%' is too much; at most 100%" },
		{ "999999999d", TIME, ERANGE, "'999999999d' is too much; at most 100000d" },
		{ "99999999TB", SIZE, ERANGE, "'99999999TB' is too much; at most 8000000TB" },
		{ "99999999999999999999ms", TIME, ERANGE, "'99999999999999999999ms' has too many digits" },
		{ "5\x1b[31ms", TIME, EINVAL,
		  "'5?[31ms' has an unknown unit '?[31ms'; a time is given in ns, us, ms, s, m, h, d" },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct brunt_quantity quantity = { 42, ANY };
		struct brunt_error err = { 0 };

		assert_int_equal(brunt_quantity_parse(cases[i].text, cases[i].want, &quantity, &err), -cases[i].code);
		assert_string_equal(err.msg, cases[i].msg);
		/* Untouched on failure. */
		assert_true(quantity.value == 42 && quantity.dimension == ANY);
	}
}

static void a_very_long_quantity_is_quoted_in_part(void **state)
{
	struct brunt_quantity quantity;
	struct brunt_error err = { 0 };
	char text[5000];

	(void)state;
	memset(text, 'z', sizeof(text) - 1);
	text[0] = '5';
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(brunt_quantity_parse(text, TIME, &quantity, &err), -EINVAL);
	assert_true(strlen(err.msg) < 200);
	assert_non_null(strstr(err.msg, "zzz...' has an unknown unit 'zzz"));
}

static void a_bare_unit_is_found_by_its_exact_spelling(void **state)
{
	enum brunt_dimension dimension;
	double factor;

	(void)state;
	assert_int_equal(brunt_unit_find("ms", &dimension, &factor), 0);
	assert_true(dimension == TIME && factor == 1e6);
	assert_int_equal(brunt_unit_find("%", &dimension, &factor), 0);
	assert_true(dimension == RATIO && factor == 0.01);
	assert_int_equal(brunt_unit_find("MiB", &dimension, &factor), 0);
	assert_true(dimension == SIZE && factor == 1048576);
	assert_int_equal(brunt_unit_find("MS", &dimension, &factor), -ENOENT);
	assert_int_equal(brunt_unit_find("", &dimension, &factor), -ENOENT);
	assert_int_equal(brunt_unit_find("msx", &dimension, &factor), -ENOENT);
}

static void every_unit_that_is_listed_is_read(void **state)
{
	(void)state;
	for (int d = TIME; d < _BRUNT_DIM_MAX; d++) {
		char list[128], *rest = list, *unit;

		(void)snprintf(list, sizeof(list), "%s", brunt_dimension_units((enum brunt_dimension)d));
		assert_true(list[0] != '\0');
		while ((unit = strsep(&rest, ","))) {
			enum brunt_dimension dimension;
			double factor;

			unit += *unit == ' ';
			assert_int_equal(brunt_unit_find(unit, &dimension, &factor), 0);
			assert_int_equal(dimension, d);
		}
	}
	assert_string_equal(brunt_dimension_units(NONE), "");
	assert_string_equal(brunt_dimension_name(TIME), "time");
	assert_string_equal(brunt_dimension_name(ANY), "quantity");
}

static void quantities_are_written_for_people(void **state)
{
	static const struct {
		double value;
		enum brunt_dimension dimension;
		const char *text;
	} cases[] = {
		{ 200e6, TIME, "200 ms" },
		{ 200.1e6, TIME, "200 ms" },
		{ 1.5e6, TIME, "1.5 ms" },
		{ 12.34e6, TIME, "12.3 ms" },
		{ 1.005e6, TIME, "1 ms" },
		{ 1.05e6, TIME, "1.05 ms" },
		{ 999, TIME, "999 ns" },
		{ 999.7, TIME, "1 us" },
		{ 999.4e6, TIME, "999 ms" },
		{ 999.9e6, TIME, "1 s" },
		{ 0, TIME, "0 s" },
		{ 0.25, TIME, "0.25 ns" },
		{ 60e9, TIME, "60 s" },
		{ 59.99e9, TIME, "60 s" },
		{ 151e9, TIME, "2 min 31 s" },
		{ 300e9, TIME, "5 min" },
		{ 3600e9, TIME, "1 h" },
		{ 5400e9, TIME, "1 h 30 min" },
		{ 93600e9, TIME, "1 d 2 h" },
		{ 172800e9, TIME, "2 d" },
		{ -1.5e9, TIME, "-1.5 s" },
		{ 0.998, RATIO, "99.8 %" },
		{ 0.9995, RATIO, "99.95 %" },
		{ 0.99999, RATIO, "99.999 %" },
		{ 0.99, RATIO, "99 %" },
		{ 1, RATIO, "100 %" },
		{ 0.3, RATIO, "30 %" },
		{ 0.3333333, RATIO, "33.3 %" },
		{ 0.001, RATIO, "0.1 %" },
		{ 0.00001234, RATIO, "0.00123 %" },
		{ 0, RATIO, "0 %" },
		{ 1572864, SIZE, "1.5 MiB" },
		{ 512, SIZE, "512 B" },
		{ 1023, SIZE, "1023 B" },
		{ 1024000, SIZE, "1000 KiB" },
		{ 1e9, SIZE, "954 MiB" },
		{ 10e6, RATE, "10 mbit/s" },
		{ 500, RATE, "500 bit/s" },
		{ 1e13, RATE, "10000 gbit/s" },
		{ 42, NONE, "42" },
		{ 24310, NONE, "24310" },
		{ 0.41, NONE, "0.41" },
		{ 1234.5, NONE, "1235" },
		{ 3.14159, NONE, "3.14" },
		{ 1e20, NONE, "100000000000000000000" },
		{ INFINITY, TIME, "unlimited" },
		{ NAN, TIME, "none" },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		char buf[64];

		assert_ptr_equal(brunt_quantity_print(cases[i].value, cases[i].dimension, buf, sizeof(buf)), buf);
		assert_string_equal(buf, cases[i].text);
	}
}

static void a_small_buffer_cuts_and_is_never_overrun(void **state)
{
	char buf[8] = "#######";

	(void)state;
	(void)brunt_quantity_print(151e9, TIME, buf, 4);
	assert_string_equal(buf, "2 m");
	assert_string_equal(buf + 4, "###");
	(void)brunt_quantity_print(-5e9, TIME, buf, 1);
	assert_string_equal(buf, "");
	assert_ptr_equal(brunt_quantity_print(1, TIME, buf, 0), buf);
	assert_string_equal(brunt_duration_print(1500000, buf, sizeof(buf)), "1.5 ms");
}

static void the_locale_changes_nothing(void **state)
{
	struct brunt_quantity quantity;
	char buf[32];

	(void)state;
	if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8")) {
		print_message("no locale with a decimal comma is installed\n");
		skip();
	}
	assert_int_equal(brunt_quantity_parse("1.5s", TIME, &quantity, NULL), 0);
	assert_true(quantity.value == 1.5e9);
	assert_string_equal(brunt_quantity_print(1.5e9, TIME, buf, sizeof(buf)), "1.5 s");
	(void)setlocale(LC_ALL, "C");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantities_are_read_exactly),
		cmocka_unit_test(a_wrong_quantity_is_refused_with_a_right_spelling),
		cmocka_unit_test(a_very_long_quantity_is_quoted_in_part),
		cmocka_unit_test(a_bare_unit_is_found_by_its_exact_spelling),
		cmocka_unit_test(every_unit_that_is_listed_is_read),
		cmocka_unit_test(quantities_are_written_for_people),
		cmocka_unit_test(a_small_buffer_cuts_and_is_never_overrun),
		cmocka_unit_test(the_locale_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
