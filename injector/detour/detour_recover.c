/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel does not take away before tcx: filters, inert since their
 * holder died (the map of programs that they call is empty then), and the
 * clsact that a detour made. Everything else goes with the linger or the line,
 * when nothing waits any more; of one that does not end (stopped, hanging) the
 * devices are deleted here.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "detour/detour_parts.h"

/* Filters found at once; there are no more detours on a direction than this. */
#define FILTERS_MAX (2 * BRUNT_TAG_INSTANCES)

/* What carries packets on ends so much later than its linger at most. A line sees 300 ms after the death that all came. */
#define LINGER_MARGIN (1 * BRUNT_S)

/* For a record that does not say: more than any. */
#define LINGER_UNKNOWN (60 * BRUNT_S)

/*
 * How long devices are waited for: all faults of a run together, for the controller waits 5 s for the recoverer. Who
 * needs longer is told to come again.
 */
#define WAIT_NS	      (2500 * BRUNT_MS)
#define WAIT_AGAIN_NS (5 * BRUNT_S)
#define LOOK_MS	      20

/* In the alias of a device whose holder was found dead: when (CLOCK_BOOTTIME, ms), for whoever looks next. */
#define LEFT_SINCE ", left since "

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

/* ---- devices that did not go ---- */

static struct {
	size_t count;
	bool more; /* than find room: they come next time */
	struct brunt_link links[2 * BRUNT_DETOUR_LEGS_MAX];
} left;

static bool is_labelled(const struct brunt_link *link, uint32_t label)
{
	const char *name = strstr(link->alias, ", for "), *end = strstr(link->alias, LEFT_SINCE);
	char text[sizeof(link->alias)];

	if (!label)
		return true;
	if (!name)
		return false;
	name += strlen(", for ");
	(void)snprintf(text, sizeof(text), "%.*s", end > name ? (int)(end - name) : (int)strlen(name), name);
	return brunt_detour_hash(text) == label;
}

/* The devices of the run are what they say themselves; others could be given such an alias. */
static int see_device(void *user, const struct brunt_link *link)
{
	const struct brunt_detour_undo *undo = user;
	char begin[32];
	int size = snprintf(begin, sizeof(begin), "brunt run %.8s: ", undo->run);

	if (strncmp(link->alias, begin, (size_t)size) || (strcmp(link->kind, "veth") && strcmp(link->kind, "tun")) ||
	    !is_labelled(link, undo->label))
		return 0;
	for (size_t i = 0; i < left.count; i++)
		if (left.links[i].index == link->index)
			return 0;
	if (left.count < BRUNT_COUNT(left.links))
		left.links[left.count++] = *link;
	else
		left.more = true;
	return 0;
}

/* A device that is seen for the first time is left now. */
static uint64_t left_since(struct brunt_rtnl *rtnl, const struct brunt_link *link)
{
	const char *since = strstr(link->alias, LEFT_SINCE);
	const uint64_t now = brunt_now() / BRUNT_MS;
	uint64_t then = since ? strtoull(since + strlen(LEFT_SINCE), NULL, 10) : 0;
	char alias[sizeof(link->alias)];

	if (then && then <= now)
		return then * BRUNT_MS;
	(void)snprintf(alias, sizeof(alias), "%.*s" LEFT_SINCE "%" PRIu64,
		       since ? (int)(since - link->alias) : (int)strlen(link->alias), link->alias, now);
	(void)brunt_link_hush(rtnl, link->index, alias, NULL);
	return now * BRUNT_MS;
}

/*
 * Looks once at the devices in this namespace, and deletes those that should have gone long ago: then the line finds its
 * device gone, or the linger its queue, and ends as soon as it can. 0: none is left; -EAGAIN; -errno.
 */
static int clear_devices(struct brunt_rtnl *rtnl, const struct brunt_detour_undo *undo, struct brunt_error *err)
{
	const uint64_t linger = undo->linger_ms ? undo->linger_ms * BRUNT_MS : LINGER_UNKNOWN;
	const uint64_t now = brunt_now();
	int r;

	left.count = 0;
	left.more = false;
	r = brunt_link_each(rtnl, see_device, (void *)undo, err);
	for (size_t i = 0; i < left.count && (!r || r == -EAGAIN); i++) {
		const struct brunt_link *link = &left.links[i];
		const uint64_t until = left_since(rtnl, link) + linger + LINGER_MARGIN;
		int gone;

		gone = now > until ? brunt_link_delete(rtnl, link->index, err)
				   : brunt_fail(err, EAGAIN,
						"packets may still wait in device '%s', for %" PRIu64
						" s at most: try again then",
						link->name, (until - now) / BRUNT_S + 1);
		r = gone ?: r;
	}
	if (!r && left.more)
		r = brunt_fail(err, EAGAIN, "more devices are left than can be looked at in one go: try again");
	return r;
}

static uint64_t wait_until(void)
{
	static uint64_t until;
	const uint64_t now = brunt_now();

	if (now > until + WAIT_AGAIN_NS)
		until = now + WAIT_NS;
	return until;
}

static int await_devices(struct brunt_rtnl *rtnl, const struct brunt_detour_undo *undo, struct brunt_error *err)
{
	const uint64_t until = wait_until();
	int r;

	while ((r = clear_devices(rtnl, undo, err)) == -EAGAIN && brunt_now() < until)
		(void)poll(NULL, 0, LOOK_MS);
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
	r = r ?: await_devices(&rtnl, undo, err);
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
	if (record->version < BRUNT_DETOUR_UNDO_VERSION)
		undo.label = undo.linger_ms = 0;
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
