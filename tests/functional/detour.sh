#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The detour alone, without an injector: chosen packets go round through a queue of the test's own and come back, all
# others do not; and nothing of it is left, whoever dies.
#
#   here (the sandbox: 10.9.0.1, fd09::1)  eth0 <-> eth0  there (10.9.0.2, 10.9.0.3, fd09::2)
# kernels: on request
# shellcheck source=tests/functional/lib.sh
. "$(dirname "$0")/lib.sh"
sandbox "$@"

DETOUR=$BUILD/tests/tools/detour
# where everybody may run it: steps of a plan run as nobody, and the build may lie in a home folder
cp "$BUILD/tests/tools/datagrams" "$WORK/datagrams" 2>/dev/null
DATAGRAMS=$WORK/datagrams
for tool in "$DETOUR" "$DATAGRAMS"; do
	[ -x "$tool" ] || skip_all "needs $tool: make test-programs"
done
for tool in tc ip nsenter; do
	command -v $tool >/dev/null || skip_all "needs $tool"
done

unshare --net sleep 1000 >/dev/null 2>&1 &
there_pid=$!
servers=$there_pid
there() {
	nsenter --net="/proc/$there_pid/ns/net" "$@"
}
within 5 [ ! "/proc/$there_pid/ns/net" -ef /proc/self/ns/net ]
# They are in another network namespace, where the sandbox does not look.
trap 'kill -KILL $servers 2>/dev/null; sandbox_end' EXIT

ip link add eth0 type veth peer name eth0 netns "$there_pid" || skip_all "no veth devices here"
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 2>/dev/null
ip link set eth0 up
ip addr add 10.9.0.1/24 dev eth0
ip addr add fd09::1/64 dev eth0 nodad
there ip link set lo up
there ip link set eth0 up
there ip addr add 10.9.0.2/24 dev eth0
there ip addr add 10.9.0.3/24 dev eth0
there ip addr add fd09::2/64 dev eth0 nodad
for port in 7000 7001; do
	nsenter --net="/proc/$there_pid/ns/net" "$DATAGRAMS" serve $port \
		10.9.0.2 10.9.0.3 fd09::2 10.95.0.2 10.97.0.2 fd97::2 >/dev/null 2>&1 &
	servers="$servers $!"
done
"$DATAGRAMS" serve 7000 127.0.0.1 ::1 10.9.0.1 fd09::1 >/dev/null 2>&1 &
disown -a # their end is nobody's news
answers() { # HOST PORT
	"$DATAGRAMS" send "$1" "$2" 1 0 100 200 | grep -q ' lost 0 '
}
for server in '10.9.0.2 7000' 'fd09::2 7000' '10.9.0.2 7001' 'fd09::2 7001' '127.0.0.1 7000' 'fd09::1 7000'; do
	# shellcheck disable=SC2086 # two words
	within 20 answers $server || skip_all "no answer from $server"
done

# A queue in which packets can be seen to wait: 1 Mbit/s, 8 ms for each 1000 bytes.
slow='tbf rate 1mbit burst 2000 limit 1000000'

# hold OPTION...: a detour from here on; $held says how it went.
hold() {
	coproc HOLDER { exec "$DETOUR" -u "$WORK/.undo" "$@" 2>"$WORK/.detour"; }
	holder=$HOLDER_PID
	exec 7>&"${HOLDER[1]}" 8<&"${HOLDER[0]}"
	read -r -t 20 held <&8 || held=silent
	if [ "$held" != held ]; then
		wait "$holder"
		exec 7>&- 8<&-
	fi
}

# ask WORD: the answer in $answer.
ask() {
	echo "$1" >&7
	read -r -t 20 answer <&8 || answer=silent
}

# Lets go; $ended is what it said last.
let_go() {
	echo end >&7
	ended=$(timeout 20 cat <&8)
	wait "$holder"
	exec 7>&- 8<&-
}

send() { # HOST PORT COUNT INTERVAL_US SIZE [WAIT_MS ...]: $sent
	sent=$("$DATAGRAMS" send "$@")
}

word() { # TEXT NAME: the number after that word
	printf '%s\n' "$1" | sed -n "s/.*\b$2 \([0-9.]*\).*/\1/p"
}

no_devices() {
	! ip -o link show | grep -q 'b5eed000'
}

