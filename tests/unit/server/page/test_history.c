/* Half an hour of figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/page/history.h"

static char text[1 << 20];
static size_t n_text;

static void put(void *arg, const char *p, size_t n)
{
    (void)arg;
    assert_true(n_text + n < sizeof text);
    memcpy(text + n_text, p, n);
    n_text += n;
    text[n_text] = '\0';
}

static const char *written(const struct history *h, uint64_t since)
{
    n_text = 0;
    history_write(h, since, put, NULL);
    return text;
}

/* Figure number i of the last row; -1: null. */
static double figure(const struct history *h, const char *name)
{
    const char *at = strstr(written(h, 0), "\"columns\":[");
    const char *row = strrchr(text, '[');
    int i = 0;

    for (at = strchr(at, '['); strncmp(at + 2, name, strlen(name)) != 0; i++) {
        at = strchr(at + 1, ',');
        assert_non_null(at);
    }
    for (row++; i > 0; i--) {
        row = strchr(row, ',') + 1;
    }
    return row[0] == 'n' ? -1 : strtod(row, NULL);
}

static int rows(void)
{
    int n = 0;

    for (const char *at = strstr(text, "\"rows\"");
         (at = strchr(at + 1, '[')) != NULL;) {
        n++;
    }
    return n - 1;
}

static void a_row_has_rates_of_its_second_alone(void **state)
{
    stats_cell *stored = stats_counter("sluice_events_total", "h",
                                       "route=\"POST /a\",result=\"stored\"");
    stats_cell *bad = stats_counter("sluice_events_total", "h",
                                    "route=\"POST /a\",result=\"rejected\"");
    /* A route whose name ends like a result. */
    stats_cell *odd =
        stats_counter("sluice_events_total", "h",
                      "route=\"POST /,result=\\\"stored\\\"\",result=\"refused\"");
    struct stats_histogram *latency =
        stats_histogram("sluice_request_seconds", "h", "", STATS_NS);
    struct history *h = history_new(*state);

    stats_add(stored, 100);
    stats_add(bad, 6);
    stats_add(odd, 4);
    stats_record(latency, 1000000);
    history_take(h, 2.);
    assert_float_equal(50, figure(h, "stored"), 0.1);
    assert_float_equal(5, figure(h, "refused"), 0.1);
    assert_float_equal(1, figure(h, "p50_ms"), 0.2);
    stats_record(latency, 50000000);
    history_take(h, 1.);
    assert_float_equal(0, figure(h, "stored"), 0.1);
    assert_float_equal(50, figure(h, "p50_ms"), 7); /* not of the one before */
    history_take(h, 1.);
    assert_true(figure(h, "p99_ms") < 0); /* nothing was measured */
    history_free(h);
}

static void a_page_gets_the_rows_that_it_lacks(void **state)
{
    struct history *h = history_new(*state);

    for (int i = 0; i < 5; i++) {
        history_take(h, 1.);
    }
    assert_non_null(strstr(written(h, 3), "\"first\":3,\"seq\":5,"));
    assert_int_equal(2, rows());
    assert_non_null(strstr(written(h, 5), "\"first\":5,\"seq\":5,\"rows\":[]"));
    /* Of an earlier process: all. */
    assert_non_null(strstr(written(h, 77), "\"first\":0,\"seq\":5,"));
    assert_int_equal(5, rows());
    history_free(h);
}

static void the_oldest_rows_go(void **state)
{
    struct history *h = history_new(*state);

    for (int i = 0; i < HISTORY_ROWS + 3; i++) {
        history_take(h, 1.);
    }
    assert_non_null(strstr(written(h, 1), "\"first\":3,\"seq\":1803,"));
    assert_int_equal(HISTORY_ROWS, rows());
    history_free(h);
}

static void stages_are_those_of_the_last_minute(void **state)
{
    struct stats_histogram *commit =
        stats_histogram("sluice_stage_seconds", "h", "stage=\"commit\"", STATS_NS);
    struct history *h = history_new(*state);

    stats_record(commit, 1000000);
    history_take(h, 1.);
    n_text = 0;
    history_stages(h, put, NULL);
    assert_non_null(strstr(text, "{\"stage\":\"commit\",\"n\":1,\"p50_ms\":1"));
    history_take(h, 40.);
    history_take(h, 40.);
    n_text = 0;
    history_stages(h, put, NULL);
    assert_non_null(strstr(text, "{\"stage\":\"commit\",\"n\":0}"));
    history_free(h);
}

static int set_up(void **state)
{
    *state = ev_loop_new(EVFLAG_AUTO);
    return 0;
}

static int tear_down(void **state)
{
    ev_loop_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_has_rates_of_its_second_alone),
        cmocka_unit_test(a_page_gets_the_rows_that_it_lacks),
        cmocka_unit_test(the_oldest_rows_go),
        cmocka_unit_test(stages_are_those_of_the_last_minute),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
