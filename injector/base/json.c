/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/json.h"

#include "base/diags.h"
#include "base/json_scan.h"
#include "base/text.h"

#include "brunt/error.h"
#include "brunt/memory.h"
#include "brunt/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POINTER_MAX 1024

struct brunt_doc {
	char *name;
	json_t *root;
	struct brunt_json_map map;
};

static void cleanup_doc(struct brunt_doc **doc)
{
	brunt_doc_free(*doc);
}

/* Adds an error at a place that is known. */
__attribute__((format(printf, 6, 7))) static void add_error(struct brunt_diags *diags, const char *name,
							    const char *pointer, unsigned line, unsigned column,
							    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	brunt_diags_add(diags, name, pointer, line, column, false, format, args);
	va_end(args);
}

static void add_duplicates(const struct brunt_doc *doc, struct brunt_diags *diags)
{
	const struct brunt_json_map *map = &doc->map;
	const struct brunt_json_node *first = NULL;

	/* Equal keys of one object stand next to each other, the first one first. */
	for (size_t i = 0; i < map->count; i++) {
		const struct brunt_json_node *node = &map->nodes[map->order[i]];
		char pointer[POINTER_MAX];

		if (node->parent == BRUNT_JSON_NO_NODE || map->nodes[node->parent].kind != '{' || node->comment)
			continue;
		if (!first || first->parent != node->parent || first->key_size != node->key_size ||
		    memcmp(map->keys + first->key, map->keys + node->key, node->key_size) != 0) {
			first = node;
			continue;
		}
		add_error(diags, doc->name, brunt_json_map_pointer(map, node, pointer, sizeof(pointer)), node->key_line,
			  node->key_column, "duplicate key; it stands at line %u already", first->key_line);
	}
}

static void drop_comments(json_t *value)
{
	json_t *child;
	size_t index;
	const char *key;
	void *next;

	if (json_is_array(value)) {
		json_array_foreach (value, index, child)
			drop_comments(child);
		return;
	}
	json_object_foreach_safe (value, next, key, child) {
		if (strncmp(key, "//", 2) == 0)
			json_object_del(value, key);
		else
			drop_comments(child);
	}
}

static const char *kind_name(char kind)
{
	switch (kind) {
	case '[':
		return "an array";
	case '"':
		return "a string";
	case 't':
	case 'f':
		return "true or false";
	case 'n':
		return "null";
	default:
		return "a number";
	}
}

static int parse_tree(struct brunt_doc *doc, const char *text, size_t size, struct brunt_diags *diags)
{
	const struct brunt_json_node *root = &doc->map.nodes[0];
	json_error_t error;

	if (root->kind != '{') {
		add_error(diags, doc->name, "", root->line, root->column, "must be one object { ... }, not %s",
			  kind_name(root->kind));
		return -EINVAL;
	}
	doc->root = json_loadb(text, size, 0, &error);
	if (!doc->root) {
		/* When memory is short jansson often says nothing at all. */
		if (json_error_code(&error) == json_error_out_of_memory || !error.text[0])
			return -ENOMEM;
		/* The scanner knows JSON, so this is a difference between the two; told rather than hidden. */
		add_error(diags, doc->name, "", error.line > 0 ? (unsigned)error.line : 0,
			  error.column > 0 ? (unsigned)error.column : 1, "%s", error.text);
		return -EINVAL;
	}
	add_duplicates(doc, diags);
	drop_comments(doc->root);
	return 0;
}

int brunt_doc_parse(const char *text, size_t size, const char *name, struct brunt_diags *diags, struct brunt_doc **ret)
{
	BRUNT_CLEANUP(cleanup_doc) struct brunt_doc *doc = calloc(1, sizeof(*doc));
	struct brunt_error err = { 0 };
	unsigned line = 0, column = 0;
	int r;

	if (!doc)
		return -ENOMEM;
	doc->name = strdup(name);
	if (!doc->name)
		return -ENOMEM;
	if (size == 0) {
		add_error(diags, name, "", 0, 0, "is empty");
		return -EINVAL;
	}
	if (size > BRUNT_JSON_SIZE_MAX) {
		char is[32], may[32];

		add_error(diags, name, "", 0, 0, "is %s; at most %s are read",
			  brunt_quantity_print((double)size, BRUNT_DIM_SIZE, is, sizeof(is)),
			  brunt_quantity_print(BRUNT_JSON_SIZE_MAX, BRUNT_DIM_SIZE, may, sizeof(may)));
		return -EINVAL;
	}
	r = brunt_json_scan(text, size, &doc->map, &line, &column, &err);
	if (r == -EINVAL)
		add_error(diags, name, "", line, column, "%s", err.msg);
	if (r < 0)
		return r;
	r = parse_tree(doc, text, size, diags);
	if (r < 0)
		return r;
	*ret = BRUNT_TAKE_PTR(doc);
	return 0;
}

