/* The memory of keys with persist: they stay until they are saved, for their window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/siphash.h"
#include "shared/seen.h"

static uint64_t other; /* that has the key, of the last ask */

static enum seen_result ask_hash(struct seen *s, const struct seen_hash *h,
                                 uint64_t owner, double now, uint32_t *chain)
{
    return seen_ask(s, h, owner, (struct seen_when){now, 1000}, chain, &other);
}

static struct seen_hash nth(const struct seen *s, unsigned i)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%u", i);
    return seen_hash_of(s, str_of(text), SEEN_TEXT);
}

static void a_key_that_is_not_saved_is_never_forgotten(void **state)
{
    struct seen *s = seen_new(
        &(struct seen_conf){.window_ms = 1000, .max_keys = 6400, .persist = true});
    uint64_t owner = seen_begin(s);
    uint32_t chain = 0, n = 0, full = 0;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct seen_hash h = nth(s, i);

        switch (ask_hash(s, &h, owner, 0, &chain)) {
        case SEEN_NEW:
            n++;
            break;
        case SEEN_FULL:
            full++;
            break;
        default:
            fail();
        }
    }
    assert_in_range(n, 6400, 19000);
    assert_int_equal(20000, n + full);
    assert_int_equal(n, seen_count(s));
    seen_finish(s, owner, chain, true);
    owner = seen_begin(s);
    chain = 0;
    for (unsigned i = 0; i < 1000; i++) {
        struct seen_hash h = nth(s, i);

        assert_int_equal(SEEN_BEFORE, ask_hash(s, &h, owner, 1000, &chain));
    }
    assert_int_equal(0, seen_forgotten(s));
    /* Saved ones give their places back. */
    for (unsigned i = 0; i < 20000; i++) {
        struct seen_hash h = nth(s, i);

        seen_saved(s, &h);
    }
    assert_int_equal(0, seen_count(s));
    for (unsigned i = 30000; i < 36400; i++) {
        struct seen_hash h = nth(s, i);

        assert_int_equal(SEEN_NEW, ask_hash(s, &h, owner, 0, &chain));
    }
    seen_finish(s, owner, chain, false);
    assert_int_equal(0, seen_count(s));
    seen_unref(s);
}

/* Its event is on disk before its request is told so. */
static void a_key_that_is_saved_early_gives_its_place_back_at_the_end(void **state)
{
    struct seen *s = seen_new(
        &(struct seen_conf){.window_ms = 1000, .max_keys = 1000, .persist = true});
    struct seen_hash h = nth(s, 1);

    (void)state;
    for (int stored = 0; stored < 2; stored++) {
        uint64_t owner = seen_begin(s);
        uint32_t chain = 0, none = 0;

        assert_int_equal(SEEN_NEW, ask_hash(s, &h, owner, 0, &chain));
        seen_saved(s, &h);
        assert_int_equal(SEEN_BUSY, ask_hash(s, &h, owner + 1, 0, &none));
        seen_finish(s, owner, chain, stored);
        assert_int_equal(0, seen_count(s));
    }
    assert_true(seen_restore(s, &h, 0));
    assert_true(seen_restore(s, &h, 0));
    assert_int_equal(1, seen_count(s));
    seen_saved(s, &h);
    seen_saved(s, &h);
    assert_int_equal(0, seen_count(s));
    seen_unref(s);
}

static void a_key_that_is_not_saved_yet_counts_for_its_callers_window(void **state)
{
    const struct seen_conf conf = {.window_ms = 1, .max_keys = 1000, .persist = true};
    struct seen *s = seen_new(&conf);
    const struct seen_hash h = nth(s, 1);
    uint32_t chain = 0, none = 0;

    (void)state;
    assert_int_equal(SEEN_NEW, ask_hash(s, &h, 1, 5000, &chain));
    seen_finish(s, 1, chain, true);
    assert_int_equal(SEEN_BEFORE, ask_hash(s, &h, 2, 6000, &none));
    assert_int_equal(SEEN_BEFORE, seen_ask(s, &h, 2, (struct seen_when){90000, 90000},
                                           &none, &other));
    for (int stored = 0; stored < 2; stored++) {
        chain = 0;
        assert_int_equal(SEEN_NEW, ask_hash(s, &h, 3, 7000, &chain));
        assert_int_equal(SEEN_MINE, ask_hash(s, &h, 3, 7000, &chain));
        assert_int_equal(SEEN_BUSY, ask_hash(s, &h, 4, 99000, &none));
        seen_finish(s, 3, chain, stored);
    }
    assert_int_equal(SEEN_BEFORE, ask_hash(s, &h, 4, 8000, &none));
    assert_int_equal(1, seen_count(s));
    /* The first one is saved; the second one must be known still. */
    seen_saved(s, &h);
    assert_int_equal(SEEN_BEFORE, ask_hash(s, &h, 4, 8000, &none));
    seen_saved(s, &h);
    assert_int_equal(0, seen_count(s));
    assert_int_equal(0, none);
    seen_unref(s);
}

