# SPDX-License-Identifier: Apache-2.0
# Makes the man page brunt-plan(5) of the reference page that `brunt schema --reference` writes.
function inline(text) {
	gsub(/\\/, "\\e", text)
	while (match(text, /\[[^]]*\]\([^)]*\)/)) {	# a link: its text
		link = substr(text, RSTART, RLENGTH)
		sub(/\]\(.*/, "", link)
		text = substr(text, 1, RSTART - 1) substr(link, 2) substr(text, RSTART + RLENGTH)
	}
	while (match(text, /`[^`]*`/))
		text = substr(text, 1, RSTART - 1) "\\fB" substr(text, RSTART + 1, RLENGTH - 2) "\\fR" \
			substr(text, RSTART + RLENGTH)
	gsub(/-/, "\\-", text)
	return text ~ /^[.']/ ? "\\&" text : text
}
BEGIN {
	print ".\\\" SPDX-License-Identifier: Apache-2.0"
	print ".\\\" Made by scripts/docs; do not edit."
	print ".TH BRUNT-PLAN 5 \"\" \"brunt\" \"File Formats\""
	print ".SH NAME"
	print "brunt-plan \\- the experiment file of brunt"
	print ".SH DESCRIPTION"
}
/^# Experiment reference/ { next }
/^Made by / { while ($0 != "") getline; next }
/^# / { print ".SH " toupper(inline(substr($0, 3))); next }
/^## / { gsub(/`/, ""); print ".SS " inline(substr($0, 4)); next }
/^\| (key|---)/ || /^\|---/ { next }
/^\| / {
	sub(/^\| /, ""); sub(/ \|$/, "")
	count = split($0, cell, / \| /)
	print ".TP"
	print inline(cell[1]) " \\- " inline(cell[2]) (cell[3] ~ /[^ ]/ ? (cell[3] == "required" ? ", required" : ", default " inline(cell[3])) : "")
	print inline(cell[count])
	next
}
/^- / { print ".IP \\(bu 2"; print inline(substr($0, 3)); next }
/^  / { sub(/^ */, ""); print inline($0); next }
/^$/ { if (!empty) print ".PP"; empty = 1; next }
{ empty = 0; print inline($0) }
END {
	print ".SH SEE ALSO"
	print ".BR brunt (1)"
}
