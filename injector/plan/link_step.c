/* SPDX-License-Identifier: Apache-2.0 */
/* Steps: names to things, and what must not be asked of a step. */
#include "plan/plan.h"

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct brunt_step *find_step(const struct brunt_loader *loader, const char *name)
{
	for (size_t i = 0; i < loader->step_count; i++)
		if (loader->steps[i]->name && strcmp(loader->steps[i]->name, name) == 0)
			return loader->steps[i];
	return NULL;
}

/* The step of that name among those that come before; NULL after an error. noun: what it should be. */
static const struct brunt_step *find_earlier(struct brunt_loader *loader, const struct brunt_step *step,
					     const char *key, const char *name)
{
	const struct brunt_step *found = find_step(loader, name);
	struct brunt_names names = { 0 };

	if (found == step)
		brunt_plan_error(loader, &step->place, key, "'%s' is this step itself", name);
	else if (found && found->index > step->index)
		brunt_plan_error(loader, &step->place, key, "'%s' comes later; only a step before can be named", name);
	else if (found)
		return found;
	if (found || brunt_names_have(&loader->bad_steps, name))
		return NULL;
	for (uint32_t i = 0; i < step->index; i++)
		if (brunt_names_add(loader, &names, loader->steps[i]->name) < 0)
			break;
	brunt_plan_unknown(loader, &step->place, key, "step before this one", name, &names);
	return NULL;
}

/* Every step gets a name, and no two the same. */
static int name_steps(struct brunt_loader *loader)
{
	for (size_t i = 0; i < loader->step_count; i++) {
		struct brunt_step *step = loader->steps[i];
		bool given = step->name != NULL;

		if (!given) {
			step->name = brunt_arena_print(loader->arena, "step-%zu", i + 1);
			if (!step->name)
				return -ENOMEM;
		}
		for (size_t j = 0; j < i; j++) {
			if (strcmp(loader->steps[j]->name, step->name) != 0)
				continue;
			brunt_plan_error(
				loader, &step->place, given ? "name" : NULL,
				given ? "another step is called '%s' already, at %s; names are unique"
				      : "has no name and would be called '%s', which another step is called, at %s",
				step->name, loader->steps[j]->place.pointer);
			break;
		}
	}
	return 0;
}

/* "process, service or unit" */
static void kinds_text(unsigned kinds, char *buf, size_t size)
{
	size_t length = 0, left = (size_t)__builtin_popcount(kinds);

	buf[0] = '\0';
	for (int kind = 0; kind < _BRUNT_TARGET_MAX && length < size; kind++) {
		if (!(kinds & 1u << kind))
			continue;
		left--;
		length += (size_t)snprintf(buf + length, size - length, "%s%s",
					   brunt_target_kind_name((enum brunt_target_kind)kind),
					   left > 1    ? ", "
					   : left == 1 ? " or "
						       : "");
	}
}

static void link_fault_target(struct brunt_loader *loader, struct brunt_step *step)
{
	const struct brunt_injector *injector = step->fault.injector;
	struct brunt_error err = { 0 };
	char kinds[160];

	BRUNT_FOREACH (const struct brunt_target, target, loader->plan->targets)
		if (strcmp(target->name, step->on) == 0)
			step->target = target;
	if (!step->target) {
		if (!brunt_names_have(&loader->target_names, step->on))
			brunt_plan_unknown(loader, &step->place, "on", "target", step->on, &loader->target_names);
		return;
	}
	if (!(injector->targets & 1u << step->target->kind)) {
		kinds_text(injector->targets, kinds, sizeof(kinds));
		brunt_plan_error(loader, &step->place, "on", "'%s' is %s %s; %s hits a %s", step->on,
				 strchr("aeiou", brunt_target_kind_name(step->target->kind)[0]) ? "an" : "a",
				 brunt_target_kind_name(step->target->kind), injector->name, kinds);
		return;
	}
	if (injector->validate && injector->validate(step->fault.params, (int)step->target->kind, &err) < 0)
		brunt_plan_error(loader, &step->place, NULL, "%s", err.msg);
	if (step->target->pick.kind == BRUNT_PICK_COUNT &&
	    step->target->pick.count > loader->plan->blast_radius.victims)
		brunt_plan_warn(
			loader, &step->place, "on",
			"'%s' picks %llu, the blast radius allows %llu in all: the run will be refused when so many match",
			step->on, (unsigned long long)step->target->pick.count,
			(unsigned long long)loader->plan->blast_radius.victims);
}

