/* The time by which merges leave keys out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/keys/internal.h"

enum { DAY_S = 86400 };

static void a_clock_that_jumps_ahead_makes_no_key_older(void **state)
{
    const int64_t began = 1764300000000, day = DAY_S * 1000;

    (void)state;
    assert_int_equal(1764300000, keys_now_s(began, 0, began));
    assert_int_equal(1764300000 + 5, keys_now_s(began, 5000, began + 5000));
    assert_int_equal(1764300000 + 5, keys_now_s(began, 5000, began + 40 * day));
    /* Set back, it makes them younger. */
    assert_int_equal(1764300000 - DAY_S, keys_now_s(began, 5000, began - day));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_jumps_ahead_makes_no_key_older)};

    return cmocka_run_group_tests_name("now", tests, NULL, NULL);
}
