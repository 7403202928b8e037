#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `brunt check`: every plan of tests/plans/bad is refused with exactly its message, every one of tests/plans/good and of
# experiments/ is accepted, odd files do no harm, secrets are not shown, what is generated is current.
# A plan's arguments stand in NAME.args, one a line. PLANS_UPDATE=1 writes the expected messages again: read the diff.
# shellcheck disable=SC2016,SC2154 # "${s}" is for brunt; run sets status, out and err
. "$(dirname "$0")/lib.sh"
BRUNT=$(realpath "$BRUNT")
WORK=$(mktemp -d /tmp/brunt-test.XXXXXX) || exit 1
trap 'rm -rf "$WORK"' EXIT
export LIMIT=20
unset BRUNT_TEST_NOT_SET

# Runs check on a plan with its arguments.
check_plan() {
	local -a args=()
	[ -e "${1%.json}.args" ] && mapfile -t args <"${1%.json}.args"
	run brunt check "${args[@]}" "$1"
}

# ---- bad plans, each with its exact message ----

cd "$TESTS/plans/bad" || exit 1
for plan in *.json; do
	name=${plan%.json}
	check_plan "$plan"
	[ -n "${PLANS_UPDATE:-}" ] && printf '%s\n' "$err" >"$name.err"
	if [ "$status" -ne 2 ] || [ -n "$out" ]; then
		not_ok "bad/$name exits with 2 and prints no result" "exit $status: $out"
	elif [ ! -e "$name.err" ]; then
		not_ok "bad/$name has its message" "tests/plans/bad/$name.err is missing; it would say:
$err"
	else
		same "$(cat "$name.err")" "$err" "bad/$name is refused with its message"
	fi
done

run brunt check array.json nothing.json
is "$status" 2 'several bad plans exit with 2'
like "$err" '^array.json: 1 error$' 'the first of several plans is judged'
like "$err" '^nothing.json: 3 errors$' 'and so is the last'

run brunt check --output json many-errors.json
is "$status" 2 'a bad plan exits with 2 in JSON, too'
is "$err" '' 'in JSON the errors stand in the document'
like "$out" '"pointer": "/method/1/probabilty"' 'each with its pointer'
like "$out" '"valid": false' 'and the plan is not valid'

# ---- good plans ----

cd "$TESTS/plans/good" || exit 1
for plan in *.json; do
	name=${plan%.json}
	check_plan "$plan"
	[ -n "${PLANS_UPDATE:-}" ] && printf '%s\n' "$out" >"$name.out" && printf '%s\n' "$err" >"$name.err"
	is "$status" 0 "good/$name is accepted"
	same "$(cat "$name.err" "$name.out" 2>&1)" "$err
