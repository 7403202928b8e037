#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tcp.hold: a server whose places are taken turns others away, and serves them again as soon as the fault ends, however
# it ends.
. "$(dirname "$0")/lib.sh"
sandbox "$@"
peer="python3 $TESTS/functional/peer.py"
judged='{ "run": ["true"] }' # a run that judges nothing proves nothing
before=$(host_state)

# plan NAME TARGET PARAMETERS...
plan() {
	local name=$1 target=$2
	shift 2
	cat >"$WORK/$name.json" <<-END
	{ "schema": 1, "name": "$name", "seed": 7, "lease": "3s", "targets": { "it": $target },
	  "method": [ $judged, { "name": "full", "fault": "tcp.hold", "on": "it", $* } ],
	  "blast_radius": { "victims": 2 } }
	END
}
begin() { # NAME: in the background, until it is held
	rm -f out
	"$BRUNT" run --plain "$1.json" >out 2>&1 </dev/null &
	brunt=$!
	within 30 grep -q "'full' applied" out
}
lines() { # REGEX FILE
	grep -cE "$1" "$2"
}
asks() { # PORT: does the server answer within half a second?
	python3 - "$1" <<-'END'
	import socket, sys
	s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=0.5)
	s.sendall(b"?")
	sys.exit(not s.recv(1))
	END
}
held() { # PORT COUNT: that many connections are open to it
	[ "$(ss -Htn state established "dport = :$1" | wc -l)" -eq "$2" ]
}
# The pid of a role, of this sandbox's runs alone.
role() {
	local pid comm
	for pid in $(sandbox_pids); do
		read -r comm 2>/dev/null <"/proc/$pid/comm" && [ "$comm" = "brunt-$1" ] && echo "$pid"
	done
}
full() {
	! asks 8211 2>/dev/null
}
hoarder() {
	role hoarder
}

# A server with a pool of ten: the eleventh waits in the queue, and nobody answers.
cat >pool.py <<'END'
import socket, sys, threading
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1", int(sys.argv[1])))
listener.listen(128)
pool = threading.Semaphore(10)
def serve(connection):
    try:
        while data := connection.recv(100):
            connection.sendall(data)
    except OSError:
        pass
    connection.close()
    pool.release()
while True:
    pool.acquire()
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
END
python3 pool.py 8211 &
pool=$!
within 30 asks 8211 || skip_all "the server does not start"
echo $pool >pool.pid
process="{ \"process\": { \"pid_file\": \"$WORK/pool.pid\" } }"

# ---- held, and gone ----
plan long "$process" '"to": "127.0.0.1:8211", "connections": 13, "hold": "60s"'
begin long
within 20 held 8211 13
check 'thirteen connections are open' held 8211 13
within 20 full
check 'nobody else is answered' full
pid=$(hoarder)
is "$(ps -o user= -p "${pid:-0}")" nobody 'the hoarder is nobody'
like "$(grep CapEff "/proc/$pid/status")" '0000000000000000$' 'without capabilities'
kill -TERM $brunt
wait $brunt
within 20 held 8211 0
check 'then no connection is open' held 8211 0
plan full "$process" '"to": "127.0.0.1:8211", "connections": 13, "hold": "4s", "hits": { "min": 13 }'
run brunt run --plain full.json
is "$status" 0 'the run passes'
like "$out" '13 connections held$' 'all are counted'
check 'the server answers again' within 5 asks 8211
is "$(hoarder)" '' 'no hoarder is left'

# ---- however it ends ----
for how in 'KILL hoarder' 'KILL holder' 'KILL brunt' 'STOP hoarder' 'STOP holder' 'STOP brunt' 'TERM brunt'; do
	begin long
	within 20 held 8211 13
	within 20 full
	case $how in
	*hoarder) victim=$(hoarder) ;;
	*holder) victim=$(role holder) ;;
	*) victim=$brunt ;;
	esac
	[ -n "$victim" ] || not_ok "$how: somebody is there to hit" "$(cat out)"
	since=$(now_ms)
	[ -z "$victim" ] || kill "-${how% *}" "$victim"
	if within 20 asks 8211; then
		took=$(($(now_ms) - since))
		# The lease is 3 s; the rest is for a busy machine.
		[ $took -lt 15000 ] && ok "$how: the server answers again after $took ms" || not_ok "$how: after $took ms"
	else
		not_ok "$how: the server answers again" "$(ss -tn)"
	fi
	[ "${how% *}" != STOP ] || kill -CONT "$victim" 2>/dev/null
	[ "$how" = 'TERM brunt' ] || within 40 eval "! kill -0 $brunt" || kill -TERM $brunt
	wait $brunt
	case $how in
	'KILL brunt' | 'TERM brunt') ;;
	*) is $? 5 "$how: the run says that it was lost" ;;
	esac
	within 20 eval '[ -z "$(hoarder)" ]'
	is "$(hoarder)" '' "$how: no hoarder is left"
	"$BRUNT" recover >/dev/null 2>&1
