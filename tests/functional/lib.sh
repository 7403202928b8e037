# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What functional and crash tests share. A test reads like this:
#
#   . "$(dirname "$0")/../functional/lib.sh"
#   sandbox "$@"                        # from here on: own network, own /run/brunt, own $WORK; needs root
#   before=$(host_state)
#   run brunt run plan.json             # fills $status, $out, $err
#   is "$status" 0 'a healthy system passes'
#   like "$out" 'PASSED' 'the verdict comes first'
#   same "$before" "$(host_state)" 'the host is as it was'
#   done_testing
#
# Output is TAP. The sandbox is a network and a mount namespace of the test's own: links, filters, rules, /run/brunt
# and mounts in it are nobody else's, and the kernel removes them with the last process. When the test ends, however it
# ends but by SIGKILL, every process that is still in the network namespace is killed, cgroups of these runs and $WORK
# are removed. The host's own network is never touched.
set -u
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$TESTS/../build}
BRUNT=${BRUNT:-$BUILD/brunt}
export TESTS BUILD BRUNT
for dir in /usr/lib/postgresql/*/bin; do # Debian has them in no PATH
	[ -d "$dir" ] && PATH=$PATH:$dir
done
tap_count=0
tap_failed=0

# ---- the sandbox ----

# Starts this script again in namespaces of its own, with a folder $WORK; returns inside. Skips the test when that is
# not possible here.
sandbox() {
	if [ -z "${BRUNT_SANDBOX:-}" ]; then
		[ "$(id -u)" -eq 0 ] || skip_all "needs root for namespaces of its own"
		unshare --net --mount true 2>/dev/null || skip_all "no network and mount namespaces here"
		BRUNT_SANDBOX=1 exec unshare --net --mount --propagation private bash "$0" "$@"
	fi
	ip link set lo up || skip_all "the loopback of a new network namespace cannot be set up"
	mkdir -p /run/brunt
	mount -t tmpfs -o mode=755 brunt-test /run/brunt || skip_all "no tmpfs can be mounted on /run/brunt"
	WORK=$(mktemp -d /tmp/brunt-test.XXXXXX) || exit 1
	chmod 755 "$WORK"
	export WORK BRUNT_SANDBOX
	# The plan's services need no sudo identity of whoever runs the tests.
	unset SUDO_UID SUDO_GID SUDO_USER
	export XDG_STATE_HOME=$WORK/state
	trap sandbox_end EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	cd "$WORK" || exit 1
}

# Pids in this network namespace, but not this shell, its ancestors or its command substitutions.
sandbox_pids() {
	local dir pid own=' ' up=$$ stat
	while [ "${up:-0}" -gt 0 ]; do
		own="$own$up "
		read -r stat <"/proc/$up/stat" || break
		stat=${stat##*) }
		up=${stat#* }
		up=${up%% *}
	done
	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		[ "$dir/ns/net" -ef "/proc/$$/ns/net" ] || continue
		case $own in *" $pid "*) continue ;; esac
		[ "$pid" = "$BASHPID" ] || echo "$pid"
	done
}

sandbox_end() {
	local status=$? pid pids round mount dir
	# A background subshell that is killed right after its fork runs this, too.
	[ "$BASHPID" = $$ ] || exit "$status"
	trap - EXIT
	trap '' HUP INT TERM
	for round in 1 2 3; do # a process that is just being forked is met in the next round
		pids=$(sandbox_pids)
		[ -z "$pids" ] && break
		for pid in $pids; do
			kill -KILL "$pid" 2>/dev/null
		done
		sleep "0.$round"
	done
	# Those of runs that were just killed with their recoverer, too: their ledgers go with the sandbox.
	find "$WORK" -name '*.jsonl' | sed 's#.*-\([0-9a-f]*\)\.jsonl$#/brunt.\1#' >>"$WORK/cgroups"
	mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
	if [ -n "$mount" ] && [ -s "$WORK/cgroups" ]; then
		while read -r dir; do
			find "$mount$dir" -depth -type d -exec rmdir {} \; 2>/dev/null
		done <"$WORK/cgroups"
	fi
	cd / && rm -rf "$WORK"
	exit "$status"
}

# Remembers a cgroup ("/brunt.1234abcd") that the test made: removed at its end.
own_cgroup() {
	echo "$1" >>"$WORK/cgroups"
}

host_state() {
	bash "$TESTS/functional/host_state.sh"
}

# ---- running things ----

# Runs a command: its exit status in $status, its output in $out and $err. `brunt` stands for the program under test.
run() {
	if [ "$1" = brunt ]; then
		shift
		set -- "$BRUNT" "$@"
	fi
	timeout --kill-after=5 $((${LIMIT:-60} * SLOW)) "$@" >"$WORK/.out" 2>"$WORK/.err" </dev/null
	# shellcheck disable=SC2034 # for the test
	status=$? out=$(cat "$WORK/.out") err=$(cat "$WORK/.err")
}

# Did brunt itself get no processor in the run whose journal is the newest, for 0.3 s or a lease? It says so there.
was_starved() {
	local journals=("$XDG_STATE_HOME"/brunt/*.jsonl) # their names begin with the time
	grep -qsE 'not sampled: brunt was ([3-9][0-9]{2}[0-9.]* ms|[0-9.]+ s) late|lease ran out' "${journals[-1]}"
}

# run_fed STATUS COMMAND...: as `run`; again, at most twice, when the exit status is another one and brunt was starved.
run_fed() {
	local wanted=$1 _
	shift
	for _ in 1 2 3; do
		run "$@"
		[ "$status" -ne "$wanted" ] && was_starved || break
		echo "# brunt got no processor: exit status $status, not $wanted"
	done
}

# Where an ordinary user can run brunt: a clone in /root is closed to him, a copy in $WORK is not.
user_brunt() {
	if as_user test -x "$BRUNT" 2>/dev/null; then
		echo "$BRUNT"
	else
		install -m 755 "$BRUNT" "$WORK/brunt-of-anyone" && echo "$WORK/brunt-of-anyone"
	fi
}

# An ordinary user runs a command.
as_user() {
	setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --no-new-privs env HOME=/nonexistent "$@"
}

# How many times longer things may take here than on hardware: an emulated machine is that slow (tests/run).
SLOW=${BRUNT_TEST_SLOW:-1}

# linux VERSION: is the kernel that or newer?
linux() {
	[ "$(printf '%s\n' "$1" "$(uname -r)" | sort -V | head -n 1)" = "$1" ]
}

# Waits until a command succeeds: within SECONDS COMMAND... Tries every 20 ms.
within() {
	local end
	end=$(($(date +%s%N) + ${1%.*} * SLOW * 1000000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s%N)" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# Milliseconds of a clock that only goes forward.
now_ms() {
	awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime
}

# ---- telling the result ----

ok() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}

# not_ok NAME [LINES]: LINES say what was seen.
not_ok() {
	tap_count=$((tap_count + 1)) tap_failed=$((tap_failed + 1))
	echo "not ok $tap_count - $1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/# /'
}

skip() { # NAME REASON
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP ${2:?a skip has a reason}"
}

# The whole test cannot run here.
skip_all() {
	echo "# SKIP ${1:?a skip has a reason}"
	exit 77
}

is() { # SEEN WANTED NAME
	if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3" "seen:   $1
wanted: $2
${err:-}"; fi
}

like() { # SEEN EXTENDED-REGEX NAME
	if printf '%s\n' "$1" | grep -Eq -- "$2"; then ok "$3"; else not_ok "$3" "no line matches: $2
$1"; fi
}

unlike() { # SEEN EXTENDED-REGEX NAME
	if printf '%s\n' "$1" | grep -Eq -- "$2"; then not_ok "$3" "a line matches: $2
$1"; else ok "$3"; fi
}

# check NAME COMMAND...: the command succeeds.
check() {
	local name=$1 seen
	shift
	if seen=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$* failed ($?)
$seen"; fi
}

# same BEFORE AFTER NAME: two texts are equal; shows what differs.
same() {
	if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3" "$(diff <(printf '%s\n' "$1") <(printf '%s\n' "$2"))"; fi
}

# same_host BEFORE NAME: the host is as it was, or is within 3 s: a line that a killed brunt leaves lets what waits in it
# arrive, and the kernel frees programs and namespaces a moment after their last user.
same_host() {
	local now
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		now=$(host_state)
		[ "$1" = "$now" ] && break
		sleep 0.3
	done
	same "$1" "$now" "$2"
}

# At the end of every test: without it the test counts as failed.
done_testing() {
	if [ "$tap_count" -eq 0 ]; then
		echo "not ok 1 - the test tested nothing"
		exit 1
	fi
	echo "1..$tap_count"
	[ "$tap_failed" -eq 0 ]
	exit
}
