/* SPDX-License-Identifier: Apache-2.0 */
#include "network/impairment.h"

#include <math.h>

#define LINK_RATE     1.25e9 /* bytes per second, when it is not known: 10 Gbit/s */
#define SLOW_RATE     .125e9 /* 1 Gbit/s */
#define FRAME_LARGE   1514.
#define FRAME_SMALL   84.   /* 64 bytes, preamble and gap */
#define LIMIT_FLOOR   1000. /* netem's own default */
#define LIMIT_CEILING 1000000.

static double most(const struct brunt_ramp *ramp)
{
	return fmax(ramp->from, ramp->to);
}

/*
 * How many packets may wait. netem's own default is 1000, which at 100 ms is lost traffic from 10,000 packets per
 * second on, and looks like loss that nobody asked for. What waits is what comes in during the longest delay. At most
 * that is the rate of the link: in large packets when it is fast; but up to 1 Gbit/s the smallest packets, too, since
 * a small host can send them. So 100 ms at 10 Gbit/s are 149,000 packets, and nothing is dropped by us at 1 Gbit/s,
 * whatever its packets. The ceiling bounds the memory that a plan can take from the host (about 2 GB of full packets);
 * reached by delays of more than half a second at such rates. With `rate` what comes in waits in front of the line as
 * well; there a thousand more are room enough, and dropping beyond it is what a real queue does.
 *
 * The longest moment of a ramp counts from its beginning: netem drops whatever comes when a limit falls below what
 * waits (sch_netem.c, netem_enqueue()).
 */
static uint32_t limit_of(const struct brunt_netem_params *p, const struct brunt_impairment *now, uint64_t link_rate)
{
	double rate = link_rate ? (double)link_rate : LINK_RATE;
	double packets = fmax(rate / FRAME_LARGE, fmin(rate, SLOW_RATE) / FRAME_SMALL);
	/* Tables reach to four times the jitter. */
	double longest = (most(&p->delay) + most(&p->jitter) * (now->table ? 4 : 1)) / 1e9, limit;

	if (now->slot.set)
		longest += (double)(now->slot.table ? now->slot.delay + 4 * now->slot.jitter : now->slot.max) / 1e9;
	if (p->limit)
		return (uint32_t)p->limit;
	if (p->rate.set)
		packets = fmin(packets, most(&p->rate) / FRAME_SMALL);
	limit = packets * longest * (1 + most(&p->duplicate)) + (p->rate.set ? LIMIT_FLOOR : 0);
	return (uint32_t)ceil(fmin(fmax(limit, LIMIT_FLOOR), LIMIT_CEILING));
}

static void put_loss(const struct brunt_netem_params *p, uint64_t elapsed, struct brunt_impairment *ret)
{
	const struct brunt_loss_state *s = p->loss_state;
	const struct brunt_loss_gemodel *g = p->loss_gemodel;

	ret->ecn = p->ecn;
	if (s) {
		ret->loss_model = BRUNT_LOSS_STATE;
		ret->p13 = s->p13;
		ret->p31 = s->has_p31 ? s->p31 : 1 - s->p13;
		ret->p32 = s->p32;
		ret->p23 = s->has_p23 ? s->p23 : 1;
		ret->p14 = s->p14;
	} else if (g) {
		ret->loss_model = BRUNT_LOSS_GEMODEL;
		ret->p = g->p;
		ret->r = g->has_r ? g->r : 1 - g->p;
		ret->one_minus_h = g->has_h ? g->one_minus_h : 1;
		ret->one_minus_k = g->one_minus_k;
	} else {
		ret->loss_model = BRUNT_LOSS_RANDOM;
		ret->loss = brunt_ramp_at(&p->loss, elapsed);
		ret->loss_correlation = p->loss_correlation;
	}
}

static void put_slot(const struct brunt_slot *s, const struct brunt_netem_tables *tables, struct brunt_impairment *ret)
{
	ret->slot.set = true;
	ret->slot.packets = (uint32_t)s->packets;
	ret->slot.bytes = (uint32_t)s->bytes;
	if (s->has_min) {
		ret->slot.min = s->min;
		ret->slot.max = s->has_max ? s->max : s->min;
		return;
	}
	ret->slot.delay = s->delay;
	ret->slot.jitter = s->jitter;
	/* Without a table netem goes by min and max, so that an even spread needs one, too. */
	ret->slot.table = brunt_distribution_table(s->distribution);
	ret->slot.table_size = BRUNT_DISTRIBUTION_SIZE;
	if (s->distribution_file && tables) {
		ret->slot.table = tables->slot;
		ret->slot.table_size = tables->slot_count;
	}
}

void brunt_impairment_at(const struct brunt_netem_params *p, const struct brunt_netem_tables *tables, uint64_t elapsed,
			 uint64_t seed, uint64_t link_rate, struct brunt_impairment *ret)
{
	*ret = (struct brunt_impairment){
		.delay = (uint64_t)llround(brunt_ramp_at(&p->delay, elapsed)),
		.jitter = (uint64_t)llround(brunt_ramp_at(&p->jitter, elapsed)),
		.delay_correlation = p->delay_correlation,
		.duplicate = brunt_ramp_at(&p->duplicate, elapsed),
		.duplicate_correlation = p->duplicate_correlation,
		.corrupt = brunt_ramp_at(&p->corrupt, elapsed),
		.corrupt_correlation = p->corrupt_correlation,
		.reorder = brunt_ramp_at(&p->reorder, elapsed),
		.reorder_correlation = p->reorder_correlation,
		.rate = p->rate.set ? (uint64_t)llround(brunt_ramp_at(&p->rate, elapsed)) : 0,
		.packet_overhead = (int32_t)p->packet_overhead,
		.cell_size = (uint32_t)p->cell_size,
		.cell_overhead = (int32_t)p->cell_overhead,
		.seed = seed,
	};
	if (ret->reorder > 0)
		ret->gap = p->gap ? (uint32_t)p->gap : 1;
	if (p->distribution_file && tables) {
		ret->table = tables->delay;
		ret->table_size = tables->delay_count;
	} else if (p->distribution != BRUNT_DISTRIBUTION_UNIFORM) {
		ret->table = brunt_distribution_table(p->distribution);
		ret->table_size = BRUNT_DISTRIBUTION_SIZE;
	}
	put_loss(p, elapsed, ret);
	if (p->slot)
		put_slot(p->slot, tables, ret);
	ret->limit = limit_of(p, ret, link_rate);
}

static double state_loss(const struct brunt_impairment *i)
{
	double lost, good;

	if (i->p13 <= 0)
		return i->p14 / (1 + i->p14);
	if (i->p31 <= 0)
		return i->p32 <= 0 ? 1 : i->p23 / (i->p23 + i->p32);
	if (i->p32 > 0 && i->p23 <= 0)
		return 0;
	/* Shares of the four states, that of the first taken as 1. */
	lost = i->p13 / i->p31;
	good = 1 + (i->p32 > 0 ? lost * i->p32 / i->p23 : 0);
	return (lost + i->p14) / (lost + i->p14 + good);
}

double brunt_impairment_loss(const struct brunt_impairment *i)
{
	double bad;

	switch (i->loss_model) {
	case BRUNT_LOSS_STATE:
		return state_loss(i);
	case BRUNT_LOSS_GEMODEL:
		bad = i->p > 0 ? i->p / (i->p + i->r) : 0;
		return bad * i->one_minus_h + (1 - bad) * i->one_minus_k;
	default:
		return i->loss;
	}
}
