/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/clock.h"

#include <stdio.h>
#include <time.h>

#include "brunt/units.h"

uint64_t brunt_now(void)
{
	struct timespec now = { 0 };

	/* Fails only for a clock that the kernel does not know; CLOCK_BOOTTIME is there since 2.6.39. */
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * BRUNT_S + (uint64_t)now.tv_nsec;
}

const char *brunt_wall_print(char *buf, size_t size)
{
	struct timespec now = { 0 };
	struct tm local = { 0 };
	char day[48], zone[16];

	if (!size)
		return buf;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	/* localtime_r need not look at TZ by itself (POSIX); glibc does so once tzset was called. */
	tzset();
	(void)localtime_r(&now.tv_sec, &local);
	if (!strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &local))
		day[0] = '\0';
	/* "%z" is "+0100"; RFC 3339 wants a colon in it. */
	if (strftime(zone, sizeof(zone), "%z", &local) != 5)
		snprintf(zone, sizeof(zone), "+0000");
	snprintf(buf, size, "%s.%06ld%.3s:%s", day, now.tv_nsec / 1000, zone, zone + 3);
	return buf;
}
