/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What network.netem and network.rate share: chosen packets take a detour, and
 * on it stands the kernel's netem or, where the kernel has none, a line of our
 * own over a TAP device.
 */
#include "fault/network.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"
#include "program/bpf.h"
#include "detour/detour.h"
#include "line/line.h"
#include "network/qdisc.h"

#define LINGER_MARGIN (1 * BRUNT_S)
#define LINGER_QUEUE  (10 * BRUNT_S) /* for what a rate holds back */
#define LINGER_MAX    (50 * BRUNT_S) /* less than the holder waits at the end of a run */

/* So long all lines of a fault are waited for together. A longer lease leaves more time: half of it. */
#define BEGIN_WAIT (250 * BRUNT_MS)

struct network_state {
	const struct brunt_network_params *params;
	struct brunt_detour *detour;
	struct brunt_detour_match match;
	struct brunt_impairment now; /* what was asked for last */
	struct brunt_netem_tables *tables;
	uint64_t seed, lease, max_linger;
	bool tap, hurried;
	struct brunt_line *lines[BRUNT_DETOUR_LEGS_MAX]; /* TAP: those that were ever started */
	size_t line_count;
	uint64_t drops;	  /* of netem's own, since attach */
	uint64_t dropped; /* before that, and by lines that are gone or drained until somebody was in a hurry */
};

const struct brunt_value brunt_network_directions[] = {
	{ "egress", BRUNT_DETOUR_EGRESS, "what the target sends" },
	{ "ingress", BRUNT_DETOUR_INGRESS, "what the target receives" },
	{ "both", BRUNT_DETOUR_BOTH, "both, each by itself: a delay counts twice in a round trip" },
	{ 0 },
};

const struct brunt_value brunt_network_lines[] = {
	{ "auto", BRUNT_NETWORK_AUTO, "netem where the kernel has it, else the user-space line" },
	{ "netem", BRUNT_NETWORK_NETEM, "the kernel's netem" },
	{ "tap", BRUNT_NETWORK_TAP, "a process of brunt's at a TAP device" },
	{ 0 },
};

/* Chance of its own for each leg: else both directions of an interface would lose the same packets. */
static struct brunt_impairment impairment_of(const struct network_state *state, const struct brunt_leg *leg)
{
	struct brunt_impairment what = state->now;
	struct brunt_random random;
	char label[IF_NAMESIZE + 16];

	(void)snprintf(label, sizeof(label), "%s %s", leg->name, leg->ingress ? "ingress" : "egress");
	brunt_random_seed(&random, state->seed, label);
	what.seed = brunt_random_next(&random);
	return what;
}

/* ---- netem ---- */

static int netem_start(void *opaque, struct brunt_leg *leg, struct brunt_error *err)
{
	const struct brunt_impairment what = impairment_of(opaque, leg);

	return brunt_netem_set(leg->device, &what, err);
}

static int netem_backlog(void *opaque, const struct brunt_leg *leg, uint64_t *ret_packets)
{
	struct brunt_qdisc_stats stats;
	int r = brunt_netem_read(leg->device, &stats);

	(void)opaque;
	*ret_packets = r ? 0 : stats.backlog;
	return r;
}

static const struct brunt_detour_backend netem_backend = {
	.name = "netem",
	.start = netem_start,
	.backlog = netem_backlog,
};

/* ---- the user-space line ---- */

static int tap_start(void *opaque, struct brunt_leg *leg, struct brunt_error *err)
{
	struct network_state *state = opaque;
	struct brunt_impairment what;
	struct brunt_line *line = NULL;
	size_t i;
	int r;

	leg->opaque = NULL;
	for (i = 0; i < state->line_count; i++)
		if (!brunt_line_ended(state->lines[i]))
			break;
	if (i == BRUNT_DETOUR_LEGS_MAX)
		return brunt_fail(err, EBUSY, "%d lines still carry packets of earlier holds", BRUNT_DETOUR_LEGS_MAX);
	r = brunt_line_new(&line, err);
	if (r)
		return r;
	if (i < state->line_count) {
		struct brunt_line_stats ended;

		brunt_line_read(state->lines[i], &ended);
		state->dropped += ended.full + ended.failed;
		brunt_line_free(state->lines[i]);
	} else {
		state->line_count++;
	}
	state->lines[i] = line;
	what = impairment_of(state, leg);
	r = brunt_line_fork(line, leg->tap, leg->keep, leg->keep_count, &what, state->max_linger, err);
	if (!r)
		leg->opaque = line;
	return r;
}

