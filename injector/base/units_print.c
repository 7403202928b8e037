/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/units.h"

#include "brunt/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct scale {
	const char *name;
	double size; /* in base units */
};

/* Decimals that make three digits of a value: 1.25, 12.5, 125. */
static int decimals_of(double value)
{
	if (value >= 100 || value == 0)
		return 0;
	if (value >= 10)
		return 1;
	if (value >= 1)
		return 2;
	/* 0.0123: as many zeros as there are, and three digits. */
	return value < 1e-9 ? 12 : 2 - (int)floor(log10(value));
}

/* Writes value with at most that many decimals, without zeros at the end; by hand, because printf() asks the locale. */
static void print_decimal(double value, int decimals, char *buf, size_t size)
{
	uint64_t scale = 1, whole, part;
	char digits[24];

	for (int i = 0; i < decimals; i++)
		scale *= 10;
	if (value >= 9e18 / (double)scale) {
		(void)snprintf(buf, size, "%.0f", value);
		return;
	}
	whole = (uint64_t)llround(value * (double)scale);
	part = whole % scale;
	whole /= scale;
	while (decimals > 0 && part % 10 == 0) {
		part /= 10;
		decimals--;
	}
	if (decimals > 0) {
		/* The leading one keeps the zeros behind the point. */
		scale = 1;
		for (int i = 0; i < decimals; i++)
			scale *= 10;
		(void)snprintf(digits, sizeof(digits), "%" PRIu64, scale + part);
		(void)snprintf(buf, size, "%" PRIu64 ".%s", whole, digits + 1);
	} else {
		(void)snprintf(buf, size, "%" PRIu64, whole);
	}
}

/* value in the largest unit of which it is at least one. scales ends with { 0 } and goes up. */
static void print_scaled(double value, const struct scale *scales, char *buf, size_t size)
{
	char number[32];

	while (scales[1].name) {
		/* 999.6 of the small unit would round to 1000: that is one of the next. */
		if (value / scales[0].size < scales[1].size / scales[0].size - 0.5)
			break;
		scales++;
	}
	value /= scales->size;
	print_decimal(value, decimals_of(value), number, sizeof(number));
	(void)snprintf(buf, size, "%s %s", number, scales->name);
}

static void print_long_time(double ns, char *buf, size_t size)
{
	uint64_t s = (uint64_t)llround(ns / (double)BRUNT_S);

	if (s < 3600 && s % 60 == 0)
		(void)snprintf(buf, size, "%" PRIu64 " min", s / 60);
	else if (s < 3600)
		(void)snprintf(buf, size, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else if (s < 86400 && s % 3600 / 60 == 0)
		(void)snprintf(buf, size, "%" PRIu64 " h", s / 3600);
	else if (s < 86400)
		(void)snprintf(buf, size, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s % 3600 / 60);
	else if (s % 86400 / 3600 == 0)
		(void)snprintf(buf, size, "%" PRIu64 " d", s / 86400);
	else
		(void)snprintf(buf, size, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s % 86400 / 3600);
}

static void print_time(double ns, char *buf, size_t size)
{
	static const struct scale scales[] = {
		{ "ns", 1 }, { "us", (double)BRUNT_US }, { "ms", (double)BRUNT_MS }, { "s", (double)BRUNT_S }, { 0 },
	};

	if (ns == 0)
		(void)snprintf(buf, size, "0 s");
	else if (ns >= 60.5 * (double)BRUNT_S)
		print_long_time(ns, buf, size);
	else
		print_scaled(ns, scales, buf, size);
}

/* Nines are not rounded away: 99.95 % never reads as 100 %. */
static void print_ratio(double ratio, char *buf, size_t size)
{
	double percent = ratio * 100;
	int decimals = decimals_of(percent);
	char number[32];

	if (percent > 99 && percent < 100) {
		decimals = 1 - (int)floor(log10(100 - percent) + 1e-9);
		if (decimals > 9)
			decimals = 9;
	}
	print_decimal(percent, decimals, number, sizeof(number));
	(void)snprintf(buf, size, "%s %%", number);
}

const char *brunt_quantity_print(double value, enum brunt_dimension dimension, char *buf, size_t size)
{
	static const struct scale sizes[] = {
		{ "B", 1 }, { "KiB", 0x1p10 }, { "MiB", 0x1p20 }, { "GiB", 0x1p30 }, { "TiB", 0x1p40 }, { 0 },
	};
	static const struct scale rates[] = {
		{ "bit/s", 1 }, { "kbit/s", 1e3 }, { "mbit/s", 1e6 }, { "gbit/s", 1e9 }, { 0 },
	};
	const char *sign = "";

	if (size == 0)
		return buf;
	if (!isfinite(value)) {
		(void)snprintf(buf, size, "%s", isnan(value) ? "none" : "unlimited");
		return buf;
	}
	if (value < 0) {
		/* Only differences are negative. */
		sign = "-";
		value = -value;
	}
	(void)snprintf(buf, size, "%s", sign);
	buf += strlen(sign);
	size -= strlen(sign);
	switch (dimension) {
	case BRUNT_DIM_TIME:
		print_time(value, buf, size);
		break;
	case BRUNT_DIM_RATIO:
		print_ratio(value, buf, size);
		break;
	case BRUNT_DIM_SIZE:
		print_scaled(value, sizes, buf, size);
		break;
	case BRUNT_DIM_RATE:
		print_scaled(value, rates, buf, size);
		break;
	default:
		print_decimal(value, decimals_of(value), buf, size);
	}
	return buf - strlen(sign);
}

const char *brunt_duration_print(uint64_t ns, char *buf, size_t size)
{
	return brunt_quantity_print((double)ns, BRUNT_DIM_TIME, buf, size);
}
