/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics over samples, exact: nothing is binned, sketched or decayed. */
#include "judge/series.h"

#include <errno.h>
#include <math.h>

#include "brunt/memory.h"

const struct brunt_value brunt_of_values[] = {
	{ "last", BRUNT_OF_LAST, "the newest value; the default of an SLI with values" },
	{ "success", BRUNT_OF_SUCCESS, "share of good samples; the default of an SLI without values" },
	{ "mean", BRUNT_OF_MEAN, "the arithmetic mean of the values" },
	{ "min", BRUNT_OF_MIN, "the smallest value" },
	{ "max", BRUNT_OF_MAX, "the greatest value" },
	{ "p50", BRUNT_OF_P50, "the median: half of the values are at most this" },
	{ "p90", BRUNT_OF_P90, "90 % of the values are at most this; needs 10 samples" },
	{ "p95", BRUNT_OF_P95, "95 % of the values are at most this; needs 20 samples" },
	{ "p99", BRUNT_OF_P99, "99 % of the values are at most this; needs 100 samples" },
	{ "p99.9", BRUNT_OF_P999, "99.9 % of the values are at most this; needs 1000 samples" },
	{ "count", BRUNT_OF_COUNT, "how many samples there are" },
	{ 0 },
};
_Static_assert(BRUNT_COUNT(brunt_of_values) == _BRUNT_OF_MAX + 1, "a statistic has no word");

const char *brunt_of_name(enum brunt_of of)
{
	for (const struct brunt_value *word = brunt_of_values; word->name; word++) {
		if (word->value == (int)of)
			return word->name;
	}
	return "?";
}

/* Thousandths, so that ranks are found without rounding; 0: no quantile. */
static unsigned per_mille(enum brunt_of of)
{
	switch (of) {
	case BRUNT_OF_P50:
		return 500;
	case BRUNT_OF_P90:
		return 900;
	case BRUNT_OF_P95:
		return 950;
	case BRUNT_OF_P99:
		return 990;
	case BRUNT_OF_P999:
		return 999;
	default:
		return 0;
	}
}

/* With fewer, the quantile is just the greatest value. */
size_t brunt_of_samples_needed(enum brunt_of of)
{
	unsigned q = per_mille(of);

	return q ? 1000 / (1000 - q) : 1;
}

bool brunt_of_counts(enum brunt_of of, const struct brunt_sample *sample)
{
	if (of == BRUNT_OF_SUCCESS)
		return sample->judged;
	return of == BRUNT_OF_COUNT || sample->has_value;
}

/* Three-way partition around a pivot in the middle: many equal values (all infinite) take one pass. */
static double select_rank(double *values, size_t count, size_t rank)
{
	size_t low = 0, high = count;

	while (high - low > 1) {
		double pivot = values[low + (high - low) / 2];
		size_t less = low, i = low, more = high;

		while (i < more) {
			double value = values[i];

			if (value < pivot) {
				values[i++] = values[less];
				values[less++] = value;
			} else if (value > pivot) {
				values[i] = values[--more];
				values[more] = value;
			} else {
				i++;
			}
		}
		if (rank < less)
			high = less;
		else if (rank >= more)
			low = more;
		else
			return pivot;
	}
	return values[low];
}

static double quantile(double *values, size_t count, unsigned q)
{
	size_t rank = (count * q + 999) / 1000;

	return select_rank(values, count, rank ? rank - 1 : 0);
}

static double extreme(const double *values, size_t count, bool greatest)
{
	double found = values[0];

	for (size_t i = 1; i < count; i++) {
		if (greatest ? values[i] > found : values[i] < found)
			found = values[i];
	}
	return found;
}

static double mean(const double *values, size_t count)
{
	long double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += values[i];
	return (double)(sum / (long double)count);
}

static double statistic(enum brunt_of of, double *values, size_t count)
{
	switch (of) {
	case BRUNT_OF_LAST:
		return values[count - 1];
	case BRUNT_OF_MEAN:
		return mean(values, count);
	case BRUNT_OF_MIN:
		return extreme(values, count, false);
	case BRUNT_OF_MAX:
		return extreme(values, count, true);
	default:
		return quantile(values, count, per_mille(of));
	}
}

int brunt_series_statistic(const struct brunt_series *series, enum brunt_of of, size_t first, size_t end,
			   struct brunt_reading *ret)
{
	struct brunt_reading reading = { 0 };

	for (size_t i = first; i < end; i++) {
		const struct brunt_sample *sample = series->samples + i;

		if (!brunt_of_counts(of, sample))
			continue;
		series->scratch[reading.count++] = sample->value;
		reading.bad += sample->judged && !sample->good;
		reading.newest = sample->at;
	}
	if (!reading.count)
		return -ENODATA;
	if (of == BRUNT_OF_SUCCESS)
		reading.value = (double)(reading.count - reading.bad) / (double)reading.count;
	else if (of == BRUNT_OF_COUNT)
		reading.value = (double)reading.count;
	else
		reading.value = statistic(of, series->scratch, reading.count);
	*ret = reading;
	return 0;
}

int brunt_series_read(const struct brunt_series *series, enum brunt_of of, uint64_t from, uint64_t to,
		      struct brunt_reading *ret)
{
	size_t first = brunt_series_find(series, from);
	size_t end = to == UINT64_MAX ? series->count : brunt_series_find(series, to + 1);

	return brunt_series_statistic(series, of, first, end, ret);
}
