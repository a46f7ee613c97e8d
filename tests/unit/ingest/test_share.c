/* Which requests a generation in rollout gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/attr.h"
#include "ingest/share.h"

static const double shares[] = {0.000001, 0.01, 0.1, 0.25, 0.5, 0.99, 1};

/* Of any stretch of numbers the share is taken, give or take two. */
static void test_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(shares); i++) {
        uint64_t parts = share_parts(shares[i]);

        for (uint64_t from = 0; from < 100000; from += 7919) {
            for (uint64_t n = 10; n <= 10000; n *= 10) {
                double want = shares[i] * (double)n;
                unsigned taken = 0;

                for (uint64_t k = 0; k < n; k++) {
                    taken += share_number(from + k, parts);
                }
                assert_true(taken + 2.5 > want && taken < want + 2.5);
            }
        }
    }
}

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(shares); i++) {
        uint64_t parts = share_parts(shares[i]);
        unsigned taken = 0;

        for (unsigned k = 0; k < 20000; k++) {
            char text[32];
            bool first;

            (void)snprintf(text, sizeof text, "10.0.%u.%u", k / 250, k % 250);
            first = share_text(str_of(text), parts);
            taken += first;
            assert_int_equal(first, share_text(str_of(text), parts));
        }
        assert_true(taken > 20000 * shares[i] - 250);
        assert_true(taken < 20000 * shares[i] + 250);
    }
}

/* A request that is in a small share is in a larger one, too. */
static void test_growing(void **state)
{
    (void)state;
    for (uint64_t k = 0; k < 10000; k++) {
        assert_true(!share_number(k, share_parts(0.1)) ||
                    share_number(k, share_parts(0.2)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_growing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
