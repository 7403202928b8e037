/* SPDX-License-Identifier: Apache-2.0 */
/* What must not be cut by accident: found in an own network namespace, judged for every kind of target. */
#include "bpf_lab.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "brunt/clock.h"
#include "brunt/units.h"
#include "network/names.h"
#include "network/protect.h"

/* A TCP connection on loopback; its server's end plays sshd's. */
struct login {
	int listener, client, server;
	char variable[128]; /* SSH_CONNECTION */
	uint16_t client_port, server_port;
};

static struct login log_in(const char *cgroup)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(at);
	struct login login;

	lab_enter(cgroup);
	login.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	lab_enter("/");
	assert_int_equal(bind(login.listener, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(login.listener, 1), 0);
	assert_int_equal(getsockname(login.listener, (struct sockaddr *)&at, &size), 0);
	login.server_port = ntohs(at.sin_port);
	login.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(login.client, (struct sockaddr *)&at, size), 0);
	login.server = accept(login.listener, NULL, NULL);
	size = sizeof(at);
	assert_int_equal(getsockname(login.client, (struct sockaddr *)&at, &size), 0);
	login.client_port = ntohs(at.sin_port);
	(void)snprintf(login.variable, sizeof(login.variable), "127.0.0.1 %u 127.0.0.1 %u", login.client_port,
		       login.server_port);
	return login;
}

static void log_out(struct login *login)
{
	close(login->client);
	close(login->server);
	close(login->listener);
}

static struct brunt_endpoint end(const char *text)
{
	struct brunt_endpoint endpoint;
	struct brunt_error err = { 0 };

	if (brunt_endpoint_parse(text, &endpoint, &err))
		fail_msg("%s", err.msg);
	return endpoint;
}

/* ---- a fault that is asked ---- */

struct rules {
	struct brunt_list to, local, except;
	enum brunt_harm harm;
};

static enum brunt_harm harm(const void *params, const struct brunt_endpoint *own, const struct brunt_endpoint *remote)
{
	const struct rules *rules = params;

	return brunt_way_is_meant(&rules->to, &rules->local, &rules->except, own, remote) ? rules->harm
											  : BRUNT_HARM_NONE;
}

static const struct brunt_injector network_fault = { .name = "test.network", .harm = harm };
static const struct brunt_injector other_fault = { .name = "test.other" };

static const struct brunt_names *looked_up;
static char notes[512];
static struct brunt_error err;

static int check(const struct brunt_ways *ways, struct rules *rules, struct brunt_item item, unsigned allowed)
{
	const struct brunt_fault fault = { .injector = &network_fault, .params = rules };
	const struct brunt_victims victims = { .items = &item, .matched = 1, .picked = 1 };

	err.msg[0] = '\0';
	return brunt_ways_check(ways, &fault, &victims, looked_up, lab.mount, allowed, notes, sizeof(notes), &err);
}

static struct brunt_item interface_item(const char *name)
{
	struct brunt_item item = { .kind = BRUNT_TARGET_INTERFACE, .picked = true };

	(void)snprintf(item.name, sizeof(item.name), "%s", name);
	item.interface_index = if_nametoindex(name);
	return item;
}

/* Another name of 127.0.0.1 than localhost, whatever this host's own resolver knows. */
#define ALIAS "alias.brunt.test"

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	return __real_getaddrinfo(node && !strcmp(node, ALIAS) ? "127.0.0.1" : node, service, hints, ret);
}

/* In a child that has another environment: how many ways a login gives. */
static size_t ways_with(const char *variable, bool of_parent)
{
	int pipes[2], status;
	size_t count = 0;
	pid_t child;

	assert_int_equal(pipe2(pipes, 0), 0);
	child = fork();
	if (!child) {
		char number[16], parent[16];

		(void)snprintf(number, sizeof(number), "%d", pipes[1]);
		(void)snprintf(parent, sizeof(parent), "%d", of_parent);
		setenv("SSH_CONNECTION", variable, 1);
		execl("/proc/self/exe", "test_protect", "--find", number, parent, NULL);
		_exit(1);
	}
	close(pipes[1]);
	if (read(pipes[0], &count, sizeof(count)) != sizeof(count))
		count = 999;
	close(pipes[0]);
	waitpid(child, &status, 0);
	return count;
}

