#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# syscall.fail and syscall.delay on all kinds of programs: static ones, Go's, Python's, with many threads, with many children;
# and the figures: how often, which ones, how late.
. "$(dirname "$0")/lib.sh"
sandbox "$@"
"$BRUNT" doctor | grep -q '^  syscall.fail *yes' || skip_all "$("$BRUNT" doctor | grep syscall.fail)"
command -v gcc >/dev/null || skip_all "gcc is not installed"
tools=$TESTS/tools
gcc -O1 -D_GNU_SOURCE -pthread -static -o asker "$tools/asker.c" 2>gcc.log || gcc -O1 -D_GNU_SOURCE -pthread -o asker "$tools/asker.c" ||
	skip_all "no C program can be built"
before=$(host_state)

# inject PARAMETERS... -- COMMAND: as $out and $err; again, at most twice, when this host was too busy for the lease.
inject() {
	local _
	for _ in 1 2 3; do
		run brunt inject --seed 42 "$@"
		[[ $err == *"from then on every call passed"* ]] || break
	done
}
# within_of SEEN P N NAME: within 3 sigma of a binomial distribution.
sigma() {
	if awk -v k="$1" -v p="$2" -v n="$3" 'BEGIN { d = k - n * p; s = 3 * sqrt(n * p * (1 - p)); exit !(d <= s && -d <= s) }'; then
		ok "$4: $1 of $3"
	else
		not_ok "$4" "$1 of $3 at $2"
	fi
}
count_of() { # ERRNO
	printf '%s\n' "$out" | sed -n "s/^$1 //p" | grep . || echo 0
}

# ---- which program ----
[ -z "$(sed 1,200d gcc.log)" ] && ldd asker 2>&1 | grep -q 'not a dynamic' && kind='a static program' || kind='a program'
inject syscall.fail calls=fsync errno=EIO --counted -- ./asker 1000
is "$status $out" '0 EIO 1000' "$kind, each call"
like "$err" '^brunt: syscall.fail: 1000 calls failed: fsync 1000 of 1000, in asker ' 'and brunt says so'
inject syscall.fail calls=fsync errno=EIO -- ./asker 1000
is "$status $out" '0 EIO 1000' "$kind, by the kernel alone"
like "$err" 'fsync always failed with EIO, by the kernel alone: not counted' 'and brunt says so'
inject syscall.fail calls=fsync errno=EIO first=11 -- ./asker -e 100
is "$out" 'EBADF 100' 'a call that the fault is not about is let alone'
is "$status" 7 'inconclusive'
like "$err" 'never called fsync; called fdatasync 100 times' 'and brunt says what was called instead'

inject syscall.fail calls=fsync errno=EIO first=2 last=3 -- python3 -c '
import os
for n in range(4):
    try:
        os.fsync(os.open("f", os.O_CREAT | os.O_WRONLY)); print("ok")
    except OSError as e:
        print(e.strerror)'
is "$(echo "$out" | tr '\n' ,)" 'ok,Input/output error,Input/output error,ok,' 'python3, the second and third call'

if command -v go >/dev/null; then
	cat >sync.go <<-'END'
	package main

	import (
		"fmt"
		"os"
		"sync"
	)

	func main() {
		var group sync.WaitGroup
		var lock sync.Mutex
		failed := 0
		for i := 0; i < 16; i++ {
			group.Add(1)
			go func(i int) {
				defer group.Done()
				f, _ := os.Create(fmt.Sprintf("go.%d", i))
				for n := 0; n < 10; n++ {
					if err := f.Sync(); err != nil {
						lock.Lock()
						failed++
						lock.Unlock()
					}
				}
			}(i)
		}
		group.Wait()
		fmt.Println(failed)
	}
	END
	GO111MODULE=off GOCACHE=$WORK/gocache GOFLAGS=-p=1 timeout 100 go build -o gosync sync.go 2>go.log || not_ok 'a Go program is built' "$(cat go.log)"
	inject syscall.fail calls=fsync errno=EIO every=4 -- ./gosync
	is "$status $out" '0 40' 'a Go program with 16 goroutines, every fourth call'
else
	skip 'a Go program' 'go is not installed'
fi

