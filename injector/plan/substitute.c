/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts variables into the strings of the plan: "${name}" anywhere in a value,
 * never in a key; "$$" is a "$"; any other "$" stands for itself, so that
 * regular expressions and shell lines need no escaping.
 */
#include "plan/plan.h"

#include "base/text.h"

#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define EXPANDED_MAX (4 * 1024 * 1024) /* bytes that variables may bring in, in all */

struct output {
	char *text;
	size_t size, room;
};

static void free_output(struct output *out)
{
	free(out->text);
}

static int append(struct output *out, const char *text, size_t size)
{
	if (out->size + size + 1 > out->room) {
		size_t room = (out->size + size + 1) * 2;
		char *grown = realloc(out->text, room);

		if (!grown)
			return -ENOMEM;
		out->text = grown;
		out->room = room;
	}
	memcpy(out->text + out->size, text, size);
	out->size += size;
	out->text[out->size] = '\0';
	return 0;
}

/* Messages that quote the string cut it, or change its control characters; then nobody would know the secret again. */
static int taint(struct brunt_loader *loader, const struct brunt_doc *doc, const char *pointer, const char *text)
{
	char shown[BRUNT_QUOTE_SIZE];
	struct brunt_taint *mark;

	if (strcmp(brunt_text_quote(text, shown), text) == 0)
		return 0;
	mark = brunt_arena_get(loader->arena, sizeof(*mark));
	if (!mark)
		return -ENOMEM;
	mark->file = brunt_doc_name(doc);
	mark->pointer = brunt_arena_copy(loader->arena, pointer, strlen(pointer));
	if (!mark->pointer)
		return -ENOMEM;
	mark->next = loader->taints;
	loader->taints = mark;
	return 0;
}

/* A variable in it was wrong, and that was told. */
static int blur(struct brunt_loader *loader, const struct brunt_doc *doc, const char *pointer)
{
	struct brunt_blur *mark = brunt_arena_get(loader->arena, sizeof(*mark));

	if (!mark)
		return -ENOMEM;
	mark->file = brunt_doc_name(doc);
	mark->pointer = brunt_arena_copy(loader->arena, pointer, strlen(pointer));
	if (!mark->pointer)
		return -ENOMEM;
	mark->next = loader->blurs;
	loader->blurs = mark;
	return 0;
}

/* Is a diagnostic at pointer about the string at blurred, or about the object that it stands in? */
static bool is_about(const char *pointer, const char *blurred)
{
	size_t size = strlen(pointer);

	if (strncmp(blurred, pointer, size) != 0)
		return false;
	return !blurred[size] || (size > 0 && blurred[size] == '/' && !strchr(blurred + size + 1, '/'));
}

void brunt_plan_drop_blurred(const struct brunt_loader *loader, size_t first)
{
	struct brunt_diags *diags = loader->diags;

	for (const struct brunt_blur *blurred = loader->blurs; blurred; blurred = blurred->next) {
		for (size_t i = first; i < diags->count; i++) {
			struct brunt_diag *diag = &diags->items[i];

			if (diag->warning || !diag->file || !diag->pointer || strcmp(diag->file, blurred->file) != 0 ||
			    !is_about(diag->pointer, blurred->pointer))
				continue;
			free(diag->file);
			free(diag->pointer);
			free(diag->message);
			memmove(diag, diag + 1, (diags->count - i - 1) * sizeof(*diag));
			diags->count--;
			diags->errors--;
			i--;
		}
	}
}

/* The value of name (size bytes of it), or NULL after an error. */
static struct brunt_variable *lookup(struct brunt_loader *loader, const struct brunt_doc *doc, const char *pointer,
				     const char *name, size_t size)
{
	char word[BRUNT_QUOTE_SIZE], text[512];
	BRUNT_AUTO_FREE const char **names = NULL;

	for (size_t i = 0; i < loader->variable_count; i++) {
		struct brunt_variable *variable = loader->variables[i];

		if (strlen(variable->name) == size && memcmp(variable->name, name, size) == 0)
			return variable;
	}
	names = calloc(loader->variable_count + 1, sizeof(*names));
	for (size_t i = 0; names && i < loader->variable_count; i++)
		names[i] = loader->variables[i]->name;
	(void)snprintf(word, sizeof(word), "%.*s", (int)(size < sizeof(word) ? size : sizeof(word) - 1), name);
	brunt_doc_error(doc, loader->diags, pointer, false, "%s; for the text itself write \"$${%s}\"",
			brunt_plan_unknown_text("variable", word, names, text, sizeof(text)), word);
	return NULL;
}

/* One "${name}" at *p; moves *p behind it. */
static int expand(struct brunt_loader *loader, const struct brunt_doc *doc, const char *pointer, const char **p,
		  struct output *out, bool *secret)
{
	const char *name = *p + 2;
	const char *end = strchr(name, '}');
	struct brunt_variable *variable;
	size_t size;

