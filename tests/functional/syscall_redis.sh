#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real redis-server whose system calls fail: what it has acknowledged is there after a restart, it says what went wrong,
# and it is as before when the fault is over.
. "$(dirname "$0")/lib.sh"
sandbox "$@"
command -v redis-server >/dev/null || skip_all "redis-server is not installed"
judged='{ "run": ["true"] }' # a run that judges nothing proves nothing
port=7391
install -d -m 777 data
before=$(host_state)

# A client that writes one key after another, as fast as they are acknowledged, and notes down what it heard.
cat >writer.py <<'END'
import socket, sys, time
port, path, until = int(sys.argv[1]), sys.argv[2], time.monotonic() + float(sys.argv[3])
log, n, s = open(path, "a", buffering=1), 0, None
while time.monotonic() < until:
    n += 1
    key = "%s-%d" % (path.split("/")[-1], n)
    try:
        if s is None:
            s = socket.create_connection(("127.0.0.1", port), timeout=20)
            heard = s.makefile("rb")
        s.sendall(b"SET %s %d\r\n" % (key.encode(), n))
        answer = heard.readline().decode().strip()
        if not answer:
            raise OSError("closed")
        log.write(("acknowledged %s %d\n" % (key, n)) if answer == "+OK" else "error %s\n" % answer)
        if answer != "+OK":
            time.sleep(0.005)
    except OSError as e:
        log.write("lost %s\n" % e)
        s = None
        time.sleep(0.05)
END
# Prints the keys that were acknowledged and are not there: a line each.
cat >missing.py <<'END'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
heard = s.makefile("rb")
for path in sys.argv[2:]:
    for line in open(path):
        word, key, *rest = line.split()
        if word == "acknowledged":
            s.sendall(b"GET %s\r\n" % key.encode())
            size = int(heard.readline()[1:])
            value = heard.readline().decode().strip() if size >= 0 else None
            if value != rest[0]:
                print("lost", key, value)
END
acknowledged() { # FILE
	grep -c '^acknowledged' "$1"
}
# As the plan's service, an ordinary user.
config="--port $port --bind 127.0.0.1 --daemonize no --save '' --dir $WORK/data --appendonly yes"
redis() { # FSYNC: in the background, until it answers
	as_user redis-server --port $port --bind 127.0.0.1 --save '' --dir "$WORK/data" --appendonly yes --appendfsync "$1" \
		>>redis.log 2>&1 &
	within 20 eval '[ "$(ask PING)" = PONG ]'
	pid=$(ask INFO | sed -n 's/^process_id:\([0-9]*\).*/\1/p')
	echo "$pid" >redis.pid
}
keepers() { # and guardians, of this sandbox
	local pid
	for pid in $(sandbox_pids); do
		grep -lE '^(brunt-keeper|seccomp-guard)' "/proc/$pid/comm" 2>/dev/null
	done
}
ask() {
	timeout 5 redis-cli -p $port "$@" 2>&1
}
stop_redis() {
	ask SHUTDOWN NOSAVE >/dev/null
	within 10 eval "! kill -0 $pid"
}
all_there() { # NAME FILES...
	local name=$1
	shift
	is "$(python3 missing.py $port "$@" 2>&1)" '' "$name"
}
# plan NAME SERVICES TARGET METHOD...
plan() {
	local name=$1 services=$2 target=$3
	shift 3
	cat >"$name.json" <<-END
	{ "schema": 1, "name": "$name", "seed": 7, "lease": "3s", "services": { $services }, "targets": { "redis": $target },
	  "method": [ $judged, $* ], "blast_radius": { "victims": 2 } }
	END
}
server() { # FSYNC
	echo "\"redis\": { \"run\": \"exec redis-server $config --appendfsync $1\", \"may_exit\": true, \"ready\": { \"tcp\": \"127.0.0.1:$port\", \"within\": \"20s\" } },
	  \"writer\": { \"run\": [\"python3\", \"$WORK/writer.py\", \"$port\", \"$WORK/data/$2\", \"60\"], \"after\": [\"redis\"], \"ready\": { \"file\": \"$WORK/data/$2\" } }"
}

# ---- a service of the plan: its disk fails to sync ----
plan sync "$(server always sync.log)" '{ "service": "redis" }' \
	'{ "observe": "500ms" }, { "name": "f", "fault": "syscall.fail", "on": "redis", "calls": "%sync", "errno": "EIO", "first": 20, "hold": "6s" }'
