/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"
#include "brunt/param.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* Allocations of the arena that still succeed before one fails; negative: all do. */
static int allocations_left = -1;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return __real_calloc(count, size);
}

/* One of every kind. */
struct part {
	const char *name;
	struct brunt_place place;
	uint64_t count;
	struct part *inner;
};

static int validate_part(const void *object, struct brunt_error *err)
{
	const struct part *part = object;

	return part->count == 13 ? brunt_fail(err, EINVAL, "a count of 13 brings bad luck") : 0;
}

static const struct brunt_table part_table;

static const struct brunt_param part_params[] = {
	BRUNT_KEY(struct part, name),
	BRUNT_PLACE(struct part, place),
	BRUNT_UINT(struct part, count, .def = "1", .help = "how many"),
	BRUNT_OBJECT(struct part, inner, struct part, &part_table, .help = "a part in a part"),
	{ 0 },
};

static const struct brunt_table part_table = { "part", "a part", part_params, sizeof(struct part), validate_part };

struct all {
	bool flag;
	bool delay_set;
	uint64_t count;
	double number;
	uint64_t delay;
	double loss;
	uint64_t memory;
	uint64_t speed;
	struct brunt_ramp lag, share, cap, tries;
	struct brunt_quantity bound;
	const char *text;
	const char *id;
	const char *file;
	const char *match;
	int direction;
	int error;
	int signal;
	struct brunt_pick pick;
	struct brunt_endpoint peer;
	struct part *part;
	json_t *any;
	struct brunt_list to;
	struct brunt_list run;
	struct brunt_list parts;
	struct brunt_list map;
	struct brunt_list env;
};

static const struct brunt_value directions[] = {
	{ "ingress", 1, "what comes in" }, { "egress", 2, "what goes out" }, { "both", 3, "all" }, { 0 }
};

static const struct brunt_param all_params[] = {
	BRUNT_BOOL(struct all, flag, .def = "true"),
	BRUNT_UINT(struct all, count, .min = 1, .max = 10, .def = "2", .help = "how often"),
	BRUNT_NUMBER(struct all, number, .def = "1.5"),
	BRUNT_DURATION(struct all, delay, .set = offsetof(struct all, delay_set), .min = 1e6, .max = 60e9,
		       .def = "200ms", .help = "added latency"),
	BRUNT_RATIO(struct all, loss, .max = 0.5, .def = "5%"),
	BRUNT_SIZE(struct all, memory, .min = 1024, .def = "64MiB"),
	BRUNT_RATE(struct all, speed, .min = 1000, .def = "1mbit"),
	BRUNT_RAMP(struct all, lag, BRUNT_T_DURATION, .min = 1e6, .max = 10e9, .def = "10ms", .help = "lag"),
	BRUNT_RAMP(struct all, share, BRUNT_T_RATIO, .def = "100%"),
	BRUNT_RAMP(struct all, cap, BRUNT_T_RATE),
	BRUNT_RAMP(struct all, tries, BRUNT_T_COUNT, .max = 100, .def = "3"),
	BRUNT_QUANTITY(struct all, bound, .def = "99%"),
	BRUNT_STRING(struct all, text, .max = 20, .def = "hello"),
	BRUNT_NAME(struct all, id, .def = "a-1"),
	BRUNT_PATH(struct all, file),
	BRUNT_REGEX(struct all, match, .def = "^ok"),
	BRUNT_ENUM(struct all, direction, .values = directions, .def = "egress"),
	BRUNT_ERRNO(struct all, error, .def = "ECONNREFUSED"),
	BRUNT_SIGNAL(struct all, signal, .def = "SIGKILL"),
	BRUNT_PICK(struct all, pick, .def = "1"),
	BRUNT_ENDPOINT(struct all, peer, .def = "10.0.0.0/8:80/tcp"),
	BRUNT_OBJECT(struct all, part, struct part, &part_table, .def = "{}"),
	BRUNT_ANY(struct all, any),
	BRUNT_LIST_OF(struct all, to, BRUNT_T_ENDPOINT, .count_max = 3, .def = "[\":80\", \":443\"]"),
	BRUNT_LIST_OF(struct all, run, BRUNT_T_STRING, .def = "true"),
	BRUNT_OBJECTS(struct all, parts, &part_table),
	BRUNT_OBJECT_MAP(struct all, map, &part_table),
	BRUNT_PAIR_LIST(struct all, env),
	{ 0 },
};

static const struct brunt_table all_table = { "all", "one of each", all_params, sizeof(struct all), NULL };

struct needy {
	uint64_t delay;
	const char *url;
};

static const struct brunt_param needy_params[] = {
	BRUNT_DURATION(struct needy, delay, .required = true),
	BRUNT_STRING(struct needy, url, .required = true, .example = "\"http://127.0.0.1/\""),
	{ 0 },
};

static const struct brunt_table needy_table = { "needy", "needs all", needy_params, sizeof(struct needy), NULL };

struct decoded {
	struct brunt_arena *arena;
	struct brunt_diags diags;
	struct brunt_doc *doc;
	struct all all;
	int result;
};

static void decode(const char *text, struct decoded *d)
{
	*d = (struct decoded){ 0 };
	assert_int_equal(brunt_arena_new(&d->arena), 0);
	if (brunt_doc_parse(text, strlen(text), "p", &d->diags, &d->doc) < 0)
		fail_msg("%s: %s", text, d->diags.items[0].message);
	const struct brunt_scope scope = { d->arena, d->doc, &d->diags, "/plans" };
	const struct brunt_part part = { &all_table, &d->all };

	d->result = brunt_param_decode(&scope, brunt_doc_root(d->doc), "", &part, 1);
}

static void done(struct decoded *d)
{
	brunt_diags_done(&d->diags);
	brunt_doc_free(d->doc);
	brunt_arena_free(d->arena);
}

static const struct brunt_param *row(const char *key)
{
	const struct brunt_param *param = all_params;

	while (strcmp(param->key, key) != 0)
		param++;
	return param;
}

