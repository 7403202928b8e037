#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# network.reset: both ends of a connection see what they should, only those that were meant, and later ones work.
# kernels: on request
. "$(dirname "$0")/lib.sh"
sandbox "$@"
peer="python3 $TESTS/functional/peer.py"
judged='{ "run": ["true"] }' # a run that judges nothing proves nothing

# plan NAME TARGET METHOD...
plan() {
	local name=$1 target=$2
	shift 2
	cat >"$WORK/$name.json" <<-END
	{ "schema": 1, "name": "$name", "seed": 7, "lease": "5s", "targets": { "it": $target },
	  "method": [ $judged, $* ], "blast_radius": { "victims": 2 } }
	END
}
lines() { # REGEX FILE
	grep -cE "$1" "$2"
}

"$BRUNT" doctor | grep -q '^  network.reset *yes' || skip_all "$("$BRUNT" doctor | grep network.reset)"
before=$(host_state)
$peer serve 127.0.0.1 8201 server.log &
server=$!
$peer serve ::1 8202 server6.log &
server6=$!
within 30 grep -q ready server.log && within 30 grep -q ready server6.log || skip_all "no server starts"
$peer chat 127.0.0.1 8201 client.log 10 &
client=$!
$peer chat ::1 8202 client6.log 4 &
client6=$!
within 30 grep -q ready client.log && within 30 grep -q ready client6.log || skip_all "no client starts"

# ---- the client's process ----
echo $client >client.pid
process="{ \"process\": { \"pid_file\": \"$WORK/client.pid\" } }"
plan all "$process" '{ "name": "r", "fault": "network.reset", "on": "it", "hits": { "min": 10 } }'
run brunt run --dry-run all.json
like "$out" 'ends 10 of 10 TCP connections' 'the dry run tells how many'
is "$(lines error client.log)" 0 'and touches none'
run brunt run --plain all.json
is "$status" 0 'a process: the run passes'
like "$out" '10 connections reset$' 'all ten are counted'
within 20 eval '[ "$(lines "error ECONNABORTED" client.log)" = 10 ]'
is "$(lines 'error ECONNABORTED' client.log)" 10 'the client sees ECONNABORTED, once for each'
within 20 eval '[ "$(lines "error ECONNRESET" server.log)" = 10 ]'
is "$(lines 'error ECONNRESET' server.log)" 10 'the server sees ECONNRESET'
is "$(lines error client6.log)" 0 'the connections of another process are left alone'
within 20 eval '[ "$(lines open server.log)" = 20 ]' # all are back
check 'the client lives on with new connections' kill -0 "$client"

# ---- a share, again and again ----
: >client.log
plan share "$process" '{ "name": "r", "fault": "network.reset", "on": "it", "share": "30%", "every": "2s", "times": 3, "hits": { "min": 9 } }'
run brunt run --plain share.json
like "$out" '9 connections reset of 30 \(30 %\)|9 connections reset$' 'three times 30 % of ten'
within 20 eval '[ "$(lines "error" client.log)" = 9 ]'
is "$(lines error client.log)" 9 'and the client saw nine'

# ---- to, local, except ----
: >client.log
plan other "$process" '{ "name": "r", "fault": "network.reset", "on": "it", "to": "127.0.0.1:9999" }'
run brunt run --plain other.json
is "$status" 7 'none to that port: inconclusive'
like "$out" 'the target had 10 TCP connections, none to 127.0.0.1:9999' 'and it says what was there'
plan except "$process" '{ "name": "r", "fault": "network.reset", "on": "it", "to": "127.0.0.0/8", "except": ":8201" }'
run brunt run --plain except.json
is "$status" 7 'except wins over to'
is "$(lines error client.log)" 0 'nothing was reset'

# ---- the server's process: its own end; never the listening socket ----
echo $server >server.pid
process="{ \"process\": { \"pid_file\": \"$WORK/server.pid\" } }"
plan server "$process" '{ "name": "r", "fault": "network.reset", "on": "it", "local": "127.0.0.1:8201" }'
run brunt run --plain server.json
is "$status" 0 'a server: the run passes'
within 20 eval '[ "$(lines "error ECONNRESET" client.log)" = 10 ]'
is "$(lines 'error ECONNRESET' client.log)" 10 'now the client is the peer'
check 'the listener is still there' python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8201))'

