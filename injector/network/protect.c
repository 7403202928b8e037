/* SPDX-License-Identifier: Apache-2.0 */
#include "network/protect.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "network/names.h"
#include "network/owners.h"
#include "target/cgroup.h"

#define LOWER_DEPTH 8 /* a bridge over a bond over VLANs is three */

bool brunt_way_is_meant(const struct brunt_list *to, const struct brunt_list *local, const struct brunt_list *except,
			const struct brunt_endpoint *own, const struct brunt_endpoint *remote)
{
	bool meant = !to || !to->count;

	BRUNT_FOREACH (const struct brunt_endpoint, rule, to ? *to : (struct brunt_list){ 0 })
		meant |= brunt_endpoint_covers(rule, remote);
	if (!meant)
		return false;
	meant = !local || !local->count;
	BRUNT_FOREACH (const struct brunt_endpoint, rule, local ? *local : (struct brunt_list){ 0 })
		meant |= brunt_endpoint_covers(rule, own);
	BRUNT_FOREACH (const struct brunt_endpoint, rule, except ? *except : (struct brunt_list){ 0 })
		if (brunt_endpoint_covers(rule, own) || brunt_endpoint_covers(rule, remote))
			return false;
	return meant;
}

/* ---- is the target on the way? ---- */

/* Does upper stand on lower: bridge and port, bond and member, VLAN and parent? /sys/class/net/UPPER/lower_LOWER */
static bool stands_on(const char *upper, const char *lower, int depth)
{
	char path[PATH_MAX], names[64][IF_NAMESIZE];
	struct if_nameindex *all;
	size_t count = 0;

	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/lower_%s", upper, lower);
	if (!access(path, F_OK))
		return true;
	if (!depth)
		return false;
	all = if_nameindex();
	for (struct if_nameindex *one = all; one && one->if_name && count < BRUNT_COUNT(names); one++) {
		(void)snprintf(path, sizeof(path), "/sys/class/net/%s/lower_%s", upper, one->if_name);
		if (!access(path, F_OK))
			(void)snprintf(names[count++], sizeof(names[0]), "%s", one->if_name);
	}
	if (all)
		if_freenameindex(all);
	for (size_t i = 0; i < count; i++)
		if (stands_on(names[i], lower, depth - 1))
			return true;
	return false;
}

static bool passes_interface(const struct brunt_way *way, const struct brunt_item *item)
{
	char name[IF_NAMESIZE], own[IF_NAMESIZE];

	if (!way->interface)
		return false;
	return way->interface == item->interface_index ||
	       (if_indextoname(way->interface, name) && if_indextoname(item->interface_index, own) &&
		stands_on(name, own, LOWER_DEPTH));
}

struct search {
	int mount;
	uint64_t id;
};

static int visit_cgroup(void *user, const char *path, const char *name)
{
	struct search *search = user;

	(void)name;
	return brunt_cgroup_id(search->mount, path) == search->id ? -EEXIST : BRUNT_CGROUP_DESCEND;
}

/* Was its socket made in this cgroup or below? */
static bool is_of_cgroup(const struct brunt_way *way, const struct brunt_item *item, const char *mount)
{
	BRUNT_AUTO_CLOSE int fd = -1;
	struct search search;

	/* The resolver is everybody's: its way is the host's, not of one cgroup. */
	if (way->kind == BRUNT_WAY_RESOLVER)
		return !strcmp(item->cgroup, "/");
	if (!way->cgroup || !item->cgroup[0])
		return false;
	if (way->cgroup == item->cgroup_id)
		return true;
	fd = brunt_cgroup_open(mount, NULL);
	search = (struct search){ .mount = fd, .id = way->cgroup };
	return fd >= 0 && brunt_cgroup_walk(fd, item->cgroup, visit_cgroup, &search) == -EEXIST;
}

static void free_owners(struct brunt_owners *owners)
{
	brunt_owners_done(owners);
}

static bool is_of_process(const struct brunt_way *way, const struct brunt_item *item)
{
	BRUNT_CLEANUP(free_owners) struct brunt_owners owners = { 0 };

	if (!way->inode || brunt_owners_add_process(&owners, item->process.pid, NULL))
		return false;
	brunt_owners_sort(&owners);
	return brunt_ids_have(&owners.inodes, way->inode);
}

