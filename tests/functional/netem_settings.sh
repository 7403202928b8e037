#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# netem as brunt sets it: the kernel has it as if tc(8) had set it; a change keeps what waits and takes all back. Covers
# what the kernel's own tests do (tools/testing/selftests/tc-testing/tc-tests/qdiscs/netem.json), and every parameter.
# kernels: yes
. "$(dirname "$0")/lib.sh"
sandbox "$@"
qdisc=$BUILD/tests/tools/qdisc packets=$BUILD/tests/tools/packets
[ -x "$packets" ] || skip_all "tests/tools/qdisc and packets are not built"
said=$("$qdisc" probe 2>&1) || skip_all "$said"

ip link add ours type veth peer name ours-peer
ip link add theirs type veth peer name theirs-peer
for device in ours ours-peer theirs theirs-peer; do
	ip link set "$device" up
done
tables=
for folder in /usr/lib/tc /usr/lib/*/tc /usr/lib64/tc /usr/share/tc; do
	[ -e "$folder/normal.dist" ] && tables=$folder
done

# What tc shows of the root of a device, without handle and references; newer versions show the seed.
shown() {
	tc -d qdisc show dev "$1" root | sed 's/^qdisc netem [0-9a-f]*: root refcnt [0-9]* //; s/ seed [0-9]*//; s/ *$//'
}

# Another setting of everything, of which nothing must be left after a change.
other='{ "delay": "77ms", "jitter": "7ms", "delay_correlation": "7%", "loss": "7%", "loss_correlation": "7%", "ecn": true,
	"duplicate": "7%", "duplicate_correlation": "7%", "corrupt": "7%", "corrupt_correlation": "7%", "reorder": "7%",
	"reorder_correlation": "7%", "gap": 7, "rate": "77gbit", "packet_overhead": 7, "cell_size": "7B", "cell_overhead": 7,
	"slot": { "min": "7ms", "packets": 7, "bytes": "7B" }, "limit": 7 }'

