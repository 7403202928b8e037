/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a controller says to the holder. Any sequence of verbs with any index,
 * on faults that fail as the input says: a fault is never armed twice, never
 * disarmed by nobody, and at the end nothing is in effect.
 */
#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/hold.h"
#include "brunt/plan.h"
#include "hold/holder.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake {
	bool attached, armed;
} fakes[STEPS];

/* The rest of the input decides which operation fails. */
static const uint8_t *chance, *chance_end;

static int perhaps(struct brunt_error *err)
{
	return chance < chance_end && *chance++ % 8 == 0 ? brunt_fail(err, EIO, "as the input says") : 0;
}

static void need(bool truth)
{
	if (!truth)
		abort();
}

static int fake_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		     struct brunt_error *err)
{
	(void)context;
	(void)err;
	*ret_state = &fakes[fault->step];
	return 0;
}

static int fake_prepare(void *state, const struct brunt_victims *victims, struct brunt_undo_record *undo,
			struct brunt_error *err)
{
	(void)state;
	(void)victims;
	(void)undo;
	return perhaps(err);
}

static int fake_attach(void *state, struct brunt_error *err)
{
	struct fake *fake = state;

	need(!fake->attached && !fake->armed);
	fake->attached = true;
	return perhaps(err);
}

static int fake_arm(void *state, uint64_t expires, struct brunt_error *err)
{
	struct fake *fake = state;

	(void)expires;
	need(fake->attached && !fake->armed);
	fake->armed = true;
	return perhaps(err);
}

static void fake_disarm(void *state)
{
	struct fake *fake = state;

	fake->armed = false;
}

static int fake_verify(void *state, struct brunt_error *err)
{
	const struct fake *fake = state;

	need(!fake->armed);
	return perhaps(err);
}

static void fake_detach(void *state)
{
	struct fake *fake = state;

	need(!fake->armed);
	fake->attached = false;
}

static const struct brunt_injector fault = {
	.name = "fuzz.fault",
	.undo = BRUNT_UNDO_KERNEL,
	.load = fake_load,
	.prepare = fake_prepare,
	.attach = fake_attach,
	.arm = fake_arm,
	.disarm = fake_disarm,
	.verify = fake_verify,
	.detach = fake_detach,
};

static void make_plan(struct brunt_plan *plan, struct brunt_step *steps, struct brunt_step **list)
{
	for (uint32_t i = 0; i < STEPS; i++) {
		steps[i] = (struct brunt_step){ .name = "fuzz", .index = i, .kind = BRUNT_STEP_FAULT };
		steps[i].fault = (struct brunt_fault){ .injector = &fault, .step = i, .name = "fuzz" };
		list[i] = &steps[i];
	}
	steps[STEPS - 1].kind = BRUNT_STEP_OBSERVE;
	plan->name = "fuzz";
	plan->steps = list;
	plan->step_count = STEPS;
	plan->lease = BRUNT_S;
	plan->blast_radius = (struct brunt_blast_radius){ .victims = 1, .share = 1 };
}

/* Two bytes a verb: most indexes are near the plan's, some are wild. */
static void take(struct holder *holder, uint8_t kind, uint8_t index)
{
	struct brunt_verb verb = { .kind = kind % 12, .index = index < 240 ? index % 6 : UINT32_MAX - index };

	verb.sequence = index;
	if (kind >= 240)
		holder_lapse(holder);
	else
		holder_take(holder, &verb);
	/* Nobody listens. */
	holder->queue_first = holder->queue_count = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct holder holder;
	struct brunt_step steps[STEPS], *list[STEPS];
	struct brunt_plan plan = { 0 };
	struct brunt_shared shared = { 0 };
	struct brunt_run_setup setup = { .shared = &shared, .plan = &plan };
	struct brunt_fault_context context = { .run = "0000beef", .lease_ns = BRUNT_S };
	size_t verbs = size / 3 * 2;

	/* A prepare looks for what earlier runs left: not those of this host. */
	need(!setenv("BRUNT_LEDGER_DIR", "/nonexistent/fuzz", 1));
	chance = data + verbs;
	chance_end = data + size;
	memset(fakes, 0, sizeof(fakes));
	memset(&holder, 0, sizeof(holder));
	make_plan(&plan, steps, list);
	/* No switch, no timer and no ledger: nothing outlives an input. */
	holder.setup = &setup;
	holder.socket = holder.timer = -1;
	holder.lease.length = plan.lease;
	holder.fault_context = context;
	holder.resolve_context = (struct brunt_resolve_context){ .proc = "/proc", .own = holder.own };
	need(!brunt_held_new(&plan, &holder.fault_context, &holder.resolve_context, NULL, holder_report, &holder,
			     &holder.held, NULL));
	for (size_t i = 0; i + 1 < verbs && !holder.ended; i += 2)
		take(&holder, data[i], data[i + 1]);
	chance = chance_end;
	(void)holder_revert_all(&holder, false);
	for (size_t i = 0; i < STEPS; i++)
		need(!fakes[i].armed);
	need(!brunt_held_count(holder.held));
	brunt_held_free(holder.held);
	return 0;
}
