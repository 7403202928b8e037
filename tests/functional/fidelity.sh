#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# packet.drop loses what it was asked for: 0.1 %, 1 %, 30 % and 100 %, on the way out and on the way in, 200,000 packets
# each. The receiver counts what arrived, the fault what it dropped; both must be the same to the packet, and within six
# standard deviations of what was asked (one run in 1e7 is outside by chance: 2e-9 for each of six that are left to it,
# somewhat more at 0.1 %, where the distribution leans).
# shellcheck disable=SC2154 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
sandbox "$@"
PACKETS=200000
flood=$BUILD/tests/tools/flood
[ -x "$flood" ] || skip_all "$flood is not built (make test-programs)"
mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
[ -n "$mount" ] || skip_all "no cgroup v2 is mounted"

# ---- one cgroup and one fault for each, all held at once ----

group=/brunt-fidelity.$$
own_cgroup "$group"
cases=() ways=() targets='' steps=''
for direction in egress ingress; do
	end=to
	[ "$direction" = ingress ] && end=local
	for percent in 0.1 1 30 100; do
		name=$direction-${percent/./_}
		mkdir -p "$mount$group/$name" || skip_all "no cgroup can be made in $mount"
		cases+=("$name $direction $percent")
		ways+=(${ways[0]+::} "$mount$group/$name" '' '' '')
		targets+="${targets:+, }\"$name\": { \"cgroup\": \"$group/$name\" }"
		steps+="{ \"name\": \"$name\", \"fault\": \"packet.drop\", \"on\": \"$name\", \"background\": true,
			\"probability\": \"$percent%\", \"direction\": \"$direction\", \"$end\": [\"127.0.0.1/udp\"] },"
	done
done
cat >plan.json <<END
{ "schema": 1, "name": "fidelity", "lease": "10s", "targets": { $targets },
  "method": [ $steps { "name": "go", "observe": "5m" } ],
  "blast_radius": { "victims": 8, "duration": "10m" } }
END
"$BRUNT" run --plain --result result.json plan.json >log 2>&1 </dev/null &
brunt=$!
if ! within 60 grep -q "step 'go' begins" log; then
	not_ok 'eight faults are held at once' "$(cat log)"
	done_testing
fi

# ---- the packets ----

if ! { for _ in $(seq $((PACKETS / 8192 + 1))); do echo udp 8192; done; } | "$flood" "${ways[@]}" >slices 2>flood.err; then
	not_ok 'packets are sent and counted' "$(cat flood.err)"
	done_testing
fi
kill -TERM "$brunt"
wait "$brunt"

# counted NAME KEY: a counter of a fault, from the result.
counted() {
	tr -d '\n' <result.json | grep -o "\"name\": \"$1\", *\"kind\": \"fault\".*" | grep -o "\"$2\": [0-9]*" | head -n 1 |
		grep -o '[0-9]*$'
}

# within_six SENT LOST PERCENT
within_six() {
	awk -v n="$1" -v lost="$2" -v p="$3" 'BEGIN {
		p /= 100; off = lost - n * p; sigma = sqrt(n * p * (1 - p))
		exit !(off * off <= 36 * sigma * sigma)
	}'
}

column=0
for case in "${cases[@]}"; do
	read -r name direction percent <<<"$case"
	read -r sent arrived < <(awk -v c=$column '{ s += $(3 * c + 2); a += $(3 * c + 3) } END { print s, a }' slices)
	column=$((column + 1))
	what="$percent % on $direction"
	check "$what: at least $PACKETS packets were sent" [ "$sent" -ge $PACKETS ]
	is "$(counted "$name" matched)" "$sent" "$what: every packet was seen to be the target's"
	is "$(counted "$name" hit)" $((sent - arrived)) "$what: what did not arrive is what the fault counted"
	check "$what: $((sent - arrived)) of $sent packets were lost" within_six "$sent" $((sent - arrived)) "$percent"
done
done_testing