static int tap_backlog(void *opaque, const struct brunt_leg *leg, uint64_t *ret_packets)
{
	struct brunt_line_stats stats = { 0 };

	(void)opaque;
	if (leg->opaque)
		brunt_line_read(leg->opaque, &stats);
	*ret_packets = stats.waiting;
	return 0;
}

static bool tap_alive(void *opaque, const struct brunt_leg *leg)
{
	const struct network_state *state = opaque;

	return leg->opaque && brunt_line_alive(leg->opaque, state->lease / 2);
}

static void tap_stop(void *opaque, struct brunt_leg *leg, bool drain)
{
	(void)opaque;
	if (leg->opaque)
		brunt_line_stop(leg->opaque, drain);
}

static const struct brunt_detour_backend tap_backend = {
	.name = "line",
	.tap = true,
	.start = tap_start,
	.backlog = tap_backlog,
	.alive = tap_alive,
	.stop = tap_stop,
};

/* ---- the choice ---- */

/* A kernel does not change: who knew it is asked no more, so that a child without privileges knows it, too. */
static int probe_netem(struct brunt_error *err)
{
	static int known = -EPERM;
	static struct brunt_error why;

	if (known == -EPERM) {
		why = (struct brunt_error){ 0 };
		known = brunt_netem_probe(&why);
	}
	return known ? brunt_fail(err, -known, "%s", why.msg) : 0;
}

/* 0: *ret_tap says which; -ENOTSUP, -EPERM. */
static int choose_line(int asked, bool *ret_tap, struct brunt_error *err)
{
	struct brunt_error why = { 0 };
	int r = 0;

	if (asked != BRUNT_NETWORK_TAP)
		r = probe_netem(err);
	*ret_tap = asked == BRUNT_NETWORK_TAP || (asked == BRUNT_NETWORK_AUTO && r == -ENOTSUP);
	if (!*ret_tap)
		return r ?: brunt_detour_probe(false, err);
	r = brunt_detour_probe(true, &why);
	if (!r)
		return 0;
	if (asked == BRUNT_NETWORK_AUTO && err)
		return brunt_fail(err, -r, "%.200s; nor is a user-space line possible: %.200s", err->msg, why.msg);
	return brunt_fail(err, -r, "%s", why.msg);
}

int brunt_network_probe(struct brunt_error *err)
{
	bool tap;

	return choose_line(BRUNT_NETWORK_AUTO, &tap, err);
}

int brunt_network_validate(const void *opaque, int target_kind, struct brunt_error *err)
{
	const struct brunt_network_params *params = opaque;
	struct brunt_impairment impairment;
	int r = brunt_netem_validate(&params->netem, err);

	if (r)
		return r;
	if (params->interfaces.count && target_kind == BRUNT_TARGET_INTERFACE)
		return brunt_fail(err, EINVAL,
				  "'interfaces' narrows a process or a cgroup; the target is an "
				  "interface already");
	if (params->line != BRUNT_NETWORK_TAP)
		return 0;
	/* A distribution's table is not read here: the line can do any. */
	brunt_impairment_at(&params->netem, NULL, 0, 0, 0, &impairment);
	return brunt_line_supports(&impairment, err);
}

void brunt_network_describe(const struct brunt_fault *fault, const struct brunt_victims *victims, char *buf,
			    size_t size)
{
	const struct brunt_network_params *params = fault->params;
	bool tap;

	(void)victims;
	(void)choose_line(params->line, &tap, NULL);
	if (!tap)
		(void)snprintf(buf, size, "netem on a detour");
	else
		(void)snprintf(buf, size, "user-space line on a detour, %s%s", brunt_line_ceiling(),
			       params->line == BRUNT_NETWORK_TAP ? "" : " (this kernel has no netem)");
}

/* ---- the life ---- */

