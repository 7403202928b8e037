#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# brunt survey on programs whose weaknesses are known (tests/tools/bears.c): the table must say exactly those, for root and
# for an ordinary user; nothing that was started stays.
# shellcheck source=lib.sh disable=SC2154 # run sets status, out and err
. "$(dirname "$0")/lib.sh"
sandbox "$@"
brunt=$(user_brunt)
chmod 1777 "$WORK"
install -m 755 "$BUILD/tests/tools/bears" "$WORK/bears"
printf '1\n2\n39\n' >"$WORK/numbers"
chmod 644 "$WORK/numbers"

# survey USER [OPTION...] -- COMMAND...: as run, by root or an ordinary user; the table alone in $table.
survey() {
	local user=$1
	shift
	if [ "$user" = root ]; then
		run "$brunt" survey -q "$@"
	else
		run setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all env HOME=/nonexistent "$brunt" survey -q "$@"
	fi
	table=$(printf '%s\n' "$out" | sed -n '/^  call /,/^$/p' | sed '1d;$d')
}
[ "$("$brunt" survey -q --calls read --errno EIO -- true >/dev/null 2>&1; echo $?)" != 9 ] ||
	skip_all "this kernel cannot notify of system calls"

# Processes of this test alone that a survey has started.
left_over() {
	local pid name
	for pid in $(sandbox_pids); do
		name=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")
		case $name in *bears* | brunt-keeper* | seccomp-guard*) echo "$pid $name" ;; esac
	done
}
nobody_left() {
	[ -z "$(left_over)" ]
}

calls='--calls openat,read,write --errno EIO,EINTR,ENOSPC'
for user in root nobody; do
	# shellcheck disable=SC2086 # words
	survey "$user" $calls -- ./bears careful numbers
	is "$status" 0 "$user: a careful program is sound"
	like "$out" '^SOUND ' "$user: that comes first"
	same '  read                    2  failed cleanly  EIO ENOSPC
                             survived        EINTR
  write                   1  failed cleanly  EIO ENOSPC
                             survived        EINTR
  openat                  1  failed cleanly  EIO ENOSPC
                             survived        EINTR' "$table" "$user: its table"

	# shellcheck disable=SC2086
	survey "$user" $calls -- ./bears mute numbers
	is "$status" 0 "$user: to fail without a word is not in --fail-on"
	same '  read                    2  failed mutely   EIO EINTR ENOSPC
  write                   1  failed mutely   EIO EINTR ENOSPC
  openat                  1  failed mutely   EIO EINTR ENOSPC' "$table" "$user: a mute program"
	# shellcheck disable=SC2086
	survey "$user" $calls --fail-on failed-mutely -- ./bears mute numbers
	is "$status" 1 "$user: unless it is asked for"

	# shellcheck disable=SC2086
	survey "$user" $calls -- ./bears crash numbers
	is "$status" 1 "$user: a crash is a weakness"
	same '  read                    2  crashed         EIO(SIGSEGV) EINTR(SIGSEGV)
                                             ENOSPC(SIGSEGV)
  openat                  1  crashed         EIO(SIGABRT) EINTR(SIGABRT)
                                             ENOSPC(SIGABRT)
  write                   1  failed cleanly  EIO ENOSPC
                             survived        EINTR' "$table" "$user: crashes, with their signals"

	# shellcheck disable=SC2086
	survey "$user" $calls --timeout 2500ms -- ./bears hang numbers
	is "$status" 1 "$user: to hang is a weakness"
	like "$table" '^  read                    2  hung            EIO EINTR ENOSPC$' "$user: a read that hangs"
	is "$(printf '%s\n' "$table" | grep -c hung)" 1 "$user: and nothing else"

	# shellcheck disable=SC2086
	survey "$user" $calls -- ./bears wrong numbers
	is "$status" 1 "$user: a wrong sum is a weakness"
	like "$table" '^  read                    2  silently wrong  EIO EINTR ENOSPC$' "$user: a read taken for the end"
	is "$(printf '%s\n' "$table" | grep -c wrong)" 1 "$user: and nothing else"

	# what it writes is seen by the check alone
	# shellcheck disable=SC2086
	survey "$user" $calls --dir "$WORK" --check 'cat result' -- ./bears heedless numbers result
	is "$status" 1 "$user: a write that nobody looks after is a weakness"
	like "$table" '^  write                   1  silently wrong  EIO EINTR ENOSPC$' "$user: found by --check"
	is "$(printf '%s\n' "$table" | grep -c wrong)" 1 "$user: and nothing else"
	check "$user: the folder itself is as it was" test ! -e "$WORK/result"
	# shellcheck disable=SC2086
	survey "$user" $calls --dir "$WORK" -- ./bears heedless numbers result
	is "$status" 0 "$user: without the check nothing is seen of it"

	# one that waits and says so, until what it waits for is there
	survey "$user" --calls write --errno ENOSPC --timeout 2s --dir "$WORK" \
		--check 'until grep . result; do echo waiting; done' -- ./bears heedless numbers result
	is "$status" 1 "$user: a check that never stops talking is ended, too"
	like "$table" '^  write                   1  silently wrong  ENOSPC$' "$user: and what it said counts"

	mkdir -p "$WORK/around/tmp" && chmod 1777 "$WORK/around/tmp" && echo 7 >"$WORK/around/numbers"
	TMPDIR=$WORK/around/tmp survey "$user" --calls read --errno EIO --dir "$WORK/around" --check 'find . | sort' -- \
		"$WORK/bears" careful numbers
	is "$status" 0 "$user: a folder that the copies lie in is copied without them"
	is "$(find "$WORK/around" | sort | sed "s|$WORK/||" | tr '\n' ' ')" 'around around/numbers around/tmp ' \
		"$user: and is as it was"

	# shellcheck disable=SC2086
	survey "$user" $calls -- ./bears family numbers
	same '  read                    2  failed cleanly  EIO ENOSPC
                             survived        EINTR
  write                   1  failed cleanly  EIO ENOSPC
                             survived        EINTR
  openat                  1  failed cleanly  EIO ENOSPC
                             survived        EINTR' "$table" "$user: what children do counts"

	# shellcheck disable=SC2086
	survey "$user" $calls --at 2 -- ./bears wrong numbers
	like "$table" '^  read                    2  survived        EIO EINTR ENOSPC$' "$user: --at 2: the end of the file"
	like "$table" '^  write                   1  not reached     EIO EINTR ENOSPC$' "$user: --at 2: there is no second write"

	# shellcheck disable=SC2086
	survey "$user" $calls --for 1s -- ./bears serve numbers
	is "$status" 0 "$user: a program that does not end"
	same '  read                    2  failed cleanly  EIO ENOSPC
                             survived        EINTR
  write                   1  failed cleanly  EIO ENOSPC
                             survived        EINTR
  openat                  1  failed cleanly  EIO ENOSPC
                             survived        EINTR' "$table" "$user: its table"

	# shellcheck disable=SC2086
	survey "$user" $calls -- ./bears chance numbers
	is "$status" 0 "$user: output that differs by chance is no weakness"
	like "$out" '^  not compared  *stdout' "$user: and that is said"

	# shellcheck disable=SC2086
	survey "$user" $calls -- ./bears orphan numbers
	is "$status" 0 "$user: a program that leaves a process"
	within 5 nobody_left
	is "$(left_over)" '' "$user: none is there any more"
