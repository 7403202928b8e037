/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroups by path, systemd's units by name, the plan's services, interfaces. */
#include "target/find.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "target/cgroup.h"

static int no_memory(struct brunt_error *err)
{
	return brunt_fail(err, ENOMEM, "out of memory");
}

static int add_path(void *user, const char *path)
{
	return brunt_paths_add(user, path);
}

static int by_path(const void *left, const void *right)
{
	return strcmp(left, right);
}

int brunt_cgroup_paths(struct brunt_finder *finder, const char *pattern, struct brunt_paths *ret,
		       struct brunt_error *err)
{
	const char *mount = finder->context->cgroup_mount;

	if (finder->cgroup_dir < 0)
		return brunt_fail(err, ENOTSUP, "cgroup '%s' cannot be told: cgroup v2 is not mounted", pattern);
	if (strstr(pattern, ".."))
		return brunt_fail(err, EINVAL, "cgroup '%s' has '..' in it", pattern);
	/* People copy the whole path. */
	if (!strncmp(pattern, mount, strlen(mount)) && pattern[strlen(mount)] == '/')
		pattern += strlen(mount);
	return brunt_cgroup_glob(finder->cgroup_dir, pattern, add_path, ret) ? no_memory(err) : 0;
}

/* One item per path, in the order of their names. */
static int add_items(struct brunt_finder *finder, struct brunt_paths *paths, bool whole_path)
{
	if (paths->count)
		qsort(paths->paths, paths->count, sizeof(*paths->paths), by_path);
	for (size_t i = 0; i < paths->count; i++) {
		const char *path = paths->paths[i], *name = strrchr(path, '/');
		struct brunt_item *item;

		if (brunt_finder_add(finder, &item))
			return -ENOMEM;
		memcpy(item->cgroup, path, strlen(path) + 1);
		item->cgroup_id = brunt_cgroup_id(finder->cgroup_dir, path);
		name = whole_path || !name ? path : name + 1;
		snprintf(item->name, sizeof(item->name), "%.*s", (int)sizeof(item->name) - 1, name);
		brunt_text_clean(item->name);
	}
	return 0;
}

static void paths_done(struct brunt_paths *paths)
{
	free(paths->paths);
}

int brunt_find_cgroup(struct brunt_finder *finder, struct brunt_error *err)
{
	BRUNT_CLEANUP(paths_done) struct brunt_paths paths = { 0 };
	const char *pattern = finder->target->cgroup;
	int rc = brunt_cgroup_paths(finder, pattern, &paths, err);

	if (rc)
		return rc;
	if (add_items(finder, &paths, true))
		return no_memory(err);
	if (!finder->count)
		return brunt_fail(err, ESRCH, "no cgroup '%s' below '%s'", pattern, finder->context->cgroup_mount);
	return 0;
}

/* The kernel's own file names are kept apart by an underscore before the unit's: cg_escape() of systemd. */
static const char *unit_name(const char *folder)
{
	return folder[0] == '_' ? folder + 1 : folder;
}

static const char *suffix(const char *name)
{
	static const char *const suffixes[] = { ".service", ".scope", ".slice", ".socket", ".mount", ".swap" };
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < BRUNT_COUNT(suffixes); i++)
		if (!strcmp(dot, suffixes[i]))
			return suffixes[i];
	return NULL;
}

struct unit_search {
	struct brunt_finder *finder;
	const char *pattern;
	struct brunt_paths *found;
	const char *wanted; /* for the near miss: the first unit that looks like it */
	char near[256];
};

static int visit_unit(void *user, const char *path, const char *name)
{
	struct unit_search *search = user;
	const char *unit = unit_name(name), *kind = suffix(unit);
	const char *const candidate[] = { unit, NULL };

	if (!kind)
		return BRUNT_CGROUP_SKIP;
	if (brunt_cgroup_name_matches(search->pattern, unit) &&
	    brunt_cgroup_populated(search->finder->cgroup_dir, path)) {
		if (brunt_paths_add(search->found, path))
			return -ENOMEM;
		return BRUNT_CGROUP_SKIP;
	}
	if (search->wanted && !search->near[0] && strlen(unit) < sizeof(search->near) &&
	    brunt_suggest(search->wanted, candidate))
		memcpy(search->near, unit, strlen(unit) + 1);
	/* Units are in slices, users' units below their manager; anything else is a service's own business. */
	if (!strcmp(kind, ".slice") || !strncmp(unit, "user@", 5))
		return BRUNT_CGROUP_DESCEND;
	return BRUNT_CGROUP_SKIP;
}

