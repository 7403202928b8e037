/* SPDX-License-Identifier: Apache-2.0 */
/* The set of held faults against a scripted injector: every operation fails at every position. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/ledger.h"
#include "brunt/memory.h"
#include "brunt/role.h"
#include "brunt/plan.h"
#include "brunt/units.h"
#include "hold/held.h"
#include "hold/ledger.h"
#include "hold/remove.h"

#define STEPS 4

/* ---- the scripted injector ---- */

enum op { PROBE, LOAD, PREPARE, ATTACH, ARM, POLL, DISARM, VERIFY, DETACH, UNLOAD, OPS };

static struct {
	int fail_op;	/* enum op, or -1 */
	int fail_step;	/* at that step; -1: at any */
	int fail_count; /* so often; -1: always */
	int fail_code;	/* with this; 0: -EIO */
	bool half;	/* a failing attach or arm has had its effect all the same */
	bool gone, detached, lapsed;
	int silent_role;
	bool attached[STEPS], in_effect[STEPS];
	unsigned loaded;
	unsigned attaches[STEPS], detaches[STEPS];
	struct {
		enum op op;
		uint32_t step;
	} trace[256];
	size_t count;
} script;

static int play(enum op op, uint32_t step)
{
	if (script.count < BRUNT_COUNT(script.trace)) {
		script.trace[script.count].op = op;
		script.trace[script.count++].step = step;
	}
	if (script.fail_op != (int)op || (script.fail_step >= 0 && script.fail_step != (int)step) || !script.fail_count)
		return 0;
	if (script.fail_count > 0)
		script.fail_count--;
	return script.fail_code ?: -EIO;
}

struct state {
	uint32_t step;
	const struct brunt_victims *victims;
};

static int fake_probe(struct brunt_error *err)
{
	return play(PROBE, 0) ? brunt_fail(err, ENOTSUP, "this kernel has no fakes") : 0;
}

static int fake_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret,
		     struct brunt_error *err)
{
	struct state *state;

	(void)context;
	if (play(LOAD, fault->step))
		return brunt_fail(err, EIO, "load failed");
	state = calloc(1, sizeof(*state));
	if (!state)
		return brunt_fail(err, ENOMEM, "out of memory");
	state->step = fault->step;
	script.loaded++;
	*ret = state;
	return 0;
}

static int fake_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *undo,
			struct brunt_error *err)
{
	struct state *state = opaque;
	int r = play(PREPARE, state->step);

	state->victims = victims;
	undo->version = 1;
	return r ? brunt_fail(err, -r, "prepare failed") : 0;
}

static int fake_attach(void *opaque, struct brunt_error *err)
{
	struct state *state = opaque;
	int r = play(ATTACH, state->step);

	script.attaches[state->step]++;
	if (!r || script.half)
		script.attached[state->step] = true;
	return r ? brunt_fail(err, EIO, "attach failed") : 0;
}

static int fake_arm(void *opaque, uint64_t expires, struct brunt_error *err)
{
	struct state *state = opaque;
	int r = play(ARM, state->step);

	assert_true(expires > 0);
	if (!r || script.half)
		script.in_effect[state->step] = true;
	return r ? brunt_fail(err, EIO, "arm failed") : 0;
}

static int fake_poll(void *opaque, struct brunt_hits *ret)
{
	struct state *state = opaque;

	ret->hit = state->step + 7;
	ret->target_gone = script.gone;
	ret->detached = script.detached;
	ret->silent_role = script.silent_role;
	ret->lapsed = script.lapsed;
	return play(POLL, state->step);
}

static void fake_disarm(void *opaque)
{
	struct state *state = opaque;

	if (!play(DISARM, state->step))
		script.in_effect[state->step] = false;
}

static int fake_verify(void *opaque, struct brunt_error *err)
{
	struct state *state = opaque;

	if (play(VERIFY, state->step) || script.in_effect[state->step])
		return brunt_fail(err, EBUSY, "still in effect");
	return 0;
}

static void fake_detach(void *opaque)
{
	struct state *state = opaque;

	/* who it is about must still be there */
	assert_true(!state->victims || state->victims->matched);
	script.detaches[state->step]++;
	if (!play(DETACH, state->step))
		script.attached[state->step] = false;
}