done

# ---- what the server sees ----
$peer serve 127.0.0.1 8212 server.log &
server=$!
within 30 grep -q ready server.log
echo $server >server.pid
process="{ \"process\": { \"pid_file\": \"$WORK/server.pid\" } }"
plan slow "$process" '"to": "127.0.0.1:8212", "connections": 3, "rate": 100, "hold": "3s", "send": "GET / HTTP/1.1\r\n", "trickle": "X: y\r\n", "trickle_every": "200ms"'
run brunt run --plain slow.json
is "$status" 0 'an unfinished request: the run passes'
within 10 eval '[ "$(lines "GET / HTTP" server.log)" = 3 ]'
is "$(lines 'GET / HTTP' server.log)" 3 'each sent its beginning once'
[ "$(lines 'X: y' server.log)" -ge 6 ] && ok 'and the rest in a trickle' || not_ok 'and the rest in a trickle' "$(cat server.log)"
within 20 eval '[ "$(lines eof server.log)" = 3 ]'
is "$(lines eof server.log) $(lines error server.log)" '3 0' 'they end in good order, though the server had answered'
: >server.log
plan abrupt "$process" '"to": "127.0.0.1:8212", "connections": 3, "hold": "300ms", "close": "reset"'
run brunt run --plain abrupt.json
within 20 eval '[ "$(lines ECONNRESET server.log)" = 3 ]'
is "$(lines eof server.log) $(lines ECONNRESET server.log)" '0 3' 'or by a reset, when asked to'

# ---- from where ----
: >server.log
plan source "$process" '"to": "127.0.0.1:8212", "connections": 4, "source": "127.0.0.9", "hold": "60s"'
begin source
within 20 eval '[ "$(ss -Htn state established src 127.0.0.9 | wc -l)" = 4 ]'
is "$(ss -Htn state established src 127.0.0.9 | wc -l)" 4 'from the address that was asked for'
kill -TERM $brunt
wait $brunt
plan lo '{ "interface": "lo" }' '"to": "127.0.0.1:8212", "connections": 4, "hold": "2s", "hits": { "min": 4 }'
run brunt run --plain lo.json
is "$status" 0 'by an interface'
unshare --net bash -c "ip link set lo up; exec python3 $WORK/pool.py 8219" &
ns=$!
echo $ns >ns.pid
plan ns "{ \"process\": { \"pid_file\": \"$WORK/ns.pid\" } }" '"to": "127.0.0.1:8219", "connections": 4, "hold": "2s", "hits": { "min": 4 }'
within 20 nsenter --net="/proc/$ns/ns/net" bash -c "exec 3<>/dev/tcp/127.0.0.1/8219"
run brunt run --plain ns.json
is "$status" 0 'in the network namespace of the target'

# ---- a server that is not there, and one that hangs up ----
plan refused "$process" '"to": "127.0.0.1:8213", "connections": 5, "rate": 50, "hold": "500ms"'
run brunt run --plain refused.json
is "$status" 7 'nobody listens: inconclusive'
like "$out" '0 connections held of 5.*refused [0-9]+ of [0-9]+|refused [0-9]+ of' 'and it says so'
$peer drop 127.0.0.1 8214 drop.log &
drop=$!
within 30 grep -q ready drop.log
plan hangs-up "$process" '"to": "127.0.0.1:8214", "connections": 200, "rate": 100, "hold": "1s", "hits": { "min": 200 }'
run brunt run --plain hangs-up.json
is "$status" 7 'the server hangs up: inconclusive'
like "$out" 'the server closed [0-9]+ of' 'and it says so'
plan once "$process" '"to": "127.0.0.1:8214", "connections": 5, "rate": 2, "hold": "4s", "hits": { "min": 5 }, "reopen": false'
run brunt run --plain once.json
like "$out" 'the server closed 5 of' 'without reopen each is tried once'

