/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers, whatever engine made them: all put 64 hexadecimal digits into
 * the name of the container's cgroup. Only a name needs the engine itself.
 */
#include "target/find.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "target/cgroup.h"
#include "target/engine.h"

#define ID_SIZE 64

/* The id within a cgroup's name, or NULL: "<id>", "libpod-<id>", "docker-<id>.scope", "cri-containerd-<id>.scope". */
static const char *id_of(const char *name)
{
	static const char digits[] = "0123456789abcdef";
	const char *dash = strrchr(name, '-'), *id = dash ? dash + 1 : name;

	if (strspn(id, digits) != ID_SIZE || (id[ID_SIZE] && strcmp(id + ID_SIZE, ".scope")))
		return NULL;
	/* The monitor of a container has its id, too: "libpod-conmon-<id>.scope", "crio-conmon-<id>.scope". */
	if (dash && dash - name >= 6 && !strncmp(dash - 6, "conmon", 6))
		return NULL;
	return id;
}

struct container_search {
	struct brunt_finder *finder;
	const char *prefix;
	struct brunt_paths found;
};

static void search_done(struct container_search *search)
{
	free(search->found.paths);
}

static int visit(void *user, const char *path, const char *name)
{
	struct container_search *search = user;
	const char *id = id_of(name);

	if (!id)
		return BRUNT_CGROUP_DESCEND;
	if (!strncmp(id, search->prefix, strlen(search->prefix)) &&
	    brunt_cgroup_populated(search->finder->cgroup_dir, path) && brunt_paths_add(&search->found, path))
		return -ENOMEM;
	return BRUNT_CGROUP_SKIP; /* containers within containers are that container's */
}

static const char *id_of_path(const char *path)
{
	return id_of(strrchr(path, '/') + 1);
}

/* Adds the one container whose id begins so. -ENOENT: none. */
static int add_by_id(struct brunt_finder *finder, const char *prefix, const char *name, struct brunt_error *err)
{
	BRUNT_CLEANUP(search_done) struct container_search search = { .finder = finder, .prefix = prefix };
	struct brunt_item *item;
	const char *path;

	if (brunt_cgroup_walk(finder->cgroup_dir, "/", visit, &search))
		return brunt_fail(err, ENOMEM, "out of memory");
	if (!search.found.count)
		return -ENOENT;
	path = search.found.paths[0];
	for (size_t i = 1; i < search.found.count; i++)
		if (strncmp(id_of_path(path), id_of_path(search.found.paths[i]), ID_SIZE))
			return brunt_fail(err, E2BIG,
					  "'%s' is the beginning of several containers' ids: %.12s, %.12s%s", prefix,
					  id_of_path(path), id_of_path(search.found.paths[i]),
					  search.found.count > 2 ? ", ..." : "");
	if (brunt_finder_add(finder, &item))
		return brunt_fail(err, ENOMEM, "out of memory");
	memcpy(item->cgroup, path, strlen(path) + 1);
	item->cgroup_id = brunt_cgroup_id(finder->cgroup_dir, path);
	if (name)
		snprintf(item->name, sizeof(item->name), "%.100s (%.12s)", name, id_of_path(path));
	else
		snprintf(item->name, sizeof(item->name), "%.12s", id_of_path(path));
	return 0;
}

static bool is_hexadecimal(const char *text)
{
	return *text && strlen(text) <= ID_SIZE && text[strspn(text, "0123456789abcdef")] == '\0';
}

int brunt_find_container(struct brunt_finder *finder, struct brunt_error *err)
{
	const char *word = finder->target->container;
	bool hexadecimal = is_hexadecimal(word);
	char id[ID_SIZE + 1];
	int rc;

	if (finder->cgroup_dir < 0)
		return brunt_fail(err, ENOTSUP, "container '%s' cannot be told: cgroup v2 is not mounted", word);
	finder->explicit = true;
	/* As engines do: a whole id, then a name, then the beginning of an id. */
	rc = hexadecimal && strlen(word) == ID_SIZE ? add_by_id(finder, word, NULL, err) : -ENOENT;
	if (rc != -ENOENT)
		return rc;
	rc = brunt_engine_find(finder->context->engine_sockets, word, id, err);
	if (!rc) {
		rc = add_by_id(finder, id, word, err);
		return rc == -ENOENT ? brunt_fail(err, ESRCH, "container '%s' (%.12s) has no cgroup v2 here", word, id)
				     : rc;
	}
	if (hexadecimal && rc != -E2BIG) {
		int by_id = add_by_id(finder, word, NULL, err);

		if (by_id != -ENOENT)
			return by_id;
	}
	return rc;
}
