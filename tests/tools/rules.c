/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules INTERFACE COUNT ROUNDS		how long brunt takes to apply packet.drop to COUNT addresses, and to revert it
 *
 * One direction, as the rules of tc in the benchmark. A line of JSON: medians in microseconds. load: programs and
 * addresses into the kernel (before a method begins); apply: attach and arm; revert: disarm, read back, detach.
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diags.h"
#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/target.h"
#include "brunt/units.h"

#define COUNT_MAX  1000
#define ROUNDS_MAX 1000

static struct brunt_error err;

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "rules: %s\n", what);
	exit(1);
}

static void check(int r)
{
	if (r)
		die(err.msg[0] ? err.msg : strerror(-r));
}

static void *read_params(const struct brunt_injector *injector, int count)
{
	static char text[32 * COUNT_MAX];
	struct brunt_diags diags = { 0 };
	struct brunt_arena *arena;
	struct brunt_doc *doc;
	size_t used = 0;
	void *params;

	used += (size_t)snprintf(text, sizeof(text), "{\"to\":[");
	for (int i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\"10.77.%d.%d\"", i ? "," : "", i / 250,
					 i % 250 + 1);
	(void)snprintf(text + used, sizeof(text) - used, "],\"direction\":\"egress\"}");
	if (brunt_arena_new(&arena) || brunt_doc_parse(text, strlen(text), "rules", &diags, &doc))
		die(diags.count ? diags.items[0].message : "no memory");
	params = brunt_arena_get(arena, injector->table->size);
	const struct brunt_scope scope = { arena, doc, &diags, "." };
	const struct brunt_part part = { injector->table, params };

	if (!params || brunt_param_decode(&scope, brunt_doc_root(doc), "", &part, 1))
		die(diags.count ? diags.items[0].message : "no memory");
	return params;
}

static int compare(const void *one, const void *other)
{
	const double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	return values[count / 2];
}

int main(int argc, char **argv)
{
	static double load[ROUNDS_MAX], apply[ROUNDS_MAX], revert[ROUNDS_MAX];
	const struct brunt_injector *injector = brunt_injector_find("packet.drop");
	const struct brunt_fault_context context = { .run = "be7cbe7c", .seed = 1, .lease_ns = BRUNT_S };
	struct brunt_item item = { .kind = BRUNT_TARGET_INTERFACE, .picked = true };
	const struct brunt_victims victims = { .items = &item, .matched = 1, .picked = 1, .share = 1 };
	struct brunt_fault fault = { .injector = injector, .name = "rules" };
	struct brunt_undo_record undo;
	int count, rounds;

	if (argc != 4)
		die("rules INTERFACE COUNT ROUNDS");
	count = atoi(argv[2]);
	rounds = atoi(argv[3]);
	item.interface_index = if_nametoindex(argv[1]);
	(void)snprintf(item.name, sizeof(item.name), "%s", argv[1]);
	if (!item.interface_index || count < 1 || count > COUNT_MAX || rounds < 1 || rounds > ROUNDS_MAX)
		die("no such interface, or too many");
	fault.params = read_params(injector, count);
	for (int i = 0; i < rounds; i++) {
		uint64_t times[4];
		void *state;

		times[0] = brunt_now();
		check(injector->load(&fault, &context, &state, &err));
		check(injector->prepare(state, &victims, &undo, &err));
		times[1] = brunt_now();
		check(injector->attach(state, &err));
		check(injector->arm(state, brunt_now() + BRUNT_S, &err));
		times[2] = brunt_now();
		injector->disarm(state);
		check(injector->verify(state, &err));
		injector->detach(state);
		times[3] = brunt_now();
		injector->unload(state);
		load[i] = (double)(times[1] - times[0]) / 1e3;
		apply[i] = (double)(times[2] - times[1]) / 1e3;
		revert[i] = (double)(times[3] - times[2]) / 1e3;
	}
	printf("{\"load_us\":%.0f,\"apply_us\":%.0f,\"revert_us\":%.0f}\n", median(load, rounds), median(apply, rounds),
	       median(revert, rounds));
	return 0;
}
