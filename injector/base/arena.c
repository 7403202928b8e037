/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Under AddressSanitizer each piece has a chunk of its own, so that writing past a piece is noticed. */
#if defined(__SANITIZE_ADDRESS__)
#define CHUNK_SIZE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHUNK_SIZE 0
#endif
#endif
#ifndef CHUNK_SIZE
#define CHUNK_SIZE 16384
#endif

#define ALIGNMENT _Alignof(max_align_t)

struct chunk {
	struct chunk *next;
	size_t size; /* of data */
	size_t used;
	_Alignas(max_align_t) char data[];
};

struct brunt_arena {
	struct chunk *chunks; /* the one that is filled stands first */
};

int brunt_arena_new(struct brunt_arena **ret)
{
	struct brunt_arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return -ENOMEM;
	*ret = arena;
	return 0;
}

void brunt_arena_free(struct brunt_arena *arena)
{
	if (!arena)
		return;
	while (arena->chunks) {
		struct chunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
	free(arena);
}

static struct chunk *add_chunk(struct brunt_arena *arena, size_t size)
{
	/* calloc() hands out the kernel's zero pages as they are; nothing is cleared twice. */
	struct chunk *chunk = calloc(1, sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	chunk->size = size;
	if (size > CHUNK_SIZE && arena->chunks) {
		/* A large piece fills its chunk: keep filling the one before. */
		chunk->next = arena->chunks->next;
		arena->chunks->next = chunk;
	} else {
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	return chunk;
}

void *brunt_arena_get(struct brunt_arena *arena, size_t size)
{
	struct chunk *chunk = arena->chunks;
	void *piece;

	if (size > PTRDIFF_MAX - sizeof(struct chunk) - ALIGNMENT)
		return NULL;
	if (size == 0)
		size = 1;
	/* Only whole steps are handed out, so used stays aligned. */
	if (CHUNK_SIZE > 0)
		size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (!chunk || chunk->size - chunk->used < size) {
		chunk = add_chunk(arena, size > CHUNK_SIZE / 4 ? size : CHUNK_SIZE);
		if (!chunk)
			return NULL;
	}
	piece = chunk->data + chunk->used;
	chunk->used += size;
	return piece;
}

char *brunt_arena_copy(struct brunt_arena *arena, const char *text, size_t size)
{
	char *copy;

	if (size == SIZE_MAX)
		return NULL;
	copy = brunt_arena_get(arena, size + 1);
	if (copy && size > 0)
		memcpy(copy, text, size);
	return copy;
}

char *brunt_arena_print(struct brunt_arena *arena, const char *format, ...)
{
	va_list args;
	char *text;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		return NULL;
	text = brunt_arena_get(arena, (size_t)length + 1);
	if (!text)
		return NULL;
	va_start(args, format);
	(void)vsnprintf(text, (size_t)length + 1, format, args);
	va_end(args);
	return text;
}
