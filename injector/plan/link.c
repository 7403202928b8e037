/* SPDX-License-Identifier: Apache-2.0 */
/* Names to things: services, targets, SLIs; and what their keys mean together. */
#include "plan/plan.h"

#include "base/text.h"

#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool brunt_address_is_right(const char *text)
{
	const char *colon = strrchr(text, ':');
	char *end;
	long port;

	if (!colon || colon == text || !isdigit((unsigned char)colon[1]))
		return false;
	port = strtol(colon + 1, &end, 10);
	if (*end || port < 1 || port > 65535)
		return false;
	if (text[0] == '[')
		return colon[-1] == ']' && colon - text > 3;
	return memchr(text, ':', (size_t)(colon - text)) == NULL && !strpbrk(text, " /");
}

static struct brunt_service *find_service(const struct brunt_plan *plan, const char *name)
{
	BRUNT_FOREACH (struct brunt_service, service, plan->services)
		if (strcmp(service->name, name) == 0)
			return service;
	return NULL;
}

/* A reference to a service; an unknown one is told. Right but broken ones are told elsewhere: UINT32_MAX. */
static uint32_t link_service(struct brunt_loader *loader, const struct brunt_place *place, const char *key,
			     const char *name)
{
	const struct brunt_service *service = find_service(loader->plan, name);

	if (service)
		return service->index;
	if (!brunt_names_have(&loader->service_names, name))
		brunt_plan_unknown(loader, place, key, "service", name, &loader->service_names);
	return UINT32_MAX;
}

static void check_env(struct brunt_loader *loader, const struct brunt_service *service)
{
	BRUNT_FOREACH (const struct brunt_pair, pair, service->env) {
		char key[BRUNT_PLACE_SIZE];

		if (!strchr(pair->key, '='))
			continue;
		brunt_pointer_join(service->place.pointer, "env", key, sizeof(key));
		brunt_plan_error(loader, &(struct brunt_place){ service->place.doc, key }, pair->key,
				 "the name of an environment variable has no '='");
	}
}

/* The first service that is not placed and that service waits for; UINT32_MAX when none. */
static uint32_t waits_for(const struct brunt_service *service, const bool *placed)
{
	for (size_t i = 0; i < service->after.count; i++)
		if (service->after_index[i] != UINT32_MAX && !placed[service->after_index[i]])
			return service->after_index[i];
	return UINT32_MAX;
}

/* Walks from one service that cannot be placed to those it waits for, until one comes again. */
static void tell_circle(struct brunt_loader *loader, const struct brunt_service *service, const bool *placed)
{
	const struct brunt_service *services = loader->plan->services.items;
	bool seen[BRUNT_SERVICES_MAX] = { false };
	char text[256];
	size_t length;
	uint32_t first;

	while (!seen[service->index]) {
		seen[service->index] = true;
		service = &services[waits_for(service, placed)];
	}
	first = service->index;
	length = (size_t)snprintf(text, sizeof(text), "'%s'", service->name);
	do {
		service = &services[waits_for(service, placed)];
		if (length < sizeof(text))
			length += (size_t)snprintf(text + length, sizeof(text) - length, " after '%s'", service->name);
	} while (service->index != first);
	brunt_plan_error(loader, &service->place, "after", "services wait for each other in a circle: %s", text);
}

