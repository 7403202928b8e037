/* SPDX-License-Identifier: Apache-2.0 */
/* kernels: yes */
/*
 * file.fail. Where BPF LSM programs are refused, what a plan may say, how paths
 * are found and what a person reads is tested; the rest in the virtual machine,
 * on real calls of a cgroup of the test's own.
 */
#include "bpf_lab.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "../../bpf/file_fail.h"
#include "fault/file_path.h"

/* As in injector/fault/file_fail.c. */
struct fail_params {
	struct brunt_list operations;
	struct brunt_list code;
	struct brunt_list path;
	struct brunt_ramp probability;
	uint64_t nth, first, budget;
};

static char refusal[300]; /* why no such program can be loaded here; "": it can */
static char folder[64];	  /* of the test's own */

#define LSM_NEEDED()                                                                                                   \
	do {                                                                                                           \
		LAB_NEEDED();                                                                                          \
		if (refusal[0]) {                                                                                      \
			print_message("%s\n", refusal);                                                                \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

static const struct brunt_injector *injector(void)
{
	return brunt_injector_find("file.fail");
}

static struct fail_params defaults(void)
{
	struct fail_params params;
	struct brunt_error err;

	memset(&params, 0, sizeof(params));
	assert_int_equal(brunt_param_defaults(injector()->table, &params, lab.arena, &err), 0);
	return params;
}

static int setup(void **state)
{
	struct brunt_error err = { 0 };

	if (lab_setup(state))
		return -1;
	if (!lab.arena && brunt_arena_new(&lab.arena))
		return -1;
	(void)snprintf(folder, sizeof(folder), "/tmp/brunt-file-fail.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	if (!lab.missing && injector()->probe(&err))
		(void)snprintf(refusal, sizeof(refusal), "%s", err.msg);
	return 0;
}

static int teardown(void **state)
{
	char command[100];

	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	(void)!system(command);
	if (lab.missing)
		brunt_arena_free(lab.arena);
	return lab_teardown(state);
}

/* ---- what needs no such kernel ---- */

static void a_path_is_whole_and_has_no_pattern_but_the_last(void **unused)
{
	static const char *const good[] = { "/", "/**", "/a", "/a/", "/a/b/**", "/a b/c.d/..e", "/.hidden" };
	static const struct {
		const char *path, *why;
	} bad[] = {
		{ "", "begin with '/'" },   { "a/b", "begin with '/'" }, { "/a/../b", "'.' or '..'" },
		{ "/a/.", "'.' or '..'" },  { "/..", "'.' or '..'" },	 { "/a/*", "wildcard" },
		{ "/a/*.log", "wildcard" }, { "/**/b", "wildcard" },	 { "/a?b", "wildcard" },
		{ "/a/[x]/", "wildcard" },  { "//", "two slashes" },	 { "/a//b", "two slashes" },
		{ "/a//", "two slashes" },  { "/a//**", "two slashes" },
	};
	struct brunt_error err;
	char text[PATH_MAX + 2];

	(void)unused;
	for (size_t i = 0; i < BRUNT_COUNT(good); i++)
		if (brunt_file_path_check(good[i], &err))
			fail_msg("%s: %s", good[i], err.msg);
	for (size_t i = 0; i < BRUNT_COUNT(bad); i++) {
		assert_int_equal(brunt_file_path_check(bad[i].path, &err), -EINVAL);
		if (!strstr(err.msg, bad[i].why))
			fail_msg("%s: %s", bad[i].path, err.msg);
	}
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[256] = '\0';
	assert_int_equal(brunt_file_path_check(text, &err), 0);
	text[256] = 'a';
	text[257] = '\0';
	assert_int_equal(brunt_file_path_check(text, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "more than 255"));
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 ? 'a' : '/';
	text[PATH_MAX] = '\0';
	assert_int_equal(brunt_file_path_check(text, &err), -EINVAL);
	text[PATH_MAX - 2] = '\0';
	assert_int_equal(brunt_file_path_check(text, &err), 0);
}

static void parameters_that_contradict_each_other_are_refused(void **unused)
{
	const char *relative = "data/";
	struct fail_params params;
	struct brunt_error err = { 0 };

	(void)unused;
	params = defaults();
	assert_int_equal(injector()->validate(&params, BRUNT_TARGET_CGROUP, &err), 0);
	params.nth = 3;
	params.budget = 5;
	assert_int_equal(injector()->validate(&params, BRUNT_TARGET_CGROUP, &err), 0);
	params.probability.set = true;
	assert_int_equal(injector()->validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'probability' and 'nth'"));
	params = defaults();
	params.nth = params.first = 3;
	assert_int_equal(injector()->validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'first'"));
	params = defaults();
	params.first = params.budget = 3;
	assert_int_equal(injector()->validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'budget' is never used up"));
	params.budget = 2;
	assert_int_equal(injector()->validate(&params, BRUNT_TARGET_CGROUP, &err), 0);
	params.path = (struct brunt_list){ &relative, 1 };
	assert_int_equal(injector()->validate(&params, BRUNT_TARGET_CGROUP, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "begin with '/'"));
}

static void describing_says_what_fails_how_and_for_whom(void **unused)
{
	struct brunt_item items[] = {
		{ .kind = BRUNT_TARGET_CGROUP, .picked = true, .cgroup = "/a" },
		{ .kind = BRUNT_TARGET_CGROUP, .picked = true, .cgroup = "/a/below" },
		{ .kind = BRUNT_TARGET_CGROUP, .picked = true, .cgroup = "/b" },
		{ .kind = BRUNT_TARGET_CGROUP, .picked = false, .cgroup = "/c" },
	};
	struct brunt_victims victims = { .items = items, .matched = 4, .picked = 3 };
	int wanted[] = { BRUNT_FILE_WRITE, BRUNT_FILE_OPEN }, codes[] = { ENOSPC, EDQUOT };
	struct fail_params params;
	struct brunt_fault fault = { .params = &params };
	char text[200];

	(void)unused;
	params = defaults();
	params.operations = (struct brunt_list){ wanted, 2 };
	injector()->describe(&fault, NULL, text, sizeof(text));
	assert_string_equal(text, "EIO from open, write, by BPF LSM programs");
	params.code = (struct brunt_list){ codes, 2 };
	injector()->describe(&fault, &victims, text, sizeof(text));
	assert_string_equal(text, "ENOSPC or EDQUOT from open, write, by BPF LSM programs, for 2 cgroups");
	for (size_t i = 0; i < BRUNT_COUNT(items); i++)
		items[i].kind = BRUNT_TARGET_PROCESS;
	injector()->describe(&fault, &victims, text, sizeof(text));
	assert_string_equal(text, "ENOSPC or EDQUOT from open, write, by BPF LSM programs, for 3 processes");
	victims = (struct brunt_victims){ .items = items, .matched = 1, .picked = 1 };
	injector()->describe(&fault, &victims, text, sizeof(text));
	assert_string_equal(text, "ENOSPC or EDQUOT from open, write, by BPF LSM programs, for 1 process");
}

static void a_kernel_that_cannot_is_told_with_the_reason(void **unused)
{
	struct brunt_error err = { 0 };

	(void)unused;
	LAB_NEEDED();
	if (!injector()->probe(&err))
		return; /* the other tests show that it can */
	assert_in_set(-err.code, ((const unsigned long[]){ (unsigned long)-ENOTSUP, (unsigned long)-EPERM }), 2);
	print_message("%s\n", err.msg);
	assert_true(strstr(err.msg, "boot with lsm=") || strstr(err.msg, "virtual machine") ||
		    strstr(err.msg, "CONFIG_") || strstr(err.msg, "run as root"));
}

static void make(const char *name, const char *text)
{
	char path[200];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static const char *inside(const char *name)
{
	static char paths[4][200];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static bool is_place(const struct brunt_file_place *place, const char *directory, const char *name)
{
	struct stat seen, wanted;

	assert_int_equal(fstat(place->fd, &seen), 0);
	assert_int_equal(stat(directory, &wanted), 0);
	return seen.st_ino == wanted.st_ino && seen.st_dev == wanted.st_dev && !place->name == !name &&
	       (!name || !strcmp(name, place->name));
}

static int find(const char *path, struct brunt_file_places *ret, struct brunt_error *err)
{
	struct brunt_item item = { .kind = BRUNT_TARGET_PROCESS, .picked = true, .process.pid = getpid() };
	struct brunt_victims victims = { .items = &item, .matched = 1, .picked = 1 };
	struct brunt_list list = { &path, 1 };

	return brunt_file_places_find(&list, &victims, lab.mount, ret, err);
}

static void paths_are_found_as_folders_and_links_as_what_they_lead_to(void **unused)
{
	struct brunt_file_places places = { 0 };
	struct brunt_error err;

	(void)unused;
	LAB_NEEDED();
	assert_int_equal(mkdir(inside("d"), 0755), 0);
	make("d/file", "x");
	assert_int_equal(symlink("d/file", inside("link")), 0);
	assert_int_equal(symlink("d", inside("dlink")), 0);
	assert_int_equal(symlink("loop", inside("loop")), 0);
	assert_int_equal(symlink("d/..", inside("up")), 0);

	assert_int_equal(find(inside("d/"), &places, &err), 0);
	assert_int_equal(places.count, 1);
	assert_true(is_place(&places.items[0], inside("d"), NULL));
	brunt_file_places_close(&places);
	assert_int_equal(find(inside("dlink/**"), &places, &err), 0);
	assert_true(is_place(&places.items[0], inside("d"), NULL));
	brunt_file_places_close(&places);
	/* it need not be there; its folder must be */
	assert_int_equal(find(inside("d/later"), &places, &err), 0);
	assert_int_equal(places.count, 1);
	assert_true(is_place(&places.items[0], inside("d"), "later"));
	brunt_file_places_close(&places);
	assert_int_equal(find(inside("link"), &places, &err), 0);
	assert_int_equal(places.count, 2);
	assert_true(is_place(&places.items[0], folder, "link"));
	assert_true(is_place(&places.items[1], inside("d"), "file"));
	brunt_file_places_close(&places);

	assert_int_equal(find(inside("none/file"), &places, &err), -ESRCH);
	assert_non_null(strstr(err.msg, "is not there for any process of the target"));
	brunt_file_places_close(&places);
	assert_int_equal(find(inside("d/file/"), &places, &err), -ESRCH);
	brunt_file_places_close(&places);
	assert_int_equal(find(inside("loop"), &places, &err), -ELOOP);
	brunt_file_places_close(&places);
	assert_int_equal(find(inside("up"), &places, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "name what it leads to"));
	brunt_file_places_close(&places);
	brunt_file_places_close(&places);
	for (const char *const *name = (const char *const[]){ "link", "dlink", "loop", "up", "d/file", NULL }; *name;
	     name++)
		assert_int_equal(unlink(inside(*name)), 0);
	assert_int_equal(rmdir(inside("d")), 0);
}

/* A process whose root is another folder: its "/data/" is ours plus that. */
static void a_path_means_what_the_target_sees_not_what_we_see(void **unused)
{
	struct brunt_item item = { .kind = BRUNT_TARGET_PROCESS, .picked = true };
	struct brunt_victims victims = { .items = &item, .matched = 1, .picked = 1 };
	const char *path = "/data/";
	struct brunt_list list = { &path, 1 };
	struct brunt_file_places places = { 0 };
	struct brunt_error err;
	int ready[2], go[2];
	char byte;

	(void)unused;
	LAB_NEEDED();
	assert_int_equal(mkdir(inside("root"), 0755), 0);
	assert_int_equal(mkdir(inside("root/data"), 0755), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	item.process.pid = fork();
	if (!item.process.pid) {
		close(go[1]);
		if (chroot(inside("root")))
			_exit(1);
		(void)!write(ready[1], "x", 1);
		_exit((int)read(go[0], &byte, 1));
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	if (brunt_file_places_find(&list, &victims, lab.mount, &places, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(places.count, 1);
	assert_true(is_place(&places.items[0], inside("root/data"), NULL));
	brunt_file_places_close(&places);
	close(go[1]);
	waitpid(item.process.pid, NULL, 0);
	close(ready[0]);
	close(go[0]);
	assert_int_equal(rmdir(inside("root/data")), 0);
	assert_int_equal(rmdir(inside("root")), 0);
}

/* ---- real calls ---- */

static void hold(struct lab_fault *f)
{
	lab_load(f, "file.fail");
	lab_hold(f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
}

static int try_load(struct lab_fault *f)
{
	struct brunt_fault_context context = { .run = LAB_RUN, .seed = 1, .cgroup_mount = lab.mount };
	int r;

	f->injector = injector();
	f->fault = (struct brunt_fault){ .injector = f->injector, .params = f->params, .step = 1, .name = "test" };
	r = f->injector->load(&f->fault, &context, &f->state, &f->err);
	lab_unload(f);
	return r;
}

static void release(struct lab_fault *f)
{
	lab_release(f);
	lab_unload(f);
}

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int try_open(const char *name, int flags)
{
	int fd = open(inside(name), flags | O_CLOEXEC, 0644);
	int code = result(fd);

	if (fd >= 0)
		close(fd);
	return code;
}

static int try_exec(const char *program)
{
	int pair[2], code = 0;
	pid_t child;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		execl(program, program, NULL);
		code = errno;
		(void)!write(pair[1], &code, sizeof(code));
		_exit(1);
	}
	close(pair[1]);
	(void)!read(pair[0], &code, sizeof(code));
	close(pair[0]);
	waitpid(child, NULL, 0);
	return code;
}

/* Each operation on files that are made anew outside of the target, so that only it can fail. */
static int try_operation(int operation, int fd)
{
	char byte;
	void *memory;

	switch (operation) {
	case BRUNT_FILE_OPEN:
		return try_open("file", O_RDONLY);
	case BRUNT_FILE_CREATE:
		return result(mknod(inside("new"), S_IFREG | 0644, 0));
	case BRUNT_FILE_READ:
		return result(pread(fd, &byte, 1, 0));
	case BRUNT_FILE_WRITE:
		return result(pwrite(fd, "y", 1, 0));
	case BRUNT_FILE_TRUNCATE:
		return result(ftruncate(fd, 1)) ?: result(truncate(inside("file"), 1));
	case BRUNT_FILE_MMAP:
		memory = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
		if (memory == MAP_FAILED)
			return errno;
		munmap(memory, 1);
		return 0;
	case BRUNT_FILE_LOCK:
		return result(flock(fd, LOCK_SH | LOCK_NB));
	case BRUNT_FILE_EXEC:
		return try_exec("/bin/true");
	case BRUNT_FILE_UNLINK:
		return result(unlink(inside("gone")));
	case BRUNT_FILE_RENAME:
		return result(rename(inside("file"), inside("file")));
	case BRUNT_FILE_LINK:
		return result(link(inside("file"), inside("hard")));
	case BRUNT_FILE_SYMLINK:
		return result(symlink("x", inside("soft")));
	case BRUNT_FILE_MKDIR:
		return result(mkdir(inside("newdir"), 0755));
	case BRUNT_FILE_RMDIR:
		return result(rmdir(inside("olddir")));
	case BRUNT_FILE_CHMOD:
		return result(chmod(inside("file"), 0644)) ?: result(fchmod(fd, 0644));
	case BRUNT_FILE_CHOWN:
		return result(chown(inside("file"), 0, 0));
	default:
		fail_msg("operation %d", operation);
		return 0;
	}
}

static void put(pid_t pid, const char *cgroup)
{
	char path[400];
	int fd;

	(void)snprintf(path, sizeof(path), "%s%s/cgroup.procs", lab.mount, cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(dprintf(fd, "%d\n", (int)pid) > 0);
	close(fd);
}

/* The errno of one operation by a process of that cgroup: a child, because who cannot write does not get out of it. */
static int call_in(const char *cgroup, int operation, int fd)
{
	int go[2], said[2], code = -1;
	char byte;
	pid_t child;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		(void)!read(go[0], &byte, 1);
		code = try_operation(operation, fd);
		_exit(write(said[1], &code, sizeof(code)) != sizeof(code));
	}
	put(child, cgroup);
	assert_int_equal(write(go[1], "x", 1), 1);
	close(said[1]);
	assert_int_equal(read(said[0], &code, sizeof(code)), sizeof(code));
	waitpid(child, NULL, 0);
	close(said[0]);
	close(go[0]);
	close(go[1]);
	return code;
}

static void lay_out(void)
{
	static const char *const names[] = { "new", "hard", "soft" };

	make("file", "xx");
	make("gone", "xx");
	for (size_t i = 0; i < BRUNT_COUNT(names); i++)
		(void)unlink(inside(names[i]));
	(void)rmdir(inside("newdir"));
	(void)mkdir(inside("olddir"), 0755);
}

static void each_operation_fails_alone_and_only_while_it_is_held(void **unused)
{
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	int code = EDQUOT, seen, fd;
	uint64_t before;

	(void)unused;
	LSM_NEEDED();
	for (int operation = BRUNT_FILE_OPEN; operation <= BRUNT_FILE_CHOWN; operation <<= 1) {
		params = defaults();
		params.operations = (struct brunt_list){ &operation, 1 };
		params.code = (struct brunt_list){ &code, 1 };
		if (operation == BRUNT_FILE_CHOWN && try_load(&f)) {
			assert_string_equal(f.err.msg, "'chown' needs Linux 6.1, whose BPF knows its arguments");
			continue;
		}
		hold(&f);
		for (int other = BRUNT_FILE_OPEN; other <= BRUNT_FILE_CHOWN; other <<= 1) {
			/* which reads and maps by itself */
			if (other == BRUNT_FILE_EXEC &&
			    operation & (BRUNT_FILE_OPEN | BRUNT_FILE_READ | BRUNT_FILE_MMAP))
				continue;
			lay_out();
			fd = open(inside("file"), O_RDWR | O_CLOEXEC);
			before = lab_poll(&f).hit;
			seen = call_in(lab.cgroup, other, fd);
			close(fd);
			if (seen != (other == operation ? EDQUOT : 0))
				fail_msg("%#x fails, and %#x gave %d", (unsigned)operation, (unsigned)other, seen);
			if (lab_poll(&f).hit != before + (other == operation))
				fail_msg("%#x: %llu hits of %#x", (unsigned)operation,
					 (unsigned long long)(lab_poll(&f).hit - before), (unsigned)other);
		}
		release(&f);
		lay_out();
		fd = open(inside("file"), O_RDWR | O_CLOEXEC);
		assert_int_equal(call_in(lab.cgroup, operation, fd), 0);
		close(fd);
	}
	lab_assert_nothing_left();
}

/* The target: answers each request with the errno of an operation on a path, from a cgroup of its own. */
struct actor {
	pid_t pid;
	int ask, answer;
};

struct request {
	int operation;
	char path[200];
};

static int act(const struct request *request)
{
	int fd, code;
	char byte;

	switch (request->operation) {
	case BRUNT_FILE_OPEN:
	case BRUNT_FILE_CREATE:
		fd = open(request->path, O_CLOEXEC | O_RDWR | (request->operation == BRUNT_FILE_CREATE ? O_CREAT : 0),
			  0644);
		code = result(fd);
		if (fd >= 0)
			close(fd);
		return code;
	case BRUNT_FILE_READ:
		fd = open(request->path, O_CLOEXEC | O_RDONLY);
		code = result(read(fd, &byte, 1));
		close(fd);
		return code;
	case BRUNT_FILE_UNLINK:
		return result(unlink(request->path));
	case BRUNT_FILE_MKDIR:
		return result(mkdir(request->path, 0755));
	default:
		return -1;
	}
}

static struct actor start_actor(const char *cgroup)
{
	struct request request;
	struct actor actor;
	int ask[2], answer[2], code;

	assert_int_equal(pipe2(ask, O_CLOEXEC), 0);
	assert_int_equal(pipe2(answer, O_CLOEXEC), 0);
	actor = (struct actor){ .pid = fork(), .ask = ask[1], .answer = answer[0] };
	if (!actor.pid) {
		close(ask[1]);
		while (read(ask[0], &request, sizeof(request)) == sizeof(request)) {
			code = act(&request);
			if (write(answer[1], &code, sizeof(code)) != sizeof(code))
				_exit(1);
		}
		_exit(0);
	}
	close(ask[0]);
	close(answer[1]);
	put(actor.pid, cgroup);
	return actor;
}

static int ask_path(const struct actor *actor, int operation, const char *path)
{
	struct request request = { .operation = operation };
	int code = -1;

	(void)snprintf(request.path, sizeof(request.path), "%s", path);
	assert_int_equal(write(actor->ask, &request, sizeof(request)), sizeof(request));
	assert_int_equal(read(actor->answer, &code, sizeof(code)), sizeof(code));
	return code;
}

static int ask(const struct actor *actor, int operation, const char *name)
{
	return ask_path(actor, operation, inside(name));
}

static void stop_actor(struct actor *actor)
{
	close(actor->ask);
	close(actor->answer);
	kill(actor->pid, SIGKILL); /* a later one has the other end of its pipe, too */
	waitpid(actor->pid, NULL, 0);
}

static int all_operations[] = { BRUNT_FILE_OPEN, BRUNT_FILE_CREATE, BRUNT_FILE_UNLINK, BRUNT_FILE_MKDIR };

static struct fail_params on_path(const char **path, size_t count)
{
	struct fail_params params = defaults();

	params.operations = (struct brunt_list){ all_operations, BRUNT_COUNT(all_operations) };
	params.path = (struct brunt_list){ path, count };
	return params;
}

static void below_a_folder_everything_fails_and_beside_it_nothing(void **unused)
{
	const char *path = NULL;
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	struct actor actor;
	char text[200];

	(void)unused;
	LSM_NEEDED();
	assert_int_equal(mkdir(inside("data"), 0755), 0);
	assert_int_equal(mkdir(inside("data/deep"), 0755), 0);
	assert_int_equal(mkdir(inside("database"), 0755), 0);
	make("data/deep/file", "x");
	make("database/file", "x");
	make("file", "x");
	(void)snprintf(text, sizeof(text), "%s", inside("data/"));
	path = text;
	params = on_path(&path, 1);
	actor = start_actor(lab.cgroup);
	hold(&f);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "file"), 0);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "database/file"), 0);
	assert_int_equal(lab_poll(&f).matched, 0);
	assert_int_equal(lab_poll(&f).seen, 2);
	assert_non_null(strstr(lab_poll(&f).near_miss, "saw 2 calls, none on '/tmp/brunt-file-fail."));
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "data/deep/file"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_CREATE, "data/deep/new"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_MKDIR, "data/newdir"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_UNLINK, "data/deep/file"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_UNLINK, "database/file"), 0);
	assert_int_equal(lab_poll(&f).hit, 4);
	assert_string_equal(lab_poll(&f).near_miss, "");
	/* a folder that is moved there belongs there from then on */
	make("database/file", "x");
	assert_int_equal(rename(inside("database"), inside("data/deep/base")), 0);
	assert_int_equal(ask(&actor, BRUNT_FILE_UNLINK, "data/deep/base/file"), EIO);
	release(&f);
	assert_int_equal(ask(&actor, BRUNT_FILE_UNLINK, "data/deep/base/file"), 0);
	assert_int_equal(ask(&actor, BRUNT_FILE_UNLINK, "data/deep/file"), 0);
	stop_actor(&actor);
	for (const char *const *name = (const char *const[]){ "data/deep/base", "data/deep", "data", NULL }; *name;
	     name++)
		assert_int_equal(rmdir(inside(*name)), 0);
	lab_assert_nothing_left();
}

static void a_name_is_meant_whatever_file_bears_it(void **unused)
{
	const char *paths[2];
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	struct actor actor;
	char first[200], second[200];

	(void)unused;
	LSM_NEEDED();
	make("config", "x");
	make("config.new", "y");
	make("other", "y");
	assert_int_equal(symlink("other", inside("link")), 0);
	(void)snprintf(first, sizeof(first), "%s", inside("config"));
	(void)snprintf(second, sizeof(second), "%s", inside("link"));
	paths[0] = first;
	paths[1] = second;
	params = on_path(paths, 2);
	actor = start_actor(lab.cgroup);
	hold(&f);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "config"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "config.new"), 0);
	assert_int_equal(rename(inside("config.new"), inside("config")), 0);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "config"), EIO);
	assert_int_equal(unlink(inside("config")), 0);
	assert_int_equal(ask(&actor, BRUNT_FILE_CREATE, "config"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_CREATE, "config2"), 0);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "link"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "other"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_UNLINK, "link"), EIO);
	release(&f);
	assert_int_equal(ask(&actor, BRUNT_FILE_UNLINK, "link"), 0);
	stop_actor(&actor);
}

