/* Things that outlive a generation: the same words give the same thing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "shared/registry.h"
#include "stats/stats.h"

static const char *const labels[] = {"tenant"};
/* Every later stats_write asks for its published series. */
static struct registry *published;

static void collect(void *arg, const char *text, size_t n)
{
    (void)strncat(arg, text, n);
}

static void a_metric_is_one_for_all_generations(void **state)
{
    const struct metric_conf plain = {.name = "clicks_total", .help = "Clicks."};
    const struct metric_conf gauge = {
        .name = "clicks_total", .help = "Clicks.", .gauge = true};
    const struct metric_conf by = {.name = "by_total",
                                   .help = "By.",
                                   .labels = labels,
                                   .n_labels = 1,
                                   .max_series = 2};
    struct registry *h = published;
    struct metric *m, *t;
    static char text[65536];
    struct err e;
    const struct str values[] = {STR("a\"b"), STR("z"), STR("more"), STR("x")};

    (void)state;
    m = registry_metric(h, &plain, &e);
    assert_non_null(m);
    assert_ptr_equal(registry_metric(h, &plain, &e), m);
    registry_publish(h, m);
    registry_publish(h, m);
    assert_null(registry_metric(h, &gauge, &e));
    assert_non_null(strstr(e.text, "another kind"));
    metric_add(m, 0, 0, 1);
    metric_add(m, 0, 5, 1.5);
    t = registry_metric(h, &by, &e);
    registry_publish(h, t);
    for (int i = 0; i < 4; i++) {
        metric_add(t, metric_series(t, &values[i]), 0, i + 1);
    }
    assert_int_equal(metric_series(t, &values[1]), 1);
    assert_int_equal(metric_series(t, &values[3]), METRIC_OTHER);
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "# TYPE clicks_total counter\nclicks_total 2.5\n"));
    assert_non_null(strstr(text, "by_total{tenant=\"a\\\"b\"} 1\n"));
    assert_non_null(strstr(text, "by_total{tenant=\"z\"} 2\n"));
    assert_non_null(strstr(text, "by_total{tenant=\"other\"} 7\n"));
    /* No place that Lua could name is out of bounds. */
    metric_add(t, 77, 0, 1);
    metric_add(t, INT32_MIN, 0, 1);
}

/* A load that is refused: nothing of it shows, and its names are free again. */
static void a_metric_that_never_went_live_is_forgotten(void **state)
{
    const struct metric_conf plain = {.name = "tried_total", .help = "Tried."};
    const struct metric_conf gauge = {
        .name = "tried_total", .help = "Tried.", .gauge = true};
    struct registry *h = published;
    static char text[65536];
    struct metric *m, *again;
    struct err e;

    (void)state;
    text[0] = '\0';
    m = registry_metric(h, &plain, &e);
    stats_write(STATS_TEXT, collect, text);
    assert_null(strstr(text, "tried_total"));
    again = registry_metric(h, &plain, &e);
    registry_metric_drop(h, m);
    assert_null(registry_metric(h, &gauge, &e)); /* one still uses it */
    registry_metric_drop(h, again);
    m = registry_metric(h, &gauge, &e);
    assert_non_null(m);
    registry_publish(h, m);
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "tried_total 0\n"));
    registry_metric_drop(h, m);
    text[0] = '\0';
    stats_write(STATS_TEXT, collect, text);
    assert_null(strstr(text, "tried_total"));
    m = registry_metric(h, &plain, &e); /* the name is free again */
    assert_non_null(m);
    registry_metric_drop(h, m);
}

