/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_scan.h"

#include "brunt/json.h"
#include "brunt/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void brunt_json_map_done(struct brunt_json_map *map)
{
	free(map->nodes);
	free(map->keys);
	free(map->order);
	*map = (struct brunt_json_map){ 0 };
}

/* Order of a node against a wanted (parent, key): parents in the order of the text, keys by size first. */
static int compare(const struct brunt_json_map *map, const struct brunt_json_node *node, uint32_t parent,
		   const char *key, uint32_t key_size, uint32_t index)
{
	if (node->parent != parent)
		return node->parent < parent ? -1 : 1;
	if (parent == BRUNT_JSON_NO_NODE)
		return 0;
	if (map->nodes[parent].kind == '[')
		return node->key < index ? -1 : node->key > index;
	if (node->key_size != key_size)
		return node->key_size < key_size ? -1 : 1;
	return memcmp(map->keys + node->key, key, key_size);
}

/* An array index by RFC 6901: digits without a leading zero. */
static int read_index(const char *token, uint32_t *ret)
{
	uint64_t index = 0;

	if (!token[0] || (token[0] == '0' && token[1]))
		return -1;
	for (; *token; token++) {
		if (*token < '0' || *token > '9')
			return -1;
		index = index * 10 + (uint64_t)(*token - '0');
		if (index >= BRUNT_JSON_NO_NODE)
			return -1;
	}
	*ret = (uint32_t)index;
	return 0;
}

static uint32_t find_child(const struct brunt_json_map *map, uint32_t parent, const char *key)
{
	size_t low = 0, high = map->count;
	size_t key_size = strlen(key);
	uint32_t index = 0;
	uint32_t found;

	if (key_size >= UINT32_MAX)
		return BRUNT_JSON_NO_NODE;
	if (map->nodes[parent].kind == '[' && read_index(key, &index) < 0)
		return BRUNT_JSON_NO_NODE;
	/* The first node beyond: the last of the equal ones stands before it. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(map, &map->nodes[map->order[middle]], parent, key, (uint32_t)key_size, index) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return BRUNT_JSON_NO_NODE;
	found = map->order[low - 1];
	if (compare(map, &map->nodes[found], parent, key, (uint32_t)key_size, index) != 0)
		return BRUNT_JSON_NO_NODE;
	return found;
}

/* Undoes ~1 and ~0, in place. */
static void unescape(char *token)
{
	char *to = token;

	for (const char *from = token; *from; from++) {
		if (from[0] == '~' && (from[1] == '0' || from[1] == '1'))
			*to++ = *++from == '0' ? '~' : '/';
		else
			*to++ = *from;
	}
	*to = '\0';
}

const struct brunt_json_node *brunt_json_map_find(const struct brunt_json_map *map, const char *pointer)
{
	BRUNT_AUTO_FREE char *copy = NULL;
	char *rest, *token;
	uint32_t at = 0;

	if (map->count == 0 || !map->order)
		return NULL;
	if (pointer[0] != '/')
		return &map->nodes[0];
	copy = strdup(pointer + 1);
	if (!copy)
		return NULL;
	rest = copy;
	while ((token = strsep(&rest, "/"))) {
		uint32_t child;

		unescape(token);
		child = find_child(map, at, token);
		if (child == BRUNT_JSON_NO_NODE)
			break;
		at = child;
	}
	return &map->nodes[at];
}

const char *brunt_json_map_pointer(const struct brunt_json_map *map, const struct brunt_json_node *node, char *buf,
				   size_t size)
{
	const struct brunt_json_node *path[BRUNT_JSON_DEPTH_MAX + 1] = { NULL };
	size_t count = 0;

	for (; node->parent != BRUNT_JSON_NO_NODE && count < BRUNT_COUNT(path); node = &map->nodes[node->parent])
		path[count++] = node;
	buf[0] = '\0';
	for (; count > 0; count--) {
		const struct brunt_json_node *step = path[count - 1];
		const char *key = map->keys + step->key;
		char index[16];

		if (map->nodes[step->parent].kind == '[') {
			(void)snprintf(index, sizeof(index), "%u", step->key);
			key = index;
		}
		brunt_pointer_join(buf, key, buf, size);
	}
	return buf;
}
