/* SPDX-License-Identifier: Apache-2.0 */
/* Host names among the ends of a BPF fault: rules that keep up with what they stand for. */
#include <errno.h>
#include <stdio.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "network/names.h"
#include "program/bpf.h"
#include "target/cgroup.h"

/* With nothing else held a run has time; a lease of another fault has not. */
#define PATIENCE_MIN (250 * BRUNT_MS)

static const struct brunt_list none;

static void collect(const struct brunt_bpf *bpf, const struct brunt_list *ret[BRUNT_RULE_LISTS])
{
	for (int i = 0; i < BRUNT_RULE_LISTS; i++)
		ret[i] = bpf->ends[i] ?: &none;
}

static int start(struct brunt_bpf *bpf, pid_t target, struct brunt_error *err)
{
	const struct brunt_list *lists[BRUNT_RULE_LISTS];

	collect(bpf, lists);
	brunt_names_stop(bpf->names);
	bpf->names = NULL;
	return brunt_names_start(lists, BRUNT_RULE_LISTS, bpf->names_params, target, &bpf->names, err);
}

static bool by_target(const struct brunt_bpf *bpf)
{
	return bpf->names_params && bpf->names_params->via == BRUNT_NAMES_TARGET;
}

int brunt_bpf_names(struct brunt_bpf *bpf, const struct brunt_names_params *params,
		    const struct brunt_fault_context *context, struct brunt_error *err)
{
	const struct brunt_list *lists[BRUNT_RULE_LISTS];

	collect(bpf, lists);
	if (!brunt_names_are_used(lists, BRUNT_RULE_LISTS))
		return 0;
	bpf->names_params = params;
	bpf->patience = context->lease_ns / 2 > PATIENCE_MIN ? context->lease_ns / 2 : PATIENCE_MIN;
	return start(bpf, 0, err); /* the target's: again when it is known */
}

static int take_first(void *user, pid_t pid)
{
	*(pid_t *)user = pid;
	return -EEXIST; /* ends the walk */
}

/*
 * Some process of the victim, whose view of names is the victim's; 0: an interface has none. A slice and a delegated
 * unit have theirs further down.
 */
static int process_of(const struct brunt_bpf *bpf, const struct brunt_item *item, pid_t *ret, struct brunt_error *err)
{
	BRUNT_AUTO_CLOSE int mount = -1;

	*ret = item->kind == BRUNT_TARGET_PROCESS ? item->process.pid : 0;
	if (item->kind == BRUNT_TARGET_PROCESS || item->kind == BRUNT_TARGET_INTERFACE)
		return 0;
	mount = brunt_cgroup_open(bpf->mount, err);
	if (mount < 0)
		return mount;
	(void)brunt_cgroup_processes(mount, item->cgroup, take_first, ret);
	if (*ret > 0)
		return 0;
	return brunt_fail(err, ESRCH, "no process is in '%s' that could look names up", item->name);
}

static int first_process(const struct brunt_bpf *bpf, pid_t *ret, struct brunt_error *err)
{
	*ret = 0;
	for (size_t i = 0; i < bpf->victims->matched; i++)
		if (bpf->victims->items[i].picked)
			return process_of(bpf, &bpf->victims->items[i], ret, err);
	return 0;
}

static int write_all(struct brunt_bpf *bpf, struct brunt_error *err)
{
	for (int i = 0; i < BRUNT_RULE_LISTS; i++) {
		struct brunt_list now;
		int r;

		if (!bpf->ends[i])
			continue;
		r = brunt_names_expand(bpf->names, bpf->ends[i], &now, err);
		r = r ?: brunt_bpf_write_rules(bpf, (enum brunt_rule_list)i, &now, err);
		if (r)
			return r;
	}
	return 0;
}

int brunt_bpf_names_prepare(struct brunt_bpf *bpf, struct brunt_error *err)
{
	pid_t target;
	int r = 0;

	if (!bpf->names)
		return 0;
	if (by_target(bpf)) {
		r = first_process(bpf, &target, err);
		r = r ?: start(bpf, target, err);
	}
	r = r ?: brunt_names_await(bpf->names, brunt_now() + bpf->patience, err);
	r = r ?: write_all(bpf, err);
	bpf->stale.code = 0;
	bpf->names_due = false;
	bpf->has_news = !r;
	return r;
}

/*
 * Addresses that were taken at one poll are written at the next: in between, the holder hears of them, and ends the
 * fault should they cut what must not be cut. What could not be written is tried again each time, and told once.
 */
void brunt_bpf_names_poll(struct brunt_bpf *bpf)
{
	bool was_stale = bpf->stale.code;

	if (!bpf->names)
		return;
	if (bpf->names_due || was_stale) {
		bpf->stale.code = 0;
		(void)write_all(bpf, &bpf->stale);
		bpf->has_news |= was_stale != !!bpf->stale.code;
	}
	bpf->names_due = brunt_names_take(bpf->names);
	bpf->has_news |= bpf->names_due;
}

const struct brunt_names *brunt_bpf_op_names(const void *state)
{
	return ((const struct brunt_bpf *)state)->names;
}

bool brunt_bpf_op_news(void *state, char *buf, size_t size)
{
	struct brunt_bpf *bpf = state;
	size_t used = 0;

	if (!bpf->has_news)
		return false;
	bpf->has_news = false;
	if (bpf->stale.code)
		used = (size_t)snprintf(buf, size, "not all of these addresses are met: %s; ", bpf->stale.msg);
	if (used < size)
		brunt_names_print(bpf->names, buf + used, size - used);
	return true;
}