# The holder is killed, and what the kernel does not take away before tcx is recovered.
kill_holder() {
	kill -KILL "$holder"
	wait "$holder" 2>/dev/null
	exec 7>&- 8<&-
}

recovered() { # NAME
	is "$("$DETOUR" -R "$WORK/.undo")" 'recovered 0' "$1"
	is "$("$DETOUR" -R "$WORK/.undo")" 'recovered 0' "$1, twice"
	unlike "$(tc filter show dev "$2" egress; tc filter show dev "$2" ingress; tc qdisc show dev "$2")" \
		'brunt|clsact' "$1: no filter and no clsact is left"
}

# lost_and_counted NAME LOST COUNTED LEAST MORE: at least LEAST, and every one counted, with at most MORE besides.
lost_and_counted() {
	if [ "$2" -ge "$4" ] && [ "$3" -ge "$2" ] && [ "$3" -le $(($2 + $5)) ]; then
		ok "$1 is lost ($2) and counted ($3)"
	else
		not_ok "$1 is lost and counted" "lost $2 counted $3"
	fi
}

settled() { # NAME
	within 20 no_devices
	is "$(ip -o link show | grep -c b5eed000)" 0 "$1"
}

# Modules make devices of their own when they are loaded.
ip link add ipip5 type ipip local 10.9.0.1 remote 10.9.0.2 2>/dev/null && ip link del ipip5
before=$(host_state)

# ---- chosen packets go round, in each direction, of each kind ----

for direction in egress ingress both; do
	hold -i eth0 -d $direction
	is "$held" held "$direction: it is held"
	send 10.9.0.2 7000 50 500 100
	is "$(word "$sent" lost) $(word "$sent" late)" '0 0' "$direction: IPv4: all packets come through, in order"
	send fd09::2 7000 50 500 100
	is "$(word "$sent" lost) $(word "$sent" late)" '0 0' "$direction: IPv6: all packets come through, in order"
	send 10.9.0.2 7000 20 1000 60000
	is "$(word "$sent" lost)" 0 "$direction: IPv4: datagrams of 41 fragments come through whole"
	send fd09::2 7000 20 1000 60000
	is "$(word "$sent" lost)" 0 "$direction: IPv6: datagrams of fragments come through whole"
	ask poll
	expected=$((100 + 20 * 41 + 20 * 42))
	[ $direction = both ] && expected=$((2 * expected))
	hits=$(word "$answer" hit)
	if [ "$hits" -ge $expected ] && [ "$hits" -le $((expected + 40)) ]; then
		ok "$direction: each was counted once ($hits)"
	else
		not_ok "$direction: each was counted once" "wanted about $expected: $answer"
	fi
	like "$answer" 'detached 0 gone 0 lapsed 0' "$direction: all is in place"
	let_go
	is "$ended" 'settled 0 ' "$direction: it ends cleanly"
done
same "$before" "$(host_state)" 'the host is as it was'

# ---- only those ----

hold -i eth0 -d both -t 10.9.0.2:7000/udp -x 10.9.0.3 -q "$slow"
send 10.9.0.3 7000 50 500 1000
fast=$(word "$sent" max)
send 10.9.0.2 7001 50 500 1000
is "$(word "$sent" lost)" 0 'another port: nothing is lost'
send fd09::2 7000 50 500 1000
ask poll
is "$(word "$answer" hit)" 0 'other addresses, ports and families do not go round'
send 10.9.0.2 7000 30 500 1000 3000
slowest=$(word "$sent" max)
is "$(word "$sent" lost)" 0 'what goes round is not lost'
if [ "${slowest%.*}" -ge 100 ]; then
	ok "it waited in the queue ($slowest ms; the others at most $fast ms)"
else
	not_ok 'it waited in the queue' "$sent"
fi
ask poll
is "$(word "$answer" hit)" 60 'it was counted'
send 10.9.0.2 7000 3 500 8000 3000
ask poll
is "$(word "$answer" hit)" $((60 + 3 * 6 * 2)) 'later fragments, which have no ports, follow the first'
send 10.9.0.2 7001 3 500 8000
ask poll
is "$(word "$answer" hit)" $((60 + 3 * 6 * 2)) "those of another port's datagrams do not"
let_go
settled 'nothing of it is left'

