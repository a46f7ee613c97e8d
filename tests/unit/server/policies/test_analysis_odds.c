/*
 * How often the built-in rule rolls back a canary that does the same as the live
 * policy, and how often it catches one that fails 5 % more. Simulated rollouts, each
 * with all its looks. SLUICE_TRIALS=10000 gives the figures of the documents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "base/attr.h"
#include "ingest/tally.h"
#include "server/policies/analysis.h"

enum { LIVE_MIN = 200, CLUSTERS_MAX = 4096 };

/* Traffic: clusters (connections, tenants) of unequal size and habits. */
struct traffic {
    const char *name;
    uint32_t clusters;   /* 0: each request is one */
    double skew;         /* Zipf's exponent of their sizes; 0: equal */
    double bad_clusters; /* share of those whose events are all refused */
    double refused;      /* share of the others' events */
    double slow;         /* share of the clusters that are three times as slow */
    double share;
    uint32_t requests; /* of both sides */
    uint32_t batch;    /* events of a request */
};

static const struct traffic traffics[] = {
    {"requests, none refused", 0, 0, 0, 0, 0, 0.1, 10000, 1},
    {"requests, 1 % refused", 0, 0, 0, 0.01, 0, 0.1, 10000, 1},
    {"requests, 10 % refused", 0, 0, 0, 0.1, 0, 0.1, 10000, 1},
    {"requests, half refused, half shared", 0, 0, 0, 0.5, 0, 0.5, 4000, 1},
    {"requests, share of 1 %", 0, 0, 0, 0.1, 0, 0.01, 20000, 1},
    {"64 connections, 4 of them bad", 64, 0, 0.06, 0.01, 0, 0.1, 5000, 20},
    {"1,000 connections, skewed", 1000, 1, 0.05, 0.02, 0.05, 0.1, 10000, 20},
    {"10 tenants, one bad", 10, 1, 0.1, 0.01, 0.1, 0.1, 5000, 1},
    {"100 tenants, skewed, ten bad", 100, 1, 0.1, 0.02, 0.1, 0.1, 10000, 1},
    {"100 tenants, skewed, half shared", 100, 1, 0.1, 0.02, 0.1, 0.5, 4000, 5},
    {"300 tenants, very skewed", 300, 1.5, 0.05, 0.01, 0.05, 0.25, 5000, 1}};

static uint64_t seed;

static double chance(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (double)(seed * 0x2545F4914F6CDD1Du >> 11) * 0x1p-53;
}

struct cluster {
    double upto; /* of all requests, cumulated */
    bool new_, bad, slow;
    uint32_t unit;
};

struct rollout {
    const struct traffic *t;
    double failing; /* share of the canary's events that it fails more */
    struct cluster clusters[CLUSTERS_MAX];
    struct analysis_unit units[2][ANALYSIS_SIDE_UNITS];
    struct rollout_side sides[2];
    uint32_t n_units[2];
};

static void deal(struct rollout *x)
{
    const struct traffic *t = x->t;
    double sum = 0;

    memset(x->units, 0, sizeof x->units);
    tally_split(t->share, &x->n_units[0], &x->n_units[1]);
    for (int i = 0; i < 2; i++) {
        x->sides[i] = (struct rollout_side){.p50_ms = 1,
                                            .p99_ms = 2,
                                            .units = x->units[i],
                                            .n_units = ANALYSIS_SIDE_UNITS};
    }
    /* The slower answers are there to be blamed for. */
    x->sides[1].p50_ms = 10;
    x->sides[1].p99_ms = 20;
    for (uint32_t i = 0; i < t->clusters; i++) {
        struct cluster *c = &x->clusters[i];

        sum += pow(i + 1, -t->skew);
        *c = (struct cluster){sum, chance() < t->share, chance() < t->bad_clusters,
                              chance() < t->slow, 0};
        c->unit = (uint32_t)(chance() * x->n_units[c->new_]);
    }
    for (uint32_t i = 0; i < t->clusters; i++) {
        x->clusters[i].upto /= sum;
    }
}

static struct cluster draw(struct rollout *x)
{
    double at = chance();
    uint32_t lo = 0, hi = x->t->clusters;
    struct cluster c = {.new_ = at < x->t->share};

    if (hi == 0) {
        c.unit = (uint32_t)(chance() * x->n_units[c.new_]);
        return c;
    }
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (x->clusters[mid].upto < at) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return x->clusters[lo];
}

static void request(struct rollout *x)
{
    struct cluster c = draw(x);
    struct rollout_side *s = &x->sides[c.new_];
    struct analysis_unit *u = &x->units[c.new_][c.unit];

    for (uint32_t i = 0; i < x->t->batch; i++) {
        bool no =
            c.bad || chance() < x->t->refused || (c.new_ && chance() < x->failing);

        u->refused += no;
        s->refused += no;
    }
    u->events += x->t->batch;
    s->events += x->t->batch;
    u->requests++;
    s->requests++;
    if (x->sides[0].requests > LIVE_MIN) {
        u->timed++;
        u->slow += c.slow || chance() < 0.1;
        u->very_slow += c.slow || chance() < 0.005;
    }
}

/* True: it was sent back before its end, or at it. */
static bool rolled_back(struct rollout *x)
{
    char why[256];
    struct analysis j;

    deal(x);
    analysis_begin(&j);
    for (uint32_t i = 0; i < x->t->requests; i++) {
        request(x);
        if (i % 50 == 49 &&
            analysis_against(&j, &x->sides[0], &x->sides[1], false, why, sizeof why)) {
            return true;
        }
    }
    return analysis_against(&j, &x->sides[0], &x->sides[1], true, why, sizeof why);
}

static unsigned rollouts(void)
{
    const char *text = getenv("SLUICE_TRIALS");

    return text == NULL ? 100 : (unsigned)strtoul(text, NULL, 10);
}

/* How many of n rollouts were sent back. */
static unsigned sent_back(const char *what, const struct traffic *t, double failing,
                          unsigned n)
{
    static struct rollout x;
    unsigned back = 0;

    x.t = t;
    x.failing = failing;
    seed = 88172645463325252u;
    for (unsigned i = 0; i < n; i++) {
        back += rolled_back(&x);
    }
    print_message("# %s, %s: %u of %u sent back\n", what, t->name, back, n);
    return back;
}

static void test_equal(void **state)
{
    unsigned n = rollouts();

    (void)state;
    for (size_t i = 0; i < N_ELEMS(traffics); i++) {
        assert_true(sent_back("equal policies", &traffics[i], 0, n) <= n / 100);
    }
}

/* 1,000 requests of the canary beside as many or more of the live one. */
static void test_power(void **state)
{
    static const struct traffic worse[] = {
        {"requests, none refused", 0, 0, 0, 0, 0, 0.1, 10000, 1},
        {"requests, 1 % refused", 0, 0, 0, 0.01, 0, 0.1, 10000, 1},
        {"requests, 2 % refused, half shared", 0, 0, 0, 0.02, 0, 0.5, 2000, 1},
        {"200 connections, batches of 20", 200, 0, 0, 0.01, 0, 0.1, 10000, 20},
        {"1,000 connections, skewed", 1000, 0.5, 0, 0.01, 0, 0.1, 10000, 1}};
    unsigned n = rollouts();

    (void)state;
    for (size_t i = 0; i < N_ELEMS(worse); i++) {
        assert_true(sent_back("refusing 5 % more", &worse[i], 0.05, n) >= n / 100 * 95);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal),
                                       cmocka_unit_test(test_power)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
