/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan says of an impairment: what is refused, what becomes of it at a moment, distributions and their files. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/diags.h"
#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "network/impairment.h"

struct fault {
	int before; /* the part need not come first */
	struct brunt_netem_params netem;
};

static int validate(const void *object, struct brunt_error *err)
{
	return brunt_netem_validate(&((const struct fault *)object)->netem, err);
}

static const struct brunt_param rows[] = { BRUNT_NETEM_ROWS(struct fault, netem), { 0 } };
static const struct brunt_table table = { "netem", "a line", rows, sizeof(struct fault), validate };

struct decoded {
	struct brunt_arena *arena;
	struct brunt_diags diags;
	struct brunt_doc *doc;
	struct fault fault;
	int result;
};

static const struct brunt_netem_params *decode(const char *text, struct decoded *d)
{
	*d = (struct decoded){ 0 };
	assert_int_equal(brunt_arena_new(&d->arena), 0);
	if (brunt_doc_parse(text, strlen(text), "p", &d->diags, &d->doc) < 0)
		fail_msg("%s: %s", text, d->diags.items[0].message);
	const struct brunt_scope scope = { d->arena, d->doc, &d->diags, "/plans" };
	const struct brunt_part part = { &table, &d->fault };

	d->result = brunt_param_decode(&scope, brunt_doc_root(d->doc), "", &part, 1);
	return &d->fault.netem;
}

static void done(struct decoded *d)
{
	brunt_diags_done(&d->diags);
	brunt_doc_free(d->doc);
	brunt_arena_free(d->arena);
}

static struct brunt_impairment at(const char *text, uint64_t elapsed)
{
	struct brunt_impairment impairment;
	struct decoded d;
	const struct brunt_netem_params *params = decode(text, &d);

	if (d.result)
		fail_msg("%s: %s", text, d.diags.items[0].message);
	brunt_impairment_at(params, NULL, elapsed, 42, 0, &impairment);
	done(&d);
	return impairment;
}

/* ---- what makes no sense ---- */

