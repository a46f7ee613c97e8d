/* sluice check [--json] POLICY.lua */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "policy/load/load.h"
#include "server/admin/problems.h"
#include "server/settings.h"
#include "server/supervisor.h"

static void print_json(const struct policy_report *report)
{
    cJSON *list = problems_json(report);
    char *json = cJSON_PrintUnformatted(list);
    char *text = text_new(TEXT_PLAIN, str_of(json)); /* a policy may hold any bytes */

    (void)puts(text);
    free(text);
    cJSON_free(json);
    cJSON_Delete(list);
}

static void print_text(const char *path, const struct policy_report *report,
                       const struct policy *p)
{
    if (report->text != NULL) {
        char *text = text_new(TEXT_PLAIN, str_of(report->text));

        (void)fputs(text, p == NULL ? stderr : stdout);
        free(text);
    }
    if (p != NULL) {
        const struct plan *plan = policy_plan(p);

        (void)printf("%s: good: %u route%s, %u stream%s, %u sink%s, hash "
                     "%.12s\n",
                     path, plan->n_routes, plan->n_routes == 1 ? "" : "s",
                     plan->n_streams, plan->n_streams == 1 ? "" : "s", plan->n_sinks,
                     plan->n_sinks == 1 ? "" : "s", plan->hash);
    }
}

int cli_check(int argc, char **argv)
{
    bool json = argc == 3 && strcmp(argv[1], "--json") == 0;
    const char *path = argv[argc - 1];
    struct policy_report report;
    struct policy *p;

    if ((argc != 2 || argv[1][0] == '-') && !json) {
        return usage_wrong("check");
    }
    p = policy_load(path, &report);
    if (p != NULL && !settings_try(p, &report)) {
        policy_unref(p);
        p = NULL;
    }
    if (json) {
        print_json(&report);
    } else {
        print_text(path, &report, p);
    }
    policy_report_fini(&report);
    policy_unref(p);
    return p == NULL ? EXIT_POLICY : EXIT_OK;
}