void brunt_network_unload(void *opaque)
{
	struct network_state *state = opaque;

	if (!state)
		return;
	brunt_detour_unload(state->detour);
	for (size_t i = 0; i < state->line_count; i++)
		brunt_line_free(state->lines[i]);
	free(state->tables);
	free(state);
}

static void cleanup_state(struct network_state **state)
{
	brunt_network_unload(*state);
}

/* What the plan asks for now. */
static void impair(struct network_state *state, uint64_t elapsed)
{
	brunt_impairment_at(&state->params->netem, state->tables, elapsed, state->seed, 0, &state->now);
}

static uint64_t longest_wait(const struct brunt_network_params *params)
{
	const struct brunt_netem_params *netem = &params->netem;
	double delay = netem->delay.from > netem->delay.to ? netem->delay.from : netem->delay.to;
	double jitter = netem->jitter.from > netem->jitter.to ? netem->jitter.from : netem->jitter.to;
	double wait = delay + 4 * jitter + (double)LINGER_MARGIN + (netem->rate.set ? (double)LINGER_QUEUE : 0);

	return wait < (double)LINGER_MAX ? (uint64_t)wait : LINGER_MAX;
}

int brunt_network_load(const struct brunt_fault *fault, const struct brunt_fault_context *context, void **ret_state,
		       struct brunt_error *err)
{
	BRUNT_CLEANUP(cleanup_state) struct network_state *state = calloc(1, sizeof(*state));
	const struct brunt_network_params *params = fault->params;
	struct brunt_random random;
	char label[48];
	int r;

	if (!state)
		return brunt_fail(err, ENOMEM, "no memory for %s", fault->injector->name);
	state->params = params;
	state->lease = context->lease_ns;
	state->max_linger = longest_wait(params);
	state->match = (struct brunt_detour_match){
		.direction = params->direction,
		.to = &params->to,
		.local = &params->local,
		.except = &params->except,
		.interfaces = &params->interfaces,
		.names = params->names,
		.flows = params->flows,
	};
	(void)snprintf(label, sizeof(label), "%s %u", fault->injector->name, fault->step);
	brunt_random_seed(&random, context->seed, label);
	state->seed = brunt_random_next(&random);
	r = choose_line(params->line, &state->tap, err);
	r = r ?: brunt_netem_tables_read(&params->netem, &state->tables, err);
	if (r)
		return r;
	impair(state, 0);
	if (state->tap)
		r = brunt_line_supports(&state->now, err);
	r = r
		    ?: brunt_detour_load(&state->match, state->tap ? &tap_backend : &netem_backend, state, context,
					 label, state->max_linger, &state->detour, err);
	if (r)
		return r;
	*ret_state = BRUNT_TAKE_PTR(state);
	return 0;
}

int brunt_network_prepare(void *opaque, const struct brunt_victims *victims, struct brunt_undo_record *ret_undo,
			  struct brunt_error *err)
{
	return brunt_detour_prepare(((struct network_state *)opaque)->detour, victims, ret_undo, err);
}

struct begin {
	uint64_t until;
	struct brunt_error *err;
};

static int await_line(void *opaque, struct brunt_leg *leg, void *user)
{
	const struct begin *begin = user;

	(void)opaque;
	return leg->opaque ? brunt_line_await(leg->opaque, begin->until, begin->err) : 0;
}

/* Nothing is steered to the lines before arm: until here they could begin side by side. */
static int await_lines(struct network_state *state, struct brunt_error *err)
{
	const uint64_t wait = state->lease / 2 > BEGIN_WAIT ? state->lease / 2 : BEGIN_WAIT;
	struct begin begin = { brunt_now() + wait, err };

	return state->tap ? brunt_detour_visit(state->detour, await_line, &begin, err) : 0;
}

int brunt_network_attach(void *opaque, struct brunt_error *err)
{
	struct network_state *state = opaque;
	int r;

	state->hurried = false;
	impair(state, 0);
	r = brunt_detour_attach(state->detour, err);
	if (r)
		return r;
	r = await_lines(state, err);
	if (r)
		brunt_detour_detach(state->detour, false);
	return r;
}