static void fake_unload(void *opaque)
{
	if (!opaque)
		return;
	script.loaded--;
	free(opaque);
}

static const struct brunt_injector fake = {
	.name = "test.fake",
	.undo = BRUNT_UNDO_KERNEL,
	.wants = BRUNT_WANT_PROCESSES,
	.probe = fake_probe,
	.load = fake_load,
	.prepare = fake_prepare,
	.attach = fake_attach,
	.arm = fake_arm,
	.poll = fake_poll,
	.disarm = fake_disarm,
	.verify = fake_verify,
	.detach = fake_detach,
	.unload = fake_unload,
};

/* -EAGAIN so often, then the last word. */
static struct {
	int again, last;
	unsigned calls;
} settling;

static int fake_settled(void *opaque, struct brunt_error *err)
{
	(void)opaque;
	settling.calls++;
	if (settling.again-- > 0)
		return -EAGAIN;
	return settling.last ? brunt_fail(err, EBUSY, "it stays") : 0;
}

static const struct brunt_injector fake_slow = {
	.name = "test.slow",
	.undo = BRUNT_UNDO_KERNEL,
	.wants = BRUNT_WANT_PROCESSES,
	.load = fake_load,
	.prepare = fake_prepare,
	.attach = fake_attach,
	.arm = fake_arm,
	.poll = fake_poll,
	.disarm = fake_disarm,
	.verify = fake_verify,
	.detach = fake_detach,
	.settled = fake_settled,
	.unload = fake_unload,
};

static const struct brunt_injector fake_event = {
	.name = "test.event",
	.undo = BRUNT_UNDO_EVENT,
	.instant = true,
	.wants = BRUNT_WANT_PROCESSES,
	.load = fake_load,
	.prepare = fake_prepare,
	.arm = fake_arm,
	.poll = fake_poll,
	.unload = fake_unload,
};

/* ---- scripted targets: their items are numbers ---- */

static struct {
	int code;
	pid_t pid;	/* of the one item that is found */
	size_t matched; /* things that match; one is picked */
	unsigned calls;
	uint64_t round;
} finder;

int __wrap_brunt_target_resolve(const struct brunt_target *target, unsigned wants,
				const struct brunt_resolve_context *context,
				const struct brunt_victims *follow_previous, struct brunt_victims **ret,
				struct brunt_error *err);
int __wrap_brunt_target_resolve(const struct brunt_target *target, unsigned wants,
				const struct brunt_resolve_context *context,
				const struct brunt_victims *follow_previous, struct brunt_victims **ret,
				struct brunt_error *err)
{
	struct brunt_victims *victims;

	(void)wants;
	(void)follow_previous;
	finder.calls++;
	finder.round = context->round;
	if (finder.code)
		return brunt_fail(err, -finder.code, "scripted");
	victims = calloc(1, sizeof(*victims));
	if (!victims)
		return brunt_fail(err, ENOMEM, "out of memory");
	victims->matched = finder.matched ? finder.matched : 1;
	victims->items = calloc(victims->matched, sizeof(*victims->items));
	if (!victims->items) {
		free(victims);
		return brunt_fail(err, ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < victims->matched; i++) {
		struct brunt_item *item = &victims->items[i];

		item->kind = target->kind;
		item->process = (struct brunt_process){ .pid = finder.pid + (pid_t)i, .start = 1, .pidfd = -1 };
		snprintf(item->name, sizeof(item->name), "%s %zu", target->name, i);
		item->picked = !i;
	}
	victims->picked = 1;
	victims->share = 1.0 / (double)victims->matched;
	*ret = victims;
	return 0;
}

void __wrap_brunt_victims_free(struct brunt_victims *victims);
void __wrap_brunt_victims_free(struct brunt_victims *victims)
{
	if (!victims)
		return;
	free(victims->items);
	free(victims);
}

/* ---- memory that runs out ---- */

static int allocations_left = -1; /* -1: as many as one likes */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	if (!allocations_left)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return __real_calloc(count, size);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	if (!allocations_left)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return __real_malloc(size);
}

