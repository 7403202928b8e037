/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qdisc VERB...		brunt's way to the kernel's queues, for the tests that compare it with tc(8)'s
 *
 *   probe			0, or 1 with what the kernel says
 *   netem DEVICE JSON [S]	root netem with the parameters of network.netem in JSON, as they are S seconds after arming
 *   tbf DEVICE RATE [BURST [QUEUE]]	root token bucket: bytes per second, bytes, bytes
 *   read DEVICE		the counters of either, as JSON
 *   cost DEVICE COUNT [JSON]	nanoseconds that a change takes (median of COUNT), of netem with JSON, else of a token bucket
 */
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/diags.h"
#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "network/impairment.h"
#include "network/qdisc.h"

struct fault {
	struct brunt_netem_params netem;
};

static int validate(const void *object, struct brunt_error *err)
{
	return brunt_netem_validate(&((const struct fault *)object)->netem, err);
}

static const struct brunt_param rows[] = { BRUNT_NETEM_ROWS(struct fault, netem), { 0 } };
static const struct brunt_table table = { "netem", "a line", rows, sizeof(struct fault), validate };

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "qdisc: %s\n", what);
	exit(1);
}

static unsigned index_of(const char *name)
{
	unsigned index = if_nametoindex(name);

	/* One that is not there, for what is said then. */
	return index ?: (unsigned)atoi(name);
}

static struct brunt_impairment read_impairment(const char *text, double seconds)
{
	static struct brunt_netem_tables *tables;
	static struct fault fault;
	struct brunt_impairment impairment;
	struct brunt_arena *arena;
	struct brunt_diags diags = { 0 };
	struct brunt_error err = { 0 };
	struct brunt_doc *doc;

	if (brunt_arena_new(&arena) < 0 || brunt_doc_parse(text, strlen(text), "JSON", &diags, &doc) < 0)
		die(diags.count ? diags.items[0].message : "no memory");
	const struct brunt_scope scope = { arena, doc, &diags, "." };
	const struct brunt_part part = { &table, &fault };

	if (brunt_param_decode(&scope, brunt_doc_root(doc), "", &part, 1) < 0)
		die(diags.items[0].message);
	if (brunt_netem_tables_read(&fault.netem, &tables, &err) < 0)
		die(err.msg);
	brunt_impairment_at(&fault.netem, tables, (uint64_t)(seconds * 1e9), 42, 0, &impairment);
	return impairment;
}

static int tell(const char *device)
{
	struct brunt_qdisc_stats stats;
	int r = brunt_netem_read(index_of(device), &stats);

	if (r == -ENOENT)
		r = brunt_tbf_read(index_of(device), &stats);
	if (r)
		die(strerror(-r));
	printf("{ \"packets\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"drops\": %" PRIu64 ", \"overlimits\": %" PRIu64
	       ", \"backlog\": %u, \"backlog_bytes\": %u, \"told\": %s, \"lost\": %" PRIu64 ", \"marked\": %" PRIu64
	       ", \"delayed\": %" PRIu64 ", \"corrupted\": %" PRIu64 ", \"duplicated\": %" PRIu64
	       ", \"reordered\": %" PRIu64 " }\n",
	       stats.packets, stats.bytes, stats.drops, stats.overlimits, stats.backlog, stats.backlog_bytes,
	       stats.told ? "true" : "false", stats.lost, stats.marked, stats.delayed, stats.corrupted,
	       stats.duplicated, stats.reordered);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int cost(const char *device, int count, const char *json)
{
	double *times = calloc((size_t)count + 1, sizeof(*times));
	struct brunt_impairment impairment = json ? read_impairment(json, 0) : (struct brunt_impairment){ 0 };
	struct timespec begin, end;
	struct brunt_error err;

	if (!times)
		die("no memory");
	for (int i = 0; i <= count; i++) {
		int r;

		clock_gettime(CLOCK_MONOTONIC, &begin);
		r = json ? brunt_netem_set(index_of(device), &impairment, &err)
			 : brunt_tbf_set(index_of(device), 1000000 + (uint64_t)i, 0, 0, &err);
		clock_gettime(CLOCK_MONOTONIC, &end);
		if (r)
			die(err.msg);
		times[i] = (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
	}
	/* The first was a beginning. */
	qsort(times + 1, (size_t)count, sizeof(*times), by_value);
	printf("%.0f\n", times[1 + count / 2]);
	free(times);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct brunt_error err = { 0 };
	struct brunt_impairment impairment;
	int r = -1;

	if (!strcmp(verb, "probe")) {
		r = brunt_netem_probe(&err);
	} else if (!strcmp(verb, "netem") && argc >= 4) {
		impairment = read_impairment(argv[3], argc > 4 ? atof(argv[4]) : 0);
		r = brunt_netem_set(index_of(argv[2]), &impairment, &err);
	} else if (!strcmp(verb, "tbf") && argc >= 4) {
		r = brunt_tbf_set(index_of(argv[2]), strtoull(argv[3], NULL, 10),
				  argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0,
				  argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : 0, &err);
	} else if (!strcmp(verb, "read") && argc == 3) {
		return tell(argv[2]);
	} else if (!strcmp(verb, "cost") && argc >= 4) {
		return cost(argv[2], atoi(argv[3]), argc > 4 ? argv[4] : NULL);
	} else {
		die("see the head of tests/tools/qdisc.c");
	}
	if (r)
		die(err.msg);
	return 0;
}
