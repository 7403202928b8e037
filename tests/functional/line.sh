#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The user-space line behind network.netem, on any kernel: each impairment measured, and that nothing is lost by its end,
# whoever ends it. Time is asserted by medians and strict lower bounds, chance by five standard deviations.
# kernels: on request
. "$(dirname "$0")/lib.sh"
sandbox "$@"
packets=$BUILD/tests/tools/packets
[ -x "$packets" ] || skip_all "tests/tools/packets is not built"
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun: CONFIG_TUN"

unshare --net sleep 1000 &
far=$!
# shellcheck disable=SC2016 # evaluated there
within 5 eval '! [ "/proc/$far/ns/net" -ef /proc/self/ns/net ]' || skip_all "no second network namespace"
ip link add wire type veth peer name wire-far netns "$far"
ip addr add 10.99.0.1/24 dev wire
ip addr add fd99::1/64 dev wire nodad
ip link set wire up
nsenter --net -t "$far" sh -c 'ip addr add 10.99.0.2/24 dev wire-far; ip addr add fd99::2/64 dev wire-far nodad
	ip link set wire-far up; ip link set lo up'
"$packets" --to-ns "$far" --to 10.99.0.2:7000 --count 3 --wait 50 >/dev/null # so that addresses are known
"$packets" --to-ns "$far" --to '[fd99::2]:7000' --count 3 --wait 50 >/dev/null

# An emulated machine sends less in the same time.
many=20000 fast=10000 steady=2000
! grep -q QEMU /proc/cpuinfo || many=4000 fast=800 steady=300
brunt=
lease=5s # a busy machine may leave the line without a CPU for longer than the usual one
# impair INTERFACE JSON [ON_ABORT]: holds network.netem with these parameters until `restore`.
impair() {
	cat >"$WORK/plan.json" <<-END
	{ "schema": 1, "name": "line", "seed": 7, "lease": "$lease", "on_abort": "${3:-drain}", "targets": { "link": { "interface": "$1" } },
	  "method": [ { "name": "slow", "fault": "network.netem", "line": "tap", "on": "link", "hits": { "min": 0 },
	    "hold": "2m", $2 } ], "blast_radius": { "duration": "5m" } }
	END
	"$BRUNT" run --plain --result "$WORK/result.json" "$WORK/plan.json" >"$WORK/run" 2>&1 </dev/null &
	brunt=$!
	within 20 grep -q "'slow' applied" "$WORK/run" || not_ok "held: $2" "$(cat "$WORK/run")"
}
restore() {
	kill -TERM "$brunt"
	wait "$brunt"
	is "$?" 143 "given back${1:+: $1}"
	like "$(cat "$WORK/run")" 'everything removed and read back' 'read back as gone'
}
hits() {
	sed -n 's/.*"hit": \([0-9]*\).*/\1/p' "$WORK/result.json" | head -n 1
}
role() {
	"$BRUNT" status --output=json 2>/dev/null | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | head -n 1
}
ours() { # links of ours that are there
	ip -o link | grep -c ' b[0-9a-f]\{8\}-'
}

# through PACKETS-OPTION...: the answer of packets lies in $WORK/seen.
through() {
	"$packets" --wait 1000 "$@" >"$WORK/seen" || not_ok "packets $*" "$(cat "$WORK/seen")"
}
seen() { # KEY
	grep -o "\"$1\": [0-9.]*" "$WORK/seen" | tail -n 1 | cut -d ' ' -f 2
}
between() { # VALUE MIN MAX NAME
	if awk -v v="${1:-x}" -v a="$2" -v b="$3" 'BEGIN { exit !(v + 0 == v && v >= a && v <= b) }'; then
		ok "$4 ($1)"
	else
		not_ok "$4" "seen $1, wanted $2 to $3
$(cat "$WORK/seen" "$WORK/run")"
	fi
}
share() { # VALUE COUNT RATIO NAME: within five standard deviations of a binomial distribution
	local bounds
	read -ra bounds < <(awk -v n="$2" -v p="$3" 'BEGIN { s = 5 * sqrt(n * p * (1 - p)); print n * p - s, n * p + s }')
	between "$1" "${bounds[@]}" "$4"
}