/* What is mounted below a folder is below it, and a mount point bears its own name. */
static void mounts_are_walked_as_the_target_sees_them(void **unused)
{
	int open_only = BRUNT_FILE_OPEN;
	const char *path;
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	struct actor actor;
	char text[200];

	(void)unused;
	LSM_NEEDED();
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mkdir(inside("top"), 0755), 0);
	assert_int_equal(mkdir(inside("top/disk"), 0755), 0);
	assert_int_equal(mkdir(inside("far"), 0755), 0);
	make("far/file", "x");
	assert_int_equal(mount("test", inside("top/disk"), "tmpfs", 0, NULL), 0);
	assert_int_equal(mkdir(inside("top/disk/bind"), 0755), 0);
	assert_int_equal(mount(inside("far"), inside("top/disk/bind"), NULL, MS_BIND, NULL), 0);
	make("top/disk/file", "x");
	make("top/disk/bound", "x");
	assert_int_equal(mount(inside("far/file"), inside("top/disk/bound"), NULL, MS_BIND, NULL), 0);
	actor = start_actor(lab.cgroup);

	(void)snprintf(text, sizeof(text), "%s", inside("top/"));
	path = text;
	params = on_path(&path, 1);
	params.operations = (struct brunt_list){ &open_only, 1 };
	hold(&f);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "top/disk/file"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "top/disk/bind/file"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "top/disk/bound"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "far/file"), 0);
	release(&f);
	/* the same file by its own name: not the one that is bound elsewhere */
	(void)snprintf(text, sizeof(text), "%s", inside("top/disk/bound"));
	params = on_path(&path, 1);
	params.operations = (struct brunt_list){ &open_only, 1 };
	hold(&f);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "top/disk/bound"), EIO);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "far/file"), 0);
	release(&f);
	/* all there is */
	(void)snprintf(text, sizeof(text), "/");
	params = on_path(&path, 1);
	params.operations = (struct brunt_list){ &open_only, 1 };
	hold(&f);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "top/disk/bind/file"), EIO);
	assert_int_equal(ask_path(&actor, BRUNT_FILE_OPEN, "/dev/null"), EIO);
	release(&f);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "top/disk/bind/file"), 0);
	stop_actor(&actor);
	for (const char *const *name = (const char *const[]){ "top/disk/bound", "top/disk/bind", "top/disk", NULL };
	     *name; name++)
		assert_int_equal(umount(inside(*name)), 0);
}

