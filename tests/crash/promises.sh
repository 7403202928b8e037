#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The promises, tried: while every kind of fault is held, with nobody reading stdout and the journal's writer stopped,
# each role is killed with SIGKILL (and two at once), and the controller and the holder are stopped with SIGSTOP.
# The victim must be well again by itself: no recover command is given before that is seen.
. "$(dirname "$0")/../functional/lib.sh"
sandbox "$@"

PORT=8090
python3 "$TESTS/crash/victim.py" serve $PORT &
server=$!
python3 "$TESTS/crash/victim.py" ask $PORT "$WORK/log" "$WORK/victim.pid" &
victim=$!
within 5 grep -q ^ok "$WORK/log" || skip_all "the victim does not start"

plan() { # FAULT-JSON
	cat >"$WORK/plan.json" <<-END
	{ "schema": 1, "name": "promises",
	  "targets": { "victim": { "process": { "pid_file": "$WORK/victim.pid" } } },
	  "services": { "idle": { "run": ["sleep", "1000"], "may_exit": true } },
	  "method": [
	    { "name": "hurt", "on": "victim", "background": true, $1 },
	    { "name": "look", "observe": "2m" } ],
	  "blast_radius": { "victims": 1, "duration": "5m" } }
	END
}

# Milliseconds since boot of the newest "ok" line; 0 without.
newest_ok() {
	awk '$1 == "ok" { t = $2 } END { print t + 0 }' <(tail -n 2000 "$WORK/log")
}

# Nothing has gone well for 150 ms.
hurt() {
	[ $(($(now_ms) - $(newest_ok))) -gt 150 ]
}

role() {
	"$BRUNT" status --output=json | python3 -c '
import json, sys
for run in json.load(sys.stdin)["runs"]:
    print(run["pids"].get(sys.argv[1]) or "")' "$1"
}

# Starts a run whose stdout nobody reads and whose journal writer stands still; returns when the fault is felt.
start() {
	mkfifo "$WORK/stdout"
	exec 9<>"$WORK/stdout"
	head -c 60000 /dev/zero >&9 # nearly full: the next words block
	"$BRUNT" run --plain "$WORK/plan.json" >"$WORK/stdout" 2>"$WORK/err" 9>&- </dev/null &
	brunt=$!
	within 10 hurt || return 1
	journal=$(role journal)
	kill -STOP "$journal"
}

# It has ended, whether or not somebody waited for it.
gone() {
	case $(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null) in
	'' | Z) return 0 ;;
	*) return 1 ;;
	esac
}

end_run() {
	exec 9>&-
	rm -f "$WORK/stdout"
	kill -CONT "$@" 2>/dev/null
	kill -CONT "$journal" 2>/dev/null
	kill -TERM "$brunt" 2>/dev/null
	within 15 gone "$brunt" || kill -KILL "$brunt"
	wait "$brunt" 2>/dev/null
}

# try NAME SIGNAL ROLE...
try() {
	local name=$1 signal=$2 pids="" since took
	shift 2
	if ! start; then
		not_ok "$name" "the fault did not bite: $(cat "$WORK/err")"
		end_run
		return
	fi
	for role in "$@"; do
		pid=$(role "$role")
		[ -n "$pid" ] || continue
		pids="$pids $pid"
	done
	if [ -z "$pids" ]; then
		not_ok "$name" "no role $* is told by status"
		end_run
		return
	fi
	since=$(now_ms)
	# shellcheck disable=SC2086
	kill "-$signal" $pids
	if within 5 well_since "$since"; then
		took=$(($(first_ok_after "$since") - since))
		ok "$name: well again after $took ms"
	else
		not_ok "$name" "the fault stayed; state $(awk '/^State/' "/proc/$victim/status")"
	fi
	# shellcheck disable=SC2086
	end_run $pids
	"$BRUNT" recover >/dev/null 2>&1
	# After a kill of the screen or the launcher the run may rightly go on until it is told to end.
	within 5 no_roles || not_ok "$name: no process is left" "$(pgrep -l brunt)"
	same "$before" "$(host_state)" "$name: the host is as it was"
}

first_ok_after() {
	tail -n 3000 "$WORK/log" | awk -v since="$1" '$1 == "ok" && $2 > since + 0 { print $2; exit }'
}

well_since() {
	[ -n "$(first_ok_after "$1")" ]
}

no_roles() {
	[ -z "$(sandbox_pids | while read -r pid; do grep -l ^brunt "/proc/$pid/comm" 2>/dev/null; done)" ]
}

before=$(host_state)

for fault in \
	'"fault": "packet.drop"' \
	'"fault": "connect.fail", "errno": "ECONNREFUSED"' \
	'"fault": "process.pause"'; do
	kind=$(echo "$fault" | cut -d'"' -f4)
	plan "$fault"
	try "$kind: kill -9 of the controller" KILL controller
	try "$kind: kill -9 of the holder" KILL holder
	try "$kind: kill -9 of controller and holder" KILL controller holder
	try "$kind: kill -9 of holder and recoverer" KILL holder recoverer
	try "$kind: kill -9 of every role" KILL controller holder recoverer launcher journal screen
	try "$kind: kill -9 of the recoverer" KILL recoverer
	try "$kind: kill -9 of the launcher" KILL launcher
	try "$kind: kill -9 of the journal's writer" KILL journal
	try "$kind: SIGSTOP of the controller" STOP controller
	try "$kind: SIGSTOP of the holder" STOP holder
	try "$kind: SIGSTOP of controller and holder" STOP controller holder
	[ "$kind" != process.pause ] || try "$kind: kill -9 of the pauser" KILL pauser
	[ "$kind" != process.pause ] || try "$kind: SIGSTOP of the pauser" STOP pauser
done

check "the victim is alive" kill -0 "$victim"
kill "$victim" "$server"
done_testing
