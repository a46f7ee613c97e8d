/* The permutation test against Fisher's exact one, and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <math.h>

#include "base/attr.h"
#include "server/policies/permutation.h"

static double ln_choose(double n, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

/* P(the new side has `hits` or more of all hits), hypergeometric. */
static double fisher(uint32_t n, uint32_t n_new, uint32_t all, uint32_t hits)
{
    double p = 0;

    for (uint32_t k = hits; k <= all && k <= n_new; k++) {
        if (all - k <= n - n_new) {
            p += exp(ln_choose(n_new, k) + ln_choose(n - n_new, all - k) -
                     ln_choose(n, all));
        }
    }
    return p;
}

static bool worse(uint32_t n, uint32_t n_new, uint32_t old_hits, uint32_t new_hits)
{
    struct permutation_unit units[PERMUTATION_UNITS_MAX];

    for (uint32_t i = 0; i < n; i++) {
        bool hit = i < n_new ? i < new_hits : i - n_new < old_hits;

        units[i] = (struct permutation_unit){1, hit};
    }
    return permutation_worse(units, n, n_new);
}

/* Beyond the shuffles' own noise it agrees with Fisher's test. */
static void test_fisher(void **state)
{
    static const uint32_t sizes[][2] = {{20, 10},   {40, 4},    {60, 50},    {300, 30},
                                        {300, 150}, {2048, 40}, {2000, 1960}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(sizes); i++) {
        uint32_t n = sizes[i][0], n_new = sizes[i][1];

        for (uint32_t old_hits = 0; old_hits <= n - n_new;
             old_hits = old_hits * 3 + 1) {
            for (uint32_t hits = 0; hits <= n_new; hits += 1 + n_new / 12) {
                double p = fisher(n, n_new, old_hits + hits, hits);
                bool got = worse(n, n_new, old_hits, hits);

                if (got ? p > 4 * PERMUTATION_ALPHA : p < PERMUTATION_ALPHA / 20) {
                    fail_msg("%u of %u new ones and %u of %u old ones: chance "
                             "%g, said %d",
                             hits, n_new, old_hits, n - n_new, p, got);
                }
            }
        }
    }
}

static void test_can_tell(void **state)
{
    (void)state;
    assert_false(permutation_can_tell(0, 0));
    assert_false(permutation_can_tell(10, 0));
    assert_false(permutation_can_tell(10, 1));
    assert_false(permutation_can_tell(10, 9));
    assert_false(permutation_can_tell(1000, 1));
    assert_false(permutation_can_tell(1000, 999));
    assert_true(permutation_can_tell(1000, 2));
    assert_true(permutation_can_tell(20, 10));
    assert_false(permutation_can_tell(16, 8)); /* 12,870 ways */
    assert_true(permutation_can_tell(17, 8));  /* 24,310 */
    assert_false(permutation_can_tell(50, 50));
}

/* A unit weighs as one, however many events it has. */
static void test_clusters(void **state)
{
    struct permutation_unit units[100];

    (void)state;
    for (int i = 0; i < 100; i++) {
        units[i] = (struct permutation_unit){i == 0 ? 100000 : 10, 0};
    }
    units[0].hits = 100000;
    assert_false(permutation_worse(units, 100, 10));
    for (int i = 0; i < 10; i++) {
        units[i].hits = units[i].events;
    }
    assert_true(permutation_worse(units, 100, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fisher),
                                       cmocka_unit_test(test_can_tell),
                                       cmocka_unit_test(test_clusters)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