static void values_are_decoded_and_written_again(void **state)
{
	static const struct {
		const char *key, *json, *printed;
	} cases[] = {
		{ "flag", "false", "false" },
		{ "flag", "\"true\"", "true" },
		{ "count", "7", "7" },
		{ "count", "\"7\"", "7" },
		{ "number", "2.25", "2.25" },
		{ "number", "\"3\"", "3" },
		{ "number", "0", "0" },
		{ "delay", "\"1.5s\"", "1.5 s" },
		{ "delay", "\"1ms\"", "1 ms" },
		{ "delay", "\"1m\"", "60 s" },
		{ "loss", "\"50%\"", "50 %" },
		{ "loss", "\"0%\"", "0 %" },
		{ "memory", "\"1.5GiB\"", "1.5 GiB" },
		{ "speed", "\"10mbit\"", "10 mbit/s" },
		{ "speed", "\"100kbps\"", "800 kbit/s" },
		{ "lag", "\"200ms\"", "200 ms" },
		{ "lag", "{\"from\": \"1ms\", \"to\": \"500ms\", \"in\": \"60s\"}", "1 ms -> 500 ms in 60 s" },
		{ "lag", "{\"// why\": 1, \"from\": \"5ms\", \"to\": \"5ms\", \"in\": \"1s\"}", "5 ms" },
		{ "share", "{\"in\": \"1m\", \"to\": \"0%\", \"from\": \"2.5%\"}", "2.5 % -> 0 % in 60 s" },
		{ "cap", "{\"from\": \"1gbit\", \"to\": \"1mbps\", \"in\": \"5s\"}", "1 gbit/s -> 8 mbit/s in 5 s" },
		{ "tries", "{\"from\": 0, \"to\": 100, \"in\": \"5s\"}", "0 -> 100 in 5 s" },
		{ "tries", "7", "7" },
		{ "bound", "\"500ms\"", "500 ms" },
		{ "bound", "17", "17" },
		{ "bound", "1e6", "1000000" },
		{ "text", "\"\"", "" },
		{ "text", "[\"a\", \"\", \"b\"]", "a\n\nb" },
		{ "text", "[]", "" },
		{ "id", "\"A.b_c-9\"", "A.b_c-9" },
		{ "file", "\"/etc/x\"", "/etc/x" },
		{ "file", "\"x/y\"", "/plans/x/y" },
		{ "file", "\".//x\"", "/plans/x" },
		{ "file", "\"../x\"", "/plans/../x" },
		{ "match", "\"lat ([0-9.]+)\\\\{$\"", "lat ([0-9.]+)\\{$" },
		{ "direction", "\"both\"", "both" },
		{ "error", "\"ENOENT\"", "ENOENT" },
		{ "error", "\"EWOULDBLOCK\"", "EAGAIN" },
		{ "error", "110", "ETIMEDOUT" },
		{ "error", "4095", "4095" },
		{ "signal", "\"KILL\"", "SIGKILL" },
		{ "signal", "\"SIGRTMIN+3\"", "SIGRTMIN+3" },
		{ "signal", "15", "SIGTERM" },
		{ "signal", "\"SIGPOLL\"", "SIGIO" },
		{ "signal", "\"CLD\"", "SIGCHLD" },
		{ "signal", "\"15\"", "SIGTERM" },
		{ "signal", "33", "33" },
		{ "pick", "3", "3" },
		{ "pick", "\"3\"", "3" },
		{ "pick", "\"12.5%\"", "12.5 %" },
		{ "pick", "\"all\"", "all" },
		{ "peer", "\"[::1]:80\"", "[::1]:80" },
		{ "to", "\"10.0.0.5\"", "10.0.0.5" },
		{ "to", "[\"10.0.0.5\", \":80-90/udp\"]", "10.0.0.5, :80-90/udp" },
		{ "to", "[]", "" },
		{ "run", "[\"./x\", \"a b\"]", "./x, a b" },
		{ "env", "{\"B\": \"2\", \"A\": [\"x\", \"y\"]}", "B=2, A=x\ny" },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct decoded d;
		char text[256], buf[256];

		(void)snprintf(text, sizeof(text), "{\"%s\": %s}", cases[i].key, cases[i].json);
		decode(text, &d);
		if (d.result != 0)
			fail_msg("%s: %s", text, d.diags.items[0].message);
		assert_int_equal(d.diags.errors, 0);
		assert_string_equal(brunt_param_print(row(cases[i].key), &d.all, buf, sizeof(buf)), cases[i].printed);
		done(&d);
	}
}

