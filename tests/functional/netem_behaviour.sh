#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What netem, set by brunt, does to packets: each impairment by itself, measured. Time is asserted by medians and strict
# lower bounds, chance by five standard deviations.
# kernels: yes
. "$(dirname "$0")/lib.sh"
sandbox "$@"
qdisc=$BUILD/tests/tools/qdisc packets=$BUILD/tests/tools/packets
[ -x "$packets" ] || skip_all "tests/tools/qdisc and packets are not built"
said=$("$qdisc" probe 2>&1) || skip_all "$said"

unshare --net sleep 600 &
far=$!
# shellcheck disable=SC2016 # evaluated there
within 5 eval '! [ "/proc/$far/ns/net" -ef /proc/self/ns/net ]' || skip_all "no second network namespace"
ip link add wire type veth peer name wire-far netns "$far"
ip addr add 10.99.0.1/24 dev wire
ip addr add fd99::1/64 dev wire nodad
ip link set wire up
nsenter --net -t "$far" sh -c 'ip addr add 10.99.0.2/24 dev wire-far; ip addr add fd99::2/64 dev wire-far nodad
	ip link set wire-far up'

# through JSON PACKETS-OPTION...: the answer of packets lies in $WORK/seen.
through() {
	local json=$1
	tc qdisc del dev wire root 2>/dev/null
	"$packets" --to-ns "$far" --to 10.99.0.2:7000 --count 3 --wait 50 >/dev/null # so that addresses are known
	"$packets" --to-ns "$far" --to '[fd99::2]:7000' --count 3 --wait 50 >/dev/null
	"$qdisc" netem wire "$json" || return
	shift
	"$packets" --to-ns "$far" --to 10.99.0.2:7000 --wait 1500 "$@" >"$WORK/seen"
	# A corrupted length counts as one lost by the socket, too.
	case $json in *corrupt*) return ;; esac
	is "$(seen overflow)" 0 "the receiver kept up: $*"
}
seen() { # KEY
	sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" "$WORK/seen" | head -n 1
}
between() { # VALUE MIN MAX NAME
	if awk -v v="${1:-x}" -v a="$2" -v b="$3" 'BEGIN { exit !(v + 0 == v && v >= a && v <= b) }'; then
		ok "$4 ($1)"
	else
		not_ok "$4" "seen $1, wanted $2 to $3
$(cat "$WORK/seen")"
	fi
}
# share VALUE COUNT RATIO NAME: within five standard deviations of a binomial distribution.
share() {
	local bounds
	read -ra bounds < <(awk -v n="$2" -v p="$3" 'BEGIN { s = 5 * sqrt(n * p * (1 - p)); print n * p - s, n * p + s }')
	between "$1" "${bounds[@]}" "$4"
}

# ---- time ----
through '{ "delay": "100ms" }' --count 300 --rate 500
between "$(seen min)" 100000000 200000000 'delay 100ms: none comes earlier'
between "$(seen p25)" 100000000 150000000 'a quarter of them not much later'
is "$(seen lost) $(seen duplicated) $(seen reordered)" '0 0 0' 'nothing else happens'
through '{ "delay": "50ms" }' --count 300 --rate 500 --to '[fd99::2]:7000'
between "$(seen min)" 50000000 100000000 'IPv6 as well: none comes earlier'
between "$(seen p25)" 50000000 100000000 'a quarter of them not much later'
through '{ "delay": "100ms", "jitter": "40ms" }' --count 2000 --rate 1000
between "$(seen min)" 60000000 75000000 'jitter 40ms: none earlier than 60 ms, some not much later'
between "$(seen p25)" 77000000 110000000 'a quarter below 80 ms'
between "$(seen p75)" 117000000 1000000000 'a quarter above 120 ms'
through '{ "delay": "200ms", "jitter": "40ms", "distribution": "normal" }' --count 2000 --rate 1000
between "$(seen p50)" 195000000 260000000 'normal: its median'
between "$(seen p5)" 120000000 165000000 'one in twenty is 1.6 deviations below'
between "$(seen p95)" 254000000 1500000000 'and one in twenty as far above'
between "$(seen min)" 35000000 120000000 'its tail'
through '{ "delay": "100ms", "jitter": "30ms", "rate": "100mbit" }' --count 500 --rate 1000
is "$(seen reordered)" 0 'with a rate packets keep their order under jitter'

# ---- chance ----
through '{ "loss": "20%" }' --count 3000 --rate 3000
share "$(seen lost)" 3000 .2 'loss 20%'
through '{ "loss": "100%" }' --count 100 --rate 1000
is "$(seen received)" 0 'loss 100%: none comes'
# the deviations of the next two are 0.0075 (runs of it are correlated) and 0.31
through '{ "loss_gemodel": { "p": "2%", "r": "20%" } }' --count 12000 --rate 4000
between "$(seen loss)" .05 .13 'bursts: 1 of 11 is lost'
between "$(seen mean)" 3.4 6.6 'five at a time'
through '{ "loss_state": { "p13": "2%", "p31": "20%", "p32": "20%", "p23": "20%", "p14": "1%" } }' --count 12000 --rate 4000
between "$(seen loss)" .055 .13 'four states: 1 of 11 is lost'
through '{ "duplicate": "10%" }' --count 3000 --rate 3000
share "$(seen duplicated)" 3000 .1 'duplicate 10%'
is "$(seen lost)" 0 'and none is lost'
through '{ "corrupt": "10%" }' --count 3000 --rate 3000 --size 1400
# a flipped bit of a header makes the packet unknown to its receiver
share "$(($(seen corrupted) + $(seen lost)))" 3000 .1 'corrupt 10%'
between "$(seen lost)" 0 40 'most of them still come'
through '{ "delay": "30ms", "reorder": "25%" }' --count 2000 --rate 1000
share "$(seen overtaking)" 2000 .25 'reorder 25%'
through '{ "delay": "30ms", "reorder": "100%", "gap": 5 }' --count 1000 --rate 1000
between "$(seen overtaking)" 190 200 'one of five, always'
through '{ "loss": "30%", "ecn": true }' --count 2000 --rate 2000 --ect
is "$(seen lost)" 0 'ecn: none is lost'
share "$(seen marked)" 2000 .3 'but marked'
through '{ "loss": "30%", "ecn": true }' --count 2000 --rate 2000
share "$(seen lost)" 2000 .3 'where the packet allows no mark it is lost'

# ---- rate ----
through '{ "rate": "2mbit" }' --count 500 --rate 0 --size 958
between "$(seen wire_bit_s)" 1500000 2020000 'rate 2mbit'
is "$(seen lost)" 0 'and none is lost'
through '{ "rate": "1mbit", "packet_overhead": 1000 }' --count 200 --rate 0 --size 958
between "$(seen wire_bit_s)" 370000 506000 'as many bytes of overhead: half the rate'
through '{ "slot": { "min": "100ms" } }' --count 1000 --rate 1000
between "$(seen p50)" 30000000 130000000 'slots of 100 ms: half waits for 50 ms'

# ---- the limit ----
through '{ "delay": "500ms" }' --count 5000 --rate 0 --wait 4000
is "$(seen lost)" 0 'the computed limit takes 5000 packets at once'
is "$("$qdisc" read wire | sed 's/.*"drops": \([0-9]*\).*/\1/')" 0 'netem says so, too'
through '{ "delay": "2s", "limit": 100 }' --count 1000 --rate 0 --wait 5000
between "$(seen received)" 100 140 'a limit that was asked for holds'

kill "$far"
wait
done_testing
