/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/capability.h"
#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/hold.h"
#include "brunt/plan.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "hold/preview.h"
#include "network/names.h"
#include "network/protect.h"

#define CAP(name) (UINT64_C(1) << CAP_##name)
/* Rights over other users' processes: an ordinary user who hurts his own does without. */
#define CAP_OTHERS (CAP(KILL) | CAP(SYS_PTRACE) | CAP(DAC_READ_SEARCH))

static const struct brunt_injector *injector_of(const struct brunt_step *step)
{
	return step->kind == BRUNT_STEP_FAULT ? step->fault.injector : NULL;
}

/* What resolving must be allowed to read of other users' processes (proc(5): exe, fd). */
static uint64_t target_capabilities(const struct brunt_target *target)
{
	const struct brunt_process_selector *process = target->process;
	uint64_t needed = 0;

	if (target->kind == BRUNT_TARGET_CONTAINER)
		needed |= CAP(DAC_READ_SEARCH);
	if (!process)
		return needed;
	if (process->port || process->exe)
		needed |= CAP(SYS_PTRACE) | CAP(DAC_READ_SEARCH);
	if (process->pid_file)
		needed |= CAP(DAC_READ_SEARCH);
	return needed;
}

uint64_t brunt_plan_capabilities(const struct brunt_plan *plan)
{
	const struct brunt_target *targets = plan->targets.items;
	uint64_t needed = 0;

	for (uint32_t i = 0; i < plan->step_count; i++)
		if (injector_of(plan->steps[i]))
			needed |= injector_of(plan->steps[i])->capabilities | injector_of(plan->steps[i])->useful;
	for (size_t i = 0; i < plan->targets.count; i++)
		needed |= target_capabilities(&targets[i]);
	return needed;
}

/* Those of a step that must be there, whoever the targets belong to. */
static uint64_t must_have(const struct brunt_injector *injector)
{
	return geteuid() ? injector->capabilities & ~CAP_OTHERS : injector->capabilities;
}

int check_capabilities(const struct brunt_plan *plan, struct brunt_error *err)
{
	char missing[128];

	for (uint32_t i = 0; i < plan->step_count; i++) {
		const struct brunt_step *step = plan->steps[i];
		const struct brunt_injector *injector = injector_of(step);

		if (!injector || !*brunt_capabilities_missing(must_have(injector), missing, sizeof(missing)))
			continue;
		return brunt_fail(err, EPERM, "step '%s' (%s) needs %s: %s", step->name, injector->name, missing,
				  geteuid() ? "run brunt as root" : "this container or service does not have it");
	}
	return 0;
}

int brunt_preflight(const struct brunt_plan *plan, struct brunt_error *err)
{
	int r = check_capabilities(plan, err);

	for (uint32_t i = 0; i < plan->step_count && !r; i++) {
		const struct brunt_injector *injector = injector_of(plan->steps[i]);

		if (!injector || !injector->probe)
			continue;
		r = injector->probe(err);
		if (r < 0)
			(void)brunt_wrap(err, "step '%s'", plan->steps[i]->name);
	}
	return r;
}

static int find_victims(const struct brunt_step *step, const struct brunt_resolve_context *context,
			struct brunt_victims **ret, struct brunt_error *err)
{
	const struct brunt_target *target = step->target;
	const char *service;

	if (!target)
		return 0;
	service = target->kind == BRUNT_TARGET_SERVICE ? target->service
		  : target->process		       ? target->process->service
						       : NULL;
	if (service)
		return brunt_fail(err, EAGAIN, "service '%s' is not running yet", service);
	return brunt_target_resolve(target, step->fault.injector->wants, context, NULL, ret, err);
}

#define NAMES_LISTS 4
#define NAMES_WAIT  (3 * BRUNT_S)

static void stop_names(struct brunt_names **names)
{
	brunt_names_stop(*names);
}

/*
 * What the host names among a fault's endpoints stand for now, as this host looks them up; NULL: it has none, or they are
 * the target's to look up, or (with the reason in err) nobody knows. That may be otherwise when the fault begins.
 */
static struct brunt_names *look_up(const struct brunt_step *step, struct brunt_error *err)
{
	const struct brunt_list *lists[NAMES_LISTS];
	const char *params = step->fault.params;
	struct brunt_names *names = NULL;
	size_t count = 0;

	for (const struct brunt_param *param = step->fault.injector->table->params; param->help; param++) {
		if (param->table == &brunt_names_table) {
			const struct brunt_names_params *how;

			memcpy(&how, params + param->offset, sizeof(how));
			if (how && how->via == BRUNT_NAMES_TARGET)
				return NULL;
		}
		if (param->type == BRUNT_T_ENDPOINT && param->shape == BRUNT_LIST && param->names &&
		    count < NAMES_LISTS)
			lists[count++] = (const struct brunt_list *)(const void *)(params + param->offset);
	}
	if (!brunt_names_are_used(lists, count))
		return NULL;
	if (brunt_names_start(lists, count, NULL, 0, &names, err) ||
	    brunt_names_await(names, brunt_now() + NAMES_WAIT, err)) {
		brunt_names_stop(names);
		return NULL;
	}
	return names;
}

