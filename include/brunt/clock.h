/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and chance. Run time is CLOCK_BOOTTIME everywhere (it goes on in
 * suspend, BPF reads the same clock with bpf_ktime_get_boot_ns); the wall
 * clock is only ever written down. Chance comes from the run's seed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of CLOCK_BOOTTIME. Never fails. */
uint64_t brunt_now(void);

/* The wall clock as RFC 3339 with microseconds and zone: "2026-03-02T10:00:47.312345+01:00". Returns buf. */
const char *brunt_wall_print(char *buf, size_t size);

/* A stream of random numbers (splitmix64). Two streams of one seed with different labels are independent. */
struct brunt_random {
	uint64_t state;
};
void brunt_random_seed(struct brunt_random *random, uint64_t seed, const char *label);
uint64_t brunt_random_next(struct brunt_random *random);
/* Uniform in 0..bound-1 without modulo bias; bound > 0. */
uint64_t brunt_random_below(struct brunt_random *random, uint64_t bound);
