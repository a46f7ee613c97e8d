/* What refuses over the last minutes and the last hour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "server/admin/refusing.h"
#include "stats/stats.h"

#define S 1000000000ull

static uint64_t policy;

static uint64_t policy_now(const void *arg)
{
    (void)arg;
    return policy;
}

static double number(const cJSON *o, const char *name)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    assert_true(cJSON_IsNumber(x));
    return x->valuedouble;
}

/* One figure of a code; -1: it is not listed. */
static double figure(const struct refusing *r, uint64_t now_ns, const char *route,
                     const char *code, const char *name)
{
    cJSON *o = refusing_json(r, now_ns);
    const cJSON *x;
    double v = -1;

    cJSON_ArrayForEach(x, cJSON_GetObjectItem(o, "codes"))
    {
        if (strcmp(cJSON_GetObjectItem(x, "code")->valuestring, code) == 0 &&
            strcmp(cJSON_GetObjectItem(x, "route")->valuestring, route) == 0) {
            v = number(x, name);
        }
    }
    cJSON_Delete(o);
    return v;
}

/* One figure of a route; -1: it is not listed. most: its first code, if it is not NULL. */
static double route_figure(const struct refusing *r, uint64_t now_ns, const char *route,
                           const char *name, char *most)
{
    cJSON *o = refusing_json(r, now_ns);
    const cJSON *x;
    double v = -1;

    cJSON_ArrayForEach(x, cJSON_GetObjectItem(o, "routes"))
    {
        const cJSON *code = cJSON_GetObjectItem(x, "most");

        if (strcmp(cJSON_GetObjectItem(x, "route")->valuestring, route) == 0) {
            v = number(x, name);
            if (most != NULL) {
                (void)snprintf(most, 32, "%s", code == NULL ? "" : code->valuestring);
            }
        }
    }
    cJSON_Delete(o);
    return v;
}

struct route_cells {
    stats_cell *received, *rejected, *refused, *neighbours;
};

static struct route_cells cells_of(const char *route)
{
    char labels[128];
    struct route_cells c;

    (void)snprintf(labels, sizeof labels, "route=\"%s\"", route);
    c.received = stats_counter("sluice_received_events_total", "h", labels);
    (void)snprintf(labels, sizeof labels, "route=\"%s\",result=\"rejected\",code=\"x\"",
                   route);
    c.rejected = stats_counter("sluice_events_total", "h", labels);
    (void)snprintf(labels, sizeof labels, "route=\"%s\",result=\"refused\",code=\"x\"",
                   route);
    c.refused = stats_counter("sluice_events_total", "h", labels);
    (void)snprintf(labels, sizeof labels, "route=\"%s\",result=\"refused\",code=\"\"",
                   route);
    c.neighbours = stats_counter("sluice_events_total", "h", labels);
    return c;
}

