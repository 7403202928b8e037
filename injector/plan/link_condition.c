/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions: what they are about, whether their bounds can be judged at all, and how a person reads them. */
#include "plan/plan.h"

#include "brunt/judge.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool has_values(const struct brunt_sli *sli)
{
	return !(sli->kind == BRUNT_SLI_COMMAND && !sli->command->number) &&
	       !(sli->kind == BRUNT_SLI_LINES && !sli->lines->value);
}

static bool has_flags(const struct brunt_sli *sli)
{
	return sli->kind != BRUNT_SLI_LINES || sli->lines->good || sli->lines->bad;
}

static enum brunt_dimension dimension_of(const struct brunt_condition *condition)
{
	switch (condition->of) {
	case BRUNT_OF_SUCCESS:
		return BRUNT_DIM_RATIO;
	case BRUNT_OF_COUNT:
		return BRUNT_DIM_NONE;
	default:
		return condition->resolved_sli->dimension;
	}
}

/* What a bound should look like, for its error. */
static const char *example_of(enum brunt_dimension dimension)
{
	switch (dimension) {
	case BRUNT_DIM_TIME:
		return "a time, such as \"200ms\"";
	case BRUNT_DIM_RATIO:
		return "a ratio, such as \"99%\"";
	case BRUNT_DIM_SIZE:
		return "a size, such as \"64MiB\"";
	case BRUNT_DIM_RATE:
		return "a rate, such as \"10mbit\"";
	default:
		return "a bare number, such as 10";
	}
}

static void check_bound(struct brunt_loader *loader, const struct brunt_condition *condition, const char *key,
			const struct brunt_quantity *bound)
{
	enum brunt_dimension want = dimension_of(condition);
	bool success = condition->of == BRUNT_OF_SUCCESS;

	if (bound->dimension == want) {
		if (want == BRUNT_DIM_RATIO && success && bound->value > 1)
			brunt_plan_error(loader, &condition->place, key, "a share of samples is at most 100%%");
		return;
	}
	if (bound->dimension == BRUNT_DIM_RATIO && !success && has_flags(condition->resolved_sli))
		brunt_plan_error(loader, &condition->place, key,
				 "'%s' of '%s' is %s; for the share of good samples write \"of\": \"success\"",
				 brunt_of_values[condition->of].name, condition->sli, example_of(want));
	else if (!condition->has_of && success)
		brunt_plan_error(loader, &condition->place, key,
				 "'%s' has no values, only good and bad samples: write %s", condition->sli,
				 example_of(want));
	else if (want == BRUNT_DIM_NONE && condition->of != BRUNT_OF_COUNT &&
		 condition->resolved_sli->kind != BRUNT_SLI_PROCESS)
		brunt_plan_error(
			loader, &condition->place, key,
			"the values of '%s' have no unit: write a bare number here, or give the SLI a \"unit\"",
			condition->sli);
	else
		brunt_plan_error(loader, &condition->place, key, "'%s' of '%s' must be %s",
				 brunt_of_values[condition->of].name, condition->sli, example_of(want));
}

static void check_bounds(struct brunt_loader *loader, const struct brunt_condition *condition)
{
	if (condition->has_min)
		check_bound(loader, condition, "min", &condition->min);
	if (condition->has_max)
		check_bound(loader, condition, "max", &condition->max);
	if (condition->has_during)
		check_bound(loader, condition, "during", &condition->during);
	if (condition->has_min && condition->has_max && condition->min.value > condition->max.value)
		brunt_plan_error(loader, &condition->place, "min", "is more than 'max': nothing can hold");
	if (condition->has_during && condition->has_min && condition->during.value > condition->min.value)
		brunt_plan_error(loader, &condition->place, "during",
				 "is stricter than 'min': while faults are held, "
				 "a bound can only be as strict or weaker");
	if (condition->has_during && condition->has_max && condition->during.value < condition->max.value)
		brunt_plan_error(loader, &condition->place, "during",
				 "is stricter than 'max': while faults are held, "
				 "a bound can only be as strict or weaker");
}

/* Are there enough samples in the window for what is asked of them? */
static void check_window(struct brunt_loader *loader, const struct brunt_condition *condition)
{
	const struct brunt_sli *sli = condition->resolved_sli;
	size_t needed = brunt_of_samples_needed(condition->of);
	uint64_t samples = condition->over > 0 ? condition->over / sli->every : 1;
	char over[32], every[32], least[32];

	if (condition->of == BRUNT_OF_COUNT && condition->over == 0) {
		brunt_plan_error(loader, &condition->place, NULL,
				 "'count' needs 'over': the time in which samples are counted");
		return;
	}
	brunt_duration_print(condition->over, over, sizeof(over));
	brunt_duration_print(sli->every, every, sizeof(every));
	brunt_duration_print(needed * sli->every, least, sizeof(least));
	/* How often lines come, nobody knows. */
	if (sli->kind == BRUNT_SLI_LINES && condition->over > 0)
		return;
	if (condition->over > 0 && samples == 0)
		brunt_plan_error(loader, &condition->place, "over",
				 "%s is shorter than the %s between samples of '%s': most windows would be empty", over,
				 every, sli->name);
	else if (samples < needed && condition->over == 0)
		brunt_plan_error(
			loader, &condition->place, "of",
			"'%s' needs %zu samples, and without 'over' the newest alone is judged; write \"over\": \"%llums\" or more",
			brunt_of_values[condition->of].name, needed,
			(unsigned long long)(needed * sli->every / BRUNT_MS));
	else if (samples < needed)
		brunt_plan_error(
			loader, &condition->place, "over",
			"'%s' needs %zu samples, %s has %llu of '%s' (every %s): take at least %s, or sample more often",
			brunt_of_values[condition->of].name, needed, over, (unsigned long long)samples, sli->name,
			every, least);
}