/* What the child does: /proc/PID/environ is what a program was started with. */
static int find_as_child(int fd, bool of_parent)
{
	static struct brunt_ways ways;

	if (of_parent) {
		pid_t child = fork();

		if (child) {
			waitpid(child, NULL, 0);
			return 0;
		}
		/* as sudo does */
		unsetenv("SSH_CONNECTION");
	}
	brunt_ways_find_ssh(&ways);
	return write(fd, &ways.count, sizeof(ways.count)) != sizeof(ways.count);
}

/* ---- tests ---- */

static void the_session_is_found_by_its_variable_and_among_the_ancestors(void **unused)
{
	struct login login;

	(void)unused;
	LAB_NEEDED();
	login = log_in("/");
	assert_int_equal(ways_with(login.variable, false), 1);
	assert_int_equal(ways_with(login.variable, true), 1);
	/* one that is over, or nonsense, is none */
	assert_int_equal(ways_with("127.0.0.1 1 127.0.0.1 2", false), 0);
	assert_int_equal(ways_with("127.0.0.1 99999 127.0.0.1 22", false), 0);
	assert_int_equal(ways_with("somebody was here", false), 0);
	assert_int_equal(ways_with("", false), 0);
	log_out(&login);
}

static void the_session_is_found_by_the_sockets_of_sshd(void **unused)
{
	struct brunt_ways ways = { .count = 0 };
	struct login login;
	char name[16];

	(void)unused;
	LAB_NEEDED();
	brunt_ways_find_ssh(&ways);
	if (ways.count)
		skip(); /* this test itself is run by way of SSH, in this namespace: cannot be */
	login = log_in(lab.cgroup);
	assert_int_equal(prctl(PR_GET_NAME, name), 0);
	assert_int_equal(prctl(PR_SET_NAME, "sshd-session"), 0);
	brunt_ways_find_ssh(&ways);
	assert_int_equal(prctl(PR_SET_NAME, name), 0);
	/* this process has both ends open */
	assert_int_equal(ways.count, 2);
	for (size_t i = 0; i < ways.count; i++) {
		assert_int_equal(ways.items[i].kind, BRUNT_WAY_SSH);
		assert_int_equal(ways.items[i].interface, if_nametoindex("lo"));
		assert_true(ways.items[i].inode);
	}
	log_out(&login);
}

/* The server's end alone, as a login has it. */
static struct brunt_ways way_of(const struct login *login)
{
	struct brunt_ways ways = { .count = 0 }, one = { .count = 0 };
	char name[16];

	assert_int_equal(prctl(PR_GET_NAME, name), 0);
	assert_int_equal(prctl(PR_SET_NAME, "sshd"), 0);
	brunt_ways_find_ssh(&ways);
	assert_int_equal(prctl(PR_SET_NAME, name), 0);
	for (size_t i = 0; i < ways.count; i++)
		if (ways.items[i].local.port_min == login->server_port)
			one.items[one.count++] = ways.items[i];
	assert_int_equal(one.count, 1);
	return one;
}