static void what_makes_no_sense_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *json, *message;
	} cases[] = {
		{ "{}", "nothing is asked for" },
		{ "{'delay':'0ms'}", "nothing is asked for" },
		{ "{'limit':5}", "nothing is asked for" },
		{ "{'jitter':'1ms'}", "'jitter' needs 'delay'" },
		{ "{'jitter':'1ms','delay':'0ms'}", "'jitter' needs 'delay'" },
		{ "{'delay':'1ms','delay_correlation':'1%'}", "'delay_correlation' needs 'jitter'" },
		{ "{'delay':'1ms','distribution':'normal'}", "'distribution' needs 'jitter'" },
		{ "{'delay':'1ms','distribution_file':'x'}", "'distribution_file' needs 'jitter'" },
		{ "{'delay':'1ms','jitter':'1ms','distribution':'normal','distribution_file':'x'}",
		  "'distribution' and 'distribution_file' exclude" },
		{ "{'delay':'1ms','jitter':'1ms','distribution':'gauss'}", "gauss" },
		{ "{'delay':'1ms','jitter':'2.2s'}", "2.2s" },
		{ "{'delay':'11m'}", "11m" },
		{ "{'loss':'1%','loss_gemodel':{'p':'1%'}}", "only one of" },
		{ "{'loss_state':{'p13':'1%'},'loss_gemodel':{'p':'1%'}}", "only one of" },
		{ "{'loss_correlation':'1%'}", "'loss_correlation' needs 'loss'" },
		{ "{'loss_gemodel':{'p':'1%'},'loss_correlation':'1%'}", "correlation of their own" },
		{ "{'loss':'101%'}", "101%" },
		{ "{'loss':0.5}", "has no unit" },
		{ "{'ecn':true}", "'ecn' needs 'loss'" },
		{ "{'ecn':true,'delay':'1ms'}", "'ecn' needs 'loss'" },
		{ "{'duplicate_correlation':'1%'}", "needs 'duplicate'" },
		{ "{'corrupt_correlation':'1%'}", "needs 'corrupt'" },
		{ "{'reorder':'1%'}", "'reorder' needs 'delay'" },
		{ "{'delay':'1ms','reorder_correlation':'1%'}", "needs 'reorder'" },
		{ "{'delay':'1ms','gap':5}", "'gap' needs 'reorder'" },
		{ "{'packet_overhead':4}", "'packet_overhead' needs 'rate'" },
		{ "{'cell_size':'48B'}", "'cell_size' needs 'rate'" },
		{ "{'cell_overhead':5}", "'cell_overhead' needs 'rate'" },
		{ "{'rate':'1mbit','cell_overhead':5}", "'cell_overhead' needs 'cell_size'" },
		{ "{'rate':'1mbit','packet_overhead':1.5}", "'packet_overhead' must be a whole number" },
		{ "{'rate':'1mbit','cell_size':'48B','cell_overhead':2.5}", "'cell_overhead' must be a whole" },
		{ "{'rate':'1mbit','cell_size':'48B','cell_overhead':-48}", "takes away more" },
		{ "{'rate':'1mbit','packet_overhead':-35}", "-35" },
		{ "{'rate':'0mbit'}", "lets everything through" },
		{ "{'rate':{'from':'1mbit','to':'0bit','in':'1s'}}", "lets everything through" },
		{ "{'loss_state':{'p13':'60%','p14':'50%'}}", "'p13' and 'p14' are more than" },
		{ "{'loss_state':{'p13':'10%','p32':'20%'}}", "by default 1 - p13" },
		{ "{'loss_state':{'p13':'10%','p31':'90%','p32':'20%'}}", "'p31' and 'p32' are more" },
		{ "{'loss_state':{'p13':'0%'}}", "loses nothing" },
		{ "{'loss_state':{'p13':'0%','p14':'1%','p31':'1%'}}", "no burst ever begins" },
		{ "{'loss_state':{'p31':'1%'}}", "p13" },
		{ "{'loss_gemodel':{'p':'0%'}}", "loses nothing" },
		{ "{'loss_gemodel':{'p':'1%','1-h':'0%'}}", "loses nothing" },
		{ "{'slot':{}}", "'slot' needs 'min'" },
		{ "{'slot':{'max':'1ms'}}", "'max' needs 'min'" },
		{ "{'slot':{'min':'2ms','max':'1ms'}}", "'min' is more than 'max'" },
		{ "{'slot':{'min':'0ms'}}", "there are no bursts" },
		{ "{'slot':{'min':'1ms','delay':'1ms'}}", "either 'min' and 'max'" },
		{ "{'slot':{'delay':'1ms'}}", "needs both 'delay' and 'jitter'" },
		{ "{'slot':{'delay':'1ms','jitter':'1ms','distribution':'normal','distribution_file':'x'}}",
		  "exclude" },
		{ "{'slot':{'min':'1ms','packets':-1}}", "-1" },
		{ "{'delays':'1ms'}", "did you mean 'delay'" },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		BRUNT_AUTO_FREE char *text = strdup(cases[i].json);
		struct decoded d;

		for (char *p = text; *p; p++)
			if (*p == '\'')
				*p = '"';
		(void)decode(text, &d);
		if (d.result != -EINVAL || !d.diags.count || !strstr(d.diags.items[0].message, cases[i].message))
			fail_msg("%s: %s, not: %s", text, d.diags.count ? d.diags.items[0].message : "nothing",
				 cases[i].message);
		done(&d);
	}
}

/* ---- what becomes of it ---- */

