/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our devices. A veth pair is made by its end in the target's namespace, the
 * peer is born in the hidden one. A TAP device is made in the hidden namespace
 * and moved, because its descriptor keeps the namespace alive in which it was
 * opened (tun_chr_open() in drivers/net/tun.c), and the target's must not be.
 */
#include <net/if.h> /* before the kernel's, which then leaves out what it has */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/memory.h"
#include "detour/detour_parts.h"

/* include/uapi/linux/if_tun.h since 6.2 */
#define OFFLOAD_USO4 0x20
#define OFFLOAD_USO6 0x40

/* Packets that a TAP device keeps for a line that is not reading at this moment. */
#define TAP_QUEUE 16384

/* A packet of the largest size and its headers is larger than what devices are set to, and would be split here. */
#define GSO_MORE 256

static int enter_hidden(const struct brunt_detour *detour, struct brunt_error *err)
{
	return setns(detour->hidden, CLONE_NEWNET)
		       ? brunt_fail(err, errno, "cannot enter our own network namespace: %s", strerror(errno))
		       : 0;
}

static void leave_hidden(const struct brunt_detour *detour)
{
	if (setns(detour->home, CLONE_NEWNET))
		abort();
}

/* Names need be free in the target's namespace only, but a run's are all different. 15 bytes are the most. */
static void next_name(const struct brunt_detour *detour, struct brunt_detour_part *part)
{
	static unsigned serial;

	(void)snprintf(part->leg.device_name, sizeof(part->leg.device_name), "b%.8s-%u%c", detour->run,
		       serial++ % 10000, part->leg.ingress ? 'i' : 'e');
}

/* In the target's namespace. */
static int make_veth(struct brunt_detour *detour, struct brunt_detour_part *part, struct brunt_error *err)
{
	const struct brunt_link_wish wish = { .name = part->leg.device_name, .mtu = BRUNT_DETOUR_MTU };
	int r = -EEXIST;

	for (int i = 0; i < 100 && r == -EEXIST; i++) {
		next_name(detour, part);
		r = brunt_link_add_veth(&detour->spoken, &wish, &wish, detour->hidden, err);
	}
	part->made = !r;
	return r;
}

/* In the hidden namespace. */
static int finish_peer(struct brunt_detour *detour, struct brunt_detour_part *part, struct brunt_error *err)
{
	struct brunt_link link = { 0 };
	int r = brunt_link_get(&detour->rtnl, 0, part->leg.device_name, &link, err);

	if (r)
		return r;
	part->peer = link.index;
	r = brunt_link_hush(&detour->rtnl, link.index, NULL, err);
	r = r ?: brunt_link_up(&detour->rtnl, link.index, err);
	return r ?: brunt_detour_attach_inner(detour, part, BRUNT_DETOUR_BOUNCE, link.index, true, err);
}

static int open_tap(struct brunt_detour_part *part, struct brunt_error *err)
{
	static const unsigned offloads[] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | OFFLOAD_USO4 | OFFLOAD_USO6,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		TUN_F_CSUM,
	};
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	BRUNT_AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return brunt_fail(err, errno == ENOENT || errno == ENODEV ? ENOTSUP : errno,
				  "cannot open /dev/net/tun: %s%s", strerror(errno),
				  errno == ENOENT || errno == ENODEV ? " (CONFIG_TUN)" : "");
	if (part)
		memcpy(request.ifr_name, part->leg.device_name, sizeof(request.ifr_name));
	if (ioctl(fd, TUNSETIFF, &request))
		return brunt_fail(err, errno, "cannot make a TAP device: %s", strerror(errno));
	for (size_t i = 0; i < BRUNT_COUNT(offloads); i++)
		if (!ioctl(fd, TUNSETOFFLOAD, offloads[i]))
			break;
	return BRUNT_TAKE_FD(fd);
}

/* In the hidden namespace. */
static int make_tap(struct brunt_detour *detour, struct brunt_detour_part *part, int target, struct brunt_error *err)
{
	struct brunt_link link = { 0 };
	int r = -EEXIST;

	for (int i = 0; i < 100 && r == -EEXIST; i++) {
		const struct brunt_link_wish wish = { .name = part->leg.device_name,
						      .mtu = BRUNT_DETOUR_MTU - 14, /* TUN's largest: MAX_MTU there */
						      .queue = TAP_QUEUE };

		if (part->leg.tap >= 0)
			close(part->leg.tap);
		next_name(detour, part);
		part->leg.tap = open_tap(part, err);
		if (part->leg.tap < 0)
			return part->leg.tap;
		r = brunt_link_get(&detour->rtnl, 0, part->leg.device_name, &link, err);
		r = r ?: brunt_link_move(&detour->rtnl, link.index, &wish, target, err);
	}
	part->made = !r;
	return r;
}

static void describe_leg(struct brunt_detour *detour, const struct brunt_detour_part *part)
{
	const bool headless = part->type != ARPHRD_ETHER && part->type != ARPHRD_LOOPBACK;
	const int direction = detour->match->direction;
	uint32_t flags = headless ? BRUNT_DETOUR_HEADLESS : 0;

	if (part->leg.tap >= 0)
		flags |= BRUNT_DETOUR_TAP;
	if (part->leg.loopback)
		flags |= (direction & BRUNT_DETOUR_EGRESS ? BRUNT_DETOUR_SENT : 0) |
			 (direction & BRUNT_DETOUR_INGRESS ? BRUNT_DETOUR_RECEIVED : 0);
	detour->control->legs[part->number] = (struct brunt_detour_leg){
		.interface = part->leg.interface,
		.device = part->leg.device,
		.network = headless ? BRUNT_NETWORK_FIRST : BRUNT_NETWORK_ETHERNET,
		.flags = flags,
		.tag = BRUNT_TAG_MAGIC | part->instance << BRUNT_TAG_INSTANCE_SHIFT,
	};
}

