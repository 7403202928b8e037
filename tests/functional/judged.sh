#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What must not be judged wrongly: requests that fail only after the undo, recovery, people who are not there.
. "$(dirname "$0")/lib.sh"
sandbox "$@"

server='"run": ["python3", "-m", "http.server", "--bind", "127.0.0.1", "18099"], "env": { "PYTHONUNBUFFERED": "1" }, "ready": { "tcp": "127.0.0.1:18099", "within": "20s" }'

# plan NAME STEADY METHOD
plan() {
	cat >"$WORK/$1.json" <<-END
	{ "schema": 1, "name": "$1", "lease": "3s",
	  "services": { "web": { $server, "may_exit": true } },
	  "targets": { "web": { "service": "web" } },
	  "slis": { "site": { "http": { "url": "http://127.0.0.1:18099/" }, "every": "50ms", "timeout": "900ms" } },
	  "steady_state": [ { "sli": "site", "of": "success", "over": "1s", $2, "after_within": "10s" } ],
	  "method": [ $3 ] }
	END
}

before=$(host_state)

# Every packet is lost for half a second: each request of that time fails, but 900 ms after it was sent.
plan late '"min": "99%", "during": "90%"' \
	'{ "name": "cut", "fault": "packet.drop", "on": "web", "direction": "ingress", "probability": "100%", "hold": "500ms" }'
run_fed 1 brunt run --plain "$WORK/late.json"
if [ "$status" = 9 ]; then
	skip 'broken throughout the fault, seen only after it: not passed' 'no packet.drop here'
else
	is "$status" 1 'requests of a fault that fail only after its end are judged with it: failed, not passed'
	like "$out$err" 'while faults were held' 'and the summary says when it was broken'
fi

# No bound of its own for the fault: then the hypothesis holds as it stands.
plan unsaid '"min": "99%"' \
	'{ "name": "cut", "fault": "packet.drop", "on": "web", "direction": "ingress", "probability": "100%", "hold": "1500ms" }'
run_fed 1 brunt run --plain "$WORK/unsaid.json"
if [ "$status" = 9 ]; then
	skip 'without during, an outage while the fault is held does not pass' 'no packet.drop here'
else
	is "$status" 1 'without during, an outage while the fault is held does not pass'
fi

plan fine '"min": "50%", "during": "0%"' \
	'{ "name": "blink", "fault": "process.pause", "on": "web", "hold": "200ms" }'
run_fed 0 brunt run --plain "$WORK/fine.json"
is "$status" 0 'what answers late, but in time, is fine'
run_fed 1 brunt run --plain --expect-verdict aborted "$WORK/fine.json"
is "$status" 1 'an unexpected verdict passed is 1'
run brunt run --dry-run --expect-verdict aborted "$WORK/fine.json"
is "$status" 0 'a dry run has no verdict that could be another'

same "$before" "$(host_state)" 'the host is as it was'
done_testing
