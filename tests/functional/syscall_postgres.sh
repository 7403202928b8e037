#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real PostgreSQL whose disk fails: it panics rather than acknowledge what it could not sync, and recovers everything that
# it had acknowledged; where there is no space it says so to its client and lives.
. "$(dirname "$0")/lib.sh"
sandbox "$@"
for program in initdb postgres psql; do
	command -v $program >/dev/null || skip_all "$program is not installed"
done
"$BRUNT" doctor | grep -q '^  syscall.fail *yes' || skip_all "$("$BRUNT" doctor | grep syscall.fail)"
port=7393
data=$WORK/pg/data
install -d -o 65534 -g 65534 pg
nobody='setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --no-new-privs'
(cd pg && $nobody initdb --no-sync -D "$data" -U postgres -A trust) >initdb.log 2>&1 || not_ok 'initdb' "$(cat initdb.log)"
cat >>"$data/postgresql.conf" <<-END
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
autovacuum = off
shared_buffers = 2MB
END
before=$(host_state)

sql() {
	timeout 20 psql -X -h 127.0.0.1 -p $port -U postgres -tAqc "$1" 2>&1
}
keepers() { # and guardians, of this sandbox
	local pid
	for pid in $(sandbox_pids); do
		grep -lE '^(brunt-keeper|seccomp-guard)' "/proc/$pid/comm" 2>/dev/null
	done
}
# Writes one row after another, each in a transaction of its own, and notes down those that were committed.
cat >writer.sh <<-'END'
	n=0
	while [ $n -lt 400 ]; do
	    n=$((n + 1))
	    if said=$(psql -X -h 127.0.0.1 -p "$1" -U postgres -tAqc "insert into rows values ($n)" 2>&1); then
	        echo "committed $n"
	    else
	        echo "error $said"
	        sleep 0.1
	    fi
	done >>"$2" 2>&1
END
# plan NAME METHOD...
plan() {
	local name=$1
	shift
	cat >"$name.json" <<-END
	{ "schema": 1, "name": "$name", "seed": 7, "lease": "3s",
	  "services": { "db": { "run": ["postgres", "-D", "$data"], "user": "nobody", "cwd": "$WORK/pg", "may_exit": true,
	                        "ready": { "tcp": "127.0.0.1:$port", "within": "30s" } } },
	  "targets": { "db": { "service": "db" } }, "method": [ $* ] }
	END
}
ask() { # NAME STATEMENT EXTRA: a command of the plan
	echo "{ \"name\": \"$1\", \"run\": [\"psql\", \"-X\", \"-h\", \"127.0.0.1\", \"-p\", \"$port\", \"-U\", \"postgres\", \"-tAqc\", \"$2\"]${3:+, $3} }"
}
ready='{ "run": "until psql -X -h 127.0.0.1 -p '$port' -U postgres -c \"select 1\"; do sleep 0.1; done", "timeout": "30s" }'

# ---- fdatasync fails ----
plan sync "$ready, $(ask table 'create table rows (n int)')," \
	"{ \"name\": \"writer\", \"run\": [\"sh\", \"-c\", \"exec setsid sh $WORK/writer.sh $port $WORK/pg/rows.log >/dev/null 2>&1 &\"] }," \
	'{ "observe": "3s" },' \
	"{ \"name\": \"f\", \"fault\": \"syscall.fail\", \"on\": \"db\", \"calls\": \"fdatasync\", \"path\": \"$data/pg_wal/*\", \"errno\": \"EIO\", \"times\": 1, \"hold\": \"4s\" }," \
	"$ready, { \"observe\": \"500ms\" }"
run brunt run --plain sync.json
err=$out$err
is "$status" 0 'fdatasync EIO: the run passes'
log=$(cat pg/*.log 2>/dev/null; echo "$err$out")
like "$log" 'f +syscall.fail on db .* 1 call failed' 'the fault bites, once'
like "$(cat pg/rows.log)" '^error ' 'a client hears that its transaction is not there'
like "$(cat pg/rows.log)" 'terminating connection|server closed the connection|in recovery mode|could not fdatasync|terminated by signal 6' 'by a clear error'
committed=$(grep -c '^committed' pg/rows.log)
[ "$committed" -gt 5 ] && ok "after $committed rows that were committed" || not_ok 'after some rows that were committed' "$(cat pg/rows.log)"

# ---- no space left in the tables, and only there ----
plan space "$ready, $(ask big 'create table big (t text)')," \
	"{ \"name\": \"f\", \"fault\": \"syscall.fail\", \"on\": \"db\", \"calls\": [\"pwrite64\", \"fallocate\"], \"path\": \"$data/base/*\", \"errno\": \"ENOSPC\", \"background\": true }," \
	"{ \"name\": \"full\", \"run\": [\"sh\", \"-c\", \"psql -X -h 127.0.0.1 -p $port -U postgres -c \\\"insert into big select repeat(md5(i::text), 50) from generate_series(1, 2000) i\\\" >$WORK/pg/full.log 2>&1; true\"] }," \
	"$(ask lives 'select count(*) from rows'), { \"revert\": \"f\" }," \
	"$(ask fills 'insert into big select repeat(md5(i::text), 50) from generate_series(1, 2000) i')"
run brunt run --plain space.json
err=$out$err
is "$status" 0 'pwrite64 ENOSPC: the server lives, and writes again when the fault is over'
like "$(cat pg/full.log)" 'ERROR: +could not (extend|write) file .*: No space left on device' 'its client hears why'

# ---- all that was committed ----
# shellcheck disable=SC2086
(cd pg && exec $nobody postgres -D "$data") >>pg.log 2>&1 &
postgres=$!
within 30 eval '[ "$(sql "select 1")" = 1 ]'
sql 'select n from rows' | sort >seen
sed -n 's/^committed //p' pg/rows.log | sort -u >wanted
is "$(comm -23 wanted seen)" '' 'after a restart every row that was committed is there'
is "$(sql 'select count(*) from big')" 2000 'and nothing of what failed'
kill -INT "$postgres"
wait "$postgres" 2>/dev/null
within 10 eval '[ -z "$(keepers)" ]'
is "$(keepers)" '' 'keepers and guardians have ended with their targets'
same_host "$before" 'the host is as it was'
done_testing
