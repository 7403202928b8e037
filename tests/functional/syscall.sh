#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# syscall.fail and syscall.delay: which calls are hit, what is refused and why, and that nothing stays but a neutral filter.
# Real servers: syscall_redis.sh, syscall_postgres.sh, syscall_nginx.sh. Figures and kinds of programs: syscall_programs.sh.
. "$(dirname "$0")/lib.sh"
sandbox "$@"
"$BRUNT" doctor | grep -q '^  syscall.fail *yes' || skip_all "$("$BRUNT" doctor | grep syscall.fail)"
before=$(host_state)

inject() { # again, at most twice, when this host was too busy for the lease
	local _
	for _ in 1 2 3; do
		run brunt inject --seed 42 "$@"
		[[ $err == *"from then on every call passed"* ]] || break
	done
}
keepers() { # and guardians, of this sandbox
	local pid
	for pid in $(sandbox_pids); do
		grep -lE '^(brunt-keeper|seccomp-guard)' "/proc/$pid/comm" 2>/dev/null
	done
}
# What a command said, on one line.
said() {
	echo "$out" | tr '\n' ' '
}

# ---- which calls ----
echo one >one.txt
echo two >two.txt
cat >calls.py <<'END'
import ctypes, errno, os, socket, sys, threading
def tell(name, call, *args):
    try:
        call(*args)
        print(name, "ok", flush=True)
    except OSError as e:
        print(name, errno.errorcode[e.errno], flush=True)
def files():
    a, b = (os.open(n, os.O_WRONLY | os.O_CREAT) for n in ("a.out", "b.out"))
    for name, fd in ("a", a), ("b", b):
        tell("write-" + name, os.write, fd, b"x")
        tell("fsync-" + name, os.fsync, fd)
def flags():
    tell("read", os.open, "one.txt", os.O_RDONLY)
    tell("create", os.open, "new.txt", os.O_WRONLY | os.O_CREAT)
    tell("fchmod-600", os.chmod, "one.txt", 0o600)
    tell("fchmod-644", os.chmod, "one.txt", 0o644)
def sockets():
    servers = [socket.create_server(("127.0.0.1", port)) for port in (7401, 7402)]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for port in 7401, 7402:
        s = socket.socket()
        tell("connect-%d" % port, s.connect, ("127.0.0.1", port))
        tell("write-%d" % port, os.write, s.fileno(), b"x")
        tell("sendto-%d" % port, udp.sendto, b"x", ("127.0.0.1", port))
def threads():
    own = os.open("threads.out", os.O_WRONLY | os.O_CREAT)
    def act(name):
        ctypes.CDLL(None).prctl(15, name, 0, 0, 0)
        tell(name.decode(), os.fsync, own)
    for name in b"io_one", b"io_two", b"other":
        t = threading.Thread(target=act, args=(name,))
        t.start()
        t.join()
globals()[sys.argv[1]]()
END
python="python3 -B calls.py"
export PYTHONDONTWRITEBYTECODE=1
python3 -c pass # warm

inject syscall.fail calls=write,fsync errno=EIO path="$WORK/a.out" -- $python files
is "$(said)" 'write-a EIO fsync-a EIO write-b ok fsync-b ok ' 'by path, of an open descriptor'
inject syscall.fail calls=%sync errno=EIO path='*/b.*' -- $python files
is "$(said)" 'write-a ok fsync-a ok write-b ok fsync-b EIO ' 'by wildcard'
inject syscall.fail calls=openat errno=EACCES path="$WORK/two.txt" -- sh -c 'cat ./one.txt; cat ../${PWD##*/}/two.txt'
is "$out" one 'by a path that is written otherwise'
like "$err" 'two.txt: Permission denied' 'and only that one'
inject syscall.fail calls=openat errno=ENOSPC 'args=[{"arg":2,"mask":64,"value":64}]' path="$WORK/*" -- $python flags
is "$(said)" 'read ok create ENOSPC fchmod-600 ok fchmod-644 ok ' 'by one bit of an argument (O_CREAT)'
inject syscall.fail calls=chmod errno=EPERM 'args=[{"arg":1,"value":384}]' -- $python flags
is "$(said)" 'read ok create ok fchmod-600 EPERM fchmod-644 ok ' 'by an argument'
inject syscall.fail calls=connect,sendto,write errno=ETIMEDOUT to=127.0.0.1:7402 -- $python sockets
is "$(said)" 'connect-7401 ok write-7401 ok sendto-7401 ok connect-7402 ETIMEDOUT write-7402 EPIPE sendto-7402 ETIMEDOUT ' \
	'by address: connect, and UDP'
