# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the crash tests share: a victim that says how it is, and runs that are looked at while they hold a fault.
# shellcheck source=../functional/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../functional/lib.sh"

PORT=8090
LEASE_MS=$((500 * SLOW))
declare -A pid_of # for the tests

# Runs this script again for each kind of fault ($KIND), in a sandbox each and all at once: most of the time is spent
# waiting. Returns in those. Where all takes longer there is one processor, and one at a time.
each_kind() {
	local worst=0 begun=()
	[ -z "${KIND:-}" ] || return 0
	parts=$(mktemp -d /tmp/brunt-test.XXXXXX) || exit 1
	trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$parts"' EXIT
	trap 'exit 143' HUP INT TERM
	for KIND in ${KINDS:-network.netem packet.drop network.partition connect.fail dns.fail process.pause tcp.hold syscall.fail}; do
		export KIND
		bash "$0" "$@" >"$parts/$KIND" 2>&1 &
		begun+=($!)
		[ "$SLOW" = 1 ] || await_kinds
	done
	await_kinds
	cat "$parts"/*
	exit $worst
}

# Waits for those begun so far; the worst of their statuses is kept.
await_kinds() {
	local pid code
	for pid in "${begun[@]}"; do
		wait "$pid"
		code=$?
		[ $code -le $worst ] || worst=$code
	done
	begun=()
}

# What connect.fail can make a call return on any kernel that has it.
refused=ECONNREFUSED
linux 5.18 || refused=EPERM

# The JSON of the fault of that kind.
fault_json() {
	case $1 in
	network.netem) echo '"fault": "network.netem", "delay": "200ms"' ;;
	network.partition) echo '"fault": "network.partition", "from": ["127.0.0.1"]' ;;
	connect.fail) echo '"fault": "connect.fail", "errno": "'$refused'"' ;;
	tcp.hold) echo "\"fault\": \"tcp.hold\", \"to\": \"127.0.0.1:$PORT\", \"connections\": 20" ;;
	syscall.fail) echo '"fault": "syscall.fail", "calls": ["connect"], "errno": "ECONNREFUSED", "attach": true' ;;
	dns.fail) echo '"fault": "dns.fail", "servers": ["127.0.0.1"]' ;;
	*) echo "\"fault\": \"$1\"" ;;
	esac
}

victim_start() {
	local serve=serve
	[ "${KIND:-}" != tcp.hold ] || serve=keep
	# For the plans' services, too: a clone in /root is closed to the user that they run as.
	install -m 644 "$TESTS/crash/victim.py" "$WORK/victim.py"
	python3 "$TESTS/crash/victim.py" $serve $PORT &
	server=$!
	python3 "$TESTS/crash/victim.py" ask $PORT "$WORK/log" "$WORK/victim.pid" "${KIND:-}" &
	victim=$!
	within 30 grep -q ^ok "$WORK/log" || skip_all "the victim does not start"
	: >"$WORK/stalls"
	python3 "$TESTS/crash/stalls.py" "$WORK/stalls" $((200 * SLOW)) &
	within 20 eval '[ "$(wc -l <"$WORK/stalls")" -ge "$(nproc)" ]' # whoever looks at the host's state finds all of it
}

# stood_still SINCE: did a processor of this machine, since then by the victim's clock, for longer than 200 ms?
stood_still() {
	sleep 0.1 # it is noted down when it is over
	awk -v since="$1" '$2 > since + 0 { found = 1 } END { exit !found }' "$WORK/stalls"
}

# unless_stalled FUNCTION ARGUMENT...: a case of several results. One that went wrong while the machine stood still is
# told, but not counted, and tried again, at most twice. One that went wrong without that counts at once.
unless_stalled() {
	local try begun count=$tap_count failed=$tap_failed
	for try in 1 2 3; do
		begun=$(clock_ms)
		"$@" >"$WORK/case"
		[ "$tap_failed" != "$failed" ] && [ "$try" != 3 ] && stood_still "$begun" || break
		sed 's/^/# the machine stood still: /' "$WORK/case"
		tap_count=$count tap_failed=$failed
	done
	cat "$WORK/case"
}

victim_end() {
	check 'the victim is alive, and its server' kill "$victim" "$server"
	wait "$victim" "$server" 2>/dev/null
	check 'and nobody answers for it any more' within 5 no_keepers
}

# Who answers for a victim with a seccomp filter does so until that ends.
no_keepers() {
	local pid comm
	for pid in $(sandbox_pids); do
		read -r comm 2>/dev/null <"/proc/$pid/comm" || continue
		case $comm in brunt-keeper | seccomp-guard) return 1 ;; esac
	done
}

# plan NAME FAULT-JSON [OTHER-JSON]: a fault that is held until the run is ended.
plan() {
	cat >"$WORK/$1.json" <<-END
	{ "schema": 1, "name": "$1", "lease": "${LEASE_MS}ms", ${3:-}
	  "targets": { "victim": { "process": { "pid_file": "$WORK/victim.pid" } } },
	  "services": { "idle": { "run": ["sleep", "1000"], "may_exit": true } },
	  "method": [
	    { "name": "hurt", "on": "victim", "background": true, $2 },
	    { "name": "look", "observe": "2m" } ],
	  "blast_radius": { "victims": 1, "duration": "5m" } }
	END
}

# Milliseconds of the clock that the victim writes down.
clock_ms() {
	local now=${EPOCHREALTIME/[.,]/}
	echo "${now%???}"
}

# The time of the first "ok" after that; empty without. The fault keeps every "ok" away, so none is from before it ended.
first_ok_after() {
	tail -n 2000 "$WORK/log" | awk -v since="$1" '$1 == "ok" && $2 > since + 0 { print $2; exit }'
}

well_since() {
	[ -n "$(first_ok_after "$1")" ]
}

# Nothing has gone well for 150 ms.
hurt() {
	! well_since $(($(clock_ms) - 150 * SLOW))
}

# roles PLAN: fills pid_of with the living roles of that run; succeeds when it holds a fault.
roles() {
	local name pid state=
	pid_of=()
	while read -r name pid; do
		# shellcheck disable=SC2034 # for the test
		if [ "$name" = state ]; then state=$pid; else pid_of[$name]=$pid; fi
	done < <("$BRUNT" status --output=json | python3 -c '
import json, sys
for run in json.load(sys.stdin)["runs"]:
    if run["plan"] == sys.argv[1]:
        for role in run["pids"].items():
            print(*role)
        print("state", *{fault["state"] for fault in run["faults"]})' "$1")
	[ "$state" = held ]
}

# No process of brunt is left in the sandbox, but for a keeper while its target lives.
no_roles() {
	local pid comm
	for pid in $(sandbox_pids); do
		read -r comm 2>/dev/null <"/proc/$pid/comm" && [[ $comm != brunt* || $comm = brunt-keeper ]] || return 1
	done
}
living_roles() {
	local pid
	for pid in $(sandbox_pids); do
		grep -H ^brunt "/proc/$pid/comm"
		grep -E '^State' "/proc/$pid/status"
	done 2>/dev/null
}

# is_over PID: it has ended, although nobody has waited for it yet.
is_over() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
	stat=${stat##*) }
	[ "${stat%% *}" = Z ]
}

verdict_of() { # RESULT-FILE
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["verdict"])' "$1" 2>&1
}
