/* The two forms of a scrape: exemplars, ages, and series whose owner is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "stats/stats.h"

static char page[8 << 20];
static size_t page_n;

static void put(void *arg, const char *text, size_t n)
{
    (void)arg;
    assert_true(page_n + n < sizeof page);
    memcpy(page + page_n, text, n);
    page_n += n;
    page[page_n] = '\0';
}

static const char *scrape(enum stats_format format)
{
    page_n = 0;
    stats_write(format, put, NULL);
    return page;
}

static void openmetrics_names_a_counter_without_total_and_ends(void **state)
{
    const char *text;

    (void)state;
    stats_add(stats_counter("form_total", "A \"form\".", ""), 3);
    text = scrape(STATS_OPENMETRICS);
    assert_non_null(strstr(text, "# HELP form A \\\"form\\\".\n# TYPE form counter\n"
                                 "form_total 3\n"));
    assert_string_equal("# EOF\n", text + strlen(text) - 6);
    text = scrape(STATS_TEXT);
    assert_non_null(strstr(text, "# HELP form_total A \"form\".\n"
                                 "# TYPE form_total counter\nform_total 3\n"));
    assert_null(strstr(text, "# EOF"));
}

static void a_bucket_shows_the_trace_of_its_last_request(void **state)
{
    static const char a[] = "4bf92f3577b34da6a3ce929d0e0e4736";
    static const char b[] = "00000000000000000000000000000001";
    struct stats_histogram *h =
        stats_histogram("traced_seconds", "Traced.", "", STATS_NS_FINE);
    struct stats_histogram *other =
        stats_histogram("traced_seconds", "Traced.", "", STATS_NS_FINE);
    const char *text;

    (void)state;
    stats_record(h, 1200000);
    stats_exemplar(h, 1200000, a, 1767323045678);
    stats_record(other, 1300000);
    stats_exemplar(other, 1300000, b, 1767323045679);
    stats_record(h, 70000000000);
    stats_exemplar(h, 70000000000, a, 1767323045680);
    text = scrape(STATS_OPENMETRICS);
    assert_non_null(
        strstr(text, "traced_seconds_bucket{le=\"0.0015\"} 2 # {trace_id="
                     "\"00000000000000000000000000000001\"} 0.0013 1767323045.679\n"));
    assert_non_null(strstr(text, "traced_seconds_bucket{le=\"0.002\"} 2\n"));
    assert_non_null(
        strstr(text, "traced_seconds_bucket{le=\"+Inf\"} 3 # {trace_id="
                     "\"4bf92f3577b34da6a3ce929d0e0e4736\"} 70 1767323045.680\n"));
    /* The older form has no place for it. */
    assert_null(strstr(scrape(STATS_TEXT), "trace_id"));
}

/* A bucket of the page with a trace holds a value, and the value of the trace is in it. */
static void a_trace_is_shown_where_its_value_is_counted(void **state)
{
    static const char trace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
    const char *shown, *end;
    unsigned seen = 0;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct stats_histogram *h;
        char labels[16];

        (void)snprintf(labels, sizeof labels, "n=\"%u\"", i);
        h = stats_histogram("placed_seconds", "Placed.", labels, STATS_NS_FINE);
        stats_record(h, 900000 + i * 100);
        stats_exemplar(h, 900000 + i * 100, trace, 1767323045678);
    }
    /* By lines: sscanf and strstr measure the whole page, each time. */
    shown = scrape(STATS_OPENMETRICS);
    end = shown + strlen(shown);
    for (const char *at = shown, *next;
         (next = memchr(at, '\n', (size_t)(end - at))) != NULL; at = next + 1) {
        static double below;
        double bound, value;
        unsigned long count;
        char line[256];
        size_t length = (size_t)(next - at);
        int n = 0, got;

        if (strncmp(at, "placed_seconds_bucket{", 22) != 0) {
            continue;
        }
        assert_true(length < sizeof line);
        memcpy(line, at, length);
        line[length] = '\0';
        (void)sscanf(line, "placed_seconds_bucket{n=\"%*u\",le=\"%lf\"} %lu%n", &bound,
                     &count, &n);
        got = sscanf(line + n, " # {trace_id=\"%*[0-9a-f]\"} %lf ", &value);
        if (n > 0 && got == 1) {
            assert_int_equal(1, count);
            assert_true(value > below && value <= bound);
            seen++;
        }
        below = bound;
    }
    assert_int_equal(2000, seen);
}

static void an_age_grows_by_itself(void **state)
{
    stats_cell *age = stats_age("late_seconds", "Late.", "");
    stats_cell *older = stats_age("late_seconds", "Late.", "");
    double seconds = 0;

    (void)state;
    assert_non_null(
        strstr(scrape(STATS_TEXT), "# TYPE late_seconds gauge\nlate_seconds 0.000\n"));
    stats_set(age, (uint64_t)clock_wall_ms() - 5000);
    stats_set(older, (uint64_t)clock_wall_ms() - 65000);
    assert_int_equal(1, sscanf(strstr(scrape(STATS_TEXT), "\nlate_seconds "),
                               " late_seconds %lf", &seconds));
    assert_true(seconds >= 65);
    /* A clock that was set back makes no negative age. */
    stats_set(older, 0);
    stats_set(age, (uint64_t)clock_wall_ms() + 1000000);
    assert_non_null(strstr(scrape(STATS_TEXT), "late_seconds 0.000\n"));
}

static void make(struct stats_owner *part, const char *name)
{
    struct stats_owner *before = stats_own(part);
    char labels[64];

    (void)snprintf(labels, sizeof labels, "sink=\"%s\"", name);
    stats_add(stats_counter("passing_total", "Passing.", labels), 1);
    (void)stats_histogram("passing_seconds", "Passing.", labels, STATS_NS);
    (void)stats_own(before);
}

/* A policy that names another sink at each reload. */
static void series_that_nobody_makes_any_more_go(void **state)
{
    char name[16];
    struct stats_owner part = {0}, first = {0};

    (void)state;
    make(&first, "first");
    assert_non_null(strstr(scrape(STATS_TEXT), "passing_total{sink=\"first\"} 1\n"));
    stats_disown(&first);
    assert_null(strstr(scrape(STATS_TEXT), "passing_"));
    make(&first, "first"); /* it comes again */
    assert_non_null(strstr(scrape(STATS_TEXT), "passing_total{sink=\"first\"} 2\n"));
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(name, sizeof name, "s%d", i);
        make(&part, name);
        stats_disown(&part);
    }
    assert_null(strstr(scrape(STATS_TEXT), "sink=\"s19999\""));
    assert_int_equal(1, stats_value("passing_total", "sink=\"s19999\""));
    assert_int_equal(0,
                     stats_value("passing_total", "sink=\"s0\"")); /* its memory too */
    assert_non_null(strstr(scrape(STATS_TEXT), "passing_total{sink=\"first\"} 2\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openmetrics_names_a_counter_without_total_and_ends),
        cmocka_unit_test(a_bucket_shows_the_trace_of_its_last_request),
        cmocka_unit_test(a_trace_is_shown_where_its_value_is_counted),
        cmocka_unit_test(an_age_grows_by_itself),
        cmocka_unit_test(series_that_nobody_makes_any_more_go)};

    return cmocka_run_group_tests_name("exposition", tests, NULL, NULL);
}
