#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# file.fail: a target's file operations fail and nobody else's, what it counts is what the victim saw, and they are well
# again within the lease when brunt is killed or stopped. Where BPF LSM programs are refused: says so, and touches nothing.
#
# kernels: yes
# shellcheck disable=SC2154 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
sandbox "$@"
mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
[ -n "$mount" ] || skip_all "no cgroup v2 is mounted"
group=/brunt-file.$$
own_cgroup "$group"
mkdir -p "$mount$group" || skip_all "no cgroup can be made in $mount"
LEASE_MS=$((500 * SLOW))
judged='{ "run": ["true"] }' # a run that judges nothing proves nothing

# plan NAME PARAMETERS END-OF-METHOD
plan() {
	cat >"$1.json" <<-END
	{ "schema": 1, "name": "$1", "seed": 11, "lease": "${LEASE_MS}ms", "targets": { "it": { "cgroup": "$group" } },
	  "method": [ $judged, { "name": "f", "fault": "file.fail", "on": "it", "background": true, $2 }, $3 ] }
	END
}

# ---- what it says where it cannot ----

line=$("$BRUNT" doctor | grep '^  file.fail ')
if [[ $line != *' yes '* ]]; then
	like "$line" '^  file.fail +no +.*(boot with lsm=|virtual machine|CONFIG_|run as root)' 'doctor says no, why, and what helps'
	before=$(host_state)
	plan unable '"operations": ["open"]' '{ "observe": "1s" }'
	run brunt run --plain unable.json
	is "$status" 9 'a plan that needs it is unable'
	like "$out$err" "$(sed 's/^  file.fail *no *//; s/[].*[()]/./g' <<<"$line" | cut -c 1-60)" 'and its summary gives the reason'
	same "$before" "$(host_state)" 'the host is as it was'
	skip 'everything that needs the fault itself' "$(sed 's/^  file.fail *no *//' <<<"$line")"
	done_testing
fi
ok 'doctor says yes'

# ---- the victim ----

mkdir data beside
cat >victim.py <<'END'
"""count N: N times writes a file in data/ and one beside it, prints how often each failed, by errno.
   loop LOG: writes in data/ all the time and appends "ok MILLISECONDS" or "fail MILLISECONDS" to LOG."""
import errno, os, sys, time
def write(path):
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
        try:
            os.write(fd, b"x")
        finally:
            os.close(fd)
    except OSError as e:
        return errno.errorcode[e.errno]
    return "ok"
if sys.argv[1] == "count":
    while not os.path.exists("go"):
        time.sleep(0.02)
    seen = {"data": {}, "beside": {}}
    for i in range(int(sys.argv[2])):
        for where in seen:
            what = write(where + "/file")
            seen[where][what] = seen[where].get(what, 0) + 1
    with open("seen.new", "w") as out:
        for where, counts in seen.items():
            print(where, *(f"{k}={v}" for k, v in sorted(counts.items())), file=out)
    os.rename("seen.new", "seen")
else:
    with open(sys.argv[2], "a", buffering=1) as log:
        while True:
            what = write("data/file")
            print("ok" if what == "ok" else "fail", int(time.time() * 1000), file=log)
            time.sleep(0.02)
END
# in_group COMMAND...: in the cgroup, in the background; its pid is $!
in_group() {
	(echo $BASHPID >"$mount$group/cgroup.procs" && exec "$@") &
}
counted() {
	python3 -c 'import json, sys
print(next(s for s in json.load(open("result.json"))["steps"] if s["name"] == "f")["fault"][sys.argv[1]])' "$1"
}
before=$(host_state)

# ---- it bites, is counted, and spares others ----

# bites NAME PARAMETERS: what the victim saw is $seen.
bites() {
	rm -f go seen
	plan "$1" "$2" "{ \"name\": \"go\", \"run\": [\"touch\", \"$WORK/go\"], \"user\": \"root\" },
		{ \"name\": \"seen\", \"run\": \"while ! [ -e $WORK/seen ]; do sleep 0.05; done\", \"timeout\": \"60s\" },
		{ \"name\": \"neighbour\", \"run\": [\"touch\", \"$WORK/data/neighbour\"], \"user\": \"root\" }"
	in_group python3 victim.py count 100
	victim=$!
	run brunt run --plain --result result.json "$1.json"
	wait "$victim"
	is "$status" 0 "$1: the run passes, and a process outside writes in data/ meanwhile"
	seen=$(cat seen)
	same_host "$before" "$1: the host is as it was"
}
failed() { # WHERE
	sed -n "s/^$1 //p" <<<"$seen" | tr ' ' '\n' | awk -F= '$1 != "ok" { n += $2 } END { print n + 0 }'
}

bites always "\"operations\": [\"open\"], \"errno\": \"EROFS\", \"path\": \"$WORK/data/\""
is "$seen" 'data EROFS=100
beside ok=100' 'always: all of data/ fails with the errno, and nothing beside it'
is "$(counted hit) of $(counted matched)" '100 of 100' 'always: what was counted is what the victim saw'
like "$out" '100 file operations failed' 'always: and the summary says it'

bites sometimes "\"operations\": [\"write\"], \"errno\": [\"ENOSPC\", \"EDQUOT\"], \"probability\": \"30%\", \"path\": [\"$WORK/data/file\"]"
is "$(counted hit) of $(counted matched)" "$(failed data) of 100" 'sometimes: what was counted is what the victim saw'
is "$(failed beside)" 0 'sometimes: and nothing beside it'
like "$seen" '^data EDQUOT=[0-9]+ ENOSPC=[0-9]+ ok=[0-9]+$' 'sometimes: of two errnos both are seen'
# six standard deviations
check "sometimes: $(failed data) of 100 at 30 %" [ "$(failed data)" -gt 2 -a "$(failed data)" -lt 58 ]
first=$seen
case $(uname -r) in
5.10.*) skip 'sometimes: the same seed decides the same' 'Linux 5.10 decides on each processor by itself' ;;
*)
	bites sometimes "\"operations\": [\"write\"], \"errno\": [\"ENOSPC\", \"EDQUOT\"], \"probability\": \"30%\", \"path\": [\"$WORK/data/file\"]"
	is "$seen" "$first" 'sometimes: the same seed decides the same'
	bites tenth "\"operations\": [\"write\"], \"nth\": 10, \"budget\": 3, \"path\": \"$WORK/data/\""
	is "$seen" 'data EIO=3 ok=97