static void every_number_arrives(void **state)
{
	struct brunt_impairment i;

	(void)state;
	i = at("{\"delay\":\"200ms\",\"jitter\":\"20ms\",\"delay_correlation\":\"25%\",\"distribution\":\"normal\","
	       "\"loss\":\"1%\",\"loss_correlation\":\"30%\",\"ecn\":true,\"duplicate\":\"2%\","
	       "\"duplicate_correlation\":\"31%\",\"corrupt\":\"3%\",\"corrupt_correlation\":\"32%\","
	       "\"reorder\":\"4%\",\"reorder_correlation\":\"33%\",\"gap\":5,\"rate\":\"8mbit\","
	       "\"packet_overhead\":-14,\"cell_size\":\"48B\",\"cell_overhead\":5,\"limit\":77}",
	       0);
	assert_int_equal(i.delay, 200000000);
	assert_int_equal(i.jitter, 20000000);
	assert_true(i.delay_correlation == .25);
	assert_ptr_equal(i.table, brunt_distribution_table(BRUNT_DISTRIBUTION_NORMAL));
	assert_int_equal(i.table_size, BRUNT_DISTRIBUTION_SIZE);
	assert_int_equal(i.loss_model, BRUNT_LOSS_RANDOM);
	assert_true(i.loss == .01 && i.loss_correlation == .3 && i.ecn);
	assert_true(i.duplicate == .02 && i.duplicate_correlation == .31);
	assert_true(i.corrupt == .03 && i.corrupt_correlation == .32);
	assert_true(i.reorder == .04 && i.reorder_correlation == .33);
	assert_int_equal(i.gap, 5);
	assert_int_equal(i.rate, 1000000);
	assert_int_equal(i.packet_overhead, -14);
	assert_int_equal(i.cell_size, 48);
	assert_int_equal(i.cell_overhead, 5);
	assert_int_equal(i.limit, 77);
	assert_int_equal(i.seed, 42);
	assert_false(i.slot.set);

	i = at("{\"slot\":{\"min\":\"1ms\",\"packets\":3,\"bytes\":\"9kB\"}}", 0);
	assert_true(i.slot.set && !i.slot.table);
	assert_true(i.slot.min == 1000000 && i.slot.max == 1000000);
	assert_int_equal(i.slot.packets, 3);
	assert_int_equal(i.slot.bytes, 9000);
	i = at("{\"slot\":{\"min\":\"1ms\",\"max\":\"2ms\"}}", 0);
	assert_true(i.slot.min == 1000000 && i.slot.max == 2000000);
	i = at("{\"slot\":{\"delay\":\"3ms\",\"jitter\":\"1ms\"}}", 0);
	assert_true(i.slot.delay == 3000000 && i.slot.jitter == 1000000 && i.slot.max == 0);
	assert_ptr_equal(i.slot.table, brunt_distribution_table(BRUNT_DISTRIBUTION_UNIFORM));
}

static void what_tc_fills_in_is_filled_in(void **state)
{
	struct brunt_impairment i;

	(void)state;
	i = at("{\"delay\":\"10ms\",\"reorder\":\"25%\"}", 0);
	assert_int_equal(i.gap, 1); /* netem does not reorder with gap 0 */
	i = at("{\"delay\":\"10ms\"}", 0);
	assert_true(i.gap == 0 && !i.table);
	i = at("{\"loss_state\":{\"p13\":\"1%\"}}", 0);
	assert_int_equal(i.loss_model, BRUNT_LOSS_STATE);
	assert_true(i.p13 == .01 && i.p31 == .99 && i.p32 == 0 && i.p23 == 1 && i.p14 == 0);
	i = at("{\"loss_state\":{\"p13\":\"1%\",\"p31\":\"20%\",\"p32\":\"30%\",\"p23\":\"0%\",\"p14\":\"2%\"}}", 0);
	assert_true(i.p31 == .2 && i.p32 == .3 && i.p23 == 0 && i.p14 == .02);
	i = at("{\"loss_gemodel\":{\"p\":\"1%\"}}", 0);
	assert_int_equal(i.loss_model, BRUNT_LOSS_GEMODEL);
	assert_true(i.p == .01 && i.r == .99 && i.one_minus_h == 1 && i.one_minus_k == 0);
	i = at("{\"loss_gemodel\":{\"p\":\"1%\",\"r\":\"10%\",\"1-h\":\"70%\",\"1-k\":\"0.5%\"}}", 0);
	assert_true(i.r == .1 && i.one_minus_h == .7 && i.one_minus_k == .005);
}

