/* SPDX-License-Identifier: Apache-2.0 */
#include "syscall/rule.h"

#include <math.h>
#include <string.h>

#include "brunt/clock.h"

#define DELAY_MAX UINT64_C(3600000000000)

static double unit(struct brunt_random *random)
{
	return (double)(brunt_random_next(random) >> 11) * 0x1p-53;
}

/* Each decision has a stream of its own, so that no decision depends on how many were drawn before. */
static void begin(struct brunt_random *random, const struct brunt_call_rule *rule, uint64_t process, uint64_t n)
{
	struct brunt_random of_process = { .state = rule->seed ^ process * UINT64_C(0xd1342543de82ef95) };
	struct brunt_random of_call = { .state = brunt_random_next(&of_process) ^ n * UINT64_C(0xaf251af3b0f025b5) };

	random->state = brunt_random_next(&of_call);
}

static uint64_t draw_delay(const struct brunt_call_rule *rule, struct brunt_random *random)
{
	uint64_t mean = __atomic_load_n(&rule->delay, __ATOMIC_RELAXED);
	double drawn = (double)mean, a = unit(random), b = unit(random);

	switch (rule->distribution) {
	case BRUNT_DELAY_NORMAL: /* Box and Muller */
		drawn += (double)rule->spread * sqrt(-2 * log(1 - a)) * cos(2 * M_PI * b);
		break;
	case BRUNT_DELAY_EXPONENTIAL:
		drawn *= -log(1 - a);
		break;
	default:
		drawn += (double)rule->spread * (2 * a - 1);
	}
	return drawn < 0 ? 0 : drawn > (double)DELAY_MAX ? DELAY_MAX : (uint64_t)drawn;
}

static bool has_come(const struct brunt_call_rule *rule, uint64_t n, uint64_t hits)
{
	uint64_t first = rule->first ? rule->first : 1, every = rule->every ? rule->every : 1;

	return n >= first && (!rule->last || n <= rule->last) && !((n - first) % every) &&
	       (!rule->times || hits < rule->times);
}

void brunt_call_rule_decide(const struct brunt_call_rule *rule, uint64_t process, uint64_t n, uint64_t hits,
			    struct brunt_outcome *ret)
{
	struct brunt_random random;
	double probability;

	memset(ret, 0, sizeof(*ret));
	if (!has_come(rule, n, hits))
		return;
	begin(&random, rule, process, n);
	__atomic_load(&rule->probability, &probability, __ATOMIC_RELAXED);
	if (unit(&random) >= probability)
		return;
	ret->hit = true;
	if (rule->errno_count) {
		ret->answered = true;
		ret->code = rule->errnos[brunt_random_below(&random, rule->errno_count)];
	} else if (rule->gives_value) {
		ret->answered = true;
		ret->value = rule->value;
	}
	if (rule->delay || rule->spread)
		ret->delay = draw_delay(rule, &random);
}

/* One bracket expression at *at; *at is moved behind it. A bracket that is never closed stands for itself. */
static bool match_bracket(const char **at, char c)
{
	const char *p = *at + 1, *begin;
	bool inverse = *p == '!' || *p == '^', found = false;

	p += inverse;
	begin = p;
	for (; *p && (*p != ']' || p == begin); p++) {
		if (p[1] == '-' && p[2] && p[2] != ']') {
			found |= (unsigned char)*p <= (unsigned char)c && (unsigned char)c <= (unsigned char)p[2];
			p += 2;
		} else {
			found |= *p == c;
		}
	}
	if (!*p) {
		(*at)++;
		return c == '[';
	}
	*at = p + 1;
	return found != inverse;
}

static bool match_one(const char **pattern, char c)
{
	switch (**pattern) {
	case '?':
		(*pattern)++;
		return true;
	case '[':
		return match_bracket(pattern, c);
	case '\\':
		if ((*pattern)[1])
			(*pattern)++;
		/* fall through */
	default:
		return *(*pattern)++ == c;
	}
}

bool brunt_wildcard_match(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text) {
		const char *next = pattern;

		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern && match_one(&next, *text)) {
			pattern = next;
			text++;
		} else if (star) {
			/* the last star takes one more; those before it need not be tried again */
			pattern = star;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