void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	if (!allocations_left)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return __real_reallocarray(old, count, size);
}

/* ---- a plan by hand ---- */

static struct brunt_target targets[2];
static struct brunt_step steps[STEPS];
static struct brunt_step *step_list[STEPS];
static struct brunt_plan plan;
static struct brunt_resolve_context resolve_context;
static const struct brunt_fault_context fault_context = { .run = "0000abcd" };
static struct brunt_ledger *ledger;
static struct brunt_held *held;
static struct brunt_report reports[64];
static size_t report_count;
static char folder[64];

static void take_report(void *user, const struct brunt_report *report)
{
	(void)user;
	if (report_count < BRUNT_COUNT(reports))
		reports[report_count++] = *report;
}

static const struct brunt_report *find_report(enum brunt_report_kind kind, uint32_t index)
{
	for (size_t i = report_count; i-- > 0;)
		if (reports[i].kind == (uint32_t)kind && reports[i].index == index)
			return &reports[i];
	return NULL;
}

static void make_plan(const struct brunt_injector *injector)
{
	memset(&script, 0, sizeof(script));
	script.fail_op = script.fail_step = script.fail_count = -1;
	memset(&finder, 0, sizeof(finder));
	finder.pid = 1000;
	report_count = 0;
	memset(targets, 0, sizeof(targets));
	memset(steps, 0, sizeof(steps));
	memset(&resolve_context, 0, sizeof(resolve_context));
	memset(&plan, 0, sizeof(plan));
	targets[0].name = "first";
	targets[1].name = "second";
	targets[0].kind = targets[1].kind = BRUNT_TARGET_UNIT;
	for (uint32_t i = 0; i < STEPS; i++) {
		static const char *const names[STEPS] = { "a", "b", "c", "d" };

		step_list[i] = &steps[i];
		steps[i].name = names[i];
		steps[i].index = i;
		steps[i].kind = BRUNT_STEP_FAULT;
		steps[i].target = &targets[i % 2];
		steps[i].fault = (struct brunt_fault){ .injector = injector, .step = i, .name = names[i] };
	}
	plan.steps = step_list;
	plan.step_count = STEPS;
	plan.targets = (struct brunt_list){ targets, 2 };
	plan.blast_radius = (struct brunt_blast_radius){ .victims = 100, .share = 1 };
}

