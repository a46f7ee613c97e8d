/* sluice check POLICY.lua */
#include <stdio.h>

#include "cli/cli.h"
#include "policy/policy.h"
#include "server/supervisor.h"

int cli_check(int argc, char **argv)
{
    struct policy_report report;
    struct policy *p;

    if (argc != 2) {
        (void)fputs("usage: sluice check POLICY.lua\n", stderr);
        return EXIT_USAGE;
    }
    p = policy_load(argv[1], &report);
    if (report.text != NULL) {
        (void)fputs(report.text, p == NULL ? stderr : stdout);
    }
    if (p != NULL) {
        const struct plan *plan = policy_plan(p);

        (void)printf("%s: good: %u route%s, %u stream%s, %u sink%s, hash "
                     "%.12s\n",
                     argv[1], plan->n_routes, plan->n_routes == 1 ? "" : "s",
                     plan->n_streams, plan->n_streams == 1 ? "" : "s",
                     plan->n_sinks, plan->n_sinks == 1 ? "" : "s", plan->hash);
    }
    policy_report_fini(&report);
    policy_unref(p);
    return p == NULL ? EXIT_POLICY : EXIT_OK;
}