# ---- time ----
for where in "lo 127.0.0.1:7000" "lo [::1]:7000" "wire 10.99.0.2:7000" "wire [fd99::2]:7000"; do
	read -r interface to <<<"$where"
	there=()
	[ "$interface" = lo ] || there=(--to-ns "$far")
	impair "$interface" '"delay": "50ms", "to": ":7000/udp"'
	through --to "$to" "${there[@]}" --count 500 --rate 500
	between "$(seen min)" 50000000 100000000 "$where: delay 50ms, none comes earlier"
	between "$(seen p25)" 50000000 80000000 'a quarter of them not much later'
	is "$(seen lost) $(seen duplicated) $(seen reordered)" '0 0 0' 'nothing else happens'
	through --to "${to%7000}7001" "${there[@]}" --count 100 --rate 500
	between "$(seen p50)" 0 20000000 'another port is not delayed'
	restore "$where"
	# shellcheck disable=SC2034 # told when it differs
	err=$(grep -E '"(seen|matched|hit|unwanted|near_miss)":' "$WORK/result.json")
	is "$(hits)" 500 'what was hit is what was sent'
	err=''
	through --to "$to" "${there[@]}" --count 100 --rate 500
	between "$(seen p50)" 0 20000000 'afterwards nothing is delayed'
done

impair wire '"delay": "50ms", "direction": "both", "to": ":7000/udp"'
through --to-ns "$far" --to 10.99.0.2:7000 --count 200 --rate 500
between "$(seen min)" 50000000 100000000 'both ways: what is sent'
through --from-ns "$far" --from 10.99.0.2:7000 --to 10.99.0.1:7002 --count 200 --rate 500
between "$(seen min)" 50000000 100000000 'both ways: what is received'
is "$(seen lost)" 0 'and none is lost'
restore

impair wire '"delay": "50ms", "jitter": "20ms"'
through --to-ns "$far" --to 10.99.0.2:7000 --count "$steady" --rate "$steady"
between "$(seen min)" 30000000 36000000 'jitter 20ms: the earliest'
between "$(seen p50)" 48000000 70000000 'half of them'
between "$(seen p999)" 68000000 1000000000 'the latest'
between "$(seen overtaking)" "$((steady / 4))" "$steady" 'packets overtake one another'
is "$(seen lost) $(seen duplicated)" '0 0' 'none is lost'
restore

# ---- chance ----
impair wire '"loss": "10%"'
through --to-ns "$far" --to 10.99.0.2:7000 --count "$many" --rate "$fast"
share "$(seen lost)" "$many" 0.1 'loss 10%'
is "$(seen reordered) $(seen duplicated)" '0 0' 'nothing else happens'
restore
bursts=$(grep -o '"lengths".*' "$WORK/seen")
impair wire '"loss": "10%"'
through --to-ns "$far" --to 10.99.0.2:7000 --count "$many" --rate "$fast"
is "$(grep -o '"lengths".*' "$WORK/seen")" "$bursts" 'the same seed loses the same packets'
restore

impair wire '"loss_gemodel": { "p": "2%", "r": "20%" }'
through --to-ns "$far" --to 10.99.0.2:7000 --count "$many" --rate "$fast"
between "$(seen loss)" 0.06 0.125 'Gilbert-Elliott: one in eleven is lost'
between "$(sed -n 's/.*"mean": \([0-9.]*\), "max".*/\1/p' "$WORK/seen" | head -n 1)" 3.8 6.2 'in bursts of five'
restore

impair wire '"duplicate": "10%"'
through --to-ns "$far" --to 10.99.0.2:7000 --count "$many" --rate "$fast"
share "$(seen duplicated)" "$many" 0.1 'duplicate 10%'
is "$(seen lost)" 0 'none is lost'
restore

impair wire '"delay": "20ms", "reorder": "25%"'
through --to-ns "$far" --to 10.99.0.2:7000 --count "$((steady * 2))" --rate "$steady"
share "$(seen overtaking)" "$((steady * 2))" 0.25 'reorder 25%: so many overtake'
is "$(seen lost) $(seen duplicated)" '0 0' 'none is lost'
restore

impair wire '"corrupt": "10%"'
through --to-ns "$far" --to 10.99.0.2:7000 --count "$many" --rate "$fast" --size 1000
between "$(($(seen corrupted) + $(seen lost)))" "$((many * 75 / 1000))" "$((many * 125 / 1000))" 'corrupt 10%: damaged, or, in a header, lost'
between "$(seen corrupted)" "$((many * 7 / 100))" "$((many * 125 / 1000))" 'most of them in what was sent'
restore

impair wire '"rate": "8mbit"'
through --to-ns "$far" --to 10.99.0.2:7000 --count 1000 --rate 0 --size 958
between "$(seen wire_bit_s)" 7200000 8080000 'rate 8mbit'
is "$(seen lost) $(seen reordered)" '0 0' 'none is lost'
restore

# ---- a stream ----
head -c 20000000 /dev/urandom >"$WORK/sent"
impair wire '"delay": "3ms", "jitter": "1ms", "loss": "0.1%", "duplicate": "1%", "corrupt": "0.1%", "direction": "both"'
cat >"$WORK/stream.py" <<'END'
import socket, sys
if sys.argv[1] == "get":
    with socket.create_server(("10.99.0.2", 7100)) as server, server.accept()[0] as peer, open(sys.argv[2], "wb") as file:
        while data := peer.recv(1 << 16):
            file.write(data)
        peer.sendall(b"!")
