/* The size of batches: enlarged for a server with too many parts, and back; by the rule
 * "latency". The clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "delivery/internal.h"

static int64_t now_ms;

int clock_gettime(clockid_t id, struct timespec *t)
{
    if (id != CLOCK_MONOTONIC) {
        return (int)syscall(SYS_clock_gettime, id, t);
    }
    *t = (struct timespec){now_ms / 1000, now_ms % 1000 * 1000000};
    return 0;
}

static struct sink_plan plan;
static struct delivery *d;

static int set_up(void **state)
{
    (void)state;
    now_ms = 1000000;
    plan = (struct sink_plan){
        .name = "olap",
        .kind = SINK_KIND_CLICKHOUSE,
        .batch = {.target = 100, .min = 20, .max = 1000, .max_bytes = 1 << 20}};
    d = mem_zalloc(sizeof *d);
    d->conf = &plan;
    d->target_gauge = stats_gauge("sluice_batch_target", "Target.", "sink=\"olap\"");
    d->linger_gauge = stats_gauge("sluice_batch_linger_seconds", "L.", "sink=\"olap\"");
    adapt(d);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(d);
    return 0;
}

static void check(uint32_t min, uint32_t target)
{
    struct batch_limits l = adapt_limits(d);

    assert_int_equal(min, l.min);
    assert_int_equal(target, l.target);
    assert_int_equal(target, atomic_load(d->target_gauge));
}

static void wait_ms(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += 250) {
        now_ms += 250;
        adapt(d);
    }
}

static void batches_grow_while_the_server_asks_and_shrink_afterwards(void **state)
{
    (void)state;
    check(20, 100);
    adapt_enlarge(d);
    check(40, 200);
    adapt_enlarge(d); /* of the same moment: one trouble */
    check(40, 200);
    now_ms += 600;
    adapt_enlarge(d);
    check(80, 400);
    now_ms += 600;
    adapt_enlarge(d);
    check(160, 800);
    now_ms += 600;
    adapt_enlarge(d);
    check(320, 1000); /* max */
    wait_ms(3000);
    check(320, 1000);
    wait_ms(2000);
    check(160, 800);
    wait_ms(4000);
    check(80, 400);
    wait_ms(8000);
    check(20, 100);
    wait_ms(8000);
    check(20, 100);
}

static uint32_t by_latency(double errors, double backlog_bytes, double target)
{
    const struct sink_hooks none = {.arg = NULL};
    const struct sink_load load = {.bytes = 1000,
                                   .backlog_bytes = backlog_bytes,
                                   .errors = errors,
                                   .target = target};

    plan.adapt_latency = true;
    return adapt_target(&plan, &none, &load);
}

static void a_backlog_enlarges_batches_and_failures_halve_them(void **state)
{
    (void)state;
    assert_int_equal(150, by_latency(0, 4001, 100));
    assert_int_equal(80, by_latency(0, 4000, 100));
    assert_int_equal(150, by_latency(.2, 4001, 100)); /* a fifth may fail */
    assert_int_equal(50, by_latency(.21, 4001, 100));
    assert_int_equal(20, by_latency(1, 4001, 30));
    assert_int_equal(1000, by_latency(0, 4001, 900));
}

/* Inserts of three seconds that end together: a second without an end says nothing. */
static void
a_second_in_which_no_batch_ended_shrinks_nothing_while_some_wait(void **state)
{
    const struct sink_hooks none = {.arg = NULL};
    struct sink_load load = {.backlog_bytes = 1, .target = 100};

    (void)state;
    plan.adapt_latency = true;
    assert_int_equal(100, adapt_target(&plan, &none, &load));
    load.errors = .21;
    assert_int_equal(50, adapt_target(&plan, &none, &load));
    load.errors = 0;
    load.backlog_bytes = 0;
    assert_int_equal(80, adapt_target(&plan, &none, &load));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(batches_grow_while_the_server_asks_and_shrink_afterwards),
        TEST(a_backlog_enlarges_batches_and_failures_halve_them),
        TEST(a_second_in_which_no_batch_ended_shrinks_nothing_while_some_wait)};

    return cmocka_run_group_tests_name("adapt", tests, NULL, NULL);
}