beside ok=100' 'tenth: every tenth, three of them'
	;;
esac

plan elsewhere "\"operations\": [\"open\"], \"path\": \"$WORK/beside/nothing\"" \
	"{ \"run\": [\"touch\", \"$WORK/go\"], \"user\": \"root\" },
	{ \"run\": \"while ! [ -e $WORK/seen ]; do sleep 0.05; done\", \"timeout\": \"60s\" }"
rm -f go seen
in_group python3 victim.py count 5
victim=$!
run brunt run --plain elsewhere.json
wait "$victim"
is "$status" 7 'a fault that met nothing is inconclusive'
like "$out" "saw [0-9]+ calls?, none on '$WORK/beside/nothing'" 'and the summary says what came near'

# ---- what makes no sense ----

refused() { # PARAMETERS REGEX STATUS
	plan bad "$1" '{ "observe": "1s" }'
	run brunt "${4:-check}" bad.json
	is "$status" "${3:-2}" "refused: $1"
	like "$err$out" "$2" "and why: $2"
}
refused '"errno": "EIO"' 'operations'
refused '"operations": ["fsync"]' 'fsync'
refused '"operations": ["open"], "path": "data/"' "begin with '/'"
refused '"operations": ["open"], "path": "/data/*.log"' 'wildcard'
refused '"operations": ["open"], "nth": 3, "probability": "5%"' "'probability' and 'nth'"
refused "\"operations\": [\"open\"], \"path\": \"$WORK/nowhere/file\"" 'is not there for any process' 9 run

# ---- it ends by itself ----

clock_ms() {
	local now=${EPOCHREALTIME/[.,]/}
	echo "${now%???}"
}
first_ok_after() {
	tail -n 2000 log | awk -v since="$1" '$1 == "ok" && $2 > since + 0 { print $2; exit }'
}
well_since() {
	[ -n "$(first_ok_after "$1")" ]
}
hurt() {
	! well_since $(($(clock_ms) - 200 * SLOW))
}
role() {
	local pid comm
	for pid in $(sandbox_pids); do
		read -r comm 2>/dev/null <"/proc/$pid/comm" && [ "$comm" = "brunt-$1" ] && echo "$pid"
	done
}
plan hold "\"operations\": [\"open\", \"create\", \"write\"], \"path\": \"$WORK/data/\"" '{ "observe": "2m" }'
in_group python3 victim.py loop "$WORK/log"
victim=$!
within 10 grep -q ^ok log || not_ok 'the victim writes' "$(cat log)"
before=$(host_state)

# ends HOW SIGNAL ROLE...: the roles get the signal, and the victim is well again within the lease and a margin.
ends() {
	local name=$1 signal=$2 pids='' since role took
	shift 2
	"$BRUNT" run --plain hold.json >out 2>&1 </dev/null &
	brunt=$!
	if ! within 10 grep -q "'f' applied" out || ! within 5 hurt; then
		not_ok "$name: the fault is felt" "$(cat out)"
	else
		for role in "$@"; do
			if [ "$role" = controller ]; then pids="$pids $brunt"; else pids="$pids $(role "$role")"; fi
		done
		since=$(clock_ms)
		# shellcheck disable=SC2086
		kill "-$signal" $pids
		if within 5 well_since "$since"; then
			took=$(($(first_ok_after "$since") - since))
			check "$name: well again after $took ms" [ "$took" -le $((3 * LEASE_MS)) ]
		else
			not_ok "$name: well again" "$("$BRUNT" status)"
		fi
		# shellcheck disable=SC2086
		kill -CONT $pids 2>/dev/null
	fi
	kill -TERM "$brunt" 2>/dev/null
	within 15 test ! -e "/proc/$brunt/exe" || kill -KILL "$brunt"
	wait "$brunt" 2>/dev/null
	"$BRUNT" recover >/dev/null 2>&1
	same_host "$before" "$name: the host is as it was"
}
ends 'kill -9 of the holder' KILL holder
ends 'kill -9 of holder and controller' KILL holder controller
ends 'SIGSTOP of the controller' STOP controller
ends 'SIGSTOP of controller and holder' STOP controller holder
check 'the victim lives' kill "$victim"
wait "$victim" 2>/dev/null
done_testing