# ---- a share of flows ----

hold -i eth0 -d egress -t :7000 -f 0.5 -q ''
for _ in $(seq 60); do
	send 10.9.0.2 7000 2 0 100
done
ask poll
hits=$(word "$answer" hit)
if [ "$hits" -ge 22 ] && [ "$hits" -le 98 ]; then # fewer or more: once in six million
	ok "half of the flows go round ($hits of 120 packets)"
else
	not_ok 'half of the flows go round' "$answer"
fi
is $((hits % 2)) 0 'each of them as a whole'
let_go

# ---- loopback ----

for direction in egress ingress both; do
	hold -i lo -d $direction
	for address in 127.0.0.1 ::1 10.9.0.1 fd09::1; do
		send $address 7000 20 500 1000
		is "$(word "$sent" lost)" 0 "loopback, $direction: packets to $address arrive"
	done
	ask poll
	is "$(word "$answer" hit)" 160 "loopback, $direction: each went round once"
	let_go
done
hold -i lo -d ingress -t 127.0.0.1:7000
send 127.0.0.1 7000 10 500 100
ask poll
is "$(word "$answer" hit)" 10 'loopback: received from that port is only the answer'
let_go

# ---- what is carried ----

if tc qdisc add dev eth0 root handle 1: htb default 10 2>/dev/null &&
	tc class add dev eth0 parent 1: classid 1:10 htb rate 1gbit quantum 1500 &&
	tc class add dev eth0 parent 1: classid 1:20 htb rate 1gbit quantum 1500 &&
	tc filter add dev eth0 parent 1: protocol ip prio 1 u32 match mark 0x1234 0xffffffff match ip dport 7001 0xffff \
		flowid 1:20 2>/dev/null; then
	packets() {
		tc -s class show dev eth0 classid "$1" | sed -n 's/.* bytes \([0-9]*\) pkt.*/\1/p;s/ Sent [0-9]* bytes \([0-9]*\) pkt.*/\1/p' | head -1
	}
	hold -i eth0 -d egress -q ''
	was=$(packets 1:20)
	send 10.9.0.2 7000 10 500 100 2000 0 0x10020
	is "$(($(packets 1:20) - was))" 10 "a priority that names a class of the user's own queue survives"
	was=$(packets 1:20)
	send 10.9.0.2 7001 10 500 100 2000 0x1234
	is "$(($(packets 1:20) - was))" 10 'a mark survives'
	ask extra
	is "$(word "$answer" marks)" 0 'none was lost'
	let_go
	like "$(tc qdisc show dev eth0)" 'htb 1: root' "the user's own queue stays"
	tc qdisc del dev eth0 root
else
	tc qdisc del dev eth0 root 2>/dev/null
	skip 'a mark survives' 'no htb and u32 here'
fi

# ---- VLAN ----

if ip link add link eth0 name eth0.5 type vlan id 5 2>/dev/null; then
	there ip link add link eth0 name eth0.5 type vlan id 5
	ip link set eth0.5 up
	ip addr add 10.95.0.1/24 dev eth0.5
	there ip link set eth0.5 up
	there ip addr add 10.95.0.2/24 dev eth0.5
	for device in eth0 eth0.5; do
		hold -i $device -d both -t 10.95.0.0/24
		send 10.95.0.2 7000 20 500 1000
		is "$(word "$sent" lost)" 0 "VLAN: packets through $device come back with their tag"
		ask poll
		is "$(word "$answer" hit)" 40 "VLAN: they went round at $device"
		let_go
	done
	ip link del eth0.5
else
	skip 'VLAN: packets come back with their tag' 'no VLAN devices here'
fi

# ---- several on one interface ----

