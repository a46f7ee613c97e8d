/* Which events are settled, in whatever order batches come back. */
#include "delivery/ack_tracker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool ack(struct ack_tracker *c, uint64_t first, uint64_t n)
{
    const struct batch_range r = {1, 2, first, n};

    return ack_tracker_ack(c, &r);
}

static const struct cursor *at(const struct ack_tracker *c)
{
    return ack_tracker_find(c, 1, 2);
}

static void an_unknown_shard_starts_at_1(void **state)
{
    struct ack_tracker c;

    (void)state;
    ack_tracker_init(&c);
    assert_null(at(&c));
    assert_false(ack(&c, 2, 1));
    assert_int_equal(1, at(&c)->next);
    assert_true(ack(&c, 1, 1));
    assert_int_equal(3, at(&c)->next);
    assert_null(ack_tracker_find(&c, 1, 3));
    assert_null(ack_tracker_find(&c, 2, 2));
    ack_tracker_fini(&c);
}

static void a_gap_holds_the_cursor_until_it_is_settled(void **state)
{
    struct ack_tracker c;

    (void)state;
    ack_tracker_init(&c);
    ack_tracker_start(&c, 1, 2, 10);
    assert_false(ack(&c, 11, 1));
    assert_false(ack(&c, 13, 2));
    assert_int_equal(10, at(&c)->next);
    assert_int_equal(2, at(&c)->n_ahead);
    assert_true(ack(&c, 10, 1));
    assert_int_equal(12, at(&c)->next);
    assert_int_equal(1, at(&c)->n_ahead);
    assert_true(ack(&c, 12, 1));
    assert_int_equal(15, at(&c)->next);
    assert_int_equal(0, at(&c)->n_ahead);
    ack_tracker_fini(&c);
}

static void what_is_settled_again_changes_nothing(void **state)
{
    struct ack_tracker c;

    (void)state;
    ack_tracker_init(&c);
    ack_tracker_start(&c, 1, 2, 10);
    assert_false(ack(&c, 5, 5)); /* up to the cursor, not behind */
    assert_int_equal(10, at(&c)->next);
    assert_true(ack(&c, 5, 6)); /* one behind */
    assert_int_equal(11, at(&c)->next);
    assert_false(ack(&c, 13, 2));
    assert_false(ack(&c, 13, 2));
    assert_false(ack(&c, 14, 3)); /* overlaps */
    assert_int_equal(1, at(&c)->n_ahead);
    assert_int_equal(13, at(&c)->ahead[0].first);
    assert_int_equal(17, at(&c)->ahead[0].end);
    ack_tracker_fini(&c);
}

/* Every order of five neighbours ends at the same place, and no step passes a gap. */
static void each_order_comes_to_the_same_end(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 3125; code++) {
        uint32_t rest = code, done = 0, next;
        struct ack_tracker c;

        ack_tracker_init(&c);
        for (uint32_t i = 0; i < 5; i++, rest /= 5) {
            (void)ack(&c, rest % 5 + 1, 1);
            done |= 1u << (rest % 5);
            for (next = 0; (done >> next & 1) != 0; next++) {
            }
            assert_int_equal(next + 1, at(&c)->next);
        }
        ack_tracker_fini(&c);
    }
}

static bool is_new(void *arg, uint32_t epoch, uint32_t worker)
{
    (void)worker;
    return epoch >= *(const uint32_t *)arg;
}

static void shards_that_are_not_kept_are_forgotten(void **state)
{
    uint32_t epoch = 2;
    struct ack_tracker c;

    (void)state;
    ack_tracker_init(&c);
    for (uint32_t i = 1; i <= 20; i++) {
        ack_tracker_start(&c, i % 4, i, i);
    }
    ack_tracker_drop(&c, is_new, &epoch);
    for (uint32_t i = 1; i <= 20; i++) {
        const struct cursor *found = ack_tracker_find(&c, i % 4, i);

        assert_int_equal(i % 4 >= 2, found != NULL);
        assert_true(found == NULL || found->next == i);
    }
    ack_tracker_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_shard_starts_at_1),
        cmocka_unit_test(a_gap_holds_the_cursor_until_it_is_settled),
        cmocka_unit_test(what_is_settled_again_changes_nothing),
        cmocka_unit_test(each_order_comes_to_the_same_end),
        cmocka_unit_test(shards_that_are_not_kept_are_forgotten)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
