/* SPDX-License-Identifier: Apache-2.0 */
#include "network/distributions.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "brunt/error.h"
#include "brunt/memory.h"

#define FILE_SIZE_MAX (1 << 20)

const struct brunt_value brunt_distributions[] = {
	{ "uniform", BRUNT_DISTRIBUTION_UNIFORM, "evenly within one jitter to either side" },
	{ "normal", BRUNT_DISTRIBUTION_NORMAL, "the jitter is the standard deviation" },
	{ "pareto", BRUNT_DISTRIBUTION_PARETO, "most packets early, few very late" },
	{ "paretonormal", BRUNT_DISTRIBUTION_PARETONORMAL, "a quarter normal, three quarters pareto" },
	{ 0 },
};

const char *brunt_distribution_name(int distribution)
{
	return distribution >= 0 && distribution < _BRUNT_DISTRIBUTION_MAX ? brunt_distributions[distribution].name
									   : "";
}

/* The x below which share p of a standard normal distribution lies, by Newton's method from a value near it. */
static double normal_quantile(double p, double near)
{
	double x = near;

	for (int i = 0; i < 20; i++) {
		double step = (.5 * erfc(-x * M_SQRT1_2) - p) / (exp(-.5 * x * x) * M_2_SQRTPI * .5 * M_SQRT1_2);

		x -= step;
		if (fabs(step) < 1e-9)
			break;
	}
	return x;
}

/*
 * Exponent 3, from 1: quantile (1-p)^(-1/3), mean 1.5, variance 0.75. tc(8) has divided by the variance, not by its
 * root, since NIST Net, and what people measured with "pareto" is that: so do we.
 */
static double pareto_quantile(double p)
{
	return (pow(1 - p, -1. / 3) - 1.5) / .75;
}

/* What does not fit (beyond four times the jitter) is cut, as in tc(8). */
static int16_t entry_of(double x)
{
	double scaled = rint(x * BRUNT_DISTRIBUTION_SCALE);

	return (int16_t)(scaled > INT16_MAX ? INT16_MAX : scaled < INT16_MIN ? INT16_MIN : scaled);
}

static void fill(int16_t tables[][BRUNT_DISTRIBUTION_SIZE])
{
	double normal = -3.7;

	for (int i = 0; i < BRUNT_DISTRIBUTION_SIZE; i++) {
		/* The middle of each entry's share: so the normal and the uniform table have mean zero. */
		double p = (i + .5) / BRUNT_DISTRIBUTION_SIZE, pareto = pareto_quantile(p);

		normal = normal_quantile(p, normal);
		pareto = fmin(pareto, (double)INT16_MAX / BRUNT_DISTRIBUTION_SCALE);
		tables[BRUNT_DISTRIBUTION_UNIFORM][i] = entry_of(2 * p - 1);
		tables[BRUNT_DISTRIBUTION_NORMAL][i] = entry_of(normal);
		tables[BRUNT_DISTRIBUTION_PARETO][i] = entry_of(pareto);
		tables[BRUNT_DISTRIBUTION_PARETONORMAL][i] = entry_of(.25 * normal + .75 * pareto);
	}
}

const int16_t *brunt_distribution_table(int distribution)
{
	static int16_t tables[_BRUNT_DISTRIBUTION_MAX][BRUNT_DISTRIBUTION_SIZE];
	static bool filled;

	if (distribution < 0 || distribution >= _BRUNT_DISTRIBUTION_MAX)
		return NULL;
	if (!filled)
		fill(tables);
	filled = true;
	return tables[distribution];
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Reads a number at *at; moves *at behind it. */
static bool read_number(const char **at, const char *end, int16_t *ret)
{
	const char *p = *at;
	bool minus = p < end && *p == '-';
	int value = 0;

	p += minus;
	if (p == end || *p < '0' || *p > '9')
		return false;
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (*p - '0');
		if (value > -INT16_MIN)
			return false;
	}
	value = minus ? -value : value;
	if (value > INT16_MAX || (p < end && !is_blank(*p)))
		return false;
	*ret = (int16_t)value;
	*at = p;
	return true;
}

static int parse(const char *text, size_t size, const char *shown, int16_t *ret, size_t *ret_count,
		 struct brunt_error *err)
{
	const char *at = text, *end = text + size;
	unsigned line = 1;
	bool begin = true;
	size_t count = 0;

	while (at < end) {
		if (*at == '#' && begin) {
			at = memchr(at, '\n', (size_t)(end - at)) ?: end;
			continue;
		}
		if (is_blank(*at)) {
			begin = *at == '\n';
			line += begin;
			at++;
			continue;
		}
		begin = false;
		if (count == BRUNT_DISTRIBUTION_SIZE_MAX)
			return brunt_fail(err, EINVAL, "'%s' line %u: a distribution has at most %d values", shown,
					  line, BRUNT_DISTRIBUTION_SIZE_MAX);
		if (!read_number(&at, end, &ret[count]))
			return brunt_fail(err, EINVAL,
					  "'%s' line %u: a distribution's values are whole numbers from -32768 to "
					  "32767, between blanks",
					  shown, line);
		count++;
	}
	if (!count)
		return brunt_fail(err, EINVAL, "'%s' has no values", shown);
	*ret_count = count;
	return 0;
}

int brunt_distribution_read(const char *path, int16_t *ret, size_t *ret_count, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	BRUNT_AUTO_FREE char *text = NULL;
	char shown[BRUNT_QUOTE_SIZE];
	struct stat st;
	size_t used = 0;
	ssize_t n = 1;

	brunt_text_quote(path, shown);
	if (fd < 0 || fstat(fd, &st) < 0)
		return brunt_fail(err, errno, "cannot read distribution '%s': %s", shown, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return brunt_fail(err, EINVAL, "cannot read distribution '%s': not a regular file", shown);
	if (st.st_size > FILE_SIZE_MAX)
		return brunt_fail(err, EFBIG, "cannot read distribution '%s': larger than 1 MiB", shown);
	text = malloc(FILE_SIZE_MAX);
	if (!text)
		return brunt_fail(err, ENOMEM, "no memory for distribution '%s'", shown);
	while (n > 0 && used < FILE_SIZE_MAX) {
		n = read(fd, text + used, FILE_SIZE_MAX - used);
		if (n < 0)
			return brunt_fail(err, errno, "cannot read distribution '%s': %s", shown, strerror(errno));
		used += (size_t)n;
	}
	return parse(text, used, shown, ret, ret_count, err);
}
