/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a plan: itself, and what it includes. */
#include "plan/plan.h"

#include "base/text.h"

#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The folder part of a path: "" for a bare name, "/" for the root. */
static char *folder_of(struct brunt_arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return brunt_arena_copy(arena, "", 0);
	return brunt_arena_copy(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

/* Path as seen from a folder. */
static char *path_in(struct brunt_arena *arena, const char *folder, const char *path)
{
	size_t length = strlen(folder);

	if (path[0] == '/' || length == 0)
		return brunt_arena_copy(arena, path, strlen(path));
	return brunt_arena_print(arena, "%s%s%s", folder, folder[length - 1] == '/' ? "" : "/", path);
}

/* The folder that a file's relative paths are relative to: where it was named, not where a link leads. */
static int absolute_folder(struct brunt_arena *arena, const char *path, const char **ret)
{
	char real[PATH_MAX];
	const char *folder = folder_of(arena, path);

	if (!folder)
		return -ENOMEM;
	/* When it cannot be found, neither can the file; that is told when it is read. */
	if (!realpath(folder[0] ? folder : ".", real))
		real[0] = '\0';
	*ret = brunt_arena_copy(arena, real, strlen(real));
	return *ret ? 0 : -ENOMEM;
}

/* Reads one file into a new place of loader->files. name: what messages call it, a path. */
static int read_file(struct brunt_loader *loader, const char *name, const struct stat *st, size_t *ret_index)
{
	struct brunt_file *file = &loader->files[loader->file_count];
	int r;

	*file = (struct brunt_file){ .device = st->st_dev, .inode = st->st_ino };
	r = absolute_folder(loader->arena, name, &file->dir);
	if (r < 0)
		return r;
	*ret_index = loader->file_count++;
	r = brunt_doc_load(name, name, loader->diags, &file->doc);
	return r == -EINVAL ? 0 : r;
}

static struct brunt_file *find_file(struct brunt_loader *loader, const struct stat *st)
{
	for (size_t i = 0; i < loader->file_count; i++)
		if (loader->files[i].inode == st->st_ino && loader->files[i].device == st->st_dev)
			return &loader->files[i];
	return NULL;
}

/* One entry of `include`. */
static int read_include(struct brunt_loader *loader, size_t index, const char *name, const char *entry,
			const char *pointer, unsigned depth)
{
	const struct brunt_doc *doc = loader->files[index].doc;
	char shown[BRUNT_QUOTE_SIZE];
	const char *folder, *path;
	struct brunt_file *known;
	struct stat st;
	size_t next;
	int r;

	brunt_text_quote(entry, shown);
	folder = folder_of(loader->arena, name);
	path = folder ? path_in(loader->arena, folder, entry) : NULL;
	if (!path)
		return -ENOMEM;
	if (stat(path, &st) < 0) {
		brunt_doc_error(doc, loader->diags, pointer, false, "cannot include '%s': %s", shown,
				errno == ENOENT ? "no such file" : strerror(errno));
		return 0;
	}
	if (!S_ISREG(st.st_mode)) {
		brunt_doc_error(doc, loader->diags, pointer, false, "cannot include '%s': not a regular file", shown);
		return 0;
	}
	known = find_file(loader, &st);
	if (known && known->open)
		brunt_doc_error(doc, loader->diags, pointer, false, "cannot include '%s': it includes this file itself",
				shown);
	if (known)
		return 0;
	if (depth >= BRUNT_PLAN_DEPTH_MAX) {
		brunt_doc_error(doc, loader->diags, pointer, false,
				"cannot include '%s': files include each other more than %d deep", shown,
				BRUNT_PLAN_DEPTH_MAX);
		return 0;
	}
	if (loader->file_count == BRUNT_PLAN_FILES_MAX) {
		brunt_doc_error(doc, loader->diags, pointer, false, "cannot include '%s': a plan has at most %d files",
				shown, BRUNT_PLAN_FILES_MAX);
		return 0;
	}
	r = read_file(loader, path, &st, &next);
	if (r < 0 || !loader->files[next].doc)
		return r;
	return brunt_plan_read_includes(loader, next, path, depth + 1);
}

int brunt_plan_read_includes(struct brunt_loader *loader, size_t index, const char *name, unsigned depth)
{
	json_t *include = json_object_get(brunt_doc_root(loader->files[index].doc), "include");
	json_t *entry;
	size_t i;
	int r = 0;

	/* What is no string is told by the table, later. */
	loader->files[index].open = true;
	if (json_is_string(include) && json_string_length(include) > 0)
		r = read_include(loader, index, name, json_string_value(include), "/include", depth);
	json_array_foreach (include, i, entry) {
		char pointer[64];

		if (!json_is_string(entry) || json_string_length(entry) == 0)
			continue;
		(void)snprintf(pointer, sizeof(pointer), "/include/%zu", i);
		r = read_include(loader, index, name, json_string_value(entry), pointer, depth);
		if (r < 0)
			break;
	}
	loader->files[index].open = false;
	return r;
}

int brunt_plan_read_files(struct brunt_loader *loader, const char *path)
{
	struct stat st = { 0 };
	size_t index;
	char *shown;
	int r;

	shown = brunt_arena_copy(loader->arena, path, strlen(path));
	if (!shown)
		return -ENOMEM;
	brunt_text_clean(shown);
	loader->plan->path = shown;
	(void)stat(path, &st);
	r = read_file(loader, path, &st, &index);
	if (r < 0)
		return r;
	loader->plan->dir = loader->files[index].dir;
	if (!loader->files[index].doc)
		return 0;
	return brunt_plan_read_includes(loader, index, path, 1);
}