static void shares_are_of_the_route_and_of_the_last_hour(void **state)
{
    const struct route_cells a = cells_of("POST /a"), more = cells_of("POST /a"),
                             b = cells_of("POST /b");
    struct refusing *r = refusing_new(*state, policy_now, NULL);
    const uint64_t at = 7 * S;

    refusing_look(r, at);
    stats_add(a.received, 900);
    stats_add(more.received, 100); /* another worker's */
    stats_add(a.rejected, 15);
    stats_add(more.rejected, 3);
    stats_add(more.refused, 2);
    stats_add(b.received, 5000);
    refusing_look(r, at + S / 2); /* too soon */
    assert_true(figure(r, at, "POST /a", "x", "hour") == -1);
    refusing_look(r, at + S);
    assert_true(figure(r, at + S, "POST /a", "x", "hour") == 20);
    assert_true(figure(r, at + S, "POST /a", "x", "hour_received") == 1000);
    assert_true(figure(r, at + S, "POST /a", "x", "recent") == 20);
    assert_true(figure(r, at + S, "POST /b", "x", "hour") == -1);
    /* 5 minutes are recent, and 59 are of the hour. */
    refusing_look(r, at + 291 * S);
    assert_true(figure(r, at + 291 * S, "POST /a", "x", "recent") == 20);
    refusing_look(r, at + 320 * S);
    assert_true(figure(r, at + 320 * S, "POST /a", "x", "recent") == 0);
    refusing_look(r, at + 59 * 60 * S);
    assert_true(figure(r, at + 59 * 60 * S, "POST /a", "x", "hour") == 20);
    refusing_look(r, at + 61 * 60 * S);
    assert_true(figure(r, at + 61 * 60 * S, "POST /a", "x", "hour") == -1);
    /* A look that comes after hours takes nothing for older than it is. */
    stats_add(a.received, 10);
    stats_add(a.rejected, 10);
    refusing_look(r, at + 300 * 60 * S);
    assert_true(figure(r, at + 300 * 60 * S, "POST /a", "x", "hour") == 10);
    assert_true(figure(r, at + 300 * 60 * S, "POST /a", "x", "hour_received") == 10);
    refusing_free(r);
}

/* Each place of the ring is of one minute, whatever time has passed since. */
static void a_minute_two_hours_ago_is_over(void **state)
{
    const struct route_cells c = cells_of("POST /minutes");

    for (uint64_t minutes = 60; minutes <= 180; minutes++) {
        struct refusing *r = refusing_new(*state, policy_now, NULL);

        refusing_look(r, 7 * S);
        stats_add(c.received, 1);
        stats_add(c.rejected, 1);
        refusing_look(r, 8 * S); /* counts since the process began */
        assert_true(figure(r, 8 * S, "POST /minutes", "x", "hour") ==
                    (double)(minutes - 59));
        refusing_look(r, minutes * 60 * S);
        assert_true(figure(r, minutes * 60 * S, "POST /minutes", "x", "hour") == -1);
        refusing_free(r);
    }
}

static void since_has_breaks_of_5_minutes_at_most(void **state)
{
    const struct route_cells c = cells_of("POST /since");
    struct refusing *r = refusing_new(*state, policy_now, NULL);

    refusing_look(r, S);
    stats_add(c.received, 100);
    stats_add(c.rejected, 1);
    refusing_look(r, 11 * S);
    stats_add(c.received, 100);
    refusing_look(r, 21 * S); /* nothing is refused */
    assert_true(figure(r, 21 * S, "POST /since", "x", "since_seconds") == 10);
    stats_add(c.rejected, 1);
    stats_add(c.received, 100);
    refusing_look(r, 300 * S);
    assert_true(figure(r, 300 * S, "POST /since", "x", "since_seconds") == 289);
    /* Less than 1 %. */
    stats_add(c.rejected, 1);
    stats_add(c.received, 101);
    refusing_look(r, 600 * S);
    assert_true(figure(r, 600 * S, "POST /since", "x", "since_seconds") == 589);
    refusing_look(r, 601 * S);
    assert_true(figure(r, 601 * S, "POST /since", "x", "since_seconds") == 0);
    refusing_free(r);
}

static void another_policy_makes_what_was_before_no_news(void **state)
{
    const struct route_cells c = cells_of("POST /policy");
    struct refusing *r = refusing_new(*state, policy_now, NULL);

    refusing_look(r, S);
    stats_add(c.received, 100);
    stats_add(c.rejected, 50);
    refusing_look(r, 2 * S);
    assert_true(figure(r, 2 * S, "POST /policy", "x", "recent") == 50);
    policy++;
    stats_add(c.rejected, 1);
    refusing_look(r, 2 * S + 1); /* also when it is soon */
    assert_true(figure(r, 2 * S, "POST /policy", "x", "recent") == 0);
    assert_true(figure(r, 2 * S, "POST /policy", "x", "hour") == 51);
    stats_add(c.rejected, 4);
    refusing_look(r, 4 * S);
    assert_true(figure(r, 4 * S, "POST /policy", "x", "recent") == 4);
    refusing_free(r);
}

