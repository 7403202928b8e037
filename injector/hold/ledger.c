/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a ledger, and claiming. Every write is one pwrite() of a frame and of
 * the zeroes after it, into room that was allocated at the start: on tmpfs that
 * cannot fail for want of space, and being killed in it leaves the whole frame
 * or none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "hold/frame.h"
#include "hold/ledger.h"

#define CLAIMS_MAX	 512
#define CLAIM_LOCK_TRIES 20 /* of 5 ms each: a holder must not wait longer than its lease allows */

struct brunt_ledger {
	int fd;
	size_t used;
	size_t reserve; /* room that only marks may use: what is begun can always be marked as undone */
	uint64_t sequence;
	char folder[200];
	char path[256];
	char run[16];
	bool has_paths;
	char (*claims)[BRUNT_CLAIM_SIZE];
	size_t claim_count;
	unsigned char buf[sizeof(struct frame_header) * 2 + FRAME_PAYLOAD_MAX + 8];
};

static int folder_name(char *buf, size_t size, struct brunt_error *err)
{
	const char *given = secure_getenv("BRUNT_LEDGER_DIR"), *runtime = secure_getenv("XDG_RUNTIME_DIR");
	int length;

	if (given && *given == '/')
		length = snprintf(buf, size, "%s", given);
	else if (!geteuid())
		length = snprintf(buf, size, "/run/brunt");
	else if (runtime && *runtime == '/')
		length = snprintf(buf, size, "%s/brunt", runtime);
	else
		length = snprintf(buf, size, "/tmp/brunt-%u", (unsigned)geteuid());
	return length >= (int)size ? brunt_fail(err, ENAMETOOLONG, "the folder of ledgers has too long a name") : 0;
}

int brunt_ledger_folder(char *buf, size_t size, bool make, struct brunt_error *err)
{
	struct stat st;
	int r = folder_name(buf, size, err);

	if (r < 0)
		return r;
	/* Whatever the umask: the run's services, and `brunt status` of others, look into it. */
	if (make && !mkdir(buf, 0755))
		(void)chmod(buf, 0755);
	else if (make && errno != EEXIST)
		return brunt_fail(err, errno, "cannot make '%s': %s", buf, strerror(errno));
	if (lstat(buf, &st))
		return !make && errno == ENOENT
			       ? 0
			       : brunt_fail(err, errno, "cannot look at '%s': %s", buf, strerror(errno));
	/*
	 * Below /tmp somebody else may have been first, and what a ledger says is done: killed, removed. Who only looks
	 * may look at what is root's.
	 */
	if (!S_ISDIR(st.st_mode) || (st.st_uid != geteuid() && (make || st.st_uid)) || st.st_mode & (S_IWGRP | S_IWOTH))
		return brunt_fail(err, EPERM,
				  "'%s' is not a folder that belongs to us alone; remove it, or set BRUNT_LEDGER_DIR",
				  buf);
	return 0;
}

int ledger_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

int ledger_path(char *buf, size_t size, const char *folder, const char *run)
{
	return snprintf(buf, size, "%s/%s" BRUNT_LEDGER_SUFFIX, folder, run) >= (int)size ? -ENAMETOOLONG : 0;
}

/* reserve: bytes that must stay free behind it. */
static int append(struct brunt_ledger *ledger, unsigned kind, const void *payload, size_t size, size_t reserve)
{
	size_t whole = frame_size(size) + sizeof(struct frame_header);
	ssize_t written;

	if (size > FRAME_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (ledger->used + whole + reserve > BRUNT_LEDGER_SIZE)
		return -ENOSPC;
	frame_make(ledger->buf, kind, ledger->sequence + 1, payload, size);
	do
		written = pwrite(ledger->fd, ledger->buf, whole, (off_t)ledger->used);
	while (written < 0 && errno == EINTR);
	if (written != (ssize_t)whole)
		return written < 0 ? -errno : -EIO;
	ledger->used += frame_size(size);
	ledger->sequence++;
	return 0;
}

/*
 * Written without a name: a ledger that can be seen has its head, its room and its lock, and one that cannot is gone
 * when we die over it. Where the filesystem has no such files (an overlay of an older kernel), under a name that no
 * reader looks at.
 */
static int open_nameless(struct brunt_ledger *ledger, const char *temporary, bool *ret_named, struct brunt_error *err)
{
	ledger->fd = open(ledger->folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0644);
	*ret_named = ledger->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR);
	if (*ret_named)
		ledger->fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	return ledger->fd < 0 ? brunt_fail(err, errno, "cannot create '%s': %s", ledger->path, strerror(errno)) : 0;
}