static void make_held(void)
{
	struct brunt_ledger_head head = { .step_count = STEPS, .run = "0000abcd" };
	struct brunt_error err = { 0 };

	strcpy(folder, "/tmp/brunt-held-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(ledger_boot_id(head.boot, sizeof(head.boot)), 0);
	assert_int_equal(brunt_ledger_create(folder, &head, &ledger, &err), 0);
	assert_int_equal(
		brunt_held_new(&plan, &fault_context, &resolve_context, ledger, take_report, NULL, &held, &err), 0);
}

/* What the ledger says of the host: faults that are not undone. */
static size_t open_in_ledger(void)
{
	struct brunt_ledger_view view;
	char path[128];
	size_t count = 0;

	assert_int_equal(ledger_path(path, sizeof(path), folder, "0000abcd"), 0);
	assert_int_equal(brunt_ledger_read(path, &view, NULL), 0);
	for (size_t i = 0; i < view.fault_count; i++)
		count += !view.faults[i].undone;
	brunt_ledger_view_done(&view);
	return count;
}

static void drop_held(void)
{
	brunt_held_free(held);
	held = NULL;
	assert_int_equal(script.loaded, 0);
	brunt_ledger_close(ledger, false);
	ledger = NULL;
	assert_int_equal(remove_folder(folder, "brunt-held", NULL), 0);
}

static void assert_nothing_left(void)
{
	for (int i = 0; i < STEPS; i++) {
		assert_false(script.in_effect[i]);
		assert_false(script.attached[i]);
		assert_int_equal(script.attaches[i], script.detaches[i]);
	}
	assert_int_equal(brunt_held_count(held), 0);
	assert_int_equal(open_in_ledger(), 0);
}

/* Positions in the trace of an operation's steps, as a string: "cba". */
static const char *order_of(enum op op, size_t from)
{
	static char text[64];
	size_t used = 0;

	for (size_t i = from; i < script.count && used + 1 < sizeof(text); i++)
		if (script.trace[i].op == op)
			text[used++] = (char)('a' + script.trace[i].step);
	text[used] = '\0';
	return text;
}

static size_t last_of(enum op op, size_t from)
{
	size_t last = from;

	for (size_t i = from; i < script.count; i++)
		if (script.trace[i].op == op)
			last = i;
	return last;
}

static size_t first_of(enum op op, size_t from)
{
	for (size_t i = from; i < script.count; i++)
		if (script.trace[i].op == op)
			return i;
	return script.count;
}

/* ---- the tests ---- */

static void all_are_disarmed_then_verified_then_detached_in_reverse_order(void **state)
{
	struct brunt_error err = { 0 };
	size_t from;

	(void)state;
	make_plan(&fake);
	make_held();
	assert_int_equal(brunt_held_prepare(held, &err), 0);
	for (uint32_t i = 0; i < STEPS; i++)
		assert_int_equal(brunt_held_apply(held, i, 1, &err), 0);
	assert_int_equal(brunt_held_count(held), STEPS);
	assert_int_equal(open_in_ledger(), STEPS);
	from = script.count;
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	assert_string_equal(order_of(DISARM, from), "dcba");
	assert_string_equal(order_of(VERIFY, from), "dcba");
	assert_string_equal(order_of(POLL, from), "dcba");
	assert_string_equal(order_of(DETACH, from), "dcba");
	assert_true(last_of(DISARM, from) < first_of(VERIFY, from));
	assert_true(last_of(VERIFY, from) < first_of(DETACH, from));
	assert_nothing_left();
	assert_int_equal(find_report(BRUNT_REPORT_REVERTED, 2)->hits.hit, 9);
	/* once more is no harm */
	from = script.count;
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	assert_int_equal(script.count, from);
	drop_held();
}

/* Applies all until one fails; then everything is reverted. */
static void run_with_failure(int op, int step, bool half)
{
	struct brunt_error err = { 0 };
	int r, applied = 0;
	size_t from;

	make_plan(&fake);
	script.fail_op = op;
	script.fail_step = op == PROBE ? -1 : step;
	script.half = half;
	make_held();
	r = brunt_held_prepare(held, &err);
	if (op == PROBE || op == LOAD) {
		assert_true(r == -ENOTSUP || r == -EIO);
		assert_int_equal(script.attaches[0], 0);
		drop_held();
		return;
	}
	assert_int_equal(r, 0);
	for (uint32_t i = 0; i < STEPS && !r; i++) {
		r = brunt_held_apply(held, i, 1, &err);
		applied += !r;
	}
	assert_int_equal(r, -EIO);
	assert_int_equal(applied, step);
	assert_int_equal(find_report(BRUNT_REPORT_APPLIED, (uint32_t)step)->code, -EIO);
	/* the half-done one is undone already, those before it are still held */
	assert_false(script.in_effect[step]);
	assert_false(script.attached[step]);
	assert_int_equal(brunt_held_count(held), step);
	for (int i = 0; i < step; i++)
		assert_true(script.in_effect[i]);
	from = script.count;
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	assert_string_equal(order_of(DETACH, from), &"dcba"[STEPS - step]);
	assert_nothing_left();
	drop_held();
}

static void whatever_fails_every_change_is_undone_once_in_reverse_order(void **state)
{
	static const int ops[] = { PROBE, LOAD, PREPARE, ATTACH, ARM };

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(ops); i++)
		for (int step = 0; step < STEPS; step++)
			for (int half = 0; half < 2; half++)
				run_with_failure(ops[i], step, half);
}

static void what_verifies_late_is_clean(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	for (int times = 1; times <= 4; times++) {
		make_plan(&fake);
		make_held();
		assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
		script.fail_op = times % 2 ? VERIFY : DISARM;
		script.fail_count = times;
		assert_int_equal(brunt_held_revert_all(held, &err), 0);
		assert_nothing_left();
		drop_held();
	}
}