inject syscall.fail calls=write errno=ECONNRESET to=127.0.0.1:7402 -- $python sockets
is "$(said)" 'connect-7401 ok write-7401 ok sendto-7401 ok connect-7402 ok write-7402 ECONNRESET sendto-7402 ok ' \
	'by address: writes on a connected socket'
inject syscall.fail calls=fsync errno=EIO thread='io_*' -- $python threads
is "$(said)" 'io_one EIO io_two EIO other ok ' 'by thread'
inject syscall.fail calls=openat errno=EACCES path="$WORK/*" process=head -- sh -c 'cat one.txt; head two.txt'
is "$out" one 'by process'
inject syscall.fail calls=openat errno=EACCES path='/nowhere/*' -- cat one.txt
is "$status" 7 'nothing fits: inconclusive'
like "$err" 'inconclusive: syscall.fail hit nothing: saw [0-9]+ calls, none that fits \(path\)' 'and brunt says which condition'
inject syscall.fail calls=openat errno=EACCES path="$WORK/two.txt" --hold 2s -- sh -c 'cat two.txt; sleep 4; cat two.txt'
is "$out" two 'with --hold it ends before the command does'
inject syscall.fail calls=openat errno=EACCES path="$WORK/two.txt" -- sh -c 'cat two.txt; exit 3'
is "$status" 3 'the exit status is that of the command'

# ---- brunt dies: the command goes on ----
mkfifo fifo
"$BRUNT" inject --seed 42 syscall.fail calls=openat errno=EACCES path="$WORK/two.txt" -- \
	sh -c 'cat two.txt; echo now; read line <fifo; cat two.txt' >killed.out 2>&1 &
brunt=$!
within 10 grep -q now killed.out
kill -KILL $brunt
wait $brunt 2>/dev/null
echo go >fifo
check 'kill -9 of brunt: the command goes on, unharmed' within 10 grep -qx two killed.out
like "$(head -n 1 killed.out)" 'Permission denied' 'after it had been hit'
within 10 eval '[ -z "$(keepers)" ]'
is "$(keepers)" '' 'keeper and guardian end with it'

# ---- an ordinary user ----
user_brunt=$(user_brunt)
nobody='setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --no-new-privs' # as_user, without a shell between
chmod 644 two.txt
mkdir -m 777 user
run $nobody "$user_brunt" inject --seed 42 syscall.fail calls=openat errno=EACCES path="$WORK/two.txt" -- cat two.txt
is "$status" 1 'an ordinary user may, too'
like "$err" 'two.txt: Permission denied' 'and it bites'
like "$err" '1 calls? failed' 'and is counted'
run $nobody "$user_brunt" inject syscall.fail calls=mkdir errno=EROFS -- mkdir "$WORK/user/new"
is "$status" 1 'by the kernel alone, too'
like "$err" 'Read-only file system' 'it bites'

# a program whose memory is closed to its own user, as all are with Yama's ptrace_scope
cat >closed.py <<'END'
import ctypes
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
open("/etc/passwd").read()
END
run $nobody "$user_brunt" inject syscall.fail calls=openat errno=EACCES path=/etc/passwd -- python3 -B closed.py
is "$status" 7 'what may not be read fits nothing: inconclusive'
like "$err" 'may not read what [0-9]+ of [0-9]+ calls are about: .*ptrace_scope' 'and that is the reason that is given'
yama() { # SCOPE USER... ARGUMENT...: brunt inject where that is the ptrace_scope, for all that it can see
	# shellcheck disable=SC2016
	run unshare --mount sh -c 'mount -t tmpfs yama /proc/sys/kernel && mkdir /proc/sys/kernel/yama &&
		echo "$1" >/proc/sys/kernel/yama/ptrace_scope && shift && exec "$@"' sh "$@"
}
fail="syscall.fail calls=openat errno=EACCES"
yama 1 $nobody "$user_brunt" inject $fail path="$WORK/two.txt" -- cat two.txt
like "$err" 'ptrace_scope is 1: .* without CAP_SYS_PTRACE, "path" fits only calls on descriptors' 'Yama: said before the command begins'
is "$status" 1 'Yama: it is tried all the same'
yama 2 $nobody "$user_brunt" inject syscall.fail calls=connect errno=EACCES to=127.0.0.1 -- true
like "$err" 'ptrace_scope is 2: .* without CAP_SYS_PTRACE, "to" fits nothing' 'Yama: of addresses, too'
yama 3 "$BRUNT" inject $fail path="$WORK/two.txt" -- cat two.txt
like "$err" 'ptrace_scope is 3: the command.s memory may not be read, ' 'Yama: scope 3 is for root, too'
for case in "0 $nobody $user_brunt path=$WORK/two.txt" "1 $BRUNT path=$WORK/two.txt" "1 $nobody $user_brunt first=1"; do
	# shellcheck disable=SC2086 # words
	yama ${case% *} inject $fail "${case##* }" -- cat two.txt
	unlike "$err" ptrace_scope "Yama: nothing is said without need: ${case%% *} ${case##* }"
