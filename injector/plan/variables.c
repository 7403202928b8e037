/* SPDX-License-Identifier: Apache-2.0 */
/* Where the variables of a plan get their values from. */
#include "plan/plan.h"

#include "base/param.h"
#include "base/text.h"

#include "brunt/error.h"
#include "brunt/json.h"
#include "brunt/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE_MAX     (64 * 1024) /* bytes of one variable */
#define VARIABLES_MAX 256

static struct brunt_variable *find_variable(const struct brunt_loader *loader, const char *name, size_t size)
{
	for (size_t i = 0; i < loader->variable_count; i++)
		if (strncmp(loader->variables[i]->name, name, size) == 0 && !loader->variables[i]->name[size])
			return loader->variables[i];
	return NULL;
}

/* An error was told about it: strings with it in them are not judged. */
static void give_up(struct brunt_variable *variable)
{
	variable->value = "";
	variable->broken = true;
}

/* A path as it was probably written: without the folder that it is relative to. */
static const char *shown_path(const struct brunt_loader *loader, const struct brunt_variable *variable)
{
	for (size_t i = 0; i < loader->file_count; i++) {
		const char *dir = loader->files[i].dir;
		size_t size = strlen(dir);

		if (loader->files[i].doc == variable->place.doc && strncmp(variable->file, dir, size) == 0 &&
		    variable->file[size] == '/' && variable->file[size + 1])
			return variable->file + size + 1;
	}
	return variable->file;
}