static void a_wrong_value_is_told_with_its_place(void **state)
{
	static const struct {
		const char *key, *json, *msg;
	} cases[] = {
		{ "flag", "1", "must be true or false, not a number" },
		{ "flag", "\"yes\"", "must be true or false, not a string" },
		{ "count", "0", "'0' is out of range; from 1 to 10" },
		{ "count", "11", "'11' is out of range; from 1 to 10" },
		{ "count", "-1", "'-1' is negative" },
		{ "count", "2.0", "'2.0' is not a whole number" },
		{ "count", "\"2x\"", "'2x' is not a whole number" },
		{ "count", "\"\"", "'' is not a whole number" },
		{ "count", "\"99999999999999999999\"", "'99999999999999999999' is too much" },
		{ "count", "null", "must be a whole number, such as 3; not null" },
		{ "count", "[2]", "must be a whole number, such as 3; not an array" },
		{ "number", "-0.5", "'-0.5' is negative" },
		{ "number", "\"nan\"", "'nan' is not a plain number; write for example \"7\"" },
		{ "number", "\"inf\"", "'inf' is not a plain number; write for example \"7\"" },
		{ "number", "\"5ms\"", "'5ms' is a time, where a plain number is needed; write for example \"7\"" },
		{ "delay", "200", "'200' has no unit; write \"200ms\" or \"200s\"" },
		{ "delay", "0.2", "'0.2' has no unit; write \"0.2ms\" or \"0.2s\"" },
		{ "delay", "-200", "'-200' is negative" },
		{ "delay", "\"-5ms\"", "'-5ms' is negative" },
		{ "delay", "1e300", "must be a time, such as \"200ms\"; not a number" },
		{ "delay", "\"90s\"", "'90s' is out of range; from 1 ms to 60 s" },
		{ "delay", "\"10us\"", "'10us' is out of range; from 1 ms to 60 s" },
		{ "delay", "{}", "must be a time, such as \"200ms\"; not an object" },
		{ "delay", "true", "must be a time, such as \"200ms\"; not true" },
		{ "delay", "\"2\\u00a0s\"",
		  "'2\xc2\xa0s' has an unknown unit '\xc2\xa0s'; a time is given in ns, us, ms, s, m, h, d" },
		{ "loss", "\"60%\"", "'60%' is too much; at most 50 %" },
		{ "loss", "0.3", "'0.3' has no unit; write \"30%\" or \"0.3%\"" },
		{ "memory", "\"100B\"", "'100B' is too little; at least 1 KiB" },
		{ "memory", "4096", "'4096' has no unit; write \"4096MiB\" or \"4096MB\"" },
		{ "speed", "\"7kbit\"", "'7kbit' is too little; at least 8 kbit/s" },
		{ "speed", "\"10MB\"", "'10MB' is a size, where a rate is needed; write for example \"10mbit\"" },
		{ "lag", "\"11s\"", "'11s' is out of range; from 1 ms to 10 s" },
		{ "lag", "[]",
		  "must be a time, such as \"200ms\", or a ramp { \"from\", \"to\", \"in\" }; not an array" },
		{ "lag", "{\"from\": \"1ms\", \"in\": \"60s\"}", "'to' is missing; write \"to\": \"200ms\"" },
		{ "cap", "{\"from\": \"1mbit\", \"to\": \"2mbit\"}", "'in' is missing; write \"in\": \"60s\"" },
		{ "bound", "\"fast\"",
		  "'fast' is not a quantity; write for example \"200ms\", \"5%\", \"64MiB\" or \"10mbit\"" },
		{ "bound", "-1", "'-1' is negative" },
		{ "text", "5", "must be a string, not a number" },
		{ "text", "[\"a\", 5]", "every line must be a string, not a number" },
		{ "text", "\"123456789012345678901\"", "is too long; at most 20 characters" },
		{ "id", "\"\"", "a name must not be empty" },
		{ "id", "\"-a\"", "'-a' is no name; a name begins with a letter or digit" },
		{ "id", "\"a b\"", "'a b' is no name; a name has letters, digits, '.', '_' and '-' only" },
		{ "id", "\"a\\u00e9\"", "'a\xc3\xa9' is no name; a name has letters, digits, '.', '_' and '-' only" },
		{ "id", "[\"a\"]", "must be a name, not an array" },
		{ "file", "\"\"", "a path must not be empty" },
		{ "match", "\"(\"", "is not a POSIX extended regular expression: Unmatched ( or \\(" },
		{ "match", "\"\"", "a regular expression must not be empty" },
		{ "match", "\"(a)\\\\1\"", "the regular expression has a back-reference, which is not allowed" },
		{ "match", "\"(a{1,200}){1,200}\"", "the regular expression repeats too much; at most 1000 in all" },
		{ "match", "\"a{30000}\"", "the regular expression repeats too much; at most 1000 in all" },
		{ "direction", "\"egres\"", "'egres' is none of ingress, egress, both; did you mean 'egress'?" },
		{ "direction", "\"sideways\"", "'sideways' is none of ingress, egress, both" },
		{ "direction", "1", "must be a word, not a number" },
		{ "error", "\"ECONREFUSED\"", "no errno is called 'ECONREFUSED'; did you mean 'ECONNREFUSED'?" },
		{ "error", "0", "no errno is called '0'; write for example \"ECONNREFUSED\"" },
		{ "error", "4096", "no errno has the number '4096'; they go from 1 to 4095" },
		{ "error", "-1", "no errno is called '-1'; write for example \"ECONNREFUSED\"" },
		{ "error", "1.5", "must be an errno, such as \"ECONNREFUSED\"; not a number" },
		{ "signal", "\"SIGKIL\"", "no signal is called 'SIGKIL'; did you mean 'SIGKILL'?" },
		{ "signal", "\"kill\"", "no signal is called 'kill'; did you mean 'SIGKILL'?" },
		{ "signal", "65", "no signal has the number '65'; they go from 1 to 64" },
		{ "signal", "\"\"", "no signal is called ''; write for example \"SIGTERM\"" },
		{ "pick", "0", "'0' picks nobody" },
		{ "pick", "\"0%\"", "'0%' picks nobody" },
		{ "pick", "\"half\"", "'half' is no choice; write a count such as 2, \"50%\" or \"all\"" },
		{ "pick", "\"150%\"", "'150%' is no choice; write a count such as 2, \"50%\" or \"all\"" },
		{ "pick", "-2", "'-2' is no choice; write a count such as 2, \"50%\" or \"all\"" },
		{ "peer", "80", "must be an endpoint, such as \"10.0.0.5:5432/tcp\"; not a number" },
		{ "to", "[\":1\", \":2\", \":3\", \":4\"]", "has 4 elements; at most 3 are allowed" },
		{ "part", "[]", "must be an object { ... }" },
		{ "part", "{\"count\": 13}", "a count of 13 brings bad luck" },
		{ "map", "[]", "must be an object { ... }" },
		{ "env", "\"A=b\"", "must be an object { ... } of strings" },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct decoded d;
		char text[256], pointer[32];

		(void)snprintf(text, sizeof(text), "{\"%s\":\n%s}", cases[i].key, cases[i].json);
		(void)snprintf(pointer, sizeof(pointer), "/%s", cases[i].key);
		decode(text, &d);
		if (d.result != -EINVAL || d.diags.errors != 1)
			fail_msg("%s: %d, %zu errors", text, d.result, d.diags.errors);
		assert_string_equal(d.diags.items[0].message, cases[i].msg);
		assert_string_equal(d.diags.items[0].pointer, pointer);
		assert_int_equal(d.diags.items[0].line, 2);
		assert_int_equal(d.diags.items[0].column, 1);
		done(&d);
	}
}

