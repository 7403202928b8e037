#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# packet.drop: every nth, the first ones, a budget, bursts, by TCP flags and by state, as a program sees it that talks.
# shellcheck disable=SC2154 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
sandbox "$@"
mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
[ -n "$mount" ] || skip_all "no cgroup v2 is mounted"
group=/brunt-drop.$$
own_cgroup "$group"
mkdir -p "$mount$group" || skip_all "no cgroup can be made in $mount"

# What the victim does, in the cgroup, when $WORK/go is there; writes $WORK/seen.
cat >victim.py <<'END'
"""udp COUNT: sends datagrams to itself through loopback, prints 1 for each that arrived and 0 for the others.
   tcp: connects to a listener outside and says what became of it, and how long it took."""
import os, socket, sys, time
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
udp.setblocking(False)
while not os.path.exists("go"):
    time.sleep(0.02)
if sys.argv[1] == "udp":
    seen = ""
    for i in range(int(sys.argv[2])):
        udp.sendto(b"x", udp.getsockname())
        try:
            udp.recv(1)
            seen += "1"
        except BlockingIOError:
            seen += "0"
else:
    begin = time.monotonic()
    tcp = socket.socket()
    tcp.settimeout(float(sys.argv[2]))
    try:
        tcp.connect(("127.0.0.1", 8300))
        took = time.monotonic() - begin
        seen = f"connected {took:.2f} s"
        tcp.sendall(b"x")
        seen += ", answered" if tcp.recv(1) else ", closed"
    except TimeoutError:
        seen = (seen + ", no answer") if "seen" in dir() else "no connection"
open("seen.new", "w").write(seen + "\n")
os.rename("seen.new", "seen")
END
python3 "$TESTS/functional/peer.py" serve 127.0.0.1 8300 server.log &
within 60 grep -q ready server.log || skip_all "no server starts"
before=$(host_state)

# drop NAME PARAMETERS MODE ARGUMENT: what the victim saw is $seen, what the fault counted is $hit and $matched.
drop() {
	rm -f go seen
	cat >"$1.json" <<-END
	{ "schema": 1, "name": "$1", "seed": 11, "lease": "10s", "targets": { "it": { "cgroup": "$group" } },
	  "method": [ { "name": "d", "fault": "packet.drop", "on": "it", "background": true, $2 },
		{ "name": "go", "run": ["touch", "$WORK/go"], "user": "root" },
		{ "name": "seen", "run": "while ! [ -e $WORK/seen ]; do sleep 0.05; done", "timeout": "30s" } ] }
	END
	(echo $BASHPID >"$mount$group/cgroup.procs" && exec python3 victim.py "$3" "$4") &
	victim=$!
	run brunt run --plain --result result.json "$1.json"
	wait "$victim"
	is "$status" 0 "$1: the run passes"
	seen=$(cat seen)
	hit=$(counted hit) matched=$(counted matched)
	same "$before" "$(host_state)" "$1: the host is as it was"
}
counted() {
	python3 -c 'import json, sys
print(next(s for s in json.load(open("result.json"))["steps"] if s["name"] == "d")["fault"][sys.argv[1]])' "$1"
}
lost() {
	printf %s "$seen" | tr -d '1\n' | wc -c
}

# ---- which of them ----

drop nth '"direction": "egress", "nth": 10' udp 200
is "$seen" "$(printf '1111111110%.0s' $(seq 20))" 'nth: every tenth is lost, and no other'
is "$hit of $matched" '20 of 200' 'nth: and counted'

drop first '"direction": "egress", "first": 3' udp 50
is "$seen" "000$(printf '1%.0s' $(seq 47))" 'first: the first three are lost'

drop budget '"direction": "egress", "probability": "50%", "budget": 12' udp 300
is "$(lost)" 12 'budget: twelve and no more'
is "$hit of $matched" '12 of 300' 'budget: and counted'

drop bursts '"direction": "egress", "gemodel": { "p": "2%", "r": "20%" }' udp 20000
is "$hit" "$(lost)" 'bursts: what was lost is what was counted'
check "bursts: $(lost) of 20000 lost in bursts of about five" python3 - "$seen" <<'END'
import re, sys
bursts = [len(b) for b in re.findall("0+", sys.argv[1])]
lost, mean = sum(bursts), sum(bursts) / len(bursts)
print(lost, mean)
# six standard deviations: 1/11 of 20000, correlated; 5 with a deviation of sqrt(20) for each burst
assert abs(lost - 20000 / 11) < 6 * (20000 * 10 / 121 * 1.78 / 0.22) ** 0.5
assert abs(mean - 5) < 6 * (20 / len(bursts)) ** 0.5
END
first=$seen
drop bursts '"direction": "egress", "gemodel": { "p": "2%", "r": "20%" }' udp 20000
check 'bursts: the same seed loses the same packets' [ "$seen" = "$first" ]

# ---- TCP ----

drop syn '"direction": "egress", "tcp_flags": ["SYN", "!ACK"], "first": 1' tcp 10
like "$seen" '^connected [1-9]\.[0-9]+ s, answered$' 'a lost SYN costs the second after which it is sent again'
is "$hit of $matched" '1 of 2' 'and that is all'

drop new '"state": "new"' tcp 3
is "$seen" 'no connection' 'state new: nothing connects'

drop established '"direction": "egress", "state": "established", "to": "127.0.0.1:8300"' tcp 3
like "$seen" '^connected 0\.[0-9]+ s, no answer$' 'state established: it connects, and then nothing arrives'

# ---- what makes no sense ----

refused() { # PARAMETERS REGEX
	cat >bad.json <<-END
	{ "schema": 1, "name": "bad", "targets": { "it": { "cgroup": "$group" } },
	  "method": [ { "fault": "packet.drop", "on": "it", "hold": "1s", $1 } ] }
	END
	run brunt check bad.json
	is "$status" 2 "refused: $1"
	like "$err$out" "$2" "and why: $2"
}
refused '"nth": 10, "first": 3' "'nth' picks among them all"
refused '"nth": 10, "probability": "5%"' "'probability' and 'nth' both decide"
refused '"nth": 10, "gemodel": { "p": "1%" }' "'gemodel' and 'nth' both decide"
refused '"nth": 1' 'from 2'
refused '"gemodel": { "1-h": "50%" }' "'p'"
refused '"gemodel": { "p": "100%" }' "say 'r'"
refused '"gemodel": { "p": "0%" }' '"p"|/p'
refused '"gemodel": { "p": "1%", "r": "0%" }' '"r"|/r'
refused '"first": 3, "budget": 3' 'never used up'
refused '"tcp_flags": ["SYN", "!SYN"]' 'both set and not set'
refused '"tcp_flags": ["SNY"]' 'SYN'
refused '"tcp_flags": ["SYN"], "state": "new"' "one of 'tcp_flags' and 'state'"
refused '"state": "new", "to": "10.0.0.1:53/udp"' 'needs TCP'
done_testing
