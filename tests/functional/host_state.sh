#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints the state of the host that a run of brunt could leave a trace in, as text to compare before and after.
# Counters and what changes by itself are left out. Reads only. What cannot be read here is said, so that a missing
# tool never looks like a clean host.
#
# In a sandbox (lib.sh sets BRUNT_SANDBOX) processes are those of its network namespace, except the test itself and its
# ancestors; elsewhere they are those named brunt*.
set -u
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

section() {
	printf '== %s\n' "$1"
}

# have TOOL: or says that this part was not looked at.
have() {
	command -v "$1" >/dev/null 2>&1 && return
	echo "(no $1 here: not looked at)"
	return 1
}

cgroup_mount() {
	awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts
}

# Every "pid start-time" of this shell and its ancestors: they are the test.
ancestors() {
	local pid=$$
	while [ "${pid:-0}" -gt 0 ]; do
		echo "$pid"
		pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
	done
}

processes() {
	local mine dir pid comm own
	own=" $(ancestors | tr '\n' ' ') "
	mine=$(readlink /proc/self/ns/net)
	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		case $own in *" $pid "*) continue ;; esac
		[ "$(awk '/^PPid:/ { print $2 }' "$dir/status" 2>/dev/null)" = $$ ] && continue
		comm=$(cat "$dir/comm" 2>/dev/null) || continue
		if [ -n "${BRUNT_SANDBOX:-}" ]; then
			[ "$(readlink "$dir/ns/net" 2>/dev/null)" = "$mine" ] || continue
			[ "$BASHPID" = "$pid" ] && continue
		else
			case $comm in brunt*) ;; *) continue ;; esac
		fi
		# Running or asleep changes by itself; stopped, traced and dead do not.
		echo "$pid $comm $(awk '/^State:/ && $2 ~ /[TtZX]/ { print $2 }' "$dir/status" 2>/dev/null)"
	done
}

section links
have ip && ip -o link show | sed 's/ *\\ */ /g'

section qdiscs
have tc && tc qdisc show

section filters
if have tc; then
	for link in /sys/class/net/* $(ip -o link show 2>/dev/null | sed 's/^[0-9]*: \([^:@]*\).*/\1/'); do
		echo "${link##*/}"
	done | sort -u | while read -r link; do
		ip link show "$link" >/dev/null 2>&1 || continue
		for where in root ingress egress; do
			tc filter show dev "$link" $where 2>/dev/null | sed "s/^/$link $where: /"
		done
	done
fi

section 'bpf programs and links named brunt_'
if have bpftool && have python3; then
	python3 - <<-'PYTHON'
	import json, subprocess

	def show(what):
	    out = subprocess.run(["bpftool", "-j", what, "show"], capture_output=True, text=True)
	    try:
	        return json.loads(out.stdout)
	    except ValueError:
	        print("(bpftool cannot list %ss here: not looked at)" % what)
	        return []

	programs = {p["id"]: p for p in show("prog") if isinstance(p, dict) and p.get("name", "").startswith("brunt_")}
	for p in programs.values():
	    print("program", p["id"], p["type"], p["name"])
	for l in show("link"):
	    if isinstance(l, dict) and l.get("prog_id") in programs:
	        print("link", l["id"], l["type"], programs[l["prog_id"]]["name"])
	PYTHON
fi

section nftables
have nft && nft list ruleset 2>&1 | sed 's/packets [0-9]* bytes [0-9]*/packets N bytes N/'

section iptables
for tool in iptables-legacy-save ip6tables-legacy-save; do
	have $tool && $tool 2>/dev/null | sed -e '/^#/d' -e 's/\[[0-9]*:[0-9]*\]/[N:N]/'
done

section "cgroups named brunt*"
mount=$(cgroup_mount)
if [ -n "$mount" ]; then
	find "$mount" -type d \( -name 'brunt*' -o -path '*/brunt*/*' \) 2>/dev/null | sed "s#^$mount##" | sort
else
	echo "(no cgroup v2 here)"
fi

section processes
processes | sort -n

section mounts
awk '{ printf "%s %s %s", $4, $5, $6; for (i = 7; i <= NF; i++) if ($i == "-") { print " " $(i + 1) " " $(i + 2); break } }' \
	/proc/self/mountinfo | sort

section /run/brunt
# The lock file may stay: it is only ever locked, and holds no state.
find /run/brunt -mindepth 1 ! -name lock ! -name '*.lock' -printf '%P %y %m\n' 2>/dev/null | sort
