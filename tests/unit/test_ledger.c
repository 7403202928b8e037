/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "hold/frame.h"
#include "hold/ledger.h"
#include "hold/recover.h"
#include "hold/remove.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/brunt-ledger-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	(void)state;
	return remove_folder(folder, "brunt-ledger", NULL);
}

static struct brunt_ledger_head head_of(const char *run)
{
	struct brunt_ledger_head head = { .holder = getpid(), .step_count = 4 };
	struct brunt_process own;

	assert_int_equal(brunt_process_identify("/proc", getpid(), false, &own, NULL), 0);
	head.holder_start = own.start;
	assert_int_equal(ledger_boot_id(head.boot, sizeof(head.boot)), 0);
	snprintf(head.run, sizeof(head.run), "%s", run);
	snprintf(head.plan, sizeof(head.plan), "plan-of-%s", run);
	return head;
}

static struct brunt_ledger *create(const char *run)
{
	struct brunt_ledger_head head = head_of(run);
	struct brunt_ledger *ledger = NULL;
	struct brunt_error err = { 0 };

	if (brunt_ledger_create(folder, &head, &ledger, &err))
		fail_msg("%s", err.msg);
	return ledger;
}

static const char *path_of(const char *run)
{
	static char path[128];

	assert_int_equal(ledger_path(path, sizeof(path), folder, run), 0);
	return path;
}

static struct brunt_undo_record undo_of(uint32_t step)
{
	struct brunt_undo_record undo = { .fault = "test.fault", .run = "00000001", .step = step, .version = 1 };

	memset(undo.data, (int)step + 'a', sizeof(undo.data));
	return undo;
}

static void fill(struct brunt_ledger *ledger)
{
	struct brunt_undo_record first = undo_of(0), second = undo_of(1);

	assert_int_equal(brunt_ledger_claim(ledger, "process 1:2", NULL), 0);
	assert_int_equal(brunt_ledger_path(ledger, BRUNT_LEDGER_DIRECTORY, "/tmp/brunt.00000001", NULL), 0);
	assert_int_equal(brunt_ledger_intent(ledger, &first, NULL), 0);
	assert_int_equal(brunt_ledger_mark(ledger, BRUNT_LEDGER_HELD, 0), 0);
	assert_int_equal(brunt_ledger_intent(ledger, &second, NULL), 0);
	assert_int_equal(brunt_ledger_mark(ledger, BRUNT_LEDGER_HELD, 1), 0);
	assert_int_equal(brunt_ledger_child(ledger, 1, 77, 99), 0);
	assert_int_equal(brunt_ledger_mark(ledger, BRUNT_LEDGER_UNDONE, 0), 0);
}

static void what_was_written_is_read(void **state)
{
	struct brunt_ledger *ledger = create("00000001");
	struct brunt_ledger_view view;

	(void)state;
	fill(ledger);
	assert_int_equal(brunt_ledger_read(path_of("00000001"), &view, NULL), 0);
	assert_string_equal(view.head.plan, "plan-of-00000001");
	assert_true(view.live);
	assert_true(view.same_boot);
	assert_false(view.closed);
	assert_false(view.damaged);
	assert_int_equal(view.fault_count, 2);
	assert_true(view.faults[0].held && view.faults[0].undone);
	assert_true(view.faults[1].held && !view.faults[1].undone);
	assert_int_equal(view.faults[1].child, 77);
	assert_int_equal(view.faults[1].child_start, 99);
	assert_int_equal(view.faults[1].undo.data[BRUNT_UNDO_SIZE - 1], 'b');
	assert_int_equal(view.claim_count, 1);
	assert_string_equal(view.claims[0], "process 1:2");
	assert_int_equal(view.path_count, 1);
	assert_string_equal(view.paths[0].path, "/tmp/brunt.00000001");
	brunt_ledger_view_done(&view);
	brunt_ledger_close(ledger, true);
	/* kept, but nobody has it any more */
	assert_int_equal(brunt_ledger_read(path_of("00000001"), &view, NULL), 0);
	assert_false(view.live);
	assert_false(view.closed);
	brunt_ledger_view_done(&view);
	(void)unlink(path_of("00000001"));
}

