/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/clock.h"

#define GOLDEN_GAMMA UINT64_C(0x9e3779b97f4a7c15)

/* The finalizer of splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). */
static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* FNV-1a, 64 bits. */
static uint64_t hash(const char *text)
{
	uint64_t value = UINT64_C(0xcbf29ce484222325);

	for (; text && *text; text++)
		value = (value ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return value;
}

void brunt_random_seed(struct brunt_random *random, uint64_t seed, const char *label)
{
	/* Both are mixed first: neighbouring seeds must not give streams that are shifts of one another. */
	random->state = mix(mix(seed + GOLDEN_GAMMA) ^ hash(label));
}

uint64_t brunt_random_next(struct brunt_random *random)
{
	random->state += GOLDEN_GAMMA;
	return mix(random->state);
}

uint64_t brunt_random_below(struct brunt_random *random, uint64_t bound)
{
	/*
	 * 2^64 mod bound values at the low end are thrown away, so that every remainder stands for equally many of the
	 * rest. At most half of the draws are lost, so this ends.
	 */
	uint64_t skip, value;

	if (bound < 2)
		return 0;
	skip = -bound % bound;
	do
		value = brunt_random_next(random);
	while (value < skip);
	return value % bound;
}