/* Reads a small text file. 0, -ENOENT, or -EINVAL with a phrase, or -ENOMEM. */
static int read_value(struct brunt_arena *arena, const char *path, const char **ret, struct brunt_error *err)
{
	BRUNT_AUTO_FREE char *text = NULL;
	BRUNT_AUTO_CLOSE int fd = -1;
	struct stat st;
	size_t size = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return brunt_fail(err, EINVAL, "cannot be read: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return brunt_fail(err, EINVAL, "is not a regular file");
	text = malloc(VALUE_MAX + 2);
	if (!text)
		return -ENOMEM;
	while (size <= VALUE_MAX + 1) {
		ssize_t n = read(fd, text + size, VALUE_MAX + 2 - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return brunt_fail(err, EINVAL, "cannot be read: %s", strerror(errno));
		if (n == 0)
			break;
		size += (size_t)n;
	}
	if (size > 0 && text[size - 1] == '\n')
		size--;
	if (size > VALUE_MAX)
		return brunt_fail(err, EINVAL, "is too large; at most 64 KiB");
	if (memchr(text, 0, size))
		return brunt_fail(err, EINVAL, "holds a NUL byte");
	*ret = brunt_arena_copy(arena, text, size);
	return *ret ? 0 : -ENOMEM;
}

/* JSON strings are UTF-8, whatever a variable holds. */
static bool is_utf8(const char *text)
{
	size_t size = strlen(text);

	while (size > 0) {
		size_t step = brunt_utf8_size(text, size);

		if (step == 0)
			return false;
		text += step;
		size -= step;
	}
	return true;
}

/* Adds the variables that one file declares. */
static int declare(struct brunt_loader *loader, struct brunt_file *file)
{
	const struct brunt_scope scope = { loader->arena, file->doc, loader->diags, file->dir };
	json_t *variables = json_object_get(brunt_doc_root(file->doc), "variables");
	const char *name;
	json_t *value;
	int r;

	json_object_foreach (variables, name, value) {
		struct brunt_variable *variable = brunt_arena_get(loader->arena, sizeof(*variable));
		const struct brunt_part part = { &brunt_variable_table, variable };
		char pointer[BRUNT_PLACE_SIZE];
		struct brunt_error err = { 0 };

		if (!variable)
			return -ENOMEM;
		brunt_pointer_join("/variables", name, pointer, sizeof(pointer));
		if (brunt_name_check(name, &err) < 0) {
			brunt_doc_error(file->doc, loader->diags, pointer, true, "%s", err.msg);
			continue;
		}
		if (find_variable(loader, name, strlen(name))) {
			brunt_doc_error(file->doc, loader->diags, pointer, true,
					"variable '%s' is defined in '%s' too; files add, they never override", name,
					brunt_doc_name(find_variable(loader, name, strlen(name))->place.doc));
			continue;
		}
		if (loader->variable_count == VARIABLES_MAX) {
			brunt_doc_error(file->doc, loader->diags, pointer, true, "a plan has at most %d variables",
					VARIABLES_MAX);
			return 0;
		}
		r = brunt_param_decode(&scope, value, pointer, &part, 1);
		if (r == -ENOMEM)
			return r;
		variable->name = brunt_arena_copy(loader->arena, name, strlen(name));
		variable->place.doc = file->doc;
		variable->place.pointer = brunt_arena_copy(loader->arena, pointer, strlen(pointer));
		if (!variable->name || !variable->place.pointer)
			return -ENOMEM;
		/* Something is known to be wrong with it: no more is said, whether it has a value or not. */
		if (r < 0)
			give_up(variable);
		loader->variables[loader->variable_count++] = variable;
	}
	return 0;
}

/* What --var and --var-file do not find is told without a place. */
static void unknown_option(struct brunt_loader *loader, const char *option, const char *name)
{
	const char *names[VARIABLES_MAX + 1];
	char text[512];

	for (size_t i = 0; i < loader->variable_count; i++)
		names[i] = loader->variables[i]->name;
	names[loader->variable_count] = NULL;
	brunt_doc_error(NULL, loader->diags, "", false, "%s: %s", option,
			brunt_plan_unknown_text("variable", name, names, text, sizeof(text)));
}

/* One --var (or, from_file, --var-file). */
static int take_option(struct brunt_loader *loader, const char *option, const char *text, bool from_file)
{
	const char *equals = strchr(text, '=');
	struct brunt_error err = { 0 };
	struct brunt_variable *variable;
	char name[BRUNT_QUOTE_SIZE];
	int r;

	if (!equals || equals == text) {
		brunt_doc_error(NULL, loader->diags, "", false, "%s: write it as name=%s", option,
				from_file ? "path" : "value");
		return 0;
	}
	variable = find_variable(loader, text, (size_t)(equals - text));
	if (!variable) {
		(void)snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
		unknown_option(loader, option, name);
		return 0;
	}
	if (variable->secret && !from_file) {
		brunt_doc_error(NULL, loader->diags, "", false,
				"%s: '%s' is secret, and a command line is seen by everyone; use --var-file", option,
				variable->name);
		give_up(variable);
		return 0;
	}
	if (!from_file) {
		variable->value = equals + 1;
		return 0;
	}
	r = read_value(loader->arena, equals + 1, &variable->value, &err);
	if (r == -ENOMEM)
		return r;
	if (r == -ENOENT)
		brunt_doc_error(NULL, loader->diags, "", false, "%s: '%.160s': no such file", option, equals + 1);
	else if (r < 0)
		brunt_doc_error(NULL, loader->diags, "", false, "%s: '%.160s' %s", option, equals + 1, err.msg);
	if (r < 0)
		give_up(variable);
	return 0;
}

static void tell_valueless(struct brunt_loader *loader, const struct brunt_variable *variable)
{
	if (variable->env)
		brunt_plan_error(loader, &variable->place, NULL,
				 "variable '%s' has no value; set %s in the environment, or give --var%s %s=...",
				 variable->name, variable->env, variable->secret ? "-file" : "", variable->name);
	else
		brunt_plan_error(loader, &variable->place, NULL, "variable '%s' has no value; give --var%s %s=%s",
				 variable->name, variable->secret ? "-file" : "", variable->name,
				 variable->secret ? "path" : "value");
}

/* From environment, file or default, in that order. */
static int find_value(struct brunt_loader *loader, struct brunt_variable *variable)
{
	struct brunt_error err = { 0 };
	int r;

	if (!variable->value && variable->env)
		variable->value = getenv(variable->env);
	if (!variable->value && variable->file) {
		r = read_value(loader->arena, variable->file, &variable->value, &err);
		if (r == -ENOMEM)
			return r;
		if (r == -ENOENT && !variable->fallback) {
			brunt_plan_error(loader, &variable->place, "file", "no such file '%.160s'",
					 shown_path(loader, variable));
			give_up(variable);
		} else if (r < 0 && r != -ENOENT) {
			brunt_plan_error(loader, &variable->place, "file", "'%.160s' %s", shown_path(loader, variable),
					 err.msg);
			give_up(variable);
		}
	}
	if (!variable->value)
		variable->value = variable->fallback;
	if (!variable->value) {
		tell_valueless(loader, variable);
		give_up(variable);
	}
	if (strlen(variable->value) > VALUE_MAX) {
		brunt_plan_error(loader, &variable->place, NULL, "variable '%s' is too large; at most 64 KiB",
				 variable->name);
		give_up(variable);
	}
	if (!is_utf8(variable->value)) {
		brunt_plan_error(loader, &variable->place, NULL, "the value of variable '%s' is not valid UTF-8",
				 variable->name);
		give_up(variable);
	}
	return 0;
}

int brunt_plan_read_variables(struct brunt_loader *loader)
{
	const char *const *option;
	int r = 0;

	loader->variables = brunt_arena_get(loader->arena, VARIABLES_MAX * sizeof(struct brunt_variable *));
	if (!loader->variables)
		return -ENOMEM;
	for (size_t i = 0; i < loader->file_count && r == 0; i++)
		if (loader->files[i].doc)
			r = declare(loader, &loader->files[i]);
	for (option = loader->options->vars; option && *option && r == 0; option++)
		r = take_option(loader, "--var", *option, false);
	for (option = loader->options->var_files; option && *option && r == 0; option++)
		r = take_option(loader, "--var-file", *option, true);
	for (size_t i = 0; i < loader->variable_count && r == 0; i++)
		r = find_value(loader, loader->variables[i]);
	return r < 0 ? r : brunt_plan_collect_secrets(loader);
}
