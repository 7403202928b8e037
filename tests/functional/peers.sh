#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Programs that people use, through a detour: each works, takes the delay that was asked for, loses nothing, also when the
# fault ends in the middle of it, and is afterwards as before. Servers are the test's own, in a network namespace of
# theirs, with keys of their own. Delays have strict lower bounds; "as before" means less than the delay that was added.
. "$(dirname "$0")/lib.sh"
sandbox "$@"
for tool in iperf3 redis-server redis-cli dropbear dropbearkey ssh ssh-keygen curl openssl python3; do
	command -v $tool >/dev/null || skip_all "needs $tool: scripts/setup test"
done

unshare --net sleep 600 >/dev/null 2>&1 &
far=$!
# They are in another network namespace, where the sandbox does not look.
there_pids() {
	local dir
	for dir in /proc/[0-9]*; do
		[ "$dir/ns/net" -ef "/proc/$far/ns/net" ] && echo "${dir#/proc/}"
	done
}
# shellcheck disable=SC2046 # pids
trap 'kill -KILL $(there_pids) 2>/dev/null; sandbox_end' EXIT
# shellcheck disable=SC2016 # evaluated there
within 5 eval '! [ "/proc/$far/ns/net" -ef /proc/self/ns/net ]' || skip_all "no second network namespace"
there() {
	nsenter --net="/proc/$far/ns/net" "$@"
}
ip link add wire type veth peer name wire-far netns "$far" || skip_all "no veth devices here"
ip addr add 10.99.0.1/24 dev wire
ip link set wire up
there sh -c 'ip addr add 10.99.0.2/24 dev wire-far; ip link set wire-far up; ip link set lo up'

# ---- the servers ----

there iperf3 --server --port 5201 >"$WORK/iperf3" 2>&1 &
there redis-server --bind 10.99.0.2 --port 6379 --save '' --appendonly no --daemonize no --dir "$WORK" \
	--protected-mode no >"$WORK/redis" 2>&1 &

# An account whose home lies here, seen in this mount namespace alone.
mkdir -p "$WORK/home/.ssh" && chmod 700 "$WORK/home" "$WORK/home/.ssh"
printf 'root:x:0:0:root:%s:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' "$WORK/home" >"$WORK/passwd"
chmod 644 "$WORK/passwd"
mount --bind "$WORK/passwd" /etc/passwd || skip_all "no bind mounts here"
ssh-keygen -q -t ed25519 -N '' -f "$WORK/key" && cp "$WORK/key.pub" "$WORK/home/.ssh/authorized_keys"
dropbearkey -t ed25519 -f "$WORK/host" >/dev/null 2>&1
there dropbear -F -E -s -r "$WORK/host" -P "$WORK/dropbear.pid" -p 10.99.0.2:2222 >"$WORK/dropbear" 2>&1 &
remote() {
	timeout 60 ssh -F none -p 2222 -i "$WORK/key" -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR \
		-o UserKnownHostsFile=/dev/null -o IdentityAgent=none root@10.99.0.2 "$@"
}

mkdir "$WORK/www" && head -c 3000000 /dev/urandom >"$WORK/www/file"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=far.test \
	-addext subjectAltName=DNS:far.test -keyout "$WORK/tls.key" -out "$WORK/tls.crt" 2>/dev/null
