/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/*
 * The capabilities that an injector names are enough, and each of them is
 * needed: tried in a child that has them alone, on a victim of another user.
 */
#include "bpf_lab.h"

#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* As a role begins (brunt_role_enter). */
static void only(uint64_t capabilities)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)capabilities, .permitted = (uint32_t)capabilities },
		{ .effective = (uint32_t)(capabilities >> 32), .permitted = (uint32_t)(capabilities >> 32) },
	};

	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (syscall(SYS_capset, &header, data))
		_exit(3);
}

/* A connection with oneself, for those who end connections. */
static void connect_to_oneself(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(own);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(listener, (struct sockaddr *)&own, size) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&own, &size) || connect(client, (struct sockaddr *)&own, size))
		_exit(1);
}

/* Somebody else's process with sockets, in the lab's cgroup. */
static struct brunt_item start_victim(void)
{
	struct brunt_item item;
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	lab_enter(lab.cgroup);
	child = fork();
	if (!child) {
		struct sockaddr_storage own;

		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(1);
		/* as after an exec: then its files in /proc belong to that user, not to root */
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		(void)lab_udp(AF_INET, &own);
		connect_to_oneself();
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	lab_enter("/");
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	item = lab_process_item(child, lab.cgroup);
	return item;
}

static void give_up(const struct lab_fault *f)
{
	print_message("%s: %s\n", f->injector->name, f->err.msg);
	fflush(stdout);
	_exit(1);
}

/* With CAP_SYS_ADMIN the kernel asks for none of these (bpf_capable(), perfmon_capable(), bpf_net_capable()). */
#define STANDS_IN      (UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON | UINT64_C(1) << CAP_NET_ADMIN)

#define NOT_BY_DEFAULT 2 /* it, or what is faulted when nothing is said, takes another kernel */

/* Defaults, and of what must be said and of what this victim needs, the examples. */
static int make_params(const struct brunt_injector *injector, void *params, struct brunt_arena *arena)
{
	static const char *const allowed[] = { "attach", "allow_no_new_privs" };
	const struct brunt_scope scope = { .arena = arena };
	const struct brunt_part part = { injector->table, params };
	json_t *object = json_object();
	int r;

	for (const struct brunt_param *param = injector->table->params; param->type != BRUNT_T_END; param++) {
		if (param->key && param->required && param->example)
			(void)json_object_set_new(object, param->key,
						  json_loads(param->example, JSON_DECODE_ANY, NULL));
		for (size_t i = 0; param->key && i < BRUNT_COUNT(allowed); i++)
			if (!strcmp(param->key, allowed[i]))
				(void)json_object_set_new(object, param->key, json_true());
	}
	r = brunt_param_decode(&scope, object, "", &part, 1);
	json_decref(object);
	return r;
}

/* 0 when the fault could be begun and taken away with these capabilities, else why not, on stdout. */
static int try_with(const char *name, uint64_t capabilities, struct brunt_item victim)
{
	int status, r;
	pid_t child = fork();

	if (!child) {
		struct brunt_fault_context context = {
			.run = LAB_RUN, .seed = 1, .cgroup_mount = lab.mount, .lease_ns = LAB_LEASE
		};
		struct brunt_arena *arena;
		struct lab_fault f = { .injector = brunt_injector_find(name) };

		if (brunt_arena_new(&arena))
			_exit(3);
		f.params = brunt_arena_get(arena, f.injector->table->size);
		if (make_params(f.injector, f.params, arena))
			_exit(3);
		f.fault = (struct brunt_fault){ .injector = f.injector, .params = f.params, .name = "test" };
		only(capabilities);
		r = f.injector->probe ? f.injector->probe(&f.err) : 0;
		if (r == -ENOTSUP) /* this kernel cannot, whoever asks */
			_exit(NOT_BY_DEFAULT);
		if (r)
			give_up(&f);
		r = f.injector->load(&f.fault, &context, &f.state, &f.err);
		if (r == -ENOTSUP)
			_exit(NOT_BY_DEFAULT);
		if (r)
			give_up(&f);
		if (lab_try_hold(&f, victim, LAB_LEASE))
			give_up(&f);
		if (f.injector->verify) {
			f.injector->disarm(f.state);
			if (f.injector->verify(f.state, &f.err))
				_exit(3);
			f.injector->detach(f.state);
		}
		f.injector->unload(f.state);
		brunt_arena_free(arena);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= NOT_BY_DEFAULT);
	return WEXITSTATUS(status);
}

static void what_an_injector_asks_for_is_enough_and_all_of_it_is_needed(void **unused)
{
	(void)unused;
	LAB_NEEDED();
	for (size_t i = 0; brunt_injectors[i]; i++) {
		const struct brunt_injector *injector = brunt_injectors[i];

		for (int missing = -1; missing <= CAP_LAST_CAP; missing++) {
			uint64_t without = missing < 0 ? 0 : UINT64_C(1) << missing, useful;
			struct brunt_item victim;
			int r;

			if (missing >= 0 && !(injector->capabilities & without))
				continue;
			if (injector->capabilities & UINT64_C(1) << CAP_SYS_ADMIN && without & STANDS_IN)
				continue;
			/* what a verifier wants it for differs from kernel to kernel: 6.1 for dns.fail, 6.18 not */
			if (missing == CAP_PERFMON)
				continue;
			victim = start_victim();
			/* the victim is somebody else's: what is useful for that is there; but not what stands in for all */
			useful = injector->useful & ~(UINT64_C(1) << CAP_SYS_ADMIN);
			r = try_with(injector->name, (injector->capabilities | useful) & ~without, victim);
			kill(victim.process.pid, SIGKILL);
			waitpid(victim.process.pid, NULL, 0);
			if (missing < 0 && r == NOT_BY_DEFAULT)
				break;
			if (missing < 0 && r)
				fail_msg("%s: what it asks for is not enough", injector->name);
			if (missing >= 0 && !r)
				fail_msg("%s: does not need capability %d", injector->name, missing);
		}
	}
}

static void without_any_the_probe_says_what_to_do(void **unused)
{
	pid_t child;
	int status;

	(void)unused;
	LAB_NEEDED();
	child = fork();
	if (!child) {
		struct brunt_error err = { 0 };

		only(0);
		if (brunt_injector_find("packet.drop")->probe(&err) != -EPERM)
			_exit(2);
		_exit(!strstr(err.msg, "needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, run as root"));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_injector_asks_for_is_enough_and_all_of_it_is_needed),
		cmocka_unit_test(without_any_the_probe_says_what_to_do),
	};

	return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}
