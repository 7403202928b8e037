/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON file with its places, and the list of what is wrong with it.
 *
 * jansson makes the tree but keeps no positions and stops at the first
 * duplicate key; a small scanner walks the text once beside it and remembers
 * where every value (by JSON Pointer, RFC 6901) and every key stands.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#define BRUNT_JSON_SIZE_MAX  (1024 * 1024) /* bytes in one plan file */
#define BRUNT_JSON_DEPTH_MAX 32		   /* objects and arrays within each other */
#define BRUNT_DIAGS_MAX	     100	   /* after that many, only their number is kept */

/* One thing wrong (or doubtful) with a file. */
struct brunt_diag {
	char *file;	 /* as the user named it */
	char *pointer;	 /* JSON Pointer; "" for the whole document */
	unsigned line;	 /* from 1; 0 when the place is unknown */
	unsigned column; /* from 1, in characters */
	bool warning;	 /* worth knowing, does not make the plan invalid */
	char *message;	 /* one phrase */
};

/* Everything wrong with a plan, in order of place once sorted. Start with { 0 }. */
struct brunt_diags {
	struct brunt_diag *items;
	size_t count;
	size_t errors; /* all errors, those beyond BRUNT_DIAGS_MAX included */
	size_t warnings;
};

/* Frees what diags holds and empties it. NULL is allowed. */
void brunt_diags_done(struct brunt_diags *diags);

/* Sorts by file (in order of first appearance), line, column. */
void brunt_diags_sort(struct brunt_diags *diags);

/* Prints "file:line:column  pointer  message" a line each, and "file: N errors" last. */
void brunt_diags_print(const struct brunt_diags *diags, FILE *out);

struct brunt_doc;

/*
 * Reads a JSON file: regular, at most BRUNT_JSON_SIZE_MAX bytes, valid UTF-8, one object, at most
 * BRUNT_JSON_DEPTH_MAX deep. Keys that begin with "//" are comments: dropped from the tree, allowed to repeat.
 * Every other duplicate key is an error in diags (all of them, with their place).
 * name is what messages call the file. 0, or -EINVAL when there is no usable tree, -ENOMEM; diags says why.
 * On duplicates a tree is still returned (with 0), so that the other errors are found too.
 */
int brunt_doc_load(const char *path, const char *name, struct brunt_diags *diags, struct brunt_doc **ret);

/* The same from memory. text need not be terminated. */
int brunt_doc_parse(const char *text, size_t size, const char *name, struct brunt_diags *diags, struct brunt_doc **ret);

/* doc may be NULL. */
void brunt_doc_free(struct brunt_doc *doc);

/* The tree, owned by doc. Strings in it may be replaced (variables), its shape may not be changed. */
json_t *brunt_doc_root(const struct brunt_doc *doc);
const char *brunt_doc_name(const struct brunt_doc *doc);

/* Adds an error about the value at pointer (or about the key that introduces it). doc may be NULL: no place. */
void brunt_doc_error(const struct brunt_doc *doc, struct brunt_diags *diags, const char *pointer, bool at_key,
		     const char *format, ...) __attribute__((format(printf, 5, 6)));
void brunt_doc_warn(const struct brunt_doc *doc, struct brunt_diags *diags, const char *pointer, bool at_key,
		    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Writes pointer + "/" + key (escaped by RFC 6901) into buf; returns buf. */
const char *brunt_pointer_join(const char *pointer, const char *key, char *buf, size_t size);

/* The name in names (NULL-terminated) that was probably meant by word, or NULL. Edit distance: at most a third. */
const char *brunt_suggest(const char *word, const char *const *names);
