/* Which holes lie in a period. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/find/holes.h"
#include "cli/find/index_list.h"

#define HOUR INT64_C(3600000)
#define NOON (INT64_C(480000) * HOUR)

/* The events of an epoch that began by the first clock and ended by the second. */
static uint32_t holes_in(int64_t began_ms, int64_t ended_ms, int64_t since_ms,
                         int64_t until_ms)
{
    struct index_list *l = mem_zalloc(sizeof *l);
    struct holes h = {.n = 0};
    uint32_t n;

    l->has_account = true;
    index_account_init(&l->account, 1, began_ms);
    index_account_note_epoch(&l->account, 1, "id", began_ms);
    index_account_note_shard(&l->account, 1, 0, 1)->end = 101;
    index_account_note_epoch(&l->account, 2, "id", ended_ms);
    l->account.until = 2;
    holes_of(l, NULL, 0, since_ms, until_ms, &h);
    n = h.n;
    holes_free(&h);
    index_list_free(l);
    free(l);
    return n;
}

static void a_hole_outside_of_the_period_is_left_out(void **state)
{
    (void)state;
    assert_int_equal(1, holes_in(NOON, NOON + HOUR, 0, INT64_MAX));
    assert_int_equal(1, holes_in(NOON, NOON + HOUR, NOON + HOUR, INT64_MAX));
    assert_int_equal(0, holes_in(NOON, NOON + HOUR, NOON + HOUR + 1, INT64_MAX));
    assert_int_equal(1, holes_in(NOON, NOON + HOUR, 0, NOON + 1));
    assert_int_equal(0, holes_in(NOON, NOON + HOUR, 0, NOON));
}

static void a_hole_of_a_clock_that_was_set_back_may_be_in_any_period(void **state)
{
    (void)state;
    /* The clock was an hour ahead at first: the events came before it says. */
    assert_int_equal(1, holes_in(NOON + HOUR, NOON + HOUR / 2, 0, NOON + HOUR / 4));
    assert_int_equal(1, holes_in(NOON + HOUR, NOON + HOUR / 2, NOON, INT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hole_outside_of_the_period_is_left_out),
        cmocka_unit_test(a_hole_of_a_clock_that_was_set_back_may_be_in_any_period),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