# IPv6 neighbours look for each other when they like, so only IPv4 is counted.
hold -i eth0 -d both -t 10.9.0.2 -q '' -2 -i eth0 -d both -t 10.9.0.0/24 -q ''
send 10.9.0.2 7000 20 500 1000
is "$(word "$sent" lost) $(word "$sent" twice)" '0 0' 'two detours: packets come through'
ask poll
is "$(word "$answer" hit)" 40 'two detours: each packet goes through the first once'
ask 2poll
is "$(word "$answer" hit)" 40 'two detours: and through the second once'
send 10.9.0.3 7000 20 500 1000
ask poll
is "$(word "$answer" hit)" 40 'two detours: the first keeps to its own'
ask 2poll
is "$(word "$answer" hit)" 80 'two detours: the second, too'
ask detach
send 10.9.0.2 7000 20 500 1000
is "$(word "$sent" lost)" 0 'two detours: without the first, packets still come through the second'
ask 2poll
is "$(word "$answer" hit)" 120 'two detours: and once'
let_go
settled 'two detours: nothing is left'
hold -i eth0 -d egress
other=$("$DETOUR" -i eth0 -d egress -r 5eed0002 </dev/null)
like "$other" 'failed prepare: .*eth0.*run 5eed0001 already' 'a detour of another run is a clear refusal'
let_go

# A loss of exactly every second packet, before the detour and after it: a packet that comes back is not judged again.
for order in first last; do
	drop='{ "name": "every-second", "fault": "packet.drop", "on": "link", "direction": "egress", "nth": 2, "to": [":7000"],
		"background": true }'
	late='{ "name": "late", "fault": "network.netem", "on": "link", "direction": "egress", "delay": "20ms", "to": [":7000"],
		"background": true }'
	[ $order = first ] && steps="$drop, $late" || steps="$late, $drop"
	: >"$WORK/sent" && chmod 666 "$WORK/sent"
	cat >"$WORK/two.json" <<-JSON
		{ "schema": 1, "name": "two", "lease": "5s", "targets": { "link": { "interface": "eth0" } },
		  "blast_radius": { "victims": 2, "duration": "1m" },
		  "method": [ $steps,
		    { "name": "traffic", "timeout": "30s",
		      "run": ["sh", "-c", "'$DATAGRAMS' send 10.9.0.2 7000 40 5000 100 4000 >'$WORK/sent'"] } ] }
	JSON
	run brunt run "$WORK/two.json"
	# Without tcx packet.drop sits at the root cgroup, where the peer's eth0 may look the same as ours.
	if ! linux 6.6 &&
		[[ $out$err == *"cannot tell 'eth0' from interface"* ]]; then
		skip "packet.drop comes $order: half of the packets are lost, the others are late" \
			'before Linux 6.6 (tcx) packet.drop refuses an interface whose number another namespace has, too'
		continue
	fi
	is "$status" 0 "packet.drop comes $order: the run passes"
	[ "$status" = 0 ] || printf '%s\n' "$out" | sed 's/^/# /'
	is "$(word "$(cat "$WORK/sent")" lost)" 20 "packet.drop comes $order: half of the packets are lost, no more"
	lowest=$(word "$(cat "$WORK/sent")" min)
	if [ "${lowest%.*}" -ge 20 ]; then
		ok "packet.drop comes $order: the others are late ($lowest ms)"
	else
		not_ok "packet.drop comes $order: the others are late" "$(cat "$WORK/sent")"
	fi
done

# ---- the packets of a process, of a cgroup ----

cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
if [ -n "$cgroups" ] && mkdir "$cgroups/brunt.5eed0001" "$cgroups/brunt.5eed0001/below"; then
	own_cgroup /brunt.5eed0001
	inside() {
		sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$cgroups/brunt.5eed0001/below" "$@"
	}
	# A server and a client that are there before, and ones that come later.
	sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$cgroups/brunt.5eed0001/below" \
		"$DATAGRAMS" serve 7100 127.0.0.1 10.9.0.1 fd09::1 &
	server=$!
	inside "$DATAGRAMS" send 10.9.0.2 7000 200 20000 100 >"$WORK/sent" &
	client=$!
	sleep 0.5
	hold -c /brunt.5eed0001 -d both -q ''
	is "$held" held 'a cgroup: it is held'
	ask legs
	like "$answer" 'eth0.*e.*eth0.*i' 'a cgroup: at the interfaces of its network namespace'
	wait $client
	is "$(word "$(cat "$WORK/sent")" lost)" 0 'a cgroup: packets of a socket that was there before come through'
	ask poll
	hits=$(word "$answer" hit)
	if [ "$hits" -ge 40 ]; then ok "and go round ($hits)"; else not_ok 'and go round' "$answer"; fi
	was=$hits
	send 10.9.0.2 7000 20 500 100
	ask poll
	is "$(word "$answer" hit)" "$was" 'a cgroup: packets of others do not go round'
	inside "$DATAGRAMS" send fd09::2 7000 20 500 100 >"$WORK/sent"
	ask poll
	is "$(word "$answer" hit)" $((was + 40)) 'a cgroup: those of a socket that was made later do'
	there "$DATAGRAMS" send 10.9.0.1 7100 20 500 100 >"$WORK/sent"
	is "$(word "$(cat "$WORK/sent")" lost)" 0 'a cgroup: what its server receives comes through'
	ask poll
	is "$(word "$answer" hit)" $((was + 80)) 'a cgroup: and goes round, as the answers do'
	there "$DATAGRAMS" send 10.9.0.1 7100 5 500 8000 >"$WORK/sent"
	is "$(word "$(cat "$WORK/sent")" lost)" 0 'a cgroup: fragments come through'
	ask poll
	is "$(word "$answer" hit)" $((was + 80 + 5 * 6 * 2)) 'a cgroup: and all of them go round'
	was=$(word "$answer" hit)
	send 127.0.0.1 7100 20 500 100
	ask poll
	is "$(word "$answer" hit)" $((was + 40)) 'a cgroup: over loopback, what its server receives and answers'
	let_go
	hold -p $server -d ingress -q ''
	is "$held" held 'a process: it is held'
	there "$DATAGRAMS" send 10.9.0.1 7100 20 500 100 >"$WORK/sent"
	inside "$DATAGRAMS" send 10.9.0.2 7000 20 500 100 >"$WORK/sent"
	ask poll
	is "$(word "$answer" hit)" 20 'a process: what it receives, and nothing of its cgroup'
	kill -KILL $server
	wait $server 2>/dev/null
	ask poll
	like "$answer" 'gone 1' 'a process: its end is noticed'
	let_go
	rmdir "$cgroups/brunt.5eed0001/below" "$cgroups/brunt.5eed0001"
else
	skip 'a cgroup: its packets go round' 'no cgroup v2 here'
fi

# ---- the network namespace of a container ----

# The server there is the container; its namespace is not the sandbox's.
hold -p "${servers##* }" -d egress -I eth0 -q "$slow"
is "$held" held 'another network namespace: it is held'
send 10.9.0.2 7001 30 500 1000 4000
is "$(word "$sent" lost)" 0 'another network namespace: packets come through'
slowest=$(word "$sent" max)
if [ "${slowest%.*}" -ge 100 ]; then
	ok "another network namespace: by our queue ($slowest ms)"
else
	not_ok 'another network namespace: by our queue' "$sent"
fi
send 10.9.0.2 7000 10 500 1000
ask poll
is "$(word "$answer" hit)" 30 'another network namespace: only those of the process'
like "$(there ip -o link show)" 'b5eed0001' 'another network namespace: our device is there'
unlike "$(ip -o link show)" 'b5eed0001' 'another network namespace: and not here'
open=$(for fd in "/proc/$holder/fd/"* $(pgrep -P "$holder" | sed 's#.*#/proc/&/fd/*#'); do readlink "$fd"; done)
unlike "$open" "$(readlink "/proc/$there_pid/ns/net" | tr '[]' '..')" 'another network namespace: nobody of us keeps it'
let_go
is "$ended" 'settled 0 ' 'another network namespace: it ends cleanly'
is "$(there ip -o link show | grep -c b5eed)" 0 'another network namespace: nothing is left'

unshare --net sleep 1000 >/dev/null 2>&1 &
doomed=$!
within 5 [ ! "/proc/$doomed/ns/net" -ef /proc/self/ns/net ]
ip link add eth7 type veth peer name eth0 netns $doomed
ip link set eth7 up
nsenter --net=/proc/$doomed/ns/net ip link set eth0 up
hold -p $doomed -d both
is "$held" held 'a namespace that ends: it is held'
kill -KILL $doomed
wait $doomed 2>/dev/null
gone() {
	! ip link show eth7 >/dev/null 2>&1
}
check 'a namespace that ends: it does, with its devices' within 20 gone
ask poll
like "$answer" 'detached 1 gone 1' 'a namespace that ends: it is noticed'
let_go
is "$ended" 'settled 0 ' 'a namespace that ends: nothing is left'

