#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# dns.fail with real clients (getent, Python, curl) and a real name server, by UDP and TCP, IPv4 and IPv6: what is meant
# is hurt, everything else goes on byte for byte, and nobody but the target sees any of it.
# kernels: on request
# shellcheck source=lib.sh disable=SC2154,SC2016 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
sandbox "$@"
mount_of=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
[ -n "$mount_of" ] || skip_all "needs cgroup v2: none is mounted"
for program in getent python3 curl; do
	command -v "$program" >/dev/null || skip_all "$program is not installed"
done

# The target is a cgroup in which this test starts clients.
cgroup=/brunt-test.$$
own_cgroup "$cgroup"
mkdir "$mount_of$cgroup" || skip_all "no cgroup can be made"
printf 'nameserver 127.0.0.2\noptions timeout:5 attempts:2\n' >"$WORK/resolv.conf"
mount --bind "$WORK/resolv.conf" "$(readlink -f /etc/resolv.conf)" || skip_all "/etc/resolv.conf cannot be covered"
printf 'hosts: dns\n' >"$WORK/nsswitch.conf"
mount --bind "$WORK/nsswitch.conf" /etc/nsswitch.conf || skip_all "/etc/nsswitch.conf cannot be covered"
cp "$TESTS"/functional/dns_*.py "$WORK/"
before=$(host_state)
python3 "$WORK/dns_server.py" 53 "$WORK/log" 127.0.0.2 127.0.0.3 ::1 &
helpers=$!

# A process of the target.
cat >"$WORK/inside" <<-END
	#!/bin/sh
	echo \$\$ >$mount_of$cgroup/cgroup.procs && exec "\$@"
END
chmod 755 "$WORK/inside"
inside=$WORK/inside
ask() {
	"$inside" python3 "$WORK/dns_ask.py" "$@" 2>&1
}
within 5 eval '[[ $(python3 "$WORK/dns_ask.py" 127.0.0.2 up.test) == NOERROR* ]]' || skip_all "the name server does not start"
"$inside" sleep 1000 &
helpers="$helpers $!"
within 20 grep -q . "$mount_of$cgroup/cgroup.procs"

