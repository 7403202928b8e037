#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every role of a real run, all alive at once, is compared with its row of the table (injector/base/role.c): uid,
# capabilities, descriptors, no_new_privs. First with faults held, then with all of them reverted.
# kernels: on request
. "$(dirname "$0")/lib.sh"
sandbox "$@"
CHECK=$BUILD/tests/tools/checkroles
[ -x "$CHECK" ] || skip_all "tests/tools/checkroles is not built"
victim_start

cat >"$WORK/roles.json" <<END
{ "schema": 1, "name": "roles", "lease": "5s",
  "targets": { "victim": { "process": { "pid_file": "$WORK/victim.pid" } } },
  "services": { "web": { "run": ["python3", "$WORK/victim.py", "serve", "8091"], "ready": { "tcp": "127.0.0.1:8091" }, "may_exit": true } },
  "slis": { "tcp": { "tcp": { "connect": "127.0.0.1:8091" }, "every": "20ms" },
            "command": { "command": { "run": ["true"] }, "every": "100ms" } },
  "method": [
    { "name": "lossy", "fault": "packet.drop", "on": "victim", "probability": "10%", "background": true },
    { "name": "deaf", "fault": "connect.fail", "errno": "$refused", "on": "victim", "background": true },
    { "name": "nameless", "fault": "dns.fail", "on": "victim", "background": true },
    { "name": "broken", "fault": "syscall.fail", "on": "victim", "calls": ["getpriority"], "errno": "EPERM", "attach": true, "background": true },
    { "name": "full", "fault": "tcp.hold", "on": "victim", "to": "127.0.0.1:$PORT", "connections": 2, "rate": 20, "background": true },
    { "name": "still", "fault": "process.pause", "on": "victim", "background": true },
    { "name": "look", "run": ["sh", "-c", "until [ -e '$WORK/looked' ]; do sleep 0.1; done"], "timeout": "5m" },
    { "revert": "still" }, { "revert": "full" }, { "revert": "broken" }, { "revert": "nameless" }, { "revert": "deaf" }, { "revert": "lossy" },
    { "name": "after", "observe": "3m" } ],
  "blast_radius": { "victims": 1 } }
END

# compare WHEN ROLE...: all of these are alive, and each is what its row says.
compare() {
	local when=$1 role pairs="" line name=""
	shift
	for role in "$@"; do
		[ -n "${pid_of[$role]:-}" ] && pairs="$pairs $role=${pid_of[$role]}" || not_ok "$when: $role is alive"
	done
	while read -r line; do
		case $line in
		'ok - '*) ok "$when: ${line#ok - }" ;;
		'not ok - '*) not_ok "$when: ${line#not ok - }" ;;
		*) echo "# $line" ;;
		esac
	done < <("$CHECK" 65534 $pairs 2>&1)
}

before=$(host_state)
"$BRUNT" run --plain "$WORK/roles.json" >"$WORK/out" 2>&1 </dev/null &
brunt=$!
paused() {
	grep -q '^State:.*t (tracing' "/proc/$victim/status"
}
if within 30 paused; then
	roles roles
	compare "six faults held" controller holder pauser hoarder responder keeper recoverer launcher journal screen
	touch "$WORK/looked"
	within 20 eval '! paused'
	within 20 eval 'roles roles; [ -z "${pid_of[pauser]:-}" ]'
	compare "all reverted" controller holder keeper recoverer launcher journal screen
	is "${pid_of[pauser]:-none}" none 'all reverted: the pauser is gone'
	is "${pid_of[hoarder]:-none}" none 'all reverted: the hoarder is gone'
	is "${pid_of[responder]:-none}" none 'all reverted: the responder is gone'
else
	not_ok 'the victim is paused' "$(cat "$WORK/out")"
fi
kill -TERM "$brunt"
wait "$brunt"
is "$?" 143 'the run was stopped'
same_host "$before" 'the host is as it was'
victim_end
done_testing
