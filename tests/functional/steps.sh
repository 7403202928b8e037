#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every kind of step and service, as the reference says; and secrets, seeds and closed outputs.
# Runs go on side by side: begin them, then look at each.
. "$(dirname "$0")/lib.sh"
sandbox "$@"
PUB=$WORK/pub # for what the plans' commands leave: they run as nobody
mkdir -m 1777 "$PUB"

# plan NAME JSON: what the test adds to a service that a fault may hurt.
plan() {
	cat >"$WORK/$1.json" <<-END
	{ "schema": 1, "name": "$1", "seed": 7, "lease": "3s",
	  "services": { "victim": { "run": ["sleep", "1000"], "may_exit": true } ${SERVICES:+, $SERVICES} },
	  "targets": { "victim": { "service": "victim" } ${TARGETS:+, $TARGETS} },
	  "slis": { "ok": { "command": { "run": "test ! -e $PUB/$1.broken" }, "every": "50ms" } },
	  $2 }
	END
}

# begin NAME [OPTIONS...]: in the background. A journal folder of its own.
begin() {
	local name=$1
	shift
	(
		XDG_STATE_HOME=$WORK/state.$name timeout --kill-after=5 60 "$BRUNT" run --plain "$@" "$WORK/$name.json" \
			>"$WORK/$name.out" 2>"$WORK/$name.err" </dev/null
		echo $? >"$WORK/$name.status"
	) &
}

