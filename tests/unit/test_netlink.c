/* SPDX-License-Identifier: Apache-2.0 */
/* What comes by netlink: from the kernel alone, and cut where it may be cut. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "brunt/error.h"
#include "network/netlink.h"
#include "network/rtnl.h"

/* Needs CAP_NET_ADMIN where the sockets live: without it nobody sends to others by netlink. */
static void send_as_stranger(int to)
{
	const struct nlmsghdr done = { .nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE, .nlmsg_seq = 2 };
	struct sockaddr_nl name = { 0 };
	socklen_t size = sizeof(name);
	int stranger = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	assert_true(stranger >= 0);
	assert_int_equal(getsockname(to, (struct sockaddr *)&name, &size), 0);
	assert_int_equal(sendto(stranger, &done, sizeof(done), 0, (const struct sockaddr *)&name, sizeof(name)), -1);
	if (errno != EPERM)
		assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(close(stranger), 0);
}

static void nobody_answers_in_the_place_of_the_kernel(void **state)
{
	static struct brunt_rtnl rtnl;
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} request = { { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK }, { .ifi_index = 1 } };
	struct brunt_netlink netlink;
	struct brunt_link link;

	(void)state;
	/* the kernel gives a socket its address when it is first used */
	assert_int_equal(brunt_rtnl_open(&rtnl, NETLINK_ROUTE, NULL), 0);
	assert_int_equal(brunt_link_get(&rtnl, 1, NULL, &link, NULL), 0);
	send_as_stranger(rtnl.fd);
	assert_int_equal(brunt_link_get(&rtnl, 1, NULL, &link, NULL), 0);
	assert_string_equal(link.name, "lo");
	brunt_rtnl_close(&rtnl);
	assert_int_equal(brunt_netlink_open(NETLINK_ROUTE, -1, &netlink, NULL), 0);
	assert_int_equal(brunt_netlink_get(&netlink, &request.head, NULL, NULL), 0);
	send_as_stranger(netlink.fd);
	brunt_netlink_close(&netlink);
}

/* The length of the message ends with its last attribute, not with that attribute's padding. */
static void nothing_is_found_behind_the_end(void **state)
{
	struct {
		struct nlmsghdr head;
		struct rtattr last;
		char byte, padding[3];
		struct rtattr behind;
		uint32_t value;
	} message = {
		.head = { .nlmsg_len = offsetof(typeof(message), padding) },
		.last = { .rta_len = RTA_LENGTH(1), .rta_type = 1 },
		.behind = { .rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = 2 },
	};

	(void)state;
	assert_ptr_equal(brunt_rtnl_find(&message.head, 0, 1), &message.last);
	assert_null(brunt_rtnl_find(&message.head, 0, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_answers_in_the_place_of_the_kernel),
		cmocka_unit_test(nothing_is_found_behind_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
