/* SPDX-License-Identifier: Apache-2.0 */
/* One value of a parameter table, from JSON. */
#include "base/names.h"
#include "base/param_reader.h"
#include "base/text.h"

#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *brunt_json_kind(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	default:
		return "null";
	}
}

int brunt_param_fail_kind(const struct brunt_param_reader *in, const json_t *value)
{
	const char *example = brunt_param_example(in->param);

	if (example && in->param->shape == BRUNT_RAMPED)
		return brunt_fail(in->err, EINVAL,
				  "must be %s, such as %s, or a ramp { \"from\", \"to\", \"in\" }; not %s",
				  brunt_param_noun(in->param), example, brunt_json_kind(value));
	if (example)
		return brunt_fail(in->err, EINVAL, "must be %s, such as %s; not %s", brunt_param_noun(in->param),
				  example, brunt_json_kind(value));
	return brunt_fail(in->err, EINVAL, "must be %s, not %s", brunt_param_noun(in->param), brunt_json_kind(value));
}

static int check_range(const struct brunt_param_reader *in, double value, const char *shown)
{
	const struct brunt_param *param = in->param;
	double max = brunt_param_max(param);
	char low[64], high[64];

	if (value >= param->min && value <= max)
		return 0;
	brunt_param_limit_print(param, param->min, low, sizeof(low));
	brunt_param_limit_print(param, max, high, sizeof(high));
	if (!isinf(max) && param->min != 0)
		return brunt_fail(in->err, ERANGE, "'%s' is out of range; from %s to %s", shown, low, high);
	if (value > max)
		return brunt_fail(in->err, ERANGE, "'%s' is too much; at most %s", shown, high);
	return brunt_fail(in->err, ERANGE, "'%s' is too little; at least %s", shown, low);
}