/* "site success over 2 s ≥ 80 % for 3 s" */
static const char *sli_text(struct brunt_loader *loader, const struct brunt_condition *condition)
{
	enum brunt_dimension dimension = dimension_of(condition);
	char over[48] = "", min[48] = "", max[48] = "", lasting[48] = "", value[32];
	bool plain = condition->of == BRUNT_OF_LAST;

	if (condition->over > 0)
		(void)snprintf(over, sizeof(over), " over %s",
			       brunt_duration_print(condition->over, value, sizeof(value)));
	if (condition->has_min)
		(void)snprintf(min, sizeof(min), " ≥ %s",
			       brunt_quantity_print(condition->min.value, dimension, value, sizeof(value)));
	if (condition->has_max)
		(void)snprintf(max, sizeof(max), "%s ≤ %s", condition->has_min ? " and" : "",
			       brunt_quantity_print(condition->max.value, dimension, value, sizeof(value)));
	if (condition->lasting > 0)
		(void)snprintf(lasting, sizeof(lasting), " for %s",
			       brunt_duration_print(condition->lasting, value, sizeof(value)));
	return brunt_arena_print(loader->arena, "%s%s%s%s%s%s%s", condition->sli, plain ? "" : " ",
				 plain ? "" : brunt_of_values[condition->of].name, over, min, max, lasting);
}

static const char *target_text(struct brunt_loader *loader, const struct brunt_condition *condition)
{
	char lasting[48] = "", value[32];

	if (condition->lasting > 0)
		(void)snprintf(lasting, sizeof(lasting), " for %s",
			       brunt_duration_print(condition->lasting, value, sizeof(value)));
	return brunt_arena_print(loader->arena, "%s alive ≥ %llu%s", condition->target,
				 (unsigned long long)condition->alive, lasting);
}

static int link_sli_condition(struct brunt_loader *loader, struct brunt_condition *condition)
{
	const struct brunt_sli *sli = NULL;

	BRUNT_FOREACH (const struct brunt_sli, candidate, loader->plan->slis)
		if (strcmp(candidate->name, condition->sli) == 0)
			sli = candidate;
	if (!sli) {
		if (!brunt_names_have(&loader->sli_names, condition->sli))
			brunt_plan_unknown(loader, &condition->place, "sli", "SLI", condition->sli, &loader->sli_names);
		return 0;
	}
	condition->resolved_sli = sli;
	if (!condition->has_of)
		condition->of = has_values(sli) ? BRUNT_OF_LAST : BRUNT_OF_SUCCESS;
	if (condition->of == BRUNT_OF_SUCCESS && !has_flags(sli))
		brunt_plan_error(loader, &condition->place, "of",
				 "'%s' has no good and bad samples, only values; give its 'lines' a 'good' or 'bad'",
				 sli->name);
	else if (condition->of != BRUNT_OF_SUCCESS && condition->of != BRUNT_OF_COUNT && !has_values(sli))
		brunt_plan_error(loader, &condition->place, "of", "'%s' has no values, only good and bad samples",
				 sli->name);
	else
		check_bounds(loader, condition);
	check_window(loader, condition);
	condition->text = sli_text(loader, condition);
	return condition->text ? 0 : -ENOMEM;
}

static int link_target_condition(struct brunt_loader *loader, struct brunt_condition *condition)
{
	BRUNT_FOREACH (const struct brunt_target, target, loader->plan->targets)
		if (strcmp(target->name, condition->target) == 0)
			condition->resolved_target = target;
	if (!condition->resolved_target && !brunt_names_have(&loader->target_names, condition->target))
		brunt_plan_unknown(loader, &condition->place, "target", "target", condition->target,
				   &loader->target_names);
	condition->text = target_text(loader, condition);
	return condition->text ? 0 : -ENOMEM;
}

static int add_condition(struct brunt_loader *loader, struct brunt_condition *condition)
{
	struct brunt_plan *plan = loader->plan;

	if (plan->condition_count == loader->condition_room) {
		size_t room = loader->condition_room ? loader->condition_room * 2 : 16;
		struct brunt_condition **grown = brunt_arena_get(loader->arena, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		if (plan->condition_count > 0)
			memcpy(grown, plan->conditions, plan->condition_count * sizeof(*grown));
		plan->conditions = grown;
		loader->condition_room = room;
	}
	condition->index = plan->condition_count;
	plan->conditions[plan->condition_count++] = condition;
	return 0;
}

int brunt_plan_link_condition(struct brunt_loader *loader, struct brunt_condition *condition,
			      enum brunt_condition_kind kind)
{
	int r;

	condition->kind = kind;
	r = add_condition(loader, condition);
	if (r < 0)
		return r;
	return condition->sli ? link_sli_condition(loader, condition) : link_target_condition(loader, condition);
}

int brunt_plan_link_conditions(struct brunt_loader *loader)
{
	struct brunt_plan *plan = loader->plan;
	const struct {
		const struct brunt_list *list;
		enum brunt_condition_kind kind;
	} places[] = {
		{ &plan->start_if, BRUNT_CONDITION_START_IF },
		{ &plan->steady_state, BRUNT_CONDITION_STEADY },
		{ &plan->guardrails, BRUNT_CONDITION_GUARDRAIL },
	};

	for (size_t i = 0; i < BRUNT_COUNT(places); i++) {
		BRUNT_FOREACH (struct brunt_condition, condition, *places[i].list) {
			int r = brunt_plan_link_condition(loader, condition, places[i].kind);

			if (r < 0)
				return r;
		}
	}
	return 0;
}
