#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A process that was given its filter by one run is hit again by later ones: the keeper is taken over, not another made.
. "$(dirname "$0")/lib.sh"
sandbox "$@"

cat >victim.py <<'END'
import errno, os, sys, time
file = open(os.memfd_create("data"), "w")  # a disk may be busy for longer than a fault is held
calls = {"fsync": os.fsync, "fdatasync": os.fdatasync}
if len(sys.argv) > 1 and not os.fork():
    open("child.pid", "w").write(str(os.getpid()))
print("ready", flush=True)
while True:
    for name, call in calls.items():
        try:
            call(file.fileno())
            print(name, "ok", flush=True)
        except OSError as error:
            print(name, errno.errorcode[error.errno], flush=True)
    time.sleep(0.01)
END
kept() { # how many processes of brunt's answer for somebody in this sandbox
	local pid count=0
	for pid in $(sandbox_pids); do
		case $(cat "/proc/$pid/comm" 2>/dev/null) in brunt-keeper | seccomp-guard) count=$((count + 1)) ;; esac
	done
	echo "$count"
}
start() { # NAME [ARGUMENT...]: a victim that writes to NAME.log; sets $victim
	python3 -u victim.py "${@:2}" >"$1.log" 2>&1 &
	victim=$!
	within 30 grep -q ready "$1.log" || skip_all "no victim starts"
}
inject() { # FAULT KEY=VALUE...: on $on, for a second; again, at most twice, when this host was too busy for the lease
	local _
	for _ in 1 2 3; do
		run "$BRUNT" inject "$@" attach=true --on "pid=$on" --hold 1s --plain
		[[ $out$err == *"lease ran out"* ]] || break
	done
}

before=$(host_state)
start one
first=$victim
on=$first
inject syscall.fail calls=%sync errno=EIO
is "$status" 0 'the first run'
check 'it bites' grep -q 'fsync EIO' one.log
within 10 eval '[ "$(kept)" = 2 ]'
is "$(kept)" 2 'a keeper and its guardian stay'
run "$BRUNT" status
is "$status" 0 'that is no residue'
like "$out" "process $on \\(python3\\) has a filter for .*fsync" 'but brunt status tells of it'

: >one.log
run "$BRUNT" inject syscall.fail calls=fdatasync errno=ENOSPC attach=true --on "pid=$on" --dry-run
like "$out" 'has a filter of an earlier run, which is used again' 'the dry run says that there is a filter already'
for errno in ENOSPC EDQUOT EROFS; do
	inject syscall.fail calls=fdatasync errno=$errno
	is "$status" 0 "again, with $errno"
	check "it bites with $errno" grep -q "fdatasync $errno" one.log
	within 10 eval '[ "$(kept)" = 2 ]'
	is "$(kept)" 2 'there is one keeper still, with its guardian'
done
check 'other calls were left alone' eval '! grep -q "fsync E" <(grep -v fdatasync one.log)'
# It may have been told of a failure, and not have said so yet.
within 10 eval '[ "$(grep -a fdatasync one.log | tail -n 1)" = "fdatasync ok" ]'
: >one.log
check 'afterwards all is well' within 10 grep -q 'fdatasync ok' one.log
check 'and stays so' eval '! grep -qE " E" one.log'

inject syscall.fail calls=write errno=EIO
is "$status" 5 'a call that the filter does not ask about cannot be hit'
like "$out$err" 'has a filter of an earlier run, for .* alone: restart it to hit write' 'and it is said why'
is "$(kept)" 2 'that leaves the keeper where it was'

# ---- while another run is at it ----
"$BRUNT" inject syscall.fail calls=fsync errno=EIO attach=true --on "pid=$on" --hold 20s --plain >other.out 2>&1 &
other=$!
within 20 grep -q 'applied' other.out
inject syscall.fail calls=fsync errno=EIO
is "$status" 4 'two runs cannot have one process'
kill -TERM "$other"
wait "$other"

# ---- a child has its parent's ----
start two fork
on=$victim
within 10 test -s child.pid
child=$(cat child.pid)
inject syscall.fail calls=%sync errno=EIO
is "$status" 0 'a process with a child: it was forked before, and has no filter'
on=$child
inject syscall.fail calls=%sync errno=EIO
is "$status" 0 'which has one of its own now'

# ---- a keeper that stands still, and for whom nobody waits ----
keepers() {
	local pid
	for pid in $(sandbox_pids); do
		grep -qx brunt-keeper "/proc/$pid/comm" 2>/dev/null && echo "$pid"
	done | sort
}
sleep 1000 &
idle=$!
keepers >keepers.before
on=$idle
inject syscall.fail calls=fsync errno=EIO
is "$status" 7 'an idle process has a filter, and no call that fails'
stopped=$(keepers | comm -13 keepers.before -)
kill -STOP "$stopped"
sleep 1000 &
fresh=$!
cat >beside.json <<END
{ "schema": 1, "name": "beside", "targets": { "it": { "process": { "pid": $fresh } } },
  "method": [ { "name": "drop", "fault": "packet.drop", "on": "it", "to": "192.0.2.1", "probability": "1%", "background": true },
              { "name": "fail", "fault": "syscall.fail", "on": "it", "attach": true, "calls": "fsync", "errno": "EIO", "hold": "300ms" } ],
  "blast_radius": { "victims": 1 } }