done

# ---- dry runs ----
inject -n syscall.fail calls=fsync errno=EIO -- touch "$WORK/touched"
like "$out" 'mechanism +seccomp filter, answered by the kernel' 'dry run: the cheapest mechanism that can do it'
inject -n syscall.fail calls=fsync errno=EIO probability=1% -- touch "$WORK/touched"
like "$out" "mechanism +seccomp notification, answered by brunt's keeper" 'or the next one'
like "$out" 'undone by +the keeper, when brunt ends; the filter stays, neutral, until the command ends' 'and what stays'
check 'nothing was started' test ! -e touched
sleep 100 &
sleeper=$!
inject -n syscall.delay calls=clock_gettime,fsync delay=1ms attach=true --on pid=$sleeper
like "$out" 'clock_gettime: mostly answered by the vDSO, without the kernel: not seen' 'what cannot be seen is said'
like "$out" '1 process keeps a filter until exit' 'and what it costs'

# ---- bad input ----
refuses() { # MESSAGE PARAMETERS...
	local message=$1
	shift
	inject "$@" -- touch "$WORK/touched"
	is "$status $err" "2 brunt inject: $message" "refused: $*"
}
refuses "no system call is called 'fsnyc'; did you mean 'fsync'?" syscall.fail calls=fsnyc errno=EIO
refuses "no class of calls is called '%files'; there are %file, %desc, %network, %memory, %process, %signal, %ipc, %sync, %creds, %clock" \
	syscall.fail calls=%files errno=EIO
refuses "errno/0: no errno is called 'EIOO'; did you mean 'EIO'?" syscall.fail calls=fsync errno=EIOO
refuses "errno/0: no errno has the number '5000'; they go from 1 to 4095" syscall.fail calls=fsync errno=5000
refuses '"last" 2 comes before "first" 3: no call would be hit' syscall.fail calls=fsync errno=EIO first=3 last=2
refuses 'a call cannot both fail with an errno and return a value' syscall.fail calls=fsync errno=EIO value=0
refuses 'says nothing of what happens: "errno": "EIO", or a "value"' syscall.fail calls=fsync
refuses "path 'one.txt' is not absolute; begin it with / or *" syscall.fail calls=fsync errno=EIO path=one.txt
refuses 'none of these calls is about a path or a descriptor: "path" never fits' syscall.fail calls=getpid errno=EIO path=/x
refuses 'none of these calls is about an address or a socket: "to" never fits' syscall.fail calls=unlink errno=EIO to=10.0.0.1
refuses 'argument 0 has two conditions; one fault can have one of each' syscall.fail calls=fsync errno=EIO 'args=[{"arg":0,"value":1},{"arg":0,"value":2}]'
refuses 'args/0: "value" has bits that "mask" takes away: it never fits' syscall.fail calls=fsync errno=EIO 'args=[{"arg":0,"value":3,"mask":1}]'
refuses 'a normal distribution needs "jitter", its standard deviation' syscall.delay calls=fsync delay=1ms distribution=normal
refuses 'an exponential distribution has no "jitter": its delay says all' syscall.delay calls=fsync delay=1ms distribution=exponential jitter=1ms
for option in '--pick all' '--victims 1' '--result r.json' '--output json' --plain; do
	# shellcheck disable=SC2086 # words
	refuses "${option%% *} has no effect on a command: it goes with --on; see 'brunt inject --help'" $option syscall.fail calls=fsync errno=EIO
done
for hold in 0s 1ns 8d 100000d; do
	refuses "--hold '$hold' is not between 1ms and 7d; see 'brunt inject --help'" --hold $hold syscall.fail calls=fsync errno=EIO
done
check 'and nothing was started' test ! -e touched
run brunt inject --counted syscall.fail calls=fsync errno=EIO attach=true --on pid=$sleeper
is "$status $err" "2 brunt inject: --counted has no effect with --on, where hits are always counted; see 'brunt inject --help'" \
	'refused: --counted --on'
run brunt inject --hold 5s process.kill --on pid=$sleeper
is "$status $err" "2 brunt inject: --hold has no effect on process.kill, which happens once; see 'brunt inject --help'" \
	'refused: --hold of what is over at once'
