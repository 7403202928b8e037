#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One run for every verdict, against a real nginx; the host is the same before and after each.
. "$(dirname "$0")/lib.sh"
sandbox "$@"
command -v nginx >/dev/null || skip_all "nginx is not installed"

# plan NAME JSON: the site (one nginx), and what the test adds; the last of two keys with one name does not exist.
plan() {
	cat >"$WORK/$1.json" <<-END
	{ "schema": 1, "name": "$1", "seed": 7, "lease": "5s",
	  "services": { "web": {
	    "prepare": "printf 'pid web.pid; error_log stderr; events { } http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s; server { listen 127.0.0.1:8080; location / { return 200 ok; } } }' > \$BRUNT_DIR/web.conf",
	    "run": "exec nginx -e stderr -p \$BRUNT_DIR -c web.conf -g 'daemon off;'",
	    "ready": { "http": "http://127.0.0.1:8080/" }, "may_exit": true } },
	  "slis": { "site": { "http": { "url": "${URL:-http://127.0.0.1:8080/}" }, "every": "50ms", "timeout": "${TIMEOUT:-500ms}" } },
	  $2 }
	END
}
steady='"steady_state": [ { "sli": "site", "of": "success", "over": "1s", "min": "99%", "during": "0%", "after_within": "20s" } ]'
web='"targets": { "web": { "service": "web" } }'

# verdict NAME STATUS WORD [OPTIONS...]
verdict() {
	local name=$1 wanted=$2 word=$3
	shift 3
	run_fed "$wanted" brunt run --plain "$@" "$WORK/$name.json"
	is "$status" "$wanted" "$name: exit status $wanted"
	like "$out$err" "$word" "$name: says '$word'"
	same "$before" "$(host_state)" "$name: the host is as it was"
}
before=$(host_state)

plan passed "$web, $steady, \"method\": [ { \"name\": \"lossy\", \"fault\": \"packet.drop\", \"on\": \"web\", \"probability\": \"10%\", \"hold\": \"2s\" } ]"
verdict passed 0 PASSED --result "$WORK/result.json"
is "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["verdict"])' "$WORK/result.json")" passed 'the result file says so'

run_fed 0 brunt run --output=json "$WORK/passed.json"
is "$(printf '%s' "$out" | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["verdict"])')" passed '--output=json is one document'

plan failed "$web, \"blast_radius\": { \"victims\": 1 }, \"method\": [ { \"name\": \"die\", \"fault\": \"process.kill\", \"on\": \"web\" }, { \"expect\": { \"sli\": \"site\", \"of\": \"success\", \"over\": \"500ms\", \"min\": \"99%\" }, \"within\": \"2s\" } ]"
verdict failed 1 FAILED

plan aborted "$web, $steady, \"guardrails\": [ { \"sli\": \"site\", \"of\": \"success\", \"over\": \"1s\", \"min\": \"50%\" } ], \"method\": [ { \"name\": \"cut\", \"fault\": \"packet.drop\", \"on\": \"web\", \"hold\": \"30s\" } ]"
verdict aborted 3 ABORTED
run_fed 0 brunt run --plain --expect-verdict aborted "$WORK/aborted.json"
is "$status" 0 'an expected verdict is success'
run_fed 1 brunt run --plain --expect-verdict aborted "$WORK/passed.json"
is "$status" 1 'another verdict than the expected one is not'

plan refused "$web, \"start_if\": [ { \"target\": \"web\", \"alive\": 99 } ], \"method\": [ { \"fault\": \"process.kill\", \"on\": \"web\" } ]"
verdict refused 4 REFUSED

plan too-wide "\"targets\": { \"web\": { \"process\": { \"service\": \"web\" }, \"pick\": \"all\" } }, \"blast_radius\": { \"victims\": 1 }, \"method\": [ { \"fault\": \"process.kill\", \"on\": \"web\" } ]"
verdict too-wide 4 REFUSED

plan error "$web, \"method\": [ { \"fault\": \"process.kill\", \"on\": \"web\" } ]"
sed -i 's/exec nginx/exec no-such-nginx/' "$WORK/error.json"
verdict error 5 ERROR
sed -i "s/exec no-such-nginx/echo 'no licence for nginx' \&\& exit 3; exec nginx/" "$WORK/error.json"
run brunt run --plain "$WORK/error.json"
like "$out" "service 'web' .*no licence for nginx" 'a service that ends early: its last line says why'

