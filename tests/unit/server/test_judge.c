/* What speaks against a canary, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "server/judge.h"

struct row {
    const char *name;
    struct trial_side old, new_;
    const char *why; /* NULL: nothing speaks against it */
};

static const struct row rows[] = {
    {"nothing happened", {0}, {0}, NULL},
    {"the same",
     {1000, 1000, 50, 3, 0.1, 0.5},
     {100, 100, 5, 0, 0.1, 0.5},
     NULL},
    {"refusals up by five points",
     {1000, 1000, 0, 0, 0.1, 0.5},
     {300, 300, 15, 0, 0.1, 0.5},
     "it refuses 5.0 % of 300 events, the live one 0.0 %"},
    {"so few that chance may do it",
     {1000, 1000, 0, 0, 0.1, 0.5},
     {100, 100, 5, 0, 0.1, 0.5},
     NULL},
    {"too few to say anything",
     {1000, 1000, 0, 0, 0.1, 0.5},
     {99, 99, 99, 99, 0.1, 0.5},
     NULL},
    {"refusals up by one point of very many",
     {100000, 100000, 1000, 0, 0.1, 0.5},
     {100000, 100000, 2000, 0, 0.1, 0.5},
     NULL},
    {"fewer refusals",
     {1000, 1000, 500, 0, 0.1, 0.5},
     {1000, 1000, 0, 0, 0.1, 0.5},
     NULL},
    {"hooks that fail",
     {1000, 1000, 0, 0, 0.1, 0.5},
     {300, 300, 0, 30, 0.1, 0.5},
     "its hooks fail on 10.0 % of 300 events, the live one's on 0.0 %"},
    {"slower in the median",
     {1000, 1000, 0, 0, 0.1, 0.5},
     {300, 300, 0, 0, 0.5, 0.6},
     "it takes 0.500 ms a request (median), the live one 0.100"},
    {"slower by microseconds",
     {1000, 1000, 0, 0, 0.004, 0.01},
     {300, 300, 0, 0, 0.02, 0.05},
     NULL},
    {"slower at times",
     {1000, 1000, 0, 0, 0.1, 0.5},
     {300, 300, 0, 0, 0.1, 1.5},
     "it takes 1.500 ms a request (p99), the live one 0.500"},
    {"slower, of too few",
     {1000, 1000, 0, 0, 0.1, 0.5},
     {199, 199, 0, 0, 5, 15},
     NULL},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        const struct row *r = &rows[i];
        char why[256] = "";
        bool against = judge_against(&r->old, &r->new_, why, sizeof why);

        if (against != (r->why != NULL) ||
            (r->why != NULL && strcmp(why, r->why) != 0)) {
            fail_msg("%s: %s", r->name, against ? why : "let pass");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