/* A load in other words that is refused leaves the live one's table alone. */
static void tables_of_two_generations_stand_beside_each_other(void **state)
{
    const struct buckets_conf conf = {.rate = 1, .burst = 1, .max_keys = 10};
    const struct buckets_conf other = {.rate = 2, .burst = 1, .max_keys = 10};
    const struct seen_conf window = {.window_ms = 1000, .max_keys = 10},
                           longer = {.window_ms = 2000, .max_keys = 10};
    struct registry *h = registry_new(false);
    struct buckets *live = registry_buckets(h, "a", &conf), *next, *again;
    struct seen *seen = registry_seen(h, "s", "id", &window), *s;

    (void)state;
    next = registry_buckets(h, "a", &other);
    assert_ptr_not_equal(next, live);
    buckets_unref(next); /* refused */
    again = registry_buckets(h, "a", &conf);
    assert_ptr_equal(again, live);
    s = registry_seen(h, "s", "id", &longer);
    assert_ptr_not_equal(s, seen);
    seen_unref(s);
    s = registry_seen(h, "s", "other", &window);
    assert_ptr_not_equal(s, seen);
    seen_unref(s);
    s = registry_seen(h, "s", "id", &window);
    assert_ptr_equal(s, seen);
    seen_unref(s);
    seen_unref(seen);
    buckets_unref(again);
    buckets_unref(live);
    registry_unref(h);
}

static void a_table_stays_while_its_words_do(void **state)
{
    const struct buckets_conf conf = {.rate = 1, .burst = 1, .max_keys = 10};
    const struct buckets_conf other = {.rate = 2, .burst = 1, .max_keys = 10};
    struct registry *h = registry_new(false);
    struct buckets *a = registry_buckets(h, "a", &conf);
    struct buckets *again = registry_buckets(h, "a", &conf), *next;

    (void)state;
    assert_ptr_equal(a, again);
    buckets_unref(again);
    assert_int_equal(buckets_take(a, STR("k"), 1, 1000), 0);
    assert_true(buckets_take(a, STR("k"), 1, 1000) > 0);
    next = registry_buckets(h, "a", &other);
    assert_ptr_not_equal(next, a);
    assert_int_equal(buckets_take(next, STR("k"), 1, 1000), 0);
    buckets_unref(a);
    buckets_unref(next);
    registry_unref(h);
}

/* A counter that goes back is a restart to Prometheus. */
static void what_a_table_has_refused_is_counted_when_it_is_gone(void **state)
{
    const struct buckets_conf conf = {.rate = 1, .burst = 1, .max_keys = 10};
    const struct buckets_conf other = {.rate = 2, .burst = 1, .max_keys = 10};
    struct registry *h = published;
    struct buckets *b = registry_buckets(h, "counted", &conf), *next;
    static char text[65536];

    (void)state;
    assert_int_equal(buckets_take(b, STR("k"), 1, 1000), 0);
    assert_true(buckets_take(b, STR("k"), 1, 1000) > 0);
    assert_true(buckets_take(b, STR("k"), 1, 1000) > 0);
    buckets_unref(b);
    next = registry_buckets(h, "counted", &other); /* and the other one goes */
    assert_int_equal(buckets_take(next, STR("k"), 1, 1000), 0);
    assert_true(buckets_take(next, STR("k"), 1, 1000) > 0);
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "sluice_limit_refused_total{limit=\"counted\"} 3\n"));
    buckets_unref(next);
}

/* Policies that name another limit and stream at each reload. */
static void names_that_no_generation_has_go_with_their_series(void **state)
{
    const struct buckets_conf conf = {.rate = 1, .burst = 1, .max_keys = 10};
    const struct seen_conf window = {.window_ms = 1000, .max_keys = 10};
    struct registry *h = registry_new(true);
    struct buckets *b = registry_buckets(h, "passing", &conf);
    struct seen *s = registry_seen(h, "passing", "id", &window);
    static char text[65536];

    (void)state;
    registry_tidy(h); /* they are used */
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "sluice_limit_refused_total{limit=\"passing\"} 0\n"));
    assert_non_null(strstr(text, "sluice_dedup_keys{stream=\"passing\"} 0\n"));
    buckets_unref(b);
    registry_tidy(h);
    text[0] = '\0';
    stats_write(STATS_TEXT, collect, text);
    assert_null(strstr(text, "limit=\"passing\""));
    assert_non_null(strstr(text, "sluice_dedup_keys{stream=\"passing\"} 0\n"));
    seen_unref(s);
    registry_tidy(h);
    b = registry_buckets(h, "passing", &conf); /* one comes back */
    text[0] = '\0';
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "sluice_limit_refused_total{limit=\"passing\"} 0\n"));
    assert_null(strstr(text, "stream=\"passing\""));
    buckets_unref(b);
    registry_unref(h);
    text[0] = '\0';
    stats_write(STATS_TEXT, collect, text);
    assert_null(strstr(text, "passing"));
}

