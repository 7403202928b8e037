/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "brunt/units.h"
#include "hold/frame.h"
#include "hold/ledger.h"
#include "hold/recover.h"
#include "hold/remove.h"

#define TRIES	   5
#define CHILD_WAIT (1 * BRUNT_S)

static void cleanup_view(struct brunt_ledger_view *view)
{
	brunt_ledger_view_done(view);
}

static bool lives(pid_t pid, uint64_t start)
{
	struct brunt_process process = { .pid = pid, .start = start, .pidfd = -1 };

	return pid > 0 && pid != getpid() && brunt_process_alive(&process);
}

/* Whoever of the run still lives will finish it, or has to end first. */
static int check_dead(const struct brunt_ledger_view *view, unsigned what, struct brunt_error *err)
{
	const struct brunt_ledger_head *head = &view->head;
	const char *role = NULL;
	pid_t pid = 0;

	if (view->live || (view->same_boot && lives(head->holder, head->holder_start))) {
		role = "holder";
		pid = head->holder;
	} else if (view->same_boot && !(what & RECOVER_OWN) && lives(head->recoverer, head->recoverer_start)) {
		role = "recoverer";
		pid = head->recoverer;
	} else if (view->same_boot && !(what & RECOVER_OWN) && lives(head->controller, head->controller_start)) {
		role = "controller";
		pid = head->controller;
	}
	if (!role)
		return 0;
	return brunt_fail(err, EAGAIN, "run %s ('%s') is alive: its %s has pid %d; end it with `brunt stop %s`",
			  head->run, head->plan, role, (int)pid, head->run);
}

/*
 * A pauser gets SIGKILL with its holder's death; one that is still there is told again. By pidfd: a pid that is given
 * away between the look and the signal would be somebody else's death.
 */
static int end_child(const struct brunt_ledger_fault *fault)
{
	struct brunt_process child = { .pidfd = -1 };
	const struct timespec pause = { .tv_nsec = 2 * (long)BRUNT_MS };
	uint64_t until = brunt_now() + CHILD_WAIT;
	int r = 0;

	if (fault->child <= 0 || brunt_process_identify("/proc", fault->child, true, &child, NULL))
		return 0;
	while (child.start == fault->child_start && brunt_process_alive(&child)) {
		if (brunt_now() >= until) {
			r = -EBUSY;
			break;
		}
		(void)syscall(SYS_pidfd_send_signal, child.pidfd, SIGKILL, NULL, 0);
		(void)nanosleep(&pause, NULL);
	}
	(void)close(child.pidfd);
	return r;
}

static int undo_fault(const struct brunt_ledger_fault *fault, struct brunt_error *err)
{
	const struct brunt_injector *injector = brunt_injector_find(fault->undo.fault);
	const struct timespec pause = { .tv_nsec = 5 * (long)BRUNT_MS };
	int r = -EBUSY;

	if (end_child(fault))
		return brunt_fail(err, EBUSY, "process %d, which holds '%s', does not end", (int)fault->child,
				  fault->undo.fault);
	if (!injector)
		return brunt_fail(err, EBUSY, "this brunt knows no fault '%s'", fault->undo.fault);
	if (!injector->recover)
		return 0; /* the kernel has done it, or it happened and cannot be undone */
	for (int i = 0; i < TRIES && r < 0 && r != -EAGAIN; i++) {
		if (i)
			(void)nanosleep(&pause, NULL);
		r = injector->recover(&fault->undo, err);
	}
	return r;
}

/* Appends a mark behind the last sound frame, so that a second recovery knows what the first has done. */
static void note(int fd, const struct brunt_ledger_view *view, enum brunt_ledger_kind kind, uint32_t step)
{
	struct frame_mark mark = { .step = step };
	unsigned char buf[2 * sizeof(struct frame_header) + sizeof(mark)];

	frame_make(buf, kind, view->next_sequence, &mark, sizeof(mark));
	(void)!pwrite(fd, buf, sizeof(buf), (off_t)view->used);
}

