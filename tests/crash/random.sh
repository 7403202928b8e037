#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL, SIGSTOP and SIGTERM at random moments to random roles, up to three times in a run that applies and reverts
# every kind of fault, starts services and commands. SEED=N does one run again, ROUNDS=N does more of them.
#
# In the end the victim is well, `brunt stop` and `brunt recover` finish what there is, and nothing is left.
# shellcheck source=lib.sh disable=SC2154 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
sandbox "$@"
victim_start

cat >"$WORK/random.json" <<END
{ "schema": 1, "name": "random",
  "targets": { "victim": { "process": { "pid_file": "$WORK/victim.pid" } }, "web": { "service": "web" } },
  "services": {
    "web": { "run": ["python3", "$WORK/victim.py", "serve", "8091"], "ready": { "tcp": "127.0.0.1:8091" }, "restart": "50ms" },
    "idle": { "run": ["sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000"], "may_exit": true } },
  "slis": { "tcp": { "tcp": { "connect": "127.0.0.1:8091" }, "every": "20ms" },
            "command": { "command": { "run": ["true"] }, "every": "100ms" } },
  "method": [
    { "name": "lossy", "fault": "packet.drop", "on": "victim", "background": true },
    { "name": "deaf", "fault": "connect.fail", "errno": "ECONNREFUSED", "on": "victim", "hold": "200ms" },
    { "name": "still", "fault": "process.pause", "on": "victim", "hold": "200ms" },
    { "revert": "lossy" },
    { "name": "die", "fault": "process.kill", "on": "web" },
    { "name": "say", "run": ["echo", "hello"] } ],
  "finally": [ { "run": ["true"] } ],
  "blast_radius": { "victims": 2 } }
END

# The living roles, as "name pid" lines: found by name, for there is not always a ledger to ask.
found() {
	local pid comm
	for pid in $(sandbox_pids); do
		read -r comm 2>/dev/null <"/proc/$pid/comm" && [[ $comm == brunt* ]] && echo "${comm#brunt-} $pid"
	done
}

round() { # SEED
	local role pid signal story="" at after
	local -a lines
	RANDOM=$1
	"$BRUNT" run --plain --result "$WORK/result" "$WORK/random.json" >"$WORK/out" 2>&1 </dev/null &
	brunt=$!
	for _ in $(seq $((1 + RANDOM % 3))); do
		at=$((RANDOM % 900))
		sleep "0.$(printf %03d $at)"
		mapfile -t lines < <(found)
		[ ${#lines[@]} -gt 0 ] || break
		read -r role pid <<<"${lines[RANDOM % ${#lines[@]}]}"
		case $((RANDOM % 5)) in 0 | 1) signal=KILL ;; 2 | 3) signal=STOP ;; *) signal=TERM ;; esac
		[ $signal != TERM ] || role=controller pid=$brunt
		# One that was ending anyway has not been killed.
		is_over "$pid" || ! kill -$signal "$pid" 2>/dev/null && continue
		story="$story $at ms: $signal $role;"
	done
	sleep 1.2 # whatever it still had to hold, it has held, or its lease is over
	within 6 well_since "$(clock_ms)" || echo "seed $1:$story the victim is not well ($(grep ^State "/proc/$victim/status"))"
	run brunt stop
	# 6: nobody is left who could put away the folders.
	[ "$status" -eq 0 ] || [[ $status == 6 && $story == *"KILL recoverer"* ]] ||
		echo "seed $1:$story stop exits with $status: $out$err"
	within 8 is_over "$brunt" || echo "seed $1:$story the run does not end: $(living_roles)"
	kill -KILL "$brunt" 2>/dev/null
	wait "$brunt" 2>/dev/null
	status=$?
	# Without a recoverer nobody continues a writer that somebody stopped.
	found | while read -r role pid; do
		case $role in journal | screen) kill -CONT "$pid" ;; esac
	done
	within 8 no_roles || echo "seed $1:$story left: $(living_roles)"
	case $status/$(verdict_of "$WORK/result") in
	0/* | */passed) [[ $story != *KILL* ]] || [[ $story == *screen* ]] || echo "seed $1:$story passed?" ;;
	esac
	run brunt recover
	[ "$status" -eq 0 ] || echo "seed $1:$story recover exits with $status: $err"
	after=$(host_state)
	[ "$before" = "$after" ] || echo "seed $1:$story $(diff <(echo "$before") <(echo "$after"))"
}

before=$(host_state)
first=${SEED:-$(($(date +%s) % 30000))}
for seed in $(seq "$first" $((first + ${ROUNDS:-8} - 1))); do
	for _ in 1 2 3; do # what went wrong while the machine stood still is not counted
		begun=$(clock_ms)
		seen=$(round "$seed")
		[ -n "$seen" ] && stood_still "$begun" || break
		echo "# the machine stood still: $seen"
		"$BRUNT" recover >/dev/null 2>&1
	done
	[ -z "$seen" ] && ok "seed $seed" || not_ok "seed $seed" "$seen"
	[ -z "$seen" ] || { "$BRUNT" recover >/dev/null 2>&1; }
done
victim_end
done_testing