static int units(struct unit_search *search, const char *unit, struct brunt_error *err)
{
	struct brunt_finder *finder = search->finder;
	char pattern[300];

	if (finder->cgroup_dir < 0)
		return brunt_fail(err, ENOTSUP, "unit '%s' cannot be told: cgroup v2 is not mounted", unit);
	if (!brunt_cgroup_exists(finder->cgroup_dir, "/system.slice") &&
	    !brunt_cgroup_exists(finder->cgroup_dir, "/init.scope"))
		return brunt_fail(err, ENOTSUP,
				  "unit '%s' cannot be told: systemd does not run here (no system.slice in '%s')", unit,
				  finder->context->cgroup_mount);
	snprintf(pattern, sizeof(pattern), "%.250s%s", unit, suffix(unit) ? "" : ".service");
	search->pattern = pattern;
	search->wanted = brunt_cgroup_has_wildcard(unit) ? NULL : pattern;
	return brunt_cgroup_walk(finder->cgroup_dir, "/", visit_unit, search) ? no_memory(err) : 0;
}

int brunt_unit_paths(struct brunt_finder *finder, const char *unit, struct brunt_paths *ret, struct brunt_error *err)
{
	struct unit_search search = { .finder = finder, .found = ret };

	return units(&search, unit, err);
}

int brunt_find_unit(struct brunt_finder *finder, struct brunt_error *err)
{
	BRUNT_CLEANUP(paths_done) struct brunt_paths paths = { 0 };
	struct unit_search search = { .finder = finder, .found = &paths };
	const char *unit = finder->target->unit;
	int rc = units(&search, unit, err);

	if (rc)
		return rc;
	finder->explicit = !brunt_cgroup_has_wildcard(unit);
	if (add_items(finder, &paths, false))
		return no_memory(err);
	for (size_t i = 0; i < finder->count; i++) {
		char *name = finder->items[i].name;

		memmove(name, unit_name(name), strlen(unit_name(name)) + 1);
	}
	if (!finder->count && search.near[0])
		return brunt_fail(err, ESRCH, "no unit '%s' is running; '%s' is", unit, search.near);
	if (!finder->count)
		return brunt_fail(err, ESRCH, "no unit '%s' is running", unit);
	return 0;
}

int brunt_service_index(struct brunt_finder *finder, const char *name, struct brunt_error *err)
{
	const char *const *names = finder->context->service_names;

	for (int i = 0; names && names[i]; i++)
		if (!strcmp(names[i], name))
			return i;
	return brunt_fail(err, ESRCH, "the plan has no service '%s'", name);
}

bool brunt_service_cgroup(struct brunt_finder *finder, const char *name, char *buf, size_t size)
{
	const struct brunt_resolve_context *context = finder->context;

	if (!context->run_cgroup || finder->cgroup_dir < 0 ||
	    snprintf(buf, size, "%s/%s", context->run_cgroup, name) >= (int)size)
		return false;
	return brunt_cgroup_exists(finder->cgroup_dir, buf);
}

pid_t brunt_service_pid(struct brunt_finder *finder, int index)
{
	const struct brunt_resolve_context *context = finder->context;
	struct brunt_proc_stat stat;
	struct brunt_service_slot slot;

	if (!context->services)
		return 0;
	slot = context->services[index];
	if (slot.pid <= 0 || brunt_proc_stat(finder->proc_dir, slot.pid, &stat) || !brunt_proc_stat_alive(&stat))
		return 0;
	return !slot.start || slot.start == stat.start ? slot.pid : 0;
}

int brunt_find_service(struct brunt_finder *finder, struct brunt_error *err)
{
	const char *name = finder->target->service;
	int index = brunt_service_index(finder, name, err);
	char path[BRUNT_CGROUP_PATH] = "";
	struct brunt_item *item;
	bool grouped;
	pid_t pid;

	if (index < 0)
		return index;
	finder->explicit = true;
	grouped = brunt_service_cgroup(finder, name, path, sizeof(path));
	pid = brunt_service_pid(finder, index);
	if (finder->context->services ? !pid : !grouped || !brunt_cgroup_populated(finder->cgroup_dir, path))
		return brunt_fail(err, ESRCH, "service '%s' is not running", name);
	if (brunt_finder_add(finder, &item))
		return no_memory(err);
	snprintf(item->name, sizeof(item->name), "%s", name);
	/* The main process stands for the service where there is no cgroup to do so. */
	item->process.pid = pid;
	if (grouped) {
		memcpy(item->cgroup, path, strlen(path) + 1);
		item->cgroup_id = brunt_cgroup_id(finder->cgroup_dir, path);
	}
	return 0;
}

int brunt_find_interface(struct brunt_finder *finder, struct brunt_error *err)
{
	const char *name = finder->target->interface, *near = NULL;
	unsigned index = if_nametoindex(name);
	struct if_nameindex *all;
	struct brunt_item *item;
	int rc = 0;

	if (index) {
		if (brunt_finder_add(finder, &item))
			return no_memory(err);
		snprintf(item->name, sizeof(item->name), "%s", name);
		item->interface_index = index;
		return 0;
	}
	all = if_nameindex();
	for (struct if_nameindex *at = all; at && at->if_index && !near; at++)
		near = brunt_suggest(name, (const char *const[]){ at->if_name, NULL });
	rc = near ? brunt_fail(err, ESRCH, "no network interface '%s'; there is '%s'", name, near)
		  : brunt_fail(err, ESRCH, "no network interface '%s'", name);
	if (all)
		if_freenameindex(all);
	return rc;
}
