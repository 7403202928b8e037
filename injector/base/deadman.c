/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "brunt/error.h"
#include "brunt/role.h"
#include "brunt/units.h"

int brunt_deadman_make(struct brunt_deadman *deadman, struct brunt_error *err)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	timer_t timer;

	/* CLOCK_BOOTTIME: time in suspend counts, as it does for the leases in BPF. Not inherited by fork. */
	if (timer_create(CLOCK_BOOTTIME, &event, &timer))
		return brunt_fail(err, errno, "cannot make the dead man's timer: %s", strerror(errno));
	deadman->timer = timer;
	deadman->made = true;
	return 0;
}

int brunt_deadman_set(struct brunt_deadman *deadman, uint64_t at)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(at / BRUNT_S), .tv_nsec = (long)(at % BRUNT_S) },
	};

	if (!deadman->made)
		return -EINVAL;
	return timer_settime((timer_t)deadman->timer, TIMER_ABSTIME, &when, NULL) ? -errno : 0;
}
