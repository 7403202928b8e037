#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The promises, tried: while each kind of fault is held, with nobody reading a stdout that is full and the journal's
# writer stopped, roles are killed with SIGKILL or stopped with SIGSTOP, alone and together.
#
# kernels: on request
#
# The victim must be well again by itself within the lease (500 ms), half of it again for the dead man's switch, and a
# margin for a busy machine: no recover command is given before that is seen. The run must end with an honest status,
# leave no process and a host as it was. Where all takes longer (lib.sh, SLOW) lease and margin do, and only what
# depends on the kernel most is tried.
# shellcheck source=lib.sh disable=SC2154 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
each_kind "$@"
sandbox "$@"
victim_start

LIMIT_MS=${LIMIT_MS:-$((3 * LEASE_MS))}
[ "$SLOW" = 1 ] || ONLY=${ONLY:-': (kill -9 of (the holder|controller and holder)|SIGSTOP of controller and holder)$'}
ENDS_WITHIN=${ENDS_WITHIN:-12}

# Starts a run as its own session; returns when the fault is felt and told.
start() {
	rm -f "$WORK/stdout" "$WORK/result"
	mkfifo "$WORK/stdout"
	exec 9<>"$WORK/stdout"
	head -c 65000 /dev/zero >&9 # nearly full: the next words block
	setsid "$BRUNT" run --plain --result "$WORK/result" "$WORK/$kind.json" >"$WORK/stdout" 2>"$WORK/err" 9>&- </dev/null &
	brunt=$!
	within 10 roles "$kind" && within 5 hurt || return 1
	roles "$kind"
	kill -STOP "${pid_of[journal]}"
}

# A frozen process acts on nothing but SIGKILL. Without cgroup v2 nothing is frozen, and the case fails.
cgroup=/brunt-test.$$
cgroup_dir=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)$cgroup
freeze() {
	local pid
	own_cgroup "$cgroup"
	mkdir "$cgroup_dir"
	for pid in "$@"; do
		echo "$pid" >"$cgroup_dir/cgroup.procs"
	done
	echo 1 >"$cgroup_dir/cgroup.freeze"
}
thaw() {
	[ ! -d "$cgroup_dir" ] || echo 0 >"$cgroup_dir/cgroup.freeze"
}

finish() {
	local signal=$1 reaper
	shift
	if [ "$signal" != none ]; then
		# shellcheck disable=SC2086
		thaw
		kill -CONT "$@" 2>/dev/null
		sleep 0.$((2 * SLOW < 9 ? 2 * SLOW : 9)) # who stood still sees first what became of it
		kill "-$signal" "$brunt" 2>/dev/null
	fi
	asked=$(clock_ms)
	within "$ENDS_WITHIN" is_over "$brunt"
	reaper=$?
	ended=$(($(clock_ms) - asked))
	[ $reaper -eq 0 ] || kill -KILL "$brunt"
	wait "$brunt" 2>/dev/null
	status=$?
	[ $reaper -eq 0 ]
}

try() {
	unless_stalled attempt "$@"
}

# attempt NAME HOW STATUS LEFT ROLE...: HOW is the signal for the roles, perhaps with the signal that then ends the run
# after a comma (none: it must end by itself; default TERM). STATUS: what it then says. LEFT: nothing, or paths (a
# ledger and folders that wait for `brunt recover`).
attempt() {
	local name="$kind: $1" signal=${2%,*} end=TERM wanted=$3 left=$4 pids="" since took=- role verdict
	[[ $2 != *,* ]] || end=${2#*,}
	shift 4
	[ -z "${ONLY:-}" ] || [[ $name =~ $ONLY ]] || return 0
	if ! start; then
		not_ok "$name" "the fault was not felt: $(cat "$WORK/err"; "$BRUNT" status)"
		finish KILL
		"$BRUNT" recover >"$WORK/recover" 2>&1
		return
	fi
	for role in "$@"; do
		pids="$pids ${pid_of[$role]:-}"
		[ -n "${pid_of[$role]:-}" ] || not_ok "$name" "status does not tell the $role"
	done
	since=$(clock_ms)
	# shellcheck disable=SC2086
	case $signal in
	FREEZE) freeze $pids ;;
	GROUP-*) kill "-${signal#GROUP-}" -- "-$brunt" ;;
	*) kill "-$signal" $pids ;;
	esac
	if [ "$end" = GOES-ON ]; then
		sleep $((LEASE_MS * 7 / 5000)).$((LEASE_MS * 7 / 5 % 1000 / 100))
		hurt && ok "$name: the run goes on" || not_ok "$name: the run goes on" "$(cat "$WORK/err")"
		since=$(clock_ms) end=TERM
		kill -TERM "$brunt"
	fi
	if within 5 well_since "$since"; then
		took=$(($(first_ok_after "$since") - since))
		[ $took -le "$LIMIT_MS" ] && ok "$name: well again after $took ms" ||
			not_ok "$name: well again in time" "after $took ms"
	else
		not_ok "$name: well again" "the fault stayed; $(grep ^State "/proc/$victim/status")"
		"$BRUNT" status | sed 's/^/# /'
	fi
	# Nobody ends such a run but the controller, who hears of it at its next poll: before it is told to end.
	[ "$*" != responder ] || sleep "$SLOW"
	# shellcheck disable=SC2086
	finish "$end" $pids || not_ok "$name: the run ends" "$(living_roles)"
	is "$status" "$wanted" "$name: exit status $wanted"
	if [[ $left == *writers* ]]; then # nobody is left to see to them: what they wait for must come
		exec 9>&-
		kill -CONT "${pid_of[journal]}" 2>/dev/null
	fi
	within 5 no_roles && ok "$name: no process is left" || not_ok "$name: no process is left" "$(living_roles)"
	exec 9>&-
	[ ! -d "$cgroup_dir" ] || rmdir "$cgroup_dir"
	verdict=$(verdict_of "$WORK/result")
	case $wanted in 130 | 143) role=stopped ;; *) role=error ;; esac
	is "$verdict" $role "$name: the result file says $role"
	run brunt recover
	is "$status" 0 "$name: recover finishes"
	case $left in
	nothing) like "$out" '^nothing to recover' "$name: and had nothing to do" ;;
	*) like "$out" 'nothing of it is left' "$name: from the ledger" ;;
	esac
	[ "$SLOW" != 1 ] || same_host "$before" "$name: the host is as it was"
	printf '# %-58s well after %5s ms, ended after %5s ms\n' "$name" "$took" "$ended" >>"$WORK/times"
}