static void what_cannot_be_disarmed_is_residue_and_the_others_are_undone(void **state)
{
	struct brunt_error err = { 0 };
	uint64_t before;

	(void)state;
	for (int bad = 0; bad < 3; bad++) {
		make_plan(&fake);
		make_held();
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(brunt_held_apply(held, i, 1, &err), 0);
		script.fail_op = DISARM;
		script.fail_step = bad;
		before = brunt_now();
		assert_int_equal(brunt_held_revert_all(held, &err), -EBUSY);
		assert_true(brunt_now() - before < 20 * BRUNT_S); /* bounded */
		for (int i = 0; i < 3; i++)
			assert_int_equal(script.in_effect[i], i == bad);
		assert_int_equal(brunt_held_count(held), 1);
		assert_int_equal(open_in_ledger(), 1);
		assert_int_equal(find_report(BRUNT_REPORT_REVERTED, (uint32_t)bad)->code, -EBUSY);
		assert_string_equal(find_report(BRUNT_REPORT_REVERTED, (uint32_t)bad)->text, "still in effect");
		assert_int_equal(find_report(BRUNT_REPORT_REVERTED, (uint32_t)((bad + 1) % 3))->code, 0);
		/* tried again, it goes */
		script.fail_op = -1;
		assert_int_equal(brunt_held_revert_all(held, &err), 0);
		assert_int_equal(open_in_ledger(), 0);
		assert_int_equal(brunt_held_count(held), 0);
		drop_held();
	}
}

static void faults_are_reverted_one_by_one_in_any_order(void **state)
{
	static const uint32_t order[] = { 1, 3, 0, 2 };
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	make_held();
	for (uint32_t i = 0; i < STEPS; i++)
		assert_int_equal(brunt_held_apply(held, i, 1, &err), 0);
	for (size_t i = 0; i < STEPS; i++) {
		size_t from = script.count;

		assert_int_equal(brunt_held_revert(held, order[i], &err), 0);
		assert_int_equal(script.trace[from].op, DISARM);
		assert_int_equal(strlen(order_of(VERIFY, from)), 1);
		assert_true(first_of(VERIFY, from) < first_of(DETACH, from));
		assert_int_equal(brunt_held_count(held), STEPS - 1 - i);
		assert_int_equal(find_report(BRUNT_REPORT_REVERTED, order[i])->code, 0);
	}
	assert_nothing_left();
	/* and may be applied again */
	assert_int_equal(brunt_held_apply(held, 3, 1, &err), 0);
	assert_int_equal(brunt_held_apply(held, 3, 1, &err), -EALREADY);
	assert_int_equal(brunt_held_revert(held, 3, &err), 0);
	assert_int_equal(brunt_held_revert(held, 3, &err), 0);
	assert_int_equal(brunt_held_revert(held, 99, &err), -EINVAL);
	assert_int_equal(brunt_held_apply(held, 99, 1, &err), -EINVAL);
	assert_nothing_left();
	drop_held();
}

static void memory_that_runs_out_leaves_nothing_behind(void **state)
{
	bool done = false;

	(void)state;
	for (int n = 0; n < 60 && !done; n++) {
		struct brunt_error err = { 0 };
		int r;

		make_plan(&fake);
		for (size_t i = 0; i < 2; i++)
			targets[i].resolve = BRUNT_RESOLVE_EACH;
		make_held();
		assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
		allocations_left = n;
		r = brunt_held_prepare(held, &err);
		if (!r)
			r = brunt_held_apply(held, 1, 1, &err);
		done = !r && allocations_left > 0;
		/* the way back must do without */
		allocations_left = 0;
		assert_true(r == 0 || r == -ENOMEM);
		assert_int_equal(brunt_held_revert_all(held, &err), 0);
		allocations_left = -1;
		assert_nothing_left();
		drop_held();
	}
	assert_true(done);
}

static void a_start_target_is_resolved_once_and_shared(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	make_held();
	assert_int_equal(brunt_held_prepare(held, &err), 0);
	assert_int_equal(finder.calls, 2);
	finder.pid = 5000; /* who is there later does not matter */
	for (uint32_t i = 0; i < STEPS; i++)
		assert_int_equal(brunt_held_apply(held, i, 1, &err), 0);
	assert_int_equal(finder.calls, 2);
	assert_non_null(find_report(BRUNT_REPORT_RESOLVED, 1));
	assert_int_equal(find_report(BRUNT_REPORT_ITEM, 1)->flags, BRUNT_REPORT_PICKED);
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	drop_held();
}

