/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recoverer, holder and a controller as real processes, for tests that kill
 * and stop them. One fault is the kernel's to end (a lock on an open file), the
 * other one the ledger's (a file that is there).
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include <jansson.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/hold.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "brunt/units.h"
#include "hold/ledger.h"
#include "hold/recover.h"
#include "hold/remove.h"

/*
 * Of the faults, unless a test is about its end: longer than any test waits, so that what is undone is not undone by that,
 * and nothing lapses on a machine with much else to do.
 */
#define LONG_LEASE (60 * BRUNT_S)
#define LEASE	   (1 * BRUNT_S)
#define RUN	   "0000beef"

static struct control {
	bool hang_in_attach, hang_in_disarm, stubborn;
	bool wait;   /* the recoverer does not begin yet */
	bool held;   /* the controller has had both applied */
	bool end;    /* tells the controller to end in good order */
	bool silent; /* tells the controller to renew no more */
	int lapsed;  /* reports that the controller got */
	int prepared_code;
	int applied_code;
	char text[256];
} * control;

static char folder[64], lock_path[128], file_path[128];

/* ---- two faults ---- */

static int lock_fd = -1;

static void maybe_hang(const bool *flag)
{
	while (__atomic_load_n(flag, __ATOMIC_ACQUIRE))
		(void)usleep(10000);
}

static int lock_attach(void *state, struct brunt_error *err)
{
	(void)state;
	maybe_hang(&control->hang_in_attach);
	lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return lock_fd < 0 ? brunt_fail(err, errno, "no lock file") : 0;
}

