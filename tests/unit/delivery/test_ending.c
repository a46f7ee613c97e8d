/* A stream that the policy no longer sends to a sink: up to where it is still delivered,
 * and when it is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "delivery/subscription.h"

enum { EPOCH = 4 };

static struct spool_pos ends[] = {{EPOCH, 0, 11}, {EPOCH, 2, 1}};
static struct subscription_reader reader;
static struct batch batch;
static struct subscription o;

static int set_up(void **state)
{
    (void)state;
    reader = (struct subscription_reader){
        .epoch = EPOCH, .next = 11, .end = 11, .ended = false};
    batch = (struct batch){.n = 0};
    o = (struct subscription){.ending = true,
                              .ends_epoch = EPOCH,
                              .ends = ends,
                              .n_ends = 2,
                              .readers = &reader,
                              .n_readers = 1};
    return 0;
}

static void each_shard_ends_where_it_was(void **state)
{
    (void)state;
    assert_int_equal(11, subscription_end(&o, EPOCH, 0));
    assert_int_equal(1, subscription_end(&o, EPOCH, 2));
    assert_int_equal(0, subscription_end(&o, EPOCH, 1)); /* it came later */
    assert_int_equal(0, subscription_end(&o, EPOCH + 1, 0));
    assert_true(subscription_end(&o, EPOCH - 1, 0) == UINT64_MAX); /* all of it */
    o.ending = false;
    assert_true(subscription_end(&o, EPOCH, 0) == UINT64_MAX);
}

static void it_is_over_when_nothing_is_owed_or_in_hand(void **state)
{
    struct intent planned = {.n = 0};

    (void)state;
    assert_true(subscription_finished(&o));
    o.in_flight = 1;
    assert_false(subscription_finished(&o));
    o.in_flight = 0;
    o.intents = &planned;
    assert_false(subscription_finished(&o));
    o.intents = NULL;
    o.batch = &batch;
    assert_true(subscription_finished(&o));
    batch.n = 1;
    assert_false(subscription_finished(&o));
    o.batch = NULL;
    o.ending = false;
    assert_false(subscription_finished(&o));
}

/* Its events would never be delivered. */
static void a_shard_that_the_disk_does_not_tell_is_owed(void **state)
{
    (void)state;
    o.n_unknown = 1;
    assert_false(subscription_finished(&o));
    o.n_unknown = 0;
    assert_true(subscription_finished(&o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_shard_ends_where_it_was, set_up),
        cmocka_unit_test_setup(it_is_over_when_nothing_is_owed_or_in_hand, set_up),
        cmocka_unit_test_setup(a_shard_that_the_disk_does_not_tell_is_owed, set_up)};

    return cmocka_run_group_tests_name("ending", tests, NULL, NULL);
}