plan inconclusive "$web, $steady, \"method\": [ { \"name\": \"beside\", \"fault\": \"packet.drop\", \"on\": \"web\", \"to\": [\"10.9.9.9:5432/tcp\"], \"hold\": \"1s\" } ]"
verdict inconclusive 7 INCONCLUSIVE
like "$out" '10.9.9.9' 'inconclusive: the near miss is named'

URL=http://127.0.0.1:9/ plan unsteady "$web, $steady, \"method\": [ { \"fault\": \"process.kill\", \"on\": \"web\" } ]"
verdict unsteady 8 UNSTEADY
unlike "$out" 'processes killed' 'unsteady: nothing was injected'

plan unable "\"targets\": { \"none\": { \"process\": { \"name\": \"no-such-process\" } } }, \"method\": [ { \"fault\": \"process.kill\", \"on\": \"none\" } ]"
verdict unable 9 'no-such-process'

plan invalid "$web, \"method\": [ { \"fault\": \"packet.dorp\", \"on\": \"web\" } ]"
verdict invalid 2 "no fault is called 'packet.dorp'.*packet.drop"

plan interrupted "$web, $steady, \"method\": [ { \"name\": \"cut\", \"fault\": \"packet.drop\", \"on\": \"web\", \"hold\": \"30s\" } ]"
for signal in INT:130 TERM:143; do
	"$BRUNT" run --plain "$WORK/interrupted.json" >"$WORK/out" 2>&1 &
	brunt=$!
	within 15 grep -q "'cut' applied" "$WORK/out"
	sleep 0.3
	asked=$(now_ms)
	kill "-${signal%:*}" "$brunt"
	sleep 0.05
	kill "-${signal%:*}" "$brunt" 2>/dev/null # a second one does not skip the undo
	wait "$brunt"
	is "$?" "${signal#*:}" "SIG${signal%:*}: exit status ${signal#*:}"
	[ $(($(now_ms) - asked)) -lt 7000 ] && ok "SIG${signal%:*}: ended in time" || not_ok "SIG${signal%:*}: ended in time"
	like "$(cat "$WORK/out")" STOPPED "SIG${signal%:*}: says STOPPED"
	same "$before" "$(host_state)" "SIG${signal%:*}: the host is as it was"
done

# Two runs that want the same thing.
sleep 1000 &
sleeper=$!
for name in first second; do
	cat >"$WORK/$name.json" <<-END
	{ "schema": 1, "name": "$name", "lease": "5s", "targets": { "s": { "process": { "pid_file": "$WORK/s.pid" } } },
	  "method": [ { "fault": "process.pause", "on": "s", "hold": "20s" } ] }
	END
done
echo $sleeper >"$WORK/s.pid"
"$BRUNT" run --plain "$WORK/first.json" >"$WORK/out" 2>&1 &
brunt=$!
within 10 grep -q '^State:.*t (tracing' "/proc/$sleeper/status" && ok 'the first run pauses it' || not_ok 'the first run pauses it' "$(cat "$WORK/out")"
run brunt run --plain "$WORK/second.json"
is "$status" 4 'a second run that wants the same is refused'
like "$out$err" 'first' 'and is told by whom'
run brunt status
like "$out" first 'status knows the first run'
run brunt stop
is "$status" 0 'stop ends it'
wait "$brunt"
is "$?" 143 'it was stopped'
within 5 grep -q '^State:.*S (sleeping' "/proc/$sleeper/status"
like "$(awk '/^State/' "/proc/$sleeper/status")" 'S \(sleeping' 'and the process runs again'
kill "$sleeper"

# Without privilege: which capability, for which step.
run setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all env HOME="$WORK" XDG_STATE_HOME="$WORK/user" "$(user_brunt)" run --plain "$WORK/passed.json"
is "$status" 9 'an ordinary user is unable'
like "$out$err" 'CAP_(BPF|NET_ADMIN)' 'and is told the missing capability'
like "$out$err" 'lossy' 'and for which step'

unlike "$(cat "$XDG_STATE_HOME"/brunt/*.jsonl)" '"bug: ' 'every event of every run is as the catalogue says'

run brunt run --dry-run "$WORK/passed.json"
is "$status" 0 'a dry run works'
like "$out" 'Nothing was touched' 'and says so'
same "$before" "$(host_state)" 'and it is so'
done_testing