/* Unlike rename, link never replaces the ledger of another run with this id. */
static int give_name(const struct brunt_ledger *ledger, const char *temporary, bool named)
{
	char source[32]; /* open(2), O_TMPFILE: the way without CAP_DAC_READ_SEARCH */

	(void)snprintf(source, sizeof(source), "/proc/self/fd/%d", ledger->fd);
	return linkat(AT_FDCWD, named ? temporary : source, AT_FDCWD, ledger->path, named ? 0 : AT_SYMLINK_FOLLOW)
		       ? -errno
		       : 0;
}

static int fill(struct brunt_ledger *ledger, const struct brunt_ledger_head *head, const char *temporary,
		struct brunt_error *err)
{
	bool named = false;
	int r = open_nameless(ledger, temporary, &named, err);

	if (r < 0)
		return r;
	r = -posix_fallocate(ledger->fd, 0, BRUNT_LEDGER_SIZE);
	if (!r)
		r = ledger_lock(ledger->fd);
	if (!r)
		r = append(ledger, FRAME_HEAD, head, sizeof(*head), 0);
	if (!r)
		r = give_name(ledger, temporary, named);
	if (named)
		(void)unlink(temporary);
	return r < 0 ? brunt_fail(err, -r, "cannot create '%s': %s", ledger->path, strerror(-r)) : 0;
}

static void ledger_free(struct brunt_ledger *ledger)
{
	if (ledger->fd >= 0)
		(void)close(ledger->fd);
	free(ledger->claims);
	free(ledger);
}

int brunt_ledger_create(const char *folder, const struct brunt_ledger_head *head, struct brunt_ledger **ret,
			struct brunt_error *err)
{
	struct brunt_ledger *ledger = calloc(1, sizeof(*ledger));
	char temporary[sizeof(ledger->path)];
	int r;

	if (!ledger)
		return brunt_fail(err, ENOMEM, "out of memory");
	ledger->fd = -1;
	ledger->claims = calloc(CLAIMS_MAX, sizeof(*ledger->claims));
	/* Per step: held, child, undone or residue; and closed. */
	ledger->reserve = (3 * (size_t)head->step_count + 1) * frame_size(sizeof(struct frame_mark));
	snprintf(ledger->run, sizeof(ledger->run), "%s", head->run);
	if (!ledger->claims)
		r = brunt_fail(err, ENOMEM, "out of memory");
	else if (snprintf(ledger->folder, sizeof(ledger->folder), "%s", folder) >= (int)sizeof(ledger->folder) ||
		 ledger_path(ledger->path, sizeof(ledger->path), folder, head->run))
		r = brunt_fail(err, ENAMETOOLONG, "the folder '%s' has too long a name", folder);
	else {
		snprintf(temporary, sizeof(temporary), "%.*s.new",
			 (int)(strlen(ledger->path) - strlen(BRUNT_LEDGER_SUFFIX)), ledger->path);
		r = fill(ledger, head, temporary, err);
	}
	if (r < 0) {
		ledger_free(ledger);
		return r;
	}
	*ret = ledger;
	return 0;
}

struct claim_search {
	const struct brunt_ledger *ledger;
	const char *thing;
	struct brunt_error *err;
};

static int find_claim(const struct brunt_ledger_view *view, void *user)
{
	const struct claim_search *search = user;

	if (!view->live || !view->same_boot || !strcmp(view->head.run, search->ledger->run))
		return 0;
	for (size_t i = 0; i < view->claim_count; i++)
		if (!strcmp(view->claims[i], search->thing))
			return brunt_fail(search->err, EEXIST,
					  "run %s ('%s', pid %d) has %s already; see `brunt status`", view->head.run,
					  view->head.plan,
					  (int)(view->head.controller ? view->head.controller : view->head.holder),
					  search->thing);
	return 0;
}

