/* SPDX-License-Identifier: Apache-2.0 */
/* One value of a parameter table, from JSON. */
#include "base/names.h"
#include "base/param.h"
#include "base/text.h"

#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#define REGEX_SIZE_MAX 1024
/* regcomp() of the GNU library copies what is repeated: a few characters can ask for all memory there is. */
#define REGEX_REPEAT_MAX 1000

struct reader {
	const struct brunt_param *param;
	const struct brunt_scope *scope;
	struct brunt_error *err;
};

static const char *json_kind(const json_t *value)
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

static int fail_kind(const struct reader *in, const json_t *value)
{
	const char *example = brunt_param_example(in->param);

	if (example)
		return brunt_fail(in->err, EINVAL, "must be %s, such as %s; not %s", brunt_param_noun(in->param),
				  example, json_kind(value));
	return brunt_fail(in->err, EINVAL, "must be %s, not %s", brunt_param_noun(in->param), json_kind(value));
}

static int check_range(const struct reader *in, double value, const char *shown)
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

static bool has_nul(const json_t *value)
{
	return strlen(json_string_value(value)) != json_string_length(value);
}

/* A string with exactly true or false is what a variable leaves behind; so it is for counts and numbers below. */
static int read_bool(const struct reader *in, json_t *value, bool *to)
{
	const char *text = json_string_value(value);

	if (json_is_boolean(value))
		*to = json_is_true(value);
	else if (text && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		*to = text[0] == 't';
	else
		return fail_kind(in, value);
	return 0;
}

static int read_count(const struct reader *in, json_t *value, uint64_t *to)
{
	uint64_t count = 0;
	char buf[64], shown[BRUNT_QUOTE_SIZE];
	const char *text, *p;
	int r;

	if (!json_is_number(value) && !json_is_string(value))
		return fail_kind(in, value);
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

static int read_number(const struct reader *in, json_t *value, double *to)
{
	struct brunt_quantity quantity;
	char buf[64], shown[BRUNT_QUOTE_SIZE];
	double number;
	int r;

	if (!json_is_number(value) && !json_is_string(value))
		return fail_kind(in, value);
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

static int read_quantity(const struct reader *in, json_t *value, enum brunt_dimension want, struct brunt_quantity *to)
{
	struct brunt_quantity quantity;
	char buf[64], shown[BRUNT_QUOTE_SIZE];
	const char *text;
	int r;

	if (!json_is_number(value) && !json_is_string(value))
		return fail_kind(in, value);
	text = text_of(value, buf, sizeof(buf));
	/* A large or small real is written with an exponent, which no quantity has. */
	if (json_is_real(value) && strpbrk(text, "eE")) {
		if (want != _BRUNT_DIM_MAX || json_real_value(value) < 0)
			return fail_kind(in, value);
		quantity = (struct brunt_quantity){ json_real_value(value), BRUNT_DIM_NONE };
	} else {
		r = brunt_quantity_parse(text, want, &quantity, in->err);
		if (r < 0)
			return r;
	}
	r = check_range(in, quantity.value, brunt_text_quote(text, shown));
	if (r < 0)
		return r;
	*to = quantity;
	return 0;
}

/* Nanoseconds and bytes. What is not zero does not become zero by rounding. */
static int read_whole(const struct reader *in, json_t *value, enum brunt_dimension want, uint64_t *to)
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

static int read_ratio(const struct reader *in, json_t *value, double *to)
{
	struct brunt_quantity quantity;
	int r;

	r = read_quantity(in, value, BRUNT_DIM_RATIO, &quantity);
	if (r < 0)
		return r;
	*to = quantity.value;
	return 0;
}

/* The lines of an array, joined. */
static int join_lines(const struct reader *in, json_t *array, char **ret)
{
	size_t size = 0, index;
	json_t *line;
	char *text;

	json_array_foreach (array, index, line) {
		if (!json_is_string(line))
			return brunt_fail(in->err, EINVAL, "every line must be a string, not %s", json_kind(line));
		if (has_nul(line))
			return brunt_fail(in->err, EINVAL, "a string must not hold a NUL character");
		size += json_string_length(line) + 1;
	}
	text = brunt_arena_get(in->scope->arena, size + 1);
	if (!text)
		return -ENOMEM;
	*ret = text;
	json_array_foreach (array, index, line) {
		if (index > 0)
			*text++ = '\n';
		memcpy(text, json_string_value(line), json_string_length(line));
		text += json_string_length(line);
	}
	return 0;
}

static int read_text(const struct reader *in, json_t *value, char **to)
{
	char *text = NULL;
	int r;

	if (json_is_array(value) && in->param->type == BRUNT_T_STRING) {
		r = join_lines(in, value, &text);
		if (r < 0)
			return r;
	} else {
		if (!json_is_string(value))
			return fail_kind(in, value);
		if (has_nul(value))
			return brunt_fail(in->err, EINVAL, "a string must not hold a NUL character");
		text = brunt_arena_copy(in->scope->arena, json_string_value(value), json_string_length(value));
		if (!text)
			return -ENOMEM;
	}
	*to = text;
	return 0;
}

/* For a string, min and max are bytes. */
static int check_length(const struct reader *in, const char *text)
{
	double length = (double)strlen(text);

	if (length < in->param->min) {
		if (length == 0)
			return brunt_fail(in->err, ERANGE, "must not be empty");
		return brunt_fail(in->err, ERANGE, "is too short; at least %.0f characters", in->param->min);
	}
	if (length > brunt_param_max(in->param))
		return brunt_fail(in->err, ERANGE, "is too long; at most %.0f characters", in->param->max);
	return 0;
}

int brunt_name_check(const char *text, struct brunt_error *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	char shown[BRUNT_QUOTE_SIZE];
	size_t length = strlen(text);

	if (length > 0 && length <= 64 && strspn(text, letters) == length && !strchr("._-", text[0]))
		return 0;
	brunt_text_quote(text, shown);
	if (length == 0)
		return brunt_fail(err, EINVAL, "a name must not be empty");
	if (length > 64)
		return brunt_fail(err, EINVAL, "'%s' is too long for a name; at most 64 characters", shown);
	if (strchr("._-", text[0]))
		return brunt_fail(err, EINVAL, "'%s' is no name; a name begins with a letter or digit", shown);
	return brunt_fail(err, EINVAL, "'%s' is no name; a name has letters, digits, '.', '_' and '-' only", shown);
}

static int read_path(const struct reader *in, char *text, const char **to)
{
	const char *dir = in->scope->dir;
	char *path = text;

	if (!text[0])
		return brunt_fail(in->err, EINVAL, "a path must not be empty");
	if (text[0] != '/' && dir) {
		while (text[0] == '.' && text[1] == '/')
			for (text++; *text == '/'; text++)
				;
		path = brunt_arena_print(in->scope->arena, "%s%s%s", dir,
					 dir[0] && dir[strlen(dir) - 1] == '/' ? "" : "/", text);
		if (!path)
			return -ENOMEM;
	}
	if (strlen(path) >= PATH_MAX)
		return brunt_fail(in->err, ENAMETOOLONG, "the path is too long; at most %d characters", PATH_MAX - 1);
	*to = path;
	return 0;
}

/* The product of all {n,m} in a regular expression, as regcomp() would unroll them when they stood in each other. */
static uint64_t count_repeats(const char *text)
{
	uint64_t product = 1;

	for (; *text; text++) {
		uint64_t bound = 0, largest = 1;

		if (*text == '\\' && text[1]) {
			text++;
			continue;
		}
		if (*text != '{')
			continue;
		for (text++; (*text >= '0' && *text <= '9') || *text == ','; text++) {
			bound = *text == ',' ? 0 : bound * 10 + (uint64_t)(*text - '0');
			if (bound > REGEX_REPEAT_MAX)
				return bound;
			if (bound > largest)
				largest = bound;
		}
		product *= largest;
		if (product > REGEX_REPEAT_MAX)
			return product;
		text--;
	}
	return product;
}

static bool has_back_reference(const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' && text[1] && *++text >= '1' && *text <= '9')
			return true;
	}
	return false;
}

static int check_regex(const struct reader *in, const char *text)
{
	regex_t regex;
	char why[128];
	int r;

	if (!text[0])
		return brunt_fail(in->err, EINVAL, "a regular expression must not be empty");
	if (strlen(text) > REGEX_SIZE_MAX)
		return brunt_fail(in->err, EINVAL, "the regular expression is too long; at most %d characters",
				  REGEX_SIZE_MAX);
	if (count_repeats(text) > REGEX_REPEAT_MAX)
		return brunt_fail(in->err, EINVAL, "the regular expression repeats too much; at most %d in all",
				  REGEX_REPEAT_MAX);
	/* They are no part of POSIX extended expressions, and matching them can take for ever. */
	if (has_back_reference(text))
		return brunt_fail(in->err, EINVAL, "the regular expression has a back-reference, which is not allowed");
	r = regcomp(&regex, text, REG_EXTENDED | REG_NOSUB);
	if (r == REG_ESPACE)
		return -ENOMEM;
	if (r != 0) {
		(void)regerror(r, NULL, why, sizeof(why));
		return brunt_fail(in->err, EINVAL, "is not a POSIX extended regular expression: %s", why);
	}
	regfree(&regex);
	return 0;
}

static int read_string(const struct reader *in, json_t *value, const char **to)
{
	char *text = NULL;
	int r;

	r = read_text(in, value, &text);
	if (r < 0)
		return r;
	r = check_length(in, text);
	if (r < 0)
		return r;
	switch (in->param->type) {
	case BRUNT_T_NAME:
		r = brunt_name_check(text, in->err);
		break;
	case BRUNT_T_REGEX:
		r = check_regex(in, text);
		break;
	case BRUNT_T_PATH:
		return read_path(in, text, to);
	default:
		break;
	}
	if (r < 0)
		return r;
	*to = text;
	return 0;
}

static int fail_word(const struct reader *in, const char *text)
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

static int read_enum(const struct reader *in, json_t *value, int *to)
{
	const char *text = json_string_value(value);

	if (!text)
		return fail_kind(in, value);
	for (const struct brunt_value *v = in->param->values; v && v->name; v++) {
		if (strcmp(v->name, text) == 0) {
			*to = v->value;
			return 0;
		}
	}
	return fail_word(in, text);
}

static int read_code(const struct reader *in, json_t *value, int *to)
{
	char buf[64];

	if (!json_is_integer(value) && !json_is_string(value))
		return fail_kind(in, value);
	if (in->param->type == BRUNT_T_SIGNAL)
		return brunt_signal_parse(text_of(value, buf, sizeof(buf)), to, in->err);
	return brunt_errno_parse(text_of(value, buf, sizeof(buf)), to, in->err);
}

static int read_pick(const struct reader *in, json_t *value, struct brunt_pick *to)
{
	struct brunt_pick pick = { 0 };
	struct brunt_quantity quantity;
	char buf[64], shown[BRUNT_QUOTE_SIZE];
	const char *text;

	if (!json_is_number(value) && !json_is_string(value))
		return fail_kind(in, value);
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

static int read_endpoint(const struct reader *in, json_t *value, struct brunt_endpoint *to)
{
	if (!json_is_string(value))
		return fail_kind(in, value);
	return brunt_endpoint_parse(json_string_value(value), to, in->err);
}

int brunt_param_read(const struct brunt_param *param, const struct brunt_scope *scope, json_t *value, void *to,
		     struct brunt_error *err)
{
	const struct reader in = { param, scope, err };

	if (json_is_string(value) && has_nul(value) && param->type != BRUNT_T_ANY)
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
	case BRUNT_T_RATIO:
		return read_ratio(&in, value, to);
	case BRUNT_T_QUANTITY:
		return read_quantity(&in, value, _BRUNT_DIM_MAX, to);
	case BRUNT_T_STRING:
	case BRUNT_T_NAME:
	case BRUNT_T_PATH:
	case BRUNT_T_REGEX:
		return read_string(&in, value, to);
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