static void a_fault_that_would_cut_the_session_is_refused(void **unused)
{
	struct brunt_endpoint rule;
	struct rules rules = { .harm = BRUNT_HARM_CUTS };
	struct login login;
	struct brunt_ways ways;
	char text[64];

	(void)unused;
	LAB_NEEDED();
	login = log_in(lab.cgroup);
	ways = way_of(&login);
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	assert_non_null(strstr(err.msg, "would cut the SSH session"));
	assert_non_null(strstr(err.msg, "may_cut"));
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 1 << BRUNT_WAY_SSH), 0);
	assert_string_equal(notes, "cuts your SSH session");
	rules.harm = BRUNT_HARM_HURTS;
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	assert_string_equal(notes, "goes through your SSH session");
	rules.harm = BRUNT_HARM_CUTS;
	/* by rules */
	rules.to = (struct brunt_list){ &rule, 1 };
	rule = end("127.0.0.0/8");
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	rule = end("10.0.0.0/8");
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	rule = end("127.0.0.1/udp");
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	assert_string_equal(notes, "");
	(void)snprintf(text, sizeof(text), ":%u/tcp", login.client_port);
	rule = end(text);
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	rules.to.count = 0;
	rules.local = (struct brunt_list){ &rule, 1 };
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	rules.local.count = 0;
	rules.except = (struct brunt_list){ &rule, 1 };
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	(void)snprintf(text, sizeof(text), "[::]:%u", login.client_port);
	rule = end(text); /* IPv6: not this one */
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	log_out(&login);
}

/* What these names stand for, which checks know from now on. */
static struct brunt_names *look_up(const struct brunt_list *question)
{
	struct brunt_names *names = NULL;

	assert_int_equal(brunt_names_start(&question, 1, NULL, 0, &names, &err), 0);
	assert_int_equal(brunt_names_await(names, brunt_now() + 20 * BRUNT_S, &err), 0);
	looked_up = names;
	return names;
}

static void a_name_that_stands_for_the_session_is_refused(void **unused)
{
	struct brunt_endpoint rule = end("localhost"), asked = rule, spared = end("LOCALHOST");
	struct rules rules = { .harm = BRUNT_HARM_CUTS, .to = { &rule, 1 } };
	const struct brunt_list question = { &asked, 1 };
	struct brunt_names *names;
	struct brunt_ways ways;
	struct login login;
	char text[64];

	(void)unused;
	LAB_NEEDED();
	login = log_in(lab.cgroup);
	ways = way_of(&login);
	/* nobody knows yet what it stands for */
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	names = look_up(&question);
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	assert_non_null(strstr(err.msg, "would cut the SSH session"));
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 1 << BRUNT_WAY_SSH), 0);
	assert_string_equal(notes, "cuts your SSH session");
	(void)snprintf(text, sizeof(text), "localhost:%u/tcp", login.client_port);
	rule = end(text);
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	rule = end("localhost/udp");
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	rule = end("localhost:1");
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	/* another name, of which nothing was asked */
	rule = end("elsewhere.test");
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	/* the same one is spared */
	rule = end("localhost");
	rules.except = (struct brunt_list){ &spared, 1 };
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	looked_up = NULL;
	brunt_names_stop(names);
	log_out(&login);
}

static void each_end_goes_by_any_of_its_names(void **unused)
{
	struct brunt_endpoint to = end("localhost"), local = end(ALIAS);
	struct brunt_endpoint all[] = { to, local };
	struct rules rules = { .to = { &to, 1 }, .local = { &local, 1 }, .harm = BRUNT_HARM_CUTS };
	const struct brunt_list question = { all, BRUNT_COUNT(all) };
	struct brunt_names *names;
	struct brunt_ways ways;
	struct login login;
	char text[64];

	(void)unused;
	LAB_NEEDED();
	login = log_in(lab.cgroup);
	ways = way_of(&login);
	names = look_up(&question);
	/* both ends have the same address, and each is told by another name */
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	assert_non_null(strstr(err.msg, "would cut the SSH session"));
	to = end(ALIAS);
	local = end("localhost");
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	/* by name and by address */
	local = end("127.0.0.1");
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	to = end("127.0.0.1");
	local = end(ALIAS);
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	/* each with its own port, and not with the other's */
	(void)snprintf(text, sizeof(text), "localhost:%u", login.client_port);
	to = end(text);
	(void)snprintf(text, sizeof(text), ALIAS ":%u", login.server_port);
	local = end(text);
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	(void)snprintf(text, sizeof(text), ALIAS ":%u", login.client_port);
	local = end(text);
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	/* an end that the fault is not about */
	local = end("10.0.0.1");
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	local = end("elsewhere.test");
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	looked_up = NULL;
	brunt_names_stop(names);
	log_out(&login);
}

