/* Numbers that speak against a canary, and numbers that do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "server/policies/analysis.h"

/* A side's counts; each request is a unit of its own. */
struct counts {
    uint64_t requests, events, refused, failed;
    double p50_ms, p99_ms;
    uint64_t slow, very_slow;
};

struct row {
    const char *name;
    struct counts old, new_;
    const char *why; /* NULL: nothing speaks against it */
};

static const struct row rows[] = {
    {"nothing happened", {0}, {0}, NULL},
    {"the same",
     {1000, 1000, 50, 3, 0.1, 0.5, 0, 0},
     {100, 100, 5, 0, 0.1, 0.5, 0, 0},
     NULL},
    {"refusals up by five points",
     {1000, 1000, 0, 0, 0.1, 0.5, 0, 0},
     {300, 300, 15, 0, 0.1, 0.5, 0, 0},
     "it refuses 5.0 % of 300 events, the live one 0.0 %"},
    {"so few that chance may do it",
     {1000, 1000, 0, 0, 0.1, 0.5, 0, 0},
     {100, 100, 3, 0, 0.1, 0.5, 0, 0},
     NULL},
    {"few, but all of them",
     {270, 270, 0, 0, 0.1, 0.5, 0, 0},
     {30, 30, 30, 0, 0.1, 0.5, 0, 0},
     "it refuses 100.0 % of 30 events, the live one 0.0 %"},
    {"hooks that fail on all of few",
     {270, 270, 0, 0, 0.1, 0.5, 0, 0},
     {29, 29, 0, 29, 0.1, 0.5, 0, 0},
     "its hooks fail on 100.0 % of 29 events, the live one's on 0.0 %"},
    {"too few to say anything",
     {1, 1, 0, 0, 0.1, 0.5, 0, 0},
     {99, 99, 99, 99, 0.1, 0.5, 0, 0},
     NULL},
    {"refusals up by one point of very many",
     {100000, 100000, 1000, 0, 0.1, 0.5, 0, 0},
     {100000, 100000, 2000, 0, 0.1, 0.5, 0, 0},
     NULL},
    {"fewer refusals",
     {1000, 1000, 500, 0, 0.1, 0.5, 0, 0},
     {1000, 1000, 0, 0, 0.1, 0.5, 0, 0},
     NULL},
    {"hooks that fail",
     {1000, 1000, 0, 0, 0.1, 0.5, 0, 0},
     {300, 300, 0, 30, 0.1, 0.5, 0, 0},
     "its hooks fail on 10.0 % of 300 events, the live one's on 0.0 %"},
    {"slower in the median",
     {1000, 1000, 0, 0, 0.1, 0.5, 0, 0},
     {300, 300, 0, 0, 0.5, 0.6, 290, 0},
     "it takes 0.500 ms a request (median), the live one 0.100"},
    {"slower by microseconds",
     {1000, 1000, 0, 0, 0.004, 0.01, 0, 0},
     {300, 300, 0, 0, 0.02, 0.05, 3, 0},
     NULL},
    {"slower at times",
     {1000, 1000, 0, 0, 0.1, 0.5, 0, 0},
     {300, 300, 0, 0, 0.1, 1.5, 12, 12},
     "it takes 1.500 ms a request (p99), the live one 0.500"},
    {"slower, before the live one's times are known",
     {1000, 1000, 0, 0, 0.1, 0.5, 0, 0},
     {199, 199, 0, 0, 5, 15, 0, 0},
     NULL},
};

static struct analysis_unit units[2][ANALYSIS_SIDE_UNITS];

/* Over up to ANALYSIS_SIDE_UNITS units, round and round. */
static struct rollout_side side_of(const struct counts *c, int which)
{
    struct analysis_unit *u = units[which];

    memset(u, 0, sizeof units[which]);
    for (uint64_t i = 0; i < c->requests; i++) {
        struct analysis_unit *one = &u[i % ANALYSIS_SIDE_UNITS];

        one->requests++;
        one->events += c->events / c->requests;
        one->refused += i < c->refused;
        one->failed += i < c->failed;
        one->timed++;
        one->slow += i < c->slow;
        one->very_slow += i < c->very_slow;
    }
    return (struct rollout_side){c->requests, c->events,          c->refused,
                                 c->failed,   c->p50_ms,          c->p99_ms,
                                 u,           ANALYSIS_SIDE_UNITS};
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        const struct row *r = &rows[i];
        struct rollout_side old = side_of(&r->old, 0), new_ = side_of(&r->new_, 1);
        char why[256] = "";
        struct analysis j;
        bool against;

        analysis_begin(&j);
        against = analysis_against(&j, &old, &new_, false, why, sizeof why);
        if (against != (r->why != NULL) ||
            (r->why != NULL && strcmp(why, r->why) != 0)) {
            fail_msg("%s: %s", r->name, against ? why : "let pass");
        }
    }
}

/* One tenant of ten sends nothing but bad events; it falls into the share. */
static void test_one_tenant(void **state)
{
    struct rollout_side old, new_;
    char why[256] = "";
    struct analysis j;

    (void)state;
    old = side_of(&(struct counts){.requests = 9, .events = 9}, 0);
    new_ = side_of(&(struct counts){.requests = 1, .events = 1}, 1);
    for (int i = 0; i < 9; i++) {
        units[0][i].requests = units[0][i].events = 100;
    }
    old.requests = old.events = 900;
    units[1][0].requests = units[1][0].events = units[1][0].refused = 100;
    new_.requests = new_.events = new_.refused = 100;
    analysis_begin(&j);
    assert_false(analysis_against(&j, &old, &new_, true, why, sizeof why));
    assert_false(analysis_enough(&old, &new_, 50, "connection", why, sizeof why));
    assert_string_equal(why, "not enough traffic: 1 of 10 units (one unit: a "
                             "connection) are too few to tell it from chance");
}

static void test_enough(void **state)
{
    struct rollout_side old, new_;
    char why[256] = "";

    (void)state;
    old = side_of(&(struct counts){.requests = 441, .events = 441}, 0);
    new_ = side_of(&(struct counts){.requests = 49, .events = 49}, 1);
    assert_false(analysis_enough(&old, &new_, 50, "request", why, sizeof why));
    assert_string_equal(why,
                        "not enough traffic: it saw 49 requests, min_requests is 50");
    new_ = side_of(&(struct counts){.requests = 50, .events = 50}, 1);
    assert_true(analysis_enough(&old, &new_, 50, "request", why, sizeof why));
    old = side_of(&(struct counts){0}, 0);
    assert_false(analysis_enough(&old, &new_, 50, "request", why, sizeof why));
}

/* Between two tests the canary's requests grow by half. */
static void test_schedule(void **state)
{
    const struct counts bad = {.requests = 19, .events = 19, .refused = 19};
    struct rollout_side old, new_;
    char why[256];
    struct analysis j;

    (void)state;
    old = side_of(&(struct counts){.requests = 400, .events = 400}, 0);
    analysis_begin(&j);
    new_ = side_of(&bad, 1);
    assert_false(analysis_against(&j, &old, &new_, false, why, sizeof why));
    assert_int_equal(j.next, 20);
    assert_true(analysis_against(&j, &old, &new_, true, why, sizeof why));
    analysis_begin(&j);
    new_ = side_of(&(struct counts){.requests = 20, .events = 20}, 1);
    assert_false(analysis_against(&j, &old, &new_, false, why, sizeof why));
    assert_int_equal(j.next, 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_one_tenant),
        cmocka_unit_test(test_enough), cmocka_unit_test(test_schedule)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
