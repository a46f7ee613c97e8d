#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "stats/stats.h"

static char page[1 << 16];
static size_t n_page;

static void put(void *arg, const char *text, size_t n)
{
    (void)arg;
    assert_true(n_page + n < sizeof page);
    memcpy(page + n_page, text, n);
    n_page += n;
    page[n_page] = '\0';
}

static void assert_shown(const char *line)
{
    if (strstr(page, line) == NULL) {
        fail_msg("no \"%s\" in\n%s", line, page);
    }
}

/* A bucket is 1/8 of a power of two wide: a quantile is no further off. */
static void a_quantile_is_where_its_share_ends(void **state)
{
    struct stats_histogram *h = stats_histogram_new();
    const struct stats_histogram *list[2] = {h, NULL};

    (void)state;
    assert_true(stats_quantile(list, 2, 0.5) == 0);
    for (uint64_t i = 1; i <= 1000; i++) {
        stats_record(h, i);
    }
    assert_in_range((uint64_t)stats_quantile(list, 2, 0.5), 500, 563);
    assert_in_range((uint64_t)stats_quantile(list, 2, 0.99), 990, 1115);
    assert_in_range((uint64_t)stats_quantile(list, 2, 1), 1000, 1125);
    stats_histogram_clear(h);
    assert_true(stats_quantile(list, 2, 0.99) == 0);
    stats_histogram_free(h);
}

static void a_bucket_counts_what_is_not_above_its_bound(void **state)
{
    struct stats_histogram *h =
        stats_histogram("test_sizes", "Sizes.", "", STATS_COUNT);

    (void)state;
    for (uint64_t i = 1; i <= 5; i++) {
        stats_record(h, i);
    }
    n_page = 0;
    stats_write(STATS_TEXT, put, NULL);
    assert_shown("# TYPE test_sizes histogram\n");
    assert_shown("test_sizes_bucket{le=\"1\"} 1\n");
    assert_shown("test_sizes_bucket{le=\"2\"} 2\n");
    assert_shown("test_sizes_bucket{le=\"5\"} 5\n");
    assert_shown("test_sizes_bucket{le=\"+Inf\"} 5\n");
    assert_shown("test_sizes_sum 15\n");
    assert_shown("test_sizes_count 5\n");
}

static void cells_of_one_name_and_label_add_up(void **state)
{
    stats_cell *a = stats_counter("test_things_total", "Things.", "k=\"v\"");
    stats_cell *b = stats_counter("test_things_total", "Things.", "k=\"v\"");

    (void)state;
    stats_add(a, 3);
    stats_add(b, 4);
    stats_add(stats_counter("test_things_total", "Things.", "k=\"w\""), 5);
    n_page = 0;
    stats_write(STATS_TEXT, put, NULL);
    assert_shown("test_things_total{k=\"v\"} 7\n");
    assert_shown("test_things_total{k=\"w\"} 5\n");
    assert_int_equal(7, stats_value("test_things_total", "k=\"v\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quantile_is_where_its_share_ends),
        cmocka_unit_test(a_bucket_counts_what_is_not_above_its_bound),
        cmocka_unit_test(cells_of_one_name_and_label_add_up)};

    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