inject syscall.fail calls=fsync errno=EIO every=10 -- ./asker -t 32 200
is "$(count_of EIO)" 640 '32 threads at once: every tenth call, none is lost, none counted twice'
inject syscall.fail calls=fsync errno=EIO --counted -- ./asker -f 100 5
is "$(count_of EIO)" 500 'a program that forks all the time: children are followed'
inject syscall.fail calls=fsync errno=EIO follow=false -- ./asker -f 100 5
is "$(count_of EBADF)" 500 'and not, when not asked to'
inject syscall.fail calls=fsync errno=EIO times=2 count=process -- ./asker -p -f 4 5
is "$out" 'II...II...II...II...' 'counted in each process for itself'
inject syscall.fail calls=fsync errno=EIO times=3 -- ./asker -p -f 4 5
is "$out" 'III.................' 'or in all together'

# ---- how often ----
for p in 0.1 1 10 50; do
	inject syscall.fail calls=fsync errno=EIO probability=$p% -- ./asker 20000
	sigma "$(count_of EIO)" "$(awk "BEGIN { print $p / 100 }")" 20000 "probability $p %"
done
inject syscall.fail calls=fsync errno=EIO probability=100% --counted -- ./asker 20000
is "$(count_of EIO)" 20000 'probability 100 %'
inject syscall.fail calls=fsync errno=EIO,ENOSPC,EDQUOT -- ./asker 9000
for code in EIO ENOSPC EDQUOT; do
	sigma "$(count_of $code)" 0.333333 9000 "a list of three errnos: $code"
done
inject syscall.fail calls=fsync errno=EIO,ENOSPC probability=30% -- ./asker -p 200
first=$out
inject syscall.fail calls=fsync errno=EIO,ENOSPC probability=30% -- ./asker -p 200
is "$out" "$first" 'the same seed decides the same'
run brunt inject --seed 43 syscall.fail calls=fsync errno=EIO,ENOSPC probability=30% -- ./asker -p 200
[ "$out" != "$first" ] && ok 'another seed decides otherwise' || not_ok 'another seed decides otherwise' "$out"
inject syscall.fail calls=fsync errno=EIO first=3 last=20 every=4 -- ./asker -p 30
is "$out" '..I...I...I...I...I...........' 'first, last and every'
inject syscall.fail calls=fsync value=0 every=2 -- ./asker -p 10
is "$out" '0.0.0.0.0.' 'or a value'

# ---- how late: never early; how much later is this host's affair ----
late() { # PARAMETERS MIN-US MAX-US-OF-THE-MEDIAN COUNT
	local values
	inject syscall.delay calls=fsync $1 -- ./asker -d "$4"
	read -ra values <<<"$out"
	if [ "${values[0]:-0}" -ge "$2" ] && [ "${values[3]:-0}" -le "$3" ]; then
		ok "$1: from ${values[0]} us on, in the median ${values[3]} us"
	else
		not_ok "$1: at least $2 us, at most $3 us in the median" "$out
$err"
	fi
}
late delay=1ms 1000 $((5000 * SLOW)) 200
late delay=20ms 20000 $((30000 * SLOW)) 30
late delay=200ms 200000 $((230000 * SLOW)) 5
quantiles() { # NAME PARAMETERS LOW10 HIGH10 LOW50 HIGH50 LOW90 HIGH90: in us
	local name=$1 values
	# shellcheck disable=SC2086 # words
	inject syscall.delay calls=fsync $2 -- ./asker -d -t 20 20
	read -ra values <<<"$out"
	if [ "${values[1]:-0}" -ge "$3" ] && [ "${values[1]}" -le "$4" ] && [ "${values[3]}" -ge "$5" ] && [ "${values[3]}" -le "$6" ] &&
		[ "${values[5]}" -ge "$7" ] && [ "${values[5]}" -le "$8" ]; then
		ok "$name: p10 ${values[1]}, median ${values[3]}, p90 ${values[5]} us"
	else
		not_ok "$name" "wanted $*
seen $out
$err"
	fi
}
# The quantiles asked for are 16, 40, 64 ms; 37, 50, 63 ms; 3, 21, 69 ms. The upper bounds leave room for a busy host.
quantiles uniform 'delay=40ms jitter=30ms' 11000 31000 34000 70000 58000 160000
quantiles normal 'delay=50ms jitter=10ms distribution=normal' 33000 57000 46000 80000 58000 160000
quantiles exponential 'delay=30ms distribution=exponential' 1500 21000 15000 50000 50000 200000

same_host "$before" 'the host is as it was'
done_testing
