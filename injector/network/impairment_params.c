/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan may say of an impairment, and what of it makes no sense. */
#include "network/impairment.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "brunt/error.h"
#include "brunt/memory.h"

static const struct brunt_param loss_state_params[] = {
	BRUNT_RATIO(struct brunt_loss_state, p13, .required = true, .example = "\"1%\"",
		    .help = "from good to lost: a burst begins; alone: independent losses"),
	BRUNT_RATIO(struct brunt_loss_state, p31, .set = BRUNT_FIELD(struct brunt_loss_state, has_p31, bool),
		    .example = "\"20%\"", .help = "from lost to good: a burst ends; default: 1 - p13"),
	BRUNT_RATIO(struct brunt_loss_state, p32, .example = "\"10%\"", .help = "from lost to good within the burst"),
	BRUNT_RATIO(struct brunt_loss_state, p23, .set = BRUNT_FIELD(struct brunt_loss_state, has_p23, bool),
		    .example = "\"50%\"", .help = "from good within the burst to lost; default: 100%"),
	BRUNT_RATIO(struct brunt_loss_state, p14, .example = "\"0.1%\"", .help = "a packet that is lost alone"),
	{ 0 },
};

const struct brunt_table brunt_loss_state_table = {
	.name = "loss_state",
	.help = "loss by a Markov chain of four states (tc-netem(8): loss state); each a chance per packet",
	.params = loss_state_params,
	.size = sizeof(struct brunt_loss_state),
};

static const struct brunt_param loss_gemodel_params[] = {
	BRUNT_RATIO(struct brunt_loss_gemodel, p, .required = true, .example = "\"1%\"",
		    .help = "from good to bad; alone: independent losses"),
	BRUNT_RATIO(struct brunt_loss_gemodel, r, .set = BRUNT_FIELD(struct brunt_loss_gemodel, has_r, bool),
		    .example = "\"20%\"", .help = "from bad to good: bursts are 1/r packets long; default: 1 - p"),
	{ .key = "1-h",
	  .type = BRUNT_T_RATIO,
	  .offset = BRUNT_FIELD(struct brunt_loss_gemodel, one_minus_h, double),
	  .set = BRUNT_FIELD(struct brunt_loss_gemodel, has_h, bool),
	  .example = "\"70%\"",
	  .help = "share that is lost while bad; default: 100%" },
	{ .key = "1-k",
	  .type = BRUNT_T_RATIO,
	  .offset = BRUNT_FIELD(struct brunt_loss_gemodel, one_minus_k, double),
	  .example = "\"0.1%\"",
	  .help = "share that is lost while good; default: none" },
	{ 0 },
};

const struct brunt_table brunt_loss_gemodel_table = {
	.name = "loss_gemodel",
	.help = "loss by the model of Gilbert and Elliott (tc-netem(8): loss gemodel)",
	.params = loss_gemodel_params,
	.size = sizeof(struct brunt_loss_gemodel),
};

static const struct brunt_param slot_params[] = {
	BRUNT_DURATION(struct brunt_slot, min, .set = BRUNT_FIELD(struct brunt_slot, has_min, bool), .max = 60e9,
		       .example = "\"10ms\"", .help = "shortest time between bursts"),
	BRUNT_DURATION(struct brunt_slot, max, .set = BRUNT_FIELD(struct brunt_slot, has_max, bool), .max = 60e9,
		       .example = "\"20ms\"", .help = "longest time between bursts; default: 'min'"),
	BRUNT_DURATION(struct brunt_slot, delay, .max = 60e9, .example = "\"15ms\"",
		       .help = "instead of 'min' and 'max': mean time between bursts"),
	BRUNT_DURATION(struct brunt_slot, jitter, .max = BRUNT_JITTER_MAX_NS, .example = "\"5ms\"",
		       .help = "and how far it spreads"),
	BRUNT_ENUM(struct brunt_slot, distribution, .def = "uniform", .values = brunt_distributions,
		   .set = BRUNT_FIELD(struct brunt_slot, has_distribution, bool), .help = "in which way"),
	BRUNT_PATH(struct brunt_slot, distribution_file, .help = "a table instead, as that of delays"),
	BRUNT_UINT(struct brunt_slot, packets, .max = INT32_MAX, .example = "20",
		   .help = "at most so many packets in a burst"),
	BRUNT_SIZE(struct brunt_slot, bytes, .max = INT32_MAX, .example = "\"9kB\"",
		   .help = "at most so many bytes in a burst"),
	{ 0 },
};

const struct brunt_table brunt_slot_table = {
	.name = "slot",
	.help = "packets come in bursts, as on a shared medium (tc-netem(8): slot)",
	.params = slot_params,
	.size = sizeof(struct brunt_slot),
};