static void neighbours_in_a_refused_batch_have_a_name(void **state)
{
    const struct route_cells c = cells_of("POST /batch");
    struct refusing *r = refusing_new(*state, policy_now, NULL);

    refusing_look(r, S);
    stats_add(c.received, 100);
    stats_add(c.rejected, 1);
    stats_add(c.neighbours, 99);
    refusing_look(r, 2 * S);
    assert_true(figure(r, 2 * S, "POST /batch", "batch_refused", "hour") == 99);
    assert_true(figure(r, 2 * S, "POST /batch", "x", "hour") == 1);
    refusing_free(r);
}

static void reject(const char *route, const char *code, uint64_t n)
{
    char labels[160];

    (void)snprintf(labels, sizeof labels,
                   "route=\"%s\",result=\"rejected\",code=\"%s\"", route, code);
    stats_add(stats_counter("sluice_events_total", "h", labels), n);
}

/* 40 codes may refuse all that a route gets, each of them little. */
static void a_route_counts_all_its_codes(void **state)
{
    const struct route_cells c = cells_of("POST /forty");
    struct refusing *r = refusing_new(*state, policy_now, NULL);
    char code[16], most[32];

    refusing_look(r, S);
    stats_add(c.received, 1001);
    stats_add(c.neighbours, 1);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(code, sizeof code, "c%02d", i);
        reject("POST /forty", code, i == 7 ? 26 : i == 8 ? 24 : 25);
    }
    refusing_look(r, 2 * S);
    assert_true(route_figure(r, 2 * S, "POST /forty", "recent", most) == 1001);
    assert_string_equal(most, "c07");
    assert_true(route_figure(r, 2 * S, "POST /forty", "recent_received", NULL) == 1001);
    /* Of late another one refuses the most. */
    reject("POST /forty", "c08", 1);
    refusing_look(r, 1000 * S);
    assert_true(route_figure(r, 1000 * S, "POST /forty", "recent", most) == 1);
    assert_string_equal(most, "c08");
    assert_true(route_figure(r, 1000 * S, "POST /forty", "hour", NULL) == 1002);
    assert_true(route_figure(r, 1000 * S, "POST /forty", "hour_received", NULL) ==
                1001);
    policy++; /* with another policy it is no news */
    refusing_look(r, 1001 * S);
    assert_true(route_figure(r, 1001 * S, "POST /forty", "recent", NULL) == 0);
    refusing_look(r, 7200 * S);
    assert_true(route_figure(r, 7200 * S, "POST /forty", "hour", NULL) == -1);
    refusing_free(r);
}

/* Requests outside of all routes are compared with all events. */
static void shares_outside_of_all_routes_are_of_all(void **state)
{
    const struct route_cells c = cells_of("none"), a = cells_of("POST /all");
    struct refusing *r = refusing_new(*state, policy_now, NULL);

    refusing_look(r, S);
    stats_add(c.received, 10);
    stats_add(c.refused, 10);
    stats_add(a.received, 90);
    refusing_look(r, 2 * S);
    assert_true(figure(r, 2 * S, "none", "x", "hour") == 10);
    assert_true(figure(r, 2 * S, "none", "x", "hour_received") >= 100);
    assert_true(route_figure(r, 2 * S, "none", "hour", NULL) == -1);
    refusing_free(r);
}

/* A route that leaves the policy. */
static void count_and_go(const char *route, uint64_t received, uint64_t rejected)
{
    struct stats_owner part = {0}, *before = stats_own(&part);
    const struct route_cells c = cells_of(route);

    (void)stats_own(before);
    stats_add(c.received, received);
    stats_add(c.rejected, rejected);
    stats_disown(&part);
}

