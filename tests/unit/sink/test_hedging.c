/* Which tries get a second one, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sink/hedging.h"

static void a_share_is_never_passed(void **state)
{
    const struct hedge_plan plan = {.after_ms = 50, .max_ratio = 0.1};
    struct hedging h = {0};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t ms = hedging_after_ms(&h, &plan);

        assert_true(ms == 50 || ms == -1);
        h.n_attempts++;
        h.n_hedges += ms == 50;
        assert_true((double)h.n_hedges <= 0.1 * (double)(h.n_attempts + 1));
    }
    assert_int_equal(100, h.n_hedges);
    h.n_attempts = 2000;
    assert_int_equal(100, hedging_left(&h, &plan));
}

static void p95_waits_until_enough_were_seen(void **state)
{
    const struct hedge_plan plan = {.after_ms = HEDGE_P95, .max_ratio = 1};
    struct hedging h = {.n_attempts = 1000};

    (void)state;
    for (int i = 1; i <= 100; i++) {
        assert_int_equal(i <= 20 ? -1 : (i - 1) * 95 / 100 + 2,
                         hedging_after_ms(&h, &plan));
        hedging_took(&h, i);
    }
    for (int i = 0; i < HEDGING_RECENT; i++) {
        hedging_took(&h, 7); /* the old ones are forgotten */
    }
    assert_int_equal(8, hedging_after_ms(&h, &plan));
}

static void off_is_off(void **state)
{
    const struct hedge_plan plan = {.after_ms = HEDGE_OFF, .max_ratio = 1};
    const struct hedge_plan none = {.after_ms = 1, .max_ratio = 0};
    struct hedging h = {.n_attempts = 1000};

    (void)state;
    assert_int_equal(-1, hedging_after_ms(&h, &plan));
    assert_int_equal(-1, hedging_after_ms(&h, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_is_never_passed),
        cmocka_unit_test(p95_waits_until_enough_were_seen),
        cmocka_unit_test(off_is_off)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
