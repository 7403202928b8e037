/* SPDX-License-Identifier: Apache-2.0 */
/* Errors about things of the plan, and names that lead nowhere. */
#include "plan/plan.h"

#include "base/text.h"

#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FAULTS_MAX  128
#define NAMES_SHOWN 5 /* more than these are a list that nobody reads */

int brunt_names_add(struct brunt_loader *loader, struct brunt_names *names, const char *name)
{
	/* The size is a power of two, and doubles whenever the count (with the NULL at the end) reaches one. */
	if (names->count == 0 || ((names->count + 1) & names->count) == 0) {
		const char **items = brunt_arena_get(loader->arena, (names->count + 1) * 2 * sizeof(*items));

		if (!items)
			return -ENOMEM;
		if (names->count > 0)
			memcpy(items, names->items, names->count * sizeof(*items));
		names->items = items;
	}
	names->items[names->count++] = name;
	names->items[names->count] = NULL;
	return 0;
}

bool brunt_names_have(const struct brunt_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->items[i], name) == 0)
			return true;
	return false;
}

/* "there are 'a', 'b' and 3 more" */
static void list_names(const char *const *names, size_t count, char *buf, size_t size)
{
	size_t length;

	length = (size_t)snprintf(buf, size, "there %s ", count == 1 ? "is" : "are");
	for (size_t i = 0; i < count && i < NAMES_SHOWN && length < size; i++)
		length += (size_t)snprintf(buf + length, size - length, "%s'%s'", i > 0 ? ", " : "", names[i]);
	if (count > NAMES_SHOWN && length < size)
		(void)snprintf(buf + length, size - length, " and %zu more", count - NAMES_SHOWN);
}

const char *brunt_plan_unknown_text(const char *noun, const char *word, const char *const *names, char *buf,
				    size_t size)
{
	char shown[BRUNT_QUOTE_SIZE], list[400];
	const char *meant = names ? brunt_suggest(word, names) : NULL;
	size_t count = 0;

	while (names && names[count])
		count++;
	brunt_text_quote(word, shown);
	if (count == 0) {
		(void)snprintf(buf, size, "no %s is called '%s'; the plan has none", noun, shown);
	} else if (meant && count > NAMES_SHOWN) {
		(void)snprintf(buf, size, "no %s is called '%s'; did you mean '%s'?", noun, shown, meant);
	} else {
		list_names(names, count, list, sizeof(list));
		(void)snprintf(buf, size, "no %s is called '%s'; %s", noun, shown, list);
	}
	return buf;
}

const char *brunt_fault_unknown_text(const char *word, char *buf, size_t size)
{
	const char *names[FAULTS_MAX + 1] = { NULL };
	char shown[BRUNT_QUOTE_SIZE];
	const char *meant;

	for (size_t i = 0; i < FAULTS_MAX && brunt_injectors[i]; i++)
		names[i] = brunt_injectors[i]->name;
	meant = brunt_suggest(word, names);
	(void)snprintf(buf, size, "no fault is called '%s'; %s%s%s'brunt faults' lists them",
		       brunt_text_quote(word, shown), meant ? "did you mean '" : "", meant ? meant : "",
		       meant ? "'? " : "");
	return buf;
}

void brunt_plan_unknown(struct brunt_loader *loader, const struct brunt_place *place, const char *key, const char *noun,
			const char *word, const struct brunt_names *names)
{
	char text[512];

	brunt_plan_error(loader, place, key, "%s",
			 brunt_plan_unknown_text(noun, word, names->items, text, sizeof(text)));
}

static const char *pointer_to(const struct brunt_place *place, const char *key, char *buf, size_t size)
{
	if (!key)
		return place->pointer;
	return brunt_pointer_join(place->pointer, key, buf, size);
}

void brunt_plan_error(struct brunt_loader *loader, const struct brunt_place *place, const char *key, const char *format,
		      ...)
{
	char pointer[BRUNT_PLACE_SIZE], text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	brunt_doc_error(place->doc, loader->diags, pointer_to(place, key, pointer, sizeof(pointer)), false, "%s", text);
}

void brunt_plan_warn(struct brunt_loader *loader, const struct brunt_place *place, const char *key, const char *format,
		     ...)
{
	char pointer[BRUNT_PLACE_SIZE], text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	brunt_doc_warn(place->doc, loader->diags, pointer_to(place, key, pointer, sizeof(pointer)), false, "%s", text);
}