# alike JSON TC-ARGUMENTS...: both ways from nothing, and again as a change of something else.
alike() {
	local json=${1//\'/\"} way
	shift
	tc qdisc del dev theirs root 2>/dev/null
	said=$(tc qdisc add dev theirs root netem "$@" 2>&1) || { not_ok "$*" "tc: $said"; return; }
	for way in begin change; do
		tc qdisc del dev ours root 2>/dev/null
		[ $way = begin ] || "$qdisc" netem ours "$other"
		said=$("$qdisc" netem ours "$json" 2>&1) || { not_ok "$*" "$said"; return; }
		same "$(shown theirs)" "$(shown ours)" "$* ($way)"
	done
}

# ---- as tc does it ----
alike '{ "delay": "100ms", "limit": 200 }' limit 200 delay 100ms
alike '{ "delay": "100ms", "limit": 1000 }' delay 100ms
alike '{ "delay": "1us", "limit": 1000 }' delay 1us
alike '{ "delay": "4s", "limit": 1000 }' delay 4s
alike '{ "delay": "100ms", "jitter": "10ms", "limit": 1000 }' delay 100ms 10ms
alike '{ "delay": "100ms", "jitter": "10ms", "delay_correlation": "25%", "limit": 1000 }' delay 100ms 10ms 25%
for distribution in normal pareto paretonormal; do
	[ -n "$tables" ] || break
	alike "{ 'delay': '100ms', 'jitter': '10ms', 'distribution': '$distribution', 'corrupt': '1%', 'limit': 1000 }" \
		delay 100ms 10ms distribution $distribution corrupt 1%
	alike "{ 'delay': '100ms', 'jitter': '10ms', 'distribution_file': '$tables/$distribution.dist', 'limit': 1000 }" \
		delay 100ms 10ms distribution $distribution
done
alike '{ "loss": "0.1%", "limit": 1000 }' loss 0.1%
alike '{ "loss": "100%", "limit": 1000 }' loss 100%
alike '{ "loss": "1%", "loss_correlation": "25%", "ecn": true, "limit": 1000 }' loss random 1% 25% ecn
alike '{ "loss_state": { "p13": "1%" }, "limit": 1000 }' loss state 1%
alike '{ "delay": "100ms", "jitter": "10ms", "loss_state": { "p13": "1%", "p31": "20%", "p32": "30%", "p23": "40%", "p14": "0.5%" }, "limit": 1000 }' \
	delay 100ms 10ms loss state 1% 20% 30% 40% 0.5%
alike '{ "loss_gemodel": { "p": "1%" }, "limit": 1000 }' loss gemodel 1%
alike '{ "loss_gemodel": { "p": "1%", "r": "10%" }, "limit": 1000 }' loss gemodel 1% 10%
alike '{ "loss_gemodel": { "p": "1%", "r": "10%", "1-h": "70%" }, "ecn": true, "limit": 1000 }' loss gemodel 1% 10% 70% ecn
alike '{ "loss_gemodel": { "p": "1%", "r": "10%", "1-h": "70%", "1-k": "0.1%" }, "limit": 1000 }' loss gemodel 1% 10% 70% 0.1%
alike '{ "duplicate": "1%", "limit": 1000 }' duplicate 1%
# tc forgets a duplicate's correlation when nothing else has one
alike '{ "loss": "1%", "loss_correlation": "5%", "duplicate": "1%", "duplicate_correlation": "25%", "limit": 1000 }' \
	loss 1% 5% duplicate 1% 25%
alike '{ "corrupt": "3%", "corrupt_correlation": "50%", "limit": 1000 }' corrupt 3% 50%
alike '{ "delay": "100ms", "jitter": "10ms", "reorder": "2%", "gap": 100, "limit": 1000 }' delay 100ms 10ms reorder 2% gap 100
alike '{ "delay": "100ms", "reorder": "25%", "reorder_correlation": "50%", "limit": 1000 }' delay 100ms reorder 25% 50%
alike '{ "rate": "20kbit", "limit": 1000 }' rate 20000
alike '{ "rate": "100gbit", "limit": 1000 }' rate 100gbit
alike '{ "rate": "5kbit", "packet_overhead": 20, "cell_size": "100B", "cell_overhead": 5, "limit": 1000 }' rate 5kbit 20 100 5
alike '{ "rate": "1mbit", "packet_overhead": -14, "cell_size": "48B", "cell_overhead": -3, "limit": 1000 }' rate 1mbit -14 48 -3
alike '{ "slot": { "min": "10ns", "max": "200ns", "packets": 2000, "bytes": "9000B" }, "limit": 1000 }' slot 10ns 200ns packets 2000 bytes 9000
alike '{ "slot": { "min": "800us" }, "limit": 1000 }' slot 800us
alike '{ "slot": { "min": "10ms", "max": "20ms", "bytes": "9000B" }, "limit": 1000 }' slot 10ms 20ms bytes 9000
if [ -n "$tables" ]; then
	alike '{ "slot": { "delay": "1ms", "jitter": "100us", "distribution": "pareto" }, "limit": 1000 }' slot distribution pareto 1ms 0.1ms
else
	skip 'distributions of slots' "no tables of tc are installed"
fi
alike '{ "delay": "200ms", "jitter": "20ms", "loss": "1%", "duplicate": "2%", "corrupt": "3%", "reorder": "4%", "gap": 5, "rate": "10mbit",
	"slot": { "min": "1ms" }, "limit": 12345 }' \
	limit 12345 delay 200ms 20ms loss 1% duplicate 2% corrupt 3% reorder 4% gap 5 rate 10mbit slot 1ms