	if (!end || end == name) {
		brunt_doc_error(doc, loader->diags, pointer, false, "%s; for the text itself write \"$${\"",
				end ? "'${}' names no variable" : "'${' without '}'");
		*p = end ? end + 1 : name + strlen(name);
		return blur(loader, doc, pointer);
	}
	*p = end + 1;
	variable = lookup(loader, doc, pointer, name, (size_t)(end - name));
	if (!variable || variable->broken) {
		if (variable)
			variable->used = true;
		return blur(loader, doc, pointer);
	}
	variable->used = true;
	*secret |= variable->secret;
	size = strlen(variable->value);
	if (loader->expanded + size > EXPANDED_MAX) {
		if (loader->expanded <= EXPANDED_MAX)
			brunt_doc_error(doc, loader->diags, pointer, false,
					"variables bring in too much text; at most 4 MiB in all");
		loader->expanded = EXPANDED_MAX + 1;
		return 0;
	}
	loader->expanded += size;
	return append(out, variable->value, size);
}

/* A secret in a command line would be seen by everyone who lists processes. */
static void check_exposed(struct brunt_loader *loader, const struct brunt_doc *doc, const char *pointer)
{
	static const char *const commands[] = {
		"/services/*/run", "/services/*/run/*", "/services/*/prepare",	    "/services/*/prepare/*",
		"/finally/*/run",  "/finally/*/run/*",	"/slis/*/command/run",	    "/slis/*/command/run/*",
		"/method/*/run",   "/method/*/run/*",	"/method/*/parallel/*/run", "/method/*/parallel/*/run/*",
	};
	char object[BRUNT_PLACE_SIZE];

	for (size_t i = 0; i < BRUNT_COUNT(commands); i++) {
		if (fnmatch(commands[i], pointer, FNM_PATHNAME | FNM_NOESCAPE))
			continue;
		(void)snprintf(object, sizeof(object), "%s", pointer);
		/* Messages about the string itself are not shown, as they may quote it. */
		*strrchr(object, '/') = '\0';
		brunt_doc_error(doc, loader->diags, object, false,
				"a secret stands in a command line, which everyone can see; give it to a service in "
				"'env', or let the command read its file");
		return;
	}
}

static int substitute_string(struct brunt_loader *loader, const struct brunt_doc *doc, json_t *string,
			     const char *pointer)
{
	BRUNT_CLEANUP(free_output) struct output out = { 0 };
	const char *p = json_string_value(string);
	bool secret = false;
	int r = 0;

	if (!strchr(p, '$'))
		return 0;
	while (*p && r == 0) {
		size_t plain = strcspn(p, "$");

		if (p[0] == '$' && p[1] == '{') {
			r = expand(loader, doc, pointer, &p, &out, &secret);
		} else if (p[0] == '$') {
			r = append(&out, "$", 1);
			p += p[1] == '$' ? 2 : 1;
		} else {
			r = append(&out, p, plain);
			p += plain;
		}
	}
	if (r == 0 && json_string_setn(string, out.text ? out.text : "", out.size) < 0)
		r = -ENOMEM;
	if (secret)
		check_exposed(loader, doc, pointer);
	if (r == 0 && secret)
		r = taint(loader, doc, pointer, json_string_value(string));
	return r;
}

/* pointer: a buffer of BRUNT_PLACE_SIZE bytes, as it was when this returns. */
static int substitute_value(struct brunt_loader *loader, const struct brunt_doc *doc, json_t *value, char *pointer)
{
	size_t length = strlen(pointer);
	const char *key;
	json_t *child;
	size_t index;
	int r = 0;

	if (json_is_string(value))
		return substitute_string(loader, doc, value, pointer);
	json_array_foreach (value, index, child) {
		char number[24];

		(void)snprintf(number, sizeof(number), "%zu", index);
		brunt_pointer_join(pointer, number, pointer, BRUNT_PLACE_SIZE);
		r = substitute_value(loader, doc, child, pointer);
		pointer[length] = '\0';
		if (r < 0)
			return r;
	}
	json_object_foreach (value, key, child) {
		brunt_pointer_join(pointer, key, pointer, BRUNT_PLACE_SIZE);
		r = substitute_value(loader, doc, child, pointer);
		pointer[length] = '\0';
		if (r < 0)
			return r;
	}
	return r;
}

int brunt_plan_substitute(struct brunt_loader *loader)
{
	for (size_t i = 0; i < loader->file_count; i++) {
		const struct brunt_doc *doc = loader->files[i].doc;
		const char *key;
		json_t *value;

		if (!doc)
			continue;
		json_object_foreach (brunt_doc_root(doc), key, value) {
			char pointer[BRUNT_PLACE_SIZE];
			int r;

			/* These are read before variables have values. */
			if (strcmp(key, "variables") == 0 || strcmp(key, "include") == 0)
				continue;
			brunt_pointer_join("", key, pointer, sizeof(pointer));
			r = substitute_value(loader, doc, value, pointer);
			if (r < 0)
				return r;
		}
	}
	for (size_t i = 0; i < loader->variable_count; i++)
		if (!loader->variables[i]->used)
			brunt_plan_warn(loader, &loader->variables[i]->place, NULL, "variable '%s' is never used",
					loader->variables[i]->name);
	return 0;
}
