/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a ledger: whatever is in the file, nothing is believed that did not
 * check out, and nothing after it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "hold/frame.h"
#include "hold/ledger.h"

#define LEDGERS_MAX 1024

static void cleanup_view(struct brunt_ledger_view *view)
{
	brunt_ledger_view_done(view);
}

/* One more element at the end of an array, zeroed; NULL when memory is short. */
static void *grow(void *array, size_t *count, size_t size)
{
	void **at = array;
	char *bigger = reallocarray(*at, *count + 1, size);

	if (!bigger)
		return NULL;
	*at = bigger;
	memset(bigger + *count * size, 0, size);
	return bigger + (*count)++ * size;
}

static bool terminated(const char *text, size_t size)
{
	return size && memchr(text, '\0', size) == text + size - 1;
}

static int take_intent(struct brunt_ledger_view *view, const void *payload, size_t size)
{
	struct brunt_ledger_fault *fault;
	struct brunt_undo_record undo;

	if (size != sizeof(undo))
		return -EBADMSG;
	memcpy(&undo, payload, sizeof(undo));
	if (!memchr(undo.fault, '\0', sizeof(undo.fault)) || !memchr(undo.run, '\0', sizeof(undo.run)))
		return -EBADMSG;
	fault = grow(&view->faults, &view->fault_count, sizeof(*fault));
	if (!fault)
		return -ENOMEM;
	fault->undo = undo;
	return 0;
}

static int take_mark(struct brunt_ledger_view *view, unsigned kind, const void *payload, size_t size)
{
	struct frame_mark mark;

	if (size != sizeof(mark))
		return -EBADMSG;
	memcpy(&mark, payload, sizeof(mark));
	if (kind == BRUNT_LEDGER_CLOSED) {
		view->closed = true;
		return 0;
	}
	/* A step may have been applied several times: the mark is about the newest. */
	for (size_t i = view->fault_count; i-- > 0;) {
		struct brunt_ledger_fault *fault = &view->faults[i];

		if (fault->undo.step != mark.step)
			continue;
		fault->held |= kind == BRUNT_LEDGER_HELD;
		fault->undone |= kind == BRUNT_LEDGER_UNDONE;
		fault->residue = kind == BRUNT_LEDGER_RESIDUE;
		if (kind == BRUNT_LEDGER_CHILD) {
			fault->child = mark.pid;
			fault->child_start = mark.start;
		}
		return 0;
	}
	return 0;
}