/* More series go than the registry remembers: of those before only sums are left. */
static void go_for_long(void)
{
    for (int i = 0; i < 20000; i++) {
        struct stats_owner part = {0}, *before = stats_own(&part);
        char label[32];

        (void)snprintf(label, sizeof label, "other=\"%d\"", i);
        stats_add(stats_counter("sluice_others_total", "h", label), 1);
        (void)stats_own(before);
        stats_disown(&part);
    }
}

static void events_of_routes_that_are_long_gone_are_not_received_again(void **state)
{
    const struct route_cells none = cells_of("none");
    struct refusing *r = refusing_new(*state, policy_now, NULL);

    refusing_look(r, S);
    count_and_go("POST /gone", 1000000, 0);
    refusing_look(r, 2 * S);
    refusing_look(r, 7200 * S);
    go_for_long();
    stats_add(none.received, 10);
    stats_add(none.refused, 10);
    refusing_look(r, 7210 * S);
    assert_true(figure(r, 7210 * S, "none", "x", "hour") == 10);
    assert_true(figure(r, 7210 * S, "none", "x", "hour_received") == 10);
    assert_true(figure(r, 7210 * S, "none", "x", "since_seconds") == 0);
    refusing_look(r, 7211 * S);
    assert_true(figure(r, 7211 * S, "none", "x", "since_seconds") == 1);
    refusing_free(r);
}

/* Reloads name others, again and again. */
static void routes_that_are_long_gone_make_room(void **state)
{
    const struct route_cells stays = cells_of("POST /stays");
    struct refusing *r = refusing_new(*state, policy_now, NULL);
    char route[32];

    refusing_look(r, S);
    stats_add(stays.received, 5);
    stats_add(stays.rejected, 5);
    refusing_look(r, 2 * S);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(route, sizeof route, "POST /renamed/%d", i);
        count_and_go(route, 10, 1);
    }
    refusing_look(r, 3 * S);
    count_and_go("POST /late", 10, 1);
    refusing_look(r, 4 * S);
    assert_true(figure(r, 4 * S, "POST /late", "x", "hour") == -1); /* it is full */
    go_for_long();
    refusing_look(r, 7200 * S);
    count_and_go("POST /new", 10, 1);
    stats_add(stays.rejected, 2);
    refusing_look(r, 7210 * S);
    assert_true(figure(r, 7210 * S, "POST /new", "x", "hour") == 1);
    assert_true(figure(r, 7210 * S, "POST /new", "x", "hour_received") == 10);
    assert_true(figure(r, 7210 * S, "POST /stays", "x", "hour") == 2);
    refusing_free(r);
}

/* What it counted while there was no place for it is no news once there is. */
static void a_route_that_waited_for_a_place_begins_with_it(void **state)
{
    struct refusing *r = refusing_new(*state, policy_now, NULL);
    struct stats_owner part = {0}, *before;
    struct route_cells waits;
    char route[32];

    refusing_look(r, S);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(route, sizeof route, "POST /before/%d", i);
        count_and_go(route, 10, 1);
    }
    refusing_look(r, 2 * S);
    before = stats_own(&part);
    waits = cells_of("POST /waits");
    (void)stats_own(before);
    stats_add(waits.received, 1000000);
    stats_add(waits.rejected, 900000);
    refusing_look(r, 3 * S);
    go_for_long();
    refusing_look(r, 7200 * S); /* makes room */
    refusing_look(r, 7210 * S);
    assert_true(figure(r, 7210 * S, "POST /waits", "x", "hour") == -1);
    assert_true(route_figure(r, 7210 * S, "POST /waits", "hour", NULL) == -1);
    stats_add(waits.received, 100);
    stats_add(waits.rejected, 3);
    before = stats_own(&part);
    reject("POST /waits", "new", 4);
    (void)stats_own(before);
    refusing_look(r, 7220 * S);
    assert_true(figure(r, 7220 * S, "POST /waits", "x", "hour") == 3);
    assert_true(figure(r, 7220 * S, "POST /waits", "x", "hour_received") == 100);
    assert_true(figure(r, 7220 * S, "POST /waits", "new", "hour") == 4);
    assert_true(route_figure(r, 7220 * S, "POST /waits", "recent", NULL) == 7);
    refusing_free(r);
    stats_disown(&part);
    go_for_long();
}