static void only_a_target_on_its_way_cuts_it(void **unused)
{
	struct rules rules = { .harm = BRUNT_HARM_CUTS };
	struct brunt_item item = interface_item("lo");
	const struct brunt_victims victims = { .items = &item, .matched = 1, .picked = 1 };
	const struct brunt_fault fault = { .injector = &other_fault, .params = &rules };
	struct brunt_ways ways;
	struct login login;
	char path[400], above[80];
	pid_t child;

	(void)unused;
	LAB_NEEDED();
	/* the socket was made in a cgroup below the lab's */
	(void)snprintf(above, sizeof(above), "%s/below", lab.cgroup);
	(void)snprintf(path, sizeof(path), "%s%s", lab.mount, above);
	assert_int_equal(mkdir(path, 0755), 0);
	login = log_in(above);
	ways = way_of(&login);
	assert_true(ways.items[0].cgroup);
	assert_int_equal(check(&ways, &rules, lab_cgroup_item(above), 0), -EDQUOT);
	assert_int_equal(check(&ways, &rules, lab_cgroup_item(lab.cgroup), 0), -EDQUOT);
	assert_int_equal(check(&ways, &rules, lab_cgroup_item("/"), 0), -EDQUOT);
	assert_int_equal(check(&ways, &rules, lab_cgroup_item(lab.other), 0), 0);
	/* a process that has it open, and one that has not */
	assert_int_equal(check(&ways, &rules, lab_process_item(getpid(), "/"), 0), -EDQUOT);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		log_out(&login);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, WUNTRACED), child);
	assert_int_equal(check(&ways, &rules, lab_process_item(child, "/"), 0), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	/* another interface; one that was not picked; a fault that is none of the network's */
	ways.items[0].interface += 1000;
	assert_int_equal(check(&ways, &rules, item, 0), 0);
	ways.items[0].interface -= 1000;
	item.picked = false;
	assert_int_equal(check(&ways, &rules, item, 0), 0);
	item.picked = true;
	assert_int_equal(check(&ways, &rules, item, 0), -EDQUOT);
	assert_int_equal(brunt_ways_check(&ways, &fault, &victims, NULL, lab.mount, 0, notes, sizeof(notes), &err), 0);
	log_out(&login);
	assert_int_equal(rmdir(path), 0);
}

/* In a mount namespace of its own: /sys shows the network namespace that it was mounted in. Bit i: name i is on the way. */
static unsigned find_below(const char *const *names, size_t count)
{
	struct rules rules = { .harm = BRUNT_HARM_CUTS };
	struct brunt_ways ways = { .count = 1 };
	unsigned found = 0;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL))
		return 255;
	ways.items[0] = (struct brunt_way){ .kind = BRUNT_WAY_SSH, .interface = if_nametoindex("brunt-br") };
	for (size_t i = 0; i < count; i++)
		found |= (check(&ways, &rules, interface_item(names[i]), 0) == -EDQUOT) << i;
	return found;
}