static void a_ramp_is_told_what_is_wrong_in_it(void **state)
{
	static const char text[] = "{\"lag\": {\"from\": \"0ms\", \"too\": \"1s\", \"in\": \"50ms\"},\n"
				   " \"share\": {\"from\": \"50ms\", \"to\": \"101%\", \"in\": 5}}";
	struct decoded d;
	char *got = NULL;
	size_t size;
	FILE *out = open_memstream(&got, &size);

	(void)state;
	decode(text, &d);
	assert_int_equal(d.result, -EINVAL);
	brunt_diags_sort(&d.diags);
	brunt_diags_print(&d.diags, out);
	(void)fclose(out);
	assert_string_equal(got,
			    "p:1:9   /lag  'to' is missing; write \"to\": \"200ms\"\n"
			    "p:1:18  /lag/from  '0ms' is out of range; from 1 ms to 10 s\n"
			    "p:1:25  /lag/too  unknown key; did you mean 'to'?\n"
			    "p:1:44  /lag/in  '50ms' is too little; at least 100 ms\n"
			    "p:2:20  /share/from  '50ms' is a time, where a ratio is needed; write for example \"5%\"\n"
			    "p:2:34  /share/to  '101%' is too much; at most 100%\n"
			    "p:2:48  /share/in  '5' has no unit; write \"5ms\" or \"5s\"\n"
			    "p: 7 errors\n");
	free(got);
	done(&d);
}

static void a_ramp_moves_in_a_straight_line(void **state)
{
	const struct brunt_ramp up = { .from = 0, .to = 500e6, .in_ns = 60 * BRUNT_S };
	const struct brunt_ramp down = { .from = 1, .to = 0.5, .in_ns = BRUNT_S };
	const struct brunt_ramp still = { .from = 7, .to = 7 };

	(void)state;
	assert_true(brunt_ramp_at(&up, 0) == 0);
	assert_true(fabs(brunt_ramp_at(&up, 30 * BRUNT_S) - 250e6) < 1);
	assert_true(brunt_ramp_at(&up, 60 * BRUNT_S - 1) < 500e6);
	assert_true(brunt_ramp_at(&up, 60 * BRUNT_S) == 500e6);
	assert_true(brunt_ramp_at(&up, UINT64_MAX) == 500e6);
	assert_true(fabs(brunt_ramp_at(&down, BRUNT_S / 4) - 0.875) < 1e-12);
	assert_true(brunt_ramp_at(&still, 0) == 7 && brunt_ramp_at(&still, BRUNT_S) == 7);
	assert_true(brunt_ramp_moves(&up) && brunt_ramp_moves(&down) && !brunt_ramp_moves(&still));
}

static void a_table_knows_how_long_its_ramps_move(void **state)
{
	struct decoded d;
	uint64_t in_ns = 1;

	(void)state;
	decode("{\"lag\": \"20ms\"}", &d);
	assert_true(d.all.lag.set && !d.all.share.set && d.all.lag.from == 20e6 && d.all.share.to == 1);
	assert_false(brunt_param_moves(&all_table, &d.all, &in_ns));
	assert_true(in_ns == 0);
	done(&d);
	decode("{\"lag\": {\"from\": \"20ms\", \"to\": \"1ms\", \"in\": \"2s\"},"
	       "\"cap\": {\"from\": \"8kbit\", \"to\": \"8mbit\", \"in\": \"1s\"},"
	       "\"share\": {\"from\": \"5%\", \"to\": \"5%\", \"in\": \"9s\"}}",
	       &d);
	assert_int_equal(d.result, 0);
	assert_true(d.all.cap.from == 1e3 && d.all.cap.to == 1e6 && d.all.cap.set);
	assert_true(brunt_param_moves(&all_table, &d.all, &in_ns));
	assert_true(in_ns == 2 * BRUNT_S);
	assert_true(brunt_param_moves(&all_table, &d.all, NULL));
	done(&d);
}

static void all_errors_are_found_each_with_its_own_place(void **state)
{
	static const char text[] =
		"{ \"delay\": 5, \"los\": \"1%\",\n"
		"  \"map\": { \"_x\": {}, \"y\": { \"count\": \"z\", \"inner\": { \"conut\": 1 } } },\n"
		"  \"parts\": [ {}, { \"count\": [] }, 7 ],\n"
		"  \"env\": { \"\": \"x\", \"A\": 5, \"\\t\": \"\" }, \"qqqqqqqq\": 1 }";
	struct decoded d;
	char *got = NULL;
	size_t size;
	FILE *out = open_memstream(&got, &size);

	(void)state;
	decode(text, &d);
	assert_int_equal(d.result, -EINVAL);
	brunt_diags_sort(&d.diags);
	brunt_diags_print(&d.diags, out);
	(void)fclose(out);
	assert_string_equal(got, "p:1:12  /delay  '5' has no unit; write \"5ms\" or \"5s\"\n"
				 "p:1:15  /los  unknown key; did you mean 'loss'?\n"
				 "p:2:12  /map/_x  '_x' is no name; a name begins with a letter or digit\n"
				 "p:2:38  /map/y/count  'z' is not a whole number\n"
				 "p:2:54  /map/y/inner/conut  unknown key; did you mean 'count'?\n"
				 "p:3:29  /parts/1/count  must be a whole number, such as 3; not an array\n"
				 "p:3:35  /parts/2  must be an object { ... }\n"
				 "p:4:12  /env/  a key must not be empty\n"
				 "p:4:26  /env/A  must be a string, not a number\n"
				 "p:4:29  /env/?  a key must not have a control character\n"
				 "p:4:41  /qqqqqqqq  unknown key\n"
				 "p: 11 errors\n");
	free(got);
	done(&d);
}

