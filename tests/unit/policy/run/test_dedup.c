/* A request's reserved keys are remembered only once its events are stored. */
#include "policy/run/dedup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/seen.h"

static const struct seen_conf conf = {.window_ms = 1000, .max_keys = 16};

static enum seen_result ask(struct seen *s, uint64_t owner, uint32_t *chain)
{
    struct seen_hash h = seen_hash_of(s, STR("key"), SEEN_TEXT);
    uint64_t other;

    return seen_ask(s, &h, owner, (struct seen_when){1, 1000}, chain, &other);
}

static void hold_key(struct seen *s, struct dedup_hold *hold)
{
    hold->n = 1;
    hold->n_ties = 0;
    hold->list[0].chain = 0;
    hold->list[0].bit = 1;
    hold->list[0].owner = seen_begin(s);
    hold->list[0].seen = seen_ref(s);
    assert_int_equal(SEEN_NEW, ask(s, hold->list[0].owner, &hold->list[0].chain));
}

static void a_key_whose_event_was_not_stored_is_new_again(void **state)
{
    struct seen *s = seen_new(&conf);
    struct dedup_hold hold;

    (void)state;
    hold_key(s, &hold);
    dedup_finish(&hold, false);
    assert_int_equal(0, hold.n);
    hold_key(s, &hold);
    dedup_own(&hold, DEDUP_ALL_LOST);
    assert_int_equal(0, hold.n);
    assert_true(seen_unshared(s));
    hold_key(s, &hold);
    dedup_finish(&hold, true);
    assert_int_equal(SEEN_BEFORE, ask(s, seen_begin(s), &(uint32_t){0}));
    seen_unref(s);
}

static void a_tie_waits_for_its_owner_and_learns_its_fate(void **state)
{
    struct seen *s = seen_new(&conf);
    struct dedup_hold hold, tied = {.n_ties = 1};

    (void)state;
    for (int stored = 0; stored < 2; stored++) {
        hold_key(s, &hold);
        tied.n_ties = 1;
        tied.ties[0].owner = hold.list[0].owner;
        tied.ties[0].seen = seen_ref(s);
        assert_int_equal(DEDUP_WAIT, dedup_ties(&tied));
        dedup_own(&hold, stored ? DEDUP_NONE_LOST : DEDUP_ALL_LOST);
        assert_int_equal(stored ? DEDUP_DONE : DEDUP_LOST, dedup_ties(&tied));
        dedup_finish(&tied, stored == 1);
        assert_int_equal(0, tied.n_ties);
    }
    assert_true(seen_unshared(s));
    seen_unref(s);
}

static void a_stream_that_failed_forgets_its_own_keys_only(void **state)
{
    struct seen *s = seen_new(&conf);
    struct dedup_hold hold;
    const int stream_ids[] = {3, 5};

    (void)state;
    hold_key(s, &hold);
    hold.list[0].stream = 1;
    dedup_pending(&hold, stream_ids);
    dedup_own(&hold, 1ull << 5);
    hold_key(s, &hold);
    hold.list[0].stream = 1;
    dedup_pending(&hold, stream_ids);
    dedup_own(&hold, 1ull << 3);
    assert_int_equal(SEEN_BEFORE, ask(s, seen_begin(s), &(uint32_t){0}));
    seen_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_whose_event_was_not_stored_is_new_again),
        cmocka_unit_test(a_tie_waits_for_its_owner_and_learns_its_fate),
        cmocka_unit_test(a_stream_that_failed_forgets_its_own_keys_only)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