int brunt_network_arm(void *opaque, uint64_t expires, struct brunt_error *err)
{
	(void)err;
	brunt_detour_arm(((struct network_state *)opaque)->detour, expires);
	return 0;
}

void brunt_network_renew(void *opaque, uint64_t expires)
{
	brunt_detour_renew(((struct network_state *)opaque)->detour, expires);
}

struct change {
	struct network_state *state;
	struct brunt_error *err;
};

static int change_leg(void *opaque, struct brunt_leg *leg, void *user)
{
	struct change *change = user;
	const struct brunt_impairment what = impairment_of(change->state, leg);

	(void)opaque;
	if (!change->state->tap)
		return brunt_netem_set(leg->device, &what, change->err);
	if (leg->opaque)
		brunt_line_change(leg->opaque, &what);
	return 0;
}

int brunt_network_change(void *opaque, uint64_t elapsed, struct brunt_error *err)
{
	struct network_state *state = opaque;
	struct change change = { .state = state, .err = err };

	impair(state, elapsed);
	return brunt_detour_visit(state->detour, change_leg, &change, err);
}

struct drops {
	const struct network_state *state;
	uint64_t unwanted;
};

static int add_drops(void *opaque, struct brunt_leg *leg, void *user)
{
	struct drops *drops = user;
	struct brunt_qdisc_stats stats;

	(void)opaque;
	if (!brunt_netem_read(leg->device, &stats))
		drops->unwanted += brunt_netem_unwanted(&stats, &drops->state->now);
	return 0;
}

static uint64_t count_unwanted(struct network_state *state)
{
	uint64_t lost = brunt_detour_lost(state->detour);

	for (size_t i = 0; i < state->line_count; i++) {
		struct brunt_line_stats stats;

		brunt_line_read(state->lines[i], &stats);
		lost += stats.full + stats.failed;
	}
	/* Loss that moves cannot be told from netem's own. */
	if (!state->tap && !brunt_ramp_moves(&state->params->netem.loss)) {
		struct drops drops = { .state = state };

		if (!brunt_detour_visit(state->detour, add_drops, &drops, NULL) && drops.unwanted > state->drops)
			state->drops = drops.unwanted;
	}
	return lost + state->drops + state->dropped;
}

int brunt_network_poll(void *opaque, struct brunt_hits *ret)
{
	struct network_state *state = opaque;
	int r = brunt_detour_poll(state->detour, ret);

	if (r)
		return r;
	ret->unwanted = count_unwanted(state);
	brunt_bpf_near_miss(ret, "packet", &state->params->to, 1);
	return 0;
}

bool brunt_network_news(void *opaque, char *buf, size_t size)
{
	return brunt_detour_news(((struct network_state *)opaque)->detour, buf, size);
}

const struct brunt_names *brunt_network_names(const void *opaque)
{
	return brunt_detour_names(((const struct network_state *)opaque)->detour);
}

void brunt_network_hurry(void *opaque)
{
	((struct network_state *)opaque)->hurried = true;
}

void brunt_network_disarm(void *opaque)
{
	brunt_detour_disarm(((struct network_state *)opaque)->detour);
}

int brunt_network_verify(void *opaque, struct brunt_error *err)
{
	return brunt_detour_verify(((struct network_state *)opaque)->detour, err);
}

void brunt_network_detach(void *opaque)
{
	struct network_state *state = opaque;

	brunt_detour_detach(state->detour, !state->hurried);
	state->dropped += state->drops;
	state->drops = 0;
}

/* Somebody got into a hurry after it was let go: what waits is lost, and counted. */
static void give_up_waiting(struct network_state *state)
{
	for (size_t i = 0; i < state->line_count; i++)
		state->dropped += brunt_line_hurry(state->lines[i]);
	brunt_detour_hurry(state->detour);
}

int brunt_network_settled(void *opaque, struct brunt_error *err)
{
	struct network_state *state = opaque;
	bool ended = true;

	if (state->hurried)
		give_up_waiting(state);
	/* all of them, for the look is what kills one that is late */
	for (size_t i = 0; i < state->line_count; i++)
		ended &= !brunt_line_ended(state->lines[i]);
	return ended ? brunt_detour_settled(state->detour, err) : -EAGAIN;
}
