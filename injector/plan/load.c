/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a path to a plan: read every file, find the variables' values, put them
 * in, decode by the tables, link names. Each stage tells what is wrong and the
 * next goes on with what is right, so that one pass finds everything.
 */
#include "plan/plan.h"

#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void free_loader(struct brunt_loader **loader)
{
	if (!*loader)
		return;
	/* Those that the plan keeps have been taken: see keep_documents(). */
	for (size_t i = 0; i < (*loader)->file_count; i++)
		brunt_doc_free((*loader)->files[i].doc);
	brunt_plan_free((*loader)->plan);
	free(*loader);
}

/* An empty loader with an empty plan. */
static int make_loader(const struct brunt_plan_options *options, struct brunt_diags *diags, struct brunt_loader **ret)
{
	static const struct brunt_plan_options none = { 0 };
	BRUNT_CLEANUP(free_loader) struct brunt_loader *loader = calloc(1, sizeof(*loader));
	int r;

	if (!loader)
		return -ENOMEM;
	loader->plan = calloc(1, sizeof(*loader->plan));
	if (!loader->plan)
		return -ENOMEM;
	r = brunt_arena_new(&loader->plan->arena);
	if (r < 0)
		return r;
	loader->arena = loader->plan->arena;
	loader->diags = diags;
	loader->options = options ? options : &none;
	*ret = BRUNT_TAKE_PTR(loader);
	return 0;
}

/* The documents stay alive with the plan: places point into them. */
static int keep_documents(struct brunt_loader *loader)
{
	struct brunt_plan *plan = loader->plan;

	plan->docs = brunt_arena_get(loader->arena, loader->file_count * sizeof(struct brunt_doc *));
	if (!plan->docs)
		return -ENOMEM;
	for (size_t i = 0; i < loader->file_count; i++)
		if (loader->files[i].doc)
			plan->docs[plan->doc_count++] = BRUNT_TAKE_PTR(loader->files[i].doc);
	return 0;
}

/* Is this a format that we read? Anything else said of a later one would be noise. */
static bool check_schema(struct brunt_loader *loader)
{
	bool right = true;

	for (size_t i = 0; i < loader->file_count; i++) {
		json_t *schema =
			loader->files[i].doc ? json_object_get(brunt_doc_root(loader->files[i].doc), "schema") : NULL;

		if (!json_is_integer(schema) || json_integer_value(schema) == BRUNT_PLAN_SCHEMA)
			continue;
		right = false;
		if (json_integer_value(schema) > BRUNT_PLAN_SCHEMA)
			brunt_doc_error(loader->files[i].doc, loader->diags, "/schema", false,
					"this brunt reads schema %d, the file has %" JSON_INTEGER_FORMAT
					"; a newer brunt is needed",
					BRUNT_PLAN_SCHEMA, json_integer_value(schema));
		else
			brunt_doc_error(loader->files[i].doc, loader->diags, "/schema", false,
					"there is no schema %" JSON_INTEGER_FORMAT "; write 1",
					json_integer_value(schema));
	}
	return right;
}

static int draw_seed(struct brunt_plan *plan)
{
	uint32_t seed;

	/* 32 bits: enough to be random, short enough to be typed again. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
		return -errno;
	plan->seed = seed;
	return 0;
}

/* What follows when the files are read. */
static int make_plan(struct brunt_loader *loader)
{
	size_t told;
	int r;

	if (!loader->files[0].doc || !check_schema(loader))
		return 0;
	r = brunt_plan_read_variables(loader);
	if (r == 0)
		r = brunt_plan_substitute(loader);
	told = loader->diags->count;
	if (r == 0)
		r = brunt_plan_decode(loader);
	if (r == 0)
		r = brunt_plan_link(loader);
	if (r == 0)
		r = brunt_plan_link_conditions(loader);
	if (r == 0)
		r = brunt_plan_link_steps(loader);
	brunt_plan_drop_blurred(loader, told);
	if (r == 0 && !loader->plan->has_seed)
		r = draw_seed(loader->plan);
	return r;
}

/* An error that there was room but no memory for: jansson, too, calls short memory a wrong text. */
static bool lost_any(const struct brunt_diags *diags)
{
	return diags->errors + diags->warnings > diags->count && diags->count < BRUNT_DIAGS_MAX;
}

static int finish(struct brunt_loader *loader, int r, size_t errors_before, struct brunt_plan **ret)
{
	if (r == 0)
		r = make_plan(loader);
	brunt_plan_redact_diags(loader);
	brunt_diags_sort(loader->diags);
	if (r == 0 && loader->diags->errors == errors_before)
		r = keep_documents(loader);
	else if (r == 0)
		r = lost_any(loader->diags) ? -ENOMEM : -EINVAL;
	if (r < 0)
		return r;
	*ret = BRUNT_TAKE_PTR(loader->plan);
	return 0;
}

int brunt_plan_load(const char *path, const struct brunt_plan_options *options, struct brunt_diags *diags,
		    struct brunt_plan **ret)
{
	BRUNT_CLEANUP(free_loader) struct brunt_loader *loader = NULL;
	size_t errors_before = diags->errors;
	int r;

	r = make_loader(options, diags, &loader);
	if (r < 0)
		return r;
	return finish(loader, brunt_plan_read_files(loader, path), errors_before, ret);
}

int brunt_plan_load_text(const char *text, size_t size, const char *name, const char *dir,
			 const struct brunt_plan_options *options, struct brunt_diags *diags, struct brunt_plan **ret)
{
	BRUNT_CLEANUP(free_loader) struct brunt_loader *loader = NULL;
	size_t errors_before = diags->errors;
	int r;

	r = make_loader(options, diags, &loader);
	if (r < 0)
		return r;
	loader->plan->path = brunt_arena_copy(loader->arena, name, strlen(name));
	loader->plan->dir = brunt_arena_copy(loader->arena, dir, strlen(dir));
	if (!loader->plan->path || !loader->plan->dir)
		return -ENOMEM;
	loader->file_count = 1;
	loader->files[0].dir = loader->plan->dir;
	r = brunt_doc_parse(text, size, name, diags, &loader->files[0].doc);
	if (r == 0)
		r = brunt_plan_read_includes(loader, 0, name, 1);
	return finish(loader, r == -EINVAL ? 0 : r, errors_before, ret);
}

void brunt_plan_free(struct brunt_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->doc_count; i++)
		brunt_doc_free(plan->docs[i]);
	brunt_arena_free(plan->arena);
	free(plan);
}