struct kept {
    struct registry *h;
    uint32_t n;  /* calls */
    double give; /* taken of a quota before it is used */
};

static void restore(void *arg, const char *name, struct quota *q)
{
    struct kept *k = arg;
    static char text[65536];

    k->n++;
    assert_string_equal(name, "day");
    assert_int_equal(quota_take(q, STR("a"), k->give, 10, 1e12), 0);
    /* The disk may take its time: whoever reads metrics does not wait for it. */
    stats_write(STATS_TEXT, collect, text);
}

static void save(void *arg, const char *name, struct quota *q)
{
    struct kept *k = arg;

    (void)name;
    (void)q;
    k->n++; /* it stays unsaved */
}

static void a_quota_begins_with_what_was_kept_of_it(void **state)
{
    const struct quota_conf day = {.window_s = 86400, .max_keys = 100};
    const struct quota_conf more = {.window_s = 86400, .max_keys = 200};
    const struct quota_conf hour = {.window_s = 3600, .max_keys = 100};
    struct kept k = {.h = published, .give = 7};
    struct quota *q, *same, *other;

    (void)state;
    registry_quotas_restore(k.h, restore, &k);
    q = registry_quota(k.h, "day", &day);
    same = registry_quota(k.h, "day", &more);
    other = registry_quota(k.h, "day", &hour);
    assert_ptr_equal(q, same);
    assert_ptr_not_equal(q, other);
    assert_int_equal(k.n, 2);
    assert_int_not_equal(quota_take(q, STR("a"), 4, 10, 1e12), 0);
    quota_unref(q);
    quota_unref(same);
    quota_unref(other);
    /* No generation has it, and it is not saved: it stays for the next one. */
    q = registry_quota(k.h, "day", &day);
    assert_int_equal(k.n, 2);
    assert_int_not_equal(quota_take(q, STR("a"), 4, 10, 1e12), 0);
    k.n = 0;
    registry_quotas_unsaved(k.h, save, &k);
    assert_int_equal(k.n, 2); /* each once, although both stay unsaved */
    quota_unref(q);
    registry_quotas_restore(k.h, NULL, NULL);
}

/* A process that takes another one's place asks for them before the files are its own. */
static void quotas_that_were_asked_for_before_are_restored_too(void **state)
{
    const struct quota_conf conf = {.window_s = 86400, .max_keys = 100};
    struct kept k = {.h = registry_new(true), .give = 7};
    struct quota *q = registry_quota(k.h, "day", &conf);

    (void)state;
    registry_quotas_restore(k.h, restore, &k);
    assert_int_equal(k.n, 1);
    assert_int_not_equal(quota_take(q, STR("a"), 4, 10, 1e12), 0);
    quota_unref(q);
    registry_quotas_restore(k.h, NULL, NULL);
    assert_int_equal(k.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotas_that_were_asked_for_before_are_restored_too),
        cmocka_unit_test(a_quota_begins_with_what_was_kept_of_it),
        cmocka_unit_test(a_metric_is_one_for_all_generations),
        cmocka_unit_test(a_table_stays_while_its_words_do),
        cmocka_unit_test(what_a_table_has_refused_is_counted_when_it_is_gone),
        cmocka_unit_test(a_metric_that_never_went_live_is_forgotten),
        cmocka_unit_test(tables_of_two_generations_stand_beside_each_other),
        cmocka_unit_test(names_that_no_generation_has_go_with_their_series),
    };
    published = registry_new(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
