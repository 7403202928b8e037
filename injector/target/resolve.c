/* SPDX-License-Identifier: Apache-2.0 */
/* From a selector to victims: find, pick, complete, check. */
#include "brunt/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "target/cgroup.h"
#include "target/find.h"

#define ATTEMPTS    3 /* a picked process may end before it is held: look again */
#define FORK_ROUNDS 4 /* a cgroup may fork while it is read */

static int no_memory(struct brunt_error *err)
{
	return brunt_fail(err, ENOMEM, "out of memory");
}

static void finder_done(struct brunt_finder *finder)
{
	free(finder->items);
	free(finder->buf);
	free(finder->guarded.pids);
	brunt_cleanup_close(&finder->proc_dir);
	brunt_cleanup_close(&finder->cgroup_dir);
}

static int finder_open(struct brunt_finder *finder, struct brunt_error *err)
{
	const struct brunt_resolve_context *context = finder->context;
	int kind = brunt_target_kind_of(finder->target);

	if (kind < 0)
		return brunt_fail(err, EINVAL, "target '%s' is not of exactly one kind", finder->target->name);
	finder->kind = (enum brunt_target_kind)kind;
	finder->proc_dir = brunt_proc_open(context->proc, err);
	if (finder->proc_dir < 0)
		return finder->proc_dir;
	if (context->cgroup_mount) {
		finder->cgroup_dir = brunt_cgroup_open(context->cgroup_mount, err);
		if (finder->cgroup_dir < 0)
			return finder->cgroup_dir;
	}
	finder->buf = malloc(BRUNT_FINDER_BUFFER);
	if (!finder->buf || brunt_protect_prepare(finder))
		return no_memory(err);
	return 0;
}

static int find(struct brunt_finder *finder, struct brunt_error *err)
{
	static int (*const by_kind[_BRUNT_TARGET_MAX])(struct brunt_finder *, struct brunt_error *) = {
		[BRUNT_TARGET_PROCESS] = brunt_find_process,	 [BRUNT_TARGET_CGROUP] = brunt_find_cgroup,
		[BRUNT_TARGET_UNIT] = brunt_find_unit,		 [BRUNT_TARGET_SERVICE] = brunt_find_service,
		[BRUNT_TARGET_CONTAINER] = brunt_find_container, [BRUNT_TARGET_INTERFACE] = brunt_find_interface,
	};

	return by_kind[finder->kind](finder, err);
}

/* Several and no pick: names the first five. */
static int too_many(const struct brunt_finder *finder, struct brunt_error *err)
{
	char list[160] = "";
	size_t used = 0, shown = 0;

	while (shown < finder->count && shown < 5) {
		int more = snprintf(list + used, sizeof(list) - used, "%s%.40s", shown ? ", " : "",
				    finder->items[shown].name);

		if (more < 0 || used + (size_t)more >= sizeof(list)) {
			list[used] = '\0';
			break;
		}
		used += (size_t)more;
		shown++;
	}
	if (finder->count > shown)
		return brunt_fail(err, E2BIG,
				  "%zu match (%s and %zu more); say how many in pick: 1, \"50%%\" or \"all\"",
				  finder->count, list, finder->count - shown);
	return brunt_fail(err, E2BIG, "%zu match (%s); say how many in pick: 1, \"50%%\" or \"all\"", finder->count,
			  list);
}

static bool same_item(const struct brunt_item *a, const struct brunt_item *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == BRUNT_TARGET_PROCESS)
		return a->process.pid == b->process.pid && a->process.start == b->process.start;
	/* A restarted unit or service has a new cgroup, and is the same victim. */
	return !strcmp(a->name, b->name) && (a->kind != BRUNT_TARGET_CGROUP || !strcmp(a->cgroup, b->cgroup));
}

static bool was_picked(const struct brunt_victims *previous, const struct brunt_item *item)
{
	for (size_t i = 0; previous && i < previous->matched; i++)
		if (previous->items[i].picked && same_item(&previous->items[i], item))
			return true;
	return false;
}

/* Chooses count of the items that are old (or new): flags them. */
static int choose_among(struct brunt_finder *finder, const bool *old, bool which, size_t among, size_t count)
{
	const struct brunt_resolve_context *context = finder->context;
	BRUNT_AUTO_FREE bool *chosen = calloc(among ? among : 1, sizeof(*chosen));

	if (!chosen)
		return -ENOMEM;
	brunt_pick_choose(context->seed, finder->target->name, context->round, among, count, chosen);
	for (size_t i = 0, k = 0; i < finder->count; i++)
		if (old[i] == which)
			finder->items[i].picked = chosen[k++];
	return 0;
}

