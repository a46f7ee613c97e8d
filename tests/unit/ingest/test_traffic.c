/* The requests of a route in /metrics: by method and status, and their times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ingest/traffic.h"

static char page[1 << 20];
static size_t page_n;

static void put(void *arg, const char *text, size_t n)
{
    (void)arg;
    assert_true(page_n + n < sizeof page);
    memcpy(page + page_n, text, n);
    page_n += n;
    page[page_n] = '\0';
}

static const char *scrape(void)
{
    page_n = 0;
    stats_write(STATS_TEXT, put, NULL);
    return page;
}

static uint64_t n_requests(const char *route, const char *method, const char *status)
{
    char labels[160];

    (void)snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\",status=\"%s\"",
                   route, method, status);
    return stats_value("sluice_requests_total", labels);
}

static void methods_are_a_fixed_list(void **state)
{
    (void)state;
    assert_int_equal(METHOD_POST, method_of(STR("POST")));
    assert_int_equal(METHOD_OPTIONS, method_of(STR("OPTIONS")));
    assert_int_equal(METHOD_OTHER, method_of(STR("PROPFIND")));
    assert_int_equal(METHOD_OTHER, method_of(STR("none")));
    assert_int_equal(METHOD_OTHER, method_of(STR("post")));
    assert_int_equal(METHOD_NONE, method_of((struct str){NULL, 0}));
}

static void a_request_counts_by_route_method_and_status(void **state)
{
    struct request_mark m = {.began_ns = 1, .method = METHOD_PUT};
    struct traffic t;

    (void)state;
    traffic_init(&t, "PUT /a", NULL);
    traffic_answered(&t, &m, 201, 2, 1767323045678);
    traffic_answered(&t, &m, 201, 2, 1767323045678);
    traffic_count(&t, METHOD_HEAD, 405);
    assert_int_equal(2, n_requests("PUT /a", "PUT", "201"));
    assert_int_equal(1, n_requests("PUT /a", "HEAD", "405"));
    /* There before the first of them. */
    assert_non_null(strstr(scrape(), "sluice_requests_total{route=\"PUT /a\",method="
                                     "\"PUT\",status=\"503\"} 0\n"));
}

/* A policy may answer with any status, and clients choose the method. */
static void statuses_beyond_the_bound_are_others(void **state)
{
    struct traffic t;
    uint64_t all = 0;
    char status[8];

    (void)state;
    traffic_init(&t, "POST /many", NULL);
    for (int method = METHOD_POST; method <= METHOD_OTHER; method++) {
        for (int i = 200; i < 600; i++) {
            traffic_count(&t, (enum method)method, i);
        }
    }
    assert_true(t.n <= TRAFFIC_CELLS_MAX + 1);
    for (int i = 200; i < 600; i++) {
        (void)snprintf(status, sizeof status, "%d", i);
        all += n_requests("POST /many", "POST", status);
    }
    assert_int_equal(8 * 400, all + n_requests("POST /many", "other", "other"));
    assert_int_equal(1, n_requests("POST /many", "POST", "202"));
}

static void the_body_and_the_answer_have_their_own_times(void **state)
{
    struct request_mark m = {
        .began_ns = 1000000000, .whole_ns = 3000000000, .method = METHOD_POST};
    struct request_mark head = {.began_ns = 1000000000, .method = METHOD_POST};
    struct request_mark bytes = {.method = METHOD_NONE};
    struct traffic t;
    const char *text;

    (void)state;
    traffic_init(&t, "POST /t", NULL);
    traffic_answered(&t, &m, 202, 3500000000, 1767323045678);
    traffic_answered(&t, &head, 401, 1250000000, 1767323045678);
    traffic_answered(&t, &bytes, 400, 9000000000, 1767323045678);
    text = scrape();
    assert_non_null(
        strstr(text, "sluice_request_seconds_sum{route=\"POST /t\"} 2.75\n"));
    assert_non_null(
        strstr(text, "sluice_request_seconds_count{route=\"POST /t\"} 3\n"));
    assert_non_null(
        strstr(text, "sluice_request_body_seconds_sum{route=\"POST /t\"} 2\n"));
    assert_non_null(
        strstr(text, "sluice_request_body_seconds_count{route=\"POST /t\"} 1\n"));
    assert_non_null(strstr(
        text, "sluice_request_first_byte_seconds_sum{route=\"POST /t\"} 0.75\n"));
    /* Close enough together for a p99.9: at most two thirds more. */
    assert_non_null(
        strstr(text, "sluice_request_seconds_bucket{route=\"POST /t\",le=\"0.0075\"}"));
    assert_non_null(
        strstr(text, "sluice_request_seconds_bucket{route=\"POST /t\",le=\"0.015\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_are_a_fixed_list),
        cmocka_unit_test(a_request_counts_by_route_method_and_status),
        cmocka_unit_test(statuses_beyond_the_bound_are_others),
        cmocka_unit_test(the_body_and_the_answer_have_their_own_times)};

    return cmocka_run_group_tests_name("traffic", tests, NULL, NULL);
}
