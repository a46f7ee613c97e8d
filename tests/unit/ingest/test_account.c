/* The counts of a route's events in /metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ingest/account.h"
#include "policy/load/load.h"

static struct accounts all;

static int set_up(void **state)
{
    (void)state;
    accounts_init(&all);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    accounts_fini(&all);
    return 0;
}

static uint64_t of_route(const char *route, const char *result, const char *code)
{
    char labels[160];

    (void)snprintf(labels, sizeof labels, "route=\"%s\",result=\"%s\",code=\"%s\"",
                   route, result, code);
    return stats_value("sluice_events_total", labels);
}

static void each_result_has_its_own_counter(void **state)
{
    const struct ends ends = {
        .stored = 1, .dropped = 4, .duplicate = 8, .dead = 16, .refused = 32};
    struct account *a = account_of(&all, "POST /a");

    (void)state;
    account_received(a, 63);
    account_rejected(a, "no_id", 422);
    account_rejected(a, "no_id", 202);
    account_refused(a, "spool_full", 503, 64);
    account_refused(a, "delivery_timeout", 504, 0);
    account_ends(a, &ends);
    assert_int_equal(63,
                     stats_value("sluice_received_events_total", "route=\"POST /a\""));
    assert_int_equal(1, of_route("POST /a", "stored", ""));
    assert_int_equal(2, of_route("POST /a", "rejected", "no_id"));
    assert_int_equal(4, of_route("POST /a", "dropped", ""));
    assert_int_equal(8, of_route("POST /a", "duplicate", ""));
    assert_int_equal(16, of_route("POST /a", "dead", ""));
    assert_int_equal(32, of_route("POST /a", "refused", ""));
    assert_int_equal(64, of_route("POST /a", "refused", "spool_full"));
    assert_int_equal(0, of_route("POST /a", "refused", "delivery_timeout"));
}

static void waiting_events_come_and_go(void **state)
{
    (void)state;
    account_wait(&all, 5);
    account_wait(&all, 2);
    assert_int_equal(7, stats_value("sluice_waiting_events", ""));
    account_done(&all, 5);
    account_done(&all, 2);
    assert_int_equal(0, stats_value("sluice_waiting_events", ""));
}

static uint64_t of_code(const char *code, int status)
{
    char labels[160];

    (void)snprintf(labels, sizeof labels, "route=\"POST /c\",code=\"%s\",status=\"%d\"",
                   code, status);
    return stats_value("sluice_refusals_total", labels);
}

static void reject_by_hook(struct account *a, const char *code,
                           const struct policy *policy)
{
    int status = 422;

    code = account_hook_code(a, code, &status, policy);
    account_rejected(a, code, status);
}

/* A hook may make codes from clients' texts. */
static void made_codes_have_a_bound_and_take_nothing_from_the_others(void **state)
{
    static const char text[] = "file 'a' { dir = 'a' } stream 's' { sinks = { 'a' } }\n"
                               "local own = 'own'\n"
                               "route 'POST /c' { body = 'event', stream = 's' }";
    struct policy_report report;
    struct policy *policy = policy_load_text("t", str_of(text), &report);
    struct account *a = account_of(&all, "POST /c");
    char code[16];

    (void)state;
    for (int i = 0; i < 3 * ACCOUNT_CODES_MAX; i++) {
        (void)snprintf(code, sizeof code, "code%d", i);
        reject_by_hook(a, code, policy);
    }
    reject_by_hook(a, "code0", policy);
    (void)snprintf(code, sizeof code, "code%d", ACCOUNT_CODES_MAX - 1);
    assert_int_equal(1, of_code(code, 422));
    (void)snprintf(code, sizeof code, "code%d", ACCOUNT_CODES_MAX);
    assert_int_equal(0, of_code(code, 422));
    assert_int_equal(2 * ACCOUNT_CODES_MAX, of_code("other", 0));
    assert_int_equal(2, of_code("code0", 422));
    assert_int_equal(2 * ACCOUNT_CODES_MAX, of_route("POST /c", "rejected", "other"));
    assert_int_equal(2, of_route("POST /c", "rejected", "code0"));
    reject_by_hook(a, "own", policy);
    reject_by_hook(a, "rate_limited", policy);
    account_rejected(a, "missing_field", 422);
    account_refused(a, "spool_full", 503, 7);
    assert_int_equal(1, of_code("own", 422));
    assert_int_equal(1, of_code("rate_limited", 422));
    assert_int_equal(1, of_code("missing_field", 422));
    assert_int_equal(7, of_route("POST /c", "refused", "spool_full"));
    policy_report_fini(&report);
    policy_unref(policy);
}

static void routes_beyond_the_bound_are_others(void **state)
{
    char route[16];

    (void)state;
    for (int i = 0; i < ACCOUNTS_MAX; i++) {
        (void)snprintf(route, sizeof route, "r%d", i);
        assert_string_equal(route, account_name(account_of(&all, route)));
    }
    assert_string_equal("other", account_name(account_of(&all, "one more")));
    assert_string_equal("r0", account_name(account_of(&all, "r0")));
}

static char page[1 << 20];

static void put(void *arg, const char *text, size_t n)
{
    (void)arg;
    (void)strncat(page, text, n);
}

/* How many lines of a scrape name the route. */
static int n_lines(const char *route)
{
    int n = 0;

    page[0] = '\0';
    stats_write(STATS_TEXT, put, NULL);
    for (const char *p = page; (p = strstr(p, route)) != NULL; p++) {
        n++;
    }
    return n;
}

/* Everything that it made, also late; and a worker that still has the route shows it. */
static void a_route_goes_with_its_last_holder(void **state)
{
    const struct request_mark m = {.began_ns = 1, .method = METHOD_PUT};
    struct accounts other;
    struct account *a = account_of(&all, "POST /gone"), *b;

    (void)state;
    accounts_init(&other);
    b = account_of(&other, "POST /gone");
    account_received(a, 2);
    account_received(b, 3);
    account_cut(a, 1);
    account_rejected(a, "no_id", 422);
    account_refused(a, "spool_full", 503, 1);
    account_hooks(a, true, true);
    account_auth(a, AUTH_MISSING);
    traffic_answered(account_traffic(a), &m, 299, 2, 0);
    assert_ptr_equal(a, account_of(&all, "POST /gone"));
    account_hold(a);
    account_drop(&all, a);
    account_drop(&all, a);
    assert_int_equal(
        5, stats_value("sluice_received_events_total", "route=\"POST /gone\""));
    account_drop(&all, a);
    assert_true(n_lines("POST /gone") > 10);
    assert_int_equal(
        5, stats_value("sluice_received_events_total", "route=\"POST /gone\""));
    account_drop(&other, b);
    assert_int_equal(0, n_lines("POST /gone"));
    accounts_fini(&other);
}

/* Names that are gone leave room: the bound is of those that are there. */
static void a_thousand_renamed_routes_are_no_others(void **state)
{
    char route[24];

    (void)state;
    for (int i = 0; i < 3 * ACCOUNTS_MAX; i++) {
        struct account *a;

        (void)snprintf(route, sizeof route, "POST /renamed/%d", i);
        a = account_of(&all, route);
        assert_string_equal(route, account_name(a));
        account_drop(&all, a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_result_has_its_own_counter, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(waiting_events_come_and_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_route_goes_with_its_last_holder, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_thousand_renamed_routes_are_no_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            made_codes_have_a_bound_and_take_nothing_from_the_others, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(routes_beyond_the_bound_are_others, set_up,
                                        tear_down)};

    return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
