/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/units.h"

#include "base/text.h"

#include "brunt/error.h"
#include "brunt/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* One unit is multiply / divide base units; both whole, so that "0.1%" becomes exactly 0.001. */
struct unit {
	const char *name;
	enum brunt_dimension dimension;
	uint64_t multiply, divide;
};

static const struct unit units[] = {
	{ "ns", BRUNT_DIM_TIME, 1, 1 },
	{ "us", BRUNT_DIM_TIME, BRUNT_US, 1 },
	{ "ms", BRUNT_DIM_TIME, BRUNT_MS, 1 },
	{ "s", BRUNT_DIM_TIME, BRUNT_S, 1 },
	{ "m", BRUNT_DIM_TIME, 60 * BRUNT_S, 1 },
	{ "h", BRUNT_DIM_TIME, 3600 * BRUNT_S, 1 },
	{ "d", BRUNT_DIM_TIME, 86400 * BRUNT_S, 1 },
	{ "%", BRUNT_DIM_RATIO, 1, 100 },
	{ "B", BRUNT_DIM_SIZE, 1, 1 },
	{ "kB", BRUNT_DIM_SIZE, 1000, 1 },
	{ "MB", BRUNT_DIM_SIZE, 1000000, 1 },
	{ "GB", BRUNT_DIM_SIZE, 1000000000, 1 },
	{ "TB", BRUNT_DIM_SIZE, UINT64_C(1000000000000), 1 },
	{ "KiB", BRUNT_DIM_SIZE, 1024, 1 },
	{ "MiB", BRUNT_DIM_SIZE, 1024 * 1024, 1 },
	{ "GiB", BRUNT_DIM_SIZE, 1024 * 1024 * 1024, 1 },
	{ "TiB", BRUNT_DIM_SIZE, UINT64_C(1) << 40, 1 },
	{ "bit", BRUNT_DIM_RATE, 1, 1 },
	{ "kbit", BRUNT_DIM_RATE, 1000, 1 },
	{ "mbit", BRUNT_DIM_RATE, 1000000, 1 },
	{ "gbit", BRUNT_DIM_RATE, 1000000000, 1 },
	{ "tbit", BRUNT_DIM_RATE, UINT64_C(1000000000000), 1 },
	{ "kibit", BRUNT_DIM_RATE, 1024, 1 },
	{ "mibit", BRUNT_DIM_RATE, 1024 * 1024, 1 },
	{ "gibit", BRUNT_DIM_RATE, 1024 * 1024 * 1024, 1 },
	{ "tibit", BRUNT_DIM_RATE, UINT64_C(1) << 40, 1 },
	/* tc(8), "PARAMETERS": bps is bytes per second. */
	{ "bps", BRUNT_DIM_RATE, 8, 1 },
	{ "kbps", BRUNT_DIM_RATE, 8000, 1 },
	{ "mbps", BRUNT_DIM_RATE, 8000000, 1 },
	{ "gbps", BRUNT_DIM_RATE, UINT64_C(8000000000), 1 },
	{ "tbps", BRUNT_DIM_RATE, UINT64_C(8000000000000), 1 },
	{ "kibps", BRUNT_DIM_RATE, 8 * 1024, 1 },
	{ "mibps", BRUNT_DIM_RATE, 8 * 1024 * 1024, 1 },
	{ "gibps", BRUNT_DIM_RATE, UINT64_C(8) << 30, 1 },
	{ "tibps", BRUNT_DIM_RATE, UINT64_C(8) << 40, 1 },
};

