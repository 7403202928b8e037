/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan's text: scanner, jansson, places, and the decoding of every type.
 * The scanner and jansson must agree about what is JSON.
 */
#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/param.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct part {
	const char *name;
	struct brunt_place place;
	struct part *inner;
	struct brunt_list list;
};

static const struct brunt_table part_table;

static const struct brunt_param part_params[] = {
	BRUNT_KEY(struct part, name),
	BRUNT_PLACE(struct part, place),
	BRUNT_OBJECT(struct part, inner, struct part, &part_table),
	BRUNT_OBJECTS(struct part, list, &part_table),
	{ 0 },
};

static const struct brunt_table part_table = { "part", NULL, part_params, sizeof(struct part), NULL };

struct all {
	bool flag;
	uint64_t count;
	double number;
	uint64_t delay;
	double loss;
	uint64_t memory;
	struct brunt_quantity bound;
	const char *text, *id, *file, *match;
	int direction, error, signal;
	struct brunt_pick pick;
	struct brunt_endpoint peer;
	struct brunt_list to, run, map, env;
};

static const struct brunt_value directions[] = { { "ingress", 1, "" }, { "egress", 2, "" }, { 0 } };

static const struct brunt_param all_params[] = {
	BRUNT_BOOL(struct all, flag),
	BRUNT_UINT(struct all, count, .max = 10),
	BRUNT_NUMBER(struct all, number),
	BRUNT_DURATION(struct all, delay, .max = 60e9, .def = "200ms"),
	BRUNT_RATIO(struct all, loss),
	BRUNT_SIZE(struct all, memory),
	BRUNT_QUANTITY(struct all, bound),
	BRUNT_STRING(struct all, text),
	BRUNT_NAME(struct all, id),
	BRUNT_PATH(struct all, file),
	BRUNT_REGEX(struct all, match),
	BRUNT_ENUM(struct all, direction, .values = directions),
	BRUNT_ERRNO(struct all, error),
	BRUNT_SIGNAL(struct all, signal),
	BRUNT_PICK(struct all, pick),
	BRUNT_ENDPOINT(struct all, peer),
	BRUNT_LIST_OF(struct all, to, BRUNT_T_ENDPOINT),
	BRUNT_LIST_OF(struct all, run, BRUNT_T_STRING),
	BRUNT_OBJECT_MAP(struct all, map, &part_table),
	BRUNT_PAIR_LIST(struct all, env),
	{ 0 },
};

static const struct brunt_table all_table = { "all", NULL, all_params, sizeof(struct all), NULL };

static void decode(struct brunt_doc *doc, struct brunt_diags *diags)
{
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;
	struct all all = { 0 };
	const struct brunt_part part = { &all_table, &all };
	char buf[300];

	if (brunt_arena_new(&arena) < 0)
		return;
	const struct brunt_scope scope = { arena, doc, diags, "/plans" };

	(void)brunt_param_decode(&scope, brunt_doc_root(doc), "", &part, 1);
	for (const struct brunt_param *param = all_params; param->type != BRUNT_T_END; param++)
		(void)brunt_param_print(param, &all, buf, sizeof(buf));
}

/* jansson overlooks a NUL byte behind a number. */
static bool is_limit(const char *message)
{
	return strstr(message, "nested deeper") || strstr(message, "the number is too") ||
	       strstr(message, "a NUL byte");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BRUNT_CLEANUP(brunt_diags_done) struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = NULL;
	json_t *tree = json_loadb((const char *)data, size, 0, NULL);
	BRUNT_AUTO_FREE char *text = NULL;
	size_t text_size;
	FILE *out;
	int r;

	r = brunt_doc_parse((const char *)data, size, "fuzz.json", &diags, &doc);
	/* What the scanner lets pass jansson takes; a failure is always told. */
	if (r == 0 && !tree)
		abort();
	if (r < 0 && (doc || diags.errors == 0))
		abort();
	/* What jansson takes the scanner takes, up to its own limits. */
	if (r < 0 && json_is_object(tree) && !is_limit(diags.items[0].message))
		abort();
	json_decref(tree);
	if (r == 0)
		decode(doc, &diags);
	brunt_diags_sort(&diags);
	out = open_memstream(&text, &text_size);
	if (out) {
		brunt_diags_print(&diags, out);
		(void)fclose(out);
	}
	brunt_doc_free(doc);
	return 0;
}