static int take_frame(struct brunt_ledger_view *view, unsigned kind, const void *payload, size_t size)
{
	struct brunt_ledger_path_entry *entry;
	char(*claim)[BRUNT_CLAIM_SIZE];

	switch (kind) {
	case BRUNT_LEDGER_CLAIM:
		if (size > sizeof(*claim) || !terminated(payload, size))
			return -EBADMSG;
		claim = grow(&view->claims, &view->claim_count, sizeof(*claim));
		if (!claim)
			return -ENOMEM;
		memcpy(*claim, payload, size);
		return 0;
	case BRUNT_LEDGER_INTENT:
		return take_intent(view, payload, size);
	case BRUNT_LEDGER_CGROUP:
	case BRUNT_LEDGER_DIRECTORY:
		if (size > sizeof(entry->path) || !terminated(payload, size))
			return -EBADMSG;
		entry = grow(&view->paths, &view->path_count, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		entry->kind = (enum brunt_ledger_kind)kind;
		memcpy(entry->path, payload, size);
		return 0;
	case BRUNT_LEDGER_HELD:
	case BRUNT_LEDGER_UNDONE:
	case BRUNT_LEDGER_RESIDUE:
	case BRUNT_LEDGER_CLOSED:
	case BRUNT_LEDGER_CHILD:
		return take_mark(view, kind, payload, size);
	default:
		return -EBADMSG;
	}
}

static int take_head(struct brunt_ledger_view *view, const struct frame_header *header, const void *payload)
{
	struct brunt_ledger_head *head = &view->head;

	if (header->kind != FRAME_HEAD || header->size != sizeof(*head))
		return -EBADMSG;
	memcpy(head, payload, sizeof(*head));
	if (!memchr(head->boot, '\0', sizeof(head->boot)) || !memchr(head->run, '\0', sizeof(head->run)) ||
	    !memchr(head->plan, '\0', sizeof(head->plan)) || !memchr(head->plan_path, '\0', sizeof(head->plan_path)) ||
	    !head->run[0])
		return -EBADMSG;
	return 0;
}

static int parse(struct brunt_ledger_view *view, const char *data, size_t size)
{
	struct frame_header header;
	const void *payload;
	uint64_t sequence = 1;
	size_t at = 0;
	int r = frame_read(data, size, sequence, &header, &payload);

	if (r == 1)
		r = take_head(view, &header, payload) ?: 1;
	if (r != 1)
		return r ?: -EBADMSG;
	for (;;) {
		at += frame_size(header.size);
		r = frame_read(data + at, size - at, ++sequence, &header, &payload);
		if (r == 1)
			r = take_frame(view, header.kind, payload, header.size) ?: 1;
		if (r == -ENOMEM)
			return r;
		if (r != 1)
			break;
	}
	view->used = at;
	view->next_sequence = sequence;
	view->damaged = r < 0;
	return 0;
}

static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t got = pread(fd, buf + used, size - used, (off_t)used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

int ledger_boot_id(char *buf, size_t size)
{
	BRUNT_AUTO_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -errno : read_all(fd, buf, size - 1);

	if (got < 0)
		return (int)got;
	buf[got] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

/* Whoever has the lock is alive: the kernel lets go of it with the holder's last breath. */
static bool is_locked(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

int ledger_read_open(int fd, const char *path, struct brunt_ledger_view *ret, struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_view) struct brunt_ledger_view view = { 0 };
	BRUNT_AUTO_FREE char *data = NULL;
	char boot[sizeof(view.head.boot)] = "";
	struct stat st;
	ssize_t size;
	int r;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return brunt_fail(err, EBADMSG, "'%s' is not a ledger", path);
	/* What it says is done: killed, removed. */
	if (st.st_uid && st.st_uid != geteuid())
		return brunt_fail(err, EPERM, "'%s' belongs to another user (uid %u)", path, (unsigned)st.st_uid);
	data = malloc(BRUNT_LEDGER_SIZE);
	if (!data)
		return brunt_fail(err, ENOMEM, "out of memory");
	/* Before its content: a holder that ends now leaves a ledger that says so. */
	view.live = is_locked(fd);
	size = read_all(fd, data, BRUNT_LEDGER_SIZE);
	if (size < 0)
		return brunt_fail(err, (int)-size, "cannot read '%s': %s", path, strerror((int)-size));
	r = parse(&view, data, (size_t)size);
	if (r == -EPROTONOSUPPORT)
		return brunt_fail(err, -r, "'%s' was written by another version of brunt; use that one", path);
	if (r < 0)
		return brunt_fail(err, -r, "'%s' is %s", path, r == -ENOMEM ? "too big for memory" : "not a ledger");
	snprintf(view.path, sizeof(view.path), "%s", path);
	view.same_boot = !ledger_boot_id(boot, sizeof(boot)) && !strcmp(boot, view.head.boot);
	*ret = view;
	view = (struct brunt_ledger_view){ 0 };
	return 0;
}

int brunt_ledger_read(const char *path, struct brunt_ledger_view *ret, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return brunt_fail(err, errno, "cannot open '%s': %s", path, strerror(errno));
	return ledger_read_open(fd, path, ret, err);
}

void brunt_ledger_view_done(struct brunt_ledger_view *view)
{
	if (!view)
		return;
	free(view->faults);
	free(view->claims);
	free(view->paths);
	*view = (struct brunt_ledger_view){ 0 };
}

static int by_age(const void *a, const void *b)
{
	const struct brunt_ledger_view *one = a, *other = b;

	if (one->head.started_wall != other->head.started_wall)
		return one->head.started_wall < other->head.started_wall ? -1 : 1;
	return strcmp(one->head.run, other->head.run);
}

static int is_ledger(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && !strcmp(dot, BRUNT_LEDGER_SUFFIX);
}

/* Those that vanished meanwhile or are no ledgers are left out. */
static int read_folder(DIR *dir, const char *folder, struct brunt_ledger_view **views, size_t *count,
		       struct brunt_error *err)
{
	const struct dirent *entry;

	while (*count < LEDGERS_MAX && (entry = readdir(dir))) {
		struct brunt_ledger_view view, *place;
		char path[512];
		int r;

		if (!is_ledger(entry))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		r = brunt_ledger_read(path, &view, NULL);
		if (r == -ENOMEM)
			return brunt_fail(err, ENOMEM, "out of memory");
		if (r < 0)
			continue;
		place = grow(views, count, sizeof(*place));
		if (!place) {
			brunt_ledger_view_done(&view);
			return brunt_fail(err, ENOMEM, "out of memory");
		}
		*place = view;
	}
	return 0;
}

int brunt_ledger_each(const char *folder, int (*fn)(const struct brunt_ledger_view *view, void *user), void *user,
		      struct brunt_error *err)
{
	struct brunt_ledger_view *views = NULL;
	size_t count = 0;
	DIR *dir = opendir(folder);
	int r;

	if (!dir)
		return errno == ENOENT ? 0 : brunt_fail(err, errno, "cannot read '%s': %s", folder, strerror(errno));
	r = read_folder(dir, folder, &views, &count, err);
	(void)closedir(dir);
	if (count)
		qsort(views, count, sizeof(*views), by_age);
	for (size_t i = 0; i < count && !r; i++)
		r = fn(&views[i], user);
	for (size_t i = 0; i < count; i++)
		brunt_ledger_view_done(&views[i]);
	free(views);
	return r;
}
