/* A sink that holds for want of an answer, and what lets it go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "delivery/scripted.h"
#include "stats/stats.h"

static bool is_holding(const struct delivery_status *s)
{
    return s->holding;
}

static atomic_uint n_stuck;

/* Asked by a tick, which makes the sink hold, and by the retry before the next tick, which
 * goes on. */
static const char *is_stuck_twice(const struct sink *s)
{
    (void)s;
    return atomic_fetch_add(&n_stuck, 1) < 2 ? "no broker can be reached" : NULL;
}

static bool never(const struct sink_conf *conf, struct batch *b, uint32_t nth,
                  struct sink_verdict *v)
{
    (void)conf;
    (void)b;
    (void)nth;
    (void)v;
    return false;
}

static bool goes_on(const struct delivery_status *s)
{
    return !s->holding && atomic_load(&n_stuck) > 2;
}

/* As when letters that waited were taken back: no answer to them says that it goes on. */
static void a_sink_that_has_no_answer_goes_on_once_it_is_not_stuck(void **state)
{
    (void)state;
    atomic_store(&n_stuck, 0);
    atomic_store(&script.answer, never);
    scripted.stuck = is_stuck_twice;
    bus_open();
    store(1, 1);
    (void)until_status(is_holding);
    (void)until_status(goes_on);
    assert_int_equal(0, stats_value("sluice_sink_holding", "sink=\"bus\""));
}

static atomic_bool server_is_away, was_asked;

static const char *is_stuck_while_away(const struct sink *s)
{
    (void)s;
    atomic_fetch_add(&n_stuck, 1);
    return atomic_load(&server_is_away) ? "no broker can be reached" : NULL;
}

/* The first time it comes back, as from an open breaker, and the server does too. */
static bool comes_back_once(const struct sink_conf *conf, struct batch *b, uint32_t nth,
                            struct sink_verdict *v)
{
    (void)conf;
    if (nth > 0) {
        return false;
    }
    atomic_store(&server_is_away, false);
    *v = (struct sink_verdict){.kind = SINK_RETRY,
                               .n = b->n,
                               .unsent = !atomic_load(&was_asked),
                               .why = "the breaker is open"};
    return true;
}

static bool goes_on_with_the_second_try(const struct delivery_status *s)
{
    return !s->holding && atomic_load(&script.n) == 2;
}

static void
a_batch_that_came_back_meanwhile_does_not_hold_it_for_its_answer(void **state)
{
    (void)state;
    atomic_store(&server_is_away, true);
    atomic_store(&was_asked, false);
    atomic_store(&script.answer, never);
    scripted.stuck = is_stuck_while_away;
    bus_open();
    store(1, 1);
    (void)until_status(is_holding);
    atomic_store(&script.answer, comes_back_once);
    (void)until_status(goes_on_with_the_second_try);
    assert_int_equal(0, stats_value("sluice_sink_holding", "sink=\"bus\""));
}

static bool is_tried_and_looked_at(const struct delivery_status *s)
{
    (void)s;
    if (atomic_load(&script.n) < 2) {
        atomic_store(&n_stuck, 0);
    }
    return atomic_load(&n_stuck) > 4; /* ticks and retries since the second try */
}

static void a_batch_that_was_asked_for_in_vain_holds_it_until_its_answer(void **state)
{
    (void)state;
    atomic_store(&server_is_away, true);
    atomic_store(&was_asked, true);
    atomic_store(&script.answer, never);
    scripted.stuck = is_stuck_while_away;
    bus_open();
    store(1, 1);
    (void)until_status(is_holding);
    atomic_store(&script.answer, comes_back_once);
    (void)until_status(is_tried_and_looked_at);
    assert_int_equal(1, stats_value("sluice_sink_holding", "sink=\"bus\""));
}

static atomic_int
    wait_told; /* 1: the second batch is to say that it waits; 2: it has */

/* The first one is refused for long; the server has not what the second one needs. */
static bool one_fails_and_one_waits(const struct sink_conf *conf, struct batch *b,
                                    uint32_t nth, struct sink_verdict *v)
{
    if (nth == 0) {
        *v = (struct sink_verdict){.kind = SINK_RETRY,
                                   .n = b->n,
                                   .after_ms = 60000,
                                   .why = "the server is gone"};
        return true;
    }
    if (atomic_load(&wait_told) == 1) {
        conf->done(conf->arg, b, &(struct sink_verdict){.kind = SINK_OK, .row = -1});
        atomic_store(&wait_told, 2);
    }
    return false;
}

static void a_batch_that_waits_says_nothing_of_another_that_failed(void **state)
{
    struct delivery_status s;

    (void)state;
    atomic_store(&wait_told, 0);
    atomic_store(&script.answer, never);
    bus_open();
    store(1, 1);
    until_submitted(1);
    store(2, 1);
    until_submitted(2);
    atomic_store(&script.answer, one_fails_and_one_waits);
    (void)until_status(is_holding);
    atomic_store(&wait_told, 1);
    for (int i = 0; i < WAIT_MS && atomic_load(&wait_told) != 2; i++) {
        rest();
    }
    assert_int_equal(2, atomic_load(&wait_told));
    delivery_status(bus.d, &s);
    assert_true(s.holding);
    assert_string_equal("the server is gone", s.why);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bus_set_up, bus_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sink_that_has_no_answer_goes_on_once_it_is_not_stuck),
        TEST(a_batch_that_came_back_meanwhile_does_not_hold_it_for_its_answer),
        TEST(a_batch_that_was_asked_for_in_vain_holds_it_until_its_answer),
        TEST(a_batch_that_waits_says_nothing_of_another_that_failed)};

    return cmocka_run_group_tests_name("holding", tests, NULL, NULL);
}