$out" "good/$name is explained"
done
for plan in "$TESTS"/../experiments/*.json; do
	run brunt check "$plan"
	is "$status" 0 "experiments/$(basename "$plan") is accepted"
	is "$err" '' "experiments/$(basename "$plan") draws no warning"
done

# ---- files that are no plans ----

cd "$WORK" || exit 1
good=$TESTS/plans/good/minimal.json

run brunt check no-such.json
is "$status" 2 'a plan that is not there exits with 2'
like "$err" '^no-such.json  no such file$' 'and is called so'

run brunt check .
is "$status" 2 'a directory exits with 2'
like "$err" '^\.  is a directory, not a regular file$' 'and is called so'

mkfifo pipe.json
run brunt check pipe.json
is "$status" 2 'a FIFO that nobody writes to does not hang'
like "$err" '^pipe.json  is a pipe, not a regular file$' 'and is called so'

run brunt check /dev/zero
is "$status" 2 'a device exits with 2'
like "$err" '^/dev/zero  is a device, not a regular file$' 'and is called so'

truncate -s 1G huge.json
run brunt check huge.json
is "$status" 2 'a file of 1 GB exits with 2'
like "$err" '^huge.json  is .*; at most 1 MiB are read$' 'and says what may be'

head -c 900000 /dev/zero | tr '\0' '[' >deep.json
run brunt check deep.json
is "$status" 2 'an array 900,000 deep exits with 2'
like "$err" 'nested deeper than 32 levels' 'and says how deep may be'

{ printf '{ "schema": 1, "name": "x", "method": ['; for i in $(seq 30000); do printf '{"a%d":1},' "$i"; done; printf '{}] }'; } >many.json
run brunt check many.json
is "$status" 2 'tens of thousands of wrong steps exit with 2'
like "$err" 'has 30001 steps; at most 1000 are allowed' 'and are not told one by one'

head -c 500000 /dev/urandom >random.json
run brunt check random.json
is "$status" 2 'random bytes exit with 2'
is "$(printf '%s\n' "$err" | wc -l)" 2 'in one line and a sum'

head -c 70000 /dev/zero | tr '\0' x >big.txt
echo '{ "schema": 1, "name": "x", "variables": { "a": { "file": "big.txt" } }, "description": "${a}", "method": [ { "run": "true" } ] }' >big.json
run brunt check big.json
like "$err" "'big.txt' is too large; at most 64 KiB" 'a large file is no variable'

{
	printf '{ "schema": 1, "name": "x", "variables": { "a": { "default": "%s" } }, "method": [ { "run": "' "$(head -c 60000 big.txt)"
	for i in $(seq 100); do printf '${a}'; done
	printf '" } ] }'
} >expand.json
run brunt check expand.json
like "$err" 'variables bring in too much text' 'variables do not grow without end'

ln -s "$good" link.json
run brunt check link.json
is "$status" 0 'a symbolic link to a plan is a plan'
like "$out" '^link.json: valid; 1 step, 0 fault kinds, at most 1 s$' 'and is called by its own name'

# ---- secrets ----

printf 'swordfish-%s\n' "$(head -c 40 big.txt)" >secret.txt
secret='swordfish|xxxxxxxx'
for wrong in '"observe": "${s}"' '"fault": "${s}", "on": "${s}"' '"observe": "1s", "name": "${s}"' \
	'"expect": { "sli": "${s}", "max": "${s}" }' '"expect": { "target": "${s}", "alive": "${s}" }' '"revert": "${s}"' \
	'"start": "${s}"' '"run": ["${s}"], "timeout": "${s}"' '"fault": "process.kill", "on": "t", "signal": "${s}"' \
	'"fault": "packet.drop", "on": "t", "hold": "5s", "to": "${s}"' '"run": "echo ${s}"' '"approve": "a ${s} b"'; do
	for output in text json; do
		printf '{ "schema": 1, "name": "x", "variables": { "s": { "file": "secret.txt", "secret": true } },
			"targets": { "t": { "unit": "x", "pick": "all" } }, "method": [ { %s } ] }' "$wrong" >secret.json
		run brunt check --output "$output" secret.json
		unlike "$out$err" "$secret" "a secret is not shown as $output by: $wrong"
	done
done
run brunt check --var-file s=secret.txt secret.json
is "$status" 0 'a secret comes by --var-file'
run brunt check --var s=swordfish secret.json
is "$status" 2 'a secret does not come by --var'
unlike "$out$err" swordfish 'and is not shown then'

# ---- without privilege, without the network ----

cp "$good" plan.json
chmod 755 "$WORK"
if [ "$(id -u)" -ne 0 ]; then
	skip 'an ordinary user checks a plan' 'not root: everything above was run by an ordinary user'
else
	as_user "$(user_brunt)" check plan.json >.out 2>.err </dev/null
	is $? 0 'an ordinary user checks a plan'
fi
if ldd "$BRUNT" >libraries 2>&1; then
	unlike "$(cat libraries)" 'libcurl' 'no network library is loaded for a check'
else
	skip 'no network library is loaded for a check' 'not a dynamic program'
fi

# ---- usage ----

for command in check faults schema; do
	run brunt $command --help
	is "$status" 0 "$command --help exits with 0"
	like "$out" "^usage: brunt $command" "$command --help says how it is used"
	run brunt $command --no-such-option
	is "$status" 2 "$command refuses an unknown option"
done
run brunt check
is "$status" 2 'check without a plan exits with 2'
run brunt faults process.kil
is "$status" 2 'an unknown fault exits with 2'
like "$err" "no fault is called 'process.kil'" 'and is named'
run brunt faults
fault_names=$(printf '%s\n' "$out" | awk '/^  [a-z]+\.[a-z]+/ { print $1 }')
like "$fault_names" '^packet.drop$' 'faults lists packet.drop'
for fault in $fault_names; do
	run brunt faults "$fault"
	is "$status" 0 "faults $fault exits with 0"
	like "$out" '^  undone by      .' "faults $fault says how it is undone"
done
run brunt faults --output json
like "$out" '"name": "process.kill"' 'faults speaks JSON'

# ---- what is generated ----

run brunt schema
is "$status" 0 'schema exits with 0'
printf '%s\n' "$out" >schema.json
if python3 -c 'import jsonschema; jsonschema.Draft202012Validator' 2>/dev/null; then
	for plan in "$TESTS"/plans/good/*.json "$TESTS"/../experiments/*.json; do
		check "the schema accepts $(basename "$plan")" python3 "$TESTS/plans/validate.py" schema.json "$plan"
	done
	for name in fault-hold fault-hits fault-parameters fault-target fault-unknown finally many-errors method-empty \
		negative-time nothing run-step schema-newer sli-times step-kinds units unknown-keys wrong-types; do
		run python3 "$TESTS/plans/validate.py" schema.json "$TESTS/plans/bad/$name.json"
		is "$status" 1 "the schema rejects bad/$name"
	done
else
	skip 'the schema accepts and rejects plans' 'python3 has no jsonschema (apt install python3-jsonschema)'
fi
if [ -e "$TESTS/../docs/experiment.schema.json" ]; then
	check 'the generated pages in docs/ are current' "$TESTS/../scripts/docs" --check "$BRUNT"
else
	not_ok 'the generated pages in docs/ are current' 'docs/experiment.schema.json is missing: make docs'
fi
done_testing