static void a_key_of_an_earlier_process_counts_from_its_time(void **state)
{
    const struct seen_conf conf = {.window_ms = 1, .max_keys = 1000, .persist = true};
    struct seen *s = seen_new(&conf);
    const struct seen_hash a = nth(s, 1), b = nth(s, 2);
    uint32_t chain = 0, none = 0;

    (void)state;
    assert_true(seen_restore(s, &a, -700)); /* from before the machine started */
    assert_int_equal(SEEN_BEFORE, ask_hash(s, &a, 1, 200, &none));
    assert_true(seen_restore(s, &a, 100));
    assert_true(seen_restore(s, &a, -900));
    assert_int_equal(SEEN_BEFORE, ask_hash(s, &a, 1, 1100, &none));
    assert_int_equal(SEEN_NEW, ask_hash(s, &a, 1, 1200, &chain));
    seen_finish(s, 1, chain, true);
    /* Read while a request, which is refused for that, has reserved it. */
    chain = 0;
    assert_int_equal(SEEN_NEW, ask_hash(s, &b, 1, 1200, &chain));
    assert_true(seen_restore(s, &b, 1000));
    seen_finish(s, 1, chain, false);
    assert_int_equal(SEEN_BEFORE, ask_hash(s, &b, 1, 1300, &none));
    assert_int_equal(0, none);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(2 - (i > 0), seen_count(s));
        seen_saved(s, &a);
        seen_saved(s, &b);
    }
    assert_int_equal(0, seen_count(s));
    seen_unref(s);
}

static void a_lost_event_takes_its_own_key_along_and_no_later_one(void **state)
{
    const struct seen_conf conf = {.window_ms = 1, .max_keys = 1000, .persist = true};
    struct seen *s = seen_new(&conf);
    const struct seen_hash h = nth(s, 1);
    uint32_t chain = 0, none = 0;

    (void)state;
    assert_int_equal(SEEN_NEW, ask_hash(s, &h, 1, 5000, &chain));
    seen_finish(s, 1, chain, true);
    seen_lost(s, &h, 4000);
    assert_int_equal(SEEN_BEFORE, ask_hash(s, &h, 2, 5000, &none));
    seen_lost(s, &h, 4990); /* the wall clock was adjusted a little */
    assert_int_equal(0, seen_count(s));
    seen_lost(s, &h, 5000);
    assert_int_equal(0, none);
    seen_unref(s);
}

static void another_name_of_the_key_has_other_hashes(void **state)
{
    const struct seen_conf conf = {
        .window_ms = 1000, .max_keys = 1000, .persist = true};
    const struct siphash_key key = {1, 2};
    struct seen *a = seen_new(&conf), *b = seen_new(&conf), *c = seen_new(&conf);
    struct seen_hash h, same, third;

    (void)state;
    seen_attach(a, NULL, &key, "id");
    seen_attach(b, NULL, &key, "id");
    seen_attach(c, NULL, &key, "id,app");
    h = nth(a, 1);
    same = nth(b, 1);
    third = nth(c, 1);
    assert_memory_equal(&h, &same, sizeof h);
    assert_memory_not_equal(&h, &third, sizeof h);
    seen_unref(a);
    seen_unref(b);
    seen_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_is_not_saved_is_never_forgotten),
        cmocka_unit_test(a_key_that_is_saved_early_gives_its_place_back_at_the_end),
        cmocka_unit_test(a_key_that_is_not_saved_yet_counts_for_its_callers_window),
        cmocka_unit_test(a_key_of_an_earlier_process_counts_from_its_time),
        cmocka_unit_test(a_lost_event_takes_its_own_key_along_and_no_later_one),
        cmocka_unit_test(another_name_of_the_key_has_other_hashes)};

    return cmocka_run_group_tests_name("unsaved", tests, NULL, NULL);
}
