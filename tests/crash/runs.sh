#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Several runs on one host; status, stop and recover at every moment of a run's life; the result file whatever happens.
# shellcheck source=lib.sh disable=SC2154 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
sandbox "$@"
LEASE_MS=3000 # nothing here is about how long it is
victim_start
sleep 1000 &
sleeper=$!
echo $sleeper >"$WORK/sleeper.pid"

plan_on() { # NAME PID-FILE FAULT-JSON
	cat >"$WORK/$1.json" <<-END
	{ "schema": 1, "name": "$1", "lease": "${LEASE_MS}ms", "targets": { "it": { "process": { "pid_file": "$WORK/$2.pid" } } },
	  "method": [ { "fault": "$3", "on": "it", "hold": "60s" } ] }
	END
}

# begin NAME [OPTIONS]: in the background; its pid in $began. Returns when it holds its fault.
begin() {
	"$BRUNT" run --plain "${@:2}" "$WORK/$1.json" >"$WORK/$1.out" 2>&1 </dev/null &
	began=$!
	within 30 roles "$1" || not_ok "$1 holds its fault" "$(cat "$WORK/$1.out")"
}

state_of() {
	awk '/^State/ { print $2 }' "/proc/$1/status"
}

id_of() { # PLAN
	"$BRUNT" status --output=json | python3 -c '
import json, sys
print(*[run["run"] for run in json.load(sys.stdin)["runs"] if run["plan"] == sys.argv[1]])' "$1"
}

kill_all() { # PLAN: every role, at once
	roles "$1"
	kill -KILL "${pid_of[@]}"
	wait "$began" 2>/dev/null
	within 20 no_roles
}

before=$(host_state)

# ---- two runs that want different things, and two that want the same ----
plan_on one victim process.pause
plan_on other sleeper process.pause
begin one
one=$began
begin other
other=$began
is "$(state_of "$victim")$(state_of $sleeper)" tt 'two runs on different things both hold'
run brunt status
is "$status" 0 'status with two runs'
like "$out" 'live +one' 'status tells the first'
like "$out" 'live +other' 'status tells the second'
run brunt stop
is "$status" 2 'stop wants to know which one'
like "$err" 'one' 'and lists them'
run brunt stop "$(id_of one)"
is "$status" 0 'stop ends the one that is named'
wait "$one"
is "$?" 143 'that was stopped'
is "$(state_of $sleeper)" t 'the other one still holds'
run brunt recover
is "$status" 0 'recover beside a live run'
like "$out" 'alive: left alone' 'leaves it alone'
is "$(state_of $sleeper)" t 'and it still holds'