/* What moves while it is held: pulses and ramps. */
static void check_changes(struct brunt_loader *loader, const struct brunt_step *step)
{
	const struct brunt_injector *injector = step->fault.injector;
	char has[32], needs[32];
	uint64_t in_ns;

	if (step->pulse && injector->instant)
		brunt_plan_error(loader, &step->place, "pulse",
				 "%s happens at once and holds nothing; write 'every' and 'times'", injector->name);
	else if (step->pulse && injector->no_pulse)
		brunt_plan_error(loader, &step->place, "pulse", "%s cannot be pulsed: %s", injector->name,
				 injector->no_pulse);
	else if (step->pulse && step->has_hold && step->hold <= step->pulse->on)
		brunt_plan_warn(loader, &step->place, "pulse", "it is held for %s, which ends before the first 'off'",
				brunt_duration_print(step->hold, has, sizeof(has)));
	if (step->has_hold && injector->table && step->fault.params &&
	    brunt_param_moves(injector->table, step->fault.params, &in_ns) && step->hold < in_ns)
		brunt_plan_warn(loader, &step->place, "hold",
				"it is held for %s, a ramp takes %s: it ends before it has got there",
				brunt_duration_print(step->hold, has, sizeof(has)),
				brunt_duration_print(in_ns, needs, sizeof(needs)));
}

/* How long it is held, how often it happens. */
static void check_fault_times(struct brunt_loader *loader, const struct brunt_step *step)
{
	bool instant = step->fault.injector->instant;
	const char *fault = step->fault.injector->name;

	if (instant && step->has_hold)
		brunt_plan_error(loader, &step->place, "hold", "%s happens at once and holds nothing; leave 'hold' out",
				 fault);
	if (!instant && !step->has_hold && !step->background)
		brunt_plan_error(loader, &step->place, NULL,
				 "'hold' is missing: how long is %s held? or write \"background\": true", fault);
	if (instant && step->background && step->times == 1)
		brunt_plan_error(loader, &step->place, "background",
				 "%s happens at once; there is nothing to keep in the background", fault);
	if (!instant && step->times > 1)
		brunt_plan_error(loader, &step->place, "times", "%s is held, not repeated; write 'hold'", fault);
	if (!instant && step->every > 0)
		brunt_plan_error(loader, &step->place, "every", "%s is held, not repeated; write 'hold'", fault);
	if (instant && step->times > 1 && step->every == 0)
		brunt_plan_error(loader, &step->place, "times", "'times' needs 'every': the time from one to the next");
	if (instant && step->every > 0 && step->times == 1)
		brunt_plan_error(loader, &step->place, "every", "'every' needs 'times': how often in all");
	check_changes(loader, step);
	if (step->parent && step->background)
		brunt_plan_error(loader, &step->place, "background",
				 "a step under 'parallel' runs beside the others already; leave 'background' out");
}

/*
 * The cause that an expect judges, when none is named: the nearest step before that is no expect. Of steps under
 * `parallel` those beside it count first; from outside, a `parallel` is one step.
 */
static const struct brunt_step *default_since(const struct brunt_loader *loader, const struct brunt_step *step)
{
	for (uint32_t i = step->index; i-- > 0;) {
		const struct brunt_step *before = loader->steps[i];

		if (before->kind == BRUNT_STEP_EXPECT || before == step->parent)
			continue;
		if (before->parent && before->parent != step->parent)
			continue;
		return before;
	}
	return NULL;
}

/* A window must be filled before a condition can be said to hold. */
static void check_within(struct brunt_loader *loader, const struct brunt_step *step,
			 const struct brunt_condition *condition)
{
	char needs[32], has[32];

	if (condition->over + condition->lasting <= step->within)
		return;
	brunt_plan_error(loader, &step->place, "within",
			 "%s is too short: the condition needs %s of samples before it can hold",
			 brunt_duration_print(step->within, has, sizeof(has)),
			 brunt_duration_print(condition->over + condition->lasting, needs, sizeof(needs)));
}

static void link_expect(struct brunt_loader *loader, struct brunt_step *step)
{
	if (!step->since) {
		step->since_step = default_since(loader, step);
		return;
	}
	step->since_step = find_earlier(loader, step, "since", step->since);
	if (step->since_step && step->since_step == step->parent)
		brunt_plan_error(loader, &step->place, "since",
				 "'%s' ends after this step: it is the 'parallel' around it", step->since);
}

static void link_revert(struct brunt_loader *loader, struct brunt_step *step)
{
	const struct brunt_step *fault = find_earlier(loader, step, "revert", step->revert);

	if (!fault)
		return;
	step->revert_step = fault;
	if (fault->kind != BRUNT_STEP_FAULT || fault->fault.injector->instant)
		brunt_plan_error(loader, &step->place, "revert", "'%s' holds nothing that could be reverted",
				 fault->name);
	else if (!fault->background)
		brunt_plan_error(loader, &step->place, "revert",
				 "'%s' has ended by then: only a fault with \"background\": true goes on", fault->name);
	for (uint32_t i = 0; i < step->index; i++)
		if (loader->steps[i]->kind == BRUNT_STEP_REVERT && loader->steps[i]->revert_step == fault)
			brunt_plan_error(loader, &step->place, "revert", "'%s' is reverted at '%s' already",
					 fault->name, loader->steps[i]->name);
}