static const struct {
	const char *name;
	const char *article; /* "a time" */
	const char *units;
	const char *guess[2]; /* the units that a number without one most likely meant */
	double max;
	const char *max_text;
} dimensions[] = {
	[BRUNT_DIM_NONE] = { "number", "a plain number", "", { "", NULL }, 1e18, "1e18" },
	/* What a signed 64-bit count of nanoseconds holds, as timers want it: 292 years. */
	[BRUNT_DIM_TIME] = { "time", "a time", "ns, us, ms, s, m, h, d", { "ms", "s" }, 9e18, "100000d" },
	[BRUNT_DIM_RATIO] = { "ratio", "a ratio", "%", { "%", NULL }, 1, "100%" },
	[BRUNT_DIM_SIZE] = { "size",
			     "a size",
			     "B, kB, MB, GB, TB, KiB, MiB, GiB, TiB",
			     { "MiB", "MB" },
			     9e18,
			     "8000000TB" },
	[BRUNT_DIM_RATE] = { "rate",
			     "a rate",
			     "bit, kbit, mbit, gbit, tbit, bps, kbps, mbps, gbps, tbps",
			     { "kbit", "mbit" },
			     9e18,
			     "9000000000gbit" },
};
_Static_assert(BRUNT_COUNT(dimensions) == _BRUNT_DIM_MAX, "every dimension has a row");

const char *brunt_dimension_name(enum brunt_dimension dimension)
{
	return dimension < _BRUNT_DIM_MAX ? dimensions[dimension].name : "quantity";
}

const char *brunt_dimension_units(enum brunt_dimension dimension)
{
	return dimension < _BRUNT_DIM_MAX ? dimensions[dimension].units : "";
}

static const struct unit *find_unit(const char *name, size_t size)
{
	for (size_t i = 0; i < BRUNT_COUNT(units); i++)
		if (strlen(units[i].name) == size && memcmp(units[i].name, name, size) == 0)
			return &units[i];
	return NULL;
}

int brunt_unit_find(const char *unit, enum brunt_dimension *ret_dimension, double *ret_factor)
{
	const struct unit *found = find_unit(unit, strlen(unit));

	if (!found)
		return -ENOENT;
	*ret_dimension = found->dimension;
	*ret_factor = (double)found->multiply / (double)found->divide;
	return 0;
}

/* digits / 10^decimals: exact, whatever the locale says about decimal points. */
struct number {
	uint64_t digits;
	uint64_t divide; /* 10^decimals */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads "12" or "1.25" and moves *at behind it. -EINVAL when there is none, -ERANGE when it has too many digits. */
static int read_number(const char **at, struct number *ret)
{
	struct number number = { 0, 1 };
	const char *p = *at;
	unsigned count = 0;

	if (!is_digit(*p))
		return -EINVAL;
	for (; is_digit(*p); p++) {
		if (number.digits > 0 && ++count > 17)
			return -ERANGE;
		number.digits = number.digits * 10 + (uint64_t)(*p - '0');
	}
	if (*p == '.') {
		if (!is_digit(*++p))
			return -EINVAL;
		for (; is_digit(*p); p++) {
			if (++count > 17)
				return -ERANGE;
			number.digits = number.digits * 10 + (uint64_t)(*p - '0');
			number.divide *= 10;
		}
	}
	*at = p;
	*ret = number;
	return 0;
}

static double in_base_units(const struct number *number, const struct unit *unit)
{
	return (double)((long double)number->digits * (long double)unit->multiply /
			((long double)number->divide * (long double)unit->divide));
}

/* "0.3" can be 30 % or 0.3 %: both are shown, nothing is guessed. */
static int fail_no_unit(const char *shown, enum brunt_dimension want, const struct number *number,
			struct brunt_error *err)
{
	const char *first = dimensions[want].guess[0], *second = dimensions[want].guess[1];

	if (want == BRUNT_DIM_RATIO && number->divide > 1 && number->digits <= number->divide) {
		double percent = (double)number->digits * 100 / (double)number->divide;
		char buf[32];

		brunt_quantity_print(percent, BRUNT_DIM_NONE, buf, sizeof(buf));
		return brunt_fail(err, EINVAL, "'%s' has no unit; write \"%s%%\" or \"%s%%\"", shown, buf, shown);
	}
	if (!second)
		return brunt_fail(err, EINVAL, "'%s' has no unit; write \"%s%s\"", shown, shown, first);
	return brunt_fail(err, EINVAL, "'%s' has no unit; write \"%s%s\" or \"%s%s\"", shown, shown, first, shown,
			  second);
}

/* "200", "200ms", "5%": a right spelling of a dimension, for messages. */
static const char *example(enum brunt_dimension dimension)
{
	switch (dimension) {
	case BRUNT_DIM_TIME:
		return "\"200ms\" or \"2s\"";
	case BRUNT_DIM_RATIO:
		return "\"5%\"";
	case BRUNT_DIM_SIZE:
		return "\"64MiB\"";
	case BRUNT_DIM_RATE:
		return "\"10mbit\"";
	case BRUNT_DIM_NONE:
		return "\"7\"";
	default:
		return "\"200ms\", \"5%\", \"64MiB\" or \"10mbit\"";
	}
}

/* What follows the number is no unit. */
static int fail_unit(const char *text, const char *shown, const char *unit, enum brunt_dimension want,
		     struct brunt_error *err)
{
	const char *rest = unit + strspn(unit, " \t");
	char quoted[BRUNT_QUOTE_SIZE];