/* Earlier victims that still match come first, new ones fill up. */
static int choose(struct brunt_finder *finder, const struct brunt_victims *previous, size_t *ret_picked,
		  struct brunt_error *err)
{
	BRUNT_AUTO_FREE bool *old = calloc(finder->count, sizeof(*old));
	size_t count = 0, kept = 0, keep;

	if (!old)
		return no_memory(err);
	if (brunt_pick_count(&finder->target->pick, finder->count, &count))
		return too_many(finder, err);
	for (size_t i = 0; i < finder->count; i++) {
		old[i] = was_picked(previous, &finder->items[i]);
		kept += old[i];
	}
	keep = kept < count ? kept : count;
	if (choose_among(finder, old, true, kept, keep) ||
	    choose_among(finder, old, false, finder->count - kept, count - keep))
		return no_memory(err);
	*ret_picked = count;
	return 0;
}

struct gather {
	struct brunt_finder *finder;
	struct brunt_victims *victims;
	const struct brunt_item *item;
	bool keep; /* into victims->processes; else only check */
	size_t room;
	size_t added;
	struct brunt_error *err;
};

static bool known(const struct brunt_victims *victims, const struct brunt_process *process)
{
	for (size_t i = 0; i < victims->process_count; i++)
		if (victims->processes[i].pid == process->pid && victims->processes[i].start == process->start)
			return true;
	return false;
}

/* -EPERM with the reason when the process of an item may not be hit. Gone is fine. */
static int check(struct gather *gather, pid_t pid)
{
	struct brunt_finder *finder = gather->finder;
	struct brunt_proc_place place = { 0 };
	struct brunt_proc_stat stat;
	const char *reason;

	if (brunt_proc_stat(finder->proc_dir, pid, &stat) ||
	    brunt_proc_place(finder->proc_dir, pid, finder->buf, BRUNT_FINDER_BUFFER, &place))
		return 0;
	reason = brunt_protect_reason(finder, pid, &stat, &place);
	if (!reason)
		return 0;
	brunt_text_clean(stat.comm);
	return brunt_fail(gather->err, EPERM, "%s '%s' holds a protected process: %s pid %d is %s",
			  brunt_target_kind_name(gather->item->kind), gather->item->name, stat.comm, (int)pid, reason);
}

static int gather_one(void *user, pid_t pid)
{
	struct gather *gather = user;
	struct brunt_victims *victims = gather->victims;
	struct brunt_process process;
	int rc = 0;

	if (gather->item->kind != BRUNT_TARGET_PROCESS)
		rc = check(gather, pid); /* the others were checked when they were found */
	if (rc || !gather->keep)
		return rc;
	rc = brunt_process_identify(gather->finder->context->proc, pid, true, &process, gather->err);
	if (rc == -ESRCH)
		return 0;
	if (rc)
		return rc;
	if (known(victims, &process) ||
	    (gather->item->kind == BRUNT_TARGET_PROCESS && process.start != gather->item->process.start)) {
		(void)close(process.pidfd);
		return 0;
	}
	if (victims->process_count == gather->room) {
		size_t more = gather->room ? 2 * gather->room : 8;
		struct brunt_process *bigger = reallocarray(victims->processes, more, sizeof(*bigger));

		if (!bigger) {
			(void)close(process.pidfd);
			return no_memory(gather->err);
		}
		victims->processes = bigger;
		gather->room = more;
	}
	victims->processes[victims->process_count++] = process;
	gather->added++;
	return 0;
}

/* The processes of one picked item, read again while they multiply. -EAGAIN: it ended meanwhile. */
static int gather_item(struct gather *gather, struct brunt_item *item)
{
	size_t before = gather->victims->process_count;
	int rc;

	gather->item = item;
	for (int i = 0; i < FORK_ROUNDS; i++) {
		gather->added = 0;
		rc = brunt_item_processes(gather->finder, item, gather_one, gather);
		if (rc)
			return rc;
		if (!gather->added)
			break;
	}
	if (item->kind == BRUNT_TARGET_PROCESS && gather->keep && gather->victims->process_count == before)
		return -EAGAIN;
	return 0;
}

