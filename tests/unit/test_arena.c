/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool fail_calloc;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	return fail_calloc ? NULL : __real_calloc(count, size);
}

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;
	static const size_t sizes[] = { 1, 3, 16, 17, 100, 5000, 16384, 70000, 1 };
	char *pieces[9 * 20];
	size_t count = 0;

	(void)state;
	assert_int_equal(brunt_arena_new(&arena), 0);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < BRUNT_COUNT(sizes); i++) {
			char *piece = brunt_arena_get(arena, sizes[i]);

			assert_non_null(piece);
			assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
			for (size_t j = 0; j < sizes[i]; j++)
				assert_int_equal(piece[j], 0);
			memset(piece, (int)(count % 100) + 1, sizes[i]);
			pieces[count++] = piece;
		}
	}
	/* No piece was written over by a later one. */
	for (size_t k = 0; k < count; k++)
		for (size_t j = 0; j < sizes[k % BRUNT_COUNT(sizes)]; j++)
			assert_int_equal(pieces[k][j], (int)(k % 100) + 1);
}

static void a_piece_of_no_size_is_still_a_piece(void **state)
{
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;

	(void)state;
	assert_int_equal(brunt_arena_new(&arena), 0);
	assert_non_null(brunt_arena_get(arena, 0));
	assert_ptr_not_equal(brunt_arena_get(arena, 0), brunt_arena_get(arena, 0));
}

static void an_impossible_size_is_refused(void **state)
{
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;

	(void)state;
	assert_int_equal(brunt_arena_new(&arena), 0);
	assert_null(brunt_arena_get(arena, SIZE_MAX));
	assert_null(brunt_arena_get(arena, SIZE_MAX - 8));
	assert_null(brunt_arena_get(arena, PTRDIFF_MAX));
	assert_null(brunt_arena_copy(arena, "x", SIZE_MAX));
	assert_non_null(brunt_arena_get(arena, 8));
}

static void copies_are_terminated_and_formatted_text_is_whole(void **state)
{
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;
	char long_text[40000];
	char *text;

	(void)state;
	assert_int_equal(brunt_arena_new(&arena), 0);
	assert_string_equal(brunt_arena_copy(arena, "abcdef", 3), "abc");
	assert_string_equal(brunt_arena_copy(arena, NULL, 0), "");
	assert_string_equal(brunt_arena_print(arena, "%s-%d", "x", 7), "x-7");
	memset(long_text, 'y', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	text = brunt_arena_print(arena, "<%s>", long_text);
	assert_int_equal(strlen(text), sizeof(long_text) + 1);
	assert_int_equal(text[0], '<');
	assert_int_equal(text[sizeof(long_text)], '>');
}

static void short_memory_is_told_and_the_arena_stays_usable(void **state)
{
	BRUNT_AUTO_ARENA struct brunt_arena *arena = NULL;
	struct brunt_arena *other = (struct brunt_arena *)0x1;

	(void)state;
	fail_calloc = true;
	assert_int_equal(brunt_arena_new(&other), -ENOMEM);
	assert_ptr_equal(other, (struct brunt_arena *)0x1);
	fail_calloc = false;
	assert_int_equal(brunt_arena_new(&arena), 0);
	fail_calloc = true;
	assert_null(brunt_arena_get(arena, 10));
	assert_null(brunt_arena_copy(arena, "x", 1));
	assert_null(brunt_arena_print(arena, "x"));
	fail_calloc = false;
	assert_non_null(brunt_arena_get(arena, 10));
}

static void freeing_nothing_is_allowed(void **state)
{
	(void)state;
	brunt_arena_free(NULL);
}

static void what_is_taken_is_left_to_the_taker(void **state)
{
	(void)state;
	BRUNT_AUTO_FREE char *text = strdup("x");
	BRUNT_AUTO_FREE char *taken = BRUNT_TAKE_PTR(text);
	int fd = 7;

	assert_null(text);
	assert_string_equal(taken, "x");
	assert_int_equal(BRUNT_TAKE_FD(fd), 7);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
		cmocka_unit_test(a_piece_of_no_size_is_still_a_piece),
		cmocka_unit_test(an_impossible_size_is_refused),
		cmocka_unit_test(copies_are_terminated_and_formatted_text_is_whole),
		cmocka_unit_test(short_memory_is_told_and_the_arena_stays_usable),
		cmocka_unit_test(freeing_nothing_is_allowed),
		cmocka_unit_test(what_is_taken_is_left_to_the_taker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
