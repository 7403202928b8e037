#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real nginx, master and two workers, whose system calls fail: for one file only, for bodies only, for new connections
# only; the workers that the master forks later are hit, too, and all is as before when the fault is over.
. "$(dirname "$0")/lib.sh"
sandbox "$@"
command -v nginx >/dev/null && command -v curl >/dev/null || skip_all "nginx or curl is not installed"
judged='{ "run": ["true"] }' # a run that judges nothing proves nothing
port=7392
url=http://127.0.0.1:$port
install -d -m 777 www tmp
echo fine >www/fine.txt
echo hurt >www/hurt.txt
head -c 300000 /dev/zero >www/large.bin
cat >nginx.conf <<-END
pid $WORK/tmp/nginx.pid; error_log $WORK/tmp/error.log; worker_processes 2; daemon off;
events { worker_connections 64; }
http { access_log off; sendfile on; keepalive_timeout 60s; client_body_temp_path $WORK/tmp/body; proxy_temp_path $WORK/tmp/proxy;
  fastcgi_temp_path $WORK/tmp/fcgi; uwsgi_temp_path $WORK/tmp/uwsgi; scgi_temp_path $WORK/tmp/scgi;
  server { listen 127.0.0.1:$port; root $WORK/www; } }
END
"$BRUNT" doctor | grep -q '^  syscall.fail *yes' || skip_all "$("$BRUNT" doctor | grep syscall.fail)"
before=$(host_state)

get() { # FILE: the status
	curl -s -o got -m 10 -w '%{http_code}' "$url/$1"
}
is_up() {
	[ "$(get fine.txt)" = 200 ]
}
start_nginx() {
	as_user nginx -e "$WORK/tmp/error.log" -c "$WORK/nginx.conf" &
	within 20 is_up || not_ok 'nginx starts' "$(cat tmp/error.log)"
	master=$(cat tmp/nginx.pid)
}
stop_nginx() {
	kill -QUIT "$master"
	within 10 eval "! kill -0 $master"
}
keepers() { # and guardians, of this sandbox
	local pid
	for pid in $(sandbox_pids); do
		grep -lE '^(brunt-keeper|seccomp-guard)' "/proc/$pid/comm" 2>/dev/null
	done
}
# plan NAME SERVICES TARGET METHOD...
plan() {
	local name=$1 services=$2 target=$3
	shift 3
	cat >"$name.json" <<-END
	{ "schema": 1, "name": "$name", "seed": 7, "lease": "3s", "services": { $services }, "targets": { "nginx": $target },
	  "method": [ $judged, $* ], "blast_radius": { "victims": 3 } }
	END
}
begin() { # NAME: in the background, until it is in force
	"$BRUNT" run --plain "$1.json" >out 2>&1 </dev/null &
	brunt=$!
	within 20 grep -q "'f' applied" out
}
finish() {
	wait $brunt
	status=$? out=$(cat out) err=$(cat out)
}

# ---- master and workers, attached while they run ----
start_nginx
target="{ \"process\": { \"port\": $port }, \"pick\": \"all\" }"
plan path '' "$target" "{ \"name\": \"f\", \"fault\": \"syscall.fail\", \"on\": \"nginx\", \"attach\": true, \"calls\": [\"open\", \"openat\"], \"path\": \"$WORK/www/hurt.txt\", \"errno\": \"EACCES\", \"hold\": \"5s\" }"
begin path
is "$(get hurt.txt)" 403 'openat EACCES on one path: that file is forbidden'
is "$(get fine.txt)" 200 'and the one beside it is served'
finish
is "$status" 0 'the run passes'
is "$(get hurt.txt)" 200 'and serves it again'
stop_nginx
within 10 eval '[ -z "$(keepers)" ]'
is "$(keepers)" '' 'keeper and guardian have ended with nginx'

# ---- as a service of the plan; one run, one filter, four faults one after another ----
service="\"nginx\": { \"run\": [\"nginx\", \"-e\", \"$WORK/tmp/error.log\", \"-c\", \"$WORK/nginx.conf\"], \"ready\": { \"http\": \"$url/fine.txt\", \"within\": \"20s\" } }"
ask() { # NAME FILE STATUS [SECONDS]: a command of the plan
	echo "{ \"name\": \"$1\", \"run\": [\"sh\", \"-c\", \"test \$(curl -s -o $WORK/tmp/got -m ${4:-10} -w '%{http_code}' $url/$2) = $3\"], \"timeout\": \"20s\" }"
}
held() { # NAME PARAMETERS
	echo "{ \"name\": \"$1\", \"fault\": \"syscall.fail\", \"on\": \"nginx\", $2, \"background\": true }"
}
plan service "$service" '{ "service": "nginx" }' \
	"$(held f "\"calls\": \"%file\", \"path\": \"$WORK/www/h*.txt\", \"errno\": \"ENOENT\""), $(ask not-found hurt.txt 404), $(ask other fine.txt 200), { \"revert\": \"f\" }," \
	"$(ask found hurt.txt 200), $(held g '"calls": "sendfile", "errno": "EIO"'), { \"name\": \"cut\", \"run\": [\"sh\", \"-c\", \"curl -sf -o $WORK/tmp/got -m 3 $url/large.bin; test \$(stat -c %s $WORK/tmp/got) -lt 300000\"] }, { \"revert\": \"g\" }," \
	"$(ask whole large.bin 200), $(held h '"calls": ["accept", "accept4"], "errno": "EMFILE"'), $(ask nobody fine.txt 000 1), { \"revert\": \"h\" }," \
	'{ "observe": "1s" },' "$(ask back fine.txt 200)," \
	"{ \"name\": \"reload\", \"run\": [\"sh\", \"-c\", \"kill -HUP \$(cat $WORK/tmp/nginx.pid)\"] }, { \"observe\": \"1s\" }," \
	"$(held i "\"calls\": \"openat\", \"path\": \"$WORK/www/hurt.txt\", \"errno\": \"EACCES\""), $(ask new-workers hurt.txt 403)"
run brunt run --plain service.json
err=$out$err
is "$status" 0 'a service: one file is not found, a body is cut, nobody is accepted, new workers are hit, and each time all is back'
for step in f g h i; do
	like "$out" "^  . $step .*syscall.fail on nginx" "$step was held"
done
like "$(cat tmp/error.log)" 'accept4?\(\) failed \(24: ' 'nginx says that it has no descriptors'
like "$(cat tmp/error.log)" 'sendfile\(\) failed \(5: ' 'and that sendfile failed'
within 10 eval '[ -z "$(keepers)" ]'
is "$(keepers)" '' 'keeper and guardian have ended with nginx'
same_host "$before" 'the host is as it was'
done_testing
