/* The time by which keys go for good. */
#include "keys/keyclock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const int64_t T = 1764300000000, HOUR = 3600000, DAY = 86400000;
static const int64_t MONTH = 30 * 86400000ll;

static void a_clock_that_jumps_ahead_makes_no_key_older(void **state)
{
    struct keyclock c;

    (void)state;
    keyclock_init(&c, 0, T, 1000);
    assert_int_equal(T, keyclock_now(&c, T, 1000, MONTH));
    assert_int_equal(T + 5000, keyclock_now(&c, T + 5000, 6000, MONTH));
    assert_false(c.ahead);
    assert_int_equal(T + 9000, keyclock_now(&c, T + 40 * DAY, 10000, MONTH));
    assert_true(c.ahead);
    /* Put right again, and set back. */
    assert_int_equal(T + 9500, keyclock_now(&c, T + 9500, 10000, MONTH));
    assert_false(c.ahead);
    assert_int_equal(T - DAY, keyclock_now(&c, T - DAY, 10000, MONTH));
    /* From 1970 to now is a jump as well. */
    assert_int_equal(5000, keyclock_now(&c, 5000, 10000, MONTH));
    assert_int_equal(6000, keyclock_now(&c, T, 11000, MONTH));
}

static void a_start_with_a_clock_far_ahead_goes_on_from_the_last_time(void **state)
{
    struct keyclock c;

    (void)state;
    keyclock_init(&c, T, T + 400 * DAY, 7);
    assert_int_equal(T, keyclock_now(&c, T + 400 * DAY, 7, MONTH));
    assert_true(c.ahead);
    /* A stop of some hours is none. */
    keyclock_init(&c, T, T + 20 * HOUR, 7);
    assert_int_equal(T + 20 * HOUR, keyclock_now(&c, T + 20 * HOUR, 7, MONTH));
    assert_false(c.ahead);
    /* It is one for keys of an hour. */
    keyclock_init(&c, T, T + HOUR, 7);
    assert_int_equal(T, keyclock_now(&c, T + HOUR, 7, HOUR));
    keyclock_init(&c, T, T - DAY, 7);
    assert_int_equal(T - DAY, keyclock_now(&c, T - DAY, 7, MONTH));
}

static void a_clock_that_runs_evenly_is_believed_after_a_day_or_a_window(void **state)
{
    const int64_t windows[] = {MONTH, HOUR}, proofs[] = {DAY, HOUR};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct keyclock c;

        keyclock_init(&c, T, T + 40 * DAY, 0);
        for (int64_t ms = 0; ms < proofs[i]; ms += 60000) {
            assert_int_equal(T + ms,
                             keyclock_now(&c, T + 40 * DAY + ms, ms, windows[i]));
        }
        assert_int_equal(
            T + 40 * DAY + proofs[i],
            keyclock_now(&c, T + 40 * DAY + proofs[i], proofs[i], windows[i]));
        assert_false(c.ahead);
    }
}

static void a_clock_that_is_set_again_begins_again(void **state)
{
    struct keyclock c;

    (void)state;
    keyclock_init(&c, T, T + 40 * DAY, 0);
    assert_int_equal(T, keyclock_now(&c, T + 40 * DAY, 0, MONTH));
    assert_int_equal(T + 23 * HOUR,
                     keyclock_now(&c, T + 90 * DAY + 23 * HOUR, 23 * HOUR, MONTH));
    assert_int_equal(T + 46 * HOUR,
                     keyclock_now(&c, T + 90 * DAY + 46 * HOUR, 46 * HOUR, MONTH));
    assert_int_equal(T + 90 * DAY + 47 * HOUR,
                     keyclock_now(&c, T + 90 * DAY + 47 * HOUR, 47 * HOUR, MONTH));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_jumps_ahead_makes_no_key_older),
        cmocka_unit_test(a_start_with_a_clock_far_ahead_goes_on_from_the_last_time),
        cmocka_unit_test(a_clock_that_runs_evenly_is_believed_after_a_day_or_a_window),
        cmocka_unit_test(a_clock_that_is_set_again_begins_again)};

    return cmocka_run_group_tests_name("keyclock", tests, NULL, NULL);
}
