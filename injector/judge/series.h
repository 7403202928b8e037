/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of judge/ know of a series beyond include/brunt/judge.h. */
#pragma once

#include "brunt/judge.h"

struct brunt_series {
	struct brunt_sample *samples; /* by at; equal ones in the order in which they were added */
	size_t count;
	size_t capacity;
	double *scratch; /* capacity values, for statistics that reorder */
};

/* The first sample scheduled at or after at; the count when there is none. */
size_t brunt_series_find(const struct brunt_series *series, uint64_t at);

/* Does a statistic rest on this sample? success: on those with a flag; count: on all; others: on those with a value. */
bool brunt_of_counts(enum brunt_of of, const struct brunt_sample *sample);

/* The statistic over samples[first..end-1]; 0 or -ENODATA. */
int brunt_series_statistic(const struct brunt_series *series, enum brunt_of of, size_t first, size_t end,
			   struct brunt_reading *ret);
