/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantities as people write them, and back. Strings with units exist only at
 * the JSON edge; inside, time is uint64_t nanoseconds, a share is a double
 * 0..1, a size is bytes, a rate is bit/s.
 *
 * The list of units is closed and case-sensitive: "mbit" is never "MB", and no
 * unit means bits in one place and bytes in another.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct brunt_error;

#define BRUNT_US UINT64_C(1000)
#define BRUNT_MS UINT64_C(1000000)
#define BRUNT_S	 UINT64_C(1000000000)

/* What a quantity measures; the base unit of each is in brackets. */
enum brunt_dimension {
	BRUNT_DIM_NONE,	 /* a plain number */
	BRUNT_DIM_TIME,	 /* [ns]    ns us ms s m h d */
	BRUNT_DIM_RATIO, /* [0..1]  % */
	BRUNT_DIM_SIZE,	 /* [bytes] B kB MB GB TB KiB MiB GiB TiB */
	BRUNT_DIM_RATE, /* [bit/s] bit kbit mbit gbit tbit, kibit ...; bytes: bps kbps ..., kibps ..., as tc(8) has them */
	_BRUNT_DIM_MAX
};

struct brunt_quantity {
	double value; /* in the dimension's base unit */
	enum brunt_dimension dimension;
};

/* "time", "ratio", ...: for messages and the schema. */
const char *brunt_dimension_name(enum brunt_dimension dimension);

/* The accepted units of a dimension, as prose: "ns, us, ms, s, m, h, d"; "" for a plain number. */
const char *brunt_dimension_units(enum brunt_dimension dimension);

/*
 * Reads "1.5s", "30%", "10mbit", "64MiB", "7": a non-negative decimal number and at most one unit, nothing else
 * ("1m30s" and ISO 8601's "PT5M" are read for time too). 0, or -EINVAL / -ERANGE with a phrase that shows a right
 * spelling: "'200' has no unit; write \"200ms\" or \"200s\"".
 * want: the dimension that is needed, or _BRUNT_DIM_MAX for any.
 */
int brunt_quantity_parse(const char *text, enum brunt_dimension want, struct brunt_quantity *ret,
			 struct brunt_error *err);

/* Finds a bare unit ("ms"): its dimension, and how many base units it is; 0 or -ENOENT. */
int brunt_unit_find(const char *unit, enum brunt_dimension *ret_dimension, double *ret_factor);

/*
 * Writes a quantity for a person, in at most size bytes: "200 ms", "99.8 %", "1.5 MiB", "10 mbit/s", "42".
 * Three significant digits; ranges of time over a minute as "2 min 31 s". Returns buf.
 */
const char *brunt_quantity_print(double value, enum brunt_dimension dimension, char *buf, size_t size);

/* brunt_quantity_print() for nanoseconds. */
const char *brunt_duration_print(uint64_t ns, char *buf, size_t size);