	if (rest != unit && find_unit(rest, strlen(rest)))
		return brunt_fail(err, EINVAL, "'%s' has a space before its unit; write \"%.*s%s\"", shown,
				  (int)(unit - text), text, rest);
	if (*unit == ',')
		return brunt_fail(err, EINVAL, "'%s' has a comma; write the decimal point as \".\"", shown);
	/* "Mbps" is megabits to most people, and "mbps" megabytes to tc: nothing is guessed. */
	if (strlen(unit) >= 3 && strcasecmp(unit + strlen(unit) - 3, "bps") == 0 &&
	    (want == BRUNT_DIM_RATE || want == _BRUNT_DIM_MAX))
		return brunt_fail(
			err, EINVAL,
			"'%s' has an unknown unit; write 'mbit' for bits or, as tc does, 'mbps' for bytes a second",
			shown);
	for (size_t i = 0; i < BRUNT_COUNT(units); i++)
		if ((want == _BRUNT_DIM_MAX || units[i].dimension == want) && strcasecmp(units[i].name, unit) == 0)
			return brunt_fail(err, EINVAL, "'%s' has an unknown unit; did you mean '%s'?", shown,
					  units[i].name);
	brunt_text_quote(unit, quoted);
	if (want == _BRUNT_DIM_MAX)
		return brunt_fail(err, EINVAL, "'%s' has an unknown unit '%s'; write for example %s", shown, quoted,
				  example(want));
	if (want == BRUNT_DIM_NONE)
		return brunt_fail(err, EINVAL, "'%s' is not a plain number", shown);
	return brunt_fail(err, EINVAL, "'%s' has an unknown unit '%s'; %s is given in %s", shown, quoted,
			  dimensions[want].article, dimensions[want].units);
}

static int fail_number(const char *text, const char *shown, int code, enum brunt_dimension want,
		       struct brunt_error *err)
{
	if (code == -ERANGE)
		return brunt_fail(err, ERANGE, "'%s' has too many digits", shown);
	if (text[0] == '-')
		return brunt_fail(err, EINVAL, "'%s' is negative", shown);
	if (want < _BRUNT_DIM_MAX)
		return brunt_fail(err, EINVAL, "'%s' is not %s; write for example %s", shown, dimensions[want].article,
				  example(want));
	return brunt_fail(err, EINVAL, "'%s' is not a quantity; write for example %s", shown, example(want));
}

static int check_max(const char *shown, const struct brunt_quantity *quantity, struct brunt_error *err)
{
	if (quantity->value <= dimensions[quantity->dimension].max)
		return 0;
	return brunt_fail(err, ERANGE, "'%s' is too much; at most %s", shown, dimensions[quantity->dimension].max_text);
}

/* ISO 8601: P[nW][nD][T[nH][nM][nS]]. Years and months have no fixed length. */
static int parse_iso(const char *text, const char *shown, double *ret, struct brunt_error *err)
{
	static const struct {
		char letter;
		bool after_t;
		struct unit unit;
	} fields[] = {
		{ 'W', false, { .multiply = 7 * 86400 * BRUNT_S, .divide = 1 } },
		{ 'D', false, { .multiply = 86400 * BRUNT_S, .divide = 1 } },
		{ 'H', true, { .multiply = 3600 * BRUNT_S, .divide = 1 } },
		{ 'M', true, { .multiply = 60 * BRUNT_S, .divide = 1 } },
		{ 'S', true, { .multiply = BRUNT_S, .divide = 1 } },
	};
	const char *p = text + 1;
	bool after_t = false, any = false;
	size_t field = 0;
	double sum = 0;

	while (*p) {
		struct number number;

		if (*p == 'T' && !after_t && p[1]) {
			after_t = true;
			p++;
		}
		if (read_number(&p, &number) < 0)
			break;
		while (field < BRUNT_COUNT(fields) && (fields[field].letter != *p || fields[field].after_t != after_t))
			field++;
		if (field == BRUNT_COUNT(fields))
			break;
		sum += in_base_units(&number, &fields[field++].unit);
		any = true;
		p++;
	}
	if (*p || !any)
		return brunt_fail(err, EINVAL, "'%s' is not a time; write for example \"5m\" or \"PT5M\"", shown);
	*ret = sum;
	return 0;
}

/* What follows the first part of "1m30s": more parts, each with a smaller unit. */
static int parse_parts(const char *text, const char *p, const char *shown, const struct unit *last, double *sum,
		       struct brunt_error *err)
{
	while (*p) {
		const struct unit *unit;
		struct number number;
		size_t size;
		int r;

		r = read_number(&p, &number);
		if (r < 0)
			return fail_number(p, shown, r, BRUNT_DIM_TIME, err);
		if (!*p)
			return brunt_fail(err, EINVAL, "'%s' ends in a number without a unit", shown);
		size = strcspn(p, "0123456789");
		unit = find_unit(p, size);
		if (!unit || unit->dimension != BRUNT_DIM_TIME)
			return fail_unit(text, shown, p, BRUNT_DIM_TIME, err);
		if (unit->multiply >= last->multiply)
			return brunt_fail(err, EINVAL, "'%s' must go from larger to smaller units, such as \"1m30s\"",
					  shown);
		*sum += in_base_units(&number, unit);
		last = unit;
		p += size;
	}
	return 0;
}

static int parse(const char *text, const char *shown, enum brunt_dimension want, struct brunt_quantity *quantity,
		 struct brunt_error *err)
{
	const struct unit *unit;
	const char *p = text;
	struct number number;
	size_t size;
	int r;

