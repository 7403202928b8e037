/* SPDX-License-Identifier: Apache-2.0 */
/* brunt faults: the catalogue, from the injectors' own tables. */
#include "cli/cli.h"

#include "plan/plan.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage_text[] = "usage: brunt faults [OPTIONS] [NAME]\n"
				 "\n"
				 "Lists the kinds of fault, or says all there is to know of one.\n"
				 "\n"
				 "  --output text|json   json: one document on stdout\n"
				 "  --markdown           as in the reference\n"
				 "  --help\n";

static void print_list(void)
{
	for (const struct brunt_injector *const *at = brunt_injectors; *at; at++)
		printf("  %-17s %s\n", (*at)->name, (*at)->summary);
	fputs("\n'brunt faults NAME' says more.\n", stdout);
}

/* Breaks text at spaces; the lines after the first are indented. */
static void print_wrapped(const char *text, size_t at, size_t indent, size_t width)
{
	while (*text) {
		size_t word = strcspn(text, " ");

		if (at + word > width && at > indent) {
			printf("\n%*s", (int)indent, "");
			at = indent;
		}
		printf("%.*s", (int)word, text);
		at += word;
		text += word;
		if (*text == ' ') {
			text++;
			putchar(' ');
			at++;
		}
	}
	putchar('\n');
}

static void print_param(const struct brunt_param *param)
{
	char accepts[512];

	printf("  %-14s ", param->key);
	print_wrapped(param->help ? param->help : "", 17, 17, 78);
	printf("%17s", "");
	print_wrapped(brunt_param_accepts(param, accepts, sizeof(accepts)), 17, 17, 78);
	if (param->required || param->def)
		printf("%17s%s%s\n", "", param->required ? "required" : "default ", param->def ? param->def : "");
	for (const struct brunt_value *value = param->values; value && value->name; value++)
		printf("%17s%-8s %s\n", "", value->name, value->help ? value->help : "");
}

static void print_targets(unsigned targets)
{
	const char *comma = "";

	for (int kind = 0; kind < _BRUNT_TARGET_MAX; kind++) {
		if (!(targets & 1u << kind))
			continue;
		printf("%s%s", comma, brunt_target_kind_name((enum brunt_target_kind)kind));
		comma = ", ";
	}
}

static void print_fault(const struct brunt_injector *injector)
{
	printf("%s: %s\n\n", injector->name, injector->summary);
	print_wrapped(injector->table->help, 0, 0, 78);
	printf("\n  hits           ");
	print_targets(injector->targets);
	printf("\n  undone by      %s\n  counted        %s\n  in time        %s\n", brunt_undo_text(injector->undo),
	       injector->hit_noun,
	       injector->instant ? "happens at once; repeats with 'every' and 'times'"
				 : "held: 'hold', or \"background\": true");
	if (injector->table->params[0].type == BRUNT_T_END)
		return;
	printf("\n");
	for (const struct brunt_param *param = injector->table->params; param->type != BRUNT_T_END; param++)
		if (param->key)
			print_param(param);
}

static json_t *param_document(const struct brunt_param *param)
{
	char accepts[512];

	return json_pack("{s:s, s:s, s:s*, s:b, s:s*}", "name", param->key, "accepts",
			 brunt_param_accepts(param, accepts, sizeof(accepts)), "help", param->help, "required",
			 (int)param->required, "default", param->def);
}

static json_t *fault_document(const struct brunt_injector *injector)
{
	json_t *params = json_array(), *targets = json_array();

	for (const struct brunt_param *param = injector->table->params; param->type != BRUNT_T_END; param++)
		if (param->key)
			(void)json_array_append_new(params, param_document(param));
	for (int kind = 0; kind < _BRUNT_TARGET_MAX; kind++)
		if (injector->targets & 1u << kind)
			(void)json_array_append_new(targets,
						    json_string(brunt_target_kind_name((enum brunt_target_kind)kind)));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "name", injector->name, "summary",
			 injector->summary, "help", injector->table->help, "undo", brunt_undo_text(injector->undo),
			 "counted", injector->hit_noun, "instant", (int)injector->instant, "targets", targets,
			 "parameters", params);
}

static void print_documents(const struct brunt_injector *one)
{
	json_t *list = json_array(), *document;

	for (const struct brunt_injector *const *at = brunt_injectors; *at; at++)
		if (!one || *at == one)
			(void)json_array_append_new(list, fault_document(*at));
	document = json_pack("{s:o}", "faults", list);
	(void)json_dumpf(document, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(document);
}

static int unknown(const char *name)
{
	char text[256];

	fprintf(stderr, "brunt faults: %s\n", brunt_fault_unknown_text(name, text, sizeof(text)));
	return 2;
}

int brunt_cmd_faults(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "markdown", no_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const struct brunt_injector *one = NULL;
	bool json = false, markdown = false;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			json = strcmp(optarg, "json") == 0;
			if (json || strcmp(optarg, "text") == 0)
				break;
			fprintf(stderr, "brunt faults: --output is 'text' or 'json', not '%s'\n", optarg);
			return 2;
		case 'm':
			markdown = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (argc - optind > 1) {
		fputs("brunt faults: one NAME at most; 'brunt faults --help' says more\n", stderr);
		return 2;
	}
	if (optind < argc) {
		one = brunt_injector_find(argv[optind]);
		if (!one)
			return unknown(argv[optind]);
	}
	if (json)
		print_documents(one);
	else if (markdown)
		for (const struct brunt_injector *const *at = brunt_injectors; *at; at++)
			(!one || *at == one) ? brunt_plan_reference_fault(*at, stdout) : (void)0;
	else if (one)
		print_fault(one);
	else
		print_list();
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 5;
}