# ---- a process in the line, behind a TAP device ----

hold -i eth0 -d both -T 30 -g 1000
is "$held" held 'TAP: it is held'
send 10.9.0.2 7000 50 1000 1000
is "$(word "$sent" lost) $(word "$sent" late)" '0 0' 'TAP: IPv4: all packets come through, in order'
lowest=$(word "$sent" min)
if [ "${lowest%.*}" -ge 60 ]; then ok "TAP: late by twice 30 ms ($lowest)"; else not_ok 'TAP: late by twice 30 ms' "$sent"; fi
send fd09::2 7000 20 1000 60000
is "$(word "$sent" lost)" 0 'TAP: IPv6: datagrams of fragments come through whole'
ask legs
like "$answer" 'b5eed0001' 'TAP: devices are there'
kill -KILL "$(pgrep -P "$holder" | head -1)"
is_detached() {
	ask poll
	case $answer in *'detached 1'*) ;; *) return 1 ;; esac
}
check 'TAP: the end of the process in the line is noticed' within 5 is_detached
within 20 answers 10.9.0.2 7000
send 10.9.0.2 7000 10 1000 1000
is "$(word "$sent" lost)" 0 'TAP: and packets pass when the lease is over'
let_go
settled 'TAP: nothing is left'
hold -i lo -d both -T 30
send 127.0.0.1 7000 20 1000 1000
is "$(word "$sent" lost)" 0 'TAP: loopback: all packets come through'
lowest=$(word "$sent" min)
if [ "${lowest%.*}" -ge 60 ]; then ok "TAP: loopback: late by twice 30 ms ($lowest)"; else not_ok 'TAP: loopback: late' "$sent"; fi
kill_holder
settled 'TAP: the holder is killed: no device is left'
recovered 'TAP: the holder is killed: recovery' lo

# ---- devices without Ethernet headers ----

if ip link add ipip5 type ipip local 10.9.0.1 remote 10.9.0.2 2>/dev/null; then
	there ip link add ipip5 type ipip local 10.9.0.2 remote 10.9.0.1
	ip addr add 10.97.0.1/24 dev ipip5
	ip link set ipip5 up
	there ip addr add 10.97.0.2/24 dev ipip5
	there ip link set ipip5 up
	both=both times=2
	if ! linux 5.14; then
		hold -i ipip5 -d both -t 10.97.0.0/24 -q pfifo
		like "$held" "before Linux 5.14 what comes out of a tunnel \('ipip5'\)" 'a tunnel: what comes out is refused before Linux 5.14'
		both=egress times=1
	fi
	for way in "-q pfifo" "-T 5"; do
		# shellcheck disable=SC2086 # two words
		hold -i ipip5 -d $both -t 10.97.0.0/24 $way
		send 10.97.0.2 7000 20 500 1000
		is "$(word "$sent" lost)" 0 "a tunnel, $way: packets come through"
		send 10.97.0.2 7000 20 1000 20000
		is "$(word "$sent" lost)" 0 "a tunnel, $way: fragments come through"
		ask poll
		is "$(word "$answer" hit)" $((times * (20 + 20 * 14))) "a tunnel, $way: each went round"
		let_go
	done
	ip link del ipip5
	there ip link del ipip5
else
	skip 'a tunnel: packets come through' 'no ipip here'
fi

# ---- TCP ----

cat >"$WORK/tcp.py" <<'PYTHON'
import hashlib, socket, sys
size = 200 << 20
if sys.argv[1] == "serve":
    server = socket.create_server(("10.9.0.2", 7200))
    print("up", flush=True)
    peer, _ = server.accept()
    digest, left = hashlib.sha256(), size
    while left:
        data = peer.recv(1 << 20)
        if not data:
            break
        digest.update(data)
        left -= len(data)
    peer.sendall(digest.hexdigest().encode())
else:
    block = bytes(hashlib.sha256(b"%d" % i).digest()[0] for i in range(65536 + 77))
    digest, left = hashlib.sha256(), size
    peer = socket.create_connection(("10.9.0.2", 7200))
    while left:
        data = block[:left]
        peer.sendall(data)
        digest.update(data)
        left -= len(data)
    print("same" if peer.recv(64).decode() == digest.hexdigest() else "differs")