static void an_each_target_is_resolved_at_every_apply(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake_event);
	targets[0].resolve = BRUNT_RESOLVE_EACH;
	targets[0].kind = BRUNT_TARGET_PROCESS;
	plan.blast_radius.victims = 2;
	make_held();
	assert_int_equal(brunt_held_prepare(held, &err), 0);
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
	assert_int_equal(finder.round, 0);
	finder.pid = 2000;
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
	assert_int_equal(finder.round, 1);
	assert_int_equal(find_report(BRUNT_REPORT_APPLIED, 0)->victims, 2);
	/* a third one is more than the blast radius allows; the same again is not */
	finder.pid = 3000;
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), -EDQUOT);
	assert_non_null(strstr(err.msg, "blast_radius.victims"));
	finder.pid = 2000;
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
	assert_int_equal(open_in_ledger(), 0);
	drop_held();
}

static void the_share_is_judged_at_each_step(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	plan.blast_radius.share = 0.5;
	make_held();
	assert_int_equal(brunt_held_prepare(held, &err), -EDQUOT);
	assert_non_null(strstr(err.msg, "blast_radius.share"));
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), -EDQUOT);
	assert_int_equal(script.attaches[0], 0);
	drop_held();
	make_plan(&fake);
	plan.blast_radius.share = 0.5;
	finder.matched = 2;
	make_held();
	assert_int_equal(brunt_held_prepare(held, &err), 0);
	drop_held();
}

static void all_targets_together_must_fit_before_anything_is_touched(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	plan.blast_radius.victims = 1;
	make_held();
	assert_int_equal(brunt_held_prepare(held, &err), -EDQUOT);
	drop_held();
}

static void a_missing_target_may_still_come_when_there_are_services(void **state)
{
	static struct brunt_service service = { .name = "s" };
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	finder.code = -ESRCH;
	make_held();
	assert_int_equal(brunt_held_prepare(held, &err), -ESRCH);
	drop_held();
	make_plan(&fake);
	finder.code = -ESRCH;
	plan.services = (struct brunt_list){ &service, 1 };
	make_held();
	assert_int_equal(brunt_held_prepare(held, &err), 0);
	finder.code = 0;
	assert_int_equal(brunt_held_resolve(held, 0, &err), 0);
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	drop_held();
}

static void a_lost_link_is_told_once(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	make_held();
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
	brunt_held_poll(held);
	assert_null(find_report(BRUNT_REPORT_LOST, 0));
	script.detached = true;
	brunt_held_poll(held);
	assert_int_equal(find_report(BRUNT_REPORT_LOST, 0)->code, -ENOLINK);
	assert_string_equal(find_report(BRUNT_REPORT_LOST, 0)->text, "somebody else detached it");
	report_count = 0;
	brunt_held_poll(held);
	assert_null(find_report(BRUNT_REPORT_LOST, 0));
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	assert_nothing_left();
	drop_held();
}

static void the_loss_of_a_process_of_ours_names_it(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	make_held();
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
	script.detached = true;
	script.silent_role = BRUNT_ROLE_LINE;
	brunt_held_poll(held);
	assert_string_equal(find_report(BRUNT_REPORT_LOST, 0)->text, "its line was killed or stands still");
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	assert_nothing_left();
	drop_held();
}

/* Its program let itself go: the link is there and nothing else would tell. */
static void a_fault_that_lapses_alone_is_told_as_lost(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	make_held();
	assert_int_equal(brunt_held_apply(held, 0, brunt_now() + 60 * BRUNT_S, &err), 0);
	brunt_held_poll(held);
	assert_null(find_report(BRUNT_REPORT_LOST, 0));
	script.lapsed = true;
	brunt_held_poll(held);
	assert_int_equal(find_report(BRUNT_REPORT_LOST, 0)->code, -ETIME);
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	assert_nothing_left();
	drop_held();
}

