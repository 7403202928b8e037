/* SPDX-License-Identifier: Apache-2.0 */
/* Which sockets dns.fail takes for the target's, of a kernel's list that is made up. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "brunt/error.h"
#include "fault/dns_fail.h"
#include "network/connections.h"

static const struct brunt_connection sample = { .protocol = IPPROTO_UDP,
						.remote = { .family = 4, .address = { 192, 0, 2, 53 }, .port = 53 } };
static size_t others, ours; /* in the kernel's list: first others, then ours */
static size_t ended;
static uint64_t inode; /* of our socket, all of them */

int __wrap_brunt_connections_visit_udp(struct brunt_netlink *netlink,
				       int (*visit)(void *user, const struct brunt_connection *connection), void *user,
				       struct brunt_error *err);
int __wrap_brunt_connections_visit_udp(struct brunt_netlink *netlink,
				       int (*visit)(void *user, const struct brunt_connection *connection), void *user,
				       struct brunt_error *err)
{
	struct brunt_connection connection = sample;
	int r = 0;

	(void)netlink;
	(void)err;
	for (size_t i = 0; i < others + ours && r >= 0; i++) {
		connection.inode = i < others ? UINT32_MAX : (uint32_t)inode;
		r = visit(user, &connection);
	}
	return r < 0 ? r : 0;
}

int __wrap_brunt_connections_visit(struct brunt_netlink *netlink, uint32_t states,
				   int (*visit)(void *user, const struct brunt_connection *connection), void *user,
				   struct brunt_error *err);
int __wrap_brunt_connections_visit(struct brunt_netlink *netlink, uint32_t states,
				   int (*visit)(void *user, const struct brunt_connection *connection), void *user,
				   struct brunt_error *err)
{
	(void)netlink;
	(void)states;
	(void)visit;
	(void)user;
	(void)err;
	return 0;
}

int __wrap_brunt_connection_destroy(struct brunt_netlink *netlink, const struct brunt_connection *connection);
int __wrap_brunt_connection_destroy(struct brunt_netlink *netlink, const struct brunt_connection *connection)
{
	(void)netlink;
	assert_int_equal(connection->inode, inode);
	ended++;
	return 0;
}

static int look(bool reconnect, bool ends, size_t *ret, struct brunt_error *err)
{
	struct brunt_item item = { .kind = BRUNT_TARGET_PROCESS, .picked = true, .process = { .pid = getpid() } };
	const struct brunt_victims victims = { .items = &item, .matched = 1 };
	const struct dns_params params = { .reconnect = reconnect };
	struct dns_state state = { .params = &params, .victims = &victims };
	struct brunt_dns_place *place = &state.places.items[0];
	struct stat facts;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &facts), 0);
	inode = facts.st_ino;
	place->netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(place->netns >= 0);
	assert_int_equal(fstat(place->netns, &facts), 0);
	place->device = facts.st_dev;
	place->inode = facts.st_ino;
	place->servers[0] = (struct brunt_dns_server){ .family = 4, .address = { 192, 0, 2, 53 }, .port = 53 };
	place->server_count = 1;
	state.places.count = 1;
	ended = 0;
	r = dns_old_sockets(&state, ends, ret, err);
	assert_int_equal(close(place->netns), 0);
	assert_int_equal(close(fd), 0);
	return r;
}

static void those_of_others_take_no_place(void **state)
{
	struct brunt_error err = { 0 };
	size_t count;

	(void)state;
	others = 5000;
	ours = 3;
	assert_int_equal(look(false, false, &count, &err), 0);
	assert_int_equal(count, 3);
	assert_int_equal(ended, 0);
	assert_int_equal(look(true, true, &count, &err), 0);
	assert_int_equal(count, 3);
	assert_int_equal(ended, 3);
}

static void more_than_can_be_ended_is_an_error(void **state)
{
	struct brunt_error err = { 0 };
	size_t count;

	(void)state;
	others = 0;
	ours = 5000;
	assert_int_equal(look(true, true, &count, &err), -E2BIG);
	assert_string_equal(err.msg, "5000 sockets of the target are connected to a name server, and 'reconnect' ends "
				     "1024 at most");
	assert_int_equal(ended, 0);
	/* already before the fault begins, and only when they are to be ended */
	assert_int_equal(look(true, false, &count, &err), -E2BIG);
	assert_int_equal(look(false, false, &count, &err), 0);
	assert_int_equal(count, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_of_others_take_no_place),
		cmocka_unit_test(more_than_can_be_ended_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
