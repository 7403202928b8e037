/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded runs for the tests of story, verdict, summary and live view.
 */
#pragma once

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/text.h"
#include "brunt/error.h"
#include "brunt/story.h"
#include "brunt/units.h"

#define LAB_JOURNAL(name) "tests/journals/" name ".jsonl"
#define LAB_START	  (1000 * BRUNT_S) /* at_ns of every journal's first event */

/* All events of a journal, as an array. */
static inline json_t *lab_events(const char *path)
{
	FILE *file = fopen(path, "re");
	json_t *events = json_array();
	char *line = NULL;
	size_t size = 0;

	if (!file)
		fail_msg("no '%s': tests run from the top folder", path);
	while (getline(&line, &size, file) > 0) {
		json_t *event = json_loads(line, 0, NULL);

		assert_non_null(event);
		json_array_append_new(events, event);
	}
	free(line);
	fclose(file);
	return events;
}

static inline const char *lab_text(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? text : "";
}

/* The story of the first count events, without the one at skip (-1: none). */
static inline struct brunt_story *lab_story(const json_t *events, size_t count, long skip)
{
	struct brunt_story *story;

	assert_int_equal(brunt_story_new(&story), 0);
	for (size_t i = 0; i < count && i < json_array_size(events); i++)
		if ((long)i != skip)
			assert_int_equal(brunt_story_feed(story, json_array_get(events, i)), 0);
	return story;
}

/* The story of a journal up to a time after its start. */
static inline struct brunt_story *lab_story_until(const char *path, uint64_t after)
{
	json_t *events = lab_events(path);
	size_t count = 0;

	while (count < json_array_size(events) && (uint64_t)json_integer_value(json_object_get(
							  json_array_get(events, count), "at_ns")) <= LAB_START + after)
		count++;
	struct brunt_story *story = lab_story(events, count, -1);

	json_decref(events);
	return story;
}

/* Compares text with a golden file; with BRUNT_GOLDEN=write in the environment, writes it. */
static inline void lab_golden(const char *name, const char *text, size_t size)
{
	char path[256];
	const char *mode = getenv("BRUNT_GOLDEN");

	(void)snprintf(path, sizeof(path), "tests/journals/golden/%s", name);
	FILE *file = fopen(path, mode && !strcmp(mode, "write") ? "w" : "r");

	if (!file)
		fail_msg("cannot open '%s'", path);
	if (mode && !strcmp(mode, "write")) {
		assert_int_equal(fwrite(text, 1, size, file), size);
	} else {
		char *golden = malloc(1 << 20);
		size_t got = fread(golden, 1, (1 << 20) - 1, file);

		golden[got] = '\0';
		assert_string_equal(text, golden);
		free(golden);
	}
	fclose(file);
}

static inline void lab_locale(bool utf8)
{
	if (!setlocale(LC_CTYPE, utf8 ? "C.UTF-8" : "C"))
		fail_msg("no locale C.UTF-8 on this machine");
}