static void other_cgroups_are_spared_and_those_below_are_hit(void **unused)
{
	int open_only = BRUNT_FILE_OPEN;
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	struct actor target, neighbour;

	(void)unused;
	LSM_NEEDED();
	make("file", "x");
	target = start_actor(lab.cgroup);
	neighbour = start_actor(lab.other);
	params = defaults();
	params.operations = (struct brunt_list){ &open_only, 1 };
	hold(&f);
	assert_int_equal(ask(&target, BRUNT_FILE_OPEN, "file"), EIO);
	assert_int_equal(ask(&neighbour, BRUNT_FILE_OPEN, "file"), 0);
	assert_int_equal(try_open("file", O_RDONLY), 0);
	assert_int_equal(lab_poll(&f).seen, 1);
	/* without a path, a device is no file */
	assert_int_equal(ask_path(&target, BRUNT_FILE_OPEN, "/dev/null"), 0);
	release(&f);
	/* one process, and not its neighbour in the same cgroup */
	put(neighbour.pid, lab.cgroup);
	lab_load(&f, "file.fail");
	lab_hold(&f, lab_process_item(neighbour.pid, lab.cgroup), LAB_LEASE);
	assert_int_equal(ask(&target, BRUNT_FILE_OPEN, "file"), 0);
	assert_int_equal(ask(&neighbour, BRUNT_FILE_OPEN, "file"), EIO);
	lab_release(&f);
	/* the next round has another victim */
	lab_hold(&f, lab_process_item(target.pid, lab.cgroup), LAB_LEASE);
	assert_int_equal(ask(&target, BRUNT_FILE_OPEN, "file"), EIO);
	assert_int_equal(ask(&neighbour, BRUNT_FILE_OPEN, "file"), 0);
	stop_actor(&target);
	assert_true(lab_poll(&f).target_gone);
	release(&f);
	stop_actor(&neighbour);
	lab_assert_nothing_left();
}