# ---- an interface: both ends are there, IPv6 as well; a connection is one hit ----
truncate -s 0 client.log client6.log
plan lo '{ "interface": "lo" }' '{ "name": "r", "fault": "network.reset", "on": "it", "hits": { "min": 14 } }'
sleep 0.3
run brunt run --plain lo.json
err=$out$err
is "$status" 0 'an interface: the run passes'
within 20 eval '[ "$(lines "error" client6.log)" = 4 ] && [ "$(lines "error" client.log)" = 10 ]'
is "$(lines error client6.log) $(lines error client.log)" '4 10' 'every connection, of IPv6 too, once'
truncate -s 0 client.log client6.log
plan none '{ "interface": "lo" }' '{ "name": "r", "fault": "network.reset", "on": "it", "to": "[fd00::/8]" }'
run brunt run --plain none.json
is "$(lines error client6.log) $(lines error client.log)" '0 0' 'an address elsewhere: none'

# ---- brunt's own ancestors keep theirs ----
cat >ancestor.py <<'END'
import socket, subprocess, sys
s = socket.create_connection(("127.0.0.1", 8201))
subprocess.run(sys.argv[1:], stdout=open("ancestor.out", "w"), stderr=subprocess.STDOUT)
s.sendall(b"still here")
print(s.recv(100).decode())
END
: >client.log
is "$(python3 ancestor.py "$BRUNT" run --plain lo.json)" 'still here' 'the connection of who started brunt lives'
within 20 eval '[ "$(lines "error" client.log)" = 10 ]'
is "$(lines error client.log)" 10 'while the others were reset'

# ---- another network namespace, by process and by cgroup ----
unshare --net bash -c "ip link set lo up; $peer serve 127.0.0.1 8201 ns-server.log & until grep -qs ready ns-server.log; do sleep 0.1; done; $peer chat 127.0.0.1 8201 ns-client.log 5 & wait" 2>/dev/null &
ns=$!
if within 30 grep -q ready ns-client.log; then
	: >client.log
	pgrep -P $ns -f chat >ns.pid
	plan ns "{ \"process\": { \"pid_file\": \"$WORK/ns.pid\" } }" '{ "name": "r", "fault": "network.reset", "on": "it", "hits": { "min": 5 } }'
	run brunt run --plain ns.json
	is "$status" 0 'a process of another network namespace: the run passes'
	within 20 eval '[ "$(lines "error ECONNABORTED" ns-client.log)" = 5 ]'
	is "$(lines 'error ECONNABORTED' ns-client.log)" 5 'its five connections are reset'
	is "$(lines error client.log)" 0 'those of this namespace are not'
else
	skip 'another network namespace' 'its client did not start'
fi
mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
group=/brunt-test-reset.$$
if [ -n "$mount" ] && mkdir -p "$mount$group/below" 2>/dev/null; then
	own_cgroup "$group"
	: >client.log
	echo "$client" >"$mount$group/below/cgroup.procs"
	sleep 0.2
	plan group "{ \"cgroup\": \"$group\" }" '{ "name": "r", "fault": "network.reset", "on": "it", "hits": { "min": 10 } }'
	run brunt run --plain group.json
	is "$status" 0 'a cgroup: connections that its processes made elsewhere before'
	within 20 eval '[ "$(lines "error ECONNABORTED" client.log)" = 10 ]'
	is "$(lines error client.log)" 10 'ten of ten'
else
	skip 'a cgroup' 'no cgroup v2 that can be written'
fi

# ---- errors ----
refuses() { # PARAMETERS REGEX
	plan bad "${3:-$process}" "{ \"fault\": \"network.reset\", \"on\": \"it\", $1 }"
	run brunt check bad.json
	is "$status" 2 "refused: $1"
	like "$err$out" "$2" "and why: $2"
}
refuses '"to": "10.0.0.1:53/udp"' "'to' names a protocol other than tcp"
refuses '"states": ["time-wait"]' 'belongs to nobody'
refuses '"states": ["listening"], "to": ":80"' 'no remote end'
refuses '"states": ["listening"]' 'belongs to no interface' '{ "interface": "lo" }'
refuses '"states": ["open"]' "'open' is none of"
refuses '"share": "0%"' 'out of range'
refuses '"hold": "1s"' 'at once'

# shellcheck disable=SC2046
kill "$client" "$client6" "$server" "$server6" $(pgrep -P $ns) 2>/dev/null
wait 2>/dev/null
[ -z "$mount" ] || rmdir "$mount$group/below" "$mount$group"
same "$before" "$(host_state)" 'the host is as it was'
done_testing