else:
    with socket.create_connection(("10.99.0.2", 7100), 30) as peer, open(sys.argv[2], "rb") as file:
        peer.sendall(file.read())
        peer.shutdown(socket.SHUT_WR)
        peer.recv(1)
END
nsenter --net -t "$far" python3 "$WORK/stream.py" get "$WORK/got" &
getter=$!
within 5 nsenter --net -t "$far" sh -c 'grep -q :1BBC /proc/net/tcp'
check 'a TCP stream passes through all of it' timeout 60 python3 "$WORK/stream.py" put "$WORK/sent"
wait "$getter"
check 'and arrives as it was sent' cmp "$WORK/sent" "$WORK/got"
restore

# ---- the end, whoever makes it ----
# flow SECONDS [WAIT_MS]: packets one after another, in the background; `landed` waits for its end.
flow() {
	"$packets" --to-ns "$far" --to 10.99.0.2:7000 --count $(($1 * steady)) --rate "$steady" --wait "${2:-3000}" >"$WORK/flow" &
	flow=$!
}
landed() {
	wait "$flow"
	mv "$WORK/flow" "$WORK/seen"
}
flowed() {
	landed
	between "$(seen lost)" 0 0 "$1: not one packet is lost"
	between "$(seen max)" 200000000 60000000000 'they were delayed'
	between "$(seen min)" 0 20000000 'and no longer are'
	within 20 eval '[ "$(ours)" = 0 ]'
	is "$(ours)" 0 'no device of ours is left'
}

# Before tcx the kernel itself loses packets while a clsact comes or goes (docs/faults/network.netem.md), so there it is
# somebody else's.
linux 6.6 || tc qdisc add dev wire clsact

impair wire '"delay": "200ms"'
flow 3
sleep 1
restore
flowed 'given back in mid-flow'

for victim in holder controller; do
	impair wire '"delay": "200ms"'
	flow 3
	sleep 1
	kill -KILL "$(role "$victim")"
	flowed "kill -9 of the $victim"
	wait "$brunt" 2>/dev/null
done

impair wire '"delay": "200ms"' now
flow 3
sleep 1
kill -TERM "$brunt"
wait "$brunt"
landed
between "$(seen lost)" 1 "$((steady * 4 / 10))" 'in a hurry: what waited is lost, no more'
between "$(seen min)" 0 20000000 'then nothing is delayed'

# It stands still for longer than the lease, and less than the four seconds in which it must end at the end of the run.
lease=$((SLOW > 1 ? 2000 : 500))ms
impair wire '"delay": "200ms"'
flow $((SLOW > 1 ? 6 : 3)) $((5000 * (SLOW + 1))) # what is in the line comes when that goes on
sleep 1
line=$(role line)
kill -STOP "$line"
sleep $((SLOW > 1 ? 2 : 0)).7
through --to-ns "$far" --to 10.99.0.2:7001 --count 100 --rate 500 --wait 200
between "$(seen p50)" 0 20000000 'SIGSTOP of the line: after the lease nothing is delayed'
kill -CONT "$line"
flowed 'SIGSTOP of the line'
kill -TERM "$brunt" 2>/dev/null # it may have noticed, and ended
wait "$brunt"
like "$(cat "$WORK/run")" 'lost: its line was killed or stands still' 'and the run says whose silence it was'

# One that stays stopped cannot read that it is to end, and is not waited for longer than one that can.
lease=5s
for way in now drain; do
	impair wire '"delay": "200ms"' "$way"
	flow 1
	sleep 0.5
	line=$(role line)
	kill -STOP "$line"
	wait "$flow"
	start=$SECONDS
	kill -INT "$brunt"
	wait "$brunt"
	between "$((SECONDS - start))" 0 $((12 * SLOW)) "the line stays stopped, $way: seconds until the run is over"
	check 'it is not there any more' eval '! kill -0 "$line" 2>/dev/null'
	is "$(ours)" 0 'no device of ours is left'
	is "$(find /run/brunt -name '*.ledger')" '' 'and no ledger'
done

# Nor does one that stays stopped when its holder is killed: then recovery takes the device away.
lease=$((500 * SLOW))ms
impair wire '"delay": "200ms"'
line=$(role line)
kill -STOP "$line"
kill -KILL "$(role holder)"
wait "$brunt"
within 20 eval '[ "$(ours)" = 0 ]'
is "$(ours)" 0 'the line stays stopped, kill -9 of the holder: no device of ours is left'
is "$(find /run/brunt -name '*.ledger')" '' 'and no ledger'
kill -CONT "$line"
check 'continued, it ends' within 5 eval '! kill -0 "$line" 2>/dev/null'