static double most(const struct brunt_ramp *ramp)
{
	return fmax(ramp->from, ramp->to);
}

/* ---- what makes no sense ---- */

static int validate_delay(const struct brunt_netem_params *p, struct brunt_error *err)
{
	if (most(&p->jitter) > 0 && most(&p->delay) <= 0)
		return brunt_fail(err, EINVAL, "'jitter' needs 'delay', around which it spreads");
	if (p->delay_correlation > 0 && most(&p->jitter) <= 0)
		return brunt_fail(err, EINVAL, "'delay_correlation' needs 'jitter': without it all delays are alike");
	if (p->has_distribution && p->distribution_file)
		return brunt_fail(err, EINVAL, "'distribution' and 'distribution_file' exclude one another");
	if ((p->has_distribution || p->distribution_file) && most(&p->jitter) <= 0)
		return brunt_fail(err, EINVAL, "'%s' needs 'jitter': without it all delays are alike",
				  p->has_distribution ? "distribution" : "distribution_file");
	if (most(&p->reorder) > 0 && most(&p->delay) <= 0)
		return brunt_fail(err, EINVAL, "'reorder' needs 'delay': some packets are sent before those that wait");
	if (p->reorder_correlation > 0 && most(&p->reorder) <= 0)
		return brunt_fail(err, EINVAL, "'reorder_correlation' needs 'reorder'");
	if (p->gap && most(&p->reorder) <= 0)
		return brunt_fail(err, EINVAL, "'gap' needs 'reorder': it says which packets may be sent at once");
	return 0;
}

static int validate_state(const struct brunt_loss_state *s, struct brunt_error *err)
{
	/* The kernel adds them in 32 bits, where 100 % is all of them (sch_netem.c, loss_4state()). */
	if (s->p13 + s->p14 > 1)
		return brunt_fail(err, EINVAL, "'loss_state': 'p13' and 'p14' are more than 100%% together");
	if ((s->has_p31 ? s->p31 : 1 - s->p13) + s->p32 > 1)
		return brunt_fail(err, EINVAL, "'loss_state': 'p31'%s and 'p32' are more than 100%% together",
				  s->has_p31 ? "" : ", by default 1 - p13,");
	if (s->p13 <= 0 && s->p14 <= 0)
		return brunt_fail(err, EINVAL, "'loss_state' loses nothing: 'p13' and 'p14' are 0");
	if (s->p13 <= 0 && (s->has_p31 || s->has_p23 || s->p32 > 0))
		return brunt_fail(err, EINVAL, "'loss_state': 'p31', 'p32' and 'p23' need 'p13': no burst ever begins");
	return 0;
}

static int validate_gemodel(const struct brunt_loss_gemodel *g, struct brunt_error *err)
{
	if (g->p <= 0 && g->one_minus_k <= 0)
		return brunt_fail(err, EINVAL, "'loss_gemodel' loses nothing: 'p' and '1-k' are 0");
	if (g->has_h && g->one_minus_h <= 0 && g->one_minus_k <= 0)
		return brunt_fail(err, EINVAL, "'loss_gemodel' loses nothing: '1-h' and '1-k' are 0");
	return 0;
}

static int validate_loss(const struct brunt_netem_params *p, struct brunt_error *err)
{
	bool random = p->loss.set && most(&p->loss) > 0;
	int models = random + (p->loss_state != NULL) + (p->loss_gemodel != NULL), r = 0;

	if (models > 1)
		return brunt_fail(err, EINVAL, "only one of 'loss', 'loss_state' and 'loss_gemodel' at a time");
	if (p->loss_correlation > 0 && !random)
		return brunt_fail(err, EINVAL, "'loss_correlation' needs 'loss'%s",
				  models ? "; the other models have correlation of their own" : "");
	if (p->ecn && !models)
		return brunt_fail(err, EINVAL,
				  "'ecn' needs 'loss', 'loss_state' or 'loss_gemodel': it marks packets "
				  "that would be lost");
	if (p->loss_state)
		r = validate_state(p->loss_state, err);
	if (p->loss_gemodel)
		r = r ?: validate_gemodel(p->loss_gemodel, err);
	if (r)
		return r;
	if (p->duplicate_correlation > 0 && most(&p->duplicate) <= 0)
		return brunt_fail(err, EINVAL, "'duplicate_correlation' needs 'duplicate'");
	if (p->corrupt_correlation > 0 && most(&p->corrupt) <= 0)
		return brunt_fail(err, EINVAL, "'corrupt_correlation' needs 'corrupt'");
	return 0;
}

