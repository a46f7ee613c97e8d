/* The events that a batch takes at each limit, and one beyond it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "batch/batch.h"

enum { N = 8, LINE = 10 };

static const struct batch_source source = {
    "aaaaaaaaa\nbbbbbbbbb\nccccccccc\nddddddddd\n"
    "eeeeeeeee\nfffffffff\nggggggggg\nhhhhhhhhh\n",
    1, 0};
static struct batch_entry entries[N];
static struct batch_limits limits;
static struct batch *b;

static int set_up(void **state)
{
    (void)state;
    limits = (struct batch_limits){
        .target = 4, .min = 2, .max = 6, .max_bytes = 1000, .linger_ms = 50};
    for (uint32_t i = 0; i < N; i++) {
        entries[i] = (struct batch_entry){.off = i * LINE, .len = LINE - 1};
    }
    b = batch_new(BATCH_KEEP_ENTRIES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    batch_free(b);
    return 0;
}

static void fill(uint32_t worker, uint64_t first, uint32_t n)
{
    const struct batch_range from = {1, worker, first, n};

    batch_append(b, &from, &source, entries, 1000);
}

static uint32_t fit(uint32_t worker, uint64_t first, uint32_t n)
{
    const struct batch_range from = {1, worker, first, n};

    return batch_fit(b, &limits, &from, entries, n);
}

static void max_events_are_taken_whole_and_one_more_is_cut_at_target(void **state)
{
    (void)state;
    assert_int_equal(6, fit(0, 1, 6));
    assert_int_equal(4, fit(0, 1, 7));
    fill(0, 1, 3);
    assert_int_equal(3, fit(0, 4, 3));
    assert_int_equal(1, fit(0, 4, 4));
    fill(0, 4, 1);
    assert_int_equal(2, fit(0, 5, 2));
    assert_int_equal(0, fit(0, 5, 3));
}

static void max_bytes_are_taken_and_a_byte_less_room_is_an_event_less(void **state)
{
    (void)state;
    limits.max_bytes = 3 * LINE;
    assert_int_equal(3, fit(0, 1, 4));
    limits.max_bytes = 3 * LINE - 1;
    assert_int_equal(2, fit(0, 1, 4));
    limits.max_bytes = 3 * LINE;
    fill(0, 1, 2);
    assert_int_equal(1, fit(0, 3, 2));
    limits.max_bytes = 3 * LINE - 1;
    assert_int_equal(0, fit(0, 3, 2));
}

static void no_more_ranges_are_taken_but_the_last_may_grow(void **state)
{
    (void)state;
    limits.target = limits.max = 10 * BATCH_RANGES_MAX;
    limits.max_bytes = 1 << 20;
    for (uint32_t i = 0; i < BATCH_RANGES_MAX; i++) {
        assert_int_equal(1, fit(i, 1, 1));
        fill(i, 1, 1);
    }
    assert_int_equal(BATCH_RANGES_MAX, b->n_ranges);
    assert_int_equal(0, fit(BATCH_RANGES_MAX, 1, 1));
    assert_int_equal(0, fit(BATCH_RANGES_MAX - 1, 3, 1));
    assert_int_equal(2, fit(BATCH_RANGES_MAX - 1, 2, 2));
    fill(BATCH_RANGES_MAX - 1, 2, 2);
    assert_int_equal(BATCH_RANGES_MAX, b->n_ranges);
}

static void it_is_due_at_its_limits_and_not_before(void **state)
{
    (void)state;
    fill(0, 1, 1);
    assert_int_equal(BATCH_WAIT, batch_due(b, &limits, 1000, BATCH_IS_IDLE));
    assert_int_equal(BATCH_WAIT, batch_due(b, &limits, 1049, 0));
    assert_int_equal(BATCH_TIMEOUT, batch_due(b, &limits, 1050, 0));
    fill(0, 2, 1);
    assert_int_equal(BATCH_IDLE, batch_due(b, &limits, 1000, BATCH_IS_IDLE));
    fill(0, 3, 1);
    assert_int_equal(BATCH_WAIT, batch_due(b, &limits, 1000, 0));
    limits.max_bytes = 3 * LINE + 1;
    assert_int_equal(BATCH_WAIT, batch_due(b, &limits, 1000, 0));
    limits.max_bytes = 3 * LINE;
    assert_int_equal(BATCH_BYTES, batch_due(b, &limits, 1000, 0));
    fill(0, 4, 1);
    assert_int_equal(BATCH_SIZE, batch_due(b, &limits, 1000, 0));
}

static void what_is_kept_apart_keeps_its_bytes_and_age(void **state)
{
    const unsigned char marks[4] = {0, 2, 0, 0};

    (void)state;
    fill(0, 1, 4);
    batch_compact(b, marks, 2);
    assert_int_equal(LINE, b->n_bytes);
    assert_memory_equal("bbbbbbbbb\n", b->bytes + b->entries[1].off, LINE);
    assert_int_equal(1, batch_wall_ms(b, 0));
    assert_int_equal(1, batch_wall_ms(b, 3));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(max_events_are_taken_whole_and_one_more_is_cut_at_target),
        TEST(max_bytes_are_taken_and_a_byte_less_room_is_an_event_less),
        TEST(no_more_ranges_are_taken_but_the_last_may_grow),
        TEST(it_is_due_at_its_limits_and_not_before),
        TEST(what_is_kept_apart_keeps_its_bytes_and_age)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
