#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Keepers and guardians killed and stopped at each of their system calls, and at random moments, while a target makes
# calls all the time: it sees no wrong result, and stands still for two seconds at most. The default takes a part of
# them; FULL=1 takes all, SEED=N other moments.
# kernels: on request
. "$(dirname "$0")/../functional/lib.sh"
sandbox "$@"
KEEPERS=$BUILD/tests/tools/keepers
[ -x "$KEEPERS" ] || skip_all "tests/tools/keepers is not built"
export BRUNT_TEST_SLOW=$SLOW

# try NAME ARGUMENT...
try() {
	local name=$1 seen code
	shift
	seen=$(timeout --kill-after=5 $((600 * SLOW)) "$KEEPERS" "$@" 2>&1)
	code=$?
	case $code in
	0) ok "$name: $(tail -n 1 <<<"$seen")" ;;
	77) skip "$name" "$(tail -n 1 <<<"$seen")" ;;
	*) not_ok "$name" "exit status $code
$seen" ;;
	esac
}

if [ -n "${FULL:-}" ]; then
	kills=100 stops=60 rounds=200
else
	kills=30 stops=6 rounds=30
fi
[ "$SLOW" = 1 ] || kills=5 stops=3 rounds=5
before=$(host_state)
try "the keeper is killed at any system call" keeper kill 1 $kills
try "the keeper is stopped at any system call" keeper stop 1 $stops
try "the keeper is killed while it takes a listener" giving kill 1 $kills
try "the keeper is stopped while it takes a listener" giving stop 1 $stops
try "the guardian is killed while it takes over" guardian kill 1 $((kills + 20))
try "the guardian is stopped while it takes over" guardian stop 19 $((20 + stops))
try "any of them at any moment" random $rounds "${SEED:-$(($(date +%s) % 30000))}"
same_host "$before" 'the host is as it was'
done_testing
