/* sluice check [--json] POLICY.lua|FOLDER|-... */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/policies.h"
#include "cli/show.h"
#include "policy/load/load.h"
#include "server/admin/problems.h"
#include "server/settings.h"
#include "server/supervisor.h"

enum { STDIN_MAX = 16 << 20 };

struct checking {
    cJSON *list; /* of the problems; NULL: for people */
    bool bad;    /* one of the policies */
    unsigned n;
};

static void print_json(const cJSON *list)
{
    char *json = cJSON_PrintUnformatted(list);

    show_json(stdout, str_of(json)); /* a policy may hold any bytes */
    cJSON_free(json);
}

static void add_json(cJSON *list, const struct policy_report *report)
{
    cJSON *more = problems_json(report);

    while (cJSON_GetArraySize(more) > 0) {
        (void)cJSON_AddItemToArray(list, cJSON_DetachItemFromArray(more, 0));
    }
    cJSON_Delete(more);
}

static void print_text(const char *path, const struct policy_report *report,
                       const struct policy *p)
{
    if (report->text != NULL && report->text[0] != '\0') {
        show_words(p == NULL ? stderr : stdout, report->text);
    }
    if (p != NULL) {
        const struct plan *plan = policy_plan(p);

        show_line(stdout, "%s: good: %u route%s, %u stream%s, %u sink%s, hash %.12s",
                  path, plan->n_routes, plan->n_routes == 1 ? "" : "s", plan->n_streams,
                  plan->n_streams == 1 ? "" : "s", plan->n_sinks,
                  plan->n_sinks == 1 ? "" : "s", plan->hash);
    }
}

/* Takes p. */
static void judge(struct checking *c, const char *path, struct policy *p,
                  struct policy_report *report)
{
    if (p != NULL && !settings_try(p, report)) {
        policy_unref(p);
        p = NULL;
    }
    if (c->list != NULL) {
        add_json(c->list, report);
    } else {
        print_text(path, report, p);
    }
    c->n++;
    c->bad |= p == NULL;
    policy_report_fini(report);
    policy_unref(p);
}

static void check_file(void *arg, const char *path)
{
    struct policy_report report;
    struct policy *p = policy_load(path, &report);

    judge(arg, path, p, &report);
}

/* Its files are those of the working directory. */
static bool check_stdin(struct checking *c)
{
    struct policy_report report;
    struct policy *p;
    char *text = mem_alloc(STDIN_MAX + 1);
    size_t n = fread(text, 1, STDIN_MAX + 1, stdin);

    if (n > STDIN_MAX || ferror(stdin) != 0) {
        show_error("standard input is no policy: more than 16 MiB, or it can't be "
                   "read");
        free(text);
        return false;
    }
    p = policy_load_text("stdin.lua", (struct str){text, n}, &report);
    judge(c, "stdin.lua", p, &report);
    free(text);
    return true;
}

/* False: there is nothing to check, which was told. */
static bool check(struct checking *c, const char *path)
{
    struct stat st;
    unsigned before = c->n;

    if (strcmp(path, "-") == 0) {
        return check_stdin(c);
    }
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        check_file(c, path);
        return true;
    }
    if (!policies_each(path, check_file, c)) {
        show_line(stderr, "sluice: %s: %s", path, strerror(errno));
        return false;
    }
    if (c->n == before) {
        show_line(stderr, "sluice: no policy in %s: expected a file *.lua with a route",
                  path);
    }
    return c->n > before;
}

int cli_check(int argc, char **argv)
{
    int first = argc > 1 && strcmp(argv[1], "--json") == 0 ? 2 : 1;
    struct checking c = {.list = first == 2 ? cJSON_CreateArray() : NULL};

    for (int i = first; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            first = argc;
        }
    }
    if (first >= argc) {
        cJSON_Delete(c.list);
        return usage_wrong("check");
    }
    for (int i = first; i < argc; i++) {
        c.bad |= !check(&c, argv[i]);
    }
    if (c.list != NULL) {
        print_json(c.list);
    }
    cJSON_Delete(c.list);
    return c.bad ? EXIT_POLICY : EXIT_OK;
}