PYTHON
if command -v python3 >/dev/null; then
	hold -i eth0 -d both -q 'pfifo limit 10000'
	nsenter --net="/proc/$there_pid/ns/net" python3 "$WORK/tcp.py" serve >"$WORK/tcp.up" 2>&1 &
	servers="$servers $!"
	within 10 grep -q up "$WORK/tcp.up"
	is "$(timeout $((120 * SLOW)) python3 "$WORK/tcp.py" send)" same 'TCP: 200 MiB arrive as they were sent'
	ask poll
	hits=$(word "$answer" hit)
	if [ "$hits" -ge 100000 ]; then ok "TCP: they went round ($hits packets)"; else not_ok 'TCP: they went round' "$answer"; fi
	let_go
else
	skip 'TCP: 200 MiB arrive as they were sent' 'no python3 here'
fi

# ---- endings ----

hold -i eth0 -d egress -q "$slow"
"$DATAGRAMS" send 10.9.0.2 7000 150 4000 1000 5000 >"$WORK/sent" &
sender=$!
sleep 0.4
kill_holder
wait $sender
is "$(word "$(cat "$WORK/sent")" lost)" 0 'the holder is killed while packets wait: none is lost'
settled 'the devices go by themselves'
send 10.9.0.2 7000 50 500 100
is "$(word "$sent" lost)" 0 'and what is left, if anything, does nothing'
recovered 'the holder is killed: recovery' eth0

# A linger that is stopped keeps the devices, until recovery takes them away.
hold -i eth0 -d both -L 500
linger=$(pgrep -P "$holder")
kill -STOP "$linger"
kill_holder
check 'the linger is stopped, the holder killed: devices stay' eval '! no_devices'
is "$("$DETOUR" -R "$WORK/.undo")" 'recovered 0' 'the linger is stopped: recovery waits for it'
is "$(ip -o link show | grep -c b5eed000)" 0 'and then deletes the devices'
recovered 'the linger is stopped: recovery' eth0
kill -CONT "$linger"
check 'continued, it ends' within 5 eval '! kill -0 "$linger" 2>/dev/null'

# Before tcx the kernel itself loses packets while a clsact comes or goes (docs/faults/network.netem.md), so there it is
# there already, and stays.
clsact=
if ! linux 6.6; then
	clsact=yes
	tc qdisc add dev eth0 clsact
fi
hold -i eth0 -d both -q "$slow"
"$DATAGRAMS" send 10.9.0.2 7000 150 4000 1000 5000 >"$WORK/sent" &
sender=$!
sleep 0.4
ask detach
ask settled
is "$answer" 'settled 0' 'a graceful end: settled when the last packet is through'
wait $sender
is "$(word "$(cat "$WORK/sent")" lost)" 0 'a graceful end: none is lost'
ask again
is "$answer" held 'it can be held again'
ask extra
is "$(word "$answer" lost)" 0 'a graceful end: and none is counted as lost'
# more than a machine that pauses lets through before: eight seconds of them
"$DATAGRAMS" send 10.9.0.2 7000 1000 2000 1000 5000 >"$WORK/sent" &
sender=$!
sleep 0.15
ask drop
ask extra
counted=$(word "$answer" lost)
wait $sender
seen=$(word "$(cat "$WORK/sent")" lost)
lost_and_counted 'an end at once: what waited' "$seen" "$counted" 1 6
let_go