# begin FAULT-JSON [SELECTOR-JSON]: holds the fault until `finish`.
begin() {
	cat >"$WORK/plan.json" <<-END
	{ "schema": 1, "name": "dns", "// lease": "for a machine that is emulated", "lease": "10s",
	  "targets": { "them": ${2:-{ \"cgroup\": \"$cgroup\" \}} },
	  "method": [ { "name": "lookups", "on": "them", "fault": "dns.fail", "background": true, $1 },
	              { "name": "look", "observe": "1m" } ],
	  "blast_radius": { "victims": 1, "duration": "5m" } }
	END
	"$BRUNT" run --plain "$WORK/plan.json" >"$WORK/out" 2>&1 </dev/null &
	brunt=$!
	within 30 grep -q "fault 'lookups' applied" "$WORK/out" || not_ok "the fault begins: $1" "$(cat "$WORK/out")"
}
finish() {
	kill -TERM "$brunt"
	wait "$brunt"
	# shellcheck disable=SC2034 # for is() and like()
	status=$? out=$(cat "$WORK/out")
}

sum=$(md5sum /etc/resolv.conf)

# ---- names, clients, protocols ----

begin '"names": ["*.DB.test", "exact.test"], "except": ["spared.db.test"]'
like "$(ask 127.0.0.2 x.db.test)" '^NXDOMAIN answers=0 .* from=127.0.0.2:53 peer=127.0.0.2:53' \
	'a name that is meant does not exist, and its server says so'
like "$(ask 127.0.0.2 X.Y.dB.TeSt AAAA)" '^NXDOMAIN' 'case does not count'
like "$(ask 127.0.0.2 exact.test MX)" '^NXDOMAIN' 'all types when none is said'
like "$(ask 127.0.0.2 db.test)" '^NOERROR answers=1 ttl=60' 'a name that is not meant is answered'
like "$(ask 127.0.0.2 spared.db.test)" '^NOERROR answers=1 ttl=60' 'an exception is answered'
like "$(ask -unconnected 127.0.0.2 x.db.test)" '^NXDOMAIN.* from=127.0.0.2:53' 'sendto() and recvfrom()'
like "$(ask -unconnected 127.0.0.2 y.test)" '^NOERROR.* from=127.0.0.2:53' 'sendto() and recvfrom(), passed on'
like "$(ask -mapped 127.0.0.2 x.db.test)" '^NXDOMAIN.* from=::ffff:127.0.0.2:53 peer=::ffff:127.0.0.2:53' \
	'an IPv6 socket that speaks IPv4'
like "$(ask -mapped -unconnected 127.0.0.2 x.db.test)" '^NXDOMAIN.* from=::ffff:127.0.0.2:53' 'the same, unconnected'
like "$(ask -tcp 127.0.0.2 x.db.test)" '^NXDOMAIN.* peer=127.0.0.2:53' 'TCP'
like "$(ask -tcp 127.0.0.2 y.test)" '^NOERROR answers=1 ttl=60.* peer=127.0.0.2:53' 'TCP, passed on'
like "$(ask -edns 127.0.0.2 x.db.test)" '^NXDOMAIN.* flags=8183 edns=1' 'an answer to EDNS has EDNS'
like "$(ask 127.0.0.2 big.test TXT)" '^NOERROR answers=0 .* flags=8380' 'a truncated answer passes'
like "$(ask -tcp 127.0.0.2 big.test TXT)" '^NOERROR answers=1 .* size=30[0-9][0-9]' 'a large answer passes by TCP'
like "$(ask -edns 127.0.0.2 big.test TXT)" '^NOERROR answers=1 .* size=30[0-9][0-9]' 'a large answer passes by UDP'
like "$(ask 127.0.0.2 none.test)" '^NXDOMAIN' 'what does not exist does not exist'
like "$(ask 127.0.0.3 x.db.test)" '^NOERROR' 'a server that resolv.conf does not name is not touched'
like "$(python3 "$WORK/dns_ask.py" 127.0.0.2 x.db.test)" '^NOERROR' 'a process outside sees nothing of it'
run "$inside" getent ahosts x.db.test
is "$status" 2 'getent: not found'
run "$inside" getent ahosts y.test
like "$out" '^127.0.0.1 ' 'getent: found'
run "$inside" env RES_OPTIONS=use-vc getent ahosts x.db.test
is "$status" 2 'getent by TCP: not found'
run "$inside" env RES_OPTIONS=use-vc getent ahosts y.test
like "$out" '^127.0.0.1 ' 'getent by TCP: found'
run "$inside" curl -sS --max-time 20 http://x.db.test:9/
is "$status" 6 'curl: could not resolve'
run "$inside" curl -sS --max-time 20 http://y.test:9/
is "$status" 7 'curl: resolved, and refused by the port'
run "$inside" python3 -c 'import socket; socket.getaddrinfo("x.db.test", 80)'
like "$err" 'gaierror.*(Name or service not known|No address)' 'Python: not known'
unlike "$(grep -v ' up.test ' "$WORK/log" | grep -c '^tcp big')" '^0$' 'the server was asked by TCP'
is "$(grep -c ' x\.y\.db\.test \| exact\.test ' "$WORK/log")" 0 'the server was never asked for what is meant'
is "$(md5sum /etc/resolv.conf)" "$sum" '/etc/resolv.conf is not written'
finish
like "$out" ' 1[0-9] lookups' 'what was hurt is counted'
is "$status" 143 'the run was stopped'
like "$(ask 127.0.0.2 x.db.test)" '^NOERROR' 'afterwards the name exists'
run "$inside" getent ahosts x.db.test
is "$status" 0 'afterwards getent finds it'

# ---- each answer ----

begin '"answer": "servfail", "types": ["A"]'
like "$(ask 127.0.0.2 x.test)" '^SERVFAIL answers=0' 'servfail'
like "$(ask 127.0.0.2 x.test AAAA)" '^NOERROR answers=1' 'a type that is not meant is answered'
finish
begin '"answer": "refused"'
like "$(ask 127.0.0.2 x.test)" '^REFUSED answers=0' 'refused'
finish
begin '"answer": "nodata"'
like "$(ask -tcp 127.0.0.2 x.test)" '^NOERROR answers=0' 'nodata'
finish
begin '"answer": "address", "addresses": ["192.0.2.7", "192.0.2.8"]'
like "$(ask 127.0.0.2 x.test)" '^NOERROR answers=2 ttl=0 .*data=192.0.2.7,192.0.2.8' 'wrong addresses, not to be kept'
like "$(ask 127.0.0.2 x.test AAAA)" '^NOERROR answers=0' 'no wrong address of that family'
like "$(ask 127.0.0.2 x.test MX)" '^NOERROR answers=0' 'no wrong address for another type'
run "$inside" getent ahosts x.test
like "$out" '^192.0.2.[78] ' 'getent: the wrong address'
finish
begin '"answer": "address", "addresses": ["2001:db8::7"], "ttl": "30s", "delay": "200ms"'
like "$(ask 127.0.0.2 x.test AAAA)" '^NOERROR answers=1 ttl=30 .*data=2001:db8::7' 'a wrong IPv6 address with a TTL'
finish
begin '"answer": "real", "delay": "400ms", "names": ["late.test"]'
for how in "" -tcp; do
	from=$(now_ms)
	# shellcheck disable=SC2086
	like "$(ask $how 127.0.0.2 late.test)" '^NOERROR answers=1 ttl=60' "the real answer, later ${how#-}"
	took=$(($(now_ms) - from))
	[ $took -ge 400 ] && ok "it took at least the delay ${how#-}" || not_ok "it took at least the delay ${how#-}" "$took ms"
done
at_once() { # a machine may pause for longer than that, but not each time
	ask -wait 0.3 127.0.0.2 other.test >"$WORK/other"
	grep -q ^NOERROR "$WORK/other"
}
within 10 at_once
like "$(cat "$WORK/other")" '^NOERROR' 'other names come without the delay'
finish
# The truth must come within a part of the lease: three tries, for a machine that is busy with other things.
for try in 1 2 3; do
	begin '"answer": "timeout", "names": ["gone.test"]'
	if [ $try = 1 ]; then
		like "$(ask -wait 0.5 127.0.0.2 gone.test)" 'Timeout|timed out' 'no answer by UDP'
		like "$(ask -tcp -wait 0.5 127.0.0.2 gone.test)" 'Timeout|timed out' 'no answer by TCP'
	fi
	rm -f "$WORK/udp" "$WORK/tcp"
	ask -wait 20 127.0.0.2 gone.test >"$WORK/udp" &
	asked=$!
	ask -tcp -wait 20 127.0.0.2 gone.test >"$WORK/tcp" &
	asked="$asked $!"
	sleep 1
	waited=$(cat "$WORK/udp" "$WORK/tcp")
	finish
	# shellcheck disable=SC2086
	wait $asked
	grep -q ^NOERROR "$WORK/udp" && grep -q ^NOERROR "$WORK/tcp" && break
done
is "$waited" '' 'two clients wait'
like "$(cat "$WORK/udp")" '^NOERROR answers=1' 'who waited when the fault ended hears the truth, by UDP'
like "$(cat "$WORK/tcp")" '^NOERROR answers=1' 'who waited when the fault ended hears the truth, by TCP'
begin '"probability": "40%"'
seen=$(ask -count 300 127.0.0.2 x.test)
like "$seen" 'differ=0$' 'both questions of a lookup share its fate'
hurt=$(sed -n 's/.*NXDOMAIN=\([0-9]*\).*/\1/p' <<<"$seen")
# five sigma of 300 * 0.4
[ "${hurt:-0}" -ge 78 ] && [ "$hurt" -le 162 ] && ok 'two fifths are hurt' || not_ok 'two fifths are hurt' "$seen"
finish

# ---- servers: several, of IPv6, on another port, gone ----

printf 'search corp.test\nnameserver ::1\nnameserver fe80::1%%lo\nnameserver 127.0.0.9\n' >"$WORK/resolv.conf"
python3 "$WORK/dns_server.py" 5353 "$WORK/log" 127.0.0.2 &
helpers="$helpers $!"
within 5 eval '[[ $(python3 "$WORK/dns_ask.py" -port 5353 127.0.0.2 up.test) == NOERROR* ]]'
begin '"servers": ["127.0.0.3", "127.0.0.2:5353"], "names": ["x.corp.test", "x"]'
like "$(ask ::1 x.corp.test)" '^NXDOMAIN.* from=::1:53 peer=::1:53' 'a server of IPv6'
like "$(ask -unconnected ::1 y.test)" '^NOERROR.* from=::1:53' 'a server of IPv6, passed on'
like "$(ask -tcp ::1 y.test)" '^NOERROR.* peer=::1:53' 'a server of IPv6, passed on by TCP'
like "$(ask -port 5353 127.0.0.2 x.corp.test)" '^NXDOMAIN.* from=127.0.0.2:5353' 'a server on another port'
like "$(ask 127.0.0.3 x.corp.test)" '^NXDOMAIN' 'a server that the plan names'
like "$(ask 127.0.0.2 x.corp.test)" '^NOERROR' 'a server that nobody names'
from=$(now_ms)
like "$(ask -wait 10 127.0.0.9 y.test)" '^SERVFAIL' 'a server that is not there: told at once'
like "$(ask -wait 10 -tcp 127.0.0.9 y.test)" 'Connection|ended' 'a server that is not there, by TCP: cut off'
[ $(($(now_ms) - from)) -lt $((9000 * SLOW)) ] && ok 'both without waiting' || not_ok 'both without waiting'
run "$inside" getent ahosts x
is "$status" 2 'a name that the search list completes'
finish
printf 'nameserver 127.0.0.2\n' >"$WORK/resolv.conf"

# ---- nothing was hit: why ----

begin '"names": ["*.nowhere.test"]'
ask 127.0.0.2 api.test >"$WORK/ask"
ask 127.0.0.2 api.test >"$WORK/ask"
ask 127.0.0.2 www.test >"$WORK/ask"
finish
like "$(tr -s ' \n' ' ' <<<"$out")" 'saw 3 lookups, none matching \*.nowhere.test; asked for: api.test \(2\), www.test \(1\)' \
	'near misses are named'
begin '"names": ["*"]'
ask 127.0.0.3 api.test >"$WORK/ask"
finish
like "$(tr -s ' \n' ' ' <<<"$out")" '1 lookup went to 127.0.0.3, which its resolv.conf does not name' 'a stranger is named'

# ---- one process, one that has been running for long, elsewhere ----

cat >"$WORK/loop.py" <<'END'
import os, socket, sys, time
with open(sys.argv[1], "w") as pid_file:
    pid_file.write(str(os.getpid()))
while True:
    try:
        word = socket.getaddrinfo("x.test", 80, socket.AF_INET)[0][4][0]
    except OSError:
        word = "failed"
    with open(sys.argv[2] + ".new", "w") as out:
        out.write(word + "\n")
    os.rename(out.name, sys.argv[2])
    time.sleep(0.1)
END
"$inside" python3 "$WORK/loop.py" "$WORK/pid1" "$WORK/word1" &
helpers="$helpers $!"
"$inside" python3 "$WORK/loop.py" "$WORK/pid2" "$WORK/word2" &
helpers="$helpers $!"
within 30 grep -q 127.0.0.1 "$WORK/word1" && within 30 grep -q 127.0.0.1 "$WORK/word2"
begin '"names": ["x.test"]' "{ \"process\": { \"pid_file\": \"$WORK/pid1\" } }"
check 'a process that runs already is hurt' within 20 grep -q failed "$WORK/word1"
sleep 0.5
is "$(cat "$WORK/word2")" 127.0.0.1 'its neighbour in the cgroup is not'
responder=$("$BRUNT" status --output=json | python3 -c 'import json, sys; print(json.load(sys.stdin)["runs"][0]["pids"]["responder"])')
like "$(cat "/proc/$responder/status")" '^Seccomp:.2' 'the responder has few system calls'
finish
check 'and is well again' within 20 grep -q 127.0.0.1 "$WORK/word1"
within 5 [ ! -e "/proc/${responder:-0}" ]
is "$(ps -o pid= -p "${responder:-0}")" '' 'the responder is gone'

# Another network, another root: as in a container.
mkdir -p "$WORK/root"
unshare --net --mount bash -c '
	echo $$ >"$0/cgroup.procs"
	ip link set lo up
	ip addr add 127.8.8.8/8 dev lo
	echo "nameserver 127.8.8.8" >"$1/resolv.other"
	mount --bind "$1/resolv.other" "$(readlink -f /etc/resolv.conf)"
	python3 "$1/dns_server.py" 53 "$1/log.other" 127.8.8.8 &
	echo $! >"$1/pid4"
	exec python3 "$1/loop.py" "$1/pid3" "$1/word3"' "$mount_of$cgroup" "$WORK" &
helpers="$helpers $!"
if ! linux 5.14; then
	like "$("$BRUNT" inject dns.fail names=x.test --on cgroup="$cgroup" --hold 1s --plain 2>&1)" \
		'before Linux 5.14 dns.fail cannot tell network namespaces apart' 'two networks are refused before Linux 5.14'
elif within 30 grep -q 127.0.0.1 "$WORK/word3"; then
	begin '"names": ["x.test"]'
	check 'a process in another network is hurt' within 20 grep -q failed "$WORK/word3"
	check 'and one in this network, too' within 20 grep -q failed "$WORK/word1"
	finish
	check 'and is well again' within 20 grep -q 127.0.0.1 "$WORK/word3"
else
	not_ok 'a process in another network looks up' "$(cat "$WORK/word3")"
fi
helpers="$helpers $(cat "$WORK/pid4")"

# ---- a socket that was connected before, as nginx and HAProxy keep one ----

cat >"$WORK/keeper.py" <<'END'
import os, socket, sys, time
with open(sys.argv[1], "w") as pid_file:
    pid_file.write(str(os.getpid()))
client = None
while True:
    try:
        if not client:
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.settimeout(2)
            client.connect(("127.0.0.2", 53))
        client.send(b"ab\1\0\0\1\0\0\0\0\0\0\4kept\4test\0\0\1\0\1")
        word = "code%d" % (client.recv(512)[3] & 15)
    except OSError as error:
        word, client = type(error).__name__, None
    with open(sys.argv[2] + ".new", "w") as out:
        out.write(word + "\n")
    os.rename(out.name, sys.argv[2])
    time.sleep(0.1)
END
"$inside" python3 "$WORK/keeper.py" "$WORK/pid5" "$WORK/word5" &
helpers="$helpers $!"
within 30 grep -q code0 "$WORK/word5" || not_ok 'a program keeps a socket' "$(cat "$WORK/word5")"
begin '"answer": "servfail"' "{ \"process\": { \"pid_file\": \"$WORK/pid5\" } }"
sleep 0.5
is "$(cat "$WORK/word5")" code0 'what is sent through an old socket is not seen'
finish
like "$(tr -s ' \n' ' ' <<<"$out")" '1 socket that the target had connected to a name server before is not seen' 'and that is told'
begin '"answer": "servfail", "reconnect": true' "{ \"process\": { \"pid_file\": \"$WORK/pid5\" } }"
if grep -q "CONFIG_INET_UDP_DIAG\|CONFIG_INET_DIAG_DESTROY" "$WORK/out"; then
	skip 'an old socket is ended' "$(grep -o "this kernel cannot list UDP.*\|'reconnect' needs.*" "$WORK/out" | head -n 1)"
	wait "$brunt"
else
	check 'an old socket is ended, and the next one is seen' within 20 grep -q code2 "$WORK/word5"
	finish
	check 'and afterwards the program is well' within 20 grep -q code0 "$WORK/word5"
fi

# ---- bad input ----

for case in \
	'"answer": "address"|needs .addresses.' \
	'"answer": "nxdomain", "addresses": ["192.0.2.1"]|is for the answer .address. alone' \
	'"ttl": "5s"|is for the answer .address. alone' \
	'"answer": "address", "addresses": ["192.0.2.1"], "ttl": "1500ms"|whole seconds' \
	'"answer": "address", "addresses": ["192.0.2.0/24"]|is not one address' \
	'"answer": "address", "addresses": ["192.0.2.1:53"]|is not one address without a port' \
	'"servers": ["10.0.0.1:53-54"]|at most one port' \
	'"answer": "real"|needs .delay.' \
	'"answer": "timeout", "delay": "1s"|never comes' \
	'"names": ["a b"]|is no name' \
	'"names": [""]|names' \
	'"types": ["B"]|types'; do
	cat >"$WORK/bad.json" <<-END
	{ "schema": 1, "name": "bad", "targets": { "them": { "cgroup": "$cgroup" } },
	  "method": [ { "name": "x", "on": "them", "fault": "dns.fail", "hold": "1s", ${case%%|*} } ] }
	END
	run brunt check "$WORK/bad.json"
	is "$status" 2 "bad: ${case%%|*}"
	like "$out$err" "${case#*|}" 'and it says why'
done
cat >"$WORK/bad.json" <<-END
{ "schema": 1, "name": "bad", "targets": { "them": { "cgroup": "$cgroup.none" } },
  "method": [ { "name": "x", "on": "them", "fault": "dns.fail", "hold": "1s" } ] }
END
run brunt run "$WORK/bad.json"
is "$status" 9 'without a target the run is unable'

# shellcheck disable=SC2086
kill $helpers
# shellcheck disable=SC2086
wait $helpers 2>/dev/null
same "$before" "$(host_state)" 'the host is as it was'
done_testing