run brunt run --plain sync.json
[ "$status" = 9 ] && skip_all "$(echo "$out" | tail -n 1)"
like "$out" '1 call failed of 20 ' '%sync EIO, appendfsync always: the fault bites'
like "$(cat data/sync.log)" '^lost' 'redis ends, as it says for this case'
[ "$(acknowledged data/sync.log)" -gt 20 ] && ok "after $(acknowledged data/sync.log) acknowledged writes" ||
	not_ok 'after many acknowledged writes' "$(tail data/sync.log; echo "$out")"
redis always
all_there 'and none of these is lost' data/sync.log

# ---- the same process, attached while it runs: writes to its file fail, and to nothing else ----
process="{ \"process\": { \"pid_file\": \"$WORK/redis.pid\" } }"
stop_redis
redis everysec
python3 writer.py $port "$WORK/space.log" 60 &
writer=$!
within 10 test -s space.log
plan space '' "$process" "{ \"name\": \"f\", \"fault\": \"syscall.fail\", \"on\": \"redis\", \"attach\": true, \"calls\": [\"write\", \"writev\", \"pwrite64\"], \"path\": \"$WORK/data/appendonlydir/*\", \"errno\": \"ENOSPC\", \"hold\": \"3s\" }"
run brunt run --plain --dry-run space.json
like "$out" 'by +seccomp notification of write, pwrite64, writev|by +seccomp notification of .*write' 'the dry run says how'
like "$out" 'undone by +stays, neutral, until the target exits' 'and what stays'
like "$out" '1 process keeps a filter until exit' 'and what that costs'
is "$(sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$pid/status")" 0 'and touches nothing'
run brunt run --plain space.json
is "$status" 0 'ENOSPC on the append-only file of a redis that runs: the run passes'
like "$(cat space.log)" '^error -MISCONF Errors writing to the AOF file: No space left on device' 'its clients hear that it cannot write'
unlike "$(cat space.log)" '^lost' 'and their connection lives: only that path was hit'
is "$(sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$pid/status")" 2 'the filter stays'
: >space.log
within 20 grep -q '^acknowledged' space.log
check 'and redis writes again' grep -q '^acknowledged' space.log
kill $writer
wait $writer 2>/dev/null
all_there 'without losing a write that it had acknowledged' space.log

# ---- no descriptors left ----
stop_redis
redis everysec
plan accept '' "$process" '{ "name": "f", "fault": "syscall.fail", "on": "redis", "attach": true, "calls": "accept4", "errno": "EMFILE", "hold": "5s" }'
python3 writer.py $port "$WORK/old.log" 60 &
writer=$!
within 10 test -s old.log
"$BRUNT" run --plain accept.json >accept.out 2>&1 &
brunt=$!
within 10 grep -q "'f' applied" accept.out
is "$(timeout 0.5 redis-cli -p $port PING 2>&1)" '' 'accept4 EMFILE: nobody new is served'
wait $brunt
status=$?
kill $writer
wait $writer 2>/dev/null
is "$status" 0 'and the run passes'
like "$(cat redis.log)" 'Accepting client connection: .*Too many open files' 'redis says why nobody comes in'
unlike "$(cat old.log)" '^(lost|error)' 'who was connected goes on'
is "$(ask PING)" PONG 'who comes after it is served'

# ---- the wrong name for it ----
stop_redis
redis always
python3 writer.py $port "$WORK/near.log" 60 &
writer=$!
within 10 test -s near.log
plan near '' "$process" '{ "name": "f", "fault": "syscall.fail", "on": "redis", "attach": true, "calls": "fsync", "errno": "EIO", "hold": "2s" }'
run brunt run --plain near.json
is "$status" 7 'a call that redis does not make: inconclusive'
like "$(echo "$out" | tr -s '\n ' ' ')" 'never called fsync; called fdatasync [0-9]+ times' 'and it says which one it makes instead'
kill $writer
wait $writer 2>/dev/null
stop_redis
within 10 eval '[ -z "$(keepers)" ]'
is "$(keepers)" '' 'keepers and guardians have ended with their targets'
same_host "$before" 'the host is as it was'
done_testing
