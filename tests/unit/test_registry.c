/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "brunt/error.h"
#include "brunt/fault.h"

static void every_injector_is_found_by_its_name_and_no_other(void **unused)
{
	(void)unused;
	for (size_t i = 0; brunt_injectors[i]; i++) {
		assert_ptr_equal(brunt_injector_find(brunt_injectors[i]->name), brunt_injectors[i]);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(brunt_injectors[i]->name, brunt_injectors[k]->name);
	}
	assert_null(brunt_injector_find("packet.dorp"));
	assert_null(brunt_injector_find(""));
}

static void every_injector_is_complete_for_its_kind_of_undo(void **unused)
{
	(void)unused;
	for (size_t i = 0; brunt_injectors[i]; i++) {
		const struct brunt_injector *in = brunt_injectors[i];

		assert_true(in->name && strchr(in->name, '.') && strlen(in->name) < 32);
		assert_true(in->summary && in->summary[0] && in->summary[strlen(in->summary) - 1] != '.');
		assert_true(in->hit_noun && in->hit_noun[0]);
		assert_true(in->targets != 0);
		assert_true(in->table && in->table->size && in->table->help);
		assert_true(in->load && in->prepare && in->arm && in->poll && in->unload && in->describe);
		assert_int_equal(in->instant, in->undo == BRUNT_UNDO_EVENT);
		assert_int_equal(!in->instant, in->disarm && in->verify && in->detach);
		in->unload(NULL);
	}
}

static void every_parameter_has_help_that_reads_as_a_phrase(void **unused)
{
	(void)unused;
	for (size_t i = 0; brunt_injectors[i]; i++)
		for (const struct brunt_param *p = brunt_injectors[i]->table->params; p->type; p++) {
			assert_true(p->key && p->help && p->help[0]);
			assert_false(isupper((unsigned char)p->help[0]) && islower((unsigned char)p->help[1]));
			assert_int_not_equal(p->help[strlen(p->help) - 1], '.');
		}
}

static bool may_ramp(const struct brunt_table *table)
{
	for (const struct brunt_param *p = table->params; p->type; p++)
		if (p->shape == BRUNT_RAMPED || (p->type == BRUNT_T_OBJECT && p->table != table && may_ramp(p->table)))
			return true;
	return false;
}

static void what_may_ramp_can_change_and_nothing_else_says_so(void **unused)
{
	(void)unused;
	for (size_t i = 0; brunt_injectors[i]; i++)
		assert_int_equal(may_ramp(brunt_injectors[i]->table), brunt_injectors[i]->change != NULL);
}

static void a_scripted_injector_comes_before_the_registry_until_taken_away(void **unused)
{
	static const struct brunt_injector scripted = { .name = "packet.drop" };
	static const struct brunt_injector *const list[] = { &scripted, NULL };

	(void)unused;
	brunt_injector_override(list);
	assert_ptr_equal(brunt_injector_find("packet.drop"), &scripted);
	assert_non_null(brunt_injector_find("process.kill"));
	brunt_injector_override(NULL);
	assert_ptr_not_equal(brunt_injector_find("packet.drop"), &scripted);
}

static void every_kind_of_undo_has_its_own_words(void **unused)
{
	(void)unused;
	assert_string_equal(brunt_undo_text(BRUNT_UNDO_KERNEL), "kernel, when brunt ends");
	for (int i = BRUNT_UNDO_KERNEL; i <= BRUNT_UNDO_EVENT; i++)
		for (int k = BRUNT_UNDO_KERNEL; k < i; k++)
			assert_string_not_equal(brunt_undo_text(i), brunt_undo_text(k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_injector_is_found_by_its_name_and_no_other),
		cmocka_unit_test(every_injector_is_complete_for_its_kind_of_undo),
		cmocka_unit_test(every_parameter_has_help_that_reads_as_a_phrase),
		cmocka_unit_test(what_may_ramp_can_change_and_nothing_else_says_so),
		cmocka_unit_test(a_scripted_injector_comes_before_the_registry_until_taken_away),
		cmocka_unit_test(every_kind_of_undo_has_its_own_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