/* What becomes of n opens, as a string of 0 and 1 (or of the last digit of each errno). */
static void run_opens(const struct actor *actor, unsigned n, char *ret)
{
	for (unsigned i = 0; i < n; i++) {
		int code = ask(actor, BRUNT_FILE_OPEN, "file");

		ret[i] = (char)(code ? '0' + code % 10 : '-');
	}
	ret[n] = '\0';
}

static bool can_count; /* together: Linux 5.11 */

static void every_nth_the_first_ones_and_a_budget(void **unused)
{
	static const struct {
		uint64_t nth, first, budget;
		const char *seen;
	} cases[] = {
		{ 3, 0, 0, "--5--5--5--5" },
		{ 0, 4, 0, "5555--------" },
		{ 0, 0, 5, "55555-------" },
		{ 3, 0, 2, "--5--5------" },
	};
	int open_only = BRUNT_FILE_OPEN;
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	struct actor actor;
	char seen[16];

	(void)unused;
	LSM_NEEDED();
	make("file", "x");
	actor = start_actor(lab.cgroup);
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		params = defaults();
		params.operations = (struct brunt_list){ &open_only, 1 };
		params.nth = cases[i].nth;
		params.first = cases[i].first;
		params.budget = cases[i].budget;
		if (try_load(&f)) {
			assert_non_null(strstr(f.err.msg, "needs Linux 5.11"));
			continue;
		}
		can_count = true;
		hold(&f);
		run_opens(&actor, 12, seen);
		assert_string_equal(seen, cases[i].seen);
		release(&f);
	}
	stop_actor(&actor);
}

