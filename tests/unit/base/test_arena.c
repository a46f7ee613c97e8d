/* Memory that is given back at once, up to its bound. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { BOUND = 1024 };

static void it_gives_its_bound_and_nothing_beyond(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, BOUND);
    assert_null(arena_alloc(&a, BOUND + 1));
    assert_non_null(arena_alloc(&a, BOUND));
    assert_null(arena_alloc(&a, 1));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, BOUND));
    assert_null(arena_alloc(&a, SIZE_MAX));
    arena_fini(&a);
}

static void a_copy_needs_room_for_its_end(void **state)
{
    static const char text[BOUND];
    struct arena a;
    struct str s;

    (void)state;
    arena_init(&a, BOUND);
    assert_null(arena_copy(&a, (struct str){text, BOUND}).p);
    s = arena_copy(&a, (struct str){text, BOUND - 1});
    assert_non_null(s.p);
    assert_int_equal(BOUND - 1, s.n);
    arena_reset(&a);
    s = arena_copy(&a, STR("abc"));
    assert_string_equal("abc", s.p);
    s = arena_copy(&a, (struct str){NULL, 0});
    assert_string_equal("", s.p);
    arena_fini(&a);
}

static void pieces_are_aligned_apart_and_kept_warm(void **state)
{
    struct arena a;
    size_t total = 0;

    (void)state;
    arena_init(&a, 1 << 20);
    for (int round = 0; round < 3; round++) {
        char *last = NULL;

        for (int i = 0; i < 50; i++) {
            char *p = arena_alloc(&a, 3001);

            assert_non_null(p);
            assert_int_equal(0, (uintptr_t)p % 8);
            assert_true(last == NULL || p >= last + 3001 || p + 3001 <= last);
            p[0] = p[3000] = 'x';
            last = p;
        }
        assert_true(round == 0 || a.total == total);
        total = a.total;
        arena_reset(&a);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_gives_its_bound_and_nothing_beyond),
        cmocka_unit_test(a_copy_needs_room_for_its_end),
        cmocka_unit_test(pieces_are_aligned_apart_and_kept_warm)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