static void note_names(const struct brunt_names *names, const struct brunt_error *err, char *notes, size_t size)
{
	size_t used = strlen(notes);

	if (!names && !err->msg[0])
		return;
	used += (size_t)snprintf(notes + used, size - used, "%s", used ? "\n" : "");
	if (names)
		brunt_names_print(names, notes + used, size - used);
	else
		(void)snprintf(notes + used, size - used, "for now %s", err->msg);
}

/* The first "no" is told; who would be hit is shown all the same. */
static void preview(const struct brunt_step *step, const struct brunt_resolve_context *context,
		    const struct brunt_ways *ways, unsigned allowed, struct brunt_preview *ret)
{
	const struct brunt_injector *injector = step->fault.injector;
	struct brunt_error err = { 0 }, why = { 0 }, unknown = { 0 };
	BRUNT_CLEANUP(stop_names) struct brunt_names *names = injector->harm ? look_up(step, &unknown) : NULL;
	int r;

	(void)brunt_capabilities_missing(must_have(injector), ret->missing, sizeof(ret->missing));
	if (ret->missing[0])
		ret->code = brunt_fail(&err, EPERM, "needs %s", ret->missing);
	else if (injector->probe)
		ret->code = injector->probe(&err);
	r = find_victims(step, context, &ret->victims, &why);
	if (!ret->code && r < 0) {
		ret->code = r;
		err = why;
	}
	snprintf(ret->why, sizeof(ret->why), "%s", err.msg);
	if (injector->describe)
		injector->describe(&step->fault, ret->victims, ret->mechanism, sizeof(ret->mechanism));
	r = brunt_ways_check(ways, &step->fault, ret->victims, names, context->cgroup_mount, allowed, ret->notes,
			     sizeof(ret->notes), &why);
	note_names(names, &unknown, ret->notes, sizeof(ret->notes));
	if (!r && injector->look)
		r = injector->look(&step->fault, ret->victims, ret->notes, sizeof(ret->notes), &why);
	if (!ret->code && r < 0) {
		ret->code = r;
		snprintf(ret->why, sizeof(ret->why), "%s", why.msg);
	}
}

unsigned brunt_plan_may_cut(const struct brunt_plan *plan)
{
	unsigned allowed = 0;

	BRUNT_FOREACH (const int, way, plan->blast_radius.may_cut)
		allowed |= 1u << *way;
	return allowed;
}

static bool harms_network(const struct brunt_plan *plan)
{
	for (uint32_t i = 0; i < plan->step_count; i++)
		if (injector_of(plan->steps[i]) && injector_of(plan->steps[i])->harm)
			return true;
	return false;
}

int brunt_plan_ways(const struct brunt_plan *plan, struct brunt_ways **ret, struct brunt_error *err)
{
	struct brunt_ways *ways = calloc(1, sizeof(*ways));

	if (!ways)
		return brunt_fail(err, ENOMEM, "out of memory");
	if (harms_network(plan)) {
		brunt_ways_find_ssh(ways);
		brunt_ways_find_resolvers(ways, "/etc/resolv.conf");
		/* where that names systemd-resolved on loopback, those that it asks */
		brunt_ways_find_resolvers(ways, "/run/systemd/resolve/resolv.conf");
	}
	*ret = ways;
	return 0;
}

/* A fault on an SLI's own path is no mistake, or the run would judge nothing; but it is shown. */
static void add_slis(const struct brunt_plan *plan, struct brunt_ways *ways)
{
	BRUNT_FOREACH (const struct brunt_sli, sli, plan->slis) {
		char name[96];

		(void)snprintf(name, sizeof(name), "the path of SLI '%s'", sli->name);
		if (sli->http && !sli->http->unix_socket)
			brunt_ways_add_url(ways, name, sli->http->url, true);
		else if (sli->tcp)
			brunt_ways_add_url(ways, name, sli->tcp->connect, true);
	}
}

int brunt_preview(const struct brunt_plan *plan, uint64_t seed, struct brunt_preview *ret_previews,
		  struct brunt_error *err)
{
	BRUNT_AUTO_FREE struct brunt_ways *ways = NULL;
	const pid_t own[] = { getpid() };
	char mount[256];
	bool mounted = !brunt_cgroup_mount(mount, sizeof(mount));
	struct brunt_resolve_context context = {
		.seed = seed,
		.proc = "/proc",
		.cgroup_mount = mounted ? mount : NULL,
		.service_names = plan->service_names,
		.own = own,
		.own_count = 1,
	};

	memset(ret_previews, 0, plan->step_count * sizeof(*ret_previews));
	if (brunt_plan_ways(plan, &ways, err) < 0)
		return -ENOMEM;
	if (harms_network(plan))
		add_slis(plan, ways);
	for (uint32_t i = 0; i < plan->step_count; i++)
		if (injector_of(plan->steps[i]))
			preview(plan->steps[i], &context, ways, brunt_plan_may_cut(plan), &ret_previews[i]);
	return 0;
}

void brunt_preview_done(struct brunt_preview *previews, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		brunt_victims_free(previews[i].victims);
		previews[i].victims = NULL;
	}
}