/* Is there an order in which the services can start? */
static void check_order(struct brunt_loader *loader)
{
	const struct brunt_service *services = loader->plan->services.items;
	size_t count = loader->plan->services.count;
	bool placed[BRUNT_SERVICES_MAX] = { false };
	bool more = true;

	if (count > BRUNT_SERVICES_MAX)
		return;
	while (more) {
		more = false;
		for (size_t i = 0; i < count; i++) {
			if (placed[i] || waits_for(&services[i], placed) != UINT32_MAX)
				continue;
			placed[i] = true;
			more = true;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (!placed[i]) {
			tell_circle(loader, &services[i], placed);
			return;
		}
	}
}

/* Is there anything to run? */
static void check_command(struct brunt_loader *loader, const struct brunt_place *place, const struct brunt_list *run)
{
	if (run->count == 0 || !(*(const char *const *)run->items)[0])
		brunt_plan_error(loader, place, "run", "there is no program to run");
}

static int link_services(struct brunt_loader *loader)
{
	struct brunt_plan *plan = loader->plan;
	const char **names = brunt_arena_get(loader->arena, (plan->services.count + 1) * sizeof(*names));
	uint32_t index = 0;

	if (!names)
		return -ENOMEM;
	plan->service_names = names;
	BRUNT_FOREACH (struct brunt_service, service, plan->services) {
		names[index] = service->name;
		service->index = index++;
	}
	BRUNT_FOREACH (struct brunt_service, service, plan->services) {
		const char *const *after = service->after.items;

		service->after_index = brunt_arena_get(loader->arena, (service->after.count + 1) * sizeof(uint32_t));
		if (!service->after_index)
			return -ENOMEM;
		for (size_t i = 0; i < service->after.count; i++)
			service->after_index[i] = link_service(loader, &service->place, "after", after[i]);
		check_env(loader, service);
		check_command(loader, &service->place, &service->run);
		for (size_t i = 0; i < loader->file_count && !service->cwd; i++)
			if (loader->files[i].doc == service->place.doc && i > 0)
				service->cwd = loader->files[i].dir;
	}
	return 0;
}

static int link_targets(struct brunt_loader *loader)
{
	BRUNT_FOREACH (struct brunt_target, target, loader->plan->targets) {
		if (target->service)
			(void)link_service(loader, &target->place, "service", target->service);
		if (target->process && target->process->service) {
			char pointer[BRUNT_PLACE_SIZE];

			brunt_pointer_join(target->place.pointer, "process", pointer, sizeof(pointer));
			(void)link_service(loader, &(struct brunt_place){ target->place.doc, pointer }, "service",
					   target->process->service);
		}
	}
	return 0;
}

/* What the values of an SLI are. */
static void link_unit(struct brunt_loader *loader, struct brunt_sli *sli)
{
	bool latency = sli->kind == BRUNT_SLI_TCP || (sli->kind == BRUNT_SLI_HTTP && !sli->http->value);
	bool number = (sli->kind == BRUNT_SLI_HTTP && sli->http->value) ||
		      (sli->kind == BRUNT_SLI_COMMAND && sli->command->number) ||
		      (sli->kind == BRUNT_SLI_LINES && sli->lines->value);

	char shown[BRUNT_QUOTE_SIZE], pointer[BRUNT_PLACE_SIZE];
	struct brunt_place place = sli->place;

	if (sli->kind == BRUNT_SLI_LINES && sli->lines->unit)
		place.pointer = brunt_pointer_join(sli->place.pointer, "lines", pointer, sizeof(pointer));
	sli->dimension = latency ? BRUNT_DIM_TIME : BRUNT_DIM_NONE;
	sli->factor = 1;
	if (!sli->unit)
		return;
	if (latency)
		brunt_plan_error(loader, &sli->place, "unit", "the value is a latency; it has its unit already");
	else if (sli->kind == BRUNT_SLI_COMMAND && !number)
		brunt_plan_error(loader, &sli->place, "unit",
				 "there is no value to have a unit; if it prints a number, write \"number\": true");
	else if (!number)
		brunt_plan_error(loader, &place, "unit", "there is no value to have a unit");
	else if (brunt_unit_find(sli->unit, &sli->dimension, &sli->factor) < 0)
		brunt_plan_error(loader, &place, "unit", "'%s' is no unit; there are %s, %s, %s, %s",
				 brunt_text_quote(sli->unit, shown), brunt_dimension_units(BRUNT_DIM_TIME),
				 brunt_dimension_units(BRUNT_DIM_RATIO), brunt_dimension_units(BRUNT_DIM_SIZE),
				 brunt_dimension_units(BRUNT_DIM_RATE));
}

static void link_process_sli(struct brunt_loader *loader, struct brunt_sli *sli)
{
	const char *name = sli->process->target;

	BRUNT_FOREACH (const struct brunt_target, target, loader->plan->targets)
		if (strcmp(target->name, name) == 0)
			sli->process->resolved = target;
	if (!sli->process->resolved && !brunt_names_have(&loader->target_names, name)) {
		char pointer[BRUNT_PLACE_SIZE];

		brunt_pointer_join(sli->place.pointer, "process", pointer, sizeof(pointer));
		brunt_plan_unknown(loader, &(struct brunt_place){ sli->place.doc, pointer }, "target", "target", name,
				   &loader->target_names);
	}
}

static void link_lines_sli(struct brunt_loader *loader, struct brunt_sli *sli)
{
	char pointer[BRUNT_PLACE_SIZE];

	brunt_pointer_join(sli->place.pointer, "lines", pointer, sizeof(pointer));
	sli->lines->service =
		link_service(loader, &(struct brunt_place){ sli->place.doc, pointer }, "of", sli->lines->of);
	if (sli->unit && sli->lines->unit)
		brunt_plan_error(loader, &sli->place, "unit", "stands in 'lines' already");
	else if (sli->lines->unit)
		sli->unit = sli->lines->unit;
}

static void check_sli_command(struct brunt_loader *loader, const struct brunt_sli *sli)
{
	char pointer[BRUNT_PLACE_SIZE];

	brunt_pointer_join(sli->place.pointer, "command", pointer, sizeof(pointer));
	check_command(loader, &(struct brunt_place){ sli->place.doc, pointer }, &sli->command->run);
}

static int link_slis(struct brunt_loader *loader)
{
	uint32_t index = 0;

	BRUNT_FOREACH (struct brunt_sli, sli, loader->plan->slis) {
		sli->index = index++;
		sli->kind = sli->http	   ? BRUNT_SLI_HTTP
			    : sli->tcp	   ? BRUNT_SLI_TCP
			    : sli->command ? BRUNT_SLI_COMMAND
			    : sli->lines   ? BRUNT_SLI_LINES
					   : BRUNT_SLI_PROCESS;
		if (sli->kind == BRUNT_SLI_PROCESS)
			link_process_sli(loader, sli);
		if (sli->kind == BRUNT_SLI_LINES)
			link_lines_sli(loader, sli);
		if (sli->kind == BRUNT_SLI_COMMAND)
			check_sli_command(loader, sli);
		link_unit(loader, sli);
		/* What still waits is kept: more than these would be a load of its own. */
		if (sli->every > 0 && sli->timeout / sli->every > 1000)
			brunt_plan_error(
				loader, &sli->place, "timeout",
				"up to %llu samples would wait at once; at most 1000: shorten it, or sample less often",
				(unsigned long long)(sli->timeout / sli->every));
	}
	return 0;
}

static void link_finally(struct brunt_loader *loader)
{
	size_t index = 0;

	BRUNT_FOREACH (struct brunt_finally, command, loader->plan->finally) {
		index++;
		if (!command->name)
			command->name = brunt_arena_print(loader->arena, "finally-%zu", index);
		check_command(loader, &command->place, &command->run);
	}
}

int brunt_plan_link(struct brunt_loader *loader)
{
	int r;

	r = link_services(loader);
	if (r == 0)
		check_order(loader);
	if (r == 0)
		r = link_targets(loader);
	if (r == 0)
		r = link_slis(loader);
	if (r == 0)
		link_finally(loader);
	return r;
}