# ended NAME STATUS WHAT: waits for its end; $out, $err and $events (its journal) are for what follows.
ended() {
	within 80 test -s "$WORK/$1.status"
	# shellcheck disable=SC2034
	status=$(cat "$WORK/$1.status") out=$(cat "$WORK/$1.out") err=$(cat "$WORK/$1.out" "$WORK/$1.err")
	events=$(cat "$WORK/state.$1"/brunt/*.jsonl)
	is "$status" "$2" "$1: $3"
	unlike "$events" '"bug: ' "$1: its events are as the catalogue says"
}

# step NAME OUTCOME WHAT: of the run that ended last.
step() {
	like "$events" "\"step.end\".*\"step\":\"$1\",\"outcome\":\"$2\"" "$3"
}

# took_ms NAME
took_ms() {
	printf '%s\n' "$events" | sed -n "s/.*\"step.end\".*\"step\":\"$1\".*\"took_ns\":\([0-9]*\).*/\1/p" |
		awk '{ printf "%d\n", $1 / 1000000 }'
}

# at NAME-OF-EVENT FIELDS: when it was told, in ns; empty when it was not. FIELDS: a regular expression.
at() {
	printf '%s\n' "$events" | grep -E "\"event\":\"$1\".*$2" | head -n 1 | sed 's/.*"at_ns":\([0-9]*\).*/\1/'
}

# before A B WHAT: both were, in this order.
in_order() {
	if [ -n "$1" ] && [ -n "$2" ] && [ "$1" -le "$2" ]; then ok "$3"; else not_ok "$3" "$1 $2
$events"; fi
}

between() { # LOW SEEN HIGH WHAT
	if [ "${2:-0}" -ge "$1" ] && [ "${2:-0}" -le "$3" ]; then ok "$4"; else not_ok "$4" "seen: ${2:-nothing}, wanted: $1 to $3
$events"; fi
}

judged='{ "run": ["true"] }' # a run that judges nothing proves nothing
hurt="$judged, "'{ "name": "hurt", "fault": "process.pause", "on": "victim", "hold": "100ms" }'
before=$(host_state)

# ---- observe, wait ----
plan observe "\"method\": [ $hurt, { \"name\": \"look\", \"observe\": \"400ms\" } ]"
plan wait-held "\"method\": [ $hurt, { \"name\": \"w\", \"wait\": { \"sli\": \"ok\", \"of\": \"success\", \"over\": \"300ms\", \"min\": \"100%\" }, \"within\": \"20s\" } ]"
plan wait-vain "\"method\": [ $hurt, { \"name\": \"w\", \"wait\": { \"target\": \"victim\", \"alive\": 9 }, \"within\": \"400ms\" }, { \"name\": \"next\", \"observe\": \"10ms\" } ]"
# ---- expect ----
expect='"expect": { "sli": "ok", "of": "success", "over": "400ms", "min": "100%" }'
break_it="{ \"name\": \"break\", \"run\": \"touch $PUB/\$PLAN.broken\" }"
plan expect-miss "\"method\": [ $hurt, { \"observe\": \"1s\" }, ${break_it/\$PLAN/expect-miss}, { \"name\": \"e\", $expect, \"since\": \"break\", \"within\": \"1s\" }, { \"name\": \"rest\", \"observe\": \"1ms\" } ]"
plan expect-continue "\"method\": [ $hurt, { \"observe\": \"1s\" }, ${break_it/\$PLAN/expect-continue}, { \"name\": \"e\", $expect, \"within\": \"1s\", \"on_miss\": \"continue\" }, { \"name\": \"rest\", \"observe\": \"1ms\" } ]"
plan expect-met "\"method\": [ $hurt, { \"name\": \"mend\", \"run\": [\"rm\", \"$PUB/expect-met.broken\"] }, { \"name\": \"e\", $expect, \"since\": \"mend\", \"within\": \"20s\" } ]"
install -m 666 -o nobody /dev/null "$PUB/expect-met.broken"
for name in observe wait-held wait-vain expect-miss expect-continue expect-met; do begin $name; done

ended observe 0 'a method that observes'
between 400 "$(took_ms look)" 4000 'observe: for as long as said'
ended wait-held 0 'a wait that comes to hold'
step w 'done' 'wait: holds'
ended wait-vain 7 'a wait in vain is no failure, but proves nothing'
step w missed 'wait in vain: said so'
step next 'done' 'wait in vain: the method goes on'
ended expect-miss 1 'fine before its cause, broken after: a miss'
step e missed 'expect: missed'
step rest skipped 'expect: on_miss stop leaves out the rest'
between 900 "$(took_ms e)" 5000 'expect: waits for within'
ended expect-continue 1 'a miss is a failure, also with on_miss continue'
step rest 'done' 'expect: on_miss continue goes on'
ended expect-met 0 'an expect that comes to hold'
step e 'done' 'expect: met'

# ---- run ----
plan run-fine "\"method\": [ $hurt, { \"name\": \"r\", \"run\": \"echo I am \$(id -u); echo to stderr >&2\" } ]"
plan run-fails "\"method\": [ $hurt, { \"name\": \"r\", \"run\": \"echo why; exit 3\" }, { \"name\": \"rest\", \"observe\": \"1ms\" } ]"
plan run-long "\"method\": [ $hurt, { \"name\": \"r\", \"run\": \"sleep 4321 & sleep 4321\", \"timeout\": \"300ms\" } ]"
plan run-none "\"method\": [ $hurt, { \"name\": \"r\", \"run\": [\"$WORK/no-such-program\"] } ]"
# ---- start, stop ----
SERVICES='"spare": { "run": "trap \"echo bye; exit 0\" TERM; echo ready to go; sleep 1000 & wait", "ready": { "line": "^ready" }, "manual": true }' \
TARGETS='"spare": { "service": "spare" }' \
	plan manual "\"method\": [ $hurt, { \"name\": \"none\", \"wait\": { \"target\": \"spare\", \"alive\": 1 }, \"within\": \"300ms\" }, { \"name\": \"up\", \"start\": \"spare\" }, { \"name\": \"one\", \"expect\": { \"target\": \"spare\", \"alive\": 1 }, \"within\": \"20s\" }, { \"name\": \"down\", \"stop\": \"spare\" }, { \"name\": \"again\", \"start\": \"spare\" } ]"
SERVICES='"spare": { "run": "sleep 1000", "ready": { "line": "^never" , "within": "5s" }, "manual": true }' \
	plan start-slow "\"method\": [ { \"name\": \"hold\", \"fault\": \"process.pause\", \"on\": \"victim\", \"hold\": \"300ms\", \"background\": true }, { \"name\": \"up\", \"start\": \"spare\" } ]"
for name in run-fine run-fails run-long run-none manual start-slow; do begin $name; done

ended run-fine 0 'a command that succeeds'
like "$events" '"step.output".*"step":"r","line":"I am 65534"' 'run: as nobody, not as root; its output is in the journal'
like "$events" '"step.output".*"line":"to stderr"' 'run: what it says on stderr, too'
ended run-fails 1 'a command that fails'
like "$out" 'exit status 3' 'run: says how it ended'
like "$events" '"step.output".*"line":"why"' 'run: its output is in the journal'
step rest skipped 'run: a failure ends the method'
ended run-long 1 'a command that takes too long'
like "$out" 'timeout' 'run: says so'
between 300 "$(took_ms r)" 5000 'run: killed at its timeout'
ended run-none 1 'a command that does not exist'
like "$out" 'no-such-program' 'run: says which'
ended manual 7 'a manual service'
step none missed 'manual: it does not run before'
step up 'done' 'start: ready'
step one 'done' 'start: it runs'
step down 'done' 'stop: ended'
like "$events" '"service.output".*"line":"bye"' 'stop: in good order'
step again 'done' 'start: again'
ended start-slow 5 'a started service that never gets ready'
held=$(at fault.reverted '"step":"hold"')
between 250 $(((held - $(at fault.applied '"step":"hold"')) / 1000000)) 4000 'start: a fault in the background ends in time meanwhile'

# ---- approve, parallel, background ----
plan approve-refuse "\"method\": [ { \"name\": \"a\", \"approve\": \"Sure?\" }, $hurt ]"
plan approve-late "\"method\": [ $hurt, { \"name\": \"a\", \"approve\": \"Sure?\" }, { \"name\": \"rest\", \"observe\": \"1ms\" } ]"
plan approve-skip "\"method\": [ { \"name\": \"a\", \"approve\": \"Sure?\", \"unattended\": \"skip\" }, $hurt ]"
plan parallel-all "\"method\": [ { \"name\": \"p\", \"parallel\": [ { \"name\": \"short\", \"observe\": \"100ms\" }, $hurt, { \"name\": \"long\", \"run\": [\"sleep\", \"0.7\"] } ] }, { \"name\": \"next\", \"observe\": \"1ms\" } ]"
plan parallel-fails "\"method\": [ { \"name\": \"p\", \"parallel\": [ { \"name\": \"hold\", \"fault\": \"process.pause\", \"on\": \"victim\", \"hold\": \"25s\" }, { \"name\": \"long\", \"run\": [\"sleep\", \"4322\"] }, { \"name\": \"bad\", \"run\": \"sleep 0.5; exit 1\" } ] }, { \"name\": \"next\", \"observe\": \"1ms\" } ], \"finally\": [ { \"run\": \"pgrep -fx 'sleep 4322' || echo nothing goes on\" } ]"
background='"fault": "process.pause", "on": "victim", "background": true'
plan background-open "\"method\": [ $judged, { \"name\": \"b\", $background }, { \"name\": \"look\", \"observe\": \"400ms\" } ]"
plan background-hold "\"method\": [ $judged, { \"name\": \"b\", $background, \"hold\": \"600ms\" }, { \"name\": \"look\", \"observe\": \"100ms\" } ]"
plan background-revert "\"method\": [ $judged, { \"name\": \"b\", $background }, { \"name\": \"look\", \"observe\": \"200ms\" }, { \"name\": \"undo\", \"revert\": \"b\" }, { \"name\": \"next\", \"observe\": \"300ms\" } ]"
# The revert comes when the hold ends, or was over long ago.
plan background-race "\"method\": [ $judged, { \"name\": \"b\", $background, \"hold\": \"200ms\" }, { \"observe\": \"198ms\" }, { \"name\": \"undo\", \"revert\": \"b\" } ]"
plan background-late "\"method\": [ $judged, { \"name\": \"b\", $background, \"hold\": \"100ms\" }, { \"observe\": \"500ms\" }, { \"name\": \"undo\", \"revert\": \"b\" } ]"
for name in approve-refuse approve-late approve-skip parallel-all parallel-fails background-open background-hold background-revert background-race background-late; do begin $name; done

ended approve-refuse 4 'nobody is there to approve'
like "$out" REFUSED 'approve: says so'
unlike "$events" '"fault.applied"' 'approve: nothing was injected'
ended approve-late 7 'not approved after a fault: nothing proven'
step rest skipped 'approve: the rest is left out'
ended approve-skip 0 'approve: skipped when the plan says so'
ended parallel-all 0 'parallel'
between 700 "$(took_ms p)" 5000 'parallel: ends when all have ended'
in_order "$(at step.start '"step":"long"')" "$(at step.end '"step":"short"')" 'parallel: side by side'
in_order "$(at step.end '"step":"p"')" "$(at step.start '"step":"next"')" 'parallel: then comes the next step'
ended parallel-fails 1 'parallel: a failure in it'
like "$events" '"fault.reverted".*"step":"hold".*"clean":true' 'parallel: a fault that another step holds is reverted'
between 0 $((($(at reverted '"clean":true') - $(at step.end '"step":"bad"')) / 1000000)) 4000 'parallel: at once'
step next skipped 'parallel: the first failure ends the method'
like "$events" '"step.output".*"line":"nothing goes on"' 'parallel: its other commands are ended before finally'
ended background-open 0 'background without hold'
in_order "$(at step.end '"step":"look"')" "$(at fault.reverted '"step":"b"')" 'background: held to the end of the method'
ended background-hold 0 'background with hold'
between 550 $((($(at fault.reverted '"step":"b".*"reason":"hold"') - $(at fault.applied '"step":"b"')) / 1000000)) 4000 'background: the run waits for its hold'
ended background-revert 0 'background, reverted by name'
in_order "$(at fault.reverted '"step":"b"')" "$(at step.end '"step":"undo"')" 'revert: the fault is gone when the step ends'
in_order "$(at step.end '"step":"undo"')" "$(at step.start '"step":"next"')" 'revert: then comes the next step'
ended background-race 0 'revert: of a fault that is just ending'
ended background-late 0 'revert: of a fault that has ended'

# ---- finally ----
finally="\"finally\": [ { \"name\": \"f1\", \"run\": \"sleep 0.2; echo one >>$PUB/\$PLAN.log\" }, { \"name\": \"f2\", \"run\": \"echo two >>$PUB/\$PLAN.log\" } ]"
broken="\"finally\": [ { \"name\": \"f1\", \"run\": \"exit 1\" }, { \"name\": \"f2\", \"run\": [\"sleep\", \"4323\"], \"timeout\": \"300ms\" }, { \"name\": \"f3\", \"run\": \"echo one two >>$PUB/finally-broken.log\" } ]"
long='{ "name": "long", "fault": "process.pause", "on": "victim", "hold": "25s" }'
plan finally-passed "\"method\": [ $hurt ], ${finally//\$PLAN/finally-passed}"
plan finally-broken "\"method\": [ $hurt ], $broken"
plan finally-failed "\"method\": [ { \"run\": \"exit 1\" } ], ${finally//\$PLAN/finally-failed}"
plan finally-aborted "\"guardrails\": [ { \"sli\": \"ok\", \"of\": \"success\", \"over\": \"300ms\", \"min\": \"50%\" } ], \"method\": [ { \"observe\": \"800ms\" }, { \"run\": \"touch $PUB/finally-aborted.broken\" }, $long ], ${finally//\$PLAN/finally-aborted}"
plan finally-stopped "\"method\": [ $long ], ${finally//\$PLAN/finally-stopped}"
plan finally-hurried "\"method\": [ $hurt ], \"finally\": [ { \"name\": \"slow\", \"run\": \"echo slow >$PUB/finally-hurried.log; sleep 4324\" }, { \"run\": [\"sleep\", \"4324\"] }, { \"run\": [\"sleep\", \"4324\"] }, { \"run\": \"echo last >>$PUB/finally-hurried.log\" } ]"
for name in finally-passed finally-broken finally-failed finally-aborted finally-stopped finally-hurried; do begin $name; done

# stop_run NAME: SIGTERM to brunt, which is a child of timeout.
stop_run() {
	kill -TERM "$(sed -n 's/.*"event":"run.start".*"pid":\([0-9]*\).*/\1/p' "$WORK/state.$1"/brunt/*.jsonl)"
}
# shellcheck disable=SC2016 # the file is not there yet
within 20 eval 'grep -qs "\"fault.applied\"" "$WORK"/state.finally-stopped/brunt/*.jsonl'
stop_run finally-stopped
within 30 test -s "$PUB/finally-hurried.log"
stop_run finally-hurried
for case in passed:0 broken:5 failed:1 aborted:3 stopped:143; do
	ended "finally-${case%:*}" "${case#*:}" 'with finally'
	is "$(tr '\n' ' ' <"$PUB/finally-${case%:*}.log")" 'one two ' "finally: all of it, in order, when ${case%:*}"
	[ -z "$(at fault.applied .)" ] ||
		in_order "$(at reverted '"clean":true')" "$(at finally .)" "finally: after the undo, when ${case%:*}"
done
# What should have cleaned up did not get to its end: no good end.
ended finally-hurried 5 'a signal while finally runs'
like "$out" SIGTERM 'finally: the signal is heeded'
between 0 $((($(at phase '"phase":"end"') - $(at abort SIGTERM)) / 1000000)) 9000 'finally: all of it together is given little time'
is "$(tr '\n' ' ' <"$PUB/finally-hurried.log")" 'slow last ' 'finally: and each of it some'
within 5 eval '! pgrep -fx "sleep 432[1-4]"'
is "$(pgrep -fx 'sleep 432[1-4]' | wc -l)" 0 'no command is left'

# ---- every, times, resolve ----
kills='"fault": "process.kill", "on": "phoenix"'
phoenix='"phoenix": { "run": ["sleep", "2000"], "restart": "20ms" }'
each='"phoenix": { "process": { "service": "phoenix" }, "resolve": "each" }'
SERVICES=$phoenix TARGETS=$each plan times "\"blast_radius\": { \"victims\": 3 }, \"method\": [ $judged, { \"name\": \"k\", $kills, \"every\": \"2s\", \"times\": 3, \"hits\": { \"min\": 3 } } ]"
SERVICES=$phoenix TARGETS=$each plan times-behind "\"blast_radius\": { \"victims\": 3 }, \"method\": [ $judged, { \"name\": \"k\", $kills, \"every\": \"2s\", \"times\": 3, \"background\": true, \"hits\": { \"min\": 3 } }, { \"name\": \"look\", \"observe\": \"100ms\" } ]"
SERVICES=$phoenix TARGETS=$each plan victims "\"blast_radius\": { \"victims\": 2 }, \"method\": [ $judged, { \"name\": \"k\", $kills, \"every\": \"2s\", \"times\": 3 } ]"
SERVICES=$phoenix TARGETS=${each/each/start} plan stale "\"method\": [ $judged, { \"name\": \"k\", $kills }, { \"observe\": \"400ms\" }, { \"name\": \"k2\", $kills } ]"
pause='"fault": "process.pause", "on": "phoenix", "background": true'
SERVICES=${phoenix/'["sleep", "2000"]'/"\"echo \$\$\$\$ >\$BRUNT_DIR/pid; echo up; exec sleep 2000\", \"ready\": { \"line\": \"up\" }"} TARGETS=${each/each/follow} plan follow "\"blast_radius\": { \"victims\": 2 }, \"method\": [ { \"name\": \"p\", $pause }, { \"run\": \"kill -KILL \$(cat \$BRUNT_DIR/pid)\" }, { \"observe\": \"3s\" } ]"
sed 's/"victims": 2/"victims": 1/' "$WORK/follow.json" >"$WORK/follow-less.json"
# ---- blast radius, hits ----
twins='"twins": { "process": { "cmdline": "^twin-of-brunt", "any_pid_namespace": true }, "pick": "all", "resolve": "each" }'
bash -c 'exec -a twin-of-brunt sleep 3000' &
twins_pids=$!
bash -c 'exec -a twin-of-brunt sleep 3000' &
twins_pids="$twins_pids $!"
within 5 eval '[ "$(pgrep -cf "^twin-of-brunt")" -ge 2 ]'
TARGETS=$twins plan share "\"blast_radius\": { \"victims\": 9, \"share\": \"50%\" }, \"method\": [ $judged, { \"name\": \"k\", \"fault\": \"process.pause\", \"on\": \"twins\", \"hold\": \"100ms\" } ]"
plan duration "\"blast_radius\": { \"duration\": \"500ms\" }, \"method\": [ $judged, $long ]"
plan hits "\"method\": [ $judged, { \"name\": \"k\", \"fault\": \"process.kill\", \"on\": \"victim\", \"hits\": { \"min\": 5 } } ]"
for name in times times-behind victims stale follow follow-less share duration hits; do begin $name; done

ended times 0 'a fault that happens three times'
is "$(printf '%s\n' "$events" | grep -c '"fault.applied".*"step":"k"')" 3 'times: three times'
between 3950 "$(took_ms k)" 9000 'every: 2 s apart'
ended times-behind 0 'three times in the background: the run waits for the last'
is "$(printf '%s\n' "$events" | grep -c '"fault.applied".*"step":"k"')" 3 'times: three times in the background'
ended victims 5 'a third victim where two are allowed'
is "$(printf '%s\n' "$events" | grep -c '"fault.applied".*"step":"k"')" 2 'victims: counted over the run, restarted ones anew'
like "$out" 'blast_radius.victims allows 2' 'victims: says why'
ended stale 5 'a target that was resolved at the start and restarted since'
like "$out" '"resolve": "each"' 'stale: says what helps'
ended follow 0 'a target that is followed over a restart'
like "$events" '"fault.reverted".*"step":"p".*"hit":2' 'follow: the restarted one is hit, too'
ended follow-less 5 'a restarted victim that is one too many'
like "$out" 'blast_radius.victims allows 1' 'follow: says so'
ended share 4 'a step that hits more than the share'
unlike "$events" '"fault.applied"' 'share: nothing was touched'
ended duration 3 'a method that is longer than the blast radius allows'
like "$events" '"fault.reverted".*"clean":true' 'duration: reverted'
like "$out" 'blast radius.*500 ms' 'duration: says why'
ended hits 7 'a fault that hit less than hits.min'

# ---- services ----
# service NAME JSON: a plan with that service, which the method looks at for some time.
service() {
	SERVICES=$2 plan "$1" "\"method\": [ $judged, { \"name\": \"look\", \"observe\": \"${LOOK:-300ms}\" } ]"
	begin "$1"
}
listen="import socket,time; time.sleep(0.3); s=socket.create_server(('127.0.0.1',PORT))"
service prepare-fails '"s": { "prepare": ["echo fine", "echo no licence; exit 4"], "run": ["sleep", "1000"] }'
LOOK=1500ms service prepare-once "\"s\": { \"prepare\": [\"echo first >>$PUB/prepared\", \"echo second >>$PUB/prepared\"], \"run\": \"cat $PUB/prepared; sleep 0.2; exit 1\", \"restart\": \"20ms\" }"
service ready-tcp "\"s\": { \"run\": [\"python3\", \"-c\", \"${listen/PORT/4001}; time.sleep(1000)\"], \"ready\": { \"tcp\": \"127.0.0.1:4001\" } }"
service ready-http "\"s\": { \"run\": \"cd /usr/share && sleep 0.3 && exec python3 -m http.server -b 127.0.0.1 4002\", \"ready\": { \"http\": \"http://127.0.0.1:4002/\" } }"
service ready-file "\"s\": { \"run\": \"sleep 0.3; touch $PUB/ready; sleep 1000\", \"ready\": { \"file\": \"$PUB/ready\" } }"
service ready-line '"s": { "run": "sleep 0.3; echo we are open; sleep 1000", "ready": { "line": "open$" } }'
service ready-never '"s": { "run": "sleep 1000", "ready": { "tcp": "127.0.0.1:9", "within": "300ms" } }'
service ready-ended '"s": { "run": "printf %s no-newline; exit 2", "ready": { "line": "open" } }'
for name in prepare-fails prepare-once ready-tcp ready-http ready-file ready-line ready-never ready-ended; do within 80 test -s "$WORK/$name.status"; done
service after '"b": { "run": "echo b; sleep 1000", "after": ["a"] }, "a": { "run": "sleep 0.3; echo a; sleep 1000", "ready": { "line": "a" } }'
service ends-early '"s": { "run": "sleep 0.1; echo the reason; exit 3" }'
service may-exit '"s": { "run": ["true"], "may_exit": true }'
service user '"s": { "run": "id -u; grep CapEff /proc/self/status; sleep 1000" }, "r": { "run": "id -u; sleep 1000", "user": "root" }, "d": { "run": "id -un; sleep 1000", "user": "daemon" }'
service words "\"s\": { \"run\": \"pwd; echo \$WORD; printf '%0200dä\\\\n' 0; printf 'z%0148dä\\\\n' 0; exit 0\", \"env\": { \"WORD\": \"said\" }, \"cwd\": \"pub\", \"may_exit\": true }"

ended prepare-fails 5 'a prepare line that fails'
like "$out" "prepare .*exit status 4: no licence" 'prepare: says which, and its last line'
unlike "$events" '"service.start".*"service":"s"' 'prepare: then the service is not started'
ended prepare-once 7 'a service with prepare lines that restarts'
is "$(tr '\n' ' ' <"$PUB/prepared")" 'first second ' 'prepare: in order, once, also when the service restarts'
check 'restart: it was started again' test "$(printf '%s\n' "$events" | grep -c '"service.start".*"service":"s"')" -gt 1
for how in tcp http file line; do
	ended "ready-$how" 7 'a service that gets ready'
	between 250 $((($(at service.ready '"service":"s"') - $(at service.start '"service":"s"')) / 1000000)) 9000 "ready: by $how"
	in_order "$(at service.ready '"service":"s"')" "$(at phase '"phase":"method"')" "ready: $how is awaited"
done
ended ready-never 5 'a service that does not get ready'
like "$out" "service 's' did not get ready" 'ready: says so'
ended ready-ended 5 'a service that ends before it is ready'
like "$out" 'no-newline' 'ready: its last line says why, newline or not'
ended after 7 'a service after another'
in_order "$(at service.ready '"service":"a"')" "$(at service.start '"service":"b"')" 'after: starts when the other is ready'
ended ends-early 5 'a service that ends by itself'
like "$out" "service 's' .*the reason" 'its end: its last line says why'
ended may-exit 7 'a service that may end, at once'
ended user 7 'services of several users'
like "$events" '"service":"s","line":"65534"' 'user: nobody by default'
like "$events" '"service":"s","line":"CapEff:\\t0000000000000000"|"service":"s","line":"CapEff:.0000000000000000"' 'user: without capabilities'
like "$events" '"service":"r","line":"0"' 'user: root when the plan says so'
like "$events" '"service":"d","line":"daemon"' 'user: any other'
ended words 7 'a service with env and cwd'
like "$events" "\"line\":\"$PUB\"" 'cwd: relative to the plan'
like "$events" '"line":"said"' 'env: is set'
like "$events" '"service.end".*"service":"s".*"last_line":"z0' 'its last line: cut between characters'

# ---- secrets ----
secret='se"cr\\et'"'"'pass\\n"word'
printf '%s\n' "$secret" >"$WORK/secret"
cat >"$WORK/secret.py" <<-'END'
	import os, sys
	secret = os.environ["PASSWORD"]
	print("I know", secret, flush=True)
	print("x" * 4090 + secret, flush=True)
	sys.stderr.write(secret)
	sys.stderr.flush()
	import time
	time.sleep(float(sys.argv[1]))
	sys.exit(secret)
END
cat >"$WORK/secret.json" <<-END
	{ "schema": 1, "name": "secret", "lease": "3s",
	  "variables": { "password": { "file": "secret", "secret": true } },
	  "services": { "s": { "run": ["python3", "$WORK/secret.py", "1.2"], "env": { "PASSWORD": "\${password}" }, "may_exit": true, "ready": { "line": "know" } },
	                "t": { "run": ["sleep", "1000"] } },
	  "targets": { "t": { "service": "t" } },
	  "slis": { "site": { "http": { "url": "http://127.0.0.1:9/", "headers": { "Authorization": "\${password}" } }, "every": "100ms" } },
	  "steady_state": [], "guardrails": [],
	  "method": [ { "run": ["cat", "$WORK/secret"] }, { "run": "printf 'no such %s\\\\n' \"\$(cat $WORK/secret)\" >&2" },
	              { "fault": "process.pause", "on": "t", "hold": "1500ms" } ],
	  "finally": [ { "run": ["cat", "$WORK/secret"] } ] }
END
begin secret --result "$WORK/secret.result"
XDG_STATE_HOME=$WORK/state.json "$BRUNT" run --output=json "$WORK/secret.json" >"$WORK/secret.document" 2>&1 </dev/null &
json=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do # what a process list shows of these runs; other people's command lines prove nothing
	for pid in $(sandbox_pids); do
		cat "/proc/$pid/cmdline" 2>/dev/null
	done
	sleep 0.1
done >"$WORK/secret.ps"
wait "$json"
ended secret 0 'a run with a secret'
# Also as JSON writes it, and the half of it that a cut leaves.
for where in "$WORK/secret.out" "$WORK/secret.err" "$WORK/secret.result" "$WORK/secret.document" "$WORK/secret.ps" "$WORK"/state.secret/brunt/*.jsonl "$WORK"/state.json/brunt/*.jsonl; do
	check "secret: $(basename "${where/*jsonl/journal}") was written" test -e "$where"
	unlike "$(tr '\0' '\n' <"$where")" 'se\\*"cr|pass.*word|x{20}se' "secret: not in $(basename "${where/*jsonl/journal}")"
done
like "$events" '"service.output".*I know \*\*\*"' 'secret: covered in what a service says'
like "$events" '"step.output".*"line":"\*\*\*"' 'secret: covered in what a command says'
check 'the result file is JSON' python3 -m json.tool "$WORK/secret.result" /dev/null
check 'the document is JSON' python3 -m json.tool "$WORK/secret.document" /dev/null

# ---- judging throughout ----
steady='"steady_state": [ { "sli": "ok", "of": "success", "over": "500ms", "min": "99%", "during": "90%", "after_within": "5s" } ]'
plan steady-kept "$steady, \"method\": [ $hurt ]"
plan steady-broken "$steady, \"method\": [ { \"name\": \"b\", $background }, { \"run\": \"touch $PUB/steady-broken.broken\" }, { \"observe\": \"1500ms\" }, { \"run\": [\"rm\", \"$PUB/steady-broken.broken\"] } ]"
plan steady-lost "$steady, \"method\": [ { \"run\": \"touch $PUB/steady-lost.broken\" }, $hurt ]"
plan steady-never "$steady, \"method\": [ $hurt ]"
touch "$PUB/steady-never.broken"
# Long after its cause an expect looks at what came since, not at the best of it only.
plan broken-throughout "\"method\": [ $hurt, { \"name\": \"e\", $expect, \"since\": \"hurt\", \"within\": \"1s\", \"on_miss\": \"continue\" }, { \"name\": \"w\", ${expect/expect/wait}, \"within\": \"500ms\" } ]"
touch "$PUB/broken-throughout.broken"
for name in steady-kept steady-broken steady-lost steady-never broken-throughout; do begin $name; done
ended steady-kept 0 'a system that stays steady'
ended steady-broken 1 'a system that recovers, but was broken during'
like "$out" 'while faults were held' 'during: says so'
ended steady-lost 1 'a system that does not come back'
ended steady-never 8 'a system that was not steady before'
unlike "$events" '"fault.applied"' 'unsteady: nothing was injected'
ended broken-throughout 1 'a system that is broken throughout never passes'

# ---- seed ----
for _ in 1 2 3 4 5 6 7 8; do
	sleep 5000 &
	sleepers="${sleepers:-} $!"
done
within 5 eval '[ "$(pgrep -cfx "sleep 5000")" -ge 8 ]'
TARGETS='"some": { "process": { "cmdline": "^sleep 5000$" }, "pick": 2 }' plan seed "\"blast_radius\": { \"victims\": 2 }, \"method\": [ { \"fault\": \"process.pause\", \"on\": \"some\", \"hold\": \"20ms\" } ]"
for seed in 5 5 6 7 8; do
	run brunt run --plain --seed "$seed" "$WORK/seed.json"
	printf '%s\n' "$out" | sed -n "s/.*target 'some': //p"
done >"$WORK/picks"
like "$(head -n 1 "$WORK/picks")" '^2 of 8 picked' 'seed: two of eight'
is "$(sed -n 2p "$WORK/picks")" "$(sed -n 1p "$WORK/picks")" 'seed: the same seed picks the same'
check 'seed: other seeds pick others' test "$(sort -u "$WORK/picks" | wc -l)" -gt 1
# shellcheck disable=SC2086
kill $sleepers $twins_pids
wait

# ---- outputs ----
export XDG_STATE_HOME=$WORK/state.outputs
"$BRUNT" run "$WORK/observe.json" >&- 2>"$WORK/err"
is "$?" 0 'stdout closed: the run goes its way'
"$BRUNT" run "$WORK/observe.json" >&- 2>&- <&-
is "$?" 0 'all closed: the run goes its way'
"$BRUNT" run --plain "$WORK/observe.json" 2>"$WORK/err" | head -n 1 >"$WORK/out"
is "${PIPESTATUS[0]}" 0 '| head -1: the run goes its way'
is "$(wc -l <"$WORK/out")" 1 '| head -1: has its line'
is "$(cat "$WORK/err")" '' '| head -1: and nothing is complained of'
setsid --wait "$BRUNT" run "$WORK/observe.json" >"$WORK/out" 2>&1 </dev/null
is "$?" 0 'no terminal: the run goes its way'
like "$(cat "$WORK/out")" PASSED 'no terminal: says the verdict'
unlike "$(cat "$WORK/out")" $'\033' 'no terminal: and no escapes'
"$BRUNT" run --plain "$WORK/observe.json" >/dev/full 2>"$WORK/err"
is "$?" 0 'a full disk behind stdout: the run goes its way'

same "$before" "$(host_state)" 'the host is as it was'
done_testing
