#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The ready-made experiments end as experiments/README.md says, and leave nothing behind.
. "$(dirname "$0")/lib.sh"
sandbox "$@"
for program in nginx haproxy curl; do
	command -v "$program" >/dev/null || skip_all "$program is not installed"
done
experiments=$(cd "$TESTS/../experiments" && pwd)
before=$(host_state)

# ends NAME STATUS WORD
ends() {
	run_fed "$2" brunt run --plain "$experiments/$1.json"
	if [ "$status" -ne "$2" ] && { was_starved || [[ $out == *'not sampled: brunt was'* ]]; }; then
		skip "$1: ends with $3" 'this host was too busy for a sample every 100 ms'
		return
	fi
	is "$status" "$2" "$1: exit status $2"
	like "$out" "$3  $1" "$1: ends with $3"
	same "$before" "$(host_state)" "$1: the host is as it was"
}
ends quickstart 0 PASSED
ends quickstart-abort 3 ABORTED
ends upstream-timeout 0 PASSED
ends frozen-backend 0 PASSED
ends dying-workers 0 PASSED
ends creeping-loss 0 PASSED
ends slow-backend 0 PASSED
ends thin-line 0 PASSED
ends flapping-backend 0 PASSED
ends connection-pool-exhausted 0 PASSED
ends lost-connections 0 PASSED
ends failing-lookups 0 PASSED
ends bursty-loss 0 PASSED
ends partitioned-proxy 0 PASSED
lacking=$("$BRUNT" doctor | sed -n 's/^  file.fail *no *//p')
if [ -n "$lacking" ]; then
	run brunt check "$experiments/full-disk.json"
	is "$status" 0 'full-disk: is right'
	skip 'full-disk: ends with PASSED' "$lacking"
else
	ends full-disk 0 PASSED
fi
ends nginx-no-descriptors 0 PASSED
ends nginx-slow-answers 0 PASSED
if command -v redis-server >/dev/null && command -v redis-cli >/dev/null; then
	ends redis-fsync-fails 0 PASSED
else
	skip 'redis-fsync-fails' 'redis-server is not installed'
fi
done_testing