static void a_missing_key_is_told_at_its_object_with_an_example(void **state)
{
	static const char text[] = "\n {}";
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = NULL;
	struct needy needy = { 0 };
	const struct brunt_part part = { &needy_table, &needy };
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;

	(void)state;
	assert_int_equal(brunt_arena_new(&arena), 0);
	assert_int_equal(brunt_doc_parse(text, strlen(text), "p", &diags, &doc), 0);
	const struct brunt_scope scope = { arena, doc, &diags, NULL };

	assert_int_equal(brunt_param_decode(&scope, brunt_doc_root(doc), "", &part, 1), -EINVAL);
	assert_int_equal(diags.count, 2);
	assert_string_equal(diags.items[0].message, "'delay' is missing; write \"delay\": \"200ms\"");
	assert_string_equal(diags.items[1].message, "'url' is missing; write \"url\": \"http://127.0.0.1/\"");
	assert_int_equal(diags.items[1].line, 2);
	assert_int_equal(diags.items[1].column, 2);
	brunt_diags_done(&diags);
	brunt_doc_free(doc);
}

static void keys_may_belong_to_several_tables(void **state)
{
	static const char text[] = "{\"delay\": \"5ms\", \"url\": \"x\", \"coun\": 3}";
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = NULL;
	struct needy needy = { 0 };
	struct part own = { 0 };
	const struct brunt_part parts[] = { { &needy_table, &needy }, { &part_table, &own } };
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;

	(void)state;
	assert_int_equal(brunt_arena_new(&arena), 0);
	assert_int_equal(brunt_doc_parse(text, strlen(text), "p", &diags, &doc), 0);
	const struct brunt_scope scope = { arena, doc, &diags, NULL };

	assert_int_equal(brunt_param_decode(&scope, brunt_doc_root(doc), "", parts, 2), -EINVAL);
	assert_int_equal(diags.count, 1);
	assert_string_equal(diags.items[0].message, "unknown key; did you mean 'count'?");
	assert_true(needy.delay == 5000000);
	assert_string_equal(needy.url, "x");
	assert_true(own.count == 1);
	brunt_diags_done(&diags);
	brunt_doc_free(doc);
}

static void a_string_with_nul_is_refused_wherever_it_comes_from(void **state)
{
	static const char *const keys[] = { "text", "id", "file", "match", "direction", "delay", "peer", "flag" };
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;

	(void)state;
	assert_int_equal(brunt_arena_new(&arena), 0);
	for (size_t i = 0; i < BRUNT_COUNT(keys); i++) {
		struct brunt_diags diags = { 0 };
		struct all all = { 0 };
		const struct brunt_scope scope = { arena, NULL, &diags, NULL };
		const struct brunt_part part = { &all_table, &all };
		json_t *object = json_pack("{s:s#}", keys[i], "true\0x", 6);

		assert_int_equal(brunt_param_decode(&scope, object, "", &part, 1), -EINVAL);
		assert_int_equal(diags.count, 1);
		assert_string_equal(diags.items[0].message, "a string must not hold a NUL character");
		brunt_diags_done(&diags);
		json_decref(object);
	}
}

static void short_memory_while_decoding_is_told(void **state)
{
	static const char text[] = "{\"map\": {\"a\": {\"inner\": {}}}, \"parts\": [{}, {}], \"env\": {\"A\": [\"b\"]},"
				   "\"to\": [\":80\"], \"file\": \"x\", \"id\": \"y\"}";
	struct brunt_diags diags = { 0 };
	struct brunt_doc *doc = NULL;
	int n, r = -ENOMEM;

	(void)state;
	assert_int_equal(brunt_doc_parse(text, strlen(text), "p", &diags, &doc), 0);
	for (n = 0; r != 0 && n < 1000; n++) {
		BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;
		struct all all = { 0 };
		const struct brunt_part part = { &all_table, &all };

		assert_int_equal(brunt_arena_new(&arena), 0);
		const struct brunt_scope scope = { arena, doc, &diags, "/plans" };

		allocations_left = n;
		r = brunt_param_decode(&scope, brunt_doc_root(doc), "", &part, 1);
		allocations_left = -1;
		assert_true(r == 0 || r == -ENOMEM);
	}
	/* Without sanitizers one chunk of the arena holds it all. */
	assert_int_equal(r, 0);
	assert_true(n >= 2);
	assert_int_equal(diags.errors, 0);
	brunt_doc_free(doc);
}

static void defaults_are_read_like_input(void **state)
{
	static const struct {
		const char *key, *printed;
	} cases[] = {
		{ "flag", "true" },	 { "count", "2" },	    { "number", "1.5" },
		{ "delay", "200 ms" },	 { "loss", "5 %" },	    { "memory", "64 MiB" },
		{ "speed", "1 mbit/s" }, { "lag", "10 ms" },	    { "share", "100 %" },
		{ "cap", "0 bit/s" },	 { "tries", "3" },	    { "bound", "99 %" },
		{ "text", "hello" },	 { "id", "a-1" },	    { "file", "" },
		{ "match", "^ok" },	 { "direction", "egress" }, { "error", "ECONNREFUSED" },
		{ "signal", "SIGKILL" }, { "pick", "1" },	    { "peer", "10.0.0.0/8:80/tcp" },
		{ "to", ":80, :443" },	 { "run", "true" },	    { "env", "" },
	};
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;
	struct brunt_error err = { 0 };
	struct all all = { 0 };
	struct decoded d;

	(void)state;
	assert_int_equal(brunt_arena_new(&arena), 0);
	assert_int_equal(brunt_param_defaults(&all_table, &all, arena, &err), 0);
	decode("{}", &d);
	assert_int_equal(d.result, 0);
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		char buf[64];

		assert_string_equal(brunt_param_print(row(cases[i].key), &all, buf, sizeof(buf)), cases[i].printed);
		assert_string_equal(brunt_param_print(row(cases[i].key), &d.all, buf, sizeof(buf)), cases[i].printed);
	}
	assert_false(d.all.delay_set);
	assert_non_null(d.all.part);
	assert_true(d.all.part->count == 1);
	assert_null(d.all.part->inner);
	assert_null(d.all.any);
	done(&d);
	decode("{\"delay\": \"200ms\"}", &d);
	assert_true(d.all.delay_set);
	done(&d);
}

