/* Events out of the spool into batches: not those that are planned or beyond the end, and
 * of each worker in its turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "delivery/scripted.h"
#include "delivery/subscription.h"

enum { FIRST = 11, EVENTS = 5 };

static const struct batch_limits limits = {
    .target = 100, .min = 1, .max = 100, .max_bytes = 1 << 20};

/* ---- one block in hand, with nothing behind it ---- */

static const char payload[] = "1\n2\n3\n4\n5\n";
static struct spool_entry entries[EVENTS];
static struct subscription_reader reader;
static struct subscription_span span;
static struct subscription o;

static int block_set_up(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < EVENTS; i++) {
        entries[i] = (struct spool_entry){.off = 2 * i, .len = 1};
    }
    reader = (struct subscription_reader){.epoch = 1,
                                          .next = FIRST,
                                          .end = FIRST + EVENTS,
                                          .block = {.first = FIRST,
                                                    .n = EVENTS,
                                                    .payload = payload,
                                                    .payload_bytes = sizeof payload - 1,
                                                    .entries = entries}};
    o = (struct subscription){.readers = &reader, .n_readers = 1};
    o.batch = batch_new(BATCH_KEEP_BYTES);
    return 0;
}

static int block_tear_down(void **state)
{
    (void)state;
    batch_free(o.batch);
    return 0;
}

static void take(const char *expected)
{
    struct err e;

    assert_int_equal(SUBSCRIPTION_EMPTY, subscription_take(&o, &limits, 1, NULL, &e));
    assert_int_equal(strlen(expected), o.batch->n_bytes);
    assert_memory_equal(expected, o.batch->bytes, o.batch->n_bytes);
}

static void events_beyond_the_end_are_let_go(void **state)
{
    (void)state;
    reader.end = FIRST + 2;
    take("1\n2\n");
    assert_int_equal(FIRST + 2, reader.next);
}

static void planned_events_are_passed_over(void **state)
{
    (void)state;
    span = (struct subscription_span){1, 0, FIRST + 1, FIRST + 3};
    o.spans = &span;
    o.n_spans = 1;
    take("1\n4\n5\n");
    assert_int_equal(2, o.batch->n_ranges);
    assert_int_equal(FIRST + 3, o.batch->ranges[1].first);
}

static void events_planned_at_the_begin_of_a_block_are_passed_over(void **state)
{
    (void)state;
    span = (struct subscription_span){1, 0, 1, FIRST + 4};
    o.spans = &span;
    o.n_spans = 1;
    take("5\n");
}

/* ---- two workers ---- */

enum { EACH = 10 };

/* A worker whose events fill batch after batch must not hold up those of another. */
static void each_worker_has_its_turn(void **state)
{
    bool first = false, second = false;

    (void)state;
    bus.wait = true;
    bus_open();
    for (uint32_t i = 0; i < EACH; i++) {
        store_by(0, 100 + i, 1);
        store_by(1, 200 + i, 1);
    }
    delivery_go(bus.d, true);
    until_submitted(2 * EACH);
    for (uint32_t i = 0; i < 4; i++) {
        first |= script.list[i].first[5] == '1';
        second |= script.list[i].first[5] == '2';
    }
    assert_true(first && second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_beyond_the_end_are_let_go, block_set_up,
                                        block_tear_down),
        cmocka_unit_test_setup_teardown(planned_events_are_passed_over, block_set_up,
                                        block_tear_down),
        cmocka_unit_test_setup_teardown(
            events_planned_at_the_begin_of_a_block_are_passed_over, block_set_up,
            block_tear_down),
        cmocka_unit_test_setup_teardown(each_worker_has_its_turn, bus_set_up,
                                        bus_tear_down)};

    return cmocka_run_group_tests_name("take", tests, NULL, NULL);
}