for fault in process.pause packet.drop connect.fail; do
	plan_on "first-$fault" victim $fault
	plan_on "second-$fault" victim $fault
	[ $fault != connect.fail ] ||
		sed -i 's/"connect.fail",/"connect.fail", "errno": "ECONNREFUSED",/' "$WORK"/*-connect.fail.json
	begin "first-$fault"
	first=$began
	run brunt run --plain --result "$WORK/second" "$WORK/second-$fault.json"
	is "$status" 4 "$fault: a second run that wants the same is refused"
	like "$out$err" "first-$fault" "$fault: and is told by whom"
	is "$(verdict_of "$WORK/second")" refused "$fault: its result file says so"
	roles "first-$fault" && ok "$fault: the first run still holds" || not_ok "$fault: the first run still holds"
	run brunt stop "$(id_of "first-$fault")"
	wait "$first"
	is "$?" 143 "$fault: the first run was stopped"
done
kill -INT "$other"
wait "$other"
is "$?" 130 'the other run was interrupted'
same_host "$before" 'two runs: the host is as it was'

# ---- a dead run ----
plan_on dead victim packet.drop
begin dead --result "$WORK/result"
is "$(verdict_of "$WORK/result")" error 'while a run goes on its result file says error'
kill_all dead
is "$(verdict_of "$WORK/result")" error 'nothing of brunt lives: the result file says error'
run brunt status
is "$status" 6 'status of a dead run: a human must act'
like "$out" 'dead +dead' 'status says that it is dead'
like "$out" 'brunt recover' 'and what to do'
run brunt stop
is "$status" 0 'stop of a dead run'
like "$out" 'no run is alive' 'has nothing to stop'
saved=$(ls /run/brunt)
run brunt recover --dry-run
is "$status" 0 'recover --dry-run'
is "$(ls /run/brunt)" "$saved" 'touches nothing'
run brunt recover
is "$status" 0 'recover finishes it'
run brunt recover
like "$out" '^nothing to recover' 'once more is no harm'
run brunt status
is "$status" 0 'then status is content'
same_host "$before" 'a dead run: the host is as it was'

# A dead run does not stand in the way of the next, which finishes it first.
begin dead
kill_all dead
plan_on next victim packet.drop
begin next
is "$(id_of dead)" '' 'the next run finishes a dead one first'
run brunt stop
wait "$began"
is "$?" 143 'and does its own work'
same_host "$before" 'after the next run: the host is as it was'

# ---- stopped roles ----
begin dead
roles dead
kill -STOP "${pid_of[controller]}"
within 15 well_since "$(clock_ms)" && ok 'the controller is stopped: the lease ends the fault' || not_ok 'the controller is stopped: the lease ends the fault'
run brunt status
like "$out" 'live +dead' 'status knows a run whose controller is stopped'
run brunt recover
like "$out" 'alive: left alone' 'recover leaves it alone'
run brunt stop
is "$status" 0 'stop ends it'
wait "$began"
is "$?" 5 'which is an error: its lease ran out'
same_host "$before" 'a stopped controller: the host is as it was'

begin dead
roles dead
kill -STOP "${pid_of[recoverer]}"
kill -KILL "${pid_of[controller]}"
wait "$began" 2>/dev/null
within 15 well_since "$(clock_ms)" && ok 'recoverer stopped, controller killed: the holder ends the fault' || not_ok 'recoverer stopped, controller killed: the holder ends the fault'
run brunt status
like "$out" 'ending +dead' 'status says that the run is ending'
run brunt stop
is "$status" 0 'stop lets it go on to its end'
same_host "$before" 'a stopped recoverer: the host is as it was'

# ---- the result file ----
run brunt run --plain --result "$WORK/no/such/folder" "$WORK/dead.json"
is "$status" 5 'a result file that cannot be written is an error before anything is touched'
like "$err" 'no/such/folder' 'and is named'
echo '{ "verdict": "passed" }' >"$WORK/result"
run brunt run --plain --result "$WORK/result" "$WORK/no-such-plan.json"
is "$status" 2 'a plan that cannot be read'
is "$(verdict_of "$WORK/result")" invalid 'replaces an older result, too'

# Whoever reads the file at any moment reads a whole document.
cat >"$WORK/reader.py" <<-'PYTHON'
	import json, sys
	reads, seen = 0, set()
	while "stop" not in seen:
	    try:
	        with open(sys.argv[1], encoding="utf-8") as file:
	            seen.add(json.load(file)["verdict"])
	    except (ValueError, FileNotFoundError) as error:
	        sys.exit("after %d reads: %s" % (reads, error))
	    reads += 1
	print(reads, *sorted(seen))
PYTHON
sed 's/"60s"/"100ms"/' "$WORK/next.json" >"$WORK/short.json"
python3 "$WORK/reader.py" "$WORK/result" >"$WORK/reads" 2>&1 &
reader=$!
for _ in 1 2 3; do
	"$BRUNT" run --plain --result "$WORK/result" "$WORK/short.json" >/dev/null 2>&1 </dev/null
done
"$BRUNT" run --plain --result "$WORK/result" "$WORK/short.json" >/dev/null 2>&1 </dev/null &
sleep 0.15
kill -KILL $!
wait $! 2>/dev/null
within 20 no_roles
echo '{ "verdict": "stop" }' >"$WORK/last" && mv "$WORK/last" "$WORK/result"
wait $reader && ok "a reader never sees half a document ($(cat "$WORK/reads"))" || not_ok 'a reader never sees half a document' "$(cat "$WORK/reads")"
is "$(find "$WORK" -maxdepth 1 -name '*result*' ! -name result)" '' 'and no temporary file stays'
same_host "$before" 'results: the host is as it was'

# ---- a host that does not play along ----
plan alone '"fault": "packet.drop"'
run setpriv --bounding-set=-sys_admin "$BRUNT" run --plain --result "$WORK/result" "$WORK/alone.json"
is "$status" 9 'no PID namespace: unable'
like "$err" 'CAP_SYS_ADMIN' 'no PID namespace: says what is missing'
is "$out" '' 'no PID namespace: and nothing else'
is "$(verdict_of "$WORK/result")" unable 'no PID namespace: the result file'
same_host "$before" 'no PID namespace: the host is as it was'

mount -o remount,size=4k /run/brunt
run brunt run --plain "$WORK/alone.json"
mount -o remount,size=100% /run/brunt
is "$status" 5 'no room for the ledger: error'
like "$out" 'cannot create .*No space left' 'no room for the ledger: says so'
mount -o remount,ro /run/brunt
run brunt run --plain "$WORK/alone.json"
mount -o remount,rw /run/brunt
is "$status" 5 'no ledger can be written: error'
like "$out" 'cannot create .*Read-only' 'no ledger can be written: says so'
same_host "$before" 'no ledger: the host is as it was'

mkdir "$WORK/full"
mount -t tmpfs -o size=8k full "$WORK/full"
XDG_STATE_HOME=$WORK/full "$BRUNT" run --plain "$WORK/alone.json" >"$WORK/alone.out" 2>&1 </dev/null &
began=$!
within 30 roles alone && ok 'a full disk under the journal does not keep a run from holding' ||
	not_ok 'a full disk under the journal does not keep a run from holding' "$(cat "$WORK/alone.out")"
sleep 1
kill -TERM $began
wait $began
is "$?" 143 'nor from its end'
like "$(cat "$WORK/alone.out")" 'STOPPED' 'nor from saying it'
umount "$WORK/full"
same_host "$before" 'a full disk: the host is as it was'

check 'the other victim is alive' kill $sleeper
wait $sleeper 2>/dev/null
victim_end
done_testing
