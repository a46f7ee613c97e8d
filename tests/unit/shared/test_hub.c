/* What outlives a generation: the same words give the same thing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "shared/hub.h"
#include "stats/stats.h"

static const char *const labels[] = {"tenant"};

static void collect(void *arg, const char *text, size_t n)
{
    (void)strncat(arg, text, n);
}

static void a_metric_is_one_for_all_generations(void **state)
{
    const struct metric_conf plain = {.name = "clicks_total", .help = "Clicks."};
    const struct metric_conf gauge = {
        .name = "clicks_total", .help = "Clicks.", .gauge = true};
    const struct metric_conf by = {.name = "by_total", .help = "By.",
                                   .labels = labels, .n_labels = 1,
                                   .max_series = 2};
    struct hub *h = hub_new(true);
    struct metric *m, *t;
    static char text[65536];
    struct err e;
    const struct str values[] = {STR("a\"b"), STR("z"), STR("more"), STR("x")};

    (void)state;
    m = hub_metric(h, &plain, &e);
    assert_non_null(m);
    assert_ptr_equal(hub_metric(h, &plain, &e), m);
    assert_null(hub_metric(h, &gauge, &e));
    assert_non_null(strstr(e.text, "another kind"));
    metric_add(m, 0, 0, 1);
    metric_add(m, 0, 5, 1.5);
    t = hub_metric(h, &by, &e);
    for (int i = 0; i < 4; i++) {
        metric_add(t, metric_series(t, &values[i]), 0, i + 1);
    }
    assert_int_equal(metric_series(t, &values[1]), 1);
    assert_int_equal(metric_series(t, &values[3]), METRIC_OTHER);
    stats_write(collect, text);
    assert_non_null(strstr(text, "# TYPE clicks_total counter\nclicks_total 2.5\n"));
    assert_non_null(strstr(text, "by_total{tenant=\"a\\\"b\"} 1\n"));
    assert_non_null(strstr(text, "by_total{tenant=\"z\"} 2\n"));
    assert_non_null(strstr(text, "by_total{tenant=\"other\"} 7\n"));
    /* No place that Lua could name is out of bounds. */
    metric_add(t, 77, 0, 1);
    metric_add(t, INT32_MIN, 0, 1);
    hub_unref(h);
}

static void a_table_stays_while_its_words_do(void **state)
{
    const struct buckets_conf conf = {.rate = 1, .burst = 1, .max_keys = 10};
    const struct buckets_conf other = {.rate = 2, .burst = 1, .max_keys = 10};
    struct hub *h = hub_new(false);
    struct buckets *a = hub_buckets(h, "a", &conf);
    struct buckets *again = hub_buckets(h, "a", &conf), *next;

    (void)state;
    assert_ptr_equal(a, again);
    buckets_unref(again);
    assert_int_equal(buckets_take(a, STR("k"), 1, 1000), 0);
    assert_true(buckets_take(a, STR("k"), 1, 1000) > 0);
    next = hub_buckets(h, "a", &other);
    assert_ptr_not_equal(next, a);
    assert_int_equal(buckets_take(next, STR("k"), 1, 1000), 0);
    buckets_unref(a);
    buckets_unref(next);
    hub_unref(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_metric_is_one_for_all_generations),
        cmocka_unit_test(a_table_stays_while_its_words_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
