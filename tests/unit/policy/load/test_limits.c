/* A limit's rate and burst as the plan has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "base/attr.h"
#include "plan/plan.h"
#include "policy/load/load.h"
#include "policy/run/run.h"

static const struct {
    const char *words;
    double rate; /* a second */
    uint32_t burst;
} rows[] = {
    {"rate = \"1/s\"", 1, 1},
    {"rate = \"10/s\"", 10, 10},
    {"rate = \"1.5/s\"", 1.5, 2}, /* rounded up: else 0.5 of a token would be none */
    {"rate = \"90/m\"", 1.5, 2},
    {"rate = \"7200/h\"", 2, 2},
    {"rate = \"86400/d\"", 1, 1},
    {"rate = \"1/h\"", 1. / 3600, 1},
    {"rate = \"1/h\", burst = 40", 1. / 3600, 40},
    {"rate = \"1000000/s\"", 1e6, 1000000},
};

static void a_limit_has_its_rate_and_a_second_of_burst(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct policy_report report;
        const struct plan *plan;
        struct policy *p;
        char text[512];

        (void)snprintf(text, sizeof text,
                       "null \"n\" {}\nstream \"s\" { sinks = { \"n\" } }\n"
                       "route \"POST /e\" { body = \"event\", stream = \"s\" }\n"
                       "limit \"l\" { %s }\n",
                       rows[i].words);
        p = policy_load_text("p.lua", str_of(text), &report);
        if (p == NULL) {
            fail_msg("%s: %s", rows[i].words, report.text);
        }
        plan = policy_plan(p);
        assert_int_equal(1, plan->n_limits);
        if (fabs(plan->limits[0].amount - rows[i].rate) > 1e-9 ||
            plan->limits[0].burst != rows[i].burst) {
            fail_msg("%s: %g/s, burst %g", rows[i].words, plan->limits[0].amount,
                     (double)plan->limits[0].burst);
        }
        policy_report_fini(&report);
        policy_unref(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_has_its_rate_and_a_second_of_burst)};

    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
