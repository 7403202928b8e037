/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/target.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "brunt/memory.h"
#include "target/cgroup.h"

/* The kernel writes space, tab, newline and backslash as three octal digits: show_mnt_opts(), mangle(). */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
		    from[3] >= '0' && from[3] <= '7') {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* "31 23 0:28 ROOT POINT rw,relatime shared:1 - cgroup2 cgroup2 rw": points root and point into line. */
static bool parse_line(char *line, char **root, char **point)
{
	char *save = NULL, *word, *kind;
	unsigned field = 0;

	kind = strstr(line, " - ");
	if (!kind)
		return false;
	*kind = '\0';
	kind += 3;
	if (strncmp(kind, "cgroup2 ", 8))
		return false;
	*root = *point = NULL;
	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save), field++) {
		if (field == 3)
			*root = word;
		else if (field == 4)
			*point = word;
	}
	if (!*point)
		return false;
	unescape(*root);
	unescape(*point);
	return true;
}

int brunt_cgroup_mount_parse(FILE *mountinfo, char *buf, size_t size)
{
	BRUNT_AUTO_FREE char *line = NULL;
	size_t room = 0;
	int rc = -ENOENT;

	while (getline(&line, &room, mountinfo) > 0) {
		char *root, *point;
		bool whole;

		if (!parse_line(line, &root, &point) || strlen(point) >= size)
			continue;
		whole = !strcmp(root, "/");
		if (!whole && !rc)
			continue; /* a bind mount of a part: only for want of better */
		memcpy(buf, point, strlen(point) + 1);
		rc = 0;
		if (whole)
			break;
	}
	return rc;
}

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

int brunt_cgroup_mount(char *buf, size_t size)
{
	BRUNT_CLEANUP(close_file) FILE *file = fopen("/proc/self/mountinfo", "re");
	struct statfs facts;
	int rc;

	if (!file)
		return -ENOENT;
	rc = brunt_cgroup_mount_parse(file, buf, size);
	/* Something may be mounted over it. */
	if (!rc && (statfs(buf, &facts) || facts.f_type != CGROUP2_SUPER_MAGIC))
		rc = -ENOENT;
	return rc;
}