# Held again and again while packets of earlier times wait: each time has legs of its own, as long as there are some.
again_and_again() { # TIMES PACKETS: $lost of all, $counted
	local i senders=()
	for ((i = 1; i <= $1; i++)); do
		"$DATAGRAMS" send 10.9.0.2 7000 "$2" 150 1000 $((8000 * SLOW)) >"$WORK/sent.$i" &
		senders+=($!)
		sleep 0.15
		ask detach
		[ "$i" = "$1" ] || ask again
	done
	wait "${senders[@]}"
	lost=0
	for ((i = 1; i <= $1; i++)); do
		lost=$((lost + $(word "$(cat "$WORK/sent.$i")" lost)))
	done
	ask extra
	counted=$(word "$answer" lost)
}
hold -i eth0 -d egress -t 10.9.0.2 -q "$slow"
again_and_again 4 100
is "$lost $counted $(word "$answer" foreign)" '0 0 0' 'held four times while packets wait: none is lost'
ask settled
ask again
again_and_again 7 400
# where all is slow, the packets of the first may have arrived before its legs are needed again
lost_and_counted 'more often: the oldest' "$lost" "$counted" $((SLOW == 1)) 12
ask settled
is "$answer" 'settled 0' 'and it is settled'
ask extra
before_hurry=$(word "$answer" lost)
ask again
"$DATAGRAMS" send 10.9.0.2 7000 400 150 1000 5000 >"$WORK/sent" &
sender=$!
sleep 0.15
ask detach
ask hurry
is "$answer" 'settled 0' 'in a hurry: it is settled'
ask extra
counted=$(($(word "$answer" lost) - before_hurry))
wait $sender
lost=$(word "$(cat "$WORK/sent")" lost)
lost_and_counted 'in a hurry: what waited, once' "$lost" "$counted" 1 6
let_go
settled 'held again and again: nothing is left'

if [ -n "$clsact" ]; then
	like "$(tc qdisc show dev eth0)" clsact 'a clsact that was there stays'
	unlike "$(tc filter show dev eth0 egress; tc filter show dev eth0 ingress)" brunt 'and has no filter of ours any more'
	tc qdisc del dev eth0 clsact
fi

hold -i eth0 -d egress -g 1000 -q "$slow"
"$DATAGRAMS" send 10.9.0.2 7000 1000 4000 1000 10000 >"$WORK/sent" &
sender=$!
sleep 0.2
kill -STOP "$holder"
wait $sender
kill -CONT "$holder"
is "$(word "$(cat "$WORK/sent")" lost)" 0 'the holder stands still: nothing is lost'
ask poll
like "$answer" 'lapsed 1' 'the holder stands still: the lease lapses'
hits=$(word "$answer" hit)
if [ "$hits" -ge 20 ] && [ "$hits" -le 900 ]; then
	ok "packets went round before ($hits), and not after"
else
	not_ok 'packets went round before, and not after' "$answer"
fi
let_go

hold -i eth0 -d both
ask legs
device=$(printf '%s' "$answer" | sed 's/.*->\(b[^(]*e\)(.*/\1/')
ip link set "$device" down
ask poll
like "$answer" 'detached 1' 'our device is set down by somebody: it is noticed'
ip link del "$device"
send 10.9.0.2 7000 50 500 100
is "$(word "$sent" lost)" 0 'our device is deleted by somebody: packets pass'
ask poll
like "$answer" 'detached 1' 'our device is deleted by somebody: it is noticed'
let_go
settled 'our device was deleted by somebody: nothing is left'

same "$before" "$(host_state)" 'the host is as it was'

ip link add name dummy5 type veth peer name dummy6
ip link set dummy5 up
ip link set dummy6 up
ip addr add 10.8.0.1/24 dev dummy5
hold -i dummy5 -d both
ip link set dummy5 down
ip link set dummy5 name renamed5
ip link set renamed5 up
ask poll
like "$answer" 'detached 0' 'the interface flaps and is renamed: all is in place'
ip link del renamed5
ask poll
like "$answer" 'detached 1 gone 1' 'the interface is deleted: it is noticed'
let_go
settled 'the interface is deleted: nothing is left'
same "$before" "$(host_state)" 'the host is as it was'

# ---- refused, with the reason ----

if ip link add vx0 type vxlan external dstport 4789 2>/dev/null; then
	hold -i vx0
	like "$held" "failed prepare: 'vx0' is a vxlan device.*collect_md" 'a tunnel with collect_md is refused'
	ip link del vx0
else
	skip 'a tunnel with collect_md is refused' 'no vxlan here'
fi
for kind in gre ip6gre; do
	# shellcheck disable=SC2086 # several words
	if ip link add many0 type $kind ${peers:=local 10.9.0.1} 2>/dev/null; then
		hold -i many0
		like "$held" "failed prepare: 'many0' is a GRE device without one remote" "a tunnel to many ($kind) is refused"
		ip link del many0
	else
		skip "a tunnel to many ($kind) is refused" "no $kind here"
	fi
	peers="local fd09::1"
done
hold -i 9999
like "$held" 'failed prepare: .* is gone' 'an interface that is gone is refused'

done_testing