check 'and nothing was done' kill -0 $sleeper

# ---- processes that are refused, and why ----
no() { # STATUS MESSAGE ON
	run brunt inject --plain --hold 300ms syscall.fail calls=fsync errno=EIO attach=true --on "$3"
	err=$out$err
	is "$status" "$1" "refused: --on ${3%%=*}: $2"
	like "$(echo "$err" | tr -s '\n ' ' ')" "$2" 'it says why'
}
run brunt inject syscall.fail calls=fsync errno=EIO --on pid=$sleeper
is "$status $err" '2 brunt inject: a process that runs already keeps the filter, neutral, until it exits: allow it with "attach": true' \
	'a process that runs: only when it was allowed'
no 9 'only protected processes match: .* pid 1 is init' pid=1
no 9 'there is no process 4194304' pid=4194304
kill -STOP $sleeper
no 5 "process $sleeper \(sleep\) is stopped: continue it first" pid=$sleeper
kill -CONT $sleeper
mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
cgroup=/brunt.$(printf %08x $$)
if [ -n "$mount" ] && mkdir "$mount$cgroup" 2>/dev/null; then
	own_cgroup "$cgroup"
	echo $sleeper >"$mount$cgroup/cgroup.procs"
	echo 1 >"$mount$cgroup/cgroup.freeze"
	within 5 grep -q 'frozen 1' "$mount$cgroup/cgroup.events"
	no 5 "process $sleeper \(sleep\) is frozen by its cgroup: thaw that first" pid=$sleeper
	echo 0 >"$mount$cgroup/cgroup.freeze"
	echo $sleeper >"$mount/cgroup.procs"
	rmdir "$mount$cgroup"
else
	skip 'a frozen process' 'no cgroup v2 here'
fi
if command -v strace >/dev/null; then
	strace -o /dev/null -p $sleeper &
	tracer=$!
	within 10 grep -q "^TracerPid:[[:space:]]*$tracer" /proc/$sleeper/status
	no 5 "process $sleeper \(sleep\) is traced by process $tracer: end that first" pid=$sleeper
	kill $tracer
	wait $tracer 2>/dev/null
else
	skip 'a traced process' 'strace is not installed'
fi
cat >listener.c <<'END'
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct sock_filter allow = { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	struct sock_fprog program = { 1, &allow };
	(void)argv;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, argc > 1 ? 0 : SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) < 0)
		return 1;
	for (;;) {
		fsync(-1);
		usleep(10000);
	}
}
END
if gcc -o listener listener.c 2>gcc.log; then
	./listener &
	listener=$!
	within 5 grep -q '^Seccomp:[[:space:]]*2' /proc/$listener/status
	no 5 "process $listener .*has a seccomp listener already" pid=$listener
	check 'and it lives on' kill -0 $listener
	kill $listener
	wait $listener 2>/dev/null
	./listener filter-only &
	listener=$!
	within 5 grep -q '^Seccomp:[[:space:]]*2' /proc/$listener/status
	cat >plan.json <<-END
	{ "schema": 1, "name": "plan", "seed": 7, "lease": "3s", "targets": { "it": { "process": { "pid": $listener } } },
	  "method": [ { "run": ["true"] }, { "name": "f", "fault": "syscall.fail", "on": "it", "attach": true, "calls": "fsync",
	    "errno": "EIO", "every": 2, "times": 3, "hold": "3s", "hits": { "min": 3 } } ] }
	END
	run brunt run --plain plan.json
	err=$out$err
	is "$status" 0 'a process with a filter of its own, as a unit with SystemCallFilter= has, is hit'
	like "$out" '3 calls failed' 'and as often as the plan says'
	kill $listener
	wait $listener 2>/dev/null
	within 10 eval '[ -z "$(keepers)" ]'
else
	skip 'a process with a listener of its own' "$(head -n 1 gcc.log)"
fi
run $nobody env XDG_STATE_HOME="$WORK/user" XDG_RUNTIME_DIR="$WORK/user" "$user_brunt" inject --plain --hold 300ms \
	syscall.fail calls=fsync errno=EIO attach=true --on pid=$sleeper
err=$out$err
is "$status" 9 "refused: another user's process"
like "$err" 'CAP_SYS_PTRACE|not permitted|belongs to|may not' 'it says why'
is "$(sed -n 's/^Seccomp:[[:space:]]*//p' /proc/$sleeper/status)" 0 'none of these has a filter now'
is "$(keepers)" '' 'and no keeper is left'
check 'the process lives' kill -0 $sleeper
kill $sleeper
wait $sleeper 2>/dev/null
same_host "$before" 'the host is as it was'
done_testing