static void the_seed_decides_and_chance_is_within_three_sigma(void **unused)
{
	const unsigned n = 3000;
	int open_only = BRUNT_FILE_OPEN, codes[] = { EIO, ENOSPC };
	char *seen[2] = { test_malloc(n + 1), test_malloc(n + 1) };
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	struct actor actor;
	unsigned failed = 0, first = 0;

	(void)unused;
	if (lab.missing || refusal[0]) {
		test_free(seen[0]);
		test_free(seen[1]);
	}
	LSM_NEEDED();
	make("file", "x");
	actor = start_actor(lab.cgroup);
	params = defaults();
	params.operations = (struct brunt_list){ &open_only, 1 };
	params.code = (struct brunt_list){ codes, 2 };
	params.probability = (struct brunt_ramp){ .from = 0.25, .to = 0.25 };
	for (int i = 0; i < 2; i++) {
		lab_load(&f, "file.fail");
		lab_hold(&f, lab_cgroup_item(lab.cgroup), 600 * BRUNT_S);
		run_opens(&actor, n, seen[i]);
		failed = first = 0;
		for (unsigned k = 0; k < n; k++) {
			failed += seen[i][k] != '-';
			first += seen[i][k] == '5';
		}
		assert_int_equal(lab_poll(&f).hit, failed);
		assert_int_equal(lab_poll(&f).matched, n);
		release(&f);
		assert_true(fabs(failed - 0.25 * n) <= 3 * sqrt(n * 0.25 * 0.75));
		assert_true(fabs(first - 0.5 * failed) <= 3 * sqrt(failed * 0.25));
	}
	/* on one CPU also where each has a sequence of its own; the actor may have moved between several */
	if (can_count)
		assert_string_equal(seen[0], seen[1]);
	stop_actor(&actor);
	test_free(seen[0]);
	test_free(seen[1]);
}