static void ramps_move_all_that_may_move(void **state)
{
	static const char *text = "{\"delay\":{\"from\":\"0ms\",\"to\":\"100ms\",\"in\":\"10s\"},"
				  "\"jitter\":{\"from\":\"0ms\",\"to\":\"10ms\",\"in\":\"10s\"},"
				  "\"loss\":{\"from\":\"0%\",\"to\":\"10%\",\"in\":\"10s\"},"
				  "\"duplicate\":{\"from\":\"10%\",\"to\":\"0%\",\"in\":\"10s\"},"
				  "\"corrupt\":{\"from\":\"0%\",\"to\":\"1%\",\"in\":\"10s\"},"
				  "\"reorder\":{\"from\":\"0%\",\"to\":\"50%\",\"in\":\"10s\"},"
				  "\"rate\":{\"from\":\"8mbit\",\"to\":\"80mbit\",\"in\":\"10s\"}}";
	struct brunt_impairment begin = at(text, 0), half = at(text, 5000000000u), end = at(text, 20000000000u);

	(void)state;
	assert_true(begin.delay == 0 && half.delay == 50000000 && end.delay == 100000000);
	assert_true(begin.jitter == 0 && half.jitter == 5000000 && end.jitter == 10000000);
	assert_true(begin.loss == 0 && fabs(half.loss - .05) < 1e-9 && end.loss == .1);
	assert_true(begin.duplicate == .1 && fabs(half.duplicate - .05) < 1e-9 && end.duplicate == 0);
	assert_true(begin.corrupt == 0 && fabs(half.corrupt - .005) < 1e-9 && end.corrupt == .01);
	assert_true(begin.reorder == 0 && fabs(half.reorder - .25) < 1e-9 && end.reorder == .5);
	assert_true(begin.gap == 0 && end.gap == 1);
	assert_true(begin.rate == 1000000 && half.rate == 5500000 && end.rate == 10000000);
	/* netem drops all that comes while more wait than the limit says, so it must not fall. */
	assert_true(begin.limit == half.limit && half.limit == end.limit);
}

static void the_limit_holds_what_a_fast_link_sends_during_the_delay(void **state)
{
	struct brunt_netem_params params = { .delay = { 100e6, 100e6, 0, true } };
	struct brunt_impairment i;

	(void)state;
	/* the smallest packets at 1 Gbit/s: 1.488 million in a second */
	brunt_impairment_at(&params, NULL, 0, 0, 0, &i);
	assert_in_range(i.limit, 148800, 200000);
	brunt_impairment_at(&params, NULL, 0, 0, 125000000, &i);
	assert_in_range(i.limit, 148800, 200000);
	/* full packets at 100 Gbit/s */
	brunt_impairment_at(&params, NULL, 0, 0, UINT64_C(12500000000), &i);
	assert_in_range(i.limit, 825000, 1000000);
	params.delay = (struct brunt_ramp){ 1e6, 1e6, 0, true };
	brunt_impairment_at(&params, NULL, 0, 0, 0, &i);
	assert_in_range(i.limit, 1488, 2000);
	params.delay = (struct brunt_ramp){ 1e3, 1e3, 0, true };
	brunt_impairment_at(&params, NULL, 0, 0, 0, &i);
	assert_int_equal(i.limit, 1000);
	params.delay = (struct brunt_ramp){ 600e9, 600e9, 0, true };
	brunt_impairment_at(&params, NULL, 0, 0, 0, &i);
	assert_int_equal(i.limit, 1000000);
	/* jitter counts, a table's four times, and what is sent twice */
	params = (struct brunt_netem_params){ .delay = { 10e6, 10e6, 0, true }, .jitter = { 10e6, 10e6, 0, true } };
	brunt_impairment_at(&params, NULL, 0, 0, 0, &i);
	assert_in_range(i.limit, 29761, 31000);
	params.distribution = BRUNT_DISTRIBUTION_NORMAL;
	brunt_impairment_at(&params, NULL, 0, 0, 0, &i);
	assert_in_range(i.limit, 74400, 76000);
	params.duplicate = (struct brunt_ramp){ 1, 1, 0, true };
	brunt_impairment_at(&params, NULL, 0, 0, 0, &i);
	assert_in_range(i.limit, 148800, 152000);
	/* a rate bounds what comes out; a thousand wait in front of it */
	params = (struct brunt_netem_params){ .rate = { 1.25e6, 1.25e6, 0, true }, .delay = { 1e8, 1e8, 0, true } };
	brunt_impairment_at(&params, NULL, 0, 0, 0, &i);
	assert_in_range(i.limit, 2400, 2600);
}

