/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel does not take away before tcx: filters, inert since their
 * holder died (the map of programs that they call is empty then), and the
 * clsact that a detour made. Everything else went with the linger.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "fault/detour_parts.h"

/* Filters found at once; there are no more detours on a direction than this. */
#define FILTERS_MAX (2 * BRUNT_TAG_INSTANCES)

struct sweep {
	char name[16]; /* "brunt_RUN" */
	size_t count, others;
	struct {
		unsigned priority;
		uint32_t handle;
	} found[FILTERS_MAX];
};

static int see_filter(void *user, const struct brunt_filter *filter)
{
	struct sweep *sweep = user;

	if (strcmp(filter->name, sweep->name) || strcmp(filter->kind, "bpf")) {
		/* a chain of filters is told first, without one in it */
		sweep->others += filter->handle != 0;
		return 0;
	}
	if (filter->handle && sweep->count < FILTERS_MAX) {
		sweep->found[sweep->count].priority = filter->priority;
		sweep->found[sweep->count++].handle = filter->handle;
	}
	return 0;
}

/* How many foreign filters there are is in *ret_others. */
static int sweep_filters(struct brunt_rtnl *rtnl, const char *run, unsigned interface, bool ingress, size_t *ret_others,
			 struct brunt_error *err)
{
	struct sweep sweep = { .count = 0 };
	int r;

	(void)snprintf(sweep.name, sizeof(sweep.name), "brunt_%.8s", run);
	r = brunt_filter_each(rtnl, interface, ingress, see_filter, &sweep, err);
	for (size_t i = 0; !r && i < sweep.count; i++)
		r = brunt_filter_delete(rtnl, interface, ingress, sweep.found[i].priority, sweep.found[i].handle, err);
	*ret_others += sweep.others;
	return r;
}

static int recover_entry(struct brunt_rtnl *rtnl, const struct brunt_detour_undo *undo,
			 const struct brunt_detour_undo_entry *entry, struct brunt_error *err)
{
	struct brunt_link link = { 0 };
	size_t others = 0;
	int r = brunt_link_get(rtnl, entry->interface, NULL, &link, err);

	if (r)
		return r == -ENODEV ? 0 : r;
	r = sweep_filters(rtnl, undo->run, entry->interface, false, &others, err);
	r = r ?: sweep_filters(rtnl, undo->run, entry->interface, true, &others, err);
	/* renamed, or another interface by now: an empty clsact does nothing, and may be somebody's */
	if (!r && !others && entry->flags & BRUNT_DETOUR_UNDO_CLSACT && brunt_detour_hash(link.name) == entry->name)
		r = brunt_clsact_delete(rtnl, entry->interface, err);
	return r;
}

static int recover_place(const struct brunt_detour_undo *undo, unsigned index, const struct brunt_netns *own, int home,
			 struct brunt_error *err)
{
	static struct brunt_rtnl rtnl;
	struct brunt_netns place = { .device = own->device, .inode = undo->inodes[index] };
	int r;

	place.own = place.inode == own->inode;
	rtnl.fd = -1;
	r = brunt_netns_enter(&place, err);
	if (r)
		return r == -ESRCH ? 0 : r;
	r = brunt_rtnl_open(&rtnl, NETLINK_ROUTE, err);
	for (size_t i = 0; !r && i < undo->count; i++)
		if (undo->entries[i].place == index)
			r = recover_entry(&rtnl, undo, &undo->entries[i], err);
	brunt_rtnl_close(&rtnl);
	brunt_netns_leave(&place, home);
	return r;
}

int brunt_detour_recover(const struct brunt_undo_record *record, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct brunt_detour_undo undo;
	struct brunt_netns own;
	int first = 0, r;

	memcpy(&undo, record->data, sizeof(undo));
	undo.run[sizeof(undo.run) - 1] = '\0';
	if (home < 0)
		return brunt_fail(err, errno, "cannot open our own network namespace: %s", strerror(errno));
	if (undo.count > BRUNT_DETOUR_LEGS_MAX || undo.places > BRUNT_DETOUR_PLACES_MAX)
		return brunt_fail(err, EBADMSG, "the undo record of a detour is damaged");
	r = brunt_netns_of(0, &own, err);
	if (r)
		return r;
	for (unsigned i = 0; i < undo.places; i++) {
		r = recover_place(&undo, i, &own, home, err);
		first = first ?: r;
	}
	return first;
}
