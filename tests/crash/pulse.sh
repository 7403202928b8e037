#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A pulsed fault, 1.5 seconds on and as long off, whose roles are killed or stopped in the middle of either phase: the
# victim is well within the lease (500 ms), half of it again and a margin for a busy machine, and no pulse comes any more.
# shellcheck source=lib.sh disable=SC2154 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
each_kind "$@"
sandbox "$@"
victim_start

LIMIT_MS=${LIMIT_MS:-1500}
kind=$KIND

# The last 80 ms were well.
well() {
	well_since $(($(clock_ms) - 80))
}

begun() { # PHASE: how many of them so far
	grep -c "fault 'hurt' is $1" "$WORK/out"
}
one_more() { # PHASE COUNT
	[ "$(begun "$1")" -gt "$2" ]
}

# start PHASE: returns in the middle of it, and of one that came after another: a pulse that was armed again.
start() {
	local round
	setsid "$BRUNT" run --plain --result "$WORK/result" "$WORK/$kind.json" >"$WORK/out" 2>"$WORK/err" </dev/null &
	brunt=$!
	within 10 roles "$kind" && within 10 one_more "on again" 0 || return 1
	roles "$kind"
	for round in 1 2 3 4 5; do # on a machine that is too busy, the next one
		within 10 one_more "$1" "$(begun "$1")" || return 1
		sleep 0.3
		if [ "$1" = off ]; then well && return; else hurt && return; fi
	done
	return 1
}

give_up() {
	kill -KILL "$brunt" 2>/dev/null
	wait "$brunt" 2>/dev/null
	within 10 no_roles
	"$BRUNT" recover >"$WORK/recover" 2>&1
}

# A busy machine may starve a run of its lease before the phase has come.
start_over() {
	give_up
	start "$1"
}

# longest_gap SINCE: of the victim's "ok" lines from then on, in ms.
longest_gap() {
	tail -n 4000 "$WORK/log" | awk -v since="$1" -v now="$(clock_ms)" '
		$1 == "ok" && $2 > since + 0 { if (last && $2 - last > gap) gap = $2 - last; last = $2 }
		END { if (!last) last = since; if (now - last > gap) gap = now - last; print gap }'
}

# attempt PHASE SIGNAL ROLE STATUS
attempt() {
	local name="$kind: SIG$2 of the $3 while a pulse is ${1% again}" since first gap verdict
	if ! start "$1" && ! start_over "$1" && ! start_over "$1"; then
		not_ok "$name" "the pulse was not met: $(cat "$WORK/err" "$WORK/out")"
		give_up
		return
	fi
	since=$(clock_ms)
	kill "-$2" "${pid_of[$3]}"
	if within 5 well_since "$since"; then
		first=$(first_ok_after "$since")
		[ $((first - since)) -le "$LIMIT_MS" ] && ok "$name: well after $((first - since)) ms" ||
			not_ok "$name: well in time" "after $((first - since)) ms"
	else
		not_ok "$name: well" "the fault stayed; $(grep ^State "/proc/$victim/status")"
		first=$(clock_ms)
	fi
	# More than a period: what was due in it did not come. A stopped role may hold a pulse until its lease is over.
	sleep 3.6
	[ "$1$2" = offSTOP ] && first=$((since + LIMIT_MS))
	gap=$(longest_gap "$first")
	[ "$gap" -lt 1300 ] && ok "$name: no pulse came after it" || not_ok "$name: no pulse came after it" "a gap of $gap ms"
	kill -CONT "${pid_of[$3]}" 2>/dev/null
	[ "$2" = STOP ] && kill -TERM "$brunt" 2>/dev/null
	within 10 is_over "$brunt" || kill -KILL "$brunt"
	wait "$brunt" 2>/dev/null
	is "$?" "$4" "$name: exit status $4"
	within 5 no_roles && ok "$name: no process is left" || not_ok "$name: no process is left" "$(living_roles)"
	verdict=$(verdict_of "$WORK/result")
	is "$verdict" error "$name: the result file says error"
	run brunt recover
	is "$status" 0 "$name: recover finishes"
	same_host "$before" "$name: the host is as it was"
}

before=$(host_state)
plan "$kind" "$(fault_json "$kind"), \"pulse\": { \"on\": \"1500ms\", \"off\": \"1500ms\" }"
for phase in "on again" off; do
	unless_stalled attempt "$phase" KILL holder 5
	unless_stalled attempt "$phase" STOP holder 5
	unless_stalled attempt "$phase" KILL controller 137
	unless_stalled attempt "$phase" STOP controller 5
done
victim_end
done_testing
