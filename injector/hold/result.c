/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "brunt/error.h"
#include "brunt/file.h"
#include "brunt/hold.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "brunt/story.h"
#include "hold/result.h"

/* The controller left nothing: what can be said without it. */
static char *make_document(const struct brunt_run_setup *setup)
{
	bool residue = __atomic_load_n(&setup->shared->residue, __ATOMIC_ACQUIRE);
	enum brunt_verdict verdict = residue ? BRUNT_RESIDUE : BRUNT_ERROR;
	json_t *document =
		json_pack("{s:i, s:s, s:s, s:s, s:i, s:[s]}", "schema", 1, "run", setup->shared->run, "plan",
			  setup->plan->name ? setup->plan->name : "", "verdict", residue ? "residue" : "error", "exit",
			  (int)verdict, "reasons",
			  residue ? "the controller died, and something could not be undone: see `brunt recover`"
				  : "the controller died before it had judged the run; everything was undone");
	char *text = document ? json_dumps(document, JSON_INDENT(2)) : NULL;

	json_decref(document);
	return text;
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t written = write(fd, text, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		text += written;
		size -= (size_t)written;
	}
	return 0;
}

/* A file in a user's folder should be that user's. */
static void give_away(int fd, int dir, const struct brunt_identity *identity)
{
	struct stat st;

	if (identity->privileged && !fstat(dir, &st) && st.st_uid == identity->uid)
		(void)!fchown(fd, identity->uid, identity->gid);
}

static int replace(int dir, const char *name, const char *text, size_t size, const struct brunt_run_setup *setup)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	BRUNT_AUTO_CLOSE int folder = -1;
	char temporary[300];
	int r;

	if (snprintf(temporary, sizeof(temporary), ".%s.%s", name, setup->shared->run) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	(void)unlinkat(dir, temporary, 0);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	give_away(fd, dir, &setup->identity);
	r = write_all(fd, text, size);
	if (!r)
		r = write_all(fd, "\n", size && text[size - 1] == '\n' ? 0 : 1);
	if (!r && (fsync(fd) || renameat(dir, temporary, dir, name)))
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, temporary, 0);
	else if ((folder = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0)
		(void)fsync(folder);
	return r;
}

int result_write(const struct brunt_run_setup *setup, struct brunt_error *err)
{
	const struct brunt_result_box *box = setup->result;
	BRUNT_AUTO_FREE char *folder = setup->result_path ? strdup(setup->result_path) : NULL;
	BRUNT_AUTO_FREE char *made = NULL;
	BRUNT_AUTO_CLOSE int dir = -1;
	const char *text;
	size_t size;
	char *slash;
	int r;

	if (!setup->result_path)
		return 0;
	if (!folder)
		return brunt_fail(err, ENOMEM, "out of memory");
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	if (box && __atomic_load_n(&box->ready, __ATOMIC_ACQUIRE)) {
		text = box->text;
		/* Read once: who writes there has no privileges, and may not make root read on behind the box. */
		size = __atomic_load_n(&box->size, __ATOMIC_RELAXED);
		size = size < BRUNT_RESULT_MAX ? size : BRUNT_RESULT_MAX;
	} else {
		text = made = make_document(setup);
		if (!made)
			return brunt_fail(err, ENOMEM, "out of memory");
		size = strlen(made);
	}
	dir = brunt_folder_open(!slash ? "" : *folder ? folder : "/", err);
	if (dir < 0)
		return brunt_wrap(err, "cannot write '%s'", setup->result_path);
	r = replace(dir, slash ? slash + 1 : folder, text, size, setup);
	return r < 0 ? brunt_fail(err, -r, "cannot write '%s': %s", setup->result_path, strerror(-r)) : 0;
}