static bool is_on_way(const struct brunt_way *way, const struct brunt_victims *victims, const char *mount)
{
	for (size_t i = 0; i < victims->matched; i++) {
		const struct brunt_item *item = &victims->items[i];
		bool on_way = false;

		if (!item->picked)
			continue;
		switch (item->kind) {
		case BRUNT_TARGET_INTERFACE:
			on_way = passes_interface(way, item);
			break;
		case BRUNT_TARGET_PROCESS:
			on_way = is_of_process(way, item);
			break;
		default:
			on_way = is_of_cgroup(way, item, mount);
			break;
		}
		if (on_way)
			return true;
	}
	return false;
}

/* ---- what is said of it ---- */

static void note(char *notes, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void note(char *notes, size_t size, const char *format, ...)
{
	size_t used = notes ? strlen(notes) : 0;
	va_list arguments;

	if (!notes || used + 2 >= size)
		return;
	if (used)
		notes[used++] = '\n';
	va_start(arguments, format);
	(void)vsnprintf(notes + used, size - used, format, arguments);
	va_end(arguments);
}

static int fail_cut(const struct brunt_way *way, struct brunt_error *err)
{
	char own[128], remote[128];

	(void)brunt_endpoint_print(&way->local, own, sizeof(own));
	(void)brunt_endpoint_print(&way->remote, remote, sizeof(remote));
	if (way->kind == BRUNT_WAY_SSH)
		return brunt_fail(err, EDQUOT,
				  "it would cut the SSH session that brunt was started from (%s to %s): name one of "
				  "them in 'except', or say \"may_cut\": [\"ssh\"] in 'blast_radius'",
				  remote, own);
	return brunt_fail(
		err, EDQUOT,
		"it would cut this host off from its name server %s: name it in 'except', or say \"may_cut\": "
		"[\"resolver\"] in 'blast_radius'",
		remote);
}

/* What the fault does to the way, by the addresses of its ends, and by each name that stands for one of them. */
static enum brunt_harm harm_of(const struct brunt_way *way, const struct brunt_fault *fault,
			       const struct brunt_names *names)
{
	enum brunt_harm worst = BRUNT_HARM_NONE;
	size_t count = 0;

	while (names && brunt_names_name(names, count))
		count++;

	/* each end by its address, and by each name that stands for it: all pairs */
	for (size_t i = 0; i <= count; i++) {
		struct brunt_endpoint local = way->local;

		if (i < count && !brunt_names_stand_for(names, i, &local))
			continue;
		(void)snprintf(local.host, sizeof(local.host), "%s", i < count ? brunt_names_name(names, i) : "");
		for (size_t j = 0; j <= count; j++) {
			struct brunt_endpoint remote = way->remote;
			enum brunt_harm harm;

			if (j < count && !brunt_names_stand_for(names, j, &remote))
				continue;
			(void)snprintf(remote.host, sizeof(remote.host), "%s",
				       j < count ? brunt_names_name(names, j) : "");
			harm = fault->injector->harm(fault->params, &local, &remote);
			worst = harm > worst ? harm : worst;
		}
	}
	return worst;
}

int brunt_ways_check(const struct brunt_ways *ways, const struct brunt_fault *fault,
		     const struct brunt_victims *victims, const struct brunt_names *names, const char *mount,
		     unsigned allowed, char *notes, size_t size, struct brunt_error *err)
{
	int result = 0;

	if (notes && size)
		notes[0] = '\0';
	if (!fault->injector->harm || !victims)
		return 0;
	for (size_t i = 0; i < ways->count; i++) {
		const struct brunt_way *way = &ways->items[i];
		enum brunt_harm harm = harm_of(way, fault, names);

		if (harm == BRUNT_HARM_NONE || !is_on_way(way, victims, mount))
			continue;
		if (harm == BRUNT_HARM_CUTS && way->kind != BRUNT_WAY_SLI && !(allowed & 1u << way->kind)) {
			if (!result)
				result = fail_cut(way, err);
			continue;
		}
		note(notes, size, "%s %s", harm == BRUNT_HARM_CUTS ? "cuts" : "goes through", way->name);
	}
	return result;
}