/* A string or a number as text: jansson keeps no spelling, so a number is written again. */
static const char *text_of(json_t *value, char *buf, size_t size)
{
	size_t length;

	if (json_is_string(value))
		return json_string_value(value);
	length = json_dumpb(value, buf, size - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	buf[length < size ? length : 0] = '\0';
	return buf;
}

/* A string with exactly true or false is what a variable leaves behind; so it is for counts and numbers below. */
static int read_bool(const struct brunt_param_reader *in, json_t *value, bool *to)
{
	const char *text = json_string_value(value);

	if (json_is_boolean(value))
		*to = json_is_true(value);
	else if (text && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		*to = text[0] == 't';
	else
		return brunt_param_fail_kind(in, value);
	return 0;
}

static int read_count(const struct brunt_param_reader *in, json_t *value, uint64_t *to)
{
	uint64_t count = 0;
	char buf[64], shown[BRUNT_QUOTE_SIZE];
	const char *text, *p;
	int r;

	if (!json_is_number(value) && !json_is_string(value))
		return brunt_param_fail_kind(in, value);
	text = text_of(value, buf, sizeof(buf));
	brunt_text_quote(text, shown);
	if (text[0] == '-' && text[1] >= '0' && text[1] <= '9')
		return brunt_fail(in->err, ERANGE, "'%s' is negative", shown);
	for (p = text; *p >= '0' && *p <= '9'; p++) {
		if (count > (INT64_MAX - 9) / 10)
			return brunt_fail(in->err, ERANGE, "'%s' is too much", shown);
		count = count * 10 + (uint64_t)(*p - '0');
	}
	if (p == text || *p)
		return brunt_fail(in->err, EINVAL, "'%s' is not a whole number", shown);
	r = check_range(in, (double)count, shown);
	if (r < 0)
		return r;
	*to = count;
	return 0;
}

static int read_number(const struct brunt_param_reader *in, json_t *value, double *to)
{
	struct brunt_quantity quantity;
	char buf[64], shown[BRUNT_QUOTE_SIZE];
	double number;
	int r;

	if (!json_is_number(value) && !json_is_string(value))
		return brunt_param_fail_kind(in, value);
	brunt_text_quote(text_of(value, buf, sizeof(buf)), shown);
	if (json_is_string(value)) {
		const char *text = json_string_value(value);
		bool minus = text[0] == '-' && in->param->min < 0;

		r = brunt_quantity_parse(text + minus, BRUNT_DIM_NONE, &quantity, in->err);
		if (r < 0)
			return r;
		number = minus ? -quantity.value : quantity.value;
	} else {
		number = json_number_value(value);
	}
	if (!isfinite(number))
		return brunt_fail(in->err, EINVAL, "'%s' is not a number", shown);
	if (number < 0 && in->param->min >= 0)
		return brunt_fail(in->err, ERANGE, "'%s' is negative", shown);
	r = check_range(in, number, shown);
	if (r < 0)
		return r;
	*to = number;
	return 0;
}

static int read_quantity(const struct brunt_param_reader *in, json_t *value, enum brunt_dimension want,
			 struct brunt_quantity *to)
{
	struct brunt_quantity quantity;
	char buf[64], shown[BRUNT_QUOTE_SIZE];
	const char *text;
	int r;

	if (!json_is_number(value) && !json_is_string(value))
		return brunt_param_fail_kind(in, value);
	text = text_of(value, buf, sizeof(buf));
	/* A large or small real is written with an exponent, which no quantity has. */
	if (json_is_real(value) && strpbrk(text, "eE")) {
		if (want != _BRUNT_DIM_MAX || json_real_value(value) < 0)
			return brunt_param_fail_kind(in, value);
		quantity = (struct brunt_quantity){ json_real_value(value), BRUNT_DIM_NONE };
	} else {
		r = brunt_quantity_parse(text, want, &quantity, in->err);
		if (r < 0)
			return r;
	}
	if (in->param->type == BRUNT_T_RATE)
		quantity.value /= 8; /* units count bits, the row bytes */
	r = check_range(in, quantity.value, brunt_text_quote(text, shown));
	if (r < 0)
		return r;
	*to = quantity;
	return 0;
}

/* Nanoseconds and bytes. What is not zero does not become zero by rounding. */
static int read_whole(const struct brunt_param_reader *in, json_t *value, enum brunt_dimension want, uint64_t *to)
{
	struct brunt_quantity quantity;
	int r;

	r = read_quantity(in, value, want, &quantity);
	if (r < 0)
		return r;
	if (quantity.value > 0 && quantity.value < 1)
		*to = 1;
	else
		*to = (uint64_t)(quantity.value + 0.5);
	return 0;
}

static int read_ratio(const struct brunt_param_reader *in, json_t *value, double *to)
{
	struct brunt_quantity quantity;
	int r;

	r = read_quantity(in, value, BRUNT_DIM_RATIO, &quantity);
	if (r < 0)
		return r;
	*to = quantity.value;
	return 0;
}

static int fail_word(const struct brunt_param_reader *in, const char *text)
{
	const char *names[65];
	char list[160], shown[BRUNT_QUOTE_SIZE];
	const char *meant;
	size_t count = 0, length = 0;

	list[0] = '\0';
	for (const struct brunt_value *v = in->param->values; v && v->name; v++) {
		if (count < BRUNT_COUNT(names) - 1)
			names[count++] = v->name;
		if (length < sizeof(list))
			length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s", length ? ", " : "",
						   v->name);
	}
	if (length >= sizeof(list))
		memcpy(list + sizeof(list) - 4, "...", 4);
	names[count] = NULL;
	meant = brunt_suggest(text, names);
	brunt_text_quote(text, shown);
	if (meant)
		return brunt_fail(in->err, EINVAL, "'%s' is none of %s; did you mean '%s'?", shown, list, meant);
	return brunt_fail(in->err, EINVAL, "'%s' is none of %s", shown, list);
}

static int read_enum(const struct brunt_param_reader *in, json_t *value, int *to)
{
	const char *text = json_string_value(value);

	if (!text)
		return brunt_param_fail_kind(in, value);
	for (const struct brunt_value *v = in->param->values; v && v->name; v++) {
		if (strcmp(v->name, text) == 0) {
			*to = v->value;
			return 0;
		}
	}
	return fail_word(in, text);
}

static int read_code(const struct brunt_param_reader *in, json_t *value, int *to)
{
	char buf[64];

	if (!json_is_integer(value) && !json_is_string(value))
		return brunt_param_fail_kind(in, value);
	if (in->param->type == BRUNT_T_SIGNAL)
		return brunt_signal_parse(text_of(value, buf, sizeof(buf)), to, in->err);
	return brunt_errno_parse(text_of(value, buf, sizeof(buf)), to, in->err);
}

static int read_pick(const struct brunt_param_reader *in, json_t *value, struct brunt_pick *to)
{
	struct brunt_pick pick = { 0 };
	struct brunt_quantity quantity;
	char buf[64], shown[BRUNT_QUOTE_SIZE];
	const char *text;

	if (!json_is_number(value) && !json_is_string(value))
		return brunt_param_fail_kind(in, value);
	text = text_of(value, buf, sizeof(buf));
	brunt_text_quote(text, shown);
	if (strcmp(text, "all") == 0) {
		*to = (struct brunt_pick){ .kind = BRUNT_PICK_ALL };
		return 0;
	}
	if (text[0] && strspn(text, "0123456789") == strlen(text) && strlen(text) < 10) {
		pick.kind = BRUNT_PICK_COUNT;
		pick.count = strtoull(text, NULL, 10);
	} else {
		if (brunt_quantity_parse(text, BRUNT_DIM_RATIO, &quantity, NULL) < 0)
			return brunt_fail(in->err, EINVAL,
					  "'%s' is no choice; write a count such as 2, \"50%%\" or \"all\"", shown);
		pick.kind = BRUNT_PICK_SHARE;
		pick.share = quantity.value;
	}
	if (pick.count == 0 && !(pick.share > 0))
		return brunt_fail(in->err, EINVAL, "'%s' picks nobody", shown);
	*to = pick;
	return 0;
}

static int read_endpoint(const struct brunt_param_reader *in, json_t *value, struct brunt_endpoint *to)
{
	char shown[BRUNT_QUOTE_SIZE];
	int r;

	if (!json_is_string(value))
		return brunt_param_fail_kind(in, value);
	r = brunt_endpoint_parse(json_string_value(value), to, in->err);
	if (r || !to->host[0] || in->param->names)
		return r;
	brunt_text_quote(to->host, shown);
	return brunt_fail(in->err, EINVAL, "'%s' is no address, and names are not looked up here", shown);
}

int brunt_param_read(const struct brunt_param *param, const struct brunt_scope *scope, json_t *value, void *to,
		     struct brunt_error *err)
{
	const struct brunt_param_reader in = { param, scope, err };

	if (json_is_string(value) && brunt_json_has_nul(value) && param->type != BRUNT_T_ANY)
		return brunt_fail(err, EINVAL, "a string must not hold a NUL character");
	switch (param->type) {
	case BRUNT_T_BOOL:
		return read_bool(&in, value, to);
	case BRUNT_T_COUNT:
		return read_count(&in, value, to);
	case BRUNT_T_NUMBER:
		return read_number(&in, value, to);
	case BRUNT_T_DURATION:
		return read_whole(&in, value, BRUNT_DIM_TIME, to);
	case BRUNT_T_SIZE:
		return read_whole(&in, value, BRUNT_DIM_SIZE, to);
	case BRUNT_T_RATE:
		return read_whole(&in, value, BRUNT_DIM_RATE, to);
	case BRUNT_T_RATIO:
		return read_ratio(&in, value, to);
	case BRUNT_T_QUANTITY:
		return read_quantity(&in, value, _BRUNT_DIM_MAX, to);
	case BRUNT_T_STRING:
	case BRUNT_T_NAME:
	case BRUNT_T_PATH:
	case BRUNT_T_REGEX:
		return brunt_param_read_text(&in, value, to);
	case BRUNT_T_ENUM:
		return read_enum(&in, value, to);
	case BRUNT_T_ERRNO:
	case BRUNT_T_SIGNAL:
		return read_code(&in, value, to);
	case BRUNT_T_PICK:
		return read_pick(&in, value, to);
	case BRUNT_T_ENDPOINT:
		return read_endpoint(&in, value, to);
	case BRUNT_T_ANY:
		*(json_t **)to = value;
		return 0;
	default:
		return brunt_fail(err, EINVAL, "no value can be given here");
	}
}