/* Says no to what is not a file that can be read to its end; before a device is opened, which may start something. */
static int check_file(const struct stat *st, const char *name, struct brunt_diags *diags)
{
	char is[32], may[32];
	const char *kind = NULL;

	if (S_ISDIR(st->st_mode))
		kind = "a directory";
	else if (S_ISFIFO(st->st_mode))
		kind = "a pipe";
	else if (S_ISSOCK(st->st_mode))
		kind = "a socket";
	else if (!S_ISREG(st->st_mode))
		kind = "a device";
	if (kind) {
		add_error(diags, name, "", 0, 0, "is %s, not a regular file", kind);
		return -EINVAL;
	}
	if (st->st_size == 0) {
		add_error(diags, name, "", 0, 0, "is empty");
		return -EINVAL;
	}
	if (st->st_size > BRUNT_JSON_SIZE_MAX) {
		add_error(diags, name, "", 0, 0, "is %s; at most %s are read",
			  brunt_quantity_print((double)st->st_size, BRUNT_DIM_SIZE, is, sizeof(is)),
			  brunt_quantity_print(BRUNT_JSON_SIZE_MAX, BRUNT_DIM_SIZE, may, sizeof(may)));
		return -EINVAL;
	}
	return 0;
}

static int fail_file(int code, const char *name, struct brunt_diags *diags)
{
	if (code == ENOENT)
		add_error(diags, name, "", 0, 0, "no such file");
	else
		add_error(diags, name, "", 0, 0, "cannot be read: %s", strerror(code));
	return code == ENOMEM ? -ENOMEM : -EINVAL;
}

int brunt_doc_load(const char *path, const char *name, struct brunt_diags *diags, struct brunt_doc **ret)
{
	BRUNT_AUTO_FREE char *text = NULL;
	BRUNT_AUTO_CLOSE int fd = -1;
	struct stat st;
	size_t size = 0;
	int r;

	if (stat(path, &st) < 0)
		return fail_file(errno, name, diags);
	r = check_file(&st, name, diags);
	if (r < 0)
		return r;
	/* The path may have become something else since. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_file(errno, name, diags);
	r = check_file(&st, name, diags);
	if (r < 0)
		return r;
	/* One byte more than may be, to notice a file that grows. */
	text = malloc(BRUNT_JSON_SIZE_MAX + 1);
	if (!text)
		return -ENOMEM;
	while (size <= BRUNT_JSON_SIZE_MAX) {
		ssize_t n = read(fd, text + size, BRUNT_JSON_SIZE_MAX + 1 - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_file(errno, name, diags);
		if (n == 0)
			break;
		size += (size_t)n;
	}
	return brunt_doc_parse(text, size, name, diags, ret);
}

void brunt_doc_free(struct brunt_doc *doc)
{
	if (!doc)
		return;
	free(doc->name);
	json_decref(doc->root);
	brunt_json_map_done(&doc->map);
	free(doc);
}

json_t *brunt_doc_root(const struct brunt_doc *doc)
{
	return doc->root;
}

const char *brunt_doc_name(const struct brunt_doc *doc)
{
	return doc->name;
}

__attribute__((format(printf, 6, 0))) static void add_at(const struct brunt_doc *doc, struct brunt_diags *diags,
							 const char *pointer, bool at_key, bool warning,
							 const char *format, va_list args)
{
	const struct brunt_json_node *node;
	unsigned line = 0, column = 0;

	if (!diags)
		return;
	/* What will not be kept need not be looked up. */
	node = doc && (diags->count < BRUNT_DIAGS_MAX || diags->warnings > 0) ? brunt_json_map_find(&doc->map, pointer)
									      : NULL;
	if (node) {
		line = at_key && node->key_line > 0 ? node->key_line : node->line;
		column = at_key && node->key_line > 0 ? node->key_column : node->column;
	}
	brunt_diags_add(diags, doc ? doc->name : NULL, pointer, line, column, warning, format, args);
}

void brunt_doc_error(const struct brunt_doc *doc, struct brunt_diags *diags, const char *pointer, bool at_key,
		     const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_at(doc, diags, pointer, at_key, false, format, args);
	va_end(args);
}

void brunt_doc_warn(const struct brunt_doc *doc, struct brunt_diags *diags, const char *pointer, bool at_key,
		    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_at(doc, diags, pointer, at_key, true, format, args);
	va_end(args);
}

const char *brunt_pointer_join(const char *pointer, const char *key, char *buf, size_t size)
{
	size_t base = strlen(pointer);
	size_t at = base;

	if (size == 0)
		return buf;
	if (base >= size) {
		buf[0] = '\0';
		return buf;
	}
	memmove(buf, pointer, base + 1);
	if (at + 1 >= size)
		return buf;
	buf[at++] = '/';
	for (; *key; key++) {
		bool special = *key == '~' || *key == '/';

		if (at + (special ? 2 : 1) >= size) {
			/* No room: half a key would point to something else. */
			buf[base] = '\0';
			return buf;
		}
		if (special)
			buf[at++] = '~';
		buf[at++] = *key == '~' ? '0' : *key == '/' ? '1' : *key;
	}
	buf[at] = '\0';
	return buf;
}