static void a_fault_that_lapsed_since_the_last_poll_is_told_when_it_is_undone(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	make_held();
	assert_int_equal(brunt_held_apply(held, 0, brunt_now() + 60 * BRUNT_S, &err), 0);
	script.lapsed = true;
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	assert_int_equal(find_report(BRUNT_REPORT_LOST, 0)->code, -ETIME);
	assert_nothing_left();
	drop_held();
}

/* The holder tells that for all of them together. */
static void a_fault_that_lapses_with_the_holder_is_not_told_as_lost(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	make_held();
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
	script.lapsed = true;
	brunt_held_poll(held);
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	assert_null(find_report(BRUNT_REPORT_LOST, 0));
	drop_held();
}

static void a_target_that_dies_while_held_is_told(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	make_held();
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
	script.gone = true;
	brunt_held_poll(held);
	assert_int_equal(find_report(BRUNT_REPORT_LOST, 0)->code, -ESRCH);
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	drop_held();
}

static void a_target_that_the_run_itself_killed_is_no_loss(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	steps[2].fault.injector = &fake_event; /* on the same target as step 0 */
	make_held();
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
	assert_int_equal(brunt_held_apply(held, 2, 1, &err), 0);
	script.gone = true;
	brunt_held_poll(held);
	assert_null(find_report(BRUNT_REPORT_LOST, 0));
	assert_int_equal(find_report(BRUNT_REPORT_HITS, 2)->hits.hit, 9);
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	drop_held();
}

/* A fault on a process that is dead at the first look: none lives by that start time. */
static void hold_a_followed_one(void)
{
	struct brunt_error err = { 0 };

	make_plan(&fake);
	targets[0].resolve = BRUNT_RESOLVE_FOLLOW;
	targets[0].kind = BRUNT_TARGET_PROCESS;
	plan.blast_radius.victims = 2;
	finder.pid = getpid();
	make_held();
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
}

static void a_followed_target_is_hit_again_after_its_restart(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	hold_a_followed_one();
	finder.code = -ESRCH; /* not back yet */
	brunt_held_poll(held);
	assert_int_equal(script.attaches[0], 1);
	assert_null(find_report(BRUNT_REPORT_LOST, 0));
	finder.code = 0;
	finder.pid = 2000;
	brunt_held_poll(held);
	assert_int_equal(script.attaches[0], 2);
	assert_int_equal(script.detaches[0], 1);
	assert_true(script.in_effect[0]);
	assert_null(find_report(BRUNT_REPORT_REVERTED, 0)); /* for the controller it was held all the time */
	assert_int_equal(find_report(BRUNT_REPORT_RESOLVED, 0)->picked, 1);
	/* the third would be one too many */
	finder.pid = 3000;
	brunt_held_poll(held);
	assert_int_equal(find_report(BRUNT_REPORT_LOST, 0)->code, -EDQUOT);
	assert_int_equal(script.attaches[0], 2);
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	assert_nothing_left();
	drop_held();
}

/* Found, and gone again before the fault was ready for it: by then it was undone where it was. */
static void a_followed_target_that_goes_while_the_fault_moves_is_told_as_lost(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	hold_a_followed_one();
	finder.code = -ESRCH; /* nobody there yet: it is still held where it was */
	brunt_held_poll(held);
	assert_true(script.in_effect[0]);
	assert_null(find_report(BRUNT_REPORT_LOST, 0));
	finder.code = 0;
	finder.pid = 2000;
	script.fail_op = PREPARE;
	script.fail_step = 0;
	script.fail_count = 1;
	script.fail_code = -ESRCH;
	brunt_held_poll(held);
	assert_int_equal(script.attaches[0], 1);
	assert_int_equal(script.detaches[0], 1);
	assert_false(script.in_effect[0]);
	assert_non_null(find_report(BRUNT_REPORT_LOST, 0));
	assert_int_equal(find_report(BRUNT_REPORT_LOST, 0)->code, -ESRCH);
	assert_string_equal(find_report(BRUNT_REPORT_LOST, 0)->text, "prepare failed");
	/* once */
	report_count = 0;
	brunt_held_poll(held);
	assert_null(find_report(BRUNT_REPORT_LOST, 0));
	assert_int_equal(script.attaches[0], 1);
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	assert_nothing_left();
	drop_held();
}

