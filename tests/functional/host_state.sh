#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints the state of the host that a run of brunt could leave a trace in, as text to compare before and after.
# Counters and what changes by itself are left out. Reads only. What cannot be read here is said, so that a missing
# tool never looks like a clean host.
#
# In a sandbox (lib.sh sets BRUNT_SANDBOX) processes are those of its network namespace, except the test itself and its
# ancestors; elsewhere they are those named brunt*. Who answers for a process with a seccomp filter is not among them: it
# stays as long as that process does.
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

# This shell and its ancestors: they are the test.
ancestors() {
	local pid=$$ stat
	while [ "${pid:-0}" -gt 0 ]; do
		echo "$pid"
		read -r stat <"/proc/$pid/stat" || return
		stat=${stat##*) }
		pid=${stat#* }
		pid=${pid%% *}
	done
}

# Without a process of its own for each that it looks at: there may be many.
processes() {
	local dir pid comm own stat state parent
	own=" $(ancestors | tr '\n' ' ') "
	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		if [ -n "${BRUNT_SANDBOX:-}" ]; then
			[ "$dir/ns/net" -ef /proc/self/ns/net ] || continue
		fi
		case $own in *" $pid "*) continue ;; esac
		{ read -r comm <"$dir/comm" && read -r stat <"$dir/stat"; } 2>/dev/null || continue
		case $comm in brunt-keeper | seccomp-guard) continue ;; esac
		stat=${stat##*) }
		state=${stat%% *}
		parent=${stat#* }
		parent=${parent%% *}
		[ "$parent" = $$ ] && continue
		if [ -n "${BRUNT_SANDBOX:-}" ]; then
			[ "$BASHPID" = "$pid" ] && continue
		else
			case $comm in brunt*) ;; *) continue ;; esac
		fi
		# Running or asleep changes by itself; stopped, traced and dead do not.
		case $state in [TtZX]) ;; *) state= ;; esac
		echo "$pid $comm $state"
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
	# BPF objects know no namespace. In a sandbox those are left out that a process outside of it holds: they belong
	# to other runs. The kernel frees programs a moment after their last user.
	python3 - <<-'PYTHON'
	import glob, json, os, re, subprocess, time

	def show(what):
	    out = subprocess.run(["bpftool", "-j", what, "show"], capture_output=True, text=True)
	    try:
	        return json.loads(out.stdout)
	    except ValueError:
	        print("(bpftool cannot list %ss here: not looked at)" % what)
	        return []

	def held_elsewhere():
	    held, mine = set(), os.stat("/proc/self/ns/net").st_ino
	    for process in glob.glob("/proc/[0-9]*"):
	        try:
	            if os.stat(process + "/ns/net").st_ino == mine:
	                continue
	            for name in os.listdir(process + "/fd"):
	                if "bpf" in os.readlink(process + "/fd/" + name):
	                    with open(process + "/fdinfo/" + name, encoding="ascii") as info:
	                        held |= {int(l.split()[1]) for l in info if l.startswith("prog_id:")}
	        except (OSError, ValueError):
	            pass
	    return held

	# A program may be held by a device that is just going in another sandbox, and by no process: its run's journal
	# tells whose it is.
	def runs_elsewhere():
	    own = os.environ.get("WORK", "/nowhere") + "/"
	    paths = glob.glob("/tmp/brunt-test.*/**/*.jsonl", recursive=True)
	    names = (re.search(r"-([0-9a-f]{8})\.jsonl$", path) for path in paths if not path.startswith(own))
	    return {"brunt_" + name.group(1) for name in names if name}

	def programs():
	    found = {p["id"]: p for p in show("prog") if isinstance(p, dict) and p.get("name", "").startswith("brunt_")}
	    if "BRUNT_SANDBOX" in os.environ and found:
	        for foreign in held_elsewhere():
	            found.pop(foreign, None)
	        runs = runs_elsewhere()
	        found = {i: p for i, p in found.items() if p["name"] not in runs}
	    return found

	left = programs()
	for _ in range(60):
	    if not left:
	        break
	    time.sleep(0.05)
	    again = programs()
	    left = {i: p for i, p in left.items() if i in again}
	for p in left.values():
	    print("program", p["id"], p["type"], p["name"])
	for l in show("link") if left else []:
	    if isinstance(l, dict) and l.get("prog_id") in left:
	        print("link", l["id"], l["type"], left[l["prog_id"]]["name"])
	PYTHON
fi

section nftables
have nft && nft list ruleset 2>&1 | sed 's/packets [0-9]* bytes [0-9]*/packets N bytes N/'

section iptables
for tool in iptables-legacy-save ip6tables-legacy-save; do
	have $tool && $tool 2>/dev/null | sed -e '/^#/d' -e 's/\[[0-9]*:[0-9]*\]/[N:N]/'
done

# In a sandbox those of its own runs (whose journals are in $WORK) and of the test: there is no cgroup namespace.
section "cgroups named brunt*"
mount=$(cgroup_mount)
if [ -n "$mount" ] && [ -n "${BRUNT_SANDBOX:-}" ] && [ -n "${WORK:-}" ]; then
	{
		find "$WORK" -name '*.jsonl' | sed 's#.*-\([0-9a-f]*\)\.jsonl$#/brunt.\1#'
		cat "$WORK/cgroups" 2>/dev/null
	} | sort -u | while read -r cgroup; do
		find "$mount$cgroup" -type d 2>/dev/null | sed "s#^$mount##"
	done
elif [ -n "$mount" ]; then
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