static void a_wrong_default_is_told(void **state)
{
	static const struct brunt_param params[] = { BRUNT_DURATION(struct needy, delay, .def = "5"), { 0 } };
	static const struct brunt_table table = { "t", NULL, params, sizeof(struct needy), NULL };
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;
	struct brunt_error err = { 0 };
	struct needy needy = { 0 };

	(void)state;
	assert_int_equal(brunt_arena_new(&arena), 0);
	assert_int_equal(brunt_param_defaults(&table, &needy, arena, &err), -EINVAL);
	assert_string_equal(err.msg, "the default '5' of 'delay': '5' has no unit; write \"5ms\" or \"5s\"");
}

static void maps_keep_their_order_names_and_places(void **state)
{
	struct decoded d;
	const char *const names[] = { "zeta", "alpha", "mid" };
	size_t i = 0;

	(void)state;
	decode("{\"map\": {\"zeta\": {\"count\": 1}, \"alpha\": {\"count\": 2},\n"
	       "\"mid\": {\"inner\": {\"count\": 9}}}, \"any\": [1]}",
	       &d);
	assert_int_equal(d.result, 0);
	BRUNT_FOREACH (struct part, part, d.all.map) {
		char pointer[32];

		assert_string_equal(part->name, names[i++]);
		(void)snprintf(pointer, sizeof(pointer), "/map/%s", part->name);
		assert_string_equal(part->place.pointer, pointer);
		assert_ptr_equal(part->place.doc, d.doc);
		if (i == 3)
			assert_true(part->inner->count == 9);
	}
	assert_int_equal(i, 3);
	assert_true(json_is_array(d.all.any));
	done(&d);
}

static void endpoints_are_read_and_written(void **state)
{
	static const struct {
		const char *text, *printed; /* NULL: the same */
		uint8_t family, prefix, protocol;
		uint16_t port_min, port_max;
	} cases[] = {
		{ "10.0.0.5", NULL, 4, 32, 0, 0, 0 },
		{ "10.0.0.5/32", "10.0.0.5", 4, 32, 0, 0, 0 },
		{ "10.0.0.0/8", NULL, 4, 8, 0, 0, 0 },
		{ "0.0.0.0/0", NULL, 4, 0, 0, 0, 0 },
		{ "10.0.0.5:5432/tcp", NULL, 4, 32, IPPROTO_TCP, 5432, 5432 },
		{ "10.0.0.5:5432", NULL, 4, 32, 0, 5432, 5432 },
		{ "10.0.0.5/tcp", NULL, 4, 32, IPPROTO_TCP, 0, 0 },
		{ "10.0.0.0/8/udp", NULL, 4, 8, IPPROTO_UDP, 0, 0 },
		{ "10.0.0.0/8:80-90/tcp", NULL, 4, 8, IPPROTO_TCP, 80, 90 },
		{ "10.0.0.0/9:1-65535", NULL, 4, 9, 0, 1, 65535 },
		{ ":8080/tcp", NULL, 0, 0, IPPROTO_TCP, 8080, 8080 },
		{ ":8080-8090", NULL, 0, 0, 0, 8080, 8090 },
		{ ":80-80", ":80", 0, 0, 0, 80, 80 },
		{ "/icmp", NULL, 0, 0, IPPROTO_ICMP, 0, 0 },
		{ "10.0.0.0/8/icmp", NULL, 4, 8, IPPROTO_ICMP, 0, 0 },
		{ "::1", NULL, 6, 128, 0, 0, 0 },
		{ "::/0", NULL, 6, 0, 0, 0, 0 },
		{ "fd00::/8", NULL, 6, 8, 0, 0, 0 },
		{ "fd00::/8/tcp", NULL, 6, 8, IPPROTO_TCP, 0, 0 },
		{ "fd00::5/udp", NULL, 6, 128, IPPROTO_UDP, 0, 0 },
		{ "[::1]", "::1", 6, 128, 0, 0, 0 },
		{ "[::1]:80", NULL, 6, 128, 0, 80, 80 },
		{ "[fd00::/8]:80/tcp", NULL, 6, 8, IPPROTO_TCP, 80, 80 },
		{ "[fd00::]/8:80/tcp", "[fd00::/8]:80/tcp", 6, 8, IPPROTO_TCP, 80, 80 },
		{ "[fd00::]/8", "fd00::/8", 6, 8, 0, 0, 0 },
		{ "[fd00::/8]", "fd00::/8", 6, 8, 0, 0, 0 },
		{ "[::1]/icmp", "::1/icmp", 6, 128, IPPROTO_ICMP, 0, 0 },
		{ "db.example.com:80/tcp", NULL, 0, 0, IPPROTO_TCP, 80, 80 },
		{ "localhost", NULL, 0, 0, 0, 0, 0 },
		{ "my_db-1.svc:8000-8010", NULL, 0, 0, 0, 8000, 8010 },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct brunt_endpoint e, again;
		struct brunt_error err = { 0 };
		char buf[128];

		if (brunt_endpoint_parse(cases[i].text, &e, &err) != 0)
			fail_msg("%s", err.msg);
		assert_int_equal(e.family, cases[i].family);
		assert_int_equal(e.prefix, cases[i].prefix);
		assert_int_equal(e.protocol, cases[i].protocol);
		assert_int_equal(e.port_min, cases[i].port_min);
		assert_int_equal(e.port_max, cases[i].port_max);
		assert_string_equal(brunt_endpoint_print(&e, buf, sizeof(buf)),
				    cases[i].printed ? cases[i].printed : cases[i].text);
		assert_int_equal(brunt_endpoint_parse(buf, &again, &err), 0);
		assert_memory_equal(&e, &again, sizeof(e));
	}
}

static void the_longest_endpoint_fits(void **state)
{
	struct brunt_endpoint e;
	char buf[80];
	static const char text[] = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127]:10000-65535/icmp";

	(void)state;
	assert_int_equal(
		brunt_endpoint_parse("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127]:10000-65535/udp", &e, NULL), 0);
	e.protocol = IPPROTO_ICMP;
	assert_string_equal(brunt_endpoint_print(&e, buf, sizeof(buf)), text);
	e = (struct brunt_endpoint){ 0 };
	assert_string_equal(brunt_endpoint_print(&e, buf, sizeof(buf)), "any");
}