/* Would the service be running when this step comes? Only said when it is sure. */
static bool runs_at(const struct brunt_loader *loader, const struct brunt_step *step,
		    const struct brunt_service *service)
{
	bool runs = !service->manual;

	for (uint32_t i = 0; i < step->index; i++) {
		const struct brunt_step *before = loader->steps[i];

		if (before->kind == BRUNT_STEP_START && strcmp(before->start, service->name) == 0)
			runs = true;
		if (before->kind == BRUNT_STEP_STOP && strcmp(before->stop, service->name) == 0)
			runs = false;
	}
	return runs;
}

static void link_service_step(struct brunt_loader *loader, struct brunt_step *step)
{
	bool start = step->kind == BRUNT_STEP_START;
	const char *key = start ? "start" : "stop";
	const char *name = start ? step->start : step->stop;
	const struct brunt_service *service = NULL;

	BRUNT_FOREACH (const struct brunt_service, candidate, loader->plan->services)
		if (strcmp(candidate->name, name) == 0)
			service = candidate;
	if (!service) {
		if (!brunt_names_have(&loader->service_names, name))
			brunt_plan_unknown(loader, &step->place, key, "service", name, &loader->service_names);
		return;
	}
	step->service = service->index;
	if (step->parent || !loader->method_whole)
		return;
	if (start && runs_at(loader, step, service) && !service->may_exit)
		brunt_plan_error(loader, &step->place, key,
				 "'%s' runs by then; give the service \"manual\": true, or stop it in a step before",
				 name);
	if (!start && !runs_at(loader, step, service))
		brunt_plan_error(loader, &step->place, key, "'%s' does not run by then", name);
}

static int link_step(struct brunt_loader *loader, struct brunt_step *step)
{
	int r = 0;

	switch (step->kind) {
	case BRUNT_STEP_FAULT:
		step->fault.step = step->index;
		step->fault.name = step->name;
		step->hits_min = step->hits ? step->hits->min : 1;
		link_fault_target(loader, step);
		check_fault_times(loader, step);
		break;
	case BRUNT_STEP_WAIT:
		r = brunt_plan_link_condition(loader, step->wait, BRUNT_CONDITION_WAIT);
		check_within(loader, step, step->wait);
		break;
	case BRUNT_STEP_EXPECT:
		r = brunt_plan_link_condition(loader, step->expect, BRUNT_CONDITION_EXPECT);
		link_expect(loader, step);
		check_within(loader, step, step->expect);
		break;
	case BRUNT_STEP_RUN:
		if (step->run.count == 0 || !(*(const char *const *)step->run.items)[0])
			brunt_plan_error(loader, &step->place, "run", "there is no program to run");
		break;
	case BRUNT_STEP_START:
	case BRUNT_STEP_STOP:
		link_service_step(loader, step);
		break;
	case BRUNT_STEP_REVERT:
		link_revert(loader, step);
		break;
	default:
		break;
	}
	return r;
}

/* What is no error, but hardly meant. */
static void check_whole(struct brunt_loader *loader)
{
	const struct brunt_place top = { loader->files[0].doc, "" };
	const struct brunt_plan *plan = loader->plan;
	struct brunt_plan_times times;
	bool judged = plan->steady_state.count > 0 || !loader->method_whole;
	char takes[32], may[32];

	for (size_t i = 0; i < loader->step_count; i++)
		judged |= loader->steps[i]->kind == BRUNT_STEP_EXPECT || loader->steps[i]->kind == BRUNT_STEP_RUN;
	if (!judged && !json_object_get(brunt_doc_root(top.doc), "steady_state"))
		brunt_plan_warn(loader, &top, "method",
				"nothing judges this run: it has no 'steady_state', no 'expect' and no 'run' step");
	brunt_plan_times(plan, &times);
	if (times.fixed_from_fault > plan->blast_radius.duration)
		brunt_plan_warn(
			loader, &top,
			json_object_get(brunt_doc_root(top.doc), "blast_radius") ? "blast_radius" : "method",
			"from the first fault on, the method takes at least %s, the blast radius allows %s: the run will abort",
			brunt_duration_print(times.fixed_from_fault, takes, sizeof(takes)),
			brunt_duration_print(plan->blast_radius.duration, may, sizeof(may)));
}

int brunt_plan_link_steps(struct brunt_loader *loader)
{
	int r;

	r = name_steps(loader);
	for (size_t i = 0; i < loader->step_count && r == 0; i++)
		r = link_step(loader, loader->steps[i]);
	BRUNT_FOREACH (const struct brunt_condition, condition, loader->plan->steady_state) {
		char window[32], within[32];

		if (condition->over > condition->after_within)
			brunt_plan_error(loader, &condition->place, "after_within",
					 "%s is shorter than the window of %s, which must be filled first",
					 brunt_duration_print(condition->after_within, within, sizeof(within)),
					 brunt_duration_print(condition->over, window, sizeof(window)));
	}
	if (r == 0)
		check_whole(loader);
	return r;
}