/* In reverse order of apply; goes on after a failure. */
static int undo_faults(int fd, struct brunt_ledger_view *view, size_t *undone, struct brunt_error *err)
{
	int result = 0;

	for (size_t i = view->fault_count; i-- > 0;) {
		const struct brunt_ledger_fault *fault = &view->faults[i];
		struct brunt_error why = { 0 };

		if (fault->undone)
			continue;
		if (view->same_boot && undo_fault(fault, &why) < 0) {
			result = brunt_fail(err, EBUSY, "run %s: %s: %s", view->head.run, fault->undo.fault,
					    why.msg[0] ? why.msg : "could not be undone");
			continue;
		}
		++*undone;
		note(fd, view, BRUNT_LEDGER_UNDONE, fault->undo.step);
		view->used += frame_size(sizeof(struct frame_mark));
		view->next_sequence++;
	}
	return result;
}

static int remove_paths(const struct brunt_ledger_view *view, struct brunt_error *err)
{
	struct brunt_error why = { 0 };
	int result = 0;

	for (size_t i = view->path_count; i-- > 0;) {
		const struct brunt_ledger_path_entry *entry = &view->paths[i];
		int r = entry->kind == BRUNT_LEDGER_CGROUP ? remove_cgroup(entry->path, view->head.run, &why)
							   : remove_folder(entry->path, view->head.run, &why);

		if (r < 0)
			result = brunt_fail(err, EBUSY, "run %s: %s", view->head.run, why.msg);
	}
	return result;
}

static bool all_undone(const struct brunt_ledger_view *view)
{
	for (size_t i = 0; i < view->fault_count; i++)
		if (!view->faults[i].undone)
			return false;
	return true;
}

int recover_ledger(const char *path, unsigned what, size_t *ret_undone, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	BRUNT_CLEANUP(cleanup_view) struct brunt_ledger_view view = { 0 };
	size_t undone = 0;
	int r;

	if (ret_undone)
		*ret_undone = 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : brunt_fail(err, errno, "cannot open '%s': %s", path, strerror(errno));
	r = ledger_read_open(fd, path, &view, err);
	if (!r)
		r = check_dead(&view, what, err);
	if (r < 0)
		return r;
	if (ledger_lock(fd))
		return brunt_fail(err, EAGAIN, "somebody else is recovering run %s now", view.head.run);
	/* Again under the lock: another recovery may have been at work. */
	brunt_ledger_view_done(&view);
	r = ledger_read_open(fd, path, &view, err);
	if (r < 0)
		return r;
	if (what & RECOVER_FAULTS)
		r = undo_faults(fd, &view, &undone, err);
	if (ret_undone)
		*ret_undone = undone;
	if (what & RECOVER_PATHS && remove_paths(&view, err))
		r = -EBUSY;
	if (!r && what & RECOVER_PATHS && (what & RECOVER_FAULTS || all_undone(&view)) && unlink(path) &&
	    errno != ENOENT)
		r = brunt_fail(err, errno, "cannot remove '%s': %s", path, strerror(errno));
	return r;
}

int brunt_ledger_recover(const char *path, size_t *ret_undone, struct brunt_error *err)
{
	return recover_ledger(path, RECOVER_FAULTS | RECOVER_PATHS, ret_undone, err);
}

struct folder_recovery {
	struct brunt_error *err;
	int result;
};

static int recover_one(const struct brunt_ledger_view *view, void *user)
{
	struct folder_recovery *recovery = user;
	struct brunt_error why = { 0 };
	int r = brunt_ledger_recover(view->path, NULL, &why);

	if (r < 0 && r != -EAGAIN)
		recovery->result = brunt_fail(recovery->err, EBUSY,
					      "an earlier run left something, see `brunt recover`: %s", why.msg);
	return 0;
}

int recover_folder(const char *folder, struct brunt_error *err)
{
	struct folder_recovery recovery = { .err = err };
	int r = brunt_ledger_each(folder, recover_one, &recovery, err);

	return r < 0 ? r : recovery.result;
}
