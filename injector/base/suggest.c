/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/json.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#define WORD_MAX 64

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/*
 * Edit distance with neighbours swapped counted as one (optimal string alignment), blind to case.
 * Both lengths are at most WORD_MAX.
 */
static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_size; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= a_size; i++) {
		int ai = tolower((unsigned char)a[i - 1]);
		unsigned *spare = before;

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_size; j++) {
			int bj = tolower((unsigned char)b[j - 1]);

			row[j] = least(last[j] + 1, row[j - 1] + 1, last[j - 1] + (ai != bj));
			if (i > 1 && j > 1 && ai == tolower((unsigned char)b[j - 2]) &&
			    tolower((unsigned char)a[i - 2]) == bj && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[b_size];
}

const char *brunt_suggest(const char *word, const char *const *names)
{
	size_t word_size = strnlen(word, WORD_MAX + 1);
	unsigned best_distance = UINT_MAX;
	const char *best = NULL;

	if (word_size == 0 || word_size > WORD_MAX)
		return NULL;
	for (; *names; names++) {
		size_t name_size = strnlen(*names, WORD_MAX + 1);
		size_t longer = name_size > word_size ? name_size : word_size;
		size_t apart = longer - (name_size < word_size ? name_size : word_size);
		unsigned found;

		if (name_size > WORD_MAX || apart > longer / 3)
			continue;
		found = distance(word, word_size, *names, name_size);
		if (found <= longer / 3 && found < best_distance) {
			best_distance = found;
			best = *names;
		}
	}
	return best;
}
