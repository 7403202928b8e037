/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything stands in a JSON text.
 *
 * The scanner is a whole JSON checker (RFC 8259) with limits on depth and
 * numbers; what it passes, jansson parses. It stores one node for each value,
 * with its parent and its key, never a whole JSON Pointer: those would take
 * memory by the square of the text. Nodes are found by binary search over
 * (parent, key), which, unlike a hash, has no bad inputs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct brunt_error;

#define BRUNT_JSON_NO_NODE UINT32_MAX

struct brunt_json_node {
	uint32_t parent; /* index of a node; BRUNT_JSON_NO_NODE for the root */
	uint32_t key;	 /* in an object: offset in keys, terminated; in an array: the element's index */
	uint32_t key_size;
	uint32_t line, column;	       /* of the value, from 1 */
	uint32_t key_line, key_column; /* of the key; 0 in an array */
	char kind;		       /* first character of the value: '{', '[', '"', 't', ... */
	uint8_t comment;	       /* it or an ancestor stands under a key that begins with "//" */
};

struct brunt_json_map {
	struct brunt_json_node *nodes; /* in the order of the text; a parent before its children */
	size_t count;
	size_t capacity;
	char *keys; /* unescaped, each terminated */
	size_t keys_size;
	uint32_t *order; /* indexes of nodes, by parent, key, place */
};

/*
 * Scans size bytes of text. 0, -ENOMEM, or -EINVAL with a phrase in err and the place of the first thing wrong.
 * map is zeroed by the caller and needs brunt_json_map_done() whatever happens.
 */
int brunt_json_scan(const char *text, size_t size, struct brunt_json_map *map, unsigned *ret_line, unsigned *ret_column,
		    struct brunt_error *err);

void brunt_json_map_done(struct brunt_json_map *map);

/*
 * The node at a JSON Pointer; of duplicates the last, the one jansson keeps. When there is none, the nearest
 * ancestor that exists. NULL when the map is empty or memory is short.
 */
const struct brunt_json_node *brunt_json_map_find(const struct brunt_json_map *map, const char *pointer);

/* Writes the JSON Pointer of a node; when too long, that of an ancestor. Returns buf. */
const char *brunt_json_map_pointer(const struct brunt_json_map *map, const struct brunt_json_node *node, char *buf,
				   size_t size);