before=$(host_state)

# Where the recoverer is killed, too, it is first: it must not get to its work in between.
kind=$KIND
plan "$kind" "$(fault_json "$kind")"
try "kill -9 of the controller" KILL,none 137 nothing controller
try "kill -9 of the holder" KILL 5 nothing holder
try "kill -9 of controller and holder" KILL,none 137 nothing controller holder
try "kill -9 of controller and recoverer" KILL,none 137 paths,writers recoverer controller
try "kill -9 of holder and recoverer" KILL 5 paths recoverer holder
try "kill -9 of controller, holder and recoverer" KILL,none 137 paths,writers recoverer controller holder
try "kill -9 of every role" KILL,none 137 paths recoverer controller holder launcher journal screen
try "kill -9 of the recoverer" KILL 5 paths recoverer
try "kill -9 of the launcher" KILL 5 nothing launcher
try "kill -9 of the journal's writer" KILL 5 nothing journal
try "kill -9 of the screen" KILL,GOES-ON 143 nothing screen
try "SIGSTOP of the controller" STOP 5 nothing controller
try "SIGSTOP of the holder" STOP 5 nothing holder
try "SIGSTOP of controller and holder" STOP 5 nothing controller holder
roles="controller holder recoverer launcher journal screen"
# shellcheck disable=SC2086
try "SIGSTOP of every role" STOP 5 nothing $roles
try "every role frozen" FREEZE 5 nothing $roles
if [ $kind = dns.fail ]; then
	try "SIGSTOP of every role and the responder" STOP 5 nothing $roles responder
	try "every role and the responder frozen" FREEZE 5 nothing $roles responder
	try "kill -9 of the responder" KILL 5 nothing responder
	try "kill -9 of holder and responder" KILL 5 nothing holder responder
	try "SIGSTOP of the responder" STOP 5 nothing responder
	try "SIGSTOP of holder and responder" STOP 5 nothing holder responder
	try "SIGSTOP of controller, holder and responder" STOP 5 nothing controller holder responder
fi
if [ $kind = process.pause ]; then
	try "SIGSTOP of every role and the pauser" STOP 5 nothing $roles pauser
	try "every role and the pauser frozen" FREEZE 5 nothing $roles pauser
	try "kill -9 of the pauser" KILL 5 nothing pauser
	try "kill -9 of holder and pauser" KILL 5 nothing holder pauser
	try "SIGSTOP of the pauser" STOP 5 nothing pauser
	try "SIGSTOP of holder and pauser" STOP 5 nothing holder pauser
	try "SIGSTOP of controller, holder and pauser" STOP 5 nothing controller holder pauser
fi
if [ $kind = syscall.fail ]; then
	try "kill -9 of the keeper" KILL 5 nothing keeper
	try "kill -9 of holder and keeper" KILL 5 nothing holder keeper
	try "kill -9 of controller, holder and keeper" KILL,none 137 nothing controller holder keeper
	try "kill -9 of every role and the keeper" KILL,none 137 paths recoverer controller holder launcher journal screen keeper
	try "SIGSTOP of the keeper" STOP 5 nothing keeper
	try "SIGSTOP of holder and keeper" STOP 5 nothing holder keeper
	try "SIGSTOP of every role and the keeper" STOP 5 nothing $roles keeper
	try "every role and the keeper frozen" FREEZE 5 nothing $roles keeper
fi
if [ $kind = packet.drop ]; then # what does not depend on the kind of fault
	try "SIGSTOP of the launcher" STOP,GOES-ON 143 nothing launcher
	try "SIGSTOP of the recoverer" STOP,GOES-ON 143 nothing recoverer
	try "SIGSTOP of the screen" STOP,GOES-ON 143 nothing screen
	try "Ctrl-C" GROUP-INT,none 130 nothing
	try "Ctrl-Z" GROUP-TSTP,none 130 nothing
	try "Ctrl-\\" GROUP-QUIT,none 130 nothing
	try "the terminal hangs up" GROUP-HUP,none 130 nothing
	try "SIGTERM to all" GROUP-TERM,none 143 nothing
fi

[ "$SLOW" = 1 ] || same_host "$before" "$kind: the host is as it was"
victim_end
cat "$WORK/times"
done_testing