/* Looking and claiming are one thing for all runs on this host. */
static int claim_lock(const struct brunt_ledger *ledger, struct brunt_error *err)
{
	char path[sizeof(ledger->folder) + 16];
	const struct timespec pause = { .tv_nsec = 5 * (long)BRUNT_MS };
	BRUNT_AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof(path), "%s/claims.lock", ledger->folder);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return brunt_fail(err, errno, "cannot open '%s': %s", path, strerror(errno));
	for (int i = 0; i < CLAIM_LOCK_TRIES; i++) {
		if (!ledger_lock(fd))
			return BRUNT_TAKE_FD(fd);
		(void)nanosleep(&pause, NULL);
	}
	return brunt_fail(err, EAGAIN, "another run has kept '%s' locked; try again", path);
}

int brunt_ledger_claim(struct brunt_ledger *ledger, const char *thing, struct brunt_error *err)
{
	struct claim_search search = { .ledger = ledger, .thing = thing, .err = err };
	BRUNT_AUTO_CLOSE int lock = -1;
	int r;

	if (strlen(thing) >= BRUNT_CLAIM_SIZE)
		return brunt_fail(err, ENAMETOOLONG, "too long a claim: '%s'", thing);
	for (size_t i = 0; i < ledger->claim_count; i++)
		if (!strcmp(ledger->claims[i], thing))
			return 0;
	if (ledger->claim_count == CLAIMS_MAX)
		return brunt_fail(err, ENOSPC, "a run can hurt at most %d things", CLAIMS_MAX);
	lock = claim_lock(ledger, err);
	if (lock < 0)
		return lock;
	r = brunt_ledger_each(ledger->folder, find_claim, &search, err);
	if (r < 0)
		return r;
	r = append(ledger, BRUNT_LEDGER_CLAIM, thing, strlen(thing) + 1, ledger->reserve);
	if (r < 0)
		return brunt_fail(err, -r, "cannot write the ledger '%s': %s", ledger->path, strerror(-r));
	strcpy(ledger->claims[ledger->claim_count++], thing);
	return 0;
}

int brunt_ledger_intent(struct brunt_ledger *ledger, const struct brunt_undo_record *undo, struct brunt_error *err)
{
	int r = append(ledger, BRUNT_LEDGER_INTENT, undo, sizeof(*undo), ledger->reserve);

	if (r == -ENOSPC)
		return brunt_fail(err, ENOSPC, "the ledger '%s' is full: too many applies in one run", ledger->path);
	return r < 0 ? brunt_fail(err, -r, "cannot write the ledger '%s': %s", ledger->path, strerror(-r)) : 0;
}

int brunt_ledger_mark(struct brunt_ledger *ledger, enum brunt_ledger_kind kind, uint32_t step)
{
	struct frame_mark mark = { .step = step };

	return append(ledger, kind, &mark, sizeof(mark), 0);
}

int brunt_ledger_child(struct brunt_ledger *ledger, uint32_t step, pid_t pid, uint64_t start)
{
	struct frame_mark mark = { .step = step, .pid = pid, .start = start };

	return append(ledger, BRUNT_LEDGER_CHILD, &mark, sizeof(mark), 0);
}

bool brunt_ledger_has_room(const struct brunt_ledger *ledger)
{
	return ledger->used + frame_size(sizeof(struct frame_mark)) + sizeof(struct frame_header) + ledger->reserve <=
	       BRUNT_LEDGER_SIZE;
}

int brunt_ledger_path(struct brunt_ledger *ledger, enum brunt_ledger_kind kind, const char *path,
		      struct brunt_error *err)
{
	int r;

	if (strlen(path) >= sizeof(((struct brunt_ledger_path_entry *)0)->path))
		return brunt_fail(err, ENAMETOOLONG, "too long a path: '%s'", path);
	r = append(ledger, kind, path, strlen(path) + 1, ledger->reserve);
	if (r < 0)
		return brunt_fail(err, -r, "cannot write the ledger '%s': %s", ledger->path, strerror(-r));
	ledger->has_paths = true;
	return 0;
}

void brunt_ledger_close(struct brunt_ledger *ledger, bool residue)
{
	if (!ledger)
		return;
	if (!residue) {
		(void)brunt_ledger_mark(ledger, BRUNT_LEDGER_CLOSED, 0);
		if (!ledger->has_paths)
			(void)unlink(ledger->path);
	}
	ledger_free(ledger);
}
