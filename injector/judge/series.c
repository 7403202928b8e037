/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The samples of one SLI, in the order in which they were scheduled.
 *
 * Samples mostly complete in the order in which they began, so the place of a
 * new one is looked for from the end: the usual sample costs nothing, a late
 * one as much as there came in before it.
 */
#include "judge/series.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/memory.h"

#define FIRST_CAPACITY 64

int brunt_series_new(struct brunt_series **ret)
{
	struct brunt_series *series = calloc(1, sizeof(*series));

	if (!series)
		return -ENOMEM;
	*ret = series;
	return 0;
}

void brunt_series_free(struct brunt_series *series)
{
	if (!series)
		return;
	free(series->samples);
	free(series->scratch);
	free(series);
}

/* Both arrays grow together, so that reading never has to allocate. */
static int grow(struct brunt_series *series)
{
	size_t capacity = series->capacity ? series->capacity * 2 : FIRST_CAPACITY;
	struct brunt_sample *samples;
	double *scratch;

	samples = reallocarray(series->samples, capacity, sizeof(*samples));
	if (!samples)
		return -ENOMEM;
	series->samples = samples;
	scratch = reallocarray(series->scratch, capacity, sizeof(*scratch));
	if (!scratch)
		return -ENOMEM;
	series->scratch = scratch;
	series->capacity = capacity;
	return 0;
}

int brunt_series_add(struct brunt_series *series, const struct brunt_sample *sample)
{
	size_t place = series->count;
	struct brunt_sample *at;

	if (series->count == series->capacity) {
		int r = grow(series);

		if (r < 0)
			return r;
	}
	while (place > 0 && series->samples[place - 1].at > sample->at)
		place--;
	at = series->samples + place;
	memmove(at + 1, at, (series->count - place) * sizeof(*at));
	*at = *sample;
	at->why = NULL;
	/* What cannot be ordered is no value. */
	if (at->has_value && (isnan(at->value) || at->value == -INFINITY))
		at->has_value = false;
	series->count++;
	return 0;
}

size_t brunt_series_count(const struct brunt_series *series)
{
	return series->count;
}

const struct brunt_sample *brunt_series_at(const struct brunt_series *series, size_t i)
{
	return series->samples + i;
}

size_t brunt_series_find(const struct brunt_series *series, uint64_t at)
{
	size_t low = 0, high = series->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (series->samples[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