/* Where a picked process (or a service without a cgroup of its own) lives. */
static int complete_cgroup(struct brunt_finder *finder, struct brunt_item *item, unsigned wants,
			   struct brunt_error *err)
{
	if (finder->cgroup_dir >= 0 && !item->cgroup[0] && item->kind == BRUNT_TARGET_PROCESS &&
	    !brunt_cgroup_of(finder->proc_dir, item->process.pid, item->cgroup, sizeof(item->cgroup))) {
		item->cgroup_id = brunt_cgroup_id(finder->cgroup_dir, item->cgroup);
		if (!item->cgroup_id)
			item->cgroup[0] = '\0'; /* of a hierarchy that is mounted elsewhere, or just gone */
	}
	if ((wants & BRUNT_WANT_CGROUP) && item->kind != BRUNT_TARGET_INTERFACE && !item->cgroup[0])
		return brunt_fail(err, ENOTSUP, "%s '%s' has no cgroup v2 that can be seen here",
				  brunt_target_kind_name(item->kind), item->name);
	return 0;
}

static int complete(struct brunt_finder *finder, struct brunt_victims *victims, unsigned wants, struct brunt_error *err)
{
	struct gather gather = {
		.finder = finder, .victims = victims, .keep = wants & BRUNT_WANT_PROCESSES, .err = err
	};

	for (size_t i = 0; i < victims->matched; i++) {
		struct brunt_item *item = &victims->items[i];
		int rc;

		if (!item->picked)
			continue;
		rc = complete_cgroup(finder, item, wants, err);
		if (!rc)
			rc = gather_item(&gather, item);
		if (rc)
			return rc;
	}
	if (gather.keep && !victims->process_count && finder->kind != BRUNT_TARGET_INTERFACE)
		return brunt_fail(err, ESRCH, "no process lives in what target '%s' picked", finder->target->name);
	return 0;
}

static void cleanup_victims(struct brunt_victims **victims)
{
	brunt_victims_free(*victims);
}

static int attempt(const struct brunt_target *target, unsigned wants, const struct brunt_resolve_context *context,
		   const struct brunt_victims *previous, struct brunt_victims **ret, struct brunt_error *err)
{
	BRUNT_CLEANUP(finder_done)
	struct brunt_finder finder = { .target = target, .context = context, .proc_dir = -1, .cgroup_dir = -1 };
	BRUNT_CLEANUP(cleanup_victims) struct brunt_victims *victims = NULL;
	int rc = finder_open(&finder, err);

	if (rc)
		return rc;
	if (finder.kind == BRUNT_TARGET_INTERFACE && wants && !(wants & BRUNT_WANT_INTERFACE))
		return brunt_fail(err, ENOTSUP, "interface '%s' has no processes; this fault needs some",
				  target->interface);
	rc = find(&finder, err);
	if (rc)
		return rc;
	victims = calloc(1, sizeof(*victims));
	if (!victims)
		return no_memory(err);
	rc = choose(&finder, previous, &victims->picked, err);
	if (rc)
		return rc;
	victims->matched = finder.count;
	victims->share = (double)victims->picked / (double)victims->matched;
	victims->items = BRUNT_TAKE_PTR(finder.items);
	rc = complete(&finder, victims, wants, err);
	if (rc)
		return rc;
	*ret = BRUNT_TAKE_PTR(victims);
	return 0;
}

int brunt_target_resolve(const struct brunt_target *target, unsigned wants, const struct brunt_resolve_context *context,
			 const struct brunt_victims *follow_previous, struct brunt_victims **ret,
			 struct brunt_error *err)
{
	int rc = -EAGAIN;

	for (int i = 0; i < ATTEMPTS && rc == -EAGAIN; i++)
		rc = attempt(target, wants, context, follow_previous, ret, err);
	if (rc == -EAGAIN)
		return brunt_fail(err, ESRCH, "the processes of target '%s' end faster than they can be held",
				  target->name);
	return rc;
}

int brunt_target_count(const struct brunt_target *target, const struct brunt_resolve_context *context, uint64_t *ret,
		       struct brunt_error *err)
{
	BRUNT_CLEANUP(finder_done)
	struct brunt_finder finder = {
		.target = target, .context = context, .unprotected = true, .proc_dir = -1, .cgroup_dir = -1
	};
	int rc = finder_open(&finder, err);

	if (!rc)
		rc = find(&finder, err);
	if (rc && rc != -ESRCH)
		return rc;
	*ret = rc ? 0 : finder.count;
	return 0;
}

void brunt_victims_free(struct brunt_victims *victims)
{
	if (!victims)
		return;
	for (size_t i = 0; i < victims->process_count; i++)
		brunt_cleanup_close(&victims->processes[i].pidfd);
	free(victims->processes);
	free(victims->items);
	free(victims);
}