# All of brunt is killed, and somebody recovers while packets may still wait.
impair wire '"delay": "5s"'
line=$(role line)
kill -STOP "$line"
kill -KILL "$(role recoverer)" "$(role holder)" "$brunt"
wait "$brunt"
within 5 eval '! "$BRUNT" status --output=json | grep -q line'
run brunt recover
is "$status" 6 'recovery while packets may wait: not yet'
like "$out$err" 'may still wait in device .*try again' 'it says why'
check 'the ledger stays' eval '[ -n "$(find /run/brunt -name "*.ledger")" ]'
check 'recovery when none can' within 20 "$BRUNT" recover
is "$(ours)" 0 'the device is gone'
is "$(find /run/brunt -name '*.ledger')" '' 'and the ledger'
kill -CONT "$line"
check 'continued, it ends' within 5 eval '! kill -0 "$line" 2>/dev/null'

lease=$((500 * SLOW))ms
impair wire '"delay": "200ms"'
flow 3
sleep 1
kill -KILL "$(role line)"
landed
between "$(seen lost)" 1 "$((steady * 3 / 2))" 'kill -9 of the line: what waited in it, and what came within the lease'
between "$(seen min)" 0 20000000 'then nothing is delayed'
kill -TERM "$brunt" 2>/dev/null
wait "$brunt"
within 20 eval '[ "$(ours)" = 0 ]'
is "$(ours)" 0 'no device of ours is left'

# What is waited for at the end is waited for as long as the user likes.
cat >"$WORK/plan.json" <<END
{ "schema": 1, "name": "line", "lease": "5s", "targets": { "link": { "interface": "wire" } }, "blast_radius": { "duration": "5m" },
  "method": [ { "name": "slow", "fault": "network.netem", "line": "tap", "on": "link", "hits": { "min": 0 },
    "hold": "1s", "delay": "20s", "to": ":7000/udp" } ] }
END
"$BRUNT" run --plain --result "$WORK/result.json" "$WORK/plan.json" >"$WORK/run" 2>&1 </dev/null &
brunt=$!
within 20 grep -q "'slow' applied" "$WORK/run"
"$packets" --to-ns "$far" --to 10.99.0.2:7000 --count 100 --rate 1000 --wait 1 >"$WORK/seen"
within 20 grep -q "'slow' removed" "$WORK/run" || not_ok 'removed' "$(cat "$WORK/run")"
sleep 1
check 'packets wait: the run waits for them' kill -0 "$brunt"
start=$SECONDS
kill -INT "$brunt"
wait "$brunt"
is "$?" 130 'until somebody is in a hurry'
between "$((SECONDS - start))" 0 8 'seconds, then it is over'
between "$(sed -n 's/.*"unwanted": \([0-9]*\).*/\1/p' "$WORK/result.json" | head -n 1)" 50 200 'what waited is lost, and counted'
is "$(ours)" 0 'no device of ours is left'

# Renewals are withheld while the line is not seen alive; when it is again, the fault may have lapsed, alone and latched,
# with nobody having looked in between. However the times fall: who is not delayed any more was told.
late() { # SECONDS the controller is late, SECONDS more that the line is
	local line controller
	impair wire '"delay": "50ms", "to": ":7000/udp"'
	line=$(role line) controller=$(role controller)
	kill -STOP "$line" "$controller"
	sleep "$1"
	kill -CONT "$controller"
	sleep "$2"
	kill -CONT "$line"
	within 2 grep -q 'abort (' "$WORK/run"
	through --to-ns "$far" --to 10.99.0.2:7000 --count 50 --rate 500
	[ "$(seen min)" -ge 50000000 ] || within 10 grep -q 'abort (' "$WORK/run"
	if grep -q 'abort (' "$WORK/run"; then
		ok "late by $1 s and $2 s: told"
	else
		between "$(seen min)" 50000000 60000000000 "late by $1 s and $2 s: still delayed"
	fi
	kill -TERM "$brunt" 2>/dev/null
	wait "$brunt"
}
for times in '0.33 0.07' '0.36 0.07' '0.38 0.05' '0.34 0.10'; do
	# shellcheck disable=SC2086 # two of them
	late $times
done

# ---- what it is ----
lease=5s
impair wire '"delay": "200ms"'
line=$(role line)
like "$("$BUILD/tests/tools/checkroles" 65534 "line=$line" 2>&1)" '^ok - line' 'it is what its row of the table says'
unlike "$(readlink "/proc/$line/ns/net")" "$(readlink /proc/self/ns/net)" "it does not keep the target's network namespace"
restore

kill "$far"
wait "$far" 2>/dev/null
ip link del wire 2>/dev/null
is "$(ours)" 0 'nothing is left'
done_testing