# ---- PostgreSQL, whose places a client has from its first packet on ----
if command -v initdb >/dev/null && command -v postgres >/dev/null && command -v psql >/dev/null; then
	install -d -o 65534 -g 65534 pg
	nobody='setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --no-new-privs'
	(cd pg && $nobody initdb --no-sync -D "$WORK/pg/data" -U postgres -A trust) >initdb.log 2>&1
	# shellcheck disable=SC2086
	(cd pg && exec $nobody postgres -D "$WORK/pg/data" -p 8215 -c max_connections=20 -c unix_socket_directories=) 2>pg.log &
	postgres=$!
	sql() {
		psql -h 127.0.0.1 -p 8215 -U postgres -tAc 'select 1' 2>&1
	}
	within 30 eval '[ "$(sql)" = 1 ]'
	echo "$postgres" >pg.pid
	plan postgres "{ \"process\": { \"pid_file\": \"$WORK/pg.pid\" } }" '"to": "127.0.0.1:8215", "connections": 20, "hold": "60s", "send_hex": "00000017 00030000 7573657200 706f73746772657300 00"'
	begin postgres
	within 20 eval '[[ "$(sql)" = *"too many clients"* ]]'
	like "$(sql)" 'sorry, too many clients already' 'PostgreSQL: its connections are exhausted'
	kill -TERM $brunt
	wait $brunt
	within 20 eval '[ "$(sql)" = 1 ]'
	is "$(sql)" 1 'and it takes some again after'
	kill -INT "$postgres"
	wait "$postgres" 2>/dev/null
else
	skip 'PostgreSQL' 'it is not installed'
fi

# ---- an ordinary user ----
user_brunt=$(user_brunt)
nobody='setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --no-new-privs' # as_user, without a shell between
$nobody sleep 60 &
sleeper=$!
within 20 grep -q sleep "/proc/$sleeper/comm"
echo $sleeper >user.pid
plan user "{ \"process\": { \"pid_file\": \"$WORK/user.pid\" } }" '"to": "127.0.0.1:8212", "connections": 4, "hold": "2s", "hits": { "min": 4 }'
mkdir -m 777 "$WORK/user"
run $nobody env XDG_STATE_HOME="$WORK/user" XDG_RUNTIME_DIR="$WORK/user" "$user_brunt" run --plain user.json
err=$out$err
is "$status" 0 'an ordinary user may, too'

# ---- errors ----
refuses() { # PARAMETERS REGEX
	plan bad "$process" "\"hold\": \"1s\", $1"
	run brunt check bad.json
	is "$status" 2 "refused: $1"
	like "$err$out" "$2" "and why: $2"
}
refuses '"connections": 4' "'to' is missing"
refuses '"to": "127.0.0.1:80"' "'connections' is missing"
refuses '"to": "10.0.0.0/8:80", "connections": 4' 'one address and one port'
refuses '"to": ":80", "connections": 4' 'one address and one port'
refuses '"to": "10.0.0.1:80-90", "connections": 4' 'one address and one port'
refuses '"to": "db.example:80", "connections": 4' 'db.example'
refuses '"to": "10.0.0.1:53/udp", "connections": 4' 'only that has connections'
refuses '"to": "10.0.0.1:80", "connections": 0' 'out of range'
refuses '"to": "10.0.0.1:80", "connections": 4, "source": "fd00::1"' "'source' is IPv6 and 'to' is IPv4"
refuses '"to": "10.0.0.1:80", "connections": 4, "source": "10.0.0.2:80"' 'without a port'
refuses '"to": "10.0.0.1:80", "connections": 4, "rate": 0' 'out of range'
refuses '"to": "10.0.0.1:80", "connections": 4, "send_hex": "0d 0"' 'pairs of hexadecimal digits'
refuses '"to": "10.0.0.1:80", "connections": 4, "send": "a", "send_hex": "61"' 'cannot both be sent'
plan limit "$process" '"to": "127.0.0.1:8212", "connections": 1000, "hold": "1s"'
run bash -c 'ulimit -n 500; exec "$0" run --plain limit.json' "$BRUNT"
like "$out$err" 'hard limit of open files is 500' 'more than may be open: refused before anything is touched'

kill "$pool" "$server" "$ns" "$drop" "$sleeper" 2>/dev/null
wait 2>/dev/null
same "$before" "$(host_state)" 'the host is as it was'
done_testing