static void the_share_that_a_model_loses_is_known(void **state)
{
	static const struct {
		const char *json;
		double loss;
	} cases[] = {
		{ "{\"loss\":\"3%\"}", .03 },
		{ "{\"loss_gemodel\":{\"p\":\"1%\"}}", .01 },
		{ "{\"loss_gemodel\":{\"p\":\"1%\",\"r\":\"9%\"}}", .1 },
		{ "{\"loss_gemodel\":{\"p\":\"1%\",\"r\":\"9%\",\"1-h\":\"50%\",\"1-k\":\"10%\"}}", .05 + .09 },
		{ "{\"loss_gemodel\":{\"p\":\"100%\"}}", 1 },
		{ "{\"loss_state\":{\"p13\":\"1%\"}}", .01 },
		{ "{\"loss_state\":{\"p13\":\"1%\",\"p31\":\"9%\"}}", .1 },
		{ "{\"loss_state\":{\"p13\":\"0%\",\"p14\":\"100%\"}}", .5 },
		{ "{\"loss_state\":{\"p13\":\"100%\"}}", 1 },
		{ "{\"loss_state\":{\"p13\":\"10%\",\"p31\":\"0%\",\"p32\":\"20%\",\"p23\":\"60%\"}}", .75 },
		{ "{\"loss_state\":{\"p13\":\"10%\",\"p31\":\"10%\",\"p32\":\"20%\",\"p23\":\"0%\"}}", 0 },
		{ "{\"loss_state\":{\"p13\":\"10%\",\"p31\":\"20%\",\"p32\":\"30%\",\"p23\":\"40%\",\"p14\":\"5%\"}}",
		  .55 / 1.925 },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct brunt_impairment impairment = at(cases[i].json, 0);

		if (fabs(brunt_impairment_loss(&impairment) - cases[i].loss) > 1e-9)
			fail_msg("%s: %.9f, not %.9f", cases[i].json, brunt_impairment_loss(&impairment),
				 cases[i].loss);
	}
}

/* ---- distributions ---- */

static double mean_of(const int16_t *values, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += values[i] / (double)BRUNT_DISTRIBUTION_SCALE;
	return sum / (double)count;
}

static double deviation_of(const int16_t *values, size_t count)
{
	double mean = mean_of(values, count), sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += pow(values[i] / (double)BRUNT_DISTRIBUTION_SCALE - mean, 2);
	return sqrt(sum / (double)count);
}

static void tables_are_quantiles_of_their_distribution(void **state)
{
	(void)state;
	for (int d = 0; d < _BRUNT_DISTRIBUTION_MAX; d++) {
		const int16_t *values = brunt_distribution_table(d);

		for (int i = 1; i < BRUNT_DISTRIBUTION_SIZE; i++)
			if (values[i] < values[i - 1])
				fail_msg("%s goes back at %d", brunt_distribution_name(d), i);
		/* those with a long tail lose some of it to the cut, as tc's do */
		assert_true(fabs(mean_of(values, BRUNT_DISTRIBUTION_SIZE)) <
			    (d <= BRUNT_DISTRIBUTION_NORMAL ? 1e-3 : .1));
	}
	assert_true(fabs(deviation_of(brunt_distribution_table(BRUNT_DISTRIBUTION_UNIFORM), 4096) - 1 / sqrt(3)) <
		    1e-3);
	assert_true(fabs(deviation_of(brunt_distribution_table(BRUNT_DISTRIBUTION_NORMAL), 4096) - 1) < 5e-3);
	/* 68.27 % within one deviation, 95.45 % within two */
	for (int k = 1; k <= 2; k++) {
		const int16_t *values = brunt_distribution_table(BRUNT_DISTRIBUTION_NORMAL);
		int within = 0;

		for (int i = 0; i < BRUNT_DISTRIBUTION_SIZE; i++)
			within += abs(values[i]) <= k * BRUNT_DISTRIBUTION_SCALE;
		assert_true(fabs(within / 4096. - erf(k / sqrt(2))) < 1e-3);
	}
	/* the pareto's least value, its median, and its cut */
	assert_true(abs(brunt_distribution_table(BRUNT_DISTRIBUTION_PARETO)[0] - (int)(-.5 / .75 * 8192)) < 3);
	assert_true(abs(brunt_distribution_table(BRUNT_DISTRIBUTION_PARETO)[2048] -
			(int)((cbrt(2) - 1.5) / .75 * 8192)) < 5);
	assert_int_equal(brunt_distribution_table(BRUNT_DISTRIBUTION_PARETO)[4095], INT16_MAX);
	assert_null(brunt_distribution_table(-1));
	assert_null(brunt_distribution_table(_BRUNT_DISTRIBUTION_MAX));
}

