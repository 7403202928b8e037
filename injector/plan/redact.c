/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps secrets out of everything that is written. */
#include "plan/plan.h"

#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MIN 8 /* a line of a secret as short as "}" is no secret */

static int by_length(const void *a, const void *b)
{
	size_t a_size = strlen(*(const char *const *)a);
	size_t b_size = strlen(*(const char *const *)b);

	return a_size < b_size ? 1 : a_size > b_size ? -1 : 0;
}

/* Output is redacted line by line, so each line of a secret (a key in PEM) is one, too. */
static int add_lines(struct brunt_loader *loader, struct brunt_names *secrets, const char *value)
{
	int r = 0;

	if (!strchr(value, '\n'))
		return 0;
	while (*value && r == 0) {
		size_t size = strcspn(value, "\r\n");

		if (size >= LINE_MIN) {
			const char *line = brunt_arena_copy(loader->arena, value, size);

			r = line ? brunt_names_add(loader, secrets, line) : -ENOMEM;
		}
		value += size;
		value += strspn(value, "\r\n");
	}
	return r;
}

/* The journal is redacted line by line, too, after it was made JSON: there a quote has its backslash. */
static int add_escaped(struct brunt_loader *loader, struct brunt_names *secrets)
{
	size_t count = secrets->count;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		json_t *value = json_string_nocheck(secrets->items[i]);
		BRUNT_AUTO_FREE char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
		size_t size = text ? strlen(text) : 0;
		const char *escaped;

		json_decref(value);
		if (size < 2 || (size == strlen(secrets->items[i]) + 2))
			continue; /* in bytes that are not UTF-8 there is no JSON; nothing escaped: no second form */
		escaped = brunt_arena_copy(loader->arena, text + 1, size - 2);
		r = escaped ? brunt_names_add(loader, secrets, escaped) : -ENOMEM;
	}
	return r;
}

int brunt_plan_collect_secrets(struct brunt_loader *loader)
{
	struct brunt_names secrets = { 0 };
	int r = 0;

	for (size_t i = 0; i < loader->variable_count && r == 0; i++) {
		const struct brunt_variable *variable = loader->variables[i];
		const char *copy;

		if (!variable->secret || !variable->value[0])
			continue;
		if (strlen(variable->value) < 4)
			brunt_plan_warn(loader, &variable->place, NULL,
					"the secret '%s' is so short that hiding it will hide other text, too",
					variable->name);
		copy = brunt_arena_copy(loader->arena, variable->value, strlen(variable->value));
		if (!copy)
			return -ENOMEM;
		r = brunt_names_add(loader, &secrets, copy);
		if (r == 0)
			r = add_lines(loader, &secrets, copy);
	}
	if (r == 0)
		r = add_escaped(loader, &secrets);
	if (r < 0)
		return r;
	if (secrets.count > 1)
		qsort(secrets.items, secrets.count, sizeof(*secrets.items), by_length);
	loader->plan->secrets = secrets.items;
	return 0;
}

/* How many bytes of text a secret begins to cover here; the longest first. */
static size_t match(const char *const *secrets, const char *text, bool partial)
{
	for (size_t i = 0; secrets[i]; i++) {
		size_t same = 0;

		while (secrets[i][same] && secrets[i][same] == text[same])
			same++;
		if (!secrets[i][same])
			return same;
		if (partial && (same >= 8 || (same >= 4 && strncmp(text + same, "...", 3) == 0)))
			return same;
	}
	return 0;
}

/*
 * Covers every secret in text, overlapping ones too, each stretch by at most three stars. One pass, in
 * place: what is written never overtakes what is read. partial: so does the beginning of a secret that was cut.
 */
static void redact(const char *const *secrets, char *text, bool partial)
{
	bool first[256] = { false };
	size_t to = 0, covered_to = 0, stars = 0;

	for (size_t i = 0; secrets[i]; i++)
		first[(unsigned char)secrets[i][0]] = true;
	first[0] = false;
	for (size_t at = 0; text[at]; at++) {
		if (first[(unsigned char)text[at]]) {
			size_t size = match(secrets, text + at, partial);

			if (at + size > covered_to)
				covered_to = at + size;
		}
		if (at >= covered_to) {
			text[to++] = text[at];
			stars = 0;
		} else if (stars < 3) {
			text[to++] = '*';
			stars++;
		}
	}
	text[to] = '\0';
}

void brunt_plan_redact(const struct brunt_plan *plan, char *text)
{
	if (plan && plan->secrets && text)
		redact(plan->secrets, text, false);
}

void brunt_plan_redact_cut(const struct brunt_plan *plan, char *text)
{
	size_t size, shown;

	brunt_plan_redact(plan, text);
	if (!plan || !plan->secrets || !text)
		return;
	size = shown = strlen(text);
	for (size_t i = 0; plan->secrets[i]; i++)
		for (size_t part = strlen(plan->secrets[i]); part > size - shown; part--)
			if (part <= size && !memcmp(text + size - part, plan->secrets[i], part))
				shown = size - part;
	text[shown] = '\0';
}

static bool is_tainted(const struct brunt_loader *loader, const struct brunt_diag *diag)
{
	for (const struct brunt_taint *taint = loader->taints; taint; taint = taint->next)
		if (diag->file && diag->pointer && strcmp(diag->file, taint->file) == 0 &&
		    strcmp(diag->pointer, taint->pointer) == 0)
			return true;
	return false;
}

void brunt_plan_redact_diags(const struct brunt_loader *loader)
{
	static const char instead[] = "is not right; it holds a secret, so it is not shown";

	if (!loader->plan->secrets)
		return;
	for (size_t i = 0; i < loader->diags->count; i++) {
		struct brunt_diag *diag = &loader->diags->items[i];

		if (!diag->message)
			continue;
		if (is_tainted(loader, diag)) {
			free(diag->message);
			diag->message = strdup(instead);
		} else {
			redact(loader->plan->secrets, diag->message, true);
		}
	}
}