done

# ---- nothing failed: nothing is known ----
survey nobody --calls fsync -- ./bears careful numbers
is "$status" 7 'a command that makes none of the calls: inconclusive'
like "$out" '^INCONCLUSIVE ' 'that comes first'
like "$out" '^  It makes no call that was to fail: nothing was tried' 'and why'
survey nobody --calls read --errno EIO --at 99 -- ./bears careful numbers
is "$status" 7 'a call that is not made so often: inconclusive'
like "$out" '^  None of the calls that were to fail was reached' 'and why'
survey nobody --calls read --errno EIO --at 99 --fail-on none -- ./bears careful numbers
is "$status" 7 'to fail on none is not to have tried'
survey nobody --calls read --errno EIO --at 99 --fail-on not-reached -- ./bears careful numbers
is "$status" 1 '--fail-on not-reached: a weakness'
survey nobody --calls read,write --errno EIO --at 2 -- ./bears careful numbers
is "$status" 0 'one call that was reached is enough'
survey nobody --calls fsync --output json -- ./bears careful numbers
like "$status $(printf '%s' "$out" | tr -d ' \n')" '^7 \{"verdict":"inconclusive","exit":7,' 'JSON says it, too'

# ---- what is found can be done again ----
survey nobody --calls read --errno EIO -- ./bears wrong numbers
line=$(printf '%s\n' "$out" | sed -n 's/^ *brunt \(inject .*\)/\1/p')
like "$line" '^inject syscall.fail calls=read errno=EIO loader=false -- ./bears wrong numbers$' 'the line that does it again'
again=$(eval "\"$brunt\" $line" 2>/dev/null)
is "$again" 'sum 0' 'and it does'

run "$brunt" inject syscall.fail calls=write errno=ENOSPC 'args=[{"arg": 0, "is": "!=", "value": 2}]' loader=false -- \
	./bears careful numbers
like "$status $err" '^1 bears: cannot write: No space left on device$' 'what is written to descriptor 2 can be spared by hand, too'