static char folder[] = "/tmp/brunt-dist.XXXXXX";

static const char *path_of(void)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "%s/t.dist", folder);
	return path;
}

static const char *file_with(const char *content, size_t size)
{
	FILE *out = fopen(path_of(), "we");

	assert_non_null(out);
	assert_int_equal(fwrite(content, 1, size, out), size);
	assert_int_equal(fclose(out), 0);
	return path_of();
}

/* Where iproute2 is installed, its tables say the same as ours, but for the outermost entries. */
static void tables_agree_with_those_of_tc(void **state)
{
	static const char *const folders[] = { "/usr/lib/tc", "/usr/lib/x86_64-linux-gnu/tc", "/usr/lib64/tc",
					       "/usr/share/tc" };
	static int16_t theirs[BRUNT_DISTRIBUTION_SIZE_MAX];
	int seen = 0;

	(void)state;
	for (int d = BRUNT_DISTRIBUTION_NORMAL; d < _BRUNT_DISTRIBUTION_MAX; d++) {
		const int16_t *ours = brunt_distribution_table(d);

		for (size_t f = 0; f < BRUNT_COUNT(folders); f++) {
			struct brunt_error err;
			char path[128];
			size_t count;

			(void)snprintf(path, sizeof(path), "%s/%s.dist", folders[f], brunt_distribution_name(d));
			if (access(path, R_OK))
				continue;
			assert_int_equal(brunt_distribution_read(path, theirs, &count, &err), 0);
			assert_int_equal(count, BRUNT_DISTRIBUTION_SIZE);
			assert_true(fabs(mean_of(theirs, count) - mean_of(ours, count)) < .01);
			assert_true(fabs(deviation_of(theirs, count) - deviation_of(ours, count)) < .01);
			for (size_t i = 20; i + 20 < count; i++)
				if (abs(theirs[i] - ours[i]) > 8192 / 20)
					fail_msg("%s: entry %zu is %d, theirs %d", path, i, ours[i], theirs[i]);
			seen++;
			break;
		}
	}
	if (!seen)
		skip();
}

static void a_table_file_is_read(void **state)
{
	static const char text[] = "# a comment with 7 numbers 1 2 3\n 1 -2\t32767\r\n#\n\n-32768   0\n-0 5";
	static const int16_t expected[] = { 1, -2, 32767, -32768, 0, 0, 5 };
	static int16_t values[BRUNT_DISTRIBUTION_SIZE_MAX];
	struct brunt_error err;
	size_t count;

	(void)state;
	assert_int_equal(brunt_distribution_read(file_with(text, sizeof(text) - 1), values, &count, &err), 0);
	assert_int_equal(count, BRUNT_COUNT(expected));
	assert_memory_equal(values, expected, sizeof(expected));
}

