#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Faults that change while they are held: a ramp is seen in the loss over time, a pulse in the SLI.
# shellcheck disable=SC2154 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
sandbox "$@"
before=$(host_state)

# The kernel answers for it: nothing is measured but the network.
cat >"$WORK/listen.py" <<'END'
import socket, time
listener = socket.create_server(("127.0.0.1", 8088), backlog=4000)
time.sleep(1000)
END

# plan NAME STEPS
plan() {
	cat >"$WORK/$1.json" <<-END
	{ "schema": 1, "name": "$1", "seed": 3, "lease": "3s",
	  "services": { "web": { "run": ["python3", "$WORK/listen.py"], "ready": { "tcp": "127.0.0.1:8088" } } },
	  "targets": { "web": { "service": "web" } },
	  "slis": { "site": { "tcp": { "connect": "127.0.0.1:8088" }, "every": "50ms", "timeout": "${TIMEOUT:-200ms}" } },
	  "method": [ { "run": ["true"] }, { "observe": "1s" }, $2 ] }
	END
}

# story NAME: runs the plan, its journal is $journal
story() {
	rm -rf "$XDG_STATE_HOME"
	run brunt run --plain "$WORK/$1.json"
	journal=$(echo "$XDG_STATE_HOME"/brunt/*.jsonl)
	is "$status" 0 "$1: passes"
	unlike "$(cat "$journal")" '"bug: ' "$1: its events are as the catalogue says"
	same "$before" "$(host_state)" "$1: the host is as it was"
}

# tell CODE: Python with the journal's events (a list of dictionaries) and of(NAME); prints what it finds wrong.
tell() {
	python3 - "$journal" 2>&1 <<-END
	import json, sys
	events = [json.loads(line) for line in open(sys.argv[1])]
	def of(name, **fields):
	    return [e for e in events if e["event"] == name and all(e.get(k) == v for k, v in fields.items())]
	$1
	END
}

# ---- a ramp ----

plan ramp '{ "name": "worse", "fault": "packet.drop", "on": "web", "direction": "ingress",
	"probability": { "from": "0%", "to": "100%", "in": "6s" }, "hold": "10s" }'
run brunt run --dry-run "$WORK/ramp.json"
like "$out" 'with +probability 0 % -> 100 % in 6 s' 'a dry run says how a ramp moves'
story ramp
# Shares of the loss in thirds of the ramp, about 17, 50 and 83 %, and after it; of what was counted inside of them.
is "$(tell '
begin = of("fault.applied")[0]["at_ns"]
seen = [(0, 0, 0)] + [((e["at_ns"] - begin) / 1e9, e["matched"], e["hit"]) for e in of("fault.hits", step="worse")]
def loss(start, end):
    first, last = [s for s in seen if s[0] >= start][0], [s for s in seen if s[0] <= end][-1]
    return (last[2] - first[2]) / max(last[1] - first[1], 1), last[1] - first[1]
for start, end, low, high in (0, 2, 0.03, 0.35), (2, 4, 0.3, 0.7), (4, 6, 0.6, 0.98), (6.1, 10, 1, 1):
    share, count = loss(start, end)
    if count < 8 or not low <= share <= high:
        print(f"{start} to {end} s: {share:.2f} of {count}")
')" '' 'a ramp: the loss grows as it says, and stays where it ends'

# ---- a pulse ----

plan pulse '{ "name": "comes-and-goes", "fault": "packet.drop", "on": "web", "direction": "ingress",
	"pulse": { "on": "700ms", "off": "1300ms" }, "hold": "8s" }'
run brunt run --dry-run "$WORK/pulse.json"
like "$out" 'pulsed +700 ms in effect, 1.3 s not, in turns' 'a dry run says how a fault is pulsed'
story pulse
like "$out" '4 pulses, [0-9.]+ s in effect' 'the summary tells the pulses'
is "$(tell '
phases = [(e["at_ns"], e.get("on", True)) for e in of("fault.applied") + of("fault.pulse")]
if [on for _, on in phases] != [True, False] * 4:
    print("phases", phases)
# Never early; and none is shifted by those before it that were late.
nominal = [n // 2 * 2e9 + n % 2 * 0.7e9 for n in range(8)]
late = [at - phases[0][0] - wanted for (at, _), wanted in zip(phases, nominal)]
if min(late) < -2e6 or sorted(late)[4] > 0.2e9 or max(late) > 1.9e9:
    print("late", late)
')" '' 'a pulse: its phases come when they should'
is "$(tell '
phases = [(e["at_ns"], e.get("on", True)) for e in of("fault.applied") + of("fault.pulse")]
phases.append((of("fault.reverted")[0]["at_ns"], False))
good = {True: [0, 0], False: [0, 0]}
for (start, on), (end, _) in zip(phases, phases[1:]):
    for e in of("sample"):
        # A sample that a phase began or ended in belongs to neither; one that this host was too busy for is none.
        if "good" in e and start + 20e6 < e["scheduled_ns"] and e["scheduled_ns"] + 220e6 < end:
            good[on][0] += e["good"]
            good[on][1] += 1
if good[True][1] < 10 or good[True][0] > 0:
    print("on: good, all:", good[True])
if good[False][1] < 10 or good[False][0] < 0.9 * good[False][1]:
    print("off: good, all:", good[False])
')" '' 'a pulse: the SLI is bad while it is on, and good while it is off'
is "$(tell '
hits = [e["hit"] for e in of("fault.hits")]
if hits != sorted(hits) or hits[-1] < 20:
    print(hits)
')" '' 'a pulse: the counters go on'
run brunt report --output json "$journal"
is "$(printf '%s' "$out" | python3 -c '
import json, sys
step = json.load(sys.stdin)["steps"][2]["fault"]
print(step["pulses"], 2.5e9 < step["in_effect_ns"] < 6e9, 7.9e9 < step["held_ns"] < 10.5e9)')" '4 True True' \
	'the report has the pulses, the time in effect and the time held'

# ---- a delay: packets wait in a line that is changed in place ----

TIMEOUT=2s plan delay '{ "name": "slower", "fault": "network.netem", "on": "web", "direction": "egress",
	"delay": { "from": "0ms", "to": "300ms", "in": "5s" }, "hold": "7500ms" }'
run brunt run --dry-run "$WORK/delay.json"
if [ "$status" -eq 0 ]; then
	like "$out" 'with +delay 0 s -> 300 ms in 5 s' 'a dry run says how a delay moves'
	story delay
	is "$(tell '
import statistics
begin, end = of("fault.applied")[0]["at_ns"], of("fault.reverted")[0]["at_ns"]
def median(start, stop):
    took = [e["took_ns"] / 1e6 for e in of("sample") if "good" in e and
        begin + start * 1e9 <= e["scheduled_ns"] < min(begin + stop * 1e9, end - 400e6)]
    return statistics.median(took) if len(took) >= 3 else -1
# Not less than it was when the answer was sent; what the machine adds is its own.
for start, stop, low, high in (0, 1.5, 0, 700), (2, 4, 115, 1200), (3.6, 5, 210, 1500), (5.2, 7.5, 299, 1500):
    if not low <= median(start, stop) <= high:
        print(f"{start} to {stop} s: {median(start, stop):.0f} ms")
')" '' 'a delay grows as it says, and stays where it ends'
else
	skip 'a delay grows as it says' "$(printf '%s' "$out$err" | grep -m 1 unable)"
fi

# ---- both, and an end between two pulses ----

plan both '{ "name": "waves", "fault": "packet.drop", "on": "web", "direction": "ingress",
	"probability": { "from": "0%", "to": "100%", "in": "3s" }, "pulse": { "on": "200ms", "off": "800ms" },
	"hold": "4500ms" }'
story both
is "$(tell '
# Four, but one of 200 ms may come while a machine pauses.
if not 2 <= len(of("fault.pulse", on=True)) <= 4 or of("fault.pulse")[-1]["on"]:
    print(of("fault.pulse"))
if not of("fault.reverted")[0]["clean"]:
    print("not clean")
')" '' 'a ramp with pulses ends between two of them, and is clean'
done_testing
