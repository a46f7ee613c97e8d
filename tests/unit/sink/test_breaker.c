/* The breaker's states, by a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "sink/breaker.h"

static const struct breaker_plan plan = {
    .max_requests = 3, .interval_ms = 1000, .timeout_ms = 5000, .slow_ms = 100};

static bool ask(struct breaker *b, int64_t now, bool ok)
{
    uint64_t generation;

    if (!breaker_allow(b, now, &generation)) {
        return false;
    }
    breaker_done(b, now, generation, ok, false);
    return true;
}

static void it_opens_at_three_requests_and_sixty_percent(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, &plan, NULL, NULL, 0);
    assert_true(ask(&b, 1, false));
    assert_true(ask(&b, 2, true));
    assert_int_equal(BREAKER_CLOSED, breaker_state(&b, 2));
    assert_true(ask(&b, 3, false)); /* 2 of 3 */
    assert_int_equal(BREAKER_OPEN, breaker_state(&b, 3));
    assert_false(ask(&b, 4, true));
    assert_int_equal(4999, breaker_wait_ms(&b, 4));
}

static void sixty_percent_of_five_open_it_and_fifty_of_four_do_not(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, &plan, NULL, NULL, 0);
    assert_true(ask(&b, 1, true));
    assert_true(ask(&b, 1, true));
    assert_true(ask(&b, 1, false));
    assert_true(ask(&b, 1, false)); /* 2 of 4 */
    assert_int_equal(BREAKER_CLOSED, breaker_state(&b, 1));
    assert_true(ask(&b, 1, false)); /* 3 of 5 */
    assert_int_equal(BREAKER_OPEN, breaker_state(&b, 1));
}

static void counts_last_an_interval(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, &plan, NULL, NULL, 0);
    assert_true(ask(&b, 1, false));
    assert_true(ask(&b, 2, false));
    assert_true(ask(&b, 1001, false)); /* the first of a new interval */
    assert_int_equal(BREAKER_CLOSED, breaker_state(&b, 1001));
}

static void half_open_lets_three_through_and_closes_after_three(void **state)
{
    uint64_t g[4];
    struct breaker b;

    (void)state;
    breaker_init(&b, &plan, NULL, NULL, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(ask(&b, 1, false));
    }
    assert_int_equal(BREAKER_HALF_OPEN, breaker_state(&b, 5001));
    for (int i = 0; i < 3; i++) {
        assert_true(breaker_allow(&b, 5001, &g[i]));
    }
    assert_false(breaker_allow(&b, 5001, &g[3]));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(BREAKER_HALF_OPEN, breaker_state(&b, 5002));
        breaker_done(&b, 5002, g[i], true, false);
    }
    assert_int_equal(BREAKER_CLOSED, breaker_state(&b, 5002));
}

static void half_open_ends_though_another_plan_lets_fewer_through(void **state)
{
    const struct breaker_plan fewer = {
        .max_requests = 1, .interval_ms = 1000, .timeout_ms = 5000, .slow_ms = 100};
    struct breaker b;

    (void)state;
    breaker_init(&b, &plan, NULL, NULL, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(ask(&b, 1, false));
    }
    assert_true(ask(&b, 5002, true));
    assert_int_equal(BREAKER_HALF_OPEN, breaker_state(&b, 5002));
    b.plan = &fewer; /* a reload */
    assert_int_equal(BREAKER_CLOSED, breaker_state(&b, 5003));
    assert_true(ask(&b, 5003, true));
}

static void one_failure_half_open_opens_it_again(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, &plan, NULL, NULL, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(ask(&b, 1, false));
    }
    assert_true(ask(&b, 5001, false));
    assert_int_equal(BREAKER_OPEN, breaker_state(&b, 5002));
    assert_int_equal(2, b.opened);
}

static void answers_of_an_older_state_do_not_count(void **state)
{
    struct breaker b;
    uint64_t late;

    (void)state;
    breaker_init(&b, &plan, NULL, NULL, 0);
    assert_true(breaker_allow(&b, 1, &late));
    for (int i = 0; i < 2; i++) {
        assert_true(ask(&b, 1, false));
    }
    assert_int_equal(BREAKER_HALF_OPEN, breaker_state(&b, 5001));
    breaker_done(&b, 5001, late, false, false);
    assert_int_equal(BREAKER_HALF_OPEN, breaker_state(&b, 5001));
}

static void what_is_called_off_leaves_its_place_to_another(void **state)
{
    struct breaker b;
    uint64_t g;

    (void)state;
    breaker_init(&b, &plan, NULL, NULL, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(ask(&b, 1, false));
    }
    for (int i = 0; i < 10; i++) { /* half-open */
        assert_true(breaker_allow(&b, 5001, &g));
        breaker_forget(&b, g);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(ask(&b, 5002, true));
    }
    assert_int_equal(BREAKER_CLOSED, breaker_state(&b, 5002));
}

static bool never(void *arg, const struct breaker_counts *c)
{
    *(struct breaker_counts *)arg = *c;
    return false;
}

static void the_policy_decides_by_the_counts(void **state)
{
    struct breaker_counts seen;
    struct breaker b;

    (void)state;
    breaker_init(&b, &plan, never, &seen, 0);
    assert_true(ask(&b, 1, true));
    for (int i = 0; i < 5; i++) {
        assert_true(ask(&b, 1, false));
    }
    assert_int_equal(BREAKER_CLOSED, breaker_state(&b, 1));
    assert_int_equal(6, seen.requests);
    assert_int_equal(1, seen.successes);
    assert_int_equal(5, seen.failures);
    assert_int_equal(5, seen.consecutive_failures);
}

static void forced_open_stays_so_until_it_is_closed(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, &plan, NULL, NULL, 0);
    breaker_force(&b, 1, true);
    assert_false(ask(&b, 999999, true));
    breaker_force(&b, 999999, false);
    assert_true(ask(&b, 999999, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_at_three_requests_and_sixty_percent),
        cmocka_unit_test(sixty_percent_of_five_open_it_and_fifty_of_four_do_not),
        cmocka_unit_test(counts_last_an_interval),
        cmocka_unit_test(half_open_lets_three_through_and_closes_after_three),
        cmocka_unit_test(half_open_ends_though_another_plan_lets_fewer_through),
        cmocka_unit_test(one_failure_half_open_opens_it_again),
        cmocka_unit_test(answers_of_an_older_state_do_not_count),
        cmocka_unit_test(what_is_called_off_leaves_its_place_to_another),
        cmocka_unit_test(the_policy_decides_by_the_counts),
        cmocka_unit_test(forced_open_stays_so_until_it_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