/* In the target's namespace: the device becomes what it is to be, gets its back end, and only then comes up. */
static int finish_device(struct brunt_detour *detour, struct brunt_detour_part *part, struct brunt_error *err)
{
	struct brunt_link link = { 0 };
	char alias[128];
	int r = brunt_link_get(&detour->spoken, 0, part->leg.device_name, &link, err);

	if (r)
		return r;
	part->leg.device = link.index;
	describe_leg(detour, part);
	r = brunt_link_hush(&detour->spoken, link.index, brunt_detour_alias(detour, part, alias, sizeof(alias)), err);
	if (r)
		return r;
	if (!detour->backend->tap)
		(void)brunt_link_set_gso(&detour->spoken, link.index, part->gso_max_size + GSO_MORE,
					 part->gso_max_segs);
	r = brunt_detour_attach_inner(detour, part, BRUNT_DETOUR_BACK, link.index, true, err);
	if (!r && detour->backend->tap)
		r = brunt_detour_attach_inner(detour, part, BRUNT_DETOUR_GATE, link.index, false, err);
	if (r)
		return r;
	for (size_t i = 0; detour->backend->tap && i < part->inner_count; i++)
		part->leg.keep[part->leg.keep_count++] = part->inner[i];
	/* half-started is started: stop undoes either */
	part->started = true;
	r = detour->backend->start(detour->opaque, &part->leg, err);
	return r ?: brunt_link_up(&detour->spoken, link.index, err);
}

/* Runs one of the above for every leg of a place, inside of it. */
static int each_in_place(struct brunt_detour *detour, unsigned place,
			 int (*step)(struct brunt_detour *, struct brunt_detour_part *, struct brunt_error *),
			 struct brunt_error *err)
{
	int r = brunt_netns_enter(&detour->places[place], err);

	if (r)
		return r;
	r = brunt_rtnl_open(&detour->spoken, NETLINK_ROUTE, err);
	for (size_t i = 0; !r && i < detour->part_count; i++)
		if (detour->parts[i].place == place)
			r = step(detour, &detour->parts[i], err);
	brunt_rtnl_close(&detour->spoken);
	brunt_netns_leave(&detour->places[place], detour->home);
	return r;
}

static int make_taps(struct brunt_detour *detour, unsigned place, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int target = brunt_netns_open(&detour->places[place], err);
	int r = target < 0 ? target : enter_hidden(detour, err);

	if (r)
		return r;
	for (size_t i = 0; !r && i < detour->part_count; i++)
		if (detour->parts[i].place == place)
			r = make_tap(detour, &detour->parts[i], target, err);
	leave_hidden(detour);
	return r;
}

static int make_hidden(struct brunt_detour *detour, struct brunt_error *err)
{
	int r;

	detour->hidden = brunt_netns_make(detour->home, err);
	r = detour->hidden < 0 ? detour->hidden : enter_hidden(detour, err);
	if (r)
		return r;
	r = brunt_rtnl_open(&detour->rtnl, NETLINK_ROUTE, err);
	leave_hidden(detour);
	return r;
}

int brunt_detour_make_devices(struct brunt_detour *detour, struct brunt_error *err)
{
	const bool tap = detour->backend->tap;
	int r = make_hidden(detour, err);

	for (unsigned i = 0; !r && i < detour->place_count; i++)
		r = tap ? make_taps(detour, i, err) : each_in_place(detour, i, make_veth, err);
	if (!r && !tap) {
		r = enter_hidden(detour, err);
		if (r)
			return r;
		for (size_t i = 0; !r && i < detour->part_count; i++)
			r = finish_peer(detour, &detour->parts[i], err);
		leave_hidden(detour);
	}
	for (unsigned i = 0; !r && i < detour->place_count; i++)
		r = each_in_place(detour, i, finish_device, err);
	return r;
}

int brunt_detour_try_devices(bool tap, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct brunt_detour detour = { .home = home, .rtnl = { .fd = -1 } };
	const struct brunt_link_wish here = { .name = "b0", .mtu = BRUNT_DETOUR_MTU };
	const struct brunt_link_wish there = { .name = "b1", .mtu = BRUNT_DETOUR_MTU };
	int r, fd;

	if (home < 0)
		return brunt_fail(err, errno, "cannot open our own network namespace: %s", strerror(errno));
	r = make_hidden(&detour, err);
	if (!r && tap) {
		r = enter_hidden(&detour, err);
		if (!r) {
			fd = open_tap(NULL, err);
			leave_hidden(&detour);
			if (fd >= 0)
				close(fd);
			r = fd < 0 ? fd : 0;
		}
	} else if (!r) {
		r = brunt_link_add_veth(&detour.rtnl, &here, &there, detour.hidden, err);
		if (r == -EOPNOTSUPP)
			r = brunt_fail(err, ENOTSUP, "this kernel has no veth devices (CONFIG_VETH)");
	}
	brunt_rtnl_close(&detour.rtnl);
	if (detour.hidden >= 0)
		close(detour.hidden);
	return r;
}