END
run "$BRUNT" run --plain beside.json
is "$status" 7 'it keeps no other run, which holds something, from its processes'
on=$idle
inject syscall.fail calls=fsync errno=EIO
is "$status" 5 'its own process cannot be hit'
like "$(echo "$out$err" | tr -s '\n ' ' ')" "process $stopped, the keeper of an earlier run, does not answer" 'and it is said why'
kill -CONT "$stopped"
inject syscall.fail calls=fsync errno=EIO
is "$status" 7 'when it goes on, it can'
kill $idle $fresh
wait $idle $fresh 2>/dev/null

# ---- a child that was forked after its parent had the filter ----
cat >heirs.py <<'END'
import errno, os, time
open("/proc/self/comm", "w").write("heirs")
file = open(os.memfd_create("data2"), "w")
name = "parent"
print("ready", flush=True)
while True:
    if name == "parent" and os.path.exists("fork"):
        os.rename("fork", "forked")
        if not os.fork():
            name = "child"
            open("heir.pid", "w").write(str(os.getpid()))
    try:
        os.fsync(file.fileno())
        print(name, "ok", flush=True)
    except OSError as error:
        print(name, errno.errorcode[error.errno], flush=True)
    time.sleep(0.01)
END
python3 -u heirs.py >heirs.log 2>&1 &
parent=$!
within 30 grep -q ready heirs.log
on=$parent
inject syscall.fail calls=%sync errno=EIO
is "$status" 0 'a process that forks later'
touch fork
within 10 test -s heir.pid
heir=$(cat heir.pid)
: >heirs.log
on=$heir
inject syscall.fail calls=fsync errno=EIO
is "$status" 5 'its child has the same filter, and is not hit alone'
like "$out$err" "process $heir has the filter of process $parent, which started it" 'and it is said why'
run "$BRUNT" inject syscall.fail calls=fsync errno=ENOSPC attach=true --on process=heirs --pick all --victims 2 --hold 1s --plain
is "$status" 0 'with its parent it is hit'
check 'the child, too' grep -q 'child ENOSPC' heirs.log
check 'and the parent' grep -q 'parent ENOSPC' heirs.log
run "$BRUNT" inject syscall.fail calls=fsync errno=ENOSPC attach=true follow=false --on process=heirs --pick all --victims 2 --hold 1s --plain
is "$status" 5 'not where children are left alone'
kill -KILL "$parent" "$heir"
wait "$parent" 2>/dev/null

# ---- two faults that are about different processes ----
second=$victim
start three
third=$victim victim=$second
cat >two.json <<END
{ "schema": 1, "name": "two", "lease": "5s", "targets": { "a": { "process": { "pid": $first } }, "b": { "process": { "pid": $third } } },
  "method": [ { "name": "a", "fault": "syscall.fail", "on": "a", "calls": ["fsync"], "errno": "EIO", "attach": true, "hold": "1s" },
              { "name": "b", "fault": "syscall.fail", "on": "b", "calls": ["getpid", "fdatasync"], "errno": "EIO", "attach": true, "hold": "1s" } ],
  "blast_radius": { "victims": 2 } }
END
run "$BRUNT" run --plain two.json
is "$status" 7 'a filter of an earlier run need ask about what is for its process, no more (and nothing was judged)'
like "$out" "held .* calls failed: fsync .* $first" 'the one is hit'
like "$out" "held .* calls failed: fdatasync .* $third" 'and the other'
kill -KILL "$third"
wait "$third" 2>/dev/null
keeper=$(sandbox_pids | while read -r pid; do
	case $(cat "/proc/$pid/comm" 2>/dev/null) in brunt-keeper | seccomp-guard) echo "$pid" ;; esac
done)
mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
if [ -n "$mount" ] && [ -w "$mount/cgroup.procs" ]; then
	is "$(for pid in $keeper; do sed -n 's/^0:://p' "/proc/$pid/cgroup"; done | sort -u)" / \
		'keeper and guardian are at the top of cgroup v2'
else
	skip 'keeper and guardian are at the top of cgroup v2' 'no cgroup v2 that may be written to'
fi

# ---- the ends ----
kill -KILL "$victim" "$child"
wait "$victim" 2>/dev/null
within 10 eval '[ "$(kept)" = 2 ]'
is "$(kept)" 2 'keepers end with those that they are for'
: >one.log
check 'and not before: the first victim lives' within 10 grep -q 'fsync ok' one.log
kill -KILL "$first"
wait "$first" 2>/dev/null
within 10 eval '[ "$(kept)" = 0 ]'
is "$(kept)" 0 'nothing is left'
same "$before" "$(host_state)" 'the host is as it was'
done_testing
