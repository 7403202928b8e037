/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/file.h"
#include "brunt/memory.h"

static int write_all(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t written = write(fd, text, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return -errno;
		text += written;
		size -= (size_t)written;
	}
	return 0;
}

int brunt_file_replace(const char *path, const char *text, size_t size, struct brunt_error *err)
{
	char temporary[PATH_MAX];
	BRUNT_AUTO_CLOSE int fd = -1;
	int r;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
		return brunt_fail(err, ENAMETOOLONG, "the path '%.100s...' is too long", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return brunt_fail(err, errno, "cannot write beside '%s': %s", path, strerror(errno));
	r = write_all(fd, text, size);
	if (!r && (fchmod(fd, 0644) || fsync(fd) || rename(temporary, path)))
		r = -errno;
	if (r) {
		(void)unlink(temporary);
		return brunt_fail(err, -r, "cannot write '%s': %s", path, strerror(-r));
	}
	return 0;
}