static void wrong_endpoints_are_refused(void **state)
{
	static const struct {
		const char *text, *msg;
	} cases[] = {
		{ "", "'' is no endpoint; write for example \"10.0.0.5:5432/tcp\"" },
		{ "10.0.0.5/8", "'10.0.0.5/8' has bits set beyond its prefix; the network is \"10.0.0.0/8\"" },
		{ "10.1.2.3/0:80/tcp",
		  "'10.1.2.3/0:80/tcp' has bits set beyond its prefix; the network is \"0.0.0.0/0\"" },
		{ "[fd00::1/8]:80", "'[fd00::1/8]:80' has bits set beyond its prefix; the network is \"fd00::/8\"" },
		{ "10.0.0.0/33", "'10.0.0.0/33' has no right prefix; IPv4 has 0 to 32 bits" },
		{ "10.0.0.0/08", "'10.0.0.0/08' has no right prefix; IPv4 has 0 to 32 bits" },
		{ "10.0.0.0/", "'10.0.0.0/' has no right protocol; there are tcp, udp, icmp" },
		{ "::/129", "'::/129' has no right prefix; IPv6 has 0 to 128 bits" },
		{ "10.0.0.5:0", "'10.0.0.5:0' has no right port; ports go from 1 to 65535" },
		{ "10.0.0.5:65536", "'10.0.0.5:65536' has no right port; ports go from 1 to 65535" },
		{ "10.0.0.5:", "'10.0.0.5:' has no right port; ports go from 1 to 65535" },
		{ ":", "':' has no right port; ports go from 1 to 65535" },
		{ ":80-", "':80-' has no right port; ports go from 1 to 65535" },
		{ ":-80", "':-80' has no right port; ports go from 1 to 65535" },
		{ ":80-90-95", "':80-90-95' has no right port; ports go from 1 to 65535" },
		{ ":90-80", "':90-80' has its ports the wrong way round" },
		{ ":80/sctp", "':80/sctp' has no right protocol; there are tcp, udp, icmp" },
		{ ":80/TCP", "':80/TCP' has no right protocol; there are tcp, udp, icmp" },
		{ ":80/tcp/udp", "':80/tcp/udp' has no right port; ports go from 1 to 65535" },
		{ ":80/icmp", "':80/icmp': icmp has no ports" },
		{ "db.example.com/24:80", "'db.example.com/24:80': only an address has a prefix" },
		{ "db..example:80", "'db..example:80' has no right address or name" },
		{ "-db:80", "'-db:80' has no right address or name" },
		{ "db.5:80", "'db.5:80' has no right address or name" },
		{ "d b:80", "'d b:80' has no right address or name" },
		{ "tcp", "'tcp' has no right address or name" },
		{ "010.0.0.1", "'010.0.0.1' has no right address or name" },
		{ "10.0.0", "'10.0.0' has no right address or name" },
		{ " 10.0.0.5", "' 10.0.0.5' has no right address or name" },
		{ "10.0.0.5 ", "'10.0.0.5 ' has no right address or name" },
		{ "fe80::1%eth0", "'fe80::1%eth0' has a zone; name the interface by the target instead" },
		{ "::ffff:10.0.0.5", "'::ffff:10.0.0.5' is an IPv4 address in IPv6 clothes; write the IPv4 address" },
		{ "[::1", "'[::1' has no ']'" },
		{ "[::1]80", "'[::1]80' has text after ']' that is no port" },
		{ "[::1/128]/128:80", "'[::1/128]/128:80' has two prefixes" },
		{ "[10.0.0.5]:80", "'[10.0.0.5]:80': only an IPv6 address stands in brackets" },
		{ "[]:80", "'[]:80': only an IPv6 address stands in brackets" },
		{ "fd00::/8:80", "'fd00::/8:80': an IPv6 address with a port stands in brackets, as \"[::1]:80\"" },
		{ "10.0.0.0/8/9", "'10.0.0.0/8/9' has no right prefix; IPv4 has 0 to 32 bits" },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++) {
		struct brunt_endpoint e;
		struct brunt_error err = { 0 };

		assert_int_equal(brunt_endpoint_parse(cases[i].text, &e, &err), -EINVAL);
		assert_string_equal(err.msg, cases[i].msg);
	}
}

static void every_signal_and_errno_has_one_name(void **state)
{
	(void)state;
	assert_string_equal(brunt_signal_name(SIGTERM), "SIGTERM");
	assert_string_equal(brunt_signal_name(SIGRTMIN), "SIGRTMIN");
	assert_string_equal(brunt_signal_name(SIGRTMAX), "SIGRTMAX");
	assert_string_equal(brunt_signal_name(SIGRTMIN + 15), "SIGRTMIN+15");
	assert_string_equal(brunt_signal_name(SIGRTMAX - 14), "SIGRTMAX-14");
	assert_null(brunt_signal_name(0));
	assert_null(brunt_signal_name(65));
	/* The C library calls SIGIO by its second name. */
	for (int i = 1; i < 32; i++)
		assert_string_equal(brunt_signal_name(i) + 3, i == SIGIO ? "IO" : sigabbrev_np(i));
	assert_null(brunt_errno_name(0));
	assert_null(brunt_errno_name(4095));
	for (int i = 1; i < 200; i++) {
		const char *name = strerrorname_np(i);

		if (name)
			assert_string_equal(brunt_errno_name(i), name);
		else
			assert_null(brunt_errno_name(i));
	}
}

