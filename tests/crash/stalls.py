# SPDX-License-Identifier: Apache-2.0
"""Notes down when a processor of this machine stood still: it had been given to others, or something else held it.

    stalls.py LOG MILLISECONDS

One process for each processor, which sleeps for 30 ms again and again. Where that took longer than said, it appends
"FROM UNTIL" to LOG, in milliseconds of the clock; "0 0" when it begins. A victim or a role of brunt that was there at
the time is late by as much, and that proves nothing about brunt.
"""
import os
import sys
import time

PAUSE_NS = 30_000_000


def watch(path, limit_ns):
    with open(path, "a", buffering=1, encoding="ascii") as log:
        log.write("0 0\n")
        until = time.time_ns()
        while True:
            since = until
            time.sleep(PAUSE_NS / 1e9)
            until = time.time_ns()
            if until - since > limit_ns + PAUSE_NS:
                log.write(f"{since // 1000000} {until // 1000000}\n")


processors = sorted(os.sched_getaffinity(0))
for processor in processors[1:]:
    if not os.fork():
        os.sched_setaffinity(0, [processor])
        watch(sys.argv[1], int(sys.argv[2]) * 1000000)
os.sched_setaffinity(0, processors[:1])
watch(sys.argv[1], int(sys.argv[2]) * 1000000)