	if (text[0] == 'P' && (want == BRUNT_DIM_TIME || want == _BRUNT_DIM_MAX)) {
		quantity->dimension = BRUNT_DIM_TIME;
		return parse_iso(text, shown, &quantity->value, err);
	}
	r = read_number(&p, &number);
	if (r < 0)
		return fail_number(text, shown, r, want, err);
	if (!*p) {
		static const struct unit one = { "", BRUNT_DIM_NONE, 1, 1 };

		if (want != BRUNT_DIM_NONE && want != _BRUNT_DIM_MAX)
			return fail_no_unit(shown, want, &number, err);
		*quantity = (struct brunt_quantity){ in_base_units(&number, &one), BRUNT_DIM_NONE };
		return 0;
	}
	size = strcspn(p, "0123456789");
	unit = find_unit(p, size);
	if (!unit || (p[size] && unit->dimension != BRUNT_DIM_TIME))
		return fail_unit(text, shown, p, want, err);
	if (want != _BRUNT_DIM_MAX && unit->dimension != want)
		return brunt_fail(err, EINVAL, "'%s' is %s, where %s is needed; write for example %s", shown,
				  dimensions[unit->dimension].article, dimensions[want].article, example(want));
	*quantity = (struct brunt_quantity){ in_base_units(&number, unit), unit->dimension };
	return parse_parts(text, p + size, shown, unit, &quantity->value, err);
}

int brunt_quantity_parse(const char *text, enum brunt_dimension want, struct brunt_quantity *ret,
			 struct brunt_error *err)
{
	struct brunt_quantity quantity = { 0 };
	char shown[BRUNT_QUOTE_SIZE];
	int r;

	brunt_text_quote(text, shown);
	r = parse(text, shown, want, &quantity, err);
	if (r < 0)
		return r;
	r = check_max(shown, &quantity, err);
	if (r < 0)
		return r;
	*ret = quantity;
	return 0;
}