static void a_clean_ledger_is_unlinked_when_closed(void **state)
{
	struct brunt_ledger *ledger = create("00000002");

	(void)state;
	brunt_ledger_close(ledger, false);
	assert_int_equal(access(path_of("00000002"), F_OK), -1);
	brunt_ledger_close(NULL, false);
}

static void a_ledger_with_paths_stays_for_who_removes_them(void **state)
{
	struct brunt_ledger *ledger = create("00000003");
	struct brunt_ledger_view view;

	(void)state;
	assert_int_equal(brunt_ledger_path(ledger, BRUNT_LEDGER_DIRECTORY, "/tmp/brunt.00000003", NULL), 0);
	brunt_ledger_close(ledger, false);
	assert_int_equal(brunt_ledger_read(path_of("00000003"), &view, NULL), 0);
	assert_true(view.closed);
	brunt_ledger_view_done(&view);
	(void)unlink(path_of("00000003"));
}

static void a_run_cannot_have_two_ledgers(void **state)
{
	struct brunt_ledger *ledger = create("00000004"), *second = NULL;
	struct brunt_ledger_head head = head_of("00000004");
	struct brunt_error err = { 0 };

	(void)state;
	assert_int_equal(brunt_ledger_create(folder, &head, &second, &err), -EEXIST);
	assert_null(second);
	brunt_ledger_close(ledger, false);
}

static void a_full_ledger_still_takes_marks(void **state)
{
	struct brunt_ledger_head head = head_of("00000005");
	struct brunt_ledger *ledger = NULL;
	struct brunt_undo_record undo = undo_of(0);
	struct brunt_ledger_view view;
	struct brunt_error err = { 0 };
	int count = 0, r;

	(void)state;
	head.step_count = 100;
	assert_int_equal(brunt_ledger_create(folder, &head, &ledger, &err), 0);
	while (!(r = brunt_ledger_intent(ledger, &undo, &err)))
		count++;
	assert_int_equal(r, -ENOSPC);
	assert_true(count > 300);
	for (uint32_t step = 0; step < 100; step++) {
		assert_int_equal(brunt_ledger_mark(ledger, BRUNT_LEDGER_HELD, step), 0);
		assert_int_equal(brunt_ledger_child(ledger, step, 1, 1), 0);
		assert_int_equal(brunt_ledger_mark(ledger, BRUNT_LEDGER_UNDONE, step), 0);
	}
	assert_int_equal(brunt_ledger_read(path_of("00000005"), &view, NULL), 0);
	assert_int_equal(view.fault_count, count);
	assert_true(view.faults[count - 1].undone);
	assert_false(view.damaged);
	brunt_ledger_view_done(&view);
	brunt_ledger_close(ledger, false);
}