# ---- JSON ----
if command -v python3 >/dev/null; then
	survey nobody --calls read,write --output json -- ./bears crash numbers
	is "$status" 1 'JSON: the same exit status'
	is "$(printf '%s' "$out" | python3 -c '
import json, sys
d = json.load(sys.stdin)
reads = [f for f in d["failures"] if f["call"] == "read"]
print(d["verdict"], d["exit"], d["jobs"] >= 1, d["summary"]["crashed"] == len(reads) > 3,
      {f["signal"] for f in reads}, d["recorded"]["stdout_steady"])')" "weak 1 True True {'SIGSEGV'} True" 'JSON: what it says'
else
	skip 'JSON' 'python3 is not installed'
fi

# ---- the dynamic loader ----
survey nobody --calls openat,mprotect --errno ENOMEM -- ./bears careful numbers
unlike "$table" mprotect 'calls of the loader are left alone'
like "$out" 'left alone +mprotect' 'and that is said'
survey nobody --calls openat,mprotect --errno ENOMEM --loader -- ./bears careful numbers
like "$table" '^  mprotect ' '--loader: they are not'

# ---- starting ----
survey nobody --calls execveat,openat --errno EACCES --loader -- cat /etc/hostname
like "$table" '^  openat +[1-9]' 'where execveat is asked about, and execve is not, the calls of the program count'

# musl's C library is its loader: a static program of that name stands for both, with all its calls
if gcc -static -o "$WORK/ld-musl-x86_64.so.1" -x c - 2>"$WORK/gcc.log" <<'END'
#include <fcntl.h>
int main(void)
{
	return open("numbers", O_RDONLY) < 0;
}
END
then
	survey nobody --calls openat --errno EIO -- ./ld-musl-x86_64.so.1
	like "$table" '^  openat                  1  failed mutely   EIO$' "calls from musl's C library fail, though it is the loader, too"
	run "$brunt" inject syscall.fail calls=openat errno=EIO loader=false -- ./ld-musl-x86_64.so.1
	is "$status" 1 'brunt inject sees them, too'
else
	skip 'musl' "cannot link a static program: $(head -n 1 "$WORK/gcc.log")"
fi

# ---- stopping ----
(cd "$WORK" && exec setsid "$brunt" survey --timeout 60s --calls read --errno EIO -- ./bears hang numbers >stopped.out 2>stopped.err) &
pid=$!
within 10 grep -q 'of 1 runs' "$WORK/stopped.err" || true
kill -INT "$pid"
wait "$pid"
is "$?" 130 'Ctrl-C: exit status 130'
like "$(cat "$WORK/stopped.out")" '^STOPPED ' 'Ctrl-C: what is known is printed'
like "$(cat "$WORK/stopped.out")" 'not run +EIO' 'Ctrl-C: what is not known is said'
(cd "$WORK" && exec setsid "$brunt" survey --timeout 60s --calls read --errno EIO -- ./bears hang numbers >killed.out 2>killed.err) &
pid=$!
within 10 grep -q 'of 1 runs' "$WORK/killed.err" || true
kill -KILL "$pid"
wait "$pid" 2>/dev/null
within 10 nobody_left
is "$(left_over)" '' 'kill -9: nothing stays'

# ---- usage ----
while IFS='|' read -r wanted words; do
	# shellcheck disable=SC2086
	run "$brunt" survey $words
	is "$status" 2 "usage: $words"
	like "$err" "$wanted" "usage: says why: $words"
done <<'END'
needs a command|
needs a command|--
did you mean 'fsync'|--calls fsnyc -- true
names no system call|--calls , -- true
no class|--calls %files -- true
errno|--errno EXYZ -- true
whole number|--at 0 -- true
whole number|--jobs many -- true
too many|--jobs 100000 -- true
unit|--timeout 5 -- true
did you mean 'crashed'|--fail-on crashd -- true
text or json|--output xml -- true
END
run "$brunt" survey -q -- no-such-command-here
is "$status" 5 'a command that is not there'
like "$err" "there is no command 'no-such-command-here'" 'is named'
# shellcheck disable=SC2016
run "$brunt" survey -q -- sh -c "test -e $WORK/flip && rm $WORK/flip || { touch $WORK/flip; exit 3; }"
is "$status" 5 'a command that ends otherwise each time'
like "$err" 'exit 3, then exit 0' 'both ends are said'
# shellcheck disable=SC2016
run "$brunt" survey -q -- sh -c 'kill -SEGV $$'
is "$status" 5 'a command that crashes anyway'
like "$err" 'killed by SIGSEGV without any failure' 'and why'
run "$brunt" survey -q --dir "$WORK/none" -- true
is "$status" 5 'no folder'
done_testing