static void nothing_is_applied_after_everything_was_reverted_for_good(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake);
	make_held();
	held->closed = true;
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), -ECANCELED);
	assert_int_equal(script.attaches[0], 0);
	drop_held();
}

static void what_waits_is_waited_for_at_the_end_only(void **state)
{
	struct brunt_error err = { 0 };

	(void)state;
	make_plan(&fake_slow);
	make_held();
	settling.calls = 0;
	settling.again = 3;
	settling.last = 0;
	assert_int_equal(brunt_held_apply(held, 0, 1, &err), 0);
	assert_int_equal(brunt_held_revert_all(held, &err), 0);
	assert_false(script.in_effect[0]);
	assert_int_equal(settling.calls, 0); /* the undo itself waits for nothing */
	assert_int_equal(open_in_ledger(), 1);
	assert_int_equal(held_settle(held, brunt_now() + 10 * BRUNT_S), 0);
	assert_int_equal(settling.calls, 4);
	assert_int_equal(find_report(BRUNT_REPORT_HITS, 0)->hits.hit, 7);
	assert_int_equal(find_report(BRUNT_REPORT_REVERTED, 0)->code, 0);
	assert_nothing_left();
	drop_held();
}

static void what_does_not_settle_is_residue(void **state)
{
	const struct {
		int again, last;
	} ways[] = { { 0, -EBUSY }, { 1000000, 0 } };
	struct brunt_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(ways); i++) {
		make_plan(&fake_slow);
		make_held();
		assert_int_equal(brunt_held_apply(held, 1, 1, &err), 0);
		assert_int_equal(brunt_held_revert_all(held, &err), 0);
		settling.again = ways[i].again;
		settling.last = ways[i].last;
		assert_int_equal(held_settle(held, brunt_now() + 30 * BRUNT_MS), -EBUSY);
		assert_int_equal(find_report(BRUNT_REPORT_REVERTED, 1)->code, -EBUSY);
		assert_int_equal(open_in_ledger(), 1);
		drop_held();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_disarmed_then_verified_then_detached_in_reverse_order),
		cmocka_unit_test(whatever_fails_every_change_is_undone_once_in_reverse_order),
		cmocka_unit_test(what_verifies_late_is_clean),
		cmocka_unit_test(what_cannot_be_disarmed_is_residue_and_the_others_are_undone),
		cmocka_unit_test(faults_are_reverted_one_by_one_in_any_order),
		cmocka_unit_test(memory_that_runs_out_leaves_nothing_behind),
		cmocka_unit_test(a_start_target_is_resolved_once_and_shared),
		cmocka_unit_test(an_each_target_is_resolved_at_every_apply),
		cmocka_unit_test(the_share_is_judged_at_each_step),
		cmocka_unit_test(all_targets_together_must_fit_before_anything_is_touched),
		cmocka_unit_test(a_missing_target_may_still_come_when_there_are_services),
		cmocka_unit_test(a_lost_link_is_told_once),
		cmocka_unit_test(the_loss_of_a_process_of_ours_names_it),
		cmocka_unit_test(a_fault_that_lapses_alone_is_told_as_lost),
		cmocka_unit_test(a_fault_that_lapsed_since_the_last_poll_is_told_when_it_is_undone),
		cmocka_unit_test(a_fault_that_lapses_with_the_holder_is_not_told_as_lost),
		cmocka_unit_test(a_target_that_dies_while_held_is_told),
		cmocka_unit_test(a_target_that_the_run_itself_killed_is_no_loss),
		cmocka_unit_test(a_followed_target_is_hit_again_after_its_restart),
		cmocka_unit_test(a_followed_target_that_goes_while_the_fault_moves_is_told_as_lost),
		cmocka_unit_test(nothing_is_applied_after_everything_was_reverted_for_good),
		cmocka_unit_test(what_waits_is_waited_for_at_the_end_only),
		cmocka_unit_test(what_does_not_settle_is_residue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
