#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# network.partition: a host that is cut off from others, a router that keeps two networks apart, and what is refused.
# The sandbox is the router; left, right and third are network namespaces of their own behind it.
# shellcheck disable=SC2154 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
sandbox "$@"
# Other network namespaces than the sandbox's own are not the sandbox's to empty.
talkers=()
trap 'status=$?; kill -KILL "${talkers[@]}" 2>/dev/null; (exit $status); sandbox_end' EXIT
mkdir -p /run/netns && mount -t tmpfs brunt-netns /run/netns || skip_all "no tmpfs can be mounted on /run/netns"
number=0
for name in left right third; do
	number=$((number + 1))
	ip netns add $name && ip link add $name type veth peer name eth0 netns $name &&
		ip addr add 10.7.$number.1/24 dev $name && ip link set $name up &&
		ip -n $name addr add 10.7.$number.2/24 dev eth0 && ip -n $name link set eth0 up &&
		ip -n $name route add default via 10.7.$number.1 || skip_all "no veth pairs, or no namespaces, can be made"
done
echo 1 >/proc/sys/net/ipv4/ip_forward || skip_all "this namespace cannot be made to forward"

# Says every 20 ms whether a datagram came back, in LOG: "1" or "0", each with its time. Established once, like TCP.
cat >talk.py <<'END'
import socket, sys, time
mode, address, log = sys.argv[1:4]
if mode == "echo":
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, 9000))
    tcp = socket.create_server((address, 9000))
    import threading
    def serve():
        while True:
            connection, _ = tcp.accept()
            def one(connection=connection):
                while data := connection.recv(100):
                    connection.sendall(data)
            threading.Thread(target=one, daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    open(log, "w").write("ready\n")
    while True:
        data, peer = udp.recvfrom(100)
        udp.sendto(data, peer)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.connect((address, 9000))
udp.settimeout(0.2)
out = open(log, "w", buffering=1)
while True:
    begin = time.monotonic()
    try:
        udp.send(b"%f" % begin)
        while udp.recv(100) != b"%f" % begin:
            pass
        out.write("1\n")
    except OSError:
        out.write("0\n")
    time.sleep(0.02)
END
# A TCP connection that is opened once; a line for each answer.
cat >connection.py <<'END'
import socket, sys, time
tcp = socket.create_connection((sys.argv[1], 9000))
out = open(sys.argv[2], "w", buffering=1)
out.write("open\n")
while True:
    tcp.sendall(b"x")
    tcp.recv(100)
    out.write("answer\n")
    time.sleep(0.02)
END
talk() { # NAMESPACE SCRIPT ARGUMENTS; not `ip netns exec`: it would mount another /sys
	local space=$1
	shift
	nsenter --net=/run/netns/"$space" python3 "$@" >/dev/null 2>"$2-$3.err" </dev/null &
	talkers+=($!)
}
for name in right third; do
	talk $name talk.py echo 0.0.0.0 $name.ready
done
within 60 test -s right.ready && within 60 test -s third.ready || skip_all "no server starts"
python3 talk.py echo 10.7.1.1 router.ready &
within 60 test -s router.ready
talk left talk.py ask 10.7.2.2 left-right
talk left talk.py ask 10.7.3.2 left-third
talk left talk.py ask 10.7.1.1 left-router
talk left connection.py 10.7.2.2 left-right.tcp
python3 talk.py ask 10.7.2.2 router-right &
router=$!
heard() { # LOG VALUE: the newest answers are all VALUE
	[ "$(tail -n 3 "$1" 2>/dev/null | sort -u)" = "$2" ]
}
for log in left-right left-third left-router router-right; do
	within 60 heard $log 1 || skip_all "$log: the namespaces do not reach each other"
done
within 60 grep -q answer left-right.tcp
before=$(host_state)

# begin NAME TARGET PARAMETERS: in the background, $brunt; until `end`.
begin() {
	cat >"$1.json" <<-END
	{ "schema": 1, "name": "$1", "lease": "${lease:-10s}", "targets": { "it": $2 },
	  "method": [ { "name": "cut", "fault": "network.partition", "on": "it", "background": true, $3 },
		{ "name": "look", "observe": "1m" } ], "blast_radius": { "victims": 3 } }
	END
	"$BRUNT" run --plain "$1.json" >"$1.log" 2>&1 </dev/null &
	brunt=$!
	within 60 grep -q "step 'look' begins" "$1.log" || not_ok "$1: it begins" "$(cat "$1.log")"
}
end() {
	kill -TERM "$brunt"
	wait "$brunt"
}
cut_off() { # LOG NAME
	if within 20 heard "$1" 0; then ok "$2"; else not_ok "$2" "$(tail -n 5 "$1")"; fi
}
reaches() { # LOG NAME
	if within 20 heard "$1" 1; then ok "$2"; else not_ok "$2" "$(tail -n 5 "$1")"; fi
}
holder_of() { # the recoverer's child: see docs/architecture.md
	local role
	for role in $(pgrep -P "$1"); do
		pgrep -P "$role" | head -n 1
	done | head -n 1
}
silent() { # nothing came by that connection for half a second
	local count
	count=$(wc -l <left-right.tcp)
	sleep 0.5
	[ "$(wc -l <left-right.tcp)" = "$count" ]
}
tcp_lives() {
	! silent
}

# ---- from: this host's process ----

echo $router >router.pid
begin process "{ \"process\": { \"pid_file\": \"$WORK/router.pid\" } }" '"from": ["10.7.2.0/24"]'
cut_off router-right 'a process does not reach what it is cut off from'
reaches left-right 'and nobody else is cut off'
end
reaches router-right 'afterwards it does'

# ---- groups: what an interface forwards ----

if uname -r | awk -F. '{ exit !($1 * 100 + $2 >= 606) }'; then
	groups='"groups": [["10.7.1.0/24"], ["10.7.2.2", "10.7.9.9"]]'
	begin router '{ "interface": "left" }' "$groups"
	cut_off left-right 'groups: left does not reach right'
	check 'an established connection is cut, too' within 20 silent
	reaches left-third 'it reaches who is in no group'
	reaches left-router 'and the router, although that has an address of its group'
	end
	reaches left-right 'afterwards it reaches right'
	check 'and the connection lives on' within 60 tcp_lives
	same "$before" "$(host_state)" 'the host is as it was'

	begin one-way '{ "interface": "left" }' '"groups": [["10.7.2.2"], ["10.7.1.2"]], "one_way": true'
	cut_off left-right 'one way: answers are lost'
	check 'the questions arrive' within 20 sh -c "timeout 6 nsenter --net=/run/netns/right python3 -c '
import socket
raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
raw.settimeout(5)
while True:
    packet = raw.recv(100)
    if packet[12:16] == bytes([10, 7, 1, 2]) and packet[9] == 17: break
'"
	end

	# ---- it does not outlive brunt ----
	begin killed '{ "interface": "left" }' "$groups"
	cut_off left-right 'before a kill -9 it is cut'
	kill -KILL "$(holder_of "$brunt")"
	reaches left-right 'a holder that is killed lets go'
	wait "$brunt"
	lease=3s
	begin stopped '{ "interface": "left" }' "$groups"
	cut_off left-right 'before a SIGSTOP it is cut'
	kill -STOP "$brunt"
	reaches left-right 'a controller that is stopped loses it'
	kill -CONT "$brunt"
	wait "$brunt"
else
	cat >old.json <<-END
	{ "schema": 1, "name": "old", "targets": { "it": { "interface": "left" } },
	  "method": [ { "fault": "network.partition", "on": "it", "hold": "1s",
		"groups": [["10.7.1.0/24"], ["10.7.2.2"]] } ] }
	END
	run brunt run --plain old.json
	is "$status" 9 'groups at an interface need Linux 6.6: unable'
	like "$out$err" 'needs Linux 6.6' 'and it says so'
fi
same "$before" "$(host_state)" 'the host is as it was'

# ---- the SSH session, name servers, SLIs ----

(exec python3 -c '
import socket, time
listener = socket.create_server(("127.0.0.1", 8400))
client = socket.create_connection(("127.0.0.1", 8400))
server = listener.accept()[0]
open("session", "w").write("127.0.0.1 %d 127.0.0.1 8400" % client.getsockname()[1])
time.sleep(1000)') &
within 60 test -s session
SSH_CONNECTION=$(cat session)
# plan LIMITS PARAMETERS
plan() {
	cat >ssh.json <<-END
	{ "schema": 1, "name": "ssh", "lease": "5s", "targets": { "lo": { "interface": "lo" } },
	  "slis": { "site": { "http": { "url": "http://127.0.0.1:8401/" } } },
	  "method": [ { "fault": "network.partition", "on": "lo", "hold": "300ms", "hits": { "min": 0 }, $2 } ],
	  "blast_radius": { "victims": 1 $1 } }
	END
}
plan '' '"from": ["127.0.0.0/8"]'
run env SSH_CONNECTION="$SSH_CONNECTION" "$BRUNT" run --dry-run ssh.json
is "$status" 9 'a dry run sees that it would cut the SSH session'
like "$out" "would cut the SSH session that brunt was started from \(127.0.0.1:[0-9]+/tcp to 127.0.0.1:8400/tcp\)" 'and says which'
like "$out" "note +cuts the path of SLI 'site'" 'and whose path it cuts besides'
run env SSH_CONNECTION="$SSH_CONNECTION" "$BRUNT" run --plain ssh.json
is "$status" 4 'a run refuses'
like "$out$err" 'would cut the SSH session' 'and says why'
plan '' '"from": ["127.0.0.0/8"], "except": [":8400"]'
run env SSH_CONNECTION="$SSH_CONNECTION" "$BRUNT" run --plain ssh.json
is "$status" 7 'except makes it possible (and a run that judges nothing is inconclusive)'
unlike "$out$err" 'would cut' 'nothing is refused'
plan ', "may_cut": ["ssh"]' '"from": ["127.0.0.0/8"]'
run env SSH_CONNECTION="$SSH_CONNECTION" "$BRUNT" run --dry-run ssh.json
is "$status" 0 'so does may_cut'
like "$out" 'note +cuts your SSH session' 'which is shown'

# Names: what they stand for counts, at the beginning and later.
plan '' '"from": ["localhost"]'
run env SSH_CONNECTION="$SSH_CONNECTION" "$BRUNT" run --dry-run ssh.json
is "$status" 9 'a dry run looks host names up'
like "$out" 'would cut the SSH session' 'and sees what they stand for'
like "$out" '(note)? +localhost: 127.0.0.1' 'which is shown'
run env SSH_CONNECTION="$SSH_CONNECTION" "$BRUNT" run --plain ssh.json
is "$status" 4 'a run refuses a name that stands for the SSH session'
like "$out$err" 'would cut the SSH session' 'and says why'
plan '' '"from": ["nowhere.invalid"]'
run env SSH_CONNECTION="$SSH_CONNECTION" "$BRUNT" run --dry-run ssh.json
is "$status" 0 'a dry run allows what has no address yet'
like "$out" "note +for now 'nowhere.invalid' has no address" 'and says so'

plan '' '"from": ["moves.test"], "names": { "every": "100ms" }'
sed -i 's/"hold": "300ms"/"hold": "60s"/' ssh.json
cat /etc/hosts >hosts
echo 192.0.2.1 moves.test >>hosts
cat >moves.sh <<-END
	mount --make-rprivate / && mount --bind hosts /etc/hosts || exit 99
	SSH_CONNECTION="$SSH_CONNECTION" XDG_STATE_HOME=\$PWD/moves "$BRUNT" run --plain ssh.json &
	until grep -q fault.applied moves/brunt/*.jsonl 2>/dev/null; do sleep 0.1; done
	cat hosts.new >hosts
	wait \$!
END
sed '$d' hosts >hosts.new
echo 127.0.0.1 moves.test >>hosts.new
mkdir moves
run unshare -m sh moves.sh
is "$status" 5 'a name that comes to stand for the SSH session ends the fault'
like "$out$err" 'would cut the SSH session' 'with that reason'
like "$(cat moves/brunt/*.jsonl)" 'moves.test: 127.0.0.1' 'the journal has the new address'

# ---- what makes no sense ----

refused() { # PARAMETERS REGEX
	plan '' "$1"
	run brunt check ssh.json
	is "$status" 2 "refused: $1"
	like "$err$out" "$2" "and why: $2"
}
refused '"direction": "both"' "needs 'from'"
refused '"from": ["10.0.0.1"], "groups": [["10.0.0.1"], ["10.0.0.2"]]' 'say one'
refused '"groups": [["10.0.0.1"], []]' 'group 2 .* is empty'
refused '"groups": [["10.0.0.0/8"], ["10.0.0.2"]]' 'groups 1 and 2 overlap'
refused '"groups": [["10.0.0.1"], ["10.0.0.2"]], "direction": "egress"' "one_way"
refused '"from": ["10.0.0.1"], "one_way": true' "'direction'"
done_testing
