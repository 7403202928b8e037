/* SPDX-License-Identifier: Apache-2.0 */
/* A load that runs out of memory, at each allocation in turn: it says so, and leaves nothing behind. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan/plan.h"

#include "brunt/json.h"

static long left = -1; /* allocations that succeed; -1: all */

static bool fails(void)
{
	if (left < 0)
		return false;
	if (left == 0)
		return true;
	left--;
	return false;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

static const char plan_text[] =
	"{ \"schema\": 1, \"name\": \"x\", \"variables\": { \"a\": { \"default\": \"80\", \"secret\": true } }, "
	"\"services\": { \"s\": { \"run\": [\"x\", \"y\"], \"env\": { \"A\": \"${a}\" } }, \"t\": { \"run\": \"x\", \"after\": \"s\" } }, "
	"\"targets\": { \"web\": { \"process\": { \"name\": \"web\" } } }, "
	"\"slis\": { \"site\": { \"tcp\": { \"connect\": \"127.0.0.1:${a}\" }, \"every\": \"100ms\" } }, "
	"\"guardrails\": [ { \"sli\": \"site\", \"of\": \"success\", \"over\": \"2s\", \"min\": \"50%\" } ], "
	"\"method\": [ { \"parallel\": [ { \"fault\": \"packet.drop\", \"on\": \"web\", \"to\": [\"10.0.0.1:80\"], \"hold\": \"1s\" } ] }, "
	"{ \"expect\": { \"sli\": \"site\", \"max\": \"1s\" } } ] }";

static int load(const char *text, struct brunt_plan **ret)
{
	struct brunt_diags diags = { 0 };
	int r = brunt_plan_load_text(text, strlen(text), "x.json", "/tmp", NULL, &diags, ret);

	brunt_diags_done(&diags);
	return r;
}

/* Fails the nth allocation and all after it, for every n, until the load succeeds. */
static void fail_each(const char *text, int wanted)
{
	long n;
	int r = -ENOMEM;

	json_set_alloc_funcs(__wrap_malloc, free);
	for (n = 0; n < 100000; n++) {
		struct brunt_plan *plan = NULL;

		left = n;
		r = load(text, &plan);
		if (left > 0) { /* enough */
			left = -1;
			brunt_plan_free(plan);
			break;
		}
		left = -1;
		assert_true(r == -ENOMEM || r == wanted);
		assert_true((r == 0) == (plan != NULL));
		brunt_plan_free(plan);
	}
	assert_true(n > 10);
	assert_int_equal(r, wanted);
}

static void a_right_plan_without_memory_is_no_wrong_plan(void **state)
{
	(void)state;
	fail_each(plan_text, 0);
}

static void a_wrong_plan_without_memory_is_never_accepted(void **state)
{
	(void)state;
	fail_each(
		"{ \"schema\": 1, \"nmae\": \"x\", \"slis\": { \"a\": { } }, \"method\": [ { \"observe\": \"${x}\" }, { \"run\": 5 } ] }",
		-EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_plan_without_memory_is_no_wrong_plan),
		cmocka_unit_test(a_wrong_plan_without_memory_is_never_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
