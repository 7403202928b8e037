#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 before and after every system call of holder and recoverer, from the moment that they are what they are, and
# of the process that becomes the controller, from its start; to their end, while a fault is applied, held and reverted.
# SIGTERM at each of the latter. And every call of the holder fails once.
#
# A recording run says how many calls there are. The default takes an even sample of them; FULL=1 takes all.
# shellcheck source=lib.sh disable=SC2154 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
each_kind "$@"
sandbox "$@"
ATCALL=$BUILD/tests/tools/atcall
[ -x "$ATCALL" ] || skip_all "tests/tools/atcall is not built"
victim_start

kills=${KILLS:-14} failures=${FAILURES:-14} # of each fault and role
within 2 hurt && skip_all "this machine is too slow: the victim is not well without a fault"

short_plan() { # NAME FAULT-JSON
	cat >"$WORK/$1.json" <<-END
	{ "schema": 1, "name": "$1", "targets": { "victim": { "process": { "pid_file": "$WORK/victim.pid" } } },
	  "method": [ { "name": "hurt", "on": "victim", $2, "hold": "60ms" } ] }
	END
}

# at ROLE N WHAT: one run. What it did is in $status, what it met in $met.
at() {
	rm -f "$WORK/result" "$WORK/met"
	timeout --kill-after=5 30 "$ATCALL" "$1" "$2" "$3" "$BRUNT" run --plain --result "$WORK/result" "$WORK/$kind.json" \
		>"$WORK/out" 2>"$WORK/err" 3>"$WORK/met" </dev/null
	status=$?
	met=-1
	[ ! -s "$WORK/met" ] || read -r met when <"$WORK/met"
	[ "$met" != none ] || met=-1
}

# Whatever happened: is all well, without a recover command; and after one, is nothing left? Says what is not.
wrong() { # ROLE WHAT
	local since took verdict left
	since=$(clock_ms)
	if ! within 3 well_since "$since"; then # now, whatever was before
		echo "the fault stayed ($(grep ^State "/proc/$victim/status"))"
		return
	fi
	took=$(($(first_ok_after "$((met == -1 ? since : when))") - (met == -1 ? since : when)))
	echo "$took" >>"$WORK/took"
	[ "$took" -lt 1500 ] || echo "well again only after $took ms;"
	within 8 no_roles || echo "a process is left: $(living_roles);"
	"$BRUNT" recover >"$WORK/recovered" 2>&1 || echo "recover exits with $?: $(cat "$WORK/recovered");"
	left=$(find /run/brunt -mindepth 1 ! -name lock ! -name '*.lock')
	[ -z "$left" ] || echo "left: $left;"
	[ -z "$left" ] || rm -rf /run/brunt/*.d /run/brunt/*.ledger # told once
	verdict=$(sed -n 's/^ *"verdict": "\([a-z]*\)".*/\1/p' "$WORK/result" 2>/dev/null)
	case $status/$verdict in
	5/error | 9/unable | 7/inconclusive | 6/residue) ;;
	143/stopped | 143/error | 143/) [ "$2" = term ] || echo "exit status 143;" ;; # before it heeds signals it just dies
	137/error | 137/) [ "$1" = main ] || echo "exit status 137;" ;; # before there was a run, no file
	137/inconclusive) [ "$1" = main ] || echo "exit status 137;" ;; # it had said all it had to say
	5/inconclusive) [ "$1" = recoverer ] || echo "exit status 5;" ;; # likewise
	*) echo "exit status $status, result '$verdict': $(cat "$WORK/err");" ;;
	esac
}

# sample COUNT OF: that many numbers from 1 to OF, evenly.
sample() {
	awk -v n="$1" -v of="$2" -v full="${FULL:-}" 'BEGIN {
		if (full != "" || n > of) n = of
		for (i = 0; i < n; i++) print 1 + int((i + 0.5) * of / n)
	}'
}

# batch NAME ROLE COUNT OF WHAT...: WHAT are taken in turn. One case; says each call that was not borne.
batch() {
	local name=$1 role=$2 count=$3 of=$4 n turn=0 tried=0 bad="" seen begun statuses=""
	local -a what
	shift 4
	what=("$@")
	: >"$WORK/took"
	for n in $(sample "$count" "$of"); do
		for turn in $(if [ -n "${FULL:-}" ]; then seq 0 $((${#what[@]} - 1)); else echo $((tried % ${#what[@]})); fi); do
			for _ in 1 2 3; do
				begun=$(clock_ms)
				at "$role" "$n" "${what[turn]}"
				seen=$(wrong "$role" "${what[turn]}")
				if [ -n "$seen" ] && stood_still "$begun"; then # told, not counted
					echo "# the machine stood still: $role, stop $n, ${what[turn]}: $seen"
				elif [ -n "$seen" ] || [ "$met" != -1 ]; then
					break
				else
					n=$((n * 3 / 4)) # a run that is disturbed less makes fewer calls than the one that was counted
				fi
			done
			statuses="$statuses $status"
			[ -z "$seen" ] || bad="$bad$role, stop $n (system call $met), ${what[turn]}: $seen
"
			[ "$met" = -1 ] || tried=$((tried + 1))
		done
	done
	statuses=$(echo "$statuses" | tr ' ' '\n' | sed '/^$/d' | sort | uniq -c | awk '{ printf "%s%s: %s", s, $2, $1; s = ", " }')
	if [ -n "$bad" ]; then
		not_ok "$name" "$bad"
	elif [ "$tried" -lt $((count / 2)) ]; then
		not_ok "$name" "only $tried of them were met"
	else
		ok "$name: $tried of $of; exit statuses $statuses; well at most $(sort -n "$WORK/took" | tail -n 1) ms after"
	fi
}

before=$(host_state)
kind=$KIND
short_plan "$kind" "$(fault_json "$kind")"
for role in holder main recoverer; do
	at "$role" 0 count
	if [ "$status" -ne 7 ]; then
		[ "$status" -eq 77 ] && skip "$kind: $role" "ptrace is not allowed here" && continue
		not_ok "$kind: an undisturbed run ends as it should" "$status: $(cat "$WORK/err")"
		continue
	fi
	read -r stops calls < <(grep -E '^[0-9]+ [0-9]+$' "$WORK/err")
	[ "$role" = recoverer ] && count=$((kills / 4)) || count=$kills
	batch "$kind: $role killed at any system call" "$role" "$count" "$stops" kill
	[ "$role" != main ] || batch "$kind: $role gets SIGTERM at any system call" "$role" "$count" "$stops" term
	[ "$role" != holder ] ||
		batch "$kind: any system call of the $role fails" "$role" "$failures" "$calls" 12 5 28 4 # ENOMEM EIO ENOSPC EINTR
done
same_host "$before" "$kind: the host is as it was"
victim_end
done_testing