static void files_are_well_again_when_the_lease_runs_out(void **unused)
{
	int open_only = BRUNT_FILE_OPEN;
	struct fail_params params;
	struct lab_fault f = { .params = &params };
	struct actor actor;

	(void)unused;
	LSM_NEEDED();
	make("file", "x");
	actor = start_actor(lab.cgroup);
	params = defaults();
	params.operations = (struct brunt_list){ &open_only, 1 };
	lab_load(&f, "file.fail");
	lab_hold(&f, lab_cgroup_item(lab.cgroup), LAB_LEASE);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "file"), EIO);
	f.injector->renew(f.state, brunt_now() + 300 * BRUNT_MS);
	usleep(310000);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "file"), 0);
	f.injector->renew(f.state, brunt_now() + LAB_LEASE);
	assert_int_equal(ask(&actor, BRUNT_FILE_OPEN, "file"), 0);
	assert_true(lab_poll(&f).lapsed);
	assert_false(lab_poll(&f).detached);
	release(&f);
	stop_actor(&actor);
	lab_assert_nothing_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_whole_and_has_no_pattern_but_the_last),
		cmocka_unit_test(parameters_that_contradict_each_other_are_refused),
		cmocka_unit_test(describing_says_what_fails_how_and_for_whom),
		cmocka_unit_test(a_kernel_that_cannot_is_told_with_the_reason),
		cmocka_unit_test(paths_are_found_as_folders_and_links_as_what_they_lead_to),
		cmocka_unit_test(a_path_means_what_the_target_sees_not_what_we_see),
		cmocka_unit_test(each_operation_fails_alone_and_only_while_it_is_held),
		cmocka_unit_test(below_a_folder_everything_fails_and_beside_it_nothing),
		cmocka_unit_test(a_name_is_meant_whatever_file_bears_it),
		cmocka_unit_test(other_cgroups_are_spared_and_those_below_are_hit),
		cmocka_unit_test(every_nth_the_first_ones_and_a_budget),
		cmocka_unit_test(the_seed_decides_and_chance_is_within_three_sigma),
		cmocka_unit_test(files_are_well_again_when_the_lease_runs_out),
		cmocka_unit_test(mounts_are_walked_as_the_target_sees_them),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