/* Two holders are two processes: the other one claims, and then lives until it is told. */
static pid_t rival(const char *run, const char *thing, int *ret_pipe)
{
	int ready[2], finish[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(finish, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		struct brunt_ledger *ledger = create(run);
		int r = brunt_ledger_claim(ledger, thing, NULL);

		(void)close(finish[1]);
		(void)!write(ready[1], r ? "n" : "y", 1);
		(void)!read(finish[0], &byte, 1);
		_exit(0); /* as if killed: nothing is closed in good order */
	}
	(void)close(ready[1]);
	(void)close(finish[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	(void)close(ready[0]);
	*ret_pipe = finish[1];
	return pid;
}

static void who_claims_second_is_told_who_was_first(void **state)
{
	struct brunt_ledger *ledger = create("0000000a");
	struct brunt_error err = { 0 };
	char pid_text[32];
	int finish;
	pid_t pid = rival("0000000b", "cgroup 4711 (/x)", &finish);

	(void)state;
	assert_int_equal(brunt_ledger_claim(ledger, "cgroup 4712 (/y)", &err), 0);
	assert_int_equal(brunt_ledger_claim(ledger, "cgroup 4711 (/x)", &err), -EEXIST);
	assert_non_null(strstr(err.msg, "0000000b"));
	assert_non_null(strstr(err.msg, "plan-of-0000000b"));
	snprintf(pid_text, sizeof(pid_text), "pid %d", (int)pid);
	assert_non_null(strstr(err.msg, pid_text));
	/* its own again is no conflict */
	assert_int_equal(brunt_ledger_claim(ledger, "cgroup 4712 (/y)", &err), 0);
	/* and a dead one claims nothing, though its ledger is still there */
	(void)close(finish);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(access(path_of("0000000b"), F_OK), 0);
	assert_int_equal(brunt_ledger_claim(ledger, "cgroup 4711 (/x)", &err), 0);
	brunt_ledger_close(ledger, false);
	assert_int_equal(brunt_ledger_recover(path_of("0000000b"), NULL, &err), 0);
	assert_int_equal(access(path_of("0000000b"), F_OK), -1);
}

static void a_live_run_is_not_recovered(void **state)
{
	struct brunt_error err = { 0 };
	int finish;
	pid_t pid = rival("0000000c", "x", &finish);

	(void)state;
	assert_int_equal(brunt_ledger_recover(path_of("0000000c"), NULL, &err), -EAGAIN);
	assert_non_null(strstr(err.msg, "0000000c"));
	assert_non_null(strstr(err.msg, "is alive"));
	(void)close(finish);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(brunt_ledger_recover(path_of("0000000c"), NULL, &err), 0);
	/* again: nothing to do is no error */
	assert_int_equal(brunt_ledger_recover(path_of("0000000c"), NULL, &err), 0);
}

/* ---- damaged files ---- */

static char *sample(size_t *ret_size)
{
	struct brunt_ledger *ledger = create("00000001");
	struct brunt_ledger_view view;
	char *data = malloc(BRUNT_LEDGER_SIZE);
	int fd;

	fill(ledger);
	assert_non_null(data);
	assert_int_equal(brunt_ledger_read(path_of("00000001"), &view, NULL), 0);
	*ret_size = view.used;
	brunt_ledger_view_done(&view);
	fd = open(path_of("00000001"), O_RDONLY);
	assert_int_equal(pread(fd, data, *ret_size + 64, 0), *ret_size + 64);
	(void)close(fd);
	brunt_ledger_close(ledger, true);
	(void)unlink(path_of("00000001"));
	return data;
}

static int read_bytes(const char *data, size_t size, struct brunt_ledger_view *view)
{
	char path[128];
	int fd, r;

	snprintf(path, sizeof(path), "%s/damaged", folder);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	r = ledger_read_open(fd, path, view, NULL);
	(void)close(fd);
	return r;
}

/* What is read must be a beginning of what was written, marks included. */
static void assert_believable(const struct brunt_ledger_view *view)
{
	assert_string_equal(view->head.plan, "plan-of-00000001");
	assert_in_range(view->fault_count, 0, 2);
	assert_in_range(view->claim_count, 0, 1);
	assert_in_range(view->path_count, 0, 1);
	for (size_t i = 0; i < view->fault_count; i++) {
		struct brunt_undo_record undo = undo_of((uint32_t)i);

		assert_memory_equal(&view->faults[i].undo, &undo, sizeof(undo));
		assert_false(view->faults[i].residue);
	}
	if (view->fault_count == 2) {
		assert_false(view->faults[1].undone);
		assert_true(view->faults[0].held);
	}
	if (view->claim_count)
		assert_string_equal(view->claims[0], "process 1:2");
}

static void every_prefix_is_read_as_far_as_it_goes(void **state)
{
	size_t size, last = 0;
	char *data = sample(&size);

	(void)state;
	for (size_t cut = 0; cut <= size; cut++) {
		struct brunt_ledger_view view;
		int r = read_bytes(data, cut, &view);

		if (cut < frame_size(sizeof(struct brunt_ledger_head))) {
			assert_int_equal(r, -EBADMSG);
			continue;
		}
		assert_int_equal(r, 0);
		assert_believable(&view);
		assert_true(view.used >= last && view.used <= cut);
		assert_true(view.damaged == (view.used != cut));
		last = view.used;
		brunt_ledger_view_done(&view);
	}
	free(data);
}

static void no_flipped_byte_makes_a_record(void **state)
{
	size_t size;
	char *data = sample(&size);

	(void)state;
	for (size_t at = 0; at < size + 64; at++) {
		static const unsigned char flips[] = { 0x01, 0x80, 0xff };

		for (size_t i = 0; i < sizeof(flips); i++) {
			struct brunt_ledger_view view;
			int r;

			data[at] ^= (char)flips[i];
			r = read_bytes(data, size + 64, &view);
			data[at] ^= (char)flips[i];
			if (r < 0)
				continue;
			assert_believable(&view);
			assert_true(view.damaged || at >= view.used);
			assert_true(at >= view.used);
			brunt_ledger_view_done(&view);
		}
	}
	free(data);
}

static void leftovers_of_an_older_ledger_are_no_records(void **state)
{
	struct frame_mark mark = { .step = 1 };
	struct brunt_ledger_view view;
	size_t size;
	char *data = sample(&size);

	(void)state;
	/* a sound frame, but of another place in the sequence */
	frame_make(data + size, BRUNT_LEDGER_UNDONE, 3, &mark, sizeof(mark));
	assert_int_equal(read_bytes(data, size + frame_size(sizeof(mark)), &view), 0);
	assert_true(view.damaged);
	assert_false(view.faults[1].undone);
	brunt_ledger_view_done(&view);
	free(data);
}

static void what_is_no_ledger_is_said_to_be_none(void **state)
{
	static const char *const paths[] = { "/dev/null", "/tmp", "/proc/self/status", "/nowhere/at/all" };
	struct brunt_ledger_view view;

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(paths); i++)
		assert_true(brunt_ledger_read(paths[i], &view, NULL) < 0);
}

/* ---- recovery ---- */

static char order[64];
static int refuse;

static int note_recovery(const struct brunt_undo_record *undo, struct brunt_error *err)
{
	if (refuse && undo->step == 1)
		return brunt_fail(err, EBUSY, "it will not go");
	snprintf(order + strlen(order), sizeof(order) - strlen(order), "%u ", undo->step);
	return 0;
}

static const struct brunt_injector test_fault = { .name = "test.fault",
						  .undo = BRUNT_UNDO_LEDGER,
						  .recover = note_recovery };
static const struct brunt_injector *const test_faults[] = { &test_fault, NULL };

/* A process that leaves a ledger of three faults, the middle one undone, and dies. */
static void leave_dead_run(const char *run)
{
	pid_t pid = fork();

	if (!pid) {
		struct brunt_ledger *ledger = create(run);

		for (uint32_t step = 0; step < 3; step++) {
			struct brunt_undo_record undo = undo_of(step);

			if (brunt_ledger_intent(ledger, &undo, NULL))
				_exit(1);
		}
		(void)brunt_ledger_mark(ledger, BRUNT_LEDGER_HELD, 0);
		(void)brunt_ledger_mark(ledger, BRUNT_LEDGER_UNDONE, 2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void recovery_undoes_in_reverse_what_is_not_undone(void **state)
{
	struct brunt_error err = { 0 };
	size_t undone;

	(void)state;
	brunt_injector_override(test_faults);
	leave_dead_run("0000000d");
	order[0] = '\0';
	/* an intent without `held` may have begun: it is undone, too */
	assert_int_equal(brunt_ledger_recover(path_of("0000000d"), &undone, &err), 0);
	assert_int_equal(undone, 2);
	assert_string_equal(order, "1 0 ");
	assert_int_equal(access(path_of("0000000d"), F_OK), -1);
	brunt_injector_override(NULL);
}

static void what_cannot_be_undone_stays_in_the_ledger(void **state)
{
	struct brunt_error err = { 0 };
	size_t undone;

	(void)state;
	brunt_injector_override(test_faults);
	leave_dead_run("0000000e");
	order[0] = '\0';
	refuse = 1;
	assert_int_equal(recover_folder(folder, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "it will not go"));
	assert_string_equal(order, "0 ");
	refuse = 0;
	order[0] = '\0';
	assert_int_equal(brunt_ledger_recover(path_of("0000000e"), &undone, &err), 0);
	/* what the first recovery did is not done again */
	assert_string_equal(order, "1 ");
	assert_int_equal(undone, 1);
	brunt_injector_override(NULL);
}

static void a_folder_is_removed_without_following_links(void **state)
{
	char path[128], name[192], outside[128];

	(void)state;
	snprintf(outside, sizeof(outside), "%s/outside", folder);
	snprintf(path, sizeof(path), "%s/brunt.0000000f", folder);
	assert_int_equal(mkdir(outside, 0755), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(name, sizeof(name), "%s/link", path);
	assert_int_equal(symlink(outside, name), 0);
	snprintf(name, sizeof(name), "%s/sub", path);
	assert_int_equal(mkdir(name, 0755), 0);
	snprintf(name, sizeof(name), "%s/sub/file", path);
	assert_int_equal(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
	snprintf(name, sizeof(name), "%s/kept", outside);
	assert_int_equal(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
	/* not something of another run, and nothing that climbs */
	assert_int_equal(remove_folder(path, "0000000e", NULL), -EINVAL);
	assert_int_equal(remove_folder("brunt.0000000f", "0000000f", NULL), -EINVAL);
	assert_int_equal(remove_folder("/tmp/../tmp/0000000f", "0000000f", NULL), -EINVAL);
	assert_int_equal(remove_folder(path, "0000000f", NULL), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(name, F_OK), 0);
	assert_int_equal(remove_folder(path, "0000000f", NULL), 0);
	/* nor is a link in its own place */
	assert_int_equal(symlink(outside, path), 0);
	assert_true(remove_folder(path, "0000000f", NULL) < 0);
	assert_int_equal(access(name, F_OK), 0);
	(void)unlink(path);
}

/* In a child, which may leave the test's mount namespace. 0: what was mounted is untouched and told. */
static int remove_with_a_mount(const char *path, const char *outside)
{
	char name[192];
	struct brunt_error err = { 0 };

	snprintf(name, sizeof(name), "%s/mounted", path);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mkdir(name, 0755) ||
	    mount(outside, name, NULL, MS_BIND, NULL))
		return 77;
	if (remove_folder(path, "00000010", &err) >= 0)
		return 1;
	snprintf(name, sizeof(name), "%s/kept", outside);
	return access(name, F_OK) ? 2 : 0;
}

static void what_is_mounted_in_a_folder_is_not_removed_with_it(void **state)
{
	char path[128], name[192], outside[128];
	int status;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip(); /* mounting needs root */
	snprintf(outside, sizeof(outside), "%s/outside-of-10", folder);
	snprintf(path, sizeof(path), "%s/00000010.d", folder);
	assert_int_equal(mkdir(outside, 0755), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(name, sizeof(name), "%s/kept", outside);
	assert_int_equal(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
	pid = fork();
	if (!pid)
		_exit(remove_with_a_mount(path, outside));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* no mount namespace here */
	assert_int_equal(status, 0);
	assert_int_equal(remove_folder(path, "00000010", NULL), 0);
}

static void a_ledger_of_another_user_is_not_believed(void **state)
{
	struct brunt_ledger *ledger = create("00000011");
	struct brunt_ledger_view view;
	char found[128];

	(void)state;
	brunt_ledger_close(ledger, true);
	if (geteuid())
		skip(); /* giving away needs root */
	assert_int_equal(chown(path_of("00000011"), 12345, 12345), 0);
	assert_int_equal(brunt_ledger_read(path_of("00000011"), &view, NULL), -EPERM);
	assert_int_equal(brunt_ledger_recover(path_of("00000011"), NULL, NULL), -EPERM);
	assert_int_equal(unlink(path_of("00000011")), 0);
	setenv("BRUNT_LEDGER_DIR", folder, 1);
	assert_int_equal(brunt_ledger_folder(found, sizeof(found), false, NULL), 0);
	assert_int_equal(chown(folder, 12345, 12345), 0);
	assert_int_equal(brunt_ledger_folder(found, sizeof(found), false, NULL), -EPERM);
	assert_int_equal(brunt_ledger_folder(found, sizeof(found), true, NULL), -EPERM);
	assert_int_equal(chown(folder, 0, 0), 0);
	assert_int_equal(chmod(folder, 0777), 0);
	assert_int_equal(brunt_ledger_folder(found, sizeof(found), false, NULL), -EPERM);
	assert_int_equal(chmod(folder, 0700), 0);
	unsetenv("BRUNT_LEDGER_DIR");
}

static void a_folder_of_ledgers_can_be_looked_into_whatever_the_umask(void **state)
{
	char path[128], found[128];
	mode_t mask = umask(077);
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/fresh", folder);
	setenv("BRUNT_LEDGER_DIR", path, 1);
	assert_int_equal(brunt_ledger_folder(found, sizeof(found), false, NULL), 0); /* not there: nothing to refuse */
	assert_int_equal(brunt_ledger_folder(found, sizeof(found), true, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
	unsetenv("BRUNT_LEDGER_DIR");
	(void)umask(mask);
}

/* 0: the ledger's child was killed. */
static int recover_child(const char *run, pid_t pid, uint64_t start)
{
	struct brunt_ledger *ledger = create(run);
	struct brunt_undo_record undo = undo_of(0);
	int r;

	assert_int_equal(brunt_ledger_intent(ledger, &undo, NULL), 0);
	assert_int_equal(brunt_ledger_child(ledger, 0, pid, start), 0);
	brunt_ledger_close(ledger, true);
	(void)brunt_ledger_recover(path_of(run), NULL, NULL);
	r = waitpid(pid, NULL, WNOHANG) == pid ? 0 : 1;
	(void)unlink(path_of(run));
	return r;
}

static void only_the_child_itself_is_killed_not_who_got_its_pid(void **state)
{
	struct brunt_process process;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		pause();
		_exit(0);
	}
	assert_int_equal(brunt_process_identify("/proc", pid, false, &process, NULL), 0);
	assert_int_equal(recover_child("00000012", pid, process.start + 1), 1);
	assert_int_equal(recover_child("00000013", pid, process.start), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(a_clean_ledger_is_unlinked_when_closed),
		cmocka_unit_test(a_ledger_with_paths_stays_for_who_removes_them),
		cmocka_unit_test(a_run_cannot_have_two_ledgers),
		cmocka_unit_test(a_full_ledger_still_takes_marks),
		cmocka_unit_test(who_claims_second_is_told_who_was_first),
		cmocka_unit_test(a_live_run_is_not_recovered),
		cmocka_unit_test(every_prefix_is_read_as_far_as_it_goes),
		cmocka_unit_test(no_flipped_byte_makes_a_record),
		cmocka_unit_test(leftovers_of_an_older_ledger_are_no_records),
		cmocka_unit_test(what_is_no_ledger_is_said_to_be_none),
		cmocka_unit_test(recovery_undoes_in_reverse_what_is_not_undone),
		cmocka_unit_test(what_cannot_be_undone_stays_in_the_ledger),
		cmocka_unit_test(a_folder_is_removed_without_following_links),
		cmocka_unit_test(what_is_mounted_in_a_folder_is_not_removed_with_it),
		cmocka_unit_test(a_ledger_of_another_user_is_not_believed),
		cmocka_unit_test(a_folder_of_ledgers_can_be_looked_into_whatever_the_umask),
		cmocka_unit_test(only_the_child_itself_is_killed_not_who_got_its_pid),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
