/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of a parameter table: strings, names, paths, regular expressions. */
#include "base/param_reader.h"
#include "base/text.h"

#include "brunt/memory.h"

#include <errno.h>
#include <limits.h>
#include <regex.h>
#include <string.h>

#define REGEX_SIZE_MAX 1024
/* regcomp() of the GNU library copies what is repeated: a few characters can ask for all memory there is. */
#define REGEX_REPEAT_MAX 1000

bool brunt_json_has_nul(const json_t *value)
{
	return strlen(json_string_value(value)) != json_string_length(value);
}

/* The lines of an array, joined. */
static int join_lines(const struct brunt_param_reader *in, json_t *array, char **ret)
{
	size_t size = 0, index;
	json_t *line;
	char *text;

	json_array_foreach (array, index, line) {
		if (!json_is_string(line))
			return brunt_fail(in->err, EINVAL, "every line must be a string, not %s",
					  brunt_json_kind(line));
		if (brunt_json_has_nul(line))
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

static int read_text(const struct brunt_param_reader *in, json_t *value, char **to)
{
	char *text = NULL;
	int r;

	if (json_is_array(value) && in->param->type == BRUNT_T_STRING) {
		r = join_lines(in, value, &text);
		if (r < 0)
			return r;
	} else {
		if (!json_is_string(value))
			return brunt_param_fail_kind(in, value);
		if (brunt_json_has_nul(value))
			return brunt_fail(in->err, EINVAL, "a string must not hold a NUL character");
		text = brunt_arena_copy(in->scope->arena, json_string_value(value), json_string_length(value));
		if (!text)
			return -ENOMEM;
	}
	*to = text;
	return 0;
}

/* For a string, min and max are bytes. */
static int check_length(const struct brunt_param_reader *in, const char *text)
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

static int read_path(const struct brunt_param_reader *in, char *text, const char **to)
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

static int check_regex(const struct brunt_param_reader *in, const char *text)
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

int brunt_param_read_text(const struct brunt_param_reader *in, json_t *value, const char **to)
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
