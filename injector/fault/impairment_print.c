/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "brunt/units.h"
#include "fault/impairment.h"

struct out {
	char *buf;
	size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *out, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(out->buf + out->used, out->size - out->used, format, args);
	va_end(args);
	if (length > 0)
		out->used += (size_t)length < out->size - out->used ? (size_t)length : out->size - out->used - 1;
}

/* The beginning of another impairment. */
static void begin(struct out *out, const char *name)
{
	put(out, "%s%s", out->used ? ", " : "", name);
}

static void put_quantity(struct out *out, double value, enum brunt_dimension dimension)
{
	char buf[64];

	put(out, " %s", brunt_quantity_print(value, dimension, buf, sizeof(buf)));
}

static void put_ramp(struct out *out, const struct brunt_ramp *ramp, enum brunt_dimension dimension)
{
	/* A rate is bytes inside, and bits for people. */
	double factor = dimension == BRUNT_DIM_RATE ? 8 : 1;

	put_quantity(out, ramp->from * factor, dimension);
	if (!brunt_ramp_moves(ramp))
		return;
	put(out, " ->");
	put_quantity(out, ramp->to * factor, dimension);
	put(out, " in");
	put_quantity(out, (double)ramp->in_ns, BRUNT_DIM_TIME);
}

static void put_named(struct out *out, const char *name, double value, enum brunt_dimension dimension)
{
	put(out, " %s", name);
	put_quantity(out, value, dimension);
}

static void put_correlation(struct out *out, double correlation)
{
	if (correlation <= 0)
		return;
	put(out, " (correlation");
	put_quantity(out, correlation, BRUNT_DIM_RATIO);
	put(out, ")");
}

static bool is_asked(const struct brunt_ramp *ramp)
{
	return ramp->from > 0 || ramp->to > 0;
}

static void put_distribution(struct out *out, int distribution, const char *file)
{
	char shown[BRUNT_QUOTE_SIZE];

	if (file)
		put(out, " by '%s'", brunt_text_quote(file, shown));
	else
		put(out, " %s", brunt_distribution_name(distribution));
}

static void put_delay(struct out *out, const struct brunt_netem_params *p)
{
	if (!is_asked(&p->delay))
		return;
	begin(out, "delay");
	put_ramp(out, &p->delay, BRUNT_DIM_TIME);
	if (!is_asked(&p->jitter))
		return;
	put(out, " +-");
	put_ramp(out, &p->jitter, BRUNT_DIM_TIME);
	put_distribution(out, p->distribution, p->distribution_file);
	put_correlation(out, p->delay_correlation);
}

static void put_loss(struct out *out, const struct brunt_netem_params *p)
{
	struct brunt_impairment at;

	brunt_impairment_at(p, NULL, 0, 0, 0, &at);
	if (is_asked(&p->loss)) {
		begin(out, "loss");
		put_ramp(out, &p->loss, BRUNT_DIM_RATIO);
		put_correlation(out, p->loss_correlation);
	} else if (p->loss_state) {
		begin(out, "loss");
		put_quantity(out, brunt_impairment_loss(&at), BRUNT_DIM_RATIO);
		put(out, " in four states (p13");
		put_quantity(out, at.p13, BRUNT_DIM_RATIO);
		put_named(out, "p31", at.p31, BRUNT_DIM_RATIO);
		put_named(out, "p32", at.p32, BRUNT_DIM_RATIO);
		put_named(out, "p23", at.p23, BRUNT_DIM_RATIO);
		put_named(out, "p14", at.p14, BRUNT_DIM_RATIO);
		put(out, ")");
	} else if (p->loss_gemodel) {
		begin(out, "loss");
		put_quantity(out, brunt_impairment_loss(&at), BRUNT_DIM_RATIO);
		put(out, " in bursts (p");
		put_quantity(out, at.p, BRUNT_DIM_RATIO);
		put_named(out, "r", at.r, BRUNT_DIM_RATIO);
		put_named(out, "1-h", at.one_minus_h, BRUNT_DIM_RATIO);
		put_named(out, "1-k", at.one_minus_k, BRUNT_DIM_RATIO);
		put(out, ")");
	}
	if (p->ecn)
		put(out, " (marked where ECN allows)");
}

static void put_chance(struct out *out, const char *name, const struct brunt_ramp *ramp, double correlation)
{
	if (!is_asked(ramp))
		return;
	begin(out, name);
	put_ramp(out, ramp, BRUNT_DIM_RATIO);
	put_correlation(out, correlation);
}

static void put_rate(struct out *out, const struct brunt_netem_params *p)
{
	if (!p->rate.set)
		return;
	begin(out, "rate");
	put_ramp(out, &p->rate, BRUNT_DIM_RATE);
	if (p->packet_overhead != 0)
		put(out, " %+d bytes a packet", (int)p->packet_overhead);
	if (p->cell_size)
		put(out, " in cells of %u%+d bytes", (unsigned)p->cell_size, (int)p->cell_overhead);
}

static void put_slot(struct out *out, const struct brunt_slot *s)
{
	begin(out, "bursts every");
	if (s->has_min) {
		put_quantity(out, (double)s->min, BRUNT_DIM_TIME);
		if (s->has_max && s->max != s->min) {
			put(out, " to");
			put_quantity(out, (double)s->max, BRUNT_DIM_TIME);
		}
	} else {
		put_quantity(out, (double)s->delay, BRUNT_DIM_TIME);
		put(out, " +-");
		put_quantity(out, (double)s->jitter, BRUNT_DIM_TIME);
		put_distribution(out, s->distribution, s->distribution_file);
	}
	if (s->packets)
		put(out, " of at most %u packets", (unsigned)s->packets);
	if (s->bytes) {
		put(out, s->packets ? " and" : " of at most");
		put_quantity(out, (double)s->bytes, BRUNT_DIM_SIZE);
	}
}

const char *brunt_netem_print(const struct brunt_netem_params *p, char *buf, size_t size)
{
	struct out out = { buf, size, 0 };

	if (size)
		buf[0] = '\0';
	if (!size)
		return buf;
	put_delay(&out, p);
	put_loss(&out, p);
	put_chance(&out, "duplicate", &p->duplicate, p->duplicate_correlation);
	put_chance(&out, "corrupt", &p->corrupt, p->corrupt_correlation);
	put_chance(&out, "reorder", &p->reorder, p->reorder_correlation);
	if (p->gap > 1)
		put(&out, " every %u packets", (unsigned)p->gap);
	put_rate(&out, p);
	if (p->slot)
		put_slot(&out, p->slot);
	if (p->limit)
		put(&out, "%sat most %u packets wait", out.used ? ", " : "", (unsigned)p->limit);
	return buf;
}