cat >"$WORK/https.py" <<'END'
import functools, http.server, ssl, sys
work = sys.argv[1]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=work + "/www")
server = http.server.ThreadingHTTPServer(("10.99.0.2", 8443), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(work + "/tls.crt", work + "/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
END
there python3 "$WORK/https.py" "$WORK" >"$WORK/https" 2>&1 &
disown -a
for port in 1451 18EB 08AE 20FB; do # 5201, 6379, 2222, 8443
	within 10 there sh -c "cat /proc/net/tcp /proc/net/tcp6 | grep -q ':$port 0*:0000 0A'" ||
		not_ok "a server listens at port $((16#$port))" "$(cat "$WORK"/{iperf3,redis,dropbear,https})"
done

# ---- what each of them does, and how long it takes ----

ms() { # since $1, in ns
	echo $((($(date +%s%N) - $1) / 1000000))
}
# Between COMMAND... and its end: milliseconds in $took.
timed() {
	local start
	start=$(date +%s%N)
	"$@"
	took=$(ms "$start")
}
median() {
	sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'
}
longer() { # NUMBER LEAST NAME [UNIT]
	if [ "${1:-0}" -ge "$2" ]; then ok "$3 ($1 ${4:-ms})"; else not_ok "$3" "seen $1 ${4:-ms}, not $2 at least"; fi
}
shorter() { # NUMBER MOST NAME
	if [ "${1:-x}" -lt "$2" ]; then ok "$3 ($1 ms)"; else not_ok "$3" "seen $1 ms, not less than $2"; fi
}
ten_increments() {
	redis-cli -h 10.99.0.2 -r 10 incr counter >"$WORK/counted"
}
fetch_file() {
	curl -sS --max-time 60 --cacert "$WORK/tls.crt" --resolve far.test:8443:10.99.0.2 -o "$WORK/fetched" \
		-w '%{time_appconnect}' https://far.test:8443/file
}
# Milliseconds until TLS stands.
handshake() {
	fetch_file | awk '{ printf "%d\n", $1 * 1000 }'
}
stream() { # OPTION...: $WORK/stream.json
	local _
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		timeout 60 iperf3 --client 10.99.0.2 --port 5201 --json "$@" >"$WORK/stream.json" 2>&1
		# it may not have put away the one before
		grep -q 'server is busy' "$WORK/stream.json" || return
		sleep 0.5
	done
}
no_room() { # datagrams that arrived when the server, which got no processor, had its buffer full; all since the start
	there awk '$1 == "Udp:" && $2 ~ /^[0-9]/ { print $6 }' /proc/net/snmp
}
lost() { # of the last stream, on its way; $1: no_room before it
	local lost
	lost=$(told end.sum.lost_packets)
	[[ $lost =~ ^[0-9]+$ ]] && [ "$lost" -le $(($(no_room) - $1)) ] && lost=0
	echo "$lost"
}
told() { # PATH-OF-KEYS: from iperf3's answer
	python3 -c 'import functools, json, sys
print(functools.reduce(lambda a, k: a[int(k) if k.isdigit() else k], sys.argv[2].split("."), json.load(open(sys.argv[1]))))' \
		"$WORK/stream.json" "$1" 2>&1
}
# each WHEN: all of them, with figures in redis_ms, tls_ms, ssh_ms, rtt_us
each() {
	timed ten_increments
	redis_ms=$took
	is "$(tail -n 1 "$WORK/counted")" "$((counted += 10))" "$1: redis counts every increment"
	tls_ms=$(for _ in 1 2 3; do handshake; done | median)
	check "$1: curl over TLS gets what the server has" cmp "$WORK/www/file" "$WORK/fetched"
	timed remote 'expr 6 \* 7' >"$WORK/said"
	ssh_ms=$took
	is "$(cat "$WORK/said")" 42 "$1: a command by ssh is run and answers"
	# It ends when all is sent: what is under way then is not counted.
	stream --bytes 4M
	longer "$(told end.sum_received.bytes)" 200000 "$1: iperf3's stream arrives" bytes
	rtt_us=$(told end.streams.0.sender.mean_rtt)
	room=$(no_room)
	stream --udp --bitrate 8M --length 1000 --time 1
	is "$(lost "$room")" 0 "$1: iperf3 loses no datagram"
}
counted=0
before=$(host_state)
each before

cat >"$WORK/plan.json" <<'END'
{ "schema": 1, "name": "peers", "lease": "5s", "on_abort": "drain", "targets": { "link": { "interface": "wire" } },
  "method": [ { "name": "slow", "fault": "network.netem", "on": "link", "delay": "50ms", "direction": "both",
    "hold": "2m" } ], "blast_radius": { "duration": "5m" } }
END
"$BRUNT" run --plain --result "$WORK/result.json" "$WORK/plan.json" >"$WORK/run" 2>&1 </dev/null &
brunt=$!
within 20 grep -q "'slow' applied" "$WORK/run" || not_ok 'held' "$(cat "$WORK/run")"
each delayed
longer "$redis_ms" 1000 'redis: ten increments take ten times the delay there and back'
longer "$tls_ms" 200 'TLS: a connection and a handshake take it twice'
longer "$ssh_ms" 500 'ssh: a connection, the keys and a command take it five times'
longer "$((rtt_us / 1000))" 100 "iperf3: TCP's own round trip time has it"

# In the middle of a stream of each kind, the fault ends.
head -c 4000000 /dev/urandom >"$WORK/sent"
remote "cat >'$WORK/got'; sleep 1; cat >>'$WORK/got'" < <(cat "$WORK/sent" && sleep 1 && cat "$WORK/sent") &
copy=$!
room=$(no_room)
stream --udp --bitrate 8M --length 1000 --time 2 &
datagrams=$!
sleep 1
kill -TERM "$brunt"
wait "$brunt"
is "$?" 143 'given back in the middle'
wait "$copy"
is "$?" 0 'ssh goes on over the end of the fault'
check 'and what it carried is whole' cmp "$WORK/got" <(cat "$WORK/sent" "$WORK/sent")
wait "$datagrams"
is "$(lost "$room")" 0 'no datagram is lost by the end of the fault'
like "$(cat "$WORK/run")" 'everything removed and read back' 'read back as gone'
unlike "$(cat "$WORK/result.json")" '"unwanted"' 'nothing was lost that nobody asked for'

each afterwards
for _ in 1 2 3; do # a pause of the machine is not there each time
	if [ "$redis_ms" -ge 1000 ]; then
		timed ten_increments
		redis_ms=$took
	fi
	[ "$tls_ms" -lt 200 ] || tls_ms=$(handshake)
	if ! [ "$rtt_us" -lt 100000 ]; then
		stream --bytes 4M
		rtt_us=$(told end.streams.0.sender.mean_rtt)
	fi
done
shorter "$redis_ms" 1000 'redis is as before'
shorter "$tls_ms" 200 'TLS is as before'
shorter "$((rtt_us / 1000))" 100 'TCP is as before'
same_host "$before" 'the host is as it was'
done_testing