/* Of a route that has no place nothing tells what it gets: no code of it has a share. */
static void a_code_of_a_route_without_a_place_is_counted_alone(void **state)
{
    struct refusing *r = refusing_new(*state, policy_now, NULL);
    struct stats_owner part = {0}, *before;
    struct route_cells late;
    char route[32];
    double more;
    cJSON *o;

    refusing_look(r, S);
    for (int i = 0; i < 1200; i++) {
        (void)snprintf(route, sizeof route, "POST /renames/%d", i);
        count_and_go(route, 10, 0);
    }
    refusing_look(r, 2 * S);
    o = refusing_json(r, 2 * S);
    more = number(o, "more");
    cJSON_Delete(o);
    before = stats_own(&part);
    late = cells_of("POST /renamed");
    (void)stats_own(before);
    stats_add(late.received, 100000);
    stats_add(late.rejected, 50);
    refusing_look(r, 3 * S);
    assert_true(figure(r, 3 * S, "POST /renamed", "x", "hour") == -1);
    o = refusing_json(r, 3 * S);
    assert_true(number(o, "more") == more + 1);
    cJSON_Delete(o);
    refusing_free(r);
    stats_disown(&part);
    go_for_long();
}

/* The largest are listed; of too many the rest is counted. */
static void memory_is_bounded(void **state)
{
    struct refusing *r = refusing_new(*state, policy_now, NULL);
    stats_cell *last = NULL;
    char most[32];
    cJSON *o;

    refusing_look(r, S);
    for (int i = 0; i < 3000; i++) {
        char labels[128];

        (void)snprintf(labels, sizeof labels,
                       "route=\"POST /many\",result=\"rejected\",code=\"c%d\"", i);
        last = stats_counter("sluice_events_total", "h", labels);
        stats_add(last, i < 900 ? 1000 + (uint64_t)i : 1);
    }
    refusing_look(r, 2 * S);
    o = refusing_json(r, 2 * S);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "codes")), 50);
    assert_true(number(o, "more") >= 2900);
    assert_string_equal(
        cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(o, "codes"), 0),
                            "code")
            ->valuestring,
        "c899");
    cJSON_Delete(o);
    /* Codes that found no place count for their route, and may be the first of it. */
    assert_true(route_figure(r, 2 * S, "POST /many", "hour", most) ==
                900 * 1000 + 899 * 900 / 2 + 2100);
    assert_string_equal(most, "");
    refusing_free(r);
}

static int make_loop(void **state)
{
    *state = ev_loop_new(0);
    return *state == NULL;
}

static int end_loop(void **state)
{
    ev_loop_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_of_the_route_and_of_the_last_hour),
        cmocka_unit_test(a_minute_two_hours_ago_is_over),
        cmocka_unit_test(since_has_breaks_of_5_minutes_at_most),
        cmocka_unit_test(another_policy_makes_what_was_before_no_news),
        cmocka_unit_test(neighbours_in_a_refused_batch_have_a_name),
        cmocka_unit_test(a_route_counts_all_its_codes),
        cmocka_unit_test(shares_outside_of_all_routes_are_of_all),
        cmocka_unit_test(events_of_routes_that_are_long_gone_are_not_received_again),
        cmocka_unit_test(routes_that_are_long_gone_make_room),
        cmocka_unit_test(a_route_that_waited_for_a_place_begins_with_it),
        cmocka_unit_test(a_code_of_a_route_without_a_place_is_counted_alone),
        cmocka_unit_test(memory_is_bounded),
    };

    return cmocka_run_group_tests(tests, make_loop, end_loop);
}
