/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership: cleanup attributes, and the arena.
 *
 * A variable with a cleanup attribute owns what it holds until it is taken
 * (BRUNT_TAKE_PTR, BRUNT_TAKE_FD); never mixed with goto in one function.
 * A descriptor that is not there is -1.
 *
 * A plan and all it points to live in one arena: they are made together, never
 * changed one by one, and freed at once.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static inline void brunt_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void brunt_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

#define BRUNT_CLEANUP(f) __attribute__((cleanup(f)))
#define BRUNT_AUTO_FREE	 BRUNT_CLEANUP(brunt_cleanup_free)
#define BRUNT_AUTO_CLOSE BRUNT_CLEANUP(brunt_cleanup_close)

/* clang-format off */
#define BRUNT_TAKE_PTR(p)                   \
	({                                  \
		__typeof__(p) _taken = (p); \
		(p) = NULL;                 \
		_taken;                     \
	})
#define BRUNT_TAKE_FD(fd)                  \
	({                                 \
		int _taken = (fd);         \
		(fd) = -1;                 \
		_taken;                    \
	})
/* clang-format on */
#define BRUNT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct brunt_arena;

/* A new, empty arena in *ret; 0 or -ENOMEM. */
int brunt_arena_new(struct brunt_arena **ret);

/* Frees the arena and everything in it. arena may be NULL. */
void brunt_arena_free(struct brunt_arena *arena);

/* size zeroed bytes, aligned for any type, that live as long as the arena; NULL when memory is short. */
void *brunt_arena_get(struct brunt_arena *arena, size_t size);

/* A terminated copy of text's first size bytes; NULL when memory is short. */
char *brunt_arena_copy(struct brunt_arena *arena, const char *text, size_t size);

/* A formatted string; NULL when memory is short. */
char *brunt_arena_print(struct brunt_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void brunt_cleanup_arena(struct brunt_arena **arena)
{
	brunt_arena_free(*arena);
}
#define BRUNT_AUTO_ARENA BRUNT_CLEANUP(brunt_cleanup_arena)