# ---- the seed ----
tc qdisc del dev ours root
"$qdisc" netem ours '{ "loss": "30%" }'
# The attribute itself (14), as tc of Debian 12 does not know it: brunt's tool gives 42.
if python3 - <<'END'
import socket, struct, sys
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
index = socket.if_nametoindex("ours")
s.sendto(struct.pack("=IHHIIBBHiIII", 36, 38, 0x9, 1, 0, 0, 0, 0, index, 0, 0xffffffff, 0), (0, 0))
seed = struct.pack("=HHQ", 12, 14, 42)
sys.exit(0 if seed in s.recv(65536) else 1)
END
then
	ok 'the kernel has the seed'
	for round in 1 2; do
		tc qdisc del dev ours root
		"$qdisc" netem ours '{ "loss": "30%", "delay": "1ms" }'
		# Frames of no protocol, which nobody else sends.
		python3 - >"$WORK/seen.$round" <<-'END'
		import socket, time
		out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		out.bind(("ours", 0))
		into = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
		into.bind(("ours-peer", 0x88b5))
		into.settimeout(3)
		for i in range(200):
		    out.send(b"\xff" * 12 + b"\x88\xb5" + bytes([i]) * 46)
		    time.sleep(0.002)
		try:
		    while True:
		        print(into.recv(2000)[14])
		except TimeoutError:
		    pass
		END
	done
	is "$(sort "$WORK/seen.2")" "$(sort "$WORK/seen.1")" 'and loses the same packets in two runs'
	count=$(wc -l <"$WORK/seen.1")
	check "and neither all nor none ($count of 200 came)" [ "$count" -gt 100 -a "$count" -lt 180 ]
else
	skip 'the seed' "netem of $(uname -r) has none (Linux 6.6 has)"
fi

# ---- a change keeps what waits ----
unshare --net sleep 600 &
far=$!
within 5 eval '! [ "/proc/$far/ns/net" -ef /proc/self/ns/net ]' || skip_all "no second network namespace"
ip link add wire type veth peer name wire-far netns "$far"
sysctl -qw net.ipv6.conf.wire.disable_ipv6=1 # nobody else sends
ip addr add 10.99.0.1/24 dev wire
ip link set wire up
nsenter --net -t "$far" sh -c 'ip addr add 10.99.0.2/24 dev wire-far; ip link set wire-far up'
"$packets" --to-ns "$far" --to 10.99.0.2:7000 --count 3 --wait 100 >/dev/null # so that addresses are known
"$qdisc" netem wire '{ "delay": "5s" }'
"$packets" --to-ns "$far" --to 10.99.0.2:7000 --count 300 --rate 1000 --wait 9000 >"$WORK/kept" &
within 5 eval '"$qdisc" read wire | grep -q "\"backlog\": 300,"'
check 'a change while packets wait' "$qdisc" netem wire '{ "delay": "6s", "loss": "100%" }'
like "$("$packets" --to-ns "$far" --to 10.99.0.2:7001 --count 100 --rate 1000 --wait 100)" '"lost": 100,' 'is in force at once'
check 'and back' "$qdisc" netem wire '{ "delay": "5s" }'
wait $!
like "$(cat "$WORK/kept")" '"received": 300, "unique": 300' 'what waited still came'
minimum=$(sed -n 's/.*"min": \([0-9]*\).*/\1/p' "$WORK/kept" | head -n 1)
check "not before its time ($minimum ns)" [ "${minimum:-0}" -ge 4990000000 ]
is "$("$qdisc" read wire | sed 's/.*"drops": \([0-9]*\).*/\1/')" 100 'and what was lost is counted over all changes'

# ---- ramps ----
check 'a ramp: at its begin' "$qdisc" netem wire '{ "delay": { "from": "0ms", "to": "100ms", "in": "10s" } }' 0
like "$(tc qdisc show dev wire)" 'limit 148810$' 'no delay, and the limit of its end'
check 'at its middle' "$qdisc" netem wire '{ "delay": { "from": "0ms", "to": "100ms", "in": "10s" } }' 5
like "$(tc qdisc show dev wire)" 'limit 148810 delay 50ms' 'half the delay'

# ---- what the kernel says ----
tc qdisc replace dev wire root handle 9: pfifo limit 77
said=$("$qdisc" netem wire '{ "delay": "1ms" }' 2>&1)
like "$said" "'wire' has a queueing discipline at its root that is not brunt's" 'a foreign qdisc is refused'
like "$(tc qdisc show dev wire)" 'pfifo 9: root' 'and stays'
kill "$far"
wait
done_testing
