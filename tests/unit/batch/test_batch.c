/* When a batch goes, and which events it still takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "batch/batch.h"

static const struct batch_limits limits = {
    .target = 4, .min = 2, .max = 6, .max_bytes = 100, .linger_ms = 50};

static const char payload[] = "aaaaaaaaa\nbbbbbbbbb\nccccccccc\nddddddddd\n"
                              "eeeeeeeee\nfffffffff\nggggggggg\nhhhhhhhhh\n";

static void entries_of(struct batch_entry *out, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        out[i] = (struct batch_entry){.off = i * 10, .len = 9};
    }
}

static void fill_of(struct batch *b, uint64_t first, uint32_t n, int64_t now_ms,
                    uint64_t key_hash)
{
    const struct batch_source source = {payload, 1, key_hash};
    struct batch_range from = {1, 0, first, n};
    struct batch_entry e[8];

    entries_of(e, n);
    batch_append(b, &from, &source, e, now_ms);
}

static void fill(struct batch *b, uint64_t first, uint32_t n, int64_t now_ms)
{
    fill_of(b, first, n, now_ms, 0);
}

static void it_goes_when_its_target_its_time_or_its_end_has_come(void **state)
{
    struct batch *b = batch_new(BATCH_KEEP_ENTRIES);

    (void)state;
    assert_int_equal(BATCH_WAIT, batch_due(b, &limits, 0, BATCH_IS_DRAINING));
    fill(b, 1, 2, 1000);
    assert_int_equal(BATCH_WAIT, batch_due(b, &limits, 1049, 0));
    assert_int_equal(1050, batch_deadline(b, &limits));
    assert_int_equal(BATCH_TIMEOUT, batch_due(b, &limits, 1050, 0));
    assert_int_equal(BATCH_IDLE, batch_due(b, &limits, 1001, BATCH_IS_IDLE));
    assert_int_equal(BATCH_DRAIN, batch_due(b, &limits, 1001, BATCH_IS_DRAINING));
    fill(b, 3, 2, 1040);
    assert_int_equal(BATCH_SIZE, batch_due(b, &limits, 1041, 0));
    batch_free(b);
}

static void it_takes_no_more_than_max_events_and_bytes(void **state)
{
    struct batch *b = batch_new(BATCH_KEEP_ENTRIES);
    struct batch_range from = {1, 0, 1, 8};
    struct batch_limits small = limits;
    struct batch_entry e[8];

    (void)state;
    entries_of(e, 8);
    assert_in_range(batch_fit(b, &limits, &from, e, 8), 4, 6);
    small.max_bytes = 25;
    assert_int_equal(2, batch_fit(b, &small, &from, e, 8));
    small.max_bytes = 5; /* a larger event goes alone */
    assert_int_equal(1, batch_fit(b, &small, &from, e, 8));
    fill(b, 1, 1, 0);
    from.first = 2;
    assert_int_equal(0, batch_fit(b, &small, &from, e, 7));
    batch_free(b);
}

static void neighbours_become_one_range_and_a_part_names_its_own(void **state)
{
    struct batch *b = batch_new(BATCH_KEEP_ENTRIES);
    struct batch_range part[4];

    (void)state;
    fill(b, 1, 2, 0);
    fill(b, 3, 1, 0);
    fill(b, 9, 2, 0);
    assert_int_equal(2, b->n_ranges);
    assert_int_equal(3, b->ranges[0].n);
    assert_int_equal(9, b->ranges[1].first);
    assert_int_equal(50, b->n_bytes);
    assert_int_equal(2, batch_part(b, 2, 2, part));
    assert_int_equal(3, part[0].first);
    assert_int_equal(1, part[0].n);
    assert_int_equal(9, part[1].first);
    assert_int_equal(1, part[1].n);
    assert_int_equal(2, batch_part(b, 0, 5, part)); /* all of it */
    assert_int_equal(3, part[0].n);
    assert_int_equal(9, part[1].first);
    assert_int_equal(2, part[1].n);
    assert_int_equal(1, batch_part(b, 4, 1, part)); /* the last event */
    assert_int_equal(10, part[0].first);
    assert_int_equal(1, part[0].n);
    batch_reset(b);
    assert_int_equal(0, b->n);
    batch_free(b);
}

static void keys_are_noted_only_when_all_are_of_one_name(void **state)
{
    struct batch *b = batch_new(BATCH_KEEP_ENTRIES);

    (void)state;
    fill_of(b, 1, 1, 0, 7);
    fill_of(b, 2, 1, 0, 7);
    assert_int_equal(7, b->key_hash);
    fill_of(b, 3, 1, 0, 8);
    assert_int_equal(0, b->key_hash);
    fill_of(b, 4, 1, 0, 7);
    assert_int_equal(0, b->key_hash);
    batch_reset(b);
    fill_of(b, 5, 1, 0, 8);
    assert_int_equal(8, b->key_hash);
    batch_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_when_its_target_its_time_or_its_end_has_come),
        cmocka_unit_test(it_takes_no_more_than_max_events_and_bytes),
        cmocka_unit_test(neighbours_become_one_range_and_a_part_names_its_own),
        cmocka_unit_test(keys_are_noted_only_when_all_are_of_one_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