static void a_wrong_table_file_is_told_with_its_line_and_without_its_content(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "has no values" },    { "# nothing\n", "has no values" },
		{ "1 2\n3 x\n", "line 2" }, { "1\n\n#c\n32768", "line 4" },
		{ "-32769", "line 1" },	    { "99999999999999999999", "line 1" },
		{ "1.5", "line 1" },	    { "1 2 # 3\n", "line 1" },
		{ "-", "line 1" },	    { "--1", "line 1" },
		{ "+1", "line 1" },	    { "0x10", "line 1" },
		{ "\n\nsecret", "line 3" },
	};
	static int16_t values[BRUNT_DISTRIBUTION_SIZE_MAX];
	struct brunt_error err;
	size_t count;
	char *many;

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		const char *path = file_with(cases[i].text, strlen(cases[i].text));

		assert_int_equal(brunt_distribution_read(path, values, &count, &err), -EINVAL);
		assert_non_null(strstr(err.msg, cases[i].message));
		assert_null(strstr(err.msg, "secret"));
	}
	assert_int_equal(brunt_distribution_read(file_with("1 \0 2", 5), values, &count, &err), -EINVAL);
	many = malloc(2 << 20);
	assert_non_null(many);
	memset(many, ' ', 2 << 20);
	assert_int_equal(brunt_distribution_read(file_with(many, 2 << 20), values, &count, &err), -EFBIG);
	for (int i = 0; i < 16385; i++)
		memcpy(many + 2 * i, "1\n", 2);
	assert_int_equal(brunt_distribution_read(file_with(many, 2 * 16384), values, &count, &err), 0);
	assert_int_equal(count, 16384);
	assert_int_equal(brunt_distribution_read(file_with(many, 2 * 16385), values, &count, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "line 16385: a distribution has at most 16384"));
	free(many);
	assert_int_equal(brunt_distribution_read("/nowhere/x", values, &count, &err), -ENOENT);
	assert_int_equal(brunt_distribution_read("/tmp", values, &count, &err), -EINVAL);
	assert_int_equal(brunt_distribution_read("/dev/zero", values, &count, &err), -EINVAL);
	/* a pipe that nobody writes to is not waited for */
	(void)unlink(path_of());
	assert_int_equal(mkfifo(path_of(), 0600), 0);
	assert_int_equal(brunt_distribution_read(path_of(), values, &count, &err), -EINVAL);
	(void)unlink(path_of());
}

static void files_of_a_plan_are_read_when_it_has_some(void **state)
{
	const char *path = file_with("1 2 3", 5);
	struct brunt_slot slot = { .distribution_file = path };
	struct brunt_netem_params params = { .delay = { 1e6, 1e6, 0, true }, .jitter = { 1e6, 1e6, 0, true } };
	struct brunt_netem_tables *tables;
	struct brunt_impairment i;
	struct brunt_error err;
	char *many;

	(void)state;
	assert_int_equal(brunt_netem_tables_read(&params, &tables, &err), 0);
	assert_null(tables);
	params.distribution_file = path;
	params.slot = &slot;
	slot.delay = 1;
	assert_int_equal(brunt_netem_tables_read(&params, &tables, &err), 0);
	brunt_impairment_at(&params, tables, 0, 0, 0, &i);
	assert_ptr_equal(i.table, tables->delay);
	assert_ptr_equal(i.slot.table, tables->slot);
	assert_true(i.table_size == 3 && i.slot.table_size == 3 && i.table[2] == 3 && i.slot.table[0] == 1);
	free(tables);
	slot.distribution_file = "/nowhere/x";
	assert_int_equal(brunt_netem_tables_read(&params, &tables, &err), -ENOENT);
	assert_null(tables);
	slot.distribution_file = path;
	many = malloc(2 * 16384);
	assert_non_null(many);
	for (int n = 0; n < 16384; n++)
		memcpy(many + 2 * n, "1 ", 2);
	(void)file_with(many, 2 * 16384);
	free(many);
	assert_int_equal(brunt_netem_tables_read(&params, &tables, &err), -EINVAL);
	assert_null(tables);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)unlink(path_of());
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_makes_no_sense_is_refused_with_the_reason),
		cmocka_unit_test(every_number_arrives),
		cmocka_unit_test(what_tc_fills_in_is_filled_in),
		cmocka_unit_test(ramps_move_all_that_may_move),
		cmocka_unit_test(the_limit_holds_what_a_fast_link_sends_during_the_delay),
		cmocka_unit_test(the_share_that_a_model_loses_is_known),
		cmocka_unit_test(tables_are_quantiles_of_their_distribution),
		cmocka_unit_test(tables_agree_with_those_of_tc),
		cmocka_unit_test(a_table_file_is_read),
		cmocka_unit_test(a_wrong_table_file_is_told_with_its_line_and_without_its_content),
		cmocka_unit_test(files_of_a_plan_are_read_when_it_has_some),
	};

	return cmocka_run_group_tests_name("impairment", tests, make_folder, remove_folder);
}