static void what_a_row_accepts_is_said_in_words(void **state)
{
	static const struct {
		const char *key, *text;
	} cases[] = {
		{ "flag", "true or false" },
		{ "count", "whole number, such as 3; from 1 to 10" },
		{ "delay", "duration, such as \"200ms\"; from 1 ms to 60 s" },
		{ "loss", "ratio, such as \"5%\"; at most 50 %" },
		{ "memory", "size, such as \"64MiB\"; at least 1 KiB" },
		{ "speed", "rate, such as \"10mbit\"; at least 8 kbit/s" },
		{ "lag", "duration, such as \"200ms\"; from 1 ms to 10 s; or a ramp { \"from\", \"to\", \"in\" }" },
		{ "text", "string" },
		{ "direction", "one of \"ingress\", \"egress\", \"both\"" },
		{ "to", "list of: endpoint, such as \"10.0.0.5:5432/tcp\"" },
		{ "map", "object of: object" },
		{ "env", "object of strings" },
	};
	char buf[128];

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(cases); i++)
		assert_string_equal(brunt_param_accepts(row(cases[i].key), buf, sizeof(buf)), cases[i].text);
	assert_string_equal(brunt_param_accepts(row("delay"), buf, 9), "duration");
}

/* Each alternative that is a string has a pattern or is a list of words. */
static void assert_closed(const json_t *schema)
{
	const json_t *choices = json_object_get(schema, "anyOf"), *choice;
	size_t index;

	assert_true(json_array_size(choices) >= 2);
	json_array_foreach (choices, index, choice) {
		const char *type = json_string_value(json_object_get(choice, "type"));

		if (!type)
			assert_true(json_array_size(json_object_get(choice, "enum")) > 0);
		else if (strcmp(type, "string") == 0)
			assert_non_null(json_object_get(choice, "pattern"));
	}
}

static void the_schema_says_what_the_table_says(void **state)
{
	json_t *defs = json_object();
	json_t *schema = brunt_param_schema(&all_table, defs);
	json_t *needy = brunt_param_schema(&needy_table, defs);
	const json_t *properties = json_object_get(schema, "properties");
	const json_t *count = json_object_get(properties, "count");

	(void)state;
	assert_non_null(schema);
	assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
	assert_true(json_is_true(json_object_get(json_object_get(schema, "patternProperties"), "^//")));
	assert_null(json_object_get(schema, "required"));
	assert_int_equal(json_array_size(json_object_get(needy, "required")), 2);
	/* Rows without a key are no properties. */
	assert_int_equal(json_object_size(properties), BRUNT_COUNT(all_params) - 1);
	assert_int_equal(json_integer_value(json_object_get(count, "default")), 2);
	assert_string_equal(json_string_value(json_object_get(count, "description")),
			    "how often: whole number, such as 3; from 1 to 10");
	assert_string_equal(json_string_value(json_object_get(json_object_get(properties, "part"), "$ref")),
			    "#/$defs/part");
	/* A table that holds itself ends in a reference. */
	assert_string_equal(
		json_string_value(json_object_get(
			json_object_get(json_object_get(json_object_get(defs, "part"), "properties"), "inner"),
			"$ref")),
		"#/$defs/part");
	assert_int_equal(json_object_size(defs), 1);
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(json_object_get(count, "anyOf"), 0), "maximum")), 10);
	/* Nothing that is written as a string is left open to every string, but text. */
	assert_closed(json_object_get(properties, "signal"));
	assert_closed(json_object_get(properties, "error"));
	assert_closed(json_object_get(properties, "direction"));
	assert_closed(json_object_get(properties, "count"));
	assert_closed(json_object_get(properties, "pick"));
	assert_closed(json_object_get(properties, "bound"));
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(json_object_get(json_object_get(properties, "lag"), "anyOf"), 1), "type")),
		"object");
	json_decref(schema);
	json_decref(needy);
	json_decref(defs);
}

/* Sanitizers cost several times as much. */
#if defined(__SANITIZE_ADDRESS__)
#define LIMIT 0.02
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LIMIT 0.02
#endif
#endif
#ifndef LIMIT
#define LIMIT 0.001
#endif

/* A plan of some 200 lines; the aim is far below a millisecond. */
static void a_plan_is_decoded_in_less_than_a_millisecond(void **state)
{
	char text[20000];
	int at = snprintf(text, sizeof(text), "{\n\"map\": {\n");
	double best = 1;

	(void)state;
	for (int i = 0; i < 50; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at,
			       "\"part-%d\": {\n\"// why\": \"because\",\n\"count\": %d,\n\"inner\": {} }%s\n", i,
			       i % 10, i < 49 ? "," : "");
	(void)snprintf(text + at, sizeof(text) - (size_t)at,
		       "},\n\"delay\": \"20ms\", \"to\": [\":80\", \":443\"]\n}\n");
	for (int round = 0; round < 50; round++) {
		struct timespec before, after;
		struct decoded d;
		double took;

		assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
		decode(text, &d);
		assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
		assert_int_equal(d.result, 0);
		took = (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
		best = took < best ? took : best;
		done(&d);
	}
	print_message("           %.0f us\n", best * 1e6);
	assert_true(best < LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_decoded_and_written_again),
		cmocka_unit_test(a_wrong_value_is_told_with_its_place),
		cmocka_unit_test(a_ramp_is_told_what_is_wrong_in_it),
		cmocka_unit_test(a_ramp_moves_in_a_straight_line),
		cmocka_unit_test(a_table_knows_how_long_its_ramps_move),
		cmocka_unit_test(all_errors_are_found_each_with_its_own_place),
		cmocka_unit_test(a_missing_key_is_told_at_its_object_with_an_example),
		cmocka_unit_test(keys_may_belong_to_several_tables),
		cmocka_unit_test(a_string_with_nul_is_refused_wherever_it_comes_from),
		cmocka_unit_test(short_memory_while_decoding_is_told),
		cmocka_unit_test(defaults_are_read_like_input),
		cmocka_unit_test(a_wrong_default_is_told),
		cmocka_unit_test(maps_keep_their_order_names_and_places),
		cmocka_unit_test(endpoints_are_read_and_written),
		cmocka_unit_test(the_longest_endpoint_fits),
		cmocka_unit_test(wrong_endpoints_are_refused),
		cmocka_unit_test(every_signal_and_errno_has_one_name),
		cmocka_unit_test(what_a_row_accepts_is_said_in_words),
		cmocka_unit_test(the_schema_says_what_the_table_says),
		cmocka_unit_test(a_plan_is_decoded_in_less_than_a_millisecond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