static void an_interface_below_the_one_with_the_address_is_on_the_way(void **unused)
{
	static const char *const names[] = { "brunt-br", "brunt-p0", "brunt-p1", "lo" };
	int status;
	pid_t child;

	(void)unused;
	LAB_NEEDED();
	if (system("ip link add brunt-br type bridge && ip link add brunt-p0 type veth peer name brunt-p1 && "
		   "ip link set brunt-p0 master brunt-br")) {
		print_message("no bridge can be made here\n");
		skip();
	}
	child = fork();
	if (!child)
		_exit((int)find_below(names, BRUNT_COUNT(names)));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 255) {
		print_message("/sys cannot be mounted for the new network namespace\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 3);
}

static void name_servers_are_found_and_protected(void **unused)
{
	struct brunt_endpoint all = end("0.0.0.0/0"), dns = end(":53"), own = end("127.0.0.1");
	struct rules rules = { .to = { &all, 1 }, .harm = BRUNT_HARM_CUTS };
	char path[] = "/tmp/brunt-test-XXXXXX";
	struct brunt_ways ways = { .count = 0 };
	int fd;

	(void)unused;
	LAB_NEEDED();
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_true(dprintf(fd, "# nameserver 10.0.0.1\nsearch lan\nnameserver 127.0.0.53\n nameserver\t::1\n"
				"nameserver 300.1.1.1\nnameserver fe80::1%%eth0\n") > 0);
	close(fd);
	brunt_ways_find_resolvers(&ways, path);
	unlink(path);
	assert_int_equal(ways.count, 6);
	assert_int_equal(ways.items[0].kind, BRUNT_WAY_RESOLVER);
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	assert_non_null(strstr(err.msg, "name server 127.0.0.53:53/udp"));
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 1 << BRUNT_WAY_SSH), -EDQUOT);
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 1 << BRUNT_WAY_RESOLVER), 0);
	/* our own end has an address, too */
	rules.local = (struct brunt_list){ &own, 1 };
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), -EDQUOT);
	own = end("127.0.0.9");
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	rules.local.count = 0;
	rules.except = (struct brunt_list){ &dns, 1 };
	assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
	rules.except.count = 0;
	/* that one cgroup cannot look up names is that cgroup's misfortune, and may be the point */
	assert_int_equal(check(&ways, &rules, lab_cgroup_item(lab.cgroup), 0), 0);
	assert_int_equal(check(&ways, &rules, lab_cgroup_item("/"), 0), -EDQUOT);
	brunt_ways_find_resolvers(&ways, "/nonexistent");
	assert_int_equal(ways.count, 6);
}

static void the_paths_of_slis_are_told_and_never_refused(void **unused)
{
	static const struct {
		const char *url;
		uint16_t port;
	} good[] = {
		{ "http://127.0.0.1:8080/health", 8080 },
		{ "https://[::1]/", 443 },
		{ "http://user:pass@127.0.0.1/x", 80 },
		{ "127.0.0.1:5432", 5432 },
		{ "[::1]:80", 80 },
	};
	static const char *const bad[] = { "http://", "http://[::1", "http://no.such.host/", "http://127.0.0.1:0/" };
	struct rules rules = { .harm = BRUNT_HARM_CUTS };
	struct brunt_ways ways = { .count = 0 };

	(void)unused;
	LAB_NEEDED();
	for (size_t i = 0; i < BRUNT_COUNT(good); i++) {
		ways.count = 0;
		brunt_ways_add_url(&ways, "the path of SLI 'site'", good[i].url, false);
		assert_int_equal(ways.count, 1);
		assert_int_equal(ways.items[0].remote.port_min, good[i].port);
		assert_int_equal(check(&ways, &rules, interface_item("lo"), 0), 0);
		assert_string_equal(notes, "cuts the path of SLI 'site'");
	}
	ways.count = 0;
	for (size_t i = 0; i < BRUNT_COUNT(bad); i++)
		brunt_ways_add_url(&ways, "x", bad[i], false);
	assert_int_equal(ways.count, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_session_is_found_by_its_variable_and_among_the_ancestors),
		cmocka_unit_test(the_session_is_found_by_the_sockets_of_sshd),
		cmocka_unit_test(a_fault_that_would_cut_the_session_is_refused),
		cmocka_unit_test(a_name_that_stands_for_the_session_is_refused),
		cmocka_unit_test(each_end_goes_by_any_of_its_names),
		cmocka_unit_test(only_a_target_on_its_way_cuts_it),
		cmocka_unit_test(an_interface_below_the_one_with_the_address_is_on_the_way),
		cmocka_unit_test(name_servers_are_found_and_protected),
		cmocka_unit_test(the_paths_of_slis_are_told_and_never_refused),
	};

	if (argc == 4 && !strcmp(argv[1], "--find"))
		return find_as_child(atoi(argv[2]), atoi(argv[3]));
	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
