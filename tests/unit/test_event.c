/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "brunt/clock.h"
#include "brunt/error.h"
#include "brunt/event.h"
#include "brunt/units.h"

static void a_new_event_has_its_name_and_both_times(void **state)
{
	(void)state;
	uint64_t before = brunt_now();
	json_t *event = brunt_event_new("phase", 0);
	uint64_t at = (uint64_t)json_integer_value(json_object_get(event, "at_ns"));
	const char *wall = json_string_value(json_object_get(event, "wall"));

	assert_string_equal(json_string_value(json_object_get(event, "event")), "phase");
	assert_true(at >= before && at <= brunt_now());
	assert_int_equal(strlen(wall), strlen("2026-03-02T10:00:47.312345+01:00"));
	assert_int_equal(wall[10], 'T');
	json_decref(event);
}

static void the_wall_clock_of_an_event_is_that_of_its_time_not_of_its_making(void **state)
{
	(void)state;
	uint64_t now = brunt_now();
	json_t *early = brunt_event_new("phase", now - 3600 * BRUNT_S), *late = brunt_event_new("phase", now);

	setenv("TZ", "UTC", 1);
	assert_true(strcmp(json_string_value(json_object_get(early, "wall")),
			   json_string_value(json_object_get(late, "wall"))) != 0);
	assert_int_equal((uint64_t)json_integer_value(json_object_get(early, "at_ns")), now - 3600 * BRUNT_S);
	json_decref(early);
	json_decref(late);
}

static void an_unknown_name_makes_no_event(void **state)
{
	(void)state;
	assert_null(brunt_event_new("phases", 0));
}

static void check(const char *text, int code, const char *message)
{
	struct brunt_error err = { 0 };
	json_t *event = json_loads(text, 0, NULL);

	assert_non_null(event);
	assert_int_equal(brunt_event_check(event, &err), code);
	if (message)
		assert_string_equal(err.msg, message);
	json_decref(event);
}

#define TIMES "\"at_ns\":1,\"wall\":\"w\""

static void the_check_finds_what_does_not_match_the_catalogue(void **state)
{
	(void)state;
	check("{\"event\":\"phase\"," TIMES ",\"phase\":\"method\"}", 0, NULL);
	check("[]", -EINVAL, "not an event: it has no 'event'");
	check("{\"event\":\"fase\"," TIMES "}", -EINVAL, "no event is called 'fase'");
	check("{\"event\":\"phase\",\"phase\":\"end\"}", -EINVAL,
	      "event 'phase' has no time: 'at_ns' and 'wall' are needed");
	check("{\"event\":\"phase\"," TIMES "}", -EINVAL, "event 'phase' lacks 'phase'");
	check("{\"event\":\"phase\"," TIMES ",\"phase\":1}", -EINVAL,
	      "field 'phase' of event 'phase' is not of type string");
	check("{\"event\":\"phase\"," TIMES ",\"phase\":\"end\",\"x\":1}", -EINVAL, "event 'phase' has no field 'x'");
}

static void an_infinite_value_is_null_and_a_missing_one_is_missing(void **state)
{
	(void)state;
	check("{\"event\":\"sample\"," TIMES ",\"sli\":\"s\",\"scheduled_ns\":1,\"took_ns\":1,\"value\":null}", 0,
	      NULL);
	check("{\"event\":\"sample\"," TIMES ",\"sli\":\"s\",\"scheduled_ns\":1,\"took_ns\":1}", 0, NULL);
	check("{\"event\":\"sample\"," TIMES ",\"sli\":\"s\",\"scheduled_ns\":1,\"took_ns\":1,\"value\":\"1\"}",
	      -EINVAL, "field 'value' of event 'sample' is not of type number or null");
}

static void every_kind_is_told_of_in_the_reference_and_uses_known_types(void **state)
{
	(void)state;
	static const char *const types[] = { "string", "integer", "number",	    "boolean",
					     "array",  "object",  "number or null", NULL };
	char *text = NULL;
	size_t size = 0, kinds = 0;
	FILE *out = open_memstream(&text, &size);

	brunt_event_reference(out);
	fclose(out);
	for (const struct brunt_event_kind *kind = brunt_event_kinds; kind->name; kind++, kinds++) {
		char title[64];

		(void)snprintf(title, sizeof(title), "## `%s`\n", kind->name);
		assert_non_null(strstr(text, title));
		for (const struct brunt_event_field *field = kind->fields; field->name; field++) {
			bool known = false;

			for (int i = 0; types[i]; i++)
				known |= !strcmp(types[i], field->type);
			assert_true(known);
		}
	}
	assert_true(kinds > 20);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_event_has_its_name_and_both_times),
		cmocka_unit_test(the_wall_clock_of_an_event_is_that_of_its_time_not_of_its_making),
		cmocka_unit_test(an_unknown_name_makes_no_event),
		cmocka_unit_test(the_check_finds_what_does_not_match_the_catalogue),
		cmocka_unit_test(an_infinite_value_is_null_and_a_missing_one_is_missing),
		cmocka_unit_test(every_kind_is_told_of_in_the_reference_and_uses_known_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