static int lock_set(short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET };

	return lock_fd >= 0 && fcntl(lock_fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

static int lock_arm(void *state, uint64_t expires, struct brunt_error *err)
{
	(void)state;
	(void)expires;
	(void)err;
	return lock_set(F_WRLCK);
}

static void lock_disarm(void *state)
{
	(void)state;
	maybe_hang(&control->hang_in_disarm);
	if (!control->stubborn)
		(void)lock_set(F_UNLCK);
}

static bool is_locked(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(lock_path, O_RDWR | O_CLOEXEC);
	bool locked = fd >= 0 && !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;

	if (fd >= 0)
		(void)close(fd);
	return locked;
}

static int lock_verify(void *state, struct brunt_error *err)
{
	(void)state;
	return is_locked() ? brunt_fail(err, EBUSY, "locked") : 0;
}

static void lock_detach(void *state)
{
	(void)state;
	if (lock_fd >= 0 && !control->stubborn) {
		(void)close(lock_fd);
		lock_fd = -1;
	}
}

static const struct brunt_injector lock_fault = {
	.name = "test.lock",
	.undo = BRUNT_UNDO_KERNEL,
	.attach = lock_attach,
	.arm = lock_arm,
	.disarm = lock_disarm,
	.verify = lock_verify,
	.detach = lock_detach,
};

static int file_prepare(void *state, const struct brunt_victims *victims, struct brunt_undo_record *undo,
			struct brunt_error *err)
{
	(void)state;
	(void)victims;
	(void)err;
	snprintf((char *)undo->data, sizeof(undo->data), "%s", file_path);
	return 0;
}

static int file_arm(void *state, uint64_t expires, struct brunt_error *err)
{
	int fd = open(file_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	(void)expires;
	if (fd < 0)
		return brunt_fail(err, errno, "no file");
	(void)close(fd);
	return 0;
}

static void file_disarm(void *state)
{
	(void)state;
	(void)unlink(file_path);
}

static int file_verify(void *state, struct brunt_error *err)
{
	(void)state;
	return access(file_path, F_OK) ? 0 : brunt_fail(err, EBUSY, "it is there");
}

static int file_recover(const struct brunt_undo_record *undo, struct brunt_error *err)
{
	const char *path = (const char *)undo->data;

	if (control->stubborn)
		return brunt_fail(err, EBUSY, "stubborn");
	return unlink(path) && errno != ENOENT ? brunt_fail(err, errno, "cannot unlink") : 0;
}

static const struct brunt_injector file_fault = {
	.name = "test.file",
	.undo = BRUNT_UNDO_LEDGER,
	.prepare = file_prepare,
	.arm = file_arm,
	.disarm = file_disarm,
	.verify = file_verify,
	.recover = file_recover,
};

static const struct brunt_injector *const faults[] = { &lock_fault, &file_fault, NULL };

/* ---- the run ---- */

static struct brunt_step steps[2];
static struct brunt_step *step_list[] = { &steps[0], &steps[1] };
static struct brunt_plan plan;
static struct brunt_run_setup setup;
static pid_t controller, recoverer;
static char result_path[128];

static void make_plan(void)
{
	memset(steps, 0, sizeof(steps));
	memset(&plan, 0, sizeof(plan));
	for (uint32_t i = 0; i < 2; i++) {
		steps[i] = (struct brunt_step){ .name = i ? "file" : "lock", .index = i, .kind = BRUNT_STEP_FAULT };
		steps[i].fault = (struct brunt_fault){ .injector = faults[i], .step = i, .name = steps[i].name };
	}
	plan.name = "test-plan";
	plan.steps = step_list;
	plan.step_count = 2;
	plan.lease = LONG_LEASE;
	plan.blast_radius = (struct brunt_blast_radius){ .victims = 1, .share = 1 };
}

static void tell(int socket, enum brunt_verb_kind kind, uint32_t index)
{
	struct brunt_verb verb = { .kind = kind, .index = index };

	(void)send(socket, &verb, sizeof(verb), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void listen_to(int socket)
{
	struct brunt_report report;

	while (recv(socket, &report, sizeof(report), MSG_DONTWAIT) == sizeof(report)) {
		if (report.kind == BRUNT_REPORT_PREPARED)
			control->prepared_code = report.code;
		if (report.kind == BRUNT_REPORT_APPLIED && report.code)
			control->applied_code = report.code;
		if (report.code)
			memcpy(control->text, report.text, sizeof(control->text));
		if (report.kind == BRUNT_REPORT_APPLIED && !report.code && report.index == 1)
			__atomic_store_n(&control->held, true, __ATOMIC_RELEASE);
		if (report.kind == BRUNT_REPORT_LAPSED)
			__atomic_add_fetch(&control->lapsed, 1, __ATOMIC_RELEASE);
	}
}

static void control_it(int holder, int recoverer_socket)
{
	tell(holder, BRUNT_VERB_PREPARE, 0);
	tell(holder, BRUNT_VERB_APPLY, 0);
	tell(holder, BRUNT_VERB_APPLY, 1);
	while (!__atomic_load_n(&control->end, __ATOMIC_ACQUIRE)) {
		struct pollfd wait = { .fd = holder, .events = POLLIN };

		(void)poll(&wait, 1, 30);
		listen_to(holder);
		if (!__atomic_load_n(&control->silent, __ATOMIC_ACQUIRE))
			tell(holder, BRUNT_VERB_RENEW, 0);
		(void)usleep(5000);
	}
	tell(holder, BRUNT_VERB_END, 0);
	while (__atomic_load_n(&setup.shared->pid[BRUNT_ROLE_HOLDER], __ATOMIC_ACQUIRE))
		(void)usleep(2000);
	listen_to(holder);
	setup.result->size = (uint32_t)snprintf(setup.result->text, 64, "{\"verdict\": \"passed\"}");
	__atomic_store_n(&setup.result->ready, 1, __ATOMIC_RELEASE);
	(void)shutdown(recoverer_socket, SHUT_WR);
	(void)!read(recoverer_socket, &holder, 1); /* until the recoverer is gone */
}

static void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

/* No role may keep an end that is not its own, or EOF would never come. */
static void start(void)
{
	int holder_pair[2], recoverer_pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, holder_pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, recoverer_pair), 0);
	controller = fork();
	if (!controller) {
		(void)close(holder_pair[1]);
		(void)close(recoverer_pair[1]);
		while (!setup.shared->pid[BRUNT_ROLE_RECOVERER])
			(void)usleep(1000);
		control_it(holder_pair[0], recoverer_pair[0]);
		_exit(0);
	}
	setup.shared->pid[BRUNT_ROLE_CONTROLLER] = controller;
	setup.controller_pidfd = (int)syscall(SYS_pidfd_open, controller, 0);
	recoverer = fork();
	if (!recoverer) {
		maybe_hang(&control->wait);
		const int keep[] = { recoverer_pair[1], holder_pair[1], setup.controller_pidfd };
		struct brunt_error err = { 0 };

		if (brunt_role_enter(BRUNT_ROLE_RECOVERER, &setup.identity, setup.capabilities, keep, 3, &err))
			_exit(99);
		_exit(brunt_recoverer_main(&setup, recoverer_pair[1], holder_pair[1]));
	}
	for (int i = 0; i < 2; i++) {
		(void)close(holder_pair[i]);
		(void)close(recoverer_pair[i]);
	}
	(void)close(setup.controller_pidfd);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/brunt-holder-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(setenv("BRUNT_LEDGER_DIR", folder, 1), 0);
	snprintf(lock_path, sizeof(lock_path), "%s/lock", folder);
	snprintf(file_path, sizeof(file_path), "%s/file", folder);
	snprintf(result_path, sizeof(result_path), "%s/result.json", folder);
	control = share(sizeof(*control));
	control->prepared_code = 1;
	memset(&setup, 0, sizeof(setup));
	setup.shared = share(sizeof(*setup.shared));
	setup.result = share(sizeof(*setup.result));
	strcpy(setup.shared->run, RUN);
	strcpy(setup.shared->plan, "test-plan");
	setup.plan = &plan;
	setup.result_path = result_path;
	snprintf(setup.run_dir, sizeof(setup.run_dir), "%s/scratch." RUN, folder);
	assert_int_equal(mkdir(setup.run_dir, 0700), 0);
	assert_int_equal(brunt_identity_get(&setup.identity, NULL), 0);
	make_plan();
	brunt_injector_override(faults);
	/* Orphans of a killed recoverer come to us, so that we can see them end. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	return 0;
}

static void reap_all(void)
{
	uint64_t until = brunt_now() + 20 * BRUNT_S;

	while (brunt_now() < until) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return;
		if (!pid)
			(void)usleep(2000);
	}
	fail_msg("a role does not end");
}

static int tear_down(void **state)
{
	(void)state;
	reap_all();
	brunt_injector_override(NULL);
	(void)unsetenv("BRUNT_LEDGER_DIR");
	(void)munmap(setup.shared, sizeof(*setup.shared));
	(void)munmap(setup.result, sizeof(*setup.result));
	(void)munmap(control, sizeof(*control));
	return remove_folder(folder, "brunt-holder", NULL);
}

static bool eventually(bool (*what)(void), uint64_t within)
{
	uint64_t until = brunt_now() + within;

	while (!what()) {
		if (brunt_now() >= until)
			return false;
		(void)usleep(1000);
	}
	return true;
}

static inline bool both_held(void)
{
	return __atomic_load_n(&control->held, __ATOMIC_ACQUIRE);
}

static bool unlocked(void)
{
	return !is_locked();
}

static bool file_gone(void)
{
	return access(file_path, F_OK) != 0;
}

static bool scratch_gone(void)
{
	return access(setup.run_dir, F_OK) != 0;
}

static bool ledger_gone(void)
{
	char path[256];

	return !ledger_path(path, sizeof(path), folder, RUN) && access(path, F_OK) != 0;
}

static bool result_there(void)
{
	return access(result_path, F_OK) == 0;
}

static inline bool holder_gone(void)
{
	return !__atomic_load_n(&setup.shared->pid[BRUNT_ROLE_HOLDER], __ATOMIC_ACQUIRE);
}

static inline bool lapse_told(void)
{
	return __atomic_load_n(&control->lapsed, __ATOMIC_ACQUIRE) > 0;
}

static inline bool hanging(void)
{
	struct brunt_ledger_view view;
	char path[256];
	bool intent;

	if (ledger_path(path, sizeof(path), folder, RUN) || brunt_ledger_read(path, &view, NULL))
		return false;
	intent = view.fault_count > 0;
	brunt_ledger_view_done(&view);
	return intent;
}

static inline void start_held(void)
{
	start();
	if (!eventually(both_held, 20 * BRUNT_S))
		fail_msg("not held: prepared %d, applied %d: %s", control->prepared_code, control->applied_code,
			 control->text);
	assert_true(is_locked());
	assert_false(file_gone());
}

static inline pid_t pid_of(enum brunt_role role)
{
	return __atomic_load_n(&setup.shared->pid[role], __ATOMIC_ACQUIRE);
}

/* Within the lease, half of it for the dead man's switch, and what a machine with much else to do adds. */
#define WITHIN (LEASE + LEASE / 2 + 5 * BRUNT_S)

static inline void assert_verdict(const char *verdict)
{
	json_t *document;

	assert_true(eventually(result_there, 20 * BRUNT_S));
	document = json_load_file(result_path, 0, NULL);
	assert_non_null(document);
	assert_string_equal(json_string_value(json_object_get(document, "verdict")), verdict);
	json_decref(document);
}

static inline void assert_clean(void)
{
	assert_true(unlocked());
	assert_true(file_gone());
	assert_true(eventually(scratch_gone, 20 * BRUNT_S));
	assert_true(eventually(ledger_gone, 20 * BRUNT_S));
	assert_int_equal(setup.shared->residue, 0);
}
