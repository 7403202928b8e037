/* SPDX-License-Identifier: Apache-2.0 */
/* brunt inject --on: writes the experiment that was meant, and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/plan.h"
#include "brunt/units.h"
#include "cli/cli.h"
#include "cli/inject.h"

static const struct {
	const char *kind, *key;
	bool of_process, number;
} kinds[] = {
	{ "process", "name", true, false },
	{ "pid", "pid", true, true },
	{ "exe", "exe", true, false },
	{ "port", "port", true, true },
	{ "user", "user", true, false },
	{ "unit", "unit", false, false },
	{ "cgroup", "cgroup", false, false },
	{ "container", "container", false, false },
	{ "interface", "interface", false, false },
};

/* "process=redis-server" into { "process": { "name": "redis-server" } }. */
static int add_selector(json_t *target, const char *on)
{
	const char *value = strchr(on, '=') + 1;
	size_t size = (size_t)(value - on) - 1;

	for (size_t i = 0; i < BRUNT_COUNT(kinds); i++) {
		json_t *into = target, *what;

		if (strlen(kinds[i].kind) != size || strncmp(kinds[i].kind, on, size))
			continue;
		if (kinds[i].of_process) {
			into = json_object_get(target, "process");
			if (!into) {
				into = json_object();
				if (json_object_set_new(target, "process", into))
					return -1;
			}
		}
		what = kinds[i].number && strspn(value, "0123456789") == strlen(value) && *value
			       ? json_integer(strtoll(value, NULL, 10))
			       : json_string(value);
		return json_object_set_new(into, kinds[i].key, what);
	}
	return -1;
}

static json_t *make_target(const struct brunt_inject *inject)
{
	json_t *target = json_object();

	for (size_t i = 0; i < inject->on_count; i++)
		if (add_selector(target, inject->on[i])) {
			fprintf(stderr,
				"brunt inject: '%s': there are process, pid, exe, port, user, unit, cgroup, "
				"container and interface\n",
				inject->on[i]);
			json_decref(target);
			return NULL;
		}
	if (inject->pick) {
		bool number = strspn(inject->pick, "0123456789") == strlen(inject->pick);

		(void)json_object_set_new(target, "pick",
					  number ? json_integer(strtoll(inject->pick, NULL, 10))
						 : json_string(inject->pick));
	}
	return target;
}

static json_t *make_step(const struct brunt_inject *inject)
{
	json_t *step = json_pack("{s:s, s:s, s:s}", "name", "inject", "fault", inject->injector->name, "on", "target");
	char hold[32];

	(void)snprintf(hold, sizeof(hold), "%lluns", (unsigned long long)(inject->hold ?: 30 * BRUNT_S));
	if (step && !inject->injector->instant)
		(void)json_object_set_new(step, "hold", json_string(hold));
	if (step)
		(void)json_object_update_missing(step, inject->params);
	return step;
}

static json_t *make_plan(const struct brunt_inject *inject)
{
	json_t *target = make_target(inject), *step = target ? make_step(inject) : NULL;
	long long victims = inject->victims ? strtoll(inject->victims, NULL, 10) : 1;
	uint64_t hold = inject->hold ?: 30 * BRUNT_S;
	json_t *plan;
	char duration[32];

	if (!target)
		return NULL;
	(void)snprintf(duration, sizeof(duration), "%lluns",
		       (unsigned long long)hold + 60 * (unsigned long long)BRUNT_S);
	plan = json_pack("{s:i, s:s, s:{s:o}, s:{s:I, s:s}, s:[o]}", "schema", 1, "name", "inject", "targets", "target",
			 target, "blast_radius", "victims", (json_int_t)victims, "duration", duration, "method", step);
	/* what is judged by hand: is the target still there? Of one that was killed, nothing. */
	if (plan && !inject->injector->instant)
		(void)json_array_append_new(json_object_get(plan, "method"),
					    json_pack("{s:s, s:{s:s, s:i}, s:s}", "name", "lives", "expect", "target",
						      "target", "alive", 1, "within", "10s"));
	return plan;
}

/* What is wrong with it is said in the words of the command line. */
static void tell(const struct brunt_diags *diags)
{
	for (size_t i = 0; i < diags->count; i++) {
		const char *key = diags->items[i].pointer ? strrchr(diags->items[i].pointer, '/') : NULL;

		if (diags->items[i].warning)
			continue;
		fprintf(stderr, "brunt inject: %s%s%s\n", key && strcmp(key, "/0") ? key + 1 : "",
			key && strcmp(key, "/0") ? ": " : "", diags->items[i].message);
	}
}

/* As if `brunt run` had been called: the same checks, the same end. */
static int run(const struct brunt_inject *inject, const char *path)
{
	char seed[24], *argv[16] = { "run" };
	int argc = 1;

	(void)snprintf(seed, sizeof(seed), "%llu", (unsigned long long)inject->seed);
	if (inject->dry_run)
		argv[argc++] = "--dry-run";
	if (inject->plain)
		argv[argc++] = "--plain";
	if (inject->has_seed) {
		argv[argc++] = "--seed";
		argv[argc++] = seed;
	}
	if (inject->result) {
		argv[argc++] = "--result";
		argv[argc++] = (char *)(uintptr_t)inject->result;
	}
	if (inject->output) {
		argv[argc++] = "--output";
		argv[argc++] = (char *)(uintptr_t)inject->output;
	}
	argv[argc++] = (char *)(uintptr_t)path;
	return brunt_cmd_run(argc, argv);
}

int brunt_inject_plan(const struct brunt_inject *inject)
{
	char path[] = "/tmp/brunt-inject-XXXXXX";
	struct brunt_diags diags = { 0 };
	struct brunt_plan *plan = NULL;
	json_t *document = make_plan(inject);
	BRUNT_AUTO_FREE char *text = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
	BRUNT_AUTO_CLOSE int fd = -1;
	int status = 2;

	json_decref(document);
	if (!text)
		return 2;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		fprintf(stderr, "brunt inject: cannot write '%s': %s\n", path, strerror(errno));
		return 5;
	}
	if (brunt_plan_load(path, NULL, &diags, &plan))
		tell(&diags);
	else
		status = run(inject, path);
	(void)unlink(path);
	brunt_diags_done(&diags);
	brunt_plan_free(plan);
	return status;
}