static int validate_rate(const struct brunt_netem_params *p, struct brunt_error *err)
{
	const char *lonely = p->packet_overhead != 0 ? "packet_overhead"
			     : p->cell_size	     ? "cell_size"
			     : p->cell_overhead != 0 ? "cell_overhead"
						     : NULL;

	if (p->rate.set && (p->rate.from < 1 || p->rate.to < 1))
		return brunt_fail(err, EINVAL,
				  "'rate' of 0 lets everything through; to let nothing through, use network.partition");
	if (lonely && !p->rate.set)
		return brunt_fail(err, EINVAL, "'%s' needs 'rate', which counts it", lonely);
	if (p->cell_overhead != 0 && !p->cell_size)
		return brunt_fail(err, EINVAL, "'cell_overhead' needs 'cell_size'");
	if (p->packet_overhead != rint(p->packet_overhead) || p->cell_overhead != rint(p->cell_overhead))
		return brunt_fail(err, EINVAL, "'%s' must be a whole number of bytes",
				  p->packet_overhead != rint(p->packet_overhead) ? "packet_overhead" : "cell_overhead");
	/* Of the sum the kernel makes an unsigned number: below zero it would be a delay for ever. */
	if (p->cell_size && (double)p->cell_size + p->cell_overhead < 1)
		return brunt_fail(err, EINVAL, "'cell_overhead' takes away more than 'cell_size' has");
	return 0;
}

static int validate_slot(const struct brunt_slot *s, struct brunt_error *err)
{
	bool range = s->has_min || s->has_max;
	bool spread = s->delay || s->jitter || s->has_distribution || s->distribution_file;

	if (range && spread)
		return brunt_fail(err, EINVAL,
				  "'slot': either 'min' and 'max', or 'delay', 'jitter' and their "
				  "distribution");
	if (!range && !spread)
		return brunt_fail(err, EINVAL, "'slot' needs 'min', or 'delay' and 'jitter': how long between bursts");
	if (s->has_max && !s->has_min)
		return brunt_fail(err, EINVAL, "'slot': 'max' needs 'min'");
	if (s->has_max && s->min > s->max)
		return brunt_fail(err, EINVAL, "'slot': 'min' is more than 'max'");
	if (range && !s->min && !s->max)
		return brunt_fail(err, EINVAL, "'slot': 'min' is 0: there are no bursts");
	if (spread && (!s->delay || !s->jitter))
		return brunt_fail(err, EINVAL, "'slot': a distribution needs both 'delay' and 'jitter'");
	if (s->has_distribution && s->distribution_file)
		return brunt_fail(err, EINVAL, "'slot': 'distribution' and 'distribution_file' exclude one another");
	return 0;
}

int brunt_netem_validate(const struct brunt_netem_params *p, struct brunt_error *err)
{
	int r = validate_delay(p, err);

	r = r ?: validate_loss(p, err);
	r = r ?: validate_rate(p, err);
	if (p->slot)
		r = r ?: validate_slot(p->slot, err);
	if (r)
		return r;
	if (most(&p->delay) <= 0 && most(&p->loss) <= 0 && !p->loss_state && !p->loss_gemodel &&
	    most(&p->duplicate) <= 0 && most(&p->corrupt) <= 0 && !p->rate.set && !p->slot)
		return brunt_fail(err, EINVAL, "nothing is asked for: give 'delay', 'loss', 'rate', or another");
	return 0;
}

int brunt_netem_tables_read(const struct brunt_netem_params *params, struct brunt_netem_tables **ret,
			    struct brunt_error *err)
{
	const char *of_delay = params->distribution_file;
	const char *of_slot = params->slot ? params->slot->distribution_file : NULL;
	BRUNT_AUTO_FREE struct brunt_netem_tables *tables = NULL;
	int r = 0;

	*ret = NULL;
	if (!of_delay && !of_slot)
		return 0;
	tables = calloc(1, sizeof(*tables));
	if (!tables)
		return brunt_fail(err, ENOMEM, "no memory for a distribution");
	if (of_delay)
		r = brunt_distribution_read(of_delay, tables->delay, &tables->delay_count, err);
	if (of_slot)
		r = r ?: brunt_distribution_read(of_slot, tables->slot, &tables->slot_count, err);
	/* They go to the kernel in one attribute, whose size is told in 16 bits (netlink(7), struct nlattr). */
	if (!r && tables->delay_count + tables->slot_count > 30000)
		r = brunt_fail(err, EINVAL, "the two distribution files have more than 30000 values together");
	if (!r)
		*ret = BRUNT_TAKE_PTR(tables);
	return r;
}
