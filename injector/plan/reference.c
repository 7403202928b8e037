/* SPDX-License-Identifier: Apache-2.0 */
/* The reference pages in Markdown, from the tables that parse. */
#include "plan/plan.h"

#include "base/param.h"

#include <stdio.h>
#include <string.h>

#define TABLES_MAX 64

/* Tables in the order in which they are met, each once. */
struct tables {
	const struct brunt_table *items[TABLES_MAX];
	size_t count;
};

static void collect(struct tables *tables, const struct brunt_table *table)
{
	for (size_t i = 0; i < tables->count; i++)
		if (tables->items[i] == table)
			return;
	if (tables->count == TABLES_MAX)
		return;
	tables->items[tables->count++] = table;
	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END; param++)
		if (param->table)
			collect(tables, param->table);
}

/* Text in a cell of a table: a bar would end it. */
static void put_cell(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			(void)fputc('\\', out);
		(void)fputc(*text, out);
	}
}

static void put_accepts(FILE *out, const struct brunt_param *param)
{
	char text[512];

	if (param->type == BRUNT_T_OBJECT) {
		(void)fprintf(out, "%s[`%s`](#%s)",
			      param->shape == BRUNT_MAP	   ? "object of: "
			      : param->shape == BRUNT_LIST ? "list of: "
							   : "",
			      param->table->name, param->table->name);
		return;
	}
	if (param->type == BRUNT_T_ANY) {
		(void)fprintf(out, "list of: [`step`](#step)");
		return;
	}
	put_cell(out, brunt_param_accepts(param, text, sizeof(text)));
}

static void put_row(FILE *out, const struct brunt_param *param)
{
	(void)fprintf(out, "| `%s` | ", param->key);
	put_accepts(out, param);
	(void)fprintf(out, " | %s", param->required ? "required" : "");
	if (param->def) {
		(void)fputc('`', out);
		put_cell(out, param->def);
		(void)fputc('`', out);
	}
	(void)fprintf(out, " | ");
	put_cell(out, param->help ? param->help : "");
	(void)fprintf(out, " |\n");
}

static void put_words(FILE *out, const struct brunt_param *param)
{
	(void)fprintf(out, "\n`%s` is one of:\n\n", param->key);
	for (const struct brunt_value *value = param->values; value->name; value++)
		(void)fprintf(out, "- `%s`: %s\n", value->name, value->help ? value->help : "");
}

static bool has_rows(const struct brunt_table *table)
{
	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END; param++)
		if (param->key)
			return true;
	return false;
}

static void put_rows(FILE *out, const struct brunt_table *table)
{
	if (!has_rows(table))
		return;
	(void)fprintf(out, "\n| key | value | default | meaning |\n|---|---|---|---|\n");
	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END; param++)
		if (param->key)
			put_row(out, param);
	for (const struct brunt_param *param = table->params; param->type != BRUNT_T_END; param++)
		if (param->key && param->type == BRUNT_T_ENUM)
			put_words(out, param);
}

/* A sentence from a help text, which begins in lower case and has no full stop. */
static void put_sentence(FILE *out, const char *help)
{
	if (help[0] >= 'a' && help[0] <= 'z')
		(void)fprintf(out, "%c%s.\n", help[0] - 'a' + 'A', help + 1);
	else
		(void)fprintf(out, "%s.\n", help);
}

static void put_table(FILE *out, const struct brunt_table *table)
{
	(void)fprintf(out, "\n## `%s`\n\n", table->name);
	put_sentence(out, table->help);
	put_rows(out, table);
}

static void put_kinds(FILE *out, unsigned targets)
{
	const char *comma = "";

	for (int kind = 0; kind < _BRUNT_TARGET_MAX; kind++) {
		if (!(targets & 1u << kind))
			continue;
		(void)fprintf(out, "%s%s", comma, brunt_target_kind_name((enum brunt_target_kind)kind));
		comma = ", ";
	}
}

void brunt_plan_reference_fault(const struct brunt_injector *injector, FILE *out)
{
	struct tables tables = { 0 };

	(void)fprintf(out, "\n## `%s`\n\n", injector->name);
	put_sentence(out, injector->table->help);
	(void)fprintf(out, "\n- hits: ");
	put_kinds(out, injector->targets);
	(void)fprintf(out, "\n- undone by: %s\n- counted: %s\n- %s\n", brunt_undo_text(injector->undo),
		      injector->hit_noun,
		      injector->instant ? "happens at once: no `hold`; may repeat with `every` and `times`"
					: "held: needs `hold`, or `\"background\": true`");
	put_rows(out, injector->table);
	collect(&tables, injector->table);
	for (size_t i = 1; i < tables.count; i++)
		put_table(out, tables.items[i]);
}

static const char intro[] =
	"# Experiment reference\n"
	"\n"
	"Made by `scripts/docs` from the tables that parse the file; do not edit. The same as JSON Schema:\n"
	"[experiment.schema.json](experiment.schema.json). `brunt check` says what is wrong with a file, and where.\n"
	"\n"
	"- An experiment is one JSON object of at most 1 MiB. Unknown and duplicate keys are errors. A key that begins with\n"
	"  `//` is a comment and may repeat.\n"
	"- A quantity is a string with its unit; only plain counts are bare numbers. Time: `ns`, `us`, `ms`, `s`, `m`, `h`, `d`\n"
	"  (also `1m30s`). Share: `%`. Size: `B`, `kB`, `MB`, `GB`, `TB`, `KiB`, `MiB`, `GiB`, `TiB`. Rate, as in\n"
	"  tc(8): `bit`, `kbit`, `mbit`, `gbit`, `tbit` are bits per second, `bps`, `kbps`, `mbps`, `gbps`, `tbps` **bytes** per\n"
	"  second; `kibit`, `kibps` and so on are powers of 1024.\n"
	"- Where a value may also be a ramp, an object moves it in a straight line while the fault is held:\n"
	"  `{ \"from\": \"0%\", \"to\": \"50%\", \"in\": \"60s\" }`.\n"
	"- `${name}` in a string is replaced by a variable; `$$` is a literal `$`. `--var` and `--var-file` come before `env`,\n"
	"  then `file`, then `default`. A value that is nothing but a variable may stand where a number or `true` is wanted.\n"
	"- Relative paths are relative to the folder of the file that they stand in.\n"
	"- A name has at most 64 letters, digits, `.`, `_` and `-`, and begins with a letter or digit.\n"
	"- A long string may be an array of lines. A list of one may be written without its brackets.\n";

int brunt_plan_reference(FILE *out)
{
	struct tables tables = { 0 };

	collect(&tables, &brunt_experiment_table);
	collect(&tables, &brunt_include_table);
	(void)fputs(intro, out);
	for (size_t i = 0; i < tables.count; i++)
		put_table(out, tables.items[i]);
	tables.count = 0;
	collect(&tables, &brunt_step_table);
	for (const struct brunt_step_kind_row *kind = brunt_step_kinds; kind->key; kind++)
		collect(&tables, kind->table);
	for (size_t i = 0; i < tables.count; i++)
		put_table(out, tables.items[i]);
	(void)fprintf(out, "\n# Faults\n\nA fault's parameters stand in its step, beside the keys of "
			   "[`fault_step`](#fault_step).\n");
	for (const struct brunt_injector *const *at = brunt_injectors; *at; at++)
		brunt_plan_reference_fault(*at, out);
	return ferror(out) ? -1 : 0;
}
